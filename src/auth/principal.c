/* principal.c - ssl.principal.mapping.rules: the subject of a certificate becomes a principal.
 *
 *   RULE:^CN=(.*?),OU=Service.*$/$1/L, RULE:.../.../, DEFAULT
 *        pattern                replacement, then L (lower case), U (upper case) or nothing
 *
 * The first rule whose pattern fits the whole subject counts, as in Kafka; DEFAULT takes the subject as it is. Patterns are
 * Perl's as Java's are; matching has a limit, so that no subject can hold up a network thread.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "auth/auth_int.h"

enum { MATCH_STEPS_MAX = 100000 };

struct subject_rule {
    pcre2_code *code; /* NULL: DEFAULT */
    struct str replacement;
    char letters; /* 'L', 'U' or 0 */
};

struct subject_rules {
    struct arena arena;
    vec(struct subject_rule) list;
};

static bool fail(struct err *err, struct str rest)
{
    return err_set(
        err, ERR_INVALID_CONFIG,
        "ssl.principal.mapping.rules cannot be read at '%.*s': rules are RULE:pattern/replacement/[LU] and "
        "DEFAULT, separated by commas",
        STR_ARG(rest));
}

/* The text up to the next '/' that no '\' escapes; *rest goes on after it. */
static bool take_part(struct str *rest, struct str *part)
{
    for (size_t i = 0; i < rest->len; i++) {
        if (rest->ptr[i] == '\\') {
            i++;
        } else if (rest->ptr[i] == '/') {
            *part = str_sub(*rest, 0, i);
            *rest = str_sub(*rest, i + 1, SIZE_MAX);
            return true;
        }
    }
    return false;
}

static bool read_rule(struct subject_rules *rules, struct str *rest, struct err *err)
{
    struct str at = *rest, pattern, replacement;
    struct subject_rule *rule = vec_push_zero(&rules->list);
    if (str_starts_with(*rest, STR("DEFAULT"))) {
        *rest = str_trim(str_sub(*rest, strlen("DEFAULT"), SIZE_MAX));
        return true;
    }
    if (!str_starts_with(*rest, STR("RULE:")))
        return fail(err, at);
    *rest = str_sub(*rest, strlen("RULE:"), SIZE_MAX);
    if (!take_part(rest, &pattern) || !take_part(rest, &replacement))
        return fail(err, at);
    int code = 0;
    PCRE2_SIZE place;
    rule->code = pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len,
                               PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED, &code, &place, NULL);
    if (rule->code == NULL)
        return fail(err, at);
    rule->replacement = str_dup(replacement, &rules->arena);
    if (rest->len > 0 && (rest->ptr[0] == 'L' || rest->ptr[0] == 'U')) {
        rule->letters = rest->ptr[0];
        *rest = str_sub(*rest, 1, SIZE_MAX);
    }
    *rest = str_trim(*rest);
    return true;
}

bool subject_rules_new(struct subject_rules **out, struct str text, struct err *err)
{
    struct subject_rules *rules = mem_new(struct subject_rules);
    struct str rest = str_trim(text.len != 0 ? text : STR("DEFAULT"));
    bool good = true;
    while (good && rest.len > 0) {
        good = read_rule(rules, &rest, err);
        if (good && rest.len > 0) {
            good = rest.ptr[0] == ',' || fail(err, rest);
            rest = str_trim(str_sub(rest, 1, SIZE_MAX));
        }
    }
    if (!good) {
        subject_rules_free(rules);
        return false;
    }
    *out = rules;
    return true;
}

void subject_rules_free(struct subject_rules *rules)
{
    if (rules == NULL)
        return;
    for (size_t i = 0; i < rules->list.len; i++)
        pcre2_code_free(rules->list.at[i].code);
    vec_fini(&rules->list);
    arena_fini(&rules->arena);
    free(rules);
}

/* $1 stands for a group, \x for x. */
static struct str replaced(const struct subject_rule *rule, struct str subject, const PCRE2_SIZE *groups,
                           size_t group_count, struct arena *arena)
{
    struct buf out = {0};
    struct str text = rule->replacement;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i], next = i + 1 < text.len ? text.ptr[i + 1] : '\0';
        if (c == '$' && next >= '0' && next <= '9') {
            size_t group = (size_t)(next - '0');
            if (group < group_count && groups[2 * group] != PCRE2_UNSET)
                buf_append_str(&out, str_sub(subject, groups[2 * group],
                                             groups[2 * group + 1] - groups[2 * group]));
            i++;
        } else if (c == '\\' && next != '\0') {
            buf_append_char(&out, next);
            i++;
        } else {
            buf_append_char(&out, c);
        }
    }
    struct str result = str_dup(buf_str(&out), arena);
    buf_fini(&out);
    return rule->letters == 'L'   ? str_lower(result, arena)
           : rule->letters == 'U' ? str_upper(result, arena)
                                  : result;
}

static bool rule_fits(const struct subject_rule *rule, struct str subject, struct str *name,
                      struct arena *arena)
{
    if (rule->code == NULL) {
        *name = subject;
        return true;
    }
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(rule->code, NULL);
    pcre2_set_match_limit(context, MATCH_STEPS_MAX);
    int count = pcre2_match(rule->code, (PCRE2_SPTR)subject.ptr, subject.len, 0, 0, data, context);
    if (count > 0)
        *name = replaced(rule, subject, pcre2_get_ovector_pointer(data), (size_t)count, arena);
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    return count > 0;
}

struct str user_principal(struct str name, struct arena *arena)
{
    static const struct str prefix = STR_INIT("User:");
    char *text = arena_alloc_bytes(arena, prefix.len + name.len);
    memcpy(text, prefix.ptr, prefix.len);
    memcpy(text + prefix.len, name.ptr, name.len);
    return str_of(text, prefix.len + name.len);
}

bool auth_map_subject(const struct auth_listener *listener, struct str subject, struct str *principal,
                      struct arena *arena)
{
    struct str name;
    for (size_t i = 0; i < listener->subject_rules->list.len; i++)
        if (rule_fits(&listener->subject_rules->list.at[i], subject, &name, arena)) {
            *principal = user_principal(name, arena);
            return true;
        }
    return false;
}
