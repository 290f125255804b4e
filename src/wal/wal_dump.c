/* wal_dump.c - a file of the write-ahead log told as items: frames, their entries, damage. */
#include "wal/wal_int.h"

static void hex(const uint8_t *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

static void tell_frame(const struct wal_walk *walk, struct describe *out)
{
    struct str rest = str_of(walk->bytes + WAL_FRAME_HEADER_BYTES, walk->frame.size - WAL_FRAME_HEADER_BYTES);
    describe_begin(out, (int64_t)walk->frame_pos, 0, "frame");
    describe_number(out, "number", (int64_t)walk->frame.number);
    describe_number(out, "bytes", walk->frame.size);
    describe_number(out, "entries", walk->frame.entry_count);
    describe_end(out);
    for (struct wal_entry entry; wal_entry_next(&rest, &entry);) {
        char topic[2 * sizeof entry.key.topic];
        int64_t at = entry.bytes.ptr - walk->bytes - WAL_ENTRY_HEADER_BYTES + (int64_t)walk->frame_pos;
        hex(entry.key.topic, sizeof entry.key.topic, topic);
        describe_begin(out, at, 1, "entry");
        describe_text(out, "topic_id", str_of(topic, sizeof topic));
        describe_number(out, "partition", entry.key.partition);
        describe_number(out, "base_offset", entry.base_offset);
        describe_number(out, "end_offset", entry.end_offset);
        describe_number(out, "bytes", (int64_t)entry.bytes.len);
        describe_end(out);
    }
}

/* *generation 0: not known. */
static bool tell_header(const char *path, int fd, struct io *io, struct describe *out, uint64_t *generation,
                        uint64_t *damaged, struct err *err)
{
    char header[WAL_HEADER_BYTES];
    struct err why = {0};
    *generation = 0;
    if (!io_read_all(io, fd, header, sizeof header, 0, path, err))
        return false;
    if (memcmp(header, (char[WAL_HEADER_BYTES]){0}, sizeof header) == 0) { /* not used yet */
        describe_begin(out, 0, 0, "spare");
        describe_end(out);
        return true;
    }
    bool good = wal_header_decode(header, path, generation, &why);
    if (!good && why.code != ERR_CORRUPT) {
        if (err != NULL)
            *err = why;
        return false;
    }
    describe_begin(out, 0, 0, "header");
    describe_number(out, "generation", (int64_t)*generation);
    describe_check(out, good, why.text);
    describe_end(out);
    *damaged += !good;
    return true;
}

bool wal_dump(const char *path, struct io *io, struct describe *out, uint64_t *damaged, struct err *err)
{
    struct io_stat st;
    struct err why = {0};
    uint64_t generation;
    int fd = io_open(io, path, IO_READ);
    int rc = fd < 0 ? fd : io_fstat(io, fd, &st);
    bool good = rc >= 0 || err_set_errno(err, -rc, "%s: cannot be opened", path);
    good = good && tell_header(path, fd, io, out, &generation, damaged, err);
    if (good) {
        struct wal_walk walk;
        wal_walk_open(&walk, io, fd, path, st.size, generation);
        while (wal_walk_next(&walk, &why)) {
            if (walk.damaged_pos != UINT64_MAX) {
                (*damaged)++;
                describe_damage(out, (int64_t)walk.damaged_pos, 0, walk.frame_pos - walk.damaged_pos,
                                "no frame that counts");
            }
            tell_frame(&walk, out);
        }
        wal_walk_close(&walk);
    }
    if (fd >= 0)
        io_close(io, fd);
    if (why.code != ERR_NONE && err != NULL)
        *err = why;
    return good && why.code == ERR_NONE;
}
