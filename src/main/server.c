/* server.c - the whole server: every module started in order, stopped in reverse; the one place that holds them all.
 *
 *   io, metric -> lock file -> broker -> client -> state -> flow -> connect -> engine -> http -> "ready"
 *                                                                                         signal
 *   io, metric <- lock file <- broker <- client <- state <- flow <- connect <- engine <- http <---+
 *
 * `rialto run FILE.sql` is the server plus the statements of a file, executed before it says that it is ready.
 *
 * (M1) A step that fails undoes the ones before it and says in one sentence what to do.
 * (M2) The main thread only waits for signals; no work is done on it after the start.
 */
#include "main/server.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "api/api.h"
#include "connect/connect.h"
#include "connector/pg_sink/pg_sink.h"
#include "flow/flow.h"
#include "io/io.h"
#include "main/options.h"

struct rialto {
    struct arena arena; /* options and addresses */
    struct all_options options;
    struct str data_dir;
    struct str script; /* statements of `run`, or null */
    struct metric_registry *metrics;
    struct io *io;
    int lock_fd;
    struct broker *broker;
    struct client *client;
    struct flow_txn_check txn_check;
    struct state *state;
    struct flow_runtime *flow;
    struct map properties;
    struct connect *connect;
    struct engine *engine;
    struct pool *pool;
    struct net_tls *tls; /* NULL: no certificate is configured */
    struct net *net;
    struct http_server *http;
    struct api_env api;
    struct str http_addresses;
};

/* Records that could not be read, converted or written: counted by flow, and said here, at most a line a second. */
static void processing_log(void *arg, const struct flow_log_entry *entry)
{
    static _Atomic int64_t last_ms;
    int64_t now_ms = clock_mono_ms();
    if (now_ms - last_ms < 1000)
        return;
    last_ms = now_ms;
    log_warn("flow", "record_failed", "logger=%.*s topic=%.*s partition=%d offset=%" PRId64 " error=%.*s",
             STR_ARG(entry->logger), STR_ARG(entry->topic), entry->partition, entry->offset,
             STR_ARG(entry->message));
}

/* Certificates, for every listener that speaks TLS. */
static bool start_tls(struct rialto *r, struct err *err)
{
    if (r->options.tls.keystore.len == 0)
        return true;
    r->tls = net_tls_new(&r->options.tls, err);
    return r->tls != NULL;
}

/* Parts, in order of start ------------------------------------------------------------------------------------------ */

static bool start_broker(struct rialto *r, struct err *err)
{
    r->options.kafka.storage.data_dir = r->data_dir;
    r->options.kafka.auth = &r->options.auth;
    r->options.kafka.tls = r->tls;
    r->options.kafka.tls_options = &r->options.tls;
    if (!broker_start(&r->broker, &r->options.kafka, r->io, r->metrics, err))
        return false;
    r->client = client_embedded_new(broker_storage(r->broker), broker_coord(r->broker));
    return true;
}

static bool start_flow(struct rialto *r, struct err *err)
{
    r->txn_check = (struct flow_txn_check){.client = r->client, .transactional_id = STR("rialto-engine")};
    struct state_options state = {
        .dir = str_printf(&r->arena, "%.*s/state", STR_ARG(r->data_dir)),
        .io = r->io,
        .cache_bytes = (size_t)r->options.server.memory_max / 2,
        .block_cache_bytes = (size_t)r->options.server.memory_max / 8,
        .write_buffer_bytes = (size_t)r->options.server.memory_max / 8,
        .txn_committed = flow_txn_committed,
        .arg = &r->txn_check,
    };
    if (!state_open(&r->state, &state, err))
        return false;
    struct flow_options flow = {
        .client = r->client,
        .state = r->state,
        .worker_count = (int32_t)r->options.server.worker_count,
        .commit_interval_ms = r->options.server.commit_interval_ms,
        .transactional_id = r->txn_check.transactional_id,
        .metrics = r->metrics,
        .on_log = processing_log,
        .log_arg = r,
    };
    r->flow = flow_runtime_new(&flow, err);
    return r->flow != NULL;
}

/* All plugins. */
static const struct connector_class *const connector_classes[] = {&pg_sink_class, NULL};

static const struct engine_connect_ops connect_ops = {
    .list = connect_sql_list,
    .plugins = connect_sql_plugins,
    .describe = connect_sql_describe,
    .create = connect_sql_create,
    .drop = connect_sql_drop,
};

static bool start_connect(struct rialto *r, struct err *err)
{
    struct connect_options options = {
        .client = r->client,
        .metrics = r->metrics,
        .classes = connector_classes,
        .worker_id = r->options.server.http_listen.len != 0 ? r->options.server.http_listen.at[0]
                                                            : STR("127.0.0.1:8083"),
    };
    return connect_open(&r->connect, &options, err);
}

static bool start_engine(struct rialto *r, struct err *err)
{
    struct str *id = arena_new(&r->arena, struct str);
    *id = r->options.server.service_id;
    map_put(&r->properties, STR("ksql.service.id"), id);
    struct engine_options options = {
        .client = r->client,
        .flow = r->flow,
        .service_id = r->options.server.service_id,
        .properties = &r->properties,
        .push_queries_max = r->options.server.push_queries_max,
        .connect = &connect_ops,
        .connect_state = r->connect,
    };
    return engine_open(&r->engine, &options, err);
}

static const char **terminated(const struct conf_list *list, struct arena *arena)
{
    const char **at = arena_array(arena, const char *, list->len + 1);
    for (size_t i = 0; i < list->len; i++)
        at[i] = str_cstr(list->at[i], arena);
    return at;
}

/* HTTP asks nobody who he is, encrypted or not; a certificate that clients must have is the exception. */
static void warn_if_open(const struct rialto *r, const struct net_listener *listener, bool tls)
{
    if (!net_listener_is_loopback(listener) && !(tls && net_tls_requires_client(r->tls)))
        log_warn("main", "listener_open",
                 "address=%.*s risk=\"anybody who reaches this address can run statements, change connectors "
                 "and read "
                 "all topics: HTTP does not ask who it is\"",
                 STR_ARG(net_listener_address(listener)));
}

static bool listen_http(struct rialto *r, struct err *err)
{
    struct buf addresses = {0};
    bool good = true;
    for (size_t i = 0; good && i < r->options.server.http_listen.len; i++) {
        struct str address = r->options.server.http_listen.at[i];
        bool tls = str_starts_with(address, STR("https://"));
        struct net_listener *listener = http_server_listen(r->http, r->net, address, err);
        good = listener != NULL;
        if (!good)
            break;
        warn_if_open(r, listener, tls);
        buf_printf(&addresses, "%s%s%.*s", i != 0 ? "," : "", tls ? "https://" : "",
                   STR_ARG(net_listener_address(listener)));
    }
    r->http_addresses = str_dup(buf_str(&addresses), &r->arena);
    atomic_store(&r->api.http_addresses, &r->http_addresses);
    buf_fini(&addresses);
    return good;
}

static bool start_http(struct rialto *r, struct err *err)
{
    struct net_options net = {.thread_count = 2, .metrics = r->metrics};
    struct http_options http = {
        .hosts = terminated(&r->options.server.http_hosts, &r->arena),
        .origins = terminated(&r->options.server.http_origins, &r->arena),
        .tls = r->tls,
        .metrics = r->metrics,
    };
    r->pool = pool_new("api", 4);
    if ((r->net = net_new(&net, err)) == NULL)
        return false;
    r->http = http_server_new(&http);
    r->api = (struct api_env){
        .client = r->client,
        .engine = r->engine,
        .connect = r->connect,
        .metrics = r->metrics,
        .pool = r->pool,
        .version = STR(RIALTO_VERSION),
        .cluster_id = broker_cluster_id(r->broker),
        .service_id = r->options.server.service_id,
        .kafka_address = broker_kafka_addresses(r->broker, &r->arena),
        .data_dir = r->data_dir,
        .started_ms = clock_wall_ms(),
    };
    api_routes(r->http, &r->api);
    api_live_start(&r->api);
    return listen_http(r, err);
}

/* The statements of `rialto run` ------------------------------------------------------------------------------------- */

struct script_wait {
    struct mailbox *box;
    bool done;
    struct err err;
};

static void script_done(void *arg, struct str entities, const struct err *failure, struct str statement)
{
    struct script_wait *wait = arg;
    if (failure != NULL)
        wait->err = *failure;
    struct mail *mail = mem_new(struct mail);
    ASSERT(mailbox_put_reply(wait->box, mail)); /* the waiter keeps the box open */
}

static bool run_script(struct rialto *r, struct err *err)
{
    if (str_is_null(r->script))
        return true;
    struct script_wait wait = {.box = mailbox_new(1)};
    engine_execute(r->engine, r->script, NULL, script_done, &wait);
    struct mail *mail = mailbox_take(wait.box, -1);
    ASSERT(mail != NULL);
    free(mail);
    mailbox_close(wait.box);
    mailbox_unref(wait.box);
    if (wait.err.code == ERR_NONE)
        return true;
    *err = wait.err;
    err_context(err, "the script");
    return false;
}

/* Life ----------------------------------------------------------------------------------------------------------------- */

static bool start(struct rialto *r, struct err *err)
{
    log_level_set((enum log_level)r->options.server.log_level);
    r->io = io_real();
    r->metrics = metric_registry_new();
    if (!io_make_dirs(r->io, r->data_dir.ptr, err))
        return false;
    r->lock_fd = io_lock_dir(r->io, r->data_dir.ptr, err);
    return r->lock_fd >= 0 && start_tls(r, err) && start_broker(r, err) && start_flow(r, err) &&
           start_connect(r, err) && start_engine(r, err) && start_http(r, err) && run_script(r, err);
}

/* Undoes what was started, whatever it was. */
static void stop(struct rialto *r)
{
    if (r->net != NULL)
        net_stop(r->net); /* clients are gone; what they asked for is given back below */
    if (r->pool != NULL)
        pool_free(r->pool); /* its jobs read engine and connect */
    api_live_stop(&r->api);
    engine_close(r->engine);
    connect_close(r->connect);
    if (r->net != NULL)
        net_free(r->net);
    if (r->http != NULL)
        http_server_free(r->http);
    flow_runtime_free(r->flow);
    state_close(r->state);
    client_free(r->client);
    if (r->broker != NULL)
        broker_stop(r->broker);
    net_tls_free(r->tls);
    if (r->lock_fd >= 0)
        io_close(r->io, r->lock_fd);
    if (r->metrics != NULL)
        metric_registry_free(r->metrics);
    map_fini(&r->properties);
    arena_fini(&r->arena);
}

static void print_ready(const struct rialto *r, int64_t started_us)
{
    printf("ready in %.0f ms  kafka=%.*s http=%.*s data=%.*s\n",
           (double)(clock_mono_us() - started_us) / 1000, STR_ARG(r->api.kafka_address),
           STR_ARG(r->http_addresses), STR_ARG(r->data_dir));
    fflush(stdout);
}

static void wait_for_signal(const sigset_t *set)
{
    int signum = 0;
    while (sigwait(set, &signum) != 0 || (signum != SIGINT && signum != SIGTERM))
        continue;
    log_info("main", "stopping", "signal=%s", strsignal(signum));
}

/* Each connection and each partition that is written to holds a descriptor: as many as the system allows, instead of the small
 * number that shells set. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    ignore(setrlimit(RLIMIT_NOFILE, &limit) != 0, "the smaller limit remains");
}

static int serve(struct rialto *r)
{
    struct err err = {0};
    int64_t started_us = clock_mono_us();
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* inherited by all threads */
    raise_file_limit();
    bool started = start(r, &err);
    if (started) {
        print_ready(r, started_us);
        wait_for_signal(&set);
    } else {
        fprintf(stderr, "rialto: %s\n", err.text);
    }
    stop(r);
    return started ? 0 : 1;
}

/* Command line ---------------------------------------------------------------------------------------------------------- */

static void usage(FILE *out, bool run)
{
    fprintf(out, run ? "Usage: rialto run FILE.sql [options]\n\nStarts a server, runs the statements of the "
                       "file, and serves until Ctrl-C.\n"
                     : "Usage: rialto server [options]\n\nServes Kafka clients, SQL, connectors and the page "
                       "until SIGINT or SIGTERM.\n");
    fprintf(out,
            "\n  --data DIR          data directory (default: rialto-data)\n"
            "  --conf FILE         options, one name=value a line\n"
            "  --set name=value    one option; may be repeated; wins over the file and RIALTO_* variables\n"
            "  --help\n\n`rialto doc options` lists all options.\n\nExample:\n  rialto %s --data "
            "/var/lib/rialto --set durability=os\n",
            run ? "run pipeline.sql" : "server");
}

static bool read_script(struct rialto *r, const char *path, struct err *err)
{
    enum { SCRIPT_BYTES_MAX = 4 << 20 };
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return err_set_errno(err, errno, "cannot open %s", path);
    struct buf text = {0};
    char chunk[65536];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, file)) != 0 && text.len <= SCRIPT_BYTES_MAX)
        buf_append(&text, chunk, got);
    bool whole = !ferror(file) && text.len <= SCRIPT_BYTES_MAX;
    fclose(file);
    r->script = str_dup(buf_str(&text), &r->arena);
    buf_fini(&text);
    return whole || err_set(err, ERR_TOO_LARGE, "%s: cannot be read, or is larger than 4 MiB", path);
}

static const struct option long_options[] = {
    {"data", required_argument, NULL, 'd'},
    {"conf", required_argument, NULL, 'c'},
    {"set", required_argument, NULL, 's'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

int server_main(int argc, char **argv)
{
    bool run = strcmp(argv[0], "run") == 0;
    struct rialto *r = mem_new(struct rialto);
    const char *data_dir = "rialto-data", *conf_file = NULL;
    vec(struct str) assignments = {0};
    struct err err = {0};
    int status = -1;
    r->lock_fd = -1;
    for (int option; status < 0 && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (option == 'd')
            data_dir = optarg;
        else if (option == 'c')
            conf_file = optarg;
        else if (option == 's')
            vec_push(&assignments, str_from(optarg));
        else
            status = option == 'h' ? 0 : 2;
    }
    if (status >= 0 || argc - optind != (run ? 1 : 0)) {
        status = status == 0 ? 0 : 2;
        usage(status == 0 ? stdout : stderr, run);
    } else {
        struct conf_list list = {assignments.at, assignments.len};
        r->data_dir = str_of(str_cstr(str_from(data_dir), &r->arena), strlen(data_dir));
        if ((run && !read_script(r, argv[optind], &err)) ||
            !options_read(conf_file, &list, &r->options, &r->arena, &err)) {
            fprintf(stderr, "rialto: %s\n", err.text);
            arena_fini(&r->arena);
            status = 2;
        } else {
            status = serve(r);
        }
    }
    vec_fini(&assignments);
    free(r);
    return status;
}
