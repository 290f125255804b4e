/* main.c - runs seeds, each in a process of its own, and says how to see a failed one again.
 *
 *   sim --seeds 1000 [--from N] [--jobs J]     seeds N .. N + 999
 *   sim --seed N [--verbose] [--save DIR]      one, with all that happens; the disk is copied to DIR when it fails
 *   sim --seeds N --twice                      each two times: fails when the two runs differ
 *   sim --seeds N --sync-lies                  with a disk that does not sync: exit status 0 when that is found
 *
 * A process of its own gives every run the same memory to begin with and survives what the run does not.
 */
#include <getopt.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"
#include "world.h"

enum { SECONDS_MAX = 120 }; /* of real time, a run; a loop without a switch point ends there */

struct options {
    uint64_t from, count;
    int jobs;
    bool verbose, twice, sync_lies;
    const char *save_dir;
};

struct job {
    pid_t pid; /* 0: free */
    uint64_t seed;
    struct run_result *result; /* shared with the child */
};

int __real_clock_gettime(clockid_t clock, struct timespec *out);

static double seconds(void)
{
    struct timespec now;
    __real_clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void start(struct job *job, const struct options *options, uint64_t seed)
{
    fflush(stdout);
    job->seed = seed;
    memset(job->result, 0, sizeof *job->result);
    job->pid = fork();
    ASSERT(job->pid >= 0);
    if (job->pid != 0)
        return;
    alarm(SECONDS_MAX);
    struct run_options run = {.seed = seed,
                              .verbose = options->verbose,
                              .sync_lies = options->sync_lies,
                              .save_dir = options->save_dir};
    log_level_set(options->verbose ? LOG_INFO : LOG_OFF);
    run_seed(&run, job->result);
    fflush(stdout);
    _exit(0);
}

/* Waits for one of the jobs; true when its run was good. */
static struct job *finish_one(struct job *jobs, int count, bool *good)
{
    int status;
    pid_t pid = waitpid(-1, &status, 0);
    for (int i = 0; i < count; i++)
        if (jobs[i].pid == pid) {
            jobs[i].pid = 0;
            *good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
            if (WIFSIGNALED(status))
                printf("seed %llu: %s\n", (unsigned long long)jobs[i].seed, strsignal(WTERMSIG(status)));
            return &jobs[i];
        }
    ASSERT(!"a child that nobody has started");
    return NULL;
}

static void print_result(const struct job *job)
{
    const struct run_result *r = job->result;
    printf("seed %llu: trace %016llx, %.1f s simulated, %llu switches, %llu starts, %llu disk faults, "
           "%llu records acknowledged, %llu read, %llu trimmed, %llu compacted away, %llu lost\n",
           (unsigned long long)job->seed, (unsigned long long)r->trace_hash, (double)r->virtual_us / 1e6,
           (unsigned long long)r->switches, (unsigned long long)r->restarts,
           (unsigned long long)r->disk_faults, (unsigned long long)r->acked, (unsigned long long)r->seen,
           (unsigned long long)r->trimmed, (unsigned long long)r->compacted, (unsigned long long)r->lost);
}

/* Each seed two times: the traces have to be the same. */
static int run_twice(const struct options *options, struct job *job)
{
    int failed = 0;
    for (uint64_t seed = options->from; seed < options->from + options->count; seed++) {
        uint64_t hashes[2] = {0};
        bool good[2];
        for (int i = 0; i < 2; i++) {
            start(job, options, seed);
            finish_one(job, 1, &good[i]);
            hashes[i] = job->result->trace_hash;
        }
        print_result(job);
        if (hashes[0] != hashes[1])
            printf("seed %llu: the two runs differ\n", (unsigned long long)seed);
        failed += hashes[0] != hashes[1] || !good[0] || !good[1];
    }
    return failed != 0;
}

/* Many seeds have to meet what the invariants are about. */
static bool has_met_all(const struct options *options, const struct run_result *sum)
{
    enum { MANY = 100 };
    bool all = sum->trimmed > 0 && sum->compacted > 0 && sum->lost > 0;
    if (options->count >= MANY && !all)
        printf("nothing was trimmed, compacted away, or lost: that is not simulated\n");
    return options->count < MANY || all;
}

static int run_many(const struct options *options, struct job *jobs)
{
    uint64_t next = options->from, end = options->from + options->count, running = 0, failed = 0;
    struct run_result sum = {0};
    double begin = seconds();
    while (next < end || running > 0) {
        for (int i = 0; i < options->jobs && next < end; i++)
            if (jobs[i].pid == 0) {
                start(&jobs[i], options, next++);
                running++;
            }
        bool good;
        struct job *job = finish_one(jobs, options->jobs, &good);
        running--;
        failed += !good;
        sum.acked += job->result->acked;
        sum.trimmed += job->result->trimmed;
        sum.compacted += job->result->compacted;
        sum.lost += job->result->lost;
        sum.restarts += job->result->restarts;
        sum.virtual_us += job->result->virtual_us;
        if (options->verbose || options->count == 1)
            print_result(job);
        if (!good && !options->sync_lies)
            printf("seed %llu FAILED; again: make sim SEED=%llu\n", (unsigned long long)job->seed,
                   (unsigned long long)job->seed);
        fflush(stdout);
    }
    double took = seconds() - begin;
    printf("%llu seeds, %llu failed, %.1f seeds/s, %.0f times real time, %llu starts, %llu records "
           "acknowledged, %llu trimmed, %llu compacted away, %llu lost\n",
           (unsigned long long)options->count, (unsigned long long)failed, (double)options->count / took,
           (double)sum.virtual_us / 1e6 / took, (unsigned long long)sum.restarts,
           (unsigned long long)sum.acked, (unsigned long long)sum.trimmed, (unsigned long long)sum.compacted,
           (unsigned long long)sum.lost);
    if (options->sync_lies)
        return failed == 0;
    return failed != 0 || !has_met_all(options, &sum);
}

static int usage(void)
{
    fputs("usage: sim [--seeds COUNT] [--from SEED] [--seed SEED] [--jobs N] [--verbose] [--twice] "
          "[--sync-lies]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"seeds", required_argument, NULL, 'n'},
        {"from", required_argument, NULL, 'f'},
        {"seed", required_argument, NULL, 's'},
        {"jobs", required_argument, NULL, 'j'},
        {"verbose", no_argument, NULL, 'v'},
        {"twice", no_argument, NULL, 't'},
        {"sync-lies", no_argument, NULL, 'l'},
        {"save", required_argument, NULL, 'd'},
        {0},
    };
    struct options options = {.from = 1, .count = 10, .jobs = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        int64_t number = 0;
        if (c == 'd') {
            options.save_dir = optarg;
            continue;
        }
        if (c == '?' || (optarg != NULL && (!str_to_i64(str_from(optarg), &number) || number < 1)))
            return usage();
        switch (c) {
        case 'n':
            options.count = (uint64_t)number;
            break;
        case 's':
            options.count = 1;
            options.from = (uint64_t)number;
            break;
        case 'f':
            options.from = (uint64_t)number;
            break;
        case 'j':
            options.jobs = (int)MIN(number, 256);
            break;
        default:
            *(c == 'v' ? &options.verbose : c == 't' ? &options.twice : &options.sync_lies) = true;
        }
    }
    struct job *jobs = mem_zalloc((size_t)options.jobs, sizeof *jobs);
    struct run_result *shared = mmap(NULL, (size_t)options.jobs * sizeof *shared, PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT(shared != MAP_FAILED);
    for (int i = 0; i < options.jobs; i++)
        jobs[i].result = &shared[i];
    int status = options.twice ? run_twice(&options, jobs) : run_many(&options, jobs);
    free(jobs);
    return status;
}
