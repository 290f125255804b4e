#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

struct err_row {
    const char *name;
    int16_t kafka_code;
    int http_status;
    int ksql_code;
    const char *sqlstate;
    bool retriable;
    const char *text;
};

static const struct err_row err_rows[ERR_COUNT] = {
#define E(name, kafka_code, http_status, ksql_code, sqlstate, retriable, text) \
    [ERR_##name] = {#name, kafka_code, http_status, ksql_code, sqlstate, retriable, text},
#include "base/errors.def"
#undef E
};

/* Ends a text that did not fit with "...", never inside a UTF-8 character. */
static void err_cut(struct err *err)
{
    size_t at = sizeof err->text - 4;
    while (at > 0 && ((unsigned char)err->text[at] & 0xC0) == 0x80)
        at--;
    memcpy(err->text + at, "...", 4);
}

static void err_vprint(struct err *err, const char *fmt, va_list args)
{
    int len = vsnprintf(err->text, sizeof err->text, fmt, args);
    if (len < 0)
        err->text[0] = '\0';
    else if ((size_t)len >= sizeof err->text)
        err_cut(err);
}

bool err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    ASSERT(code > ERR_NONE && code < ERR_COUNT);
    if (err == NULL)
        return false;
    err->code = code;
    err->line = err->column = 0;
    if (fmt == NULL) {
        snprintf(err->text, sizeof err->text, "%s", err_rows[code].text);
        return false;
    }
    va_list args;
    va_start(args, fmt);
    err_vprint(err, fmt, args);
    va_end(args);
    return false;
}

bool err_set_errno(struct err *err, int errnum, const char *fmt, ...)
{
    if (err == NULL)
        return false;
    err->code = errnum == ENOSPC || errnum == EDQUOT ? ERR_DISK_FULL : ERR_IO;
    err->line = err->column = 0;
    va_list args;
    va_start(args, fmt);
    err_vprint(err, fmt, args);
    va_end(args);
    size_t used = strlen(err->text);
    int len = snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(errnum));
    if (len >= 0 && used + (size_t)len >= sizeof err->text)
        err_cut(err);
    return false;
}

void err_context(struct err *err, const char *fmt, ...)
{
    if (err == NULL)
        return;
    struct err inner = *err;
    va_list args;
    va_start(args, fmt);
    err_vprint(err, fmt, args);
    va_end(args);
    size_t used = strlen(err->text);
    int len = snprintf(err->text + used, sizeof err->text - used, ": %s", inner.text);
    if (len >= 0 && used + (size_t)len >= sizeof err->text)
        err_cut(err);
}

static const struct err_row *err_row(enum err_code code)
{
    ASSERT((unsigned)code < ERR_COUNT);
    return &err_rows[code];
}

const char *err_name(enum err_code code)
{
    return err_row(code)->name;
}

int16_t err_kafka_code(enum err_code code)
{
    return err_row(code)->kafka_code;
}

int err_http_status(enum err_code code)
{
    return err_row(code)->http_status;
}

int err_ksql_code(enum err_code code)
{
    return err_row(code)->ksql_code;
}

const char *err_sqlstate(enum err_code code)
{
    return err_row(code)->sqlstate;
}

bool err_retriable(enum err_code code)
{
    return err_row(code)->retriable;
}

const char *err_default_text(enum err_code code)
{
    return err_row(code)->text;
}

enum err_code err_from_kafka(int16_t kafka_code)
{
    for (int code = 0; code < ERR_COUNT; code++)
        if (err_rows[code].kafka_code == kafka_code)
            return (enum err_code)code;
    return ERR_UNKNOWN;
}
