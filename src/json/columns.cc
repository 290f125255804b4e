/* columns.cc - the column reader: wanted members of one JSON object, through simdjson's On-Demand front end.
 *
 *   text --simdjson stage 1--> structural positions, UTF-8 and quotes checked      ~1 ns per 3 bytes
 *        --walk the members--> key bytes against the shape remembered for this position
 *                              value token -> kind + slice; nothing is converted here
 *
 * Shape: for the n-th member of an object, the key bytes seen there last and the columns they belong to.
 * Records of one producer have one shape, so a key costs one comparison; a miss costs two hash lookups and
 * renews the entry.
 *
 * Flat objects of the remembered shape do not come this far: flat.c reads them in half the time, and hands
 * everything that is nested, escaped or unusual to this reader.
 *
 * (C1) On-Demand checks only what is looked at. Here every member is looked at: scalars by their full
 *      grammar, skipped arrays and objects by the scanner. Wanted arrays and objects are checked by whoever
 *      reads them on.
 * (C2) No exception leaves this file; it is the only one of the module that is not C.
 * (C3) Steady state allocates nothing but unescaped strings, in the caller's arena.
 * Decided against: simdjson's string conversion, which copies every string; most need no copy.
 */
#include <simdjson.h>

#include <new>

extern "C" {
#include "json/json_int.h"
}

namespace
{

using member_value = simdjson::ondemand::value;

} // namespace

struct json_columns {
    simdjson::ondemand::parser parser;
    struct map index; /* name -> column number + 1 */
    uint32_t name_count;
    struct json_shape_entry shape[JSON_SHAPE_MEMBERS];
};

namespace
{

static_assert(JSON_PADDING >= simdjson::SIMDJSON_PADDING, "the padding that callers promise");
static_assert((int)JSON_SHAPE_KEY_BYTES + 8 < (int)JSON_PADDING,
              "a key is compared without looking for its end first");

/* Is there a backslash in the text? Eight bytes a step: texts are short, and a call of memchr costs more
 * than the search. */
inline bool has_backslash(struct str text)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    size_t i = 0;
    for (; i + 8 <= text.len; i += 8) {
        uint64_t eight;
        memcpy(&eight, text.ptr + i, 8);
        eight ^= ones * '\\';
        if (((eight - ones) & ~eight & highs) != 0)
            return true;
    }
    for (; i < text.len; i++)
        if (text.ptr[i] == '\\')
            return true;
    return false;
}

int32_t find_column(const struct json_columns *columns, struct str name)
{
    return (int32_t)(intptr_t)map_get(&columns->index, name) - 1;
}

struct json_match match_key(const struct json_columns *columns, struct str key, struct arena *arena)
{
    struct json_match match = {find_column(columns, key), -1};
    match.upper = find_column(columns, str_upper(key, arena));
    if (match.upper == match.exact)
        match.upper = -1;
    return match;
}

/* The key behind the opening quote `raw`, which stage 1 has seen to be closed. */
bool resolve_key(struct json_columns *columns, size_t ordinal, const char *raw, struct arena *arena,
                 struct json_match *match, const char **bad)
{
    struct json_shape_entry *entry = ordinal < JSON_SHAPE_MEMBERS ? &columns->shape[ordinal] : nullptr;
    if (entry != nullptr && json_shape_fits(entry, raw)) {
        *match = entry->match;
        return true;
    }
    const char *end = raw;
    bool escapes = false;
    for (; *end != '"'; end++)
        if (*end == '\\') {
            escapes = true;
            end++;
        }
    struct str key = str_of(raw, (size_t)(end - raw));
    if (escapes && !json_unescape(key, arena, &key, bad))
        return false;
    *match = match_key(columns, key, arena);
    if (entry != nullptr && !escapes && key.len != 0 && key.len <= JSON_SHAPE_KEY_BYTES) {
        entry->match = *match;
        entry->key_len = (uint8_t)key.len;
        memcpy(entry->key, key.ptr, key.len);
    }
    return true;
}

struct str trim_end(std::string_view text)
{
    size_t len = text.size();
    while (len != 0 &&
           (text[len - 1] == ' ' || text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == '\t'))
        len--;
    return str_of(text.data(), len);
}

struct reader {
    struct json_columns *columns;
    const char *start;
    struct arena *arena;
    struct err *err;

    bool fail(const char *at, const char *what) const
    {
        return json_fail(err, (size_t)(at - start), what);
    }

    bool read_string(struct str token, struct json_field *out) const
    {
        out->kind = JSON_FIELD_STRING;
        if (token.len < 2 || token.ptr[token.len - 1] != '"')
            return fail(token.ptr, "the string does not end");
        out->text = str_of(token.ptr + 1, token.len - 2);
        if (!has_backslash(out->text))
            return true;
        const char *bad = nullptr;
        return json_unescape(out->text, arena, &out->text, &bad) || fail(bad, "unknown escape");
    }

    bool read_number(struct str token, struct json_field *out) const
    {
        out->kind = JSON_FIELD_NUMBER;
        out->text = token;
        const char *end = json_number_end(token.ptr, token.ptr + token.len);
        return end == token.ptr + token.len ||
               fail(token.ptr, end == nullptr ? "expected a value" : "the number is malformed");
    }

    bool read_word(struct str token, struct str word, uint8_t kind, struct json_field *out) const
    {
        out->kind = kind;
        out->text = token;
        return str_eq(token, word) || fail(token.ptr, "expected a value");
    }

    bool read_nested(member_value &value, char open, bool wanted, struct json_field *out) const
    {
        std::string_view raw;
        simdjson::ondemand::object object;
        simdjson::ondemand::array array;
        simdjson::error_code code =
            open == '{' ? value.get_object().get(object) : value.get_array().get(array);
        if (code == simdjson::SUCCESS)
            code = open == '{' ? object.raw_json().get(raw) : array.raw_json().get(raw);
        if (code != simdjson::SUCCESS)
            return fail(start, simdjson::error_message(code));
        out->kind = open == '{' ? JSON_FIELD_OBJECT : JSON_FIELD_ARRAY;
        out->text = trim_end(raw);
        if (wanted)
            return true;
        struct json_scan scan;
        json_scan_init(&scan, out->text, arena, err);
        scan.start = start; /* positions count from the whole text */
        scan.depth = 1;
        return json_scan_skip(&scan, nullptr) && json_scan_end(&scan);
    }

    bool read_value(member_value &value, bool wanted, struct json_field *out) const
    {
        std::string_view raw = value.raw_json_token();
        if (raw.empty())
            return fail(raw.data(), "expected a value");
        switch (raw[0]) {
        case '{':
        case '[':
            return read_nested(value, raw[0], wanted, out);
        case '"':
            return read_string(trim_end(raw), out);
        case 't':
            return read_word(trim_end(raw), STR("true"), JSON_FIELD_TRUE, out);
        case 'f':
            return read_word(trim_end(raw), STR("false"), JSON_FIELD_FALSE, out);
        case 'n':
            return read_word(trim_end(raw), STR("null"), JSON_FIELD_NULL, out);
        default:
            return read_number(trim_end(raw), out);
        }
    }

    bool read_member(simdjson::ondemand::field &field, size_t ordinal, const bool *wanted,
                     struct json_field *out) const
    {
        struct json_match match;
        const char *bad = nullptr;
        if (!resolve_key(columns, ordinal, field.key().raw(), arena, &match, &bad))
            return fail(bad, "unknown escape");
        bool exact = match.exact >= 0 && (wanted == nullptr || wanted[match.exact]);
        bool upper = match.upper >= 0 && (wanted == nullptr || wanted[match.upper]);
        struct json_field found = {};
        if (!read_value(field.value(), exact || upper, &found))
            return false;
        json_match_put(match, wanted, found, out);
        return true;
    }

    bool read_object(struct str text, const bool *wanted, struct json_field *out) const
    {
        simdjson::ondemand::document document;
        simdjson::ondemand::object object;
        simdjson::padded_string_view view(text.ptr, text.len, text.len + JSON_PADDING);
        simdjson::error_code code = columns->parser.iterate(view).get(document);
        if (code == simdjson::SUCCESS)
            code = document.get_object().get(object);
        size_t ordinal = 0;
        if (code == simdjson::SUCCESS) {
            for (auto member : object) {
                simdjson::ondemand::field field;
                if ((code = std::move(member).get(field)) != simdjson::SUCCESS)
                    break;
                if (!read_member(field, ordinal++, wanted, out))
                    return false;
            }
        }
        if (code != simdjson::SUCCESS)
            return broken(text, code);
        bool at_end = document.current_location().error() == simdjson::OUT_OF_BOUNDS;
        return at_end || broken(text, simdjson::TRAILING_CONTENT);
    }

    /* simdjson's first stage knows no position: the scanner finds it, and words the error. */
    bool broken(struct str text, simdjson::error_code code) const
    {
        struct json_scan scan;
        json_scan_init(&scan, text, arena, err);
        if (!json_scan_skip(&scan, nullptr) || !json_scan_end(&scan))
            return false;
        return err_set(err, ERR_SERIALIZATION, "JSON cannot be read as an object: %s",
                       simdjson::error_message(code));
    }
};

} // namespace

extern "C" struct json_columns *json_columns_new(const struct str *names, uint32_t name_count)
{
    struct json_columns *columns = new (std::nothrow) json_columns();
    ASSERT(columns != nullptr);
    columns->name_count = name_count;
    for (uint32_t i = 0; i < name_count; i++)
        map_put(&columns->index, names[i], (void *)((intptr_t)i + 1));
    return columns;
}

extern "C" void json_columns_free(struct json_columns *columns)
{
    if (columns == nullptr)
        return;
    map_fini(&columns->index);
    delete columns;
}

namespace
{

void clear_fields(const struct json_columns *columns, const bool *wanted, struct json_field *out)
{
    for (uint32_t i = 0; i < columns->name_count; i++)
        if (wanted == nullptr || wanted[i])
            out[i] = json_field{};
}

} // namespace

extern "C" bool json_columns_read(struct json_columns *columns, struct str text, bool padded,
                                  const bool *wanted, struct json_field *out, struct arena *arena,
                                  struct err *err)
{
    if (!padded) {
        char *copy = (char *)arena_alloc_bytes(arena, text.len + JSON_PADDING);
        if (text.len != 0)
            memcpy(copy, text.ptr, text.len);
        memset(copy + text.len, ' ', JSON_PADDING);
        text.ptr = copy;
    }
    clear_fields(columns, wanted, out);
    if (json_flat_read(columns->shape, text, wanted, out))
        return true;
    clear_fields(columns, wanted, out);
    struct reader reader = {columns, text.ptr, arena, err};
    try {
        return reader.read_object(text, wanted, out);
    } catch (const std::exception &error) {
        return err_set(err, ERR_INTERNAL, "JSON reader: %s", error.what());
    }
}
