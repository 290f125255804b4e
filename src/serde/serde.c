/* serde.c - making serdes, and what all formats share: null records, error frames, windowed keys. */
#include "serde/serde_int.h"

#include <math.h>

static const struct {
    struct str name;
    const struct serde_class *class; /* NULL: NONE, which has no bytes */
} classes[] = {
    {STR_INIT("NONE"), NULL},
    {STR_INIT("KAFKA"), &serde_class_kafka},
    {STR_INIT("DELIMITED"), &serde_class_delimited},
    {STR_INIT("JSON"), &serde_class_json},
};

static const struct serde_class *class_of(const struct serde_format *format)
{
    for (size_t i = 0; i < COUNT_OF(classes); i++)
        if (str_eq(classes[i].name, format->name))
            return classes[i].class;
    UNREACHABLE();
}

/* Several columns are always a record in formats that have records; a single one as asked, or by default. */
static bool is_wrapped(const struct serde_format *format, enum serde_side side, uint32_t column_count,
                       enum serde_wrap wrap)
{
    if (!format->wraps || column_count > 1)
        return format->wraps;
    if (!format->unwraps)
        return true;
    return wrap == SERDE_WRAP ||
           (wrap == SERDE_WRAP_DEFAULT && side == SERDE_VALUE && format->wraps_by_default);
}

struct serde *serde_new(const struct serde_format *format, enum serde_side side, const struct column *columns,
                        uint32_t column_count, const struct serde_options *options, struct err *err)
{
    static const struct serde_options defaults = {0};
    if (options == NULL)
        options = &defaults;
    if (!serde_check(format, side, columns, column_count, options, err))
        return NULL;
    if (!format->built) {
        err_set(err, ERR_UNSUPPORTED,
                "The '%.*s' format is not built into this version yet. Use JSON, DELIMITED or KAFKA.",
                STR_ARG(format->name));
        return NULL;
    }
    struct serde *serde = mem_new(struct serde);
    serde->format = format;
    serde->class = class_of(format);
    serde->side = side;
    serde->columns = columns;
    serde->column_count = column_count;
    serde->delimiter = options->delimiter != '\0' ? options->delimiter : ',';
    serde->wrapped = is_wrapped(format, side, column_count, options->wrap);
    buf_append_str(&serde->topic, options->topic);
    if (serde->class != NULL && serde->class->open != NULL)
        serde->class->open(serde);
    return serde;
}

void serde_free(struct serde *serde)
{
    if (serde == NULL)
        return;
    if (serde->class != NULL && serde->class->close != NULL)
        serde->class->close(serde);
    buf_fini(&serde->topic);
    free(serde);
}

void serde_set_padded(struct serde *serde, bool padded)
{
    serde->padded = padded;
}

bool serde_is_null(const struct serde *serde, struct str bytes)
{
    return str_is_null(bytes) ||
           (serde->class != NULL && serde->class->is_null != NULL && serde->class->is_null(bytes));
}

/* "Failed to deserialize value from topic: t. <reason>" */
static void frame_decode_error(const struct serde *serde, struct err *err)
{
    if (err == NULL)
        return;
    struct err inner = *err;
    struct str topic = buf_str(&serde->topic);
    err_set(err, ERR_SERIALIZATION, "Failed to deserialize %s%s%.*s. %s",
            serde->side == SERDE_KEY ? "key" : "value", topic.len != 0 ? " from topic: " : "", STR_ARG(topic),
            inner.text);
}

bool serde_decode(struct serde *serde, struct str bytes, struct value *const *cols, uint32_t row,
                  const bool *wanted, struct arena *arena, struct err *err)
{
    if (serde->column_count == 0)
        return true; /* whatever the bytes are, nobody reads them */
    if (serde_is_null(serde, bytes)) {
        for (uint32_t i = 0; i < serde->column_count; i++)
            if (wanted == NULL || wanted[i])
                cols[i][row] = VALUE_NULL;
        return true;
    }
    if (serde->class->decode(serde, bytes, cols, row, wanted, arena, err))
        return true;
    frame_decode_error(serde, err);
    return false;
}

bool serde_encode(struct serde *serde, const struct value *const *cols, uint32_t row, struct buf *out,
                  bool *null_record, struct err *err)
{
    bool bare = serde->column_count == 1 && !serde->wrapped;
    *null_record = serde->column_count == 0 || (bare && value_is_null(cols[0][row]));
    if (*null_record)
        return true;
    size_t start = out->len;
    if (serde->class->encode(serde, cols, row, out, err))
        return true;
    out->len = start;
    out->ptr[start] = '\0';
    return false;
}

bool serde_read_double(struct str text, double *out)
{
    if (str_to_double(text, out))
        return true;
    bool negative = text.len != 0 && text.ptr[0] == '-';
    struct str word = str_sub(text, negative, text.len);
    if (str_eq_cstr(word, "Infinity"))
        *out = negative ? -INFINITY : INFINITY;
    else if (str_eq_cstr(text, "NaN"))
        *out = NAN;
    else
        return false;
    return true;
}

enum { WINDOW_BYTES = 8 };

static void append_ms(struct buf *key, int64_t ms)
{
    store_be64(buf_extend(key, WINDOW_BYTES), (uint64_t)ms);
}

void serde_append_time_window(struct buf *key, int64_t start_ms)
{
    append_ms(key, start_ms);
}

void serde_append_session_window(struct buf *key, int64_t start_ms, int64_t end_ms)
{
    append_ms(key, end_ms);
    append_ms(key, start_ms);
}

static bool cut_ms(struct str *key, int64_t *ms, struct err *err)
{
    if (str_is_null(*key) || key->len < WINDOW_BYTES)
        return err_set(err, ERR_SERIALIZATION, "a windowed key of %zu bytes is too short to hold its window",
                       key->len);
    key->len -= WINDOW_BYTES;
    *ms = (int64_t)load_be64(key->ptr + key->len);
    return true;
}

bool serde_cut_time_window(struct str *key, int64_t *start_ms, struct err *err)
{
    return cut_ms(key, start_ms, err);
}

bool serde_cut_session_window(struct str *key, int64_t *start_ms, int64_t *end_ms, struct err *err)
{
    struct str whole = *key;
    if (cut_ms(key, start_ms, err) && cut_ms(key, end_ms, err))
        return true;
    *key = whole;
    return false;
}
