/* fuzz_serde_json.c - arbitrary bytes as JSON, DELIMITED and KAFKA records: decoding ends in values or an
 * error; what was decoded can be encoded, and decodes again to equal values. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "serde/serde.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COLUMNS = 9 };

static void round_trip(const char *format, struct str bytes, const struct column *columns, uint32_t count,
                       struct arena *arena)
{
    struct serde *serde =
        serde_new(serde_format_find(str_from(format)), SERDE_VALUE, columns, count, NULL, NULL);
    ASSERT(serde != NULL);
    struct value first[COLUMNS], second[COLUMNS];
    struct value *cols[COLUMNS], *cols2[COLUMNS];
    const struct value *in[COLUMNS];
    for (uint32_t i = 0; i < COLUMNS; i++) {
        in[i] = cols[i] = &first[i];
        cols2[i] = &second[i];
    }
    struct buf out = {0};
    bool null_record;
    if (serde_decode(serde, bytes, cols, 0, NULL, arena, NULL)) {
        ASSERT(serde_encode(serde, in, 0, &out, &null_record, NULL));
        struct str again = null_record ? STR_NULL : buf_str(&out);
        struct err err = {0};
        if (serde_decode(serde, again, cols2, 0, NULL, arena, &err)) {
            for (uint32_t i = 0; i < count; i++)
                ASSERT(value_eq(first[i], second[i]) || columns[i].type->kind == SQL_STRING);
        } else {
            ASSERT_CMP(count, ==, 1); /* a single empty text is an empty line, which holds no field */
        }
    }
    buf_fini(&out);
    serde_free(serde);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    const struct sql_field fields[] = {{STR_INIT("F"), &type_integer}, {STR_INIT("G"), &type_string}};
    const struct column columns[COLUMNS] = {
        {.name = STR("I"), .type = &type_integer, .role = COLUMN_VALUE},
        {.name = STR("L"), .type = &type_bigint, .role = COLUMN_VALUE},
        {.name = STR("D"), .type = &type_double, .role = COLUMN_VALUE},
        {.name = STR("S"), .type = &type_string, .role = COLUMN_VALUE},
        {.name = STR("N"), .type = type_decimal(10, 2, &arena), .role = COLUMN_VALUE},
        {.name = STR("B"), .type = &type_boolean, .role = COLUMN_VALUE},
        {.name = STR("A"), .type = type_array(&type_string, &arena), .role = COLUMN_VALUE},
        {.name = STR("M"), .type = type_map(&type_string, &type_double, &arena), .role = COLUMN_VALUE},
        {.name = STR("R"), .type = type_struct(fields, 2, &arena), .role = COLUMN_VALUE},
    };
    struct str bytes = str_of((const char *)data, size);
    round_trip("JSON", bytes, columns, COLUMNS, &arena);
    round_trip("DELIMITED", bytes, columns, 6, &arena);
    round_trip("KAFKA", bytes, &columns[size % 4], 1, &arena);
    arena_fini(&arena);
    return 0;
}
