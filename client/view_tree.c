#include <string.h>

#include "client/get.h"
#include "client/outcome.h"
#include "client/screen.h"
#include "client/text.h"
#include "client/view.h"
#include "proto/mem.h"

/* Of more siblings than this, those that say nothing new are counted. */
#define SIBLINGS_MAX 20

struct walk {
    struct cli *c;
    bool all;
    struct buf margin; /* what stands before a line's branch */
};

static bool ended(const char *state)
{
    return strcmp(state, "succeeded") == 0 || strcmp(state, "failed") == 0 ||
           strcmp(state, "cancelled") == 0 || strcmp(state, "lost") == 0;
}

/* Duration, how the command ended, what it awaits, its error: what stands behind the name. */
static void put_rest(const struct screen *s, struct buf *out, const json_t *task)
{
    const json_t *attempt = json_object_get(task, "attempt");
    const json_t *error = json_object_get(task, "error");
    const char *awaits = get_text(task, "awaits"), *state = get_text(task, "state");
    double created, until = view_now_s();
    struct buf took = {0};

    if (get_time(task, "created", &created)) {
        if (json_is_number(json_object_get(attempt, "duration")) && ended(state))
            text_put_duration(&took, get_real(attempt, "duration"));
        else if (!ended(state) || get_time(task, "finished", &until))
            text_put_duration(&took, until - created);
        buf_addstr(out, "  ");
        screen_put(s, out, STYLE_DIM, buf_cstr(&took));
    }
    buf_release(&took);
    if (*awaits != '\0' && !ended(state) && strcmp(awaits, get_text(task, "name")) != 0) {
        struct buf safe = {0};
        screen_put_safe(s, &safe, awaits, 0);
        buf_addstr(out, s->utf8 ? "  ⋯ " : "  awaits ");
        screen_put(s, out, STYLE_BLUE, buf_cstr(&safe));
        buf_release(&safe);
    }
    if (json_is_object(error)) {
        struct buf text = {0};
        outcome_put_error(s, &text, error, 0);
        buf_addstr(out, "  ");
        screen_put(s, out, STYLE_RED, buf_cstr(&text));
        buf_release(&text);
    }
}

/* Cuts a line with colours in it to the screen's width. */
static void cut(const struct screen *s, struct buf *line)
{
    if (s->columns == 0 || text_columns(line->data, line->len) <= s->columns)
        return;
    size_t room = s->columns - (s->utf8 ? 1 : 3), end = 0;
    while (end < line->len) {
        size_t n = 1;
        if (line->data[end] == '\033') {
            while (end + n < line->len && line->data[end + n - 1] != 'm')
                n++;
        } else {
            int32_t c;
            n = text_utf8(line->data + end, line->len - end, &c);
        }
        if (text_columns(line->data, end + n) > room)
            break;
        end += n;
    }
    line->len = end;
    buf_addstr(line, s->utf8 ? "…" : "...");
    if (s->color)
        buf_addstr(line, "\033[0m");
}

static void print_line(const struct walk *w, struct buf *line)
{
    cut(&w->c->out, line);
    buf_addch(line, '\n');
    fwrite(line->data, 1, line->len, w->c->out.file);
    buf_release(line);
}

static void print_task(const struct walk *w, const json_t *task, const char *branch)
{
    const struct screen *s = &w->c->out;
    struct look look = screen_state(s, get_text(task, "state"));
    const char *name = get_text(task, "name"), *id = strrchr(get_text(task, "id"), '.');
    struct buf line = {0}, safe = {0};

    buf_add(&line, w->margin.data, w->margin.len);
    buf_addstr(&line, branch);
    screen_put(s, &line, look.style, look.symbol);
    buf_addch(&line, ' ');
    if (id != NULL) {
        screen_put(s, &line, STYLE_DIM, id);
        buf_addch(&line, ' ');
    }
    const char *command = get_text(json_object_get(task, "attempt"), "command");
    screen_put_safe(s, &safe, *name != '\0' ? name : command, 0);
    screen_put(s, &line, ended(get_text(task, "state")) ? STYLE_PLAIN : STYLE_BOLD,
               buf_cstr(&safe));
    buf_release(&safe);
    put_rest(s, &line, task);
    print_line(w, &line);
}

static bool is_dull(const json_t *task)
{
    const char *state = get_text(task, "state");
    return json_array_size(json_object_get(task, "children")) == 0 &&
           (strcmp(state, "succeeded") == 0 || strcmp(state, "pending") == 0 ||
            strcmp(state, "suspended") == 0 || strcmp(state, "ready") == 0);
}

/* How many siblings from `at` on are dull, all in the same state. */
static size_t dull_row(const json_t *tasks, size_t at)
{
    size_t n = 0;
    const char *state = get_text(json_array_get(tasks, at), "state");
    while (at + n < json_array_size(tasks)) {
        const json_t *task = json_array_get(tasks, at + n);
        if (!is_dull(task) || strcmp(get_text(task, "state"), state) != 0)
            break;
        n++;
    }
    return n;
}

static void print_count(const struct walk *w, size_t n, const json_t *first, const char *branch)
{
    const struct screen *s = &w->c->out;
    struct look look = screen_state(s, get_text(first, "state"));
    struct buf line = {0};

    buf_add(&line, w->margin.data, w->margin.len);
    buf_addstr(&line, branch);
    screen_put(s, &line, look.style, look.symbol);
    cleanup_free char *text =
        xasprintf(" %s %zu more %s", s->utf8 ? "…" : "...", n, get_text(first, "state"));
    screen_put(s, &line, STYLE_DIM, text);
    print_line(w, &line);
}

static void walk(struct walk *w, const json_t *tasks, bool root)
{
    bool utf8 = w->c->out.utf8;
    size_t n = json_array_size(tasks), margin = w->margin.len;

    for (size_t i = 0; i < n;) {
        const json_t *task = json_array_get(tasks, i);
        size_t dull = w->all || n <= SIBLINGS_MAX ? 0 : dull_row(tasks, i);
        bool folds = dull > 3;
        if (folds) { /* the first two of a row are shown */
            dull -= i == 0 ? 2 : 0;
            if (i == 0) {
                print_task(w, task, root ? "" : utf8 ? "├─ " : "|- ");
                print_task(w, json_array_get(tasks, 1), root ? "" : utf8 ? "├─ " : "|- ");
                i += 2;
                task = json_array_get(tasks, i);
            }
        }
        size_t step = folds ? dull : 1;
        bool last = i + step == n;
        const char *branch = root ? "" : last ? (utf8 ? "└─ " : "`- ") : utf8 ? "├─ " : "|- ";
        if (folds) {
            print_count(w, dull, task, branch);
        } else {
            print_task(w, task, branch);
            if (!root)
                buf_addstr(&w->margin, last ? "   " : utf8 ? "│  " : "|  ");
            walk(w, json_object_get(task, "children"), false);
            w->margin.len = margin;
        }
        i += step;
    }
}

void view_tree(struct cli *c, const json_t *tree, bool all)
{
    struct walk w = {.c = c, .all = all};
    const json_t *tasks = json_object_get(tree, "tasks");

    walk(&w, tasks, true);
    json_int_t more = get_int(tree, "more");
    if (more > 0)
        fprintf(c->out.file, "%s %lld more tasks (what one of them wrote: coro log %lld.N)\n",
                c->out.utf8 ? "…" : "...", (long long)more, (long long)get_int(tree, "id"));
    buf_release(&w.margin);
}
