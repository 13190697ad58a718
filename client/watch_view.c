#include <string.h>

#include "client/get.h"
#include "client/job_text.h"
#include "client/outcome.h"
#include "client/text.h"
#include "client/watch.h"
#include "proto/mem.h"

#define SIDE_BY_SIDE  110 /* columns from which tree and log stand beside each other */
#define ID_COLUMNS    7
#define STATE_COLUMNS 13
#define TIME_COLUMNS  8

/* A part of the screen. */
struct area {
    unsigned row, column, rows, columns;
};

/* The first of n lines to show, so that `at` is seen, a third from the edge where it can be. */
static size_t first_shown(size_t n, size_t at, size_t room)
{
    if (n <= room || room == 0)
        return 0;
    size_t first = at > room / 2 ? at - room / 2 : 0;
    return first + room > n ? n - room : first;
}

static void put_pools(const struct watch *w, struct canvas *c, unsigned row, unsigned column)
{
    size_t i;
    const json_t *pool;

    json_array_foreach (w->pools, i, pool) {
        json_int_t waiting = get_int(pool, "waiting"), taken = get_int(pool, "taken");
        json_int_t slots = get_int(pool, "slots");
        bool paused = json_is_true(json_object_get(pool, "paused"));
        if (taken == 0 && waiting == 0 && !paused && strcmp(get_text(pool, "name"), "default") != 0)
            continue; /* there is room only for what matters */
        cleanup_free char *load = xasprintf(" %lld/%lld", (long long)taken, (long long)slots);
        column = canvas_put(c, row, column + 2, 0, STYLE_BOLD, get_text(pool, "name"));
        column = canvas_put(c, row, column, 0, taken < slots ? STYLE_GREEN : STYLE_YELLOW, load);
        if (waiting > 0) {
            cleanup_free char *more = xasprintf(" +%lld wait", (long long)waiting);
            column = canvas_put(c, row, column, 0, STYLE_YELLOW, more);
        }
        if (paused)
            column = canvas_put(c, row, column, 0, STYLE_YELLOW, " paused");
    }
}

static void draw_head(const struct watch *w, struct canvas *c)
{
    size_t live = 0, i;
    const json_t *job;
    unsigned x = canvas_put(c, 0, 0, 0, STYLE_BOLD, "coro");

    json_array_foreach (w->jobs, i, job)
        live += job_is_live(job);
    cleanup_free char *count = xasprintf("  %zu live", live);
    x = canvas_put(c, 0, x, 0, STYLE_PLAIN, count);
    if (w->away)
        canvas_put(c, 0, x + 2, 0, STYLE_RED, "the daemon is away, waiting for it");
    else
        put_pools(w, c, 0, x);
}

static void draw_job(const struct watch *w, struct canvas *c, const struct area *a, unsigned row,
                     const json_t *job)
{
    const char *state = get_text(job, "state");
    struct look look = screen_state(w->screen, state);
    struct buf took = {0}, error = {0};
    unsigned x = a->column, end = a->column + a->columns;
    cleanup_free char *id = xasprintf("%*lld", ID_COLUMNS - 1, (long long)get_int(job, "id"));
    cleanup_free char *shown = xasprintf("%s %s", look.symbol, state);

    job_put_time(&took, job);
    cleanup_free char *time = xasprintf("%*s", TIME_COLUMNS - 1, buf_cstr(&took));
    canvas_put(c, row, x, ID_COLUMNS, STYLE_BOLD, id);
    canvas_put(c, row, x += ID_COLUMNS, STATE_COLUMNS - 1, look.style, shown);
    canvas_put(c, row, x += STATE_COLUMNS, TIME_COLUMNS, STYLE_PLAIN, time);
    x += TIME_COLUMNS + 1;
    if (x < end)
        x = canvas_put(c, row, x, end - x, *get_text(job, "name") != '\0' ? STYLE_PLAIN : STYLE_DIM,
                       job_title(job));
    job_put_error(w->screen, &error, job, 0);
    if (error.len > 0 && x + 4 < end)
        canvas_put(c, row, x + 2, end - x - 2, STYLE_RED, buf_cstr(&error));
    buf_release(&took);
    buf_release(&error);
}

static void draw_jobs(const struct watch *w, struct canvas *c, struct area a)
{
    size_t n = json_array_size(w->jobs), at = 0;

    cleanup_free char *title = xasprintf("jobs%s", w->only_live ? " (live ones)" : "");
    canvas_rule(c, a.row, a.column, a.columns, w->pane == PANE_JOBS, title);
    a.row++, a.rows--;
    for (size_t i = 0; i < n; i++)
        at = get_int(json_array_get(w->jobs, i), "id") == w->job ? i : at;
    size_t first = first_shown(n, at, a.rows);
    for (unsigned k = 0; k < a.rows && first + k < n; k++) {
        draw_job(w, c, &a, a.row + k, json_array_get(w->jobs, first + k));
        if (first + k == at)
            canvas_reverse(c, a.row + k, a.column, a.columns);
    }
    if (n == 0)
        canvas_put(c, a.row, a.column + 2, a.columns - 2, STYLE_DIM,
                   "no jobs (`coro run COMMAND` in another terminal)");
}

/* The tree: its rows are counted first, to know which part is seen. */
struct draw_tree {
    const struct watch *watch;
    struct canvas *canvas;
    struct area area;
    size_t n, at, first;
    double now_s;
    bool counts;
};

static void put_branches(struct buf *out, unsigned depth, uint64_t last, bool utf8)
{
    for (unsigned d = 1; d <= depth && d < 64; d++) {
        bool ends = (last >> d & 1) != 0;
        if (d == depth)
            buf_addstr(out, ends ? (utf8 ? "└─ " : "`- ") : utf8 ? "├─ " : "|- ");
        else
            buf_addstr(out, ends ? "   " : utf8 ? "│  " : "|  ");
    }
}

/* How long, what it awaits, its error. */
static void put_rest(const struct draw_tree *t, struct buf *out, const json_t *task)
{
    const char *awaits = get_text(task, "awaits");
    double created, until = t->now_s;
    struct buf error = {0};

    if (get_time(task, "created", &created)) {
        get_time(task, "finished", &until);
        buf_addstr(out, "  ");
        text_put_duration(out, until - created);
    }
    if (*awaits != '\0' && json_is_null(json_object_get(task, "finished")))
        buf_printf(out, "  %s %s", t->watch->screen->utf8 ? "⋯" : "awaits", awaits);
    if (json_is_object(json_object_get(task, "error"))) {
        outcome_put_error(t->watch->screen, &error, json_object_get(task, "error"), 0);
        buf_printf(out, "  %s", buf_cstr(&error));
    }
    buf_release(&error);
}

static void draw_task(const struct draw_tree *t, unsigned row, const json_t *task, unsigned depth,
                      uint64_t last, bool folded)
{
    const struct screen *s = t->watch->screen;
    struct look look = screen_state(s, get_text(task, "state"));
    struct buf branches = {0}, rest = {0};
    unsigned x = t->area.column, end = x + t->area.columns;
    size_t inside = json_array_size(json_object_get(task, "children"));
    const char *name = get_text(task, "name");

    put_branches(&branches, depth, last, s->utf8);
    x = canvas_put(t->canvas, row, x, end - x, STYLE_DIM, buf_cstr(&branches));
    x = x < end ? canvas_put(t->canvas, row, x, end - x, look.style, look.symbol) : end;
    cleanup_free char *id = xasprintf(" .%lld ", (long long)watch_task_number(task));
    x = x < end ? canvas_put(t->canvas, row, x, end - x, STYLE_DIM, id) : end;
    x = x < end ? canvas_put(t->canvas, row, x, end - x, STYLE_PLAIN, name) : end;
    if (folded && inside > 0 && x < end) {
        cleanup_free char *more = xasprintf("  [+%zu]", inside);
        x = canvas_put(t->canvas, row, x, end - x, STYLE_CYAN, more);
    }
    put_rest(t, &rest, task);
    if (x < end)
        canvas_put(t->canvas, row, x, end - x,
                   json_is_object(json_object_get(task, "error")) ? STYLE_RED : STYLE_DIM,
                   buf_cstr(&rest));
    buf_release(&branches);
    buf_release(&rest);
}

static void on_task(void *arg, const json_t *task, unsigned depth, uint64_t last, bool folded)
{
    struct draw_tree *t = arg;
    size_t i = t->n++;

    if (t->counts) {
        t->at = watch_task_number(task) == t->watch->task ? i : t->at;
        return;
    }
    if (i < t->first || i - t->first >= t->area.rows)
        return;
    unsigned row = t->area.row + (unsigned)(i - t->first);
    draw_task(t, row, task, depth, last, folded);
    if (i == t->at && t->watch->pane == PANE_TREE)
        canvas_reverse(t->canvas, row, t->area.column, t->area.columns);
}

static void draw_tree(const struct watch *w, struct canvas *c, struct area a, double now_s)
{
    struct draw_tree t = {.watch = w, .canvas = c, .now_s = now_s, .counts = true};
    struct buf title = {0};
    size_t hidden = watch_each_task(w, on_task, &t) + (size_t)get_int(w->tree, "more");

    buf_addstr(&title, "tasks");
    if (w->job != 0)
        buf_printf(&title, " of %lld", (long long)w->job);
    if (hidden > 0)
        buf_printf(&title, " (%zu more)", hidden);
    canvas_rule(c, a.row, a.column, a.columns, w->pane == PANE_TREE, buf_cstr(&title));
    buf_release(&title);
    a.row++, a.rows--;
    t.area = a;
    t.first = first_shown(t.n, t.at, a.rows);
    t.n = 0;
    t.counts = false;
    watch_each_task(w, on_task, &t);
}

static void draw_log(const struct watch *w, struct canvas *c, struct area a)
{
    json_int_t task = watch_log_task(w);
    cleanup_free char *of = task != 0 ? xasprintf("output of .%lld", (long long)task) : NULL;
    cleanup_free char *up =
        w->log_up > 0 ? xasprintf("%s (%zu up)", of != NULL ? of : "output", w->log_up) : NULL;

    canvas_rule(c, a.row, a.column, a.columns, w->pane == PANE_LOG,
                up != NULL   ? up
                : of != NULL ? of
                             : "output");
    a.row++, a.rows--;
    /* From the last line upwards. */
    size_t end = w->log.len, skip = w->log_up;
    if (end > 0 && w->log.data[end - 1] == '\n')
        end--;
    for (unsigned k = 0; k < a.rows && w->log.len > 0;) {
        size_t start = end;
        while (start > 0 && w->log.data[start - 1] != '\n')
            start--;
        if (skip > 0) {
            skip--;
        } else {
            cleanup_free char *line = xstrndup(w->log.data + start, end - start);
            for (char *p = line; *p != '\0'; p++)
                *p = *p == '\t' ? ' ' : *p;
            canvas_put(c, a.row + a.rows - 1 - k, a.column, a.columns, STYLE_PLAIN, line);
            k++;
        }
        if (start == 0)
            break;
        end = start - 1;
    }
}

static void draw_foot(const struct watch *w, struct canvas *c)
{
    unsigned row = c->rows - 1;
    if (w->question.text != NULL) {
        canvas_put(c, row, 0, 0, STYLE_YELLOW, w->question.text);
        return;
    }
    if (w->message != NULL) {
        canvas_put(c, row, 0, 0, STYLE_YELLOW, w->message);
        return;
    }
    canvas_put(c, row, 0, 0, STYLE_DIM,
               "? keys   tab next part   c cancel   p pause   r retry   q quit");
}

static void draw_help(struct canvas *c)
{
    static const char *const lines[] = {
        "Keys",
        "",
        "up down  k j      the job, task or line before, behind",
        "page up, down     a page further",
        "home end  g G     the first, the last",
        "tab               the next part of the screen",
        "right left  l h   unfold, fold a task",
        "enter space       fold or unfold",
        "c                 cancel the job",
        "K                 kill it: no clean-up",
        "p                 pause it, or let it go on",
        "r                 run it again",
        "a                 all jobs, or those that have not ended",
        "q  ctrl-c         leave",
    };
    unsigned width = 62, rows = (unsigned)ARRAY_LEN(lines) + 2;
    unsigned top = c->rows > rows ? (c->rows - rows) / 2 : 0;
    unsigned left = c->columns > width ? (c->columns - width) / 2 : 0;

    canvas_wipe(c, top, left, rows, width);
    for (unsigned i = 0; i < ARRAY_LEN(lines); i++)
        canvas_put(c, top + 1 + i, left + 2, width - 4, i == 0 ? STYLE_BOLD : STYLE_PLAIN,
                   lines[i]);
    for (unsigned i = 0; i < rows; i++)
        canvas_reverse(c, top + i, left, 1);
}

void watch_draw(const struct watch *w, struct canvas *c, double now_s)
{
    unsigned rows = c->rows > 2 ? c->rows - 2 : 0, third = rows / 3;

    if (rows < 6) { /* no room for parts */
        if (rows > 1)
            draw_jobs(w, c, (struct area){1, 0, rows, c->columns});
    } else if (c->columns >= SIDE_BY_SIDE) {
        unsigned half = c->columns / 2, below = rows - third;
        draw_jobs(w, c, (struct area){1, 0, third, c->columns});
        draw_tree(w, c, (struct area){1 + third, 0, below, half - 1}, now_s);
        draw_log(w, c, (struct area){1 + third, half, below, c->columns - half});
    } else {
        draw_jobs(w, c, (struct area){1, 0, third, c->columns});
        draw_tree(w, c, (struct area){1 + third, 0, third, c->columns}, now_s);
        draw_log(w, c, (struct area){1 + 2 * third, 0, rows - 2 * third, c->columns});
    }
    if (c->rows > 0) {
        draw_head(w, c);
        draw_foot(w, c);
    }
    if (w->help)
        draw_help(c);
}
