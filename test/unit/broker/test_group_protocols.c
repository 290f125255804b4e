/* broker: which lists of protocols of groups are options. What they switch off: test/peer/test_group_protocol.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "broker/broker.h"
#include "conf/conf.h"

#define NAME "group.coordinator.rebalance.protocols"

static void test_list(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"classic,consumer,streams", true},
        {"share", true},
        {"streams , consumer", true},
        {"", false},
        {"classic,", false},
        {"Classic", false},
        {"unknown", false},
        {"classic,consumer,classic", false},
    };
    const struct conf_option *option = conf_option_find(&broker_conf_table, STR(NAME));
    assert_non_null(option);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena arena = {0};
        struct str value;
        struct err err;
        bool good = conf_parse_value(option, str_from(cases[i].text), &value, &arena, &err);
        if (good != cases[i].good)
            fail_msg("%s: %d", cases[i].text, good);
        arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
