#include "daemon/lang/utf8.h"

#include "proto/json_out.h"

bool utf8_valid(const char *s, size_t len)
{
    return utf8_length(s, len) == len;
}

size_t utf8_count(const char *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)s[i] & 0xc0) != 0x80;
    return n;
}

size_t utf8_offset(const char *s, size_t len, size_t index)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)s[i] & 0xc0) != 0x80 && n++ == index)
            return i;
    return len;
}
