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
        {"cleanup.policy", "", false},
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
        {"compression.type", "gzip",
         false}, /* would need recompression, which is not there: refused, not ignored */
        {"min.insync.replicas", "2", false},
        {"unclean.leader.election.enable", "true", true},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_configs),
        cmocka_unit_test(test_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
