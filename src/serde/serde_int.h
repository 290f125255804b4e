/* serde_int.h - private to serde: the instance and what a format implements. */
#ifndef RIALTO_SERDE_SERDE_INT_H
#define RIALTO_SERDE_SERDE_INT_H

#include "serde/serde.h"

/* What a built format does. Functions get bytes that are not null and at least one column. */
struct serde_class {
    void (*open)(struct serde *serde);  /* NULL: nothing to prepare */
    void (*close)(struct serde *serde); /* NULL: nothing to release */
    /* Bytes that stand for no record although there are some; NULL: there are none. */
    bool (*is_null)(struct str bytes);
    bool (*decode)(struct serde *serde, struct str bytes, struct value *const *cols, uint32_t row,
                   const bool *wanted, struct arena *arena, struct err *err);
    bool (*encode)(struct serde *serde, const struct value *const *cols, uint32_t row, struct buf *out,
                   struct err *err);
};

struct serde {
    const struct serde_format *format;
    const struct serde_class *class;
    enum serde_side side;
    const struct column *columns;
    uint32_t column_count;
    char delimiter;
    bool wrapped; /* the columns are members of a record; else one bare value */
    bool padded;
    struct buf topic; /* for error texts */

    /* JSON */
    struct json_columns *json;  /* of a wrapped record */
    struct json_field *fields;  /* one a column */
    struct buf member_names;    /* ,"NAME": of all columns in a row */
    uint32_t *member_name_ends; /* where each ends */
};

extern const struct serde_class serde_class_kafka, serde_class_delimited, serde_class_json;

/* A number, or NaN, Infinity, -Infinity: the texts that doubles are written as. */
bool serde_read_double(struct str text, double *out);

/* Where a value stands in its record, for error texts: $.A[2].B */
struct serde_path {
    const struct serde_path *parent; /* NULL: the root, whose name is "$" or "$.A" */
    struct str name;                 /* of a member; null: an element */
    uint32_t index;
};

/* One JSON value to a value of the type. `kind` and `text` as json_columns_read gives them. */
bool serde_json_field(struct json_field field, const struct sql_type *type, const struct serde_path *path,
                      struct value *out, struct arena *arena, struct err *err);

#endif
