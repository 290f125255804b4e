/* tls_conn.c - TLS on one connection: OpenSSL reads and writes the socket itself; here its answers become those of sock.c.
 *
 *   tls_handshake (steps) -> tls_read, tls_write -> tls_shut -> tls_free
 *
 * (S1) Nothing waits: a call that needs the socket says EAGAIN, and tls_events says for what.
 * (S2) OpenSSL's queue of errors is the thread's and is emptied before each call.
 * The subject is printed as Java's X500Principal does, because Kafka's rules and ACLs are written against that text:
 * nine keywords of RFC 2253, all other types as numbers with the value in hexadecimal.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "net/net_int.h"

struct tls {
    SSL *ssl;
    const char *alpn;
    bool established, failed;
    int events;
    struct buf subject;
    bool has_subject;
};

int tls_choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                    unsigned in_len, void *arg)
{
    const struct tls *tls = SSL_get_app_data(ssl);
    if (tls->alpn == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    unsigned char *chosen;
    int result = SSL_select_next_proto(&chosen, out_len, (const unsigned char *)tls->alpn,
                                       (unsigned)strlen(tls->alpn), in, in_len);
    *out = chosen;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

struct tls *tls_new(struct net_tls *shared, int fd, const char *alpn)
{
    struct tls *tls = mem_new(struct tls);
    SSL_CTX *context = net_tls_context(shared);
    tls->alpn = alpn;
    tls->events = LOOP_READ;
    tls->ssl = SSL_new(context);
    SSL_CTX_free(context);
    if (tls->ssl == NULL || SSL_set_fd(tls->ssl, fd) != 1) {
        tls_free(tls);
        return NULL;
    }
    SSL_set_app_data(tls->ssl, tls);
    SSL_set_accept_state(tls->ssl);
    return tls;
}

/* Who the server must be: an address is compared with addresses, a name with names. */
static bool expect_host(SSL *ssl, struct str host)
{
    char name[256];
    if (host.len == 0)
        return true;
    if (host.len >= sizeof name)
        return false;
    snprintf(name, sizeof name, "%.*s", STR_ARG(host));
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1)
        return true;
    ERR_clear_error();
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static bool client_files(SSL_CTX *context, const struct tls_client_options *options, struct err *err)
{
    const char *own = options->keystore, *trusted = options->truststore;
    if ((trusted != NULL ? SSL_CTX_load_verify_file(context, trusted)
                         : SSL_CTX_set_default_verify_paths(context)) != 1)
        return err_set(err, ERR_INVALID_CONFIG,
                       "ssl.truststore.location=%s holds no certificates in PEM form",
                       trusted != NULL ? trusted : "");
    if (own != NULL && (SSL_CTX_use_certificate_chain_file(context, own) != 1 ||
                        SSL_CTX_use_PrivateKey_file(context, own, SSL_FILETYPE_PEM) != 1))
        return err_set(err, ERR_INVALID_CONFIG,
                       "ssl.keystore.location=%s holds no key and certificate in PEM form", own);
    return true;
}

struct tls *tls_connect(int fd, const struct tls_client_options *options, struct err *err)
{
    struct tls *tls = mem_new(struct tls);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    ERR_clear_error();
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    bool good = client_files(context, options, err);
    if (good) {
        tls->ssl = SSL_new(context);
        tls->events = LOOP_READ;
        good = (SSL_set_fd(tls->ssl, fd) == 1 && expect_host(tls->ssl, options->host)) ||
               err_set(err, ERR_INVALID_CONFIG, "the host name cannot be checked");
    }
    SSL_CTX_free(context);
    if (!good) {
        tls_free(tls);
        return NULL;
    }
    SSL_set_connect_state(tls->ssl);
    return tls;
}

void tls_shut(struct tls *tls)
{
    ERR_clear_error();
    if (tls->established && !tls->failed && (SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN) == 0)
        ignore(SSL_shutdown(tls->ssl), "the socket is closed next in any case");
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    tls_shut(tls);
    SSL_free(tls->ssl);
    buf_fini(&tls->subject);
    free(tls);
}

int tls_events(const struct tls *tls)
{
    return tls->events;
}

/* Turns a failed call into errno; 0 stands for the peer's end. */
static ssize_t answer(struct tls *tls, int result)
{
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        tls->events = LOOP_READ;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_WANT_WRITE:
        tls->events = LOOP_WRITE;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        tls->failed = true;
        errno = errno != 0 && errno != EAGAIN ? errno : ECONNRESET;
        return -1;
    default:
        tls->failed = true;
        errno = EPROTO;
        return -1;
    }
}

/* ---- the handshake ---- */

static const struct {
    int nid;
    const char *word;
} keywords[] = {
    {NID_commonName, "CN"},          {NID_countryName, "C"},      {NID_localityName, "L"},
    {NID_stateOrProvinceName, "ST"}, {NID_organizationName, "O"}, {NID_organizationalUnitName, "OU"},
    {NID_streetAddress, "STREET"},   {NID_domainComponent, "DC"}, {NID_userId, "UID"}};

static const char *keyword_of(int nid)
{
    for (size_t i = 0; i < COUNT_OF(keywords); i++)
        if (keywords[i].nid == nid)
            return keywords[i].word;
    return NULL;
}

/* As Java writes a text in a name, which is how rules of Kafka name people: specials have '\' wherever they stand. */
static void print_text(BIO *out, const unsigned char *text, int len)
{
    int lead = 0, trail = len;
    while (lead < len && text[lead] == ' ')
        lead++;
    while (trail > lead && text[trail - 1] == ' ')
        trail--;
    for (int i = 0; i < len; i++) {
        if (text[i] < ' ' || text[i] == 0x7f) {
            BIO_printf(out, "\\%02X", text[i]);
            continue;
        }
        if (i < lead || i >= trail || strchr(",=+<>#;\"\\", text[i]) != NULL)
            BIO_puts(out, "\\");
        BIO_write(out, text + i, 1);
    }
}

static void print_attribute(BIO *out, X509_NAME_ENTRY *entry)
{
    const ASN1_OBJECT *type = X509_NAME_ENTRY_get_object(entry);
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(entry);
    const char *word = keyword_of(OBJ_obj2nid(type));
    unsigned char *text = NULL;
    int text_len = word != NULL ? ASN1_STRING_to_UTF8(&text, value) : -1;
    if (text_len >= 0) {
        BIO_printf(out, "%s=", word);
        print_text(out, text, text_len);
        OPENSSL_free(text);
        return;
    }
    char number[128];
    unsigned char *der = NULL;
    OBJ_obj2txt(number, sizeof number, type, 1);
    BIO_printf(out, "%s=#", word != NULL ? word : number);
    int len = i2d_ASN1_PRINTABLE(value, &der);
    for (int i = 0; i < len; i++)
        BIO_printf(out, "%02x", der[i]);
    OPENSSL_free(der);
}

/* Last part first; attributes of one part with '+', in the order in which they stand. */
static void print_subject(struct tls *tls, X509 *cert)
{
    X509_NAME *name = X509_get_subject_name(cert);
    BIO *out = BIO_new(BIO_s_mem());
    int count = X509_NAME_entry_count(name);
    for (int end = count, start; end > 0; end = start) {
        start = end - 1;
        int part = X509_NAME_ENTRY_set(X509_NAME_get_entry(name, start));
        while (start > 0 && X509_NAME_ENTRY_set(X509_NAME_get_entry(name, start - 1)) == part)
            start--;
        for (int i = start; i < end; i++) {
            BIO_puts(out, i > start ? "+" : end < count ? "," : "");
            print_attribute(out, X509_NAME_get_entry(name, i));
        }
    }
    char *text;
    long len = BIO_get_mem_data(out, &text);
    buf_append(&tls->subject, text, (size_t)len);
    tls->has_subject = true;
    BIO_free(out);
}

enum tls_result tls_handshake(struct tls *tls, const char **why)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1) {
        X509 *cert = SSL_get0_peer_certificate(tls->ssl);
        if (cert != NULL)
            print_subject(tls, cert);
        tls->established = true;
        tls->events = LOOP_READ;
        return TLS_DONE;
    }
    unsigned long code = ERR_peek_error();
    if (answer(tls, result) < 0 && errno == EAGAIN)
        return TLS_BLOCKED;
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    *why = reason != NULL ? reason : "closed by peer";
    tls->failed = true;
    return TLS_FAILED;
}

/* ---- bytes ---- */

ssize_t tls_read(struct tls *tls, void *bytes, size_t size)
{
    size_t total = 0;
    while (total < size) {
        size_t got = 0;
        ERR_clear_error();
        errno = 0;
        int result = SSL_read_ex(tls->ssl, (char *)bytes + total, size - total, &got);
        if (result != 1) {
            ssize_t end = answer(tls, result);
            return total > 0 ? (ssize_t)total : end; /* the end shows up again */
        }
        total += got;
    }
    tls->events = LOOP_READ;
    return (ssize_t)total;
}

ssize_t tls_write(struct tls *tls, const void *bytes, size_t size)
{
    size_t sent = 0;
    ASSERT(size > 0);
    ERR_clear_error();
    errno = 0;
    int result = SSL_write_ex(tls->ssl, bytes, size, &sent);
    if (result == 1)
        return (ssize_t)sent;
    ssize_t end = answer(tls, result);
    if (end == 0) {
        errno = EPIPE;
        end = -1;
    }
    return end;
}

/* A part of a record that waits for the rest does not count: it will raise an event. */
bool tls_has_unread(const struct tls *tls)
{
    return SSL_pending(tls->ssl) > 0 || (SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

struct str tls_subject(const struct tls *tls)
{
    return tls->has_subject ? buf_str(&tls->subject) : STR_NULL;
}
