/* listener.c - what one listener asks of those who come: mechanisms, rules for certificates, keys of tokens.
 *
 *   struct auth            users, rules: the same for all
 *      ^-- auth_listener   the options of one listener, and of each of its mechanisms
 *             ^-- sasl     one authentication
 *
 * Made when the listener opens and never changed but for its token keys, which the owner keeps apart from steps (auth.h).
 */
#include "auth/auth_int.h"

static bool read_mechanisms(const struct auth_config *config, struct err *err)
{
    const struct conf_list *list = &config->mechanisms;
    for (size_t i = 0; i < list->len; i++)
        if (auth_mechanism_find(list->at[i]) == AUTH_NONE)
            return err_set(
                err, ERR_INVALID_CONFIG,
                "sasl.enabled.mechanisms holds '%.*s': there are PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and "
                "OAUTHBEARER",
                STR_ARG(list->at[i]));
    return true;
}

static bool read_oauth(const struct auth_listener *listener, struct err *err)
{
    struct str url = listener->of[AUTH_OAUTHBEARER].jwks_url;
    if (!auth_mechanism_is_on(listener, AUTH_OAUTHBEARER) || str_starts_with(url, STR("file:/")))
        return true;
    return err_set(
        err, ERR_INVALID_CONFIG,
        "sasl.oauthbearer.jwks.endpoint.url is '%.*s': OAUTHBEARER needs the keys of tokens as a file, "
        "file:///path/to/jwks.json (unsigned tokens are never accepted, and the server fetches no URL)",
        STR_ARG(url));
}

struct auth_listener *auth_listener_new(const struct auth *auth, const struct auth_config of[AUTH_MECHANISMS],
                                        struct err *err)
{
    struct auth_listener *listener = mem_new(struct auth_listener);
    listener->auth = auth;
    for (int i = 0; i < AUTH_MECHANISMS; i++)
        auth_config_copy(&listener->of[i], &of[i], &listener->arena);
    if (read_mechanisms(&listener->of[AUTH_NONE], err) && read_oauth(listener, err) &&
        subject_rules_new(&listener->subject_rules, listener->of[AUTH_NONE].subject_rules, err))
        return listener;
    auth_listener_free(listener);
    return NULL;
}

void auth_listener_free(struct auth_listener *listener)
{
    if (listener == NULL)
        return;
    subject_rules_free(listener->subject_rules);
    jwks_free(listener->jwks);
    arena_fini(&listener->arena);
    free(listener);
}

const struct auth_config *auth_listener_config(const struct auth_listener *listener,
                                               enum auth_mechanism mechanism)
{
    ASSERT(mechanism >= AUTH_NONE && mechanism < AUTH_MECHANISMS);
    return &listener->of[mechanism];
}

bool auth_mechanism_is_on(const struct auth_listener *listener, enum auth_mechanism mechanism)
{
    const struct conf_list *list = &listener->of[AUTH_NONE].mechanisms;
    for (size_t i = 0; i < list->len; i++)
        if (str_eq_cstr(list->at[i], auth_mechanism_name(mechanism)))
            return true;
    return false;
}

bool auth_set_jwks(struct auth_listener *listener, struct str text, struct err *err)
{
    struct jwks *jwks = jwks_parse(text, err);
    if (jwks == NULL)
        return false;
    jwks_free(listener->jwks);
    listener->jwks = jwks;
    return true;
}
