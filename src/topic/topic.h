/* topic.h - topics, their partition counts and configs, and the settings of other resources (the broker, groups, client
 * quotas): a state that lives in the topic __cluster_metadata.
 *
 * A record's key is a topic's name, or a resource's type and name; its value the topic or the settings as a whole; a null
 * value deletes. Reading needs the lock of the state's `struct replay`; decide functions run under it.
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

/* Checks what is set on one topic (null: nothing) against each other. Each was checked by itself. ERR_INVALID_CONFIG. */
bool topic_configs_agree(const struct str settings[TOPIC_CONFIG_COUNT], struct err *err);

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

/* --- changes of settings --- */

/* Kafka's numbers of operations on a config. */
enum setting_op_kind { SETTING_SET = 0, SETTING_DELETE = 1, SETTING_APPEND = 2, SETTING_SUBTRACT = 3 };

struct setting_op {
    struct str name;
    int op; /* enum setting_op_kind; checked */
    struct str value;
    struct str in_force; /* what APPEND and SUBTRACT start from when nothing is set */
    bool is_list; /* of resources: the type allows APPEND and SUBTRACT; topic configs have their table */
};

/* The value after the operation: `present` is what is set now, or null; *out null: nothing is set any more. ERR_INVALID_REQUEST,
 * ERR_INVALID_CONFIG. */
bool setting_apply(const struct setting_op *op, struct str present, bool is_list, struct str *out,
                   struct arena *arena, struct err *err);

/* ERR_INVALID_REQUEST when a name occurs twice. */
bool settings_are_distinct(const struct setting_op *ops, size_t count, struct err *err);

struct topic_alter {
    struct str name;
    const struct setting_op *ops;
    size_t op_count;
    bool replace; /* what is not named goes back to its default */
    bool check_only;
    int64_t now_ms;
};

/* All operations or none. ERR_UNKNOWN_TOPIC, ERR_INVALID_CONFIG, ERR_INVALID_REQUEST. */
bool topics_decide_alter(void *topics, void *topic_alter, struct replay_records *out, struct err *err);

/* --- other resources --- */

/* Kafka's numbers; QUOTA is ours. */
enum resource_type {
    RESOURCE_TOPIC = 2,
    RESOURCE_BROKER = 4,          /* name: the node's id, or "" for the defaults of the cluster */
    RESOURCE_LOGGER = 8,          /* not kept */
    RESOURCE_CLIENT_METRICS = 16, /* not kept: see the broker's README */
    RESOURCE_GROUP = 32,          /* name: the group */
    RESOURCE_QUOTA = 100,         /* name: an entity of client quotas, see broker/quotas.c */
};

enum { RESOURCE_SETTINGS_MAX = 256, RESOURCES_MAX = 100000 };

struct resource {
    enum resource_type type;
    struct str name;
    struct topic_setting *settings;
    size_t setting_count;
    struct arena arena; /* of the slices above */
};

/* NULL when nothing is set. Under the lock. */
const struct resource *topics_resource(const struct topics *topics, enum resource_type type, struct str name);
const struct resource *topics_next_resource(const struct topics *topics, size_t *pos);

/* The value set, or null; also for a NULL resource. */
struct str resource_setting(const struct resource *resource, struct str name);

struct resource_alter {
    enum resource_type type;
    struct str name;
    const struct setting_op *ops;
    size_t op_count;
    /* Checks a value as it would be kept; NULL: the caller has checked the operations. */
    bool (*check)(void *arg, struct str name, struct str value, struct err *err);
    /* After it, all that would be set then; NULL: nothing more. */
    bool (*agree)(void *arg, const struct topic_setting *settings, size_t count, struct err *err);
    void *check_arg; /* of both */
    bool replace, check_only;
    int64_t now_ms;
};

/* All operations or none. ERR_INVALID_REQUEST, ERR_INVALID_CONFIG, errors of `check`. */
bool resources_decide_alter(void *topics, void *resource_alter, struct replay_records *out, struct err *err);

enum { TOPIC_PARTITIONS_MAX = 10000 };

#endif
