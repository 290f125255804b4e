/* dataset.c - the data set of the SQL cases: record i is a function of i, so everybody reads the same bytes. */
#include "dataset.h"

#include <inttypes.h>
#include <stdio.h>

static uint64_t mixed(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static void letters(char *out, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        if (i % 12 == 0)
            seed = mixed(seed);
        out[i] = (char)('a' + seed % 26);
        seed /= 26;
    }
    out[n] = '\0';
}

void transaction_at(int64_t i, struct transaction *t)
{
    uint64_t r = mixed((uint64_t)i);
    t->user_id = (int)(r % DATA_USERS);
    t->amount = 10 * (1 + (int)(r / 1000 % 10));
    t->ts = DATA_FIRST_TS + i;
    if (r / 10000 % 20 == 0)
        t->ts -= 1 + (int64_t)(r / 1000000 % DATA_LATENESS_MS);
    t->merchant = (int)(r / UINT64_C(2000000000) % 500);
    letters(t->note, sizeof t->note - 1, r);
}

int transaction_print(int64_t i, char *key, size_t key_size, char *value, size_t value_size, int64_t *ts)
{
    struct transaction t;
    transaction_at(i, &t);
    *ts = t.ts;
    snprintf(key, key_size, "%d", t.user_id);
    return snprintf(value, value_size,
                    "{\"user_id\":%d,\"amount\":%d,\"ts\":%" PRId64 ",\"merchant\":\"m%d\",\"note\":\"%s\"}",
                    t.user_id, t.amount, t.ts, t.merchant, t.note);
}

int user_print(int64_t i, char *key, size_t key_size, char *value, size_t value_size, int64_t *ts)
{
    static const char *const tiers[] = {"basic", "silver", "gold"};
    *ts = DATA_FIRST_TS - 10000; /* Before every transaction: a join by time finds them all. */
    snprintf(key, key_size, "%d", (int)i);
    return snprintf(value, value_size,
                    "{\"user_id\":%d,\"name\":\"user %d\",\"tier\":\"%s\",\"country\":\"c%d\"}", (int)i,
                    (int)i, tiers[i % 3], (int)(mixed((uint64_t)i) % 50));
}
