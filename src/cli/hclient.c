/* hclient.c - HTTP/1.1 from the client's side: one connection, one request at a time.
 *
 *   hclient_send: request ->          head <- status, content-type, framing
 *   hclient_read:                     body <- by length, by chunks, or up to the end of the connection
 *
 * Sizes come from outside: a head has at most HEAD_BYTES_MAX bytes, a chunk's length at most 60 bits, a whole body at most
 * BODY_BYTES_MAX. TLS is not spoken; https is refused by name.
 */
#include "cli/hclient_int.h"

#include <unistd.h>

#include "cli/sock_int.h"

enum { HEAD_BYTES_MAX = 64 << 10, BODY_BYTES_MAX = 256 << 20, TIMEOUT_MS = 30000, DEFAULT_PORT = 8080 };

bool hclient_init(struct hclient *client, struct str url, int stop_fd, struct err *err)
{
    *client = (struct hclient){.fd = -1, .stop_fd = stop_fd, .timeout_ms = TIMEOUT_MS};
    if (str_starts_with_nocase(url, STR("https://")))
        return err_set(err, ERR_UNSUPPORTED, "'%.*s': https is not supported yet", STR_ARG(url));
    if (str_starts_with_nocase(url, STR("http://")))
        url = str_sub(url, 7, SIZE_MAX);
    ptrdiff_t slash = str_find_char(url, '/');
    struct str address = slash >= 0 ? str_sub(url, 0, (size_t)slash) : url;
    client->prefix = slash >= 0 ? str_sub(url, (size_t)slash, SIZE_MAX) : STR("");
    if (client->prefix.len > 0 && client->prefix.ptr[client->prefix.len - 1] == '/')
        client->prefix.len--;
    return cli_sock_split_address(address, DEFAULT_PORT, &client->host, &client->port, err);
}

void hclient_close(struct hclient *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    buf_clear(&client->in);
}

void hclient_fini(struct hclient *client)
{
    hclient_close(client);
    buf_fini(&client->in);
    buf_fini(&client->piece);
    arena_fini(&client->arena);
}

/* Head ---------------------------------------------------------------------------------------------------- */

static bool bad_answer(struct hclient *client, const char *what, struct err *err)
{
    hclient_close(client);
    return err_set(err, ERR_BAD_REQUEST, "%.*s:%d does not answer in HTTP/1.1: %s", STR_ARG(client->host),
                   client->port, what);
}

static bool read_more(struct hclient *client, int64_t deadline_ms, struct err *err)
{
    return cli_sock_read(client->fd, &client->in, deadline_ms, client->stop_fd, err);
}

static void take_header(struct hclient *client, struct str name, struct str value)
{
    int64_t length;
    if (str_eq_nocase(name, STR("content-length")) && str_to_i64(value, &length) && length >= 0 &&
        client->framing != HBODY_CHUNKED) {
        client->framing = HBODY_LENGTH;
        client->left = (uint64_t)length;
    } else if (str_eq_nocase(name, STR("transfer-encoding")) && str_eq_nocase(value, STR("chunked"))) {
        client->framing = HBODY_CHUNKED;
        client->left = 0;
    } else if (str_eq_nocase(name, STR("connection")) && str_eq_nocase(value, STR("close"))) {
        client->keep = false;
    } else if (str_eq_nocase(name, STR("content-type"))) {
        client->content_type = str_dup(value, &client->arena);
    } else if (str_eq_nocase(name, STR("location"))) {
        client->location = str_dup(value, &client->arena);
    }
}

static bool parse_head(struct hclient *client, struct str head, struct err *err)
{
    struct str line, rest = head;
    int64_t status;
    if (!str_split(&rest, '\n', &line) || !str_starts_with(line, STR("HTTP/1.")) ||
        !str_to_i64(str_sub(line, 9, 3), &status))
        return bad_answer(client, "no status line", err);
    client->status = (int)status;
    client->reason = str_dup(str_trim(str_sub(line, 12, SIZE_MAX)), &client->arena);
    client->framing = HBODY_CLOSE;
    client->keep = line.ptr[7] == '1';
    while (str_split(&rest, '\n', &line)) {
        ptrdiff_t colon = str_find_char(line, ':');
        if (colon > 0)
            take_header(client, str_sub(line, 0, (size_t)colon),
                        str_trim(str_sub(line, (size_t)colon + 1, SIZE_MAX)));
    }
    bool empty = status == 204 || status == 304;
    client->ended = empty || (client->framing == HBODY_LENGTH && client->left == 0);
    return true;
}

/* Reads heads until one that is not a provisional answer (100 Continue). */
static bool read_head(struct hclient *client, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + client->timeout_ms;
    for (;;) {
        ptrdiff_t end = str_find(buf_str(&client->in), STR("\r\n\r\n"));
        if (end >= 0) {
            if (!parse_head(client, str_sub(buf_str(&client->in), 0, (size_t)end + 2), err))
                return false;
            buf_consume(&client->in, (size_t)end + 4);
            if (client->status >= 200)
                return true;
        } else if (client->in.len > HEAD_BYTES_MAX) {
            return bad_answer(client, "the head does not end", err);
        } else if (!read_more(client, deadline_ms, err)) {
            return false;
        }
    }
}

/* Requests ------------------------------------------------------------------------------------------------ */

static void write_request(const struct hclient *client, const char *method, struct str path,
                          const char *accept, struct str body, struct buf *out)
{
    bool v6 = str_find_char(client->host, ':') >= 0;
    buf_printf(out, "%s %.*s%.*s HTTP/1.1\r\nhost: %s%.*s%s:%d\r\naccept: %s\r\nuser-agent: rialto/%s\r\n",
               method, STR_ARG(client->prefix), STR_ARG(path), v6 ? "[" : "", STR_ARG(client->host),
               v6 ? "]" : "", client->port, accept, RIALTO_VERSION);
    if (!str_is_null(body))
        buf_printf(out, "content-type: application/json\r\ncontent-length: %zu\r\n", body.len);
    buf_append_cstr(out, "\r\n");
    buf_append_str(out, body);
}

static bool try_send(struct hclient *client, struct str request, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + client->timeout_ms;
    if (client->fd < 0)
        client->fd = cli_sock_connect(client->host, client->port, deadline_ms, client->stop_fd, err);
    if (client->fd >= 0 && cli_sock_write(client->fd, request, deadline_ms, client->stop_fd, err) &&
        read_head(client, err))
        return true;
    hclient_close(client);
    return false;
}

bool hclient_send(struct hclient *client, const char *method, struct str path, const char *accept,
                  struct str body, struct err *err)
{
    struct buf request = {0};
    struct err failure = {0};
    write_request(client, method, path, accept, body, &request);
    arena_reset(&client->arena);
    if (client->fd >= 0 && (!client->keep || !client->ended))
        hclient_close(client);
    bool used = client->fd >= 0;
    bool ok = try_send(client, buf_str(&request), &failure);
    /* A kept connection may have been closed while idle: the request never reached anybody then. */
    if (!ok && used && failure.code == ERR_UNAVAILABLE)
        ok = try_send(client, buf_str(&request), &failure);
    buf_fini(&request);
    if (!ok && failure.code == ERR_UNAVAILABLE)
        return err_set(err, ERR_UNAVAILABLE, "no server at http://%.*s:%d: %s", STR_ARG(client->host),
                       client->port, failure.text);
    if (!ok && err != NULL)
        *err = failure;
    return ok;
}

/* Body ---------------------------------------------------------------------------------------------------- */

/* Reads the line with a chunk's length; the empty line behind the chunk before it is skipped. */
static bool read_chunk_head(struct hclient *client, int64_t deadline_ms, struct err *err)
{
    for (;;) {
        struct str in = buf_str(&client->in);
        size_t skip = str_starts_with(in, STR("\r\n")) ? 2 : 0;
        ptrdiff_t end = str_find(str_sub(in, skip, SIZE_MAX), STR("\r\n"));
        if (end < 0) {
            if (client->in.len > HEAD_BYTES_MAX)
                return bad_answer(client, "a chunk has no length", err);
            if (!read_more(client, deadline_ms, err))
                return false;
            continue;
        }
        struct str digits = str_sub(in, skip, (size_t)end);
        uint64_t size = 0;
        size_t n = 0;
        for (; n < digits.len && n < 15; n++) {
            char c = digits.ptr[n] | 0x20;
            int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
            if (digit < 0)
                break;
            size = size << 4 | (uint64_t)digit;
        }
        if (n == 0)
            return bad_answer(client, "a chunk has no length", err);
        buf_consume(&client->in, skip + (size_t)end + 2);
        client->left = size;
        client->ended = size == 0;
        return true;
    }
}

/* Behind the last chunk: trailers, then an empty line. */
static bool read_trailers(struct hclient *client, int64_t deadline_ms, struct err *err)
{
    for (;;) {
        ptrdiff_t end = str_find(buf_str(&client->in), STR("\r\n"));
        if (end < 0 && !read_more(client, deadline_ms, err))
            return false;
        if (end < 0)
            continue;
        buf_consume(&client->in, (size_t)end + 2);
        if (end == 0)
            return true;
    }
}

bool hclient_read(struct hclient *client, struct str *piece, int64_t deadline_ms, struct err *err)
{
    *piece = STR("");
    if (client->ended)
        return true;
    if (client->framing == HBODY_CHUNKED && client->left == 0) {
        if (!read_chunk_head(client, deadline_ms, err))
            return false;
        if (client->ended)
            return read_trailers(client, deadline_ms, err);
    }
    struct err failure = {0};
    if (client->in.len == 0 && !read_more(client, deadline_ms, &failure)) {
        client->ended = failure.code == ERR_UNAVAILABLE && client->framing == HBODY_CLOSE;
        client->keep = false;
        if (!client->ended && err != NULL)
            *err = failure;
        return client->ended;
    }
    size_t size = client->in.len;
    if (client->framing != HBODY_CLOSE) {
        size = (size_t)MIN((uint64_t)size, client->left);
        client->left -= size;
        client->ended = client->framing == HBODY_LENGTH && client->left == 0;
    }
    buf_clear(&client->piece);
    buf_append(&client->piece, client->in.ptr, size);
    *piece = buf_str(&client->piece);
    buf_consume(&client->in, size);
    return true;
}

bool hclient_read_all(struct hclient *client, struct buf *body, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + client->timeout_ms;
    struct str piece;
    do {
        if (!hclient_read(client, &piece, deadline_ms, err))
            return false;
        buf_append_str(body, piece);
        if (body->len > BODY_BYTES_MAX)
            return bad_answer(client, "the answer is too large", err);
    } while (piece.len > 0);
    return true;
}
