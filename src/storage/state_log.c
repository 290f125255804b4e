/* state_log.c - a partition as the log of a replayed state: the ops table that `replay` asks for. */
#include "storage/storage_int.h"

enum { READ_BYTES = 1 << 20 };

static bool append(void *log, const struct replay_record *records, size_t count, int64_t *end_offset,
                   struct err *err)
{
    struct state_log *state_log = log;
    struct str batch;
    struct partition_appended appended;
    batch_builder_begin(&state_log->builder, &BATCH_SPEC_PLAIN);
    for (size_t i = 0; i < count; i++)
        batch_builder_add(&state_log->builder, records[i].timestamp_ms, records[i].key, records[i].value,
                          NULL, 0);
    if (!batch_builder_finish(&state_log->builder, &batch, err) ||
        !partition_append(state_log->part, (char *)batch.ptr, batch.len, &appended, err))
        return false;
    *end_offset = appended.end_offset;
    return true;
}

/* Carries a replay's wait through the partition's. */
struct state_wait {
    struct partition_wait wait;
    struct replay_wait *to;
};

static void on_durable(struct partition_wait *wait, const struct err *failure)
{
    struct state_wait *state_wait = (struct state_wait *)wait;
    struct replay_wait *to = state_wait->to;
    free(state_wait);
    to->fn(to, failure);
}

static void when_durable(void *log, int64_t end_offset, struct replay_wait *wait)
{
    struct state_log *state_log = log;
    if (!state_log->part->fsync || log_durable_offset(state_log->part->log) >= end_offset) {
        wait->fn(wait, NULL);
        return;
    }
    struct state_wait *state_wait = mem_new(struct state_wait);
    state_wait->wait.fn = on_durable;
    state_wait->to = wait;
    partition_when_durable(state_log->part, end_offset, &state_wait->wait);
}

/* Visits the records of one batch from the offset on. */
static bool visit_batch(const struct batch *batch, int64_t from_offset, struct buf *plain,
                        replay_visit_fn visit, void *arg, struct err *err)
{
    struct batch_iter it;
    struct record rec;
    if (!batch_iter_init(&it, batch, plain, err))
        return false;
    while (batch_iter_next(&it, &rec)) {
        struct replay_record out = {.key = rec.key,
                                    .value = rec.value,
                                    .timestamp_ms = rec.timestamp_ms,
                                    .offset = rec.offset};
        if (rec.offset >= from_offset && !visit(arg, &out, err))
            return false;
    }
    return batch_iter_ok(&it, err);
}

/* Visits the batches that were read; *next is the offset after them. */
static bool visit_bytes(struct str bytes, int64_t *next, struct buf *plain, replay_visit_fn visit, void *arg,
                        struct err *err)
{
    while (bytes.len >= BATCH_PREFIX_BYTES) {
        struct batch batch;
        size_t size = batch_size(bytes.ptr);
        if (size > bytes.len) /* the read ended inside a batch: read again from there */
            return true;
        if (!batch_open(str_sub(bytes, 0, size), &batch, err))
            return false;
        if (!batch_is_control(&batch) && !visit_batch(&batch, *next, plain, visit, arg, err))
            return false;
        *next = batch_last_offset(&batch) + 1;
        bytes = str_sub(bytes, size, bytes.len);
    }
    return true;
}

static bool read(void *log, int64_t from_offset, replay_visit_fn visit, void *arg, int64_t *end_offset,
                 struct err *err)
{
    struct state_log *state_log = log;
    struct log *disk = state_log->part->log;
    struct buf bytes = {0}, plain = {0};
    int64_t next = MAX(from_offset, log_start_offset(disk));
    bool good = true;
    while (good && next < log_end_offset(disk)) {
        struct log_slice slice = {0};
        buf_clear(&bytes);
        good = log_read(disk, next, READ_BYTES, LOG_APPENDED, &slice, err);
        if (good && slice.len == 0) {
            log_slice_release(&slice);
            break;
        }
        good = good && log_slice_read(disk, &slice, &bytes, err);
        log_slice_release(&slice);
        good = good && visit_bytes(buf_str(&bytes), &next, &plain, visit, arg, err);
    }
    *end_offset = next;
    buf_fini(&bytes);
    buf_fini(&plain);
    return good;
}

static bool trim(void *log, int64_t before_offset, struct err *err)
{
    struct state_log *state_log = log;
    return log_delete_before(state_log->part->log, before_offset, err);
}

const struct replay_log_ops state_log_ops = {.append = append,
                                             .when_durable = when_durable,
                                             .read = read,
                                             .trim = trim};

bool state_log_open(struct state_log *state_log, struct storage *storage, struct str name, struct err *err)
{
    ASSERT(is_internal_topic(name));
    struct log_config config = log_config_default();
    config.retention_on = false;
    struct partition_spec hidden = {.topic = name, .config = &config, .fsync = true};
    state_log->part = is_hidden_topic(name) ? partition_open(storage, &hidden, err)
                                            : storage_partition_get(storage, name, 0, err);
    return state_log->part != NULL;
}

void state_log_close(struct state_log *state_log)
{
    batch_builder_fini(&state_log->builder);
    partition_unref(state_log->part);
}
