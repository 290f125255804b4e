/* coord_int.h - private to src/coord: what the coordinators are made of.
 *
 * Locks (their order, among those of all modules, is in doc/threads.md): append locks; the replay locks of groups_replay,
 * shares_replay (then share_lock) and txns_replay; txn_lock; a transaction's lock and those of the partitions that it has
 * touched; group_settings_lock.
 */
#ifndef RIALTO_COORD_COORD_INT_H
#define RIALTO_COORD_COORD_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/latch.h"
#include "coord/serve.h"
#include "io/io.h"
#include "loop/loop.h"

enum { TXN_APPEND_LOCKS = 64 };

/* --- when something is due (clock.c) --- */

struct coord_clock {
    struct coord *coord;
    struct loop_timer timer;
    atomic_llong armed_ms; /* when the timer fires; INT64_MAX: it does not run */
    struct loop_call mail;
    int64_t (*next_ms)(struct coord *coord); /* when something is due; any thread */
    void (*tick)(struct coord *coord, int64_t now_ms);
};

void coord_clock_init(struct coord_clock *clock, struct coord *coord, int64_t (*next_ms)(struct coord *coord),
                      void (*tick)(struct coord *coord, int64_t now_ms));
/* Something may be due earlier than before; any thread. */
void coord_clock_rearm(struct coord_clock *clock);
/* Loop thread, once coord->stopping is set. */
void coord_clock_stop(struct coord_clock *clock);

/* --- groups (groups.c) --- */

/* Prepares the clock; before groups_open. */
void groups_init_clock(struct coord *coord);
bool groups_open(struct coord *coord, struct err *err);
/* Answers what is parked; the sync pool still runs. */
void groups_stop(struct coord *coord);
void groups_close(struct coord *coord);

/* Lets offsets go whose time has come. */
void groups_expire(struct coord *coord);

/* --- share groups (shares.c); after groups_open --- */

/* Prepares the clock; before shares_open. */
void shares_init_clock(struct coord *coord);
bool shares_open(struct coord *coord, struct err *err);
void shares_close(struct coord *coord);
/* Lets go of what belongs to topics that are gone. */
void shares_topics_gone(struct coord *coord);

/* --- configs of groups (group_settings.c; the table is in group_configs.c) --- */

/* The number that a setting is kept as; false: it is none. */
bool group_config_parse(enum group_setting setting, struct str value, int64_t *out);
/* `number` within the bounds of the setting as they are now: they may have been wider when it was set. */
int64_t group_config_clamp(const struct coord_config *config, enum group_setting setting, int64_t number);
/* The value of an option that may change while the server runs and that groups may have of their own; -1: it is none of them. Any
 * thread. */
int64_t group_config_live(const struct coord_config *config, enum group_setting setting);
/* Do the options keep to their own bounds, and do those that belong together agree? */
bool group_options_check(const struct coord_config *config, struct err *err);

void group_settings_init(struct coord *coord);
void group_settings_fini(struct coord *coord);

/* --- transactions --- */

/* Prepares the timer; before txns_open (txn_end.c). */
void txns_init_clock(struct coord *coord);
bool txns_open(struct coord *coord, struct err *err);
void txns_close(struct coord *coord);

/* Makes good what a crash left (txn_recover.c). Blocking. */
bool txns_recover(struct coord *coord, struct err *err);

/* txn_ending_start, blocking. False with *err; *error (may be NULL) is Kafka's code. */
bool txn_end_wait(struct txn_ending *template, int16_t *error, struct err *err);

/* A start has found that the marker of the id's last decided transaction may be missing in partitions that cannot be opened (a
 * reference each is taken): no other decision is taken until it is there (X5). */
void txn_hold(struct coord *coord, struct str transactional_id, const struct txn *txn,
              struct partition *const *parts, size_t count);

/* Everything that waits for the disk of this id's last transaction is over. Under the replay lock. */
bool txn_tail_is_settled(struct coord *coord, struct str transactional_id);
void txn_tails_free(struct coord *coord);

struct coord {
    const struct coord_config *config;
    struct coord_hooks hooks;
    struct storage *storage;
    struct io *io;
    struct loop *loop;
    atomic_bool stopping;

    struct groups *groups;
    struct group_settings group_settings; /* asks the three below (group_settings.c) */
    pthread_mutex_t group_settings_lock;
    struct map group_numbers; /* group -> its settings */
    atomic_bool any_group_settings;
    struct replay *groups_replay;
    struct state_log groups_log;
    struct group_topics group_topics;
    struct coord_clock group_clock;
    struct group_effects tick_effects;

    struct shares *shares;
    struct replay *shares_replay;
    struct state_log shares_log;
    struct coord_clock share_clock;
    pthread_mutex_t share_lock; /* who waits for something to acquire */
    struct list share_waiters;

    struct txns *txns;
    struct replay *txns_replay;
    struct state_log txns_log;
    pthread_mutex_t txn_lock;
    struct map open_txns; /* transactional id -> struct coord_txn */
    struct map tails; /* transactional id -> struct txn_tail, while markers are on their way to the disk */
    int64_t pid_next, pid_end;
    pthread_rwlock_t txn_append_locks[TXN_APPEND_LOCKS];
    struct loop_timer txn_timer;
    atomic_bool txns_tended; /* a job that looks after time-outs is queued or running */
    atomic_int ending_count;
};

#endif
