/* out.c - the output queue of a connection: bytes that are owned or borrowed and file slices, sent in order.
 *
 *   head -> [owned 120 B, 40 sent] -> [file 1 MiB] -> [owned 16 B] <- tail
 *
 * (O1) Memory items in a row leave in one sendmsg; one before a file is sent with MSG_MORE, so that a fetch
 *      reply's head and its records share packets.
 * (O2) Small writes gather in the last owned item until it holds OUT_GATHER bytes.
 * (O3) `bytes` is the sum of what is unsent. release is called exactly once an item.
 * (O4) Through TLS the front of the queue is cut into records of TLS_RECORD_BYTES, across items; files are read into
 *      memory. A record that could not be sent is offered again with the same bytes in front, as OpenSSL demands: the
 *      queue only grows at its end.
 */
#include <errno.h>
#include <unistd.h>

#include "net/net_int.h"

enum { OUT_GATHER = 16 << 10, OUT_PARTS = 64, OUT_TURN_BYTES = 4 << 20 };

struct out_item *out_push(struct out_queue *out)
{
    struct out_item *item = mem_new(struct out_item);
    if (out->tail == NULL)
        out->head = item;
    else
        out->tail->next = item;
    out->tail = item;
    return item;
}

void out_append(struct out_queue *out, struct str bytes)
{
    struct out_item *item = out->tail;
    if (item == NULL || item->kind != OUT_OWNED || item->owned.len + bytes.len > OUT_GATHER) {
        item = out_push(out);
        item->kind = OUT_OWNED;
    }
    buf_append_str(&item->owned, bytes);
    item->len = item->owned.len;
    out->bytes += bytes.len;
}

static void out_item_free(struct out_item *item)
{
    if (item->release != NULL)
        item->release(item->arg);
    buf_fini(&item->owned);
    free(item);
}

static void out_pop(struct out_queue *out)
{
    struct out_item *item = out->head;
    out->head = item->next;
    if (out->head == NULL)
        out->tail = NULL;
    out_item_free(item);
}

void out_fini(struct out_queue *out)
{
    while (out->head != NULL)
        out_pop(out);
    out->bytes = 0;
}

/* Counts n bytes as sent and drops the items that are done. */
static void out_advance(struct out_queue *out, size_t n)
{
    out->bytes -= n;
    while (out->head != NULL) {
        struct out_item *item = out->head;
        size_t step = MIN(n, item->len - item->sent);
        item->sent += step;
        n -= step;
        if (item->sent < item->len)
            break;
        out_pop(out);
    }
    ASSERT_CMP(n, ==, 0);
}

static ssize_t out_send_memory(const struct out_queue *out, int fd)
{
    struct iovec parts[OUT_PARTS];
    size_t count = 0;
    const struct out_item *item = out->head;
    for (; item != NULL && item->kind != OUT_FILE && count < OUT_PARTS; item = item->next) {
        const char *bytes = item->kind == OUT_OWNED ? item->owned.ptr : item->borrowed.ptr;
        parts[count].iov_base = (char *)bytes + item->sent;
        parts[count++].iov_len = item->len - item->sent;
    }
    return sock_writev(fd, parts, count, item != NULL);
}

enum out_result out_flush(struct out_queue *out, int fd, size_t *sent, const char **why)
{
    for (*sent = 0; out->head != NULL;) {
        struct out_item *item = out->head;
        bool is_file = item->kind == OUT_FILE;
        ssize_t n = is_file ? sock_sendfile(fd, item->fd, item->pos + item->sent, item->len - item->sent)
                            : out_send_memory(out, fd);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return OUT_BLOCKED;
        if (n < 0) {
            *why = strerrordesc_np(errno);
            return OUT_FAILED;
        }
        if (n == 0 && is_file) {
            *why = "file is shorter than announced";
            return OUT_FAILED;
        }
        out_advance(out, (size_t)n);
        *sent += (size_t)n;
        if (*sent >= OUT_TURN_BYTES && out->head != NULL)
            return OUT_BLOCKED; /* the others' turn; the socket is still writable and calls again */
    }
    return OUT_EMPTY;
}

/* ---- through TLS ---- */

/* Copies bytes of an item behind what it has sent; -1 with errno, 0: the file is too short. */
static ssize_t item_copy(const struct out_item *item, char *to, size_t room)
{
    size_t len = MIN(room, item->len - item->sent);
    if (item->kind != OUT_FILE) {
        const char *bytes = item->kind == OUT_OWNED ? item->owned.ptr : item->borrowed.ptr;
        memcpy(to, bytes + item->sent, len);
        return (ssize_t)len;
    }
    ssize_t n;
    do
        n = pread(item->fd, to, len, (off_t)(item->pos + item->sent));
    while (n < 0 && errno == EINTR);
    return n;
}

/* The bytes of the next record: in place when the first item has enough of them, else copied together. False: *why. */
static bool out_record(const struct out_queue *out, char *scratch, struct str *record, const char **why)
{
    const struct out_item *item = out->head;
    if (item->kind != OUT_FILE && item->len - item->sent >= TLS_RECORD_BYTES) {
        const char *bytes = item->kind == OUT_OWNED ? item->owned.ptr : item->borrowed.ptr;
        *record = str_of(bytes + item->sent, TLS_RECORD_BYTES);
        return true;
    }
    size_t len = 0;
    for (; item != NULL && len < TLS_RECORD_BYTES; item = item->next) {
        size_t wanted = MIN(TLS_RECORD_BYTES - len, item->len - item->sent);
        for (size_t got = 0; got < wanted;) {
            struct out_item rest = *item;
            rest.sent += got;
            ssize_t n = item_copy(&rest, scratch + len, wanted - got);
            if (n <= 0) {
                *why = n < 0 ? strerrordesc_np(errno) : "file is shorter than announced";
                return false;
            }
            got += (size_t)n;
            len += (size_t)n;
        }
    }
    *record = str_of(scratch, len);
    return true;
}

enum out_result out_flush_tls(struct out_queue *out, struct tls *tls, char *scratch, size_t *sent,
                              const char **why)
{
    for (*sent = 0; out->head != NULL;) {
        struct str record;
        if (!out_record(out, scratch, &record, why))
            return OUT_FAILED;
        ssize_t n = tls_write(tls, record.ptr, record.len);
        if (n < 0 && errno == EAGAIN)
            return OUT_BLOCKED;
        if (n < 0) {
            *why = strerrordesc_np(errno);
            return OUT_FAILED;
        }
        out_advance(out, (size_t)n);
        *sent += (size_t)n;
        if (*sent >= OUT_TURN_BYTES && out->head != NULL)
            return OUT_BLOCKED;
    }
    return OUT_EMPTY;
}
