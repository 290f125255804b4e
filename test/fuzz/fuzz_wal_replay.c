/* fuzz_wal_replay.c - any bytes as a file of the write-ahead log, or (first byte odd) as the entries of a frame with the right
 * checksum: what is visited lies in the file, with offsets that grow; a dump reads it; and it is written to afterwards. */
#include <stdint.h>

#include "wal/wal_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool visit(void *arg, const struct wal_entry *entry)
{
    uint32_t sum = hash_crc32c(0, entry->bytes.ptr, entry->bytes.len); /* all of it can be read */
    ASSERT(entry->base_offset >= 0 && entry->end_offset > entry->base_offset);
    *(uint32_t *)arg += sum;
    return true;
}

static bool settle(void *arg, const struct wal_key *key, int64_t end_offset)
{
    ASSERT(end_offset > 0);
    return true;
}

/* The file: a header, then one frame that holds the bytes. */
static void make_frame(struct buf *file, const uint8_t *data, size_t size)
{
    size = MIN(size, (size_t)WAL_FRAME_BYTES_MAX - WAL_FRAME_HEADER_BYTES);
    char *at = buf_extend(file, WAL_BLOCK_BYTES + wal_padded(WAL_FRAME_HEADER_BYTES + size));
    memset(at, 0, file->len);
    wal_header_encode(1, at);
    if (size != 0)
        memcpy(at + WAL_BLOCK_BYTES + WAL_FRAME_HEADER_BYTES, data, size);
    wal_frame_seal(at + WAL_BLOCK_BYTES,
                   &(struct wal_frame){.size = (uint32_t)(WAL_FRAME_HEADER_BYTES + size), .generation = 1});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char path[] = "wal/00000000000000000001.wal";
    struct io_memory *mem = io_memory_new(1);
    struct io *io = io_memory_io(mem);
    struct buf file = {0}, text = {0};
    struct err err = {0};
    uint32_t sum = 0;
    uint64_t damaged = 0;
    log_level_set(LOG_OFF);
    if (size > 0 && (data[0] & 1))
        make_frame(&file, data + 1, size - 1);
    else
        buf_append(&file, data, size);
    ASSERT(io_make_dirs(io, "wal", &err) && io_replace_file(io, "wal", path, buf_str(&file), &err));
    struct describe_lines lines;
    describe_lines_init(&lines, &text);
    ignore(!wal_dump(path, io, &lines.describe, &damaged, &err), "it may be no such file");
    struct wal_config config = {.dir = "wal", .file_bytes = 4 * WAL_BLOCK_BYTES, .file_max = 2};
    struct wal *wal = wal_open(&config, io, &err);
    if (wal != NULL) {
        ASSERT(wal_replay(wal, visit, &sum, &err));
        wal_reclaim(wal, settle, NULL);
        struct wal_entry entry = {.end_offset = 1, .bytes = STR("x")};
        char *room = wal_add(wal, &entry);
        ASSERT(room != NULL || wal_make_spare(wal, &err));
        if (room == NULL)
            room = wal_add(wal, &entry);
        *room = 'x';
        ASSERT(wal_commit(wal, &err));
        wal_close(wal);
    }
    buf_fini(&file);
    buf_fini(&text);
    io_memory_free(mem);
    return 0;
}
