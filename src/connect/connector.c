/* connector.c - one configuration of one name, and its tasks. */
#include "connect/connect_int.h"

static void copy_pairs(const struct conf_pairs *from, struct conf_pairs *to, struct arena *arena)
{
    to->at = arena_array(arena, struct conf_pair, from->len);
    to->len = from->len;
    for (size_t i = 0; i < from->len; i++)
        to->at[i] = (struct conf_pair){str_dup(from->at[i].name, arena), str_dup(from->at[i].value, arena)};
}

static bool use_config(struct connector *connector, struct err *err)
{
    const struct connector_class *class = class_of_config(connector->connect, &connector->config, err);
    if (class == NULL)
        return false;
    struct config_check check;
    config_check(class, &connector->config, &check, &connector->arena);
    if (!config_good(&check, err))
        return false;
    connector->class = class;
    connector->settings = check.settings;
    connector->class_settings = check.class_settings;
    return true;
}

struct connector *connector_new(struct connect *connect, struct str name, const struct conf_pairs *config,
                                enum connect_target target)
{
    struct connector *connector = mem_new(struct connector);
    struct err err;
    connector->connect = connect;
    connector->name = str_dup(name, &connector->arena);
    copy_pairs(config, &connector->config, &connector->arena);
    connector->target = target;
    if (!use_config(connector, &err)) {
        connector->state = STATE_FAILED;
        connector->trace = str_dup(str_from(err.text), &connector->arena);
        log_error("connect", "connector_failed", "connector=%.*s error=%s", STR_ARG(name), err.text);
    }
    return connector;
}

/* Makes the tasks; the arrays change under connect.lock, which readers of states hold. */
static void make_tasks(struct connector *connector)
{
    size_t count = (size_t)connector->settings.tasks_max;
    struct connect_task **tasks = mem_zalloc(count, sizeof *tasks);
    for (size_t i = 0; i < count; i++)
        tasks[i] = task_new(connector, (int)i);
    pthread_mutex_lock(&connector->connect->lock);
    connector->tasks = tasks;
    connector->task_count = count;
    pthread_mutex_unlock(&connector->connect->lock);
}

static void drop_tasks(struct connector *connector)
{
    struct connect_task **tasks = connector->tasks;
    size_t count = connector->task_count;
    for (size_t i = 0; i < count; i++)
        task_ask_to_stop(tasks[i]);
    for (size_t i = 0; i < count; i++)
        task_stop(tasks[i]);
    pthread_mutex_lock(&connector->connect->lock);
    connector->tasks = NULL;
    connector->task_count = 0;
    pthread_mutex_unlock(&connector->connect->lock);
    for (size_t i = 0; i < count; i++)
        task_free(tasks[i]);
    free(tasks);
}

static void set_state(struct connector *connector, enum connect_event event)
{
    pthread_mutex_lock(&connector->connect->lock);
    connector->state = connect_state_next(connector->state, event);
    pthread_mutex_unlock(&connector->connect->lock);
}

void connector_apply_target(struct connector *connector, enum connect_target target)
{
    static const enum connect_event events[] = {
        [CONNECT_STARTED] = EVENT_START, [CONNECT_PAUSED] = EVENT_PAUSE, [CONNECT_STOPPED] = EVENT_STOP};
    connector->target = target;
    if (target == CONNECT_STOPPED) {
        drop_tasks(connector);
        set_state(connector, EVENT_STOP);
        return;
    }
    if (connector->class == NULL)
        return;
    bool fresh = connector->tasks == NULL;
    if (fresh)
        make_tasks(connector);
    for (size_t i = 0; i < connector->task_count; i++) {
        task_pause(connector->tasks[i], target == CONNECT_PAUSED);
        if (fresh)
            task_start(connector->tasks[i]);
    }
    set_state(connector, events[target]);
}

void connector_ask_to_stop(struct connector *connector)
{
    for (size_t i = 0; i < connector->task_count; i++)
        task_ask_to_stop(connector->tasks[i]);
}

void connector_free(struct connector *connector)
{
    if (connector == NULL)
        return;
    drop_tasks(connector);
    arena_fini(&connector->arena);
    free(connector);
}
