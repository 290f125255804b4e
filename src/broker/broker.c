/* broker.c - puts the parts together: start and stop in order, what one tells the other.
 *
 *   start: threads | storage | coordinators | users and rules | listeners
 *   stop:  listeners | timers | pools | threads | states | storage
 *
 * All timers run on network thread 0. They stop there, before the pools end.
 */
#include "broker/broker_int.h"

/* --- what storage tells --- */

static void on_topic_deleted(void *arg, struct str name)
{
    struct broker *broker = arg;
    coord_topic_deleted(broker->coord, name);
    sessions_topic_deleted(broker);
}

static void on_topics_changed(void *arg)
{
    coord_topics_changed(((struct broker *)arg)->coord);
}

static void on_housekeep(void *arg)
{
    struct broker *broker = arg;
    coord_expire(broker->coord);
    security_rewrite(broker);
}

/* --- what the coordinators ask: a token is a request --- */

static void encode_parked(void *token, const void *res)
{
    request_encode(token, res);
}

static void deliver_parked(void *token)
{
    request_deliver(token);
}

static void fail_parked(void *token, const char *why)
{
    request_close(token, why);
}

/* --- timers --- */

static void start_timers(struct loop_call *call)
{
    struct broker *broker = LIST_ENTRY(call, struct broker, start_call);
    storage_start_timers(broker->storage);
    coord_start_timers(broker->coord);
    tokens_start_clock(broker);
}

static void stop_timers(struct loop_call *call)
{
    struct broker *broker = LIST_ENTRY(call, struct broker, stop_call);
    storage_stop_timers(broker->storage);
    coord_stop_timers(broker->coord);
    loop_timer_stop(&broker->token_timer);
    pthread_mutex_lock(&broker->timers_lock);
    broker->timers_off = true;
    pthread_cond_signal(&broker->timers_cond);
    pthread_mutex_unlock(&broker->timers_lock);
}

/* --- start and stop --- */

static void copy_config(struct broker *broker, const struct broker_config *config)
{
    broker->config = *config;
    broker->config.storage.data_dir = str_dup(config->storage.data_dir, &broker->arena);
    broker->config.kafka_listen = str_dup(config->kafka_listen, &broker->arena);
    broker->config.kafka_advertise = str_dup(config->kafka_advertise, &broker->arena);
    broker->config.coord.consumer_assignors = str_dup(config->coord.consumer_assignors, &broker->arena);
    broker->config.listener_protocols = str_dup(config->listener_protocols, &broker->arena);
    broker->config.group_protocols = str_dup(config->group_protocols, &broker->arena);
    struct conf_pairs *own = &broker->config.listener_options;
    own->at = arena_dup(&broker->arena, own->at, own->len * sizeof *own->at);
    for (size_t i = 0; i < own->len; i++)
        own->at[i] = (struct conf_pair){str_dup(own->at[i].name, &broker->arena),
                                        str_dup(own->at[i].value, &broker->arena)};
    broker->given_config = broker->config;
    broker_config_init(&broker->default_config);
}

static void init_locks(struct broker *broker)
{
    pthread_mutex_init(&broker->address_lock, NULL);
    pthread_rwlock_init(&broker->auth_lock, NULL);
    pthread_mutex_init(&broker->timers_lock, NULL);
    pthread_cond_init(&broker->timers_cond, NULL);
}

static void fini_locks(struct broker *broker)
{
    pthread_mutex_destroy(&broker->address_lock);
    pthread_rwlock_destroy(&broker->auth_lock);
    pthread_mutex_destroy(&broker->timers_lock);
    pthread_cond_destroy(&broker->timers_cond);
}

static bool start_threads(struct broker *broker, struct err *err)
{
    struct net_options options = {.thread_count = (int)broker->config.net_threads,
                                  .conn_max = broker->config.connections_max,
                                  .metrics = broker->metrics};
    broker->net = net_new(&options, err);
    if (broker->net == NULL)
        return false;
    tokens_init_clock(broker);
    loop_call_init(&broker->start_call, start_timers);
    loop_call_init(&broker->stop_call, stop_timers);
    broker->auth_pool = pool_new("auth", 2);
    return true;
}

static void make_storage(struct broker *broker)
{
    struct storage_options options = {
        .config = &broker->config.storage,
        .server_table = &broker_conf_table,
        .given = &broker->given_config,
        .defaults = &broker->default_config,
        .hooks = {broker, on_topic_deleted, on_topics_changed, on_housekeep},
        .io = broker->io,
        .metrics = broker->metrics,
        .loop = net_loop(broker->net, 0),
    };
    broker->storage = storage_new(&options);
}

static void make_coord(struct broker *broker)
{
    struct coord_options options = {
        .config = &broker->config.coord,
        .hooks = {encode_parked, deliver_parked, fail_parked},
        .storage = broker->storage,
        .io = broker->io,
        .loop = net_loop(broker->net, 0),
    };
    broker->coord = coord_new(&options);
}

static bool open_states(struct broker *broker, struct err *err)
{
    make_storage(broker);
    make_coord(broker);
    broker->quotas = quotas_new(&broker->config.quota, broker->storage, broker->metrics);
    if (!storage_open(broker->storage, err))
        return false;
    settings_take(broker);
    return coord_open(broker->coord, err) && security_open(broker, err);
}

bool broker_start(struct broker **out, const struct broker_config *config, struct io *io,
                  struct metric_registry *metrics, struct err *err)
{
    struct broker *broker = mem_new(struct broker);
    broker->io = io;
    broker->own_metrics = metrics == NULL ? metric_registry_new() : NULL;
    broker->metrics = metrics == NULL ? broker->own_metrics : metrics;
    copy_config(broker, config);
    init_locks(broker);
    sessions_open(broker);
    share_sessions_open(broker);
    bool good = broker_config_check(config, err) && start_threads(broker, err) && open_states(broker, err);
    if (good) {
        loop_post(net_loop(broker->net, 0), &broker->start_call);
        good = kafka_listen(broker, err);
    }
    if (!good) {
        broker_stop(broker);
        return false;
    }
    *out = broker;
    return true;
}

static void wait_timers_off(struct broker *broker)
{
    loop_post(net_loop(broker->net, 0), &broker->stop_call);
    pthread_mutex_lock(&broker->timers_lock);
    while (!broker->timers_off)
        pthread_cond_wait(&broker->timers_cond, &broker->timers_lock);
    pthread_mutex_unlock(&broker->timers_lock);
}

void broker_stop(struct broker *broker)
{
    if (broker == NULL)
        return;
    if (broker->net != NULL) {
        net_stop(broker->net);
        wait_timers_off(broker);
        coord_stop(broker->coord);
    }
    if (broker->auth_pool != NULL)
        pool_free(broker->auth_pool);
    if (broker->net != NULL) {
        storage_stop(broker->storage);
        net_free(broker->net);
    }
    kafka_listeners_free(broker);
    security_close(broker);
    sessions_close(broker);
    share_sessions_close(broker);
    quotas_free(broker->quotas);
    coord_free(broker->coord);
    storage_free(broker->storage);
    fini_locks(broker);
    if (broker->own_metrics != NULL)
        metric_registry_free(broker->own_metrics);
    arena_fini(&broker->arena);
    free(broker);
}

struct storage *broker_storage(struct broker *broker)
{
    return broker->storage;
}

struct coord *broker_coord(struct broker *broker)
{
    return broker->coord;
}

struct str broker_cluster_id(const struct broker *broker)
{
    return storage_cluster_id(broker->storage);
}

int64_t broker_connection_count(const struct broker *broker)
{
    return atomic_load(&broker->connection_count);
}
