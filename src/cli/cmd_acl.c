/* cmd_acl.c - rialto acl: access rules of a server. */
#include <stdio.h>
#include <unistd.h>

#include "auth/auth.h"
#include "cli/kafka_int.h"
#include "cli/table_int.h"

enum { DESCRIBE_ACLS = 29, CREATE_ACLS = 30, DELETE_ACLS = 31 };

static const struct table_column acl_columns[] = {{STR_INIT("RESOURCE"), STR_INIT("resource"), false},
                                                  {STR_INIT("NAME"), STR_INIT("name"), false},
                                                  {STR_INIT("PATTERN"), STR_INIT("pattern"), false},
                                                  {STR_INIT("PRINCIPAL"), STR_INIT("principal"), false},
                                                  {STR_INIT("HOST"), STR_INIT("host"), false},
                                                  {STR_INIT("OPERATION"), STR_INIT("operation"), false},
                                                  {STR_INIT("PERMISSION"), STR_INIT("permission"), false}};

/* What a rule is about. */
struct resource {
    int8_t type; /* 0: not said */
    struct str name;
};

static struct resource read_resource(const struct cli *cli)
{
    static const struct {
        const char *option;
        int8_t type;
    } kinds[] = {{"topic", ACL_TOPIC}, {"group", ACL_GROUP}, {"transactional-id", ACL_TRANSACTIONAL_ID}};
    struct resource resource = {0, STR_NULL};
    if (cli_flag(cli, "cluster"))
        resource = (struct resource){ACL_CLUSTER, STR(ACL_CLUSTER_NAME)};
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (!str_is_null(cli_value(cli, kinds[i].option)))
            resource = (struct resource){kinds[i].type, cli_value(cli, kinds[i].option)};
    return resource;
}

/* "alice" means "User:alice". */
static struct str principal_of(struct str word, struct arena *arena)
{
    return str_find_char(word, ':') >= 0 ? word : str_printf(arena, "User:%.*s", STR_ARG(word));
}

static bool read_operation(struct str word, int8_t *operation, struct err *err)
{
    int found = acl_operation_find(word);
    *operation = (int8_t)found;
    return found > 0 ||
           err_set(
               err, ERR_USAGE,
               "there is no operation '%.*s': Read, Write, Create, Delete, Alter, Describe, ClusterAction, "
               "DescribeConfigs, AlterConfigs, IdempotentWrite, TwoPhaseCommit, All",
               STR_ARG(word));
}

/* --- create --- */

typedef struct CreateAclsRequest_AclCreation creation;

/* Every principal with every operation. */
static bool list_creations(struct cli *cli, struct CreateAclsRequest *req, struct err *err)
{
    struct resource resource = read_resource(cli);
    struct str host = cli_value(cli, "host");
    size_t n = cli->values.len;
    req->Creations.at = arena_array(&cli->arena, creation, n * n + 1);
    if (resource.type == 0)
        return err_set(err, ERR_USAGE,
                       "a rule is about a --topic, --group, --transactional-id or the --cluster");
    for (size_t i = 0; i < n; i++) {
        bool allow = strcmp(cli->values.at[i].option->name, "allow") == 0;
        if (!allow && strcmp(cli->values.at[i].option->name, "deny") != 0)
            continue;
        for (size_t j = 0; j < n; j++) {
            if (strcmp(cli->values.at[j].option->name, "operation") != 0)
                continue;
            creation *one = &req->Creations.at[req->Creations.len++];
            *one = (creation){.ResourceType = resource.type,
                              .ResourceName = resource.name,
                              .ResourcePatternType = cli_flag(cli, "prefixed") ? ACL_PREFIXED : ACL_LITERAL,
                              .Principal = principal_of(cli->values.at[i].text, &cli->arena),
                              .Host = str_is_null(host) ? STR("*") : host,
                              .PermissionType = allow ? ACL_ALLOW : ACL_DENY};
            if (!read_operation(cli->values.at[j].text, &one->Operation, err))
                return false;
        }
    }
    return req->Creations.len > 0 ||
           err_set(err, ERR_USAGE, "a rule needs --allow or --deny, and --operation");
}

int cli_acl_create(struct cli *cli)
{
    struct CreateAclsRequest req = {0};
    struct CreateAclsResponse res;
    struct kafka kafka;
    struct err err = {0};
    if (!list_creations(cli, &req, &err))
        return cli_fail(cli, &err, NULL);
    kafka_init(&kafka, cli->brokers, cli->security, cli->stop_fd);
    bool good = kafka_call(&kafka, KAFKA_ANY, CREATE_ACLS, &req, &res, 0, &cli->arena, &err);
    for (int32_t i = 0; good && i < res.Results.len; i++)
        good =
            kafka_check(res.Results.at[i].ErrorCode, res.Results.at[i].ErrorMessage, &err, "making a rule");
    kafka_fini(&kafka);
    if (!good)
        return cli_fail(cli, &err, NULL);
    cli_note(cli, "%d rules are in force", req.Creations.len);
    return CLI_OK;
}

/* --- list, delete --- */

static bool read_filter(struct cli *cli, struct DescribeAclsRequest *filter, struct err *err)
{
    struct resource resource = read_resource(cli);
    struct str principal = cli_value(cli, "principal"), operation = cli_value(cli, "operation");
    bool prefixed = cli_flag(cli, "prefixed"), matching = cli_flag(cli, "matching");
    *filter = (struct DescribeAclsRequest){
        .ResourceTypeFilter = resource.type != 0 ? resource.type : ACL_ANY_RESOURCE,
        .ResourceNameFilter = resource.name,
        .PatternTypeFilter = prefixed   ? ACL_PREFIXED
                             : matching ? ACL_MATCH
                                        : ACL_ANY_PATTERN,
        .PrincipalFilter = str_is_null(principal) ? STR_NULL : principal_of(principal, &cli->arena),
        .HostFilter = STR_NULL,
        .Operation = ACL_ANY_OPERATION,
        .PermissionType = ACL_ANY_PERMISSION,
    };
    return str_is_null(operation) || read_operation(operation, &filter->Operation, err);
}

static struct str word(const char *text)
{
    return text != NULL ? str_from(text) : STR("?");
}

static int print_rules(struct cli *cli, const struct DescribeAclsResponse *res)
{
    struct table table;
    table_init(&table, cli, acl_columns, COUNT_OF(acl_columns));
    for (int32_t i = 0; i < res->Resources.len; i++) {
        const struct DescribeAclsResponse_DescribeAclsResource *resource = &res->Resources.at[i];
        for (int32_t j = 0; j < resource->Acls.len; j++) {
            const struct DescribeAclsResponse_AclDescription *rule = &resource->Acls.at[j];
            struct str cells[] = {word(acl_resource_word(resource->ResourceType)),
                                  resource->ResourceName,
                                  word(acl_pattern_word(resource->PatternType)),
                                  rule->Principal,
                                  rule->Host,
                                  word(acl_operation_word(rule->Operation)),
                                  word(acl_permission_word(rule->PermissionType))};
            table_row(&table, cells);
        }
    }
    table_print(&table);
    table_fini(&table);
    return CLI_OK;
}

static bool find_rules(struct cli *cli, struct kafka *kafka, struct DescribeAclsRequest *filter,
                       struct DescribeAclsResponse *res, struct err *err)
{
    return read_filter(cli, filter, err) &&
           kafka_call(kafka, KAFKA_ANY, DESCRIBE_ACLS, filter, res, 0, &cli->arena, err) &&
           kafka_check(res->ErrorCode, res->ErrorMessage, err, "listing rules");
}

int cli_acl_list(struct cli *cli)
{
    struct DescribeAclsRequest filter;
    struct DescribeAclsResponse res;
    struct kafka kafka;
    struct err err = {0};
    kafka_init(&kafka, cli->brokers, cli->security, cli->stop_fd);
    bool good = find_rules(cli, &kafka, &filter, &res, &err);
    kafka_fini(&kafka);
    return good ? print_rules(cli, &res) : cli_fail(cli, &err, NULL);
}

static int count_rules(const struct DescribeAclsResponse *res)
{
    int count = 0;
    for (int32_t i = 0; i < res->Resources.len; i++)
        count += res->Resources.at[i].Acls.len;
    return count;
}

int cli_acl_delete(struct cli *cli)
{
    struct DescribeAclsRequest filter;
    struct DescribeAclsResponse found;
    struct DeleteAclsResponse res;
    struct kafka kafka;
    struct err err = {0};
    kafka_init(&kafka, cli->brokers, cli->security, cli->stop_fd);
    bool good = find_rules(cli, &kafka, &filter, &found, &err);
    int count = good ? count_rules(&found) : 0;
    good = good && (count == 0 || cli_confirm(cli, &err, "delete %d rules", count));
    struct DeleteAclsRequest_DeleteAclsFilter one = {filter.ResourceTypeFilter, filter.ResourceNameFilter,
                                                     filter.PatternTypeFilter,  filter.PrincipalFilter,
                                                     filter.HostFilter,         filter.Operation,
                                                     filter.PermissionType};
    struct DeleteAclsRequest req = {.Filters = {&one, 1}};
    good = good && kafka_call(&kafka, KAFKA_ANY, DELETE_ACLS, &req, &res, 0, &cli->arena, &err) &&
           res.FilterResults.len == 1 &&
           kafka_check(res.FilterResults.at[0].ErrorCode, res.FilterResults.at[0].ErrorMessage, &err,
                       "deleting rules");
    kafka_fini(&kafka);
    if (!good)
        return cli_fail(cli, &err, NULL);
    cli_note(cli, "deleted %d rules", res.FilterResults.at[0].MatchingAcls.len);
    return CLI_OK;
}
