/* shell_complete.c - completion of words: keywords and commands offline, names of sources and functions from the server. */
#include <stdlib.h>

#include "cli/shell_int.h"
#include "sql/sql.h"

enum { ASK_MS = 500 };

void shell_names_init(struct shell_names *names, const char *const *commands, size_t command_count)
{
    const char *word;
    *names = (struct shell_names){0};
    for (uint32_t i = 0; (word = sql_keyword(i, NULL)) != NULL; i++)
        vec_push(&names->names, str_from(word));
    for (size_t i = 0; i < command_count; i++)
        vec_push(&names->names, str_from(commands[i]));
    names->fixed = names->names.len;
}

void shell_names_fini(struct shell_names *names)
{
    vec_fini(&names->names);
    arena_fini(&names->arena);
}

static void add_names(struct shell_names *names, const struct json_value *list)
{
    for (uint32_t i = 0; list != NULL && list->kind == JSON_ARRAY && i < list->len; i++) {
        struct str name = STR_NULL;
        if (json_get_str(&list->elems[i], "name", &name, NULL) && !str_is_null(name))
            vec_push(&names->names, str_dup(name, &names->arena));
    }
}

void shell_names_refresh(struct shell_names *names, struct session *session)
{
    struct arena arena = {0};
    const struct json_value *entities;
    int64_t timeout_ms = session->http.timeout_ms;
    session->http.timeout_ms = ASK_MS;
    bool ok = rest_statements(&session->http, STR("SHOW STREAMS; SHOW TABLES; SHOW FUNCTIONS;"), NULL, NULL,
                              &entities, &arena, NULL);
    session->http.timeout_ms = timeout_ms;
    if (ok) {
        names->names.len = names->fixed;
        arena_reset(&names->arena);
    }
    for (uint32_t i = 0; ok && i < entities->len; i++) {
        add_names(names, json_get(&entities->elems[i], STR("streams")));
        add_names(names, json_get(&entities->elems[i], STR("tables")));
        add_names(names, json_get(&entities->elems[i], STR("functions")));
    }
    arena_fini(&arena);
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

size_t shell_complete(const struct shell_names *names, struct str word, struct str **found,
                      struct str *common, struct arena *arena)
{
    size_t count = 0, kept = 0;
    *found = arena_array(arena, struct str, names->names.len);
    for (size_t i = 0; i < names->names.len; i++)
        if (str_starts_with_nocase(names->names.at[i], word))
            (*found)[count++] = names->names.at[i];
    qsort(*found, count, sizeof **found, by_text);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !str_eq((*found)[kept - 1], (*found)[i]))
            (*found)[kept++] = (*found)[i];
    *common = kept > 0 ? (*found)[0] : STR("");
    for (size_t i = 1; i < kept; i++) {
        size_t n = 0;
        while (n < common->len && n < (*found)[i].len &&
               str_eq_nocase(str_sub(*common, n, 1), str_sub((*found)[i], n, 1)))
            n++;
        common->len = n;
    }
    return kept;
}
