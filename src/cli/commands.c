/* commands.c - the one table of commands: dispatch, help and completion are made of it. */
#include <stdio.h>

#include "cli/cli_int.h"

const struct cli_option cli_global_options[] = {
    {"url", 0, "URL", "HTTP address of the server (RIALTO_URL, else http://127.0.0.1:8080)", NULL},
    {"brokers", 'b', "HOST:PORT,...", "Kafka addresses of the server (RIALTO_BROKERS, else 127.0.0.1:9092)",
     NULL},
    {"command-config", 0, "FILE",
     "Kafka client properties: TLS and SASL for --brokers (RIALTO_COMMAND_CONFIG)", NULL},
    {"json", 0, NULL, "JSON on stdout, errors as JSON on stderr", NULL},
    {"header", 0, NULL, "print column names in a pipe too", NULL},
    {"color", 0, "WHEN", "auto, always or never", "auto always never"},
    {"help", 'h', NULL, "show this help", NULL},
    {"version", 0, NULL, "show the version", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct cli_option no_options[] = {{NULL, 0, NULL, NULL, NULL}};

static const struct cli_option sql_options[] = {
    {"execute", 'e', "STATEMENTS", "run these statements and end; the last semicolon may be left out", NULL},
    {"file", 'f', "FILE", "run the statements of a file ('-': stdin) and end", NULL},
    {"output", 0, "FORM", "table, lines (tab-separated), json or csv", "table lines json csv"},
    {"define", 'd', "NAME=VALUE", "define a variable for ${NAME}; may be repeated", NULL},
    {"keep-going", 0, NULL, "with -e and -f: go on after a failed statement", NULL},
    {"query-row-limit", 0, "N", "end a query after N rows", NULL},
    {"query-timeout", 0, "MS", "end a query after MS milliseconds", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

#define COLUMNS_OPTION                                                                          \
    {                                                                                           \
        "columns", 0, "NAME,...", "only these columns, in this order ('help' lists them)", NULL \
    }

static const struct cli_option list_options[] = {
    COLUMNS_OPTION,
    {NULL, 0, NULL, NULL, NULL},
};

static const struct cli_option topic_list_options[] = {
    {"internal", 0, NULL, "internal topics too", NULL},
    COLUMNS_OPTION,
    {NULL, 0, NULL, NULL, NULL},
};

static const struct cli_option topic_create_options[] = {
    {"partitions", 'p', "N", "number of partitions (else the server's default)", NULL},
    {"replication", 0, "N", "replication factor (else the server's default)", NULL},
    {"config", 0, "NAME=VALUE", "a topic option such as retention.ms=60000; may be repeated", NULL},
    {"if-absent", 0, NULL, "it is fine when the topic exists", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct cli_option topic_alter_options[] = {
    {"config", 0, "NAME=VALUE", "sets a topic option such as retention.ms=60000; may be repeated", NULL},
    {"unset", 0, "NAME", "takes an option back to the server's default; may be repeated", NULL},
    {"partitions", 'p', "N", "raises the number of partitions", NULL},
    {"check", 0, NULL, "only says whether the server would do it", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct cli_option topic_trim_options[] = {
    {"before-offset", 0, "OFFSET", "records below this offset of each partition ('end': all)", "end"},
    {"before-time", 0, "TIME", "records before the first one of this time or later, as in 2026-03-01T11:00Z",
     NULL},
    {"partition", 'p', "N,...", "only in these partitions", NULL},
    {"check", 0, NULL, "only shows what would be deleted", NULL},
    {"yes", 'y', NULL, "do not ask", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct cli_option group_reset_options[] = {
    {"to", 0, "PLACE", "earliest, latest, an offset, or a time such as 2026-03-01T11:00Z", NULL},
    {"topic", 't', "TOPIC",
     "all partitions of this topic (else those with a committed offset); may be repeated", NULL},
    {"check", 0, NULL, "only shows what would be set", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct cli_option delete_options[] = {
    {"if-exists", 0, NULL, "it is fine when it does not exist", NULL},
    {"yes", 'y', NULL, "do not ask", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct cli_option connector_create_options[] = {
    {"file", 'f', "FILE", "JSON of the configuration, or of {\"name\", \"config\"} ('-': stdin)", NULL},
    {"config", 0, "NAME=VALUE", "an option of the configuration; may be repeated", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct cli_option produce_options[] = {
    {"key-separator", 'K', "SEP", "lines are KEY SEP VALUE", NULL},
    {"key", 'k', "KEY", "the same key for every record", NULL},
    {"partition", 'p', "N", "to this partition (else by the key)", NULL},
    {"header-line", 'H', "NAME=VALUE", "a header of every record; may be repeated", NULL},
    {"compression", 'z', "CODEC", "none, gzip, snappy, lz4 or zstd", "none gzip snappy lz4 zstd"},
    {"acks", 0, "WHO", "all (each record once), 1 or 0", "all 1 0"},
    {"null", 'Z', NULL, "empty values are null: tombstones", NULL},
    {"delimiter", 'D', "SEP", "what ends a record (else a line break)", NULL},
    {"line-file", 'l', "FILE", "read this file instead of stdin", NULL},
    {"count", 'c', "N", "end after N records", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct cli_option consume_options[] = {
    {"offset", 'o', "PLACE", "beginning, end, N, -N (the last N), s@MS, e@MS (times), stored",
     "beginning end stored"},
    {"partition", 'p', "N,...", "only these partitions", NULL},
    {"exit", 'e', NULL, "end when the end of the topic is reached", NULL},
    {"count", 'c', "N", "end after N records", NULL},
    {"key-separator", 'K', "SEP", "print KEY SEP VALUE", NULL},
    {"format", 'f', "FORMAT",
     "%t topic %p partition %o offset %k key %s value %h headers %T time %K %S sizes", NULL},
    {"group", 'G', "GROUP", "as a member of this consumer group, committing offsets", NULL},
    {"delimiter", 'D', "SEP", "what ends a record (else a line break)", NULL},
    {"unbuffered", 'u', NULL, "write every record at once", NULL},
    {"read-uncommitted", 0, NULL, "records of open and aborted transactions too", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct cli_option datagen_options[] = {
    {"schema", 0, "NAME", "transactions, orders, clicks or users", "transactions orders clicks users"},
    {"topic", 0, "TOPIC", "where to send (else the schema's name)", NULL},
    {"rate", 0, "R", "records a second in all (else as fast as possible)", NULL},
    {"count", 'c', "N", "end after N records (else at Ctrl-C)", NULL},
    {"parallel", 0, "P", "number of producers side by side (else 1)", NULL},
    {"seed", 0, "S", "the n-th record of a seed is always the same (else 1)", NULL},
    {"ts-start", 0, "MS", "time of record 0 (else the present)", NULL},
    {"ts-step", 0, "MS", "time between two records, with --ts-start (else 1)", NULL},
    {"compression", 'z', "CODEC", "none, gzip, snappy, lz4 or zstd", "none gzip snappy lz4 zstd"},
    {"print", 0, NULL, "write KEY TAB VALUE to stdout instead of sending", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct cli_option dump_options[] = {
    {"records", 'r', NULL, "each record, not only the batches", NULL},
    {"from", 0, "OFFSET", "begin with the batch that holds this offset", NULL},
    {"batches", 'n', "N", "end after N batches of each segment", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct cli_option dump_wire_options[] = {
    {"port", 0, "PORT", "the server's port in a capture (else 9092)", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

#define DUMP_DETAILS                                                               \
    "Needs no server; never writes. Each line has the address of what it shows;\n" \
    "damaged parts are shown as such and stepped over; the exit status is 1 then.\n"

static const struct cli_option doc_options[] = {
    {"markdown", 0, NULL, "Markdown (the default)", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct cli_option user_create_options[] = {
    {"mechanism", 0, "NAME", "SCRAM-SHA-256 (else) or SCRAM-SHA-512", "SCRAM-SHA-256 SCRAM-SHA-512"},
    {"iterations", 0, "N", "4096 (else) to 16384", NULL},
    {"password-file", 0, "FILE", "the password is the first line of this file ('-' and else: stdin)", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct cli_option user_delete_options[] = {
    {"mechanism", 0, "NAME", "only the secret of this mechanism", "SCRAM-SHA-256 SCRAM-SHA-512"},
    {"if-exists", 0, NULL, "it is fine when it does not exist", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

#define RESOURCE_OPTIONS                                                                   \
    {"topic", 0, "NAME", "a topic", NULL}, {"group", 0, "NAME", "a consumer group", NULL}, \
        {"transactional-id", 0, "NAME", "a transactional id", NULL},                       \
    {                                                                                      \
        "cluster", 0, NULL, "the cluster", NULL                                            \
    }

static const struct cli_option acl_create_options[] = {
    RESOURCE_OPTIONS,
    {"allow", 0, "USER", "who may (User:NAME or NAME; '*': everybody); may be repeated", NULL},
    {"deny", 0, "USER", "who may not; may be repeated", NULL},
    {"operation", 0, "NAME", "Read, Write, Create, Delete, Alter, Describe, ... or All; may be repeated",
     NULL},
    {"host", 0, "ADDRESS", "only from there", NULL},
    {"prefixed", 0, NULL, "the name is the beginning of names", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct cli_option acl_find_options[] = {
    RESOURCE_OPTIONS,
    {"principal", 0, "USER", "rules of this user", NULL},
    {"operation", 0, "NAME", "rules for this operation", NULL},
    {"prefixed", 0, NULL, "only rules for beginnings of names", NULL},
    {"matching", 0, NULL, "all rules that count for the name, not only those that name it", NULL},
    {"yes", 'y', NULL, "do not ask (delete)", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

const struct cli_command cli_commands[] = {
    {"sql", "[URL]", "the SQL shell, or statements from the command line",
     "Interactive on a terminal; help inside: help",
     "rialto sql -e \"SELECT * FROM orders EMIT CHANGES LIMIT 3;\"", sql_options, 0, 1, cli_sql},
    {"topic list", "[PATTERN]", "topics with partitions and records", NULL, "rialto topic list 'ord*'",
     topic_list_options, 0, 1, cli_topic_list},
    {"topic describe", "TOPIC", "partitions, offsets and options of a topic", NULL,
     "rialto topic describe orders", no_options, 1, 1, cli_topic_describe},
    {"topic create", "TOPIC", "makes a topic", NULL,
     "rialto topic create orders --partitions 4 --config retention.ms=604800000", topic_create_options, 1, 1,
     cli_topic_create},
    {"topic alter", "TOPIC", "changes options of a topic, or adds partitions",
     "All options change together or none does. They are in force at once.",
     "rialto topic alter orders --config retention.ms=604800000 --unset cleanup.policy", topic_alter_options,
     1, 1, cli_topic_alter},
    {"topic delete", "TOPIC...", "deletes topics with all their records", NULL,
     "rialto topic delete orders -y", delete_options, 1, -1, cli_topic_delete},
    {"topic trim", "TOPIC", "deletes the oldest records of a topic",
     "What is below an offset, or older than a time, is gone from each partition for all readers; the rest\n"
     "keeps its offsets. An offset outside a partition counts as its nearer end.",
     "rialto topic trim orders --before-time 2026-03-01T11:00Z --check", topic_trim_options, 1, 1,
     cli_topic_trim},
    {"group list", "[PATTERN]", "groups of consumers and share groups, with state and members", NULL,
     "rialto group list", list_options, 0, 1, cli_group_list},
    {"group describe", "GROUP", "committed offsets and lag of a group", NULL, "rialto group describe billing",
     no_options, 1, 1, cli_group_describe},
    {"group reset", "GROUP", "sets the committed offsets of a group without members",
     "An offset outside the log counts as its nearer end, a time after the last record as the end.",
     "rialto group reset billing --topic orders --to 2026-03-01T11:00Z --check", group_reset_options, 1, 1,
     cli_group_reset},
    {"group delete", "GROUP...", "forgets groups and their offsets", NULL, "rialto group delete billing -y",
     delete_options, 1, -1, cli_group_delete},
    {"user list", "[PATTERN]", "users with their mechanisms", NULL, "rialto user list", no_options, 0, 1,
     cli_user_list},
    {"user create", "NAME", "makes a user, or changes the password", "The server never sees the password.",
     "rialto user create alice --password-file secret.txt", user_create_options, 1, 1, cli_user_create},
    {"user delete", "NAME...", "deletes users", NULL, "rialto user delete alice", user_delete_options, 1, -1,
     cli_user_delete},
    {"acl list", "", "access rules", NULL, "rialto acl list --topic orders", acl_find_options, 0, 0,
     cli_acl_list},
    {"acl create", "", "makes access rules", NULL,
     "rialto acl create --topic orders --allow alice --operation Read", acl_create_options, 0, 0,
     cli_acl_create},
    {"acl delete", "", "deletes access rules", NULL, "rialto acl delete --topic orders --principal alice -y",
     acl_find_options, 0, 0, cli_acl_delete},
    {"connector list", "[PATTERN]", "connectors with state and tasks", NULL, "rialto connector list",
     list_options, 0, 1, cli_connector_list},
    {"connector describe", "NAME", "state, tasks and configuration of a connector", NULL,
     "rialto connector describe pg-orders", no_options, 1, 1, cli_connector_describe},
    {"connector create", "NAME", "makes a connector, or changes its configuration", NULL,
     "rialto connector create pg-orders -f pg.json", connector_create_options, 1, 1, cli_connector_create},
    {"connector pause", "NAME...", "stops the tasks of a connector until it is resumed", NULL,
     "rialto connector pause pg-orders", no_options, 1, -1, cli_connector_change},
    {"connector resume", "NAME...", "goes on with a paused connector", NULL,
     "rialto connector resume pg-orders", no_options, 1, -1, cli_connector_change},
    {"connector restart", "NAME...", "restarts a connector and its tasks", NULL,
     "rialto connector restart pg-orders", no_options, 1, -1, cli_connector_change},
    {"connector delete", "NAME...", "deletes a connector", NULL, "rialto connector delete pg-orders -y",
     delete_options, 1, -1, cli_connector_change},
    {"query list", "[PATTERN]", "running queries", NULL, "rialto query list", list_options, 0, 1,
     cli_query_list},
    {"query describe", "ID", "SQL, sources, sinks and plan of a query", NULL,
     "rialto query describe CTAS_REVENUE_7", no_options, 1, 1, cli_query_describe},
    {"query terminate", "ID...", "ends queries; their sinks stay", NULL,
     "rialto query terminate CTAS_REVENUE_7", no_options, 1, -1, cli_query_terminate},
    {"produce", "TOPIC", "records from stdin, a line each",
     "Retries through a restart of the server; each record is stored once.\n"
     "With --json a line is what 'rialto consume --json' prints.",
     "echo '4711:{\"amount\":12}' | rialto produce orders -K:", produce_options, 1, 1, cli_produce},
    {"consume", "TOPIC...", "records to stdout, a line each: KEY TAB VALUE",
     "Starts at the end and goes on until Ctrl-C, -e or -c.", "rialto consume orders -o -3 -e",
     consume_options, 1, -1, cli_consume},
    {"datagen", "", "sends made-up records, the same for the same seed", NULL,
     "rialto datagen --schema transactions --rate 100 --count 1000", datagen_options, 0, 0, cli_datagen},
    {"dump log", "PATH...", "batches of a .log file, or of a partition's directory",
     DUMP_DETAILS "Records of the topics that keep the server's state are decoded.\n"
                  "PATH may also be a .cut, .cleaned, .deleted or swap file.",
     "rialto dump log data/log/orders-0/00000000000000000000.log --from 10440 -n 1 -r", dump_options, 1, -1,
     cli_dump_file},
    {"dump index", "PATH...", "entries of a .index file, checked against the segment beside it", DUMP_DETAILS,
     "rialto dump index data/log/orders-0/00000000000000000000.index", no_options, 1, -1, cli_dump_file},
    {"dump timeindex", "PATH...", "entries of a .timeindex file", DUMP_DETAILS,
     "rialto dump timeindex data/log/orders-0/00000000000000000000.timeindex", no_options, 1, -1,
     cli_dump_file},
    {"dump txnindex", "PATH...", "aborted transactions in a .txnindex file", DUMP_DETAILS,
     "rialto dump txnindex data/log/orders-0/00000000000000000000.txnindex", no_options, 1, -1,
     cli_dump_file},
    {"dump checkpoint", "PATH...", "what a start trusts of a partition: ends, producers, transactions",
     DUMP_DETAILS, "rialto dump checkpoint data/log/orders-0/checkpoint", no_options, 1, -1, cli_dump_file},
    {"dump wal", "PATH...",
     "the write-ahead log: what partitions were given and may not have in their own files yet",
     "PATH is a file, or the data directory.", "rialto dump wal data", no_options, 1, -1, cli_dump_wal},
    {"dump group", "PATH...", "records of consumer groups and committed offsets",
     DUMP_DETAILS "PATH is the data directory, or a partition or segment of __consumer_offsets.",
     "rialto dump group data", dump_options, 1, -1, cli_dump_records},
    {"dump share", "PATH...", "records of share groups: what is acknowledged, what is to be delivered again",
     DUMP_DETAILS "PATH is the data directory, or a partition or segment of __share_group_state.",
     "rialto dump share data", dump_options, 1, -1, cli_dump_records},
    {"dump txn", "PATH...", "records of transactions and producer ids",
     DUMP_DETAILS "PATH is the data directory, or a partition or segment of __transaction_state.",
     "rialto dump txn data", dump_options, 1, -1, cli_dump_records},
    {"dump topic", "PATH...", "records of topics and of settings that clients made",
     DUMP_DETAILS "PATH is the data directory, or a partition or segment of __cluster_metadata.",
     "rialto dump topic data", dump_options, 1, -1, cli_dump_records},
    {"dump security", "PATH...", "records of users and access rules",
     DUMP_DETAILS
     "PATH is the data directory, or a partition or segment of __cluster_security.\n"
     "Users are shown with their salt; their keys, from which passwords can be guessed, are not.",
     "rialto dump security data", dump_options, 1, -1, cli_dump_records},
    {"dump plan", "PATH...", "the statements that a start executes, in order",
     DUMP_DETAILS "Plans are not stored: each start makes them from these statements; EXPLAIN shows them.\n"
                  "PATH is the data directory, or a partition or segment of the command topic.",
     "rialto dump plan data", dump_options, 1, -1, cli_dump_records},
    {"dump state", "PATH...", "the SQL engine's state: journal and rows",
     DUMP_DETAILS "PATH is the data directory, its directory 'state', or a journal.",
     "rialto dump state data", no_options, 1, -1, cli_dump_state},
    {"dump wire", "[FILE]", "Kafka requests and responses of a capture ('-': stdin)",
     "FILE is a pcap (tcpdump -w FILE port 9092), or what one client sent, raw or as hex.\n"
     "What is no frame is shown as damaged; the exit status is 1 then.",
     "rialto dump wire capture.pcap --json", dump_wire_options, 0, 1, cli_dump_wire},
    {"doc options", "[PATTERN]", "options of the server", NULL, "rialto doc options 'kafka.*'", doc_options,
     0, 1, cli_doc},
    {"doc functions", "[PATTERN]", "functions of SQL", NULL, "rialto doc functions 'regexp*'", doc_options, 0,
     1, cli_doc},
    {"doc routes", "[PATTERN]", "routes of the HTTP server", NULL, "rialto doc routes", doc_options, 0, 1,
     cli_doc},
    {"doc errors", "[PATTERN]", "errors with their codes at every face", NULL, "rialto doc errors 40001",
     doc_options, 0, 1, cli_doc},
    {"doc rights", "[PATTERN]", "rights that each Kafka API asks for", NULL, "rialto doc rights Fetch",
     doc_options, 0, 1, cli_doc},
    {"doc metrics", "[PATTERN]", "metrics of /metrics", NULL, "rialto doc metrics", doc_options, 0, 1,
     cli_doc},
    {"completion", "SHELL", "prints a completion script for bash, zsh or fish", NULL,
     "source <(rialto completion bash)", no_options, 1, 1, cli_run_completion},
    {NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};

/* Help ---------------------------------------------------------------------------------------------------- */

static void print_options(const char *title, const struct cli_option *options)
{
    if (options == NULL || options[0].name == NULL)
        return;
    printf("\n%s\n", title);
    for (const struct cli_option *o = options; o->name != NULL; o++) {
        char left[64];
        snprintf(left, sizeof left, "%s%c%s--%s%s%s", o->letter ? "-" : " ", o->letter ? o->letter : ' ',
                 o->letter ? ", " : "  ", o->name, o->value ? " " : "", o->value ? o->value : "");
        printf("  %-34s %s\n", left, o->doc);
    }
}

void cli_help(struct cli *cli, const struct cli_command *command)
{
    printf("%s: %s\n\nusage: rialto %s%s%s [options]\n", command->words, command->doc, command->words,
           command->names[0] != '\0' ? " " : "", command->names);
    if (command->details != NULL)
        printf("%s\n", command->details);
    print_options("options:", command->options);
    print_options("options of every command:", cli_global_options);
    printf("\nexample:\n  %s\n", command->example);
}

static bool below(const struct cli_command *command, struct str noun)
{
    return str_starts_with(str_from(command->words), noun) && command->words[noun.len] == ' ';
}

void cli_help_noun(struct cli *cli, struct str noun)
{
    printf("usage: rialto %.*s COMMAND [options]\n\n", STR_ARG(noun));
    for (const struct cli_command *c = cli_commands; c->words != NULL; c++)
        if (below(c, noun))
            printf("  %-22s %s\n", c->words, c->doc);
    printf("\n'rialto %.*s COMMAND --help' shows options and an example.\n", STR_ARG(noun));
}

void cli_help_all(struct cli *cli)
{
    printf("rialto %s: event streaming in one program\n\nusage: rialto COMMAND [options]\n\n"
           "  server                 the server: Kafka, SQL, connectors, page\n"
           "  run FILE.sql           the server with the statements of a file, until Ctrl-C\n",
           RIALTO_VERSION);
    struct str last = STR("");
    for (const struct cli_command *c = cli_commands; c->words != NULL; c++) {
        struct str rest = str_from(c->words), noun, verb;
        str_split(&rest, ' ', &noun);
        if (str_is_null(rest)) {
            printf("  %-22s %s\n", c->words, c->doc);
            continue;
        }
        if (str_eq(noun, last))
            continue;
        last = noun;
        printf("  %-22.*s ", STR_ARG(noun));
        for (const struct cli_command *d = c; d->words != NULL && below(d, noun); d++) {
            struct str words = str_from(d->words);
            str_split(&words, ' ', &verb);
            printf("%s%.*s", d == c ? "" : ", ", STR_ARG(words));
        }
        printf("\n");
    }
    printf("\n'rialto COMMAND --help' shows options and an example.\n");
}

/* Completion ---------------------------------------------------------------------------------------------- */

/* Words and options offline, from this table; the scripts call nothing. */
static void complete_bash(void)
{
    printf("_rialto() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\n"
           "    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]} $prev\" in\n");
    for (const struct cli_command *c = cli_commands; c->words != NULL; c++)
        for (const struct cli_option *o = c->options; o->name != NULL; o++)
            if (o->words != NULL)
                printf("        '%s '*--%s) words='%s' ;;\n", c->words, o->name, o->words);
    printf("        *)\n        case \"$COMP_CWORD ${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n            '1 "
           "'*) words='server run");
    struct str last = STR("");
    for (const struct cli_command *c = cli_commands; c->words != NULL; c++) {
        struct str rest = str_from(c->words), noun;
        str_split(&rest, ' ', &noun);
        if (!str_eq(noun, last))
            printf(" %.*s", STR_ARG(noun));
        last = noun;
    }
    printf("' ;;\n");
    last = STR("");
    for (const struct cli_command *c = cli_commands; c->words != NULL; c++) {
        struct str rest = str_from(c->words), noun;
        str_split(&rest, ' ', &noun);
        if (str_is_null(rest) || str_eq(noun, last))
            continue;
        last = noun;
        printf("            '2 %.*s '*) words='", STR_ARG(noun));
        for (const struct cli_command *d = c; d->words != NULL && below(d, noun); d++)
            printf("%s%s", d == c ? "" : " ", d->words + noun.len + 1);
        printf("' ;;\n");
    }
    for (const struct cli_command *c = cli_commands; c->words != NULL; c++) {
        printf("            *' %s'%s) words='", c->words, strchr(c->words, ' ') != NULL ? "" : "*");
        for (const struct cli_option *o = c->options; o->name != NULL; o++)
            printf("--%s ", o->name);
        for (const struct cli_option *o = cli_global_options; o->name != NULL; o++)
            printf("--%s ", o->name);
        printf("' ;;\n");
    }
    printf("        esac ;;\n    esac\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
           "    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n"
           "}\ncomplete -F _rialto rialto\n");
}

static void complete_fish(void)
{
    struct str last = STR("");
    for (const struct cli_command *c = cli_commands; c->words != NULL; c++) {
        struct str rest = str_from(c->words), noun;
        str_split(&rest, ' ', &noun);
        bool verb = !str_is_null(rest);
        if (!str_eq(noun, last))
            printf("complete -c rialto -n __fish_use_subcommand -a %.*s -d '%s'\n", STR_ARG(noun),
                   verb ? "" : c->doc);
        last = noun;
        if (verb)
            printf("complete -c rialto -n '__fish_seen_subcommand_from %.*s' -a %.*s -d '%s'\n",
                   STR_ARG(noun), STR_ARG(rest), c->doc);
        for (const struct cli_option *o = c->options; o->name != NULL; o++) {
            printf("complete -c rialto -n '__fish_seen_subcommand_from %.*s' -l %s", STR_ARG(noun), o->name);
            if (o->letter != 0)
                printf(" -s %c", o->letter);
            printf("%s\n", o->value != NULL ? " -r" : "");
        }
    }
}

int cli_run_completion(struct cli *cli)
{
    struct str shell = cli->names.at[0];
    if (str_eq(shell, STR("zsh")))
        printf("autoload -U +X bashcompinit && bashcompinit\n");
    if (str_eq(shell, STR("bash")) || str_eq(shell, STR("zsh")))
        complete_bash();
    else if (str_eq(shell, STR("fish")))
        complete_fish();
    else
        return cli_usage(cli, "no completion for '%.*s': bash, zsh or fish", STR_ARG(shell));
    return CLI_OK;
}
