#include "client/map_words.h"

#include <errno.h>
#include <string.h>

#include "client/place.h"
#include "client/submit.h"
#include "client/text.h"
#include "client/words.h"
#include "proto/mem.h"

#define ITEMS_MAX 1000000

static struct map_source *add_source(struct map_words *m)
{
    m->sources = xrealloc(m->sources, (m->n_sources + 1) * sizeof(*m->sources));
    m->sources[m->n_sources] = (struct map_source){0};
    return &m->sources[m->n_sources++];
}

static void add_value(struct map_source *s, char *value)
{
    /* Grows at powers of two. */
    if ((s->n & (s->n - 1)) == 0)
        s->values = xrealloc(s->values, (s->n > 0 ? 2 * s->n : 1) * sizeof(*s->values));
    s->values[s->n++] = value;
}

static bool read_file(struct map_words *m, const char *path, bool null, struct err *err)
{
    char end = null ? '\0' : '\n';
    struct map_source *s = add_source(m);

    if (!place_read(path, SUBMIT_MAX_BYTES, &s->text, err))
        return false;
    if (s->text.len > 0 && s->text.data[s->text.len - 1] != end)
        buf_addch(&s->text, end);
    for (size_t i = 0; i < s->text.len;) {
        char *value = s->text.data + i, *stop = memchr(value, end, s->text.len - i);
        *stop = '\0';
        if (!null && strlen(value) != (size_t)(stop - value))
            return err_set(err, EINVAL, "%s has zero bytes (use -0)",
                           strcmp(path, "-") == 0 ? "stdin" : path);
        if (*value != '\0')
            add_value(s, value);
        i += (size_t)(stop - value) + 1;
    }
    return true;
}

/* The length of the placeholder at p: {}, {.}, {/}, {//}, {/.}, {#}, {N}, {N.} and so on; 0: none.
 */
static size_t placeholder(const struct map_words *m, const char *p, size_t *ret_source,
                          const char **ret_form, size_t *ret_form_len)
{
    static const char *const forms[] = {"", ".", "/", "//", "/.", "#"};
    size_t close = strcspn(p, "}"), digits = p[0] == '{' ? strspn(p + 1, "0123456789") : 0;

    if (p[0] != '{' || p[close] != '}' || digits > 2)
        return 0;
    *ret_form = p + 1 + digits;
    *ret_form_len = close - 1 - digits;
    *ret_source = 0; /* all of them */
    if (digits > 0) {
        *ret_source = (size_t)atoi(p + 1);
        if (*ret_source == 0 || *ret_source > m->n_sources)
            return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (strlen(forms[i]) == *ret_form_len && strncmp(forms[i], *ret_form, *ret_form_len) == 0)
            return close + 1;
    }
    return 0;
}

static bool has_placeholder(const struct map_words *m)
{
    size_t source, len;
    const char *form;
    for (size_t i = 0; i < m->n_command; i++) {
        for (const char *p = m->command[i]; *p != '\0'; p++) {
            if (placeholder(m, p, &source, &form, &len) > 0)
                return true;
        }
    }
    return false;
}

static bool is_mark(const char *word)
{
    return strcmp(word, ":::") == 0 || strcmp(word, "::::") == 0;
}

/* What stands behind the command: ::: VALUE…, :::: FILE…. */
static bool read_sources(struct map_words *m, int argc, char **argv, bool null, struct err *err)
{
    bool files = false;
    struct map_source *s = NULL;

    for (int i = 0; i < argc; i++) {
        if (is_mark(argv[i])) {
            files = argv[i][3] == ':';
            s = files ? NULL : add_source(m);
        } else if (!files) {
            add_value(s, argv[i]);
        } else if (!read_file(m, argv[i], null, err)) {
            return false;
        }
    }
    return m->n_sources > 0 || err_set(err, EINVAL, "which file? :::: FILE…");
}

bool map_words_read(struct map_words *m, int argc, char **argv, bool null, struct err *err)
{
    int n = 0;

    *m = (struct map_words){.command = argv};
    while (n < argc && !is_mark(argv[n]))
        n++;
    m->n_command = (size_t)n;
    if (n == 0)
        return err_set(err, EINVAL, "which command? coro map COMMAND {} ::: VALUE…");
    if (n < argc ? !read_sources(m, argc - n, argv + n, null, err) : !read_file(m, "-", null, err))
        return false;
    m->n = 1;
    for (size_t k = 0; k < m->n_sources; k++) {
        m->n *= m->sources[k].n;
        if (m->n > ITEMS_MAX)
            return err_set(err, EINVAL, "more than %d items", ITEMS_MAX);
    }
    m->appends = !has_placeholder(m);
    m->script = n == 1 && strpbrk(argv[0], " \t\n") != NULL;
    return true;
}

void map_words_release(struct map_words *m)
{
    for (size_t i = 0; i < m->n_sources; i++) {
        free(m->sources[i].values);
        buf_release(&m->sources[i].text);
    }
    free(m->sources);
    m->sources = NULL;
    m->n_sources = 0;
}

const char *map_words_value(const struct map_words *m, size_t source, size_t i)
{
    for (size_t k = m->n_sources; k-- > source + 1;)
        i /= m->sources[k].n;
    return m->sources[source].values[i % m->sources[source].n];
}

/* A value in a form: "/" its last part, "//" its directory, "." without extension. */
static void put_form(struct buf *out, const char *v, const char *form, size_t len)
{
    const char *slash = strrchr(v, '/'), *base = slash != NULL ? slash + 1 : v;
    bool last_part = len > 0 && form[0] == '/' && !(len == 2 && form[1] == '/');

    if (len == 2 && form[1] == '/') {
        buf_addstr(out, slash == NULL ? "." : slash == v ? "/" : "");
        if (slash != NULL && slash > v)
            buf_add(out, v, (size_t)(slash - v));
        return;
    }
    const char *from = last_part ? base : v, *dot = strrchr(base, '.');
    size_t n = strlen(from);
    if (len > 0 && form[len - 1] == '.' && dot != NULL && dot > base)
        n = (size_t)(dot - from);
    buf_add(out, from, n);
}

/* The same as one word of the command: in a script as the shell needs it. */
static void put_value(const struct map_words *m, struct buf *out, const char *v, const char *form,
                      size_t len)
{
    struct buf formed = {0};
    put_form(&formed, v, form, len);
    if (m->script)
        text_put_quoted(out, buf_cstr(&formed));
    else
        buf_add(out, formed.data, formed.len);
    buf_release(&formed);
}

static void put_word(const struct map_words *m, struct buf *out, const char *word, size_t i)
{
    size_t source, len;
    const char *form;

    while (*word != '\0') {
        size_t n = placeholder(m, word, &source, &form, &len);
        if (n == 0) {
            buf_addch(out, *word++);
            continue;
        }
        word += n;
        if (len == 1 && form[0] == '#') {
            buf_printf(out, "%zu", i + 1);
            continue;
        }
        for (size_t k = 0; k < m->n_sources; k++) {
            if (source != 0 && k != source - 1)
                continue;
            if (source == 0 && k > 0)
                buf_addch(out, ' ');
            put_value(m, out, map_words_value(m, k, i), form, len);
        }
    }
}

static json_t *script_item(const struct map_words *m, size_t i)
{
    struct buf script = {0};

    put_word(m, &script, m->command[0], i);
    for (size_t k = 0; m->appends && k < m->n_sources; k++) {
        buf_addch(&script, ' ');
        put_value(m, &script, map_words_value(m, k, i), "", 0);
    }
    json_t *words =
        json_pack("[s, s, o]", "/bin/sh", "-c", word_plain(buf_cstr(&script), script.len));
    buf_release(&script);
    return words;
}

json_t *map_words_item(const struct map_words *m, size_t i)
{
    if (m->script)
        return script_item(m, i);
    json_t *words = json_array();
    struct buf word = {0};
    for (size_t k = 0; k < m->n_command; k++) {
        put_word(m, &word, m->command[k], i);
        json_array_append_new(words, word_plain(word.data != NULL ? word.data : "", word.len));
        buf_clear(&word);
    }
    for (size_t k = 0; m->appends && k < m->n_sources; k++) {
        const char *v = map_words_value(m, k, i);
        json_array_append_new(words, word_plain(v, strlen(v)));
    }
    buf_release(&word);
    return words;
}

char *map_words_name(const struct map_words *m, size_t i)
{
    struct buf name = {0};
    for (size_t k = 0; k < m->n_sources; k++)
        buf_printf(&name, "%s%s", k > 0 ? " " : "", map_words_value(m, k, i));
    return buf_steal(&name);
}
