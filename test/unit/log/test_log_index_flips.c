/* test_log_index_flips.c - bits flipped in files that have no checksum: no look-up by time, no read of decided data, no age of a
 * segment is led astray by any of them; what is wrong is made anew, and the scrub finds it when nobody asks.
 */
#include "log_test.h"

#define INDEX     "logs/t-0/00000000000000000000.index"
#define TIMEINDEX "logs/t-0/00000000000000000000.timeindex"
#define TXNINDEX  "logs/t-0/00000000000000000000.txnindex"

enum {
    BATCHES = 12
}; /* of a record each, 70 bytes, in the first segment; the next one begins with another */

/* Mostly growing, some equal, one far ahead, the largest not the last. */
static const int64_t times[BATCHES + 1] = {100, 200, 300, 250, 400, 500, 500, 700, 1000, 900, 950, 960, 2000};

/* One closed segment of which nothing was read yet. */
static void flips_init(struct world *w)
{
    world_init(w, 1);
    w->config.index_interval_bytes = 100;
    w->config.segment_bytes = BATCHES * 70;
    w->config.retention_ms = -1;
    world_open(w);
    for (int i = 0; i < BATCHES + 1; i++)
        world_append(w, i % 10, 1, times[i]);
    world_reopen(w);
}

static size_t file_bits(struct world *w, const char *path)
{
    struct io_stat st;
    assert_int_equal(io_stat(w->io, path, &st), 0);
    return st.size * 8;
}

static void flip_bit(struct world *w, const char *path, size_t bit)
{
    uint8_t byte;
    int fd = io_open(w->io, path, IO_WRITE);
    assert_true(fd >= 0);
    assert_int_equal(io_pread(w->io, fd, &byte, 1, bit / 8), 1);
    byte ^= (uint8_t)(1u << bit % 8);
    struct iovec part = {&byte, 1};
    assert_int_equal(io_pwritev(w->io, fd, &part, 1, bit / 8), 1);
    io_close(w->io, fd);
}

/* The first record at or after every time that matters. */
static void check_times(struct world *w)
{
    for (int64_t t = 0; t <= 2050; t += 50) {
        int64_t first = 0;
        while (first <= BATCHES && times[first] < t)
            first++;
        assert_time(w, t, LOG_UP_TO_HW, first <= BATCHES ? first : -1, first <= BATCHES ? times[first] : -1);
    }
    assert_time(w, LOG_TIME_MAX, LOG_UP_TO_HW, BATCHES, 2000);
}

/* Every bit of both files. */
static void test_times(void **state)
{
    static const char *const paths[] = {INDEX, TIMEINDEX};
    struct world w;
    flips_init(&w);
    check_times(&w);
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        for (size_t bit = 0; bit < file_bits(&w, paths[i]); bit++) {
            log_abandon(w.log);
            flip_bit(&w, paths[i], bit);
            world_open(&w);
            check_times(&w);
            log_abandon(w.log);
            flip_bit(&w, paths[i], bit);
            world_open(&w);
        }
    world_fini(&w);
}

/* The age of a segment is that of its newest record: not a moment too early, nor too late. */
static void test_age(void **state)
{
    enum { KEPT_MS = 50000, NEWEST = 1000 };
    struct world w;
    flips_init(&w);
    w.config.retention_ms = KEPT_MS;
    size_t bits = file_bits(&w, TIMEINDEX);
    for (size_t bit = 0; bit < bits; bit++) {
        log_abandon(w.log);
        flip_bit(&w, TIMEINDEX, bit);
        world_open(&w);
        assert_true(log_retain(w.log, NEWEST + KEPT_MS, NULL, NULL));
        assert_int_equal(log_start_offset(w.log), 0);
        log_abandon(w.log);
        if (bit + 1 < bits)
            flip_bit(&w, TIMEINDEX, bit);
        world_open(&w);
    }
    assert_true(log_retain(w.log, NEWEST + KEPT_MS + 1, NULL, NULL));
    assert_int_equal(log_start_offset(w.log), BATCHES);
    world_fini(&w);
}

/* A segment ends, and the process dies before that is in any file: what the last entry of time would have said is found in the
 * batches, after the next start and the one after it. */
static void test_last_entry_missing(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.config.index_interval_bytes = 100;
    w.config.segment_bytes = 350; /* five batches */
    w.config.retention_ms = 50000;
    world_open(&w);
    for (int i = 0; i < 5; i++)
        world_append(&w, i, 1, i < 4 ? 1000 + i : 9000); /* the newest lies behind the last entry */
    assert_true(log_checkpoint(w.log, NULL));
    world_append(&w, 5, 1, 2000); /* the next segment */
    world_crash(&w, IO_CUT_KEEP);
    for (int start = 0; start < 3; start++) {
        assert_time(&w, 5000, LOG_UP_TO_HW, 4, 9000);
        assert_true(log_retain(w.log, 9000 + 50000, NULL, NULL));
        assert_int_equal(log_start_offset(w.log), 0);
        world_reopen(&w);
    }
    world_fini(&w);
}

static void end_txn(struct world *w, int64_t pid, enum marker marker)
{
    struct log_append_result result;
    assert_true(log_append_marker(w->log, pid, 0, marker, 0, &result, NULL));
}

static void put_in_txn(struct world *w, int64_t pid, int32_t seq, int value)
{
    struct log_append_result result;
    struct err err;
    struct batch_spec spec = {.pid = pid, .base_seq = seq, .transactional = true};
    if (!world_append_spec(w, &spec, value, 1, 1000, &result, &err))
        fail_msg("%s", err.text);
}

/* "first-last" of those that a read_committed reader at the offset is told of. */
static void print_aborted(struct world *w, int64_t from_offset, struct buf *out)
{
    struct log_aborted_list aborted = {0};
    log_aborted_in(w->log, from_offset, log_lso(w->log), &aborted);
    for (size_t i = 0; i < aborted.list.len; i++)
        buf_printf(out, "%lld:%lld-%lld ", (long long)aborted.list.at[i].pid,
                   (long long)aborted.list.at[i].first_offset, (long long)aborted.list.at[i].last_offset);
    vec_fini(&aborted.list);
}

static void check_aborted(struct world *w)
{
    static const struct {
        int64_t from;
        const char *expect;
    } cases[] = {{0, "7:0-4 8:1-6 7:8-10 "}, {5, "8:1-6 7:8-10 "}, {7, "7:8-10 "}, {11, ""}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf text = {0};
        print_aborted(w, cases[i].from, &text);
        assert_string_equal(text.len != 0 ? text.ptr : "", cases[i].expect);
        buf_fini(&text);
    }
}

/* Aborted, committed and interleaved transactions in two segments; all abort markers lie in the first. */
static void txns_init(struct world *w)
{
    world_init(w, 1);
    w->config.segment_bytes = 6 * 70 + 5 * 78; /* records and markers */
    w->config.segment_ms = INT64_MAX;          /* they lie decades apart */
    world_open(w);
    put_in_txn(w, 7, 0, 0);
    put_in_txn(w, 8, 0, 1);
    put_in_txn(w, 7, 1, 2);
    put_in_txn(w, 9, 0, 3);
    end_txn(w, 7, MARKER_ABORT); /* 4 */
    end_txn(w, 9, MARKER_COMMIT);
    end_txn(w, 8, MARKER_ABORT); /* 6 */
    put_in_txn(w, 8, 1, 7);
    put_in_txn(w, 7, 2, 8);
    end_txn(w, 8, MARKER_COMMIT);
    end_txn(w, 7, MARKER_ABORT); /* 10 */
    world_append(w, 1, 1, 1000);
    world_append(w, 2, 1, 1000);
    assert_true(log_checkpoint(w->log, NULL));
    world_reopen(w);
}

static void test_aborted(void **state)
{
    struct world w;
    txns_init(&w);
    check_aborted(&w);
    size_t bits = file_bits(&w, TXNINDEX);
    assert_int_equal(bits, 3 * 34 * 8);
    for (size_t bit = 0; bit < bits; bit++) {
        log_abandon(w.log);
        flip_bit(&w, TXNINDEX, bit);
        world_open(&w);
        check_aborted(&w);
        assert_true(log_checkpoint(w.log, NULL)); /* it is written again */
        world_reopen(&w);
        check_aborted(&w);
    }
    world_fini(&w);
}

/* The same while the segment is the active one, and after a start that nobody has asked anything. */
static void test_aborted_unasked(void **state)
{
    struct world w;
    struct buf text = {0};
    world_init(&w, 1);
    w.config.segment_ms = INT64_MAX;
    world_open(&w);
    put_in_txn(&w, 7, 0, 0);
    put_in_txn(&w, 7, 1, 1);
    end_txn(&w, 7, MARKER_ABORT);
    world_append(&w, 3, 1, 1000);
    assert_true(log_checkpoint(w.log, NULL));
    log_close(w.log);
    flip_bit(&w, TXNINDEX, 17 * 8); /* the first offset: 1 */
    world_open(&w);
    world_append(&w, 4, 1, 1000);
    for (int start = 0; start < 2; start++) {
        assert_true(log_checkpoint(w.log, NULL)); /* it does not vouch for what was found wrong */
        world_reopen(&w);
    }
    print_aborted(&w, 0, &text);
    assert_string_equal(text.ptr, "7:0-2 ");
    buf_fini(&text);
    world_fini(&w);
}

/* A log that a full disk took offline reads its files again while it runs. */
static void test_aborted_after_healing(void **state)
{
    struct world w;
    struct err err;
    txns_init(&w);
    flip_bit(&w, TXNINDEX, 17 * 8);
    world_append(&w, 3, 1, 1000);
    io_faulty_script(w.faulty, IO_FAULT_ENOSPC, 1, 1);
    assert_false(log_sync(w.log, &err));
    assert_non_null(log_offline_reason(w.log));
    world_append(&w, 4, 1, 1000);
    assert_null(log_offline_reason(w.log));
    check_aborted(&w);
    world_fini(&w);
}

/* Checkpoints of before have no sums: nothing is held against them. */
static void test_checkpoint_without_sums(void **state)
{
    enum { HEAD = 12, SUMS_BYTES = 4 + 16 };
    struct world w;
    struct buf bytes = {0};
    txns_init(&w);
    log_close(w.log);
    assert_true(io_read_file(w.io, "logs/t-0/checkpoint", 1 << 20, &bytes, NULL));
    assert_int_equal(load_be16(bytes.ptr + 6), 2);
    store_be16(bytes.ptr + 6, 0);
    bytes.len -= SUMS_BYTES;
    store_be32(bytes.ptr + 8, hash_crc32c(0, bytes.ptr + HEAD, bytes.len - HEAD));
    assert_true(io_replace_file(w.io, "logs/t-0", "logs/t-0/checkpoint", buf_str(&bytes), NULL));
    world_open(&w);
    check_aborted(&w);
    buf_fini(&bytes);
    world_fini(&w);
}

/* Nobody asks: the scrub finds every bit of the three files by itself, calls it no damage of the log, and what is made anew is as
 * it was. */
static void test_scrub(void **state)
{
    static const char *const paths[] = {INDEX, TIMEINDEX, TXNINDEX};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct world w;
        struct log_scrub_options options = {0};
        struct log_scrubbed done;
        struct buf before = {0}, after = {0};
        if (i == 2)
            txns_init(&w);
        else
            flips_init(&w);
        assert_true(io_read_file(w.io, paths[i], 1 << 20, &before, NULL));
        for (size_t bit = 0; bit < before.len * 8; bit++) {
            flip_bit(&w, paths[i], bit); /* under a running log */
            log_scrub(w.log, &options, &done);
            assert_int_equal(done.damaged, 0);
            assert_time(&w, 0, LOG_UP_TO_HW, 0, i == 2 ? 1000 : times[0]); /* loads the index */
            world_append(&w, 99, 1, 3000);
            assert_true(log_checkpoint(w.log, NULL));
            buf_clear(&after);
            assert_true(io_read_file(w.io, paths[i], 1 << 20, &after, NULL));
            if (!str_eq(buf_str(&before), buf_str(&after)))
                fail_msg("%s, bit %zu: it is not as it was", paths[i], bit);
            world_reopen(&w);
        }
        buf_fini(&before);
        buf_fini(&after);
        world_fini(&w);
    }
}

int main(void)
{
    log_level_set(LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_last_entry_missing),
        cmocka_unit_test(test_aborted),
        cmocka_unit_test(test_aborted_unasked),
        cmocka_unit_test(test_aborted_after_healing),
        cmocka_unit_test(test_checkpoint_without_sums),
        cmocka_unit_test(test_scrub),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
