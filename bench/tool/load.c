/* load.c - load for anything that speaks the Kafka protocol.
 *
 *   load MODE -b HOST:PORT -t TOPIC [options]        one JSON line on stdout, exit status 0 when all went through
 *
 *   create    TOPIC with -p partitions and -c name=value configs
 *   delete    TOPIC
 *   settle    waits until TOPIC's readable end has not moved for a second; says when it last moved
 *   produce   -n records of -s bytes from -T producers, codec -z, linger -l ms
 *   consume   -n records from the beginning
 *   latency   -r records a second for -d seconds after -w seconds of warm-up, produced and consumed in this process
 *   data      writes the data set -W (transactions, users) of -n records
 *   replay    -n records in prepared batches of -R from -T connections with -D requests under way each, over -p partitions; -j:
 *             records of the data set, as JSON, in place of letters at random
 *   drain     reads -n records by -T connections, a partition each
 *   crowd     -C idle connections beside -T that share -r produces a second for -d seconds
 *   groups    -n groups of one member; -r heartbeats a second over -T connections for -d seconds
 *   bare      serves replay with the least work that the bytes ask for; TOPIC is the file that takes them
 *   sync      how long a write of 4 KiB and its sync take, -r a second for -d seconds; TOPIC is a file
 *   grow      -n records in batches of -R into -T files TOPIC-N, a sync every -D batches: what replay asks of a disk, alone
 *   check     reads TOPIC as the result of query -q over -n transactions and compares it with what must be there
 *
 * -P PID adds the CPU time and memory of that process. -X name=value passes any librdkafka setting.
 * The tool shares no code with what it measures: librdkafka, lz4 and libc only.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct mode {
    const char *name;
    int (*run)(const struct options *o);
} modes[] = {
    {"create", mode_create},   {"delete", mode_delete},   {"settle", mode_settle}, {"produce", mode_produce},
    {"consume", mode_consume}, {"latency", mode_latency}, {"data", mode_data},     {"check", mode_check},
    {"replay", mode_replay},   {"drain", mode_drain},     {"crowd", mode_crowd},   {"groups", mode_groups},
    {"bare", mode_bare},       {"sync", mode_sync},       {"grow", mode_grow},
};

static void add_setting(struct setting *list, int *count, char *text)
{
    char *equals = strchr(text, '=');
    if (equals == NULL || *count == SETTINGS_MAX)
        die("%s is not name=value, or there are more than %d settings", text, SETTINGS_MAX);
    *equals = '\0';
    list[(*count)++] = (struct setting){text, equals + 1};
}

static int64_t number(const char *text)
{
    char *end = NULL;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || value < 0)
        die("%s is not a number of at least 0", text);
    return value;
}

static void take_option(struct options *o, int letter, char *value)
{
    switch (letter) {
    case 'b':
        o->bootstrap = value;
        break;
    case 't':
        o->topic = value;
        break;
    case 'z':
        o->codec = value;
        break;
    case 'W':
        o->data = value;
        break;
    case 'q':
        o->query = value;
        break;
    case 'n':
        o->record_count = number(value);
        break;
    case 's':
        o->record_bytes = (int)number(value);
        break;
    case 'p':
        o->partition_count = (int)number(value);
        break;
    case 'T':
        o->producer_count = (int)number(value);
        break;
    case 'r':
        o->rate = (int)number(value);
        break;
    case 'd':
        o->measured_s = (int)number(value);
        break;
    case 'w':
        o->warmup_s = (int)number(value);
        break;
    case 'o':
        o->timeout_s = (int)number(value);
        break;
    case 'R':
        o->batch_records = (int)number(value);
        break;
    case 'D':
        o->depth = (int)number(value);
        break;
    case 'j':
        o->json = true;
        break;
    case 'C':
        o->idle_count = (int)number(value);
        break;
    case 'P':
        o->server_pid = (int)number(value);
        break;
    case 'l':
        o->linger_ms = strtod(value, NULL);
        break;
    case 'X':
        add_setting(o->client, &o->client_count, value);
        break;
    case 'c':
        add_setting(o->topic_config, &o->topic_config_count, value);
        break;
    default:
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct options o = {
        .bootstrap = "127.0.0.1:9092",
        .topic = "bench",
        .codec = "none",
        .data = "transactions",
        .query = "filter",
        .record_count = 1000000,
        .record_bytes = 100,
        .partition_count = 1,
        .producer_count = 1,
        .batch_records = 100,
        .depth = 5,
        .rate = 1000,
        .measured_s = 10,
        .warmup_s = 2,
        .timeout_s = 120,
        .linger_ms = 5,
    };
    if (argc < 2)
        die("which mode? The head of load.c names them");
    o.mode = argv[1];
    optind = 2;
    for (int letter; (letter = getopt(argc, argv, "b:t:z:W:q:n:s:p:T:r:d:w:o:P:R:D:C:l:X:c:j")) != -1;)
        take_option(&o, letter, optarg);
    if (o.record_bytes < 1 || o.record_bytes > 1000000 || o.producer_count < 1 || o.rate < 1 ||
        o.measured_s < 1 || o.batch_records < 1 || o.depth < 1)
        die("a size, a count or a rate is out of its range");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(o.mode, modes[i].name) == 0)
            return modes[i].run(&o);
    die("mode %s is unknown; the head of load.c names them", o.mode);
}
