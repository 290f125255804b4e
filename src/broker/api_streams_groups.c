/* api_streams_groups.c - streams groups (KIP-1071): heartbeats of members, StreamsGroupDescribe.
 *
 *   rights, names of topics -> group_decide_streams_heartbeat -> answer
 *                                  `- internal topics are missing: made on the admin pool, with the rights of who asks; the
 *                                     member is told of them all the same, and finds them there next time
 */
#include "broker/broker_int.h"

enum { NOT_AVAILABLE = 15, UNSUPPORTED_VERSION = 35, TOPIC_EXISTS = 36, INVALID_TOPOLOGY = 130 };

enum { STATUS_MISSING_INTERNAL = 3 };

/* --- the topology --- */

struct looking {
    struct request *req;
    struct buf internal, invalid; /* names that may not be used, with commas between */
    int16_t denied;
};

static void add_name(struct buf *list, struct str name)
{
    buf_printf(list, "%s%.*s", list->len == 0 ? "" : ",", STR_ARG(name));
}

static void look_at(struct looking *looking, struct str name)
{
    if (is_internal_topic(name))
        add_name(&looking->internal, name);
    else if (!topic_name_check(name, NULL))
        add_name(&looking->invalid, name);
    else if (looking->denied == 0)
        looking->denied = request_denied(looking->req, ACL_TOPIC, ACL_DESCRIBE, name);
}

static void look_at_infos(struct looking *looking,
                          const struct StreamsGroupHeartbeatRequest_TopicInfo *topics, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        look_at(looking, topics[i].Name);
}

static void look_at_names(struct looking *looking, const struct str *names, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        look_at(looking, names[i]);
}

/* May its topics be used, and by this client? */
static bool check_topology(struct request *req, const struct StreamsGroupHeartbeatRequest_Topology *topology,
                           struct StreamsGroupHeartbeatResponse *res)
{
    struct looking looking = {.req = req};
    for (int32_t i = 0; topology != NULL && i < topology->Subtopologies.len; i++) {
        const struct StreamsGroupHeartbeatRequest_Subtopology *sub = &topology->Subtopologies.at[i];
        look_at_names(&looking, sub->SourceTopics.at, sub->SourceTopics.len);
        look_at_names(&looking, sub->RepartitionSinkTopics.at, sub->RepartitionSinkTopics.len);
        look_at_infos(&looking, sub->RepartitionSourceTopics.at, sub->RepartitionSourceTopics.len);
        look_at_infos(&looking, sub->StateChangelogTopics.at, sub->StateChangelogTopics.len);
    }
    if (looking.internal.len != 0) {
        res->ErrorCode = INVALID_TOPOLOGY;
        res->ErrorMessage =
            str_printf(&req->arena,
                       "Use of Kafka internal topics %.*s in a Kafka Streams topology is prohibited.",
                       STR_ARG(buf_str(&looking.internal)));
    } else if (looking.invalid.len != 0) {
        res->ErrorCode = INVALID_TOPOLOGY;
        res->ErrorMessage = str_printf(&req->arena, "Topic names %.*s are not valid topic names.",
                                       STR_ARG(buf_str(&looking.invalid)));
    } else {
        res->ErrorCode = looking.denied;
    }
    buf_fini(&looking.internal);
    buf_fini(&looking.invalid);
    return res->ErrorCode == 0;
}

/* --- internal topics --- */

/* A heartbeat that goes on on the admin pool. */
struct making {
    struct group_call *call;
    int64_t end_offset;
};

static struct StreamsGroupHeartbeatResponse_Status *missing_status(struct StreamsGroupHeartbeatResponse *res)
{
    for (int32_t i = 0; i < res->Status.len; i++)
        if (res->Status.at[i].StatusCode == STATUS_MISSING_INTERNAL)
            return &res->Status.at[i];
    return NULL;
}

static void add_detail(struct request *req, const char *what, struct str names)
{
    struct StreamsGroupHeartbeatResponse_Status *status = missing_status(req->res);
    ASSERT(status != NULL); /* that is why topics are made */
    status->StatusDetail =
        str_printf(&req->arena, "%.*s; %s %.*s.", STR_ARG(status->StatusDetail), what, STR_ARG(names));
}

/* The names of those that the client may not create, or null. */
static struct str may_not_create(struct request *req, const struct group_call *call)
{
    struct buf names = {0};
    for (int32_t i = 0; i < call->missing.len && !request_may_cluster(req, ACL_CREATE); i++)
        if (!request_may(req, ACL_TOPIC, ACL_CREATE, call->missing.at[i].Name))
            buf_printf(&names, "%s%.*s", names.len == 0 ? "" : ", ", STR_ARG(call->missing.at[i].Name));
    struct str out = names.len == 0 ? STR_NULL : str_dup(buf_str(&names), &req->arena);
    buf_fini(&names);
    return out;
}

/* Makes them; the first of those that failed, with why, or null. One that another member has just made is fine. */
static struct str make_topics(struct request *req, const struct group_call *call)
{
    enum { SHOWN = 3 };
    struct buf failed = {0};
    int count = 0;
    for (int32_t i = 0; i < call->missing.len; i++) {
        struct str why = STR_NULL;
        int16_t code = request_create_topic(req, &call->missing.at[i], &why);
        if (code == 0 || code == TOPIC_EXISTS)
            continue;
        if (count++ < SHOWN)
            buf_printf(&failed, "%s%.*s (%.*s)", count == 1 ? "" : ", ", STR_ARG(call->missing.at[i].Name),
                       STR_ARG(why));
    }
    if (count > SHOWN)
        buf_printf(&failed, " and %d more", count - SHOWN);
    struct str out = count == 0 ? STR_NULL : str_dup(buf_str(&failed), &req->arena);
    buf_fini(&failed);
    return out;
}

static void make_and_answer(struct request *req)
{
    const struct making *making = req->parked;
    struct str denied = may_not_create(req, making->call);
    if (!str_is_null(denied)) {
        add_detail(req, "Unauthorized to CREATE on topics", denied);
    } else {
        struct str failed = make_topics(req, making->call);
        if (!str_is_null(failed))
            add_detail(req, "Creation failed:", failed);
    }
    request_reply_durable(req, coord_groups_replay(req->broker->coord), making->end_offset);
}

/* --- the requests --- */

static void fail(struct request *req, const struct err *err)
{
    struct StreamsGroupHeartbeatResponse *res = req->res;
    coord_heartbeat_failed(req->broker->coord, err);
    wire_init(&WIRE_StreamsGroupHeartbeatResponse, res);
    res->ErrorCode = NOT_AVAILABLE;
}

/* As with the other kinds: a member without news is answered at once. */
static void answer(struct request *req, struct group_call *call, bool has_news, int64_t end_offset)
{
    const struct StreamsGroupHeartbeatResponse *res = req->res;
    if (res->ErrorCode == 0 && call->missing.len > 0) {
        struct making *making = arena_new(&req->arena, struct making);
        *making = (struct making){call, end_offset};
        req->parked = making;
        request_on_pool(req, make_and_answer);
    } else if (res->ErrorCode == 0 && has_news) {
        request_reply_durable(req, coord_groups_replay(req->broker->coord), end_offset);
    } else {
        request_reply(req);
    }
}

void api_streams_group_heartbeat(struct request *req)
{
    struct broker *broker = req->broker;
    const struct StreamsGroupHeartbeatRequest *body = req->body;
    struct StreamsGroupHeartbeatResponse *res = req->res;
    struct group_call *call = request_member_call(req);
    struct err err;
    int64_t before = replay_end(coord_groups_replay(broker->coord)), end_offset = before;
    res->Status.len = 0;
    res->ErrorCode = group_protocol_is_off(broker, STR("streams"))
                         ? UNSUPPORTED_VERSION
                         : request_denied(req, ACL_GROUP, ACL_READ, body->GroupId);
    if (res->ErrorCode != 0 || !check_topology(req, body->Topology, res)) {
        request_reply(req);
        return;
    }
    if (!coord_groups_run(broker->coord, group_decide_streams_heartbeat, call, &end_offset, &err))
        fail(req, &err);
    group_effects_fini(call->effects);
    answer(req, call, end_offset != before || res->ActiveTasks.len >= 0, end_offset);
    coord_groups_rearm(broker->coord);
}

void api_streams_group_describe(struct request *req)
{
    request_read_groups(req, group_describe_streams, hide_streams_groups);
}
