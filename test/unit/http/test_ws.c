/* test_ws.c - websockets after RFC 6455: the example handshake, frames whole and in pieces, ping, close from
 * either side, limits, protocol errors, many messages from another thread. */
#include "server_fixture.h"

static struct buf in; /* bytes of the server not looked at yet */

static int open_ws(void)
{
    int fd = dial();
    buf_clear(&in);
    send_text(fd, "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    while (in.len == 0 || strstr(in.ptr, "\r\n\r\n") == NULL)
        assert_true(recv_some(fd, &in));
    assert_true(str_starts_with(buf_str(&in), STR("HTTP/1.1 101 Switching Protocols\r\n")));
    assert_non_null(strstr(in.ptr, "\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    buf_consume(&in, (size_t)(strstr(in.ptr, "\r\n\r\n") - in.ptr) + 4);
    return fd;
}

/* A masked frame as clients send it; first = FIN and opcode. */
static void frame_append(struct buf *out, int first, const char *payload, size_t len)
{
    static const char mask[4] = {1, 2, 3, 4};
    buf_append_char(out, (char)first);
    if (len < 126) {
        buf_append_char(out, (char)(0x80 | len));
    } else {
        buf_append_char(out, (char)(0x80 | 126));
        store_be16(buf_extend(out, 2), (uint16_t)len);
    }
    buf_append(out, mask, 4);
    for (size_t i = 0; i < len; i++)
        buf_append_char(out, payload[i] ^ mask[i % 4]);
}

static void send_frame(int fd, int first, const char *payload, size_t len)
{
    struct buf out = {0};
    frame_append(&out, first, payload, len);
    send_all(fd, out.ptr, out.len);
    buf_fini(&out);
}

/* The next (unmasked, short or 16-bit) frame of the server; false at the end of the connection. */
static bool next_frame(int fd, int *first, struct buf *payload)
{
    for (;;) {
        size_t head = 2, len = in.len >= 2 ? (uint8_t)in.ptr[1] : 0;
        if (len == 126 && in.len >= 4) {
            len = load_be16(in.ptr + 2);
            head = 4;
        }
        if (in.len >= head && in.len - head >= len &&
            !(in.len >= 2 && (uint8_t)in.ptr[1] == 126 && in.len < 4)) {
            *first = (uint8_t)in.ptr[0];
            buf_clear(payload);
            buf_append(payload, in.ptr + head, len);
            buf_consume(&in, head + len);
            return true;
        }
        if (!recv_some(fd, &in))
            return false;
    }
}

static void expect_frame(int fd, int first, const char *bytes, size_t len)
{
    struct buf payload = {0};
    int got;
    assert_true(next_frame(fd, &got, &payload));
    assert_int_equal(got, first);
    assert_int_equal(payload.len, len);
    assert_memory_equal(payload.ptr, bytes, len);
    buf_fini(&payload);
}

static void expect_end(int fd)
{
    while (recv_some(fd, &in))
        ;
    close(fd);
}

static void test_echo(void **state)
{
    int fd = open_ws();
    send_frame(fd, 0x81, "Hello", 5);
    expect_frame(fd, 0x81, "Hello", 5);
    send_frame(fd, 0x82, "\0\1\2", 3);
    expect_frame(fd, 0x82, "\0\1\2", 3);
    send_frame(fd, 0x01, "Hel", 3); /* fragments, a ping between them */
    send_frame(fd, 0x89, "p", 1);
    send_frame(fd, 0x80, "lo", 2);
    expect_frame(fd, 0x8a, "p", 1);
    expect_frame(fd, 0x81, "Hello", 5);
    send_frame(fd, 0x88, "\3\350", 2); /* close 1000 */
    expect_frame(fd, 0x88, "\3\350", 2);
    expect_end(fd);
    wait_for(&ws_closes, 1);
    assert_int_equal(atomic_load(&last_ws_code), 1000);
}

static void test_byte_by_byte(void **state)
{
    int fd = open_ws();
    struct buf out = {0};
    frame_append(&out, 0x81, "slowly", 6);
    for (size_t i = 0; i < out.len; i++) {
        send_all(fd, out.ptr + i, 1);
        usleep(300);
    }
    expect_frame(fd, 0x81, "slowly", 6);
    buf_fini(&out);
    close(fd); /* without a close frame */
    wait_for(&ws_closes, 2);
    assert_int_equal(atomic_load(&last_ws_code), 1006);
}

/* Frames right behind the handshake in one packet. */
static void test_early_frames(void **state)
{
    int fd = dial();
    struct buf out = {0};
    buf_append_cstr(&out,
                    "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    frame_append(&out, 0x81, "early", 5);
    send_all(fd, out.ptr, out.len);
    buf_clear(&in);
    while (in.len == 0 || strstr(in.ptr, "\r\n\r\n") == NULL)
        assert_true(recv_some(fd, &in));
    buf_consume(&in, (size_t)(strstr(in.ptr, "\r\n\r\n") - in.ptr) + 4);
    expect_frame(fd, 0x81, "early", 5);
    buf_fini(&out);
    close(fd);
    wait_for(&ws_closes, 3);
}

static void test_server_closes(void **state)
{
    int fd = open_ws();
    send_frame(fd, 0x81, "close", 5);
    expect_frame(fd, 0x88,
                 "\x0f\xa1"
                 "as you wish",
                 13);
    send_frame(fd, 0x88, "\x0f\xa1", 2);
    expect_end(fd);
    wait_for(&ws_closes, 4);
}

/* Each of these ends the socket with the code that RFC 6455, 7.4.1 gives. */
static void test_violations(void **state)
{
    static const struct {
        int first;
        const char *payload;
        size_t len;
        int code;
    } cases[] = {
        {0x81, "\xff\xfe", 2, 1007}, /* not UTF-8 */
        {0x83, "x", 1, 1002},        /* unknown opcode */
        {0x80, "x", 1, 1002},        /* continuation of nothing */
        {0x09, "x", 1, 1002},        /* fragmented ping */
        {0xc1, "x", 1, 1002},        /* reserved bit */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int fd = open_ws(), first;
        struct buf payload = {0};
        send_frame(fd, cases[i].first, cases[i].payload, cases[i].len);
        assert_true(next_frame(fd, &first, &payload));
        assert_int_equal(first, 0x88);
        assert_int_equal(load_be16(payload.ptr), cases[i].code);
        buf_fini(&payload);
        close(fd);
    }
    char large[1001]; /* the limit in these tests is 1000 */
    memset(large, 'x', sizeof large);
    int fd = open_ws(), first;
    struct buf payload = {0};
    send_frame(fd, 0x81, large, sizeof large);
    assert_true(next_frame(fd, &first, &payload));
    assert_int_equal(load_be16(payload.ptr), 1009);
    buf_fini(&payload);
    close(fd);
    fd = open_ws();
    send_all(fd, "\x81\x02hi", 4); /* not masked */
    expect_end(fd);
    wait_for(&ws_closes, 11);
}

static void test_many(void **state)
{
    int fd = open_ws();
    send_frame(fd, 0x81, "many", 4);
    for (int i = 0; i < 1000; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "%d", i);
        expect_frame(fd, 0x81, text, (size_t)len);
    }
    expect_frame(fd, 0x88, "\3\350done", 6);
    send_frame(fd, 0x88, "\3\350", 2);
    expect_end(fd);
    wait_for(&ws_closes, 12);
    assert_int_equal(atomic_load(&ws_opens), 12);
}

static void test_bad_handshakes(void **state)
{
    static const char *const heads[] = {
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: short\r\nSec-WebSocket-Version: "
        "13\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 8\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        int fd = dial();
        send_text(fd, "GET /ws HTTP/1.1\r\nHost: localhost\r\n");
        send_text(fd, heads[i]);
        send_text(fd, "\r\n");
        buf_clear(&in);
        while (in.len == 0 || strstr(in.ptr, "\r\n\r\n") == NULL)
            assert_true(recv_some(fd, &in));
        assert_true(str_starts_with(buf_str(&in), STR("HTTP/1.1 426 ")));
        assert_non_null(strstr(in.ptr, "sec-websocket-version: 13\r\n"));
        close(fd);
    }
    buf_fini(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),           cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_early_frames),   cmocka_unit_test(test_server_closes),
        cmocka_unit_test(test_violations),     cmocka_unit_test(test_many),
        cmocka_unit_test(test_bad_handshakes),
    };
    return cmocka_run_group_tests(tests, serve, unserve);
}
