/* time_parse.c - text through the steps of a pattern into fields, and fields into a date, a time, an instant.
 *
 *   text --read_steps--> values of the fields that the pattern names --resolve--> days, ms of the day
 *
 * Reading follows Java's strict parser without regard to case; resolving is its SMART mode: the 31st of a
 * short month is that month's last day. What the pattern does not name is filled: 1970, the first month,
 * the first day, midnight. A section that cannot be read is passed over, and what it read is forgotten.
 */
#include "type/time_int.h"

struct reader {
    const struct time_format *format;
    struct str text;
    size_t at;
    int64_t values[FIELD_COUNT];
    uint32_t present; /* one bit a field */
    const struct time_zone *zone;
    bool has_offset;
    int32_t offset_s;
};

static bool has(const struct reader *reader, enum time_field field)
{
    return reader->present >> field & 1;
}

static void put(struct reader *reader, enum time_field field, int64_t n)
{
    reader->values[field] = n;
    reader->present |= (uint32_t)1 << field;
}

static int64_t get(const struct reader *reader, enum time_field field, int64_t otherwise)
{
    return has(reader, field) ? reader->values[field] : otherwise;
}

static struct str rest(const struct reader *reader)
{
    return str_sub(reader->text, reader->at, reader->text.len);
}

static size_t count_digits(const struct reader *reader, size_t most)
{
    size_t n = 0;
    while (n < most && reader->at + n < reader->text.len && reader->text.ptr[reader->at + n] >= '0' &&
           reader->text.ptr[reader->at + n] <= '9')
        n++;
    return n;
}

static int64_t take_digits(struct reader *reader, size_t count)
{
    int64_t n = 0;
    for (; count > 0; count--)
        n = n * 10 + (reader->text.ptr[reader->at++] - '0');
    return n;
}

static bool read_number(struct reader *reader, const struct time_step *step)
{
    char sign = reader->at < reader->text.len ? reader->text.ptr[reader->at] : '\0';
    bool minus = sign == '-' && step->negatives, plus = sign == '+' && step->plus;
    size_t start = reader->at;
    reader->at += minus || plus;
    size_t digits = count_digits(reader, (size_t)step->width_max + step->reserved);
    if (step->reserved > 0)
        digits =
            MAX(MIN(digits, (size_t)step->width_min), digits > step->reserved ? digits - step->reserved : 0);
    bool too_wide = step->plus && !minus && (plus ? digits <= step->width_min : digits > step->width_min);
    if (digits < step->width_min || digits > 18 || too_wide) {
        reader->at = start;
        return false;
    }
    int64_t n = take_digits(reader, digits);
    put(reader, step->field, minus ? -n : n);
    return true;
}

static bool read_fixed(struct reader *reader, const struct time_step *step)
{
    size_t width = step->width_max;
    if (count_digits(reader, width) < width)
        return false;
    int64_t n = take_digits(reader, width);
    if (step->kind == STEP_REDUCED)
        n += 2000;
    for (size_t i = width; step->kind == STEP_FRACTION && i < 9; i++)
        n *= 10;
    put(reader, step->field, n);
    return true;
}

/* The first `len` characters of the word stand at the reader; 0: the whole word. */
static bool take_word(struct reader *reader, const char *word, size_t len)
{
    struct str start = str_sub(str_from(word), 0, len != 0 ? len : strlen(word));
    if (!str_starts_with_nocase(rest(reader), start))
        return false;
    reader->at += start.len;
    return true;
}

static bool take_one_of(struct reader *reader, const struct time_step *step, const char *const *words,
                        size_t count, int64_t first)
{
    for (size_t i = 0; i < count; i++)
        if (take_word(reader, words[i], step->count == 4 ? 0 : 3)) {
            put(reader, step->field, first + (int64_t)i);
            return true;
        }
    return false;
}

static bool read_text(struct reader *reader, const struct time_step *step)
{
    static const char *const halves[] = {"AM", "PM"}, *const eras[] = {"BC", "AD"},
                             *const long_eras[] = {"Before Christ", "Anno Domini"},
                             *const quarters[] = {"Q1", "Q2", "Q3", "Q4"},
                             *const long_quarters[] = {"1st quarter", "2nd quarter", "3rd quarter",
                                                       "4th quarter"};
    bool full = step->count == 4;
    if (step->count == 5)
        return false; /* one letter names several months */
    switch (step->field) {
    case FIELD_MONTH:
        return take_one_of(reader, step, time_month_names, 12, 1);
    case FIELD_DAY_OF_WEEK:
        return take_one_of(reader, step, time_day_names, 7, 1);
    case FIELD_LOCAL_DAY_OF_WEEK:
        if (!take_one_of(reader, step, time_day_names, 7, 1))
            return false;
        put(reader, step->field, get(reader, step->field, 1) % 7 + 1); /* Monday 1 to Sunday 1 */
        return true;
    case FIELD_QUARTER:
        return take_one_of(reader, step, full ? long_quarters : quarters, 4, 1);
    case FIELD_ERA:
        return take_one_of(reader, step, full ? long_eras : eras, 2, 0);
    default:
        ASSERT_CMP(step->field, ==, FIELD_AMPM);
        return take_one_of(reader, step, halves, 2, 0);
    }
}

static bool read_offset(struct reader *reader)
{
    size_t len;
    int32_t offset_s = time_read_offset(rest(reader), &len);
    reader->at += len;
    reader->offset_s = offset_s;
    reader->has_offset |= len != 0;
    return len != 0;
}

/* PST, Pacific Standard Time, or an id; the longest name counts. */
static bool read_zone_name(struct reader *reader, bool full)
{
    struct str best = STR_NULL, id = STR_NULL;
    const struct time_zone_name *name;
    for (uint32_t i = 0; (name = time_zone_name_at(i)) != NULL; i++) {
        const struct str words[] = {full ? name->standard_long : name->standard,
                                    full ? name->summer_long : name->summer};
        for (size_t w = 0; w < COUNT_OF(words); w++)
            if (words[w].len > best.len && str_starts_with_nocase(rest(reader), words[w])) {
                best = words[w];
                id = name->id;
            }
    }
    size_t len = 0;
    const struct time_zone *zone = time_zone_at_start(reader->format->owner, rest(reader), &len);
    if (zone == NULL || best.len > len) {
        if (str_is_null(best))
            return false;
        zone = time_zone_get(reader->format->owner, id, NULL);
        len = best.len;
    }
    reader->zone = zone;
    reader->at += len;
    return zone != NULL;
}

static bool read_zone(struct reader *reader, const struct time_step *step)
{
    size_t len = 0;
    switch (step->letter) {
    case 'V':
        reader->zone = time_zone_at_start(reader->format->owner, rest(reader), &len);
        reader->at += len;
        return reader->zone != NULL;
    case 'v':
    case 'z':
        return read_zone_name(reader, step->count == 4);
    default:
        break;
    }
    if (step->letter == 'O' || (step->letter == 'Z' && step->count == 4)) {
        if (!take_word(reader, "GMT", 0))
            return false;
        reader->has_offset = true;
        reader->offset_s = 0;
        ignore(read_offset(reader), "GMT alone is offset 0");
        return true;
    }
    if ((step->letter == 'X' || step->count == 5) && take_word(reader, "Z", 0)) {
        reader->has_offset = true;
        reader->offset_s = 0;
        return true;
    }
    return read_offset(reader);
}

static bool read_step(struct reader *reader, const struct time_step *step)
{
    switch (step->kind) {
    case STEP_LITERAL:
        if (!str_starts_with_nocase(rest(reader), step->literal))
            return false;
        reader->at += step->literal.len;
        return true;
    case STEP_NUMBER:
        return read_number(reader, step);
    case STEP_REDUCED:
    case STEP_FRACTION:
        return read_fixed(reader, step);
    case STEP_TEXT:
        return read_text(reader, step);
    case STEP_ZONE:
        return read_zone(reader, step);
    case STEP_OPEN:
    case STEP_CLOSE:
        break;
    }
    UNREACHABLE();
}

/* A padded step is exactly `pad` characters: spaces, then the value. */
static bool read_padded(struct reader *reader, const struct time_step *step)
{
    if (step->pad == 0)
        return read_step(reader, step);
    size_t end = reader->at + step->pad;
    struct str whole = reader->text;
    if (end > whole.len)
        return false;
    while (reader->at < end && whole.ptr[reader->at] == ' ')
        reader->at++;
    reader->text.len = end;
    bool ok = read_step(reader, step) && reader->at == end;
    reader->text = whole;
    return ok;
}

/* Steps from *i to the end of their section; *i is left behind it. */
static bool read_steps(struct reader *reader, uint32_t *i)
{
    const struct time_format *format = reader->format;
    for (; *i < format->step_count; ++*i) {
        const struct time_step *step = &format->steps[*i];
        if (step->kind == STEP_CLOSE)
            return true;
        if (step->kind != STEP_OPEN) {
            if (!read_padded(reader, step))
                return false;
            continue;
        }
        struct reader before = *reader;
        uint32_t inside = *i + 1, depth = 0;
        if (!read_steps(reader, &inside))
            *reader = before;
        do { /* to the end of this section, wherever reading stopped */
            depth += format->steps[*i].kind == STEP_OPEN;
            depth -= format->steps[*i].kind == STEP_CLOSE;
        } while (depth > 0 && ++*i < format->step_count);
    }
    return true;
}

static bool parse_fail(const struct reader *reader, struct err *err, const char *what)
{
    return err_set(err, ERR_CONVERSION, "Text '%.*s' could not be parsed%s", STR_ARG(reader->text), what);
}

static bool check_ranges(const struct reader *reader, struct err *err)
{
    for (uint32_t i = 0; i < FIELD_ZONE; i++) {
        const struct time_field_info *info = &time_fields[i];
        if (has(reader, i) && (reader->values[i] < info->least || reader->values[i] > info->most))
            return err_set(err, ERR_CONVERSION,
                           "Text '%.*s' could not be parsed: Invalid value for %s (valid values %" PRId64
                           " - %" PRId64 "): %" PRId64,
                           STR_ARG(reader->text), info->name, info->least, info->most, reader->values[i]);
    }
    return true;
}

static bool read_all(struct reader *reader, const struct time_format *format, struct str text,
                     struct err *err)
{
    *reader = (struct reader){.format = format, .text = text};
    uint32_t i = 0;
    if (!read_steps(reader, &i))
        return err_set(err, ERR_CONVERSION, "Text '%.*s' could not be parsed at index %zu", STR_ARG(text),
                       reader->at);
    if (reader->at != text.len)
        return err_set(err, ERR_CONVERSION,
                       "Text '%.*s' could not be parsed, unparsed text found at index %zu", STR_ARG(text),
                       reader->at);
    return check_ranges(reader, err);
}

static int64_t resolve_year(const struct reader *reader)
{
    if (has(reader, FIELD_YEAR))
        return get(reader, FIELD_YEAR, 0);
    if (!has(reader, FIELD_YEAR_OF_ERA))
        return get(reader, FIELD_WEEK_YEAR, 1970);
    int64_t year = get(reader, FIELD_YEAR_OF_ERA, 0);
    return get(reader, FIELD_ERA, 1) == 0 ? 1 - year : year;
}

/* 1 for Monday; from whichever letter named it, else 0. */
static int resolve_day_of_week(const struct reader *reader)
{
    if (has(reader, FIELD_DAY_OF_WEEK))
        return (int)get(reader, FIELD_DAY_OF_WEEK, 0);
    return has(reader, FIELD_LOCAL_DAY_OF_WEEK) ? (int)(get(reader, FIELD_LOCAL_DAY_OF_WEEK, 0) + 5) % 7 + 1
                                                : 0;
}

/* Weeks begin on Sunday; the week of 1 January is week 1. */
static int64_t days_of_week(int64_t year, int64_t week, int day_of_week)
{
    int64_t first = time_days_of(year, 1, 1);
    int64_t start = first - (first % 7 + 11) % 7;
    return start + (week - 1) * 7 + day_of_week % 7;
}

static bool resolve_date(const struct reader *reader, int64_t *days, struct err *err)
{
    int64_t year = resolve_year(reader);
    int day_of_week = resolve_day_of_week(reader);
    if (has(reader, FIELD_WEEK) && !has(reader, FIELD_MONTH)) {
        *days = days_of_week(year, get(reader, FIELD_WEEK, 1), day_of_week);
        return true;
    }
    if (has(reader, FIELD_DAY_OF_YEAR)) {
        *days = time_days_of(year, 1, 1) + get(reader, FIELD_DAY_OF_YEAR, 1) - 1;
        if (*days >= time_days_of(year + 1, 1, 1))
            return parse_fail(reader, err, ": Invalid date 'DayOfYear 366' as it is not a leap year");
        return true;
    }
    int month = (int)get(reader, FIELD_MONTH, get(reader, FIELD_QUARTER, 1) * 3 - 2);
    int day = MIN((int)get(reader, FIELD_DAY, 1), time_month_days(year, month));
    *days = time_days_of(year, month, day);
    if (day_of_week != 0 && has(reader, FIELD_DAY) && (int)((*days % 7 + 10) % 7) + 1 != day_of_week)
        return parse_fail(reader, err, ": Conflict found: the day of the week is not that of the date");
    return true;
}

static int64_t resolve_hour(const struct reader *reader)
{
    if (has(reader, FIELD_HOUR))
        return get(reader, FIELD_HOUR, 0);
    if (has(reader, FIELD_CLOCK_HOUR))
        return get(reader, FIELD_CLOCK_HOUR, 0) % 24;
    int64_t hour = get(reader, FIELD_HOUR_OF_AMPM, get(reader, FIELD_CLOCK_HOUR_OF_AMPM, 0) % 12);
    return hour + 12 * get(reader, FIELD_AMPM, 0);
}

static int64_t resolve_time(const struct reader *reader)
{
    if (has(reader, FIELD_NANO_OF_DAY))
        return get(reader, FIELD_NANO_OF_DAY, 0) / 1000000;
    if (has(reader, FIELD_MILLI_OF_DAY))
        return get(reader, FIELD_MILLI_OF_DAY, 0);
    int64_t minutes = resolve_hour(reader) * 60 + get(reader, FIELD_MINUTE, 0);
    return (minutes * 60 + get(reader, FIELD_SECOND, 0)) * 1000 + get(reader, FIELD_NANO, 0) / 1000000;
}

bool time_format_parse_timestamp(const struct time_format *format, struct str text,
                                 const struct time_zone *zone, int64_t *ms, struct err *err)
{
    struct reader reader;
    int64_t days;
    if (!read_all(&reader, format, text, err) || !resolve_date(&reader, &days, err))
        return false;
    int64_t ms_of_day = resolve_time(&reader), local_s = days * 86400 + ms_of_day / 1000;
    if (days > INT64_MAX / TIME_DAY_MS - 2 || days < INT64_MIN / TIME_DAY_MS + 2)
        return parse_fail(&reader, err, ": the year is out of the range of TIMESTAMP");
    int32_t offset_s = reader.has_offset
                           ? reader.offset_s
                           : time_zone_offset_of_local(reader.zone != NULL ? reader.zone : zone, local_s);
    *ms = (local_s - offset_s) * 1000 + ms_of_day % 1000;
    return true;
}

bool time_format_parse_date(const struct time_format *format, struct str text, int64_t *days, struct err *err)
{
    struct reader reader;
    return read_all(&reader, format, text, err) && resolve_date(&reader, days, err);
}

bool time_format_parse_time(const struct time_format *format, struct str text, int64_t *ms_of_day,
                            struct err *err)
{
    struct reader reader;
    if (!read_all(&reader, format, text, err))
        return false;
    *ms_of_day = resolve_time(&reader);
    return true;
}
