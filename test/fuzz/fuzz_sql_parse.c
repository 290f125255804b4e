/* fuzz_sql_parse.c - any text: the parser ends, and what it accepts survives printing and parsing. */
#include <stdint.h>
#include <stdlib.h>

#include "sql/sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print_and_compare(const struct ast_stmt *stmt, struct arena *arena)
{
    struct buf out = {0};
    struct err err = {0};
    const struct ast_stmt *const *again;
    uint32_t count;
    sql_print_stmt(stmt, &out);
    ASSERT(sql_parse_script(buf_str(&out), NULL, &again, &count, arena, &err));
    ASSERT_CMP(count, ==, 1);
    ASSERT(sql_stmt_eq(stmt, again[0]));
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size), rest = text, part, x = STR("'v'"), y = STR("`n`");
    struct arena arena = {0};
    struct err err = {0};
    const struct ast_stmt *const *stmts;
    uint32_t count;
    struct map variables = {0};
    map_put(&variables, STR("x"), &x);
    map_put(&variables, STR("y"), &y);
    if (sql_parse_script(text, NULL, &stmts, &count, &arena, &err))
        for (uint32_t i = 0; i < count; i++)
            print_and_compare(stmts[i], &arena);
    if (sql_parse(text, &variables, &stmts, &count, &arena, &err))
        for (uint32_t i = 0; i < count; i++)
            print_and_compare(stmts[i], &arena);
    while (sql_next_statement(&rest, &part))
        ASSERT(part.len > 0);
    map_fini(&variables);
    arena_fini(&arena);
    return 0;
}
