#include <string.h>

#include "daemon/lang/number.h"
#include "daemon/lang/value.h"

static void write_string(struct buf *out, const char *s, size_t len)
{
    static const char shorts[] = "\b\f\n\r\t", letters[] = "bfnrt";
    buf_addch(out, '"');
    size_t done = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_add(out, s + done, i - done);
        done = i + 1;
        const char *p = c ? strchr(shorts, c) : NULL;
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (p)
            buf_printf(out, "\\%c", letters[p - shorts]);
        else
            buf_printf(out, "\\u%04x", c);
    }
    buf_add(out, s + done, len - done);
    buf_addch(out, '"');
}

static void write_handle(struct buf *out, const struct value *v)
{
    value_handle_class(v)->text(value_handle_object(v), out);
}

static void write_members(struct buf *out, const struct value *v, enum json_style style)
{
    bool object = value_type(v) == VALUE_OBJECT, spaced = style == JSON_STYLE_SPACED;
    buf_addch(out, object ? '{' : '[');
    for (size_t i = 0; i < value_count(v); i++) {
        if (i > 0)
            buf_addstr(out, spaced ? ", " : ",");
        const struct value_member *m = value_member(v, i);
        if (m) {
            size_t len;
            const char *key = value_get_string(m->key, &len);
            write_string(out, key, len);
            buf_addstr(out, spaced ? ": " : ":");
        }
        value_write(out, m ? m->value : value_item(v, i), style);
    }
    buf_addch(out, object ? '}' : ']');
}

void value_write(struct buf *out, const struct value *v, enum json_style style)
{
    switch (value_type(v)) {
    case VALUE_NULL:
        buf_addstr(out, "null");
        break;
    case VALUE_BOOL:
        buf_addstr(out, value_is_true(v) ? "true" : "false");
        break;
    case VALUE_INT:
        buf_addint(out, value_get_int(v));
        break;
    case VALUE_REAL: {
        char text[NUMBER_TEXT_MAX];
        number_text(value_get_number(v), text);
        buf_addstr(out, text);
        break;
    }
    case VALUE_STRING: {
        size_t len;
        const char *s = value_get_string(v, &len);
        write_string(out, s, len);
        break;
    }
    case VALUE_LIST:
    case VALUE_OBJECT:
        write_members(out, v, style);
        break;
    case VALUE_HANDLE: {
        struct buf text = {0};
        write_handle(&text, v);
        write_string(out, text.data ? text.data : "", text.len);
        buf_release(&text);
        break;
    }
    }
}

void value_write_text(struct buf *out, const struct value *v)
{
    if (value_type(v) == VALUE_STRING) {
        size_t len;
        const char *s = value_get_string(v, &len);
        buf_add(out, s, len);
    } else if (value_type(v) == VALUE_HANDLE) {
        write_handle(out, v);
    } else {
        value_write(out, v, JSON_STYLE_SPACED);
    }
}
