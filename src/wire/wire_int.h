/* wire_int.h - private to src/wire: the generated list of messages, and the sizes of array elements. */
#ifndef RIALTO_WIRE_WIRE_INT_H
#define RIALTO_WIRE_WIRE_INT_H

#include "wire/wire.h"

/* From the generator: ascending keys; names in strcmp order. */
extern const struct wire_api wire_apis[];
extern const size_t wire_api_count;
extern const struct wire_message *const wire_messages[];
extern const size_t wire_message_count;

static inline bool wire_in(struct wire_range range, int16_t version)
{
    return version >= range.min && version <= range.max;
}

/* The field is an ordinary one in this version: on the wire, and not in the tagged section. */
static inline bool wire_is_plain(const struct wire_field *field, int16_t version)
{
    return wire_in(field->versions, version) && !wire_in(field->tagged, version);
}

static inline bool wire_is_tagged(const struct wire_field *field, int16_t version)
{
    return wire_in(field->versions, version) && wire_in(field->tagged, version);
}

/* A struct that may be null is a pointer. */
static inline bool wire_is_pointer(const struct wire_field *field)
{
    return field->type == WIRE_STRUCT && !(field->flags & WIRE_ARRAY) &&
           field->nullable.max >= field->nullable.min;
}

/* Bytes of one value of the field in memory. */
size_t wire_value_size(const struct wire_field *field);

/* The layout that every array field has. */
typedef wire_array_of(char) wire_any_array;

#endif
