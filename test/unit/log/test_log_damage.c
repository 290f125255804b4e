/* test_log_damage.c - bits that the disk has flipped: every one of a segment is found at the read, told once with its place, and
 * never given out; the rest of the log goes on. What is checked when, and what a wrong index does.
 */
#include "log_test.h"

#include "metric/metric.h"

#define SEGMENT "logs/t-0/00000000000000000000.log"
#define INDEX   "logs/t-0/00000000000000000000.index"

enum { BATCHES = 5, RECORDS = 3 }; /* of RECORDS records each */

struct damaged {
    struct world w;
    struct metric_registry *metrics;
    uint64_t pos[BATCHES + 1]; /* where the batches begin; the end */
};

/* A log of which everything is on the disk and nothing was read yet. */
static void damaged_init(struct damaged *d, uint32_t interval_bytes)
{
    *d = (struct damaged){.metrics = metric_registry_new()};
    world_init(&d->w, 1);
    d->w.config.index_interval_bytes = interval_bytes;
    d->w.config.retention_ms = -1;
    d->w.config.damaged = metric_counter(d->metrics, "rialto_log_damaged_total", NO_LABELS);
    world_open(&d->w);
    for (int i = 0; i < BATCHES; i++) {
        d->pos[i] = log_size_bytes(d->w.log);
        world_append(&d->w, RECORDS * i, RECORDS, 1000 + i);
    }
    d->pos[BATCHES] = log_size_bytes(d->w.log);
    assert_true(log_checkpoint(d->w.log, NULL));
    world_reopen(&d->w);
}

static void damaged_fini(struct damaged *d)
{
    world_fini(&d->w);
    metric_registry_free(d->metrics);
}

static void flip_bit(struct world *w, const char *path, uint64_t bit)
{
    uint8_t byte;
    int fd = io_open(w->io, path, IO_WRITE);
    assert_true(fd >= 0);
    assert_int_equal(io_pread(w->io, fd, &byte, 1, bit / 8), 1);
    byte ^= (uint8_t)(1u << bit % 8);
    struct iovec part = {&byte, 1};
    assert_int_equal(io_pwritev(w->io, fd, &part, 1, bit / 8), 1);
    io_close(w->io, fd);
}

/* Reads batch `n` by its first offset: the good batches from there on, or 0 with the error's code. */
static int read_batches(struct world *w, int n, enum err_code *code)
{
    struct log_slice slice;
    struct err err = {0};
    struct buf bytes = {0};
    int count = 0;
    *code = ERR_NONE;
    if (!log_read(w->log, RECORDS * n, 1 << 20, LOG_UP_TO_HW, &slice, &err)) {
        *code = err.code;
        assert_non_null(strstr(err.text, "position"));
        assert_null(slice.seg);
        return 0;
    }
    assert_true(log_slice_read(w->log, &slice, &bytes, &err));
    log_slice_release(&slice);
    struct str rest = buf_str(&bytes);
    struct batch batch;
    while (batch_next(&rest, &batch, &err)) {
        assert_true(batch_check_crc(&batch, &err));
        assert_int_equal(batch.base_offset, RECORDS * (n + count));
        count++;
    }
    assert_int_equal(rest.len, 0);
    buf_fini(&bytes);
    return count;
}

/* Reads what lies before the batch, the batch, what lies behind. `reachable`: what is behind the batch can be found. */
static void check_damaged(struct damaged *d, int n, bool reachable)
{
    enum err_code code;
    int64_t counted = metric_value(d->w.config.damaged);
    if (n > 0) {
        assert_int_equal(read_batches(&d->w, 0, &code), n);
        assert_int_equal(code, ERR_NONE);
    }
    for (int again = 0; again < 3; again++) {
        assert_int_equal(read_batches(&d->w, n, &code), 0);
        assert_int_equal(code, ERR_CORRUPT);
    }
    assert_int_equal(metric_value(d->w.config.damaged), counted + 1); /* once */
    if (reachable && n + 1 < BATCHES) {
        assert_int_equal(read_batches(&d->w, n + 1, &code), BATCHES - n - 1);
        assert_int_equal(code, ERR_NONE);
    }
}

/* Every bit of every batch, header and records. Of a log without compaction even what no checksum covers is known. */
static void test_every_bit(void **state)
{
    enum {
        PREFIX_BITS = 17 * 8
    }; /* offset, length, leader epoch, magic: the next batch is found by the index */
    struct damaged d;
    damaged_init(&d, 60); /* an index entry for each batch but the first */
    for (int n = 0; n < BATCHES; n++)
        for (uint64_t bit = d.pos[n] * 8; bit < d.pos[n + 1] * 8; bit++) {
            flip_bit(&d.w, SEGMENT, bit);
            check_damaged(&d, n, true);
            flip_bit(&d.w, SEGMENT, bit);
            world_reopen(&d.w);
        }
    damaged_fini(&d);
}

/* Without an entry behind it, what follows a broken length is not found by its offset: refused, not guessed. */
static void test_no_index(void **state)
{
    struct damaged d;
    enum err_code code;
    damaged_init(&d, 1 << 20);
    flip_bit(&d.w, SEGMENT, (d.pos[1] + 10) * 8); /* the length */
    check_damaged(&d, 1, false);
    for (int n = 2; n < BATCHES; n++) {
        assert_int_equal(read_batches(&d.w, n, &code), 0);
        assert_int_equal(code, ERR_CORRUPT);
    }
    damaged_fini(&d);
}

/* A wrong index entry is not damage of the log: it is found out, and the index is made anew. */
static void test_every_index_bit(void **state)
{
    enum { ENTRY_BYTES = 8 };
    struct damaged d;
    enum err_code code;
    damaged_init(&d, 60);
    for (uint64_t bit = 0; bit < (BATCHES - 1) * ENTRY_BYTES * 8; bit++) {
        flip_bit(&d.w, INDEX, bit);
        for (int n = 0; n < BATCHES; n++) {
            assert_int_equal(read_batches(&d.w, n, &code), BATCHES - n);
            assert_int_equal(code, ERR_NONE);
        }
        flip_bit(&d.w, INDEX, bit);
        log_abandon(d.w.log);
        world_open(&d.w);
    }
    assert_int_equal(metric_value(d.w.config.damaged), 0);
    damaged_fini(&d);
}

/* What was checked, or written here, is not checked at each read; log_retain ends that. */
static void test_checked_once(void **state)
{
    struct damaged d;
    enum err_code code;
    int64_t now_ms;
    damaged_init(&d, 60);
    now_ms = io_now_ms(d.w.io);
    assert_int_equal(read_batches(&d.w, 1, &code), BATCHES - 1); /* not the first batch */
    world_append(&d.w, RECORDS * BATCHES, RECORDS, 1000);
    world_sync(&d.w);
    for (int n = 1; n <= BATCHES; n++) {
        uint64_t pos = n < BATCHES ? d.pos[n] : d.pos[BATCHES];
        struct log_slice slice;
        flip_bit(&d.w, SEGMENT, (pos + 65) * 8);
        assert_true(log_read(d.w.log, RECORDS * n, 1 << 20, LOG_UP_TO_HW, &slice, NULL));
        assert_int_equal(slice.len, log_size_bytes(d.w.log) - pos);
        log_slice_release(&slice);
        flip_bit(&d.w, SEGMENT, (pos + 65) * 8);
    }
    flip_bit(&d.w, SEGMENT, (d.pos[0] + 65) * 8);
    assert_int_equal(read_batches(&d.w, 0, &code), 0); /* it was not read before */
    flip_bit(&d.w, SEGMENT, (d.pos[BATCHES] + 65) * 8);
    assert_true(log_retain(d.w.log, now_ms, NULL, NULL));
    assert_int_equal(read_batches(&d.w, BATCHES, &code), 0);
    assert_int_equal(code, ERR_CORRUPT);
    assert_int_equal(read_batches(&d.w, 1, &code), BATCHES - 1);
    damaged_fini(&d);
}

/* Reads here and there: ranges grow together, and there are never many of them. */
static void test_many_ranges(void **state)
{
    enum { MANY = 400 };
    struct damaged d;
    struct log_slice slice;
    damaged_init(&d, 60);
    for (int i = BATCHES; i < MANY; i++)
        world_append(&d.w, RECORDS * i, RECORDS, 1000);
    assert_true(log_checkpoint(d.w.log, NULL));
    world_reopen(&d.w);
    for (int i = 0; i < MANY; i++) {
        int n = i * 171 % MANY; /* 171 and 400 have no common divisor: each once */
        assert_true(log_read(d.w.log, RECORDS * n, 1, LOG_UP_TO_HW, &slice, NULL));
        assert_int_equal(slice.base_offset, RECORDS * n);
        log_slice_release(&slice);
    }
    for (int n = 0; n < MANY; n++) {
        assert_true(log_read(d.w.log, RECORDS * n, 700, LOG_UP_TO_HW, &slice, NULL));
        assert_int_equal(slice.base_offset, RECORDS * n);
        assert_true(slice.len > 0);
        log_slice_release(&slice);
    }
    assert_int_equal(metric_value(d.w.config.damaged), 0);
    damaged_fini(&d);
}

/* A cold disk that cannot be read is an error of that read, with file and position; the next one tries again. */
static void test_unreadable(void **state)
{
    struct damaged d;
    enum err_code code;
    struct log_slice slice;
    struct err err = {0};
    bool struck = true;
    for (uint64_t n = 1; struck; n++) {
        damaged_init(&d, 60);
        io_faulty_script(d.w.faulty, IO_FAULT_EIO, n, 1);
        if (!log_read(d.w.log, 0, 1 << 20, LOG_UP_TO_HW, &slice, &err))
            assert_int_equal(err.code, ERR_IO);
        log_slice_release(&slice);
        struck = io_faulty_struck(d.w.faulty);
        io_faulty_script(d.w.faulty, IO_FAULT_EIO, 1, 0);
        assert_int_equal(read_batches(&d.w, 0, &code), BATCHES);
        damaged_fini(&d);
    }
}

/* A read that finds everything cold checks so much and gives it; the reader goes on from there. */
static void test_long_slice_ends(void **state)
{
    enum { VALUE_BYTES = 900 << 10, MANY = 12, MOST_BYTES = (4 << 20) + VALUE_BYTES };
    struct world w;
    struct log_slice slice;
    struct log_append_result result;
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    struct str bytes;
    char *value = mem_zalloc(1, VALUE_BYTES);
    int64_t offset = 0;
    int reads = 0;
    world_init(&w, 1);
    world_open(&w);
    for (int i = 0; i < MANY; i++) {
        batch_builder_begin(&w.builder, &spec);
        batch_builder_add(&w.builder, 1000, STR("k"), str_of(value, VALUE_BYTES), NULL, 0);
        assert_true(batch_builder_finish(&w.builder, &bytes, NULL));
        assert_true(log_append(w.log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, NULL));
    }
    assert_true(log_checkpoint(w.log, NULL));
    world_reopen(&w);
    for (; offset < MANY; reads++) {
        assert_true(log_read(w.log, offset, 64 << 20, LOG_UP_TO_HW, &slice, NULL));
        assert_int_equal(slice.base_offset, offset);
        assert_true(slice.len <= MOST_BYTES);
        assert_int_equal(slice.len % bytes.len, 0);
        offset += (int64_t)(slice.len / bytes.len);
        log_slice_release(&slice);
    }
    assert_int_equal(reads, 3); /* 5 batches are more than 4 MiB: 5 + 5 + 2 */
    assert_true(log_read(w.log, 0, 64 << 20, LOG_UP_TO_HW, &slice, NULL));
    assert_int_equal(slice.len, MANY * bytes.len); /* checked by now */
    log_slice_release(&slice);
    free(value);
    world_fini(&w);
}

static bool pace_once(void *arg, uint64_t bytes)
{
    uint64_t *total = arg;
    *total += bytes;
    return false;
}

/* The scrub finds what nobody reads, however it is damaged, and goes on behind it; it tells a place as a read does, once. */
static void test_scrub(void **state)
{
    static const struct {
        int batch;
        uint64_t at;     /* byte of it */
        uint64_t places; /* told */
    } cases[] = {
        {0, 65, 1}, {2, 65, 1}, {4, 65, 1}, /* records */
        {1, 17, 1},                         /* the checksum itself */
        {1, 3, 1},                          /* the base offset, which no checksum covers */
        {1, 9, 1},  {3, 11, 1},             /* the length: the next batch by the index */
        {2, 16, 1},                         /* the magic */
        {2, 12, 1},                         /* the leader epoch */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct damaged d;
        enum err_code code;
        struct log_scrubbed done;
        struct log_scrub_options options = {0};
        damaged_init(&d, 60);
        log_scrub(d.w.log, &options, &done);
        assert_int_equal(done.damaged, 0);
        assert_int_equal(done.bytes, d.pos[BATCHES]);
        flip_bit(&d.w, SEGMENT, (d.pos[cases[i].batch] + cases[i].at) * 8);
        for (int again = 0; again < 2; again++) {
            log_scrub(d.w.log, &options, &done);
            assert_int_equal(done.damaged, cases[i].places);
            assert_int_equal(metric_value(d.w.config.damaged), 1);
        }
        assert_int_equal(read_batches(&d.w, cases[i].batch, &code), 0);
        assert_int_equal(code, ERR_CORRUPT);
        assert_int_equal(metric_value(d.w.config.damaged), 1);
        flip_bit(&d.w, SEGMENT, (d.pos[cases[i].batch] + cases[i].at) * 8);
        log_scrub(d.w.log, &options, &done);
        assert_int_equal(done.damaged, 0);
        damaged_fini(&d);
    }
}

/* Large batches, many segments, a disk that fails at any operation: nothing that is good is called damaged, and pace is kept. */
static void test_scrub_good_log(void **state)
{
    enum { MANY = 60, VALUE_BYTES = 20000 };
    struct damaged d;
    struct log_scrubbed done;
    uint64_t total = 0;
    struct log_scrub_options options = {.pace = pace_once, .arg = &total};
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    char *value = mem_zalloc(1, VALUE_BYTES);
    damaged_init(&d, 60);
    d.w.config.segment_bytes = 500000;
    log_set_config(d.w.log, &d.w.config);
    for (int i = 0; i < MANY; i++) {
        struct log_append_result result;
        struct str bytes;
        batch_builder_begin(&d.w.builder, &spec);
        batch_builder_add(&d.w.builder, 1000, STR("k"), str_of(value, VALUE_BYTES - 37 * (size_t)i), NULL, 0);
        assert_true(batch_builder_finish(&d.w.builder, &bytes, NULL));
        assert_true(log_append(d.w.log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, NULL));
    }
    world_sync(&d.w);
    log_scrub(d.w.log, &options, &done);
    assert_true(done.stopped);
    assert_true(total >= 200000 && total < 400000);
    assert_int_equal(done.bytes, total);
    options.pace = NULL;
    bool struck = true;
    for (uint64_t n = 1; struck; n++) {
        io_faulty_script(d.w.faulty, IO_FAULT_SHORT, n, 1);
        log_scrub(d.w.log, &options, &done);
        struck = io_faulty_struck(d.w.faulty);
        assert_int_equal(done.damaged, 0);
        assert_int_equal(done.bytes, log_size_bytes(d.w.log));
    }
    io_faulty_script(d.w.faulty, IO_FAULT_EIO, 1, UINT64_MAX / 2);
    log_scrub(d.w.log, &options, &done);
    assert_true(done.damaged >= 3); /* each segment says that it cannot be read */
    io_faulty_script(d.w.faulty, IO_FAULT_EIO, 1, 0);
    free(value);
    damaged_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_bit),       cmocka_unit_test(test_no_index),
        cmocka_unit_test(test_every_index_bit), cmocka_unit_test(test_checked_once),
        cmocka_unit_test(test_many_ranges),     cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_long_slice_ends), cmocka_unit_test(test_scrub),
        cmocka_unit_test(test_scrub_good_log),
    };
    log_level_set(LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
