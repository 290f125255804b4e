/* eval_compare.c - comparisons are two-valued: a NULL on either side gives false, whatever the operator.
 *
 * Only IS [NOT] DISTINCT FROM takes NULL for a value. IN is an OR of equalities with constants.
 */
#include "expr/expr_int.h"

#define COMPARE_LOOP(test)                                                                              \
    do {                                                                                                \
        const struct lane a = ev->lanes[in->a], b = ev->lanes[in->b];                                   \
        struct value *dst = eval_register(ev, in->dst);                                                 \
        EACH_ROW(ev, row, {                                                                             \
            struct value x = lane_at(a, row), y = lane_at(b, row);                                      \
            if (__builtin_expect(value_is_there(x) && value_is_there(y), 1))                            \
                dst[row] = value_bool(test);                                                            \
            else                                                                                        \
                dst[row] = value_is_failed(x) || value_is_failed(y) ? VALUE_FAILED : value_bool(false); \
        });                                                                                             \
    } while (0)

#define DISTINCT_LOOP(test)                                                                        \
    do {                                                                                           \
        const struct lane a = ev->lanes[in->a], b = ev->lanes[in->b];                              \
        struct value *dst = eval_register(ev, in->dst);                                            \
        EACH_ROW(ev, row, {                                                                        \
            struct value x = lane_at(a, row), y = lane_at(b, row);                                 \
            dst[row] = value_is_failed(x) || value_is_failed(y) ? VALUE_FAILED : value_bool(test); \
        });                                                                                        \
    } while (0)

#define IN_LOOP(test)                                                                   \
    do {                                                                                \
        const struct lane a = ev->lanes[in->a];                                         \
        struct value *dst = eval_register(ev, in->dst);                                 \
        EACH_ROW(ev, row, {                                                             \
            struct value x = lane_at(a, row);                                           \
            bool found = false;                                                         \
            for (uint32_t i = 0; i < list->count && !found && value_is_there(x); i++) { \
                struct value y = *ev->lanes[list->operands[i]].at;                      \
                found = (test);                                                         \
            }                                                                           \
            dst[row] = value_is_failed(x) ? VALUE_FAILED : value_bool(found);           \
        });                                                                             \
    } while (0)

static bool same_bytes(struct value x, struct value y)
{
    return x.len == y.len && memcmp(x.ptr ? x.ptr : "", y.ptr ? y.ptr : "", x.len) == 0;
}

/* Equal as values of one type, or as the same number: INTEGER and BIGINT are compared without
 * conversion. */
static bool same_value(struct value x, struct value y)
{
    bool whole =
        (x.kind == SQL_INTEGER || x.kind == SQL_BIGINT) && (y.kind == SQL_INTEGER || y.kind == SQL_BIGINT);
    if (whole)
        return x.l == y.l;
    return x.kind == y.kind ? value_eq(x, y) : false;
}

void eval_compare(struct eval *ev, const struct instr *in)
{
    const struct instr_list *list = in->data;
    switch (in->op) {
    case INSTR_EQ_I64:
        COMPARE_LOOP(x.l == y.l);
        break;
    case INSTR_NE_I64:
        COMPARE_LOOP(x.l != y.l);
        break;
    case INSTR_LT_I64:
        COMPARE_LOOP(x.l < y.l);
        break;
    case INSTR_LE_I64:
        COMPARE_LOOP(x.l <= y.l);
        break;
    case INSTR_GT_I64:
        COMPARE_LOOP(x.l > y.l);
        break;
    case INSTR_GE_I64:
        COMPARE_LOOP(x.l >= y.l);
        break;
    case INSTR_EQ_DOUBLE:
        COMPARE_LOOP(x.d == y.d);
        break;
    case INSTR_NE_DOUBLE:
        COMPARE_LOOP(x.d != y.d);
        break;
    case INSTR_LT_DOUBLE:
        COMPARE_LOOP(x.d < y.d);
        break;
    case INSTR_LE_DOUBLE:
        COMPARE_LOOP(x.d <= y.d);
        break;
    case INSTR_GT_DOUBLE:
        COMPARE_LOOP(x.d > y.d);
        break;
    case INSTR_GE_DOUBLE:
        COMPARE_LOOP(x.d >= y.d);
        break;
    case INSTR_EQ_BYTES:
        COMPARE_LOOP(same_bytes(x, y));
        break;
    case INSTR_NE_BYTES:
        COMPARE_LOOP(!same_bytes(x, y));
        break;
    case INSTR_EQ_VALUE:
        COMPARE_LOOP(same_value(x, y));
        break;
    case INSTR_NE_VALUE:
        COMPARE_LOOP(!same_value(x, y));
        break;
    case INSTR_LT_VALUE:
        COMPARE_LOOP(value_cmp(x, y) < 0);
        break;
    case INSTR_LE_VALUE:
        COMPARE_LOOP(value_cmp(x, y) <= 0);
        break;
    case INSTR_GT_VALUE:
        COMPARE_LOOP(value_cmp(x, y) > 0);
        break;
    case INSTR_GE_VALUE:
        COMPARE_LOOP(value_cmp(x, y) >= 0);
        break;
    case INSTR_DISTINCT:
        DISTINCT_LOOP(!same_value(x, y));
        break;
    case INSTR_NOT_DISTINCT:
        DISTINCT_LOOP(same_value(x, y));
        break;
    case INSTR_IN_I64:
        IN_LOOP(x.l == y.l);
        break;
    case INSTR_IN_BYTES:
        IN_LOOP(same_bytes(x, y));
        break;
    case INSTR_IN_VALUE:
        IN_LOOP(value_eq(x, y));
        break;
    default:
        UNREACHABLE();
    }
}
