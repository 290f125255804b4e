/* test_serde.c - formats against the rules of the SQL reference (2.4) and ksqlDB's own cases (json,
 * delimited, kafka, decimal). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "serde/serde.h"
#include "type/decimal.h"

enum { COLUMNS_MAX = 16 };

static struct arena arena;
static struct value cells[COLUMNS_MAX];
static struct value *cols[COLUMNS_MAX];
static struct err err;

static int setup(void **state)
{
    for (size_t i = 0; i < COLUMNS_MAX; i++)
        cols[i] = &cells[i];
    return 0;
}

static int release(void **state)
{
    arena_fini(&arena);
    return 0;
}

static struct serde *make(const char *format, enum serde_side side, const struct column *columns,
                          uint32_t count, const struct serde_options *options)
{
    struct serde *serde = serde_new(serde_format_find(str_from(format)), side, columns, count, options, &err);
    if (serde == NULL)
        print_error("%s\n", err.text);
    assert_non_null(serde);
    return serde;
}

static void decode(struct serde *serde, const char *text)
{
    bool ok = serde_decode(serde, str_from(text), cols, 0, NULL, &arena, &err);
    if (!ok)
        print_error("%s: %s\n", text, err.text);
    assert_true(ok);
}

static void assert_decode_fails(struct serde *serde, struct str bytes, const char *message)
{
    assert_false(serde_decode(serde, bytes, cols, 0, NULL, &arena, &err));
    if (strstr(err.text, message) == NULL)
        print_error("got: %s\n", err.text);
    assert_non_null(strstr(err.text, message));
    assert_int_equal(err.code, ERR_SERIALIZATION);
}

/* The cell as CAST(.. AS STRING) shows it. */
static void assert_cell(uint32_t i, const struct sql_type *type, const char *text)
{
    struct buf out = {0};
    value_print(cells[i], type, &out);
    assert_string_equal(buf_str(&out).ptr, text);
    buf_fini(&out);
}

static void assert_encodes(struct serde *serde, const char *text)
{
    struct buf out = {0};
    bool null_record = true;
    const struct value *const_cols[COLUMNS_MAX];
    for (size_t i = 0; i < COLUMNS_MAX; i++)
        const_cols[i] = cols[i];
    assert_true(serde_encode(serde, const_cols, 0, &out, &null_record, &err));
    if (text == NULL)
        assert_true(null_record);
    else
        assert_string_equal(buf_str(&out).ptr, text);
    assert_int_equal(null_record, text == NULL);
    buf_fini(&out);
}

static struct column col(const char *name, const struct sql_type *type)
{
    return (struct column){.name = str_from(name), .type = type, .role = COLUMN_VALUE};
}

static void test_json_row(void **state)
{
    const struct column columns[] = {
        col("B", &type_boolean),
        col("I", &type_integer),
        col("L", &type_bigint),
        col("D", &type_double),
        col("S", &type_string),
        col("DEC", type_decimal(6, 4, &arena)),
        col("Y", &type_bytes),
        col("DT", &type_date),
        col("T", &type_time),
        col("TS", &type_timestamp),
        col("A", type_array(&type_string, &arena)),
        col("M", type_map(&type_string, &type_integer, &arena)),
    };
    struct serde *serde = make("json", SERDE_VALUE, columns, 12, NULL);
    decode(serde,
           "{\"b\":true,\"i\":-7,\"l\":998877665544332211,\"d\":1e3,\"s\":\"\\u00e9\",\"dec\":10,\"y\":\"AQI="
           "\",\"dt\":18000,"
           "\"t\":3600000,\"ts\":1590537598000,\"a\":[1,\"x\",null,[true]],\"m\":{\"k\":1,\"n\":null}}");
    assert_cell(5, columns[5].type, "10.0000");
    assert_cell(9, &type_timestamp, "2020-05-26T23:59:58.000");
    assert_cell(10, columns[10].type, "[1, x, null, [true]]");
    assert_cell(11, columns[11].type, "{k=1, n=null}");
    assert_encodes(
        serde,
        "{\"B\":true,\"I\":-7,\"L\":998877665544332211,\"D\":1000.0,\"S\":\"\xc3\xa9\",\"DEC\":10.0000,\"Y\":"
        "\"AQI=\",\"DT\":18000,"
        "\"T\":3600000,\"TS\":1590537598000,\"A\":[\"1\",\"x\",null,\"[true]\"],\"M\":{\"k\":1,\"n\":null}}");
    decode(serde, "{}");
    assert_encodes(serde, "{\"B\":null,\"I\":null,\"L\":null,\"D\":null,\"S\":null,\"DEC\":null,\"Y\":null,"
                          "\"DT\":null,\"T\":null,\"TS\":null,\"A\":null,\"M\":null}");
    assert_true(serde_is_null(serde, STR_NULL));
    assert_true(serde_is_null(serde, STR("")));
    assert_true(serde_is_null(serde, STR(" null ")));
    assert_false(serde_is_null(serde, STR("{}")));
    serde_free(serde);
}

static void test_json_coercions(void **state)
{
    const struct column columns[] = {col("I", &type_integer), col("L", &type_bigint), col("D", &type_double),
                                     col("S", &type_string), col("DEC", type_decimal(4, 2, &arena))};
    struct serde_options options = {.topic = STR_INIT("t")};
    struct serde *serde = make("JSON", SERDE_VALUE, columns, 5, &options);
    decode(serde, "{\"I\":\"12\",\"L\":3.99,\"D\":\"1.5\",\"S\":1.50,\"DEC\":\"9.1\"}");
    assert_encodes(serde, "{\"I\":12,\"L\":3,\"D\":1.5,\"S\":\"1.50\",\"DEC\":9.10}");
    decode(serde, "{\"S\":{\"b\" : [1, 2], \"a\":\"x\"}}");
    assert_cell(3, &type_string, "{\"b\":[1,2],\"a\":\"x\"}");
    decode(serde, "{\"S\":true,\"I\":2147483648}"); /* narrowing wraps, as intValue does */
    assert_cell(3, &type_string, "true");
    assert_int_equal(cells[0].l, INT32_MIN);
    assert_decode_fails(serde, STR("{\"I\":\"x\"}"),
                        "Failed to deserialize value from topic: t. Can't convert type. sourceType: "
                        "TextNode, requiredType: INTEGER, path: $.I");
    assert_decode_fails(serde, STR("{\"I\":true}"),
                        "sourceType: BooleanNode, requiredType: INTEGER, path: $.I");
    assert_decode_fails(serde, STR("{\"D\":[1]}"), "sourceType: ArrayNode, requiredType: DOUBLE, path: $.D");
    assert_decode_fails(serde, STR("{\"DEC\":100}"),
                        "Numeric field overflow: A field with precision 4 and scale 2 must round to an "
                        "absolute value less than 10^2. Got 100");
    assert_decode_fails(serde, STR("{\"DEC\":1.234}"),
                        "Cannot fit decimal '1.234' into DECIMAL(4, 2) without rounding. (Requires 4,3)");
    assert_decode_fails(serde, STR("{\"I\":1"), "JSON is not valid at position 6");
    assert_decode_fails(serde, STR("[1]"), "sourceType: ArrayNode, requiredType: STRUCT<`I` INTEGER");
    serde_free(serde);
}

static void test_json_wanted_and_padded(void **state)
{
    const struct column columns[] = {col("A", &type_string), col("B", &type_integer)};
    struct serde *serde = make("JSON", SERDE_VALUE, columns, 2, NULL);
    const bool wanted[] = {false, true};
    struct value *some[] = {NULL, &cells[1]};
    char bytes[128] = "{\"A\":[],\"B\":5}"; /* A is not wanted, so its type does not matter */
    serde_set_padded(serde, true);
    assert_true(serde_decode(serde, str_of(bytes, 14), some, 0, wanted, &arena, &err));
    assert_int_equal(cells[1].l, 5);
    assert_true(serde_decode(serde, STR_NULL, some, 0, wanted, &arena, &err));
    assert_true(value_is_null(cells[1]));
    serde_free(serde);
}

static void test_json_nested(void **state)
{
    const struct sql_field inner[] = {{STR_INIT("F0"), &type_integer}, {STR_INIT("f1"), &type_integer}};
    const struct sql_type *row = type_struct(inner, 2, &arena);
    const struct column columns[] = {
        col("S", row), col("AS", type_array(row, &arena)),
        col("MM", type_map(&type_string, type_map(&type_string, &type_double, &arena), &arena))};
    struct serde *serde = make("JSON", SERDE_VALUE, columns, 3, NULL);
    decode(serde, "{\"s\":{\"f0\":1,\"f1\":3,\"x\":{}},\"as\":[{\"F0\":2,\"f0\":9},null,{}],\"mm\":{\"a\":{"
                  "\"b\":1,\"b\":2},\"c\":{}}}");
    assert_cell(0, columns[0].type, "Struct{F0=1,f1=3}");
    assert_encodes(serde, "{\"S\":{\"F0\":1,\"f1\":3},\"AS\":[{\"F0\":2,\"f1\":null},null,{\"F0\":null,"
                          "\"f1\":null}],\"MM\":{\"a\":{\"b\":2.0},\"c\":{}}}");
    assert_decode_fails(serde, STR("{\"AS\":[{},{\"F0\":\"q\"}]}"),
                        "requiredType: INTEGER, path: $.AS[1].F0");
    assert_decode_fails(serde, STR("{\"S\":[]}"),
                        "sourceType: ArrayNode, requiredType: STRUCT<`F0` INTEGER, `f1` INTEGER>, path: $.S");
    assert_decode_fails(serde, STR("{\"S\":{\"F0\":1,}}"), "JSON is not valid");
    serde_free(serde);
}

static void test_json_bare(void **state)
{
    const struct column columns[] = {col("V", type_array(&type_double, &arena))};
    struct serde_options unwrap = {.wrap = SERDE_UNWRAP};
    struct serde *serde = make("JSON", SERDE_VALUE, columns, 1, &unwrap);
    decode(serde, " [10.10, null] ");
    assert_encodes(serde, "[10.1,null]");
    decode(serde, "null");
    assert_encodes(serde, NULL); /* a null record: a tombstone in tables */
    serde_free(serde);
    serde = make("JSON", SERDE_KEY, columns, 1, NULL); /* single keys are bare by default */
    decode(serde, "[1]");
    assert_encodes(serde, "[1.0]");
    serde_free(serde);
    serde = make("JSON", SERDE_VALUE, columns, 1, NULL); /* single values are wrapped by default */
    decode(serde, "{\"V\":null}");
    assert_encodes(serde, "{\"V\":null}");
    serde_free(serde);
}

static void test_json_doubles(void **state)
{
    const struct column columns[] = {col("V", &type_double)};
    struct serde *serde = make("JSON", SERDE_VALUE, columns, 1, NULL);
    cells[0] = value_double(NAN);
    assert_encodes(serde, "{\"V\":\"NaN\"}");
    decode(serde, "{\"V\":\"-Infinity\"}");
    assert_encodes(serde, "{\"V\":\"-Infinity\"}");
    cells[0] = value_double(1e10);
    assert_encodes(serde, "{\"V\":1.0E10}");
    serde_free(serde);
}

static void test_delimited(void **state)
{
    const struct column columns[] = {col("ID", &type_bigint), col("NAME", &type_string),
                                     col("VALUE", &type_integer)};
    struct serde_options options = {.topic = STR_INIT("t")};
    struct serde *serde = make("DELIMITED", SERDE_VALUE, columns, 3, &options);
    decode(serde, "0,zero,0");
    assert_encodes(serde, "0,zero,0");
    decode(serde, "\"1\",\"a \"\"b\"\", c\",");
    assert_cell(1, &type_string, "a \"b\", c");
    assert_true(value_is_null(cells[2]));
    assert_encodes(serde, "1,\"a \"\"b\"\", c\",");
    decode(serde, ",,\r\n");
    assert_encodes(serde, ",,");
    assert_decode_fails(serde, STR("1,2"),
                        "Column count mismatch on deserialization. topic: t, expected: 3, got: 2");
    assert_decode_fails(serde, STR("1,2,3,4"), "expected: 3, got: 4");
    assert_decode_fails(serde, STR(""), "No fields in record");
    assert_decode_fails(serde, STR("1,2,x"), "For input string: \"x\"");
    assert_decode_fails(serde, STR("1,\"2,3"), "EOF reached before encapsulated token finished");
    assert_decode_fails(serde, STR("1,\"2\"x,3"), "invalid char between encapsulated token and delimiter");
    serde_free(serde);
    options.delimiter = '\t';
    serde = make("DELIMITED", SERDE_VALUE, columns, 3, &options);
    decode(serde, "0\tzero, one\t-5");
    assert_encodes(serde, "0\tzero, one\t-5");
    serde_free(serde);
}

static void test_delimited_decimals(void **state)
{
    const struct column columns[] = {col("V", type_decimal(33, 16, &arena))};
    struct serde *serde = make("DELIMITED", SERDE_VALUE, columns, 1, NULL);
    static const char *const pairs[][2] = {
        {"12345678987654321.2345678987654321", "12345678987654321.2345678987654321"},
        {".12", "0.1200000000000000"},
        {"-12345.12", "\"-12345.1200000000000000\""},
        {"\"-12345.12\"", "\"-12345.1200000000000000\""},
        {"0", "0.0000000000000000"},
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        decode(serde, pairs[i][0]);
        assert_encodes(serde, pairs[i][1]);
    }
    serde_free(serde);
}

static void test_kafka(void **state)
{
    struct column column = col("V", &type_integer);
    struct serde *serde = make("KAFKA", SERDE_KEY, &column, 1, NULL);
    assert_true(serde_decode(serde, STR("\xff\xff\xff\xfe"), cols, 0, NULL, &arena, &err));
    assert_int_equal(cells[0].l, -2);
    assert_decode_fails(serde, STR("12345"), "Size of data received by IntegerDeserializer is not 4");
    cells[0] = VALUE_NULL;
    assert_encodes(serde, NULL);
    serde_free(serde);
    column.type = &type_double;
    serde = make("KAFKA", SERDE_VALUE, &column, 1, NULL);
    assert_true(serde_decode(serde, STR("\x3f\xf8\0\0\0\0\0\0"), cols, 0, NULL, &arena, &err));
    assert_true(cells[0].d == 1.5);
    serde_free(serde);
    column.type = &type_string;
    serde = make("KAFKA", SERDE_VALUE, &column, 1, NULL);
    decode(serde, "a\xff"
                  "b");
    assert_encodes(serde, "a\xef\xbf\xbd"
                          "b");
    serde_free(serde);
}

static void assert_refused(const char *format, enum serde_side side, const struct column *columns,
                           uint32_t count, enum serde_wrap wrap, const char *message)
{
    struct serde_options options = {.wrap = wrap};
    assert_null(serde_new(serde_format_find(str_from(format)), side, columns, count, &options, &err));
    if (strstr(err.text, message) == NULL)
        print_error("got: %s\n", err.text);
    assert_non_null(strstr(err.text, message));
}

static void test_checks(void **state)
{
    struct column array[] = {col("K", type_array(&type_double, &arena)), col("K2", &type_integer)};
    struct column ints[] = {col("K1", &type_integer), col("K2", &type_integer)};
    struct column map = col("K", type_map(&type_integer, &type_double, &arena));
    array[0].role = ints[0].role = ints[1].role = COLUMN_KEY;
    assert_refused("DELIMITED", SERDE_KEY, array, 1, SERDE_WRAP_DEFAULT,
                   "Key format does not support schema.\nformat: DELIMITED\nschema: Persistence{columns=[`K` "
                   "ARRAY<DOUBLE> KEY], features=[]}\n"
                   "reason: The 'DELIMITED' format does not support type 'ARRAY', column: `K`");
    assert_refused(
        "KAFKA", SERDE_KEY, ints, 2, SERDE_WRAP_DEFAULT,
        "Key format does not support schema.\nformat: KAFKA\nschema: Persistence{columns=[`K1` INTEGER KEY, "
        "`K2` INTEGER KEY], features=[]}\n"
        "reason: The 'KAFKA' format only supports a single field. Got: [`K1` INTEGER KEY, `K2` INTEGER KEY]");
    assert_refused("KAFKA", SERDE_KEY,
                   &(struct column){.name = STR("K"),
                                    .type = type_decimal(21, 19, &arena),
                                    .role = COLUMN_KEY},
                   1, SERDE_WRAP_DEFAULT, "The 'KAFKA' format does not support type 'DECIMAL'");
    assert_refused("NONE", SERDE_VALUE,
                   &(struct column){.name = STR("FOO"), .type = &type_integer, .role = COLUMN_VALUE}, 1,
                   SERDE_WRAP_DEFAULT,
                   "The 'NONE' format can only be used when no columns are defined. Got: [`FOO` INTEGER]");
    assert_refused("JSON", SERDE_VALUE, &map, 1, SERDE_WRAP_DEFAULT,
                   "JSON only supports MAP types with STRING keys");
    assert_refused("JSON", SERDE_KEY, &map, 1, SERDE_WRAP_DEFAULT,
                   "Key column name: `K`. Column type: MAP<INTEGER, DOUBLE>. See "
                   "https://github.com/confluentinc/ksql/issues/6621 for more.");
    assert_refused("KAFKA", SERDE_VALUE, ints, 1, SERDE_WRAP,
                   "Format 'KAFKA' does not support 'WRAP_SINGLE_VALUE' set to 'true'.");
    assert_refused("PROTOBUF", SERDE_VALUE, ints, 1, SERDE_UNWRAP,
                   "Format 'PROTOBUF' does not support 'WRAP_SINGLE_VALUE' set to 'false'.");
    assert_refused("JSON", SERDE_VALUE, ints, 2, SERDE_WRAP,
                   "'WRAP_SINGLE_VALUE' is only valid for single-field value schemas");
    assert_refused("AVRO", SERDE_VALUE, ints, 2, SERDE_WRAP_DEFAULT,
                   "The 'AVRO' format is not built into this version yet");
    assert_null(serde_format_find(STR("FOO")));
    char delimiter;
    assert_true(serde_parse_delimiter(STR("TAB"), &delimiter, &err) && delimiter == '\t');
    assert_true(serde_parse_delimiter(STR("|"), &delimiter, &err) && delimiter == '|');
    assert_false(serde_parse_delimiter(STR("||"), &delimiter, &err));
}

static void test_no_columns(void **state)
{
    struct serde *serde = make("NONE", SERDE_KEY, NULL, 0, NULL);
    decode(serde, "data that should be ignored");
    assert_encodes(serde, NULL);
    serde_free(serde);
    serde = make("KAFKA", SERDE_KEY, NULL, 0, NULL);
    decode(serde, "ignored");
    assert_encodes(serde, NULL);
    serde_free(serde);
}

static void test_windows(void **state)
{
    struct buf key = {0};
    buf_append_cstr(&key, "k");
    serde_append_session_window(&key, 10, 20);
    struct str bytes = buf_str(&key);
    assert_memory_equal(bytes.ptr, "k\0\0\0\0\0\0\0\x14\0\0\0\0\0\0\0\x0a", 17); /* end, then start */
    int64_t start, end;
    assert_true(serde_cut_session_window(&bytes, &start, &end, &err));
    assert_true(start == 10 && end == 20 && bytes.len == 1);
    assert_false(serde_cut_time_window(&bytes, &start, &err));
    buf_clear(&key);
    serde_append_time_window(&key, 60000);
    bytes = buf_str(&key);
    assert_true(serde_cut_time_window(&bytes, &start, &err) && start == 60000 && bytes.len == 0);
    buf_fini(&key);
}

static void assert_http(struct value v, const struct sql_type *type, const char *text)
{
    struct buf out = {0};
    struct json_writer writer = {.out = &out};
    serde_value_to_json(v, type, SERDE_JSON_HTTP, &writer);
    assert_string_equal(out.ptr, text);
    buf_fini(&out);
}

static void test_http_forms(void **state)
{
    assert_http(value_temporal(SQL_DATE, 18408), &type_date, "\"2020-05-26\"");
    assert_http(value_temporal(SQL_TIME, 5660000), &type_time, "\"01:34:20\"");
    assert_http(value_temporal(SQL_TIME, 5640000), &type_time, "\"01:34\"");
    assert_http(value_temporal(SQL_TIMESTAMP, 1590537598000), &type_timestamp, "\"2020-05-26T23:59:58.000\"");
    assert_http(value_decimal(decimal_parse(STR("0.0000001"), &arena)), type_decimal(8, 7, &arena),
                "0.0000001");
    assert_http(value_bytes(STR("\x01\x02")), &type_bytes, "\"AQI=\"");
    const struct sql_type *map = type_map(&type_integer, &type_string, &arena);
    const struct value entry[] = {value_int(1), value_str(STR("cat"))};
    assert_http(value_nested(SQL_MAP, entry, 1), map, "{\"1\":\"cat\"}");
    const struct value null_key[] = {VALUE_NULL, value_str(STR("cat"))};
    assert_http(value_nested(SQL_MAP, null_key, 1), map, "{\"null\":\"cat\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_json_row, setup, release),
        cmocka_unit_test_setup_teardown(test_json_coercions, setup, release),
        cmocka_unit_test_setup_teardown(test_json_wanted_and_padded, setup, release),
        cmocka_unit_test_setup_teardown(test_json_nested, setup, release),
        cmocka_unit_test_setup_teardown(test_json_bare, setup, release),
        cmocka_unit_test_setup_teardown(test_json_doubles, setup, release),
        cmocka_unit_test_setup_teardown(test_delimited, setup, release),
        cmocka_unit_test_setup_teardown(test_delimited_decimals, setup, release),
        cmocka_unit_test_setup_teardown(test_kafka, setup, release),
        cmocka_unit_test_setup_teardown(test_checks, setup, release),
        cmocka_unit_test_setup_teardown(test_no_columns, setup, release),
        cmocka_unit_test_setup_teardown(test_windows, setup, release),
        cmocka_unit_test_setup_teardown(test_http_forms, setup, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
