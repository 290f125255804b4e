/* group_settings.c - configs of groups: kept with the topics, numbers at hand for the groups' state.
 *
 *   __cluster_metadata: resource of a group --coord_group_settings_take--> group_numbers --group_setting_get--> decide
 *
 * (N1) Changes are taken one at a time (storage runs them so); readers see all of one or nothing.
 */
#include "coord/coord_int.h"

const struct group_config_def group_config_defs[GROUP_SETTINGS] = {
    [GROUP_SESSION_TIMEOUT_MS] = {"consumer.session.timeout.ms", "group.consumer.session.timeout.ms"},
    [GROUP_HEARTBEAT_INTERVAL_MS] = {"consumer.heartbeat.interval.ms",
                                     "group.consumer.heartbeat.interval.ms"},
};

/* -1: not set. */
struct group_numbers {
    int64_t at[GROUP_SETTINGS];
};

/* Under the lock of the groups' state, which must not wait for that of the topics: hence a copy with a lock of its own. */
static int64_t group_setting_get(void *arg, struct str group, enum group_setting setting)
{
    struct coord *coord = arg;
    if (!atomic_load_explicit(&coord->any_group_settings, memory_order_acquire))
        return -1;
    pthread_mutex_lock(&coord->group_settings_lock);
    const struct group_numbers *numbers = map_get(&coord->group_numbers, group);
    int64_t value = numbers == NULL ? -1 : numbers->at[setting];
    pthread_mutex_unlock(&coord->group_settings_lock);
    return value;
}

static void group_numbers_clear(struct map *map)
{
    void *numbers;
    for (size_t i = 0; map_next(map, &i, NULL, &numbers);)
        free(numbers);
    map_fini(map);
    *map = (struct map){0};
}

void coord_group_settings_take(struct coord *coord)
{
    struct map all = {0}, before;
    size_t pos = 0;
    storage_topics_lock(coord->storage);
    for (const struct resource *res;
         (res = topics_next_resource(storage_topics(coord->storage), &pos)) != NULL;) {
        if (res->type != RESOURCE_GROUP)
            continue;
        struct group_numbers *numbers = mem_new(struct group_numbers);
        for (int i = 0; i < GROUP_SETTINGS; i++)
            if (!str_to_i64(resource_setting(res, str_from(group_config_defs[i].name)), &numbers->at[i]))
                numbers->at[i] = -1;
        map_put(&all, res->name, numbers);
    }
    storage_topics_unlock(coord->storage);
    pthread_mutex_lock(&coord->group_settings_lock);
    before = coord->group_numbers;
    coord->group_numbers = all;
    atomic_store(&coord->any_group_settings, all.len != 0);
    pthread_mutex_unlock(&coord->group_settings_lock);
    group_numbers_clear(&before);
}

bool coord_group_setting_check(void *arg, struct str name, struct str value, struct err *err)
{
    int i = 0;
    int64_t number;
    while (i < GROUP_SETTINGS && !str_eq_cstr(name, group_config_defs[i].name))
        i++;
    if (i == GROUP_SETTINGS)
        return err_set(err, ERR_INVALID_CONFIG, "Unknown group config name: %.*s", STR_ARG(name));
    return (str_to_i64(value, &number) && number >= 1 && number <= INT32_MAX) ||
           err_set(err, ERR_INVALID_CONFIG,
                   "Invalid value %.*s for configuration %s: a number from 1 to %d is wanted", STR_ARG(value),
                   group_config_defs[i].name, INT32_MAX);
}

void group_settings_init(struct coord *coord)
{
    pthread_mutex_init(&coord->group_settings_lock, NULL);
    coord->group_settings = (struct group_settings){coord, group_setting_get};
}

void group_settings_fini(struct coord *coord)
{
    group_numbers_clear(&coord->group_numbers);
    pthread_mutex_destroy(&coord->group_settings_lock);
}
