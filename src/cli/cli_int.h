/* cli_int.h - what all commands share: the command table, parsed arguments, output, errors. */
#ifndef RIALTO_CLI_CLI_INT_H
#define RIALTO_CLI_CLI_INT_H

#include "cli/cli.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130 };

struct cli;
struct json_value;
struct kafka;
struct kafka_security;
struct kafka_topic;

struct cli_option {
    const char *name;  /* without dashes; NULL ends a list */
    char letter;       /* 0: none */
    const char *value; /* what it takes, for the help; NULL: a switch */
    const char *doc;
    const char *words; /* values that completion offers, separated by spaces; may be NULL */
};

/* A row of the one table that drives dispatch, help and completion. */
struct cli_command {
    const char *words;   /* "topic list", "produce" */
    const char *names;   /* arguments as the help shows them: "TOPIC..." */
    const char *doc;     /* one line */
    const char *details; /* further lines of the help; may be NULL */
    const char *example; /* one command that can be pasted */
    const struct cli_option *options;
    int name_min, name_max; /* -1: any number */
    int (*run)(struct cli *cli);
};

struct cli_value {
    const struct cli_option *option;
    struct str text; /* of a switch: empty */
};

struct cli {
    struct arena arena; /* lives as long as the command */
    const struct cli_docs *docs;
    const struct cli_command *command;
    vec(struct str) names;
    vec(struct cli_value) values;
    struct str url, brokers;
    struct kafka_security *security; /* NULL: none */
    bool json, header, color;
    bool stdout_tty, stderr_tty;
    int stop_fd; /* readable when SIGINT or SIGTERM came */
};

/* commands.c: the table, ended by a row without words. */
extern const struct cli_command cli_commands[];
extern const struct cli_option cli_global_options[];
void cli_help(struct cli *cli, const struct cli_command *command);
void cli_help_noun(struct cli *cli, struct str noun);
void cli_help_all(struct cli *cli);
int cli_run_completion(struct cli *cli);

/* args.c: finds the command and reads its options. On false *status is the exit status (help was printed or the error
 * said). */
bool cli_parse_args(struct cli *cli, int argc, char **argv, int *status);
bool cli_flag(const struct cli *cli, const char *option);
struct str cli_value(const struct cli *cli, const char *option); /* the last one; null when absent */

/* The option as an integer within limits, `fallback` when absent. */
bool cli_integer(const struct cli *cli, const char *option, int64_t min, int64_t max, int64_t fallback,
                 int64_t *value, struct err *err);

/* Is the partition one of "partition": 0,3? Each is without that option. False with an error when it is no such list. */
bool cli_partition_chosen(const struct cli *cli, int32_t partition, struct err *err);

/* The nearest of the words, or NULL when none is near. */
const char *cli_nearest(struct str word, const char *const *words, size_t count);

/* cli.c: says what went wrong on stderr and gives the exit status. `hint` may be NULL: one is made from the error. */
int cli_fail(const struct cli *cli, const struct err *err, const char *hint);
int cli_usage(const struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "Created topic a" on stderr. */
void cli_note(const struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Asks "WHAT? [y/N]" on a terminal; -y is a yes, and where nobody can be asked it is needed. False: *err says so. */
bool cli_confirm(const struct cli *cli, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Reads a whole file ("-": stdin). */
bool cli_read_file(struct str path, struct buf *out, struct err *err);

/* Time of an interruption was seen: consumes the signal and gives true. */
bool cli_interrupted(const struct cli *cli);

/* cmd_topic.c: the named topic; NULL: an error with the nearest name as hint was said, *status is the exit status. */
const struct kafka_topic *cli_topic_find(struct cli *cli, struct kafka *kafka, struct str name, int *status);

/* commands that have files of their own */
int cli_topic_list(struct cli *cli);
int cli_topic_describe(struct cli *cli);
int cli_topic_create(struct cli *cli);
int cli_topic_alter(struct cli *cli);
int cli_topic_delete(struct cli *cli);
int cli_topic_trim(struct cli *cli);
int cli_group_list(struct cli *cli);
int cli_group_describe(struct cli *cli);
int cli_group_reset(struct cli *cli);
int cli_group_delete(struct cli *cli);
int cli_user_list(struct cli *cli);
int cli_user_create(struct cli *cli);
int cli_user_delete(struct cli *cli);
int cli_acl_list(struct cli *cli);
int cli_acl_create(struct cli *cli);
int cli_acl_delete(struct cli *cli);
int cli_connector_list(struct cli *cli);
int cli_connector_describe(struct cli *cli);
int cli_connector_create(struct cli *cli);
int cli_connector_change(struct cli *cli); /* pause, resume, restart, delete: by the command's last word */
int cli_query_list(struct cli *cli);
int cli_query_describe(struct cli *cli);
int cli_query_terminate(struct cli *cli);
int cli_sql(struct cli *cli);
int cli_produce(struct cli *cli);
int cli_consume(struct cli *cli);
int cli_datagen(struct cli *cli);
int cli_dump_file(struct cli *cli);
int cli_dump_records(struct cli *cli);
int cli_dump_state(struct cli *cli);
int cli_dump_wal(struct cli *cli);
int cli_dump_wire(struct cli *cli);
int cli_doc(struct cli *cli);

#endif
