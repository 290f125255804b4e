/* connect.h - connectors: configured links to the outside, their tasks, and what a plugin is.
 *
 *   api, engine --connect_create, ...--> struct connect ----> topic connect-configs (what shall run)
 *                                            | one thread per task
 *        client (topics) --bytes--> converters --struct sink_record--> plugin (struct connector_class) --> outside
 *                                       |                                |
 *                                       +------- bad records ------------+----> dead letter queue
 *
 * (X1) The core does the hard part once: reading, converting, retries with back-off, dead letters, offsets, counters,
 *      life cycle. A plugin writes records and says what went wrong.
 * (X2) What shall run (configs, target states) is in the topic before it takes effect; what runs (states of tasks) is
 *      in memory only and starts anew with the process.
 * (X3) A plugin's instance is used by one thread at a time, its task's.
 * (X4) A batch is delivered whole, or again, or the task fails; positions move only with delivered batches.
 */
#ifndef RIALTO_CONNECT_CONNECT_H
#define RIALTO_CONNECT_CONNECT_H

#include "client/client.h"
#include "conf/conf.h"
#include "json/json.h"
#include "metric/metric.h"
#include "type/type.h"

struct connect;
struct connector_class;

struct connect_options {
    struct client *client;                        /* borrowed; outlives connect */
    struct metric_registry *metrics;              /* borrowed; may be NULL */
    const struct connector_class *const *classes; /* plugins, NULL-terminated; borrowed */
    struct str worker_id;                         /* "127.0.0.1:8083": shown in states */
};

/* Reads the topic of configurations (made when missing) and starts what shall run. Does not wait for the outside.
 * Blocking; any thread. */
bool connect_open(struct connect **out, const struct connect_options *options, struct err *err);

/* Stops all tasks (they resume at the next start), waits for them, frees. NULL is allowed. */
void connect_close(struct connect *connect);

/* Administration: Connect's REST API in functions -----------------------------------------------------------
 *
 * All of them: any thread, blocking for a moment (a change is durable when it returns). `out` gets one JSON value,
 * nothing on failure. ERR_NOT_FOUND, ERR_CONFLICT, ERR_BAD_REQUEST with Connect's texts. A config is a JSON object
 * whose values are texts, numbers, booleans or null. */

enum connect_target { CONNECT_STARTED, CONNECT_PAUSED, CONNECT_STOPPED };

/* "RUNNING" (or null), "PAUSED", "STOPPED" of a creation request. */
bool connect_target_parse(struct str text, enum connect_target *out, struct err *err);

/* ["a","b"]; or, expanded, {"a":{"info":{},"status":{}}}. */
bool connect_list(struct connect *connect, bool with_info, bool with_status, struct json_writer *out,
                  struct err *err);

/* A new connector; out gets its info. */
bool connect_create(struct connect *connect, struct str name, const struct json_value *config,
                    enum connect_target target, struct json_writer *out, struct err *err);

/* Sets the whole config of a connector, new or not. */
bool connect_put_config(struct connect *connect, struct str name, const struct json_value *config,
                        bool *created, struct json_writer *out, struct err *err);

/* Changes some of it; null removes a key. */
bool connect_patch_config(struct connect *connect, struct str name, const struct json_value *patch,
                          struct json_writer *out, struct err *err);

/* Stops and forgets it; committed offsets stay. */
bool connect_delete(struct connect *connect, struct str name, struct err *err);

bool connect_info(struct connect *connect, struct str name, struct json_writer *out, struct err *err);
bool connect_config(struct connect *connect, struct str name, struct json_writer *out, struct err *err);
bool connect_status(struct connect *connect, struct str name, struct json_writer *out, struct err *err);
bool connect_tasks(struct connect *connect, struct str name, struct json_writer *out, struct err *err);
bool connect_tasks_config(struct connect *connect, struct str name, struct json_writer *out, struct err *err);
bool connect_task_status(struct connect *connect, struct str name, int64_t task, struct json_writer *out,
                         struct err *err);
bool connect_topics(struct connect *connect, struct str name, struct json_writer *out, struct err *err);

/* {"offsets":[{"partition":{"kafka_topic","kafka_partition"},"offset":{"kafka_offset"}}]} as committed. */
bool connect_offsets(struct connect *connect, struct str name, struct json_writer *out, struct err *err);

/* pause, resume, stop. */
bool connect_set_target(struct connect *connect, struct str name, enum connect_target target,
                        struct err *err);

/* The connector, and with include_tasks its tasks; only_failed: those that failed. */
bool connect_restart(struct connect *connect, struct str name, bool include_tasks, bool only_failed,
                     struct err *err);
bool connect_restart_task(struct connect *connect, struct str name, int64_t task, struct err *err);

/* [{"class","type","version"}]; with converters too unless connectors_only. */
bool connect_plugins(struct connect *connect, bool connectors_only, struct json_writer *out, struct err *err);

/* Option definitions of a plugin; validation of a config for it (success also when the config has errors). */
bool connect_plugin_config(struct connect *connect, struct str plugin, struct json_writer *out,
                           struct err *err);
bool connect_validate(struct connect *connect, struct str plugin, const struct json_value *config,
                      struct json_writer *out, struct err *err);

/* What SQL's connector statements need, in the form of engine_connect_ops; `state` is the struct connect. */
bool connect_sql_list(void *state, struct json_writer *out, struct err *err);
bool connect_sql_plugins(void *state, struct json_writer *out, struct err *err);
bool connect_sql_describe(void *state, struct str name, struct json_writer *out, struct err *err);
bool connect_sql_create(void *state, struct str name, struct str config_json, struct json_writer *out,
                        struct err *err);
bool connect_sql_drop(void *state, struct str name, struct err *err);

/* What the page and the metrics show. */
struct connect_task_info {
    struct str state, trace; /* "RUNNING" */
    uint64_t records_in, records_written, records_failed, retries;
    int64_t lag; /* records not yet read */
};

struct connect_connector_info {
    struct str name, class_name, type, state; /* type: "sink" */
    const struct str *topics;
    uint32_t topic_count;
    const struct connect_task_info *tasks;
    uint32_t task_count;
};

/* All connectors by name, in the arena. */
struct connect_connector_info *connect_info_list(struct connect *connect, uint32_t *count,
                                                 struct arena *arena);

/* Data: what converters make and plugins take ------------------------------------------------------------ */

/* Type of a value: how it is represented, and what Connect's schema says beyond that. */
struct connect_type {
    const struct sql_type *type; /* type_null: only nulls were seen (guessed types) */
    uint8_t bits;                /* 8, 16, 32, 64 of integers; 32, 64 of floating point; 0 otherwise */
    bool optional;
    bool json;                  /* the value is a STRING that holds JSON: nested data without a schema */
    struct value default_value; /* NULL: none */
};

struct connect_field {
    struct str name;
    struct connect_type type;
};

/* Of a struct: its fields. Of anything else: one field without a name. */
struct connect_schema {
    bool declared; /* false: guessed from the value */
    bool is_struct;
    const struct connect_field *fields;
    uint32_t field_count;
};

/* One side of a record. schema NULL: there is no value (a tombstone, no key). */
struct connect_data {
    const struct connect_schema *schema;
    const struct value *values; /* one a field */
};

/* All of it lives until put returns. */
struct sink_record {
    struct str topic;
    int32_t partition;
    int64_t offset, timestamp_ms;
    struct connect_data key, value;
};

/* Instants beyond this many ms on either side of the epoch (275,760 years) are refused: no database has them, and sums
 * of them stay far from overflow. */
#define CONNECT_INSTANT_MAX_MS INT64_C(8640000000000000)

/* A value as JSON text: decimals as numbers, times as ISO texts, bytes as base64. */
void connect_value_to_json(struct value v, const struct sql_type *type, struct json_writer *out);

/* Plugins ------------------------------------------------------------------------------------------------ */

enum connector_kind { CONNECTOR_SOURCE, CONNECTOR_SINK };

struct connect_task; /* the core's side of a task: what the functions below take */

/* Place of a partition after a batch. */
struct sink_position {
    struct str topic;
    int32_t partition;
    int64_t offset; /* next to read; in open: -1 unless the outside knows better */
};

struct connector_class {
    const char *name;           /* "PostgresSink" */
    const char *const *aliases; /* class names that mean this one, NULL-terminated: Java's, short forms */
    enum connector_kind kind;
    const char *version;
    const char *doc;
    const struct conf_table *options; /* its own; the common ones are the core's */

    /* Checks that need more than one option: false with *err, and *key names the option. May be NULL. */
    bool (*check)(const void *settings, const char **key, struct err *err);

    /* Makes an instance; no input or output yet. `settings` is the filled struct of `options`, borrowed. */
    void *(*start)(struct connect_task *task, const void *settings);

    /* Takes over these partitions, all that the task has; may be called again. Fills offsets that the outside
     * remembers. */
    bool (*open)(void *instance, struct sink_position *positions, size_t count, struct err *err);

    /* Writes a batch; true: it is stored, together with the positions when the outside can hold them. False: nothing
     * of it is; with a retriable code the same batch comes again later, else the task fails. Bad records are given
     * to connect_task_report. */
    bool (*put)(void *instance, const struct sink_record *records, size_t count,
                const struct sink_position *positions, size_t position_count, struct err *err);

    void (*stop)(void *instance);
};

/* For the functions of a plugin, on the task's thread: */

struct str connect_task_connector(const struct connect_task *task);
int connect_task_number(const struct connect_task *task);

/* The task shall stop: what waits should give up soon. */
bool connect_task_stopping(const struct connect_task *task);

/* How often a batch is tried again (-1: for ever) and the longest pause between two tries. */
void connect_task_set_retry(struct connect_task *task, int64_t retries_max, int64_t backoff_max_ms);

/* records[i] of the present put can never be written. True: it goes to the dead letter queue (once, also when put is
 * called again) or is skipped, and the rest goes on. False: the task must fail, *err says why. */
bool connect_task_report(struct connect_task *task, size_t i, const struct err *cause, struct err *err);

/* Makes durable what was reported; called before the batch is committed outside. */
bool connect_task_settle(struct connect_task *task, struct err *err);

#endif
