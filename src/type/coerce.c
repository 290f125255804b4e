/* coerce.c - which types widen to which, and the types of arithmetic (reference: ksql page 2.6). */
#include "type/type_int.h"

/* Integers as decimals: INTEGER is DECIMAL(10, 0), BIGINT is DECIMAL(19, 0). */
static struct sql_type as_decimal(const struct sql_type *type)
{
    if (type->kind == SQL_DECIMAL)
        return *type;
    return (struct sql_type){.kind = SQL_DECIMAL, .precision = type->kind == SQL_INTEGER ? 10 : 19};
}

static bool structs_can_coerce(const struct sql_type *from, const struct sql_type *to)
{
    for (uint32_t i = 0; i < from->field_count; i++)
        for (uint32_t j = 0; j < to->field_count; j++)
            if (str_eq(from->fields[i].name, to->fields[j].name) &&
                !type_can_coerce(from->fields[i].type, to->fields[j].type))
                return false;
    return true;
}

bool type_can_coerce(const struct sql_type *from, const struct sql_type *to)
{
    if (from->kind == SQL_NULL || type_eq(from, to))
        return true;
    if (to->kind == SQL_DECIMAL && type_is_number(from) && from->kind != SQL_DOUBLE) {
        struct sql_type narrow = as_decimal(from);
        return narrow.scale <= to->scale && narrow.precision - narrow.scale <= to->precision - to->scale;
    }
    if (type_is_number(from) && type_is_number(to))
        return to->kind == SQL_DOUBLE || (from->kind == SQL_INTEGER && to->kind == SQL_BIGINT);
    if (from->kind != to->kind)
        return false;
    switch (to->kind) {
    case SQL_ARRAY:
        return type_can_coerce(from->elem, to->elem);
    case SQL_MAP:
        return type_can_coerce(from->key, to->key) && type_can_coerce(from->elem, to->elem);
    case SQL_STRUCT:
        return structs_can_coerce(from, to);
    default:
        return false;
    }
}

/* Both sides with neither a whole digit nor a decimal lost. */
static const struct sql_type *common_decimal(const struct sql_type *a, const struct sql_type *b,
                                             struct arena *arena)
{
    struct sql_type x = as_decimal(a), y = as_decimal(b);
    uint32_t scale = MAX(x.scale, y.scale);
    uint32_t whole = MAX(x.precision - x.scale, y.precision - y.scale);
    return type_decimal(whole + scale, scale, arena);
}

const struct sql_type *type_common_number(const struct sql_type *a, const struct sql_type *b,
                                          struct arena *arena)
{
    if (!type_is_number(a) || !type_is_number(b))
        return NULL;
    if (a->kind == SQL_DOUBLE || b->kind == SQL_DOUBLE)
        return &type_double;
    if (a->kind == SQL_DECIMAL || b->kind == SQL_DECIMAL)
        return common_decimal(a, b, arena);
    return a->kind == SQL_BIGINT || b->kind == SQL_BIGINT ? &type_bigint : &type_integer;
}

static const struct sql_type *decimal_arithmetic(char op, const struct sql_type *a, const struct sql_type *b,
                                                 struct arena *arena)
{
    uint32_t p1 = a->precision, s1 = a->scale, p2 = b->precision, s2 = b->scale;
    uint32_t scale = MAX(s1, s2);
    switch (op) {
    case '+':
    case '-':
        return type_decimal(scale + MAX(p1 - s1, p2 - s2) + 1, scale, arena);
    case '*':
        return type_decimal(p1 + p2 + 1, s1 + s2, arena);
    case '/':
        scale = MAX(6, s1 + p2 + 1);
        return type_decimal(p1 - s1 + s2 + scale, scale, arena);
    case '%':
        return type_decimal(MIN(p1 - s1, p2 - s2) + scale, scale, arena);
    default:
        return NULL;
    }
}

const struct sql_type *type_of_arithmetic(char op, const struct sql_type *a, const struct sql_type *b,
                                          struct arena *arena)
{
    const struct sql_type *common = type_common_number(a, b, arena);
    if (common == NULL || common->kind != SQL_DECIMAL)
        return common;
    struct sql_type x = as_decimal(a), y = as_decimal(b);
    return decimal_arithmetic(op, &x, &y, arena);
}
