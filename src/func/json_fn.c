/* json_fn.c - functions of JSON texts. A text that is not JSON gives NULL; numbers keep the digits they
 * were written with.
 */
#include "func/func_int.h"
#include "json/json.h"

#define SCALAR(name) \
    static void name(struct func_ctx *ctx, const struct value *args, uint32_t arg_count, struct value *out)

/* The tree of a text, NULL when it is not JSON. */
static const struct json_value *parse(struct func_ctx *ctx, struct value text)
{
    return json_parse(value_slice(text), ctx->arena, NULL);
}

static struct value compact(struct func_ctx *ctx, const struct json_value *json)
{
    struct buf text = {0};
    struct json_writer writer = {.out = &text};
    json_tree(&writer, json);
    return func_take_text(ctx, &text);
}

/* Strings as their text, NULL for null, everything else as JSON. */
static struct value plain(struct func_ctx *ctx, const struct json_value *json)
{
    if (json->kind == JSON_NULL)
        return VALUE_NULL;
    return json->kind == JSON_STRING ? value_str(json->str) : compact(ctx, json);
}

/* Cuts the next step off a path: .name, [index], ["name"]; false at its end or when it is broken. */
static bool next_step(struct str *path, struct str *name, int64_t *index)
{
    *name = STR_NULL;
    if (path->len > 1 && path->ptr[0] == '.') {
        size_t end = 1;
        while (end < path->len && path->ptr[end] != '.' && path->ptr[end] != '[')
            end++;
        *name = str_sub(*path, 1, end - 1);
        *path = str_sub(*path, end, path->len);
        return name->len > 0;
    }
    ptrdiff_t close = str_find_char(*path, ']');
    if (path->len == 0 || path->ptr[0] != '[' || close < 2)
        return false;
    struct str inner = str_sub(*path, 1, (size_t)close - 1);
    *path = str_sub(*path, (size_t)close + 1, path->len);
    if (inner.len >= 2 && inner.ptr[0] == '"' && inner.ptr[inner.len - 1] == '"') {
        *name = str_sub(inner, 1, inner.len - 2);
        return true;
    }
    return str_to_i64(inner, index);
}

/* The raw text of a member (name given) or an element of the container in `text`; the last member of a
 * name counts. */
static bool find_raw(struct func_ctx *ctx, struct str text, struct str name, int64_t index, struct str *found)
{
    struct json_scan scan;
    struct json_token token;
    bool more, by_name = !str_is_null(name), hit = false;
    json_scan_init(&scan, text, ctx->arena, NULL);
    if (!json_scan_value(&scan, &token) || token.kind != (by_name ? JSON_OBJECT : JSON_ARRAY))
        return false;
    for (int64_t i = 0;; i++) {
        struct str member = STR_NULL, raw;
        if (!(by_name ? json_scan_member(&scan, &member, &more) : json_scan_element(&scan, &more)))
            return false;
        if (!more)
            return hit;
        if (!json_scan_skip(&scan, &raw))
            return false;
        if (by_name ? str_eq(member, name) : i == index) {
            *found = raw;
            hit = true;
        }
    }
}

SCALAR(fn_extractjsonfield)
{
    struct str text = value_slice(args[0]), path = value_slice(args[1]), name;
    int64_t index = -1;
    if (!str_starts_with(path, STR("$"))) {
        func_fail(ctx, "Invalid JSON path: %.*s", STR_ARG(path));
        return;
    }
    path = str_sub(path, 1, path.len);
    while (path.len > 0) {
        if (!next_step(&path, &name, &index)) {
            func_fail(ctx, "Invalid JSON path: %.*s", STR_ARG(value_slice(args[1])));
            return;
        }
        if (!find_raw(ctx, text, name, index, &text))
            return;
    }
    const struct json_value *json = json_parse(text, ctx->arena, NULL);
    if (json != NULL)
        *out = plain(ctx, json);
}

SCALAR(fn_is_json_string)
{
    *out = value_bool(!value_is_null(args[0]) && parse(ctx, args[0]) != NULL);
}

static bool is_whole_text(struct str number)
{
    for (size_t i = 0; i < number.len; i++)
        if (strchr(".eE", number.ptr[i]) != NULL)
            return false;
    return true;
}

static bool element_equals(const struct json_value *json, struct value v, struct arena *arena)
{
    int64_t l;
    double d;
    switch (v.kind) {
    case SQL_NULL:
        return json->kind == JSON_NULL;
    case SQL_BOOLEAN:
        return json->kind == JSON_BOOL && json->b == v.b;
    case SQL_STRING:
        return json->kind == JSON_STRING && str_eq(json->str, value_slice(v));
    case SQL_INTEGER:
    case SQL_BIGINT:
        return json->kind == JSON_NUMBER && is_whole_text(json->str) && json_to_i64(json, &l) && l == v.l;
    case SQL_DOUBLE:
        return json->kind == JSON_NUMBER && json_to_double(json, &d) && d == v.d;
    case SQL_DECIMAL: {
        const struct decimal *dec = json->kind == JSON_NUMBER ? decimal_parse(json->str, arena) : NULL;
        return dec != NULL && decimal_cmp(dec, v.dec) == 0;
    }
    default:
        return false;
    }
}

static const struct json_value *parse_as(struct func_ctx *ctx, struct value text, enum json_kind kind)
{
    const struct json_value *json = value_is_null(text) ? NULL : parse(ctx, text);
    return json != NULL && json->kind == kind ? json : NULL;
}

SCALAR(fn_array_contains)
{
    const struct json_value *json = parse_as(ctx, args[0], JSON_ARRAY);
    bool found = false;
    for (uint32_t i = 0; json != NULL && i < json->len && !found; i++)
        found = element_equals(&json->elems[i], args[1], ctx->arena);
    *out = value_bool(found);
}

SCALAR(fn_array_length)
{
    const struct json_value *json = parse_as(ctx, args[0], JSON_ARRAY);
    if (json != NULL)
        *out = value_int((int32_t)json->len);
}

SCALAR(fn_items)
{
    const struct json_value *json = parse_as(ctx, args[0], JSON_ARRAY);
    if (json == NULL)
        return;
    struct value *items = func_values(ctx, json->len);
    for (uint32_t i = 0; i < json->len; i++)
        items[i] = compact(ctx, &json->elems[i]);
    *out = value_nested(SQL_ARRAY, items, json->len);
}

/* Whether a later member has the name of member i. */
static bool is_overridden(const struct json_value *json, uint32_t i)
{
    for (uint32_t k = i + 1; k < json->len; k++)
        if (str_eq(json->members[k].name, json->members[i].name))
            return true;
    return false;
}

SCALAR(fn_keys)
{
    const struct json_value *json = parse_as(ctx, args[0], JSON_OBJECT);
    if (json == NULL)
        return;
    struct value *keys = func_values(ctx, json->len);
    uint32_t count = 0;
    for (uint32_t i = 0; i < json->len; i++)
        if (!is_overridden(json, i))
            keys[count++] = value_str(json->members[i].name);
    *out = value_nested(SQL_ARRAY, keys, count);
}

SCALAR(fn_records)
{
    const struct json_value *json = parse_as(ctx, args[0], JSON_OBJECT);
    if (json == NULL)
        return;
    struct value *entries = func_values(ctx, 2 * (size_t)json->len);
    uint32_t count = 0;
    for (uint32_t i = 0; i < json->len; i++) {
        const struct json_value *value = &json->members[i].value;
        if (is_overridden(json, i))
            continue;
        entries[2 * count] = value_str(json->members[i].name);
        entries[2 * count++ + 1] = value->kind == JSON_STRING ? value_str(value->str) : compact(ctx, value);
    }
    *out = value_nested(SQL_MAP, entries, count);
}

/* Members of both; of equal names the second one's value at the first one's place. */
static void merge_objects(struct json_value *a, const struct json_value *b, struct arena *arena)
{
    struct json_member *members = arena_array(arena, struct json_member, a->len + b->len);
    if (a->len != 0)
        memcpy(members, a->members, a->len * sizeof *members);
    for (uint32_t i = 0; i < b->len; i++) {
        uint32_t at = 0;
        while (at < a->len && !str_eq(members[at].name, b->members[i].name))
            at++;
        members[at] = b->members[i];
        a->len = MAX(a->len, at + 1);
    }
    a->members = members;
}

/* Arrays are joined; a value that is none counts as an array of itself. */
static void join_arrays(struct json_value *a, const struct json_value *b, struct arena *arena)
{
    struct json_value left = *a, right = *b;
    const struct json_value *from[] = {left.kind == JSON_ARRAY ? left.elems : &left,
                                       right.kind == JSON_ARRAY ? right.elems : &right};
    uint32_t counts[] = {left.kind == JSON_ARRAY ? left.len : 1, right.kind == JSON_ARRAY ? right.len : 1};
    struct json_value *elems = arena_array(arena, struct json_value, counts[0] + counts[1]);
    if (counts[0] > 0)
        memcpy(elems, from[0], counts[0] * sizeof *elems);
    if (counts[1] > 0)
        memcpy(elems + counts[0], from[1], counts[1] * sizeof *elems);
    *a = (struct json_value){.kind = JSON_ARRAY, .len = counts[0] + counts[1], .elems = elems};
}

SCALAR(fn_concat)
{
    struct json_value all = {0};
    for (uint32_t i = 0; i < arg_count; i++) {
        const struct json_value *json = value_is_null(args[i]) ? NULL : parse(ctx, args[i]);
        if (json == NULL)
            return;
        if (i == 0)
            all = *json;
        else if (all.kind == JSON_OBJECT && json->kind == JSON_OBJECT)
            merge_objects(&all, json, ctx->arena);
        else
            join_arrays(&all, json, ctx->arena);
    }
    if (arg_count > 0)
        *out = compact(ctx, &all);
}

static void write_value(struct json_writer *writer, struct value v, const struct sql_type *type);

static void write_text(struct json_writer *writer, struct value v, const struct sql_type *type)
{
    struct buf text = {0};
    value_print(v, type, &text);
    json_str(writer, buf_str(&text));
    buf_fini(&text);
}

static void write_key(struct json_writer *writer, struct value v, const struct sql_type *type)
{
    struct buf text = {0};
    value_print(v, type, &text);
    json_key(writer, buf_str(&text));
    buf_fini(&text);
}

static void write_nested(struct json_writer *writer, struct value v, const struct sql_type *type)
{
    bool array = v.kind == SQL_ARRAY;
    array ? json_array_begin(writer) : json_object_begin(writer);
    for (uint32_t i = 0; i < v.len; i++) {
        switch (v.kind) {
        case SQL_ARRAY:
            write_value(writer, v.elems[i], type->elem);
            break;
        case SQL_MAP:
            write_key(writer, v.elems[2 * i], type->key);
            write_value(writer, v.elems[2 * i + 1], type->elem);
            break;
        default:
            json_key(writer, type->fields[i].name);
            write_value(writer, v.elems[i], type->fields[i].type);
            break;
        }
    }
    array ? json_array_end(writer) : json_object_end(writer);
}

static void write_value(struct json_writer *writer, struct value v, const struct sql_type *type)
{
    struct buf text = {0};
    switch (v.kind) {
    case SQL_NULL:
        json_null(writer);
        break;
    case SQL_BOOLEAN:
        json_bool(writer, v.b);
        break;
    case SQL_INTEGER:
    case SQL_BIGINT:
        json_i64(writer, v.l);
        break;
    case SQL_DOUBLE:
        json_double(writer, v.d);
        break;
    case SQL_DECIMAL:
        decimal_print(v.dec, &text);
        json_raw(writer, buf_str(&text));
        break;
    case SQL_STRING:
        json_str(writer, value_slice(v));
        break;
    case SQL_BYTES:
        json_base64(writer, value_slice(v));
        break;
    case SQL_DATE:
    case SQL_TIME:
    case SQL_TIMESTAMP:
        write_text(writer, v, type);
        break;
    default:
        write_nested(writer, v, type);
        break;
    }
    buf_fini(&text);
}

SCALAR(fn_to_json_string)
{
    struct buf text = {0};
    struct json_writer writer = {.out = &text};
    write_value(&writer, args[0], ctx->call->params[0]);
    *out = func_take_text(ctx, &text);
}

static const struct func_sig extract_sigs[] = {
    {"(input STRING, path STRING) STRING", .scalar = fn_extractjsonfield, .strict = true}};
static const struct func_sig is_json_sigs[] = {{"(input STRING) BOOLEAN", .scalar = fn_is_json_string}};
static const struct func_sig contains_sigs[] = {
    {"(jsonArray STRING, val T) BOOLEAN", .scalar = fn_array_contains}};
static const struct func_sig length_sigs[] = {{"(jsonArray STRING) INTEGER", .scalar = fn_array_length}};
static const struct func_sig concat_sigs[] = {{"(jsonStrings STRING...) STRING", .scalar = fn_concat}};
static const struct func_sig items_sigs[] = {{"(jsonItems STRING) ARRAY<STRING>", .scalar = fn_items}};
static const struct func_sig keys_sigs[] = {{"(jsonObj STRING) ARRAY<STRING>", .scalar = fn_keys}};
static const struct func_sig records_sigs[] = {
    {"(jsonObj STRING) MAP<STRING, STRING>", .scalar = fn_records}};
static const struct func_sig to_json_sigs[] = {{"(input T) STRING", .scalar = fn_to_json_string}};

#define JSON(name, sigs, text) FUNC(name, "JSON", FUNC_SCALAR, sigs, text)

static const struct func funcs[] = {
    JSON("extractjsonfield", extract_sigs, "The value at a path such as $.a.b[0] in a JSON text."),
    JSON("is_json_string", is_json_sigs, "Whether a text is JSON."),
    JSON("json_array_contains", contains_sigs,
         "Whether the JSON array in a text has an element equal to a value."),
    JSON("json_array_length", length_sigs, "The number of elements of the JSON array in a text."),
    JSON("json_concat", concat_sigs, "Merges JSON objects, joins JSON arrays; other mixes become arrays."),
    JSON("json_items", items_sigs, "The elements of the JSON array in a text, as JSON texts."),
    JSON("json_keys", keys_sigs, "The names of the members of the JSON object in a text."),
    JSON("json_records", records_sigs, "The members of the JSON object in a text as a map of texts."),
    JSON("to_json_string", to_json_sigs, "Any value as JSON text."),
};

const struct func_family family_json = {funcs, COUNT_OF(funcs)};
