/* cmd_datagen.c - rialto datagen: made-up records at a given rate, by producers side by side.
 *
 *   producer i of P (a thread with its own connections): records i, i + P, i + 2P, ...   -> kafka_producer
 *   main thread: progress, Ctrl-C
 *
 * (D1) Each producer has a share of the rate and sends what is due every few ms; a slow server is caught up with later.
 * (D2) The first producer that fails stops all. Ctrl-C lets each finish its batch, so the count told is what is stored; a
 *      second one ends a wait for a server that is away.
 * (D3) Shared between the threads: the stop flag, the counters and each producer's own error, read after it has ended.
 */
#include <langinfo.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/cli_int.h"
#include "loop/loop.h"
#include "cli/gen_int.h"
#include "cli/kafka_int.h"
#include "cli/sock_int.h"

enum {
    TICK_MS = 10,
    DRAW_MS = 100,
    BAR_WIDTH = 24,
    PARALLEL_MAX = 256,
    BATCH_BYTES = 256 << 10,
    RETRY_MS = 180000
};
enum { CHUNK = 500 }; /* records between two looks at the stop flag */

struct datagen {
    struct cli *cli;
    const struct gen_schema *schema;
    struct kafka_producer_options options;
    int64_t rate, count, parallel; /* rate 0: no limit; count -1: no end */
    uint64_t seed;
    int64_t ts_start, ts_step; /* ts_start -1: the present */
    int64_t started_ms;
    atomic_bool stopping; /* finish your batch */
    atomic_bool aborting; /* give up */
    atomic_llong sent;    /* acknowledged */
    atomic_int running;   /* producers that have not ended */
};

struct datagen_producer {
    struct datagen *gen;
    int64_t index;
    pthread_t thread;
    struct kafka kafka;
    struct kafka_producer producer;
    struct err err; /* why it ended early */
    struct buf key, value;
};

/* Producers ----------------------------------------------------------------------------------------------- */

static bool send_one(struct datagen_producer *p, int64_t n)
{
    const struct datagen *gen = p->gen;
    int64_t ts_ms = gen->ts_start >= 0 ? gen->ts_start + n * gen->ts_step : clock_wall_ms();
    buf_clear(&p->key);
    buf_clear(&p->value);
    gen_record(gen->schema, gen->seed, n, ts_ms, &p->key, &p->value);
    return kafka_producer_send(&p->producer, -1, ts_ms, buf_str(&p->key), buf_str(&p->value), NULL, 0,
                               &p->err);
}

static void count_sent(struct datagen_producer *p, int64_t *before)
{
    atomic_fetch_add(&p->gen->sent, p->producer.sent_records - *before);
    *before = p->producer.sent_records;
}

/* How many of this producer's records are due by now. */
static int64_t due_count(const struct datagen_producer *p, int64_t total)
{
    if (p->gen->rate == 0)
        return total;
    int64_t elapsed_ms = clock_mono_ms() - p->gen->started_ms;
    /* All records up to n are due; those of this producer are every P-th of them. */
    double due = (double)elapsed_ms * (double)p->gen->rate / 1000;
    int64_t all = due < 9e18 ? (int64_t)due : INT64_MAX;
    int64_t mine = all <= p->index ? 0 : (all - p->index - 1) / p->gen->parallel + 1;
    return MIN(mine, total);
}

static void produce_all(struct datagen_producer *p)
{
    struct datagen *gen = p->gen;
    int64_t total = INT64_MAX, sent = 0, counted = 0;
    if (gen->count >= 0)
        total = gen->count <= p->index ? 0 : (gen->count - p->index - 1) / gen->parallel + 1;
    while (sent < total && !atomic_load_explicit(&gen->stopping, memory_order_relaxed)) {
        int64_t due = MIN(due_count(p, total), sent + CHUNK);
        if (due <= sent) {
            struct timespec pause = {.tv_nsec = TICK_MS * 1000000};
            nanosleep(&pause, NULL);
            continue;
        }
        for (; sent < due; sent++)
            if (!send_one(p, p->index + sent * gen->parallel))
                return;
        /* At a given rate records leave at once; without one, batches fill. */
        if (gen->rate > 0 && !kafka_producer_flush(&p->producer, &p->err))
            return;
        count_sent(p, &counted);
    }
    ignore(!kafka_producer_flush(&p->producer, &p->err), "p->err tells");
    count_sent(p, &counted);
}

static void *run_producer(void *arg)
{
    struct datagen_producer *p = arg;
    produce_all(p);
    if (p->err.code != ERR_NONE)
        atomic_store(&p->gen->stopping, true);
    atomic_fetch_sub(&p->gen->running, 1);
    return NULL;
}

/* Progress ------------------------------------------------------------------------------------------------ */

/* 12,345 */
static const char *grouped(int64_t n, char text[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRId64, n), out = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            text[out++] = ',';
        text[out++] = digits[i];
    }
    text[out] = '\0';
    return text;
}

static void draw(const struct datagen *gen)
{
    char sent_text[32], count_text[32], rate_text[32];
    int64_t sent = atomic_load(&gen->sent), elapsed_ms = MAX(clock_mono_ms() - gen->started_ms, 1);
    int64_t rate = sent * 1000 / elapsed_ms;
    bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    fprintf(stderr, "\r\x1b[K%.*s  ", STR_ARG(gen->options.topic));
    if (gen->count > 0) {
        int full = (int)(sent * BAR_WIDTH / gen->count);
        for (int i = 0; i < BAR_WIDTH; i++)
            fputs(i < full ? (utf8 ? "█" : "#") : (utf8 ? "░" : "."), stderr);
        fprintf(stderr, "  %s / %s", grouped(sent, sent_text), grouped(gen->count, count_text));
    } else {
        fprintf(stderr, "%s", grouped(sent, sent_text));
    }
    fprintf(stderr, "   %s/s", grouped(rate, rate_text));
    if (gen->count > sent && rate > 0)
        fprintf(stderr, "   %" PRId64 " s left", (gen->count - sent) / rate);
}

/* Watches until all producers have ended. */
static bool watch(struct datagen *gen)
{
    bool interrupted = false;
    bool bar = gen->cli->stderr_tty;
    int64_t drawn_ms = clock_mono_ms();
    while (atomic_load(&gen->running) > 0) {
        if (!cli_sock_sleep(TICK_MS, gen->cli->stop_fd, NULL)) {
            ignore(cli_interrupted(gen->cli), "the signal has done its work");
            atomic_store(interrupted ? &gen->aborting : &gen->stopping, true);
            interrupted = true;
        }
        if (bar && clock_mono_ms() - drawn_ms >= DRAW_MS) {
            draw(gen);
            drawn_ms = clock_mono_ms();
        }
    }
    if (bar)
        fprintf(stderr, "\r\x1b[K");
    return interrupted;
}

static void summarize(const struct datagen *gen)
{
    int64_t sent = atomic_load(&gen->sent);
    double seconds = (double)MAX(clock_mono_ms() - gen->started_ms, 1) / 1000;
    char sent_text[32], rate_text[32];
    cli_note(gen->cli, "%s records to %.*s in %.1f s (%s/s), acknowledged", grouped(sent, sent_text),
             STR_ARG(gen->options.topic), seconds, grouped((int64_t)((double)sent / seconds), rate_text));
    if (gen->cli->json)
        printf("{\"topic\":\"%.*s\",\"records\":%" PRId64 ",\"seconds\":%.3f,\"rate\":%.1f}\n",
               STR_ARG(gen->options.topic), sent, seconds, (double)sent / seconds);
}

/* -------------------------------------------------------------------------------------------------------- */

static bool read_options(struct datagen *gen, struct err *err)
{
    struct cli *cli = gen->cli;
    struct str name = cli_value(cli, "schema"), topic = cli_value(cli, "topic"),
               codec = cli_value(cli, "compression");
    int64_t seed;
    if (str_is_null(name))
        return err_set(err, ERR_USAGE, "datagen needs --schema: transactions, orders, clicks or users");
    gen->schema = gen_schema_find(name);
    if (gen->schema == NULL)
        return err_set(err, ERR_USAGE, "there is no schema '%.*s': transactions, orders, clicks or users",
                       STR_ARG(name));
    gen->options = (struct kafka_producer_options){.topic = str_is_null(topic) ? name : topic,
                                                   .acks = -1,
                                                   .batch_bytes = BATCH_BYTES,
                                                   .retry_ms = RETRY_MS};
    if (gen->options.topic.len > KAFKA_TOPIC_BYTES_MAX)
        return err_set(err, ERR_USAGE, "a topic's name has at most %d characters", KAFKA_TOPIC_BYTES_MAX);
    if (!str_is_null(codec) && !codec_from_name(codec, &gen->options.codec))
        return err_set(err, ERR_USAGE, "-z must be none, gzip, snappy, lz4 or zstd, not '%.*s'",
                       STR_ARG(codec));
    if (!cli_integer(cli, "rate", 0, 100000000, 0, &gen->rate, err) ||
        !cli_integer(cli, "count", 0, INT64_MAX / 4, -1, &gen->count, err) ||
        !cli_integer(cli, "parallel", 1, PARALLEL_MAX, 1, &gen->parallel, err) ||
        !cli_integer(cli, "seed", INT64_MIN, INT64_MAX, 1, &seed, err) ||
        !cli_integer(cli, "ts-start", 0, INT64_MAX / 4, -1, &gen->ts_start, err) ||
        !cli_integer(cli, "ts-step", 0, 1000000000, 1, &gen->ts_step, err))
        return false;
    gen->seed = (uint64_t)seed;
    if (gen->ts_start < 0 && cli_flag(cli, "ts-step"))
        return err_set(err, ERR_USAGE, "--ts-step needs --ts-start");
    return true;
}

static int print_only(struct datagen *gen)
{
    struct buf line = {0}, value = {0};
    for (int64_t n = 0; n != gen->count && !cli_interrupted(gen->cli) && !ferror(stdout); n++) {
        buf_clear(&line);
        buf_clear(&value);
        gen_record(gen->schema, gen->seed, n,
                   gen->ts_start >= 0 ? gen->ts_start + n * gen->ts_step : clock_wall_ms(), &line, &value);
        printf("%s\t%s\n", line.ptr, value.ptr);
    }
    buf_fini(&line);
    buf_fini(&value);
    return CLI_OK;
}

/* All producers are open before the first record leaves: a missing server is told once, and the rate is fair. */
static bool open_all(struct datagen *gen, struct datagen_producer *producers, struct err *err)
{
    for (int64_t i = 0; i < gen->parallel; i++) {
        struct datagen_producer *p = &producers[i];
        p->gen = gen;
        p->index = i;
        kafka_init(&p->kafka, gen->cli->brokers, gen->cli->security, gen->cli->stop_fd);
        if (!kafka_producer_open(&p->producer, &p->kafka, &gen->options, err))
            return false;
        /* From now on the flag stops the producer: only the main thread may read the signal. */
        p->kafka.stop_fd = -1;
        p->kafka.stopping = &gen->aborting;
    }
    return true;
}

static void close_all(struct datagen *gen, struct datagen_producer *producers)
{
    for (int64_t i = 0; i < gen->parallel; i++) {
        kafka_producer_close(&producers[i].producer);
        if (producers[i].gen != NULL)
            kafka_fini(&producers[i].kafka);
        buf_fini(&producers[i].key);
        buf_fini(&producers[i].value);
    }
    free(producers);
}

static int run_all(struct datagen *gen, struct datagen_producer *producers)
{
    int64_t started = 0;
    gen->started_ms = clock_mono_ms();
    atomic_store(&gen->running, (int)gen->parallel);
    for (; started < gen->parallel; started++)
        if (pthread_create(&producers[started].thread, NULL, run_producer, &producers[started]) != 0)
            break;
    if (started < gen->parallel) {
        atomic_store(&gen->stopping, true);
        atomic_fetch_sub(&gen->running, (int)(gen->parallel - started));
    }
    bool interrupted = watch(gen);
    int status = interrupted ? CLI_INTERRUPTED : CLI_OK;
    for (int64_t i = 0; i < started; i++)
        pthread_join(producers[i].thread, NULL);
    summarize(gen);
    for (int64_t i = 0; i < started; i++)
        if (producers[i].err.code != ERR_NONE)
            return cli_fail(gen->cli, &producers[i].err, NULL);
    if (started < gen->parallel) {
        struct err err;
        err_set(&err, ERR_LIMIT, "only %" PRId64 " producers could be started", started);
        return cli_fail(gen->cli, &err, "use a smaller --parallel.");
    }
    return status;
}

int cli_datagen(struct cli *cli)
{
    struct datagen gen = {.cli = cli};
    struct err err = {0};
    if (!read_options(&gen, &err))
        return cli_fail(cli, &err, NULL);
    if (cli_flag(cli, "print"))
        return print_only(&gen);
    struct datagen_producer *producers = mem_zalloc((size_t)gen.parallel, sizeof *producers);
    int status = open_all(&gen, producers, &err) ? run_all(&gen, producers) : cli_fail(cli, &err, NULL);
    close_all(&gen, producers);
    return status;
}
