/* check.c - was the query's result right? A fast wrong answer must not get into a table.
 *
 * What must be there follows from the data set: filter: one record for each transaction above 50; join: one for each
 * transaction, with its user's name; window: count and sum for each user and 3-second window, where the last record of
 * a key counts, since engines may send updates. Systems write keys and members differently, so a record is read
 * loosely: the key as bytes, members by their name in any case: amount, name, total, n.
 */
#include "dataset.h"
#include "load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define AMOUNT_ABOVE 50

struct tally {
    int64_t records; /* results: distinct keys for window, else records */
    int64_t n;
    int64_t total;
};

/* Last values by key: open addressing by a 64-bit hash of the key; 2^-64 per pair is small enough here. */
struct last {
    uint64_t hash;
    int64_t n, total;
};

struct last_table {
    struct last *slots;
    size_t mask;
    int64_t used;
};

static struct last *last_find(struct last_table *table, uint64_t hash)
{
    size_t i = hash & table->mask;
    while (table->slots[i].hash != 0 && table->slots[i].hash != hash)
        i = (i + 1) & table->mask;
    if (table->slots[i].hash == 0) {
        if (++table->used > (int64_t)table->mask / 2)
            die("more keys than the transactions have windows");
        table->slots[i].hash = hash;
    }
    return &table->slots[i];
}

static uint64_t hash_of(const void *bytes, size_t length)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++)
        h = (h ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
    h ^= h >> 29;
    return h == 0 ? 1 : h;
}

static struct last_table last_table_new(int64_t record_count)
{
    struct last_table table = {.mask = 1023};
    while ((int64_t)table.mask < record_count * 3)
        table.mask = table.mask * 2 + 1;
    table.slots = calloc(table.mask + 1, sizeof *table.slots);
    if (table.slots == NULL)
        die("no memory for the keys");
    return table;
}

/* The text after "name": in a JSON text, or NULL. */
static const char *member(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = strchr(text, '"'); at != NULL; at = strchr(at + 1, '"'))
        if (strncasecmp(at + 1, name, length) == 0 && at[1 + length] == '"' && at[2 + length] == ':')
            return at + 3 + length;
    return NULL;
}

static int64_t member_number(const char *text, const char *name)
{
    const char *value = member(text, name);
    if (value == NULL)
        die("a result has no member %s: %s", name, text);
    return strtoll(value, NULL, 10);
}

static void tally_message(const struct options *o, const rd_kafka_message_t *message, struct tally *got,
                          struct last_table *keys)
{
    char text[1024];
    size_t length = message->len < sizeof text ? message->len : sizeof text - 1;
    if (message->payload == NULL)
        return;
    memcpy(text, message->payload, length);
    text[length] = '\0';
    if (strcmp(o->query, "window") == 0) {
        struct last *last = last_find(keys, hash_of(message->key, message->key_len));
        got->n -= last->n;
        got->total -= last->total;
        last->n = member_number(text, "n");
        last->total = member_number(text, "total");
        got->n += last->n;
        got->total += last->total;
        got->records = keys->used;
        return;
    }
    if (strcmp(o->query, "join") == 0 && member(text, "name") == NULL)
        die("a result has no name: %s", text);
    got->records++;
    got->n++;
    got->total += member_number(text, "amount");
}

static struct tally expected(const struct options *o)
{
    struct tally want = {0};
    struct last_table windows = last_table_new(o->record_count);
    bool filter = strcmp(o->query, "filter") == 0, window = strcmp(o->query, "window") == 0;
    for (int64_t i = 0; i < o->record_count; i++) {
        struct transaction t;
        transaction_at(i, &t);
        if (filter && t.amount <= AMOUNT_ABOVE)
            continue;
        int64_t key[2] = {t.ts / DATA_WINDOW_MS, t.user_id};
        if (window)
            last_find(&windows, hash_of(key, sizeof key));
        want.n++;
        want.total += t.amount;
    }
    want.records = window ? windows.used : want.n;
    free(windows.slots);
    return want;
}

int mode_check(const struct options *o)
{
    struct tally want = expected(o), got = {0};
    struct last_table keys = last_table_new(o->record_count);
    struct options committed = *o;
    committed.client[committed.client_count++] = (struct setting){"isolation.level", "read_committed"};
    committed.client[committed.client_count++] = (struct setting){"enable.partition.eof", "true"};
    rd_kafka_t *client = consumer_open(&committed, RD_KAFKA_OFFSET_BEGINNING);
    int ends_left = topic_partition_count(&committed, client);
    int64_t read = 0;
    for (double last = clock_s(); ends_left > 0 && clock_s() - last < o->timeout_s;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, 200);
        if (message == NULL)
            continue;
        last = clock_s();
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            ends_left--;
        } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            tally_message(o, message, &got, &keys);
            read++;
        }
        rd_kafka_message_destroy(message);
    }
    bool right = got.records == want.records && got.n == want.n && got.total == want.total;
    printf("{\"right\":%s,\"output_records\":%" PRId64 ",\"results\":%" PRId64 ",\"wanted\":%" PRId64
           ",\"n\":%" PRId64 ",\"n_wanted\":%" PRId64 ",\"total\":%" PRId64 ",\"total_wanted\":%" PRId64
           "}\n",
           right ? "true" : "false", read, got.records, want.records, got.n, want.n, got.total, want.total);
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
    free(keys.slots);
    return right ? 0 : 1;
}
