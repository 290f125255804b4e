/* topic.h - topics, their partition counts and configs: a state that lives in the topic __cluster_metadata.
 *
 * A record's key is the topic's name, its value the topic as a whole; a null value deletes the topic. Reading needs the
 * lock of the state's `struct replay`; decide functions run under it.
 */
#ifndef RIALTO_TOPIC_TOPIC_H
#define RIALTO_TOPIC_TOPIC_H

#include "base/base.h"
#include "replay/replay.h"
#include "wire/wire.h"

/* --- configs --- */

/* Kafka's types as DescribeConfigs numbers them. */
enum topic_config_type {
    TOPIC_CONFIG_BOOL = 1,
    TOPIC_CONFIG_STRING = 2,
    TOPIC_CONFIG_INT = 3,
    TOPIC_CONFIG_LONG = 5,
    TOPIC_CONFIG_DOUBLE = 6,
    TOPIC_CONFIG_LIST = 7,
};

enum topic_config_id {
#define C(id, name, type, init, min, max, words, synonym, doc) TOPIC_##id,
#include "topic/configs.def"
#undef C
    TOPIC_CONFIG_COUNT
};

struct topic_config_def {
    const char *name;
    enum topic_config_type type;
    const char *init; /* Kafka's default */
    double min, max;  /* of numbers */
    const char
        *words; /* "a|b": allowed words of strings, or parts of lists; NULL: any. "=" : only the default */
    const char *synonym; /* the broker's name for the default */
    const char *doc;
};

extern const struct topic_config_def topic_config_defs[TOPIC_CONFIG_COUNT];

/* -1: no such config. */
int topic_config_find(struct str name);

/* Checks a value: ERR_INVALID_CONFIG says what is allowed. */
bool topic_config_check(int config, struct str value, struct err *err);

/* --- topics --- */

struct topic_setting {
    struct str name, value;
};

struct topic {
    struct str name;
    struct uuid id;
    int32_t partition_count;
    int64_t created_ms;
    struct str settings[TOPIC_CONFIG_COUNT]; /* set on the topic; null: the default counts */
    struct arena arena;                      /* of the slices above */
};

struct topics;

struct topics *topics_new(void);
void topics_free(struct topics *topics);

/* apply and snapshot over a `struct topics`. */
extern const struct replay_class topics_class;

/* NULL when there is none. Under the lock. */
const struct topic *topics_find(const struct topics *topics, struct str name);
const struct topic *topics_find_id(const struct topics *topics, struct uuid id);

/* Walks in order of creation; *pos starts at 0. Under the lock. */
const struct topic *topics_next(const struct topics *topics, size_t *pos);

/* A name that Kafka allows: 1 to 249 of [A-Za-z0-9._-], not "." or "..". ERR_INVALID_TOPIC. */
bool topic_name_check(struct str name, struct err *err);

/* Decide functions and their requests. */

struct topic_create {
    struct str name;
    int32_t partition_count;
    const struct topic_setting *settings;
    size_t setting_count;
    struct uuid id; /* fresh, random */
    int64_t now_ms;
    bool check_only;
};

/* ERR_TOPIC_EXISTS, ERR_INVALID_TOPIC, ERR_INVALID_PARTITIONS, ERR_INVALID_CONFIG. */
bool topics_decide_create(void *topics, void *topic_create, struct replay_records *out, struct err *err);

struct topic_delete {
    struct str name;
    int64_t now_ms;
};

/* ERR_UNKNOWN_TOPIC. */
bool topics_decide_delete(void *topics, void *topic_delete, struct replay_records *out, struct err *err);

struct topic_grow {
    struct str name;
    int32_t partition_count;
    int64_t now_ms;
    bool check_only;
};

/* ERR_UNKNOWN_TOPIC, ERR_INVALID_PARTITIONS when the count is not larger than the present one. */
bool topics_decide_grow(void *topics, void *topic_grow, struct replay_records *out, struct err *err);

enum { TOPIC_PARTITIONS_MAX = 10000 };

#endif
