/* task.c - the thread of a sink task: read, convert, deliver, commit; again.
 *
 *     assign (input.c) -> collect -> convert -> put, with retries -> positions move -> offsets committed
 *                                       |        |
 *                                       +--------+--> task_report_raw -> dead letters (dlq.c)
 *
 * (T1) A batch is what was there, at most poll_records of it; its bytes live until the next collect.
 * (T2) A retriable failure of the plugin repeats the same batch after a pause that doubles up to backoff_max_ms; any
 *      other failure ends the thread with state FAILED and the cause as trace.
 * (T3) A record is reported once, however often its batch is tried.
 */

#include "connect/connect_int.h"

enum { COMMIT_INTERVAL_MS = 1000, TOPIC_WAIT_MS = 200, BACKOFF_FIRST_MS = 100, PAUSE_TURN_MS = 60000 };

/* State -------------------------------------------------------------------------------------------------- */

void task_set_state(struct connect_task *task, enum connect_event event, const char *trace)
{
    pthread_mutex_lock(&task->lock);
    task->state = connect_state_next(task->state, event);
    snprintf(task->trace, sizeof task->trace, "%s", trace != NULL ? trace : "");
    pthread_mutex_unlock(&task->lock);
}

enum connect_state task_state(struct connect_task *task)
{
    pthread_mutex_lock(&task->lock);
    enum connect_state state = task->state;
    pthread_mutex_unlock(&task->lock);
    return state;
}

bool task_sleep(struct connect_task *task, int64_t wait_ms)
{
    struct timespec at = clock_deadline(wait_ms);
    pthread_mutex_lock(&task->lock);
    bool was_paused = task->paused;
    while (!task->stop && task->paused == was_paused &&
           pthread_cond_timedwait(&task->wake, &task->lock, &at) == 0)
        continue;
    pthread_mutex_unlock(&task->lock);
    return !task->stop;
}

/* Waits until there is something to read, something is asked for, or the time is over. */
static void wait_for_work(struct connect_task *task, int64_t wait_ms)
{
    struct timespec at = clock_deadline(wait_ms);
    pthread_mutex_lock(&task->lock);
    while (!task->stop && !task->paused && !task->notified &&
           pthread_cond_timedwait(&task->wake, &task->lock, &at) == 0)
        continue;
    task->notified = false;
    pthread_mutex_unlock(&task->lock);
}

static bool is_paused(struct connect_task *task)
{
    pthread_mutex_lock(&task->lock);
    bool paused = task->paused;
    pthread_mutex_unlock(&task->lock);
    return paused;
}

/* For plugins -------------------------------------------------------------------------------------------- */

struct str connect_task_connector(const struct connect_task *task)
{
    return task->connector->name;
}

int connect_task_number(const struct connect_task *task)
{
    return task->number;
}

bool connect_task_stopping(const struct connect_task *task)
{
    return task->stop;
}

void connect_task_set_retry(struct connect_task *task, int64_t retries_max, int64_t backoff_max_ms)
{
    task->retries_max = retries_max;
    task->backoff_max_ms = backoff_max_ms;
}

bool connect_task_report(struct connect_task *task, size_t i, const struct err *cause, struct err *err)
{
    ASSERT(i < task->records.len);
    return task_report_raw(task, task->record_raw.at[i], STAGE_TASK_PUT, cause, err);
}

/* A batch ------------------------------------------------------------------------------------------------ */

static bool convert_one(struct connect_task *task, uint32_t i, struct err *err)
{
    const struct record *rec = &task->raw.at[i];
    const struct sink_input *input = &task->inputs.at[task->raw_input.at[i]];
    struct sink_record out = {.topic = input->topic,
                              .partition = input->partition,
                              .offset = rec->offset,
                              .timestamp_ms = rec->timestamp_ms};
    struct err cause;
    enum error_stage stage = STAGE_KEY_CONVERTER;
    bool good = converter_read(task->key_converter, rec->key, &out.key, &task->batch, &cause);
    if (good) {
        stage = STAGE_VALUE_CONVERTER;
        good = converter_read(task->value_converter, rec->value, &out.value, &task->batch, &cause);
    }
    if (!good)
        return task_report_raw(task, i, stage, &cause, err);
    vec_push(&task->records, out);
    vec_push(&task->record_raw, i);
    return true;
}

static bool convert_batch(struct connect_task *task, struct err *err)
{
    converter_begin_batch(task->key_converter);
    converter_begin_batch(task->value_converter);
    vec_clear(&task->records);
    vec_clear(&task->record_raw);
    for (uint32_t i = 0; i < task->raw.len; i++)
        if (!convert_one(task, i, err))
            return false;
    return true;
}

/* Places after the batch, of the partitions that it moves. */
static void set_positions(struct connect_task *task)
{
    vec_clear(&task->positions);
    for (size_t i = 0; i < task->inputs.len; i++) {
        struct sink_input *input = &task->inputs.at[i];
        if (input->next != input->position)
            vec_push(&task->positions, (struct sink_position){input->topic, input->partition, input->next});
    }
}

/* A pause after failure n (from 0): doubling, with jitter. False: the task shall stop. */
static bool back_off(struct connect_task *task, int64_t n)
{
    int64_t pause_ms = MIN((int64_t)BACKOFF_FIRST_MS << MIN(n, 20), task->backoff_max_ms);
    int64_t jitter_ms = clock_mono_us() % (pause_ms / 5 + 1);
    bool go_on = task_sleep(task, pause_ms - jitter_ms);
    while (go_on && is_paused(task)) { /* the batch waits */
        task_set_state(task, EVENT_PAUSE, NULL);
        go_on = task_sleep(task, PAUSE_TURN_MS);
    }
    return go_on;
}

/* Runs a step of the plugin until it succeeds, fails for good, or the task shall stop (false, code ERR_SHUTDOWN). */
static bool with_retries(struct connect_task *task, bool (*step)(struct connect_task *task, struct err *err),
                         struct err *err)
{
    for (int64_t n = 0;; n++) {
        if (step(task, err)) {
            if (n != 0)
                task_set_state(task, EVENT_START, NULL);
            return true;
        }
        if (task->stop)
            return err_set(err, ERR_SHUTDOWN, "the task was stopped");
        if (!err_retriable(err->code) || (task->retries_max >= 0 && n >= task->retries_max))
            return false;
        metric_add(task->counters.retries, 1);
        struct err shown = *err;
        err_context(&shown, "trying again (%" PRId64 ")", n + 1);
        task_set_state(task, EVENT_START, shown.text);
        if ((n & (n - 1)) == 0)
            log_warn("connect", "task_retries", "connector=%.*s task=%d tries=%" PRId64 " error=%s",
                     STR_ARG(task->connector->name), task->number, n + 1, err->text);
        if (!back_off(task, n))
            return err_set(err, ERR_SHUTDOWN, "the task was stopped");
    }
}

static bool put_once(struct connect_task *task, struct err *err)
{
    int64_t from_us = clock_mono_us();
    bool done = connect_task_settle(task, err) &&
                task->connector->class->put(task->instance, task->records.at, task->records.len,
                                            task->positions.at, task->positions.len, err);
    if (done)
        metric_observe(task->counters.put_time, clock_mono_us() - from_us);
    return done;
}

static void batch_delivered(struct connect_task *task)
{
    size_t reported = 0;
    for (size_t i = 0; i < task->raw.len; i++)
        reported += task->reported.at[i];
    metric_add(task->counters.read, (int64_t)task->raw.len);
    metric_add(task->counters.written, (int64_t)(task->raw.len - reported));
    for (size_t i = 0; i < task->inputs.len; i++)
        task->inputs.at[i].position = task->inputs.at[i].next;
}

static bool deliver(struct connect_task *task, struct err *err)
{
    if (!convert_batch(task, err))
        return false;
    set_positions(task);
    if (task->positions.len == 0)
        return true;
    if (!with_retries(task, put_once, err))
        return false;
    batch_delivered(task);
    return true;
}

/* The thread --------------------------------------------------------------------------------------------- */

static bool commit_due(struct connect_task *task, bool now, struct err *err)
{
    if (!now && clock_mono_ms() < task->commit_due_ms)
        return true;
    task->commit_due_ms = clock_mono_ms() + COMMIT_INTERVAL_MS;
    return task_commit_offsets(task, err);
}

static bool run_once(struct connect_task *task, struct err *err)
{
    if (is_paused(task)) {
        if (!commit_due(task, true, err))
            return false;
        if (task_state(task) != STATE_PAUSED)
            task_set_state(task, EVENT_PAUSE, NULL);
        task_sleep(task, PAUSE_TURN_MS);
        return true;
    }
    if (task_state(task) != STATE_RUNNING)
        task_set_state(task, EVENT_START, NULL);
    if (!with_retries(task, task_assign, err) || !task_collect(task, err))
        return false;
    if (task->raw.len == 0) {
        for (size_t i = 0; i < task->inputs.len; i++) /* over control records */
            task->inputs.at[i].position = task->inputs.at[i].next;
        if (!commit_due(task, false, err))
            return false;
        wait_for_work(task, task->inputs.len != 0 ? COMMIT_INTERVAL_MS : TOPIC_WAIT_MS);
        return true;
    }
    return deliver(task, err) && commit_due(task, false, err);
}

static bool begin(struct connect_task *task, struct err *err)
{
    const struct connector *connector = task->connector;
    task->key_converter =
        converter_new(connector->settings.key_converter, &connector->config, "key.converter.", err);
    if (task->key_converter == NULL)
        return false;
    task->value_converter =
        converter_new(connector->settings.value_converter, &connector->config, "value.converter.", err);
    if (task->value_converter == NULL)
        return false;
    task->retries_max = -1;
    task->backoff_max_ms = connector->settings.retry_delay_max_ms;
    task->instance = connector->class->start(task, connector->class_settings);
    return true;
}

static void end(struct connect_task *task)
{
    struct err err;
    if (task->opened && !task_commit_offsets(task, &err))
        log_warn("connect", "offsets_not_committed", "connector=%.*s task=%d error=%s",
                 STR_ARG(task->connector->name), task->number, err.text);
    if (task->instance != NULL)
        task->connector->class->stop(task->instance);
    task->instance = NULL;
    task_close_inputs(task);
    converter_free(task->key_converter);
    converter_free(task->value_converter);
    task->key_converter = task->value_converter = NULL;
    client_writer_free(task->dlq);
    task->dlq = NULL;
    task->dlq_unsettled = false;
}

static void task_main(void *arg)
{
    struct connect_task *task = arg;
    struct err err = {0};
    bool good = begin(task, &err);
    log_info("connect", "task_started", "connector=%.*s task=%d", STR_ARG(task->connector->name),
             task->number);
    while (good && !task->stop)
        good = run_once(task, &err);
    end(task);
    if (good || (task->stop && err.code == ERR_SHUTDOWN))
        return;
    log_error("connect", "task_failed", "connector=%.*s task=%d error=%s", STR_ARG(task->connector->name),
              task->number, err.text);
    task_set_state(task, EVENT_FAIL, err.text);
}

/* Life --------------------------------------------------------------------------------------------------- */

static void make_counters(struct connect_task *task)
{
    struct arena arena = {0};
    struct metric_registry *reg = task->connect->options.metrics;
    struct metric_labels labels = LABELS({"connector", str_cstr(task->connector->name, &arena)},
                                         {"task", str_printf(&arena, "%d", task->number).ptr});
    task->counters = (struct task_counters){
        .read = metric_counter(reg, "rialto_connect_records_read_total", labels),
        .written = metric_counter(reg, "rialto_connect_records_written_total", labels),
        .failed = metric_counter(reg, "rialto_connect_record_failures_total", labels),
        .skipped = metric_counter(reg, "rialto_connect_records_skipped_total", labels),
        .retries = metric_counter(reg, "rialto_connect_retries_total", labels),
        .dlq = metric_counter(reg, "rialto_connect_dead_letters_total", labels),
        .put_time = metric_histogram(reg, "rialto_connect_put_seconds", labels),
    };
    arena_fini(&arena);
}

struct connect_task *task_new(struct connector *connector, int number)
{
    struct connect_task *task = mem_new(struct connect_task);
    task->connect = connector->connect;
    task->connector = connector;
    task->number = number;
    pthread_mutex_init(&task->lock, NULL);
    clock_cond_init(&task->wake);
    make_counters(task);
    return task;
}

void task_start(struct connect_task *task)
{
    struct err err;
    task->stop = false;
    task->thread_started = thread_start(&task->thread, "connect", task_main, task, &err);
    if (!task->thread_started)
        task_set_state(task, EVENT_FAIL, err.text);
}

void task_ask_to_stop(struct connect_task *task)
{
    pthread_mutex_lock(&task->lock);
    task->stop = true;
    pthread_cond_broadcast(&task->wake);
    pthread_mutex_unlock(&task->lock);
}

void task_stop(struct connect_task *task)
{
    task_ask_to_stop(task);
    if (task->thread_started)
        thread_join(&task->thread);
    task->thread_started = false;
}

void task_pause(struct connect_task *task, bool paused)
{
    pthread_mutex_lock(&task->lock);
    task->paused = paused;
    pthread_cond_broadcast(&task->wake);
    pthread_mutex_unlock(&task->lock);
}

void task_free(struct connect_task *task)
{
    struct metric_registry *reg = task->connect->options.metrics;
    struct metric *metrics[] = {task->counters.read,    task->counters.written, task->counters.failed,
                                task->counters.skipped, task->counters.retries, task->counters.dlq,
                                task->counters.put_time};
    for (size_t i = 0; i < COUNT_OF(metrics); i++)
        metric_remove(reg, metrics[i]);
    vec_fini(&task->inputs);
    vec_fini(&task->raw);
    vec_fini(&task->raw_input);
    vec_fini(&task->records);
    vec_fini(&task->record_raw);
    vec_fini(&task->reported);
    vec_fini(&task->positions);
    arena_fini(&task->batch);
    pthread_cond_destroy(&task->wake);
    pthread_mutex_destroy(&task->lock);
    free(task);
}
