/* test_log_append.c - what an append takes, refuses and changes: the checks of batches, a topic's options, compression. */
#include "log_test.h"

/* The bytes of a batch on disk are the producer's but for base offset and leader epoch. */
static void test_bytes_kept(void **state)
{
    struct world w;
    struct buf sent = {0}, kept = {0};
    struct log_append_result result;
    world_init(&w, 1);
    world_open(&w);
    world_append(&w, 1, 5, 1000);
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    spec.codec = CODEC_ZSTD;
    struct str bytes = world_batch(&w, &spec, 6, 50, 2000);
    buf_append_str(&sent, bytes);
    assert_true(log_append(w.log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, NULL));
    batch_set_place(sent.ptr, 5, 0);
    world_sync(&w);
    world_read(&w, 5, 1, LOG_UP_TO_HW, &kept);
    assert_true(str_eq(buf_str(&sent), buf_str(&kept)));
    buf_fini(&sent);
    buf_fini(&kept);
    world_fini(&w);
}

static void assert_refused(struct world *w, struct str bytes, enum err_code code)
{
    struct log_append_result result;
    struct err err = {0};
    assert_false(log_append(w->log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, &err));
    if (err.code != code)
        fail_msg("%s instead of %s: %s", err_name(err.code), err_name(code), err.text);
    assert_int_equal(result.base_offset, -1);
    assert_int_equal(log_end_offset(w->log), 0);
}

static void renew_crc(struct str bytes)
{
    store_be32((char *)bytes.ptr + 17, hash_crc32c(0, bytes.ptr + 21, bytes.len - 21));
}

/* The checks of the reference's table in section 5.4. */
static void test_refusals(void **state)
{
    struct world w;
    struct batch_spec plain = BATCH_SPEC_PLAIN, control = BATCH_SPEC_PLAIN;
    world_init(&w, 1);
    w.config.message_bytes_max = 300;
    world_open(&w);
    int64_t now = io_now_ms(w.io);
    assert_refused(&w, STR(""), ERR_INVALID_RECORD);
    struct str bytes = world_batch(&w, &plain, 1, 3, now);
    assert_refused(&w, str_sub(bytes, 0, bytes.len - 3), ERR_INVALID_RECORD);
    struct buf two = {0};
    buf_append_str(&two, bytes);
    buf_append_str(&two, bytes);
    assert_refused(&w, buf_str(&two), ERR_INVALID_RECORD);
    buf_fini(&two);
    batch_set_place((char *)bytes.ptr, 5, 0);
    assert_refused(&w, bytes, ERR_INVALID_RECORD);
    bytes = world_batch(&w, &plain, 1, 3, now);
    ((char *)bytes.ptr)[70] ^= 1;
    assert_refused(&w, bytes, ERR_CORRUPT);
    assert_refused(&w, world_batch(&w, &plain, 1, 100, now), ERR_TOO_LARGE);
    bytes = world_batch(&w, &plain, 1, 3, now);
    store_be32((char *)bytes.ptr + 57, 2);
    renew_crc(bytes);
    assert_refused(&w, bytes, ERR_INVALID_RECORD);
    bytes = world_batch(&w, &plain, 1, 3, now);
    store_be16((char *)bytes.ptr + 21, CODEC_GZIP);
    renew_crc(bytes);
    assert_refused(&w, bytes, ERR_CORRUPT);
    store_be16((char *)bytes.ptr + 21, 5);
    renew_crc(bytes);
    assert_refused(&w, bytes, ERR_CORRUPT);
    control.control = true;
    assert_refused(&w, world_batch(&w, &control, 1, 1, now), ERR_INVALID_RECORD);
    struct batch_spec no_seq = {.pid = 5, .epoch = 0, .base_seq = -1};
    assert_refused(&w, world_batch(&w, &no_seq, 1, 1, now), ERR_INVALID_RECORD);
    assert_refused(&w, world_batch(&w, &plain, 1, 1, now + 2 * 3600 * 1000), ERR_INVALID_TIMESTAMP);
    bytes = world_batch(&w, &plain, 1, 1, now);
    ((char *)bytes.ptr)[16] = 1;
    assert_refused(&w, bytes, ERR_INVALID_RECORD);
    world_fini(&w);
}

static void test_topic_options(void **state)
{
    struct world w;
    struct log_append_result result;
    struct err err;
    world_init(&w, 1);
    w.config.key_required = true;
    w.config.append_time = true;
    world_open(&w);
    struct batch_spec plain = BATCH_SPEC_PLAIN;
    struct str bytes;
    batch_builder_begin(&w.builder, &plain);
    batch_builder_add(&w.builder, 1, STR("k"), STR("v"), NULL, 0);
    batch_builder_add(&w.builder, 1, STR_NULL, STR("v"), NULL, 0);
    assert_true(batch_builder_finish(&w.builder, &bytes, NULL));
    assert_false(log_append(w.log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, &err));
    assert_int_equal(err.code, ERR_INVALID_RECORD);
    assert_true(result.bad_records && result.rules.key_required);
    io_memory_advance_ms(w.mem, 1234);
    int64_t now = io_now_ms(w.io);
    assert_true(world_append_spec(&w, &plain, 1, 2, 99, &result, &err));
    assert_int_equal(result.append_time_ms, now);
    struct buf kept = {0};
    struct batch batch;
    world_read(&w, 0, 1, LOG_APPENDED, &kept);
    assert_true(batch_open(buf_str(&kept), &batch, &err) && batch_check_crc(&batch, &err));
    assert_int_equal(batch.max_timestamp_ms, now);
    assert_true(batch.attributes & BATCH_APPEND_TIME);
    buf_fini(&kept);
    world_fini(&w);
}

/* compression.type: what came with another codec is stored with the topic's, records unchanged; markers are left alone. */
static void test_recompression(void **state)
{
    struct world w;
    struct log_append_result result;
    struct err err = {0};
    struct buf kept = {0};
    struct batch batch;
    world_init(&w, 1);
    world_open(&w);
    struct batch_spec spec = {
        .codec = CODEC_GZIP, .pid = 7, .epoch = 0, .base_seq = 0, .transactional = true};
    assert_true(world_append_spec(&w, &spec, 0, 50, 1000, &result, &err));
    struct log_config config = w.config; /* from now on */
    config.recompress = true;
    config.codec = CODEC_ZSTD;
    log_set_config(w.log, &config);
    spec.base_seq = 50;
    assert_true(world_append_spec(&w, &spec, 50, 50, 1000, &result, &err));
    assert_int_equal(result.base_offset, 50);
    assert_true(log_append_marker(w.log, 7, 0, MARKER_COMMIT, 0, &result, &err));
    spec = (struct batch_spec){.codec = CODEC_ZSTD, .pid = -1, .epoch = -1, .base_seq = -1};
    assert_true(world_append_spec(&w, &spec, 100, 1, 1000, &result, &err));
    config.codec = CODEC_NONE;
    log_set_config(w.log, &config);
    assert_true(world_append_spec(&w, &spec, 101, 2, 1000, &result, &err));
    world_sync(&w);
    static const enum codec expect[] = {CODEC_GZIP, CODEC_ZSTD, CODEC_NONE, CODEC_ZSTD, CODEC_NONE};
    world_read(&w, 0, 1, LOG_UP_TO_HW, &kept);
    size_t i = 0;
    for (struct str rest = buf_str(&kept); batch_next(&rest, &batch, NULL); i++)
        assert_int_equal(batch_codec(&batch), expect[i]);
    assert_int_equal(i, COUNT_OF(expect));
    config.message_bytes_max = 200; /* plain records of what came small are too large */
    log_set_config(w.log, &config);
    assert_false(world_append_spec(&w, &spec, 0, 50, 1000, &result, &err));
    assert_int_equal(err.code, ERR_TOO_LARGE);
    struct batch_spec plain = BATCH_SPEC_PLAIN;
    config.message_bytes_max = 1000;
    config.segment_bytes = 300;
    log_set_config(w.log, &config);
    assert_false(world_append_spec(&w, &plain, 0, 50, 1000, &result, &err));
    assert_int_equal(err.code, ERR_RECORD_LIST_TOO_LARGE);
    world_crash(&w, IO_CUT_LOSE);
    assert_int_equal(log_end_offset(w.log), 104);
    buf_fini(&kept);
    world_fini(&w);
}

/* flush.messages counts what is not synced. */
static void test_flush_messages(void **state)
{
    struct world w;
    struct log_append_result result;
    struct batch_spec plain = BATCH_SPEC_PLAIN;
    world_init(&w, 1);
    w.config.flush_messages = 3;
    world_open(&w);
    assert_true(world_append_spec(&w, &plain, 0, 2, 1000, &result, NULL));
    assert_false(result.flush);
    assert_true(world_append_spec(&w, &plain, 2, 1, 1000, &result, NULL));
    assert_true(result.flush);
    world_sync(&w);
    assert_true(world_append_spec(&w, &plain, 3, 2, 1000, &result, NULL));
    assert_false(result.flush);
    world_fini(&w);
}

int main(void)
{
    log_level_set(LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_kept),     cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_topic_options),  cmocka_unit_test(test_recompression),
        cmocka_unit_test(test_flush_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
