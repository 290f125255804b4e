/* plan_int.h - the state of building a plan, for src/plan only.
 *
 *   analysis ----> stage ----> stage ----> ... ----> sink
 *                  step, and where each field of the analysis is among its columns
 */
#ifndef RIALTO_PLAN_PLAN_INT_H
#define RIALTO_PLAN_PLAN_INT_H

#include "analyze/analysis.h"
#include "plan/plan.h"
#include "sql/sql.h"

/* An expression over fields whose value is a column of the stage's step. */
struct known_expr {
    const struct expr *expr;
    uint32_t column;
};

struct stage {
    struct step *step;
    int32_t *field_column; /* per field of the analysis: column of the step, or -1 */
    struct known_expr *known;
    uint32_t known_count;
};

struct builder {
    const struct analysis *ask;
    const struct analyze_env *env;
    struct arena *arena;
    struct err *err;
    vec(const struct step *) steps;
};

/* build.c */
struct step *plan_new_step(struct builder *b, enum step_kind kind, struct str name, const struct step *input);
void plan_mark_fields(const struct expr *expr, bool *used);
const struct expr *plan_stage_expr(struct builder *b, const struct stage *stage, const struct expr *expr);
struct source_format plan_key_format(const struct source_format *wanted, const struct column *columns,
                                     uint32_t count);
struct column plan_column_of(const struct analysis_field *field, enum column_role role);

/* join.c: the joined sources; `needed` are the fields that are read after the last join. */
bool plan_build_joins(struct builder *b, const bool *needed, struct stage *out);
/* source.c: one source with the fields that are needed of it. */
void plan_build_source(struct builder *b, uint32_t source, const bool *needed, bool keyed, struct stage *out);
/* PARTITION BY and the re-keying of a side of a join. */
void plan_build_rekey(struct builder *b, struct stage *stage, const struct expr *const *keys,
                      uint32_t key_count, const bool *needed, const struct source_format *format,
                      struct str name, bool repartition);
/* aggregate.c */
void plan_build_aggregate(struct builder *b, struct stage *stage);
/* pull.c: how a pull query reaches its rows. */
bool plan_build_access(struct builder *b, struct plan *plan);

#endif
