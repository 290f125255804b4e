/* log_rate.h - for log lines that a peer can cause: one a second, so that a flood of these is no flood of lines.
 *
 *     if (log_rate_due(&listener->refused_rate, &unsaid))
 *         log_warn("net", "conn_refused", "peer=%s unsaid=%" PRId64, peer, unsaid);
 *
 * C only (C++ has no _Atomic), so base.h does not gather it. Any thread.
 */
#ifndef RIALTO_BASE_LOG_RATE_H
#define RIALTO_BASE_LOG_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Zeroed at first. */
struct log_rate {
    _Atomic int64_t said_ms, count;
};

/* True: say it now; *unsaid is how many were not said since the last one. */
bool log_rate_due(struct log_rate *rate, int64_t *unsaid);

#endif
