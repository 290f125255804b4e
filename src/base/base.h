/* base.h - what every module sees: slices, buffers, arenas, errors, asserts, clocks, containers.
 *
 * The one header that may be included everywhere. It only gathers the small headers of this folder; each of them
 * stands alone and says what it is for. Nothing here knows of Kafka, SQL, sockets or files.
 */
#ifndef RIALTO_BASE_BASE_H
#define RIALTO_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/describe.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log_line.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"
#include "base/utf8.h"
#include "base/vec.h"

#include "base/banned.h"

#endif
