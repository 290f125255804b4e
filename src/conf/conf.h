/* conf.h - option tables: parsed, checked, printed and documented from one place.
 *
 *   static const struct conf_option log_options[] = {
 *       {"log.segment.bytes", CONF_SIZE, "1GiB", .min = 1024, .max = INT32_MAX,
 *        .doc = "Size at which a segment is closed.", CONF_AT(struct log_settings, segment_bytes)},
 *   };
 *   static const struct conf_table log_table = {"log", log_options, COUNT_OF(log_options),
 *                                               sizeof(struct log_settings)};
 *
 *   values: file (name=value) < environment (RIALTO_KAFKA_LISTEN) < --set name=value       the later wins
 *
 * Texts are read by the caller; conf does no input or output and keeps no globals. One thread at a time.
 */
#ifndef RIALTO_CONF_CONF_H
#define RIALTO_CONF_CONF_H

#include "base/base.h"

/* What an option holds, and the C type of its field. */
enum conf_type {
    CONF_BOOL,        /* bool: true, false */
    CONF_INT,         /* int64_t: decimal, within min..max */
    CONF_DOUBLE,      /* double: decimal, within min..max */
    CONF_SIZE,        /* int64_t bytes: 1024, 64KiB, 1MiB, 1GiB, also kB, MB, GB (powers of 1000) */
    CONF_DURATION_MS, /* int64_t ms: 250, 250ms, 5s, 10m, 2h, 7d */
    CONF_STRING,      /* struct str */
    CONF_PASSWORD,    /* struct str: never printed */
    CONF_LIST,        /* struct conf_list: comma-separated, white space around parts dropped */
    CONF_ENUM,        /* int: index into words */
    CONF_PREFIX,      /* struct conf_pairs: all names that begin with this one, which ends in '.' */
};

struct conf_list {
    struct str *at;
    size_t len;
};

struct conf_pair {
    struct str name, value;
};

struct conf_pairs {
    struct conf_pair *at;
    size_t len;
};

/* Where an option may have another value than for the whole: nowhere, for one listener (listener.name.<listener>.<option>), or
 * for one mechanism of a listener too (listener.name.<listener>.<mechanism>.<option>). */
enum conf_scope { CONF_WHOLE, CONF_LISTENER, CONF_MECHANISM };

enum conf_importance { CONF_HIGH, CONF_MEDIUM, CONF_LOW };

struct conf_option {
    const char *name;
    enum conf_type type;
    const char *default_text; /* as it would be written; NULL: none. See required */
    const char *doc;
    int64_t min, max;         /* of numbers; both 0: any; max 0 with min > 0: no upper bound */
    const char *const *words; /* CONF_ENUM (and CONF_STRING: the recommended values), NULL-terminated */
    bool required;            /* must be set; without it a missing default gives zero, null or empty */
    bool live;                /* may change while the program runs: its readers load it atomically */
    enum conf_scope scope;
    enum conf_importance importance;
    const char *group;             /* heading in lists, "Common"; may be NULL */
    const char *display_name;      /* may be NULL */
    const char *const *depends_on; /* names, NULL-terminated; may be NULL */
    const char *kafka_type;        /* shown instead of conf_kafka_type, "CLASS"; may be NULL */
    /* A further check of the parsed value: false with *err, whose text says what is wrong. May be NULL. */
    bool (*check)(const struct conf_option *option, struct str text, struct err *err);
    size_t offset, size; /* of the field: CONF_AT */
};

#define CONF_AT(T, member) .offset = offsetof(T, member), .size = sizeof(((T *)0)->member)

/* A row of the usual columns; T is the table's struct. CONF_LIVE_ROW: of an option that may change while the program runs. */
#define CONF_ROW(T, name, type, init, low, high, member, text)                           \
    {                                                                                    \
        name, type, init, .min = (low), .max = (high), .doc = (text), CONF_AT(T, member) \
    }
#define CONF_LIVE_ROW(T, name, type, init, low, high, member, text)                                    \
    {                                                                                                  \
        name, type, init, .min = (low), .max = (high), .doc = (text), .live = true, CONF_AT(T, member) \
    }

struct conf_table {
    const char *name; /* "kafka" */
    const struct conf_option *options;
    size_t count;
    size_t struct_size;
};

/* ---- values from their three places ---- */

struct conf;

struct conf *conf_new(void);
void conf_free(struct conf *conf);

/* Makes a table's names known: needed for the environment, for conf_check and suggestions. The table outlives
 * conf. */
void conf_add_table(struct conf *conf, const struct conf_table *table);

/* Why a name is no option, for conf_check to say; NULL: it is just unknown. */
typedef const char *conf_why_fn(struct str name);
void conf_explain(struct conf *conf, conf_why_fn *why);

/* Reads lines name=value ('#' and '!' begin a comment line, '\' at the end continues a line, as in
 * .properties). `origin` is for messages ("rialto.conf"). False with *err (line number in err->line). */
bool conf_parse(struct conf *conf, struct str text, const char *origin, struct err *err);

/* Takes RIALTO_* from a NULL-terminated environment: RIALTO_LOG_SEGMENT_BYTES sets log.segment.bytes.
 * Variables that match no known name are an error with a suggestion, except the names in `ignored`
 * (NULL-terminated, or NULL). */
bool conf_parse_env(struct conf *conf, char *const *environ, const char *const *ignored, struct err *err);

/* One "name=value", as given to --set. */
bool conf_set(struct conf *conf, struct str assignment, struct err *err);

/* Every name that was set is in one of the tables; *err names the first that is not, where it was set, and why it is none or
 * the nearest known name. */
bool conf_check(const struct conf *conf, struct err *err);

/* Fills *out (table->struct_size bytes) with parsed values or defaults; texts are copied into the arena.
 * False with *err: option, value, where it was set, what is allowed. */
bool conf_read(const struct conf *conf, const struct conf_table *table, void *out, struct arena *arena,
               struct err *err);

/* Text that was set, or STR_NULL. */
struct str conf_text(const struct conf *conf, const char *name);

/* ---- values from elsewhere: connector configs, statement properties ---- */

/* Text of one option: STR_NULL with *is_set false when it is not given. */
typedef struct str conf_lookup(void *arg, struct str name, bool *is_set);

/* Parses one value into a field; false with *err, whose text is in Kafka's form: "Invalid value x for
 * configuration a.b: Not a number of type INT". */
bool conf_parse_value(const struct conf_option *option, struct str text, void *field, struct arena *arena,
                      struct err *err);

struct conf_check_result {
    const struct conf_option *option;
    struct str value;   /* the given text, the default, or null */
    struct str *errors; /* in Kafka's wording */
    size_t error_count;
    const char *const *recommended; /* words, NULL-terminated, or NULL */
};

/* Checks each option of a table and fills *out when it is not NULL (fields with an error keep their default).
 * Returns one result an option, in table order, in the arena, and the number of errors in *error_count. */
struct conf_check_result *conf_validate(const struct conf_table *table, conf_lookup *lookup, void *lookup_arg,
                                        void *out, struct arena *arena, size_t *error_count);

/* ---- one option ---- */

/* The row of this name, or NULL. */
const struct conf_option *conf_option_find(const struct conf_table *table, struct str name);

/* The option's value in a struct of its table, in the form that Kafka's tools read: durations and sizes are plain numbers; a
 * password is null. Live fields are loaded atomically. In the arena, or a literal, or the field's own text. */
struct str conf_option_text(const struct conf_option *option, const void *values, struct arena *arena);

/* ---- printing ---- */

const char *conf_type_name(enum conf_type type); /* "size" */
/* "BOOLEAN", "LONG", "STRING", ..., or the option's kafka_type */
const char *conf_kafka_type(const struct conf_option *option);

/* The name in `tables` that is nearest to `name`, or NULL when none is near. */
const char *conf_nearest(const struct conf_table *const *tables, size_t table_count, struct str name);

/* Markdown: a section a table, a row an option. JSON: an array of objects. */
void conf_write_markdown(const struct conf_table *const *tables, size_t count, struct buf *out);
void conf_write_json(const struct conf_table *const *tables, size_t count, struct buf *out);

#endif
