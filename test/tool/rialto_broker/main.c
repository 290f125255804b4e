/* rialto_broker - the broker alone, for tests with real clients.
 *
 *     rialto_broker DIR [name=value ...]      prints "ready PORT" on stdout; SIGTERM and SIGINT stop it cleanly
 *
 * Without kafka.listen=... it listens on 127.0.0.1, on a free port.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "broker/broker.h"
#include "conf/conf.h"
#include "io/io.h"
#include "metric/metric.h"

static bool read_options(int argc, char **argv, struct broker_config *config, struct arena *arena,
                         struct err *err)
{
    struct conf *conf = conf_new();
    conf_add_table(conf, &broker_conf_table);
    bool good = conf_set(conf, STR("kafka.listen=127.0.0.1:0"), err);
    for (int i = 2; i < argc && good; i++)
        good = conf_set(conf, str_from(argv[i]), err);
    good = good && conf_check(conf, err) && conf_read(conf, &broker_conf_table, config, arena, err);
    conf_free(conf);
    return good;
}

static void wait_for_signal(void)
{
    sigset_t set;
    int signum;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigwait(&set, &signum);
}

int main(int argc, char **argv)
{
    struct arena arena = {0};
    struct broker_config config = {0};
    struct broker *broker;
    struct err err;
    sigset_t set;
    if (argc < 2) {
        fprintf(stderr, "usage: rialto_broker DIR [name=value ...]\n");
        return 2;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* all threads inherit it */
    struct metric_registry *metrics = metric_registry_new();
    bool good = read_options(argc, argv, &config, &arena, &err);
    config.storage.data_dir = str_from(argv[1]);
    int lock_fd = -1;
    if (good) {
        good = io_make_dirs(io_real(), argv[1], &err);
        lock_fd = good ? io_lock_dir(io_real(), argv[1], &err) : -1;
    }
    if (lock_fd < 0 || !broker_start(&broker, &config, io_real(), metrics, &err)) {
        fprintf(stderr, "rialto_broker: %s\n", err.text);
        return 1;
    }
    printf("ready %d\n", broker_kafka_port(broker));
    fflush(stdout);
    wait_for_signal();
    broker_stop(broker);
    io_close(io_real(), lock_fd);
    metric_registry_free(metrics);
    arena_fini(&arena);
    return 0;
}
