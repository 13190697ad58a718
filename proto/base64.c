#include "proto/base64.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_put(struct buf *out, const void *p, size_t len)
{
    const unsigned char *s = p;
    char *to = buf_reserve(out, (len + 2) / 3 * 4);
    size_t n = 0;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t bits = (uint32_t)s[i] << 16;
        bits |= i + 1 < len ? (uint32_t)s[i + 1] << 8 : 0;
        bits |= i + 2 < len ? s[i + 2] : 0;
        to[n++] = alphabet[bits >> 18];
        to[n++] = alphabet[bits >> 12 & 63];
        to[n++] = i + 1 < len ? alphabet[bits >> 6 & 63] : '=';
        to[n++] = i + 2 < len ? alphabet[bits & 63] : '=';
    }
    out->len += n;
}

bool base64_get(struct buf *out, const char *s, size_t len)
{
    size_t before = out->len;
    if (len % 4 != 0)
        return false;
    for (size_t i = 0; i < len; i += 4) {
        uint32_t bits = 0;
        size_t pads = 0;
        for (size_t j = 0; j < 4; j++) {
            const char *at = s[i + j] ? strchr(alphabet, s[i + j]) : NULL;
            bool pad = s[i + j] == '=' && i + 4 == len && j >= 2;
            if ((!at && !pad) || (at && pads > 0)) {
                out->len = before;
                return false;
            }
            pads += pad;
            bits = bits << 6 | (at ? (uint32_t)(at - alphabet) : 0);
        }
        char bytes[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
        buf_add(out, bytes, 3 - pads);
    }
    return true;
}
