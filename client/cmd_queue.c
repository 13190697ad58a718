#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/command.h"
#include "client/conn.h"
#include "client/get.h"
#include "client/queue.h"
#include "client/screen.h"
#include "client/text.h"
#include "client/view.h"
#include "proto/errors.h"
#include "proto/mem.h"

enum { PUTS_AT_ONCE = 32 }; /* a daemon takes 64 requests of a connection */

json_t *queue_params(const struct queue_options *q)
{
    json_t *params = json_pack("{s:s}", "name", q->name);
    if (q->timeout_s >= 0)
        json_object_set_new(params, "timeout", json_real(q->timeout_s));
    if (q->owner != NULL)
        json_object_set_new(params, "owner", json_string(q->owner));
    return params;
}

int queue_fail(struct cli *c, const struct err *err)
{
    cli_problem(c, "%s", err->text);
    return err->code == ERR_TIMEOUT ? EXIT_TIMEOUT : EXIT_COROD;
}

bool queue_read_options(struct queue_options *q, const struct options *o, int argc, char **argv,
                        struct err *err)
{
    *q = (struct queue_options){.timeout_s = -1, .owner = o->owner};
    if (argc == 0)
        return err_set(err, ERR_PARAMS, "which queue?");
    q->name = argv[0];
    if (o->deadline != NULL && !text_duration(o->deadline, &q->timeout_s, err)) {
        err_prefix(err, "--timeout");
        return false;
    }
    return true;
}

/* ---- ls ---- */

static char *number(json_int_t n)
{
    return n != 0 ? xasprintf("%lld", (long long)n) : NULL;
}

static void add_queue(struct table *t, const json_t *q)
{
    json_int_t size = get_int(q, "size"), maxsize = get_int(q, "maxsize");
    cleanup_free char *items = maxsize > 0
                                   ? xasprintf("%lld/%lld", (long long)size, (long long)maxsize)
                                   : xasprintf("%lld", (long long)size);
    cleanup_free char *held = number(get_int(q, "held"));
    cleanup_free char *undone = number(get_int(q, "unfinished"));
    cleanup_free char *waiting =
        number(get_int(q, "getters") + get_int(q, "putters") + get_int(q, "joiners"));
    bool shut = json_is_true(json_object_get(q, "shut_down"));
    table_add(t, STYLE_BOLD, get_text(q, "name"));
    table_add(t, STYLE_PLAIN, get_text(q, "type"));
    table_add(t, STYLE_DIM, get_text(q, "owner"));
    table_add(t, STYLE_PLAIN, items);
    table_add(t, STYLE_YELLOW, held);
    table_add(t, STYLE_PLAIN, undone);
    table_add(t, STYLE_YELLOW, waiting);
    table_add(t, STYLE_YELLOW, shut ? "shut down" : NULL);
}

static char *state_of(const json_t *o)
{
    json_int_t job = get_int(o, "job");
    if (json_object_get(o, "value") != NULL)
        return xasprintf("%lld free", (long long)get_int(o, "value"));
    if (json_is_true(json_object_get(o, "set")))
        return xstrdup("set");
    if (json_object_get(o, "parties") != NULL)
        return xasprintf("%lld parties", (long long)get_int(o, "parties"));
    if (!json_is_true(json_object_get(o, "locked")))
        return NULL;
    return job != 0 ? xasprintf("locked by job %lld", (long long)job) : xstrdup("locked");
}

static void add_other(struct table *t, const json_t *o)
{
    cleanup_free char *waiting = number(get_int(o, "waiting")), *state = state_of(o);
    table_add(t, STYLE_BOLD, get_text(o, "name"));
    table_add(t, STYLE_PLAIN, get_text(o, "type"));
    table_add(t, STYLE_DIM, get_text(o, "owner"));
    for (int i = 0; i < 3; i++)
        table_add(t, STYLE_PLAIN, NULL);
    table_add(t, STYLE_YELLOW, waiting);
    table_add(t, STYLE_PLAIN, state);
}

static void view(struct cli *c, const json_t *result)
{
    static const char *const heads[] = {"NAME",  "TYPE",    "OWNER",    ">ITEMS",
                                        ">HELD", ">UNDONE", ">WAITING", "STATE"};
    struct table t;
    size_t i;
    const json_t *one;
    table_init(&t, &c->out, ARRAY_LEN(heads), heads, 0);
    json_array_foreach (json_object_get(result, "queues"), i, one)
        add_queue(&t, one);
    json_array_foreach (json_object_get(result, "others"), i, one)
        add_other(&t, one);
    if (json_array_size(json_object_get(result, "queues")) +
            json_array_size(json_object_get(result, "others")) ==
        0)
        cli_note(c, "no queues");
    table_print(&t, true);
}

static int ls(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    (void)argv;

    if (argc != 0)
        return cli_usage(c, "`queue ls` takes no names");
    if (!conn_open(&conn, c, &err))
        return cli_fail(c, &err);
    json_t *params = json_object();
    if (o->owner != NULL)
        json_object_set_new(params, "owner", json_string(o->owner));
    json_t *result = conn_call(&conn, "queue.list", params, &err);
    int status = result != NULL ? EXIT_OK : cli_fail(c, &err);
    if (result != NULL && c->json)
        view_json(c, result);
    else if (result != NULL)
        view(c, result);
    json_decref(result);
    conn_close(&conn);
    return status;
}

/* ---- put ---- */

struct putting {
    struct conn *conn;
    const struct queue_options *q;
    bool nowait;
    uint64_t under_way[PUTS_AT_ONCE]; /* a ring of requests */
    size_t first, n;
};

static bool await_first(struct putting *p, struct err *err)
{
    json_t *result = conn_reply(p->conn, p->under_way[p->first], err);
    p->first = (p->first + 1) % PUTS_AT_ONCE;
    p->n--;
    json_decref(result);
    return result != NULL;
}

static bool put_one(struct putting *p, const char *text, size_t len, struct err *err)
{
    json_error_t why;
    json_t *value =
        p->conn->cli->json ? json_loadb(text, len, JSON_DECODE_ANY, &why) : json_stringn(text, len);
    if (value == NULL)
        return err_set(err, ERR_PARAMS, "\"%.100s\" is no %s", text,
                       p->conn->cli->json ? "JSON" : "UTF-8");
    if (p->n == PUTS_AT_ONCE && !await_first(p, err)) {
        json_decref(value);
        return false;
    }
    json_t *params = queue_params(p->q);
    json_object_set_new(params, "value", value);
    if (p->nowait)
        json_object_set_new(params, "nowait", json_true());
    p->under_way[(p->first + p->n++) % PUTS_AT_ONCE] = conn_send(p->conn, "queue.put", params);
    return true;
}

static bool await_all(struct putting *p, struct err *err)
{
    while (p->n > 0)
        if (!await_first(p, err))
            return false;
    return true;
}

/* The whole lines of text go; last: what is left is one too. */
static bool put_text(struct putting *p, struct buf *text, bool last, struct err *err)
{
    size_t at = 0;
    for (const char *end; (end = memchr(text->data + at, '\n', text->len - at)) != NULL;) {
        size_t to = (size_t)(end - text->data);
        text->data[to] = '\0';
        if (!put_one(p, text->data + at, to - at, err))
            return false;
        at = to + 1;
    }
    buf_consume(text, at);
    return !last || text->len == 0 || put_one(p, buf_cstr(text), text->len, err);
}

/* What has come is there before more is waited for. */
static bool put_lines(struct putting *p, struct err *err)
{
    struct buf text = {0};
    bool ok = true;
    for (ssize_t n = 1; ok && n > 0;) {
        size_t room = (size_t)64 * 1024;
        n = read(STDIN_FILENO, buf_reserve(&text, room), room);
        if (n < 0)
            ok = err_errno(err, "stdin");
        else
            text.len += (size_t)n;
        ok = ok && (text.len == 0 || put_text(p, &text, n == 0, err)) && await_all(p, err);
    }
    buf_release(&text);
    return ok;
}

static int put(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    struct queue_options q;

    if (!queue_read_options(&q, o, argc, argv, &err))
        return cli_usage(c, "%s", err.text);
    if (argc < 2)
        return cli_usage(c, "which values? `-` takes the lines of stdin");
    if (!conn_open(&conn, c, &err))
        return cli_fail(c, &err);
    struct putting p = {.conn = &conn, .q = &q, .nowait = o->nowait};
    bool ok = true;
    for (int i = 1; ok && i < argc; i++)
        ok = strcmp(argv[i], "-") == 0 ? put_lines(&p, &err)
                                       : put_one(&p, argv[i], strlen(argv[i]), &err);
    ok = ok && await_all(&p, &err);
    conn_close(&conn);
    return ok ? EXIT_OK : queue_fail(c, &err);
}

/* ---- join, shutdown, rm ---- */

/* One call with the options' parameters and perhaps a true one more. */
static int call(struct cli *c, const struct options *o, int argc, char **argv, const char *method,
                const char *flag)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    struct queue_options q;

    if (!queue_read_options(&q, o, argc, argv, &err))
        return cli_usage(c, "%s", err.text);
    if (!conn_open(&conn, c, &err))
        return cli_fail(c, &err);
    int status = EXIT_OK;
    for (int i = 0; status == EXIT_OK && i < argc; i++) {
        q.name = argv[i];
        json_t *params = queue_params(&q);
        if (flag != NULL)
            json_object_set_new(params, flag, json_true());
        json_t *result = conn_call(&conn, method, params, &err);
        status = result != NULL ? EXIT_OK : queue_fail(c, &err);
        json_decref(result);
    }
    conn_close(&conn);
    return status;
}

static int join(struct cli *c, const struct options *o, int argc, char **argv)
{
    return call(c, o, argc, argv, "queue.join", NULL);
}

static int shut(struct cli *c, const struct options *o, int argc, char **argv)
{
    return call(c, o, argc, argv, "queue.shutdown", o->immediate ? "immediate" : NULL);
}

static int rm(struct cli *c, const struct options *o, int argc, char **argv)
{
    return call(c, o, argc, argv, "queue.remove", o->force ? "force" : NULL);
}

static const struct option ls_options[] = {OPTION_QUEUE_OWNER, OPTIONS_END};
const struct command command_queue_ls = {
    .name = "queue ls",
    .args = "",
    .summary = "queues, locks and their like that have names",
    .options = ls_options,
    .run = ls,
};
static const struct option put_options[] = {
    OPTION_QUEUE_TIMEOUT,
    OPTION_FLAG("no-wait", 0, nowait, "an error when it is full"),
    OPTION_QUEUE_OWNER,
    OPTIONS_END,
};
const struct command command_queue_put = {
    .name = "queue put",
    .args = "[OPTION…] NAME VALUE…",
    .summary = "put items into a named queue",
    .options = put_options,
    .help = "A queue that is not there is made. Values are strings; with --json they are JSON.\n"
            "`-` stands for the lines of stdin.",
    .examples = "coro queue put orders a b c\n"
                "seq 10 | coro queue put orders --json -\n",
    .run = put,
};
static const struct option join_options[] = {OPTION_QUEUE_TIMEOUT, OPTION_QUEUE_OWNER, OPTIONS_END};
const struct command command_queue_join = {
    .name = "queue join",
    .args = "[OPTION…] NAME…",
    .summary = "wait until all items are dealt with",
    .options = join_options,
    .run = join,
};
static const struct option shutdown_options[] = {
    OPTION_FLAG("immediate", 0, immediate, "what is in it goes away"),
    OPTION_QUEUE_OWNER,
    OPTIONS_END,
};
const struct command command_queue_shutdown = {
    .name = "queue shutdown",
    .args = "[OPTION…] NAME…",
    .summary = "nothing more can be put; who gets is told when it is empty",
    .options = shutdown_options,
    .run = shut,
};
static const struct option rm_options[] = {
    OPTION_FLAG("force", 'f', force, "also with items, or when somebody uses it"),
    OPTION_QUEUE_OWNER,
    OPTIONS_END,
};
const struct command command_queue_rm = {
    .name = "queue rm",
    .args = "[-f] NAME…",
    .summary = "remove a named queue, lock or the like",
    .options = rm_options,
    .run = rm,
};
