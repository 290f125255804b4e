/* config.c - configurations of connectors: the common options, checks across options, validation answers.
 *
 *   JSON object -> conf_pairs -> config_check: common table, the plugin's table, rules across them
 *                                   -> settings (when there is no error), or Connect's error texts
 *
 * (C1) Error texts are Kafka Connect's: clients match on them.
 * (C2) Names without a definition are left alone, as Connect does: converters and clients have options of their own
 *      below prefixes.
 */
#include <regex.h>

#include "connect/connect_int.h"

static bool check_name(const struct conf_option *option, struct str text, struct err *err)
{
    if (str_trim(text).len == 0)
        return err_set(err, ERR_INVALID_CONFIG, "String may not be empty");
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20)
            return err_set(err, ERR_INVALID_CONFIG,
                           "String may not contain control sequences but had the "
                           "following ASCII chars: %d",
                           text.ptr[i]);
    return true;
}

/* Names of converters are checked where converters are made; here: the name is known. */
static bool check_converter(const struct conf_option *option, struct str text, struct err *err)
{
    struct conf_pairs none = {0};
    struct converter *conv = converter_new(text, &none, "", err);
    converter_free(conv);
    return conv != NULL;
}

/* Headers are not read by any plugin: any of Kafka's own converters will do. */
static bool check_header_converter(const struct conf_option *option, struct str text, struct err *err)
{
    return str_ends_with(text, STR("SimpleHeaderConverter")) || check_converter(option, text, err);
}

static bool check_not_built(const struct conf_option *option, struct str text, struct err *err)
{
    if (str_trim(text).len == 0)
        return true;
    return err_set(err, ERR_UNSUPPORTED, "%s are not available in this version; remove the option",
                   option->name);
}

static bool check_regex(const struct conf_option *option, struct str text, struct err *err)
{
    if (text.len == 0)
        return true;
    struct sink_settings settings = {.topics_regex = text};
    struct arena arena = {0};
    regex_t regex;
    int status = regcomp(&regex, str_cstr(settings.topics_regex, &arena), REG_EXTENDED | REG_NOSUB);
    arena_fini(&arena);
    if (status != 0)
        return err_set(err, ERR_INVALID_CONFIG, "Invalid regex");
    regfree(&regex);
    return true;
}

static const char *const tolerance_words[] = {"none", "all", NULL};
static const char *const reload_words[] = {"none", "restart", NULL};

#define AT(member) CONF_AT(struct sink_settings, member)

static const struct conf_option sink_options[] = {
    {"name", CONF_STRING, .required = true, .check = check_name, .importance = CONF_HIGH, .group = "Common",
     .display_name = "Connector name", .doc = "Globally unique name to use for this connector.", AT(name)},
    {"connector.class", CONF_STRING, .required = true, .importance = CONF_HIGH, .group = "Common",
     .display_name = "Connector class",
     .doc = "Name of the connector class: its full name, its simple name, or the simple name without "
            "Connector.",
     AT(class_name)},
    {"tasks.max", CONF_INT, "1", .min = 1, .max = 1000, .kafka_type = "INT", .importance = CONF_HIGH,
     .group = "Common", .display_name = "Tasks max", .doc = "Maximum number of tasks of this connector.",
     AT(tasks_max)},
    {"key.converter", CONF_STRING, "org.apache.kafka.connect.storage.StringConverter",
     .check = check_converter, .kafka_type = "CLASS", .importance = CONF_LOW, .group = "Common",
     .display_name = "Key converter class",
     .doc = "Reads the keys of records. Its settings begin with key.converter. ; window.size.ms and "
            "window.session=true cut a window off keys written by SQL, field.name names a bare key.",
     AT(key_converter)},
    {"value.converter", CONF_STRING, "org.apache.kafka.connect.json.JsonConverter", .check = check_converter,
     .kafka_type = "CLASS", .importance = CONF_LOW, .group = "Common",
     .display_name = "Value converter class",
     .doc = "Reads the values of records. When the option is not given: JSON without schemas. Its settings "
            "begin with value.converter.",
     AT(value_converter)},
    {"header.converter", CONF_STRING, "org.apache.kafka.connect.storage.SimpleHeaderConverter",
     .check = check_header_converter, .kafka_type = "CLASS", .importance = CONF_LOW, .group = "Common",
     .display_name = "Header converter class",
     .doc = "Reads headers of records for connectors that use them; none of the present ones does.",
     AT(header_converter)},
    {"transforms", CONF_LIST, "", .check = check_not_built, .importance = CONF_LOW, .group = "Transforms",
     .display_name = "Transforms", .doc = "Aliases for the transformations to be applied to records.",
     AT(transforms)},
    {"predicates", CONF_LIST, "", .check = check_not_built, .importance = CONF_LOW, .group = "Predicates",
     .display_name = "Predicates", .doc = "Aliases for the predicates used by transformations.",
     AT(predicates)},
    {"config.action.reload", CONF_ENUM, "restart", .words = reload_words, .importance = CONF_LOW,
     .group = "Common", .display_name = "Reload Action",
     .doc = "What to do when an external configuration provider changes a value; there are no providers, so "
            "nothing ever changes.",
     AT(config_reload)},
    {"errors.retry.timeout", CONF_INT, "0", .min = -1, .max = INT64_MAX, .importance = CONF_MEDIUM,
     .group = "Error Handling", .display_name = "Retry Timeout for Errors",
     .doc =
         "Milliseconds for which a failed conversion is tried again. Conversions depend on nothing but the "
         "record, so they fail at once; a lost database is always waited for.",
     AT(retry_timeout_ms)},
    {"errors.retry.delay.max.ms", CONF_INT, "60000", .min = 1, .max = INT64_MAX, .importance = CONF_MEDIUM,
     .group = "Error Handling", .display_name = "Maximum Delay Between Retries for Errors",
     .doc = "Longest pause between two tries, in milliseconds.", AT(retry_delay_max_ms)},
    {"errors.tolerance", CONF_ENUM, "none", .words = tolerance_words, .importance = CONF_MEDIUM,
     .group = "Error Handling", .display_name = "Error Tolerance",
     .doc = "none: a record that cannot be converted or written fails the task. all: it is skipped, and "
            "reported.",
     AT(tolerance)},
    {"errors.log.enable", CONF_BOOL, "false", .importance = CONF_MEDIUM, .group = "Error Handling",
     .display_name = "Log Errors", .doc = "Writes a log line for each record that is skipped.",
     AT(log_enable)},
    {"errors.log.include.messages", CONF_BOOL, "false", .importance = CONF_MEDIUM, .group = "Error Handling",
     .display_name = "Log Error Details", .doc = "Adds key and value of the record to that line.",
     AT(log_messages)},
    {"topics", CONF_LIST, "", .importance = CONF_HIGH, .group = "Common", .display_name = "Topics",
     .doc = "List of topics to consume, separated by commas.", AT(topics)},
    {"topics.regex", CONF_STRING, "", .check = check_regex, .importance = CONF_HIGH, .group = "Common",
     .display_name = "Topics regex",
     .doc = "POSIX extended regular expression that the whole name of a topic must match.", AT(topics_regex)},
    {"errors.deadletterqueue.topic.name", CONF_STRING, "", .importance = CONF_MEDIUM,
     .group = "Error Handling", .display_name = "Dead Letter Queue Topic Name",
     .doc = "Topic for records that cannot be converted or written. Empty: they are only counted.",
     AT(dlq_topic)},
    {"errors.deadletterqueue.topic.replication.factor", CONF_INT, "3", .min = -1, .max = 32767,
     .kafka_type = "SHORT", .importance = CONF_MEDIUM, .group = "Error Handling",
     .display_name = "Dead Letter Queue Topic Replication Factor",
     .doc = "Replication factor of that topic when it is made; rialto's own log has one replica.",
     AT(dlq_replication)},
    {"errors.deadletterqueue.context.headers.enable", CONF_BOOL, "false", .importance = CONF_MEDIUM,
     .group = "Error Handling", .display_name = "Enable Error Context Headers",
     .doc = "Adds headers __connect.errors.* that say where the record was and why it failed.",
     AT(dlq_headers)},
    {"consumer.override.max.poll.records", CONF_INT, "5000", .min = 1, .max = 100000, .kafka_type = "INT",
     .importance = CONF_LOW, .group = "Common", .display_name = "Records per batch",
     .doc = "Most records that are handed to the connector at once.", AT(poll_records)},
};

const struct conf_table sink_table = {"connect", sink_options, COUNT_OF(sink_options),
                                      sizeof(struct sink_settings)};

/* Pairs -------------------------------------------------------------------------------------------------- */

struct str pairs_get(const struct conf_pairs *pairs, struct str name, bool *is_set)
{
    for (size_t i = 0; i < pairs->len; i++)
        if (str_eq(pairs->at[i].name, name)) {
            *is_set = true;
            return pairs->at[i].value;
        }
    *is_set = false;
    return STR_NULL;
}

bool pairs_of_json(const struct json_value *object, struct conf_pairs *out, struct arena *arena,
                   struct err *err)
{
    if (object == NULL || object->kind != JSON_OBJECT)
        return err_set(err, ERR_BAD_REQUEST, "the configuration must be a JSON object");
    out->at = arena_array(arena, struct conf_pair, object->len + 1); /* one more: the name */
    out->len = 0;
    for (uint32_t i = 0; i < object->len; i++) {
        const struct json_value *value = &object->members[i].value;
        struct str text = value->str;
        bool known;
        if (value->kind == JSON_ARRAY || value->kind == JSON_OBJECT)
            return err_set(err, ERR_BAD_REQUEST,
                           "the value of %.*s must be a text, a number, a boolean or null, not an %s",
                           STR_ARG(object->members[i].name), json_kind_name(value->kind));
        if (value->kind == JSON_BOOL)
            text = value->b ? STR("true") : STR("false");
        else if (value->kind == JSON_NULL)
            text = STR_NULL;
        struct conf_pair pair = {str_dup(object->members[i].name, arena), str_dup(text, arena)};
        pairs_get(out, pair.name, &known);
        for (size_t k = 0; known && k < out->len; k++)
            if (str_eq(out->at[k].name, pair.name))
                out->at[k].value = pair.value;
        if (!known)
            out->at[out->len++] = pair;
    }
    return true;
}

void pairs_to_json(const struct conf_pairs *pairs, struct json_writer *out)
{
    json_object_begin(out);
    for (size_t i = 0; i < pairs->len; i++) {
        json_key(out, pairs->at[i].name);
        json_str(out, pairs->at[i].value);
    }
    json_object_end(out);
}

/* Checks ------------------------------------------------------------------------------------------------- */

static struct str look_up(void *arg, struct str name, bool *is_set)
{
    return pairs_get(arg, name, is_set);
}

static void add_error(struct config_check *check, const char *name, struct str text, struct arena *arena)
{
    struct conf_check_result *results[] = {check->common, check->own};
    size_t counts[] = {sink_table.count, check->class->options->count};
    for (size_t t = 0; t < COUNT_OF(results); t++)
        for (size_t i = 0; i < counts[t]; i++) {
            struct conf_check_result *result = &results[t][i];
            if (strcmp(result->option->name, name) != 0)
                continue;
            struct str *errors = arena_array(arena, struct str, result->error_count + 1);
            for (size_t k = 0; k < result->error_count; k++)
                errors[k] = result->errors[k];
            errors[result->error_count++] = str_dup(text, arena);
            result->errors = errors;
            check->error_count++;
            return;
        }
}

static void check_topics(struct config_check *check, struct arena *arena)
{
    const struct sink_settings *settings = &check->settings;
    struct str text = STR_NULL;
    if (settings->topics.len != 0 && settings->topics_regex.len != 0)
        text = STR("topics and topics.regex are mutually exclusive options, but both are set.");
    else if (settings->topics.len == 0 && settings->topics_regex.len == 0)
        text = STR("Must configure one of topics or topics.regex");
    if (!str_is_null(text)) {
        add_error(check, "topics", text, arena);
        add_error(check, "topics.regex", text, arena);
        return;
    }
    if (settings->dlq_topic.len == 0 || !topic_is_of(settings, settings->dlq_topic))
        return;
    if (settings->topics.len != 0)
        add_error(check, "topics",
                  str_printf(arena,
                             "The DLQ topic '%.*s' may not be included in the list of topics consumed by the "
                             "connector",
                             STR_ARG(settings->dlq_topic)),
                  arena);
    else
        add_error(check, "topics.regex",
                  str_printf(arena,
                             "The DLQ topic '%.*s' may not be matched by the regex for the topics "
                             "('topics.regex=%.*s') consumed by the connector",
                             STR_ARG(settings->dlq_topic), STR_ARG(settings->topics_regex)),
                  arena);
}

static void check_converters(struct config_check *check, const struct conf_pairs *pairs, struct arena *arena)
{
    struct {
        const char *name, *prefix;
        struct str class_name;
    } sides[] = {{"key.converter", "key.converter.", check->settings.key_converter},
                 {"value.converter", "value.converter.", check->settings.value_converter}};
    for (size_t i = 0; i < COUNT_OF(sides); i++) {
        struct err err;
        if (str_is_null(sides[i].class_name))
            continue; /* it has an error already */
        struct converter *conv = converter_new(sides[i].class_name, pairs, sides[i].prefix, &err);
        if (conv == NULL)
            add_error(check, sides[i].name, str_from(err.text), arena);
        converter_free(conv);
    }
}

void config_check(const struct connector_class *class, const struct conf_pairs *pairs,
                  struct config_check *out, struct arena *arena)
{
    size_t common_errors, own_errors;
    *out = (struct config_check){.class = class};
    out->class_settings = arena_zalloc(arena, 1, class->options->struct_size);
    out->common = conf_validate(&sink_table, look_up, (void *)pairs, &out->settings, arena, &common_errors);
    out->own = conf_validate(class->options, look_up, (void *)pairs, out->class_settings, arena, &own_errors);
    out->error_count = common_errors + own_errors;
    check_topics(out, arena);
    if (common_errors == 0)
        check_converters(out, pairs, arena);
    struct err err;
    const char *key = NULL;
    if (own_errors == 0 && class->check != NULL && !class->check(out->class_settings, &key, &err))
        add_error(out, key, str_from(err.text), arena);
}

bool config_good(const struct config_check *check, struct err *err)
{
    if (check->error_count == 0)
        return true;
    struct buf text = {0};
    buf_printf(&text, "Connector configuration is invalid and contains the following %zu error(s):\n",
               check->error_count);
    const struct conf_check_result *results[] = {check->common, check->own};
    size_t counts[] = {sink_table.count, check->class->options->count};
    for (size_t t = 0; t < COUNT_OF(results); t++)
        for (size_t i = 0; i < counts[t]; i++)
            for (size_t k = 0; k < results[t][i].error_count; k++)
                buf_printf(&text, "%.*s\n", STR_ARG(results[t][i].errors[k]));
    buf_append_cstr(&text, "You can also find the above list of errors at the endpoint "
                           "`/connector-plugins/{connectorType}/config/validate`");
    err_set(err, ERR_BAD_REQUEST, "%s", text.ptr);
    buf_fini(&text);
    return false;
}
