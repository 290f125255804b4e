/* test_acl.c - access rules: the decision table of Kafka's StandardAuthorizer, filters of DescribeAcls and DeleteAcls as
 * ResourcePatternFilter has them, rules that may not be made, the state as records. */
#include "auth_test.h"

#include <stdio.h>

static struct arena arena;

static struct auth *make_auth(bool allow_if_no_acl)
{
    static const uint8_t secret[32];
    struct auth_config config;
    struct err err;
    auth_config_init(&config);
    config.authorizer = STR("StandardAuthorizer");
    config.super_users = STR("User:root; User:CN=admin,O=Shop");
    config.allow_if_no_acl = allow_if_no_acl;
    struct auth *auth = auth_new(&config, secret, &err);
    if (auth == NULL)
        fail_msg("%s", err.text);
    return auth;
}

/* "Allow User:alice Read Topic Literal orders *" */
static bool read_rule(const char *text, struct CreateAclsRequest_AclCreation *rule)
{
    struct str part[6], rest = str_from(text);
    for (size_t i = 0; i < 6; i++)
        if (!str_split(&rest, ' ', &part[i]))
            return false;
    *rule = (struct CreateAclsRequest_AclCreation){
        .ResourceType = (int8_t)acl_resource_find(part[3]),
        .ResourceName = part[5],
        .ResourcePatternType = (int8_t)acl_pattern_find(part[4]),
        .Principal = part[1],
        .Host = str_is_null(rest) ? STR("*") : rest,
        .Operation = (int8_t)acl_operation_find(part[2]),
        .PermissionType = (int8_t)acl_permission_find(part[0]),
    };
    return true;
}

/* Error code of making it. */
static int16_t put(struct auth *auth, const char *text)
{
    struct CreateAclsRequest_AclCreation rule;
    struct CreateAclsRequest req = {.Creations = {&rule, 1}};
    struct CreateAclsResponse res = {0};
    struct auth_call call = {.req = &req, .res = &res, .arena = &arena};
    struct replay_records records = {0};
    struct err err;
    assert_true(read_rule(text, &rule));
    assert_true(auth_decide_create_acls(auth, &call, &records, &err));
    apply_all(auth, &records);
    return res.Results.at[0].ErrorCode;
}

static bool allows(const struct auth *auth, const char *who, const char *host, const char *operation,
                   const char *type, const char *name)
{
    struct auth_who from = {str_from(who), str_from(host)};
    return auth_allows(auth, from, (enum acl_resource)acl_resource_find(str_from(type)), str_from(name),
                       (enum acl_operation)acl_operation_find(str_from(operation)));
}

/* ---- decisions ---- */

static void test_decisions(void **state)
{
    static const char *const rules[] = {
        "Allow User:alice Read Topic Literal orders",
        "Allow User:alice Write Topic Prefixed ord",
        "Deny User:alice Write Topic Literal ord-secret",
        "Allow User:* Read Topic Literal public",
        "Deny User:eve Read Topic Literal *",
        "Allow User:bob All Topic Literal *",
        "Deny User:bob Delete Topic Prefixed keep",
        "Allow User:carol Describe Topic Literal a",
        "Allow User:carol Delete Topic Literal b",
        "Allow User:carol Alter Topic Literal c",
        "Allow User:carol AlterConfigs Topic Literal d",
        "Allow User:dave Read Topic Literal home 192.0.2.1",
        "Deny User:dave All Topic Literal away 192.0.2.9",
        "Allow User:dave All Topic Literal away",
        "Deny User:frank Describe Topic Literal both",
        "Allow User:frank Read Topic Literal both",
        "Allow User:alice Read Group Literal g",
        "Allow User:ops Alter Cluster Literal kafka-cluster",
    };
    static const struct {
        const char *who, *host, *operation, *type, *name;
        bool allowed;
    } cases[] = {
        {"User:alice", "1.1.1.1", "Read", "Topic", "orders", true},
        {"User:alice", "1.1.1.1", "Describe", "Topic", "orders", true}, /* by READ */
        {"User:alice", "1.1.1.1", "DescribeConfigs", "Topic", "orders", false},
        {"User:alice", "1.1.1.1", "Write", "Topic", "orders", true}, /* by the prefix */
        {"User:alice", "1.1.1.1", "Write", "Topic", "or", false},
        {"User:alice", "1.1.1.1", "Write", "Topic", "ord", true},
        {"User:alice", "1.1.1.1", "Write", "Topic", "ord-secret", false}, /* the denial beats the prefix */
        {"User:alice", "1.1.1.1", "Describe", "Topic", "ord-secret",
         true}, /* and denies what it names only */
        {"User:alice", "1.1.1.1", "Read", "Topic", "orders2", false},
        {"User:alice", "1.1.1.1", "Read", "Group", "g", true},
        {"User:alice", "1.1.1.1", "Delete", "Group", "g", false},
        {"User:alice", "1.1.1.1", "Read", "Group", "orders", false}, /* a topic's rule is no group's */
        {"User:nobody", "1.1.1.1", "Read", "Topic", "public", true},
        {"User:nobody", "1.1.1.1", "Write", "Topic", "public", false},
        {"User:eve", "1.1.1.1", "Read", "Topic", "public", false}, /* denied everywhere */
        {"User:bob", "1.1.1.1", "Delete", "Topic", "anything", true},
        {"User:bob", "1.1.1.1", "Delete", "Topic", "keep", false},
        {"User:bob", "1.1.1.1", "Delete", "Topic", "keepsake", false},
        {"User:bob", "1.1.1.1", "Read", "Topic", "keepsake", true},
        {"User:bob", "1.1.1.1", "Delete", "Topic", "kee", true},
        {"User:carol", "1.1.1.1", "Describe", "Topic", "a", true},
        {"User:carol", "1.1.1.1", "Read", "Topic", "a", false}, /* DESCRIBE implies nothing */
        {"User:carol", "1.1.1.1", "Describe", "Topic", "b", true},
        {"User:carol", "1.1.1.1", "Describe", "Topic", "c", true},
        {"User:carol", "1.1.1.1", "AlterConfigs", "Topic", "c", false},
        {"User:carol", "1.1.1.1", "DescribeConfigs", "Topic", "d", true},
        {"User:carol", "1.1.1.1", "Describe", "Topic", "d", false},
        {"User:dave", "192.0.2.1", "Read", "Topic", "home", true},
        {"User:dave", "192.0.2.2", "Read", "Topic", "home", false},
        {"User:dave", "192.0.2.2", "Read", "Topic", "away", true},
        {"User:dave", "192.0.2.9", "Read", "Topic", "away", false},
        {"User:frank", "1.1.1.1", "Describe", "Topic", "both", false},
        {"User:frank", "1.1.1.1", "Read", "Topic", "both", true},
        {"User:ops", "1.1.1.1", "Alter", "Cluster", "kafka-cluster", true},
        {"User:ops", "1.1.1.1", "Describe", "Cluster", "kafka-cluster", true},
        {"User:ops", "1.1.1.1", "Create", "Cluster", "kafka-cluster", false},
        {"User:root", "1.1.1.1", "ClusterAction", "Cluster", "kafka-cluster", true},
        {"User:CN=admin,O=Shop", "1.1.1.1", "Write", "Topic", "ord-secret", true},
        {"User:ANONYMOUS", "1.1.1.1", "Read", "Topic", "orders", false},
    };
    struct auth *auth = make_auth(false);
    for (size_t i = 0; i < COUNT_OF(rules); i++)
        assert_int_equal(put(auth, rules[i]), 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (allows(auth, cases[i].who, cases[i].host, cases[i].operation, cases[i].type, cases[i].name) !=
            cases[i].allowed)
            fail_msg("%s from %s: %s %s %s", cases[i].who, cases[i].host, cases[i].operation, cases[i].type,
                     cases[i].name);
    auth_free(auth);
}

/* allow.everyone.if.no.acl.found: as soon as any rule names the resource, whoever it is for, it no longer holds. */
static void test_no_rule_at_all(void **state)
{
    struct auth *closed = make_auth(false), *open = make_auth(true);
    assert_false(allows(closed, "User:alice", "h", "Read", "Topic", "t"));
    assert_true(allows(open, "User:alice", "h", "Read", "Topic", "t"));
    put(open, "Allow User:bob Read Topic Literal t");
    assert_false(allows(open, "User:alice", "h", "Read", "Topic", "t"));
    assert_true(allows(open, "User:alice", "h", "Read", "Topic", "t2"));
    put(open, "Deny User:bob Read Topic Prefixed t");
    assert_false(allows(open, "User:alice", "h", "Read", "Topic", "t2"));
    assert_false(allows(open, "User:bob", "h", "Read", "Topic", "t"));
    auth_free(closed);
    auth_free(open);
}

static bool allows_any(const struct auth *auth, const char *who)
{
    return auth_allows_any(auth, (struct auth_who){str_from(who), STR("h")}, ACL_TOPIC, ACL_WRITE);
}

/* "WRITE on any topic": a permission that no denial covers. */
static void test_any_resource(void **state)
{
    struct auth *auth = make_auth(false);
    put(auth, "Allow User:a Write Topic Literal t");
    put(auth, "Allow User:b Write Topic Prefixed p");
    put(auth, "Allow User:c Write Topic Literal t");
    put(auth, "Deny User:c Write Topic Literal *");
    put(auth, "Allow User:d Write Topic Literal pq");
    put(auth, "Deny User:d Write Topic Prefixed p");
    put(auth, "Allow User:e Write Topic Prefixed pq");
    put(auth, "Deny User:e All Topic Prefixed p");
    put(auth, "Allow User:f Write Topic Literal *");
    put(auth, "Deny User:f Write Topic Literal t");
    put(auth, "Allow User:g Read Topic Literal t");
    assert_true(allows_any(auth, "User:a"));
    assert_true(allows_any(auth, "User:b"));
    assert_false(allows_any(auth, "User:c"));
    assert_false(allows_any(auth, "User:d"));
    assert_false(allows_any(auth, "User:e"));
    assert_true(allows_any(auth, "User:f"));
    assert_false(allows_any(auth, "User:g"));
    assert_true(allows_any(auth, "User:root"));
    auth_free(auth);
}

static void test_operations(void **state)
{
    struct auth *auth = make_auth(false);
    struct auth_config config;
    uint8_t secret[32] = {0};
    auth_config_init(&config);
    struct auth *off = auth_new(&config, secret, NULL);
    struct auth_who alice = {STR("User:alice"), STR("h")};
    put(auth, "Allow User:alice Write Topic Literal t");
    assert_int_equal(auth_operations(auth, alice, ACL_TOPIC, STR("t")), 1 << 4 | 1 << 8);
    assert_int_equal(auth_operations(auth, alice, ACL_TOPIC, STR("u")), 0);
    /* Without an authorizer: all that Kafka's AclEntry.supportedOperations names. */
    assert_false(auth_is_on(off));
    assert_int_equal(auth_operations(off, alice, ACL_TOPIC, STR("t")), 0xdf8);
    assert_int_equal(auth_operations(off, alice, ACL_GROUP, STR("g")),
                     1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11);
    assert_int_equal(auth_operations(off, alice, ACL_CLUSTER, STR(ACL_CLUSTER_NAME)), 0x1fa0 & ~(1 << 6));
    auth_free(auth);
    auth_free(off);
}

/* ---- making, finding, deleting ---- */

static void test_rules_that_are_refused(void **state)
{
    static const char *const bad[] = {
        "Any User:a Read Topic Literal t",  "Allow a Read Topic Literal t",
        "Allow User: Read Topic Literal t", "Allow :a Read Topic Literal t",
        "Allow User:a Any Topic Literal t", "Allow User:a Read Any Literal t",
        "Allow User:a Read Topic Match t",  "Allow User:a Read Topic Any t",
        "Allow User:a Read Topic Literal ", "Allow User:a Alter Cluster Literal mine",
    };
    struct auth *auth = make_auth(false);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (put(auth, bad[i]) != 42)
            fail_msg("%s", bad[i]);
    assert_int_equal(auth->rule_count, 0);
    assert_int_equal(put(auth, "Allow User:a Read Topic Literal t"), 0);
    assert_int_equal(put(auth, "Allow User:a Read Topic Literal t"), 0); /* making it again changes nothing */
    assert_int_equal(auth->rule_count, 1);
    auth_free(auth);
}

static int count_found(const struct auth *auth, struct DescribeAclsRequest req)
{
    struct DescribeAclsResponse res = {0};
    struct auth_call call = {.req = &req, .res = &res, .arena = &arena};
    int count = 0;
    auth_describe_acls(auth, &call);
    if (res.ErrorCode != 0)
        return -res.ErrorCode;
    for (int32_t i = 0; i < res.Resources.len; i++)
        count += res.Resources.at[i].Acls.len;
    return count;
}

static void test_filters(void **state)
{
    struct auth *auth = make_auth(false);
    put(auth, "Allow User:a Read Topic Literal foo");
    put(auth, "Deny User:b Read Topic Literal foo 192.0.2.1");
    put(auth, "Allow User:a Read Topic Literal *");
    put(auth, "Allow User:a Read Topic Prefixed fo");
    put(auth, "Allow User:a Read Topic Prefixed foobar");
    put(auth, "Allow User:a Write Group Literal foo");
    const struct {
        struct DescribeAclsRequest req;
        int count;
    } cases[] = {
        {{ACL_ANY_RESOURCE, STR_NULL, ACL_ANY_PATTERN, STR_NULL, STR_NULL, 1, 1}, 6},
        {{ACL_TOPIC, STR_NULL, ACL_ANY_PATTERN, STR_NULL, STR_NULL, 1, 1}, 5},
        {{ACL_TOPIC, STR("foo"), ACL_LITERAL, STR_NULL, STR_NULL, 1, 1}, 2},
        {{ACL_TOPIC, STR("foo"), ACL_ANY_PATTERN, STR_NULL, STR_NULL, 1, 1}, 2},
        {{ACL_TOPIC, STR("foo"), ACL_MATCH, STR_NULL, STR_NULL, 1, 1}, 4}, /* foo twice, "*", "fo..." */
        {{ACL_TOPIC, STR("fo"), ACL_PREFIXED, STR_NULL, STR_NULL, 1, 1}, 1},
        {{ACL_TOPIC, STR("foobarbaz"), ACL_MATCH, STR_NULL, STR_NULL, 1, 1}, 3},
        {{ACL_ANY_RESOURCE, STR_NULL, ACL_ANY_PATTERN, STR("User:b"), STR_NULL, 1, 1}, 1},
        {{ACL_ANY_RESOURCE, STR_NULL, ACL_ANY_PATTERN, STR_NULL, STR("192.0.2.1"), 1, 1}, 1},
        {{ACL_ANY_RESOURCE, STR_NULL, ACL_ANY_PATTERN, STR_NULL, STR_NULL, ACL_WRITE, 1}, 1},
        {{ACL_ANY_RESOURCE, STR_NULL, ACL_ANY_PATTERN, STR_NULL, STR_NULL, 1, ACL_DENY}, 1},
        {{ACL_ANY_RESOURCE, STR_NULL, 0, STR_NULL, STR_NULL, 1, 1}, -42},
        {{99, STR_NULL, ACL_ANY_PATTERN, STR_NULL, STR_NULL, 1, 1}, -42},
        {{ACL_TOPIC, STR_NULL, ACL_ANY_PATTERN, STR_NULL, STR_NULL, 16, 1}, -42},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (count_found(auth, cases[i].req) != cases[i].count)
            fail_msg("case %zu: %d", i, count_found(auth, cases[i].req));
    auth_free(auth);
}

static void test_deletion_and_records(void **state)
{
    struct auth *auth = make_auth(false), *again = make_auth(false);
    struct replay_records records = {0};
    struct err err;
    put(auth, "Allow User:a Read Topic Literal foo");
    put(auth, "Allow User:a Write Topic Literal foo");
    put(auth, "Allow User:a Read Topic Prefixed fo");
    struct DeleteAclsRequest_DeleteAclsFilter filters[] = {
        {ACL_TOPIC, STR_INIT("foo"), ACL_MATCH, STR_NULL, STR_NULL, ACL_READ, 1},
        {ACL_GROUP, STR_INIT("foo"), ACL_LITERAL, STR_NULL, STR_NULL, 1, 1},
        {ACL_TOPIC, STR_INIT("foo"), 7, STR_NULL, STR_NULL, 1, 1},
    };
    struct DeleteAclsRequest req = {.Filters = {filters, 3}};
    struct DeleteAclsResponse res = {0};
    struct auth_call call = {.req = &req, .res = &res, .arena = &arena};
    assert_true(auth_decide_delete_acls(auth, &call, &records, &err));
    assert_int_equal(res.FilterResults.at[0].MatchingAcls.len, 2);
    assert_int_equal(res.FilterResults.at[1].MatchingAcls.len, 0);
    assert_int_equal(res.FilterResults.at[1].ErrorCode, 0);
    assert_int_equal(res.FilterResults.at[2].ErrorCode, 42);
    assert_int_equal(records.list.len, 2);
    apply_all(auth, &records);
    assert_int_equal(auth->rule_count, 1);
    assert_false(allows(auth, "User:a", "h", "Read", "Topic", "foo"));
    assert_false(allows(auth, "User:a", "h", "Read", "Topic", "fox"));
    assert_true(allows(auth, "User:a", "h", "Write", "Topic", "foo"));
    assert_int_equal(auth->prefix_lengths[ACL_TOPIC].len, 0);
    records = (struct replay_records){0};
    auth_snapshot(auth, &records);
    apply_all(again, &records);
    assert_int_equal(again->rule_count, 1);
    assert_true(allows(again, "User:a", "h", "Write", "Topic", "foo"));
    auth_free(auth);
    auth_free(again);
}

/* ---- principals of certificates ---- */

static void test_subject_rules(void **state)
{
    static const struct {
        const char *rules, *subject, *principal; /* NULL: no rule fits */
    } cases[] = {
        {"DEFAULT", "CN=alice,O=Shop", "User:CN=alice,O=Shop"},
        {"", "CN=alice", "User:CN=alice"},
        /* The example of Kafka's documentation. */
        {"RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/,RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/"
         "$1@$2/L,"
         "RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L,DEFAULT",
         "CN=serviceuser,OU=ServiceUsers,O=Unknown,L=Unknown,ST=Unknown,C=Unknown", "User:serviceuser"},
        {"RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/,RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/"
         "$1@$2/L,"
         "RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L,DEFAULT",
         "CN=adminUser,OU=Admin,O=Unknown,L=Unknown,ST=Unknown,C=Unknown", "User:adminuser@admin"},
        {"RULE:^CN=([^,]+)$/$1/U", "CN=bob", "User:BOB"},
        {"RULE:^CN=([^,]+)$/$1/U", "CN=bob,O=x", NULL},
        {"RULE:CN=(.*)\\/(.*)/$2\\/$1/", "CN=a/b", "User:b/a"},
    };
    static const char *const bad[] = {"RULE:x", "RULE:x/y",        "RULE:(/x/",
                                      "ALL",    "DEFAULT;DEFAULT", "RULE:x/y/Q"};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct auth_listener auth = {0};
        struct err err;
        struct str principal = STR_NULL;
        if (!subject_rules_new(&auth.subject_rules, str_from(cases[i].rules), &err))
            fail_msg("%s", err.text);
        bool fits = auth_map_subject(&auth, str_from(cases[i].subject), &principal, &arena);
        if (fits != (cases[i].principal != NULL) || (fits && !str_eq_cstr(principal, cases[i].principal)))
            fail_msg("case %zu: %.*s", i, STR_ARG(principal));
        subject_rules_free(auth.subject_rules);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct subject_rules *rules;
        struct err err;
        if (subject_rules_new(&rules, str_from(bad[i]), &err))
            fail_msg("%s", bad[i]);
    }
}

/* ---- options ---- */

static void test_options_that_are_refused(void **state)
{
    static struct str nonsense[] = {STR_INIT("GSSAPI")}, oauth[] = {STR_INIT("OAUTHBEARER")};
    static const uint8_t secret[32];
    struct auth_config config[5];
    struct err err;
    for (size_t i = 0; i < COUNT_OF(config); i++)
        auth_config_init(&config[i]);
    config[0].authorizer = STR("com.example.Authorizer");
    config[1].super_users = STR("admin");
    config[2].mechanisms = (struct conf_list){nonsense, 1};
    config[3].mechanisms = (struct conf_list){oauth, 1}; /* without keys: unsigned tokens are never taken */
    config[4].subject_rules = STR("RULE:");
    for (size_t i = 0; i < COUNT_OF(config); i++) {
        struct auth *auth = auth_new(&config[i], secret, &err);
        assert_true((auth == NULL) == (i < 2)); /* the others are a listener's */
        if (auth != NULL) {
            struct auth_config all[AUTH_MECHANISMS];
            for (int m = 0; m < AUTH_MECHANISMS; m++)
                all[m] = config[i];
            assert_null(auth_listener_new(auth, all, &err));
        }
        auth_free(auth);
        assert_int_equal(err.code, ERR_INVALID_CONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_no_rule_at_all),
        cmocka_unit_test(test_any_resource),
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_rules_that_are_refused),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_deletion_and_records),
        cmocka_unit_test(test_subject_rules),
        cmocka_unit_test(test_options_that_are_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return failed;
}
