/* coord: what can be set for one group: bounds, what belongs together, what a start makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "server.h"

/* Sets what `ops` says on the group; false: it was refused with ERR_INVALID_CONFIG, and err->text is why. */
static bool set_group(struct server *server, const struct setting_op *ops, size_t count, bool replace,
                      struct err *err)
{
    struct resource_alter req = {.type = RESOURCE_GROUP,
                                 .name = STR("g"),
                                 .ops = ops,
                                 .op_count = count,
                                 .check = coord_group_setting_check,
                                 .agree = coord_group_settings_agree,
                                 .check_arg = server->coord,
                                 .replace = replace};
    bool good = storage_resource_alter(server->storage, &req, NULL, NULL, err);
    assert_true(good || err->code == ERR_INVALID_CONFIG);
    coord_group_settings_take(server->coord);
    return good;
}

static bool set_one(struct server *server, const char *name, const char *value, struct err *err)
{
    struct setting_op op = {.op = SETTING_SET, .name = str_from(name), .value = str_from(value)};
    return set_group(server, &op, 1, false, err);
}

/* A value is within the bounds of its option, both of them included. Words and bounds are Apache Kafka's. */
static void test_group_config_bounds(void **state)
{
    static const struct {
        const char *what, *low, *high;
        long long low_ms, high_ms;
    } cases[] = {
        {"session.timeout.ms", "min.session.timeout.ms", "max.session.timeout.ms", 45000, 60000},
        {"heartbeat.interval.ms", "min.heartbeat.interval.ms", "max.heartbeat.interval.ms", 5000, 15000},
        {"assignment.interval.ms", NULL, "max.assignment.interval.ms", 0, 15000}, /* below 0 is no number */
    };
    static const char *const kinds[] = {"consumer", "share", "streams"};
    struct server *server = ((struct world *)*state)->server;
    for (size_t i = 0; i < COUNT_OF(cases) * COUNT_OF(kinds); i++) {
        const char *kind = kinds[i / COUNT_OF(cases)];
        size_t at = i % COUNT_OF(cases);
        char name[64], value[32], wanted[160];
        struct err err;
        snprintf(name, sizeof name, "%s.%s", kind, cases[at].what);
        for (int above = cases[at].low == NULL; above < 2; above++) {
            long long bound = above ? cases[at].high_ms : cases[at].low_ms;
            snprintf(value, sizeof value, "%lld", bound);
            assert_true(set_one(server, name, value, &err));
            snprintf(value, sizeof value, "%lld", above ? bound + 1 : bound - 1);
            assert_false(set_one(server, name, value, &err));
            snprintf(wanted, sizeof wanted, "%s must be %s than or equal to group.%s.%s", name,
                     above ? "less" : "greater", kind, above ? cases[at].high : cases[at].low);
            assert_memory_equal(err.text, wanted, strlen(wanted));
        }
    }
}

/* A session is longer than the time between heartbeats, whichever of them is set, changed or taken back. */
static void test_group_configs_agree(void **state)
{
    const struct setting_op both[] = {
        {.op = SETTING_SET, .name = STR("share.session.timeout.ms"), .value = STR("55000")},
        {.op = SETTING_SET, .name = STR("share.heartbeat.interval.ms"), .value = STR("50000")}};
    const struct setting_op back = {.op = SETTING_DELETE, .name = STR("share.session.timeout.ms")};
    struct server *server = ((struct world *)*state)->server;
    struct err err;
    server->config.share_heartbeat_interval_ms_max = 70000;
    assert_true(set_one(server, "share.heartbeat.interval.ms", "44999", &err));
    assert_false(set_one(server, "share.heartbeat.interval.ms", "45000", &err));
    assert_string_equal(err.text,
                        "share.session.timeout.ms must be greater than share.heartbeat.interval.ms");
    assert_true(set_group(server, both, 2, false, &err));
    assert_false(set_group(server, &back, 1, false, &err));
    assert_false(set_group(server, both + 1, 1, true, &err)); /* the whole anew: the other goes back */
    assert_true(set_group(server, both, 0, true, &err));
}

/* What was set under wider bounds is taken for the bound. */
static void test_group_config_capped(void **state)
{
    struct world *w = *state;
    struct err err;
    assert_true(set_one(w->server, "share.record.lock.duration.ms", "50000", &err));
    assert_int_equal(coord_share_setting(w->server->coord, STR("g"), GROUP_SHARE_LOCK_MS), 50000);
    present.share_lock_ms_max = 40000;
    log_level_set(LOG_OFF);
    restart(w);
    coord_group_settings_take(w->server->coord);
    log_level_set(LOG_INFO);
    assert_int_equal(coord_share_setting(w->server->coord, STR("g"), GROUP_SHARE_LOCK_MS), 40000);
    present.share_lock_ms_max = 60000;
}

/* Options that contradict each other are refused at the start. */
static void test_group_options(void **state)
{
    static const struct {
        size_t at;
        int64_t value;
        const char *why;
    } cases[] = {
        {offsetof(struct coord_config, group_session_timeout_ms_min), INT32_MAX,
         "group.max.session.timeout.ms must be greater than or equal to group.min.session.timeout.ms"},
        {offsetof(struct coord_config, consumer_session_timeout_ms_max), 44999,
         "group.consumer.max.session.timeout.ms must be greater than or equal to "
         "group.consumer.min.session.timeout.ms"},
        {offsetof(struct coord_config, consumer_session_timeout_ms), 44999,
         "group.consumer.session.timeout.ms must be greater than or equal to "
         "group.consumer.min.session.timeout.ms (45000)"},
        {offsetof(struct coord_config, streams_heartbeat_interval_ms), 15001,
         "group.streams.heartbeat.interval.ms must be less than or equal to "
         "group.streams.max.heartbeat.interval.ms (15000)"},
    };
    struct world *w = *state;
    struct err err;
    world_stop(w->server);
    const struct coord_config good = present;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        *(int64_t *)((char *)&present + cases[i].at) = cases[i].value;
        assert_null(try_start(io_memory_io(w->mem), &err));
        assert_string_equal(err.text, cases[i].why);
        present = good;
    }
    present.consumer_heartbeat_interval_ms_max = present.consumer_heartbeat_interval_ms = 45000;
    assert_null(try_start(io_memory_io(w->mem), &err));
    assert_string_equal(
        err.text, "group.consumer.heartbeat.interval.ms must be less than group.consumer.session.timeout.ms");
    present = good;
    w->server = world_start(io_memory_io(w->mem));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_group_config_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_group_configs_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_group_config_capped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_group_options, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
