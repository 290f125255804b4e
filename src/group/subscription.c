/* subscription.c - what a consumer group is subscribed to, and when that moves its epoch.
 *
 *   names and pattern of a member --patterns matched against all topics--> names --looked up--> topics with id and size
 *   all members' topics --hash--> differs from the stored one: a topic came, went or grew
 *
 * (Z1) Topics are looked at when a subscription changes, and after any topic or access rule changed
 *      (groups->topics_version): a heartbeat of a quiet group costs one comparison.
 * (Z2) A pattern is matched once for all its members; the result is stored, so that a restart assigns as before.
 * (Z3) The group epoch moves when a member came, or its names or pattern changed, or the hash did.
 */
#include "group/consumer_int.h"
#include "group/regex.h"

static const struct group_topics *topics_of(const struct consumer_turn *turn)
{
    return turn->groups->options.topics;
}

void consumer_turn_init(struct consumer_turn *turn, struct groups *groups, struct str name,
                        const struct consumer_group *consumer, const struct group_call *call,
                        struct replay_records *out)
{
    struct consumer_group *empty = arena_new(call->arena, struct consumer_group);
    list_init(&empty->members);
    empty->epoch = empty->target_epoch = EPOCH_FIRST;
    *turn = (struct consumer_turn){
        .groups = groups,
        .name = name,
        .consumer = consumer != NULL ? consumer : empty,
        .call = call,
        .now_ms = call->now_ms,
        .arena = call->arena,
        .out = out,
    };
    turn->records = records_of(turn->consumer);
    turn->epoch = turn->consumer->epoch;
    turn->target_epoch = turn->consumer->target_epoch;
}

void consumer_turn_fini(struct consumer_turn *turn)
{
    map_fini(&turn->resolved);
    map_fini(&turn->topics);
}

/* --- patterns --- */

struct matching {
    struct regex *regex;
    struct arena *arena;
    vec(struct str) names;
};

static void match_topic(void *arg, const struct group_topic *topic)
{
    struct matching *matching = arg;
    if (regex_matches(matching->regex, topic->name))
        vec_push(&matching->names, str_dup(topic->name, matching->arena));
}

/* Keeps the names that the caller may see; asked when the topics are not locked any more. */
static void drop_hidden(const struct group_call *call, struct matching *matching)
{
    size_t kept = 0;
    for (size_t i = 0; i < matching->names.len; i++)
        if (call->topic_visible == NULL || call->topic_visible(call->visible_arg, matching->names.at[i]))
            matching->names.at[kept++] = matching->names.at[i];
    matching->names.len = kept;
}

/* Matches a pattern against all topics that the caller may see; the result lives in the arena. NULL: not valid. */
static struct consumer_regex *resolve(struct consumer_turn *turn, struct str pattern)
{
    struct matching matching = {.regex = regex_new(pattern, NULL), .arena = turn->arena};
    if (matching.regex == NULL)
        return NULL;
    topics_of(turn)->each(topics_of(turn)->arg, match_topic, &matching);
    drop_hidden(turn->call, &matching);
    struct name_list *list = name_list_new(matching.names.at, matching.names.len);
    struct consumer_regex *resolved = arena_new(turn->arena, struct consumer_regex);
    size_t bytes = sizeof *list + matching.names.len * sizeof list->at[0];
    resolved->topics = arena_dup(turn->arena, list, bytes);
    for (size_t i = 0; i < list->len; i++)
        resolved->topics->at[i] = str_dup(list->at[i], turn->arena);
    resolved->version = (int64_t)turn->groups->topics_version;
    resolved->resolved_ms = turn->now_ms;
    map_put(&turn->resolved, pattern, resolved);
    free(list);
    vec_fini(&matching.names);
    regex_free(matching.regex);
    return resolved;
}

static const struct consumer_regex *resolved_of(const struct consumer_turn *turn, struct str pattern)
{
    const struct consumer_regex *regex = map_get(&turn->resolved, pattern);
    return regex != NULL ? regex : map_get(&turn->consumer->regexes, pattern);
}

/* A pattern that was valid stays valid; one that an old record brought and we refuse keeps what it had matched. */
static void resolve_again(struct consumer_turn *turn)
{
    struct str pattern;
    void *entry;
    for (size_t i = 0; map_next(&turn->consumer->regexes, &i, &pattern, &entry);) {
        const struct consumer_regex *old = entry, *now = map_get(&turn->resolved, pattern);
        if (now == NULL && consumer_regex_users(turn->consumer, pattern) != 0 &&
            (now = resolve(turn, pattern)) != NULL && !name_list_eq(now->topics, old->topics))
            record_regex(turn->name, pattern, now, turn->now_ms, turn->out);
    }
}

/* --- topics --- */

const struct subscribed_topic *consumer_topic(struct consumer_turn *turn, struct str name)
{
    struct subscribed_topic *topic = map_get(&turn->topics, name);
    if (topic != NULL)
        return topic;
    struct group_topic found;
    topic = arena_new(turn->arena, struct subscribed_topic);
    topic->name = name;
    if (topics_of(turn)->find(topics_of(turn)->arg, name, &found)) {
        topic->id = found.id;
        topic->partition_count = found.partition_count;
    }
    map_put(&turn->topics, name, topic);
    return topic;
}

static int by_id(const void *a, const void *b)
{
    const struct subscribed_topic *x = *(const struct subscribed_topic *const *)a,
                                  *y = *(const struct subscribed_topic *const *)b;
    return memcmp(x->id.bytes, y->id.bytes, sizeof x->id.bytes);
}

static void add_topics(struct consumer_turn *turn, const struct name_list *names, struct topic_list *list)
{
    for (size_t i = 0; i < names->len; i++) {
        const struct subscribed_topic *topic = consumer_topic(turn, names->at[i]);
        if (topic->partition_count != 0)
            list->at[list->len++] = topic;
    }
}

struct topic_list consumer_topics_of(struct consumer_turn *turn, const struct consumer_member *member)
{
    const struct consumer_regex *regex = str_is_set(member->regex) ? resolved_of(turn, member->regex) : NULL;
    size_t count = member->topics->len + (regex != NULL ? regex->topics->len : 0), kept = 0;
    struct topic_list list = {arena_array(turn->arena, const struct subscribed_topic *, count), 0};
    add_topics(turn, member->topics, &list);
    if (regex != NULL)
        add_topics(turn, regex->topics, &list);
    if (list.len > 1)
        qsort(list.at, list.len, sizeof list.at[0], by_id);
    for (size_t i = 0; i < list.len; i++)
        if (kept == 0 || list.at[kept - 1] != list.at[i])
            list.at[kept++] = list.at[i];
    list.len = kept;
    return list;
}

bool topic_list_has(const struct topic_list *list, struct uuid id)
{
    struct subscribed_topic wanted = {.id = id};
    const struct subscribed_topic *key = &wanted;
    return list->len != 0 && bsearch(&key, list->at, list->len, sizeof key, by_id) != NULL;
}

uint64_t consumer_topic_hash(struct consumer_turn *turn, struct str name, struct map *seen)
{
    const struct subscribed_topic *topic = consumer_topic(turn, name);
    if (topic->partition_count == 0 || map_has(seen, topic->name))
        return 0;
    struct buf bytes = {0};
    buf_append(&bytes, &topic->id, sizeof topic->id);
    buf_append(&bytes, &topic->partition_count, sizeof topic->partition_count);
    buf_append_str(&bytes, topic->name);
    uint64_t hash = hash_str(buf_str(&bytes));
    map_put(seen, topic->name, turn);
    buf_fini(&bytes);
    return hash;
}

/* Adds the hashes of topics that are not in the sum yet: the order of members and topics does not count. Zero: no topic. */
static void hash_topics(struct consumer_turn *turn, const struct name_list *names, struct map *seen,
                        uint64_t *sum)
{
    for (size_t i = 0; i < names->len; i++)
        *sum += consumer_topic_hash(turn, names->at[i], seen);
}

static void hash_member(struct consumer_turn *turn, const struct consumer_member *member, struct map *seen,
                        uint64_t *sum)
{
    const struct consumer_regex *regex = str_is_set(member->regex) ? resolved_of(turn, member->regex) : NULL;
    if (member->topics != NULL)
        hash_topics(turn, member->topics, seen, sum);
    if (regex != NULL)
        hash_topics(turn, regex->topics, seen, sum);
}

/* The hash is only ever compared with one that the same program made or, after an upgrade, would make anew: a function
 * that changes costs one rebalance. */
int64_t consumer_metadata_hash(struct consumer_turn *turn, struct consumer_member *const *gone,
                               size_t gone_count)
{
    struct map seen = {0};
    uint64_t sum = 0;
    const struct name_list *last = NULL;
    list_each (struct consumer_member, member, &turn->consumer->members, link) {
        bool left = member == turn->live || member == turn->replaced;
        for (size_t i = 0; i < gone_count && !left; i++)
            left = gone[i] == member;
        if (left || (last != NULL && !str_is_set(member->regex) && name_list_eq(last, member->topics)))
            continue; /* members mostly subscribe to the same */
        hash_member(turn, member, &seen, &sum);
        last = member->topics;
    }
    if (turn->member.topics != NULL)
        hash_member(turn, &turn->member, &seen, &sum);
    map_fini(&seen);
    return (int64_t)sum;
}

/* --- the step --- */

static bool same_protocols(const struct protocols *a, const struct protocols *b)
{
    if (a == NULL || b == NULL || a->count != b->count)
        return a == b;
    for (size_t i = 0; i < a->count; i++)
        if (!str_eq(a->at[i].name, b->at[i].name) || !str_eq(a->at[i].metadata, b->at[i].metadata))
            return false;
    return true;
}

static bool same_member(const struct consumer_member *a, const struct consumer_member *b)
{
    return name_list_eq(a->topics, b->topics) && str_is_same(a->regex, b->regex) &&
           str_is_same(a->assignor, b->assignor) && str_is_same(a->instance_id, b->instance_id) &&
           str_is_same(a->rack_id, b->rack_id) && str_eq(a->client_id, b->client_id) &&
           str_eq(a->client_host, b->client_host) && a->rebalance_timeout_ms == b->rebalance_timeout_ms &&
           same_protocols(a->classic, b->classic) && a->classic_session_ms == b->classic_session_ms;
}

/* The pattern that the member had, when nobody else has it. */
static void drop_old_regex(struct consumer_turn *turn, struct str old)
{
    if (str_is_set(old) && consumer_regex_users(turn->consumer, old) <= 1)
        record_regex_gone(turn->name, old, turn->now_ms, turn->out);
}

/* A pattern that is new to the group and matches nothing changes nothing: the epoch stays, as with Apache Kafka, which has not
 * looked for its topics yet. */
static void step_regex(struct consumer_turn *turn)
{
    struct str old = turn->before != NULL ? turn->before->regex : STR_NULL, now = turn->member.regex;
    if (str_is_set(old) == str_is_set(now) && str_eq(old, now))
        return;
    const struct consumer_regex *before = str_is_set(old) ? resolved_of(turn, old) : NULL;
    bool is_empty = false;
    if (str_is_set(now) && resolved_of(turn, now) == NULL) {
        const struct consumer_regex *resolved = resolve(turn, now);
        ASSERT(resolved != NULL); /* the request was refused otherwise */
        record_regex(turn->name, now, resolved, turn->now_ms, turn->out);
        is_empty = resolved->topics->len == 0 && (before == NULL || before->topics->len == 0);
    }
    drop_old_regex(turn, old);
    turn->subscription_changed |= !is_empty;
}

void consumer_step_subscription(struct consumer_turn *turn)
{
    bool topics_moved = turn->consumer->topics_seen != turn->groups->topics_version;
    turn->subscription_changed = turn->before == NULL
                                     ? turn->member.topics->len != 0
                                     : !name_list_eq(turn->before->topics, turn->member.topics);
    step_regex(turn);
    if (turn->before == NULL || !same_member(turn->before, &turn->member))
        turn->records->member(turn->name, &turn->member, turn->now_ms, turn->out);
    if (topics_moved)
        resolve_again(turn);
    if (!turn->subscription_changed && !topics_moved)
        return; /* Z1 */
    int64_t hash = consumer_metadata_hash(turn, NULL, 0);
    if (turn->subscription_changed || hash != turn->consumer->metadata_hash) {
        turn->epoch++;
        turn->records->epoch(turn->name, turn->epoch, hash, turn->now_ms, turn->out);
    }
}

/* --- Kafka's consumer protocol --- */

struct ConsumerProtocolSubscription *consumer_protocol_read(struct str metadata, struct arena *arena)
{
    enum { VERSION_MAX = 3 };
    struct ConsumerProtocolSubscription *out = wire_new(&WIRE_ConsumerProtocolSubscription, 1, arena);
    if (metadata.len < 2)
        return NULL;
    int16_t version = (int16_t)load_be16(metadata.ptr); /* newer ones only add to the end */
    if (version < 0 || !wire_decode(&ConsumerProtocolSubscription_message, MIN(version, VERSION_MAX),
                                    str_sub(metadata, 2, metadata.len), out, NULL, arena, NULL))
        return NULL;
    return out;
}
