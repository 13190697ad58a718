/* Tasks over time: one line each, with a bar from its start to its end. */
#include <string.h>

#include "client/get.h"
#include "client/screen.h"
#include "client/text.h"
#include "client/view.h"
#include "proto/buf.h"

#define NAME_MAX_COLUMNS 40
#define WIDTH            100 /* where there is no terminal */
#define BAR_MIN          10

struct chart {
    struct cli *c;
    double duration;
    size_t names, bar; /* columns */
};

static size_t put_name(const struct chart *t, struct buf *out, const json_t *task)
{
    size_t before = out->len;
    buf_printf(out, ".%lld ", (long long)get_int(task, "task"));
    size_t id = out->len - before;
    return id + screen_put_safe(&t->c->out, out, get_text(task, "name"), NAME_MAX_COLUMNS);
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

static void print_task(const struct chart *t, const json_t *task)
{
    const struct screen *s = &t->c->out;
    struct look look = screen_state(s, get_text(task, "state"));
    const json_t *end = json_object_get(task, "end");
    double from = get_real(task, "start"),
           to = json_is_number(end) ? json_number_value(end) : t->duration;
    size_t first = column(t, from), last = column(t, to);
    struct buf line = {0}, bar = {0};

    screen_put(s, &line, look.style, look.symbol);
    buf_addch(&line, ' ');
    put_spaces(&line, t->names - put_name(t, &line, task) + 1);
    if (first >= t->bar)
        first = t->bar - 1;
    put_spaces(&line, first);
    for (size_t i = first; i < last || i == first; i++)
        buf_addstr(&bar, to > from ? (s->utf8 ? "█" : "#") : s->utf8 ? "▏" : "|");
    screen_put(s, &line, look.style, buf_cstr(&bar));
    put_spaces(&line, t->bar - (last > first ? last : first + 1) + 1);
    text_put_duration(&line, to - from);
    fprintf(s->file, "%s\n", buf_cstr(&line));
    buf_release(&bar);
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
