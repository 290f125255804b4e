/* gen_int.h - made-up records: schemas as tables of field generators. */
#ifndef RIALTO_CLI_GEN_INT_H
#define RIALTO_CLI_GEN_INT_H

#include "base/base.h"

struct gen_schema;

/* By name; NULL when there is none. gen_schema_at walks all (NULL ends). */
const struct gen_schema *gen_schema_find(struct str name);
const struct gen_schema *gen_schema_at(size_t i);
const char *gen_schema_name(const struct gen_schema *schema);

/* Record n of a seed: always the same key and value, but for the time. Key and value are appended. Any thread. */
void gen_record(const struct gen_schema *schema, uint64_t seed, int64_t n, int64_t ts_ms, struct buf *key,
                struct buf *value);

#endif
