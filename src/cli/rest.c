/* rest.c - JSON over HTTP: request bodies, answers, refusals. */
#include "cli/session_int.h"

void rest_request_body(struct buf *out, const char *sql_member, struct str sql, const char *properties_member,
                       const struct map *properties, const struct map *variables)
{
    const struct {
        const char *name;
        const struct map *map;
    } maps[] = {{properties_member, properties}, {"sessionVariables", variables}};
    struct json_writer writer = {.out = out};
    json_object_begin(&writer);
    json_key_str(&writer, sql_member, sql);
    for (size_t i = 0; i < COUNT_OF(maps); i++) {
        struct str name;
        void *value;
        json_key_begin(&writer, maps[i].name);
        json_object_begin(&writer);
        for (size_t pos = 0; maps[i].map != NULL && map_next(maps[i].map, &pos, &name, &value);) {
            json_key(&writer, name);
            json_str(&writer, *(const struct str *)value);
        }
        json_object_end(&writer);
    }
    json_object_end(&writer);
}

static enum err_code code_of(int status)
{
    switch (status) {
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 401:
    case 403:
        return ERR_FORBIDDEN;
    case 501:
        return ERR_UNSUPPORTED;
    case 503:
        return ERR_UNAVAILABLE;
    default:
        return status >= 500 ? ERR_INTERNAL : ERR_STATEMENT;
    }
}

bool rest_refusal(int status, struct str body, struct arena *arena, struct err *err)
{
    const struct json_value *answer = json_parse(body, arena, NULL);
    struct str message = STR_NULL;
    if (answer != NULL && answer->kind == JSON_OBJECT) {
        ignore(!json_get_str(answer, "message", &message, NULL), "then the status must do");
        if (str_is_null(message))
            ignore(!json_get_str(answer, "error", &message, NULL), "then the status must do");
    }
    if (str_is_null(message) || message.len == 0)
        return err_set(err, code_of(status), "the server answered with HTTP status %d: %.*s", status,
                       (int)MIN(body.len, 200), body.ptr);
    return err_set(err, code_of(status), "%.*s", STR_ARG(message));
}

bool rest_call(struct hclient *http, const char *method, struct str path, struct str body,
               const struct json_value **answer, struct arena *arena, struct err *err)
{
    struct buf text = {0};
    *answer = NULL;
    bool ok =
        hclient_send(http, method, path, "application/json", body, err) && hclient_read_all(http, &text, err);
    struct str copy = str_dup(buf_str(&text), arena);
    buf_fini(&text);
    if (!ok)
        return false;
    if (http->status >= 400)
        return rest_refusal(http->status, copy, arena, err);
    if (copy.len == 0)
        return true;
    *answer = json_parse(copy, arena, err);
    if (*answer == NULL)
        err_context(err, "the server's answer");
    return *answer != NULL;
}

bool rest_statements(struct hclient *http, struct str sql, const struct map *properties,
                     const struct map *variables, const struct json_value **entities, struct arena *arena,
                     struct err *err)
{
    struct buf body = {0};
    rest_request_body(&body, "ksql", sql, "streamsProperties", properties, variables);
    bool ok = rest_call(http, "POST", STR("/ksql"), buf_str(&body), entities, arena, err);
    buf_fini(&body);
    if (ok && (*entities == NULL || (*entities)->kind != JSON_ARRAY))
        return err_set(err, ERR_INTERNAL, "the server's answer is no list");
    return ok;
}

struct str rest_text(const struct json_value *value, struct arena *arena)
{
    if (value == NULL)
        return STR("");
    switch (value->kind) {
    case JSON_NULL:
        return STR("null");
    case JSON_BOOL:
        return value->b ? STR("true") : STR("false");
    case JSON_STRING:
    case JSON_NUMBER:
        return value->str;
    default: {
        struct buf out = {0};
        struct json_writer writer = {.out = &out};
        json_tree(&writer, value);
        struct str text = str_dup(buf_str(&out), arena);
        buf_fini(&out);
        return text;
    }
    }
}

struct str rest_field(const struct json_value *object, const char *name, struct arena *arena)
{
    const struct json_value *value = json_get(object, str_from(name));
    if (value != NULL && value->kind == JSON_ARRAY)
        value = value->len > 0 ? &value->elems[0] : NULL;
    return value == NULL || value->kind == JSON_NULL ? STR("") : rest_text(value, arena);
}
