/* serde.h - bytes of record keys and values to column values and back.
 *
 *   format table   NONE KAFKA DELIMITED JSON; those of the schema registry are refused until built
 *   struct serde   format + columns + options, made once per source or sink side
 *
 *     record bytes --serde_decode(row)--> cols[c][row]      only the wanted columns are written
 *     cols[c][row] --serde_encode(row)--> bytes
 *
 * Columns are those of one side: all key columns or all value columns, in the schema's order.
 * Decoded STRING and BYTES values point into the record or into the arena. A serde belongs to one thread.
 */
#ifndef RIALTO_SERDE_SERDE_H
#define RIALTO_SERDE_SERDE_H

#include "json/json.h"
#include "type/type.h"

/* Formats -------------------------------------------------------------------------------------- */

struct serde_format {
    struct str name;       /* upper case */
    bool built;            /* false: known by name, serde_new refuses it */
    bool key, value;       /* may serialize a key, a value with columns */
    bool multi_key;        /* several key columns */
    bool registry;         /* needs a schema registry */
    bool infers;           /* columns can come from the registry */
    bool wraps, unwraps;   /* a single column as a record, as a bare value */
    bool wraps_by_default; /* of a single value column */
    bool delimiter;        /* takes KEY_/VALUE_DELIMITER */
    bool joins_and_groups; /* may be the value format of a source in JOIN and GROUP BY */
};

/* By name in any case; NULL when unknown. */
const struct serde_format *serde_format_find(struct str name);
const struct serde_format *serde_format_at(uint32_t i); /* NULL ends the table */

enum serde_side { SERDE_KEY, SERDE_VALUE };

enum serde_wrap { SERDE_WRAP_DEFAULT, SERDE_WRAP, SERDE_UNWRAP };

struct serde_options {
    char delimiter;       /* DELIMITED; 0 means ',' */
    enum serde_wrap wrap; /* of a single column; DEFAULT: unwrapped keys, values as the format table says */
    struct str topic;     /* only for error texts; may be STR_NULL */
};

/* KEY_DELIMITER / VALUE_DELIMITER: one character or the words SPACE, TAB. */
bool serde_parse_delimiter(struct str text, char *out, struct err *err);

/* Can this format hold these columns? ERR_STATEMENT with ksqlDB's text: "The 'KAFKA' format does not support
 * type 'ARRAY'", "The 'KAFKA' format only supports a single field. Got: [..]", "The 'NONE' format can only be
 * used when no columns are defined. Got: [..]", "JSON only supports MAP types with STRING keys"; for keys
 * with the frame "Key format does not support schema.\nformat: ..". Checked by serde_new too. */
bool serde_check(const struct serde_format *format, enum serde_side side, const struct column *columns,
                 uint32_t column_count, const struct serde_options *options, struct err *err);

/* Serdes --------------------------------------------------------------------------------------- */

struct serde;

/* The columns' names and types are borrowed and must outlive the serde. options may be NULL. NULL with *err
 * (ERR_STATEMENT, or ERR_UNSUPPORTED for a format that is not built). */
struct serde *serde_new(const struct serde_format *format, enum serde_side side, const struct column *columns,
                        uint32_t column_count, const struct serde_options *options, struct err *err);
void serde_free(struct serde *serde);

/* Do these bytes read as no record at all: no bytes (ptr NULL), for JSON also empty bytes and the text null?
 */
bool serde_is_null(const struct serde *serde, struct str bytes);

/* Says that all bytes passed to serde_decode from now on are followed by JSON_PADDING readable bytes: saves a
 * copy. */
void serde_set_padded(struct serde *serde, bool padded);

/* Writes cols[c][row] for every c with wanted[c] (wanted NULL: all); cols[c] may be NULL for the others. A
 * null record (serde_is_null) gives NULL in all of them. false: ERR_SERIALIZATION, the text as in ksqlDB's
 * processing log. */
bool serde_decode(struct serde *serde, struct str bytes, struct value *const *cols, uint32_t row,
                  const bool *wanted, struct arena *arena, struct err *err);

/* Appends row `row`. *null_record is set to true, and nothing appended, when the row has no bytes: no
 * columns, or a NULL in a single unwrapped column; else to false. On failure nothing is appended. */
bool serde_encode(struct serde *serde, const struct value *const *cols, uint32_t row, struct buf *out,
                  bool *null_record, struct err *err);

/* Windowed keys -------------------------------------------------------------------------------- */

/* Time windows: key + start (8 bytes, big endian). Session windows: key + end + start. */
void serde_append_time_window(struct buf *key, int64_t start_ms);
void serde_append_session_window(struct buf *key, int64_t start_ms, int64_t end_ms);

/* Cuts the window off *key; false with ERR_SERIALIZATION when the key is too short. */
bool serde_cut_time_window(struct str *key, int64_t *start_ms, struct err *err);
bool serde_cut_session_window(struct str *key, int64_t *start_ms, int64_t *end_ms, struct err *err);

/* Values and JSON ------------------------------------------------------------------------------ */

/* Where times are numbers (records) or texts (rows of HTTP answers): DATE 18000 or "2019-04-14", TIME ms or
 * "01:34:20", TIMESTAMP ms or "2020-05-26T23:59:58.000". All else is equal: DECIMAL a number in plain
 * notation, BYTES base64. */
enum serde_json_form { SERDE_JSON_RECORD, SERDE_JSON_HTTP };

void serde_value_to_json(struct value v, const struct sql_type *type, enum serde_json_form form,
                         struct json_writer *writer);

/* JSON text to a value with the coercions of records (reference 2.4); `path` is where it stands, "$" or
 * "$.A". */
bool serde_value_of_json(struct str text, const struct sql_type *type, struct str path, struct value *out,
                         struct arena *arena, struct err *err);

#endif
