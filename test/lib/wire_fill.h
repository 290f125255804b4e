/* wire_fill.h - a message with random contents, made by walking its field table: for fuzzers and the simulation. */
#ifndef RIALTO_TEST_LIB_WIRE_FILL_H
#define RIALTO_TEST_LIB_WIRE_FILL_H

#include "wire/wire.h"

struct wire_fill {
    uint64_t (*random)(void *arg); /* where contents come from: a generator, or a fuzzer's bytes */
    void *arg;
    const struct str *words; /* strings are taken from these, or made of random bytes */
    size_t word_count;
    int32_t array_max; /* elements of an array */
    struct arena *arena;
};

/* Sets every field of *out, of `type`. Numbers are mostly small or at the edge of their type; nullable fields are null at
 * times. Record bytes are random: a caller that wants batches sets them. */
void wire_fill_struct(struct wire_fill *fill, const struct wire_struct *type, void *out);

#endif
