/* Bytes as the entries of a state journal, and as the operations of a batch: they may be refused, never misread. */
#include "state/state_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_ops(struct str ops)
{
    struct op_view op;
    struct buf again = {0};
    bool bad;
    struct str all = ops;
    while (op_next(&ops, &op, &bad))
        op_append(&again, op.op, op.a, op.b, op.number);
    /* What was read is written back byte by byte. */
    ASSERT(again.len <= all.len && (again.len == 0 || memcmp(again.ptr, all.ptr, again.len) == 0));
    ASSERT(bad || again.len == all.len);
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = str_of((const char *)data, size), rest = bytes;
    struct journal_entry entry;
    while (journal_next(&rest, &entry))
        read_ops(entry.ops);
    read_ops(bytes);
    return 0;
}
