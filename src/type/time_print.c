/* time_print.c - an instant, a date or a time through the steps of a pattern.
 *
 * A value is spread into a `moment`: its parts, and which of them it has. Optional sections print like the
 * rest: only a part that the value lacks makes a section print nothing.
 */
#include "type/time_int.h"

#include <stdio.h>

struct moment {
    bool has_date, has_time;
    const struct time_zone *zone; /* NULL: has none */
    int64_t epoch_s;
    int32_t offset_s;
    int64_t days, ms_of_day;
    struct time_civil civil;
};

static int day_of_week(int64_t days)
{
    return (int)((days % 7 + 10) % 7) + 1; /* 1970-01-01 was a Thursday: 4 */
}

/* Weeks begin on Sunday; the week of 1 January is week 1. */
static int64_t week_start_of_year(int64_t year)
{
    int64_t first = time_days_of(year, 1, 1);
    return first - day_of_week(first) % 7;
}

static int64_t week_year(const struct moment *moment)
{
    return moment->civil.year + (moment->days >= week_start_of_year(moment->civil.year + 1));
}

static int64_t field_of_date(const struct moment *moment, enum time_field field)
{
    const struct time_civil *civil = &moment->civil;
    switch (field) {
    case FIELD_ERA:
        return civil->year > 0;
    case FIELD_YEAR:
        return civil->year;
    case FIELD_YEAR_OF_ERA:
        return civil->year > 0 ? civil->year : 1 - civil->year;
    case FIELD_QUARTER:
        return (civil->month + 2) / 3;
    case FIELD_MONTH:
        return civil->month;
    case FIELD_WEEK_YEAR:
        return week_year(moment);
    case FIELD_WEEK:
        return (moment->days - week_start_of_year(week_year(moment))) / 7 + 1;
    case FIELD_WEEK_OF_MONTH: {
        int64_t first = time_days_of(civil->year, civil->month, 1);
        return (civil->day - 1 + day_of_week(first) % 7) / 7 + 1;
    }
    case FIELD_ALIGNED_WEEK:
        return (civil->day - 1) / 7 + 1;
    case FIELD_DAY_OF_YEAR:
        return moment->days - time_days_of(civil->year, 1, 1) + 1;
    case FIELD_DAY:
        return civil->day;
    case FIELD_DAY_OF_WEEK:
        return day_of_week(moment->days);
    default:
        ASSERT_CMP(field, ==, FIELD_LOCAL_DAY_OF_WEEK);
        return day_of_week(moment->days) % 7 + 1;
    }
}

static int64_t field_of_time(const struct moment *moment, enum time_field field)
{
    int64_t ms = moment->ms_of_day, hour = ms / 3600000;
    switch (field) {
    case FIELD_AMPM:
        return hour >= 12;
    case FIELD_HOUR:
        return hour;
    case FIELD_CLOCK_HOUR:
        return hour == 0 ? 24 : hour;
    case FIELD_HOUR_OF_AMPM:
        return hour % 12;
    case FIELD_CLOCK_HOUR_OF_AMPM:
        return hour % 12 == 0 ? 12 : hour % 12;
    case FIELD_MINUTE:
        return ms / 60000 % 60;
    case FIELD_SECOND:
        return ms / 1000 % 60;
    case FIELD_NANO:
        return ms % 1000 * 1000000;
    case FIELD_MILLI_OF_DAY:
        return ms;
    default:
        ASSERT_CMP(field, ==, FIELD_NANO_OF_DAY);
        return ms * 1000000;
    }
}

static bool print_number(const struct time_step *step, int64_t n, struct buf *out, struct err *err)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRId64, n < 0 ? -n : n);
    if (len > step->width_max || (n < 0 && !step->negatives))
        return err_set(err, ERR_CONVERSION,
                       "Field %s cannot be printed as the value %" PRId64
                       " exceeds the maximum print width of %d",
                       time_fields[step->field].name, n, step->width_max);
    if (n < 0)
        buf_append_char(out, '-');
    else if (step->plus && len > step->width_min)
        buf_append_char(out, '+');
    for (int i = len; i < step->width_min; i++)
        buf_append_char(out, '0');
    buf_append(out, digits, (size_t)len);
    return true;
}

/* 3: Jan, 4: January, 5: J */
static void print_name(const char *name, uint8_t count, struct buf *out)
{
    size_t len = strlen(name);
    buf_append(out, name, count == 4 ? len : count == 5 ? 1 : MIN(len, (size_t)3));
}

static void print_text(const struct time_step *step, int64_t n, struct buf *out)
{
    static const char *const quarters[] = {"1st quarter", "2nd quarter", "3rd quarter", "4th quarter"};
    switch (step->field) {
    case FIELD_ERA:
        buf_append_cstr(out, step->count == 4   ? (n ? "Anno Domini" : "Before Christ")
                             : step->count == 5 ? (n ? "A" : "B")
                                                : (n ? "AD" : "BC"));
        return;
    case FIELD_QUARTER:
        if (step->count == 4)
            buf_append_cstr(out, quarters[n - 1]);
        else
            buf_printf(out, step->count == 5 ? "%d" : "Q%d", (int)n);
        return;
    case FIELD_MONTH:
        print_name(time_month_names[n - 1], step->count, out);
        return;
    case FIELD_DAY_OF_WEEK:
        print_name(time_day_names[n - 1], step->count < 4 ? 3 : step->count, out);
        return;
    case FIELD_LOCAL_DAY_OF_WEEK:
        print_name(time_day_names[(n + 5) % 7], step->count, out);
        return;
    default:
        ASSERT_CMP(step->field, ==, FIELD_AMPM);
        buf_append_cstr(out, n ? "PM" : "AM");
    }
}

/* +hh, +hhmm, +hh:mm, with seconds when they are wanted and not 0. */
static void print_offset(int32_t offset_s, bool minutes_always, bool colon, bool seconds, struct buf *out)
{
    int s = abs(offset_s), minutes = s / 60 % 60;
    buf_printf(out, "%c%02d", offset_s < 0 ? '-' : '+', s / 3600);
    if (minutes_always || minutes != 0)
        buf_printf(out, colon ? ":%02d" : "%02d", minutes);
    if (seconds && s % 60 != 0)
        buf_printf(out, colon ? ":%02d" : "%02d", s % 60);
}

/* GMT, GMT+1, GMT+01:30 */
static void print_gmt(int32_t offset_s, bool full, struct buf *out)
{
    int s = abs(offset_s);
    buf_append_cstr(out, "GMT");
    if (offset_s == 0)
        return;
    if (full) {
        print_offset(offset_s, true, true, true, out);
        return;
    }
    buf_printf(out, "%c%d", offset_s < 0 ? '-' : '+', s / 3600);
    if (s / 60 % 60 != 0)
        buf_printf(out, ":%02d", s / 60 % 60);
}

static void print_zone_name(const struct moment *moment, bool full, struct buf *out)
{
    bool summer;
    struct str name = time_zone_abbreviation_at(moment->zone, moment->epoch_s, &summer);
    const struct time_zone_name *names = time_zone_name_of(time_zone_id(moment->zone));
    if (full)
        name = names == NULL ? time_zone_id(moment->zone)
               : summer      ? names->summer_long
                             : names->standard_long;
    buf_append_str(out, name);
}

static void print_zone(const struct time_step *step, const struct moment *moment, struct buf *out)
{
    uint8_t count = step->count;
    bool zero = moment->offset_s == 0;
    switch (step->letter) {
    case 'V':
        buf_append_str(out, time_zone_id(moment->zone));
        return;
    case 'v':
    case 'z':
        print_zone_name(moment, count == 4, out);
        return;
    case 'O':
        print_gmt(moment->offset_s, count == 4, out);
        return;
    case 'Z':
        if (count == 4)
            print_gmt(moment->offset_s, true, out);
        else if (count == 5 && zero)
            buf_append_char(out, 'Z');
        else
            print_offset(moment->offset_s, true, count == 5, count == 5, out);
        return;
    default: /* X, x */
        if (step->letter == 'X' && zero)
            buf_append_char(out, 'Z');
        else
            print_offset(moment->offset_s, count > 1, count == 3 || count == 5, count > 3, out);
    }
}

static bool print_step(const struct time_step *step, const struct moment *moment, struct buf *out,
                       struct err *err)
{
    const struct time_field_info *info = &time_fields[step->field];
    if (step->kind == STEP_LITERAL) {
        buf_append_str(out, step->literal);
        return true;
    }
    if (step->kind == STEP_ZONE) {
        if (moment->zone == NULL)
            return err_set(err, ERR_CONVERSION, "Unable to extract ZoneId from temporal");
        print_zone(step, moment, out);
        return true;
    }
    if ((info->date && !moment->has_date) || (info->time && !moment->has_time))
        return err_set(err, ERR_CONVERSION, "Unsupported field: %s", info->name);
    int64_t n = info->date ? field_of_date(moment, step->field) : field_of_time(moment, step->field);
    switch (step->kind) {
    case STEP_REDUCED:
        buf_printf(out, "%02d", (int)(llabs(n) % 100));
        return true;
    case STEP_FRACTION:
        buf_printf(out, "%09d", (int)n);
        out->len -= 9u - step->width_max;
        return true;
    case STEP_TEXT:
        print_text(step, n, out);
        return true;
    default:
        return print_number(step, n, out, err);
    }
}

static bool print_padded(const struct time_step *step, const struct moment *moment, struct buf *out,
                         struct err *err)
{
    size_t start = out->len;
    if (!print_step(step, moment, out, err))
        return false;
    size_t len = out->len - start;
    if (step->pad == 0 || len == step->pad)
        return true;
    if (len > step->pad)
        return err_set(err, ERR_CONVERSION,
                       "Cannot print as output of %zu characters exceeds pad width of %u", len, step->pad);
    size_t more = step->pad - len;
    ignore(buf_extend(out, more), "the room is filled below");
    memmove(out->ptr + start + more, out->ptr + start, len);
    memset(out->ptr + start, ' ', more);
    return true;
}

/* The step behind the end of the section that opens at `open`. */
static uint32_t section_end(const struct time_format *format, uint32_t open)
{
    uint32_t depth = 0, i = open;
    do {
        depth += format->steps[i].kind == STEP_OPEN;
        depth -= format->steps[i].kind == STEP_CLOSE;
    } while (++i < format->step_count && depth > 0);
    return i;
}

/* Steps [from, to). */
static bool print_steps(const struct time_format *format, uint32_t from, uint32_t to,
                        const struct moment *moment, struct buf *out, struct err *err)
{
    for (uint32_t i = from; i < to;) {
        const struct time_step *step = &format->steps[i];
        if (step->kind == STEP_OPEN) {
            size_t start = out->len;
            uint32_t end = section_end(format, i);
            if (!print_steps(format, i + 1, end - 1, moment, out, NULL))
                out->len = start;
            i = end;
            continue;
        }
        if (!print_padded(step, moment, out, err))
            return false;
        i++;
    }
    return true;
}

static bool print_all(const struct time_format *format, const struct moment *moment, struct buf *out,
                      struct err *err)
{
    size_t start = out->len;
    buf_reserve(out, 0);
    bool ok = print_steps(format, 0, format->step_count, moment, out, err);
    if (!ok)
        out->len = start;
    out->ptr[out->len] = '\0';
    return ok;
}

bool time_format_timestamp(const struct time_format *format, int64_t ms, const struct time_zone *zone,
                           struct buf *out, struct err *err)
{
    struct moment moment = {.has_date = true,
                            .has_time = true,
                            .zone = zone,
                            .epoch_s = time_floor_div(ms, 1000)};
    moment.offset_s = time_zone_offset_at(zone, moment.epoch_s);
    int64_t local_s = moment.epoch_s + moment.offset_s;
    moment.days = time_floor_div(local_s, 86400);
    moment.ms_of_day = (local_s - moment.days * 86400) * 1000 + (ms - moment.epoch_s * 1000);
    moment.civil = time_civil_of(moment.days);
    return print_all(format, &moment, out, err);
}

bool time_format_date(const struct time_format *format, int64_t days, struct buf *out, struct err *err)
{
    struct moment moment = {.has_date = true, .days = days, .civil = time_civil_of(days)};
    return print_all(format, &moment, out, err);
}

bool time_format_time(const struct time_format *format, int64_t ms_of_day, struct buf *out, struct err *err)
{
    struct moment moment = {.has_time = true, .ms_of_day = ms_of_day};
    return print_all(format, &moment, out, err);
}
