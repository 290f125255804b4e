/* sync_delay.c - a disk whose sync takes a known time: preloaded into a server whose data directory lies in memory.
 *
 *   LD_PRELOAD=sync_delay.so SYNC_DELAY_US=300 rialto server --data /dev/shm/...
 *
 * fdatasync sleeps until so much time has passed since it was called. What a server adds to that is its own.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TIMER_SLACK_NS = 1000 };

static int64_t delay_ns(void)
{
    const char *text = getenv("SYNC_DELAY_US");
    return text == NULL ? 0 : strtoll(text, NULL, 10) * 1000;
}

int fdatasync(int fd)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    int64_t end_ns = (int64_t)end.tv_sec * 1000000000 + end.tv_nsec + delay_ns();
    end = (struct timespec){end_ns / 1000000000, end_ns % 1000000000};
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS); /* of this thread: the default adds 50 us */
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR)
        continue;
    return (int)syscall(SYS_fdatasync, fd);
}
