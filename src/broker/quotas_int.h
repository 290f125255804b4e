/* quotas_int.h - client quotas: what quotas.c, api_quotas.c and conn.c share. */
#ifndef RIALTO_BROKER_QUOTAS_INT_H
#define RIALTO_BROKER_QUOTAS_INT_H

#include "broker/broker_int.h"

/* --- entities --- */

enum quota_type { QUOTA_USER, QUOTA_CLIENT, QUOTA_IP, QUOTA_TYPES };

struct quota_part {
    bool present;
    struct str name; /* null: the default */
};

/* Whom a quota is for; as the name of a resource: "user=alice,client-id=<default>". */
struct quota_entity {
    struct quota_part parts[QUOTA_TYPES];
};

extern const char *const quota_type_names[QUOTA_TYPES];

void quota_entity_name(const struct quota_entity *entity, struct buf *out);

/* False: not such a name. Texts are in the arena. */
bool quota_entity_parse(struct str name, struct quota_entity *out, struct arena *arena);

/* --- limits --- */

struct quota_def {
    const char *key;   /* Kafka's name */
    bool whole;        /* takes no fractions */
    bool of_ip;        /* belongs to addresses, the others to users and client ids */
    const char *label; /* of metrics */
};
extern const struct quota_def quota_defs[QUOTA_KINDS];

struct quota_bucket;

/* Takes `amount` from the bucket; the time until it is out of debt. A NULL bucket has no limit. Any thread. */
int64_t quota_charge(struct quota_bucket *bucket, double amount);

/* The buckets that a connection's requests are charged to. Counted references; immutable but for the buckets. */
struct client_quotas {
    atomic_int refs;
    struct broker *broker;
    unsigned long long generation;
    struct str user, client_id; /* owned */
    struct quota_bucket *buckets[QUOTA_KINDS];
};

#endif
