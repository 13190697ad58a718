#include <stdlib.h>
#include <string.h>

#include "client/get.h"
#include "client/job_text.h"
#include "client/term.h"
#include "client/watch.h"
#include "proto/mem.h"

#define PAGE 10
#define ALL  1000000000

static size_t clamp(size_t at, long long by, size_t n)
{
    long long to = (long long)at + by;
    if (n == 0 || to < 0)
        return 0;
    return to >= (long long)n ? n - 1 : (size_t)to;
}

static void move_job(struct watch *w, long long by)
{
    size_t n = json_array_size(w->jobs), at = 0;
    for (size_t i = 0; i < n; i++)
        at = get_int(json_array_get(w->jobs, i), "id") == w->job ? i : at;
    watch_choose_job(w, get_int(json_array_get(w->jobs, clamp(at, by, n)), "id"));
}

/* The tasks that are seen, one after the other. */
struct row_list {
    const json_t **all;
    size_t n, cap, at;
    json_int_t task;
};

static void on_row(void *arg, const json_t *task, unsigned depth, uint64_t last, bool folded)
{
    struct row_list *l = arg;
    (void)depth, (void)last, (void)folded;
    l->all = xgrow(l->all, &l->cap, l->n + 1, sizeof(*l->all));
    if (watch_task_number(task) == l->task)
        l->at = l->n;
    l->all[l->n++] = task;
}

static void choose_task(struct watch *w, const json_t *task)
{
    json_int_t before = watch_log_task(w);
    w->task = watch_task_number(task);
    if (watch_log_task(w) == before)
        return;
    w->log_up = 0;
    buf_clear(&w->log);
}

static void move_task(struct watch *w, long long by)
{
    struct row_list l = {.task = w->task};
    watch_each_task(w, on_row, &l);
    if (l.n > 0)
        choose_task(w, l.all[clamp(l.at, by, l.n)]);
    free(l.all);
}

/* fold: 1 fold, 0 unfold, -1 the other way round. */
static void fold_task(struct watch *w, int fold)
{
    struct row_list l = {.task = w->task};
    watch_each_task(w, on_row, &l);
    const json_t *task = l.n > 0 ? l.all[l.at] : NULL;
    const char *id = get_text(task, "id");
    bool is = json_object_get(w->folded, id) != NULL;
    if (fold < 0)
        fold = !is;
    if (task != NULL && json_array_size(json_object_get(task, "children")) > 0) {
        if (fold)
            json_object_set_new(w->folded, id, json_true());
        else
            json_object_del(w->folded, id);
    }
    free(l.all);
}

static size_t count_lines(const struct buf *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->len; i++)
        n += b->data[i] == '\n';
    return n;
}

static void move(struct watch *w, long long by)
{
    if (w->pane == PANE_JOBS)
        move_job(w, by);
    else if (w->pane == PANE_TREE)
        move_task(w, by);
    else
        w->log_up = clamp(w->log_up, -by, count_lines(&w->log));
}

static const json_t *chosen(const struct watch *w)
{
    size_t i;
    const json_t *job;
    json_array_foreach (w->jobs, i, job) {
        if (get_int(job, "id") == w->job)
            return job;
    }
    return NULL;
}

static void ask(struct watch *w, const char *method, const char *what)
{
    free(w->question.text);
    w->question.method = method;
    w->question.text =
        xasprintf("%s job %lld (%s)? y or n", what, (long long)w->job, job_title(chosen(w)));
}

static struct watch_action act(const struct watch *w, const char *method)
{
    return (struct watch_action){method, json_pack("{s:[I]}", "ids", w->job)};
}

static void answer(struct watch *w, int key, struct watch_action *ret)
{
    if (key == 'y' || key == 'Y')
        *ret = act(w, w->question.method);
    free(w->question.text);
    w->question = (struct watch_question){NULL, NULL};
}

/* Keys that do something to the chosen job. */
static bool job_key(struct watch *w, int key, struct watch_action *ret)
{
    const json_t *job = chosen(w);
    bool live = job != NULL && job_is_live(job);

    if (job == NULL || strchr("cKpr", key) == NULL)
        return false;
    if (key == 'r')
        ask(w, "job.retry", "run again");
    else if (!live)
        watch_say(w, "this job has ended");
    else if (key == 'p')
        *ret = act(w, strcmp(get_text(job, "state"), "paused") == 0 ? "job.resume" : "job.pause");
    else
        ask(w, key == 'c' ? "job.cancel" : "job.kill", key == 'c' ? "cancel" : "kill");
    return true;
}

static bool other_key(struct watch *w, int key)
{
    switch (key) {
    case 'q':
    case 'Q':
        w->ending = true;
        return true;
    case '?':
        w->help = true;
        return true;
    case TERM_TAB:
        w->pane = (enum watch_pane)((w->pane + 1) % PANE_COUNT);
        return true;
    case TERM_BACK_TAB:
        w->pane = (enum watch_pane)((w->pane + PANE_COUNT - 1) % PANE_COUNT);
        return true;
    case TERM_RIGHT:
    case 'l':
        fold_task(w, 0);
        return true;
    case TERM_LEFT:
    case 'h':
        fold_task(w, 1);
        return true;
    case TERM_ENTER:
    case ' ':
        fold_task(w, -1);
        return true;
    case 'a':
        w->only_live = !w->only_live;
        watch_set_jobs(w, w->all);
        return true;
    default:
        return key == TERM_RESIZED;
    }
}

bool watch_key(struct watch *w, int key, struct watch_action *ret)
{
    static const struct {
        int key, letter;
        long long by;
    } moves[] = {{TERM_UP, 'k', -1},        {TERM_DOWN, 'j', 1},    {TERM_PAGE_UP, 0, -PAGE},
                 {TERM_PAGE_DOWN, 0, PAGE}, {TERM_HOME, 'g', -ALL}, {TERM_END, 'G', ALL}};

    *ret = (struct watch_action){NULL, NULL};
    if (w->question.text != NULL) {
        answer(w, key, ret);
        return true;
    }
    watch_say(w, NULL);
    if (w->help && key != TERM_RESIZED) {
        w->help = false;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
        if (key == moves[i].key || (moves[i].letter != 0 && key == moves[i].letter)) {
            move(w, moves[i].by);
            return true;
        }
    }
    return (key < 128 && job_key(w, key, ret)) || other_key(w, key);
}
