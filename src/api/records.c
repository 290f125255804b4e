/* records.c - records of a topic for people: the newest, or from a place on, decoded as far as they can be.
 *
 *   GET /topics/{topic}/records?from=newest | beginning | offset:N | time:MS &partition=P &limit=50 &before=P:O,P:O
 *
 *   partition 0   ....[========|  before 0:120
 *   partition 1   .......[=====|  before 1:80       each partition gives its newest `limit` below its mark; the newest
 *                                                   `limit` of all stay, and the marks move down to what was kept
 *
 * Answer: {"records":[..newest first, or in order from a place], "before":"P:O,..", "next":{"P":"O"}}; `before` asks for
 * older ones, `next` is where a tail goes on. Numbers that may exceed 53 bits are texts; JSON values are their exact text.
 *
 * (V1) Bytes are shown by the format of the stream or table on the topic when it needs one (KAFKA, windowed keys), else
 *      as what they are: JSON, text, or bytes in base64. Bytes that cannot be decoded are not an error.
 */
#include <stdlib.h>

#include "api/admin_int.h"
#include "serde/serde.h"

enum {
    LIMIT_DEFAULT = 50,
    LIMIT_MAX = 1000,
    VALUE_BYTES_MAX = 65536, /* more is cut: the list stays small */
    PARTITIONS_MAX = 10000,
};

/* View ---------------------------------------------------------------------------------------------------------------- */

struct record_side {
    struct serde *serde; /* NULL: guess */
    const struct column *columns;
    uint32_t column_count;
    struct value *cells;
    struct value **cols;
};

struct record_view {
    const struct catalog *catalog; /* keeps the columns alive */
    const struct source *source;   /* NULL: nothing is defined on the topic */
    struct record_side key, value;
    struct arena arena; /* of one record */
    struct arena own;
};

/* JSON and text explain themselves; KAFKA's binary numbers do not. */
static void side_init(struct record_view *view, struct record_side *side, enum serde_side which,
                      const struct source_format *format, const struct column *columns, uint32_t count)
{
    if (!str_eq(format->name, STR("KAFKA")) || count == 0)
        return;
    side->serde = serde_new(serde_format_find(format->name), which, columns, count, NULL, NULL);
    side->columns = columns;
    side->column_count = count;
    side->cells = arena_array(&view->own, struct value, count);
    side->cols = arena_array(&view->own, struct value *, count);
    for (uint32_t i = 0; i < count; i++)
        side->cols[i] = &side->cells[i];
}

static uint32_t value_columns(const struct schema *schema)
{
    uint32_t count = schema->key_count;
    while (count < schema->column_count && schema->columns[count].role == COLUMN_VALUE)
        count++;
    return count - schema->key_count;
}

struct record_view *record_view_new(struct api_env *env, struct str topic)
{
    struct record_view *view = mem_new(struct record_view);
    view->catalog = engine_catalog(env->engine);
    const struct source *source;
    for (uint32_t i = 0; view->source == NULL && (source = catalog_source_at(view->catalog, i)) != NULL; i++)
        if (str_eq(source->topic, topic))
            view->source = source;
    if (view->source != NULL) {
        const struct schema *schema = view->source->schema;
        side_init(view, &view->key, SERDE_KEY, &view->source->key_format, schema->columns, schema->key_count);
        side_init(view, &view->value, SERDE_VALUE, &view->source->value_format,
                  schema->columns + schema->key_count, value_columns(schema));
    }
    return view;
}

void record_view_free(struct record_view *view)
{
    serde_free(view->key.serde);
    serde_free(view->value.serde);
    catalog_unref(view->catalog);
    arena_fini(&view->arena);
    arena_fini(&view->own);
    free(view);
}

static void put_i64_text(struct json_writer *out, const char *name, int64_t n)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)n);
    json_key_cstr(out, name, text);
}

/* Control characters other than white space make bytes of a text. */
static bool is_text(struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if ((unsigned char)bytes.ptr[i] < 0x20 && strchr("\t\n\r", bytes.ptr[i]) == NULL)
            return false;
    return utf8_valid(bytes);
}

static void put_guess(struct record_view *view, struct str bytes, struct json_writer *out)
{
    struct str shown = str_sub(bytes, 0, VALUE_BYTES_MAX);
    if (shown.len < bytes.len) {
        json_key_bool(out, "cut", true);
        shown.len = utf8_valid_len(shown) + 4 > shown.len ? utf8_valid_len(shown) : shown.len;
    }
    if (shown.len == bytes.len && json_parse(bytes, &view->arena, NULL) != NULL)
        json_key_str(out, "json", bytes);
    else if (is_text(shown))
        json_key_str(out, "text", shown);
    else {
        json_key_begin(out, "b64");
        json_base64(out, shown);
    }
}

/* {"json"|"text"|"b64": .., "size": n}: one column as it is, several as an object. */
static bool put_columns(struct record_view *view, struct record_side *side, struct str bytes,
                        struct json_writer *out)
{
    if (side->serde == NULL || !serde_decode(side->serde, bytes, side->cols, 0, NULL, &view->arena, NULL))
        return false;
    if (side->column_count == 1 && side->cells[0].kind == SQL_STRING) {
        json_key_str(out, "text", value_slice(side->cells[0]));
        return true;
    }
    struct buf text = {0};
    struct json_writer inner = {.out = &text};
    if (side->column_count > 1)
        json_object_begin(&inner);
    for (uint32_t i = 0; i < side->column_count; i++) {
        if (side->column_count > 1)
            json_key(&inner, side->columns[i].name);
        serde_value_to_json(side->cells[i], side->columns[i].type, SERDE_JSON_RECORD, &inner);
    }
    if (side->column_count > 1)
        json_object_end(&inner);
    json_key_str(out, "json", buf_str(&text));
    buf_fini(&text);
    return true;
}

static void put_side(struct record_view *view, struct record_side *side, const char *name, struct str bytes,
                     struct json_writer *out)
{
    json_key_begin(out, name);
    if (str_is_null(bytes)) {
        json_null(out);
        return;
    }
    json_object_begin(out);
    json_key_i64(out, "size", (int64_t)bytes.len);
    int64_t start_ms, end_ms = 0;
    const struct source *source = side == &view->key ? view->source : NULL;
    if (source != NULL && source->window_kind != WINDOW_NONE) {
        struct str key = bytes;
        bool session = source->window_kind == WINDOW_SESSION;
        bool cut = session ? serde_cut_session_window(&key, &start_ms, &end_ms, NULL)
                           : serde_cut_time_window(&key, &start_ms, NULL);
        if (cut) {
            bytes = key;
            json_key_begin(out, "window");
            json_array_begin(out);
            json_i64(out, start_ms);
            json_i64(out, session ? end_ms : start_ms + source->window_size_ms);
            json_array_end(out);
        }
    }
    if (!put_columns(view, side, bytes, out))
        put_guess(view, bytes, out);
    json_object_end(out);
}

static void put_headers(struct record_view *view, const struct record *rec, struct json_writer *out)
{
    struct str rest = rec->headers;
    struct record_header header;
    json_key_begin(out, "h");
    json_array_begin(out);
    for (int32_t i = 0; i < rec->header_count && record_header_next(&rest, &header); i++) {
        json_array_begin(out);
        json_str(out, utf8_repair(header.key, &view->arena));
        if (str_is_null(header.value))
            json_null(out);
        else
            json_str(out, utf8_repair(str_sub(header.value, 0, VALUE_BYTES_MAX), &view->arena));
        json_array_end(out);
    }
    json_array_end(out);
}

void record_view_write(struct record_view *view, int32_t partition, const struct record *rec,
                       struct json_writer *out)
{
    json_object_begin(out);
    json_key_i64(out, "p", partition);
    put_i64_text(out, "o", rec->offset);
    json_key_i64(out, "t", rec->timestamp_ms);
    put_side(view, &view->key, "k", rec->key, out);
    put_side(view, &view->value, "v", rec->value, out);
    put_headers(view, rec, out);
    json_object_end(out);
    arena_reset(&view->arena);
}

/* Reading ----------------------------------------------------------------------------------------------------------------- */

struct found {
    int32_t partition;
    int64_t offset, timestamp_ms;
    int64_t order_ms; /* timestamp made monotonic along the partition: merging never reorders a partition */
    struct str json;  /* in the request's arena */
};

struct search {
    struct http_request *req;
    struct api_env *env;
    struct str topic;
    int32_t partition_count, only; /* only: -1 for all */
    int64_t limit;
    bool newest;    /* newest first; else in order from a place */
    int64_t *marks; /* by partition: newest: below it; else: from it on */
    int64_t *ends;
    struct record_view *view;
    vec(struct found) found;
};

/* Keeps what is in [from, to), at most `limit` of the newest (newest) or the first. */
static bool read_range(struct search *search, int32_t partition, int64_t from, int64_t to, int64_t *read,
                       struct err *err)
{
    struct client_reader_options options = {.offset = from};
    struct client_reader *reader =
        client_reader_new(search->env->client, search->topic, partition, &options, err);
    struct record recs[64];
    bool ok = reader != NULL, more = true;
    size_t first = search->found.len;
    while (ok && more && client_reader_position(reader) < to) {
        size_t count = client_reader_take(reader, recs, COUNT_OF(recs));
        if (count == 0) {
            int64_t before = client_reader_position(reader);
            ok = client_reader_poll(reader, err);
            count = ok ? client_reader_take(reader, recs, COUNT_OF(recs)) : 0;
            more = count != 0 || client_reader_position(reader) > before;
        }
        for (size_t i = 0; more && i < count; i++) {
            more = recs[i].offset < to &&
                   (search->newest || (int64_t)(search->found.len - first) < search->limit);
            if (!more)
                break;
            struct buf json = {0};
            struct json_writer writer = {.out = &json};
            record_view_write(search->view, partition, &recs[i], &writer);
            vec_push(&search->found,
                     (struct found){partition, recs[i].offset, recs[i].timestamp_ms, recs[i].timestamp_ms,
                                    str_dup(buf_str(&json), search->req->arena)});
            buf_fini(&json);
        }
    }
    *read = (int64_t)(search->found.len - first);
    client_reader_free(reader);
    return ok;
}

/* Offsets have holes (markers, compaction): a range that gave too little is widened until the start. */
static bool read_newest(struct search *search, int32_t partition, int64_t start, struct err *err)
{
    int64_t to = search->marks[partition];
    for (int64_t width = search->limit + 8; start < to; width *= 4) {
        int64_t from = to - width > start ? to - width : start, read;
        size_t first = search->found.len;
        if (!read_range(search, partition, from, to, &read, err))
            return false;
        if (read >= search->limit || from == start) {
            int64_t surplus = read - search->limit;
            if (surplus > 0) {
                memmove(&search->found.at[first], &search->found.at[first + (size_t)surplus],
                        (size_t)search->limit * sizeof(struct found));
                search->found.len -= (size_t)surplus;
            }
            break;
        }
        search->found.len = first;
    }
    return true;
}

static void make_monotonic(struct search *search, size_t first)
{
    struct found *at = search->found.at;
    size_t len = search->found.len;
    if (search->newest) {
        for (size_t i = len; i > first + 1; i--)
            if (at[i - 2].order_ms > at[i - 1].order_ms)
                at[i - 2].order_ms = at[i - 1].order_ms;
    } else {
        for (size_t i = first + 1; i < len; i++)
            if (at[i].order_ms < at[i - 1].order_ms)
                at[i].order_ms = at[i - 1].order_ms;
    }
}

static bool read_partition(struct search *search, int32_t partition, struct err *err)
{
    struct client_offsets offsets;
    int64_t read;
    size_t first = search->found.len;
    if (!client_offsets(search->env->client, search->topic, partition, &offsets, err))
        return false;
    int64_t mark = search->marks[partition];
    search->ends[partition] = offsets.committed;
    if (search->newest) {
        search->marks[partition] = mark < 0 || mark > offsets.committed ? offsets.committed : mark;
        if (!read_newest(search, partition, offsets.start, err))
            return false;
    } else {
        if (mark < offsets.start)
            mark = offsets.start;
        if (mark < offsets.committed && !read_range(search, partition, mark, offsets.committed, &read, err))
            return false;
    }
    make_monotonic(search, first);
    return true;
}

static int by_time(const void *left, const void *right)
{
    const struct found *a = left, *b = right;
    if (a->order_ms != b->order_ms)
        return a->order_ms < b->order_ms ? -1 : 1;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static int by_time_back(const void *left, const void *right)
{
    return by_time(right, left);
}

/* Parameters ---------------------------------------------------------------------------------------------------------------- */

static bool read_before(struct search *search, struct str text, struct err *err)
{
    struct str part;
    while (str_split(&text, ',', &part)) {
        int64_t partition, offset;
        ptrdiff_t colon = str_find_char(part, ':');
        if (colon < 0 || !str_to_i64(str_sub(part, 0, (size_t)colon), &partition) ||
            !str_to_i64(str_sub(part, (size_t)colon + 1, SIZE_MAX), &offset) || partition < 0 ||
            partition >= search->partition_count || offset < 0)
            return err_set(err, ERR_BAD_REQUEST, "before: '%.*s' is not <partition>:<offset>", STR_ARG(part));
        search->marks[partition] = offset;
    }
    return true;
}

static bool read_from(struct search *search, struct str from, struct err *err)
{
    int64_t number = 0;
    search->newest = str_is_null(from) || str_eq(from, STR("newest"));
    bool by_offset = str_starts_with(from, STR("offset:")), by_time = str_starts_with(from, STR("time:"));
    if (search->newest)
        return true;
    if (!str_eq(from, STR("beginning")) &&
        !((by_offset || by_time) && str_to_i64(str_sub(from, by_offset ? 7 : 5, SIZE_MAX), &number)))
        return err_set(err, ERR_BAD_REQUEST,
                       "from: '%.*s' is none of newest, beginning, offset:<n>, time:<ms>", STR_ARG(from));
    for (int32_t p = 0; p < search->partition_count; p++) {
        search->marks[p] = number;
        if (by_time &&
            !client_offset_for_time(search->env->client, search->topic, p, number, &search->marks[p], err))
            return false;
    }
    return true;
}

static bool read_parameters(struct search *search, struct err *err)
{
    struct http_request *req = search->req;
    struct str partition = http_query(req, "partition"), limit = http_query(req, "limit");
    struct str before = http_query(req, "before");
    int64_t number = -1;
    search->topic = http_param(req, "topic");
    search->limit = LIMIT_DEFAULT;
    search->partition_count = client_partition_count(search->env->client, search->topic);
    if (search->partition_count < 0)
        return err_set(err, ERR_UNKNOWN_TOPIC, "topic '%.*s' does not exist", STR_ARG(search->topic));
    if (search->partition_count > PARTITIONS_MAX)
        return err_set(err, ERR_TOO_LARGE, "topics of more than %d partitions are not shown", PARTITIONS_MAX);
    if (partition.len != 0 &&
        (!str_to_i64(partition, &number) || number < 0 || number >= search->partition_count))
        return err_set(err, ERR_BAD_REQUEST, "partition: '%.*s' is not in 0 to %d", STR_ARG(partition),
                       search->partition_count - 1);
    search->only = (int32_t)number;
    if (limit.len != 0 &&
        (!str_to_i64(limit, &search->limit) || search->limit < 1 || search->limit > LIMIT_MAX))
        return err_set(err, ERR_BAD_REQUEST, "limit: '%.*s' is not in 1 to %d", STR_ARG(limit), LIMIT_MAX);
    search->marks = arena_array(req->arena, int64_t, (size_t)search->partition_count);
    search->ends = arena_array(req->arena, int64_t, (size_t)search->partition_count);
    for (int32_t p = 0; p < search->partition_count; p++)
        search->marks[p] = search->ends[p] = -1;
    return read_from(search, http_query(req, "from"), err) &&
           (before.len == 0 || read_before(search, before, err));
}

/* Answer -------------------------------------------------------------------------------------------------------------------- */

static void put_before(const struct search *search, struct json_writer *out)
{
    struct buf text = {0};
    for (int32_t p = 0; p < search->partition_count; p++)
        if (search->ends[p] >= 0)
            buf_printf(&text, "%s%d:%lld", text.len != 0 ? "," : "", p, (long long)search->marks[p]);
    json_key_str(out, "before", buf_str(&text));
    buf_fini(&text);
}

static void put_next(const struct search *search, struct json_writer *out)
{
    json_key_begin(out, "next");
    json_object_begin(out);
    for (int32_t p = 0; p < search->partition_count; p++) {
        char name[16];
        snprintf(name, sizeof name, "%d", p);
        if (search->ends[p] >= 0)
            put_i64_text(out, name, search->ends[p]);
    }
    json_object_end(out);
}

static void reply(struct search *search)
{
    struct buf body = {0};
    struct json_writer out = {.out = &body};
    size_t found = search->found.len;
    size_t shown = found < (size_t)search->limit ? found : (size_t)search->limit;
    if (found > 1)
        qsort(search->found.at, found, sizeof *search->found.at, search->newest ? by_time_back : by_time);
    json_object_begin(&out);
    json_key_begin(&out, "records");
    json_array_begin(&out);
    for (size_t i = 0; i < shown; i++) {
        const struct found *one = &search->found.at[i];
        json_raw(&out, one->json);
        if (search->newest && one->offset < search->marks[one->partition])
            search->marks[one->partition] = one->offset;
    }
    json_array_end(&out);
    if (search->newest)
        put_before(search, &out);
    put_next(search, &out);
    json_key_bool(&out, "more", shown < found || shown == (size_t)search->limit);
    json_object_end(&out);
    http_reply_take(search->req, 200, STR("application/json"), &body);
}

void records_get(struct http_request *req, struct api_env *env)
{
    struct search search = {.req = req, .env = env};
    struct err err = {0};
    bool ok = read_parameters(&search, &err);
    if (ok) {
        search.view = record_view_new(env, search.topic);
        for (int32_t p = 0; ok && p < search.partition_count; p++)
            ok = (search.only >= 0 && p != search.only) || read_partition(&search, p, &err);
        record_view_free(search.view);
    }
    if (ok)
        reply(&search);
    else
        http_reply_err(req, &err);
    vec_fini(&search.found);
}
