/* configs.c - the table of topic configs and the check of their values. */
#include "topic/topic.h"

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

static bool check_words(const struct topic_config_def *def, struct str value, struct err *err)
{
    struct str rest = value, part;
    bool list = def->type == TOPIC_CONFIG_LIST;
    if (def->words == NULL)
        return true;
    while (list ? str_split(&rest, ',', &part) : (part = rest, !str_is_null(rest))) {
        if (!is_word(str_trim(part), def->words))
            return err_set(err, ERR_INVALID_CONFIG, "%s is '%.*s': allowed is %s%s", def->name,
                           STR_ARG(value), list ? "a list of " : "", def->words);
        if (!list)
            break;
    }
    return true;
}

static bool check_number(const struct topic_config_def *def, struct str value, struct err *err)
{
    double number = 0;
    int64_t whole;
    bool parsed =
        def->type == TOPIC_CONFIG_DOUBLE ? str_to_double(value, &number) : str_to_i64(value, &whole);
    if (parsed && def->type != TOPIC_CONFIG_DOUBLE)
        number = (double)whole;
    if (!parsed || number < def->min || number > def->max)
        return err_set(err, ERR_INVALID_CONFIG, "%s is '%.*s': a number from %.15g to %.15g is wanted",
                       def->name, STR_ARG(value), def->min, def->max);
    return true;
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
        return err_set(err, ERR_INVALID_CONFIG, "%s is '%.*s': true or false is wanted", def->name,
                       STR_ARG(value));
    case TOPIC_CONFIG_STRING:
    case TOPIC_CONFIG_LIST:
        return check_words(def, value, err);
    default:
        return check_number(def, value, err);
    }
}
