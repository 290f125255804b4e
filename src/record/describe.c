/* describe.c - a batch as items: its header, then each record and its headers. Damage is an item too. */
#include "record/record_int.h"

static void describe_producer(struct describe *out, const struct batch *batch)
{
    if (batch->pid < 0)
        return;
    describe_number(out, "producer_id", batch->pid);
    describe_number(out, "producer_epoch", batch->epoch);
    describe_number(out, "base_sequence", batch->base_seq);
    describe_number(out, "last_sequence", batch->base_seq < 0 ? -1 : batch_last_seq(batch));
}

static bool describe_header(struct describe *out, const struct batch *batch, const struct batch_describe *how)
{
    struct err err = {0};
    bool good = batch_check_crc(batch, &err);
    describe_begin(out, how->at, how->depth, "batch");
    describe_number(out, "base_offset", batch->base_offset);
    describe_number(out, "last_offset", batch_last_offset(batch));
    describe_number(out, "records", batch->record_count);
    describe_number(out, "bytes", (int64_t)batch->bytes.len);
    describe_cstr(out, "codec", codec_name(batch_codec(batch)));
    describe_hex32(out, "crc", batch->crc);
    describe_check(out, good, err.text);
    describe_number(out, "leader_epoch", batch->leader_epoch);
    describe_producer(out, batch);
    describe_flag(out, "transactional", batch_is_transactional(batch));
    describe_flag(out, "control", batch_is_control(batch));
    describe_cstr(out, "timestamp_type", batch->attributes & BATCH_APPEND_TIME ? "append" : "create");
    describe_number(out, "base_timestamp_ms", batch->base_timestamp_ms);
    describe_number(out, "max_timestamp_ms", batch->max_timestamp_ms);
    describe_end(out);
    return good;
}

static void describe_marker(struct describe *out, const struct batch *batch, const struct record *rec)
{
    enum marker marker;
    int32_t coordinator_epoch;
    if (!batch_read_marker(batch, &marker, &coordinator_epoch)) {
        describe_text(out, "key", rec->key);
        describe_text(out, "value", rec->value);
        return;
    }
    describe_cstr(out, "marker", marker == MARKER_COMMIT ? "commit" : "abort");
    describe_number(out, "coordinator_epoch", coordinator_epoch);
}

static void describe_record(struct describe *out, const struct batch *batch, const struct record *rec,
                            int64_t at, const struct batch_describe *how)
{
    describe_begin(out, at, how->depth + 1, "record");
    describe_number(out, "offset", rec->offset);
    describe_number(out, "timestamp_ms", rec->timestamp_ms);
    describe_number(out, "key_bytes", str_is_null(rec->key) ? -1 : (int64_t)rec->key.len);
    describe_number(out, "value_bytes", str_is_null(rec->value) ? -1 : (int64_t)rec->value.len);
    if (batch_is_control(batch)) {
        describe_marker(out, batch, rec);
    } else if (how->record == NULL || !how->record(how->arg, out, rec)) {
        describe_text(out, "key", rec->key);
        describe_text(out, "value", rec->value);
    }
    describe_end(out);
    struct str rest = rec->headers;
    struct record_header header;
    for (int32_t i = 0; i < rec->header_count && record_header_next(&rest, &header); i++) {
        describe_begin(out, -1, how->depth + 2, "header");
        describe_text(out, "key", header.key);
        describe_text(out, "value", header.value);
        describe_end(out);
    }
}

bool batch_describe(struct describe *out, const struct batch *batch, const struct batch_describe *how)
{
    bool good = describe_header(out, batch, how);
    if (!how->records)
        return good;
    struct batch_iter it;
    struct record rec;
    struct buf plain = {0};
    struct err err = {0};
    bool in_place = batch_codec(batch) == CODEC_NONE && how->at >= 0;
    bool ok = batch_iter_init(&it, batch, &plain, &err);
    for (;;) {
        int64_t at = ok && in_place ? how->at + ((const char *)it.at - batch->bytes.ptr) : -1;
        if (!ok || !batch_iter_next(&it, &rec))
            break;
        describe_record(out, batch, &rec, at, how);
    }
    if (!ok || !batch_iter_ok(&it, &err)) {
        size_t left = ok ? (size_t)(it.end - it.at) : batch->bytes.len - BATCH_HEADER_BYTES;
        int64_t at = ok && in_place ? how->at + ((const char *)it.at - batch->bytes.ptr) : -1;
        describe_damage(out, at, how->depth + 1, left, err.text);
        good = false;
    }
    buf_fini(&plain);
    return good;
}
