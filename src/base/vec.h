/* vec.h - a growing array of one type. Owned; vec_fini releases it; a zeroed vec is valid and empty.
 *
 *     vec(struct str) names = {0};
 *     vec_push(&names, STR("a"));
 *     for (size_t i = 0; i < names.len; i++) use(names.at[i]);
 *     vec_fini(&names);
 *
 * Elements move when it grows: keep indexes, not pointers.
 */
#ifndef RIALTO_BASE_VEC_H
#define RIALTO_BASE_VEC_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define vec(...)         \
    struct {             \
        __VA_ARGS__ *at; \
        size_t len;      \
        size_t cap;      \
    }

/* Makes room for `n` elements in all. */
#define vec_reserve(v, n)                                                              \
    do {                                                                               \
        size_t vec_n_ = (n);                                                           \
        if (vec_n_ > (v)->cap) {                                                       \
            ASSERT(vec_n_ < SIZE_MAX / 2 / sizeof *(v)->at);                           \
            (v)->cap = vec_n_ < (v)->cap * 2 ? (v)->cap * 2 : vec_n_ < 8 ? 8 : vec_n_; \
            (v)->at = mem_realloc((v)->at, (v)->cap * sizeof *(v)->at);                \
        }                                                                              \
    } while (0)

#define vec_push(v, ...)                   \
    do {                                   \
        vec_reserve((v), (v)->len + 1);    \
        (v)->at[(v)->len++] = __VA_ARGS__; \
    } while (0)

/* Adds a zeroed element and gives its address. */
#define vec_push_zero(v)                                \
    ({                                                  \
        vec_reserve((v), (v)->len + 1);                 \
        memset(&(v)->at[(v)->len], 0, sizeof *(v)->at); \
        &(v)->at[(v)->len++];                           \
    })

#define vec_last(v) ((v)->at[(v)->len - 1])

/* Removes element i and keeps the order of the others. */
#define vec_remove(v, i)                                                                            \
    do {                                                                                            \
        size_t vec_i_ = (i);                                                                        \
        ASSERT(vec_i_ < (v)->len);                                                                  \
        memmove(&(v)->at[vec_i_], &(v)->at[vec_i_ + 1], ((v)->len - vec_i_ - 1) * sizeof *(v)->at); \
        (v)->len--;                                                                                 \
    } while (0)

#define vec_clear(v) ((void)((v)->len = 0))

#define vec_fini(v)              \
    do {                         \
        free((v)->at);           \
        (v)->at = NULL;          \
        (v)->len = (v)->cap = 0; \
    } while (0)

#endif
