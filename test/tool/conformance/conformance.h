/* conformance.h - runs a peer's SQL cases against rialto in process and compares exactly.
 *
 *   file of cases (JSON lines) -> struct test_case -> run_query_case | run_script_case
 *       machine.c   engine in step mode, topics in memory, one driver a persistent query
 *       data.c      JSON form of a case's data <-> bytes of a topic's format
 *       compare.c   expected against actual, by the rules of the data's README, section 4
 *       post.c      conditions on the catalog
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include "engine/engine.h"
#include "flow/flow.h"
#include "json/json.h"

/* One case; everything lives in the arena of the file. */
struct test_case {
    const struct json_value *root;
    struct str id, suite, file, name;
};

/* False with *err: why the case fails. */
bool run_query_case(const struct test_case *test, struct err *err);
bool run_script_case(const struct test_case *test, struct err *err);
bool run_rest_case(const struct test_case *test, struct err *err);

/* Machine ----------------------------------------------------------------------------------------------------------- */

struct machine_query {
    struct str id;
    const struct plan *plan;
    struct flow_driver *driver;
};

struct machine {
    struct arena arena;
    struct client *client;
    struct engine *engine;
    struct map properties; /* name -> struct str * */
    vec(struct machine_query) queries;
    struct buf entities;      /* of the last machine_run */
    struct err runtime_error; /* the first record that failed in a way that ends a query */
};

bool machine_init(struct machine *machine, const struct json_value *properties, struct err *err);
void machine_set(struct machine *machine, struct str property, struct str value);
void machine_fini(struct machine *machine);

/* Runs statements. */
bool machine_run(struct machine *machine, struct str sql, struct err *err);

/* Makes drivers for queries that have none yet, and drops those of queries that are gone or were replaced. */
bool machine_sync_queries(struct machine *machine, struct err *err);

/* The source whose topic this is (the latest made), or NULL; a reference that the caller gives back. */
const struct source *machine_source_of(struct machine *machine, struct str topic);

/* Creates the topics that a case names. */
bool machine_create_topics(struct machine *machine, const struct json_value *topics, bool with_sinks,
                           struct err *err);

struct str case_text(const struct json_value *object, const char *name); /* STR_NULL when absent or null */
int64_t case_number(const struct json_value *object, const char *name, int64_t fallback);

/* Data -------------------------------------------------------------------------------------------------------------- */

struct machine_record { /* a record of a case as bytes */
    struct str topic, key, value, headers;
    int32_t header_count;
    int64_t timestamp_ms, offset;
};

/* JSON form to bytes, by the formats of the topic's source. */
bool data_encode(struct machine *machine, const struct json_value *input, struct machine_record *out,
                 struct err *err);

/* Bytes to a JSON tree that compares like the original's. Windows are cut off the key first. */
bool data_decode(const struct source *source, enum serde_side side, struct str bytes, struct json_value *out,
                 struct arena *arena, struct err *err);

/* Compare ----------------------------------------------------------------------------------------------------------- */

struct compare_rules {
    bool relaxed_doubles; /* use.exact.numeric.comparison is false */
    bool rest;            /* windows, headers and further records are not looked at */
};

bool compare_value(const struct json_value *expected, const struct json_value *actual,
                   const struct compare_rules *rules, struct buf *why);

/* One expected output against the record. */
bool compare_record(const struct source *source, const struct json_value *expected, const struct record *rec,
                    bool any_zero_time, const struct compare_rules *rules, struct arena *arena,
                    struct buf *why);

/* Compares all topics named in `outputs`. */
bool compare_outputs(struct machine *machine, const struct json_value *outputs, bool no_inputs,
                     const struct compare_rules *rules, struct err *err);

/* post.sources, post.topics, post.no_repartition. */
bool check_post(struct machine *machine, const struct json_value *post, struct err *err);

/* Does `text` contain what the case's error asks for? */
bool error_matches(const struct json_value *error, const struct err *got, struct err *err);

#endif
