/* err.h - one error type: code from one table (errors.def), text, lines of context.
 *
 * A function that can fail returns bool (or a value with an obvious "none") and takes `struct err *err` last; false
 * means *err says why, success never touches it. The text says what, where, why and, when there is one, the cure, in
 * one sentence. Callers add context outwards:
 *
 *     if (!log_segment_open(&seg, path, err)) {
 *         err_context(err, "partition %s-%d", part->topic, part->id);
 *         goto fail;
 *     }
 *
 * `err` may be NULL where the caller only wants to know whether it worked. The text is kept inside, without heap.
 */
#ifndef RIALTO_BASE_ERR_H
#define RIALTO_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum err_code {
#define E(name, kafka_code, http_status, ksql_code, sqlstate, retriable, text) ERR_##name,
#include "base/errors.def"
#undef E
    ERR_COUNT
};

enum { ERR_TEXT_BYTES = 1024 };

struct err {
    enum err_code code;
    int line, column;          /* place in a statement, from 1; 0 when there is none */
    char text[ERR_TEXT_BYTES]; /* terminated; longer texts are cut at a character and end in "..." */
};

/* Sets code and text (a NULL fmt takes the default text) and returns false, so that one can write
 * `return err_set(err, ERR_CORRUPT, "...");` */
bool err_set(struct err *err, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set, with ": " and the system's word for errnum at the end; ENOSPC and EDQUOT become ERR_DISK_FULL. */
bool err_set_errno(struct err *err, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the text; keeps code and place. */
void err_context(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Columns of the table. */
const char *err_name(enum err_code code);
int16_t err_kafka_code(enum err_code code);
int err_http_status(enum err_code code);
int err_ksql_code(enum err_code code);
const char *err_sqlstate(enum err_code code);
bool err_retriable(enum err_code code);
const char *err_default_text(enum err_code code);

/* The first entry with this Kafka code; ERR_UNKNOWN when there is none. */
enum err_code err_from_kafka(int16_t kafka_code);

#endif
