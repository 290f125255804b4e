/* print.c - batches as text, in the manner of Kafka's DumpLogSegments, so that people find what they know. */
#include "record/record_int.h"

static const char *yes_no(bool yes)
{
    return yes ? "true" : "false";
}

/* Text as it is; other bytes as \xNN. */
static void print_bytes(struct buf *out, struct str bytes)
{
    if (str_is_null(bytes)) {
        buf_append_cstr(out, "null");
        return;
    }
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        if (c == '\\')
            buf_append_cstr(out, "\\\\");
        else if (c >= 0x20 && c != 0x7f && c < 0x80)
            buf_append_char(out, (char)c);
        else
            buf_printf(out, "\\x%02x", c);
    }
}

static void print_header(struct buf *out, const struct batch *batch)
{
    buf_printf(out, "baseOffset: %lld lastOffset: %lld count: %d baseSequence: %d lastSequence: %d ",
               (long long)batch->base_offset, (long long)batch_last_offset(batch), batch->record_count,
               batch->base_seq, batch_last_seq(batch));
    buf_printf(
        out, "producerId: %lld producerEpoch: %d partitionLeaderEpoch: %d isTransactional: %s isControl: %s ",
        (long long)batch->pid, batch->epoch, batch->leader_epoch, yes_no(batch_is_transactional(batch)),
        yes_no(batch_is_control(batch)));
    buf_printf(out, "%s: %lld size: %zu magic: 2 compresscodec: %s crc: %u isvalid: %s\n",
               batch->attributes & BATCH_APPEND_TIME ? "LogAppendTime" : "CreateTime",
               (long long)batch->max_timestamp_ms, batch->bytes.len, codec_name(batch_codec(batch)),
               batch->crc, yes_no(batch_check_crc(batch, NULL)));
}

static void print_record(struct buf *out, const struct batch *batch, const struct record *rec)
{
    buf_printf(out, "| offset: %lld timestamp: %lld keySize: %lld valueSize: %lld", (long long)rec->offset,
               (long long)rec->timestamp_ms, str_is_null(rec->key) ? -1LL : (long long)rec->key.len,
               str_is_null(rec->value) ? -1LL : (long long)rec->value.len);
    enum marker marker;
    int32_t coordinator_epoch;
    if (batch_is_control(batch) && batch_read_marker(batch, &marker, &coordinator_epoch)) {
        buf_printf(out, " endTxnMarker: %s coordinatorEpoch: %d\n",
                   marker == MARKER_COMMIT ? "COMMIT" : "ABORT", coordinator_epoch);
        return;
    }
    buf_append_cstr(out, " headers: [");
    struct str rest = rec->headers;
    struct record_header header;
    for (int32_t i = 0; i < rec->header_count && record_header_next(&rest, &header); i++) {
        buf_append_cstr(out, i == 0 ? "" : ", ");
        print_bytes(out, header.key);
        buf_append_cstr(out, "=");
        print_bytes(out, header.value);
    }
    buf_append_cstr(out, "] key: ");
    print_bytes(out, rec->key);
    buf_append_cstr(out, " value: ");
    print_bytes(out, rec->value);
    buf_append_char(out, '\n');
}

void batch_print(struct buf *out, const struct batch *batch, bool with_records)
{
    print_header(out, batch);
    if (!with_records)
        return;
    struct batch_iter it;
    struct record rec;
    struct buf plain = {0};
    struct err err = {0};
    bool ok = batch_iter_init(&it, batch, &plain, &err);
    while (ok && batch_iter_next(&it, &rec))
        print_record(out, batch, &rec);
    if (!ok || !batch_iter_ok(&it, &err))
        buf_printf(out, "| damaged: %s\n", err.text);
    buf_fini(&plain);
}
