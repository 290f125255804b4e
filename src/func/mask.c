/* mask.c - MASK and its partial forms: each character is replaced by the mask of its class.
 *
 *   capital letter X, small letter x, digit n, everything else -
 *
 * A NULL mask keeps the class, a text uses its first character.
 */
#include <utf8proc.h>

#include "func/func_int.h"

#define SCALAR(name) \
    static void name(struct func_ctx *ctx, const struct value *args, uint32_t arg_count, struct value *out)

struct masks {
    struct str upper, lower, digit, other; /* one character each; null keeps the class */
};

static bool read_mask(struct func_ctx *ctx, struct value v, struct str *mask)
{
    if (value_is_null(v)) {
        *mask = STR_NULL;
        return true;
    }
    if (v.len == 0) {
        func_fail(ctx, "A mask must not be empty; give NULL to keep a class of characters");
        return false;
    }
    *mask = str_sub(value_slice(v), 0, text_char_len(value_slice(v)));
    return true;
}

static bool read_masks(struct func_ctx *ctx, const struct value *args, uint32_t count, struct masks *masks)
{
    *masks = (struct masks){STR("X"), STR("x"), STR("n"), STR("-")};
    return count < 4 || (read_mask(ctx, args[0], &masks->upper) && read_mask(ctx, args[1], &masks->lower) &&
                         read_mask(ctx, args[2], &masks->digit) && read_mask(ctx, args[3], &masks->other));
}

static struct str mask_of(const struct masks *masks, uint32_t c)
{
    switch (utf8proc_category((int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
        return masks->upper;
    case UTF8PROC_CATEGORY_LL:
        return masks->lower;
    case UTF8PROC_CATEGORY_ND:
        return masks->digit;
    default:
        return masks->other;
    }
}

/* Masks the characters of positions [from, to). */
static void mask_range(struct func_ctx *ctx, struct str s, const struct masks *masks, int64_t from,
                       int64_t to, struct value *out)
{
    struct buf text = {0};
    int64_t position = 0;
    for (size_t at = 0, len; at < s.len; at += len, position++) {
        uint32_t c = text_decode(str_sub(s, at, s.len), &len);
        struct str mask = position >= from && position < to ? mask_of(masks, c) : STR_NULL;
        buf_append_str(&text, str_is_null(mask) ? str_sub(s, at, len) : mask);
    }
    *out = func_take_text(ctx, &text);
}

SCALAR(fn_mask)
{
    struct masks masks;
    if (!value_is_null(args[0]) && read_masks(ctx, args + 1, arg_count - 1, &masks))
        mask_range(ctx, value_slice(args[0]), &masks, 0, INT64_MAX, out);
}

/* The count of the partial forms; false when there is nothing to do. */
static bool read_partial(struct func_ctx *ctx, const struct value *args, uint32_t count, struct masks *masks,
                         int64_t *length)
{
    if (value_is_null(args[0]) || value_is_null(args[1]) || !read_masks(ctx, args + 2, count - 2, masks))
        return false;
    if (args[1].l < 0) {
        func_fail(ctx, "function mask_x requires a non-negative number of characters");
        return false;
    }
    *length = (int64_t)text_length(value_slice(args[0]));
    return true;
}

#define PARTIAL(name, from, to)                                           \
    SCALAR(name)                                                          \
    {                                                                     \
        struct masks masks;                                               \
        int64_t length;                                                   \
        if (!read_partial(ctx, args, arg_count, &masks, &length))         \
            return;                                                       \
        int64_t n = args[1].l;                                            \
        mask_range(ctx, value_slice(args[0]), &masks, (from), (to), out); \
        (void)n;                                                          \
    }

PARTIAL(fn_mask_keep_left, n, INT64_MAX)
PARTIAL(fn_mask_keep_right, 0, length - n)
PARTIAL(fn_mask_left, 0, n)
PARTIAL(fn_mask_right, length - n, INT64_MAX)

#define MASKS "upper STRING, lower STRING, digit STRING, other STRING) STRING"

static const struct func_sig mask_sigs[] = {{"(input STRING) STRING", .scalar = fn_mask},
                                            {"(input STRING, " MASKS, .scalar = fn_mask}};
static const struct func_sig keep_left_sigs[] = {{"(input STRING, keep INTEGER) STRING",
                                                  .scalar = fn_mask_keep_left},
                                                 {"(input STRING, keep INTEGER, " MASKS,
                                                  .scalar = fn_mask_keep_left}};
static const struct func_sig keep_right_sigs[] = {{"(input STRING, keep INTEGER) STRING",
                                                   .scalar = fn_mask_keep_right},
                                                  {"(input STRING, keep INTEGER, " MASKS,
                                                   .scalar = fn_mask_keep_right}};
static const struct func_sig left_sigs[] = {{"(input STRING, count INTEGER) STRING", .scalar = fn_mask_left},
                                            {"(input STRING, count INTEGER, " MASKS, .scalar = fn_mask_left}};
static const struct func_sig right_sigs[] = {{"(input STRING, count INTEGER) STRING",
                                              .scalar = fn_mask_right},
                                             {"(input STRING, count INTEGER, " MASKS,
                                              .scalar = fn_mask_right}};

static const struct func funcs[] = {
    FUNC("mask", "STRING", FUNC_SCALAR, mask_sigs,
         "Replaces capital letters by X, small ones by x, digits by n, all else by -; masks can be given, "
         "NULL keeps a class."),
    FUNC("mask_keep_left", "STRING", FUNC_SCALAR, keep_left_sigs, "MASK for all but the first n characters."),
    FUNC("mask_keep_right", "STRING", FUNC_SCALAR, keep_right_sigs,
         "MASK for all but the last n characters."),
    FUNC("mask_left", "STRING", FUNC_SCALAR, left_sigs, "MASK for the first n characters."),
    FUNC("mask_right", "STRING", FUNC_SCALAR, right_sigs, "MASK for the last n characters."),
};

const struct func_family family_mask = {funcs, COUNT_OF(funcs)};
