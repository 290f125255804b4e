/* sched.c - fibers, the virtual clock, the seed, the trace.
 *
 *   switch point:  runnable = ready ones + those whose time has come
 *                  none: the clock jumps to the next time that somebody waits for; nobody waits for one: deadlock
 *                  the seed picks one of them
 *
 * (F1) A fiber is switched to directly from the one that gives up; there is no scheduler's own stack. A stack is freed
 *      by whoever runs after its fiber has ended.
 * (F2) The first switch into a fiber goes by ucontext, the others by setjmp and longjmp: no system call. Under
 *      AddressSanitizer all go by ucontext, which it can be told about.
 * (F3) The clock also moves a little at each switch, so that loops that poll see time go by.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "sim.h"

#if defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

enum { STACK_BYTES = 512 << 10, SWITCH_US_MAX = 3, SWITCHES_MAX = 20000000 };

#define WALL_AT_START_US INT64_C(1700000000000000)

enum fiber_state { FIBER_READY, FIBER_WAITS, FIBER_ENDED };

struct fiber {
    uint64_t id;
    char name[32];
    int machine;
    enum fiber_state state;
    const void *waits_on;
    int64_t until_us;
    bool timed_out, is_new;
    void (*fn)(void *arg);
    void *arg;
    ucontext_t context;
    jmp_buf place;
    void *stack;
#ifdef SIM_ASAN
    void *fake_stack;
    const void *bottom;
    size_t size;
#endif
};

static struct {
    uint64_t random, trace, switches, fiber_count, preempt_one_in, stall_one_in;
    int64_t now_us;
    bool verbose;
    vec(struct fiber *) fibers; /* not ended */
    void (*on_fail)(void);
    struct fiber *self, *ended; /* its stack is still to be freed */
} sim;

/* ---- the seed ---- */

uint64_t sim_random(void)
{
    uint64_t z = sim.random += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint64_t sim_below(uint64_t n)
{
    ASSERT(n > 0);
    return sim_random() % n;
}

int64_t sim_between(int64_t low, int64_t high)
{
    return low + (int64_t)sim_below((uint64_t)(high - low) + 1);
}

bool sim_chance(uint64_t hits, uint64_t of)
{
    return of != 0 && sim_below(of) < hits;
}

/* ---- what happened ---- */

void sim_trace(uint64_t what, uint64_t value)
{
    sim.trace = (sim.trace ^ what) * 0x100000001b3u;
    sim.trace = (sim.trace ^ value) * 0x100000001b3u;
    sim.trace ^= sim.trace >> 29;
}

uint64_t sim_trace_hash(void)
{
    return sim.trace;
}

uint64_t sim_switches(void)
{
    return sim.switches;
}

static void print_line(FILE *file, const char *fmt, va_list args)
{
    fprintf(file, "%12.6f %-12s ", (double)sim.now_us / 1e6, sim.self->name);
    vfprintf(file, fmt, args);
    fputc('\n', file);
    fflush(file);
}

void sim_note(const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    sim_trace('n', hash_bytes(text, MIN((size_t)len, sizeof text - 1)));
    if (!sim.verbose)
        return;
    va_start(args, fmt);
    print_line(stdout, fmt, args);
    va_end(args);
}

void sim_on_fail(void (*fn)(void))
{
    sim.on_fail = fn;
}

void sim_fail(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    print_line(stdout, fmt, args);
    va_end(args);
    if (sim.on_fail != NULL)
        sim.on_fail();
    _exit(1);
}

/* ---- switching ---- */

static void free_stack(struct fiber *fiber)
{
#ifdef SIM_ASAN
    ASAN_UNPOISON_MEMORY_REGION(fiber->stack, STACK_BYTES);
#endif
    munmap(fiber->stack, STACK_BYTES);
    fiber->stack = NULL;
}

/* On the stack of the fiber that was switched to. */
static void arrived(void *fake_stack)
{
#ifdef SIM_ASAN
    __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#endif
    if (sim.ended != NULL && sim.ended != sim.self) {
        free_stack(sim.ended);
        sim.ended = NULL;
    }
}

static void fiber_main(void)
{
    arrived(NULL);
    struct fiber *self = sim.self;
    self->fn(self->arg);
    self->state = FIBER_ENDED;
    sim_wake(self, true);
    sim_wait(self, SIM_NEVER); /* does not come back */
    __builtin_unreachable();
}

static void switch_to(struct fiber *next)
{
    struct fiber *from = sim.self;
    bool is_new = next->is_new;
    next->is_new = false;
    sim.self = next;
#ifdef SIM_ASAN
    __sanitizer_start_switch_fiber(from->state == FIBER_ENDED ? NULL : &from->fake_stack, next->bottom,
                                   next->size);
    ignore(is_new, "always by ucontext");
    swapcontext(&from->context, &next->context);
    arrived(sim.self->fake_stack);
#else
    if (_setjmp(from->place) == 0) {
        if (is_new)
            setcontext(&next->context);
        _longjmp(next->place, 1);
    }
    arrived(NULL);
#endif
}

void sim_names_of(int machine, struct buf *out)
{
    for (size_t i = 0; i < sim.fibers.len; i++)
        if (sim.fibers.at[i]->machine == machine)
            buf_printf(out, " %s", sim.fibers.at[i]->name);
}

static _Noreturn void fail_deadlock(void)
{
    struct buf text = {0};
    for (size_t i = 0; i < sim.fibers.len; i++)
        buf_printf(&text, " %s/%d", sim.fibers.at[i]->name, sim.fibers.at[i]->machine);
    sim_fail("deadlock: every fiber waits for another:%s", text.ptr);
}

/* The fibers that can go on, gathered to the front of `out`; when there is none the clock jumps. */
static size_t runnable(struct fiber **out)
{
    for (;;) {
        size_t count = 0;
        int64_t next_us = SIM_NEVER;
        for (size_t i = 0; i < sim.fibers.len; i++) {
            struct fiber *fiber = sim.fibers.at[i];
            if (fiber->state == FIBER_READY || fiber->until_us <= sim.now_us)
                out[count++] = fiber;
            else
                next_us = MIN(next_us, fiber->until_us);
        }
        if (count > 0)
            return count;
        if (next_us == SIM_NEVER)
            fail_deadlock();
        sim.now_us = next_us;
    }
}

/* Gives up the running fiber, which is ready, waits or has ended. */
static void give_up(void)
{
    struct fiber *can[256];
    if (sim.self->state == FIBER_ENDED) {
        for (size_t i = 0; i < sim.fibers.len; i++)
            if (sim.fibers.at[i] == sim.self) {
                vec_remove(&sim.fibers, i);
                break;
            }
        sim.ended = sim.self;
    }
    ASSERT_CMP(sim.fibers.len, <=, COUNT_OF(can));
    size_t count = runnable(can);
    struct fiber *next = can[count == 1 ? 0 : sim_below(count)];
    if (next->state == FIBER_WAITS) {
        next->state = FIBER_READY;
        next->timed_out = true;
        next->waits_on = NULL;
    }
    sim.now_us += (int64_t)sim_below(SWITCH_US_MAX + 1);
    if (++sim.switches == SWITCHES_MAX)
        sim_fail("does not come to an end");
    sim_trace(next->id, (uint64_t)sim.now_us);
    if (next != sim.self)
        switch_to(next);
}

void sim_yield(void)
{
    give_up();
}

void sim_switch_point(void)
{
    enum { STALL_US_MAX = 20000 };
    if (sim.self->machine != SIM_CLIENTS && sim_chance(1, sim.stall_one_in)) {
        sim_sleep_us(sim_between(0, STALL_US_MAX));
        return;
    }
    if (sim_chance(1, sim.preempt_one_in))
        give_up();
}

bool sim_wait(const void *on, int64_t until_us)
{
    struct fiber *self = sim.self;
    if (self->state != FIBER_ENDED) {
        self->state = FIBER_WAITS;
        self->waits_on = on;
        self->until_us = until_us;
        self->timed_out = false;
    }
    give_up();
    return !self->timed_out;
}

void sim_wake(const void *on, bool all)
{
    struct fiber *waiting[256];
    size_t count = 0;
    for (size_t i = 0; i < sim.fibers.len; i++)
        if (sim.fibers.at[i]->state == FIBER_WAITS && sim.fibers.at[i]->waits_on == on)
            waiting[count++] = sim.fibers.at[i];
    size_t only = !all && count > 1 ? sim_below(count) : 0;
    for (size_t i = all ? 0 : only; i < (all ? count : MIN(count, only + 1)); i++) {
        waiting[i]->state = FIBER_READY;
        waiting[i]->waits_on = NULL;
    }
}

void sim_sleep_us(int64_t us)
{
    sim_wait(&sim, sim.now_us + us);
}

/* ---- fibers ---- */

static struct fiber *fiber_new(const char *name, int machine)
{
    struct fiber *fiber = mem_new(struct fiber);
    fiber->id = ++sim.fiber_count;
    fiber->machine = machine;
    sim_set_name(fiber, name);
    vec_push(&sim.fibers, fiber);
    return fiber;
}

void sim_start(uint64_t seed, bool verbose)
{
    sim.random = seed * 0x2545f4914f6cdd1du + 1;
    sim.verbose = verbose;
    sim.now_us = 1000000;
    sim.trace = 0xcbf29ce484222325u;
    sim.preempt_one_in = 1;
    sim.self = fiber_new("world", SIM_CLIENTS);
#ifdef SIM_ASAN
    void *fake = NULL; /* learns where the first stack is */
    __sanitizer_start_switch_fiber(&fake, __builtin_frame_address(0), 1);
    __sanitizer_finish_switch_fiber(fake, &sim.self->bottom, &sim.self->size);
#endif
}

void sim_set_stalls(uint64_t one_in)
{
    sim.stall_one_in = one_in;
}

void sim_set_preemption(uint64_t one_in)
{
    sim.preempt_one_in = one_in;
}

struct fiber *sim_spawn(const char *name, int machine, void (*fn)(void *arg), void *arg)
{
    struct fiber *fiber = fiber_new(name, machine);
    fiber->fn = fn;
    fiber->arg = arg;
    fiber->is_new = true;
    fiber->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    ASSERT(fiber->stack != MAP_FAILED);
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&fiber->context, fiber_main, 0);
#ifdef SIM_ASAN
    fiber->bottom = fiber->stack;
    fiber->size = STACK_BYTES;
#endif
    return fiber;
}

struct fiber *sim_self(void)
{
    return sim.self;
}

const char *sim_name(const struct fiber *fiber)
{
    return fiber->name;
}

void sim_set_name(struct fiber *fiber, const char *name)
{
    snprintf(fiber->name, sizeof fiber->name, "%s", name);
}

int sim_machine(void)
{
    return sim.self->machine;
}

bool sim_has_ended(const struct fiber *fiber)
{
    return fiber->state == FIBER_ENDED;
}

size_t sim_fibers_of(int machine)
{
    size_t count = 0;
    for (size_t i = 0; i < sim.fibers.len; i++)
        count += sim.fibers.at[i]->machine == machine;
    return count;
}

void sim_kill_machine(int machine)
{
    ASSERT_CMP(sim.self->machine, !=, machine);
    for (size_t i = sim.fibers.len; i-- > 0;) {
        struct fiber *fiber = sim.fibers.at[i];
        if (fiber->machine != machine)
            continue;
        vec_remove(&sim.fibers, i);
        fiber->state = FIBER_ENDED;
        free_stack(fiber);
    }
}

int64_t sim_now_us(void)
{
    return sim.now_us;
}

int64_t sim_wall_us(void)
{
    return WALL_AT_START_US + sim.now_us;
}
