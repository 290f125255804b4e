/* insert.c - INSERT INTO ... VALUES: one row, serialized with the source's formats, durable before the answer. */
#include "engine/engine_int.h"

bool prepare_insert_values(struct sandbox *box, struct session *session, struct prepared *prepared,
                           struct arena *arena, struct err *err)
{
    struct analyze_env env = sandbox_env(box, session);
    const struct source *known = catalog_source(box->catalog, prepared->stmt->name);
    uint32_t columns = known != NULL ? known->schema->column_count : 1;
    prepared->values = arena_array(arena, struct value, columns);
    const struct source *target;
    if (!analyze_insert_values(&env, prepared->stmt, &target, prepared->values, &prepared->rowtime_ms, arena,
                               err))
        return false;
    prepared->target = source_ref(target);
    return true;
}

static enum serde_wrap wrap_of(const struct source_format *format)
{
    return format->wrap == WRAP_SINGLES     ? SERDE_WRAP
           : format->wrap == UNWRAP_SINGLES ? SERDE_UNWRAP
                                            : SERDE_WRAP_DEFAULT;
}

/* Serializes one side of a row; *null_record when it has no bytes. */
static bool encode_side(const struct source *source, enum serde_side side, const struct value *values,
                        struct buf *out, bool *null_record, struct err *err)
{
    const struct schema *schema = source->schema;
    const struct source_format *format = side == SERDE_KEY ? &source->key_format : &source->value_format;
    uint32_t first = side == SERDE_KEY ? 0 : schema->key_count;
    uint32_t count = side == SERDE_KEY ? schema->key_count : schema->column_count - schema->key_count;
    *null_record = true;
    if (count == 0)
        return true;
    struct serde_options options = {.delimiter = format->delimiter,
                                    .wrap = wrap_of(format),
                                    .topic = source->topic};
    struct serde *serde =
        serde_new(serde_format_find(format->name), side, schema->columns + first, count, &options, err);
    if (serde == NULL)
        return false;
    const struct value **cols = mem_zalloc(count, sizeof *cols);
    for (uint32_t i = 0; i < count; i++)
        cols[i] = &values[first + i];
    bool done = serde_encode(serde, cols, 0, out, null_record, err);
    free(cols);
    serde_free(serde);
    return done;
}

bool execute_insert_values(struct engine *engine, struct prepared *prepared, struct json_writer *out,
                           struct arena *arena, struct err *err)
{
    const struct source *source = prepared->target;
    struct buf key = {0}, value = {0};
    bool null_key, null_value;
    struct client_writer *writer = NULL;
    struct client_writer_options options = {.batch_bytes = 0};
    bool done = encode_side(source, SERDE_KEY, prepared->values, &key, &null_key, err) &&
                encode_side(source, SERDE_VALUE, prepared->values, &value, &null_value, err);
    if (done) {
        writer = client_writer_new(engine->options.client, source->topic, &options, err);
        int64_t time_ms = prepared->rowtime_ms >= 0 ? prepared->rowtime_ms : clock_wall_ms();
        done = writer != NULL &&
               client_writer_add(writer, -1, time_ms, null_key ? STR_NULL : buf_str(&key),
                                 null_value ? STR_NULL : buf_str(&value), STR(""), 0, err) &&
               client_writer_wait(writer, err);
        client_writer_free(writer);
    }
    if (!done)
        err_context(err, "Failed to insert values into '%.*s'", STR_ARG(source->name));
    buf_fini(&key);
    buf_fini(&value);
    return done;
}
