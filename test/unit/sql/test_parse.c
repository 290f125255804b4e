/* test_parse.c - statements by construct: the tree, the text printed back, the error texts.
 *
 * Expected trees and texts are worked out by hand from the language's reference; error texts are ksqlDB's. A case of
 * `prints` parses the first text, prints it, compares with the second, and parses that to an equal tree again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "sql/sql.h"

struct fixture {
    struct arena arena;
    struct err err;
    const struct ast_stmt *const *stmts;
    uint32_t count;
};

static bool parse(struct fixture *f, const char *text)
{
    return sql_parse_script(str_from(text), NULL, &f->stmts, &f->count, &f->arena, &f->err);
}

static const struct ast_stmt *parse_one(struct fixture *f, const char *text)
{
    if (!parse(f, text))
        fail_msg("%s: %s", text, f->err.text);
    assert_int_equal(f->count, 1);
    return f->stmts[0];
}

static void prints(const char *text, const char *expected)
{
    struct fixture f = {0};
    struct buf out = {0};
    const struct ast_stmt *first = parse_one(&f, text);
    sql_print_stmt(first, &out);
    assert_string_equal(out.ptr, expected);
    const struct ast_stmt *second = parse_one(&f, out.ptr);
    if (!sql_stmt_eq(first, second))
        fail_msg("another tree after printing: %s", out.ptr);
    buf_fini(&out);
    arena_fini(&f.arena);
}

static void expr_prints(const char *text, const char *expected)
{
    struct arena arena = {0};
    struct err err = {0};
    struct buf out = {0};
    const struct ast_expr *first, *second;
    if (!sql_parse_expr(str_from(text), &first, &arena, &err))
        fail_msg("%s: %s", text, err.text);
    sql_print_expr(first, &out);
    assert_string_equal(out.ptr, expected);
    assert_true(sql_parse_expr(buf_str(&out), &second, &arena, &err));
    if (!sql_expr_eq(first, second))
        fail_msg("another tree after printing: %s", out.ptr);
    buf_fini(&out);
    arena_fini(&arena);
}

static void type_prints(const char *text, const char *expected)
{
    struct arena arena = {0};
    struct err err = {0};
    struct buf out = {0};
    const struct ast_type *type;
    if (!sql_parse_type(str_from(text), &type, &arena, &err))
        fail_msg("%s: %s", text, err.text);
    sql_print_type(type, &out);
    assert_string_equal(out.ptr, expected);
    buf_fini(&out);
    arena_fini(&arena);
}

/* The text is refused with a message that begins so; script statements are off. */
static void refuses(const char *text, const char *message)
{
    struct fixture f = {0};
    if (sql_parse(str_from(text), NULL, &f.stmts, &f.count, &f.arena, &f.err))
        fail_msg("parsed: %s", text);
    assert_int_equal(f.err.code, ERR_SYNTAX);
    assert_true(f.err.line > 0 && f.err.column > 0);
    if (!str_starts_with(str_from(f.err.text), str_from(message)))
        fail_msg("%s\n  gave     %s\n  expected %s", text, f.err.text, message);
    arena_fini(&f.arena);
}

static void test_literals(void **state)
{
    expr_prints("1", "1");
    expr_prints("-5", "-5");
    expr_prints("- 5", "-5");
    expr_prints("-(5)", "-(5)");
    expr_prints("-(-12345)", "- -12345");
    expr_prints("+a", "+A");
    expr_prints("2147483648", "2147483648");
    expr_prints("7.25", "7.25");
    expr_prints(".5", ".5");
    expr_prints("1.", "1.");
    expr_prints("2.5e2", "2.5E2");
    expr_prints("1E-7", "1E-7");
    expr_prints("'it''s'", "'it''s'");
    expr_prints("''", "''");
    expr_prints("true", "true");
    expr_prints("NULL", "null");
    expr_prints("${x}", "${x}");
}

static void test_literal_kinds(void **state)
{
    static const struct {
        const char *text;
        enum ast_expr_kind kind;
        int64_t integer;
    } cases[] = {{"0", AST_INTEGER, 0},
                 {"2147483647", AST_INTEGER, INT32_MAX},
                 {"-2147483648", AST_INTEGER, INT32_MIN},
                 {"2147483648", AST_BIGINT, 2147483648},
                 {"-9223372036854775808", AST_BIGINT, INT64_MIN},
                 {"1.0", AST_DECIMAL, 0},
                 {"1e3", AST_DOUBLE, 0},
                 {"'x'", AST_STRING, 0}};
    struct arena arena = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct ast_expr *expr;
        assert_true(sql_parse_expr(str_from(cases[i].text), &expr, &arena, NULL));
        assert_int_equal(expr->kind, cases[i].kind);
        assert_int_equal(expr->integer, cases[i].integer);
    }
    arena_fini(&arena);
}

static void test_names(void **state)
{
    expr_prints("abc", "ABC");
    expr_prints("`abc`", "`abc`");
    expr_prints("\"A b\"", "`A b`");
    expr_prints("`ABC`", "ABC");
    expr_prints("`a``b`", "`a``b`");
    expr_prints("`SELECT`", "`SELECT`");
    expr_prints("t.`1x`", "T.`1x`");
    expr_prints("_a@1", "_A@1");
    expr_prints("date", "DATE");
    expr_prints("`ARRAY`[1]", "`ARRAY`[1]");
}

static void test_precedence(void **state)
{
    expr_prints("1 + 2 * 3", "(1 + (2 * 3))");
    expr_prints("(1 + 2) * 3", "((1 + 2) * 3)");
    expr_prints("a - b - c", "((A - B) - C)");
    expr_prints("a -5", "(A - 5)");
    expr_prints("a - -5", "(A - -5)");
    expr_prints("a || b + c", "(A || (B + C))");
    expr_prints("a + 1 = b AND NOT c OR d", "((((A + 1) = B) AND (NOT C)) OR D)");
    expr_prints("NOT a = b", "(NOT (A = B))");
    expr_prints("NOT NOT a", "(NOT (NOT A))");
    expr_prints("a OR b AND c", "(A OR (B AND C))");
    expr_prints("a != b", "(A <> B)");
    expr_prints("-a * b", "(-A * B)");
    expr_prints("-a AT TIME ZONE 'UTC'", "-(A AT TIME ZONE 'UTC')");
    expr_prints("a % b / c", "((A % B) / C)");
    expr_prints("(a = b) = c", "((A = B) = C)");
}

static void test_predicates(void **state)
{
    expr_prints("a BETWEEN 1 AND 2 AND b", "((A BETWEEN 1 AND 2) AND B)");
    expr_prints("a NOT BETWEEN 1 AND 2", "(A NOT BETWEEN 1 AND 2)");
    expr_prints("a IN (1, 2)", "(A IN (1, 2))");
    expr_prints("a NOT IN ('x')", "(A NOT IN ('x'))");
    expr_prints("a LIKE 'x%'", "(A LIKE 'x%')");
    expr_prints("a NOT LIKE 'x!%' ESCAPE '!'", "(A NOT LIKE 'x!%' ESCAPE '!')");
    expr_prints("a IS NULL", "(A IS NULL)");
    expr_prints("a IS NOT NULL", "(A IS NOT NULL)");
    expr_prints("a IS DISTINCT FROM b", "(A IS DISTINCT FROM B)");
    expr_prints("a IS NOT DISTINCT FROM b", "(A IS NOT DISTINCT FROM B)");
}

static void test_primaries(void **state)
{
    expr_prints("CASE WHEN a THEN 1 WHEN b THEN 2 ELSE 3 END",
                "(CASE WHEN A THEN 1 WHEN B THEN 2 ELSE 3 END)");
    expr_prints("CASE a WHEN 1 THEN 'x' END", "(CASE A WHEN 1 THEN 'x' END)");
    expr_prints("cast(a AS decimal(4,2))", "CAST(A AS DECIMAL(4, 2))");
    expr_prints("ARRAY[1, 2][1]", "ARRAY[1, 2][1]");
    expr_prints("ARRAY[]", "ARRAY[]");
    expr_prints("MAP('k' := 1, 'l' := 2)['k']", "MAP('k':=1, 'l':=2)['k']");
    expr_prints("STRUCT(a := 1, `b` := 'x')->a", "STRUCT(A:=1, `b`:='x')->A");
    expr_prints("a->b->`c`[1]", "A->B->`c`[1]");
    expr_prints("(-a)->b", "(-A)->B");
    expr_prints("COUNT(*)", "COUNT(*)");
    expr_prints("COUNT()", "COUNT()");
    expr_prints("pi()", "PI()");
    expr_prints("timestampadd(MINUTES, 5, ts)", "TIMESTAMPADD(MINUTES, 5, TS)");
    expr_prints("f(day)", "F(DAY)");
    expr_prints("transform(m, (k, v) => ucase(k), (k, v) => v + 1)",
                "TRANSFORM(M, (K, V) => UCASE(K), (K, V) => (V + 1))");
    expr_prints("filter(a, x => x > 1)", "FILTER(A, (X) => (X > 1))");
    expr_prints("replace(a, 'b', 'c')", "REPLACE(A, 'b', 'c')");
}

static void test_types(void **state)
{
    type_prints("int", "INT");
    type_prints("varchar(10)", "VARCHAR");
    type_prints("VARCHAR(STRING)", "VARCHAR");
    type_prints("decimal(10, 2)", "DECIMAL(10, 2)");
    type_prints("array<array<int>>", "ARRAY<ARRAY<INT>>");
    type_prints("int array array", "ARRAY<ARRAY<INT>>");
    type_prints("map<string, double>", "MAP<STRING, DOUBLE>");
    type_prints("struct<a int, `b c` struct<d string>>", "STRUCT<A INT, `b c` STRUCT<D STRING>>");
    type_prints("struct<>", "STRUCT< >");
    type_prints("struct< >", "STRUCT< >");
    type_prints("money", "MONEY");
}

static void test_queries(void **state)
{
    prints("select * from s;", "SELECT *\nFROM S;");
    prints("SELECT a, b AS c, d e FROM s x EMIT CHANGES;",
           "SELECT\n  A,\n  B C,\n  D E\nFROM S X\nEMIT CHANGES;");
    prints("SELECT s.*, a->*, count(*) FROM s EMIT FINAL LIMIT 3;",
           "SELECT\n  S.*,\n  A->*,\n  COUNT(*)\nFROM S\nEMIT FINAL\nLIMIT 3;");
    prints(
        "SELECT k FROM s WINDOW TUMBLING (SIZE 3 SECONDS, RETENTION 1 DAY, GRACE PERIOD 1 SECOND) "
        "WHERE a > 1 GROUP BY k HAVING count(*) > 1;",
        "SELECT K\nFROM S\nWINDOW TUMBLING ( SIZE 3 SECONDS , RETENTION 1 DAYS , GRACE PERIOD 1 SECONDS )\n"
        "WHERE (A > 1)\nGROUP BY K\nHAVING (COUNT(*) > 1);");
    prints("SELECT k FROM s WINDOW w HOPPING (SIZE 1 MINUTE, ADVANCE BY 10 SECONDS) GROUP BY (k, l);",
           "SELECT K\nFROM S\nWINDOW HOPPING ( SIZE 1 MINUTES , ADVANCE BY 10 SECONDS )\nGROUP BY K, L;");
    prints("SELECT k FROM s WINDOW SESSION (1 HOUR, GRACE PERIOD 5 MILLISECONDS) GROUP BY (k);",
           "SELECT K\nFROM S\nWINDOW SESSION ( 1 HOURS , GRACE PERIOD 5 MILLISECONDS )\nGROUP BY K;");
    prints("SELECT * FROM a INNER JOIN b WITHIN 1 HOUR GRACE PERIOD 2 HOURS ON a.id = b.id "
           "LEFT JOIN c AS d WITHIN (1 SECOND, 2 SECONDS) ON a.id = d.id FULL OUTER JOIN e ON a.x = e.x;",
           "SELECT *\nFROM A\nINNER JOIN B WITHIN 1 HOURS GRACE PERIOD 2 HOURS ON ((A.ID = B.ID))\n"
           "LEFT OUTER JOIN C D WITHIN (1 SECONDS, 2 SECONDS) ON ((A.ID = D.ID))\n"
           "FULL OUTER JOIN E ON ((A.X = E.X));");
    prints("SELECT * FROM s PARTITION BY ();", "SELECT *\nFROM S\nPARTITION BY ();");
    prints("SELECT * FROM s PARTITION BY (a + 1) * 2, b;",
           "SELECT *\nFROM S\nPARTITION BY ((A + 1) * 2), B;");
    prints("SELECT * FROM s emit EMIT CHANGES;", "SELECT *\nFROM S EMIT\nEMIT CHANGES;");
    prints("SELECT * FROM s partition PARTITION BY a;", "SELECT *\nFROM S PARTITION\nPARTITION BY A;");
}

static void test_definitions(void **state)
{
    prints("CREATE OR REPLACE STREAM IF NOT EXISTS s (k INT KEY, v STRING, h ARRAY<STRUCT<key STRING, value "
           "BYTES>> "
           "HEADERS, x BYTES HEADER('k1')) WITH (kafka_topic='t', 'value_format'='JSON', partitions=-1, "
           "wrap=true);",
           "CREATE OR REPLACE STREAM IF NOT EXISTS S (K INT KEY, V STRING, H ARRAY<STRUCT<KEY STRING, VALUE "
           "BYTES>> "
           "HEADERS, X BYTES HEADER('k1')) WITH (KAFKA_TOPIC='t', 'value_format'='JSON', PARTITIONS=-1, "
           "WRAP=true);");
    prints("CREATE SOURCE TABLE t (k INT PRIMARY KEY) WITH (kafka_topic='t');",
           "CREATE SOURCE TABLE T (K INT PRIMARY KEY) WITH (KAFKA_TOPIC='t');");
    prints("CREATE STREAM s WITH (kafka_topic='t');", "CREATE STREAM S WITH (KAFKA_TOPIC='t');");
    prints("create table t with (partitions=2) as select * from s;",
           "CREATE TABLE T WITH (PARTITIONS=2) AS SELECT *\nFROM S;");
    prints("INSERT INTO s WITH (query_id='q') SELECT * FROM t;",
           "INSERT INTO S WITH (QUERY_ID='q') SELECT *\nFROM T;");
    prints("INSERT INTO s (a, `b`) VALUES (1, 'x');", "INSERT INTO S (A, `b`) VALUES (1, 'x');");
    prints("INSERT INTO s VALUES ();", "INSERT INTO S VALUES ();");
    prints("DROP STREAM IF EXISTS s DELETE TOPIC;", "DROP STREAM IF EXISTS S DELETE TOPIC;");
    prints("DROP TABLE t;", "DROP TABLE T;");
    prints("DROP TYPE IF EXISTS t;", "DROP TYPE IF EXISTS T;");
    prints("DROP CONNECTOR `c`;", "DROP CONNECTOR `c`;");
    prints("ALTER STREAM s ADD COLUMN a INT, ADD b STRING, ADD column INT;",
           "ALTER STREAM S\nADD COLUMN A INT,\nADD COLUMN B STRING,\nADD COLUMN COLUMN INT;");
    prints("ALTER SYSTEM 'a'='b';", "ALTER SYSTEM 'a'='b';");
    prints("CREATE TYPE IF NOT EXISTS money AS DECIMAL(12,2);",
           "CREATE TYPE IF NOT EXISTS MONEY AS DECIMAL(12, 2);");
    prints("CREATE SINK CONNECTOR IF NOT EXISTS c WITH (\"connector.class\"='x', 'tasks.max'=1);",
           "CREATE SINK CONNECTOR IF NOT EXISTS C WITH ('connector.class'='x', 'tasks.max'=1);");
}

static void test_information(void **state)
{
    prints("LIST STREAMS EXTENDED;", "SHOW STREAMS EXTENDED;");
    prints("show all topics extended;", "SHOW ALL TOPICS EXTENDED;");
    prints("SHOW SOURCE CONNECTORS;", "SHOW SOURCE CONNECTORS;");
    prints("SHOW CONNECTOR PLUGINS;", "SHOW CONNECTOR PLUGINS;");
    prints("SHOW VARIABLES;", "SHOW VARIABLES;");
    prints("DESCRIBE s EXTENDED;", "DESCRIBE S EXTENDED;");
    prints("DESCRIBE TABLES EXTENDED;", "DESCRIBE TABLES EXTENDED;");
    prints("DESCRIBE `TABLES`;", "DESCRIBE `TABLES`;");
    prints("DESCRIBE STREAMS;", "DESCRIBE STREAMS;");
    prints("DESCRIBE FUNCTION count;", "DESCRIBE FUNCTION COUNT;");
    prints("DESCRIBE FUNCTION;", "DESCRIBE `FUNCTION`;");
    prints("DESCRIBE CONNECTOR c;", "DESCRIBE CONNECTOR C;");
    prints("PRINT myTopic FROM BEGINNING INTERVAL 2 LIMIT 3;",
           "PRINT 'myTopic' FROM BEGINNING INTERVAL 2 LIMIT 3;");
    prints("TERMINATE ALL;", "TERMINATE ALL;");
    prints("PAUSE csas_a_1;", "PAUSE CSAS_A_1;");
    prints("RESUME ALL;", "RESUME ALL;");
    prints("EXPLAIN q;", "EXPLAIN Q;");
    prints("EXPLAIN SHOW STREAMS;", "EXPLAIN SHOW STREAMS;");
    prints("EXPLAIN SELECT * FROM s;", "EXPLAIN SELECT *\nFROM S;");
    prints("SET 'a'='b''c';", "SET 'a'='b''c';");
    prints("UNSET 'a';", "UNSET 'a';");
    prints("DEFINE fmt = '''JSON''';", "DEFINE fmt='''JSON''';");
    prints("UNDEFINE fmt;", "UNDEFINE fmt;");
    prints("ASSERT NOT EXISTS TOPIC t WITH (PARTITIONS=1) TIMEOUT 3 SECONDS;",
           "ASSERT NOT EXISTS TOPIC 't' WITH (PARTITIONS=1) TIMEOUT 3 SECONDS;");
    prints("ASSERT SCHEMA SUBJECT `a` ID 3;", "ASSERT SCHEMA SUBJECT 'a' ID 3;");
    prints("ASSERT VALUES s (a) VALUES (1);", "ASSERT VALUES S (A) VALUES (1);");
    prints("ASSERT NULL VALUES s (k) KEY (1);", "ASSERT NULL VALUES S (K) KEY (1);");
    prints("ASSERT TABLE t (k INT PRIMARY KEY) WITH (kafka_topic='t');",
           "ASSERT TABLE T (K INT PRIMARY KEY) WITH (KAFKA_TOPIC='t');");
    prints("RUN SCRIPT 'a.sql';", "RUN SCRIPT 'a.sql';");
}

static void test_many_statements(void **state)
{
    struct fixture f = {0};
    assert_true(parse(&f, " -- first\nSHOW STREAMS; /* ; */\n  show tables ; --@test: x\n"));
    assert_int_equal(f.count, 2);
    assert_true(str_eq(f.stmts[0]->text, STR("SHOW STREAMS;")));
    assert_true(str_eq(f.stmts[1]->text, STR("show tables ;")));
    assert_int_equal(f.stmts[1]->place.line, 3);
    assert_int_equal(f.stmts[1]->place.column, 3);
    assert_true(parse(&f, ""));
    assert_int_equal(f.count, 0);
    arena_fini(&f.arena);
}

static void test_syntax_errors(void **state)
{
    refuses("RUN SCRIPT 'x';", "line 1:1: Syntax Error\nUnknown statement 'RUN'\nDid you mean ");
    refuses("SELEC * FROM a;",
            "line 1:1: Syntax Error\nUnknown statement 'SELEC'\nDid you mean 'SELECT'?\nStatement: SELEC");
    refuses("SHOW STREAMS;\n  crete STREAM x;",
            "line 2:3: Syntax Error\nUnknown statement 'crete'\nDid you mean 'CREATE'?");
    refuses("SELECT * FROM a", "line 1:16: Syntax Error\nmissing ';' at '<EOF>'\nStatement: SELECT * FROM a");
    refuses("SELECT * FROM S1 ORDER BY K;",
            "line 1:24: Syntax Error\n\nStatement: SELECT * FROM S1 ORDER BY K;");
    refuses("SELECT a FROM from;",
            "line 1:15: Syntax Error\n\"from\" is a reserved keyword and it can't be used as an "
            "identifier. You can use it as an identifier by escaping it as 'from' ");
    refuses("CREATE STREAM s (K INT (KEY));", "line 1:25: Syntax Error\nExpecting {'STRING', INTEGER_VALUE}");
    refuses("CREATE STREAM s (K INT 1);", "line 1:24: Syntax Error\nExpecting {',', ')'}");
    refuses("ASSERT VALUES s VALUES (1);",
            "line 1:8: Syntax Error\nSyntax error at or near 'VALUES' at line 1:8");
    refuses("SELECT a < b < c FROM s;", "line 1:14: Syntax Error");
    refuses("SELECT a FROM s WHERE a->* = 1;", "line 1:26: Syntax Error");
    refuses("SELECT f(a->*) FROM s;", "line 1:13: Syntax Error");
    refuses("SELECT f(x => x) FROM s;", "line 1:10: Syntax Error");
    refuses("SELECT * FROM s WHERE a IN ();", "line 1:29: Syntax Error");
    refuses("SELECT * FROM s WHERE 'abc;", "line 1:23: Syntax Error");
    refuses("SELECT * FROM s WHERE (a = 1",
            "line 1:29: Syntax Error\nSyntax error at or near \";\"\n'}', ']', or ')' is missing");
    refuses("SELECT \xc3\xa9 FROM s;",
            "line 1:8: Syntax Error\nSyntax error at or near '\xc3\xa9' at line 1:8");
    refuses("DROP STREAM s foo;", "line 1:15: Syntax Error\nExpecting ';'");
    refuses("CREATE STREAM s (a INT) AS SELECT * FROM t;", "line 1:25: Syntax Error\nExpecting ';'");
    refuses(";", "line 1:1: Syntax Error");
}

static void test_refusals(void **state)
{
    refuses("SHOW STREAMS;\nSELECT 9223372036854775808 FROM s;",
            "Failed to prepare statement: line 2:9: Invalid numeric literal: 9223372036854775808\nStatement: "
            "SELECT 92");
    refuses("SELECT 1.8E308 FROM s;",
            "Failed to prepare statement: line 1:9: Number overflows DOUBLE: 1.8E308");
    refuses("SELECT * FROM s LIMIT 2.5;",
            "Failed to prepare statement: Value must be integer for command: LIMIT");
    refuses("SELECT * FROM s LIMIT -1;",
            "Failed to prepare statement: Pull queries don't support negative integers in the LIMIT clause.");
    refuses("CREATE TABLE t (id INT KEY) WITH (x='y');",
            "Failed to prepare statement: Line: 1, Col: 17: Column `ID` is a 'KEY' column: please use "
            "'PRIMARY KEY' "
            "for tables.");
    refuses("CREATE STREAM s (id INT PRIMARY KEY);", "Failed to prepare statement: Line: 1, Col: 18: Column "
                                                     "`ID` is a 'PRIMARY KEY' column: please use 'KEY' "
                                                     "for streams.");
    refuses("SELECT 1abc FROM s;",
            "Failed to prepare statement: line 1:9: identifiers must not start with a digit; "
            "please use backquotes to wrap the identifier");
    refuses("DROP STREAM `a.b`;",
            "Failed to prepare statement: Illegal argument at Line: 1, Col: 13. Source names may "
            "only contain alphanumeric values, '_' or '-'. Got: 'a.b'");
    refuses("SELECT a LIKE 'x' ESCAPE 'ab' FROM s;",
            "Failed to prepare statement: Line: 1, Col: 26: Expected single character escape but got: ab");
    /* A syntax error anywhere comes first. */
    refuses("DROP STREAM `a.b`; DROP;", "line 1:24: Syntax Error");
}

static void repeat(struct buf *out, const char *text, int count)
{
    for (int i = 0; i < count; i++)
        buf_append_cstr(out, text);
}

/* open * n, middle, close * n: parses and survives printing, or is refused for its depth. */
static bool parses_nested(const char *open, const char *middle, const char *close, int n)
{
    struct arena arena = {0};
    struct err err = {0};
    struct buf text = {0}, printed = {0};
    const struct ast_expr *expr, *again;
    repeat(&text, open, n);
    buf_append_cstr(&text, middle);
    repeat(&text, close, n);
    bool ok = sql_parse_expr(buf_str(&text), &expr, &arena, &err);
    if (ok) {
        sql_print_expr(expr, &printed);
        if (!sql_parse_expr(buf_str(&printed), &again, &arena, &err))
            fail_msg("%d times %s%s: printed text: %s", n, open, close, err.text);
        assert_true(sql_expr_eq(expr, again));
    } else {
        assert_int_equal(err.code, ERR_SYNTAX);
        assert_non_null(strstr(err.text, "nested too deeply"));
    }
    buf_fini(&printed);
    buf_fini(&text);
    arena_fini(&arena);
    return ok;
}

static void test_depth(void **state)
{
    static const struct {
        const char *open, *middle, *close;
    } cases[] = {{"(", "1", ")"},
                 {"NOT ", "a", ""},
                 {"- ", "a", ""},
                 {"a + ", "a", ""},
                 {"f(", "1", ")"},
                 {"ARRAY[", "1", "]"},
                 {"", "a", "[1]"},
                 {"", "a", "->b"},
                 {"a IN (", "1", ")"},
                 {"a + (", "1", ")"},
                 {"CASE WHEN ", "a", " THEN 1 END"},
                 {"f(1, x => ", "a", ")"},
                 {"a BETWEEN 1 AND (", "2", ")"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_true(parses_nested(cases[i].open, cases[i].middle, cases[i].close, 490));
        ignore(parses_nested(cases[i].open, cases[i].middle, cases[i].close, 998), "either is right");
        assert_false(parses_nested(cases[i].open, cases[i].middle, cases[i].close, 100000));
    }
}

static void test_type_depth(void **state)
{
    struct arena arena = {0};
    struct err err = {0};
    struct buf text = {0};
    const struct ast_type *type;
    repeat(&text, "ARRAY<", 90);
    buf_append_cstr(&text, "INT");
    repeat(&text, ">", 90);
    assert_true(sql_parse_type(buf_str(&text), &type, &arena, &err));
    repeat(&text, " ARRAY", 90);
    assert_false(sql_parse_type(buf_str(&text), &type, &arena, &err));
    buf_fini(&text);
    arena_fini(&arena);
}

static void test_next_statement(void **state)
{
    struct str rest = STR(" a 'x;' -- ;\n \"b;\" /* ; */ `;`; second; 'open"), stmt;
    assert_true(sql_next_statement(&rest, &stmt));
    assert_true(str_eq(stmt, STR("a 'x;' -- ;\n \"b;\" /* ; */ `;`;")));
    assert_true(sql_next_statement(&rest, &stmt));
    assert_true(str_eq(stmt, STR("second;")));
    assert_false(sql_next_statement(&rest, &stmt));
    assert_true(str_eq(rest, STR(" 'open")));
}

static void test_variables(void **state)
{
    static const struct {
        const char *text, *expected; /* NULL: refused */
    } cases[] = {
        {"CREATE STREAM ${name} (a ${type}) WITH (kafka_topic='${topic}', partitions=${n}, x=${quoted});",
         "CREATE STREAM ORDERS (A STRING) WITH (KAFKA_TOPIC='or''ders', PARTITIONS=3, X='it''s');"},
        {"SELECT * FROM ${NAME} WHERE a = '$${name} ${unknown} ${name}';",
         "SELECT *\nFROM ORDERS\nWHERE (A = '${name} ${unknown} orders');"},
        {"SET '${name}'='${n}';", "SET 'orders'='3';"},
        {"PRINT '${topic}';", "PRINT 'or''ders';"},
        {"SELECT ${n}, ${flag} FROM s;", "SELECT\n  3,\n  true\nFROM S;"},
        {"SELECT ${call}(1) FROM s;", "SELECT `my_f`(1)\nFROM S;"},
        {"SELECT * FROM ${unknown};", NULL},
        {"SELECT * FROM ${bad};", NULL},
        {"SELECT ${name} FROM s;", NULL},
        {"SELECT * FROM s LIMIT ${n};", NULL},
    };
    struct str name = STR("orders"), type = STR("string"), topic = STR("or'ders"), n = STR("3"),
               quoted = STR("'it''s'"), flag = STR("TRUE"), bad = STR("a; DROP STREAM b"),
               call = STR("`my_f`");
    struct map variables = {0};
    map_put(&variables, STR("name"), &name);
    map_put(&variables, STR("type"), &type);
    map_put(&variables, STR("topic"), &topic);
    map_put(&variables, STR("n"), &n);
    map_put(&variables, STR("quoted"), &quoted);
    map_put(&variables, STR("flag"), &flag);
    map_put(&variables, STR("bad"), &bad);
    map_put(&variables, STR("call"), &call);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fixture f = {0};
        struct buf out = {0};
        bool ok = sql_parse(str_from(cases[i].text), &variables, &f.stmts, &f.count, &f.arena, &f.err);
        if (ok != (cases[i].expected != NULL))
            fail_msg("%s: %s", cases[i].text, ok ? "parsed" : f.err.text);
        if (ok) {
            sql_print_stmt(f.stmts[0], &out);
            assert_string_equal(out.ptr, cases[i].expected);
        }
        buf_fini(&out);
        arena_fini(&f.arena);
    }
    map_fini(&variables);
}

static void test_keywords(void **state)
{
    uint32_t count = 0, reserved_count = 0;
    bool reserved;
    const char *last = "";
    for (const char *word; (word = sql_keyword(count, &reserved)) != NULL; count++) {
        assert_true(strcmp(last, word) < 0);
        last = word;
        reserved_count += reserved;
    }
    assert_int_equal(count - reserved_count, 57);
    assert_true(count > reserved_count && reserved_count > 57);
}

/* A part of a text counts its places from where it stands in the whole. */
static void test_places_of_parts(void **state)
{
    struct arena arena = {0};
    struct err err = {0};
    const struct ast_stmt *const *stmts;
    uint32_t count;
    struct sql_place place = {1, 1};
    sql_place_move(&place, STR("SET 'a' = 'b';\n\n  \xc3\xa4 "));
    assert_int_equal(place.line, 3);
    assert_int_equal(place.column, 5);
    assert_true(sql_parse_at(STR("DROP STREAM s;"), place, NULL, &stmts, &count, &arena, &err));
    assert_int_equal(stmts[0]->place.line, 3);
    assert_int_equal(stmts[0]->place.column, 5);
    assert_false(sql_parse_at(STR("DROP\nSTREAM 1;"), place, NULL, &stmts, &count, &arena, &err));
    assert_int_equal(err.line, 4);
    assert_int_equal(err.column, 8);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals),        cmocka_unit_test(test_literal_kinds),
        cmocka_unit_test(test_names),           cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_predicates),      cmocka_unit_test(test_primaries),
        cmocka_unit_test(test_types),           cmocka_unit_test(test_queries),
        cmocka_unit_test(test_definitions),     cmocka_unit_test(test_information),
        cmocka_unit_test(test_many_statements), cmocka_unit_test(test_syntax_errors),
        cmocka_unit_test(test_refusals),        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_type_depth),      cmocka_unit_test(test_next_statement),
        cmocka_unit_test(test_variables),       cmocka_unit_test(test_keywords),
        cmocka_unit_test(test_places_of_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
