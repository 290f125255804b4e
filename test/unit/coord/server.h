/* server.h - storage and coordinators on a disk in memory, as the broker puts them together. */
#ifndef RIALTO_TEST_COORD_SERVER_H
#define RIALTO_TEST_COORD_SERVER_H

#include "coord/serve.h"
#include "io/io.h"

#define WORLD_SERVER struct server
#include "../storage/world.h"

/* Storage and coordinators, as the broker puts them together. */
struct server {
    struct storage *storage;
    struct coord *coord;
    struct coord_config config;
};

static void on_deleted(void *arg, struct str name)
{
    coord_topic_deleted(((struct server *)arg)->coord, name);
}

static void on_changed(void *arg)
{
    coord_topics_changed(((struct server *)arg)->coord);
}

static void on_housekeep(void *arg)
{
    fail_msg("no timer runs");
}

/* Nobody parks an answer here. */
static void encode(void *token, const void *res)
{
    fail_msg("no answer is parked");
}

static void deliver(void *token)
{
    fail_msg("no answer is parked");
}

static void refuse(void *token, const char *why)
{
    fail_msg("no answer is parked");
}

static void world_stop(struct server *server)
{
    coord_stop_timers(server->coord);
    coord_stop(server->coord);
    end_storage(server->storage);
    coord_free(server->coord);
    free_storage(server->storage);
    free(server);
}

/* What every session and heartbeat has, with the bounds of a group's own; the largest of them may be changed. */
#define TIMES(kind)                                                                      \
    .kind##_session_timeout_ms = 45000, .kind##_session_timeout_ms_min = 45000,          \
    .kind##_session_timeout_ms_max = 60000, .kind##_heartbeat_interval_ms = 5000,        \
    .kind##_heartbeat_interval_ms_min = 5000, .kind##_heartbeat_interval_ms_max = 15000, \
    .kind##_assignment_interval_ms_max = 15000

/* The options of the next start. */
static struct coord_config present = {TIMES(consumer),
                                      TIMES(share),
                                      TIMES(streams),
                                      .consumer_assignors = {"uniform,range", 13},
                                      .share_lock_ms = 30000,
                                      .share_lock_ms_min = 15000,
                                      .share_lock_ms_max = 60000,
                                      .offset_metadata_bytes_max = 4096,
                                      .offsets_retention_ms = 604800000,
                                      .txn_timeout_ms_max = 900000,
                                      .txn_id_expiration_ms = 604800000,
                                      .txn_check_interval_ms = 10000};

/* NULL when what is on the disk cannot be opened. */
static struct server *try_start(struct io *io, struct err *err)
{
    struct server *server = mem_new(struct server);
    server->config = present;
    server->storage =
        make_storage(io, STORAGE_FSYNC, (struct storage_hooks){server, on_deleted, on_changed, on_housekeep});
    struct coord_options options = {.config = &server->config,
                                    .hooks = {encode, deliver, refuse},
                                    .storage = server->storage,
                                    .io = io,
                                    .loop = owned.loop};
    server->coord = coord_new(&options);
    if (storage_open(server->storage, err) && coord_open(server->coord, err))
        return server;
    world_stop(server);
    return NULL;
}

static struct server *world_start(struct io *io)
{
    struct err err;
    struct server *server = try_start(io, &err);
    if (server == NULL)
        fail_msg("start: %s", err.text);
    return server;
}

#endif
