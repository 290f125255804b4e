/* coord.c - start and stop in order, and what is looked after now and then.
 *
 *   coord_open: groups | share groups | transactions, whose recovery may end offsets of groups
 *   coord_stop: what is parked in groups is answered      coord_free: transactions | share groups | groups
 */
#include "coord/coord_int.h"

/* Who ends a transaction is not held up by a stream of appends: writers first. No thread takes one twice. */
static void init_append_locks(struct coord *coord)
{
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    for (int i = 0; i < TXN_APPEND_LOCKS; i++)
        pthread_rwlock_init(&coord->txn_append_locks[i], &attr);
    pthread_rwlockattr_destroy(&attr);
}

struct coord *coord_new(const struct coord_options *options)
{
    struct coord *coord = mem_new(struct coord);
    ASSERT(options->hooks.encode != NULL && options->hooks.deliver != NULL && options->hooks.fail != NULL);
    coord->config = options->config;
    coord->hooks = options->hooks;
    coord->storage = options->storage;
    coord->io = options->io;
    coord->loop = options->loop;
    pthread_mutex_init(&coord->txn_lock, NULL);
    init_append_locks(coord);
    group_settings_init(coord);
    groups_init_clock(coord);
    shares_init_clock(coord);
    txns_init_clock(coord);
    return coord;
}

bool coord_open(struct coord *coord, struct err *err)
{
    return groups_open(coord, err) && shares_open(coord, err) && txns_open(coord, err);
}

void coord_start_timers(struct coord *coord)
{
    loop_timer_start(&coord->txn_timer, coord->config->txn_check_interval_ms);
}

void coord_stop_timers(struct coord *coord)
{
    atomic_store(&coord->stopping, true);
    loop_timer_stop(&coord->txn_timer);
    coord_clock_stop(&coord->group_clock);
    coord_clock_stop(&coord->share_clock);
}

void coord_stop(struct coord *coord)
{
    groups_stop(coord);
}

void coord_free(struct coord *coord)
{
    if (coord == NULL)
        return;
    txns_close(coord);
    shares_close(coord);
    groups_close(coord);
    group_settings_fini(coord);
    pthread_mutex_destroy(&coord->txn_lock);
    for (int i = 0; i < TXN_APPEND_LOCKS; i++)
        pthread_rwlock_destroy(&coord->txn_append_locks[i]);
    free(coord);
}

void coord_expire(struct coord *coord)
{
    enum { HISTORY_RECORDS = 20000 };
    struct err err;
    groups_expire(coord);
    if (!replay_rewrite(coord->groups_replay, HISTORY_RECORDS, &err) ||
        !replay_rewrite(coord->shares_replay, HISTORY_RECORDS, &err) ||
        !replay_rewrite(coord->txns_replay, HISTORY_RECORDS, &err))
        log_warn("broker", "rewrite_failed", "cause=\"%s\"", err.text);
}

struct replay *coord_groups_replay(struct coord *coord)
{
    return coord->groups_replay;
}

struct groups *coord_groups(struct coord *coord)
{
    return coord->groups;
}

struct replay *coord_txns_replay(struct coord *coord)
{
    return coord->txns_replay;
}

struct txns *coord_txns(struct coord *coord)
{
    return coord->txns;
}
