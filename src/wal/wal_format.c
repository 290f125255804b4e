/* wal_format.c - a file's header, frames and entries as bytes, and the walk over them (doc/disk.md).
 *
 *     | header block | frame, filled up to a block | frame ... | what an earlier use of the file left |
 *
 * (F1) A frame counts when its checksum fits, its generation is the file's and its number the next one: what was left by an
 *      earlier use has an older generation. One write a frame, the next after its sync: behind one that is torn there is none.
 * (F2) A frame that does not count although one with a larger number lies behind it was damaged later. It is told, and the walk
 *      goes on behind it: frames begin at blocks, so the next one is found.
 */
#include "wal/wal_int.h"

static const char file_magic[8] = {'r', 'i', 'a', 'l', 't', 'o', 'W', 'L'};
static const char frame_magic[4] = {'r', 'l', 'w', 'f'};

void wal_key_encode(const struct wal_key *key, char out[WAL_KEY_BYTES])
{
    memcpy(out, key->topic, sizeof key->topic);
    store_be32(out + 16, (uint32_t)key->partition);
}

struct wal_key wal_key_decode(const char *bytes)
{
    struct wal_key key;
    memcpy(key.topic, bytes, sizeof key.topic);
    key.partition = (int32_t)load_be32(bytes + 16);
    return key;
}

void wal_header_encode(uint64_t generation, char out[WAL_HEADER_BYTES])
{
    memcpy(out, file_magic, sizeof file_magic);
    store_be32(out + 8, WAL_VERSION);
    store_be64(out + 12, generation);
    store_be32(out + 20, hash_crc32c(0, out, 20));
}

bool wal_header_decode(const char *bytes, const char *path, uint64_t *generation, struct err *err)
{
    if (memcmp(bytes, file_magic, sizeof file_magic) != 0 ||
        load_be32(bytes + 20) != hash_crc32c(0, bytes, 20))
        return err_set(err, ERR_CORRUPT, "%s: the header is damaged, or it is no write-ahead log", path);
    if (load_be32(bytes + 8) != WAL_VERSION)
        return err_set(err, ERR_UNSUPPORTED, "%s has version %u, this program reads version %d", path,
                       load_be32(bytes + 8), WAL_VERSION);
    *generation = load_be64(bytes + 12);
    return true;
}

void wal_entry_encode(const struct wal_entry *entry, char out[WAL_ENTRY_HEADER_BYTES])
{
    wal_key_encode(&entry->key, out);
    store_be32(out + 20, (uint32_t)entry->bytes.len);
    store_be64(out + 24, (uint64_t)entry->base_offset);
    store_be64(out + 32, (uint64_t)entry->end_offset);
}

bool wal_entry_next(struct str *rest, struct wal_entry *entry)
{
    if (rest->len < WAL_ENTRY_HEADER_BYTES)
        return false;
    const char *at = rest->ptr;
    uint32_t size = load_be32(at + 20);
    if (size > rest->len - WAL_ENTRY_HEADER_BYTES)
        return false;
    *entry = (struct wal_entry){.key = wal_key_decode(at),
                                .base_offset = (int64_t)load_be64(at + 24),
                                .end_offset = (int64_t)load_be64(at + 32),
                                .bytes = str_of(at + WAL_ENTRY_HEADER_BYTES, size)};
    *rest = str_sub(*rest, WAL_ENTRY_HEADER_BYTES + (size_t)size, SIZE_MAX);
    return entry->base_offset >= 0 && entry->end_offset > entry->base_offset;
}

void wal_frame_seal(char *bytes, const struct wal_frame *frame)
{
    memcpy(bytes, frame_magic, sizeof frame_magic);
    store_be32(bytes + 8, frame->size);
    store_be32(bytes + 12, frame->entry_count);
    store_be64(bytes + 16, frame->generation);
    store_be64(bytes + 24, frame->number);
    store_be32(bytes + 4, hash_crc32c(0, bytes + 8, frame->size - 8));
}

bool wal_frame_decode(const char header[WAL_FRAME_HEADER_BYTES], struct wal_frame *out)
{
    *out = (struct wal_frame){.size = load_be32(header + 8),
                              .entry_count = load_be32(header + 12),
                              .generation = load_be64(header + 16),
                              .number = load_be64(header + 24)};
    return memcmp(header, frame_magic, sizeof frame_magic) == 0 && out->size >= WAL_FRAME_HEADER_BYTES &&
           out->size <= WAL_FRAME_BYTES_MAX;
}

bool wal_frame_check(const char *bytes, const struct wal_frame *frame)
{
    return load_be32(bytes + 4) == hash_crc32c(0, bytes + 8, frame->size - 8);
}

void wal_walk_open(struct wal_walk *walk, struct io *io, int fd, const char *path, uint64_t end,
                   uint64_t generation)
{
    *walk = (struct wal_walk){.io = io,
                              .fd = fd,
                              .path = path,
                              .pos = WAL_BLOCK_BYTES,
                              .end = end,
                              .generation = generation,
                              .bytes = mem_alloc(WAL_FRAME_BYTES_MAX)};
}

/* Reads the frame that begins at `pos` into walk->bytes. False: there is none that counts, or (*err) it cannot be read. */
static bool read_frame(struct wal_walk *walk, uint64_t pos, struct err *err)
{
    struct wal_frame *frame = &walk->frame;
    if (!io_read_all(walk->io, walk->fd, walk->bytes, WAL_FRAME_HEADER_BYTES, pos, walk->path, err) ||
        !wal_frame_decode(walk->bytes, frame) || frame->size > walk->end - pos)
        return false;
    if ((walk->generation != 0 && frame->generation != walk->generation) || frame->number < walk->number)
        return false;
    if (!io_read_all(walk->io, walk->fd, walk->bytes + WAL_FRAME_HEADER_BYTES,
                     frame->size - WAL_FRAME_HEADER_BYTES, pos + WAL_FRAME_HEADER_BYTES, walk->path, err))
        return false;
    return wal_frame_check(walk->bytes, frame);
}

bool wal_walk_next(struct wal_walk *walk, struct err *err)
{
    struct err why = {0};
    for (uint64_t pos = walk->pos; pos + WAL_FRAME_HEADER_BYTES <= walk->end; pos += WAL_BLOCK_BYTES) {
        bool good = read_frame(walk, pos, &why);
        if (why.code != ERR_NONE) {
            if (err != NULL)
                *err = why;
            return false;
        }
        if (!good)
            continue;
        walk->damaged_pos = pos == walk->pos && walk->frame.number == walk->number ? UINT64_MAX : walk->pos;
        walk->generation = walk->frame.generation;
        walk->number = walk->frame.number + 1;
        walk->frame_pos = pos;
        walk->pos = pos + wal_padded(walk->frame.size);
        return true;
    }
    return false;
}

void wal_walk_close(struct wal_walk *walk)
{
    free(walk->bytes);
}
