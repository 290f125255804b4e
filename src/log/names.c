/* names.c - the names of logs become durable together, in the directory that the logs share.
 *
 *   log a made --+                            +--> a asks: the round is synced; b too: it waits for that sync
 *   log b made --+--> round 1 ---one sync-----+
 *                                             +--> later: it is over, good or failed, for all of its names
 *   log c made ------> round 2, open since the sync of round 1 began
 *
 * (J1) A name joins the round that is open when it is there. The sync of a round begins when the round is closed: it covers all
 *      that have joined.
 * (J2) A round has one sync. One that failed is failed for all its names, whenever they ask: the kernel tells of a failure
 *      once, so another sync would say nothing of them. A log that comes back from it joins anew.
 * (J3) A name that goes, of a deleted log, joins as one that comes.
 */
#include "log/log_int.h"

struct failed_rounds {
    uint64_t first, last; /* without a good one between */
    struct err why;       /* of the last */
};

struct log_names {
    struct io *io;
    char *dir;
    pthread_mutex_t lock; /* all below; not held over the disk */
    pthread_cond_t ended; /* a sync has */
    bool syncing;         /* the round before the open one */
    uint64_t open;        /* round that names join; those before it are closed */
    vec(struct failed_rounds) failed;
};

struct log_names *log_names_new(const char *dir, struct io *io)
{
    struct log_names *names = mem_new(struct log_names);
    names->io = io;
    names->dir = mem_dup(dir, strlen(dir) + 1);
    names->open = 1;
    pthread_mutex_init(&names->lock, NULL);
    pthread_cond_init(&names->ended, NULL);
    return names;
}

void log_names_free(struct log_names *names)
{
    if (names == NULL)
        return;
    ASSERT(!names->syncing);
    pthread_mutex_destroy(&names->lock);
    pthread_cond_destroy(&names->ended);
    vec_fini(&names->failed);
    free(names->dir);
    free(names);
}

uint64_t names_join(struct log_names *names)
{
    pthread_mutex_lock(&names->lock);
    uint64_t round = names->open;
    pthread_mutex_unlock(&names->lock);
    return round;
}

/* A disk that goes on failing takes no more room. Under the lock. */
static void note_failed(struct log_names *names, uint64_t round, int errnum)
{
    struct failed_rounds *failed = names->failed.len == 0 ? NULL : &names->failed.at[names->failed.len - 1];
    if (failed == NULL || failed->last + 1 != round) {
        failed = vec_push_zero(&names->failed);
        failed->first = round;
    }
    failed->last = round;
    err_set_errno(&failed->why, errnum, "%s: sync of the directory failed", names->dir);
}

/* Closes the open round and syncs it. Under the lock, which is given back meanwhile. */
static void sync_round(struct log_names *names)
{
    uint64_t round = names->open++;
    names->syncing = true;
    pthread_mutex_unlock(&names->lock);
    int rc = io_sync_dir(names->io, names->dir);
    pthread_mutex_lock(&names->lock);
    names->syncing = false;
    if (rc < 0)
        note_failed(names, round, -rc);
    pthread_cond_broadcast(&names->ended);
}

/* Under the lock; NULL: it is good. */
static const struct failed_rounds *find_failed(const struct log_names *names, uint64_t round)
{
    for (size_t i = 0; i < names->failed.len; i++)
        if (names->failed.at[i].first <= round && round <= names->failed.at[i].last)
            return &names->failed.at[i];
    return NULL;
}

bool names_sync(struct log_names *names, uint64_t round, struct err *err)
{
    pthread_mutex_lock(&names->lock);
    while (names->syncing && round + 1 >= names->open) /* of this round, or of the one before it */
        pthread_cond_wait(&names->ended, &names->lock);
    if (round == names->open)
        sync_round(names);
    const struct failed_rounds *failed = find_failed(names, round);
    if (failed != NULL && err != NULL)
        *err = failed->why;
    pthread_mutex_unlock(&names->lock);
    return failed == NULL;
}

bool log_names_sync(struct log_names *names, struct err *err)
{
    return names_sync(names, names_join(names), err);
}
