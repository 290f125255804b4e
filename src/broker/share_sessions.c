/* share_sessions.c - what a member of a share group reads, remembered between its fetches.
 *
 *   epoch  0   begins a session: the request names all partitions        n  the next one: names what is new, and what goes
 *         -1   ends it: what the member has and does not acknowledge with it is available again
 *
 * (X1) A session belongs to the connection that it was last used on, and ends with it.
 * (X2) A fetch takes a copy of the places: it does not touch the session while it waits.
 */
#include "broker/shares_int.h"

struct share_sessions {
    pthread_mutex_t lock;
    struct map by_member; /* group, NUL, member -> share_session */
};

struct share_session {
    struct str group, member; /* owned */
    int32_t epoch;            /* of the next request */
    uint64_t conn;
    size_t turn;                    /* which place comes first */
    vec(struct share_place) places; /* sorted */
};

static struct str key_of(struct buf *buf, struct str group, struct str member)
{
    buf_clear(buf);
    buf_append_str(buf, group);
    buf_append_char(buf, '\0');
    buf_append_str(buf, member);
    return buf_str(buf);
}

/* Under the lock. */
static struct share_session *find(struct share_sessions *cache, struct str group, struct str member)
{
    struct buf key = {0};
    struct share_session *session = map_get(&cache->by_member, key_of(&key, group, member));
    buf_fini(&key);
    return session;
}

static void session_free(struct share_session *session)
{
    free((char *)session->group.ptr);
    free((char *)session->member.ptr);
    vec_fini(&session->places);
    free(session);
}

static struct str own(struct str s)
{
    return str_of(mem_dup(s.ptr, s.len), s.len);
}

static void add(struct share_sessions *cache, struct share_session *session)
{
    struct buf key = {0};
    map_put(&cache->by_member, key_of(&key, session->group, session->member), session);
    buf_fini(&key);
}

/* --- steps --- */

static int16_t open_session(struct share_sessions *cache, struct str group, struct str member, int64_t most,
                            struct share_session **out)
{
    struct share_session *session = find(cache, group, member);
    if (session == NULL && (int64_t)cache->by_member.len >= most)
        return SHARE_TOO_MANY_SESSIONS;
    if (session == NULL) {
        session = mem_new(struct share_session);
        session->group = own(group);
        session->member = own(member);
        add(cache, session);
    }
    vec_clear(&session->places);
    session->epoch = 1;
    *out = session;
    return 0;
}

int16_t share_session_step(struct request *req, struct str group, struct str member, int32_t epoch,
                           bool may_open)
{
    struct broker *broker = req->broker;
    struct share_sessions *cache = broker->share_sessions;
    struct share_session *session = NULL;
    int16_t error = 0;
    if (epoch == SHARE_EPOCH_OPEN && !may_open)
        return SHARE_BAD_EPOCH;
    uint64_t conn = request_hold_shares(req);
    pthread_mutex_lock(&cache->lock);
    if (epoch == SHARE_EPOCH_OPEN)
        error = open_session(cache, group, member, broker->config.coord.share_sessions_max, &session);
    else if ((session = find(cache, group, member)) == NULL)
        error = SHARE_NO_SESSION;
    else if (epoch != SHARE_EPOCH_CLOSE && epoch != session->epoch)
        error = SHARE_BAD_EPOCH;
    else if (epoch != SHARE_EPOCH_CLOSE)
        session->epoch = session->epoch == INT32_MAX ? 1 : session->epoch + 1;
    if (error == 0)
        session->conn = conn;
    pthread_mutex_unlock(&cache->lock);
    return error;
}

static int order(const struct share_place *a, const struct share_place *b)
{
    int by_topic = memcmp(a->topic.bytes, b->topic.bytes, sizeof a->topic.bytes);
    return by_topic != 0 ? by_topic : (a->partition > b->partition) - (a->partition < b->partition);
}

/* Where it is, or belongs; *there: it is. */
static size_t index_of(const struct share_session *session, const struct share_place *place, bool *there)
{
    size_t low = 0, high = session->places.len;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (order(&session->places.at[mid], place) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *there = low < session->places.len && order(&session->places.at[low], place) == 0;
    return low;
}

static void add_place(struct share_session *session, const struct share_place *place)
{
    bool there;
    size_t at = index_of(session, place, &there);
    if (there || session->places.len >= SHARE_PLACES_MAX)
        return;
    vec_push(&session->places, *place);
    memmove(&session->places.at[at + 1], &session->places.at[at],
            (session->places.len - 1 - at) * sizeof *place);
    session->places.at[at] = *place;
}

static void remove_place(struct share_session *session, const struct share_place *place)
{
    bool there;
    size_t at = index_of(session, place, &there);
    if (there)
        vec_remove(&session->places, at);
}

struct share_place *share_session_places(struct request *req, struct str group, struct str member,
                                         const struct share_place *new_places, size_t new_count,
                                         const struct share_place *remove, size_t remove_count, size_t *count)
{
    struct share_sessions *cache = req->broker->share_sessions;
    struct share_place *out = NULL;
    *count = 0;
    pthread_mutex_lock(&cache->lock);
    struct share_session *session = find(cache, group, member);
    for (size_t i = 0; session != NULL && i < new_count; i++)
        add_place(session, &new_places[i]);
    for (size_t i = 0; session != NULL && i < remove_count; i++)
        remove_place(session, &remove[i]);
    if (session != NULL && session->places.len != 0) {
        *count = session->places.len;
        out = arena_array(&req->arena, struct share_place, *count);
        size_t first = session->turn++ % *count;
        for (size_t i = 0; i < *count; i++)
            out[i] = session->places.at[(first + i) % *count];
    }
    pthread_mutex_unlock(&cache->lock);
    return out;
}

/* --- ends --- */

static void release(struct broker *broker, struct str group, struct str member)
{
    struct share_release request = {.group = group, .member = member, .now_ms = io_now_ms(broker->io)};
    struct err err;
    if (!coord_shares_run(broker->coord, share_decide_release, &request, NULL,
                          &err)) /* then locks end by time */
        log_warn("broker", "share_release_failed", "cause=\"%s\"", err.text);
}

void share_session_end(struct broker *broker, struct str group, struct str member)
{
    struct buf key = {0};
    pthread_mutex_lock(&broker->share_sessions->lock);
    struct share_session *session =
        map_remove(&broker->share_sessions->by_member, key_of(&key, group, member));
    pthread_mutex_unlock(&broker->share_sessions->lock);
    if (session != NULL)
        session_free(session);
    buf_fini(&key);
    release(broker, group, member);
}

void share_sessions_conn_closed(struct broker *broker, uint64_t conn)
{
    vec(struct share_session *) gone = {0};
    struct buf key = {0};
    void *session_ptr;
    pthread_mutex_lock(&broker->share_sessions->lock);
    for (size_t i = 0; map_next(&broker->share_sessions->by_member, &i, NULL, &session_ptr);) {
        struct share_session *session = session_ptr;
        if (session->conn != conn)
            continue;
        map_remove(&broker->share_sessions->by_member, key_of(&key, session->group, session->member));
        vec_push(&gone, session);
    }
    pthread_mutex_unlock(&broker->share_sessions->lock);
    for (size_t i = 0; i < gone.len; i++) {
        release(broker, gone.at[i]->group, gone.at[i]->member);
        session_free(gone.at[i]);
    }
    vec_fini(&gone);
    buf_fini(&key);
}

void share_sessions_open(struct broker *broker)
{
    broker->share_sessions = mem_new(struct share_sessions);
    pthread_mutex_init(&broker->share_sessions->lock, NULL);
}

void share_sessions_close(struct broker *broker)
{
    void *session;
    for (size_t i = 0; map_next(&broker->share_sessions->by_member, &i, NULL, &session);)
        session_free(session);
    map_fini(&broker->share_sessions->by_member);
    pthread_mutex_destroy(&broker->share_sessions->lock);
    free(broker->share_sessions);
}
