/* join.c - JOIN steps, left-deep; a side that is not keyed by the joined value is re-keyed first.
 *
 *   columns of a join:  [key] [left columns that are read later] [right columns that are read later]
 *
 * The key column stands for one field of the analysis (or for none, a synthetic key that nobody selects).
 * The other side's column of the same name is carried beside it: in an outer join it can be NULL where the
 * key is not.
 */
#include "plan/plan_int.h"

/* Fields that are read after join i: what the rest of the query reads, and the left sides of later joins. */
static bool *needed_after(struct builder *b, uint32_t i, const bool *needed)
{
    bool *after = arena_dup(b->arena, needed, b->ask->field_count * sizeof *needed);
    for (uint32_t k = i + 1; k + 1 < b->ask->source_count; k++)
        plan_mark_fields(b->ask->joins[k].left, after);
    return after;
}

static enum step_kind join_step_kind(const struct analysis_join *join, const struct step *left,
                                     const struct step *right)
{
    if (join->foreign_key)
        return STEP_JOIN_FOREIGN_KEY;
    if (right->result_kind == SOURCE_STREAM)
        return STEP_JOIN_STREAM_STREAM;
    return left->result_kind == SOURCE_STREAM ? STEP_JOIN_STREAM_TABLE : STEP_JOIN_TABLE_TABLE;
}

/* Keys of different formats lie on different partitions. */
static bool formats_differ(const struct source_format *a, const struct source_format *b)
{
    return !str_eq(a->name, b->name) || a->delimiter != b->delimiter || a->wrap != b->wrap;
}

/* Both sides come to be keyed by the joined value, written in one format. */
static void meet(struct builder *b, const struct analysis_join *join, uint32_t i, struct stage *left,
                 struct stage *right, const bool *after)
{
    const struct source_format *left_format = &b->ask->sources[0].source->key_format;
    const struct source_format *right_format = &b->ask->sources[i + 1].source->key_format;
    bool differ = formats_differ(left_format, right_format) && b->ask->sources[0].source->partition_count > 1;
    bool move_left = !join->left_keyed, move_right = !join->right_keyed;
    if (differ && !move_left && !move_right)
        move_left = left->step->result_kind == SOURCE_STREAM && right->step->result_kind == SOURCE_TABLE,
        move_right = !move_left;
    const struct source_format *format = move_left && !move_right ? right_format : left_format;
    if (move_left)
        plan_build_rekey(b, left, &join->left, 1, after, format, STR("LeftSourceKeyed"), true);
    if (move_right)
        plan_build_rekey(b, right, &join->right, 1, after, format, STR("RightSourceKeyed"), true);
}

/* Adds the columns of one side that are read later and are not the key; the result counts them. */
static uint32_t carry_side(struct builder *b, struct stage *out, struct column *columns,
                           const struct stage *side, const bool *after, const uint32_t **carried)
{
    uint32_t *list = arena_array(b->arena, uint32_t, b->ask->field_count);
    uint32_t count = 0;
    for (uint32_t f = 0; f < b->ask->field_count; f++) {
        if (side->field_column[f] < 0 || !after[f] || out->field_column[f] >= 0)
            continue;
        out->field_column[f] = (int32_t)out->step->column_count;
        columns[out->step->column_count++] = plan_column_of(&b->ask->fields[f], COLUMN_VALUE);
        list[count++] = (uint32_t)side->field_column[f];
    }
    *carried = list;
    return count;
}

static void set_keys(struct builder *b, const struct analysis_join *join, bool last, struct stage *out,
                     struct column *columns, const struct stage *left)
{
    struct step *step = out->step;
    if (join->foreign_key) {
        for (uint32_t k = 0; k < left->step->key_count; k++) {
            uint32_t field = b->ask->sources[0].first_field + k;
            out->field_column[field] = (int32_t)k;
            columns[k] = plan_column_of(&b->ask->fields[field], COLUMN_KEY);
        }
        step->column_count = step->key_count = left->step->key_count;
        return;
    }
    columns[0] = (struct column){.name = STR("ROWKEY"), .type = join->left->type, .role = COLUMN_KEY};
    if (join->key_field >= 0) {
        columns[0] = plan_column_of(&b->ask->fields[join->key_field], COLUMN_KEY);
        out->field_column[join->key_field] = 0;
    }
    for (uint32_t f = 0; last && f < b->ask->field_count; f++)
        if (b->ask->fields[f].kind == FIELD_JOIN_KEY) {
            columns[0] = plan_column_of(&b->ask->fields[f], COLUMN_KEY);
            out->field_column[f] = 0;
        }
    step->column_count = step->key_count = 1;
}

static void build_join(struct builder *b, uint32_t i, struct stage *left, struct stage *right,
                       const bool *after, struct stage *out)
{
    const struct analysis_join *join = &b->ask->joins[i];
    bool last = i + 2 == b->ask->source_count;
    if (!join->foreign_key)
        meet(b, join, i, left, right, after);
    enum step_kind kind = join_step_kind(join, left->step, right->step);
    struct step *step =
        plan_new_step(b, kind, last ? STR("Join") : str_printf(b->arena, "L_Join"), left->step);
    step->right = right->step;
    step->result_kind = left->step->result_kind;
    step->key_window = left->step->key_window;
    step->key_window_size_ms = left->step->key_window_size_ms;
    out->step = step;
    out->known_count = 0;
    out->field_column = arena_array(b->arena, int32_t, b->ask->field_count);
    memset(out->field_column, -1, b->ask->field_count * sizeof *out->field_column);
    struct column *columns =
        arena_array(b->arena, struct column, b->ask->field_count + left->step->key_count + 1);
    set_keys(b, join, last, out, columns, left);
    step->join.kind = join->kind;
    step->join.before_ms = join->before_ms;
    step->join.after_ms = join->after_ms;
    step->join.grace_ms = join->grace_ms;
    step->join.synthetic_key = join->synthetic;
    step->join.foreign_key = join->foreign_key ? plan_stage_expr(b, left, join->left) : NULL;
    step->join.left_count = carry_side(b, out, columns, left, after, &step->join.left_columns);
    step->join.right_count = carry_side(b, out, columns, right, after, &step->join.right_columns);
    step->columns = columns;
}

bool plan_build_joins(struct builder *b, const bool *needed, struct stage *out)
{
    const struct analysis *ask = b->ask;
    bool *first = needed_after(b, 0, needed);
    plan_mark_fields(ask->joins[0].left, first);
    plan_build_source(b, 0, first, ask->joins[0].left_keyed, out);
    for (uint32_t i = 0; i + 1 < ask->source_count; i++) {
        struct stage left = *out, right = {0};
        bool *after = needed_after(b, i, needed);
        bool *right_needs = arena_dup(b->arena, after, ask->field_count * sizeof *after);
        plan_mark_fields(ask->joins[i].right, right_needs);
        plan_build_source(b, i + 1, right_needs, ask->joins[i].right_keyed, &right);
        build_join(b, i, &left, &right, after, out);
    }
    return true;
}
