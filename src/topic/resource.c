/* resource.c - settings: how a change is applied to a value, and the settings of resources that are no topics.
 *
 *   alter { retention.ms SET 5, cleanup.policy APPEND compact }
 *       setting_apply: present value (or the one in force) + operation -> new value, or null: back to the default
 *
 * A resource is written as a whole by every change and deleted with its last setting. What a name means and which values it
 * takes is checked by who asks: the broker's options, group configs and quotas have their own tables.
 */
#include "topic/topic_int.h"

static void resource_free(struct resource *resource)
{
    if (resource == NULL)
        return;
    arena_fini(&resource->arena);
    free(resource);
}

void resources_free(struct topics *topics)
{
    void *resource;
    for (size_t i = 0; map_next(&topics->resources, &i, NULL, &resource);)
        resource_free(resource);
    map_fini(&topics->resources);
}

/* The key of the map: the type's byte, then the name. */
static struct str map_key(enum resource_type type, struct str name, struct buf *buf)
{
    buf_append_char(buf, (char)type);
    buf_append_str(buf, name);
    return buf_str(buf);
}

const struct resource *topics_resource(const struct topics *topics, enum resource_type type, struct str name)
{
    struct buf key = {0};
    const struct resource *resource = map_get(&topics->resources, map_key(type, name, &key));
    buf_fini(&key);
    return resource;
}

const struct resource *topics_next_resource(const struct topics *topics, size_t *pos)
{
    void *resource;
    return map_next(&topics->resources, pos, NULL, &resource) ? resource : NULL;
}

struct str resource_setting(const struct resource *resource, struct str name)
{
    for (size_t i = 0; resource != NULL && i < resource->setting_count; i++)
        if (str_eq(resource->settings[i].name, name))
            return resource->settings[i].value;
    return STR_NULL;
}

/* --- operations on one value --- */

static bool list_has(struct str list, struct str part)
{
    struct str rest = list, one;
    while (str_split(&rest, ',', &one))
        if (str_eq(str_trim(one), part))
            return true;
    return false;
}

/* The parts of `list` that are not in `without`, then those of `more` that are not there yet. */
static struct str join_lists(struct str list, struct str without, struct str more, struct arena *arena)
{
    struct buf out = {0};
    struct str both[] = {list, more};
    for (int i = 0; i < 2; i++) {
        struct str rest = both[i], part;
        while (str_split(&rest, ',', &part)) {
            part = str_trim(part);
            bool skip = part.len == 0 || list_has(i == 0 ? without : buf_str(&out), part);
            if (!skip)
                buf_printf(&out, "%s%.*s", out.len != 0 ? "," : "", STR_ARG(part));
        }
    }
    struct str joined = str_dup(buf_str(&out), arena);
    buf_fini(&out);
    return joined;
}

bool setting_apply(const struct setting_op *op, struct str present, bool is_list, struct str *out,
                   struct arena *arena, struct err *err)
{
    if (op->op == SETTING_DELETE) {
        *out = STR_NULL;
        return true;
    }
    if (str_is_null(op->value))
        return err_set(err, ERR_INVALID_REQUEST, "Null value not supported for : %.*s", STR_ARG(op->name));
    if (op->op == SETTING_SET) {
        *out = str_trim(op->value); /* as Kafka reads it */
        return true;
    }
    if (op->op != SETTING_APPEND && op->op != SETTING_SUBTRACT)
        return err_set(err, ERR_INVALID_REQUEST, "%d is no operation on a config", op->op);
    bool append = op->op == SETTING_APPEND;
    if (!is_list)
        return err_set(err, ERR_INVALID_CONFIG, "Can't %s to key %.*s because its type is not LIST.",
                       append ? "APPEND" : "SUBTRACT", STR_ARG(op->name));
    struct str base = str_is_null(present) ? op->in_force : present;
    *out =
        append ? join_lists(base, STR_NULL, op->value, arena) : join_lists(base, op->value, STR_NULL, arena);
    return true;
}

bool settings_are_distinct(const struct setting_op *ops, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (str_eq(ops[i].name, ops[j].name))
                return err_set(err, ERR_INVALID_REQUEST, "Error due to duplicate config keys: %.*s",
                               STR_ARG(ops[i].name));
    return true;
}

/* --- records --- */

static void add_record(enum resource_type type, struct str name, const struct topic_setting *settings,
                       size_t count, int64_t now_ms, struct replay_records *out)
{
    struct buf key = {0}, bytes = {0};
    struct ResourceValue_ResourceSetting rows[RESOURCE_SETTINGS_MAX];
    struct ResourceValue value = {.Settings = {rows, (int32_t)count}};
    ASSERT_CMP(count, <=, RESOURCE_SETTINGS_MAX);
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct ResourceValue_ResourceSetting){settings[i].name, settings[i].value};
    wire_encode_typed(&ResourceKey_message, 0, &(struct ResourceKey){(int8_t)type, name}, &key);
    wire_encode_typed(&ResourceValue_message, 0, &value, &bytes);
    replay_add(out, buf_str(&key), count == 0 ? STR_NULL : buf_str(&bytes), now_ms);
    buf_fini(&key);
    buf_fini(&bytes);
}

void resources_snapshot(const struct topics *topics, struct replay_records *out)
{
    size_t pos = 0;
    for (const struct resource *res; (res = topics_next_resource(topics, &pos)) != NULL;)
        add_record(res->type, res->name, res->settings, res->setting_count, 0, out);
}

static struct resource *resource_from_value(const struct ResourceKey *key, const struct ResourceValue *value)
{
    struct resource *resource = mem_new(struct resource);
    struct arena *arena = &resource->arena;
    resource->type = (enum resource_type)key->Type;
    resource->name = str_dup(key->Name, arena);
    resource->setting_count = (size_t)value->Settings.len;
    resource->settings = arena_array(arena, struct topic_setting, resource->setting_count);
    for (size_t i = 0; i < resource->setting_count; i++)
        resource->settings[i] = (struct topic_setting){str_dup(value->Settings.at[i].Name, arena),
                                                       str_dup(value->Settings.at[i].Value, arena)};
    return resource;
}

bool resource_apply(struct topics *topics, struct str key_bytes, struct str value_bytes, struct err *err)
{
    struct arena arena = {0};
    struct buf map_buf = {0};
    struct ResourceKey key;
    struct ResourceValue value;
    bool good = wire_decode(&ResourceKey_message, 0, key_bytes, &key, NULL, &arena, err) &&
                (str_is_null(value_bytes) ||
                 wire_decode_value(&ResourceValue_message, value_bytes, &value, &arena, err));
    if (good) {
        struct str at = map_key((enum resource_type)key.Type, key.Name, &map_buf);
        struct resource *before = str_is_null(value_bytes)
                                      ? map_remove(&topics->resources, at)
                                      : map_put(&topics->resources, at, resource_from_value(&key, &value));
        resource_free(before);
    }
    buf_fini(&map_buf);
    arena_fini(&arena);
    return good;
}

/* --- decide --- */

/* The place of a name among the settings; *count when it is not there. */
static size_t setting_place(const struct topic_setting *settings, size_t count, struct str name)
{
    size_t i = 0;
    while (i < count && !str_eq(settings[i].name, name))
        i++;
    return i;
}

/* Applies one operation to the settings in hand. */
static bool change(struct topic_setting *settings, size_t *count, const struct setting_op *op,
                   struct arena *arena, struct err *err)
{
    size_t at = setting_place(settings, *count, op->name);
    struct str value, present = at < *count ? settings[at].value : STR_NULL;
    if (!setting_apply(op, present, op->is_list, &value, arena, err))
        return false;
    if (str_is_null(value)) {
        if (at < *count)
            settings[at] = settings[--*count];
        return true;
    }
    if (at == RESOURCE_SETTINGS_MAX)
        return err_set(err, ERR_INVALID_REQUEST, "a resource has at most %d settings", RESOURCE_SETTINGS_MAX);
    settings[at] = (struct topic_setting){op->name, value};
    *count += at == *count;
    return true;
}

bool resources_decide_alter(void *state, void *request, struct replay_records *out, struct err *err)
{
    const struct resource_alter *req = request;
    const struct topics *topics = state;
    const struct resource *present = topics_resource(topics, req->type, req->name);
    struct topic_setting settings[RESOURCE_SETTINGS_MAX];
    size_t count = 0;
    struct arena arena = {0};
    if (present == NULL && topics->resources.len >= RESOURCES_MAX)
        return err_set(err, ERR_INVALID_REQUEST, "settings are kept for at most %d resources", RESOURCES_MAX);
    bool good = settings_are_distinct(req->ops, req->op_count, err);
    for (size_t i = 0; present != NULL && !req->replace && i < present->setting_count; i++)
        settings[count++] = present->settings[i];
    for (size_t i = 0; good && i < req->op_count; i++)
        good = change(settings, &count, &req->ops[i], &arena, err);
    for (size_t i = 0; good && req->check != NULL && i < count; i++)
        good = req->check(req->check_arg, settings[i].name, settings[i].value, err);
    good = good && (req->agree == NULL || req->agree(req->check_arg, settings, count, err));
    if (good && !req->check_only && (present != NULL || count != 0))
        add_record(req->type, req->name, settings, count, req->now_ms, out);
    arena_fini(&arena);
    return good;
}

bool topics_decide_alter(void *state, void *request, struct replay_records *out, struct err *err)
{
    const struct topic_alter *req = request;
    const struct topic *present = topics_find(state, req->name);
    struct arena arena = {0};
    if (present == NULL)
        return err_set(err, ERR_UNKNOWN_TOPIC, "The topic '%.*s' does not exist.", STR_ARG(req->name));
    struct topic topic = *present;
    bool good = settings_are_distinct(req->ops, req->op_count, err);
    if (req->replace)
        memset(topic.settings, 0, sizeof topic.settings);
    for (size_t i = 0; good && i < req->op_count; i++) {
        const struct setting_op *op = &req->ops[i];
        int config = topic_config_find(op->name);
        if (config < 0 && op->op == SETTING_DELETE) /* it is not set */
            continue;
        if (config < 0) {
            good = err_set(err, ERR_INVALID_CONFIG, "Unknown topic config name: %.*s", STR_ARG(op->name));
            break;
        }
        bool is_list = topic_config_defs[config].type == TOPIC_CONFIG_LIST;
        struct str *value = &topic.settings[config];
        good = setting_apply(op, *value, is_list, value, &arena, err) &&
               (str_is_null(*value) || topic_config_check(config, *value, err));
    }
    good = good && topic_configs_agree(topic.settings, err);
    if (good && !req->check_only)
        topic_add_record(&topic, false, req->now_ms, out);
    arena_fini(&arena);
    return good;
}
