/* configs_int.h - rows of DescribeConfigs: what api_configs.c and api_configs_broker.c share. Handlers' threads. */
#ifndef RIALTO_BROKER_CONFIGS_INT_H
#define RIALTO_BROKER_CONFIGS_INT_H

#include "broker/broker_int.h"

/* Kafka's codes: an error, and the types of values. */
enum { INVALID_REQUEST = 42 };
enum {
    TYPE_UNKNOWN = 0,
    TYPE_BOOL = 1,
    TYPE_STRING = 2,
    TYPE_INT = 3,
    TYPE_SHORT = 4,
    TYPE_LONG = 5,
    TYPE_DOUBLE = 6,
    TYPE_LIST = 7,
    TYPE_PASSWORD = 9
};

typedef struct DescribeConfigsRequest_DescribeConfigsResource asked_resource;
typedef struct DescribeConfigsResponse_DescribeConfigsResult result_row;
typedef struct DescribeConfigsResponse_DescribeConfigsResourceResult config_row;

/* Makes room for at most so many rows. */
void config_rows_alloc(struct request *req, result_row *row, size_t count_max);

/* Adds a config when it is wanted. NULL: it is not. The name lives as long as the request. */
config_row *config_row_add(struct request *req, const asked_resource *asked, result_row *row,
                           const char *name, int type, struct config_value value, const char *doc);

/* Adds the chain from the value in force back to the default, if it is asked for; twice for an option of a listener. NULL is
 * allowed. */
void config_row_synonyms(struct request *req, config_row *config, struct str name,
                         const struct config_value chain[CONFIG_CHAIN_MAX]);

/* Does the default of the topic config have a name among the broker's? */
bool topic_config_has_option(int config);

/* Is the option one that Kafka shows as null while nothing is set? It counts in another unit then (log.retention.hours, ...). */
bool config_default_is_null(struct str option);
void config_chain_hide_default(struct config_value chain[CONFIG_CHAIN_MAX]);

/* api_configs_broker.c: this node, or (an empty name) the defaults of the cluster. */
void describe_broker(struct request *req, const asked_resource *asked, result_row *row);
/* False, and the error: the name is another node's. */
bool is_this_node(struct request *req, const asked_resource *asked, result_row *row);

#endif
