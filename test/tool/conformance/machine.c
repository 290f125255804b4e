/* machine.c - an engine in step mode over topics in memory, and the drivers of its queries. */
#include "conformance.h"

struct str case_text(const struct json_value *object, const char *name)
{
    const struct json_value *member = json_get(object, str_from(name));
    return member == NULL || member->kind == JSON_NULL ? STR_NULL : member->str;
}

int64_t case_number(const struct json_value *object, const char *name, int64_t fallback)
{
    int64_t n;
    const struct json_value *member = json_get(object, str_from(name));
    return member != NULL && json_to_i64(member, &n) ? n : fallback;
}

void machine_set(struct machine *machine, struct str name, struct str value)
{
    struct str *copy = arena_new(&machine->arena, struct str);
    *copy = str_dup(value, &machine->arena);
    map_put(&machine->properties, name, copy);
}

bool machine_init(struct machine *machine, const struct json_value *properties, struct err *err)
{
    *machine = (struct machine){0};
    machine_set(machine, STR("ksql.persistence.default.format.key"), STR("KAFKA"));
    machine_set(machine, STR("auto.offset.reset"), STR("earliest"));
    for (uint32_t i = 0; properties != NULL && properties->kind == JSON_OBJECT && i < properties->len; i++) {
        const struct json_value *value = &properties->members[i].value;
        machine_set(machine, properties->members[i].name,
                    value->kind == JSON_BOOL ? (value->b ? STR("true") : STR("false")) : value->str);
    }
    machine->client = client_memory_new();
    struct engine_options options = {.client = machine->client,
                                     .service_id = STR("default_"),
                                     .properties = &machine->properties};
    return engine_open(&machine->engine, &options, err);
}

void machine_fini(struct machine *machine)
{
    for (size_t i = 0; i < machine->queries.len; i++)
        flow_driver_free(machine->queries.at[i].driver);
    vec_fini(&machine->queries);
    engine_close(machine->engine);
    client_free(machine->client);
    map_fini(&machine->properties);
    buf_fini(&machine->entities);
    arena_fini(&machine->arena);
}

bool machine_run(struct machine *machine, struct str sql, struct err *err)
{
    struct str failed;
    buf_clear(&machine->entities);
    return engine_run(machine->engine, sql, NULL, &machine->entities, &failed, &machine->arena, err);
}

static bool make_driver(struct machine *machine, struct machine_query *query,
                        const struct func_settings *settings, bool fail_on_timestamp, struct err *err)
{
    struct flow_driver_options options = {
        .client = machine->client,
        .query = {.id = query->id,
                  .reset = FLOW_EARLIEST,
                  .func_settings = settings,
                  .fail_on_timestamp = fail_on_timestamp},
    };
    query->driver = flow_driver_new(query->plan, &options, err);
    return query->driver != NULL;
}

static struct machine_query *find_query(struct machine *machine, struct str id)
{
    for (size_t i = 0; i < machine->queries.len; i++)
        if (str_eq(machine->queries.at[i].id, id))
            return &machine->queries.at[i];
    return NULL;
}

/* Drops the drivers of queries that are gone. */
static void drop_ended(struct machine *machine)
{
    struct func_settings settings;
    bool fail_on_timestamp;
    struct str id;
    for (size_t i = machine->queries.len; i-- > 0;) {
        bool found = false;
        for (uint32_t q = 0; engine_plan_at(machine->engine, q, &id, &settings, &fail_on_timestamp) != NULL;
             q++)
            found = found || str_eq(id, machine->queries.at[i].id);
        if (!found) {
            flow_driver_free(machine->queries.at[i].driver);
            vec_remove(&machine->queries, i);
        }
    }
}

bool machine_sync_queries(struct machine *machine, struct err *err)
{
    struct func_settings settings;
    bool fail_on_timestamp;
    struct str id;
    const struct plan *plan;
    drop_ended(machine);
    for (uint32_t q = 0;
         (plan = engine_plan_at(machine->engine, q, &id, &settings, &fail_on_timestamp)) != NULL; q++) {
        struct machine_query *old = find_query(machine, id);
        if (old != NULL && old->plan == plan)
            continue;
        if (old != NULL) { /* CREATE OR REPLACE */
            if (!flow_driver_replace(old->driver, plan, err))
                return false;
            old->plan = plan;
            continue;
        }
        struct machine_query query = {.id = str_dup(id, &machine->arena), .plan = plan};
        if (!make_driver(machine, &query, &settings, fail_on_timestamp, err))
            return false;
        vec_push(&machine->queries, query);
    }
    return true;
}

const struct source *machine_source_of(struct machine *machine, struct str topic)
{
    const struct catalog *catalog = engine_catalog(machine->engine);
    const struct source *found = NULL, *at;
    for (uint32_t i = 0; (at = catalog_source_at(catalog, i)) != NULL; i++)
        if (str_eq(at->topic, topic))
            found = at;
    if (found != NULL)
        source_ref(found);
    catalog_unref(catalog);
    return found;
}

bool machine_create_topics(struct machine *machine, const struct json_value *topics, bool with_sinks,
                           struct err *err)
{
    for (uint32_t i = 0; topics != NULL && topics->kind == JSON_ARRAY && i < topics->len; i++) {
        const struct json_value *topic = &topics->elems[i];
        struct str name = case_text(topic, "name");
        if (str_eq(case_text(topic, "role"), STR("sink")) && !with_sinks)
            continue;
        if (client_partition_count(machine->client, name) > 0)
            continue;
        int64_t partitions = case_number(topic, "statement_partitions", case_number(topic, "partitions", 4));
        if (!client_topic_create(machine->client, name, (int32_t)partitions, NULL, 0, err))
            return false;
    }
    return true;
}

bool error_matches(const struct json_value *error, const struct err *got, struct err *err)
{
    static const char *const members[] = {"message", "cause_message"};
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        struct str wanted = case_text(error, members[i]);
        if (!str_is_null(wanted) && str_find(str_from(got->text), wanted) < 0)
            return err_set(err, ERR_ASSERTION, "error text differs\n      expected: %.*s\n      got:      %s",
                           STR_ARG(wanted), got->text);
    }
    int64_t status = case_number(error, "status", -1);
    if (status >= 0 && status != err_http_status(got->code))
        return err_set(err, ERR_ASSERTION, "HTTP status %" PRId64 " expected, got %d: %s", status,
                       err_http_status(got->code), got->text);
    return true;
}
