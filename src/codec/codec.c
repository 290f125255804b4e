/* codec.c - the table of codecs and what they share: limits, error texts, the thread's contexts.
 *
 * Library contexts cost up to a few hundred KiB and some microseconds to make, so each thread keeps its
 * own. They hang on a pthread key whose destructor releases them at the end of the thread; a _Thread_local
 * variable alone would leak them.
 * Decided against: a context argument. It would travel through record and log to every caller for no gain
 * but purity.
 */
#include "codec/codec_int.h"

#include <pthread.h>
#include <stdlib.h>

enum { SCRATCH_KEPT_BYTES = 4 << 20, ROOM_BYTES_MIN = 4096 };

struct codec_class {
    const char *name;
    bool (*compress)(int level, struct str in, struct buf *out, struct err *err);
    bool (*decompress)(struct str in, size_t bytes_max, struct buf *out, struct err *err);
};

static bool none_compress(int level, struct str in, struct buf *out, struct err *err)
{
    buf_append_str(out, in);
    return true;
}

static bool none_decompress(struct str in, size_t bytes_max, struct buf *out, struct err *err)
{
    if (in.len > bytes_max)
        return codec_set_too_large(err, CODEC_NONE, bytes_max);
    buf_append_str(out, in);
    return true;
}

static const struct codec_class codecs[CODEC_COUNT] = {
    [CODEC_NONE] = {"none", none_compress, none_decompress},
    [CODEC_GZIP] = {"gzip", gzip_compress, gzip_decompress},
    [CODEC_SNAPPY] = {"snappy", snappy_compress_xerial, snappy_decompress_any},
    [CODEC_LZ4] = {"lz4", lz4_compress, lz4_decompress},
    [CODEC_ZSTD] = {"zstd", zstd_compress, zstd_decompress},
};

const char *codec_name(enum codec codec)
{
    return (unsigned)codec < CODEC_COUNT ? codecs[codec].name : "unknown";
}

bool codec_from_name(struct str name, enum codec *out)
{
    for (int codec = 0; codec < CODEC_COUNT; codec++)
        if (str_eq_nocase(name, str_from(codecs[codec].name))) {
            *out = (enum codec)codec;
            return true;
        }
    return false;
}

static void buf_cut(struct buf *buf, size_t len)
{
    buf->len = len;
    if (buf->ptr != NULL)
        buf->ptr[len] = '\0';
}

bool codec_compress(enum codec codec, int level, struct str in, struct buf *out, struct err *err)
{
    ASSERT((unsigned)codec < CODEC_COUNT);
    size_t before = out->len;
    if (codecs[codec].compress(level, in, out, err))
        return true;
    buf_cut(out, before);
    return false;
}

bool codec_decompress(enum codec codec, struct str in, size_t bytes_max, struct buf *out, struct err *err)
{
    if ((unsigned)codec >= CODEC_COUNT)
        return err_set(err, ERR_CORRUPT, "compression codec %d is not known", (int)codec);
    size_t before = out->len;
    if (codecs[codec].decompress(in, bytes_max, out, err)) {
        ASSERT_CMP(out->len - before, <=, bytes_max);
        return true;
    }
    buf_cut(out, before);
    return false;
}

bool codec_set_damaged(struct err *err, enum codec codec, const char *why)
{
    return err_set(err, ERR_CORRUPT, "%s data are damaged: %s", codec_name(codec), why);
}

bool codec_set_too_large(struct err *err, enum codec codec, size_t bytes_max)
{
    return err_set(err, ERR_TOO_LARGE, "%s data hold more than the %zu bytes that are allowed",
                   codec_name(codec), bytes_max);
}

bool codec_make_room(struct buf *out, size_t start, size_t bytes_max, size_t *room)
{
    size_t used = out->len - start, left = bytes_max - used;
    *room = 0;
    if (left == 0)
        return false;
    size_t want = MIN(MAX(used, ROOM_BYTES_MIN), left);
    buf_reserve(out, want);
    *room = MIN(out->cap - out->len - 1, left);
    return true;
}

static pthread_once_t thread_key_once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;
static bool thread_key_made;

static void thread_end(void *arg)
{
    struct codec_thread *thread = arg;
    gzip_thread_end(thread);
    lz4_thread_end(thread);
    zstd_thread_end(thread);
    buf_fini(&thread->scratch);
    free(thread);
}

/* The main thread's contexts go at exit: destructors of keys run only for threads that end before. */
static void __attribute__((destructor)) thread_end_main(void)
{
    struct codec_thread *thread = thread_key_made ? pthread_getspecific(thread_key) : NULL;
    if (thread == NULL)
        return;
    pthread_setspecific(thread_key, NULL);
    thread_end(thread);
}

static void thread_key_make(void)
{
    int rc = pthread_key_create(&thread_key, thread_end);
    ASSERT(rc == 0);
    thread_key_made = true;
}

struct codec_thread *codec_thread(void)
{
    pthread_once(&thread_key_once, thread_key_make);
    struct codec_thread *thread = pthread_getspecific(thread_key);
    if (thread == NULL) {
        thread = mem_new(struct codec_thread);
        pthread_setspecific(thread_key, thread);
    }
    return thread;
}

struct buf *codec_scratch(void)
{
    struct buf *scratch = &codec_thread()->scratch;
    if (scratch->cap > SCRATCH_KEPT_BYTES)
        buf_fini(scratch);
    buf_clear(scratch);
    return scratch;
}
