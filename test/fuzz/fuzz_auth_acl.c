/* Any bytes as CreateAcls, DeleteAcls and DescribeAcls requests one after another: what is decided is applied, decisions agree
 * with the rules, and the snapshot brings the same rules back. */
#include <stddef.h>
#include <stdint.h>

#include "auth/auth_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct auth *make_auth(void)
{
    static const uint8_t secret[32];
    struct auth_config config;
    struct err err;
    auth_config_init(&config);
    config.authorizer = STR("StandardAuthorizer");
    struct auth *auth = auth_new(&config, secret, &err);
    ASSERT(auth != NULL);
    return auth;
}

static void apply_all(struct auth *auth, struct replay_records *records)
{
    struct err err;
    for (size_t i = 0; i < records->list.len; i++) {
        bool good = auth_apply(auth, &records->list.at[i], &err);
        ASSERT(good);
    }
    vec_fini(&records->list);
    arena_fini(&records->arena);
}

static void run(struct auth *auth, replay_decide_fn decide, const struct wire_message *request,
                const struct wire_message *response, struct str bytes, struct arena *arena)
{
    struct replay_records records = {0};
    struct err err;
    void *req = arena_zalloc(arena, 1, request->body->size);
    if (!wire_decode(request, request->versions.max, bytes, req, NULL, arena, &err))
        return;
    struct auth_call call = {.req = req, .res = wire_new(response->body, 1, arena), .arena = arena};
    if (decide == NULL)
        auth_describe_acls(auth, &call);
    else if (decide(auth, &call, &records, &err))
        apply_all(auth, &records);
}

/* What a rule allows is allowed unless something denies it; what it denies is denied. */
static void check_decisions(const struct auth *auth)
{
    void *value;
    for (size_t i = 0; map_next(&auth->sets, &i, NULL, &value);) {
        const struct acl_set *set = value;
        for (size_t j = 0; j < set->rules.len; j++) {
            const struct acl_rule *rule = &set->rules.at[j];
            enum acl_operation operation =
                rule->operation == ACL_ALL ? ACL_READ : (enum acl_operation)rule->operation;
            struct auth_who who = {rule->principal, rule->host};
            bool allowed = auth_allows(auth, who, (enum acl_resource)set->type, set->name, operation);
            ASSERT(rule->permission == ACL_ALLOW || !allowed);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct auth *auth = make_auth(), *again = make_auth();
    struct arena arena = {0};
    struct str rest = str_of((const char *)data, size);
    for (int i = 0; i < 16 && rest.len >= 3; i++) {
        struct str bytes = str_sub(rest, 3, load_be16(rest.ptr + 1));
        if (rest.ptr[0] % 4 == 0)
            run(auth, auth_decide_delete_acls, &DeleteAclsRequest_message, &DeleteAclsResponse_message, bytes,
                &arena);
        else if (rest.ptr[0] % 4 == 1)
            run(auth, NULL, &DescribeAclsRequest_message, &DescribeAclsResponse_message, bytes, &arena);
        else
            run(auth, auth_decide_create_acls, &CreateAclsRequest_message, &CreateAclsResponse_message, bytes,
                &arena);
        rest = str_sub(rest, 3 + bytes.len, SIZE_MAX);
    }
    check_decisions(auth);
    struct replay_records records = {0};
    auth_snapshot(auth, &records);
    ASSERT_CMP(records.list.len, ==, auth->rule_count);
    apply_all(again, &records);
    ASSERT_CMP(again->rule_count, ==, auth->rule_count);
    auth_free(auth);
    auth_free(again);
    arena_fini(&arena);
    return 0;
}
