/* txn: every status x every request, against a second state made from the records alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "txn/txn.h"

enum { TIMEOUT_MS = 60000, NOW_MS = 5000 };

struct world {
    struct txns *txns, *restarted;
    size_t records; /* of the last request */
};

static struct world world_new(void)
{
    return (struct world){txns_new(), txns_new(), 0};
}

static void world_free(struct world *w)
{
    txns_free(w->txns);
    txns_free(w->restarted);
}

static void assert_same(const struct world *w)
{
    struct txn one, two;
    bool known = txns_find(w->txns, STR("q"), &one);
    assert_int_equal(known, txns_find(w->restarted, STR("q"), &two));
    if (known)
        assert_memory_equal(&one, &two, sizeof one);
}

static void run(struct world *w, replay_decide_fn decide, void *req)
{
    struct replay_records out = {0};
    struct err err = {0};
    assert_true(decide(w->txns, req, &out, &err));
    for (size_t i = 0; i < out.list.len; i++) {
        assert_true(txns_class.apply(w->txns, &out.list.at[i], &err));
        assert_true(txns_class.apply(w->restarted, &out.list.at[i], &err));
    }
    w->records = out.list.len;
    vec_fini(&out.list);
    arena_fini(&out.arena);
    assert_same(w);
}

static struct txn now(const struct world *w)
{
    struct txn txn = {.status = TXN_STATUS_COUNT};
    ignore(txns_find(w->txns, STR("q"), &txn), "then the status says so");
    return txn;
}

/* --- requests --- */

static struct txn_init init_as(struct world *w, int64_t pid, int16_t epoch, int64_t fresh)
{
    struct txn_init req = {.transactional_id = STR("q"),
                           .timeout_ms = TIMEOUT_MS,
                           .pid = pid,
                           .epoch = epoch,
                           .fresh_pid = fresh,
                           .now_ms = NOW_MS};
    run(w, txns_decide_init, &req);
    return req;
}

static int16_t add(struct world *w, int64_t pid, int16_t epoch, int16_t version)
{
    struct txn_partition parts[] = {{STR("a"), 0}, {STR("b"), 1}, {STR("a"), 2}};
    struct txn_add req = {.transactional_id = STR("q"),
                          .pid = pid,
                          .epoch = epoch,
                          .version = version,
                          .partitions = parts,
                          .partition_count = 3,
                          .now_ms = NOW_MS};
    run(w, txns_decide_add, &req);
    return req.error;
}

static struct txn_end end_as(struct world *w, int64_t pid, int16_t epoch, bool commit, enum txn_ender by,
                             int64_t fresh)
{
    struct txn_end req = {.transactional_id = STR("q"),
                          .pid = pid,
                          .epoch = epoch,
                          .commit = commit,
                          .by = by,
                          .fresh_pid = fresh,
                          .now_ms = NOW_MS};
    run(w, txns_decide_end, &req);
    return req;
}

static void complete(struct world *w)
{
    struct txn txn = now(w);
    struct txn_complete req = {.transactional_id = STR("q"),
                               .pid = txn.decided.pid,
                               .marker_epoch = txn.decided.marker_epoch,
                               .now_ms = NOW_MS};
    run(w, txns_decide_complete, &req);
}

/* Brings a fresh id (producer id 9, epoch 3) into a status, by version 1 or 2; the present epoch is returned. */
static int16_t bring_to(struct world *w, enum txn_status status, enum txn_ender by)
{
    assert_int_equal(init_as(w, -1, -1, 9).error, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(init_as(w, -1, -1, -1).error, 0);
    assert_int_equal(now(w).epoch, 3);
    if (status == TXN_EMPTY)
        return 3;
    assert_int_equal(add(w, 9, 3, by == TXN_BY_V1 ? 0 : 2), 0);
    bool commit = status == TXN_PREPARE_COMMIT || status == TXN_COMPLETE_COMMIT;
    if (status != TXN_ONGOING)
        assert_true(end_as(w, 9, 3, commit, by, -1).prepared);
    if (status >= TXN_COMPLETE_COMMIT)
        complete(w);
    assert_int_equal(now(w).status, status);
    return now(w).epoch;
}

/* --- EndTxn --- */

enum { PREPARED = -1, BUMPED = -2 }; /* beside Kafka's codes; 0 is: done already */

struct end_case {
    enum txn_status status;
    enum txn_ender by;
    int epoch; /* added to the present one */
    int on_commit, on_abort;
};

/* The table of the protocol's reference, and what an epoch that is not the present one gets. */
static const struct end_case end_cases[] = {
    {TXN_EMPTY, TXN_BY_V1, 0, 48, 48},
    {TXN_ONGOING, TXN_BY_V1, 0, PREPARED, PREPARED},
    {TXN_PREPARE_COMMIT, TXN_BY_V1, 0, 51, 48},
    {TXN_PREPARE_ABORT, TXN_BY_V1, 0, 48, 51},
    {TXN_COMPLETE_COMMIT, TXN_BY_V1, 0, 0, 48},
    {TXN_COMPLETE_ABORT, TXN_BY_V1, 0, 48, 0},
    {TXN_EMPTY, TXN_BY_V1, 1, 90, 90},
    {TXN_ONGOING, TXN_BY_V1, 1, 90, 90},
    {TXN_ONGOING, TXN_BY_V1, -1, 90, 90},
    {TXN_PREPARE_COMMIT, TXN_BY_V1, 1, 90, 90},
    {TXN_PREPARE_ABORT, TXN_BY_V1, -1, 90, 90},
    {TXN_COMPLETE_COMMIT, TXN_BY_V1, 1, 90, 90},
    {TXN_COMPLETE_ABORT, TXN_BY_V1, -1, 90, 90},
    {TXN_EMPTY, TXN_BY_V2, 0, 48, BUMPED},
    {TXN_ONGOING, TXN_BY_V2, 0, PREPARED, PREPARED},
    {TXN_PREPARE_COMMIT, TXN_BY_V2, 0, 90, 90}, /* the bumped epoch is not the producer's yet */
    {TXN_PREPARE_ABORT, TXN_BY_V2, 0, 90, 90},
    {TXN_COMPLETE_COMMIT, TXN_BY_V2, 0, 48, BUMPED},
    {TXN_COMPLETE_ABORT, TXN_BY_V2, 0, 48, BUMPED},
    {TXN_EMPTY, TXN_BY_V2, -1, 90, 90},
    {TXN_ONGOING, TXN_BY_V2, -1, 90, 90},
    {TXN_PREPARE_COMMIT, TXN_BY_V2, -1, 51, 48}, /* the epoch that it had: a repeated call */
    {TXN_PREPARE_ABORT, TXN_BY_V2, -1, 48, 51},
    {TXN_COMPLETE_COMMIT, TXN_BY_V2, -1, 0, 48},
    {TXN_COMPLETE_ABORT, TXN_BY_V2, -1, 48, 0},
    {TXN_PREPARE_COMMIT, TXN_BY_V2, -2, 90, 90},
    {TXN_COMPLETE_COMMIT, TXN_BY_V2, -2, 90, 90},
    {TXN_COMPLETE_ABORT, TXN_BY_V2, 1, 90, 90},
    {TXN_EMPTY, TXN_BY_SERVER, 0, 48, 48},
    {TXN_ONGOING, TXN_BY_SERVER, 0, PREPARED, PREPARED},
    {TXN_PREPARE_ABORT, TXN_BY_SERVER, 0, 48, 48},
    {TXN_COMPLETE_ABORT, TXN_BY_SERVER, 0, 48, 48},
};

static void check_end(const struct end_case *c, bool commit, int wanted)
{
    struct world w = world_new();
    int16_t epoch = bring_to(&w, c->status, c->by == TXN_BY_SERVER ? TXN_BY_V2 : c->by);
    struct txn before = now(&w);
    struct txn_end end = end_as(&w, 9, (int16_t)(epoch + c->epoch), commit, c->by, -1);
    struct txn after = now(&w);
    if (end.error != MAX(wanted, 0) || end.prepared != (wanted == PREPARED))
        fail_msg("%s, ender %d, epoch %+d, commit %d: error %d, prepared %d", txn_status_name(c->status),
                 c->by, c->epoch, commit, end.error, end.prepared);
    if (wanted >= 0) {
        assert_int_equal(w.records, 0);
        assert_memory_equal(&before, &after, sizeof before);
    }
    if (wanted == 0 || wanted == PREPARED || wanted == BUMPED)
        assert_true(end.next_pid == 9 && end.next_epoch == after.epoch);
    if (wanted == BUMPED)
        assert_true(after.status == TXN_COMPLETE_ABORT && after.epoch == epoch + 1);
    if (wanted == PREPARED) {
        int16_t marker_epoch = (int16_t)(epoch + (c->by != TXN_BY_V1));
        assert_int_equal(after.status, commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT);
        assert_int_equal(after.epoch, marker_epoch);
        assert_true(after.decided.pid == 9 && after.decided.data_epoch == epoch &&
                    after.decided.marker_epoch == marker_epoch && after.decided.commit == commit);
    }
    end = end_as(&w, 10, epoch, commit, c->by, -1);
    assert_int_equal(end.error, TXN_INVALID_MAPPING);
    world_free(&w);
}

static void test_end(void **state)
{
    for (size_t i = 0; i < COUNT_OF(end_cases); i++) {
        check_end(&end_cases[i], true, end_cases[i].on_commit);
        check_end(&end_cases[i], false, end_cases[i].on_abort);
    }
    struct world w = world_new();
    assert_int_equal(end_as(&w, 9, 0, true, TXN_BY_V2, -1).error, TXN_INVALID_MAPPING); /* an unknown id */
    world_free(&w);
}

/* --- AddPartitionsToTxn, VerifyOnly --- */

static void test_add(void **state)
{
    static const struct {
        enum txn_status status;
        int error, verified; /* with the present epoch */
    } cases[] = {
        {TXN_EMPTY, 0, 120},         {TXN_ONGOING, 0, 0},           {TXN_PREPARE_COMMIT, 51, 51},
        {TXN_PREPARE_ABORT, 51, 51}, {TXN_COMPLETE_COMMIT, 0, 120}, {TXN_COMPLETE_ABORT, 0, 120},
    };
    struct txn_partition part = {STR("a"), 2};
    for (size_t i = 0; i < COUNT_OF(cases) * 2; i++) {
        struct world w = world_new();
        enum txn_status status = cases[i / 2].status;
        int16_t code = -1, epoch = bring_to(&w, status, i % 2 ? TXN_BY_V1 : TXN_BY_V2);
        int16_t error = txns_verify(w.txns, STR("q"), 9, epoch, &part, 1, &code);
        assert_int_equal(error != 0 ? error : code, cases[i / 2].verified);
        assert_int_equal(txns_verify(w.txns, STR("q"), 8, epoch, &part, 1, &code), 49);
        assert_int_equal(txns_verify(w.txns, STR("q"), 9, epoch + 1, &part, 1, &code), 90);
        assert_int_equal(add(&w, 8, epoch, 0), 49);
        assert_int_equal(add(&w, 9, epoch + 1, 0), 90);
        assert_int_equal(add(&w, 9, epoch - 1, 0), 90);
        assert_int_equal(add(&w, 9, epoch, 0), cases[i / 2].error);
        assert_int_equal(w.records, cases[i / 2].error == 0 && status != TXN_ONGOING ? 1 : 0);
        if (cases[i / 2].error == 0) {
            assert_int_equal(now(&w).status, TXN_ONGOING);
            assert_int_equal(add(&w, 9, epoch, 0), 0); /* repeated: no record */
            assert_int_equal(w.records, 0);
        }
        world_free(&w);
    }
    struct world w = world_new();
    assert_int_equal(add(&w, 9, 0, 0), TXN_INVALID_MAPPING);
    world_free(&w);
}

static void test_partitions(void **state)
{
    struct world w = world_new();
    struct arena arena = {0};
    size_t count;
    bring_to(&w, TXN_ONGOING, TXN_BY_V1);
    struct txn_partition more[] = {{STR("b"), 1}, {STR("c"), 0}};
    struct txn_end end = {.transactional_id = STR("q"),
                          .pid = 9,
                          .epoch = 3,
                          .commit = true,
                          .fresh_pid = -1,
                          .partitions = more,
                          .partition_count = 2};
    run(&w, txns_decide_end, &end); /* what was touched besides is named too, once */
    struct txn_partition *list = txns_partitions(w.restarted, STR("q"), &count, &arena);
    assert_int_equal(count, 4);
    int seen = 0;
    for (size_t i = 0; i < count; i++)
        seen |= str_eq(list[i].topic, STR("a"))   ? 1 << list[i].partition
                : str_eq(list[i].topic, STR("b")) ? 1 << (8 + list[i].partition)
                                                  : 1 << (16 + list[i].partition);
    assert_int_equal(seen, 1 | 4 | 1 << 9 | 1 << 16);
    complete(&w);
    txns_partitions(w.restarted, STR("q"), &count, &arena);
    assert_int_equal(count, 0);
    arena_fini(&arena);
    world_free(&w);
}

/* --- InitProducerId --- */

static void test_init(void **state)
{
    static const struct {
        enum txn_status status;
        int error; /* -1: the ongoing one has to be ended first */
    } cases[] = {
        {TXN_EMPTY, 0},          {TXN_ONGOING, -1},        {TXN_PREPARE_COMMIT, 51},
        {TXN_PREPARE_ABORT, 51}, {TXN_COMPLETE_COMMIT, 0}, {TXN_COMPLETE_ABORT, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases) * 2; i++) {
        struct world w = world_new();
        int error = cases[i / 2].error;
        int16_t epoch = bring_to(&w, cases[i / 2].status, i % 2 ? TXN_BY_V1 : TXN_BY_V2);
        struct txn_init zombie =
            init_as(&w, 8, epoch, -1); /* another producer id is fenced in every status */
        assert_int_equal(zombie.error, TXN_FENCED);
        struct txn_init req = init_as(&w, -1, -1, -1);
        assert_int_equal(req.error, MAX(error, 0));
        assert_int_equal(req.must_end, error == -1);
        if (error == 0)
            assert_true(req.txn.status == TXN_EMPTY && req.txn.pid == 9 && req.txn.epoch == epoch + 1 &&
                        req.txn.timeout_ms == TIMEOUT_MS);
        else
            assert_int_equal(w.records, 0);
        world_free(&w);
    }
}

static void test_init_recovers(void **state)
{
    struct world w = world_new();
    assert_true(init_as(&w, -1, -1, -1).needs_pid);
    struct txn_init req = init_as(&w, 77, 5, 9); /* an id that was forgotten: whoever comes is the first */
    assert_true(req.error == 0 && req.txn.pid == 9 && req.txn.epoch == 0);
    req = init_as(&w, 9, 0, -1);
    assert_true(req.error == 0 && req.txn.epoch == 1);
    req = init_as(&w, 9, 0, -1); /* repeated: the same answer */
    assert_true(req.error == 0 && req.txn.epoch == 1);
    req = init_as(&w, 9, 1, -1);
    assert_true(req.error == 0 && req.txn.epoch == 2);
    assert_int_equal(init_as(&w, 9, 0, -1).error, TXN_FENCED);
    req = init_as(&w, -1, -1, -1); /* another one comes: who had 2 is fenced */
    assert_true(req.error == 0 && req.txn.epoch == 3);
    assert_int_equal(init_as(&w, 9, 2, -1).error, TXN_FENCED);
    world_free(&w);
}

/* A transaction that took too long is ended by the server: its producer goes on with the epoch that this took (KIP-588), once
 * or repeated, as an Apache Kafka 4.3 answers; not when another one has come since. */
static void test_init_after_the_server(void **state)
{
    for (int newcomer = 0; newcomer < 2; newcomer++) {
        struct world w = world_new();
        assert_int_equal(bring_to(&w, TXN_ONGOING, TXN_BY_V2), 3);
        assert_true(end_as(&w, 9, 3, false, TXN_BY_SERVER, -1).prepared);
        assert_int_equal(init_as(&w, 9, 3, -1).error, TXN_CONCURRENT);
        complete(&w);
        if (newcomer == 1) {
            assert_int_equal(init_as(&w, -1, -1, -1).txn.epoch, 5);
            assert_int_equal(init_as(&w, 9, 3, -1).error, TXN_FENCED);
            assert_int_equal(init_as(&w, 9, 4, -1).error, TXN_FENCED);
        } else {
            for (int i = 0; i < 2; i++) {
                struct txn_init req = init_as(&w, 9, 3, -1);
                assert_true(req.error == 0 && req.txn.pid == 9 && req.txn.epoch == 4);
            }
            assert_int_equal(add(&w, 9, 4, 2), 0);
        }
        world_free(&w);
    }
}

/* --- epochs run out --- */

static void exhaust(struct world *w)
{
    assert_int_equal(init_as(w, -1, -1, 9).error, 0);
    for (int epoch = 0; epoch < TXN_EPOCH_LAST; epoch++)
        assert_int_equal(init_as(w, -1, -1, -1).error, 0);
    assert_int_equal(now(w).epoch, 32766);
}

static void test_exhausted_init(void **state)
{
    struct world w = world_new();
    exhaust(&w);
    assert_true(init_as(&w, -1, -1, -1).needs_pid);
    struct txn_init req = init_as(&w, 9, 32766, 10);
    assert_true(req.error == 0 && req.txn.pid == 10 && req.txn.epoch == 0 && req.txn.prev_pid == 9);
    req = init_as(&w, 9, 32766, 11); /* repeated */
    assert_true(req.error == 0 && req.txn.pid == 10 && req.txn.epoch == 0);
    assert_int_equal(init_as(&w, 9, 32765, 11).error, TXN_FENCED);
    req = init_as(&w, -1, -1, -1);
    assert_true(req.error == 0 && req.txn.pid == 10 && req.txn.epoch == 1);
    assert_int_equal(init_as(&w, 9, 32766, 11).error, TXN_FENCED);
    world_free(&w);
}

static void test_exhausted_end(void **state)
{
    struct world w = world_new();
    exhaust(&w);
    assert_int_equal(add(&w, 9, 32766, 2), 0);
    struct txn_end end = end_as(&w, 9, 32766, true, TXN_BY_V2, -1);
    assert_true(end.needs_pid && !end.prepared && w.records == 0);
    end = end_as(&w, 9, 32766, true, TXN_BY_V2, 10);
    assert_true(end.prepared && end.next_pid == 10 && end.next_epoch == 0);
    assert_true(now(&w).pid == 9 && now(&w).epoch == 32767); /* markers go by this */
    assert_int_equal(end_as(&w, 9, 32766, true, TXN_BY_V2, 11).error, TXN_CONCURRENT);
    complete(&w);
    assert_true(now(&w).pid == 10 && now(&w).epoch == 0 && now(&w).status == TXN_COMPLETE_COMMIT);
    end = end_as(&w, 9, 32766, true, TXN_BY_V2, 11); /* repeated */
    assert_true(end.error == 0 && end.next_pid == 10 && end.next_epoch == 0);
    assert_int_equal(add(&w, 9, 32766, 2), TXN_INVALID_MAPPING);
    assert_int_equal(add(&w, 10, 0, 2), 0);
    assert_int_equal(txn_of_open(&(struct txn){0}, 5, 0), TXN_OWNER_NONE);
    struct txn txn = now(&w);
    assert_int_equal(txn_of_open(&txn, 9, 32766), TXN_OWNER_DECIDED);
    assert_int_equal(txn_of_open(&txn, 10, 0), TXN_OWNER_PRESENT);
    world_free(&w);
}

/* Fencing takes an epoch even when the producer had the last one. */
static void test_exhausted_fence(void **state)
{
    struct world w = world_new();
    exhaust(&w);
    assert_int_equal(add(&w, 9, 32766, 0), 0);
    assert_true(end_as(&w, 9, 32766, false, TXN_BY_SERVER, -1).prepared);
    assert_int_equal(now(&w).epoch, 32767);
    complete(&w);
    assert_true(init_as(&w, -1, -1, -1).needs_pid);
    assert_true(init_as(&w, 9, 32766, -1).needs_pid);
    assert_true(init_as(&w, 9, 32766, 10).txn.pid == 10);
    world_free(&w);
}

/* --- whose is what a log has open? --- */

static void test_owner(void **state)
{
    static const struct {
        enum txn_status status;
        enum txn_ender by;
        int epoch; /* added to the one of the data, 3 */
        enum txn_owner owner;
    } cases[] = {
        {TXN_EMPTY, TXN_BY_V1, 0, TXN_OWNER_PRESENT}, /* its begin was lost */
        {TXN_ONGOING, TXN_BY_V1, 0, TXN_OWNER_PRESENT},
        {TXN_PREPARE_COMMIT, TXN_BY_V1, 0, TXN_OWNER_DECIDED},
        {TXN_COMPLETE_COMMIT, TXN_BY_V1, 0, TXN_OWNER_PRESENT}, /* its markers were durable before */
        {TXN_COMPLETE_ABORT, TXN_BY_V1, 1, TXN_OWNER_NONE},
        {TXN_ONGOING, TXN_BY_V2, 0, TXN_OWNER_PRESENT},
        {TXN_PREPARE_COMMIT, TXN_BY_V2, 0, TXN_OWNER_DECIDED},
        {TXN_PREPARE_COMMIT, TXN_BY_V2, 1, TXN_OWNER_PRESENT}, /* Complete and the next begin were lost */
        {TXN_COMPLETE_COMMIT, TXN_BY_V2, 0, TXN_OWNER_DECIDED},
        {TXN_COMPLETE_COMMIT, TXN_BY_V2, 1, TXN_OWNER_PRESENT},
        {TXN_COMPLETE_ABORT, TXN_BY_SERVER, 0, TXN_OWNER_DECIDED},
        {TXN_COMPLETE_ABORT, TXN_BY_V2, 2, TXN_OWNER_NONE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct world w = world_new();
        bring_to(&w, cases[i].status, cases[i].by);
        struct txn txn = now(&w);
        assert_int_equal(txn_of_open(&txn, 9, (int16_t)(3 + cases[i].epoch)), cases[i].owner);
        assert_int_equal(txn_of_open(&txn, 8, 3), TXN_OWNER_NONE);
        world_free(&w);
    }
}

/* What is older than the last decision was not part of it. */
static void test_outcome(void **state)
{
    struct world w = world_new();
    bring_to(&w, TXN_COMPLETE_COMMIT, TXN_BY_V2);
    struct txn txn = now(&w);
    struct txn_outcome outcome = txn_outcome_of(&txn, 3);
    assert_true(outcome.commit);
    assert_int_equal(outcome.data_epoch, 3);
    assert_int_equal(outcome.marker_epoch, 4);
    outcome = txn_outcome_of(&txn, 2);
    assert_false(outcome.commit);
    assert_int_equal(outcome.data_epoch, 2);
    assert_int_equal(outcome.marker_epoch, 4);
    world_free(&w);
}

/* --- the rest --- */

static void test_snapshot(void **state)
{
    for (int status = 0; status < TXN_STATUS_COUNT; status++) {
        struct world w = world_new();
        struct replay_records snapshot = {0};
        struct txns *rewritten = txns_new();
        struct txn one, two;
        struct arena arena = {0};
        size_t count_one, count_two;
        bring_to(&w, (enum txn_status)status, TXN_BY_V2);
        txns_class.snapshot(w.restarted, &snapshot);
        for (size_t i = 0; i < snapshot.list.len; i++)
            assert_true(txns_class.apply(rewritten, &snapshot.list.at[i], NULL));
        assert_true(txns_find(w.txns, STR("q"), &one) && txns_find(rewritten, STR("q"), &two));
        assert_memory_equal(&one, &two, sizeof one);
        txns_partitions(w.txns, STR("q"), &count_one, &arena);
        txns_partitions(rewritten, STR("q"), &count_two, &arena);
        assert_int_equal(count_one, count_two);
        vec_fini(&snapshot.list);
        arena_fini(&snapshot.arena);
        arena_fini(&arena);
        txns_free(rewritten);
        world_free(&w);
    }
}

/* Where the markers of the last decision are is known until the next decision: through Complete, the next transaction, a restart
 * and a snapshot. */
static void test_decided_in(void **state)
{
    static const struct txn_partition in = {{"b", 1}, 1}, out = {{"b", 1}, 2}, next = {{"z", 1}, 0};
    struct world w = world_new();
    int16_t epoch = bring_to(&w, TXN_ONGOING, TXN_BY_V2);
    assert_false(txns_decided_in(w.txns, STR("q"), &in));
    assert_int_equal(end_as(&w, 9, epoch, true, TXN_BY_V2, -1).error, 0);
    for (int step = 0; step < 3; step++) {
        struct replay_records snapshot = {0};
        struct txns *rewritten = txns_new();
        if (step == 1)
            complete(&w);
        if (step == 2) {
            struct txn_add req = {.transactional_id = STR("q"),
                                  .pid = 9,
                                  .epoch = (int16_t)(epoch + 1),
                                  .version = 2,
                                  .partitions = &next,
                                  .partition_count = 1,
                                  .now_ms = NOW_MS};
            run(&w, txns_decide_add, &req);
            assert_int_equal(req.error, 0);
        }
        txns_class.snapshot(w.txns, &snapshot);
        for (size_t i = 0; i < snapshot.list.len; i++)
            assert_true(txns_class.apply(rewritten, &snapshot.list.at[i], NULL));
        const struct txns *all[] = {w.txns, w.restarted, rewritten};
        for (size_t i = 0; i < COUNT_OF(all); i++) {
            if (!txns_decided_in(all[i], STR("q"), &in))
                fail_msg("step %d state %zu", step, i);
            assert_false(txns_decided_in(all[i], STR("q"), &out));
            assert_false(txns_decided_in(all[i], STR("q"), &next));
        }
        vec_fini(&snapshot.list);
        arena_fini(&snapshot.arena);
        txns_free(rewritten);
    }
    assert_int_equal(end_as(&w, 9, (int16_t)(epoch + 1), true, TXN_BY_V2, -1).error, 0);
    complete(&w);
    assert_false(txns_decided_in(w.restarted, STR("q"), &in));
    assert_true(txns_decided_in(w.restarted, STR("q"), &next));
    world_free(&w);
}

static bool keep_all(void *arg, struct str id)
{
    return true;
}

static void test_expire(void **state)
{
    for (int status = 0; status < TXN_STATUS_COUNT; status++) {
        struct world w = world_new();
        bool rests = status == TXN_EMPTY || status >= TXN_COMPLETE_COMMIT;
        bring_to(&w, (enum txn_status)status, TXN_BY_V1);
        struct txn_expire req = {.before_ms = NOW_MS};
        run(&w, txns_decide_expire, &req);
        assert_int_equal(req.count, 0); /* not idle for long enough */
        req = (struct txn_expire){.before_ms = NOW_MS + 1, .keep = keep_all};
        run(&w, txns_decide_expire, &req);
        assert_int_equal(req.count, 0);
        req = (struct txn_expire){.before_ms = NOW_MS + 1};
        run(&w, txns_decide_expire, &req);
        assert_int_equal(req.count, rests ? 1 : 0);
        assert_int_equal(now(&w).status, rests ? TXN_STATUS_COUNT : status);
        world_free(&w);
    }
}

static void test_producer_ids(void **state)
{
    struct world w = world_new();
    struct txn_reserve req = {.count = 100};
    run(&w, txns_decide_reserve, &req);
    assert_int_equal(req.first, 0);
    run(&w, txns_decide_reserve, &req);
    assert_int_equal(req.first, 100);
    struct world after = {w.restarted, txns_new(), 0}; /* a restart hands none out twice */
    run(&after, txns_decide_reserve, &req);
    assert_int_equal(req.first, 200);
    txns_free(after.restarted);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_partitions),
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_init_recovers),
        cmocka_unit_test(test_init_after_the_server),
        cmocka_unit_test(test_exhausted_init),
        cmocka_unit_test(test_exhausted_end),
        cmocka_unit_test(test_exhausted_fence),
        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_outcome),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_decided_in),
        cmocka_unit_test(test_expire),
        cmocka_unit_test(test_producer_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
