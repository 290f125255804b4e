/* connect_int.h - the private side of connect: configurations, converters, tasks, and their locks.
 *
 *   struct connect --map--> struct connector (one configuration of one name) --> struct connect_task (a thread each)
 *
 * Locks, taken in this order:
 *   connect.admin   one change of configuration or life cycle at a time; held while tasks are joined
 *   connect.lock    the map of connectors and the arrays of tasks; held for moments
 *   task.lock       state, trace, flags and counters of one task; its condition wakes the task's thread
 *
 * (I1) A connector's configuration never changes: a new one is a new struct connector in the place of the old.
 * (I2) Only the task's own thread touches the task's batch, readers, converters and plugin instance.
 */
#ifndef RIALTO_CONNECT_CONNECT_INT_H
#define RIALTO_CONNECT_CONNECT_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "connect/connect.h"
#include "loop/loop.h"

/* Life cycle (life.c) ------------------------------------------------------------------------------------ */

enum connect_state {
    STATE_UNASSIGNED,
    STATE_RUNNING,
    STATE_PAUSED,
    STATE_FAILED,
    STATE_RESTARTING,
    STATE_STOPPED,
    STATE_COUNT
};

enum connect_event { EVENT_START, EVENT_PAUSE, EVENT_FAIL, EVENT_RESTART, EVENT_STOP, EVENT_COUNT };

const char *connect_state_name(enum connect_state state); /* "RUNNING" */

/* The state after the event; the same one when the event means nothing there. */
enum connect_state connect_state_next(enum connect_state state, enum connect_event event);

/* Configurations (config.c, plugin.c) -------------------------------------------------------------------- */

/* The options that every sink connector has. */
struct sink_settings {
    struct str name, class_name;
    int64_t tasks_max;
    struct str key_converter, value_converter, header_converter;
    struct conf_list transforms, predicates;
    int64_t retry_timeout_ms, retry_delay_max_ms;
    int tolerance; /* 0 none, 1 all */
    bool log_enable, log_messages;
    struct conf_list topics;
    struct str topics_regex;
    struct str dlq_topic;
    int64_t dlq_replication;
    bool dlq_headers;
    int64_t poll_records;
    int config_reload;
};

extern const struct conf_table sink_table;

struct str pairs_get(const struct conf_pairs *pairs, struct str name, bool *is_set);

/* A JSON object to pairs in the arena; null values have a null text. ERR_BAD_REQUEST. */
bool pairs_of_json(const struct json_value *object, struct conf_pairs *out, struct arena *arena,
                   struct err *err);
void pairs_to_json(const struct conf_pairs *pairs, struct json_writer *out);

/* A configuration looked at: every option with its value and errors, and the filled settings. */
struct config_check {
    const struct connector_class *class;
    struct conf_check_result *common, *own;
    size_t error_count;
    struct sink_settings settings;
    void *class_settings; /* of class->options, in the arena */
};

void config_check(const struct connector_class *class, const struct conf_pairs *pairs,
                  struct config_check *out, struct arena *arena);

/* "Connector configuration is invalid and contains the following N error(s): ...". False when there are any. */
bool config_good(const struct config_check *check, struct err *err);

/* The validation answer of the REST API. */
void config_check_to_json(const struct config_check *check, struct json_writer *out);
void options_to_json(const struct conf_table *table, size_t *order, struct json_writer *out);

/* By full or short name, or alias; NULL. */
const struct connector_class *class_find(const struct connect *connect, struct str name);
bool class_is_named(const struct connector_class *class, struct str name);

/* The class that a config names; NULL with *err. */
const struct connector_class *class_of_config(const struct connect *connect, const struct conf_pairs *pairs,
                                              struct err *err);

/* Converters (convert.c, convert_json.c, convert_schema.c) ----------------------------------------------- */

struct converter;

/* `class_name` and the settings under `prefix` ("key.converter."). NULL with *err. */
struct converter *converter_new(struct str class_name, const struct conf_pairs *pairs, const char *prefix,
                                struct err *err);
void converter_free(struct converter *conv);

/* To be called before each batch: schemas handed out earlier may be forgotten. */
void converter_begin_batch(struct converter *conv);

/* Bytes to data; no bytes: out->schema NULL. ERR_SERIALIZATION with Connect's texts. */
bool converter_read(struct converter *conv, struct str bytes, struct connect_data *out, struct arena *arena,
                    struct err *err);
const char *converter_name(const struct converter *conv); /* Java's class name */
const char *converter_class_at(size_t i);                 /* names of the table; NULL ends */

/* JsonConverter without schemas: types are guessed, shapes are remembered in *shapes (arena: theirs). */
struct json_shapes {
    struct arena arena;
    vec(const struct connect_schema *) list;
};

bool convert_json_guess(struct str bytes, struct json_shapes *shapes, struct connect_data *out,
                        struct arena *arena, struct err *err);

/* JsonConverter with schemas: schema texts are remembered. */
struct json_schemas {
    struct arena arena;
    struct map by_text; /* schema text -> struct declared * */
};

bool convert_json_declared(struct str bytes, struct json_schemas *schemas, bool replace_null,
                           struct connect_data *out, struct arena *arena, struct err *err);

/* Tasks (task.c, input.c, dlq.c) ------------------------------------------------------------------------- */

/* A partition that a task reads. */
struct sink_input {
    struct str topic; /* heap */
    int32_t partition;
    struct client_reader *reader;
    int64_t position; /* after the last delivered batch */
    int64_t next;     /* after the present batch */
    int64_t committed;
};

struct task_counters {
    struct metric *read, *written, *failed, *skipped, *retries, *dlq;
    struct metric *put_time;
};

struct connect_task {
    struct connect *connect;
    struct connector *connector;
    int number;
    struct thread thread;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_bool stop;
    bool thread_started;
    bool paused;   /* wanted */
    bool notified; /* there may be more to read */
    enum connect_state state;
    char trace[ERR_TEXT_BYTES];
    int64_t lag;

    void *instance;
    struct converter *key_converter, *value_converter;
    vec(struct sink_input) inputs;
    bool opened;
    int64_t assign_due_ms, commit_due_ms;
    int64_t retries_max, backoff_max_ms;

    struct arena batch; /* of one batch */
    vec(struct record) raw;
    vec(uint32_t) raw_input; /* raw[i] is of inputs[raw_input[i]] */
    vec(struct sink_record) records;
    vec(uint32_t) record_raw; /* records[i] was raw[record_raw[i]] */
    vec(bool) reported;       /* raw[i] went to the dead letters */
    vec(struct sink_position) positions;

    struct client_writer *dlq;
    bool dlq_unsettled;
    struct task_counters counters;
};

struct connector {
    struct connect *connect;
    struct arena arena;
    struct str name;
    struct conf_pairs config;
    const struct connector_class *class; /* NULL: the config cannot be used, see trace */
    struct sink_settings settings;
    const void *class_settings;
    enum connect_target target;
    enum connect_state state;
    struct str trace;
    struct connect_task **tasks;
    size_t task_count;
};

struct connect {
    struct connect_options options;
    struct arena arena;
    pthread_mutex_t admin, lock;
    struct map connectors; /* name -> struct connector * */
    struct client_writer *store;
};

/* Starts a thread for the task; stops and joins it. The caller holds connect.admin. */
struct connect_task *task_new(struct connector *connector, int number);
void task_start(struct connect_task *task);
void task_stop(struct connect_task *task);        /* joins; may be started again */
void task_ask_to_stop(struct connect_task *task); /* does not wait */
void task_free(struct connect_task *task);        /* stopped */
void task_pause(struct connect_task *task, bool paused);
void task_set_state(struct connect_task *task, enum connect_event event, const char *trace);
enum connect_state task_state(struct connect_task *task);

/* Waits until woken or the time is over; false when the task shall stop. */
bool task_sleep(struct connect_task *task, int64_t wait_ms);

/* Partitions of this task: readers at the right places. Retriable errors come from the plugin's open. */
bool task_assign(struct connect_task *task, struct err *err);
void task_close_inputs(struct connect_task *task);

/* Takes what is there into the batch (raw, raw_input). */
bool task_collect(struct connect_task *task, struct err *err);
bool task_commit_offsets(struct connect_task *task, struct err *err);
bool topic_is_of(const struct sink_settings *settings, struct str topic);
struct str task_group(const struct connect_task *task, struct arena *arena);

enum error_stage { STAGE_KEY_CONVERTER, STAGE_VALUE_CONVERTER, STAGE_TASK_PUT };

/* The record raw[i] cannot go on. As connect_task_report. */
bool task_report_raw(struct connect_task *task, uint32_t i, enum error_stage stage, const struct err *cause,
                     struct err *err);
bool dlq_write(struct connect_task *task, const struct record *rec, struct str topic, int32_t partition,
               enum error_stage stage, const struct err *cause, struct err *err);

/* Stored configurations (store.c) ------------------------------------------------------------------------ */

typedef void configs_visit(void *arg, struct str key, struct str value);
bool configs_open(struct connect *connect, configs_visit *visit, void *arg, struct err *err);

/* Durable when it returns; a null value deletes. */
bool configs_put(struct connect *connect, const char *kind, struct str name, struct str value,
                 struct err *err);

/* Connectors (connector.c) ------------------------------------------------------------------------------- */

struct connector *connector_new(struct connect *connect, struct str name, const struct conf_pairs *config,
                                enum connect_target target);
void connector_free(struct connector *connector); /* stops its tasks */
void connector_apply_target(struct connector *connector, enum connect_target target);
void connector_ask_to_stop(struct connector *connector);

/* Answers (report.c); the caller holds connect.lock */
void connector_info_to_json(const struct connector *connector, struct json_writer *out);
void connector_status_to_json(const struct connector *connector, struct json_writer *out);
void task_status_to_json(struct connect_task *task, struct json_writer *out);
void task_config_to_json(const struct connector *connector, struct json_writer *out);

#endif
