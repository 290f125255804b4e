/* registry.c - all families as one catalogue: lookup by name, walk in order of names, texts for
 * DESCRIBE.
 *
 * Families are sorted by name; func_at merges them, so a walk costs a few thousand comparisons and no
 * memory.
 */
#include "func/func_int.h"

static const struct func_family *const families[] = {
    &family_agg_basic, &family_agg_collect, &family_agg_offset, &family_agg_stat,  &family_agg_top,
    &family_array,     &family_bytes,       &family_condition,  &family_json,      &family_lambda,
    &family_map,       &family_mask,        &family_math,       &family_regexp,    &family_round,
    &family_string,    &family_table,       &family_time,       &family_time_text, &family_url,
    &family_testing, /* last: hidden unless switched on */
};

/* The one switch of this module: set before anything is resolved, by test programs only. */
static bool test_functions_enabled;

void func_enable_test_functions(void)
{
    test_functions_enabled = true;
}

static size_t family_count(void)
{
    return COUNT_OF(families) - (test_functions_enabled ? 0 : 1);
}

const struct func *func_find(struct str name)
{
    for (size_t f = 0; f < family_count(); f++)
        for (uint32_t i = 0; i < families[f]->count; i++)
            if (str_eq_nocase(name, str_from(families[f]->funcs[i].name)))
                return &families[f]->funcs[i];
    return NULL;
}

enum func_kind func_kind_of(const struct func *func)
{
    return func->kind;
}

bool func_is_table_capable(const struct func *func)
{
    return func->kind == FUNC_AGGREGATE && func->sigs[0].agg->undo != NULL;
}

const struct func *func_at(uint32_t i)
{
    uint32_t next[COUNT_OF(families)] = {0};
    for (;;) {
        const struct func *least = NULL;
        size_t from = 0;
        for (size_t f = 0; f < family_count(); f++) {
            if (next[f] == families[f]->count)
                continue;
            const struct func *func = &families[f]->funcs[next[f]];
            if (least == NULL || strcasecmp(func->name, least->name) < 0) {
                least = func;
                from = f;
            }
        }
        if (least == NULL || i-- == 0)
            return least;
        next[from]++;
    }
}

void func_describe(const struct func *func, struct func_doc *doc)
{
    *doc = (struct func_doc){
        .name = str_from(func->name),
        .category = str_from(func->category),
        .description = str_from(func->description),
        .author = STR("rialto"),
        .version = STR(""),
        .kind = func->kind,
        .signature_count = func->sig_count,
    };
}

bool func_describe_param(const struct func *func, uint32_t i, uint32_t k, struct func_param_doc *doc)
{
    struct arena arena = {0};
    const struct sig *sig = sig_parse(func->sigs[i].text, &arena);
    bool there = k < sig->param_count;
    if (there) /* names and types are slices of the const text */
        *doc = (struct func_param_doc){sig->params[k].name, sig->params[k].type->text,
                                       sig->params[k].is_variadic};
    arena_fini(&arena);
    return there;
}

void func_print_signature(const struct func *func, uint32_t i, struct buf *arguments, struct buf *return_type)
{
    struct arena arena = {0};
    const struct sig *sig = sig_parse(func->sigs[i].text, &arena);
    for (uint32_t k = 0; k < sig->param_count; k++) {
        const struct sig_param *param = &sig->params[k];
        buf_printf(arguments, "%s%.*s%s", k > 0 ? ", " : "", STR_ARG(param->type->text),
                   param->is_variadic ? "..." : "");
        if (param->name.len > 0)
            buf_printf(arguments, " %.*s", STR_ARG(param->name));
    }
    buf_append_str(return_type, sig->result->text);
    arena_fini(&arena);
}

void func_fail(struct func_ctx *ctx, const char *fmt, ...)
{
    va_list args;
    struct buf text = {0};
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    err_set(ctx->err, ERR_CONVERSION, "%.*s", STR_ARG(buf_str(&text)));
    buf_fini(&text);
    ctx->failed = true;
}

void func_fail_err(struct func_ctx *ctx, const struct err *err)
{
    *ctx->err = *err;
    ctx->failed = true;
}

struct value func_take_text(struct func_ctx *ctx, struct buf *buf)
{
    struct str text = str_dup(buf_str(buf), ctx->arena);
    buf_fini(buf);
    return value_str(text);
}

struct value *func_values(struct func_ctx *ctx, size_t count)
{
    return arena_array(ctx->arena, struct value, count);
}

bool types_same_decimal(const struct func_arg *args, uint32_t count, const struct sql_type **params,
                        const struct sql_type **result, struct arena *arena, struct err *err)
{
    *result = params[0];
    return true;
}
