/* flow_int.h - runs, operators, tasks: the inside of flow. Private to src/flow.
 *
 *     task   inputs -> source ops -> ... ops ... -> sink op        one subtopology on one partition, one thread
 *     run    up to RUN_ROWS_MAX rows, column by column
 *
 * (I1) A run and all it points to is borrowed for the call of `process`: who keeps something copies it.
 * (I2) Ops push synchronously: when op_push returns, everything downstream has happened.
 * (I3) A run of a stream may have rows with a null value (deleted), a run of a table has tombstones (deleted); key
 *      columns are valid in both, the others are NULL.
 * (I4) Old rows (old_cols) travel only where somebody downstream needs them (op->gives_old).
 */
#ifndef RIALTO_FLOW_FLOW_INT_H
#define RIALTO_FLOW_FLOW_INT_H

#include <stdatomic.h>

#include "flow/flow.h"
#include "serde/serde.h"
#include "type/time_format.h"

enum { RUN_ROWS_MAX = 512 };

/* Runs: run.c ----------------------------------------------------------------------------------------------- */

struct run_headers {
    struct str raw; /* as in struct record */
    int32_t count;
};

struct run {
    uint32_t count;
    uint32_t column_count;
    const struct value *const *cols; /* cols[c][row] */
    const int64_t *rowtime_ms;
    const int64_t *offset;                          /* of the source record; NULL: unknown */
    int32_t partition;                              /* of the source */
    const int64_t *window_start_ms, *window_end_ms; /* NULL: no window in the key */
    const struct run_headers *headers;              /* NULL: none */
    const bool *deleted;                            /* NULL: none */
    const bool *null_key;                           /* rows without key, of several key columns; NULL: none */
    const struct value *const *old_cols;            /* NULL: no old rows are given */
    const bool *has_old;                            /* with old_cols */
};

static inline bool run_deleted(const struct run *run, uint32_t row)
{
    return run->deleted != NULL && run->deleted[row];
}

static inline bool run_has_old(const struct run *run, uint32_t row)
{
    return run->old_cols != NULL && run->has_old[row];
}

/* The part of a run from row `from` on; the column arrays are made in the arena. */
struct run run_slice(const struct run *run, uint32_t from, uint32_t count, struct arena *arena);

/* The rows picked[0..count) of a run, copied to the arena. */
struct run run_pick(const struct run *run, const uint32_t *picked, uint32_t count, struct arena *arena);

struct op;

/* Rows that an operator makes one by one; pushed downstream when full and at the end. */
struct run_out {
    struct op *op;
    uint32_t count, cap, column_count;
    struct value **cols;
    int64_t *rowtime_ms;
    int64_t *window_start_ms, *window_end_ms; /* NULL without windows */
    bool *deleted, *has_old;
    struct value **old_cols; /* NULL without old rows */
    struct run_headers *headers;
    bool any_deleted, any_headers;
    struct run_headers now; /* of the row whose results are being made */
    int32_t partition;
    bool failed;
};

/* Arrays are made in the task's batch arena. */
void run_out_begin(struct run_out *out, struct op *op, const struct run *like);

/* A new row: column values are NULL, not deleted, no old row. Pushes the rows before when there is no room. */
uint32_t run_out_row(struct run_out *out, int64_t rowtime_ms);

/* The rows that follow are results of this row: they get its headers. */
void run_out_for(struct run_out *out, const struct run *run, uint32_t row);

/* Pushes what is there. False: downstream failed. */
bool run_out_end(struct run_out *out);

/* Operators -------------------------------------------------------------------------------------------------- */

struct flow_task;

struct op_class {
    const char *name;
    size_t size; /* of the operator's struct, which begins with struct op */
    bool (*open)(struct op *op, struct err *err);
    bool (*process)(struct op *op, uint32_t side, const struct run *run); /* false: the task has failed */
    bool (*flush)(struct op *op); /* emits what merging has held back; NULL: nothing ever is */
    void (*hand_over)(struct op *op, struct state_batch *batch); /* NULL: no state */
    void (*close)(struct op *op);                                /* also after a failed open */
    /* Aggregates: their rows for a pull query. The store, and a result row made of one of its rows. */
    struct store *(*kept_store)(struct op *op);
    void (*kept_row)(struct op *op, struct str key, int64_t t0, int64_t t1, const struct value *cells,
                     struct run_out *out);
};

struct op {
    const struct op_class *class;
    const struct step *step;
    struct flow_task *task;
    struct op *next;    /* NULL for sinks */
    uint32_t next_side; /* which input of next */
    bool gives_old;     /* downstream needs old rows of this op */
    struct str name;    /* stable over restarts: aggregate, join-2 ...; part of store names */
};

bool op_push(struct op *op, const struct run *run);

/* The store of an op in the task's state: <query>/<op>.<suffix>/<partition>. */
struct store *op_store_open(struct op *op, const char *suffix, const struct store_options *options,
                            struct err *err);

/* Reads and writes a number of the op: <query>/<op>.<suffix>/<partition>. */
int64_t op_number(struct op *op, const char *suffix, int64_t otherwise);
void op_number_put(struct op *op, const char *suffix, int64_t value, struct state_batch *batch);

/* Processing log: `row` of the run that is being processed, or -1. */
void op_log(struct op *op, enum flow_log_type type, int64_t offset, const char *text);

/* The task's failure; returns false. */
bool op_fail(struct op *op, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool op_fail_err(struct op *op, const struct err *err);

/* Who keeps the rows of a materialized sink: the aggregate below it, when only stateless steps lie between (its state says
 * all that its results said); else NULL, and the sink keeps them itself. */
const struct step *sink_kept_by(const struct step *sink);

extern const struct op_class op_source_class, op_filter_class, op_select_class, op_flat_map_class,
    op_key_class, op_aggregate_class, op_session_class, op_join_table_class, op_join_stream_class,
    op_join_table_table_class, op_join_fk_class, op_sink_class, op_push_class, op_repartition_class,
    op_internal_class;

/* Values of an expression over a run: a column is borrowed, all else is computed. */
struct column_eval {
    int column; /* -1: program */
    const struct expr_program *program;
};
void column_eval_init(struct column_eval *eval, const struct expr *expr, struct arena *arena);
const struct value *column_eval_run(const struct column_eval *eval, struct op *op,
                                    const struct value *const *cols, uint32_t count, bool *failed);

/* Key columns of a row as the bytes that stores compare: values one after the other. */
struct key_codec {
    const struct sql_type **types;
    uint32_t count;
};
void key_codec_init(struct key_codec *codec, const struct column *columns, uint32_t count,
                    struct arena *arena);
/* Clears and fills `out`; false when all columns, or the single one, are NULL (a null key). */
bool key_encode(const struct key_codec *codec, const struct value *const *cols, uint32_t row,
                struct buf *out);
void key_decode(const struct key_codec *codec, struct str key, struct value *out, struct arena *arena);

/* Which rows of a store belong to a row of a run with this kind of window. */
enum store_kind window_store_kind(enum ast_window_kind kind);
static inline int64_t run_t0(const struct run *run, enum ast_window_kind kind, uint32_t row);
static inline int64_t run_t1(const struct run *run, enum ast_window_kind kind, uint32_t row);

/* Time: time.c ------------------------------------------------------------------------------------------------ */

/* First window start that covers ts, for sizes and advances of tumbling and hopping windows. */
int64_t window_first_start(const struct plan_window *window, int64_t ts_ms);

/* A value of a timestamp column as ms; false with *err (text for the processing log). */
bool timestamp_of_value(struct value v, const struct sql_type *type, struct str format,
                        struct time_formats *formats, int64_t *ms, struct err *err);

/* The aggregates of a step: aggs.c ----------------------------------------------------------------------------- */

struct agg {
    const struct func_call *call;
    const struct func_agg *fn;
    struct column_eval *args;
    uint32_t arg_count;
    struct func_ctx *ctx;                      /* of the present run */
    const struct value **values, **old_values; /* argument columns of the present run */
};

/* Cells of a row of state: the greatest time of its rows, then one state per aggregate. */
enum { AGG_TIME_CELL, AGG_FIRST_CELL };

struct agg_set {
    struct op *op;
    struct agg *aggs;
    uint32_t count;
    const struct sql_type **types; /* of the cells */
    struct value *argv;            /* as long as the longest argument list */
};

void agg_set_init(struct agg_set *set, struct op *op);
void agg_set_begin(struct agg_set *set, const struct run *run); /* evaluates the arguments of a run */
void agg_set_reset(struct agg_set *set, struct value *cells, int64_t ts_ms);
void agg_set_add(struct agg_set *set, struct value *cells, uint32_t row, int64_t ts_ms);
void agg_set_undo(struct agg_set *set, struct value *cells, uint32_t row, int64_t ts_ms);
void agg_set_merge(struct agg_set *set, struct value *cells, const struct value *other);
/* Visible values into cols[first + i][row]; copied to the batch arena when `copy`. */
void agg_set_results(struct agg_set *set, const struct value *cells, struct value **cols, uint32_t first,
                     uint32_t row, bool copy);

/* Tasks: task.c ------------------------------------------------------------------------------------------------ */

struct flow_stats {
    _Atomic uint64_t rows_in, rows_out, rows_late, errors;
};

/* What all tasks of a query share; immutable but for stats and the push part, which one worker uses. */
struct flow_env {
    struct arena arena; /* strings */
    const struct plan *plan;
    struct client *client;
    struct state *state; /* NULL: in memory */
    struct str id, group;
    struct func_settings func_settings;
    enum flow_reset reset;
    bool fail_on_deserialization, fail_on_timestamp;
    bool merge;                /* updates of a key are merged until flush (live mode) */
    bool transactional;        /* sinks wait for the epoch's transaction */
    struct flow_task *inherit; /* step mode: ops of a new task go on with the stores of this one; else NULL */
    enum client_isolation isolation;
    flow_log_fn *on_log;
    void *log_arg;
    bool (*on_rows)(void *arg, const struct flow_rows *rows);
    void *arg;
    int64_t rows_left; /* of a push query's LIMIT; -1: no limit */
    bool rows_full;    /* on_rows asked for a pause */
    struct flow_stats stats;
};

/* One input of a task: a topic's partition and the source op that decodes it. */
struct flow_input {
    struct op *source;
    struct str topic;
    int32_t partition;
    bool is_table;
    struct client_reader *reader; /* NULL in step mode */
    struct arena arena;           /* of the pending run */
    struct run pending;           /* decoded rows that were not processed yet */
    uint32_t pending_at;          /* next row of it */
    int64_t position;             /* next offset: everything before is processed */
    int64_t position_after;       /* when the pending run is done */
    int64_t position_told;        /* as last handed over */
    struct str position_name;     /* of the number in the state */
    _Atomic int64_t *progress;    /* where others see the position; NULL: nobody looks */
};

struct named_store {
    struct str name;
    struct store *store;
};

struct flow_task {
    struct flow_env *env;
    uint32_t subtopology;
    int32_t partition;
    struct arena arena; /* as long as the task: ops, programs, names */
    struct arena batch; /* of one step */
    struct expr_ctx *expr;
    struct time_formats *formats;
    struct op **ops; /* children before parents */
    uint32_t op_count;
    struct flow_input *inputs;
    uint32_t input_count;
    struct op *current; /* for expression errors */
    const struct run *current_run;
    vec(struct named_store) stores; /* of the ops, to trim */
    vec(struct client_writer *) writers;
    struct record *recs; /* RUN_ROWS_MAX, for taking; whoever drives the task lends them */
    bool failed;
    struct err failure;
    bool has_work;           /* something was processed since the last hand-over */
    bool held_back;          /* an op may hold merged updates */
    _Atomic bool ready;      /* an input may have more: set by readers */
    void (*wake)(void *arg); /* called with ready set; any thread */
    void *wake_arg;
};

/* Makes the ops of one subtopology on one partition. NULL with *err. */
struct topology;
struct flow_task *flow_task_new(struct flow_env *env, const struct topology *topology, uint32_t subtopology,
                                int32_t partition, struct err *err);
void flow_task_free(struct flow_task *task);

/* Opens readers at the committed positions. Not in step mode. */
bool flow_task_open_inputs(struct flow_task *task, void (*wake)(void *arg), void *arg, struct err *err);

/* Decodes what the readers have, where nothing is pending. False: the task has failed. */
bool flow_task_poll(struct flow_task *task);

/* Processes one run: of the input whose next row is the oldest, as far as it is older than the others'. False: there is
 * nothing to do, or the task has failed. */
bool flow_task_step(struct flow_task *task);

/* Emits what merging holds back; true when there was something. */
bool flow_task_flush(struct flow_task *task);

/* Moves changes of stores and positions into the batch. */
void flow_task_hand_over(struct flow_task *task, struct state_batch *batch);

/* Records not read yet. */
int64_t flow_task_lag(struct flow_task *task);

/* Wall clock for UNIX_TIMESTAMP() and the like. */
void flow_task_set_now(struct flow_task *task, int64_t now_ms);

/* The store of a materialized sink, or NULL. Its cells: row time, then the value columns. */
struct store *op_sink_store(struct op *op);

/* Says which topic a repartition op writes; before it is opened. */
void op_repartition_set_topic(struct op *op, struct str topic);

/* Source ops decode for the task: op_source.c, op_repartition.c. Fills input->pending from records. */
bool source_decode(struct op *op, struct flow_input *input, const struct record *recs, uint32_t count);
bool internal_decode(struct op *op, struct flow_input *input, const struct record *recs, uint32_t count);

/* Topology: build.c ---------------------------------------------------------------------------------------------- */

/* Which steps go where. Internal topics lie between subtopologies. */
struct topology {
    const struct plan *plan;
    uint32_t count;             /* subtopologies */
    const uint32_t *sub_of;     /* step id -> subtopology in which its rows come out */
    const bool *splits;         /* step id -> a PARTITION_BY or GROUP_BY whose rows go through a topic */
    const struct str *topic_of; /* step id -> internal topic of a split */
    const int32_t *partitions;  /* subtopology -> number of partitions */
    const struct str *name_of;  /* step id -> op name */
    const bool *needs_old;      /* step id -> its rows must come with the old ones */
};

/* `pass_through`: one partition, no split (step mode, pull). `client` tells partition counts. */
const struct topology *topology_new(const struct plan *plan, struct client *client, struct str group,
                                    bool pass_through, struct arena *arena, struct err *err);

/* What flow cannot do. */
bool topology_check(const struct plan *plan, struct err *err);

/* Inline bodies ---------------------------------------------------------------------------------------------------- */

static inline int64_t run_t0(const struct run *run, enum ast_window_kind kind, uint32_t row)
{
    if (kind == WINDOW_NONE || run->window_start_ms == NULL)
        return 0;
    return kind == WINDOW_SESSION ? run->window_end_ms[row] : run->window_start_ms[row];
}

static inline int64_t run_t1(const struct run *run, enum ast_window_kind kind, uint32_t row)
{
    return kind == WINDOW_SESSION && run->window_start_ms != NULL ? run->window_start_ms[row] : 0;
}

#endif
