/* type.c - types and schemas: making, comparing, copying, printing. */
#include "type/type.h"

#include "type/type_int.h"

const struct sql_type type_null = {.kind = SQL_NULL};
const struct sql_type type_boolean = {.kind = SQL_BOOLEAN};
const struct sql_type type_integer = {.kind = SQL_INTEGER};
const struct sql_type type_bigint = {.kind = SQL_BIGINT};
const struct sql_type type_double = {.kind = SQL_DOUBLE};
const struct sql_type type_string = {.kind = SQL_STRING};
const struct sql_type type_bytes = {.kind = SQL_BYTES};
const struct sql_type type_date = {.kind = SQL_DATE};
const struct sql_type type_time = {.kind = SQL_TIME};
const struct sql_type type_timestamp = {.kind = SQL_TIMESTAMP};

static const struct {
    struct str name;
    const struct sql_type *type; /* NULL: the kind has parameters */
} kinds[SQL_KIND_COUNT] = {
    [SQL_NULL] = {STR_INIT("null"), &type_null},
    [SQL_BOOLEAN] = {STR_INIT("BOOLEAN"), &type_boolean},
    [SQL_INTEGER] = {STR_INIT("INTEGER"), &type_integer},
    [SQL_BIGINT] = {STR_INIT("BIGINT"), &type_bigint},
    [SQL_DOUBLE] = {STR_INIT("DOUBLE"), &type_double},
    [SQL_DECIMAL] = {STR_INIT("DECIMAL"), NULL},
    [SQL_STRING] = {STR_INIT("STRING"), &type_string},
    [SQL_BYTES] = {STR_INIT("BYTES"), &type_bytes},
    [SQL_DATE] = {STR_INIT("DATE"), &type_date},
    [SQL_TIME] = {STR_INIT("TIME"), &type_time},
    [SQL_TIMESTAMP] = {STR_INIT("TIMESTAMP"), &type_timestamp},
    [SQL_ARRAY] = {STR_INIT("ARRAY"), NULL},
    [SQL_MAP] = {STR_INIT("MAP"), NULL},
    [SQL_STRUCT] = {STR_INIT("STRUCT"), NULL},
};

struct str type_kind_name(enum sql_kind kind)
{
    ASSERT_CMP(kind, <, SQL_KIND_COUNT);
    return kinds[kind].name;
}

const struct sql_type *type_of_kind(enum sql_kind kind)
{
    ASSERT_CMP(kind, <, SQL_KIND_COUNT);
    ASSERT(kinds[kind].type != NULL);
    return kinds[kind].type;
}

static struct sql_type *type_new(enum sql_kind kind, struct arena *arena)
{
    struct sql_type *type = arena_new(arena, struct sql_type);
    type->kind = kind;
    return type;
}

const struct sql_type *type_decimal(uint32_t precision, uint32_t scale, struct arena *arena)
{
    struct sql_type *type = type_new(SQL_DECIMAL, arena);
    ASSERT_CMP(scale, <=, precision);
    type->precision = (uint16_t)precision;
    type->scale = (uint16_t)scale;
    return type;
}

const struct sql_type *type_array(const struct sql_type *elem, struct arena *arena)
{
    struct sql_type *type = type_new(SQL_ARRAY, arena);
    type->elem = elem;
    return type;
}

const struct sql_type *type_map(const struct sql_type *key, const struct sql_type *value, struct arena *arena)
{
    struct sql_type *type = type_new(SQL_MAP, arena);
    type->key = key;
    type->elem = value;
    return type;
}

const struct sql_type *type_struct(const struct sql_field *fields, uint32_t field_count, struct arena *arena)
{
    struct sql_type *type = type_new(SQL_STRUCT, arena);
    type->fields = fields;
    type->field_count = field_count;
    return type;
}

static bool structs_eq(const struct sql_type *a, const struct sql_type *b)
{
    if (a->field_count != b->field_count)
        return false;
    for (uint32_t i = 0; i < a->field_count; i++)
        if (!str_eq(a->fields[i].name, b->fields[i].name) || !type_eq(a->fields[i].type, b->fields[i].type))
            return false;
    return true;
}

bool type_eq(const struct sql_type *a, const struct sql_type *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case SQL_DECIMAL:
        return a->precision == b->precision && a->scale == b->scale;
    case SQL_ARRAY:
        return type_eq(a->elem, b->elem);
    case SQL_MAP:
        return type_eq(a->key, b->key) && type_eq(a->elem, b->elem);
    case SQL_STRUCT:
        return structs_eq(a, b);
    default:
        return true;
    }
}

bool type_is_number(const struct sql_type *type)
{
    return type->kind >= SQL_INTEGER && type->kind <= SQL_DECIMAL;
}

const struct sql_type *type_dup(const struct sql_type *type, struct arena *arena)
{
    switch (type->kind) {
    case SQL_DECIMAL:
        return type_decimal(type->precision, type->scale, arena);
    case SQL_ARRAY:
        return type_array(type_dup(type->elem, arena), arena);
    case SQL_MAP:
        return type_map(type_dup(type->key, arena), type_dup(type->elem, arena), arena);
    case SQL_STRUCT: {
        struct sql_field *fields = arena_array(arena, struct sql_field, type->field_count);
        for (uint32_t i = 0; i < type->field_count; i++)
            fields[i] = (struct sql_field){str_dup(type->fields[i].name, arena),
                                           type_dup(type->fields[i].type, arena)};
        return type_struct(fields, type->field_count, arena);
    }
    default:
        return type_of_kind(type->kind);
    }
}

/* `NAME`, quotes inside doubled. */
static void print_name(struct str name, struct buf *out)
{
    buf_append_char(out, '`');
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '`')
            buf_append_char(out, '`');
        buf_append_char(out, name.ptr[i]);
    }
    buf_append_char(out, '`');
}

void type_print(const struct sql_type *type, struct buf *out)
{
    buf_append_str(out, type_kind_name(type->kind));
    switch (type->kind) {
    case SQL_DECIMAL:
        buf_printf(out, "(%u, %u)", type->precision, type->scale);
        return;
    case SQL_ARRAY:
        buf_append_char(out, '<');
        type_print(type->elem, out);
        buf_append_char(out, '>');
        return;
    case SQL_MAP:
        buf_append_char(out, '<');
        type_print(type->key, out);
        buf_append_cstr(out, ", ");
        type_print(type->elem, out);
        buf_append_char(out, '>');
        return;
    case SQL_STRUCT:
        buf_append_cstr(out, type->field_count == 0 ? "< " : "<"); /* an empty one is STRUCT< > */
        for (uint32_t i = 0; i < type->field_count; i++) {
            buf_append_cstr(out, i == 0 ? "" : ", ");
            print_name(type->fields[i].name, out);
            buf_append_char(out, ' ');
            type_print(type->fields[i].type, out);
        }
        buf_append_char(out, '>');
        return;
    default:
        return;
    }
}

int schema_find(const struct schema *schema, struct str name)
{
    for (uint32_t i = 0; i < schema->column_count; i++)
        if (str_eq(schema->columns[i].name, name))
            return (int)i;
    return -1;
}

static void print_column(const struct column *column, struct buf *out)
{
    print_name(column->name, out);
    buf_append_char(out, ' ');
    type_print(column->type, out);
    if (column->role == COLUMN_KEY)
        buf_append_cstr(out, " KEY");
    else if (column->role == COLUMN_HEADERS && str_is_null(column->header_key))
        buf_append_cstr(out, " HEADERS");
    else if (column->role == COLUMN_HEADERS)
        buf_printf(out, " HEADER('%.*s')", STR_ARG(column->header_key));
}

void schema_print(const struct schema *schema, struct buf *out)
{
    for (uint32_t i = 0; i < schema->column_count; i++) {
        buf_append_cstr(out, i == 0 ? "" : ", ");
        print_column(&schema->columns[i], out);
    }
}

const struct schema *schema_dup(const struct schema *schema, struct arena *arena)
{
    struct column *columns = arena_array(arena, struct column, schema->column_count);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const struct column *from = &schema->columns[i];
        columns[i] = (struct column){
            .name = str_dup(from->name, arena),
            .type = type_dup(from->type, arena),
            .role = from->role,
            .header_key = str_dup(from->header_key, arena),
        };
    }
    struct schema *copy = arena_new(arena, struct schema);
    *copy = (struct schema){columns, schema->column_count, schema->key_count};
    return copy;
}
