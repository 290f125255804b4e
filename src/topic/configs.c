/* configs.c - the table of topic configs and the check of their values. */
#include "topic/topic.h"

#include <stdio.h>

const struct topic_config_def topic_config_defs[TOPIC_CONFIG_COUNT] = {
#define C(id, name, type, init, min, max, words, synonym, doc) \
    [TOPIC_##id] = {name, TOPIC_CONFIG_##type, init, min, max, words, synonym, doc},
#include "topic/configs.def"
#undef C
};

int topic_config_find(struct str name)
{
    for (int i = 0; i < TOPIC_CONFIG_COUNT; i++)
        if (str_eq_cstr(name, topic_config_defs[i].name))
            return i;
    return -1;
}

/* One of "a|b|c". */
static bool is_word(struct str word, const char *words)
{
    struct str rest = str_from(words), one;
    while (str_split(&rest, '|', &one))
        if (str_eq(word, one))
            return true;
    return false;
}

/* Kafka's words, which people know. */
static bool invalid(const struct topic_config_def *def, struct str value, struct err *err, const char *why)
{
    return err_set(err, ERR_INVALID_CONFIG, "Invalid value %.*s for configuration %s: %s", STR_ARG(value),
                   def->name, why);
}

static bool check_words(const struct topic_config_def *def, struct str value, struct err *err)
{
    struct str rest = value, part;
    bool list = def->type == TOPIC_CONFIG_LIST;
    if (def->words == NULL || (list && value.len == 0)) /* of a list: none of them */
        return true;
    while (list ? str_split(&rest, ',', &part) : (part = rest, !str_is_null(rest))) {
        if (!is_word(str_trim(part), def->words))
            return err_set(err, ERR_INVALID_CONFIG,
                           "Invalid value %.*s for configuration %s: String must be one of: %s",
                           STR_ARG(value), def->name, def->words);
        if (!list)
            break;
    }
    return true;
}

static bool check_number(const struct topic_config_def *def, struct str value, struct err *err)
{
    double number = 0;
    int64_t whole = 0;
    char why[96];
    bool is_double = def->type == TOPIC_CONFIG_DOUBLE;
    bool parsed = is_double ? str_to_double(value, &number) : str_to_i64(value, &whole);
    bool too_long = def->type == TOPIC_CONFIG_INT && (whole > INT32_MAX || whole < INT32_MIN);
    if (!parsed || too_long)
        return invalid(def, value, err,
                       is_double                        ? "Not a number of type DOUBLE"
                       : def->type == TOPIC_CONFIG_LONG ? "Not a number of type LONG"
                                                        : "Not a number of type INT");
    if (!is_double)
        number = (double)whole;
    if (number >= def->min && number <= def->max)
        return true;
    bool low = number < def->min;
    snprintf(why, sizeof why, "Value must be %s %.15g", low ? "at least" : "no more than",
             low ? def->min : def->max);
    return invalid(def, value, err, why);
}

bool topic_configs_agree(const struct str settings[TOPIC_CONFIG_COUNT], struct err *err)
{
    struct str least = settings[TOPIC_MIN_COMPACTION_LAG_MS], most = settings[TOPIC_MAX_COMPACTION_LAG_MS];
    int64_t least_ms, most_ms;
    if (str_is_null(least) || str_is_null(most) || !str_to_i64(least, &least_ms) ||
        !str_to_i64(most, &most_ms) || least_ms <= most_ms)
        return true;
    return err_set(
        err, ERR_INVALID_CONFIG,
        "conflict topic config setting min.compaction.lag.ms (%lld) > max.compaction.lag.ms (%lld)",
        (long long)least_ms, (long long)most_ms);
}

bool topic_config_check(int config, struct str value, struct err *err)
{
    const struct topic_config_def *def = &topic_config_defs[config];
    if (def->words != NULL && def->words[0] == '=') {
        if (str_eq_cstr(value, def->init))
            return true;
        return err_set(err, ERR_INVALID_CONFIG, "%s can only be '%s' here: %s", def->name, def->init,
                       def->doc);
    }
    switch (def->type) {
    case TOPIC_CONFIG_BOOL:
        if (str_eq_nocase(value, STR("true")) || str_eq_nocase(value, STR("false")))
            return true;
        return invalid(def, value, err, "Expected value to be either true or false");
    case TOPIC_CONFIG_STRING:
    case TOPIC_CONFIG_LIST:
        return check_words(def, value, err);
    default:
        return check_number(def, value, err) && check_words(def, value, err);
    }
}
