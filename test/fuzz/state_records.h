/* state_records.h - what the fuzzers of replayed states share: any bytes as records of the state's topic.
 *
 *   bytes:  { key length | key | value length, 255: null | value } ...       lengths are one byte; or, when the first byte is
 *                                                                            odd, whole keys and values made by wire_fill
 *
 * (S1) apply takes a record or refuses it with an error; it never dies, whatever came before.
 * (S2) The snapshot of a state, applied to an empty one, is taken whole and gives the same snapshot.
 */
#ifndef RIALTO_TEST_FUZZ_STATE_RECORDS_H
#define RIALTO_TEST_FUZZ_STATE_RECORDS_H

#include "replay/replay.h"
#include "wire_fill.h"

struct state_input {
    const uint8_t *at, *end;
};

static inline uint64_t state_number(void *arg)
{
    struct state_input *in = arg;
    return in->at < in->end ? *in->at++ : 0;
}

static inline struct str state_slice(struct state_input *in)
{
    size_t len = state_number(in);
    if (len == 255)
        return STR_NULL;
    len = MIN(len, (size_t)(in->end - in->at));
    struct str slice = str_of((const char *)in->at, len);
    in->at += len;
    return slice;
}

/* A key or value of one of the messages that the state's topic holds. */
static inline struct str state_message(struct state_input *in, const char *const *names, size_t count,
                                       struct arena *arena)
{
    static const struct str words[] = {STR_INIT("a"), STR_INIT("b"), STR_INIT("consumer"), STR_INIT("range")};
    const struct wire_message *msg = wire_message_find(str_from(names[state_number(in) % count]));
    struct wire_fill fill = {.random = state_number,
                             .arg = in,
                             .words = words,
                             .word_count = COUNT_OF(words),
                             .array_max = 3,
                             .arena = arena};
    struct buf bytes = {0};
    int versions = msg->versions.max - msg->versions.min + 1;
    int16_t version = (int16_t)(msg->versions.min + (int)(state_number(in) % (uint64_t)versions));
    void *body = arena_zalloc(arena, 1, msg->body->size);
    wire_fill_struct(&fill, msg->body, body);
    wire_encode_typed(msg, version, body, &bytes);
    struct str out = str_dup(buf_str(&bytes), arena);
    buf_fini(&bytes);
    return out;
}

static inline void state_apply_all(const struct replay_class *class, void *state, struct state_input *in,
                                   const char *const *keys, size_t key_count, const char *const *values,
                                   size_t value_count)
{
    struct arena arena = {0};
    struct err err;
    bool whole = state_number(in) % 2;
    for (int64_t offset = 0; in->at < in->end; offset++) {
        struct replay_record rec = {.offset = offset, .timestamp_ms = 1000};
        if (whole) {
            rec.key = state_message(in, keys, key_count, &arena);
            rec.value = state_number(in) % 8 == 0 ? STR_NULL : state_message(in, values, value_count, &arena);
        } else {
            rec.key = state_slice(in);
            rec.value = state_slice(in);
        }
        ignore(class->apply(state, &rec, &err), "either may be"); /* S1 */
    }
    arena_fini(&arena);
}

static inline void records_fini(struct replay_records *records)
{
    vec_fini(&records->list);
    arena_fini(&records->arena);
}

/* S2. `fresh` is an empty state. */
static inline void state_check_snapshot(const struct replay_class *class, void *state, void *fresh)
{
    struct replay_records first = {0}, second = {0};
    struct err err;
    class->snapshot(state, &first);
    for (size_t i = 0; i < first.list.len; i++) {
        bool applied = class->apply(fresh, &first.list.at[i], &err);
        if (!applied)
            assert_failed(__FILE__, __LINE__, "apply of a snapshot", "%s", err.text);
    }
    class->snapshot(fresh, &second);
    ASSERT_CMP(first.list.len, ==, second.list.len);
    for (size_t i = 0; i < first.list.len; i++)
        ASSERT(str_eq(first.list.at[i].key, second.list.at[i].key) &&
               str_eq(first.list.at[i].value, second.list.at[i].value));
    records_fini(&first);
    records_fini(&second);
}

#endif
