/* compact_test.h - what the tests of compaction share: a log in small segments, batches of words, what is left as text. */
#ifndef RIALTO_TEST_COMPACT_TEST_H
#define RIALTO_TEST_COMPACT_TEST_H

#include "log_test.h"

#include <errno.h>

/* Small segments: a batch or two each. */
static inline void compacted_init(struct world *w, uint64_t seed)
{
    world_init(w, seed);
    w->config.segment_bytes = 400;
    w->config.index_interval_bytes = 100;
    w->config.retention_on = false;
    w->config.key_required = w->config.compaction_on = true;
    w->config.cleanable_ratio_min = 0;
}

/* One batch of "key=value" words; "key" alone is a tombstone. Gives the base offset. */
static inline int64_t put_as(struct world *w, const struct batch_spec *spec, int64_t timestamp_ms,
                             const char *words)
{
    struct str rest = str_from(words), word, bytes;
    struct log_append_result result;
    struct err err = {0};
    batch_builder_begin(&w->builder, spec);
    while (str_split(&rest, ' ', &word)) {
        ptrdiff_t at = str_find_char(word, '=');
        struct str key = at < 0 ? word : str_sub(word, 0, (size_t)at);
        struct str value = at < 0 ? STR_NULL : str_sub(word, (size_t)at + 1, word.len);
        batch_builder_add(&w->builder, timestamp_ms++, key, value, NULL, 0);
    }
    assert_true(batch_builder_finish(&w->builder, &bytes, NULL));
    if (!log_append(w->log, (char *)bytes.ptr, bytes.len, LOG_CLIENT, &result, &err))
        fail_msg("append %s: %s", words, err.text);
    return result.base_offset;
}

static inline int64_t put(struct world *w, const char *words)
{
    struct batch_spec spec = BATCH_SPEC_PLAIN;
    return put_as(w, &spec, 1000, words);
}

/* Closes the active segment: what was appended may be compacted. The record that begins the next one is not shown. */
static inline void roll(struct world *w)
{
    struct log_config config = w->config;
    config.segment_bytes = 100; /* no room for two batches */
    log_set_config(w->log, &config);
    put(w, "roll=");
    log_set_config(w->log, &w->config);
}

static inline struct log_compacted compact_with(struct world *w, size_t map_bytes_max)
{
    struct log_compact_options options = {.map_bytes_max = map_bytes_max, .seed = 42};
    struct log_compacted out;
    struct err err = {0};
    if (!log_compact(w->log, io_now_ms(w->io), &options, &out, &err))
        fail_msg("compact: %s", err.text);
    return out;
}

static inline struct log_compacted compact(struct world *w)
{
    return compact_with(w, 1 << 20);
}

/* Text "offset:key=value ..." of what a read_uncommitted reader sees, without the fillers of roll; a batch without records
 * as "offset-offset", a marker as "offset:commit". */
static inline void print_log(struct world *w, int64_t from_offset, struct buf *out)
{
    struct buf bytes = {0};
    struct batch batch;
    world_read(w, from_offset, 300, LOG_UP_TO_HW, &bytes);
    for (struct str rest = buf_str(&bytes); batch_next(&rest, &batch, NULL);) {
        struct batch_iter it;
        struct record rec;
        struct buf plain = {0};
        enum marker marker;
        int32_t coordinator_epoch;
        assert_true(batch_iter_init(&it, &batch, &plain, NULL));
        if (batch.record_count == 0)
            buf_printf(out, "%lld-%lld ", (long long)batch.base_offset, (long long)batch_last_offset(&batch));
        if (batch_read_marker(&batch, &marker, &coordinator_epoch))
            buf_printf(out, "%lld:%s ", (long long)batch.base_offset,
                       marker == MARKER_COMMIT ? "commit" : "abort");
        while (!batch_is_control(&batch) && batch_iter_next(&it, &rec)) {
            if (str_eq(rec.key, STR("roll")))
                continue;
            buf_printf(out, "%lld:%.*s", (long long)rec.offset, STR_ARG(rec.key));
            if (!str_is_null(rec.value))
                buf_printf(out, "=%.*s", STR_ARG(rec.value));
            buf_append_char(out, ' ');
        }
        buf_fini(&plain);
    }
    buf_fini(&bytes);
}

static inline void assert_log(struct world *w, const char *expect)
{
    struct buf text = {0};
    print_log(w, log_start_offset(w->log), &text);
    if (strcmp(text.len != 0 ? text.ptr : "", expect) != 0)
        fail_msg("got      \"%s\"\nexpected \"%s\"", text.ptr, expect);
    buf_fini(&text);
}

static inline void end_txn(struct world *w, int64_t pid, enum marker marker)
{
    struct log_append_result result;
    assert_true(log_append_marker(w->log, pid, 0, marker, 0, &result, NULL));
}

static inline struct batch_spec txn_spec(int64_t pid, int32_t base_seq)
{
    return (struct batch_spec){.pid = pid, .epoch = 0, .base_seq = base_seq, .transactional = true};
}

static inline void assert_aborted_count(struct world *w, size_t count)
{
    struct log_aborted_list list = {0};
    log_aborted_in(w->log, 0, log_end_offset(w->log), &list);
    assert_int_equal(list.list.len, count);
    vec_fini(&list.list);
}

#endif
