#include <string.h>

#include "daemon/lang/utf8.h"
#include "daemon/lang/value.h"

/* RFC 4648, section 4. */
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode(struct buf *out, const unsigned char *p, size_t len)
{
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)p[i] << 16 | (uint32_t)(n > 1 ? p[i + 1] : 0) << 8 |
                        (uint32_t)(n > 2 ? p[i + 2] : 0);
        for (size_t j = 0; j < 4; j++)
            buf_addch(out, j <= n ? alphabet[bits >> (18 - 6 * j) & 63] : '=');
    }
}

static bool decode(struct buf *out, const char *s, size_t len)
{
    if (len % 4 != 0)
        return false;
    for (size_t i = 0; i < len; i += 4) {
        uint32_t bits = 0;
        size_t pads = 0;
        for (size_t j = 0; j < 4; j++) {
            const char *at = s[i + j] ? strchr(alphabet, s[i + j]) : NULL;
            bool pad = s[i + j] == '=' && i + 4 == len && j >= 2;
            if ((!at && !pad) || (at && pads > 0))
                return false;
            pads += pad;
            bits = bits << 6 | (at ? (uint32_t)(at - alphabet) : 0);
        }
        char bytes[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
        buf_add(out, bytes, 3 - pads);
    }
    return true;
}

struct value *value_from_bytes(const void *p, size_t len)
{
    if (utf8_valid(p, len))
        return value_string(p, len);
    struct buf text = {0};
    encode(&text, p, len);
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
    size_t before = out->len;
    const char *s = value_get_string(base64, &len);
    if (decode(out, s, len))
        return true;
    out->len = before;
    return false;
}
