/* io_memory.c - a disk in memory that keeps two images: what was written and what is safe.
 *
 *   struct node (file)   now:  bytes as written       safe: bytes at the last fdatasync
 *   struct node (dir)    now:  names -> nodes         safe: names at the last sync_dir
 *
 * A power cut makes `now` equal to `safe` (IO_CUT_LOSE), or mixes the two by the seed (IO_CUT_RANDOM): a
 * file has any size between the two and each of its 512-byte sectors is from one or the other image; a name
 * is there or not. A rename is two independent name changes here: harsher than journalling file systems, so
 * that nobody builds on their kindness.
 *
 * (M1) Nodes live until io_memory_free: no reference counts; tests are short.
 * (M2) A new directory entry is not safe before sync_dir of its directory, even if the file itself was
 *      synced.
 * One mutex guards all.
 */
#include "io/io.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

enum { SECTOR_BYTES = 512 };

struct node;

struct name {
    char *text;
    struct node *node;
};

struct names {
    vec(struct name) list;
};

struct node {
    struct node *next; /* all nodes */
    bool is_dir;
    struct buf now, safe;               /* file */
    struct names names_now, names_safe; /* directory */
    int64_t mtime_ms;
    int locked_by; /* descriptor + 1 */
};

struct file {
    struct node *node; /* NULL: closed */
    int flags;
};

struct io_memory {
    struct io io;
    pthread_mutex_t lock;
    struct node *nodes, *root;
    vec(struct file) files;
    uint64_t seed;
    uint64_t room_bytes;
    int64_t clock_us;
};

static struct io_memory *memory_of(struct io *io)
{
    return (struct io_memory *)io;
}

/* splitmix64: small, and good enough to choose. */
static uint64_t memory_random(struct io_memory *mem)
{
    uint64_t z = mem->seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static struct node *node_new(struct io_memory *mem, bool is_dir)
{
    struct node *node = mem_new(struct node);
    node->is_dir = is_dir;
    node->mtime_ms = mem->clock_us / 1000;
    node->next = mem->nodes;
    mem->nodes = node;
    return node;
}

static struct name *names_find(struct names *names, struct str text)
{
    for (size_t i = 0; i < names->list.len; i++)
        if (str_eq_cstr(text, names->list.at[i].text))
            return &names->list.at[i];
    return NULL;
}

/* Sets or, with node NULL, removes a name. */
static void names_set(struct names *names, struct str text, struct node *node)
{
    struct name *name = names_find(names, text);
    if (name != NULL && node != NULL) {
        name->node = node;
    } else if (name != NULL) {
        free(name->text);
        vec_remove(&names->list, (size_t)(name - names->list.at));
    } else if (node != NULL) {
        char *copy = mem_alloc(text.len + 1);
        memcpy(copy, text.ptr, text.len);
        copy[text.len] = '\0';
        vec_push(&names->list, (struct name){copy, node});
    }
}

static void names_clear(struct names *names)
{
    for (size_t i = 0; i < names->list.len; i++)
        free(names->list.at[i].text);
    vec_fini(&names->list);
}

static void names_copy(struct names *to, const struct names *from)
{
    names_clear(to);
    for (size_t i = 0; i < from->list.len; i++)
        names_set(to, str_from(from->list.at[i].text), from->list.at[i].node);
}

/* The directory that holds the last part of the path, and that part. */
static struct node *find_parent(struct io_memory *mem, const char *path, struct str *last)
{
    struct node *dir = mem->root;
    struct str rest = str_from(path), part, pending = STR_NULL;
    while (str_split(&rest, '/', &part)) {
        if (part.len == 0 || str_eq(part, STR(".")))
            continue;
        if (!str_is_null(pending)) {
            struct name *name = names_find(&dir->names_now, pending);
            if (name == NULL || !name->node->is_dir)
                return NULL;
            dir = name->node;
        }
        pending = part;
    }
    *last = pending;
    return dir;
}

static struct node *find_node(struct io_memory *mem, const char *path)
{
    struct str last;
    struct node *dir = find_parent(mem, path, &last);
    if (dir == NULL || str_is_null(last))
        return dir;
    struct name *name = names_find(&dir->names_now, last);
    return name != NULL ? name->node : NULL;
}

static uint64_t bytes_used(const struct io_memory *mem)
{
    uint64_t used = 0;
    for (const struct node *node = mem->nodes; node != NULL; node = node->next)
        used += node->now.len;
    return used;
}

static int file_add(struct io_memory *mem, struct node *node, int flags)
{
    for (size_t fd = 0; fd < mem->files.len; fd++)
        if (mem->files.at[fd].node == NULL) {
            mem->files.at[fd] = (struct file){node, flags};
            return (int)fd;
        }
    vec_push(&mem->files, (struct file){node, flags});
    return (int)mem->files.len - 1;
}

static struct file *file_get(struct io_memory *mem, int fd)
{
    ASSERT(fd >= 0 && (size_t)fd < mem->files.len && mem->files.at[fd].node != NULL);
    return &mem->files.at[fd];
}

static int memory_open_locked(struct io_memory *mem, const char *path, int flags)
{
    struct str last;
    struct node *dir = find_parent(mem, path, &last);
    if (dir == NULL || str_is_null(last))
        return dir == NULL ? -ENOENT : -EISDIR;
    struct name *name = names_find(&dir->names_now, last);
    struct node *node = name != NULL ? name->node : NULL;
    if (node == NULL && !(flags & IO_CREATE))
        return -ENOENT;
    if (node != NULL && (flags & IO_EXCL))
        return -EEXIST;
    if (node != NULL && node->is_dir)
        return -EISDIR;
    if (node == NULL)
        names_set(&dir->names_now, last, node = node_new(mem, false));
    if (flags & IO_TRUNCATE)
        buf_clear(&node->now);
    return file_add(mem, node, flags);
}

#define LOCKED(expression)                                    \
    ({                                                        \
        pthread_mutex_lock(&mem->lock);                       \
        __typeof__(expression) locked_result_ = (expression); \
        pthread_mutex_unlock(&mem->lock);                     \
        locked_result_;                                       \
    })

static int memory_open(struct io *io, const char *path, int flags)
{
    struct io_memory *mem = memory_of(io);
    return LOCKED(memory_open_locked(mem, path, flags));
}

static void memory_close(struct io *io, int fd)
{
    struct io_memory *mem = memory_of(io);
    pthread_mutex_lock(&mem->lock);
    if ((size_t)fd < mem->files.len && mem->files.at[fd].node != NULL) { /* a cut may have closed it */
        struct node *node = mem->files.at[fd].node;
        if (node->locked_by == fd + 1)
            node->locked_by = 0;
        mem->files.at[fd].node = NULL;
    }
    pthread_mutex_unlock(&mem->lock);
}

static ssize_t memory_pread_locked(struct io_memory *mem, int fd, void *bytes, size_t size, uint64_t pos)
{
    const struct buf *now = &file_get(mem, fd)->node->now;
    if (pos >= now->len)
        return 0;
    size_t n = MIN(size, now->len - pos);
    memcpy(bytes, now->ptr + pos, n);
    return (ssize_t)n;
}

static ssize_t memory_pread(struct io *io, int fd, void *bytes, size_t size, uint64_t pos)
{
    struct io_memory *mem = memory_of(io);
    return LOCKED(memory_pread_locked(mem, fd, bytes, size, pos));
}

static int node_resize(struct io_memory *mem, struct node *node, uint64_t size)
{
    if (size > node->now.len) {
        uint64_t more = size - node->now.len;
        if (mem->room_bytes != 0 && bytes_used(mem) + more > mem->room_bytes)
            return -ENOSPC;
        memset(buf_extend(&node->now, more), 0, more);
    }
    node->now.len = size;
    return 0;
}

static ssize_t memory_pwritev_locked(struct io_memory *mem, int fd, const struct iovec *parts, int part_count,
                                     uint64_t pos)
{
    struct file *file = file_get(mem, fd);
    if (!(file->flags & IO_WRITE))
        return -EBADF;
    ssize_t done = 0;
    for (int i = 0; i < part_count; i++) {
        size_t size = parts[i].iov_len;
        if (pos + size > file->node->now.len && node_resize(mem, file->node, pos + size) < 0)
            return done != 0 ? done : -ENOSPC;
        if (size != 0)
            memcpy(file->node->now.ptr + pos, parts[i].iov_base, size);
        pos += size;
        done += (ssize_t)size;
    }
    file->node->mtime_ms = mem->clock_us / 1000;
    return done;
}

static ssize_t memory_pwritev(struct io *io, int fd, const struct iovec *parts, int part_count, uint64_t pos)
{
    struct io_memory *mem = memory_of(io);
    return LOCKED(memory_pwritev_locked(mem, fd, parts, part_count, pos));
}

static int memory_fdatasync_locked(struct io_memory *mem, int fd)
{
    struct node *node = file_get(mem, fd)->node;
    buf_clear(&node->safe);
    buf_append_str(&node->safe, buf_str(&node->now));
    return 0;
}

static int memory_fdatasync(struct io *io, int fd)
{
    struct io_memory *mem = memory_of(io);
    return LOCKED(memory_fdatasync_locked(mem, fd));
}

static int memory_truncate(struct io *io, int fd, uint64_t size)
{
    struct io_memory *mem = memory_of(io);
    return LOCKED(node_resize(mem, file_get(mem, fd)->node, size));
}

static int node_stat(const struct node *node, struct io_stat *out)
{
    if (node == NULL)
        return -ENOENT;
    *out = (struct io_stat){node->now.len, node->mtime_ms, node->is_dir};
    return 0;
}

static int memory_stat(struct io *io, const char *path, struct io_stat *out)
{
    struct io_memory *mem = memory_of(io);
    return LOCKED(node_stat(find_node(mem, path), out));
}

static int memory_fstat(struct io *io, int fd, struct io_stat *out)
{
    struct io_memory *mem = memory_of(io);
    return LOCKED(node_stat(file_get(mem, fd)->node, out));
}

static int memory_rename_locked(struct io_memory *mem, const char *from, const char *to)
{
    struct str from_last, to_last;
    struct node *from_dir = find_parent(mem, from, &from_last), *to_dir = find_parent(mem, to, &to_last);
    if (from_dir == NULL || to_dir == NULL || str_is_null(from_last) || str_is_null(to_last))
        return -ENOENT;
    struct name *name = names_find(&from_dir->names_now, from_last);
    if (name == NULL)
        return -ENOENT;
    struct node *node = name->node;
    names_set(&from_dir->names_now, from_last, NULL);
    names_set(&to_dir->names_now, to_last, node);
    return 0;
}

static int memory_rename(struct io *io, const char *from, const char *to)
{
    struct io_memory *mem = memory_of(io);
    return LOCKED(memory_rename_locked(mem, from, to));
}

static int remove_locked(struct io_memory *mem, const char *path, bool dir_wanted)
{
    struct str last;
    struct node *dir = find_parent(mem, path, &last);
    struct name *name = dir != NULL && !str_is_null(last) ? names_find(&dir->names_now, last) : NULL;
    if (name == NULL)
        return -ENOENT;
    if (name->node->is_dir != dir_wanted)
        return dir_wanted ? -ENOTDIR : -EISDIR;
    if (name->node->names_now.list.len != 0)
        return -ENOTEMPTY;
    names_set(&dir->names_now, last, NULL);
    return 0;
}

static int memory_unlink(struct io *io, const char *path)
{
    struct io_memory *mem = memory_of(io);
    return LOCKED(remove_locked(mem, path, false));
}

static int memory_rmdir(struct io *io, const char *path)
{
    struct io_memory *mem = memory_of(io);
    return LOCKED(remove_locked(mem, path, true));
}

static int memory_mkdir_locked(struct io_memory *mem, const char *path)
{
    struct str last;
    struct node *dir = find_parent(mem, path, &last);
    if (dir == NULL)
        return -ENOENT;
    if (str_is_null(last) || names_find(&dir->names_now, last) != NULL)
        return -EEXIST;
    names_set(&dir->names_now, last, node_new(mem, true));
    return 0;
}

static int memory_mkdir(struct io *io, const char *path)
{
    struct io_memory *mem = memory_of(io);
    return LOCKED(memory_mkdir_locked(mem, path));
}

static int memory_list(struct io *io, const char *path, io_list_fn *fn, void *arg)
{
    struct io_memory *mem = memory_of(io);
    struct names copy = {0};
    pthread_mutex_lock(&mem->lock);
    struct node *dir = find_node(mem, path);
    bool found = dir != NULL && dir->is_dir;
    if (found)
        names_copy(&copy, &dir->names_now);
    pthread_mutex_unlock(&mem->lock);
    for (size_t i = 0; i < copy.list.len; i++)
        fn(arg, copy.list.at[i].text);
    names_clear(&copy);
    return found ? 0 : dir != NULL ? -ENOTDIR : -ENOENT;
}

static int memory_sync_dir(struct io *io, const char *path)
{
    struct io_memory *mem = memory_of(io);
    pthread_mutex_lock(&mem->lock);
    struct node *dir = find_node(mem, path);
    bool found = dir != NULL && dir->is_dir;
    if (found)
        names_copy(&dir->names_safe, &dir->names_now);
    pthread_mutex_unlock(&mem->lock);
    return found ? 0 : -ENOENT;
}

static void node_make_safe(struct node *node)
{
    names_copy(&node->names_safe, &node->names_now);
    buf_clear(&node->safe);
    buf_append_str(&node->safe, buf_str(&node->now));
    for (size_t i = 0; i < node->names_now.list.len; i++)
        node_make_safe(node->names_now.list.at[i].node);
}

static int memory_sync_all(struct io *io, const char *path)
{
    struct io_memory *mem = memory_of(io);
    pthread_mutex_lock(&mem->lock);
    struct node *dir = find_node(mem, path);
    bool found = dir != NULL && dir->is_dir;
    if (found)
        node_make_safe(dir);
    pthread_mutex_unlock(&mem->lock);
    return found ? 0 : -ENOENT;
}

static int memory_lock_locked(struct io_memory *mem, int fd)
{
    struct node *node = file_get(mem, fd)->node;
    if (node->locked_by != 0 && node->locked_by != fd + 1)
        return -EWOULDBLOCK;
    node->locked_by = fd + 1;
    return 0;
}

static int memory_lock(struct io *io, int fd)
{
    struct io_memory *mem = memory_of(io);
    return LOCKED(memory_lock_locked(mem, fd));
}

static ssize_t memory_sendfile(struct io *io, int socket, int fd, uint64_t pos, size_t size)
{
    char chunk[16384];
    ssize_t got = memory_pread(io, fd, chunk, MIN(size, sizeof chunk), pos);
    if (got <= 0)
        return got;
    ssize_t sent = send(socket, chunk, (size_t)got, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

/* Any two calls see the clock move a little, as real ones do. */
static int64_t memory_monotonic_us(struct io *io)
{
    struct io_memory *mem = memory_of(io);
    return LOCKED(mem->clock_us++);
}

static int64_t memory_now_ms(struct io *io)
{
    struct io_memory *mem = memory_of(io);
    return LOCKED(mem->clock_us / 1000);
}

static void memory_random_bytes(struct io *io, void *bytes, size_t size)
{
    struct io_memory *mem = memory_of(io);
    pthread_mutex_lock(&mem->lock);
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)memory_random(mem);
    pthread_mutex_unlock(&mem->lock);
}

/* Known only when the test has set the room. */
static int memory_space(struct io *io, const char *path, struct io_space *out)
{
    struct io_memory *mem = memory_of(io);
    if (mem->room_bytes == 0)
        return -ENOSYS;
    pthread_mutex_lock(&mem->lock);
    uint64_t used = bytes_used(mem);
    *out = (struct io_space){.total_bytes = mem->room_bytes,
                             .usable_bytes = mem->room_bytes - MIN(used, mem->room_bytes)};
    pthread_mutex_unlock(&mem->lock);
    return 0;
}

static const struct io_ops memory_ops = {
    .open = memory_open,
    .close = memory_close,
    .pread = memory_pread,
    .pwritev = memory_pwritev,
    .fdatasync = memory_fdatasync,
    .truncate = memory_truncate,
    .stat = memory_stat,
    .fstat = memory_fstat,
    .rename = memory_rename,
    .unlink = memory_unlink,
    .mkdir = memory_mkdir,
    .rmdir = memory_rmdir,
    .list = memory_list,
    .sync_dir = memory_sync_dir,
    .sync_all = memory_sync_all,
    .lock = memory_lock,
    .sendfile = memory_sendfile,
    .now_ms = memory_now_ms,
    .monotonic_us = memory_monotonic_us,
    .random = memory_random_bytes,
    .space = memory_space,
};

struct io_memory *io_memory_new(uint64_t seed)
{
    struct io_memory *mem = mem_new(struct io_memory);
    mem->io.ops = &memory_ops;
    pthread_mutex_init(&mem->lock, NULL);
    mem->seed = seed;
    mem->clock_us =
        INT64_C(1700000000000000); /* a plausible present, so that timestamps look like timestamps */
    mem->root = node_new(mem, true);
    return mem;
}

void io_memory_free(struct io_memory *mem)
{
    if (mem == NULL)
        return;
    for (struct node *node = mem->nodes, *next; node != NULL; node = next) {
        next = node->next;
        buf_fini(&node->now);
        buf_fini(&node->safe);
        names_clear(&node->names_now);
        names_clear(&node->names_safe);
        free(node);
    }
    vec_fini(&mem->files);
    pthread_mutex_destroy(&mem->lock);
    free(mem);
}

struct io *io_memory_io(struct io_memory *mem)
{
    return &mem->io;
}

/* Any size between the two images, each sector from one of them. */
static void file_mix(struct io_memory *mem, struct node *node)
{
    size_t low = MIN(node->now.len, node->safe.len), high = MAX(node->now.len, node->safe.len);
    size_t size = low + (high > low ? memory_random(mem) % (high - low + 1) : 0);
    struct buf mixed = {0};
    memset(buf_extend(&mixed, size), 0, size);
    for (size_t at = 0; at < size; at += SECTOR_BYTES) {
        const struct buf *image = memory_random(mem) & 1 ? &node->now : &node->safe;
        size_t end = MIN(at + SECTOR_BYTES, MIN(size, image->len));
        if (end > at)
            memcpy(mixed.ptr + at, image->ptr + at, end - at);
    }
    buf_fini(&node->now);
    node->now = mixed;
}

/* Each name that differs between the images is as in one of them. */
static void names_mix(struct io_memory *mem, struct node *dir)
{
    struct names mixed = {0};
    for (size_t i = 0; i < dir->names_safe.list.len; i++) {
        struct name *safe = &dir->names_safe.list.at[i];
        struct name *now = names_find(&dir->names_now, str_from(safe->text));
        if (now != NULL && (now->node == safe->node || memory_random(mem) & 1))
            names_set(&mixed, str_from(now->text), now->node);
        else if (now != NULL || memory_random(mem) & 1)
            names_set(&mixed, str_from(safe->text), safe->node);
    }
    for (size_t i = 0; i < dir->names_now.list.len; i++) {
        struct name *now = &dir->names_now.list.at[i];
        if (names_find(&dir->names_safe, str_from(now->text)) == NULL && memory_random(mem) & 1)
            names_set(&mixed, str_from(now->text), now->node);
    }
    names_copy(&dir->names_now, &mixed);
    names_clear(&mixed);
}

static void node_cut(struct io_memory *mem, struct node *node, enum io_cut cut)
{
    node->locked_by = 0;
    if (cut == IO_CUT_KEEP)
        return;
    if (cut == IO_CUT_RANDOM) {
        file_mix(mem, node);
        names_mix(mem, node);
    } else {
        buf_clear(&node->now);
        buf_append_str(&node->now, buf_str(&node->safe));
        names_copy(&node->names_now, &node->names_safe);
    }
    buf_clear(&node->safe);
    buf_append_str(&node->safe, buf_str(&node->now));
    names_copy(&node->names_safe, &node->names_now);
}

void io_memory_cut(struct io_memory *mem, enum io_cut cut)
{
    pthread_mutex_lock(&mem->lock);
    for (struct node *node = mem->nodes; node != NULL; node = node->next)
        node_cut(mem, node, cut);
    for (size_t fd = 0; fd < mem->files.len; fd++)
        mem->files.at[fd].node = NULL;
    pthread_mutex_unlock(&mem->lock);
}

void io_memory_advance_ms(struct io_memory *mem, int64_t ms)
{
    pthread_mutex_lock(&mem->lock);
    mem->clock_us += ms * 1000;
    pthread_mutex_unlock(&mem->lock);
}

void io_memory_set_room(struct io_memory *mem, uint64_t bytes)
{
    pthread_mutex_lock(&mem->lock);
    mem->room_bytes = bytes;
    pthread_mutex_unlock(&mem->lock);
}

void io_memory_flip(struct io_memory *mem, const char *path, uint64_t pos)
{
    pthread_mutex_lock(&mem->lock);
    struct node *node = find_node(mem, path);
    ASSERT(node != NULL && pos < node->now.len);
    node->now.ptr[pos] ^= 0x40;
    pthread_mutex_unlock(&mem->lock);
}
