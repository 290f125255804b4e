/* test_utf8.c - well-formed and ill-formed sequences from the Unicode standard, chapter 3.9, and Java's
 * replacements. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"

static void test_valid(void **state)
{
    assert_true(utf8_valid(STR("")));
    assert_true(utf8_valid(STR("plain ascii, longer than eight bytes")));
    assert_true(utf8_valid(STR("M\xc3\xbcller \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf \xed\x9f\xbf")));
    assert_false(utf8_valid(STR("\xc0\xaf")));         /* overlong */
    assert_false(utf8_valid(STR("\xe0\x9f\xbf")));     /* overlong */
    assert_false(utf8_valid(STR("\xed\xa0\x80")));     /* surrogate */
    assert_false(utf8_valid(STR("\xf4\x90\x80\x80"))); /* beyond U+10FFFF */
    assert_false(utf8_valid(STR("\xf5\x80\x80\x80")));
    assert_false(utf8_valid(STR("\x80")));
    assert_int_equal(utf8_valid_len(STR("12345678\xe2\x82")), 8); /* cut */
}

static void test_decode_encode(void **state)
{
    const uint32_t codes[] = {0x41, 0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0x10000, 0x10ffff};
    const int lengths[] = {1, 1, 2, 2, 3, 3, 4, 4};
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        char text[4];
        uint32_t back = 0;
        assert_int_equal(utf8_encode(codes[i], text), lengths[i]);
        assert_int_equal(utf8_decode(text, text + lengths[i], &back), lengths[i]);
        assert_int_equal(back, codes[i]);
        assert_int_equal(utf8_decode(text, text + lengths[i] - 1, &back), 0);
    }
}

static void test_repair(void **state)
{
    struct arena arena = {0};
    struct str good = STR("ok");
    assert_ptr_equal(utf8_repair(good, &arena).ptr, good.ptr);
    /* The standard's example of maximal subparts: 61 F1 80 80 E1 80 C2 62 80 63. */
    struct str fixed = utf8_repair(STR("\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63"), &arena);
    assert_true(str_eq_cstr(fixed, "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                                   "b\xef\xbf\xbd"
                                   "c"));
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_decode_encode),
        cmocka_unit_test(test_repair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
