#include <stdarg.h>

#include "daemon/lang/parser.h"
#include "proto/mem.h"

void mistakes_add(struct mistakes *m, const char *pointer, const char *hint, const char *message)
{
    if (m->n >= MISTAKES_MAX) {
        m->dropped++;
        return;
    }
    m->all = xgrow(m->all, &m->cap, m->n + 1, sizeof *m->all);
    m->all[m->n++] =
        (struct mistake){xstrdup(pointer), xstrdup(message), hint ? xstrdup(hint) : NULL};
}

void mistakes_release(struct mistakes *m)
{
    for (size_t i = 0; i < m->n; i++) {
        free(m->all[i].pointer);
        free(m->all[i].message);
        free(m->all[i].hint);
    }
    free(m->all);
    *m = (struct mistakes){0};
}

/* Words from the document may be long: a message shows their beginning. */
__attribute__((format(printf, 4, 0))) static void
add(struct parser *p, struct mistakes *m, const char *hint, const char *format, va_list ap)
{
    enum { MESSAGE_MAX = 400 };
    struct buf text = {0};
    buf_vprintf(&text, format, ap);
    if (text.len > MESSAGE_MAX) {
        text.len = MESSAGE_MAX;
        while (text.len > 0 && ((unsigned char)text.data[text.len] & 0xc0) == 0x80)
            text.len--;
        buf_addstr(&text, "…");
    }
    cleanup_free char *where = parser_where(p);
    mistakes_add(m, where, hint, buf_cstr(&text));
    buf_release(&text);
}

void parser_complain(struct parser *p, const char *hint, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    add(p, p->errors, hint, format, ap);
    va_end(ap);
    p->complaints++;
}

void parser_complain_key(struct parser *p, const char *key, char *hint, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    parser_enter_key(p, key);
    add(p, p->errors, hint, format, ap);
    parser_leave(p);
    va_end(ap);
    p->complaints++;
    free(hint);
}

void parser_warn(struct parser *p, const char *hint, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    add(p, p->warnings, hint, format, ap);
    va_end(ap);
}

struct hint parser_hint(const struct parser *p, const char *word)
{
    return (struct hint){.word = p->errors->n < MISTAKES_MAX ? word : ""};
}

char *parser_where(struct parser *p)
{
    size_t len = p->pointer.len;
    if (len <= POINTER_MAX)
        return xstrdup(buf_cstr(&p->pointer));
    len = POINTER_MAX;
    while (len > 0 && ((unsigned char)p->pointer.data[len] & 0xc0) == 0x80)
        len--;
    return xasprintf("%.*s…", (int)len, p->pointer.data);
}

static void mark(struct parser *p)
{
    p->marks = xgrow(p->marks, &p->marks_cap, p->n_marks + 1, sizeof *p->marks);
    p->marks[p->n_marks++] = p->pointer.len;
}

void parser_enter_key(struct parser *p, const char *key)
{
    mark(p);
    buf_addch(&p->pointer, '/');
    for (; *key; key++) {
        if (*key == '~' || *key == '/') /* RFC 6901, section 3 */
            buf_addstr(&p->pointer, *key == '~' ? "~0" : "~1");
        else
            buf_addch(&p->pointer, *key);
    }
}

void parser_enter_index(struct parser *p, size_t index)
{
    mark(p);
    buf_addch(&p->pointer, '/');
    buf_adduint(&p->pointer, index);
}

void parser_leave(struct parser *p)
{
    p->pointer.len = p->marks[--p->n_marks];
}
