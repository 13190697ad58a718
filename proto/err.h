#ifndef COROD_PROTO_ERR_H
#define COROD_PROTO_ERR_H
/*
 * Errors: a caller-owned struct err * is the last parameter of what can fail. It is untouched on
 * success. A function logs or returns an error, never both.
 */
#include <stdarg.h>
#include <stdbool.h>

struct err {
    int code; /* an errno value (> 0), or a code of proto/errors.def (< 0: the wire's own codes) */
    char text[480]; /* one line for a person: what, where, what to do */
};

/* Fills *e (NULL is allowed: the error is dropped) and returns false, so that callers can
 * `return err_set(e, errno, "open %s: %s", path, strerror(errno));`. Too long text is cut. */
bool err_set(struct err *e, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool err_vset(struct err *e, int code, const char *format, va_list ap)
    __attribute__((format(printf, 3, 0)));

/* As err_set with code errno and ": strerror(errno)" appended. */
bool err_errno(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "text: " before what *e says; returns false. */
bool err_prefix(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
