/* time_format.h - Java's DateTimeFormatter patterns, time zones, and the calendar.
 *
 *   pattern text --compile--> array of steps (letter, width, literal, [ optional ])
 *   steps x instant x zone --> text          steps x text --> fields --resolve--> date, time, instant
 *
 * Letters: G u y Y Q q M L w W F d D E e c a h K k H m s S A n N V v z Z X x O p ' [ ] ; names of months
 * and days are English. Missing parts are filled (1970-01-01, midnight); y stands for u where there is no
 * era. Zones: IANA names from the system's TZif files, fixed offsets (+05:30, UTC+2, Z), UTC.
 *
 * Owner: a `struct time_formats` caches compiled patterns and loaded zones; it belongs to one thread and must
 * outlive what it hands out. There is no global state.
 */
#ifndef RIALTO_TYPE_TIME_FORMAT_H
#define RIALTO_TYPE_TIME_FORMAT_H

#include "base/base.h"

enum { TIME_DAY_MS = 86400000 };

/* Calendar: proleptic Gregorian, days from 1970-01-01 ------------------------------------------ */

struct time_civil {
    int64_t year; /* astronomical: 0 is 1 BC */
    int month, day;
};

int64_t time_days_of(int64_t year, int month, int day);
struct time_civil time_civil_of(int64_t days);
int time_month_days(int64_t year, int month);
int64_t time_floor_div(int64_t a, int64_t b); /* towards -infinity */

/* ISO texts of casts: "yyyy-MM-dd", "HH:mm[:ss]", "yyyy-MM-dd'T'HH:mm:ss.SSS". */
void time_print_date(int64_t days, struct buf *out);
void time_print_time(int64_t ms_of_day, struct buf *out);
void time_print_timestamp(int64_t ms, struct buf *out);

/* ISO texts with missing parts ("2019", "2019-07", "2019-07-30T11:00", zone Z, +0100, -03:30 at the end; none
 * is UTC), missing parts filled with the first month, day, hour. ERR_CONVERSION with ksqlDB's text. */
bool time_parse_date(struct str text, int64_t *days, struct err *err);
bool time_parse_time(struct str text, int64_t *ms_of_day, struct err *err);
bool time_parse_timestamp(struct str text, int64_t *ms, struct err *err);

/* Patterns and zones --------------------------------------------------------------------------- */

struct time_formats;
struct time_format;
struct time_zone;

struct time_formats *time_formats_new(void);
void time_formats_free(struct time_formats *formats);

/* The compiled pattern, from the cache or new; NULL with ERR_CONVERSION "Unknown pattern letter: b" and the
 * like. */
const struct time_format *time_format_get(struct time_formats *formats, struct str pattern, struct err *err);

/* The zone by id; NULL with ERR_CONVERSION "Unknown time-zone ID: X". */
const struct time_zone *time_zone_get(struct time_formats *formats, struct str id, struct err *err);
const struct time_zone *time_zone_utc(void);

/* Seconds to add to UTC at this instant, and at this local time (a gap moves forward, an overlap takes the
 * first). */
int32_t time_zone_offset_at(const struct time_zone *zone, int64_t epoch_s);
int32_t time_zone_offset_of_local(const struct time_zone *zone, int64_t local_s);

/* Text of an instant (ms since the epoch, shown in the zone), of a date, of a time. A letter that the value
 * does not have (HH of a date) is ERR_CONVERSION "Unsupported field: HourOfDay". */
bool time_format_timestamp(const struct time_format *format, int64_t ms, const struct time_zone *zone,
                           struct buf *out, struct err *err);
bool time_format_date(const struct time_format *format, int64_t days, struct buf *out, struct err *err);
bool time_format_time(const struct time_format *format, int64_t ms_of_day, struct buf *out, struct err *err);

/* Reads the whole text. `zone` is used when the text names none. ERR_CONVERSION "Text 'x' could not be parsed
 * at index n" and Java's other texts. */
bool time_format_parse_timestamp(const struct time_format *format, struct str text,
                                 const struct time_zone *zone, int64_t *ms, struct err *err);
bool time_format_parse_date(const struct time_format *format, struct str text, int64_t *days,
                            struct err *err);
bool time_format_parse_time(const struct time_format *format, struct str text, int64_t *ms_of_day,
                            struct err *err);

#endif
