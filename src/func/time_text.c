/* time_text.c - dates and times from and to text by patterns of Java's DateTimeFormatter.
 *
 * Compiled patterns and zones are cached by the task's time_formats, so a pattern may come from a
 * column. The older functions (DATETOSTRING and its kin) do the same on plain numbers.
 */
#include "func/func_int.h"

#define SCALAR(name) \
    static void name(struct func_ctx *ctx, const struct value *args, uint32_t arg_count, struct value *out)

enum { DATE_TEXT_MAX = 64 }; /* no longer beginning of a text is tried as a date */

static const struct time_format *pattern_of(struct func_ctx *ctx, struct value pattern)
{
    struct err err = {0};
    const struct time_format *format = time_format_get(ctx->formats, value_slice(pattern), &err);
    if (format == NULL)
        func_fail_err(ctx, &err);
    return format;
}

static const struct time_zone *zone_of(struct func_ctx *ctx, const struct value *args, uint32_t count)
{
    struct err err = {0};
    if (count < 3)
        return time_zone_utc();
    const struct time_zone *zone = time_zone_get(ctx->formats, value_slice(args[2]), &err);
    if (zone == NULL)
        func_fail_err(ctx, &err);
    return zone;
}

static void format_with(struct func_ctx *ctx, const struct value *args, uint32_t count, enum sql_kind kind,
                        struct value *out)
{
    struct err err = {0};
    struct buf text = {0};
    bool done = false;
    const struct time_format *format = pattern_of(ctx, args[1]);
    const struct time_zone *zone = format ? zone_of(ctx, args, count) : NULL;
    if (zone == NULL)
        return;
    switch (kind) {
    case SQL_DATE:
        done = time_format_date(format, args[0].l, &text, &err);
        break;
    case SQL_TIME:
        done = time_format_time(format, args[0].l, &text, &err);
        break;
    default:
        done = time_format_timestamp(format, args[0].l, zone, &text, &err);
        break;
    }
    if (done)
        *out = func_take_text(ctx, &text);
    else
        func_fail_err(ctx, &err);
    buf_fini(&text);
}

static bool parse_with(struct func_ctx *ctx, const struct value *args, uint32_t count, enum sql_kind kind,
                       int64_t *out)
{
    struct err err = {0};
    bool done = false;
    const struct time_format *format = pattern_of(ctx, args[1]);
    const struct time_zone *zone = format ? zone_of(ctx, args, count) : NULL;
    if (zone == NULL)
        return false;
    switch (kind) {
    case SQL_DATE:
        done = time_format_parse_date(format, value_slice(args[0]), out, &err);
        break;
    case SQL_TIME:
        done = time_format_parse_time(format, value_slice(args[0]), out, &err);
        break;
    default:
        done = time_format_parse_timestamp(format, value_slice(args[0]), zone, out, &err);
        break;
    }
    if (!done)
        func_fail_err(ctx, &err);
    return done;
}

SCALAR(fn_format_date)
{
    format_with(ctx, args, arg_count, SQL_DATE, out);
}

SCALAR(fn_format_time)
{
    format_with(ctx, args, arg_count, SQL_TIME, out);
}

SCALAR(fn_format_timestamp)
{
    format_with(ctx, args, arg_count, SQL_TIMESTAMP, out);
}

/* PARSE_DATE takes a text that begins with a date and passes over the rest, as SimpleDateFormat does. */
SCALAR(fn_parse_date)
{
    struct err err = {0};
    int64_t days;
    const struct time_format *format = pattern_of(ctx, args[1]);
    struct str text = value_slice(args[0]);
    if (format == NULL)
        return;
    bool done = time_format_parse_date(format, text, &days, &err);
    for (size_t len = MIN(text.len, DATE_TEXT_MAX + 1); !done && len-- > 1;)
        done = time_format_parse_date(format, str_sub(text, 0, len), &days, NULL);
    if (done)
        *out = value_temporal(SQL_DATE, days);
    else
        func_fail_err(ctx, &err);
}

SCALAR(fn_parse_time)
{
    int64_t ms;
    if (parse_with(ctx, args, arg_count, SQL_TIME, &ms))
        *out = value_temporal(SQL_TIME, ms);
}

SCALAR(fn_parse_timestamp)
{
    int64_t ms;
    if (parse_with(ctx, args, arg_count, SQL_TIMESTAMP, &ms))
        *out = value_temporal(SQL_TIMESTAMP, ms);
}

SCALAR(fn_stringtodate)
{
    int64_t days;
    if (parse_with(ctx, args, arg_count, SQL_DATE, &days))
        *out = value_int((int32_t)days);
}

SCALAR(fn_stringtotimestamp)
{
    int64_t ms;
    if (parse_with(ctx, args, arg_count, SQL_TIMESTAMP, &ms))
        *out = value_bigint(ms);
}

static const struct func_sig datetostring_sigs[] = {
    {"(epochDays INTEGER, formatPattern STRING) STRING", .scalar = fn_format_date, .strict = true}};
static const struct func_sig format_date_sigs[] = {
    {"(date DATE, formatPattern STRING) STRING", .scalar = fn_format_date, .strict = true}};
static const struct func_sig format_time_sigs[] = {
    {"(time TIME, formatPattern STRING) STRING", .scalar = fn_format_time, .strict = true}};
static const struct func_sig format_timestamp_sigs[] = {
    {"(timestamp TIMESTAMP, formatPattern STRING) STRING", .scalar = fn_format_timestamp, .strict = true},
    {"(timestamp TIMESTAMP, formatPattern STRING, timeZone STRING) STRING", .scalar = fn_format_timestamp,
     .strict = true}};
static const struct func_sig parse_date_sigs[] = {
    {"(formattedDate STRING, formatPattern STRING) DATE", .scalar = fn_parse_date, .strict = true}};
static const struct func_sig parse_time_sigs[] = {
    {"(formattedTime STRING, formatPattern STRING) TIME", .scalar = fn_parse_time, .strict = true}};
static const struct func_sig parse_timestamp_sigs[] = {
    {"(formattedTimestamp STRING, formatPattern STRING) TIMESTAMP", .scalar = fn_parse_timestamp,
     .strict = true},
    {"(formattedTimestamp STRING, formatPattern STRING, timeZone STRING) TIMESTAMP",
     .scalar = fn_parse_timestamp, .strict = true}};
static const struct func_sig stringtodate_sigs[] = {
    {"(formattedDate STRING, formatPattern STRING) INTEGER", .scalar = fn_stringtodate, .strict = true}};
static const struct func_sig stringtotimestamp_sigs[] = {
    {"(formattedTimestamp STRING, formatPattern STRING) BIGINT", .scalar = fn_stringtotimestamp,
     .strict = true},
    {"(formattedTimestamp STRING, formatPattern STRING, timeZone STRING) BIGINT",
     .scalar = fn_stringtotimestamp, .strict = true}};
static const struct func_sig timestamptostring_sigs[] = {
    {"(epochMilli BIGINT, formatPattern STRING) STRING", .scalar = fn_format_timestamp, .strict = true},
    {"(epochMilli BIGINT, formatPattern STRING, timeZone STRING) STRING", .scalar = fn_format_timestamp,
     .strict = true}};

#define TIME(name, sigs, text) FUNC(name, "DATE / TIME", FUNC_SCALAR, sigs, text)

static const struct func funcs[] = {
    TIME("datetostring", datetostring_sigs,
         "Text of a number of days since 1970-01-01; FORMAT_DATE is its successor."),
    TIME("format_date", format_date_sigs, "Text of a date by a pattern."),
    TIME("format_time", format_time_sigs, "Text of a time of day by a pattern."),
    TIME("format_timestamp", format_timestamp_sigs, "Text of a timestamp by a pattern, in UTC or in a zone."),
    TIME("parse_date", parse_date_sigs, "The date that a text spells in a pattern."),
    TIME("parse_time", parse_time_sigs, "The time of day that a text spells in a pattern."),
    TIME("parse_timestamp", parse_timestamp_sigs,
         "The timestamp that a text spells in a pattern, in UTC or in a zone."),
    TIME("stringtodate", stringtodate_sigs, "Days since 1970-01-01 of a text; PARSE_DATE is its successor."),
    TIME("stringtotimestamp", stringtotimestamp_sigs,
         "Milliseconds since the epoch of a text; PARSE_TIMESTAMP is its successor."),
    TIME("timestamptostring", timestamptostring_sigs,
         "Text of milliseconds since the epoch; FORMAT_TIMESTAMP is its successor."),
};

const struct func_family family_time_text = {funcs, COUNT_OF(funcs)};
