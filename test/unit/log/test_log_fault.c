/* test_log_fault.c - every operation on the disk fails once, in every way; the power goes at every
 * operation.
 *
 * The workload is an idempotent producer that sends 0, 1, 2, ... one or two records a batch, or up to four batches by one call,
 * and repeats what was not acknowledged, and beside it a transactional one; segments are small, so that rolls,
 * checkpoints and retention happen all the time. For N = 1, 2, ... the fault strikes at the N-th operation,
 * then the log is opened again and must hold:
 *
 *   - every acknowledged record, once, in order, without a gap; nothing that was never sent
 *   - the producer may repeat its last batch and go on: a duplicate is recognised
 *   - the open is not refused
 * until a run ends before the fault strikes.
 */
#include "log_test.h"

enum { ROUNDS = 14, PID = 7, TXN_PID = 8 };

struct work {
    struct world w;
    int next; /* the first record that is not acknowledged */
    int seq;  /* the same: one sequence number a record */
    int txn_seq;
    int refused;     /* appends and syncs that failed */
    bool os;         /* durability=os: written is acknowledged, a sync comes now and then */
    bool runs;       /* a batch a record, several by one call */
    int64_t deleted; /* DeleteRecords up to here was acknowledged */
    bool strict;     /* no fault can be left: failures are errors of the test */
};

static void work_init(struct work *work, uint64_t seed)
{
    *work = (struct work){0};
    world_init(&work->w, seed);
    work->w.config.segment_bytes = 500;
    work->w.config.index_interval_bytes = 100;
    work->w.config.checkpoint_bytes = 350;
    work->w.config.retention_ms = -1;
    work->w.config.retention_bytes = 1000;
}

enum { RUN_MAX = 4 };

/* Appends the next records as a batch, or as a run of batches; gives how many were taken, and the result of the last one. */
static int append_next(struct work *work, int count, struct log_append_result *result, struct err *err)
{
    struct log_append run[RUN_MAX], *all[RUN_MAX];
    struct buf bytes[RUN_MAX] = {0};
    int taken = 0, batches = work->runs ? count : 1, each = count / batches;
    assert_in_range(batches, 1, RUN_MAX);
    for (int i = 0; i < batches; i++) {
        struct batch_spec spec = {.pid = PID, .epoch = 0, .base_seq = work->seq + i * each};
        int first = work->next + i * each;
        buf_append_str(&bytes[i], world_batch(&work->w, &spec, first, each, 1000 + first));
        run[i] = (struct log_append){.bytes = bytes[i].ptr,
                                     .size = bytes[i].len,
                                     .origin = LOG_CLIENT,
                                     .err = err};
        all[i] = &run[i];
    }
    log_append_all(work->w.log, all, (size_t)batches);
    for (int i = 0; i < batches; i++) {
        assert_true(i == 0 || run[i - 1].good || !run[i].good); /* none before one that is missing */
        if (run[i].good) {
            *result = run[i].result;
            taken += each;
        }
        buf_fini(&bytes[i]);
    }
    return taken;
}

/* Sends and syncs the next records; true when all are acknowledged. */
static bool send_next(struct work *work, int count)
{
    struct log_append_result result;
    struct err err = {0};
    int taken = append_next(work, count, &result, &err);
    bool ok = taken != 0;
    if (!work->os)
        ok = ok && log_sync(work->w.log, &err) && log_is_durable(work->w.log, &result);
    else if (work->next % 3 == 0)
        ignore(log_sync(work->w.log, NULL), "it only bounds what a power cut could take");
    if (work->strict && !(ok && taken == count))
        fail_msg("record %d: %s", work->next, err.text);
    if (ok) {
        work->next += taken;
        work->seq += taken;
    }
    ok = ok && taken == count;
    work->refused += !ok;
    return ok;
}

/* One transaction of one record; whether it is acknowledged is not followed up, only that it does no harm. */
static void send_txn(struct work *work, int round)
{
    struct log_append_result result;
    struct batch_spec spec = {.pid = TXN_PID, .epoch = 0, .base_seq = -1, .transactional = true};
    struct str bytes = world_batch(&work->w, &spec, -1, 1, 1000);
    if (log_append(work->w.log, (char *)bytes.ptr, bytes.len, LOG_INTERNAL, &result, NULL))
        ignore(log_append_marker(work->w.log, TXN_PID, 0, round % 2 ? MARKER_COMMIT : MARKER_ABORT, 0,
                                 &result, NULL),
               "the transaction stays open then");
}

/* DeleteRecords, some records behind the end. */
static void delete_some(struct work *work)
{
    int64_t offset = log_high_watermark(work->w.log) - 8;
    if (offset > work->deleted && log_delete_before(work->w.log, offset, NULL))
        work->deleted = offset;
}

static void run_rounds(struct work *work, int attempts)
{
    for (int round = 0; round < ROUNDS; round++) {
        bool sent = false;
        for (int i = 0; i < attempts && !sent; i++)
            sent = send_next(work, 1 + round % (work->runs ? RUN_MAX : 2));
        if (round % 3 == 1)
            send_txn(work, round);
        if (round % 4 == 3)
            ignore(log_retain(work->w.log, io_now_ms(work->w.io), NULL, NULL), "nothing may be lost by it");
        if (round % 5 == 4)
            delete_some(work);
    }
}

/* The records of the producer: consecutive up to at least what is acknowledged; the offset order is theirs.
 * */
static void check_records(struct work *work)
{
    struct buf bytes = {0};
    struct batch batch;
    int expect = -1;
    world_read(&work->w, log_start_offset(work->w.log), 300, LOG_UP_TO_HW, &bytes);
    for (struct str rest = buf_str(&bytes); batch_next(&rest, &batch, NULL);) {
        struct batch_iter it;
        struct record rec;
        assert_true(batch_iter_init(&it, &batch, &(struct buf){0}, NULL));
        while (batch.pid == PID && batch_iter_next(&it, &rec)) {
            int64_t value;
            assert_true(str_to_i64(rec.value, &value));
            if (expect >= 0 && value != expect)
                fail_msg("record %lld where %d should be", (long long)value, expect);
            expect = (int)value + 1;
        }
    }
    if (work->next != 0 && expect < work->next)
        fail_msg("acknowledged up to %d, found up to %d", work->next, expect);
    if (expect > work->next + RUN_MAX)
        fail_msg("sent up to %d, found up to %d", work->next + RUN_MAX, expect);
    buf_fini(&bytes);
}

static void check_after(struct work *work, enum io_cut cut)
{
    world_crash(&work->w, cut);
    assert_int_equal(log_durable_offset(work->w.log), log_end_offset(work->w.log));
    assert_true(log_start_offset(work->w.log) >= work->deleted);
    check_records(work);
    work->strict = true;
    /* What was in flight is repeated in the same form, as a client does; the count of a batch depends on
     * the round only. */
    if (work->seq != 0 || log_end_offset(work->w.log) != 0) {
        struct log_producer_info info;
        if (log_producer(work->w.log, PID, &info) && info.last_seq >= work->seq) {
            int in_flight = info.last_seq - work->seq + 1;
            int64_t end = log_end_offset(work->w.log);
            assert_true(send_next(work, in_flight));
            assert_int_equal(log_end_offset(work->w.log), end); /* recognised */
        }
    }
    run_rounds(work, 1);
    check_records(work);
    world_reopen(&work->w);
    check_records(work);
}

static void work_fini(struct work *work)
{
    world_fini(&work->w);
}

enum how { ONE_BY_ONE, RUNS, OS };

/* One run with a fault; true when it struck. */
static bool run_with_fault(enum io_fault_kind kind, uint64_t at, uint64_t count, enum io_cut cut,
                           enum how how)
{
    struct work work;
    work_init(&work, at * 31 + (uint64_t)cut);
    work.os = how == OS;
    work.runs = how == RUNS;
    work.w.config.durability = how == OS ? LOG_OS : LOG_FSYNC;
    world_open(&work.w);
    run_rounds(&work, 1); /* the fault meets a log that has lived already */
    world_reopen(&work.w);
    io_faulty_script(work.w.faulty, kind, at, count);
    run_rounds(&work, 2);
    bool struck = io_faulty_struck(work.w.faulty);
    check_after(&work, cut);
    work_fini(&work);
    return struck;
}

static void loop(enum io_fault_kind kind, uint64_t count, enum io_cut cut)
{
    for (enum how how = ONE_BY_ONE; how <= RUNS; how++) {
        uint64_t at = 1;
        while (run_with_fault(kind, at, count, cut, how))
            at++;
        assert_true(at > 20); /* the loop is about something */
    }
}

/* With durability=os the death of the process, not of the system, is what acknowledged records survive. */
static void test_os(void **state)
{
    static const enum io_fault_kind kinds[] = {IO_FAULT_EIO, IO_FAULT_TORN, IO_FAULT_ENOSPC, IO_FAULT_DEAD};
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        for (uint64_t at = 1; run_with_fault(kinds[i], at, 2, IO_CUT_KEEP, OS);)
            at++;
}

static void test_eio(void **state)
{
    loop(IO_FAULT_EIO, 1, IO_CUT_KEEP);
    loop(IO_FAULT_EIO, 2, IO_CUT_RANDOM);
}

static void test_short(void **state)
{
    loop(IO_FAULT_SHORT, 2, IO_CUT_KEEP);
}

static void test_torn(void **state)
{
    loop(IO_FAULT_TORN, 1, IO_CUT_LOSE);
    loop(IO_FAULT_TORN, 2, IO_CUT_KEEP);
}

static void test_enospc(void **state)
{
    loop(IO_FAULT_ENOSPC, 1, IO_CUT_KEEP);
    loop(IO_FAULT_ENOSPC, 3, IO_CUT_RANDOM);
}

static void test_power_cut(void **state)
{
    loop(IO_FAULT_DEAD, 1, IO_CUT_LOSE);
    loop(IO_FAULT_DEAD, 1, IO_CUT_KEEP);
    for (int i = 0; i < 4; i++)
        loop(IO_FAULT_DEAD, 1, IO_CUT_RANDOM);
}

/* The start after a crash is itself cut at every operation. */
static void test_cut_restarts(void **state)
{
    static const enum io_cut cuts[] = {IO_CUT_KEEP, IO_CUT_LOSE, IO_CUT_RANDOM};
    for (size_t c = 0; c < COUNT_OF(cuts); c++) {
        bool struck = true;
        for (uint64_t first = 1; struck; first += 9) {
            bool again = true;
            for (uint64_t second = 1; again; second++) {
                struct work work;
                work_init(&work, first * 100 + second);
                world_open(&work.w);
                run_rounds(&work, 1);
                io_faulty_script(work.w.faulty, IO_FAULT_DEAD, first, 1);
                run_rounds(&work, 1);
                struck = io_faulty_struck(work.w.faulty);
                log_abandon(work.w.log);
                io_memory_cut(work.w.mem, cuts[c]);
                io_faulty_script(work.w.faulty, IO_FAULT_DEAD, second, 1);
                work.w.log = log_open("logs/t-0", "t-0", &work.w.config, work.w.io, NULL);
                again = io_faulty_struck(work.w.faulty);
                check_after(&work, cuts[c]);
                work_fini(&work);
            }
        }
    }
}

/* A deletion that is cut leaves the log as it was, or nothing of it. */
static void test_cut_deletion(void **state)
{
    static const enum io_cut cuts[] = {IO_CUT_KEEP, IO_CUT_LOSE, IO_CUT_RANDOM};
    for (size_t c = 0; c < COUNT_OF(cuts); c++) {
        bool struck = true;
        for (uint64_t at = 1; struck; at++) {
            struct work work;
            work_init(&work, at);
            world_open(&work.w);
            run_rounds(&work, 1);
            io_faulty_script(work.w.faulty, IO_FAULT_DEAD, at, 1);
            bool told = log_delete(work.w.log, NULL);
            struck = io_faulty_struck(work.w.faulty);
            io_memory_cut(work.w.mem, cuts[c]);
            io_faulty_script(work.w.faulty, IO_FAULT_EIO, 1, 0);
            assert_true(log_purge("logs", work.w.io, NULL));
            world_open(&work.w);
            if (log_end_offset(work.w.log) != 0) {
                assert_false(told);
                check_records(&work);
            }
            work_fini(&work);
        }
    }
}

/* A full disk heals without a restart: after the fault everything is accepted again, in the same process. */
static void test_enospc_heals(void **state)
{
    bool struck = true;
    for (uint64_t at = 1; struck; at++) {
        struct work work;
        work_init(&work, at);
        world_open(&work.w);
        io_faulty_script(work.w.faulty, IO_FAULT_ENOSPC, at, 2);
        run_rounds(&work, 4);
        struck = io_faulty_struck(work.w.faulty);
        io_faulty_script(work.w.faulty, IO_FAULT_EIO, 1, 0);
        work.strict = true;
        assert_true(send_next(&work, 1));
        assert_int_equal(work.next, ROUNDS / 2 + ROUNDS + 1);
        check_records(&work);
        world_crash(&work.w,
                    IO_CUT_LOSE); /* names of files that were made before the fault are durable too */
        check_records(&work);
        work_fini(&work);
    }
}

/* A start that fails while it makes durable what it found, takes nothing away from it. */
static void test_settle_fails(void **state)
{
    bool struck = true;
    for (uint64_t at = 1; struck; at++) {
        struct work work;
        work_init(&work, at);
        world_open(&work.w);
        run_rounds(&work, 1);
        work.w.config.settle_later = true;
        world_crash(&work.w, IO_CUT_KEEP);
        io_faulty_script(work.w.faulty, IO_FAULT_EIO, at, 3);
        if (log_is_unsettled(work.w.log))
            ignore(log_settle(work.w.log, false, NULL), "either may be");
        log_close(work.w.log);
        struck = io_faulty_struck(work.w.faulty);
        io_faulty_script(work.w.faulty, IO_FAULT_EIO, 1, 0);
        work.w.config.settle_later = false;
        world_open(&work.w);
        check_records(&work);
        work_fini(&work);
    }
}

/* No room at all for a while: refused with the right word, reads go on, room brings it back. */
static void test_full_disk(void **state)
{
    struct work work;
    struct log_append_result result;
    struct err err = {0};
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    work_init(&work, 1);
    work.w.config.retention_bytes = -1;
    world_open(&work.w);
    run_rounds(&work, 1);
    io_memory_set_room(work.w.mem, 1);
    for (int i = 0; i < 20; i++) {
        assert_false(world_append_spec(&work.w, &spec, 0, 1, 1000, &result, &err));
        assert_int_equal(err.code, ERR_DISK_FULL);
    }
    check_records(&work);
    assert_null(log_offline_reason(work.w.log));
    world_crash(&work.w, IO_CUT_LOSE); /* a start with a full disk is not refused */
    check_records(&work);
    io_memory_set_room(work.w.mem, 0);
    work.strict = true;
    run_rounds(&work, 1);
    check_records(&work);
    work_fini(&work);
}

/* A log that cannot be opened keeps its place: it answers, with the reason, and touches nothing; a later start has it back. */
static void test_unopened(void **state)
{
    struct world w;
    struct log_append_result result;
    struct log_slice slice;
    struct log_time_hit hit;
    struct err err = {0};
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    world_init(&w, 1);
    world_open(&w);
    world_append(&w, 0, 3, 1000);
    world_sync(&w);
    log_abandon(w.log);
    io_faulty_script(w.faulty, IO_FAULT_EIO, 1, 1000);
    assert_null(log_open("logs/t-0", "t-0", &w.config, w.io, &err));
    w.log = log_open_offline("logs/t-0", "t-0", &w.config, w.io, &err);
    io_faulty_script(w.faulty, IO_FAULT_EIO, 1, 0); /* the disk works again, but nobody has looked */
    assert_non_null(strstr(log_offline_reason(w.log), "logs/t-0"));
    assert_false(world_append_spec(&w, &spec, 0, 1, 1000, &result, &err));
    assert_int_equal(err.code, ERR_STORAGE);
    assert_false(log_read(w.log, 0, 1000, LOG_UP_TO_HW, &slice, &err));
    assert_int_equal(err.code, ERR_STORAGE);
    assert_false(log_offset_for_time(w.log, LOG_TIME_EARLIEST, LOG_UP_TO_HW, &hit, &err));
    assert_false(log_delete_before(w.log, 0, &err));
    assert_false(log_retain(w.log, io_now_ms(w.io), NULL, &err));
    assert_false(log_sync(w.log, &err) && log_checkpoint(w.log, &err));
    world_reopen(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2");
    log_abandon(w.log);
    /* A full disk is another matter: the first append that finds room opens it. */
    err = (struct err){.code = ERR_DISK_FULL};
    w.log = log_open_offline("logs/t-0", "t-0", &w.config, w.io, &err);
    assert_int_equal(world_append(&w, 3, 1, 1000), 3);
    world_sync(&w);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2 3=3");
    world_fini(&w);
}

/* Records that a failed sync has dropped are not durable because others have their offsets now. */
static void test_dropped_is_not_durable(void **state)
{
    struct world w;
    struct log_append_result dropped, kept;
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    world_init(&w, 1);
    world_open(&w);
    world_append(&w, 0, 1, 1000);
    world_sync(&w);
    assert_true(world_append_spec(&w, &spec, 1, 1, 1000, &dropped, NULL));
    io_faulty_script(w.faulty, IO_FAULT_ENOSPC, 1, 1);
    assert_false(log_sync(w.log, NULL));
    assert_false(log_is_durable(w.log, &dropped));
    assert_true(world_append_spec(&w, &spec, 2, 1, 1000, &kept, NULL));
    assert_int_equal(kept.base_offset, dropped.base_offset);
    world_sync(&w);
    assert_true(log_is_durable(w.log, &kept));
    assert_false(log_is_durable(w.log, &dropped));
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=2");
    world_fini(&w);
}

/* While DeleteRecords writes its checkpoint, an append begins a new segment: the one that the checkpoint points into stays,
 * because a start learns from there what the producers have sent. The next retention takes it. */
static struct world *rolling;
static const struct io_ops *ops_below;

static int append_at_rename(struct io *io, const char *from, const char *to)
{
    struct world *w = rolling;
    rolling = NULL;
    if (w != NULL) {
        struct log_append_result result;
        struct batch_spec spec = {.pid = PID, .epoch = 0, .base_seq = 3};
        w->config.segment_bytes = 100;
        log_set_config(w->log, &w->config);
        assert_true(world_append_spec(w, &spec, 3, 1, 1000, &result, NULL));
    }
    return ops_below->rename(io, from, to);
}

static void test_roll_while_deleted(void **state)
{
    struct world w;
    struct io_stat st;
    struct log_append_result result;
    struct log_producer_info info;
    struct batch_spec spec = {.pid = PID, .epoch = 0, .base_seq = 0};
    const char *first = "logs/t-0/00000000000000000000.log";
    world_init(&w, 1);
    w.config.retention_ms = -1;
    world_open(&w);
    assert_true(log_checkpoint(w.log, NULL)); /* else the roll would wait for the one below */
    assert_true(world_append_spec(&w, &spec, 0, 3, 1000, &result, NULL));
    assert_true(log_checkpoint(w.log, NULL));
    ops_below = w.io->ops;
    struct io_ops ops = *ops_below;
    ops.rename = append_at_rename;
    w.io->ops = &ops;
    rolling = &w;
    assert_true(log_delete_before(w.log, 3, NULL));
    w.io->ops = ops_below;
    assert_null(rolling);
    assert_int_equal(log_start_offset(w.log), 3);
    assert_int_equal(io_stat(w.io, first, &st), 0);
    world_crash(&w, IO_CUT_LOSE); /* the new segment is lost with what was in it */
    assert_int_equal(log_end_offset(w.log), 3);
    assert_true(log_producer(w.log, PID, &info));
    assert_int_equal(info.last_seq, 2);
    spec.base_seq = 3;
    assert_true(world_append_spec(&w, &spec, 3, 1, 1000, &result, NULL));
    world_sync(&w);
    assert_true(log_retain(w.log, io_now_ms(w.io), NULL, NULL));
    assert_int_equal(log_start_offset(w.log), 3);
    assert_int_equal(io_stat(w.io, first, &st), -ENOENT);
    assert_records(&w, 3, LOG_UP_TO_HW, "3=3");
    world_fini(&w);
}

/* A log that a start could not open for a full disk, and that comes back later, has made durable what it found: what was visible
 * before the crash is, and no failed sync takes it. */
static void test_unopened_settles(void **state)
{
    struct world w;
    struct err err = {.code = ERR_DISK_FULL};
    world_init(&w, 1);
    world_open(&w);
    world_append(&w, 0, 3, 1000);
    world_sync(&w);
    log_abandon(w.log);
    w.config.settle_later = true;
    w.log = log_open_offline("logs/t-0", "t-0", &w.config, w.io, &err);
    assert_int_equal(world_append(&w, 3, 1, 1000), 3);
    assert_int_equal(log_high_watermark(w.log), 3);
    io_faulty_script(w.faulty, IO_FAULT_ENOSPC, 1, 1);
    assert_false(log_sync(w.log, NULL));
    assert_int_equal(log_end_offset(w.log), 3);
    assert_records(&w, 0, LOG_UP_TO_HW, "0=0 1=1 2=2");
    world_fini(&w);
}

/* After a failed sync the log says so until it is opened again, and keeps serving what is durable. */
static void test_offline(void **state)
{
    struct work work;
    struct err err = {0};
    work_init(&work, 1);
    work.w.config.segment_bytes = 100000;
    world_open(&work.w);
    run_rounds(&work, 1);
    world_append(&work.w, 0, 1, 1000);
    io_faulty_script(work.w.faulty, IO_FAULT_EIO, 1, 1);
    assert_false(log_sync(work.w.log, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(log_offline_reason(work.w.log));
    assert_false(log_sync(work.w.log, &err));
    assert_int_equal(err.code, ERR_STORAGE);
    struct log_append_result result;
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    assert_false(world_append_spec(&work.w, &spec, 0, 1, 1000, &result, &err));
    assert_int_equal(err.code, ERR_STORAGE);
    assert_int_equal(log_end_offset(work.w.log), log_durable_offset(work.w.log));
    check_records(&work);
    world_reopen(&work.w);
    work.strict = true;
    run_rounds(&work, 1);
    check_records(&work);
    work_fini(&work);
}

int main(void)
{
    log_level_set(LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eio),
        cmocka_unit_test(test_short),
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_enospc),
        cmocka_unit_test(test_power_cut),
        cmocka_unit_test(test_enospc_heals),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_cut_restarts),
        cmocka_unit_test(test_cut_deletion),
        cmocka_unit_test(test_unopened),
        cmocka_unit_test(test_unopened_settles),
        cmocka_unit_test(test_offline),
        cmocka_unit_test(test_roll_while_deleted),
        cmocka_unit_test(test_dropped_is_not_durable),
        cmocka_unit_test(test_os),
        cmocka_unit_test(test_settle_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
