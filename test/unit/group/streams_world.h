/* streams_world.h - heartbeats of members of streams groups, for tests over world.h. The application: subtopology "0" reads topic
 * a, "1" reads topic b and keeps state in topic c. A task is written "1_0".
 */
#ifndef RIALTO_TEST_GROUP_STREAMS_WORLD_H
#define RIALTO_TEST_GROUP_STREAMS_WORLD_H

#include "world.h"

/* What a member says besides; zeroes say nothing. */
struct say {
    const char *process; /* when joining: NULL is the member's own */
    const char *owned;   /* "0_0 1_2; 1_0": active; standby */
    const char *host;    /* an endpoint at port 80 */
    int32_t endpoint_epoch;
    int32_t topology_epoch;
    bool shutdown;
    int32_t timeout_ms;
};

static struct group_call last_call; /* call.missing is looked at */

static struct StreamsGroupHeartbeatRequest_Topology *application(struct world *w, int32_t epoch)
{
    struct StreamsGroupHeartbeatRequest_Topology *topology =
        wire_new(&WIRE_StreamsGroupHeartbeatRequest_Topology, 1, &w->arena);
    topology->Epoch = epoch;
    WIRE_ALLOC(&w->arena, topology->Subtopologies, StreamsGroupHeartbeatRequest_Subtopology, 2);
    for (int i = 0; i < 2; i++) {
        struct StreamsGroupHeartbeatRequest_Subtopology *sub = &topology->Subtopologies.at[i];
        sub->SubtopologyId = i == 0 ? STR("0") : STR("1");
        sub->SourceTopics.at = arena_array(&w->arena, struct str, 1);
        sub->SourceTopics.at[sub->SourceTopics.len++] = i == 0 ? STR("a") : STR("b");
    }
    struct StreamsGroupHeartbeatRequest_Subtopology *stateful = &topology->Subtopologies.at[1];
    WIRE_ALLOC(&w->arena, stateful->StateChangelogTopics, StreamsGroupHeartbeatRequest_TopicInfo, 1);
    stateful->StateChangelogTopics.at[0].Name = STR("c");
    return topology;
}

/* One row a task: rows of one subtopology need not be together. */
static int32_t fill_tasks(struct world *w, struct str text, struct StreamsGroupHeartbeatRequest_TaskIds **out)
{
    struct str rest = str_trim(text), word;
    int32_t count = 0;
    *out = wire_new(&WIRE_StreamsGroupHeartbeatRequest_TaskIds, 32, &w->arena);
    while (rest.len != 0 && str_split(&rest, ' ', &word)) {
        struct StreamsGroupHeartbeatRequest_TaskIds *row = &(*out)[count++];
        row->Partitions.at = arena_array(&w->arena, int32_t, 1);
        row->Partitions.len = 1;
        row->SubtopologyId = str_sub(word, 0, 1);
        assert_true(str_to_i32(str_sub(word, 2, word.len), &row->Partitions.at[0]));
    }
    return count;
}

static void fill_owned(struct world *w, const char *text, struct StreamsGroupHeartbeatRequest *req)
{
    struct str rest = str_from(text), active = STR(""), standby = STR("");
    if (rest.len != 0)
        ignore(str_split(&rest, ';', &active), "there is some");
    if (rest.len != 0)
        ignore(str_split(&rest, ';', &standby), "there is some");
    req->ActiveTasks.len = fill_tasks(w, active, &req->ActiveTasks.at);
    req->StandbyTasks.len = fill_tasks(w, standby, &req->StandbyTasks.at);
    req->WarmupTasks.len = 0;
}

static void fill_beat(struct world *w, const char *group, const char *member, int32_t epoch,
                      const struct say *say, struct StreamsGroupHeartbeatRequest *req)
{
    wire_init(&WIRE_StreamsGroupHeartbeatRequest, req);
    req->GroupId = str_from(group);
    req->MemberId = str_from(member);
    req->MemberEpoch = epoch;
    req->EndpointInformationEpoch = say->endpoint_epoch;
    req->ShutdownApplication = say->shutdown;
    if (epoch == 0) {
        req->RebalanceTimeoutMs = say->timeout_ms != 0 ? say->timeout_ms : 60000;
        req->ProcessId = str_from(say->process != NULL ? say->process : member);
        req->Topology = application(w, say->topology_epoch);
        fill_owned(w, "", req);
    } else if (say->owned != NULL) {
        fill_owned(w, say->owned, req);
    }
    if (say->host != NULL) {
        req->UserEndpoint = wire_new(&WIRE_StreamsGroupHeartbeatRequest_Endpoint, 1, &w->arena);
        req->UserEndpoint->Host = str_from(say->host);
        req->UserEndpoint->Port = 80;
    }
}

#define PRINT_TASKS(out, array, end)                                                   \
    do {                                                                               \
        for (int32_t i_ = 0; i_ < (array).len; i_++)                                   \
            for (int32_t j_ = 0; j_ < (array).at[i_].Partitions.len; j_++)             \
                buf_printf((out), " %.*s_%d%s", STR_ARG((array).at[i_].SubtopologyId), \
                           (array).at[i_].Partitions.at[j_], (end));                   \
    } while (0)

/* "2: 0_0 0_1 1_0s !5": epoch; tasks if they are told, standby ones with an s; statuses. "error 42". */
UNUSED static const char *print_beat(struct world *w, const struct StreamsGroupHeartbeatResponse *res)
{
    struct buf text = {0};
    if (res->ErrorCode != 0)
        return str_printf(&w->arena, "error %d", res->ErrorCode).ptr;
    buf_printf(&text, "%d%s", res->MemberEpoch, res->ActiveTasks.len >= 0 ? ":" : "");
    PRINT_TASKS(&text, res->ActiveTasks, "");
    PRINT_TASKS(&text, res->StandbyTasks, "s");
    assert_true(res->WarmupTasks.len <= 0);
    for (int32_t i = 0; i < res->Status.len; i++)
        buf_printf(&text, " !%d", res->Status.at[i].StatusCode);
    const char *out = str_dup(buf_str(&text), &w->arena).ptr;
    buf_fini(&text);
    return out;
}

UNUSED static const struct StreamsGroupHeartbeatResponse *
answer_of(struct world *w, const char *group, const char *member, int32_t epoch, struct say say)
{
    struct StreamsGroupHeartbeatRequest *req = arena_new(&w->arena, struct StreamsGroupHeartbeatRequest);
    struct StreamsGroupHeartbeatResponse *res = wire_new(&WIRE_StreamsGroupHeartbeatResponse, 1, &w->arena);
    fill_beat(w, group, member, epoch, &say, req);
    last_call = call_of(w, 0, req, res);
    run(w, group_decide_streams_heartbeat, &last_call);
    return res;
}

#define BEAT(w, member, epoch, ...) \
    print_beat((w), answer_of((w), "g", (member), (epoch), (struct say){__VA_ARGS__}))

#endif
