/* test_log_runs.c - several appends by one call: they end as they would have ended one by one, and cost one write.
 *
 * The first test is that sentence: the same stream of batches, good and bad, goes into one log append by append and into another
 * in groups of any size; every result, and in the end every file, must be the same.
 */
#include "log_test.h"

enum { PRODUCERS = 3, STEPS = 400, GROUP_MAX = LOG_APPENDS_MAX };

/* --- the same, whatever the groups --- */

/* What a producer sends next. */
struct sender {
    int16_t epoch;
    int32_t seq, last_count;
    bool open; /* a transaction */
};

struct stream {
    uint64_t random;
    struct sender senders[PRODUCERS];
    int64_t time_ms;
    int next;
};

static uint64_t below(struct stream *stream, uint64_t n)
{
    stream->random = stream->random * 6364136223846793005u + 1442695040888963407u;
    return (stream->random >> 33) % n;
}

static bool one_in(struct stream *stream, uint64_t n)
{
    return below(stream, n) == 0;
}

/* A batch as a client might send it: mostly the next of some producer, now and then one that is to be refused or is there. */
static void next_batch(struct world *w, struct stream *stream, struct buf *out)
{
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    uint64_t who = below(stream, PRODUCERS + 1);
    int count = 1 + (int)below(stream, 4);
    if (who < PRODUCERS) {
        struct sender *sender = &stream->senders[who];
        bool again = one_in(stream, 8) && sender->last_count > 0, gap = one_in(stream, 15);
        bool newer = one_in(stream, 40);
        if (newer) {
            sender->epoch++;
            sender->seq = 0;
            sender->last_count = 0;
            again = false;
        }
        count = again ? sender->last_count : count;
        spec.pid = 100 + (int64_t)who;
        spec.epoch = sender->epoch;
        spec.base_seq = again ? sender->seq - count : gap ? sender->seq + 7 : sender->seq;
        spec.transactional = who == 0 && one_in(stream, 2);
        if (!again && !gap) {
            sender->seq += count;
            sender->last_count = count;
        }
        if (one_in(stream, 50))
            spec.epoch--;
    }
    spec.codec = one_in(stream, 5) ? CODEC_LZ4 : CODEC_NONE;
    stream->time_ms += (int64_t)below(stream, 100) * (one_in(stream, 30) ? 100 : 1);
    buf_clear(out);
    buf_append_str(out, world_batch(w, &spec, stream->next, count, stream->time_ms));
    stream->next += count;
    if (one_in(stream, 25))
        out->ptr[out->len - 1] ^= 1; /* the checksum */
    if (one_in(stream, 40))
        out->len -= 3;
}

/* Ends transactions now and then, and lets the producers go on from what was taken. */
static void settle(struct world *single, struct world *grouped, struct stream *stream)
{
    struct log_append_result result;
    for (int who = 0; who < PRODUCERS; who++) {
        struct sender *sender = &stream->senders[who];
        struct log_producer_info info;
        int64_t pid = 100 + who;
        if (!log_producer(single->log, pid, &info))
            continue;
        int32_t seq = info.last_seq + 1;
        if (seq != sender->seq || info.epoch != sender->epoch)
            sender->last_count = 0;
        sender->seq = seq;
        sender->epoch = info.epoch;
        if (info.txn_first_offset < 0 || !one_in(stream, 3))
            continue;
        assert_true(log_append_marker(single->log, pid, info.epoch, MARKER_COMMIT, 0, &result, NULL));
        assert_true(log_append_marker(grouped->log, pid, info.epoch, MARKER_COMMIT, 0, &result, NULL));
    }
}

static void assert_same_result(const struct log_append *one, const struct log_append *other, int step)
{
    const struct log_append_result *a = &one->result, *b = &other->result;
    if (one->good != other->good || a->base_offset != b->base_offset || a->last_offset != b->last_offset ||
        a->append_time_ms != b->append_time_ms || a->duplicate != b->duplicate || a->flush != b->flush ||
        a->incarnation != b->incarnation || a->bad_records != b->bad_records)
        fail_msg("step %d: good %d %d, offsets %lld..%lld %lld..%lld, duplicate %d %d, flush %d %d", step,
                 one->good, other->good, (long long)a->base_offset, (long long)a->last_offset,
                 (long long)b->base_offset, (long long)b->last_offset, a->duplicate, b->duplicate, a->flush,
                 b->flush);
    if (!one->good)
        assert_string_equal(one->err->text, other->err->text);
}

struct listing {
    struct world *w;
    struct buf text;
    vec(char *) names;
};

static void list_name(void *arg, const char *name)
{
    struct listing *listing = arg;
    vec_push(&listing->names, mem_dup(name, strlen(name) + 1));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names and contents of all files of the log but its checkpoint, which tells when it was written. */
static void take_files(struct world *w, struct buf *out)
{
    struct listing listing = {.w = w};
    assert_int_equal(io_list(w->io, "logs/t-0", list_name, &listing), 0);
    qsort(listing.names.at, listing.names.len, sizeof *listing.names.at, by_text);
    for (size_t i = 0; i < listing.names.len; i++) {
        char path[200];
        snprintf(path, sizeof path, "logs/t-0/%s", listing.names.at[i]);
        buf_printf(out, "[%s]", listing.names.at[i]);
        if (strstr(path, "checkpoint") == NULL)
            assert_true(io_read_file(w->io, path, SIZE_MAX, out, NULL));
        free(listing.names.at[i]);
    }
    vec_fini(&listing.names);
}

static void init_like(struct world *w, uint64_t seed)
{
    world_init(w, 1);
    w->config.segment_bytes = seed % 2 == 0 ? 1500 : 1 << 20;
    w->config.segment_ms = seed % 3 == 0 ? 3000 : 1 << 30;
    w->config.index_interval_bytes = 100;
    w->config.index_bytes_max = seed % 5 == 0 ? 64 : 1 << 20;
    w->config.append_time = seed % 7 == 0;
    w->config.flush_messages = 20;
    w->config.recompress = seed % 4 == 0;
    w->config.codec = CODEC_ZSTD;
    w->config.retention_ms = w->config.retention_bytes = -1;
    world_open(w);
}

/* Returns how many appends were written. */
static size_t run_stream(uint64_t seed)
{
    struct world single, grouped;
    struct stream stream = {.random = seed, .time_ms = 1000};
    struct buf bytes[2][GROUP_MAX] = {0};
    struct err errs[2][GROUP_MAX];
    size_t good = 0;
    init_like(&single, seed);
    init_like(&grouped, seed);
    for (int step = 0; step < STEPS;) {
        struct log_append group[GROUP_MAX], *all[GROUP_MAX];
        size_t count = 1 + below(&stream, one_in(&stream, 3) ? GROUP_MAX : 6);
        for (size_t i = 0; i < count; i++, step++) {
            next_batch(&single, &stream, &bytes[0][i]);
            buf_clear(&bytes[1][i]);
            buf_append_str(&bytes[1][i], buf_str(&bytes[0][i]));
            group[i] = (struct log_append){.bytes = bytes[1][i].ptr,
                                           .size = bytes[1][i].len,
                                           .origin = LOG_CLIENT,
                                           .err = &errs[1][i]};
            all[i] = &group[i];
        }
        log_append_all(grouped.log, all, count);
        for (size_t i = 0; i < count; i++) {
            struct log_append one = {.err = &errs[0][i]};
            one.good = log_append(single.log, bytes[0][i].ptr, bytes[0][i].len, LOG_CLIENT, &one.result,
                                  &errs[0][i]);
            assert_same_result(&one, &group[i], step - (int)(count - i));
            good += one.good && !one.result.duplicate;
            if (!one.good)
                assert_true(str_eq(buf_str(&bytes[0][i]), buf_str(&bytes[1][i])));
        }
        settle(&single, &grouped, &stream);
        if (one_in(&stream, 4)) {
            world_sync(&single);
            world_sync(&grouped);
        }
    }
    struct buf files[2] = {0};
    world_reopen(&single);
    world_reopen(&grouped);
    take_files(&single, &files[0]);
    take_files(&grouped, &files[1]);
    assert_true(str_eq(buf_str(&files[0]), buf_str(&files[1])));
    buf_fini(&files[0]);
    buf_fini(&files[1]);
    for (size_t i = 0; i < GROUP_MAX; i++) {
        buf_fini(&bytes[0][i]);
        buf_fini(&bytes[1][i]);
    }
    world_fini(&single);
    world_fini(&grouped);
    return good;
}

static void test_as_one_by_one(void **state)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        assert_true(run_stream(seed) > STEPS / 3); /* most of it is there to be compared */
}

/* --- one write --- */

static const struct io_ops *ops_below;
static int write_count;

static ssize_t counted_pwritev(struct io *io, int fd, const struct iovec *parts, int count, uint64_t pos)
{
    write_count++;
    return ops_below->pwritev(io, fd, parts, count, pos);
}

enum { FIVE = 5 };

/* Five batches of one record each of producer 7, from sequence number `seq` on. */
static void append_five(struct world *w, int32_t seq, bool transactional, struct log_append *group,
                        struct buf *bytes, struct err *errs)
{
    struct log_append *all[FIVE];
    for (int i = 0; i < FIVE; i++) {
        struct batch_spec spec = {.pid = 7, .base_seq = seq + i, .transactional = transactional};
        buf_clear(&bytes[i]);
        buf_append_str(&bytes[i], world_batch(w, &spec, seq + i, 1, 1000));
        group[i] = (struct log_append){.bytes = bytes[i].ptr,
                                       .size = bytes[i].len,
                                       .origin = LOG_CLIENT,
                                       .err = &errs[i]};
        all[i] = &group[i];
    }
    log_append_all(w->log, all, FIVE);
}

struct five {
    struct world w;
    struct log_append group[FIVE];
    struct buf bytes[FIVE];
    struct err errs[FIVE];
};

static void five_init(struct five *five)
{
    *five = (struct five){0};
    world_init(&five->w, 1);
    world_open(&five->w);
    world_append(&five->w, 900, 1, 1000); /* the file is there */
}

static void five_fini(struct five *five)
{
    for (int i = 0; i < FIVE; i++)
        buf_fini(&five->bytes[i]);
    world_fini(&five->w);
}

static void assert_all_good(const struct five *five, int64_t base_offset)
{
    for (int i = 0; i < FIVE; i++) {
        assert_true(five->group[i].good);
        assert_int_equal(five->group[i].result.base_offset, base_offset + i);
    }
}

static void test_one_write(void **state)
{
    struct five five;
    five_init(&five);
    struct io_ops ops = *five.w.io->ops;
    ops_below = five.w.io->ops;
    ops.pwritev = counted_pwritev;
    five.w.io->ops = &ops;
    append_five(&five.w, 0, false, five.group, five.bytes, five.errs);
    five.w.io->ops = ops_below;
    assert_all_good(&five, 1);
    assert_int_equal(write_count, 1);
    world_sync(&five.w);
    assert_records(&five.w, 0, LOG_UP_TO_HW, "0=900 1=0 2=1 3=2 4=3 5=4");
    five_fini(&five);
}

/* A transaction begins with the first of them, and each of the others asks what is open. */
static void test_transactions(void **state)
{
    struct five five;
    struct log_producer_info info;
    five_init(&five);
    append_five(&five.w, 0, true, five.group, five.bytes, five.errs);
    assert_all_good(&five, 1);
    assert_true(log_producer(five.w.log, 7, &info));
    assert_int_equal(info.txn_first_offset, 1);
    append_five(&five.w, 5, false, five.group, five.bytes, five.errs);
    for (int i = 0; i < FIVE; i++) {
        assert_false(five.group[i].good);
        assert_int_equal(five.errs[i].code, i == 0 ? ERR_INVALID_TXN_STATE : ERR_OUT_OF_ORDER_SEQUENCE);
    }
    assert_int_equal(log_end_offset(five.w.log), 6);
    five_fini(&five);
}

/* A write that fails takes all five with it; the producer sends them again. */
static void test_failed_write(void **state)
{
    static const enum io_fault_kind kinds[] = {IO_FAULT_EIO, IO_FAULT_ENOSPC, IO_FAULT_TORN};
    static const enum err_code codes[] = {ERR_IO, ERR_DISK_FULL, ERR_IO};
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        struct five five;
        five_init(&five);
        io_faulty_script(five.w.faulty, kinds[k], 1, 1);
        append_five(&five.w, 0, false, five.group, five.bytes, five.errs);
        assert_true(io_faulty_struck(five.w.faulty));
        for (int i = 0; i < FIVE; i++) {
            struct batch batch;
            assert_false(five.group[i].good);
            assert_int_equal(five.errs[i].code, codes[k]);
            assert_int_equal(five.group[i].result.base_offset, -1);
            assert_true(batch_open(buf_str(&five.bytes[i]), &batch, NULL));
            assert_int_equal(batch.base_offset, 0);
        }
        assert_int_equal(log_end_offset(five.w.log), 1);
        io_faulty_script(five.w.faulty, IO_FAULT_EIO, 1, 0);
        append_five(&five.w, 0, false, five.group, five.bytes, five.errs);
        assert_all_good(&five, 1);
        world_crash(&five.w, IO_CUT_KEEP);
        assert_records(&five.w, 0, LOG_APPENDED, "0=900 1=0 2=1 3=2 4=3 5=4");
        five_fini(&five);
    }
}

/* A write of which half is done goes on. */
static void test_short_write(void **state)
{
    struct five five;
    five_init(&five);
    io_faulty_script(five.w.faulty, IO_FAULT_SHORT, 1, 1);
    append_five(&five.w, 0, false, five.group, five.bytes, five.errs);
    assert_true(io_faulty_struck(five.w.faulty));
    assert_all_good(&five, 1);
    world_crash(&five.w, IO_CUT_KEEP);
    assert_records(&five.w, 0, LOG_APPENDED, "0=900 1=0 2=1 3=2 4=3 5=4");
    five_fini(&five);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_one_by_one), cmocka_unit_test(test_one_write),
        cmocka_unit_test(test_transactions),  cmocka_unit_test(test_failed_write),
        cmocka_unit_test(test_short_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
