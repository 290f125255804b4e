/* eval_scalar.c - everything that is neither arithmetic nor comparison: text, logic, casts, access,
 * constructors, calls.
 */
#include "expr/expr_int.h"

static void eval_move(struct eval *ev, const struct instr *in)
{
    const struct lane a = ev->lanes[in->a];
    struct value *dst = eval_register(ev, in->dst);
    EACH_ROW(ev, row, { dst[row] = lane_at(a, row); });
}

static struct value concat(struct value x, struct value y, struct arena *arena)
{
    char *bytes = arena_alloc_bytes(arena, (size_t)x.len + y.len);
    memcpy(bytes, x.ptr ? x.ptr : "", x.len);
    memcpy(bytes + x.len, y.ptr ? y.ptr : "", y.len);
    return value_str(str_of(bytes, (size_t)x.len + y.len));
}

static void eval_concat(struct eval *ev, const struct instr *in)
{
    const struct lane a = ev->lanes[in->a], b = ev->lanes[in->b];
    struct value *dst = eval_register(ev, in->dst);
    EACH_ROW(ev, row, {
        struct value x = lane_at(a, row), y = lane_at(b, row);
        if (!value_is_there(x) || !value_is_there(y))
            dst[row] = eval_null_operand(ev, row, in, x, y);
        else if ((uint64_t)x.len + y.len > INT32_MAX)
            dst[row] = eval_failf(ev, row, in, "The text would be longer than 2 GiB");
        else
            dst[row] = concat(x, y, ev->arena);
    });
}

static void eval_like(struct eval *ev, const struct instr *in)
{
    const struct lane a = ev->lanes[in->a], b = ev->lanes[in->b];
    const struct instr_like *like = in->data;
    struct value *dst = eval_register(ev, in->dst);
    EACH_ROW(ev, row, {
        struct value x = lane_at(a, row), y = lane_at(b, row);
        if (!value_is_there(x) || !value_is_there(y)) {
            dst[row] = eval_null_operand(ev, row, in, x, y);
        } else {
            const struct like_pattern *pattern = like->constant;
            if (pattern == NULL)
                pattern = like_compile(value_slice(y), like->escape, ev->arena);
            dst[row] = value_bool(like_match(pattern, value_slice(x)));
        }
    });
}

static void eval_not(struct eval *ev, const struct instr *in)
{
    const struct lane a = ev->lanes[in->a];
    struct value *dst = eval_register(ev, in->dst);
    EACH_ROW(ev, row, {
        struct value x = lane_at(a, row);
        dst[row] = value_is_there(x) ? value_bool(!x.b) : eval_null_operand(ev, row, in, x, x);
    });
}

static void eval_check_boolean(struct eval *ev, const struct instr *in)
{
    struct value *dst = eval_register(ev, in->dst);
    EACH_ROW(ev, row, {
        if (__builtin_expect(dst[row].kind != SQL_BOOLEAN, 0))
            dst[row] = eval_null_operand(ev, row, in, dst[row], dst[row]);
    });
}

static void eval_is_null(struct eval *ev, const struct instr *in)
{
    const struct lane a = ev->lanes[in->a];
    bool negated = in->op == INSTR_IS_NOT_NULL;
    struct value *dst = eval_register(ev, in->dst);
    EACH_ROW(ev, row, {
        struct value x = lane_at(a, row);
        dst[row] = value_is_failed(x) ? x : value_bool(value_is_null(x) != negated);
    });
}

static void eval_to_number(struct eval *ev, const struct instr *in)
{
    const struct lane a = ev->lanes[in->a];
    bool to_double = in->op == INSTR_TO_DOUBLE;
    struct value *dst = eval_register(ev, in->dst);
    EACH_ROW(ev, row, {
        struct value x = lane_at(a, row);
        dst[row] = !value_is_there(x) ? x : to_double ? value_double((double)x.l) : value_bigint(x.l);
    });
}

static void eval_cast(struct eval *ev, const struct instr *in)
{
    const struct lane a = ev->lanes[in->a];
    const struct instr_cast *cast = in->data;
    struct value *dst = eval_register(ev, in->dst);
    EACH_ROW(ev, row, {
        struct value x = lane_at(a, row);
        struct err err;
        if (!value_is_there(x))
            dst[row] = x;
        else if (!value_cast(x, cast->from, cast->to, &dst[row], ev->arena, &err))
            dst[row] = eval_fail(ev, row, &err);
    });
}

static void eval_field(struct eval *ev, const struct instr *in)
{
    const struct lane a = ev->lanes[in->a];
    uint32_t index = *(const uint32_t *)in->data;
    struct value *dst = eval_register(ev, in->dst);
    EACH_ROW(ev, row, {
        struct value x = lane_at(a, row);
        dst[row] = value_is_there(x) ? x.elems[index] : x;
    });
}

/* Positions count from 1, negative ones from the end; outside, and at 0, there is NULL. */
static struct value array_element(struct value array, int64_t position)
{
    int64_t at = position > 0 ? position - 1 : position + array.len;
    return position != 0 && at >= 0 && at < array.len ? array.elems[at] : VALUE_NULL;
}

static struct value map_value(struct value map, struct value key)
{
    for (uint32_t i = map.len; i-- > 0;)
        if (value_eq(map.elems[2 * i], key))
            return map.elems[2 * i + 1];
    return VALUE_NULL;
}

static void eval_subscript(struct eval *ev, const struct instr *in)
{
    const struct lane a = ev->lanes[in->a], b = ev->lanes[in->b];
    bool map = in->op == INSTR_SUBSCRIPT_MAP;
    struct value *dst = eval_register(ev, in->dst);
    EACH_ROW(ev, row, {
        struct value x = lane_at(a, row), y = lane_at(b, row);
        if (value_is_failed(x) || value_is_failed(y))
            dst[row] = VALUE_FAILED;
        else if (value_is_null(x) || (value_is_null(y) && !map))
            dst[row] = VALUE_NULL;
        else
            dst[row] = map ? map_value(x, y) : array_element(x, y.l);
    });
}

void eval_scalar(struct eval *ev, const struct instr *in)
{
    switch (in->op) {
    case INSTR_MOVE:
        eval_move(ev, in);
        break;
    case INSTR_CONCAT:
        eval_concat(ev, in);
        break;
    case INSTR_LIKE:
        eval_like(ev, in);
        break;
    case INSTR_NOT:
        eval_not(ev, in);
        break;
    case INSTR_CHECK_BOOLEAN:
        eval_check_boolean(ev, in);
        break;
    case INSTR_IS_NULL:
    case INSTR_IS_NOT_NULL:
        eval_is_null(ev, in);
        break;
    case INSTR_TO_BIGINT:
    case INSTR_TO_DOUBLE:
        eval_to_number(ev, in);
        break;
    case INSTR_CAST:
        eval_cast(ev, in);
        break;
    case INSTR_FIELD:
        eval_field(ev, in);
        break;
    case INSTR_SUBSCRIPT_ARRAY:
    case INSTR_SUBSCRIPT_MAP:
        eval_subscript(ev, in);
        break;
    default:
        UNREACHABLE();
    }
}

/* A failed element is NULL (it was reported); of equal keys of a map the last one counts. */
static uint32_t put_entry(struct value *entries, uint32_t count, struct value key, struct value value)
{
    for (uint32_t i = 0; i < count; i++)
        if (value_eq(entries[2 * i], key)) {
            entries[2 * i + 1] = value;
            return count;
        }
    entries[2 * count] = key;
    entries[2 * count + 1] = value;
    return count + 1;
}

static struct value element_at(struct eval *ev, uint32_t operand, uint32_t row)
{
    struct value v = lane_at(ev->lanes[operand], row);
    return value_is_failed(v) ? VALUE_NULL : v;
}

void eval_construct(struct eval *ev, const struct instr *in)
{
    const struct instr_list *list = in->data;
    struct value *dst = eval_register(ev, in->dst);
    EACH_ROW(ev, row, {
        struct value *elems = arena_array(ev->arena, struct value, list->count);
        if (in->op == INSTR_MAP) {
            uint32_t count = 0;
            for (uint32_t i = 0; i + 1 < list->count; i += 2)
                count = put_entry(elems, count, element_at(ev, list->operands[i], row),
                                  element_at(ev, list->operands[i + 1], row));
            dst[row] = value_nested(SQL_MAP, elems, count);
        } else {
            for (uint32_t i = 0; i < list->count; i++)
                elems[i] = element_at(ev, list->operands[i], row);
            dst[row] = value_nested(in->op == INSTR_ARRAY ? SQL_ARRAY : SQL_STRUCT, elems, list->count);
        }
    });
}
