/* group_settings.c - configs of groups: kept with the topics, numbers at hand for the groups' state.
 *
 *   __cluster_metadata: resource of a group --coord_group_settings_take--> group_numbers --group_setting_get--> decide
 *                                                              an option that is live --'
 *
 * (N1) Changes are taken one at a time (storage runs them so); readers see all of one or nothing.
 */
#include "coord/coord_int.h"

/* -1: not set. */
struct group_numbers {
    int64_t at[GROUP_SETTINGS];
};

/* Under the lock of the groups' state, which must not wait for that of the topics: hence a copy with a lock of its own. */
static int64_t group_setting_get(void *arg, struct str group, enum group_setting setting)
{
    struct coord *coord = arg;
    int64_t value = -1;
    if (atomic_load_explicit(&coord->any_group_settings, memory_order_acquire)) {
        pthread_mutex_lock(&coord->group_settings_lock);
        const struct group_numbers *numbers = map_get(&coord->group_numbers, group);
        value = numbers == NULL ? -1 : numbers->at[setting];
        pthread_mutex_unlock(&coord->group_settings_lock);
    }
    return value >= 0 ? value : group_config_live(coord->config, setting);
}

static void group_numbers_clear(struct map *map)
{
    void *numbers;
    for (size_t i = 0; map_next(map, &i, NULL, &numbers);)
        free(numbers);
    map_fini(map);
    *map = (struct map){0};
}

/* What a group has as numbers, each within the bounds of now. The caller owns the result. */
static struct group_numbers *numbers_of(const struct coord *coord, const struct resource *res)
{
    struct group_numbers *numbers = mem_new(struct group_numbers);
    for (enum group_setting i = 0; i < GROUP_SETTINGS; i++) {
        const char *name = group_config_defs[i].name;
        int64_t number;
        numbers->at[i] = -1;
        if (!group_config_parse(i, resource_setting(res, str_from(name)), &number))
            continue;
        numbers->at[i] = group_config_clamp(coord->config, i, number);
        if (numbers->at[i] != number)
            log_warn("broker", "group_config_capped", "group=\"%.*s\" config=%s set=%lld bound=%lld",
                     STR_ARG(res->name), name, (long long)number, (long long)numbers->at[i]);
    }
    return numbers;
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
        map_put(&all, res->name, numbers_of(coord, res));
    }
    storage_topics_unlock(coord->storage);
    pthread_mutex_lock(&coord->group_settings_lock);
    before = coord->group_numbers;
    coord->group_numbers = all;
    atomic_store(&coord->any_group_settings, all.len != 0);
    pthread_mutex_unlock(&coord->group_settings_lock);
    group_numbers_clear(&before);
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
