/* cli.h - the command line: every sub-command but `server` and `run`.
 *
 *   argv -> command table (commands.c) -> one function a command -> HTTP (SQL, connectors) or Kafka protocol (records,
 *                                                                   topics, groups) or a file (dump)
 *
 * Data goes to stdout, everything else to stderr. Exit status: 0 done, 1 failed, 2 used wrongly, 128 + n ended by a signal.
 */
#ifndef RIALTO_CLI_CLI_H
#define RIALTO_CLI_CLI_H

#include "base/base.h"

/* References made of tables that lie above or beside this module; filled by main. Each appends Markdown, or one JSON
 * array when `json` is set, of the entries whose name matches the pattern (a glob; null: all). A member may be NULL:
 * `rialto doc` then says that this build has none. */
struct cli_docs {
    void (*options)(struct str pattern, bool json, struct buf *out);
    void (*functions)(struct str pattern, bool json, struct buf *out);
    void (*routes)(struct str pattern, bool json, struct buf *out);
    void (*metrics)(struct str pattern, bool json, struct buf *out);
    void (*rights)(struct str pattern, bool json, struct buf *out);
};

/* Runs the command in argv[1..] and returns the exit status. Main thread; blocks SIGINT and SIGTERM, ignores SIGPIPE. */
int cli_run(int argc, char **argv, const struct cli_docs *docs);

/* The same without references. */
int cli_main(int argc, char **argv);

/* `*` any run of characters, `?` one character, case ignored; the null pattern matches all. For cli_docs. */
bool cli_glob(struct str pattern, struct str name);

#endif
