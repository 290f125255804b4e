/* storage: topics, appends, waits and watches on a disk in memory, with faults at every operation of a change. */
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "io/io.h"

#define WORLD_SERVER struct storage
#include "world.h"

static int deleted, changed; /* what the hooks heard */

static void on_deleted(void *arg, struct str name)
{
    assert_true(str_eq(name, STR("t")) || str_eq(name, STR("a")) || str_eq(name, STR("old")));
    deleted++;
}

static void on_changed(void *arg)
{
    changed++;
}

static void on_housekeep(void *arg)
{
    fail_msg("no timer runs");
}

static struct storage *start(struct io *io, enum storage_durability durability)
{
    struct err err;
    struct storage_hooks hooks = {NULL, on_deleted, on_changed, on_housekeep};
    struct storage *storage = make_storage(io, durability, hooks);
    if (!storage_open(storage, &err))
        fail_msg("storage_open: %s", err.text);
    return storage;
}

static void world_stop(struct storage *storage)
{
    end_storage(storage);
    free_storage(storage);
}

static struct storage *world_start(struct io *io)
{
    return start(io, STORAGE_FSYNC);
}

/* --- topics --- */

static void test_topics(void **state)
{
    struct world *w = *state;
    struct err err;
    struct storage_topic topic;
    struct storage_topic_config config = {STR("retention.ms"), STR("5000")},
                                bad = {STR("retention.ms"), STR("x")}, unknown = {STR("no.such"), STR("1")};
    assert_true(storage_topic_create(w->server, STR("a"), 3, &config, 1, &err));
    assert_false(storage_topic_create(w->server, STR("a"), 3, NULL, 0, &err));
    assert_int_equal(err.code, ERR_TOPIC_EXISTS);
    assert_false(storage_topic_create(w->server, STR("b"), 0, NULL, 0, &err));
    assert_int_equal(err.code, ERR_INVALID_PARTITIONS);
    assert_false(storage_topic_create(w->server, STR("b"), 1, &bad, 1, &err));
    assert_int_equal(err.code, ERR_INVALID_CONFIG);
    assert_false(storage_topic_create(w->server, STR("b"), 1, &unknown, 1, &err));
    assert_int_equal(err.code, ERR_INVALID_CONFIG);
    assert_false(storage_topic_create(w->server, STR("a/b"), 1, NULL, 0, &err));
    assert_int_equal(err.code, ERR_INVALID_TOPIC);
    assert_true(storage_topic_create(w->server, STR("x.y"), 1, NULL, 0, &err));
    assert_false(storage_topic_create(w->server, STR("x_y"), 1, NULL, 0, &err));
    assert_int_equal(err.code, ERR_INVALID_TOPIC);

    assert_true(storage_topic_grow(w->server, STR("a"), 5, false, &err));
    assert_false(storage_topic_grow(w->server, STR("a"), 5, false, &err));
    restart(w);
    assert_true(storage_topic_describe(w->server, STR("a"), &topic, &w->arena, &err));
    assert_int_equal(topic.partition_count, 5);
    assert_int_equal(topic.config_count, 1);
    assert_true(
        str_eq(storage_topic_config_get(w->server, STR("a"), STR("retention.ms"), &w->arena), STR("5000")));
    assert_true(str_eq(storage_topic_config_get(w->server, STR("a"), STR("segment.ms"), &w->arena),
                       STR("604800000")));
    uint8_t id[16];
    memcpy(id, topic.id, sizeof id);

    size_t count;
    struct storage_topic *list = storage_topic_list(w->server, &count, &w->arena);
    assert_int_equal(count, 5); /* a, x.y and the three internal ones */
    assert_true(list[0].internal && list[2].internal && str_eq(list[3].name, STR("a")));
    assert_false(storage_topic_delete(w->server, STR("__consumer_offsets"), &err));
    assert_true(storage_topic_delete(w->server, STR("a"), &err));
    assert_null(storage_partition_get(w->server, STR("a"), 0, &err));
    assert_true(storage_topic_create(w->server, STR("a"), -1, NULL, 0, &err));
    assert_true(storage_topic_describe(w->server, STR("a"), &topic, &w->arena, &err));
    assert_int_equal(topic.partition_count, 1);
    assert_memory_not_equal(id, topic.id, sizeof id); /* a topic made again has a new id */
}

/* A deleted topic's records do not come back under its name; handles learn of the deletion. */
static void test_delete_and_create(void **state)
{
    struct world *w = *state;
    struct err err;
    int64_t end = 0;
    deleted = changed = 0;
    assert_true(storage_topic_create(w->server, STR("t"), 1, NULL, 0, &err));
    struct partition *part = open_partition(w->server, "t", 0);
    assert_true(append(part, &w->builder, "one", &end));
    assert_true(storage_topic_delete(w->server, STR("t"), &err));
    assert_int_equal(deleted, 1);
    assert_int_equal(changed, 2); /* it came, it went */
    assert_true(partition_is_deleted(part));
    assert_false(append(part, &w->builder, "two", &end));
    partition_unref(part);
    assert_true(storage_topic_create(w->server, STR("t"), 1, NULL, 0, &err));
    part = open_partition(w->server, "t", 0);
    assert_int_equal(partition_end(part), 0);
    partition_unref(part);
}

/* A directory that could not be removed with its topic is gone before the name is taken again. */
static const struct io_ops *ops_below;
static atomic_int renames_that_fail;

static int fail_some_renames(struct io *io, const char *from, const char *to)
{
    if (str_ends_with(str_from(to), STR("-delete")) && renames_that_fail > 0) {
        renames_that_fail--;
        return -EIO;
    }
    return ops_below->rename(io, from, to);
}

static void test_stray_directory(void **state)
{
    struct world *w = *state;
    struct err err;
    int64_t end = 0;
    struct io *io = io_memory_io(w->mem);
    ops_below = io->ops;
    struct io_ops ops = *ops_below;
    ops.rename = fail_some_renames;
    world_stop(w->server);
    io->ops = &ops; /* while no thread runs */
    w->server = start(io, STORAGE_FSYNC);
    renames_that_fail = 1;
    assert_true(storage_topic_create(w->server, STR("t"), 1, NULL, 0, &err));
    struct partition *part = open_partition(w->server, "t", 0);
    assert_true(append(part, &w->builder, "one", &end));
    assert_true(partition_wait_durable(part, end, &err));
    assert_true(storage_topic_delete(w->server, STR("t"), &err));
    partition_unref(part);
    for (int i = 0; i < 2000 && atomic_load(&renames_that_fail) != 0; i++)
        usleep(1000); /* the job that has synced may have the last reference */
    assert_int_equal(atomic_load(&renames_that_fail), 0);
    assert_true(storage_topic_create(w->server, STR("t"), 1, NULL, 0, &err));
    part = open_partition(w->server, "t", 0);
    assert_int_equal(partition_end(part), 0);
    partition_unref(part);
    world_stop(w->server);
    io->ops = ops_below;
    w->server = start(io, STORAGE_FSYNC);
}

/* --- durability and watching --- */

/* Who waits for the disk by name waits for it with durability=os too: markers that a start writes must not be lost again. */
static void test_os_waits(void **state)
{
    struct io_memory *mem = io_memory_new(1);
    struct io_faulty *faulty = io_faulty_new(io_memory_io(mem));
    struct storage *storage = start(io_faulty_io(faulty), STORAGE_OS);
    struct batch_builder builder = {0};
    struct err err;
    int64_t end = 0;
    assert_true(storage_topic_create(storage, STR("t"), 1, NULL, 0, &err));
    struct partition *part = open_partition(storage, "t", 0);
    assert_true(append(part, &builder, "one", &end));
    assert_true(partition_wait_durable(part, end, &err));
    partition_unref(part);
    io_faulty_script(faulty, IO_FAULT_DEAD, 1, 1); /* the stop cannot sync what was not */
    world_stop(storage);
    io_memory_cut(mem, IO_CUT_LOSE);
    storage = start(io_memory_io(mem), STORAGE_OS);
    part = open_partition(storage, "t", 0);
    assert_int_equal(partition_end(part), end);
    partition_unref(part);
    world_stop(storage);
    batch_builder_fini(&builder);
    io_faulty_free(faulty);
    io_memory_free(mem);
}

struct counted_watch {
    struct partition_watch watch;
    atomic_int count;
};

static void count_watch(struct partition_watch *watch)
{
    atomic_fetch_add(&((struct counted_watch *)watch)->count, 1);
}

static void test_durable(void **state)
{
    struct world *w = *state;
    struct err err;
    int64_t end = 0;
    struct counted_watch visible = {.watch = {.fn = count_watch, .events = PARTITION_WATCH_VISIBLE}};
    assert_true(storage_topic_create(w->server, STR("t"), 1, NULL, 0, &err));
    struct partition *part = open_partition(w->server, "t", 0);
    partition_watch_add(part, &visible.watch);
    assert_true(append(part, &w->builder, "a b c", &end));
    assert_int_equal(end, 3);
    assert_true(partition_wait_durable(part, end, &err));
    for (int i = 0; i < 2000 && atomic_load(&visible.count) == 0; i++)
        usleep(1000); /* the sync tells waits and watches one after the other */
    assert_true(atomic_load(&visible.count) >= 1);
    partition_watch_remove(part, &visible.watch);
    assert_int_equal(partition_hw(part), 3);
    assert_reads(part, LOG_UP_TO_HW, "a b c");
    partition_unref(part);
    world_stop(w->server);
    io_memory_cut(w->mem, IO_CUT_LOSE);
    w->server = world_start(io_memory_io(w->mem));
    part = open_partition(w->server, "t", 0);
    assert_reads(part, LOG_UP_TO_HW, "a b c");
    partition_unref(part);
}

/* A full disk refuses with a cause and heals when there is room; nothing acknowledged is lost, nothing refused appears. */
static void test_full_disk(void **state)
{
    struct world *w = *state;
    struct err err;
    int64_t end = 0, acknowledged = 0;
    assert_true(storage_topic_create(w->server, STR("t"), 1, NULL, 0, &err));
    struct partition *part = open_partition(w->server, "t", 0);
    log_level_set(LOG_OFF);
    io_memory_set_room(w->mem, 4096);
    for (int i = 0; i < 100; i++)
        if (append(part, &w->builder, "some words to fill the disk with", &end) &&
            partition_wait_durable(part, end, &err))
            acknowledged = end;
    assert_true(acknowledged > 0 && acknowledged < 700);
    io_memory_set_room(w->mem, 0);
    assert_true(append(part, &w->builder, "room", &end));
    assert_true(partition_wait_durable(part, end, &err));
    assert_int_equal(end, acknowledged + 1);
    log_level_set(LOG_INFO);
    partition_unref(part);
    restart(w);
    part = open_partition(w->server, "t", 0);
    assert_int_equal(partition_end(part), acknowledged + 1);
    partition_unref(part);
}

/* One change of a topic, then the same again, after a fault at its N-th operation: what the second answer says is so, now and
 * after a power cut. */
static void change_twice(enum io_fault_kind kind, uint64_t at, bool deletes, bool *struck)
{
    struct io_memory *mem = io_memory_new(at);
    struct io_faulty *faulty = io_faulty_new(io_memory_io(mem));
    struct storage *storage = start(io_faulty_io(faulty), STORAGE_FSYNC);
    struct err err = {0};
    assert_true(storage_topic_create(storage, STR("old"), 1, NULL, 0, &err));
    io_faulty_script(faulty, kind, at, 1);
    bool done = false;
    for (int i = 0; i < 2 && !done; i++) {
        err = (struct err){0};
        done = deletes ? storage_topic_delete(storage, STR("old"), &err)
                       : storage_topic_create(storage, STR("new"), 1, NULL, 0, &err);
        done |= err.code == (deletes ? ERR_UNKNOWN_TOPIC : ERR_TOPIC_EXISTS);
    }
    *struck = io_faulty_struck(faulty);
    io_faulty_script(faulty, kind, 1, 0);
    for (int i = 0; i < 2 && done; i++) {
        struct partition *part = storage_partition_get(storage, deletes ? STR("old") : STR("new"), 0, &err);
        assert_int_equal(part != NULL, !deletes);
        partition_unref(part);
        if (i == 0) {
            world_stop(storage);
            io_memory_cut(mem, IO_CUT_LOSE);
            storage = start(io_memory_io(mem), STORAGE_FSYNC);
        }
    }
    world_stop(storage);
    io_faulty_free(faulty);
    io_memory_free(mem);
}

static void test_topic_faults(void **state)
{
    bool struck = true;
    for (uint64_t at = 1; struck; at++) {
        bool others[3];
        change_twice(IO_FAULT_EIO, at, false, &struck);
        change_twice(IO_FAULT_ENOSPC, at, false, &others[0]);
        change_twice(IO_FAULT_EIO, at, true, &others[1]);
        change_twice(IO_FAULT_ENOSPC, at, true, &others[2]);
        struck |= others[0] | others[1] | others[2];
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_topics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delete_and_create, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stray_directory, setup, teardown),
        cmocka_unit_test(test_os_waits),
        cmocka_unit_test_setup_teardown(test_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
        cmocka_unit_test(test_topic_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
