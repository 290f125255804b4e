/* test_log.c - a partition's life: append and read, visibility, rolls, indexes, times, retention, restart,
 * deletion, limits. */
#include "log_test.h"

#include <errno.h>

static void test_append_and_read(void **state)
{
    struct world w;
    world_init(&w, 1);
    world_open(&w);
    assert_int_equal(world_append(&w, 10, 2, 1000), 0);
    assert_int_equal(world_append(&w, 12, 1, 1000), 2);
    assert_int_equal(log_end_offset(w.log), 3);
    assert_int_equal(log_high_watermark(w.log), 0);
    assert_records(&w, 0, LOG_UP_TO_HW, "");
    assert_records(&w, 0, LOG_APPENDED, "0=10 1=11 2=12");
    assert_true(log_is_dirty(w.log));
    world_sync(&w);
    assert_false(log_is_dirty(w.log));
    assert_int_equal(log_high_watermark(w.log), 3);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=10 1=11 2=12");
    assert_records(&w, 1, LOG_UP_TO_HW,
                   "0=10 1=11 2=12"); /* whole batches from the one that holds the offset */
    assert_records(&w, 2, LOG_UP_TO_HW, "2=12");
    assert_records(&w, 3, LOG_UP_TO_HW, "");
    struct log_slice slice;
    struct err err;
    assert_false(log_read(w.log, 4, 100, LOG_UP_TO_HW, &slice, &err));
    assert_int_equal(err.code, ERR_OFFSET_OUT_OF_RANGE);
    world_reopen(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=10 1=11 2=12");
    assert_int_equal(world_append(&w, 13, 1, 1000), 3);
    world_fini(&w);
}

static void test_os_durability(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.config.durability = LOG_OS;
    world_open(&w);
    world_append(&w, 1, 2, 1000);
    assert_int_equal(log_high_watermark(w.log), 2);
    assert_int_equal(log_durable_offset(w.log), 0);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=1 1=2");
    world_crash(&w, IO_CUT_KEEP); /* kill -9 */
    assert_records(&w, 0, LOG_UP_TO_HW, "0=1 1=2");
    world_fini(&w);
}

/* After a crash that the system lived through, what was written but not synced becomes readable when one sync of all logs has
 * made it durable, not before; then it survives a power cut. */
static void test_settle_later(void **state)
{
    struct world w;
    world_init(&w, 1);
    world_open(&w);
    world_append(&w, 1, 2, 1000);
    assert_true(log_sync(w.log, NULL));
    world_append(&w, 3, 2, 1000);
    w.config.settle_later = true;
    world_crash(&w, IO_CUT_KEEP);
    assert_true(log_is_unsettled(w.log));
    assert_int_equal(log_end_offset(w.log), 4);
    assert_int_equal(log_high_watermark(w.log),
                     0); /* no checkpoint was written: nothing is known to be durable */
    assert_int_equal(io_sync_all(w.io, "logs"), 0);
    assert_true(log_settle(w.log, true, NULL));
    assert_false(log_is_unsettled(w.log));
    assert_int_equal(log_high_watermark(w.log), 4);
    log_abandon(w.log);
    io_memory_cut(w.mem, IO_CUT_LOSE);
    world_open(&w);
    assert_true(log_settle(w.log, false, NULL)); /* by itself */
    assert_records(&w, 0, LOG_UP_TO_HW, "0=1 1=2 2=3 3=4");
    world_fini(&w);
}

/* Files are closed when all is durable and nobody reads, and opened again by whoever needs them. */
static void test_close_files(void **state)
{
    struct world w;
    struct log_slice slice;
    atomic_int open_files = 0;
    world_init(&w, 1);
    w.config.open_files = &open_files;
    world_open(&w);
    world_append(&w, 1, 2, 1000);
    assert_int_equal(open_files, 1);
    log_close_files(w.log, true);
    assert_int_equal(open_files, 1); /* not durable yet */
    assert_true(log_sync(w.log, NULL));
    assert_true(log_read(w.log, 0, 1000, LOG_UP_TO_HW, &slice, NULL));
    log_close_files(w.log, true);
    assert_int_equal(open_files, 1); /* somebody reads */
    log_slice_release(&slice);
    log_close_files(w.log, false); /* used since the last call */
    log_close_files(w.log, false);
    assert_int_equal(open_files, 0);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=1 1=2");
    assert_int_equal(world_append(&w, 3, 1, 1000), 2);
    assert_int_equal(open_files, 1);
    world_fini(&w);
    assert_int_equal(open_files, 0);
}

/* An unused partition leaves no trace and needs none. */
static void test_unused(void **state)
{
    struct world w;
    struct io_stat st;
    world_init(&w, 1);
    world_open(&w);
    world_reopen(&w);
    assert_int_equal(io_stat(w.io, "logs", &st), -ENOENT);
    assert_int_equal(log_end_offset(w.log), 0);
    assert_true(log_delete(w.log, NULL));
    w.log = NULL;
    world_fini(&w);
}

/* A slice is the first batch and as many whole ones behind it as fit into bytes_max, whatever the index knows. */
static void test_whole_slices(void **state)
{
    enum { BATCHES = 6 };
    for (uint32_t interval = 1; interval <= 100000; interval *= 10) {
        struct world w;
        size_t ends[BATCHES + 1] = {0};
        world_init(&w, 1);
        w.config.index_interval_bytes = interval;
        world_open(&w);
        for (int i = 0; i < BATCHES;
             i++) { /* of 1, 2, ... records: every batch is longer than the one before */
            ends[i + 1] = ends[i] + world_batch(&w, &BATCH_SPEC_PLAIN, i, i + 1, 1000).len;
            world_append(&w, i, i + 1, 1000);
        }
        world_sync(&w);
        for (size_t bytes_max = 0; bytes_max <= ends[BATCHES] + 1; bytes_max++) {
            struct log_slice slice;
            size_t expected = ends[1];
            for (int i = 1; i <= BATCHES && ends[i] <= bytes_max; i++)
                expected = ends[i];
            assert_true(log_read(w.log, 0, bytes_max, LOG_UP_TO_HW, &slice, NULL));
            assert_int_equal(slice.len, expected);
            log_slice_release(&slice);
        }
        world_fini(&w);
    }
}

/* The bytes of a batch on disk are the producer's but for base offset and leader epoch. */
static void test_bytes_kept(void **state)
{
    struct world w;
    struct buf sent = {0}, kept = {0};
    struct log_append_result result;
    world_init(&w, 1);
    world_open(&w);
    world_append(&w, 1, 5, 1000);
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    spec.codec = CODEC_ZSTD;
    struct str bytes = world_batch(&w, &spec, 6, 50, 2000);
    buf_append_str(&sent, bytes);
    assert_true(log_append(w.log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, NULL));
    batch_set_place(sent.ptr, 5, 0);
    world_sync(&w);
    world_read(&w, 5, 1, LOG_UP_TO_HW, &kept);
    assert_true(str_eq(buf_str(&sent), buf_str(&kept)));
    buf_fini(&sent);
    buf_fini(&kept);
    world_fini(&w);
}

static void assert_refused(struct world *w, struct str bytes, enum err_code code)
{
    struct log_append_result result;
    struct err err = {0};
    assert_false(log_append(w->log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, &err));
    if (err.code != code)
        fail_msg("%s instead of %s: %s", err_name(err.code), err_name(code), err.text);
    assert_int_equal(result.base_offset, -1);
    assert_int_equal(log_end_offset(w->log), 0);
}

static void renew_crc(struct str bytes)
{
    store_be32((char *)bytes.ptr + 17, hash_crc32c(0, bytes.ptr + 21, bytes.len - 21));
}

/* The checks of the reference's table in section 5.4. */
static void test_refusals(void **state)
{
    struct world w;
    struct batch_spec plain = BATCH_SPEC_PLAIN, control = BATCH_SPEC_PLAIN;
    world_init(&w, 1);
    w.config.message_bytes_max = 300;
    world_open(&w);
    int64_t now = io_now_ms(w.io);
    assert_refused(&w, STR(""), ERR_INVALID_RECORD);
    struct str bytes = world_batch(&w, &plain, 1, 3, now);
    assert_refused(&w, str_sub(bytes, 0, bytes.len - 3), ERR_INVALID_RECORD);
    struct buf two = {0};
    buf_append_str(&two, bytes);
    buf_append_str(&two, bytes);
    assert_refused(&w, buf_str(&two), ERR_INVALID_RECORD);
    buf_fini(&two);
    batch_set_place((char *)bytes.ptr, 5, 0);
    assert_refused(&w, bytes, ERR_INVALID_RECORD);
    bytes = world_batch(&w, &plain, 1, 3, now);
    ((char *)bytes.ptr)[70] ^= 1;
    assert_refused(&w, bytes, ERR_CORRUPT);
    assert_refused(&w, world_batch(&w, &plain, 1, 100, now), ERR_TOO_LARGE);
    bytes = world_batch(&w, &plain, 1, 3, now);
    store_be32((char *)bytes.ptr + 57, 2);
    renew_crc(bytes);
    assert_refused(&w, bytes, ERR_INVALID_RECORD);
    bytes = world_batch(&w, &plain, 1, 3, now);
    store_be16((char *)bytes.ptr + 21, CODEC_GZIP);
    renew_crc(bytes);
    assert_refused(&w, bytes, ERR_CORRUPT);
    store_be16((char *)bytes.ptr + 21, 5);
    renew_crc(bytes);
    assert_refused(&w, bytes, ERR_CORRUPT);
    control.control = true;
    assert_refused(&w, world_batch(&w, &control, 1, 1, now), ERR_INVALID_RECORD);
    struct batch_spec no_seq = {.pid = 5, .epoch = 0, .base_seq = -1};
    assert_refused(&w, world_batch(&w, &no_seq, 1, 1, now), ERR_INVALID_RECORD);
    assert_refused(&w, world_batch(&w, &plain, 1, 1, now + 2 * 3600 * 1000), ERR_INVALID_TIMESTAMP);
    bytes = world_batch(&w, &plain, 1, 1, now);
    ((char *)bytes.ptr)[16] = 1;
    assert_refused(&w, bytes, ERR_INVALID_RECORD);
    world_fini(&w);
}

static void test_topic_options(void **state)
{
    struct world w;
    struct log_append_result result;
    struct err err;
    world_init(&w, 1);
    w.config.key_required = true;
    w.config.append_time = true;
    world_open(&w);
    struct batch_spec plain = BATCH_SPEC_PLAIN;
    struct str bytes;
    batch_builder_begin(&w.builder, &plain);
    batch_builder_add(&w.builder, 1, STR("k"), STR("v"), NULL, 0);
    batch_builder_add(&w.builder, 1, STR_NULL, STR("v"), NULL, 0);
    assert_true(batch_builder_finish(&w.builder, &bytes, NULL));
    assert_false(log_append(w.log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, &err));
    assert_int_equal(err.code, ERR_INVALID_RECORD);
    assert_true(result.bad_records && result.rules.key_required);
    io_memory_advance_ms(w.mem, 1234);
    int64_t now = io_now_ms(w.io);
    assert_true(world_append_spec(&w, &plain, 1, 2, 99, &result, &err));
    assert_int_equal(result.append_time_ms, now);
    struct buf kept = {0};
    struct batch batch;
    world_read(&w, 0, 1, LOG_APPENDED, &kept);
    assert_true(batch_open(buf_str(&kept), &batch, &err) && batch_check_crc(&batch, &err));
    assert_int_equal(batch.max_timestamp_ms, now);
    assert_true(batch.attributes & BATCH_APPEND_TIME);
    buf_fini(&kept);
    world_fini(&w);
}

/* Many small segments: everything readable from any offset, by any size, before and after restarts and lost
 * indexes. */
static void check_all_readable(struct world *w, int count)
{
    for (int64_t offset = 0; offset < count; offset += 7) {
        struct log_slice slice;
        struct err err = {0};
        if (!log_read(w->log, offset, 1, LOG_UP_TO_HW, &slice, &err))
            fail_msg("%s", err.text);
        struct buf bytes = {0};
        struct batch batch;
        assert_true(log_slice_read(w->log, &slice, &bytes, &err));
        assert_true(batch_open(buf_str(&bytes), &batch, &err));
        assert_int_equal(batch.bytes.len, slice.len); /* bytes_max 1: exactly the one batch */
        assert_true(batch.base_offset <= offset && batch_last_offset(&batch) >= offset);
        assert_int_equal(slice.base_offset, batch.base_offset);
        log_slice_release(&slice);
        buf_fini(&bytes);
    }
}

static void remove_index(void *arg, const char *name)
{
    struct buf *names = arg;
    if (strstr(name, "index") != NULL)
        buf_append(names, name, strlen(name) + 1);
}

/* compression.type: what came with another codec is stored with the topic's, records unchanged; markers are left alone. */
static void test_recompression(void **state)
{
    struct world w;
    struct log_append_result result;
    struct err err = {0};
    struct buf kept = {0};
    struct batch batch;
    world_init(&w, 1);
    world_open(&w);
    struct batch_spec spec = {
        .codec = CODEC_GZIP, .pid = 7, .epoch = 0, .base_seq = 0, .transactional = true};
    assert_true(world_append_spec(&w, &spec, 0, 50, 1000, &result, &err));
    struct log_config config = w.config; /* from now on */
    config.recompress = true;
    config.codec = CODEC_ZSTD;
    log_set_config(w.log, &config);
    spec.base_seq = 50;
    assert_true(world_append_spec(&w, &spec, 50, 50, 1000, &result, &err));
    assert_int_equal(result.base_offset, 50);
    assert_true(log_append_marker(w.log, 7, 0, MARKER_COMMIT, 0, &result, &err));
    spec = (struct batch_spec){.codec = CODEC_ZSTD, .pid = -1, .epoch = -1, .base_seq = -1};
    assert_true(world_append_spec(&w, &spec, 100, 1, 1000, &result, &err));
    config.codec = CODEC_NONE;
    log_set_config(w.log, &config);
    assert_true(world_append_spec(&w, &spec, 101, 2, 1000, &result, &err));
    world_sync(&w);
    static const enum codec expect[] = {CODEC_GZIP, CODEC_ZSTD, CODEC_NONE, CODEC_ZSTD, CODEC_NONE};
    world_read(&w, 0, 1, LOG_UP_TO_HW, &kept);
    size_t i = 0;
    for (struct str rest = buf_str(&kept); batch_next(&rest, &batch, NULL); i++)
        assert_int_equal(batch_codec(&batch), expect[i]);
    assert_int_equal(i, COUNT_OF(expect));
    config.message_bytes_max = 200; /* plain records of what came small are too large */
    log_set_config(w.log, &config);
    assert_false(world_append_spec(&w, &spec, 0, 50, 1000, &result, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    struct batch_spec plain = BATCH_SPEC_PLAIN;
    config.message_bytes_max = 1000;
    config.segment_bytes = 300;
    log_set_config(w.log, &config);
    assert_false(world_append_spec(&w, &plain, 0, 50, 1000, &result, &err));
    assert_int_equal(err.code, ERR_RECORD_LIST_TOO_LARGE);
    world_crash(&w, IO_CUT_LOSE);
    assert_int_equal(log_end_offset(w.log), 104);
    buf_fini(&kept);
    world_fini(&w);
}

/* segment.jitter.ms brings a roll forward by less than the jitter, by chance; flush.messages counts what is not synced. */
static void test_jitter_and_flush(void **state)
{
    int early = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world w;
        struct io_stat st;
        world_init(&w, seed);
        w.config.segment_ms = 1000;
        w.config.segment_jitter_ms = 500;
        world_open(&w);
        world_append(&w, 0, 1, 5000);
        world_append(&w, 1, 1, 5500);
        assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000001.log", &st), -ENOENT);
        world_append(&w, 2, 1, 5750);
        early += io_stat(w.io, "logs/t-0/00000000000000000002.log", &st) == 0;
        world_fini(&w);
    }
    assert_true(early > 8 && early < 32); /* one in two */
    struct world w;
    struct log_append_result result;
    struct batch_spec plain = BATCH_SPEC_PLAIN;
    world_init(&w, 1);
    w.config.flush_messages = 3;
    world_open(&w);
    assert_true(world_append_spec(&w, &plain, 0, 2, 1000, &result, NULL));
    assert_false(result.flush);
    assert_true(world_append_spec(&w, &plain, 2, 1, 1000, &result, NULL));
    assert_true(result.flush);
    world_sync(&w);
    assert_true(world_append_spec(&w, &plain, 3, 2, 1000, &result, NULL));
    assert_false(result.flush);
    world_fini(&w);
}

static void test_segments(void **state)
{
    struct world w;
    struct buf names = {0}, path = {0};
    world_init(&w, 1);
    w.config.segment_bytes = 3000;
    w.config.index_interval_bytes = 200;
    world_open(&w);
    int count = 0;
    for (int i = 0; i < 200; i++) {
        world_append(&w, count, 1 + i % 4, 1000 + i);
        count += 1 + i % 4;
    }
    world_sync(&w);
    check_all_readable(&w, count);
    world_reopen(&w);
    assert_int_equal(log_end_offset(w.log), count);
    check_all_readable(&w, count);
    log_close(w.log);
    assert_int_equal(io_list(w.io, "logs/t-0", remove_index, &names), 0);
    for (const char *name = names.ptr; name < names.ptr + names.len; name += strlen(name) + 1) {
        buf_clear(&path);
        buf_printf(&path, "logs/t-0/%s", name);
        assert_int_equal(io_unlink(w.io, path.ptr), 0);
    }
    world_open(&w);
    check_all_readable(&w, count);
    struct log_time_hit hit;
    assert_true(log_offset_for_time(w.log, 1100, LOG_UP_TO_HW, &hit, NULL));
    assert_int_equal(hit.timestamp_ms, 1100);
    buf_fini(&names);
    buf_fini(&path);
    world_fini(&w);
}

/* The index files are Kafka's: 8 and 12 bytes an entry, big-endian, relative to the segment's base. */
static void test_index_files(void **state)
{
    struct world w;
    struct buf bytes = {0}, hex = {0};
    world_init(&w, 1);
    w.config.index_interval_bytes = 100;
    world_open(&w);
    for (int i = 0; i < 5; i++) /* a batch with one such record has 61 + 9 bytes: entries at 140 and 280 */
        world_append(&w, i, 1, 0x1000 + i);
    assert_true(log_checkpoint(w.log, NULL));
    assert_true(io_read_file(w.io, "logs/t-0/00000000000000000000.index", 100, &bytes, NULL));
    buf_append_hex(&hex, buf_str(&bytes));
    assert_string_equal(hex.ptr, "000000020000008c0000000400000118");
    buf_clear(&bytes);
    buf_clear(&hex);
    assert_true(io_read_file(w.io, "logs/t-0/00000000000000000000.timeindex", 100, &bytes, NULL));
    buf_append_hex(&hex, buf_str(&bytes));
    assert_string_equal(hex.ptr, "000000000000100100000001000000000000100300000003");
    buf_fini(&bytes);
    buf_fini(&hex);
    world_fini(&w);
}

static void assert_time(struct world *w, int64_t time_ms, enum log_isolation isolation, int64_t offset,
                        int64_t timestamp_ms)
{
    struct log_time_hit hit;
    struct err err = {0};
    if (!log_offset_for_time(w->log, time_ms, isolation, &hit, &err))
        fail_msg("%s", err.text);
    assert_int_equal(hit.offset, offset);
    assert_int_equal(hit.timestamp_ms, timestamp_ms);
}

static void test_times(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.config.segment_bytes = 400;
    w.config.index_interval_bytes = 100;
    world_open(&w);
    assert_time(&w, LOG_TIME_MAX, LOG_UP_TO_HW, -1, -1);
    assert_time(&w, 0, LOG_UP_TO_HW, -1, -1);
    static const int64_t times[] = {100, 300, 200, 250, 600, 500, 700, 650, 640, 900};
    for (size_t i = 0; i < COUNT_OF(times); i++) /* batches of two: t and t + 1 */
        world_append(&w, (int)i, 2, times[i]);
    world_sync(&w);
    for (int round = 0; round < 2; round++) {
        assert_time(&w, LOG_TIME_EARLIEST, LOG_UP_TO_HW, 0, -1);
        assert_time(&w, LOG_TIME_LATEST, LOG_UP_TO_HW, 20, -1);
        assert_time(&w, LOG_TIME_MAX, LOG_UP_TO_HW, 19, 901);
        assert_time(&w, 0, LOG_UP_TO_HW, 0, 100);
        assert_time(&w, 101, LOG_UP_TO_HW, 1, 101);
        assert_time(&w, 102, LOG_UP_TO_HW, 2, 300);
        assert_time(&w, 302, LOG_UP_TO_HW, 8, 600);
        assert_time(&w, 601, LOG_UP_TO_HW, 9, 601);
        assert_time(&w, 602, LOG_UP_TO_HW, 12, 700);
        assert_time(&w, 702, LOG_UP_TO_HW, 18, 900);
        assert_time(&w, 902, LOG_UP_TO_HW, -1, -1);
        world_reopen(&w);
    }
    world_append(&w, 99, 1, 5000); /* not durable: readers may not learn of it */
    assert_time(&w, 902, LOG_UP_TO_HW, -1, -1);
    assert_time(&w, 902, LOG_APPENDED, 20, 5000);
    assert_time(&w, LOG_TIME_MAX, LOG_UP_TO_HW, 19, 901);
    struct log_time_hit hit;
    struct err err;
    assert_false(log_offset_for_time(w.log, -7, LOG_UP_TO_HW, &hit, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED_VERSION);
    world_fini(&w);
}

static void test_retention(void **state)
{
    struct world w;
    struct log_retained removed;
    world_init(&w, 1);
    w.config.segment_bytes = 200; /* two batches of 70 bytes a segment */
    w.config.retention_bytes = 300;
    w.config.retention_ms = -1;
    world_open(&w);
    int64_t now = io_now_ms(w.io);
    for (int i = 0; i < 10; i++)
        world_append(&w, i, 1, now + i);
    world_sync(&w);
    struct log_slice slice; /* a reader keeps what it holds */
    struct buf bytes = {0};
    assert_true(log_read(w.log, 0, 1, LOG_UP_TO_HW, &slice, NULL));
    assert_true(log_retain(w.log, now, &removed, NULL));
    assert_int_equal(removed.segments,
                     2); /* 5 of 140 bytes: 700, 560, 420; without a third there would be 280 */
    assert_int_equal(log_start_offset(w.log), 4);
    assert_records(&w, 4, LOG_UP_TO_HW, "4=4 5=5 6=6 7=7 8=8 9=9");
    assert_true(log_slice_read(w.log, &slice, &bytes, NULL));
    assert_int_equal(bytes.len, 70);
    log_slice_release(&slice);
    buf_fini(&bytes);
    struct err err;
    assert_false(log_read(w.log, 3, 1, LOG_UP_TO_HW, &slice, &err));
    assert_int_equal(err.code, ERR_OFFSET_OUT_OF_RANGE);
    world_reopen(&w);
    assert_int_equal(log_start_offset(w.log), 4);

    w.config.retention_bytes = -1; /* by time: all but the two youngest records' segment, then that one too */
    w.config.retention_ms = 1000;
    log_set_config(w.log, &w.config);
    assert_true(log_retain(w.log, now + 1008, &removed, NULL));
    assert_int_equal(log_start_offset(w.log), 8);
    assert_true(log_retain(w.log, now + 5000, &removed, NULL));
    assert_int_equal(log_start_offset(w.log), 10);
    assert_int_equal(log_end_offset(w.log), 10);
    assert_int_equal(log_size_bytes(w.log), 0);
    world_reopen(&w);
    assert_int_equal(log_start_offset(w.log), 10);
    assert_int_equal(world_append(&w, 10, 1, now), 10);
    world_fini(&w);
}

static void test_delete_before(void **state)
{
    struct world w;
    struct err err;
    world_init(&w, 1);
    w.config.segment_bytes = 200;
    world_open(&w);
    for (int i = 0; i < 7; i++)
        world_append(&w, i, 1, 1000);
    world_sync(&w);
    world_append(&w, 7, 1, 1000);
    assert_false(log_delete_before(w.log, 8, &err)); /* past the high watermark */
    assert_int_equal(err.code, ERR_OFFSET_OUT_OF_RANGE);
    assert_true(log_delete_before(w.log, 5, &err));
    assert_true(log_delete_before(w.log, 2, &err)); /* lower than the start: nothing happens */
    world_crash(&w, IO_CUT_LOSE);
    assert_int_equal(log_start_offset(w.log), 5);
    assert_records(&w, 5, LOG_UP_TO_HW, "5=5 6=6 7=7");
    world_fini(&w);
}

static void test_roll_by_time(void **state)
{
    struct world w;
    struct io_stat st;
    world_init(&w, 1);
    w.config.segment_ms = 1000;
    world_open(&w);
    world_append(&w, 0, 1, 5000);
    world_append(&w, 1, 1, 6000);
    world_append(&w, 2, 1, 6001);
    assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000001.log", &st), -ENOENT);
    assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000002.log", &st), 0);
    world_sync(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2");
    world_fini(&w);
}

/* A start reads only what came after the last checkpoint, and makes the next one read nothing. */
static void test_torn_tails(void **state)
{
    struct world w;
    world_init(&w, 1);
    world_open(&w);
    for (int i = 0; i < 5; i++)
        world_append(&w, i, 1, 1000);
    world_sync(&w);
    world_append(&w, 5, 3, 1000); /* never synced */
    world_crash(&w, IO_CUT_LOSE);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2 3=3 4=4");
    world_append(&w, 7, 1, 1000);
    world_sync(&w);
    log_abandon(w.log);
    io_memory_flip(w.mem, "logs/t-0/00000000000000000000.log", 5 * 70 + 65); /* the last batch is damaged */
    world_open(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2 3=3 4=4");
    world_append(&w, 8, 1, 1000);
    world_sync(&w);
    log_close(w.log);
    assert_int_equal(io_unlink(w.io, "logs/t-0/checkpoint"), 0);
    world_open(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2 3=3 4=4 5=8");
    log_close(w.log);
    io_memory_flip(w.mem, "logs/t-0/checkpoint", 20);
    world_open(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2 3=3 4=4 5=8");
    world_fini(&w);
}

/* Appends bytes behind the end of a file, without a sync. */
static void append_raw(struct world *w, const char *path, struct str bytes)
{
    struct io_stat st;
    int fd = io_open(w->io, path, IO_WRITE | IO_CREATE);
    assert_true(fd >= 0);
    assert_int_equal(io_fstat(w->io, fd, &st), 0);
    struct iovec part = {(void *)bytes.ptr, bytes.len};
    assert_true(io_write_all(w->io, fd, &part, 1, st.size, path, NULL));
    io_close(w->io, fd);
}

/* Syncs write checkpoints by themselves: damage far below the end is not even looked at by a start after a
 * crash. */
static void test_start_reads_the_tail_only(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.config.checkpoint_bytes = 300;
    world_open(&w);
    for (int i = 0; i < 10; i++) {
        world_append(&w, i, 1, 1000);
        world_sync(&w);
    }
    log_abandon(w.log);
    io_memory_flip(w.mem, "logs/t-0/00000000000000000000.log", 65);
    world_open(&w);
    assert_int_equal(log_end_offset(w.log), 10);
    assert_records(&w, 5, LOG_UP_TO_HW, "5=5 6=6 7=7 8=8 9=9");
    world_fini(&w);
}

/* A whole batch with the wrong offset, as a write that could not be taken back leaves it, does not belong
 * to the log. */
static void test_alien_batch(void **state)
{
    struct world w;
    struct batch_spec plain = BATCH_SPEC_PLAIN;
    world_init(&w, 1);
    world_open(&w);
    world_append(&w, 0, 2, 1000);
    world_sync(&w);
    log_abandon(w.log);
    struct str bytes = world_batch(&w, &plain, 7, 1, 1000);
    batch_set_place((char *)bytes.ptr, 9, 0);
    append_raw(&w, "logs/t-0/00000000000000000000.log", bytes);
    w.log = NULL;
    world_open(&w);
    assert_int_equal(log_end_offset(w.log),
                     2); /* without a checkpoint offsets need only grow: compacted logs have gaps */
    world_fini(&w);
}

/* Entries in an index file behind those that the checkpoint knows are of a life that never became durable. */
static void test_stale_index(void **state)
{
    struct world w;
    struct buf stale = {0};
    world_init(&w, 1);
    w.config.index_interval_bytes = 100;
    w.config.segment_bytes = 700;
    world_open(&w);
    for (int i = 0; i < 5; i++)
        world_append(&w, i, 1, 1000 + i);
    assert_true(log_checkpoint(w.log, NULL));
    log_abandon(w.log);
    for (uint32_t i = 0; i < 3; i++) {
        store_be32(buf_extend(&stale, 4), 5 + i);
        store_be32(buf_extend(&stale, 4), 400 + i);
    }
    append_raw(&w, "logs/t-0/00000000000000000000.index", buf_str(&stale));
    world_open(&w);
    for (int i = 5; i < 20; i++)
        world_append(&w, i, 1, 1000 + i);
    world_sync(&w);
    check_all_readable(&w, 20);
    world_reopen(&w); /* the segment is closed now: its index counts by size */
    for (int64_t offset = 0; offset < 20; offset++) {
        struct log_slice slice;
        assert_true(log_read(w.log, offset, 1, LOG_UP_TO_HW, &slice, NULL));
        assert_int_equal(slice.base_offset, offset);
        log_slice_release(&slice);
    }
    buf_fini(&stale);
    world_fini(&w);
}

/* What a failed write left behind is cut off at once. */
static void test_cut_back(void **state)
{
    struct world w;
    struct io_stat st;
    struct log_append_result result;
    struct err err;
    struct batch_spec plain = BATCH_SPEC_PLAIN;
    world_init(&w, 1);
    world_open(&w);
    world_append(&w, 0, 1, 1000);
    io_faulty_script(w.faulty, IO_FAULT_TORN, 1, 1);
    struct str bytes = world_batch(&w, &plain, 1, 1, 1000);
    assert_false(log_append(w.log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000000.log", &st), 0);
    assert_int_equal(st.size, 70);
    assert_true(log_append(w.log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result,
                           &err)); /* the same bytes again */
    assert_int_equal(result.base_offset, 1);
    world_fini(&w);
}

/* Segments lost or cut from outside: what is left is served, later offsets never come back. */
static void test_missing_files(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.config.segment_bytes = 200;
    world_open(&w);
    for (int i = 0; i < 6; i++)
        world_append(&w, i, 1, 1000);
    log_close(w.log);
    assert_int_equal(io_unlink(w.io, "logs/t-0/00000000000000000004.log"), 0);
    world_open(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2 3=3");
    assert_int_equal(world_append(&w, 9, 1, 1000), 4);
    log_close(w.log);
    assert_int_equal(io_unlink(w.io, "logs/t-0/00000000000000000000.log"), 0);
    assert_int_equal(io_unlink(w.io, "logs/t-0/00000000000000000002.log"), 0);
    world_open(&w);
    assert_int_equal(log_start_offset(w.log), 4);
    assert_records(&w, 4, LOG_UP_TO_HW, "4=9");
    world_fini(&w);
}

static void test_delete(void **state)
{
    struct world w;
    struct io_stat st;
    world_init(&w, 1);
    world_open(&w);
    world_append(&w, 1, 1, 1000);
    assert_true(log_delete(w.log, NULL));
    assert_int_equal(io_stat(w.io, "logs/t-0", &st), -ENOENT);
    world_open(&w);
    assert_int_equal(log_end_offset(w.log), 0);
    world_append(&w, 2, 1, 1000);
    io_faulty_script(w.faulty, IO_FAULT_DEAD, 3, 1); /* dies after rename and sync */
    ignore(log_delete(w.log, NULL), "the rest of the deletion is log_purge's");
    io_faulty_script(w.faulty, IO_FAULT_EIO, 1, 0);
    assert_true(log_purge("logs", w.io, NULL));
    struct buf listed = {0};
    assert_int_equal(io_list(w.io, "logs", remove_index, &listed), 0);
    assert_int_equal(io_rmdir(w.io, "logs"), 0); /* nothing is left */
    buf_fini(&listed);
    w.log = NULL;
    world_fini(&w);
}

static void test_idle(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.config.segment_bytes = 400;
    w.config.index_interval_bytes = 100;
    world_open(&w);
    for (int i = 0; i < 20; i++)
        world_append(&w, i, 1, 1000 + i);
    assert_true(log_checkpoint(w.log, NULL));
    int64_t now = 2000;
    for (int i = 0; i < 3; i++)
        assert_true(log_retain(w.log, now, NULL, NULL));
    check_all_readable(&w, 20);
    assert_int_equal(world_append(&w, 20, 1, 2000), 20);
    assert_time(&w, 1015, LOG_UP_TO_HW, 15, 1015);
    world_reopen(&w);
    check_all_readable(&w, 20);
    assert_int_equal(log_end_offset(w.log), 21);
    world_fini(&w);
}

static void test_readable_bytes(void **state)
{
    struct world w;
    world_init(&w, 1);
    w.config.segment_bytes = 200;
    world_open(&w);
    assert_int_equal(log_readable_bytes(w.log, 0, LOG_UP_TO_HW), 0);
    for (int i = 0; i < 4; i++)
        world_append(&w, i, 1, 1000);
    assert_int_equal(log_readable_bytes(w.log, 0, LOG_UP_TO_HW), 0);
    world_sync(&w);
    assert_int_equal(log_readable_bytes(w.log, 0, LOG_UP_TO_HW), 4 * 70);
    assert_int_equal(log_readable_bytes(w.log, 3, LOG_UP_TO_HW), 70);
    assert_int_equal(log_readable_bytes(w.log, 4, LOG_UP_TO_HW), 0);
    world_fini(&w);
}

static void test_dump(void **state)
{
    struct world w;
    struct buf text = {0};
    struct err err;
    world_init(&w, 1);
    w.config.index_interval_bytes = 100;
    world_open(&w);
    struct batch_spec spec = {.pid = 9, .epoch = 1, .base_seq = 0};
    struct log_append_result result;
    assert_true(world_append_spec(&w, &spec, 1, 2, 1000, &result, &err));
    world_append(&w, 3, 1, 1000);
    world_append(&w, 4, 1, 1000);
    assert_true(log_checkpoint(w.log, NULL));
    struct describe_lines lines;
    describe_lines_init(&lines, &text);
    struct log_dump dump = {
        .io = w.io, .out = &lines.describe, .records = true, .indexes = true, .batches_max = -1};
    if (!log_dump("logs/t-0", &dump, &err))
        fail_msg("%s", err.text);
    static const char *const expect[] = {
        "            file path=logs/t-0/00000000000000000000.log\n@0x00000000 batch base_offset=0 "
        "last_offset=1 "
        "records=2 bytes=79 codec=none crc=",
        "\n@0x00000046   record offset=1 timestamp_ms=1001 key_bytes=1 value_bytes=1 key=k value=2\n",
        "@0x00000000 entry offset=3 position=149 check=ok\n",
        "@0x00000000 entry timestamp_ms=1001 offset=1 check=ok\n",
        "log_start_offset=0 cleaned_offset=0 end_offset=4 segment=0 position=219 ",
        "  producer producer_id=9 producer_epoch=1 coordinator_epoch=-1 ",
        "    batch base_sequence=0 last_sequence=1 base_offset=0 last_offset=1 ",
    };
    for (size_t i = 0; i < COUNT_OF(expect); i++)
        if (strstr(text.ptr, expect[i]) == NULL)
            fail_msg("missing \"%s\" in:\n%s", expect[i], text.ptr);
    assert_int_equal(dump.damaged, 0);
    buf_clear(&text);
    dump.from_offset = 3;
    dump.batches_max = 1;
    assert_true(log_dump("logs/t-0/00000000000000000000.log", &dump, &err));
    assert_ptr_equal(strstr(text.ptr, "@0x00000095 batch base_offset=3"), text.ptr);
    buf_fini(&text);
    world_fini(&w);
}

/* 79, 70 and 70 bytes: a batch of two records and two of one. */
static void test_dump_steps_over_damage(void **state)
{
    static const struct {
        size_t flip;
        const char *expect;
    } cases[] = {
        /* inside the records of the first: told with its check, then the next one */
        {70, "@0x00000000 batch base_offset=0 last_offset=1 records=2 bytes=79 codec=none crc="},
        /* the magic number of the second, so that nothing of it is known */
        {79 + 16, "@0x0000004f damaged bytes=70 why="},
        /* the length of the first: where it ends is not known */
        {11, "@0x00000000 damaged bytes=79 why="},
        {149 + 16, "@0x00000095 damaged bytes=70 why="},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct world w;
        struct buf text = {0};
        struct err err;
        struct describe_lines lines;
        world_init(&w, 1);
        world_open(&w);
        world_append(&w, 0, 2, 1000);
        world_append(&w, 2, 1, 1000);
        world_append(&w, 3, 1, 1000);
        world_sync(&w);
        io_memory_flip(w.mem, "logs/t-0/00000000000000000000.log", cases[i].flip);
        describe_lines_init(&lines, &text);
        struct log_dump dump = {.io = w.io, .out = &lines.describe, .batches_max = -1};
        assert_true(log_dump("logs/t-0/00000000000000000000.log", &dump, &err));
        if (strstr(text.ptr, cases[i].expect) == NULL || dump.damaged != 1)
            fail_msg("%zu: %llu damaged, missing \"%s\" in:\n%s", i, (unsigned long long)dump.damaged,
                     cases[i].expect, text.ptr);
        bool last_one = i + 1 == COUNT_OF(cases); /* the others are there with addresses and a good check */
        assert_non_null(strstr(text.ptr, last_one ? "@0x0000004f batch base_offset=2 last_offset=2 "
                                                  : "@0x00000095 batch base_offset=3 last_offset=3 "));
        assert_false(log_dump("logs/t-0/other", &dump, &err));
        buf_fini(&text);
        world_fini(&w);
    }
}

/* Index entries that point elsewhere, do not grow, or are cut. */
static void test_dump_checks_indexes(void **state)
{
    struct world w;
    struct buf text = {0};
    struct err err;
    struct describe_lines lines;
    world_init(&w, 1);
    w.config.index_interval_bytes = 60;
    world_open(&w);
    for (int i = 0; i < 4; i++)
        world_append(&w, i, 1, 1000 + i);
    assert_true(log_checkpoint(w.log, NULL));
    io_memory_flip(w.mem, "logs/t-0/00000000000000000000.index", 7); /* position 70: another one */
    describe_lines_init(&lines, &text);
    struct log_dump dump = {.io = w.io, .out = &lines.describe, .batches_max = -1};
    assert_true(log_dump("logs/t-0/00000000000000000000.index", &dump, &err));
    assert_int_equal(dump.damaged, 1);
    assert_non_null(strstr(text.ptr, "@0x00000008 entry offset=2 position=140 check=ok\n"));
    io_memory_flip(w.mem, "logs/t-0/checkpoint", 30);
    buf_clear(&text);
    assert_true(log_dump("logs/t-0/checkpoint", &dump, &err));
    assert_non_null(strstr(text.ptr, " check=\"checksum of the checkpoint does not fit\" "));
    buf_fini(&text);
    world_fini(&w);
}

/* segment.index.bytes: a segment ends when its offset index is full, or its time index, which keeps room for one more entry. */
static void test_index_bytes(void **state)
{
    static const struct {
        uint32_t index_bytes;
        bool times_grow;
        int batches; /* of 70 bytes, an entry each but the first, until the index is full */
    } cases[] = {{40, false, 6}, {40, true, 3}, {47, false, 6}, {24, false, 2}, {4, false, 1}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct world w;
        world_init(&w, 1);
        w.config.index_interval_bytes = 60;
        w.config.index_bytes_max = cases[i].index_bytes;
        world_open(&w);
        for (int k = 0; k <= cases[i].batches; k++) {
            char path[64];
            struct io_stat st;
            world_append(&w, k, 1, cases[i].times_grow ? 1000 + k : 1000);
            snprintf(path, sizeof path, "logs/t-0/%020d.log", cases[i].batches);
            assert_int_equal(io_stat(w.io, path, &st) == 0, k == cases[i].batches);
        }
        world_fini(&w);
    }
}

static void count_deleted(void *arg, const char *name)
{
    *(int *)arg += str_ends_with(str_from(name), STR(".deleted"));
}

static int deleted_files(struct world *w)
{
    int count = 0;
    assert_int_equal(io_list(w->io, "logs/t-0", count_deleted, &count), 0);
    return count;
}

/* file.delete.delay.ms: the files of what retention removes have another name for so long; a start removes them all. */
static void test_delete_delay(void **state)
{
    enum { DELAY_MS = 1000 };
    for (int restart = 0; restart < 2; restart++) {
        struct world w;
        struct log_slice slice;
        struct io_stat st;
        atomic_int doomed = 0;
        struct buf bytes = {0};
        world_init(&w, 1);
        w.config.segment_bytes = 100; /* a batch each */
        w.config.delete_delay_ms = DELAY_MS;
        w.config.doomed_files = &doomed;
        world_open(&w);
        for (int i = 0; i < 4; i++)
            world_append(&w, i, 1, 1000);
        world_sync(&w);
        assert_true(log_checkpoint(w.log, NULL));
        assert_true(log_read(w.log, 0, 1000, LOG_UP_TO_HW, &slice, NULL));
        assert_true(log_delete_before(w.log, 2, NULL));
        int64_t gone_ms = io_now_ms(w.io);
        assert_int_equal(atomic_load(&doomed), 2);
        assert_true(deleted_files(&w) >= 2);
        assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000000.log", &st), -ENOENT);
        assert_int_equal(io_stat(w.io, "logs/t-0/00000000000000000001.log.deleted", &st), 0);
        assert_int_equal(log_size_bytes(w.log), 140);
        assert_true(log_slice_read(w.log, &slice, &bytes, NULL)); /* whoever reads goes on */
        log_slice_release(&slice);
        log_reap(w.log, gone_ms + DELAY_MS - 1);
        assert_int_equal(atomic_load(&doomed), 2);
        if (restart == 0)
            log_reap(w.log, gone_ms + DELAY_MS);
        else
            world_reopen(&w);
        assert_int_equal(atomic_load(&doomed), 0);
        assert_int_equal(deleted_files(&w), 0);
        assert_records(&w, 2, LOG_UP_TO_HW, "2=2 3=3");
        buf_fini(&bytes);
        world_fini(&w);
    }
}

/* A checkpoint of version 1 has no cleaned offset; all else in it counts. */
static void test_checkpoint_of_version_1(void **state)
{
    enum { HEAD = 12, CLEANED_AT = 20 };
    struct world w;
    struct buf bytes = {0};
    world_init(&w, 1);
    world_open(&w);
    for (int i = 0; i < 5; i++)
        world_append(&w, i, 1, 1000);
    world_sync(&w);
    assert_true(log_delete_before(w.log, 3, NULL));
    log_close(w.log);
    assert_true(io_read_file(w.io, "logs/t-0/checkpoint", 1 << 20, &bytes, NULL));
    memmove(bytes.ptr + CLEANED_AT, bytes.ptr + CLEANED_AT + 8, bytes.len - CLEANED_AT - 8);
    bytes.len -= 8;
    store_be16(bytes.ptr + 4, 1);
    store_be32(bytes.ptr + 8, hash_crc32c(0, bytes.ptr + HEAD, bytes.len - HEAD));
    assert_true(io_replace_file(w.io, "logs/t-0", "logs/t-0/checkpoint", buf_str(&bytes), NULL));
    world_open(&w);
    assert_int_equal(log_start_offset(w.log), 3);
    assert_records(&w, 3, LOG_UP_TO_HW, "3=3 4=4");
    buf_fini(&bytes);
    world_fini(&w);
}

int main(void)
{
    log_level_set(LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_and_read),
        cmocka_unit_test(test_os_durability),
        cmocka_unit_test(test_settle_later),
        cmocka_unit_test(test_close_files),
        cmocka_unit_test(test_unused),
        cmocka_unit_test(test_whole_slices),
        cmocka_unit_test(test_bytes_kept),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_topic_options),
        cmocka_unit_test(test_recompression),
        cmocka_unit_test(test_jitter_and_flush),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_index_files),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_retention),
        cmocka_unit_test(test_delete_before),
        cmocka_unit_test(test_roll_by_time),
        cmocka_unit_test(test_start_reads_the_tail_only),
        cmocka_unit_test(test_alien_batch),
        cmocka_unit_test(test_stale_index),
        cmocka_unit_test(test_index_bytes),
        cmocka_unit_test(test_delete_delay),
        cmocka_unit_test(test_cut_back),
        cmocka_unit_test(test_torn_tails),
        cmocka_unit_test(test_missing_files),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_readable_bytes),
        cmocka_unit_test(test_dump),
        cmocka_unit_test(test_dump_steps_over_damage),
        cmocka_unit_test(test_dump_checks_indexes),
        cmocka_unit_test(test_checkpoint_of_version_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
