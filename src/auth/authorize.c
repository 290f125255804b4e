/* authorize.c - may he? The rules of Kafka's StandardAuthorizer.
 *
 *   super user?                     -> yes
 *   rules of the literal name, of "*", of every prefix of the name:
 *     a matching denial             -> no          it beats every permission, whatever names it
 *     a matching permission         -> yes
 *   no rule names the resource      -> allow.everyone.if.no.acl.found
 *   otherwise                       -> no
 *
 * A permission to READ, WRITE, DELETE or ALTER is one to DESCRIBE too, and ALTER_CONFIGS one to DESCRIBE_CONFIGS; a denial
 * denies what it names only. A rule matches by principal ("User:*": everybody) and host ("*": from everywhere).
 */
#include "auth/auth_int.h"

bool auth_is_on(const struct auth *auth)
{
    return auth->on;
}

static bool permission_covers(int8_t allowed, enum acl_operation asked)
{
    if (allowed == ACL_ALL || allowed == (int8_t)asked)
        return true;
    if (asked == ACL_DESCRIBE)
        return allowed == ACL_READ || allowed == ACL_WRITE || allowed == ACL_DELETE || allowed == ACL_ALTER;
    return asked == ACL_DESCRIBE_CONFIGS && allowed == ACL_ALTER_CONFIGS;
}

static bool rule_matches(const struct acl_rule *rule, const struct auth_who *who,
                         enum acl_operation operation)
{
    if (!str_eq(rule->principal, who->principal) && !str_eq(rule->principal, STR("User:*")))
        return false;
    if (!str_eq(rule->host, who->host) && !str_eq(rule->host, STR("*")))
        return false;
    if (rule->permission == ACL_DENY)
        return rule->operation == ACL_ALL || rule->operation == (int8_t)operation;
    return permission_covers(rule->operation, operation);
}

struct verdict {
    bool named, allowed, denied;
};

static void judge(const struct acl_set *set, const struct auth_who *who, enum acl_operation operation,
                  struct verdict *verdict)
{
    if (set == NULL)
        return;
    verdict->named = true;
    for (size_t i = 0; i < set->rules.len; i++) {
        const struct acl_rule *rule = &set->rules.at[i];
        if (!rule_matches(rule, who, operation))
            continue;
        verdict->denied |= rule->permission == ACL_DENY;
        verdict->allowed |= rule->permission == ACL_ALLOW;
    }
}

/* Rules of every prefix of the name that exists. */
static void judge_prefixes(const struct auth *auth, const struct auth_who *who, enum acl_resource type,
                           struct str name, enum acl_operation operation, struct verdict *verdict)
{
    for (size_t i = 0; i < auth->prefix_lengths[type].len; i++) {
        size_t len = auth->prefix_lengths[type].at[i].len;
        if (len <= name.len)
            judge(acl_set_find(auth, type, ACL_PREFIXED, str_sub(name, 0, len)), who, operation, verdict);
    }
}

bool auth_allows(const struct auth *auth, struct auth_who who, enum acl_resource type, struct str name,
                 enum acl_operation operation)
{
    ASSERT(type >= ACL_TOPIC && type <= ACL_USER && operation > ACL_ALL);
    if (!auth->on || map_has(&auth->super_users, who.principal))
        return true;
    struct verdict verdict = {0};
    judge(acl_set_find(auth, type, ACL_LITERAL, name), &who, operation, &verdict);
    if (!str_eq(name, STR("*")))
        judge(acl_set_find(auth, type, ACL_LITERAL, STR("*")), &who, operation, &verdict);
    judge_prefixes(auth, &who, type, name, operation, &verdict);
    if (verdict.denied || verdict.allowed)
        return !verdict.denied;
    return !verdict.named && auth->config.allow_if_no_acl;
}

/* Does a denial cover all that the pattern names? */
static bool is_covered(const struct auth *auth, const struct auth_who *who, const struct acl_set *set,
                       enum acl_operation operation)
{
    struct verdict verdict = {0};
    enum acl_resource type = (enum acl_resource)set->type;
    bool is_all = set->pattern == ACL_LITERAL && str_eq(set->name, STR("*"));
    judge(acl_set_find(auth, type, ACL_LITERAL, STR("*")), who, operation, &verdict);
    if (!is_all) {
        judge_prefixes(auth, who, type, set->name, operation, &verdict);
        if (set->pattern == ACL_LITERAL)
            judge(set, who, operation, &verdict);
    }
    return verdict.denied;
}

bool auth_allows_any(const struct auth *auth, struct auth_who who, enum acl_resource type,
                     enum acl_operation operation)
{
    void *value;
    struct verdict everything = {0};
    if (!auth->on || map_has(&auth->super_users, who.principal))
        return true;
    judge(acl_set_find(auth, type, ACL_LITERAL, STR("*")), &who, operation, &everything);
    if (everything.denied)
        return false;
    for (size_t i = 0; map_next(&auth->sets, &i, NULL, &value);) {
        const struct acl_set *set = value;
        struct verdict verdict = {0};
        if (set->type != (int8_t)type)
            continue;
        judge(set, &who, operation, &verdict);
        if (verdict.allowed && !is_covered(auth, &who, set, operation))
            return true;
    }
    return auth->config.allow_if_no_acl; /* some name that no rule names exists always */
}

#define BIT(operation) (1 << (operation))

/* What Kafka defines for each type. */
static const int32_t operations_of[ACL_RESOURCES] = {
    [ACL_TOPIC] = BIT(ACL_READ) | BIT(ACL_WRITE) | BIT(ACL_CREATE) | BIT(ACL_DESCRIBE) | BIT(ACL_DELETE) |
                  BIT(ACL_ALTER) | BIT(ACL_DESCRIBE_CONFIGS) | BIT(ACL_ALTER_CONFIGS),
    [ACL_GROUP] = BIT(ACL_READ) | BIT(ACL_DESCRIBE) | BIT(ACL_DELETE) | BIT(ACL_DESCRIBE_CONFIGS) |
                  BIT(ACL_ALTER_CONFIGS),
    [ACL_CLUSTER] = BIT(ACL_CREATE) | BIT(ACL_CLUSTER_ACTION) | BIT(ACL_DESCRIBE_CONFIGS) |
                    BIT(ACL_ALTER_CONFIGS) | BIT(ACL_IDEMPOTENT_WRITE) | BIT(ACL_ALTER) | BIT(ACL_DESCRIBE),
    [ACL_TRANSACTIONAL_ID] = BIT(ACL_DESCRIBE) | BIT(ACL_WRITE) | BIT(ACL_TWO_PHASE_COMMIT),
    [ACL_DELEGATION_TOKEN] = BIT(ACL_DESCRIBE),
    [ACL_USER] = BIT(ACL_CREATE_TOKENS) | BIT(ACL_DESCRIBE_TOKENS),
};

int32_t auth_operations(const struct auth *auth, struct auth_who who, enum acl_resource type, struct str name)
{
    int32_t allowed = 0;
    for (int op = ACL_READ; op <= ACL_TWO_PHASE_COMMIT; op++)
        if ((operations_of[type] & BIT(op)) != 0 &&
            auth_allows(auth, who, type, name, (enum acl_operation)op))
            allowed |= BIT(op);
    return allowed;
}
