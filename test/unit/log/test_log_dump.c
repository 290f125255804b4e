/* test_log_dump.c - what is printed of a partition's files, damaged ones too. */
#include "log_test.h"

static void test_dump(void **state)
{
    struct world w;
    struct buf text = {0};
    struct err err;
    world_init(&w, 1);
    w.config.index_interval_bytes = 100;
    world_open(&w);
    struct batch_spec spec = {.pid = 9, .epoch = 1, .base_seq = 0};
    struct log_append_result result;
    assert_true(world_append_spec(&w, &spec, 1, 2, 1000, &result, &err));
    world_append(&w, 3, 1, 1000);
    world_append(&w, 4, 1, 1000);
    assert_true(log_checkpoint(w.log, NULL));
    struct describe_lines lines;
    describe_lines_init(&lines, &text);
    struct log_dump dump = {
        .io = w.io, .out = &lines.describe, .records = true, .indexes = true, .batches_max = -1};
    if (!log_dump("logs/t-0", &dump, &err))
        fail_msg("%s", err.text);
    static const char *const expect[] = {
        "            file path=logs/t-0/00000000000000000000.log\n@0x00000000 batch base_offset=0 "
        "last_offset=1 "
        "records=2 bytes=79 codec=none crc=",
        "\n@0x00000046   record offset=1 timestamp_ms=1001 key_bytes=1 value_bytes=1 key=k value=2\n",
        "@0x00000000 entry offset=3 position=149 check=ok\n",
        "@0x00000000 entry timestamp_ms=1001 offset=1 check=ok\n",
        "log_start_offset=0 cleaned_offset=0 end_offset=4 segment=0 position=219 ",
        "  producer producer_id=9 producer_epoch=1 coordinator_epoch=-1 ",
        "    batch base_sequence=0 last_sequence=1 base_offset=0 last_offset=1 ",
    };
    for (size_t i = 0; i < COUNT_OF(expect); i++)
        if (strstr(text.ptr, expect[i]) == NULL)
            fail_msg("missing \"%s\" in:\n%s", expect[i], text.ptr);
    assert_int_equal(dump.damaged, 0);
    buf_clear(&text);
    dump.from_offset = 3;
    dump.batches_max = 1;
    assert_true(log_dump("logs/t-0/00000000000000000000.log", &dump, &err));
    assert_ptr_equal(strstr(text.ptr, "@0x00000095 batch base_offset=3"), text.ptr);
    buf_fini(&text);
    world_fini(&w);
}

/* 79, 70 and 70 bytes: a batch of two records and two of one. */
static void test_dump_steps_over_damage(void **state)
{
    static const struct {
        size_t flip;
        const char *expect;
    } cases[] = {
        /* inside the records of the first: told with its check, then the next one */
        {70, "@0x00000000 batch base_offset=0 last_offset=1 records=2 bytes=79 codec=none crc="},
        /* the magic number of the second, so that nothing of it is known */
        {79 + 16, "@0x0000004f damaged bytes=70 why="},
        /* the length of the first: where it ends is not known */
        {11, "@0x00000000 damaged bytes=79 why="},
        {149 + 16, "@0x00000095 damaged bytes=70 why="},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct world w;
        struct buf text = {0};
        struct err err;
        struct describe_lines lines;
        world_init(&w, 1);
        world_open(&w);
        world_append(&w, 0, 2, 1000);
        world_append(&w, 2, 1, 1000);
        world_append(&w, 3, 1, 1000);
        world_sync(&w);
        io_memory_flip(w.mem, "logs/t-0/00000000000000000000.log", cases[i].flip);
        describe_lines_init(&lines, &text);
        struct log_dump dump = {.io = w.io, .out = &lines.describe, .batches_max = -1};
        assert_true(log_dump("logs/t-0/00000000000000000000.log", &dump, &err));
        if (strstr(text.ptr, cases[i].expect) == NULL || dump.damaged != 1)
            fail_msg("%zu: %llu damaged, missing \"%s\" in:\n%s", i, (unsigned long long)dump.damaged,
                     cases[i].expect, text.ptr);
        bool last_one = i + 1 == COUNT_OF(cases); /* the others are there with addresses and a good check */
        assert_non_null(strstr(text.ptr, last_one ? "@0x0000004f batch base_offset=2 last_offset=2 "
                                                  : "@0x00000095 batch base_offset=3 last_offset=3 "));
        assert_false(log_dump("logs/t-0/other", &dump, &err));
        buf_fini(&text);
        world_fini(&w);
    }
}

/* Index entries that point elsewhere, do not grow, or are cut. */
static void test_dump_checks_indexes(void **state)
{
    struct world w;
    struct buf text = {0};
    struct err err;
    struct describe_lines lines;
    world_init(&w, 1);
    w.config.index_interval_bytes = 60;
    world_open(&w);
    for (int i = 0; i < 4; i++)
        world_append(&w, i, 1, 1000 + i);
    assert_true(log_checkpoint(w.log, NULL));
    io_memory_flip(w.mem, "logs/t-0/00000000000000000000.index", 7); /* position 70: another one */
    describe_lines_init(&lines, &text);
    struct log_dump dump = {.io = w.io, .out = &lines.describe, .batches_max = -1};
    assert_true(log_dump("logs/t-0/00000000000000000000.index", &dump, &err));
    assert_int_equal(dump.damaged, 1);
    assert_non_null(strstr(text.ptr, "@0x00000008 entry offset=2 position=140 check=ok\n"));
    io_memory_flip(w.mem, "logs/t-0/checkpoint", 30);
    buf_clear(&text);
    assert_true(log_dump("logs/t-0/checkpoint", &dump, &err));
    assert_non_null(strstr(text.ptr, " check=\"checksum of the checkpoint does not fit\" "));
    buf_fini(&text);
    world_fini(&w);
}

/* A segment that compaction was writing, and one that retention has set aside. */
static void test_dump_files_on_their_way(void **state)
{
    static const char *const names[] = {"logs/t-0/00000000000000000000.cleaned",
                                        "logs/t-0/00000000000000000000.log.deleted"};
    struct world w;
    struct buf text = {0};
    struct err err;
    struct describe_lines lines;
    world_init(&w, 1);
    world_open(&w);
    world_append(&w, 0, 1, 1000);
    world_sync(&w);
    describe_lines_init(&lines, &text);
    struct log_dump dump = {.io = w.io, .out = &lines.describe, .batches_max = -1};
    const char *name = "logs/t-0/00000000000000000000.log";
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_int_equal(io_rename(w.io, name, names[i]), 0);
        name = names[i];
        buf_clear(&text);
        assert_true(log_dump(name, &dump, &err));
        assert_ptr_equal(strstr(text.ptr, "@0x00000000 batch base_offset=0 last_offset=0 "), text.ptr);
    }
    assert_false(log_dump("logs/t-0/00000000000000000000.new", &dump, &err));
    assert_int_equal(dump.damaged, 0);
    buf_fini(&text);
    world_fini(&w);
}

int main(void)
{
    log_level_set(LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dump),
        cmocka_unit_test(test_dump_steps_over_damage),
        cmocka_unit_test(test_dump_checks_indexes),
        cmocka_unit_test(test_dump_files_on_their_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
