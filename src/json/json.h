/* json.h - JSON text (RFC 8259): trees, a writer, a pull scanner, and the column reader of the record path.
 *
 *   bytes --json_parse--------> struct json_value   request bodies, plans, configurations
 *   bytes --json_scan_*-------> one token a call    nested values read straight into their SQL type
 *   bytes --json_columns_read-> struct json_field[] records: only the wanted members of one object (simdjson)
 *   struct json_writer -------> struct buf
 *
 * (J1) Readers are strict: text after the value, control characters in strings, bad UTF-8, leading zeros,
 *      trailing commas and depth beyond JSON_DEPTH_MAX are ERR_SERIALIZATION with the byte position,
 *      counted from 0.
 * (J2) Numbers keep their text: nothing is rounded before the reader knows the wanted type.
 * (J3) Members keep their order; of equal names the last one counts.
 */
#ifndef RIALTO_JSON_JSON_H
#define RIALTO_JSON_JSON_H

#include "base/base.h"

enum { JSON_DEPTH_MAX = 512 };

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* "null", "boolean", "number" ...: for error texts. */
const char *json_kind_name(enum json_kind kind);

/* Trees ---------------------------------------------------------------------------------------- */

struct json_value {
    enum json_kind kind;
    bool b;         /* JSON_BOOL */
    uint32_t len;   /* JSON_ARRAY: elements; JSON_OBJECT: members */
    struct str str; /* JSON_STRING: the text; JSON_NUMBER: as written */
    union {
        const struct json_value *elems;    /* JSON_ARRAY */
        const struct json_member *members; /* JSON_OBJECT */
    };
};

struct json_member {
    struct str name;
    struct json_value value;
};

/* The tree of a whole text, in the arena; strings without escapes point into the text. NULL: *err says where.
 */
const struct json_value *json_parse(struct str text, struct arena *arena, struct err *err);

/* The member of this name (the last one), or NULL; NULL too when `object` is NULL or no object. */
const struct json_value *json_get(const struct json_value *object, struct str name);

/* Typed members: the fallback when the member is absent or null; false with *err when it has another kind.
 * `what` names the object in the error text. */
bool json_get_str(const struct json_value *object, const char *name, struct str *out, struct err *err);
bool json_get_i64(const struct json_value *object, const char *name, int64_t *out, struct err *err);
bool json_get_bool(const struct json_value *object, const char *name, bool *out, struct err *err);

/* The number as an integer: false when it is no number, has a fraction, or does not fit. 1.0 and 1e2 are
 * integers. */
bool json_to_i64(const struct json_value *value, int64_t *out);
bool json_to_double(const struct json_value *value, double *out);

/* Equal as JSON: numbers by their text, objects without regard to order. */
bool json_eq(const struct json_value *a, const struct json_value *b);

/* Writer --------------------------------------------------------------------------------------- */

/* Zero-initialise with .out set. Commas and colons are the writer's; nesting is the caller's. */
struct json_writer {
    struct buf *out;
    bool comma; /* a value stands before: the next one in the same container needs a comma */
};

void json_object_begin(struct json_writer *writer);
void json_object_end(struct json_writer *writer);
void json_array_begin(struct json_writer *writer);
void json_array_end(struct json_writer *writer);
void json_key(struct json_writer *writer, struct str name);

void json_null(struct json_writer *writer);
void json_bool(struct json_writer *writer, bool b);
void json_i64(struct json_writer *writer, int64_t n);
void json_double(struct json_writer *writer, double d); /* as Java prints it; NaN and infinities as strings */
void json_str(struct json_writer *writer, struct str s); /* STR_NULL writes null */
void json_cstr(struct json_writer *writer, const char *s);
void json_base64(struct json_writer *writer, struct str bytes);
void json_raw(struct json_writer *writer,
              struct str json); /* one value that is JSON already; a number's text */
void json_tree(struct json_writer *writer, const struct json_value *value);

/* Shorthands: name and value of a member. */
void json_key_str(struct json_writer *writer, const char *name, struct str s);
void json_key_cstr(struct json_writer *writer, const char *name, const char *s);
void json_key_i64(struct json_writer *writer, const char *name, int64_t n);
void json_key_bool(struct json_writer *writer, const char *name, bool b);
void json_key_null(struct json_writer *writer, const char *name);
void json_key_begin(struct json_writer *writer, const char *name); /* the value follows */

/* Appends s in quotes. Escapes as Jackson does: \" \\ \b \f \n \r \t and \u00XX for the other controls. */
void json_append_string(struct buf *out, struct str s);

/* Pull scanner --------------------------------------------------------------------------------- */

struct json_scan {
    const char *start, *at, *end;
    struct arena *arena; /* unescaped strings */
    struct err *err;
    uint32_t depth;
    bool fresh; /* a container was opened and nothing was taken from it yet */
};

/* A token: scalars are whole, containers are opened and must be walked to their end or skipped. */
struct json_token {
    enum json_kind kind;
    bool b;
    struct str str; /* JSON_STRING: unescaped; JSON_NUMBER: as written */
};

void json_scan_init(struct json_scan *scan, struct str text, struct arena *arena, struct err *err);
bool json_scan_value(struct json_scan *scan, struct json_token *out);
/* After an opened array / object: *more says whether an element / member follows; false is a syntax error. */
bool json_scan_element(struct json_scan *scan, bool *more);
bool json_scan_member(struct json_scan *scan, struct str *name, bool *more);
/* Passes over one value, checking it; *raw (may be NULL) gets its text. */
bool json_scan_skip(struct json_scan *scan, struct str *raw);
/* Only white space is left. */
bool json_scan_end(struct json_scan *scan);

/* Column reader: the record path --------------------------------------------------------------- */

/* Bytes that must be readable (their contents do not matter) behind the text when `padded` is passed as true.
 */
enum { JSON_PADDING = 64 };

enum json_field_kind {
    JSON_FIELD_ABSENT,
    JSON_FIELD_NULL,
    JSON_FIELD_TRUE,
    JSON_FIELD_FALSE,
    JSON_FIELD_NUMBER, /* text as written */
    JSON_FIELD_STRING, /* unescaped text, in the input or in the arena */
    JSON_FIELD_ARRAY,  /* raw text, in the input; its inside is not checked yet: read it with json_scan */
    JSON_FIELD_OBJECT
};

struct json_field {
    uint8_t kind; /* enum json_field_kind */
    bool exact;   /* found under its exact name, not by upper-casing */
    struct str text;
};

/* Reads members of these names: the exact name first, else the last one whose upper-cased (ASCII) name is
 * equal. Remembers the shape of the objects it saw, so that records of one shape cost no lookups. One thread.
 */
struct json_columns;

struct json_columns *json_columns_new(const struct str *names, uint32_t name_count); /* names are copied */
void json_columns_free(struct json_columns *columns);

/* The top value's kind, without checking the rest; false for text without any value. Never fails on broken
 * text. */
bool json_peek_kind(struct str text, enum json_kind *out);

/* Fills out[i] for each name with wanted[i] (wanted NULL: all of them); others are left alone. The text must
 * be one object. Every member is visited and checked, wanted or not. Without `padded` the text is copied into
 * the arena first, and then out[] points into the copy. */
bool json_columns_read(struct json_columns *columns, struct str text, bool padded, const bool *wanted,
                       struct json_field *out, struct arena *arena, struct err *err);

#endif
