/* quota.h - how much a client may do (KIP-13, KIP-599, KIP-612): limits that are set in __cluster_metadata, and what is charged
 * to them.
 *
 *   storage: resources of type quota --quotas_changed--> generation
 *   connection --quotas_current--> struct client_quotas --client_quotas_charge--> ms that it is not to be read
 *
 * Knows no connection and no request: who serves one asks. Any thread, but where said otherwise. Locks: that of the storage's
 * topics and the two in quota.c, never together.
 */
#ifndef RIALTO_QUOTA_QUOTA_H
#define RIALTO_QUOTA_QUOTA_H

#include "base/base.h"
#include "metric/metric.h"
#include "storage/storage.h"

struct quotas;
struct client_quotas;

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

extern const char *const quota_type_names[QUOTA_TYPES]; /* as Kafka calls them */

/* A quota_type, or -1. */
int quota_type_find(struct str name);

/* Appends the name; Kafka's rules of which types go together are the caller's. */
void quota_entity_name(const struct quota_entity *entity, struct buf *out);

/* False: not such a name. Texts are in the arena. */
bool quota_entity_parse(struct str name, struct quota_entity *out, struct arena *arena);

/* --- limits --- */

enum quota_kind { QUOTA_PRODUCE, QUOTA_FETCH, QUOTA_REQUEST, QUOTA_MUTATION, QUOTA_CONNECTION, QUOTA_KINDS };

struct quota_def {
    const char *key;   /* Kafka's name */
    bool whole;        /* takes no fractions */
    bool of_ip;        /* belongs to addresses, the others to users and client ids */
    const char *label; /* of metrics */
};
extern const struct quota_def quota_defs[QUOTA_KINDS];

/* --- quotas at work --- */

/* Both are live. */
struct quota_config {
    int64_t windows;  /* quota.window.num */
    int64_t window_s; /* quota.window.size.seconds */
};

/* All arguments outlive the quotas. quotas_changed follows when the storage is open. */
struct quotas *quotas_new(const struct quota_config *config, struct storage *storage,
                          struct metric_registry *metrics);

/* All references to client_quotas have been given back. NULL is allowed. */
void quotas_free(struct quotas *quotas);

/* What is set, or an option, is another now. One call at a time: the `take` of storage_resource_alter, or at the start. */
void quotas_changed(struct quotas *quotas);

/* Is any quota set? One atomic load. */
bool quotas_on(const struct quotas *quotas);

/* What a connection of this user and client id is charged to: `own` (taken) if it still says so, or a new one; NULL: no
 * quotas. */
struct client_quotas *quotas_current(struct quotas *quotas, struct client_quotas *own, struct str user,
                                     struct str client);
struct client_quotas *client_quotas_ref(struct client_quotas *own); /* NULL stays NULL */
void client_quotas_unref(struct client_quotas *own);

/* Charges bytes, seconds of a thread, or partitions that are made and deleted; the time in ms that the connection is not
 * to be read. Amount 0 only asks. */
int64_t client_quotas_charge(struct client_quotas *own, enum quota_kind kind, double amount);

/* What a window holds: more than that in one answer would be a debt of more than a window. INT64_MAX: no limit. */
int64_t client_quotas_burst(const struct client_quotas *own, enum quota_kind kind);

/* A connection comes from this address: NULL, or why it is refused. */
const char *quotas_admit(struct quotas *quotas, struct str host);

#endif
