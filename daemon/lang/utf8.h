#ifndef COROD_LANG_UTF8_H
#define COROD_LANG_UTF8_H
/* UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
#include <stdbool.h>
#include <stddef.h>

bool utf8_valid(const char *s, size_t len);
/* Number of characters (code points) of valid UTF-8. */
size_t utf8_count(const char *s, size_t len);
/* Byte offset of character `index`; len when there are fewer. */
size_t utf8_offset(const char *s, size_t len, size_t index);

#endif
