/* func_int.h - private to src/func: rows of the function tables, parsed signatures, helpers of the
 * families.
 *
 *   struct func (a name) --> struct func_sig (signature text, implementation) --> struct sig (parsed)
 *
 * (F1) Tables are const and sorted by name within a family; registry.c merges the families.
 * (F2) A signature is parsed into the caller's arena each time it is looked at: resolution happens
 *      when a statement is planned, never per record, and there is no mutable global.
 */
#ifndef RIALTO_FUNC_FUNC_INT_H
#define RIALTO_FUNC_FUNC_INT_H

#include "func/func.h"
#include "type/decimal.h"
#include "type/time_format.h"

struct sig_match;

/* One signature. Text: "(name TYPE, other TYPE..., const n INTEGER) RESULT". A parameter name is written
 * in lower or mixed case and may be missing; `const` marks a parameter that must be a literal
 * (aggregates: they come last). */
struct func_sig {
    const char *text;
    func_scalar_fn scalar;
    func_table_fn table;
    const struct func_agg *agg;
    const char *state; /* aggregates: state type in the words of the signature; NULL: the result's type */
    bool strict;       /* any NULL argument gives NULL without a call */
    bool is_volatile;
    /* Types that the text cannot say: may replace params[i] and *result. False: *err says why. */
    bool (*types)(const struct func_arg *args, uint32_t count, const struct sql_type **params,
                  const struct sql_type **result, struct arena *arena, struct err *err);
    /* Per call-site data from literal arguments; false: *err says why they are refused. */
    bool (*bind)(const struct func_arg *args, uint32_t count, const void **constant, struct arena *arena,
                 struct err *err);
};

struct func {
    const char *name; /* spelled as error messages spell it; found in any case */
    const char *category;
    const char *description;
    enum func_kind kind;
    const struct func_sig *sigs;
    uint32_t sig_count;
};

#define FUNC(name, category, kind, sigs, description)                     \
    {                                                                     \
        name, category, description, kind, sigs, (uint32_t)COUNT_OF(sigs) \
    }

struct func_family {
    const struct func *funcs;
    uint32_t count;
};

extern const struct func_family family_agg_basic, family_agg_collect, family_agg_offset, family_agg_stat,
    family_agg_top, family_array, family_bytes, family_condition, family_json, family_lambda, family_map,
    family_mask, family_math, family_regexp, family_round, family_string, family_table, family_testing,
    family_time, family_time_text, family_url;

/* Signatures (signature.c) */

enum sig_type_kind {
    SIG_PLAIN,    /* kind is a type without parameters */
    SIG_DECIMAL,  /* any DECIMAL, or one with precision and scale when precision is set */
    SIG_VARIABLE, /* A..Z */
    SIG_ANY,
    SIG_UNIT,
    SIG_LAMBDA, /* fields: parameters; elem: result */
    SIG_ARRAY,
    SIG_MAP,
    SIG_STRUCT
};

struct sig_type {
    enum sig_type_kind kind;
    enum sql_kind plain;
    char variable;
    uint32_t precision, scale;
    const struct sig_type *key, *elem;
    const struct sig_type *fields; /* STRUCT, LAMBDA */
    const struct str *field_names; /* STRUCT */
    uint32_t field_count;
    struct str text;
};

struct sig_param {
    struct str name;
    const struct sig_type *type;
    bool is_variadic, is_constant;
};

struct sig {
    const struct sig_param *params;
    uint32_t param_count;
    int variadic;            /* index of the variadic parameter, or -1 */
    uint32_t constant_count; /* parameters marked const */
    const struct sig_type *result;
};

enum { SIG_PARAMS_MAX = 16 };

/* The texts are ours: a mistake in one is an assertion. */
const struct sig *sig_parse(const char *text, struct arena *arena);
const struct sig_type *sig_parse_type(const char *text, struct arena *arena);

/* The parameter that argument i of count belongs to; NULL when the count does not fit. */
const struct sig_param *sig_param_at(const struct sig *sig, uint32_t i, uint32_t count);

/* Types bound to A..Z while a call is matched. */
struct sig_match {
    const struct sql_type *bound[26];
};

/* Whether an argument of this type may stand for the pattern; binds variables. */
bool sig_accepts(const struct sig_type *pattern, const struct sql_type *type, bool allow_casts,
                 struct sig_match *match);

/* The pattern with its variables replaced; `actual` tells which decimal. */
const struct sql_type *sig_type_of(const struct sig_type *pattern, const struct sql_type *actual,
                                   const struct sig_match *match, struct arena *arena);

/* Helpers of the families */

/* The function's arguments by position, NULL where fewer were given. */
static inline struct value arg_or_null(const struct value *args, uint32_t count, uint32_t i)
{
    return i < count ? args[i] : VALUE_NULL;
}

/* A buffer's text as a value in the arena; empties the buffer. */
struct value func_take_text(struct func_ctx *ctx, struct buf *buf);

/* Fails with the reason in err. */
void func_fail_err(struct func_ctx *ctx, const struct err *err);

struct value *func_values(struct func_ctx *ctx, size_t count);

/* The map with its entries as the peer walks them: in the order of Java's HashMap. A map has no order of its own,
 * but REDUCE, MAP_KEYS and their kin make a sequence of it. */
struct value func_map_walk(struct func_ctx *ctx, struct value map);

/* Types rules used by several families. */
bool types_same_decimal(const struct func_arg *args, uint32_t count, const struct sql_type **params,
                        const struct sql_type **result, struct arena *arena, struct err *err);

/* UTF-8 (text.c). Positions and lengths that SQL sees are UTF-16 units in Java; here they are code
 * points, which differ only beyond the basic plane. */
size_t text_length(struct str s);
/* Byte position of character n, or s.len. */
size_t text_offset(struct str s, size_t n);
/* Bytes of the character at the front of a non-empty s. */
size_t text_char_len(struct str s);
uint32_t text_decode(struct str s, size_t *len);
void text_append(struct buf *out, uint32_t code_point);
bool text_is_valid(struct str s);
struct str text_upper(struct str s, struct arena *arena);
struct str text_lower(struct str s, struct arena *arena);
/* White space as Character.isWhitespace has it. */
bool text_is_space(uint32_t code_point);

#endif
