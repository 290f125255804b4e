/* wal: entries come back after crashes, in order, and only those; files are used again when they may be, and not before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "io/io.h"
#include "wal/wal.h"

enum { BLOCK = 4096, FILE_BYTES = 4 * BLOCK };

struct world {
    struct io_memory *mem;
    struct io_faulty *faulty;
    struct io *io;
    struct wal *wal;
    struct wal_config config;
    /* What a visit has told: "1:0-3=text " for each entry. */
    struct buf told;
    int32_t refused;    /* the partition whose entries are not settled */
    uint32_t forgotten; /* the partition whose entries the replay does not need; UINT32_MAX: none */
};

static bool tell(void *arg, const struct wal_entry *entry)
{
    struct world *w = arg;
    buf_printf(&w->told, "%d:%lld-%lld=%.*s ", entry->key.partition, (long long)entry->base_offset,
               (long long)entry->end_offset, (int)MIN(entry->bytes.len, 8), entry->bytes.ptr);
    return (uint32_t)entry->key.partition != w->forgotten;
}

static bool settle(void *arg, const struct wal_key *key, int64_t end_offset)
{
    struct world *w = arg;
    buf_printf(&w->told, "%d<%lld ", key->partition, (long long)end_offset);
    return key->partition != w->refused;
}

static void expect_told(struct world *w, const char *text)
{
    assert_string_equal(buf_str(&w->told).ptr, text);
    buf_clear(&w->told);
}

static void open_wal(struct world *w)
{
    struct err err = {0};
    w->wal = wal_open(&w->config, w->io, &err);
    if (w->wal == NULL)
        fail_msg("wal_open: %s", err.text);
}

static void replay(struct world *w)
{
    struct err err = {0};
    buf_clear(&w->told);
    if (!wal_replay(w->wal, tell, w, &err))
        fail_msg("wal_replay: %s", err.text);
}

static uint64_t seed = 1; /* of what a power cut leaves */

static int setup(void **state)
{
    struct world *w = mem_new(struct world);
    w->mem = io_memory_new(seed);
    w->faulty = io_faulty_new(io_memory_io(w->mem));
    w->io = io_faulty_io(w->faulty);
    w->config = (struct wal_config){.dir = "d/wal", .file_bytes = FILE_BYTES, .file_max = 3};
    w->refused = -1;
    w->forgotten = UINT32_MAX;
    buf_append_cstr(&w->told, "");
    open_wal(w);
    replay(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    wal_close(w->wal);
    buf_fini(&w->told);
    io_faulty_free(w->faulty);
    io_memory_free(w->mem);
    free(w);
    return 0;
}

/* Nobody closes what a crash has ended; it is kept from the leak checker's sight. */
static vec(struct wal *) dead;

/* The power goes; what was not synced is lost, or there in part. */
static void crash(struct world *w, enum io_cut cut)
{
    vec_push(&dead, w->wal);
    w->wal = NULL;
    io_memory_cut(w->mem, cut);
    io_faulty_script(w->faulty, IO_FAULT_EIO, 1, 0);
}

static void crash_and_open(struct world *w, enum io_cut cut)
{
    crash(w, cut);
    open_wal(w);
    replay(w);
}

static bool add(struct world *w, int32_t partition, int64_t base, int64_t end, struct str bytes)
{
    struct wal_entry entry = {.key = {.topic = "0123456789abcde", .partition = partition},
                              .base_offset = base,
                              .end_offset = end,
                              .bytes = bytes};
    char *room = wal_add(w->wal, &entry);
    if (room != NULL)
        memcpy(room, bytes.ptr, bytes.len);
    return room != NULL;
}

/* The first entry finds no file, and asks for one. */
static void make_first(struct world *w)
{
    struct err err = {0};
    assert_false(add(w, 1, 0, 1, STR("x")));
    assert_true(wal_has_work(w->wal));
    if (!wal_make_spare(w->wal, &err))
        fail_msg("wal_make_spare: %s", err.text);
}

static void commit(struct world *w)
{
    struct err err = {0};
    if (!wal_commit(w->wal, &err))
        fail_msg("wal_commit: %s", err.text);
}

static void test_no_file_before_the_first_entry(void **state)
{
    struct world *w = *state;
    struct io_stat st;
    assert_true(wal_make_spare(w->wal, NULL));
    wal_reclaim(w->wal, settle, w);
    assert_int_equal(wal_stats(w->wal).files, 0);
    assert_int_equal(io_stat(w->io, "d/wal", &st), -ENOENT);
    make_first(w);
    assert_int_equal(wal_stats(w->wal).files, 1);
    assert_int_equal(io_stat(w->io, "d/wal/00000000000000000001.wal", &st), 0);
    assert_int_equal(st.size, FILE_BYTES);
}

static void test_entries_come_back_in_order(void **state)
{
    struct world *w = *state;
    make_first(w);
    assert_true(add(w, 1, 0, 3, STR("one")));
    assert_true(add(w, 2, 10, 11, STR("two")));
    commit(w);
    assert_true(add(w, 1, 3, 4, STR("three")));
    commit(w);
    assert_true(add(w, 1, 4, 5, STR("lost"))); /* not committed */
    crash_and_open(w, IO_CUT_LOSE);
    expect_told(w, "1:0-3=one 2:10-11=two 1:3-4=three ");
    crash_and_open(w, IO_CUT_LOSE); /* replaying changes nothing */
    expect_told(w, "1:0-3=one 2:10-11=two 1:3-4=three ");
}

static void test_an_entry_is_taken_back(void **state)
{
    struct world *w = *state;
    make_first(w);
    assert_true(add(w, 1, 0, 3, STR("one")));
    assert_true(add(w, 2, 0, 3, STR("two")));
    wal_take_back(w->wal);
    assert_true(add(w, 3, 0, 3, STR("three")));
    commit(w);
    crash_and_open(w, IO_CUT_LOSE);
    expect_told(w, "1:0-3=one 3:0-3=three ");
}

/* A frame is there whole or not at all, and those before it are. */
static void test_a_torn_frame_does_not_count(void **state)
{
    int whole = 0, none = 0;
    char big[3000];
    memset(big, 'b', sizeof big);
    for (seed = 1; seed <= 300; seed++) {
        teardown(state);
        setup(state);
        struct world *w = *state;
        make_first(w);
        assert_true(add(w, 1, 0, 1, STR("safe")));
        commit(w);
        assert_true(add(w, 1, 1, 2, str_of(big, sizeof big)));
        io_faulty_script(w->faulty, IO_FAULT_DEAD, 2, 1); /* written, not synced */
        assert_false(wal_commit(w->wal, NULL));
        crash_and_open(w, IO_CUT_RANDOM);
        bool both = strcmp(w->told.ptr, "1:0-1=safe 1:1-2=bbbbbbbb ") == 0;
        assert_true(both || strcmp(w->told.ptr, "1:0-1=safe ") == 0);
        whole += both;
        none += !both;
    }
    assert_true(whole > 0 && none > 0);
}

static void fill_file(struct world *w, int32_t partition, int64_t base)
{
    char big[2 * BLOCK];
    memset(big, 'f', sizeof big);
    assert_true(
        add(w, partition, base, base + 1, str_of(big, sizeof big))); /* three blocks with its headers */
    commit(w);
}

static void test_a_file_is_used_again(void **state)
{
    struct world *w = *state;
    make_first(w);
    fill_file(w, 1, 0);
    assert_false(
        add(w, 2, 0, 1, str_of((char[2 *BLOCK]){0}, 2 * BLOCK))); /* full, and no other file is there */
    wal_reclaim(w->wal, settle, w);
    expect_told(w, "1<1 ");
    assert_int_equal(wal_stats(w->wal).files, 1);
    assert_true(add(w, 2, 5, 6, STR("new")));
    commit(w);
    crash_and_open(w, IO_CUT_LOSE); /* what its first use has left behind the new frame is not told */
    expect_told(w, "2:5-6=new ");
}

static void test_what_is_not_settled_stays(void **state)
{
    struct world *w = *state;
    make_first(w);
    fill_file(w, 1, 0);
    assert_true(wal_make_spare(w->wal, NULL));
    fill_file(w, 2, 0);
    assert_true(wal_make_spare(w->wal, NULL));
    fill_file(w, 1, 1);
    assert_int_equal(wal_stats(w->wal).files, 3);
    assert_true(wal_make_spare(w->wal, NULL)); /* three are allowed */
    assert_int_equal(wal_stats(w->wal).files, 3);
    wal_seal(w->wal);
    w->refused = 1;
    wal_reclaim(w->wal, settle, w);
    expect_told(w, "1<1 2<1 1<2 ");
    fill_file(w, 3, 7); /* into the one that only had what is settled */
    crash_and_open(w, IO_CUT_LOSE);
    expect_told(w, "1:0-1=ffffffff 1:1-2=ffffffff 3:7-8=ffffffff ");
    struct wal_key key = {.topic = "0123456789abcde", .partition = 1};
    assert_true(wal_each(w->wal, &key, tell, w, NULL));
    expect_told(w, "1:0-1=ffffffff 1:1-2=ffffffff ");
    w->refused = -1;
    wal_reclaim(w->wal, settle, w);
    expect_told(w, "1<1 1<2 3<8 ");
    assert_int_equal(wal_stats(w->wal).files, 2); /* two are kept for later use */
}

/* Entries of what is gone hold no file. */
static void test_what_the_replay_does_not_need_is_forgotten(void **state)
{
    struct world *w = *state;
    make_first(w);
    assert_true(add(w, 1, 0, 1, STR("a")));
    assert_true(add(w, 2, 0, 1, STR("b")));
    commit(w);
    w->forgotten = 1;
    crash_and_open(w, IO_CUT_LOSE);
    expect_told(w, "1:0-1=a 2:0-1=b ");
    wal_reclaim(w->wal, settle, w);
    expect_told(w, "2<1 ");
}

/* A start that ends before the replay loses nothing. */
static void test_what_was_not_replayed_is_kept(void **state)
{
    struct world *w = *state;
    make_first(w);
    assert_true(add(w, 1, 0, 1, STR("a")));
    commit(w);
    crash(w, IO_CUT_LOSE);
    open_wal(w);
    wal_reclaim(w->wal, settle, w);
    wal_seal(w->wal);
    wal_close(w->wal);
    open_wal(w);
    replay(w);
    expect_told(w, "1:0-1=a ");
}

static void test_a_clean_end_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct io_stat st;
    make_first(w);
    assert_true(add(w, 1, 0, 1, STR("a")));
    commit(w);
    wal_seal(w->wal);
    wal_reclaim(w->wal, settle, w);
    wal_close(w->wal);
    assert_int_equal(io_stat(w->io, "d/wal", &st), -ENOENT);
    open_wal(w);
    replay(w);
    expect_told(w, "");
}

static void test_after_a_failed_write_it_is_off(void **state)
{
    for (uint64_t at = 1; at <= 2; at++) { /* the write, the sync */
        struct world *w = *state;
        struct err err = {0};
        make_first(w);
        assert_true(add(w, 1, 0, 1, STR("safe")));
        commit(w);
        assert_true(add(w, 1, 1, 2, STR("failed")));
        io_faulty_script(w->faulty, IO_FAULT_EIO, at, 1);
        assert_false(wal_commit(w->wal, &err));
        assert_int_equal(err.code, ERR_IO);
        assert_false(add(w, 1, 1, 2, STR("again")));
        crash_and_open(w, IO_CUT_LOSE);
        expect_told(w, "1:0-1=safe ");
        teardown(state);
        setup(state);
    }
}

static void test_damage_is_stepped_over(void **state)
{
    struct world *w = *state;
    make_first(w);
    for (int i = 0; i < 3; i++) { /* at blocks 1, 2 and 3 */
        assert_true(add(w, 1, i, i + 1, STR("entry")));
        commit(w);
    }
    io_memory_flip(w->mem, "d/wal/00000000000000000001.wal", 2 * BLOCK + 40);
    crash_and_open(w, IO_CUT_KEEP);
    expect_told(w, "1:0-1=entry 1:2-3=entry ");
    io_memory_flip(w->mem, "d/wal/00000000000000000001.wal",
                   3); /* the header as well: the frames say whose they are */
    crash_and_open(w, IO_CUT_KEEP);
    expect_told(w, "1:0-1=entry 1:2-3=entry ");
}

static void test_an_unreadable_file_ends_the_start(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    make_first(w);
    assert_true(add(w, 1, 0, 1, STR("a")));
    commit(w);
    crash(w, IO_CUT_LOSE);
    for (uint64_t at = 1; at <= 4; at++) { /* list, open, fstat, read */
        io_faulty_script(w->faulty, IO_FAULT_EIO, at, 1);
        assert_null(wal_open(&w->config, w->io, &err));
        assert_int_equal(err.code, ERR_IO);
        assert_true(io_faulty_struck(w->faulty));
    }
    io_faulty_script(w->faulty, IO_FAULT_EIO, 1, 0);
    open_wal(w);
    io_faulty_script(w->faulty, IO_FAULT_EIO, 1, 1);
    assert_false(wal_replay(w->wal, tell, w, &err));
    wal_close(w->wal);
    io_faulty_script(w->faulty, IO_FAULT_EIO, 1, 0);
    open_wal(w);
    replay(w);
    expect_told(w, "1:0-1=a ");
}

static void write_file(struct world *w, const char *path, const char *bytes, size_t size)
{
    struct iovec part = {(void *)bytes, size};
    assert_true(io_make_dirs(w->io, "d/wal", NULL));
    int fd = io_open(w->io, path, IO_WRITE | IO_CREATE | IO_TRUNCATE);
    assert_true(fd >= 0 && io_write_all(w->io, fd, &part, 1, 0, path, NULL));
    io_close(w->io, fd);
}

/* A file made by hand from doc/disk.md. */
static void test_the_format(void **state)
{
    struct world *w = *state;
    static char file[3 * BLOCK];
    char *frame = file + BLOCK, *entry = frame + 32;
    memcpy(file, "rialtoWL", 8);
    store_be32(file + 8, 1);
    store_be64(file + 12, 9);
    store_be32(file + 20, hash_crc32c(0, file, 20));
    memcpy(frame, "rlwf", 4);
    store_be32(frame + 8, 32 + 40 + 5);
    store_be32(frame + 12, 1);
    store_be64(frame + 16, 9);
    store_be64(frame + 24, 0);
    memcpy(entry, "0123456789abcdef", 16);
    store_be32(entry + 16, 4);
    store_be32(entry + 20, 5);
    store_be64(entry + 24, 100);
    store_be64(entry + 32, 103);
    memcpy(entry + 40, "hello", 5);
    store_be32(frame + 4, hash_crc32c(0, frame + 8, 32 + 40 + 5 - 8));
    write_file(w, "d/wal/00000000000000000003.wal", file, sizeof file);
    wal_close(w->wal);
    open_wal(w);
    replay(w);
    expect_told(w, "4:100-103=hello ");

    struct err err = {0};
    wal_close(w->wal);
    store_be32(file + 8, 2);
    store_be32(file + 20, hash_crc32c(0, file, 20));
    write_file(w, "d/wal/00000000000000000003.wal", file, sizeof file);
    assert_null(wal_open(&w->config, w->io, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    store_be32(file + 8, 1);
    store_be32(file + 20, hash_crc32c(0, file, 20));
    store_be32(entry + 20, 6); /* more than the frame has: the checksum is right, the entry is not */
    store_be32(frame + 4, hash_crc32c(0, frame + 8, 32 + 40 + 5 - 8));
    write_file(w, "d/wal/00000000000000000003.wal", file, sizeof file);
    open_wal(w);
    replay(w);
    expect_told(w, "");
}

static void test_limits(void **state)
{
    struct world *w = *state;
    static char big[FILE_BYTES];
    make_first(w);
    assert_false(
        add(w, 1, 0, 1, str_of(big, FILE_BYTES - BLOCK - 71))); /* with 72 bytes of headers one too many */
    assert_true(add(w, 1, 0, 1, str_of(big, FILE_BYTES - BLOCK - 72)));
    commit(w);
    w->config.file_max = 0; /* switched off: what is there is replayed, and then goes */
    crash_and_open(w, IO_CUT_LOSE);
    assert_int_equal(w->told.len, strlen("1:0-1= "));
    buf_clear(&w->told);
    assert_false(add(w, 1, 1, 2, STR("x")));
    assert_true(wal_make_spare(w->wal, NULL));
    wal_reclaim(w->wal, settle, w);
    assert_int_equal(wal_stats(w->wal).files, 0);
    buf_clear(&w->told);
}

/* Whatever operation fails while a file is made, another try makes it. */
static void test_a_file_that_cannot_be_made(void **state)
{
    struct world *w = *state;
    assert_false(add(w, 1, 0, 1, STR("x")));
    for (uint64_t at = 1;; at++) {
        io_faulty_script(w->faulty, IO_FAULT_ENOSPC, at, 1);
        bool good = wal_make_spare(w->wal, NULL);
        if (!io_faulty_struck(w->faulty)) {
            assert_true(good && at > 3);
            break;
        }
        if (good) { /* nothing that matters failed: next time again from the beginning */
            teardown(state);
            setup(state);
            w = *state;
            assert_false(add(w, 1, 0, 1, STR("x")));
        }
    }
    io_faulty_script(w->faulty, IO_FAULT_EIO, 1, 0);
    assert_true(add(w, 1, 0, 1, STR("x")));
    commit(w);
}

static uint64_t room;

static int room_is(struct io *io, const char *path, struct io_space *out)
{
    *out = (struct io_space){.total_bytes = 1 << 30, .usable_bytes = room};
    return 0;
}

/* It leaves room for the records. */
static void test_a_file_is_made_where_there_is_much_room(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    const struct io_ops *below = w->io->ops;
    struct io_ops ops = *below;
    ops.space = room_is;
    w->io->ops = &ops;
    assert_false(add(w, 1, 0, 1, STR("x")));
    room = 4 * FILE_BYTES - 1;
    assert_false(wal_make_spare(w->wal, &err));
    assert_int_equal(err.code, ERR_DISK_FULL);
    assert_int_equal(wal_stats(w->wal).files, 0);
    room++;
    assert_true(wal_make_spare(w->wal, &err));
    assert_true(add(w, 1, 0, 1, STR("x")));
    commit(w);
    w->io->ops = below;
}

/* Asks as a round of storage does. */
static bool asks_for_upkeep(struct world *w)
{
    assert_false(add(w, 9, 0, 1, STR("x")));
    return wal_has_work(w->wal);
}

/* Upkeep found no file to go on with: it is left alone for ten seconds. */
static void expect_pause(struct world *w)
{
    assert_false(asks_for_upkeep(w));
    io_memory_advance_ms(w->mem, 9999);
    assert_false(asks_for_upkeep(w));
    io_memory_advance_ms(w->mem, 1);
    assert_true(asks_for_upkeep(w));
}

static void test_upkeep_that_can_do_nothing_pauses(void **state)
{
    struct world *w = *state;
    const struct io_ops *below = w->io->ops;
    struct io_ops ops = *below;
    ops.space = room_is;
    w->io->ops = &ops;
    room = 0;
    assert_true(asks_for_upkeep(w));
    assert_true(asks_for_upkeep(w)); /* upkeep may be at work already, but nobody knows how it ends */
    assert_false(wal_make_spare(w->wal, NULL));
    assert_true(asks_for_upkeep(w)); /* reclaiming may bring a file yet */
    wal_reclaim(w->wal, settle, w);
    expect_pause(w);
    room = 4 * FILE_BYTES;
    assert_true(wal_make_spare(w->wal, NULL));
    wal_reclaim(w->wal, settle, w);
    room = 0;
    fill_file(w, 1, 0);
    assert_false(wal_make_spare(w->wal, NULL)); /* the current one is in use */
    wal_reclaim(w->wal, settle, w);
    assert_true(asks_for_upkeep(w)); /* now it is full, which is something to do at once */
    assert_false(wal_make_spare(w->wal, NULL));
    wal_reclaim(w->wal, settle, w); /* so there is a file again */
    fill_file(w, 1, 1);
    assert_true(asks_for_upkeep(w));
    w->refused = 1;
    assert_false(wal_make_spare(w->wal, NULL));
    wal_reclaim(w->wal, settle, w);
    expect_pause(w);
    w->refused = -1;
    assert_false(wal_make_spare(w->wal, NULL));
    wal_reclaim(w->wal, settle, w);
    assert_true(add(w, 1, 2, 3, STR("x")));
    commit(w);
    w->io->ops = below;
}

/* As many files as are allowed are there, and none can be settled: no room is missing, and nothing can be done all the same. */
static void test_upkeep_pauses_when_nothing_is_settled(void **state)
{
    struct world *w = *state;
    w->refused = 1;
    assert_true(asks_for_upkeep(w));
    for (int i = 0; i < 3; i++) {
        assert_true(wal_make_spare(w->wal, NULL));
        wal_reclaim(w->wal, settle, w);
        fill_file(w, 1, i);
        assert_true(asks_for_upkeep(w));
    }
    assert_true(wal_make_spare(w->wal, NULL));
    wal_reclaim(w->wal, settle, w);
    expect_pause(w);
}

static void test_who_wants_no_file_asks_for_none(void **state)
{
    struct world *w = *state;
    wal_close(w->wal);
    w->config.file_max = 0;
    open_wal(w);
    replay(w);
    assert_true(wal_make_spare(w->wal, NULL)); /* once: what earlier lives have left is looked after */
    wal_reclaim(w->wal, settle, w);
    assert_false(asks_for_upkeep(w));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_no_file_before_the_first_entry),
        T(test_entries_come_back_in_order),
        T(test_an_entry_is_taken_back),
        T(test_a_torn_frame_does_not_count),
        T(test_a_file_is_used_again),
        T(test_what_is_not_settled_stays),
        T(test_what_the_replay_does_not_need_is_forgotten),
        T(test_what_was_not_replayed_is_kept),
        T(test_a_clean_end_leaves_nothing),
        T(test_after_a_failed_write_it_is_off),
        T(test_damage_is_stepped_over),
        T(test_an_unreadable_file_ends_the_start),
        T(test_the_format),
        T(test_limits),
        T(test_a_file_that_cannot_be_made),
        T(test_a_file_is_made_where_there_is_much_room),
        T(test_upkeep_that_can_do_nothing_pauses),
        T(test_upkeep_pauses_when_nothing_is_settled),
        T(test_who_wants_no_file_asks_for_none),
    };
    log_level_set(LOG_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
