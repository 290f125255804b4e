/* state.c - the state as a whole: made from the options, records to users, tokens and rules, and back. */
#include "auth/auth_int.h"

/* "User:alice;User:bob" */
static bool read_super_users(struct auth *auth, struct err *err)
{
    struct str rest = auth->config.super_users, part;
    while (str_split(&rest, ';', &part)) {
        part = str_trim(part);
        if (part.len == 0)
            continue;
        if (!str_starts_with(part, STR("User:")) || part.len == strlen("User:"))
            return err_set(err, ERR_INVALID_CONFIG,
                           "super.users holds '%.*s': principals are written User:name, separated by ';'",
                           STR_ARG(part));
        map_put(&auth->super_users, part, auth);
    }
    return true;
}

static bool read_authorizer(struct auth *auth, struct err *err)
{
    struct str name = auth->config.authorizer;
    auth->on = name.len != 0;
    return name.len == 0 || str_eq(name, STR("StandardAuthorizer")) ||
           str_eq(name, STR("org.apache.kafka.metadata.authorizer.StandardAuthorizer")) ||
           err_set(err, ERR_INVALID_CONFIG,
                   "authorizer.class.name is '%.*s': there is StandardAuthorizer (Kafka's "
                   "org.apache.kafka.metadata.authorizer.StandardAuthorizer) only, or nothing",
                   STR_ARG(name));
}

struct auth *auth_new(const struct auth_config *config, const uint8_t secret[32], struct err *err)
{
    struct auth *auth = mem_new(struct auth);
    auth_config_copy(&auth->config, config, &auth->arena);
    memcpy(auth->secret, secret, sizeof auth->secret);
    if (read_super_users(auth, err) && read_authorizer(auth, err))
        return auth;
    auth_free(auth);
    return NULL;
}

void auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    acls_fini(auth);
    auth_users_fini(auth);
    auth_tokens_fini(auth);
    map_fini(&auth->super_users);
    secret_wipe(auth->secret, sizeof auth->secret);
    arena_fini(&auth->arena);
    free(auth);
}

const struct auth_config *auth_config_of(const struct auth *auth)
{
    return &auth->config;
}

/* --- records --- */

static bool apply_user(struct auth *auth, struct str key_bytes, struct str value_bytes, struct arena *arena,
                       struct err *err)
{
    struct UserKey key;
    struct UserValue value;
    bool deleted = str_is_null(value_bytes);
    if (!wire_decode(&UserKey_message, 0, key_bytes, &key, NULL, arena, err) ||
        (!deleted && !wire_decode_value(&UserValue_message, value_bytes, &value, arena, err)))
        return false;
    auth_user_apply(auth, &key, deleted ? NULL : &value);
    return true;
}

static bool apply_rule(struct auth *auth, struct str key_bytes, struct str value_bytes, struct arena *arena,
                       struct err *err)
{
    struct AclKey key;
    if (!wire_decode(&AclKey_message, 0, key_bytes, &key, NULL, arena, err))
        return false;
    acl_apply(auth, &key, !str_is_null(value_bytes));
    return true;
}

static bool apply_token(struct auth *auth, struct str key_bytes, struct str value_bytes, struct arena *arena,
                        struct err *err)
{
    struct DelegationTokenKey key;
    struct DelegationTokenValue value;
    bool deleted = str_is_null(value_bytes);
    if (!wire_decode(&DelegationTokenKey_message, 0, key_bytes, &key, NULL, arena, err) ||
        (!deleted && !wire_decode_value(&DelegationTokenValue_message, value_bytes, &value, arena, err)))
        return false;
    auth_token_apply(auth, &key, deleted ? NULL : &value);
    return true;
}

bool auth_apply(void *state, const struct replay_record *rec, struct err *err)
{
    struct auth *auth = state;
    struct arena arena = {0};
    uint16_t type;
    struct str key = str_sub(rec->key, 2, SIZE_MAX);
    bool good;
    if (!replay_type(rec, &type, err))
        return false;
    if (type == UserKey_message.api_key)
        good = apply_user(auth, key, rec->value, &arena, err);
    else if (type == AclKey_message.api_key)
        good = apply_rule(auth, key, rec->value, &arena, err);
    else if (type == DelegationTokenKey_message.api_key)
        good = apply_token(auth, key, rec->value, &arena, err);
    else
        good = err_set(err, ERR_CORRUPT, "a record of type %u is no user, access rule or token", type);
    arena_fini(&arena);
    return good;
}

void auth_snapshot(void *state, struct replay_records *out)
{
    auth_users_snapshot(state, out);
    auth_tokens_snapshot(state, out);
    acls_snapshot(state, out);
}
