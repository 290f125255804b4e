/* test_tls.c - TLS on a listener: handshakes, echoes, files, ALPN, client certificates and their names, slow and wrong
 * peers, a certificate that changes. The other side is OpenSSL's client, blocking, on the test's thread; certificates are
 * made by the openssl program. Expected names of subjects are what Java's X500Principal.getName() prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/net.h"

static char dir[] = "/tmp/test_tls_XXXXXX";
static struct net *net;
static struct net_tls *tls;
static int port, file_fd;
static char pattern[1 << 20];
static _Atomic int opened, closed;
static char subject[512];
static bool tls_seen;

/* ---- the protocol: 'e' echoes what follows, 'f' sends "[", a megabyte of a file, "]"; 'q' says bye ---- */

static void echo_open(struct conn *conn)
{
    struct str name = conn_tls_subject(conn);
    snprintf(subject, sizeof subject, "%.*s", (int)name.len, str_is_null(name) ? "" : name.ptr);
    tls_seen = conn_is_tls(conn);
    atomic_fetch_add(&opened, 1);
}

static size_t echo_bytes(struct conn *conn, struct str unread)
{
    if (unread.ptr[0] == 'f') {
        conn_write(conn, STR("["));
        conn_write_file(conn, file_fd, 0, sizeof pattern, NULL, NULL);
        conn_write(conn, STR("]"));
        return 1;
    }
    if (unread.ptr[0] == 'q') {
        conn_write(conn, STR("bye"));
        conn_close_flushed(conn, "asked to");
        return unread.len;
    }
    conn_write(conn, unread);
    return unread.len;
}

static void echo_close(struct conn *conn, const char *why)
{
    atomic_fetch_add(&closed, 1);
}

static const struct conn_class echo_class = {.name = "echo",
                                             .on_open = echo_open,
                                             .on_bytes = echo_bytes,
                                             .on_close = echo_close,
                                             .alpn = "\x02h2\x08http/1.1"};

/* ---- files ---- */

static void shell(const char *fmt, ...)
{
    char command[2048];
    int n = snprintf(command, sizeof command, "cd %s && { ", dir);
    va_list args;
    va_start(args, fmt);
    n += vsnprintf(command + n, sizeof command - (size_t)n, fmt, args);
    va_end(args);
    snprintf(command + n, sizeof command - (size_t)n, "; } >>log 2>&1");
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

/* name.pem: key and certificate of its own signature. */
static void make_certificate(const char *name, const char *dn)
{
    shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -utf8 "
          "-multivalue-rdn -keyout k.pem "
          "-out %s.crt -subj '%s' && cat k.pem %s.crt >%s.new && mv %s.new %s.pem && rm k.pem",
          name, dn, name, name, name, name);
}

static struct str path(const char *name)
{
    static char paths[8][128];
    static size_t next;
    char *at = paths[next++ % COUNT_OF(paths)];
    return str_of(at, (size_t)snprintf(at, sizeof paths[0], "%s/%s", dir, name));
}

/* ---- server and client ---- */

static void serve(struct net_tls_options options, int64_t handshake_ms)
{
    struct err err;
    if (options.keystore.len == 0)
        options.keystore = path("server.pem");
    tls = net_tls_new(&options, &err);
    if (tls == NULL)
        fail_msg("%s", err.text);
    net = net_new(&(struct net_options){.thread_count = 2}, &err);
    struct net_listen_options listen = {.tls = tls, .handshake_ms = handshake_ms};
    struct net_listener *listener = net_listen(net, STR("127.0.0.1:0"), &echo_class, NULL, &listen, &err);
    assert_non_null(listener);
    port = net_listener_port(listener);
    atomic_store(&opened, 0);
    atomic_store(&closed, 0);
}

static void stop(void)
{
    net_free(net);
    net_tls_free(tls);
    assert_int_equal(atomic_load(&opened), atomic_load(&closed));
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval limit = {.tv_sec = 20};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    return fd;
}

struct peer {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
};

/* False: the handshake (and with TLS 1.3, the first read after it) failed. */
static bool peer_open(struct peer *peer, const char *certificate, int version)
{
    peer->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(peer->context, version);
    SSL_CTX_set_max_proto_version(peer->context, version);
    if (version < TLS1_2_VERSION)
        SSL_CTX_set_cipher_list(peer->context, "DEFAULT@SECLEVEL=0");
    if (certificate != NULL) {
        const char *file = path(certificate).ptr;
        assert_int_equal(SSL_CTX_use_certificate_chain_file(peer->context, file), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(peer->context, file, SSL_FILETYPE_PEM), 1);
    }
    peer->fd = dial();
    peer->ssl = SSL_new(peer->context);
    SSL_set_fd(peer->ssl, peer->fd);
    SSL_set_alpn_protos(peer->ssl, (const unsigned char *)"\x08http/1.1\x02h2", 12);
    char byte = 'e', back;
    return SSL_connect(peer->ssl) == 1 && SSL_write(peer->ssl, &byte, 1) == 1 &&
           SSL_read(peer->ssl, &back, 1) == 1 && back == 'e';
}

static void peer_close(struct peer *peer)
{
    SSL_free(peer->ssl);
    SSL_CTX_free(peer->context);
    close(peer->fd);
}

static void read_all(struct peer *peer, char *to, size_t size)
{
    for (size_t at = 0; at < size;) {
        int n = SSL_read(peer->ssl, to + at, (int)(size - at));
        if (n <= 0)
            fail_msg("end after %zu of %zu bytes", at, size);
        at += (size_t)n;
    }
}

/* ---- tests ---- */

static void test_bytes_and_files(void **state)
{
    static char back[sizeof pattern + 2];
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    serve((struct net_tls_options){0}, 0);
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct peer peer;
        assert_true(peer_open(&peer, NULL, versions[i]));
        assert_true(tls_seen);
        assert_string_equal(subject, "");
        const unsigned char *chosen;
        unsigned len;
        SSL_get0_alpn_selected(peer.ssl, &chosen, &len);
        assert_true(len == 2 && memcmp(chosen, "h2", 2) == 0); /* the server's order counts */
        /* More than the listener's queue holds, in both directions at once. */
        assert_int_equal(SSL_write(peer.ssl, "f", 1), 1);
        read_all(&peer, back, sizeof pattern + 2);
        assert_true(back[0] == '[' && back[sizeof pattern + 1] == ']');
        assert_memory_equal(back + 1, pattern, sizeof pattern);
        for (size_t at = 0; at < sizeof pattern; at += 50000) {
            size_t n = MIN(sizeof pattern - at, 50000);
            char *part = back + at;
            memset(part, 'e', n);
            assert_int_equal(SSL_write(peer.ssl, part, (int)n), n);
            read_all(&peer, part, n);
            assert_true(part[0] == 'e' && part[n - 1] == 'e');
        }
        assert_int_equal(SSL_write(peer.ssl, "q", 1), 1);
        read_all(&peer, back, 3);
        assert_memory_equal(back, "bye", 3);
        assert_int_equal(SSL_read(peer.ssl, back, 1), 0); /* an end that is said, not a cut */
        assert_int_equal(SSL_get_error(peer.ssl, 0), SSL_ERROR_ZERO_RETURN);
        peer_close(&peer);
    }
    stop();
}

static void test_old_versions_are_refused(void **state)
{
    struct str only13[] = {STR_INIT("TLSv1.3")};
    struct peer peer;
    serve((struct net_tls_options){.protocols = {only13, 1}}, 0);
    assert_false(peer_open(&peer, NULL, TLS1_1_VERSION));
    peer_close(&peer);
    assert_false(peer_open(&peer, NULL, TLS1_2_VERSION));
    peer_close(&peer);
    assert_true(peer_open(&peer, NULL, TLS1_3_VERSION));
    peer_close(&peer);
    stop();
}

static void test_client_certificates(void **state)
{
    static const struct {
        const char *file, *dn, *printed;
    } names[] = {
        {"alice", "/C=DE/O=Shop, Inc./OU=Service/CN=alice", "CN=alice,OU=Service,O=Shop\\, Inc.,C=DE"},
        {"mail", "/CN=bob/emailAddress=a@b", "1.2.840.113549.1.9.1=#1603614062,CN=bob"},
        {"umlaut", "/CN=J\xc3\xb6rg/DC=example", "DC=example,CN=J\xc3\xb6rg"},
        {"pair", "/C=DE/O=Shop+OU=Service/CN=carol", "CN=carol,O=Shop+OU=Service,C=DE"},
        {"odd", "/O=a\\+b <c>;d=\\\"e\\\"/CN=  #lead #",
         "CN=\\ \\ \\#lead \\#,O=a\\+b \\<c\\>\\;d\\=\\\"e\\\""},
    };
    shell("rm -f trust.pem");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        make_certificate(names[i].file, names[i].dn);
        shell("cat %s.crt >>trust.pem", names[i].file);
    }
    make_certificate("stranger", "/CN=stranger");
    struct peer peer;
    serve((struct net_tls_options){.client_auth = NET_CLIENT_REQUIRED, .truststore = path("trust.pem")}, 0);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char file[32];
        snprintf(file, sizeof file, "%s.pem", names[i].file);
        assert_true(peer_open(&peer, file, TLS1_3_VERSION));
        assert_string_equal(subject, names[i].printed);
        peer_close(&peer);
    }
    assert_false(peer_open(&peer, "stranger.pem", TLS1_3_VERSION));
    peer_close(&peer);
    assert_false(peer_open(&peer, NULL, TLS1_2_VERSION));
    peer_close(&peer);
    stop();
    serve((struct net_tls_options){.client_auth = NET_CLIENT_REQUESTED, .truststore = path("trust.pem")}, 0);
    assert_true(peer_open(&peer, NULL, TLS1_3_VERSION));
    assert_string_equal(subject, "");
    peer_close(&peer);
    assert_false(peer_open(&peer, "stranger.pem", TLS1_3_VERSION));
    peer_close(&peer);
    stop();
}

/* The other side ends the connection; nothing was ever given to the class. */
static void assert_dropped(int fd)
{
    char byte[64];
    ssize_t n;
    while ((n = recv(fd, byte, sizeof byte, 0)) > 0) /* an alert may come first */
        continue;
    assert_true(n == 0 || errno == ECONNRESET);
    assert_int_equal(atomic_load(&opened), 0);
    close(fd);
}

static void test_slow_and_wrong_peers(void **state)
{
    static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    serve((struct net_tls_options){0}, 300);
    int silent = dial(), slow = dial(), garbage = dial(), http = dial();
    send(slow, hello, sizeof hello - 1, 0);
    send(garbage, "\0\0\0\x10\0\x12\0\0\0\0\0\1 hello", 16, 0);
    send(http, "GET / HTTP/1.1\r\n\r\n", 18, 0);
    assert_dropped(garbage);
    assert_dropped(http);
    assert_dropped(silent);
    assert_dropped(slow);
    stop();
}

static int64_t used_ms(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

/* A record that does not come to its end costs nothing while it is waited for. */
static void test_part_of_a_record(void **state)
{
    static const char part[] = "\x17\x03\x03\x00\x40 the beginning";
    struct peer peer;
    serve((struct net_tls_options){0}, 0);
    assert_true(peer_open(&peer, NULL, TLS1_3_VERSION));
    send(peer.fd, part, sizeof part - 1, 0);
    usleep(100000);
    int64_t before_ms = used_ms();
    usleep(1000000);
    assert_true(used_ms() - before_ms < 50);
    peer_close(&peer);
    stop();
}

static void test_certificate_changes(void **state)
{
    struct peer old, other;
    make_certificate("turn", "/CN=first");
    serve((struct net_tls_options){.keystore = path("turn.pem")}, 0);
    assert_true(peer_open(&old, NULL, TLS1_3_VERSION));
    make_certificate("turn", "/CN=second");
    bool changed = false;
    for (int i = 0; i < 100 && !changed; i++) {
        char name[256];
        usleep(50000);
        assert_true(peer_open(&other, NULL, TLS1_3_VERSION));
        X509 *cert = SSL_get0_peer_certificate(other.ssl);
        X509_NAME_oneline(X509_get_subject_name(cert), name, sizeof name);
        changed = strcmp(name, "/CN=second") == 0;
        peer_close(&other);
    }
    assert_true(changed);
    /* What cannot be used leaves things as they are. */
    shell("echo garbage >turn.pem");
    usleep(1100000);
    assert_true(peer_open(&other, NULL, TLS1_3_VERSION));
    peer_close(&other);
    char back;
    assert_int_equal(SSL_write(old.ssl, "e", 1), 1);
    assert_int_equal(SSL_read(old.ssl, &back, 1), 1);
    peer_close(&old);
    stop();
}

static void test_stores(void **state)
{
    struct err err;
    struct str suites[] = {STR_INIT("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
                           STR_INIT("TLS_AES_128_GCM_SHA256")};
    struct peer peer;
    shell("openssl pkcs12 -export -in server.pem -out server.p12 -passout pass:secret");
    serve((struct net_tls_options){.keystore = path("server.p12"),
                                   .keystore_type = NET_STORE_PKCS12,
                                   .keystore_password = STR("secret"),
                                   .cipher_suites = {suites, 2}},
          0);
    assert_true(peer_open(&peer, NULL, TLS1_2_VERSION));
    assert_string_equal(SSL_get_cipher(peer.ssl), "ECDHE-ECDSA-AES256-GCM-SHA384");
    peer_close(&peer);
    assert_true(peer_open(&peer, NULL, TLS1_3_VERSION));
    assert_string_equal(SSL_get_cipher(peer.ssl), "TLS_AES_128_GCM_SHA256");
    peer_close(&peer);
    stop();
    struct str nonsense[] = {STR_INIT("TLS_NULL_WITH_NOTHING")}, old[] = {STR_INIT("TLSv1.1")};
    const struct net_tls_options wrong[] = {
        {.keystore_type = NET_STORE_PEM},
        {.keystore = path("absent.pem")},
        {.keystore = path("server.crt")},
        {.keystore = path("server.p12"),
         .keystore_type = NET_STORE_PKCS12,
         .keystore_password = STR("guess")},
        {.keystore = path("server.pem"), .client_auth = NET_CLIENT_REQUIRED},
        {.keystore = path("server.pem"), .truststore = path("log")},
        {.keystore = path("server.pem"), .cipher_suites = {nonsense, 1}},
        {.keystore = path("server.pem"), .protocols = {old, 1}},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_null(net_tls_new(&wrong[i], &err));
        assert_int_equal(err.code, ERR_INVALID_CONFIG);
        assert_null(strstr(err.text, "guess"));
    }
}

static int setup(void **state)
{
    log_level_set(LOG_OFF);
    if (mkdtemp(dir) == NULL)
        return -1;
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (char)(i * 31 + i / 251);
    shell("touch pattern");
    make_certificate("server", "/CN=localhost");
    FILE *file = fopen(path("pattern").ptr, "w+e");
    file_fd = dup(fileno(file));
    fwrite(pattern, 1, sizeof pattern, file);
    fclose(file);
    return 0;
}

static int teardown(void **state)
{
    char command[64];
    close(file_fd);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_and_files),
        cmocka_unit_test(test_old_versions_are_refused),
        cmocka_unit_test(test_client_certificates),
        cmocka_unit_test(test_slow_and_wrong_peers),
        cmocka_unit_test(test_part_of_a_record),
        cmocka_unit_test(test_certificate_changes),
        cmocka_unit_test(test_stores),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, setup, teardown);
}
