/* What is written from the rows: help, an example of a file; and a check of the rows themselves. */
#include <errno.h>
#include <string.h>

#include "proto/mem.h"
#include "proto/option.h"

enum { HELP_INDENT = 26, FILE_COLUMNS = 78 };

/* Bytes that begin a character; these texts have no wide ones. */
static size_t width_of(const char *s, size_t n)
{
    size_t width = 0;
    for (size_t i = 0; i < n; i++)
        width += ((unsigned char)s[i] & 0xc0) != 0x80;
    return width;
}

/* Appends text, which begins at column `at`, broken at blanks; new lines begin with `lead`. */
static void wrap(const char *text, size_t at, const char *lead, unsigned columns, struct buf *out)
{
    size_t begin = at;
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, " "), width = width_of(p, n);
        if (at > begin && columns && at + 1 + width > columns) {
            buf_printf(out, "\n%s", lead);
            at = begin = width_of(lead, strlen(lead));
        } else if (p > text) {
            buf_addch(out, ' ');
            at++;
        }
        buf_add(out, p, n);
        at += width;
        p += n;
        p += strspn(p, " ");
    }
    buf_addch(out, '\n');
}

static void add_name(const char *name, char blank, struct buf *out)
{
    for (; *name; name++)
        buf_addch(out, *name == '-' || *name == '_' ? blank : *name);
}

static void help_row(const struct option *row, unsigned columns, struct buf *out)
{
    static const char lead[] = "                          ";
    _Static_assert(sizeof lead - 1 == HELP_INDENT, "the lead is as wide as the indent");
    size_t begin = out->len;
    if (row->letter)
        buf_printf(out, "  -%c, --", row->letter);
    else
        buf_addstr(out, "      --");
    add_name(row->name, '-', out);
    if (row->type != OPTION_TYPE_FLAG)
        buf_printf(out, " %s", row->arg ? row->arg : "VALUE");
    size_t at = width_of(out->data + begin, out->len - begin);
    if (at + 2 > HELP_INDENT) {
        buf_printf(out, "\n%s", lead);
    } else {
        for (; at < HELP_INDENT; at++)
            buf_addch(out, ' ');
    }
    struct buf text = {0};
    buf_addstr(&text, row->help);
    if (row->standard && *row->standard)
        buf_printf(&text, " (%s)", row->standard);
    wrap(buf_cstr(&text), HELP_INDENT, lead, columns, out);
    buf_release(&text);
}

void options_help(const struct option *rows, unsigned columns, struct buf *out)
{
    for (; rows->name; rows++) {
        if (rows->where & OPTION_ON_LINE)
            help_row(rows, columns, out);
    }
}

void options_example(const struct option *rows, struct buf *out)
{
    for (; rows->name; rows++) {
        if (!(rows->where & OPTION_IN_FILE))
            continue;
        if (out->len)
            buf_addch(out, '\n');
        buf_addstr(out, "# ");
        wrap(rows->help, 2, "# ", FILE_COLUMNS, out);
        if (rows->type == OPTION_TYPE_WORD) {
            buf_addstr(out, "# One of:");
            for (const struct option_word *w = rows->words; w->name; w++)
                buf_printf(out, " %s", w->name);
            buf_addch(out, '\n');
        }
        buf_addch(out, '#');
        add_name(rows->name, '_', out);
        buf_addstr(out, rows->standard && *rows->standard ? " = " : " =");
        buf_printf(out, "%s\n", rows->standard ? rows->standard : "");
    }
}

static bool check_row(const struct option *row, struct err *err)
{
    struct {
        int64_t number;
        size_t count;
    } scratch = {0};
    if (row->type == OPTION_TYPE_END || !row->help)
        return err_set(err, EINVAL, "option %s has no type or no help", row->name);
    if (row->type == OPTION_TYPE_WORD && !row->words)
        return err_set(err, EINVAL, "option %s has no words", row->name);
    struct option alone = *row;
    alone.offset = 0;
    return !row->standard || row->type == OPTION_TYPE_LIST ||
           option_set(&alone, &scratch, row->standard, err) ||
           err_prefix(err, "the default of option %s", row->name);
}

static bool is_double(const struct option *a, const struct option *b)
{
    const struct option alone[] = {*b, OPTIONS_END};
    return (a->letter && a->letter == b->letter) || option_find(alone, a->name);
}

bool options_check(const struct option *const *tables, struct err *err)
{
    for (const struct option *const *t = tables; *t; t++) {
        for (const struct option *a = *t; a->name; a++) {
            if (!check_row(a, err))
                return false;
            for (const struct option *const *u = tables; *u; u++) {
                for (const struct option *b = *u; b->name; b++) {
                    if (a != b && is_double(a, b))
                        return err_set(err, EINVAL, "options %s and %s are the same", a->name,
                                       b->name);
                }
            }
        }
    }
    return true;
}
