/* op.c - what all operators use: pushing, stores, numbers, the processing log, expressions, key bytes. */
#include "flow/flow_int.h"

#include <stdarg.h>
#include <stdio.h>

bool op_push(struct op *op, const struct run *run)
{
    ASSERT_SLOW(run->count <= RUN_ROWS_MAX);
    if (run->count == 0)
        return true;
    struct op *before = op->task->current;
    const struct run *run_before = op->task->current_run;
    op->task->current = op->next;
    op->task->current_run = run;
    bool ok = op->next->class->process(op->next, op->next_side, run);
    op->task->current = before;
    op->task->current_run = run_before;
    return ok;
}

/* Stores and numbers ------------------------------------------------------------------------------------------ */

static struct str op_state_name(struct op *op, const char *suffix, struct arena *arena)
{
    return str_printf(arena, "%.*s/%.*s.%s/%d", STR_ARG(op->task->env->id), STR_ARG(op->name), suffix,
                      op->task->partition);
}

static struct store *inherited_store(const struct flow_task *from, struct str name)
{
    for (size_t i = 0; from != NULL && i < from->stores.len; i++)
        if (str_eq(from->stores.at[i].name, name))
            return from->stores.at[i].store;
    return NULL;
}

struct store *op_store_open(struct op *op, const char *suffix, const struct store_options *options,
                            struct err *err)
{
    /* Other cells are another store: a replaced query begins it anew instead of misreading rows. */
    struct buf types = {0};
    for (uint32_t i = 0; i < options->cell_count; i++)
        type_print(options->types[i], &types);
    struct str name = str_printf(&op->task->arena, "%s-%08x", suffix,
                                 hash_crc32c(0, types.ptr != NULL ? types.ptr : "", types.len));
    buf_fini(&types);
    name = op_state_name(op, name.ptr, &op->task->arena);
    struct store *store = inherited_store(op->task->env->inherit, name);
    store =
        store != NULL ? store_share(store, options) : store_open(op->task->env->state, name, options, err);
    if (store != NULL)
        vec_push(&op->task->stores, (struct named_store){name, store});
    return store;
}

int64_t op_number(struct op *op, const char *suffix, int64_t otherwise)
{
    int64_t number = otherwise;
    if (op->task->env->state != NULL)
        ignore(!state_number(op->task->env->state, op_state_name(op, suffix, &op->task->arena), &number),
               "a number that was never stored has its first value");
    return number;
}

void op_number_put(struct op *op, const char *suffix, int64_t value, struct state_batch *batch)
{
    state_batch_number(batch, op_state_name(op, suffix, &op->task->batch), value);
}

/* Errors ------------------------------------------------------------------------------------------------------ */

void op_log(struct op *op, enum flow_log_type type, int64_t offset, const char *text)
{
    struct flow_env *env = op->task->env;
    atomic_fetch_add_explicit(&env->stats.errors, 1, memory_order_relaxed);
    if (env->on_log == NULL)
        return;
    struct arena arena = {0};
    struct flow_log_entry entry = {.type = type,
                                   .query_id = env->id,
                                   .logger = str_printf(&arena, "processing.%.*s.%.*s", STR_ARG(env->id),
                                                        STR_ARG(op->step->name)),
                                   .partition = op->task->partition,
                                   .offset = offset,
                                   .message = str_from(text)};
    env->on_log(env->log_arg, &entry);
    arena_fini(&arena);
}

bool op_fail(struct op *op, enum err_code code, const char *fmt, ...)
{
    char text[ERR_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    ignore(vsnprintf(text, sizeof text, fmt, args) < 0, "the text may be cut");
    va_end(args);
    struct err err;
    err_set(&err, code, "%s", text);
    return op_fail_err(op, &err);
}

bool op_fail_err(struct op *op, const struct err *err)
{
    if (!op->task->failed) {
        op->task->failed = true;
        op->task->failure = *err;
    }
    return false;
}

/* Expressions --------------------------------------------------------------------------------------------------- */

void column_eval_init(struct column_eval *eval, const struct expr *expr, struct arena *arena)
{
    *eval = (struct column_eval){.column = -1};
    if (expr->kind == EXPR_COLUMN)
        eval->column = (int)expr->index;
    else
        eval->program = expr_compile(expr, arena);
}

const struct value *column_eval_run(const struct column_eval *eval, struct op *op,
                                    const struct value *const *cols, uint32_t count, bool *failed)
{
    if (eval->column >= 0) {
        if (failed != NULL)
            memset(failed, 0, count * sizeof *failed);
        return cols[eval->column];
    }
    struct arena *arena = &op->task->batch;
    struct value *out = arena_alloc(arena, count * sizeof *out);
    if (failed != NULL)
        memset(failed, 0, count * sizeof *failed);
    expr_eval(op->task->expr, eval->program, cols, count, out, failed, arena);
    return out;
}

/* Key bytes ------------------------------------------------------------------------------------------------------- */

void key_codec_init(struct key_codec *codec, const struct column *columns, uint32_t count,
                    struct arena *arena)
{
    codec->count = count;
    codec->types = arena_array(arena, const struct sql_type *, count + 1);
    for (uint32_t i = 0; i < count; i++)
        codec->types[i] = columns[i].type;
}

bool key_encode(const struct key_codec *codec, const struct value *const *cols, uint32_t row, struct buf *out)
{
    bool any = codec->count == 0;
    buf_clear(out);
    for (uint32_t i = 0; i < codec->count; i++) {
        any |= !value_is_null(cols[i][row]);
        value_encode(cols[i][row], codec->types[i], out);
    }
    return any;
}

void key_decode(const struct key_codec *codec, struct str key, struct value *out, struct arena *arena)
{
    for (uint32_t i = 0; i < codec->count; i++)
        if (!value_decode(&key, codec->types[i], &out[i], arena))
            out[i] = VALUE_NULL; /* cannot be: the bytes come from key_encode */
}

enum store_kind window_store_kind(enum ast_window_kind kind)
{
    switch (kind) {
    case WINDOW_NONE:
        return STORE_KEY_VALUE;
    case WINDOW_TUMBLING:
    case WINDOW_HOPPING:
        return STORE_WINDOW;
    case WINDOW_SESSION:
        break;
    }
    return STORE_SESSION;
}
