/* test_log_producer.c - idempotent producers and transactions: the cases of the reference's tables, before
 * and after restarts with and without a checkpoint in between. */
#include "log_test.h"

static struct batch_spec seq_spec(int64_t pid, int16_t epoch, int32_t seq)
{
    return (struct batch_spec){.pid = pid, .epoch = epoch, .base_seq = seq};
}

static struct batch_spec txn_spec(int64_t pid, int16_t epoch, int32_t seq)
{
    return (struct batch_spec){.pid = pid, .epoch = epoch, .base_seq = seq, .transactional = true};
}

/* Appends `count` records; gives the base offset, or minus the error's code. *duplicate may be NULL. */
static int64_t send_batch(struct world *w, struct batch_spec spec, int count, bool *duplicate)
{
    struct log_append_result result;
    struct err err = {0};
    bool ok = world_append_spec(w, &spec, spec.base_seq & 0xff, count, 1000, &result, &err);
    if (duplicate != NULL)
        *duplicate = result.duplicate;
    return ok ? result.base_offset : -(int64_t)err.code;
}

/* A duplicate is told the newest timestamp of the batch as its append time, also where timestamps are the producer's. */
static void test_duplicate_time(void **state)
{
    for (int append_time = 0; append_time < 2; append_time++) {
        struct world w;
        struct log_append_result first, again;
        struct batch_spec spec = seq_spec(5, 0, 0);
        struct err err;
        world_init(&w, 1);
        w.config.append_time = append_time != 0;
        world_open(&w);
        io_memory_advance_ms(w.mem, 1234);
        int64_t now = io_now_ms(w.io);
        assert_true(world_append_spec(&w, &spec, 1, 3, 1000, &first, &err));
        assert_int_equal(first.append_time_ms, append_time ? now : -1);
        io_memory_advance_ms(w.mem, 77);
        world_reopen(&w);
        assert_true(world_append_spec(&w, &spec, 1, 3, 1000, &again, &err));
        assert_true(again.duplicate);
        assert_int_equal(again.append_time_ms, append_time ? now : 1002);
        world_fini(&w);
    }
}

enum restart { RESTART_NONE, RESTART_CLEAN, RESTART_KILLED, RESTART_COUNT };

static void restart(struct world *w, enum restart how)
{
    if (how == RESTART_CLEAN)
        world_reopen(w);
    if (how == RESTART_KILLED)
        world_crash(w, IO_CUT_KEEP);
}

static void test_sequences(void **state)
{
    for (enum restart how = RESTART_NONE; how < RESTART_COUNT; how++) {
        struct world w;
        bool duplicate;
        world_init(&w, 1);
        world_open(&w);
        assert_int_equal(send_batch(&w, seq_spec(5, 0, 7), 3, &duplicate), 0); /* no state: any sequence */
        assert_false(duplicate);
        assert_int_equal(send_batch(&w, seq_spec(5, 0, 10), 1, NULL), 3);
        restart(&w, how);
        assert_int_equal(send_batch(&w, seq_spec(5, 0, 7), 3, &duplicate), 0);
        assert_true(duplicate);
        assert_int_equal(send_batch(&w, seq_spec(5, 0, 10), 1, &duplicate), 3);
        assert_true(duplicate);
        assert_int_equal(log_end_offset(w.log), 4);
        assert_int_equal(send_batch(&w, seq_spec(5, 0, 12), 1, NULL), -ERR_OUT_OF_ORDER_SEQUENCE); /* gap */
        assert_int_equal(send_batch(&w, seq_spec(5, 0, 8), 2, NULL),
                         -ERR_OUT_OF_ORDER_SEQUENCE);                    /* part of an old one */
        assert_int_equal(send_batch(&w, seq_spec(6, 0, 0), 1, NULL), 4); /* somebody else */
        for (int seq = 11; seq < 16; seq++)
            assert_int_equal(send_batch(&w, seq_spec(5, 0, seq), 1, NULL), seq - 6);
        restart(&w, how);
        assert_int_equal(send_batch(&w, seq_spec(5, 0, 10), 1, NULL),
                         -ERR_OUT_OF_ORDER_SEQUENCE); /* older than five */
        assert_int_equal(send_batch(&w, seq_spec(5, 0, 11), 1, &duplicate), 5);
        assert_true(duplicate);
        assert_int_equal(send_batch(&w, seq_spec(5, 1, 3), 1, NULL),
                         -ERR_OUT_OF_ORDER_SEQUENCE); /* new epoch: from 0 */
        assert_int_equal(send_batch(&w, seq_spec(5, 1, 0), 1, NULL), 10);
        assert_int_equal(send_batch(&w, seq_spec(5, 0, 16), 1, NULL), -ERR_INVALID_PRODUCER_EPOCH);
        world_fini(&w);
    }
}

static void test_sequence_wraps(void **state)
{
    struct world w;
    bool duplicate;
    world_init(&w, 1);
    world_open(&w);
    assert_int_equal(send_batch(&w, seq_spec(5, 0, INT32_MAX - 1), 2, NULL), 0); /* 2^31-2, 2^31-1 */
    assert_int_equal(send_batch(&w, seq_spec(5, 0, 1), 1, NULL), -ERR_OUT_OF_ORDER_SEQUENCE);
    assert_int_equal(send_batch(&w, seq_spec(5, 0, 0), 1, NULL), 2);
    assert_int_equal(send_batch(&w, seq_spec(6, 0, INT32_MAX), 3, NULL), 3); /* wraps inside: 2^31-1, 0, 1 */
    assert_int_equal(send_batch(&w, seq_spec(6, 0, 2), 1, NULL), 6);
    assert_int_equal(send_batch(&w, seq_spec(6, 0, INT32_MAX), 3, &duplicate), 3);
    assert_true(duplicate);
    world_fini(&w);
}

static int64_t end_txn(struct world *w, int64_t pid, int16_t epoch, enum marker marker)
{
    struct log_append_result result;
    struct err err = {0};
    return log_append_marker(w->log, pid, epoch, marker, 3, &result, &err) ? result.base_offset
                                                                           : -(int64_t)err.code;
}

static void assert_aborted(struct world *w, int64_t from, int64_t to, const char *expect)
{
    struct log_aborted_list aborted = {0};
    struct buf text = {0};
    log_aborted_in(w->log, from, to, &aborted);
    for (size_t i = 0; i < aborted.list.len; i++)
        buf_printf(&text, "%s%lld@%lld-%lld", i == 0 ? "" : " ", (long long)aborted.list.at[i].pid,
                   (long long)aborted.list.at[i].first_offset, (long long)aborted.list.at[i].last_offset);
    assert_string_equal(text.len != 0 ? text.ptr : "", expect);
    vec_fini(&aborted.list);
    buf_fini(&text);
}

/* Two interleaved transactions and a plain producer; the last stable offset and the abort index at each
 * step. */
static void test_transactions(void **state)
{
    for (enum restart how = RESTART_NONE; how < RESTART_COUNT; how++) {
        struct world w;
        world_init(&w, 1);
        w.config.segment_bytes = 300;
        w.config.index_interval_bytes = 100;
        world_open(&w);
        assert_int_equal(send_batch(&w, seq_spec(1, 0, 0), 1, NULL), 0);
        assert_int_equal(send_batch(&w, txn_spec(7, 0, 0), 2, NULL), 1);
        assert_int_equal(send_batch(&w, txn_spec(8, 0, 0), 1, NULL), 3);
        assert_int_equal(send_batch(&w, seq_spec(1, 0, 1), 1, NULL), 4);
        world_sync(&w);
        assert_int_equal(log_lso(w.log), 1);
        assert_int_equal(log_txn_first_offset(w.log, 8), 3);
        assert_records(&w, 0, LOG_READ_COMMITTED, "0=0");
        restart(&w, how);
        assert_int_equal(log_lso(w.log), 1);
        assert_int_equal(send_batch(&w, seq_spec(7, 0, 2), 1, NULL), -ERR_INVALID_TXN_STATE);
        assert_int_equal(end_txn(&w, 7, 0, MARKER_COMMIT), 5);
        assert_int_equal(log_lso(w.log), 1); /* the marker is not durable yet */
        world_sync(&w);
        assert_int_equal(log_lso(w.log), 3);
        assert_records(&w, 0, LOG_READ_COMMITTED, "0=0 1=0 2=1");
        restart(&w, how);
        assert_int_equal(log_lso(w.log), 3);
        assert_int_equal(end_txn(&w, 8, 0, MARKER_ABORT), 6);
        assert_int_equal(send_batch(&w, txn_spec(8, 0, 1), 1, NULL), 7);
        world_sync(&w);
        restart(&w, how);
        assert_int_equal(log_lso(w.log), 7);
        assert_aborted(&w, 0, 7, "8@3-6");
        assert_aborted(&w, 6, 7, "8@3-6");
        assert_aborted(&w, 7, 8, ""); /* its marker lies before: naming it would hide the next transaction */
        assert_aborted(&w, 0, 3, "");
        assert_int_equal(end_txn(&w, 8, 0, MARKER_ABORT), 8);
        world_sync(&w);
        restart(&w, how);
        assert_int_equal(log_lso(w.log), 9);
        assert_aborted(&w, 0, 9, "8@3-6 8@7-8");
        assert_aborted(&w, 7, 9, "8@7-8");
        assert_int_equal(end_txn(&w, 8, 1, MARKER_ABORT), 9); /* without an open one: written, harmless */
        assert_int_equal(end_txn(&w, 8, 0, MARKER_COMMIT), -ERR_INVALID_PRODUCER_EPOCH);
        assert_int_equal(send_batch(&w, txn_spec(8, 1, 0), 1, NULL), 10);
        struct log_producer_info info;
        assert_true(log_producer(w.log, 8, &info));
        assert_int_equal(info.epoch, 1);
        assert_int_equal(info.txn_first_offset, 10);
        assert_int_equal(info.coordinator_epoch, 3);
        assert_false(log_producer(w.log, 99, &info));
        world_fini(&w);
    }
}

/* A decision that a power cut could undo is not shown: neither the commit nor the records behind it. */
static void test_undecided_after_cut(void **state)
{
    struct world w;
    world_init(&w, 1);
    world_open(&w);
    assert_int_equal(send_batch(&w, txn_spec(7, 0, 0), 1, NULL), 0);
    world_sync(&w);
    assert_int_equal(end_txn(&w, 7, 0, MARKER_COMMIT), 1);
    assert_records(&w, 0, LOG_READ_COMMITTED, "");
    world_crash(&w, IO_CUT_LOSE);
    assert_int_equal(log_lso(w.log), 0);
    assert_int_equal(log_txn_first_offset(w.log, 7), 0);
    assert_int_equal(end_txn(&w, 7, 0, MARKER_ABORT), 1);
    world_sync(&w);
    assert_aborted(&w, 0, 2, "7@0-1");
    world_fini(&w);
}

/* A checkpoint says how many aborts the index file had. When fewer are there, because a power cut has kept the name of the
 * one and not of the other, the segments are read again: else aborted records would be given out. */
static void test_lost_txnindex(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.config.segment_ms = INT64_MAX; /* one segment, whatever the timestamps */
    world_open(&w);
    assert_int_equal(send_batch(&w, txn_spec(7, 0, 0), 1, NULL), 0);
    assert_int_equal(end_txn(&w, 7, 0, MARKER_ABORT), 1);
    assert_true(log_checkpoint(w.log, NULL));
    assert_int_equal(send_batch(&w, seq_spec(8, 0, 0), 1, NULL), 2);
    world_sync(&w);
    log_abandon(w.log);
    assert_int_equal(io_unlink(w.io, "logs/t-0/00000000000000000000.txnindex"), 0);
    world_open(&w);
    assert_aborted(&w, 0, 3, "7@0-1");
    world_fini(&w);
}

/* Nor is a checkpoint on the disk before the name of the index file is: no later start could tell for a closed segment. */
static int fail_rename(struct io *io, const char *from, const char *to)
{
    return -EIO;
}

static void test_txnindex_first(void **state)
{
    struct world w;
    struct io_stat st;
    world_init(&w, 1);
    w.config.segment_ms = INT64_MAX; /* one segment, whatever the timestamps */
    world_open(&w);
    assert_int_equal(send_batch(&w, txn_spec(7, 0, 0), 1, NULL), 0);
    assert_int_equal(end_txn(&w, 7, 0, MARKER_ABORT), 1);
    world_sync(&w);
    const struct io_ops *ops = w.io->ops;
    struct io_ops failing = *ops;
    failing.rename = fail_rename;
    w.io->ops = &failing;
    assert_false(log_checkpoint(w.log, NULL));
    w.io->ops = ops;
    log_abandon(w.log);
    io_memory_cut(w.mem, IO_CUT_LOSE);
    assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000000.txnindex", &st), 0);
    world_open(&w);
    assert_aborted(&w, 0, 2, "7@0-1");
    world_fini(&w);
}

static void test_expiry(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.config.producer_expiration_ms = 1000;
    world_open(&w);
    assert_int_equal(send_batch(&w, seq_spec(5, 0, 0), 1, NULL), 0);
    assert_int_equal(send_batch(&w, txn_spec(6, 0, 0), 1, NULL), 1);
    io_memory_advance_ms(w.mem, 900);
    assert_true(log_retain(w.log, io_now_ms(w.io), NULL, NULL));
    assert_int_equal(send_batch(&w, seq_spec(5, 0, 9), 1, NULL), -ERR_OUT_OF_ORDER_SEQUENCE);
    io_memory_advance_ms(w.mem, 200);
    assert_true(log_retain(w.log, io_now_ms(w.io), NULL, NULL));
    assert_int_equal(send_batch(&w, seq_spec(5, 0, 9), 1, NULL), 2); /* forgotten: any sequence is a start */
    assert_int_equal(send_batch(&w, txn_spec(6, 0, 9), 1, NULL), -ERR_OUT_OF_ORDER_SEQUENCE); /* open: kept */
    world_fini(&w);
}

/* This program's own writers: several batches at once, no sequences. */
static void test_internal(void **state)
{
    struct world w;
    struct buf bytes = {0};
    struct log_append_result result;
    struct err err = {0};
    struct batch_spec spec = {.pid = 7, .epoch = 0, .base_seq = -1, .transactional = true};
    world_init(&w, 1);
    world_open(&w);
    for (int i = 0; i < 3; i++)
        buf_append_str(&bytes, world_batch(&w, &spec, i * 2, 2, 1000));
    assert_true(log_append(w.log, bytes.ptr, bytes.len, LOG_INTERNAL, &result, &err));
    assert_int_equal(result.base_offset, 0);
    assert_int_equal(result.last_offset, 5);
    assert_true(log_append(w.log, bytes.ptr, bytes.len, LOG_INTERNAL, &result,
                           &err)); /* the same bytes, appended again */
    assert_int_equal(result.base_offset, 6);
    assert_int_equal(end_txn(&w, 7, 0, MARKER_COMMIT), 12);
    world_sync(&w);
    assert_records(&w, 0, LOG_READ_COMMITTED, "0=0 1=1 2=2 3=3 4=4 5=5 6=0 7=1 8=2 9=3 10=4 11=5");
    assert_false(log_append(w.log, bytes.ptr, bytes.len - 1, LOG_INTERNAL, &result, &err));
    assert_int_equal(err.code, ERR_INVALID_RECORD);
    buf_fini(&bytes);
    world_fini(&w);
}

int main(void)
{
    log_level_set(LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duplicate_time),
        cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_sequence_wraps),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_undecided_after_cut),
        cmocka_unit_test(test_lost_txnindex),
        cmocka_unit_test(test_txnindex_first),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_internal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
