/* oauth.c - OAUTHBEARER (RFC 7628) with signed tokens (RFC 7519).
 *
 *   client                                           server
 *   n,,^Aauth=Bearer <header.claims.signature>^A^A   ->
 *                                                    <-  nothing (it is good), or {"status":"invalid_token"}
 *   ^A                                               ->  failed                                 ^A is the byte 1
 *
 * A token is good when its signature is by a key of the JWKS file and exp, nbf, iss, aud and scope are as configured; its
 * user is the claim `sub`. A token that is not signed is never good. Of what is wrong with it only the log is told.
 */
#include "auth/auth_int.h"
#include "json/json.h"

enum { TOKEN_BYTES_MAX = 64 << 10, STEP_REFUSED = 1 };

struct claims {
    struct arena *arena;
    const struct json_value *header, *body;
};

/* --- claims --- */

static bool number_claim(const struct claims *claims, const char *name, bool required, double *out,
                         bool *found, struct err *err)
{
    const struct json_value *value = json_get(claims->body, str_from(name));
    *found = value != NULL;
    if (value == NULL && !required)
        return true;
    return (value != NULL && json_to_double(value, out)) ||
           err_set(err, ERR_FORBIDDEN, "the token has no number '%s'", name);
}

static bool check_times(const struct claims *claims, const struct auth_config *config, int64_t now_ms,
                        int64_t *expires_ms, struct err *err)
{
    double expires_s = 0, from_s = 0, now_s = (double)now_ms / 1000, skew_s = (double)config->clock_skew_s;
    bool has_end, has_start;
    if (!number_claim(claims, "exp", true, &expires_s, &has_end, err) ||
        !number_claim(claims, "nbf", false, &from_s, &has_start, err))
        return false;
    if (!(expires_s > 0 && expires_s < 1e12))
        return err_set(err, ERR_FORBIDDEN, "the token's 'exp' is no time");
    if (expires_s + skew_s <= now_s)
        return err_set(err, ERR_FORBIDDEN, "the token has expired");
    if (has_start && from_s - skew_s > now_s)
        return err_set(err, ERR_FORBIDDEN, "the token is not valid yet");
    *expires_ms = (int64_t)(expires_s * 1000);
    return true;
}

static bool word_in(struct str words, struct str wanted)
{
    struct str part;
    while (str_split(&words, ' ', &part))
        if (str_eq(part, wanted))
            return true;
    return false;
}

/* A claim that is a text (one value, or words) or a list of texts. */
static bool claim_holds(const struct json_value *value, struct str wanted, bool is_words)
{
    if (value == NULL)
        return false;
    if (value->kind == JSON_STRING)
        return is_words ? word_in(value->str, wanted) : str_eq(value->str, wanted);
    for (uint32_t i = 0; value->kind == JSON_ARRAY && i < value->len; i++)
        if (value->elems[i].kind == JSON_STRING && str_eq(value->elems[i].str, wanted))
            return true;
    return false;
}

static bool check_audience(const struct claims *claims, const struct auth_config *config, struct err *err)
{
    const struct json_value *aud = json_get(claims->body, STR("aud"));
    if (config->audiences.len == 0)
        return aud == NULL || err_set(err, ERR_FORBIDDEN,
                                      "the token has an 'aud', and none is expected "
                                      "(sasl.oauthbearer.expected.audience)");
    for (size_t i = 0; i < config->audiences.len; i++)
        if (claim_holds(aud, config->audiences.at[i], false))
            return true;
    return err_set(err, ERR_FORBIDDEN, "the token's 'aud' is not an expected one");
}

static bool check_rest(const struct claims *claims, const struct auth_config *config, struct err *err)
{
    const struct json_value *iss = json_get(claims->body, STR("iss"));
    if (config->issuer.len != 0 && !claim_holds(iss, config->issuer, false))
        return err_set(err, ERR_FORBIDDEN, "the token's 'iss' is not the expected one");
    const struct json_value *scope = json_get(claims->body, config->scope_claim);
    for (size_t i = 0; i < config->scopes.len; i++)
        if (!claim_holds(scope, config->scopes.at[i], true))
            return err_set(err, ERR_FORBIDDEN, "the token lacks the scope '%.*s'",
                           STR_ARG(config->scopes.at[i]));
    return true;
}

/* --- tokens --- */

static const struct json_value *decode_part(struct str part, struct arena *arena, struct err *err)
{
    struct buf bytes = {0};
    const struct json_value *value = NULL;
    if (append_base64url_decoded(&bytes, part))
        value = json_parse(str_dup(buf_str(&bytes), arena), arena, NULL);
    buf_fini(&bytes);
    if (value == NULL || value->kind != JSON_OBJECT) {
        err_set(err, ERR_FORBIDDEN, "the token is not a signed JWT");
        return NULL;
    }
    return value;
}

static struct str text_of(const struct json_value *object, const char *name)
{
    const struct json_value *value = json_get(object, str_from(name));
    return value != NULL && value->kind == JSON_STRING ? value->str : STR_NULL;
}

static bool check_signature(const struct jwks *jwks, const struct json_value *header, struct str signed_text,
                            struct str signature_text, struct err *err)
{
    struct buf signature = {0};
    struct str alg = text_of(header, "alg");
    bool good = jwks != NULL || err_set(err, ERR_FORBIDDEN, "no key file could be read");
    if (good && json_get(header, STR("crit")) != NULL)
        good = err_set(err, ERR_FORBIDDEN, "the token demands extensions that are not known");
    if (good)
        good = append_base64url_decoded(&signature, signature_text) ||
               err_set(err, ERR_FORBIDDEN, "the token's signature is damaged");
    if (good)
        good = jwks_verify(jwks, str_is_null(alg) ? STR("") : alg, text_of(header, "kid"), signed_text,
                           buf_str(&signature), err);
    buf_fini(&signature);
    return good;
}

/* The user that the token names, with its end. */
static bool check_token(struct sasl *sasl, struct str token, int64_t now_ms, struct err *err)
{
    const struct auth_config *config = &sasl->listener->of[AUTH_OAUTHBEARER];
    struct str rest = token, header_text, body_text, signature;
    struct claims claims = {.arena = &sasl->arena};
    if (!str_split(&rest, '.', &header_text) || !str_split(&rest, '.', &body_text) ||
        !str_split(&rest, '.', &signature) || !str_is_null(rest))
        return err_set(err, ERR_FORBIDDEN, "the token is not a signed JWT");
    claims.header = decode_part(header_text, &sasl->arena, err);
    struct str signed_text = str_sub(token, 0, header_text.len + 1 + body_text.len);
    if (claims.header == NULL ||
        !check_signature(sasl->listener->jwks, claims.header, signed_text, signature, err))
        return false;
    claims.body = decode_part(body_text, &sasl->arena, err); /* only now are its bytes somebody's word */
    if (claims.body == NULL || !check_times(&claims, config, now_ms, &sasl->expires_ms, err) ||
        !check_audience(&claims, config, err) || !check_rest(&claims, config, err))
        return false;
    const struct json_value *sub = json_get(claims.body, config->sub_claim);
    if (sub == NULL || sub->kind != JSON_STRING || sub->str.len == 0)
        return err_set(err, ERR_FORBIDDEN, "the token names no user");
    sasl_set_user(sasl, sub->str);
    return true;
}

/* --- messages --- */

/* The token of "n,,^Aauth=Bearer <token>^A^A"; other pairs are extensions, which are looked over. */
static bool read_message(struct str message, struct str *token, struct str *authzid)
{
    struct str rest = message, part;
    *token = STR_NULL;
    if (!str_split(&rest, ',', &part) || !str_eq(part, STR("n")) || !str_split(&rest, ',', authzid) ||
        rest.len < 3 || rest.ptr[0] != '\1')
        return false;
    if (authzid->len != 0 && !str_starts_with(*authzid, STR("a=")))
        return false;
    *authzid = str_sub(*authzid, 2, SIZE_MAX);
    rest = str_sub(rest, 1, SIZE_MAX);
    if (!str_ends_with(rest, STR("\1\1")))
        return false;
    rest.len -= 2;
    while (str_split(&rest, '\1', &part)) {
        if (str_starts_with(part, STR("auth="))) {
            struct str value = str_sub(part, strlen("auth="), SIZE_MAX);
            if (!str_is_null(*token) || !str_starts_with_nocase(value, STR("bearer ")))
                return false;
            *token = str_sub(value, strlen("bearer "), SIZE_MAX);
        } else if (str_find_char(part, '=') <= 0) {
            return false;
        }
    }
    return !str_is_null(*token) && token->len > 0;
}

static enum sasl_result oauth_step(struct sasl *sasl, struct str message, int64_t now_ms, struct buf *reply,
                                   struct err *err)
{
    static const char text[] = "Authentication failed: the token is not good";
    struct str token, authzid;
    struct err cause;
    if (sasl->step == STEP_REFUSED)
        return sasl_fail(err, text); /* the client's ^A */
    if (message.len > TOKEN_BYTES_MAX || !read_message(message, &token, &authzid))
        return sasl_fail(err, "Invalid OAUTHBEARER client first message");
    bool good = check_token(sasl, str_dup(token, &sasl->arena), now_ms, &cause);
    if (good && authzid.len != 0 && !str_eq(authzid, str_sub(sasl->principal, strlen("User:"), SIZE_MAX)))
        good = err_set(&cause, ERR_FORBIDDEN, "the authorization id is not the token's user");
    if (good)
        return SASL_DONE;
    log_warn("auth", "token_refused", "cause=\"%s\"", cause.text);
    sasl->principal = STR_NULL;
    sasl->step = STEP_REFUSED;
    buf_append_cstr(reply, "{\"status\":\"invalid_token\"}");
    return SASL_CONTINUE;
}

const struct sasl_class sasl_oauthbearer = {"OAUTHBEARER", AUTH_OAUTHBEARER, oauth_step};
