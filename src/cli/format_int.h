/* format_int.h - records as text: kcat's format strings, JSON lines, and back. */
#ifndef RIALTO_CLI_FORMAT_INT_H
#define RIALTO_CLI_FORMAT_INT_H

#include "cli/kafka_int.h"

/* Appends text with \n, \t, \r, \\, \0 and \xNN replaced. */
void format_unescape(struct str text, struct buf *out);

/* Appends the record by a format of kcat: %t topic, %p partition, %o offset, %k key, %s value, %h headers, %T time in ms,
 * %K and %S sizes (-1: null), %% percent. The format is unescaped already. False on an unknown letter. */
bool format_record(struct str format, const struct kafka_record *rec, struct buf *out, struct err *err);

/* {"topic","partition","offset","timestamp","headers","key","value"} and a line break. Bytes that are no UTF-8 are
 * {"b64": ...}. */
void format_record_json(const struct kafka_record *rec, struct buf *out);

/* The same back; topic, partition and offset are read over. timestamp_ms -1: none. */
struct format_record {
    struct str key, value;
    int64_t timestamp_ms;
    struct record_header *headers;
    int32_t header_count;
};
bool format_parse_json(struct str line, struct format_record *out, struct arena *arena, struct err *err);

#endif
