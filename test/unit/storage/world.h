/* world.h - the state of a test over one server on a disk in memory. What a server is the includer says first: the type
 * WORLD_SERVER, world_start (it starts or the test fails) and world_stop. */
#ifndef RIALTO_TEST_STORAGE_WORLD_H
#define RIALTO_TEST_STORAGE_WORLD_H

#include "storage_test.h"

struct world {
    struct io_memory *mem;
    WORLD_SERVER *server;
    struct batch_builder builder;
    struct arena arena;
};

static WORLD_SERVER *world_start(struct io *io);
static void world_stop(WORLD_SERVER *server);

static int setup(void **state)
{
    struct world *w = mem_new(struct world);
    w->mem = io_memory_new(1);
    w->server = world_start(io_memory_io(w->mem));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    world_stop(w->server);
    io_memory_free(w->mem);
    batch_builder_fini(&w->builder);
    arena_fini(&w->arena);
    free(w);
    return 0;
}

static void restart(struct world *w)
{
    world_stop(w->server);
    w->server = world_start(io_memory_io(w->mem));
}

#endif
