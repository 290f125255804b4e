/* dump_int.h - what the dump commands share: where items go, and the bytes of captured connections. */
#ifndef RIALTO_CLI_DUMP_INT_H
#define RIALTO_CLI_DUMP_INT_H

#include "cli/cli_int.h"
#include "json/json.h"
#include "record/record.h"

/* dump_out.c: items on stdout, as lines of text or, with --json, as one JSON object a line. */
struct dump_out {
    struct describe_lines lines; /* text: its functions, with `end` replaced; JSON: ours */
    struct buf buf;
    struct json_writer json;
    void (*line_end)(struct describe *out);
};

void dump_out_init(struct dump_out *out, bool json);
void dump_out_fini(struct dump_out *out); /* writes what is left */

/* A key or value as JSON: its text, null, or {"b64": ...} when it is no UTF-8. */
void dump_json_bytes(struct json_writer *out, struct str bytes);

/* JSON of the batches in a message: for wire_describe_*. */
void dump_json_batches(struct str batches, struct buf *out);

/* cmd_dump.c: the exit status of a dump; damage is a failure, so that scripts see it. */
int dump_status(struct cli *cli, uint64_t damaged);

/* dump_pcap.c: the two directions of each TCP connection of a capture, put together again. */
struct wire_packet {
    size_t at;       /* of a chunk's bytes: from here on they came with ... */
    uint32_t number; /* ... this packet of the file, counted from 1, ... */
    int64_t time_us; /* ... at this time */
};

struct wire_chunk {
    struct buf bytes; /* without a gap */
    vec(struct wire_packet) packets;
};

struct wire_side {
    vec(struct wire_chunk) chunks; /* between two of them bytes are missing */
};

struct wire_connection {
    char client[64], server[64];     /* "127.0.0.1:40112" */
    struct wire_side sent, received; /* by the client */
};

struct wire_capture {
    vec(struct wire_connection *) connections;
    uint64_t packets, ignored; /* ignored: no TCP, or cut short by the capture */
};

/* Is this the beginning of a capture file? */
bool pcap_is(struct str bytes);

/* Reads a capture in pcap format. `port`: the server's; the side that has it is the server, else the side that did not open
 * the connection. ERR_UNSUPPORTED_FORMAT for other formats and links. */
bool pcap_read(struct str bytes, int port, struct wire_capture *out, struct err *err);
void pcap_fini(struct wire_capture *capture);

/* dump_wire.c: tells the frames of a capture, or of one client's bytes, raw or as hex (then *bytes is what they mean). False:
 * the capture is none, or cut off; what could be read of it was told. */
struct wire_counts {
    uint64_t damaged, packets, ignored;
};
bool dump_wire_bytes(struct buf *bytes, int port, struct describe *out, struct wire_counts *counts,
                     struct err *err);

#endif
