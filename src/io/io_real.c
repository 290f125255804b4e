/* io_real.c - the system's files, clocks and random source behind `struct io`.
 *
 * Thin: one system call each, repeated when a signal interrupts it, errno returned as a negative number.
 * There is no state but the constant instance, so any thread may call. Locks are flock(2): they belong to
 * the open file, are dropped by the kernel when the process dies, and work between two opens of the same
 * process too (fcntl locks would not).
 */
#include "io/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RETRY(call)                                  \
    ({                                               \
        __typeof__(call) retry_result_;              \
        do                                           \
            retry_result_ = (call);                  \
        while (retry_result_ < 0 && errno == EINTR); \
        retry_result_ < 0 ? -errno : retry_result_;  \
    })

static int real_open(struct io *io, const char *path, int flags)
{
    int how = O_CLOEXEC | (flags & IO_WRITE ? O_RDWR : O_RDONLY);
    how |= flags & IO_CREATE ? O_CREAT : 0;
    how |= flags & IO_EXCL ? O_EXCL : 0;
    how |= flags & IO_TRUNCATE ? O_TRUNC : 0;
    int fd = RETRY(open(path, flags & IO_COLD ? how | O_DIRECT : how, 0644));
    if (fd != -EINVAL || !(flags & IO_COLD))
        return fd;
    fd = RETRY(open(path, how, 0644)); /* a file system in memory, or one that cannot */
    if (fd >= 0)
        ignore(posix_fadvise(fd, 0, 0, POSIX_FADV_NOREUSE), "an advice");
    return fd;
}

static void real_close(struct io *io, int fd)
{
    ignore(close(fd), "data are made durable by fdatasync, never by close");
}

static ssize_t real_pread(struct io *io, int fd, void *bytes, size_t size, uint64_t pos)
{
    return RETRY(pread(fd, bytes, size, (off_t)pos));
}

static ssize_t real_pwritev(struct io *io, int fd, const struct iovec *parts, int part_count, uint64_t pos)
{
    return RETRY(pwritev(fd, parts, part_count, (off_t)pos));
}

static int real_fdatasync(struct io *io, int fd)
{
    return RETRY(fdatasync(fd));
}

static int real_truncate(struct io *io, int fd, uint64_t size)
{
    return RETRY(ftruncate(fd, (off_t)size));
}

static void stat_fill(const struct stat *st, struct io_stat *out)
{
    out->size = (uint64_t)st->st_size;
    out->mtime_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
    out->is_dir = S_ISDIR(st->st_mode);
}

static int real_stat(struct io *io, const char *path, struct io_stat *out)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return -errno;
    stat_fill(&st, out);
    return 0;
}

static int real_fstat(struct io *io, int fd, struct io_stat *out)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    stat_fill(&st, out);
    return 0;
}

static int real_rename(struct io *io, const char *from, const char *to)
{
    return rename(from, to) != 0 ? -errno : 0;
}

static int real_unlink(struct io *io, const char *path)
{
    return unlink(path) != 0 ? -errno : 0;
}

static int real_mkdir(struct io *io, const char *path)
{
    return mkdir(path, 0755) != 0 ? -errno : 0;
}

static int real_rmdir(struct io *io, const char *path)
{
    return rmdir(path) != 0 ? -errno : 0;
}

static int real_list(struct io *io, const char *path, io_list_fn *fn, void *arg)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return -errno;
    struct dirent *entry;
    while (errno = 0, (entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            fn(arg, entry->d_name);
    int result = -errno;
    closedir(dir);
    return result;
}

static int real_sync_dir(struct io *io, const char *path)
{
    int fd = RETRY(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0)
        return fd;
    int result = RETRY(fsync(fd));
    close(fd);
    return result;
}

/* The kernel syncs file systems, not directories; since Linux 5.8 it tells of failed writes here too. */
static int real_sync_all(struct io *io, const char *path)
{
    int fd = RETRY(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0)
        return fd;
    int result = RETRY(syncfs(fd));
    close(fd);
    return result;
}

static int real_lock(struct io *io, int fd)
{
    return RETRY(flock(fd, LOCK_EX | LOCK_NB));
}

static ssize_t real_sendfile(struct io *io, int socket, int fd, uint64_t pos, size_t size)
{
    off_t at = (off_t)pos;
    return RETRY(sendfile(socket, fd, &at, size));
}

static int64_t real_now_ms(struct io *io)
{
    return clock_wall_ms();
}

static int64_t real_monotonic_us(struct io *io)
{
    return clock_mono_us();
}

static void real_random(struct io *io, void *bytes, size_t size)
{
    for (char *at = bytes; size != 0;) {
        ssize_t got = RETRY(getrandom(at, size, 0));
        ASSERT(got > 0);
        at += got;
        size -= (size_t)got;
    }
}

static int real_space(struct io *io, const char *path, struct io_space *out)
{
    struct statvfs fs;
    int rc = RETRY(statvfs(path, &fs));
    if (rc == 0)
        *out = (struct io_space){.total_bytes = (uint64_t)fs.f_blocks * fs.f_frsize,
                                 .usable_bytes = (uint64_t)fs.f_bavail * fs.f_frsize};
    return rc;
}

static const struct io_ops real_ops = {
    .open = real_open,
    .close = real_close,
    .pread = real_pread,
    .pwritev = real_pwritev,
    .fdatasync = real_fdatasync,
    .truncate = real_truncate,
    .stat = real_stat,
    .fstat = real_fstat,
    .rename = real_rename,
    .unlink = real_unlink,
    .mkdir = real_mkdir,
    .rmdir = real_rmdir,
    .list = real_list,
    .sync_dir = real_sync_dir,
    .sync_all = real_sync_all,
    .lock = real_lock,
    .sendfile = real_sendfile,
    .now_ms = real_now_ms,
    .monotonic_us = real_monotonic_us,
    .random = real_random,
    .space = real_space,
};

static const struct io real = {&real_ops};

struct io *io_real(void)
{
    return (struct io *)&real; /* holds no state, so the const is never broken */
}
