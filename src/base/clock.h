/* clock.h - the system's clocks, and waiting for a condition by them.
 *
 * Code that has an `io` at hand for its files takes the time from there too (io_now_ms), so that a test can set it. Any thread.
 */
#ifndef RIALTO_BASE_CLOCK_H
#define RIALTO_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* Since 1970, for timestamps that people and clients see; may be set back. */
int64_t clock_wall_ms(void);
int64_t clock_wall_us(void);

/* Never goes back; for how long something takes or may take. */
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);

/* A condition whose pthread_cond_timedwait() goes by the monotonic clock, and the end of a wait for it. */
void clock_cond_init(pthread_cond_t *cond);
struct timespec clock_deadline(int64_t wait_ms);

#endif
