/* value_codec.c - the compact binary form of values in stores and grouping keys.
 *
 *   NULL                         00
 *   BOOLEAN                      01 (00 | 01)
 *   INTEGER BIGINT DATE
 *   TIME TIMESTAMP               01 zigzag varint
 *   DOUBLE                       01 8 bytes, big endian
 *   DECIMAL                      01 varint size, unscaled value, two's complement; the scale is the type's
 *   STRING BYTES                 01 varint size, bytes
 *   ARRAY                        01 varint count, elements
 *   MAP                          01 varint count, key value key value ...
 *   STRUCT                       01 fields
 *
 * (E1) Equal values have equal bytes, so keys compare by them: decimals are brought to the type's scale
 *      first. Two exceptions that do not meet keys: maps keep their order of insertion, and -0.0 is kept
 *      apart from 0.0.
 * (E2) Every element takes a byte at least: a count larger than the bytes left is refused before memory is
 *      taken.
 */
#include "type/type_int.h"

#include "type/decimal.h"

static void put_varint(struct buf *out, uint64_t n)
{
    uint8_t bytes[10];
    buf_append(out, bytes, varint_encode(bytes, n));
}

static void encode_decimal(const struct decimal *dec, const struct sql_type *type, struct buf *out)
{
    struct arena arena = {0};
    if (dec->scale != type->scale)
        dec = decimal_rescale(dec, type->scale, DECIMAL_HALF_UP, &arena);
    struct buf bytes = {0};
    decimal_print_bytes(dec, &bytes);
    put_varint(out, bytes.len);
    buf_append_str(out, buf_str(&bytes));
    buf_fini(&bytes);
    arena_fini(&arena);
}

static const struct sql_type *elem_type(const struct sql_type *type, uint32_t i)
{
    return type->kind == SQL_STRUCT              ? type->fields[i].type
           : type->kind == SQL_MAP && i % 2 == 0 ? type->key
                                                 : type->elem;
}

void value_encode(struct value v, const struct sql_type *type, struct buf *out)
{
    buf_append_char(out, value_is_null(v) ? 0 : 1);
    if (value_is_null(v))
        return;
    ASSERT_CMP(v.kind, ==, type->kind);
    switch (type->kind) {
    case SQL_BOOLEAN:
        buf_append_char(out, v.b);
        return;
    case SQL_DOUBLE: {
        uint64_t bits;
        memcpy(&bits, &v.d, sizeof bits);
        store_be64(buf_extend(out, sizeof bits), bits);
        return;
    }
    case SQL_DECIMAL:
        encode_decimal(v.dec, type, out);
        return;
    case SQL_STRING:
    case SQL_BYTES:
        put_varint(out, v.len);
        buf_append(out, v.ptr, v.len);
        return;
    case SQL_ARRAY:
    case SQL_MAP:
        put_varint(out, v.len);
        break;
    case SQL_STRUCT:
        ASSERT_CMP(v.len, ==, type->field_count);
        break;
    default:
        put_varint(out, zigzag_encode(v.l));
        return;
    }
    uint32_t count = value_elem_count(v);
    for (uint32_t i = 0; i < count; i++)
        value_encode(v.elems[i], elem_type(type, i), out);
}

static bool take_varint(struct str *in, uint64_t *out)
{
    const uint8_t *at = (const uint8_t *)in->ptr;
    size_t n = varint_decode(at, at + in->len, out);
    *in = str_of(in->ptr + n, in->len - n);
    return n != 0;
}

/* `size` bytes off the front. */
static bool take(struct str *in, uint64_t size, struct str *out)
{
    if (size > in->len)
        return false;
    *out = str_of(in->ptr, size);
    *in = str_of(in->ptr + size, in->len - size);
    return true;
}

static bool decode_elems(struct str *in, const struct sql_type *type, struct value *out, struct arena *arena)
{
    uint64_t len = type->field_count;
    if (type->kind != SQL_STRUCT && !take_varint(in, &len))
        return false;
    if (len > in->len)
        return false;
    uint32_t count = (uint32_t)len * (type->kind == SQL_MAP ? 2 : 1);
    struct value *elems = arena_alloc(arena, count * sizeof *elems);
    for (uint32_t i = 0; i < count; i++)
        if (!value_decode(in, elem_type(type, i), &elems[i], arena))
            return false;
    *out = value_nested(type->kind, elems, (uint32_t)len);
    return true;
}

static bool decode_decimal(struct str *in, const struct sql_type *type, struct value *out,
                           struct arena *arena)
{
    uint64_t size;
    struct str bytes;
    if (!take_varint(in, &size) || !take(in, size, &bytes))
        return false;
    const struct decimal *dec = decimal_of_bytes(bytes, type->scale, arena);
    *out = value_decimal(dec);
    return dec != NULL;
}

static bool decode_fixed(struct str *in, enum sql_kind kind, struct value *out)
{
    struct str bytes;
    if (!take(in, kind == SQL_BOOLEAN ? 1 : 8, &bytes))
        return false;
    if (kind == SQL_BOOLEAN) {
        *out = value_bool(bytes.ptr[0] != 0);
        return true;
    }
    uint64_t bits = load_be64(bytes.ptr);
    *out = value_double(0);
    memcpy(&out->d, &bits, sizeof bits);
    return true;
}

bool value_decode(struct str *in, const struct sql_type *type, struct value *out, struct arena *arena)
{
    struct str mark, bytes;
    uint64_t n;
    if (!take(in, 1, &mark))
        return false;
    if (mark.ptr[0] == 0) {
        *out = VALUE_NULL;
        return true;
    }
    switch (type->kind) {
    case SQL_BOOLEAN:
    case SQL_DOUBLE:
        return decode_fixed(in, type->kind, out);
    case SQL_DECIMAL:
        return decode_decimal(in, type, out, arena);
    case SQL_STRING:
    case SQL_BYTES:
        if (!take_varint(in, &n) || n > UINT32_MAX || !take(in, n, &bytes))
            return false;
        *out = (struct value){.kind = (uint8_t)type->kind, .len = (uint32_t)n, .ptr = bytes.ptr};
        return true;
    case SQL_ARRAY:
    case SQL_MAP:
    case SQL_STRUCT:
        return decode_elems(in, type, out, arena);
    case SQL_NULL:
    case SQL_KIND_COUNT:
        return false;
    default:
        if (!take_varint(in, &n))
            return false;
        *out = value_temporal(type->kind, zigzag_decode(n));
        return true;
    }
}
