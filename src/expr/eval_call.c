/* eval_call.c - calls of scalar functions, and the way back from a function into its lambdas.
 *
 * A failed argument is NULL: it was reported where it failed. A failing call makes the row fail. A
 * lambda's body that fails makes the whole call fail, without a second report.
 */
#include "expr/expr_int.h"

#define NO_OPERAND UINT32_MAX

struct lambda_state {
    struct eval *outer;
    const struct instr_list *list;
    uint32_t row;
};

static bool call_lambda(struct func_ctx *ctx, uint32_t index, const struct value *params, uint32_t count,
                        struct value *out)
{
    const struct lambda_state *state = ctx->lambda_state;
    struct eval *outer = state->outer;
    memcpy(outer->slots + state->list->lambda_slots[index], params, count * sizeof *params);
    struct eval ev = {
        .ctx = outer->ctx,
        .program = state->list->lambdas[index],
        .result = out,
        .cols = outer->cols,
        .slots = outer->slots,
        .row_count = 1,
        .row_base = outer->row_base + state->row,
        .arena = outer->arena,
    };
    eval_run(&ev);
    if (!value_is_failed(*out))
        return true;
    *out = VALUE_NULL;
    outer->failed = true;
    ctx->failed = true;
    return false;
}

static void report(struct eval *ev, uint32_t row, const struct site *site)
{
    struct err err = site->err;
    if (err.code == ERR_NONE) /* a lambda failed and was reported */
        return;
    const struct func_call *call = site->func.call;
    err_context(&err, "Failed to evaluate function %.*s", STR_ARG(call->name));
    eval_fail(ev, row, &err);
}

static struct value call_once(struct eval *ev, const struct instr *in, struct site *site, uint32_t row,
                              struct value *args)
{
    const struct instr_list *list = in->data;
    const struct func_call *call = list->call;
    struct value out = VALUE_NULL;
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->operands[i] == NO_OPERAND)
            continue;
        args[i] = lane_at(ev->lanes[list->operands[i]], row);
        if (value_is_failed(args[i]))
            args[i] = VALUE_NULL;
        if (call->null_in_null_out && value_is_null(args[i]))
            return VALUE_NULL;
    }
    call->scalar(&site->func, args, list->count, &out);
    if (__builtin_expect(!site->func.failed, 1))
        return out;
    report(ev, row, site);
    site->func.failed = false;
    site->err.code = ERR_NONE;
    ev->failed = true;
    return VALUE_FAILED;
}

void eval_call(struct eval *ev, const struct instr *in)
{
    const struct instr_list *list = in->data;
    ASSERT(list->call->scalar != NULL);
    struct site *site = expr_ctx_site(ev->ctx, list->call);
    struct func_ctx outer = site->func; /* a lambda may call its own function again: put back what it was */
    struct lambda_state state = {ev, list, 0};
    struct value *dst = eval_register(ev, in->dst);
    struct value args[list->count + 1];
    memset(args, 0, sizeof args);
    site->func.arena = ev->arena;
    site->func.now_ms = ev->ctx->now_ms;
    site->func.lambda = call_lambda;
    site->func.lambda_state = &state;
    site->func.failed = false;
    EACH_ROW(ev, row, {
        state.row = row;
        dst[row] = call_once(ev, in, site, row, args);
    });
    site->func.arena = outer.arena;
    site->func.lambda_state = outer.lambda_state;
}
