/* crowd.c - many at once: idle connections, connections that each produce a little, and groups with a member each.
 *
 *   crowd    -C idle connections, which have said ApiVersions and wait; -T others share -r single-record produces a second,
 *            for -d seconds, to partition (connection modulo -p) of TOPIC; time from due to acknowledged
 *   groups   -n groups, a member each on one of -T connections: join, sync, then -r heartbeats a second over all of them for
 *            -d seconds
 *
 * One thread and one epoll set. What is due is fixed by the rate alone (see latency.c). With fewer descriptors than
 * connections start several processes: each takes its share.
 */
#include "load.h"
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256 };

/* A connection with at most one request under way. */
struct talker {
    int fd;
    int64_t due_ns; /* of the request under way; 0: none */
    struct raw_bytes in;
};

struct crowd {
    const struct options *o;
    int epoll;
    struct talker *talkers;
    int talker_count;
    uint32_t *us;
    int64_t asked, answered, failed, late; /* late: nobody was free when it was due */
    int error_pos;                         /* of a heartbeat; 0: produce */
};

static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void *zeroed(size_t count, size_t size)
{
    void *at = calloc(count, size);
    if (at == NULL)
        die("no memory for %zu x %zu bytes", count, size);
    return at;
}

/* Connects and says ApiVersions, so that the server has taken the connection for real. */
static int connect_one(const struct options *o, const struct raw_bytes *hello, struct raw_bytes *answer)
{
    int fd = raw_connect(o->bootstrap);
    raw_ask(fd, hello, answer);
    return fd;
}

static void open_talkers(struct crowd *crowd, int count)
{
    struct raw_bytes hello = {0}, answer = {0};
    raw_begin(&hello, 18, 0);
    raw_end(&hello);
    crowd->epoll = epoll_create1(EPOLL_CLOEXEC);
    crowd->talkers = zeroed((size_t)count + 1, sizeof *crowd->talkers);
    crowd->talker_count = count;
    for (int i = 0; i < count; i++) {
        struct talker *talker = &crowd->talkers[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = talker};
        talker->fd = connect_one(crowd->o, &hello, &answer);
        fcntl(talker->fd, F_SETFL, O_NONBLOCK);
        if (epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, talker->fd, &event) != 0)
            die("epoll: %s", strerror(errno));
    }
    raw_free(&hello);
    raw_free(&answer);
}

static void close_talkers(struct crowd *crowd)
{
    for (int i = 0; i < crowd->talker_count; i++) {
        close(crowd->talkers[i].fd);
        raw_free(&crowd->talkers[i].in);
    }
    close(crowd->epoll);
    free(crowd->talkers);
    free(crowd->us);
}

static void take_answer(struct crowd *crowd, struct talker *talker, size_t size)
{
    const char *body = talker->in.at + 4;
    int error =
        crowd->error_pos != 0 ? (int)raw_int(body + crowd->error_pos, 2) : raw_produce_error(body, size);
    crowd->us[crowd->answered++] = (uint32_t)((clock_ns() - talker->due_ns) / 1000);
    crowd->failed += error != 0;
    talker->due_ns = 0;
    talker->in.len = 0;
}

static void on_readable(struct crowd *crowd, struct talker *talker)
{
    char bytes[4096];
    ssize_t n = recv(talker->fd, bytes, sizeof bytes, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("the server closed a connection");
    raw_put(&talker->in, bytes, (size_t)n);
    if (talker->in.len >= 4 && talker->in.len >= 4 + (size_t)raw_int(talker->in.at, 4))
        take_answer(crowd, talker, (size_t)raw_int(talker->in.at, 4));
}

/* The next connection in turn that waits for nothing; NULL: all wait. */
static struct talker *next_free(struct crowd *crowd, int *turn)
{
    for (int i = 0; i < crowd->talker_count; i++) {
        struct talker *talker = &crowd->talkers[*turn];
        *turn = (*turn + 1) % crowd->talker_count;
        if (talker->due_ns == 0)
            return talker;
    }
    return NULL;
}

/* Sends frame_of(request number) at the rate and takes the answers, until all are in. */
static void run_rate(struct crowd *crowd,
                     const struct raw_bytes *(*frame_of)(void *arg, struct crowd *crowd, int talker,
                                                         int64_t number),
                     void *arg)
{
    const struct options *o = crowd->o;
    struct epoll_event events[EVENTS];
    int64_t total = (int64_t)o->rate * o->measured_s, step_ns = INT64_C(1000000000) / o->rate;
    int64_t start_ns = clock_ns(), end_ns = start_ns + (o->measured_s + o->timeout_s) * INT64_C(1000000000);
    int turn = 0;
    crowd->us = zeroed((size_t)total + 1, sizeof *crowd->us);
    while (crowd->answered < total && clock_ns() < end_ns) {
        int64_t now_ns = clock_ns(), due_ns = start_ns + crowd->asked * step_ns;
        while (crowd->asked < total && due_ns <= now_ns) {
            struct talker *talker = next_free(crowd, &turn);
            if (talker == NULL) {
                crowd->late++;
                break;
            }
            talker->due_ns = due_ns;
            raw_send(talker->fd, frame_of(arg, crowd, (int)(talker - crowd->talkers), crowd->asked++));
            due_ns += step_ns;
        }
        int64_t wait_ms = crowd->asked < total ? (due_ns - clock_ns()) / 1000000 : 100;
        int n = epoll_wait(crowd->epoll, events, EVENTS, wait_ms > 0 ? (int)wait_ms : 0);
        for (int i = 0; i < n; i++)
            on_readable(crowd, events[i].data.ptr);
    }
}

static void print_row(const struct crowd *crowd, const struct usage *before, const char *what, int64_t count)
{
    struct usage after = usage_now(crowd->o->server_pid);
    printf("{\"%s\":%" PRId64 ",\"talking\":%d,\"rate\":%d,\"answered\":%" PRId64 ",\"failed\":%" PRId64
           ",\"late\":%" PRId64,
           what, count, crowd->talker_count, crowd->o->rate, crowd->answered, crowd->failed, crowd->late);
    if (crowd->answered > 0)
        print_quantiles(crowd->us, crowd->answered);
    usage_print(before, &after, (double)crowd->answered);
    puts("}");
}

/* --- crowd --- */

struct produce_frames {
    struct raw_bytes *frames; /* one a partition */
};

static const struct raw_bytes *produce_frame(void *arg, struct crowd *crowd, int talker, int64_t number)
{
    const struct produce_frames *produce = arg;
    return &produce->frames[talker % crowd->o->partition_count];
}

int mode_crowd(const struct options *o)
{
    struct crowd crowd = {.o = o};
    struct produce_frames produce;
    struct raw_bytes batch = {0}, hello = {0}, answer = {0};
    raise_limit();
    int *idle = zeroed((size_t)o->idle_count + 1, sizeof *idle);
    raw_begin(&hello, 18, 0);
    raw_end(&hello);
    for (int i = 0; i < o->idle_count; i++)
        idle[i] = connect_one(o, &hello, &answer);
    open_talkers(&crowd, o->producer_count);
    raw_batch(&batch, 1, o->record_bytes, o->codec);
    produce.frames = zeroed((size_t)o->partition_count, sizeof *produce.frames);
    for (int p = 0; p < o->partition_count; p++)
        raw_produce(&produce.frames[p], o->topic, p, &batch);
    struct usage before = usage_now(o->server_pid);
    run_rate(&crowd, produce_frame, &produce);
    print_row(&crowd, &before, "idle", o->idle_count);
    int64_t answered = crowd.answered;
    for (int i = 0; i < o->idle_count; i++)
        close(idle[i]);
    for (int p = 0; p < o->partition_count; p++)
        raw_free(&produce.frames[p]);
    free(produce.frames);
    free(idle);
    raw_free(&batch);
    raw_free(&hello);
    raw_free(&answer);
    close_talkers(&crowd);
    return crowd.failed > 0 || answered < (int64_t)o->rate * o->measured_s;
}

/* --- groups --- */

struct member {
    char group[32];
    char id[128];
    int32_t generation;
};

struct heartbeats {
    struct member *members;
    int64_t count;
    struct raw_bytes frame;
};

static void join_frame(struct raw_bytes *out, const struct member *member)
{
    enum { KEY = 11, VERSION = 1 };
    raw_begin(out, KEY, VERSION);
    raw_put_str(out, member->group);
    raw_put_int(out, 300000, 4); /* session timeout */
    raw_put_int(out, 300000, 4); /* rebalance timeout */
    raw_put_str(out, "");
    raw_put_str(out, "consumer");
    raw_put_int(out, 1, 4);
    raw_put_str(out, "range");
    raw_put_int(out, 0, 4);
    raw_end(out);
}

/* Generation and member id of a JoinGroup answer: correlation id, error, generation, protocol, leader, member id. */
static void take_join(struct member *member, const struct raw_bytes *answer)
{
    size_t at = 4;
    int error = (int)raw_int(answer->at + at, 2);
    if (error != 0)
        die("JoinGroup of %s: error %d", member->group, error);
    member->generation = (int32_t)raw_int(answer->at + at + 2, 4);
    at += 2 + 4;
    for (int skipped = 0; skipped < 2; skipped++)
        at += 2 + (size_t)raw_int(answer->at + at, 2);
    size_t len = (size_t)raw_int(answer->at + at, 2);
    if (len >= sizeof member->id || at + 2 + len > answer->len)
        die("a member id of %zu bytes", len);
    memcpy(member->id, answer->at + at + 2, len);
}

static void put_member(struct raw_bytes *out, const struct member *member)
{
    raw_put_str(out, member->group);
    raw_put_int(out, member->generation, 4);
    raw_put_str(out, member->id);
}

static void sync_frame(struct raw_bytes *out, const struct member *member)
{
    enum { KEY = 14, VERSION = 0 };
    raw_begin(out, KEY, VERSION);
    put_member(out, member);
    raw_put_int(out, 1, 4);
    raw_put_str(out, member->id);
    raw_put_int(out, 0, 4);
    raw_end(out);
}

static const struct raw_bytes *heartbeat_frame(void *arg, struct crowd *crowd, int talker, int64_t number)
{
    enum { KEY = 12, VERSION = 0 };
    struct heartbeats *beats = arg;
    raw_begin(&beats->frame, KEY, VERSION);
    put_member(&beats->frame, &beats->members[number % beats->count]);
    raw_end(&beats->frame);
    return &beats->frame;
}

/* Joins wait for the group's initial delay: many are asked before the first answer is taken. */
static void join_all(const struct options *o, struct member *members)
{
    struct raw_bytes frame = {0}, answer = {0};
    int width = o->producer_count;
    int *fds = zeroed((size_t)width, sizeof *fds);
    for (int i = 0; i < width; i++)
        fds[i] = raw_connect(o->bootstrap);
    for (int step = 0; step < 2; step++)
        for (int64_t from = 0; from < o->record_count; from += width) {
            int64_t to = from + width < o->record_count ? from + width : o->record_count;
            for (int64_t i = from; i < to; i++) {
                (step == 0 ? join_frame : sync_frame)(&frame, &members[i]);
                raw_send(fds[i - from], &frame);
            }
            for (int64_t i = from; i < to; i++) {
                raw_take(fds[i - from], &answer);
                if (step == 0)
                    take_join(&members[i], &answer);
                else if (raw_int(answer.at + 4, 2) != 0)
                    die("SyncGroup of %s: error %d", members[i].group, (int)raw_int(answer.at + 4, 2));
            }
        }
    for (int i = 0; i < width; i++)
        close(fds[i]);
    free(fds);
    raw_free(&frame);
    raw_free(&answer);
}

int mode_groups(const struct options *o)
{
    struct crowd crowd = {.o = o, .error_pos = 4};
    struct heartbeats beats = {.count = o->record_count};
    raise_limit();
    beats.members = zeroed((size_t)o->record_count + 1, sizeof *beats.members);
    for (int64_t i = 0; i < o->record_count; i++)
        snprintf(beats.members[i].group, sizeof beats.members[i].group, "group-%" PRId64, i);
    double start = clock_s();
    join_all(o, beats.members);
    fprintf(stderr, "%" PRId64 " groups joined in %.1f s\n", o->record_count, clock_s() - start);
    open_talkers(&crowd, o->producer_count);
    struct usage before = usage_now(o->server_pid);
    run_rate(&crowd, heartbeat_frame, &beats);
    print_row(&crowd, &before, "groups", o->record_count);
    int64_t answered = crowd.answered;
    raw_free(&beats.frame);
    free(beats.members);
    close_talkers(&crowd);
    return crowd.failed > 0 || answered < (int64_t)o->rate * o->measured_s;
}
