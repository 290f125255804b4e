/* signature.c - signature texts: parsing, matching against argument types, printing.
 *
 *   signature := "(" [ param { "," param } ] ")" type
 *   param     := [ "const" ] [ name ] type [ "..." ]
 *   type      := "ARRAY<" type ">" | "MAP<" type "," type ">" | "STRUCT<" name type { "," name type } ">"
 *              | "LAMBDA(" type { "," type } ")" type | "DECIMAL" [ "(" p "," s ")" ] | letter | WORD
 *
 * A name begins with a small letter, a type with a capital; STRUCT's field names are what stands before
 * a blank.
 */
#include <ctype.h>

#include "func/func_int.h"

struct reader {
    const char *at;
    struct arena *arena;
};

static void skip_blanks(struct reader *in)
{
    while (*in->at == ' ')
        in->at++;
}

static bool take(struct reader *in, char c)
{
    skip_blanks(in);
    if (*in->at != c)
        return false;
    in->at++;
    return true;
}

static struct str take_word(struct reader *in)
{
    skip_blanks(in);
    const char *start = in->at;
    while (isalnum((unsigned char)*in->at) || *in->at == '_')
        in->at++;
    return str_of(start, (size_t)(in->at - start));
}

static const struct sig_type *read_type(struct reader *in);

static void read_types(struct reader *in, struct sig_type *type, char end, bool named)
{
    struct sig_type fields[SIG_PARAMS_MAX];
    struct str names[SIG_PARAMS_MAX];
    while (!take(in, end)) {
        ASSERT(type->field_count < SIG_PARAMS_MAX);
        names[type->field_count] = named ? take_word(in) : STR("");
        fields[type->field_count++] = *read_type(in);
        take(in, ',');
    }
    type->fields = arena_dup(in->arena, fields, type->field_count * sizeof *fields);
    type->field_names = arena_dup(in->arena, names, type->field_count * sizeof *names);
}

static uint32_t take_number(struct reader *in)
{
    int64_t n = 0;
    bool number = str_to_i64(take_word(in), &n);
    ASSERT(number);
    return (uint32_t)n;
}

static void read_named_type(struct reader *in, struct sig_type *type, struct str word)
{
    static const enum sql_kind plain[] = {SQL_BOOLEAN, SQL_INTEGER, SQL_BIGINT, SQL_DOUBLE,   SQL_STRING,
                                          SQL_BYTES,   SQL_DATE,    SQL_TIME,   SQL_TIMESTAMP};
    if (word.len == 1) {
        type->kind = SIG_VARIABLE;
        type->variable = word.ptr[0];
    } else if (str_eq_cstr(word, "ANY")) {
        type->kind = SIG_ANY;
    } else if (str_eq_cstr(word, "INTERVALUNIT")) {
        type->kind = SIG_UNIT;
    } else if (str_eq_cstr(word, "DECIMAL")) {
        type->kind = SIG_DECIMAL;
        if (take(in, '(')) {
            type->precision = take_number(in);
            take(in, ',');
            type->scale = take_number(in);
            take(in, ')');
        }
    } else {
        struct buf name = {0};
        for (size_t i = 0; i < COUNT_OF(plain) && type->plain == SQL_NULL; i++) {
            buf_clear(&name);
            type_print(type_of_kind(plain[i]), &name);
            if (str_eq(word, buf_str(&name)))
                type->plain = plain[i];
        }
        buf_fini(&name);
        ASSERT(type->plain != SQL_NULL);
    }
}

static const struct sig_type *read_type(struct reader *in)
{
    struct sig_type *type = arena_new(in->arena, struct sig_type);
    skip_blanks(in);
    const char *start = in->at;
    struct str word = take_word(in);
    if (str_eq_cstr(word, "ARRAY")) {
        type->kind = SIG_ARRAY;
        take(in, '<');
        type->elem = read_type(in);
        take(in, '>');
    } else if (str_eq_cstr(word, "MAP")) {
        type->kind = SIG_MAP;
        take(in, '<');
        type->key = read_type(in);
        take(in, ',');
        type->elem = read_type(in);
        take(in, '>');
    } else if (str_eq_cstr(word, "STRUCT")) {
        type->kind = SIG_STRUCT;
        take(in, '<');
        read_types(in, type, '>', true);
    } else if (str_eq_cstr(word, "LAMBDA")) {
        type->kind = SIG_LAMBDA;
        take(in, '(');
        read_types(in, type, ')', false);
        type->elem = read_type(in);
    } else {
        read_named_type(in, type, word);
    }
    type->text = str_of(start, (size_t)(in->at - start));
    return type;
}

static void read_param(struct reader *in, struct sig_param *param)
{
    skip_blanks(in);
    if (strncmp(in->at, "const ", 6) == 0) {
        param->is_constant = true;
        in->at += 6;
    }
    skip_blanks(in);
    if (islower((unsigned char)*in->at))
        param->name = take_word(in);
    param->type = read_type(in);
    if (strncmp(in->at, "...", 3) == 0) {
        param->is_variadic = true;
        in->at += 3;
    }
}

const struct sig *sig_parse(const char *text, struct arena *arena)
{
    struct reader in = {text, arena};
    struct sig *sig = arena_new(arena, struct sig);
    struct sig_param *params = arena_array(arena, struct sig_param, SIG_PARAMS_MAX);
    sig->params = params;
    sig->variadic = -1;
    bool opened = take(&in, '(');
    ASSERT(opened);
    while (!take(&in, ')')) {
        ASSERT(sig->param_count < SIG_PARAMS_MAX);
        read_param(&in, &params[sig->param_count]);
        if (params[sig->param_count].is_variadic)
            sig->variadic = (int)sig->param_count;
        sig->constant_count += params[sig->param_count++].is_constant;
        take(&in, ',');
    }
    sig->result = read_type(&in);
    ASSERT(*in.at == '\0');
    return sig;
}

const struct sig_type *sig_parse_type(const char *text, struct arena *arena)
{
    struct reader in = {text, arena};
    return read_type(&in);
}

const struct sig_param *sig_param_at(const struct sig *sig, uint32_t i, uint32_t count)
{
    if (sig->variadic < 0)
        return count == sig->param_count ? &sig->params[i] : NULL;
    uint32_t before = (uint32_t)sig->variadic, after = sig->param_count - before - 1;
    if (count < before + after)
        return NULL;
    if (i < before)
        return &sig->params[i];
    return i >= count - after ? &sig->params[sig->param_count - (count - i)] : &sig->params[before];
}

static bool is_temporal(enum sql_kind kind)
{
    return kind == SQL_DATE || kind == SQL_TIME || kind == SQL_TIMESTAMP;
}

static bool plain_accepts(enum sql_kind wanted, const struct sql_type *type, bool allow_casts)
{
    if (type->kind == wanted)
        return true;
    if (!allow_casts)
        return false;
    if (type->kind == SQL_STRING)
        return is_temporal(wanted);
    return type_is_number(type) && type_can_coerce(type, type_of_kind(wanted));
}

static bool variable_accepts(char variable, const struct sql_type *type, struct sig_match *match)
{
    const struct sql_type **bound = &match->bound[variable - 'A'];
    if (*bound != NULL && (*bound)->kind != SQL_NULL)
        return type_eq(*bound, type);
    *bound = type;
    return true;
}

bool sig_accepts(const struct sig_type *pattern, const struct sql_type *type, bool allow_casts,
                 struct sig_match *match)
{
    if (type->kind == SQL_NULL)
        return pattern->kind != SIG_UNIT;
    switch (pattern->kind) {
    case SIG_PLAIN:
        return plain_accepts(pattern->plain, type, allow_casts);
    case SIG_DECIMAL:
        return type->kind == SQL_DECIMAL ||
               (allow_casts && (type->kind == SQL_INTEGER || type->kind == SQL_BIGINT));
    case SIG_VARIABLE:
        return variable_accepts(pattern->variable, type, match);
    case SIG_ANY:
        return true;
    case SIG_ARRAY:
        return type->kind == SQL_ARRAY && sig_accepts(pattern->elem, type->elem, allow_casts, match);
    case SIG_MAP:
        return type->kind == SQL_MAP && sig_accepts(pattern->key, type->key, allow_casts, match) &&
               sig_accepts(pattern->elem, type->elem, allow_casts, match);
    case SIG_STRUCT:
        if (type->kind != SQL_STRUCT || type->field_count != pattern->field_count)
            return false;
        for (uint32_t i = 0; i < pattern->field_count; i++)
            if (!str_eq(type->fields[i].name, pattern->field_names[i]) ||
                !sig_accepts(&pattern->fields[i], type->fields[i].type, false, match))
                return false;
        return true;
    case SIG_UNIT:
    case SIG_LAMBDA:
        return false;
    }
    UNREACHABLE();
}

static const struct sql_type *decimal_of(const struct sig_type *pattern, const struct sql_type *actual,
                                         struct arena *arena)
{
    if (pattern->precision > 0)
        return type_decimal(pattern->precision, pattern->scale, arena);
    if (actual != NULL && actual->kind == SQL_DECIMAL)
        return actual;
    return type_decimal(actual != NULL && actual->kind == SQL_BIGINT ? 19 : 10, 0, arena);
}

const struct sql_type *sig_type_of(const struct sig_type *pattern, const struct sql_type *actual,
                                   const struct sig_match *match, struct arena *arena)
{
    const struct sql_type *bound, *elem = actual != NULL ? actual->elem : NULL,
                                  *key = actual != NULL ? actual->key : NULL;
    switch (pattern->kind) {
    case SIG_PLAIN:
        return type_of_kind(pattern->plain);
    case SIG_DECIMAL:
        return decimal_of(pattern, actual, arena);
    case SIG_ANY:
        return actual != NULL ? actual : &type_null;
    case SIG_VARIABLE:
        bound = match->bound[pattern->variable - 'A'];
        return bound != NULL ? bound : &type_null;
    case SIG_ARRAY:
        return type_array(sig_type_of(pattern->elem, elem, match, arena), arena);
    case SIG_MAP:
        return type_map(sig_type_of(pattern->key, key, match, arena),
                        sig_type_of(pattern->elem, elem, match, arena), arena);
    case SIG_STRUCT: {
        struct sql_field *fields = arena_array(arena, struct sql_field, pattern->field_count);
        for (uint32_t i = 0; i < pattern->field_count; i++)
            fields[i] = (struct sql_field){pattern->field_names[i],
                                           sig_type_of(&pattern->fields[i], NULL, match, arena)};
        return type_struct(fields, pattern->field_count, arena);
    }
    case SIG_UNIT:
    case SIG_LAMBDA:
        return NULL;
    }
    UNREACHABLE();
}
