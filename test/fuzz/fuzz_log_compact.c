/* fuzz_log_compact.c - any batches as a log, then compaction, twice, with little memory for keys.
 *
 * Checksums of the input are made right, so that what is inside of a batch is judged and not only its checksum. Recovery takes
 * what it can of it. After compaction: nothing that was not there before, at its old offset; the last value of a key that no
 * transaction speaks of is there; it opens again to the same.
 */
#include <stdint.h>

#include "log/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A record as it is read: where and what. */
struct seen {
    int64_t offset;
    uint64_t hash;
    uint64_t key_hash;
    bool has_key, has_value, plain;
};

struct seen_list {
    vec(struct seen) list;
};

static void see_batch(const struct batch *batch, struct buf *plain, struct seen_list *out)
{
    struct batch_iter it;
    struct record rec;
    if (batch_is_control(batch) || !batch_iter_init(&it, batch, plain, NULL))
        return;
    while (batch_iter_next(&it, &rec))
        vec_push(&out->list, (struct seen){.offset = rec.offset,
                                           .hash = hash_str(rec.key) ^ hash_str(rec.value) * 3 ^
                                                   (uint64_t)rec.timestamp_ms * 5 ^ hash_str(rec.headers) * 7,
                                           .key_hash = hash_str(rec.key),
                                           .has_key = !str_is_null(rec.key),
                                           .has_value = !str_is_null(rec.value),
                                           .plain = !batch_is_transactional(batch)});
}

static void see_log(struct log *log, struct seen_list *out)
{
    struct buf bytes = {0}, plain = {0};
    struct err err = {0};
    out->list.len = 0;
    for (int64_t offset = log_start_offset(log), before = -1; offset != before;) {
        struct log_slice slice;
        struct batch batch;
        before = offset;
        buf_clear(&bytes);
        ASSERT(log_read(log, offset, 1000, LOG_APPENDED, &slice, &err));
        ASSERT(log_slice_read(log, &slice, &bytes, &err));
        log_slice_release(&slice);
        for (struct str rest = buf_str(&bytes); batch_next(&rest, &batch, &err);) {
            ASSERT(batch_last_offset(&batch) >= offset && batch_check_crc(&batch, &err));
            offset = batch_last_offset(&batch) + 1;
            see_batch(&batch, &plain, out);
        }
    }
    buf_fini(&bytes);
    buf_fini(&plain);
}

static const struct seen *find(const struct seen_list *list, const struct seen *wanted)
{
    for (size_t i = 0; i < list->list.len; i++)
        if (list->list.at[i].offset == wanted->offset && list->list.at[i].hash == wanted->hash)
            return &list->list.at[i];
    return NULL;
}

static void compare(const struct seen_list *before, const struct seen_list *after)
{
    for (size_t i = 0; i < after->list.len; i++)
        ASSERT(find(before, &after->list.at[i]) != NULL);
    for (size_t i = 0; i < before->list.len; i++) {
        const struct seen *seen = &before->list.at[i];
        bool last = seen->has_key && seen->has_value && seen->plain;
        for (size_t k = 0; last && k < before->list.len; k++)
            last = before->list.at[k].key_hash != seen->key_hash ||
                   before->list.at[k].offset < seen->offset || k == i;
        ASSERT(!last || find(after, seen) != NULL);
    }
}

/* Right checksums, as far as the lengths make sense. */
static void mend(struct buf *bytes)
{
    for (size_t pos = 0; pos + BATCH_HEADER_BYTES <= bytes->len;) {
        size_t size = batch_size(bytes->ptr + pos);
        if (size == 0 || size > bytes->len - pos)
            return;
        store_be32(bytes->ptr + pos + 17, hash_crc32c(0, bytes->ptr + pos + 21, size - 21));
        pos += size;
    }
}

static struct log *open_log(struct io *io)
{
    struct log_config config = log_config_default();
    struct err err;
    config.segment_bytes = 1000;
    config.index_interval_bytes = 100;
    config.retention_on = false;
    config.compaction_on = true;
    config.delete_retention_ms = 0;
    struct log *log = log_open("t-0", "t-0", &config, io, &err);
    if (log == NULL)
        assert_failed(__FILE__, __LINE__, "log_open", "%s", err.text);
    return log;
}

/* A record in a segment of its own: what came before is closed. */
static void close_segment(struct log *log)
{
    struct batch_builder builder = {0};
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    struct log_append_result result;
    struct log_config config = log_get_config(log), small = config;
    struct str bytes;
    small.segment_bytes = 100;
    log_set_config(log, &small);
    batch_builder_begin(&builder, &spec);
    batch_builder_add(&builder, 1000, STR("the last key"), STR("v"), NULL, 0);
    ASSERT(batch_builder_finish(&builder, &bytes, NULL));
    ASSERT(log_append(log, (char *)bytes.ptr, bytes.len, LOG_INTERNAL, &result, NULL));
    batch_builder_fini(&builder);
    log_set_config(log, &config);
}

static void compact(struct log *log, struct io *io)
{
    struct log_compact_options options = {.map_bytes_max = 16 * 24, .seed = 1};
    struct log_compacted out;
    struct err err = {0};
    struct seen_list before = {0}, after = {0};
    ASSERT(log_sync(log, NULL));
    see_log(log, &before);
    if (log_compact(log, io_now_ms(io), &options, &out,
                    &err)) /* else records that cannot be read: nothing changed */
        ASSERT(!out.stopped);
    see_log(log, &after);
    compare(&before, &after);
    if (err.code != ERR_NONE)
        ASSERT_CMP(log_end_offset(log), >, 0);
    vec_fini(&before.list);
    vec_fini(&after.list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { INPUT_BYTES_MAX = 20000 };
    log_level_set(LOG_OFF);
    if (size > INPUT_BYTES_MAX)
        return 0;
    struct io_memory *mem = io_memory_new(1);
    struct io *io = io_memory_io(mem);
    struct buf bytes = {0};
    buf_append(&bytes, data, size);
    mend(&bytes);
    ASSERT(io_mkdir(io, "t-0") == 0);
    int fd = io_open(io, "t-0/00000000000000000000.log", IO_WRITE | IO_CREATE);
    struct iovec part = {bytes.ptr, bytes.len};
    ASSERT(fd >= 0 && (bytes.len == 0 || io_write_all(io, fd, &part, 1, 0, "t-0", NULL)));
    io_close(io, fd);
    struct log *log = open_log(io);
    if (log_end_offset(log) < INT64_MAX / 4) { /* room for what is appended here */
        close_segment(log);
        compact(log, io);
        close_segment(log);
        compact(log, io);
    }
    int64_t end = log_end_offset(log);
    log_close(log);
    log = open_log(io);
    ASSERT_CMP(log_end_offset(log), ==, end);
    log_close(log);
    buf_fini(&bytes);
    io_memory_free(mem);
    return 0;
}
