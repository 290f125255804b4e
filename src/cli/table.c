/* table.c - tables that fit the terminal.
 *
 *   NAME        PARTITIONS  RECORDS        aligned: two spaces between, no boxes; numbers to the right
 *   orders              12   31,204        too wide: the widest columns are cut first, cut cells end in an ellipsis
 *
 * In a pipe a row is a line, tab-separated, nothing is cut, tabs and line breaks inside of cells are escaped.
 */
#include "cli/table_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/utf8.h"
#include "json/json.h"

enum { GAP = 2, COLUMN_WIDTH_MIN = 6 };

void table_init(struct table *table, const struct cli *cli, const struct table_column *columns, size_t count)
{
    *table = (struct table){.columns = columns, .column_count = count, .header = true, .color = cli->color};
    table->form = cli->json ? TABLE_JSON : cli->stdout_tty ? TABLE_ALIGNED : TABLE_LINES;
    if (table->form == TABLE_LINES)
        table->header = cli->header;
    table->width = table_terminal_width(cli);
}

void table_fini(struct table *table)
{
    vec_fini(&table->cells);
    arena_fini(&table->arena);
}

/* The column of this name; the count when there is none. */
static size_t find_column(const struct table *table, struct str name)
{
    size_t i = 0;
    while (i < table->column_count && !str_eq_nocase(table->columns[i].key, name) &&
           !str_eq_nocase(table->columns[i].title, name))
        i++;
    return i;
}

static bool refuse_column(const struct table *table, struct str name, struct err *err)
{
    struct buf names = {0};
    for (size_t i = 0; i < table->column_count; i++)
        buf_printf(&names, "%s%.*s", i == 0 ? "" : ", ", STR_ARG(table->columns[i].key));
    err_set(err, ERR_USAGE, "there is no column '%.*s', the columns are: %.*s", STR_ARG(name), (int)names.len,
            names.len != 0 ? names.ptr : "");
    buf_fini(&names);
    return false;
}

bool table_pick(struct table *table, const struct cli *cli, struct err *err)
{
    struct str rest = cli_value(cli, "columns"), name;
    size_t *picked = arena_array(&table->arena, size_t, rest.len + 1), count = 0;
    if (str_is_null(rest))
        return true;
    while (str_split(&rest, ',', &name)) {
        size_t at = find_column(table, str_trim(name));
        if (at == table->column_count)
            return refuse_column(table, str_trim(name), err);
        picked[count++] = at;
    }
    struct table_column *columns = arena_array(&table->arena, struct table_column, count);
    for (size_t i = 0; i < count; i++)
        columns[i] = table->columns[picked[i]];
    table->columns = columns;
    table->column_count = count;
    table->picked = picked;
    return true;
}

void table_row(struct table *table, const struct str *cells)
{
    for (size_t i = 0; i < table->column_count; i++)
        vec_push(&table->cells, str_dup(cells[table->picked != NULL ? table->picked[i] : i], &table->arena));
}

struct str table_number(struct table *table, int64_t n)
{
    return str_printf(&table->arena, "%" PRId64, n);
}

int table_terminal_width(const struct cli *cli)
{
    struct winsize size;
    if (!cli->stdout_tty || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 0;
    return size.ws_col;
}

/* Text ---------------------------------------------------------------------------------------------------- */

int table_text_width(struct str text)
{
    int width = 0;
    const char *at = text.ptr, *end = text.ptr + text.len;
    while (at < end) {
        uint32_t code;
        int size = utf8_decode(at, end, &code);
        int columns = size > 0 ? wcwidth((wchar_t)code) : 1;
        width += columns > 0 ? columns : columns < 0 ? 1 : 0;
        at += size > 0 ? size : 1;
    }
    return width;
}

void table_append_visible(struct buf *out, struct str text)
{
    const char *at = text.ptr, *end = text.ptr + text.len;
    while (at < end) {
        unsigned char c = (unsigned char)*at;
        uint32_t code;
        int size = utf8_decode(at, end, &code);
        if (c == '\t' || c == '\n' || c == '\r')
            buf_append_cstr(out, c == '\t' ? "\\t" : c == '\n' ? "\\n" : "\\r");
        else if (size == 0 || c < 0x20 || c == 0x7f || (code >= 0x80 && code < 0xa0))
            buf_printf(out, "\\x%02x", c);
        else
            buf_append(out, at, (size_t)size);
        at += size > 0 ? size : 1;
    }
}

/* Appends the text in exactly `width` columns, cut or filled. */
static void append_cell(struct buf *out, struct str text, int width, bool right, bool last)
{
    int have = table_text_width(text), cut = 0;
    struct buf shown = {0};
    if (have > width) {
        const char *at = text.ptr, *end = text.ptr + text.len;
        while (at < end) {
            uint32_t code;
            int size = utf8_decode(at, end, &code);
            int columns = size > 0 ? MAX(wcwidth((wchar_t)code), 0) : 1;
            if (cut + columns > width - 1)
                break;
            cut += columns;
            at += size > 0 ? size : 1;
        }
        buf_append(&shown, text.ptr, (size_t)(at - text.ptr));
        buf_append_cstr(&shown, "…");
        have = cut + 1;
    } else {
        buf_append_str(&shown, text);
    }
    if (right)
        buf_printf(out, "%*s", width - have, "");
    buf_append_str(out, buf_str(&shown));
    if (!right && !last)
        buf_printf(out, "%*s", width - have, "");
    buf_fini(&shown);
}

/* Forms --------------------------------------------------------------------------------------------------- */

static struct str cell_text(const struct table *table, size_t row, size_t column)
{
    struct str cell = table->cells.at[row * table->column_count + column];
    return str_is_null(cell) ? STR("") : cell;
}

static size_t row_count(const struct table *table)
{
    return table->column_count == 0 ? 0 : table->cells.len / table->column_count;
}

/* Widest columns give way until the line fits. */
static void fit(int *widths, size_t count, int total_max)
{
    for (;;) {
        int total = GAP * ((int)count - 1), widest = 0;
        for (size_t i = 0; i < count; i++) {
            total += widths[i];
            if (widths[i] >= widths[widest])
                widest = (int)i;
        }
        if (total <= total_max || widths[widest] <= COLUMN_WIDTH_MIN)
            return;
        widths[widest]--;
    }
}

static void print_aligned(struct table *table, struct buf *out)
{
    size_t count = table->column_count, rows = row_count(table);
    int *widths = arena_array(&table->arena, int, count);
    for (size_t i = 0; i < table->cells.len; i++) {
        struct buf shown = {0};
        table_append_visible(&shown, str_is_null(table->cells.at[i]) ? STR("") : table->cells.at[i]);
        table->cells.at[i] = str_dup(buf_str(&shown), &table->arena);
        widths[i % count] = MAX(widths[i % count], table_text_width(table->cells.at[i]));
        buf_fini(&shown);
    }
    for (size_t c = 0; table->header && c < count; c++)
        widths[c] = MAX(widths[c], table_text_width(table->columns[c].title));
    if (table->width > 0)
        fit(widths, count, table->width);
    for (size_t r = 0; r < rows + table->header; r++) {
        bool title = table->header && r == 0;
        buf_append_cstr(out, title && table->color ? "\x1b[2m" : "");
        for (size_t c = 0; c < count; c++) {
            struct str text = title ? table->columns[c].title : cell_text(table, r - table->header, c);
            append_cell(out, text, widths[c], table->columns[c].raw, c + 1 == count);
            buf_append_cstr(out, c + 1 == count ? "" : "  ");
        }
        buf_append_cstr(out, title && table->color ? "\x1b[0m\n" : "\n");
    }
}

static void print_lines(struct table *table, struct buf *out)
{
    size_t count = table->column_count;
    for (size_t c = 0; table->header && c < count; c++)
        buf_printf(out, "%.*s%s", STR_ARG(table->columns[c].title), c + 1 == count ? "\n" : "\t");
    for (size_t r = 0; r < row_count(table); r++) {
        for (size_t c = 0; c < count; c++) {
            table_append_visible(out, cell_text(table, r, c));
            buf_append_char(out, c + 1 == count ? '\n' : '\t');
        }
    }
}

static void append_csv(struct buf *out, struct str text)
{
    bool quote = false;
    for (size_t i = 0; i < text.len; i++)
        quote = quote || strchr(",\"\r\n", text.ptr[i]) != NULL;
    buf_append_cstr(out, quote ? "\"" : "");
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            buf_append_char(out, '"');
        buf_append_char(out, text.ptr[i]);
    }
    buf_append_cstr(out, quote ? "\"" : "");
}

static void print_csv(struct table *table, struct buf *out)
{
    size_t count = table->column_count;
    for (size_t r = 0; r < row_count(table) + table->header; r++) {
        bool title = table->header && r == 0;
        for (size_t c = 0; c < count; c++) {
            append_csv(out, title ? table->columns[c].title : cell_text(table, r - table->header, c));
            buf_append_cstr(out, c + 1 == count ? "\r\n" : ",");
        }
    }
}

static void print_json(struct table *table, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_array_begin(&writer);
    for (size_t r = 0; r < row_count(table); r++) {
        json_object_begin(&writer);
        for (size_t c = 0; c < table->column_count; c++) {
            struct str cell = table->cells.at[r * table->column_count + c];
            json_key(&writer, table->columns[c].key);
            if (table->columns[c].raw && !str_is_null(cell))
                json_raw(&writer, cell);
            else
                json_str(&writer, cell);
        }
        json_object_end(&writer);
    }
    json_array_end(&writer);
    buf_append_char(out, '\n');
}

void table_print(struct table *table)
{
    struct buf out = {0};
    switch (table->form) {
    case TABLE_ALIGNED:
        print_aligned(table, &out);
        break;
    case TABLE_LINES:
        print_lines(table, &out);
        break;
    case TABLE_JSON:
        print_json(table, &out);
        break;
    case TABLE_CSV:
        print_csv(table, &out);
        break;
    }
    if (out.len > 0)
        fwrite(out.ptr, 1, out.len, stdout);
    fflush(stdout);
    buf_fini(&out);
}
