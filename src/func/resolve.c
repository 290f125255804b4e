/* resolve.c - which signature a call means, and with which types.
 *
 *   pass 1: signatures whose parameters are exactly the arguments' types      NULL fits everywhere
 *   pass 2: signatures that the arguments can be converted to implicitly
 *   of several: no variadic part before a variadic one; more fixed parameters; fewer type variables and ANYs;
 *               the variadic part later; else the call is ambiguous
 *
 * Lambdas are typed last: their parameters' types come from the other arguments, their bodies bind what
 * is left.
 */
#include "func/func_int.h"

struct candidate {
    const struct func_sig *row;
    const struct sig *sig;
    struct sig_match match;
};

static void print_arg(const struct func_arg *arg, struct buf *out)
{
    if (arg->type == NULL)
        buf_append_cstr(out, "LAMBDA");
    else if (arg->is_unit)
        buf_append_cstr(out, "INTERVALUNIT");
    else if (arg->type->kind == SQL_NULL)
        buf_append_cstr(out, "null");
    else
        type_print(arg->type, out);
}

static void print_args(const struct func_arg *args, uint32_t count, struct buf *out)
{
    buf_append_char(out, '(');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_cstr(out, ", ");
        print_arg(&args[i], out);
    }
    buf_append_char(out, ')');
}

static void print_alternatives(const struct func *func, struct buf *out)
{
    for (uint32_t i = 0; i < func->sig_count; i++) {
        struct buf arguments = {0}, result = {0};
        func_print_signature(func, i, &arguments, &result);
        buf_printf(out, "%s(%.*s)\n", func->name, STR_ARG(buf_str(&arguments)));
        buf_fini(&arguments);
        buf_fini(&result);
    }
    buf_append_cstr(out, "For detailed information on a function run: DESCRIBE FUNCTION <Function-Name>;");
}

static void refuse(const struct func *func, const struct func_arg *args, uint32_t count, bool ambiguous,
                   struct err *err)
{
    struct buf text = {0};
    buf_printf(&text, "Function '%s' %s ", func->name,
               ambiguous ? "cannot be resolved due to ambiguous method parameters"
                         : "does not accept parameters");
    print_args(args, count, &text);
    buf_append_cstr(&text, ambiguous
                               ? ".\nUse CAST() to explicitly cast your parameters to one of the supported "
                                 "function calls.\nValid function calls are:\n"
                               : ".\nValid alternatives are:\n");
    print_alternatives(func, &text);
    err_set(err, ERR_STATEMENT, "%.*s", STR_ARG(buf_str(&text)));
    buf_fini(&text);
}

static bool param_accepts(const struct sig_param *param, const struct func_arg *arg, bool allow_casts,
                          struct sig_match *match)
{
    if (arg->type == NULL)
        return param->type->kind == SIG_LAMBDA && param->type->field_count == arg->lambda_params;
    if (arg->is_unit)
        return param->type->kind == SIG_UNIT;
    return param->type->kind != SIG_LAMBDA && sig_accepts(param->type, arg->type, allow_casts, match);
}

static bool matches(struct candidate *candidate, const struct func_arg *args, uint32_t count,
                    bool allow_casts)
{
    if (count == 0)
        return candidate->sig->param_count == 0 ||
               (candidate->sig->param_count == 1 && candidate->sig->variadic == 0);
    for (uint32_t i = 0; i < count; i++) {
        const struct sig_param *param = sig_param_at(candidate->sig, i, count);
        if (param == NULL || !param_accepts(param, &args[i], allow_casts, &candidate->match))
            return false;
    }
    return true;
}

static uint32_t count_generics(const struct sig *sig)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < sig->param_count; i++) {
        const struct sig_type *type = sig->params[i].type;
        while (type->kind == SIG_ARRAY || type->kind == SIG_MAP)
            type = type->elem;
        n += type->kind == SIG_VARIABLE || type->kind == SIG_ANY;
    }
    return n;
}

/* > 0: a is the better one; 0: neither. */
static int compare_candidates(const struct sig *a, const struct sig *b)
{
    if ((a->variadic < 0) != (b->variadic < 0))
        return a->variadic < 0 ? 1 : -1;
    if (a->variadic >= 0 && a->param_count != b->param_count)
        return a->param_count > b->param_count ? 1 : -1;
    if (count_generics(a) != count_generics(b))
        return count_generics(a) < count_generics(b) ? 1 : -1;
    return a->variadic - b->variadic;
}

/* The best signature of one pass; *ambiguous when two are equally good. */
static bool find_candidate(const struct func *func, const struct func_arg *args, uint32_t count,
                           bool allow_casts, struct candidate *best, bool *ambiguous, struct arena *arena)
{
    bool found = false;
    *ambiguous = false;
    for (uint32_t i = 0; i < func->sig_count; i++) {
        struct candidate next = {.row = &func->sigs[i], .sig = sig_parse(func->sigs[i].text, arena)};
        if (!matches(&next, args, count, allow_casts))
            continue;
        int order = found ? compare_candidates(next.sig, best->sig) : 1;
        if (order > 0) {
            *best = next;
            *ambiguous = false;
        } else if (order == 0) {
            *ambiguous = true;
        }
        found = true;
    }
    return found;
}

static bool resolve_lambdas(struct candidate *found, const struct func_arg *args, uint32_t count,
                            func_lambda_type_fn lambda_type, void *state, struct func_call *call,
                            struct arena *arena, struct err *err, bool *mismatch)
{
    const struct sql_type *flat[SIG_PARAMS_MAX * 4];
    uint32_t flat_count = 0, index = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (args[i].type != NULL)
            continue;
        const struct sig_type *lambda = sig_param_at(found->sig, i, count)->type;
        const struct sql_type **params = &flat[flat_count];
        for (uint32_t k = 0; k < lambda->field_count; k++)
            flat[flat_count++] = sig_type_of(&lambda->fields[k], NULL, &found->match, arena);
        const struct sql_type **kept = arena_dup(arena, params, lambda->field_count * sizeof *params);
        const struct sql_type *body = lambda_type(state, index++, kept, lambda->field_count, err);
        if (body == NULL)
            return false;
        if (!sig_accepts(lambda->elem, body, false, &found->match)) {
            *mismatch = true;
            return false;
        }
    }
    call->lambda_param_types = arena_dup(arena, flat, flat_count * sizeof *flat);
    return true;
}

static void set_params(const struct candidate *found, const struct func_arg *args, uint32_t count,
                       struct func_call *call, struct arena *arena)
{
    call->params = arena_array(arena, const struct sql_type *, count + 1);
    for (uint32_t i = 0; i < count; i++)
        if (args[i].type != NULL && !args[i].is_unit)
            call->params[i] =
                sig_type_of(sig_param_at(found->sig, i, count)->type, args[i].type, &found->match, arena);
}

static bool finish(const struct candidate *found, const struct func_arg *args, uint32_t count,
                   struct func_call *call, struct arena *arena, struct err *err)
{
    const struct func_sig *row = found->row;
    call->scalar = row->scalar;
    call->table = row->table;
    call->agg = row->agg;
    call->null_in_null_out = row->strict;
    call->is_volatile = row->is_volatile;
    call->constant_args = found->sig->constant_count;
    if (found->sig->variadic >= 0 && found->sig->params[found->sig->variadic].is_constant)
        call->constant_args += count - found->sig->param_count;
    if (row->types != NULL && !row->types(args, count, call->params, &call->result, arena, err))
        return false;
    if (row->agg != NULL)
        call->state_type = row->state == NULL ? call->result
                                              : sig_type_of(sig_parse_type(row->state, arena), call->result,
                                                            &found->match, arena);
    return row->bind == NULL || row->bind(args, count, &call->constant, arena, err);
}

const struct func_call *func_resolve(const struct func *func, const struct func_arg *args, uint32_t arg_count,
                                     func_lambda_type_fn lambda_type, void *lambda_state, struct arena *arena,
                                     struct err *err)
{
    struct candidate found = {0};
    bool ambiguous = false, mismatch = false;
    bool any = find_candidate(func, args, arg_count, false, &found, &ambiguous, arena) ||
               find_candidate(func, args, arg_count, true, &found, &ambiguous, arena);
    if (!any || ambiguous) {
        refuse(func, args, arg_count, ambiguous, err);
        return NULL;
    }
    struct func_call *call = arena_new(arena, struct func_call);
    call->func = func;
    call->name = str_upper(str_from(func->name), arena);
    call->kind = func->kind;
    call->arg_count = arg_count;
    if (!resolve_lambdas(&found, args, arg_count, lambda_type, lambda_state, call, arena, err, &mismatch)) {
        if (mismatch)
            refuse(func, args, arg_count, false, err);
        return NULL;
    }
    set_params(&found, args, arg_count, call, arena);
    const struct sql_type *first = arg_count > 0 ? args[0].type : NULL;
    call->result = sig_type_of(found.sig->result, first, &found.match, arena);
    return finish(&found, args, arg_count, call, arena, err) ? call : NULL;
}
