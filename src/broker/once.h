/* once.h - what a request names more than once: its answer has each name one time. A handler's own; zeroed is empty. */
#ifndef RIALTO_BROKER_ONCE_H
#define RIALTO_BROKER_ONCE_H

#include "base/base.h"

struct once {
    struct map names;
};

/* Counts a name of the request; it is copied. */
void once_add(struct once *once, struct str name);

/* Was it added and not yet taken? */
bool once_has(const struct once *once, struct str name);

/* True when this is the first row for the name; *twice: it was added more than once. */
bool once_take(struct once *once, struct str name, bool *twice);

void once_fini(struct once *once);

#endif
