/* dump.c - segments, indexes and checkpoints told as items, read-only: `rialto dump`.
 *
 *   log_dump
 *     a directory      its .log files, with `indexes` all files, by name
 *     .log, .cut, .cleaned   batch, batch, | damaged | batch ...     after damage: the next batch whose checksum fits
 *     other files            dump_index.c, checkpoint.c, swap.c
 *     *.deleted              as without that
 *
 * Any file may be damaged, cut or from somewhere else: what cannot be read is an item as well, and the walk goes on.
 */
#include "log/log_int.h"

#include <stdio.h>
#include <stdlib.h>

struct segment_dump {
    struct log_dump *dump;
    const char *path;
    int fd;
    uint64_t size;
    struct buf bytes;
    int64_t next_offset; /* the next batch must not begin below */
    int64_t batches;     /* told */
};

/* Reads the batch at `pos` into sd->bytes. False: *err says why there is none. */
static bool read_batch(struct segment_dump *sd, uint64_t pos, struct batch *batch, struct err *err)
{
    char header[BATCH_HEADER_BYTES];
    uint64_t left = sd->size - pos;
    if (left < sizeof header)
        return err_set(err, ERR_CORRUPT, "%llu bytes are too few for a batch", (unsigned long long)left);
    if (!io_read_all(sd->dump->io, sd->fd, header, sizeof header, pos, sd->path, err) ||
        !batch_open_header(header, batch, err))
        return false;
    size_t size = batch_size(header);
    if (size > left)
        return err_set(err, ERR_CORRUPT, "the batch says %zu bytes, %llu are there", size,
                       (unsigned long long)left);
    buf_clear(&sd->bytes);
    return io_read_all(sd->dump->io, sd->fd, buf_extend(&sd->bytes, size), size, pos, sd->path, err) &&
           batch_open(buf_str(&sd->bytes), batch, err);
}

static void tell_damage(struct segment_dump *sd, uint64_t pos, uint64_t end, const char *why)
{
    sd->dump->damaged++;
    describe_damage(sd->dump->out, (int64_t)pos, 0, end - pos, why);
}

/* One batch; false: its bytes are damaged, and where the next one begins is not known. */
static bool tell_batch(struct segment_dump *sd, uint64_t pos, const struct batch *batch)
{
    struct log_dump *dump = sd->dump;
    bool good = batch_check_crc(batch, NULL), grows = batch->base_offset >= sd->next_offset;
    if (batch_last_offset(batch) >= dump->from_offset) {
        struct batch_describe how = {(int64_t)pos, 0, dump->records, dump->record, dump->arg};
        if (!batch_describe(dump->out, batch, &how))
            dump->damaged++;
        sd->batches++;
    }
    if (good && !grows)
        tell_damage(sd, pos, pos, "the offset is not larger than the one before");
    if (good)
        sd->next_offset = batch_last_offset(batch) + 1;
    return good;
}

static bool dump_segment(struct log_dump *dump, const char *path, struct err *err)
{
    struct io_stat st;
    struct batch batch;
    struct segment_dump sd = {.dump = dump, .path = path, .next_offset = 0};
    sd.fd = io_open(dump->io, path, IO_READ);
    if (sd.fd < 0)
        return err_set_errno(err, -sd.fd, "%s: cannot be opened", path);
    int rc = io_fstat(dump->io, sd.fd, &st);
    sd.size = rc == 0 ? st.size : 0;
    for (uint64_t pos = 0; pos < sd.size && (dump->batches_max < 0 || sd.batches < dump->batches_max);) {
        struct err why = {0};
        bool readable = read_batch(&sd, pos, &batch, &why);
        if (readable && tell_batch(&sd, pos, &batch)) {
            pos += batch.bytes.len;
            continue;
        }
        uint64_t told = readable ? pos + batch.bytes.len : pos; /* its item stands there, with its check */
        uint64_t next = rescue_find(&(struct log_file){dump->io, sd.fd, path, sd.size}, pos + 1);
        if (next > told || !readable)
            tell_damage(&sd, told, next, readable ? "no batch" : why.text);
        pos = next;
    }
    io_close(dump->io, sd.fd);
    buf_fini(&sd.bytes);
    return rc == 0 || err_set_errno(err, -rc, "%s: cannot be looked at", path);
}

static const struct {
    const char *suffix;
    void (*tell)(struct log_dump *dump, const char *path, struct str bytes);
} dump_kinds[] = {
    {".timeindex", dump_times},      {".txnindex", dump_aborted}, {".index", dump_index},
    {"checkpoint", checkpoint_dump}, {"swap", swap_dump},
};

static bool dump_file(struct log_dump *dump, const char *path, struct err *err)
{
    enum { FILE_BYTES_MAX = 256 << 20 };
    struct str kind = str_from(path);
    if (str_ends_with(kind, STR(DOOMED_SUFFIX)))
        kind.len -= strlen(DOOMED_SUFFIX);
    if (str_ends_with(kind, STR(".log")) || str_ends_with(kind, STR(".cleaned")) ||
        str_ends_with(kind, STR(RESCUE_SUFFIX)))
        return dump_segment(dump, path, err);
    for (size_t i = 0; i < COUNT_OF(dump_kinds); i++) {
        if (!str_ends_with(kind, str_from(dump_kinds[i].suffix)))
            continue;
        struct buf bytes = {0};
        bool ok = io_read_file(dump->io, path, FILE_BYTES_MAX, &bytes, err);
        if (ok)
            dump_kinds[i].tell(dump, path, buf_str(&bytes));
        buf_fini(&bytes);
        return ok;
    }
    return err_set(err, ERR_USAGE,
                   "%s: neither a partition's directory nor one of its files (.log, .index, .timeindex, "
                   ".txnindex, checkpoint, .cleaned, .cut, swap, or one of these with .deleted)",
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

static bool dump_wanted(const struct log_dump *dump, struct str name)
{
    if (str_ends_with(name, STR(".log")))
        return true;
    if (dump->cuts && str_ends_with(name, STR(RESCUE_SUFFIX)))
        return true;
    return dump->indexes && (str_ends_with(name, STR("index")) || str_eq(name, STR("checkpoint")) ||
                             str_eq(name, STR("swap")));
}

static bool dump_dir(struct log_dump *dump, const char *dir, struct err *err)
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
            describe_begin(dump->out, -1, 0, "file");
            describe_cstr(dump->out, "path", path);
            describe_end(dump->out);
            ok = dump_file(dump, path, err);
        }
        free(names.list.at[i]);
    }
    vec_fini(&names.list);
    return ok;
}

bool log_dump(const char *path, struct log_dump *dump, struct err *err)
{
    struct io_stat st;
    int rc = io_stat(dump->io, path, &st);
    if (rc < 0)
        return err_set_errno(err, -rc, "%s: cannot be looked at", path);
    return st.is_dir ? dump_dir(dump, path, err) : dump_file(dump, path, err);
}
