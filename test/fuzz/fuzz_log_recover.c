/* fuzz_log_recover.c - any bytes as one of a partition's files, beside good others: a dump reads it, the log opens, what it
 * serves is whole and in order, it takes appends, and it opens again to the same. The first byte picks the
 * file. */
#include <stdint.h>

#include "log/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const files[] = {"00000000000000000000.log",
                                    "00000000000000000000.index",
                                    "00000000000000000000.timeindex",
                                    "00000000000000000000.txnindex",
                                    "checkpoint",
                                    "00000000000000000003.log",
                                    "swap",
                                    "00000000000000000000.cleaned"};

static void append_one(struct log *log)
{
    struct batch_builder builder = {0};
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    struct log_append_result result;
    struct str bytes;
    struct err err;
    batch_builder_begin(&builder, &spec);
    batch_builder_add(&builder, 1000, STR("key"), STR("value"), NULL, 0);
    ASSERT(batch_builder_finish(&builder, &bytes, &err));
    ASSERT(log_append(log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, &err));
    batch_builder_fini(&builder);
}

static void read_all(struct log *log)
{
    struct buf bytes = {0};
    struct err err = {0};
    for (int64_t offset = log_start_offset(log), before = -1; offset != before;) {
        struct log_slice slice;
        struct batch batch;
        before = offset;
        buf_clear(&bytes);
        if (!log_read(log, offset, 1000, LOG_APPENDED, &slice, &err))
            break; /* bytes below a good checkpoint are trusted: their damage is an error of the read */
        ASSERT(log_slice_read(log, &slice, &bytes, &err));
        log_slice_release(&slice);
        for (struct str rest = buf_str(&bytes); batch_next(&rest, &batch, &err);)
            offset = MAX(offset, batch_last_offset(&batch) + 1);
    }
    struct log_time_hit hit;
    ignore(log_offset_for_time(log, 500, LOG_UP_TO_HW, &hit, &err), "either may be");
    buf_fini(&bytes);
}

static struct log *open_log(struct io *io)
{
    struct log_config config = log_config_default();
    config.index_interval_bytes = 100;
    struct err err;
    struct log *log = log_open("t-0", "t-0", &config, io, &err);
    if (log == NULL)
        assert_failed(__FILE__, __LINE__, "log_open", "%s", err.text);
    return log;
}

static void write_file(struct io *io, const char *name, const uint8_t *data, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "t-0/%s", name);
    int fd = io_open(io, path, IO_WRITE | IO_CREATE | IO_TRUNCATE);
    struct iovec part = {(void *)data, size};
    ASSERT(fd >= 0 && io_write_all(io, fd, &part, 1, 0, path, NULL));
    io_close(io, fd);
}

static void dump_all(struct io *io)
{
    struct buf text = {0};
    struct describe_lines lines;
    struct err err;
    describe_lines_init(&lines, &text);
    struct log_dump dump = {
        .io = io, .out = &lines.describe, .records = true, .indexes = true, .batches_max = -1};
    if (!log_dump("t-0", &dump, &err))
        assert_failed(__FILE__, __LINE__, "log_dump", "%s", err.text);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    log_level_set(LOG_OFF);
    if (size == 0)
        return 0;
    struct io_memory *mem = io_memory_new(1);
    struct io *io = io_memory_io(mem);
    struct log *log = open_log(io);
    for (int i = 0; i < 4; i++)
        append_one(log);
    log_close(log);
    struct buf mended = {0};
    buf_append(&mended, data + 1, size - 1);
    if (data[0] % COUNT_OF(files) == 6 &&
        mended.len >= 12) /* the swap file: what is behind its checksum is looked at */
        store_be32(mended.ptr + 8, hash_crc32c(0, mended.ptr + 12, mended.len - 12));
    write_file(io, files[data[0] % COUNT_OF(files)], (const uint8_t *)mended.ptr, mended.len);
    buf_fini(&mended);
    dump_all(io);
    log = open_log(io);
    read_all(log);
    append_one(log);
    ASSERT(log_sync(log, NULL));
    int64_t end = log_end_offset(log);
    log_close(log);
    log = open_log(io);
    ASSERT_CMP(log_end_offset(log), ==, end);
    read_all(log);
    log_close(log);
    io_memory_free(mem);
    return 0;
}
