#include "client/place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "client/screen.h"
#include "client/text.h"
#include "proto/json_scan.h"
#include "proto/mem.h"

static const char *shown(const char *path)
{
    return strcmp(path, "-") == 0 ? "stdin" : path;
}

bool place_read(const char *path, size_t max, struct buf *out, struct err *err)
{
    bool in = strcmp(path, "-") == 0;
    cleanup_close int opened = in ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    int fd = in ? STDIN_FILENO : opened;

    if (fd < 0)
        return err_errno(err, "%s", shown(path));
    for (;;) {
        ssize_t n = read(fd, buf_reserve(out, 65536), 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "%s", shown(path));
        if (n == 0)
            return true;
        out->len += (size_t)n;
        if (out->len > max)
            return err_set(err, EFBIG, "%s: more than %zu MiB", shown(path), max / 1024 / 1024);
    }
}

bool place_check(const char *path, const char *text, size_t len, struct err *err)
{
    json_error_t e;
    json_t *v =
        json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &e);
    if (v == NULL)
        return err_set(err, EINVAL, "%s:%d:%d: no JSON: %s", shown(path), e.line, e.column, e.text);
    json_decref(v);
    return true;
}

/* Whether a key with its quotes is the pointer's part p (of len bytes, "~1" "~0" escaped). */
static bool key_is(struct slice key, const char *p, size_t len)
{
    json_t *k = json_loadb(key.p, key.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    const char *s = json_string_value(k);
    size_t n = json_string_length(k), i = 0, at = 0;

    while (s != NULL && at < len && i < n) {
        char c = p[at++];
        if (c == '~' && at < len)
            c = p[at++] == '1' ? '/' : '~';
        if (c != s[i])
            break;
        i++;
    }
    bool same = s != NULL && i == n && at == len;
    json_decref(k);
    return same;
}

/* Finds what one part of a pointer names: *ret_key is where it is written, *ret its value. */
static bool member(struct slice container, const char *p, size_t len, struct slice *ret_key,
                   struct slice *ret)
{
    struct slice key = {0}, value = {0};
    size_t at = 0;
    bool object = json_scan_first(container) == '{';

    if (!object && json_scan_first(container) != '[')
        return false;
    for (size_t index = 0; json_scan_next(container, &at, &key, &value); index++) {
        char number[24];
        size_t n = (size_t)snprintf(number, sizeof(number), "%zu", index);
        if (object ? !key_is(key, p, len) : n != len || memcmp(number, p, len) != 0)
            continue;
        *ret_key = object ? key : value;
        *ret = value;
        return true;
    }
    return false;
}

size_t place_line(const char *text, size_t len, const char *pointer)
{
    struct slice here = {text, len}, at = here;

    while (*pointer == '/') {
        size_t n = strcspn(++pointer, "/");
        if (!member(here, pointer, n, &at, &here))
            break;
        pointer += n;
    }
    const char *found = at.p;
    while (found < text + len && strchr(" \t\r\n", *found) != NULL)
        found++;
    size_t line = 1;
    for (const char *p = text; p < found; p++)
        line += *p == '\n';
    return line;
}

/* The line itself, for people who look at a screen. */
static void show_line(const struct screen *s, const char *text, size_t len, size_t number)
{
    const char *at = text, *end = text + len;
    struct buf line = {0}, safe = {0};

    for (; number > 1 && at < end; at++)
        number -= *at == '\n';
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    size_t n = stop != NULL && stop < at ? 0 : (size_t)((stop != NULL ? stop : end) - at);
    text_put_safe(&safe, at, n, s->columns > 8 ? s->columns - 4 : 0, s->utf8);
    buf_addstr(&line, "    ");
    screen_put(s, &line, STYLE_DIM, buf_cstr(&safe));
    fprintf(s->file, "%s\n", buf_cstr(&line));
    buf_release(&safe);
    buf_release(&line);
}

void place_complain(struct cli *c, const char *path, const char *text, size_t len, const char *kind,
                    const json_t *mistakes)
{
    size_t i;
    const json_t *m;

    json_array_foreach (mistakes, i, m) {
        const char *pointer = json_string_value(json_object_get(m, "pointer"));
        const char *message = json_string_value(json_object_get(m, "message"));
        const char *hint = json_string_value(json_object_get(m, "hint"));
        struct buf line = {0};

        screen_put_safe(&c->err, &line, shown(path), 0);
        if (text != NULL && pointer != NULL)
            buf_printf(&line, ":%zu", place_line(text, len, pointer));
        buf_addstr(&line, ": ");
        if (kind != NULL)
            screen_put(&c->err, &line, STYLE_YELLOW, kind);
        if (pointer != NULL && *pointer != '\0') {
            screen_put_safe(&c->err, &line, pointer, 0);
            buf_addstr(&line, ": ");
        }
        screen_put_safe(&c->err, &line, message != NULL ? message : "?", 0);
        if (hint != NULL && *hint != '\0') {
            buf_addstr(&line, " (");
            screen_put_safe(&c->err, &line, hint, 0);
            buf_addstr(&line, ")");
        }
        fprintf(c->err.file, "%s\n", buf_cstr(&line));
        buf_release(&line);
        if (c->err.tty && text != NULL && pointer != NULL)
            show_line(&c->err, text, len, place_line(text, len, pointer));
    }
}
