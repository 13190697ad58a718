#include <stdarg.h>
#include <string.h>

#include "daemon/lang/utf8.h"
#include "daemon/lang/value.h"
#include "proto/mem.h"

/* What comes from outside (a path, a program's words) may be cut or no UTF-8 at all. */
static struct value *message_value(const char *message)
{
    size_t len = strlen(message);
    if (utf8_valid(message, len))
        return value_string(message, len);
    cleanup_free char *ascii = xstrndup(message, len);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)ascii[i] >= 0x80)
            ascii[i] = '?';
    return value_string(ascii, len);
}

struct value *error_make(const char *type, const char *message, struct value *data,
                         struct value *cause)
{
    struct value_member m[4] = {{value_text("type"), value_text(type)},
                                {value_text("message"), message_value(message)}};
    size_t n = 2;
    if (data)
        m[n++] = (struct value_member){value_text("data"), value_ref(data)};
    if (cause)
        m[n++] = (struct value_member){value_text("cause"), value_ref(cause)};
    struct value *error = value_object(m, n);
    /* Data and cause may take it beyond the limits; an error must exist all the same. */
    return error ? error : error_make(type, message, NULL, NULL);
}

struct value *error_with_cause(struct value *error, struct value *cause)
{
    struct value *errors = value_find(error, "exceptions");
    if (!errors || value_find(error, "cause"))
        return value_with(error, "cause", cause);
    size_t n = 0, count = value_count(error);
    cleanup_free struct value_member *m = xmalloc((count + 1) * sizeof *m);
    for (size_t i = 0; i < count; i++) {
        const struct value_member *from = value_member(error, i);
        if (from->value != errors)
            m[n++] = (struct value_member){value_ref(from->key), value_ref(from->value)};
    }
    m[n++] = (struct value_member){value_text("cause"), value_ref(cause)};
    m[n++] = (struct value_member){value_text("exceptions"), value_ref(errors)};
    return value_object(m, n);
}

struct value *error_new(const char *type, const char *format, ...)
{
    struct buf text = {0};
    va_list ap;
    va_start(ap, format);
    buf_vprintf(&text, format, ap);
    va_end(ap);
    struct value *error = error_make(type, buf_cstr(&text), NULL, NULL);
    buf_release(&text);
    return error;
}

static const char *member_text(const struct value *error, const char *key)
{
    const struct value *v = value_find(error, key);
    return v ? value_get_string(v, NULL) : "";
}

const char *error_type(const struct value *error)
{
    return member_text(error, "type");
}

const char *error_message(const struct value *error)
{
    return member_text(error, "message");
}

/* Whether it is an Exception: as in Python, a group of others is none either. */
static bool is_exception(const struct value *error)
{
    const struct value *all = error_is_group(error) ? value_find(error, "exceptions") : NULL;
    for (size_t i = 0, n = all ? value_count(all) : 0; i < n; i++)
        if (!is_exception(value_item(all, i)))
            return false;
    return strcmp(error_type(error), "CancelledError") != 0;
}

bool error_matches(const struct value *error, const char *type)
{
    if (strcmp(type, "BaseException") == 0)
        return true;
    const char *actual = error_type(error);
    if (strcmp(type, "Exception") == 0)
        return is_exception(error);
    return strcmp(type, actual) == 0 &&
           (strcmp(type, "ExceptionGroup") != 0 || is_exception(error));
}
