/* options.c - the server's own options, and reading all tables from file, environment and command line. */
#include "main/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

extern char **environ;

static const char *const level_words[] = {"debug", "info", "warn", "error", NULL};

#define SERVER(member) CONF_AT(struct server_options, member)
#define KAFKA(member)  CONF_AT(struct kafka_options, member)

static const struct conf_option server_rows[] = {
    {"http.listen", CONF_LIST, "127.0.0.1:8080,127.0.0.1:8081,127.0.0.1:8083,127.0.0.1:8088",
     SERVER(http_listen),
     .doc = "Addresses of the HTTP listeners, with TLS when they begin with https://; every API answers on "
            "each of them. "
            "Port 0 takes a free one."},
    {"http.hosts", CONF_LIST, "", SERVER(http_hosts),
     .doc =
         "Further host names that requests may carry, beside loopback names and the addresses listened on."},
    {"http.cors.origins", CONF_LIST, "", SERVER(http_origins),
     .doc = "Origins whose pages may use the server beside its own, such as http://dev.example:5173."},
    {"memory.max", CONF_SIZE, "256MiB", SERVER(memory_max), .min = 16 << 20, .max = INT64_C(1) << 40,
     .doc = "Budget of the state stores: caches and write buffers."},
    {"ksql.streams.num.stream.threads", CONF_INT, "2", SERVER(worker_count), .min = 1, .max = 256,
     .doc = "Threads that run SQL tasks."},
    {"ksql.streams.commit.interval.ms", CONF_DURATION_MS, "100", SERVER(commit_interval_ms), .min = 1,
     .max = 60000, .doc = "Longest time between two commits of a busy engine; a quiet one commits at once."},
    {"ksql.service.id", CONF_STRING, "default_", SERVER(service_id),
     .doc = "Part of the names of internal topics and consumer groups."},
    {"ksql.max.push.queries", CONF_INT, "100", SERVER(push_queries_max), .min = 0, .max = 100000,
     .doc = "Push queries that may run at once; 0 for no limit."},
    {"log.level", CONF_ENUM, "info", SERVER(log_level), .words = level_words,
     .doc = "Log lines below this level are not written."},
};

const struct conf_table server_table = {"server", server_rows, COUNT_OF(server_rows),
                                        sizeof(struct server_options)};
const struct conf_table *const option_tables[] = {&server_table, &broker_conf_table, &auth_conf_table,
                                                  &net_tls_conf_table, NULL};

/* Variables of the command line's own, which a server started from the same shell must not mind. */
static const char *const client_variables[] = {"RIALTO_URL", "RIALTO_BROKERS", NULL};

/* The whole text of a file, in the arena. */
static bool read_text(const char *path, struct str *text, struct arena *arena, struct err *err)
{
    enum { TEXT_BYTES_MAX = 1 << 20 };
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return err_set_errno(err, errno, "cannot open %s", path);
    char *bytes = arena_alloc_bytes(arena, TEXT_BYTES_MAX);
    size_t len = fread(bytes, 1, TEXT_BYTES_MAX, file);
    bool whole = !ferror(file) && len < TEXT_BYTES_MAX;
    fclose(file);
    if (!whole)
        return err_set(err, ERR_TOO_LARGE, "%s: cannot be read, or is larger than 1 MiB", path);
    *text = str_of(bytes, len);
    return true;
}

bool options_read(const char *conf_file, const struct conf_list *assignments, struct all_options *out,
                  struct arena *arena, struct err *err)
{
    struct conf *conf = conf_new();
    struct str text;
    for (size_t i = 0; option_tables[i] != NULL; i++)
        conf_add_table(conf, option_tables[i]);
    bool done = (conf_file == NULL ||
                 (read_text(conf_file, &text, arena, err) && conf_parse(conf, text, conf_file, err))) &&
                conf_parse_env(conf, environ, client_variables, err);
    for (size_t i = 0; done && i < assignments->len; i++)
        done = conf_set(conf, assignments->at[i], err);
    conf_explain(conf, broker_option_foreign);
    done = done && conf_check(conf, err) && conf_read(conf, &server_table, &out->server, arena, err) &&
           conf_read(conf, &broker_conf_table, &out->kafka, arena, err) &&
           conf_read(conf, &auth_conf_table, &out->auth, arena, err) &&
           conf_read(conf, &net_tls_conf_table, &out->tls, arena, err) &&
           broker_config_check(&out->kafka, err);
    conf_free(conf);
    return done;
}
