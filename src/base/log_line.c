#include "base/log_line.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

static _Atomic int log_level_now = LOG_INFO;

void log_level_set(enum log_level level)
{
    atomic_store_explicit(&log_level_now, (int)level, memory_order_relaxed);
}

bool log_level_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

void log_line(enum log_level level, const char *module, const char *name, const char *fmt, ...)
{
    static const char *const words[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    ASSERT(level < LOG_OFF);
    if (!log_level_on(level))
        return;
    char line[2048];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    len += (size_t)snprintf(line + len, sizeof line - len, ".%03ldZ %s %s %s ", now.tv_nsec / 1000000,
                            words[level], module, name);
    va_list args;
    va_start(args, fmt);
    int more = vsnprintf(line + len, sizeof line - len - 1, fmt, args);
    va_end(args);
    if (more > 0)
        len += (size_t)more < sizeof line - len - 1 ? (size_t)more : sizeof line - len - 2;
    for (size_t i = 0; i < len; i++)
        if (line[i] == '\n' || line[i] == '\r')
            line[i] = ' ';
    line[len++] = '\n';
    ignore(write(STDERR_FILENO, line, len) < 0, "there is no other place to say it");
}
