/* docs.h - what `rialto doc` prints: references made from the program's own tables. */
#ifndef RIALTO_MAIN_DOCS_H
#define RIALTO_MAIN_DOCS_H

#include "cli/cli.h"

extern const struct cli_docs rialto_docs;

#endif
