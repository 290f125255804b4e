/* convert_schema.c - JsonConverter with schemas: {"schema": {...}, "payload": ...}.
 *
 *   schema text --(remembered)--> struct declared: types as SQL types, fields, defaults
 *   payload     --declared------> values
 *
 * (S1) The schema's text is the key: records that repeat it cost one look-up, not a parse.
 * (S2) Error texts follow Connect's DataException. Numbers out of their type's range are errors; Java's converter cuts
 *      them silently.
 * (S3) Logical types by name: Decimal, Date, Time, Timestamp of org.apache.kafka.connect.data.
 */
#include "connect/connect_int.h"
#include "type/decimal.h"

enum { NESTING_MAX = 64 };

struct declared {
    struct connect_type type;
    struct str name; /* of the field */
    bool is_struct;
    struct declared *fields; /* of a struct */
    uint32_t field_count;
    struct declared *key, *elem;
    const struct json_value *default_json;
    struct connect_schema schema; /* of the whole, at the top */
};

/* Types -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const struct sql_type *type;
    uint8_t bits;
} primitives[] = {
    {"boolean", &type_boolean, 0}, {"int8", &type_integer, 8},  {"int16", &type_integer, 16},
    {"int32", &type_integer, 32},  {"int64", &type_bigint, 64}, {"float", &type_double, 32},
    {"double", &type_double, 64},  {"string", &type_string, 0}, {"bytes", &type_bytes, 0},
};

static bool read_decimal(const struct json_value *json, struct declared *out, struct arena *arena,
                         struct err *err)
{
    const struct json_value *parameters = json_get(json, STR("parameters"));
    struct str text = STR_NULL;
    int32_t scale;
    if (!json_get_str(parameters, "scale", &text, err))
        return false;
    if (!str_to_i32(text, &scale) || scale < 0 || scale > 1000)
        return err_set(err, ERR_SERIALIZATION,
                       "Invalid Decimal schema: scale parameter not found, or not between 0 and 1000");
    out->type.type = type_decimal((uint32_t)MAX(scale, 64), (uint32_t)scale, arena);
    return true;
}

static bool read_logical(const struct json_value *json, struct declared *out, struct arena *arena,
                         struct err *err)
{
    static const struct {
        const char *name;
        enum sql_kind base;
        uint8_t bits;
        const struct sql_type *type;
    } logical[] = {
        {"org.apache.kafka.connect.data.Date", SQL_INTEGER, 32, &type_date},
        {"org.apache.kafka.connect.data.Time", SQL_INTEGER, 32, &type_time},
        {"org.apache.kafka.connect.data.Timestamp", SQL_BIGINT, 64, &type_timestamp},
    };
    struct str name = STR_NULL;
    if (!json_get_str(json, "name", &name, err))
        return false;
    if (str_eq(name, STR("org.apache.kafka.connect.data.Decimal")) && out->type.type == &type_bytes)
        return read_decimal(json, out, arena, err);
    for (size_t i = 0; i < COUNT_OF(logical); i++)
        if (str_eq_cstr(name, logical[i].name) && out->type.type->kind == logical[i].base &&
            out->type.bits == logical[i].bits) {
            out->type.type = logical[i].type;
            out->type.bits = 0;
        }
    return true;
}

static bool read_schema(const struct json_value *json, struct declared *out, int depth, struct arena *arena,
                        struct err *err);

static bool read_child(const struct json_value *json, const char *member, struct declared **out, int depth,
                       struct arena *arena, struct err *err)
{
    const struct json_value *child = json_get(json, str_from(member));
    if (child == NULL)
        return err_set(err, ERR_SERIALIZATION, "the schema of an array or map has no member %s", member);
    *out = arena_new(arena, struct declared);
    return read_schema(child, *out, depth + 1, arena, err);
}

static bool read_struct(const struct json_value *json, struct declared *out, int depth, struct arena *arena,
                        struct err *err)
{
    const struct json_value *fields = json_get(json, STR("fields"));
    if (fields == NULL || fields->kind != JSON_ARRAY)
        return err_set(err, ERR_SERIALIZATION, "Struct schema's \"fields\" argument is not an array.");
    out->is_struct = true;
    out->field_count = fields->len;
    out->fields = arena_array(arena, struct declared, fields->len);
    struct sql_field *sql_fields = arena_array(arena, struct sql_field, fields->len);
    for (uint32_t i = 0; i < fields->len; i++) {
        struct str name = STR_NULL;
        if (!json_get_str(&fields->elems[i], "field", &name, err))
            return false;
        if (name.len == 0)
            return err_set(err, ERR_SERIALIZATION, "Struct schema's field name not specified properly");
        if (!read_schema(&fields->elems[i], &out->fields[i], depth + 1, arena, err)) {
            err_context(err, "field %.*s", STR_ARG(name));
            return false;
        }
        out->fields[i].name = name;
        sql_fields[i] = (struct sql_field){name, out->fields[i].type.type};
    }
    out->type.type = type_struct(sql_fields, fields->len, arena);
    return true;
}

static bool read_nested(struct str type, const struct json_value *json, struct declared *out, int depth,
                        struct arena *arena, struct err *err)
{
    if (str_eq(type, STR("struct")))
        return read_struct(json, out, depth, arena, err);
    if (str_eq(type, STR("array"))) {
        if (!read_child(json, "items", &out->elem, depth, arena, err))
            return false;
        out->type.type = type_array(out->elem->type.type, arena);
        return true;
    }
    if (!str_eq(type, STR("map")))
        return err_set(err, ERR_SERIALIZATION, "Unknown schema type: %.*s", STR_ARG(type));
    if (!read_child(json, "keys", &out->key, depth, arena, err) ||
        !read_child(json, "values", &out->elem, depth, arena, err))
        return false;
    out->type.type = type_map(out->key->type.type, out->elem->type.type, arena);
    return true;
}

static bool read_schema(const struct json_value *json, struct declared *out, int depth, struct arena *arena,
                        struct err *err)
{
    struct str type = STR_NULL;
    if (json->kind != JSON_OBJECT || depth > NESTING_MAX)
        return err_set(err, ERR_SERIALIZATION, "a schema must be an object, at most %d levels deep",
                       NESTING_MAX);
    if (!json_get_str(json, "type", &type, err) || !json_get_bool(json, "optional", &out->type.optional, err))
        return false;
    if (str_is_null(type))
        return err_set(err, ERR_SERIALIZATION, "Schema must contain 'type' field");
    for (size_t i = 0; i < COUNT_OF(primitives) && out->type.type == NULL; i++)
        if (str_eq_cstr(type, primitives[i].name)) {
            out->type.type = primitives[i].type;
            out->type.bits = primitives[i].bits;
        }
    if (out->type.type == NULL ? !read_nested(type, json, out, depth, arena, err)
                               : !read_logical(json, out, arena, err))
        return false;
    out->default_json = json_get(json, STR("default"));
    if (out->default_json != NULL && out->default_json->kind == JSON_NULL)
        out->default_json = NULL;
    return true;
}

/* Values ------------------------------------------------------------------------------------------------- */

static bool read_value(const struct json_value *json, const struct declared *type, bool replace_null,
                       struct value *out, struct arena *arena, struct err *err);

static bool wrong_kind(const struct json_value *json, const struct sql_type *type, struct err *err)
{
    struct buf text = {0};
    type_print(type, &text);
    err_set(err, ERR_SERIALIZATION, "Invalid type for %.*s: %s", STR_ARG(buf_str(&text)),
            json_kind_name(json->kind));
    buf_fini(&text);
    return false;
}

static bool read_whole(const struct json_value *json, const struct declared *type, struct value *out,
                       struct err *err)
{
    int64_t n;
    enum sql_kind kind = type->type.type->kind;
    uint8_t bits = kind == SQL_BIGINT || kind == SQL_TIMESTAMP ? 64
                   : type->type.bits != 0                      ? type->type.bits
                                                               : 32;
    if (json->kind != JSON_NUMBER || !json_to_i64(json, &n))
        return wrong_kind(json, type->type.type, err);
    if (bits < 64 && (n < -(INT64_C(1) << (bits - 1)) || n >= INT64_C(1) << (bits - 1)))
        return err_set(err, ERR_SERIALIZATION, "%" PRId64 " does not fit %d bits", n, bits);
    if (kind == SQL_TIMESTAMP && (n < -CONNECT_INSTANT_MAX_MS || n > CONNECT_INSTANT_MAX_MS))
        return err_set(err, ERR_SERIALIZATION, "%" PRId64 " is no instant of the next or last 275,760 years",
                       n);
    *out = (struct value){.kind = (uint8_t)kind, .l = n};
    return true;
}

static bool decode_base64(const struct json_value *json, struct str *out, struct arena *arena,
                          struct err *err)
{
    struct buf bytes = {0};
    bool good = json->kind == JSON_STRING && buf_append_base64_decoded(&bytes, json->str);
    *out = str_dup(buf_str(&bytes), arena);
    buf_fini(&bytes);
    return good || err_set(err, ERR_SERIALIZATION, "Invalid bytes field: not base64");
}

static bool read_decimal_value(const struct json_value *json, const struct sql_type *type, struct value *out,
                               struct arena *arena, struct err *err)
{
    struct str bytes;
    const struct decimal *dec = NULL;
    if (json->kind == JSON_NUMBER) {
        dec = decimal_parse(json->str, arena);
        dec = dec != NULL ? decimal_rescale(dec, type->scale, DECIMAL_HALF_UP, arena) : NULL;
    } else {
        if (!decode_base64(json, &bytes, arena, err))
            return false;
        dec = decimal_of_bytes(bytes, type->scale, arena);
    }
    *out = value_decimal(dec);
    return dec != NULL || err_set(err, ERR_SERIALIZATION, "Invalid Decimal: neither a number nor bytes");
}

static bool read_array(const struct json_value *json, const struct declared *type, bool replace_null,
                       struct value *out, struct arena *arena, struct err *err)
{
    if (json->kind != JSON_ARRAY)
        return wrong_kind(json, type->type.type, err);
    struct value *elems = arena_array(arena, struct value, json->len);
    for (uint32_t i = 0; i < json->len; i++)
        if (!read_value(&json->elems[i], type->elem, replace_null, &elems[i], arena, err))
            return false;
    *out = value_nested(SQL_ARRAY, elems, json->len);
    return true;
}

/* Maps with text keys are objects, others arrays of [key, value]. */
static bool read_map(const struct json_value *json, const struct declared *type, bool replace_null,
                     struct value *out, struct arena *arena, struct err *err)
{
    bool object = type->key->type.type->kind == SQL_STRING;
    if (json->kind != (object ? JSON_OBJECT : JSON_ARRAY))
        return wrong_kind(json, type->type.type, err);
    struct value *elems = arena_array(arena, struct value, 2 * json->len);
    for (uint32_t i = 0; i < json->len; i++) {
        const struct json_value *value = NULL;
        if (object) {
            elems[2 * i] = value_str(json->members[i].name);
            value = &json->members[i].value;
        } else {
            const struct json_value *pair = &json->elems[i];
            if (pair->kind != JSON_ARRAY || pair->len != 2)
                return err_set(err, ERR_SERIALIZATION,
                               "Found invalid map entry, expected an array of 2 elements");
            if (!read_value(&pair->elems[0], type->key, replace_null, &elems[2 * i], arena, err))
                return false;
            value = &pair->elems[1];
        }
        if (!read_value(value, type->elem, replace_null, &elems[2 * i + 1], arena, err))
            return false;
    }
    *out = value_nested(SQL_MAP, elems, json->len);
    return true;
}

static bool read_fields(const struct json_value *json, const struct declared *type, bool replace_null,
                        struct value *values, struct arena *arena, struct err *err)
{
    static const struct json_value absent = {.kind = JSON_NULL};
    if (json->kind != JSON_OBJECT)
        return wrong_kind(json, type->type.type, err);
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct json_value *member = json_get(json, type->fields[i].name);
        /* A missing member reads as the default whatever the setting; a null only with it. */
        if (!read_value(member != NULL ? member : &absent, &type->fields[i], member == NULL || replace_null,
                        &values[i], arena, err)) {
            err_context(err, "field %.*s", STR_ARG(type->fields[i].name));
            return false;
        }
    }
    return true;
}

static bool read_scalar(const struct json_value *json, const struct declared *type, struct value *out,
                        struct arena *arena, struct err *err)
{
    struct str bytes;
    switch (type->type.type->kind) {
    case SQL_BOOLEAN:
        *out = value_bool(json->b);
        return json->kind == JSON_BOOL || wrong_kind(json, type->type.type, err);
    case SQL_DOUBLE:
        *out = value_double(0);
        return json_to_double(json, &out->d) || wrong_kind(json, type->type.type, err);
    case SQL_STRING:
        *out = value_str(json->str);
        return json->kind == JSON_STRING || wrong_kind(json, type->type.type, err);
    case SQL_BYTES:
        if (!decode_base64(json, &bytes, arena, err))
            return false;
        *out = value_bytes(bytes);
        return true;
    case SQL_DECIMAL:
        return read_decimal_value(json, type->type.type, out, arena, err);
    default:
        return read_whole(json, type, out, err);
    }
}

static bool read_value(const struct json_value *json, const struct declared *type, bool replace_null,
                       struct value *out, struct arena *arena, struct err *err)
{
    *out = VALUE_NULL;
    if (json->kind == JSON_NULL) {
        if (type->default_json != NULL && (replace_null || !type->type.optional))
            return read_value(type->default_json, type, false, out, arena, err);
        if (type->type.optional)
            return true;
        return err_set(err, ERR_SERIALIZATION, "Invalid null value for required %s field",
                       type->type.type->kind == SQL_STRUCT ? "STRUCT" : "schema's");
    }
    switch (type->type.type->kind) {
    case SQL_ARRAY:
        return read_array(json, type, replace_null, out, arena, err);
    case SQL_MAP:
        return read_map(json, type, replace_null, out, arena, err);
    case SQL_STRUCT: {
        struct value *values = arena_array(arena, struct value, type->field_count);
        *out = value_nested(SQL_STRUCT, values, type->field_count);
        return read_fields(json, type, replace_null, values, arena, err);
    }
    default:
        return read_scalar(json, type, out, arena, err);
    }
}

/* The whole ---------------------------------------------------------------------------------------------- */

static bool read_default(struct declared *type, struct arena *arena, struct err *err)
{
    return type->default_json == NULL ||
           read_value(type->default_json, type, false, &type->type.default_value, arena, err);
}

static struct declared *declare(struct str text, struct arena *arena, struct err *err)
{
    const struct json_value *json = json_parse(str_dup(text, arena), arena, err);
    struct declared *top = arena_new(arena, struct declared);
    if (json == NULL || !read_schema(json, top, 0, arena, err))
        return NULL;
    uint32_t count = top->is_struct ? top->field_count : 1;
    struct declared *fields = top->is_struct ? top->fields : top;
    struct connect_field *out = arena_array(arena, struct connect_field, count);
    for (uint32_t i = 0; i < count; i++) {
        if (!read_default(&fields[i], arena, err))
            return NULL;
        out[i] = (struct connect_field){fields[i].name, fields[i].type};
    }
    top->schema = (struct connect_schema){true, top->is_struct, out, count};
    return top;
}

static bool envelope(struct str bytes, struct str *schema, struct str *payload, struct arena *arena,
                     struct err *err)
{
    struct json_scan scan;
    struct json_token token;
    struct str name;
    bool more = false, others = false;
    json_scan_init(&scan, bytes, arena, err);
    if (!json_scan_value(&scan, &token))
        return false;
    while (token.kind == JSON_OBJECT) {
        struct str raw;
        if (!json_scan_member(&scan, &name, &more))
            return false;
        if (!more)
            break;
        if (!json_scan_skip(&scan, &raw))
            return false;
        if (str_eq(name, STR("schema")))
            *schema = raw;
        else if (str_eq(name, STR("payload")))
            *payload = raw;
        else
            others = true;
    }
    if (token.kind != JSON_OBJECT || others || str_is_null(*schema) || str_is_null(*payload))
        return err_set(err, ERR_SERIALIZATION,
                       "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may "
                       "not contain additional fields. If you are trying to deserialize plain JSON data, set "
                       "schemas.enable=false in your converter configuration.");
    return json_scan_end(&scan);
}

static bool read_payload(const struct json_value *json, const struct declared *type, bool replace_null,
                         struct connect_data *out, struct arena *arena, struct err *err)
{
    if (json->kind == JSON_NULL && type->default_json == NULL && type->type.optional)
        return true;
    uint32_t count = type->schema.field_count;
    struct value *values = arena_array(arena, struct value, count);
    out->schema = &type->schema;
    out->values = values;
    return type->is_struct ? read_fields(json, type, replace_null, values, arena, err)
                           : read_value(json, type, replace_null, values, arena, err);
}

bool convert_json_declared(struct str bytes, struct json_schemas *schemas, bool replace_null,
                           struct connect_data *out, struct arena *arena, struct err *err)
{
    struct str schema = STR_NULL, payload = STR_NULL;
    if (!envelope(bytes, &schema, &payload, arena, err)) {
        err_context(err, "Converting byte[] to Kafka Connect data failed due to serialization error");
        return false;
    }
    const struct json_value *json = json_parse(payload, arena, err);
    if (json == NULL)
        return false;
    if (str_eq(schema, STR("null")))
        return json->kind == JSON_NULL ||
               err_set(err, ERR_SERIALIZATION,
                       "the schema is null but the payload is not; plain JSON is read "
                       "with schemas.enable=false");
    struct declared *type = map_get(&schemas->by_text, schema);
    if (type == NULL) {
        if ((type = declare(schema, &schemas->arena, err)) == NULL) {
            err_context(err, "schema");
            return false;
        }
        map_put(&schemas->by_text, schema, type);
    }
    return read_payload(json, type, replace_null, out, arena, err);
}
