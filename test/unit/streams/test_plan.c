/* streams: topologies read and compared, and what they ask of topics. Expected values follow from KIP-1071 and were seen of
 * Apache Kafka 4.3.1, or are counted by hand.
 *
 * A topology is written as "0: a b; < r:0 s:5; > t; + c; = a r" - subtopologies with | between them: sources, repartition sources
 * with their sizes, sinks, changelogs, copartition groups.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "streams/streams.h"

typedef struct StreamsGroupHeartbeatRequest_Topology asked_topology;
typedef struct StreamsGroupHeartbeatRequest_Subtopology asked_subtopology;
typedef struct StreamsGroupHeartbeatRequest_TopicInfo asked_topic;

static struct arena arena;

/* --- the notation --- */

static int32_t words(struct str text, struct str **out)
{
    struct str rest = str_trim(text), word;
    int32_t count = 0;
    *out = arena_array(&arena, struct str, 32);
    while (rest.len != 0 && str_split(&rest, ' ', &word))
        (*out)[count++] = word;
    return count;
}

/* "r:5": a name and its size; without: 0. */
static int32_t topics(struct str text, asked_topic **out)
{
    struct str *names;
    int32_t count = words(text, &names);
    *out = wire_new(&WIRE_StreamsGroupHeartbeatRequest_TopicInfo, (size_t)count, &arena);
    for (int32_t i = 0; i < count; i++) {
        struct str rest = names[i];
        assert_true(str_split(&rest, ':', &(*out)[i].Name));
        if (rest.len != 0)
            assert_true(str_to_i32(rest, &(*out)[i].Partitions));
    }
    return count;
}

static void copartition(asked_subtopology *sub, struct str text)
{
    struct StreamsGroupHeartbeatRequest_CopartitionGroup *group =
        &sub->CopartitionGroups.at[sub->CopartitionGroups.len++];
    struct str *names;
    int32_t count = words(text, &names);
    group->SourceTopics.at = arena_array(&arena, int16_t, (size_t)count);
    group->RepartitionSourceTopics.at = arena_array(&arena, int16_t, (size_t)count);
    for (int32_t i = 0; i < count; i++) {
        for (int32_t j = 0; j < sub->SourceTopics.len; j++)
            if (str_eq(sub->SourceTopics.at[j], names[i]))
                group->SourceTopics.at[group->SourceTopics.len++] = (int16_t)j;
        for (int32_t j = 0; j < sub->RepartitionSourceTopics.len; j++)
            if (str_eq(sub->RepartitionSourceTopics.at[j].Name, names[i]))
                group->RepartitionSourceTopics.at[group->RepartitionSourceTopics.len++] = (int16_t)j;
    }
}

static void subtopology(asked_subtopology *sub, struct str text)
{
    struct str rest = text, part;
    assert_true(str_split(&rest, ':', &sub->SubtopologyId));
    sub->SubtopologyId = str_trim(sub->SubtopologyId);
    WIRE_ALLOC(&arena, sub->CopartitionGroups, StreamsGroupHeartbeatRequest_CopartitionGroup, 8);
    sub->CopartitionGroups.len = 0;
    while (rest.len != 0 && str_split(&rest, ';', &part)) {
        struct str trimmed = str_trim(part), what = str_sub(trimmed, 1, trimmed.len);
        switch (trimmed.len == 0 ? ' ' : trimmed.ptr[0]) {
        case '<':
            sub->RepartitionSourceTopics.len = topics(what, &sub->RepartitionSourceTopics.at);
            break;
        case '>':
            sub->RepartitionSinkTopics.len = words(what, &sub->RepartitionSinkTopics.at);
            break;
        case '+':
            sub->StateChangelogTopics.len = topics(what, &sub->StateChangelogTopics.at);
            break;
        case '=':
            copartition(sub, what);
            break;
        default:
            sub->SourceTopics.len = words(trimmed, &sub->SourceTopics.at);
        }
    }
}

static asked_topology *topology_of(const char *text)
{
    asked_topology *topology = wire_new(&WIRE_StreamsGroupHeartbeatRequest_Topology, 1, &arena);
    struct str rest = str_from(text), part;
    WIRE_ALLOC(&arena, topology->Subtopologies, StreamsGroupHeartbeatRequest_Subtopology, 16);
    topology->Subtopologies.len = 0;
    while (rest.len != 0 && str_split(&rest, '|', &part))
        subtopology(&topology->Subtopologies.at[topology->Subtopologies.len++], part);
    return topology;
}

/* "a2 b3": topics that there are. */
static int32_t partitions_of(void *arg, struct str topic)
{
    struct str rest = str_from(arg), word;
    int32_t count = 0;
    while (rest.len != 0 && str_split(&rest, ' ', &word))
        if (str_eq(str_sub(word, 0, word.len - 1), topic))
            count = word.ptr[word.len - 1] - '0';
    return count;
}

/* "tasks 2 3; make r2 c3", "status 2: ...", "invalid: ...". */
static const char *plan(const char *topics_there, const char *text)
{
    struct streams_lookup lookup = {(void *)topics_there, partitions_of};
    struct streams_plan made;
    struct err err;
    struct buf out = {0};
    const streams_topology *topology = streams_topology_read(topology_of(text), &arena, &err);
    if (topology == NULL || !streams_plan_make(topology, &lookup, &made, &arena, &err))
        return str_printf(&arena, "invalid: %s", err.text).ptr;
    if (made.status != STREAMS_READY && made.status != STREAMS_MISSING_INTERNAL)
        return str_printf(&arena, "status %d: %.*s", made.status, STR_ARG(made.detail)).ptr;
    buf_printf(&out, "tasks");
    for (int32_t i = 0; i < topology->Subtopologies.len; i++)
        buf_printf(&out, " %d", made.task_counts[i]);
    for (int32_t i = 0; i < made.missing.len; i++)
        buf_printf(&out, "%s %.*s%d", i == 0 ? "; make" : "", STR_ARG(made.missing.at[i].Name),
                   made.missing.at[i].NumPartitions);
    const char *result = str_dup(buf_str(&out), &arena).ptr;
    buf_fini(&out);
    return result;
}

/* --- sizes --- */

static void test_sources(void **state)
{
    assert_string_equal(plan("a2 b3", "0: a b"), "tasks 3"); /* as many as the largest input */
    assert_string_equal(plan("a2 b3", "0: a | 1: b"), "tasks 2 3");
    assert_string_equal(plan("a2", "0: a; + c d"), "tasks 2; make c2 d2");
    assert_string_equal(plan("a2 c2", "0: a; + c"), "tasks 2");
    assert_string_equal(plan("a2", "0: a z | 1: y z"), "status 1: Source topics y, z are missing.");
    assert_string_equal(plan("", "0: e d c b a"),
                        "status 1: Source topics a, b, c and 2 additional topics are missing.");
}

/* A repartition topic is as large as the largest input of who writes it, over several steps and whatever the order. */
static void test_repartition(void **state)
{
    assert_string_equal(plan("a2 b3", "0: a b; > r | 1: ; < r"), "tasks 3 3; make r3");
    assert_string_equal(plan("a2", "0: a; > r | 1: ; < r; > s | 2: ; < s; + c"),
                        "tasks 2 2 2; make c2 r2 s2");
    assert_string_equal(plan("a2", "0: ; < s; + c | 1: ; < r; > s | 2: a; > r"),
                        "tasks 2 2 2; make c2 r2 s2");
    assert_string_equal(plan("a2", "0: a; > r | 1: ; < r:5; > s | 2: ; < s"), "tasks 2 5 5; make r5 s5");
    assert_string_equal(plan("a2 r5", "0: a; > r | 1: ; < r:5"), "tasks 2 5");
    assert_string_equal(plan("a2 r4", "0: a; > r | 1: ; < r:5"),
                        "status 2: Existing topic r has different number of partitions: expected 5, found 4");
    assert_string_equal(plan("a2 c3", "0: a; + c"),
                        "status 2: Existing topic c has different number of partitions: expected 2, found 3");
}

static void test_copartition(void **state)
{
    assert_string_equal(plan("a2 b2", "0: a b; = a b"), "tasks 2");
    assert_string_equal(plan("a2 b3", "0: a b; = a b"),
                        "status 2: Following topics do not have the same number of partitions: [{a=2, b=3}]");
    /* one of free size follows the other */
    assert_string_equal(plan("a2 b3", "0: b; > r | 1: a; < r; = a r"), "tasks 3 2; make r2");
    assert_string_equal(plan("a2 b3", "0: b; > r | 1: a; < r:7; = a r"),
                        "status 2: Number of partitions [7] of repartition topic [r] doesn't match number of "
                        "partitions [2] of the source topic.");
    /* two of free size: the larger; of one that is fixed: that */
    assert_string_equal(plan("a2 b3", "0: a; > r | 1: b; > s | 2: ; < r s; = r s"),
                        "tasks 2 3 3; make r3 s3");
    assert_string_equal(plan("a2 b3", "0: a; > r | 1: b; > s | 2: ; < r:2 s; = r s"),
                        "tasks 2 3 2; make r2 s2");
    assert_string_equal(plan("a2", "0: a; > r s | 1: ; < r:2 s:4; = r s"),
                        "status 2: Following topics do not have the same number of partitions: [{r=2, s=4}]");
    /* sizes outside the group do not count */
    assert_string_equal(plan("a2", "0: a; > r s t | 1: ; < r s; = r s | 2: ; < t:9"),
                        "tasks 2 2 9; make r2 s2 t9");
}

static void test_no_topology(void **state)
{
    assert_string_equal(
        plan("a2", "0: a; + c:3"),
        "invalid: Changelog topic c must have an undefined partition count, but it is set to 3.");
    assert_string_equal(plan("a2", "0: a | 0: a"), "invalid: Subtopology 0 is there twice.");
    assert_string_equal(plan("a2", "0: ; + c"), "invalid: No source topics found for subtopology 0");
    assert_string_equal(plan("a2", "0: a; < r:-1"), "invalid: Repartition topic r has -1 partitions.");
    assert_string_equal(
        plan("", "0: ; < r; > s | 1: ; < s; > r"),
        "invalid: Failed to compute number of partitions for all repartition topics. There may "
        "be loops in the topology that cannot be resolved.");
    assert_string_equal(
        plan("a2", "0: a | 1: ; < r"),
        "invalid: Failed to compute number of partitions for all repartition topics, because a "
        "repartition source topic is never used as a sink topic.");
    assert_string_equal(plan("", ""), "tasks");
}

/* What is to be made has the factor and the configs that the topology says. */
static void test_missing(void **state)
{
    struct err err;
    struct streams_plan made;
    struct streams_lookup lookup = {(void *)"a2", partitions_of};
    asked_topology *asked = topology_of("0: a; + c d");
    asked_topic *c = &asked->Subtopologies.at[0].StateChangelogTopics.at[0];
    c->ReplicationFactor = 3;
    WIRE_ALLOC(&arena, c->TopicConfigs, StreamsGroupHeartbeatRequest_KeyValue, 1);
    c->TopicConfigs.at[0].Key = STR("cleanup.policy");
    c->TopicConfigs.at[0].Value = STR("compact");
    assert_true(streams_plan_make(streams_topology_read(asked, &arena, &err), &lookup, &made, &arena, &err));
    assert_int_equal(made.status, STREAMS_MISSING_INTERNAL);
    assert_true(str_eq(made.detail, STR("Internal topics are missing: c, d")));
    assert_int_equal(made.missing.at[0].ReplicationFactor, 3);
    assert_true(str_eq(made.missing.at[0].Configs.at[0].Name, STR("cleanup.policy")));
    assert_true(str_eq(made.missing.at[0].Configs.at[0].Value, STR("compact")));
    assert_int_equal(made.missing.at[1].ReplicationFactor, -1);
    assert_int_equal(made.missing.at[1].Configs.len, 0);
}

/* --- topologies --- */

static const streams_topology *read_topology(const char *text)
{
    struct err err;
    const streams_topology *topology = streams_topology_read(topology_of(text), &arena, &err);
    assert_non_null(topology);
    return topology;
}

static void test_equal(void **state)
{
    const streams_topology *one = read_topology("0: a; > r | 1: b; < r:2; + c");
    assert_true(streams_topology_eq(one, read_topology("1: b; < r:2; + c | 0: a; > r"))); /* T1 */
    assert_true(streams_topology_eq(one, streams_topology_take(one, &arena)));
    assert_false(streams_topology_eq(one, read_topology("0: a; > r | 1: b; < r:3; + c")));
    assert_false(streams_topology_eq(one, read_topology("0: a; > r | 1: b; < r:2")));
    assert_false(streams_topology_eq(one, read_topology("0: a; > r")));
    asked_topology *later = topology_of("0: a; > r | 1: b; < r:2; + c");
    later->Epoch = 1;
    assert_false(streams_topology_eq(one, streams_topology_read(later, &arena, NULL)));
}

static void test_look_up(void **state)
{
    const streams_topology *topology = read_topology("b: a; > r | a: ; < r; + c");
    assert_int_equal(streams_subtopology_find(topology, STR("a")), 0);
    assert_int_equal(streams_subtopology_find(topology, STR("b")), 1);
    assert_int_equal(streams_subtopology_find(topology, STR("c")), -1);
    assert_true(streams_is_stateful(&topology->Subtopologies.at[0]));
    assert_false(streams_is_stateful(&topology->Subtopologies.at[1]));
}

/* Sizes that a client chooses, and indexes. */
static void test_bounds(void **state)
{
    struct err err;
    asked_topology *many = wire_new(&WIRE_StreamsGroupHeartbeatRequest_Topology, 1, &arena);
    WIRE_ALLOC(&arena, many->Subtopologies, StreamsGroupHeartbeatRequest_Subtopology, 501);
    for (int i = 0; i < 501; i++)
        many->Subtopologies.at[i].SubtopologyId = str_printf(&arena, "%d", i);
    assert_null(streams_topology_read(many, &arena, &err));
    many->Subtopologies.len = 500;
    assert_non_null(streams_topology_read(many, &arena, &err));
    many->Subtopologies.at[7].SourceTopics.at = arena_array(&arena, struct str, 5001);
    many->Subtopologies.at[7].SourceTopics.len = 5000;
    assert_non_null(streams_topology_read(many, &arena, &err));
    many->Subtopologies.at[7].SourceTopics.len = 5001;
    assert_null(streams_topology_read(many, &arena, &err));

    asked_topology *wild = topology_of("0: a; = a");
    int16_t *index = wild->Subtopologies.at[0].CopartitionGroups.at[0].SourceTopics.at;
    assert_non_null(streams_topology_read(wild, &arena, &err));
    *index = 1;
    assert_null(streams_topology_read(wild, &arena, &err));
    *index = -1;
    assert_null(streams_topology_read(wild, &arena, &err));
    many = topology_of("0: a");
    many->Epoch = -1;
    assert_null(streams_topology_read(many, &arena, &err));
}

static int forget(void **state)
{
    arena_reset(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_sources, forget),
        cmocka_unit_test_teardown(test_repartition, forget),
        cmocka_unit_test_teardown(test_copartition, forget),
        cmocka_unit_test_teardown(test_no_topology, forget),
        cmocka_unit_test_teardown(test_missing, forget),
        cmocka_unit_test_teardown(test_equal, forget),
        cmocka_unit_test_teardown(test_look_up, forget),
        cmocka_unit_test_teardown(test_bounds, forget),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return failed;
}
