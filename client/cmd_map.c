#include <string.h>
#include <unistd.h>

#include "client/command.h"
#include "client/follow.h"
#include "client/get.h"
#include "client/interrupt.h"
#include "client/leave.h"
#include "client/map_bar.h"
#include "client/map_words.h"
#include "client/outcome.h"
#include "client/screen.h"
#include "client/text.h"
#include "client/view.h"
#include "client/words.h"
#include "proto/errors.h"
#include "proto/mem.h"

#define PATIENCE_S  120
#define PIECE_BYTES 262144
#define NO_ITEM     SIZE_MAX
#define FAILED_MAX  10 /* failed items that are named at the end */

struct map {
    struct cli *cli;
    struct conn conn;
    const struct options *options;
    struct map_words words;
    json_int_t job;
    bool *ended, *shown; /* of each item */
    size_t next;         /* -k: the item whose output comes next */
    size_t item;         /* whose output is being shown: which stream, from where */
    int stream;
    json_t *offset;
    uint64_t wait_id;
    struct leave leave;
    struct map_bar bar;
    bool said_gone, over;
};

static json_t *document(struct map *m, struct err *err)
{
    const struct options *o = m->options;
    json_t *items = json_array();
    for (size_t i = 0; i < m->words.n; i++)
        json_array_append_new(items, map_words_item(&m->words, i));
    json_t *node = json_pack("{s:[s]}", "run", "...${x}");
    json_t *main = json_pack("{s:{s:s, s:s, s:o}, s:b}", "gather", "for", "x", "in", "${items}",
                             "do", node, "return_exceptions", 1);
    int64_t limit;
    bool ok = job_options_node(&o->job, node, err);
    if (ok && o->jobs_at_once != NULL) {
        ok = text_whole(o->jobs_at_once, 1, 1000000, &limit, err);
        if (ok)
            json_object_set_new(main, "limit", json_integer(limit));
        else
            err_prefix(err, "--jobs");
    }
    if (!ok) {
        json_decref(items);
        json_decref(main);
        return NULL;
    }
    cleanup_free char *line = words_line(m->words.command, m->words.n_command, 120);
    json_t *doc = job_options_document(&o->job, main, line, err);
    if (doc == NULL)
        json_decref(items);
    else
        json_object_set_new(doc, "input", json_pack("{s:o}", "items", items));
    return doc;
}

/* The rest of one stream of the item that is shown, from m->offset on. */
static bool copy_stream(struct map *m, const char *stream, int fd, struct buf *keep,
                        struct err *err)
{
    for (bool more = true; more;) {
        json_t *params =
            json_pack("{s:I, s:I, s:s, s:O, s:i}", "id", m->job, "task", (json_int_t)m->item + 2,
                      "stream", stream, "offset", m->offset, "limit", PIECE_BYTES);
        json_t *r = conn_call(&m->conn, "log.read", params, err);
        if (r == NULL)
            return false;
        const json_t *data = json_object_get(r, "data");
        json_t *next = json_object_get(r, "next");
        struct buf bytes = {0};
        if (json_is_string(data))
            word_decode(json_string_value(data), json_string_length(data), get_text(r, "encoding"),
                        &bytes);
        if (bytes.len > 0 && keep == NULL) {
            if (fd == STDERR_FILENO || m->cli->out.tty)
                map_bar_clear(&m->bar);
            follow_write(fd, bytes.data, bytes.len);
        } else if (keep != NULL) {
            buf_add(keep, bytes.data, bytes.len);
        }
        more = bytes.len > 0 && next != NULL && !json_is_true(json_object_get(r, "eof"));
        if (more) {
            json_decref(m->offset);
            m->offset = json_incref(next);
        }
        buf_release(&bytes);
        json_decref(r);
    }
    json_decref(m->offset);
    m->offset = json_integer(0);
    return true;
}

static bool show_json(struct map *m, struct err *err)
{
    struct buf out = {0}, errors = {0};
    cleanup_free char *name = map_words_name(&m->words, m->item);

    json_decref(m->offset); /* from the start: nothing was printed yet */
    m->offset = json_integer(0);
    bool ok = copy_stream(m, "stdout", -1, &out, err) && copy_stream(m, "stderr", -1, &errors, err);
    if (ok) {
        json_t *line =
            json_pack("{s:I, s:o, s:o, s:o}", "item", (json_int_t)m->item + 1, "value",
                      word_plain(name, strlen(name)), "stdout", word_plain(out.data, out.len),
                      "stderr", word_plain(errors.data, errors.len));
        view_json(m->cli, line);
        json_decref(line);
    }
    buf_release(&out);
    buf_release(&errors);
    return ok;
}

/* Shows an item's output; when that breaks off, a second call for it goes on where it was. */
static bool show_item(struct map *m, size_t item, struct err *err)
{
    if (m->item != item) {
        m->item = item;
        m->stream = 0;
        json_decref(m->offset);
        m->offset = json_integer(0);
    }
    if (m->cli->json && !show_json(m, err))
        return false;
    for (; !m->cli->json && m->stream < 2; m->stream++) {
        if (!copy_stream(m, m->stream == 0 ? "stdout" : "stderr",
                         m->stream == 0 ? STDOUT_FILENO : STDERR_FILENO, NULL, err))
            return false;
    }
    m->item = NO_ITEM;
    m->shown[item] = true;
    return true;
}

/* Shows what has ended and was not shown, the item first that broke off. */
static bool show_ended(struct map *m, struct err *err)
{
    bool ok = m->item == NO_ITEM || show_item(m, m->item, err);
    if (m->options->keep_order) {
        for (; ok && m->next < m->words.n && m->ended[m->next]; m->next++)
            ok = m->shown[m->next] || show_item(m, m->next, err);
        return ok;
    }
    for (size_t i = 0; ok && i < m->words.n; i++)
        ok = !m->ended[i] || m->shown[i] || show_item(m, i, err);
    return ok;
}

/* An item has ended: it may be shown now, and with -k those that waited for it. */
static bool item_ended(struct map *m, size_t item, bool failed, struct err *err)
{
    if (item >= m->words.n || m->ended[item])
        return true;
    m->ended[item] = true;
    m->bar.done++;
    m->bar.failed += failed;
    map_bar_draw(&m->bar, false);
    return m->options->keep_order ? show_ended(m, err) : show_item(m, item, err);
}

/* A task's end, as an event tells it. The items' tasks come one after the other behind main's, 1.
 */
static bool on_event(struct map *m, const json_t *e, struct err *err)
{
    const char *state = get_text(e, "state"), *dot = strrchr(get_text(e, "task"), '.');
    long long task = dot != NULL ? atoll(dot + 1) : 0;

    if (get_int(e, "job") != m->job || task < 2 || strcmp(get_text(e, "type"), "task.state") != 0)
        return true;
    bool good = strcmp(state, "succeeded") == 0;
    if (!good && strcmp(state, "failed") != 0 && strcmp(state, "cancelled") != 0 &&
        strcmp(state, "lost") != 0)
        return true;
    return item_ended(m, (size_t)task - 2, !good, err);
}

/* What ended while nobody told us. */
static bool catch_up(struct map *m, struct err *err)
{
    json_t *job = conn_call(&m->conn, "job.get", json_pack("{s:I}", "id", m->job), err);
    size_t i;
    const json_t *task;
    bool ok = job != NULL;

    json_array_foreach (json_object_get(job, "tasks"), i, task) {
        json_t *e = json_pack("{s:I, s:s, s:O, s:O}", "job", m->job, "type", "task.state", "task",
                              json_object_get(task, "id"), "state", json_object_get(task, "state"));
        ok = ok && on_event(m, e, err);
        json_decref(e);
    }
    json_decref(job);
    return ok;
}

static bool subscribe(struct map *m, struct err *err)
{
    json_t *filter = json_pack("{s:{s:[s]}}", "filter", "types", "task.state");
    json_t *r = conn_call(&m->conn, "event.subscribe", filter, err);
    json_decref(r);
    return r != NULL;
}

static void await_end(struct map *m)
{
    m->wait_id =
        conn_send(&m->conn, "job.wait", json_pack("{s:[I], s:s}", "ids", m->job, "mode", "all"));
}

static bool come_back(struct map *m, struct err *err)
{
    map_bar_clear(&m->bar);
    if (!m->said_gone)
        cli_problem(m->cli, "the daemon went away; job %lld goes on, waiting for the daemon",
                    (long long)m->job);
    m->said_gone = true;
    do {
        if (!conn_reopen(&m->conn, PATIENCE_S, err))
            return false;
        if (subscribe(m, err) && show_ended(m, err) && catch_up(m, err)) {
            await_end(m);
            return true;
        }
    } while (conn_is_gone(err));
    return false;
}

static bool on_message(struct map *m, json_t *message, struct err *err)
{
    uint64_t id = conn_message_id(message);

    if (id == 0) {
        const json_t *params = json_object_get(message, "params");
        if (json_is_true(json_object_get(params, "lost")))
            return subscribe(m, err) && catch_up(m, err);
        return on_event(m, params, err);
    }
    if (id == m->wait_id && conn_result(&m->conn, message, err) == NULL)
        return false;
    m->over = id == m->wait_id;
    return true;
}

/* Until the job has ended: EXIT_OK, or why not. */
static int pump(struct map *m, struct err *err)
{
    while (!m->over) {
        json_t *message = NULL;
        bool ok = true;
        switch (conn_next(&m->conn, leave_timeout_ms(&m->leave), &message, err)) {
        case CONN_TIMEOUT:
            return EXIT_INTERRUPT;
        case CONN_INTERRUPTED:
            map_bar_clear(&m->bar);
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

static void say_failed(struct map *m, size_t item, const json_t *error)
{
    struct buf line = {0};
    cleanup_free char *name = map_words_name(&m->words, item);
    text_put_safe(&line, name, strlen(name), 60, m->cli->err.utf8);
    buf_addstr(&line, ": ");
    outcome_put_error(&m->cli->err, &line, error, 200);
    cli_problem(m->cli, "%s", buf_cstr(&line));
    buf_release(&line);
}

/* Everything about the job, after what was not shown yet: those items too that no event told of.
 * NULL: *err. */
static json_t *get_end(struct map *m, struct err *err)
{
    for (;;) {
        json_t *job = conn_call(&m->conn, "job.get", json_pack("{s:I}", "id", m->job), err);
        const json_t *value = json_object_get(job, "value");
        bool ok = job != NULL;
        for (size_t i = 0; ok && i < m->words.n; i++)
            ok = item_ended(m, i, json_object_get(json_array_get(value, i), "error") != NULL, err);
        if (ok)
            return job;
        json_decref(job);
        if (!conn_is_gone(err) || !come_back(m, err))
            return NULL;
    }
}

/* How it went: the highest status of the items. */
static int finish(struct map *m, struct err *err)
{
    json_t *job = get_end(m, err);
    if (job == NULL)
        return cli_fail(m->cli, err);
    const json_t *value = json_object_get(job, "value"), *error;
    int highest = outcome_status(job);
    size_t failed = 0;
    map_bar_clear(&m->bar);
    for (size_t i = 0; i < json_array_size(value) && i < m->words.n; i++) {
        error = json_object_get(json_array_get(value, i), "error");
        if (error == NULL)
            continue;
        int status = outcome_of_error(error);
        highest = status > highest ? status : highest;
        if (failed++ < FAILED_MAX && !m->cli->quiet)
            say_failed(m, i, error);
    }
    struct buf took = {0};
    text_put_duration(&took, view_now_s() - m->bar.started_s);
    if (failed > 0 || m->cli->err.tty)
        cli_note(m->cli, "job %lld: %zu of %zu went well, %zu failed, in %s", (long long)m->job,
                 m->words.n - failed, m->words.n, failed, buf_cstr(&took));
    buf_release(&took);
    json_decref(job);
    return highest;
}

static int run_map(struct map *m, json_t *doc)
{
    struct cli *c = m->cli;
    struct err err = {0};

    if (!conn_open(&m->conn, c, &err) ||
        !job_options_after(&m->options->job, &m->conn, doc, &err) || !subscribe(m, &err)) {
        json_decref(doc);
        return cli_fail(c, &err);
    }
    json_t *accepted = submit_document(&m->conn, doc, m->options->job.key, &err);
    if (accepted == NULL)
        return submit_refused(&m->conn, "job", NULL, 0, &err);
    m->job = get_int(accepted, "id");
    bool existing = json_is_true(json_object_get(accepted, "existing"));
    json_decref(accepted);
    map_bar_init(&m->bar, c, m->words.n);
    interrupt_catch();
    await_end(m);
    if (existing && !catch_up(m, &err))
        return cli_fail(c, &err);
    int status = pump(m, &err);
    map_bar_clear(&m->bar);
    if (status == EXIT_COROD)
        return cli_fail(c, &err);
    return status == EXIT_OK ? finish(m, &err) : status;
}

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct map m = {.cli = c, .options = o, .conn = {.fd = -1}, .item = NO_ITEM};
    struct err err = {0};
    int status = EXIT_OK;

    json_t *doc =
        map_words_read(&m.words, argc, argv, o->null_args, &err) ? document(&m, &err) : NULL;
    if (doc == NULL) {
        status = cli_usage(c, "%s", err.text);
    } else if (m.words.n == 0) {
        cli_note(c, "no values: nothing to do");
        json_decref(doc);
    } else {
        m.ended = xcalloc(m.words.n, sizeof(*m.ended));
        m.shown = xcalloc(m.words.n, sizeof(*m.shown));
        status = run_map(&m, doc);
        conn_close(&m.conn);
    }
    json_decref(m.offset);
    free(m.ended);
    free(m.shown);
    map_words_release(&m.words);
    return status;
}

static const struct option map_options[] = {
    OPTION_TEXT("jobs", 'j', jobs_at_once, "N", "at most N at once (else as the pool has slots)"),
    OPTION_FLAG("keep-order", 'k', keep_order, "output in the order of the values"),
    OPTION_FLAG("null", '0', null_args, "values on stdin end with a zero byte, not with a line"),
    OPTIONS_JOB,
    OPTIONS_END,
};
const struct command command_map = {
    .name = "map",
    .args = "[OPTION…] COMMAND [WORD…] [::: VALUE…]…",
    .summary = "one job that runs a command for each of many values",
    .takes_command = true,
    .options = map_options,
    .help =
        "In the command {} is the value, {.} without its extension, {/} its last part, {//} its\n"
        "directory, {/.} the last part without extension, {#} the item's number. Without any of\n"
        "them the value is the last word. Without ::: the values are the lines of stdin. With\n"
        "several ::: each value goes with each; {1} {2} … are those of one list.\n"
        "Each item's output comes in one piece when it has ended. The exit status is the\n"
        "highest of all items.",
    .examples = "coro map -j 4 gzip -9 {} ::: *.log\n"
                "find . -name '*.flac' -print0 | coro map -0 flac -d -o {.}.wav {}\n",
    .run = run,
};
