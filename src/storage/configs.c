/* configs.c - what is set on topics and on the server, and how it becomes the config of a log.
 *
 *   topic's setting, else the server's (config_chain: dynamic, default of the cluster, option, Kafka's default)
 *       -> log_config_of -> log_open, log_set_config
 *
 * The value of a config of the server, from the strongest to the weakest:
 *   set on the node ("1") | set as default of the cluster ("") | the option the server was started with | the default
 *
 * The options are found by name in the table of the whole server (storage_options): nothing here knows who reads them.
 */
#include "conf/conf.h"
#include "storage/storage_int.h"

int topic_config_by_synonym(struct str name)
{
    for (int i = 0; i < TOPIC_CONFIG_COUNT; i++)
        if (str_eq_cstr(name, topic_config_defs[i].synonym))
            return i;
    return -1;
}

void config_chain(const struct storage *storage, struct str name, struct str init,
                  struct config_value chain[CONFIG_CHAIN_MAX], struct arena *arena)
{
    const struct conf_option *option = conf_option_find(storage->server_table, name);
    struct str node =
        resource_setting(topics_resource(storage->topics, RESOURCE_BROKER, STR(NODE_NAME)), name);
    struct str cluster = resource_setting(topics_resource(storage->topics, RESOURCE_BROKER, STR("")), name);
    size_t count = 0;
    if (!str_is_null(node))
        chain[count++] = (struct config_value){str_dup(node, arena), SOURCE_DYNAMIC_BROKER};
    if (!str_is_null(cluster))
        chain[count++] = (struct config_value){str_dup(cluster, arena), SOURCE_DYNAMIC_DEFAULT};
    if (option != NULL) {
        struct str given = conf_option_text(option, storage->given, arena);
        init = conf_option_text(option, storage->defaults, arena);
        if (!str_eq(given, init))
            chain[count++] = (struct config_value){given, SOURCE_STATIC};
    }
    chain[count++] = (struct config_value){init, SOURCE_DEFAULT};
    while (count < CONFIG_CHAIN_MAX)
        chain[count++] = (struct config_value){STR_NULL, 0};
}

struct str topic_config_value(const struct storage *storage, const struct topic *topic, int config,
                              int8_t *source, struct arena *arena)
{
    const struct topic_config_def *def = &topic_config_defs[config];
    struct config_value chain[CONFIG_CHAIN_MAX];
    if (topic != NULL && !str_is_null(topic->settings[config])) {
        *source = SOURCE_TOPIC;
        return str_dup(topic->settings[config], arena);
    }
    config_chain(storage, str_from(def->synonym), str_from(def->init), chain, arena);
    *source = chain[0].source;
    return chain[0].value;
}

static int64_t number(const struct storage *storage, const struct topic *topic, int config,
                      struct arena *arena)
{
    int8_t source;
    int64_t out = 0;
    bool good = str_to_i64(topic_config_value(storage, topic, config, &source, arena), &out);
    ASSERT(good); /* checked when it was set */
    return out;
}

static bool has_word(const struct storage *storage, const struct topic *topic, int config, struct str word,
                     struct arena *arena)
{
    int8_t source;
    struct str rest = topic_config_value(storage, topic, config, &source, arena), part;
    while (str_split(&rest, ',', &part))
        if (str_eq(str_trim(part), word))
            return true;
    return false;
}

static double ratio(const struct storage *storage, const struct topic *topic, int config, struct arena *arena)
{
    int8_t source;
    double out = 0;
    bool good = str_to_double(topic_config_value(storage, topic, config, &source, arena), &out);
    ASSERT(good); /* checked when it was set */
    return out;
}

static void set_codec(const struct storage *storage, const struct topic *topic, struct log_config *out,
                      struct arena *arena)
{
    int8_t source;
    struct str type = topic_config_value(storage, topic, TOPIC_COMPRESSION_TYPE, &source, arena);
    out->recompress = !str_eq(type, STR("producer"));
    out->codec = CODEC_NONE; /* "uncompressed" */
    ignore(codec_from_name(type, &out->codec), "two words are no codecs");
    out->codec_levels[CODEC_GZIP] = (int)number(storage, topic, TOPIC_COMPRESSION_GZIP_LEVEL, arena);
    out->codec_levels[CODEC_LZ4] = (int)number(storage, topic, TOPIC_COMPRESSION_LZ4_LEVEL, arena);
    out->codec_levels[CODEC_ZSTD] = (int)number(storage, topic, TOPIC_COMPRESSION_ZSTD_LEVEL, arena);
}

struct log_config log_config_of(const struct storage *storage, const struct topic *topic)
{
    struct arena arena = {0};
    struct log_config config = log_config_default();
    replay_lock(storage->topics_replay); /* the broker's settings are part of that state */
    config.durability = storage->config->durability == STORAGE_FSYNC ? LOG_FSYNC : LOG_OS;
    config.open_files = (atomic_int *)&storage->open_files;
    config.producer_expiration_ms = LIVE(storage, producer_expiration_ms);
    config.segment_bytes = (uint32_t)number(storage, topic, TOPIC_SEGMENT_BYTES, &arena);
    config.segment_ms = number(storage, topic, TOPIC_SEGMENT_MS, &arena);
    config.segment_jitter_ms = number(storage, topic, TOPIC_SEGMENT_JITTER_MS, &arena);
    config.index_interval_bytes = (uint32_t)number(storage, topic, TOPIC_INDEX_INTERVAL_BYTES, &arena);
    config.index_bytes_max = (uint32_t)number(storage, topic, TOPIC_SEGMENT_INDEX_BYTES, &arena);
    config.delete_delay_ms = number(storage, topic, TOPIC_FILE_DELETE_DELAY_MS, &arena);
    config.message_bytes_max = (uint32_t)number(storage, topic, TOPIC_MAX_MESSAGE_BYTES, &arena);
    config.retention_ms = number(storage, topic, TOPIC_RETENTION_MS, &arena);
    config.retention_bytes = number(storage, topic, TOPIC_RETENTION_BYTES, &arena);
    config.retention_on = has_word(storage, topic, TOPIC_CLEANUP_POLICY, STR("delete"), &arena);
    config.key_required = has_word(storage, topic, TOPIC_CLEANUP_POLICY, STR("compact"), &arena);
    config.compaction_on = config.key_required;
    config.delete_retention_ms = number(storage, topic, TOPIC_DELETE_RETENTION_MS, &arena);
    config.compaction_lag_min_ms = number(storage, topic, TOPIC_MIN_COMPACTION_LAG_MS, &arena);
    config.compaction_lag_max_ms = number(storage, topic, TOPIC_MAX_COMPACTION_LAG_MS, &arena);
    config.cleanable_ratio_min = ratio(storage, topic, TOPIC_MIN_CLEANABLE_RATIO, &arena);
    config.append_time = has_word(storage, topic, TOPIC_TIMESTAMP_TYPE, STR("LogAppendTime"), &arena);
    config.timestamp_before_max_ms = number(storage, topic, TOPIC_TIMESTAMP_BEFORE_MAX_MS, &arena);
    config.timestamp_after_max_ms = number(storage, topic, TOPIC_TIMESTAMP_AFTER_MAX_MS, &arena);
    config.flush_messages = number(storage, topic, TOPIC_FLUSH_MESSAGES, &arena);
    config.flush_ms = number(storage, topic, TOPIC_FLUSH_MS, &arena);
    set_codec(storage, topic, &config, &arena);
    replay_unlock(storage->topics_replay);
    arena_fini(&arena);
    if (is_internal_topic(topic->name)) { /* the state decides what goes, by rewriting */
        config.retention_on = config.compaction_on = false;
        config.message_bytes_max = INT32_MAX;
        config.delete_delay_ms = 0;
    }
    return config;
}

/* --- changes --- */

bool storage_topic_alter(struct storage *storage, struct topic_alter *req, struct err *err)
{
    if (is_internal_topic(req->name))
        return err_set(err, ERR_INVALID_REQUEST, "'%.*s' is internal: its configs are the broker's own",
                       STR_ARG(req->name));
    req->now_ms = io_now_ms(storage->io);
    pthread_mutex_lock(&storage->admin_lock);
    bool good = replay_run_durable(storage->topics_replay, topics_decide_alter, req, err);
    if (good && !req->check_only)
        topics_configure(storage, req->name);
    pthread_mutex_unlock(&storage->admin_lock);
    if (good && !req->check_only)
        log_info("broker", "topic_altered", "topic=%.*s", STR_ARG(req->name));
    return good;
}

bool storage_resource_alter(struct storage *storage, struct resource_alter *req, void (*take)(void *arg),
                            void *arg, struct err *err)
{
    ASSERT(req->type != RESOURCE_TOPIC);
    req->now_ms = io_now_ms(storage->io);
    pthread_mutex_lock(&storage->admin_lock);
    bool good = replay_run_durable(storage->topics_replay, resources_decide_alter, req, err);
    if (good && !req->check_only && take != NULL)
        take(arg);
    pthread_mutex_unlock(&storage->admin_lock);
    if (good && !req->check_only)
        log_info("broker", "settings_changed", "type=%d name=%.*s", (int)req->type, STR_ARG(req->name));
    return good;
}
