/* time.c - dates, times and timestamps: adding intervals, now, conversion between zones and numbers. */
#include "func/func_int.h"

#define SCALAR(name) \
    static void name(struct func_ctx *ctx, const struct value *args, uint32_t arg_count, struct value *out)

/* Milliseconds of a unit word, singular or plural; 0 for another word. */
static int64_t unit_ms(struct str word)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {
        {"MILLISECOND", 1}, {"SECOND", 1000}, {"MINUTE", 60000}, {"HOUR", 3600000}, {"DAY", TIME_DAY_MS}};
    if (word.len > 0 && (word.ptr[word.len - 1] | 0x20) == 's')
        word.len--;
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (str_eq_nocase(word, str_from(units[i].name)))
            return units[i].ms;
    return 0;
}

/* base + sign * count * unit, in ms; false when it does not fit. */
static bool shift(struct func_ctx *ctx, const struct value *args, int64_t base_ms, int sign, int64_t *out)
{
    int64_t unit = unit_ms(value_slice(args[0])), ms;
    if (unit == 0) {
        func_fail(ctx, "Unknown time unit %.*s", STR_ARG(value_slice(args[0])));
        return false;
    }
    if (__builtin_mul_overflow(unit * sign, args[1].l, &ms) || __builtin_add_overflow(base_ms, ms, out)) {
        func_fail(ctx, "The interval of %" PRId64 " is too long", args[1].l);
        return false;
    }
    return true;
}

/* Cut to whole days towards the epoch. */
static void date_shift(struct func_ctx *ctx, const struct value *args, int sign, struct value *out)
{
    int64_t ms;
    if (shift(ctx, args, args[2].l * TIME_DAY_MS, sign, &ms))
        *out = value_temporal(SQL_DATE, ms / TIME_DAY_MS);
}

static void time_shift(struct func_ctx *ctx, const struct value *args, int sign, struct value *out)
{
    int64_t ms;
    if (shift(ctx, args, args[2].l, sign, &ms))
        *out = value_temporal(SQL_TIME, ((ms % TIME_DAY_MS) + TIME_DAY_MS) % TIME_DAY_MS);
}

static void timestamp_shift(struct func_ctx *ctx, const struct value *args, int sign, struct value *out)
{
    int64_t ms;
    if (shift(ctx, args, args[2].l, sign, &ms))
        *out = value_temporal(SQL_TIMESTAMP, ms);
}

SCALAR(fn_dateadd)
{
    date_shift(ctx, args, 1, out);
}

SCALAR(fn_datesub)
{
    date_shift(ctx, args, -1, out);
}

SCALAR(fn_timeadd)
{
    time_shift(ctx, args, 1, out);
}

SCALAR(fn_timesub)
{
    time_shift(ctx, args, -1, out);
}

SCALAR(fn_timestampadd)
{
    timestamp_shift(ctx, args, 1, out);
}

SCALAR(fn_timestampsub)
{
    timestamp_shift(ctx, args, -1, out);
}

SCALAR(fn_from_days)
{
    *out = value_temporal(SQL_DATE, args[0].l);
}

SCALAR(fn_from_unixtime)
{
    *out = value_temporal(SQL_TIMESTAMP, args[0].l);
}

SCALAR(fn_unix_date_now)
{
    *out = value_int((int32_t)time_floor_div(ctx->now_ms, TIME_DAY_MS));
}

SCALAR(fn_unix_date)
{
    *out = value_int((int32_t)args[0].l);
}

SCALAR(fn_unix_timestamp_now)
{
    *out = value_bigint(ctx->now_ms);
}

SCALAR(fn_unix_timestamp)
{
    *out = value_bigint(args[0].l);
}

/* The wall clock that the timestamp shows in one zone, as the other zone shows that instant. */
SCALAR(fn_convert_tz)
{
    struct err err = {0};
    const struct time_zone *from = time_zone_get(ctx->formats, value_slice(args[1]), &err);
    const struct time_zone *to = from ? time_zone_get(ctx->formats, value_slice(args[2]), &err) : NULL;
    if (to == NULL) {
        func_fail_err(ctx, &err);
        return;
    }
    int64_t instant =
        args[0].l - (int64_t)time_zone_offset_of_local(from, time_floor_div(args[0].l, 1000)) * 1000;
    int64_t shown = instant + (int64_t)time_zone_offset_at(to, time_floor_div(instant, 1000)) * 1000;
    *out = value_temporal(SQL_TIMESTAMP, shown);
}

#define SHIFT_SIGS(name, type, fn)          \
    static const struct func_sig name[] = { \
        {"(unit INTERVALUNIT, interval INTEGER, base " type ") " type, .scalar = fn, .strict = true}}

SHIFT_SIGS(dateadd_sigs, "DATE", fn_dateadd);
SHIFT_SIGS(datesub_sigs, "DATE", fn_datesub);
SHIFT_SIGS(timeadd_sigs, "TIME", fn_timeadd);
SHIFT_SIGS(timesub_sigs, "TIME", fn_timesub);
SHIFT_SIGS(timestampadd_sigs, "TIMESTAMP", fn_timestampadd);
SHIFT_SIGS(timestampsub_sigs, "TIMESTAMP", fn_timestampsub);
static const struct func_sig convert_tz_sigs[] = {
    {"(timestamp TIMESTAMP, fromTimeZone STRING, toTimeZone STRING) TIMESTAMP", .scalar = fn_convert_tz,
     .strict = true}};
static const struct func_sig from_days_sigs[] = {
    {"(days INTEGER) DATE", .scalar = fn_from_days, .strict = true}};
static const struct func_sig from_unixtime_sigs[] = {
    {"(epochMilli BIGINT) TIMESTAMP", .scalar = fn_from_unixtime, .strict = true}};
static const struct func_sig unix_date_sigs[] = {{"() INTEGER", .scalar = fn_unix_date_now,
                                                  .is_volatile = true},
                                                 {"(date DATE) INTEGER", .scalar = fn_unix_date,
                                                  .strict = true}};
static const struct func_sig unix_timestamp_sigs[] = {{"() BIGINT", .scalar = fn_unix_timestamp_now,
                                                       .is_volatile = true},
                                                      {"(timestamp TIMESTAMP) BIGINT",
                                                       .scalar = fn_unix_timestamp, .strict = true}};

#define TIME(name, sigs, text) FUNC(name, "DATE / TIME", FUNC_SCALAR, sigs, text)

static const struct func funcs[] = {
    TIME("convert_tz", convert_tz_sigs,
         "Shifts a timestamp from the wall clock of one time zone to that of another."),
    TIME("dateadd", dateadd_sigs, "Adds an interval to a date."),
    TIME("datesub", datesub_sigs, "Subtracts an interval from a date."),
    TIME("from_days", from_days_sigs, "The date so many days after 1970-01-01."),
    TIME("from_unixtime", from_unixtime_sigs, "The timestamp so many milliseconds after the epoch."),
    TIME("timeadd", timeadd_sigs, "Adds an interval to a time of day, around midnight."),
    TIME("timestampadd", timestampadd_sigs, "Adds an interval to a timestamp."),
    TIME("timestampsub", timestampsub_sigs, "Subtracts an interval from a timestamp."),
    TIME("timesub", timesub_sigs, "Subtracts an interval from a time of day, around midnight."),
    TIME("unix_date", unix_date_sigs, "Days since 1970-01-01 of a date, or of today."),
    TIME("unix_timestamp", unix_timestamp_sigs, "Milliseconds since the epoch of a timestamp, or of now."),
};

const struct func_family family_time = {funcs, COUNT_OF(funcs)};
