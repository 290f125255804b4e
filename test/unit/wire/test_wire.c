/* wire: bytes of messages against hand-made ones, and every message at every version against itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "wire/wire.h"

static struct str hex(const char *text, struct buf *buf)
{
    buf_clear(buf);
    for (const char *at = text; *at != '\0'; at++) /* blanks are for the reader */
        if (*at != ' ')
            buf_append_char(buf, *at);
    struct buf bytes = {0};
    assert_true(buf_append_hex_decoded(&bytes, buf_str(buf)));
    buf_fini(buf);
    *buf = bytes;
    return buf_str(buf);
}

static void assert_hex(struct str bytes, const char *wanted)
{
    struct buf expected = {0};
    hex(wanted, &expected);
    struct buf got = {0};
    buf_append_hex(&got, bytes);
    struct buf want = {0};
    buf_append_hex(&want, buf_str(&expected));
    assert_string_equal(got.ptr, want.ptr);
    buf_fini(&expected);
    buf_fini(&got);
    buf_fini(&want);
}

/* Request header v2: the client id keeps its old form, a tagged section follows. */
static void test_request_header(void **state)
{
    struct buf buf = {0};
    struct arena arena = {0};
    struct wire_request req;
    struct err err;
    struct str frame = hex("0012 0003 00000007 0001 61 00 03 6162 03 312e 00", &buf);
    assert_true(wire_decode_request_header(frame, &req, &arena, &err));
    assert_int_equal(req.api_key, 18);
    assert_int_equal(req.api_version, 3);
    assert_int_equal(req.correlation_id, 7);
    assert_true(str_eq(req.client_id, STR("a")));
    assert_true(req.version_known);
    struct ApiVersionsRequest body;
    assert_true(wire_decode(req.api->request, 3, req.body, &body, NULL, &arena, &err));
    assert_true(str_eq(body.ClientSoftwareName, STR("ab")));
    assert_true(str_eq(body.ClientSoftwareVersion, STR("1.")));
    /* an unknown key is split too, its version is not known */
    frame = hex("7fff 0000 00000001 ffff", &buf);
    assert_true(wire_decode_request_header(frame, &req, &arena, &err));
    assert_null(req.api);
    assert_true(str_is_null(req.client_id));
    arena_fini(&arena);
    buf_fini(&buf);
}

/* The header of an ApiVersions response has no tagged section, whatever the version. */
static void test_api_versions_response(void **state)
{
    struct wire_out out = {0};
    struct ApiVersionsResponse_ApiVersion one = {18, 0, 4};
    struct ApiVersionsResponse res;
    const struct wire_api *api = wire_api_find(18);
    wire_init(&WIRE_ApiVersionsResponse, &res);
    res.ErrorCode = 35;
    res.ApiKeys.at = &one;
    res.ApiKeys.len = 1;
    wire_encode_response(api, 0, 9, &res, &out);
    assert_hex(buf_str(&out.buf), "00000010 00000009 0023 00000001 0012 0000 0004");
    buf_clear(&out.buf);
    wire_encode_response(api, 3, 9, &res, &out);
    assert_hex(buf_str(&out.buf), "00000013 00000009 0023 02 0012 0000 0004 00 00000000 00");
    wire_out_fini(&out);
}

/* Metadata v12: flexible header and body, topic by id, null name. */
static void test_metadata_request(void **state)
{
    struct buf buf = {0};
    struct arena arena = {0};
    struct err err;
    struct MetadataRequest req;
    struct str body = hex("02 000102030405060708090a0b0c0d0e0f 00 00 01 00 00", &buf);
    assert_true(wire_decode(&MetadataRequest_message, 12, body, &req, NULL, &arena, &err));
    assert_int_equal(req.Topics.len, 1);
    assert_true(str_is_null(req.Topics.at[0].Name));
    assert_int_equal(req.Topics.at[0].TopicId.bytes[15], 15);
    assert_true(req.AllowAutoTopicCreation);
    /* v1: null array means all; a missing flag has its default */
    body = hex("ffffffff", &buf);
    assert_true(wire_decode(&MetadataRequest_message, 1, body, &req, NULL, &arena, &err));
    assert_int_equal(req.Topics.len, -1);
    assert_true(req.AllowAutoTopicCreation);
    arena_fini(&arena);
    buf_fini(&buf);
}

/* Tagged fields: written only when not default, in order of tags, skipped when unknown. */
static void test_tagged_fields(void **state)
{
    struct wire_out out = {0};
    struct FetchResponse res;
    struct arena arena = {0};
    struct err err;
    wire_init(&WIRE_FetchResponse, &res);
    WIRE_ALLOC(&arena, res.NodeEndpoints, FetchResponse_NodeEndpoint, 1);
    res.NodeEndpoints.at[0].NodeId = 1;
    res.NodeEndpoints.at[0].Host = STR("h");
    res.NodeEndpoints.at[0].Port = 2;
    wire_encode(&FetchResponse_message, 16, &res, &out);
    assert_hex(buf_str(&out.buf), "00000000 0000 00000000 01 01 00 0d 02 00000001 02 68 00000002 00 00");
    buf_clear(&out.buf);
    wire_encode(&FetchResponse_message, 15, &res, &out);
    assert_hex(buf_str(&out.buf), "00000000 0000 00000000 01 00");
    struct buf buf = {0};
    struct HeartbeatResponse beat;
    assert_true(wire_decode(&HeartbeatResponse_message, 4, hex("00000000 001b 01 63 02 ffff", &buf), &beat,
                            NULL, &arena, &err));
    assert_int_equal(beat.ErrorCode, 27);
    assert_false(wire_decode(&HeartbeatResponse_message, 4, hex("00000000 001b 02 05 00 05 00", &buf), &beat,
                             NULL, &arena, &err));
    assert_non_null(strstr(err.text, "ascending"));
    arena_fini(&arena);
    buf_fini(&buf);
    wire_out_fini(&out);
}

/* Slices leave cuts and are counted in the frame's length. */
static void test_cuts(void **state)
{
    struct wire_out out = {0};
    struct arena arena = {0};
    struct FetchResponse res;
    wire_init(&WIRE_FetchResponse, &res);
    WIRE_ALLOC(&arena, res.Responses, FetchResponse_FetchableTopicResponse, 1);
    res.Responses.at[0].Topic = STR("t");
    WIRE_ALLOC(&arena, res.Responses.at[0].Partitions, FetchResponse_PartitionData, 1);
    struct FetchResponse_PartitionData *part = res.Responses.at[0].Partitions.at;
    part->AbortedTransactions.len = -1;
    part->Records.slice = part;
    part->Records.slice_bytes = 1000;
    wire_encode_response(wire_api_find(1), 4, 1, &res, &out);
    assert_int_equal(out.cuts.len, 1);
    assert_int_equal(out.cuts.at[0].pos, out.buf.len);
    assert_int_equal(load_be32(out.buf.ptr), out.buf.len - 4 + 1000);
    assert_int_equal(load_be32(out.buf.ptr + out.buf.len - 4), 1000);
    arena_fini(&arena);
    wire_out_fini(&out);
}

/* Lengths that the bytes cannot hold are refused before anything is allocated. */
static void test_lying_lengths(void **state)
{
    static const struct {
        const struct wire_message *msg;
        int16_t version;
        const char *bytes;
        const char *says;
    } cases[] = {
        {&MetadataRequest_message, 1, "7fffffff 0001 61", "more elements"},
        {&MetadataRequest_message, 12, "ffffffff0f 00", "more elements"},
        {&MetadataRequest_message, 12, "ffffffffff01", "varint"},
        {&MetadataRequest_message, 1, "00000001 7fff 61", "too early"},
        {&MetadataRequest_message, 1, "00000001 ffff", "null is not allowed"},
        {&MetadataRequest_message, 0, "fffffffe", "negative"},
        {&JoinGroupRequest_message, 0, "0001 67 00001000 0000 0000 00000001 0001 70 ffffffff", "null"},
        {&HeartbeatRequest_message, 4, "02 67", "too early"},
    };
    struct arena arena = {0};
    struct buf buf = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct err err = {0};
        void *out = arena_zalloc(&arena, 1, cases[i].msg->body->size);
        assert_false(
            wire_decode(cases[i].msg, cases[i].version, hex(cases[i].bytes, &buf), out, NULL, &arena, &err));
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("case %zu: '%s' does not say '%s'", i, err.text, cases[i].says);
        assert_int_equal(err.code, ERR_INVALID_REQUEST);
    }
    assert_true(arena_bytes(&arena) < 1 << 20);
    arena_fini(&arena);
    buf_fini(&buf);
}

/* Where null is allowed any negative length is null, as Kafka reads it. */
static void test_negative_lengths(void **state)
{
    struct arena arena = {0};
    struct buf buf = {0};
    struct err err;
    struct MetadataRequest req;
    assert_true(wire_decode(&MetadataRequest_message, 1, hex("fffffff0", &buf), &req, NULL, &arena, &err));
    assert_int_equal(req.Topics.len, -1);
    arena_fini(&arena);
    buf_fini(&buf);
}

/* Fills every field with something that is not its default. */
static void fill(const struct wire_struct *type, void *out, struct arena *arena, int depth);

static void fill_value(const struct wire_field *field, void *at, struct arena *arena, int depth)
{
    switch (field->type) {
    case WIRE_STRING:
    case WIRE_BYTES:
        *(struct str *)at = STR("some text");
        break;
    case WIRE_RECORDS:
        *(struct wire_records *)at = (struct wire_records){.bytes = STR("batch")};
        break;
    case WIRE_UUID:
        memset(at, 7, sizeof(struct uuid));
        break;
    case WIRE_BOOL:
        *(bool *)at = !field->init;
        break;
    case WIRE_INT8:
        *(int8_t *)at = 5;
        break;
    case WIRE_INT16:
    case WIRE_UINT16:
        *(int16_t *)at = 0x1234;
        break;
    case WIRE_INT32:
    case WIRE_UINT32:
        *(int32_t *)at = 0x12345678;
        break;
    case WIRE_FLOAT64:
        *(double *)at = 1.5;
        break;
    case WIRE_INT64:
        *(int64_t *)at = 0x123456789abcdef0;
        break;
    case WIRE_STRUCT:
        if (!(field->flags & WIRE_ARRAY) && field->nullable.min <= field->nullable.max) /* a pointer */
            at = *(void **)at = wire_new(field->sub, 1, arena);
        fill(field->sub, at, arena, depth + 1);
        break;
    }
}

static size_t size_of(const struct wire_field *field)
{
    static const uint8_t sizes[] = {
        1, 1, 2, 4, 8, 2, 4, 8, 16, sizeof(struct str), sizeof(struct str), sizeof(struct wire_records)};
    return field->type == WIRE_STRUCT ? field->sub->size : sizes[field->type];
}

static void fill(const struct wire_struct *type, void *out, struct arena *arena, int depth)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const struct wire_field *field = &type->fields[i];
        char *at = (char *)out + field->at;
        if (!(field->flags & WIRE_ARRAY)) {
            fill_value(field, at, arena, depth);
            continue;
        }
        wire_array_of(char) *array = (void *)at;
        array->len = 2;
        array->at = arena_zalloc(arena, 2, size_of(field));
        for (int j = 0; j < 2; j++)
            fill_value(field, array->at + (size_t)j * size_of(field), arena, depth);
    }
}

/* What was encoded decodes to what encodes to the same bytes and prints the same; no cut of it decodes whole. */
static void roundtrip(const struct wire_message *msg, int16_t version, struct arena *arena)
{
    struct wire_out first = {0}, second = {0};
    struct buf text = {0}, again = {0};
    struct err err;
    void *in = wire_new(msg->body, 1, arena), *out = arena_zalloc(arena, 1, msg->body->size);
    struct str rest;
    fill(msg->body, in, arena, 0);
    wire_encode(msg, version, in, &first);
    if (!wire_decode(msg, version, buf_str(&first.buf), out, &rest, arena, &err))
        fail_msg("%s v%d: %s", msg->name, version, err.text);
    assert_int_equal(rest.len, 0);
    wire_encode(msg, version, out, &second);
    assert_int_equal(first.buf.len, second.buf.len);
    assert_memory_equal(first.buf.ptr ? first.buf.ptr : "", second.buf.ptr ? second.buf.ptr : "",
                        first.buf.len);
    wire_print(msg, version, in, &text);
    wire_print(msg, version, out, &again);
    assert_string_equal(text.ptr, again.ptr);
    for (size_t cut = 0; cut < first.buf.len; cut++)
        if (wire_decode(msg, version, str_of(first.buf.ptr, cut), out, NULL, arena, &err))
            fail_msg("%s v%d decodes from %zu of %zu bytes", msg->name, version, cut, first.buf.len);
    buf_fini(&text);
    buf_fini(&again);
    wire_out_fini(&first);
    wire_out_fini(&second);
}

static void roundtrip_all(const struct wire_message *msg)
{
    struct arena arena = {0};
    for (int16_t version = msg->versions.min; version <= msg->versions.max; version++) {
        roundtrip(msg, version, &arena);
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

static void test_every_message(void **state)
{
    static const char *const others[] = {"RequestHeader",     "ResponseHeader",      "OffsetCommitKey",
                                         "OffsetCommitValue", "GroupMetadataKey",    "GroupMetadataValue",
                                         "TransactionLogKey", "TransactionLogValue", "TopicKey",
                                         "TopicValue",        "ProducerIdsValue"};
    size_t count;
    const struct wire_api *apis = wire_api_all(&count);
    assert_true(count >= 22);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(wire_api_find(apis[i].api_key), &apis[i]);
        roundtrip_all(apis[i].request);
        roundtrip_all(apis[i].response);
    }
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        const struct wire_message *msg = wire_message_find(str_from(others[i]));
        assert_non_null(msg);
        roundtrip_all(msg);
    }
    assert_null(wire_message_find(STR("Nothing")));
}

static void test_print(void **state)
{
    struct buf text = {0}, buf = {0};
    struct HeartbeatRequest req;
    wire_init(&WIRE_HeartbeatRequest, &req);
    req.GroupId = STR("a\"b\n");
    req.GenerationId = 3;
    req.MemberId = STR("m");
    wire_print(&HeartbeatRequest_message, 3, &req, &text);
    assert_string_equal(
        text.ptr,
        "{\"GroupId\":\"a\\\"b\\u000a\",\"GenerationId\":3,\"MemberId\":\"m\",\"GroupInstanceId\":null}");
    buf_clear(&text);
    buf_clear(&text);
    struct ExpireDelegationTokenRequest secret = {.Hmac = STR("abc")};
    wire_print(&ExpireDelegationTokenRequest_message, 1, &secret, &text);
    assert_string_equal(text.ptr, "{\"Hmac\":\"(3 bytes hidden)\",\"ExpiryTimePeriodMs\":0}");
    buf_clear(&text);
    buf_append_uuid(&text, (struct uuid){{0xff, 0xff}});
    assert_string_equal(text.ptr, "__8AAAAAAAAAAAAAAAAAAA");
    buf_fini(&text);
    buf_fini(&buf);
}

/* Frames by hand: Heartbeat v0 of group g, generation 1, member "": 00 and its answer; version 99 of it; a record of
 * __consumer_offsets. */
static void test_describe(void **state)
{
    struct buf text = {0}, buf = {0}, key = {0};
    struct arena arena = {0};
    struct err err = {0};
    struct wire_request req;
    struct describe_lines lines;
    describe_lines_init(&lines, &text);
    struct describe *out = &lines.describe;
    assert_false(wire_describe_request(out, hex("000c 0000 00000002 ffff 0001 67 00000001 00", &buf), NULL,
                                       &req, &arena, &err));
    assert_int_equal(text.len, 0);
    assert_true(wire_describe_request(out, hex("000c 0000 00000002 ffff 0001 67 00000001 0000", &buf), NULL,
                                      &req, &arena, &err));
    assert_string_equal(text.ptr,
                        " bytes=19 api=Heartbeat api_key=12 version=0 correlation_id=2 "
                        "client_id=null body={\"GroupId\":\"g\",\"GenerationId\":1,\"MemberId\":\"\"}");
    buf_clear(&text);
    assert_true(
        wire_describe_request(out, hex("000c 0063 00000002 ffff 0001", &buf), NULL, &req, &arena, &err));
    assert_non_null(
        strstr(text.ptr, " version=99 correlation_id=2 client_id=null unknown_version=\"\\x00\\x01\""));
    buf_clear(&text);
    const struct wire_api *api = wire_api_find(12);
    assert_true(wire_describe_response(out, hex("00000002 0019", &buf), api, 0, NULL, &arena, &err));
    assert_string_equal(text.ptr, " bytes=6 api=Heartbeat api_key=12 version=0 correlation_id=2 "
                                  "body={\"ErrorCode\":25}");
    assert_false(wire_describe_response(out, hex("00000002 00", &buf), api, 0, NULL, &arena, &err));
    buf_clear(&text);
    static const char *const names[] = {"GroupMetadata", "OffsetCommit"};
    struct str k = hex("0001 0001 67 0001 74 00000003", &key);
    assert_true(wire_describe_typed(out, names, 2, k, STR_NULL));
    assert_string_equal(
        text.ptr, " type=OffsetCommit key={\"group\":\"g\",\"topic\":\"t\",\"partition\":3} value=null");
    buf_clear(&text);
    assert_true(
        wire_describe_typed(out, names, 2, k, hex("0000 0000000000000007 0001 6d 0000000000000009", &buf)));
    assert_non_null(
        strstr(text.ptr, " value_version=0 value={\"offset\":7,\"metadata\":\"m\",\"commitTimestamp\":9}"));
    buf_clear(&text);
    assert_true(wire_describe_typed(out, names, 2, k, STR("x")));
    assert_non_null(
        strstr(text.ptr, " value=x check=\"OffsetCommitValue of 1 bytes is too short for a version\""));
    assert_false(wire_describe_typed(out, names, 2, STR("k"), STR_NULL));
    static const char *const pair[] = {"OffsetCommit:ProducerIds"};
    buf_clear(&text);
    assert_true(wire_describe_typed(out, pair, 1, k, hex("0000 0000000000000007 00", &buf)));
    assert_non_null(strstr(text.ptr, " type=OffsetCommit key={"));
    assert_non_null(strstr(text.ptr, " value_version=0 value={\"NextProducerId\":7}"));
    buf_fini(&text);
    buf_fini(&buf);
    buf_fini(&key);
    arena_fini(&arena);
}

/* Keys and values of Kafka's own topics (OffsetCommitKey: type 1; value version 3). */
static void test_typed(void **state)
{
    struct buf out = {0};
    struct arena arena = {0};
    struct err err;
    struct OffsetCommitKey key = {.group = STR("g"), .topic = STR("t"), .partition = 2};
    wire_encode_typed(&OffsetCommitKey_message, 0, &key, &out);
    assert_hex(buf_str(&out), "0001 0001 67 0001 74 00000002");
    buf_clear(&out);
    struct OffsetCommitValue value = {.offset = 5,
                                      .leaderEpoch = -1,
                                      .metadata = STR("m"),
                                      .commitTimestamp = 6},
                             back;
    wire_encode_typed(&OffsetCommitValue_message, 3, &value, &out);
    assert_hex(buf_str(&out), "0003 0000000000000005 ffffffff 0001 6d 0000000000000006");
    assert_true(wire_decode_value(&OffsetCommitValue_message, buf_str(&out), &back, &arena, &err));
    assert_int_equal(back.offset, 5);
    out.ptr[1] = 99;
    assert_false(wire_decode_value(&OffsetCommitValue_message, buf_str(&out), &back, &arena, &err));
    arena_fini(&arena);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_header),
        cmocka_unit_test(test_api_versions_response),
        cmocka_unit_test(test_metadata_request),
        cmocka_unit_test(test_tagged_fields),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_lying_lengths),
        cmocka_unit_test(test_negative_lengths),
        cmocka_unit_test(test_every_message),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_typed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
