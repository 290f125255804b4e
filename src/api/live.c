/* live.c - the live socket of the page: one websocket a tab, many subscriptions on it, one thread that serves all.
 *
 *   tab --{"sub":1,"channel":"flow"}--------------------> inbox --+
 *   tab --{"sub":2,"channel":"tail","args":{"topic":..}}--> inbox  |   thread "api-live"
 *   tab --{"unsub":2}-----------------------------------> inbox --+     every second: picture -> flow subscriptions
 *       <-{"sub":1,"kind":"graph","data":..}   when it changed          every 100 ms: new records -> tails
 *       <-{"sub":1,"kind":"figures","data":..} every second
 *       <-{"sub":2,"kind":"records","data":{"records":[..],"skipped":"0"}}
 *       <-{"sub":2,"end":"error","error":{..}}
 *
 * (L1) Network threads only append to the inbox and set flags; sessions, subscriptions and pictures belong to the
 *      thread. It holds no lock while it sends (http.h H6).
 * (L2) Nothing grows: a session whose socket is full gets no figures until it drains, and its tails skip records and
 *      say how many. Sessions and their subscriptions are bounded.
 * (L3) Nobody watches: the thread sleeps, no picture is taken.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "api/admin_int.h"

enum {
    SESSIONS_MAX = 64,
    SUBS_MAX = 16,
    TICK_MS = 100,
    PICTURE_MS = 1000,
    TAIL_ROWS_MAX = 200,       /* a second: more than eyes can follow */
    TAIL_PARTITIONS_MAX = 256, /* readers of one tail */
};

enum channel { CHANNEL_FLOW, CHANNEL_TAIL };

struct tail_part {
    int32_t partition;
    struct client_reader *reader;
};

struct sub {
    int64_t id;
    enum channel channel;
    struct buf graph;         /* flow: what the tab has */
    bool internal;            /* flow: with internal topics */
    struct record_view *view; /* tail */
    int64_t room;             /* tail: rows that may be sent now; grows with time up to TAIL_ROWS_MAX */
    vec(struct tail_part) parts;
};

struct session {
    struct live *live;
    struct ws *ws;
    atomic_bool full, closed;
    bool is_last_round; /* the inbox may still hold a message of it */
    vec(struct sub *) subs;
};

/* A message of a tab; the session itself when bytes is empty and it is new. */
struct note {
    struct session *session;
    struct buf bytes;
};

struct live {
    struct api_env *env;
    struct thread thread;
    pthread_mutex_t lock; /* inbox, session_count, stop */
    pthread_cond_t wake;
    vec(struct note) inbox;
    uint32_t session_count;
    bool stop;
    vec(struct session *) sessions; /* the thread's */
    struct picture *picture;        /* the newest, the thread's */
    int64_t picture_ms;
};

/* Subscriptions -------------------------------------------------------------------------------------------------------- */

static void sub_free(struct sub *sub)
{
    for (size_t i = 0; i < sub->parts.len; i++)
        client_reader_free(sub->parts.at[i].reader);
    vec_fini(&sub->parts);
    if (sub->view != NULL)
        record_view_free(sub->view);
    buf_fini(&sub->graph);
    free(sub);
}

static void frame_begin(struct json_writer *out, int64_t id, const char *kind)
{
    json_object_begin(out);
    json_key_i64(out, "sub", id);
    json_key_cstr(out, "kind", kind);
    json_key_begin(out, "data");
}

static void session_send(struct session *session, struct buf *frame)
{
    if (ws_send(session->ws, buf_str(frame), true) == HTTP_FLOW_FULL)
        atomic_store(&session->full, true);
    buf_fini(frame);
}

static void send_end(struct session *session, int64_t id, const struct err *err)
{
    struct buf frame = {0};
    struct json_writer out = {.out = &frame};
    json_object_begin(&out);
    json_key_i64(&out, "sub", id);
    json_key_cstr(&out, "end", "error");
    json_key_begin(&out, "error");
    json_object_begin(&out);
    json_key_i64(&out, "error_code", err_ksql_code(err->code));
    json_key_cstr(&out, "message", err->text);
    json_object_end(&out);
    json_object_end(&out);
    session_send(session, &frame);
}

/* args: {"topic": t, "from": {"0": "120", ..}}; partitions that are not named begin at their end. */
static bool open_tail(struct live *live, struct sub *sub, const struct json_value *args, struct err *err)
{
    struct str topic = STR_NULL;
    if (!json_get_str(args, "topic", &topic, err))
        return false;
    if (str_is_null(topic))
        return err_set(err, ERR_BAD_REQUEST, "a tail needs the argument topic");
    int32_t count = client_partition_count(live->env->client, topic);
    if (count < 0)
        return err_set(err, ERR_UNKNOWN_TOPIC, "topic '%.*s' does not exist", STR_ARG(topic));
    if (count > TAIL_PARTITIONS_MAX)
        return err_set(err, ERR_TOO_LARGE, "topics of more than %d partitions are not followed",
                       TAIL_PARTITIONS_MAX);
    sub->view = record_view_new(live->env, topic);
    sub->room = TAIL_ROWS_MAX;
    for (int32_t p = 0; p < count; p++) {
        char name[16];
        struct client_reader_options options = {.offset = CLIENT_LATEST, .read_bytes = 256 << 10};
        snprintf(name, sizeof name, "%d", p);
        const struct json_value *from = json_get(json_get(args, STR("from")), str_from(name));
        if (from != NULL && from->kind == JSON_STRING && !str_to_i64(from->str, &options.offset))
            return err_set(err, ERR_BAD_REQUEST, "from: '%.*s' is no offset", STR_ARG(from->str));
        struct client_reader *reader = client_reader_new(live->env->client, topic, p, &options, err);
        if (reader == NULL)
            return false;
        vec_push(&sub->parts, (struct tail_part){p, reader});
    }
    return true;
}

static void session_drop_sub(struct session *session, int64_t id)
{
    for (size_t i = 0; i < session->subs.len; i++)
        if (session->subs.at[i]->id == id) {
            sub_free(session->subs.at[i]);
            vec_remove(&session->subs, i);
            return;
        }
}

static bool open_sub(struct session *session, struct sub *sub, const struct json_value *message,
                     struct err *err)
{
    struct str channel = STR_NULL;
    const struct json_value *args = json_get(message, STR("args"));
    if (session->subs.len >= SUBS_MAX)
        return err_set(err, ERR_TOO_LARGE, "a socket takes %d subscriptions", SUBS_MAX);
    if (!json_get_str(message, "channel", &channel, err))
        return false;
    if (str_eq(channel, STR("tail"))) {
        sub->channel = CHANNEL_TAIL;
        return open_tail(session->live, sub, args, err);
    }
    sub->channel = CHANNEL_FLOW;
    session->live->picture_ms = 0; /* a first picture at once */
    return str_eq(channel, STR("flow"))
               ? json_get_bool(args, "internal", &sub->internal, err)
               : err_set(err, ERR_BAD_REQUEST, "channel '%.*s' is none of flow, tail", STR_ARG(channel));
}

static void take_message(struct session *session, struct str bytes)
{
    struct arena arena = {0};
    struct err err = {0};
    int64_t sub_id = -1, unsub_id = -1;
    const struct json_value *message = json_parse(bytes, &arena, &err);
    bool ok = message != NULL && json_get_i64(message, "sub", &sub_id, &err) &&
              json_get_i64(message, "unsub", &unsub_id, &err);
    if (ok && unsub_id >= 0)
        session_drop_sub(session, unsub_id);
    if (ok && sub_id >= 0) {
        struct sub *sub = mem_new(struct sub);
        session_drop_sub(session, sub_id);
        sub->id = sub_id;
        ok = open_sub(session, sub, message, &err);
        if (ok)
            vec_push(&session->subs, sub);
        else
            sub_free(sub);
    }
    if (!ok)
        send_end(session, sub_id, &err);
    arena_fini(&arena);
}

/* Channels ------------------------------------------------------------------------------------------------------------------ */

static void send_flow(struct session *session, struct sub *sub, const struct picture *now,
                      const struct picture *before)
{
    struct buf graph = {0}, frame = {0};
    struct json_writer out = {.out = &graph};
    picture_write_graph(now, sub->internal, &out);
    if (str_eq(buf_str(&graph), buf_str(&sub->graph))) {
        buf_fini(&graph);
    } else {
        buf_fini(&sub->graph);
        sub->graph = graph;
        out = (struct json_writer){.out = &frame};
        frame_begin(&out, sub->id, "graph");
        json_raw(&out, buf_str(&graph));
        json_object_end(&out);
        session_send(session, &frame);
    }
    out = (struct json_writer){.out = &frame};
    frame_begin(&out, sub->id, "figures");
    picture_write_figures(now, before, &out);
    json_object_end(&out);
    session_send(session, &frame);
}

/* Takes all that is there and keeps the newest rows: the tab shows the present, not a backlog. */
static bool read_part(struct sub *sub, struct tail_part *part, struct json_writer *out, int64_t *skipped,
                      struct err *err)
{
    struct record recs[64];
    int64_t lag = client_reader_lag(part->reader);
    if (lag > 5 * TAIL_ROWS_MAX) { /* far behind: go on near the end */
        int64_t to = client_reader_position(part->reader) + lag - TAIL_ROWS_MAX;
        *skipped += lag - TAIL_ROWS_MAX;
        if (!client_reader_seek(part->reader, to, err))
            return false;
    }
    if (!client_reader_poll(part->reader, err)) {
        if (err->code != ERR_OFFSET_OUT_OF_RANGE)
            return false;
        return client_reader_seek(part->reader, CLIENT_EARLIEST, err);
    }
    for (size_t count; (count = client_reader_take(part->reader, recs, COUNT_OF(recs))) != 0;)
        for (size_t i = 0; i < count; i++) {
            if (sub->room > 0) {
                record_view_write(sub->view, part->partition, &recs[i], out);
                sub->room--;
            } else {
                (*skipped)++;
            }
        }
    return true;
}

static bool send_tail(struct session *session, struct sub *sub, struct err *err)
{
    struct buf frame = {0};
    struct json_writer out = {.out = &frame};
    char text[24];
    int64_t skipped = 0;
    bool ok = true;
    if (atomic_load(&session->full))
        sub->room = 0;
    else if (sub->room < TAIL_ROWS_MAX)
        sub->room += TAIL_ROWS_MAX * TICK_MS / 1000;
    frame_begin(&out, sub->id, "records");
    json_object_begin(&out);
    json_key_begin(&out, "records");
    json_array_begin(&out);
    size_t empty = frame.len;
    for (size_t i = 0; ok && i < sub->parts.len; i++)
        ok = read_part(sub, &sub->parts.at[i], &out, &skipped, err);
    bool any = frame.len != empty || (skipped != 0 && !atomic_load(&session->full));
    json_array_end(&out);
    snprintf(text, sizeof text, "%lld", (long long)skipped);
    json_key_cstr(&out, "skipped", text);
    json_object_end(&out);
    json_object_end(&out);
    if (any && ok)
        session_send(session, &frame);
    else
        buf_fini(&frame);
    return ok;
}

static void serve_tails(struct session *session)
{
    for (size_t i = 0; i < session->subs.len; i++) {
        struct sub *sub = session->subs.at[i];
        struct err err = {0};
        if (sub->channel != CHANNEL_TAIL || send_tail(session, sub, &err))
            continue;
        send_end(session, sub->id, &err);
        session_drop_sub(session, sub->id);
        i--;
    }
}

static bool has_flow(const struct live *live)
{
    for (size_t i = 0; i < live->sessions.len; i++)
        for (size_t k = 0; k < live->sessions.at[i]->subs.len; k++)
            if (live->sessions.at[i]->subs.at[k]->channel == CHANNEL_FLOW)
                return true;
    return false;
}

static void serve_flows(struct live *live)
{
    int64_t now_ms = clock_mono_ms();
    if (now_ms - live->picture_ms < PICTURE_MS || !has_flow(live))
        return;
    struct picture *before = live->picture, *now = picture_take(live->env);
    if (before != NULL &&
        now->mono_ms - before->mono_ms > 5 * PICTURE_MS) { /* a mean over minutes is no rate */
        picture_free(before);
        before = NULL;
    }
    live->picture_ms = now_ms;
    for (size_t i = 0; i < live->sessions.len; i++) {
        struct session *session = live->sessions.at[i];
        for (size_t k = 0; k < session->subs.len; k++)
            if (session->subs.at[k]->channel == CHANNEL_FLOW && !atomic_load(&session->full))
                send_flow(session, session->subs.at[k], now, before);
    }
    if (before != NULL &&
        now->mono_ms - before->mono_ms < PICTURE_MS / 2) { /* too short for the next rates */
        picture_free(now);
        live->picture = before;
    } else {
        picture_free(before);
        live->picture = now;
    }
}

/* Thread -------------------------------------------------------------------------------------------------------------------- */

static void session_free(struct session *session)
{
    while (session->subs.len > 0)
        session_drop_sub(session, session->subs.at[0]->id);
    vec_fini(&session->subs);
    ws_release(session->ws);
    free(session);
}

/* Waits for the next tick, or for a message when nobody is there. False: stop. */
static bool take_inbox(struct live *live)
{
    pthread_mutex_lock(&live->lock);
    if (live->inbox.len == 0 && !live->stop) {
        if (live->sessions.len == 0) {
            pthread_cond_wait(&live->wake, &live->lock);
        } else {
            struct timespec until = clock_deadline(TICK_MS);
            pthread_cond_timedwait(&live->wake, &live->lock, &until);
        }
    }
    bool stop = live->stop;
    vec(struct note) notes = {live->inbox.at, live->inbox.len, live->inbox.cap};
    live->inbox.at = NULL;
    live->inbox.len = live->inbox.cap = 0;
    pthread_mutex_unlock(&live->lock);
    for (size_t i = 0; i < notes.len; i++) {
        struct note *note = &notes.at[i];
        if (note->bytes.len == 0)
            vec_push(&live->sessions, note->session);
        else
            take_message(note->session, buf_str(&note->bytes));
        buf_fini(&note->bytes);
    }
    vec_fini(&notes);
    return !stop;
}

/* A closed session lives one round longer: its last messages were posted before it was seen as closed. */
static void drop_closed(struct live *live, bool all)
{
    for (size_t i = live->sessions.len; i-- > 0;)
        if (!all && !live->sessions.at[i]->is_last_round)
            live->sessions.at[i]->is_last_round = atomic_load(&live->sessions.at[i]->closed);
        else {
            session_free(live->sessions.at[i]);
            vec_remove(&live->sessions, i);
            pthread_mutex_lock(&live->lock);
            live->session_count--;
            pthread_mutex_unlock(&live->lock);
        }
}

static void live_run(void *arg)
{
    struct live *live = arg;
    while (take_inbox(live)) {
        serve_flows(live);
        for (size_t i = 0; i < live->sessions.len; i++)
            serve_tails(live->sessions.at[i]);
        drop_closed(live, false);
    }
    drop_closed(live, true);
}

/* Sockets: network threads ---------------------------------------------------------------------------------------- */

/* Memory of a note without bytes tells a new session; false: stopping. */
static bool post(struct live *live, struct session *session, struct str bytes)
{
    struct note note = {.session = session};
    if (bytes.len != 0)
        buf_append_str(&note.bytes, bytes);
    pthread_mutex_lock(&live->lock);
    bool open = !live->stop;
    if (open)
        vec_push(&live->inbox, note);
    pthread_cond_signal(&live->wake);
    pthread_mutex_unlock(&live->lock);
    if (!open)
        buf_fini(&note.bytes);
    return open;
}

static void on_message(struct ws *ws, struct str bytes, bool is_text, void *arg)
{
    struct session *session = arg;
    if (is_text && bytes.len != 0)
        ignore(post(session->live, session, bytes), "when stopping, the thread closes all sessions");
}

static void on_drain(struct ws *ws, void *arg)
{
    struct session *session = arg;
    atomic_store(&session->full, false);
}

static void on_close(struct ws *ws, int code, void *arg)
{
    struct session *session = arg;
    atomic_store(&session->closed, true);
}

static const struct ws_class ws_class = {.on_message = on_message,
                                         .on_drain = on_drain,
                                         .on_close = on_close};

/* Messages come on this same network thread, so the note of the session stands before those of its messages. */
void live_get(struct http_request *req, void *arg)
{
    struct api_env *env = arg;
    struct live *live = env->live;
    pthread_mutex_lock(&live->lock);
    bool room = live->session_count < SESSIONS_MAX && !live->stop;
    live->session_count += room;
    pthread_mutex_unlock(&live->lock);
    if (!room) {
        http_reply_error(req, 503, 50300, STR("there are too many live sockets"));
        return;
    }
    struct session *session = mem_new(struct session);
    session->live = live;
    session->ws = ws_accept(req, &ws_class, session);
    if (!post(live, session, STR_NULL)) {
        ws_release(session->ws);
        free(session);
    }
}

void api_live_start(struct api_env *env)
{
    struct live *live = mem_new(struct live);
    live->env = env;
    pthread_mutex_init(&live->lock, NULL);
    clock_cond_init(&live->wake);
    struct err err;
    if (!thread_start(&live->thread, "api-live", live_run, live, &err)) {
        log_error("api", "live_off", "error=%s", err.text);
        live->stop = true;
    }
    env->live = live;
}

void api_live_stop(struct api_env *env)
{
    struct live *live = env->live;
    if (live == NULL)
        return;
    pthread_mutex_lock(&live->lock);
    bool started = !live->stop;
    live->stop = true;
    pthread_cond_signal(&live->wake);
    pthread_mutex_unlock(&live->lock);
    if (started)
        thread_join(&live->thread);
    picture_free(live->picture);
    vec_fini(&live->sessions);
    pthread_mutex_destroy(&live->lock);
    pthread_cond_destroy(&live->wake);
    free(live);
    env->live = NULL;
}
