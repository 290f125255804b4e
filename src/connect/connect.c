/* connect.c - the connectors of this process: opened from their topic, changed by administration.
 *
 *   change:  connect.admin -> check -> topic (store.c) -> map and tasks
 *   look:    connect.lock -> answer (report.c)
 *
 * A change is in the topic before it takes effect: a crash between the two is a change that was made.
 */
#include "connect/connect_int.h"

/* Locks and look-ups ------------------------------------------------------------------------------------- */

static struct connector *find(struct connect *connect, struct str name, struct err *err)
{
    struct connector *connector = map_get(&connect->connectors, name);
    if (connector == NULL)
        err_set(err, ERR_NOT_FOUND, "Connector %.*s not found", STR_ARG(name));
    return connector;
}

typedef bool (*look_fn)(struct connector *connector, int64_t task, struct json_writer *out, struct err *err);

static bool look(struct connect *connect, struct str name, int64_t task, look_fn fn, struct json_writer *out,
                 struct err *err)
{
    pthread_mutex_lock(&connect->lock);
    struct connector *connector = find(connect, name, err);
    bool done = connector != NULL && fn(connector, task, out, err);
    pthread_mutex_unlock(&connect->lock);
    return done;
}

static struct connector *replace(struct connect *connect, struct str name, struct connector *connector)
{
    pthread_mutex_lock(&connect->lock);
    struct connector *old = connector != NULL ? map_put(&connect->connectors, name, connector)
                                              : map_remove(&connect->connectors, name);
    pthread_mutex_unlock(&connect->lock);
    return old;
}

static struct connect_task *find_task(struct connector *connector, int64_t task, struct err *err)
{
    if (task >= 0 && (size_t)task < connector->task_count)
        return connector->tasks[task];
    err_set(err, ERR_NOT_FOUND, "Unknown task: %.*s-%" PRId64, STR_ARG(connector->name), task);
    return NULL;
}

/* Answers ------------------------------------------------------------------------------------------------ */

static bool look_info(struct connector *connector, int64_t task, struct json_writer *out, struct err *err)
{
    connector_info_to_json(connector, out);
    return true;
}

static bool look_config(struct connector *connector, int64_t task, struct json_writer *out, struct err *err)
{
    pairs_to_json(&connector->config, out);
    return true;
}

static bool look_status(struct connector *connector, int64_t task, struct json_writer *out, struct err *err)
{
    connector_status_to_json(connector, out);
    return true;
}

static bool look_tasks(struct connector *connector, int64_t task, struct json_writer *out, struct err *err)
{
    json_array_begin(out);
    for (size_t i = 0; i < connector->task_count; i++) {
        json_object_begin(out);
        json_key_begin(out, "id");
        json_object_begin(out);
        json_key_str(out, "connector", connector->name);
        json_key_i64(out, "task", (int64_t)i);
        json_object_end(out);
        json_key_begin(out, "config");
        task_config_to_json(connector, out);
        json_object_end(out);
    }
    json_array_end(out);
    return true;
}

static bool look_tasks_config(struct connector *connector, int64_t task, struct json_writer *out,
                              struct err *err)
{
    struct arena arena = {0};
    json_object_begin(out);
    for (size_t i = 0; i < connector->task_count; i++) {
        json_key(out, str_printf(&arena, "%.*s-%zu", STR_ARG(connector->name), i));
        task_config_to_json(connector, out);
    }
    json_object_end(out);
    arena_fini(&arena);
    return true;
}

static bool look_task_status(struct connector *connector, int64_t number, struct json_writer *out,
                             struct err *err)
{
    struct connect_task *task = find_task(connector, number, err);
    if (task != NULL)
        task_status_to_json(task, out);
    return task != NULL;
}

static struct client_topic *topics_of(struct connector *connector, size_t *count, struct arena *arena)
{
    size_t all, kept = 0;
    struct client_topic *topics = client_topic_list(connector->connect->options.client, &all, arena);
    for (size_t i = 0; i < all; i++)
        if (topic_is_of(&connector->settings, topics[i].name))
            topics[kept++] = topics[i];
    *count = kept;
    return topics;
}

static bool look_topics(struct connector *connector, int64_t task, struct json_writer *out, struct err *err)
{
    struct arena arena = {0};
    size_t count;
    struct client_topic *topics = topics_of(connector, &count, &arena);
    json_object_begin(out);
    json_key(out, connector->name);
    json_object_begin(out);
    json_key_begin(out, "topics");
    json_array_begin(out);
    for (size_t i = 0; i < count; i++)
        json_str(out, topics[i].name);
    json_array_end(out);
    json_object_end(out);
    json_object_end(out);
    arena_fini(&arena);
    return true;
}

static void offset_to_json(const struct client_group_offset *offset, struct json_writer *out)
{
    json_object_begin(out);
    json_key_begin(out, "partition");
    json_object_begin(out);
    json_key_str(out, "kafka_topic", offset->topic);
    json_key_i64(out, "kafka_partition", offset->partition);
    json_object_end(out);
    json_key_begin(out, "offset");
    json_object_begin(out);
    json_key_i64(out, "kafka_offset", offset->offset);
    json_object_end(out);
    json_object_end(out);
}

static bool look_offsets(struct connector *connector, int64_t task, struct json_writer *out, struct err *err)
{
    struct arena arena = {0};
    struct client *client = connector->connect->options.client;
    size_t count, entry_count = 0;
    struct client_topic *topics = topics_of(connector, &count, &arena);
    for (size_t i = 0; i < count; i++)
        entry_count += (size_t)topics[i].partition_count;
    struct client_group_offset *entries = arena_array(&arena, struct client_group_offset, entry_count);
    entry_count = 0;
    for (size_t i = 0; i < count; i++)
        for (int32_t p = 0; p < topics[i].partition_count; p++)
            entries[entry_count++] = (struct client_group_offset){topics[i].name, p, -1};
    struct str group = str_printf(&arena, "connect-%.*s", STR_ARG(connector->name));
    bool done = client_group_fetch(client, group, entries, entry_count, err);
    if (done) {
        json_object_begin(out);
        json_key_begin(out, "offsets");
        json_array_begin(out);
        for (size_t i = 0; i < entry_count; i++)
            if (entries[i].offset >= 0)
                offset_to_json(&entries[i], out);
        json_array_end(out);
        json_object_end(out);
    }
    arena_fini(&arena);
    return done;
}

bool connect_info(struct connect *connect, struct str name, struct json_writer *out, struct err *err)
{
    return look(connect, name, 0, look_info, out, err);
}

bool connect_config(struct connect *connect, struct str name, struct json_writer *out, struct err *err)
{
    return look(connect, name, 0, look_config, out, err);
}

bool connect_status(struct connect *connect, struct str name, struct json_writer *out, struct err *err)
{
    if (look(connect, name, 0, look_status, out, err))
        return true;
    return err_set(err, ERR_NOT_FOUND, "No status found for connector %.*s", STR_ARG(name));
}

bool connect_tasks(struct connect *connect, struct str name, struct json_writer *out, struct err *err)
{
    return look(connect, name, 0, look_tasks, out, err);
}

bool connect_tasks_config(struct connect *connect, struct str name, struct json_writer *out, struct err *err)
{
    return look(connect, name, 0, look_tasks_config, out, err);
}

bool connect_task_status(struct connect *connect, struct str name, int64_t task, struct json_writer *out,
                         struct err *err)
{
    return look(connect, name, task, look_task_status, out, err);
}

bool connect_topics(struct connect *connect, struct str name, struct json_writer *out, struct err *err)
{
    return look(connect, name, 0, look_topics, out, err);
}

bool connect_offsets(struct connect *connect, struct str name, struct json_writer *out, struct err *err)
{
    return look(connect, name, 0, look_offsets, out, err);
}

static void expanded_to_json(struct connector *connector, bool with_info, bool with_status,
                             struct json_writer *out)
{
    json_key(out, connector->name);
    json_object_begin(out);
    if (with_status) {
        json_key_begin(out, "status");
        connector_status_to_json(connector, out);
    }
    if (with_info) {
        json_key_begin(out, "info");
        connector_info_to_json(connector, out);
    }
    json_object_end(out);
}

bool connect_list(struct connect *connect, bool with_info, bool with_status, struct json_writer *out,
                  struct err *err)
{
    bool expanded = with_info || with_status;
    struct str name;
    void *connector;
    pthread_mutex_lock(&connect->lock);
    if (expanded)
        json_object_begin(out);
    else
        json_array_begin(out);
    for (size_t pos = 0; map_next(&connect->connectors, &pos, &name, &connector);) {
        if (expanded)
            expanded_to_json(connector, with_info, with_status, out);
        else
            json_str(out, name);
    }
    if (expanded)
        json_object_end(out);
    else
        json_array_end(out);
    pthread_mutex_unlock(&connect->lock);
    return true;
}

/* Changes ------------------------------------------------------------------------------------------------ */

bool connect_target_parse(struct str text, enum connect_target *out, struct err *err)
{
    if (str_is_null(text) || str_eq_nocase(text, STR("RUNNING")))
        *out = CONNECT_STARTED;
    else if (str_eq_nocase(text, STR("PAUSED")))
        *out = CONNECT_PAUSED;
    else if (str_eq_nocase(text, STR("STOPPED")))
        *out = CONNECT_STOPPED;
    else
        return err_set(err, ERR_BAD_REQUEST, "initial_state is '%.*s'; it can be RUNNING, PAUSED or STOPPED",
                       STR_ARG(text));
    return true;
}

static bool configs_target(struct connect *connect, struct str name, enum connect_target target,
                           struct err *err)
{
    static const char *const words[] = {"STARTED", "PAUSED", "STOPPED"};
    struct buf text = {0};
    buf_printf(&text, "{\"state\":\"%s\",\"state.v2\":\"%s\"}",
               target == CONNECT_STARTED ? "STARTED" : "PAUSED", words[target]);
    bool done = configs_put(connect, "target-state", name, buf_str(&text), err);
    buf_fini(&text);
    return done;
}

static bool configs_config(struct connect *connect, struct str name, const struct conf_pairs *config,
                           struct err *err)
{
    struct buf text = {0};
    struct json_writer out = {.out = &text};
    json_object_begin(&out);
    json_key_begin(&out, "properties");
    pairs_to_json(config, &out);
    json_object_end(&out);
    bool done = configs_put(connect, "connector", name, buf_str(&text), err);
    buf_fini(&text);
    return done;
}

/* The config's name must be the connector's; adds it when it is missing. */
static bool name_config(struct str name, struct conf_pairs *config, struct arena *arena, struct err *err)
{
    bool is_set;
    struct str given = pairs_get(config, STR("name"), &is_set);
    if (!is_set)
        config->at[config->len++] = (struct conf_pair){STR("name"), str_dup(name, arena)};
    else if (!str_eq(str_trim(given), name))
        return err_set(err, ERR_BAD_REQUEST,
                       "Connector name configuration (%.*s) doesn't match connector name in the URL (%.*s)",
                       STR_ARG(given), STR_ARG(name));
    return true;
}

static bool check_config(struct connect *connect, const struct conf_pairs *config, struct arena *arena,
                         struct err *err)
{
    struct config_check check;
    const struct connector_class *class = class_of_config(connect, config, err);
    if (class == NULL)
        return false;
    config_check(class, config, &check, arena);
    return config_good(&check, err);
}

/* Puts a checked configuration in the place of the old one. connect.admin is held. */
static bool install(struct connect *connect, struct str name, const struct conf_pairs *config,
                    enum connect_target target, struct json_writer *out, struct err *err)
{
    struct connector *old = map_get(&connect->connectors, name);
    if ((old == NULL && !configs_target(connect, name, target, err)) ||
        !configs_config(connect, name, config, err))
        return false;
    /* The old tasks end before the new ones start: one writer for each partition. */
    if (old != NULL)
        connector_apply_target(old, CONNECT_STOPPED);
    struct connector *connector = connector_new(connect, name, config, target);
    old = replace(connect, name, connector);
    connector_free(old);
    connector_apply_target(connector, target);
    pthread_mutex_lock(&connect->lock);
    connector_info_to_json(connector, out);
    pthread_mutex_unlock(&connect->lock);
    return true;
}

bool connect_create(struct connect *connect, struct str name, const struct json_value *config,
                    enum connect_target target, struct json_writer *out, struct err *err)
{
    struct arena arena = {0};
    struct conf_pairs pairs;
    name = str_trim(name);
    pthread_mutex_lock(&connect->admin);
    bool done = pairs_of_json(config, &pairs, &arena, err) && name_config(name, &pairs, &arena, err);
    if (done && map_has(&connect->connectors, name))
        done = err_set(err, ERR_CONFLICT, "Connector %.*s already exists", STR_ARG(name));
    done = done && check_config(connect, &pairs, &arena, err) &&
           install(connect, name, &pairs, target, out, err);
    pthread_mutex_unlock(&connect->admin);
    arena_fini(&arena);
    return done;
}

bool connect_put_config(struct connect *connect, struct str name, const struct json_value *config,
                        bool *created, struct json_writer *out, struct err *err)
{
    struct arena arena = {0};
    struct conf_pairs pairs;
    pthread_mutex_lock(&connect->admin);
    const struct connector *old = map_get(&connect->connectors, name);
    *created = old == NULL;
    bool done = pairs_of_json(config, &pairs, &arena, err) && name_config(name, &pairs, &arena, err) &&
                check_config(connect, &pairs, &arena, err) &&
                install(connect, name, &pairs, old != NULL ? old->target : CONNECT_STARTED, out, err);
    pthread_mutex_unlock(&connect->admin);
    arena_fini(&arena);
    return done;
}

/* old with the changes of patch. */
static void merge(const struct conf_pairs *old, const struct conf_pairs *patch, struct conf_pairs *out,
                  struct arena *arena)
{
    bool is_set;
    *out = (struct conf_pairs){.at = arena_array(arena, struct conf_pair, old->len + patch->len + 1)};
    for (size_t i = 0; i < old->len; i++) {
        struct str text = pairs_get(patch, old->at[i].name, &is_set);
        if (!is_set || !str_is_null(text))
            out->at[out->len++] = (struct conf_pair){old->at[i].name, is_set ? text : old->at[i].value};
    }
    for (size_t i = 0; i < patch->len; i++) {
        pairs_get(old, patch->at[i].name, &is_set);
        if (!is_set && !str_is_null(patch->at[i].value))
            out->at[out->len++] = patch->at[i];
    }
}

bool connect_patch_config(struct connect *connect, struct str name, const struct json_value *patch,
                          struct json_writer *out, struct err *err)
{
    struct arena arena = {0};
    struct conf_pairs changes, pairs;
    pthread_mutex_lock(&connect->admin);
    const struct connector *old = find(connect, name, err);
    bool done = old != NULL && pairs_of_json(patch, &changes, &arena, err);
    if (done) {
        merge(&old->config, &changes, &pairs, &arena);
        done = name_config(name, &pairs, &arena, err) && check_config(connect, &pairs, &arena, err) &&
               install(connect, name, &pairs, old->target, out, err);
    }
    pthread_mutex_unlock(&connect->admin);
    arena_fini(&arena);
    return done;
}

bool connect_delete(struct connect *connect, struct str name, struct err *err)
{
    pthread_mutex_lock(&connect->admin);
    bool done = find(connect, name, err) != NULL && configs_put(connect, "connector", name, STR_NULL, err) &&
                configs_put(connect, "target-state", name, STR_NULL, err);
    if (done)
        connector_free(replace(connect, name, NULL));
    pthread_mutex_unlock(&connect->admin);
    return done;
}

bool connect_set_target(struct connect *connect, struct str name, enum connect_target target, struct err *err)
{
    pthread_mutex_lock(&connect->admin);
    struct connector *connector = find(connect, name, err);
    bool done =
        connector != NULL && (connector->target == target || configs_target(connect, name, target, err));
    if (done)
        connector_apply_target(connector, target);
    pthread_mutex_unlock(&connect->admin);
    return done;
}

static void restart_task(struct connect_task *task)
{
    task_stop(task);
    task_set_state(task, EVENT_RESTART, NULL);
    task_start(task);
}

bool connect_restart(struct connect *connect, struct str name, bool include_tasks, bool only_failed,
                     struct err *err)
{
    pthread_mutex_lock(&connect->admin);
    struct connector *connector = find(connect, name, err);
    bool done = connector != NULL;
    if (done && connector->state == STATE_FAILED) {
        /* Its configuration could not be used: try once more. */
        struct connector *again = connector_new(connect, name, &connector->config, connector->target);
        connector_free(replace(connect, name, again));
        connector_apply_target(again, again->target);
    } else if (done && include_tasks) {
        for (size_t i = 0; i < connector->task_count; i++)
            if (!only_failed || task_state(connector->tasks[i]) == STATE_FAILED)
                restart_task(connector->tasks[i]);
    }
    pthread_mutex_unlock(&connect->admin);
    return done;
}

bool connect_restart_task(struct connect *connect, struct str name, int64_t number, struct err *err)
{
    pthread_mutex_lock(&connect->admin);
    struct connector *connector = find(connect, name, err);
    struct connect_task *task = connector != NULL ? find_task(connector, number, err) : NULL;
    if (task != NULL)
        restart_task(task);
    pthread_mutex_unlock(&connect->admin);
    return task != NULL;
}

/* SQL ---------------------------------------------------------------------------------------------------- */

static void sql_state(struct connector *connector, struct buf *out)
{
    size_t running = 0;
    for (size_t i = 0; i < connector->task_count; i++)
        running += task_state(connector->tasks[i]) == STATE_RUNNING;
    if (connector->state == STATE_RUNNING && running < connector->task_count)
        buf_printf(out, "%s (%zu/%zu tasks RUNNING)", running == 0 ? "FAILED" : "WARNING", running,
                   connector->task_count);
    else
        buf_printf(out, "%s (%zu/%zu tasks RUNNING)", connect_state_name(connector->state), running,
                   connector->task_count);
}

bool connect_sql_list(void *state, struct json_writer *out, struct err *err)
{
    struct connect *connect = state;
    struct str name;
    void *value;
    struct buf text = {0};
    pthread_mutex_lock(&connect->lock);
    json_array_begin(out);
    for (size_t pos = 0; map_next(&connect->connectors, &pos, &name, &value);) {
        struct connector *connector = value;
        bool is_set;
        buf_clear(&text);
        sql_state(connector, &text);
        json_object_begin(out);
        json_key_str(out, "name", name);
        json_key_cstr(out, "type",
                      connector->class != NULL && connector->class->kind == CONNECTOR_SOURCE ? "source"
                                                                                             : "sink");
        json_key_str(out, "className", pairs_get(&connector->config, STR("connector.class"), &is_set));
        json_key_str(out, "state", buf_str(&text));
        json_object_end(out);
    }
    json_array_end(out);
    pthread_mutex_unlock(&connect->lock);
    buf_fini(&text);
    return true;
}

bool connect_sql_describe(void *state, struct str name, struct json_writer *out, struct err *err)
{
    return look(state, name, 0, look_status, out, err);
}

bool connect_sql_create(void *state, struct str name, struct str config_json, struct json_writer *out,
                        struct err *err)
{
    struct arena arena = {0};
    const struct json_value *config = json_parse(config_json, &arena, err);
    bool done = config != NULL && connect_create(state, name, config, CONNECT_STARTED, out, err);
    arena_fini(&arena);
    return done;
}

bool connect_sql_drop(void *state, struct str name, struct err *err)
{
    return connect_delete(state, name, err);
}

/* For the page ------------------------------------------------------------------------------------------- */

static void fill_task(struct connect_task *task, struct connect_task_info *out, struct arena *arena)
{
    pthread_mutex_lock(&task->lock);
    *out = (struct connect_task_info){
        .state = str_from(connect_state_name(task->state)),
        .trace = str_dup(str_from(task->trace), arena),
        .records_in = (uint64_t)metric_value(task->counters.read),
        .records_written = (uint64_t)metric_value(task->counters.written),
        .records_failed = (uint64_t)metric_value(task->counters.failed),
        .retries = (uint64_t)metric_value(task->counters.retries),
        .lag = task->lag,
    };
    pthread_mutex_unlock(&task->lock);
}

static void fill_connector(struct connector *connector, struct connect_connector_info *out,
                           struct arena *arena)
{
    size_t topic_count;
    struct client_topic *topics = topics_of(connector, &topic_count, arena);
    struct str *names = arena_array(arena, struct str, topic_count);
    for (size_t i = 0; i < topic_count; i++)
        names[i] = topics[i].name;
    struct connect_task_info *tasks = arena_array(arena, struct connect_task_info, connector->task_count);
    for (size_t i = 0; i < connector->task_count; i++)
        fill_task(connector->tasks[i], &tasks[i], arena);
    *out = (struct connect_connector_info){
        .name = str_dup(connector->name, arena),
        .class_name = connector->class != NULL ? str_from(connector->class->name) : STR("unknown"),
        .type = connector->class != NULL && connector->class->kind == CONNECTOR_SOURCE ? STR("source")
                                                                                       : STR("sink"),
        .state = str_from(connect_state_name(connector->state)),
        .topics = names,
        .topic_count = (uint32_t)topic_count,
        .tasks = tasks,
        .task_count = (uint32_t)connector->task_count,
    };
}

struct connect_connector_info *connect_info_list(struct connect *connect, uint32_t *count,
                                                 struct arena *arena)
{
    struct str name;
    void *connector;
    pthread_mutex_lock(&connect->lock);
    struct connect_connector_info *list =
        arena_array(arena, struct connect_connector_info, connect->connectors.len);
    *count = 0;
    for (size_t pos = 0; map_next(&connect->connectors, &pos, &name, &connector);)
        fill_connector(connector, &list[(*count)++], arena);
    pthread_mutex_unlock(&connect->lock);
    return list;
}

/* Life --------------------------------------------------------------------------------------------------- */

struct stored {
    struct map configs, targets; /* name -> struct str * in the arena */
    struct arena arena;
};

static void on_stored(void *arg, struct str key, struct str value)
{
    static const struct {
        struct str prefix;
        size_t map;
    } kinds[] = {{STR_INIT("connector-"), offsetof(struct stored, configs)},
                 {STR_INIT("target-state-"), offsetof(struct stored, targets)}};
    struct stored *stored = arg;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (!str_starts_with(key, kinds[i].prefix))
            continue;
        struct map *map = (struct map *)((char *)stored + kinds[i].map);
        struct str name = str_sub(key, kinds[i].prefix.len, SIZE_MAX);
        struct str *text = arena_new(&stored->arena, struct str);
        *text = str_dup(value, &stored->arena);
        if (str_is_null(value))
            map_remove(map, name);
        else
            map_put(map, name, text);
    }
}

static enum connect_target stored_target(struct stored *stored, struct str name)
{
    static const char *const words[] = {"STARTED", "PAUSED", "STOPPED"};
    struct err err;
    const struct str *text = map_get(&stored->targets, name);
    const struct json_value *json = text != NULL ? json_parse(*text, &stored->arena, &err) : NULL;
    struct str word = STR_NULL;
    if (json == NULL || !json_get_str(json, "state.v2", &word, &err) ||
        (str_is_null(word) && !json_get_str(json, "state", &word, &err)))
        return CONNECT_STARTED;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_eq_cstr(word, words[i]))
            return (enum connect_target)i;
    return CONNECT_STARTED;
}

/* A stored configuration that cannot be read is reported and left out; the others run. */
static void start_stored(struct connect *connect, struct stored *stored)
{
    struct str name;
    void *text;
    for (size_t pos = 0; map_next(&stored->configs, &pos, &name, &text);) {
        struct err err;
        struct conf_pairs pairs;
        const struct json_value *json = json_parse(*(struct str *)text, &stored->arena, &err);
        if (json == NULL || !pairs_of_json(json_get(json, STR("properties")), &pairs, &stored->arena, &err)) {
            log_error("connect", "config_unreadable", "connector=%.*s error=%s", STR_ARG(name), err.text);
            continue;
        }
        enum connect_target target = stored_target(stored, name);
        struct connector *connector = connector_new(connect, name, &pairs, target);
        replace(connect, name, connector);
        connector_apply_target(connector, target);
    }
}

bool connect_open(struct connect **out, const struct connect_options *options, struct err *err)
{
    struct connect *connect = mem_new(struct connect);
    struct stored stored = {0};
    connect->options = *options;
    connect->options.worker_id =
        options->worker_id.len != 0 ? str_dup(options->worker_id, &connect->arena) : STR("127.0.0.1:8083");
    pthread_mutex_init(&connect->admin, NULL);
    pthread_mutex_init(&connect->lock, NULL);
    bool done = configs_open(connect, on_stored, &stored, err);
    if (done)
        start_stored(connect, &stored);
    else
        connect_close(connect);
    *out = done ? connect : NULL;
    map_fini(&stored.configs);
    map_fini(&stored.targets);
    arena_fini(&stored.arena);
    return done;
}

void connect_close(struct connect *connect)
{
    if (connect == NULL)
        return;
    struct str name;
    void *connector;
    for (size_t pos = 0; map_next(&connect->connectors, &pos, &name, &connector);)
        connector_ask_to_stop(connector);
    for (size_t pos = 0; map_next(&connect->connectors, &pos, &name, &connector);)
        connector_free(connector);
    map_fini(&connect->connectors);
    client_writer_free(connect->store);
    pthread_mutex_destroy(&connect->admin);
    pthread_mutex_destroy(&connect->lock);
    arena_fini(&connect->arena);
    free(connect);
}
