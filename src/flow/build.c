/* build.c - from plan to tasks: which steps go where, what must be refused, the operators of a task.
 *
 *     SOURCE t  FILTER  GROUP BY | AGGREGATE  SELECT  SINK          | a split: an internal topic lies here
 *     `------ subtopology 0 -----'`------ subtopology 1 -----'
 *
 * (B1) A plan is split behind a PARTITION BY or GROUP BY that moves rows, when there is more than one partition and
 *      something behind it keeps state. With one partition, and in step mode, nothing is split.
 * (B2) Both inputs of a join are in one subtopology and have the same number of partitions; an internal topic takes the
 *      number of the other side.
 * (B3) Op names depend on kinds and their order only, so that a replaced query finds its stores again.
 */
#include "flow/flow_int.h"

/* Refusals ---------------------------------------------------------------------------------------------------- */

bool topology_check(const struct plan *plan, struct err *err)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const struct step *step = plan->steps[i];
        if (step->kind == STEP_AGGREGATE && step->aggregate.kept_count != 0)
            return err_set(err, ERR_UNSUPPORTED, "columns kept by an aggregation are not built yet");
        if (step->kind == STEP_AGGREGATE && step->aggregate.undo)
            for (uint32_t a = 0; a < step->aggregate.aggregate_count; a++)
                if (step->aggregate.aggregates[a].call->agg->undo == NULL)
                    return err_set(err, ERR_STATEMENT,
                                   "The aggregation function %.*s cannot be applied to a table "
                                   "source, only to a stream source.",
                                   STR_ARG(step->aggregate.aggregates[a].call->name));
        if (step->kind == STEP_AGGREGATE && step->aggregate.window.kind == WINDOW_SESSION)
            for (uint32_t a = 0; a < step->aggregate.aggregate_count; a++)
                if (step->aggregate.aggregates[a].call->agg->merge == NULL)
                    return err_set(err, ERR_UNSUPPORTED, "function %.*s cannot merge sessions",
                                   STR_ARG(step->aggregate.aggregates[a].call->name));
    }
    return true;
}

/* Topology ---------------------------------------------------------------------------------------------------- */

struct building {
    const struct plan *plan;
    struct client *client;
    struct str group;
    bool pass_through;
    struct arena *arena;
    const struct step **parent;
    uint32_t *sub_of;    /* before numbering: any id, merged through `joined` */
    uint32_t *joined;    /* sub -> the sub that it became part of, or itself */
    int32_t *partitions; /* of a sub */
    bool *flexible;      /* the sub has internal inputs only: its number may still be chosen */
    uint32_t sub_count;
    bool *splits, *needs_old;
    struct str *topic_of, *name_of;
};

static const char *const kind_names[] = {
    [STEP_SOURCE] = "source",
    [STEP_FILTER] = "filter",
    [STEP_SELECT] = "select",
    [STEP_FLAT_MAP] = "flat-map",
    [STEP_PARTITION_BY] = "partition",
    [STEP_GROUP_BY] = "group",
    [STEP_AGGREGATE] = "aggregate",
    [STEP_JOIN_STREAM_TABLE] = "join",
    [STEP_JOIN_STREAM_STREAM] = "join",
    [STEP_JOIN_TABLE_TABLE] = "join",
    [STEP_JOIN_FOREIGN_KEY] = "join",
    [STEP_SUPPRESS] = "suppress",
    [STEP_SINK] = "sink",
};

static void name_steps(struct building *b)
{
    for (uint32_t i = 0; i < b->plan->step_count; i++) {
        const char *name = kind_names[b->plan->steps[i]->kind];
        uint32_t before = 0;
        for (uint32_t k = 0; k < i; k++)
            before += kind_names[b->plan->steps[k]->kind] == name;
        b->name_of[i] = before == 0 ? str_from(name) : str_printf(b->arena, "%s-%u", name, before + 1);
    }
}

/* Must the rows of `step` come with the old ones? Asked from the sink downwards. */
static bool want_old(const struct building *b, const struct step *step)
{
    const struct step *parent = b->parent[step->id];
    if (parent == NULL || step->result_kind != SOURCE_TABLE || b->plan->kind == QUERY_PULL)
        return false;
    switch (parent->kind) {
    case STEP_FILTER:
        return true;
    case STEP_AGGREGATE:
        return parent->aggregate.undo;
    case STEP_GROUP_BY:
    case STEP_PARTITION_BY:
    case STEP_SELECT:
    case STEP_SUPPRESS:
        return b->needs_old[parent->id];
    default:
        return false;
    }
}

static bool is_join(const struct step *step)
{
    return step->right != NULL;
}

/* Does anything behind this step keep state by its key? */
static bool feeds_state(const struct building *b, const struct step *step)
{
    for (const struct step *at = b->parent[step->id]; at != NULL; at = b->parent[at->id])
        if (at->kind == STEP_AGGREGATE || is_join(at))
            return true;
    return false;
}

static struct str repartition_topic(const struct building *b, const struct step *step)
{
    const struct step *child = step, *parent = b->parent[step->id];
    while (parent != NULL && !is_join(parent) && parent->kind != STEP_AGGREGATE) {
        child = parent;
        parent = b->parent[parent->id];
    }
    if (parent == NULL || step->kind == STEP_GROUP_BY)
        return str_printf(b->arena, "%.*s-Aggregate-GroupBy-repartition", STR_ARG(b->group));
    return str_printf(b->arena, "%.*s-%.*s-%s-repartition", STR_ARG(b->group), STR_ARG(parent->name),
                      parent->right == child ? "right" : "left");
}

static uint32_t sub_new(struct building *b, int32_t partitions, bool flexible)
{
    uint32_t sub = b->sub_count++;
    b->joined[sub] = sub;
    b->partitions[sub] = partitions;
    b->flexible[sub] = flexible;
    return sub;
}

static uint32_t sub_root(const struct building *b, uint32_t sub)
{
    while (b->joined[sub] != sub)
        sub = b->joined[sub];
    return sub;
}

static bool sub_of_source(struct building *b, const struct step *step, struct err *err)
{
    struct str topic = step->source.source->topic;
    int32_t partitions = b->pass_through ? 1 : client_partition_count(b->client, topic);
    if (partitions < 0)
        return err_set(err, ERR_UNKNOWN_TOPIC, "topic %.*s of source %.*s does not exist", STR_ARG(topic),
                       STR_ARG(step->source.source->name));
    b->sub_of[step->id] = sub_new(b, partitions, false);
    return true;
}

static bool sub_of_join(struct building *b, const struct step *step, struct err *err)
{
    uint32_t left = sub_root(b, b->sub_of[step->input->id]), right = sub_root(b, b->sub_of[step->right->id]);
    b->sub_of[step->id] = left;
    if (left == right)
        return true;
    if (b->flexible[left] && !b->flexible[right])
        b->partitions[left] = b->partitions[right];
    else if (b->flexible[left] && b->flexible[right])
        b->partitions[left] = MAX(b->partitions[left], b->partitions[right]);
    else if (!b->flexible[right] && b->partitions[left] != b->partitions[right])
        return err_set(
            err, ERR_STATEMENT,
            "Can't join `%.*s` with `%.*s` since the number of partitions don't match. `%.*s` partitions = "
            "%d; `%.*s` partitions = %d. Please repartition either one so that the number of partitions "
            "match.",
            STR_ARG(step->input->name), STR_ARG(step->right->name), STR_ARG(step->input->name),
            b->partitions[left], STR_ARG(step->right->name), b->partitions[right]);
    b->flexible[left] = b->flexible[left] && b->flexible[right];
    b->joined[right] = left;
    if (step->kind == STEP_JOIN_FOREIGN_KEY && b->partitions[left] > 1)
        return err_set(err, ERR_UNSUPPORTED,
                       "foreign-key joins of tables with more than one partition are not built yet");
    return true;
}

static bool place_step(struct building *b, const struct step *step, struct err *err)
{
    if (step->kind == STEP_SOURCE)
        return sub_of_source(b, step, err);
    if (is_join(step))
        return sub_of_join(b, step, err);
    uint32_t in = sub_root(b, b->sub_of[step->input->id]);
    bool moves = (step->kind == STEP_PARTITION_BY && step->key.repartition && !step->key.no_key) ||
                 (step->kind == STEP_GROUP_BY && (step->key.repartition || step->key_count == 0));
    b->splits[step->id] = moves && b->partitions[in] > 1 && feeds_state(b, step);
    if (b->splits[step->id]) {
        b->topic_of[step->id] = repartition_topic(b, step);
        b->sub_of[step->id] = sub_new(b, b->partitions[in], true);
    } else {
        b->sub_of[step->id] = in;
    }
    return true;
}

/* Final numbers, without the merged ones. */
static const struct topology *number_subs(struct building *b)
{
    struct topology *topology = arena_new(b->arena, struct topology);
    uint32_t *number = arena_array(b->arena, uint32_t, b->sub_count + 1);
    int32_t *partitions = arena_array(b->arena, int32_t, b->sub_count + 1);
    uint32_t n = 0;
    for (uint32_t s = 0; s < b->sub_count; s++)
        if (b->joined[s] == s) {
            partitions[n] = b->partitions[s];
            number[s] = n++;
        }
    for (uint32_t i = 0; i < b->plan->step_count; i++)
        b->sub_of[i] = number[sub_root(b, b->sub_of[i])];
    *topology = (struct topology){b->plan,     n,          b->sub_of,  b->splits,
                                  b->topic_of, partitions, b->name_of, b->needs_old};
    return topology;
}

const struct topology *topology_new(const struct plan *plan, struct client *client, struct str group,
                                    bool pass_through, struct arena *arena, struct err *err)
{
    if (!topology_check(plan, err))
        return NULL;
    uint32_t n = plan->step_count;
    struct building b = {
        .plan = plan, .client = client, .group = group, .pass_through = pass_through, .arena = arena};
    b.parent = arena_array(arena, const struct step *, n);
    b.sub_of = arena_array(arena, uint32_t, n);
    b.joined = arena_array(arena, uint32_t, 2 * n);
    b.partitions = arena_array(arena, int32_t, 2 * n);
    b.flexible = arena_array(arena, bool, 2 * n);
    b.splits = arena_array(arena, bool, n);
    b.needs_old = arena_array(arena, bool, n);
    b.topic_of = arena_array(arena, struct str, n);
    b.name_of = arena_array(arena, struct str, n);
    for (uint32_t i = 0; i < n; i++) {
        ASSERT(plan->steps[i]->id == i);
        if (plan->steps[i]->input != NULL)
            b.parent[plan->steps[i]->input->id] = plan->steps[i];
        if (plan->steps[i]->right != NULL)
            b.parent[plan->steps[i]->right->id] = plan->steps[i];
    }
    name_steps(&b);
    for (uint32_t i = n; i-- > 0;)
        b.needs_old[i] = want_old(&b, plan->steps[i]);
    for (uint32_t i = 0; i < n; i++)
        if (!place_step(&b, plan->steps[i], err))
            return NULL;
    return number_subs(&b);
}

/* Operators of a task ------------------------------------------------------------------------------------------- */

static const struct op_class *class_of(const struct step *step)
{
    switch (step->kind) {
    case STEP_SOURCE:
        return &op_source_class;
    case STEP_FILTER:
        return &op_filter_class;
    case STEP_SELECT:
        return &op_select_class;
    case STEP_FLAT_MAP:
        return &op_flat_map_class;
    case STEP_PARTITION_BY:
    case STEP_GROUP_BY:
        return &op_key_class;
    case STEP_AGGREGATE:
        return step->aggregate.window.kind == WINDOW_SESSION ? &op_session_class : &op_aggregate_class;
    case STEP_JOIN_STREAM_TABLE:
        return &op_join_table_class;
    case STEP_JOIN_STREAM_STREAM:
        return &op_join_stream_class;
    case STEP_JOIN_TABLE_TABLE:
        return &op_join_table_table_class;
    case STEP_JOIN_FOREIGN_KEY:
        return &op_join_fk_class;
    case STEP_SUPPRESS:
        return NULL; /* the aggregate before it knows when a window closes */
    case STEP_SINK:
        return step->sink.sink != NULL || step->sink.materialize ? &op_sink_class : &op_push_class;
    }
    UNREACHABLE();
}

static struct op *op_new(struct flow_task *task, const struct op_class *class, const struct step *step,
                         const struct topology *topology)
{
    struct op *op = arena_zalloc(&task->arena, 1, class->size);
    op->class = class;
    op->step = step;
    op->task = task;
    op->name = topology->name_of[step->id];
    op->gives_old = topology->needs_old[step->id];
    task->ops[task->op_count++] = op;
    return op;
}

static void link_ops(struct op *from, struct op *to, uint32_t side)
{
    from->next = to;
    from->next_side = side;
}

static void add_input(struct flow_task *task, struct op *op, struct str topic, bool is_table)
{
    struct flow_input *input = &task->inputs[task->input_count++];
    *input = (struct flow_input){.source = op,
                                 .topic = topic,
                                 .partition = task->partition,
                                 .is_table = is_table,
                                 .position = -1,
                                 .position_after = -1,
                                 .position_told = -1};
    input->position_name = str_printf(&task->arena, "%.*s/%.*s.pos/%.*s/%d", STR_ARG(task->env->id),
                                      STR_ARG(op->name), STR_ARG(topic), task->partition);
}

/* The ops of one step in this task. */
static void build_step(struct flow_task *task, const struct topology *topology, const struct step *step,
                       struct op **op_of)
{
    bool here = topology->sub_of[step->id] == task->subtopology;
    if (step->kind == STEP_SOURCE) {
        if (here) {
            op_of[step->id] = op_new(task, &op_source_class, step, topology);
            add_input(task, op_of[step->id], step->source.source->topic,
                      step->source.source->kind == SOURCE_TABLE);
        }
        return;
    }
    if (topology->splits[step->id]) {
        if (topology->sub_of[step->input->id] == task->subtopology) {
            struct op *key = op_new(task, &op_key_class, step, topology);
            struct op *out = op_new(task, &op_repartition_class, step, topology);
            op_repartition_set_topic(out, topology->topic_of[step->id]);
            link_ops(op_of[step->input->id], key, 0);
            link_ops(key, out, 0);
        }
        if (here) {
            op_of[step->id] = op_new(task, &op_internal_class, step, topology);
            add_input(task, op_of[step->id], topology->topic_of[step->id], false);
        }
        return;
    }
    if (!here)
        return;
    const struct op_class *class = class_of(step);
    if (class == NULL) {
        op_of[step->id] = op_of[step->input->id];
        return;
    }
    op_of[step->id] = op_new(task, class, step, topology);
    link_ops(op_of[step->input->id], op_of[step->id], 0);
    if (step->right != NULL)
        link_ops(op_of[step->right->id], op_of[step->id], 1);
}

/* Tables first: where two inputs have rows of the same time, the table's is taken first. */
static void order_inputs(struct flow_task *task)
{
    for (uint32_t i = 1; i < task->input_count; i++)
        for (uint32_t k = i; k > 0 && task->inputs[k].is_table && !task->inputs[k - 1].is_table; k--) {
            struct flow_input swap = task->inputs[k];
            task->inputs[k] = task->inputs[k - 1];
            task->inputs[k - 1] = swap;
        }
}

static void on_expr_error(void *state, uint32_t row, const struct err *err)
{
    struct flow_task *task = state;
    const struct run *run = task->current_run;
    int64_t offset = run != NULL && run->offset != NULL && row < run->count ? run->offset[row] : -1;
    if (task->current != NULL)
        op_log(task->current, FLOW_LOG_PROCESSING, offset, err->text);
}

struct flow_task *flow_task_new(struct flow_env *env, const struct topology *topology, uint32_t subtopology,
                                int32_t partition, struct err *err)
{
    struct flow_task *task = mem_new(struct flow_task);
    uint32_t n = topology->plan->step_count;
    task->env = env;
    task->subtopology = subtopology;
    task->partition = partition;
    task->ops = arena_array(&task->arena, struct op *, 2 * n);
    task->inputs = arena_array(&task->arena, struct flow_input, 2 * n);
    task->expr = expr_ctx_new(&env->func_settings, on_expr_error, task);
    task->formats = time_formats_new();
    struct op **op_of = arena_array(&task->arena, struct op *, n);
    for (uint32_t i = 0; i < n; i++)
        build_step(task, topology, topology->plan->steps[i], op_of);
    order_inputs(task);
    for (uint32_t i = 0; i < task->op_count; i++)
        if (!task->ops[i]->class->open(task->ops[i], err)) {
            flow_task_free(task);
            return NULL;
        }
    return task;
}
