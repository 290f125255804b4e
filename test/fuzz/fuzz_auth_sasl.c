/* Any bytes as what a client sends while it proves who it is: the first byte chooses the mechanism, the rest are tokens, each
 * after its length. Nobody gets in: there are no users, and no token's key. The rest is also read as mapping rules, as users
 * made at the start, and as a file of token keys. */
#include <stddef.h>
#include <stdint.h>

#include "auth/auth_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct auth_listener *make_listener(void)
{
    static struct str mechanisms[] = {STR_INIT("PLAIN"), STR_INIT("SCRAM-SHA-256"), STR_INIT("SCRAM-SHA-512"),
                                      STR_INIT("OAUTHBEARER")};
    static const char jwks[] =
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}"; /* the key of RFC 7515, A.3 */
    static const uint8_t secret[32] = {1};
    struct auth_config config;
    struct err err;
    auth_config_init(&config);
    config.mechanisms = (struct conf_list){mechanisms, COUNT_OF(mechanisms)};
    config.jwks_url = STR("file:///keys");
    config.token_secret = STR("key");
    struct auth *auth = auth_new(&config, secret, &err);
    ASSERT(auth != NULL);
    struct auth_config all[AUTH_MECHANISMS];
    for (int i = 0; i < AUTH_MECHANISMS; i++)
        all[i] = config;
    struct auth_listener *listener = auth_listener_new(auth, all, &err);
    ASSERT(listener != NULL);
    bool good = auth_set_jwks(listener, str_from(jwks), &err);
    ASSERT(good);
    return listener;
}

static void read_texts(struct str text)
{
    struct arena arena = {0};
    struct auth_listener auth = {0};
    struct auth_new_user user;
    struct str rest = text, principal;
    struct err err;
    bool found = true;
    while (found && auth_next_user(&rest, &user, &found, &err))
        continue;
    if (subject_rules_new(&auth.subject_rules, text, &err)) {
        auth_map_subject(&auth, STR("CN=alice,OU=Service,O=Shop"), &principal, &arena);
        subject_rules_free(auth.subject_rules);
    }
    jwks_free(jwks_parse(text, &err));
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum auth_mechanism mechanisms[] = {AUTH_PLAIN, AUTH_SCRAM_SHA_256, AUTH_SCRAM_SHA_512,
                                                     AUTH_OAUTHBEARER};
    static const uint8_t nonce[SASL_NONCE_BYTES];
    static struct auth_listener *listener;
    if (listener == NULL) {
        log_level_set(LOG_OFF);
        listener = make_listener();
    }
    if (size == 0)
        return 0;
    struct str rest = str_of((const char *)data + 1, size - 1);
    struct sasl *sasl = sasl_new(listener, mechanisms[data[0] % COUNT_OF(mechanisms)], nonce);
    enum sasl_result result = SASL_CONTINUE;
    read_texts(rest);
    for (int i = 0; i < 4 && result == SASL_CONTINUE && rest.len >= 2; i++) {
        struct str token = str_sub(rest, 2, load_be16(rest.ptr));
        struct buf reply = {0};
        struct err err;
        rest = str_sub(rest, 2 + token.len, SIZE_MAX);
        result = sasl_step(sasl, token, 1000, &reply, &err);
        ASSERT(result != SASL_DONE); /* there are no users, and the key's private half is not here */
        buf_fini(&reply);
    }
    sasl_free(sasl);
    return 0;
}
