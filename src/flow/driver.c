/* driver.c - step mode: a query as a closed machine that gets one record at a time.
 *
 *     flow_driver_feed   record -> source op -> ... -> sink -> client        all effects done when it returns
 *
 * One task, no split, state in memory, no merging: each change of an aggregate comes out. The operators are those of the
 * server; only who calls them differs.
 */
#include "flow/flow_int.h"

#include "flow/pull_int.h"

struct flow_driver {
    struct flow_env env;
    struct flow_task *task;
    vec(struct client_reader *) readers; /* of flow_driver_drain */
    vec(struct str) reader_topics;
    bool ended;
    void (*on_end)(void *arg, bool limit_reached, const struct err *failure);
};

static void env_init(struct flow_env *env, const struct plan *plan, const struct flow_driver_options *options)
{
    const struct flow_query_options *query = &options->query;
    *env = (struct flow_env){.plan = plan,
                             .client = options->client,
                             .isolation = CLIENT_COMMITTED,
                             .rows_left = plan->limit,
                             .on_rows = query->on_rows,
                             .arg = query->arg,
                             .reset = FLOW_EARLIEST,
                             .on_log = options->on_log,
                             .log_arg = options->log_arg,
                             .fail_on_deserialization = query->fail_on_deserialization,
                             .fail_on_timestamp = query->fail_on_timestamp};
    env->id = str_dup(query->id, &env->arena);
    env->group = str_is_null(query->group) ? env->id : str_dup(query->group, &env->arena);
    env->func_settings =
        query->func_settings != NULL
            ? *query->func_settings
            : (struct func_settings){.collect_list_limit = INT32_MAX, .collect_set_limit = INT32_MAX};
}

static struct client_reader *reader_open(struct flow_driver *driver, struct str topic, int64_t offset,
                                         struct err *err)
{
    struct client_reader_options options = {.isolation = CLIENT_COMMITTED, .offset = offset};
    struct client_reader *reader = client_reader_new(driver->env.client, topic, 0, &options, err);
    if (reader != NULL) {
        vec_push(&driver->readers, reader);
        vec_push(&driver->reader_topics, str_dup(topic, &driver->env.arena));
    }
    return reader;
}

/* Notes the present ends of the topics that are not read from their start. */
static bool start_at_ends(struct flow_driver *driver, struct err *err)
{
    for (uint32_t i = 0; i < driver->task->input_count; i++) {
        struct flow_input *input = &driver->task->inputs[i];
        const struct step *step = input->source->step;
        if (step->kind == STEP_SOURCE && !step->source.from_earliest &&
            reader_open(driver, input->topic, CLIENT_LATEST, err) == NULL)
            return false;
    }
    return true;
}

struct flow_driver *flow_driver_new(const struct plan *plan, const struct flow_driver_options *options,
                                    struct err *err)
{
    struct flow_driver *driver = mem_new(struct flow_driver);
    env_init(&driver->env, plan, options);
    driver->on_end = options->query.on_end;
    const struct topology *topology =
        topology_new(plan, options->client, driver->env.group, true, &driver->env.arena, err);
    if (topology != NULL)
        driver->task = flow_task_new(&driver->env, topology, 0, 0, err);
    if (driver->task == NULL || (options->from_latest && !start_at_ends(driver, err))) {
        flow_driver_free(driver);
        return NULL;
    }
    return driver;
}

void flow_driver_free(struct flow_driver *driver)
{
    if (driver == NULL)
        return;
    for (size_t i = 0; i < driver->readers.len; i++)
        client_reader_free(driver->readers.at[i]);
    vec_fini(&driver->readers);
    vec_fini(&driver->reader_topics);
    flow_task_free(driver->task);
    arena_fini(&driver->env.arena);
    free(driver);
}

bool flow_driver_replace(struct flow_driver *driver, const struct plan *plan, struct err *err)
{
    struct flow_env *env = &driver->env;
    const struct plan *before = env->plan;
    struct flow_task *task = NULL;
    env->plan = plan;
    env->inherit = driver->task;
    const struct topology *topology = topology_new(plan, env->client, env->group, true, &env->arena, err);
    if (topology != NULL)
        task = flow_task_new(env, topology, 0, 0, err);
    env->inherit = NULL;
    if (task == NULL) {
        env->plan = before;
        return false;
    }
    flow_task_free(driver->task);
    driver->task = task;
    return true;
}

bool flow_driver_reads(const struct flow_driver *driver, struct str topic)
{
    for (uint32_t i = 0; i < driver->task->input_count; i++)
        if (str_eq(driver->task->inputs[i].topic, topic))
            return true;
    return false;
}

/* A copy of the bytes with slack behind them, in the driver's task arena of the step. */
static struct str padded(struct str s, struct arena *arena)
{
    if (str_is_null(s))
        return s;
    char *copy = arena_alloc_bytes(arena, s.len + CLIENT_SLACK);
    if (s.len != 0)
        memcpy(copy, s.ptr, s.len);
    memset(copy + s.len, 0, CLIENT_SLACK);
    return str_of(copy, s.len);
}

static bool write_out(struct flow_task *task, struct err *err)
{
    for (size_t i = 0; i < task->writers.len; i++)
        if (!client_writer_flush(task->writers.at[i], err))
            return false;
    return true;
}

static bool report(struct flow_driver *driver, struct err *err)
{
    if (err != NULL)
        *err = driver->task->failure;
    return false;
}

static void end_at_limit(struct flow_driver *driver)
{
    if (driver->env.rows_left != 0 || driver->ended)
        return;
    driver->ended = true;
    if (driver->on_end != NULL)
        driver->on_end(driver->env.arg, true, NULL);
}

static bool feed_input(struct flow_driver *driver, struct flow_input *input, const struct record *rec)
{
    struct flow_task *task = driver->task;
    task->current = input->source;
    bool ok = source_decode(input->source, input, rec, 1);
    task->current = NULL;
    while (ok && flow_task_step(task)) {
    }
    return ok && !task->failed;
}

bool flow_driver_feed(struct flow_driver *driver, struct str topic, const struct record *rec, struct err *err)
{
    struct flow_task *task = driver->task;
    struct arena arena = {0};
    struct record copy = *rec;
    bool ok = !task->failed;
    flow_task_set_now(task, clock_wall_ms());
    copy.key = padded(rec->key, &arena);
    copy.value = padded(rec->value, &arena);
    for (uint32_t i = 0; ok && i < task->input_count; i++)
        if (str_eq(task->inputs[i].topic, topic))
            ok = feed_input(driver, &task->inputs[i], &copy);
    arena_fini(&arena);
    if (!ok)
        return report(driver, err);
    end_at_limit(driver);
    return write_out(task, err);
}

static struct client_reader *reader_of(struct flow_driver *driver, struct str topic, struct err *err)
{
    for (size_t i = 0; i < driver->readers.len; i++)
        if (str_eq(driver->reader_topics.at[i], topic))
            return driver->readers.at[i];
    return reader_open(driver, topic, CLIENT_EARLIEST, err);
}

bool flow_driver_drain(struct flow_driver *driver, struct str topic, struct err *err)
{
    struct client_reader *reader = reader_of(driver, topic, err);
    struct record rec;
    if (reader == NULL)
        return false;
    for (;;) {
        if (!client_reader_poll(reader, err))
            return false;
        if (client_reader_take(reader, &rec, 1) == 0)
            return true;
        if (!flow_driver_feed(driver, topic, &rec, err))
            return false;
    }
}

bool flow_driver_pull(struct flow_driver *driver, const struct plan *plan,
                      bool (*on_rows)(void *arg, const struct flow_rows *rows), void *arg, struct err *err)
{
    struct pull *pull = pull_new(plan, driver->env.client, &driver->env.func_settings, on_rows, arg, err);
    if (pull == NULL)
        return false;
    bool ok = pull_read_task(pull, driver->task, err) && pull_end(pull, err);
    pull_free(pull);
    return ok;
}
