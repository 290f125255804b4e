/* disk.c - the disk of the server: io_memory, slower, and failing when the seed says so.
 *
 * (D1) Contents live in io_memory, which keeps what was written and what is safe apart; a power cut goes there.
 * (D2) Each operation takes time, before and after it has its effect: so a kill finds it done and not answered, or not
 *      done at all.
 * (D3) Faults strike reads, writes and syncs at any time the world allows them. A failed fdatasync has not synced; a torn
 *      write has written half.
 * (D4) Clocks are the scheduler's.
 * (D5) What a failed sync costs is settled when its caller cuts the file back: until then others may append, and be answered. So
 *      that counts as a loss again.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "io/io.h"
#include "sim.h"

struct sim_disk {
    struct io io;
    struct io_memory *memory;
    struct io *inner;
    struct sim_disk_faults faults;
    uint64_t struck, settled, changes;
    int64_t failed_us;
    vec(const struct fiber *) failed; /* D5: whose last sync has failed, and that have cut nothing since */
};

static struct sim_disk *the_disk; /* of the one server, for sendfile */

static struct sim_disk *disk_of(struct io *io)
{
    return (struct sim_disk *)io;
}

/* D2: short for most operations. */
static void take_time(int64_t us_max)
{
    enum { NOTICED_ONE_IN = 4 };
    if (sim_chance(1, NOTICED_ONE_IN))
        sim_sleep_us(sim_between(0, us_max));
}

/* A transfer is short: nobody but who made it needs to know. */
static bool shortens(struct sim_disk *disk, const char *what)
{
    if (!sim_chance(1, disk->faults.short_one_in))
        return false;
    disk->struck++;
    sim_note("disk: %s", what);
    return true;
}

static bool strikes(struct sim_disk *disk, uint64_t one_in, const char *what)
{
    if (!sim_chance(1, one_in))
        return false;
    disk->struck++;
    disk->failed_us = sim_now_us();
    sim_note("disk: %s", what);
    return true;
}

/* D5. Returns what the sync returns. */
static int end_sync(struct sim_disk *disk, int rc)
{
    for (size_t i = disk->failed.len; i-- > 0;)
        if (disk->failed.at[i] == sim_self())
            vec_remove(&disk->failed, i);
    if (rc < 0)
        vec_push(&disk->failed, sim_self());
    return rc;
}

/* D5 */
static void settle_sync(struct sim_disk *disk)
{
    size_t before = disk->failed.len;
    ignore(end_sync(disk, 0), "none is under way");
    disk->settled += before - disk->failed.len;
}

enum { SMALL_US = 60 };

/* A name or a length was changed: where the order of what reaches the disk matters most. */
static int note_change(struct sim_disk *disk, int rc)
{
    disk->changes++;
    sim_wake(&disk->changes, true);
    take_time(SMALL_US);
    return rc;
}

static int disk_open(struct io *io, const char *path, int flags)
{
    struct sim_disk *disk = disk_of(io);
    take_time(SMALL_US);
    if (strikes(disk, disk->faults.eio_one_in, "EIO on open"))
        return -EIO;
    if ((flags & IO_CREATE) && strikes(disk, disk->faults.full_one_in, "ENOSPC on create"))
        return -ENOSPC;
    sim_trace('o', hash_bytes(path, strlen(path)));
    int fd = io_open(disk->inner, path, flags);
    return flags & IO_CREATE ? note_change(disk, fd) : fd;
}

static void disk_close(struct io *io, int fd)
{
    io_close(disk_of(io)->inner, fd);
}

static ssize_t disk_pread(struct io *io, int fd, void *bytes, size_t size, uint64_t pos)
{
    struct sim_disk *disk = disk_of(io);
    take_time(SMALL_US);
    if (strikes(disk, disk->faults.eio_one_in, "EIO on read"))
        return -EIO;
    if (size > 1 && shortens(disk, "short read"))
        size = (size_t)sim_between(1, (int64_t)size - 1);
    return io_pread(disk->inner, fd, bytes, size, pos);
}

/* The first `size` bytes of the parts. */
static ssize_t write_some(struct sim_disk *disk, int fd, const struct iovec *parts, int count, uint64_t pos,
                          size_t size)
{
    struct iovec some[64];
    int some_count = 0;
    ASSERT_CMP(count, <=, (int)COUNT_OF(some));
    for (int i = 0; i < count && size > 0; i++) {
        some[some_count] = parts[i];
        some[some_count].iov_len = MIN(parts[i].iov_len, size);
        size -= some[some_count++].iov_len;
    }
    return io_pwritev(disk->inner, fd, some, some_count, pos);
}

static ssize_t disk_pwritev(struct io *io, int fd, const struct iovec *parts, int count, uint64_t pos)
{
    struct sim_disk *disk = disk_of(io);
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    sim_trace('w', size);
    take_time(SMALL_US);
    if (strikes(disk, disk->faults.eio_one_in, "EIO on write"))
        return -EIO;
    if (strikes(disk, disk->faults.full_one_in, "ENOSPC on write"))
        return -ENOSPC;
    ssize_t wrote;
    if (size > 1 && strikes(disk, disk->faults.torn_one_in, "torn write")) {
        ignore(write_some(disk, fd, parts, count, pos, sim_below(size)), "it fails in any case");
        wrote = -EIO;
    } else if (size > 1 && shortens(disk, "short write")) {
        wrote = write_some(disk, fd, parts, count, pos, (size_t)sim_between(1, (int64_t)size - 1));
    } else {
        wrote = io_pwritev(disk->inner, fd, parts, count, pos);
    }
    take_time(SMALL_US);
    return wrote;
}

static int disk_fdatasync(struct io *io, int fd)
{
    struct sim_disk *disk = disk_of(io);
    int64_t us_max = disk->faults.sync_us_max;
    sim_sleep_us(sim_between(0, sim_chance(1, 20) ? 10 * us_max : us_max));
    if (strikes(disk, disk->faults.eio_one_in, "EIO on fdatasync"))
        return end_sync(disk, -EIO);
    if (strikes(disk, disk->faults.full_one_in, "ENOSPC on fdatasync") ||
        strikes(disk, disk->faults.sync_full_one_in, "ENOSPC on fdatasync, of what had found room"))
        return end_sync(disk, -ENOSPC);
    int rc = disk->faults.sync_lies ? 0 : io_fdatasync(disk->inner, fd);
    sim_trace('s', (uint64_t)fd);
    take_time(us_max);
    return end_sync(disk, rc);
}

static int disk_truncate(struct io *io, int fd, uint64_t size)
{
    struct sim_disk *disk = disk_of(io);
    take_time(SMALL_US);
    if (strikes(disk, disk->faults.eio_one_in, "EIO on truncate"))
        return -EIO;
    int rc = note_change(disk, io_truncate(disk->inner, fd, size));
    settle_sync(disk);
    return rc;
}

static int disk_stat(struct io *io, const char *path, struct io_stat *out)
{
    return io_stat(disk_of(io)->inner, path, out);
}

static int disk_fstat(struct io *io, int fd, struct io_stat *out)
{
    return io_fstat(disk_of(io)->inner, fd, out);
}

static int disk_rename(struct io *io, const char *from, const char *to)
{
    struct sim_disk *disk = disk_of(io);
    take_time(SMALL_US);
    if (strikes(disk, disk->faults.eio_one_in, "EIO on rename"))
        return -EIO;
    return note_change(disk, io_rename(disk->inner, from, to));
}

static int disk_unlink(struct io *io, const char *path)
{
    struct sim_disk *disk = disk_of(io);
    take_time(SMALL_US);
    if (strikes(disk, disk->faults.eio_one_in, "EIO on unlink"))
        return -EIO;
    return note_change(disk, io_unlink(disk->inner, path));
}

static int disk_mkdir(struct io *io, const char *path)
{
    struct sim_disk *disk = disk_of(io);
    take_time(SMALL_US);
    if (strikes(disk, disk->faults.full_one_in, "ENOSPC on mkdir"))
        return -ENOSPC;
    return io_mkdir(disk->inner, path);
}

static int disk_rmdir(struct io *io, const char *path)
{
    take_time(SMALL_US);
    return io_rmdir(disk_of(io)->inner, path);
}

static int disk_list(struct io *io, const char *path, io_list_fn *fn, void *arg)
{
    take_time(SMALL_US);
    return io_list(disk_of(io)->inner, path, fn, arg);
}

static int disk_sync_dir(struct io *io, const char *path)
{
    struct sim_disk *disk = disk_of(io);
    sim_sleep_us(sim_between(0, disk->faults.sync_us_max));
    if (strikes(disk, disk->faults.eio_one_in, "EIO on sync of a directory"))
        return end_sync(disk, -EIO);
    return end_sync(disk, disk->faults.sync_lies ? 0 : io_sync_dir(disk->inner, path));
}

static int disk_sync_all(struct io *io, const char *path)
{
    struct sim_disk *disk = disk_of(io);
    sim_sleep_us(sim_between(0, 3 * disk->faults.sync_us_max));
    if (strikes(disk, disk->faults.eio_one_in, "EIO on sync of the file system"))
        return -EIO;
    return disk->faults.sync_lies ? 0 : io_sync_all(disk->inner, path);
}

static int disk_lock(struct io *io, int fd)
{
    return io_lock(disk_of(io)->inner, fd);
}

static ssize_t disk_sendfile(struct io *io, int socket, int fd, uint64_t pos, size_t size)
{
    return -ENOSYS; /* net calls the system's, which net.c has */
}

static int64_t disk_now_ms(struct io *io)
{
    return sim_wall_us() / 1000;
}

static int64_t disk_monotonic_us(struct io *io)
{
    return sim_now_us();
}

static void disk_random(struct io *io, void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)sim_random();
}

static const struct io_ops disk_ops = {
    .open = disk_open,
    .close = disk_close,
    .pread = disk_pread,
    .pwritev = disk_pwritev,
    .fdatasync = disk_fdatasync,
    .truncate = disk_truncate,
    .stat = disk_stat,
    .fstat = disk_fstat,
    .rename = disk_rename,
    .unlink = disk_unlink,
    .mkdir = disk_mkdir,
    .rmdir = disk_rmdir,
    .list = disk_list,
    .sync_dir = disk_sync_dir,
    .sync_all = disk_sync_all,
    .lock = disk_lock,
    .sendfile = disk_sendfile,
    .now_ms = disk_now_ms,
    .monotonic_us = disk_monotonic_us,
    .random = disk_random,
};

struct sim_disk *sim_disk_new(void)
{
    struct sim_disk *disk = mem_new(struct sim_disk);
    disk->io.ops = &disk_ops;
    disk->memory = io_memory_new(sim_random());
    disk->inner = io_memory_io(disk->memory);
    disk->faults.sync_us_max = 2000;
    the_disk = disk;
    return disk;
}

struct io *sim_disk_io(struct sim_disk *disk)
{
    return &disk->io;
}

void sim_disk_set(struct sim_disk *disk, const struct sim_disk_faults *faults)
{
    disk->faults = *faults;
}

uint64_t sim_disk_struck(const struct sim_disk *disk)
{
    return disk->struck;
}

uint64_t sim_disk_losses(const struct sim_disk *disk)
{
    return disk->struck + disk->settled;
}

int64_t sim_disk_failed_us(const struct sim_disk *disk)
{
    return disk->failed_us;
}

const uint64_t *sim_disk_changes(const struct sim_disk *disk)
{
    return &disk->changes;
}

void sim_disk_cut(struct sim_disk *disk, int cut)
{
    io_memory_cut(disk->memory, (enum io_cut)cut);
}

/* ---- a copy to look at ---- */

struct save {
    struct sim_disk *disk;
    const char *from, *to;
};

static void save_tree(struct sim_disk *disk, const char *from, const char *to);

static void save_one(void *arg, const char *name)
{
    struct save *save = arg;
    char from[600], to[600];
    snprintf(from, sizeof from, "%s/%s", save->from, name);
    snprintf(to, sizeof to, "%s/%s", save->to, name);
    save_tree(save->disk, from, to);
}

static void save_file(struct sim_disk *disk, const char *from, const char *to)
{
    struct buf bytes = {0};
    struct err err;
    FILE *file = fopen(to, "wb");
    if (file != NULL && io_read_file(disk->inner, from, SIZE_MAX / 4, &bytes, &err))
        ignore(fwrite(bytes.ptr, 1, bytes.len, file) != bytes.len, "it is only to look at");
    if (file != NULL)
        fclose(file);
    buf_fini(&bytes);
}

static void save_tree(struct sim_disk *disk, const char *from, const char *to)
{
    struct io_stat st;
    struct save save = {disk, from, to};
    if (io_stat(disk->inner, from, &st) != 0)
        return;
    if (!st.is_dir) {
        save_file(disk, from, to);
        return;
    }
    ignore(mkdir(to, 0755), "it may be there");
    io_list(disk->inner, from, save_one, &save);
}

void sim_disk_save(struct sim_disk *disk, const char *dir)
{
    ignore(mkdir(dir, 0755), "it may be there");
    save_tree(disk, "data", dir);
}

ssize_t sim_disk_read(int fd, void *bytes, size_t size, uint64_t pos)
{
    return disk_pread(&the_disk->io, fd, bytes, size, pos);
}
