/* compare.c - expected against actual records (the data's README, section 4).
 *
 * The rule is chosen by the JSON kind of the expected value. Numbers are compared as text, through exact decimals: 1.0 is
 * not 1.00.
 */
#include <math.h>

#include "conformance.h"
#include "type/decimal.h"

static bool is_integer_text(struct str text)
{
    int64_t n;
    return str_to_i64(text, &n) ||
           (str_find_char(text, '.') < 0 && str_find_char(text, 'e') < 0 && str_find_char(text, 'E') < 0);
}

/* Same value and same number of decimals. */
static bool same_decimal(struct str a, struct str b)
{
    struct arena arena = {0};
    const struct decimal *x = decimal_parse(a, &arena), *y = decimal_parse(b, &arena);
    bool same = x != NULL && y != NULL && x->scale == y->scale && decimal_cmp(x, y) == 0;
    arena_fini(&arena);
    return same;
}

static bool same_number(struct str expected, struct str actual, const struct compare_rules *rules)
{
    struct arena arena = {0};
    bool same;
    if (is_integer_text(actual)) {
        const struct decimal *wanted = decimal_parse(expected, &arena), *got = decimal_parse(actual, &arena);
        if (wanted != NULL)
            wanted = decimal_rescale(wanted, 0, DECIMAL_DOWN, &arena);
        same = wanted != NULL && got != NULL && decimal_cmp(wanted, got) == 0;
    } else if (rules->relaxed_doubles) {
        double x, y;
        same = str_to_double(expected, &x) && str_to_double(actual, &y) && fabs(x - y) < 0.000001;
    } else {
        same = same_decimal(expected, actual);
    }
    arena_fini(&arena);
    return same;
}

static bool differs(struct buf *why, const struct json_value *expected, const struct json_value *actual)
{
    struct json_writer writer = {.out = why};
    buf_append_cstr(why, "expected ");
    json_tree(&writer, expected);
    buf_append_cstr(why, ", got ");
    writer.comma = false;
    json_tree(&writer, actual);
    return false;
}

static bool compare_object(const struct json_value *expected, const struct json_value *actual,
                           const struct compare_rules *rules, struct buf *why)
{
    if (actual->kind != JSON_OBJECT || actual->len != expected->len)
        return differs(why, expected, actual);
    struct arena arena = {0};
    bool same = true;
    for (uint32_t i = 0; same && i < expected->len; i++) {
        const struct json_member *member = &expected->members[i];
        const struct json_value *got = json_get(actual, member->name);
        if (got == NULL)
            got = json_get(actual, str_upper(member->name, &arena));
        if (got == NULL)
            same = differs(why, expected, actual);
        else if (!compare_value(&member->value, got, rules, why)) {
            buf_printf(why, " (in %.*s)", STR_ARG(member->name));
            same = false;
        }
    }
    arena_fini(&arena);
    return same;
}

bool compare_value(const struct json_value *expected, const struct json_value *actual,
                   const struct compare_rules *rules, struct buf *why)
{
    bool same = false;
    switch (expected->kind) {
    case JSON_NULL:
        same = actual->kind == JSON_NULL;
        break;
    case JSON_BOOL:
        same = actual->kind == JSON_BOOL && actual->b == expected->b;
        break;
    case JSON_NUMBER:
        same = actual->kind == JSON_NUMBER && same_number(expected->str, actual->str, rules);
        break;
    case JSON_STRING:
        same = (actual->kind == JSON_STRING && str_eq(expected->str, actual->str)) ||
               (actual->kind == JSON_NUMBER && !is_integer_text(actual->str) &&
                same_decimal(expected->str, actual->str));
        break;
    case JSON_ARRAY:
        if (actual->kind != JSON_ARRAY || actual->len != expected->len)
            break;
        for (uint32_t i = 0; i < expected->len; i++)
            if (!compare_value(&expected->elems[i], &actual->elems[i], rules, why))
                return false;
        return true;
    case JSON_OBJECT:
        return compare_object(expected, actual, rules, why);
    }
    return same || differs(why, expected, actual);
}

/* Cuts the window off the key and compares it. */
static bool compare_window(const struct source *source, const struct json_value *expected, struct str *key,
                           const struct compare_rules *rules, struct buf *why)
{
    const struct json_value *window = json_get(expected, STR("window"));
    bool wanted = window != NULL && window->kind == JSON_OBJECT;
    enum ast_window_kind kind = source != NULL ? source->window_kind : WINDOW_NONE;
    if (kind == WINDOW_NONE && (!wanted || rules->rest))
        return true;
    if (!rules->rest && wanted != (kind != WINDOW_NONE)) {
        buf_printf(why, "window %s", wanted ? "expected, key has none" : "not expected, key has one");
        return false;
    }
    int64_t start_ms, end_ms;
    struct err err = {0};
    bool session = kind == WINDOW_SESSION;
    if (session ? !serde_cut_session_window(key, &start_ms, &end_ms, &err)
                : !serde_cut_time_window(key, &start_ms, &err)) {
        buf_append_cstr(why, err.text);
        return false;
    }
    if (rules->rest)
        return true;
    if (!session)
        end_ms = start_ms + source->window_size_ms;
    if (start_ms == case_number(window, "start", -1) && end_ms == case_number(window, "end", -1) &&
        session == str_eq_nocase(case_text(window, "type"), STR("session")))
        return true;
    buf_printf(why, "window expected %" PRId64 "..%" PRId64 ", got %" PRId64 "..%" PRId64,
               case_number(window, "start", -1), case_number(window, "end", -1), start_ms, end_ms);
    return false;
}

static bool compare_headers(const struct json_value *expected, const struct record *rec, struct buf *why)
{
    const struct json_value *headers = json_get(expected, STR("headers"));
    uint32_t wanted = headers != NULL && headers->kind == JSON_ARRAY ? headers->len : 0;
    struct str rest = rec->headers;
    struct record_header header;
    bool same = (uint32_t)rec->header_count == wanted;
    for (uint32_t i = 0; same && i < wanted; i++) {
        struct buf coded = {0};
        struct str value = case_text(&headers->elems[i], "value");
        same = record_header_next(&rest, &header) &&
               str_eq(header.key, case_text(&headers->elems[i], "key")) &&
               str_is_null(header.value) == str_is_null(value);
        if (same && !str_is_null(value)) {
            buf_append_base64(&coded, header.value);
            same = str_eq(buf_str(&coded), value);
        }
        buf_fini(&coded);
    }
    if (!same)
        buf_printf(why, "headers differ (%u expected, %d there)", wanted, rec->header_count);
    return same;
}

static bool compare_time(const struct json_value *expected, const struct record *rec, bool any_zero_time,
                         struct buf *why)
{
    const struct json_value *time = json_get(expected, STR("timestamp"));
    if (time == NULL || time->kind == JSON_NULL)
        return true;
    int64_t wanted = case_number(expected, "timestamp", -1);
    if (wanted == rec->timestamp_ms || (any_zero_time && wanted == 0))
        return true;
    buf_printf(why, "timestamp expected %" PRId64 ", got %" PRId64, wanted, rec->timestamp_ms);
    return false;
}

bool compare_record(const struct source *source, const struct json_value *expected, const struct record *rec,
                    bool any_zero_time, const struct compare_rules *rules, struct arena *arena,
                    struct buf *why)
{
    static const struct json_value null = {.kind = JSON_NULL};
    struct json_value key, value;
    struct err err = {0};
    struct str key_bytes = rec->key;
    if (!compare_window(source, expected, &key_bytes, rules, why))
        return false;
    if (!data_decode(source, SERDE_KEY, key_bytes, &key, arena, &err) ||
        !data_decode(source, SERDE_VALUE, rec->value, &value, arena, &err)) {
        buf_printf(why, "cannot read the record: %s", err.text);
        return false;
    }
    const struct json_value *wanted_key = json_get(expected, STR("key")),
                            *wanted_value = json_get(expected, STR("value"));
    size_t before = why->len;
    if (!compare_value(wanted_key != NULL ? wanted_key : &null, &key, rules, why)) {
        buf_append_cstr(why, " (key)");
        return false;
    }
    why->len = before;
    if (!compare_value(wanted_value != NULL ? wanted_value : &null, &value, rules, why)) {
        buf_append_cstr(why, " (value)");
        return false;
    }
    return (rules->rest || compare_headers(expected, rec, why)) &&
           compare_time(expected, rec, any_zero_time, why);
}

static bool compare_topic(struct machine *machine, const struct json_value *outputs, struct str topic,
                          bool no_inputs, const struct compare_rules *rules, struct err *err)
{
    struct client_reader_options options = {.isolation = CLIENT_COMMITTED, .offset = CLIENT_EARLIEST};
    struct client_reader *reader = client_reader_new(machine->client, topic, 0, &options, err);
    if (reader == NULL) {
        err_context(err, "output topic %.*s", STR_ARG(topic));
        return false;
    }
    const struct source *source = machine_source_of(machine, topic);
    struct buf why = {0};
    bool same = true;
    uint32_t n = 0;
    struct record rec;
    for (uint32_t i = 0; same && i < outputs->len; i++) {
        const struct json_value *expected = &outputs->elems[i];
        if (!str_eq(case_text(expected, "topic"), topic))
            continue;
        if (client_reader_take(reader, &rec, 1) == 0 &&
            (!client_reader_poll(reader, err) || client_reader_take(reader, &rec, 1) == 0)) {
            buf_printf(&why, "no record where one is expected");
            same = false;
        } else {
            same = compare_record(source, expected, &rec, no_inputs, rules, &machine->arena, &why);
        }
        n += same;
    }
    if (same && !rules->rest &&
        (client_reader_take(reader, &rec, 1) != 0 ||
         (client_reader_poll(reader, err) && client_reader_take(reader, &rec, 1) != 0))) {
        buf_printf(&why, "a further record: key %.*s value %.*s", STR_ARG(rec.key), STR_ARG(rec.value));
        same = false;
    }
    if (!same)
        err_set(err, ERR_ASSERTION, "topic %.*s, record %u: %s", STR_ARG(topic), n, why.ptr);
    buf_fini(&why);
    source_unref(source);
    client_reader_free(reader);
    return same;
}

bool compare_outputs(struct machine *machine, const struct json_value *outputs, bool no_inputs,
                     const struct compare_rules *rules, struct err *err)
{
    struct map seen = {0};
    bool same = true;
    for (uint32_t i = 0; same && outputs != NULL && outputs->kind == JSON_ARRAY && i < outputs->len; i++) {
        struct str topic = case_text(&outputs->elems[i], "topic");
        if (map_has(&seen, topic))
            continue;
        map_put(&seen, topic, machine);
        same = compare_topic(machine, outputs, topic, no_inputs, rules, err);
    }
    map_fini(&seen);
    return same;
}
