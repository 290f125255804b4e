/* journal.c - the state's own write-ahead file: what was prepared, in order, each entry whole or not there.
 *
 *     | header 16 | snapshot entry | entry | entry | ... | the prepared one |
 *
 *     header   "rialtoST", version (4), CRC-32C of these 12 bytes (4)
 *     entry    size of body (4), CRC-32C of body (4), body: seq (8), pid (8), epoch (2), operations (op.c)
 *
 * (J1) An entry is durable before the transaction that it names is decided.
 * (J2) Only the last entry can be undecided: one entry is prepared at a time, and an aborted one is cut off before
 *      the next is written.
 * (J3) The first entry of a file is a snapshot of all numbers and store ids; RocksDB was flushed before it was
 *      written, so nothing older is needed.
 * (J4) A torn tail is an entry that was never acknowledged: it is cut when the file is opened.
 * (J5) After a failed sync or cut the journal takes no more entries: what the disk holds is unknown until the next
 *      start reads it.
 *
 * Thread: under the state's lock. Decided against: RocksDB's own log, which cannot hold a batch back until a decision.
 */
#include "state/state_int.h"

enum {
    HEADER_BYTES = JOURNAL_HEADER_BYTES,
    ENTRY_PREFIX_BYTES = 8,
    BODY_PREFIX_BYTES = 18,
    JOURNAL_VERSION = 1
};

static const char journal_magic[8] = {'r', 'i', 'a', 'l', 't', 'o', 'S', 'T'};

static void header_make(char header[HEADER_BYTES])
{
    memcpy(header, journal_magic, sizeof journal_magic);
    store_be32(header + 8, JOURNAL_VERSION);
    store_be32(header + 12, hash_crc32c(0, header, 12));
}

bool journal_check_header(struct str bytes, const char *path, struct err *err)
{
    if (bytes.len < HEADER_BYTES || memcmp(bytes.ptr, journal_magic, sizeof journal_magic) != 0 ||
        load_be32(bytes.ptr + 12) != hash_crc32c(0, bytes.ptr, 12))
        return err_set(err, ERR_CORRUPT,
                       "%s is not a state journal, or its header is damaged; "
                       "restore it from a backup, or remove the state directory to rebuild",
                       path);
    uint32_t version = load_be32(bytes.ptr + 8);
    if (version != JOURNAL_VERSION)
        return err_set(err, ERR_UNSUPPORTED, "%s has version %u, this program reads version %d", path,
                       version, JOURNAL_VERSION);
    return true;
}

bool journal_next(struct str *rest, struct journal_entry *entry)
{
    if (rest->len < ENTRY_PREFIX_BYTES)
        return false;
    uint32_t size = load_be32(rest->ptr);
    if (size < BODY_PREFIX_BYTES || size > rest->len - ENTRY_PREFIX_BYTES)
        return false;
    const char *body = rest->ptr + ENTRY_PREFIX_BYTES;
    if (load_be32(rest->ptr + 4) != hash_crc32c(0, body, size))
        return false;
    *entry = (struct journal_entry){.seq = load_be64(body),
                                    .pid = (int64_t)load_be64(body + 8),
                                    .epoch = (int16_t)load_be16(body + 16),
                                    .ops = str_of(body + BODY_PREFIX_BYTES, size - BODY_PREFIX_BYTES)};
    *rest = str_sub(*rest, ENTRY_PREFIX_BYTES + (size_t)size, SIZE_MAX);
    return true;
}

static void entry_prefix(const struct journal_entry *entry,
                         char prefix[ENTRY_PREFIX_BYTES + BODY_PREFIX_BYTES])
{
    char *body = prefix + ENTRY_PREFIX_BYTES;
    store_be64(body, entry->seq);
    store_be64(body + 8, (uint64_t)entry->pid);
    store_be16(body + 16, (uint16_t)entry->epoch);
    uint32_t crc = hash_crc32c(0, body, BODY_PREFIX_BYTES);
    crc = hash_crc32c(crc, entry->ops.ptr, entry->ops.len);
    store_be32(prefix, (uint32_t)(BODY_PREFIX_BYTES + entry->ops.len));
    store_be32(prefix + 4, crc);
}

/* Makes a journal file that holds a header only. */
static bool journal_create(struct journal *journal, struct err *err)
{
    char header[HEADER_BYTES];
    header_make(header);
    return io_replace_file(journal->io, journal->dir.ptr, journal->path.ptr, str_of(header, HEADER_BYTES),
                           err);
}

/* Where the whole entries end. */
static size_t whole_end(struct str bytes)
{
    struct str rest = str_sub(bytes, HEADER_BYTES, SIZE_MAX);
    struct journal_entry entry;
    while (journal_next(&rest, &entry)) {
    }
    return bytes.len - rest.len;
}

static bool cut_at(struct journal *journal, uint64_t pos, struct err *err)
{
    int rc = io_truncate(journal->io, journal->fd, pos);
    if (rc == 0)
        rc = io_fdatasync(journal->io, journal->fd);
    if (rc != 0) {
        journal->broken = true;
        return err_set_errno(err, -rc, "cannot cut %s to %" PRIu64 " bytes", journal->path.ptr, pos);
    }
    journal->end_pos = pos;
    return true;
}

static bool open_file(struct journal *journal, struct err *err)
{
    journal->fd = io_open(journal->io, journal->path.ptr, IO_WRITE);
    return journal->fd >= 0 || err_set_errno(err, -journal->fd, "cannot open %s", journal->path.ptr);
}

bool journal_open(struct journal *journal, struct io *io, struct str dir, struct buf *bytes, struct err *err)
{
    struct err reading;
    journal->io = io;
    journal->fd = -1;
    buf_append_str(&journal->dir, dir);
    buf_printf(&journal->path, "%.*s/journal", STR_ARG(dir));
    if (!io_read_file(io, journal->path.ptr, SIZE_MAX / 2, bytes, &reading)) {
        if (reading.code != ERR_NOT_FOUND) {
            if (err != NULL)
                *err = reading;
            return false;
        }
        if (!journal_create(journal, err) || !open_file(journal, err))
            return false;
        journal->end_pos = HEADER_BYTES;
        return true;
    }
    if (!journal_check_header(buf_str(bytes), journal->path.ptr, err) || !open_file(journal, err))
        return false;
    size_t end = whole_end(buf_str(bytes));
    if (end < bytes->len) {
        log_warn("state", "journal_cut", "path=%s bytes=%zu", journal->path.ptr, bytes->len - end);
        if (!cut_at(journal, end, err))
            return false;
    }
    journal->end_pos = end;
    bytes->len = end;
    buf_consume(bytes, HEADER_BYTES);
    return true;
}

void journal_close(struct journal *journal)
{
    if (journal->io != NULL && journal->fd >= 0)
        io_close(journal->io, journal->fd);
    journal->fd = -1;
    buf_fini(&journal->dir);
    buf_fini(&journal->path);
}

bool journal_append(struct journal *journal, const struct journal_entry *entry, struct err *err)
{
    if (journal->broken)
        return err_set(err, ERR_STORAGE, "%s failed earlier and takes no more entries; restart the server",
                       journal->path.ptr);
    if (entry->ops.len > UINT32_MAX - BODY_PREFIX_BYTES)
        return err_set(err, ERR_LIMIT, "%zu bytes of state changes in one commit are too many",
                       entry->ops.len);
    char prefix[ENTRY_PREFIX_BYTES + BODY_PREFIX_BYTES];
    entry_prefix(entry, prefix);
    struct iovec parts[] = {{prefix, sizeof prefix}, {(void *)entry->ops.ptr, entry->ops.len}};
    if (!io_write_all(journal->io, journal->fd, parts, entry->ops.len != 0 ? 2 : 1, journal->end_pos,
                      journal->path.ptr, err)) {
        ignore(!cut_at(journal, journal->end_pos, NULL), "the journal is marked broken then");
        return false;
    }
    int rc = io_fdatasync(journal->io, journal->fd);
    if (rc != 0) {
        journal->broken = true;
        return err_set_errno(err, -rc, "cannot sync %s", journal->path.ptr);
    }
    journal->entry_pos = journal->end_pos;
    journal->end_pos += sizeof prefix + entry->ops.len;
    return true;
}

void journal_set_last(struct journal *journal, const struct journal_entry *entry)
{
    journal->entry_pos = journal->end_pos - (ENTRY_PREFIX_BYTES + BODY_PREFIX_BYTES + entry->ops.len);
}

bool journal_cut_last(struct journal *journal, struct err *err)
{
    ASSERT(journal->entry_pos != 0);
    uint64_t pos = journal->entry_pos;
    journal->entry_pos = 0;
    return cut_at(journal, pos, err);
}

/* After a failed replacement: the old file may still be in place, then nothing has happened; else the new one is, and
 * whether its name is durable is unknown. */
static void look_again(struct journal *journal)
{
    struct io_stat st;
    if (io_stat(journal->io, journal->path.ptr, &st) != 0 || st.size != journal->end_pos)
        journal->broken = true;
}

bool journal_restart(struct journal *journal, const struct journal_entry *snapshot, struct err *err)
{
    char header[HEADER_BYTES], prefix[ENTRY_PREFIX_BYTES + BODY_PREFIX_BYTES];
    struct buf bytes = {0};
    header_make(header);
    entry_prefix(snapshot, prefix);
    buf_append(&bytes, header, sizeof header);
    buf_append(&bytes, prefix, sizeof prefix);
    buf_append_str(&bytes, snapshot->ops);
    bool ok = io_replace_file(journal->io, journal->dir.ptr, journal->path.ptr, buf_str(&bytes), err);
    uint64_t size = bytes.len;
    buf_fini(&bytes);
    if (!ok) {
        look_again(journal);
        return false;
    }
    io_close(journal->io, journal->fd);
    if (!open_file(journal, err)) {
        journal->broken = true;
        return false;
    }
    journal->end_pos = size;
    journal->entry_pos = 0;
    return true;
}
