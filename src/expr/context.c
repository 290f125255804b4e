/* context.c - what a task keeps between runs: registers, call sites, compiled time patterns.
 *
 * A site is the context of one function call; it lives as long as the expr_ctx, so that functions may
 * keep counters there. Sites are found by the address of their func_call, once a run.
 */
#include "expr/expr_int.h"

struct expr_ctx *expr_ctx_new(const struct func_settings *settings,
                              void (*on_error)(void *state, uint32_t row, const struct err *err), void *state)
{
    struct expr_ctx *ctx = mem_new(struct expr_ctx);
    ctx->settings = settings;
    ctx->on_error = on_error;
    ctx->state = state;
    return ctx;
}

void expr_ctx_free(struct expr_ctx *ctx)
{
    if (ctx == NULL)
        return;
    for (size_t i = 0; i < ctx->frames.len; i++) {
        struct frame *frame = ctx->frames.at[i];
        free(frame->registers);
        free(frame->lanes);
        free(frame->rows);
        free(frame->selected);
        free(frame);
    }
    for (size_t i = 0; i < ctx->sites.len; i++)
        free(ctx->sites.at[i]);
    vec_fini(&ctx->frames);
    vec_fini(&ctx->sites);
    map_fini(&ctx->site_of);
    if (ctx->formats != NULL)
        time_formats_free(ctx->formats);
    free(ctx);
}

void expr_ctx_set_now(struct expr_ctx *ctx, int64_t now_ms)
{
    ctx->now_ms = now_ms;
}

struct site *expr_ctx_site(struct expr_ctx *ctx, const struct func_call *call)
{
    struct str key = str_of((const char *)&call, sizeof call);
    struct site *site = map_get(&ctx->site_of, key);
    if (site != NULL)
        return site;
    if (ctx->formats == NULL)
        ctx->formats = time_formats_new();
    site = mem_new(struct site);
    site->func.call = call;
    site->func.settings = ctx->settings;
    site->func.err = &site->err;
    site->func.formats = ctx->formats;
    site->func.sequence = (uint64_t)clock_wall_us(); /* grows over restarts too */
    vec_push(&ctx->sites, site);
    map_put(&ctx->site_of, key, site);
    return site;
}

struct func_ctx *expr_ctx_func(struct expr_ctx *ctx, const struct func_call *call, struct arena *arena)
{
    struct site *site = expr_ctx_site(ctx, call);
    site->func.arena = arena;
    site->func.now_ms = ctx->now_ms;
    site->func.failed = false;
    return &site->func;
}
