#include "client/timeline.h"

#include <string.h>

#include "client/get.h"

struct walk {
    json_t *rows;
    double begin, last;
};

/* Seconds from the beginning; null when the moment has not come. */
static json_t *at(struct walk *w, const json_t *object, const char *key)
{
    double s;
    if (!get_time(object, key, &s))
        return json_null();
    w->last = s > w->last ? s : w->last;
    return json_real(s > w->begin ? s - w->begin : 0);
}

static const char *attempt_state(const json_t *a)
{
    const json_t *exit = json_object_get(a, "exit"), *status = json_object_get(a, "status");
    if (json_is_null(json_object_get(a, "finished")))
        return "running";
    if (json_is_true(json_object_get(a, "lost")))
        return "lost";
    bool answered = json_is_integer(status) && json_integer_value(status) < 400;
    bool well = json_is_integer(exit) && json_integer_value(exit) == 0;
    return well || answered ? "succeeded" : "failed";
}

static void add_run(struct walk *w, json_t *runs, const json_t *attempt)
{
    if (!json_is_object(attempt))
        return;
    json_t *run = json_object();
    json_object_set_new(run, "start", at(w, attempt, "started"));
    json_object_set_new(run, "end", at(w, attempt, "finished"));
    json_object_set_new(run, "state", json_string(attempt_state(attempt)));
    json_object_set_new(run, "command", json_string(get_text(attempt, "command")));
    json_array_append_new(runs, run);
}

/* A task that is nothing but its command is called by it. */
static const char *name_of(const json_t *task)
{
    const char *name = get_text(task, "name");
    const char *command = get_text(json_object_get(task, "attempt"), "command");
    static const char *const verbs[] = {"run", "sh", "http"};

    for (size_t i = 0; i < 2 && json_object_get(task, "earlier") == NULL; i++) {
        size_t len = strlen(verbs[i]);
        if (*command != '\0' && strncmp(name, verbs[i], len) == 0 &&
            (name[len] == '\0' || name[len] == ' '))
            return command;
    }
    return name;
}

static void add_tasks(struct walk *w, const json_t *tasks, json_int_t depth)
{
    size_t i, k;
    const json_t *task, *attempt;

    json_array_foreach (tasks, i, task) {
        const char *dot = strrchr(get_text(task, "id"), '.');
        json_t *row = json_object(), *runs = json_array();
        json_object_set_new(row, "task", json_integer(dot != NULL ? atoll(dot + 1) : 0));
        json_object_set_new(row, "name", json_string(name_of(task)));
        json_object_set_new(row, "state", json_string(get_text(task, "state")));
        json_object_set_new(row, "depth", json_integer(depth));
        json_object_set_new(row, "start", at(w, task, "created"));
        json_object_set_new(row, "end", at(w, task, "finished"));
        json_object_set_new(row, "runs", runs);
        json_array_foreach (json_object_get(task, "earlier"), k, attempt)
            add_run(w, runs, attempt);
        add_run(w, runs, json_object_get(task, "attempt"));
        json_array_append_new(w->rows, row);
        add_tasks(w, json_object_get(task, "children"), depth + 1);
    }
}

json_t *timeline_of_tree(const json_t *tree, double now_s, double *ret_duration)
{
    const json_t *tasks = json_object_get(tree, "tasks");
    struct walk w = {.rows = json_array()};
    double finished;

    if (!get_time(json_array_get(tasks, 0), "created", &w.begin))
        w.begin = now_s;
    w.last = w.begin;
    add_tasks(&w, tasks, 0);
    if (!get_time(tree, "finished", &finished))
        finished = now_s;
    w.last = finished > w.last ? finished : w.last;
    *ret_duration = w.last - w.begin;
    return w.rows;
}
