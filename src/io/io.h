/* io.h - files, time and random numbers behind one table of operations.
 *
 *      log, state, loop, ...                     whoever touches a file or asks for the time
 *            | io_open, io_pread, ...            inline calls below
 *      struct io { ops }
 *        |            |              |
 *      io_real     io_faulty      io_memory      the system / fails at the N-th operation / a disk in memory
 *
 * (I1) Every call that can fail returns a negative errno; the helpers in the second half turn it into a
 *      `struct err`.
 * (I2) A file is an int: the system's descriptor in io_real (so that net may give it to sendfile), a number
 *      of its own elsewhere. Paths are terminated strings; directories are named without a trailing slash.
 * (I3) What was written survives a power cut only after io_fdatasync of the file *and* io_sync_dir of the
 *      directory that names it. io_memory keeps exactly this contract, so tests find code that trusts more.
 * All operations may be called from any thread.
 */
#ifndef RIALTO_IO_IO_H
#define RIALTO_IO_IO_H

#include <errno.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/base.h"

struct io;

enum io_open_flags {
    IO_READ = 0,       /* always allowed */
    IO_WRITE = 1 << 0, /* and writing */
    IO_CREATE = 1 << 1,
    IO_EXCL = 1 << 2, /* with IO_CREATE: fails with EEXIST */
    IO_TRUNCATE = 1 << 3,
    IO_COLD =
        1
        << 4, /* reads come from the disk and leave nothing in the page cache, where the file system can do that;
                         buffer, size and position of a read are multiples of IO_COLD_ALIGN */
};

enum { IO_COLD_ALIGN = 4096 };

struct io_stat {
    uint64_t size;
    int64_t mtime_ms;
    bool is_dir;
};

/* The file system that a path lies on. */
struct io_space {
    uint64_t total_bytes;
    uint64_t usable_bytes; /* by this process */
};

/* Called once for every name in a directory, without "." and "..". */
typedef void io_list_fn(void *arg, const char *name);

struct io_ops {
    int (*open)(struct io *io, const char *path, int flags);
    void (*close)(struct io *io, int fd);
    ssize_t (*pread)(struct io *io, int fd, void *bytes, size_t size, uint64_t pos);
    ssize_t (*pwritev)(struct io *io, int fd, const struct iovec *parts, int part_count, uint64_t pos);
    int (*fdatasync)(struct io *io, int fd);
    int (*truncate)(struct io *io, int fd, uint64_t size);
    int (*stat)(struct io *io, const char *path, struct io_stat *out);
    int (*fstat)(struct io *io, int fd, struct io_stat *out);
    int (*rename)(struct io *io, const char *from, const char *to);
    int (*unlink)(struct io *io, const char *path);
    int (*mkdir)(struct io *io, const char *path);
    int (*rmdir)(struct io *io, const char *path);
    int (*list)(struct io *io, const char *path, io_list_fn *fn, void *arg);
    int (*sync_dir)(struct io *io, const char *path);
    int (*sync_all)(struct io *io, const char *path);
    int (*lock)(struct io *io, int fd);
    ssize_t (*sendfile)(struct io *io, int socket, int fd, uint64_t pos, size_t size);
    int64_t (*now_ms)(struct io *io);
    int64_t (*monotonic_us)(struct io *io);
    void (*random)(struct io *io, void *bytes, size_t size);
    int (*space)(struct io *io, const char *path, struct io_space *out); /* may be NULL */
};

/* The first member of every implementation. */
struct io {
    const struct io_ops *ops;
};

/* File descriptor or -errno. Files are created with mode 0644. */
static inline int io_open(struct io *io, const char *path, int flags)
{
    return io->ops->open(io, path, flags);
}

/* Never fails; releases a lock held through the descriptor. */
static inline void io_close(struct io *io, int fd)
{
    io->ops->close(io, fd);
}

/* Bytes read (0 at the end, possibly fewer than asked) or -errno. */
static inline ssize_t io_pread(struct io *io, int fd, void *bytes, size_t size, uint64_t pos)
{
    return io->ops->pread(io, fd, bytes, size, pos);
}

/* Bytes written, possibly fewer than asked, or -errno. */
static inline ssize_t io_pwritev(struct io *io, int fd, const struct iovec *parts, int part_count,
                                 uint64_t pos)
{
    return io->ops->pwritev(io, fd, parts, part_count, pos);
}

/* 0 or -errno. After a failure the contents written since the last success are unknown: never call it again
 * to retry. */
static inline int io_fdatasync(struct io *io, int fd)
{
    return io->ops->fdatasync(io, fd);
}

static inline int io_truncate(struct io *io, int fd, uint64_t size)
{
    return io->ops->truncate(io, fd, size);
}

static inline int io_stat(struct io *io, const char *path, struct io_stat *out)
{
    return io->ops->stat(io, path, out);
}

static inline int io_fstat(struct io *io, int fd, struct io_stat *out)
{
    return io->ops->fstat(io, fd, out);
}

/* Atomic; replaces `to`. Durable after io_sync_dir. */
static inline int io_rename(struct io *io, const char *from, const char *to)
{
    return io->ops->rename(io, from, to);
}

/* Open descriptors of the file stay readable. */
static inline int io_unlink(struct io *io, const char *path)
{
    return io->ops->unlink(io, path);
}

static inline int io_mkdir(struct io *io, const char *path)
{
    return io->ops->mkdir(io, path);
}

static inline int io_rmdir(struct io *io, const char *path)
{
    return io->ops->rmdir(io, path);
}

/* The callback must not change the directory. */
static inline int io_list(struct io *io, const char *path, io_list_fn *fn, void *arg)
{
    return io->ops->list(io, path, fn, arg);
}

/* Makes creations, renames and removals in the directory durable. */
static inline int io_sync_dir(struct io *io, const char *path)
{
    return io->ops->sync_dir(io, path);
}

/* Makes all that was written below the directory durable at once, contents and names: much cheaper than a sync of each of
 * thousands of files. 0 or -errno; as with io_fdatasync nothing is known after a failure. */
static inline int io_sync_all(struct io *io, const char *path)
{
    return io->ops->sync_all(io, path);
}

/* Takes the exclusive lock of an open file; -EWOULDBLOCK when another process (or descriptor) holds it. */
static inline int io_lock(struct io *io, int fd)
{
    return io->ops->lock(io, fd);
}

/* Sends bytes of a file into a socket (a system descriptor always); bytes sent or -errno (-EAGAIN: socket
 * is full). */
static inline ssize_t io_sendfile(struct io *io, int socket, int fd, uint64_t pos, size_t size)
{
    return io->ops->sendfile(io, socket, fd, pos, size);
}

/* Wall clock, milliseconds since 1970. */
static inline int64_t io_now_ms(struct io *io)
{
    return io->ops->now_ms(io);
}

/* A clock that never goes back; only differences mean something. */
static inline int64_t io_monotonic_us(struct io *io)
{
    return io->ops->monotonic_us(io);
}

/* Bytes from the system's random source (io_memory: from its seed). */
static inline void io_random(struct io *io, void *bytes, size_t size)
{
    io->ops->random(io, bytes, size);
}

/* The system's files and clocks. One constant instance; nothing to release. */
/* -ENOSYS where there is no file system to ask. */
static inline int io_space(struct io *io, const char *path, struct io_space *out)
{
    return io->ops->space == NULL ? -ENOSYS : io->ops->space(io, path, out);
}

struct io *io_real(void);

/* Helpers. Errors: ERR_DISK_FULL for ENOSPC and EDQUOT, else ERR_IO; the text names the file. */

/* Writes all parts at `pos`, continuing after short writes; `parts` is used up. On failure some bytes may
 * be there. `path` NULL: the caller names the file in the error. */
bool io_write_all(struct io *io, int fd, struct iovec *parts, int part_count, uint64_t pos, const char *path,
                  struct err *err);

/* Reads exactly `size` bytes; a shorter file is ERR_CORRUPT. */
bool io_read_all(struct io *io, int fd, void *bytes, size_t size, uint64_t pos, const char *path,
                 struct err *err);

/* Appends the whole file to `out`; a file larger than `size_max` is ERR_LIMIT, a missing one ERR_NOT_FOUND.
 */
bool io_read_file(struct io *io, const char *path, size_t size_max, struct buf *out, struct err *err);

/* Replaces the file by `bytes`, atomically and durably: writes path.tmp, syncs, renames, syncs `dir`, in
 * which it lies. */
bool io_replace_file(struct io *io, const char *dir, const char *path, struct str bytes, struct err *err);

/* Makes the directory and its parents where they are missing. When it returns, the directory's name is durable, whoever has
 * made it. */
bool io_make_dirs(struct io *io, const char *path, struct err *err);

/* Removes the directory with all it holds; a missing one is success. */
bool io_remove_tree(struct io *io, const char *path, struct err *err);

/* Makes sure that one process at a time uses a data directory: creates and locks DIR/lock and writes our
 * process id into it. Gives the descriptor to io_close at the end, or -1: ERR_LOCKED names the process that
 * holds it. */
int io_lock_dir(struct io *io, const char *dir, struct err *err);

/* A disk in memory that loses what was not synced. For tests and simulation. */
struct io_memory;

struct io_memory *io_memory_new(uint64_t seed);
void io_memory_free(struct io_memory *mem);
struct io *io_memory_io(struct io_memory *mem);

enum io_cut {
    IO_CUT_LOSE,   /* all that was not synced is gone */
    IO_CUT_RANDOM, /* by the seed: every unsynced write and name change may be there, be torn, or be gone */
    IO_CUT_KEEP,   /* the process died, the system lives: all that was written is there */
};

/* Cuts the power: descriptors and locks are gone and the disk holds what the contract above guarantees. */
void io_memory_cut(struct io_memory *mem, enum io_cut cut);

/* The clock stands still but for this. */
void io_memory_advance_ms(struct io_memory *mem, int64_t ms);

/* Limits the bytes of all files together (ENOSPC beyond); 0: no limit. */
void io_memory_set_room(struct io_memory *mem, uint64_t bytes);

/* Damages one byte of a file on purpose. */
void io_memory_flip(struct io_memory *mem, const char *path, uint64_t pos);

/* Another io whose operations fail by script. For tests. */
struct io_faulty;

enum io_fault_kind {
    IO_FAULT_EIO,    /* the operation does nothing and fails */
    IO_FAULT_ENOSPC, /* writes, syncs, creations and extensions fail; other operations are not counted */
    IO_FAULT_SHORT,  /* a write or read transfers half of its bytes and says so */
    IO_FAULT_TORN,   /* a write transfers half of its bytes, then fails with EIO */
    IO_FAULT_DEAD,   /* this and every later operation fails: the process is as good as killed */
};

struct io_faulty *io_faulty_new(struct io *inner);
void io_faulty_free(struct io_faulty *faulty);
struct io *io_faulty_io(struct io_faulty *faulty);

/* From now on the `at`-th operation (from 1) and the `count - 1` after it fail. Resets the counter. count
 * 0: never. */
void io_faulty_script(struct io_faulty *faulty, enum io_fault_kind kind, uint64_t at, uint64_t count);

/* True when the script has struck. */
bool io_faulty_struck(const struct io_faulty *faulty);

#endif
