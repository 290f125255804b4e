/* eval.c - runs programs: frames, selections, failures.
 *
 *   for each instruction: one loop over the selected rows      rows:  0 1 2 3 4 5 6 7
 *   SELECT_TRUE pushes the rows that go on                     level 1:  1   3 4     7
 *   SELECT_END pops                                            level 2:      3       7
 *
 * (R1) Lanes are set once a run; an instruction reads at[row & mask], be it column, constant or
 *      register.
 * (R2) A row fails once: who finds the cause reports it and writes VALUE_FAILED; operators pass it on;
 *      arguments of functions and elements of constructors turn it into NULL.
 * (R3) The bodies of lambdas run with row_count 1 on a frame of their own, so they may call further
 *      lambdas.
 * Thread: the one that owns the expr_ctx.
 */
#include "expr/expr_int.h"

#include <stdarg.h>

static void grow(void **memory, size_t *cap, size_t count, size_t size)
{
    if (count <= *cap)
        return;
    *cap = MAX(count, *cap * 2);
    *memory = mem_realloc(*memory, *cap * size);
}

static struct frame *frame_take(struct expr_ctx *ctx, const struct expr_program *program, uint32_t row_count)
{
    if (ctx->depth == ctx->frames.len)
        vec_push(&ctx->frames, mem_new(struct frame));
    struct frame *frame = ctx->frames.at[ctx->depth++];
    size_t registers = (size_t)(program->register_count - 1) * row_count;
    grow((void **)&frame->registers, &frame->register_cap, registers, sizeof *frame->registers);
    grow((void **)&frame->lanes, &frame->lane_cap, program->operand_count, sizeof *frame->lanes);
    grow((void **)&frame->rows, &frame->row_cap, (size_t)program->select_depth * row_count,
         sizeof *frame->rows);
    grow((void **)&frame->selected, &frame->selected_cap, program->select_depth + 1, sizeof *frame->selected);
    return frame;
}

static void set_lanes(struct eval *ev)
{
    const struct expr_program *program = ev->program;
    struct lane *lanes = ev->frame->lanes;
    for (uint32_t i = 0; i < program->operand_count; i++) {
        uint32_t index = program->operands[i].index;
        switch (program->operands[i].kind) {
        case LANE_REGISTER:
            lanes[i] = (struct lane){eval_register(ev, index), UINT32_MAX};
            break;
        case LANE_COLUMN:
            lanes[i] = (struct lane){ev->cols[index] + ev->row_base, UINT32_MAX};
            break;
        case LANE_CONSTANT:
            lanes[i] = (struct lane){&program->constants[index], 0};
            break;
        case LANE_SLOT:
            lanes[i] = (struct lane){&ev->slots[index], 0};
            break;
        }
    }
    ev->lanes = lanes;
}

struct value eval_fail(struct eval *ev, uint32_t row, const struct err *err)
{
    ev->failed = true;
    if (ev->ctx->on_error != NULL)
        ev->ctx->on_error(ev->ctx->state, ev->row_base + row, err);
    return VALUE_FAILED;
}

struct value eval_failf(struct eval *ev, uint32_t row, const struct instr *in, const char *fmt, ...)
{
    ev->failed = true;
    if (ev->ctx->on_error == NULL)
        return VALUE_FAILED;
    struct buf text = {0};
    buf_append_cstr(&text, "Error processing expression: ");
    if (in->ast != NULL)
        sql_print_expr(in->ast, &text);
    buf_append_cstr(&text, ". ");
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    struct err err = {0};
    err_set(&err, ERR_CONVERSION, "%.*s", STR_ARG(buf_str(&text)));
    buf_fini(&text);
    return eval_fail(ev, row, &err);
}

struct value eval_null_operand(struct eval *ev, uint32_t row, const struct instr *in, struct value a,
                               struct value b)
{
    if (value_is_failed(a) || value_is_failed(b)) {
        ev->failed = true;
        return VALUE_FAILED;
    }
    return eval_failf(ev, row, in, "An operand is null");
}

static uint32_t *level_rows(struct eval *ev, uint32_t level)
{
    return ev->frame->rows + (size_t)(level - 1) * ev->row_count;
}

/* The present rows with a true (or false) in operand a, as a new level; false when there are none. */
static bool select_where(struct eval *ev, const struct instr *in, bool wanted)
{
    uint32_t *rows = level_rows(ev, ev->level + 1), count = 0;
    const struct lane a = ev->lanes[in->a];
    EACH_ROW(ev, row, {
        struct value v = lane_at(a, row);
        rows[count] = row;
        count += v.kind == SQL_BOOLEAN && v.b == wanted;
    });
    if (count == 0)
        return false;
    ev->selected[++ev->level] = (struct selection){rows, count};
    return true;
}

static void select_all(struct eval *ev)
{
    uint32_t *rows = level_rows(ev, ev->level + 1), count = 0;
    EACH_ROW(ev, row, { rows[count++] = row; });
    ev->selected[++ev->level] = (struct selection){rows, count};
}

/* Moves the rows with a true to a new level. Rows whose condition failed, or is NULL, fail and take no
 * further part. */
static bool select_when(struct eval *ev, const struct instr *in)
{
    uint32_t *rest = level_rows(ev, ev->level), *rows = level_rows(ev, ev->level + 1);
    uint32_t rest_count = 0, count = 0;
    const struct lane a = ev->lanes[in->a];
    struct value *dst = eval_register(ev, in->dst);
    struct selection present = ev->selected[ev->level];
    for (uint32_t k = 0; k < present.count; k++) {
        uint32_t row = present.rows[k];
        struct value v = lane_at(a, row);
        if (__builtin_expect(v.kind != SQL_BOOLEAN, 0))
            dst[row] = eval_null_operand(ev, row, in, v, v);
        else if (v.b)
            rows[count++] = row;
        else
            rest[rest_count++] = row;
    }
    ev->selected[ev->level].count = rest_count;
    if (count == 0)
        return false;
    ev->selected[++ev->level] = (struct selection){rows, count};
    return true;
}

static void execute(struct eval *ev)
{
    const struct instr *instrs = ev->program->instrs;
    for (uint32_t pc = 0; pc < ev->program->instr_count;) {
        const struct instr *in = &instrs[pc++];
        bool go_on = true;
        switch (in->op) {
        case INSTR_SELECT_TRUE:
            go_on = select_where(ev, in, true);
            break;
        case INSTR_SELECT_FALSE:
            go_on = select_where(ev, in, false);
            break;
        case INSTR_SELECT_ALL:
            select_all(ev);
            break;
        case INSTR_SELECT_WHEN:
            go_on = select_when(ev, in);
            break;
        case INSTR_SELECT_END:
            ev->level--;
            break;
        case INSTR_CALL:
            eval_call(ev, in);
            break;
        case INSTR_ARRAY:
        case INSTR_MAP:
        case INSTR_STRUCT:
            eval_construct(ev, in);
            break;
        default:
            if (in->op >= INSTR_ADD_INT && in->op <= INSTR_NEG_DECIMAL)
                eval_arithmetic(ev, in);
            else if (in->op >= INSTR_EQ_I64 && in->op <= INSTR_IN_VALUE)
                eval_compare(ev, in);
            else
                eval_scalar(ev, in);
        }
        if (!go_on)
            pc = in->target;
    }
    ASSERT_CMP(ev->level, ==, 0);
}

void eval_run(struct eval *ev)
{
    ev->frame = frame_take(ev->ctx, ev->program, ev->row_count);
    ev->selected = ev->frame->selected;
    ev->selected[0] = (struct selection){NULL, ev->row_count};
    ev->level = 0;
    set_lanes(ev);
    execute(ev);
    ev->ctx->depth--;
}

void expr_eval(struct expr_ctx *ctx, const struct expr_program *program, const struct value *const *cols,
               uint32_t count, struct value *out, bool *failed, struct arena *arena)
{
    ASSERT_CMP(ctx->depth, ==, 0);
    struct eval ev = {
        .ctx = ctx, .program = program, .result = out, .cols = cols, .row_count = count, .arena = arena};
    if (program->slot_count > 0)
        ev.slots = arena_array(arena, struct value, program->slot_count);
    if (failed != NULL)
        memset(failed, 0, count * sizeof *failed);
    if (count == 0)
        return;
    eval_run(&ev);
    for (uint32_t row = 0; ev.failed && row < count; row++)
        if (value_is_failed(out[row])) {
            out[row] = VALUE_NULL;
            if (failed != NULL)
                failed[row] = true;
        }
}

static void keep_error(void *state, uint32_t row, const struct err *err)
{
    struct err *kept = state;
    if (kept->code == ERR_NONE)
        *kept = *err;
}

bool expr_eval_constant(const struct expr *expr, const struct func_settings *settings, struct value *out,
                        struct arena *arena, struct err *err)
{
    ASSERT(expr->kind != EXPR_COLUMN);
    struct err first = {0};
    bool failed = false;
    struct expr_ctx *ctx = expr_ctx_new(settings, keep_error, &first);
    expr_eval(ctx, expr_compile(expr, arena), NULL, 1, out, &failed, arena);
    expr_ctx_free(ctx);
    if (failed && err != NULL)
        *err = first;
    return !failed;
}
