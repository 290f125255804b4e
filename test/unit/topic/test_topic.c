/* topic: configs and names against Kafka's rules; the state as lists of records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "topic/topic.h"

static void test_names(void **state)
{
    char longest[250];
    memset(longest, 'a', sizeof longest);
    assert_true(topic_name_check(STR("a.B_c-9"), NULL));
    assert_true(topic_name_check(str_of(longest, 249), NULL));
    assert_false(topic_name_check(str_of(longest, 250), NULL));
    static const char *const bad[] = {"", ".", "..", "a b", "a/b", "a:b", "\xc3\xa4"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(topic_name_check(str_from(bad[i]), NULL));
}

static void test_configs(void **state)
{
    static const struct {
        const char *name, *value;
        bool good;
    } cases[] = {
        {"cleanup.policy", "compact", true},
        {"cleanup.policy", "compact, delete", true},
        {"cleanup.policy", "shrink", false},
        {"cleanup.policy", "", true}, /* neither: all stays */
        {"retention.bytes", "-2", true},
        {"retention.ms", "-1", true},
        {"retention.ms", "-2", false},
        {"retention.ms", "9223372036854775807", true},
        {"retention.ms", "1.5", false},
        {"segment.bytes", "1023", false},
        {"segment.bytes", "2147483648", false},
        {"min.cleanable.dirty.ratio", "0.25", true},
        {"min.cleanable.dirty.ratio", "1.5", false},
        {"message.timestamp.type", "LogAppendTime", true},
        {"message.timestamp.type", "logappendtime", false},
        {"compression.type", "producer", true},
        {"compression.type", "gzip", true},
        {"compression.type", "brotli", false},
        {"compression.gzip.level", "-1", true},
        {"compression.gzip.level", "0", false},
        {"compression.gzip.level", "10", false},
        {"compression.zstd.level", "-131072", true},
        {"flush.messages", "0", false},
        {"preallocate", "true", false}, /* is not there: refused, not ignored */
        {"min.insync.replicas", "2", false},
        {"unclean.leader.election.enable", "false", true},
        {"unclean.leader.election.enable", "true", false}, /* the one replica always leads */
        {"unclean.leader.election.enable", "yes", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct err err;
        int config = topic_config_find(str_from(cases[i].name));
        assert_true(config >= 0);
        if (topic_config_check(config, str_from(cases[i].value), &err) != cases[i].good)
            fail_msg("%s=%s", cases[i].name, cases[i].value);
    }
    for (int i = 0; i < TOPIC_CONFIG_COUNT; i++) /* every default is allowed; names are in order */
        assert_true(i == TOPIC_CLEANUP_POLICY || topic_config_defs[i].init[0] == '\0' ||
                    topic_config_check(i, str_from(topic_config_defs[i].init), NULL));
    assert_int_equal(TOPIC_CONFIG_COUNT, 33);
    assert_int_equal(topic_config_find(STR("nothing")), -1);
}

/* Decides, applies the records to both states and compares what they say. */
static bool run(replay_decide_fn decide, void *req, struct topics *one, struct topics *two,
                enum err_code *code)
{
    struct replay_records out = {0};
    struct err err = {0};
    bool good = decide(one, req, &out, &err);
    for (size_t i = 0; i < out.list.len; i++) {
        assert_true(topics_class.apply(one, &out.list.at[i], &err));
        assert_true(topics_class.apply(two, &out.list.at[i], &err));
    }
    *code = err.code;
    vec_fini(&out.list);
    arena_fini(&out.arena);
    return good;
}

/* Values are kept without spaces around them; the two lags of compaction have to agree, on creation and later. */
static void test_agreement(void **state)
{
    struct topics *one = topics_new(), *two = topics_new();
    enum err_code code;
    struct topic_setting settings[] = {{STR("max.compaction.lag.ms"), STR(" 20 ")},
                                       {STR("min.compaction.lag.ms"), STR("30")}};
    struct topic_create create = {.name = STR("t"),
                                  .partition_count = 1,
                                  .settings = settings,
                                  .setting_count = COUNT_OF(settings),
                                  .id = {{1}}};
    assert_false(run(topics_decide_create, &create, one, two, &code));
    assert_int_equal(code, ERR_INVALID_CONFIG);
    create.setting_count = 1;
    assert_true(run(topics_decide_create, &create, one, two, &code));
    assert_true(str_eq_cstr(topics_find(one, STR("t"))->settings[TOPIC_MAX_COMPACTION_LAG_MS], "20"));
    struct setting_op op = {.name = STR("min.compaction.lag.ms"), .op = SETTING_SET, .value = STR("21")};
    struct topic_alter alter = {.name = STR("t"), .ops = &op, .op_count = 1};
    assert_false(run(topics_decide_alter, &alter, one, two, &code));
    assert_int_equal(code, ERR_INVALID_CONFIG);
    op.value = STR(" 20");
    assert_true(run(topics_decide_alter, &alter, one, two, &code));
    op = (struct setting_op){.name = STR("nonsense"), .op = SETTING_DELETE};
    assert_true(run(topics_decide_alter, &alter, one, two, &code)); /* it is not set */
    topics_free(one);
    topics_free(two);
}

static void test_state(void **state)
{
    struct topics *one = topics_new(), *two = topics_new();
    enum err_code code;
    struct topic_setting setting = {STR("retention.ms"), STR("7")};
    struct topic_create create = {.name = STR("t"),
                                  .partition_count = 2,
                                  .settings = &setting,
                                  .setting_count = 1,
                                  .id = {{1}},
                                  .check_only = true};
    assert_true(run(topics_decide_create, &create, one, two, &code));
    assert_null(topics_find(one, STR("t"))); /* only checked */
    create.check_only = false;
    assert_true(run(topics_decide_create, &create, one, two, &code));
    assert_false(run(topics_decide_create, &create, one, two, &code));
    assert_int_equal(code, ERR_TOPIC_EXISTS);
    struct topic_grow grow = {.name = STR("t"), .partition_count = 2};
    assert_false(run(topics_decide_grow, &grow, one, two, &code));
    assert_int_equal(code, ERR_INVALID_PARTITIONS);
    grow.partition_count = 4;
    assert_true(run(topics_decide_grow, &grow, one, two, &code));
    const struct topic *topic = topics_find_id(two, (struct uuid){{1}});
    assert_non_null(topic);
    assert_int_equal(topic->partition_count, 4);
    assert_true(str_eq(topic->settings[TOPIC_RETENTION_MS], STR("7")));
    struct replay_records snapshot = {0}; /* brings the same state back */
    topics_class.snapshot(two, &snapshot);
    assert_int_equal(snapshot.list.len, 1);
    struct topics *three = topics_new();
    assert_true(topics_class.apply(three, &snapshot.list.at[0], NULL));
    assert_int_equal(topics_find(three, STR("t"))->partition_count, 4);
    struct topic_delete delete = {.name = STR("t")};
    assert_true(run(topics_decide_delete, &delete, one, two, &code));
    assert_null(topics_find(two, STR("t")));
    assert_false(run(topics_decide_delete, &delete, one, two, &code));
    assert_int_equal(code, ERR_UNKNOWN_TOPIC);
    vec_fini(&snapshot.list);
    arena_fini(&snapshot.arena);
    topics_free(one);
    topics_free(two);
    topics_free(three);
}

/* The value after an operation on what is set, or "null", or "error". */
static void check_op(int op, const char *value, const char *present, const char *in_force, bool is_list,
                     const char *wanted)
{
    struct arena arena = {0};
    struct err err;
    struct str out;
    struct setting_op setting = {STR("a"), op, str_from(value), str_from(in_force), is_list};
    bool good = setting_apply(&setting, str_from(present), is_list, &out, &arena, &err);
    const char *got = !good ? "error" : str_is_null(out) ? "null" : str_cstr(out, &arena);
    assert_string_equal(got, wanted);
    arena_fini(&arena);
}

static void test_setting_ops(void **state)
{
    check_op(SETTING_SET, "5", NULL, NULL, false, "5");
    check_op(SETTING_SET, NULL, "5", NULL, false, "error");
    check_op(SETTING_DELETE, NULL, "5", NULL, false, "null");
    check_op(SETTING_APPEND, "5", NULL, "4", false, "error");
    check_op(SETTING_APPEND, "compact", NULL, "delete", true, "delete,compact");
    check_op(SETTING_APPEND, "compact", "compact", "delete", true, "compact");
    check_op(SETTING_APPEND, "b, c", "a,b", NULL, true, "a,b,c");
    check_op(SETTING_SUBTRACT, "delete", "delete, compact", NULL, true, "compact");
    check_op(SETTING_SUBTRACT, "x", NULL, "a,b", true, "a,b");
    check_op(SETTING_SUBTRACT, "a", NULL, "a", true, "");
    check_op(9, "a", NULL, NULL, true, "error");
}

static void test_alter_topic(void **state)
{
    struct topics *one = topics_new(), *two = topics_new();
    enum err_code code;
    struct topic_create create = {.name = STR("t"), .partition_count = 1, .id = {{1}}};
    assert_true(run(topics_decide_create, &create, one, two, &code));
    struct setting_op ops[] = {{STR("retention.ms"), SETTING_SET, STR("7"), STR_NULL, false},
                               {STR("cleanup.policy"), SETTING_APPEND, STR("compact"), STR("delete"), true}};
    struct topic_alter alter = {.name = STR("t"), .ops = ops, .op_count = 2};
    assert_true(run(topics_decide_alter, &alter, one, two, &code));
    const struct topic *topic = topics_find(two, STR("t"));
    assert_true(str_eq(topic->settings[TOPIC_RETENTION_MS], STR("7")));
    assert_true(str_eq(topic->settings[TOPIC_CLEANUP_POLICY], STR("delete,compact")));
    ops[1] = (struct setting_op){STR("segment.ms"), SETTING_SET, STR("x"), STR_NULL, false}; /* all or none */
    ops[0].value = STR("8");
    assert_false(run(topics_decide_alter, &alter, one, two, &code));
    assert_int_equal(code, ERR_INVALID_CONFIG);
    assert_true(str_eq(topics_find(two, STR("t"))->settings[TOPIC_RETENTION_MS], STR("7")));
    ops[1].name = STR("retention.ms");
    assert_false(run(topics_decide_alter, &alter, one, two, &code));
    assert_int_equal(code, ERR_INVALID_REQUEST); /* a name twice */
    alter.op_count = 1;
    alter.check_only = true;
    assert_true(run(topics_decide_alter, &alter, one, two, &code));
    assert_true(str_eq(topics_find(two, STR("t"))->settings[TOPIC_RETENTION_MS], STR("7")));
    alter.check_only = false;
    alter.replace = true; /* what is not named goes back to its default */
    assert_true(run(topics_decide_alter, &alter, one, two, &code));
    topic = topics_find(two, STR("t"));
    assert_true(str_eq(topic->settings[TOPIC_RETENTION_MS], STR("8")));
    assert_true(str_is_null(topic->settings[TOPIC_CLEANUP_POLICY]));
    alter.name = STR("nowhere");
    assert_false(run(topics_decide_alter, &alter, one, two, &code));
    assert_int_equal(code, ERR_UNKNOWN_TOPIC);
    topics_free(one);
    topics_free(two);
}

static bool refuse_nine(void *arg, struct str name, struct str value, struct err *err)
{
    return !str_eq(value, STR("9")) || err_set(err, ERR_INVALID_CONFIG, "nine");
}

static void test_resources(void **state)
{
    struct topics *one = topics_new(), *two = topics_new();
    enum err_code code;
    struct setting_op ops[] = {{STR("a"), SETTING_SET, STR("1"), STR_NULL, false},
                               {STR("b"), SETTING_SET, STR("2"), STR_NULL, false}};
    struct resource_alter alter = {.type = RESOURCE_BROKER, .name = STR("1"), .ops = ops, .op_count = 2};
    alter.check = refuse_nine;
    assert_true(run(resources_decide_alter, &alter, one, two, &code));
    alter.name = STR("");
    alter.op_count = 1;
    ops[0].value = STR("3");
    assert_true(run(resources_decide_alter, &alter, one, two, &code));
    alter.type = RESOURCE_GROUP; /* another resource of the same name */
    ops[0].value = STR("4");
    assert_true(run(resources_decide_alter, &alter, one, two, &code));
    const struct resource *node = topics_resource(two, RESOURCE_BROKER, STR("1"));
    assert_true(str_eq(resource_setting(node, STR("a")), STR("1")));
    assert_true(str_eq(resource_setting(node, STR("b")), STR("2")));
    assert_true(str_is_null(resource_setting(node, STR("c"))));
    assert_true(str_eq(resource_setting(topics_resource(two, RESOURCE_BROKER, STR("")), STR("a")), STR("3")));
    assert_true(str_eq(resource_setting(topics_resource(two, RESOURCE_GROUP, STR("")), STR("a")), STR("4")));
    ops[0].value = STR("9");
    assert_false(run(resources_decide_alter, &alter, one, two, &code));
    assert_int_equal(code, ERR_INVALID_CONFIG);

    struct replay_records snapshot = {0}; /* brings the same state back */
    struct topics *three = topics_new();
    topics_class.snapshot(two, &snapshot);
    assert_int_equal(snapshot.list.len, 3);
    for (size_t i = 0; i < snapshot.list.len; i++)
        assert_true(topics_class.apply(three, &snapshot.list.at[i], NULL));
    node = topics_resource(three, RESOURCE_BROKER, STR("1"));
    assert_true(str_eq(resource_setting(node, STR("b")), STR("2")));
    vec_fini(&snapshot.list);
    arena_fini(&snapshot.arena);
    topics_free(three);

    ops[0].op = SETTING_DELETE; /* the last setting takes the resource with it */
    assert_true(run(resources_decide_alter, &alter, one, two, &code));
    assert_null(topics_resource(two, RESOURCE_GROUP, STR("")));
    topics_free(one);
    topics_free(two);
}

static void test_damaged_records(void **state)
{
    struct topics *topics = topics_new();
    struct err err;
    static const struct str keys[] = {STR_INIT(""),
                                      STR_INIT("\0"),
                                      STR_INIT("\0\7x"),
                                      STR_INIT("\0\1"),
                                      STR_INIT("\0\1\4\0\x09"
                                               "a"),
                                      STR_INIT("\0\0\0\x09"
                                               "a")};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct replay_record rec = {.key = keys[i], .value = STR("")};
        assert_false(topics_class.apply(topics, &rec, &err));
    }
    topics_free(topics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),       cmocka_unit_test(test_configs),
        cmocka_unit_test(test_agreement),   cmocka_unit_test(test_state),
        cmocka_unit_test(test_setting_ops), cmocka_unit_test(test_alter_topic),
        cmocka_unit_test(test_resources),   cmocka_unit_test(test_damaged_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
