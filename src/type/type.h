/* type.h - SQL types, values, schemas: plain data that every SQL and connect module shares.
 *
 * A value does not carry its full type: the schema does. It carries its kind, so that NULL is seen and asserts hold.
 *
 *      0      1..3   4        8                15
 *    [kind |      | len    | payload          ]      16 bytes
 *
 *    kind                          payload        len
 *    SQL_NULL                      -              -
 *    SQL_BOOLEAN                   b              -
 *    SQL_INTEGER, SQL_BIGINT       l              -          an INTEGER is sign-extended
 *    SQL_DOUBLE                    d              -
 *    SQL_DECIMAL                   dec            -          see type/decimal.h; scale is the type's
 *    SQL_STRING, SQL_BYTES         ptr            bytes      STRING is valid UTF-8
 *    SQL_DATE                      l              -          days since 1970-01-01
 *    SQL_TIME                      l              -          ms of the day
 *    SQL_TIMESTAMP                 l              -          ms since the epoch, UTC
 *    SQL_ARRAY                     elems          elements
 *    SQL_MAP                       elems          entries    elems[2*i] key, elems[2*i+1] value; insertion order
 *    SQL_STRUCT                    elems          fields     in the order of the type's fields
 *
 * (V1) Values are immutable once made and borrow their bytes: from the batch, or from the arena of the batch.
 *      Whoever keeps a value longer copies it (value_dup).
 * (V2) Types and schemas are immutable, live in an arena (or are static) and are shared by pointer.
 */
#ifndef RIALTO_TYPE_TYPE_H
#define RIALTO_TYPE_TYPE_H

#include "base/base.h"

enum sql_kind {
    SQL_NULL, /* of a value: NULL; of a type: the type of a bare NULL literal */
    SQL_BOOLEAN,
    SQL_INTEGER,
    SQL_BIGINT,
    SQL_DOUBLE,
    SQL_DECIMAL,
    SQL_STRING,
    SQL_BYTES,
    SQL_DATE,
    SQL_TIME,
    SQL_TIMESTAMP,
    SQL_ARRAY,
    SQL_MAP,
    SQL_STRUCT,
    SQL_KIND_COUNT
};

struct sql_field;

struct sql_type {
    enum sql_kind kind;
    uint16_t precision, scale;      /* DECIMAL */
    const struct sql_type *key;     /* MAP */
    const struct sql_type *elem;    /* ARRAY element, MAP value */
    const struct sql_field *fields; /* STRUCT */
    uint32_t field_count;
};

struct sql_field {
    struct str name;
    const struct sql_type *type;
};

/* The types without parameters. */
extern const struct sql_type type_null, type_boolean, type_integer, type_bigint, type_double, type_string,
    type_bytes, type_date, type_time, type_timestamp;

const struct sql_type *
type_of_kind(enum sql_kind kind); /* one of the above; not for DECIMAL, ARRAY, MAP, STRUCT */
const struct sql_type *type_decimal(uint32_t precision, uint32_t scale, struct arena *arena);
const struct sql_type *type_array(const struct sql_type *elem, struct arena *arena);
const struct sql_type *type_map(const struct sql_type *key, const struct sql_type *value,
                                struct arena *arena);
/* The fields array is borrowed and must live as long as the type. */
const struct sql_type *type_struct(const struct sql_field *fields, uint32_t field_count, struct arena *arena);

bool type_eq(const struct sql_type *a, const struct sql_type *b);
bool type_is_number(const struct sql_type *type); /* INTEGER, BIGINT, DECIMAL, DOUBLE */
const struct sql_type *type_dup(const struct sql_type *type, struct arena *arena); /* deep copy */

/* SQL text as ksqlDB shows it in schemas and errors: INTEGER, STRING, DECIMAL(4, 2), ARRAY<STRING>,
 * MAP<STRING, BIGINT>, STRUCT<`A` INTEGER, ...>. */
void type_print(const struct sql_type *type, struct buf *out);

struct decimal;

struct value {
    uint8_t kind; /* enum sql_kind */
    uint32_t len;
    union {
        bool b;
        int64_t l;
        double d;
        const struct decimal *dec;
        const char *ptr;
        const struct value *elems;
    };
};

_Static_assert(sizeof(struct value) == 16, "values are copied by the million");

#define VALUE_NULL ((struct value){.kind = SQL_NULL})

static inline bool value_is_null(struct value v)
{
    return v.kind == SQL_NULL;
}

static inline struct value value_bool(bool b)
{
    return (struct value){.kind = SQL_BOOLEAN, .b = b};
}

static inline struct value value_int(int32_t i)
{
    return (struct value){.kind = SQL_INTEGER, .l = i};
}

static inline struct value value_bigint(int64_t l)
{
    return (struct value){.kind = SQL_BIGINT, .l = l};
}

static inline struct value value_double(double d)
{
    return (struct value){.kind = SQL_DOUBLE, .d = d};
}

static inline struct value value_decimal(const struct decimal *dec)
{
    return (struct value){.kind = SQL_DECIMAL, .dec = dec};
}

static inline struct value value_str(struct str s)
{
    return (struct value){.kind = SQL_STRING, .len = (uint32_t)s.len, .ptr = s.ptr};
}

static inline struct value value_bytes(struct str s)
{
    return (struct value){.kind = SQL_BYTES, .len = (uint32_t)s.len, .ptr = s.ptr};
}

/* DATE, TIME or TIMESTAMP. */
static inline struct value value_temporal(enum sql_kind kind, int64_t l)
{
    return (struct value){.kind = (uint8_t)kind, .l = l};
}

/* ARRAY (len elements), MAP (len entries, 2 * len elems), STRUCT (len fields). */
static inline struct value value_nested(enum sql_kind kind, const struct value *elems, uint32_t len)
{
    return (struct value){.kind = (uint8_t)kind, .len = len, .elems = elems};
}

/* The text or bytes of a STRING or BYTES. */
static inline struct str value_slice(struct value v)
{
    return str_of(v.ptr, v.len);
}

/* Deep copy: nothing of the result points outside the arena. */
struct value value_dup(struct value v, struct arena *arena);

/* Equality as `=` sees it for two values of one type, NULL equal to NULL; decimals by numeric value; maps as sets. */
bool value_eq(struct value a, struct value b);

/* Order of two non-null values of one type: <0, 0, >0. STRING by UTF-16 code units, BYTES unsigned, false < true. */
int value_cmp(struct value a, struct value b);

uint64_t value_hash(struct value v);

/* Compact binary form for stores; needs the type to read back. The encoder appends; the decoder returns false on
 * malformed bytes, advances *in, and lets strings point into the input. Grouping keys compare by these bytes. */
void value_encode(struct value v, const struct sql_type *type, struct buf *out);
bool value_decode(struct str *in, const struct sql_type *type, struct value *out, struct arena *arena);

/* Text as CAST(v AS STRING) gives it: 1.0, [a, b], {k=v}, Struct{F=v}; NULL gives "null". */
void value_print(struct value v, const struct sql_type *type, struct buf *out);

/* Columns ------------------------------------------------------------------------------------------------------- */

enum column_role {
    COLUMN_KEY,
    COLUMN_VALUE,
    COLUMN_HEADERS /* filled from record headers: all of them, or those named by header_key */
};

struct column {
    struct str name;
    const struct sql_type *type;
    enum column_role role;
    struct str header_key; /* COLUMN_HEADERS: HEADER('k'); null for HEADERS */
};

/* Key columns first, then the others in their order. */
struct schema {
    const struct column *columns;
    uint32_t column_count;
    uint32_t key_count;
};

/* Index of the column with this exact name, or -1. */
int schema_find(const struct schema *schema, struct str name);

/* `K` STRING KEY, `V` INTEGER ... as DESCRIBE's schema text has it. */
void schema_print(const struct schema *schema, struct buf *out);

const struct schema *schema_dup(const struct schema *schema, struct arena *arena);

/* Casts and coercion (reference: ksql page 2.6) ------------------------------------------------------------------- */

/* CAST matrix: may `from` be cast to `to` at all? */
bool type_can_cast(const struct sql_type *from, const struct sql_type *to);

/* CAST of one value; false with a message when this value cannot be converted (a failing parse, an overflow). */
bool value_cast(struct value v, const struct sql_type *from, const struct sql_type *to, struct value *out,
                struct arena *arena, struct err *err);

/* Implicit coercion of columns: INTEGER -> BIGINT -> DECIMAL -> DOUBLE, DECIMAL widening, element-wise. */
bool type_can_coerce(const struct sql_type *from, const struct sql_type *to);

/* The type both sides are widened to for arithmetic and comparison of numbers; NULL when there is none. */
const struct sql_type *type_common_number(const struct sql_type *a, const struct sql_type *b,
                                          struct arena *arena);

/* Result type of + - * / % on two numbers (op is the character); NULL when not numbers. */
const struct sql_type *type_of_arithmetic(char op, const struct sql_type *a, const struct sql_type *b,
                                          struct arena *arena);

#endif
