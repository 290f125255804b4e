/* keep.c - the plan of a source table: its rows are kept as they come, for pull queries.
 *
 *     SINK (no topic, materialize)
 *       SOURCE, all columns, from the start
 */
#include "plan/plan_int.h"

static void source_step(struct step *step, const struct source *source, struct arena *arena)
{
    const struct schema *schema = source->schema;
    struct source_column *origins = arena_array(arena, struct source_column, schema->column_count);
    for (uint32_t i = 0; i < schema->column_count; i++)
        origins[i] = (struct source_column){i < schema->key_count ? ORIGIN_KEY : ORIGIN_VALUE, i};
    *step = (struct step){.kind = STEP_SOURCE,
                          .name = STR("KsqlTopic"),
                          .result_kind = source->kind,
                          .columns = schema->columns,
                          .column_count = schema->column_count,
                          .key_count = schema->key_count,
                          .key_window = source->window_kind,
                          .key_window_size_ms = source->window_size_ms};
    step->source.source = source;
    step->source.origins = origins;
    step->source.from_earliest = true;
}

struct plan *plan_keep_table(const struct source *source)
{
    struct arena *arena = mem_new(struct arena);
    struct plan *plan = arena_new(arena, struct plan);
    struct step *read = arena_new(arena, struct step), *keep = arena_new(arena, struct step);
    const struct step **steps = arena_array(arena, const struct step *, 2);
    const struct source **sources = arena_array(arena, const struct source *, 1);
    ASSERT(source->kind == SOURCE_TABLE);
    sources[0] = source_ref(source);
    source_step(read, source, arena);
    *keep = *read;
    keep->kind = STEP_SINK;
    keep->id = 1;
    keep->name = source->name;
    keep->input = read;
    memset(&keep->sink, 0, sizeof keep->sink);
    keep->sink.timestamp_column = -1;
    keep->sink.topic_retention_ms = -1;
    keep->sink.materialize = true;
    steps[0] = read;
    steps[1] = keep;
    *plan = (struct plan){.kind = QUERY_PERSISTENT,
                          .sink = keep,
                          .steps = steps,
                          .step_count = 2,
                          .sources = sources,
                          .source_count = 1,
                          .limit = -1,
                          .arena = arena};
    return plan;
}
