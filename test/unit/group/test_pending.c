/* group: offsets of transactions: pending, then committed or dropped, also over a restart and a rewritten log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "group/group.h"

struct world {
    struct groups *groups, *restarted;
    struct group_effects effects;
    struct arena arena;
};

static const struct group_options options = {.members_max = 3,
                                             .session_timeout_ms_max = 60000,
                                             .offset_metadata_bytes_max = 8,
                                             .offsets_retention_ms = 1000};

static int setup(void **state)
{
    struct world *w = mem_new(struct world);
    w->groups = groups_new(&options);
    w->restarted = groups_new(&options);
    groups_loaded(w->groups, 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    groups_free(w->groups);
    groups_free(w->restarted);
    group_effects_fini(&w->effects);
    arena_fini(&w->arena);
    free(w);
    return 0;
}

static size_t run(struct world *w, replay_decide_fn decide, void *req)
{
    struct replay_records out = {0};
    struct err err;
    assert_true(decide(w->groups, req, &out, &err));
    for (size_t i = 0; i < out.list.len; i++) {
        assert_true(groups_class.apply(w->groups, &out.list.at[i], &err));
        assert_true(groups_class.apply(w->restarted, &out.list.at[i], &err));
    }
    size_t count = out.list.len;
    vec_fini(&out.list);
    arena_fini(&out.arena);
    return count;
}

/* Offset of t-0 in a group, by (producer id, epoch). */
static int16_t commit(struct world *w, const char *group, int64_t pid, int16_t epoch, int64_t offset)
{
    struct TxnOffsetCommitRequest_TxnOffsetCommitRequestPartition part = {.CommittedOffset = offset,
                                                                          .CommittedLeaderEpoch = -1,
                                                                          .CommittedMetadata = STR("x")};
    struct TxnOffsetCommitRequest_TxnOffsetCommitRequestTopic topic = {.Name = STR("t"),
                                                                       .Partitions = {&part, 1}};
    struct TxnOffsetCommitRequest req = {.GroupId = str_from(group),
                                         .ProducerId = pid,
                                         .ProducerEpoch = epoch,
                                         .GenerationId = -1,
                                         .MemberId = STR(""),
                                         .Topics = {&topic, 1}};
    struct TxnOffsetCommitResponse res = {0};
    struct group_call call = {
        .req = &req, .res = &res, .arena = &w->arena, .effects = &w->effects, .now_ms = 5000};
    run(w, group_decide_txn_commit, &call);
    return res.Topics.at[0].Partitions.at[0].ErrorCode;
}

static size_t end(struct world *w, int64_t pid, int16_t epoch, bool committed)
{
    struct group_txn_end req = {pid, epoch, committed, 6000};
    return run(w, group_decide_txn_end, &req);
}

/* What OffsetFetch says of t-0: its offset, or minus its error. */
static int64_t fetch(struct world *w, struct groups *groups, const char *group, bool stable)
{
    int32_t partition = 0;
    struct OffsetFetchRequest_OffsetFetchRequestTopic topic = {.Name = STR("t"),
                                                               .PartitionIndexes = {&partition, 1}};
    struct OffsetFetchRequest req = {.GroupId = str_from(group),
                                     .Topics = {&topic, 1},
                                     .RequireStable = stable};
    struct OffsetFetchResponse res = {0};
    struct group_call call = {
        .version = 7, .req = &req, .res = &res, .arena = &w->arena, .effects = &w->effects, .now_ms = 5000};
    group_fetch(groups, &call);
    int16_t error = res.Topics.at[0].Partitions.at[0].ErrorCode;
    return error != 0 ? -error : res.Topics.at[0].Partitions.at[0].CommittedOffset;
}

#define assert_offsets(w, group, plain, stable)                              \
    do {                                                                     \
        assert_int_equal(fetch((w), (w)->groups, (group), false), plain);    \
        assert_int_equal(fetch((w), (w)->groups, (group), true), stable);    \
        assert_int_equal(fetch((w), (w)->restarted, (group), false), plain); \
        assert_int_equal(fetch((w), (w)->restarted, (group), true), stable); \
    } while (0)

static void test_end(void **state)
{
    struct world *w = *state;
    assert_int_equal(commit(w, "g", 9, 0, 5), 0);
    assert_int_equal(commit(w, "h", 9, 0, 50), 0);
    assert_offsets(w, "g", -1, -88);
    assert_int_equal(commit(w, "g", 9, 0, 6), 0);
    assert_int_equal(end(w, 8, 0, true), 0); /* another producer's */
    assert_int_equal(end(w, 9, 0, true), 4); /* an offset and a tombstone in each group */
    assert_offsets(w, "g", 6, 6);
    assert_offsets(w, "h", 50, 50);
    assert_int_equal(end(w, 9, 0, true), 0); /* repeated */
    assert_int_equal(commit(w, "g", 9, 1, 7), 0);
    assert_int_equal(end(w, 9, 0, true), 0); /* a late end of the transaction before */
    assert_offsets(w, "g", 6, -88);
    assert_int_equal(end(w, 9, 1, false), 1);
    assert_offsets(w, "g", 6, 6);
}

/* Two transactions have the same partition pending; it is stable when both are over. */
static void test_two(void **state)
{
    struct world *w = *state;
    int64_t pid;
    int16_t epoch;
    size_t pos = 0;
    assert_int_equal(commit(w, "g", 9, 0, 5), 0);
    assert_int_equal(commit(w, "g", 10, 3, 6), 0);
    assert_true(group_txn_next(w->restarted, &pos, &pid, &epoch) && pid == 9 && epoch == 0);
    assert_true(group_txn_next(w->restarted, &pos, &pid, &epoch) && pid == 10 && epoch == 3);
    assert_false(group_txn_next(w->restarted, &pos, &pid, &epoch));
    end(w, 9, 0, true);
    assert_offsets(w, "g", 5, -88);
    end(w, 10, 3, true);
    assert_offsets(w, "g", 6, 6);
}

static void test_refused(void **state)
{
    struct world *w = *state;
    assert_int_equal(commit(w, "", 9, 0, 5), 24);
    struct TxnOffsetCommitRequest_TxnOffsetCommitRequestPartition part = {.CommittedMetadata =
                                                                              STR("123456789")};
    struct TxnOffsetCommitRequest_TxnOffsetCommitRequestTopic topic = {.Name = STR("t"),
                                                                       .Partitions = {&part, 1}};
    struct TxnOffsetCommitRequest req = {.GroupId = STR("g"),
                                         .GenerationId = -1,
                                         .MemberId = STR(""),
                                         .Topics = {&topic, 1}};
    struct TxnOffsetCommitResponse res = {0};
    struct group_call call = {.req = &req, .res = &res, .arena = &w->arena, .effects = &w->effects};
    assert_int_equal(run(w, group_decide_txn_commit, &call), 0);
    assert_int_equal(res.Topics.at[0].Partitions.at[0].ErrorCode, 12);
    req.GenerationId = 1;
    req.MemberId = STR("m");
    assert_int_equal(run(w, group_decide_txn_commit, &call), 0);
    assert_int_equal(res.Topics.at[0].Partitions.at[0].ErrorCode,
                     22); /* a generation of a group that is not there */
    assert_int_equal(commit(w, "g", 9, 0, 5), 0);
    assert_int_equal(run(w, group_decide_txn_commit, &call), 0);
    assert_int_equal(res.Topics.at[0].Partitions.at[0].ErrorCode, 25);
}

/* A rewritten log holds what is pending; a group with something pending does not lapse; a deleted topic's goes. */
static void test_kept(void **state)
{
    struct world *w = *state;
    struct replay_records snapshot = {0};
    struct groups *rewritten = groups_new(&options);
    struct err err;
    assert_int_equal(commit(w, "g", 9, 0, 5), 0);
    groups_class.snapshot(w->groups, &snapshot);
    for (size_t i = 0; i < snapshot.list.len; i++)
        assert_true(groups_class.apply(rewritten, &snapshot.list.at[i], &err));
    assert_int_equal(fetch(w, rewritten, "g", true), -88);
    struct group_call expire = {.now_ms = 1000000, .effects = &w->effects, .arena = &w->arena};
    assert_int_equal(run(w, group_decide_expire, &expire), 0);
    assert_offsets(w, "g", -1, -88);
    struct str topic = STR("t");
    struct group_call deleted = {.req = &topic, .effects = &w->effects, .arena = &w->arena, .now_ms = 7000};
    assert_int_equal(run(w, group_decide_topic_deleted, &deleted), 1);
    assert_offsets(w, "g", -1, -1);
    assert_int_equal(end(w, 9, 0, true), 0);
    vec_fini(&snapshot.list);
    arena_fini(&snapshot.arena);
    groups_free(rewritten);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
