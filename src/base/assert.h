/* assert.h - programmer errors end the process, in release builds too, and print both operands.
 *
 * Bytes and requests from outside are never asserted: they are checked and answered with a `struct err`.
 */
#ifndef RIALTO_BASE_ASSERT_H
#define RIALTO_BASE_ASSERT_H

#include <inttypes.h>
#include <stdint.h>

/* Prints "file:line: assertion failed: text (detail)" to stderr and aborts. */
void assert_failed(const char *file, int line, const char *text, const char *fmt, ...)
    __attribute__((noreturn, cold, format(printf, 4, 5)));

#define ASSERT(x)                                                  \
    do {                                                           \
        if (__builtin_expect(!(x), 0))                             \
            assert_failed(__FILE__, __LINE__, #x, "%s", __func__); \
    } while (0)

/* Compares two integers and prints both when the comparison fails: ASSERT_CMP(seg->end_pos, <=, file_size); */
#define ASSERT_CMP(a, op, b)                                                                                \
    do {                                                                                                    \
        int64_t assert_a_ = (int64_t)(a), assert_b_ = (int64_t)(b);                                         \
        if (__builtin_expect(!(assert_a_ op assert_b_), 0))                                                 \
            assert_failed(__FILE__, __LINE__, #a " " #op " " #b, "%" PRId64 " against %" PRId64, assert_a_, \
                          assert_b_);                                                                       \
    } while (0)

/* Marks a place that control cannot reach. */
#define UNREACHABLE() assert_failed(__FILE__, __LINE__, "unreachable", "%s", __func__)

/* Expensive invariants, checked in debug builds only. */
#ifdef RIALTO_DEBUG
#define ASSERT_SLOW(x) ASSERT(x)
#else
#define ASSERT_SLOW(x) ((void)sizeof(x))
#endif

/* Says that a result is dropped on purpose, and why: ignore(unlink(path), "file may be gone already"); */
#define ignore(call, why)                           \
    do {                                            \
        _Static_assert(sizeof(why) > 1, "say why"); \
        if (call) {                                 \
        }                                           \
    } while (0)

#endif
