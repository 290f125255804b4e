/* once.c - what a request names more than once: its answer has each name one time.
 *
 *   once_add for every name of the request, then once_take in the order of the answer's rows:
 *     a b a  ->  a: first, twice;  b: first;  a: not first, no row
 */
#include "broker/once.h"

static char single, several; /* values of the map: how often the name was added */

void once_add(struct once *once, struct str name)
{
    map_put(&once->names, name, map_has(&once->names, name) ? &several : &single);
}

bool once_has(const struct once *once, struct str name)
{
    return map_has(&once->names, name);
}

bool once_take(struct once *once, struct str name, bool *twice)
{
    void *value = map_remove(&once->names, name);
    *twice = value == &several;
    return value != NULL;
}

void once_fini(struct once *once)
{
    map_fini(&once->names);
}
