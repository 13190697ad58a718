#include "client/words.h"

#include <string.h>
#include <unistd.h>

#include "client/text.h"
#include "proto/base64.h"
#include "proto/mem.h"

static json_t *base64(const char *s, size_t len)
{
    struct buf out = {0};

    base64_put(&out, s, len);
    json_t *o = json_object();
    json_object_set_new(o, "base64", json_stringn(out.data != NULL ? out.data : "", out.len));
    buf_release(&out);
    return o;
}

json_t *word_plain(const char *s, size_t len)
{
    if (len == 0)
        return json_string("");
    return text_is_utf8(s, len) ? json_stringn(s, len) : base64(s, len);
}

json_t *word_escaped(const char *s, size_t len)
{
    struct buf out = {0};

    if (!text_is_utf8(s, len))
        return base64(s, len);
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '$' && i + 1 < len && s[i + 1] == '{')
            buf_addch(&out, '$');
        buf_addch(&out, s[i]);
    }
    json_t *v = json_stringn(out.data != NULL ? out.data : "", out.len);
    buf_release(&out);
    return v;
}

bool word_decode(const char *data, size_t len, const char *encoding, struct buf *out)
{
    if (encoding != NULL && strcmp(encoding, "base64") == 0)
        return base64_get(out, data, len);
    buf_add(out, data, len);
    return true;
}

json_t *words_environment(void)
{
    json_t *env = json_object();
    for (char **e = environ; e != NULL && *e != NULL; e++) {
        const char *equals = strchr(*e, '=');
        if (equals == NULL || equals == *e || !text_is_utf8(*e, (size_t)(equals - *e)))
            continue;
        cleanup_free char *name = xstrndup(*e, (size_t)(equals - *e));
        json_object_set_new(env, name, word_plain(equals + 1, strlen(equals + 1)));
    }
    return env;
}

char *words_line(char *const *argv, size_t n, size_t max)
{
    struct buf line = {0}, cut = {0};
    for (size_t i = 0; i < n && line.len < 4096; i++) {
        if (i > 0)
            buf_addch(&line, ' ');
        text_put_quoted(&line, argv[i]);
    }
    text_put_safe(&cut, line.data != NULL ? line.data : "", line.len, max, true);
    buf_release(&line);
    return buf_steal(&cut);
}
