/* func.h - function tables: scalar, aggregate and table functions; type resolution of calls.
 *
 * A function is a row of a table (func/<family>.c): name, signatures, implementation, documentation. The
 * type checker, SHOW FUNCTIONS, DESCRIBE FUNCTION and `rialto doc functions` all read the same rows.
 *
 * Signatures are text in SQL's own words, parsed once: "(ARRAY<T>, T) ARRAY<T>". Single capital letters
 * are type variables; DECIMAL stands for any DECIMAL(p, s); "T..." is variadic; "[INTEGER]" may be left
 * out; "LAMBDA(T) R" is a lambda; ANY is any type; INTERVALUNIT is a time unit word. A result that text
 * cannot say (decimal scales, TOPK's struct) is computed by the row's `result` function.
 *
 * Thread: tables are const; a call context belongs to one task.
 */
#ifndef RIALTO_FUNC_FUNC_H
#define RIALTO_FUNC_FUNC_H

#include "type/type.h"

enum func_kind { FUNC_SCALAR, FUNC_AGGREGATE, FUNC_TABLE };

struct func; /* one function name: all its signatures */

/* What a call site knows of an argument when types are resolved. */
struct func_arg {
    const struct sql_type *type; /* &type_null for a bare NULL; NULL for a lambda */
    uint32_t lambda_params;      /* number of parameters when the argument is a lambda, else 0 */
    bool is_unit;                /* a time unit word */
    const struct value *literal; /* the value when the argument is a constant, else NULL */
};

struct func_ctx;

/* One call of a scalar function for one row. Arguments have been coerced to the signature's types. A
 * NULL argument reaches the function; most return NULL for it (func_row.null_in_null_out says so and
 * spares them the test). An evaluation error: func_fail(ctx, ...) and return; the caller logs it and
 * takes NULL. */
typedef void (*func_scalar_fn)(struct func_ctx *ctx, const struct value *args, uint32_t arg_count,
                               struct value *out);

/* A table function: rows of its single result column, in order. */
typedef void (*func_table_fn)(struct func_ctx *ctx, const struct value *args, uint32_t arg_count,
                              const struct value **rows, uint32_t *row_count);

/* An aggregate. The state is a value of type `state_type` (so that every store can keep it); values put
 * into it must live in ctx's arena: the store copies what it keeps. undo is NULL where a table source is
 * refused, merge is for sessions. add and undo replace *state. result maps state to the visible value.
 * */
struct func_agg {
    void (*init)(struct func_ctx *ctx, struct value *state);
    void (*add)(struct func_ctx *ctx, struct value *state, const struct value *args, uint32_t arg_count);
    void (*undo)(struct func_ctx *ctx, struct value *state, const struct value *args, uint32_t arg_count);
    void (*merge)(struct func_ctx *ctx, struct value *state, const struct value *other);
    void (*result)(struct func_ctx *ctx, const struct value *state, struct value *out);
};

/* Limits and switches that functions read; filled by the engine from its properties. */
struct func_settings {
    int64_t collect_list_limit, collect_set_limit;
};

/* A resolved call: which implementation with which types. Lives in the arena given to func_resolve. */
struct func_call {
    const struct func *func;
    struct str name;
    enum func_kind kind;
    const struct sql_type *
        *params; /* what each argument is coerced to, one per argument; NULL for lambda and unit */
    const struct sql_type *
        *lambda_param_types; /* flat: for lambda arguments in order, their parameters' types */
    uint32_t arg_count;
    const struct sql_type *result;
    bool null_in_null_out;
    func_scalar_fn scalar;
    func_table_fn table;
    const struct func_agg *agg;
    const struct sql_type *state_type; /* aggregates */
    const void *constant; /* per call-site data made by the row's `bind` from literal arguments, or NULL */
    uint32_t
        constant_args; /* aggregates: number of trailing literal arguments (TOPK's k), not passed to add */
    bool is_volatile;  /* may give another result for the same arguments: never folded */
};

/* Per-task evaluation context, embedded by `expr`. */
struct func_ctx {
    struct arena *arena; /* where results live */
    const struct func_call *call;
    const struct func_settings *settings;
    bool failed;
    struct err *err; /* set by func_fail; the processing log reads it */
    /* Calls lambda number `index` of this call site with params; the result is in *out; false when it
     * failed. */
    bool (*lambda)(struct func_ctx *ctx, uint32_t index, const struct value *params, uint32_t count,
                   struct value *out);
    void *lambda_state;
    int64_t now_ms;               /* wall clock of the run, for UNIX_TIMESTAMP() */
    struct time_formats *formats; /* compiled patterns and zones of the task */
    uint64_t call_count;          /* calls at this site so far, counted by the functions that need it */
    uint64_t sequence; /* grows over the life of a site and over restarts: orders LATEST_BY_OFFSET's states */
};

void func_fail(struct func_ctx *ctx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Looks a function up by name (any case); NULL when there is none. */
const struct func *func_find(struct str name);
enum func_kind func_kind_of(const struct func *func);
bool func_is_table_capable(const struct func *func); /* aggregate that can undo */

/* Types of the lambda's parameters can depend on the other arguments, its result type on its body:
 * resolution runs in two steps for lambda calls. `lambda_result(state, lambda index, param types,
 * count)` is called back by func_resolve to get a lambda's body type; it returns NULL with *err set when
 * the body does not type-check. Errors: "Function 'F' does not accept parameters (T, ..)...", as ksqlDB
 * words them. */
typedef const struct sql_type *(*func_lambda_type_fn)(void *state, uint32_t index,
                                                      const struct sql_type *const *params, uint32_t count,
                                                      struct err *err);
const struct func_call *func_resolve(const struct func *func, const struct func_arg *args, uint32_t arg_count,
                                     func_lambda_type_fn lambda_type, void *lambda_state, struct arena *arena,
                                     struct err *err);

/* Catalogue of functions for SHOW and DESCRIBE: sorted by name; NULL ends the walk. */
struct func_doc {
    struct str name, category, description, author, version;
    enum func_kind kind;
    uint32_t signature_count;
};
const struct func *func_at(uint32_t i);
void func_describe(const struct func *func, struct func_doc *doc);
/* Signature i as DESCRIBE FUNCTION shows it, and its pieces. */
void func_print_signature(const struct func *func, uint32_t i, struct buf *arguments,
                          struct buf *return_type);

/* Parameter k of signature i, for DESCRIBE FUNCTION's argument list; false behind the last one. Texts
 * are const. */
struct func_param_doc {
    struct str name, type;
    bool is_variadic;
};
bool func_describe_param(const struct func *func, uint32_t i, uint32_t k, struct func_param_doc *doc);

/* Functions that only tests of the peer's cases use, off unless switched on once at start of a test
 * program. */
void func_enable_test_functions(void);

#endif
