/* conf_int.h - private to conf. */
#ifndef RIALTO_CONF_CONF_INT_H
#define RIALTO_CONF_CONF_INT_H

#include "conf/conf.h"

/* Bytes of the C type of a field. */
size_t conf_type_size(enum conf_type type);

/* Fills the field with the option's default, or zero. */
void conf_set_default(const struct conf_option *option, void *field, struct arena *arena);

/* Does the option stand for this name: the same, or beginning with a prefix option's? */
bool conf_option_matches(const struct conf_option *option, struct str name);

#endif
