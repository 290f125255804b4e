/* time_zone.c - zones: TZif files of the system (RFC 8536), fixed offsets, and the cache that owns them.
 *
 *   transitions  t0      t1      t2 ... tn      footer rule "CET-1CEST,M3.5.0,M10.5.0/3"
 *   type    first |  a    |  b    |  a ... |  b  | computed
 *
 * Ids come from users: an id is checked letter by letter before it becomes a path; sizes in the file are checked
 * before they are used. Only the 64-bit part (version 2 and later) is read.
 * Local times in a gap or an overlap take the offset before the transition, as java.time does.
 */
#include "type/time_int.h"

#include <stdio.h>

struct zone_type {
    int32_t offset_s;
    bool summer;
    struct str abbreviation;
};

/* "Mm.w.d/time" of a POSIX TZ string; month 0: the rule is a Julian day (day is then the day of the year). */
struct zone_day {
    int month, week, day;
    bool leap_counts; /* plain n: 29 February counts; Jn: it does not */
    int32_t at_s;
};

struct time_zone {
    struct str id;
    uint32_t transition_count, type_count;
    const int64_t *transitions;
    const uint8_t *transition_types;
    const struct zone_type *types; /* types[0] holds before the first transition */
    bool has_rule;                 /* after the last transition */
    struct zone_type standard, summer;
    bool has_summer;
    struct zone_day summer_from, summer_to;
};

struct time_formats {
    struct arena arena;
    struct map zones, patterns;
};

static const struct zone_type utc_type = {.abbreviation = STR_INIT("UTC")};
static const struct time_zone utc = {.id = STR_INIT("UTC"), .type_count = 1, .types = &utc_type};

static const struct time_zone_name zone_names[] = {
#define NAME(id, s, d, standard, summer) \
    {STR_INIT(id), STR_INIT(s), STR_INIT(d), STR_INIT(standard), STR_INIT(summer)},
    NAME("UTC", "UTC", "UTC", "Coordinated Universal Time",
         "Coordinated Universal Time") NAME("GMT", "GMT", "GMT", "Greenwich Mean Time", "Greenwich Mean Time")
        NAME("America/Los_Angeles", "PST", "PDT", "Pacific Standard Time", "Pacific Daylight Time")
            NAME("America/Denver", "MST", "MDT", "Mountain Standard Time", "Mountain Daylight Time")
                NAME("America/Chicago", "CST", "CDT", "Central Standard Time", "Central Daylight Time")
                    NAME("America/New_York", "EST", "EDT", "Eastern Standard Time", "Eastern Daylight Time")
                        NAME("America/Anchorage", "AKST", "AKDT", "Alaska Standard Time",
                             "Alaska Daylight Time") NAME("Pacific/Honolulu", "HST", "HDT",
                                                          "Hawaii Standard Time", "Hawaii Daylight Time")
                            NAME("Europe/London", "GMT", "BST", "Greenwich Mean Time", "British Summer Time")
                                NAME("Europe/Paris", "CET", "CEST", "Central European Standard Time",
                                     "Central European Summer Time")
                                    NAME("Europe/Berlin", "CET", "CEST", "Central European Standard Time",
                                         "Central European Summer Time")
                                        NAME("Europe/Athens", "EET", "EEST", "Eastern European Standard Time",
                                             "Eastern European Summer Time")
                                            NAME("Europe/Moscow", "MSK", "MSD", "Moscow Standard Time",
                                                 "Moscow Summer Time")
                                                NAME("Asia/Kolkata", "IST", "IST", "India Standard Time",
                                                     "India Standard Time")
                                                    NAME("Asia/Tokyo", "JST", "JDT", "Japan Standard Time",
                                                         "Japan Daylight Time")
                                                        NAME("Australia/Sydney", "AEST", "AEDT",
                                                             "Australian Eastern Standard Time",
                                                             "Australian Eastern Daylight Time")
#undef NAME
};

const struct time_zone_name *time_zone_name_at(uint32_t i)
{
    return i < COUNT_OF(zone_names) ? &zone_names[i] : NULL;
}

const struct time_zone_name *time_zone_name_of(struct str id)
{
    for (size_t i = 0; i < COUNT_OF(zone_names); i++)
        if (str_eq(zone_names[i].id, id))
            return &zone_names[i];
    return NULL;
}

const struct time_zone *time_zone_utc(void)
{
    return &utc;
}

struct str time_zone_id(const struct time_zone *zone)
{
    return zone->id;
}

/* Reading TZif --------------------------------------------------------------------------------- */

/* Zones may come from data: the cache holds no more than this many. */
enum { ZONES_MAX = 4096 };

enum { TZIF_BYTES_MAX = 1 << 20, TZIF_HEADER_BYTES = 44 };

struct tzif_counts {
    uint32_t utc_marks, standard_marks, leaps, transitions, types, names;
};

static bool read_header(struct str file, struct tzif_counts *counts)
{
    if (file.len < TZIF_HEADER_BYTES || memcmp(file.ptr, "TZif", 4) != 0 || file.ptr[4] < '2')
        return false;
    uint32_t *out[] = {&counts->utc_marks,   &counts->standard_marks, &counts->leaps,
                       &counts->transitions, &counts->types,          &counts->names};
    for (size_t i = 0; i < COUNT_OF(out); i++) {
        *out[i] = load_be32(file.ptr + 20 + 4 * i);
        if (*out[i] > TZIF_BYTES_MAX)
            return false;
    }
    return true;
}

static size_t body_bytes(const struct tzif_counts *counts, size_t time_bytes)
{
    return counts->transitions * (time_bytes + 1) + counts->types * (size_t)6 + counts->names +
           counts->leaps * (time_bytes + 4) + counts->standard_marks + counts->utc_marks;
}

static bool read_types(const char *at, const char *names, const struct tzif_counts *counts,
                       struct time_zone *zone, struct arena *arena)
{
    struct zone_type *types = arena_array(arena, struct zone_type, counts->types);
    for (uint32_t i = 0; i < counts->types; i++, at += 6) {
        uint8_t name = (uint8_t)at[5];
        if (name >= counts->names)
            return false;
        types[i].offset_s = (int32_t)load_be32(at);
        types[i].summer = at[4] != 0;
        types[i].abbreviation =
            str_dup(str_of(names + name, strnlen(names + name, counts->names - name)), arena);
    }
    zone->types = types;
    zone->type_count = counts->types;
    return counts->types != 0;
}

static bool read_rule(struct str text, struct time_zone *zone, struct arena *arena);

static bool read_tzif(struct str file, struct time_zone *zone, struct arena *arena)
{
    struct tzif_counts counts;
    if (!read_header(file, &counts))
        return false;
    size_t skip = TZIF_HEADER_BYTES + body_bytes(&counts, 4);
    if (skip > file.len)
        return false;
    file = str_sub(file, skip, file.len);
    if (!read_header(file, &counts) || TZIF_HEADER_BYTES + body_bytes(&counts, 8) > file.len)
        return false;
    const char *at = file.ptr + TZIF_HEADER_BYTES;
    int64_t *transitions = arena_array(arena, int64_t, counts.transitions);
    for (uint32_t i = 0; i < counts.transitions; i++, at += 8)
        transitions[i] = (int64_t)load_be64(at);
    zone->transitions = transitions;
    zone->transition_count = counts.transitions;
    zone->transition_types = arena_dup(arena, at, counts.transitions);
    at += counts.transitions;
    if (!read_types(at, at + counts.types * 6, &counts, zone, arena))
        return false;
    for (uint32_t i = 0; i < counts.transitions; i++)
        if (zone->transition_types[i] >= counts.types)
            return false;
    struct str footer = str_trim(str_sub(file, TZIF_HEADER_BYTES + body_bytes(&counts, 8), file.len));
    zone->has_rule = footer.len != 0 && read_rule(footer, zone, arena);
    return true;
}

/* The footer: a POSIX TZ string ---------------------------------------------------------------- */

static bool take(struct str *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c)
        return false;
    *text = str_sub(*text, 1, text->len);
    return true;
}

static bool take_number(struct str *text, int *out)
{
    size_t n = 0;
    *out = 0;
    for (; n < text->len && n < 4 && text->ptr[n] >= '0' && text->ptr[n] <= '9'; n++)
        *out = *out * 10 + (text->ptr[n] - '0');
    *text = str_sub(*text, n, text->len);
    return n != 0;
}

/* [+-]h[h][:mm[:ss]] in seconds. */
static bool take_hms(struct str *text, int32_t *out)
{
    int sign = take(text, '-') ? -1 : 1, hour, minute = 0, second = 0;
    if (sign > 0)
        ignore(take(text, '+'), "a plus sign says nothing");
    if (!take_number(text, &hour) || (take(text, ':') && !take_number(text, &minute)) ||
        (take(text, ':') && !take_number(text, &second)))
        return false;
    *out = sign * (hour * 3600 + minute * 60 + second);
    return true;
}

/* Letters, or anything in <>. */
static bool take_abbreviation(struct str *text, struct str *out)
{
    size_t n = 0;
    if (take(text, '<')) {
        ptrdiff_t end = str_find_char(*text, '>');
        if (end < 0)
            return false;
        *out = str_sub(*text, 0, (size_t)end);
        *text = str_sub(*text, (size_t)end + 1, text->len);
        return true;
    }
    while (n < text->len && (text->ptr[n] | 32) >= 'a' && (text->ptr[n] | 32) <= 'z')
        n++;
    *out = str_sub(*text, 0, n);
    *text = str_sub(*text, n, text->len);
    return n != 0;
}

static bool take_day(struct str *text, struct zone_day *out)
{
    *out = (struct zone_day){.at_s = 7200};
    if (!take(text, ','))
        return false;
    if (take(text, 'M')) {
        if (!take_number(text, &out->month) || !take(text, '.') || !take_number(text, &out->week) ||
            !take(text, '.') || !take_number(text, &out->day) || out->month < 1 || out->month > 12)
            return false;
    } else {
        out->leap_counts = !take(text, 'J');
        if (!take_number(text, &out->day))
            return false;
    }
    return !take(text, '/') || take_hms(text, &out->at_s);
}

static bool read_rule(struct str text, struct time_zone *zone, struct arena *arena)
{
    text = str_dup(text, arena);
    int32_t west;
    if (!take_abbreviation(&text, &zone->standard.abbreviation) || !take_hms(&text, &west))
        return false;
    zone->standard.offset_s = -west;
    if (text.len == 0)
        return true;
    if (!take_abbreviation(&text, &zone->summer.abbreviation))
        return false;
    zone->summer.offset_s = zone->standard.offset_s + 3600;
    zone->summer.summer = true;
    if (text.len != 0 && text.ptr[0] != ',') {
        if (!take_hms(&text, &west))
            return false;
        zone->summer.offset_s = -west;
    }
    zone->has_summer = true;
    return take_day(&text, &zone->summer_from) && take_day(&text, &zone->summer_to);
}

/* Local seconds at which the rule's day comes in a year. */
static int64_t rule_local_s(const struct zone_day *rule, int64_t year)
{
    int64_t days;
    if (rule->month == 0) {
        bool leap = time_month_days(year, 2) == 29;
        days = time_days_of(year, 1, 1) +
               (rule->leap_counts ? rule->day : rule->day - 1 + (leap && rule->day >= 60));
    } else {
        int64_t first = time_days_of(year, rule->month, 1);
        int first_day = (int)((first % 7 + 11) % 7); /* Sunday is 0; 1970-01-01 was a Thursday */
        int day = 1 + (rule->day - first_day + 7) % 7 + 7 * (rule->week - 1);
        if (day > time_month_days(year, rule->month)) /* week 5 is the last one */
            day -= 7;
        days = first + day - 1;
    }
    return days * 86400 + rule->at_s;
}

static const struct zone_type *type_by_rule(const struct time_zone *zone, int64_t epoch_s)
{
    if (!zone->has_summer)
        return &zone->standard;
    int64_t year = time_civil_of(time_floor_div(epoch_s + zone->standard.offset_s, 86400)).year;
    int64_t from = rule_local_s(&zone->summer_from, year) - zone->standard.offset_s;
    int64_t to = rule_local_s(&zone->summer_to, year) - zone->summer.offset_s;
    bool summer = from < to ? epoch_s >= from && epoch_s < to : epoch_s >= from || epoch_s < to;
    return summer ? &zone->summer : &zone->standard;
}

static const struct zone_type *type_at(const struct time_zone *zone, int64_t epoch_s)
{
    uint32_t low = 0, high = zone->transition_count; /* transitions before `low` are not after epoch_s */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (zone->transitions[middle] <= epoch_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->transition_count && zone->has_rule)
        return type_by_rule(zone, epoch_s);
    return &zone->types[low == 0 ? 0 : zone->transition_types[low - 1]];
}

int32_t time_zone_offset_at(const struct time_zone *zone, int64_t epoch_s)
{
    return type_at(zone, epoch_s)->offset_s;
}

struct str time_zone_abbreviation_at(const struct time_zone *zone, int64_t epoch_s, bool *summer)
{
    const struct zone_type *type = type_at(zone, epoch_s);
    *summer = type->summer;
    return type->abbreviation;
}

int32_t time_zone_offset_of_local(const struct time_zone *zone, int64_t local_s)
{
    int32_t before = time_zone_offset_at(zone, local_s - 86400),
            after = time_zone_offset_at(zone, local_s + 86400);
    if (before == after || time_zone_offset_at(zone, local_s - before) == before)
        return before;
    return time_zone_offset_at(zone, local_s - after) == after ? after : before;
}

/* Cache ---------------------------------------------------------------------------------------- */

struct time_formats *time_formats_new(void)
{
    return mem_new(struct time_formats);
}

void time_formats_free(struct time_formats *formats)
{
    if (formats == NULL)
        return;
    map_fini(&formats->zones);
    map_fini(&formats->patterns);
    arena_fini(&formats->arena);
    free(formats);
}

struct arena *time_formats_arena(struct time_formats *formats)
{
    return &formats->arena;
}

struct map *time_formats_patterns(struct time_formats *formats)
{
    return &formats->patterns;
}

int32_t time_read_offset(struct str text, size_t *len)
{
    *len = 0;
    if (text.len < 2 || (text.ptr[0] != '+' && text.ptr[0] != '-'))
        return 0;
    int parts[3] = {0}, count = 0;
    size_t at = 1;
    for (; count < 3; count++) {
        size_t from = at + (count > 0 && at < text.len && text.ptr[at] == ':');
        size_t digits = 0;
        while (digits < 2 && from + digits < text.len && text.ptr[from + digits] >= '0' &&
               text.ptr[from + digits] <= '9')
            digits++;
        if (digits != 2 && !(count == 0 && digits == 1))
            break;
        for (size_t i = 0; i < digits; i++)
            parts[count] = parts[count] * 10 + (text.ptr[from + i] - '0');
        at = from + digits;
    }
    if (count == 0 || parts[0] > 18 || parts[1] > 59 || parts[2] > 59)
        return 0;
    *len = at;
    return (text.ptr[0] == '-' ? -1 : 1) * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
}

static const struct time_zone *fixed_zone(struct time_formats *formats, struct str id, int32_t offset_s)
{
    struct zone_type *type = arena_new(&formats->arena, struct zone_type);
    struct time_zone *zone = arena_new(&formats->arena, struct time_zone);
    id = str_dup(id, &formats->arena);
    *type = (struct zone_type){.offset_s = offset_s, .abbreviation = id};
    *zone = (struct time_zone){.id = id, .type_count = 1, .types = type};
    return zone;
}

/* Z, offsets, and offsets behind UTC, GMT, UT; NULL when the id is none of these. */
static const struct time_zone *zone_of_offset(struct time_formats *formats, struct str id)
{
    static const struct str prefixes[] = {STR_INIT("UTC"), STR_INIT("GMT"), STR_INIT("UT"), STR_INIT("")};
    if (str_eq_cstr(id, "Z") || str_eq_cstr(id, "UT"))
        return fixed_zone(formats, id, 0);
    for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
        if (!str_starts_with(id, prefixes[i]))
            continue;
        size_t len;
        struct str rest = str_sub(id, prefixes[i].len, id.len);
        int32_t offset_s = time_read_offset(rest, &len);
        return len != 0 && len == rest.len ? fixed_zone(formats, id, offset_s) : NULL;
    }
    return NULL;
}

static bool is_id_char(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '/' || c == '_' ||
           c == '-' || c == '+';
}

/* An id becomes a path: no dots, nothing absolute. */
static bool is_region_id(struct str id)
{
    for (size_t i = 0; i < id.len; i++)
        if (!is_id_char(id.ptr[i]))
            return false;
    return id.len != 0 && id.len < 64 && (id.ptr[0] | 32) >= 'a' && (id.ptr[0] | 32) <= 'z';
}

static const struct time_zone *load_region(struct time_formats *formats, struct str id)
{
    char path[128];
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%.*s", STR_ARG(id));
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return NULL;
    struct buf bytes = {0};
    size_t got = fread(buf_extend(&bytes, TZIF_BYTES_MAX), 1, TZIF_BYTES_MAX, file);
    fclose(file);
    struct time_zone *zone = arena_new(&formats->arena, struct time_zone);
    zone->id = str_dup(id, &formats->arena);
    bool ok = read_tzif(str_of(bytes.ptr, got), zone, &formats->arena);
    buf_fini(&bytes);
    return ok ? zone : NULL;
}

static const struct time_zone *zone_find(struct time_formats *formats, struct str id)
{
    if (str_eq_cstr(id, "UTC"))
        return &utc;
    const struct time_zone *zone = map_get(&formats->zones, id);
    if (zone != NULL || formats->zones.len >= ZONES_MAX)
        return zone;
    zone = zone_of_offset(formats, id);
    if (zone == NULL && is_region_id(id))
        zone = load_region(formats, id);
    if (zone != NULL)
        map_put(&formats->zones, id, (void *)zone);
    return zone;
}

const struct time_zone *time_zone_get(struct time_formats *formats, struct str id, struct err *err)
{
    const struct time_zone *zone = zone_find(formats, id);
    if (zone == NULL)
        err_set(err, ERR_CONVERSION, "Unknown time-zone ID: %.*s", STR_ARG(id));
    return zone;
}

const struct time_zone *time_zone_at_start(struct time_formats *formats, struct str text, size_t *len)
{
    size_t n = 0;
    while (n < text.len && n < 64 && (is_id_char(text.ptr[n]) || text.ptr[n] == ':'))
        n++;
    for (; n > 0; n--) {
        const struct time_zone *zone = zone_find(formats, str_sub(text, 0, n));
        *len = n;
        if (zone != NULL)
            return zone;
    }
    return NULL;
}
