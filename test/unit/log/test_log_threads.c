/* test_log_threads.c - appenders, syncers, readers, retention, compaction and configuration at the same time, on real
 * files; producers that are forgotten.
 *
 * Under the thread sanitizer this finds unguarded state; everywhere it checks what a reader may rely on:
 * offsets without a gap, values in the order of their producer, nothing above the high watermark, slices
 * that outlive their segment.
 */
#include "log_test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { APPENDERS = 2, BATCHES = 300, READERS = 2 };

struct shared {
    struct log *log;
    struct log_config config;
    _Atomic int done; /* appenders that have finished */
};

struct appender {
    struct shared *shared;
    int id;
};

static void *append_all(void *arg)
{
    struct appender *app = arg;
    struct batch_builder builder = {0};
    for (int i = 0; i < BATCHES; i++) {
        char value[32];
        struct str bytes;
        struct log_append_result result;
        struct err err = {0};
        struct batch_spec spec = {.pid = app->id,
                                  .epoch = 0,
                                  .base_seq = i,
                                  .codec = (enum codec)(i % CODEC_COUNT)};
        batch_builder_begin(&builder, &spec);
        snprintf(value, sizeof value, "%d", i);
        batch_builder_add(&builder, io_now_ms(io_real()), STR("k"), str_from(value), NULL, 0);
        if (!batch_builder_finish(&builder, &bytes, &err) ||
            !log_append(app->shared->log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, &err) ||
            !log_sync(app->shared->log, &err) || !log_is_durable(app->shared->log, &result)) {
            fprintf(stderr, "append: %s\n", err.text);
            abort();
        }
        ASSERT(log_high_watermark(app->shared->log) > result.last_offset);
    }
    batch_builder_fini(&builder);
    atomic_fetch_add(&app->shared->done, 1);
    return NULL;
}

/* Follows the log to its end; starts again at the log start when retention was faster. */
static void *read_all(void *arg)
{
    struct shared *shared = arg;
    struct buf bytes = {0}, plain = {0};
    int64_t offset = 0, last_value[APPENDERS + 1] = {-1, -1, -1};
    for (bool last_round = false;;) {
        struct log_slice slice;
        struct err err = {0};
        struct batch batch;
        bool finished = atomic_load(&shared->done) == APPENDERS;
        if (!log_read(shared->log, offset, 500, LOG_UP_TO_HW, &slice, &err)) {
            ASSERT(err.code == ERR_OFFSET_OUT_OF_RANGE);
            offset = slice.start;
            memset(last_value, 0xff, sizeof last_value);
            continue;
        }
        sched_yield(); /* retention may remove the segment now */
        buf_clear(&bytes);
        ASSERT(log_slice_read(shared->log, &slice, &bytes, &err));
        size_t len = slice.len;
        int64_t hw = slice.hw;
        log_slice_release(&slice);
        for (struct str rest = buf_str(&bytes); batch_next(&rest, &batch, &err);) {
            struct batch_iter it;
            struct record rec;
            int64_t value;
            ASSERT(batch_check_crc(&batch, &err) && batch_iter_init(&it, &batch, &plain, &err));
            ASSERT(batch_iter_next(&it, &rec) && str_to_i64(rec.value, &value));
            ASSERT_CMP(batch.base_offset, ==, offset);
            ASSERT(last_value[batch.pid] < 0 || value == last_value[batch.pid] + 1);
            last_value[batch.pid] = value;
            offset = rec.offset + 1;
            ASSERT_CMP(offset, <=, hw);
        }
        if (len == 0 && last_round)
            break;
        last_round = finished;
    }
    ASSERT_CMP(offset, ==, APPENDERS * BATCHES);
    buf_fini(&bytes);
    buf_fini(&plain);
    return NULL;
}

static void *maintain(void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; atomic_load(&shared->done) < APPENDERS; i++) {
        struct log_time_hit hit;
        struct log_aborted_list aborted = {0};
        struct log_producer_info info;
        ASSERT(log_retain(shared->log, io_now_ms(io_real()), NULL, NULL));
        ASSERT(log_offset_for_time(shared->log, LOG_TIME_MAX, LOG_UP_TO_HW, &hit, NULL));
        ASSERT(log_offset_for_time(shared->log, 1000, LOG_READ_COMMITTED, &hit, NULL) ||
               log_start_offset(shared->log) > 0);
        log_aborted_in(shared->log, 0, 1000, &aborted);
        vec_fini(&aborted.list);
        ignore(log_producer(shared->log, 1, &info), "it may not have written yet");
        ignore(log_readable_bytes(shared->log, 0, LOG_UP_TO_HW) == 0, "only asked");
        ignore(log_size_bytes(shared->log) == 0, "only asked");
        shared->config.retention_bytes = 3000 + i % 1000;
        log_set_config(shared->log, &shared->config);
    }
    return NULL;
}

static void test_all_at_once(void **state)
{
    char root[] = "/tmp/rialto-test-log-XXXXXX", dir[64];
    assert_non_null(mkdtemp(root));
    snprintf(dir, sizeof dir, "%s/t-0", root);
    struct shared shared = {.config = log_config_default()};
    shared.config.segment_bytes = 1000;
    shared.config.index_interval_bytes = 150;
    shared.config.checkpoint_bytes = 2000;
    shared.config.retention_bytes = 3000;
    struct err err = {0};
    shared.log = log_open(dir, "t-0", &shared.config, io_real(), &err);
    if (shared.log == NULL)
        fail_msg("%s", err.text);
    pthread_t threads[APPENDERS + READERS + 1];
    struct appender appenders[APPENDERS];
    for (int i = 0; i < APPENDERS; i++) {
        appenders[i] = (struct appender){&shared, i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, append_all, &appenders[i]), 0);
    }
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[APPENDERS + i], NULL, read_all, &shared), 0);
    assert_int_equal(pthread_create(&threads[APPENDERS + READERS], NULL, maintain, &shared), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    int64_t start = log_start_offset(shared.log);
    assert_int_equal(log_end_offset(shared.log), APPENDERS * BATCHES);
    log_close(shared.log);
    shared.log = log_open(dir, "t-0", &shared.config, io_real(), &err);
    assert_non_null(shared.log);
    assert_int_equal(log_start_offset(shared.log), start);
    assert_int_equal(log_end_offset(shared.log), APPENDERS * BATCHES);
    assert_true(log_delete(shared.log, &err));
    assert_true(io_remove_tree(io_real(), root, &err));
}

/* --- producers that expire while they write --- */

/* What is forgotten between two batches begins anew with the next, whatever its sequence number. */
static void test_producers_expire(void **state)
{
    char root[] = "/tmp/rialto-test-log-XXXXXX", dir[64];
    assert_non_null(mkdtemp(root));
    snprintf(dir, sizeof dir, "%s/t-0", root);
    struct shared shared = {.config = log_config_default()};
    shared.config.retention_on = false;
    shared.config.producer_expiration_ms = -1; /* at once */
    struct err err = {0};
    shared.log = log_open(dir, "t-0", &shared.config, io_real(), &err);
    if (shared.log == NULL)
        fail_msg("%s", err.text);
    pthread_t threads[APPENDERS];
    struct appender appenders[APPENDERS];
    for (int i = 0; i < APPENDERS; i++) {
        appenders[i] = (struct appender){&shared, i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, append_all, &appenders[i]), 0);
    }
    while (atomic_load(&shared.done) < APPENDERS)
        assert_true(log_retain(shared.log, io_now_ms(io_real()), NULL, NULL));
    for (int i = 0; i < APPENDERS; i++)
        pthread_join(threads[i], NULL);
    struct log_producer_info info;
    assert_true(log_retain(shared.log, io_now_ms(io_real()), NULL, NULL));
    assert_false(log_producer(shared.log, 1, &info) || log_producer(shared.log, 2, &info));
    assert_int_equal(log_end_offset(shared.log), APPENDERS * BATCHES);
    log_close(shared.log);
    assert_true(io_remove_tree(io_real(), root, &err));
}

/* --- compaction beside everything --- */

enum { KEYS = 16, KEY_RECORDS = 2000 };

struct compacted {
    struct log *log;
    _Atomic int64_t last[KEYS];   /* offset of each key's last record known to be durable; -1: none yet */
    _Atomic int64_t newest[KEYS]; /* the same of one that may be durable from now on: the one before may go */
    _Atomic int64_t end;          /* durable; the record at an offset has it as its timestamp */
    _Atomic bool done;
};

static void *append_keys(void *arg)
{
    struct compacted *c = arg;
    struct batch_builder builder = {0};
    for (int64_t offset = 0; offset < KEY_RECORDS; offset++) {
        char key[8], value[32];
        struct str bytes;
        struct log_append_result result;
        struct err err = {0};
        struct batch_spec spec = BATCH_SPEC_PLAIN;
        int64_t k = offset * 7 % KEYS;
        snprintf(key, sizeof key, "%lld", (long long)k);
        snprintf(value, sizeof value, "%lld", (long long)offset);
        batch_builder_begin(&builder, &spec);
        batch_builder_add(&builder, offset, str_from(key), str_from(value), NULL, 0);
        ASSERT(batch_builder_finish(&builder, &bytes, &err));
        atomic_store(&c->newest[k], offset);
        ASSERT(log_append(c->log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, &err));
        ASSERT_CMP(result.base_offset, ==, offset);
        if (offset % 8 == 7) {
            ASSERT(log_sync(c->log, &err));
            for (int64_t i = offset - 7; i <= offset; i++)
                atomic_store(&c->last[i * 7 % KEYS], i);
            atomic_store(&c->end, offset + 1);
        }
    }
    atomic_store(&c->done, true);
    batch_builder_fini(&builder);
    return NULL;
}

/* Reads from anywhere: what comes is whole, and no last record of a key lies before it. */
static void *read_anywhere(void *arg)
{
    struct compacted *c = arg;
    struct buf bytes = {0};
    uint64_t seed = (uint64_t)(uintptr_t)&bytes;
    while (!atomic_load(&c->done)) {
        int64_t end = atomic_load(&c->end), before[KEYS];
        if (end == 0)
            continue;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        int64_t offset = (int64_t)((seed >> 33) % (uint64_t)end);
        for (int k = 0; k < KEYS; k++)
            before[k] = atomic_load(&c->last[k]);
        struct log_slice slice;
        struct batch batch;
        struct err err = {0};
        ASSERT(log_read(c->log, offset, 300, LOG_UP_TO_HW, &slice, &err));
        ASSERT_CMP(slice.len, >, 0);
        sched_yield();
        buf_clear(&bytes);
        ASSERT(log_slice_read(c->log, &slice, &bytes, &err));
        log_slice_release(&slice);
        ASSERT(batch_open(buf_str(&bytes), &batch, &err) && batch_check_crc(&batch, &err));
        ASSERT_CMP(batch_last_offset(&batch), >=, offset);
        struct log_time_hit hit;
        ASSERT(log_offset_for_time(c->log, offset, LOG_UP_TO_HW, &hit, &err));
        ASSERT_CMP(hit.offset, >=, offset);
        for (int k = 0; k < KEYS; k++) {
            bool still = before[k] == atomic_load(&c->newest[k]); /* nothing newer was there, so it must be */
            ASSERT(!still || before[k] < offset ||
                   (before[k] >= batch.base_offset && before[k] >= hit.offset));
        }
    }
    buf_fini(&bytes);
    return NULL;
}

static void *compact_all_the_time(void *arg)
{
    struct compacted *c = arg;
    for (int i = 0; !atomic_load(&c->done); i++) {
        struct log_compact_options options = {.map_bytes_max = (size_t)(i % 2 ? 16 * 24 : 1 << 20),
                                              .seed = 1};
        struct log_compacted out;
        struct err err = {0};
        if (!log_compact(c->log, io_now_ms(io_real()), &options, &out, &err)) {
            fprintf(stderr, "compact: %s\n", err.text);
            abort();
        }
        if (i % 5 == 0)
            log_close_files(c->log, true);
        if (i % 7 == 0)
            ASSERT(log_retain(c->log, io_now_ms(io_real()), NULL, NULL));
    }
    return NULL;
}

static void test_compaction_beside(void **state)
{
    char root[] = "/tmp/rialto-test-log-XXXXXX", dir[64];
    assert_non_null(mkdtemp(root));
    snprintf(dir, sizeof dir, "%s/t-0", root);
    struct compacted c = {0};
    struct log_config config = log_config_default();
    config.segment_bytes = 2000;
    config.index_interval_bytes = 150;
    config.checkpoint_bytes = 5000;
    config.retention_on = false;
    config.compaction_on = true;
    struct err err = {0};
    for (int k = 0; k < KEYS; k++) {
        atomic_init(&c.last[k], -1);
        atomic_init(&c.newest[k], -1);
    }
    c.log = log_open(dir, "t-0", &config, io_real(), &err);
    if (c.log == NULL)
        fail_msg("%s", err.text);
    static void *(*const what[])(void *) = {append_keys, read_anywhere, read_anywhere, compact_all_the_time};
    pthread_t threads[COUNT_OF(what)];
    for (size_t i = 0; i < COUNT_OF(what); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, what[i], &c), 0);
    for (size_t i = 0; i < COUNT_OF(what); i++)
        pthread_join(threads[i], NULL);
    struct log_compact_options options = {.map_bytes_max = 1 << 20, .seed = 1};
    struct log_compacted out;
    assert_true(log_compact(c.log, io_now_ms(io_real()), &options, &out, &err));
    assert_true(log_size_bytes(c.log) < 5000); /* the keys, and the segment that is written to */
    log_close(c.log);
    assert_true(io_remove_tree(io_real(), root, &err));
}

int main(void)
{
    log_level_set(LOG_WARN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_producers_expire),
        cmocka_unit_test(test_compaction_beside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
