/* append_check.c - what is looked at before an append takes its lock: sizes, checksum, records, timestamps; and the codec that
 * the topic wants.
 */
#include "log/append_int.h"

static bool check_message_size(const struct append *app, size_t size, struct err *err)
{
    return size <= app->config->message_bytes_max ||
           err_set(err, ERR_TOO_LARGE, "record batch: %zu bytes, max.message.bytes is %u", size,
                   app->config->message_bytes_max);
}

static bool check_client_header(const struct append *app, const struct batch *batch, struct err *err)
{
    if (batch->bytes.len != app->bytes.len)
        return err_set(err, ERR_INVALID_RECORD,
                       "%zu bytes follow the record batch; exactly one batch is allowed",
                       app->bytes.len - batch->bytes.len);
    if (batch->base_offset != 0)
        return err_set(err, ERR_INVALID_RECORD, "record batch: base offset %lld, a producer must send 0",
                       (long long)batch->base_offset);
    if (!check_message_size(app, batch->bytes.len, err))
        return false;
    if (!batch_check_crc(batch, err))
        return false;
    if (batch->record_count == 0 || batch->record_count != batch->last_offset_delta + 1)
        return err_set(err, ERR_INVALID_RECORD,
                       "record batch: %d records do not fit the last offset delta %d", batch->record_count,
                       batch->last_offset_delta);
    if (batch->attributes & (BATCH_CONTROL | BATCH_DELETE_HORIZON))
        return err_set(err, ERR_INVALID_RECORD, "record batch: a producer may not write control batches");
    if (batch->pid >= 0 && (batch->base_seq < 0 || batch->epoch < 0))
        return err_set(err, ERR_INVALID_RECORD, "record batch: producer id without sequence number");
    return true;
}

static struct batch_rules rules_of(const struct append *app)
{
    const struct log_config *config = app->config;
    struct batch_rules rules = {config->key_required, INT64_MIN, INT64_MAX};
    if (config->append_time)
        return rules;
    if (config->timestamp_before_max_ms < app->now_ms) /* else any time since 1970 and before is in it */
        rules.timestamp_min_ms = app->now_ms - config->timestamp_before_max_ms;
    if (config->timestamp_after_max_ms < INT64_MAX - app->now_ms)
        rules.timestamp_max_ms = app->now_ms + config->timestamp_after_max_ms;
    return rules;
}

static bool check_rules(const struct append *app, const struct batch_facts *facts,
                        struct log_append_result *result, struct err *err)
{
    struct batch_rules rules = rules_of(app);
    enum batch_fault fault = batch_facts_fault(&rules, facts);
    if (fault == BATCH_GOOD)
        return true;
    result->bad_records = true;
    result->rules = rules;
    if (fault == BATCH_NO_KEY)
        return err_set(err, ERR_INVALID_RECORD, "record without key: a compacted topic needs one");
    bool future = facts->max_timestamp_ms > rules.timestamp_max_ms;
    return err_set(err, ERR_INVALID_TIMESTAMP, "record timestamp %lld is too far in the %s",
                   (long long)(future ? facts->max_timestamp_ms : facts->min_timestamp_ms),
                   future ? "future" : "past");
}

static bool check_sizes(const struct append *app, size_t size, struct err *err)
{
    if (!check_message_size(app, size, err))
        return false;
    if (size > app->config->segment_bytes)
        return err_set(err, ERR_RECORD_LIST_TOO_LARGE, "record batch: %zu bytes, segment.bytes is %u", size,
                       app->config->segment_bytes);
    return true;
}

/* Gives the batches the codec of the topic (compression.type) where they have another. */
static bool recompress(struct append *app, struct err *err)
{
    struct str rest = app->bytes;
    struct batch batch;
    bool other = false, ok = true;
    while (app->config->recompress && batch_next(&rest, &batch, NULL))
        other |= !batch_is_control(&batch) && batch_codec(&batch) != app->config->codec;
    if (!other)
        return true;
    struct batch_builder builder = {0};
    struct batch_rewrite how = {.codec = app->config->codec,
                                .level = app->config->codec_levels[app->config->codec],
                                .horizon_ms = -1};
    rest = app->bytes;
    while (ok && batch_next(&rest, &batch, NULL)) {
        struct str bytes = batch.bytes;
        if (!batch_is_control(&batch) && batch_codec(&batch) != app->config->codec)
            ok = batch_rewrite(&builder, &batch, &how, codec_scratch(), &bytes, err);
        if (ok)
            buf_append_str(&app->rewritten, bytes);
    }
    batch_builder_fini(&builder);
    app->bytes = buf_str(&app->rewritten);
    return ok && (app->origin != LOG_CLIENT || check_sizes(app, app->bytes.len, err));
}

/* All checks of a client's batch that need no lock. */
static bool check_client(struct append *app, struct log_append_result *result, struct err *err)
{
    struct batch *batch = &app->head;
    struct batch_facts facts;
    if (!batch_open(app->bytes, batch, err)) {
        if (err != NULL)
            err->code = ERR_INVALID_RECORD;
        return false;
    }
    if (!check_client_header(app, batch, err) || !batch_check_records(batch, &facts, err))
        return false;
    app->max_timestamp_ms = facts.max_timestamp_ms;
    return check_rules(app, &facts, result, err) && check_sizes(app, batch->bytes.len, err) &&
           recompress(app, err);
}

/* Batches of this program: only that they are whole, and few enough to be judged together. */
static bool check_internal(struct append *app, struct err *err)
{
    struct str rest = app->bytes;
    struct batch batch;
    struct err why = {0};
    size_t count = 0;
    bool sequences = false;
    while (batch_next(&rest, &batch, &why)) {
        count++;
        sequences |= batch.base_seq >= 0;
        app->max_timestamp_ms = MAX(app->max_timestamp_ms, batch.max_timestamp_ms);
    }
    if (why.code != ERR_NONE || rest.len != 0 || count == 0)
        return err_set(err, ERR_INVALID_RECORD, "batches to append are not whole: %s",
                       why.code != ERR_NONE ? why.text : "bytes are left over");
    if (sequences && count > 1)
        return err_set(err, ERR_INVALID_RECORD, "batches with sequence numbers are appended one by one");
    return recompress(app, err);
}

bool append_check(struct append *app, struct log_append_result *result, struct err *err)
{
    if (app->bytes.len > INT32_MAX) /* positions in a segment are 31 bits */
        return err_set(err, ERR_TOO_LARGE, "%zu bytes to append at once, at most %d are possible",
                       app->bytes.len, INT32_MAX);
    return app->origin == LOG_CLIENT ? check_client(app, result, err) : check_internal(app, err);
}
