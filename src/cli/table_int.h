/* table_int.h - rows for people and programs: aligned columns on a terminal, tab-separated lines in a pipe, JSON, CSV. */
#ifndef RIALTO_CLI_TABLE_INT_H
#define RIALTO_CLI_TABLE_INT_H

#include "cli/cli_int.h"

enum table_form { TABLE_ALIGNED, TABLE_LINES, TABLE_JSON, TABLE_CSV };

struct table_column {
    struct str title; /* "PARTITIONS" */
    struct str key;   /* of JSON: "partitions" */
    bool raw; /* cells are JSON values (numbers, booleans) and stand to the right; null cells are null */
};

struct table {
    enum table_form form;
    bool header; /* with TABLE_LINES too */
    bool color;
    int width;                          /* of the terminal; 0: unlimited */
    const struct table_column *columns; /* that are shown */
    size_t column_count;
    const size_t *picked;  /* of each its place in a row's cells; NULL: all of them */
    vec(struct str) cells; /* row after row; null: nothing */
    struct arena arena;
};

/* The form that fits stdout and --json. */
void table_init(struct table *table, const struct cli *cli, const struct table_column *columns, size_t count);
void table_fini(struct table *table);

/* Shows only the columns that --columns names, in its order; to be called before the first row. ERR_USAGE names them all
 * when one is unknown. */
bool table_pick(struct table *table, const struct cli *cli, struct err *err);

/* Adds a row, with all cells of table_init's columns; the texts are copied. */
void table_row(struct table *table, const struct str *cells);

/* Shorthand: an integer as a cell, in the table's arena. */
struct str table_number(struct table *table, int64_t n);

/* Writes all rows to stdout. */
void table_print(struct table *table);

/* Columns of the terminal, or 0 when stdout is none. */
int table_terminal_width(const struct cli *cli);

/* Display width, and text in which control characters are visible: data cannot drive a terminal. */
int table_text_width(struct str text);
void table_append_visible(struct buf *out, struct str text);

#endif
