/* offsets.c - where the sink is, in the database: exactly once.
 *
 *   rialto_sink_offsets (connector, topic, partition, next_offset)     written in the transaction of the rows
 *
 * (O1) A session holds an advisory lock for each of its partitions before it reads the offsets. A process that was
 *      killed may have left a transaction on its way: its session, which ends when the server notices, holds the lock
 *      until then, so that the offsets read here are final.
 * (O2) The stored offset wins against the group's committed one, which is for the eyes of group tools.
 */
#include "connector/pg_sink/pg_sink_int.h"

static const char create_sql[] =
    "CREATE TABLE IF NOT EXISTS rialto_sink_offsets (connector text, topic text, "
    "\"partition\" int, next_offset bigint NOT NULL, "
    "PRIMARY KEY (connector, topic, \"partition\"))";

static const char lock_sql[] = "SELECT pg_advisory_lock(k) FROM (SELECT k FROM unnest($1::bigint[]) AS u(k) "
                               "ORDER BY k) AS s";

static const char read_sql[] = "SELECT topic, \"partition\", next_offset FROM rialto_sink_offsets "
                               "WHERE connector = $1";

static const struct str write_sql = STR_INIT(
    "INSERT INTO rialto_sink_offsets AS o (connector, topic, \"partition\", next_offset) "
    "SELECT $1, u.t, u.p, u.n FROM unnest($2::text[], $3::int[], $4::bigint[]) AS u(t, p, n) "
    "ON CONFLICT (connector, topic, \"partition\") DO UPDATE SET next_offset = EXCLUDED.next_offset");

static int64_t lock_key(struct str connector, const struct sink_position *owned)
{
    struct buf name = {0};
    buf_printf(&name, "%.*s/%.*s/%d", STR_ARG(connector), STR_ARG(owned->topic), owned->partition);
    int64_t key = (int64_t)hash_bytes(name.ptr, name.len);
    buf_fini(&name);
    return key;
}

static bool make_table(struct pg_sink *sink, struct err *err)
{
    struct pg_conn *conn = &sink->conn;
    PGresult *result;
    if (!pg_run(conn, "SELECT to_regclass('rialto_sink_offsets') IS NOT NULL", 0, NULL, &result, err))
        return false;
    bool exists = PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    /* Two tasks may do it at the same time: one of them fails, and the table is there. */
    if (exists || pg_run(conn, create_sql, 0, NULL, NULL, err) ||
        strstr(err->text, "SQLSTATE 23505") != NULL || strstr(err->text, "SQLSTATE 42P07") != NULL)
        return true;
    err_context(err, "table rialto_sink_offsets, which makes the sink exactly once, cannot be made");
    return false;
}

static bool lock_all(struct pg_sink *sink, struct err *err)
{
    struct pg_conn *conn = &sink->conn;
    struct buf keys = {0};
    buf_append_char(&keys, '{');
    for (size_t i = 0; i < sink->owned_count; i++)
        buf_printf(&keys, "%s%" PRId64, i != 0 ? "," : "",
                   lock_key(connect_task_connector(sink->task), &sink->owned[i]));
    buf_append_char(&keys, '}');
    const char *params[] = {keys.ptr};
    bool done = pg_run(conn, "SET lock_timeout = '5s'", 0, NULL, NULL, err) &&
                pg_run(conn, "SELECT pg_advisory_unlock_all()", 0, NULL, NULL, err);
    if (done && !pg_run(conn, lock_sql, 1, params, NULL, err)) {
        err_context(err, "another session still writes for this connector");
        done = false;
    }
    done = done && pg_run(conn, "SET lock_timeout = 0", 0, NULL, NULL, err);
    buf_fini(&keys);
    return done;
}

static void take_offset(struct pg_sink *sink, struct str topic, int32_t partition, int64_t offset)
{
    for (size_t i = 0; i < sink->owned_count; i++)
        if (sink->owned[i].partition == partition && str_eq(sink->owned[i].topic, topic))
            sink->owned[i].offset = offset;
}

bool offsets_read(struct pg_sink *sink, struct err *err)
{
    struct arena arena = {0};
    const char *params[] = {str_cstr(connect_task_connector(sink->task), &arena)};
    PGresult *result = NULL;
    bool done = make_table(sink, err) && lock_all(sink, err) &&
                pg_run(&sink->conn, read_sql, 1, params, &result, err);
    for (size_t i = 0; i < sink->owned_count; i++)
        sink->owned[i].offset = -1;
    for (int i = 0; done && i < PQntuples(result); i++) {
        int32_t partition;
        int64_t offset;
        if (str_to_i32(str_from(PQgetvalue(result, i, 1)), &partition) &&
            str_to_i64(str_from(PQgetvalue(result, i, 2)), &offset))
            take_offset(sink, str_from(PQgetvalue(result, i, 0)), partition, offset);
    }
    PQclear(result);
    arena_fini(&arena);
    return done;
}

struct pg_statement offsets_statement(struct pg_sink *sink, const struct sink_position *positions,
                                      size_t count, struct arena *arena)
{
    struct buf topics = {0}, partitions = {0}, offsets = {0};
    for (size_t i = 0; i < count; i++) {
        const char *comma = i != 0 ? "," : "{";
        buf_printf(&topics, "%s\"%.*s\"", comma, STR_ARG(positions[i].topic)); /* [a-zA-Z0-9._-] */
        buf_printf(&partitions, "%s%d", comma, positions[i].partition);
        buf_printf(&offsets, "%s%" PRId64, comma, positions[i].offset);
    }
    struct buf *all[] = {&topics, &partitions, &offsets};
    struct pg_statement statement = {write_sql, 4, arena_array(arena, const char *, 4)};
    statement.params[0] = str_cstr(connect_task_connector(sink->task), arena);
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        buf_append_cstr(all[i], count != 0 ? "}" : "{}");
        statement.params[i + 1] = str_dup(buf_str(all[i]), arena).ptr;
        buf_fini(all[i]);
    }
    return statement;
}
