/* topic.c - the state of topics: decide and apply (see topic.h).
 *
 * A topic is written as a whole by every change, so applying a record is replacing a topic. Applying allocates a new
 * `struct topic` and frees the old one: pointers from topics_find live until the lock is given back.
 */
#include "topic/topic_int.h"

enum { TOPIC_NAME_MAX = 249 };

struct topics *topics_new(void)
{
    return mem_new(struct topics);
}

static void topic_free(struct topic *topic)
{
    if (topic == NULL)
        return;
    arena_fini(&topic->arena);
    free(topic);
}

void topics_free(struct topics *topics)
{
    if (topics == NULL)
        return;
    void *topic;
    for (size_t i = 0; map_next(&topics->by_name, &i, NULL, &topic);)
        topic_free(topic);
    map_fini(&topics->by_name);
    map_fini(&topics->by_id);
    resources_free(topics);
    free(topics);
}

static struct str id_key(const struct uuid *id)
{
    return str_of((const char *)id->bytes, sizeof id->bytes);
}

const struct topic *topics_find(const struct topics *topics, struct str name)
{
    return map_get(&topics->by_name, name);
}

const struct topic *topics_find_id(const struct topics *topics, struct uuid id)
{
    return map_get(&topics->by_id, id_key(&id));
}

const struct topic *topics_next(const struct topics *topics, size_t *pos)
{
    void *topic;
    return map_next(&topics->by_name, pos, NULL, &topic) ? topic : NULL;
}

bool topic_name_check(struct str name, struct err *err)
{
    if (name.len == 0 || str_eq(name, STR(".")) || str_eq(name, STR("..")))
        return err_set(err, ERR_INVALID_TOPIC, "'%.*s' is not a topic name", STR_ARG(name));
    if (name.len > TOPIC_NAME_MAX)
        return err_set(err, ERR_INVALID_TOPIC, "a topic name has at most %d characters, this one has %zu",
                       TOPIC_NAME_MAX, name.len);
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                    c == '_' || c == '-';
        if (!good)
            return err_set(err, ERR_INVALID_TOPIC,
                           "topic name '%.*s' holds other characters than [A-Za-z0-9._-]", STR_ARG(name));
    }
    return true;
}

/* --- apply --- */

static void remove_topic(struct topics *topics, struct str name)
{
    struct topic *topic = map_remove(&topics->by_name, name);
    if (topic != NULL)
        map_remove(&topics->by_id, id_key(&topic->id));
    topic_free(topic);
}

static struct topic *topic_from_value(struct str name, const struct TopicValue *value)
{
    struct topic *topic = mem_new(struct topic);
    topic->name = str_dup(name, &topic->arena);
    topic->id = value->TopicId;
    topic->partition_count = value->Partitions;
    topic->created_ms = value->CreatedMs;
    for (int32_t i = 0; i < value->Configs.len; i++) {
        int config = topic_config_find(value->Configs.at[i].Name);
        if (config >= 0) /* one that a later version knew is left out */
            topic->settings[config] = str_dup(value->Configs.at[i].Value, &topic->arena);
    }
    return topic;
}

static bool topic_apply(struct topics *topics, struct str key_bytes, const struct replay_record *rec,
                        struct err *err)
{
    struct arena arena = {0};
    struct TopicKey key;
    struct TopicValue value;
    bool good = wire_decode(&TopicKey_message, 0, key_bytes, &key, NULL, &arena, err);
    if (good && !str_is_null(rec->value))
        good = wire_decode_value(&TopicValue_message, rec->value, &value, &arena, err);
    if (good) {
        remove_topic(topics, key.Name);
        if (!str_is_null(rec->value)) {
            struct topic *topic = topic_from_value(key.Name, &value);
            map_put(&topics->by_name, topic->name, topic);
            map_put(&topics->by_id, id_key(&topic->id), topic);
        }
    }
    arena_fini(&arena);
    return good;
}

static bool apply(void *state, const struct replay_record *rec, struct err *err)
{
    uint16_t type;
    struct str key = str_sub(rec->key, 2, rec->key.len);
    if (!replay_type(rec, &type, err))
        return false;
    switch (type) {
    case KEY_TOPIC:
        return topic_apply(state, key, rec, err);
    case KEY_RESOURCE:
        return resource_apply(state, key, rec->value, err);
    default:
        return err_set(err, ERR_CORRUPT, "a record of type %u is neither a topic nor a resource", type);
    }
}

/* --- records --- */

void topic_add_record(const struct topic *topic, bool deleted, int64_t now_ms, struct replay_records *out)
{
    struct buf key = {0}, bytes = {0};
    struct TopicValue value = {.TopicId = topic->id,
                               .Partitions = topic->partition_count,
                               .CreatedMs = topic->created_ms};
    struct TopicValue_TopicConfig configs[TOPIC_CONFIG_COUNT];
    value.Configs.at = configs;
    for (int i = 0; i < TOPIC_CONFIG_COUNT; i++)
        if (!str_is_null(topic->settings[i]))
            configs[value.Configs.len++] =
                (struct TopicValue_TopicConfig){.Name = str_from(topic_config_defs[i].name),
                                                .Value = topic->settings[i]};
    wire_encode_typed(&TopicKey_message, 0, &(struct TopicKey){.Name = topic->name}, &key);
    wire_encode_typed(&TopicValue_message, 0, &value, &bytes);
    replay_add(out, buf_str(&key), deleted ? STR_NULL : buf_str(&bytes), now_ms);
    buf_fini(&key);
    buf_fini(&bytes);
}

static void snapshot(void *state, struct replay_records *out)
{
    size_t pos = 0;
    for (const struct topic *topic; (topic = topics_next(state, &pos)) != NULL;)
        topic_add_record(topic, false, topic->created_ms, out);
    resources_snapshot(state, out);
}

const struct replay_class topics_class = {.name = "topics", .apply = apply, .snapshot = snapshot};

/* --- decide --- */

/* Metric names have '.' and '_' in one place: Kafka refuses two topics that differ only by them. */
static bool collides(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        char x = a.ptr[i] == '.' ? '_' : a.ptr[i], y = b.ptr[i] == '.' ? '_' : b.ptr[i];
        if (x != y)
            return false;
    }
    return true;
}

static bool check_collision(const struct topics *topics, struct str name, struct err *err)
{
    if (str_find_char(name, '.') < 0 && str_find_char(name, '_') < 0)
        return true;
    size_t pos = 0;
    for (const struct topic *topic; (topic = topics_next(topics, &pos)) != NULL;)
        if (collides(topic->name, name))
            return err_set(err, ERR_INVALID_TOPIC, "Topic '%.*s' collides with existing topics: %.*s",
                           STR_ARG(name), STR_ARG(topic->name));
    return true;
}

static bool check_partitions(int32_t count, struct err *err)
{
    if (count > 0 && count <= TOPIC_PARTITIONS_MAX)
        return true;
    return err_set(err, ERR_INVALID_PARTITIONS, "a topic has 1 to %d partitions, not %d",
                   TOPIC_PARTITIONS_MAX, count);
}

static bool take_settings(struct topic *topic, const struct topic_create *req, struct err *err)
{
    for (size_t i = 0; i < req->setting_count; i++) {
        const struct topic_setting *setting = &req->settings[i];
        int config = topic_config_find(setting->name);
        if (config < 0)
            return err_set(err, ERR_INVALID_CONFIG, "Unknown topic config name: %.*s",
                           STR_ARG(setting->name));
        if (str_is_null(setting->value))
            return err_set(err, ERR_INVALID_CONFIG, "Null value not supported for topic configs: %.*s",
                           STR_ARG(setting->name));
        topic->settings[config] = str_trim(setting->value); /* as Kafka reads it */
        if (!topic_config_check(config, topic->settings[config], err))
            return false;
    }
    return topic_configs_agree(topic->settings, err);
}

bool topics_decide_create(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct topics *topics = state;
    const struct topic_create *req = request;
    struct topic topic = {.name = req->name,
                          .id = req->id,
                          .partition_count = req->partition_count,
                          .created_ms = req->now_ms};
    if (!topic_name_check(req->name, err))
        return false;
    if (topics_find(topics, req->name) != NULL)
        return err_set(err, ERR_TOPIC_EXISTS, "Topic '%.*s' already exists.", STR_ARG(req->name));
    if (!check_collision(topics, req->name, err) || !check_partitions(req->partition_count, err) ||
        !take_settings(&topic, req, err))
        return false;
    if (!req->check_only)
        topic_add_record(&topic, false, req->now_ms, out);
    return true;
}

static const struct topic *find_or_fail(const struct topics *topics, struct str name, struct err *err)
{
    const struct topic *topic = topics_find(topics, name);
    if (topic == NULL)
        err_set(err, ERR_UNKNOWN_TOPIC, "topic '%.*s' does not exist", STR_ARG(name));
    return topic;
}

bool topics_decide_delete(void *state, void *request, struct replay_records *out, struct err *err)
{
    const struct topic_delete *req = request;
    const struct topic *topic = find_or_fail(state, req->name, err);
    if (topic == NULL)
        return false;
    topic_add_record(topic, true, req->now_ms, out);
    return true;
}

bool topics_decide_grow(void *state, void *request, struct replay_records *out, struct err *err)
{
    const struct topic_grow *req = request;
    const struct topic *topic = find_or_fail(state, req->name, err);
    if (topic == NULL || !check_partitions(req->partition_count, err))
        return false;
    if (req->partition_count <= topic->partition_count)
        return err_set(err, ERR_INVALID_PARTITIONS,
                       "The topic %.*s currently has %d partition(s); %d would not be an increase.",
                       STR_ARG(req->name), topic->partition_count, req->partition_count);
    struct topic larger = *topic;
    larger.partition_count = req->partition_count;
    if (!req->check_only)
        topic_add_record(&larger, false, req->now_ms, out);
    return true;
}
