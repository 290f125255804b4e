/* dump_wire.c - rialto dump wire: Kafka requests and responses with field names, from a capture, or from the bytes of one
 * connection's client, raw or as hex.
 *
 *   chunk of bytes -> frames           requests first: they say which API and version a response belongs to
 *   frames of all connections          by packet, so that the dump reads in the order of what happened
 *
 * What is no frame is told as damaged and stepped over: by its length when a frame follows there, else to the next place
 * where a whole frame can be read. Behind SaslHandshake version 0 tokens come without header, each after its length; they are
 * secrets and told by their size only.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/dump_int.h"
#include "wire/wire.h"

enum { FRAME_BYTES_MAX = 100 << 20, TOKEN_BYTES_MAX = 512 << 10, PORT_DEFAULT = 9092 };

struct frame {
    const struct wire_connection *conn; /* NULL: no capture */
    bool request, damaged, token;
    struct str bytes; /* of a damaged part: all, else without the length */
    size_t at;        /* in the chunk */
    uint32_t packet;
    int64_t time_us;
    size_t order;
    const struct wire_api *api; /* of a response */
    int16_t version;
    size_t asked_at; /* of a response: its request */
    const char *why;
};

/* A request of the connection that is read. Answers come in the order of requests, so one with the same correlation id
 * behind the last answered is meant; some requests have no answer (acks=0). */
struct asked {
    int32_t correlation_id;
    const struct wire_api *api;
    int16_t version;
};

struct wire_dump {
    struct arena arena; /* what frames point to */
    struct arena decode;
    vec(struct frame) frames;
    vec(struct asked) asked;
    size_t answered; /* requests before this one have had their turn */
};

/* Items that nobody wants to see: to find out whether a frame can be read. */
static void no_begin(struct describe *out, int64_t at, int depth, const char *what)
{
}
static void no_number(struct describe *out, const char *name, int64_t n)
{
}
static void no_flag(struct describe *out, const char *name, bool yes)
{
}
static void no_text(struct describe *out, const char *name, struct str s)
{
}
static void no_end(struct describe *out)
{
}
static struct describe nobody = {no_begin, no_number, no_flag, no_text, no_text, no_end};

static bool tell_frame(struct describe *out, const struct frame *frame, struct wire_request *req,
                       struct arena *arena, struct err *err)
{
    arena_reset(arena);
    if (frame->request)
        return wire_describe_request(out, frame->bytes, dump_json_batches, req, arena, err);
    return wire_describe_response(out, frame->bytes, frame->api, frame->version, dump_json_batches, arena,
                                  err);
}

/* Finds the request that this response answers. */
static bool find_asked(struct wire_dump *dump, struct frame *frame, struct err *err)
{
    for (size_t i = dump->answered; frame->bytes.len >= 4 && i < dump->asked.len; i++) {
        const struct asked *asked = &dump->asked.at[i];
        if (asked->correlation_id != (int32_t)load_be32(frame->bytes.ptr))
            continue;
        frame->api = asked->api;
        frame->version = asked->version;
        frame->asked_at = i;
        return true;
    }
    return err_set(err, ERR_CORRUPT, "a response to no request that was seen");
}

/* A whole frame at the front of `rest`? `strict`: its API must be known too, which nonsense rarely is. */
static bool read_frame(struct wire_dump *dump, struct str rest, bool strict, struct frame *frame,
                       struct wire_request *req, struct err *err)
{
    size_t size = rest.len >= 4 ? load_be32(rest.ptr) : 0;
    if (rest.len < 4 || size > rest.len - 4)
        return err_set(err, ERR_CORRUPT, "the frame says %zu bytes, %zu are there", size,
                       rest.len < 4 ? 0 : rest.len - 4);
    if (size > FRAME_BYTES_MAX)
        return err_set(err, ERR_CORRUPT, "a frame of %zu bytes is too large", size);
    frame->bytes = str_sub(rest, 4, size);
    if (!frame->request && !find_asked(dump, frame, err))
        return false;
    return tell_frame(&nobody, frame, req, &dump->decode, err) &&
           (!strict || !frame->request || req->version_known);
}

/* Where the next readable frame begins; the end when there is none. */
static size_t find_frame(struct wire_dump *dump, struct str bytes, size_t at, bool request)
{
    struct wire_request req;
    struct frame frame = {.request = request};
    for (; at < bytes.len; at++)
        if (read_frame(dump, str_sub(bytes, at, SIZE_MAX), true, &frame, &req, NULL))
            return at;
    return bytes.len;
}

/* The packet that a byte of the chunk came with. */
static void place(const struct wire_chunk *chunk, size_t at, struct frame *frame)
{
    frame->at = at;
    for (size_t low = 0, high = chunk->packets.len; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (chunk->packets.at[middle].at <= at) {
            frame->packet = chunk->packets.at[middle].number;
            frame->time_us = chunk->packets.at[middle].time_us;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
}

static void add_frame(struct wire_dump *dump, const struct wire_chunk *chunk, size_t at, size_t last,
                      struct frame *frame)
{
    place(chunk, last, frame);
    frame->at = at;
    frame->order = dump->frames.len;
    vec_push(&dump->frames, *frame);
}

/* Do tokens without header come next on this side of the connection? */
static bool tokens_follow(const struct wire_dump *dump, bool request)
{
    enum { SASL_HANDSHAKE = 17 };
    size_t count = request ? dump->asked.len : dump->answered;
    const struct asked *last = count != 0 ? &dump->asked.at[count - 1] : NULL;
    return last != NULL && last->api->api_key == SASL_HANDSHAKE && last->version == 0;
}

static bool read_token(struct str rest, struct frame *frame)
{
    size_t size = rest.len >= 4 ? load_be32(rest.ptr) : SIZE_MAX;
    if (size > TOKEN_BYTES_MAX || size > rest.len - 4)
        return false;
    frame->bytes = str_sub(rest, 4, size);
    frame->token = true;
    return true;
}

/* `fresh`: the chunk begins at the beginning of a frame. */
static void take_chunk(struct wire_dump *dump, const struct wire_connection *conn,
                       const struct wire_chunk *chunk, bool request, bool fresh)
{
    struct str bytes = buf_str(&chunk->bytes);
    for (size_t at = 0; at < bytes.len; fresh = true) {
        struct frame frame = {.conn = conn, .request = request};
        struct wire_request req = {0};
        struct err err = {0};
        struct str rest = str_sub(bytes, at, SIZE_MAX);
        bool tokens = tokens_follow(dump, request);
        if (fresh &&
            (read_frame(dump, rest, tokens, &frame, &req, &err) || (tokens && read_token(rest, &frame)))) {
            if (request && req.version_known && !frame.token)
                vec_push(&dump->asked, (struct asked){req.correlation_id, req.api, req.api_version});
            else if (!request && !frame.token)
                dump->answered = frame.asked_at + 1;
            add_frame(dump, chunk, at, at + 3 + frame.bytes.len, &frame);
            at += 4 + frame.bytes.len;
            continue;
        }
        size_t next = find_frame(dump, bytes, fresh ? at + 1 : at, request);
        if (next > at) {
            frame.damaged = true;
            frame.bytes = str_sub(bytes, at, next - at);
            frame.why = fresh ? str_cstr(str_from(err.text), &dump->arena) : "bytes before this are missing";
            add_frame(dump, chunk, at, at, &frame);
        }
        at = next;
    }
}

static int by_packet(const void *a, const void *b)
{
    const struct frame *x = a, *y = b;
    if (x->packet != y->packet)
        return x->packet < y->packet ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static void tell(struct wire_dump *dump, struct describe *out, const struct frame *frame)
{
    struct wire_request req;
    struct err err;
    describe_begin(out, (int64_t)frame->at, 0,
                   frame->damaged   ? "damaged"
                   : frame->token   ? "sasl_token"
                   : frame->request ? "request"
                                    : "response");
    if (frame->conn != NULL) {
        describe_number(out, "packet", frame->packet);
        describe_number(out, "time_us", frame->time_us);
        describe_cstr(out, "from", frame->request ? frame->conn->client : frame->conn->server);
        describe_cstr(out, "to", frame->request ? frame->conn->server : frame->conn->client);
    }
    if (frame->damaged) {
        describe_number(out, "bytes", (int64_t)frame->bytes.len);
        describe_cstr(out, "why", frame->why);
    } else if (frame->token) {
        describe_number(out, "bytes", (int64_t)frame->bytes.len);
    } else {
        bool told = tell_frame(out, frame, &req, &dump->decode, &err);
        ASSERT(told); /* it could be read before */
    }
    describe_end(out);
}

static void take_connection(struct wire_dump *dump, const struct wire_connection *conn)
{
    vec_clear(&dump->asked);
    dump->answered = 0;
    for (size_t i = 0; i < conn->sent.chunks.len; i++)
        take_chunk(dump, conn, &conn->sent.chunks.at[i], true, i == 0);
    for (size_t i = 0; i < conn->received.chunks.len; i++)
        take_chunk(dump, conn, &conn->received.chunks.at[i], false, i == 0);
}

/* Tells all frames; the number of damaged parts. */
static uint64_t tell_all(struct wire_dump *dump, struct describe *out)
{
    uint64_t damaged = 0;
    if (dump->frames.len != 0)
        qsort(dump->frames.at, dump->frames.len, sizeof(struct frame), by_packet);
    for (size_t i = 0; i < dump->frames.len; i++) {
        damaged += dump->frames.at[i].damaged;
        tell(dump, out, &dump->frames.at[i]);
    }
    return damaged;
}

static void wire_dump_fini(struct wire_dump *dump)
{
    vec_fini(&dump->asked);
    vec_fini(&dump->frames);
    arena_fini(&dump->decode);
    arena_fini(&dump->arena);
}

/* Hex digits and white space only: bytes pasted from somewhere. */
static bool decode_hex(struct buf *bytes)
{
    struct buf digits = {0}, raw = {0};
    bool ok = bytes->len > 0;
    for (size_t i = 0; ok && i < bytes->len; i++) {
        char c = bytes->ptr[i];
        bool blank = c == ' ' || c == '\n' || c == '\r' || c == '\t';
        ok = blank || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (ok && !blank)
            buf_append_char(&digits, c);
    }
    ok = ok && buf_append_hex_decoded(&raw, buf_str(&digits));
    if (ok) {
        buf_clear(bytes);
        buf_append_str(bytes, buf_str(&raw));
    }
    buf_fini(&digits);
    buf_fini(&raw);
    return ok;
}

static bool take_bytes(struct wire_dump *dump, struct wire_capture *capture, struct wire_chunk *chunk,
                       int port, struct err *err)
{
    if (!pcap_is(buf_str(&chunk->bytes))) {
        ignore(decode_hex(&chunk->bytes), "anything else is taken as it is");
        take_chunk(dump, NULL, chunk, true, true);
        return true;
    }
    bool ok = pcap_read(buf_str(&chunk->bytes), port, capture, err);
    for (size_t i = 0; i < capture->connections.len; i++) /* of a capture that is cut off too */
        take_connection(dump, capture->connections.at[i]);
    return ok;
}

bool dump_wire_bytes(struct buf *bytes, int port, struct describe *out, struct wire_counts *counts,
                     struct err *err)
{
    struct wire_dump dump = {0};
    struct wire_capture capture = {0};
    struct wire_chunk chunk = {.bytes = *bytes};
    bool ok = take_bytes(&dump, &capture, &chunk, port, err);
    *counts = (struct wire_counts){tell_all(&dump, out), capture.packets, capture.ignored};
    wire_dump_fini(&dump);
    pcap_fini(&capture);
    *bytes = chunk.bytes;
    return ok;
}

int cli_dump_wire(struct cli *cli)
{
    struct buf bytes = {0};
    struct dump_out out;
    struct wire_counts counts = {0};
    struct err err = {0};
    int64_t port;
    if (!cli_integer(cli, "port", 1, UINT16_MAX, PORT_DEFAULT, &port, &err))
        return cli_usage(cli, "%s", err.text);
    bool ok = cli_read_file(cli->names.len > 0 ? cli->names.at[0] : STR("-"), &bytes, &err);
    dump_out_init(&out, cli->json);
    ok = ok && dump_wire_bytes(&bytes, (int)port, &out.lines.describe, &counts, &err);
    dump_out_fini(&out);
    buf_fini(&bytes);
    if (counts.ignored != 0)
        cli_note(cli, "%" PRIu64 " of %" PRIu64 " packets are no whole TCP packets and were left out",
                 counts.ignored, counts.packets);
    return ok ? dump_status(cli, counts.damaged) : cli_fail(cli, &err, NULL);
}
