/* print_format.c - the formats that PRINT guesses for keys and values of a topic.
 *
 *   candidates     JSON  KAFKA_INT  KAFKA_BIGINT  KAFKA_DOUBLE  KAFKA_STRING
 *   of keys also   SESSION(..)  HOPPING(..)  TUMBLING(..)          bytes of the key, then the window's times
 *
 * All are possible at first; one that a record does not fit is out for the rest of the run. Records are printed by the
 * first that is left, as raw bytes when none is. Bytes with a time at their end are taken for a window's only if the time is
 * one of this epoch's calendar: most strings that end in eight characters are none.
 */
#include "engine/print_int.h"

enum format { FORMAT_JSON, FORMAT_INT, FORMAT_BIGINT, FORMAT_DOUBLE, FORMAT_STRING, FORMAT_COUNT };
enum wrap { WRAP_SESSION, WRAP_HOPPING, WRAP_TUMBLING, WRAP_NONE, WRAP_COUNT };

static const char *const format_names[] = {"JSON", "KAFKA_INT", "KAFKA_BIGINT", "KAFKA_DOUBLE",
                                           "KAFKA_STRING"};
static const char *const wrap_names[] = {"SESSION", "HOPPING", "TUMBLING", ""};

static const int64_t time_ms_max = 253402300799999; /* 9999-12-31 23:59:59.999 */

/* The bytes inside of a window's, and its times. */
struct inner {
    struct str bytes;
    int64_t start_ms, end_ms; /* -1: none */
};

static bool is_time(int64_t ms)
{
    return ms >= 0 && ms <= time_ms_max;
}

static bool unwrap(enum wrap wrap, struct str bytes, struct inner *out)
{
    size_t times = wrap == WRAP_NONE ? 0 : wrap == WRAP_SESSION ? 16 : 8;
    *out = (struct inner){bytes, -1, -1};
    if (times == 0)
        return true;
    if (bytes.len <= times)
        return false;
    const char *at = bytes.ptr + bytes.len - 8;
    out->bytes = str_sub(bytes, 0, bytes.len - times);
    out->start_ms = (int64_t)load_be64(at);
    out->end_ms = wrap == WRAP_SESSION ? (int64_t)load_be64(at - 8) : -1;
    return is_time(out->start_ms) &&
           (wrap != WRAP_SESSION || (is_time(out->end_ms) && out->start_ms <= out->end_ms));
}

static bool fits(enum format format, struct str bytes)
{
    switch (format) {
    case FORMAT_JSON: {
        struct arena arena = {0};
        bool good = json_parse(bytes, &arena, NULL) != NULL;
        arena_fini(&arena);
        return good;
    }
    case FORMAT_INT:
        return bytes.len == 4;
    case FORMAT_BIGINT:
    case FORMAT_DOUBLE:
        return bytes.len == 8;
    default:
        return utf8_valid(bytes);
    }
}

void print_guess_init(struct print_guess *guess, bool is_key)
{
    *guess = (struct print_guess){0};
    for (int wrap = is_key ? WRAP_SESSION : WRAP_NONE; wrap < WRAP_COUNT; wrap++)
        for (int format = 0; format < FORMAT_COUNT; format++)
            guess->left |= 1u << (wrap * FORMAT_COUNT + format);
}

void print_guess_narrow(struct print_guess *guess, struct str bytes)
{
    struct inner inner;
    if (str_is_null(bytes))
        return;
    guess->seen = true;
    for (int wrap = 0; wrap < WRAP_COUNT; wrap++) {
        bool whole = unwrap(wrap, bytes, &inner);
        for (int format = 0; format < FORMAT_COUNT; format++) {
            uint32_t bit = 1u << (wrap * FORMAT_COUNT + format);
            if ((guess->left & bit) && !(whole && fits(format, inner.bytes)))
                guess->left &= ~bit;
        }
    }
}

void print_guess_names(const struct print_guess *guess, struct buf *out)
{
    const char *separator = "";
    if (!guess->seen)
        buf_append_cstr(out, "\xc2\xaf\\_(\xe3\x83\x84)_/\xc2\xaf - no data processed");
    else if (guess->left == 0)
        buf_append_cstr(out, "UNRECOGNISED_BYTES");
    for (int i = 0; guess->seen && i < WRAP_COUNT * FORMAT_COUNT; i++) {
        if (!(guess->left & (1u << i)))
            continue;
        bool wrapped = i / FORMAT_COUNT != WRAP_NONE;
        buf_printf(out, "%s%s%s%s%s", separator, wrap_names[i / FORMAT_COUNT], wrapped ? "(" : "",
                   format_names[i % FORMAT_COUNT], wrapped ? ")" : "");
        separator = " or ";
    }
}

/* As Kafka's Bytes prints itself. */
static void put_bytes(struct buf *out, struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        if (c >= 0x20 && c < 0x7f && c != '\\')
            buf_append_char(out, (char)c);
        else
            buf_printf(out, "\\x%02X", c);
    }
}

static void put_value(struct buf *out, enum format format, struct str bytes)
{
    switch (format) {
    case FORMAT_JSON: {
        struct arena arena = {0};
        struct json_writer writer = {.out = out};
        json_tree(&writer, json_parse(bytes, &arena, NULL)); /* on one line, whatever its layout was */
        arena_fini(&arena);
        break;
    }
    case FORMAT_INT:
        buf_append_i64(out, (int32_t)load_be32(bytes.ptr));
        break;
    case FORMAT_BIGINT:
        buf_append_i64(out, (int64_t)load_be64(bytes.ptr));
        break;
    case FORMAT_DOUBLE: {
        uint64_t bits = load_be64(bytes.ptr);
        double d;
        memcpy(&d, &bits, sizeof d);
        buf_append_double(out, d);
        break;
    }
    default:
        buf_append_str(out, bytes);
    }
}

void print_guess_put(const struct print_guess *guess, struct str bytes, struct buf *out)
{
    struct inner inner;
    if (str_is_null(bytes)) {
        buf_append_cstr(out, "<null>");
        return;
    }
    if (guess->left == 0) {
        put_bytes(out, bytes);
        return;
    }
    int first = __builtin_ctz(guess->left);
    bool whole = unwrap(first / FORMAT_COUNT, bytes, &inner);
    ASSERT(whole); /* it was narrowed by these bytes */
    bool wrapped = first / FORMAT_COUNT != WRAP_NONE;
    if (wrapped)
        buf_append_char(out, '[');
    put_value(out, first % FORMAT_COUNT, inner.bytes);
    if (!wrapped)
        return;
    buf_printf(out, "@%" PRId64 "/", inner.start_ms);
    if (inner.end_ms >= 0)
        buf_append_i64(out, inner.end_ms);
    else
        buf_append_char(out, '-');
    buf_append_char(out, ']');
}
