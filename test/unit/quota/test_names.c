/* quota: names of quota entities, as they are kept: every entity comes back, and what is no name is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "quota/quota.h"

/* NULL: the part is not there; "" (which no entity may have as a name) stands for the default. */
static void check(const char *user, const char *client, const char *ip, const char *wanted)
{
    const char *names[QUOTA_TYPES] = {[QUOTA_USER] = user, [QUOTA_CLIENT] = client, [QUOTA_IP] = ip};
    struct quota_entity entity = {0}, back;
    struct buf text = {0};
    struct arena arena = {0};
    for (int i = 0; i < QUOTA_TYPES; i++)
        if (names[i] != NULL)
            entity.parts[i] = (struct quota_part){true, names[i][0] == '\0' ? STR_NULL : str_from(names[i])};
    quota_entity_name(&entity, &text);
    assert_string_equal(text.ptr, wanted);
    assert_true(quota_entity_parse(buf_str(&text), &back, &arena));
    for (int i = 0; i < QUOTA_TYPES; i++) {
        assert_int_equal(back.parts[i].present, entity.parts[i].present);
        assert_int_equal(str_is_null(back.parts[i].name), str_is_null(entity.parts[i].name));
        assert_true(str_eq(back.parts[i].name, entity.parts[i].name));
    }
    arena_fini(&arena);
    buf_fini(&text);
}

static void test_names(void **state)
{
    check("alice", NULL, NULL, "user=alice");
    check("alice", "", NULL, "user=alice,client-id=<default>");
    check("", "", NULL, "user=<default>,client-id=<default>");
    check(NULL, "a,b=c%d", NULL, "client-id=a%2cb%3dc%25d");
    check("<default>", NULL, NULL, "user=%3cdefault%3e"); /* a user of that name is not the default */
    check("\xc3\xa4 \x01", NULL, NULL, "user=%c3%a4%20%01");
    check(NULL, NULL, "2001:db8::1", "ip=2001:db8::1");
}

static void test_damaged(void **state)
{
    static const char *const bad[] = {"",       "user",    "zone=a",   "user=a,",
                                      "user=%", "user=%2", "user=%zz", ",user=a"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct quota_entity entity;
        struct arena arena = {0};
        if (quota_entity_parse(str_from(bad[i]), &entity, &arena))
            fail_msg("'%s' was taken", bad[i]);
        arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_damaged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
