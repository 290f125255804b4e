/* apis.c - the table of APIs that are served, and ApiVersions, which is that table.
 *
 * Produce is announced from version 0 because old librdkafka cannot compress otherwise, but 0 to 2 are refused: the connection
 * is closed. Everything else is answered as announced.
 */
#include "broker/broker_int.h"

const struct broker_api broker_apis[] = {
    /* key, announced, answered from */
    {0, 0, 13, 3, api_produce},
    {1, 4, 18, 4, api_fetch},
    {2, 1, 11, 1, api_list_offsets},
    {3, 0, 13, 0, api_metadata},
    {8, 2, 10, 2, api_offset_commit},
    {9, 1, 10, 1, api_offset_fetch},
    {10, 0, 6, 0, api_find_coordinator},
    {11, 0, 9, 0, api_join_group},
    {12, 0, 4, 0, api_heartbeat},
    {13, 0, 5, 0, api_leave_group},
    {14, 0, 5, 0, api_sync_group},
    {15, 0, 6, 0, api_describe_groups},
    {16, 0, 5, 0, api_list_groups},
    {17, 0, 1, 0, api_sasl_handshake},
    {18, 0, 4, 0, api_versions},
    {19, 2, 7, 2, api_create_topics},
    {20, 1, 6, 1, api_delete_topics},
    {21, 0, 2, 0, api_delete_records},
    {22, 0, 5, 0, api_init_producer_id},
    {23, 2, 4, 2, api_offset_for_leader_epoch},
    {24, 0, 5, 0, api_add_partitions_to_txn},
    {25, 0, 4, 0, api_add_offsets_to_txn},
    {26, 0, 5, 0, api_end_txn},
    {27, 1, 2, 1, api_write_txn_markers},
    {28, 0, 5, 0, api_txn_offset_commit},
    {29, 1, 3, 1, api_describe_acls},
    {30, 1, 3, 1, api_create_acls},
    {31, 1, 3, 1, api_delete_acls},
    {32, 1, 4, 1, api_describe_configs},
    {33, 0, 2, 0, api_alter_configs},
    {34, 1, 2, 1, api_alter_replica_log_dirs},
    {35, 1, 5, 1, api_describe_log_dirs},
    {36, 0, 2, 0, api_sasl_authenticate},
    {37, 0, 3, 0, api_create_partitions},
    {38, 1, 3, 1, api_create_delegation_token},
    {39, 1, 2, 1, api_renew_delegation_token},
    {40, 1, 2, 1, api_expire_delegation_token},
    {41, 1, 3, 1, api_describe_delegation_token},
    {42, 0, 2, 0, api_delete_groups},
    {43, 0, 2, 0, api_elect_leaders},
    {44, 0, 1, 0, api_incremental_alter_configs},
    {45, 0, 1, 0, api_alter_partition_reassignments},
    {46, 0, 0, 0, api_list_partition_reassignments},
    {47, 0, 0, 0, api_offset_delete},
    {48, 0, 1, 0, api_describe_client_quotas},
    {49, 0, 1, 0, api_alter_client_quotas},
    {50, 0, 0, 0, api_describe_user_scram_credentials},
    {51, 0, 0, 0, api_alter_user_scram_credentials},
    {55, 0, 2, 0, api_describe_quorum},
    {57, 0, 2, 0, api_update_features},
    {60, 0, 2, 0, api_describe_cluster},
    {61, 0, 0, 0, api_describe_producers},
    {65, 0, 0, 0, api_describe_transactions},
    {66, 0, 2, 0, api_list_transactions},
    {68, 0, 1, 0, api_consumer_group_heartbeat},
    {69, 0, 1, 0, api_consumer_group_describe},
    {74, 0, 1, 0, api_list_config_resources},
    {75, 0, 0, 0, api_describe_topic_partitions},
    {76, 1, 1, 1, api_share_group_heartbeat},
    {77, 1, 1, 1, api_share_group_describe},
    {78, 1, 2, 1, api_share_fetch},
    {79, 1, 2, 1, api_share_acknowledge},
    {88, 0, 0, 0, api_streams_group_heartbeat},
    {89, 0, 0, 0, api_streams_group_describe},
    {90, 0, 1, 0, api_describe_share_group_offsets},
    {91, 0, 0, 0, api_alter_share_group_offsets},
    {92, 0, 0, 0, api_delete_share_group_offsets},
};

const size_t broker_api_count = COUNT_OF(broker_apis);

/* What each API asks for before it says or does anything: resource, operation, and the error without the right. A handler
 * asks by request_denied, which knows these rows only. APIs without a row (versions, authentication) are open. */
enum { NO_TOPIC = 29, NO_GROUP = 30, NO_CLUSTER = 31, NO_TRANSACTIONAL_ID = 53, NO_TOKEN = 65 };

const struct broker_right broker_rights[] = {
    {0, ACL_TOPIC, ACL_WRITE, NO_TOPIC, ""},
    {0, ACL_TRANSACTIONAL_ID, ACL_WRITE, NO_TRANSACTIONAL_ID, "of batches of a transaction"},
    {1, ACL_TOPIC, ACL_READ, NO_TOPIC, ""},
    {2, ACL_TOPIC, ACL_DESCRIBE, NO_TOPIC, ""},
    {3, ACL_TOPIC, ACL_DESCRIBE, NO_TOPIC, "a list of all leaves the others out"},
    {3, ACL_CLUSTER, ACL_DESCRIBE, 0, "to be told the authorized operations of the cluster, else none"},
    {3, ACL_TOPIC, ACL_CREATE, NO_TOPIC, "to create a missing topic, or Create on the cluster"},
    {3, ACL_CLUSTER, ACL_CREATE, NO_TOPIC, "to create a missing topic, or Create on the topic"},
    {8, ACL_GROUP, ACL_READ, NO_GROUP, ""},
    {8, ACL_TOPIC, ACL_READ, NO_TOPIC, ""},
    {9, ACL_GROUP, ACL_DESCRIBE, NO_GROUP, ""},
    {9, ACL_TOPIC, ACL_DESCRIBE, NO_TOPIC, "a list of all leaves the others out"},
    {10, ACL_GROUP, ACL_DESCRIBE, NO_GROUP, "of a group"},
    {10, ACL_TRANSACTIONAL_ID, ACL_DESCRIBE, NO_TRANSACTIONAL_ID, "of a transactional id"},
    {10, ACL_CLUSTER, ACL_CLUSTER_ACTION, NO_CLUSTER, "of a share partition"},
    {11, ACL_GROUP, ACL_READ, NO_GROUP, ""},
    {12, ACL_GROUP, ACL_READ, NO_GROUP, ""},
    {13, ACL_GROUP, ACL_READ, NO_GROUP, ""},
    {14, ACL_GROUP, ACL_READ, NO_GROUP, ""},
    {15, ACL_GROUP, ACL_DESCRIBE, NO_GROUP, ""},
    {16, ACL_CLUSTER, ACL_DESCRIBE, 0, "or Describe on a group, for that group: the others are left out"},
    {16, ACL_GROUP, ACL_DESCRIBE, 0, "without Describe on the cluster"},
    {19, ACL_CLUSTER, ACL_CREATE, NO_TOPIC, "or Create on the topic"},
    {19, ACL_TOPIC, ACL_CREATE, NO_TOPIC, "or Create on the cluster"},
    {19, ACL_TOPIC, ACL_DESCRIBE_CONFIGS, NO_TOPIC, "to be told the configs of what was created"},
    {20, ACL_TOPIC, ACL_DESCRIBE, NO_TOPIC,
     "before it is told whether the topic exists, or its name for its id"},
    {20, ACL_TOPIC, ACL_DELETE, NO_TOPIC, "or Delete on the cluster, with which nothing else is asked for"},
    {20, ACL_CLUSTER, ACL_DELETE, NO_TOPIC, "or Delete on the topic"},
    {21, ACL_TOPIC, ACL_DELETE, NO_TOPIC, ""},
    {22, ACL_TRANSACTIONAL_ID, ACL_WRITE, NO_TRANSACTIONAL_ID, "with a transactional id"},
    {22, ACL_CLUSTER, ACL_IDEMPOTENT_WRITE, NO_CLUSTER, "without one; or Write on any topic"},
    {22, ACL_TOPIC, ACL_WRITE, NO_CLUSTER, "without a transactional id: on any topic"},
    {23, ACL_TOPIC, ACL_DESCRIBE, NO_TOPIC, "or ClusterAction on the cluster"},
    {23, ACL_CLUSTER, ACL_CLUSTER_ACTION, NO_TOPIC, "or Describe on the topic"},
    {24, ACL_TRANSACTIONAL_ID, ACL_WRITE, NO_TRANSACTIONAL_ID, ""},
    {24, ACL_TOPIC, ACL_WRITE, NO_TOPIC, "the others are not attempted"},
    {25, ACL_TRANSACTIONAL_ID, ACL_WRITE, NO_TRANSACTIONAL_ID, ""},
    {25, ACL_GROUP, ACL_READ, NO_GROUP, ""},
    {26, ACL_TRANSACTIONAL_ID, ACL_WRITE, NO_TRANSACTIONAL_ID, ""},
    {27, ACL_CLUSTER, ACL_CLUSTER_ACTION, NO_CLUSTER, "or Alter"},
    {27, ACL_CLUSTER, ACL_ALTER, NO_CLUSTER, "or ClusterAction"},
    {28, ACL_TRANSACTIONAL_ID, ACL_WRITE, NO_TRANSACTIONAL_ID, ""},
    {28, ACL_GROUP, ACL_READ, NO_GROUP, ""},
    {28, ACL_TOPIC, ACL_READ, NO_TOPIC, ""},
    {29, ACL_CLUSTER, ACL_DESCRIBE, NO_CLUSTER, ""},
    {30, ACL_CLUSTER, ACL_ALTER, NO_CLUSTER, ""},
    {31, ACL_CLUSTER, ACL_ALTER, NO_CLUSTER, ""},
    {32, ACL_TOPIC, ACL_DESCRIBE_CONFIGS, NO_TOPIC, "of a topic"},
    {32, ACL_CLUSTER, ACL_DESCRIBE_CONFIGS, NO_CLUSTER, "of the broker"},
    {32, ACL_GROUP, ACL_DESCRIBE_CONFIGS, NO_GROUP, "of a group"},
    {33, ACL_TOPIC, ACL_ALTER_CONFIGS, NO_TOPIC, "of a topic"},
    {33, ACL_CLUSTER, ACL_ALTER_CONFIGS, NO_CLUSTER, "of the broker"},
    {33, ACL_GROUP, ACL_ALTER_CONFIGS, NO_GROUP, "of a group"},
    {34, ACL_CLUSTER, ACL_ALTER, NO_CLUSTER, ""},
    {35, ACL_CLUSTER, ACL_DESCRIBE, NO_CLUSTER, ""},
    {37, ACL_TOPIC, ACL_ALTER, NO_TOPIC, ""},
    {38, ACL_USER, ACL_CREATE_TOKENS, NO_TOKEN, "for another owner; a user needs none for his own"},
    {41, ACL_DELEGATION_TOKEN, ACL_DESCRIBE, 0,
     "of a token that one neither owns nor renews, or DescribeTokens on its owner; the others are left out"},
    {41, ACL_USER, ACL_DESCRIBE_TOKENS, 0, "or Describe on the token"},
    {42, ACL_GROUP, ACL_DELETE, NO_GROUP, ""},
    {43, ACL_CLUSTER, ACL_ALTER, NO_CLUSTER, ""},
    {44, ACL_TOPIC, ACL_ALTER_CONFIGS, NO_TOPIC, "of a topic"},
    {44, ACL_CLUSTER, ACL_ALTER_CONFIGS, NO_CLUSTER, "of the broker"},
    {44, ACL_GROUP, ACL_ALTER_CONFIGS, NO_GROUP, "of a group"},
    {45, ACL_CLUSTER, ACL_ALTER, NO_CLUSTER, ""},
    {46, ACL_CLUSTER, ACL_DESCRIBE, NO_CLUSTER, ""},
    {47, ACL_GROUP, ACL_DELETE, NO_GROUP, ""},
    {47, ACL_TOPIC, ACL_READ, NO_TOPIC, ""},
    {48, ACL_CLUSTER, ACL_DESCRIBE_CONFIGS, NO_CLUSTER, ""},
    {49, ACL_CLUSTER, ACL_ALTER_CONFIGS, NO_CLUSTER, ""},
    {50, ACL_CLUSTER, ACL_DESCRIBE, NO_CLUSTER, ""},
    {51, ACL_CLUSTER, ACL_ALTER, NO_CLUSTER, ""},
    {55, ACL_CLUSTER, ACL_DESCRIBE, NO_CLUSTER, ""},
    {57, ACL_CLUSTER, ACL_ALTER, NO_CLUSTER, ""},
    {60, ACL_CLUSTER, ACL_DESCRIBE, 0, "to be told the authorized operations, else none"},
    {61, ACL_TOPIC, ACL_READ, NO_TOPIC, ""},
    {65, ACL_TRANSACTIONAL_ID, ACL_DESCRIBE, NO_TRANSACTIONAL_ID, ""},
    {65, ACL_TOPIC, ACL_DESCRIBE, 0, "topics of a transaction are left out"},
    {66, ACL_TRANSACTIONAL_ID, ACL_DESCRIBE, 0, "the others are left out"},
    {68, ACL_GROUP, ACL_READ, NO_GROUP, ""},
    {68, ACL_TOPIC, ACL_DESCRIBE, NO_TOPIC, "of topics subscribed to by name; a pattern matches no others"},
    {69, ACL_GROUP, ACL_DESCRIBE, NO_GROUP, ""},
    {69, ACL_TOPIC, ACL_DESCRIBE, NO_TOPIC, "of a topic that a member is subscribed to"},
    {74, ACL_CLUSTER, ACL_DESCRIBE_CONFIGS, NO_CLUSTER, ""},
    {75, ACL_TOPIC, ACL_DESCRIBE, NO_TOPIC, "a list of all leaves the others out"},
    {76, ACL_GROUP, ACL_READ, NO_GROUP, ""},
    {76, ACL_TOPIC, ACL_DESCRIBE, NO_TOPIC, "of topics subscribed to"},
    {77, ACL_GROUP, ACL_DESCRIBE, NO_GROUP, ""},
    {77, ACL_TOPIC, ACL_DESCRIBE, NO_TOPIC, "of a topic that a member is subscribed to"},
    {78, ACL_GROUP, ACL_READ, NO_GROUP, ""},
    {78, ACL_TOPIC, ACL_READ, NO_TOPIC, ""},
    {79, ACL_GROUP, ACL_READ, NO_GROUP, ""},
    {79, ACL_TOPIC, ACL_READ, NO_TOPIC, ""},
    {88, ACL_GROUP, ACL_READ, NO_GROUP, ""},
    {88, ACL_TOPIC, ACL_DESCRIBE, NO_TOPIC, "of all topics of the topology"},
    {88, ACL_CLUSTER, ACL_CREATE, 0,
     "or Create on the topic: for internal topics that are missing; without it, the members are told"},
    {88, ACL_TOPIC, ACL_CREATE, 0, "or Create on the cluster"},
    {89, ACL_GROUP, ACL_DESCRIBE, NO_GROUP, ""},
    {89, ACL_TOPIC, ACL_DESCRIBE, NO_TOPIC, "of all topics of the topology"},
    {90, ACL_GROUP, ACL_DESCRIBE, NO_GROUP, ""},
    {90, ACL_TOPIC, ACL_DESCRIBE, NO_TOPIC, "a list of all leaves the others out"},
    {91, ACL_GROUP, ACL_READ, NO_GROUP, ""},
    {91, ACL_TOPIC, ACL_READ, NO_TOPIC, ""},
    {92, ACL_GROUP, ACL_DELETE, NO_GROUP, ""},
    {92, ACL_TOPIC, ACL_READ, NO_TOPIC, ""},
};

const size_t broker_right_count = COUNT_OF(broker_rights);

/* APIs for everybody: what can be asked, proving who one is, and tokens that one owns or renews. */
static const struct {
    int16_t api_key;
    const char *when;
} open_apis[] = {
    {17, "everybody"},
    {18, "everybody"},
    {36, "everybody"},
    {39, "everybody, a token that he owns or renews"},
    {40, "everybody, a token that he owns or renews"},
};

bool broker_api_is_guarded(int16_t api_key)
{
    for (size_t i = 0; i < COUNT_OF(open_apis); i++)
        if (open_apis[i].api_key == api_key)
            return true;
    for (size_t i = 0; i < broker_right_count; i++)
        if (broker_rights[i].api_key == api_key)
            return true;
    return false;
}

static bool open_api_at(size_t at, struct broker_right_doc *out)
{
    if (at >= COUNT_OF(open_apis))
        return false;
    *out = (struct broker_right_doc){.api = wire_api_find(open_apis[at].api_key)->name,
                                     .resource = "-",
                                     .operation = "-",
                                     .when = open_apis[at].when};
    return true;
}

bool broker_right_at(size_t at, struct broker_right_doc *out)
{
    if (at >= broker_right_count)
        return open_api_at(at - broker_right_count, out);
    const struct broker_right *right = &broker_rights[at];
    *out = (struct broker_right_doc){.api = wire_api_find(right->api_key)->name,
                                     .resource = acl_resource_word(right->resource),
                                     .operation = acl_operation_word(right->operation),
                                     .error = right->error,
                                     .when = right->when};
    return true;
}

const struct broker_api *broker_api_find(int16_t api_key)
{
    for (size_t i = 0; i < broker_api_count; i++)
        if (broker_apis[i].api_key == api_key)
            return &broker_apis[i];
    return NULL;
}

int16_t error_code_of(const struct err *err)
{
    return err_kafka_code(err->code);
}

/* Features as `kafka-features` and the clients know them: the levels we understand, and the one in force. */
struct broker_feature {
    const char *name;
    int16_t min, max, level;
};

static const struct broker_feature features[] = {
    {"eligible.leader.replicas.version", 0, 1, 1}, /* KIP-966: the only replica is one */
    {"metadata.version", 7, 30, 30},               /* 4.3: what tools take the cluster for */
    {"group.version", 0, 1, 1},                    /* KIP-848: consumer groups of the new protocol */
    {"share.version", 0, 1, 1},                    /* KIP-932: share groups */
    {"streams.version", 0, 1, 1},                  /* KIP-1071: streams groups */
    {"transaction.version", 0, 2, 2}, /* KIP-890: partitions join by themselves, each end bumps the epoch */
};

/* Clients before 4.0 cannot read a feature whose smallest level is 0: version 3 does not list it. */
static void fill_features(struct ApiVersionsResponse *res, int16_t version, struct arena *arena)
{
    enum { ZERO_VERSION = 4 };
    WIRE_ALLOC(arena, res->SupportedFeatures, ApiVersionsResponse_SupportedFeatureKey, COUNT_OF(features));
    WIRE_ALLOC(arena, res->FinalizedFeatures, ApiVersionsResponse_FinalizedFeatureKey, COUNT_OF(features));
    res->SupportedFeatures.len = res->FinalizedFeatures.len = 0;
    res->FinalizedFeaturesEpoch = 0;
    for (size_t i = 0; i < COUNT_OF(features); i++) {
        struct str name = str_from(features[i].name);
        if (features[i].min > 0 || version >= ZERO_VERSION)
            res->SupportedFeatures.at[res->SupportedFeatures.len++] =
                (struct ApiVersionsResponse_SupportedFeatureKey){name, features[i].min, features[i].max};
        if (features[i].level > 0)
            res->FinalizedFeatures.at[res->FinalizedFeatures.len++] =
                (struct ApiVersionsResponse_FinalizedFeatureKey){name, features[i].level, features[i].level};
    }
}

/* Why the level of a feature cannot be what is asked, in Apache Kafka's words where it says so too; NULL: it is that already. A
 * level is part of this program: it goes neither up nor down. */
static const char *level_fault(struct request *req, const struct broker_feature *feature,
                               const struct UpdateFeaturesRequest_FeatureUpdateKey *update)
{
    enum { UPGRADE = 1, SAFE_DOWNGRADE = 2, UNSAFE_DOWNGRADE = 3 };
    if (update->UpgradeType < UPGRADE || update->UpgradeType > UNSAFE_DOWNGRADE)
        return "The controller does not support the given upgrade type.";
    if (update->MaxVersionLevel == feature->level)
        return NULL;
    if (update->MaxVersionLevel < feature->min || update->MaxVersionLevel > feature->max)
        return str_printf(&req->arena, "Local controller 1 only supports versions %d-%d", feature->min,
                          feature->max)
            .ptr;
    if (update->MaxVersionLevel < feature->level && update->UpgradeType == UPGRADE && !update->AllowDowngrade)
        return "Can't downgrade the version of this feature without setting the upgrade type to either safe "
               "or "
               "unsafe downgrade.";
    return str_printf(&req->arena, "Its level is %d and part of this program.", feature->level).ptr;
}

/* NULL when the update changes nothing; anything else is refused. */
static const char *update_fault(struct request *req,
                                const struct UpdateFeaturesRequest_FeatureUpdateKey *update)
{
    const char *why = "Local controller 1 does not support this feature.";
    for (size_t i = 0; i < COUNT_OF(features); i++)
        if (str_eq_cstr(update->Feature, features[i].name))
            why = level_fault(req, &features[i], update);
    if (why == NULL)
        return NULL;
    return str_printf(&req->arena,
                      "The update failed for all features since the following feature had an error: Invalid "
                      "update version %d for feature %.*s. %s",
                      update->MaxVersionLevel, STR_ARG(update->Feature), why)
        .ptr;
}

void api_update_features(struct request *req)
{
    enum { INVALID_UPDATE_VERSION = 95, ROWS_UNTIL = 1 };
    const struct UpdateFeaturesRequest *body = req->body;
    struct UpdateFeaturesResponse *res = req->res;
    const char *fault = NULL;
    res->ErrorCode = request_denied_cluster(req, ACL_ALTER);
    if (res->ErrorCode != 0) {
        request_reply(req);
        return;
    }
    for (int32_t i = 0; i < body->FeatureUpdates.len && fault == NULL; i++)
        fault = update_fault(req, &body->FeatureUpdates.at[i]);
    res->ErrorMessage = str_from(fault);
    if (fault != NULL) {
        res->ErrorCode = INVALID_UPDATE_VERSION;
    } else if (req->version <= ROWS_UNTIL) {
        WIRE_ALLOC(&req->arena, res->Results, UpdateFeaturesResponse_UpdatableFeatureResult,
                   MAX(body->FeatureUpdates.len, 0));
        for (int32_t i = 0; i < body->FeatureUpdates.len; i++) {
            res->Results.at[i].Feature = body->FeatureUpdates.at[i].Feature;
            res->Results.at[i].ErrorMessage = STR("NONE"); /* Kafka's name of no error */
        }
    }
    request_reply(req);
}

static void fill_versions(struct ApiVersionsResponse *res, int16_t version, struct arena *arena)
{
    fill_features(res, version, arena);
    WIRE_ALLOC(arena, res->ApiKeys, ApiVersionsResponse_ApiVersion, broker_api_count);
    for (size_t i = 0; i < broker_api_count; i++)
        res->ApiKeys.at[i] =
            (struct ApiVersionsResponse_ApiVersion){broker_apis[i].api_key, broker_apis[i].version_min,
                                                    broker_apis[i].version_max};
}

/* [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? */
static bool is_software_word(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool inner = c == '-' || c == '.';
        bool outer = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!outer && !(inner && i != 0 && i + 1 != s.len))
            return false;
    }
    return s.len != 0;
}

void api_versions(struct request *req)
{
    enum { NAMED_VERSION = 3, INVALID_REQUEST = 42 };
    const struct ApiVersionsRequest *body = req->body;
    struct ApiVersionsResponse *res = req->res;
    if (req->version >= NAMED_VERSION &&
        (!is_software_word(body->ClientSoftwareName) || !is_software_word(body->ClientSoftwareVersion)))
        res->ErrorCode = INVALID_REQUEST;
    else
        fill_versions(res, req->version, &req->arena);
    request_reply(req);
}

void api_versions_unsupported(struct request *req)
{
    enum { UNSUPPORTED_VERSION = 35 };
    struct ApiVersionsResponse *res = wire_new(&WIRE_ApiVersionsResponse, 1, &req->arena);
    res->ErrorCode = UNSUPPORTED_VERSION;
    fill_versions(res, 0, &req->arena);
    req->version = 0;
    req->res = res;
    request_reply(req);
}
