/* dump_out.c - items of a dump on stdout: lines of text, or one JSON object a line with the same fields. */
#include <stdio.h>

#include "cli/dump_int.h"

enum { FLUSH_BYTES = 64 << 10 };

static struct dump_out *out_of(struct describe *describe)
{
    return (struct dump_out *)describe; /* its first member */
}

static void flush(struct dump_out *out, size_t bytes_min)
{
    if (out->buf.len < bytes_min)
        return;
    ignore(fwrite(out->buf.ptr, 1, out->buf.len, stdout), "a closed pipe ends the program by its signal");
    buf_clear(&out->buf);
}

void dump_json_bytes(struct json_writer *out, struct str bytes)
{
    if (str_is_null(bytes) || utf8_valid(bytes)) {
        json_str(out, bytes);
        return;
    }
    json_object_begin(out);
    json_key_begin(out, "b64");
    json_base64(out, bytes);
    json_object_end(out);
}

static void json_begin(struct describe *describe, int64_t at, int depth, const char *what)
{
    struct dump_out *out = out_of(describe);
    out->json = (struct json_writer){.out = &out->buf};
    json_object_begin(&out->json);
    json_key_cstr(&out->json, "what", what);
    if (at >= 0)
        json_key_i64(&out->json, "at", at);
    else
        json_key_null(&out->json, "at");
}

static void json_number(struct describe *describe, const char *name, int64_t n)
{
    json_key_i64(&out_of(describe)->json, name, n);
}

static void json_flag(struct describe *describe, const char *name, bool yes)
{
    json_key_bool(&out_of(describe)->json, name, yes);
}

static void json_text(struct describe *describe, const char *name, struct str bytes)
{
    struct json_writer *json = &out_of(describe)->json;
    json_key_begin(json, name);
    dump_json_bytes(json, bytes);
}

static void json_json(struct describe *describe, const char *name, struct str value)
{
    struct json_writer *json = &out_of(describe)->json;
    json_key_begin(json, name);
    json_raw(json, value);
}

static void json_end(struct describe *describe)
{
    struct dump_out *out = out_of(describe);
    json_object_end(&out->json);
    buf_append_char(&out->buf, '\n');
    flush(out, FLUSH_BYTES);
}

static void text_end(struct describe *describe)
{
    struct dump_out *out = out_of(describe);
    out->line_end(describe);
    flush(out, FLUSH_BYTES);
}

void dump_out_init(struct dump_out *out, bool json)
{
    *out = (struct dump_out){0};
    describe_lines_init(&out->lines, &out->buf);
    out->line_end = out->lines.describe.end;
    out->lines.describe.end = text_end;
    if (json)
        out->lines.describe =
            (struct describe){json_begin, json_number, json_flag, json_text, json_json, json_end};
}

void dump_out_fini(struct dump_out *out)
{
    flush(out, 1);
    buf_fini(&out->buf);
}

/* Batches inside messages ------------------------------------------------------------------------------------------ */

static void json_record(struct json_writer *out, const struct record *rec)
{
    struct str rest = rec->headers;
    struct record_header header;
    json_object_begin(out);
    json_key_i64(out, "offset", rec->offset);
    json_key_i64(out, "timestamp_ms", rec->timestamp_ms);
    json_key_begin(out, "key");
    dump_json_bytes(out, rec->key);
    json_key_begin(out, "value");
    dump_json_bytes(out, rec->value);
    json_key_begin(out, "headers");
    json_array_begin(out);
    for (int32_t i = 0; i < rec->header_count && record_header_next(&rest, &header); i++) {
        json_array_begin(out);
        dump_json_bytes(out, header.key);
        dump_json_bytes(out, header.value);
        json_array_end(out);
    }
    json_array_end(out);
    json_object_end(out);
}

static void json_batch(struct json_writer *out, const struct batch *batch)
{
    struct err err = {0};
    struct buf plain = {0};
    struct batch_iter it;
    struct record rec;
    json_object_begin(out);
    json_key_i64(out, "base_offset", batch->base_offset);
    json_key_i64(out, "bytes", (int64_t)batch->bytes.len);
    json_key_cstr(out, "codec", codec_name(batch_codec(batch)));
    json_key_cstr(out, "check", batch_check_crc(batch, &err) ? "ok" : err.text);
    json_key_i64(out, "producer_id", batch->pid);
    json_key_i64(out, "producer_epoch", batch->epoch);
    json_key_i64(out, "base_sequence", batch->base_seq);
    json_key_bool(out, "transactional", batch_is_transactional(batch));
    json_key_bool(out, "control", batch_is_control(batch));
    json_key_begin(out, "records");
    json_array_begin(out);
    err = (struct err){0};
    bool ok = batch_iter_init(&it, batch, &plain, &err);
    while (ok && batch_iter_next(&it, &rec))
        json_record(out, &rec);
    json_array_end(out);
    if (!ok || !batch_iter_ok(&it, &err))
        json_key_cstr(out, "damaged", err.text);
    json_object_end(out);
    buf_fini(&plain);
}

void dump_json_batches(struct str batches, struct buf *buf)
{
    struct json_writer out = {.out = buf};
    struct batch batch;
    struct err err = {0};
    json_array_begin(&out);
    while (batch_next(&batches, &batch, &err))
        json_batch(&out, &batch);
    if (batches.len != 0) { /* a fetch's last batch is often cut, and other formats are none of ours */
        json_object_begin(&out);
        json_key_i64(&out, "bytes", (int64_t)batches.len);
        json_key_cstr(&out, "damaged", err.code != ERR_NONE ? err.text : "the batch is cut off");
        json_object_end(&out);
    }
    json_array_end(&out);
}
