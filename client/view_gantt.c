/* Tasks over time: one line each, with a bar from its start to its end. */
#include <string.h>

#include "client/get.h"
#include "client/screen.h"
#include "client/text.h"
#include "client/view.h"
#include "proto/buf.h"
#include "proto/mem.h"

#define WIDTH     100 /* where there is no terminal */
#define BAR_MIN   10
#define DEPTH_MAX 8 /* of the names' indent */

struct chart {
    struct cli *c;
    double duration;
    size_t names, bar; /* columns */
};

static size_t put_name(const struct chart *t, struct buf *out, const json_t *task)
{
    size_t before = out->len;
    json_int_t depth = get_int(task, "depth");
    for (json_int_t i = 0; i < depth && i < DEPTH_MAX; i++)
        buf_addstr(out, "  ");
    buf_printf(out, ".%lld ", (long long)get_int(task, "task"));
    size_t id = out->len - before, room = t->c->out.columns > 0 ? t->c->out.columns / 3 : 40;
    return id + screen_put_safe(&t->c->out, out, get_text(task, "name"), room > 4 ? room : 4);
}

static void put_spaces(struct buf *out, size_t n)
{
    while (n-- > 0)
        buf_addch(out, ' ');
}

static size_t column(const struct chart *t, double at)
{
    double x = t->duration > 0 ? at / t->duration * (double)t->bar : 0;
    return x > 0 ? (x < (double)t->bar ? (size_t)x : t->bar) : 0;
}

/* What a cell of a bar shows, from the thinnest. */
enum { CELL_NOTHING, CELL_MOMENT, CELL_WAITS, CELL_RUNS };

struct cell {
    unsigned char what;
    enum style style;
};

static double end_of(const struct chart *t, const json_t *object)
{
    const json_t *end = json_object_get(object, "end");
    return json_is_number(end) ? json_number_value(end) : t->duration;
}

static void fill(const struct chart *t, struct cell *cells, const json_t *object,
                 unsigned char what)
{
    double from = get_real(object, "start"), to = end_of(t, object);
    struct look look = screen_state(&t->c->out, get_text(object, "state"));
    size_t first = column(t, from), last = column(t, to);

    if (first >= t->bar)
        first = t->bar - 1;
    if (to <= from && what != CELL_RUNS)
        what = CELL_MOMENT;
    for (size_t i = first; i < last || i == first; i++)
        cells[i] = (struct cell){what, look.style};
}

static void put_cells(const struct chart *t, struct buf *line, const struct cell *cells)
{
    static const char *const utf8[] = {" ", "▏", "─", "█"}, *const ascii[] = {" ", "|", "-", "#"};
    const struct screen *s = &t->c->out;

    for (size_t i = 0; i < t->bar;) {
        struct buf part = {0};
        size_t n = i;
        for (; n < t->bar && cells[n].what == cells[i].what && cells[n].style == cells[i].style;
             n++)
            buf_addstr(&part, (s->utf8 ? utf8 : ascii)[cells[i].what]);
        screen_put(s, line, cells[i].style, buf_cstr(&part));
        buf_release(&part);
        i = n;
    }
}

static void print_task(const struct chart *t, const json_t *task)
{
    const struct screen *s = &t->c->out;
    struct look look = screen_state(s, get_text(task, "state"));
    const json_t *runs = json_object_get(task, "runs"), *run;
    cleanup_free struct cell *cells = xcalloc(t->bar, sizeof(*cells));
    struct buf line = {0};
    size_t i;

    screen_put(s, &line, look.style, look.symbol);
    buf_addch(&line, ' ');
    put_spaces(&line, t->names - put_name(t, &line, task) + 1);
    fill(t, cells, task, runs != NULL ? CELL_WAITS : CELL_RUNS);
    json_array_foreach (runs, i, run)
        fill(t, cells, run, CELL_RUNS);
    put_cells(t, &line, cells);
    buf_addch(&line, ' ');
    text_put_duration(&line, end_of(t, task) - get_real(task, "start"));
    fprintf(s->file, "%s\n", buf_cstr(&line));
    buf_release(&line);
}

static void print_scale(const struct chart *t)
{
    struct buf line = {0}, end = {0};
    text_put_duration(&end, t->duration);
    put_spaces(&line, 2 + t->names + 1);
    buf_addch(&line, '0');
    size_t room = t->bar > end.len + 1 ? t->bar - end.len - 1 : 1;
    put_spaces(&line, room);
    buf_addstr(&line, buf_cstr(&end));
    struct buf dim = {0};
    screen_put(&t->c->out, &dim, STYLE_DIM, buf_cstr(&line));
    fprintf(t->c->out.file, "%s\n", buf_cstr(&dim));
    buf_release(&dim);
    buf_release(&line);
    buf_release(&end);
}

void view_gantt(struct cli *c, const json_t *timeline, double duration)
{
    struct chart t = {.c = c, .duration = duration, .names = 4};
    size_t i, width = c->out.columns > 0 ? c->out.columns : WIDTH;
    const json_t *task;

    json_array_foreach (timeline, i, task) {
        struct buf name = {0};
        size_t n = put_name(&t, &name, task);
        t.names = n > t.names ? n : t.names;
        buf_release(&name);
    }
    /* A state, the name, the bar and a duration of up to 7 columns. */
    t.bar = width > t.names + 11 + BAR_MIN ? width - t.names - 11 : BAR_MIN;
    print_scale(&t);
    json_array_foreach (timeline, i, task)
        print_task(&t, task);
}
