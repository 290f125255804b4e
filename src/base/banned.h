/* banned.h - libc calls that are easy to misuse become compile errors. Included last by base.h.
 *
 *   strcpy, strcat, sprintf, gets      buf_printf, buf_append: they know the size
 *   strtok                             str_split
 *   atoi, atol, atof                   str_to_i64, str_to_double: they see errors
 */
#ifndef RIALTO_BASE_BANNED_H
#define RIALTO_BASE_BANNED_H

/* The headers that declare them, before the words are poisoned: so that base.h may stand first in any file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef __cplusplus
#pragma GCC poison strcpy strcat sprintf vsprintf strtok gets atoi atol atof
#endif

#endif
