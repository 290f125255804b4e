/* entity.c - what /ksql answers, as tables.
 *
 * One table says for each "@type" which array holds the rows, and for each column its title and the path of its value.
 * Types that are no list have a function. An entity that nobody knows is printed as JSON: nothing is swallowed.
 */
#include "cli/session_int.h"

struct column_path {
    const char *title, *key, *path; /* path: members separated by dots */
    bool raw;
};

struct list_entity {
    const char *type, *rows; /* the member with the array; NULL: a type with a function */
    struct column_path columns[8];
    const char *footer;
};

static const struct list_entity lists[] = {
    {"streams",
     "streams",
     {{"Stream Name", "name", "name", false},
      {"Kafka Topic", "topic", "topic", false},
      {"Key Format", "keyFormat", "keyFormat", false},
      {"Value Format", "valueFormat", "valueFormat", false},
      {"Windowed", "isWindowed", "isWindowed", false}},
     NULL},
    {"tables",
     "tables",
     {{"Table Name", "name", "name", false},
      {"Kafka Topic", "topic", "topic", false},
      {"Key Format", "keyFormat", "keyFormat", false},
      {"Value Format", "valueFormat", "valueFormat", false},
      {"Windowed", "isWindowed", "isWindowed", false}},
     NULL},
    {"kafka_topics",
     "topics",
     {{"Kafka Topic", "name", "name", false}, {"Partitions", "replicaInfo", "replicaInfo.#", true}},
     NULL},
    {"kafka_topics_extended",
     "topics",
     {{"Kafka Topic", "name", "name", false},
      {"Partitions", "replicaInfo", "replicaInfo.#", true},
      {"Consumers", "consumerCount", "consumerCount", true},
      {"ConsumerGroups", "consumerGroupCount", "consumerGroupCount", true}},
     NULL},
    {"queries",
     "queries",
     {{"Query ID", "id", "id", false},
      {"Query Type", "queryType", "queryType", false},
      {"Status", "state", "state", false},
      {"Sink Name", "sinks", "sinks", false},
      {"Sink Kafka Topic", "sinkKafkaTopics", "sinkKafkaTopics", false},
      {"Query String", "queryString", "queryString", false}},
     "For detailed information on a Query run: EXPLAIN <Query ID>;"},
    {"properties",
     "properties",
     {{"Property", "name", "name", false},
      {"Scope", "scope", "scope", false},
      {"Level", "level", "level", false},
      {"Effective Value", "value", "value", false}},
     NULL},
    {"function_names",
     "functions",
     {{"Function Name", "name", "name", false},
      {"Category", "category", "category", false},
      {"Type", "type", "type", false}},
     "For detailed information about a function, run: DESCRIBE FUNCTION <Function Name>;"},
    {"variables",
     "variables",
     {{"Variable Name", "name", "name", false}, {"Value", "value", "value", false}},
     NULL},
    {"connector_list",
     "connectors",
     {{"Connector Name", "name", "name", false},
      {"Type", "type", "type", false},
      {"Class", "className", "className", false},
      {"Status", "state", "state", false}},
     NULL},
    {"connector_plugins_list",
     "connectorsPlugins",
     {{"Class", "className", "className", false},
      {"Type", "type", "type", false},
      {"Version", "version", "version", false}},
     NULL},
};

static struct str member_text(const struct json_value *object, const char *name, struct arena *arena)
{
    const struct json_value *value = json_get(object, str_from(name));
    return value == NULL || value->kind == JSON_NULL ? STR("") : rest_text(value, arena);
}

/* Value at a path; ".#" is the length of an array; arrays of names are joined by commas. */
static struct str path_text(const struct json_value *value, const char *path, struct arena *arena)
{
    struct str rest = str_from(path), part;
    while (value != NULL && str_split(&rest, '.', &part)) {
        if (str_eq(part, STR("#")))
            return str_printf(arena, "%u", value->kind == JSON_ARRAY ? value->len : 0);
        value = json_get(value, part);
    }
    if (value == NULL || value->kind == JSON_NULL)
        return STR("");
    if (value->kind != JSON_ARRAY)
        return rest_text(value, arena);
    struct buf out = {0};
    for (uint32_t i = 0; i < value->len; i++)
        buf_printf(&out, "%s%.*s", i > 0 ? "," : "", STR_ARG(rest_text(&value->elems[i], arena)));
    struct str text = str_dup(buf_str(&out), arena);
    buf_fini(&out);
    return text;
}

/* On a terminal a statement of many lines takes one. */
static struct str one_line(struct str text, struct arena *arena)
{
    char *out = arena_alloc_bytes(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i] == '\n' || text.ptr[i] == '\t' ? ' ' : text.ptr[i];
        if (c != ' ' || len == 0 || out[len - 1] != ' ')
            out[len++] = c;
    }
    return str_of(out, len);
}

/* A table in the session's form, which may be another than stdout's. */
static void open_table(struct table *table, const struct session *session, const struct table_column *columns,
                       size_t count)
{
    table_init(table, session->cli, columns, count);
    table->form = session->form;
    table->header = session->form != TABLE_LINES || session->header;
}

static void print_list(struct session *session, const struct list_entity *list,
                       const struct json_value *entity)
{
    const struct json_value *rows = json_get(entity, str_from(list->rows));
    struct table_column columns[COUNT_OF(list->columns)];
    size_t count = 0;
    for (; count < COUNT_OF(list->columns) && list->columns[count].title != NULL; count++)
        columns[count] = (struct table_column){str_from(list->columns[count].title),
                                               str_from(list->columns[count].key), list->columns[count].raw};
    struct table table;
    open_table(&table, session, columns, count);
    for (uint32_t i = 0; rows != NULL && rows->kind == JSON_ARRAY && i < rows->len; i++) {
        struct str cells[COUNT_OF(list->columns)];
        for (size_t c = 0; c < count; c++)
            cells[c] =
                one_line(path_text(&rows->elems[i], list->columns[c].path, &table.arena), &table.arena);
        table_row(&table, cells);
    }
    table_print(&table);
    table_fini(&table);
    if (list->footer != NULL && session->interactive)
        printf("%s\n", list->footer);
}

/* Types that are no lists --------------------------------------------------------------------------------- */

static void print_field(const char *title, struct str value)
{
    if (value.len > 0)
        printf("%-20s : %.*s\n", title, STR_ARG(value));
}

/* STRING, DECIMAL(10, 2), ARRAY<...>: a SchemaInfo as a type. */
static void append_type(struct buf *out, const struct json_value *schema)
{
    struct str type = STR_NULL;
    const struct json_value *fields = json_get(schema, STR("fields")),
                            *member = json_get(schema, STR("memberSchema"));
    const struct json_value *parameters = json_get(schema, STR("parameters"));
    ignore(!json_get_str(schema, "type", &type, NULL), "an unknown type is printed as nothing");
    buf_append_str(out, str_eq(type, STR("STRING")) ? STR("VARCHAR(STRING)")
                        : str_is_null(type)         ? STR("")
                                                    : type);
    if (parameters != NULL && parameters->kind == JSON_OBJECT) {
        struct arena arena = {0};
        buf_printf(out, "(%.*s, %.*s)", STR_ARG(member_text(parameters, "precision", &arena)),
                   STR_ARG(member_text(parameters, "scale", &arena)));
        arena_fini(&arena);
    }
    if (fields != NULL && fields->kind == JSON_ARRAY) {
        buf_append_char(out, '<');
        for (uint32_t i = 0; i < fields->len; i++) {
            struct str name = STR_NULL;
            ignore(!json_get_str(&fields->elems[i], "name", &name, NULL),
                   "an unnamed field is shown without name");
            buf_printf(out, "%s%.*s ", i > 0 ? ", " : "", STR_ARG(name));
            append_type(out, json_get(&fields->elems[i], STR("schema")));
        }
        buf_append_char(out, '>');
    } else if (member != NULL && member->kind == JSON_OBJECT) {
        buf_append_cstr(out, str_eq(type, STR("MAP")) ? "<STRING, " : "<");
        append_type(out, member);
        buf_append_char(out, '>');
    }
}

static void print_fields(struct session *session, const struct json_value *fields, bool is_table,
                         struct str window)
{
    static const struct table_column columns[] = {{STR_INIT("Field"), STR_INIT("name"), false},
                                                  {STR_INIT("Type"), STR_INIT("type"), false}};
    struct table table;
    open_table(&table, session, columns, COUNT_OF(columns));
    for (uint32_t i = 0; fields != NULL && fields->kind == JSON_ARRAY && i < fields->len; i++) {
        struct buf type = {0};
        struct str role = member_text(&fields->elems[i], "type", &table.arena);
        append_type(&type, json_get(&fields->elems[i], STR("schema")));
        if (str_eq(role, STR("KEY"))) {
            buf_append_cstr(&type, is_table ? " (primary key)" : " (key)");
            if (window.len > 0)
                buf_printf(&type, " (Window type: %.*s)", STR_ARG(window));
        } else if (str_eq(role, STR("HEADER"))) {
            struct str key = member_text(&fields->elems[i], "headerKey", &table.arena);
            if (key.len > 0)
                buf_printf(&type, " (header('%.*s'))", STR_ARG(key));
            else
                buf_append_cstr(&type, " (headers)");
        }
        struct str cells[] = {member_text(&fields->elems[i], "name", &table.arena), buf_str(&type)};
        table_row(&table, cells);
        buf_fini(&type);
    }
    table_print(&table);
    table_fini(&table);
}

static void print_queries(const char *title, const struct json_value *queries, struct arena *arena)
{
    if (queries == NULL || queries->kind != JSON_ARRAY || queries->len == 0)
        return;
    printf("\n%s\n", title);
    for (uint32_t i = 0; i < queries->len; i++)
        printf("%.*s (%.*s) : %.*s\n", STR_ARG(member_text(&queries->elems[i], "id", arena)),
               STR_ARG(member_text(&queries->elems[i], "state", arena)),
               STR_ARG(one_line(member_text(&queries->elems[i], "queryString", arena), arena)));
}

static void print_source(struct session *session, const struct json_value *source, struct arena *arena)
{
    bool is_table = str_eq(member_text(source, "type", arena), STR("TABLE"));
    const struct json_value *extended = json_get(source, STR("extended"));
    print_field("Name", member_text(source, "name", arena));
    if (extended != NULL && extended->b) {
        print_field("Type", member_text(source, "type", arena));
        print_field("Timestamp field", member_text(source, "timestamp", arena));
        print_field("Key format", member_text(source, "keyFormat", arena));
        print_field("Value format", member_text(source, "valueFormat", arena));
        printf("%-20s : %.*s (partitions: %.*s, replication: %.*s)\n", "Kafka topic",
               STR_ARG(member_text(source, "topic", arena)),
               STR_ARG(member_text(source, "partitions", arena)),
               STR_ARG(member_text(source, "replication", arena)));
        print_field("Statement", member_text(source, "statement", arena));
    }
    printf("\n");
    print_fields(session, json_get(source, STR("fields")), is_table,
                 member_text(source, "windowType", arena));
    if (extended == NULL || !extended->b) {
        if (session->interactive)
            printf("For runtime statistics and query details run: DESCRIBE <Stream,Table> EXTENDED;\n");
        return;
    }
    print_queries("Queries that read from this source", json_get(source, STR("readQueries")), arena);
    print_queries("Queries that write into this source", json_get(source, STR("writeQueries")), arena);
    print_field("\nStatistics", member_text(source, "statistics", arena));
}

static void print_query(struct session *session, const struct json_value *query, struct arena *arena)
{
    print_field("ID", member_text(query, "id", arena));
    print_field("Query Type", member_text(query, "queryType", arena));
    print_field("State", member_text(query, "state", arena));
    print_field("SQL", member_text(query, "statementText", arena));
    print_field("Sources", path_text(query, "sources", arena));
    print_field("Sinks", path_text(query, "sinks", arena));
    printf("\n");
    print_fields(session, json_get(query, STR("fields")), false, member_text(query, "windowType", arena));
    struct str plan = member_text(query, "executionPlan", arena),
               topology = member_text(query, "topology", arena);
    if (plan.len > 0)
        printf("\nExecution plan\n--------------\n%.*s\n", STR_ARG(plan));
    if (topology.len > 0)
        printf("\nProcessing topology\n-------------------\n%.*s\n", STR_ARG(topology));
}

static void print_function(struct session *session, const struct json_value *entity, struct arena *arena)
{
    const struct json_value *functions = json_get(entity, STR("functions"));
    print_field("Name", member_text(entity, "name", arena));
    print_field("Author", member_text(entity, "author", arena));
    print_field("Version", member_text(entity, "version", arena));
    print_field("Overview", member_text(entity, "description", arena));
    print_field("Type", member_text(entity, "type", arena));
    for (uint32_t i = 0; functions != NULL && functions->kind == JSON_ARRAY && i < functions->len; i++) {
        const struct json_value *arguments = json_get(&functions->elems[i], STR("arguments"));
        printf("\n%.*s(", STR_ARG(member_text(entity, "name", arena)));
        for (uint32_t k = 0; arguments != NULL && arguments->kind == JSON_ARRAY && k < arguments->len; k++) {
            const struct json_value *variadic = json_get(&arguments->elems[k], STR("isVariadic"));
            printf("%s%.*s %.*s%s", k > 0 ? ", " : "",
                   STR_ARG(member_text(&arguments->elems[k], "name", arena)),
                   STR_ARG(member_text(&arguments->elems[k], "type", arena)),
                   variadic != NULL && variadic->b ? "..." : "");
        }
        printf(") returns %.*s\n", STR_ARG(member_text(&functions->elems[i], "returnType", arena)));
        struct str doc = member_text(&functions->elems[i], "description", arena);
        if (doc.len > 0)
            printf("  %.*s\n", STR_ARG(doc));
    }
}

static void print_types(struct session *session, const struct json_value *entity)
{
    static const struct table_column columns[] = {{STR_INIT("Type Name"), STR_INIT("name"), false},
                                                  {STR_INIT("Schema"), STR_INIT("schema"), false}};
    const struct json_value *types = json_get(entity, STR("types"));
    struct table table;
    open_table(&table, session, columns, COUNT_OF(columns));
    for (uint32_t i = 0; types != NULL && types->kind == JSON_OBJECT && i < types->len; i++) {
        struct buf type = {0};
        append_type(&type, &types->members[i].value);
        struct str cells[] = {types->members[i].name, buf_str(&type)};
        table_row(&table, cells);
        buf_fini(&type);
    }
    table_print(&table);
    table_fini(&table);
}

static void print_each(struct session *session, const struct json_value *list, struct arena *arena,
                       bool source)
{
    for (uint32_t i = 0; list != NULL && list->kind == JSON_ARRAY && i < list->len; i++) {
        printf("%s", i > 0 ? "\n" : "");
        if (source)
            print_source(session, &list->elems[i], arena);
        else
            print_query(session, &list->elems[i], arena);
    }
}

/* The first line of a message: what follows is the statement. */
static void print_message(struct session *session, struct str message)
{
    struct str line = message;
    ignore(!str_split(&message, '\n', &line), "an empty message prints an empty line");
    if (session->form == TABLE_ALIGNED || session->interactive)
        printf("%.*s\n", STR_ARG(line));
    else
        fprintf(stderr, "%.*s\n", STR_ARG(line));
}

static void print_json(const struct json_value *entity)
{
    struct buf out = {0};
    struct json_writer writer = {.out = &out};
    json_tree(&writer, entity);
    printf("%s\n", out.ptr);
    buf_fini(&out);
}

static void print_entity(struct session *session, const struct json_value *entity, struct arena *arena)
{
    struct str type = member_text(entity, "@type", arena);
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        if (str_eq_cstr(type, lists[i].type)) {
            print_list(session, &lists[i], entity);
            return;
        }
    }
    if (str_eq(type, STR("currentStatus")))
        print_message(session, member_text(json_get(entity, STR("commandStatus")), "message", arena));
    else if (str_eq(type, STR("warning_entity")))
        print_message(session, member_text(entity, "message", arena));
    else if (str_eq(type, STR("connector_info")))
        print_message(session,
                      str_printf(arena, "Created connector %.*s",
                                 STR_ARG(member_text(json_get(entity, STR("info")), "name", arena))));
    else if (str_eq(type, STR("drop_connector")))
        print_message(session, str_printf(arena, "Dropped connector %.*s",
                                          STR_ARG(member_text(entity, "connectorName", arena))));
    else if (str_eq(type, STR("terminate_query")))
        print_message(session, STR("Query terminated."));
    else if (str_eq(type, STR("sourceDescription")))
        print_source(session, json_get(entity, STR("sourceDescription")), arena);
    else if (str_eq(type, STR("source_descriptions")))
        print_each(session, json_get(entity, STR("sourceDescriptions")), arena, true);
    else if (str_eq(type, STR("queryDescription")))
        print_query(session, json_get(entity, STR("queryDescription")), arena);
    else if (str_eq(type, STR("query_descriptions")))
        print_each(session, json_get(entity, STR("queryDescriptions")), arena, false);
    else if (str_eq(type, STR("describe_function")))
        print_function(session, entity, arena);
    else if (str_eq(type, STR("type_list")))
        print_types(session, entity);
    else
        print_json(entity);
}

void entity_print(struct session *session, const struct json_value *entities)
{
    struct arena arena = {0};
    for (uint32_t i = 0; entities != NULL && entities->kind == JSON_ARRAY && i < entities->len; i++) {
        const struct json_value *warnings = json_get(&entities->elems[i], STR("warnings"));
        if (session->form == TABLE_JSON)
            print_json(&entities->elems[i]);
        else
            print_entity(session, &entities->elems[i], &arena);
        for (uint32_t k = 0; warnings != NULL && warnings->kind == JSON_ARRAY && k < warnings->len; k++)
            fprintf(stderr, "WARNING: %.*s\n", STR_ARG(member_text(&warnings->elems[k], "message", &arena)));
    }
    fflush(stdout);
    arena_fini(&arena);
}
