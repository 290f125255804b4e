/* broker: every topic config either changes what the topic's log does, or is refused with the reason: none is kept and
 * ignored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "broker/broker.h"
#include "io/io.h"
#include "log/log.h"
#include "storage/storage.h"
#include "topic/topic.h"

/* Another value than the default, by the reference's table of topic configs; NULL: there is none that could be in force here. */
static const struct {
    int config;
    const char *other;
} others[] = {
    {TOPIC_CLEANUP_POLICY, "compact"},
    {TOPIC_COMPRESSION_GZIP_LEVEL, "9"},
    {TOPIC_COMPRESSION_LZ4_LEVEL, "1"},
    {TOPIC_COMPRESSION_TYPE, "zstd"},
    {TOPIC_COMPRESSION_ZSTD_LEVEL, "19"},
    {TOPIC_DELETE_RETENTION_MS, "5"},
    {TOPIC_FILE_DELETE_DELAY_MS, "5"},
    {TOPIC_FLUSH_MESSAGES, "5"},
    {TOPIC_FLUSH_MS, "5"},
    {TOPIC_FOLLOWER_THROTTLED, NULL},
    {TOPIC_INDEX_INTERVAL_BYTES, "5"},
    {TOPIC_LEADER_THROTTLED, NULL},
    {TOPIC_LOCAL_RETENTION_BYTES, NULL},
    {TOPIC_LOCAL_RETENTION_MS, NULL},
    {TOPIC_MAX_COMPACTION_LAG_MS, "5"},
    {TOPIC_MAX_MESSAGE_BYTES, "2000"},
    {TOPIC_TIMESTAMP_AFTER_MAX_MS, "5"},
    {TOPIC_TIMESTAMP_BEFORE_MAX_MS, "5"},
    {TOPIC_TIMESTAMP_TYPE, "LogAppendTime"},
    {TOPIC_MIN_CLEANABLE_RATIO, "0.25"},
    {TOPIC_MIN_COMPACTION_LAG_MS, "5"},
    {TOPIC_MIN_INSYNC_REPLICAS, NULL},
    {TOPIC_PREALLOCATE, NULL},
    {TOPIC_REMOTE_COPY_DISABLE, NULL},
    {TOPIC_REMOTE_DELETE_ON_DISABLE, NULL},
    {TOPIC_REMOTE_STORAGE_ENABLE, NULL},
    {TOPIC_RETENTION_BYTES, "5"},
    {TOPIC_RETENTION_MS, "5"},
    {TOPIC_SEGMENT_BYTES, "2000"},
    {TOPIC_SEGMENT_INDEX_BYTES, "80"},
    {TOPIC_SEGMENT_JITTER_MS, "5"},
    {TOPIC_SEGMENT_MS, "5"},
    {TOPIC_UNCLEAN_ELECTION, NULL},
};

/* Words and numbers that the refused ones would take elsewhere. */
static const char *const elsewhere[] = {"true", "2", "0:1"};

static struct log_config config_of(struct broker *broker, const char *topic)
{
    struct err err;
    struct partition *part = storage_partition_get(broker_storage(broker), str_from(topic), 0, &err);
    assert_non_null(part);
    struct log_config config = log_get_config(partition_log(part));
    partition_unref(part);
    return config;
}

static bool create(struct broker *broker, const char *topic, const char *name, const char *value,
                   struct err *err)
{
    struct storage_topic_config config = {str_from(name), str_from(value)};
    return storage_topic_create(broker_storage(broker), str_from(topic), 1, &config, 1, err);
}

static void test_every_config(void **state)
{
    struct broker_config options;
    struct broker *broker;
    struct io_memory *mem = io_memory_new(1);
    struct err err;
    bool seen[TOPIC_CONFIG_COUNT] = {0};
    broker_config_init(&options);
    options.storage.data_dir = STR("/data");
    options.storage.wal_bytes_max = 256 << 10;
    options.kafka_listen = STR("");
    options.net_threads = 1;
    assert_true(broker_start(&broker, &options, io_memory_io(mem), NULL, &err));
    assert_int_equal(COUNT_OF(others), 33); /* Kafka's */
    assert_int_equal(TOPIC_CONFIG_COUNT, 33);
    assert_true(storage_topic_create(broker_storage(broker), STR("plain"), 1, NULL, 0, &err));
    struct log_config plain = config_of(broker, "plain");
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        const struct topic_config_def *def = &topic_config_defs[others[i].config];
        char topic[32];
        assert_false(seen[others[i].config]);
        seen[others[i].config] = true;
        snprintf(topic, sizeof topic, "t%zu", i);
        if (!create(broker, topic, def->name, def->init, &err))
            fail_msg("%s: its default is refused: %s", def->name, err.text);
        struct log_config config = config_of(broker, topic);
        config.redo_arg = plain.redo_arg; /* the partition */
        assert_memory_equal(&config, &plain, sizeof plain);
        snprintf(topic, sizeof topic, "other%zu", i);
        for (size_t k = 0; others[i].other == NULL && k < COUNT_OF(elsewhere); k++) {
            assert_false(create(broker, topic, def->name, elsewhere[k], &err));
            assert_int_equal(err.code, ERR_INVALID_CONFIG);
            if (strstr(err.text, def->name) == NULL || strstr(err.text, " can only be ") == NULL ||
                strstr(err.text, def->doc) == NULL)
                fail_msg("%s is refused without a reason: %s", def->name, err.text);
        }
        if (others[i].other == NULL)
            continue;
        if (!create(broker, topic, def->name, others[i].other, &err))
            fail_msg("%s = %s is refused: %s", def->name, others[i].other, err.text);
        config = config_of(broker, topic);
        if (memcmp(&config, &plain, sizeof plain) == 0)
            fail_msg("%s = %s changes nothing", def->name, others[i].other);
    }
    broker_stop(broker);
    io_memory_free(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_config)};
    log_level_set(LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
