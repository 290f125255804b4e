/* topics.c - topics at work: the replayed state of `topic` plus open partitions.
 *
 *   create:  admin_lock | record durable in __cluster_metadata | logs opened | entry visible | hooks told
 *   delete:  admin_lock | record durable | entry gone, partitions marked | directories go with the last reference
 *   start:          replay, then open what is there; directories of topics that are not there any more are removed
 *
 * (C1) The record decides: a crash between record and logs is made good by the next start (missing logs are made, logs of
 *      deleted topics removed).
 * (C2) Names in __cluster_metadata's log directory are taken again only when the old directories are gone, durably: a create
 *      waits for the last reference to partitions of a deleted namesake. A directory that could not be removed then is a
 *      stray; the next create or growth removes all strays before it decides, or fails.
 * (C3) An entry is immutable except for growth, which adds to `parts` under the write lock.
 * (C4) A change whose record could not be made durable (a failed sync) may be in the state all the same. The next change of
 *      that topic first makes the state durable, or fails, and lets the entry follow it: nobody is refused on the ground of
 *      state that a crash could take back.
 */
#include "storage/storage_int.h"

#include <errno.h>
#include <time.h>

enum { NAMESAKE_WAIT_S = 10 };

bool is_internal_topic(struct str name)
{
    return str_eq(name, STR(OFFSETS_TOPIC)) || str_eq(name, STR(TXN_TOPIC)) ||
           str_eq(name, STR(SHARE_TOPIC)) || is_hidden_topic(name);
}

bool is_hidden_topic(struct str name)
{
    return str_eq(name, STR(METADATA_TOPIC)) || str_eq(name, STR(SECURITY_TOPIC));
}

static struct str id_key(const struct uuid *id)
{
    return str_of((const char *)id->bytes, sizeof id->bytes);
}

void storage_entries_lock(struct storage *storage)
{
    pthread_rwlock_rdlock(&storage->topics_lock);
}

void storage_entries_unlock(struct storage *storage)
{
    pthread_rwlock_unlock(&storage->topics_lock);
}

size_t storage_entry_count(struct storage *storage)
{
    return storage->entries.len;
}

struct topic_entry *storage_entry_next(struct storage *storage, size_t *at)
{
    void *entry;
    return map_next(&storage->entries, at, NULL, &entry) ? entry : NULL;
}

struct topic_entry *storage_entry(struct storage *storage, struct str name)
{
    return map_get(&storage->entries, name);
}

struct topic_entry *storage_entry_by_id(struct storage *storage, struct uuid id)
{
    return map_get(&storage->entries_by_id, id_key(&id));
}

struct partition *storage_partition(struct storage *storage, struct str topic, int32_t id)
{
    struct partition *part = NULL;
    pthread_rwlock_rdlock(&storage->topics_lock);
    struct topic_entry *entry = storage_entry(storage, topic);
    if (entry != NULL && id >= 0 && id < entry->partition_count)
        part = partition_ref(entry->parts[id]);
    pthread_rwlock_unlock(&storage->topics_lock);
    if (atomic_load_explicit(&storage->open_files, memory_order_relaxed) > storage->config->open_files_max)
        storage_close_files(storage);
    return part;
}

struct partition *storage_partition_by_id(struct storage *storage, struct uuid topic, int32_t id, bool *known)
{
    struct partition *part = NULL;
    pthread_rwlock_rdlock(&storage->topics_lock);
    struct topic_entry *entry = storage_entry_by_id(storage, topic);
    *known = entry != NULL;
    if (entry != NULL && id >= 0 && id < entry->partition_count)
        part = partition_ref(entry->parts[id]);
    pthread_rwlock_unlock(&storage->topics_lock);
    return part;
}

struct str storage_topic_name(struct storage *storage, struct uuid id, struct arena *arena)
{
    pthread_rwlock_rdlock(&storage->topics_lock);
    struct topic_entry *entry = storage_entry_by_id(storage, id);
    struct str name = entry ? str_dup(entry->name, arena) : STR_NULL;
    pthread_rwlock_unlock(&storage->topics_lock);
    return name;
}

struct partition *storage_partition_get(struct storage *storage, struct str topic, int32_t partition,
                                        struct err *err)
{
    struct partition *part = storage_partition(storage, topic, partition);
    if (part == NULL)
        err_set(err, ERR_UNKNOWN_TOPIC, "partition %.*s-%d does not exist", STR_ARG(topic), partition);
    return part;
}

void storage_each_partition(struct storage *storage, void (*fn)(struct partition *part, void *arg), void *arg)
{
    vec(struct partition *) parts = {0};
    void *entry_ptr;
    pthread_rwlock_rdlock(&storage->topics_lock);
    for (size_t i = 0; map_next(&storage->entries, &i, NULL, &entry_ptr);) {
        struct topic_entry *entry = entry_ptr;
        for (int32_t j = 0; j < entry->partition_count; j++)
            vec_push(&parts, partition_ref(entry->parts[j]));
    }
    pthread_rwlock_unlock(&storage->topics_lock);
    for (size_t i = 0; i < parts.len; i++) {
        fn(parts.at[i], arg);
        partition_unref(parts.at[i]);
    }
    vec_fini(&parts);
}

/* --- entries --- */

static void make_meters(struct storage *storage, struct topic_entry *entry)
{
    char name[256];
    snprintf(name, sizeof name, "%.*s", STR_ARG(entry->name));
    entry->meters = (struct topic_meters){
        metric_counter(storage->metrics, "rialto_topic_appended_bytes_total", LABELS({"topic", name})),
        metric_counter(storage->metrics, "rialto_topic_appended_records_total", LABELS({"topic", name})),
        metric_counter(storage->metrics, "rialto_topic_fetched_bytes_total", LABELS({"topic", name})),
    };
}

static void entry_free(struct topic_entry *entry)
{
    for (int32_t i = 0; i < entry->partition_count; i++)
        partition_unref(entry->parts[i]);
    free(entry->parts);
    free((char *)entry->name.ptr);
    free(entry);
}

/* Opens partitions [from, to) of a topic into parts. On failure those opened are closed again. */
static bool open_partitions(struct storage *storage, const struct topic *topic,
                            const struct topic_meters *meters, int32_t from, int32_t to,
                            struct partition **parts, struct err *err)
{
    struct log_config config = log_config_of(storage, topic);
    /* Decisions are the promise of transactions: they are synced whatever `durability` says of records. */
    bool fsync = storage->config->durability == STORAGE_FSYNC || str_eq(topic->name, STR(TXN_TOPIC));
    for (int32_t i = from; i < to; i++) {
        struct partition_spec spec = {topic->name, &topic->id, i, &config, fsync};
        parts[i] = partition_open(storage, &spec, err);
        if (parts[i] == NULL) {
            err_context(err, "topic '%.*s'", STR_ARG(topic->name));
            while (i-- > from)
                partition_unref(parts[i]);
            return false;
        }
        parts[i]->meters = *meters;
    }
    return true;
}

static struct topic_entry *entry_open(struct storage *storage, const struct topic *topic, struct err *err)
{
    struct topic_entry *entry = mem_new(struct topic_entry);
    entry->name = str_of(mem_dup(topic->name.ptr, topic->name.len), topic->name.len);
    entry->id = topic->id;
    entry->internal = is_internal_topic(topic->name);
    entry->parts = mem_zalloc((size_t)topic->partition_count, sizeof(struct partition *));
    make_meters(storage, entry);
    if (!open_partitions(storage, topic, &entry->meters, 0, topic->partition_count, entry->parts, err)) {
        entry_free(entry);
        return NULL;
    }
    entry->partition_count = topic->partition_count;
    return entry;
}

static void show_entry(struct storage *storage, struct topic_entry *entry)
{
    pthread_rwlock_wrlock(&storage->topics_lock);
    map_put(&storage->entries, entry->name, entry);
    map_put(&storage->entries_by_id, id_key(&entry->id), entry);
    pthread_rwlock_unlock(&storage->topics_lock);
}

/* --- changes --- */

/* C2 */
static bool wait_namesake(struct storage *storage, struct str name, struct err *err)
{
    struct timespec until;
    bool gone;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += NAMESAKE_WAIT_S;
    pthread_mutex_lock(&storage->dead_lock);
    while (!(gone = !map_has(&storage->dead_topics, name)))
        if (pthread_cond_timedwait(&storage->dead_cond, &storage->dead_lock, &until) == ETIMEDOUT)
            break;
    pthread_mutex_unlock(&storage->dead_lock);
    return gone || err_set(err, ERR_TIMED_OUT, "the deleted topic '%.*s' is still being read; try again",
                           STR_ARG(name));
}

struct stray_search {
    struct storage *storage;
    struct arena arena;
    vec(struct str) names;
};

/* Directories of the log folder that no topic has any more. Under the replay lock and dead_lock. */
static void find_stray(void *arg, const char *name)
{
    struct stray_search *search = arg;
    struct str dir = str_from(name);
    ptrdiff_t dash = str_rfind_char(dir, '-');
    int32_t id;
    if (dash <= 0 || !str_to_i32(str_sub(dir, (size_t)dash + 1, dir.len), &id))
        return;
    struct str topic = str_sub(dir, 0, (size_t)dash);
    const struct topic *found = topics_find(search->storage->topics, topic);
    bool dies = map_has(&search->storage->dead_topics, topic); /* by itself, with the last reference */
    if (is_hidden_topic(topic) || dies || (found != NULL && id < found->partition_count))
        return;
    vec_push(&search->names, str_dup(dir, &search->arena));
}

static bool remove_strays(struct storage *storage, struct err *err)
{
    struct stray_search search = {.storage = storage};
    struct arena *arena = &search.arena;
    struct str dir = str_printf(arena, "%.*s/log", STR_ARG(storage->config->data_dir));
    replay_lock(storage->topics_replay);
    pthread_mutex_lock(&storage->dead_lock);
    int rc = io_list(storage->io, dir.ptr, find_stray, &search);
    pthread_mutex_unlock(&storage->dead_lock);
    replay_unlock(storage->topics_replay);
    bool good = rc == 0 || err_set_errno(err, -rc, "cannot list %s", dir.ptr);
    for (size_t i = 0; good && i < search.names.len; i++) {
        struct str path = str_printf(arena, "%s/%.*s", dir.ptr, STR_ARG(search.names.at[i]));
        log_info("broker", "stray_log_removed", "path=%s", path.ptr);
        good = io_remove_tree(storage->io, path.ptr, err);
    }
    good = good && log_names_sync(storage->names, err);
    vec_fini(&search.names);
    arena_fini(&search.arena);
    return good;
}

/* C2. Under admin_lock. */
static bool clear_strays(struct storage *storage, struct err *err)
{
    if (!atomic_exchange(&storage->strays, false))
        return true;
    bool good = remove_strays(storage, err);
    if (!good)
        atomic_store(&storage->strays, true);
    return good;
}

/* The topic's present state, with its own memory: valid after the lock is given back. */
static bool copy_topic(struct storage *storage, struct str name, struct topic *out, struct arena *arena)
{
    replay_lock(storage->topics_replay);
    const struct topic *topic = topics_find(storage->topics, name);
    if (topic != NULL) {
        *out = *topic;
        out->arena = (struct arena){0};
        out->name = str_dup(topic->name, arena);
        for (int i = 0; i < TOPIC_CONFIG_COUNT; i++)
            out->settings[i] = str_dup(topic->settings[i], arena);
    }
    replay_unlock(storage->topics_replay);
    return topic != NULL;
}

/* Logs of a topic whose record is there already. If they cannot be opened the record is taken back. */
static bool open_created(struct storage *storage, struct str name, struct err *err)
{
    struct arena arena = {0};
    struct topic topic;
    bool found = copy_topic(storage, name, &topic, &arena);
    ASSERT(found);
    struct topic_entry *entry = entry_open(storage, &topic, err);
    if (entry != NULL) {
        show_entry(storage, entry);
    } else {
        struct topic_delete back = {.name = name, .now_ms = io_now_ms(storage->io)};
        struct err second;
        if (!replay_run_durable(storage->topics_replay, topics_decide_delete, &back, &second))
            log_warn("broker", "topic_take_back_failed", "topic=%.*s cause=\"%s\"", STR_ARG(name),
                     second.text);
    }
    arena_fini(&arena);
    return entry != NULL;
}

/* Takes the entry out of sight and lets its partitions die. */
static void drop_entry(struct storage *storage, struct str name)
{
    pthread_rwlock_wrlock(&storage->topics_lock);
    struct topic_entry *entry = map_remove(&storage->entries, name);
    if (entry != NULL)
        map_remove(&storage->entries_by_id, id_key(&entry->id));
    pthread_rwlock_unlock(&storage->topics_lock);
    if (entry == NULL)
        return;
    pthread_mutex_lock(&storage->dead_lock);
    map_put(&storage->dead_topics, entry->name, (void *)(uintptr_t)entry->partition_count);
    pthread_mutex_unlock(&storage->dead_lock);
    for (int32_t i = 0; i < entry->partition_count; i++)
        partition_mark_deleted(entry->parts[i]);
    entry_free(entry);
}

/* Opens the added partitions and shows them. */
static bool open_grown(struct storage *storage, struct str name, struct err *err)
{
    struct arena arena = {0};
    struct topic topic;
    bool found = copy_topic(storage, name, &topic, &arena);
    ASSERT(found);
    struct topic_entry *entry =
        storage_entry(storage, name); /* admin_lock is held: nobody else changes entries */
    int32_t before = entry->partition_count, after = topic.partition_count;
    struct partition **parts = mem_zalloc((size_t)after, sizeof *parts);
    memcpy(parts, entry->parts, (size_t)before * sizeof *parts);
    bool good = open_partitions(storage, &topic, &entry->meters, before, after, parts, err);
    struct partition **unused = parts;
    if (good) {
        pthread_rwlock_wrlock(&storage->topics_lock);
        unused = entry->parts;
        entry->parts = parts;
        entry->partition_count = after;
        pthread_rwlock_unlock(&storage->topics_lock);
    }
    free(unused);
    arena_fini(&arena);
    return good;
}

/* C4. Under admin_lock. */
static bool settle_topic(struct storage *storage, struct str name, struct err *err)
{
    struct arena arena = {0};
    struct topic topic;
    if (!replay_secure(storage->topics_replay, err))
        return false;
    bool good = true, found = copy_topic(storage, name, &topic, &arena);
    const struct topic_entry *entry = storage_entry(storage, name);
    if (found && entry == NULL)
        good = open_created(storage, name, err);
    else if (!found && entry != NULL)
        drop_entry(storage, name);
    else if (found && topic.partition_count > entry->partition_count)
        good = open_grown(storage, name, err);
    arena_fini(&arena);
    return good;
}

bool storage_topic_create_with(struct storage *storage, struct topic_create_args *args, struct err *err)
{
    int64_t now_ms = io_now_ms(storage->io);
    if (is_hidden_topic(args->name))
        return err_set(err, ERR_INVALID_TOPIC, "'%.*s' is the server's own and no topic",
                       STR_ARG(args->name));
    struct topic_create req = {
        .name = args->name,
        .partition_count =
            args->partition_count == -1 ? (int32_t)LIVE(storage, num_partitions) : args->partition_count,
        .settings = args->settings,
        .setting_count = args->setting_count,
        .now_ms = now_ms,
        .check_only = args->check_only,
    };
    io_random(storage->io, req.id.bytes, sizeof req.id.bytes);
    req.id.bytes[6] = (uint8_t)((req.id.bytes[6] & 0x0f) | 0x40); /* a random UUID, version 4 */
    req.id.bytes[8] = (uint8_t)((req.id.bytes[8] & 0x3f) | 0x80);
    args->id = req.id;
    pthread_mutex_lock(&storage->admin_lock);
    bool good = wait_namesake(storage, args->name, err) && settle_topic(storage, args->name, err) &&
                wait_namesake(storage, args->name, err) && /* of one that was just settled as deleted */
                clear_strays(storage, err) &&
                replay_run_durable(storage->topics_replay, topics_decide_create, &req, err);
    if (good && !args->check_only)
        good = open_created(storage, args->name, err);
    pthread_mutex_unlock(&storage->admin_lock);
    if (good && !args->check_only) {
        log_info("broker", "topic_created", "topic=%.*s partitions=%d", STR_ARG(args->name),
                 req.partition_count);
        storage->hooks.topics_changed(storage->hooks.arg);
    }
    return good;
}

bool storage_topic_delete(struct storage *storage, struct str name, struct err *err)
{
    struct topic_delete req = {.name = name, .now_ms = io_now_ms(storage->io)};
    if (is_internal_topic(name))
        return err_set(err, ERR_INVALID_TOPIC, "'%.*s' is internal and cannot be deleted", STR_ARG(name));
    pthread_mutex_lock(&storage->admin_lock);
    bool good = settle_topic(storage, name, err) &&
                replay_run_durable(storage->topics_replay, topics_decide_delete, &req, err);
    if (good)
        drop_entry(storage, name);
    pthread_mutex_unlock(&storage->admin_lock);
    if (good) {
        log_info("broker", "topic_deleted", "topic=%.*s", STR_ARG(name));
        storage->hooks.topic_deleted(storage->hooks.arg, name);
        storage->hooks.topics_changed(storage->hooks.arg);
    }
    return good;
}

bool storage_topic_grow(struct storage *storage, struct str name, int32_t partition_count, bool check_only,
                        struct err *err)
{
    struct topic_grow req = {.name = name,
                             .partition_count = partition_count,
                             .now_ms = io_now_ms(storage->io),
                             .check_only = check_only};
    if (is_internal_topic(name))
        return err_set(err, ERR_INVALID_TOPIC, "'%.*s' is internal and has one partition", STR_ARG(name));
    pthread_mutex_lock(&storage->admin_lock);
    bool good = settle_topic(storage, name, err) && clear_strays(storage, err) &&
                replay_run_durable(storage->topics_replay, topics_decide_grow, &req, err) &&
                (check_only || open_grown(storage, name, err));
    pthread_mutex_unlock(&storage->admin_lock);
    if (good && !check_only)
        storage->hooks.topics_changed(storage->hooks.arg);
    return good;
}

/* --- start and stop --- */

/* The topics that the broker's own states live in. */
static bool make_internal(struct storage *storage, struct str name, struct err *err)
{
    static const struct topic_setting settings[] = {{STR_INIT("cleanup.policy"), STR_INIT("compact")}};
    struct topic_create_args args = {.name = name,
                                     .partition_count = 1,
                                     .settings = settings,
                                     .setting_count = COUNT_OF(settings)};
    return topics_find(storage->topics, name) != NULL || storage_topic_create_with(storage, &args, err);
}

static void count_unsettled(struct partition *part, void *arg)
{
    *(size_t *)arg += log_is_unsettled(part->log);
}

static void settle_one(struct partition *part, void *arg)
{
    bool synced = *(bool *)arg;
    if (log_is_unsettled(part->log))
        ignore(log_settle(part->log, synced, NULL), "it says so, is offline, and the others serve");
}

/* After a crash many logs have records that may be in the page cache only: one sync of the file system settles all. Where
 * that fails each log syncs itself, and the one with the bad disk says so. */
static void settle_all(struct storage *storage)
{
    struct arena arena = {0};
    size_t count = 0;
    storage_each_partition(storage, count_unsettled, &count);
    struct str dir = str_printf(&arena, "%.*s/log", STR_ARG(storage->config->data_dir));
    bool synced = count > 1 && io_sync_all(storage->io, dir.ptr) == 0;
    arena_fini(&arena);
    if (count != 0)
        storage_each_partition(storage, settle_one, &synced);
}

static bool open_all(struct storage *storage, struct err *err)
{
    size_t pos = 0;
    storage->settle_later = true;
    for (const struct topic *topic; (topic = topics_next(storage->topics, &pos)) != NULL;) {
        struct topic_entry *entry = entry_open(storage, topic, err);
        if (entry == NULL)
            return false;
        show_entry(storage, entry);
    }
    storage->settle_later = false;
    if (!sync_redo(storage, err))
        return false;
    settle_all(storage);
    sync_start(storage);
    return true;
}

bool topics_open(struct storage *storage, struct err *err)
{
    struct arena arena = {0};
    struct str dir = str_printf(&arena, "%.*s/log", STR_ARG(storage->config->data_dir));
    storage->names = log_names_new(dir.ptr, storage->io);
    bool good = io_make_dirs(storage->io, dir.ptr, err) && log_purge(dir.ptr, storage->io, err) &&
                state_log_open(&storage->topics_log, storage, STR(METADATA_TOPIC), err);
    storage->topics = topics_new();
    atomic_store(&storage->strays, true); /* a crash may have left some */
    good = good && replay_open(&storage->topics_replay, &state_log_ops, &storage->topics_log, &topics_class,
                               storage->topics, err);
    good = good && clear_strays(storage, err) && sync_open(storage, err) && open_all(storage, err) &&
           make_internal(storage, STR(OFFSETS_TOPIC), err) && make_internal(storage, STR(TXN_TOPIC), err) &&
           make_internal(storage, STR(SHARE_TOPIC), err);
    arena_fini(&arena);
    return good;
}

void topics_close(struct storage *storage)
{
    void *entry;
    for (size_t i = 0; map_next(&storage->entries, &i, NULL, &entry);)
        entry_free(entry);
    map_fini(&storage->entries);
    map_fini(&storage->entries_by_id);
    replay_close(storage->topics_replay);
    topics_free(storage->topics);
    state_log_close(&storage->topics_log);
    log_names_free(storage->names);
}

static void configure_one(struct storage *storage, struct str name)
{
    struct arena arena = {0};
    struct topic topic;
    if (copy_topic(storage, name, &topic, &arena)) {
        struct log_config config = log_config_of(storage, &topic);
        for (int32_t i = 0; i < topic.partition_count; i++) {
            struct partition *part = storage_partition(storage, name, i);
            if (part != NULL)
                partition_configure(part, &config);
            partition_unref(part);
        }
    }
    arena_fini(&arena);
}

void topics_configure(struct storage *storage, struct str name)
{
    struct arena arena = {0};
    size_t count = 0;
    struct storage_topic *list = str_is_null(name) ? storage_topic_list(storage, &count, &arena) : NULL;
    for (size_t i = 0; i < count; i++)
        configure_one(storage, list[i].name);
    if (!str_is_null(name))
        configure_one(storage, name);
    arena_fini(&arena);
}

/* --- topics as values --- */

bool storage_topic_create(struct storage *storage, struct str name, int32_t partition_count,
                          const struct storage_topic_config *configs, size_t config_count, struct err *err)
{
    struct topic_setting settings[TOPIC_CONFIG_COUNT];
    if (config_count > TOPIC_CONFIG_COUNT)
        return err_set(err, ERR_INVALID_CONFIG, "a topic has at most %d configs", TOPIC_CONFIG_COUNT);
    for (size_t i = 0; i < config_count; i++)
        settings[i] = (struct topic_setting){configs[i].name, configs[i].value};
    struct topic_create_args args = {.name = name,
                                     .partition_count = partition_count,
                                     .settings = settings,
                                     .setting_count = config_count};
    return storage_topic_create_with(storage, &args, err);
}

static void fill_topic(const struct topic *topic, struct storage_topic *out, struct arena *arena)
{
    *out = (struct storage_topic){
        .name = str_dup(topic->name, arena),
        .partition_count = topic->partition_count,
        .internal = is_internal_topic(topic->name),
        .configs = arena_array(arena, struct storage_topic_config, TOPIC_CONFIG_COUNT),
    };
    memcpy(out->id, topic->id.bytes, sizeof out->id);
    for (int i = 0; i < TOPIC_CONFIG_COUNT; i++)
        if (!str_is_null(topic->settings[i]))
            out->configs[out->config_count++] =
                (struct storage_topic_config){str_from(topic_config_defs[i].name),
                                              str_dup(topic->settings[i], arena)};
}

bool storage_topic_describe(struct storage *storage, struct str name, struct storage_topic *out,
                            struct arena *arena, struct err *err)
{
    replay_lock(storage->topics_replay);
    const struct topic *topic = topics_find(storage->topics, name);
    if (topic != NULL)
        fill_topic(topic, out, arena);
    replay_unlock(storage->topics_replay);
    return topic != NULL || err_set(err, ERR_UNKNOWN_TOPIC, "topic '%.*s' does not exist", STR_ARG(name));
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct storage_topic *)a)->name, ((const struct storage_topic *)b)->name);
}

struct storage_topic *storage_topic_list(struct storage *storage, size_t *count, struct arena *arena)
{
    vec(struct storage_topic) list = {0};
    size_t pos = 0;
    replay_lock(storage->topics_replay);
    for (const struct topic *topic; (topic = topics_next(storage->topics, &pos)) != NULL;)
        fill_topic(topic, vec_push_zero(&list), arena);
    replay_unlock(storage->topics_replay);
    struct storage_topic *out = arena_dup(arena, list.at, list.len * sizeof *list.at);
    *count = list.len;
    vec_fini(&list);
    qsort(out, *count, sizeof *out, by_name);
    return out;
}

struct str storage_topic_config_get(struct storage *storage, struct str topic, struct str config,
                                    struct arena *arena)
{
    struct str value = STR_NULL;
    int8_t source;
    int id = topic_config_find(config);
    replay_lock(storage->topics_replay);
    const struct topic *found = topics_find(storage->topics, topic);
    if (found != NULL && id >= 0)
        value = topic_config_value(storage, found, id, &source, arena);
    replay_unlock(storage->topics_replay);
    return value;
}
