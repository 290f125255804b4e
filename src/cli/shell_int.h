/* shell_int.h - the interactive shell: lines, history, completion. */
#ifndef RIALTO_CLI_SHELL_INT_H
#define RIALTO_CLI_SHELL_INT_H

#include "cli/session_int.h"

/* cmd_sql.c: form by name ("table", "tabular", "lines", "json", "csv"). */
bool sql_session_set_form(struct session *session, struct str name);

/* session.c: DEFINE. */
void sql_session_define(struct session *session, struct str name, struct str value);

/* Reads and runs until the end of input; gives the exit status. */
int shell_run(struct session *session);

/* shell_complete.c: what the word before the cursor may become. */
struct shell_names {
    struct arena arena;
    vec(struct str) names; /* keywords, sources, functions, local commands */
    size_t fixed;          /* how many are keywords and commands */
};

void shell_names_init(struct shell_names *names, const char *const *commands, size_t command_count);
void shell_names_fini(struct shell_names *names);

/* Asks the server for sources and functions; silent when it cannot. */
void shell_names_refresh(struct shell_names *names, struct session *session);

/* Candidates that begin with the word (ASCII case ignored), sorted, each once, in the arena; *common is their longest
 * common beginning, in the case of the first. */
size_t shell_complete(const struct shell_names *names, struct str word, struct str **found,
                      struct str *common, struct arena *arena);

#endif
