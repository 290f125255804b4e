/* acls.c - access rules: kept by resource pattern, made, deleted, described.
 *
 *   sets:  (TOPIC, LITERAL, "orders")  -> [User:alice may READ from *] [User:bob may not WRITE from *]
 *          (TOPIC, PREFIXED, "ord")    -> ...
 *   prefix_lengths[TOPIC]: {3, 1}        which lengths of prefixes are worth looking up
 *
 * A rule is a record's key, so that making one twice is one rule, and deleting is its tombstone.
 */
#include "auth/auth_int.h"

enum { INVALID_REQUEST = 42 };

/* --- words --- */

static const char *const resources[] = {
    NULL, "Any", "Topic", "Group", "Cluster", "TransactionalId", "DelegationToken", "User"};
static const char *const patterns[] = {NULL, "Any", "Match", "Literal", "Prefixed"};
static const char *const permissions[] = {NULL, "Any", "Deny", "Allow"};
static const char *const operations[] = {NULL,
                                         "Any",
                                         "All",
                                         "Read",
                                         "Write",
                                         "Create",
                                         "Delete",
                                         "Alter",
                                         "Describe",
                                         "ClusterAction",
                                         "DescribeConfigs",
                                         "AlterConfigs",
                                         "IdempotentWrite",
                                         "CreateTokens",
                                         "DescribeTokens",
                                         "TwoPhaseCommit"};

static const char *word_at(const char *const *words, size_t count, int at)
{
    return at > 0 && (size_t)at < count ? words[at] : NULL;
}

static int word_find(const char *const *words, size_t count, struct str word)
{
    for (size_t i = 1; i < count; i++)
        if (str_eq_nocase(word, str_from(words[i])))
            return (int)i;
    return -1;
}

#define WORDS(kind, table)                              \
    const char *acl_##kind##_word(int at)               \
    {                                                   \
        return word_at(table, COUNT_OF(table), at);     \
    }                                                   \
    int acl_##kind##_find(struct str word)              \
    {                                                   \
        return word_find(table, COUNT_OF(table), word); \
    }
WORDS(resource, resources)
WORDS(pattern, patterns)
WORDS(permission, permissions)
WORDS(operation, operations)

/* --- keeping --- */

static struct str set_key(struct buf *buf, int8_t type, int8_t pattern, struct str name)
{
    buf_clear(buf);
    buf_append_char(buf, (char)type);
    buf_append_char(buf, (char)pattern);
    buf_append_str(buf, name);
    return buf_str(buf);
}

struct acl_set *acl_set_find(const struct auth *auth, enum acl_resource type, enum acl_pattern pattern,
                             struct str name)
{
    char small[256];
    struct buf large = {0};
    struct str key = str_of(small, name.len + 2);
    if (key.len > sizeof small) {
        key = set_key(&large, (int8_t)type, (int8_t)pattern, name);
    } else {
        small[0] = (char)type;
        small[1] = (char)pattern;
        memcpy(small + 2, name.ptr, name.len);
    }
    struct acl_set *set = map_get(&auth->sets, key);
    buf_fini(&large);
    return set;
}

static void count_prefix(struct auth *auth, const struct acl_set *set, int change)
{
    if (set->pattern != ACL_PREFIXED)
        return;
    size_t at = 0;
    while (at < auth->prefix_lengths[set->type].len &&
           auth->prefix_lengths[set->type].at[at].len != set->name.len)
        at++;
    if (at == auth->prefix_lengths[set->type].len)
        vec_push(&auth->prefix_lengths[set->type], (struct acl_length){set->name.len, 0});
    struct acl_length *length = &auth->prefix_lengths[set->type].at[at];
    length->count += (size_t)change;
    if (length->count == 0)
        vec_remove(&auth->prefix_lengths[set->type], at);
}

static void rule_fini(struct acl_rule *rule)
{
    free((char *)rule->principal.ptr);
    free((char *)rule->host.ptr);
}

static void set_free(struct acl_set *set)
{
    for (size_t i = 0; i < set->rules.len; i++)
        rule_fini(&set->rules.at[i]);
    vec_fini(&set->rules);
    free((char *)set->name.ptr);
    free(set);
}

static struct str owned(struct str s)
{
    return str_of(mem_dup(s.ptr, s.len), s.len);
}

static bool is_rule(const struct acl_rule *rule, const struct AclKey *key)
{
    return rule->operation == key->Operation && rule->permission == key->Permission &&
           str_eq(rule->principal, key->Principal) && str_eq(rule->host, key->Host);
}

static ptrdiff_t rule_find(const struct acl_set *set, const struct AclKey *key)
{
    for (size_t i = 0; set != NULL && i < set->rules.len; i++)
        if (is_rule(&set->rules.at[i], key))
            return (ptrdiff_t)i;
    return -1;
}

static struct acl_set *set_make(struct auth *auth, const struct AclKey *key)
{
    struct buf buf = {0};
    struct acl_set *set = mem_new(struct acl_set);
    set->type = key->ResourceType;
    set->pattern = key->PatternType;
    set->name = owned(key->ResourceName);
    map_put(&auth->sets, set_key(&buf, set->type, set->pattern, set->name), set);
    count_prefix(auth, set, 1);
    buf_fini(&buf);
    return set;
}

static void set_drop(struct auth *auth, struct acl_set *set)
{
    struct buf buf = {0};
    map_remove(&auth->sets, set_key(&buf, set->type, set->pattern, set->name));
    count_prefix(auth, set, -1);
    set_free(set);
    buf_fini(&buf);
}

void acl_apply(struct auth *auth, const struct AclKey *key, bool exists)
{
    if (key->ResourceType < 0 || key->ResourceType >= ACL_RESOURCES)
        return; /* no decision makes one */
    struct acl_set *set = acl_set_find(auth, (enum acl_resource)key->ResourceType,
                                       (enum acl_pattern)key->PatternType, key->ResourceName);
    ptrdiff_t at = rule_find(set, key);
    if (exists && at < 0) {
        if (set == NULL)
            set = set_make(auth, key);
        vec_push(&set->rules,
                 (struct acl_rule){owned(key->Principal), owned(key->Host), key->Operation, key->Permission});
        auth->rule_count++;
    } else if (!exists && at >= 0) {
        rule_fini(&set->rules.at[at]);
        vec_remove(&set->rules, (size_t)at);
        auth->rule_count--;
        if (set->rules.len == 0)
            set_drop(auth, set);
    }
}

static struct AclKey key_of(const struct acl_set *set, const struct acl_rule *rule)
{
    return (struct AclKey){.ResourceType = set->type,
                           .PatternType = set->pattern,
                           .ResourceName = set->name,
                           .Principal = rule->principal,
                           .Host = rule->host,
                           .Operation = rule->operation,
                           .Permission = rule->permission};
}

static void add_rule(const struct AclKey *key, bool exists, int64_t now_ms, struct replay_records *out)
{
    struct AclValue value = {.CreatedMs = now_ms};
    replay_add_typed(out, &AclKey_message, key, &AclValue_message, 0, exists ? &value : NULL, now_ms);
}

void acls_snapshot(struct auth *auth, struct replay_records *out)
{
    void *value;
    for (size_t i = 0; map_next(&auth->sets, &i, NULL, &value);) {
        const struct acl_set *set = value;
        for (size_t j = 0; j < set->rules.len; j++) {
            struct AclKey key = key_of(set, &set->rules.at[j]);
            add_rule(&key, true, 0, out);
        }
    }
}

void acls_fini(struct auth *auth)
{
    void *set;
    for (size_t i = 0; map_next(&auth->sets, &i, NULL, &set);)
        set_free(set);
    map_fini(&auth->sets);
    for (size_t i = 0; i < ACL_RESOURCES; i++)
        vec_fini(&auth->prefix_lengths[i]);
}

/* --- CreateAcls --- */

typedef struct CreateAclsRequest_AclCreation creation;

static struct str fault_of(const creation *asked)
{
    ptrdiff_t colon = str_find_char(asked->Principal, ':');
    if (asked->ResourceType < ACL_TOPIC || asked->ResourceType > ACL_USER)
        return STR("Invalid resourceType");
    if (asked->ResourcePatternType != ACL_LITERAL && asked->ResourcePatternType != ACL_PREFIXED)
        return STR("Invalid patternType: only LITERAL and PREFIXED can be created");
    if (asked->ResourceName.len == 0)
        return STR("Resource name should not be empty");
    if (asked->ResourceType == ACL_CLUSTER && !str_eq(asked->ResourceName, STR(ACL_CLUSTER_NAME)))
        return STR("The only valid name for the CLUSTER resource is kafka-cluster");
    if (asked->Operation < ACL_ALL || acl_operation_word(asked->Operation) == NULL)
        return STR("Invalid operation");
    if (asked->PermissionType != ACL_DENY && asked->PermissionType != ACL_ALLOW)
        return STR("Invalid permissionType");
    if (colon <= 0 || (size_t)colon + 1 == asked->Principal.len)
        return STR("Could not parse principal: expected TYPE:NAME, such as User:alice");
    return asked->Host.len == 0 ? STR("Host should not be empty; * stands for all") : STR_NULL;
}

bool auth_decide_create_acls(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct auth *auth = state;
    struct auth_call *call = request;
    const struct CreateAclsRequest *req = call->req;
    struct CreateAclsResponse *res = call->res;
    int32_t count = MAX(req->Creations.len, 0);
    if (auth->rule_count + (size_t)count > AUTH_RULES_MAX)
        return err_set(err, ERR_LIMIT, "there are %zu access rules, and no more than %d are kept",
                       auth->rule_count, AUTH_RULES_MAX);
    WIRE_ALLOC(call->arena, res->Results, CreateAclsResponse_AclCreationResult, count);
    for (int32_t i = 0; i < count; i++) {
        const creation *asked = &req->Creations.at[i];
        struct str fault = fault_of(asked);
        struct AclKey key = {.ResourceType = asked->ResourceType,
                             .PatternType = asked->ResourcePatternType,
                             .ResourceName = asked->ResourceName,
                             .Principal = asked->Principal,
                             .Host = asked->Host,
                             .Operation = asked->Operation,
                             .Permission = asked->PermissionType};
        struct acl_set *set = acl_set_find(auth, (enum acl_resource)key.ResourceType,
                                           (enum acl_pattern)key.PatternType, key.ResourceName);
        if (!str_is_null(fault)) {
            res->Results.at[i].ErrorCode = INVALID_REQUEST;
            res->Results.at[i].ErrorMessage = fault;
        } else if (rule_find(set, &key) < 0) { /* making it twice in one request is harmless */
            add_rule(&key, true, call->now_ms, out);
        }
    }
    return true;
}

/* --- filters --- */

struct acl_filter {
    int8_t type, pattern, operation, permission;
    struct str name, principal, host; /* null: any */
};

static struct str filter_fault(const struct acl_filter *filter)
{
    if (acl_resource_word(filter->type) == NULL)
        return STR("Unknown resource type in the filter");
    if (acl_pattern_word(filter->pattern) == NULL)
        return STR("Unknown pattern type in the filter");
    if (acl_operation_word(filter->operation) == NULL)
        return STR("Unknown operation in the filter");
    return acl_permission_word(filter->permission) == NULL ? STR("Unknown permission type in the filter")
                                                           : STR_NULL;
}

static bool filter_takes_set(const struct acl_filter *filter, const struct acl_set *set)
{
    bool exact = filter->pattern == ACL_ANY_PATTERN || filter->pattern == set->pattern;
    if (filter->type != ACL_ANY_RESOURCE && filter->type != set->type)
        return false;
    if (!exact && filter->pattern != ACL_MATCH)
        return false;
    if (str_is_null(filter->name))
        return true;
    if (exact)
        return str_eq(filter->name, set->name);
    return set->pattern == ACL_LITERAL ? str_eq(filter->name, set->name) || str_eq(set->name, STR("*"))
                                       : str_starts_with(filter->name, set->name);
}

static bool filter_takes_rule(const struct acl_filter *filter, const struct acl_rule *rule)
{
    return (str_is_null(filter->principal) || str_eq(filter->principal, rule->principal)) &&
           (str_is_null(filter->host) || str_eq(filter->host, rule->host)) &&
           (filter->operation == ACL_ANY_OPERATION || filter->operation == rule->operation) &&
           (filter->permission == ACL_ANY_PERMISSION || filter->permission == rule->permission);
}

/* --- DescribeAcls --- */

static void describe_set(const struct acl_filter *filter, const struct acl_set *set,
                         struct DescribeAclsResponse *res, struct arena *arena)
{
    struct DescribeAclsResponse_DescribeAclsResource *row = &res->Resources.at[res->Resources.len];
    WIRE_ALLOC(arena, row->Acls, DescribeAclsResponse_AclDescription, set->rules.len);
    row->Acls.len = 0;
    for (size_t i = 0; i < set->rules.len; i++) {
        const struct acl_rule *rule = &set->rules.at[i];
        if (filter_takes_rule(filter, rule))
            row->Acls.at[row->Acls.len++] =
                (struct DescribeAclsResponse_AclDescription){str_dup(rule->principal, arena),
                                                             str_dup(rule->host, arena), rule->operation,
                                                             rule->permission};
    }
    if (row->Acls.len == 0)
        return;
    row->ResourceType = set->type;
    row->PatternType = set->pattern;
    row->ResourceName = str_dup(set->name, arena);
    res->Resources.len++;
}

void auth_describe_acls(const struct auth *auth, struct auth_call *call)
{
    const struct DescribeAclsRequest *req = call->req;
    struct DescribeAclsResponse *res = call->res;
    struct acl_filter filter = {req->ResourceTypeFilter, req->PatternTypeFilter,  req->Operation,
                                req->PermissionType,     req->ResourceNameFilter, req->PrincipalFilter,
                                req->HostFilter};
    struct str fault = filter_fault(&filter);
    void *set;
    if (!str_is_null(fault)) {
        res->ErrorCode = INVALID_REQUEST;
        res->ErrorMessage = fault;
        return;
    }
    res->ErrorMessage = STR(""); /* as Kafka has it; DeleteAcls says null */
    WIRE_ALLOC(call->arena, res->Resources, DescribeAclsResponse_DescribeAclsResource, auth->sets.len);
    res->Resources.len = 0;
    for (size_t i = 0; map_next(&auth->sets, &i, NULL, &set);)
        if (filter_takes_set(&filter, set))
            describe_set(&filter, set, res, call->arena);
}

/* --- DeleteAcls --- */

typedef struct DeleteAclsResponse_DeleteAclsFilterResult filter_result;

static void delete_from(const struct acl_filter *filter, const struct acl_set *set, filter_result *result,
                        struct auth_call *call, struct replay_records *out)
{
    for (size_t i = 0; i < set->rules.len; i++) {
        const struct acl_rule *rule = &set->rules.at[i];
        if (!filter_takes_rule(filter, rule))
            continue;
        struct AclKey key = key_of(set, rule);
        add_rule(&key, false, call->now_ms, out);
        result->MatchingAcls.at[result->MatchingAcls.len++] =
            (struct DeleteAclsResponse_DeleteAclsMatchingAcl){
                .ErrorMessage = STR_NULL,
                .ResourceType = set->type,
                .ResourceName = str_dup(set->name, call->arena),
                .PatternType = set->pattern,
                .Principal = str_dup(rule->principal, call->arena),
                .Host = str_dup(rule->host, call->arena),
                .Operation = rule->operation,
                .PermissionType = rule->permission,
            };
    }
}

static size_t count_matches(const struct auth *auth, const struct acl_filter *filter)
{
    size_t count = 0;
    void *value;
    for (size_t i = 0; map_next(&auth->sets, &i, NULL, &value);) {
        const struct acl_set *set = value;
        for (size_t j = 0; filter_takes_set(filter, set) && j < set->rules.len; j++)
            count += filter_takes_rule(filter, &set->rules.at[j]);
    }
    return count;
}

bool auth_decide_delete_acls(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct auth *auth = state;
    struct auth_call *call = request;
    const struct DeleteAclsRequest *req = call->req;
    struct DeleteAclsResponse *res = call->res;
    void *set;
    WIRE_ALLOC(call->arena, res->FilterResults, DeleteAclsResponse_DeleteAclsFilterResult,
               MAX(req->Filters.len, 0));
    for (int32_t i = 0; i < req->Filters.len; i++) {
        const struct DeleteAclsRequest_DeleteAclsFilter *asked = &req->Filters.at[i];
        filter_result *result = &res->FilterResults.at[i];
        struct acl_filter filter = {asked->ResourceTypeFilter, asked->PatternTypeFilter,
                                    asked->Operation,          asked->PermissionType,
                                    asked->ResourceNameFilter, asked->PrincipalFilter,
                                    asked->HostFilter};
        struct str fault = filter_fault(&filter);
        if (!str_is_null(fault)) {
            result->ErrorCode = INVALID_REQUEST;
            result->ErrorMessage = fault;
            continue;
        }
        result->ErrorMessage = STR_NULL;
        size_t count = count_matches(auth, &filter);
        WIRE_ALLOC(call->arena, result->MatchingAcls, DeleteAclsResponse_DeleteAclsMatchingAcl, count);
        result->MatchingAcls.len = 0;
        for (size_t j = 0; map_next(&auth->sets, &j, NULL, &set);)
            if (filter_takes_set(&filter, set))
                delete_from(&filter, set, result, call, out);
    }
    return true;
}
