#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void assert_failed(const char *file, int line, const char *text, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "rialto: %s:%d: assertion failed: %s (", file, line, text);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, ")\n");
    va_end(args);
    abort();
}
