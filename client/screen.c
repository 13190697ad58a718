#include "client/screen.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/text.h"
#include "proto/mem.h"

#define COLUMN_MIN 5 /* narrower ones say nothing */

static bool set(const char *name)
{
    const char *v = getenv(name);
    return v != NULL && *v != '\0';
}

static bool wants_color(enum color_mode mode, bool tty)
{
    const char *term = getenv("TERM"), *force = getenv("CLICOLOR_FORCE");

    if (mode == COLOR_ALWAYS)
        return true;
    if (mode == COLOR_NEVER || set("NO_COLOR"))
        return false;
    if (force != NULL && *force != '\0' && strcmp(force, "0") != 0)
        return true;
    return tty && term != NULL && strcmp(term, "dumb") != 0;
}

void screen_init(struct screen *s, FILE *file, enum color_mode mode)
{
    struct winsize size = {0};

    *s = (struct screen){.file = file, .tty = isatty(fileno(file)) == 1};
    s->color = wants_color(mode, s->tty);
    s->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (!s->tty)
        return;
    s->columns = 80;
    const char *columns = getenv("COLUMNS");
    if (ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        s->columns = size.ws_col;
    else if (columns != NULL && atoi(columns) > 0 && atoi(columns) < 10000)
        s->columns = (unsigned)atoi(columns);
}

void screen_put(const struct screen *s, struct buf *out, enum style style, const char *text)
{
    static const char *const codes[] = {"", "1", "2", "31", "32", "33", "34", "36"};
    if (!s->color || style == STYLE_PLAIN) {
        buf_addstr(out, text);
        return;
    }
    buf_printf(out, "\033[%sm%s\033[0m", codes[style], text);
}

size_t screen_put_safe(const struct screen *s, struct buf *out, const char *text, size_t max)
{
    return text_put_safe(out, text, strlen(text), max, s->utf8);
}

struct look screen_state(const struct screen *s, const char *state)
{
    static const struct {
        const char *state, *utf8, *ascii;
        enum style style;
    } looks[] = {
        {"succeeded", "✔", "+", STYLE_GREEN}, {"failed", "✘", "x", STYLE_RED},
        {"lost", "‽", "?", STYLE_RED},        {"cancelled", "⊘", "-", STYLE_YELLOW},
        {"running", "▶", ">", STYLE_CYAN},    {"suspended", "◦", ".", STYLE_BLUE},
        {"pending", "·", ".", STYLE_DIM},     {"ready", "•", "*", STYLE_CYAN},
        {"queued", "◦", ".", STYLE_BLUE},     {"waiting", "◦", ".", STYLE_BLUE},
        {"scheduled", "◷", "@", STYLE_BLUE},  {"held", "‖", "=", STYLE_YELLOW},
        {"paused", "‖", "=", STYLE_YELLOW},
    };
    for (size_t i = 0; i < ARRAY_LEN(looks); i++) {
        if (strcmp(looks[i].state, state) == 0)
            return (struct look){s->utf8 ? looks[i].utf8 : looks[i].ascii, looks[i].style};
    }
    return (struct look){"?", STYLE_PLAIN};
}

void table_init(struct table *t, const struct screen *s, size_t n, const char *const *heads,
                size_t elastic)
{
    *t = (struct table){.screen = s, .columns = n, .elastic = elastic};
    for (size_t i = 0; i < n; i++) {
        t->right[i] = heads[i][0] == '>';
        t->heads[i] = heads[i] + (t->right[i] ? 1 : 0);
    }
}

void table_add(struct table *t, enum style style, const char *text)
{
    struct buf safe = {0};
    if (text != NULL)
        text_put_safe(&safe, text, strlen(text), 0, t->screen->utf8);
    t->cells = xgrow(t->cells, &t->cap, t->n + 1, sizeof(*t->cells));
    t->cells[t->n++] = (struct cell_text){buf_steal(&safe), style};
}

static size_t width_of(const char *text)
{
    return text_columns(text, strlen(text));
}

/* Takes from the elastic column first, then from whichever is the widest; false: they would be too
 * narrow to say anything. */
static bool shrink(const struct table *t, size_t *widths, size_t total, size_t room)
{
    size_t least = 20;

    while (total > room) {
        size_t at = t->elastic;
        for (size_t i = 0; widths[t->elastic] <= least && i < t->columns; i++)
            at = widths[i] > widths[at] ? i : at;
        if (widths[at] <= least) {
            if (least <= COLUMN_MIN)
                return false;
            least /= 2;
            continue;
        }
        size_t over = total - room, spare = widths[at] - least;
        size_t take = over < spare ? over : spare;
        widths[at] -= take;
        total -= take;
    }
    return true;
}

/* Widths of the columns; 0: nothing in it. */
static void natural_widths(const struct table *t, bool heading, size_t *widths)
{
    for (size_t i = 0; i < t->columns; i++)
        widths[i] = 0;
    for (size_t i = 0; i < t->n; i++) {
        size_t w = width_of(t->cells[i].text);
        if (w > widths[i % t->columns])
            widths[i % t->columns] = w;
    }
    for (size_t i = 0; heading && i < t->columns; i++) {
        if (widths[i] > 0 && width_of(t->heads[i]) > widths[i])
            widths[i] = width_of(t->heads[i]);
    }
}

/* Leaves out the last column that is there, but for the elastic and the first one. False: there is
 * no such one. */
static bool drop_last(const struct table *t, size_t *widths)
{
    for (size_t i = t->columns; i-- > 1;) {
        if (widths[i] > 0 && i != t->elastic) {
            widths[i] = 0;
            return true;
        }
    }
    return false;
}

/* The widths at which it fits the terminal; where there is no room for all, the last go. */
static void measure(const struct table *t, bool heading, size_t *widths)
{
    size_t room = t->screen->columns + 2, wanted[TABLE_COLUMNS];

    natural_widths(t, heading, wanted);
    for (;;) {
        size_t total = 0;
        for (size_t i = 0; i < t->columns; i++) {
            widths[i] = wanted[i];
            total += wanted[i] > 0 ? wanted[i] + 2 : 0;
        }
        if (t->screen->columns == 0 || shrink(t, widths, total, room) || !drop_last(t, wanted))
            return;
    }
}

static void put_cell(const struct table *t, struct buf *out, size_t column, const char *text,
                     enum style style, size_t width, bool last)
{
    struct buf cut = {0};
    size_t w = text_put_safe(&cut, text, strlen(text), width, t->screen->utf8);
    size_t pad = width > w ? width - w : 0;

    for (; t->right[column] && pad > 0; pad--)
        buf_addch(out, ' ');
    screen_put(t->screen, out, style, buf_cstr(&cut));
    for (pad += 2; !last && pad > 0; pad--)
        buf_addch(out, ' ');
    buf_release(&cut);
}

void table_print(struct table *t, bool heading)
{
    struct buf out = {0};
    size_t widths[TABLE_COLUMNS], last = 0;

    measure(t, heading, widths);
    for (size_t i = 0; i < t->columns; i++)
        last = widths[i] > 0 ? i : last;
    for (size_t i = 0; heading && t->n > 0 && i < t->columns; i++) {
        if (widths[i] > 0)
            put_cell(t, &out, i, t->heads[i], STYLE_DIM, widths[i], i == last);
    }
    if (out.len > 0)
        buf_addch(&out, '\n');
    for (size_t i = 0; i < t->n; i++) {
        size_t c = i % t->columns;
        if (widths[c] > 0)
            put_cell(t, &out, c, t->cells[i].text, t->cells[i].style, widths[c], c == last);
        if (c + 1 == t->columns) {
            while (out.len > 0 && out.data[out.len - 1] == ' ')
                out.len--;
            buf_addch(&out, '\n');
        }
        free(t->cells[i].text);
    }
    if (out.len > 0)
        fwrite(out.data, 1, out.len, t->screen->file);
    buf_release(&out);
    free(t->cells);
    t->cells = NULL;
    t->n = t->cap = 0;
}
