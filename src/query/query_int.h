/* query_int.h - what the files of this module share. */
#ifndef RIALTO_QUERY_QUERY_INT_H
#define RIALTO_QUERY_QUERY_INT_H

#include <pthread.h>

#include "loop/loop.h"
#include "query/query.h"

struct queries {
    struct flow_runtime *flow;
    struct client *client;
    struct str service_id; /* owned text */
    struct pool *pull_pool;
    pthread_mutex_t lock;      /* guards list; held while a query is started again */
    struct list list;          /* struct query.link */
    pthread_mutex_t wake_lock; /* guards what follows; the only lock that workers take here */
    pthread_cond_t wake;
    bool woken, stopping;
    struct thread restart_thread;
    bool restart_running;
};

#endif
