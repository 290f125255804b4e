/* test_log_compact.c - compaction: what stays, against the rules of the reference (section 6.3) worked out by hand; readers and
 * producers across it; memory; damage. */
#include "compact_test.h"

/* Of every key the last value; offsets stay; a reader at an offset that is gone gets what follows; the active segment is
 * left alone; a second pass finds nothing to do; it all outlives restarts, and a lost checkpoint. */
static void test_last_value(void **state)
{
    struct world w;
    compacted_init(&w, 1);
    world_open(&w);
    put(&w, "a=1 b=1 a=2");
    put(&w, "c=1");
    put(&w, "b=2 d=1");
    put(&w, "a=3 e=1");
    roll(&w); /* 8 */
    put(&w, "c=9 c=10");
    struct log_dirty dirty;
    assert_true(log_compact_due(w.log, io_now_ms(w.io), &dirty, NULL));
    assert_false(dirty.due); /* not durable yet */
    world_sync(&w);
    assert_true(log_checkpoint(w.log, NULL));
    assert_true(log_compact_due(w.log, io_now_ms(w.io), &dirty, NULL));
    assert_true(dirty.due);
    assert_true(dirty.ratio == 1.0);
    uint64_t before = log_size_bytes(w.log);
    struct log_compacted done = compact(&w);
    assert_int_equal(done.passes, 1);
    assert_int_equal(before - log_size_bytes(w.log), done.bytes_freed);
    assert_true(done.bytes_freed != 0);
    static const char *const expect = "3:c=1 4:b=2 5:d=1 6:a=3 7:e=1 9:c=9 10:c=10 ";
    assert_log(&w, expect);
    struct log_slice slice;
    for (int64_t offset = 0; offset <= 3; offset++) {
        assert_true(log_read(w.log, offset, 1, LOG_UP_TO_HW, &slice, NULL));
        assert_int_equal(slice.base_offset, 3);
        log_slice_release(&slice);
    }
    assert_true(log_compact_due(w.log, io_now_ms(w.io), &dirty, NULL));
    assert_false(dirty.due);
    assert_int_equal(compact(&w).passes, 0);
    world_reopen(&w);
    assert_log(&w, expect);
    assert_true(log_compact_due(w.log, io_now_ms(w.io), &dirty, NULL));
    assert_false(dirty.due); /* remembered */
    world_crash(&w, IO_CUT_LOSE);
    assert_log(&w, expect);
    assert_int_equal(io_unlink(w.io, "logs/t-0/checkpoint"), 0);
    world_crash(&w, IO_CUT_KEEP);
    assert_log(&w, expect);
    assert_int_equal(put(&w, "z=1"), 11);
    world_fini(&w);
}

/* Tombstones: kept by their first pass, which gives their batch a horizon; gone with the first pass after it. */
static void test_tombstones(void **state)
{
    struct world w;
    compacted_init(&w, 1);
    w.config.delete_retention_ms = 1000;
    world_open(&w);
    put(&w, "a=1 b=1");
    put(&w, "a b=2 c");
    roll(&w); /* 5 */
    world_sync(&w);
    compact(&w);
    assert_log(&w, "2:a 3:b=2 4:c ");
    io_memory_advance_ms(w.mem, 999);
    roll(&w);
    world_sync(&w);
    compact(&w);
    assert_log(&w, "2:a 3:b=2 4:c ");
    io_memory_advance_ms(w.mem, 1); /* horizon = time of the first pass + 1000 */
    roll(&w);
    world_sync(&w);
    compact(&w);
    assert_log(&w, "3:b=2 ");
    int64_t timestamp_ms = -1;
    struct log_time_hit hit;
    assert_true(log_offset_for_time(w.log, 1001, LOG_UP_TO_HW, &hit, NULL));
    timestamp_ms = hit.timestamp_ms;
    assert_int_equal(hit.offset, 3); /* timestamps are what they were: batch "a b c" at 1000, 1001, 1002 */
    assert_int_equal(timestamp_ms, 1001);
    world_fini(&w);
}

/* A key that was deleted and comes back, and a tombstone of a key that never was. */
static void test_tombstone_then_value(void **state)
{
    struct world w;
    compacted_init(&w, 1);
    w.config.delete_retention_ms = 0;
    world_open(&w);
    put(&w, "a=1");
    put(&w, "a");
    put(&w, "a=2 n");
    roll(&w);
    world_sync(&w);
    compact(&w);
    assert_log(&w, "2:a=2 3:n ");
    roll(&w);
    world_sync(&w);
    compact(&w);
    assert_log(&w, "2:a=2 ");
    world_fini(&w);
}

/* Aborted data go at once, and never hide an older value of their key; their marker stays a pass longer, then has a
 * horizon; the abort index loses the entry a pass before. A commit marker stays while data of it do. */
static void test_transactions(void **state)
{
    struct world w;
    compacted_init(&w, 1);
    w.config.delete_retention_ms = 1000;
    w.config.producer_expiration_ms = 10;
    world_open(&w);
    struct batch_spec aborted = txn_spec(7, 0), committed = txn_spec(8, 0);
    put(&w, "a=1 b=1");                      /* 0, 1 */
    put_as(&w, &aborted, 1000, "a=bad");     /* 2 */
    put_as(&w, &committed, 1000, "b=2 c=1"); /* 3, 4 */
    end_txn(&w, 7, MARKER_ABORT);            /* 5 */
    end_txn(&w, 8, MARKER_COMMIT);           /* 6 */
    roll(&w);                                /* 7 */
    world_sync(&w);
    io_memory_advance_ms(w.mem, 11); /* nobody remembers the producers */
    assert_true(log_retain(w.log, io_now_ms(w.io), NULL, NULL));
    compact(&w);
    assert_log(&w, "0:a=1 3:b=2 4:c=1 5:abort 6:commit ");
    assert_aborted_count(&w, 1);
    put(&w, "b=3 c=2"); /* 8, 9: no data of the committed one are left after this */
    roll(&w);
    world_sync(&w);
    compact(&w); /* the abort marker gets its horizon */
    assert_log(&w, "0:a=1 5:abort 6:commit 8:b=3 9:c=2 ");
    assert_aborted_count(&w, 0);
    io_memory_advance_ms(w.mem, 1000);
    roll(&w);
    world_sync(&w);
    compact(&w); /* it goes; the commit marker gets its own */
    assert_log(&w, "0:a=1 6:commit 8:b=3 9:c=2 ");
    io_memory_advance_ms(w.mem, 1000);
    roll(&w);
    world_sync(&w);
    compact(&w);
    assert_log(&w, "0:a=1 8:b=3 9:c=2 ");
    world_reopen(&w);
    assert_log(&w, "0:a=1 8:b=3 9:c=2 ");
    world_fini(&w);
}

/* Nothing from an open transaction on is touched, whatever was closed. */
static void test_open_transaction(void **state)
{
    struct world w;
    compacted_init(&w, 1);
    world_open(&w);
    put(&w, "a=1");
    roll(&w); /* 1 */
    put(&w, "a=2");
    roll(&w); /* 3 */
    struct batch_spec open = txn_spec(7, 0);
    assert_int_equal(put_as(&w, &open, 1000, "a=3"), 4);
    roll(&w);
    put(&w, "a=4");
    roll(&w);
    world_sync(&w);
    compact(&w);
    assert_log(&w, "2:a=2 4:a=3 6:a=4 ");
    assert_int_equal(log_lso(w.log), 4);
    end_txn(&w, 7, MARKER_COMMIT);
    roll(&w);
    world_sync(&w);
    compact(&w);
    assert_log(&w, "4-4 6:a=4 8:commit "); /* the batch of the producer's last sequence stays as a frame */
    world_fini(&w);
}

/* A producer goes on with its next sequence and has its last batch recognised, although all its records are gone: also
 * when nothing but the batches is left to learn from. */
static void test_producers(void **state)
{
    for (int lost = 0; lost < 2; lost++) {
        struct world w;
        struct log_append_result result;
        struct err err = {0};
        compacted_init(&w, 1);
        world_open(&w);
        struct batch_spec spec = {.pid = 5, .epoch = 2, .base_seq = 0};
        put_as(&w, &spec, 1000, "a=1 b=1");
        spec.base_seq = 2;
        put_as(&w, &spec, 1000, "a=2 b=2 c=1");
        put(&w, "a=3 b=3 c=3");
        roll(&w);
        world_sync(&w);
        compact(&w);
        assert_log(&w, "2-4 5:a=3 6:b=3 7:c=3 ");
        if (lost)
            assert_int_equal(io_unlink(w.io, "logs/t-0/checkpoint"), 0);
        world_crash(&w, IO_CUT_KEEP);
        struct str bytes = world_batch(&w, &spec, 1, 3, 1000);
        assert_true(log_append(w.log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, &err));
        assert_true(result.duplicate);
        assert_int_equal(result.base_offset, 2);
        spec.base_seq = 9;
        assert_false(world_append_spec(&w, &spec, 1, 1, 1000, &result, &err));
        assert_int_equal(err.code, ERR_OUT_OF_ORDER_SEQUENCE);
        spec.base_seq = 5;
        assert_int_equal(put_as(&w, &spec, 1000, "d=1"), 9);
        world_fini(&w);
    }
}

/* min.compaction.lag.ms holds young records back, max.compaction.lag.ms brings old ones forward, the ratio decides else. */
static void test_when(void **state)
{
    struct world w;
    struct log_dirty dirty;
    compacted_init(&w, 1);
    w.config.compaction_lag_min_ms = 1000;
    w.config.cleanable_ratio_min = 0.5;
    w.config.segment_bytes = 4000;
    world_open(&w);
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    int64_t now = io_now_ms(w.io);
    put_as(&w, &spec, now, "a=1 a=2");
    w.config.segment_bytes = 400;
    log_set_config(w.log, &w.config);
    roll(&w);
    world_sync(&w);
    assert_true(log_compact_due(w.log, now + 1000, &dirty, NULL)); /* records at now and now + 1 */
    assert_false(dirty.due);
    assert_int_equal(dirty.dirty_bytes, 0);
    assert_true(log_compact_due(w.log, now + 1001, &dirty, NULL));
    assert_true(dirty.due);
    io_memory_advance_ms(w.mem, 1001);
    compact(&w);
    assert_log(&w, "1:a=2 ");
    w.config.compaction_lag_min_ms = 0;
    w.config.cleanable_ratio_min = 0.9;
    log_set_config(w.log, &w.config);
    now = io_now_ms(w.io);
    put_as(&w, &spec, now, "a=3");
    roll(&w);
    world_sync(&w);
    assert_true(log_compact_due(w.log, now, &dirty, NULL));
    assert_true(dirty.ratio > 0.3 && dirty.ratio < 0.9);
    assert_false(dirty.due);
    w.config.compaction_lag_max_ms = 5000;
    log_set_config(w.log, &w.config);
    /* The first dirty segment holds fillers at 1000: long ago. */
    assert_true(log_compact_due(w.log, now, &dirty, NULL));
    assert_true(dirty.due);
    w.config.compaction_on = false;
    log_set_config(w.log, &w.config);
    assert_true(log_compact_due(w.log, now, &dirty, NULL));
    assert_false(dirty.due);
    world_fini(&w);
}

/* More keys than the memory holds: several passes, the same result. */
static void test_small_memory(void **state)
{
    for (size_t bytes = 16 * 24; bytes < 100 * 24; bytes *= 2) {
        struct world w;
        struct buf expect = {0};
        compacted_init(&w, 1);
        w.config.segment_bytes = 2000;
        world_open(&w);
        for (int i = 0; i < 500; i++) {
            char word[32];
            snprintf(word, sizeof word, "k%d=%d", i * 7 % 100, i);
            assert_int_equal(put(&w, word), i);
        }
        w.config.segment_bytes = 400;
        log_set_config(w.log, &w.config);
        roll(&w);
        world_sync(&w);
        struct log_compacted done = compact_with(&w, bytes);
        /* 100 keys, as many a pass as fit 9 in 10 slots */
        assert_true(done.passes >= 100 / (bytes / 24) && done.passes > 1);
        for (int i = 400; i < 500; i++)
            buf_printf(&expect, "%d:k%d=%d ", i, i * 7 % 100, i);
        assert_log(&w, expect.ptr);
        buf_fini(&expect);
        world_fini(&w);
    }
}

/* Small neighbours become one segment, as large as segment.bytes allows; indexes fit. */
static void test_merging(void **state)
{
    struct world w;
    struct io_stat st;
    compacted_init(&w, 1);
    world_open(&w);
    for (int i = 0; i < 40; i++) {
        char word[160];
        snprintf(word, sizeof word, "k%d=%0100d", i % 10, i);
        put(&w, word);
    }
    roll(&w);
    world_sync(&w);
    w.config.segment_bytes = 1 << 20;
    log_set_config(w.log, &w.config);
    struct log_slice slice; /* held over the swap */
    assert_true(log_read(w.log, 3, 1000, LOG_UP_TO_HW, &slice, NULL));
    struct buf before = {0}, after = {0};
    assert_true(log_slice_read(w.log, &slice, &before, NULL));
    compact(&w);
    assert_true(log_slice_read(w.log, &slice, &after, NULL));
    assert_true(str_eq(buf_str(&before), buf_str(&after)));
    log_slice_release(&slice);
    assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000000.log", &st), 0);
    assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000002.log", &st), -ENOENT);
    for (int restart = 0; restart < 2; restart++) {
        for (int64_t offset = 30; offset < 40; offset++) {
            assert_true(log_read(w.log, offset, 1, LOG_UP_TO_HW, &slice, NULL));
            assert_int_equal(slice.base_offset, offset);
            log_slice_release(&slice);
            struct log_time_hit hit;
            assert_true(log_offset_for_time(w.log, 1000, LOG_UP_TO_HW, &hit, NULL));
            assert_int_equal(hit.offset, 30);
        }
        world_reopen(&w);
    }
    buf_fini(&before);
    buf_fini(&after);
    world_fini(&w);
}

/* Segments of which nothing is left: stepped over by readers, by a start, by time, and by retention. */
static void test_empty_segments(void **state)
{
    struct world w;
    struct io_stat st;
    struct log_slice slice;
    struct log_time_hit hit;
    struct log_retained gone;
    compacted_init(&w, 1);
    world_open(&w);
    for (int i = 0; i < 40; i++) {
        char word[100];
        snprintf(word, sizeof word, "k=%060d", i);
        put(&w, word);
    }
    roll(&w);
    world_sync(&w);
    compact(&w);
    assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000000.log", &st), 0);
    assert_int_equal(st.size, 0);
    for (int restart = 0; restart < 3; restart++) {
        for (int64_t offset = 0; offset < 40; offset += 13) {
            assert_true(log_read(w.log, offset, 1, LOG_UP_TO_HW, &slice, NULL));
            assert_int_equal(slice.base_offset, 39);
            log_slice_release(&slice);
        }
        assert_true(log_offset_for_time(w.log, 1000, LOG_UP_TO_HW, &hit, NULL));
        assert_int_equal(hit.offset, 39);
        assert_true(log_retain(w.log, io_now_ms(w.io), &gone, NULL));
        assert_int_equal(gone.segments, 0);
        assert_int_equal(log_start_offset(w.log), 0);
        if (restart == 0)
            world_reopen(&w);
        else if (restart == 1) {
            assert_int_equal(io_unlink(w.io, "logs/t-0/checkpoint"), 0);
            world_crash(&w, IO_CUT_KEEP);
        }
    }
    assert_true(log_delete_before(w.log, 20, NULL));
    assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000000.log", &st), -ENOENT);
    w.config.retention_on = true;
    w.config.retention_ms = 1000; /* the record at 1000 is from long ago */
    log_set_config(w.log, &w.config);
    assert_true(log_retain(w.log, io_now_ms(w.io), &gone, NULL));
    assert_true(log_start_offset(w.log) >= 40);
    world_fini(&w);
}

/* A flipped bit is found, named by segment and position, and nothing of the log changes. */
static void test_damage(void **state)
{
    struct world w;
    compacted_init(&w, 1);
    world_open(&w);
    put(&w, "a=1 b=1");
    put(&w, "a=2");
    roll(&w);
    world_sync(&w);
    world_reopen(&w);
    struct buf bytes = {0};
    assert_true(io_read_file(w.io, "logs/t-0/00000000000000000000.log", 1000, &bytes, NULL));
    uint64_t second = batch_size(bytes.ptr);
    assert_int_equal(second + batch_size(bytes.ptr + second), bytes.len);
    for (uint64_t pos = 0; pos < bytes.len; pos++) {
        struct log_compact_options options = {.map_bytes_max = 1 << 20};
        struct log_compacted out;
        struct err err = {0};
        uint64_t place = pos < second ? pos : pos - second;
        if (place >= 12 && place < 16)
            continue; /* leader epochs: outside the checksum, and of no meaning */
        io_memory_flip(w.mem, "logs/t-0/00000000000000000000.log", pos);
        if (log_compact(w.log, io_now_ms(w.io), &options, &out, &err))
            fail_msg("a bit at %llu was not found", (unsigned long long)pos);
        assert_true(err.code == ERR_CORRUPT || err.code == ERR_INVALID_RECORD ||
                    err.code == ERR_UNSUPPORTED_FORMAT);
        assert_non_null(strstr(err.text, "segment 0"));
        io_memory_flip(w.mem, "logs/t-0/00000000000000000000.log", pos);
        assert_null(log_offline_reason(w.log));
    }
    compact(&w);
    assert_log(&w, "1:b=1 2:a=2 ");
    buf_fini(&bytes);
    world_fini(&w);
}

int main(void)
{
    log_level_set(LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_value),
        cmocka_unit_test(test_tombstones),
        cmocka_unit_test(test_tombstone_then_value),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_open_transaction),
        cmocka_unit_test(test_producers),
        cmocka_unit_test(test_when),
        cmocka_unit_test(test_small_memory),
        cmocka_unit_test(test_merging),
        cmocka_unit_test(test_empty_segments),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
