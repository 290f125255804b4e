/* group: the assignors as tables - what members had and subscribe to, and what they shall have. Expected values are counted by
 * hand; the invariants (every partition once, balance, nothing moves without need) are checked on random groups too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "group/consumer_int.h"

typedef void (*assign_fn)(struct assign_member *members, size_t count, struct arena *arena);

struct setting {
    struct arena arena;
    struct subscribed_topic topics[26];
};

/* "a4 b2": topics with their sizes. */
static void set_topics(struct setting *s, const char *text)
{
    struct str rest = str_from(text), word;
    while (rest.len != 0 && str_split(&rest, ' ', &word)) {
        struct subscribed_topic *topic = &s->topics[word.ptr[0] - 'a'];
        topic->name = str_sub(word, 0, 1);
        memset(topic->id.bytes, word.ptr[0], sizeof topic->id.bytes);
        assert_true(str_to_i32(str_sub(word, 1, word.len), &topic->partition_count));
    }
}

/* "ab": a member's topics. */
static struct topic_list list_of(struct setting *s, const char *letters)
{
    struct topic_list list = {arena_array(&s->arena, const struct subscribed_topic *, strlen(letters)), 0};
    for (; *letters != '\0'; letters++)
        list.at[list.len++] = &s->topics[*letters - 'a'];
    return list;
}

/* "a0 a1 b0" */
static struct part_set *set_of(struct setting *s, const char *text)
{
    struct part_set *set = arena_new(&s->arena, struct part_set);
    struct str rest = str_from(text), word;
    set->at = arena_array(&s->arena, struct topic_part, 64);
    while (rest.len != 0 && str_split(&rest, ' ', &word)) {
        struct topic_part *part = &set->at[set->len++];
        memset(part->topic.bytes, word.ptr[0], sizeof part->topic.bytes);
        assert_true(str_to_i32(str_sub(word, 1, word.len), &part->partition));
    }
    return set;
}

static struct str print(struct setting *s, const struct assign_member *members, size_t count)
{
    struct buf text = {0};
    for (size_t i = 0; i < count; i++) {
        buf_printf(&text, "%s%.*s:", i == 0 ? "" : " | ", STR_ARG(members[i].id));
        for (size_t j = 0; j < members[i].target.len; j++)
            buf_printf(&text, " %c%d", members[i].target.at[j].topic.bytes[0],
                       members[i].target.at[j].partition);
    }
    struct str out = str_dup(buf_str(&text), &s->arena);
    buf_fini(&text);
    return out;
}

struct row {
    const char *id, *topics, *had, *instance;
};

static const struct {
    const char *what;
    assign_fn assign;
    const char *topics;
    struct row members[4];
    const char *wanted;
} cases[] = {
    {"one has all", assign_uniform, "a3", {{"m", "a", ""}}, "m: a0 a1 a2"},
    {"nobody subscribes", assign_uniform, "a3", {{"m", "", "a0"}}, "m:"},
    {"a second one takes half",
     assign_uniform,
     "a4",
     {{"m", "a", "a0 a1 a2 a3"}, {"n", "a", ""}},
     "m: a0 a1 | n: a2 a3"},
    {"the odd one stays where it is",
     assign_uniform,
     "a5",
     {{"m", "a", "a0 a1"}, {"n", "a", "a2 a3 a4"}},
     "m: a0 a1 | n: a2 a3 a4"},
    {"who leaves is shared out",
     assign_uniform,
     "a6",
     {{"m", "a", "a0 a1"}, {"n", "a", "a4 a5"}},
     "m: a0 a1 a2 | n: a3 a4 a5"},
    {"more members than partitions", assign_uniform, "a1", {{"m", "a", ""}, {"n", "a", "a0"}}, "m: | n: a0"},
    {"a topic that shrank or went", assign_uniform, "a1", {{"m", "a", "a0 a1 z3"}}, "m: a0"},
    {"two had the same", assign_uniform, "a2", {{"m", "a", "a0 a1"}, {"n", "a", "a1"}}, "m: a0 | n: a1"},
    {"balance over topics",
     assign_uniform,
     "a3 b3",
     {{"m", "ab", ""}, {"n", "ab", ""}},
     "m: a0 a1 a2 | n: b0 b1 b2"},
    {"different subscriptions",
     assign_uniform,
     "a2 b2",
     {{"m", "a", ""}, {"n", "ab", ""}},
     "m: a0 a1 | n: b0 b1"},
    {"only one may have it",
     assign_uniform,
     "a1 b4",
     {{"m", "ab", "b0 b1 b2 b3"}, {"n", "a", ""}, {"o", "b", ""}},
     "m: b0 b1 | n: a0 | o: b2 b3"},
    {"static members come first",
     assign_uniform,
     "a3",
     {{"m", "a", ""}, {"n", "a", "", "i"}},
     "n: a0 a1 | m: a2"},
    {"simple: as consumers", assign_simple, "a3", {{"m", "a", ""}, {"n", "a", ""}}, "m: a0 a2 | n: a1"},
    {"simple: two places a partition",
     assign_simple,
     "a2",
     {{"m", "a", ""}, {"n", "a", ""}, {"o", "a", ""}},
     "m: a0 a1 | n: a0 | o: a1"},
    {"simple: all share one", assign_simple, "a1", {{"m", "a", ""}, {"n", "a", "a0"}}, "m: a0 | n: a0"},
    {"simple: what one has stays",
     assign_simple,
     "a4",
     {{"m", "a", "a1 a2 a3"}, {"n", "a", ""}},
     "m: a1 a2 | n: a0 a3"},
    {"simple: the odd one stays where it is",
     assign_simple,
     "a3",
     {{"m", "a", "a0"}, {"n", "a", "a1 a2"}},
     "m: a0 | n: a1 a2"},
    {"simple: different subscriptions, nobody without",
     assign_simple,
     "a1 b2",
     {{"m", "a", ""}, {"n", "ab", ""}, {"o", "b", ""}, {"p", "", ""}},
     "m: a0 | n: b0 | o: b1 | p:"},
    {"simple: a topic that went", assign_simple, "a1", {{"m", "a", "z0 z1"}}, "m: a0"},
    {"range",
     assign_range,
     "a4",
     {{"m", "a", ""}, {"n", "a", ""}, {"o", "a", ""}},
     "m: a0 a1 | n: a2 | o: a3"},
    {"range: same numbers of alike topics",
     assign_range,
     "a3 b3",
     {{"m", "ab", ""}, {"n", "ab", ""}},
     "m: a0 a1 b0 b1 | n: a2 b2"},
    {"range: a new topic follows the old one",
     assign_range,
     "a4 b4",
     {{"m", "ab", "a2 a3"}, {"n", "ab", "a0 a1"}},
     "m: a2 a3 b2 b3 | n: a0 a1 b0 b1"},
    {"range: a third one",
     assign_range,
     "a6",
     {{"m", "a", "a0 a1 a2"}, {"n", "a", "a3 a4 a5"}, {"o", "a", ""}},
     "m: a0 a1 | n: a3 a4 | o: a2 a5"},
    {"range: by topic, not in all",
     assign_range,
     "a1 b1",
     {{"m", "ab", ""}, {"n", "ab", ""}},
     "m: a0 b0 | n:"},
    {"range: different subscriptions",
     assign_range,
     "a2 b2",
     {{"m", "a", ""}, {"n", "ab", ""}},
     "m: a0 | n: a1 b0 b1"},
};

static void test_cases(void **state)
{
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct setting s = {0};
        struct assign_member members[4] = {0};
        size_t count = 0;
        set_topics(&s, cases[i].topics);
        for (; count < 4 && cases[i].members[count].id != NULL; count++) {
            const struct row *row = &cases[i].members[count];
            members[count] = (struct assign_member){.id = str_from(row->id),
                                                    .instance_id = str_from(row->instance),
                                                    .topics = list_of(&s, row->topics),
                                                    .current = set_of(&s, row->had)};
            if (count != 0 && strcmp(row->topics, cases[i].members[0].topics) == 0)
                members[count].topics = members[0].topics;
        }
        cases[i].assign(members, count, &s.arena);
        struct str found = print(&s, members, count);
        if (!str_eq_cstr(found, cases[i].wanted))
            fail_msg("%s: %.*s", cases[i].what, STR_ARG(found));
        arena_fini(&s.arena);
    }
}

/* --- invariants --- */

static uint32_t seed = 1;

static uint32_t rnd(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

/* Every partition of a subscribed topic has exactly one of its subscribers. */
static void check_cover(struct setting *s, const struct assign_member *members, size_t count)
{
    for (int t = 0; t < 6; t++) {
        bool wanted = false;
        for (size_t m = 0; m < count; m++)
            wanted = wanted || topic_list_has(&members[m].topics, s->topics[t].id);
        for (int32_t p = 0; p < s->topics[t].partition_count; p++) {
            size_t holders = 0;
            for (size_t m = 0; m < count; m++) {
                bool has = part_set_find(&members[m].target, s->topics[t].id, p) != NULL;
                holders += has;
                assert_true(!has || topic_list_has(&members[m].topics, s->topics[t].id));
            }
            assert_int_equal(holders, wanted);
        }
    }
}

static void check_balance(const struct assign_member *members, size_t count)
{
    size_t least = SIZE_MAX, most = 0;
    for (size_t m = 0; m < count; m++) {
        least = MIN(least, members[m].target.len);
        most = MAX(most, members[m].target.len);
    }
    assert_true(most - least <= 1);
}

/* Members come and go; the same assignment twice in a row moves nothing. */
static void churn(assign_fn assign, bool alike)
{
    static const char *const ids[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (int round = 0; round < 300; round++) {
        struct setting s = {0};
        struct part_set had[8] = {0};
        set_topics(&s, "a7 b3 c1 d12 e5 f2");
        struct topic_list all = list_of(&s, "abcdef");
        for (int step = 0; step < 6; step++) {
            struct assign_member members[8];
            size_t count = 0;
            uint32_t who = 1 + rnd(255);
            for (size_t m = 0; m < 8; m++) {
                if ((who >> m & 1) == 0)
                    continue;
                const char *some[] = {"abc", "bcd", "def", "abcdef", "a"};
                members[count++] = (struct assign_member){.id = str_from(ids[m]),
                                                          .topics = alike ? all : list_of(&s, some[rnd(5)]),
                                                          .current = &had[m]};
            }
            for (int again = 0; again < 2; again++) {
                assign(members, count, &s.arena);
                check_cover(&s, members, count);
                if (alike && assign == assign_uniform)
                    check_balance(members, count);
                for (size_t m = 0; m < count; m++) {
                    size_t place = (size_t)(members[m].id.ptr[0] - 'a');
                    if (again == 1)
                        assert_true(part_set_eq(&had[place], &members[m].target));
                    had[place] = members[m].target;
                    members[m].current = &had[place];
                    members[m].target = (struct part_set){0};
                    members[m].target_cap = 0;
                }
            }
        }
        arena_fini(&s.arena);
    }
}

static void test_churn(void **state)
{
    churn(assign_uniform, true);
    churn(assign_uniform, false);
    churn(assign_range, true);
    churn(assign_range, false);
}

/* An empty list of topics may lie where another one begins. */
static void test_empty_list(void **state)
{
    struct setting s = {0};
    set_topics(&s, "a2");
    struct topic_list one = list_of(&s, "a"), none = {one.at, 0};
    struct assign_member members[] = {{.id = STR("m"), .topics = none, .current = set_of(&s, "")},
                                      {.id = STR("n"), .topics = one, .current = set_of(&s, "")}};
    assign_uniform(members, 2, &s.arena);
    assert_true(str_eq(print(&s, members, 2), STR("m: | n: a0 a1")));
    arena_fini(&s.arena);
}

/* A member more: exactly its share moves, and only to it. */
static void test_least_moves(void **state)
{
    struct setting s = {0};
    struct part_set had[5] = {0};
    const char *ids[] = {"a", "b", "c", "d", "e"};
    set_topics(&s, "a40 b20");
    struct topic_list all = list_of(&s, "ab");
    for (size_t count = 1; count <= 5; count++) {
        struct assign_member members[5] = {0};
        size_t moved = 0;
        for (size_t m = 0; m < count; m++)
            members[m] = (struct assign_member){.id = str_from(ids[m]), .topics = all, .current = &had[m]};
        assign_uniform(members, count, &s.arena);
        for (size_t m = 0; m < count; m++) {
            if (m + 1 < count)
                assert_true(part_set_within(&members[m].target, &had[m]));
            else
                moved = members[m].target.len;
            had[m] = members[m].target;
        }
        assert_int_equal(moved, 60 / count);
    }
    arena_fini(&s.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_churn),
        cmocka_unit_test(test_empty_list),
        cmocka_unit_test(test_least_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
