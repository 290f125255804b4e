/* delimited.c - one CSV record a row, as Commons CSV reads and writes it with its default settings.
 *
 *     1,"say ""hi""",,2.50      fields; the third is NULL
 *
 * Read: a field that begins with a quote ends at its single quote, and only white space may follow it; the
 * record ends at a line break outside quotes, empty lines before it are passed over. Written: minimal
 * quotes (needs_quotes).
 */
#include "serde/serde_int.h"

#include "type/decimal.h"

struct csv {
    const char *at, *end;
    char delimiter;
    struct arena *arena;
    struct err *err;
};

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

/* The inside of a quoted field, whose opening quote is at csv->at. */
static bool read_quoted(struct csv *csv, struct str *out)
{
    const char *first = ++csv->at;
    char *copy = NULL; /* made at the first doubled quote */
    size_t len = 0;
    for (;; csv->at++) {
        if (csv->at == csv->end)
            return err_set(csv->err, ERR_SERIALIZATION,
                           "(startline 1) EOF reached before encapsulated token finished");
        if (*csv->at == '"') {
            if (csv->at + 1 == csv->end || csv->at[1] != '"')
                break;
            if (copy == NULL)
                copy = memcpy(arena_alloc_bytes(csv->arena, (size_t)(csv->end - first)), first, len);
            csv->at++;
        }
        if (copy != NULL)
            copy[len] = *csv->at;
        len++;
    }
    *out = str_of(copy != NULL ? copy : first, len);
    for (csv->at++; csv->at < csv->end && *csv->at != csv->delimiter && !is_line_end(*csv->at); csv->at++)
        if (*csv->at != ' ' && *csv->at != '\t')
            return err_set(csv->err, ERR_SERIALIZATION,
                           "(line 1) invalid char between encapsulated token and delimiter");
    return true;
}

/* The next field; *more says whether a delimiter follows it. */
static bool read_field(struct csv *csv, struct str *out, bool *more)
{
    if (csv->at < csv->end && *csv->at == '"') {
        if (!read_quoted(csv, out))
            return false;
    } else {
        const char *first = csv->at;
        while (csv->at < csv->end && *csv->at != csv->delimiter && !is_line_end(*csv->at))
            csv->at++;
        *out = str_of(first, (size_t)(csv->at - first));
    }
    *more = csv->at < csv->end && *csv->at == csv->delimiter;
    csv->at += *more;
    return true;
}

static bool bad_input(struct str text, struct err *err)
{
    return err_set(err, ERR_SERIALIZATION, "For input string: \"%.*s\"", STR_ARG(text));
}

static bool read_decimal(struct str text, const struct sql_type *type, struct value *out, struct arena *arena,
                         struct err *err)
{
    const struct decimal *dec = decimal_parse(text, arena);
    if (dec == NULL)
        return bad_input(text, err);
    dec = decimal_fit_exactly(dec, type->precision, type->scale, arena, err);
    *out = value_decimal(dec);
    return dec != NULL;
}

static bool read_bytes(struct str text, struct value *out, struct arena *arena, struct err *err)
{
    struct buf bytes = {0};
    bool ok = buf_append_base64_decoded(&bytes, text);
    *out = value_bytes(str_dup(buf_str(&bytes), arena));
    buf_fini(&bytes);
    return ok || err_set(err, ERR_SERIALIZATION, "Illegal base64 text: \"%.*s\"", STR_ARG(text));
}

static bool read_value(struct str text, const struct sql_type *type, struct value *out, struct arena *arena,
                       struct err *err)
{
    int64_t n;
    double d;
    *out = VALUE_NULL;
    if (text.len == 0)
        return true;
    switch (type->kind) {
    case SQL_BOOLEAN:
        *out = value_bool(str_eq_nocase(text, STR("true")));
        return true;
    case SQL_DOUBLE:
        if (!serde_read_double(text, &d))
            return bad_input(text, err);
        *out = value_double(d);
        return true;
    case SQL_DECIMAL:
        return read_decimal(text, type, out, arena, err);
    case SQL_STRING:
        *out = value_str(utf8_repair(text, arena));
        return true;
    case SQL_BYTES:
        return read_bytes(text, out, arena, err);
    default:
        if (!str_to_i64(text, &n) || (type->kind == SQL_INTEGER && n != (int32_t)n))
            return bad_input(text, err);
        *out = value_temporal(type->kind, n);
        return true;
    }
}

static bool wrong_count(const struct serde *serde, uint32_t count, struct err *err)
{
    return err_set(err, ERR_SERIALIZATION,
                   "Column count mismatch on deserialization. topic: %.*s, expected: %u, got: %u",
                   STR_ARG(buf_str(&serde->topic)), serde->column_count, count);
}

static bool delimited_decode(struct serde *serde, struct str bytes, struct value *const *cols, uint32_t row,
                             const bool *wanted, struct arena *arena, struct err *err)
{
    struct csv csv = {bytes.ptr, bytes.ptr + bytes.len, serde->delimiter, arena, err};
    while (csv.at < csv.end && is_line_end(*csv.at))
        csv.at++;
    if (csv.at == csv.end)
        return err_set(err, ERR_SERIALIZATION, "No fields in record");
    uint32_t count = 0;
    for (bool more = true; more; count++) {
        struct str text = STR_NULL;
        if (!read_field(&csv, &text, &more))
            return false;
        if (count < serde->column_count && (wanted == NULL || wanted[count]) &&
            !read_value(text, serde->columns[count].type, &cols[count][row], arena, err))
            return false;
    }
    return count == serde->column_count || wrong_count(serde, count, err);
}

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* Commons CSV's QuoteMode.MINIMAL. The first field of a record is quoted as soon as it does not begin with
 * a letter or a digit: "-1" would else begin with what might be a comment. */
static bool needs_quotes(struct str text, bool first, char delimiter)
{
    if (text.len == 0)
        return first; /* an empty line would have no field at all */
    uint8_t head = (uint8_t)text.ptr[0], tail = (uint8_t)text.ptr[text.len - 1];
    if ((first && !is_alnum(head)) || head <= '#' || tail <= ' ')
        return true;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '"' || text.ptr[i] == delimiter || is_line_end(text.ptr[i]))
            return true;
    return false;
}

static void write_field(struct str text, bool first, char delimiter, struct buf *out)
{
    bool quoted = needs_quotes(text, first, delimiter);
    if (!quoted) {
        buf_append_str(out, text);
        return;
    }
    buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            buf_append_char(out, '"');
        buf_append_char(out, text.ptr[i]);
    }
    buf_append_char(out, '"');
}

static bool delimited_encode(struct serde *serde, const struct value *const *cols, uint32_t row,
                             struct buf *out, struct err *err)
{
    struct buf text = {0};
    for (uint32_t i = 0; i < serde->column_count; i++) {
        struct value v = cols[i][row];
        if (i != 0)
            buf_append_char(out, serde->delimiter);
        if (value_is_null(v))
            continue;
        buf_clear(&text);
        if (v.kind == SQL_DATE || v.kind == SQL_TIME || v.kind == SQL_TIMESTAMP)
            buf_append_i64(&text, v.l);
        else if (v.kind != SQL_STRING)
            value_print(v, serde->columns[i].type, &text);
        write_field(v.kind == SQL_STRING ? value_slice(v) : buf_str(&text), i == 0, serde->delimiter, out);
    }
    buf_reserve(out, 0); /* a row of one empty field still makes a buffer */
    buf_fini(&text);
    return true;
}

const struct serde_class serde_class_delimited = {.decode = delimited_decode, .encode = delimited_encode};
