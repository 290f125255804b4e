/* Converters on any bytes: the first byte chooses the converter, the rest is the record. */
#include "connect/connect_int.h"

static void convert(const char *class, const char *settings, struct str bytes)
{
    struct arena arena = {0};
    struct err err;
    struct conf_pairs pairs;
    struct connect_data data;
    if (!pairs_of_json(json_parse(str_from(settings), &arena, &err), &pairs, &arena, &err))
        abort();
    struct converter *conv = converter_new(str_from(class), &pairs, "key.converter.", &err);
    for (int i = 0; i < 2; i++) { /* the second time with what was remembered */
        converter_begin_batch(conv);
        if (converter_read(conv, bytes, &data, &arena, &err) && data.schema != NULL)
            for (uint32_t f = 0; f < data.schema->field_count; f++) {
                struct buf text = {0};
                struct json_writer out = {.out = &text};
                if (data.schema->fields[f].type.type != &type_null)
                    connect_value_to_json(data.values[f], data.schema->fields[f].type.type, &out);
                buf_fini(&text);
            }
    }
    converter_free(conv);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct {
        const char *class, *settings;
    } cases[] = {
        {"JsonConverter", "{}"},
        {"JsonConverter", "{\"key.converter\":\"JsonConverter\"}"},
        {"JsonConverter", "{\"key.converter.window.size.ms\":3000}"},
        {"StringConverter", "{\"key.converter.window.session\":true}"},
        {"LongConverter", "{}"},
        {"BooleanConverter", "{}"},
    };
    if (size == 0)
        return 0;
    size_t i = bytes[0] % COUNT_OF(cases);
    convert(cases[i].class, cases[i].settings, str_of((const char *)bytes + 1, size - 1));
    return 0;
}
