/* op.c - the operations of a batch as bytes (enum state_op says which fields each has). */
#include "state/state_int.h"

/* What fields an operation has. */
static const struct {
    bool a, b, number;
} op_fields[] = {
    [OP_PUT] = {true, true, false},          [OP_DELETE] = {true, false, false},
    [OP_DELETE_RANGE] = {true, true, false}, [OP_NUMBER] = {true, false, true},
    [OP_NO_NUMBER] = {true, false, false},   [OP_STORE] = {true, false, true},
    [OP_NO_STORE] = {true, false, false},
};

static void append_slice(struct buf *ops, struct str s)
{
    ASSERT(s.len <= UINT32_MAX);
    store_be32(buf_extend(ops, 4), (uint32_t)s.len);
    buf_append_str(ops, s);
}

void op_append(struct buf *ops, enum state_op op, struct str a, struct str b, int64_t number)
{
    buf_append_char(ops, (char)op);
    append_slice(ops, a);
    if (op_fields[op].b)
        append_slice(ops, b);
    if (op_fields[op].number)
        store_be64(buf_extend(ops, 8), (uint64_t)number);
}

static bool take_slice(struct str *rest, struct str *out)
{
    if (rest->len < 4)
        return false;
    uint32_t len = load_be32(rest->ptr);
    if (len > rest->len - 4)
        return false;
    *out = str_of(rest->ptr + 4, len);
    *rest = str_sub(*rest, 4 + (size_t)len, SIZE_MAX);
    return true;
}

bool op_next(struct str *rest, struct op_view *out, bool *bad)
{
    *bad = false;
    if (rest->len == 0)
        return false;
    *bad = true;
    uint8_t op = (uint8_t)rest->ptr[0];
    if (op < OP_PUT || op > OP_NO_STORE)
        return false;
    *out = (struct op_view){.op = op};
    *rest = str_sub(*rest, 1, SIZE_MAX);
    if (!take_slice(rest, &out->a) || (op_fields[op].b && !take_slice(rest, &out->b)))
        return false;
    if (op_fields[op].number) {
        if (rest->len < 8)
            return false;
        out->number = (int64_t)load_be64(rest->ptr);
        *rest = str_sub(*rest, 8, SIZE_MAX);
    }
    *bad = false;
    return true;
}

struct state_batch *state_batch_new(void)
{
    return mem_new(struct state_batch);
}

void state_batch_free(struct state_batch *batch)
{
    if (batch == NULL)
        return;
    buf_fini(&batch->ops);
    free(batch);
}

void state_batch_clear(struct state_batch *batch)
{
    if (batch->ops.cap > 4u << 20)
        buf_fini(&batch->ops);
    else
        buf_clear(&batch->ops);
}

bool state_batch_is_empty(const struct state_batch *batch)
{
    return batch->ops.len == 0;
}

void state_batch_number(struct state_batch *batch, struct str name, int64_t value)
{
    op_append(&batch->ops, OP_NUMBER, name, STR_NULL, value);
}
