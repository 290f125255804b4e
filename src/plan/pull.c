/* pull.c - how a pull query reaches its rows: by keys, by a range of keys, or by reading all.
 *
 *   WHERE  ->  (A and B and ..) or (C and ..) or ..        disjuncts; IN is an OR of equalities
 *
 *   every disjunct sets all key columns by `=`     PULL_KEYS
 *   one disjunct bounds the one key column         PULL_RANGE
 *   else                                           PULL_SCAN, when table scans are allowed
 *
 * The access only narrows what is read: the plan filters by the whole WHERE in any case. With table scans
 * switched off ksqlDB's reasons for the refusal are given.
 */
#include "plan/plan_int.h"

#include <stdarg.h>

enum { DISJUNCTS_MAX = 1000 };

struct disjunct {
    const struct expr **parts;
    uint32_t part_count;
};

/* What the parts of one disjunct say about the key. */
struct lookup {
    struct value *keys; /* per key column */
    bool *set, *bounded;
    uint32_t set_count;
    bool contradicts; /* no row can match */
    const struct value *low, *high;
    bool low_inclusive, high_inclusive, ranged;
    int64_t start_min, start_max, end_min, end_max;
};

struct access {
    struct builder *b;
    const struct source *source;
    bool scans, ranges; /* allowed */
    const char *reason; /* why no key lookup; NULL: none yet */
    struct disjunct *disjuncts;
    uint32_t disjunct_count;
};

/* Refusals ----------------------------------------------------------------------------------------------- */

static bool refuse_where(struct access *ac, const char *message)
{
    const char *windowed =
        ac->source->window_kind == WINDOW_NONE
            ? ""
            : "\n - (optionally) limits the time bounds of the windowed table.\n\t Bounds on [WINDOWSTART, "
              "WINDOWEND] are supported\n\t Supported operators are [EQUAL, GREATER_THAN, "
              "GREATER_THAN_OR_EQUAL, LESS_THAN, LESS_THAN_OR_EQUAL]";
    return err_set(ac->b->err, ERR_STATEMENT,
                   "%s. See https://cnfl.io/queries for more info.\nAdd EMIT CHANGES if you intended to "
                   "issue a push query.\n"
                   "Pull queries require a WHERE clause that:\n - includes a key equality expression, e.g. "
                   "`SELECT * FROM X "
                   "WHERE <key-column> = Y;`.\n - in the case of a multi-column key, is a conjunction of "
                   "equality expressions "
                   "that cover all key columns.%s\nIf more flexible queries are needed, table scans can be "
                   "enabled by setting "
                   "ksql.query.pull.table.scan.enabled=true.",
                   message, windowed);
}

static void note_reason(struct access *ac, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Keeps the first reason: the one a reader of the statement meets first. */
static void note_reason(struct access *ac, const char *fmt, ...)
{
    if (ac->reason != NULL)
        return;
    struct buf text = {0};
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    ac->reason = str_cstr(buf_str(&text), ac->b->arena);
    buf_fini(&text);
}

static const char *expr_text(struct access *ac, const struct expr *expr)
{
    struct buf text = {0};
    sql_print_expr(expr->ast, &text);
    const char *copy = str_cstr(buf_str(&text), ac->b->arena);
    buf_fini(&text);
    return copy;
}

static const char *key_text(struct access *ac)
{
    struct schema keys = *ac->source->schema;
    keys.column_count = keys.key_count;
    struct buf text = {0};
    schema_print(&keys, &text);
    const char *copy = str_cstr(buf_str(&text), ac->b->arena);
    buf_fini(&text);
    return copy;
}

/* Disjuncts ---------------------------------------------------------------------------------------------- */

static const struct expr *equality(struct access *ac, const struct expr *in, const struct expr *elem)
{
    struct expr *expr = arena_new(ac->b->arena, struct expr);
    const struct expr **args = arena_array(ac->b->arena, const struct expr *, 2);
    args[0] = in->args[0];
    args[1] = elem;
    *expr = (struct expr){.kind = EXPR_COMPARE,
                          .op = OP_EQ,
                          .type = &type_boolean,
                          .args = args,
                          .arg_count = 2,
                          .ast = in->ast};
    return expr;
}

/* Multiplies the list from `first` on by another list: (a or b) and (c or d) = ac or ad or bc or bd. */
static bool multiply(struct access *ac, struct disjunct **list, uint32_t *count, const struct disjunct *by,
                     uint32_t by_count)
{
    if ((uint64_t)*count * by_count > DISJUNCTS_MAX)
        return false;
    struct disjunct *product = arena_array(ac->b->arena, struct disjunct, *count * by_count);
    uint32_t n = 0;
    for (uint32_t i = 0; i < *count; i++)
        for (uint32_t k = 0; k < by_count; k++) {
            const struct disjunct *a = &(*list)[i], *c = &by[k];
            const struct expr **parts =
                arena_array(ac->b->arena, const struct expr *, a->part_count + c->part_count);
            memcpy(parts, a->parts, a->part_count * sizeof *parts);
            memcpy(parts + a->part_count, c->parts, c->part_count * sizeof *parts);
            product[n++] = (struct disjunct){parts, a->part_count + c->part_count};
        }
    *list = product;
    *count = n;
    return true;
}

static struct disjunct single(struct access *ac, const struct expr *expr)
{
    const struct expr **parts = arena_array(ac->b->arena, const struct expr *, 1);
    parts[0] = expr;
    return (struct disjunct){parts, 1};
}

/* False when there are too many. */
static bool to_disjuncts(struct access *ac, const struct expr *expr, struct disjunct **list, uint32_t *count)
{
    struct disjunct *left, *right;
    uint32_t left_count, right_count;
    switch (expr->kind) {
    case EXPR_AND:
        if (!to_disjuncts(ac, expr->args[0], list, count) ||
            !to_disjuncts(ac, expr->args[1], &right, &right_count))
            return false;
        return multiply(ac, list, count, right, right_count);
    case EXPR_OR:
        if (!to_disjuncts(ac, expr->args[0], &left, &left_count) ||
            !to_disjuncts(ac, expr->args[1], &right, &right_count) ||
            left_count + right_count > DISJUNCTS_MAX)
            return false;
        *list = arena_array(ac->b->arena, struct disjunct, left_count + right_count);
        memcpy(*list, left, left_count * sizeof *left);
        memcpy(*list + left_count, right, right_count * sizeof *right);
        *count = left_count + right_count;
        return true;
    case EXPR_IN:
        if (expr->arg_count - 1 > DISJUNCTS_MAX)
            return false;
        *count = 0;
        *list = arena_array(ac->b->arena, struct disjunct, expr->arg_count);
        for (uint32_t i = 1; i < expr->arg_count; i++)
            (*list)[(*count)++] = single(ac, equality(ac, expr, expr->args[i]));
        return true;
    default:
        *list = arena_array(ac->b->arena, struct disjunct, 1);
        (*list)[0] = single(ac, expr);
        *count = 1;
        return true;
    }
}

/* Comparisons -------------------------------------------------------------------------------------------- */

static const struct analysis_field *field_of(const struct access *ac, const struct expr *expr)
{
    return expr->kind == EXPR_COLUMN ? &ac->b->ask->fields[expr->index] : NULL;
}

static bool reads_key(const struct expr *expr, void *state)
{
    const struct access *ac = state;
    const struct analysis_field *field = field_of(ac, expr);
    return field != NULL && field->kind == FIELD_KEY;
}

static enum ast_op mirrored(enum ast_op op)
{
    switch (op) {
    case OP_LT:
        return OP_GT;
    case OP_LE:
        return OP_GE;
    case OP_GT:
        return OP_LT;
    case OP_GE:
        return OP_LE;
    default:
        return op;
    }
}

/* A constant as a value of the key's type; false when no key can equal it. */
static bool key_value(const struct sql_type *type, struct value *value)
{
    if (type->kind == SQL_INTEGER && value->kind == SQL_BIGINT) {
        if (value->l < INT32_MIN || value->l > INT32_MAX)
            return false;
        value->kind = SQL_INTEGER;
    } else if (type->kind == SQL_BIGINT && value->kind == SQL_INTEGER) {
        value->kind = SQL_BIGINT;
    }
    return value->kind == type->kind;
}

static void bound_window(struct lookup *lu, enum analysis_field_kind kind, enum ast_op op, int64_t l)
{
    int64_t *low = kind == FIELD_WINDOWSTART ? &lu->start_min : &lu->end_min;
    int64_t *high = kind == FIELD_WINDOWSTART ? &lu->start_max : &lu->end_max;
    if ((op == OP_GT && l == INT64_MAX) || (op == OP_LT && l == INT64_MIN)) {
        lu->contradicts = true;
        return;
    }
    if (op == OP_EQ || op == OP_GE || op == OP_GT)
        *low = MAX(*low, op == OP_GT ? l + 1 : l);
    if (op == OP_EQ || op == OP_LE || op == OP_LT)
        *high = MIN(*high, op == OP_LT ? l - 1 : l);
}

static void bound_range(struct access *ac, struct lookup *lu, enum ast_op op, struct value value)
{
    struct value *copy = arena_dup(ac->b->arena, &value, sizeof value);
    bool low = op == OP_GT || op == OP_GE, inclusive = op == OP_GE || op == OP_LE;
    const struct value *present = low ? lu->low : lu->high;
    int order = present ? value_cmp(*present, value) : 0;
    bool tighter = present == NULL || (low ? order < 0 : order > 0) || (order == 0 && !inclusive);
    lu->ranged = true;
    if (!tighter)
        return;
    if (low)
        lu->low = copy, lu->low_inclusive = inclusive;
    else
        lu->high = copy, lu->high_inclusive = inclusive;
}

static bool fix_key(struct access *ac, struct lookup *lu, const struct analysis_field *field,
                    struct value value)
{
    if (value_is_null(value))
        return err_set(ac->b->err, ERR_STATEMENT, "Primary key columns can not be NULL: (%.*s = null)",
                       STR_ARG(field->name));
    if (!key_value(field->type, &value)) {
        lu->contradicts = true;
        return true;
    }
    if (lu->set[field->index]) {
        lu->contradicts |= !value_eq(lu->keys[field->index], value);
        note_reason(ac, "A comparison condition on the key column cannot be combined with other comparisons "
                        "such as an IN "
                        "predicate");
        return true;
    }
    lu->set[field->index] = true;
    lu->keys[field->index] = value;
    lu->set_count++;
    return true;
}

/* Text for a number: ksqlDB takes it in no key lookup, though IN would convert it elsewhere. */
static bool check_constant_type(struct access *ac, const struct analysis_field *field,
                                const struct expr *constant)
{
    if (constant->ast == NULL || constant->ast->kind != AST_STRING || !type_is_number(field->type))
        return true;
    struct buf type = {0};
    type_print(field->type, &type);
    err_set(ac->b->err, ERR_STATEMENT, "%s can not be converted to the type of the key column: %.*s %s KEY",
            expr_text(ac, constant), STR_ARG(field->name), type.ptr);
    buf_fini(&type);
    return false;
}

/* A comparison of a key column or a window bound with a constant. */
static bool take_compare(struct access *ac, struct lookup *lu, const struct expr *part,
                         const struct analysis_field *field, enum ast_op op, const struct expr *constant)
{
    struct value value;
    if (!expr_eval_constant(constant, ac->b->env->func_settings, &value, ac->b->arena, ac->b->err))
        return false;
    if (field->kind != FIELD_KEY) {
        if (value.kind == SQL_BIGINT || value.kind == SQL_INTEGER)
            bound_window(lu, field->kind, op, value.l);
        return true;
    }
    if (!check_constant_type(ac, field, constant))
        return false;
    if (op == OP_EQ)
        return fix_key(ac, lu, field, value);
    if (op == OP_NE || op == OP_DISTINCT || op == OP_NOT_DISTINCT) {
        note_reason(ac, "Bound on key columns '[%s]' must currently be '='", key_text(ac));
        return true;
    }
    if (lu->bounded[field->index])
        note_reason(ac, "A comparison condition on the key column cannot be combined with other comparisons "
                        "such as an IN "
                        "predicate");
    lu->bounded[field->index] = true;
    bool orders = field->type->kind == SQL_STRING || field->type->kind == SQL_BYTES;
    if (orders && !value_is_null(value) && key_value(field->type, &value))
        bound_range(ac, lu, op, value);
    else
        lu->ranged = true;
    return true;
}

static bool take_part(struct access *ac, struct lookup *lu, const struct expr *part)
{
    if (part->kind == EXPR_LIKE && !ac->scans && field_of(ac, part->args[0]) == NULL)
        note_reason(ac, "Like condition must be between strings");
    bool mentions_key = analysis_expr_find(part, reads_key, ac) != NULL;
    if (part->kind != EXPR_COMPARE) {
        if (mentions_key)
            note_reason(ac, "A comparison must directly reference a key column");
        return true;
    }
    for (int side = 0; side < 2; side++) {
        const struct analysis_field *field = field_of(ac, part->args[side]);
        bool wanted = field != NULL && (field->kind == FIELD_KEY || field->kind == FIELD_WINDOWSTART ||
                                        field->kind == FIELD_WINDOWEND);
        if (!wanted)
            continue;
        if (!expr_is_constant(part->args[1 - side])) {
            note_reason(ac, "A comparison must be between a key column and a resolvable expression");
            return true;
        }
        return take_compare(ac, lu, part, field, side == 0 ? part->op : mirrored(part->op),
                            part->args[1 - side]);
    }
    if (mentions_key)
        note_reason(ac, "A comparison must directly reference a key column");
    return true;
}

static const char *disjunct_text(struct access *ac, const struct disjunct *disjunct)
{
    const char *text = expr_text(ac, disjunct->parts[0]);
    for (uint32_t i = 1; i < disjunct->part_count; i++)
        text = str_printf(ac->b->arena, "(%s AND %s)", text, expr_text(ac, disjunct->parts[i])).ptr;
    return text;
}

static bool read_disjunct(struct access *ac, const struct disjunct *disjunct, struct lookup *lu)
{
    uint32_t keys = ac->source->schema->key_count;
    *lu = (struct lookup){.keys = arena_array(ac->b->arena, struct value, keys),
                          .set = arena_array(ac->b->arena, bool, keys),
                          .bounded = arena_array(ac->b->arena, bool, keys),
                          .start_min = INT64_MIN,
                          .end_min = INT64_MIN,
                          .start_max = INT64_MAX,
                          .end_max = INT64_MAX};
    for (uint32_t i = 0; i < disjunct->part_count; i++)
        if (!take_part(ac, lu, disjunct->parts[i]))
            return false;
    if (lu->set_count == keys)
        return true;
    if (lu->ranged)
        note_reason(ac, "Query requires table scan to be enabled");
    else if (lu->set_count == 0)
        note_reason(ac, "WHERE clause missing key column for disjunct: %s", disjunct_text(ac, disjunct));
    else
        note_reason(ac,
                    "Multi-column sources must specify every key in the WHERE clause. Specified: %u of the "
                    "columns of [%s]",
                    lu->set_count, key_text(ac));
    return true;
}

/* Choosing ----------------------------------------------------------------------------------------------- */

static void widen_windows(struct pull_access *pull, const struct lookup *lu)
{
    pull->window_start_min = MIN(pull->window_start_min, lu->start_min);
    pull->window_start_max = MAX(pull->window_start_max, lu->start_max);
    pull->window_end_min = MIN(pull->window_end_min, lu->end_min);
    pull->window_end_max = MAX(pull->window_end_max, lu->end_max);
}

static bool has_key(const struct value *keys, uint32_t count, const struct value *key, uint32_t width)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t same = 0;
        while (same < width && value_eq(keys[i * width + same], key[same]))
            same++;
        if (same == width)
            return true;
    }
    return false;
}

static void add_key(struct access *ac, struct pull_access *pull, struct value *keys, const struct lookup *lu)
{
    uint32_t width = ac->source->schema->key_count;
    if (lu->contradicts || has_key(keys, pull->key_count, lu->keys, width))
        return;
    memcpy(&keys[pull->key_count++ * width], lu->keys, width * sizeof *keys);
}

static bool can_range(const struct access *ac, const struct lookup *lu)
{
    return ac->ranges && ac->disjunct_count == 1 && (lu->low != NULL || lu->high != NULL) &&
           ac->source->schema->key_count == 1 && ac->source->window_kind == WINDOW_NONE;
}

static bool choose(struct access *ac, struct pull_access *pull)
{
    uint32_t width = ac->source->schema->key_count;
    struct value *keys = arena_array(ac->b->arena, struct value, ac->disjunct_count * width);
    bool all_keys = true;
    struct lookup lu = {0};
    pull->window_start_min = pull->window_end_min = INT64_MAX;
    pull->window_start_max = pull->window_end_max = INT64_MIN;
    for (uint32_t i = 0; i < ac->disjunct_count; i++) {
        if (!read_disjunct(ac, &ac->disjuncts[i], &lu))
            return false;
        all_keys &= lu.set_count == width || lu.contradicts;
        if (lu.set_count == width)
            add_key(ac, pull, keys, &lu);
        widen_windows(pull, &lu);
    }
    bool one_range = can_range(ac, &lu) && (ac->scans || lu.low == NULL || lu.high == NULL);
    if (all_keys && (ac->scans || ac->reason == NULL)) {
        pull->kind = PULL_KEYS;
        pull->keys = keys;
        return true;
    }
    pull->key_count = 0;
    if (one_range) {
        pull->kind = PULL_RANGE;
        pull->low = lu.low;
        pull->high = lu.high;
        pull->low_inclusive = lu.low_inclusive;
        pull->high_inclusive = lu.high_inclusive;
        return true;
    }
    return ac->scans || refuse_where(ac, ac->reason ? ac->reason : "Query requires table scan to be enabled");
}

static bool enabled(const struct builder *b, const char *name)
{
    const struct str *value = b->env->properties ? map_get(b->env->properties, str_from(name)) : NULL;
    return value == NULL || str_eq_nocase(*value, STR("true"));
}

bool plan_build_access(struct builder *b, struct plan *plan)
{
    struct access ac = {.b = b,
                        .source = b->ask->sources[0].source,
                        .scans = enabled(b, "ksql.query.pull.table.scan.enabled"),
                        .ranges = enabled(b, "ksql.query.pull.range.scan.enabled")};
    struct pull_access *pull = &plan->pull;
    pull->kind = ac.source->kind == SOURCE_STREAM ? PULL_STREAM : PULL_SCAN;
    pull->window_start_min = pull->window_end_min = INT64_MIN;
    pull->window_start_max = pull->window_end_max = INT64_MAX;
    if (pull->kind == PULL_STREAM)
        return true;
    if (b->ask->where == NULL)
        return ac.scans || refuse_where(&ac, "Missing WHERE clause");
    if (!to_disjuncts(&ac, b->ask->where, &ac.disjuncts, &ac.disjunct_count))
        return ac.scans || refuse_where(&ac, "Query requires table scan to be enabled");
    return choose(&ac, pull);
}
