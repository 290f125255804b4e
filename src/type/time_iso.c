/* time_iso.c - the calendar, and the ISO texts of casts and comparisons.
 *
 *     2019-07-30T11:00:05.123+0130
 *     `--date--' `---time---'`zone'      every part may end early: "2019", "2019-07", "2019-07-30T11"
 *
 * Days are counted in 400-year cycles that start on 1 March, so that the leap day is the last of its year.
 */
#include "type/time_format.h"

int64_t time_floor_div(int64_t a, int64_t b)
{
    ASSERT_CMP(b, >, 0);
    return a / b - (a % b < 0);
}

enum { CYCLE_DAYS = 146097, DAYS_TO_1970 = 719468 /* from 0000-03-01 */ };

int64_t time_days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t cycle = time_floor_div(year, 400);
    int64_t year_of_cycle = year - cycle * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    return cycle * CYCLE_DAYS + day_of_cycle - DAYS_TO_1970;
}

struct time_civil time_civil_of(int64_t days)
{
    days += DAYS_TO_1970;
    int64_t cycle = time_floor_div(days, CYCLE_DAYS);
    int64_t of_cycle = days - cycle * CYCLE_DAYS;
    int64_t year = (of_cycle - of_cycle / 1460 + of_cycle / 36524 - of_cycle / 146096) / 365;
    int of_year = (int)(of_cycle - (365 * year + year / 4 - year / 100));
    int month_from_march = (5 * of_year + 2) / 153;
    int month = month_from_march + (month_from_march < 10 ? 3 : -9);
    return (struct time_civil){
        .year = year + cycle * 400 + (month <= 2),
        .month = month,
        .day = of_year - (153 * month_from_march + 2) / 5 + 1,
    };
}

int time_month_days(int64_t year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    ASSERT(month >= 1 && month <= 12);
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

void time_print_date(int64_t days, struct buf *out)
{
    struct time_civil civil = time_civil_of(days);
    if (civil.year >= 0 && civil.year <= 9999)
        buf_printf(out, "%04d-%02d-%02d", (int)civil.year, civil.month, civil.day);
    else
        buf_printf(out, "%+05" PRId64 "-%02d-%02d", civil.year, civil.month, civil.day);
}

/* As ksqlDB prints a LocalTime: to the second, and seconds only when they are not 0. */
void time_print_time(int64_t ms_of_day, struct buf *out)
{
    int seconds = (int)(ms_of_day / 1000);
    buf_printf(out, "%02d:%02d", seconds / 3600, seconds / 60 % 60);
    if (seconds % 60 != 0)
        buf_printf(out, ":%02d", seconds % 60);
}

void time_print_timestamp(int64_t ms, struct buf *out)
{
    int64_t days = time_floor_div(ms, TIME_DAY_MS);
    int of_day = (int)(ms - days * TIME_DAY_MS), seconds = of_day / 1000;
    time_print_date(days, out);
    buf_printf(out, "T%02d:%02d:%02d.%03d", seconds / 3600, seconds / 60 % 60, seconds % 60, of_day % 1000);
}

/* `digits` digits at *at, which moves on; false when they are not there. */
static bool take_digits(struct str text, size_t *at, int digits, int *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++, ++*at) {
        if (*at >= text.len || text.ptr[*at] < '0' || text.ptr[*at] > '9')
            return false;
        *out = *out * 10 + (text.ptr[*at] - '0');
    }
    return true;
}

static bool take_char(struct str text, size_t *at, char c)
{
    if (*at >= text.len || text.ptr[*at] != c)
        return false;
    ++*at;
    return true;
}

/* yyyy[-MM[-dd]] and the day count; the rest of the text is left at *at. */
static bool take_date(struct str text, size_t *at, int64_t *days)
{
    int year, month = 1, day = 1;
    if (!take_digits(text, at, 4, &year))
        return false;
    if (take_char(text, at, '-')) {
        if (!take_digits(text, at, 2, &month))
            return false;
        if (take_char(text, at, '-') && !take_digits(text, at, 2, &day))
            return false;
    }
    if (month < 1 || month > 12 || day < 1 || day > time_month_days(year, month))
        return false;
    *days = time_days_of(year, month, day);
    return true;
}

/* HH[:mm[:ss[.SSS]]]; digits of the fraction beyond ms are passed over. */
static bool take_time(struct str text, size_t *at, int64_t *ms_of_day)
{
    int hour, minute = 0, second = 0, ms = 0;
    if (!take_digits(text, at, 2, &hour))
        return false;
    if (take_char(text, at, ':')) {
        if (!take_digits(text, at, 2, &minute))
            return false;
        if (take_char(text, at, ':') && !take_digits(text, at, 2, &second))
            return false;
        if (take_char(text, at, '.')) {
            size_t first = *at;
            for (int digit, unit = 100; take_digits(text, at, 1, &digit); unit /= 10)
                ms += digit * unit;
            if (*at == first)
                return false;
        }
    }
    *ms_of_day = ((hour * 60 + minute) * 60 + second) * (int64_t)1000 + ms;
    return hour < 24 && minute < 60 && second < 60;
}

/* Z, +hh, +hhmm, +hh:mm, or nothing; minutes east of UTC. */
static bool take_zone(struct str text, size_t *at, int *minutes)
{
    *minutes = 0;
    if (*at == text.len || take_char(text, at, 'Z'))
        return true;
    int sign = take_char(text, at, '+') ? 1 : take_char(text, at, '-') ? -1 : 0, hour, minute = 0;
    if (sign == 0 || !take_digits(text, at, 2, &hour))
        return false;
    if (*at < text.len) {
        ignore(take_char(text, at, ':'), "the colon may be left out");
        if (!take_digits(text, at, 2, &minute))
            return false;
    }
    *minutes = sign * (hour * 60 + minute);
    return hour <= 18 && minute < 60;
}

static bool iso_fail(struct err *err, const char *what, struct str text, const char *format, const char *hint)
{
    return err_set(err, ERR_CONVERSION, "Failed to parse %s '%.*s': Required format is: \"%s\"%s", what,
                   STR_ARG(text), format, hint);
}

bool time_parse_date(struct str text, int64_t *days, struct err *err)
{
    size_t at = 0;
    if (take_date(text, &at, days) && at == text.len)
        return true;
    return iso_fail(err, "date", text, "yyyy-MM-dd",
                    ". Partials are also supported, for example \"2020-05\"");
}

bool time_parse_time(struct str text, int64_t *ms_of_day, struct err *err)
{
    size_t at = 0;
    if (take_time(text, &at, ms_of_day) && at == text.len)
        return true;
    return iso_fail(err, "time", text, "HH:mm:ss.SSS",
                    ". Partials are also supported, for example \"10:00\"");
}

bool time_parse_timestamp(struct str text, int64_t *ms, struct err *err)
{
    size_t at = 0;
    int64_t days, ms_of_day = 0;
    int minutes = 0;
    bool ok = take_date(text, &at, &days);
    if (ok && (take_char(text, &at, 'T') || take_char(text, &at, 't')) && at < text.len)
        ok = take_time(text, &at, &ms_of_day) && take_zone(text, &at, &minutes);
    if (!ok || at != text.len)
        return iso_fail(
            err, "timestamp", text, "yyyy-MM-dd'T'HH:mm:ss.SSS",
            ", with an optional numeric timezone. Partials are also supported, for example \"2020-05-26\"");
    *ms = days * TIME_DAY_MS + ms_of_day - minutes * (int64_t)60000;
    return true;
}
