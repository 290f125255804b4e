/* topic_int.h - private to topic: the state, and the steps that its files share. */
#ifndef RIALTO_TOPIC_TOPIC_INT_H
#define RIALTO_TOPIC_TOPIC_INT_H

#include "topic/topic.h"

/* Record types of __cluster_metadata: the number that begins a key. */
enum { KEY_TOPIC = 0, KEY_RESOURCE = 1 };

struct topics {
    struct map by_name;   /* name -> struct topic */
    struct map by_id;     /* 16 bytes -> struct topic */
    struct map resources; /* type byte and name -> struct resource */
};

/* topic.c: the record of a topic as a whole. */
void topic_add_record(const struct topic *topic, bool deleted, int64_t now_ms, struct replay_records *out);

/* resource.c: the records of resources (the key's type is read already; `key` is what follows it). */
bool resource_apply(struct topics *topics, struct str key, struct str value, struct err *err);
void resources_snapshot(const struct topics *topics, struct replay_records *out);
void resources_free(struct topics *topics);

#endif
