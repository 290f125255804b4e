/* test_log_rescue.c - what a start cuts off: put aside where somebody may miss it, not where a crash has left the beginning of a
 * write; found by dump; gone when it is old; never lost to a failure in between.
 */
#include "log_test.h"

#define SEGMENT "logs/t-0/00000000000000000000.log"

enum { BATCHES = 5 };

struct cut {
    struct world w;
    uint64_t pos[BATCHES + 1]; /* where the batches begin; the end */
    char name[128];            /* of the last .cut file found */
    int count;
};

static void cut_init(struct cut *c)
{
    *c = (struct cut){0};
    world_init(&c->w, 1);
    c->w.config.retention_ms = -1;
    world_open(&c->w);
    for (int i = 0; i < BATCHES; i++) {
        c->pos[i] = log_size_bytes(c->w.log);
        world_append(&c->w, i, 1, 1000 + i);
    }
    c->pos[BATCHES] = log_size_bytes(c->w.log);
    world_sync(&c->w);
    log_abandon(c->w.log); /* without a checkpoint: all of it is scanned */
}

static void note_cut(void *arg, const char *name)
{
    struct cut *c = arg;
    if (!str_ends_with(str_from(name), STR(".cut")))
        return;
    c->count++;
    snprintf(c->name, sizeof c->name, "logs/t-0/%s", name);
}

/* How many .cut files there are. */
static int count_cuts(struct cut *c)
{
    c->count = 0;
    assert_int_equal(io_list(c->w.io, "logs/t-0", note_cut, c), 0);
    return c->count;
}

static void read_file(struct world *w, const char *path, struct buf *out)
{
    buf_clear(out);
    assert_true(io_read_file(w->io, path, 1 << 20, out, NULL));
}

static void write_file(struct world *w, const char *path, struct str bytes)
{
    struct iovec part = {(void *)bytes.ptr, bytes.len};
    int fd = io_open(w->io, path, IO_WRITE | IO_CREATE | IO_TRUNCATE);
    assert_true(fd >= 0);
    assert_true(bytes.len == 0 || io_write_all(w->io, fd, &part, 1, 0, path, NULL));
    assert_int_equal(io_fdatasync(w->io, fd), 0);
    io_close(w->io, fd);
}

/* What is at the end of the file decides; expected by hand from U1 (rescue.c). */
static void test_what_is_kept(void **state)
{
    static const struct {
        const char *what;
        int bad_batch;      /* the first that is not taken; BATCHES: what comes behind them */
        int flip;           /* byte of it, -1: none */
        int cut;            /* bytes taken off the end */
        int zeros, garbage; /* bytes put there */
        bool kept;
    } cases[] = {
        {"nothing is wrong", BATCHES, -1, 0, 0, 0, false},
        {"torn: the last batch is incomplete", 4, -1, 10, 0, 0, false},
        {"torn: not even a header", 4, -1, 30, 0, 0, false},
        {"torn: zeros", BATCHES, -1, 0, 300, 0, false},
        {"torn: a file system's garbage without a batch", BATCHES, -1, 0, 0, 300, false},
        {"torn: half a batch, then zeros up to a block", 4, -1, 10, 700, 0,
         true}, /* a whole length: nobody can say */
        {"a bit in a record, good batches behind", 1, 65, 0, 0, 0, true},
        {"a bit in a record of the last", 4, 65, 0, 0, 0, true},
        {"the length, good batches behind", 2, 9, 0, 0, 0, true},
        {"the length of the last", 4, 9, 0, 0, 0, true},
        {"the magic of the last", 4, 16, 0, 0, 0, true},
        {"the base offset", 3, 6, 0, 0, 0, true},
        {"a bit, and a torn end", 1, 65, 10, 0, 0, true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct cut c;
        struct buf bytes = {0}, kept = {0};
        cut_init(&c);
        read_file(&c.w, SEGMENT, &bytes);
        if (cases[i].flip >= 0)
            bytes.ptr[c.pos[cases[i].bad_batch] + (uint64_t)cases[i].flip] ^= 0x40;
        bytes.len -= (size_t)cases[i].cut;
        for (int k = 0; k < cases[i].zeros; k++)
            buf_append(&bytes, "", 1);
        for (int k = 0; k < cases[i].garbage; k++)
            buf_append(&bytes, &"\xa7\x02\x11"[k % 3], 1);
        write_file(&c.w, SEGMENT, buf_str(&bytes));
        world_open(&c.w);
        assert_int_equal(log_end_offset(c.w.log), cases[i].bad_batch);
        if (count_cuts(&c) != (cases[i].kept ? 1 : 0))
            fail_msg("%s: %d files", cases[i].what, c.count);
        if (cases[i].kept) { /* to the byte */
            char start[64];
            uint64_t pos = c.pos[cases[i].bad_batch];
            snprintf(start, sizeof start, "logs/t-0/00000000000000000000-%llu.", (unsigned long long)pos);
            assert_true(str_starts_with(str_from(c.name), str_from(start)));
            read_file(&c.w, c.name, &kept);
            assert_true(str_eq(buf_str(&kept), str_sub(buf_str(&bytes), pos, bytes.len)));
        }
        buf_fini(&bytes);
        buf_fini(&kept);
        world_fini(&c.w);
    }
}

/* The segments behind damage are kept whole; dump finds all of it; nothing of it is taken for the log's. */
static void test_segments_behind(void **state)
{
    struct cut c;
    struct buf bytes = {0}, text = {0};
    struct describe_lines lines;
    struct err err;
    cut_init(&c);
    world_open(&c.w);
    c.w.config.segment_bytes = (uint32_t)c.pos[BATCHES];
    log_set_config(c.w.log, &c.w.config);
    for (int i = BATCHES; i < 3 * BATCHES; i++)
        world_append(&c.w, i, 1, 1000);
    world_sync(&c.w);
    log_abandon(c.w.log);
    ignore(io_unlink(c.w.io, "logs/t-0/checkpoint") < 0, "there may be none");
    io_memory_flip(c.w.mem, SEGMENT, c.pos[2] + 65);
    world_open(&c.w);
    assert_int_equal(log_end_offset(c.w.log), 2);
    assert_int_equal(count_cuts(&c), 4); /* the tail; five batches, four of 2 digits, one */
    assert_records(&c.w, 0, LOG_UP_TO_HW, "0=0 1=1");
    world_append(&c.w, 77, 1, 1000);
    world_sync(&c.w);
    assert_records(&c.w, 0, LOG_UP_TO_HW, "0=0 1=1 2=77");
    world_reopen(&c.w);
    assert_records(&c.w, 0, LOG_UP_TO_HW, "0=0 1=1 2=77");
    assert_int_equal(count_cuts(&c), 4);
    describe_lines_init(&lines, &text);
    struct log_dump dump = {
        .io = c.w.io, .out = &lines.describe, .records = true, .cuts = true, .batches_max = -1};
    assert_true(log_dump("logs/t-0", &dump, &err));
    assert_int_equal(dump.damaged, 1);
    for (int i = 3; i < 3 * BATCHES; i++) { /* all that is good of what was cut */
        char offset[32];
        snprintf(offset, sizeof offset, " base_offset=%d ", i);
        if (strstr(text.ptr, offset) == NULL)
            fail_msg("offset %d is not told:\n%s", i, text.ptr);
    }
    buf_fini(&bytes);
    buf_fini(&text);
    world_fini(&c.w);
}

/* By log.recovery.keep.ms, from the day of the cut; also when that was before the last start. */
static void test_goes_when_old(void **state)
{
    enum { KEEP_MS = 1000 };
    struct cut c;
    cut_init(&c);
    io_memory_flip(c.w.mem, SEGMENT, c.pos[2] + 65);
    c.w.config.cut_keep_ms = KEEP_MS;
    world_open(&c.w);
    assert_true(log_retain(c.w.log, io_now_ms(c.w.io) + KEEP_MS, NULL, NULL));
    assert_int_equal(count_cuts(&c), 1);
    world_reopen(&c.w);
    assert_true(log_retain(c.w.log, io_now_ms(c.w.io) + KEEP_MS + 1, NULL, NULL));
    assert_int_equal(count_cuts(&c), 0);
    log_abandon(c.w.log);
    ignore(io_unlink(c.w.io, "logs/t-0/checkpoint") < 0, "there may be none");
    io_memory_flip(c.w.mem, SEGMENT, c.pos[1] + 65);
    c.w.config.cut_keep_ms = -1; /* for ever */
    world_open(&c.w);
    assert_true(log_retain(c.w.log, INT64_MAX / 2, NULL, NULL));
    assert_int_equal(count_cuts(&c), 1);
    log_abandon(c.w.log);
    ignore(io_unlink(c.w.io, "logs/t-0/checkpoint") < 0, "there may be none");
    io_memory_flip(c.w.mem, SEGMENT, c.pos[0] + 65);
    c.w.config.cut_keep_ms = 0; /* not at all */
    world_open(&c.w);
    assert_int_equal(log_end_offset(c.w.log), 0);
    assert_int_equal(count_cuts(&c), 1);
    world_fini(&c.w);
}

/* What log_redo puts back is not missed: expected by hand from U4 (rescue.c). All batches were durable elsewhere, as they are in
 * the file before it is torn; `redone` of them come back. */
static void test_what_is_back_is_not_kept(void **state)
{
    static const struct {
        const char *what;
        int zeros_from, zeros_to; /* bytes that did not arrive, from where the second batch begins */
        int flip;                 /* a byte behind that place that is another one; -1: none */
        int redone;
        bool garbage; /* behind the last batch */
        int cuts;
    } cases[] = {
        {"the records of a batch did not arrive, others behind it did", 61, 70, -1, BATCHES, false, 0},
        {"nor did the last one's", 61, 10000, -1, BATCHES, false, 0},
        {"a byte is neither zero nor what was there", 61, 70, 62, BATCHES, false, 1},
        {"the last batch was not durable elsewhere", 61, 70, -1, BATCHES - 1, false, 1},
        {"only the torn one was", 61, 70, -1, 2, false, 1},
        {"nothing was", 61, 70, -1, 0, false, 1},
        {"something else lies behind", 61, 70, -1, BATCHES, true, 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct cut c;
        struct buf whole = {0}, torn = {0};
        cut_init(&c);
        read_file(&c.w, SEGMENT, &whole);
        buf_append_str(&torn, buf_str(&whole));
        for (uint64_t at = c.pos[1] + (uint64_t)cases[i].zeros_from;
             at < MIN(c.pos[1] + (uint64_t)cases[i].zeros_to, c.pos[BATCHES]); at++)
            torn.ptr[at] = 0;
        if (cases[i].flip >= 0)
            torn.ptr[c.pos[1] + (uint64_t)cases[i].flip] = 0x55;
        if (cases[i].garbage)
            buf_append_cstr(&torn, "else");
        write_file(&c.w, SEGMENT, buf_str(&torn));
        c.w.config.settle_later = true;
        world_open(&c.w);
        assert_int_equal(log_end_offset(c.w.log), 1);
        assert_int_equal(count_cuts(&c), 1);
        if (cases[i].redone != 0)
            assert_true(log_redo(c.w.log, str_of(whole.ptr, c.pos[cases[i].redone]), NULL));
        assert_int_equal(count_cuts(&c), 1); /* not before they are durable */
        assert_true(log_settle(c.w.log, false, NULL));
        if (count_cuts(&c) != cases[i].cuts)
            fail_msg("%s: %d files are kept", cases[i].what, c.count);
        assert_int_equal(log_end_offset(c.w.log), MAX(cases[i].redone, 1));
        buf_fini(&whole);
        buf_fini(&torn);
        world_fini(&c.w);
    }
}

/* Until they are durable they could be lost again. */
static void test_what_cannot_be_settled_is_kept(void **state)
{
    struct cut c;
    struct buf whole = {0}, torn = {0};
    cut_init(&c);
    read_file(&c.w, SEGMENT, &whole);
    buf_append_str(&torn, buf_str(&whole));
    memset(torn.ptr + c.pos[1] + 61, 0, 9);
    write_file(&c.w, SEGMENT, buf_str(&torn));
    c.w.config.settle_later = true;
    world_open(&c.w);
    assert_true(log_redo(c.w.log, buf_str(&whole), NULL));
    io_faulty_script(c.w.faulty, IO_FAULT_ENOSPC, 1, 1);
    assert_false(log_settle(c.w.log, false, NULL));
    io_faulty_script(c.w.faulty, IO_FAULT_EIO, 1, 0);
    assert_int_equal(count_cuts(&c), 1);
    buf_fini(&whole);
    buf_fini(&torn);
    world_fini(&c.w);
}

/* Whatever operation of the start fails, and whenever it dies: what was damaged is there, in the segment or beside it. */
static void test_faults(void **state)
{
    static const enum io_fault_kind kinds[] = {IO_FAULT_EIO, IO_FAULT_ENOSPC, IO_FAULT_SHORT, IO_FAULT_TORN,
                                               IO_FAULT_DEAD};
    for (size_t kind = 0; kind < COUNT_OF(kinds); kind++) {
        bool struck = true;
        for (uint64_t n = 1; struck; n++) {
            struct cut c;
            struct buf whole = {0}, kept = {0};
            struct err err;
            cut_init(&c);
            read_file(&c.w, SEGMENT, &whole);
            whole.ptr[c.pos[2] + 65] ^= 0x40;
            write_file(&c.w, SEGMENT,
                       buf_str(&whole)); /* damaged on the disk: a power cut does not mend it */
            struct str lost = str_sub(buf_str(&whole), c.pos[2], whole.len);
            io_faulty_script(c.w.faulty, kinds[kind], n, 1);
            c.w.log = log_open("logs/t-0", "t-0", &c.w.config, c.w.io, &err);
            struck = io_faulty_struck(c.w.faulty);
            world_crash(&c.w, n % 2 ? IO_CUT_LOSE : IO_CUT_RANDOM);
            assert_int_equal(log_end_offset(c.w.log), 2);
            assert_true(count_cuts(&c) >= 1);
            read_file(&c.w, c.name, &kept);
            assert_true(str_eq(buf_str(&kept), lost));
            buf_fini(&whole);
            buf_fini(&kept);
            world_fini(&c.w);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_kept),
        cmocka_unit_test(test_segments_behind),
        cmocka_unit_test(test_goes_when_old),
        cmocka_unit_test(test_what_is_back_is_not_kept),
        cmocka_unit_test(test_what_cannot_be_settled_is_kept),
        cmocka_unit_test(test_faults),
    };
    log_level_set(LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
