/* log_line.h - log lines are events: time, level, module, a stable name, key=value pairs, one line on stderr.
 *
 *     log_warn("log", "segment_cut", "topic=%s partition=%d bytes=%zu", topic, id, cut);
 *     2026-01-31T12:00:00.123Z WARN log segment_cut topic=a partition=0 bytes=61
 *
 * For what happens rarely: start, stop, recovery, a lost database. What happens per record is counted (`metric`); what a peer
 * can cause at will goes through a log_rate (log_rate.h).
 * Any thread; a line is written by one write(2). Secrets never appear in a line.
 */
#ifndef RIALTO_BASE_LOG_LINE_H
#define RIALTO_BASE_LOG_LINE_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };

/* Lines below this level are dropped; starts at LOG_INFO. */
void log_level_set(enum log_level level);
bool log_level_on(enum log_level level);

void log_line(enum log_level level, const char *module, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#define log_debug(module, name, ...)                            \
    do {                                                        \
        if (log_level_on(LOG_DEBUG))                            \
            log_line(LOG_DEBUG, (module), (name), __VA_ARGS__); \
    } while (0)
#define log_info(module, name, ...)  log_line(LOG_INFO, (module), (name), __VA_ARGS__)
#define log_warn(module, name, ...)  log_line(LOG_WARN, (module), (name), __VA_ARGS__)
#define log_error(module, name, ...) log_line(LOG_ERROR, (module), (name), __VA_ARGS__)

#endif
