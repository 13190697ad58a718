#include "proto/option.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/nearest.h"
#include "proto/option_value.h"

static void *member(const struct option *row, void *base)
{
    return (char *)base + row->offset;
}

static const void *const_member(const struct option *row, const void *base)
{
    return (const char *)base + row->offset;
}

static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        if ((*a == '_' ? '-' : *a) != (*b == '_' ? '-' : *b))
            return false;
    }
    return *a == *b;
}

const struct option *option_find(const struct option *rows, const char *name)
{
    for (; rows->name; rows++) {
        if (same_name(rows->name, name))
            return rows;
    }
    return NULL;
}

void options_set_defaults(const struct option *rows, void *base)
{
    for (; rows->name; rows++) {
        if (rows->standard)
            option_set(rows, base, rows->standard, NULL); /* options_check() has tested them */
    }
}

void options_release(const struct option *rows, void *base)
{
    for (; rows->name; rows++) {
        if (rows->type == OPTION_TYPE_LIST) {
            const char ***list = member(rows, base);
            free(*list);
            *list = NULL;
            *(size_t *)(void *)((char *)base + rows->count_offset) = 0;
        }
    }
}

static void add_to_list(const struct option *row, void *base, const char *text)
{
    const char ***list = member(row, base);
    size_t *n = (void *)((char *)base + row->count_offset);
    *list = xrealloc(*list, (*n + 1) * sizeof **list);
    (*list)[(*n)++] = text;
}

static bool set_word(const struct option *row, int *ret, const char *text, struct err *err)
{
    struct buf all = {0};
    for (const struct option_word *w = row->words; w->name; w++) {
        if (strcmp(w->name, text) == 0) {
            *ret = w->value;
            buf_release(&all);
            return true;
        }
        buf_printf(&all, "%s%s", all.len ? ", " : "", w->name);
    }
    err_set(err, EINVAL, "\"%s\" is none of: %s", text, buf_cstr(&all));
    buf_release(&all);
    return false;
}

static bool check_bounds(const struct option *row, int64_t v, struct err *err)
{
    if (v >= row->min && v <= row->max)
        return true;
    struct buf least = {0}, most = {0};
    option_value_show((enum option_type)row->type, row->min, &least);
    option_value_show((enum option_type)row->type, row->max, &most);
    err_set(err, ERANGE, "it must be from %s to %s", buf_cstr(&least), buf_cstr(&most));
    buf_release(&least);
    buf_release(&most);
    return false;
}

bool option_set(const struct option *row, void *base, const char *text, struct err *err)
{
    enum option_type type = (enum option_type)row->type;
    int64_t v;
    switch (type) {
    case OPTION_TYPE_FLAG:
        if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
            return err_set(err, EINVAL, "\"%s\" is neither yes nor no", text);
        *(bool *)member(row, base) = *text == 'y';
        return true;
    case OPTION_TYPE_TEXT:
    case OPTION_TYPE_PATH:
        *(const char **)member(row, base) = text;
        return true;
    case OPTION_TYPE_LIST:
        add_to_list(row, base, text);
        return true;
    case OPTION_TYPE_WORD:
        return set_word(row, member(row, base), text, err);
    case OPTION_TYPE_INT:
    case OPTION_TYPE_SIZE:
    case OPTION_TYPE_DURATION:
        if (!option_value_parse(type, text, &v, err) || !check_bounds(row, v, err))
            return false;
        if (type == OPTION_TYPE_INT)
            *(unsigned *)member(row, base) = (unsigned)v;
        else
            *(int64_t *)member(row, base) = v;
        return true;
    case OPTION_TYPE_END:
        break;
    }
    return err_set(err, EINVAL, "%s: a row without a type", row->name);
}

void option_show(const struct option *row, const void *base, struct buf *out)
{
    const void *p = const_member(row, base);
    const char *text;
    switch ((enum option_type)row->type) {
    case OPTION_TYPE_FLAG:
        buf_addstr(out, *(const bool *)p ? "yes" : "no");
        break;
    case OPTION_TYPE_TEXT:
    case OPTION_TYPE_PATH:
        text = *(const char *const *)p;
        buf_addstr(out, text ? text : "");
        break;
    case OPTION_TYPE_WORD:
        for (const struct option_word *w = row->words; w->name; w++) {
            if (w->value == *(const int *)p)
                buf_addstr(out, w->name);
        }
        break;
    case OPTION_TYPE_INT:
        option_value_show(OPTION_TYPE_INT, *(const unsigned *)p, out);
        break;
    case OPTION_TYPE_SIZE:
    case OPTION_TYPE_DURATION:
        option_value_show((enum option_type)row->type, *(const int64_t *)p, out);
        break;
    case OPTION_TYPE_LIST:
    case OPTION_TYPE_END:
        break;
    }
}

/* The command line. */

struct line {
    const struct option *const *tables;
    void *base;
    int argc, at; /* argv[at] is looked at */
    char **argv;
    struct err *err;
};

static const struct option *find_on_line(const struct line *l, const char *name)
{
    for (const struct option *const *t = l->tables; *t; t++) {
        const struct option *row = option_find(*t, name);
        if (row && row->where & OPTION_ON_LINE)
            return row;
    }
    return NULL;
}

static const struct option *find_letter(const struct line *l, char letter)
{
    for (const struct option *const *t = l->tables; *t; t++) {
        for (const struct option *row = *t; row->name; row++) {
            if (row->letter == letter && row->where & OPTION_ON_LINE)
                return row;
        }
    }
    return NULL;
}

/* A name as it is told of on the line: kill_grace is --kill-grace there. */
static char *line_name(const char *name)
{
    char *ret = xstrdup(name);
    for (char *p = ret; *p; p++)
        if (*p == '_')
            *p = '-';
    return ret;
}

static bool set_from_line(struct line *l, const struct option *row, const char *value)
{
    struct err why;
    if (row->type == OPTION_TYPE_FLAG) {
        *(bool *)member(row, l->base) = true;
        return true;
    }
    if (option_set(row, l->base, value, &why))
        return true;
    cleanup_free char *name = line_name(row->name);
    return err_set(l->err, EINVAL, "--%s %s: %s", name, value, why.text);
}

/* The value of an option that stands in a word of its own; NULL with err. */
static const char *next_word(struct line *l, const struct option *row)
{
    if (l->at + 1 < l->argc)
        return l->argv[++l->at];
    cleanup_free char *name = line_name(row->name);
    err_set(l->err, EINVAL, "--%s needs a value (%s)", name, row->arg ? row->arg : "VALUE");
    return NULL;
}

static const char *nearest_on_line(const struct line *l, const char *name)
{
    size_t n = 0;
    for (const struct option *const *t = l->tables; *t; t++) {
        for (const struct option *row = *t; row->name; row++)
            n++;
    }
    const char **names = xcalloc(n + 1, sizeof *names);
    n = 0;
    for (const struct option *const *t = l->tables; *t; t++) {
        for (const struct option *row = *t; row->name; row++) {
            if (row->where & OPTION_ON_LINE)
                names[n++] = row->name;
        }
    }
    const char *nearest = nearest_name(name, names, sizeof *names);
    free(names);
    return nearest;
}

static bool parse_long(struct line *l, char *word)
{
    cleanup_free char *name = xstrdup(word);
    char *value = strchr(name, '=');
    if (value) {
        *value = '\0';
        value = word + (value - name) + 1;
    }
    const struct option *row = find_on_line(l, name);
    if (!row) {
        const char *nearest = nearest_on_line(l, name);
        cleanup_free char *near = line_name(nearest ? nearest : "");
        return err_set(l->err, EINVAL, "there is no option --%s%s%s%s", name,
                       *near ? "; is --" : "", near, *near ? " meant?" : "");
    }
    if (row->type == OPTION_TYPE_FLAG && value)
        return err_set(l->err, EINVAL, "--%s takes no value", name);
    const char *given = value;
    if (row->type != OPTION_TYPE_FLAG && !given && !(given = next_word(l, row)))
        return false;
    return set_from_line(l, row, given);
}

static bool parse_letters(struct line *l, const char *letters)
{
    for (const char *p = letters; *p; p++) {
        const struct option *row = find_letter(l, *p);
        if (!row)
            return err_set(l->err, EINVAL, "there is no option -%s",
                           isgraph((unsigned char)*p) ? (char[]){*p, '\0'} : letters);
        if (row->type == OPTION_TYPE_FLAG) {
            set_from_line(l, row, NULL);
            continue;
        }
        const char *value = p[1] ? p + 1 : next_word(l, row);
        return value && set_from_line(l, row, value);
    }
    return true;
}

int options_parse(const struct option *const *tables, void *base, int argc, char **argv,
                  enum options_mode mode, struct err *err)
{
    struct line l = {tables, base, argc, 0, argv, err};
    int n = 0;
    for (; l.at < argc; l.at++) {
        char *word = argv[l.at];
        if (strcmp(word, "--") == 0) {
            l.at++;
            break;
        }
        if (word[0] != '-' || !word[1]) {
            if (mode == OPTIONS_FIRST)
                break;
            argv[n++] = word;
        } else if (!(word[1] == '-' ? parse_long(&l, word + 2) : parse_letters(&l, word + 1))) {
            return -1;
        }
    }
    while (l.at < argc)
        argv[n++] = argv[l.at++];
    if (n < argc)
        argv[n] = NULL;
    return n;
}

/* The file. */

static char *skip_blanks(char *p)
{
    return p + strspn(p, " \t\r");
}

/* Cuts off blanks at the end. */
static void trim_end(char *s)
{
    size_t n = strlen(s);
    while (n && strchr(" \t\r", s[n - 1]))
        n--;
    s[n] = '\0';
}

/* Cuts the comment off a value, the quotes from around it. */
static bool cut_value(char **value, struct err *err)
{
    char *s = skip_blanks(*value);
    if (*s == '"') {
        char *end = strchr(++s, '"');
        if (!end)
            return err_set(err, EINVAL, "the quote is not closed");
        char *rest = skip_blanks(end + 1);
        if (*rest && *rest != '#')
            return err_set(err, EINVAL, "there is something behind the closing quote");
        *end = '\0';
    } else {
        char *comment = s;
        while ((comment = strchr(comment, '#')) && comment > s && !strchr(" \t", comment[-1]))
            comment++;
        if (comment)
            *comment = '\0';
        trim_end(s);
    }
    *value = s;
    return true;
}

static bool unknown_setting(const struct option *rows, const char *name, struct err *err)
{
    const char *near = nearest_name(name, rows, sizeof *rows);
    if (near && !(option_find(rows, near)->where & OPTION_IN_FILE))
        near = NULL;
    return err_set(err, EINVAL, "there is no setting \"%s\"%s%s%s", name, near ? "; is " : "",
                   near ? near : "", near ? " meant?" : "");
}

static bool read_line(const struct option *rows, bool *seen, void *base, char *line,
                      struct err *err)
{
    char *name = skip_blanks(line);
    if (!*name || *name == '#')
        return true;
    char *value = strchr(name, '=');
    if (!value)
        return err_set(err, EINVAL, "this is no \"name = value\"");
    *value++ = '\0';
    trim_end(name);
    const struct option *row = option_find(rows, name);
    if (!row || !(row->where & OPTION_IN_FILE))
        return unknown_setting(rows, name, err);
    if (seen[row - rows])
        return err_set(err, EINVAL, "%s is set twice", name);
    seen[row - rows] = true;
    if (!cut_value(&value, err))
        return err_prefix(err, "%s", name);
    if (row->type == OPTION_TYPE_PATH && *value && *value != '/')
        return err_set(err, EINVAL, "%s: \"%s\" is no absolute path", name, value);
    return option_set(row, base, value, err) || err_prefix(err, "%s = %s", name, value);
}

bool options_read(const struct option *rows, void *base, char *text, const char *file,
                  struct err *err)
{
    size_t n = 0;
    while (rows[n].name)
        n++;
    cleanup_free bool *seen = xcalloc(n + 1, sizeof *seen);
    int number = 1;
    for (char *line = text, *next; line; line = next, number++) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (!read_line(rows, seen, base, line, err))
            return err_prefix(err, "%s:%d", file, number);
    }
    return true;
}
