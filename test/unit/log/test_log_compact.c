/* test_log_compact.c - compaction: what stays, against the rules of the reference (section 6.3) worked out by hand; then
 * random logs against a model; readers and producers across it; damage; memory; every operation failing once.
 */
#include "log_test.h"

#include <errno.h>

/* Small segments: a batch or two each. */
static void compacted_init(struct world *w, uint64_t seed)
{
    world_init(w, seed);
    w->config.segment_bytes = 400;
    w->config.index_interval_bytes = 100;
    w->config.retention_on = false;
    w->config.key_required = w->config.compaction_on = true;
    w->config.cleanable_ratio_min = 0;
}

/* One batch of "key=value" words; "key" alone is a tombstone. Gives the base offset. */
static int64_t put_as(struct world *w, const struct batch_spec *spec, int64_t timestamp_ms, const char *words)
{
    struct str rest = str_from(words), word, bytes;
    struct log_append_result result;
    struct err err = {0};
    batch_builder_begin(&w->builder, spec);
    while (str_split(&rest, ' ', &word)) {
        ptrdiff_t at = str_find_char(word, '=');
        struct str key = at < 0 ? word : str_sub(word, 0, (size_t)at);
        struct str value = at < 0 ? STR_NULL : str_sub(word, (size_t)at + 1, word.len);
        batch_builder_add(&w->builder, timestamp_ms++, key, value, NULL, 0);
    }
    assert_true(batch_builder_finish(&w->builder, &bytes, NULL));
    if (!log_append(w->log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, &err))
        fail_msg("append %s: %s", words, err.text);
    return result.base_offset;
}

static int64_t put(struct world *w, const char *words)
{
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    return put_as(w, &spec, 1000, words);
}

/* Closes the active segment: what was appended may be compacted. The record that begins the next one is not shown. */
static void roll(struct world *w)
{
    struct log_config config = w->config;
    config.segment_bytes = 100; /* no room for two batches */
    log_set_config(w->log, &config);
    put(w, "roll=");
    log_set_config(w->log, &w->config);
}

static struct log_compacted compact_with(struct world *w, size_t map_bytes_max)
{
    struct log_compact_options options = {.map_bytes_max = map_bytes_max, .seed = 42};
    struct log_compacted out;
    struct err err = {0};
    if (!log_compact(w->log, io_now_ms(w->io), &options, &out, &err))
        fail_msg("compact: %s", err.text);
    return out;
}

static struct log_compacted compact(struct world *w)
{
    return compact_with(w, 1 << 20);
}

/* Text "offset:key=value ..." of what a read_uncommitted reader sees, without the fillers of roll; a batch without records
 * as "offset-offset", a marker as "offset:commit". */
static void print_log(struct world *w, int64_t from_offset, struct buf *out)
{
    struct buf bytes = {0};
    struct batch batch;
    world_read(w, from_offset, 300, LOG_UP_TO_HW, &bytes);
    for (struct str rest = buf_str(&bytes); batch_next(&rest, &batch, NULL);) {
        struct batch_iter it;
        struct record rec;
        struct buf plain = {0};
        enum marker marker;
        int32_t coordinator_epoch;
        assert_true(batch_iter_init(&it, &batch, &plain, NULL));
        if (batch.record_count == 0)
            buf_printf(out, "%lld-%lld ", (long long)batch.base_offset, (long long)batch_last_offset(&batch));
        if (batch_read_marker(&batch, &marker, &coordinator_epoch))
            buf_printf(out, "%lld:%s ", (long long)batch.base_offset,
                       marker == MARKER_COMMIT ? "commit" : "abort");
        while (!batch_is_control(&batch) && batch_iter_next(&it, &rec)) {
            if (str_eq(rec.key, STR("roll")))
                continue;
            buf_printf(out, "%lld:%.*s", (long long)rec.offset, STR_ARG(rec.key));
            if (!str_is_null(rec.value))
                buf_printf(out, "=%.*s", STR_ARG(rec.value));
            buf_append_char(out, ' ');
        }
        buf_fini(&plain);
    }
    buf_fini(&bytes);
}

static void assert_log(struct world *w, const char *expect)
{
    struct buf text = {0};
    print_log(w, log_start_offset(w->log), &text);
    if (strcmp(text.len != 0 ? text.ptr : "", expect) != 0)
        fail_msg("got      \"%s\"\nexpected \"%s\"", text.ptr, expect);
    buf_fini(&text);
}

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

static void end_txn(struct world *w, int64_t pid, enum marker marker)
{
    struct log_append_result result;
    assert_true(log_append_marker(w->log, pid, 0, marker, 0, &result, NULL));
}

static struct batch_spec txn_spec(int64_t pid, int32_t base_seq)
{
    return (struct batch_spec){.pid = pid, .epoch = 0, .base_seq = base_seq, .transactional = true};
}

static void assert_aborted_count(struct world *w, size_t count)
{
    struct log_aborted_list list = {0};
    log_aborted_in(w->log, 0, log_end_offset(w->log), &list);
    assert_int_equal(list.list.len, count);
    vec_fini(&list.list);
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

/* --- random logs against a model --- */

enum { KEYS = 12, RECORDS_MAX = 4000 };

struct sent {
    int key; /* -1: a marker */
    bool tombstone, in_txn, aborted;
    int64_t pid;
};

struct model {
    struct world w;
    struct sent sent[RECORDS_MAX]; /* by offset */
    int64_t end;
    uint64_t seed;
    int seqs[3];
    bool open[3]; /* transactions of pids 0 to 2 */
    bool may_fail;
};

static uint64_t rnd(struct model *m, uint64_t limit)
{
    m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
    return (m->seed >> 33) % limit;
}

/* True when the append was taken. */
static bool model_put(struct model *m)
{
    int64_t pid = (int64_t)rnd(m, 5) - 2; /* below 0: no producer */
    bool in_txn = pid >= 0 && (m->open[pid] || rnd(m, 2));
    struct batch_spec spec = {.codec = rnd(m, 3) == 0 ? CODEC_LZ4 : CODEC_NONE,
                              .pid = pid < 0 ? -1 : pid,
                              .epoch = pid < 0 ? -1 : 0,
                              .base_seq = pid < 0 ? -1 : m->seqs[pid],
                              .transactional = in_txn};
    int count = 1 + (int)rnd(m, 4);
    struct sent sent[4];
    struct str bytes;
    struct log_append_result result;
    batch_builder_begin(&m->w.builder, &spec);
    for (int i = 0; i < count; i++) {
        char key[8], value[16];
        sent[i] = (struct sent){.key = (int)rnd(m, KEYS),
                                .tombstone = rnd(m, 4) == 0,
                                .in_txn = in_txn,
                                .pid = spec.pid};
        snprintf(key, sizeof key, "%d", sent[i].key);
        snprintf(value, sizeof value, "%lld", (long long)(m->end + i));
        batch_builder_add(&m->w.builder, 1000 + m->end + i, str_from(key),
                          sent[i].tombstone ? STR_NULL : str_from(value), NULL, 0);
    }
    assert_true(batch_builder_finish(&m->w.builder, &bytes, NULL));
    if (!log_append(m->w.log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, NULL)) {
        assert_true(m->may_fail);
        return false;
    }
    assert_int_equal(result.base_offset, m->end);
    memcpy(m->sent + m->end, sent, (size_t)count * sizeof *sent);
    m->end += count;
    if (pid >= 0) {
        m->seqs[pid] += count;
        m->open[pid] = in_txn;
    }
    return true;
}

static bool model_end(struct model *m, int64_t pid)
{
    struct log_append_result result;
    if (!m->open[pid])
        return true;
    bool abort = rnd(m, 2);
    if (!log_append_marker(m->w.log, pid, 0, abort ? MARKER_ABORT : MARKER_COMMIT, 0, &result, NULL)) {
        assert_true(m->may_fail);
        return false;
    }
    assert_int_equal(result.base_offset, m->end);
    for (int64_t i = m->end - 1; abort && i >= 0 && (m->sent[i].key >= 0 || m->sent[i].pid != pid); i--)
        if (m->sent[i].pid == pid && m->sent[i].in_txn)
            m->sent[i].aborted = true;
    m->sent[m->end++] = (struct sent){.key = -1, .pid = pid};
    m->open[pid] = false;
    return true;
}

static bool model_end_txn(struct model *m)
{
    return model_end(m, (int64_t)rnd(m, 3));
}

static void model_end_all(struct model *m)
{
    for (int64_t pid = 0; pid < 3; pid++)
        model_end(m, pid);
}

/* What a read_committed reader may and must see: every record shown was sent at this offset; of every key the last committed
 * value below the last stable offset is there, or, if it is a tombstone, nothing older; no aborted record is visible. */
static void model_check(struct model *m)
{
    struct buf bytes = {0}, plain = {0};
    struct batch batch;
    struct log_aborted_list aborted = {0};
    int64_t lso = log_lso(m->w.log), last[KEYS], seen[KEYS];
    log_aborted_in(m->w.log, 0, lso, &aborted);
    world_read(&m->w, log_start_offset(m->w.log), 500, LOG_READ_COMMITTED, &bytes);
    for (int key = 0; key < KEYS; key++)
        last[key] = seen[key] = -1;
    for (int64_t i = 0; i < lso; i++)
        if (m->sent[i].key >= 0 && !m->sent[i].aborted)
            last[m->sent[i].key] = i;
    bool hidden[3] = {false};
    size_t next = 0;
    for (struct str rest = buf_str(&bytes); batch_next(&rest, &batch, NULL);) {
        struct batch_iter it;
        struct record rec;
        for (; next < aborted.list.len && aborted.list.at[next].first_offset <= batch_last_offset(&batch);
             next++)
            hidden[aborted.list.at[next].pid] = true;
        if (batch_is_control(&batch)) {
            hidden[batch.pid] = false; /* as a client does at the abort marker */
            continue;
        }
        assert_true(batch_iter_init(&it, &batch, &plain, NULL));
        while (batch_iter_next(&it, &rec)) {
            const struct sent *sent = &m->sent[rec.offset];
            int64_t key, value;
            assert_true(rec.offset < m->end && str_to_i64(rec.key, &key) && key == sent->key);
            assert_int_equal(str_is_null(rec.value), sent->tombstone);
            assert_true(sent->tombstone || (str_to_i64(rec.value, &value) && value == rec.offset));
            assert_int_equal(rec.timestamp_ms, 1000 + rec.offset);
            bool is_hidden = batch_is_transactional(&batch) && hidden[batch.pid];
            assert_int_equal(is_hidden, sent->aborted);
            if (!is_hidden)
                seen[key] = rec.offset;
        }
        assert_true(batch_iter_ok(&it, NULL));
    }
    for (int key = 0; key < KEYS; key++)
        if (seen[key] != last[key] && (seen[key] != -1 || !m->sent[last[key]].tombstone))
            fail_msg("key %d: last is %lld, seen %lld", key, (long long)last[key], (long long)seen[key]);
    vec_fini(&aborted.list);
    buf_fini(&bytes);
    buf_fini(&plain);
}

static void model_init(struct model *m, uint64_t seed)
{
    memset(m, 0, sizeof *m);
    m->seed = seed;
    compacted_init(&m->w, seed);
    m->w.config.segment_bytes = 500 + (uint32_t)rnd(m, 1000);
    m->w.config.delete_retention_ms = (int64_t)rnd(m, 3) * 50;
    m->w.config.checkpoint_bytes = 600;
    world_open(&m->w);
}

static bool model_compact(struct model *m)
{
    struct log_compact_options options = {.map_bytes_max = (16 + rnd(m, 20)) * 24, .seed = m->seed};
    struct log_compacted out;
    struct err err = {0};
    bool ok = log_compact(m->w.log, io_now_ms(m->w.io), &options, &out, &err);
    if (!ok && !m->may_fail)
        fail_msg("compact: %s", err.text);
    return ok;
}

static void test_model(void **state)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct model m;
        model_init(&m, seed);
        for (int step = 0; step < 400; step++) {
            switch (rnd(&m, 12)) {
            case 0:
            case 1:
                model_end_txn(&m);
                break;
            case 2:
                world_sync(&m.w);
                model_compact(&m);
                model_check(&m);
                break;
            case 3:
                io_memory_advance_ms(m.w.mem, 20);
                break;
            case 4:
                world_sync(&m.w);
                if (rnd(&m, 2))
                    world_reopen(&m.w);
                else
                    world_crash(&m.w, IO_CUT_LOSE);
                if (rnd(&m, 4) == 0) {
                    ignore(io_unlink(m.w.io, "logs/t-0/checkpoint"), "there may be none");
                    world_crash(&m.w, IO_CUT_KEEP);
                }
                model_check(&m);
                break;
            default:
                model_put(&m);
            }
        }
        world_sync(&m.w);
        model_check(&m);
        world_fini(&m.w);
    }
}

/* --- every operation fails once, or is the last before the power goes --- */

/* A log that has lived, then one compaction with the fault; true when it struck. */
static bool compact_with_fault(enum io_fault_kind kind, uint64_t at, uint64_t count, enum io_cut cut,
                               uint64_t seed)
{
    struct model m;
    model_init(&m, seed);
    for (int i = 0; i < 60; i++)
        if (rnd(&m, 4) == 0)
            model_end_txn(&m);
        else
            model_put(&m);
    model_end_all(&m);
    world_sync(&m.w);
    model_compact(&m);
    for (int i = 0; i < 30; i++)
        model_put(&m);
    model_end_all(&m);
    for (int i = 0; i < 5; i++)
        model_put(&m);
    world_sync(&m.w);
    io_memory_advance_ms(m.w.mem, 200);
    io_faulty_script(m.w.faulty, kind, at, count);
    m.may_fail = true;
    model_compact(&m);
    bool struck = io_faulty_struck(m.w.faulty);
    io_faulty_script(m.w.faulty, IO_FAULT_EIO, 1, 0);
    if (kind != IO_FAULT_DEAD)
        model_check(&m);    /* the process goes on: all is there, also when the log is offline */
    world_crash(&m.w, cut); /* the start is not refused */
    assert_int_equal(log_end_offset(m.w.log), m.end);
    m.may_fail = false;
    model_check(&m);
    model_compact(&m);
    model_check(&m);
    for (int i = 0; i < 10; i++) /* producers go on where they were */
        model_put(&m);
    world_sync(&m.w);
    world_crash(&m.w, IO_CUT_LOSE);
    assert_int_equal(log_end_offset(m.w.log), m.end);
    model_check(&m);
    ignore(io_unlink(m.w.io, "logs/t-0/checkpoint"), "and with nothing but the segments");
    world_crash(&m.w, IO_CUT_KEEP);
    assert_int_equal(log_end_offset(m.w.log), m.end);
    model_check(&m);
    world_fini(&m.w);
    return struck;
}

/* Another log each time: what a cut leaves is up to the seed. */
static void fault_loop(enum io_fault_kind kind, uint64_t count, enum io_cut cut, uint64_t seed)
{
    uint64_t at = 1;
    while (compact_with_fault(kind, at, count, cut, seed + at))
        at++;
    assert_true(at > 10); /* the loop is about something */
}

static void test_faults(void **state)
{
    fault_loop(IO_FAULT_EIO, 1, IO_CUT_KEEP, 3);
    fault_loop(IO_FAULT_EIO, 3, IO_CUT_RANDOM, 4);
    fault_loop(IO_FAULT_TORN, 1, IO_CUT_LOSE, 5);
    fault_loop(IO_FAULT_SHORT, 1000000, IO_CUT_KEEP, 6);
    fault_loop(IO_FAULT_ENOSPC, 1, IO_CUT_RANDOM, 7);
}

static void test_power_cut(void **state)
{
    fault_loop(IO_FAULT_DEAD, 1, IO_CUT_KEEP, 1);
    fault_loop(IO_FAULT_DEAD, 1, IO_CUT_LOSE, 2);
    for (uint64_t i = 0; i < 30; i++)
        fault_loop(IO_FAULT_DEAD, 1, IO_CUT_RANDOM, i * 1000);
}

/* The start that completes an interrupted compaction is interrupted itself, at every operation. */
static void test_cut_restarts(void **state)
{
    static const enum io_cut cuts[] = {IO_CUT_KEEP, IO_CUT_LOSE, IO_CUT_RANDOM};
    for (size_t c = 0; c < COUNT_OF(cuts); c++) {
        bool first_struck = true;
        for (uint64_t first = 1; first_struck; first += 7) {
            bool second_struck = true;
            for (uint64_t second = 1; second_struck; second++) {
                struct model m;
                model_init(&m, 3);
                for (int i = 0; i < 50; i++)
                    model_put(&m);
                model_end_all(&m);
                model_put(&m);
                world_sync(&m.w);
                io_faulty_script(m.w.faulty, IO_FAULT_DEAD, first, 1);
                m.may_fail = true;
                model_compact(&m);
                first_struck = io_faulty_struck(m.w.faulty);
                log_abandon(m.w.log);
                io_memory_cut(m.w.mem, cuts[c]);
                io_faulty_script(m.w.faulty, IO_FAULT_DEAD, second, 1);
                m.w.log = log_open("logs/t-0", "t-0", &m.w.config, m.w.io, NULL);
                second_struck = io_faulty_struck(m.w.faulty);
                world_crash(&m.w, cuts[c]);
                assert_int_equal(log_end_offset(m.w.log), m.end);
                m.may_fail = false;
                model_check(&m);
                model_compact(&m);
                model_check(&m);
                world_fini(&m.w);
            }
        }
    }
}

/* A full disk stops compaction, nothing else: appends and reads that fit go on, and it succeeds when there is room. */
static void test_full_disk(void **state)
{
    struct model m;
    struct log_compacted out;
    struct err err = {0};
    model_init(&m, 5);
    for (int i = 0; i < 60; i++)
        model_put(&m);
    model_end_all(&m);
    world_sync(&m.w);
    io_memory_set_room(m.w.mem, 1);
    struct log_compact_options options = {.map_bytes_max = 1 << 20};
    assert_false(log_compact(m.w.log, io_now_ms(m.w.io), &options, &out, &err));
    assert_int_equal(err.code, ERR_DISK_FULL);
    model_check(&m);
    assert_null(log_offline_reason(m.w.log));
    io_memory_set_room(m.w.mem, 0);
    model_put(&m);
    world_sync(&m.w);
    model_compact(&m);
    model_check(&m);
    world_fini(&m.w);
}

/* Told to stop it stops, and the next one does the rest; what retention takes away meanwhile is no harm. */
struct pacing {
    struct world *w;
    int calls, stop_at;
    bool delete;
};

static bool on_pace(void *arg, uint64_t bytes)
{
    struct pacing *pacing = arg;
    pacing->calls++;
    if (pacing->delete)
        assert_true(log_delete_before(pacing->w->log, log_high_watermark(pacing->w->log) / 2, NULL));
    return pacing->calls != pacing->stop_at;
}

static void test_stop(void **state)
{
    for (int delete = 0; delete < 2; delete ++) {
        struct world w;
        compacted_init(&w, 1);
        w.config.segment_bytes = 300 << 10;
        w.config.message_bytes_max = 200 << 10;
        world_open(&w);
        char *word = mem_alloc(100 << 10);
        memset(word, 'v', 100 << 10);
        word[(100 << 10) - 1] = '\0';
        for (int i = 0; i < 20; i++) {
            memcpy(word, "k0=", 3);
            word[1] = (char)('0' + i % 4);
            put(&w, word);
        }
        world_sync(&w);
        struct pacing pacing = {.w = &w, .stop_at = delete ? -1 : 3, .delete = delete};
        struct log_compact_options options = {.map_bytes_max = 1 << 20, .pace = on_pace, .arg = &pacing};
        struct log_compacted out;
        struct err err = {0};
        if (!log_compact(w.log, io_now_ms(w.io), &options, &out, &err))
            fail_msg("%s", err.text);
        assert_true(out.stopped);
        options.pace = NULL;
        assert_true(log_compact(w.log, io_now_ms(w.io), &options, &out, NULL));
        assert_false(out.stopped);
        struct log_slice slice;
        int64_t expect[4] = {-1, -1, -1, -1};
        for (int64_t offset = log_start_offset(w.log); offset < 20; offset++) {
            assert_true(log_read(w.log, offset, 1, LOG_UP_TO_HW, &slice, NULL));
            assert_true(slice.len != 0);
            offset = slice.base_offset;
            expect[offset % 4] = offset;
            log_slice_release(&slice);
        }
        for (int i = 0; i < 4; i++)
            assert_int_equal(expect[i], 16 + i);
        free(word);
        world_fini(&w);
    }
}

/* What each file has had written since its last sync, and the most that a sync found. */
static const struct io_ops *ops_below;
static uint64_t unsynced[64], unsynced_max;

static ssize_t count_write(struct io *io, int fd, const struct iovec *parts, int count, uint64_t pos)
{
    ssize_t wrote = ops_below->pwritev(io, fd, parts, count, pos);
    assert_in_range(fd, 0, COUNT_OF(unsynced) - 1);
    unsynced[fd] += wrote > 0 ? (uint64_t)wrote : 0;
    return wrote;
}

static int count_sync(struct io *io, int fd)
{
    unsynced_max = MAX(unsynced_max, unsynced[fd]);
    unsynced[fd] = 0;
    return ops_below->fdatasync(io, fd);
}

/* What is compacted reaches the disk little by little: no sync of it is so large that those who append wait long for theirs. */
static void test_small_syncs(void **state)
{
    enum { BATCHES = 48, BATCH_BYTES = 500 << 10, SYNC_BYTES_MAX = 10 << 20 };
    struct world w;
    char *word = mem_alloc(BATCH_BYTES);
    compacted_init(&w, 1);
    w.config.segment_bytes = 64 << 20;
    w.config.message_bytes_max = 1 << 20;
    world_open(&w);
    for (int i = 0; i < BATCHES + 1;
         i++) { /* the last takes the place of the first, which makes something to do */
        memset(word, 'v', BATCH_BYTES);
        snprintf(word, 8, "k%02d", i % BATCHES);
        word[3] = '=';
        word[BATCH_BYTES - 1] = '\0';
        put(&w, word);
    }
    roll(&w);
    world_sync(&w);
    struct io *io = io_memory_io(w.mem);
    ops_below = io->ops;
    struct io_ops ops = *ops_below;
    ops.pwritev = count_write;
    ops.fdatasync = count_sync;
    io->ops = &ops;
    struct log_compacted out = compact_with(&w, 1 << 20);
    io->ops = ops_below;
    assert_int_equal(out.records_read - out.records_kept, 1);
    assert_true(unsynced_max > 1 << 20); /* it was counted */
    if (unsynced_max > SYNC_BYTES_MAX)
        fail_msg("a sync of %llu bytes", (unsigned long long)unsynced_max);
    free(word);
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
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_power_cut),
        cmocka_unit_test(test_cut_restarts),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_small_syncs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
