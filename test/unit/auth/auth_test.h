/* auth_test.h - what the tests of auth share: a listener, and decisions that become state. */
#ifndef RIALTO_TEST_AUTH_TEST_H
#define RIALTO_TEST_AUTH_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/auth_int.h"

/* A listener with the same options for all its mechanisms; the test fails without. */
static inline struct auth_listener *make_listener(const struct auth *auth, const struct auth_config *config)
{
    struct auth_config all[AUTH_MECHANISMS];
    struct err err;
    for (int i = 0; i < AUTH_MECHANISMS; i++)
        all[i] = *config;
    struct auth_listener *made = auth_listener_new(auth, all, &err);
    if (made == NULL)
        fail_msg("%s", err.text);
    return made;
}

/* Applies what a decision made; gives the number of records. */
static inline size_t apply_all(struct auth *auth, struct replay_records *records)
{
    size_t count = records->list.len;
    struct err err;
    for (size_t i = 0; i < count; i++)
        if (!auth_apply(auth, &records->list.at[i], &err))
            fail_msg("%s", err.text);
    vec_fini(&records->list);
    arena_fini(&records->arena);
    return count;
}

#endif
