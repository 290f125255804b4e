/* security.c - users and access rules at work: their log, their APIs, and the question that every handler asks.
 *
 *   __cluster_security  --replay--> struct auth          a log that is no topic: no client can read a salt or a key from it
 *   request_denied(req, resource, operation, name) -> 0, or the error of that row of broker_rights (apis.c)
 *
 * (P1) `auth_lock` keeps changes (under the replay lock) and readers apart; readers share it.
 * (P2) A handler can only ask for what the table has: the table is the reference that users read (`rialto doc rights`).
 */
#include "broker/broker_int.h"

enum { SECURITY_DISABLED = 54 };

/* --- the state --- */

static bool apply(void *state, const struct replay_record *rec, struct err *err)
{
    struct broker *broker = state;
    pthread_rwlock_wrlock(&broker->auth_lock);
    bool good = auth_apply(broker->auth, rec, err);
    pthread_rwlock_unlock(&broker->auth_lock);
    return good;
}

static void snapshot(void *state, struct replay_records *out)
{
    auth_snapshot(((struct broker *)state)->auth, out);
}

static const struct replay_class security_class = {.name = "security", .apply = apply, .snapshot = snapshot};

#define DECIDE(name)                                                                                \
    static bool decide_##name(void *state, void *call, struct replay_records *out, struct err *err) \
    {                                                                                               \
        return auth_decide_##name(((struct broker *)state)->auth, call, out, err);                  \
    }
DECIDE(alter_users)
DECIDE(create_acls)
DECIDE(delete_acls)

/* --- start --- */

/* sasl.bootstrap.users: who is not there yet. */
static bool make_user(struct broker *broker, const struct auth_new_user *user, struct arena *arena,
                      struct err *err)
{
    uint8_t salt[AUTH_SALT_BYTES], salted[AUTH_HASH_BYTES_MAX];
    io_random(broker->io, salt, sizeof salt);
    struct str salt_bytes = str_of((const char *)salt, sizeof salt);
    size_t size = auth_salt_password(user->mechanism, user->password, salt_bytes, user->iterations, salted);
    struct AlterUserScramCredentialsRequest_ScramCredentialUpsertion upsertion = {
        .Name = user->name,
        .Mechanism = (int8_t)user->mechanism,
        .Iterations = user->iterations,
        .Salt = salt_bytes,
        .SaltedPassword = str_of((const char *)salted, size),
    };
    struct AlterUserScramCredentialsRequest req = {.Upsertions = {&upsertion, 1}};
    struct AlterUserScramCredentialsResponse res = {0};
    struct auth_call call = {.req = &req, .res = &res, .now_ms = io_now_ms(broker->io), .arena = arena};
    if (!replay_run_durable(broker->auth_replay, decide_alter_users, &call, err))
        return false;
    if (res.Results.at[0].ErrorCode != 0)
        return err_set(err, ERR_INVALID_CONFIG, "%.*s", STR_ARG(res.Results.at[0].ErrorMessage));
    log_info("broker", "user_made", "user=%.*s mechanism=%s", STR_ARG(user->name),
             auth_mechanism_name(user->mechanism));
    return true;
}

static bool make_users(struct broker *broker, struct err *err)
{
    struct arena arena = {0};
    struct str rest = auth_config_of(broker->auth)->bootstrap_users;
    struct auth_new_user user;
    bool good, found;
    do {
        good = auth_next_user(&rest, &user, &found, err);
        if (good && found && !auth_has_user(broker->auth, user.name, user.mechanism))
            good = make_user(broker, &user, &arena, err);
    } while (good && found);
    if (!good)
        err_context(err, "sasl.bootstrap.users");
    arena_fini(&arena);
    return good;
}

/* file:///a/b and file:/a/b */
static struct str path_of(struct str url)
{
    return str_sub(url, str_starts_with(url, STR("file://")) ? strlen("file://") : strlen("file:"), SIZE_MAX);
}

/* Under the lock of the keys, or at the start. */
static bool read_keys(struct kafka_listener *listener, struct err *err)
{
    enum { KEYS_BYTES_MAX = 1 << 20 };
    struct arena arena = {0};
    struct buf text = {0};
    struct broker *broker = listener->broker;
    struct buf *known = &listener->token_keys.text;
    char *path = str_cstr(path_of(auth_listener_config(listener->auth, AUTH_OAUTHBEARER)->jwks_url), &arena);
    bool good = io_read_file(broker->io, path, KEYS_BYTES_MAX, &text, err);
    if (good && !str_eq(buf_str(&text), buf_str(known))) {
        buf_clear(known);
        buf_append_str(known, buf_str(&text));
        pthread_rwlock_wrlock(&broker->auth_lock);
        good = auth_set_jwks(listener->auth, buf_str(&text), err);
        pthread_rwlock_unlock(&broker->auth_lock);
        if (good)
            log_info("broker", "token_keys_loaded", "file=%s", path);
    }
    if (!good)
        err_context(err, "sasl.oauthbearer.jwks.endpoint.url, %s", path);
    buf_fini(&text);
    arena_fini(&arena);
    return good;
}

bool security_read_keys(struct kafka_listener *listener, struct err *err)
{
    return !auth_mechanism_is_on(listener->auth, AUTH_OAUTHBEARER) || read_keys(listener, err);
}

void security_refresh_keys(struct kafka_listener *listener)
{
    enum { CHECK_MS = 1000 };
    struct token_keys *keys = &listener->token_keys;
    struct err err;
    int64_t now_ms = clock_mono_ms();
    pthread_mutex_lock(&keys->lock);
    if (now_ms - keys->checked_ms >= CHECK_MS) {
        keys->checked_ms = now_ms;
        if (!read_keys(listener, &err))
            log_warn("broker", "token_keys_not_loaded", "cause=\"%s\"", err.text);
    }
    pthread_mutex_unlock(&keys->lock);
}

static void init_meters(struct broker *broker)
{
    static const char name[] = "rialto_kafka_authentications_total";
    broker->logins = metric_counter(broker->metrics, name, LABELS({"result", "good"}));
    broker->failed_logins = metric_counter(broker->metrics, name, LABELS({"result", "failed"}));
    broker->refusals =
        metric_counter(broker->metrics, "rialto_kafka_authorization_refusals_total", NO_LABELS);
}

bool security_open(struct broker *broker, struct err *err)
{
    struct auth_config defaults;
    uint8_t secret[32];
    auth_config_init(&defaults);
    io_random(broker->io, secret, sizeof secret);
    init_meters(broker);
    broker->auth = auth_new(broker->config.auth != NULL ? broker->config.auth : &defaults, secret, err);
    if (broker->auth == NULL)
        return false;
    return state_log_open(&broker->auth_log, broker->storage, STR(SECURITY_TOPIC), err) &&
           replay_open(&broker->auth_replay, &state_log_ops, &broker->auth_log, &security_class, broker,
                       err) &&
           make_users(broker, err);
}

void security_close(struct broker *broker)
{
    replay_close(broker->auth_replay);
    state_log_close(&broker->auth_log);
    auth_free(broker->auth);
}

void security_rewrite(struct broker *broker)
{
    enum { HISTORY_RECORDS = 20000 };
    struct err err;
    if (!replay_rewrite(broker->auth_replay, HISTORY_RECORDS, &err))
        log_warn("broker", "rewrite_failed", "cause=\"%s\"", err.text);
}

/* --- rights --- */

static const struct broker_right *right_find(int16_t api_key, enum acl_resource resource,
                                             enum acl_operation operation)
{
    for (size_t i = 0; i < broker_right_count; i++) {
        const struct broker_right *right = &broker_rights[i];
        if (right->api_key == api_key && right->resource == resource && right->operation == operation)
            return right;
    }
    assert_failed(__FILE__, __LINE__, "the right is in broker_rights", "API key %d asks for %s on %s",
                  api_key, acl_operation_word(operation), acl_resource_word(resource));
}

/* Asks with or without a name; NULL: it may, else the row that says what is lacking. */
static const struct broker_right *lacking(struct request *req, enum acl_resource resource,
                                          enum acl_operation operation, bool any, struct str name)
{
    struct broker *broker = req->broker;
    if (!auth_is_on(broker->auth))
        return NULL;
    const struct broker_right *right = right_find(req->api->api_key, resource, operation);
    struct str text = str_is_null(name) ? STR("") : name;
    pthread_rwlock_rdlock(&broker->auth_lock);
    bool allowed = any ? auth_allows_any(broker->auth, req->who, resource, operation)
                       : auth_allows(broker->auth, req->who, resource, text, operation);
    pthread_rwlock_unlock(&broker->auth_lock);
    if (!allowed)
        metric_add(broker->refusals, 1);
    return allowed ? NULL : right;
}

int16_t request_denied(struct request *req, enum acl_resource resource, enum acl_operation operation,
                       struct str name)
{
    const struct broker_right *right = lacking(req, resource, operation, false, name);
    ASSERT(right == NULL || right->error != 0); /* else it is left out: request_may */
    return right != NULL ? right->error : 0;
}

struct str request_denied_text(int16_t code)
{
    enum { NO_TOPIC = 29, NO_GROUP = 30, NO_CLUSTER = 31 };
    return code == NO_TOPIC     ? STR("Topic authorization failed.")
           : code == NO_GROUP   ? STR("Group authorization failed.")
           : code == NO_CLUSTER ? STR("Cluster authorization failed.")
                                : STR_NULL;
}

bool request_may(struct request *req, enum acl_resource resource, enum acl_operation operation,
                 struct str name)
{
    return lacking(req, resource, operation, false, name) == NULL;
}

int16_t request_denied_everywhere(struct request *req, enum acl_resource resource,
                                  enum acl_operation operation)
{
    const struct broker_right *right = lacking(req, resource, operation, true, STR_NULL);
    return right != NULL ? right->error : 0;
}

int32_t request_operations(struct request *req, enum acl_resource resource, struct str name)
{
    struct broker *broker = req->broker;
    pthread_rwlock_rdlock(&broker->auth_lock);
    int32_t operations = auth_operations(broker->auth, req->who, resource, name);
    pthread_rwlock_unlock(&broker->auth_lock);
    return operations;
}

/* --- APIs of rules --- */

static struct auth_call *make_call(struct request *req)
{
    struct auth_call *call = arena_new(&req->arena, struct auth_call);
    *call = (struct auth_call){.req = req->body,
                               .res = req->res,
                               .now_ms = io_now_ms(req->broker->io),
                               .arena = &req->arena};
    return call;
}

/* Decides; a good answer waits until it is durable. False: *err, nothing was answered. */
static bool run_and_reply(struct request *req, replay_decide_fn decide, struct err *err)
{
    struct replay *replay = req->broker->auth_replay;
    int64_t end_offset;
    if (!replay_run(replay, decide, make_call(req), &end_offset, err))
        return false;
    request_reply_durable(req, replay, end_offset);
    return true;
}

/* The same for rules: who may see a topic decides what a group's pattern matches. */
static bool change_rules(struct request *req, replay_decide_fn decide, struct err *err)
{
    struct replay *replay = req->broker->auth_replay;
    int64_t end_offset;
    if (!replay_run(replay, decide, make_call(req), &end_offset, err))
        return false;
    coord_topics_changed(req->broker->coord);
    request_reply_durable(req, replay, end_offset);
    return true;
}

/* 0, or why no API of rules is answered. */
static int16_t acls_fault(struct request *req, enum acl_operation operation, struct str *text)
{
    if (!auth_is_on(req->broker->auth)) {
        *text = STR("No Authorizer is configured.");
        return SECURITY_DISABLED;
    }
    int16_t code = request_denied_cluster(req, operation);
    *text = request_denied_text(code);
    return code;
}

void api_describe_acls(struct request *req)
{
    struct broker *broker = req->broker;
    struct DescribeAclsResponse *res = req->res;
    res->ErrorCode = acls_fault(req, ACL_DESCRIBE, &res->ErrorMessage);
    if (res->ErrorCode == 0) {
        pthread_rwlock_rdlock(&broker->auth_lock);
        auth_describe_acls(broker->auth, make_call(req));
        pthread_rwlock_unlock(&broker->auth_lock);
    }
    request_reply_durable(req, broker->auth_replay, replay_end(broker->auth_replay));
}

static void fail_creations(struct request *req, int16_t code, struct str text)
{
    const struct CreateAclsRequest *body = req->body;
    struct CreateAclsResponse *res = req->res;
    WIRE_ALLOC(&req->arena, res->Results, CreateAclsResponse_AclCreationResult, MAX(body->Creations.len, 0));
    for (int32_t i = 0; i < res->Results.len; i++)
        res->Results.at[i] = (struct CreateAclsResponse_AclCreationResult){code, text};
    request_reply(req);
}

void api_create_acls(struct request *req)
{
    struct err err;
    struct str text;
    int16_t code = acls_fault(req, ACL_ALTER, &text);
    if (code != 0)
        fail_creations(req, code, text);
    else if (!change_rules(req, decide_create_acls, &err))
        fail_creations(req, error_code_of(&err), str_dup(str_from(err.text), &req->arena));
}

static void fail_filters(struct request *req, int16_t code, struct str text)
{
    const struct DeleteAclsRequest *body = req->body;
    struct DeleteAclsResponse *res = req->res;
    WIRE_ALLOC(&req->arena, res->FilterResults, DeleteAclsResponse_DeleteAclsFilterResult,
               MAX(body->Filters.len, 0));
    for (int32_t i = 0; i < res->FilterResults.len; i++) {
        res->FilterResults.at[i].ErrorCode = code;
        res->FilterResults.at[i].ErrorMessage = text;
    }
    request_reply(req);
}

void api_delete_acls(struct request *req)
{
    struct err err;
    struct str text;
    int16_t code = acls_fault(req, ACL_ALTER, &text);
    if (code != 0)
        fail_filters(req, code, text);
    else if (!change_rules(req, decide_delete_acls, &err))
        fail_filters(req, error_code_of(&err), str_dup(str_from(err.text), &req->arena));
}

/* --- APIs of users --- */

void api_describe_user_scram_credentials(struct request *req)
{
    struct broker *broker = req->broker;
    struct DescribeUserScramCredentialsResponse *res = req->res;
    res->ErrorCode = request_denied_cluster(req, ACL_DESCRIBE);
    if (res->ErrorCode == 0) {
        pthread_rwlock_rdlock(&broker->auth_lock);
        auth_describe_users(broker->auth, make_call(req));
        pthread_rwlock_unlock(&broker->auth_lock);
    }
    request_reply_durable(req, broker->auth_replay, replay_end(broker->auth_replay));
}

static void fail_users(struct request *req, int16_t code, struct str text)
{
    const struct AlterUserScramCredentialsRequest *body = req->body;
    struct AlterUserScramCredentialsResponse *res = req->res;
    int32_t deletions = MAX(body->Deletions.len, 0), upsertions = MAX(body->Upsertions.len, 0);
    WIRE_ALLOC(&req->arena, res->Results, AlterUserScramCredentialsResponse_AlterUserScramCredentialsResult,
               deletions + upsertions);
    for (int32_t i = 0; i < deletions + upsertions; i++) {
        res->Results.at[i].User =
            i < deletions ? body->Deletions.at[i].Name : body->Upsertions.at[i - deletions].Name;
        res->Results.at[i].ErrorCode = code;
        res->Results.at[i].ErrorMessage = text;
    }
    request_reply(req);
}

void api_alter_user_scram_credentials(struct request *req)
{
    struct err err;
    int16_t code = request_denied_cluster(req, ACL_ALTER);
    if (code != 0)
        fail_users(req, code, STR("Cluster authorization failed."));
    else if (!run_and_reply(req, decide_alter_users, &err))
        fail_users(req, error_code_of(&err), str_dup(str_from(err.text), &req->arena));
}
