/* value.c - copying, equality, order, hash and text of values.
 *
 * All walk a value by its own kind; the type is only needed for text (field names). Recursion is as deep as
 * the type.
 */
#include "type/type_int.h"

#include <math.h>

#include "type/decimal.h"
#include "type/time_format.h"

struct value value_dup(struct value v, struct arena *arena)
{
    switch (v.kind) {
    case SQL_DECIMAL:
        v.dec = decimal_dup(v.dec, arena);
        return v;
    case SQL_STRING:
    case SQL_BYTES: {
        char *bytes = arena_alloc_bytes(arena, v.len);
        if (v.len != 0)
            memcpy(bytes, v.ptr, v.len);
        v.ptr = bytes;
        return v;
    }
    case SQL_ARRAY:
    case SQL_MAP:
    case SQL_STRUCT: {
        uint32_t count = value_elem_count(v);
        struct value *elems = arena_alloc(arena, count * sizeof *elems);
        for (uint32_t i = 0; i < count; i++)
            elems[i] = value_dup(v.elems[i], arena);
        v.elems = elems;
        return v;
    }
    default:
        return v;
    }
}

/* Keys of a map are unique, so equal sizes and every entry found make equal maps. */
static bool maps_eq(struct value a, struct value b)
{
    for (uint32_t i = 0; i < a.len; i++) {
        uint32_t j = 0;
        while (j < b.len && !value_eq(a.elems[2 * i], b.elems[2 * j]))
            j++;
        if (j == b.len || !value_eq(a.elems[2 * i + 1], b.elems[2 * j + 1]))
            return false;
    }
    return true;
}

bool value_eq(struct value a, struct value b)
{
    if (a.kind != b.kind)
        return false;
    switch ((enum sql_kind)a.kind) {
    case SQL_NULL:
        return true;
    case SQL_BOOLEAN:
        return a.b == b.b;
    case SQL_DOUBLE:
        return a.d == b.d || (isnan(a.d) && isnan(b.d));
    case SQL_DECIMAL:
        return decimal_cmp(a.dec, b.dec) == 0;
    case SQL_STRING:
    case SQL_BYTES:
        return str_eq(value_slice(a), value_slice(b));
    case SQL_MAP:
        return a.len == b.len && maps_eq(a, b);
    case SQL_ARRAY:
    case SQL_STRUCT:
        if (a.len != b.len)
            return false;
        for (uint32_t i = 0; i < a.len; i++)
            if (!value_eq(a.elems[i], b.elems[i]))
                return false;
        return true;
    default:
        return a.l == b.l;
    }
}

/* Order of UTF-16 code units on UTF-8 bytes: as the bytes, except that characters beyond U+FFFF (first byte
 * F0 and up; surrogates in UTF-16) come before U+E000..U+FFFF (first byte EE, EF). */
static int text_cmp(struct str a, struct str b)
{
    size_t n = MIN(a.len, b.len), i = 0;
    while (i < n && a.ptr[i] == b.ptr[i])
        i++;
    if (i == n)
        return a.len < b.len ? -1 : a.len > b.len;
    uint8_t x = (uint8_t)a.ptr[i], y = (uint8_t)b.ptr[i];
    if (x >= 0xee && y >= 0xee && (x >= 0xf0) != (y >= 0xf0))
        return x >= 0xf0 ? -1 : 1;
    return x < y ? -1 : 1;
}

/* Java's Double.compare: -0.0 before 0.0, NaN last. */
static int double_cmp(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    if (a != b)
        return a < b ? -1 : 1;
    return (signbit(b) != 0) - (signbit(a) != 0);
}

static int elems_cmp(struct value a, struct value b)
{
    uint32_t n = MIN(value_elem_count(a), value_elem_count(b));
    for (uint32_t i = 0; i < n; i++) {
        struct value x = a.elems[i], y = b.elems[i];
        int order =
            value_is_null(x) || value_is_null(y) ? value_is_null(y) - value_is_null(x) : value_cmp(x, y);
        if (order != 0)
            return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

int value_cmp(struct value a, struct value b)
{
    ASSERT_CMP(a.kind, ==, b.kind);
    switch ((enum sql_kind)a.kind) {
    case SQL_BOOLEAN:
        return a.b - b.b;
    case SQL_DOUBLE:
        return double_cmp(a.d, b.d);
    case SQL_DECIMAL:
        return decimal_cmp(a.dec, b.dec);
    case SQL_STRING:
        return text_cmp(value_slice(a), value_slice(b));
    case SQL_BYTES:
        return str_cmp(value_slice(a), value_slice(b));
    case SQL_ARRAY:
    case SQL_MAP:
    case SQL_STRUCT:
        return elems_cmp(a, b);
    default:
        return a.l < b.l ? -1 : a.l > b.l;
    }
}

static uint64_t mix(uint64_t hash, uint64_t more)
{
    return (hash ^ more) * 0x9e3779b97f4a7c15u + (hash >> 29);
}

uint64_t value_hash(struct value v)
{
    uint64_t hash = v.kind;
    switch ((enum sql_kind)v.kind) {
    case SQL_NULL:
        return 0;
    case SQL_BOOLEAN:
        return mix(hash, v.b);
    case SQL_DOUBLE: {
        double d = v.d == 0 ? 0 : isnan(v.d) ? (double)NAN : v.d; /* equal values, equal hashes */
        return mix(hash, hash_bytes(&d, sizeof d));
    }
    case SQL_DECIMAL:
        return mix(hash, decimal_hash(v.dec));
    case SQL_STRING:
    case SQL_BYTES:
        return mix(hash, hash_str(value_slice(v)));
    case SQL_MAP: /* without regard to order */
        for (uint32_t i = 0; i < v.len; i++)
            hash += mix(value_hash(v.elems[2 * i]), value_hash(v.elems[2 * i + 1]));
        return hash;
    case SQL_ARRAY:
    case SQL_STRUCT:
        for (uint32_t i = 0; i < v.len; i++)
            hash = mix(hash, value_hash(v.elems[i]));
        return hash;
    default:
        return mix(hash, hash_bytes(&v.l, sizeof v.l));
    }
}

static void print_map(struct value v, const struct sql_type *type, struct buf *out)
{
    buf_append_char(out, '{');
    for (uint32_t i = 0; i < v.len; i++) {
        buf_append_cstr(out, i == 0 ? "" : ", ");
        value_print(v.elems[2 * i], type->key, out);
        buf_append_char(out, '=');
        value_print(v.elems[2 * i + 1], type->elem, out);
    }
    buf_append_char(out, '}');
}

/* Fields that are NULL are left out, as Connect's Struct prints itself. */
static void print_struct(struct value v, const struct sql_type *type, struct buf *out)
{
    ASSERT_CMP(v.len, ==, type->field_count);
    buf_append_cstr(out, "Struct{");
    bool first = true;
    for (uint32_t i = 0; i < v.len; i++) {
        if (value_is_null(v.elems[i]))
            continue;
        buf_append_cstr(out, first ? "" : ",");
        first = false;
        buf_append_str(out, type->fields[i].name);
        buf_append_char(out, '=');
        value_print(v.elems[i], type->fields[i].type, out);
    }
    buf_append_char(out, '}');
}

void value_print(struct value v, const struct sql_type *type, struct buf *out)
{
    switch ((enum sql_kind)v.kind) {
    case SQL_NULL:
        buf_append_cstr(out, "null");
        return;
    case SQL_BOOLEAN:
        buf_append_cstr(out, v.b ? "true" : "false");
        return;
    case SQL_INTEGER:
    case SQL_BIGINT:
        buf_append_i64(out, v.l);
        return;
    case SQL_DOUBLE:
        buf_append_double(out, v.d);
        return;
    case SQL_DECIMAL:
        decimal_print(v.dec, out);
        return;
    case SQL_STRING:
        buf_append_str(out, value_slice(v));
        return;
    case SQL_BYTES:
        buf_append_base64(out, value_slice(v));
        return;
    case SQL_DATE:
        time_print_date(v.l, out);
        return;
    case SQL_TIME:
        time_print_time(v.l, out);
        return;
    case SQL_TIMESTAMP:
        time_print_timestamp(v.l, out);
        return;
    case SQL_ARRAY:
        buf_append_char(out, '[');
        for (uint32_t i = 0; i < v.len; i++) {
            buf_append_cstr(out, i == 0 ? "" : ", ");
            value_print(v.elems[i], type->elem, out);
        }
        buf_append_char(out, ']');
        return;
    case SQL_MAP:
        print_map(v, type, out);
        return;
    case SQL_STRUCT:
        print_struct(v, type, out);
        return;
    case SQL_KIND_COUNT:
        break;
    }
    UNREACHABLE();
}
