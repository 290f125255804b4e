/* test_conformance.c - every statement of the SQL conformance data parses, prints and parses to an equal tree, or gives
 * the syntax error that its case expects.
 *
 * The data is found through the environment variable CONFORMANCE_DIR (a folder with sql/query, sql/rest, sql/sql), else
 * in ../shared/conformance beside the source tree; without it the test says so and passes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/json.h"
#include "sql/sql.h"

struct totals {
    uint32_t cases, statements, errors, failed;
};

static const char *data_dir(void)
{
    const char *dir = getenv("CONFORMANCE_DIR");
    return dir != NULL ? dir : RIALTO_SOURCE_DIR "/../shared/conformance";
}

static bool read_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    char chunk[65536];
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, file)) > 0;)
        buf_append(out, chunk, got);
    fclose(file);
    return true;
}

static struct str member(const struct json_value *object, const char *name)
{
    const struct json_value *value = json_get(object, str_from(name));
    return value != NULL && value->kind == JSON_STRING ? value->str : STR_NULL;
}

static void report(struct totals *totals, const struct json_value *c, const char *what, struct str detail)
{
    totals->failed++;
    print_error("%.*s: %.*s: %s: %.*s\n", STR_ARG(member(c, "id")), STR_ARG(member(c, "name")), what,
                STR_ARG(detail));
}

/* Printed and parsed again, the statements are the same. */
static void check_round_trip(struct totals *totals, const struct json_value *c,
                             const struct ast_stmt *const *stmts, uint32_t count, struct arena *arena)
{
    for (uint32_t i = 0; i < count; i++) {
        struct buf out = {0};
        struct err err = {0};
        const struct ast_stmt *const *again;
        uint32_t again_count;
        sql_print_stmt(stmts[i], &out);
        totals->statements++;
        if (!sql_parse_script(buf_str(&out), NULL, &again, &again_count, arena, &err))
            report(totals, c, "printed text does not parse", str_from(err.text));
        else if (again_count != 1 || !sql_stmt_eq(stmts[i], again[0]))
            report(totals, c, "another tree after printing", buf_str(&out));
        buf_fini(&out);
    }
}

/* Messages that come of the text alone; values of properties, names and types are checked by others. */
static bool is_parser_message(struct str message)
{
    static const char *const parts[] = {"Syntax",
                                        "numeric literal",
                                        "Number overflows",
                                        "column: please use",
                                        "Value must be int",
                                        "don't support negative"};
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (str_find(message, str_from(parts[i])) >= 0)
            return true;
    return false;
}

/* One text of the case; sets *failed when it does not parse. */
static void check_text(struct totals *totals, const struct json_value *c, struct str text,
                       struct str expected, bool *failed, struct arena *arena)
{
    struct err err = {0};
    const struct ast_stmt *const *stmts;
    uint32_t count;
    bool script = str_eq(member(c, "suite"), STR("sql"));
    if ((script ? sql_parse_script : sql_parse)(text, NULL, &stmts, &count, arena, &err)) {
        check_round_trip(totals, c, stmts, count, arena);
        return;
    }
    *failed = true;
    if (str_is_null(expected))
        report(totals, c, "does not parse", str_from(err.text));
    else if (str_find(str_from(err.text), expected) < 0)
        report(totals, c, "has another error", str_from(err.text));
}

/* All statements of a case are one text; in the REST suite each query is a text of its own. */
static void check_case(struct totals *totals, const struct json_value *c, struct arena *arena)
{
    const struct json_value *statements = json_get(c, STR("statements"));
    struct str message = member(json_get(c, STR("error")), "message");
    bool expected = !str_is_null(message) && is_parser_message(message), failed = false;
    int64_t first_query = statements->len;
    struct buf text = {0};
    json_get_i64(c, "first_query", &first_query, NULL);
    for (int64_t i = 0; i < statements->len; i++) {
        buf_append_str(&text, statements->elems[i].str);
        buf_append_char(&text, '\n');
        if (i + 1 < first_query)
            continue;
        check_text(totals, c, buf_str(&text), expected ? message : STR_NULL, &failed, arena);
        buf_clear(&text);
    }
    if (expected && !failed)
        report(totals, c, "parses, expected", message);
    totals->cases++;
    totals->errors += expected;
    buf_fini(&text);
}

static void check_file(struct totals *totals, const char *path)
{
    struct buf text = {0};
    struct arena arena = {0};
    assert_true(read_file(path, &text));
    struct str rest = buf_str(&text), line;
    while (str_split(&rest, '\n', &line)) {
        if (line.len == 0)
            continue;
        struct err err = {0};
        const struct json_value *c = json_parse(line, &arena, &err);
        if (c == NULL)
            fail_msg("%s: %s", path, err.text);
        check_case(totals, c, &arena);
        arena_reset(&arena);
    }
    arena_fini(&arena);
    buf_fini(&text);
}

static void check_folder(struct totals *totals, const char *suite)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/sql/%s", data_dir(), suite);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char file[8192];
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (str_ends_with(str_from(entry->d_name), STR(".jsonl")))
            check_file(totals, file);
    }
    if (dir != NULL)
        closedir(dir);
}

static void test_conformance(void **state)
{
    struct totals totals = {0};
    check_folder(&totals, "query");
    check_folder(&totals, "rest");
    check_folder(&totals, "sql");
    if (totals.cases == 0)
        print_message("no conformance data in %s: nothing is checked\n", data_dir());
    print_message("%u cases, %u statements printed and parsed again, %u errors expected, %u failed\n",
                  totals.cases, totals.statements, totals.errors, totals.failed);
    assert_int_equal(totals.failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_conformance)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
