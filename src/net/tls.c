/* tls.c - what TLS connections share: key, certificates, trusted certificates and rules, read from files that may change.
 *
 *   ssl.keystore.location   --+
 *                             +--> SSL_CTX, held by every connection made under it
 *   ssl.truststore.location --+        a handshake after a file changed makes a new one
 *
 * (C1) A context is never changed, only replaced: connections keep the one that they began with.
 * (C2) Files are looked at when a connection comes, at most once in CHECK_MS: no timer, no signal, nothing to forget.
 *      Files that cannot be used leave the old context in place; they are tried again when they change again.
 * (C3) TLS 1.2 and 1.3 only, no renegotiation, no compression. Session tickets belong to a context: after a change of the
 *      trusted certificates nobody gets in by an old ticket.
 * Decided against JKS: it is a format of Java alone (keytool converts it to PKCS#12).
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include "net/net_int.h"

enum { CHECK_MS = 1000 };

static const char *const store_words[] = {"PEM", "PKCS12", NULL};
static const char *const client_words[] = {"none", "requested", "required", NULL};
static const char *const protocol_words[] = {"TLSv1.2", "TLSv1.3", NULL};

#define TLS_AT(member) CONF_AT(struct net_tls_options, member), .scope = CONF_LISTENER

static const struct conf_option options[] = {
    {"ssl.keystore.location", CONF_STRING, "", TLS_AT(keystore),
     .doc = "File with the server's private key and certificate chain. It is read again when it changes."},
    {"ssl.keystore.type", CONF_ENUM, "PEM", TLS_AT(keystore_type), .words = store_words,
     .doc = "Format of the keystore. keytool -importkeystore -deststoretype PKCS12 converts a JKS file."},
    {"ssl.keystore.password", CONF_PASSWORD, "", TLS_AT(keystore_password),
     .doc = "Password of a PKCS12 keystore."},
    {"ssl.key.password", CONF_PASSWORD, "", TLS_AT(key_password),
     .doc = "Password of an encrypted private key in a PEM keystore."},
    {"ssl.truststore.location", CONF_STRING, "", TLS_AT(truststore),
     .doc = "File with the certificates by which client certificates are judged. It is read again when it "
            "changes."},
    {"ssl.truststore.type", CONF_ENUM, "PEM", TLS_AT(truststore_type), .words = store_words,
     .doc = "Format of the truststore."},
    {"ssl.truststore.password", CONF_PASSWORD, "", TLS_AT(truststore_password),
     .doc = "Password of a PKCS12 truststore."},
    {"ssl.client.auth", CONF_ENUM, "none", TLS_AT(client_auth), .words = client_words,
     .doc = "Whether clients are asked for a certificate, and whether they must have one."},
    {"ssl.enabled.protocols", CONF_LIST, "TLSv1.2,TLSv1.3", TLS_AT(protocols), .words = protocol_words,
     .doc = "Versions that are spoken: TLSv1.2, TLSv1.3."},
    {"ssl.cipher.suites", CONF_LIST, "", TLS_AT(cipher_suites),
     .doc = "Cipher suites by their IANA names (TLS_AES_128_GCM_SHA256); empty: OpenSSL's choice."},
};

const struct conf_table net_tls_conf_table = {"tls", options, COUNT_OF(options),
                                              sizeof(struct net_tls_options)};

/* What tells that a file was changed. */
struct file_stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct net_tls {
    struct net_tls_options options; /* texts in the arena */
    struct arena arena;
    char *keystore, *truststore; /* paths; NULL: none */
    pthread_mutex_t lock;        /* all below */
    SSL_CTX *context;
    int64_t checked_ms;
    struct file_stamp key_stamp, trust_stamp;
};

/* ---- reading stores ---- */

/* The reason of OpenSSL's last error, as the end of *err's text. */
static bool fail_ssl(struct err *err, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    bool result = err_set(err, ERR_INVALID_CONFIG, "%s: %s", what, reason != NULL ? reason : "not usable");
    ERR_clear_error();
    return result;
}

static int give_password(char *to, int size, int writing, void *arg)
{
    const struct str *password = arg;
    if (password->len == 0 || password->len > (size_t)size)
        return -1;
    memcpy(to, password->ptr, password->len);
    return (int)password->len;
}

static BIO *open_store(const char *path, struct err *err)
{
    BIO *bio = BIO_new_file(path, "re");
    if (bio == NULL)
        fail_ssl(err, "cannot be opened");
    return bio;
}

/* Key and chain of a PEM file, in any order; the first certificate is the server's own. */
static bool use_pem(SSL_CTX *context, const char *path, struct str *password, struct err *err)
{
    BIO *bio = open_store(path, err);
    if (bio == NULL)
        return false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, give_password, password);
    bool good = key != NULL && BIO_seek(bio, 0) == 0 &&
                SSL_CTX_use_certificate_chain_file(context, path) == 1 &&
                SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
    if (!good)
        fail_ssl(err, key == NULL ? "holds no private key that can be read" : "certificate or key");
    EVP_PKEY_free(key);
    BIO_free(bio);
    return good;
}

static bool parse_pkcs12(const char *path, struct str password, EVP_PKEY **key, X509 **cert,
                         STACK_OF(X509) * *chain, struct err *err)
{
    BIO *bio = open_store(path, err);
    if (bio == NULL)
        return false;
    PKCS12 *store = d2i_PKCS12_bio(bio, NULL);
    bool good =
        store != NULL && PKCS12_parse(store, password.len != 0 ? password.ptr : "", key, cert, chain) == 1;
    if (!good)
        fail_ssl(err, store == NULL ? "is not PKCS#12" : "password or contents");
    PKCS12_free(store);
    BIO_free(bio);
    return good;
}

static bool use_pkcs12(SSL_CTX *context, const char *path, struct str password, struct err *err)
{
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    STACK_OF(X509) *chain = NULL;
    if (!parse_pkcs12(path, password, &key, &cert, &chain, err))
        return false;
    bool good = key != NULL && cert != NULL && SSL_CTX_use_cert_and_key(context, cert, key, chain, 1) == 1;
    if (!good)
        fail_ssl(err, "key and certificate");
    EVP_PKEY_free(key);
    X509_free(cert);
    sk_X509_pop_free(chain, X509_free);
    return good;
}

static bool trust_pkcs12(SSL_CTX *context, const char *path, struct str password, struct err *err)
{
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    STACK_OF(X509) *certs = NULL;
    if (!parse_pkcs12(path, password, &key, &cert, &certs, err))
        return false;
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    bool good = certs != NULL && sk_X509_num(certs) > 0;
    for (int i = 0; good && i < sk_X509_num(certs); i++) {
        X509 *one = sk_X509_value(certs, i);
        good = X509_STORE_add_cert(store, one) == 1 && SSL_CTX_add_client_CA(context, one) == 1;
    }
    if (!good)
        fail_ssl(err, "trusted certificates");
    EVP_PKEY_free(key);
    X509_free(cert);
    sk_X509_pop_free(certs, X509_free);
    return good;
}

static bool trust_pem(SSL_CTX *context, const char *path, struct err *err)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(path);
    if (names == NULL || SSL_CTX_load_verify_file(context, path) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return fail_ssl(err, "trusted certificates");
    }
    SSL_CTX_set_client_CA_list(context, names);
    return true;
}

/* ---- rules ---- */

static bool set_protocols(SSL_CTX *context, const struct conf_list *protocols, struct err *err)
{
    bool tls12 = protocols->len == 0, tls13 = protocols->len == 0;
    for (size_t i = 0; i < protocols->len; i++) {
        bool is12 = str_eq(protocols->at[i], STR("TLSv1.2")), is13 = str_eq(protocols->at[i], STR("TLSv1.3"));
        if (!is12 && !is13)
            return err_set(
                err, ERR_INVALID_CONFIG,
                "ssl.enabled.protocols knows TLSv1.2 and TLSv1.3, not '%.*s': older ones are broken",
                STR_ARG(protocols->at[i]));
        tls12 |= is12;
        tls13 |= is13;
    }
    return (SSL_CTX_set_min_proto_version(context, tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) == 1 &&
            SSL_CTX_set_max_proto_version(context, tls13 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1) ||
           fail_ssl(err, "ssl.enabled.protocols");
}

/* OpenSSL has a list for TLS 1.3 and one for the others, and its own names in the latter. */
static bool set_ciphers(SSL_CTX *context, const struct conf_list *suites, struct err *err)
{
    struct buf old = {0}, new = {0};
    bool good = true;
    for (size_t i = 0; i < suites->len && good; i++) {
        char name[128];
        bool short_enough = suites->at[i].len < sizeof name;
        snprintf(name, sizeof name, "%.*s", STR_ARG(suites->at[i]));
        const char *known = short_enough ? OPENSSL_cipher_name(name) : NULL;
        good =
            (known != NULL && strcmp(known, "(NONE)") != 0) ||
            err_set(err, ERR_INVALID_CONFIG, "ssl.cipher.suites: '%s' is not a suite that OpenSSL has", name);
        struct buf *list = str_find(suites->at[i], STR("_WITH_")) < 0 ? &new : &old;
        if (good)
            buf_printf(list, "%s%s", list->len != 0 ? ":" : "", known);
    }
    if (good && suites->len != 0)
        good = (SSL_CTX_set_ciphersuites(context, new.len != 0 ? new.ptr : "") == 1 &&
                (old.len == 0 || SSL_CTX_set_cipher_list(context, old.ptr) == 1)) ||
               fail_ssl(err, "ssl.cipher.suites");
    buf_fini(&old);
    buf_fini(&new);
    return good;
}

static bool load_stores(struct net_tls *tls, SSL_CTX *context, struct err *err)
{
    struct net_tls_options *o = &tls->options;
    bool good = o->keystore_type == NET_STORE_PEM
                    ? use_pem(context, tls->keystore, &o->key_password, err)
                    : use_pkcs12(context, tls->keystore, o->keystore_password, err);
    if (!good) {
        err_context(err, "ssl.keystore.location=%s", tls->keystore);
        return false;
    }
    if (tls->truststore == NULL)
        return true;
    good = o->truststore_type == NET_STORE_PEM
               ? trust_pem(context, tls->truststore, err)
               : trust_pkcs12(context, tls->truststore, o->truststore_password, err);
    if (!good)
        err_context(err, "ssl.truststore.location=%s", tls->truststore);
    return good;
}

static SSL_CTX *make_context(struct net_tls *tls, struct err *err)
{
    static const unsigned char session_id[] = "rialto";
    static const int verify[] = {SSL_VERIFY_NONE, SSL_VERIFY_PEER,
                                 SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT};
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL) {
        fail_ssl(err, "TLS");
        return NULL;
    }
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(context, session_id, sizeof session_id - 1);
    SSL_CTX_set_verify(context, verify[tls->options.client_auth], NULL);
    SSL_CTX_set_alpn_select_cb(context, tls_choose_alpn, NULL);
    if (set_protocols(context, &tls->options.protocols, err) &&
        set_ciphers(context, &tls->options.cipher_suites, err) && load_stores(tls, context, err))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

/* ---- changes of the files ---- */

static struct file_stamp stamp_of(const char *path)
{
    struct file_stamp stamp = {0};
    struct stat info;
    if (path != NULL && stat(path, &info) == 0)
        stamp = (struct file_stamp){info.st_dev, info.st_ino, info.st_size, info.st_mtim};
    return stamp;
}

static bool stamp_eq(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static void log_loaded(SSL_CTX *context)
{
    const ASN1_TIME *end = X509_get0_notAfter(SSL_CTX_get0_certificate(context));
    struct tm until = {0};
    char text[32] = "?";
    if (ASN1_TIME_to_tm(end, &until) == 1)
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &until);
    log_info("net", "certificate_loaded", "valid_until=%s", text);
}

/* C2. Under the lock. The stamps are taken before the files are read: a change in between is seen next time. */
static bool reload(struct net_tls *tls, struct err *err)
{
    struct file_stamp key = stamp_of(tls->keystore), trust = stamp_of(tls->truststore);
    if (tls->context != NULL && stamp_eq(&key, &tls->key_stamp) && stamp_eq(&trust, &tls->trust_stamp))
        return true;
    tls->key_stamp = key;
    tls->trust_stamp = trust;
    SSL_CTX *context = make_context(tls, err);
    if (context == NULL)
        return false;
    SSL_CTX_free(tls->context);
    tls->context = context;
    log_loaded(context);
    return true;
}

SSL_CTX *net_tls_context(struct net_tls *tls)
{
    struct err err;
    int64_t now_ms = clock_mono_ms();
    pthread_mutex_lock(&tls->lock);
    if (now_ms - tls->checked_ms >= CHECK_MS) {
        tls->checked_ms = now_ms;
        if (!reload(tls, &err))
            log_warn("net", "certificate_not_reloaded", "cause=\"%s\"", err.text);
    }
    SSL_CTX *context = tls->context;
    SSL_CTX_up_ref(context);
    pthread_mutex_unlock(&tls->lock);
    return context;
}

/* ---- life ---- */

static void copy_list(struct conf_list *list, struct arena *arena)
{
    struct str *at = arena_array(arena, struct str, list->len);
    for (size_t i = 0; i < list->len; i++)
        at[i] = str_dup(list->at[i], arena);
    list->at = at;
}

static void copy_options(struct net_tls *tls, const struct net_tls_options *given)
{
    struct net_tls_options *o = &tls->options;
    *o = *given;
    struct str *texts[] = {&o->keystore, &o->truststore, &o->keystore_password, &o->key_password,
                           &o->truststore_password};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        *texts[i] = str_dup(*texts[i], &tls->arena);
    copy_list(&o->protocols, &tls->arena);
    copy_list(&o->cipher_suites, &tls->arena);
    tls->keystore = str_cstr(o->keystore, &tls->arena);
    tls->truststore = o->truststore.len != 0 ? str_cstr(o->truststore, &tls->arena) : NULL;
}

struct net_tls *net_tls_new(const struct net_tls_options *given, struct err *err)
{
    struct net_tls *tls = mem_new(struct net_tls);
    copy_options(tls, given);
    pthread_mutex_init(&tls->lock, NULL);
    bool good = true;
    if (given->keystore.len == 0)
        good = err_set(
            err, ERR_INVALID_CONFIG,
            "ssl.keystore.location is not set: TLS needs a file with a private key and its certificates");
    else if (given->client_auth != NET_CLIENT_NONE && given->truststore.len == 0)
        good =
            err_set(err, ERR_INVALID_CONFIG,
                    "ssl.client.auth needs ssl.truststore.location: certificates that clients are judged by");
    if (good && reload(tls, err))
        return tls;
    net_tls_free(tls);
    return NULL;
}

void net_tls_free(struct net_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    pthread_mutex_destroy(&tls->lock);
    arena_fini(&tls->arena);
    free(tls);
}

bool net_tls_requires_client(const struct net_tls *tls)
{
    return tls->options.client_auth == NET_CLIENT_REQUIRED;
}
