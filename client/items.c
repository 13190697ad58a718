#include "client/items.h"

#include <string.h>

#include "client/get.h"
#include "client/interrupt.h"
#include "client/items_show.h"
#include "client/outcome.h"
#include "client/screen.h"
#include "client/text.h"
#include "client/view.h"
#include "client/words.h"
#include "proto/errors.h"
#include "proto/mem.h"

#define PATIENCE_S 120
#define PAGE       1000 /* of job.ends and job.attempts */
#define FAILED_MAX 10   /* failed items that are named at the end */
#define TELL_S     5    /* between lines of progress */

static void tell(struct items *m)
{
    double now = view_now_s();
    struct buf line = {0};

    live_draw(&m->live, m->live.done == m->live.total);
    if (!m->progress || m->live.enabled || now - m->told_s < TELL_S)
        return;
    m->told_s = now;
    live_put_progress(&m->live, &line);
    cli_note(m->cli, "%s", buf_cstr(&line));
    buf_release(&line);
}

/* An item has ended: it may be shown now, and in keep_order those that waited for it. */
static bool item_ended(struct items *m, size_t i, bool failed, struct err *err)
{
    if (m->all[i].ended)
        return true;
    m->all[i].ended = true;
    m->all[i].failed = failed;
    m->live.done++;
    m->live.failed += failed;
    live_end(&m->live, m->first_task + i);
    bool ok = m->keep_order ? items_show_ended(m, err) : items_show(m, i, err);
    tell(m);
    return ok;
}

/* What happens to items, as events tell it. */

/* The item of a task id "JOB.N"; false: it is none's. */
static bool item_of(const struct items *m, const char *task, size_t *ret)
{
    const char *dot = strrchr(task, '.');
    long long number = dot != NULL ? atoll(dot + 1) : 0;

    if (number < (long long)m->first_task || (size_t)(number - m->first_task) >= m->n)
        return false;
    *ret = (size_t)(number - m->first_task);
    return true;
}

static void add_attempt(struct items *m, size_t i, uint64_t number)
{
    struct item *item = &m->all[i];

    if (number == 0 || item->shown ||
        (item->n_attempts > 0 && item->attempts[item->n_attempts - 1] >= number))
        return;
    item->attempts = xrealloc(item->attempts, (item->n_attempts + 1) * sizeof(*item->attempts));
    item->attempts[item->n_attempts++] = number;
}

static void item_began(struct items *m, size_t i)
{
    if (!m->live.enabled)
        return;
    cleanup_free char *name = m->name(m->arg, i);
    live_begin(&m->live, m->first_task + i, name);
    live_draw(&m->live, false);
}

static bool on_state(struct items *m, size_t i, const char *state, struct err *err)
{
    bool good = strcmp(state, "succeeded") == 0;

    if (!good && strcmp(state, "failed") != 0 && strcmp(state, "cancelled") != 0 &&
        strcmp(state, "lost") != 0)
        return true;
    return item_ended(m, i, !good, err);
}

static bool on_event(struct items *m, const json_t *e, struct err *err)
{
    const char *type = get_text(e, "type");
    size_t i;

    if (get_int(e, "job") != m->job || !item_of(m, get_text(e, "task"), &i))
        return true;
    if (strcmp(type, "task.state") == 0)
        return on_state(m, i, get_text(e, "state"), err);
    add_attempt(m, i, (uint64_t)get_int(e, "attempt"));
    if (strcmp(type, "attempt.started") == 0)
        item_began(m, i);
    return true;
}

static void on_log(struct items *m, const json_t *params)
{
    const json_t *data = json_object_get(params, "data");
    struct buf bytes = {0};
    size_t i;

    if (!json_is_string(data) || !item_of(m, get_text(params, "task"), &i))
        return;
    word_decode(json_string_value(data), json_string_length(data), get_text(params, "encoding"),
                &bytes);
    live_output(&m->live, m->first_task + i, bytes.data, bytes.len);
    buf_release(&bytes);
    live_draw(&m->live, false);
}

/* Calls each() for every member of every page of a method's list. */
static bool each_page(struct items *m, const char *method, const char *list,
                      bool (*each)(struct items *m, const json_t *member, void *arg,
                                   struct err *err),
                      void *arg, struct err *err)
{
    json_int_t after = 0;

    for (bool more = true, ok = true; more;) {
        json_t *r = conn_call(
            &m->conn, method,
            json_pack("{s:I, s:I, s:i}", "id", m->job, "after", after, "limit", PAGE), err);
        if (r == NULL)
            return false;
        size_t i;
        const json_t *member;
        json_array_foreach (json_object_get(r, list), i, member)
            ok = ok && each(m, member, arg, err);
        more = ok && json_object_get(r, "next") != NULL;
        after = get_int(r, "next");
        json_decref(r);
        if (!ok)
            return false;
    }
    return true;
}

static bool keep_end(struct items *m, const json_t *end, void *arg, struct err *err)
{
    (void)m, (void)err;
    json_array_append(arg, (json_t *)(uintptr_t)end);
    return true;
}

static bool keep_attempt(struct items *m, const json_t *attempt, void *arg, struct err *err)
{
    size_t i;
    (void)arg, (void)err;
    if (item_of(m, get_text(attempt, "task"), &i)) {
        add_attempt(m, i, (uint64_t)get_int(attempt, "number"));
        if (json_is_null(json_object_get(attempt, "finished")))
            item_began(m, i);
    }
    return true;
}

/* What happened while nobody told us. An end that is seen has its commands on disk: those are read
 * behind it. */
static bool catch_up(struct items *m, struct err *err)
{
    json_t *ends = json_array();
    size_t k, i;
    const json_t *end;
    bool ok = each_page(m, "job.ends", "ends", keep_end, ends, err) &&
              each_page(m, "job.attempts", "attempts", keep_attempt, NULL, err);

    json_array_foreach (ends, k, end) {
        if (ok && item_of(m, get_text(end, "task"), &i))
            ok = on_state(m, i, get_text(end, "state"), err);
    }
    json_decref(ends);
    return ok;
}

/* Connections. */

static bool subscribe(struct items *m, struct err *err)
{
    json_t *filter = json_pack("{s:{s:I, s:[s, s, s]}}", "filter", "job", m->job, "types",
                               "task.state", "attempt.started", "attempt.ended");
    json_t *r = conn_call(&m->conn, "event.subscribe", filter, err);

    if (r == NULL)
        return false;
    json_decref(m->subscription);
    m->subscription = json_incref(json_object_get(r, "subscription"));
    json_decref(r);
    return catch_up(m, err);
}

static void await_end(struct items *m)
{
    m->wait_id =
        conn_send(&m->conn, "job.wait", json_pack("{s:[I], s:s}", "ids", m->job, "mode", "all"));
    json_decref(m->follow);
    m->follow = NULL;
    if (m->live.enabled)
        m->follow_id = conn_send(&m->conn, "log.follow",
                                 json_pack("{s:I, s:s}", "id", m->job, "stream", "both"));
}

static bool come_back(struct items *m, struct err *err)
{
    live_clear(&m->live);
    if (!m->said_gone)
        cli_problem(m->cli, "the daemon went away; job %lld goes on, waiting for the daemon",
                    (long long)m->job);
    m->said_gone = true;
    do {
        if (!conn_reopen(&m->conn, PATIENCE_S, err))
            return false;
        m->leave.cancel_id = 0;
        if (items_show_ended(m, err) && subscribe(m, err)) {
            await_end(m);
            return true;
        }
    } while (conn_is_gone(err));
    return false;
}

static bool on_notification(struct items *m, const json_t *params, struct err *err)
{
    const json_t *subscription = json_object_get(params, "subscription");
    bool lost = json_is_true(json_object_get(params, "lost"));

    if (m->follow != NULL && json_equal(m->follow, subscription)) {
        on_log(m, params); /* when that is lost, last lines are missing */
        return true;
    }
    if (m->subscription == NULL || !json_equal(m->subscription, subscription))
        return true;
    return lost ? subscribe(m, err) : on_event(m, params, err);
}

static bool on_message(struct items *m, json_t *message, struct err *err)
{
    uint64_t id = conn_message_id(message);

    if (id == 0)
        return on_notification(m, json_object_get(message, "params"), err);
    if (id == m->follow_id)
        m->follow =
            json_incref(json_object_get(json_object_get(message, "result"), "subscription"));
    if (id == m->wait_id && conn_result(&m->conn, message, err) == NULL)
        return false;
    m->over |= id == m->wait_id;
    return true;
}

/* Until the job has ended: EXIT_OK, or why not. */
static int pump(struct items *m, struct err *err)
{
    while (!m->over) {
        json_t *message = NULL;
        bool ok = true;
        int timeout_ms = leave_timeout_ms(&m->leave, live_timeout_ms(&m->live));
        switch (conn_next(&m->conn, timeout_ms, &message, err)) {
        case CONN_TIMEOUT:
            if (leave_is_due(&m->leave))
                return EXIT_INTERRUPT;
            tell(m);
            break;
        case CONN_INTERRUPTED:
            live_clear(&m->live);
            if (leave_interrupted(&m->leave, &m->conn, m->job))
                return EXIT_INTERRUPT;
            break;
        case CONN_GONE:
            ok = come_back(m, err);
            break;
        case CONN_MESSAGE:
            ok = on_message(m, message, err);
            json_decref(message);
            break;
        }
        if (!ok && conn_is_gone(err))
            ok = come_back(m, err);
        if (!ok)
            return EXIT_COROD;
    }
    return EXIT_OK;
}

/* The end. */

struct report {
    size_t failed, skipped; /* skipped: not started because of the others */
    int highest;
};

static bool on_last_end(struct items *m, const json_t *end, void *arg, struct err *err)
{
    struct report *r = arg;
    const json_t *error = json_object_get(end, "error");
    const char *state = get_text(end, "state");
    size_t i;
    struct buf line = {0};

    (void)err;
    if (!item_of(m, get_text(end, "task"), &i) || strcmp(state, "succeeded") == 0)
        return true;
    if (strcmp(get_text(error, "type"), ITEM_HALTED) == 0) {
        r->skipped++;
        return true;
    }
    bool cancelled = strcmp(state, "cancelled") == 0;
    int status = cancelled ? EXIT_INTERRUPT : outcome_of_error(error);
    if (m->group && cancelled)
        return true; /* because of another, or the whole job was */
    if (status > r->highest && !(m->group && r->highest > 0))
        r->highest = status;
    if (r->failed++ >= FAILED_MAX || m->cli->quiet)
        return true;
    cleanup_free char *name = m->name(m->arg, i);
    text_put_safe(&line, name, strlen(name), 60, m->cli->err.utf8);
    buf_addstr(&line, ": ");
    if (json_is_object(error))
        outcome_put_error(&m->cli->err, &line, error, 200);
    else
        buf_addstr(&line, state);
    cli_problem(m->cli, "%s", buf_cstr(&line));
    buf_release(&line);
    return true;
}

static int highest_of(const struct report *r, const json_t *job)
{
    int status = outcome_status(job);
    /* A group ends with an error around those of its items: they say more. */
    if (r->failed > 0 && status == EXIT_OTHER)
        status = EXIT_OK;
    return r->highest > status ? r->highest : status;
}

/* Shows what no event told of, and how it went. */
static int finish(struct items *m, struct err *err)
{
    struct report r = {0};
    json_t *job = NULL;

    for (;;) {
        bool ok = catch_up(m, err) && items_show_ended(m, err);
        if (ok)
            job = conn_call(&m->conn, "job.get", json_pack("{s:I}", "id", m->job), err);
        live_clear(&m->live);
        if (job != NULL && each_page(m, "job.ends", "ends", on_last_end, &r, err))
            break;
        json_decref(job);
        job = NULL;
        r = (struct report){0};
        if (!conn_is_gone(err) || !come_back(m, err))
            return cli_fail(m->cli, err);
    }
    int status = highest_of(&r, job);
    struct buf took = {0};
    cleanup_free char *skipped = xasprintf(", %zu not started", r.skipped);
    text_put_duration(&took, view_now_s() - m->live.started_s);
    if (r.failed > 0 || m->cli->err.tty)
        cli_note(m->cli, "job %lld: %zu of %zu went well, %zu failed%s, in %s", (long long)m->job,
                 m->live.done - m->live.failed, m->n, r.failed, r.skipped > 0 ? skipped : "",
                 buf_cstr(&took));
    buf_release(&took);
    json_decref(job);
    return status;
}

static int show_all(struct items *m, struct err *err)
{
    bool ok = subscribe(m, err);
    if (!ok && conn_is_gone(err))
        ok = come_back(m, err);
    else if (ok)
        await_end(m);
    int status = ok ? pump(m, err) : EXIT_COROD;
    live_clear(&m->live);
    if (status == EXIT_COROD)
        return cli_fail(m->cli, err);
    return status == EXIT_OK ? finish(m, err) : status;
}

int items_run(struct items *m, json_t *document)
{
    struct err err = {0};
    int status;

    m->shown = ITEM_NONE;
    m->conn.fd = -1;
    if (!conn_open(&m->conn, m->cli, &err) ||
        !job_options_after(m->options, &m->conn, document, &err)) {
        conn_close(&m->conn);
        json_decref(document);
        return cli_fail(m->cli, &err);
    }
    json_t *accepted = submit_document(&m->conn, document, m->options->key, &err);
    if (accepted == NULL) {
        status = submit_refused(&m->conn, "job", NULL, 0, &err);
    } else {
        m->job = get_int(accepted, "id");
        json_decref(accepted);
        m->all = xcalloc(m->n, sizeof(*m->all));
        live_init(&m->live, m->cli, m->n);
        m->told_s = m->live.started_s;
        interrupt_catch();
        status = show_all(m, &err);
        live_release(&m->live);
        for (size_t i = 0; i < m->n; i++)
            free(m->all[i].attempts);
        free(m->all);
    }
    json_decref(m->reading);
    json_decref(m->subscription);
    json_decref(m->follow);
    conn_close(&m->conn);
    return status;
}
