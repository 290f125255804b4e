/* cast.c - CAST: the matrix of what may be cast to what, and one function a pair (reference: ksql page 2.6).
 *
 *   casts[from][to] = function, NULL where "Cast of X to Y is not supported"
 *
 * ARRAY, MAP and STRUCT are cast element by element and stand outside the table. A failing cast of one
 * element fails the whole. Integers wrap, as Java narrows them; doubles saturate, as Java cuts them.
 */
#include "type/type_int.h"

#include <math.h>

#include "type/decimal.h"
#include "type/time_format.h"

struct cast {
    struct value v;
    const struct sql_type *from, *to;
    struct value *out;
    struct arena *arena;
    struct err *err;
};

typedef bool (*cast_fn)(const struct cast *cast);

static struct str trimmed(const struct cast *cast)
{
    return str_trim(value_slice(cast->v));
}

static bool bad_number(const struct cast *cast)
{
    return err_set(cast->err, ERR_CONVERSION, "For input string: \"%.*s\"", STR_ARG(value_slice(cast->v)));
}

static bool to_string(const struct cast *cast)
{
    struct buf text = {0};
    value_print(cast->v, cast->from, &text);
    struct str kept = str_dup(buf_str(&text), cast->arena);
    buf_fini(&text);
    *cast->out = value_str(kept);
    return true;
}

/* INTEGER and BIGINT: narrowing wraps. */
static struct value integer_of(enum sql_kind kind, int64_t n)
{
    return kind == SQL_INTEGER ? value_int((int32_t)n) : value_bigint(n);
}

static bool integer_to_integer(const struct cast *cast)
{
    *cast->out = integer_of(cast->to->kind, cast->v.l);
    return true;
}

/* NaN gives 0, values beyond the range its nearest end. */
static int64_t saturate(double d, int64_t least, int64_t most)
{
    if (isnan(d))
        return 0;
    return d <= (double)least ? least : d >= (double)most ? most : (int64_t)d;
}

static bool double_to_integer(const struct cast *cast)
{
    bool narrow = cast->to->kind == SQL_INTEGER;
    int64_t n =
        narrow ? saturate(cast->v.d, INT32_MIN, INT32_MAX) : saturate(cast->v.d, INT64_MIN, INT64_MAX);
    *cast->out = integer_of(cast->to->kind, n);
    return true;
}

static bool decimal_to_integer(const struct cast *cast)
{
    *cast->out = integer_of(cast->to->kind, decimal_to_i64(cast->v.dec));
    return true;
}

static bool integer_to_double(const struct cast *cast)
{
    *cast->out = value_double((double)cast->v.l);
    return true;
}

static bool decimal_to_double_value(const struct cast *cast)
{
    *cast->out = value_double(decimal_to_double(cast->v.dec));
    return true;
}

static bool to_decimal(const struct cast *cast, const struct decimal *dec)
{
    const struct decimal *fitted =
        decimal_cast(dec, cast->to->precision, cast->to->scale, cast->arena, cast->err);
    if (fitted != NULL)
        *cast->out = value_decimal(fitted);
    return fitted != NULL;
}

static bool integer_to_decimal(const struct cast *cast)
{
    return to_decimal(cast, decimal_of_i64(cast->v.l, 0, cast->arena));
}

static bool decimal_to_decimal(const struct cast *cast)
{
    return to_decimal(cast, cast->v.dec);
}

static bool double_to_decimal(const struct cast *cast)
{
    const struct decimal *dec = decimal_of_double(cast->v.d, cast->arena);
    if (dec == NULL)
        return err_set(cast->err, ERR_CONVERSION, "Infinite or NaN");
    return to_decimal(cast, dec);
}

static bool string_to_decimal(const struct cast *cast)
{
    const struct decimal *dec = decimal_parse(trimmed(cast), cast->arena);
    return dec != NULL ? to_decimal(cast, dec) : bad_number(cast);
}

static bool string_to_integer(const struct cast *cast)
{
    int64_t n;
    bool narrow = cast->to->kind == SQL_INTEGER;
    if (!str_to_i64(trimmed(cast), &n) || (narrow && n != (int32_t)n))
        return bad_number(cast);
    *cast->out = integer_of(cast->to->kind, n);
    return true;
}

/* "NaN", "Infinity" and a type letter at the end are numbers to Java. */
static bool parse_java_double(struct str text, double *out)
{
    struct str bare = text;
    bool negative = bare.len != 0 && bare.ptr[0] == '-';
    if (bare.len != 0 && (bare.ptr[0] == '-' || bare.ptr[0] == '+'))
        bare = str_sub(bare, 1, bare.len);
    if (str_eq_cstr(bare, "Infinity") || str_eq_cstr(bare, "NaN")) {
        *out = bare.ptr[0] == 'N' ? (double)NAN : negative ? -INFINITY : INFINITY;
        return true;
    }
    if (text.len > 1 && strchr("dDfF", text.ptr[text.len - 1]) != NULL)
        text.len--;
    return str_to_double(text, out);
}

static bool string_to_double(const struct cast *cast)
{
    double d;
    if (!parse_java_double(trimmed(cast), &d))
        return bad_number(cast);
    *cast->out = value_double(d);
    return true;
}

/* A leading part of "true" or "yes", in any case; everything else is false. */
static bool string_to_boolean(const struct cast *cast)
{
    struct str text = trimmed(cast);
    *cast->out = value_bool(text.len != 0 && (str_starts_with_nocase(STR("true"), text) ||
                                              str_starts_with_nocase(STR("yes"), text)));
    return true;
}

static bool string_to_bytes(const struct cast *cast)
{
    struct buf bytes = {0};
    bool ok = buf_append_base64_decoded(&bytes, value_slice(cast->v));
    if (ok)
        *cast->out = value_bytes(str_dup(buf_str(&bytes), cast->arena));
    buf_fini(&bytes);
    return ok || err_set(cast->err, ERR_CONVERSION, "Failed to decode base64 text '%.*s'",
                         STR_ARG(value_slice(cast->v)));
}

static bool string_to_temporal(const struct cast *cast)
{
    static bool (*const parsers[])(struct str, int64_t *, struct err *) = {
        [SQL_DATE] = time_parse_date, [SQL_TIME] = time_parse_time, [SQL_TIMESTAMP] = time_parse_timestamp};
    int64_t l;
    if (!parsers[cast->to->kind](trimmed(cast), &l, cast->err))
        return false;
    *cast->out = value_temporal(cast->to->kind, l);
    return true;
}

static bool date_to_timestamp(const struct cast *cast)
{
    int64_t ms;
    if (__builtin_mul_overflow(cast->v.l, (int64_t)TIME_DAY_MS, &ms))
        return err_set(cast->err, ERR_CONVERSION, "date of %" PRId64 " days is out of the range of TIMESTAMP",
                       cast->v.l);
    *cast->out = value_temporal(SQL_TIMESTAMP, ms);
    return true;
}

static bool timestamp_to_date(const struct cast *cast)
{
    *cast->out = value_temporal(SQL_DATE, time_floor_div(cast->v.l, TIME_DAY_MS));
    return true;
}

static bool timestamp_to_time(const struct cast *cast)
{
    int64_t days = time_floor_div(cast->v.l, TIME_DAY_MS);
    *cast->out = value_temporal(SQL_TIME, cast->v.l - days * TIME_DAY_MS);
    return true;
}

static bool same(const struct cast *cast)
{
    *cast->out = cast->v;
    return true;
}

static const cast_fn casts[SQL_KIND_COUNT][SQL_KIND_COUNT] = {
    [SQL_BOOLEAN] = {[SQL_BOOLEAN] = same, [SQL_STRING] = to_string},
    [SQL_INTEGER] = {[SQL_INTEGER] = same,
                     [SQL_BIGINT] = integer_to_integer,
                     [SQL_DECIMAL] = integer_to_decimal,
                     [SQL_DOUBLE] = integer_to_double,
                     [SQL_STRING] = to_string},
    [SQL_BIGINT] = {[SQL_INTEGER] = integer_to_integer,
                    [SQL_BIGINT] = same,
                    [SQL_DECIMAL] = integer_to_decimal,
                    [SQL_DOUBLE] = integer_to_double,
                    [SQL_STRING] = to_string},
    [SQL_DECIMAL] = {[SQL_INTEGER] = decimal_to_integer,
                     [SQL_BIGINT] = decimal_to_integer,
                     [SQL_DECIMAL] = decimal_to_decimal,
                     [SQL_DOUBLE] = decimal_to_double_value,
                     [SQL_STRING] = to_string},
    [SQL_DOUBLE] = {[SQL_INTEGER] = double_to_integer,
                    [SQL_BIGINT] = double_to_integer,
                    [SQL_DECIMAL] = double_to_decimal,
                    [SQL_DOUBLE] = same,
                    [SQL_STRING] = to_string},
    [SQL_STRING] = {[SQL_BOOLEAN] = string_to_boolean,
                    [SQL_INTEGER] = string_to_integer,
                    [SQL_BIGINT] = string_to_integer,
                    [SQL_DECIMAL] = string_to_decimal,
                    [SQL_DOUBLE] = string_to_double,
                    [SQL_STRING] = same,
                    [SQL_BYTES] = string_to_bytes,
                    [SQL_DATE] = string_to_temporal,
                    [SQL_TIME] = string_to_temporal,
                    [SQL_TIMESTAMP] = string_to_temporal},
    [SQL_BYTES] = {[SQL_BYTES] = same},
    [SQL_DATE] = {[SQL_STRING] = to_string, [SQL_DATE] = same, [SQL_TIMESTAMP] = date_to_timestamp},
    [SQL_TIME] = {[SQL_STRING] = to_string, [SQL_TIME] = same},
    [SQL_TIMESTAMP] = {[SQL_STRING] = to_string,
                       [SQL_DATE] = timestamp_to_date,
                       [SQL_TIME] = timestamp_to_time,
                       [SQL_TIMESTAMP] = same},
    [SQL_ARRAY] = {[SQL_STRING] = to_string},
    [SQL_MAP] = {[SQL_STRING] = to_string},
    [SQL_STRUCT] = {[SQL_STRING] = to_string},
};

static int field_find(const struct sql_type *type, struct str name)
{
    for (uint32_t i = 0; i < type->field_count; i++)
        if (str_eq(type->fields[i].name, name))
            return (int)i;
    return -1;
}

static bool structs_can_cast(const struct sql_type *from, const struct sql_type *to)
{
    for (uint32_t i = 0; i < to->field_count; i++) {
        int at = field_find(from, to->fields[i].name);
        if (at >= 0 && !type_can_cast(from->fields[at].type, to->fields[i].type))
            return false;
    }
    return true;
}

bool type_can_cast(const struct sql_type *from, const struct sql_type *to)
{
    if (from->kind == SQL_NULL)
        return true;
    if (from->kind == to->kind && to->kind == SQL_ARRAY)
        return type_can_cast(from->elem, to->elem);
    if (from->kind == to->kind && to->kind == SQL_MAP)
        return type_can_cast(from->key, to->key) && type_can_cast(from->elem, to->elem);
    if (from->kind == to->kind && to->kind == SQL_STRUCT)
        return structs_can_cast(from, to);
    return casts[from->kind][to->kind] != NULL;
}

/* Fields are found by name; those that `from` lacks are NULL. */
static bool cast_struct(const struct cast *cast)
{
    uint32_t count = cast->to->field_count;
    struct value *fields = arena_alloc(cast->arena, count * sizeof *fields);
    for (uint32_t i = 0; i < count; i++) {
        int at = field_find(cast->from, cast->to->fields[i].name);
        fields[i] = VALUE_NULL;
        if (at >= 0 && !value_cast(cast->v.elems[at], cast->from->fields[at].type, cast->to->fields[i].type,
                                   &fields[i], cast->arena, cast->err))
            return false;
    }
    *cast->out = value_nested(SQL_STRUCT, fields, count);
    return true;
}

static bool cast_elems(const struct cast *cast)
{
    uint32_t count = value_elem_count(cast->v);
    struct value *elems = arena_alloc(cast->arena, count * sizeof *elems);
    for (uint32_t i = 0; i < count; i++) {
        bool key = cast->v.kind == SQL_MAP && i % 2 == 0;
        if (!value_cast(cast->v.elems[i], key ? cast->from->key : cast->from->elem,
                        key ? cast->to->key : cast->to->elem, &elems[i], cast->arena, cast->err))
            return false;
    }
    *cast->out = value_nested(cast->v.kind, elems, cast->v.len);
    return true;
}

bool value_cast(struct value v, const struct sql_type *from, const struct sql_type *to, struct value *out,
                struct arena *arena, struct err *err)
{
    if (value_is_null(v)) {
        *out = VALUE_NULL;
        return true;
    }
    ASSERT_CMP(v.kind, ==, from->kind);
    struct cast cast = {v, from, to, out, arena, err};
    if (from->kind == to->kind && from->kind >= SQL_ARRAY)
        return to->kind == SQL_STRUCT ? cast_struct(&cast) : cast_elems(&cast);
    cast_fn fn = casts[from->kind][to->kind];
    if (fn != NULL)
        return fn(&cast);
    struct buf text = {0};
    type_print(from, &text);
    buf_append_cstr(&text, " to ");
    type_print(to, &text);
    err_set(err, ERR_CONVERSION, "Cast of %.*s is not supported", STR_ARG(buf_str(&text)));
    buf_fini(&text);
    return false;
}
