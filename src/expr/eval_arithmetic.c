/* eval_arithmetic.c - + - * / % and negation, one loop a type.
 *
 * Integers wrap, as Java's do; division by zero fails the row; MIN / -1 wraps. DOUBLE follows IEEE, % is
 * fmod. Decimals are computed exactly and rounded to the scale of the result's type.
 */
#include <math.h>

#include "expr/expr_int.h"

/* expr sees x and y, the values of the operands, and gives a struct value; rows with NULL take the slow
 * way. */
#define BINARY_LOOP(expr)                                                    \
    do {                                                                     \
        const struct lane a = ev->lanes[in->a], b = ev->lanes[in->b];        \
        struct value *dst = eval_register(ev, in->dst);                      \
        EACH_ROW(ev, row, {                                                  \
            struct value x = lane_at(a, row), y = lane_at(b, row);           \
            if (__builtin_expect(value_is_there(x) && value_is_there(y), 1)) \
                dst[row] = (expr);                                           \
            else                                                             \
                dst[row] = eval_null_operand(ev, row, in, x, y);             \
        });                                                                  \
    } while (0)

/* Negation of NULL fails too: it is arithmetic. */
#define UNARY_LOOP(expr)                                                                  \
    do {                                                                                  \
        const struct lane a = ev->lanes[in->a];                                           \
        struct value *dst = eval_register(ev, in->dst);                                   \
        EACH_ROW(ev, row, {                                                               \
            struct value x = lane_at(a, row);                                             \
            dst[row] = value_is_there(x) ? (expr) : eval_null_operand(ev, row, in, x, x); \
        });                                                                               \
    } while (0)

static struct value wrap_int(uint64_t sum)
{
    return value_int((int32_t)(uint32_t)sum);
}

static struct value wrap_bigint(uint64_t sum)
{
    return value_bigint((int64_t)sum);
}

static struct value divide(struct eval *ev, uint32_t row, const struct instr *in, struct value x,
                           struct value y, bool is_int, bool remainder)
{
    if (y.l == 0)
        return eval_failf(ev, row, in, "/ by zero");
    int64_t result = y.l == -1   ? (remainder ? 0 : (int64_t)(0 - (uint64_t)x.l))
                     : remainder ? x.l % y.l
                                 : x.l / y.l;
    return is_int ? wrap_int((uint64_t)result) : value_bigint(result);
}

static struct value decimal_op(struct eval *ev, uint32_t row, const struct instr *in, struct value x,
                               struct value y)
{
    const struct sql_type *type = in->data;
    const struct decimal *dec;
    struct err err = {0};
    switch (in->op) {
    case INSTR_ADD_DECIMAL:
        dec = decimal_add(x.dec, y.dec, type->scale, ev->arena);
        break;
    case INSTR_SUB_DECIMAL:
        dec = decimal_sub(x.dec, y.dec, type->scale, ev->arena);
        break;
    case INSTR_MUL_DECIMAL:
        dec = decimal_mul(x.dec, y.dec, type->scale, ev->arena);
        break;
    case INSTR_DIV_DECIMAL:
        dec = decimal_div(x.dec, y.dec, type->scale, ev->arena);
        break;
    default:
        dec = decimal_mod(x.dec, y.dec, type->scale, ev->arena);
        break;
    }
    if (dec == NULL)
        return eval_failf(ev, row, in, "/ by zero");
    if (!decimal_fits(dec, type->precision, type->scale)) {
        decimal_cast(dec, type->precision, type->scale, ev->arena, &err);
        return eval_fail(ev, row, &err);
    }
    return value_decimal(dec);
}

void eval_arithmetic(struct eval *ev, const struct instr *in)
{
    switch (in->op) {
    case INSTR_ADD_INT:
        BINARY_LOOP(wrap_int((uint64_t)x.l + (uint64_t)y.l));
        break;
    case INSTR_SUB_INT:
        BINARY_LOOP(wrap_int((uint64_t)x.l - (uint64_t)y.l));
        break;
    case INSTR_MUL_INT:
        BINARY_LOOP(wrap_int((uint64_t)x.l * (uint64_t)y.l));
        break;
    case INSTR_DIV_INT:
        BINARY_LOOP(divide(ev, row, in, x, y, true, false));
        break;
    case INSTR_MOD_INT:
        BINARY_LOOP(divide(ev, row, in, x, y, true, true));
        break;
    case INSTR_ADD_BIGINT:
        BINARY_LOOP(wrap_bigint((uint64_t)x.l + (uint64_t)y.l));
        break;
    case INSTR_SUB_BIGINT:
        BINARY_LOOP(wrap_bigint((uint64_t)x.l - (uint64_t)y.l));
        break;
    case INSTR_MUL_BIGINT:
        BINARY_LOOP(wrap_bigint((uint64_t)x.l * (uint64_t)y.l));
        break;
    case INSTR_DIV_BIGINT:
        BINARY_LOOP(divide(ev, row, in, x, y, false, false));
        break;
    case INSTR_MOD_BIGINT:
        BINARY_LOOP(divide(ev, row, in, x, y, false, true));
        break;
    case INSTR_ADD_DOUBLE:
        BINARY_LOOP(value_double(x.d + y.d));
        break;
    case INSTR_SUB_DOUBLE:
        BINARY_LOOP(value_double(x.d - y.d));
        break;
    case INSTR_MUL_DOUBLE:
        BINARY_LOOP(value_double(x.d * y.d));
        break;
    case INSTR_DIV_DOUBLE:
        BINARY_LOOP(value_double(x.d / y.d));
        break;
    case INSTR_MOD_DOUBLE:
        BINARY_LOOP(value_double(fmod(x.d, y.d)));
        break;
    case INSTR_NEG_INT:
        UNARY_LOOP(wrap_int(0 - (uint64_t)x.l));
        break;
    case INSTR_NEG_BIGINT:
        UNARY_LOOP(wrap_bigint(0 - (uint64_t)x.l));
        break;
    case INSTR_NEG_DOUBLE:
        UNARY_LOOP(value_double(-x.d));
        break;
    case INSTR_NEG_DECIMAL:
        UNARY_LOOP(value_decimal(decimal_neg(x.dec, ev->arena)));
        break;
    default:
        BINARY_LOOP(decimal_op(ev, row, in, x, y));
        break;
    }
}
