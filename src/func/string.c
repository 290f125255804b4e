/* string.c - functions of text: length, case, parts, search, padding, splitting.
 *
 * Positions count characters from 1, negative ones from the end. Functions that also take BYTES count
 * bytes there and share their code: the slice of a value tells which by the value's kind.
 */
#include "func/func_int.h"

#define SCALAR(name) \
    static void name(struct func_ctx *ctx, const struct value *args, uint32_t arg_count, struct value *out)

enum { TEXT_BYTES_MAX = INT32_MAX };

static size_t length_of(struct value v)
{
    return v.kind == SQL_BYTES ? v.len : text_length(value_slice(v));
}

static size_t offset_of(struct value v, size_t n)
{
    return v.kind == SQL_BYTES ? MIN(n, v.len) : text_offset(value_slice(v), n);
}

/* A slice of v between two positions counted from 0; nothing is copied. */
static struct value part_of(struct value v, size_t from, size_t to)
{
    size_t start = offset_of(v, from);
    size_t end =
        start +
        offset_of((struct value){.kind = v.kind, .len = v.len - (uint32_t)start, .ptr = v.ptr + start},
                  to - from);
    return (struct value){.kind = v.kind, .len = (uint32_t)(end - start), .ptr = v.ptr + start};
}

SCALAR(fn_ucase)
{
    *out = value_str(text_upper(value_slice(args[0]), ctx->arena));
}

SCALAR(fn_lcase)
{
    *out = value_str(text_lower(value_slice(args[0]), ctx->arena));
}

/* Java counts UTF-16 units: a character of four bytes counts twice. */
SCALAR(fn_len)
{
    size_t n = length_of(args[0]);
    for (uint32_t i = 0; args[0].kind == SQL_STRING && i < args[0].len; i++)
        n += (unsigned char)args[0].ptr[i] >= 0xf0;
    *out = value_int((int32_t)n);
}

static struct value join(struct func_ctx *ctx, const struct value *parts, uint32_t count,
                         struct str separator, enum sql_kind kind)
{
    struct buf text = {0};
    bool first = true;
    for (uint32_t i = 0; i < count; i++) {
        if (value_is_null(parts[i]))
            continue;
        if (!first)
            buf_append_str(&text, separator);
        buf_append_str(&text, value_slice(parts[i]));
        first = false;
    }
    struct value joined = func_take_text(ctx, &text);
    joined.kind = (uint8_t)kind;
    return joined;
}

SCALAR(fn_concat)
{
    *out = join(ctx, args, arg_count, STR(""), ctx->call->result->kind);
}

SCALAR(fn_concat_ws)
{
    if (arg_count > 0 && !value_is_null(args[0]))
        *out = join(ctx, args + 1, arg_count - 1, value_slice(args[0]), ctx->call->result->kind);
}

SCALAR(fn_substring)
{
    int64_t length = (int64_t)length_of(args[0]), pos = args[1].l;
    int64_t from = pos < 0 ? MAX(length + pos, 0) : MAX(MIN(pos - 1, length), 0);
    int64_t to = arg_count > 2 ? MAX(MIN(from + args[2].l, length), from) : length;
    *out = part_of(args[0], (size_t)from, (size_t)to);
}

/* String.trim: all characters up to the blank. */
SCALAR(fn_trim)
{
    struct str s = value_slice(args[0]);
    while (s.len > 0 && (unsigned char)s.ptr[0] <= ' ')
        s = str_sub(s, 1, s.len);
    while (s.len > 0 && (unsigned char)s.ptr[s.len - 1] <= ' ')
        s.len--;
    *out = value_str(s);
}

/* An empty search text matches before each character and at the end, as String.replace has it. */
static void replace_empty(struct buf *text, struct str s, struct str by)
{
    buf_append_str(text, by);
    for (size_t at = 0, len; at < s.len; at += len) {
        len = text_char_len(str_sub(s, at, s.len));
        buf_append(text, s.ptr + at, len);
        buf_append_str(text, by);
    }
}

SCALAR(fn_replace)
{
    struct str rest = value_slice(args[0]), old = value_slice(args[1]), by = value_slice(args[2]);
    struct buf text = {0};
    ptrdiff_t at;
    if (old.len == 0) {
        replace_empty(&text, rest, by);
        rest = STR("");
    }
    while (old.len > 0 && (at = str_find(rest, old)) >= 0) {
        buf_append(&text, rest.ptr, (size_t)at);
        buf_append_str(&text, by);
        rest = str_sub(rest, (size_t)at + old.len, rest.len);
    }
    buf_append_str(&text, rest);
    *out = func_take_text(ctx, &text);
}

/* Byte position of the n-th occurrence at or behind `from`, or -1; occurrences may overlap. */
static ptrdiff_t find_forwards(struct str s, struct str needle, size_t from, int64_t n)
{
    for (size_t at = from; at <= s.len; at++) {
        ptrdiff_t found = str_find(str_sub(s, at, s.len), needle);
        if (found < 0)
            return -1;
        at += (size_t)found;
        if (--n == 0)
            return (ptrdiff_t)at;
    }
    return -1;
}

/* The n-th occurrence, counted backwards, that starts at or before `from`. */
static ptrdiff_t find_backwards(struct str s, struct str needle, size_t from, int64_t n)
{
    for (ptrdiff_t at = (ptrdiff_t)from; at >= 0; at--)
        if (str_starts_with(str_sub(s, (size_t)at, s.len), needle) && --n == 0)
            return at;
    return -1;
}

SCALAR(fn_instr)
{
    struct str s = value_slice(args[0]), needle = value_slice(args[1]);
    int64_t pos = arg_count > 2 ? args[2].l : 1, n = arg_count > 3 ? args[3].l : 1;
    int64_t length = (int64_t)text_length(s);
    ptrdiff_t at = -1;
    if (n >= 1 && pos > 0 && pos <= length)
        at = find_forwards(s, needle, text_offset(s, (size_t)(pos - 1)), n);
    else if (n >= 1 && pos < 0 && length + pos >= 0)
        at = find_backwards(s, needle, text_offset(s, (size_t)(length + pos)), n);
    *out = value_int(at < 0 ? 0 : (int32_t)text_length(str_sub(s, 0, (size_t)at)) + 1);
}

SCALAR(fn_initcap)
{
    struct str s = value_slice(args[0]);
    struct buf text = {0};
    bool start = true;
    for (size_t at = 0, len; at < s.len; at += len) {
        struct str rest = str_sub(s, at, s.len);
        uint32_t c = text_decode(rest, &len);
        struct str one = str_sub(rest, 0, len);
        buf_append_str(&text, start ? text_upper(one, ctx->arena) : text_lower(one, ctx->arena));
        start = text_is_space(c);
    }
    *out = func_take_text(ctx, &text);
}

/* Fills with copies of the padding up to the length; cuts a longer text. */
static void pad(struct func_ctx *ctx, const struct value *args, bool left, struct value *out)
{
    int64_t target = args[1].l;
    size_t length = length_of(args[0]), unit = length_of(args[2]);
    if (target < 0 || unit == 0)
        return;
    if ((size_t)target <= length) {
        *out = part_of(args[0], 0, (size_t)target);
        return;
    }
    if ((uint64_t)target * 4 > TEXT_BYTES_MAX) {
        func_fail(ctx, "A padded text of %" PRId64 " characters is too long", target);
        return;
    }
    struct buf text = {0};
    if (!left)
        buf_append_str(&text, value_slice(args[0]));
    for (size_t missing = (size_t)target - length; missing > 0;) {
        size_t n = MIN(missing, unit);
        buf_append_str(&text, value_slice(part_of(args[2], 0, n)));
        missing -= n;
    }
    if (left)
        buf_append_str(&text, value_slice(args[0]));
    *out = func_take_text(ctx, &text);
    out->kind = args[0].kind;
}

SCALAR(fn_lpad)
{
    pad(ctx, args, true, out);
}

SCALAR(fn_rpad)
{
    pad(ctx, args, false, out);
}

static struct value split_each(struct func_ctx *ctx, struct value v)
{
    size_t count = length_of(v);
    if (count == 0) {
        struct value *one = func_values(ctx, 1);
        one[0] = v;
        return value_nested(SQL_ARRAY, one, 1);
    }
    struct value *parts = func_values(ctx, count);
    struct value rest = v;
    for (size_t i = 0; i < count; i++) {
        parts[i] = part_of(rest, 0, 1);
        rest.ptr += parts[i].len;
        rest.len -= parts[i].len;
    }
    return value_nested(SQL_ARRAY, parts, (uint32_t)count);
}

/* The pieces between delimiters, empty ones kept. */
static struct value split(struct func_ctx *ctx, struct value v, struct str delimiter)
{
    struct str rest = value_slice(v);
    vec(struct value) parts = {0};
    for (ptrdiff_t at; (at = str_find(rest, delimiter)) >= 0;) {
        vec_push(&parts, (struct value){.kind = v.kind, .len = (uint32_t)at, .ptr = rest.ptr});
        rest = str_sub(rest, (size_t)at + delimiter.len, rest.len);
    }
    vec_push(&parts, (struct value){.kind = v.kind, .len = (uint32_t)rest.len, .ptr = rest.ptr});
    const struct value *kept = arena_dup(ctx->arena, parts.at, parts.len * sizeof *parts.at);
    struct value array = value_nested(SQL_ARRAY, kept, (uint32_t)parts.len);
    vec_fini(&parts);
    return array;
}

SCALAR(fn_split)
{
    *out = args[1].len == 0 ? split_each(ctx, args[0]) : split(ctx, args[0], value_slice(args[1]));
}

/* Entries without the inner delimiter are left out; empty ones too. */
SCALAR(fn_split_to_map)
{
    struct str inner = value_slice(args[2]);
    if (args[1].len == 0 || inner.len == 0)
        return;
    struct value parts = split(ctx, args[0], value_slice(args[1]));
    struct value *entries = func_values(ctx, 2 * (size_t)parts.len);
    uint32_t count = 0;
    for (uint32_t i = 0; i < parts.len; i++) {
        struct value pair = split(ctx, parts.elems[i], inner);
        if (pair.len < 2)
            continue;
        uint32_t at = 0;
        while (at < count && !value_eq(entries[2 * at], pair.elems[0]))
            at++;
        entries[2 * at] = pair.elems[0];
        entries[2 * at + 1] = pair.elems[1];
        count = MAX(count, at + 1);
    }
    *out = value_nested(SQL_MAP, entries, count);
}

static void code_point_text(struct func_ctx *ctx, int64_t c, struct value *out)
{
    if (c < 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return;
    struct buf text = {0};
    text_append(&text, (uint32_t)c);
    *out = func_take_text(ctx, &text);
}

SCALAR(fn_chr)
{
    code_point_text(ctx, args[0].l, out);
}

/* One \uXXXX, or a surrogate pair of two. */
static bool read_escape(struct str *rest, uint32_t *unit)
{
    struct buf bytes = {0};
    bool ok = rest->len >= 6 && rest->ptr[0] == '\\' && (rest->ptr[1] == 'u' || rest->ptr[1] == 'U') &&
              buf_append_hex_decoded(&bytes, str_sub(*rest, 2, 4));
    if (ok) {
        *unit = load_be16(bytes.ptr);
        *rest = str_sub(*rest, 6, rest->len);
    }
    buf_fini(&bytes);
    return ok;
}

SCALAR(fn_chr_escape)
{
    struct str rest = value_slice(args[0]);
    uint32_t high, low;
    if (!read_escape(&rest, &high))
        return;
    if (rest.len > 0) {
        if (!read_escape(&rest, &low) || rest.len > 0 || high < 0xd800 || high >= 0xdc00 || low < 0xdc00 ||
            low >= 0xe000)
            return;
        high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    }
    code_point_text(ctx, high, out);
}

SCALAR(fn_elt)
{
    if (!value_is_null(args[0]) && args[0].l >= 1 && args[0].l < arg_count)
        *out = args[args[0].l];
}

SCALAR(fn_field)
{
    *out = value_int(0);
    for (uint32_t i = 1; i < arg_count && !value_is_null(args[0]); i++)
        if (!value_is_null(args[i]) && str_eq(value_slice(args[0]), value_slice(args[i]))) {
            *out = value_int((int32_t)i);
            return;
        }
}

static const struct func_sig chr_sigs[] = {{"(decimalCode INTEGER) STRING", .scalar = fn_chr, .strict = true},
                                           {"(utf16Code STRING) STRING", .scalar = fn_chr_escape,
                                            .strict = true}};
static const struct func_sig concat_sigs[] = {{"(inputs STRING...) STRING", .scalar = fn_concat},
                                              {"(inputs BYTES...) BYTES", .scalar = fn_concat}};
static const struct func_sig concat_ws_sigs[] = {{"(inputs STRING...) STRING", .scalar = fn_concat_ws},
                                                 {"(inputs BYTES...) BYTES", .scalar = fn_concat_ws}};
static const struct func_sig elt_sigs[] = {{"(n INTEGER, args STRING...) STRING", .scalar = fn_elt}};
static const struct func_sig field_sigs[] = {{"(str STRING, args STRING...) INTEGER", .scalar = fn_field}};
static const struct func_sig initcap_sigs[] = {{"(str STRING) STRING", .scalar = fn_initcap, .strict = true}};
static const struct func_sig instr_sigs[] = {
    {"(str STRING, substring STRING) INTEGER", .scalar = fn_instr, .strict = true},
    {"(str STRING, substring STRING, position INTEGER) INTEGER", .scalar = fn_instr, .strict = true},
    {"(str STRING, substring STRING, position INTEGER, occurrence INTEGER) INTEGER", .scalar = fn_instr,
     .strict = true}};
static const struct func_sig lcase_sigs[] = {{"(input STRING) STRING", .scalar = fn_lcase, .strict = true}};
static const struct func_sig len_sigs[] = {{"(input STRING) INTEGER", .scalar = fn_len, .strict = true},
                                           {"(input BYTES) INTEGER", .scalar = fn_len, .strict = true}};
static const struct func_sig lpad_sigs[] = {{"(input STRING, targetLen INTEGER, padding STRING) STRING",
                                             .scalar = fn_lpad, .strict = true},
                                            {"(input BYTES, targetLen INTEGER, padding BYTES) BYTES",
                                             .scalar = fn_lpad, .strict = true}};
static const struct func_sig replace_sigs[] = {
    {"(str STRING, oldStr STRING, newStr STRING) STRING", .scalar = fn_replace, .strict = true}};
static const struct func_sig rpad_sigs[] = {{"(input STRING, targetLen INTEGER, padding STRING) STRING",
                                             .scalar = fn_rpad, .strict = true},
                                            {"(input BYTES, targetLen INTEGER, padding BYTES) BYTES",
                                             .scalar = fn_rpad, .strict = true}};
static const struct func_sig split_sigs[] = {{"(string STRING, delimiter STRING) ARRAY<STRING>",
                                              .scalar = fn_split, .strict = true},
                                             {"(bytes BYTES, delimiter BYTES) ARRAY<BYTES>",
                                              .scalar = fn_split, .strict = true}};
static const struct func_sig split_to_map_sigs[] = {
    {"(input STRING, entryDelimiter STRING, kvDelimiter STRING) MAP<STRING, STRING>",
     .scalar = fn_split_to_map, .strict = true}};
static const struct func_sig substring_sigs[] = {
    {"(str STRING, pos INTEGER) STRING", .scalar = fn_substring, .strict = true},
    {"(str STRING, pos INTEGER, length INTEGER) STRING", .scalar = fn_substring, .strict = true},
    {"(bytes BYTES, pos INTEGER) BYTES", .scalar = fn_substring, .strict = true},
    {"(bytes BYTES, pos INTEGER, length INTEGER) BYTES", .scalar = fn_substring, .strict = true}};
static const struct func_sig trim_sigs[] = {{"(input STRING) STRING", .scalar = fn_trim, .strict = true}};
static const struct func_sig ucase_sigs[] = {{"(input STRING) STRING", .scalar = fn_ucase, .strict = true}};

static const struct func funcs[] = {
    FUNC("chr", "STRING", FUNC_SCALAR, chr_sigs,
         "The character with this code point, given as a number or as text of the form \\uXXXX."),
    FUNC("concat", "STRING", FUNC_SCALAR, concat_sigs, "Joins texts or bytes; NULLs are left out."),
    FUNC("concat_ws", "STRING", FUNC_SCALAR, concat_ws_sigs,
         "Joins texts or bytes with the first argument between them; NULLs are left out."),
    FUNC("elt", "STRING", FUNC_SCALAR, elt_sigs, "The n-th of the arguments that follow, counted from 1."),
    FUNC("field", "STRING", FUNC_SCALAR, field_sigs,
         "Position of the first argument among the others, counted from 1; 0 when absent."),
    FUNC("initcap", "STRING", FUNC_SCALAR, initcap_sigs,
         "Each word with a capital first letter and small letters behind it."),
    FUNC(
        "instr", "STRING", FUNC_SCALAR, instr_sigs,
        "Position of a text in another, counted from 1; 0 when absent. A negative start searches backwards."),
    FUNC("lcase", "STRING", FUNC_SCALAR, lcase_sigs, "The text in small letters."),
    FUNC("len", "STRING", FUNC_SCALAR, len_sigs, "Number of characters of a text, or of bytes."),
    FUNC("lpad", "STRING", FUNC_SCALAR, lpad_sigs, "Fills up at the left to a length; cuts what is longer."),
    FUNC("replace", "STRING", FUNC_SCALAR, replace_sigs, "Replaces every occurrence of one text by another."),
    FUNC("rpad", "STRING", FUNC_SCALAR, rpad_sigs, "Fills up at the right to a length; cuts what is longer."),
    FUNC("split", "STRING", FUNC_SCALAR, split_sigs,
         "The pieces between delimiters as an array; an empty delimiter gives single characters."),
    FUNC("split_to_map", "STRING", FUNC_SCALAR, split_to_map_sigs,
         "Splits a text into entries and each entry into key and value."),
    FUNC("substring", "STRING", FUNC_SCALAR, substring_sigs,
         "Part of a text or of bytes from a position (counted from 1, negative from the end), with an "
         "optional length."),
    FUNC("trim", "STRING", FUNC_SCALAR, trim_sigs, "The text without white space at its ends."),
    FUNC("ucase", "STRING", FUNC_SCALAR, ucase_sigs, "The text in capital letters."),
};

const struct func_family family_string = {funcs, COUNT_OF(funcs)};
