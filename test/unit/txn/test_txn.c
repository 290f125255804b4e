/* txn: the state machine as a list of requests, and a second state made from the records alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "txn/txn.h"

struct world {
    struct txns *txns, *restarted;
};

static bool run(struct world *w, replay_decide_fn decide, void *req, enum err_code *code)
{
    struct replay_records out = {0};
    struct err err = {0};
    bool good = decide(w->txns, req, &out, &err);
    for (size_t i = 0; i < out.list.len; i++) {
        assert_true(txns_class.apply(w->txns, &out.list.at[i], &err));
        assert_true(txns_class.apply(w->restarted, &out.list.at[i], &err));
    }
    if (code != NULL)
        *code = err.code;
    vec_fini(&out.list);
    arena_fini(&out.arena);
    return good;
}

static bool change(struct world *w, int64_t pid, int16_t epoch, enum txn_status to, enum err_code *code)
{
    struct txn_partition parts[] = {{STR("a"), 0}, {STR("b"), 1}, {STR("a"), 2}};
    struct txn_change req = {.transactional_id = STR("q"),
                             .pid = pid,
                             .epoch = epoch,
                             .to = to,
                             .partitions = parts,
                             .partition_count = 3};
    return run(w, txns_decide_change, &req, code);
}

static struct txn begin(struct world *w, int64_t fresh)
{
    struct txn_begin req = {.transactional_id = STR("q"), .fresh_pid = fresh};
    assert_true(run(w, txns_decide_begin, &req, NULL));
    return req.txn;
}

static void test_states(void **state)
{
    struct world w = {txns_new(), txns_new()};
    enum err_code code;
    struct txn txn;
    assert_true(txns_needs_pid(w.txns, STR("q")));
    txn = begin(&w, 9);
    assert_true(txn.pid == 9 && txn.epoch == 0);
    struct txn_begin again = {.transactional_id = STR("q"), .fresh_pid = 10};
    assert_false(run(&w, txns_decide_begin, &again, &code));
    assert_int_equal(code, ERR_CONCURRENT_TRANSACTIONS);
    assert_false(change(&w, 9, 0, TXN_COMPLETE_COMMIT, &code)); /* nothing is skipped */
    assert_int_equal(code, ERR_INVALID_TXN_STATE);
    assert_false(change(&w, 9, 1, TXN_PREPARE_COMMIT, &code));
    assert_int_equal(code, ERR_PRODUCER_FENCED);
    assert_true(change(&w, 9, 0, TXN_PREPARE_COMMIT, NULL));
    assert_false(change(&w, 9, 0, TXN_PREPARE_ABORT, NULL)); /* decided is decided */
    assert_false(run(&w, txns_decide_begin, &again, NULL));
    assert_true(change(&w, 9, 0, TXN_COMPLETE_COMMIT, NULL));
    assert_false(txns_needs_pid(w.txns, STR("q")));
    txn = begin(&w, -1);
    assert_true(txn.pid == 9 && txn.epoch == 1);
    /* a restart knows the present one and how the one before ended */
    assert_true(txns_find(w.restarted, STR("q"), &txn));
    assert_int_equal(txn.status, TXN_ONGOING);
    assert_true(txn.decided_pid == 9 && txn.decided_epoch == 0 && txn.decided_commit);
    struct replay_records snapshot = {0};
    txns_class.snapshot(w.restarted, &snapshot);
    struct txns *rewritten = txns_new();
    for (size_t i = 0; i < snapshot.list.len; i++)
        assert_true(txns_class.apply(rewritten, &snapshot.list.at[i], NULL));
    assert_true(txns_find(rewritten, STR("q"), &txn));
    assert_true(txn.epoch == 1 && txn.status == TXN_ONGOING && txn.decided_epoch == 0 && txn.decided_commit);
    assert_true(change(&w, 9, 1, TXN_PREPARE_ABORT, NULL));
    assert_true(txns_find(w.restarted, STR("q"), &txn));
    assert_true(txn.decided_epoch == 1 && !txn.decided_commit);
    vec_fini(&snapshot.list);
    arena_fini(&snapshot.arena);
    txns_free(rewritten);
    txns_free(w.txns);
    txns_free(w.restarted);
}

/* Epochs run out: the id goes on under a fresh producer id. */
static void test_epochs_end(void **state)
{
    struct world w = {txns_new(), txns_new()};
    struct txn_change burn = {.transactional_id = STR("q"), .pid = 9, .epoch = 32765};
    assert_true(run(&w, txns_decide_burn, &burn, NULL));
    struct txn txn = begin(&w, 10);
    assert_true(txn.pid == 9 && txn.epoch == 32766);
    assert_true(change(&w, 9, 32766, TXN_PREPARE_ABORT, NULL));
    assert_true(change(&w, 9, 32766, TXN_COMPLETE_ABORT, NULL));
    assert_true(txns_needs_pid(w.txns, STR("q")));
    txn = begin(&w, 10);
    assert_true(txn.pid == 10 && txn.epoch == 0);
    txns_free(w.txns);
    txns_free(w.restarted);
}

static void test_producer_ids(void **state)
{
    struct world w = {txns_new(), txns_new()};
    struct txn_reserve req = {.count = 100};
    assert_true(run(&w, txns_decide_reserve, &req, NULL));
    assert_int_equal(req.first, 0);
    assert_true(run(&w, txns_decide_reserve, &req, NULL));
    assert_int_equal(req.first, 100);
    struct world after = {w.restarted, txns_new()}; /* a restart hands none out twice */
    assert_true(run(&after, txns_decide_reserve, &req, NULL));
    assert_int_equal(req.first, 200);
    txns_free(after.restarted);
    txns_free(w.txns);
    txns_free(w.restarted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_epochs_end),
        cmocka_unit_test(test_producer_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
