/* users.c - users of SCRAM: kept, made, changed, deleted, described (see auth.h, G1).
 *
 * A record is one user and mechanism. AlterUserScramCredentials is all or none for each user, as in Kafka: of a user that is
 * named with two faults the first is answered, and the other users go on.
 */
#include "auth/auth_int.h"

enum { UNSUPPORTED_MECHANISM = 33, NOT_FOUND = 91, DUPLICATE = 92, UNACCEPTABLE = 93 };
enum { USER_NAME_BYTES_MAX = 256, SALT_BYTES_MAX = 1024 };

static struct str user_key(char *buffer, size_t size, struct str name, enum auth_mechanism mechanism)
{
    ASSERT_CMP(name.len, <, size);
    buffer[0] = (char)mechanism;
    memcpy(buffer + 1, name.ptr, name.len);
    return str_of(buffer, name.len + 1);
}

const struct auth_user *auth_user_find(const struct auth *auth, struct str name,
                                       enum auth_mechanism mechanism)
{
    char buffer[USER_NAME_BYTES_MAX + 1];
    if (name.len == 0 || name.len > USER_NAME_BYTES_MAX)
        return NULL;
    return map_get(&auth->users, user_key(buffer, sizeof buffer, name, mechanism));
}

bool auth_has_user(const struct auth *auth, struct str name, enum auth_mechanism mechanism)
{
    return auth_user_find(auth, name, mechanism) != NULL;
}

static void user_free(struct auth_user *user)
{
    if (user == NULL)
        return;
    arena_fini(&user->arena);
    free(user);
}

void auth_user_apply(struct auth *auth, const struct UserKey *key, const struct UserValue *value)
{
    char buffer[USER_NAME_BYTES_MAX + 1];
    if (key->Name.len == 0 || key->Name.len > USER_NAME_BYTES_MAX)
        return; /* no decision makes one */
    struct str at = user_key(buffer, sizeof buffer, key->Name, (enum auth_mechanism)key->Mechanism);
    user_free(map_remove(&auth->users, at));
    if (value == NULL)
        return;
    struct auth_user *user = mem_new(struct auth_user);
    *user = (struct auth_user){.name = str_dup(key->Name, &user->arena),
                               .mechanism = (enum auth_mechanism)key->Mechanism,
                               .iterations = value->Iterations,
                               .salt = str_dup(value->Salt, &user->arena),
                               .stored_key = str_dup(value->StoredKey, &user->arena),
                               .server_key = str_dup(value->ServerKey, &user->arena),
                               .arena = user->arena};
    map_put(&auth->users, at, user);
}

static void add_user(const struct auth_user *user, int64_t now_ms, struct replay_records *out)
{
    struct UserKey key = {.Name = user->name, .Mechanism = (int8_t)user->mechanism};
    struct UserValue value = {.Iterations = user->iterations,
                              .Salt = user->salt,
                              .StoredKey = user->stored_key,
                              .ServerKey = user->server_key};
    replay_add_typed(out, &UserKey_message, &key, &UserValue_message, 0, &value, now_ms);
}

void auth_users_snapshot(struct auth *auth, struct replay_records *out)
{
    void *user;
    for (size_t i = 0; map_next(&auth->users, &i, NULL, &user);)
        add_user(user, 0, out);
}

void auth_users_fini(struct auth *auth)
{
    void *user;
    for (size_t i = 0; map_next(&auth->users, &i, NULL, &user);)
        user_free(user);
    map_fini(&auth->users);
}

/* --- AlterUserScramCredentials --- */

typedef struct AlterUserScramCredentialsRequest alter_request;
typedef struct AlterUserScramCredentialsRequest_ScramCredentialUpsertion upsertion;
typedef struct AlterUserScramCredentialsRequest_ScramCredentialDeletion deletion;
typedef struct AlterUserScramCredentialsResponse_AlterUserScramCredentialsResult alter_result;

static bool is_scram(int8_t mechanism)
{
    return mechanism == AUTH_SCRAM_SHA_256 || mechanism == AUTH_SCRAM_SHA_512;
}

static void fail(alter_result *result, int16_t code, struct str text)
{
    if (result->ErrorCode != 0)
        return;
    result->ErrorCode = code;
    result->ErrorMessage = text;
}

static alter_result *result_of(struct AlterUserScramCredentialsResponse *res, struct str name)
{
    for (int32_t i = 0; i < res->Results.len; i++)
        if (str_eq(res->Results.at[i].User, name))
            return &res->Results.at[i];
    alter_result *result = &res->Results.at[res->Results.len++];
    result->User = name;
    result->ErrorMessage = STR_NULL;
    return result;
}

static void check_deletion(const struct auth *auth, const deletion *asked, alter_result *result)
{
    if (asked->Name.len == 0)
        fail(result, UNACCEPTABLE, STR("Username must not be empty"));
    else if (!is_scram(asked->Mechanism))
        fail(result, UNSUPPORTED_MECHANISM, STR("Unknown SCRAM mechanism"));
    else if (!auth_has_user(auth, asked->Name, (enum auth_mechanism)asked->Mechanism))
        fail(result, NOT_FOUND, STR("Attempt to delete a user credential that does not exist"));
}

static void check_upsertion(const upsertion *asked, alter_result *result)
{
    if (asked->Name.len == 0)
        fail(result, UNACCEPTABLE, STR("Username must not be empty"));
    else if (asked->Name.len > USER_NAME_BYTES_MAX)
        fail(result, UNACCEPTABLE, STR("A username has at most 256 bytes"));
    else if (!is_scram(asked->Mechanism))
        fail(result, UNSUPPORTED_MECHANISM, STR("Unknown SCRAM mechanism"));
    else if (asked->Iterations < AUTH_ITERATIONS_MIN)
        fail(result, UNACCEPTABLE, STR("Too few iterations"));
    else if (asked->Iterations > AUTH_ITERATIONS_MAX)
        fail(result, UNACCEPTABLE, STR("Too many iterations"));
    else if (asked->Salt.len == 0 || asked->Salt.len > SALT_BYTES_MAX)
        fail(result, UNACCEPTABLE, STR("The salt must have 1 to 1024 bytes"));
    else if (asked->SaltedPassword.len != scram_hash_bytes((enum auth_mechanism)asked->Mechanism))
        fail(result, UNACCEPTABLE,
             STR("The salted password does not have the length of the mechanism's hash"));
}

struct named {
    struct str name;
    int8_t mechanism;
};

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = str_cmp(x->name, y->name);
    return order != 0 ? order : x->mechanism - y->mechanism;
}

/* The same user and mechanism twice. */
static void check_duplicates(const alter_request *req, struct AlterUserScramCredentialsResponse *res,
                             struct arena *arena)
{
    size_t count = 0;
    struct named *all = arena_array(arena, struct named, (size_t)(req->Deletions.len + req->Upsertions.len));
    for (int32_t i = 0; i < req->Deletions.len; i++)
        all[count++] = (struct named){req->Deletions.at[i].Name, req->Deletions.at[i].Mechanism};
    for (int32_t i = 0; i < req->Upsertions.len; i++)
        all[count++] = (struct named){req->Upsertions.at[i].Name, req->Upsertions.at[i].Mechanism};
    qsort(all, count, sizeof *all, by_name);
    for (size_t i = 1; i < count; i++)
        if (by_name(&all[i - 1], &all[i]) == 0)
            fail(result_of(res, all[i].name), DUPLICATE,
                 STR("A user credential cannot be altered twice in the same request"));
}

static void add_upsertion(const upsertion *asked, int64_t now_ms, struct replay_records *out)
{
    uint8_t stored_key[AUTH_HASH_BYTES_MAX], server_key[AUTH_HASH_BYTES_MAX];
    enum auth_mechanism mechanism = (enum auth_mechanism)asked->Mechanism;
    scram_keys(mechanism, asked->SaltedPassword, stored_key, server_key);
    struct auth_user user = {.name = asked->Name,
                             .mechanism = mechanism,
                             .iterations = asked->Iterations,
                             .salt = asked->Salt,
                             .stored_key = str_of((char *)stored_key, scram_hash_bytes(mechanism)),
                             .server_key = str_of((char *)server_key, scram_hash_bytes(mechanism))};
    add_user(&user, now_ms, out);
}

bool auth_decide_alter_users(void *state, void *request, struct replay_records *out, struct err *err)
{
    struct auth *auth = state;
    struct auth_call *call = request;
    const alter_request *req = call->req;
    struct AlterUserScramCredentialsResponse *res = call->res;
    int32_t deletions = MAX(req->Deletions.len, 0), upsertions = MAX(req->Upsertions.len, 0);
    if (auth->users.len + (size_t)upsertions > AUTH_USERS_MAX)
        return err_set(err, ERR_LIMIT, "there are %zu users, and no more than %d are kept", auth->users.len,
                       AUTH_USERS_MAX);
    WIRE_ALLOC(call->arena, res->Results, AlterUserScramCredentialsResponse_AlterUserScramCredentialsResult,
               deletions + upsertions);
    res->Results.len = 0;
    for (int32_t i = 0; i < deletions; i++)
        check_deletion(auth, &req->Deletions.at[i], result_of(res, req->Deletions.at[i].Name));
    for (int32_t i = 0; i < upsertions; i++)
        check_upsertion(&req->Upsertions.at[i], result_of(res, req->Upsertions.at[i].Name));
    check_duplicates(req, res, call->arena);
    for (int32_t i = 0; i < deletions; i++) {
        const deletion *asked = &req->Deletions.at[i];
        struct UserKey key = {.Name = asked->Name, .Mechanism = asked->Mechanism};
        if (result_of(res, asked->Name)->ErrorCode == 0)
            replay_add_typed(out, &UserKey_message, &key, &UserValue_message, 0, NULL, call->now_ms);
    }
    for (int32_t i = 0; i < upsertions; i++)
        if (result_of(res, req->Upsertions.at[i].Name)->ErrorCode == 0)
            add_upsertion(&req->Upsertions.at[i], call->now_ms, out);
    return true;
}

/* --- DescribeUserScramCredentials --- */

typedef struct DescribeUserScramCredentialsResponse_DescribeUserScramCredentialsResult described;

static bool describe(const struct auth *auth, struct str name, described *row, struct arena *arena)
{
    WIRE_ALLOC(arena, row->CredentialInfos, DescribeUserScramCredentialsResponse_CredentialInfo, 2);
    row->CredentialInfos.len = 0;
    row->User = str_dup(name, arena);
    for (int m = AUTH_SCRAM_SHA_256; m <= AUTH_SCRAM_SHA_512; m++) {
        const struct auth_user *user = auth_user_find(auth, name, (enum auth_mechanism)m);
        if (user != NULL)
            row->CredentialInfos.at[row->CredentialInfos.len++] =
                (struct DescribeUserScramCredentialsResponse_CredentialInfo){(int8_t)m, user->iterations};
    }
    return row->CredentialInfos.len != 0;
}

static int by_user(const void *a, const void *b)
{
    return str_cmp(((const described *)a)->User, ((const described *)b)->User);
}

static void describe_all(const struct auth *auth, struct auth_call *call)
{
    struct DescribeUserScramCredentialsResponse *res = call->res;
    void *value;
    WIRE_ALLOC(call->arena, res->Results,
               DescribeUserScramCredentialsResponse_DescribeUserScramCredentialsResult, auth->users.len);
    res->Results.len = 0;
    for (size_t i = 0; map_next(&auth->users, &i, NULL, &value);) {
        const struct auth_user *user = value;
        bool second =
            user->mechanism == AUTH_SCRAM_SHA_512 && auth_has_user(auth, user->name, AUTH_SCRAM_SHA_256);
        if (!second)
            describe(auth, user->name, &res->Results.at[res->Results.len++], call->arena);
    }
    qsort(res->Results.at, (size_t)res->Results.len, sizeof *res->Results.at, by_user);
}

void auth_describe_users(const struct auth *auth, struct auth_call *call)
{
    const struct DescribeUserScramCredentialsRequest *req = call->req;
    struct DescribeUserScramCredentialsResponse *res = call->res;
    if (req->Users.len <= 0) {
        describe_all(auth, call);
        return;
    }
    WIRE_ALLOC(call->arena, res->Results,
               DescribeUserScramCredentialsResponse_DescribeUserScramCredentialsResult, req->Users.len);
    res->Results.len = 0;
    for (int32_t i = 0; i < req->Users.len; i++) {
        struct str name = req->Users.at[i].Name;
        described *row = NULL;
        for (int32_t j = 0; j < res->Results.len && row == NULL; j++)
            row = str_eq(res->Results.at[j].User, name) ? &res->Results.at[j] : NULL;
        if (row != NULL) {
            row->ErrorCode = DUPLICATE;
            row->ErrorMessage =
                STR("Cannot describe SCRAM credentials for the same user twice in a single request");
            row->CredentialInfos.len = 0;
            continue;
        }
        row = &res->Results.at[res->Results.len++];
        if (!describe(auth, name, row, call->arena)) {
            row->ErrorCode = NOT_FOUND;
            row->ErrorMessage =
                str_printf(call->arena, "Attempt to describe a user credential that does not exist: %.*s",
                           STR_ARG(name));
        }
    }
}

/* --- users at the start --- */

/* "name=alice" of the list in brackets; a value may be quoted, and then holds anything but quotes. */
static bool next_part(struct str *rest, struct str *name, struct str *value)
{
    ptrdiff_t equal = str_find_char(*rest, '=');
    if (equal <= 0)
        return false;
    *name = str_trim(str_sub(*rest, 0, (size_t)equal));
    *rest = str_sub(*rest, (size_t)equal + 1, SIZE_MAX);
    bool quoted = rest->len > 0 && rest->ptr[0] == '"';
    if (quoted)
        *rest = str_sub(*rest, 1, SIZE_MAX);
    size_t end = 0;
    while (end < rest->len && rest->ptr[end] != (quoted ? '"' : ',') && (quoted || rest->ptr[end] != ']'))
        end++;
    if (end == rest->len)
        return false;
    *value = str_sub(*rest, 0, end);
    *rest = str_sub(*rest, end + (quoted ? 1 : 0), SIZE_MAX);
    return rest->len > 0;
}

static bool parse_user(struct str *rest, struct auth_new_user *user)
{
    ptrdiff_t equal = str_find_char(*rest, '=');
    if (equal <= 0)
        return false;
    *user =
        (struct auth_new_user){.mechanism = auth_mechanism_find(str_trim(str_sub(*rest, 0, (size_t)equal))),
                               .iterations = AUTH_ITERATIONS_MIN};
    *rest = str_sub(*rest, (size_t)equal + 1, SIZE_MAX);
    if (!is_scram((int8_t)user->mechanism) || rest->len == 0 || rest->ptr[0] != '[')
        return false;
    do {
        struct str name, value;
        *rest = str_sub(*rest, 1, SIZE_MAX); /* the bracket or comma */
        if (!next_part(rest, &name, &value))
            return false;
        if (str_eq(name, STR("name")))
            user->name = value;
        else if (str_eq(name, STR("password")))
            user->password = value;
        else if (!str_eq(name, STR("iterations")) || !str_to_i32(value, &user->iterations))
            return false;
    } while (rest->ptr[0] == ',');
    bool closed = rest->ptr[0] == ']';
    *rest = str_trim(str_sub(*rest, 1, SIZE_MAX));
    return closed && user->name.len > 0 && user->name.len <= USER_NAME_BYTES_MAX && user->password.len > 0 &&
           user->iterations >= AUTH_ITERATIONS_MIN && user->iterations <= AUTH_ITERATIONS_MAX;
}

bool auth_next_user(struct str *rest, struct auth_new_user *user, bool *found, struct err *err)
{
    *rest = str_trim(*rest);
    *found = rest->len != 0;
    if (!*found)
        return true;
    bool good = parse_user(rest, user);
    if (good && rest->len > 0) {
        good = rest->ptr[0] == ';' || rest->ptr[0] == ',';
        *rest = str_sub(*rest, 1, SIZE_MAX);
    }
    return good ||
           err_set(
               err, ERR_INVALID_CONFIG,
               "a user is given as SCRAM-SHA-256=[name=NAME,password=PASSWORD] or SCRAM-SHA-512=[...], with "
               "iterations=4096 to 16384 if wanted");
}
