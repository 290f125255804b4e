/* wal_int.h - private to src/wal: the format, and what a file is. */
#ifndef RIALTO_WAL_WAL_INT_H
#define RIALTO_WAL_WAL_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "io/io.h"
#include "wal/wal.h"

enum {
    WAL_BLOCK_BYTES =
        IO_COLD_ALIGN, /* headers and frames begin at multiples: what is durable is never written again */
    WAL_HEADER_BYTES = 24,
    WAL_FRAME_HEADER_BYTES = 32,
    WAL_ENTRY_HEADER_BYTES = 40,
    WAL_FRAME_BYTES_MAX = 1 << 20,
    WAL_KEY_BYTES = 20,
    WAL_VERSION = 1,
    WAL_PATH_BYTES = 4096,
};

enum wal_file_state {
    WAL_SPARE,   /* to be used next */
    WAL_CURRENT, /* takes frames */
    WAL_FULL,    /* until it is reclaimed */
    WAL_FOUND,   /* of an earlier life, not replayed yet */
};

struct wal_file {
    char *path;
    int fd;
    enum wal_file_state state;
    uint64_t generation;  /* counts the uses of files: the order among them */
    uint64_t frame_count; /* the number of the next frame */
    uint64_t end;         /* of the frames that are durable: where the next one goes */
    struct map ends;      /* key, encoded -> the largest end offset, as a pointer */
};

struct wal_pending {
    char key[WAL_KEY_BYTES];
    int64_t end_offset;
};

struct wal {
    struct io *io;
    char *dir;
    uint64_t file_bytes;
    int file_max;
    pthread_mutex_t
        lock; /* `files`, and of each file `state`, `generation`, `end` and `ends`; never held over the disk */
    struct {
        struct wal_file **at;
        size_t len, cap;
    } files;
    uint64_t generation, name;    /* the last ones given */
    atomic_bool asked;            /* an entry has come: before that no file is made */
    atomic_bool work;             /* a file is full, or a spare one is missing */
    atomic_int_fast64_t retry_us; /* but nothing can be done about it before this time */
    bool lacking;                 /* of upkeep: wal_make_spare was asked for a file, and has made none */
    atomic_uint_fast64_t frames, bytes;
    /* The writer's: */
    struct wal_file *current;
    char *frame;                    /* WAL_BLOCK_BYTES aligned; NULL until the first entry */
    size_t frame_len, frame_before; /* with the last entry, without it */
    uint32_t entry_count;
    vec(struct wal_pending) pending;
    bool off; /* nothing is taken: a write has failed, or none is wanted */
};

/* A frame's header as it was read. */
struct wal_frame {
    uint32_t size; /* with its header, without what fills its last block */
    uint32_t entry_count;
    uint64_t generation, number;
};

/* wal_format.c */
void wal_key_encode(const struct wal_key *key, char out[WAL_KEY_BYTES]);
struct wal_key wal_key_decode(const char *bytes);
void wal_header_encode(uint64_t generation, char out[WAL_HEADER_BYTES]);
/* False: these bytes are no header (ERR_CORRUPT), or one of a version that is not known (ERR_UNSUPPORTED). */
bool wal_header_decode(const char *bytes, const char *path, uint64_t *generation, struct err *err);
void wal_entry_encode(const struct wal_entry *entry, char out[WAL_ENTRY_HEADER_BYTES]);
/* Takes the next entry of a frame's bytes. False: at the end. */
bool wal_entry_next(struct str *rest, struct wal_entry *entry);
/* Puts header and checksum before `size` bytes that already hold the entries. */
void wal_frame_seal(char *bytes, const struct wal_frame *frame);
bool wal_frame_decode(const char header[WAL_FRAME_HEADER_BYTES], struct wal_frame *out);
bool wal_frame_check(const char *bytes, const struct wal_frame *frame);

static inline uint64_t wal_padded(uint64_t size)
{
    return (size + WAL_BLOCK_BYTES - 1) & ~(uint64_t)(WAL_BLOCK_BYTES - 1);
}

/* A walk over the frames of a file. */
struct wal_walk {
    struct io *io;
    int fd;
    const char *path;
    uint64_t pos, end;   /* of the next frame; where the walk ends */
    uint64_t generation; /* of the frames wanted; 0: of any, and then that of the first */
    uint64_t number;     /* of the next frame */
    uint64_t
        damaged_pos; /* where damage was stepped over to come to the frame; UINT64_MAX: it follows the one before */
    uint64_t frame_pos;
    struct wal_frame frame;
    char *bytes; /* of the frame */
};
void wal_walk_open(struct wal_walk *walk, struct io *io, int fd, const char *path, uint64_t end,
                   uint64_t generation);
/* The next frame. False: there is none (*err untouched), or ERR_IO. */
bool wal_walk_next(struct wal_walk *walk, struct err *err);
void wal_walk_close(struct wal_walk *walk);

#endif
