/* pg_sink.c - the PostgreSQL sink: its options and its life.
 *
 *   open   connect, lock the partitions, read their offsets (offsets.c)
 *   put    records -> statements + offsets, one transaction (write.c); a lost connection: again from open, and if the
 *          stored offsets are those of this batch it was committed just before the loss
 *
 * (P1) Rows and offsets are committed together: nothing is lost or written twice, in insert mode too.
 * (P2) No retries here: what can be tried again is ERR_UNAVAILABLE, and the core comes back.
 */
#include "connector/pg_sink/pg_sink_int.h"

static bool check_url(const struct conf_option *option, struct str text, struct err *err)
{
    struct pg_settings settings = {.url = text};
    struct pg_params params;
    struct arena arena = {0};
    bool good = pg_url_parse(&settings, &params, &arena, err);
    arena_fini(&arena);
    return good;
}

static bool check_dialect(const struct conf_option *option, struct str text, struct err *err)
{
    return text.len == 0 || str_starts_with(text, STR("PostgreSql")) ||
           err_set(err, ERR_INVALID_CONFIG, "this sink speaks PostgreSqlDatabaseDialect only");
}

static bool check_zone(const struct conf_option *option, struct str text, struct err *err)
{
    struct time_formats *times = time_formats_new();
    bool good = time_zone_get(times, text, err) != NULL;
    time_formats_free(times);
    return good;
}

static const char *const insert_words[] = {"insert", "upsert", "update", NULL};
static const char *const pk_words[] = {"none", "kafka", "record_key", "record_value", NULL};
static const char *const quote_words[] = {"always", "never", NULL};

#define AT(member) CONF_AT(struct pg_settings, member)

static const struct conf_option options[] = {
    {"connection.url", CONF_STRING, .required = true, .check = check_url, .importance = CONF_HIGH,
     .group = "Connection", .display_name = "JDBC URL",
     .doc = "jdbc:postgresql://host:port/database?parameter=value, or a postgresql:// URL as libpq takes it.",
     AT(url)},
    {"connection.user", CONF_STRING, .importance = CONF_HIGH, .group = "Connection",
     .display_name = "JDBC User", .doc = "User name; wins against the URL's.", AT(user)},
    {"connection.password", CONF_PASSWORD, .importance = CONF_HIGH, .group = "Connection",
     .display_name = "JDBC Password", .doc = "Password; wins against the URL's.", AT(password)},
    {"dialect.name", CONF_STRING, "", .check = check_dialect, .importance = CONF_LOW, .group = "Connection",
     .display_name = "Database Dialect", .doc = "Empty or PostgreSqlDatabaseDialect.", AT(dialect)},
    {"insert.mode", CONF_ENUM, "insert", .words = insert_words, .importance = CONF_HIGH, .group = "Writes",
     .display_name = "Insert Mode",
     .doc = "insert: each record is a new row. upsert: by primary key, new or changed. update: only rows "
            "that are "
            "there.",
     AT(insert_mode)},
    {"batch.size", CONF_INT, "3000", .min = 1, .max = 100000, .kafka_type = "INT", .importance = CONF_MEDIUM,
     .group = "Writes", .display_name = "Batch Size", .doc = "Most rows of one statement.", AT(batch_size)},
    {"delete.enabled", CONF_BOOL, "false", .importance = CONF_MEDIUM, .group = "Writes",
     .display_name = "Enable deletes",
     .doc = "A null value deletes the row of its key. Needs pk.mode=record_key.", AT(delete_enabled)},
    {"table.name.format", CONF_STRING, "${topic}", .importance = CONF_MEDIUM, .group = "Data Mapping",
     .display_name = "Table Name Format", .doc = "Name of the table; ${topic} stands for the topic.",
     AT(table_format)},
    {"pk.mode", CONF_ENUM, "none", .words = pk_words, .importance = CONF_HIGH, .group = "Data Mapping",
     .display_name = "Primary Key Mode",
     .doc = "Where the primary key comes from: nowhere, topic and offset, the record's key, or fields of its "
            "value.",
     AT(pk_mode)},
    {"pk.fields", CONF_LIST, "", .importance = CONF_MEDIUM, .group = "Data Mapping",
     .display_name = "Primary Key Fields",
     .doc = "Names of the primary key's columns. Empty: all fields. For a bare key: its name.",
     AT(pk_fields)},
    {"fields.whitelist", CONF_LIST, "", .importance = CONF_MEDIUM, .group = "Data Mapping",
     .display_name = "Fields Whitelist", .doc = "Fields of the value to write. Empty: all.", AT(whitelist)},
    {"db.timezone", CONF_STRING, "UTC", .check = check_zone, .importance = CONF_MEDIUM,
     .group = "Data Mapping", .display_name = "DB time zone",
     .doc = "Zone in which instants are written to columns without zone.", AT(time_zone)},
    {"string.output.value.column.name", CONF_STRING, "record_value", .importance = CONF_LOW,
     .group = "Data Mapping", .display_name = "Column of texts",
     .doc = "Column for values that are a bare text.", AT(value_column)},
    {"auto.create", CONF_BOOL, "false", .importance = CONF_MEDIUM, .group = "DDL Support",
     .display_name = "Auto-Create", .doc = "Makes a missing table from the schema of its first records.",
     AT(auto_create)},
    {"auto.evolve", CONF_BOOL, "false", .importance = CONF_MEDIUM, .group = "DDL Support",
     .display_name = "Auto-Evolve", .doc = "Adds missing columns.", AT(auto_evolve)},
    {"quote.sql.identifiers", CONF_ENUM, "always", .words = quote_words, .importance = CONF_MEDIUM,
     .group = "DDL Support", .display_name = "Quote Identifiers",
     .doc = "never: names of tables and columns are folded to lower case by PostgreSQL.", AT(quote)},
    {"max.retries", CONF_INT, "-1", .min = -1, .max = INT32_MAX, .kafka_type = "INT",
     .importance = CONF_MEDIUM, .group = "Retries", .display_name = "Maximum Retries",
     .doc = "Tries of a batch after the first; -1: as long as it takes.", AT(retries_max)},
    {"retry.backoff.ms", CONF_INT, "3000", .min = 1, .max = 86400000, .kafka_type = "INT",
     .importance = CONF_MEDIUM, .group = "Retries", .display_name = "Retry Backoff",
     .doc = "Longest pause between two tries, in milliseconds; the first are shorter.", AT(backoff_ms)},
};

static const struct conf_table table = {"pg_sink", options, COUNT_OF(options), sizeof(struct pg_settings)};

static bool check(const void *settings_, const char **key, struct err *err)
{
    const struct pg_settings *settings = settings_;
    *key = "delete.enabled";
    if (settings->delete_enabled && settings->pk_mode != PK_RECORD_KEY)
        return err_set(err, ERR_INVALID_CONFIG, "Deletes are only supported for pk.mode record_key");
    *key = "pk.mode";
    if (settings->insert_mode != INSERT_INSERT && settings->pk_mode == PK_NONE)
        return err_set(
            err, ERR_INVALID_CONFIG,
            "insert.mode %s requires key field names to be known, check the primary key configuration: set "
            "pk.mode",
            insert_words[settings->insert_mode]);
    *key = "pk.fields";
    if (settings->pk_mode == PK_KAFKA && settings->pk_fields.len != 0 && settings->pk_fields.len != 3)
        return err_set(err, ERR_INVALID_CONFIG,
                       "pk.mode kafka takes three names (topic, partition, offset), or none");
    return true;
}

/* Life --------------------------------------------------------------------------------------------------- */

static void *start(struct connect_task *task, const void *settings_)
{
    struct pg_sink *sink = mem_new(struct pg_sink);
    const struct pg_settings *settings = settings_;
    struct err err;
    sink->task = task;
    sink->settings = settings;
    sink->conn.task = task;
    sink->never_quote = settings->quote == 1;
    sink->times = time_formats_new();
    sink->zone = time_zone_get(sink->times, settings->time_zone, &err);
    if (sink->zone == NULL) /* it was there when the configuration was checked */
        sink->zone = time_zone_utc();
    connect_task_set_retry(task, settings->retries_max, settings->backoff_ms);
    return sink;
}

static void drop_connection(struct pg_sink *sink)
{
    pg_disconnect(&sink->conn);
    table_forget_all(sink);
    sink->ready = false;
}

/* Connected, partitions locked, their offsets known. */
static bool make_ready(struct pg_sink *sink, struct err *err)
{
    if (sink->ready)
        return true;
    if (sink->conn.pq == NULL && !pg_connect(&sink->conn, sink->settings, err))
        return false;
    sink->ready = offsets_read(sink, err);
    if (!sink->ready)
        drop_connection(sink);
    return sink->ready;
}

static void own(struct pg_sink *sink, const struct sink_position *positions, size_t count)
{
    for (size_t i = 0; i < sink->owned_count; i++)
        free((char *)sink->owned[i].topic.ptr);
    free(sink->owned);
    sink->owned = mem_zalloc(count, sizeof *sink->owned);
    sink->owned_count = count;
    for (size_t i = 0; i < count; i++) {
        sink->owned[i] = positions[i];
        sink->owned[i].topic.ptr = mem_dup(positions[i].topic.ptr, positions[i].topic.len);
    }
}

static bool open_partitions(void *instance, struct sink_position *positions, size_t count, struct err *err)
{
    struct pg_sink *sink = instance;
    own(sink, positions, count);
    sink->ready = false;
    if (!make_ready(sink, err))
        return false;
    for (size_t i = 0; i < count; i++)
        positions[i].offset = sink->owned[i].offset;
    return true;
}

/* Are these the offsets that the database has already? */
static bool is_stored(const struct pg_sink *sink, const struct sink_position *positions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool stored = false;
        for (size_t k = 0; k < sink->owned_count && !stored; k++)
            stored = sink->owned[k].partition == positions[i].partition &&
                     str_eq(sink->owned[k].topic, positions[i].topic) &&
                     sink->owned[k].offset == positions[i].offset;
        if (!stored)
            return false;
    }
    return true;
}

static bool put(void *instance, const struct sink_record *records, size_t count,
                const struct sink_position *positions, size_t position_count, struct err *err)
{
    struct pg_sink *sink = instance;
    bool fresh = !sink->ready;
    if (!make_ready(sink, err))
        return false;
    if (fresh && is_stored(sink, positions, position_count))
        return true;
    bool done = write_records(sink, records, count, positions, position_count, err);
    if (!done && err->code == ERR_STATEMENT && PQstatus(sink->conn.pq) == CONNECTION_OK) {
        /* The table may have been changed by others: look at it again, once. */
        table_forget_all(sink);
        pg_forget_prepared(&sink->conn);
        done = write_records(sink, records, count, positions, position_count, err);
    }
    if (!done)
        drop_connection(sink);
    return done;
}

static void stop(void *instance)
{
    struct pg_sink *sink = instance;
    drop_connection(sink);
    own(sink, NULL, 0);
    free(sink->owned);
    map_fini(&sink->tables);
    arena_fini(&sink->tables_arena);
    arena_fini(&sink->batch);
    time_formats_free(sink->times);
    free(sink);
}

static const char *const aliases[] = {"io.confluent.connect.jdbc.JdbcSinkConnector",
                                      "io.aiven.connect.jdbc.JdbcSinkConnector", "JdbcSink",
                                      "PostgresSinkConnector", NULL};

const struct connector_class pg_sink_class = {
    .name = "PostgresSink",
    .aliases = aliases,
    .kind = CONNECTOR_SINK,
    .version = RIALTO_VERSION,
    .doc = "Writes records to PostgreSQL tables, exactly once.",
    .options = &table,
    .check = check,
    .start = start,
    .open = open_partitions,
    .put = put,
    .stop = stop,
};
