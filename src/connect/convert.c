/* convert.c - converters: record bytes to connect data, by the class names that Connect's users write.
 *
 *   bytes --(cut the window)--> bytes --converter_class.read--> schema + values --(add the window)--> data
 *
 * (C1) A schema handed out lives until converter_begin_batch; shapes seen before give the same pointer.
 * (C2) `window.size.ms` and `window.session` are rialto's own settings of a key converter: SQL writes windowed keys as
 *      key bytes plus window bounds. The data becomes a struct: the key's fields (a bare key is one field, named by
 *      `field.name`), then window_start and window_end.
 */
#include "connect/connect_int.h"
#include "serde/serde.h"

struct converter_class {
    const char *name; /* Java's */
    const char *short_names[3];
    bool (*read)(struct converter *conv, struct str bytes, struct connect_data *out, struct arena *arena,
                 struct err *err);
    const struct connect_field *field; /* of those without schema inside: what they give */
    size_t size;                       /* of fixed-size encodings, else 0 */
    bool json;
};

struct converter {
    const struct converter_class *class;
    bool schemas, replace_null;
    int64_t window_ms; /* 0: none */
    bool session;
    struct str field_name;
    struct arena arena; /* settings */
    struct json_shapes shapes;
    struct json_schemas declared;
    struct arena windowed_arena;
    vec(struct windowed_schema { const struct connect_schema *inner, *outer; }) windowed;
};

enum { SCHEMAS_KEPT = 1000 };

/* Simple encodings --------------------------------------------------------------------------------------- */

static const struct connect_schema simple_schemas[];

static bool give_one(const struct converter *conv, struct value v, struct connect_data *out,
                     struct arena *arena);

static bool read_string(struct converter *conv, struct str bytes, struct connect_data *out,
                        struct arena *arena, struct err *err)
{
    if (!utf8_valid(bytes))
        return err_set(err, ERR_SERIALIZATION, "the bytes are no UTF-8 text");
    return give_one(conv, value_str(bytes), out, arena);
}

static bool read_bytes(struct converter *conv, struct str bytes, struct connect_data *out,
                       struct arena *arena, struct err *err)
{
    return give_one(conv, value_bytes(bytes), out, arena);
}

static bool read_number(struct converter *conv, struct str bytes, struct connect_data *out,
                        struct arena *arena, struct err *err)
{
    const struct connect_type *type = &conv->class->field->type;
    struct value v;
    if (bytes.len != conv->class->size)
        return err_set(err, ERR_SERIALIZATION, "Size of data received by %s is not %zu but %zu",
                       strrchr(conv->class->name, '.') + 1, conv->class->size, bytes.len);
    if (type->type->kind == SQL_BOOLEAN) {
        if ((unsigned char)bytes.ptr[0] > 1)
            return err_set(err, ERR_SERIALIZATION, "Unexpected byte received by BooleanConverter: %d",
                           bytes.ptr[0]);
        v = value_bool(bytes.ptr[0] != 0);
    } else if (type->type->kind == SQL_DOUBLE && type->bits == 32) {
        uint32_t raw = load_be32(bytes.ptr);
        float f;
        memcpy(&f, &raw, sizeof f);
        v = value_double(f);
    } else if (type->type->kind == SQL_DOUBLE) {
        uint64_t raw = load_be64(bytes.ptr);
        double d;
        memcpy(&d, &raw, sizeof d);
        v = value_double(d);
    } else if (type->bits == 64) {
        v = value_bigint((int64_t)load_be64(bytes.ptr));
    } else {
        v = value_int(type->bits == 32 ? (int32_t)load_be32(bytes.ptr) : (int16_t)load_be16(bytes.ptr));
    }
    return give_one(conv, v, out, arena);
}

static bool read_json(struct converter *conv, struct str bytes, struct connect_data *out, struct arena *arena,
                      struct err *err)
{
    return conv->schemas ? convert_json_declared(bytes, &conv->declared, conv->replace_null, out, arena, err)
                         : convert_json_guess(bytes, &conv->shapes, out, arena, err);
}

/* The table ---------------------------------------------------------------------------------------------- */

static const struct connect_field string_field = {.type = {.type = &type_string, .optional = true}};
static const struct connect_field bytes_field = {.type = {.type = &type_bytes, .optional = true}};
static const struct connect_field boolean_field = {.type = {.type = &type_boolean, .optional = true}};
static const struct connect_field short_field = {
    .type = {.type = &type_integer, .bits = 16, .optional = true}};
static const struct connect_field integer_field = {
    .type = {.type = &type_integer, .bits = 32, .optional = true}};
static const struct connect_field long_field = {.type = {.type = &type_bigint, .bits = 64, .optional = true}};
static const struct connect_field float_field = {
    .type = {.type = &type_double, .bits = 32, .optional = true}};
static const struct connect_field double_field = {
    .type = {.type = &type_double, .bits = 64, .optional = true}};

static const struct converter_class classes[] = {
    {"org.apache.kafka.connect.json.JsonConverter", {"JsonConverter", "Json"}, read_json, .json = true},
    {"org.apache.kafka.connect.storage.StringConverter",
     {"StringConverter", "String"},
     read_string,
     &string_field},
    {"org.apache.kafka.connect.converters.ByteArrayConverter",
     {"ByteArrayConverter", "ByteArray"},
     read_bytes,
     &bytes_field},
    {"org.apache.kafka.connect.converters.BooleanConverter",
     {"BooleanConverter", "Boolean"},
     read_number,
     &boolean_field,
     1},
    {"org.apache.kafka.connect.converters.ShortConverter",
     {"ShortConverter", "Short"},
     read_number,
     &short_field,
     2},
    {"org.apache.kafka.connect.converters.IntegerConverter",
     {"IntegerConverter", "Integer"},
     read_number,
     &integer_field,
     4},
    {"org.apache.kafka.connect.converters.LongConverter",
     {"LongConverter", "Long"},
     read_number,
     &long_field,
     8},
    {"org.apache.kafka.connect.converters.FloatConverter",
     {"FloatConverter", "Float"},
     read_number,
     &float_field,
     4},
    {"org.apache.kafka.connect.converters.DoubleConverter",
     {"DoubleConverter", "Double"},
     read_number,
     &double_field,
     8},
};

static const struct connect_schema simple_schemas[COUNT_OF(classes)] = {
    [1] = {.declared = true, .fields = &string_field, .field_count = 1},
    [2] = {.declared = true, .fields = &bytes_field, .field_count = 1},
    [3] = {.declared = true, .fields = &boolean_field, .field_count = 1},
    [4] = {.declared = true, .fields = &short_field, .field_count = 1},
    [5] = {.declared = true, .fields = &integer_field, .field_count = 1},
    [6] = {.declared = true, .fields = &long_field, .field_count = 1},
    [7] = {.declared = true, .fields = &float_field, .field_count = 1},
    [8] = {.declared = true, .fields = &double_field, .field_count = 1},
};

static bool give_one(const struct converter *conv, struct value v, struct connect_data *out,
                     struct arena *arena)
{
    out->schema = &simple_schemas[conv->class - classes];
    out->values = arena_dup(arena, &v, sizeof v);
    return true;
}

static const struct converter_class *find_class(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(classes); i++)
        if (str_eq_cstr(name, classes[i].name) || str_eq_cstr(name, classes[i].short_names[0]) ||
            str_eq_cstr(name, classes[i].short_names[1]))
            return &classes[i];
    return NULL;
}

const char *converter_class_at(size_t i)
{
    return i < COUNT_OF(classes) ? classes[i].name : NULL;
}

/* Life --------------------------------------------------------------------------------------------------- */

static struct str setting(const struct conf_pairs *pairs, const char *prefix, const char *name)
{
    struct arena arena = {0};
    bool is_set;
    struct str value =
        pairs_get(pairs, str_printf(&arena, "%s%s", prefix, name), &is_set); /* of the pairs, not the arena */
    arena_fini(&arena);
    return value;
}

static bool setting_bool(const struct conf_pairs *pairs, const char *prefix, const char *name, bool fallback,
                         bool *out, struct err *err)
{
    struct str text = setting(pairs, prefix, name);
    *out = str_is_null(text) ? fallback : str_eq_nocase(text, STR("true"));
    if (str_is_null(text) || *out || str_eq_nocase(text, STR("false")))
        return true;
    return err_set(err, ERR_INVALID_CONFIG,
                   "Invalid value %.*s for configuration %s%s: Expected value to be either true or false",
                   STR_ARG(text), prefix, name);
}

/* Is the class itself given? Else it is the product's default: JSON as SQL writes it, without schemas. */
static bool class_is_set(const struct conf_pairs *pairs, const char *prefix)
{
    bool is_set = false;
    if (prefix[0] != '\0')
        pairs_get(pairs, str_of(prefix, strlen(prefix) - 1), &is_set);
    return is_set;
}

static bool read_settings(struct converter *conv, const struct conf_pairs *pairs, const char *prefix,
                          struct err *err)
{
    struct str window = setting(pairs, prefix, "window.size.ms");
    struct str field = setting(pairs, prefix, "field.name");
    struct str encoding = setting(pairs, prefix, "converter.encoding");
    if (!str_is_null(encoding) && !str_eq_nocase(encoding, STR("UTF-8")) &&
        !str_eq_nocase(encoding, STR("UTF8")))
        return err_set(err, ERR_UNSUPPORTED,
                       "Invalid value %.*s for configuration %sconverter.encoding: only "
                       "UTF-8 is available",
                       STR_ARG(encoding), prefix);
    if (!str_is_null(window) && (!str_to_i64(window, &conv->window_ms) || conv->window_ms < 1))
        return err_set(err, ERR_INVALID_CONFIG,
                       "Invalid value %.*s for configuration %swindow.size.ms: it is the size of the window "
                       "in milliseconds, at least 1",
                       STR_ARG(window), prefix);
    conv->field_name = str_is_null(field) ? STR("key") : str_dup(field, &conv->arena);
    return setting_bool(pairs, prefix, "schemas.enable", class_is_set(pairs, prefix), &conv->schemas, err) &&
           setting_bool(pairs, prefix, "replace.null.with.default", true, &conv->replace_null, err) &&
           setting_bool(pairs, prefix, "window.session", false, &conv->session, err);
}

struct converter *converter_new(struct str class_name, const struct conf_pairs *pairs, const char *prefix,
                                struct err *err)
{
    const struct converter_class *class = find_class(class_name);
    if (class == NULL) {
        if (str_starts_with(class_name, STR("io.confluent.connect.")))
            err_set(err, ERR_UNSUPPORTED,
                    "converter %.*s needs a schema registry, which this version does not have; use "
                    "org.apache.kafka.connect.json.JsonConverter",
                    STR_ARG(class_name));
        else
            err_set(err, ERR_INVALID_CONFIG, "Class %.*s could not be found.", STR_ARG(class_name));
        return NULL;
    }
    struct converter *conv = mem_new(struct converter);
    conv->class = class;
    if (read_settings(conv, pairs, prefix, err))
        return conv;
    converter_free(conv);
    return NULL;
}

void converter_free(struct converter *conv)
{
    if (conv == NULL)
        return;
    vec_fini(&conv->shapes.list);
    arena_fini(&conv->shapes.arena);
    map_fini(&conv->declared.by_text);
    arena_fini(&conv->declared.arena);
    vec_fini(&conv->windowed);
    arena_fini(&conv->windowed_arena);
    arena_fini(&conv->arena);
    free(conv);
}

void converter_begin_batch(struct converter *conv)
{
    bool full = conv->shapes.list.len > SCHEMAS_KEPT || conv->declared.by_text.len > SCHEMAS_KEPT ||
                conv->windowed.len > SCHEMAS_KEPT;
    if (!full)
        return;
    vec_clear(&conv->shapes.list);
    arena_reset(&conv->shapes.arena);
    map_clear(&conv->declared.by_text);
    arena_reset(&conv->declared.arena);
    vec_clear(&conv->windowed);
    arena_reset(&conv->windowed_arena);
}

const char *converter_name(const struct converter *conv)
{
    return conv->class->name;
}

/* Windows ------------------------------------------------------------------------------------------------ */

/* The schema with the window's fields behind it. */
static const struct connect_schema *windowed_schema(struct converter *conv,
                                                    const struct connect_schema *inner)
{
    for (size_t i = conv->windowed.len; i-- > 0;)
        if (conv->windowed.at[i].inner == inner)
            return conv->windowed.at[i].outer;
    struct arena *arena = &conv->windowed_arena;
    struct connect_field *fields = arena_array(arena, struct connect_field, inner->field_count + 2);
    for (uint32_t i = 0; i < inner->field_count; i++)
        fields[i] = inner->fields[i];
    if (!inner->is_struct)
        fields[0].name = conv->field_name;
    struct connect_type timestamp = {.type = &type_timestamp};
    fields[inner->field_count] = (struct connect_field){STR("window_start"), timestamp};
    fields[inner->field_count + 1] = (struct connect_field){STR("window_end"), timestamp};
    struct connect_schema *outer = arena_new(arena, struct connect_schema);
    *outer = (struct connect_schema){true, true, fields, inner->field_count + 2};
    vec_push(&conv->windowed, (struct windowed_schema){inner, outer});
    return outer;
}

static bool read_windowed(struct converter *conv, struct str bytes, struct connect_data *out,
                          struct arena *arena, struct err *err)
{
    int64_t start_ms, end_ms;
    if (conv->session) {
        if (!serde_cut_session_window(&bytes, &start_ms, &end_ms, err))
            return false;
    } else {
        if (!serde_cut_time_window(&bytes, &start_ms, err))
            return false;
        if (__builtin_add_overflow(start_ms, conv->window_ms, &end_ms))
            end_ms = INT64_MAX; /* refused below */
    }
    if (start_ms < -CONNECT_INSTANT_MAX_MS || start_ms > CONNECT_INSTANT_MAX_MS ||
        end_ms < -CONNECT_INSTANT_MAX_MS || end_ms > CONNECT_INSTANT_MAX_MS)
        return err_set(err, ERR_SERIALIZATION, "the key does not end in the bounds of a window");
    struct connect_data inner = {0};
    if (!conv->class->read(conv, bytes, &inner, arena, err))
        return false;
    if (inner.schema == NULL)
        return err_set(err, ERR_SERIALIZATION, "the key in front of the window is null");
    uint32_t count = inner.schema->field_count;
    struct value *values = arena_array(arena, struct value, count + 2);
    memcpy(values, inner.values, count * sizeof *values);
    values[count] = value_temporal(SQL_TIMESTAMP, start_ms);
    values[count + 1] = value_temporal(SQL_TIMESTAMP, end_ms);
    out->schema = windowed_schema(conv, inner.schema);
    out->values = values;
    return true;
}

bool converter_read(struct converter *conv, struct str bytes, struct connect_data *out, struct arena *arena,
                    struct err *err)
{
    *out = (struct connect_data){0};
    if (str_is_null(bytes))
        return true;
    return conv->window_ms != 0 || conv->session ? read_windowed(conv, bytes, out, arena, err)
                                                 : conv->class->read(conv, bytes, out, arena, err);
}

void connect_value_to_json(struct value v, const struct sql_type *type, struct json_writer *out)
{
    serde_value_to_json(v, type, SERDE_JSON_HTTP, out);
}
