/* What the PostgreSQL sink does without a database: URLs, and which SQLSTATE means what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "connector/pg_sink/pg_sink_int.h"

static const char *param(const struct pg_params *params, const char *name)
{
    const char *value = "";
    for (size_t i = 0; i < params->count; i++)
        if (strcmp(params->names[i], name) == 0)
            value = params->values[i]; /* the last one counts */
    return value;
}

static void urls(void **state)
{
    static const struct {
        const char *url, *host, *port, *dbname, *other, *value;
    } cases[] = {
        {"jdbc:postgresql://h:5433/db", "h", "5433", "db", "sslmode", ""},
        {"jdbc:postgresql://h/db?sslmode=require&ApplicationName=a%20b", "h", "5432", "db",
         "application_name", "a b"},
        {"jdbc:postgresql://h1:1,h2/db?currentSchema=s", "h1,h2", "1,5432", "db", "options",
         "-c search_path=s"},
        {"jdbc:postgresql://[::1]:7/d%2Fb?ssl=true", "::1", "7", "d/b", "sslmode", "require"},
        {"jdbc:postgresql:db?reWriteBatchedInserts=true", "localhost", "", "db", "user", "u"},
        {"postgresql://x@h:9/db?connect_timeout=3", "h", "9", "db", "connect_timeout", "3"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pg_settings settings = {.url = str_from(cases[i].url), .user = STR("u")};
        struct pg_params params;
        struct arena arena = {0};
        struct err err;
        assert_true(pg_url_parse(&settings, &params, &arena, &err));
        assert_string_equal(param(&params, "host"), cases[i].host);
        assert_string_equal(param(&params, "port"), cases[i].port);
        assert_string_equal(param(&params, "dbname"), cases[i].dbname);
        assert_string_equal(param(&params, cases[i].other), cases[i].value);
        assert_string_equal(param(&params, "user"), "u"); /* the option wins */
        arena_fini(&arena);
    }
}

static void bad_urls(void **state)
{
    static const char *const cases[] = {"jdbc:mysql://h/db",
                                        "h:5432/db",
                                        "jdbc:postgresql://h/db?strange=1",
                                        "jdbc:postgresql://h/d%2",
                                        "jdbc:postgresql://h/%00",
                                        "postgresql://h:port:x/db?nothing=1"};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pg_settings settings = {.url = str_from(cases[i])};
        struct pg_params params;
        struct arena arena = {0};
        struct err err;
        assert_false(pg_url_parse(&settings, &params, &arena, &err));
        assert_int_equal(err.code, ERR_INVALID_CONFIG);
        arena_fini(&arena);
    }
}

/* PostgreSQL's manual, appendix A. */
static void sqlstates(void **state)
{
    assert_int_equal(pg_classify("08006"), ERR_UNAVAILABLE);    /* connection_failure */
    assert_int_equal(pg_classify("40001"), ERR_UNAVAILABLE);    /* serialization_failure */
    assert_int_equal(pg_classify("40P01"), ERR_UNAVAILABLE);    /* deadlock_detected */
    assert_int_equal(pg_classify("53300"), ERR_UNAVAILABLE);    /* too_many_connections */
    assert_int_equal(pg_classify("57P01"), ERR_UNAVAILABLE);    /* admin_shutdown */
    assert_int_equal(pg_classify("57P03"), ERR_UNAVAILABLE);    /* cannot_connect_now */
    assert_int_equal(pg_classify("25006"), ERR_UNAVAILABLE);    /* read_only_sql_transaction */
    assert_int_equal(pg_classify("22P02"), ERR_INVALID_RECORD); /* invalid_text_representation */
    assert_int_equal(pg_classify("23505"), ERR_INVALID_RECORD); /* unique_violation */
    assert_int_equal(pg_classify("23514"), ERR_INVALID_RECORD); /* check_violation */
    assert_int_equal(pg_classify("42804"), ERR_INVALID_RECORD); /* datatype_mismatch */
    assert_int_equal(pg_classify("P0001"), ERR_INVALID_RECORD); /* raise_exception, of a trigger */
    assert_int_equal(pg_classify("42703"), ERR_STATEMENT);      /* undefined_column */
    assert_int_equal(pg_classify("42P01"), ERR_STATEMENT);      /* undefined_table */
    assert_int_equal(pg_classify("42501"), ERR_FORBIDDEN);      /* insufficient_privilege */
    assert_true(err_retriable(ERR_UNAVAILABLE));
    assert_false(err_retriable(ERR_INVALID_RECORD));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),
        cmocka_unit_test(bad_urls),
        cmocka_unit_test(sqlstates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
