/* quota.c - how much a client may do (KIP-13, KIP-599, KIP-612): limits from __cluster_metadata, buckets, throttle times.
 *
 *   entity (user=a, client-id=<default>) -> producer_byte_rate 1e6          resource of the topics' state
 *      | the most specific one that names the connection
 *   client_quotas { bucket a kind }                                         of a connection, shared by its requests
 *      | charge(bytes, thread time, partitions)
 *   bucket { limit, tokens }                                                shared by all connections of its entity
 *      `-> tokens < 0: the answer carries the time until they are not, and the connection is not read for as long
 *
 * A bucket fills with `limit` tokens a second, up to what a window holds (quota.window.num - 1 windows of
 * quota.window.size.seconds), so that who was quiet may burst as Kafka's sliding average allows. The throttle time is the
 * debt divided by the limit.
 *
 * (Q1) Without any quota set, a request costs one atomic load.
 * (Q2) What a limit is counted for follows Kafka: a quota of (user, client-id) for each pair, one of a user for all its
 *      connections together, one of a client-id for all with that id; a default counts for each that it is applied to.
 * (Q3) Buckets of nobody's are kept for a window, so that a client does not get a fresh one by connecting anew, and then go.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "loop/loop.h"
#include "quota/quota.h"

const struct quota_def quota_defs[QUOTA_KINDS] = {
    [QUOTA_PRODUCE] = {"producer_byte_rate", true, false, "produce"},
    [QUOTA_FETCH] = {"consumer_byte_rate", true, false, "fetch"},
    [QUOTA_REQUEST] = {"request_percentage", false, false, "request"},
    [QUOTA_MUTATION] = {"controller_mutation_rate", false, false, "mutation"},
    [QUOTA_CONNECTION] = {"connection_creation_rate", true, true, "connection"},
};

/* An option that may change while the server runs. */
#define LIVE(quotas, member) __atomic_load_n(&(quotas)->config->member, __ATOMIC_RELAXED)

struct quota_bucket {
    pthread_mutex_t lock;
    enum quota_kind kind;
    double limit, tokens; /* a second; negative: debt */
    double window_s;
    int64_t at_us; /* when tokens was right */
    /* Under the lock of the quotas. */
    int refs;
    struct str key; /* owned */
};

struct quotas {
    const struct quota_config *config; /* in force: live */
    struct storage *storage;
    pthread_mutex_t lock;
    struct map buckets; /* kind, user, client id -> struct quota_bucket */
    size_t sweep_at;    /* number of buckets at which those of nobody's are looked for */
    atomic_ullong generation;
    unsigned long long changes;
    struct metric *throttled[QUOTA_KINDS], *throttled_ms[QUOTA_KINDS];
};

struct quotas *quotas_new(const struct quota_config *config, struct storage *storage,
                          struct metric_registry *metrics)
{
    struct quotas *quotas = mem_new(struct quotas);
    quotas->config = config;
    quotas->storage = storage;
    pthread_mutex_init(&quotas->lock, NULL);
    for (int i = 0; i < QUOTA_KINDS; i++) {
        quotas->throttled[i] =
            metric_counter(metrics, "rialto_kafka_throttled_total", LABELS({"quota", quota_defs[i].label}));
        quotas->throttled_ms[i] = metric_counter(metrics, "rialto_kafka_throttled_milliseconds_total",
                                                 LABELS({"quota", quota_defs[i].label}));
    }
    return quotas;
}

static void bucket_free(struct quota_bucket *bucket)
{
    pthread_mutex_destroy(&bucket->lock);
    free((char *)bucket->key.ptr);
    free(bucket);
}

void quotas_free(struct quotas *quotas)
{
    void *bucket;
    if (quotas == NULL)
        return;
    for (size_t i = 0; map_next(&quotas->buckets, &i, NULL, &bucket);)
        bucket_free(bucket);
    map_fini(&quotas->buckets);
    pthread_mutex_destroy(&quotas->lock);
    free(quotas);
}

/* --- limits --- */

/* The buckets that a connection's requests are charged to. Counted references; immutable but for the buckets. */
struct client_quotas {
    atomic_int refs;
    struct quotas *quotas;
    unsigned long long generation;
    struct str user, client_id; /* owned */
    struct quota_bucket *buckets[QUOTA_KINDS];
};

void quotas_changed(struct quotas *quotas)
{
    bool any = false;
    size_t pos = 0;
    storage_topics_lock(quotas->storage);
    for (const struct resource *res;
         !any && (res = topics_next_resource(storage_topics(quotas->storage), &pos)) != NULL;)
        any = res->type == RESOURCE_QUOTA;
    storage_topics_unlock(quotas->storage);
    quotas->changes++; /* one at a time: see quota.h */
    atomic_store(&quotas->generation, any ? quotas->changes : 0);
}

bool quotas_on(const struct quotas *quotas)
{
    return atomic_load_explicit(&quotas->generation, memory_order_relaxed) != 0;
}

/* The limit that one entity has for a kind; 0: none. Under the lock of the state. */
static double limit_of(const struct quotas *quotas, enum quota_kind kind, const struct quota_entity *entity)
{
    struct buf name = {0};
    double limit = 0;
    quota_entity_name(entity, &name);
    const struct resource *res =
        topics_resource(storage_topics(quotas->storage), RESOURCE_QUOTA, buf_str(&name));
    struct str text = resource_setting(res, str_from(quota_defs[kind].key));
    if (!str_is_null(text) && !str_to_double(text, &limit))
        limit = 0;
    buf_fini(&name);
    return limit;
}

/* The most specific quota that names the client; *by_user, *by_client: what it is counted for (Q2). */
static double find_limit(const struct quotas *quotas, enum quota_kind kind, struct str user,
                         struct str client, bool *by_user, bool *by_client)
{
    /* Kafka's order: present parts of the entity, and which of them are the default. */
    static const struct {
        bool user, client, user_default, client_default;
    } order[] = {
        {true, true, false, false},  {true, true, false, true},  {true, false, false, false},
        {true, true, true, false},   {true, true, true, true},   {true, false, true, false},
        {false, true, false, false}, {false, true, false, true},
    };
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        struct quota_entity entity = {0};
        if (order[i].user)
            entity.parts[QUOTA_USER] = (struct quota_part){true, order[i].user_default ? STR_NULL : user};
        if (order[i].client)
            entity.parts[QUOTA_CLIENT] =
                (struct quota_part){true, order[i].client_default ? STR_NULL : client};
        double limit = limit_of(quotas, kind, &entity);
        if (limit > 0) {
            *by_user = order[i].user;
            *by_client = order[i].client;
            return limit;
        }
    }
    return 0;
}

/* --- buckets --- */

static double window_s(const struct quotas *quotas)
{
    return (double)(MAX(LIVE(quotas, windows) - 1, 1) * LIVE(quotas, window_s));
}

/* Brings tokens up to now. Under the bucket's lock. */
static void refill(struct quota_bucket *bucket, int64_t now_us)
{
    double burst = bucket->limit * bucket->window_s;
    bucket->tokens += bucket->limit * (double)(now_us - bucket->at_us) / 1e6;
    bucket->tokens = MIN(bucket->tokens, burst);
    bucket->at_us = now_us;
}

/* Takes `amount` from the bucket; the time until it is out of debt. A NULL bucket has no limit. Any thread. */
static int64_t quota_charge(struct quota_bucket *bucket, double amount)
{
    if (bucket == NULL)
        return 0;
    pthread_mutex_lock(&bucket->lock);
    refill(bucket, clock_mono_us());
    bucket->tokens -= amount;
    double debt_s = bucket->tokens < 0 ? -bucket->tokens / bucket->limit : 0;
    if (bucket->kind == QUOTA_REQUEST && debt_s > 1) { /* as Kafka: thread time mutes for a window at most */
        bucket->tokens = -bucket->limit;
        debt_s = 1;
    }
    pthread_mutex_unlock(&bucket->lock);
    return (int64_t)ceil(MIN(debt_s * 1000, (double)INT32_MAX));
}

/* Buckets of nobody's that are full again. Under the lock of the quotas (Q3). */
static void sweep(struct quotas *quotas)
{
    enum { KEEP = 1000 };
    void *value;
    int64_t now_us = clock_mono_us();
    if (quotas->buckets.len < MAX(quotas->sweep_at, KEEP))
        return;
    for (size_t i = 0; map_next(&quotas->buckets, &i, NULL, &value);) {
        struct quota_bucket *bucket = value;
        pthread_mutex_lock(&bucket->lock);
        refill(bucket, now_us);
        bool full = bucket->tokens >= bucket->limit * bucket->window_s;
        pthread_mutex_unlock(&bucket->lock);
        if (bucket->refs == 0 && full) {
            map_remove(&quotas->buckets, bucket->key);
            bucket_free(bucket);
        }
    }
    quotas->sweep_at = 2 * quotas->buckets.len;
}

/* A reference to the bucket of a key, made full if it is new; its limit is set. */
static struct quota_bucket *bucket_ref(struct quotas *quotas, enum quota_kind kind, double limit,
                                       struct str user, struct str client)
{
    struct arena arena = {0};
    struct str key =
        str_printf(&arena, "%d %zu %.*s%.*s", (int)kind, user.len, STR_ARG(user), STR_ARG(client));
    pthread_mutex_lock(&quotas->lock);
    struct quota_bucket *bucket = map_get(&quotas->buckets, key);
    if (bucket == NULL) {
        sweep(quotas);
        bucket = mem_new(struct quota_bucket);
        pthread_mutex_init(&bucket->lock, NULL);
        bucket->kind = kind;
        bucket->key = str_of(mem_dup(key.ptr, key.len), key.len);
        bucket->at_us = clock_mono_us();
        bucket->tokens = limit * window_s(quotas);
        map_put(&quotas->buckets, bucket->key, bucket);
    }
    bucket->refs++;
    pthread_mutex_lock(&bucket->lock);
    bucket->limit = limit;
    bucket->window_s = window_s(quotas);
    pthread_mutex_unlock(&bucket->lock);
    pthread_mutex_unlock(&quotas->lock);
    arena_fini(&arena);
    return bucket;
}

static void bucket_unref(struct quotas *quotas, struct quota_bucket *bucket)
{
    if (bucket == NULL)
        return;
    pthread_mutex_lock(&quotas->lock);
    bucket->refs--;
    pthread_mutex_unlock(&quotas->lock);
}

/* --- of a connection --- */

static struct client_quotas *resolve(struct quotas *quotas, unsigned long long generation, struct str user,
                                     struct str client)
{
    struct client_quotas *own = mem_new(struct client_quotas);
    atomic_init(&own->refs, 1);
    own->quotas = quotas;
    own->generation = generation;
    own->client_id = str_of(mem_dup(client.ptr, client.len), client.len);
    own->user = str_of(mem_dup(user.ptr, user.len), user.len);
    for (int kind = 0; kind < QUOTA_CONNECTION; kind++) {
        bool by_user = false, by_client = false;
        storage_topics_lock(quotas->storage);
        double limit = find_limit(quotas, (enum quota_kind)kind, user, client, &by_user, &by_client);
        storage_topics_unlock(quotas->storage);
        if (kind == QUOTA_REQUEST)
            limit /= 100; /* percent of a thread's second */
        if (limit > 0)
            own->buckets[kind] = bucket_ref(quotas, (enum quota_kind)kind, limit, by_user ? user : STR(""),
                                            by_client ? client : STR(""));
    }
    return own;
}

struct client_quotas *quotas_current(struct quotas *quotas, struct client_quotas *own, struct str user,
                                     struct str client)
{
    unsigned long long generation = atomic_load(&quotas->generation);
    client = str_is_null(client) ? STR("") : client;
    if (own != NULL && own->generation == generation && str_eq(own->client_id, client) &&
        str_eq(own->user, user))
        return own;
    client_quotas_unref(own);
    return generation == 0 ? NULL : resolve(quotas, generation, user, client);
}

struct client_quotas *client_quotas_ref(struct client_quotas *own)
{
    if (own != NULL)
        atomic_fetch_add(&own->refs, 1);
    return own;
}

void client_quotas_unref(struct client_quotas *own)
{
    if (own == NULL || atomic_fetch_sub(&own->refs, 1) != 1)
        return;
    for (int kind = 0; kind < QUOTA_KINDS; kind++)
        bucket_unref(own->quotas, own->buckets[kind]);
    free((char *)own->client_id.ptr);
    free((char *)own->user.ptr);
    free(own);
}

int64_t client_quotas_charge(struct client_quotas *own, enum quota_kind kind, double amount)
{
    if (own == NULL || own->buckets[kind] == NULL)
        return 0;
    int64_t ms = quota_charge(own->buckets[kind], amount);
    if (ms > 0 && amount > 0) {
        metric_add(own->quotas->throttled[kind], 1);
        metric_add(own->quotas->throttled_ms[kind], ms);
    }
    return ms;
}

int64_t client_quotas_burst(const struct client_quotas *own, enum quota_kind kind)
{
    struct quota_bucket *bucket = own != NULL ? own->buckets[kind] : NULL;
    if (bucket == NULL)
        return INT64_MAX;
    pthread_mutex_lock(&bucket->lock);
    double burst = bucket->limit * bucket->window_s;
    pthread_mutex_unlock(&bucket->lock);
    return burst < (double)INT32_MAX ? (int64_t)burst : INT64_MAX;
}

/* --- of an address --- */

const char *quotas_admit(struct quotas *quotas, struct str host)
{
    struct quota_entity entity = {.parts[QUOTA_IP] = {true, host}};
    if (!quotas_on(quotas))
        return NULL;
    storage_topics_lock(quotas->storage);
    double limit = limit_of(quotas, QUOTA_CONNECTION, &entity);
    entity.parts[QUOTA_IP].name = STR_NULL;
    if (limit <= 0)
        limit = limit_of(quotas, QUOTA_CONNECTION, &entity);
    storage_topics_unlock(quotas->storage);
    if (limit <= 0)
        return NULL;
    struct quota_bucket *bucket = bucket_ref(quotas, QUOTA_CONNECTION, limit, host, STR(""));
    bool refused = quota_charge(bucket, 1) > 0;
    if (refused) { /* it has cost nothing */
        quota_charge(bucket, -1);
        metric_add(quotas->throttled[QUOTA_CONNECTION], 1);
    }
    bucket_unref(quotas, bucket);
    return refused ? "the quota of new connections from this address (connection_creation_rate)" : NULL;
}
