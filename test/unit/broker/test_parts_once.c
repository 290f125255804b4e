/* broker: a request names each partition once, whatever the client wrote. Requests are as short texts: topics of one letter, a
 * partition a number, the offset asked of it behind a colon, counted from 0 in the order of the text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "broker/parts_once.h"
#include "wire_messages.h"

typedef struct DeleteRecordsRequest_DeleteRecordsTopic asked_topic;
typedef struct DeleteRecordsRequest_DeleteRecordsPartition asked_part;

static const struct parts_shape shape =
    PARTS_SHAPE(DeleteRecordsRequest_DeleteRecordsTopic, Name, false, Partitions,
                DeleteRecordsRequest_DeleteRecordsPartition, PartitionIndex);

static struct arena arena;

/* "a0,1 b a5": the topic a with two partitions, b without any, a again. */
static struct DeleteRecordsRequest made(const char *text)
{
    struct DeleteRecordsRequest req;
    struct str rest = str_from(text), topic, number;
    int64_t offset = 0;
    wire_init(&WIRE_DeleteRecordsRequest, &req);
    WIRE_ALLOC(&arena, req.Topics, DeleteRecordsRequest_DeleteRecordsTopic, 6000);
    req.Topics.len = 0;
    while (str_split(&rest, ' ', &topic)) {
        asked_topic *row = &req.Topics.at[req.Topics.len++];
        row->Name = str_sub(topic, 0, 1);
        WIRE_ALLOC(&arena, row->Partitions, DeleteRecordsRequest_DeleteRecordsPartition, topic.len);
        row->Partitions.len = 0;
        topic = str_sub(topic, 1, topic.len);
        while (topic.len != 0 && str_split(&topic, ',', &number)) {
            asked_part *part = &row->Partitions.at[row->Partitions.len++];
            assert_true(str_to_i32(number, &part->PartitionIndex));
            part->Offset = offset++;
        }
    }
    return req;
}

static const char *shown(const struct DeleteRecordsRequest *req)
{
    static char text[512];
    size_t len = 0;
    text[0] = '\0';
    for (int32_t i = 0; i < req->Topics.len; i++) {
        const asked_topic *row = &req->Topics.at[i];
        len +=
            (size_t)snprintf(text + len, sizeof text - len, "%s%.*s", i == 0 ? "" : " ", STR_ARG(row->Name));
        for (int32_t j = 0; j < row->Partitions.len; j++)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%d:%lld", j == 0 ? "" : ",",
                                    row->Partitions.at[j].PartitionIndex,
                                    (long long)row->Partitions.at[j].Offset);
    }
    return text;
}

static void test_joined(void **state)
{
    static const struct {
        const char *asked, *once;
    } cases[] = {
        {"a0", "a0:0"},
        {"a0,1 b0", "a0:0,1:1 b0:2"},
        {"b1,0 a7", "b1:0,0:1 a7:2"},
        {"a0,0", "a0:1"},
        {"a0,1,0", "a0:2,1:1"},
        {"a0 a0", "a0:1"},
        {"a0 a1", "a0:0,1:1"},
        {"b1 a0,1 b2,1 c", "b1:4,2:3 a0:1,1:2"},
        {"a", ""},
        {"a b0 c", "b0:0"},
        {"a-1,-1", "a-1:1"},
        {"a9000,5,9000", "a9000:2,5:1"},
        {"a5,9000,4095,4096", "a5:0,9000:1,4095:2,4096:3"},
        {"a0 b0 c0 d0 e0 f0 g0 h0 i0 j0 k0 l0 m0 n0 o0 p0 q0 a1",
         "a0:0,1:17 b0:1 c0:2 d0:3 e0:4 f0:5 g0:6 h0:7 i0:8 j0:9 k0:10 l0:11 m0:12 n0:13 o0:14 p0:15 "
         "q0:16"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct DeleteRecordsRequest req = made(cases[i].asked);
        parts_once(&shape, &req.Topics, NULL, &arena);
        assert_string_equal(shown(&req), cases[i].once);
    }
    arena_fini(&arena);
}

/* The usual request is left as it is: nothing is copied. */
static void test_untouched(void **state)
{
    struct DeleteRecordsRequest req = made("b3,1,2 a0 c5");
    const asked_topic *topics = req.Topics.at;
    const asked_part *parts = req.Topics.at[0].Partitions.at;
    parts_once(&shape, &req.Topics, NULL, &arena);
    assert_ptr_equal(req.Topics.at, topics);
    assert_ptr_equal(req.Topics.at[0].Partitions.at, parts);
    req.Topics.len = -1; /* null */
    parts_once(&shape, &req.Topics, NULL, &arena);
    parts_drop_empty(&shape, &req.Topics);
    assert_int_equal(req.Topics.len, -1);
    arena_fini(&arena);
}

static void test_again(void **state)
{
    struct DeleteRecordsRequest req = made("a0,1,0 b0 a1 b2");
    struct map again = {0};
    parts_once(&shape, &req.Topics, &again, &arena);
    assert_true(parts_came_again(&again, STR("a"), 0));
    assert_true(parts_came_again(&again, STR("a"), 1));
    assert_false(parts_came_again(&again, STR("b"), 0));
    assert_false(parts_came_again(&again, STR("b"), 2));
    map_fini(&again);
    arena_fini(&arena);
}

static void test_empty(void **state)
{
    struct parts_shape keeps = shape;
    struct DeleteRecordsRequest req = made("a b0 c b0");
    keeps.keeps_empty = true;
    parts_drop_empty(&shape, &req.Topics);
    assert_string_equal(shown(&req), "b0:0 b0:1");
    req = made("a b0 c b0 a");
    parts_once(&keeps, &req.Topics, NULL, &arena);
    assert_string_equal(shown(&req), "a b0:1 c");
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joined),
        cmocka_unit_test(test_untouched),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
