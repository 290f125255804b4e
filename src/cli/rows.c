/* rows.c - rows of a query as they come, in any form.
 *
 * Aligned rows wait until 200 have come or a quarter of a second has passed, so that the columns fit; widths grow later
 * only when a value needs it, and then the header is printed again. Nothing waits in the other forms.
 */
#include <stdlib.h>

#include "cli/session_int.h"
#include "cli/sock_int.h"

enum { WAIT_ROWS = 200, WAIT_MS = 250, WIDTH_MAX = 60, WIDTH_MIN = 4, GAP = 2 };

void rows_init(struct rows *rows, const struct cli *cli, enum table_form form)
{
    *rows = (struct rows){.cli = cli, .form = form, .header = true};
}

void rows_fini(struct rows *rows)
{
    vec_fini(&rows->pending);
    buf_fini(&rows->out);
    arena_fini(&rows->arena);
}

static void write_out(struct rows *rows)
{
    if (rows->out.len > 0)
        fwrite(rows->out.ptr, 1, rows->out.len, stdout);
    buf_clear(&rows->out);
}

void rows_header(struct rows *rows, const struct json_value *header)
{
    const struct json_value *names = json_get(header, STR("columnNames")),
                            *types = json_get(header, STR("columnTypes"));
    size_t count = names != NULL && names->kind == JSON_ARRAY ? names->len : 0;
    rows->names = arena_array(&rows->arena, struct str, count);
    rows->widths = arena_array(&rows->arena, int, count);
    rows->numeric = arena_array(&rows->arena, bool, count);
    rows->column_count = count;
    for (size_t i = 0; i < count; i++) {
        static const char *const numbers[] = {"INTEGER", "BIGINT", "DOUBLE", "DECIMAL"};
        rows->names[i] = str_dup(names->elems[i].str, &rows->arena);
        rows->widths[i] = table_text_width(rows->names[i]);
        for (size_t k = 0; types != NULL && i < types->len && k < COUNT_OF(numbers); k++)
            rows->numeric[i] |= str_starts_with(types->elems[i].str, str_from(numbers[k]));
    }
    bool lines = rows->form == TABLE_LINES || rows->form == TABLE_CSV;
    for (size_t i = 0; lines && rows->header && i < count; i++)
        buf_printf(&rows->out, "%.*s%s", STR_ARG(rows->names[i]),
                   i + 1 < count ? (rows->form == TABLE_CSV ? "," : "\t")
                                 : (rows->form == TABLE_CSV ? "\r\n" : "\n"));
    write_out(rows);
}

/* Aligned ------------------------------------------------------------------------------------------------- */

static void fit(struct rows *rows)
{
    int width = table_terminal_width(rows->cli);
    for (;;) {
        int total = GAP * ((int)rows->column_count - 1);
        size_t widest = 0;
        for (size_t i = 0; i < rows->column_count; i++) {
            total += rows->widths[i];
            widest = rows->widths[i] >= rows->widths[widest] ? i : widest;
        }
        if (width == 0 || total <= width || rows->column_count == 0 || rows->widths[widest] <= WIDTH_MIN)
            return;
        rows->widths[widest]--;
    }
}

static void put_cell(struct rows *rows, struct str text, size_t column)
{
    int width = rows->widths[column], have = table_text_width(text);
    bool last = column + 1 == rows->column_count;
    struct str shown = text;
    const char *mark = "";
    /* Cut at a byte that begins a character. */
    while (have > width && shown.len > 0) {
        do
            shown.len--;
        while (shown.len > 0 && ((unsigned char)shown.ptr[shown.len] & 0xc0) == 0x80);
        mark = "…";
        have = table_text_width(shown) + 1;
    }
    buf_printf(&rows->out, "%*s%.*s%s%*s%s", rows->numeric[column] ? width - have : 0, "", STR_ARG(shown),
               mark, rows->numeric[column] || last ? 0 : width - have, "", last ? "\n" : "  ");
}

static void put_header(struct rows *rows)
{
    if (!rows->header)
        return;
    buf_append_cstr(&rows->out, rows->cli->color ? "\x1b[2m" : "");
    for (size_t i = 0; i < rows->column_count; i++)
        put_cell(rows, rows->names[i], i);
    if (rows->cli->color) {
        rows->out.len--; /* the line break stands behind the colour */
        buf_append_cstr(&rows->out, "\x1b[0m\n");
    }
}

static void put_cells(struct rows *rows, const struct str *cells)
{
    for (size_t i = 0; i < rows->column_count; i++)
        put_cell(rows, cells[i], i);
}

/* Widens columns for the cells, no further than the terminal has room; true when one has grown. */
static bool widen(struct rows *rows, const struct str *cells)
{
    bool grown = false;
    int terminal = table_terminal_width(rows->cli), room = INT32_MAX;
    if (rows->printed && terminal > 0) {
        room = terminal - GAP * ((int)rows->column_count - 1);
        for (size_t i = 0; i < rows->column_count; i++)
            room -= rows->widths[i];
    }
    for (size_t i = 0; i < rows->column_count; i++) {
        int width = MIN(table_text_width(cells[i]), terminal > 0 ? WIDTH_MAX : INT32_MAX);
        int more = MIN(width - rows->widths[i], room);
        if (more <= 0)
            continue;
        rows->widths[i] += more;
        room -= more;
        grown = true;
    }
    return grown;
}

void rows_flush(struct rows *rows)
{
    if (rows->form != TABLE_ALIGNED || rows->vertical) {
        fflush(stdout);
        return;
    }
    size_t count = rows->column_count;
    if (!rows->printed && count > 0) {
        for (size_t i = 0; i + count <= rows->pending.len; i += count)
            widen(rows, &rows->pending.at[i]);
        fit(rows);
        put_header(rows);
        rows->printed = true;
    }
    for (size_t i = 0; count > 0 && i + count <= rows->pending.len; i += count)
        put_cells(rows, &rows->pending.at[i]);
    vec_clear(&rows->pending);
    write_out(rows);
    fflush(stdout);
}

static void add_aligned(struct rows *rows, const struct str *cells)
{
    if (rows->printed) {
        if (widen(rows, cells))
            put_header(rows);
        put_cells(rows, cells);
        write_out(rows);
        fflush(stdout);
        return;
    }
    for (size_t i = 0; i < rows->column_count; i++)
        vec_push(&rows->pending, str_dup(cells[i], &rows->arena));
    if (rows->count == 1)
        rows->first_ms = clock_mono_ms();
    if (rows->count >= WAIT_ROWS || clock_mono_ms() - rows->first_ms > WAIT_MS)
        rows_flush(rows);
}

/* Other forms --------------------------------------------------------------------------------------------- */

static void put_vertical(struct rows *rows, const struct str *cells)
{
    int widest = 0;
    for (size_t i = 0; i < rows->column_count; i++)
        widest = MAX(widest, table_text_width(rows->names[i]));
    for (size_t i = 0; i < rows->column_count; i++)
        buf_printf(&rows->out, "%.*s%*s  %.*s\n", STR_ARG(rows->names[i]),
                   widest - table_text_width(rows->names[i]), "", STR_ARG(cells[i]));
    buf_append_char(&rows->out, '\n');
}

static void put_json(struct rows *rows, const struct json_value *row)
{
    struct json_writer writer = {.out = &rows->out};
    json_object_begin(&writer);
    for (size_t i = 0; i < rows->column_count && i < row->len; i++) {
        json_key(&writer, rows->names[i]);
        json_tree(&writer, &row->elems[i]);
    }
    json_object_end(&writer);
    buf_append_char(&rows->out, '\n');
}

static void put_csv(struct rows *rows, struct str cell, bool null)
{
    bool quote = false;
    for (size_t i = 0; i < cell.len; i++)
        quote = quote || strchr(",\"\r\n", cell.ptr[i]) != NULL;
    if (null)
        return;
    buf_append_cstr(&rows->out, quote ? "\"" : "");
    for (size_t i = 0; i < cell.len; i++)
        buf_printf(&rows->out, cell.ptr[i] == '"' ? "\"\"" : "%c", cell.ptr[i]);
    buf_append_cstr(&rows->out, quote ? "\"" : "");
}

static void put_line(struct rows *rows, const struct json_value *row, struct arena *arena)
{
    bool csv = rows->form == TABLE_CSV;
    for (size_t i = 0; i < row->len; i++) {
        struct str cell = rest_text(&row->elems[i], arena);
        if (csv)
            put_csv(rows, cell, row->elems[i].kind == JSON_NULL);
        else
            table_append_visible(&rows->out, cell);
        buf_append_cstr(&rows->out, i + 1 < row->len ? (csv ? "," : "\t") : (csv ? "\r\n" : "\n"));
    }
}

void rows_row(struct rows *rows, const struct json_value *row)
{
    struct arena arena = {0};
    rows->count++;
    if (rows->form == TABLE_JSON) {
        put_json(rows, row);
    } else if (rows->form != TABLE_ALIGNED) {
        put_line(rows, row, &arena);
    } else {
        struct str *cells = arena_array(&arena, struct str, rows->column_count);
        for (size_t i = 0; i < rows->column_count; i++) {
            struct buf shown = {0};
            table_append_visible(&shown, i < row->len ? rest_text(&row->elems[i], &arena) : STR(""));
            cells[i] = str_dup(buf_str(&shown), &arena);
            buf_fini(&shown);
        }
        if (rows->vertical)
            put_vertical(rows, cells);
        else
            add_aligned(rows, cells);
    }
    write_out(rows);
    arena_fini(&arena);
}
