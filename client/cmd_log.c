#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/command.h"
#include "client/follow.h"
#include "client/get.h"
#include "client/ids.h"
#include "client/log_read.h"
#include "client/text.h"
#include "client/view.h"
#include "client/words.h"
#include "proto/mem.h"

#define PIECE_BYTES 262144

/* Keeps the last lines of what goes through it. */
struct tail {
    struct cli *cli;
    int64_t lines; /* -1: all of them */
    bool keep;     /* nothing is written yet */
    struct buf kept;
};

/* Drops what lies before the last `lines` lines. */
static void tail_trim(struct tail *t)
{
    int64_t ends = 0;
    size_t i = t->kept.len;

    if (i > 0 && t->kept.data[i - 1] == '\n')
        i--;
    for (; i > 0; i--) {
        if (t->kept.data[i - 1] == '\n' && ++ends == t->lines)
            break;
    }
    buf_consume(&t->kept, t->lines == 0 ? t->kept.len : i);
}

static void tail_put(void *arg, const struct buf *data, int64_t dropped)
{
    struct tail *t = arg;
    if (dropped > 0)
        log_note_dropped(t->cli, dropped);
    if (!t->keep) {
        follow_write(STDOUT_FILENO, data->data, data->len);
        return;
    }
    buf_add(&t->kept, data->data, data->len);
    if (t->lines >= 0 && t->kept.len > 4 * PIECE_BYTES)
        tail_trim(t);
}

static const char *stream_of(const struct options *o)
{
    if (o->prints)
        return "output";
    return o->only_stdout ? "stdout" : o->only_stderr ? "stderr" : "both";
}

/* ID or ID.TASK. */
static json_int_t which(struct conn *conn, const char *word, json_int_t *ret_task, struct err *err)
{
    const char *dot = strrchr(word, '.');
    int64_t task;

    *ret_task = 0;
    if (dot != NULL && dot > word && text_whole(dot + 1, 1, UINT32_MAX, &task, NULL)) {
        cleanup_free char *job = xstrndup(word, (size_t)(dot - word));
        if (strspn(job, "0123456789") == strlen(job) || strcmp(job, "last") == 0) {
            *ret_task = task;
            return ids_resolve_one(conn, job, err);
        }
    }
    return ids_resolve_one(conn, word, err);
}

static int show(struct conn *conn, const struct options *o, const char *word, int64_t lines)
{
    struct err err = {0};
    json_int_t task, id = which(conn, word, &task, &err);
    struct tail t = {.cli = conn->cli, .lines = lines, .keep = lines >= 0 || conn->cli->json};

    if (id == 0)
        return cli_fail(conn->cli, &err);
    if (o->follow) {
        struct follow f = {.conn = conn, .job = id, .task = task, .merge = true};
        f.streams = o->prints ? NULL : stream_of(o);
        f.prints = o->prints;
        int status = follow_run(&f, &err);
        return status == EXIT_COROD ? cli_fail(conn->cli, &err) : status;
    }
    json_t *params =
        json_pack("{s:I, s:s, s:i}", "id", id, "stream", stream_of(o), "limit", PIECE_BYTES);
    if (task > 0)
        json_object_set_new(params, "task", json_integer(task));
    bool ok = log_read(conn, params, tail_put, &t, &err);
    if (t.lines >= 0)
        tail_trim(&t);
    if (ok && conn->cli->json) {
        json_t *all = json_pack("{s:I, s:s, s:o}", "job", id, "stream", stream_of(o), "data",
                                word_plain(t.kept.data, t.kept.len));
        view_json(conn->cli, all);
        json_decref(all);
    } else {
        follow_write(STDOUT_FILENO, t.kept.data, t.kept.len);
    }
    buf_release(&t.kept);
    json_decref(params);
    return ok ? EXIT_OK : cli_fail(conn->cli, &err);
}

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    int64_t lines = -1;

    if (argc > 1)
        return cli_usage(c, "one job at a time");
    if (o->lines != NULL && !text_whole(o->lines, 0, 1000000000, &lines, &err))
        return cli_usage(c, "--lines: %s", err.text);
    if (o->follow && o->lines != NULL)
        return cli_usage(c, "-f shows everything from the start: it does not go with -n");
    if (o->only_stdout && o->only_stderr)
        return cli_usage(c, "--stdout and --stderr together are what is shown without them");
    if (!conn_open(&conn, c, &err))
        return cli_fail(c, &err);
    int status = show(&conn, o, argc > 0 ? argv[0] : "last", lines);
    conn_close(&conn);
    return status;
}

static const struct option log_options[] = {
    OPTION_FLAG("follow", 'f', follow, "go on until the job ends"),
    OPTION_FLAG("stdout", 0, only_stdout, "only what went to stdout"),
    OPTION_FLAG("stderr", 0, only_stderr, "only what went to stderr"),
    OPTION_TEXT("lines", 'n', lines, "N", "only the last N lines"),
    OPTION_FLAG("print", 0, prints, "the job's own output (`print`), not its commands'"),
    OPTIONS_END,
};
const struct command command_log = {
    .name = "log",
    .args = "[OPTION…] [ID[.TASK]]",
    .summary = "what a job's commands wrote (the last one's, unless told)",
    .options = log_options,
    .help = "Both streams come out on stdout, byte for byte as they were written.",
    .examples = "coro log -f 12\n"
                "coro log 12.3 --stderr -n 20\n",
    .run = run,
};
