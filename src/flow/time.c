/* time.c - windows over time, and columns that give a record its time.
 *
 * Stream time is kept by the operators that need it: the greatest row time that they have seen on their partition. Grace
 * is judged against it; nothing here or there looks at a clock.
 */
#include "flow/flow_int.h"

int64_t window_first_start(const struct plan_window *window, int64_t ts_ms)
{
    int64_t earliest = ts_ms - window->size_ms + window->advance_ms;
    return MAX(earliest, 0) / window->advance_ms * window->advance_ms;
}

static bool parse_text(struct str text, struct str format, struct time_formats *formats, int64_t *ms,
                       struct err *err)
{
    if (str_is_null(format))
        return expr_parse_instant(text, ms, err);
    const struct time_format *compiled = time_format_get(formats, format, err);
    return compiled != NULL && time_format_parse_timestamp(compiled, text, time_zone_utc(), ms, err);
}

bool timestamp_of_value(struct value v, const struct sql_type *type, struct str format,
                        struct time_formats *formats, int64_t *ms, struct err *err)
{
    if (value_is_null(v))
        return err_set(err, ERR_INVALID_TIMESTAMP, "the timestamp column is null");
    if (v.kind == SQL_STRING) {
        if (!parse_text(value_slice(v), format, formats, ms, err))
            return false;
    } else {
        *ms = v.l;
    }
    return *ms >= 0 || err_set(err, ERR_INVALID_TIMESTAMP, "the timestamp %" PRId64 " is negative", *ms);
}
