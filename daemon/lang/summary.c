/* What a document does, in a few words: its first command, else its first verb. */
#include <string.h>

#include "daemon/lang/parser.h"
#include "proto/url.h"

/* Takes the place of a name in lists: longer helps nobody. */
enum { SUMMARY_MAX_BYTES = 80, DEPTH_MAX = 20 };

/* Appends the first line of a text. */
static void put_line(struct buf *out, const json_t *text)
{
    const char *s = json_string_value(text);
    size_t n = strcspn(s, "\r\n");
    if (out->len < SUMMARY_MAX_BYTES)
        buf_add(out, s, n <= SUMMARY_MAX_BYTES ? n : SUMMARY_MAX_BYTES + 1);
}

/* An address may have a password in it. */
static void put_address(struct buf *out, const json_t *request)
{
    const json_t *url = json_object_get(request, "url");
    const char *s = json_string_value(url ? url : request);
    struct buf shown = {0};
    if (s)
        url_put_public(&shown, s);
    if (shown.len > SUMMARY_MAX_BYTES)
        shown.len = SUMMARY_MAX_BYTES + 1;
    buf_add(out, shown.data, shown.len);
    buf_release(&shown);
}

static void put_words(struct buf *out, const char *verb, const json_t *words)
{
    size_t i;
    const json_t *word;
    if (strcmp(verb, "http") == 0) {
        put_address(out, words);
        return;
    }
    if (json_is_string(words)) {
        put_line(out, words);
        return;
    }
    json_array_foreach (words, i, word) {
        if (i > 0)
            buf_addch(out, ' ');
        if (json_is_string(word))
            put_line(out, word);
        else
            buf_addstr(out, "…"); /* bytes, or a value */
        if (out->len >= SUMMARY_MAX_BYTES)
            return;
    }
}

/* The first command inside, in document order, is appended; *verb becomes the first verb. */
static bool find(const struct parser *p, const json_t *json, unsigned depth, const char **verb,
                 struct buf *out)
{
    size_t i;
    const char *key;
    json_t *v;
    if (depth == DEPTH_MAX)
        return false;
    if (json_is_array(json)) {
        json_array_foreach (json, i, v)
            if (find(p, v, depth + 1, verb, out))
                return true;
        return false;
    }
    json_object_foreach ((json_t *)(uintptr_t)json, key, v) {
        const struct verb *is = find_verb(p->kinds, key);
        if (is && !*verb)
            *verb = is->name;
        if (is && p->kinds->is_leaf && p->kinds->is_leaf(is)) {
            put_words(out, is->name, v);
            if (out->len > 0)
                return true;
        }
        if (find(p, v, depth + 1, verb, out))
            return true;
    }
    return false;
}

char *document_summary(const struct parser *p, const json_t *json)
{
    struct buf out = {0};
    const char *verb = NULL;
    const json_t *main = json_object_get(json, "main");

    find(p, main ? main : json, 0, &verb, &out);
    if (out.len == 0 && verb)
        buf_addstr(&out, verb);
    if (out.len > SUMMARY_MAX_BYTES) {
        size_t n = SUMMARY_MAX_BYTES - strlen("…");
        while (n > 0 && (out.data[n] & 0xc0) == 0x80)
            n--;
        out.len = n;
        buf_addstr(&out, "…");
    }
    return out.len > 0 ? buf_steal(&out) : NULL;
}
