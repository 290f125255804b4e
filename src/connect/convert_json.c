/* convert_json.c - JsonConverter without schemas: plain JSON, types guessed from the values.
 *
 *   integers BIGINT (DECIMAL beyond 64 bits), other numbers DOUBLE, texts STRING, true/false BOOLEAN, nested values
 *   their JSON text, null a type that is not known yet
 *
 * Shapes (names and types of an object's members) are remembered, so that records of one shape share one schema. A null
 * fits any type; an integer fits DOUBLE.
 */
#include "connect/connect_int.h"
#include "type/decimal.h"

static const struct sql_type type_big_integer = {.kind = SQL_DECIMAL, .precision = 65};

static bool guess_number(const struct json_value *json, struct connect_type *type, struct value *v,
                         struct arena *arena, struct err *err)
{
    int64_t n;
    double d;
    if (json_to_i64(json, &n) && memchr(json->str.ptr, '.', json->str.len) == NULL) {
        type->type = &type_bigint;
        type->bits = 64;
        *v = value_bigint(n);
        return true;
    }
    bool integer = true;
    for (size_t i = 0; i < json->str.len; i++)
        integer =
            integer && (json->str.ptr[i] == '-' || (json->str.ptr[i] >= '0' && json->str.ptr[i] <= '9'));
    const struct decimal *dec = integer ? decimal_parse(json->str, arena) : NULL;
    if (dec != NULL) {
        type->type = &type_big_integer;
        *v = value_decimal(dec);
        return true;
    }
    if (!json_to_double(json, &d))
        return err_set(err, ERR_SERIALIZATION, "number %.*s is out of range", (int)MIN(json->str.len, 64),
                       json->str.ptr);
    type->type = &type_double;
    type->bits = 64;
    *v = value_double(d);
    return true;
}

static bool guess_value(const struct json_value *json, struct connect_type *type, struct value *v,
                        struct arena *arena, struct err *err)
{
    *type = (struct connect_type){.type = &type_null, .optional = true};
    *v = VALUE_NULL;
    if (json->kind == JSON_NULL)
        return true;
    if (json->kind == JSON_NUMBER)
        return guess_number(json, type, v, arena, err);
    if (json->kind == JSON_BOOL) {
        type->type = &type_boolean;
        *v = value_bool(json->b);
        return true;
    }
    type->type = &type_string;
    if (json->kind == JSON_STRING) {
        *v = value_str(json->str);
        return true;
    }
    struct buf text = {0};
    struct json_writer out = {.out = &text};
    json_tree(&out, json);
    *v = value_str(str_dup(buf_str(&text), arena));
    type->json = true;
    buf_fini(&text);
    return true;
}

/* Does a value of the guessed type fit a field of the shape? Turns it when it has to. */
static bool type_fits(const struct connect_type *shape, const struct connect_type *guess, struct value *v)
{
    if (guess->type == &type_null)
        return true;
    if (shape->type == &type_double && guess->type == &type_bigint) {
        *v = value_double((double)v->l);
        return true;
    }
    return shape->type == guess->type && shape->json == guess->json;
}

static bool shape_has_names(const struct connect_schema *shape, const struct connect_field *fields,
                            uint32_t count)
{
    if (shape->field_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!str_eq(shape->fields[i].name, fields[i].name))
            return false;
    return true;
}

static bool shape_fits(const struct connect_schema *shape, const struct connect_field *fields,
                       struct value *values, struct value *turned, uint32_t count)
{
    memcpy(turned, values, count * sizeof *values);
    for (uint32_t i = 0; i < count; i++)
        if (!type_fits(&shape->fields[i].type, &fields[i].type, &turned[i]))
            return false;
    memcpy(values, turned, count * sizeof *values);
    return true;
}

/* A new shape; types that this record does not show are taken from the older shape of the same names. */
static const struct connect_schema *shape_new(struct json_shapes *shapes, const struct connect_field *fields,
                                              uint32_t count, bool is_struct,
                                              const struct connect_schema *older)
{
    struct connect_field *copy = arena_array(&shapes->arena, struct connect_field, count);
    for (uint32_t i = 0; i < count; i++) {
        copy[i] = fields[i];
        copy[i].name = str_dup(fields[i].name, &shapes->arena);
        if (older != NULL && fields[i].type.type == &type_null)
            copy[i].type = older->fields[i].type;
    }
    struct connect_schema *schema = arena_new(&shapes->arena, struct connect_schema);
    *schema = (struct connect_schema){false, is_struct, copy, count};
    vec_push(&shapes->list, schema);
    return schema;
}

static const struct connect_schema *shape_of(struct json_shapes *shapes, const struct connect_field *fields,
                                             struct value *values, uint32_t count, bool is_struct,
                                             struct arena *arena)
{
    enum { SEARCHED = 32 }; /* newest shapes looked at */
    struct value *turned = arena_array(arena, struct value, count);
    const struct connect_schema *older = NULL;
    for (size_t n = 0; n < MIN(shapes->list.len, SEARCHED); n++) {
        const struct connect_schema *shape = shapes->list.at[shapes->list.len - 1 - n];
        if (shape->is_struct != is_struct || !shape_has_names(shape, fields, count))
            continue;
        if (shape_fits(shape, fields, values, turned, count))
            return shape;
        older = older != NULL ? older : shape;
    }
    return shape_new(shapes, fields, count, is_struct, older);
}

static bool guess_object(const struct json_value *json, struct json_shapes *shapes, struct connect_data *out,
                         struct arena *arena, struct err *err)
{
    struct connect_field *fields = arena_array(arena, struct connect_field, json->len);
    struct value *values = arena_array(arena, struct value, json->len);
    for (uint32_t i = 0; i < json->len; i++) {
        fields[i].name = json->members[i].name;
        if (!guess_value(&json->members[i].value, &fields[i].type, &values[i], arena, err))
            return false;
    }
    out->schema = shape_of(shapes, fields, values, json->len, true, arena);
    out->values = values;
    return true;
}

bool convert_json_guess(struct str bytes, struct json_shapes *shapes, struct connect_data *out,
                        struct arena *arena, struct err *err)
{
    const struct json_value *json = json_parse(bytes, arena, err);
    if (json == NULL) {
        err_context(err, "Converting byte[] to Kafka Connect data failed due to serialization error");
        return false;
    }
    if (json->kind == JSON_NULL)
        return true;
    if (json->kind == JSON_OBJECT)
        return guess_object(json, shapes, out, arena, err);
    struct connect_field *field = arena_new(arena, struct connect_field);
    struct value *v = arena_new(arena, struct value);
    if (!guess_value(json, &field->type, v, arena, err))
        return false;
    out->schema = shape_of(shapes, field, v, 1, false, arena);
    out->values = v;
    return true;
}
