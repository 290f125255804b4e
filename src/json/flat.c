/* flat.c - the short way for records: flat objects whose keys stand where they stood in the record before.
 *
 *     {"user_id":"3-dora","amount":30,"ts":1700000000123}
 *      `-key n--- compared with the shape, not searched
 *                 `string, number, true, false, null: one pass, eight bytes a step
 *
 * (F1) It only says yes to what the general reader accepts with the same result; any doubt is a no:
 *      escapes, nesting, white space other than one blank, an unknown key, broken text. Then the general
 *      reader starts over, and finds and words errors.
 * (F2) It may look at padding behind the text, whose contents do not matter: `at` running beyond `end` is a
 *      no.
 * Why beside simdjson: its first stage and its iterator cost a record of 125 bytes about 120 ns, this pass
 * less than half.
 */
#include "json/json_int.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte of a load is its lowest");

/* From behind the opening quote to the closing one; NULL when the string holds an escape, a control
 * character, bad UTF-8, or does not end. */
static const char *string_end(const char *first, const char *end)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t beyond_ascii = 0;
    for (const char *at = first; at < end; at += 8) {
        uint64_t eight;
        memcpy(&eight, at, 8);
        uint64_t quote = eight ^ (ones * '"'), slash = eight ^ (ones * '\\');
        uint64_t stop =
            (((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((eight - ones * 0x20) & ~eight)) &
            highs;
        if (stop == 0) {
            beyond_ascii |= eight & highs;
            continue;
        }
        int bit = __builtin_ctzll(stop); /* the lowest hit is exact; those above it may be borrows */
        at += bit / 8;
        beyond_ascii |= eight & highs & (((uint64_t)1 << (bit & ~7)) - 1);
        if (at >= end || *at != '"')
            return NULL;
        return beyond_ascii == 0 || utf8_valid(str_of(first, (size_t)(at - first))) ? at : NULL;
    }
    return NULL;
}

static const char *word_end(const char *at, const char *end, struct str word)
{
    return (size_t)(end - at) >= word.len && memcmp(at, word.ptr, word.len) == 0 ? at + word.len : NULL;
}

/* Reads a scalar and returns its end; NULL for all else. */
static const char *read_scalar(const char *at, const char *end, struct json_field *out)
{
    const char *stop;
    switch (*at) {
    case '"':
        out->kind = JSON_FIELD_STRING;
        stop = string_end(at + 1, end);
        if (stop == NULL)
            return NULL;
        out->text = str_of(at + 1, (size_t)(stop - at - 1));
        return stop + 1;
    case 't':
        out->kind = JSON_FIELD_TRUE;
        stop = word_end(at, end, STR("true"));
        break;
    case 'f':
        out->kind = JSON_FIELD_FALSE;
        stop = word_end(at, end, STR("false"));
        break;
    case 'n':
        out->kind = JSON_FIELD_NULL;
        stop = word_end(at, end, STR("null"));
        break;
    default:
        out->kind = JSON_FIELD_NUMBER;
        stop = json_number_end(at, end);
    }
    if (stop != NULL)
        out->text = str_of(at, (size_t)(stop - at));
    return stop;
}

bool json_flat_read(const struct json_shape_entry *shape, struct str text, const bool *wanted,
                    struct json_field *out)
{
    const char *at = text.ptr, *end = at + text.len;
    if (text.len == 0 || *at++ != '{')
        return false;
    for (size_t ordinal = 0; ordinal < JSON_SHAPE_MEMBERS && at < end; ordinal++) {
        const struct json_shape_entry *entry = &shape[ordinal];
        if (*at++ != '"' || !json_shape_fits(entry, at))
            return false;
        at += entry->key_len + 1;
        if (*at++ != ':')
            return false;
        at += *at == ' ';
        struct json_field found = {0};
        if (at >= end || (at = read_scalar(at, end, &found)) == NULL)
            return false;
        json_match_put(entry->match, wanted, found, out);
        if (at >= end || *at != ',')
            return at + 1 == end && *at == '}';
        at++;
        at += *at == ' ';
    }
    return false;
}
