/* The journal: at every point where the process may die, a restart has all decided epochs and nothing of others.
 *
 * A child process works through epochs with a file system that dies at its N-th operation; then it is gone, with what
 * RocksDB had in memory. The parent opens what is left. N grows until the child gets through.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "state/state.h"

enum { EPOCHS = 24, KEYS = 5, ABORT_EVERY = 7 };

/* What the log of transactions would know; shared with the child. */
struct decisions {
    int64_t committed; /* the last epoch that was decided */
    int64_t last_pid;
    bool last_committed;
};

static bool txn_committed(void *arg, int64_t pid, int16_t epoch)
{
    struct decisions *decisions = arg;
    /* A transaction that is not the last one was decided, and would have been cut had it been aborted. */
    return pid != decisions->last_pid || decisions->last_committed;
}

static struct state *open_at(const char *dir, struct io *io, struct decisions *decisions)
{
    struct state *state = NULL;
    struct err err;
    struct state_options options = {.dir = str_from(dir),
                                    .io = io,
                                    .journal_bytes_max = 900,
                                    .txn_committed = txn_committed,
                                    .arg = decisions};
    if (!state_open(&state, &options, &err))
        return NULL;
    return state;
}

static const struct sql_type *const cells[] = {&type_bigint};

static struct store *open_rows(struct state *state)
{
    struct store_options options = {.kind = STORE_KEY_VALUE, .types = cells, .cell_count = 1};
    return store_open(state, STR("rows"), &options, NULL);
}

static struct str key_of(int64_t epoch, char out[8])
{
    out[0] = (char)('a' + epoch % KEYS);
    return str_of(out, 1);
}

static bool is_aborted(int64_t epoch)
{
    return epoch % ABORT_EVERY == 0;
}

/* One epoch: false when a disk operation failed. */
static bool run_epoch(struct state *state, struct store *store, struct decisions *decisions, int64_t epoch)
{
    char key[8];
    struct store_entry *entry = store_at(store, key_of(epoch, key), 0, 0, NULL);
    if (entry == NULL)
        return false;
    if (epoch % 11 == 0) {
        store_delete(store, entry);
    } else {
        entry->cells[0] = value_bigint(epoch);
        store_changed(store, entry);
    }
    struct state_batch *batch = state_batch_new();
    store_hand_over(store, batch);
    state_batch_number(batch, STR("epoch"), epoch);
    decisions->last_pid = epoch;
    decisions->last_committed = false;
    bool ok = state_prepare(state, epoch, 0, &batch, 1, NULL);
    state_batch_free(batch);
    if (!ok)
        return false;
    if (is_aborted(epoch))
        return state_cancel(state, NULL);
    decisions->last_committed = true;
    decisions->committed = epoch;
    return state_apply(state, NULL);
}

/* Runs in the child; 0: all epochs done, 1: the fault struck. */
static int child(const char *dir, struct decisions *decisions, uint64_t fault_at)
{
    struct io_faulty *faulty = io_faulty_new(io_real());
    io_faulty_script(faulty, fault_at % 2 ? IO_FAULT_DEAD : IO_FAULT_TORN, fault_at, UINT32_MAX);
    struct state *state = open_at(dir, io_faulty_io(faulty), decisions);
    if (state == NULL)
        return 1;
    struct store *store = open_rows(state);
    for (int64_t epoch = 1; epoch <= EPOCHS; epoch++) {
        if (!run_epoch(state, store, decisions, epoch))
            return 1;
        if (is_aborted(epoch)) {
            store_close(store);
            store = open_rows(state);
        }
    }
    return 0;
}

/* Opens what is left and compares it with the decided epochs. */
static int look(const char *dir, struct decisions *decisions)
{
    int64_t want[KEYS], epoch = 0;
    for (int i = 0; i < KEYS; i++)
        want[i] = -1;
    for (int64_t e = 1; e <= decisions->committed; e++)
        if (!is_aborted(e))
            want[e % KEYS] = e % 11 == 0 ? -1 : e;
    struct state *state = open_at(dir, io_real(), decisions);
    if (state == NULL)
        return 10;
    struct store *store = open_rows(state);
    for (int i = 0; i < KEYS; i++) {
        char key[8];
        bool failed;
        struct store_entry *entry = store_find(store, key_of(i, key), 0, 0, &failed, NULL);
        if (failed || (entry != NULL ? entry->cells[0].l : -1) != want[i])
            return 11 + i;
    }
    if (state_number(state, STR("epoch"), &epoch) != (decisions->committed != 0) ||
        epoch != decisions->committed)
        return 20;
    store_close(store);
    state_close(state);
    return 0;
}

/* RocksDB has threads, which a fork does not take along: whoever opens a state does so in a process of its own. */
static int in_process(int (*fn)(const char *, struct decisions *, uint64_t), const char *dir,
                      struct decisions *decisions, uint64_t fault_at)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(fn(dir, decisions, fault_at));
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int check(const char *dir, struct decisions *decisions, uint64_t unused)
{
    return look(dir, decisions);
}

static void every_crash_point_keeps_what_was_decided(void **unused)
{
    struct decisions *decisions =
        mmap(NULL, sizeof *decisions, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(decisions != MAP_FAILED);
    bool through = false;
    for (uint64_t fault_at = 1; !through; fault_at++) {
        char dir[] = "/tmp/rialto-journal-XXXXXX";
        assert_non_null(mkdtemp(dir));
        *decisions = (struct decisions){.last_pid = -1};
        int done = in_process(child, dir, decisions, fault_at);
        assert_in_range(done, 0, 1);
        through = done == 0;
        assert_int_equal(in_process(check, dir, decisions, 0), 0);
        assert_int_equal(in_process(check, dir, decisions, 0), 0); /* a second start changes nothing */
        assert_true(io_remove_tree(io_real(), dir, NULL));
        assert_true(fault_at < 1000);
    }
    munmap(decisions, sizeof *decisions);
}

/* Unsynced bytes of the journal may be gone, torn or there after a power cut: an entry is whole or nothing. */
static void a_torn_tail_is_cut(void **unused)
{
    struct decisions decisions = {.last_pid = -1};
    char dir[] = "/tmp/rialto-journal-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    struct state *state = open_at(dir, io_real(), &decisions);
    struct store *store = open_rows(state);
    assert_true(run_epoch(state, store, &decisions, 1));
    assert_true(run_epoch(state, store, &decisions, 2));
    store_close(store);
    state_close(state);
    ignore(snprintf(path, sizeof path, "%s/journal", dir) < 0, "it fits");
    int fd = io_open(io_real(), path, IO_WRITE);
    struct io_stat st;
    assert_int_equal(io_fstat(io_real(), fd, &st), 0);
    char junk[11] = {0, 0, 0, 40, 1, 2, 3, 4, 5, 6, 7};
    struct iovec part = {junk, sizeof junk};
    assert_int_equal(io_pwritev(io_real(), fd, &part, 1, st.size), sizeof junk);
    io_close(io_real(), fd);
    assert_int_equal(look(dir, &decisions), 0);
    assert_true(io_remove_tree(io_real(), dir, NULL));
}

static void a_foreign_file_is_refused(void **unused)
{
    char dir[] = "/tmp/rialto-journal-XXXXXX", path[64];
    struct err err;
    struct state *state;
    assert_non_null(mkdtemp(dir));
    ignore(snprintf(path, sizeof path, "%s/journal", dir) < 0, "it fits");
    assert_true(io_replace_file(io_real(), dir, path, STR("something else entirely"), NULL));
    struct state_options options = {.dir = str_from(dir), .io = io_real(), .txn_committed = txn_committed};
    assert_false(state_open(&state, &options, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_true(io_remove_tree(io_real(), dir, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_crash_point_keeps_what_was_decided),
        cmocka_unit_test(a_torn_tail_is_cut),
        cmocka_unit_test(a_foreign_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
