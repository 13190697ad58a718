#include "daemon/lang/utf8.h"
#include "daemon/lang/value.h"
#include "proto/base64.h"

struct value *value_from_bytes(const void *p, size_t len)
{
    if (utf8_valid(p, len))
        return value_string(p, len);
    struct buf text = {0};
    base64_put(&text, p, len);
    struct value_member m = {value_text("base64"), value_string(text.data, text.len)};
    buf_release(&text);
    return value_object(&m, 1);
}

bool value_to_bytes(const struct value *v, struct buf *out)
{
    size_t len;
    if (value_type(v) == VALUE_STRING) {
        const char *s = value_get_string(v, &len);
        buf_add(out, s, len);
        return true;
    }
    const struct value *base64 = value_count(v) == 1 ? value_find(v, "base64") : NULL;
    if (!base64 || value_type(base64) != VALUE_STRING)
        return false;
    const char *s = value_get_string(base64, &len);
    return base64_get(out, s, len);
}

bool value_is_bytes(const struct value *v)
{
    struct buf bytes = {0};
    bool is = value_to_bytes(v, &bytes);
    buf_release(&bytes);
    return is;
}
