/* dlq.c - records that can never be converted or written: counted, logged, written to the dead letter queue.
 *
 *   errors.tolerance=none   the task fails with the cause
 *   errors.tolerance=all    the record is left out; when a dead letter topic is named, it gets the original bytes,
 *                           headers and timestamp, and (context.headers.enable) where it was and why it failed
 */
#include "connect/connect_int.h"

static const struct {
    const char *name, *exception;
} stages[] = {
    [STAGE_KEY_CONVERTER] = {"KEY_CONVERTER", "org.apache.kafka.connect.errors.DataException"},
    [STAGE_VALUE_CONVERTER] = {"VALUE_CONVERTER", "org.apache.kafka.connect.errors.DataException"},
    [STAGE_TASK_PUT] = {"TASK_PUT", "org.apache.kafka.connect.errors.ConnectException"},
};

/* A few bytes of a record for a log line, in one line. */
static struct str shown(struct str bytes, struct arena *arena)
{
    enum { SHOWN_MAX = 200 };
    if (str_is_null(bytes))
        return STR("null");
    struct str text = str_dup(str_sub(bytes, 0, SHOWN_MAX), arena);
    char *at = (char *)text.ptr;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)at[i] < 0x20 || (unsigned char)at[i] >= 0x7f)
            at[i] = '.';
    return text;
}

static void log_record(struct connect_task *task, const struct record *rec, const struct sink_input *input,
                       enum error_stage stage, const struct err *cause)
{
    struct arena arena = {0};
    struct str content = STR("");
    if (task->connector->settings.log_messages)
        content = str_printf(&arena, " key=%s value=%s", shown(rec->key, &arena).ptr,
                             shown(rec->value, &arena).ptr);
    log_error("connect", "record_failed",
              "connector=%.*s task=%d stage=%s topic=%.*s partition=%d offset=%" PRId64 " timestamp=%" PRId64
              "%s error=%s",
              STR_ARG(task->connector->name), task->number, stages[stage].name, STR_ARG(input->topic),
              input->partition, rec->offset, rec->timestamp_ms, content.ptr, cause->text);
    arena_fini(&arena);
}

bool task_report_raw(struct connect_task *task, uint32_t i, enum error_stage stage, const struct err *cause,
                     struct err *err)
{
    const struct sink_settings *settings = &task->connector->settings;
    const struct record *rec = &task->raw.at[i];
    const struct sink_input *input = &task->inputs.at[task->raw_input.at[i]];
    if (task->reported.at[i])
        return true;
    metric_add(task->counters.failed, 1);
    if (settings->log_enable)
        log_record(task, rec, input, stage, cause);
    if (settings->tolerance == 0) {
        err_set(err, err_retriable(cause->code) ? ERR_INVALID_RECORD : cause->code, "%s", cause->text);
        err_context(err, "%s: record of topic '%.*s', partition %d, offset %" PRId64,
                    "Tolerance exceeded in error handler", STR_ARG(input->topic), input->partition,
                    rec->offset);
        return false;
    }
    if (settings->dlq_topic.len != 0 &&
        !dlq_write(task, rec, input->topic, input->partition, stage, cause, err))
        return false;
    task->reported.at[i] = true;
    metric_add(task->counters.skipped, 1);
    return true;
}

/* The topic ---------------------------------------------------------------------------------------------- */

static bool open_dlq(struct connect_task *task, struct err *err)
{
    struct client *client = task->connect->options.client;
    struct str topic = task->connector->settings.dlq_topic;
    struct client_writer_options options = {.batch_bytes = 0};
    if (task->dlq != NULL)
        return true;
    if (client_partition_count(client, topic) < 0 && !client_topic_create(client, topic, 1, NULL, 0, err) &&
        err->code != ERR_TOPIC_EXISTS)
        return false;
    task->dlq = client_writer_new(client, topic, &options, err);
    return task->dlq != NULL;
}

static struct str class_in_stage(const struct connect_task *task, enum error_stage stage)
{
    if (stage == STAGE_TASK_PUT)
        return str_from(task->connector->class->name);
    return str_from(
        converter_name(stage == STAGE_KEY_CONVERTER ? task->key_converter : task->value_converter));
}

static void append_context(struct connect_task *task, const struct record *rec, struct str topic,
                           int32_t partition, enum error_stage stage, const struct err *cause,
                           struct buf *headers, int32_t *count, struct arena *arena)
{
    const struct record_header context[] = {
        {STR("__connect.errors.topic"), topic},
        {STR("__connect.errors.partition"), str_printf(arena, "%d", partition)},
        {STR("__connect.errors.offset"), str_printf(arena, "%" PRId64, rec->offset)},
        {STR("__connect.errors.connector.name"), task->connector->name},
        {STR("__connect.errors.task.id"), str_printf(arena, "%d", task->number)},
        {STR("__connect.errors.stage"), str_from(stages[stage].name)},
        {STR("__connect.errors.class.name"), class_in_stage(task, stage)},
        {STR("__connect.errors.exception.class.name"), str_from(stages[stage].exception)},
        {STR("__connect.errors.exception.message"), str_from(cause->text)},
        {STR("__connect.errors.exception.stacktrace"),
         str_printf(arena, "%s: %s\n", stages[stage].exception, cause->text)},
    };
    record_headers_encode(headers, context, COUNT_OF(context));
    *count += COUNT_OF(context);
}

bool dlq_write(struct connect_task *task, const struct record *rec, struct str topic, int32_t partition,
               enum error_stage stage, const struct err *cause, struct err *err)
{
    struct arena arena = {0};
    struct buf headers = {0};
    int32_t count = rec->header_count;
    bool done = open_dlq(task, err);
    if (done) {
        buf_append_str(&headers, rec->headers);
        if (task->connector->settings.dlq_headers)
            append_context(task, rec, topic, partition, stage, cause, &headers, &count, &arena);
        done = client_writer_add(task->dlq, -1, rec->timestamp_ms, rec->key, rec->value, buf_str(&headers),
                                 count, err);
    }
    if (done) {
        task->dlq_unsettled = true;
        metric_add(task->counters.dlq, 1);
    } else {
        err_context(err, "dead letter topic %.*s", STR_ARG(task->connector->settings.dlq_topic));
    }
    buf_fini(&headers);
    arena_fini(&arena);
    return done;
}

bool connect_task_settle(struct connect_task *task, struct err *err)
{
    if (!task->dlq_unsettled)
        return true;
    if (!client_writer_wait(task->dlq, err)) {
        err_context(err, "dead letter topic %.*s", STR_ARG(task->connector->settings.dlq_topic));
        return false;
    }
    task->dlq_unsettled = false;
    return true;
}
