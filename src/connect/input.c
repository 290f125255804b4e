/* input.c - what a task reads: its share of the topics' partitions, and where in them it is.
 *
 *   topics (or regex) -> partitions; partition p of the topic belongs to task (hash(topic) + p) mod tasks
 *   start: the outside's own position, else the group's committed offset, else the earliest record
 *
 * Topics and partitions that appear later are seen within ASSIGN_INTERVAL_MS. A topic that goes away is left.
 */
#include <regex.h>

#include "connect/connect_int.h"

enum { ASSIGN_INTERVAL_MS = 2000, ASSIGN_SOON_MS = 200 };

bool topic_is_of(const struct sink_settings *settings, struct str topic)
{
    for (size_t i = 0; i < settings->topics.len; i++)
        if (str_eq(settings->topics.at[i], topic))
            return true;
    if (settings->topics_regex.len == 0)
        return false;
    struct arena arena = {0};
    regex_t regex;
    bool match = false;
    const char *whole = str_printf(&arena, "^(%.*s)$", STR_ARG(settings->topics_regex)).ptr;
    if (regcomp(&regex, whole, REG_EXTENDED | REG_NOSUB) == 0) {
        match = regexec(&regex, str_cstr(topic, &arena), 0, NULL, 0) == 0;
        regfree(&regex);
    }
    arena_fini(&arena);
    return match;
}

struct str task_group(const struct connect_task *task, struct arena *arena)
{
    return str_printf(arena, "connect-%.*s", STR_ARG(task->connector->name));
}

static void on_notify(void *arg)
{
    struct connect_task *task = arg;
    pthread_mutex_lock(&task->lock);
    task->notified = true;
    pthread_cond_signal(&task->wake);
    pthread_mutex_unlock(&task->lock);
}

/* Shares ------------------------------------------------------------------------------------------------- */

typedef vec(struct sink_position) shares;

static void add_shares(struct connect_task *task, struct str topic, shares *out)
{
    int32_t count = client_partition_count(task->connect->options.client, topic);
    uint64_t first = hash_bytes(topic.ptr, topic.len);
    for (int32_t p = 0; p < count; p++)
        if ((first + (uint64_t)p) % task->connector->task_count == (uint64_t)task->number)
            vec_push(out, (struct sink_position){topic, p, -1});
}

static void find_shares(struct connect_task *task, shares *out, struct arena *arena)
{
    const struct sink_settings *settings = &task->connector->settings;
    for (size_t i = 0; i < settings->topics.len; i++)
        add_shares(task, settings->topics.at[i], out);
    if (settings->topics_regex.len == 0)
        return;
    size_t count;
    struct client_topic *topics = client_topic_list(task->connect->options.client, &count, arena);
    for (size_t i = 0; i < count; i++)
        if (!topics[i].internal && topic_is_of(settings, topics[i].name))
            add_shares(task, topics[i].name, out);
}

static bool is_same(struct connect_task *task, const shares *found)
{
    if (task->inputs.len != found->len)
        return false;
    for (size_t i = 0; i < found->len; i++)
        if (task->inputs.at[i].partition != found->at[i].partition ||
            !str_eq(task->inputs.at[i].topic, found->at[i].topic))
            return false;
    return true;
}

/* Places ------------------------------------------------------------------------------------------------- */

static bool fetch_committed(struct connect_task *task, const shares *found, int64_t *offsets,
                            struct arena *arena, struct err *err)
{
    struct client_group_offset *entries = arena_array(arena, struct client_group_offset, found->len);
    for (size_t i = 0; i < found->len; i++)
        entries[i] = (struct client_group_offset){found->at[i].topic, found->at[i].partition, -1};
    if (!client_group_fetch(task->connect->options.client, task_group(task, arena), entries, found->len, err))
        return false;
    for (size_t i = 0; i < found->len; i++)
        offsets[i] = entries[i].offset;
    return true;
}

static bool add_input(struct connect_task *task, const struct sink_position *share, int64_t committed,
                      struct err *err)
{
    int64_t from = share->offset >= 0 ? share->offset : committed >= 0 ? committed : CLIENT_EARLIEST;
    struct client_reader_options options = {.isolation = CLIENT_COMMITTED,
                                            .offset = from,
                                            .read_bytes = 1 << 20,
                                            .notify = on_notify,
                                            .arg = task};
    struct sink_input input = {.partition = share->partition, .committed = committed};
    input.reader =
        client_reader_new(task->connect->options.client, share->topic, share->partition, &options, err);
    if (input.reader == NULL)
        return false;
    input.topic = str_of(mem_dup(share->topic.ptr, share->topic.len), share->topic.len);
    input.position = input.next = client_reader_position(input.reader);
    vec_push(&task->inputs, input);
    return true;
}

void task_close_inputs(struct connect_task *task)
{
    for (size_t i = 0; i < task->inputs.len; i++) {
        client_reader_free(task->inputs.at[i].reader);
        free((char *)task->inputs.at[i].topic.ptr);
    }
    vec_clear(&task->inputs);
    task->opened = false;
}

static bool take_over(struct connect_task *task, shares *found, struct arena *arena, struct err *err)
{
    int64_t *committed = arena_array(arena, int64_t, found->len);
    if (task->opened && !task_commit_offsets(task, err))
        return false;
    task_close_inputs(task);
    if (found->len == 0)
        return true;
    if (!task->connector->class->open(task->instance, found->at, found->len, err) ||
        !fetch_committed(task, found, committed, arena, err))
        return false;
    bool done = true;
    for (size_t i = 0; i < found->len && done; i++)
        done = add_input(task, &found->at[i], committed[i], err);
    if (!done)
        task_close_inputs(task);
    task->opened = done;
    return done;
}

bool task_assign(struct connect_task *task, struct err *err)
{
    if (clock_mono_ms() < task->assign_due_ms)
        return true;
    struct arena arena = {0};
    shares found = {0};
    find_shares(task, &found, &arena);
    bool done = is_same(task, &found) || take_over(task, &found, &arena, err);
    task->assign_due_ms = clock_mono_ms() + (found.len != 0 ? ASSIGN_INTERVAL_MS : ASSIGN_SOON_MS);
    if (!done)
        task->assign_due_ms = 0;
    vec_fini(&found);
    arena_fini(&arena);
    return done;
}

/* Reading ------------------------------------------------------------------------------------------------ */

/* What to do when a partition cannot be read on. True: go on with the others. */
static bool poll_failed(struct connect_task *task, struct sink_input *input, struct err *err)
{
    log_warn("connect", "cannot_read", "connector=%.*s topic=%.*s partition=%d position=%" PRId64 " error=%s",
             STR_ARG(task->connector->name), STR_ARG(input->topic), input->partition, input->position,
             err->text);
    if (err->code == ERR_UNKNOWN_TOPIC) {
        task->assign_due_ms = 0;
        return true;
    }
    if (err->code != ERR_OFFSET_OUT_OF_RANGE || !client_reader_seek(input->reader, CLIENT_EARLIEST, err)) {
        err_context(err, "topic %.*s, partition %d", STR_ARG(input->topic), input->partition);
        return false;
    }
    return true;
}

bool task_collect(struct connect_task *task, struct err *err)
{
    size_t max = (size_t)task->connector->settings.poll_records;
    vec_clear(&task->raw);
    vec_clear(&task->raw_input);
    arena_reset(&task->batch);
    vec_reserve(&task->raw, max);
    int64_t lag = 0;
    for (uint32_t i = 0; i < task->inputs.len; i++) {
        struct sink_input *input = &task->inputs.at[i];
        size_t share = MAX(1, (max - task->raw.len) / (task->inputs.len - i));
        if (!client_reader_poll(input->reader, err) && !poll_failed(task, input, err))
            return false;
        size_t got =
            client_reader_take(input->reader, task->raw.at + task->raw.len, MIN(share, max - task->raw.len));
        for (size_t k = 0; k < got; k++)
            vec_push(&task->raw_input, i);
        task->raw.len += got;
        input->next = client_reader_position(input->reader);
        lag += client_reader_lag(input->reader);
    }
    vec_reserve(&task->reported, task->raw.len + 1);
    task->reported.len = task->raw.len;
    memset(task->reported.at, 0, task->raw.len * sizeof *task->reported.at);
    pthread_mutex_lock(&task->lock);
    task->lag = lag;
    pthread_mutex_unlock(&task->lock);
    return true;
}

bool task_commit_offsets(struct connect_task *task, struct err *err)
{
    struct arena arena = {0};
    struct client_group_offset *offsets = arena_array(&arena, struct client_group_offset, task->inputs.len);
    size_t count = 0;
    for (size_t i = 0; i < task->inputs.len; i++) {
        struct sink_input *input = &task->inputs.at[i];
        if (input->position != input->committed)
            offsets[count++] = (struct client_group_offset){input->topic, input->partition, input->position};
    }
    bool done = count == 0 || client_group_commit(task->connect->options.client, task_group(task, &arena),
                                                  offsets, count, err);
    for (size_t i = 0; i < task->inputs.len && done; i++)
        task->inputs.at[i].committed = task->inputs.at[i].position;
    arena_fini(&arena);
    return done;
}
