/* dump.c - segments, indexes and checkpoints as text, in the manner of Kafka's DumpLogSegments. Reads only;
 * any file may be damaged, and the text says where. */
#include "log/log_int.h"

#include <stdio.h>
#include <stdlib.h>

struct dump {
    struct io *io;
    int flags;
    struct buf *out;
    void (*flush)(struct buf *out, void *arg);
    void *arg;
};

enum { DUMP_FLUSH_BYTES = 64 << 10 };

static void dump_flush(struct dump *dump, size_t bytes_min)
{
    if (dump->flush == NULL || dump->out->len < bytes_min)
        return;
    dump->flush(dump->out, dump->arg);
    buf_clear(dump->out);
}

/* One batch at `pos`; false when it is not whole or makes no sense: the walk ends there. */
static bool dump_batch(struct dump *dump, int fd, const char *path, uint64_t pos, uint64_t size,
                       struct buf *bytes, int64_t *next_offset, uint64_t *next_pos)
{
    struct err err = {0};
    struct batch batch;
    char header[BATCH_HEADER_BYTES];
    bool ok = size - pos >= sizeof header
                  ? io_read_all(dump->io, fd, header, sizeof header, pos, path, &err) &&
                        batch_open_header(header, &batch, &err)
                  : err_set(&err, ERR_CORRUPT, "%llu bytes are no batch", (unsigned long long)(size - pos));
    size_t batch_bytes = ok ? batch_size(header) : 0;
    if (ok && batch_bytes > size - pos)
        ok = err_set(&err, ERR_CORRUPT, "the batch has %zu bytes, %llu are there", batch_bytes,
                     (unsigned long long)(size - pos));
    buf_clear(bytes);
    ok = ok && io_read_all(dump->io, fd, buf_extend(bytes, batch_bytes), batch_bytes, pos, path, &err) &&
         batch_open(buf_str(bytes), &batch, &err);
    if (!ok) {
        buf_printf(dump->out, "position: %llu damaged: %s\n", (unsigned long long)pos, err.text);
        return false;
    }
    buf_printf(dump->out, "position: %llu ", (unsigned long long)pos);
    batch_print(dump->out, &batch, (dump->flags & LOG_DUMP_RECORDS) != 0);
    if ((dump->flags & LOG_DUMP_CHECK) &&
        (!batch_check_crc(&batch, &err) || batch.base_offset < *next_offset))
        buf_printf(dump->out, "damaged: %s\n",
                   err.code != ERR_NONE ? err.text : "offset is not larger than the one before");
    *next_offset = batch_last_offset(&batch) + 1;
    *next_pos = pos + batch_bytes;
    return true;
}

static bool dump_segment(struct dump *dump, const char *path, struct err *err)
{
    struct io_stat st;
    struct buf bytes = {0};
    int64_t next_offset = 0;
    int fd = io_open(dump->io, path, IO_READ);
    if (fd < 0)
        return err_set_errno(err, -fd, "%s: cannot be opened", path);
    int rc = io_fstat(dump->io, fd, &st);
    for (uint64_t pos = 0; rc == 0 && pos < st.size;) {
        if (!dump_batch(dump, fd, path, pos, st.size, &bytes, &next_offset, &pos))
            break;
        dump_flush(dump, DUMP_FLUSH_BYTES);
    }
    io_close(dump->io, fd);
    buf_fini(&bytes);
    return rc == 0 || err_set_errno(err, -rc, "%s: cannot be looked at", path);
}

static void print_index(struct buf *out, struct str bytes, int64_t base)
{
    for (size_t at = 0; at + LOG_INDEX_ENTRY_BYTES <= bytes.len; at += LOG_INDEX_ENTRY_BYTES)
        buf_printf(out, "offset: %lld position: %u\n", (long long)(base + load_be32(bytes.ptr + at)),
                   load_be32(bytes.ptr + at + 4));
}

static void print_times(struct buf *out, struct str bytes, int64_t base)
{
    for (size_t at = 0; at + LOG_TIME_ENTRY_BYTES <= bytes.len; at += LOG_TIME_ENTRY_BYTES)
        buf_printf(out, "timestamp: %lld offset: %lld\n", (long long)load_be64(bytes.ptr + at),
                   (long long)(base + load_be32(bytes.ptr + at + 8)));
}

static void print_aborted(struct buf *out, struct str bytes, int64_t base)
{
    for (size_t at = 0; at + LOG_ABORTED_ENTRY_BYTES <= bytes.len; at += LOG_ABORTED_ENTRY_BYTES) {
        const char *p = bytes.ptr + at + 2;
        buf_printf(out,
                   "version: %u producerId: %lld firstOffset: %lld lastOffset: %lld lastStableOffset: %lld\n",
                   load_be16(bytes.ptr + at), (long long)load_be64(p), (long long)load_be64(p + 8),
                   (long long)load_be64(p + 16), (long long)load_be64(p + 24));
    }
}

static void print_checkpoint(struct buf *out, struct str bytes, int64_t base)
{
    checkpoint_print(out, bytes);
}

static const struct {
    const char *suffix;
    void (*print)(struct buf *out, struct str bytes, int64_t base);
} dump_kinds[] = {
    {".timeindex", print_times},
    {".txnindex", print_aborted},
    {".index", print_index},
    {"checkpoint", print_checkpoint},
};

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

static bool dump_file(struct dump *dump, const char *path, struct err *err)
{
    enum { FILE_BYTES_MAX = 256 << 20 };
    if (str_ends_with(str_from(path), STR(".log")))
        return dump_segment(dump, path, err);
    for (size_t i = 0; i < COUNT_OF(dump_kinds); i++) {
        if (!str_ends_with(str_from(path), str_from(dump_kinds[i].suffix)))
            continue;
        struct buf bytes = {0};
        bool ok = io_read_file(dump->io, path, FILE_BYTES_MAX, &bytes, err);
        if (ok)
            dump_kinds[i].print(dump->out, buf_str(&bytes), base_of(path));
        dump_flush(dump, DUMP_FLUSH_BYTES);
        buf_fini(&bytes);
        return ok;
    }
    return err_set(err, ERR_USAGE,
                   "%s: neither a partition's directory nor one of its files (.log, .index, .timeindex, "
                   ".txnindex, checkpoint)",
                   path);
}

struct names {
    vec(char *) list;
};

static void names_add(void *arg, const char *name)
{
    struct names *names = arg;
    vec_push(&names->list, mem_dup(name, strlen(name) + 1));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool dump_wanted(const struct dump *dump, struct str name)
{
    if (str_ends_with(name, STR(".log")))
        return true;
    return (dump->flags & LOG_DUMP_INDEX) &&
           (str_ends_with(name, STR("index")) || str_eq(name, STR("checkpoint")));
}

static bool dump_dir(struct dump *dump, const char *dir, struct err *err)
{
    struct names names = {0};
    bool ok = true;
    int rc = io_list(dump->io, dir, names_add, &names);
    if (rc < 0)
        ok = err_set_errno(err, -rc, "%s: cannot be listed", dir);
    if (names.list.len != 0)
        qsort(names.list.at, names.list.len, sizeof(char *), by_name);
    for (size_t i = 0; i < names.list.len; i++) {
        char path[LOG_PATH_BYTES];
        snprintf(path, sizeof path, "%s/%s", dir, names.list.at[i]);
        if (ok && dump_wanted(dump, str_from(names.list.at[i]))) {
            buf_printf(dump->out, "%s\n", path);
            ok = dump_file(dump, path, err);
        }
        free(names.list.at[i]);
    }
    vec_fini(&names.list);
    return ok;
}

bool log_dump(const char *path, int flags, struct io *io, struct buf *out,
              void (*flush)(struct buf *out, void *arg), void *arg, struct err *err)
{
    struct dump dump = {io, flags, out, flush, arg};
    struct io_stat st;
    int rc = io_stat(io, path, &st);
    if (rc < 0)
        return err_set_errno(err, -rc, "%s: cannot be looked at", path);
    bool ok = st.is_dir ? dump_dir(&dump, path, err) : dump_file(&dump, path, err);
    dump_flush(&dump, 1);
    return ok;
}
