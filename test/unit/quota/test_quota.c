/* quota: which limit counts for a connection, and the time that a debt takes, by hand from KIP-13's rule: debt / limit. */
#include <stdio.h>

#include "../storage/storage_test.h"
#include "quota/quota.h"

static void on_deleted(void *arg, struct str name)
{
}

static void on_other(void *arg)
{
}

struct world {
    struct io_memory *mem;
    struct storage *storage;
    struct quotas *quotas;
    struct quota_config config;
};

static int setup(void **state)
{
    struct world *w = mem_new(struct world);
    struct err err;
    w->mem = io_memory_new(1);
    w->config = (struct quota_config){.windows = 2, .window_s = 1}; /* a burst of one second */
    w->storage = make_storage(io_memory_io(w->mem), STORAGE_FSYNC,
                              (struct storage_hooks){NULL, on_deleted, on_other, on_other});
    assert_true(storage_open(w->storage, &err));
    w->quotas = quotas_new(&w->config, w->storage, owned.metrics);
    quotas_changed(w->quotas);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    end_storage(w->storage);
    quotas_free(w->quotas);
    free_storage(w->storage);
    io_memory_free(w->mem);
    free(w);
    return 0;
}

static void take(void *arg)
{
    quotas_changed(arg);
}

/* value NULL: deletes it */
static void set(struct world *w, const char *entity, const char *key, const char *value)
{
    struct err err;
    struct setting_op op = {.name = str_from(key),
                            .op = value == NULL ? SETTING_DELETE : SETTING_SET,
                            .value = value == NULL ? STR_NULL : str_from(value)};
    struct resource_alter req = {.type = RESOURCE_QUOTA, .name = str_from(entity), .ops = &op, .op_count = 1};
    assert_true(storage_resource_alter(w->storage, &req, take, w->quotas, &err));
}

/* The bucket is full when it is met first: the debt of `amount` is what is beyond one second's worth. Some of it is paid back
 * while the test runs. */
static void assert_throttled(struct client_quotas *own, enum quota_kind kind, double amount, int64_t ms)
{
    int64_t got = client_quotas_charge(own, kind, amount);
    assert_true(got <= ms && got > ms / 2);
}

static void test_none(void **state)
{
    struct world *w = *state;
    assert_false(quotas_on(w->quotas));
    assert_null(quotas_current(w->quotas, NULL, STR("alice"), STR("app")));
    assert_int_equal(client_quotas_charge(NULL, QUOTA_PRODUCE, 1e9), 0);
    assert_null(quotas_admit(w->quotas, STR("127.0.0.1")));
}

static void test_most_specific(void **state)
{
    struct world *w = *state;
    set(w, "user=<default>", "producer_byte_rate", "100");
    set(w, "user=alice", "producer_byte_rate", "1000");
    assert_true(quotas_on(w->quotas));
    struct client_quotas *alice = quotas_current(w->quotas, NULL, STR("alice"), STR("app"));
    struct client_quotas *bob = quotas_current(w->quotas, NULL, STR("bob"), STR("app"));
    assert_int_equal(client_quotas_charge(alice, QUOTA_FETCH, 1e9), 0); /* no limit of this kind */
    assert_throttled(alice, QUOTA_PRODUCE, 11000, 10000); /* 10000 beyond the burst, 1000 a second */
    assert_throttled(bob, QUOTA_PRODUCE, 1100, 10000);
    assert_int_equal(client_quotas_burst(alice, QUOTA_PRODUCE), 1000); /* one second of it */
    assert_int_equal(client_quotas_burst(alice, QUOTA_FETCH), INT64_MAX);
    assert_int_equal(client_quotas_burst(NULL, QUOTA_FETCH), INT64_MAX);
    /* Another connection of alice's owes the same; a copy of what she has is current until something changes. */
    struct client_quotas *second = quotas_current(w->quotas, NULL, STR("alice"), STR("other"));
    assert_throttled(second, QUOTA_PRODUCE, 0, 10000);
    assert_ptr_equal(quotas_current(w->quotas, second, STR("alice"), STR("other")), second);
    set(w, "user=alice", "producer_byte_rate", NULL);
    set(w, "user=<default>", "producer_byte_rate", NULL);
    assert_false(quotas_on(w->quotas));
    assert_null(quotas_current(w->quotas, second, STR("alice"), STR("other")));
    client_quotas_unref(alice);
    client_quotas_unref(bob);
}

static void test_address(void **state)
{
    struct world *w = *state;
    w->config.window_s = 100;
    set(w, "ip=127.0.0.1", "connection_creation_rate", "0.01");
    assert_null(quotas_admit(w->quotas, STR("127.0.0.1"))); /* the one that 100 s allow */
    assert_non_null(quotas_admit(w->quotas, STR("127.0.0.1")));
    assert_null(quotas_admit(w->quotas, STR("127.0.0.2")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_most_specific, setup, teardown),
        cmocka_unit_test_setup_teardown(test_address, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
