/* kind_record.c - what consumer, share and streams groups all keep, as Kafka's records in __consumer_offsets, and back.
 *
 *   record          key            value                          null value            types: consumer  share  streams
 *   epoch           group          group epoch, what it follows   the group is gone             3       11     17
 *   member          group, member  who it is, what it asks for    the member is gone            5       10     19
 *   target epoch    group          epoch, when it was made        no target                     6       12     20
 *   target          group, member  its target                     no target                     7       13     21
 *   current         group, member  epoch, state, what it has      it has nothing                8       14     22
 *
 * A kind is a table of these (struct kind_records): the messages, and how a value that is its own is written and taken in. Keys,
 * the records of epochs and the ends of all are the same for every kind, and done here.
 *
 * (D1) Any of them may come first: after compaction the order is that of the last change of each key. A record of a member
 *      makes the member when it is not there yet.
 * (D2) In the present life, the record's time starts the timers that it implies: a new member's session, the time within
 *      which partitions have to be given up.
 */
#include "group/streams_int.h"

#define KEY_IS_ALIKE(type, field)                                                                     \
    _Static_assert(offsetof(struct type##Key, GroupId) == offsetof(struct kind_record_key, group) &&  \
                       offsetof(struct type##Key, field) == offsetof(struct kind_record_key, member), \
                   "keys of every kind are laid out alike")
#define EPOCHS_ARE_ALIKE(kind)                                                                              \
    _Static_assert(sizeof(struct kind##GroupTargetAssignmentMetadataValue) == sizeof(target_epoch_value) && \
                       offsetof(struct kind##GroupTargetAssignmentMetadataValue, AssignmentTimestamp) ==    \
                           offsetof(target_epoch_value, AssignmentTimestamp),                               \
                   "target epochs of every kind are laid out alike");                                       \
    KEY_IS_ALIKE(kind##GroupMemberMetadata, MemberId);                                                      \
    KEY_IS_ALIKE(kind##GroupTargetAssignmentMember, MemberId);                                              \
    KEY_IS_ALIKE(kind##GroupCurrentMemberAssignment, MemberId)

typedef struct ConsumerGroupTargetAssignmentMetadataValue target_epoch_value;

EPOCHS_ARE_ALIKE(Consumer);
EPOCHS_ARE_ALIKE(Share);
EPOCHS_ARE_ALIKE(Streams);

/* By kind. */
static const struct kind_records *const kinds[] = {&consumer_records, &share_records, &streams_records};

const struct kind_records *records_of(const struct consumer_group *consumer)
{
    return kinds[consumer->kind];
}

/* --- to records --- */

void kind_record_add(const struct kind_records *records, enum kind_record what, struct str group,
                     struct str member, const void *value, int64_t now_ms, struct replay_records *out)
{
    const struct kind_record_key key = {group, member};
    replay_add_typed(out, records->of[what].key, &key, records->of[what].value, 0, value, now_ms);
}

void record_target_epoch(const struct kind_records *records, struct str group, int32_t epoch, int64_t made_ms,
                         int64_t now_ms, struct replay_records *out)
{
    target_epoch_value value = {.AssignmentEpoch = epoch, .AssignmentTimestamp = made_ms};
    kind_record_add(records, RECORD_TARGET_EPOCH, group, STR_NULL, &value, now_ms, out);
}

void record_member_gone(const struct kind_records *records, struct str group, struct str member,
                        int64_t now_ms, struct replay_records *out)
{
    static const enum kind_record of_member[] = {RECORD_CURRENT, RECORD_TARGET, RECORD_MEMBER};
    for (size_t i = 0; i < COUNT_OF(of_member); i++)
        kind_record_add(records, of_member[i], group, member, NULL, now_ms, out);
}

static const streams_topology *topology_of(const struct consumer_group *consumer)
{
    return consumer->streams == NULL ? NULL : consumer->streams->topology;
}

void record_epoch_of(const struct group *group, int32_t epoch, int64_t hash, int64_t now_ms,
                     struct replay_records *out)
{
    const struct consumer_group *consumer = group->consumer;
    if (consumer->kind == KIND_STREAMS)
        streams_record_epoch(group->name, epoch, hash, consumer->streams->validated_epoch,
                             consumer->streams->standby_count, now_ms, out);
    else
        records_of(consumer)->epoch(group->name, epoch, hash, now_ms, out);
}

void record_consumer(const struct group *group, int64_t now_ms, struct replay_records *out)
{
    const struct consumer_group *consumer = group->consumer;
    const struct kind_records *records = records_of(consumer);
    struct str pattern;
    void *regex;
    if (topology_of(consumer) != NULL)
        streams_record_topology(group->name, topology_of(consumer), now_ms, out);
    list_each (struct consumer_member, member, &consumer->members, link)
        records->member(group->name, member, now_ms, out);
    for (size_t i = 0; map_next(&consumer->regexes, &i, &pattern, &regex);)
        record_regex(group->name, pattern, regex, now_ms, out);
    record_epoch_of(group, consumer->epoch, consumer->metadata_hash, now_ms, out);
    list_each (struct consumer_member, member, &consumer->members, link)
        records->target(group->name, member->id, &member->target, topology_of(consumer), now_ms, out);
    record_target_epoch(records, group->name, consumer->target_epoch, consumer->target_ms, now_ms, out);
    list_each (struct consumer_member, member, &consumer->members, link)
        records->current(group->name, member, topology_of(consumer), now_ms, out);
}

void record_consumer_gone(const struct group *group, int64_t now_ms, struct replay_records *out)
{
    const struct consumer_group *consumer = group->consumer;
    const struct kind_records *records = records_of(consumer);
    struct str pattern;
    list_each (struct consumer_member, member, &consumer->members, link)
        record_member_gone(records, group->name, member->id, now_ms, out);
    for (size_t i = 0; map_next(&consumer->regexes, &i, &pattern, NULL);)
        record_regex_gone(group->name, pattern, now_ms, out);
    kind_record_add(records, RECORD_TARGET_EPOCH, group->name, STR_NULL, NULL, now_ms, out);
    kind_record_add(records, RECORD_EPOCH, group->name, STR_NULL, NULL, now_ms, out);
    if (consumer->kind == KIND_STREAMS)
        streams_record_topology(group->name, NULL, now_ms, out);
}

/* --- from records --- */

bool applying_key(struct applying *a, const struct wire_message *msg, void *key)
{
    return wire_decode(msg, 0, str_sub(a->rec->key, 2, a->rec->key.len), key, NULL, a->arena, a->err);
}

bool applying_value(struct applying *a, const struct wire_message *msg, void *value)
{
    return applying_end(a) || wire_decode_value(msg, a->rec->value, value, a->arena, a->err);
}

struct group *applying_group(struct applying *a, struct str name, enum group_kind kind)
{
    struct group *group = group_find_or_make(a->groups, name);
    if (group->consumer == NULL) {
        group_become_consumer(group);
        group->consumer->kind = kind;
        if (kind == KIND_STREAMS)
            streams_group_init(group);
    }
    if (group->consumer->kind == kind)
        return group;
    err_set(a->err, ERR_CORRUPT, "record of type %u for a group of another kind", load_be16(a->rec->key.ptr));
    return NULL;
}

struct consumer_member *applying_member(struct applying *a, enum group_kind kind)
{
    struct group *group = applying_group(a, a->key.group, kind);
    if (group == NULL)
        return NULL;
    return kind == KIND_STREAMS ? streams_member_of(group, a->key.member)
                                : consumer_member_make(group, a->key.member);
}

bool apply_group_epoch(struct applying *a, enum group_kind kind, int32_t epoch, int64_t hash)
{
    struct group *group = applying_group(a, a->key.group, kind);
    if (group == NULL)
        return false;
    group->consumer->epoch = epoch;
    group->consumer->metadata_hash = hash;
    return true;
}

void apply_member_target(struct consumer_member *member, const struct part_set *target)
{
    part_set_disown(&member->target);
    member->target = part_set_own(target);
}

void apply_member_current(struct applying *a, struct consumer_member *member, int32_t epoch,
                          int32_t previous_epoch, enum consumer_member_state state,
                          const struct part_set *assigned, const struct part_set *revoking)
{
    member->epoch = epoch;
    member->previous_epoch = previous_epoch;
    member->state = state;
    consumer_member_set_parts(member->group->consumer, member, assigned, revoking);
    if (state != MEMBER_UNREVOKED)
        replay_timer_stop(&a->groups->timers, &member->revoke);
    else if (a->groups->loaded) /* D2 */
        replay_timer_start(&a->groups->timers, &member->revoke,
                           a->rec->timestamp_ms + member->rebalance_timeout_ms);
}

void apply_str(struct str *slot, struct str value)
{
    struct str own = str_own(value);
    str_disown(slot);
    *slot = own;
}

static bool apply_target_epoch(struct applying *a, const struct kind_records *records)
{
    target_epoch_value value;
    if (!applying_value(a, records->of[RECORD_TARGET_EPOCH].value, &value))
        return false;
    struct group *group = applying_group(a, a->key.group, records->kind);
    if (group == NULL)
        return false;
    group->consumer->target_epoch = value.AssignmentEpoch;
    group->consumer->target_ms = value.AssignmentTimestamp;
    return true;
}

/* A null value: of what is there, something goes. */
static void apply_end_of_member(struct consumer_member *member, enum kind_record what)
{
    static const struct part_set none = {0};
    struct group *group = member->group;
    if (what == RECORD_TARGET)
        apply_member_target(member, &none);
    else if (what == RECORD_CURRENT)
        consumer_member_set_parts(group->consumer, member, &none, &none);
    else
        consumer_member_remove(group, member);
    if (group->consumer->kind == KIND_STREAMS && group->consumer->member_count == 0)
        str_disown(&group->consumer->streams->shutdown_by);
}

static void apply_end(struct applying *a, const struct kind_records *records, enum kind_record what)
{
    struct group *group = group_find(a->groups, a->key.group);
    if (!group_is(group, records->kind))
        return;
    struct consumer_member *member = consumer_find(group->consumer, a->key.member);
    if (what == RECORD_EPOCH)
        group_end_consumer(group, a->rec->timestamp_ms);
    else if (what == RECORD_TARGET_EPOCH)
        group->consumer->target_epoch = group->consumer->target_ms = 0;
    else if (member != NULL)
        apply_end_of_member(member, what);
}

static bool apply_one(struct applying *a, const struct kind_records *records, enum kind_record what)
{
    if (!applying_key(a, records->of[what].key, &a->key))
        return false;
    if (what == RECORD_TARGET_EPOCH && !applying_end(a))
        return apply_target_epoch(a, records);
    if (!applying_end(a))
        return records->of[what].apply(a);
    apply_end(a, records, what);
    return true;
}

static bool apply_other(struct applying *a, const struct kind_records *records, uint16_t type, bool *known)
{
    for (size_t i = 0; i < COUNT_OF(records->others); i++) {
        *known = records->others[i].type == type && type != 0;
        if (*known)
            return records->others[i].apply == NULL || records->others[i].apply(a);
    }
    return true;
}

bool consumer_apply(struct groups *groups, const struct replay_record *rec, struct arena *arena,
                    struct err *err)
{
    struct applying applying = {.groups = groups, .rec = rec, .arena = arena, .err = err};
    uint16_t type = load_be16(rec->key.ptr);
    for (size_t kind = 0; kind < COUNT_OF(kinds); kind++) {
        for (int what = 0; what < RECORD_COUNT; what++)
            if (kinds[kind]->of[what].type == type)
                return apply_one(&applying, kinds[kind], what);
        bool known = false, good = apply_other(&applying, kinds[kind], type, &known);
        if (known)
            return good;
    }
    return err_set(err, ERR_CORRUPT, "record type %u is not known", type);
}
