/* time_pattern.c - pattern text to steps, by the rules of Java's DateTimeFormatterBuilder.appendPattern.
 *
 *   "yyyy-MM[ 'at' HH]"  ->  number(yyyy) literal(-) number(MM) open literal( ) literal(at) ...
 *
 * (P1) Numbers of fixed width right behind a number of open width reserve their digits from it: "yyyyMMdd"
 *      reads 20200131.
 * (P2) Steps are immutable and live in the arena of the cache.
 */
#include "type/time_int.h"

const char *const time_month_names[12] = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};
const char *const time_day_names[7] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};

const struct time_field_info time_fields[FIELD_COUNT] = {
    [FIELD_ERA] = {"Era", true, false, 0, 1},
    [FIELD_YEAR] = {"Year", true, false, -999999999, 999999999},
    [FIELD_YEAR_OF_ERA] = {"YearOfEra", true, false, 1, 999999999},
    [FIELD_QUARTER] = {"QuarterOfYear", true, false, 1, 4},
    [FIELD_MONTH] = {"MonthOfYear", true, false, 1, 12},
    [FIELD_WEEK_YEAR] = {"WeekBasedYear[WeekFields[SUNDAY,1]]", true, false, -999999999, 999999999},
    [FIELD_WEEK] = {"WeekOfWeekBasedYear[WeekFields[SUNDAY,1]]", true, false, 1, 53},
    [FIELD_WEEK_OF_MONTH] = {"WeekOfMonth[WeekFields[SUNDAY,1]]", true, false, 0, 6},
    [FIELD_ALIGNED_WEEK] = {"AlignedWeekOfMonth", true, false, 1, 5},
    [FIELD_DAY_OF_YEAR] = {"DayOfYear", true, false, 1, 366},
    [FIELD_DAY] = {"DayOfMonth", true, false, 1, 31},
    [FIELD_DAY_OF_WEEK] = {"DayOfWeek", true, false, 1, 7},
    [FIELD_LOCAL_DAY_OF_WEEK] = {"DayOfWeek[WeekFields[SUNDAY,1]]", true, false, 1, 7},
    [FIELD_AMPM] = {"AmPmOfDay", false, true, 0, 1},
    [FIELD_HOUR] = {"HourOfDay", false, true, 0, 23},
    [FIELD_CLOCK_HOUR] = {"ClockHourOfDay", false, true, 1, 24},
    [FIELD_HOUR_OF_AMPM] = {"HourOfAmPm", false, true, 0, 11},
    [FIELD_CLOCK_HOUR_OF_AMPM] = {"ClockHourOfAmPm", false, true, 1, 12},
    [FIELD_MINUTE] = {"MinuteOfHour", false, true, 0, 59},
    [FIELD_SECOND] = {"SecondOfMinute", false, true, 0, 59},
    [FIELD_NANO] = {"NanoOfSecond", false, true, 0, 999999999},
    [FIELD_MILLI_OF_DAY] = {"MilliOfDay", false, true, 0, TIME_DAY_MS - 1},
    [FIELD_NANO_OF_DAY] = {"NanoOfDay", false, true, 0, TIME_DAY_MS *INT64_C(1000000) - 1},
    [FIELD_ZONE] = {"ZoneId", false, false, 0, 0},
};

/* How the count of a letter chooses its form. */
enum letter_form {
    FORM_YEAR,   /* 2: two digits from 2000; else a number of at least `count` digits */
    FORM_NUMBER, /* 1: any width; 2: two digits */
    FORM_WIDE,   /* at least `count` digits */
    FORM_DAY_OF_YEAR,
    FORM_TEXT,   /* always a text */
    FORM_EITHER, /* 1, 2: number; 3 to 5: text */
    FORM_FRACTION,
    FORM_ZONE,
};

static const struct letter {
    char letter;
    enum time_field field;
    enum letter_form form;
    uint8_t count_max;
} letters[] = {
    {'G', FIELD_ERA, FORM_TEXT, 5},
    {'u', FIELD_YEAR, FORM_YEAR, 19},
    {'y', FIELD_YEAR_OF_ERA, FORM_YEAR, 19},
    {'Y', FIELD_WEEK_YEAR, FORM_YEAR, 19},
    {'Q', FIELD_QUARTER, FORM_EITHER, 5},
    {'q', FIELD_QUARTER, FORM_EITHER, 5},
    {'M', FIELD_MONTH, FORM_EITHER, 5},
    {'L', FIELD_MONTH, FORM_EITHER, 5},
    {'w', FIELD_WEEK, FORM_NUMBER, 2},
    {'W', FIELD_WEEK_OF_MONTH, FORM_NUMBER, 1},
    {'F', FIELD_ALIGNED_WEEK, FORM_NUMBER, 1},
    {'D', FIELD_DAY_OF_YEAR, FORM_DAY_OF_YEAR, 3},
    {'d', FIELD_DAY, FORM_NUMBER, 2},
    {'E', FIELD_DAY_OF_WEEK, FORM_TEXT, 5},
    {'e', FIELD_LOCAL_DAY_OF_WEEK, FORM_EITHER, 5},
    {'c', FIELD_LOCAL_DAY_OF_WEEK, FORM_EITHER, 5},
    {'a', FIELD_AMPM, FORM_TEXT, 1},
    {'H', FIELD_HOUR, FORM_NUMBER, 2},
    {'k', FIELD_CLOCK_HOUR, FORM_NUMBER, 2},
    {'K', FIELD_HOUR_OF_AMPM, FORM_NUMBER, 2},
    {'h', FIELD_CLOCK_HOUR_OF_AMPM, FORM_NUMBER, 2},
    {'m', FIELD_MINUTE, FORM_NUMBER, 2},
    {'s', FIELD_SECOND, FORM_NUMBER, 2},
    {'S', FIELD_NANO, FORM_FRACTION, 9},
    {'n', FIELD_NANO, FORM_WIDE, 19},
    {'A', FIELD_MILLI_OF_DAY, FORM_WIDE, 19},
    {'N', FIELD_NANO_OF_DAY, FORM_WIDE, 19},
    {'V', FIELD_ZONE, FORM_ZONE, 2},
    {'v', FIELD_ZONE, FORM_ZONE, 4},
    {'z', FIELD_ZONE, FORM_ZONE, 4},
    {'O', FIELD_ZONE, FORM_ZONE, 4},
    {'X', FIELD_ZONE, FORM_ZONE, 5},
    {'x', FIELD_ZONE, FORM_ZONE, 5},
    {'Z', FIELD_ZONE, FORM_ZONE, 5},
};

static const struct letter *letter_find(char c)
{
    for (size_t i = 0; i < COUNT_OF(letters); i++)
        if (letters[i].letter == c)
            return &letters[i];
    return NULL;
}

/* Limits: patterns may come from data. */
enum { SECTIONS_MAX = 16, PATTERN_BYTES_MAX = 1024, PATTERNS_MAX = 4096 };

struct compiler {
    struct str pattern;
    size_t at;
    vec(struct time_step) steps;
    uint32_t open; /* optional sections not closed yet */
    struct arena *arena;
    struct err *err;
};

static void number_step(struct time_step *step, uint8_t width_min, uint8_t width_max, bool negatives)
{
    step->kind = STEP_NUMBER;
    step->width_min = width_min;
    step->width_max = width_max;
    step->negatives = negatives;
}

static void shape_step(struct time_step *step, enum letter_form form)
{
    uint8_t count = step->count;
    switch (form) {
    case FORM_YEAR:
        number_step(step, count, 19, true);
        step->plus = count >= 4;
        if (count == 2) {
            step->kind = STEP_REDUCED;
            step->width_max = 2;
        }
        return;
    case FORM_NUMBER:
    case FORM_EITHER:
        number_step(step, count, count == 1 ? 19 : 2, count == 1);
        if (count > 2)
            step->kind = STEP_TEXT;
        return;
    case FORM_WIDE:
        number_step(step, count, 19, false);
        return;
    case FORM_DAY_OF_YEAR:
        number_step(step, count, count == 1 ? 19 : 3, count == 1);
        return;
    case FORM_TEXT:
        step->kind = STEP_TEXT;
        return;
    case FORM_FRACTION:
        step->kind = STEP_FRACTION;
        step->width_min = step->width_max = count;
        return;
    case FORM_ZONE:
        step->kind = STEP_ZONE;
        return;
    }
    UNREACHABLE();
}

/* Counts that lie between the allowed ones: VV only, v and O: 1 or 4. */
static bool count_fits(char letter, size_t count)
{
    return letter == 'V' ? count == 2 : letter == 'v' || letter == 'O' ? count == 1 || count == 4 : true;
}

static size_t run_length(const struct compiler *compiler)
{
    size_t from = compiler->at, n = 0;
    while (from + n < compiler->pattern.len && compiler->pattern.ptr[from + n] == compiler->pattern.ptr[from])
        n++;
    return n;
}

static bool compile_letter(struct compiler *compiler)
{
    size_t count = run_length(compiler), pad = 0;
    char c = compiler->pattern.ptr[compiler->at];
    if (c == 'p') {
        pad = count;
        compiler->at += count;
        if (compiler->at == compiler->pattern.len || letter_find(compiler->pattern.ptr[compiler->at]) == NULL)
            return err_set(compiler->err, ERR_CONVERSION,
                           "Pad letter 'p' must be followed by valid pad pattern: %.*s",
                           STR_ARG(compiler->pattern));
        c = compiler->pattern.ptr[compiler->at];
        count = run_length(compiler);
    }
    const struct letter *letter = letter_find(c);
    if (letter == NULL)
        return err_set(compiler->err, ERR_CONVERSION, "Unknown pattern letter: %c", c);
    if (count > letter->count_max || pad > 255)
        return err_set(compiler->err, ERR_CONVERSION, "Too many pattern letters: %c", c);
    if (!count_fits(c, count))
        return err_set(compiler->err, ERR_CONVERSION, "Wrong number of pattern letters: %c", c);
    struct time_step step = {.field = letter->field,
                             .letter = c,
                             .count = (uint8_t)count,
                             .pad = (uint8_t)pad};
    shape_step(&step, letter->form);
    vec_push(&compiler->steps, step);
    compiler->at += count;
    return true;
}

static void push_literal(struct compiler *compiler, struct str text)
{
    struct time_step step = {.kind = STEP_LITERAL, .literal = text};
    vec_push(&compiler->steps, step);
}

/* 'text' with '' for a quote inside; '' alone is a quote. */
static bool compile_quoted(struct compiler *compiler)
{
    struct buf text = {0};
    size_t start = compiler->at++;
    for (;; compiler->at++) {
        if (compiler->at == compiler->pattern.len) {
            buf_fini(&text);
            return err_set(compiler->err, ERR_CONVERSION,
                           "Pattern ends with an incomplete string literal: %.*s",
                           STR_ARG(compiler->pattern));
        }
        char c = compiler->pattern.ptr[compiler->at];
        if (c == '\'') {
            if (compiler->at + 1 == compiler->pattern.len || compiler->pattern.ptr[compiler->at + 1] != '\'')
                break;
            compiler->at++;
        }
        buf_append_char(&text, c);
    }
    bool alone = compiler->at == start + 1;
    compiler->at++;
    push_literal(compiler, alone ? STR("'") : str_dup(buf_str(&text), compiler->arena));
    buf_fini(&text);
    return true;
}

static bool compile_section(struct compiler *compiler, char c)
{
    compiler->at++;
    if (c == ']' && compiler->open == 0)
        return err_set(compiler->err, ERR_CONVERSION, "Pattern invalid as it contains ] without previous [");
    if (c == '[' && compiler->open == SECTIONS_MAX)
        return err_set(compiler->err, ERR_LIMIT,
                       "Pattern has more than %d optional sections inside each other", SECTIONS_MAX);
    compiler->open += c == '[' ? 1 : (uint32_t)-1;
    struct time_step step = {.kind = c == '[' ? STEP_OPEN : STEP_CLOSE};
    vec_push(&compiler->steps, step);
    return true;
}

static bool compile_next(struct compiler *compiler)
{
    char c = compiler->pattern.ptr[compiler->at];
    if ((c | 32) >= 'a' && (c | 32) <= 'z' && (uint8_t)c < 0x80)
        return compile_letter(compiler);
    if (c == '\'')
        return compile_quoted(compiler);
    if (c == '[' || c == ']')
        return compile_section(compiler, c);
    if (c == '{' || c == '}' || c == '#')
        return err_set(compiler->err, ERR_CONVERSION, "Pattern includes reserved character: '%c'", c);
    push_literal(compiler, str_dup(str_sub(compiler->pattern, compiler->at, 1), compiler->arena));
    compiler->at++;
    return true;
}

/* (P1) */
static void reserve_digits(struct time_step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (steps[i].kind != STEP_NUMBER || steps[i].width_min == steps[i].width_max)
            continue;
        for (size_t j = i + 1; j < count && steps[j].pad == 0; j++) {
            bool fixed = steps[j].kind == STEP_REDUCED || steps[j].kind == STEP_FRACTION ||
                         (steps[j].kind == STEP_NUMBER && steps[j].width_min == steps[j].width_max);
            if (!fixed)
                break;
            steps[i].reserved = (uint8_t)(steps[i].reserved + steps[j].width_max);
        }
    }
}

const struct time_format *time_format_get(struct time_formats *formats, struct str pattern, struct err *err)
{
    struct map *patterns = time_formats_patterns(formats);
    struct time_format *format = map_get(patterns, pattern);
    if (format != NULL)
        return format;
    if (patterns->len >= PATTERNS_MAX || pattern.len > PATTERN_BYTES_MAX) {
        err_set(err, ERR_LIMIT,
                "the date pattern is longer than %d bytes, or more than %d patterns are in use",
                PATTERN_BYTES_MAX, PATTERNS_MAX);
        return NULL;
    }
    struct arena *arena = time_formats_arena(formats);
    struct compiler compiler = {.pattern = pattern, .arena = arena, .err = err};
    bool ok = true;
    while (ok && compiler.at < pattern.len)
        ok = compile_next(&compiler);
    for (; ok && compiler.open > 0; compiler.open--) { /* sections that stay open end with the pattern */
        struct time_step step = {.kind = STEP_CLOSE};
        vec_push(&compiler.steps, step);
    }
    if (ok) {
        reserve_digits(compiler.steps.at, compiler.steps.len);
        format = arena_new(arena, struct time_format);
        *format = (struct time_format){
            .owner = formats,
            .pattern = str_dup(pattern, arena),
            .steps = arena_dup(arena, compiler.steps.at, compiler.steps.len * sizeof *compiler.steps.at),
            .step_count = (uint32_t)compiler.steps.len,
        };
        map_put(patterns, pattern, format);
    }
    vec_fini(&compiler.steps);
    return ok ? format : NULL;
}
