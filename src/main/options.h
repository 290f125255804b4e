/* options.h - the server's options: the table here and those of the modules.
 *
 * Names that Kafka, ksqlDB or Connect have keep their name and meaning. `rialto doc options` prints these tables.
 */
#ifndef RIALTO_MAIN_OPTIONS_H
#define RIALTO_MAIN_OPTIONS_H

#include "auth/auth.h"
#include "broker/broker.h"
#include "conf/conf.h"
#include "net/net.h"

struct server_options {
    struct conf_list http_listen, http_hosts, http_origins;
    int64_t memory_max;
    int64_t worker_count, commit_interval_ms;
    struct str service_id;
    int64_t push_queries_max;
    int log_level;
};

extern const struct conf_table server_table;

/* NULL-terminated list of all tables, for `rialto doc options`. */
extern const struct conf_table *const option_tables[];

/* What the tables fill. */
struct all_options {
    struct server_options server;
    struct broker_config kafka;
    struct auth_config auth;
    struct net_tls_options tls;
};

/* Reads --conf FILE, RIALTO_* and --set, checks all names, fills all structs. Texts live in the arena. */
bool options_read(const char *conf_file, const struct conf_list *assignments, struct all_options *out,
                  struct arena *arena, struct err *err);

#endif
