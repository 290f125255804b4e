/* io.c - what most users of `struct io` want to do: whole reads and writes, safe replacement, directories,
 * the lock.
 *
 * Replacing a file durably takes four steps, each needed: the new bytes are synced before the rename (else
 * the name may lead to an empty file), the directory after it (else the old file may come back).
 */
#include "io/io.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Drops `done` bytes from the front of the parts. */
static void parts_advance(struct iovec **parts, int *part_count, size_t done)
{
    while (*part_count > 0 && done >= (*parts)->iov_len) {
        done -= (*parts)->iov_len;
        (*parts)++;
        (*part_count)--;
    }
    if (*part_count > 0) {
        (*parts)->iov_base = (char *)(*parts)->iov_base + done;
        (*parts)->iov_len -= done;
    }
}

bool io_write_all(struct io *io, int fd, struct iovec *parts, int part_count, uint64_t pos, const char *path,
                  struct err *err)
{
    parts_advance(&parts, &part_count, 0);
    while (part_count > 0) {
        ssize_t done = io_pwritev(io, fd, parts, part_count, pos);
        if (done <= 0)
            return err_set_errno(err, done == 0 ? EIO : (int)-done, "%s%swrite at %llu failed",
                                 path != NULL ? path : "", path != NULL ? ": " : "", (unsigned long long)pos);
        pos += (uint64_t)done;
        parts_advance(&parts, &part_count, (size_t)done);
    }
    return true;
}

bool io_read_all(struct io *io, int fd, void *bytes, size_t size, uint64_t pos, const char *path,
                 struct err *err)
{
    for (char *at = bytes; size != 0;) {
        ssize_t got = io_pread(io, fd, at, size, pos);
        if (got < 0)
            return err_set_errno(err, (int)-got, "%s: read at %llu failed", path, (unsigned long long)pos);
        if (got == 0)
            return err_set(err, ERR_CORRUPT, "%s: ends at %llu, %zu bytes too early", path,
                           (unsigned long long)pos, size);
        at += got;
        pos += (uint64_t)got;
        size -= (size_t)got;
    }
    return true;
}

bool io_read_file(struct io *io, const char *path, size_t size_max, struct buf *out, struct err *err)
{
    struct io_stat st;
    int fd = io_open(io, path, IO_READ);
    if (fd == -ENOENT)
        return err_set(err, ERR_NOT_FOUND, "%s: no such file", path);
    if (fd < 0)
        return err_set_errno(err, -fd, "%s: cannot be opened", path);
    int rc = io_fstat(io, fd, &st);
    size_t before = out->len;
    bool ok = false;
    if (rc < 0)
        err_set_errno(err, -rc, "%s: cannot be looked at", path);
    else if (st.size > size_max)
        err_set(err, ERR_LIMIT, "%s: %llu bytes, at most %zu are expected", path, (unsigned long long)st.size,
                size_max);
    else
        ok = io_read_all(io, fd, buf_extend(out, (size_t)st.size), (size_t)st.size, 0, path, err);
    if (!ok)
        out->len = before;
    io_close(io, fd);
    return ok;
}

/* Writes and syncs a new file. */
static bool write_synced(struct io *io, const char *path, struct str bytes, struct err *err)
{
    int fd = io_open(io, path, IO_WRITE | IO_CREATE | IO_TRUNCATE);
    if (fd < 0)
        return err_set_errno(err, -fd, "%s: cannot be created", path);
    struct iovec part = {(void *)bytes.ptr, bytes.len};
    bool ok = io_write_all(io, fd, &part, 1, 0, path, err);
    int rc = ok ? io_fdatasync(io, fd) : 0;
    io_close(io, fd);
    if (rc < 0)
        return err_set_errno(err, -rc, "%s: sync failed", path);
    return ok;
}

bool io_replace_file(struct io *io, const char *dir, const char *path, struct str bytes, struct err *err)
{
    struct buf tmp = {0};
    buf_printf(&tmp, "%s.tmp", path);
    bool ok = write_synced(io, tmp.ptr, bytes, err);
    int rc = 0;
    if (ok && (rc = io_rename(io, tmp.ptr, path)) < 0)
        ok = err_set_errno(err, -rc, "%s: cannot be replaced", path);
    if (!ok)
        ignore(io_unlink(io, tmp.ptr), "it may never have been made");
    if (ok && (rc = io_sync_dir(io, dir)) < 0)
        ok = err_set_errno(err, -rc, "%s: sync of the directory failed", dir);
    buf_fini(&tmp);
    return ok;
}

/* Makes one directory and syncs its parent: of one that exists too, because who has made it may have died before the sync.
 * A parent that may not be read is somebody else's. */
static bool make_dir(struct io *io, char *path, struct err *err)
{
    int made = io_mkdir(io, path);
    if (made < 0 && made != -EEXIST)
        return err_set_errno(err, -made, "%s: directory cannot be made", path);
    char *slash = strrchr(path, '/');
    if (slash != NULL && slash != path)
        *slash = '\0';
    int rc = io_sync_dir(io, slash == NULL ? "." : slash == path ? "/" : path);
    if (slash != NULL)
        *slash = '/';
    if (made == -EEXIST && rc == -EACCES)
        return true;
    return rc < 0 ? err_set_errno(err, -rc, "%s: sync of the parent directory failed", path) : true;
}

bool io_make_dirs(struct io *io, const char *path, struct err *err)
{
    struct io_stat st;
    bool there = io_stat(io, path, &st) == 0;
    if (there && !st.is_dir)
        return err_set(err, ERR_IO, "%s: is a file, a directory is needed", path);
    char *copy = mem_dup(path, strlen(path) + 1);
    bool ok = true;
    for (char *slash = copy[0] != '\0' && !there ? strchr(copy + 1, '/') : NULL; ok && slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        ok = make_dir(io, copy, err);
        *slash = '/';
    }
    ok = ok && make_dir(io, copy, err);
    free(copy);
    return ok;
}

static void collect_name(void *arg, const char *name)
{
    struct buf *names = arg;
    buf_append(names, name, strlen(name) + 1);
}

bool io_remove_tree(struct io *io, const char *path, struct err *err)
{
    struct buf names = {0}, child = {0};
    bool ok = true;
    int rc = io_list(io, path, collect_name, &names);
    if (rc == -ENOENT)
        goto done;
    if (rc < 0 && rc != -ENOTDIR) {
        ok = err_set_errno(err, -rc, "%s: cannot be listed", path);
        goto done;
    }
    for (const char *name = names.ptr; rc == 0 && ok && name < names.ptr + names.len;
         name += strlen(name) + 1) {
        struct io_stat st;
        buf_clear(&child);
        buf_printf(&child, "%s/%s", path, name);
        if (io_stat(io, child.ptr, &st) == 0 && st.is_dir)
            ok = io_remove_tree(io, child.ptr, err);
        else if ((rc = io_unlink(io, child.ptr)) < 0 && rc != -ENOENT)
            ok = err_set_errno(err, -rc, "%s: cannot be removed", child.ptr);
        rc = 0;
    }
    if (ok && (rc = rc == 0 ? io_rmdir(io, path) : io_unlink(io, path)) < 0 && rc != -ENOENT)
        ok = err_set_errno(err, -rc, "%s: cannot be removed", path);
done:
    buf_fini(&names);
    buf_fini(&child);
    return ok;
}

/* Says who holds the lock, as far as the file tells. */
static bool set_locked(struct io *io, int fd, const char *dir, struct err *err)
{
    char owner[32] = "";
    ssize_t got = io_pread(io, fd, owner, sizeof owner - 1, 0);
    owner[got > 0 ? got : 0] = '\0';
    owner[strspn(owner, "0123456789")] = '\0';
    return err_set(
        err, ERR_LOCKED,
        "data directory %s is in use by another process%s%s; stop that one first or name another directory",
        dir, owner[0] ? " with id " : "", owner);
}

int io_lock_dir(struct io *io, const char *dir, struct err *err)
{
    struct buf path = {0};
    buf_printf(&path, "%s/lock", dir);
    int fd = io_open(io, path.ptr, IO_WRITE | IO_CREATE);
    int rc = fd < 0 ? fd : io_lock(io, fd);
    bool ok = false;
    if (fd < 0)
        err_set_errno(err, -fd, "%s: lock file cannot be opened", path.ptr);
    else if (rc == -EWOULDBLOCK)
        set_locked(io, fd, dir, err);
    else if (rc < 0)
        err_set_errno(err, -rc, "%s: cannot be locked", path.ptr);
    else {
        char text[32];
        int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
        struct iovec part = {text, (size_t)len};
        ignore(io_truncate(io, fd, 0) < 0, "the id inside only serves the message");
        ignore(!io_write_all(io, fd, &part, 1, 0, path.ptr, NULL), "the lock holds without the id");
        ok = true;
    }
    if (!ok && fd >= 0)
        io_close(io, fd);
    buf_fini(&path);
    return ok ? fd : -1;
}
