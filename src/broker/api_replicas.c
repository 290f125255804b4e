/* api_replicas.c - what would place, move and elect replicas in a cluster, as one node answers it.
 *
 * DescribeLogDirs, AlterReplicaLogDirs      one directory, <data>/log
 * ElectLeaders                              the only replica leads already
 * Alter/ListPartitionReassignments          the only possible target is this node; nothing ever moves
 * DescribeQuorum                            this node is the only voter of __cluster_metadata
 */
#include "broker/broker_int.h"

enum {
    UNKNOWN_TOPIC = 3,
    INVALID_ASSIGNMENT = 39,
    INVALID_REQUEST = 42,
    LOG_DIR_NOT_FOUND = 57,
    ELECTION_NOT_NEEDED = 84,
    NO_REASSIGNMENT = 85,
};

static bool exists(struct broker *broker, struct str topic, int32_t id)
{
    struct partition *part = storage_partition(broker->storage, topic, id);
    partition_unref(part);
    return part != NULL;
}

static struct str logs_dir(struct request *req)
{
    return str_printf(&req->arena, "%.*s/log", STR_ARG(req->broker->config.storage.data_dir));
}

/* --- DescribeLogDirs, AlterReplicaLogDirs --- */

typedef struct DescribeLogDirsResponse_DescribeLogDirsTopic dir_topic;

static void add_size(dir_topic *row, const struct topic_entry *entry, int32_t id)
{
    row->Partitions.at[row->Partitions.len++] = (struct DescribeLogDirsResponse_DescribeLogDirsPartition){
        .PartitionIndex = id, .PartitionSize = (int64_t)log_size_bytes(partition_log(entry->parts[id]))};
}

/* The wanted partitions of a topic that are there (all: `wanted` NULL). Under the lock of the entries. */
static void add_sizes(struct request *req, dir_topic *row, const struct topic_entry *entry,
                      const struct DescribeLogDirsRequest_DescribableLogDirTopic *wanted)
{
    int32_t count = wanted == NULL ? entry->partition_count : MAX(wanted->Partitions.len, 0);
    row->Name = str_dup(entry->name, &req->arena);
    WIRE_ALLOC(&req->arena, row->Partitions, DescribeLogDirsResponse_DescribeLogDirsPartition, count);
    row->Partitions.len = 0;
    for (int32_t i = 0; i < count; i++) {
        int32_t id = wanted == NULL ? i : wanted->Partitions.at[i];
        if (id >= 0 && id < entry->partition_count)
            add_size(row, entry, id);
    }
}

static void describe_log_dirs(struct request *req)
{
    const struct DescribeLogDirsRequest *body = req->body;
    struct DescribeLogDirsResponse *res = req->res;
    struct broker *broker = req->broker;
    struct io_space space;
    bool all = body->Topics.len < 0;
    struct topic_entry *entry;
    WIRE_ALLOC(&req->arena, res->Results, DescribeLogDirsResponse_DescribeLogDirsResult, 1);
    struct DescribeLogDirsResponse_DescribeLogDirsResult *dir = &res->Results.at[0];
    dir->LogDir = logs_dir(req);
    if (io_space(broker->io, dir->LogDir.ptr, &space) == 0) {
        dir->TotalBytes = (int64_t)space.total_bytes;
        dir->UsableBytes = (int64_t)space.usable_bytes;
    }
    storage_entries_lock(broker->storage);
    size_t count = all ? storage_entry_count(broker->storage) : (size_t)body->Topics.len;
    WIRE_ALLOC(&req->arena, dir->Topics, DescribeLogDirsResponse_DescribeLogDirsTopic, count);
    dir->Topics.len = 0;
    for (size_t i = 0; all && (entry = storage_entry_next(broker->storage, &i)) != NULL;)
        add_sizes(req, &dir->Topics.at[dir->Topics.len++], entry, NULL);
    for (int32_t i = 0; i < body->Topics.len; i++)
        if ((entry = storage_entry(broker->storage, body->Topics.at[i].Topic)) != NULL)
            add_sizes(req, &dir->Topics.at[dir->Topics.len++], entry, &body->Topics.at[i]);
    storage_entries_unlock(broker->storage);
    request_reply(req);
}

void api_describe_log_dirs(struct request *req)
{
    struct DescribeLogDirsResponse *res = req->res;
    res->ErrorCode = request_denied_cluster(req, ACL_DESCRIBE);
    if (res->ErrorCode != 0)
        request_reply(req);
    else
        request_on_pool(req, describe_log_dirs); /* asks the file system */
}

typedef struct AlterReplicaLogDirsRequest_AlterReplicaLogDirTopic moved_topic;

static void move_topic(struct request *req, const moved_topic *asked, bool here,
                       struct AlterReplicaLogDirsResponse_AlterReplicaLogDirTopicResult *row)
{
    int16_t denied = request_denied_cluster(req, ACL_ALTER);
    row->TopicName = asked->Name;
    WIRE_ALLOC(&req->arena, row->Partitions, AlterReplicaLogDirsResponse_AlterReplicaLogDirPartitionResult,
               MAX(asked->Partitions.len, 0));
    for (int32_t i = 0; i < asked->Partitions.len; i++) {
        row->Partitions.at[i].PartitionIndex = asked->Partitions.at[i];
        if (denied != 0)
            row->Partitions.at[i].ErrorCode = denied;
        else if (!here)
            row->Partitions.at[i].ErrorCode = LOG_DIR_NOT_FOUND;
        else if (!exists(req->broker, asked->Name, asked->Partitions.at[i]))
            row->Partitions.at[i].ErrorCode = UNKNOWN_TOPIC;
    }
}

void api_alter_replica_log_dirs(struct request *req)
{
    const struct AlterReplicaLogDirsRequest *body = req->body;
    struct AlterReplicaLogDirsResponse *res = req->res;
    int32_t count = 0, at = 0;
    struct str dir = logs_dir(req);
    for (int32_t i = 0; i < body->Dirs.len; i++)
        count += MAX(body->Dirs.at[i].Topics.len, 0);
    WIRE_ALLOC(&req->arena, res->Results, AlterReplicaLogDirsResponse_AlterReplicaLogDirTopicResult, count);
    for (int32_t i = 0; i < body->Dirs.len; i++)
        for (int32_t j = 0; j < body->Dirs.at[i].Topics.len; j++)
            move_topic(req, &body->Dirs.at[i].Topics.at[j], str_eq(body->Dirs.at[i].Path, dir),
                       &res->Results.at[at++]);
    request_reply(req);
}

/* --- ElectLeaders --- */

static void elect_one(struct request *req, struct str topic, int32_t id, int16_t denied,
                      struct ElectLeadersResponse_PartitionResult *row)
{
    enum { UNCLEAN = 1 };
    const struct ElectLeadersRequest *body = req->body;
    row->PartitionId = id;
    if (denied != 0) {
        row->ErrorCode = denied;
    } else if (body->ElectionType < 0 || body->ElectionType > UNCLEAN) {
        row->ErrorCode = INVALID_REQUEST;
        row->ErrorMessage = str_printf(&req->arena, "Unknown election type %d", body->ElectionType);
    } else if (!exists(req->broker, topic, id)) {
        row->ErrorCode = UNKNOWN_TOPIC;
        row->ErrorMessage = str_printf(&req->arena, "No such partition as %.*s-%d", STR_ARG(topic), id);
    } else {
        row->ErrorCode = ELECTION_NOT_NEEDED;
        row->ErrorMessage = STR("Leader election not needed for topic partition.");
    }
}

void api_elect_leaders(struct request *req)
{
    const struct ElectLeadersRequest *body = req->body;
    struct ElectLeadersResponse *res = req->res;
    int16_t denied = res->ErrorCode = request_denied_cluster(req, ACL_ALTER);
    if (denied == 0 && (body->ElectionType < 0 || body->ElectionType > 1))
        res->ErrorCode = INVALID_REQUEST;
    /* For all partitions only those that needed an election are answered: none. */
    WIRE_ALLOC(&req->arena, res->ReplicaElectionResults, ElectLeadersResponse_ReplicaElectionResult,
               MAX(body->TopicPartitions.len, 0));
    for (int32_t i = 0; i < body->TopicPartitions.len; i++) {
        const struct ElectLeadersRequest_TopicPartitions *asked = &body->TopicPartitions.at[i];
        struct ElectLeadersResponse_ReplicaElectionResult *row = &res->ReplicaElectionResults.at[i];
        row->Topic = asked->Topic;
        WIRE_ALLOC(&req->arena, row->PartitionResult, ElectLeadersResponse_PartitionResult,
                   MAX(asked->Partitions.len, 0));
        for (int32_t j = 0; j < asked->Partitions.len; j++)
            elect_one(req, asked->Topic, asked->Partitions.at[j], denied, &row->PartitionResult.at[j]);
    }
    request_reply(req);
}

/* --- reassignments --- */

typedef struct AlterPartitionReassignmentsRequest_ReassignablePartition reassigned;

/* NULL when the replicas can be those of a partition. */
static const char *replicas_fault(struct arena *arena, const int32_t *replicas, int32_t count)
{
    if (count == 0)
        return "The manual partition assignment includes an empty replica list.";
    for (int32_t i = 0; i < count; i++) {
        if (replicas[i] != NODE_ID)
            return str_printf(arena,
                              "The manual partition assignment includes broker %d, but no such broker is "
                              "registered.",
                              replicas[i])
                .ptr;
        if (i > 0)
            return str_printf(arena, "The manual partition assignment includes the broker %d more than once.",
                              replicas[i])
                .ptr;
    }
    return NULL;
}

static int16_t reassign(struct request *req, struct str topic, const reassigned *asked, struct str *text)
{
    if (!exists(req->broker, topic, 0)) {
        *text = str_printf(&req->arena, "Unable to find a topic named %.*s.", STR_ARG(topic));
        return UNKNOWN_TOPIC;
    }
    if (!exists(req->broker, topic, asked->PartitionIndex)) {
        *text = str_printf(&req->arena, "Unable to find partition %.*s:%d.", STR_ARG(topic),
                           asked->PartitionIndex);
        return UNKNOWN_TOPIC;
    }
    if (asked->Replicas.len < 0) /* cancel */
        return NO_REASSIGNMENT;
    *text = str_from(replicas_fault(&req->arena, asked->Replicas.at, asked->Replicas.len));
    return str_is_null(*text) ? 0 : INVALID_ASSIGNMENT;
}

void api_alter_partition_reassignments(struct request *req)
{
    const struct AlterPartitionReassignmentsRequest *body = req->body;
    struct AlterPartitionReassignmentsResponse *res = req->res;
    res->AllowReplicationFactorChange = body->AllowReplicationFactorChange;
    res->ErrorMessage = body->Topics.len <= 0 ? STR("") : STR_NULL; /* as Kafka has it */
    res->ErrorCode = request_denied_cluster(req, ACL_ALTER);
    if (res->ErrorCode != 0) {
        request_reply(req);
        return;
    }
    WIRE_ALLOC(&req->arena, res->Responses, AlterPartitionReassignmentsResponse_ReassignableTopicResponse,
               MAX(body->Topics.len, 0));
    for (int32_t i = 0; i < body->Topics.len; i++) {
        const struct AlterPartitionReassignmentsRequest_ReassignableTopic *asked = &body->Topics.at[i];
        struct AlterPartitionReassignmentsResponse_ReassignableTopicResponse *row = &res->Responses.at[i];
        row->Name = asked->Name;
        WIRE_ALLOC(&req->arena, row->Partitions,
                   AlterPartitionReassignmentsResponse_ReassignablePartitionResponse,
                   MAX(asked->Partitions.len, 0));
        for (int32_t j = 0; j < asked->Partitions.len; j++) {
            row->Partitions.at[j].PartitionIndex = asked->Partitions.at[j].PartitionIndex;
            row->Partitions.at[j].ErrorMessage = STR_NULL;
            row->Partitions.at[j].ErrorCode =
                reassign(req, asked->Name, &asked->Partitions.at[j], &row->Partitions.at[j].ErrorMessage);
        }
    }
    request_reply(req);
}

void api_list_partition_reassignments(struct request *req)
{
    struct ListPartitionReassignmentsResponse *res = req->res;
    res->ErrorMessage = STR_NULL;
    res->ErrorCode = request_denied_cluster(req, ACL_DESCRIBE);
    request_reply(req);
}

/* --- DescribeQuorum --- */

static void describe_voter(struct request *req, struct DescribeQuorumResponse_PartitionData *row)
{
    struct partition *part = storage_metadata_partition(req->broker->storage);
    int64_t now_ms = io_now_ms(req->broker->io);
    row->LeaderId = NODE_ID;
    row->LeaderEpoch = log_leader_epoch(partition_log(part));
    row->HighWatermark = partition_hw(part);
    WIRE_ALLOC(&req->arena, row->CurrentVoters, DescribeQuorumResponse_ReplicaState, 1);
    row->CurrentVoters.at[0].ReplicaId = NODE_ID;
    row->CurrentVoters.at[0].LogEndOffset = partition_end(part);
    row->CurrentVoters.at[0].LastFetchTimestamp = now_ms;
    row->CurrentVoters.at[0].LastCaughtUpTimestamp = now_ms;
}

static void describe_nodes(struct request *req, struct DescribeQuorumResponse *res)
{
    WIRE_ALLOC(&req->arena, res->Nodes, DescribeQuorumResponse_Node, 1);
    res->Nodes.at[0].NodeId = NODE_ID;
    WIRE_ALLOC(&req->arena, res->Nodes.at[0].Listeners, DescribeQuorumResponse_Listener, 1);
    res->Nodes.at[0].Listeners.at[0] =
        (struct DescribeQuorumResponse_Listener){req->listener->name, req->listener->host,
                                                 (uint16_t)req->listener->port};
}

void api_describe_quorum(struct request *req)
{
    const struct DescribeQuorumRequest *body = req->body;
    struct DescribeQuorumResponse *res = req->res;
    res->ErrorCode = request_denied_cluster(req, ACL_DESCRIBE);
    if (res->ErrorCode != 0) {
        request_reply(req);
        return;
    }
    WIRE_ALLOC(&req->arena, res->Topics, DescribeQuorumResponse_TopicData, MAX(body->Topics.len, 0));
    for (int32_t i = 0; i < body->Topics.len; i++) {
        const struct DescribeQuorumRequest_TopicData *asked = &body->Topics.at[i];
        struct DescribeQuorumResponse_TopicData *row = &res->Topics.at[i];
        row->TopicName = asked->TopicName;
        WIRE_ALLOC(&req->arena, row->Partitions, DescribeQuorumResponse_PartitionData,
                   MAX(asked->Partitions.len, 0));
        for (int32_t j = 0; j < asked->Partitions.len; j++) {
            bool is_metadata =
                str_eq(asked->TopicName, STR(METADATA_TOPIC)) && asked->Partitions.at[j].PartitionIndex == 0;
            row->Partitions.at[j].PartitionIndex = asked->Partitions.at[j].PartitionIndex;
            if (is_metadata) {
                describe_voter(req, &row->Partitions.at[j]);
                describe_nodes(req, res);
            } else {
                row->Partitions.at[j].ErrorCode = UNKNOWN_TOPIC;
                row->Partitions.at[j].ErrorMessage = STR("This server does not host this topic-partition.");
            }
        }
    }
    request_reply(req);
}
