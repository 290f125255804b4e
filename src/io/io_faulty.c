/* io_faulty.c - another io whose N-th operation fails.
 *
 * A test runs its work with the fault at operation 1, 2, 3, ... until a run passes untouched
 * (io_faulty_struck is false): then every place where the system can fail has failed once. Counted are all
 * operations that can fail; IO_FAULT_ENOSPC counts only those that need room and IO_FAULT_SHORT only
 * transfers, so that no number is wasted. close, clocks and random numbers never fail. Counting is atomic:
 * any thread.
 */
#include "io/io.h"

#include <errno.h>
#include <stdatomic.h>

struct io_faulty {
    struct io io;
    struct io *inner;
    _Atomic enum io_fault_kind kind;
    _Atomic uint64_t at, count; /* count 0: no script; set last, so that others may be at work meanwhile */
    _Atomic uint64_t done;      /* operations counted so far */
    _Atomic bool struck;
};

/* What an operation is, for the question whether a kind of fault concerns it. */
enum op_kind { OP_OTHER, OP_READ, OP_WRITE, OP_ROOM };

enum verdict { VERDICT_PASS, VERDICT_FAIL, VERDICT_SHORT };

static struct io_faulty *faulty_of(struct io *io)
{
    return (struct io_faulty *)io;
}

static bool fault_concerns(enum io_fault_kind kind, enum op_kind op)
{
    switch (kind) {
    case IO_FAULT_ENOSPC:
        return op == OP_WRITE || op == OP_ROOM;
    case IO_FAULT_SHORT:
        return op == OP_WRITE || op == OP_READ;
    case IO_FAULT_TORN:
        return op == OP_WRITE;
    case IO_FAULT_EIO:
    case IO_FAULT_DEAD:
        break;
    }
    return true;
}

static enum verdict judge(struct io_faulty *faulty, enum op_kind op)
{
    uint64_t count = faulty->count;
    enum io_fault_kind kind = faulty->kind;
    if (count == 0 || !fault_concerns(kind, op))
        return VERDICT_PASS;
    uint64_t n = atomic_fetch_add(&faulty->done, 1) + 1;
    if (n < faulty->at || (kind != IO_FAULT_DEAD && n - faulty->at >= count))
        return VERDICT_PASS;
    atomic_store(&faulty->struck, true);
    return kind == IO_FAULT_SHORT || kind == IO_FAULT_TORN ? VERDICT_SHORT : VERDICT_FAIL;
}

static int fault_errno(const struct io_faulty *faulty)
{
    return faulty->kind == IO_FAULT_ENOSPC ? -ENOSPC : -EIO;
}

/* Passes an operation on or fails it. */
#define PASS_OR_FAIL(op, call)                                                     \
    do {                                                                           \
        struct io_faulty *faulty = faulty_of(io);                                  \
        struct io *inner = faulty->inner;                                          \
        return judge(faulty, (op)) == VERDICT_FAIL ? fault_errno(faulty) : (call); \
    } while (0)

static int faulty_open(struct io *io, const char *path, int flags)
{
    PASS_OR_FAIL(flags & IO_CREATE ? OP_ROOM : OP_OTHER, io_open(inner, path, flags));
}

static void faulty_close(struct io *io, int fd)
{
    io_close(faulty_of(io)->inner, fd);
}

static ssize_t faulty_pread(struct io *io, int fd, void *bytes, size_t size, uint64_t pos)
{
    struct io_faulty *faulty = faulty_of(io);
    switch (judge(faulty, OP_READ)) {
    case VERDICT_FAIL:
        return fault_errno(faulty);
    case VERDICT_SHORT:
        return io_pread(faulty->inner, fd, bytes, size > 1 ? size / 2 : size, pos);
    case VERDICT_PASS:
        break;
    }
    return io_pread(faulty->inner, fd, bytes, size, pos);
}

/* Writes about half of what was asked for. */
static ssize_t write_half(struct io *inner, int fd, const struct iovec *parts, int part_count, uint64_t pos)
{
    size_t size = 0;
    for (int i = 0; i < part_count; i++)
        size += parts[i].iov_len;
    size_t half = size > 1 ? size / 2 : size, done = 0;
    for (int i = 0; i < part_count && done < half; i++) {
        struct iovec part = {parts[i].iov_base, MIN(parts[i].iov_len, half - done)};
        ssize_t got = part.iov_len == 0 ? 0 : io_pwritev(inner, fd, &part, 1, pos + done);
        if (got < 0)
            return done != 0 ? (ssize_t)done : got;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static ssize_t faulty_pwritev(struct io *io, int fd, const struct iovec *parts, int part_count, uint64_t pos)
{
    struct io_faulty *faulty = faulty_of(io);
    switch (judge(faulty, OP_WRITE)) {
    case VERDICT_FAIL:
        return fault_errno(faulty);
    case VERDICT_SHORT: {
        ssize_t done = write_half(faulty->inner, fd, parts, part_count, pos);
        return faulty->kind == IO_FAULT_TORN ? -EIO : done;
    }
    case VERDICT_PASS:
        break;
    }
    return io_pwritev(faulty->inner, fd, parts, part_count, pos);
}

static int faulty_fdatasync(struct io *io, int fd)
{
    PASS_OR_FAIL(OP_ROOM, io_fdatasync(inner, fd));
}

static int faulty_truncate(struct io *io, int fd, uint64_t size)
{
    PASS_OR_FAIL(OP_OTHER, io_truncate(inner, fd, size));
}

static int faulty_stat(struct io *io, const char *path, struct io_stat *out)
{
    PASS_OR_FAIL(OP_OTHER, io_stat(inner, path, out));
}

static int faulty_fstat(struct io *io, int fd, struct io_stat *out)
{
    PASS_OR_FAIL(OP_OTHER, io_fstat(inner, fd, out));
}

static int faulty_rename(struct io *io, const char *from, const char *to)
{
    PASS_OR_FAIL(OP_ROOM, io_rename(inner, from, to));
}

static int faulty_unlink(struct io *io, const char *path)
{
    PASS_OR_FAIL(OP_OTHER, io_unlink(inner, path));
}

static int faulty_mkdir(struct io *io, const char *path)
{
    PASS_OR_FAIL(OP_ROOM, io_mkdir(inner, path));
}

static int faulty_rmdir(struct io *io, const char *path)
{
    PASS_OR_FAIL(OP_OTHER, io_rmdir(inner, path));
}

static int faulty_list(struct io *io, const char *path, io_list_fn *fn, void *arg)
{
    PASS_OR_FAIL(OP_OTHER, io_list(inner, path, fn, arg));
}

static int faulty_sync_dir(struct io *io, const char *path)
{
    PASS_OR_FAIL(OP_ROOM, io_sync_dir(inner, path));
}

static int faulty_sync_all(struct io *io, const char *path)
{
    PASS_OR_FAIL(OP_ROOM, io_sync_all(inner, path));
}

static int faulty_lock(struct io *io, int fd)
{
    PASS_OR_FAIL(OP_OTHER, io_lock(inner, fd));
}

static ssize_t faulty_sendfile(struct io *io, int socket, int fd, uint64_t pos, size_t size)
{
    PASS_OR_FAIL(OP_READ, io_sendfile(inner, socket, fd, pos, size));
}

static int64_t faulty_now_ms(struct io *io)
{
    return io_now_ms(faulty_of(io)->inner);
}

static int64_t faulty_monotonic_us(struct io *io)
{
    return io_monotonic_us(faulty_of(io)->inner);
}

static void faulty_random(struct io *io, void *bytes, size_t size)
{
    io_random(faulty_of(io)->inner, bytes, size);
}

static int faulty_space(struct io *io, const char *path, struct io_space *out)
{
    return io_space(faulty_of(io)->inner, path, out);
}

static const struct io_ops faulty_ops = {
    .open = faulty_open,
    .close = faulty_close,
    .pread = faulty_pread,
    .pwritev = faulty_pwritev,
    .fdatasync = faulty_fdatasync,
    .truncate = faulty_truncate,
    .stat = faulty_stat,
    .fstat = faulty_fstat,
    .rename = faulty_rename,
    .unlink = faulty_unlink,
    .mkdir = faulty_mkdir,
    .rmdir = faulty_rmdir,
    .list = faulty_list,
    .sync_dir = faulty_sync_dir,
    .sync_all = faulty_sync_all,
    .lock = faulty_lock,
    .sendfile = faulty_sendfile,
    .now_ms = faulty_now_ms,
    .monotonic_us = faulty_monotonic_us,
    .random = faulty_random,
    .space = faulty_space,
};

struct io_faulty *io_faulty_new(struct io *inner)
{
    struct io_faulty *faulty = mem_new(struct io_faulty);
    faulty->io.ops = &faulty_ops;
    faulty->inner = inner;
    return faulty;
}

void io_faulty_free(struct io_faulty *faulty)
{
    free(faulty);
}

struct io *io_faulty_io(struct io_faulty *faulty)
{
    return &faulty->io;
}

void io_faulty_script(struct io_faulty *faulty, enum io_fault_kind kind, uint64_t at, uint64_t count)
{
    ASSERT(at >= 1 || count == 0);
    atomic_store(&faulty->count, 0);
    atomic_store(&faulty->kind, kind);
    atomic_store(&faulty->at, at);
    atomic_store(&faulty->done, 0);
    atomic_store(&faulty->struck, false);
    atomic_store(&faulty->count, count);
}

bool io_faulty_struck(const struct io_faulty *faulty)
{
    return atomic_load(&((struct io_faulty *)faulty)->struck);
}
