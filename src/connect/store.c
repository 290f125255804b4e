/* store.c - the topic connect-configs: what shall run, from which a restart starts the connectors again.
 *
 *   connector-<name>      {"properties": {...}}             null: deleted
 *   target-state-<name>   {"state": "STARTED" | "PAUSED", "state.v2": "STARTED" | "PAUSED" | "STOPPED"}
 *
 * The keys and values are Kafka Connect's. Task configurations are not stored: they follow from the connector's.
 */

#include "connect/connect_int.h"

static const struct str topic = STR_INIT("connect-configs");

static bool read_all(struct client *client, configs_visit *visit, void *arg, struct err *err)
{
    struct client_reader_options options = {.isolation = CLIENT_COMMITTED, .offset = CLIENT_EARLIEST};
    struct client_reader *reader = client_reader_new(client, topic, 0, &options, err);
    struct record rec;
    bool done = reader != NULL, more = done;
    while (more) {
        done = client_reader_poll(reader, err);
        more = false;
        while (done && client_reader_take(reader, &rec, 1) == 1) {
            visit(arg, rec.key, rec.value);
            more = true;
        }
    }
    client_reader_free(reader);
    return done;
}

bool configs_open(struct connect *connect, configs_visit *visit, void *arg, struct err *err)
{
    struct client *client = connect->options.client;
    struct client_topic_config configs[] = {{STR("cleanup.policy"), STR("compact")}};
    struct client_writer_options options = {.batch_bytes = 0};
    bool done = (client_partition_count(client, topic) > 0 ||
                 client_topic_create(client, topic, 1, configs, COUNT_OF(configs), err)) &&
                read_all(client, visit, arg, err) &&
                (connect->store = client_writer_new(client, topic, &options, err)) != NULL;
    if (!done)
        err_context(err, "topic %.*s", STR_ARG(topic));
    return done;
}

bool configs_put(struct connect *connect, const char *kind, struct str name, struct str value,
                 struct err *err)
{
    struct buf key = {0};
    buf_printf(&key, "%s-%.*s", kind, STR_ARG(name));
    bool done =
        client_writer_add(connect->store, 0, clock_wall_ms(), buf_str(&key), value, STR(""), 0, err) &&
        client_writer_wait(connect->store, err);
    buf_fini(&key);
    if (!done) {
        client_writer_reset(connect->store);
        err_context(err, "the change was not stored and has no effect");
    }
    return done;
}
