/* regexp.c - functions of regular expressions, by PCRE2, whose syntax covers Java's for all that SQL
 * texts use.
 *
 * (X1) A literal pattern is compiled when the statement is planned, into the plan's arena; another one
 *      per call.
 * (X2) PCRE2 takes all its memory from an arena: nothing is freed, nothing leaks with the plan.
 * (X3) Matching has limits, so that a pattern cannot hold a task: one attempt at one place of the text may take so many steps
 *      (PCRE2's own limit), and a call so much of the thread's time, a little more for each match that it finds. PCRE2 counts
 *      steps anew at each place and does not count characters that it steps over, so its limit alone lets \s+$ take time that
 *      grows with the square of the text, and ^.*?[a-z]*+# as well, at a single place. Therefore it calls us in front of
 *      every item of the pattern (which costs some 10 ns), and what it has stepped over since the last time decides when to
 *      look at the clock. Passing a limit fails the row.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <time.h>

#include "func/func_int.h"

#define SCALAR(name) \
    static void name(struct func_ctx *ctx, const struct value *args, uint32_t arg_count, struct value *out)

enum {
    MATCH_STEPS_MAX = 1000000, /* of one attempt: some 90 ms */
    MATCH_KIB_MAX = 65536,
    CALL_TIME_US_MAX = 150000, /* of the thread's own time: a busy machine changes no result */
    MATCH_TIME_US = 20,        /* added for each match; it takes about one */
    WORK_A_LOOK = 1 << 20,     /* between two looks at the clock: characters stepped over, and */
    WORK_OF_AN_ITEM = 1 << 12, /* this much for each item */
};

struct regexp {
    pcre2_code *code;
    uint32_t group_count;
};

static void *arena_take(PCRE2_SIZE size, void *arena)
{
    return arena_alloc(arena, size);
}

static void arena_give(void *memory, void *arena)
{
}

static bool regexp_compile(struct str pattern, struct regexp *regexp, struct arena *arena, struct err *err)
{
    int code;
    PCRE2_SIZE at;
    pcre2_general_context *general = pcre2_general_context_create(arena_take, arena_give, arena);
    pcre2_compile_context *compile = pcre2_compile_context_create(general);
    regexp->code =
        pcre2_compile((PCRE2_SPTR)(pattern.ptr ? pattern.ptr : ""), pattern.len,
                      PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT, &code, &at, compile);
    if (regexp->code == NULL) {
        PCRE2_UCHAR text[256];
        pcre2_get_error_message(code, text, sizeof text);
        return err_set(err, ERR_CONVERSION, "Invalid regular expression pattern: %.*s (%s at %zu)",
                       STR_ARG(pattern), text, at);
    }
    pcre2_pattern_info(regexp->code, PCRE2_INFO_CAPTURECOUNT, &regexp->group_count);
    return true;
}

/* A literal pattern that is not valid is left to the calls, which fail. */
static bool bind_pattern(const struct func_arg *args, uint32_t index, const void **constant,
                         struct arena *arena)
{
    struct regexp regexp;
    if (args[index].literal != NULL && !value_is_null(*args[index].literal) &&
        regexp_compile(value_slice(*args[index].literal), &regexp, arena, NULL))
        *constant = arena_dup(arena, &regexp, sizeof regexp);
    return true;
}

static bool bind_first(const struct func_arg *args, uint32_t count, const void **constant,
                       struct arena *arena, struct err *err)
{
    return bind_pattern(args, 0, constant, arena);
}

static bool bind_second(const struct func_arg *args, uint32_t count, const void **constant,
                        struct arena *arena, struct err *err)
{
    return bind_pattern(args, 1, constant, arena);
}

/* A search through one text. */
struct search {
    struct func_ctx *ctx;
    const struct regexp *regexp;
    struct regexp own;
    struct str text;
    size_t at;
    pcre2_match_context *match;
    pcre2_match_data *data;
    const PCRE2_SIZE *groups;
    uint64_t work;         /* since the last look at the clock */
    size_t place;          /* in the text, at the last item */
    int64_t time_us_max;   /* of the whole search */
    int64_t first_look_us; /* 0: the clock was not looked at yet */
};

static int64_t thread_time_us(void)
{
    struct timespec at;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000 + 1;
}

/* In front of each item of the pattern. Negative: the search ends with this error. */
static int on_item(pcre2_callout_block *block, void *arg)
{
    struct search *search = arg;
    size_t place = block->current_position;
    search->work += WORK_OF_AN_ITEM + MAX(place, search->place) - MIN(place, search->place);
    search->place = place;
    if (search->work < WORK_A_LOOK)
        return 0;
    int64_t now_us = thread_time_us();
    if (search->first_look_us == 0)
        search->first_look_us = now_us;
    search->work = 0;
    return now_us - search->first_look_us > search->time_us_max ? PCRE2_ERROR_CALLOUT : 0;
}

static bool search_start(struct search *search, struct func_ctx *ctx, struct value pattern, struct value text)
{
    struct err err = {0};
    *search = (struct search){.ctx = ctx,
                              .regexp = ctx->call->constant,
                              .text = value_slice(text),
                              .time_us_max = CALL_TIME_US_MAX};
    if (search->regexp == NULL) {
        if (!regexp_compile(value_slice(pattern), &search->own, ctx->arena, &err)) {
            func_fail_err(ctx, &err);
            return false;
        }
        search->regexp = &search->own;
    }
    pcre2_general_context *general = pcre2_general_context_create(arena_take, arena_give, ctx->arena);
    search->match = pcre2_match_context_create(general);
    pcre2_set_match_limit(search->match, MATCH_STEPS_MAX);
    pcre2_set_heap_limit(search->match, MATCH_KIB_MAX);
    pcre2_set_callout(search->match, on_item, search);
    search->data = pcre2_match_data_create_from_pattern(search->regexp->code, general);
    return true;
}

/* The next match; the place moves behind it, one character further behind an empty one. */
static bool search_next(struct search *search)
{
    if (search->at > search->text.len)
        return false;
    const char *text = search->text.ptr ? search->text.ptr : "";
    int rc = pcre2_match(search->regexp->code, (PCRE2_SPTR)text, search->text.len, search->at,
                         PCRE2_NO_UTF_CHECK, search->data, search->match);
    if (rc == PCRE2_ERROR_NOMATCH)
        return false;
    if (rc < 0) {
        func_fail(search->ctx,
                  rc == PCRE2_ERROR_CALLOUT
                      ? "The regular expression takes too long on this text: a simpler one is needed, "
                        "or one that is tied to the start of the text by ^"
                      : "The regular expression takes too many steps on this text: a simpler one is "
                        "needed, without repetitions inside of repetitions");
        return false;
    }
    search->time_us_max += MATCH_TIME_US;
    search->groups = pcre2_get_ovector_pointer(search->data);
    size_t end = search->groups[1];
    if (end < search->groups[0]) /* \K in a lookahead: the match ends before it starts */
        return false;
    if (end == search->groups[0])
        end += end < search->text.len ? text_char_len(str_sub(search->text, end, search->text.len)) : 1;
    search->at = end;
    return true;
}

static struct value group_value(const struct search *search, uint32_t group)
{
    if (group > search->regexp->group_count || search->groups[2 * group] == PCRE2_UNSET)
        return VALUE_NULL;
    size_t from = search->groups[2 * group], to = search->groups[2 * group + 1];
    return value_str(str_sub(search->text, from, to - from));
}

/* The group asked for (0: the whole match); false when the pattern has none of this number. */
static bool read_group(struct search *search, const struct value *args, uint32_t count, uint32_t *group)
{
    *group = count > 2 ? (uint32_t)args[2].l : 0;
    return count <= 2 || (args[2].l >= 0 && args[2].l <= search->regexp->group_count);
}

SCALAR(fn_extract)
{
    struct search search;
    uint32_t group;
    if (search_start(&search, ctx, args[0], args[1]) && read_group(&search, args, arg_count, &group) &&
        search_next(&search))
        *out = group_value(&search, group);
}

SCALAR(fn_extract_all)
{
    struct search search;
    uint32_t group;
    vec(struct value) found = {0};
    if (!search_start(&search, ctx, args[0], args[1]) || !read_group(&search, args, arg_count, &group))
        return;
    while (search_next(&search))
        vec_push(&found, group_value(&search, group));
    *out = value_nested(SQL_ARRAY, arena_dup(ctx->arena, found.at, found.len * sizeof *found.at),
                        (uint32_t)found.len);
    vec_fini(&found);
}

/* One element of Java's replacement text: \c, $n (as many digits as there are groups) or ${name}. */
static bool append_replacement(struct search *search, struct str by, struct buf *text)
{
    for (size_t i = 0; i < by.len; i++) {
        char c = by.ptr[i];
        if (c == '\\' && i + 1 < by.len) {
            buf_append_char(text, by.ptr[++i]);
        } else if (c == '$' && i + 1 < by.len && by.ptr[i + 1] >= '0' && by.ptr[i + 1] <= '9') {
            uint32_t group = (uint32_t)(by.ptr[++i] - '0');
            while (i + 1 < by.len && by.ptr[i + 1] >= '0' && by.ptr[i + 1] <= '9' &&
                   group * 10 + (uint32_t)(by.ptr[i + 1] - '0') <= search->regexp->group_count)
                group = group * 10 + (uint32_t)(by.ptr[++i] - '0');
            if (group > search->regexp->group_count) {
                func_fail(search->ctx, "No group %u", group);
                return false;
            }
            buf_append_str(text, value_slice(group_value(search, group)));
        } else if (c == '$') {
            func_fail(search->ctx, "Illegal group reference in replacement '%.*s'", STR_ARG(by));
            return false;
        } else {
            buf_append_char(text, c);
        }
    }
    return true;
}

SCALAR(fn_replace)
{
    struct search search;
    struct buf text = {0};
    size_t done = 0;
    if (!search_start(&search, ctx, args[1], args[0]))
        return;
    while (search_next(&search)) {
        buf_append_str(&text, str_sub(search.text, done, search.groups[0] - done));
        if (!append_replacement(&search, value_slice(args[2]), &text))
            break;
        done = search.groups[1];
    }
    buf_append_str(&text, str_sub(search.text, done, search.text.len));
    *out = func_take_text(ctx, &text);
}

/* Empty pieces stay; an empty match at the front makes none, as Pattern.split has it. */
SCALAR(fn_split)
{
    struct search search;
    vec(struct value) parts = {0};
    size_t done = 0;
    if (!search_start(&search, ctx, args[1], args[0]))
        return;
    while (search_next(&search)) {
        bool empty = search.groups[0] == search.groups[1];
        if (empty && (search.groups[0] == 0 || search.groups[0] == search.text.len))
            continue;
        vec_push(&parts, value_str(str_sub(search.text, done, search.groups[0] - done)));
        done = search.groups[1];
    }
    vec_push(&parts, value_str(str_sub(search.text, done, search.text.len)));
    *out = value_nested(SQL_ARRAY, arena_dup(ctx->arena, parts.at, parts.len * sizeof *parts.at),
                        (uint32_t)parts.len);
    vec_fini(&parts);
}

static const struct func_sig extract_sigs[] = {{"(pattern STRING, input STRING) STRING", .scalar = fn_extract,
                                                .strict = true, .bind = bind_first},
                                               {"(pattern STRING, input STRING, group INTEGER) STRING",
                                                .scalar = fn_extract, .strict = true, .bind = bind_first}};
static const struct func_sig extract_all_sigs[] = {
    {"(pattern STRING, input STRING) ARRAY<STRING>", .scalar = fn_extract_all, .strict = true,
     .bind = bind_first},
    {"(pattern STRING, input STRING, group INTEGER) ARRAY<STRING>", .scalar = fn_extract_all, .strict = true,
     .bind = bind_first}};
static const struct func_sig replace_sigs[] = {{"(str STRING, regexp STRING, newStr STRING) STRING",
                                                .scalar = fn_replace, .strict = true, .bind = bind_second}};
static const struct func_sig split_sigs[] = {{"(string STRING, regexp STRING) ARRAY<STRING>",
                                              .scalar = fn_split, .strict = true, .bind = bind_second}};

static const struct func funcs[] = {
    FUNC("regexp_extract", "REGULAR EXPRESSION", FUNC_SCALAR, extract_sigs,
         "The first match of a regular expression in a text, or a group of it."),
    FUNC("regexp_extract_all", "REGULAR EXPRESSION", FUNC_SCALAR, extract_all_sigs,
         "All matches of a regular expression in a text, or a group of each."),
    FUNC("regexp_replace", "REGULAR EXPRESSION", FUNC_SCALAR, replace_sigs,
         "Replaces all matches of a regular expression."),
    FUNC("regexp_split_to_array", "REGULAR EXPRESSION", FUNC_SCALAR, split_sigs,
         "The pieces between the matches of a regular expression."),
};

const struct func_family family_regexp = {funcs, COUNT_OF(funcs)};
