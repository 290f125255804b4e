/* test_log_compact_faults.c - compaction of random logs against a model; every operation failing once, power cuts, a full disk, a
 * stop, the size of its syncs. */
#include "compact_test.h"

/* --- random logs against a model --- */

enum { KEYS = 12, RECORDS_MAX = 4000 };

struct sent {
    int key; /* -1: a marker */
    bool tombstone, in_txn, aborted;
    int64_t pid;
};

struct model {
    struct world w;
    struct sent sent[RECORDS_MAX]; /* by offset */
    int64_t end;
    uint64_t seed;
    int seqs[3];
    bool open[3]; /* transactions of pids 0 to 2 */
    bool may_fail;
};

static uint64_t rnd(struct model *m, uint64_t limit)
{
    m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
    return (m->seed >> 33) % limit;
}

/* True when the append was taken. */
static bool model_put(struct model *m)
{
    int64_t pid = (int64_t)rnd(m, 5) - 2; /* below 0: no producer */
    bool in_txn = pid >= 0 && (m->open[pid] || rnd(m, 2));
    struct batch_spec spec = {.codec = rnd(m, 3) == 0 ? CODEC_LZ4 : CODEC_NONE,
                              .pid = pid < 0 ? -1 : pid,
                              .epoch = pid < 0 ? -1 : 0,
                              .base_seq = pid < 0 ? -1 : m->seqs[pid],
                              .transactional = in_txn};
    int count = 1 + (int)rnd(m, 4);
    struct sent sent[4];
    struct str bytes;
    struct log_append_result result;
    batch_builder_begin(&m->w.builder, &spec);
    for (int i = 0; i < count; i++) {
        char key[8], value[16];
        sent[i] = (struct sent){.key = (int)rnd(m, KEYS),
                                .tombstone = rnd(m, 4) == 0,
                                .in_txn = in_txn,
                                .pid = spec.pid};
        snprintf(key, sizeof key, "%d", sent[i].key);
        snprintf(value, sizeof value, "%lld", (long long)(m->end + i));
        batch_builder_add(&m->w.builder, 1000 + m->end + i, str_from(key),
                          sent[i].tombstone ? STR_NULL : str_from(value), NULL, 0);
    }
    assert_true(batch_builder_finish(&m->w.builder, &bytes, NULL));
    if (!log_append(m->w.log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, NULL)) {
        assert_true(m->may_fail);
        return false;
    }
    assert_int_equal(result.base_offset, m->end);
    memcpy(m->sent + m->end, sent, (size_t)count * sizeof *sent);
    m->end += count;
    if (pid >= 0) {
        m->seqs[pid] += count;
        m->open[pid] = in_txn;
    }
    return true;
}

static bool model_end(struct model *m, int64_t pid)
{
    struct log_append_result result;
    if (!m->open[pid])
        return true;
    bool abort = rnd(m, 2);
    if (!log_append_marker(m->w.log, pid, 0, abort ? MARKER_ABORT : MARKER_COMMIT, 0, &result, NULL)) {
        assert_true(m->may_fail);
        return false;
    }
    assert_int_equal(result.base_offset, m->end);
    for (int64_t i = m->end - 1; abort && i >= 0 && (m->sent[i].key >= 0 || m->sent[i].pid != pid); i--)
        if (m->sent[i].pid == pid && m->sent[i].in_txn)
            m->sent[i].aborted = true;
    m->sent[m->end++] = (struct sent){.key = -1, .pid = pid};
    m->open[pid] = false;
    return true;
}

static bool model_end_txn(struct model *m)
{
    return model_end(m, (int64_t)rnd(m, 3));
}

static void model_end_all(struct model *m)
{
    for (int64_t pid = 0; pid < 3; pid++)
        model_end(m, pid);
}

/* What a read_committed reader may and must see: every record shown was sent at this offset; of every key the last committed
 * value below the last stable offset is there, or, if it is a tombstone, nothing older; no aborted record is visible. */
static void model_check(struct model *m)
{
    struct buf bytes = {0}, plain = {0};
    struct batch batch;
    struct log_aborted_list aborted = {0};
    int64_t lso = log_lso(m->w.log), last[KEYS], seen[KEYS];
    log_aborted_in(m->w.log, 0, lso, &aborted);
    world_read(&m->w, log_start_offset(m->w.log), 500, LOG_READ_COMMITTED, &bytes);
    for (int key = 0; key < KEYS; key++)
        last[key] = seen[key] = -1;
    for (int64_t i = 0; i < lso; i++)
        if (m->sent[i].key >= 0 && !m->sent[i].aborted)
            last[m->sent[i].key] = i;
    bool hidden[3] = {false};
    size_t next = 0;
    for (struct str rest = buf_str(&bytes); batch_next(&rest, &batch, NULL);) {
        struct batch_iter it;
        struct record rec;
        for (; next < aborted.list.len && aborted.list.at[next].first_offset <= batch_last_offset(&batch);
             next++)
            hidden[aborted.list.at[next].pid] = true;
        if (batch_is_control(&batch)) {
            hidden[batch.pid] = false; /* as a client does at the abort marker */
            continue;
        }
        assert_true(batch_iter_init(&it, &batch, &plain, NULL));
        while (batch_iter_next(&it, &rec)) {
            const struct sent *sent = &m->sent[rec.offset];
            int64_t key, value;
            assert_true(rec.offset < m->end && str_to_i64(rec.key, &key) && key == sent->key);
            assert_int_equal(str_is_null(rec.value), sent->tombstone);
            assert_true(sent->tombstone || (str_to_i64(rec.value, &value) && value == rec.offset));
            assert_int_equal(rec.timestamp_ms, 1000 + rec.offset);
            bool is_hidden = batch_is_transactional(&batch) && hidden[batch.pid];
            assert_int_equal(is_hidden, sent->aborted);
            if (!is_hidden)
                seen[key] = rec.offset;
        }
        assert_true(batch_iter_ok(&it, NULL));
    }
    for (int key = 0; key < KEYS; key++)
        if (seen[key] != last[key] && (seen[key] != -1 || !m->sent[last[key]].tombstone))
            fail_msg("key %d: last is %lld, seen %lld", key, (long long)last[key], (long long)seen[key]);
    vec_fini(&aborted.list);
    buf_fini(&bytes);
    buf_fini(&plain);
}

static void model_init(struct model *m, uint64_t seed)
{
    memset(m, 0, sizeof *m);
    m->seed = seed;
    compacted_init(&m->w, seed);
    m->w.config.segment_bytes = 500 + (uint32_t)rnd(m, 1000);
    m->w.config.delete_retention_ms = (int64_t)rnd(m, 3) * 50;
    m->w.config.checkpoint_bytes = 600;
    world_open(&m->w);
}

static bool model_compact(struct model *m)
{
    struct log_compact_options options = {.map_bytes_max = (16 + rnd(m, 20)) * 24, .seed = m->seed};
    struct log_compacted out;
    struct err err = {0};
    bool ok = log_compact(m->w.log, io_now_ms(m->w.io), &options, &out, &err);
    if (!ok && !m->may_fail)
        fail_msg("compact: %s", err.text);
    return ok;
}

static void test_model(void **state)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct model m;
        model_init(&m, seed);
        for (int step = 0; step < 400; step++) {
            switch (rnd(&m, 12)) {
            case 0:
            case 1:
                model_end_txn(&m);
                break;
            case 2:
                world_sync(&m.w);
                model_compact(&m);
                model_check(&m);
                break;
            case 3:
                io_memory_advance_ms(m.w.mem, 20);
                break;
            case 4:
                world_sync(&m.w);
                if (rnd(&m, 2))
                    world_reopen(&m.w);
                else
                    world_crash(&m.w, IO_CUT_LOSE);
                if (rnd(&m, 4) == 0) {
                    ignore(io_unlink(m.w.io, "logs/t-0/checkpoint"), "there may be none");
                    world_crash(&m.w, IO_CUT_KEEP);
                }
                model_check(&m);
                break;
            default:
                model_put(&m);
            }
        }
        world_sync(&m.w);
        model_check(&m);
        world_fini(&m.w);
    }
}

/* --- every operation fails once, or is the last before the power goes --- */

/* A log that has lived, then one compaction with the fault; true when it struck. */
static bool compact_with_fault(enum io_fault_kind kind, uint64_t at, uint64_t count, enum io_cut cut,
                               uint64_t seed)
{
    struct model m;
    model_init(&m, seed);
    for (int i = 0; i < 60; i++)
        if (rnd(&m, 4) == 0)
            model_end_txn(&m);
        else
            model_put(&m);
    model_end_all(&m);
    world_sync(&m.w);
    model_compact(&m);
    for (int i = 0; i < 30; i++)
        model_put(&m);
    model_end_all(&m);
    for (int i = 0; i < 5; i++)
        model_put(&m);
    world_sync(&m.w);
    io_memory_advance_ms(m.w.mem, 200);
    io_faulty_script(m.w.faulty, kind, at, count);
    m.may_fail = true;
    model_compact(&m);
    bool struck = io_faulty_struck(m.w.faulty);
    io_faulty_script(m.w.faulty, IO_FAULT_EIO, 1, 0);
    if (kind != IO_FAULT_DEAD)
        model_check(&m);    /* the process goes on: all is there, also when the log is offline */
    world_crash(&m.w, cut); /* the start is not refused */
    assert_int_equal(log_end_offset(m.w.log), m.end);
    m.may_fail = false;
    model_check(&m);
    model_compact(&m);
    model_check(&m);
    for (int i = 0; i < 10; i++) /* producers go on where they were */
        model_put(&m);
    world_sync(&m.w);
    world_crash(&m.w, IO_CUT_LOSE);
    assert_int_equal(log_end_offset(m.w.log), m.end);
    model_check(&m);
    ignore(io_unlink(m.w.io, "logs/t-0/checkpoint"), "and with nothing but the segments");
    world_crash(&m.w, IO_CUT_KEEP);
    assert_int_equal(log_end_offset(m.w.log), m.end);
    model_check(&m);
    world_fini(&m.w);
    return struck;
}

/* Another log each time: what a cut leaves is up to the seed. */
static void fault_loop(enum io_fault_kind kind, uint64_t count, enum io_cut cut, uint64_t seed)
{
    uint64_t at = 1;
    while (compact_with_fault(kind, at, count, cut, seed + at))
        at++;
    assert_true(at > 10); /* the loop is about something */
}

static void test_faults(void **state)
{
    fault_loop(IO_FAULT_EIO, 1, IO_CUT_KEEP, 3);
    fault_loop(IO_FAULT_EIO, 3, IO_CUT_RANDOM, 4);
    fault_loop(IO_FAULT_TORN, 1, IO_CUT_LOSE, 5);
    fault_loop(IO_FAULT_SHORT, 1000000, IO_CUT_KEEP, 6);
    fault_loop(IO_FAULT_ENOSPC, 1, IO_CUT_RANDOM, 7);
}

static void test_power_cut(void **state)
{
    fault_loop(IO_FAULT_DEAD, 1, IO_CUT_KEEP, 1);
    fault_loop(IO_FAULT_DEAD, 1, IO_CUT_LOSE, 2);
    for (uint64_t i = 0; i < 30; i++)
        fault_loop(IO_FAULT_DEAD, 1, IO_CUT_RANDOM, i * 1000);
}

/* The start that completes an interrupted compaction is interrupted itself, at every operation. */
static void test_cut_restarts(void **state)
{
    static const enum io_cut cuts[] = {IO_CUT_KEEP, IO_CUT_LOSE, IO_CUT_RANDOM};
    for (size_t c = 0; c < COUNT_OF(cuts); c++) {
        bool first_struck = true;
        for (uint64_t first = 1; first_struck; first += 7) {
            bool second_struck = true;
            for (uint64_t second = 1; second_struck; second++) {
                struct model m;
                model_init(&m, 3);
                for (int i = 0; i < 50; i++)
                    model_put(&m);
                model_end_all(&m);
                model_put(&m);
                world_sync(&m.w);
                io_faulty_script(m.w.faulty, IO_FAULT_DEAD, first, 1);
                m.may_fail = true;
                model_compact(&m);
                first_struck = io_faulty_struck(m.w.faulty);
                log_abandon(m.w.log);
                io_memory_cut(m.w.mem, cuts[c]);
                io_faulty_script(m.w.faulty, IO_FAULT_DEAD, second, 1);
                m.w.log = log_open("logs/t-0", "t-0", &m.w.config, m.w.io, NULL);
                second_struck = io_faulty_struck(m.w.faulty);
                world_crash(&m.w, cuts[c]);
                assert_int_equal(log_end_offset(m.w.log), m.end);
                m.may_fail = false;
                model_check(&m);
                model_compact(&m);
                model_check(&m);
                world_fini(&m.w);
            }
        }
    }
}

/* A full disk stops compaction, nothing else: appends and reads that fit go on, and it succeeds when there is room. */
static void test_full_disk(void **state)
{
    struct model m;
    struct log_compacted out;
    struct err err = {0};
    model_init(&m, 5);
    for (int i = 0; i < 60; i++)
        model_put(&m);
    model_end_all(&m);
    world_sync(&m.w);
    io_memory_set_room(m.w.mem, 1);
    struct log_compact_options options = {.map_bytes_max = 1 << 20};
    assert_false(log_compact(m.w.log, io_now_ms(m.w.io), &options, &out, &err));
    assert_int_equal(err.code, ERR_DISK_FULL);
    model_check(&m);
    assert_null(log_offline_reason(m.w.log));
    io_memory_set_room(m.w.mem, 0);
    model_put(&m);
    world_sync(&m.w);
    model_compact(&m);
    model_check(&m);
    world_fini(&m.w);
}

/* Told to stop it stops, and the next one does the rest; what retention takes away meanwhile is no harm. */
struct pacing {
    struct world *w;
    int calls, stop_at;
    bool delete;
};

static bool on_pace(void *arg, uint64_t bytes)
{
    struct pacing *pacing = arg;
    pacing->calls++;
    if (pacing->delete)
        assert_true(log_delete_before(pacing->w->log, log_high_watermark(pacing->w->log) / 2, NULL));
    return pacing->calls != pacing->stop_at;
}

static void test_stop(void **state)
{
    for (int delete = 0; delete < 2; delete ++) {
        struct world w;
        compacted_init(&w, 1);
        w.config.segment_bytes = 300 << 10;
        w.config.message_bytes_max = 200 << 10;
        world_open(&w);
        char *word = mem_alloc(100 << 10);
        memset(word, 'v', 100 << 10);
        word[(100 << 10) - 1] = '\0';
        for (int i = 0; i < 20; i++) {
            memcpy(word, "k0=", 3);
            word[1] = (char)('0' + i % 4);
            put(&w, word);
        }
        world_sync(&w);
        struct pacing pacing = {.w = &w, .stop_at = delete ? -1 : 3, .delete = delete};
        struct log_compact_options options = {.map_bytes_max = 1 << 20, .pace = on_pace, .arg = &pacing};
        struct log_compacted out;
        struct err err = {0};
        if (!log_compact(w.log, io_now_ms(w.io), &options, &out, &err))
            fail_msg("%s", err.text);
        assert_true(out.stopped);
        options.pace = NULL;
        assert_true(log_compact(w.log, io_now_ms(w.io), &options, &out, NULL));
        assert_false(out.stopped);
        struct log_slice slice;
        int64_t expect[4] = {-1, -1, -1, -1};
        for (int64_t offset = log_start_offset(w.log); offset < 20; offset++) {
            assert_true(log_read(w.log, offset, 1, LOG_UP_TO_HW, &slice, NULL));
            assert_true(slice.len != 0);
            offset = slice.base_offset;
            expect[offset % 4] = offset;
            log_slice_release(&slice);
        }
        for (int i = 0; i < 4; i++)
            assert_int_equal(expect[i], 16 + i);
        free(word);
        world_fini(&w);
    }
}

/* What each file has had written since its last sync, and the most that a sync found. */
static const struct io_ops *ops_below;
static uint64_t unsynced[64], unsynced_max;

static ssize_t count_write(struct io *io, int fd, const struct iovec *parts, int count, uint64_t pos)
{
    ssize_t wrote = ops_below->pwritev(io, fd, parts, count, pos);
    assert_in_range(fd, 0, COUNT_OF(unsynced) - 1);
    unsynced[fd] += wrote > 0 ? (uint64_t)wrote : 0;
    return wrote;
}

static int count_sync(struct io *io, int fd)
{
    unsynced_max = MAX(unsynced_max, unsynced[fd]);
    unsynced[fd] = 0;
    return ops_below->fdatasync(io, fd);
}

/* What is compacted reaches the disk little by little: no sync of it is so large that those who append wait long for theirs. */
static void test_small_syncs(void **state)
{
    enum { BATCHES = 48, BATCH_BYTES = 500 << 10, SYNC_BYTES_MAX = 10 << 20 };
    struct world w;
    char *word = mem_alloc(BATCH_BYTES);
    compacted_init(&w, 1);
    w.config.segment_bytes = 64 << 20;
    w.config.message_bytes_max = 1 << 20;
    world_open(&w);
    for (int i = 0; i < BATCHES + 1;
         i++) { /* the last takes the place of the first, which makes something to do */
        memset(word, 'v', BATCH_BYTES);
        snprintf(word, 8, "k%02d", i % BATCHES);
        word[3] = '=';
        word[BATCH_BYTES - 1] = '\0';
        put(&w, word);
    }
    roll(&w);
    world_sync(&w);
    struct io *io = io_memory_io(w.mem);
    ops_below = io->ops;
    struct io_ops ops = *ops_below;
    ops.pwritev = count_write;
    ops.fdatasync = count_sync;
    io->ops = &ops;
    struct log_compacted out = compact_with(&w, 1 << 20);
    io->ops = ops_below;
    assert_int_equal(out.records_read - out.records_kept, 1);
    assert_true(unsynced_max > 1 << 20); /* it was counted */
    if (unsynced_max > SYNC_BYTES_MAX)
        fail_msg("a sync of %llu bytes", (unsigned long long)unsynced_max);
    free(word);
    world_fini(&w);
}

int main(void)
{
    log_level_set(LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),       cmocka_unit_test(test_faults),
        cmocka_unit_test(test_power_cut),   cmocka_unit_test(test_cut_restarts),
        cmocka_unit_test(test_full_disk),   cmocka_unit_test(test_stop),
        cmocka_unit_test(test_small_syncs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
