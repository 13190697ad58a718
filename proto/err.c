#include "proto/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool err_vset(struct err *e, int code, const char *format, va_list ap)
{
    if (!e)
        return false;
    e->code = code;
    vsnprintf(e->text, sizeof e->text, format, ap);
    return false;
}

bool err_set(struct err *e, int code, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    err_vset(e, code, format, ap);
    va_end(ap);
    return false;
}

bool err_errno(struct err *e, const char *format, ...)
{
    int code = errno;
    va_list ap;
    va_start(ap, format);
    err_vset(e, code, format, ap);
    va_end(ap);
    if (e) {
        size_t n = strlen(e->text);
        snprintf(e->text + n, sizeof e->text - n, ": %s", strerror(code));
    }
    return false;
}

bool err_prefix(struct err *e, const char *format, ...)
{
    if (!e)
        return false;
    char old[sizeof e->text];
    memcpy(old, e->text, sizeof old);
    va_list ap;
    va_start(ap, format);
    vsnprintf(e->text, sizeof e->text, format, ap);
    va_end(ap);
    size_t n = strlen(e->text);
    snprintf(e->text + n, sizeof e->text - n, ": %s", old);
    return false;
}
