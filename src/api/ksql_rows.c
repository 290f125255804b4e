/* ksql_rows.c - rows of queries over HTTP, written as they come (reference: ksql page 3.5).
 *
 *   engine                       face                                       socket
 *   on_header  (control thread)  200, header line                           chunk
 *   on_rows    (worker, pool)    rows in the wanted form, one write a run   chunk
 *   on_end                       end of the array, end of the reply
 *
 * PRINT gives lines of text: on /query all of them, on /query-stream those of records only.
 *
 * Three forms of rows, chosen by Accept:
 *   FORM_OBJECTS    [{"header":{..}},\n{"row":{"columns":[..]}},\n{"finalMessage":".."}]   application/vnd.ksql.v1+json
 *   FORM_LINES      {"queryId":..}\n[..]\n                                                 application/vnd.ksqlapi.delimited.v1
 *   FORM_ARRAY      [{"queryId":..},[..],[..]]                                             application/json on /query-stream
 *
 * (K1) Before the header nothing was sent: a refused statement is an ordinary error reply.
 * (K2) The engine's callbacks never overlap and take no lock of ours; what the network thread calls (cancel, drain) only
 *      posts to the engine.
 * (K3) The engine's handle is closed once, by who comes first: the end of the rows or the client going away. on_closed is
 *      the last to run: it gives the request back, if the end has not, and frees the stream.
 */
#include "api/ksql_int.h"

#include <stdatomic.h>

#include "serde/serde.h"

enum form { FORM_OBJECTS, FORM_LINES, FORM_ARRAY, FORM_TEXT /* PRINT */ };

struct row_stream {
    struct http_request *req;
    struct engine_query *query;
    struct arena arena;
    enum form form;
    enum engine_result_kind kind;
    const struct column *columns;
    uint32_t column_count;
    bool records_only;   /* of PRINT: no lines of formats */
    bool started;        /* the header was sent */
    bool ended;          /* the request was given back */
    atomic_flag closing; /* the handle was closed */
};

/* Forms ------------------------------------------------------------------------------------------------------------- */

static void put_schema(struct buf *out, const struct row_stream *stream)
{
    struct buf text = {0};
    for (uint32_t i = 0; i < stream->column_count; i++) {
        if (i != 0)
            buf_append_cstr(&text, ", ");
        sql_print_quoted(stream->columns[i].name, &text);
        buf_append_char(&text, ' ');
        type_print(stream->columns[i].type, &text);
        if (stream->kind == ENGINE_PULL && stream->columns[i].role == COLUMN_KEY)
            buf_append_cstr(&text, " KEY");
    }
    json_append_string(out, buf_str(&text));
    buf_fini(&text);
}

static void put_header_objects(struct buf *out, const struct row_stream *stream, struct str query_id)
{
    buf_append_cstr(out, "[{\"header\":{\"queryId\":");
    json_append_string(out, query_id);
    buf_append_cstr(out, ",\"schema\":");
    put_schema(out, stream);
    buf_append_cstr(out, "}}");
}

static void put_header_names(struct buf *out, const struct row_stream *stream, struct str query_id)
{
    struct json_writer writer = {.out = out};
    json_object_begin(&writer);
    json_key_str(&writer, "queryId", query_id);
    json_key_begin(&writer, "columnNames");
    json_array_begin(&writer);
    for (uint32_t i = 0; i < stream->column_count; i++)
        json_str(&writer, stream->columns[i].name);
    json_array_end(&writer);
    json_key_begin(&writer, "columnTypes");
    json_array_begin(&writer);
    for (uint32_t i = 0; i < stream->column_count; i++) {
        struct buf type = {0};
        type_print(stream->columns[i].type, &type);
        json_str(&writer, buf_str(&type));
        buf_fini(&type);
    }
    json_array_end(&writer);
    json_object_end(&writer);
}

static void put_columns(struct buf *out, const struct row_stream *stream, const struct value *const *cols,
                        uint32_t row)
{
    struct json_writer writer = {.out = out};
    json_array_begin(&writer);
    for (uint32_t c = 0; c < stream->column_count; c++)
        serde_value_to_json(cols[c][row], stream->columns[c].type, SERDE_JSON_HTTP, &writer);
    json_array_end(&writer);
}

/* A line of PRINT; records' lines begin with their time. */
static void put_text(struct buf *out, const struct row_stream *stream, struct str line)
{
    if (stream->records_only && !str_starts_with(line, STR("rowtime: ")))
        return;
    buf_append_str(out, line);
    buf_append_char(out, '\n');
}

static void put_row(struct buf *out, const struct row_stream *stream, const struct value *const *cols,
                    uint32_t row, bool tombstone)
{
    switch (stream->form) {
    case FORM_OBJECTS:
        buf_append_cstr(out, ",\n{\"row\":{\"columns\":");
        put_columns(out, stream, cols, row);
        buf_append_cstr(out, tombstone ? ",\"tombstone\":true}}" : "}}");
        break;
    case FORM_LINES:
        put_columns(out, stream, cols, row);
        buf_append_char(out, '\n');
        break;
    case FORM_ARRAY:
        buf_append_char(out, ',');
        put_columns(out, stream, cols, row);
        break;
    case FORM_TEXT:
        put_text(out, stream, value_slice(cols[0][row]));
        break;
    }
}

static void put_end(struct buf *out, const struct row_stream *stream, bool limit_reached,
                    const struct err *failure)
{
    if (stream->form == FORM_TEXT) {
        if (failure != NULL)
            buf_printf(out, "%s\n", failure->text);
        return;
    }
    if (failure != NULL) {
        if (stream->form == FORM_OBJECTS)
            buf_append_cstr(out, ",\n{\"errorMessage\":");
        else if (stream->form == FORM_ARRAY)
            buf_append_char(out, ',');
        ksql_error_json(failure, STR_NULL, STR_NULL, out);
        if (stream->form == FORM_OBJECTS)
            buf_append_char(out, '}');
        else if (stream->form == FORM_LINES)
            buf_append_char(out, '\n');
    } else if (stream->form == FORM_OBJECTS && stream->kind == ENGINE_PUSH) {
        buf_printf(out, ",\n{\"finalMessage\":\"%s\"}", limit_reached ? "Limit Reached" : "Query Completed");
    }
    if (stream->form != FORM_LINES)
        buf_append_cstr(out, stream->form == FORM_OBJECTS ? "]\n" : "]");
}

/* From the engine ----------------------------------------------------------------------------------------------------- */

static void on_header(void *arg, struct str query_id, enum engine_result_kind kind,
                      const struct column *columns, uint32_t column_count)
{
    static const struct str types[] = {STR_INIT("application/vnd.ksql.v1+json"),
                                       STR_INIT("application/vnd.ksqlapi.delimited.v1"),
                                       STR_INIT("application/json"), STR_INIT("text/plain; charset=utf-8")};
    struct row_stream *stream = arg;
    struct buf out = {0};
    stream->kind = kind;
    stream->columns = schema_dup(&(struct schema){columns, column_count, 0}, &stream->arena)->columns;
    stream->column_count = column_count;
    if (kind == ENGINE_PRINT) {
        stream->records_only = stream->form == FORM_LINES;
        stream->form = FORM_TEXT;
    } else if (stream->form == FORM_OBJECTS) {
        put_header_objects(&out, stream, query_id);
    } else {
        if (stream->form == FORM_ARRAY)
            buf_append_char(&out, '[');
        put_header_names(&out, stream, query_id);
        if (stream->form == FORM_LINES)
            buf_append_char(&out, '\n');
    }
    stream->started = true;
    http_reply_start(stream->req, 200, types[stream->form]);
    if (out.len != 0)
        ignore(http_reply_write(stream->req, buf_str(&out)) == HTTP_FLOW_GONE,
               "the cancel callback ends the query");
    buf_fini(&out);
}

static bool on_rows(void *arg, const struct value *const *cols, uint32_t row_count, const bool *tombstones)
{
    struct row_stream *stream = arg;
    struct buf out = {0};
    for (uint32_t row = 0; row < row_count; row++) {
        bool tombstone = tombstones != NULL && tombstones[row];
        if (!tombstone || stream->form == FORM_OBJECTS)
            put_row(&out, stream, cols, row, tombstone);
    }
    enum http_flow flow = HTTP_FLOW_OK;
    if (out.len != 0)
        flow = http_reply_write(stream->req, buf_str(&out));
    buf_fini(&out);
    return flow != HTTP_FLOW_FULL;
}

/* Control thread; no callback comes any more. */
static void on_closed(void *arg)
{
    struct row_stream *stream = arg;
    if (!stream->ended && !stream->started)
        http_reply_start(stream->req, 200, STR_NULL);
    if (!stream->ended)
        http_reply_end(stream->req);
    arena_fini(&stream->arena);
    free(stream);
}

static void stream_close(struct row_stream *stream)
{
    if (!atomic_flag_test_and_set(&stream->closing))
        engine_query_close(stream->query, on_closed);
}

static void on_end(void *arg, bool limit_reached, const struct err *failure)
{
    struct row_stream *stream = arg;
    stream->ended = true;
    if (stream->started) {
        struct buf out = {0};
        put_end(&out, stream, limit_reached, failure);
        ignore(http_reply_write(stream->req, buf_str(&out)) == HTTP_FLOW_GONE, "it ends here anyway");
        buf_fini(&out);
        http_reply_end(stream->req);
    } else {
        struct err none = {.code = ERR_SHUTDOWN, .text = "the query was ended before it began"};
        ksql_reply_error(stream->req, failure != NULL ? failure : &none, STR_NULL, STR_NULL);
    }
    stream_close(stream);
}

static const struct engine_rows_class rows_class = {.on_header = on_header,
                                                    .on_rows = on_rows,
                                                    .on_end = on_end};

/* From the socket ------------------------------------------------------------------------------------------------------- */

static void on_cancel(struct http_request *req, void *arg)
{
    stream_close(arg);
}

static void on_drain(struct http_request *req, void *arg)
{
    struct row_stream *stream = arg;
    engine_query_resume(stream->query);
}

static void start_stream(struct http_request *req, struct api_env *env, struct ksql_request *request,
                         enum form form)
{
    struct row_stream *stream = mem_new(struct row_stream);
    stream->req = req;
    stream->form = form;
    atomic_flag_clear(&stream->closing);
    http_on_cancel(req, on_cancel, stream);
    http_on_drain(req, on_drain, stream);
    struct engine_session session = {.properties = &request->properties, .variables = &request->variables};
    engine_query_open(env->engine, request->sql, &session, &rows_class, stream, &stream->query);
}

/* Routes ------------------------------------------------------------------------------------------------------------------ */

static void post_rows(struct http_request *req, struct api_env *env, const char *sql_member,
                      const char *properties_member, const char *const *types, const enum form *forms,
                      size_t count)
{
    struct ksql_request request;
    struct err err = {0};
    int accepted = http_accept(req, types, count);
    if (accepted < 0) {
        http_reply_error(req, 406, 40600, STR("none of the media types in Accept can be produced here"));
        return;
    }
    if (!ksql_request_parse(req, sql_member, properties_member, &request, &err)) {
        ksql_reply_error(req, &err, STR_NULL, STR_NULL);
        return;
    }
    start_stream(req, env, &request, forms[accepted]);
    ksql_request_fini(&request);
}

void ksql_post_query(struct http_request *req, void *arg)
{
    static const char *const types[] = {"application/vnd.ksql.v1+json", "application/json",
                                        "application/vnd.ksqlapi.delimited.v1"};
    static const enum form forms[] = {FORM_OBJECTS, FORM_OBJECTS, FORM_LINES};
    post_rows(req, arg, "ksql", "streamsProperties", types, forms, COUNT_OF(types));
}

void ksql_post_query_stream(struct http_request *req, void *arg)
{
    static const char *const types[] = {"application/vnd.ksqlapi.delimited.v1", "application/json",
                                        "application/vnd.ksql.v1+json"};
    static const enum form forms[] = {FORM_LINES, FORM_ARRAY, FORM_OBJECTS};
    post_rows(req, arg, "sql", "properties", types, forms, COUNT_OF(types));
}

void ksql_post_close_query(struct http_request *req, void *arg)
{
    struct api_env *env = arg;
    struct err err = {0};
    struct str id = STR_NULL;
    const struct json_value *body = json_parse(req->body, req->arena, &err);
    if (body == NULL || !json_get_str(body, "queryId", &id, &err) || str_is_null(id)) {
        err_set(&err, ERR_BAD_REQUEST,
                "Invalid JSON in request: Missing required creator property 'queryId'");
        ksql_reply_error(req, &err, STR_NULL, STR_NULL);
    } else if (!engine_query_end(env->engine, id)) {
        err_set(&err, ERR_BAD_REQUEST, "No query with id %.*s", STR_ARG(id));
        ksql_reply_error(req, &err, STR_NULL, STR_NULL);
    } else {
        http_reply(req, 200, STR_NULL, STR(""));
    }
}
