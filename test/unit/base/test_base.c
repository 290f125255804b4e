/* test_base.c - slices, numbers, hashes, containers against values from their specifications or worked by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/base.h"
#include "base/latch.h"
#include "base/log_rate.h"

static void test_split(void **state)
{
    struct str rest = STR("a,,b,"), part;
    const char *expect[] = {"a", "", "b", ""};
    size_t n = 0;
    while (str_split(&rest, ',', &part)) {
        assert_true(n < 4);
        assert_true(str_eq_cstr(part, expect[n++]));
    }
    assert_int_equal(n, 4);
}

static void test_numbers(void **state)
{
    int64_t n;
    assert_true(str_to_i64(STR("-9223372036854775808"), &n) && n == INT64_MIN);
    assert_true(str_to_i64(STR("9223372036854775807"), &n) && n == INT64_MAX);
    assert_false(str_to_i64(STR("9223372036854775808"), &n));
    assert_false(str_to_i64(STR(""), &n));
    assert_false(str_to_i64(STR("-"), &n));
    assert_false(str_to_i64(STR("1 "), &n));
    double d;
    assert_true(str_to_double(STR("-1.5e3"), &d) && d == -1500.0);
    assert_false(str_to_double(STR("0x10"), &d));
    assert_false(str_to_double(STR("1e"), &d));
    assert_false(str_to_double(STR("."), &d));
}

/* Expected texts: Javadoc of Double.toString. */
static void test_double_text(void **state)
{
    static const struct {
        double d;
        const char *text;
    } cases[] = {{1, "1.0"},
                 {0.1, "0.1"},
                 {1e7, "1.0E7"},
                 {9999999, "9999999.0"},
                 {1e-3, "0.001"},
                 {9.5e-4, "9.5E-4"},
                 {-0.0, "-0.0"},
                 {123456.789, "123456.789"},
                 {1e10, "1.0E10"},
                 {1e23, "1.0E23"},
                 {4.9e-324, "4.9E-324"},
                 {NAN, "NaN"},
                 {INFINITY, "Infinity"},
                 {1.7976931348623157e308, "1.7976931348623157E308"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf buf = {0};
        buf_append_double(&buf, cases[i].d);
        assert_string_equal(buf.ptr, cases[i].text);
        buf_fini(&buf);
    }
}

/* CRC32C check value: RFC 3720 B.4 and the usual "123456789"; murmur2: Apache Kafka's UtilsTest. */
static void test_hashes(void **state)
{
    assert_int_equal(hash_crc32c(0, "123456789", 9), 0xe3069283u);
    char zeros[32] = {0};
    assert_int_equal(hash_crc32c(0, zeros, 32), 0x8a9136aau);
    assert_int_equal(hash_crc32c(hash_crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
    assert_int_equal(hash_murmur2("21", 2), -973932308);
    assert_int_equal(hash_murmur2("foobar", 6), -790332482);
    assert_int_equal(hash_murmur2("a-little-bit-long-string", 24), -985981536);
    assert_int_equal(hash_murmur2("abc", 3), 479470107);
}

/* The definition of CRC-32C, bit by bit. */
static uint32_t crc32c_by_bits(const uint8_t *at, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    }
    return ~crc;
}

/* Long texts are summed in lanes: every length around the borders of groups, every alignment, in one call and in two. */
static void test_crc32c_of_long_texts(void **state)
{
    static const size_t sizes[] = {0,    1,    7,    8,    511,  512,  1535, 1536, 1537,
                                   1543, 1544, 3071, 3072, 3073, 4607, 4608, 6000};
    uint8_t bytes[6016];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * i * 31 + i * 7 + (i >> 8));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t start = 0; start < 16; start++) {
            uint32_t whole = hash_crc32c(0, bytes + start, sizes[i]);
            size_t cut = sizes[i] / 3;
            assert_int_equal(whole, crc32c_by_bits(bytes + start, sizes[i]));
            assert_int_equal(hash_crc32c(hash_crc32c(0, bytes + start, cut), bytes + start + cut,
                                         sizes[i] - cut),
                             whole);
        }
    }
}

/* Every length and the borders between; printf's text is the expected one. */
static void test_integer_text(void **state)
{
    static const int64_t special[] = {INT64_MIN, INT64_MIN + 1, INT64_MAX, -1, -9, -10, -99, -100, -101};
    struct buf buf = {0};
    char text[32];
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        buf_clear(&buf);
        buf_append_i64(&buf, special[i]);
        snprintf(text, sizeof text, "%" PRId64, special[i]);
        assert_string_equal(buf.ptr, text);
    }
    for (int64_t power = 1; power <= INT64_MAX / 10; power *= 10) {
        for (int64_t n = power - 11; n <= power + 11; n++) {
            buf_clear(&buf);
            buf_append_i64(&buf, n);
            snprintf(text, sizeof text, "%" PRId64, n);
            assert_string_equal(buf.ptr, text);
        }
    }
    buf_fini(&buf);
}

static void test_map(void **state)
{
    struct map map = {0};
    char key[16];
    for (int round = 0; round < 3; round++) {
        for (intptr_t i = 0; i < 1000; i++) {
            int len = snprintf(key, sizeof key, "k%d", (int)i);
            map_put(&map, str_of(key, (size_t)len), (void *)(i + 1));
        }
        assert_int_equal(map.len, 1000);
        for (intptr_t i = 0; i < 1000; i += 2) {
            int len = snprintf(key, sizeof key, "k%d", (int)i);
            assert_int_equal((intptr_t)map_remove(&map, str_of(key, (size_t)len)), i + 1);
        }
        assert_int_equal(map.len, 500);
        assert_null(map_get(&map, STR("k0")));
        assert_int_equal((intptr_t)map_get(&map, STR("k1")), 2);
    }
    size_t pos = 0, n = 0;
    struct str at;
    void *value;
    while (map_next(&map, &pos, &at, &value))
        n++;
    assert_int_equal(n, 500);
    map_fini(&map);
}

static void test_base64(void **state) /* RFC 4648, section 10 */
{
    static const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
    static const char *const coded[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        struct buf buf = {0};
        buf_append_base64(&buf, str_from(plain[i]));
        assert_true(str_eq_cstr(buf_str(&buf), coded[i]));
        buf_clear(&buf);
        assert_true(buf_append_base64_decoded(&buf, str_from(coded[i])));
        assert_true(str_eq_cstr(buf_str(&buf), plain[i]));
        buf_fini(&buf);
    }
    struct buf buf = {0};
    assert_false(buf_append_base64_decoded(&buf, STR("Zm9*")));
    assert_false(buf_append_base64_decoded(&buf, STR("Z")));
    buf_fini(&buf);
}

static void test_arena(void **state)
{
    struct arena arena = {0};
    for (int round = 0; round < 3; round++) {
        char *first = arena_alloc(&arena, 100000);
        memset(first, 1, 100000);
        for (int i = 0; i < 1000; i++)
            assert_int_equal((uintptr_t)arena_alloc(&arena, 17) % 16, 0);
        size_t held = arena_bytes(&arena);
        arena_reset(&arena);
        assert_true(arena_bytes(&arena) <= held);
    }
    arena_fini(&arena);
    assert_int_equal(arena_bytes(&arena), 0);
}

static void test_err_context(void **state)
{
    struct err err = {0};
    assert_false(err_set(&err, ERR_CORRUPT, "bad crc at %d", 7));
    err_context(&err, "partition %s-%d", "t", 0);
    assert_string_equal(err.text, "partition t-0: bad crc at 7");
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_int_equal(err_kafka_code(err.code), 2);
}

static void test_varint(void **state) /* Protocol Buffers, "Encoding": 150 is 96 01 */
{
    uint8_t bytes[10];
    assert_int_equal(varint_encode(bytes, 150), 2);
    assert_int_equal(bytes[0], 0x96);
    assert_int_equal(bytes[1], 0x01);
    uint64_t out;
    assert_int_equal(varint_decode(bytes, bytes + 2, &out), 2);
    assert_int_equal(out, 150);
    assert_int_equal(varint_decode(bytes + 1, bytes + 2, &out), 1);
    assert_int_equal(out, 1);
    assert_int_equal(varint_decode(bytes, bytes + 1, &out), 0);
    assert_int_equal(varint_decode(bytes, bytes, &out), 0);
    assert_int_equal(varint_encode(bytes, UINT64_MAX), 10);
    assert_int_equal(varint_decode(bytes, bytes + 10, &out), 10);
    assert_true(out == UINT64_MAX);
    assert_int_equal(varint_decode(bytes, bytes + 9, &out), 0);
    bytes[9] = 2;
    assert_int_equal(varint_decode(bytes, bytes + 10, &out), 0);
    assert_true(zigzag_encode(-1) == 1 && zigzag_decode(zigzag_encode(INT64_MIN)) == INT64_MIN);
}

/* A wait with nobody to signal ends when its time is over, neither at once nor by the other clock. */
static void test_clock(void **state)
{
    pthread_cond_t cond;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    clock_cond_init(&cond);
    int64_t start_us = clock_mono_us();
    struct timespec end = clock_deadline(1020), soon = clock_deadline(20);
    assert_true(end.tv_nsec >= 0 && end.tv_nsec < 1000000000);
    assert_in_range(end.tv_sec * INT64_C(1000000) + end.tv_nsec / 1000 - start_us, 1020000, 60000000);
    pthread_mutex_lock(&lock);
    while (pthread_cond_timedwait(&cond, &lock, &soon) == 0)
        continue;
    pthread_mutex_unlock(&lock);
    assert_in_range(clock_mono_us() - start_us, 20000, 60000000);
    pthread_cond_destroy(&cond);
    int64_t wall_s = time(NULL);
    assert_in_range(clock_wall_ms(), wall_s * 1000 - 1000, wall_s * 1000 + 60000);
}

/* One line a second; the next one tells how many were left out. */
static void test_log_rate(void **state)
{
    struct log_rate rate = {0};
    int64_t unsaid = -1;
    assert_true(log_rate_due(&rate, &unsaid));
    assert_int_equal(unsaid, 0);
    rate.said_ms = clock_mono_ms() + 60000; /* the second is not over, however slow this machine is */
    for (int i = 0; i < 5; i++)
        assert_false(log_rate_due(&rate, &unsaid));
    rate.said_ms = clock_mono_ms() - 1000;
    assert_true(log_rate_due(&rate, &unsaid));
    assert_int_equal(unsaid, 5);
    rate.said_ms = clock_mono_ms() - 1000;
    assert_true(log_rate_due(&rate, &unsaid));
    assert_int_equal(unsaid, 0);
}

static void *end_well(void *latch)
{
    latch_end(latch, NULL);
    return NULL;
}

static void *end_badly(void *latch)
{
    struct err err;
    err_set(&err, ERR_CORRUPT, "why");
    latch_end(latch, &err);
    return NULL;
}

/* The end comes before the wait or during it, from another thread; *err only when it was a failure. */
static void test_latch(void **state)
{
    for (int i = 0; i < 200; i++) {
        struct latch good, bad;
        struct err err = {.code = ERR_IO};
        pthread_t threads[2];
        latch_init(&good);
        latch_init(&bad);
        assert_int_equal(pthread_create(&threads[0], NULL, end_well, &good), 0);
        assert_int_equal(pthread_create(&threads[1], NULL, end_badly, &bad), 0);
        assert_true(latch_wait(&good, &err));
        assert_int_equal(err.code, ERR_IO);
        assert_false(latch_wait(&bad, &err));
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_string_equal(err.text, "why");
        pthread_join(threads[0], NULL);
        pthread_join(threads[1], NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),       cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_double_text), cmocka_unit_test(test_crc32c_of_long_texts),
        cmocka_unit_test(test_hashes),      cmocka_unit_test(test_integer_text),
        cmocka_unit_test(test_map),         cmocka_unit_test(test_base64),
        cmocka_unit_test(test_arena),       cmocka_unit_test(test_err_context),
        cmocka_unit_test(test_varint),      cmocka_unit_test(test_clock),
        cmocka_unit_test(test_log_rate),    cmocka_unit_test(test_latch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
