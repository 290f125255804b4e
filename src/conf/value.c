/* value.c - one option's text to its field and back to a word about what is wrong; validation of whole
 * tables.
 *
 * Messages have Kafka's wording (ConfigDef): "Invalid value x for configuration a.b: Not a number of type
 * LONG".
 */
#include <stdio.h>

#include "conf/conf_int.h"

static const struct {
    const char *name, *kafka_name;
    size_t size;
} types[] = {
    [CONF_BOOL] = {"bool", "BOOLEAN", sizeof(bool)},
    [CONF_INT] = {"int", "LONG", sizeof(int64_t)},
    [CONF_DOUBLE] = {"double", "DOUBLE", sizeof(double)},
    [CONF_SIZE] = {"size", "LONG", sizeof(int64_t)},
    [CONF_DURATION_MS] = {"duration", "LONG", sizeof(int64_t)},
    [CONF_STRING] = {"string", "STRING", sizeof(struct str)},
    [CONF_PASSWORD] = {"password", "PASSWORD", sizeof(struct str)},
    [CONF_LIST] = {"list", "LIST", sizeof(struct conf_list)},
    [CONF_ENUM] = {"enum", "STRING", sizeof(int)},
    [CONF_PREFIX] = {"prefix", "STRING", sizeof(struct conf_pairs)},
};

/* A number's unit: "64KiB", "5s". The empty unit comes first. */
struct unit {
    const char *suffix;
    int64_t factor;
};

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"kB", 1000},
    {"KB", 1000},
    {"KiB", 1 << 10},
    {"MB", 1000000},
    {"MiB", 1 << 20},
    {"GB", 1000000000},
    {"GiB", 1 << 30},
    {"TB", 1000000000000},
    {"TiB", (int64_t)1 << 40},
};

static const struct unit duration_units[] = {
    {"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000},
};

const char *conf_type_name(enum conf_type type)
{
    return types[type].name;
}

const char *conf_kafka_type(const struct conf_option *option)
{
    return option->kafka_type != NULL ? option->kafka_type : types[option->type].kafka_name;
}

size_t conf_type_size(enum conf_type type)
{
    return types[type].size;
}

/* "Invalid value x for configuration a.b: " in front; passwords are not shown. */
static bool invalid(const struct conf_option *option, struct str text, struct err *err, const char *why)
{
    if (option->type == CONF_PASSWORD)
        text = STR("[hidden]");
    return err_set(err, ERR_INVALID_CONFIG, "Invalid value %.*s for configuration %s: %s",
                   (int)MIN(text.len, 200), text.ptr != NULL ? text.ptr : "", option->name, why);
}

static bool has_range(const struct conf_option *option)
{
    return option->min != 0 || option->max != 0;
}

/* max 0 with a negative min is a real bound; with min > 0 it means "no upper bound". */
static bool in_range(const struct conf_option *option, struct str text, double value, struct err *err)
{
    char why[80];
    bool has_max = option->max != 0 || option->min < 0;
    if (!has_range(option))
        return true;
    if (value < (double)option->min)
        snprintf(why, sizeof why, "Value must be at least %" PRId64, option->min);
    else if (has_max && value > (double)option->max)
        snprintf(why, sizeof why, "Value must be no more than %" PRId64, option->max);
    else
        return true;
    return invalid(option, text, err, why);
}

static bool parse_bool(const struct conf_option *option, struct str text, bool *out, struct err *err)
{
    if (str_eq_nocase(text, STR("true")))
        *out = true;
    else if (str_eq_nocase(text, STR("false")))
        *out = false;
    else
        return invalid(option, text, err, "Expected value to be either true or false");
    return true;
}

static bool parse_int(const struct conf_option *option, struct str text, int64_t *out, struct err *err)
{
    char why[64];
    int64_t n;
    if (!str_to_i64(text, &n)) {
        snprintf(why, sizeof why, "Not a number of type %s", conf_kafka_type(option));
        return invalid(option, text, err, why);
    }
    if (!in_range(option, text, (double)n, err))
        return false;
    *out = n;
    return true;
}

static bool parse_double(const struct conf_option *option, struct str text, double *out, struct err *err)
{
    double n;
    if (!str_to_double(text, &n))
        return invalid(option, text, err, "Not a number of type DOUBLE");
    if (!in_range(option, text, n, err))
        return false;
    *out = n;
    return true;
}

static bool parse_with_unit(const struct conf_option *option, struct str text, const struct unit *units,
                            size_t count, const char *why, int64_t *out, struct err *err)
{
    size_t digits = 0;
    int64_t n;
    while (digits < text.len &&
           (text.ptr[digits] == '-' || (text.ptr[digits] >= '0' && text.ptr[digits] <= '9')))
        digits++;
    struct str suffix = str_trim(str_sub(text, digits, SIZE_MAX));
    if (!str_to_i64(str_sub(text, 0, digits), &n))
        return invalid(option, text, err, why);
    for (size_t i = 0; i < count; i++) {
        if (!str_eq_cstr(suffix, units[i].suffix))
            continue;
        if (__builtin_mul_overflow(n, units[i].factor, &n))
            return invalid(option, text, err, "Not a number of type LONG");
        if (!in_range(option, text, (double)n, err))
            return false;
        *out = n;
        return true;
    }
    return invalid(option, text, err, why);
}

static bool parse_enum(const struct conf_option *option, struct str text, int *out, struct err *err)
{
    struct buf why = {0};
    buf_append_cstr(&why, "String must be one of: ");
    for (int i = 0; option->words[i] != NULL; i++) {
        if (str_eq_nocase(text, str_from(option->words[i]))) {
            buf_fini(&why);
            *out = i;
            return true;
        }
        buf_printf(&why, "%s%s", i == 0 ? "" : ", ", option->words[i]);
    }
    invalid(option, text, err, why.ptr);
    buf_fini(&why);
    return false;
}

static void parse_list(struct str text, struct conf_list *out, struct arena *arena)
{
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == ',';
    struct str rest = str_dup(text, arena), part;
    *out = (struct conf_list){.at = arena_array(arena, struct str, count)};
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (part.len > 0)
            out->at[out->len++] = part;
    }
}

static bool parse_typed(const struct conf_option *option, struct str text, void *field, struct arena *arena,
                        struct err *err)
{
    switch (option->type) {
    case CONF_BOOL:
        return parse_bool(option, text, field, err);
    case CONF_INT:
        return parse_int(option, text, field, err);
    case CONF_DOUBLE:
        return parse_double(option, text, field, err);
    case CONF_SIZE:
        return parse_with_unit(
            option, text, size_units, COUNT_OF(size_units),
            "Not a size: write a number of bytes, or with a unit such as 64KiB, 1MiB, 1GiB", field, err);
    case CONF_DURATION_MS:
        return parse_with_unit(
            option, text, duration_units, COUNT_OF(duration_units),
            "Not a duration: write milliseconds, or with a unit such as 250ms, 5s, 10m, 2h, 7d", field, err);
    case CONF_STRING:
    case CONF_PASSWORD:
        *(struct str *)field = str_dup(text, arena);
        return true;
    case CONF_LIST:
        parse_list(text, field, arena);
        return true;
    case CONF_ENUM:
        return parse_enum(option, text, field, err);
    case CONF_PREFIX:
        break; /* has no text of its own */
    }
    UNREACHABLE();
}

bool conf_parse_value(const struct conf_option *option, struct str text, void *field, struct arena *arena,
                      struct err *err)
{
    ASSERT_CMP(option->size, ==, types[option->type].size);
    if (option->type != CONF_STRING && option->type != CONF_PASSWORD)
        text = str_trim(text);
    if (!parse_typed(option, text, field, arena, err))
        return false;
    struct err why;
    if (option->check != NULL && !option->check(option, text, &why))
        return invalid(option, text, err, why.text);
    return true;
}

void conf_set_default(const struct conf_option *option, void *field, struct arena *arena)
{
    struct err err;
    memset(field, 0, option->size);
    if (option->default_text == NULL || option->type == CONF_PREFIX)
        return;
    if (!conf_parse_value(option, str_from(option->default_text), field, arena, &err))
        assert_failed(__FILE__, __LINE__, "a default must be valid", "%s", err.text);
}

/* ---- whole tables ---- */

static void result_error(struct conf_check_result *result, const char *text, struct arena *arena)
{
    result->errors = arena_array(arena, struct str, 1);
    result->errors[0] = str_dup(str_from(text), arena);
    result->error_count = 1;
}

static void validate_one(const struct conf_option *option, conf_lookup *lookup, void *lookup_arg, void *field,
                         struct arena *arena, struct conf_check_result *result)
{
    bool is_set = false;
    struct err err;
    struct str text = lookup(lookup_arg, str_from(option->name), &is_set);
    result->option = option;
    result->recommended = option->words;
    result->value = is_set ? str_dup(text, arena) : str_from(option->default_text);
    if (!is_set && option->required && option->default_text == NULL) {
        err_set(&err, ERR_INVALID_CONFIG, "Missing required configuration \"%s\" which has no default value.",
                option->name);
        result_error(result, err.text, arena);
    } else if (is_set && str_is_null(text)) {
        invalid(option, STR("null"), &err, "Null value can not be supplied as the configuration value.");
        result_error(result, err.text, arena);
    } else if (is_set && !conf_parse_value(option, text, field, arena, &err)) {
        result_error(result, err.text, arena);
    }
}

struct conf_check_result *conf_validate(const struct conf_table *table, conf_lookup *lookup, void *lookup_arg,
                                        void *out, struct arena *arena, size_t *error_count)
{
    struct conf_check_result *results = arena_array(arena, struct conf_check_result, table->count);
    if (out == NULL)
        out = arena_zalloc(arena, 1, table->struct_size);
    *error_count = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct conf_option *option = &table->options[i];
        void *field = (char *)out + option->offset;
        conf_set_default(option, field, arena);
        results[i].option = option;
        if (option->type != CONF_PREFIX)
            validate_one(option, lookup, lookup_arg, field, arena, &results[i]);
        *error_count += results[i].error_count;
    }
    return results;
}

/* ---- one option ---- */

const struct conf_option *conf_option_find(const struct conf_table *table, struct str name)
{
    for (size_t i = 0; i < table->count; i++)
        if (str_eq_cstr(name, table->options[i].name))
            return &table->options[i];
    return NULL;
}

static struct str list_text(const struct conf_list *list, struct arena *arena)
{
    struct buf text = {0};
    for (size_t i = 0; i < list->len; i++)
        buf_printf(&text, "%s%.*s", i == 0 ? "" : ",", STR_ARG(list->at[i]));
    struct str out = str_dup(buf_str(&text), arena);
    buf_fini(&text);
    return out;
}

struct str conf_option_text(const struct conf_option *option, const void *values, struct arena *arena)
{
    const void *field = (const char *)values + option->offset;
    switch (option->type) {
    case CONF_BOOL:
        return __atomic_load_n((const bool *)field, __ATOMIC_RELAXED) ? STR("true") : STR("false");
    case CONF_INT:
    case CONF_SIZE:
    case CONF_DURATION_MS:
        return str_printf(arena, "%lld",
                          (long long)__atomic_load_n((const int64_t *)field, __ATOMIC_RELAXED));
    case CONF_DOUBLE: {
        int64_t bits = __atomic_load_n((const int64_t *)field, __ATOMIC_RELAXED);
        double number;
        memcpy(&number, &bits, sizeof number);
        return str_printf(arena, "%.15g", number);
    }
    case CONF_ENUM:
        return str_from(option->words[*(const int *)field]);
    case CONF_STRING:
        return *(const struct str *)field;
    case CONF_LIST:
        return list_text(field, arena);
    default: /* a password */
        return STR_NULL;
    }
}
