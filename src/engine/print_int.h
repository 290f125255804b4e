/* print_int.h - PRINT: the guess of a format, and the query that reads a topic. Private to src/engine. */
#ifndef RIALTO_ENGINE_PRINT_INT_H
#define RIALTO_ENGINE_PRINT_INT_H

#include "engine/engine_int.h"

/* print_format.c: which formats the bytes seen so far may have. */
struct print_guess {
    uint32_t left; /* a bit a candidate */
    bool seen;     /* a record that was not null */
};

void print_guess_init(struct print_guess *guess, bool is_key);
void print_guess_narrow(struct print_guess *guess, struct str bytes);
void print_guess_names(const struct print_guess *guess, struct buf *out); /* "JSON or KAFKA_STRING" */

/* The bytes in the first candidate's form. They must have been narrowed by. */
void print_guess_put(const struct print_guess *guess, struct str bytes, struct buf *out);

#endif
