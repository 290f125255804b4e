/* fetch_session.c - fetch sessions (KIP-227): the broker remembers what a client fetches, so that a request names only what
 * has changed and an answer only what is new.
 *
 *   parts   [a-0] [a-1] [b-0] ... [z-999]          what the client wants
 *             ^ watch fires (any thread)
 *   dirty   [a-1] [z-999]                          something happened there
 *             | session_collect (who has taken the session)
 *   active  [b-0] [a-1] [z-999]                    to be looked at: new data, an error, an offset that the client moved
 *
 * A fetch looks at the active parts only: a thousand partitions where nothing happens cost nothing. A part rests when it
 * has nothing to tell; one that has given records goes to the end, so that none starves.
 *
 * (S1) A session is used by one request at a time: `busy`, under the lock of the cache. A second request that comes meanwhile
 *      finds no session (FETCH_SESSION_ID_NOT_FOUND), and its client begins a new one.
 * (S2) Everything but the dirty list belongs to who has taken the session. The dirty list has its own lock, a leaf below the
 *      lock of a partition, because watches fire under that.
 * (S3) A part is on the dirty list once: its flag is cleared when it is taken off, before it is looked at, so nothing that
 *      happens later is lost.
 * (S4) A deleted topic keeps its name taken until the last reference goes: sessions_topic_deleted() lets go of what idle
 *      sessions hold, `stale` makes busy ones do it when they are given back.
 * (S5) Bounded: max.incremental.fetch.session.cache.slots sessions with PARTS_MAX partitions in all. A new session takes the
 *      place of one that was idle for EVICTION_MS, or of a smaller one that is as old; otherwise it is declined (id 0).
 */
#include "broker/fetch_int.h"

enum { PARTS_MAX = 200000, EVICTION_MS = 120000 };
enum {
    UNKNOWN_TOPIC = 3,
    SESSION_NOT_FOUND = 70,
    INVALID_SESSION_EPOCH = 71,
    UNKNOWN_TOPIC_ID = 100,
    SESSION_TOPIC_ID_ERROR = 106,
};
enum { TOPIC_ID_VERSION = 13 };

struct fetch_sessions {
    pthread_mutex_t lock;
    struct map by_id; /* 4 bytes -> struct fetch_session */
    struct list lru;
    size_t part_count;
    struct metric *open, *evicted;
};

/* Ages go by the io's clock, which a test can set. */
static int64_t now_ms(const struct broker *broker)
{
    return io_monotonic_us(broker->io) / 1000;
}

/* --- parts --- */

void fetch_part_set(struct fetch_part *fp, const struct FetchRequest_FetchPartition *asked)
{
    fp->id = asked->Partition;
    fp->offset = asked->FetchOffset;
    fp->bytes_max = asked->PartitionMaxBytes;
    fp->leader_epoch = asked->CurrentLeaderEpoch;
    fp->fetched_epoch = asked->LastFetchedEpoch;
}

void fetch_part_resolve(struct broker *broker, struct fetch_part *fp)
{
    bool known = true;
    if (fp->part != NULL && partition_is_deleted(fp->part)) {
        partition_unref(fp->part);
        fp->part = NULL;
    }
    if (fp->part != NULL)
        return;
    fp->part = str_is_null(fp->topic.name)
                   ? storage_partition_by_id(broker->storage, fp->topic.id, fp->id, &known)
                   : storage_partition(broker->storage, fp->topic.name, fp->id);
    fp->unknown = known ? UNKNOWN_TOPIC : UNKNOWN_TOPIC_ID;
}

static void on_watch(struct partition_watch *watch)
{
    struct session_part *sp = LIST_ENTRY(watch, struct session_part, watch);
    struct fetch_session *session = sp->session;
    if (atomic_exchange(&sp->dirty, true))
        return;
    pthread_mutex_lock(&session->lock);
    list_push_back(&session->dirty, &sp->dirty_link);
    if (session->parked != NULL)
        fetch_wake(session->parked);
    pthread_mutex_unlock(&session->lock);
}

/* Watches the partition that was found. */
static void part_resolve(struct session_part *sp)
{
    bool gone = sp->fp.part != NULL && partition_is_deleted(sp->fp.part);
    bool watched = sp->fp.part != NULL && !gone;
    if (gone)
        partition_watch_remove(sp->fp.part, &sp->watch);
    fetch_part_resolve(sp->session->broker, &sp->fp);
    if (sp->fp.part != NULL && !watched)
        partition_watch_add(sp->fp.part, &sp->watch);
}

static void part_activate(struct session_part *sp)
{
    if (!list_empty(&sp->active_link))
        return;
    list_push_back(&sp->session->active, &sp->active_link);
    sp->session->active_count++;
}

void session_part_rest(struct session_part *sp)
{
    if (list_empty(&sp->active_link))
        return;
    list_remove(&sp->active_link);
    sp->session->active_count--;
}

void session_part_last(struct session_part *sp)
{
    list_remove(&sp->active_link);
    list_push_back(&sp->session->active, &sp->active_link);
}

static void part_free(struct session_part *sp)
{
    if (sp->fp.part != NULL)
        partition_watch_remove(sp->fp.part, &sp->watch);
    pthread_mutex_lock(&sp->session->lock);
    list_remove(&sp->dirty_link);
    pthread_mutex_unlock(&sp->session->lock);
    session_part_rest(sp);
    partition_unref(sp->fp.part);
    free((char *)sp->fp.topic.name.ptr);
    free(sp);
}

static struct session_part *part_new(struct fetch_session *session, const struct fetch_topic *topic)
{
    struct session_part *sp = mem_new(struct session_part);
    sp->session = session;
    sp->fp.topic = *topic;
    if (!str_is_null(topic->name))
        sp->fp.topic.name.ptr = mem_dup(topic->name.ptr, topic->name.len);
    sp->watch.fn = on_watch;
    sp->watch.events = PARTITION_WATCH_VISIBLE;
    sp->told_hw = sp->told_start = -1;
    atomic_init(&sp->dirty, false);
    list_init(&sp->watch.link);
    list_init(&sp->dirty_link);
    list_init(&sp->active_link);
    return sp;
}

/* The key of a part: the partition, then the topic's id or name. */
static struct str part_key(const struct fetch_topic *topic, int32_t id, struct buf *buf)
{
    buf_clear(buf);
    buf_append(buf, &id, sizeof id);
    if (str_is_null(topic->name))
        buf_append(buf, topic->id.bytes, sizeof topic->id.bytes);
    else
        buf_append_str(buf, topic->name);
    return buf_str(buf);
}

void session_collect(struct fetch_session *session)
{
    struct list dirty;
    list_init(&dirty);
    pthread_mutex_lock(&session->lock);
    while (!list_empty(&session->dirty)) {
        struct session_part *sp = LIST_ENTRY(session->dirty.next, struct session_part, dirty_link);
        list_remove(&sp->dirty_link);
        atomic_store(&sp->dirty, false); /* S3 */
        part_activate(sp);
    }
    pthread_mutex_unlock(&session->lock);
    list_each (struct session_part, sp, &session->active, active_link)
        part_resolve(sp);
}

void session_park(struct fetch_session *session, struct fetch *fetch)
{
    pthread_mutex_lock(&session->lock);
    session->parked = fetch;
    pthread_mutex_unlock(&session->lock);
}

/* --- sessions --- */

static struct fetch_session *session_new(struct broker *broker, bool by_id)
{
    struct fetch_session *session = mem_new(struct fetch_session);
    session->broker = broker;
    session->epoch = 1;
    session->by_id = by_id;
    session->busy = true;
    pthread_mutex_init(&session->lock, NULL);
    list_init(&session->active);
    list_init(&session->dirty);
    list_init(&session->link);
    return session;
}

static void session_free(struct fetch_session *session)
{
    void *sp;
    for (size_t i = 0; map_next(&session->parts, &i, NULL, &sp);)
        part_free(sp);
    map_fini(&session->parts);
    pthread_mutex_destroy(&session->lock);
    free(session);
}

static struct str id_key(const int32_t *id)
{
    return str_of((const char *)id, sizeof *id);
}

/* Takes the session out of the cache. True: nobody uses it, the caller frees it, without the lock. Under the lock. */
static bool drop(struct fetch_sessions *sessions, struct fetch_session *session)
{
    map_remove(&sessions->by_id, id_key(&session->id));
    list_remove(&session->link);
    sessions->part_count -= session->counted;
    session->closed = true;
    metric_set(sessions->open, (int64_t)sessions->by_id.len);
    return !session->busy;
}

/* A session whose place a new one of `size` partitions may take, or NULL (S5). Under the lock. */
static struct fetch_session *victim(struct fetch_sessions *sessions, size_t size, int64_t at_ms)
{
    struct fetch_session *smallest = NULL;
    list_each (struct fetch_session, session, &sessions->lru, link) {
        if (session->busy)
            continue;
        if (at_ms - session->used_ms > EVICTION_MS)
            return session;
        bool old = at_ms - session->made_ms > EVICTION_MS && session->parts.len < size;
        if (old && (smallest == NULL || session->parts.len < smallest->parts.len))
            smallest = session;
    }
    return smallest;
}

/* Gives the session an id and a place in the cache. False: there is none. Under the lock; *freed is to be freed without. */
static bool place(struct fetch_sessions *sessions, struct fetch_session *session, int64_t slots,
                  struct fetch_session **freed)
{
    int64_t at_ms = now_ms(session->broker);
    size_t size = session->parts.len;
    *freed = NULL;
    if (slots == 0 || size > PARTS_MAX)
        return false;
    if ((int64_t)sessions->by_id.len >= slots || sessions->part_count + size > PARTS_MAX) {
        *freed = victim(sessions, size, at_ms);
        if (*freed == NULL)
            return false;
        drop(sessions, *freed);
        metric_add(sessions->evicted, 1);
        if ((int64_t)sessions->by_id.len >= slots || sessions->part_count + size > PARTS_MAX)
            return false;
    }
    do {
        io_random(session->broker->io, &session->id, sizeof session->id);
        session->id &= INT32_MAX;
    } while (session->id == 0 || map_has(&sessions->by_id, id_key(&session->id)));
    session->made_ms = session->used_ms = at_ms;
    map_put(&sessions->by_id, id_key(&session->id), session);
    list_push_back(&sessions->lru, &session->link);
    session->counted = size;
    sessions->part_count += size;
    metric_set(sessions->open, (int64_t)sessions->by_id.len);
    return true;
}

void session_release(struct fetch_session *session)
{
    struct fetch_sessions *sessions = session->broker->fetch_sessions;
    bool stale, closed;
    do { /* S4 */
        pthread_mutex_lock(&sessions->lock);
        stale = session->stale;
        closed = session->closed;
        session->stale = false;
        session->busy = stale && !closed;
        session->used_ms = now_ms(session->broker);
        pthread_mutex_unlock(&sessions->lock);
        if (stale && !closed)
            session_collect(session); /* a deletion makes its parts dirty */
    } while (stale && !closed);
    if (closed)
        session_free(session);
}

void sessions_topic_deleted(struct broker *broker)
{
    struct fetch_sessions *sessions = broker->fetch_sessions;
    vec(struct fetch_session *) idle = {0};
    pthread_mutex_lock(&sessions->lock);
    list_each (struct fetch_session, session, &sessions->lru, link) {
        session->stale = session->busy;
        if (session->busy)
            continue;
        session->busy = true;
        vec_push(&idle, session);
    }
    pthread_mutex_unlock(&sessions->lock);
    for (size_t i = 0; i < idle.len; i++) {
        session_collect(idle.at[i]);
        session_release(idle.at[i]);
    }
    vec_fini(&idle);
}

void sessions_open(struct broker *broker)
{
    struct fetch_sessions *sessions = broker->fetch_sessions = mem_new(struct fetch_sessions);
    pthread_mutex_init(&sessions->lock, NULL);
    list_init(&sessions->lru);
    sessions->open = metric_gauge(broker->metrics, "rialto_kafka_fetch_sessions", NO_LABELS);
    sessions->evicted =
        metric_counter(broker->metrics, "rialto_kafka_fetch_sessions_evicted_total", NO_LABELS);
}

void sessions_close(struct broker *broker)
{
    struct fetch_sessions *sessions = broker->fetch_sessions;
    if (sessions == NULL)
        return;
    while (!list_empty(&sessions->lru)) {
        struct fetch_session *session = LIST_ENTRY(sessions->lru.next, struct fetch_session, link);
        bool idle = drop(sessions, session);
        ASSERT(idle); /* connections are gone, and with them their requests */
        session_free(session);
    }
    map_fini(&sessions->by_id);
    pthread_mutex_destroy(&sessions->lock);
    free(sessions);
    broker->fetch_sessions = NULL;
}

/* --- what a request does to a session --- */

static struct fetch_topic topic_of(struct str name, struct uuid id, bool by_id)
{
    return by_id ? (struct fetch_topic){STR_NULL, id}
                 : (struct fetch_topic){str_is_null(name) ? STR("") : name, {{0}}};
}

/* Adds the partitions of the request and changes those that are there; all of them become active. */
static void take_asked(struct fetch_session *session, const struct FetchRequest *body)
{
    struct buf key = {0};
    for (int32_t i = 0; i < body->Topics.len; i++) {
        const struct FetchRequest_FetchTopic *asked = &body->Topics.at[i];
        struct fetch_topic topic = topic_of(asked->Topic, asked->TopicId, session->by_id);
        for (int32_t j = 0; j < asked->Partitions.len; j++) {
            struct str at = part_key(&topic, asked->Partitions.at[j].Partition, &key);
            struct session_part *sp = map_get(&session->parts, at);
            if (sp == NULL) {
                sp = part_new(session, &topic);
                map_put(&session->parts, at, sp);
            }
            fetch_part_set(&sp->fp, &asked->Partitions.at[j]);
            part_activate(sp);
        }
    }
    buf_fini(&key);
}

static void forget(struct fetch_session *session, const struct FetchRequest *body)
{
    struct buf key = {0};
    for (int32_t i = 0; i < body->ForgottenTopicsData.len; i++) {
        const struct FetchRequest_ForgottenTopic *asked = &body->ForgottenTopicsData.at[i];
        struct fetch_topic topic = topic_of(asked->Topic, asked->TopicId, session->by_id);
        for (int32_t j = 0; j < asked->Partitions.len; j++) {
            struct session_part *sp =
                map_remove(&session->parts, part_key(&topic, asked->Partitions.at[j], &key));
            if (sp != NULL)
                part_free(sp);
        }
    }
    buf_fini(&key);
}

static void close_session(struct fetch_sessions *sessions, int32_t id)
{
    pthread_mutex_lock(&sessions->lock);
    struct fetch_session *session = map_get(&sessions->by_id, id_key(&id));
    bool unused = session != NULL && drop(sessions, session);
    pthread_mutex_unlock(&sessions->lock);
    if (unused)
        session_free(session);
}

static size_t count_asked(const struct FetchRequest *body)
{
    size_t count = 0;
    for (int32_t i = 0; i < body->Topics.len; i++)
        count += (size_t)MAX(body->Topics.at[i].Partitions.len, 0);
    return count;
}

static struct session_use begin(struct request *req)
{
    struct fetch_sessions *sessions = req->broker->fetch_sessions;
    struct session_use declined = {.full = true};
    if (count_asked(req->body) > PARTS_MAX || LIVE(req->broker, fetch_sessions_max) == 0)
        return declined;
    struct fetch_session *session = session_new(req->broker, req->version >= TOPIC_ID_VERSION), *freed;
    take_asked(session, req->body);
    pthread_mutex_lock(&sessions->lock);
    bool placed = place(sessions, session, LIVE(req->broker, fetch_sessions_max), &freed);
    pthread_mutex_unlock(&sessions->lock);
    if (freed != NULL)
        session_free(freed);
    if (placed)
        return (struct session_use){.session = session, .id = session->id, .full = true};
    session_free(session);
    return declined;
}

/* Finds the session and takes it; the error when that is not to be. Under the lock. */
static int16_t find(struct fetch_sessions *sessions, const struct request *req, struct fetch_session **out)
{
    const struct FetchRequest *body = req->body;
    struct fetch_session *session = map_get(&sessions->by_id, id_key(&body->SessionId));
    if (session == NULL || session->busy) /* S1 */
        return SESSION_NOT_FOUND;
    if (session->epoch != body->SessionEpoch)
        return INVALID_SESSION_EPOCH;
    if (session->by_id != (req->version >= TOPIC_ID_VERSION))
        return SESSION_TOPIC_ID_ERROR;
    if (sessions->part_count + count_asked(body) > PARTS_MAX) { /* cannot grow: its client begins a new one */
        if (drop(sessions, session))
            *out = session;
        return SESSION_NOT_FOUND;
    }
    session->epoch = session->epoch == INT32_MAX ? 1 : session->epoch + 1;
    session->busy = true;
    session->used_ms = now_ms(session->broker);
    list_remove(&session->link);
    list_push_back(&sessions->lru, &session->link);
    *out = session;
    return 0;
}

static struct session_use go_on(struct request *req)
{
    const struct FetchRequest *body = req->body;
    struct fetch_sessions *sessions = req->broker->fetch_sessions;
    struct fetch_session *session = NULL;
    pthread_mutex_lock(&sessions->lock);
    int16_t error = find(sessions, req, &session);
    pthread_mutex_unlock(&sessions->lock);
    if (error != 0) {
        if (session != NULL)
            session_free(session);
        return (struct session_use){.error = error};
    }
    forget(session, body);
    take_asked(session, body);
    pthread_mutex_lock(&sessions->lock);
    size_t count = session->parts.len;
    if (!session->closed) { /* else another request has closed it meanwhile */
        sessions->part_count += count - session->counted;
        session->counted = count;
        if (count == 0)
            drop(sessions, session);
    }
    int32_t id = session->closed ? 0 : session->id;
    pthread_mutex_unlock(&sessions->lock);
    return (struct session_use){.session = session, .id = id};
}

struct session_use session_take(struct request *req)
{
    enum { NEW_SESSION = 0, NO_SESSION = -1 };
    const struct FetchRequest *body = req->body;
    if (body->SessionEpoch != NEW_SESSION && body->SessionEpoch != NO_SESSION)
        return go_on(req);
    if (body->SessionId != 0)
        close_session(req->broker->fetch_sessions, body->SessionId);
    return body->SessionEpoch == NEW_SESSION ? begin(req) : (struct session_use){.full = true};
}
