/* test_codec.c - round trips, bytes made by other programs, limits and damage for every codec.
 *
 * The golden bytes hold the same 52 plain bytes, packed by kafka-python 3.0 with Python's gzip,
 * python-snappy (raw and in the xerial framing), python-lz4 and python-zstandard.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "codec/codec.h"

static const char golden_plain[] = "rialto rialto rialto rialto rialto rialto 0123456789";

static const struct {
    enum codec codec;
    const char *hex;
} golden[] = {
    {CODEC_GZIP, "1f8b0800394e016b02ff2bca4ccc29c95728224c19181a199b989a995b580200ab5cedef34000000"},
    {CODEC_SNAPPY, "82534e415050590000000001000000010000001734187269616c746f208a07002430313233343536373839"},
    {CODEC_SNAPPY, "34187269616c746f208a07002430313233343536373839"},
    {CODEC_LZ4, "04224d18684034000000000000004c160000007f7269616c746f20070010a03031323334353637383900000000"},
    {CODEC_ZSTD, "28b52ffd2034bd0000887269616c746f20303132333435363738390100441623"},
};

static void test_golden(void **state)
{
    for (size_t i = 0; i < COUNT_OF(golden); i++) {
        struct buf packed = {0}, plain = {0};
        struct err err = {0};
        assert_true(buf_append_hex_decoded(&packed, str_from(golden[i].hex)));
        if (!codec_decompress(golden[i].codec, buf_str(&packed), 52, &plain, &err))
            fail_msg("%s", err.text);
        assert_true(str_eq_cstr(buf_str(&plain), golden_plain));
        buf_clear(&plain);
        assert_false(codec_decompress(golden[i].codec, buf_str(&packed), 51, &plain, &err));
        assert_int_equal(err.code, ERR_TOO_LARGE);
        assert_int_equal(plain.len, 0);
        buf_fini(&packed);
        buf_fini(&plain);
    }
}

/* The header that Java's SnappyOutputStream writes: magic, version 1, compatible version 1. */
static void test_xerial_header(void **state)
{
    struct buf packed = {0};
    assert_true(codec_compress(CODEC_SNAPPY, CODEC_LEVEL_DEFAULT, STR("x"), &packed, NULL));
    assert_memory_equal(packed.ptr, "\x82SNAPPY\0\0\0\0\1\0\0\0\1\0\0\0", 19);
    buf_fini(&packed);
}

static void fill(struct buf *plain, size_t size, unsigned step)
{
    for (size_t i = 0; i < size; i++)
        buf_append_char(plain, (char)(i * step >> 7));
}

static void test_round_trip(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 32767, 32768, 32769, 70000, 1 << 20};
    for (enum codec codec = CODEC_NONE; codec < CODEC_COUNT; codec++)
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            struct buf plain = {0}, packed = {0}, again = {0};
            struct err err = {0};
            fill(&plain, sizes[i], 31);
            buf_append_cstr(&packed, "kept");
            assert_true(codec_compress(codec, CODEC_LEVEL_DEFAULT, buf_str(&plain), &packed, &err));
            assert_memory_equal(packed.ptr, "kept", 4);
            struct str body = str_sub(buf_str(&packed), 4, packed.len);
            if (!codec_decompress(codec, body, sizes[i], &again, &err))
                fail_msg("%s of %zu bytes: %s", codec_name(codec), sizes[i], err.text);
            assert_true(str_eq(buf_str(&plain), buf_str(&again)));
            buf_fini(&plain);
            buf_fini(&packed);
            buf_fini(&again);
        }
}

/* Two compressed streams one after the other read as one (raw snappy blocks cannot: they know their end). */
static void test_concatenated(void **state)
{
    for (enum codec codec = CODEC_GZIP; codec < CODEC_COUNT; codec++) {
        struct buf packed = {0}, plain = {0};
        struct err err = {0};
        assert_true(codec_compress(codec, CODEC_LEVEL_DEFAULT, STR("one, "), &packed, &err));
        assert_true(codec_compress(codec, CODEC_LEVEL_DEFAULT, STR("two"), &packed, &err));
        if (!codec_decompress(codec, buf_str(&packed), 100, &plain, &err))
            fail_msg("%s: %s", codec_name(codec), err.text);
        assert_true(str_eq_cstr(buf_str(&plain), "one, two"));
        buf_fini(&packed);
        buf_fini(&plain);
    }
}

/* Every cut fails; a flipped byte fails or gives other bytes, within the limit. */
static void test_damage(void **state)
{
    for (size_t i = 0; i < COUNT_OF(golden); i++) {
        struct buf packed = {0}, plain = {0};
        struct err err = {0};
        assert_true(buf_append_hex_decoded(&packed, str_from(golden[i].hex)));
        size_t first_cut =
            golden[i].codec == CODEC_SNAPPY ? 17 : 0; /* the framing's header alone is an empty stream */
        for (size_t len = first_cut; len < packed.len; len++) {
            assert_false(codec_decompress(golden[i].codec, str_of(packed.ptr, len), 1000, &plain, &err));
            assert_int_equal(err.code, ERR_CORRUPT);
        }
        for (size_t bit = 0; bit < packed.len * 8; bit++) {
            packed.ptr[bit / 8] ^= (char)(1 << bit % 8);
            buf_clear(&plain);
            ignore(codec_decompress(golden[i].codec, buf_str(&packed), 1000, &plain, &err), "either may be");
            assert_true(plain.len <= 1000);
            packed.ptr[bit / 8] ^= (char)(1 << bit % 8);
        }
        buf_fini(&packed);
        buf_fini(&plain);
    }
}

/* 64 MiB of zeros pack into little; the limit stops them before they are made. */
static void test_bomb(void **state)
{
    struct buf zeros = {0};
    memset(buf_extend(&zeros, 64 << 20), 0, 64 << 20);
    for (enum codec codec = CODEC_GZIP; codec < CODEC_COUNT; codec++) {
        struct buf packed = {0}, plain = {0};
        struct err err = {0};
        assert_true(codec_compress(codec, CODEC_LEVEL_DEFAULT, buf_str(&zeros), &packed, &err));
        assert_false(codec_decompress(codec, buf_str(&packed), 1 << 20, &plain, &err));
        assert_int_equal(err.code, ERR_TOO_LARGE);
        assert_true(plain.cap < 4 << 20);
        buf_fini(&packed);
        buf_fini(&plain);
    }
    buf_fini(&zeros);
}

static void test_names(void **state)
{
    enum codec codec = CODEC_NONE;
    assert_true(codec_from_name(STR("ZSTD"), &codec) && codec == CODEC_ZSTD);
    assert_false(codec_from_name(STR("brotli"), &codec));
    assert_string_equal(codec_name(CODEC_SNAPPY), "snappy");
    struct err err;
    assert_false(codec_decompress((enum codec)5, STR("x"), 10, &(struct buf){0}, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
}

static void *pack_in_thread(void *arg)
{
    struct buf packed = {0}, plain = {0};
    bool ok = true;
    for (int round = 0; round < 50; round++)
        for (enum codec codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
            buf_clear(&packed);
            buf_clear(&plain);
            ok = ok && codec_compress(codec, CODEC_LEVEL_DEFAULT, str_from(golden_plain), &packed, NULL) &&
                 codec_decompress(codec, buf_str(&packed), 100, &plain, NULL) &&
                 str_eq_cstr(buf_str(&plain), golden_plain);
            buf_append_cstr(codec_scratch(), "scratch is per thread");
        }
    buf_fini(&packed);
    buf_fini(&plain);
    return ok ? arg : NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pack_in_thread, threads), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, threads);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),     cmocka_unit_test(test_xerial_header),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_concatenated),
        cmocka_unit_test(test_damage),     cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
