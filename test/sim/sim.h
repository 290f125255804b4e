/* sim.h - a broker, its clients, network, disk and clock in one thread, driven by one seed.
 *
 *      producers  consumers  admins           clients: fibers, they speak the wire protocol
 *           \         |        /
 *        sockets that delay, split, stall, break               net.c
 *                     |
 *      loop, net, broker, replay, log, ...     the product, unchanged: its threads are fibers
 *         |           |          |
 *      uv.c       threads.c    disk.c          what it asks of the system: poll, threads and locks, files
 *         \           |          /
 *        sched.c: which fiber runs next, what time it is, what happens: all from the seed
 *
 * (S1) Only one fiber runs at a time and it is left only at a switch point: a lock, a wait, a disk operation, a socket
 *      call. Where more than one fiber could go on, the seed chooses.
 * (S2) The clock moves when the scheduler says so. Nothing here asks the system for time, randomness or readiness.
 * (S3) The same seed gives the same run: the same sequence of (fiber, time, event), told by one hash (sim_trace_hash).
 * (S4) Invariants are checked by the clients' side alone, from what was answered (facts.c).
 */
#ifndef RIALTO_TEST_SIM_SIM_H
#define RIALTO_TEST_SIM_SIM_H

#include "base/base.h"

#define SIM_NEVER INT64_MAX

enum { SIM_CLIENTS = 0 }; /* machine of everything that is not the server; servers count from 1 */

/* --- the seed (sched.c) --- */

uint64_t sim_random(void);
uint64_t sim_below(uint64_t n);                 /* 0 .. n - 1; n > 0 */
int64_t sim_between(int64_t low, int64_t high); /* both inclusive */
bool sim_chance(uint64_t hits, uint64_t of);    /* hits times in `of` */

/* --- fibers and time (sched.c) --- */

struct fiber;

/* The calling code becomes the first fiber. `verbose` prints what happens. */
void sim_start(uint64_t seed, bool verbose);

/* How often a switch point really switches: one time in `one_in`; 0: never. */
void sim_set_preemption(uint64_t one_in);

/* How often a thread of the server is not run for some milliseconds at a switch point, while the others go on: one time in
 * `one_in`; 0: never. */
void sim_set_stalls(uint64_t one_in);

struct fiber *sim_spawn(const char *name, int machine, void (*fn)(void *arg), void *arg);
struct fiber *sim_self(void);
const char *sim_name(const struct fiber *fiber);
void sim_set_name(struct fiber *fiber, const char *name);
int sim_machine(void); /* of the running fiber */
bool sim_has_ended(const struct fiber *fiber);
size_t sim_fibers_of(int machine);               /* that have not ended */
void sim_names_of(int machine, struct buf *out); /* of those */

/* All fibers of a machine are no more: they do not run again, whatever they held. Not the caller's own. */
void sim_kill_machine(int machine);

int64_t sim_now_us(void);  /* of the monotonic clock */
int64_t sim_wall_us(void); /* since 1970 */

/* Another fiber may run here, as often as the seed's preemption says; or always. */
void sim_switch_point(void);
void sim_yield(void);

/* Sleeps until sim_wake of the same address, or until the time; false: the time. */
bool sim_wait(const void *on, int64_t until_us);
void sim_wake(const void *on, bool all);
void sim_sleep_us(int64_t us);

/* --- what happened --- */

/* Goes into the hash, and with --verbose to stdout. */
void sim_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void sim_trace(uint64_t what, uint64_t value);
uint64_t sim_trace_hash(void);
uint64_t sim_switches(void);

/* Called by sim_fail before it ends the process. */
void sim_on_fail(void (*fn)(void));

/* An invariant does not hold: says so and ends the process with status 1. */
_Noreturn void sim_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* --- network (net.c) --- */

struct sim_net_faults {
    uint64_t cut_one_in;   /* connections that break at a random byte: one in so many; 0: none */
    uint64_t stall_one_in; /* pieces that are held up for seconds; 0: none */
    int64_t delay_us_max;  /* of an ordinary piece */
    size_t piece_max;      /* bytes that travel together */
};
void sim_net_set(const struct sim_net_faults *faults);

/* Breaks all connections of a machine and forgets its sockets. */
void sim_net_kill_machine(int machine);

/* Breaks one connection, chosen by the seed. */
void sim_net_break_one(void);

/* Clients: a descriptor, or -1 when nobody listens. Each waits at most until the time; -1: broken or too late. */
int sim_connect(int port);
ssize_t sim_recv(int fd, void *bytes, size_t size, int64_t until_us);
bool sim_send(int fd, struct str bytes, int64_t until_us);
void sim_close(int fd);

/* For uv.c: what may be done now, and when that may change by itself. */
enum { SIM_CAN_READ = 1, SIM_CAN_WRITE = 2 };
int sim_sock_ready(int fd);
int64_t sim_sock_next_us(int fd);
void sim_sock_watch(int fd, const void *wakes); /* sim_wake(wakes) when something changes */
bool sim_sock_is(int fd);

/* --- disk (disk.c) --- */

struct sim_disk;
struct io;

struct sim_disk_faults {
    uint64_t eio_one_in, torn_one_in, short_one_in, full_one_in; /* operations; 0: never */
    uint64_t sync_full_one_in; /* syncs: a file system that finds room for what was written only then */
    int64_t sync_us_max;       /* an fdatasync takes up to so long */
    bool sync_lies;            /* fdatasync does nothing and says it did */
};

struct sim_disk *sim_disk_new(void);
struct io *sim_disk_io(struct sim_disk *disk);
void sim_disk_set(struct sim_disk *disk, const struct sim_disk_faults *faults);
uint64_t sim_disk_struck(const struct sim_disk *disk);   /* faults so far */
uint64_t sim_disk_losses(const struct sim_disk *disk);   /* those, and some of them again (D5) */
int64_t sim_disk_failed_us(const struct sim_disk *disk); /* when an operation failed last; 0: never */
const uint64_t *
sim_disk_changes(const struct sim_disk *disk); /* of names and lengths so far; each wakes who waits on it */
void sim_disk_cut(struct sim_disk *disk, int cut);          /* enum io_cut */
void sim_disk_save(struct sim_disk *disk, const char *dir); /* all files, into a directory of the real disk */
ssize_t sim_disk_read(int fd, void *bytes, size_t size, uint64_t pos); /* for sendfile */

#endif
