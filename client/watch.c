#include "client/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/get.h"
#include "client/job_text.h"
#include "proto/mem.h"

#define LOG_BYTES    262144 /* of a job's output that are kept */
#define SIBLINGS_MAX 20

void watch_init(struct watch *w, const struct screen *s)
{
    *w = (struct watch){.screen = s,
                        .pools = json_array(),
                        .jobs = json_array(),
                        .folded = json_object(),
                        .socket = ""};
}

void watch_release(struct watch *w)
{
    json_decref(w->pools);
    json_decref(w->all);
    json_decref(w->jobs);
    json_decref(w->tree);
    json_decref(w->folded);
    buf_release(&w->log);
    free(w->message);
    free(w->question.text);
}

static bool has_job(const struct watch *w, json_int_t id)
{
    size_t i;
    const json_t *job;
    json_array_foreach (w->jobs, i, job) {
        if (get_int(job, "id") == id)
            return true;
    }
    return false;
}

void watch_choose_job(struct watch *w, json_int_t id)
{
    if (w->job == id)
        return;
    w->job = id;
    w->task = 0;
    w->log_up = 0;
    json_decref(w->tree);
    w->tree = NULL;
    json_object_clear(w->folded);
    buf_clear(&w->log);
}

void watch_set_jobs(struct watch *w, json_t *jobs)
{
    size_t i;
    json_t *job, *sorted = json_array();

    json_incref(jobs);
    json_decref(w->all);
    w->all = jobs;
    for (int live = 1; live >= 0; live--) {
        json_array_foreach (jobs, i, job) {
            if (job_is_live(job) == (live == 1) && (live == 1 || !w->only_live))
                json_array_append(sorted, job);
        }
    }
    json_decref(w->jobs);
    w->jobs = sorted;
    if (w->job == 0 || !has_job(w, w->job))
        watch_choose_job(w, get_int(json_array_get(w->jobs, 0), "id"));
}

json_int_t watch_task_number(const json_t *task)
{
    const char *dot = strrchr(get_text(task, "id"), '.');
    return dot != NULL ? atoll(dot + 1) : 0;
}

static bool is_folded(const struct watch *w, const json_t *task)
{
    return json_object_get(w->folded, get_text(task, "id")) != NULL;
}

struct visit {
    const struct watch *watch;
    void (*each)(void *arg, const json_t *task, unsigned depth, uint64_t last, bool folded);
    void *arg;
    size_t hidden;
};

/* One of many that say nothing new. */
static bool is_dull(const json_t *task)
{
    return strcmp(get_text(task, "state"), "succeeded") == 0 &&
           json_array_size(json_object_get(task, "children")) == 0;
}

static void visit(struct visit *v, const json_t *tasks, unsigned depth, uint64_t last)
{
    size_t i, n = json_array_size(tasks);
    for (i = 0; i < n; i++) {
        const json_t *task = json_array_get(tasks, i);
        if (n > SIBLINGS_MAX && i + 1 < n && is_dull(task)) {
            v->hidden++;
            continue;
        }
        uint64_t bit = depth < 64 && i + 1 == n ? UINT64_C(1) << depth : 0;
        bool folded = is_folded(v->watch, task);
        v->each(v->arg, task, depth, last | bit, folded);
        if (!folded)
            visit(v, json_object_get(task, "children"), depth + 1, last | bit);
    }
}

size_t watch_each_task(const struct watch *w,
                       void (*each)(void *arg, const json_t *task, unsigned depth, uint64_t last,
                                    bool folded),
                       void *arg)
{
    struct visit v = {.watch = w, .each = each, .arg = arg};
    visit(&v, json_object_get(w->tree, "tasks"), 0, 0);
    return v.hidden;
}

void watch_set_tree(struct watch *w, const json_t *tree)
{
    if (get_int(tree, "id") != w->job)
        return;
    json_decref(w->tree);
    w->tree = json_incref((json_t *)(uintptr_t)tree);
    if (w->task == 0)
        w->task = watch_task_number(json_array_get(json_object_get(w->tree, "tasks"), 0));
}

void watch_add_log(struct watch *w, const char *data, size_t len)
{
    buf_add(&w->log, data, len);
    if (w->log.len <= 2 * LOG_BYTES)
        return;
    size_t cut = w->log.len - LOG_BYTES;
    const char *end = memchr(w->log.data + cut, '\n', w->log.len - cut);
    buf_consume(&w->log, end != NULL ? (size_t)(end - w->log.data) + 1 : cut);
}

void watch_say(struct watch *w, const char *text)
{
    free(w->message);
    w->message = text != NULL ? xstrdup(text) : NULL;
}

json_int_t watch_log_task(const struct watch *w)
{
    return w->task > 1 ? w->task : 0;
}
