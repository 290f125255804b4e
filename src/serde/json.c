/* json.c - JSON records: objects of all columns, or one bare value.
 *
 *   decode  json_columns_read -> {kind, slice} a column -> serde_json_field: coercions of reference 2.4
 *             scalars are converted at once; arrays and objects are read with the scanner, down their type
 *   encode  ,"NAME": texts are made once; values follow
 *
 * (R1) What can be coerced is the table in reference 2.4; all else is "Can't convert type. sourceType:
 *      TextNode, requiredType: INTEGER, path: $.A", node names being Jackson's, which users know from their
 *      logs.
 * (R2) Every member is checked, wanted or not, so a broken record is an error whatever the query reads of it.
 */
#include "serde/serde_int.h"

#include "type/decimal.h"
#include "type/time_format.h"

static void print_path(const struct serde_path *path, struct buf *out)
{
    if (path->parent == NULL) {
        buf_append_str(out, path->name);
        return;
    }
    print_path(path->parent, out);
    if (str_is_null(path->name))
        buf_printf(out, "[%u]", path->index);
    else
        buf_printf(out, ".%.*s", STR_ARG(path->name));
}

static const char *node_name(struct json_field field)
{
    int64_t n;
    switch ((enum json_field_kind)field.kind) {
    case JSON_FIELD_ABSENT:
    case JSON_FIELD_NULL:
        return "NullNode";
    case JSON_FIELD_TRUE:
    case JSON_FIELD_FALSE:
        return "BooleanNode";
    case JSON_FIELD_NUMBER:
        if (str_to_i64(field.text, &n))
            return n == (int32_t)n ? "IntNode" : "LongNode";
        return memchr(field.text.ptr, '.', field.text.len) != NULL ? "DecimalNode" : "BigIntegerNode";
    case JSON_FIELD_STRING:
        return "TextNode";
    case JSON_FIELD_ARRAY:
        return "ArrayNode";
    case JSON_FIELD_OBJECT:
        return "ObjectNode";
    }
    UNREACHABLE();
}

static bool refuse(struct json_field field, const struct sql_type *type, const struct serde_path *path,
                   struct err *err)
{
    struct buf text = {0};
    type_print(type, &text);
    buf_append_cstr(&text, ", path: ");
    print_path(path, &text);
    err_set(err, ERR_SERIALIZATION, "Can't convert type. sourceType: %s, requiredType: %.*s",
            node_name(field), STR_ARG(buf_str(&text)));
    buf_fini(&text);
    return false;
}

/* The low 64 bits of a number, its fraction cut: what BigDecimal.longValue gives. */
static bool integer_of_text(struct str text, int64_t *n)
{
    if (str_to_i64(text, n))
        return true;
    struct arena arena = {0};
    const struct decimal *dec = decimal_parse(text, &arena);
    if (dec != NULL)
        *n = decimal_to_i64(dec);
    arena_fini(&arena);
    return dec != NULL;
}

/* INTEGER and the types that are kept as one: from a number, or from text that is a whole number in range. */
static bool read_integer(struct json_field field, enum sql_kind kind, struct value *out)
{
    int64_t n;
    if (field.kind == JSON_FIELD_NUMBER) {
        if (!integer_of_text(field.text, &n))
            return false;
    } else if (field.kind != JSON_FIELD_STRING || !str_to_i64(field.text, &n) ||
               (kind == SQL_INTEGER && n != (int32_t)n)) {
        return false;
    }
    *out = value_temporal(kind, kind == SQL_INTEGER ? (int32_t)n : n);
    return true;
}

static bool read_double(struct json_field field, struct value *out)
{
    double d;
    if ((field.kind != JSON_FIELD_NUMBER && field.kind != JSON_FIELD_STRING) ||
        !serde_read_double(field.text, &d))
        return false;
    *out = value_double(d);
    return true;
}

static bool read_decimal(struct json_field field, const struct sql_type *type, const struct serde_path *path,
                         struct value *out, struct arena *arena, struct err *err)
{
    const struct decimal *dec = NULL;
    if (field.kind == JSON_FIELD_NUMBER || field.kind == JSON_FIELD_STRING)
        dec = decimal_parse(field.text, arena);
    if (dec == NULL)
        return refuse(field, type, path, err);
    dec = decimal_fit_exactly(dec, type->precision, type->scale, arena, err);
    *out = value_decimal(dec);
    return dec != NULL;
}

static bool read_bytes(struct json_field field, struct value *out, struct arena *arena)
{
    if (field.kind != JSON_FIELD_STRING)
        return false;
    struct buf bytes = {0};
    bool ok = buf_append_base64_decoded(&bytes, field.text);
    if (ok)
        *out = value_bytes(str_dup(buf_str(&bytes), arena));
    buf_fini(&bytes);
    return ok;
}

/* A field of a value that the scanner stands on; containers are passed over and checked. */
static bool scan_field(struct json_scan *scan, struct json_field *field)
{
    struct json_scan before = *scan;
    struct json_token token;
    if (!json_scan_value(scan, &token))
        return false;
    static const uint8_t kinds[] = {[JSON_NULL] = JSON_FIELD_NULL,     [JSON_BOOL] = JSON_FIELD_FALSE,
                                    [JSON_NUMBER] = JSON_FIELD_NUMBER, [JSON_STRING] = JSON_FIELD_STRING,
                                    [JSON_ARRAY] = JSON_FIELD_ARRAY,   [JSON_OBJECT] = JSON_FIELD_OBJECT};
    *field = (struct json_field){.kind = token.b ? JSON_FIELD_TRUE : kinds[token.kind], .text = token.str};
    if (token.kind != JSON_ARRAY && token.kind != JSON_OBJECT)
        return true;
    *scan = before;
    return json_scan_skip(scan, &field->text);
}

static bool append_text(struct json_field field, struct buf *out, struct arena *arena, struct err *err);

/* [a, b]: elements as texts, so strings without quotes. */
static bool append_array_text(struct str raw, struct buf *out, struct arena *arena, struct err *err)
{
    struct json_scan scan;
    struct json_token open;
    json_scan_init(&scan, raw, arena, err);
    buf_append_char(out, '[');
    if (!json_scan_value(&scan, &open))
        return false;
    for (bool more, first = true;; first = false) {
        struct json_field field;
        if (!json_scan_element(&scan, &more))
            return false;
        if (!more)
            break;
        buf_append_cstr(out, first ? "" : ", ");
        if (!scan_field(&scan, &field) || !append_text(field, out, arena, err))
            return false;
    }
    buf_append_char(out, ']');
    return json_scan_end(&scan);
}

/* Any value as text: objects as compact JSON. */
static bool append_text(struct json_field field, struct buf *out, struct arena *arena, struct err *err)
{
    if (field.kind == JSON_FIELD_ARRAY)
        return append_array_text(field.text, out, arena, err);
    if (field.kind == JSON_FIELD_OBJECT) {
        const struct json_value *tree = json_parse(field.text, arena, err);
        struct json_writer writer = {.out = out};
        if (tree != NULL)
            json_tree(&writer, tree);
        return tree != NULL;
    }
    if (field.kind == JSON_FIELD_STRING || field.kind == JSON_FIELD_NUMBER)
        buf_append_str(out, field.text);
    else
        buf_append_cstr(out, field.kind == JSON_FIELD_TRUE    ? "true"
                             : field.kind == JSON_FIELD_FALSE ? "false"
                                                              : "null");
    return true;
}

static bool read_string(struct json_field field, struct value *out, struct arena *arena, struct err *err)
{
    if (field.kind == JSON_FIELD_STRING || field.kind == JSON_FIELD_NUMBER) {
        *out = value_str(field.text);
        return true;
    }
    struct buf text = {0};
    bool ok = append_text(field, &text, arena, err);
    if (ok)
        *out = value_str(str_dup(buf_str(&text), arena));
    buf_fini(&text);
    return ok;
}

/* Values of a container while it is read; the heap run is copied to the arena once its length is known. */
struct elems {
    vec(struct value) at;
};

static struct value elems_take(struct elems *elems, enum sql_kind kind, uint32_t len, struct arena *arena)
{
    struct value v =
        value_nested(kind, arena_dup(arena, elems->at.at, elems->at.len * sizeof(struct value)), len);
    vec_fini(&elems->at);
    return v;
}

static bool read_array(struct str raw, const struct sql_type *type, const struct serde_path *path,
                       struct value *out, struct arena *arena, struct err *err)
{
    struct json_scan scan;
    struct json_token open;
    struct elems elems = {0};
    json_scan_init(&scan, raw, arena, err);
    bool more = true, ok = json_scan_value(&scan, &open);
    for (uint32_t i = 0; ok; i++) {
        struct json_field field;
        struct serde_path here = {.parent = path, .index = i};
        struct value v;
        ok = json_scan_element(&scan, &more);
        if (!ok || !more)
            break;
        ok = scan_field(&scan, &field) && serde_json_field(field, type->elem, &here, &v, arena, err);
        if (ok)
            vec_push(&elems.at, v);
    }
    ok = ok && json_scan_end(&scan);
    *out = elems_take(&elems, SQL_ARRAY, (uint32_t)elems.at.len, arena);
    return ok;
}

/* A key seen before takes the new value and keeps its place. */
static void map_put_value(struct elems *elems, struct value key, struct value v)
{
    for (size_t i = 0; i < elems->at.len; i += 2)
        if (value_eq(elems->at.at[i], key)) {
            elems->at.at[i + 1] = v;
            return;
        }
    vec_push(&elems->at, key);
    vec_push(&elems->at, v);
}

static bool read_map(struct str raw, const struct sql_type *type, const struct serde_path *path,
                     struct value *out, struct arena *arena, struct err *err)
{
    struct json_scan scan;
    struct json_token open;
    struct elems elems = {0};
    json_scan_init(&scan, raw, arena, err);
    bool more = true, ok = json_scan_value(&scan, &open);
    while (ok) {
        struct serde_path here = {.parent = path};
        struct json_field field;
        struct value key, v;
        ok = json_scan_member(&scan, &here.name, &more);
        if (!ok || !more)
            break;
        struct json_field key_field = {.kind = JSON_FIELD_STRING, .text = here.name};
        ok = scan_field(&scan, &field) && serde_json_field(key_field, type->key, &here, &key, arena, err) &&
             serde_json_field(field, type->elem, &here, &v, arena, err);
        if (ok)
            map_put_value(&elems, key, v);
    }
    ok = ok && json_scan_end(&scan);
    *out = elems_take(&elems, SQL_MAP, (uint32_t)elems.at.len / 2, arena);
    return ok;
}

/* Which of the type's fields a member belongs to: the name itself, or its upper-cased form. */
static bool name_fits(struct str name, struct str field_name, bool *exact)
{
    *exact = str_eq(name, field_name);
    if (*exact)
        return true;
    if (name.len != field_name.len)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if ((c >= 'a' && c <= 'z' ? c - 32 : c) != field_name.ptr[i])
            return false;
    }
    return true;
}

static bool read_struct(struct str raw, const struct sql_type *type, const struct serde_path *path,
                        struct value *out, struct arena *arena, struct err *err)
{
    struct json_scan scan;
    struct json_token open;
    struct json_field *found = arena_array(arena, struct json_field, type->field_count);
    struct str name;
    bool more;
    json_scan_init(&scan, raw, arena, err);
    if (!json_scan_value(&scan, &open))
        return false;
    for (;;) {
        struct json_field field;
        if (!json_scan_member(&scan, &name, &more))
            return false;
        if (!more)
            break;
        if (!scan_field(&scan, &field))
            return false;
        for (uint32_t i = 0; i < type->field_count; i++) {
            if (!name_fits(name, type->fields[i].name, &field.exact) || (found[i].exact && !field.exact))
                continue;
            found[i] = field;
        }
    }
    struct value *fields = arena_alloc(arena, type->field_count * sizeof *fields);
    for (uint32_t i = 0; i < type->field_count; i++) {
        struct serde_path here = {.parent = path, .name = type->fields[i].name};
        if (!serde_json_field(found[i], type->fields[i].type, &here, &fields[i], arena, err))
            return false;
    }
    *out = value_nested(SQL_STRUCT, fields, type->field_count);
    return json_scan_end(&scan);
}

bool serde_json_field(struct json_field field, const struct sql_type *type, const struct serde_path *path,
                      struct value *out, struct arena *arena, struct err *err)
{
    bool ok = false;
    *out = VALUE_NULL;
    if (field.kind == JSON_FIELD_ABSENT || field.kind == JSON_FIELD_NULL)
        return true;
    switch (type->kind) {
    case SQL_BOOLEAN:
        *out = value_bool(field.kind == JSON_FIELD_TRUE);
        ok = field.kind == JSON_FIELD_TRUE || field.kind == JSON_FIELD_FALSE;
        break;
    case SQL_INTEGER:
    case SQL_BIGINT:
    case SQL_DATE:
    case SQL_TIME:
    case SQL_TIMESTAMP:
        ok = read_integer(field, type->kind, out);
        break;
    case SQL_DOUBLE:
        ok = read_double(field, out);
        break;
    case SQL_DECIMAL:
        return read_decimal(field, type, path, out, arena, err);
    case SQL_STRING:
        return read_string(field, out, arena, err);
    case SQL_BYTES:
        ok = read_bytes(field, out, arena);
        break;
    case SQL_ARRAY:
        if (field.kind == JSON_FIELD_ARRAY)
            return read_array(field.text, type, path, out, arena, err);
        break;
    case SQL_MAP:
        if (field.kind == JSON_FIELD_OBJECT)
            return read_map(field.text, type, path, out, arena, err);
        break;
    case SQL_STRUCT:
        if (field.kind == JSON_FIELD_OBJECT)
            return read_struct(field.text, type, path, out, arena, err);
        break;
    case SQL_NULL:
    case SQL_KIND_COUNT:
        break;
    }
    return ok || refuse(field, type, path, err);
}

bool serde_value_of_json(struct str text, const struct sql_type *type, struct str path, struct value *out,
                         struct arena *arena, struct err *err)
{
    struct json_scan scan;
    struct json_field field;
    struct serde_path root = {.name = path};
    json_scan_init(&scan, text, arena, err);
    return scan_field(&scan, &field) && json_scan_end(&scan) &&
           serde_json_field(field, type, &root, out, arena, err);
}

/* Writing -------------------------------------------------------------------------------------- */

static void write_temporal(struct value v, enum serde_json_form form, struct json_writer *writer)
{
    if (form == SERDE_JSON_RECORD) {
        json_i64(writer, v.l);
        return;
    }
    struct buf text = {0};
    value_print(v, type_of_kind(v.kind), &text);
    json_str(writer, buf_str(&text));
    buf_fini(&text);
}

static void write_decimal(struct value v, struct json_writer *writer)
{
    json_raw(writer, STR("")); /* only the comma */
    decimal_print(v.dec, writer->out);
}

static void write_map_key(struct value key, const struct sql_type *type, struct json_writer *writer)
{
    if (key.kind == SQL_STRING) {
        json_key(writer, value_slice(key));
        return;
    }
    struct buf text = {0};
    value_print(key, type, &text);
    json_key(writer, buf_str(&text));
    buf_fini(&text);
}

static void write_nested(struct value v, const struct sql_type *type, enum serde_json_form form,
                         struct json_writer *writer)
{
    if (v.kind == SQL_ARRAY) {
        json_array_begin(writer);
        for (uint32_t i = 0; i < v.len; i++)
            serde_value_to_json(v.elems[i], type->elem, form, writer);
        json_array_end(writer);
        return;
    }
    json_object_begin(writer);
    for (uint32_t i = 0; i < v.len; i++) {
        bool map = v.kind == SQL_MAP;
        if (map)
            write_map_key(v.elems[2 * i], type->key, writer);
        else
            json_key(writer, type->fields[i].name);
        serde_value_to_json(v.elems[map ? 2 * i + 1 : i], map ? type->elem : type->fields[i].type, form,
                            writer);
    }
    json_object_end(writer);
}

void serde_value_to_json(struct value v, const struct sql_type *type, enum serde_json_form form,
                         struct json_writer *writer)
{
    switch ((enum sql_kind)v.kind) {
    case SQL_NULL:
        json_null(writer);
        return;
    case SQL_BOOLEAN:
        json_bool(writer, v.b);
        return;
    case SQL_INTEGER:
    case SQL_BIGINT:
        json_i64(writer, v.l);
        return;
    case SQL_DOUBLE:
        json_double(writer, v.d);
        return;
    case SQL_DECIMAL:
        write_decimal(v, writer);
        return;
    case SQL_STRING:
        json_str(writer, v.len != 0 ? value_slice(v) : STR(""));
        return;
    case SQL_BYTES:
        json_base64(writer, value_slice(v));
        return;
    case SQL_DATE:
    case SQL_TIME:
    case SQL_TIMESTAMP:
        write_temporal(v, form, writer);
        return;
    case SQL_ARRAY:
    case SQL_MAP:
    case SQL_STRUCT:
        write_nested(v, type, form, writer);
        return;
    case SQL_KIND_COUNT:
        break;
    }
    UNREACHABLE();
}

/* The format ----------------------------------------------------------------------------------- */

static void json_open(struct serde *serde)
{
    if (!serde->wrapped)
        return;
    struct str *names = mem_zalloc(serde->column_count, sizeof *names);
    serde->member_name_ends = mem_zalloc(serde->column_count, sizeof *serde->member_name_ends);
    for (uint32_t i = 0; i < serde->column_count; i++) {
        names[i] = serde->columns[i].name;
        buf_append_char(&serde->member_names, i == 0 ? '{' : ',');
        json_append_string(&serde->member_names, names[i]);
        buf_append_char(&serde->member_names, ':');
        serde->member_name_ends[i] = (uint32_t)serde->member_names.len;
    }
    serde->json = json_columns_new(names, serde->column_count);
    serde->fields = mem_zalloc(serde->column_count, sizeof *serde->fields);
    free(names);
}

static void json_close(struct serde *serde)
{
    json_columns_free(serde->json);
    buf_fini(&serde->member_names);
    free(serde->member_name_ends);
    free(serde->fields);
}

/* Empty bytes, and the text null. */
static bool json_is_null(struct str bytes)
{
    enum json_kind kind;
    if (bytes.len != 0 && bytes.ptr[0] == '{') /* the usual case, for the record path */
        return false;
    if (!json_peek_kind(bytes, &kind))
        return true;
    return kind == JSON_NULL && str_eq_cstr(str_trim(bytes), "null");
}

static bool decode_wrapped(struct serde *serde, struct str bytes, struct value *const *cols, uint32_t row,
                           const bool *wanted, struct arena *arena, struct err *err)
{
    if (!json_columns_read(serde->json, bytes, serde->padded, wanted, serde->fields, arena, err))
        return false;
    struct serde_path root = {.name = STR("$")};
    for (uint32_t i = 0; i < serde->column_count; i++) {
        if (wanted != NULL && !wanted[i])
            continue;
        struct serde_path path = {.parent = &root, .name = serde->columns[i].name};
        if (!serde_json_field(serde->fields[i], serde->columns[i].type, &path, &cols[i][row], arena, err))
            return false;
    }
    return true;
}

/* The whole record is no object: the error names the record's type, as a struct of its columns. */
static bool refuse_record(struct serde *serde, struct str bytes, struct arena *arena, struct err *err)
{
    struct sql_field *fields = arena_array(arena, struct sql_field, serde->column_count);
    for (uint32_t i = 0; i < serde->column_count; i++)
        fields[i] = (struct sql_field){serde->columns[i].name, serde->columns[i].type};
    struct value ignored;
    return serde_value_of_json(bytes, type_struct(fields, serde->column_count, arena), STR("$"), &ignored,
                               arena, err);
}

static bool json_decode(struct serde *serde, struct str bytes, struct value *const *cols, uint32_t row,
                        const bool *wanted, struct arena *arena, struct err *err)
{
    if (serde->wrapped) {
        enum json_kind kind;
        if (bytes.ptr[0] != '{' && json_peek_kind(bytes, &kind) && kind != JSON_OBJECT)
            return refuse_record(serde, bytes, arena, err);
        return decode_wrapped(serde, bytes, cols, row, wanted, arena, err);
    }
    struct value v;
    if (!serde_value_of_json(bytes, serde->columns[0].type, STR("$"), &v, arena, err))
        return false;
    if (wanted == NULL || wanted[0])
        cols[0][row] = v;
    return true;
}

static bool json_encode(struct serde *serde, const struct value *const *cols, uint32_t row, struct buf *out,
                        struct err *err)
{
    struct json_writer writer = {.out = out};
    if (!serde->wrapped) {
        serde_value_to_json(cols[0][row], serde->columns[0].type, SERDE_JSON_RECORD, &writer);
        return true;
    }
    uint32_t from = 0;
    for (uint32_t i = 0; i < serde->column_count; i++) {
        uint32_t end = serde->member_name_ends[i];
        buf_append(out, serde->member_names.ptr + from, end - from);
        writer.comma = false; /* it is part of the name */
        serde_value_to_json(cols[i][row], serde->columns[i].type, SERDE_JSON_RECORD, &writer);
        from = end;
    }
    buf_append_char(out, '}');
    return true;
}

const struct serde_class serde_class_json = {
    .open = json_open,
    .close = json_close,
    .is_null = json_is_null,
    .decode = json_decode,
    .encode = json_encode,
};
