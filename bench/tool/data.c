/* data.c - writes the data set into a topic, in order, each record once. */
#include "dataset.h"
#include "load.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        die("a record of the data set was not taken: %s", rd_kafka_err2str(message->err));
    ++*(int64_t *)opaque;
}

int mode_data(const struct options *o)
{
    bool users = strcmp(o->data, "users") == 0;
    int64_t count = users ? DATA_USERS : o->record_count, acked = 0, ts = 0;
    char key[DATA_KEY_MAX], value[DATA_VALUE_MAX];
    rd_kafka_conf_t *conf = conf_new_producer(o);
    conf_set(conf, "partitioner", "murmur2_random");
    conf_set(conf, "enable.idempotence", "true"); /* A retry must not change the order. */
    rd_kafka_conf_set_opaque(conf, &acked);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *client = client_open(o, RD_KAFKA_PRODUCER, conf);
    for (int64_t i = 0; i < count; i++) {
        int length = users ? user_print(i, key, sizeof key, value, sizeof value, &ts)
                           : transaction_print(i, key, sizeof key, value, sizeof value, &ts);
        rd_kafka_resp_err_t error;
        while ((error = rd_kafka_producev(client, RD_KAFKA_V_TOPIC(o->topic),
                                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                          RD_KAFKA_V_KEY(key, strlen(key)),
                                          RD_KAFKA_V_VALUE(value, (size_t)length), RD_KAFKA_V_TIMESTAMP(ts),
                                          RD_KAFKA_V_END)) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                die("produce: %s", rd_kafka_err2str(error));
            rd_kafka_poll(client, 10);
        }
        if (i % 1000 == 0)
            rd_kafka_poll(client, 0);
    }
    rd_kafka_flush(client, o->timeout_s * 1000);
    rd_kafka_destroy(client);
    printf("{\"acked\":%" PRId64 "}\n", acked);
    return acked != count;
}
