/* pull.c - pull queries: the operators of a plan over the rows of a store, or over a topic up to its present end.
 *
 *     worker thread of the task    pull_read_task: keys, window bounds or all -> copies of rows
 *                                  of an aggregate: state -> result row -> the task's SELECT and HAVING -> copy
 *     caller's thread              pull_end: copies -> runs of the source step -> operators -> on_rows
 *
 * (P1) The access of the plan only narrows what is read: the plan's filter sees every row.
 * (P2) A store is read between two runs of its task: what the caller sees is the state at one moment, per partition.
 * (P3) The worker does not wait for the caller: rows are copied, at most LIMIT of them where the plan has no filter.
 */
#include "flow/pull_int.h"

struct pull_row {
    const struct value *keys;
    const struct value *cells; /* of the sink's store: row time, value columns */
    int64_t start_ms, end_ms;
};

struct pull {
    struct flow_env env;
    struct flow_task *task;  /* the plan's own operators */
    const struct step *step; /* its SOURCE */
    const struct source *source;
    struct arena rows_arena;
    vec(struct pull_row) rows;
    int64_t rows_max; /* -1: all are needed */
    bool found;
    /* While a store is read. */
    struct key_codec key;
    struct buf key_bytes;
    struct record recs[RUN_ROWS_MAX];
};

static const struct step *find_source(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i]->kind == STEP_SOURCE)
            return plan->steps[i];
    UNREACHABLE();
}

static bool has_step(const struct plan *plan, enum step_kind kind)
{
    for (uint32_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i]->kind == kind)
            return true;
    return false;
}

struct pull *pull_new(const struct plan *plan, struct client *client, const struct func_settings *settings,
                      bool (*on_rows)(void *arg, const struct flow_rows *rows), void *arg, struct err *err)
{
    struct pull *pull = mem_new(struct pull);
    pull->env = (struct flow_env){.plan = plan,
                                  .client = client,
                                  .id = STR("pull"),
                                  .group = STR("pull"),
                                  .isolation = CLIENT_COMMITTED,
                                  .rows_left = plan->limit,
                                  .on_rows = on_rows,
                                  .arg = arg,
                                  .reset = FLOW_EARLIEST};
    pull->env.func_settings = settings != NULL ? *settings
                                               : (struct func_settings){.collect_list_limit = INT32_MAX,
                                                                        .collect_set_limit = INT32_MAX};
    pull->step = find_source(plan);
    pull->source = pull->step->source.source;
    bool narrows =
        has_step(plan, STEP_FILTER) || has_step(plan, STEP_FLAT_MAP) || has_step(plan, STEP_AGGREGATE);
    pull->rows_max = narrows ? -1 : plan->limit;
    const struct topology *topology =
        topology_new(plan, client, pull->env.group, true, &pull->env.arena, err);
    if (topology != NULL)
        pull->task = flow_task_new(&pull->env, topology, 0, 0, err);
    if (pull->task == NULL) {
        pull_free(pull);
        return NULL;
    }
    pull->task->recs = pull->recs;
    key_codec_init(&pull->key, pull->source->schema->columns, pull->source->schema->key_count,
                   &pull->env.arena);
    return pull;
}

void pull_free(struct pull *pull)
{
    if (pull == NULL)
        return;
    flow_task_free(pull->task);
    vec_fini(&pull->rows);
    arena_fini(&pull->rows_arena);
    arena_fini(&pull->env.arena);
    buf_fini(&pull->key_bytes);
    free(pull);
}

bool pull_found(const struct pull *pull)
{
    return pull->found;
}

/* Collecting ---------------------------------------------------------------------------------------------------- */

static bool is_full(const struct pull *pull)
{
    return pull->rows_max >= 0 && (int64_t)pull->rows.len >= pull->rows_max;
}

/* One row of the store (store_scan_fn). */
static bool collect(void *arg, struct str key, int64_t t0, int64_t t1, const struct value *cells)
{
    struct pull *pull = arg;
    const struct pull_access *access = &pull->env.plan->pull;
    struct arena *arena = &pull->rows_arena;
    struct pull_row row = {.start_ms = t0, .end_ms = t0 + pull->source->window_size_ms};
    if (pull->source->window_kind == WINDOW_SESSION) {
        row.start_ms = t1;
        row.end_ms = t0;
    }
    if (pull->source->window_kind != WINDOW_NONE &&
        (row.start_ms < access->window_start_min || row.start_ms > access->window_start_max ||
         row.end_ms < access->window_end_min || row.end_ms > access->window_end_max))
        return true;
    if (is_full(pull))
        return false;
    uint32_t cell_count = 1 + pull->source->schema->column_count - pull->key.count;
    struct value *copy = arena_array(arena, struct value, cell_count);
    for (uint32_t i = 0; i < cell_count; i++)
        copy[i] = value_dup(cells[i], arena);
    struct value *keys = arena_array(arena, struct value, pull->key.count + 1);
    key_decode(&pull->key, str_dup(key, arena), keys, arena);
    row.cells = copy;
    row.keys = keys;
    vec_push(&pull->rows, row);
    return true;
}

/* t0 of the rows that the window bounds allow. */
static void time_range(const struct pull *pull, int64_t *min, int64_t *max)
{
    const struct pull_access *access = &pull->env.plan->pull;
    *min = INT64_MIN;
    *max = INT64_MAX;
    if (pull->source->window_kind == WINDOW_SESSION) {
        *min = access->window_end_min;
        *max = access->window_end_max;
    } else if (pull->source->window_kind != WINDOW_NONE) {
        *min = access->window_start_min;
        *max = access->window_start_max;
    }
}

/* Rows of the given keys: `column_of` says which of a key's values is which column of the store's key. */
static bool collect_keys(struct pull *pull, struct store *store, const struct key_codec *codec,
                         const uint32_t *column_of, store_scan_fn *fn, void *arg, struct err *err)
{
    const struct pull_access *access = &pull->env.plan->pull;
    int64_t min, max;
    time_range(pull, &min, &max);
    for (uint32_t k = 0; k < access->key_count; k++) {
        const struct value *columns[codec->count + 1];
        for (uint32_t i = 0; i < codec->count; i++)
            columns[column_of[i]] = &access->keys[k * codec->count + i];
        if (key_encode(codec, columns, 0, &pull->key_bytes) &&
            !store_scan_key(store, buf_str(&pull->key_bytes), min, max, fn, arg, err))
            return false;
    }
    return true;
}

static bool read_sink(struct pull *pull, struct store *store, struct err *err)
{
    uint32_t same[pull->key.count + 1];
    for (uint32_t i = 0; i < pull->key.count; i++)
        same[i] = i;
    if (pull->env.plan->pull.kind == PULL_KEYS)
        return collect_keys(pull, store, &pull->key, same, collect, pull, err);
    return store_scan(store, collect, pull, err);
}

/* Rows of an aggregate go through the task's own operators up to its sink, whose place this one takes for a moment. */
struct op_collect {
    struct op op;
    struct pull *pull;
};

static bool collect_process(struct op *op, uint32_t side, const struct run *run)
{
    struct pull *pull = ((struct op_collect *)op)->pull;
    struct buf key = {0};
    for (uint32_t r = 0; r < run->count; r++) {
        if (run_deleted(run, r))
            continue; /* HAVING does not hold */
        struct value cells[run->column_count + 1];
        cells[0] = value_bigint(run->rowtime_ms[r]);
        for (uint32_t c = pull->key.count; c < run->column_count; c++)
            cells[1 + c - pull->key.count] = run->cols[c][r];
        ignore(!key_encode(&pull->key, run->cols, r, &key), "a group of all rows has no key");
        enum ast_window_kind kind = pull->source->window_kind;
        ignore(!collect(pull, buf_str(&key), run_t0(run, kind, r), run_t1(run, kind, r), cells),
               "the scan sees that it is full");
    }
    buf_fini(&key);
    return true;
}

static const struct op_class op_collect_class = {.name = "collect", .process = collect_process};

struct aggregate_scan {
    struct pull *pull;
    struct op *op;
    struct run_out out;
};

static bool scan_aggregate_row(void *arg, struct str key, int64_t t0, int64_t t1, const struct value *cells)
{
    struct aggregate_scan *scan = arg;
    if (is_full(scan->pull))
        return false;
    key = str_dup(key, &scan->op->task->batch); /* the rows point into it until they are pushed */
    scan->op->class->kept_row(scan->op, key, t0, t1, cells, &scan->out);
    return true;
}

/* Which key column of the aggregate each key column of the sink is; false: one of them is computed. */
static bool map_keys(const struct step *sink, const struct step *aggregate, uint32_t *column_of)
{
    for (uint32_t i = 0; i < sink->key_count; i++) {
        uint32_t column = i;
        for (const struct step *step = sink->input; step != aggregate; step = step->input) {
            if (step->kind != STEP_SELECT)
                continue;
            if (step->select.exprs[column]->kind != EXPR_COLUMN)
                return false;
            column = step->select.exprs[column]->index;
        }
        if (column >= aggregate->key_count)
            return false;
        column_of[i] = column;
    }
    return sink->key_count == aggregate->key_count;
}

static bool read_aggregate(struct pull *pull, struct flow_task *task, struct op *op, struct op *sink,
                           struct err *err)
{
    struct op_collect collector = {.op = {.class = &op_collect_class, .step = sink->step, .task = task},
                                   .pull = pull};
    struct op *last = op;
    while (last->next != sink)
        last = last->next;
    struct aggregate_scan scan = {pull, op, {0}};
    struct store *store = op->class->kept_store(op);
    uint32_t column_of[op->step->key_count + 1];
    struct key_codec codec;
    key_codec_init(&codec, op->step->columns, op->step->key_count, &pull->rows_arena);
    run_out_begin(&scan.out, op, NULL);
    last->next = &collector.op;
    bool by_key = pull->env.plan->pull.kind == PULL_KEYS && map_keys(sink->step, op->step, column_of);
    bool ok = by_key ? collect_keys(pull, store, &codec, column_of, scan_aggregate_row, &scan, err)
                     : store_scan(store, scan_aggregate_row, &scan, err);
    ok = run_out_end(&scan.out) && ok;
    last->next = sink;
    arena_reset(&task->batch);
    return ok;
}

static struct op *op_of_step(struct flow_task *task, const struct step *step)
{
    for (uint32_t i = 0; i < task->op_count; i++)
        if (task->ops[i]->step == step && task->ops[i]->class->kept_store != NULL)
            return task->ops[i];
    return NULL;
}

bool pull_read_task(struct pull *pull, struct flow_task *task, struct err *err)
{
    for (uint32_t i = 0; i < task->op_count; i++) {
        struct op *sink = task->ops[i];
        if (sink->class != &op_sink_class || !sink->step->sink.materialize)
            continue;
        const struct step *aggregate = sink_kept_by(sink->step);
        struct op *op = aggregate != NULL ? op_of_step(task, aggregate) : NULL;
        pull->found = true;
        bool ok = op != NULL ? read_aggregate(pull, task, op, sink, err)
                             : read_sink(pull, op_sink_store(sink), err);
        if (!ok)
            return false;
    }
    return true;
}

/* Running ---------------------------------------------------------------------------------------------------------- */

static struct value cell_of(const struct pull *pull, const struct pull_row *row,
                            const struct source_column *origin)
{
    switch (origin->origin) {
    case ORIGIN_KEY:
        return row->keys[origin->index];
    case ORIGIN_VALUE:
        return row->cells[1 + origin->index - pull->key.count];
    case ORIGIN_ROWTIME:
        return row->cells[0];
    case ORIGIN_WINDOWSTART:
        return value_bigint(row->start_ms);
    case ORIGIN_WINDOWEND:
        return value_bigint(row->end_ms);
    case ORIGIN_ROWPARTITION:
    case ORIGIN_ROWOFFSET:
        break;
    }
    return VALUE_NULL; /* refused by analysis */
}

static struct run rows_to_run(struct pull *pull, size_t from, uint32_t count)
{
    const struct step *step = pull->step;
    struct arena *arena = &pull->task->batch;
    const struct value **cols = arena_array(arena, const struct value *, step->column_count + 1);
    int64_t *time = arena_array(arena, int64_t, count), *start = arena_array(arena, int64_t, count),
            *end = arena_array(arena, int64_t, count);
    for (uint32_t c = 0; c < step->column_count; c++) {
        struct value *column = arena_array(arena, struct value, count);
        for (uint32_t r = 0; r < count; r++)
            column[r] = cell_of(pull, &pull->rows.at[from + r], &step->source.origins[c]);
        cols[c] = column;
    }
    for (uint32_t r = 0; r < count; r++) {
        time[r] = pull->rows.at[from + r].cells[0].l;
        start[r] = pull->rows.at[from + r].start_ms;
        end[r] = pull->rows.at[from + r].end_ms;
    }
    bool windowed = pull->source->window_kind != WINDOW_NONE;
    return (struct run){.count = count,
                        .column_count = step->column_count,
                        .cols = cols,
                        .rowtime_ms = time,
                        .window_start_ms = windowed ? start : NULL,
                        .window_end_ms = windowed ? end : NULL};
}

static bool is_done(const struct pull *pull)
{
    return pull->env.rows_full || pull->env.rows_left == 0;
}

static bool report(struct pull *pull, struct err *err)
{
    if (err != NULL)
        *err = pull->task->failure;
    return false;
}

bool pull_end(struct pull *pull, struct err *err)
{
    struct flow_task *task = pull->task;
    for (size_t i = 0; i < pull->rows.len && !is_done(pull);) {
        uint32_t n = (uint32_t)MIN(pull->rows.len - i, RUN_ROWS_MAX);
        struct run run = rows_to_run(pull, i, n);
        task->current = task->inputs[0].source;
        bool ok = op_push(task->inputs[0].source, &run);
        task->current = NULL;
        arena_reset(&task->batch);
        if (!ok)
            return report(pull, err);
        i += n;
    }
    return true;
}

/* Topics ------------------------------------------------------------------------------------------------------------ */

static bool read_records(struct pull *pull, struct client_reader *reader, int64_t end, struct err *err)
{
    struct flow_task *task = pull->task;
    struct flow_input *input = &task->inputs[0];
    while (client_reader_position(reader) < end && !is_done(pull)) {
        if (!client_reader_poll(reader, err))
            return false;
        size_t n = client_reader_take(reader, task->recs, RUN_ROWS_MAX);
        if (n == 0)
            return true;
        while (n > 0 && task->recs[n - 1].offset >= end)
            n--;
        if (n == 0)
            return true;
        task->current = input->source;
        bool ok = source_decode(input->source, input, task->recs, (uint32_t)n);
        task->current = NULL;
        while (ok && flow_task_step(task) && !is_done(pull)) {
        }
        if (!ok || task->failed)
            return report(pull, err);
    }
    return true;
}

bool pull_read_topic(struct pull *pull, int32_t partition, struct err *err)
{
    struct client *client = pull->env.client;
    struct client_offsets offsets;
    struct client_reader_options options = {.isolation = CLIENT_COMMITTED, .offset = CLIENT_EARLIEST};
    if (!client_offsets(client, pull->source->topic, partition, &offsets, err))
        return false;
    struct client_reader *reader = client_reader_new(client, pull->source->topic, partition, &options, err);
    if (reader == NULL)
        return false;
    pull->task->inputs[0].partition = partition;
    bool ok = read_records(pull, reader, offsets.committed, err);
    client_reader_free(reader);
    return ok;
}

bool flow_pull_stream(struct client *client, const struct plan *plan, const struct func_settings *settings,
                      bool (*on_rows)(void *arg, const struct flow_rows *rows), void *arg, struct err *err)
{
    struct pull *pull = pull_new(plan, client, settings, on_rows, arg, err);
    if (pull == NULL)
        return false;
    int32_t partitions = client_partition_count(client, pull->source->topic);
    bool ok = partitions >= 0 ||
              err_set(err, ERR_UNKNOWN_TOPIC, "topic %.*s does not exist", STR_ARG(pull->source->topic));
    for (int32_t p = 0; ok && p < partitions && !is_done(pull); p++)
        ok = pull_read_topic(pull, p, err);
    pull_free(pull);
    return ok;
}
