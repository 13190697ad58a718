#include "client/live.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "client/screen.h"
#include "client/text.h"
#include "client/view.h"
#include "proto/mem.h"

#define BAR_COLUMNS  24
#define PAUSE_S      0.05
#define TICK_MS      500 /* the times that are shown go on */
#define BEGIN_S      0.2 /* what is over before has no bar */
#define ROWS_MAX     8
#define NAME_COLUMNS 30
#define LINE_BYTES   400 /* of a task's last line */

struct live_row {
    uint64_t task;
    char *name;
    double since_s;
    struct buf last; /* its last whole line, or what there is of one */
    bool open;       /* more of that line may come */
};

void live_init(struct live *l, struct cli *c, size_t total)
{
    *l = (struct live){.cli = c, .total = total, .started_s = view_now_s()};
    l->enabled = c->err.tty && !c->quiet && !c->json && c->err.columns >= 20;
}

void live_release(struct live *l)
{
    live_clear(l);
    while (l->n_rows > 0)
        live_end(l, l->rows[0].task);
    free(l->rows);
    l->rows = NULL;
    l->cap_rows = 0;
}

static struct live_row *find(struct live *l, uint64_t task)
{
    for (size_t i = 0; i < l->n_rows; i++) {
        if (l->rows[i].task == task)
            return &l->rows[i];
    }
    return NULL;
}

void live_begin(struct live *l, uint64_t task, const char *name)
{
    if (!l->enabled || find(l, task) != NULL)
        return;
    l->rows = xgrow(l->rows, &l->cap_rows, l->n_rows + 1, sizeof(*l->rows));
    l->rows[l->n_rows++] =
        (struct live_row){.task = task, .name = xstrdup(name), .since_s = view_now_s()};
}

void live_output(struct live *l, uint64_t task, const char *data, size_t len)
{
    struct live_row *row = find(l, task);

    for (size_t i = 0; row != NULL && i < len; i++) {
        bool ends = data[i] == '\n' || data[i] == '\r';
        if (!ends && !row->open) {
            buf_clear(&row->last);
            row->open = true;
        }
        if (ends)
            row->open = false;
        else if (row->last.len < LINE_BYTES)
            buf_addch(&row->last, data[i]);
    }
}

void live_end(struct live *l, uint64_t task)
{
    struct live_row *row = find(l, task);
    if (row == NULL)
        return;
    free(row->name);
    buf_release(&row->last);
    l->n_rows--;
    memmove(row, row + 1, (size_t)(l->rows + l->n_rows - row) * sizeof(*row));
}

static double eta_s(const struct live *l)
{
    double spent = view_now_s() - l->started_s;
    return l->done > 0 ? spent / (double)l->done * (double)(l->total - l->done) : 0;
}

void live_put_progress(const struct live *l, struct buf *out)
{
    buf_printf(out, "%zu/%zu", l->done, l->total);
    if (l->failed > 0)
        buf_printf(out, ", %zu failed", l->failed);
    if (l->done > 0 && l->done < l->total) {
        buf_addstr(out, ", ETA ");
        text_put_duration(out, eta_s(l));
    }
}

static void put_cells(const struct screen *s, struct buf *out, enum style style, size_t n,
                      const char *utf8, const char *ascii)
{
    struct buf part = {0};
    while (n-- > 0)
        buf_addstr(&part, s->utf8 ? utf8 : ascii);
    if (part.len > 0)
        screen_put(s, out, style, buf_cstr(&part));
    buf_release(&part);
}

static void put_bar(const struct live *l, struct buf *out)
{
    const struct screen *s = &l->cli->err;
    size_t width = s->columns > 2 * BAR_COLUMNS ? BAR_COLUMNS : s->columns / 3;
    size_t full = l->done * width / l->total, bad = l->failed * width / l->total;
    double spent = view_now_s() - l->started_s;
    struct buf rest = {0};

    bad += l->failed > 0 && bad == 0 && full > 0;
    put_cells(s, out, STYLE_GREEN, full - bad, "█", "#");
    put_cells(s, out, STYLE_RED, bad, "█", "x");
    put_cells(s, out, STYLE_DIM, width - full, "░", ".");
    buf_printf(&rest, " %zu/%zu", l->done, l->total);
    if (l->failed > 0)
        buf_printf(&rest, "  %zu failed", l->failed);
    buf_printf(&rest, "  %zu left", l->total - l->done);
    if (l->done > 0 && l->done < l->total) {
        buf_addstr(&rest, "  ETA ");
        text_put_duration(&rest, eta_s(l));
    }
    if (l->done > 0 && spent > 1)
        buf_printf(&rest, "  %.3g/s", (double)l->done / spent);
    text_put_safe(out, rest.data, rest.len, s->columns > width + 1 ? s->columns - width - 1 : 1,
                  s->utf8);
    buf_release(&rest);
}

static void put_row(const struct live *l, struct buf *out, const struct live_row *row)
{
    const struct screen *s = &l->cli->err;
    struct look look = screen_state(s, "running");
    struct buf name = {0}, took = {0};
    size_t room = s->columns - 1, names = NAME_COLUMNS < room / 2 ? NAME_COLUMNS : room / 2;

    text_put_duration(&took, view_now_s() - row->since_s);
    size_t used = screen_put_safe(s, &name, row->name, names);
    screen_put(s, out, look.style, look.symbol);
    buf_printf(out, " %s", buf_cstr(&name));
    for (; used < names; used++)
        buf_addch(out, ' ');
    buf_printf(out, " %6s", buf_cstr(&took));
    used += 2 + (took.len < 6 ? 7 : took.len + 1);
    if (row->last.len > 0 && room > used + 4) {
        struct buf line = {0};
        text_put_safe(&line, row->last.data, row->last.len, room - used - 2, s->utf8);
        buf_addstr(out, "  ");
        screen_put(s, out, STYLE_DIM, buf_cstr(&line));
        buf_release(&line);
    }
    buf_release(&name);
    buf_release(&took);
}

/* Rows for tasks: at most a third of the terminal. */
static size_t measure(struct live *l)
{
    struct winsize size = {0};
    struct screen *s = &l->cli->err;
    size_t most = ROWS_MAX;

    if (ioctl(fileno(s->file), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        s->columns = size.ws_col;
    if (size.ws_row > 0 && size.ws_row / 3 < most)
        most = size.ws_row / 3;
    return most;
}

/* To the first line of what is drawn. */
static void put_up(const struct live *l, struct buf *out)
{
    buf_addch(out, '\r');
    if (l->lines > 1)
        buf_printf(out, "\033[%zuA", l->lines - 1);
}

void live_draw(struct live *l, bool now)
{
    double at = view_now_s();
    struct buf out = {0};
    size_t lines = 0;

    if (!l->enabled || at - l->started_s < BEGIN_S || (!now && at - l->drawn_s < PAUSE_S))
        return;
    l->drawn_s = at;
    size_t most = measure(l);
    put_up(l, &out);
    for (size_t i = 0; i < l->n_rows && i < most; i++, lines++) {
        buf_addstr(&out, lines > 0 ? "\033[K\n" : "");
        if (i + 1 == most && l->n_rows > most) {
            cleanup_free char *more =
                xasprintf("%s %zu more run", l->cli->err.utf8 ? "…" : "...", l->n_rows - i);
            screen_put(&l->cli->err, &out, STYLE_DIM, more);
        } else {
            put_row(l, &out, &l->rows[i]);
        }
    }
    if (l->total > 0) {
        buf_addstr(&out, lines++ > 0 ? "\033[K\n" : "");
        put_bar(l, &out);
    }
    buf_addstr(&out, "\033[K");
    if (l->lines > lines)
        buf_addstr(&out, "\033[J");
    fwrite(out.data, 1, out.len, l->cli->err.file);
    fflush(l->cli->err.file);
    l->lines = lines;
    buf_release(&out);
}

void live_clear(struct live *l)
{
    struct buf out = {0};
    if (l->lines == 0)
        return;
    put_up(l, &out);
    buf_addstr(&out, "\033[J");
    fwrite(out.data, 1, out.len, l->cli->err.file);
    fflush(l->cli->err.file);
    l->lines = 0;
    buf_release(&out);
}

int live_timeout_ms(const struct live *l)
{
    return l->enabled ? TICK_MS : -1;
}
