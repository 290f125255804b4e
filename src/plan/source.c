/* source.c - SOURCE steps: the columns of a topic that a query reads, and the pseudo columns that it
 * names. */
#include "plan/plan_int.h"

_Static_assert((int)FIELD_KEY == (int)ORIGIN_KEY && (int)FIELD_VALUE == (int)ORIGIN_VALUE &&
                   (int)FIELD_ROWTIME == (int)ORIGIN_ROWTIME &&
                   (int)FIELD_ROWPARTITION == (int)ORIGIN_ROWPARTITION &&
                   (int)FIELD_ROWOFFSET == (int)ORIGIN_ROWOFFSET &&
                   (int)FIELD_WINDOWSTART == (int)ORIGIN_WINDOWSTART &&
                   (int)FIELD_WINDOWEND == (int)ORIGIN_WINDOWEND,
               "the first fields of an analysis are the origins of source columns");

struct column plan_column_of(const struct analysis_field *field, enum column_role role)
{
    return (struct column){.name = field->internal, .type = field->type, .role = role};
}

/* A store of the table is needed where something asks for a row's earlier state, or for a row of another
 * topic. */
static bool needs_store(const struct analysis *ask, const struct source *source)
{
    return source->kind == SOURCE_TABLE && (ask->source_count > 1 || ask->where != NULL || ask->aggregated) &&
           ask->kind != ANALYSIS_PULL;
}

/* What ksqlDB calls a scalable push query: one source, no step with state, nothing that tells where a record was. */
static bool can_tap(const struct builder *b, const bool *needed)
{
    const struct analysis *ask = b->ask;
    if (!b->env->may_tap || ask->kind != ANALYSIS_PUSH || ask->source_count != 1 || ask->partition != NULL ||
        ask->aggregated || ask->having != NULL || ask->emit != EMIT_CHANGES)
        return false;
    for (uint32_t f = 0; f < ask->field_count; f++)
        if (needed[f] &&
            (ask->fields[f].kind == FIELD_ROWPARTITION || ask->fields[f].kind == FIELD_ROWOFFSET))
            return false;
    return true;
}

static struct str source_name(const struct analysis *ask, uint32_t source)
{
    if (ask->source_count == 1)
        return STR("KsqlTopic");
    return source == 0 ? STR("KafkaTopic_Left") : STR("KafkaTopic_Right");
}

void plan_build_source(struct builder *b, uint32_t i, const bool *needed, bool keyed, struct stage *out)
{
    const struct analysis_source *from = &b->ask->sources[i];
    const struct source *source = from->source;
    struct step *step = plan_new_step(b, STEP_SOURCE, source_name(b->ask, i), NULL);
    struct column *columns = arena_array(b->arena, struct column, from->field_count);
    struct source_column *origins = arena_array(b->arena, struct source_column, from->field_count);
    out->step = step;
    out->field_column = arena_array(b->arena, int32_t, b->ask->field_count);
    memset(out->field_column, -1, b->ask->field_count * sizeof *out->field_column);
    keyed |= source->kind == SOURCE_TABLE || source->window_kind != WINDOW_NONE;
    uint32_t keys = 0;
    for (uint32_t f = from->first_field; f < from->first_field + from->field_count; f++) {
        const struct analysis_field *field = &b->ask->fields[f];
        bool key = field->kind == FIELD_KEY;
        if (!needed[f] && !(key && keyed))
            continue;
        out->field_column[f] = (int32_t)step->column_count;
        origins[step->column_count] =
            (struct source_column){(enum source_column_origin)field->kind, field->index};
        columns[step->column_count++] = plan_column_of(field, key ? COLUMN_KEY : COLUMN_VALUE);
        keys += key;
    }
    if (keys == source->schema->key_count)
        step->key_count = keys;
    for (uint32_t c = 0; step->key_count == 0 && c < keys; c++)
        columns[c].role = COLUMN_VALUE;
    step->columns = columns;
    step->result_kind = source->kind;
    step->key_window = source->window_kind;
    step->key_window_size_ms = source->window_size_ms;
    step->source.source = source;
    step->source.origins = origins;
    step->source.materialize = needs_store(b->ask, source);
    step->source.tap = can_tap(b, needed);
    step->source.from_earliest = source->kind == SOURCE_TABLE && !step->source.tap;
}
