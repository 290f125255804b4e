/* log_rate.c - one line a second, with the number of those that were left out. */
#include "base/log_rate.h"

#include "base/clock.h"

enum { RATE_MS = 1000 };

bool log_rate_due(struct log_rate *rate, int64_t *unsaid)
{
    int64_t now_ms = clock_mono_ms(), said_ms = atomic_load(&rate->said_ms);
    bool due = (said_ms == 0 || now_ms - said_ms >= RATE_MS) &&
               atomic_compare_exchange_strong(&rate->said_ms, &said_ms, now_ms);
    *unsaid = due ? atomic_exchange(&rate->count, 0) : 0;
    if (!due)
        atomic_fetch_add(&rate->count, 1);
    return due;
}
