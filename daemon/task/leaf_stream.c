/* What a command's stdin, stdout and stderr are, when they are not the usual. */
#include "daemon/task/leaf.h"
#include "proto/mem.h"

static const char *const takes[] = {
    [STREAM_IN] = "stdin takes a string, {\"base64\": …} or {\"file\": path}",
    [STREAM_OUT] = "stdout takes {\"file\": path} or {\"append\": path}",
    [STREAM_ERR] = "stderr takes \"stdout\", {\"file\": path} or {\"append\": path}",
};

const struct value *stream_path(const struct value *v, bool *append)
{
    if (!v || value_type(v) != VALUE_OBJECT || value_count(v) != 1)
        return NULL;
    const struct value_member *m = value_member(v, 0);
    const char *key = value_get_string(m->key, NULL);
    *append = strcmp(key, "append") == 0;
    return *append || strcmp(key, "file") == 0 ? m->value : NULL;
}

bool stream_is_stdout(const struct value *v)
{
    return v && value_type(v) == VALUE_STRING && strcmp(value_get_string(v, NULL), "stdout") == 0;
}

static bool is_path(const struct value *v)
{
    struct buf bytes = {0};
    bool ok = value_to_bytes(v, &bytes) && bytes.len && !memchr(bytes.data, 0, bytes.len);
    buf_release(&bytes);
    return ok;
}

static bool is_good(enum stream s, const struct value *v)
{
    bool append;
    const struct value *path = stream_path(v, &append);
    if (path)
        return is_path(path) && !(append && s == STREAM_IN);
    return s == STREAM_IN ? value_is_bytes(v) : s == STREAM_ERR && stream_is_stdout(v);
}

bool streams_eval(const struct task *t, struct expr *const e[STREAMS], struct value *ret[STREAMS],
                  struct value **error)
{
    for (int i = 0; i < STREAMS; i++) {
        cleanup_value struct value *v = e[i] ? task_try_eval(t, e[i], error) : value_null();
        if (!v)
            return false;
        if (value_type(v) == VALUE_NULL)
            continue;
        if (!is_good((enum stream)i, v)) {
            *error = error_new("TypeError", "%s", takes[i]);
            return false;
        }
        ret[i] = steal(&v);
    }
    return true;
}

void streams_check(struct parser *p, struct expr *const e[STREAMS])
{
    for (int i = 0; i < STREAMS; i++) {
        const struct value *v = e[i] ? expr_literal(e[i]) : NULL;
        if (v && value_type(v) != VALUE_NULL && !is_good((enum stream)i, v))
            parser_complain(p, NULL, "%s", takes[i]);
    }
}
