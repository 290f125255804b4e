/* log_test.h - what the tests of the log share: a log on a disk in memory, batches to append, reading back.
 * */
#ifndef RIALTO_TEST_LOG_TEST_H
#define RIALTO_TEST_LOG_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "log/log.h"

struct world {
    struct io_memory *mem;
    struct io_faulty *faulty;
    struct io *io;
    struct log_config config;
    struct log *log;
    struct batch_builder builder;
};

static inline void world_open(struct world *w)
{
    struct err err = {0};
    w->log = log_open("logs/t-0", "t-0", &w->config, w->io, &err);
    if (w->log == NULL)
        fail_msg("open: %s", err.text);
}

static inline void world_init(struct world *w, uint64_t seed)
{
    *w = (struct world){.mem = io_memory_new(seed), .config = log_config_default()};
    w->faulty = io_faulty_new(io_memory_io(w->mem));
    w->io = io_faulty_io(w->faulty);
}

static inline void world_fini(struct world *w)
{
    log_close(w->log);
    batch_builder_fini(&w->builder);
    io_faulty_free(w->faulty);
    io_memory_free(w->mem);
}

static inline void world_reopen(struct world *w)
{
    log_close(w->log);
    world_open(w);
}

/* The process dies, the power goes or not, and everything starts again without faults. */
static inline void world_crash(struct world *w, enum io_cut cut)
{
    log_abandon(w->log);
    io_memory_cut(w->mem, cut);
    io_faulty_script(w->faulty, IO_FAULT_EIO, 1, 0);
    world_open(w);
}

/* A batch of `count` records with key "k" and values "<first>", "<first + 1>", ... at timestamp + i. */
static inline struct str world_batch(struct world *w, const struct batch_spec *spec, int first, int count,
                                     int64_t timestamp_ms)
{
    struct str bytes;
    batch_builder_begin(&w->builder, spec);
    for (int i = 0; i < count; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", first + i);
        batch_builder_add(&w->builder, timestamp_ms + i, STR("k"), str_from(value), NULL, 0);
    }
    assert_true(batch_builder_finish(&w->builder, &bytes, NULL));
    return bytes;
}

static inline bool world_append_spec(struct world *w, const struct batch_spec *spec, int first, int count,
                                     int64_t timestamp_ms, struct log_append_result *result, struct err *err)
{
    struct str bytes = world_batch(w, spec, first, count, timestamp_ms);
    return log_append(w->log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, result, err);
}

/* Appends plain records that must be accepted; gives the base offset. */
static inline int64_t world_append(struct world *w, int first, int count, int64_t timestamp_ms)
{
    struct log_append_result result;
    struct err err = {0};
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    if (!world_append_spec(w, &spec, first, count, timestamp_ms, &result, &err))
        fail_msg("append: %s", err.text);
    return result.base_offset;
}

static inline void world_sync(struct world *w)
{
    struct err err = {0};
    if (!log_sync(w->log, &err))
        fail_msg("sync: %s", err.text);
}

/* All batches from `offset` to the isolation's end; every batch must be whole, checked and in order. */
static inline void world_read(struct world *w, int64_t offset, size_t bytes_max, enum log_isolation isolation,
                              struct buf *out)
{
    struct err err = {0};
    for (;;) {
        struct log_slice slice;
        if (!log_read(w->log, offset, bytes_max, isolation, &slice, &err))
            fail_msg("read at %lld: %s", (long long)offset, err.text);
        struct buf bytes = {0};
        if (!log_slice_read(w->log, &slice, &bytes, &err))
            fail_msg("slice: %s", err.text);
        log_slice_release(&slice);
        struct str rest = buf_str(&bytes);
        struct batch batch;
        bool any = false;
        while (batch_next(&rest, &batch, &err)) {
            assert_true(batch_check_crc(&batch, &err));
            assert_true(any || batch_last_offset(&batch) >= offset);
            assert_true(!any || (w->config.compaction_on ? batch.base_offset >= offset
                                                         : batch.base_offset == offset));
            offset = batch_last_offset(&batch) + 1;
            buf_append_str(out, batch.bytes);
            any = true;
        }
        assert_int_equal(err.code, ERR_NONE);
        buf_fini(&bytes);
        if (!any)
            return;
    }
}

/* Text "offset=value offset=value ..." of all data records from `offset` on. */
static inline void world_print(struct world *w, int64_t offset, enum log_isolation isolation, struct buf *out)
{
    struct buf bytes = {0};
    struct batch batch;
    world_read(w, offset, 200, isolation, &bytes);
    for (struct str rest = buf_str(&bytes); batch_next(&rest, &batch, NULL);) {
        struct batch_iter it;
        struct record rec;
        struct buf plain = {0};
        assert_true(batch_iter_init(&it, &batch, &plain, NULL));
        while (!batch_is_control(&batch) && batch_iter_next(&it, &rec))
            buf_printf(out, "%s%lld=%.*s", out->len != 0 ? " " : "", (long long)rec.offset,
                       STR_ARG(rec.value));
        buf_fini(&plain);
    }
    buf_fini(&bytes);
}

static inline void assert_records(struct world *w, int64_t offset, enum log_isolation isolation,
                                  const char *expect)
{
    struct buf text = {0};
    world_print(w, offset, isolation, &text);
    assert_string_equal(text.len != 0 ? text.ptr : "", expect);
    buf_fini(&text);
}

/* From every seventh offset exactly the one batch that holds it, whatever the index knows. */
static inline void check_all_readable(struct world *w, int count)
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

/* The first record at or after time_ms, or a LOG_TIME_... */
static inline void assert_time(struct world *w, int64_t time_ms, enum log_isolation isolation, int64_t offset,
                               int64_t timestamp_ms)
{
    struct log_time_hit hit;
    struct err err = {0};
    if (!log_offset_for_time(w->log, time_ms, isolation, &hit, &err))
        fail_msg("%s", err.text);
    assert_int_equal(hit.offset, offset);
    assert_int_equal(hit.timestamp_ms, timestamp_ms);
}

/* Appends bytes behind the end of a file, without a sync. */
static inline void append_raw(struct world *w, const char *path, struct str bytes)
{
    struct io_stat st;
    int fd = io_open(w->io, path, IO_WRITE | IO_CREATE);
    assert_true(fd >= 0);
    assert_int_equal(io_fstat(w->io, fd, &st), 0);
    struct iovec part = {(void *)bytes.ptr, bytes.len};
    assert_true(io_write_all(w->io, fd, &part, 1, st.size, path, NULL));
    io_close(w->io, fd);
}

#endif
