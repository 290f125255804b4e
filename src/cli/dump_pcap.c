/* dump_pcap.c - captures (tcpdump -w FILE port 9092): packets to the two byte streams of each TCP connection.
 *
 *   file header | packet header, packet | ...         pcap: micro- or nanoseconds, either byte order
 *   link: Ethernet, Linux "any" (SLL, SLL2), loopback, raw IP  ->  IPv4, IPv6  ->  TCP
 *
 *   segments      [1][2]   [4][3]   [6]               ordered by sequence number; what comes twice is dropped
 *   chunks        [1 2 3 4] gap [6]                   a gap (packets that the capture lost) begins a new chunk
 *
 * Every size is compared with what is left. IP fragments and packets that the capture cut short are counted, not read.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/dump_int.h"

enum {
    FILE_HEADER_BYTES = 24,
    PACKET_HEADER_BYTES = 16,
    TCP_FIN_SYN = 3,
    TCP_SYN = 2,
    TCP_ACK = 16,
    SEGMENTS_MAX = 4 << 20, /* packets of one direction */
};

/* A TCP segment with data. */
struct segment {
    uint32_t seq; /* of its first byte, relative to the direction's first */
    struct str data;
    uint32_t packet;
    int64_t time_us;
};

struct direction {
    struct wire_connection *conn; /* NULL until the server's side is known */
    char from[64], to[64];
    uint32_t first_seq; /* of the first byte */
    bool known, opened; /* first_seq is known; this side sent the SYN that opens the connection */
    vec(struct segment) segments;
};

struct reading {
    struct str file;
    bool swapped, nanoseconds;
    uint32_t link;
    vec(struct direction *) directions;
    struct map by_name; /* "from>to" -> struct direction */
    struct wire_capture *capture;
};

static uint32_t file32(const struct reading *rd, const char *at)
{
    uint32_t n = load_be32(at);
    return rd->swapped ? __builtin_bswap32(n) : n;
}

static bool magic_of(struct str bytes, bool *swapped, bool *nanoseconds)
{
    static const uint32_t magics[] = {0xa1b2c3d4, 0xa1b23c4d};
    for (int i = 0; bytes.len >= 4 && i < 2; i++)
        for (int swap = 0; swap < 2; swap++)
            if (load_be32(bytes.ptr) == (swap ? __builtin_bswap32(magics[i]) : magics[i])) {
                *swapped = swap != 0;
                *nanoseconds = i == 1;
                return true;
            }
    return false;
}

static bool is_pcapng(struct str bytes)
{
    return bytes.len >= 4 && load_be32(bytes.ptr) == 0x0a0d0d0a;
}

bool pcap_is(struct str bytes)
{
    bool swapped, nanoseconds;
    return is_pcapng(bytes) || magic_of(bytes, &swapped, &nanoseconds);
}

/* Layers ----------------------------------------------------------------------------------------------------------- */

/* Cuts the link's header off; false: no IP, or a link that is not known. */
static bool skip_link(const struct reading *rd, struct str *packet)
{
    static const struct {
        uint32_t link;
        uint8_t header, type_at; /* type_at: of the 16-bit protocol number; 255: none */
    } links[] = {{0, 4, 255},   {1, 14, 12},   {12, 0, 255}, {101, 0, 255},
                 {108, 4, 255}, {113, 16, 14}, {276, 20, 0}};
    for (size_t i = 0; i < COUNT_OF(links); i++) {
        if (links[i].link != rd->link)
            continue;
        if (packet->len < links[i].header + (size_t)1)
            return false;
        uint16_t type = links[i].type_at != 255 ? load_be16(packet->ptr + links[i].type_at) : 0;
        *packet = str_sub(*packet, links[i].header, SIZE_MAX);
        if (rd->link == 1 && type == 0x8100 && packet->len > 4) { /* a VLAN tag */
            type = load_be16(packet->ptr + 2);
            *packet = str_sub(*packet, 4, SIZE_MAX);
        }
        return links[i].type_at == 255 || type == 0x0800 || type == 0x86dd;
    }
    return false;
}

static void print_address(char out[64], struct str address, uint16_t port)
{
    struct buf text = {0};
    const uint8_t *a = (const uint8_t *)address.ptr;
    if (address.len == 4)
        buf_printf(&text, "%u.%u.%u.%u:%u", a[0], a[1], a[2], a[3], port);
    else
        for (int i = 0; i < 8; i++)
            buf_printf(&text, i == 0 ? "[%x" : ":%x", load_be16(a + 2 * i));
    if (address.len != 4)
        buf_printf(&text, "]:%u", port);
    snprintf(out, 64, "%s", text.ptr);
    buf_fini(&text);
}

/* The TCP part of an IP packet, and the two addresses. */
static bool skip_ip(struct str *packet, struct str *from, struct str *to)
{
    const uint8_t *p = (const uint8_t *)packet->ptr;
    if (packet->len >= 20 && p[0] >> 4 == 4) {
        size_t header = (size_t)(p[0] & 15) * 4, total = load_be16(p + 2);
        if (header < 20 || total < header || total > packet->len || p[9] != 6 ||
            (load_be16(p + 6) & 0x3fff) != 0)
            return false;
        *from = str_sub(*packet, 12, 4);
        *to = str_sub(*packet, 16, 4);
        *packet = str_sub(*packet, header, total - header);
        return true;
    }
    if (packet->len >= 40 && p[0] >> 4 == 6) {
        size_t total = 40 + (size_t)load_be16(p + 4);
        if (p[6] != 6 || total > packet->len)
            return false;
        *from = str_sub(*packet, 8, 16);
        *to = str_sub(*packet, 24, 16);
        *packet = str_sub(*packet, 40, total - 40);
        return true;
    }
    return false;
}

/* Streams ---------------------------------------------------------------------------------------------------------- */

static struct direction *direction_of(struct reading *rd, const char *from, const char *to)
{
    struct buf name = {0};
    buf_printf(&name, "%s>%s", from, to);
    struct direction *dir = map_get(&rd->by_name, buf_str(&name));
    if (dir == NULL) {
        dir = mem_new(struct direction);
        snprintf(dir->from, sizeof dir->from, "%s", from);
        snprintf(dir->to, sizeof dir->to, "%s", to);
        map_put(&rd->by_name, buf_str(&name), dir);
        vec_push(&rd->directions, dir);
    }
    buf_fini(&name);
    return dir;
}

static void take_tcp(struct reading *rd, struct str tcp, struct str from, struct str to, int64_t time_us)
{
    char source[64], target[64];
    const uint8_t *p = (const uint8_t *)tcp.ptr;
    size_t header = tcp.len >= 20 ? (size_t)(p[12] >> 4) * 4 : 0;
    if (header < 20 || header > tcp.len) {
        rd->capture->ignored++;
        return;
    }
    print_address(source, from, load_be16(p));
    print_address(target, to, load_be16(p + 2));
    struct direction *dir = direction_of(rd, source, target);
    uint32_t seq = load_be32(p + 4);
    if (p[13] & TCP_SYN) {
        dir->first_seq = seq + 1;
        dir->known = true;
        dir->opened = !(p[13] & TCP_ACK);
        return;
    }
    struct str data = str_sub(tcp, header, SIZE_MAX);
    if (data.len == 0 || dir->segments.len == SEGMENTS_MAX)
        return;
    if (!dir->known) {
        dir->first_seq = seq;
        dir->known = true;
    }
    vec_push(&dir->segments,
             (struct segment){seq - dir->first_seq, data, (uint32_t)rd->capture->packets, time_us});
}

static void take_packet(struct reading *rd, struct str packet, bool cut, int64_t time_us)
{
    struct str from, to;
    if (cut || !skip_link(rd, &packet) || !skip_ip(&packet, &from, &to))
        rd->capture->ignored++;
    else
        take_tcp(rd, packet, from, to, time_us);
}

static bool take_packets(struct reading *rd, struct err *err)
{
    struct str rest = str_sub(rd->file, FILE_HEADER_BYTES, SIZE_MAX);
    while (rest.len >= PACKET_HEADER_BYTES) {
        uint32_t size = file32(rd, rest.ptr + 8);
        if (size > rest.len - PACKET_HEADER_BYTES)
            return err_set(err, ERR_CORRUPT, "packet %" PRIu64 " says %u bytes, %zu are there",
                           rd->capture->packets + 1, size, rest.len - PACKET_HEADER_BYTES);
        int64_t fraction = file32(rd, rest.ptr + 4);
        int64_t time_us =
            (int64_t)file32(rd, rest.ptr) * 1000000 + (rd->nanoseconds ? fraction / 1000 : fraction);
        rd->capture->packets++;
        take_packet(rd, str_sub(rest, PACKET_HEADER_BYTES, size), size < file32(rd, rest.ptr + 12), time_us);
        rest = str_sub(rest, PACKET_HEADER_BYTES + (size_t)size, SIZE_MAX);
    }
    return true;
}

static int by_seq(const void *a, const void *b)
{
    const struct segment *x = a, *y = b;
    if (x->seq != y->seq)
        return (int32_t)(x->seq - y->seq) < 0 ? -1 : 1;
    return x->packet < y->packet ? -1 : x->packet > y->packet;
}

static void chunk_add(struct wire_chunk *chunk, struct str data, const struct segment *seg)
{
    vec_push(&chunk->packets, (struct wire_packet){chunk->bytes.len, seg->packet, seg->time_us});
    buf_append_str(&chunk->bytes, data);
}

/* Segments in order to chunks without gaps. Sequence numbers wrap: distances are signed. */
static void join_segments(struct direction *dir, struct wire_side *side)
{
    uint32_t next = 0;
    if (dir->segments.len == 0)
        return;
    qsort(dir->segments.at, dir->segments.len, sizeof(struct segment), by_seq);
    for (size_t i = 0; i < dir->segments.len; i++) {
        const struct segment *seg = &dir->segments.at[i];
        int32_t ahead = (int32_t)(seg->seq - next);
        if (ahead <= 0 && (int64_t)seg->data.len <= -(int64_t)ahead)
            continue; /* all of it came before */
        if (side->chunks.len == 0 || ahead > 0)
            vec_push(&side->chunks, (struct wire_chunk){0});
        chunk_add(&vec_last(&side->chunks), str_sub(seg->data, ahead < 0 ? (size_t)-ahead : 0, SIZE_MAX),
                  seg);
        next = seg->seq + (uint32_t)seg->data.len;
    }
}

static bool has_port(const char *address, int port)
{
    const char *colon = strrchr(address, ':');
    int64_t n;
    return str_to_i64(str_from(colon + 1), &n) && n == port;
}

static bool is_clients(const struct direction *dir, const struct direction *back, int port)
{
    if (has_port(dir->to, port) != has_port(dir->from, port))
        return has_port(dir->to, port);
    return dir->opened || (back != NULL && !back->opened && dir->segments.len != 0);
}

static void pair_up(struct reading *rd, int port)
{
    for (size_t i = 0; i < rd->directions.len; i++) {
        struct direction *dir = rd->directions.at[i], *back = direction_of(rd, dir->to, dir->from);
        if (dir->conn != NULL || !is_clients(dir, back, port))
            continue;
        struct wire_connection *conn = mem_new(struct wire_connection);
        snprintf(conn->client, sizeof conn->client, "%s", dir->from);
        snprintf(conn->server, sizeof conn->server, "%s", dir->to);
        dir->conn = back->conn = conn;
        join_segments(dir, &conn->sent);
        join_segments(back, &conn->received);
        vec_push(&rd->capture->connections, conn);
    }
}

bool pcap_read(struct str bytes, int port, struct wire_capture *out, struct err *err)
{
    struct reading rd = {.file = bytes, .capture = out};
    *out = (struct wire_capture){0};
    if (is_pcapng(bytes))
        return err_set(err, ERR_UNSUPPORTED_FORMAT,
                       "a pcapng capture is not read; 'tcpdump -r FILE -w FILE.pcap' makes a pcap of it");
    if (bytes.len < FILE_HEADER_BYTES || !magic_of(bytes, &rd.swapped, &rd.nanoseconds))
        return err_set(err, ERR_UNSUPPORTED_FORMAT, "not a capture in pcap format");
    rd.link = file32(&rd, bytes.ptr + 20) & 0xffff;
    bool ok = take_packets(&rd, err);
    pair_up(&rd, port);
    for (size_t i = 0; i < rd.directions.len; i++) {
        vec_fini(&rd.directions.at[i]->segments);
        free(rd.directions.at[i]);
    }
    vec_fini(&rd.directions);
    map_fini(&rd.by_name);
    return ok;
}

static void side_fini(struct wire_side *side)
{
    for (size_t i = 0; i < side->chunks.len; i++) {
        buf_fini(&side->chunks.at[i].bytes);
        vec_fini(&side->chunks.at[i].packets);
    }
    vec_fini(&side->chunks);
}

void pcap_fini(struct wire_capture *capture)
{
    for (size_t i = 0; i < capture->connections.len; i++) {
        side_fini(&capture->connections.at[i]->sent);
        side_fini(&capture->connections.at[i]->received);
        free(capture->connections.at[i]);
    }
    vec_fini(&capture->connections);
}
