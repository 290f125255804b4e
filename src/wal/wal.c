/* wal.c - the files of a write-ahead log: which there are, who takes the next frame, when one can be used again.
 *
 *            wal_make_spare             wal_add: the current one is full          wal_reclaim
 *     (none) --------------> SPARE --> CURRENT ----------------------> FULL ------------------> SPARE, or gone
 *                                                                       ^
 *                                 wal_open: FOUND ------ wal_replay ----+
 *
 * (W1) A file takes frames only after it was written from end to end, and after the header with its new generation is durable:
 *      what an earlier use has left in it is told apart by that.
 * (W2) A frame is written by one write and synced before the next one: all frames before a torn one are whole.
 * (W3) After a failed write or sync no frame is taken until the next start. Whoever added entries then makes them durable by
 *      other means; the next start may find that frame, and its entries say what the partitions' own files say.
 * (W4) A file is used again only when all its entries are durable elsewhere, in whatever order files come to that: what belongs
 *      to a partition whose own file cannot be written keeps its files here, and only those.
 * (W5) What can be removed is kept up to SPARES_MAX files, which saves writing new ones.
 * (W6) A file is made only where FREE_FILES times its size is free: it never takes the room that records would have found.
 * (W7) Where an upkeep has ended with no file to go on with, because there is no room or what the files hold cannot be settled,
 *      there is no work before RETRY_US are over, however often the writer asks.
 */
#include "wal/wal_int.h"

#include <stdio.h>

enum { SPARES_MAX = 2, FREE_FILES = 4, FILL_BYTES = 1 << 20, RETRY_US = 10 * 1000 * 1000 };

/* --- open --- */

struct found {
    struct wal *wal;
    vec(int64_t) names;
};

static void found_add(void *arg, const char *cname)
{
    struct found *found = arg;
    struct str name = str_from(cname);
    int64_t n;
    if (str_ends_with(name, STR(".wal")) && str_to_i64(str_sub(name, 0, name.len - 4), &n) && n >= 0)
        vec_push(&found->names, n);
}

static struct wal_file *file_new(struct wal *wal, uint64_t name)
{
    struct wal_file *file = mem_new(struct wal_file);
    char path[WAL_PATH_BYTES];
    int len = snprintf(path, sizeof path, "%s/%020llu.wal", wal->dir, (unsigned long long)name);
    ASSERT(len > 0 && (size_t)len < sizeof path);
    file->path = mem_dup(path, (size_t)len + 1);
    file->fd = -1;
    file->state = WAL_FOUND;
    wal->name = MAX(wal->name, name);
    return file;
}

static void file_free(struct wal *wal, struct wal_file *file)
{
    if (file->fd >= 0)
        io_close(wal->io, file->fd);
    map_fini(&file->ends);
    free(file->path);
    free(file);
}

/* The generation of a file whose header is damaged: that of its frames. 0: it has none, so nothing was promised of it. */
static bool generation_of_frames(struct wal *wal, struct wal_file *file, uint64_t size, struct err *err)
{
    struct wal_walk walk;
    struct err why = {0};
    wal_walk_open(&walk, wal->io, file->fd, file->path, size, 0);
    bool found = wal_walk_next(&walk, &why);
    file->generation = found ? walk.generation : 0;
    wal_walk_close(&walk);
    if (why.code != ERR_NONE && err != NULL)
        *err = why;
    return why.code == ERR_NONE;
}

/* Takes a file of an earlier life into the list, or removes it when it holds nothing. */
static bool file_find(struct wal *wal, uint64_t name, struct err *err)
{
    struct wal_file *file = file_new(wal, name);
    struct io_stat st;
    struct err why = {0};
    char header[WAL_HEADER_BYTES];
    file->fd = io_open(wal->io, file->path, IO_READ);
    int rc = file->fd < 0 ? file->fd : io_fstat(wal->io, file->fd, &st);
    bool good = rc >= 0 || err_set_errno(err, -rc, "%s: cannot be opened", file->path);
    if (good && st.size >= WAL_BLOCK_BYTES) {
        good = io_read_all(wal->io, file->fd, header, sizeof header, 0, file->path, err);
        if (good && !wal_header_decode(header, file->path, &file->generation, &why)) {
            good = why.code == ERR_CORRUPT && generation_of_frames(wal, file, st.size, err);
            if (good && file->generation != 0)
                log_error("wal", "damaged", "cause=\"%s\" then=read_all_the_same", why.text);
            else if (!good && why.code != ERR_CORRUPT && err != NULL)
                *err = why;
        }
        file->end = st.size; /* until wal_replay knows better */
    }
    if (good && file->generation != 0) {
        vec_push(&wal->files, file);
        wal->generation = MAX(wal->generation, file->generation);
        return true;
    }
    if (good) /* a crash came before its first use */
        ignore(io_unlink(wal->io, file->path) < 0, "it does no harm where it is");
    file_free(wal, file);
    return good;
}

static int by_generation(const void *a, const void *b)
{
    const struct wal_file *x = *(struct wal_file *const *)a, *y = *(struct wal_file *const *)b;
    return x->generation < y->generation ? -1 : x->generation > y->generation;
}

struct wal *wal_open(const struct wal_config *config, struct io *io, struct err *err)
{
    struct wal *wal = mem_new(struct wal);
    struct found found = {.wal = wal};
    ASSERT(config->file_bytes % WAL_BLOCK_BYTES == 0 && config->file_bytes >= 4 * WAL_BLOCK_BYTES);
    wal->io = io;
    wal->dir = mem_dup(config->dir, strlen(config->dir) + 1);
    wal->file_bytes = config->file_bytes;
    wal->file_max = config->file_max;
    wal->off = config->file_max == 0;
    pthread_mutex_init(&wal->lock, NULL);
    int rc = io_list(io, wal->dir, found_add, &found);
    bool good = rc >= 0 || rc == -ENOENT || err_set_errno(err, -rc, "%s: cannot be listed", wal->dir);
    for (size_t i = 0; good && i < found.names.len; i++)
        good = file_find(wal, (uint64_t)found.names.at[i], err);
    vec_fini(&found.names);
    vec_reserve(&wal->files, 1);
    qsort(wal->files.at, wal->files.len, sizeof *wal->files.at, by_generation);
    atomic_store(&wal->work, true);
    if (good)
        return wal;
    wal_close(wal);
    return NULL;
}

void wal_close(struct wal *wal)
{
    if (wal == NULL)
        return;
    size_t left = 0;
    for (size_t i = 0; i < wal->files.len; i++) {
        struct wal_file *file = wal->files.at[i];
        if (file->state == WAL_SPARE)
            ignore(io_unlink(wal->io, file->path) < 0, "the next start removes it");
        left += file->state != WAL_SPARE;
        file_free(wal, file);
    }
    if (left == 0)
        ignore(io_rmdir(wal->io, wal->dir) < 0, "it may never have been made");
    vec_fini(&wal->files);
    vec_fini(&wal->pending);
    pthread_mutex_destroy(&wal->lock);
    free(wal->frame);
    free(wal->dir);
    free(wal);
}

/* --- reading --- */

static void file_note(struct wal_file *file, const char key[WAL_KEY_BYTES], int64_t end_offset)
{
    struct str name = str_of(key, WAL_KEY_BYTES);
    if ((int64_t)(intptr_t)map_get(&file->ends, name) < end_offset)
        map_put(&file->ends, name, (void *)(intptr_t)end_offset);
}

static void tell_damage(const struct wal_walk *walk)
{
    log_error("wal", "damaged", "file=%s position=%llu bytes=%llu", walk->path,
              (unsigned long long)walk->damaged_pos,
              (unsigned long long)(walk->frame_pos - walk->damaged_pos));
}

/* Visits the entries of the frame that was read; notes those that are still needed. */
static void replay_frame(struct wal_file *file, const struct wal_walk *walk, wal_visit_fn *visit, void *arg)
{
    struct str rest = str_of(walk->bytes + WAL_FRAME_HEADER_BYTES, walk->frame.size - WAL_FRAME_HEADER_BYTES);
    struct wal_entry entry;
    char key[WAL_KEY_BYTES];
    while (wal_entry_next(&rest, &entry)) {
        if (!visit(arg, &entry))
            continue;
        wal_key_encode(&entry.key, key);
        file_note(file, key, entry.end_offset);
    }
}

bool wal_replay(struct wal *wal, wal_visit_fn *visit, void *arg, struct err *err)
{
    struct err why = {0};
    for (size_t i = 0; why.code == ERR_NONE && i < wal->files.len; i++) {
        struct wal_file *file = wal->files.at[i];
        struct wal_walk walk;
        wal_walk_open(&walk, wal->io, file->fd, file->path, file->end, file->generation);
        while (wal_walk_next(&walk, &why)) {
            if (walk.damaged_pos != UINT64_MAX)
                tell_damage(&walk);
            replay_frame(file, &walk, visit, arg);
        }
        file->end = walk.pos;
        wal_walk_close(&walk);
    }
    for (size_t i = 0; why.code == ERR_NONE && i < wal->files.len; i++)
        wal->files.at[i]->state = WAL_FULL; /* all or none: what was not replayed is not reclaimed */
    if (why.code != ERR_NONE && err != NULL)
        *err = why;
    return why.code == ERR_NONE;
}

struct part_read {
    struct wal_file *file;
    uint64_t generation, end;
};

/* The files that hold something of the key, by generation, as they are now. */
static size_t files_with(struct wal *wal, struct str key, struct part_read *out, size_t count_max)
{
    size_t count = 0;
    pthread_mutex_lock(&wal->lock);
    for (size_t i = 0; i < wal->files.len && count < count_max; i++) {
        struct wal_file *file = wal->files.at[i];
        if (file->state == WAL_SPARE || !map_has(&file->ends, key))
            continue;
        size_t at = count++;
        for (; at > 0 && out[at - 1].generation > file->generation; at--)
            out[at] = out[at - 1];
        out[at] = (struct part_read){file, file->generation, file->end};
    }
    pthread_mutex_unlock(&wal->lock);
    return count;
}

bool wal_each(struct wal *wal, const struct wal_key *key, wal_visit_fn *visit, void *arg, struct err *err)
{
    enum { READS_MAX = 256 };
    struct part_read reads[READS_MAX];
    char wanted[WAL_KEY_BYTES], found[WAL_KEY_BYTES];
    struct err why = {0};
    wal_key_encode(key, wanted);
    size_t count = files_with(wal, str_of(wanted, sizeof wanted), reads, READS_MAX);
    for (size_t i = 0; why.code == ERR_NONE && i < count; i++) {
        struct wal_walk walk;
        int fd = io_open(wal->io, reads[i].file->path, IO_READ);
        if (fd < 0) {
            err_set_errno(&why, -fd, "%s: cannot be opened", reads[i].file->path);
            break;
        }
        wal_walk_open(&walk, wal->io, fd, reads[i].file->path, reads[i].end, reads[i].generation);
        while (wal_walk_next(&walk, &why)) {
            struct str rest =
                str_of(walk.bytes + WAL_FRAME_HEADER_BYTES, walk.frame.size - WAL_FRAME_HEADER_BYTES);
            for (struct wal_entry entry; wal_entry_next(&rest, &entry);) {
                wal_key_encode(&entry.key, found);
                if (memcmp(found, wanted, sizeof found) == 0)
                    visit(arg, &entry);
            }
        }
        wal_walk_close(&walk);
        io_close(wal->io, fd);
    }
    if (why.code != ERR_NONE && err != NULL)
        *err = why;
    return why.code == ERR_NONE;
}

/* --- files --- */

static size_t count_state(const struct wal *wal, enum wal_file_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < wal->files.len; i++)
        count += wal->files.at[i]->state == state;
    return count;
}

bool wal_has_work(struct wal *wal)
{
    return atomic_load_explicit(&wal->work, memory_order_relaxed) &&
           io_monotonic_us(wal->io) >= atomic_load_explicit(&wal->retry_us, memory_order_relaxed);
}

/* Writes a file from end to end, so that all its blocks are there, and its name. */
static bool fill(struct wal *wal, struct wal_file *file, struct err *err)
{
    char *zeros = mem_alloc_aligned(WAL_BLOCK_BYTES, FILL_BYTES);
    memset(zeros, 0, FILL_BYTES);
    bool good = true;
    for (uint64_t pos = 0; good && pos < wal->file_bytes; pos += FILL_BYTES) {
        struct iovec part = {zeros, (size_t)MIN((uint64_t)FILL_BYTES, wal->file_bytes - pos)};
        good = io_write_all(wal->io, file->fd, &part, 1, pos, file->path, err);
    }
    free(zeros);
    int rc = good ? io_fdatasync(wal->io, file->fd) : 0;
    if (rc >= 0 && good)
        rc = io_sync_dir(wal->io, wal->dir);
    return good && (rc >= 0 || err_set_errno(err, -rc, "%s: sync failed", file->path));
}

/* W6 */
static bool has_room(struct wal *wal, struct err *err)
{
    struct io_space space;
    uint64_t wanted = FREE_FILES * wal->file_bytes;
    if (io_space(wal->io, wal->dir, &space) < 0 || space.usable_bytes >= wanted)
        return true;
    return err_set(err, ERR_DISK_FULL, "%s: a new file is made where %llu bytes are free, there are %llu",
                   wal->dir, (unsigned long long)wanted, (unsigned long long)space.usable_bytes);
}

bool wal_make_spare(struct wal *wal, struct err *err)
{
    atomic_store(&wal->work, false); /* who finds more to do from now on says so again */
    pthread_mutex_lock(&wal->lock);
    wal->lacking = atomic_load(&wal->asked) && count_state(wal, WAL_SPARE) == 0;
    bool wanted = wal->lacking && wal->files.len < (size_t)wal->file_max;
    pthread_mutex_unlock(&wal->lock);
    if (!wanted)
        return true;
    if (!io_make_dirs(wal->io, wal->dir, err) || !has_room(wal, err))
        return false;
    struct wal_file *file = file_new(wal, wal->name + 1);
    file->state = WAL_SPARE;
    file->fd = io_open(wal->io, file->path, IO_WRITE | IO_CREATE | IO_TRUNCATE | IO_COLD);
    bool good = file->fd >= 0 || err_set_errno(err, -file->fd, "%s: cannot be made", file->path);
    if (!good || !fill(wal, file, err)) {
        ignore(good && io_unlink(wal->io, file->path) < 0, "the next start removes it");
        file_free(wal, file);
        return false;
    }
    wal->lacking = false;
    pthread_mutex_lock(&wal->lock);
    vec_push(&wal->files, file);
    pthread_mutex_unlock(&wal->lock);
    return true;
}

/* Does every entry of the file lie elsewhere too? The file is full, so nobody else changes its map. */
static bool settle_file(struct wal_file *file, wal_settle_fn *settle, void *arg)
{
    struct str key;
    void *end;
    bool all = true;
    for (size_t i = 0; map_next(&file->ends, &i, &key, &end);) {
        struct wal_key whose = wal_key_decode(key.ptr);
        all &= settle(arg, &whose, (int64_t)(intptr_t)end);
    }
    return all;
}

/* A file that is not needed: kept for the next use, unless there are enough, or it was made with another size. */
static void retire(struct wal *wal, struct wal_file *file)
{
    struct io_stat st;
    bool fits = io_fstat(wal->io, file->fd, &st) >= 0 && st.size == wal->file_bytes;
    if (fits) { /* those of earlier lives are open for reading */
        int fd = io_open(wal->io, file->path, IO_WRITE | IO_COLD);
        fits = fd >= 0;
        if (fits) {
            io_close(wal->io, file->fd);
            file->fd = fd;
        }
    }
    pthread_mutex_lock(&wal->lock);
    map_clear(&file->ends);
    bool keep = fits && count_state(wal, WAL_SPARE) < SPARES_MAX && wal->files.len <= (size_t)wal->file_max;
    file->state = WAL_SPARE;
    for (size_t i = 0; !keep && i < wal->files.len; i++)
        if (wal->files.at[i] == file) {
            vec_remove(&wal->files, i);
            break;
        }
    pthread_mutex_unlock(&wal->lock);
    if (keep)
        return;
    ignore(io_unlink(wal->io, file->path) < 0, "its entries are found again and are there already");
    file_free(wal, file);
}

/* W7. Under the lock, under which no file was found that is full and was not tried. */
static void end_upkeep(struct wal *wal)
{
    bool stuck = wal->lacking && count_state(wal, WAL_SPARE) == 0 && count_state(wal, WAL_CURRENT) == 0;
    atomic_store(&wal->retry_us, stuck ? io_monotonic_us(wal->io) + RETRY_US : 0);
}

/* The next one to be tried; NULL: that was all. */
static struct wal_file *full_after(struct wal *wal, uint64_t generation)
{
    struct wal_file *next = NULL;
    pthread_mutex_lock(&wal->lock);
    for (size_t i = 0; i < wal->files.len; i++) {
        struct wal_file *file = wal->files.at[i];
        if (file->state == WAL_FULL && file->generation > generation &&
            (next == NULL || file->generation < next->generation))
            next = file;
    }
    if (next == NULL)
        end_upkeep(wal);
    pthread_mutex_unlock(&wal->lock);
    return next;
}

void wal_reclaim(struct wal *wal, wal_settle_fn *settle, void *arg)
{
    uint64_t generation = 0;
    for (struct wal_file *file; (file = full_after(wal, generation)) != NULL;) {
        generation = file->generation;
        if (settle_file(file, settle, arg))
            retire(wal, file);
    }
}

void wal_seal(struct wal *wal)
{
    ASSERT(wal->entry_count == 0);
    pthread_mutex_lock(&wal->lock);
    if (wal->current != NULL)
        wal->current->state = WAL_FULL;
    wal->current = NULL;
    pthread_mutex_unlock(&wal->lock);
}

/* --- writing --- */

static bool write_block(struct wal *wal, struct wal_file *file, char *bytes, size_t size, uint64_t pos,
                        struct err *err)
{
    struct iovec part = {bytes, size};
    if (!io_write_all(wal->io, file->fd, &part, 1, pos, file->path, err))
        return false;
    int rc = io_fdatasync(wal->io, file->fd);
    return rc >= 0 || err_set_errno(err, -rc, "%s: sync failed", file->path);
}

/* W3 */
static bool fail(struct wal *wal, const struct err *why, struct err *err)
{
    wal->off = true;
    wal_seal(wal);
    log_error("wal", "off", "cause=\"%s\" then=every_partition_is_synced_by_itself_until_the_next_start",
              why->text);
    if (err != NULL)
        *err = *why;
    return false;
}

/* Goes on with a spare file. Between frames. */
static bool next_file(struct wal *wal)
{
    struct wal_file *next = NULL;
    struct err why = {0};
    wal_seal(wal);
    pthread_mutex_lock(&wal->lock);
    for (size_t i = 0; next == NULL && i < wal->files.len; i++)
        if (wal->files.at[i]->state == WAL_SPARE)
            next = wal->files.at[i];
    if (next != NULL) {
        next->state = WAL_CURRENT;
        next->generation = ++wal->generation;
        next->end = WAL_BLOCK_BYTES;
        next->frame_count = 0;
    }
    pthread_mutex_unlock(&wal->lock);
    atomic_store(&wal->asked, true);
    atomic_store(&wal->work, true);
    if (next == NULL)
        return false;
    wal->current = next;
    memset(wal->frame, 0, WAL_BLOCK_BYTES);
    wal_header_encode(next->generation, wal->frame);
    return write_block(wal, next, wal->frame, WAL_BLOCK_BYTES, 0, &why) || fail(wal, &why, NULL);
}

char *wal_add(struct wal *wal, const struct wal_entry *entry)
{
    size_t size = WAL_ENTRY_HEADER_BYTES + entry->bytes.len;
    ASSERT(entry->end_offset > entry->base_offset && entry->base_offset >= 0);
    if (wal->off || entry->bytes.len > WAL_FRAME_BYTES_MAX ||
        WAL_BLOCK_BYTES + wal_padded(WAL_FRAME_HEADER_BYTES + size) > wal->file_bytes)
        return NULL;
    if (wal->frame == NULL)
        wal->frame = mem_alloc_aligned(WAL_BLOCK_BYTES, WAL_FRAME_BYTES_MAX);
    size_t begin = wal->entry_count == 0 ? WAL_FRAME_HEADER_BYTES : wal->frame_len;
    uint64_t needed = wal_padded(begin + size);
    bool fits = needed <= WAL_FRAME_BYTES_MAX;
    if (fits && (wal->current == NULL || wal->current->end + needed > wal->file_bytes))
        fits = wal->entry_count == 0 && next_file(wal);
    if (!fits)
        return NULL;
    wal_entry_encode(entry, wal->frame + begin);
    wal->frame_before = begin;
    wal->frame_len = begin + size;
    wal->entry_count++;
    struct wal_pending *pending = vec_push_zero(&wal->pending);
    wal_key_encode(&entry->key, pending->key);
    pending->end_offset = entry->end_offset;
    return wal->frame + begin + WAL_ENTRY_HEADER_BYTES;
}

void wal_take_back(struct wal *wal)
{
    ASSERT(wal->entry_count != 0);
    wal->frame_len = wal->frame_before;
    wal->entry_count--;
    wal->pending.len--;
}

bool wal_commit(struct wal *wal, struct err *err)
{
    struct wal_file *file = wal->current;
    struct err why = {0};
    ASSERT(wal->entry_count != 0);
    struct wal_frame frame = {(uint32_t)wal->frame_len, wal->entry_count, file->generation,
                              file->frame_count};
    size_t size = wal_padded(wal->frame_len);
    memset(wal->frame + wal->frame_len, 0, size - wal->frame_len);
    wal_frame_seal(wal->frame, &frame);
    wal->entry_count = 0;
    wal->frame_len = 0;
    bool good = write_block(wal, file, wal->frame, size, file->end, &why);
    pthread_mutex_lock(&wal->lock);
    /* Of a failed frame too: what the next start may find there keeps the file as long as its partitions are behind it. */
    for (size_t i = 0; i < wal->pending.len; i++)
        file_note(file, wal->pending.at[i].key, wal->pending.at[i].end_offset);
    if (good) {
        file->end += size;
        file->frame_count++;
    }
    pthread_mutex_unlock(&wal->lock);
    vec_clear(&wal->pending);
    if (!good)
        return fail(wal, &why, err);
    atomic_fetch_add_explicit(&wal->frames, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&wal->bytes, size, memory_order_relaxed);
    return true;
}

struct wal_stats wal_stats(struct wal *wal)
{
    struct wal_stats stats = {.frames = atomic_load(&wal->frames), .bytes = atomic_load(&wal->bytes)};
    pthread_mutex_lock(&wal->lock);
    stats.files = (int)wal->files.len;
    pthread_mutex_unlock(&wal->lock);
    return stats;
}
