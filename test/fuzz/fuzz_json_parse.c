/* fuzz_json_parse.c - the tree reader and the column reader must accept the same objects, and what the
 * writer makes of a tree must parse to an equal tree. */
#include <stdint.h>
#include <stdlib.h>

#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NAMES = 3 };

static bool fields_are_whole(const struct json_field *fields, struct arena *arena)
{
    for (size_t i = 0; i < NAMES; i++) {
        struct json_scan scan;
        json_scan_init(&scan, fields[i].text, arena, NULL);
        if ((fields[i].kind == JSON_FIELD_ARRAY || fields[i].kind == JSON_FIELD_OBJECT) &&
            (!json_scan_skip(&scan, NULL) || !json_scan_end(&scan)))
            return false;
    }
    return true;
}

/* Reads twice: the second time the reader knows the shape and may go the short way, with the same result.
 * Then once more without the last byte, which the short way must not find in the padding. */
static bool columns_accept(struct str text, struct arena *arena)
{
    const struct str names[NAMES] = {STR_INIT("A"), STR_INIT("b"), STR_INIT("AMOUNT")};
    struct json_columns *columns = json_columns_new(names, NAMES);
    struct json_field first[NAMES], second[NAMES];
    char *padded = arena_alloc_bytes(arena, text.len + JSON_PADDING);
    memset(padded, '}', text.len + JSON_PADDING);
    if (text.len != 0)
        memcpy(padded, text.ptr, text.len);
    text.ptr = padded;
    bool ok = json_columns_read(columns, text, true, NULL, first, arena, NULL);
    ASSERT_CMP(ok, ==, json_columns_read(columns, text, true, NULL, second, arena, NULL));
    for (size_t i = 0; ok && i < NAMES; i++)
        ASSERT(first[i].kind == second[i].kind && first[i].exact == second[i].exact &&
               str_eq(first[i].text, second[i].text));
    if (ok && padded[text.len - 1] == '}')
        ASSERT(!json_columns_read(columns, str_of(padded, text.len - 1), true, NULL, second, arena, NULL));
    ok = ok && fields_are_whole(first, arena);
    json_columns_free(columns);
    return ok;
}

/* A member that is read twice under one name keeps only the last: text that is broken in an earlier one may
 * pass. */
static bool has_names_twice(const struct json_value *object)
{
    for (uint32_t i = 0; i < object->len; i++)
        for (uint32_t j = i + 1; j < object->len; j++)
            if (str_eq_nocase(object->members[i].name, object->members[j].name))
                return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct str text = str_of((const char *)data, size);
    const struct json_value *tree = json_parse(text, &arena, NULL);
    bool accepted = columns_accept(text, &arena);
    if (tree != NULL && tree->kind == JSON_OBJECT)
        ASSERT(accepted || has_names_twice(tree));
    if (tree != NULL) {
        struct buf out = {0};
        struct json_writer writer = {.out = &out};
        json_tree(&writer, tree);
        const struct json_value *again = json_parse(buf_str(&out), &arena, NULL);
        ASSERT(again != NULL && (tree->kind == JSON_OBJECT || json_eq(tree, again)));
        buf_fini(&out);
    }
    arena_fini(&arena);
    return 0;
}
