/*
 * `coro queue get`: an item is acknowledged once it was written, or once its command has ended
 * well. Should this program end before, the daemon gives the item to somebody else.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/command.h"
#include "client/conn.h"
#include "client/get.h"
#include "client/queue.h"
#include "client/spawn.h"
#include "client/text.h"
#include "proto/buf.h"
#include "proto/errors.h"
#include "proto/mem.h"

#define PATIENCE_S 120

struct getting {
    struct cli *cli;
    struct conn conn;
    struct queue_options q;
    bool nowait;
    char **command; /* NULL: the values are printed */
    int n_command;
};

/* The next item. Nothing is held while it waits, so a daemon that starts again is waited for. */
static json_t *next(struct getting *g, struct err *err)
{
    for (bool said = false;; said = true) {
        json_t *params = queue_params(&g->q);
        if (g->nowait)
            json_object_set_new(params, "nowait", json_true());
        json_t *result = conn_call(&g->conn, "queue.get", params, err);
        if (result != NULL || !conn_is_gone(err))
            return result;
        if (!said)
            cli_problem(g->cli, "the daemon went away, waiting for it");
        if (!conn_reopen(&g->conn, PATIENCE_S, err))
            return NULL;
    }
}

static int done(struct getting *g, const json_t *item, struct err *err)
{
    json_t *params = queue_params(&g->q);
    json_object_del(params, "timeout");
    json_object_set(params, "item", json_object_get(item, "item"));
    json_t *result = conn_call(&g->conn, "queue.done", params, err);
    json_decref(result);
    if (result == NULL)
        err_prefix(err, "the item will be given again");
    return result != NULL ? EXIT_OK : cli_fail(g->cli, err);
}

/* A string as it is, else JSON. */
static void put_text(const struct getting *g, struct buf *out, const json_t *value)
{
    if (json_is_string(value) && !g->cli->json) {
        buf_add(out, json_string_value(value), json_string_length(value));
        return;
    }
    cleanup_free char *text =
        json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17));
    buf_addstr(out, text != NULL ? text : "null");
}

static int print(const struct getting *g, const json_t *value)
{
    struct buf line = {0};
    put_text(g, &line, value);
    buf_addch(&line, '\n');
    bool ok = fwrite(line.data, 1, line.len, stdout) == line.len && fflush(stdout) == 0;
    buf_release(&line);
    if (ok)
        return EXIT_OK;
    cli_problem(g->cli, "stdout cannot be written: %s", strerror(errno));
    return EXIT_COROD;
}

/* A word of the command with the value for each {}. */
static char *fill_in(const char *word, const char *value, bool *used)
{
    struct buf b = {0};
    for (const char *p; (p = strstr(word, "{}")) != NULL; word = p + 2) {
        buf_add(&b, word, (size_t)(p - word));
        buf_addstr(&b, value);
        *used = true;
    }
    buf_addstr(&b, word);
    return buf_steal(&b);
}

/* Runs the command; its exit status as a shell has it. */
static int run_command(const struct getting *g, const json_t *value)
{
    struct buf text = {0};
    struct err err;
    bool used = false;
    put_text(g, &text, value);
    char **argv = xcalloc((size_t)g->n_command + 2, sizeof *argv);
    for (int i = 0; i < g->n_command; i++)
        argv[i] = fill_in(g->command[i], buf_cstr(&text), &used);
    if (!used)
        argv[g->n_command] = xstrdup(buf_cstr(&text));
    fflush(stdout);
    int status = spawn_status((const char *const *)argv, &err);
    if (status < 0) {
        cli_problem(g->cli, "%s", err.text);
        status = err.code == ENOENT ? 127 : 126;
    }
    for (char **a = argv; *a != NULL; a++)
        free(*a);
    free(argv);
    buf_release(&text);
    return status;
}

static int get_all(struct getting *g, int64_t n)
{
    struct err err = {0};
    int status = EXIT_OK;
    for (int64_t i = 0; status == EXIT_OK && (n == 0 || i < n); i++) {
        json_t *item = next(g, &err);
        if (item == NULL) /* without a number: until there is nothing more to come */
            return n == 0 && err.code == ERR_STATE ? EXIT_OK : queue_fail(g->cli, &err);
        const json_t *value = json_object_get(item, "value");
        status = g->command != NULL ? run_command(g, value) : print(g, value);
        if (status == EXIT_OK)
            status = done(g, item, &err);
        json_decref(item);
    }
    return status;
}

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct getting g = {.cli = c, .conn = {.fd = -1}, .nowait = o->nowait};
    struct err err = {0};
    int64_t n = 1;

    if (!queue_read_options(&g.q, o, argc, argv, &err) ||
        (o->lines != NULL && !text_whole(o->lines, 0, INT64_MAX, &n, &err) &&
         !err_prefix(&err, "--lines")))
        return cli_usage(c, "%s", err.text);
    if (argc > 1) {
        g.command = argv + 1;
        g.n_command = argc - 1;
    }
    if (!conn_open(&g.conn, c, &err))
        return cli_fail(c, &err);
    int status = get_all(&g, n);
    conn_close(&g.conn);
    return status;
}

static const struct option get_options[] = {
    OPTION_TEXT("lines", 'n', lines, "N", "so many items; 0: all, until it is shut down"),
    OPTION_QUEUE_TIMEOUT,
    OPTION_FLAG("no-wait", 0, nowait, "an error when it is empty"),
    OPTION_QUEUE_OWNER,
    OPTIONS_END,
};
const struct command command_queue_get = {
    .name = "queue get",
    .args = "[OPTION…] NAME [-- COMMAND {}]",
    .summary = "take items from a named queue",
    .options = get_options,
    .help = "Prints an item: a string as it is, else JSON; with --json always JSON.\n"
            "With a command, runs it with the item in place of {}, or behind its words. When it\n"
            "fails, the item goes back to its place, and its status is this one's.",
    .examples = "coro queue get orders\n"
                "coro queue get -n 0 orders -- ./work {}\n",
    .run = run,
};
