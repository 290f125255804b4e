/* dump_index.c - the entries of index files as items, each checked against its neighbours and, where the segment lies
 * beside it, against the batch that it points to. */
#include "log/log_int.h"

#include <stdio.h>

/* The number that a file name starts with; 0 when it does not. */
static int64_t base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct str name = str_from(slash != NULL ? slash + 1 : path);
    ptrdiff_t dot = str_find_char(name, '.');
    int64_t base = 0;
    ignore(dot < 0 || !str_to_i64(str_sub(name, 0, (size_t)dot), &base),
           "a renamed file is shown from offset 0");
    return base;
}

/* Bytes behind the last whole entry. */
static void tell_rest(struct log_dump *dump, struct str bytes, size_t entry_bytes)
{
    size_t rest = bytes.len % entry_bytes;
    if (rest == 0)
        return;
    dump->damaged++;
    describe_damage(dump->out, (int64_t)(bytes.len - rest), 0, rest, "too few bytes for an entry");
}

static void tell_check(struct log_dump *dump, const struct err *why)
{
    dump->damaged += why->code != ERR_NONE;
    describe_check(dump->out, why->code == ERR_NONE, why->text);
    describe_end(dump->out);
}

/* The segment of an index, when it is there; -1 otherwise. */
static int open_segment(struct log_dump *dump, const char *path, uint64_t *size)
{
    char log_file[LOG_PATH_BYTES];
    struct io_stat st;
    snprintf(log_file, sizeof log_file, "%.*slog", (int)(strlen(path) - strlen("index")), path);
    int fd = io_open(dump->io, log_file, IO_READ);
    if (fd < 0)
        return -1;
    *size = io_fstat(dump->io, fd, &st) == 0 ? st.size : 0;
    return fd;
}

/* Does the batch with this offset begin at this position? */
static void check_place(struct log_dump *dump, int fd, const char *path, uint64_t size, uint32_t pos,
                        int64_t offset, struct err *why)
{
    char header[BATCH_HEADER_BYTES];
    struct batch batch;
    if (pos + sizeof header > size)
        err_set(why, ERR_CORRUPT, "the position is behind the end of the segment");
    else if (io_read_all(dump->io, fd, header, sizeof header, pos, path, why) &&
             batch_open_header(header, &batch, why) && batch.base_offset != offset)
        err_set(why, ERR_CORRUPT, "the batch there begins with offset %lld", (long long)batch.base_offset);
}

void dump_index(struct log_dump *dump, const char *path, struct str bytes)
{
    int64_t base = base_of(path);
    uint64_t size = 0;
    int fd = open_segment(dump, path, &size);
    uint32_t last_delta = 0, last_pos = 0;
    for (size_t at = 0; at + LOG_INDEX_ENTRY_BYTES <= bytes.len; at += LOG_INDEX_ENTRY_BYTES) {
        uint32_t delta = load_be32(bytes.ptr + at), pos = load_be32(bytes.ptr + at + 4);
        struct err why = {0};
        if (at != 0 && (delta <= last_delta || pos <= last_pos))
            err_set(&why, ERR_CORRUPT, "not larger than the entry before");
        else if (fd >= 0)
            check_place(dump, fd, path, size, pos, base + delta, &why);
        describe_begin(dump->out, (int64_t)at, 0, "entry");
        describe_number(dump->out, "offset", base + delta);
        describe_number(dump->out, "position", pos);
        tell_check(dump, &why);
        last_delta = delta;
        last_pos = pos;
    }
    tell_rest(dump, bytes, LOG_INDEX_ENTRY_BYTES);
    if (fd >= 0)
        io_close(dump->io, fd);
}

void dump_times(struct log_dump *dump, const char *path, struct str bytes)
{
    int64_t base = base_of(path), last_ms = -1;
    uint32_t last_delta = 0;
    for (size_t at = 0; at + LOG_TIME_ENTRY_BYTES <= bytes.len; at += LOG_TIME_ENTRY_BYTES) {
        int64_t time_ms = (int64_t)load_be64(bytes.ptr + at);
        uint32_t delta = load_be32(bytes.ptr + at + 8);
        struct err why = {0};
        if (at != 0 && (time_ms <= last_ms || delta <= last_delta))
            err_set(&why, ERR_CORRUPT, "not larger than the entry before");
        describe_begin(dump->out, (int64_t)at, 0, "entry");
        describe_number(dump->out, "timestamp_ms", time_ms);
        describe_number(dump->out, "offset", base + delta);
        tell_check(dump, &why);
        last_ms = time_ms;
        last_delta = delta;
    }
    tell_rest(dump, bytes, LOG_TIME_ENTRY_BYTES);
}

void dump_aborted(struct log_dump *dump, const char *path, struct str bytes)
{
    for (size_t at = 0; at + LOG_ABORTED_ENTRY_BYTES <= bytes.len; at += LOG_ABORTED_ENTRY_BYTES) {
        const char *p = bytes.ptr + at + 2;
        int64_t first = (int64_t)load_be64(p + 8), last = (int64_t)load_be64(p + 16);
        struct err why = {0};
        if (load_be16(bytes.ptr + at) != 0)
            err_set(&why, ERR_UNSUPPORTED_FORMAT, "the version is not known");
        else if (first > last)
            err_set(&why, ERR_CORRUPT, "the transaction ends before it begins");
        describe_begin(dump->out, (int64_t)at, 0, "aborted");
        describe_number(dump->out, "version", load_be16(bytes.ptr + at));
        describe_number(dump->out, "producer_id", (int64_t)load_be64(p));
        describe_number(dump->out, "first_offset", first);
        describe_number(dump->out, "last_offset", last);
        describe_number(dump->out, "last_stable_offset", (int64_t)load_be64(p + 24));
        tell_check(dump, &why);
    }
    tell_rest(dump, bytes, LOG_ABORTED_ENTRY_BYTES);
}
