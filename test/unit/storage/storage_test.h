/* storage_test.h - what tests over partitions share: a storage of their own, batches of words, what a reader sees. */
#ifndef RIALTO_TEST_STORAGE_TEST_H
#define RIALTO_TEST_STORAGE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/conf.h"
#include "io/io.h"
#include "log/log.h"
#include "loop/loop.h"
#include "metric/metric.h"
#include "record/record.h"
#include "storage/storage.h"

/* A storage of its own, one at a time: its loop does not run, so no timer fires; no option has a name, so topic configs have
 * Kafka's defaults. storage_open follows. */
static struct {
    struct loop *loop;
    struct metric_registry *metrics;
    struct storage_config config;
} owned;

static int64_t test_wal_bytes = 2 << 20; /* of the write-ahead log of the next storage; 0: there is none */

static inline struct storage *make_storage(struct io *io, enum storage_durability durability,
                                           struct storage_hooks hooks)
{
    static const struct conf_table no_options = {"none", NULL, 0, 0};
    owned.loop = loop_new("test");
    owned.metrics = metric_registry_new();
    owned.config = (struct storage_config){
        .data_dir = STR("/data"),
        .durability = (int)durability,
        .sync_threads = 2,
        .wal_bytes_max = test_wal_bytes,
        .num_partitions = 1,
        .producer_expiration_ms = INT32_MAX,
        .open_files_max = 2000,
    };
    struct storage_options options = {
        .config = &owned.config,
        .server_table = &no_options,
        .hooks = hooks,
        .io = io,
        .metrics = owned.metrics,
        .loop = owned.loop,
    };
    return storage_new(&options);
}

/* Ends its pools and its loop. */
static inline void end_storage(struct storage *storage)
{
    storage_stop_timers(storage);
    storage_stop(storage);
    loop_free(owned.loop);
}

static inline void free_storage(struct storage *storage)
{
    storage_free(storage);
    metric_registry_free(owned.metrics);
}

/* A batch with one record a word. */
static inline struct str make_batch_of(struct batch_builder *builder, const struct batch_spec *spec,
                                       const char *words)
{
    struct str rest = str_from(words), word, out;
    struct err err;
    batch_builder_begin(builder, spec);
    while (str_split(&rest, ' ', &word))
        batch_builder_add(builder, 1000, word, word, NULL, 0);
    assert_true(batch_builder_finish(builder, &out, &err));
    return out;
}

static inline struct str make_batch(struct batch_builder *builder, const char *words)
{
    return make_batch_of(builder, &BATCH_SPEC_PLAIN, words);
}

static inline struct partition *open_partition(struct storage *storage, const char *topic, int32_t id)
{
    struct err err;
    struct partition *part = storage_partition_get(storage, str_from(topic), id, &err);
    assert_non_null(part);
    return part;
}

/* Values that a reader of this isolation sees, joined by blanks; aborted data is left out as a client would. */
static inline struct str read_all(struct partition *part, enum log_isolation isolation, struct arena *arena)
{
    struct log *log = partition_log(part);
    struct buf bytes = {0}, plain = {0}, text = {0};
    struct log_aborted_list aborted = {0};
    struct log_slice slice;
    struct err err;
    int64_t offset = log_start_offset(log);
    for (;;) {
        buf_clear(&bytes);
        assert_true(log_read(log, offset, 1 << 20, isolation, &slice, &err));
        bool any = slice.len != 0;
        if (any)
            assert_true(log_slice_read(log, &slice, &bytes, &err));
        vec_clear(&aborted.list);
        if (isolation == LOG_READ_COMMITTED)
            log_aborted_in(log, offset, slice.lso, &aborted);
        log_slice_release(&slice);
        if (!any)
            break;
        struct str rest = buf_str(&bytes);
        struct batch batch;
        while (rest.len != 0) {
            size_t size = batch_size(rest.ptr);
            assert_true(batch_open(str_sub(rest, 0, size), &batch, &err));
            rest = str_sub(rest, size, rest.len);
            offset = batch_last_offset(&batch) + 1;
            bool dropped = batch_is_control(&batch);
            for (size_t i = 0; i < aborted.list.len; i++)
                dropped = dropped || (batch_is_transactional(&batch) && aborted.list.at[i].pid == batch.pid &&
                                      aborted.list.at[i].first_offset <= batch.base_offset &&
                                      batch.base_offset < aborted.list.at[i].last_offset);
            struct batch_iter it;
            struct record rec;
            assert_true(batch_iter_init(&it, &batch, &plain, &err));
            while (!dropped && batch_iter_next(&it, &rec))
                buf_printf(&text, "%s%.*s", text.len ? " " : "", STR_ARG(rec.value));
        }
    }
    struct str out = str_dup(buf_str(&text), arena);
    buf_fini(&bytes);
    buf_fini(&plain);
    buf_fini(&text);
    vec_fini(&aborted.list);
    return out;
}

#define assert_reads(part, isolation, text)                                 \
    do {                                                                    \
        struct arena reads_arena = {0};                                     \
        struct str reads_got = read_all((part), (isolation), &reads_arena); \
        assert_string_equal(reads_got.ptr, (text));                         \
        arena_fini(&reads_arena);                                           \
    } while (0)

static inline bool append(struct partition *part, struct batch_builder *builder, const char *words,
                          int64_t *end)
{
    struct partition_appended out;
    struct err err;
    struct str batch = make_batch(builder, words);
    bool good = partition_append(part, (char *)batch.ptr, batch.len, &out, &err);
    if (good)
        *end = out.end_offset;
    return good;
}

#endif
