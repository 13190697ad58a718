#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/command.h"
#include "client/get.h"
#include "client/ids.h"
#include "client/text.h"
#include "client/view.h"
#include "proto/mem.h"
#include "proto/state.h"

#define SHOWN       30  /* jobs, unless -a or -n says otherwise */
#define PAGE        500 /* job.list's limits */
#define IDS_AT_ONCE 1000

/* What the daemon's job.list cannot choose by itself, or more than one of. */
struct filter {
    json_t *params;
    const char **labels; /* behind the first, which is in params */
    size_t n_labels;
    int64_t max;
};

static bool add_states(const struct options *o, json_t *params, struct err *err)
{
    json_t *states = json_array();

    json_object_set_new(params, "state", states);
    for (size_t i = 0; i < o->n_states; i++) {
        for (const char *p = o->states[i]; *p != '\0'; p += *p == ',') {
            size_t n = strcspn(p, ",");
            cleanup_free char *word = xstrndup(p, n);
            enum job_state s;
            if (!job_state_parse(word, &s)) {
                struct buf all = {0};
                for (int k = 0; k < JOB_STATE_COUNT; k++)
                    buf_printf(&all, " %s", job_state_name((enum job_state)k));
                err_set(err, EINVAL, "there is no state \"%s\"; there are%s", word, buf_cstr(&all));
                buf_release(&all);
                return false;
            }
            json_array_append_new(states, json_string(word));
            p += n;
        }
    }
    return true;
}

static bool add_moment(json_t *params, const char *key, const char *text, struct err *err)
{
    double at;
    char rfc3339[RFC3339_SIZE];

    if (text == NULL)
        return true;
    if (!text_moment(text, view_now_s(), &at, err))
        return err_prefix(err, "--%s", key);
    rfc3339_format(rfc3339, (int64_t)(at * 1e6));
    json_object_set_new(params, key, json_string(rfc3339));
    return true;
}

static void add_text(json_t *params, const char *key, const char *text)
{
    if (text != NULL)
        json_object_set_new(params, key, json_string(text));
}

static bool make_filter(const struct options *o, struct filter *f, struct err *err)
{
    if (o->n_states > 0 && !add_states(o, f->params, err))
        return false;
    if (!add_moment(f->params, "since", o->since, err) ||
        !add_moment(f->params, "until", o->until, err))
        return false;
    add_text(f->params, "pool", o->job.pool);
    add_text(f->params, "owner", o->owner);
    add_text(f->params, "name", o->job.name);
    if (o->job.n_labels > 0) {
        add_text(f->params, "label", o->job.labels[0]);
        f->labels = o->job.labels + 1;
        f->n_labels = o->job.n_labels - 1;
    }
    return true;
}

static bool has_labels(const struct filter *f, const json_t *job)
{
    const json_t *labels = json_object_get(job, "labels");
    for (size_t i = 0; i < f->n_labels; i++) {
        const char *equals = strchr(f->labels[i], '=');
        size_t len = equals != NULL ? (size_t)(equals - f->labels[i]) : strlen(f->labels[i]);
        cleanup_free char *key = xstrndup(f->labels[i], len);
        const char *value = json_string_value(json_object_get(labels, key));
        if (value == NULL || (equals != NULL && strcmp(value, equals + 1) != 0))
            return false;
    }
    return true;
}

/* Appends the jobs that match to *rows, newest first, until there are f->max. */
static bool list(struct conn *conn, const struct filter *f, json_t *params, json_t *rows,
                 struct err *err)
{
    for (bool more = true; more && (int64_t)json_array_size(rows) < f->max;) {
        int64_t left = f->max - (int64_t)json_array_size(rows);
        json_object_set_new(params, "limit",
                            json_integer(left < PAGE && f->n_labels == 0 ? left : PAGE));
        json_t *result = conn_ask(conn, "job.list", json_deep_copy(params), err);
        if (result == NULL)
            return false;
        json_t *job, *next = json_object_get(result, "next");
        size_t i;
        json_array_foreach (json_object_get(result, "jobs"), i, job) {
            if (has_labels(f, job) && (int64_t)json_array_size(rows) < f->max)
                json_array_append(rows, job);
        }
        more = next != NULL && !json_is_null(next);
        if (more)
            json_object_set(params, "cursor", next);
        json_decref(result);
    }
    return true;
}

/* The jobs of these ids, as many at once as job.list takes. */
static bool list_ids(struct conn *conn, const struct filter *f, const json_t *ids, json_t *rows,
                     struct err *err)
{
    size_t n = json_array_size(ids);
    bool ok = true;

    for (size_t end = n; ok && end > 0;) {
        size_t from = end > IDS_AT_ONCE ? end - IDS_AT_ONCE : 0;
        json_t *params = json_deep_copy(f->params), *part = json_array();
        for (size_t i = from; i < end; i++)
            json_array_append(part, json_array_get(ids, i));
        json_object_set_new(params, "ids", part);
        ok = list(conn, f, params, rows, err);
        json_decref(params);
        end = from;
    }
    return ok;
}

/* Every job that one of the words means: ids, or the pattern of a name. */
static bool list_word(struct conn *conn, const struct filter *f, const char *word, json_t *rows,
                      struct err *err)
{
    json_t *ids = NULL;
    struct err bad = {0};
    bool ok;

    if (ids_are(word) || strcmp(word, "last") == 0) {
        char *words[] = {(char *)(uintptr_t)word};
        ids = ids_resolve(conn, words, 1, IDS_ALL, &bad);
        if (ids == NULL) {
            *err = bad;
            return false;
        }
        ok = list_ids(conn, f, ids, rows, err);
        json_decref(ids);
        return ok;
    }
    json_t *params = json_deep_copy(f->params);
    if (strcmp(word, "all") != 0)
        json_object_set_new(params, "name", json_string(word));
    ok = list(conn, f, params, rows, err);
    json_decref(params);
    return ok;
}

static int by_id(const void *a, const void *b)
{
    json_int_t x = get_int(*(json_t *const *)a, "id"), y = get_int(*(json_t *const *)b, "id");
    return (x > y) - (x < y);
}

/* By ids, each once, of them the newest max. */
static json_t *newest_last(const json_t *rows, int64_t max)
{
    size_t n = json_array_size(rows), kept = 0;
    json_t *sorted = json_array(), **all = xcalloc(n + 1, sizeof(json_t *));

    for (size_t i = 0; i < n; i++)
        all[i] = json_array_get(rows, i);
    if (n > 0)
        qsort(all, n, sizeof(json_t *), by_id);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || by_id(&all[i - 1], &all[i]) != 0)
            all[kept++] = all[i];
    }
    size_t from = (int64_t)kept > max ? kept - (size_t)max : 0;
    for (size_t i = from; i < kept; i++)
        json_array_append(sorted, all[i]);
    free(all);
    return sorted;
}

static int print(struct cli *c, const struct options *o, json_t *shown,
                 const struct view_columns *columns)
{
    struct err err = {0};
    if (o->sort != NULL && !view_jobs_sort(shown, o->sort, o->reverse, &err))
        return cli_usage(c, "--sort: %s", err.text);
    if (o->sort == NULL && o->reverse)
        view_jobs_sort(shown, "id", true, NULL);
    if (c->json)
        view_json(c, shown);
    else if (json_array_size(shown) == 0)
        cli_note(c, "no jobs");
    else
        view_jobs_columns(c, shown, true, columns);
    return EXIT_OK;
}

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    struct filter f = {.params = json_object(), .max = o->all ? INT64_MAX : SHOWN};
    struct view_columns columns;
    json_t *rows = json_array();
    int status;
    char *any[] = {(char *)(uintptr_t) "all"};

    if ((o->lines != NULL && !text_whole(o->lines, 1, INT64_MAX, &f.max, &err) &&
         !err_prefix(&err, "--lines")) ||
        !make_filter(o, &f, &err) || !view_jobs_choose(&columns, o->columns, &err)) {
        status = cli_usage(c, "%s", err.text);
    } else if (!conn_open(&conn, c, &err)) {
        status = cli_fail(c, &err);
    } else {
        bool ok = true;
        for (int i = 0; ok && i < (argc > 0 ? argc : 1); i++) {
            json_t *some = json_array(); /* each may bring f.max */
            ok = list_word(&conn, &f, argc > 0 ? argv[i] : any[0], some, &err);
            json_array_extend(rows, some);
            json_decref(some);
        }
        json_t *shown = newest_last(rows, f.max);
        status = ok ? print(c, o, shown, &columns) : cli_fail(c, &err);
        json_decref(shown);
    }
    json_decref(f.params);
    json_decref(rows);
    conn_close(&conn);
    return status;
}

static const struct option ls_options[] = {
    OPTION_FLAG("all", 'a', all, "all that are kept, not the newest 30"),
    OPTION_TEXT("lines", 'n', lines, "N", "the newest N"),
    OPTION_LIST("state", 's', states, n_states, "STATE",
                "only in this state (several, or a,b: any of them)"),
    OPTION_TEXT("since", 0, since, "TIME",
                "only what was handed in since then: 1h, 14:00, 2026-11-20"),
    OPTION_TEXT("until", 0, until, "TIME", "only what was handed in before then"),
    OPTION_TEXT("name", 0, job.name, "GLOB", "only with such a name: * ? [ ]"),
    OPTION_TEXT("owner", 0, owner, "USER", "only this user's"),
    OPTION_TEXT("pool", 'p', job.pool, "POOL", "only of this pool"),
    OPTION_LIST("label", 'l', job.labels, job.n_labels, "KEY[=VALUE]",
                "only with this label (several: with all of them)"),
    OPTION_TEXT("columns", 0, columns, "LIST", "these columns: id,state,name…"),
    OPTION_TEXT("sort", 0, sort, "COLUMN", "by this column; what is shown stays the newest"),
    OPTION_FLAG("reverse", 'r', reverse, "the other way round"),
    OPTIONS_END,
};
const struct command command_ls = {
    .name = "ls",
    .args = "[OPTION…] [ID…|NAME…]",
    .summary = "list jobs, the newest last",
    .options = ls_options,
    .help =
        "NAME is a job's name or a pattern with * ? [ ]. Columns that are empty are left out. A\n"
        "job without a name is called by what it runs. Columns: id, state, owner, pool,\n"
        "priority, created, started, finished, time, name, command, labels, exit, error,\n"
        "why, uuid.",
    .examples = "coro ls --state failed --since 1d\n"
                "coro ls --columns id,time,exit,command --sort time 20-40\n"
                "coro ls 'nightly*' --json | jq .\n",
    .run = run,
};
