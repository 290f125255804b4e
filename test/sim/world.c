/* world.c - a run: the server's life, its faults, the clients' work, the check at the end.
 *
 *   start | clients work; now and then: kill, power cut, stop, broken connections, disk faults | calm: clients finish
 *         | power cut, start, full read against the facts
 *
 * (W1) The server is one machine at a time: its number grows with each start, the disk stays.
 * (W2) A start that fails is allowed when a fault of the disk has struck during it, and is tried again; otherwise it fails the
 *      run: no crash may block the next start.
 * (W3) After a clean stop no fiber of the machine is left.
 * (W4) With durability=os kills of the process lose nothing, and what is there at a start is safe from then on. Power cuts happen
 *      in half of those runs: they take the ends of partitions (facts.c, V7) and what groups had committed.
 */
#include "broker/broker.h"
#include "clients.h"
#include "io/io.h"
#include "world.h"

struct scenario scenario;

enum { RETENTION_MS_MAX = 30000 };

void scenario_promised(enum promise what)
{
    scenario.promises[what]++;
    sim_wake(&scenario.promises[what], true);
}

struct server {
    int machine;
    bool starting, running, stop_asked, stopped, failed;
    uint64_t struck_before;
    int64_t ready_us;
    struct broker *broker;
    struct err err;
};

static struct {
    struct sim_disk *disk;
    struct sim_disk_faults disk_faults, no_disk_faults;
    struct server server;
    uint64_t power_cuts;
    bool power_stays; /* the server dies, the machine does not */
    int64_t retention_check_ms, cleaner_map_bytes;
    int64_t share_limit, share_lock_ms, share_locks;
    struct run_options options;
} world;

uint64_t scenario_losses(void)
{
    return world.power_cuts + sim_disk_losses(world.disk);
}

int64_t scenario_failed_us(void)
{
    return sim_disk_failed_us(world.disk);
}

/* ---- the server ---- */

static void server_main(void *arg)
{
    struct server *server = &world.server;
    struct broker_config config;
    struct err err;
    broker_config_init(&config);
    config.storage.data_dir = STR("data");
    config.kafka_listen = STR("127.0.0.1:9092");
    config.net_threads = sim_between(1, 3);
    config.storage.sync_threads = sim_between(1, 3);
    config.auto_create_topics = false;
    config.storage.durability = scenario.os ? STORAGE_OS : STORAGE_FSYNC;
    config.storage.wal_bytes_max = sim_chance(1, 4) ? 0 : sim_between(8, 24) * (16 << 10);
    config.coord.group_initial_rebalance_delay_ms = 0;
    config.storage.retention_check_interval_ms = world.retention_check_ms;
    config.storage.cleaner_backoff_ms = world.retention_check_ms / 2;
    config.storage.cleaner_map_bytes = world.cleaner_map_bytes;
    config.coord.share_deliveries_max = world.share_limit;
    config.coord.share_lock_ms = config.coord.share_lock_ms_min = world.share_lock_ms;
    config.coord.share_locks_max = config.coord.share_locks_max_min = world.share_locks;
    config.coord.share_deliveries_max_max = MAX(world.share_limit, config.coord.share_deliveries_max_min);
    server->ready_us = sim_now_us(); /* what was told before was there at the start */
    bool good = broker_start(&server->broker, &config, sim_disk_io(world.disk), NULL, &err);
    server->starting = false;
    if (!good) {
        server->err = err;
        server->failed = true;
        sim_note("start failed: %s", err.text);
        return;
    }
    server->running = true;
    sim_note("ready");
    while (!server->stop_asked)
        sim_wait(server, SIM_NEVER);
    broker_stop(server->broker);
    server->stopped = true;
    sim_note("stopped");
}

static void launch(void)
{
    world.server = (struct server){.machine = world.server.machine + 1,
                                   .starting = true,
                                   .struck_before = sim_disk_struck(world.disk)};
    scenario.starts++;
    sim_note("start %d", world.server.machine);
    sim_spawn("main", world.server.machine, server_main, NULL);
}

static enum io_cut any_cut(void)
{
    return world.power_stays ? IO_CUT_KEEP : (enum io_cut)sim_below(3);
}

static void kill_server(enum io_cut cut)
{
    static const char *const names[] = {"power cut, unsynced lost", "power cut, unsynced torn", "kill -9"};
    sim_note("%s of %d", names[cut], world.server.machine);
    sim_kill_machine(world.server.machine);
    sim_net_kill_machine(world.server.machine);
    sim_disk_cut(world.disk, cut);
    if (cut != IO_CUT_KEEP)
        world.power_cuts++;
    if (cut != IO_CUT_KEEP && scenario.os) {
        scenario.cuts++;
        facts_cut();
        facts_groups_cut();
        facts_share_cut();
    }
    world.server.running = world.server.starting = false;
}

static void stop_server(void)
{
    sim_note("stop of %d", world.server.machine);
    world.server.stop_asked = true;
    sim_wake(&world.server, true);
    int64_t until_us = sim_now_us() + 120 * 1000000;
    while (!world.server.stopped && sim_now_us() < until_us)
        sim_sleep_us(10000);
    if (!world.server.stopped)
        sim_fail("the server does not stop");
    sim_sleep_us(1000);
    if (sim_fibers_of(world.server.machine) != 0) /* W3 */
        sim_fail("%zu threads are left after the stop", sim_fibers_of(world.server.machine));
    kill_server(IO_CUT_KEEP);
}

/* W2; false: it failed, with a reason. */
static bool await_start(void)
{
    int64_t until_us = sim_now_us() + 600 * (int64_t)1000000;
    while (world.server.starting && sim_now_us() < until_us)
        sim_sleep_us(1000);
    if (world.server.starting)
        sim_fail("the server does not get ready");
    if (world.server.failed && sim_disk_struck(world.disk) == world.server.struck_before)
        sim_fail("the server refuses to start: %s", world.server.err.text);
    if (world.server.running && sim_disk_struck(world.disk) == world.server.struck_before) /* W4 */
        facts_settled(world.server.ready_us);
    return world.server.running;
}

static void start_again(void)
{
    for (int tries = 0;; tries++) {
        if (tries == 3)
            sim_disk_set(world.disk, &world.no_disk_faults);
        launch();
        if (sim_chance(1, 4)) { /* dies while it starts */
            sim_sleep_us(sim_between(0, 30000));
            kill_server(any_cut());
            continue;
        }
        if (await_start())
            break;
        kill_server(any_cut());
    }
    sim_disk_set(world.disk, &world.disk_faults);
}

/* ---- what happens ---- */

/* Right after one of the next acknowledgements: what was promised too early is not safe yet. Or after a change of a name or a
 * length on the disk: what had to be there before it may be missing. */
static void await_moment(void)
{
    const uint64_t *count = sim_chance(1, 4) ? sim_disk_changes(world.disk)
                                             : &scenario.promises[sim_below(COUNT_OF(scenario.promises))];
    uint64_t wanted = *count + (uint64_t)sim_between(1, 3);
    int64_t until_us = sim_now_us() + 2000000;
    while (*count < wanted && sim_wait(count, until_us))
        ;
    if (sim_chance(1, 2))
        sim_sleep_us(sim_between(0, 500));
}

static void one_event(void)
{
    switch (sim_below(8)) {
    case 0:
    case 1:
    case 2:
        if (sim_chance(2, 3))
            await_moment();
        kill_server(any_cut());
        sim_sleep_us(sim_between(0, 500000));
        start_again();
        break;
    case 3:
        stop_server();
        sim_sleep_us(sim_between(0, 100000));
        start_again();
        break;
    default:
        sim_net_break_one();
    }
}

/* Half of the topics keep all they are given. Segments hold the largest batch, and are few bytes or short where whole ones
 * are to go. */
static void choose_topic(struct topic_plan *plan, size_t number)
{
    bool forgets = sim_chance(1, 2);
    *plan = (struct topic_plan){.partition_count = (int32_t)sim_between(1, forgets ? 2 : 3),
                                .segment_bytes = sim_between(7000, forgets ? 12000 : 40000),
                                .retention_ms = -1,
                                .retention_bytes = -1};
    snprintf(plan->name, sizeof plan->name, "topic-%zu", number);
    if (!forgets)
        return;
    plan->segment_ms = sim_chance(1, 2) ? sim_between(1, 50) * 100 : 0;
    plan->compacts = sim_chance(1, 2);
    plan->tombstone_ms = sim_chance(1, 2) ? sim_between(0, 5000) : 86400000;
    plan->trims = sim_chance(1, 2);
    if (plan->compacts)
        return;
    if (sim_chance(1, 2))
        plan->retention_ms = sim_between(1, RETENTION_MS_MAX / 1000) * 1000;
    if (sim_chance(1, 2))
        plan->retention_bytes = sim_between(0, 30000);
}

static void choose_scenario(void)
{
    struct sim_net_faults net = {
        .cut_one_in = sim_chance(1, 2) ? (uint64_t)sim_between(1, 10) : 0,
        .stall_one_in = sim_chance(1, 2) ? (uint64_t)sim_between(20, 500) : 0,
        .delay_us_max = sim_chance(1, 2) ? 500 : 50000,
        .piece_max = (size_t)1 << sim_between(4, 16),
    };
    scenario.os = !world.options.sync_lies && sim_chance(1, 5);
    world.power_stays = scenario.os && sim_chance(1, 2);
    world.retention_check_ms = sim_between(1, 10) * 200;
    world.cleaner_map_bytes = sim_chance(1, 2) ? 240 : 1 << 20;
    int64_t sync_us_max = sim_between(1, 20) * (sim_chance(1, 3) ? 5000 : 500);
    world.no_disk_faults =
        (struct sim_disk_faults){.sync_us_max = sync_us_max, .sync_lies = world.options.sync_lies};
    world.disk_faults = world.no_disk_faults;
    if (sim_chance(1, 3))
        world.disk_faults.eio_one_in = (uint64_t)sim_between(50, 2000);
    if (sim_chance(1, 3))
        world.disk_faults.full_one_in = (uint64_t)sim_between(50, 2000);
    if (sim_chance(1, 5))
        world.disk_faults.sync_full_one_in = (uint64_t)sim_between(5, 50);
    if (sim_chance(1, 3))
        world.disk_faults.torn_one_in = (uint64_t)sim_between(50, 1000);
    if (sim_chance(1, 2))
        world.disk_faults.short_one_in = (uint64_t)sim_between(5, 100);
    static const uint64_t preemption[] = {0, 1, 4, 32};
    sim_set_preemption(preemption[sim_below(COUNT_OF(preemption))]);
    static const uint64_t stalls[] = {0, 0, 1000, 100, 30};
    sim_set_stalls(stalls[sim_below(COUNT_OF(stalls))]);
    sim_net_set(&net);
    scenario.topic_count = sim_between(1, (int64_t)COUNT_OF(scenario.topics));
    scenario.slow = sim_chance(1, 3);
    scenario.group_count = (uint16_t)sim_between(0, 2);
    static const int64_t limits[] = {2, 3, 5, 100};
    scenario.shares = sim_chance(1, 2);
    world.share_limit = limits[sim_below(COUNT_OF(limits))];
    world.share_lock_ms = sim_between(1, 10) * 500;
    world.share_locks = sim_chance(1, 2) ? sim_between(5, 50) : 2000;
    facts_share_init(world.share_limit, world.share_lock_ms);
    for (size_t i = 0; i < scenario.topic_count; i++)
        choose_topic(&scenario.topics[i], i);
    sim_note("durability=%s%s, syncs of up to %lld us", scenario.os ? "os" : "fsync",
             world.power_stays ? ", no power cuts" : "", (long long)sync_us_max);
}

/* The topics first, then those who use them. */
static void setup_main(void *arg)
{
    struct client client;
    client_init(&client, "setup");
    topics_make(&client);
    client_fini(&client);
    size_t producers = (size_t)sim_between(1, 3), consumers = (size_t)sim_between(1, 3);
    for (size_t i = 0; i < producers; i++)
        producer_spawn(i);
    for (size_t i = 0; i < consumers; i++)
        consumer_spawn(i);
    for (size_t i = 0; i < 5 && scenario.group_count > 0; i++)
        member_spawn(i, (uint16_t)sim_below(scenario.group_count));
    for (int64_t i = sim_between(0, 2); i > 0; i--)
        txn_spawn((size_t)i);
    if (sim_chance(1, 3))
        admin_spawn(0);
    if (sim_chance(1, 2))
        session_spawn();
    trimmer_spawn();
    if (sim_chance(1, 2))
        tenant_spawn();
    if (sim_chance(1, 4))
        metered_spawn();
    scenario.balanced = sim_chance(1, 3);
    for (size_t i = 0; i < 4 && scenario.balanced; i++)
        balanced_spawn(i);
    for (int64_t i = scenario.shares ? sim_between(1, SHARE_MEMBERS_MAX) : 0; i > 0; i--)
        share_spawn((size_t)i - 1);
    if (sim_chance(1, 4))
        noise_spawn();
    scenario.actors--;
}

static void calm_down(void)
{
    struct sim_net_faults quiet = {.delay_us_max = 500, .piece_max = 1 << 16};
    sim_note("calm");
    scenario.calm = true;
    sim_net_set(&quiet);
    world.disk_faults = world.no_disk_faults;
    sim_disk_set(world.disk, &world.no_disk_faults);
    kill_server(any_cut()); /* a disk that failed stays failed until the next start */
    start_again();
    int64_t until_us = sim_now_us() + 300 * (int64_t)1000000;
    while (scenario.actors > 0 && sim_now_us() < until_us)
        sim_sleep_us(10000);
    struct buf names = {0};
    sim_names_of(SIM_CLIENTS, &names);
    if (scenario.actors > 0)
        sim_fail("%zu clients are not answered although all is well:%s", scenario.actors, names.ptr);
    buf_fini(&names);
}

static void check_after_cut(void)
{
    struct client client;
    client_init(&client, "reader");
    kill_server(world.power_stays ? IO_CUT_KEEP
                                  : (enum io_cut)sim_below(2)); /* what is not safe is not there */
    start_again();
    reader_check_all(&client);
    groups_check_all(&client);
    facts_txns_check(&client);
    facts_compacted_check();
    if (scenario.shares)
        facts_share_check(0);
    sim_sleep_us((RETENTION_MS_MAX + 3 * world.retention_check_ms) * 1000);
    reader_check_retained(&client);
    client_fini(&client);
    stop_server();
}

static void save_disk(void)
{
    sim_disk_save(world.disk, world.options.save_dir);
}

void run_seed(const struct run_options *options, struct run_result *result)
{
    world.options = *options;
    sim_start(options->seed, options->verbose);
    facts_init();
    world.disk = sim_disk_new();
    if (options->save_dir != NULL)
        sim_on_fail(save_disk);
    choose_scenario();
    start_again();
    scenario.actors = 1;
    sim_spawn("setup", SIM_CLIENTS, setup_main, NULL);
    int events = (int)sim_between(2, 12);
    for (int i = 0; i < events; i++) {
        int64_t us_max = sim_chance(1, 3) ? 3000000 : 300000;
        sim_sleep_us(sim_between(1000, scenario.slow ? 10 * us_max : us_max));
        one_event();
    }
    calm_down();
    check_after_cut();
    struct fact_counts counts;
    facts_counts(&counts);
    *result = (struct run_result){
        .trace_hash = sim_trace_hash(),
        .switches = sim_switches(),
        .acked = counts.acked,
        .seen = counts.seen,
        .trimmed = counts.trimmed,
        .compacted = counts.compacted,
        .lost = counts.lost,
        .restarts = scenario.starts,
        .disk_faults = sim_disk_struck(world.disk),
        .virtual_us = sim_now_us(),
    };
}
