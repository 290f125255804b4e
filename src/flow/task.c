/* task.c - one subtopology on one partition, stepped from outside.
 *
 *     flow_task_poll   reader -> records -> source op decodes -> input->pending (a run)
 *     flow_task_step   the pending run whose first row is the oldest, up to the first row of the others -> ops
 *     flow_task_flush  merged updates come out
 *     flow_task_hand_over   stores, stream times, positions -> batch
 *
 * (T1) A task is used by one thread at a time and never waits.
 * (T2) An input's position is the offset before which all rows are processed: never that of rows that are only decoded.
 * (T3) Of inputs that have rows the oldest row goes first; of equal times a table's before a stream's.
 * (T4) After a failure (task->failed) the task only can be freed: what it did since the last hand-over must not be
 *      committed.
 */
#include "flow/flow_int.h"

void flow_task_free(struct flow_task *task)
{
    if (task == NULL)
        return;
    for (uint32_t i = 0; i < task->input_count; i++) {
        client_reader_free(task->inputs[i].reader);
        arena_fini(&task->inputs[i].arena);
    }
    for (uint32_t i = 0; i < task->op_count; i++)
        task->ops[i]->class->close(task->ops[i]);
    expr_ctx_free(task->expr);
    time_formats_free(task->formats);
    vec_fini(&task->stores);
    vec_fini(&task->writers);
    arena_fini(&task->batch);
    arena_fini(&task->arena);
    free(task);
}

void flow_task_set_now(struct flow_task *task, int64_t now_ms)
{
    expr_ctx_set_now(task->expr, now_ms);
}

/* Inputs ------------------------------------------------------------------------------------------------------ */

static void on_notify(void *arg)
{
    struct flow_task *task = arg;
    if (!atomic_exchange(&task->ready, true))
        task->wake(task->wake_arg);
}

/* Where an input begins: the committed position, else as the query's options and the plan say. */
static int64_t first_offset(struct flow_task *task, struct flow_input *input)
{
    int64_t offset;
    if (task->env->state != NULL && state_number(task->env->state, input->position_name, &offset))
        return offset;
    const struct step *step = input->source->step;
    bool earliest =
        step->kind != STEP_SOURCE || step->source.from_earliest || task->env->reset == FLOW_EARLIEST;
    return earliest ? CLIENT_EARLIEST : CLIENT_LATEST;
}

bool flow_task_open_inputs(struct flow_task *task, void (*wake)(void *arg), void *arg, struct err *err)
{
    task->wake = wake;
    task->wake_arg = arg;
    atomic_store(&task->ready, true);
    for (uint32_t i = 0; i < task->input_count; i++) {
        struct flow_input *input = &task->inputs[i];
        struct client_reader_options options = {.isolation = task->env->isolation,
                                                .offset = first_offset(task, input),
                                                .notify = on_notify,
                                                .arg = task};
        input->reader = client_reader_new(task->env->client, input->topic, input->partition, &options, err);
        if (input->reader == NULL)
            return false;
        input->position = input->position_after = client_reader_position(input->reader);
        /* A start at the end must be remembered even when nothing comes: position_told stays -1 until then. */
        task->has_work = true;
    }
    return true;
}

/* Records that retention has removed cannot be read: go on with the first that is kept. */
static bool skip_removed(struct flow_task *task, struct flow_input *input, struct err *err)
{
    if (err->code != ERR_OFFSET_OUT_OF_RANGE)
        return false;
    int64_t before = client_reader_position(input->reader);
    if (!client_reader_seek(input->reader, CLIENT_EARLIEST, err))
        return false;
    log_warn("flow", "records_removed", "query=%.*s topic=%.*s partition=%d from=%" PRId64 " to=%" PRId64,
             STR_ARG(task->env->id), STR_ARG(input->topic), input->partition, before,
             client_reader_position(input->reader));
    return true;
}

static void show_progress(struct flow_input *input)
{
    if (input->progress != NULL)
        atomic_store_explicit(input->progress, input->position, memory_order_relaxed);
}

/* Takes records and decodes them. *some: there were any. */
static bool fill_input(struct flow_task *task, struct flow_input *input, bool *some)
{
    struct err err;
    size_t n = client_reader_take(input->reader, task->recs, RUN_ROWS_MAX);
    if (n == 0) {
        if (!client_reader_poll(input->reader, &err) &&
            !(skip_removed(task, input, &err) && client_reader_poll(input->reader, &err)))
            return op_fail_err(input->source, &err);
        n = client_reader_take(input->reader, task->recs, RUN_ROWS_MAX);
    }
    input->position_after = client_reader_position(input->reader);
    if (n == 0) {
        arena_fini(&input->arena); /* thousands of idle inputs hold nothing */
        input->pending.count = input->pending_at = 0;
        task->has_work |= input->position != input->position_after;
        input->position = input->position_after; /* markers may have moved it */
        show_progress(input);
        return true;
    }
    *some = true;
    task->has_work = true;
    task->current = input->source;
    bool ok = input->source->class == &op_internal_class
                  ? internal_decode(input->source, input, task->recs, (uint32_t)n)
                  : source_decode(input->source, input, task->recs, (uint32_t)n);
    task->current = NULL;
    if (ok && input->pending.count == 0)
        input->position = input->position_after;
    return ok;
}

static bool has_pending(const struct flow_input *input)
{
    return input->pending_at < input->pending.count;
}

bool flow_task_poll(struct flow_task *task)
{
    bool some = false;
    if (task->failed)
        return false;
    if (!atomic_exchange(&task->ready, false))
        return true;
    for (uint32_t i = 0; i < task->input_count; i++) {
        if (has_pending(&task->inputs[i]))
            some = true;
        else if (!fill_input(task, &task->inputs[i], &some))
            return false;
    }
    if (some)
        atomic_store(&task->ready, true);
    else
        arena_fini(&task->batch);
    return true;
}

int64_t flow_task_lag(struct flow_task *task)
{
    int64_t lag = 0;
    for (uint32_t i = 0; i < task->input_count; i++) {
        struct flow_input *input = &task->inputs[i];
        lag += input->pending.count - input->pending_at;
        if (input->reader != NULL)
            lag += client_reader_lag(input->reader);
    }
    return lag;
}

/* Steps --------------------------------------------------------------------------------------------------------- */

static int64_t head_time(const struct flow_input *input)
{
    return input->pending.rowtime_ms[input->pending_at];
}

/* The input whose next row is the oldest, or NULL. */
static struct flow_input *oldest_input(struct flow_task *task)
{
    struct flow_input *oldest = NULL;
    for (uint32_t i = 0; i < task->input_count; i++) {
        struct flow_input *input = &task->inputs[i];
        if (has_pending(input) && (oldest == NULL || head_time(input) < head_time(oldest)))
            oldest = input;
    }
    return oldest;
}

/* How many rows of `input` may go before another input's turn. */
static uint32_t run_length(const struct flow_task *task, const struct flow_input *input)
{
    int64_t limit_ms = INT64_MAX; /* rows before this time may go */
    for (uint32_t i = 0; i < task->input_count; i++) {
        const struct flow_input *other = &task->inputs[i];
        if (other == input || !has_pending(other))
            continue;
        int64_t other_ms = head_time(other);
        if (input < other && other_ms < INT64_MAX)
            other_ms++; /* of equal times ours goes first */
        limit_ms = MIN(limit_ms, other_ms);
    }
    uint32_t at = input->pending_at;
    do
        at++;
    while (at < input->pending.count && input->pending.rowtime_ms[at] < limit_ms);
    return at - input->pending_at;
}

static void trim_stores(struct flow_task *task)
{
    for (size_t i = 0; i < task->stores.len; i++)
        store_trim(task->stores.at[i].store);
}

bool flow_task_step(struct flow_task *task)
{
    struct flow_input *input = task->failed ? NULL : oldest_input(task);
    if (input == NULL)
        return false;
    uint32_t count = run_length(task, input);
    struct run run = run_slice(&input->pending, input->pending_at, count, &task->batch);
    task->current = input->source;
    task->current_run = &run;
    bool ok = input->source->class->process(input->source, 0, &run);
    task->current = NULL;
    task->current_run = NULL;
    input->pending_at += count;
    input->position = has_pending(input) ? input->pending.offset[input->pending_at] : input->position_after;
    show_progress(input);
    task->has_work = true;
    trim_stores(task);
    arena_reset(&task->batch);
    return ok && !task->failed;
}

bool flow_task_flush(struct flow_task *task)
{
    if (!task->held_back || task->failed)
        return false;
    task->held_back = false;
    for (uint32_t i = 0; i < task->op_count && !task->failed; i++)
        if (task->ops[i]->class->flush != NULL) {
            task->current = task->ops[i];
            ignore(!task->ops[i]->class->flush(task->ops[i]), "the failure is in the task");
        }
    task->current = NULL;
    arena_reset(&task->batch);
    task->has_work = true;
    return true;
}

void flow_task_hand_over(struct flow_task *task, struct state_batch *batch)
{
    for (uint32_t i = 0; i < task->op_count; i++)
        if (task->ops[i]->class->hand_over != NULL)
            task->ops[i]->class->hand_over(task->ops[i], batch);
    for (uint32_t i = 0; i < task->input_count; i++) {
        struct flow_input *input = &task->inputs[i];
        if (input->position != input->position_told)
            state_batch_number(batch, input->position_name, input->position);
        input->position_told = input->position;
    }
    task->has_work = false;
    arena_reset(&task->batch);
}
