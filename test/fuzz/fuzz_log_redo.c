/* fuzz_log_redo.c - any bytes as what was durable of a log elsewhere: the log takes what fits and stays whole; it opens again
 * to the same, and redoing it a second time changes nothing. */
#include <stdint.h>

#include "io/io.h"
#include "log/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void append_one(struct log *log)
{
    struct batch_builder builder = {0};
    struct log_append_result result;
    struct str bytes;
    struct err err;
    batch_builder_begin(&builder, &BATCH_SPEC_PLAIN);
    batch_builder_add(&builder, 1000, STR("key"), STR("value"), NULL, 0);
    ASSERT(batch_builder_finish(&builder, &bytes, &err));
    ASSERT(log_append(log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, &err));
    batch_builder_fini(&builder);
}

/* All of the log, which is whole and in order. */
static void read_log(struct log *log, struct buf *out)
{
    struct err err = {0};
    int64_t offset = 0;
    while (offset < log_end_offset(log)) {
        struct log_slice slice;
        struct batch batch;
        size_t before = out->len;
        ASSERT(log_read(log, offset, 1000, LOG_APPENDED, &slice, &err) && slice.base_offset == offset);
        ASSERT(log_slice_read(log, &slice, out, &err));
        log_slice_release(&slice);
        for (struct str rest = str_sub(buf_str(out), before, SIZE_MAX); batch_next(&rest, &batch, &err);) {
            ASSERT(batch.base_offset == offset && batch_check_crc(&batch, &err));
            offset = batch_last_offset(&batch) + 1;
        }
    }
}

static struct log *open_log(struct io *io, bool later)
{
    struct log_config config = log_config_default();
    struct err err;
    config.durability = LOG_FSYNC;
    config.settle_later = later;
    struct log *log = log_open("t-0", "t-0", &config, io, &err);
    ASSERT(log != NULL);
    return log;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct io_memory *mem = io_memory_new(1);
    struct io *io = io_memory_io(mem);
    struct buf first = {0}, second = {0};
    struct err err = {0};
    struct str bytes = str_of((const char *)data, size);
    log_level_set(LOG_OFF);
    struct log *log = open_log(io, false);
    append_one(log);
    log_close(log);
    log = open_log(io, true);
    ignore(!log_redo(log, bytes, &err), "it may be refused");
    if (log_is_unsettled(log))
        ASSERT(log_settle(log, false, &err));
    read_log(log, &first);
    log_close(log);
    io_memory_cut(mem, IO_CUT_LOSE);
    log = open_log(io, true);
    ignore(!log_redo(log, bytes, &err), "as before");
    read_log(log, &second);
    ASSERT(first.len == second.len && memcmp(first.ptr, second.ptr, first.len) == 0);
    log_close(log);
    buf_fini(&first);
    buf_fini(&second);
    io_memory_free(mem);
    return 0;
}
