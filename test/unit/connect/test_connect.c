/* What connect does without a server: the life cycle table, validation texts, converters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "connect/connect_int.h"
#include "type/decimal.h"

/* A plugin with one option and one rule of its own ------------------------------------------------------- */

struct probe_settings {
    int64_t size;
};

static const struct conf_option probe_options[] = {
    {"probe.size", CONF_INT, .required = true, .min = 1, .kafka_type = "INT", .doc = "A size.",
     CONF_AT(struct probe_settings, size)},
};
static const struct conf_table probe_table = {"probe", probe_options, COUNT_OF(probe_options),
                                              sizeof(struct probe_settings)};

static bool probe_check(const void *settings, const char **key, struct err *err)
{
    *key = "probe.size";
    return ((const struct probe_settings *)settings)->size != 13 ||
           err_set(err, ERR_INVALID_CONFIG, "not 13");
}

static const char *const probe_aliases[] = {"org.example.connect.ProbeSinkConnector", NULL};
static const struct connector_class probe_class = {.name = "Probe",
                                                   .aliases = probe_aliases,
                                                   .kind = CONNECTOR_SINK,
                                                   .version = "1",
                                                   .options = &probe_table,
                                                   .check = probe_check};

/* Life cycle --------------------------------------------------------------------------------------------- */

static void states(void **state)
{
    assert_string_equal(connect_state_name(STATE_UNASSIGNED), "UNASSIGNED");
    assert_string_equal(connect_state_name(STATE_RESTARTING), "RESTARTING");
    assert_int_equal(connect_state_next(STATE_UNASSIGNED, EVENT_START), STATE_RUNNING);
    assert_int_equal(connect_state_next(STATE_RUNNING, EVENT_PAUSE), STATE_PAUSED);
    assert_int_equal(connect_state_next(STATE_PAUSED, EVENT_START), STATE_RUNNING);
    assert_int_equal(connect_state_next(STATE_RUNNING, EVENT_FAIL), STATE_FAILED);
    /* Only a restart (or a stop) takes a failed one out of its state. */
    assert_int_equal(connect_state_next(STATE_FAILED, EVENT_START), STATE_FAILED);
    assert_int_equal(connect_state_next(STATE_FAILED, EVENT_PAUSE), STATE_FAILED);
    assert_int_equal(connect_state_next(STATE_FAILED, EVENT_RESTART), STATE_RESTARTING);
    assert_int_equal(connect_state_next(STATE_RESTARTING, EVENT_START), STATE_RUNNING);
    assert_int_equal(connect_state_next(STATE_STOPPED, EVENT_RESTART), STATE_STOPPED);
    for (int s = 0; s < STATE_COUNT; s++)
        assert_int_equal(connect_state_next((enum connect_state)s, EVENT_STOP), STATE_STOPPED);
}

/* Configurations ----------------------------------------------------------------------------------------- */

static void check_text(const char *json, struct err *err)
{
    struct arena arena = {0};
    struct conf_pairs pairs;
    struct config_check check;
    *err = (struct err){0};
    assert_true(pairs_of_json(json_parse(str_from(json), &arena, err), &pairs, &arena, err));
    config_check(&probe_class, &pairs, &check, &arena);
    assert_int_equal(config_good(&check, err), check.error_count == 0);
    arena_fini(&arena);
}

#define PROBE "\"name\":\"n\",\"connector.class\":\"Probe\",\"probe.size\":1"
#define TAIL                                                        \
    "\nYou can also find the above list of errors at the endpoint " \
    "`/connector-plugins/{connectorType}/config/validate`"

static void validation_texts(void **state)
{
    static const struct {
        const char *config, *errors; /* NULL: good */
    } cases[] = {
        {"{" PROBE ",\"topics\":\"a,b\"}", NULL},
        {"{" PROBE ",\"topics.regex\":\"a.*\"}", NULL},
        {"{" PROBE "}", "contains the following 2 error(s):\nMust configure one of topics or "
                        "topics.regex\nMust configure one of "
                        "topics or topics.regex" TAIL},
        {"{" PROBE ",\"topics\":\"a\",\"topics.regex\":\"b\"}",
         "topics and topics.regex are mutually exclusive options, but both are set."},
        {"{" PROBE ",\"topics\":\"a\",\"tasks.max\":\"x\"}",
         "Invalid value x for configuration tasks.max: Not a number of type INT"},
        {"{" PROBE ",\"topics\":\"a\",\"tasks.max\":0}",
         "Invalid value 0 for configuration tasks.max: Value must be at least 1"},
        {"{" PROBE ",\"topics\":\"a\",\"errors.tolerance\":\"some\"}",
         "Invalid value some for configuration errors.tolerance: String must be one of: none, all"},
        {"{" PROBE ",\"topics\":\"a\",\"errors.deadletterqueue.topic.name\":\"a\"}",
         "The DLQ topic 'a' may not be included in the list of topics"},
        {"{" PROBE ",\"topics.regex\":\"d.*\",\"errors.deadletterqueue.topic.name\":\"dlq\"}",
         "The DLQ topic 'dlq' may not be matched by the regex for the topics ('topics.regex=d.*')"},
        {"{" PROBE ",\"topics\":\"a\",\"value.converter\":\"org.example.Nothing\"}",
         "Class org.example.Nothing could not be found."},
        {"{" PROBE ",\"topics\":\"a\",\"value.converter\":\"io.confluent.connect.avro.AvroConverter\"}",
         "needs a schema registry"},
        {"{" PROBE ",\"topics\":\"a\",\"transforms\":\"t\"}", "transforms are not available in this version"},
        {"{" PROBE ",\"topics\":\"a\",\"name\":null}",
         "Null value can not be supplied as the configuration value."},
        {"{\"name\":\"n\",\"connector.class\":\"Probe\",\"topics\":\"a\"}",
         "Missing required configuration \"probe.size\" which has no default value."},
        {"{\"name\":\"n\",\"connector.class\":\"Probe\",\"topics\":\"a\",\"probe.size\":13}", "not 13"},
        {"{" PROBE
         ",\"topics\":\"a\",\"key.converter\":\"StringConverter\",\"key.converter.window.size.ms\":\"-1\"}",
         "key.converter.window.size.ms"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct err err;
        check_text(cases[i].config, &err);
        if (cases[i].errors == NULL)
            assert_int_equal(err.code, ERR_NONE);
        else if (err.code != ERR_BAD_REQUEST || strstr(err.text, cases[i].errors) == NULL)
            fail_msg("%s: %s", cases[i].config, err.text);
    }
}

static void class_names(void **state)
{
    assert_true(class_is_named(&probe_class, STR("org.example.connect.ProbeSinkConnector")));
    assert_true(class_is_named(&probe_class, STR("ProbeSinkConnector")));
    assert_true(class_is_named(&probe_class, STR("ProbeSink")));
    assert_true(class_is_named(&probe_class, STR("Probe")));
    assert_false(class_is_named(&probe_class, STR("org.other.ProbeSinkConnector")));
    assert_false(class_is_named(&probe_class, STR("Pro")));
}

static void topics_by_regex(void **state)
{
    struct sink_settings settings = {.topics_regex = STR("a|b.")};
    assert_true(topic_is_of(&settings, STR("a")));
    assert_true(topic_is_of(&settings, STR("bx")));
    assert_false(topic_is_of(&settings, STR("ab")));
    assert_false(topic_is_of(&settings, STR("bxx")));
}

/* Converters --------------------------------------------------------------------------------------------- */

struct bench {
    struct arena arena;
    struct conf_pairs pairs;
    struct converter *conv;
    struct connect_data data;
    struct err err;
};

/* A value converter with settings given as JSON. */
static void bench_open(struct bench *bench, const char *class, const char *settings)
{
    *bench = (struct bench){0};
    assert_true(pairs_of_json(json_parse(str_from(settings), &bench->arena, &bench->err), &bench->pairs,
                              &bench->arena, &bench->err));
    bench->conv = converter_new(str_from(class), &bench->pairs, "key.converter.", &bench->err);
    assert_non_null(bench->conv);
}

static bool bench_read(struct bench *bench, const char *bytes, size_t size)
{
    converter_begin_batch(bench->conv);
    return converter_read(bench->conv, str_of(bytes, size), &bench->data, &bench->arena, &bench->err);
}

static bool bench_text(struct bench *bench, const char *text)
{
    return bench_read(bench, text, strlen(text));
}

static void bench_close(struct bench *bench)
{
    converter_free(bench->conv);
    arena_fini(&bench->arena);
}

static void plain_encodings(void **state)
{
    struct bench bench;
    bench_open(&bench, "StringConverter", "{}");
    assert_true(bench_text(&bench, "text"));
    assert_false(bench.data.schema->is_struct);
    assert_true(str_eq_cstr(value_slice(bench.data.values[0]), "text"));
    assert_true(bench_read(&bench, NULL, 0));
    assert_null(bench.data.schema);
    assert_false(bench_text(&bench, "\xff"));
    bench_close(&bench);

    bench_open(&bench, "org.apache.kafka.connect.converters.LongConverter", "{}");
    assert_true(bench_read(&bench, "\xff\xff\xff\xff\xff\xff\xff\xfe", 8));
    assert_int_equal(bench.data.values[0].l, -2);
    assert_false(bench_read(&bench, "\0\0\0\1", 4));
    bench_close(&bench);

    bench_open(&bench, "Float", "{}");
    assert_true(bench_read(&bench, "\x3f\xc0\x00\x00", 4));
    assert_true(bench.data.values[0].d == 1.5);
    bench_close(&bench);
}

static void windowed_keys(void **state)
{
    struct bench bench;
    bench_open(&bench, "StringConverter",
               "{\"key.converter.window.size.ms\":3000,\"key.converter.field.name\":\"user\"}");
    assert_true(bench_read(&bench, "u1\0\0\0\0\0\0\x0b\xb8", 10)); /* 3000 */
    assert_true(bench.data.schema->is_struct);
    assert_int_equal(bench.data.schema->field_count, 3);
    assert_true(str_eq_cstr(bench.data.schema->fields[0].name, "user"));
    assert_true(str_eq_cstr(bench.data.schema->fields[1].name, "window_start"));
    assert_true(str_eq_cstr(bench.data.schema->fields[2].name, "window_end"));
    assert_true(str_eq_cstr(value_slice(bench.data.values[0]), "u1"));
    assert_int_equal(bench.data.values[1].kind, SQL_TIMESTAMP);
    assert_int_equal(bench.data.values[1].l, 3000);
    assert_int_equal(bench.data.values[2].l, 6000);
    assert_false(bench_text(&bench, "short"));
    assert_false(bench_read(&bench, "u1\x7f\xff\xff\xff\xff\xff\xff\xff", 10)); /* no time at all */
    bench_close(&bench);

    bench_open(&bench, "StringConverter", "{\"key.converter.window.session\":\"true\"}");
    assert_true(bench_read(&bench, "k\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01", 17)); /* end, then start */
    assert_int_equal(bench.data.values[1].l, 1);
    assert_int_equal(bench.data.values[2].l, 2);
    bench_close(&bench);
}

static void guessed_json(void **state)
{
    struct bench bench;
    bench_open(&bench, "JsonConverter", "{}"); /* without the class itself: no schemas */
    assert_true(
        bench_text(&bench, "{\"a\":1,\"b\":null,\"c\":1.5,\"d\":{\"x\":[1]},\"e\":\"t\",\"f\":true}"));
    const struct connect_schema *first = bench.data.schema;
    assert_false(first->declared);
    assert_ptr_equal(first->fields[0].type.type, &type_bigint);
    assert_ptr_equal(first->fields[1].type.type, &type_null);
    assert_ptr_equal(first->fields[2].type.type, &type_double);
    assert_true(first->fields[3].type.json);
    assert_true(str_eq_cstr(value_slice(bench.data.values[3]), "{\"x\":[1]}"));
    assert_ptr_equal(first->fields[5].type.type, &type_boolean);
    /* The same shape: an integer fits a double, null fits all. */
    assert_true(bench_text(&bench, "{\"a\":null,\"b\":null,\"c\":2,\"d\":null,\"e\":\"t\",\"f\":null}"));
    assert_ptr_equal(bench.data.schema, first);
    assert_int_equal(bench.data.values[2].kind, SQL_DOUBLE);
    /* A value where only nulls were: a new shape that keeps what is known. */
    assert_true(bench_text(&bench, "{\"a\":null,\"b\":7,\"c\":2,\"d\":null,\"e\":null,\"f\":null}"));
    assert_ptr_not_equal(bench.data.schema, first);
    assert_ptr_equal(bench.data.schema->fields[0].type.type, &type_bigint);
    assert_ptr_equal(bench.data.schema->fields[1].type.type, &type_bigint);
    /* Integers beyond 64 bits keep all digits. */
    assert_true(bench_text(&bench, "{\"n\":123456789012345678901234567890}"));
    assert_int_equal(bench.data.values[0].kind, SQL_DECIMAL);
    assert_true(bench_text(&bench, "null"));
    assert_null(bench.data.schema);
    assert_false(bench_text(&bench, "{\"a\":"));
    assert_non_null(
        strstr(bench.err.text, "Converting byte[] to Kafka Connect data failed due to serialization error"));
    bench_close(&bench);
}

#define STRUCT "{\"schema\":{\"type\":\"struct\",\"fields\":["
static const char with_schema[] =
    "{\"key.converter\":\"JsonConverter\",\"key.converter.schemas.enable\":true}";

static void declared_json(void **state)
{
    struct bench bench;
    bench_open(&bench, "JsonConverter", with_schema);
    assert_true(bench_text(&bench, STRUCT
                           "{\"type\":\"int32\",\"field\":\"a\"},"
                           "{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\","
                           "\"parameters\":{\"scale\":\"2\"},\"field\":\"dec\"},"
                           "{\"type\":\"string\",\"optional\":true,\"default\":\"x\",\"field\":\"s\"}]},"
                           "\"payload\":{\"a\":7,\"dec\":\"MDk=\"}}"));
    assert_true(bench.data.schema->declared);
    assert_int_equal(bench.data.values[0].l, 7);
    struct buf text = {0};
    decimal_print(bench.data.values[1].dec, &text); /* 0x3039 is 12345 */
    assert_string_equal(text.ptr, "123.45");
    buf_fini(&text);
    assert_true(str_eq_cstr(value_slice(bench.data.values[2]), "x"));
    bench_close(&bench);
}

static void declared_json_errors(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"{\"a\":1}", "requires \"schema\" and \"payload\" fields and may not contain additional fields"},
        {"{\"schema\":null,\"payload\":1,\"x\":1}", "may not contain additional fields"},
        {"7", "requires \"schema\" and \"payload\""},
        {"{\"schema\":{\"type\":\"int8\"},\"payload\":128}", "128 does not fit 8 bits"},
        {"{\"schema\":{\"type\":\"strange\"},\"payload\":1}", "Unknown schema type: strange"},
        {"{\"schema\":{\"optional\":true},\"payload\":1}", "Schema must contain 'type' field"},
        {STRUCT "{\"type\":\"int32\",\"field\":\"a\"}]},\"payload\":{}}",
         "field a: Invalid null value for required"},
        {STRUCT "{\"type\":\"int32\",\"field\":\"a\"}]},\"payload\":{\"a\":\"1\"}}",
         "Invalid type for INTEGER: string"},
        {"{\"schema\":{\"type\":\"bytes\"},\"payload\":\"=\"}", "not base64"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bench bench;
        bench_open(&bench, "JsonConverter", with_schema);
        if (bench_text(&bench, cases[i].text) || strstr(bench.err.text, cases[i].error) == NULL)
            fail_msg("%s: %s", cases[i].text, bench.err.text);
        bench_close(&bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states),
        cmocka_unit_test(validation_texts),
        cmocka_unit_test(class_names),
        cmocka_unit_test(topics_by_regex),
        cmocka_unit_test(plain_encodings),
        cmocka_unit_test(windowed_keys),
        cmocka_unit_test(guessed_json),
        cmocka_unit_test(declared_json),
        cmocka_unit_test(declared_json_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
