/* shell.c - the interactive shell.
 *
 *   line (libedit) -> more lines until the semicolon -> history -> local command, or sql_session_run
 *
 * (H1) One history entry a statement, also when it was typed in many lines; lines that begin with a space are not kept.
 * (H2) Ctrl-C never ends the shell: on the prompt it drops what was typed (a key of the editor, which reads it as a
 *      character), while a query runs it ends the query (the signal descriptor).
 * (H3) Ctrl-D on an empty line ends the shell.
 *
 * The history file is ~/.local/state/rialto/sql_history (XDG_STATE_HOME), readable by its owner only.
 */
#include "cli/shell_int.h"

#include <errno.h>
#include <histedit.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "sql/sql.h"

enum { HISTORY_MAX = 10000, PATH_BYTES = 4096 };

struct shell {
    struct session *session;
    EditLine *editor;
    History *history;
    HistEvent event;
    struct shell_names names;
    struct buf text; /* the statement that is being typed */
    bool aborted;    /* Ctrl-C on the prompt */
    bool done;
    char history_path[PATH_BYTES + 16];
};

/* Local commands ------------------------------------------------------------------------------------------ */

struct shell_command {
    const char *word, *arguments, *doc;
    const char *sql; /* a shortcut for this statement, %s takes the argument; or NULL */
    void (*run)(struct shell *shell, struct str argument);
};

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

static void run_help(struct shell *shell, struct str argument);

static void run_history(struct shell *shell, struct str argument)
{
    HistEvent event;
    int n = 0;
    for (int ok = history(shell->history, &event, H_LAST); ok == 0;
         ok = history(shell->history, &event, H_PREV))
        say("%4d: %.*s", n++, (int)strcspn(event.str, "\n"), event.str);
}

static void run_version(struct shell *shell, struct str argument)
{
    say("Version: %s", RIALTO_VERSION);
}

static void run_clear(struct shell *shell, struct str argument)
{
    printf("\x1b[H\x1b[2J");
    fflush(stdout);
}

static void run_exit(struct shell *shell, struct str argument)
{
    shell->done = true;
}

static void run_output(struct shell *shell, struct str argument)
{
    static const char *const names[] = {
        [TABLE_ALIGNED] = "TABULAR", [TABLE_LINES] = "LINES", [TABLE_JSON] = "JSON", [TABLE_CSV] = "CSV"};
    struct session *session = shell->session;
    if (argument.len == 0)
        say("Current output format: %s", names[session->form]);
    else if (sql_session_set_form(session, argument))
        say("Output format set to %s", names[session->form]);
    else
        say("Invalid value %.*s: table, lines, json or csv", STR_ARG(argument));
}

static void run_server(struct shell *shell, struct str argument)
{
    struct session *session = shell->session;
    struct hclient http;
    struct err err = {0};
    if (argument.len == 0) {
        say("http://%.*s:%d", STR_ARG(session->http.host), session->http.port);
        return;
    }
    if (!hclient_init(&http, str_dup(argument, &session->arena), session->cli->stop_fd, &err)) {
        cli_fail(session->cli, &err, NULL);
        return;
    }
    /* Another server, another session. */
    hclient_fini(&session->http);
    session->http = http;
    map_clear(&session->properties);
    session->sources_changed = true;
    say("Server now: http://%.*s:%d", STR_ARG(http.host), http.port);
}

static struct str without_quotes(struct str s)
{
    bool quoted = s.len >= 2 && s.ptr[0] == '\'' && s.ptr[s.len - 1] == '\'';
    return quoted ? str_sub(s, 1, s.len - 2) : s;
}

static void run_script_file(struct shell *shell, struct str argument)
{
    struct buf text = {0};
    struct err err = {0};
    if (cli_read_file(without_quotes(argument), &text, &err))
        ignore(sql_session_run(shell->session, buf_str(&text), true) != CLI_OK, "errors have been told");
    else
        cli_fail(shell->session->cli, &err, NULL);
    buf_fini(&text);
}

static void run_spool(struct shell *shell, struct str argument)
{
    struct session *session = shell->session;
    if (session->spool != NULL)
        fclose(session->spool);
    session->spool = NULL;
    if (str_eq_nocase(argument, STR("off"))) {
        say("Spooling is off");
        return;
    }
    struct arena arena = {0};
    session->spool = fopen(str_cstr(without_quotes(argument), &arena), "a");
    if (session->spool == NULL)
        say("File '%.*s' cannot be written: %s", STR_ARG(argument), strerror(errno));
    else
        say("Statements are copied to %.*s", STR_ARG(argument));
    arena_fini(&arena);
}

static void switch_flag(bool *flag, struct str argument, const char *what)
{
    if (str_eq_nocase(argument, STR("on")))
        *flag = true;
    else if (str_eq_nocase(argument, STR("off")))
        *flag = false;
    else
        *flag = !*flag;
    say("%s is %s", what, *flag ? "on" : "off");
}

static void run_expanded(struct shell *shell, struct str argument)
{
    switch_flag(&shell->session->vertical, argument, "Vertical display");
}

static void run_timing(struct shell *shell, struct str argument)
{
    switch_flag(&shell->session->timing, argument, "Timing");
}

static const struct shell_command commands[] = {
    {"help", "", "this list", NULL, run_help},
    {"history", "", "statements typed before", NULL, run_history},
    {"version", "", "version of the shell", NULL, run_version},
    {"clear", "", "clears the terminal", NULL, run_clear},
    {"output", "[table|lines|json|csv]", "shows or sets the form of results", NULL, run_output},
    {"server", "[URL]", "shows or changes the server", NULL, run_server},
    {"run script", "'FILE'", "runs the statements of a file", NULL, run_script_file},
    {"spool", "'FILE'|off", "copies statements into a file", NULL, run_spool},
    {"exit", "", "ends the shell, as Ctrl-D does", NULL, run_exit},
    {"quit", "", "the same", NULL, run_exit},
    {"\\d", "NAME", "describes a stream or table", "DESCRIBE %s;", NULL},
    {"\\ds", "", "streams", "SHOW STREAMS;", NULL},
    {"\\dt", "", "tables", "SHOW TABLES;", NULL},
    {"\\dq", "", "queries", "SHOW QUERIES;", NULL},
    {"\\df", "", "functions", "SHOW FUNCTIONS;", NULL},
    {"\\dc", "", "connectors", "SHOW CONNECTORS;", NULL},
    {"\\dk", "", "topics", "SHOW TOPICS;", NULL},
    {"\\p", "TOPIC", "prints a topic from its beginning", "PRINT %s FROM BEGINNING;", NULL},
    {"\\x", "[on|off]", "each row in lines of its own", NULL, run_expanded},
    {"\\timing", "[on|off]", "time of each query", NULL, run_timing},
    {"\\i", "FILE", "runs the statements of a file", NULL, run_script_file},
    {"\\q", "", "ends the shell", NULL, run_exit},
    {"\\?", "", "this list", NULL, run_help},
};

static void run_help(struct shell *shell, struct str argument)
{
    say("SQL statements end with a semicolon. Commands, with or without one:\n");
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        say("  %-10s %-24s %s", commands[i].word, commands[i].arguments, commands[i].doc);
    say("\nTab completes, Ctrl-R searches the history, Ctrl-C stops a query, Ctrl-D ends.");
}

/* Finds the local command that a line is; *argument takes what follows it. */
static const struct shell_command *command_of(struct str line, struct str *argument)
{
    line = str_trim(line);
    if (line.len > 0 && line.ptr[line.len - 1] == ';')
        line = str_trim(str_sub(line, 0, line.len - 1));
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        struct str word = str_from(commands[i].word);
        if (!str_starts_with_nocase(line, word))
            continue;
        *argument = str_sub(line, word.len, SIZE_MAX);
        if (argument->len > 0 && argument->ptr[0] != ' ')
            continue;
        *argument = str_trim(*argument);
        bool takes = commands[i].arguments[0] != '\0';
        if (takes || argument->len == 0)
            return &commands[i];
    }
    return NULL;
}

static void run_local(struct shell *shell, const struct shell_command *command, struct str argument)
{
    if (command->arguments[0] != '\0' && command->arguments[0] != '[' && argument.len == 0) {
        say("%s needs %s", command->word, command->arguments);
    } else if (command->run != NULL) {
        command->run(shell, argument);
    } else {
        struct buf sql = {0};
        struct str rest = str_from(command->sql), before;
        ptrdiff_t at = str_find(rest, STR("%s"));
        before = at < 0 ? rest : str_sub(rest, 0, (size_t)at);
        buf_append_str(&sql, before);
        if (at >= 0) {
            buf_append_str(&sql, argument);
            buf_append_str(&sql, str_sub(rest, (size_t)at + 2, SIZE_MAX));
        }
        ignore(sql_session_run(shell->session, buf_str(&sql), true) != CLI_OK, "errors have been told");
        buf_fini(&sql);
    }
}

/* Editor -------------------------------------------------------------------------------------------------- */

static struct shell *shell_of(EditLine *editor)
{
    struct shell *shell = NULL;
    el_get(editor, EL_CLIENTDATA, &shell);
    return shell;
}

static char *prompt(EditLine *editor)
{
    return shell_of(editor)->text.len > 0 ? (char *)"    > " : (char *)"ksql> ";
}

static unsigned char on_abort(EditLine *editor, int key)
{
    shell_of(editor)->aborted = true;
    fputs("^C\n", stdout);
    return CC_EOF;
}

/* Start of the word before the cursor; a backslash belongs to it. */
static struct str word_before(const LineInfo *line)
{
    const char *start = line->cursor;
    while (start > line->buffer) {
        char c = start[-1];
        bool part = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                    c == '\\' || c == '@';
        if (!part)
            break;
        start--;
    }
    return str_of(start, (size_t)(line->cursor - start));
}

static void list_candidates(const struct str *found, size_t count)
{
    size_t shown = MIN(count, 60);
    putchar('\n');
    for (size_t i = 0; i < shown; i++)
        printf("%-24.*s%s", STR_ARG(found[i]), i % 3 == 2 || i + 1 == shown ? "\n" : " ");
    if (shown < count)
        printf("... %zu more\n", count - shown);
    fflush(stdout);
}

static unsigned char on_complete(EditLine *editor, int key)
{
    struct shell *shell = shell_of(editor);
    struct str word = word_before(el_line(editor)), *found, common;
    struct arena arena = {0};
    unsigned char result = CC_ERROR;
    if (shell->session->sources_changed) {
        shell_names_refresh(&shell->names, shell->session);
        shell->session->sources_changed = false;
    }
    size_t count = word.len > 0 ? shell_complete(&shell->names, word, &found, &common, &arena) : 0;
    if (count == 1 || (count > 1 && common.len > word.len)) {
        /* A name is typed on in its own case; a word that matches as it stands keeps what was typed. */
        struct str text = count == 1 ? str_printf(&arena, "%.*s ", STR_ARG(common)) : str_dup(common, &arena);
        bool same_case = str_starts_with(common, word);
        if (!same_case && word.ptr[word.len - 1] >= 'a' && word.ptr[word.len - 1] <= 'z')
            text = str_lower(text, &arena);
        size_t skip = same_case || str_starts_with(text, word) ? word.len : 0;
        if (skip == 0)
            el_deletestr(editor, (int)word.len);
        result = el_insertstr(editor, text.ptr + skip) == 0 ? CC_REFRESH : CC_ERROR;
    } else if (count > 1) {
        list_candidates(found, count);
        result = CC_REDISPLAY;
    }
    arena_fini(&arena);
    return result;
}

/* History file: its folders are made when they are missing. */
static void find_history(struct shell *shell)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char path[PATH_BYTES];
    shell->history_path[0] = '\0';
    int n = 0;
    if (state != NULL && state[0] == '/')
        n = snprintf(path, sizeof path, "%s/rialto", state);
    else if (home != NULL && home[0] == '/')
        n = snprintf(path, sizeof path, "%s/.local/state/rialto", home);
    if (n <= 0 || (size_t)n + 16 > sizeof path)
        return;
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        ignore(mkdir(path, 0700), "it is there, or the last one fails");
        *at = '/';
    }
    ignore(mkdir(path, 0700), "it is there, or the history is not kept");
    snprintf(shell->history_path, sizeof shell->history_path, "%s/sql_history", path);
}

static bool open_editor(struct shell *shell)
{
    shell->history = history_init();
    shell->editor = el_init("rialto", stdin, stdout, stderr);
    if (shell->history == NULL || shell->editor == NULL)
        return false;
    history(shell->history, &shell->event, H_SETSIZE, HISTORY_MAX);
    history(shell->history, &shell->event, H_SETUNIQUE, 1);
    find_history(shell);
    if (shell->history_path[0] != '\0')
        history(shell->history, &shell->event, H_LOAD, shell->history_path);
    el_set(shell->editor, EL_CLIENTDATA, shell);
    el_set(shell->editor, EL_PROMPT, prompt);
    el_set(shell->editor, EL_EDITOR, "emacs");
    el_set(shell->editor, EL_HIST, history, shell->history);
    el_set(shell->editor, EL_ADDFN, "rialto-complete", "completes the word", on_complete);
    el_set(shell->editor, EL_ADDFN, "rialto-abort", "drops the line", on_abort);
    el_set(shell->editor, EL_BIND, "^I", "rialto-complete", NULL);
    el_set(shell->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(shell->editor, NULL);
    /* While a line is edited Ctrl-C is a character; a running query gets it as a signal. */
    el_set(shell->editor, EL_SETTY, "-d", "-isig", NULL);
    el_set(shell->editor, EL_BIND, "^C", "rialto-abort", NULL);
    return true;
}

static void close_editor(struct shell *shell)
{
    if (shell->history_path[0] != '\0') {
        history(shell->history, &shell->event, H_SAVE, shell->history_path);
        ignore(chmod(shell->history_path, 0600), "it may not exist");
    }
    if (shell->editor != NULL)
        el_end(shell->editor);
    if (shell->history != NULL)
        history_end(shell->history);
}

/* Reading and running ------------------------------------------------------------------------------------- */

static void remember(struct shell *shell, struct str text)
{
    struct arena arena = {0};
    struct str entry = str_trim(text);
    if (text.len > 0 && text.ptr[0] != ' ' && entry.len > 0)
        history(shell->history, &shell->event, H_ENTER, str_cstr(entry, &arena));
    arena_fini(&arena);
}

/* Statement with \G at its end: shown vertically, once. */
static bool take_vertical(struct buf *text)
{
    struct str trimmed = str_trim(buf_str(text));
    if (!str_ends_with(trimmed, STR("\\G")))
        return false;
    text->len = (size_t)(trimmed.ptr + trimmed.len - 2 - text->ptr);
    text->ptr[text->len] = '\0';
    buf_append_char(text, ';');
    return true;
}

static void take_line(struct shell *shell, struct str line)
{
    struct session *session = shell->session;
    struct str argument, rest, statement;
    bool first = str_trim(buf_str(&shell->text)).len == 0;
    const struct shell_command *command = first ? command_of(line, &argument) : NULL;
    if (first)
        buf_clear(&shell->text);
    if (first && str_trim(line).len == 0)
        return;
    buf_append_str(&shell->text, line);
    if (command != NULL) {
        remember(shell, buf_str(&shell->text));
        run_local(shell, command, argument);
        buf_clear(&shell->text);
        return;
    }
    bool before = session->vertical;
    session->vertical |= take_vertical(&shell->text);
    rest = buf_str(&shell->text);
    /* Whole when nothing but white space follows the last semicolon. */
    bool any = false;
    while (sql_next_statement(&rest, &statement))
        any = true;
    if (any && str_trim(rest).len == 0) {
        remember(shell, buf_str(&shell->text));
        ignore(sql_session_run(session, buf_str(&shell->text), false) != CLI_OK, "errors have been told");
        buf_clear(&shell->text);
    }
    session->vertical = before;
}

static void greet(struct session *session)
{
    struct arena arena = {0};
    struct err err = {0};
    const struct json_value *answer = NULL;
    bool ok = rest_call(&session->http, "GET", STR("/info"), STR_NULL, &answer, &arena, &err);
    if (ok) {
        const struct json_value *info = json_get(answer, STR("KsqlServerInfo"));
        say("rialto %s at http://%.*s:%d, server version %.*s      help: \\?   end: Ctrl-D", RIALTO_VERSION,
            STR_ARG(session->http.host), session->http.port,
            STR_ARG(rest_text(json_get(info, STR("version")), &arena)));
    } else {
        cli_fail(session->cli, &err, NULL);
    }
    arena_fini(&arena);
}

int shell_run(struct session *session)
{
    struct shell shell = {.session = session};
    const char *words[COUNT_OF(commands)];
    session->interactive = true;
    session->sources_changed = true;
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        words[i] = commands[i].word;
    if (!open_editor(&shell)) {
        struct err err;
        err_set(&err, ERR_INTERNAL, "the terminal cannot be edited on");
        close_editor(&shell);
        return cli_fail(session->cli, &err, "use -e or -f.");
    }
    shell_names_init(&shell.names, words, COUNT_OF(commands));
    greet(session);
    while (!shell.done) {
        int count = 0;
        shell.aborted = false;
        /* Before the prompt is seen, not after it as el_gets would: what is typed at once must not meet the line discipline. */
        el_set(shell.editor, EL_PREP_TERM, 1);
        const char *line = el_gets(shell.editor, &count);
        if (shell.aborted) {
            buf_clear(&shell.text);
            continue;
        }
        if (line == NULL || count <= 0)
            break;
        take_line(&shell, str_of(line, (size_t)count));
    }
    if (!shell.done)
        say("\nExiting.");
    if (session->spool != NULL)
        fclose(session->spool);
    close_editor(&shell);
    shell_names_fini(&shell.names);
    buf_fini(&shell.text);
    return CLI_OK;
}
