/* Stores: rows come back through cache, RocksDB and both merged; windows expire; sessions are ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "state/state.h"

struct fixture {
    char dir[64];
    struct state *state;
};

static bool always(void *arg, int64_t pid, int16_t epoch)
{
    return true;
}

static void open_state(struct fixture *fx, size_t cache_bytes)
{
    struct err err = {0};
    struct state_options options = {.dir = str_from(fx->dir),
                                    .io = io_real(),
                                    .cache_bytes = cache_bytes,
                                    .txn_committed = always};
    if (!state_open(&fx->state, &options, &err))
        fail_msg("%s", err.text);
}

static void set_up(struct fixture *fx, size_t cache_bytes)
{
    *fx = (struct fixture){.dir = "/tmp/rialto-store-XXXXXX"};
    assert_non_null(mkdtemp(fx->dir));
    open_state(fx, cache_bytes);
}

static void tear_down(struct fixture *fx)
{
    state_close(fx->state);
    assert_true(io_remove_tree(io_real(), fx->dir, NULL));
}

static const struct sql_type *const number_cells[] = {&type_bigint};
static const struct sql_type *const text_cells[] = {&type_string, &type_bigint};

static struct store *open_store(struct state *state, const char *name, enum store_kind kind, bool text)
{
    struct store_options options = {.kind = kind,
                                    .types = text ? text_cells : number_cells,
                                    .cell_count = text ? 2 : 1,
                                    .retention_ms = 80};
    struct err err;
    struct store *store = store_open(state, str_from(name), &options, &err);
    if (store == NULL)
        fail_msg("%s", err.text);
    return store;
}

static void put(struct store *store, const char *key, int64_t t0, int64_t t1, int64_t n)
{
    struct store_entry *entry = store_at(store, str_from(key), t0, t1, NULL);
    assert_non_null(entry);
    entry->cells[0] = value_bigint(n);
    store_changed(store, entry);
}

/* The number in a row, -1 when there is none. */
static int64_t get(struct store *store, const char *key, int64_t t0, int64_t t1)
{
    bool failed;
    struct store_entry *entry = store_find(store, str_from(key), t0, t1, &failed, NULL);
    assert_false(failed);
    return entry != NULL ? entry->cells[0].l : -1;
}

static void commit(struct fixture *fx, struct store *store)
{
    struct state_batch *batch = state_batch_new();
    store_hand_over(store, batch);
    assert_true(state_prepare(fx->state, -1, 0, &batch, 1, NULL));
    assert_true(state_apply(fx->state, NULL));
    state_batch_free(batch);
}

static bool sum_rows(void *arg, struct str key, int64_t t0, int64_t t1, const struct value *cells)
{
    int64_t *sums = arg;
    sums[0]++;
    sums[1] += cells[0].l;
    return true;
}

static void assert_scan(struct store *store, int64_t rows, int64_t sum)
{
    int64_t sums[2] = {0, 0};
    assert_true(store_scan(store, sum_rows, sums, NULL));
    assert_int_equal(sums[0], rows);
    assert_int_equal(sums[1], sum);
}

static void rows_live_in_memory_without_a_state(void **state)
{
    struct store *store = open_store(NULL, "m", STORE_KEY_VALUE, false);
    for (int i = 0; i < 1000; i++) {
        char key[16];
        ignore(snprintf(key, sizeof key, "key-%d", i) < 0, "it fits");
        put(store, key, 0, 0, i);
    }
    assert_int_equal(get(store, "key-777", 0, 0), 777);
    assert_int_equal(get(store, "key-1000", 0, 0), -1);
    assert_scan(store, 1000, 999 * 1000 / 2);
    for (int i = 0; i < 1000; i += 2) {
        char key[16];
        ignore(snprintf(key, sizeof key, "key-%d", i) < 0, "it fits");
        store_delete(store, store_at(store, str_from(key), 0, 0, NULL));
        store_trim(store);
    }
    assert_int_equal(get(store, "key-776", 0, 0), -1);
    assert_int_equal(get(store, "key-777", 0, 0), 777);
    assert_scan(store, 500, 250000);
    store_close(store);
}

static void cells_are_copied_out_of_the_batch(void **state)
{
    struct store *store = open_store(NULL, "m", STORE_KEY_VALUE, true);
    char text[] = "first";
    struct store_entry *entry = store_at(store, STR("k"), 0, 0, NULL);
    entry->cells[0] = value_str(str_from(text));
    entry->cells[1] = value_bigint(1);
    store_changed(store, entry);
    text[0] = 'X';
    assert_true(str_eq(value_slice(entry->cells[0]), STR("first")));
    entry->cells[1] = value_bigint(2);
    store_changed(store, entry);
    assert_true(str_eq(value_slice(entry->cells[0]), STR("first")));
    entry->cells[0] = value_str(str_from(text));
    store_changed(store, entry);
    text[0] = 'Y';
    assert_true(str_eq(value_slice(entry->cells[0]), STR("Xirst")));
    store_close(store);
}

static void rows_survive_a_restart(void **state)
{
    struct fixture fx;
    set_up(&fx, 0);
    struct store *store = open_store(fx.state, "q/s/0", STORE_KEY_VALUE, false);
    put(store, "a", 0, 0, 1);
    put(store, "b", 0, 0, 2);
    commit(&fx, store);
    put(store, "a", 0, 0, 3);
    store_delete(store, store_at(store, STR("b"), 0, 0, NULL));
    commit(&fx, store);
    put(store, "a", 0, 0, 99); /* not handed over: lost */
    store_close(store);
    state_close(fx.state);
    open_state(&fx, 0);
    store = open_store(fx.state, "q/s/0", STORE_KEY_VALUE, false);
    assert_int_equal(get(store, "a", 0, 0), 3);
    assert_int_equal(get(store, "b", 0, 0), -1);
    store_close(store);
    store = open_store(fx.state, "q/other/0", STORE_KEY_VALUE, false);
    assert_int_equal(get(store, "a", 0, 0), -1);
    store_close(store);
    tear_down(&fx);
}

static void cache_and_database_are_one(void **state)
{
    struct fixture fx;
    set_up(&fx, 1); /* every clean row leaves the cache */
    struct store *store = open_store(fx.state, "q/s/0", STORE_KEY_VALUE, false);
    for (int i = 0; i < 300; i++) {
        char key[16];
        ignore(snprintf(key, sizeof key, "key-%d", i) < 0, "it fits");
        put(store, key, 0, 0, 1);
    }
    commit(&fx, store);
    for (int i = 0; i < 200; i++)
        store_trim(store);
    assert_true(store_cached(store) < 300);
    put(store, "key-7", 0, 0, 1000);                                /* newer in the cache */
    put(store, "new", 0, 0, 5000);                                  /* only in the cache */
    store_delete(store, store_at(store, STR("key-8"), 0, 0, NULL)); /* deleted in the cache */
    assert_scan(store, 300, 298 + 1000 + 5000);
    assert_int_equal(get(store, "key-200", 0, 0), 1);
    assert_int_equal(get(store, "key-8", 0, 0), -1);
    commit(&fx, store);
    for (int i = 0; i < 200; i++)
        store_trim(store);
    assert_scan(store, 300, 298 + 1000 + 5000);
    store_close(store);
    tear_down(&fx);
}

static bool note_t0(void *arg, struct str key, int64_t t0, int64_t t1, const struct value *cells)
{
    buf_printf(arg, "%d:%d ", (int)t0, (int)cells[0].l);
    return true;
}

static void assert_key(struct store *store, const char *key, int64_t min, int64_t max, const char *want)
{
    struct buf got = {0};
    assert_true(store_scan_key(store, str_from(key), min, max, note_t0, &got, NULL));
    assert_string_equal(got.len ? got.ptr : "", want);
    buf_fini(&got);
}

static void windows_of_a_key_come_in_order_and_expire(void **state)
{
    struct fixture fx;
    set_up(&fx, 1);
    struct store *store = open_store(fx.state, "q/w/0", STORE_WINDOW, false);
    for (int64_t t0 = 0; t0 < 100; t0 += 10) {
        put(store, "a", t0, 0, t0 + 1);
        put(store, "aa", t0, 0, t0 + 2);
        if (t0 % 20 == 0)
            put(store, "b", t0, 0, t0 + 3);
    }
    commit(&fx, store);
    for (int i = 0; i < 50; i++)
        store_trim(store);
    put(store, "b", 25, 0, 7);
    assert_key(store, "a", 35, 60, "40:41 50:51 60:61 ");
    assert_key(store, "b", INT64_MIN, INT64_MAX, "0:3 20:23 25:7 40:43 60:63 80:83 ");
    assert_key(store, "c", INT64_MIN, INT64_MAX, "");
    assert_true(store_expire(store, 40, NULL));
    assert_key(store, "b", INT64_MIN, INT64_MAX, "40:43 60:63 80:83 ");
    assert_int_equal(get(store, "a", 30, 0), -1);
    commit(&fx, store);
    store_close(store);
    state_close(fx.state);
    open_state(&fx, 0);
    store = open_store(fx.state, "q/w/0", STORE_WINDOW, false);
    assert_key(store, "a", INT64_MIN, INT64_MAX, "40:41 50:51 60:61 70:71 80:81 90:91 ");
    assert_key(store, "b", INT64_MIN, INT64_MAX, "40:43 60:63 80:83 ");
    store_close(store);
    tear_down(&fx);
}

static void assert_range(struct store *store, const char *key, int64_t min, int64_t max, const char *want)
{
    struct store_entries rows = {0};
    struct buf got = {0};
    assert_true(store_range(store, str_from(key), min, max, &rows, NULL));
    for (size_t i = 0; i < rows.list.len; i++)
        buf_printf(&got, "%d,%d ", (int)rows.list.at[i]->t0, (int)rows.list.at[i]->t1);
    assert_string_equal(got.len ? got.ptr : "", want);
    vec_fini(&rows.list);
    buf_fini(&got);
}

static void sessions_are_ranges_of_a_key(void **state)
{
    struct fixture fx;
    set_up(&fx, 1);
    struct store *store = open_store(fx.state, "q/x/0", STORE_SESSION, false);
    put(store, "k", 10, 5, 1);
    put(store, "k", 30, 30, 2);
    put(store, "k", 20, 15, 3);
    put(store, "kk", 20, 20, 4);
    assert_range(store, "k", 0, 100, "10,5 20,15 30,30 ");
    assert_range(store, "k", 11, 29, "20,15 ");
    commit(&fx, store);
    for (int i = 0; i < 50; i++)
        store_trim(store);
    assert_range(store, "k", 0, 100, "10,5 20,15 30,30 ");
    /* A merge of the first two, as a session aggregate does it. */
    store_delete(store, store_at(store, STR("k"), 10, 5, NULL));
    store_delete(store, store_at(store, STR("k"), 20, 15, NULL));
    put(store, "k", 20, 5, 5);
    assert_range(store, "k", 0, 100, "20,5 30,30 ");
    assert_scan(store, 3, 5 + 2 + 4);
    commit(&fx, store);
    for (int i = 0; i < 50; i++)
        store_trim(store);
    assert_scan(store, 3, 5 + 2 + 4);
    assert_true(store_expire(store, 25, NULL));
    assert_range(store, "k", 0, 100, "30,30 ");
    assert_range(store, "kk", 0, 100, "");
    commit(&fx, store);
    store_close(store);
    state_close(fx.state);
    open_state(&fx, 0);
    store = open_store(fx.state, "q/x/0", STORE_SESSION, false);
    assert_scan(store, 1, 2);
    store_close(store);
    tear_down(&fx);
}

static void a_dropped_query_leaves_nothing(void **state)
{
    struct fixture fx;
    set_up(&fx, 0);
    struct store *store = open_store(fx.state, "q1/s/0", STORE_KEY_VALUE, false);
    struct store *other = open_store(fx.state, "q10/s/0", STORE_KEY_VALUE, false);
    struct state_batch *batch = state_batch_new();
    put(store, "a", 0, 0, 1);
    put(other, "a", 0, 0, 2);
    store_hand_over(store, batch);
    store_hand_over(other, batch);
    state_batch_number(batch, STR("q1/pos/t/0"), 17);
    assert_true(state_prepare(fx.state, -1, 0, &batch, 1, NULL));
    assert_true(state_apply(fx.state, NULL));
    state_batch_free(batch);
    int64_t number = 0;
    assert_true(state_number(fx.state, STR("q1/pos/t/0"), &number));
    assert_int_equal(number, 17);
    store_close(store);
    store_close(other);
    assert_true(state_drop(fx.state, STR("q1/"), NULL));
    assert_false(state_number(fx.state, STR("q1/pos/t/0"), &number));
    state_close(fx.state);
    open_state(&fx, 0);
    assert_false(state_number(fx.state, STR("q1/pos/t/0"), &number));
    store = open_store(fx.state, "q1/s/0", STORE_KEY_VALUE, false);
    other = open_store(fx.state, "q10/s/0", STORE_KEY_VALUE, false);
    assert_int_equal(get(store, "a", 0, 0), -1);
    assert_int_equal(get(other, "a", 0, 0), 2);
    store_close(store);
    store_close(other);
    tear_down(&fx);
}

static void numbers_alone_need_no_database(void **state)
{
    struct fixture fx;
    set_up(&fx, 0);
    struct state_batch *batch = state_batch_new();
    state_batch_number(batch, STR("pos"), -5);
    assert_true(state_prepare(fx.state, -1, 0, &batch, 1, NULL));
    assert_true(state_apply(fx.state, NULL));
    state_batch_free(batch);
    state_close(fx.state);
    open_state(&fx, 0);
    int64_t number = 0;
    assert_true(state_number(fx.state, STR("pos"), &number));
    assert_int_equal(number, -5);
    char path[96];
    ignore(snprintf(path, sizeof path, "%s/db", fx.dir) < 0, "it fits");
    assert_int_not_equal(access(path, F_OK), 0);
    tear_down(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_live_in_memory_without_a_state),
        cmocka_unit_test(cells_are_copied_out_of_the_batch),
        cmocka_unit_test(rows_survive_a_restart),
        cmocka_unit_test(cache_and_database_are_one),
        cmocka_unit_test(windows_of_a_key_come_in_order_and_expire),
        cmocka_unit_test(sessions_are_ranges_of_a_key),
        cmocka_unit_test(a_dropped_query_leaves_nothing),
        cmocka_unit_test(numbers_alone_need_no_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
