/* compile.c - from a typed tree to a program: instructions over registers.
 *
 *   compile_operand  where the value can be read: column, constant, slot, or the register it was computed into
 *   compile_into     computes into a given register
 *
 * (G1) Constant subtrees are evaluated here; one that fails stays, so that its rows fail when they are
 *      evaluated.
 * (G2) A node that the tree holds twice (BETWEEN's value, CASE's operand) is computed once: its
 *      register is held in `held` until the selection under which it was computed ends.
 * (G3) Branches that may not run (right sides of AND and OR, arms of CASE) stand between SELECT_...
 *      and SELECT_END.
 * Registers are reused as soon as they are read, so that a run stays in the cache.
 */
#include "expr/expr_int.h"

#define NO_OPERAND UINT32_MAX

struct held {
    const struct expr *expr;
    uint32_t operand;
};

struct compiler {
    struct arena *arena;
    vec(struct instr) instrs;
    vec(struct operand) operands;
    vec(struct value) constants;
    vec(uint32_t) free_registers;
    vec(struct held) held;
    struct map seen; /* node -> itself, or &shared_mark once it was met again */
    uint32_t register_count, select_level, select_depth, slot_count;
    bool fold;
};

static const char shared_mark;

static void compile_into(struct compiler *c, const struct expr *expr, uint32_t reg);
static const struct expr_program *compile_program(const struct expr *expr, bool fold, uint32_t *slot_count,
                                                  struct arena *arena);

static struct str pointer_key(const struct expr *const *expr)
{
    return str_of((const char *)expr, sizeof *expr);
}

static void find_shared(struct compiler *c, const struct expr *expr)
{
    if (expr->arg_count == 0 || expr->kind == EXPR_LAMBDA)
        return;
    if (map_has(&c->seen, pointer_key(&expr))) {
        map_put(&c->seen, pointer_key(&expr), (void *)&shared_mark);
        return;
    }
    map_put(&c->seen, pointer_key(&expr), (void *)expr);
    for (uint32_t i = 0; i < expr->arg_count; i++)
        find_shared(c, expr->args[i]);
}

static uint32_t operand_id(struct compiler *c, enum lane_kind kind, uint32_t index)
{
    for (uint32_t i = 0; i < c->operands.len; i++)
        if (c->operands.at[i].kind == kind && c->operands.at[i].index == index)
            return i;
    vec_push(&c->operands, (struct operand){kind, index});
    return (uint32_t)c->operands.len - 1;
}

static uint32_t constant_operand(struct compiler *c, struct value v)
{
    vec_push(&c->constants, v);
    return operand_id(c, LANE_CONSTANT, (uint32_t)c->constants.len - 1);
}

static uint32_t take_register(struct compiler *c)
{
    if (c->free_registers.len > 0)
        return c->free_registers.at[--c->free_registers.len];
    return c->register_count++;
}

static bool is_held(const struct compiler *c, uint32_t operand)
{
    for (size_t i = 0; i < c->held.len; i++)
        if (c->held.at[i].operand == operand)
            return true;
    return false;
}

static void release(struct compiler *c, uint32_t operand)
{
    if (c->operands.at[operand].kind == LANE_REGISTER && !is_held(c, operand))
        vec_push(&c->free_registers, c->operands.at[operand].index);
}

static struct instr *emit(struct compiler *c, enum instr_op op, const struct expr *expr, uint32_t dst,
                          uint32_t a, uint32_t b)
{
    vec_push(&c->instrs, (struct instr){.op = op, .dst = dst, .a = a, .b = b, .ast = expr->ast});
    return &vec_last(&c->instrs);
}

/* Opens a selection; returns what select_close needs. */
struct open_selection {
    size_t instr, held;
};

static struct open_selection select_open(struct compiler *c, enum instr_op op, const struct expr *expr,
                                         uint32_t dst, uint32_t a)
{
    emit(c, op, expr, dst, a, 0);
    c->select_level++;
    c->select_depth = MAX(c->select_depth, c->select_level);
    return (struct open_selection){c->instrs.len - 1, c->held.len};
}

static void select_close(struct compiler *c, const struct expr *expr, struct open_selection open)
{
    emit(c, INSTR_SELECT_END, expr, 0, 0, 0);
    c->instrs.at[open.instr].target = (uint32_t)c->instrs.len;
    c->select_level--;
    while (c->held.len > open.held) {
        uint32_t operand = vec_last(&c->held).operand;
        c->held.len--;
        release(c, operand);
    }
}

/* Tries to evaluate a constant subtree now. */
static bool fold(struct compiler *c, const struct expr *expr, struct value *out)
{
    static const struct func_settings settings = {INT32_MAX, INT32_MAX};
    if (!c->fold || expr->kind == EXPR_LAMBDA || !expr_is_constant(expr))
        return false;
    struct expr_ctx *ctx = expr_ctx_new(&settings, NULL, NULL);
    const struct expr_program *program = compile_program(expr, false, &c->slot_count, c->arena);
    bool failed = false;
    expr_eval(ctx, program, NULL, 1, out, &failed, c->arena);
    expr_ctx_free(ctx);
    return !failed;
}

static uint32_t compile_operand(struct compiler *c, const struct expr *expr)
{
    struct value v;
    switch (expr->kind) {
    case EXPR_LITERAL:
        return constant_operand(c, expr->literal);
    case EXPR_COLUMN:
        return operand_id(c, LANE_COLUMN, expr->index);
    case EXPR_LAMBDA_PARAM:
        return operand_id(c, LANE_SLOT, expr->index);
    default:
        break;
    }
    for (size_t i = 0; i < c->held.len; i++)
        if (c->held.at[i].expr == expr)
            return c->held.at[i].operand;
    if (fold(c, expr, &v))
        return constant_operand(c, v);
    uint32_t reg = take_register(c);
    compile_into(c, expr, reg);
    uint32_t operand = operand_id(c, LANE_REGISTER, reg);
    if (map_get(&c->seen, pointer_key(&expr)) == (void *)&shared_mark)
        vec_push(&c->held, (struct held){expr, operand});
    return operand;
}

static void compile_unary(struct compiler *c, enum instr_op op, const struct expr *expr, uint32_t reg,
                          const void *data)
{
    uint32_t a = compile_operand(c, expr->args[0]);
    emit(c, op, expr, reg, a, a)->data = data;
    release(c, a);
}

static struct instr *compile_binary(struct compiler *c, enum instr_op op, const struct expr *expr,
                                    uint32_t reg)
{
    uint32_t a = compile_operand(c, expr->args[0]);
    uint32_t b = compile_operand(c, expr->args[1]);
    struct instr *in = emit(c, op, expr, reg, a, b);
    release(c, a);
    if (b != a)
        release(c, b);
    return in;
}

static void compile_arithmetic(struct compiler *c, const struct expr *expr, uint32_t reg)
{
    uint32_t step = expr->op - OP_ADD;
    enum instr_op first = expr->type->kind == SQL_INTEGER  ? INSTR_ADD_INT
                          : expr->type->kind == SQL_BIGINT ? INSTR_ADD_BIGINT
                          : expr->type->kind == SQL_DOUBLE ? INSTR_ADD_DOUBLE
                                                           : INSTR_ADD_DECIMAL;
    compile_binary(c, first + step, expr, reg)->data = expr->type;
}

static void compile_negate(struct compiler *c, const struct expr *expr, uint32_t reg)
{
    enum instr_op op = expr->type->kind == SQL_INTEGER  ? INSTR_NEG_INT
                       : expr->type->kind == SQL_BIGINT ? INSTR_NEG_BIGINT
                       : expr->type->kind == SQL_DOUBLE ? INSTR_NEG_DOUBLE
                                                        : INSTR_NEG_DECIMAL;
    compile_unary(c, op, expr, reg, NULL);
}

static bool is_i64(enum sql_kind kind)
{
    return kind == SQL_INTEGER || kind == SQL_BIGINT || kind == SQL_DATE || kind == SQL_TIME ||
           kind == SQL_TIMESTAMP;
}

static bool is_bytes(enum sql_kind kind)
{
    return kind == SQL_STRING || kind == SQL_BYTES;
}

static enum instr_op compare_instr(enum ast_op op, enum sql_kind kind)
{
    if (op == OP_DISTINCT)
        return INSTR_DISTINCT;
    if (op == OP_NOT_DISTINCT)
        return INSTR_NOT_DISTINCT;
    uint32_t step = op - OP_EQ;
    if (is_i64(kind))
        return INSTR_EQ_I64 + step;
    if (kind == SQL_DOUBLE)
        return INSTR_EQ_DOUBLE + step;
    if (is_bytes(kind) && (op == OP_EQ || op == OP_NE))
        return INSTR_EQ_BYTES + step;
    return INSTR_EQ_VALUE + step;
}

/* Whether the expression gives true or false for every row that does not fail. */
static bool never_null(const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_COMPARE:
    case EXPR_AND:
    case EXPR_OR:
    case EXPR_NOT:
    case EXPR_IS_NULL:
    case EXPR_IN:
        return true;
    default:
        return false;
    }
}

static void compile_boolean(struct compiler *c, const struct expr *expr, uint32_t reg)
{
    compile_into(c, expr, reg);
    if (!never_null(expr)) {
        uint32_t at = operand_id(c, LANE_REGISTER, reg);
        emit(c, INSTR_CHECK_BOOLEAN, expr, reg, at, at);
    }
}

static void compile_logic(struct compiler *c, const struct expr *expr, uint32_t reg)
{
    compile_boolean(c, expr->args[0], reg);
    enum instr_op op = expr->kind == EXPR_AND ? INSTR_SELECT_TRUE : INSTR_SELECT_FALSE;
    struct open_selection open = select_open(c, op, expr, 0, operand_id(c, LANE_REGISTER, reg));
    compile_boolean(c, expr->args[1], reg);
    select_close(c, expr, open);
}

static void compile_case(struct compiler *c, const struct expr *expr, uint32_t reg)
{
    uint32_t branches = expr->arg_count / 2;
    struct open_selection all = select_open(c, INSTR_SELECT_ALL, expr, 0, 0);
    for (uint32_t i = 0; i < branches; i++) {
        uint32_t when = compile_operand(c, expr->args[2 * i]);
        struct open_selection open = select_open(c, INSTR_SELECT_WHEN, expr->args[2 * i], reg, when);
        release(c, when);
        compile_into(c, expr->args[2 * i + 1], reg);
        select_close(c, expr, open);
    }
    compile_into(c, expr->args[2 * branches], reg);
    select_close(c, expr, all);
}

static void compile_list(struct compiler *c, enum instr_op op, const struct expr *expr, uint32_t reg,
                         struct instr_list *list)
{
    uint32_t *operands = arena_array(c->arena, uint32_t, expr->arg_count);
    for (uint32_t i = 0; i < expr->arg_count; i++)
        operands[i] = expr->args[i]->kind == EXPR_LAMBDA ? NO_OPERAND : compile_operand(c, expr->args[i]);
    list->operands = operands;
    list->count = expr->arg_count;
    emit(c, op, expr, reg, 0, 0)->data = list;
    for (uint32_t i = 0; i < expr->arg_count; i++) {
        bool again = false;
        for (uint32_t k = 0; k < i && !again; k++)
            again = operands[k] == operands[i];
        if (operands[i] != NO_OPERAND && !again)
            release(c, operands[i]);
    }
}

static void compile_call(struct compiler *c, const struct expr *expr, uint32_t reg)
{
    struct instr_list *list = arena_new(c->arena, struct instr_list);
    const struct expr_program **lambdas = arena_array(c->arena, const struct expr_program *, expr->arg_count);
    uint32_t *slots = arena_array(c->arena, uint32_t, expr->arg_count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < expr->arg_count; i++) {
        const struct expr *arg = expr->args[i];
        if (arg->kind != EXPR_LAMBDA)
            continue;
        slots[count] = arg->index;
        c->slot_count = MAX(c->slot_count, arg->index + arg->ast->name_count);
        lambdas[count++] = compile_program(arg->args[0], c->fold, &c->slot_count, c->arena);
    }
    list->call = expr->call;
    list->lambdas = lambdas;
    list->lambda_slots = slots;
    compile_list(c, INSTR_CALL, expr, reg, list);
}

/* The constant elements are one instruction; the others are compared one after the other, as far as
 * needed. */
static void compile_in(struct compiler *c, const struct expr *expr, uint32_t reg)
{
    const struct sql_type *type = expr->args[0]->type;
    uint32_t value = compile_operand(c, expr->args[0]);
    struct instr_list *list = arena_new(c->arena, struct instr_list);
    uint32_t *constants = arena_array(c->arena, uint32_t, expr->arg_count);
    for (uint32_t i = 1; i < expr->arg_count; i++)
        if (expr->args[i]->kind == EXPR_LITERAL)
            constants[list->count++] = constant_operand(c, expr->args[i]->literal);
    list->operands = constants;
    enum instr_op op = is_i64(type->kind)     ? INSTR_IN_I64
                       : is_bytes(type->kind) ? INSTR_IN_BYTES
                                              : INSTR_IN_VALUE;
    emit(c, op, expr, reg, value, value)->data = list;
    vec(struct open_selection) opens = {0};
    for (uint32_t i = 1; i < expr->arg_count; i++) {
        if (expr->args[i]->kind == EXPR_LITERAL)
            continue;
        vec_push(&opens, select_open(c, INSTR_SELECT_FALSE, expr, 0, operand_id(c, LANE_REGISTER, reg)));
        uint32_t elem = compile_operand(c, expr->args[i]);
        emit(c, compare_instr(OP_EQ, type->kind), expr, reg, value, elem);
        release(c, elem);
    }
    while (opens.len > 0) {
        select_close(c, expr, vec_last(&opens));
        opens.len--;
    }
    vec_fini(&opens);
    release(c, value);
}

static void compile_like(struct compiler *c, const struct expr *expr, uint32_t reg)
{
    struct instr_like *like = arena_new(c->arena, struct instr_like);
    like->escape = expr->ast->kind == AST_LIKE ? expr->ast->text : STR_NULL;
    const struct expr *pattern = expr->args[1];
    if (pattern->kind == EXPR_LITERAL && !value_is_null(pattern->literal))
        like->constant = like_compile(value_slice(pattern->literal), like->escape, c->arena);
    compile_binary(c, INSTR_LIKE, expr, reg)->data = like;
}

static void compile_conversion(struct compiler *c, const struct expr *expr, uint32_t reg)
{
    enum sql_kind from = expr->args[0]->type->kind, to = expr->type->kind;
    if (from == SQL_INTEGER && to == SQL_BIGINT) {
        compile_unary(c, INSTR_TO_BIGINT, expr, reg, NULL);
    } else if ((from == SQL_INTEGER || from == SQL_BIGINT) && to == SQL_DOUBLE) {
        compile_unary(c, INSTR_TO_DOUBLE, expr, reg, NULL);
    } else {
        struct instr_cast *cast = arena_new(c->arena, struct instr_cast);
        *cast = (struct instr_cast){expr->args[0]->type, expr->type, expr->kind == EXPR_CAST};
        compile_unary(c, INSTR_CAST, expr, reg, cast);
    }
}

static void compile_field(struct compiler *c, const struct expr *expr, uint32_t reg)
{
    uint32_t *index = arena_new(c->arena, uint32_t);
    *index = expr->index;
    compile_unary(c, INSTR_FIELD, expr, reg, index);
}

static void compile_node(struct compiler *c, const struct expr *expr, uint32_t reg)
{
    struct instr_list *list = NULL;
    switch (expr->kind) {
    case EXPR_ARITHMETIC:
        compile_arithmetic(c, expr, reg);
        break;
    case EXPR_NEGATE:
        compile_negate(c, expr, reg);
        break;
    case EXPR_CONCAT:
        compile_binary(c, INSTR_CONCAT, expr, reg);
        break;
    case EXPR_COMPARE:
        compile_binary(c, compare_instr(expr->op, expr->args[0]->type->kind), expr, reg);
        break;
    case EXPR_AND:
    case EXPR_OR:
        compile_logic(c, expr, reg);
        break;
    case EXPR_NOT:
        compile_unary(c, INSTR_NOT, expr, reg, NULL);
        break;
    case EXPR_IS_NULL:
        compile_unary(c, expr->negated ? INSTR_IS_NOT_NULL : INSTR_IS_NULL, expr, reg, NULL);
        break;
    case EXPR_LIKE:
        compile_like(c, expr, reg);
        break;
    case EXPR_IN:
        compile_in(c, expr, reg);
        break;
    case EXPR_CASE:
        compile_case(c, expr, reg);
        break;
    case EXPR_CAST:
    case EXPR_COERCE:
        compile_conversion(c, expr, reg);
        break;
    case EXPR_FIELD:
        compile_field(c, expr, reg);
        break;
    case EXPR_SUBSCRIPT:
        compile_binary(c, expr->args[0]->type->kind == SQL_MAP ? INSTR_SUBSCRIPT_MAP : INSTR_SUBSCRIPT_ARRAY,
                       expr, reg);
        break;
    case EXPR_ARRAY:
    case EXPR_MAP:
    case EXPR_STRUCT:
        list = arena_new(c->arena, struct instr_list);
        compile_list(c, INSTR_ARRAY + (expr->kind - EXPR_ARRAY), expr, reg, list);
        break;
    case EXPR_CALL:
        compile_call(c, expr, reg);
        break;
    default:
        UNREACHABLE(); /* leaves are operands; aggregates were replaced by columns; lambdas belong to calls */
    }
}

static void compile_into(struct compiler *c, const struct expr *expr, uint32_t reg)
{
    bool leaf = expr->kind == EXPR_LITERAL || expr->kind == EXPR_COLUMN || expr->kind == EXPR_LAMBDA_PARAM;
    struct value v;
    uint32_t operand = NO_OPERAND;
    for (size_t i = 0; i < c->held.len; i++)
        if (c->held.at[i].expr == expr)
            operand = c->held.at[i].operand;
    if (operand == NO_OPERAND && leaf)
        operand = compile_operand(c, expr);
    if (operand == NO_OPERAND && fold(c, expr, &v))
        operand = constant_operand(c, v);
    if (operand != NO_OPERAND)
        emit(c, INSTR_MOVE, expr, reg, operand, operand);
    else
        compile_node(c, expr, reg);
}

static const struct expr_program *compile_program(const struct expr *expr, bool fold, uint32_t *slot_count,
                                                  struct arena *arena)
{
    struct compiler c = {.arena = arena, .fold = fold, .register_count = 1, .slot_count = *slot_count};
    find_shared(&c, expr);
    operand_id(&c, LANE_REGISTER, 0);
    compile_into(&c, expr, 0);
    struct expr_program *program = arena_new(arena, struct expr_program);
    program->instrs = arena_dup(arena, c.instrs.at, c.instrs.len * sizeof *c.instrs.at);
    program->instr_count = (uint32_t)c.instrs.len;
    program->operands = arena_dup(arena, c.operands.at, c.operands.len * sizeof *c.operands.at);
    program->operand_count = (uint32_t)c.operands.len;
    program->constants = arena_dup(arena, c.constants.at, c.constants.len * sizeof *c.constants.at);
    program->register_count = c.register_count;
    program->select_depth = c.select_depth;
    program->slot_count = *slot_count = c.slot_count;
    vec_fini(&c.instrs);
    vec_fini(&c.operands);
    vec_fini(&c.constants);
    vec_fini(&c.free_registers);
    vec_fini(&c.held);
    map_fini(&c.seen);
    return program;
}

const struct expr_program *expr_compile(const struct expr *expr, struct arena *arena)
{
    uint32_t slot_count = 0;
    return compile_program(expr, true, &slot_count, arena);
}

void expr_program_print(const struct expr_program *program, struct buf *out)
{
    static const char *const names[] = {
#define I(name) [INSTR_##name] = #name,
#include "expr/instrs.def"
#undef I
    };
    static const char kinds[] = {
        [LANE_REGISTER] = 'r', [LANE_COLUMN] = 'c', [LANE_CONSTANT] = 'k', [LANE_SLOT] = 's'};
    for (uint32_t i = 0; i < program->instr_count; i++) {
        const struct instr *in = &program->instrs[i];
        buf_printf(out, "%u %s r%u", i, names[in->op], in->dst);
        bool list = in->op >= INSTR_ARRAY && in->op <= INSTR_CALL;
        const struct instr_list *operands = list ? in->data : NULL;
        for (uint32_t k = 0; k < (list ? operands->count : in->a == in->b ? 1 : 2); k++) {
            uint32_t id = list ? operands->operands[k] : k == 0 ? in->a : in->b;
            if (id != NO_OPERAND)
                buf_printf(out, " %c%u", kinds[program->operands[id].kind], program->operands[id].index);
        }
        if (list && operands->call != NULL)
            buf_printf(out, " %.*s", STR_ARG(operands->call->name));
        if (in->target != 0)
            buf_printf(out, " -> %u", in->target);
        buf_append_char(out, '\n');
    }
}
