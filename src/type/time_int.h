/* time_int.h - private to type: compiled patterns and loaded zones. */
#ifndef RIALTO_TYPE_TIME_INT_H
#define RIALTO_TYPE_TIME_INT_H

#include "type/time_format.h"

/* What a pattern letter stands for. */
enum time_field {
    FIELD_ERA,
    FIELD_YEAR,        /* u: proleptic */
    FIELD_YEAR_OF_ERA, /* y */
    FIELD_QUARTER,
    FIELD_MONTH,
    FIELD_WEEK_YEAR,
    FIELD_WEEK,
    FIELD_WEEK_OF_MONTH,
    FIELD_ALIGNED_WEEK, /* F */
    FIELD_DAY_OF_YEAR,
    FIELD_DAY,
    FIELD_DAY_OF_WEEK,       /* Monday is 1 */
    FIELD_LOCAL_DAY_OF_WEEK, /* Sunday is 1 */
    FIELD_AMPM,
    FIELD_HOUR,               /* H: 0-23 */
    FIELD_CLOCK_HOUR,         /* k: 1-24 */
    FIELD_HOUR_OF_AMPM,       /* K: 0-11 */
    FIELD_CLOCK_HOUR_OF_AMPM, /* h: 1-12 */
    FIELD_MINUTE,
    FIELD_SECOND,
    FIELD_NANO,
    FIELD_MILLI_OF_DAY,
    FIELD_NANO_OF_DAY,
    FIELD_ZONE, /* all letters that show a zone or an offset */
    FIELD_COUNT
};

struct time_field_info {
    const char *name; /* Java's */
    bool date, time;  /* part of a date, of a time of day; neither: the zone */
    int64_t least, most;
};

extern const struct time_field_info time_fields[FIELD_COUNT];

enum time_step_kind {
    STEP_LITERAL,
    STEP_NUMBER,
    STEP_REDUCED,
    STEP_FRACTION,
    STEP_TEXT,
    STEP_ZONE,
    STEP_OPEN,
    STEP_CLOSE
};

struct time_step {
    enum time_step_kind kind;
    enum time_field field;
    char letter;
    uint8_t count; /* letters in a row */
    uint8_t width_min, width_max;
    bool negatives;   /* a minus sign may stand before the number */
    bool plus;        /* a number wider than width_min has a plus sign */
    uint8_t reserved; /* digits that fixed-width numbers right behind this one need */
    uint8_t pad;      /* p: the step fills this many characters with spaces; 0: it does not */
    struct str literal;
};

struct time_format {
    struct time_formats *owner; /* its zones */
    struct str pattern;
    const struct time_step *steps;
    uint32_t step_count;
};

/* Abbreviations and English names of zones, for z; see time_zone.c. */
struct time_zone_name {
    struct str id, standard, summer, standard_long, summer_long;
};

const struct time_zone_name *time_zone_name_of(struct str id); /* NULL: not in the table */
const struct time_zone_name *time_zone_name_at(uint32_t i);    /* NULL ends the table */

struct str time_zone_id(const struct time_zone *zone);
struct str time_zone_abbreviation_at(const struct time_zone *zone, int64_t epoch_s, bool *summer);

/* The zone whose id is the longest leading part of the text; NULL when there is none. */
const struct time_zone *time_zone_at_start(struct time_formats *formats, struct str text, size_t *len);

/* "+hh[:mm[:ss]]", "-hhmm", "+h": seconds east; *len is what was read, 0 when nothing was. */
int32_t time_read_offset(struct str text, size_t *len);

/* Parts of a cache that only patterns and zones touch. */
struct arena *time_formats_arena(struct time_formats *formats);
struct map *time_formats_patterns(struct time_formats *formats);

extern const char *const time_month_names[12], *const time_day_names[7]; /* Monday first */

#endif
