/* command.c - the command topic: every definition, in order, from which a restart rebuilds catalog and queries.
 *
 *   key    "stream/`X`/create"
 *   value  {"statement": text, "streamsProperties": {name: value, ...}, "version": 1}
 *
 * (D1) One writer: the control thread of the one process that has the data directory.
 * (D2) A record is durable before the statement takes effect; its offset numbers the statement's query (CSAS_X_7).
 * (D3) Replaying executes the same texts in the same order with the same properties, so that the same ids come out. A
 *      statement that cannot be executed again (its topic was deleted by hand, say) is reported and left out; the
 *      others stand.
 */
#include "engine/engine_int.h"

static struct str command_topic(const struct engine *engine, struct arena *arena)
{
    return str_printf(arena, "_confluent-ksql-%.*scommand_topic", STR_ARG(engine->options.service_id));
}

static void put_properties(struct json_writer *out, const struct map *properties)
{
    struct str name;
    void *value;
    json_object_begin(out);
    for (size_t pos = 0; map_next(properties, &pos, &name, &value);) {
        json_key(out, name);
        json_str(out, *(const struct str *)value);
    }
    json_object_end(out);
}

bool command_log_append(struct engine *engine, const struct prepared *prepared, int64_t *sequence,
                        struct err *err)
{
    *sequence = engine->command_next;
    if (engine->replaying)
        return true;
    struct buf value = {0};
    struct json_writer out = {.out = &value};
    json_object_begin(&out);
    json_key_str(&out, "statement", prepared->stmt->text);
    json_key_begin(&out, "streamsProperties");
    put_properties(&out, &prepared->properties);
    json_key_i64(&out, "version", 1);
    json_object_end(&out);
    bool done = client_writer_add(engine->command_writer, 0, clock_wall_ms(), prepared->command_id,
                                  buf_str(&value), STR(""), 0, err) &&
                client_writer_wait(engine->command_writer, err);
    buf_fini(&value);
    if (!done) {
        client_writer_reset(engine->command_writer);
        err_context(err, "the statement was not logged and has no effect");
        return false;
    }
    engine->command_next++;
    return true;
}

/* Executes one command record again. */
static void replay_command(struct engine *engine, const struct record *rec, struct arena *arena)
{
    struct err err = {0};
    struct session session = {.arena = arena};
    const struct json_value *command = json_parse(rec->value, arena, &err);
    struct str text = STR_NULL, failed = STR_NULL;
    struct buf answer = {0};
    struct json_writer out = {.out = &answer};
    engine->command_next = rec->offset;
    if (command != NULL && json_get_str(command, "statement", &text, &err)) {
        const struct json_value *properties = json_get(command, STR("streamsProperties"));
        session_init(&session, engine, NULL, arena);
        for (uint32_t i = 0; properties != NULL && properties->kind == JSON_OBJECT && i < properties->len;
             i++)
            session_set(&session, &session.properties, properties->members[i].name,
                        properties->members[i].value.str);
        if (statements_run_all(engine, text, &session, &out, &failed, arena, &err))
            err.code = ERR_NONE;
        session_fini(&session);
    }
    if (err.code != ERR_NONE)
        log_error("engine", "command_failed", "offset=%" PRId64 " statement=%.*s error=%s", rec->offset,
                  STR_ARG(text), err.text);
    buf_fini(&answer);
    engine->command_next = rec->offset + 1;
}

static bool replay_all(struct engine *engine, struct str topic, struct err *err)
{
    struct client_reader_options options = {.isolation = CLIENT_COMMITTED, .offset = CLIENT_EARLIEST};
    struct client_reader *reader = client_reader_new(engine->options.client, topic, 0, &options, err);
    if (reader == NULL)
        return false;
    bool done = true;
    struct arena arena = {0};
    engine->replaying = true;
    for (;;) {
        struct record rec;
        if (!(done = client_reader_poll(reader, err)))
            break;
        if (client_reader_take(reader, &rec, 1) == 0)
            break;
        do {
            if (rec.value.ptr != NULL)
                replay_command(engine, &rec, &arena);
            arena_reset(&arena);
        } while (client_reader_take(reader, &rec, 1) != 0);
    }
    engine->replaying = false;
    engine->command_next = MAX(engine->command_next, client_reader_position(reader));
    arena_fini(&arena);
    client_reader_free(reader);
    return done;
}

bool command_log_open(struct engine *engine, struct err *err)
{
    struct arena arena = {0};
    struct str topic = command_topic(engine, &arena);
    struct client_topic_config keep[] = {{STR("retention.ms"), STR("-1")},
                                         {STR("cleanup.policy"), STR("delete")}};
    bool done = client_partition_count(engine->options.client, topic) > 0 ||
                client_topic_create(engine->options.client, topic, 1, keep, COUNT_OF(keep), err);
    if (done)
        done = replay_all(engine, topic, err);
    if (done) {
        struct client_writer_options options = {.batch_bytes = 0};
        engine->command_writer = client_writer_new(engine->options.client, topic, &options, err);
        done = engine->command_writer != NULL;
    }
    if (!done)
        err_context(err, "command topic %.*s", STR_ARG(topic));
    arena_fini(&arena);
    return done;
}
