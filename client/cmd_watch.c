#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/command.h"
#include "client/conn.h"
#include "client/get.h"
#include "client/screen.h"
#include "client/term.h"
#include "client/view.h"
#include "client/watch.h"
#include "client/words.h"
#include "proto/mem.h"

#define JOBS_MAX  200
#define TICK_MS   1000 /* the times that are shown go on */
#define DRAW_MS   40   /* between two pictures */
#define ASK_S     0.1  /* between two questions about the same, */
#define ASK_TIMES 10   /* or so many times as long as the last answer took */
#define RETRY_S   1.0  /* a daemon that is away is looked for so often */

/* Something that is asked again when an event says that it changed. */
struct fresh {
    uint64_t id; /* of the request under way; 0: none */
    bool stale;
    double asked_s, pause_s;
};

struct loop {
    struct watch watch;
    struct cli *cli;
    struct conn conn;
    bool open;
    double tried_s, drawn_s;
    struct fresh jobs, pools, tree;
    uint64_t events_id, act_id, follow_ids[2];
    json_t *follows[2];           /* subscriptions: what its commands write, what it prints */
    json_int_t log_job, log_task; /* what they are of */
    bool changed;
};

/* Asks the daemon. */

static void all_stale(struct loop *l)
{
    l->jobs = l->pools = l->tree = (struct fresh){.stale = true};
}

static bool due(struct fresh *f, double now)
{
    if (!f->stale || f->id != 0 || now - f->asked_s < f->pause_s)
        return false;
    f->stale = false;
    f->asked_s = now;
    return true;
}

/* Its answer is here: what is dear is asked less often. */
static void answered(struct fresh *f)
{
    double took = view_now_s() - f->asked_s;
    f->id = 0;
    f->pause_s = took * ASK_TIMES > ASK_S ? took * ASK_TIMES : ASK_S;
}

static void unfollow(struct loop *l)
{
    for (size_t i = 0; i < 2; i++) {
        if (l->follows[i] != NULL)
            conn_send(&l->conn, "subscription.cancel",
                      json_pack("{s:O}", "subscription", l->follows[i]));
        json_decref(l->follows[i]);
        l->follows[i] = NULL;
        l->follow_ids[i] = 0;
    }
}

/* The output of what is chosen now. */
static void follow(struct loop *l)
{
    struct watch *w = &l->watch;
    json_int_t task = watch_log_task(w);

    if (l->log_job == w->job && l->log_task == task)
        return;
    unfollow(l);
    buf_clear(&w->log);
    l->log_job = w->job;
    l->log_task = task;
    if (w->job == 0)
        return;
    json_t *params = json_pack("{s:I, s:s}", "id", w->job, "stream", "both");
    if (task != 0)
        json_object_set_new(params, "task", json_integer(task));
    l->follow_ids[0] = conn_send(&l->conn, "log.follow", params);
    if (task == 0)
        l->follow_ids[1] = conn_send(&l->conn, "log.follow",
                                     json_pack("{s:I, s:s}", "id", w->job, "stream", "output"));
}

static void ask(struct loop *l)
{
    double now = view_now_s();

    if (due(&l->jobs, now))
        l->jobs.id = conn_send(&l->conn, "job.list", json_pack("{s:i}", "limit", JOBS_MAX));
    if (due(&l->pools, now))
        l->pools.id = conn_send(&l->conn, "pool.list", NULL);
    if (l->watch.job != 0 && l->watch.tree == NULL && l->tree.id == 0)
        l->tree = (struct fresh){.stale = true}; /* of another job */
    if (l->watch.job != 0 && due(&l->tree, now))
        l->tree.id = conn_send(&l->conn, "job.tree", json_pack("{s:I}", "id", l->watch.job));
    follow(l);
}

static bool is_stale(const struct loop *l)
{
    return l->jobs.stale || l->pools.stale || l->tree.stale;
}

/* Takes what it says. */

static void on_log(struct loop *l, const json_t *params)
{
    const json_t *data = json_object_get(params, "data");
    struct buf bytes = {0};

    if (!json_is_string(data))
        return;
    word_decode(json_string_value(data), json_string_length(data), get_text(params, "encoding"),
                &bytes);
    watch_add_log(&l->watch, bytes.data, bytes.len);
    buf_release(&bytes);
}

static void on_event(struct loop *l, const json_t *params)
{
    const char *type = get_text(params, "type");

    if (strncmp(type, "job.", 4) == 0)
        l->jobs.stale = true;
    if (strncmp(type, "job.", 4) == 0 || strncmp(type, "attempt.", 8) == 0)
        l->pools.stale = true;
    if (get_int(params, "job") == l->watch.job)
        l->tree.stale = true;
}

static void subscribe(struct loop *l)
{
    l->events_id = conn_send(&l->conn, "event.subscribe", NULL);
}

static void on_notification(struct loop *l, const json_t *message)
{
    const json_t *params = json_object_get(message, "params");
    const json_t *subscription = json_object_get(params, "subscription");
    bool log = strcmp(get_text(message, "method"), "log") == 0;
    bool lost = json_is_true(json_object_get(params, "lost"));

    if (log && lost) {
        l->log_job = -1; /* begins again */
    } else if (log) {
        for (size_t i = 0; i < 2; i++) {
            if (l->follows[i] != NULL && json_equal(l->follows[i], subscription))
                on_log(l, params);
        }
    } else if (lost) {
        subscribe(l);
        l->jobs.stale = l->pools.stale = l->tree.stale = true;
    } else {
        on_event(l, params);
    }
}

static void on_reply(struct loop *l, json_t *message)
{
    uint64_t id = conn_message_id(message);
    struct err err = {0};
    json_t *result = conn_result(&l->conn, message, &err);

    for (size_t i = 0; i < 2; i++) {
        if (id == l->follow_ids[i] && result != NULL)
            l->follows[i] = json_incref(json_object_get(result, "subscription"));
    }
    if (id == l->jobs.id) {
        answered(&l->jobs);
        if (result != NULL)
            watch_set_jobs(&l->watch, json_object_get(result, "jobs"));
    } else if (id == l->pools.id) {
        answered(&l->pools);
        json_decref(l->watch.pools);
        l->watch.pools = json_incref(json_object_get(result, "pools"));
    } else if (id == l->tree.id) {
        answered(&l->tree);
        if (result != NULL)
            watch_set_tree(&l->watch, result);
    } else if (id == l->act_id && result == NULL) {
        watch_say(&l->watch, err.text);
    }
}

/* All that has come. */
static void take(struct loop *l)
{
    struct err err;
    for (;;) {
        json_t *message = NULL;
        enum conn_got got = conn_next(&l->conn, 0, &message, &err);
        if (got == CONN_GONE) {
            conn_close(&l->conn);
            l->open = false;
            l->tried_s = view_now_s();
            for (size_t i = 0; i < 2; i++) {
                json_decref(l->follows[i]);
                l->follows[i] = NULL;
            }
            l->changed = true;
        }
        if (got != CONN_MESSAGE)
            return;
        if (conn_message_id(message) == 0)
            on_notification(l, message);
        else
            on_reply(l, message);
        json_decref(message);
        l->changed = true;
    }
}

static bool come_back(struct loop *l, struct err *err)
{
    l->tried_s = view_now_s();
    l->open = conn_open(&l->conn, l->cli, err);
    l->watch.away = !l->open;
    if (!l->open)
        return false;
    all_stale(l);
    l->log_job = -1;
    subscribe(l);
    l->changed = true;
    return true;
}

/* Keys and the screen. */

static void on_key(struct loop *l, int key)
{
    struct watch_action action;

    l->changed |= watch_key(&l->watch, key, &action);
    if (action.method == NULL)
        return;
    if (l->open)
        l->act_id = conn_send(&l->conn, action.method, action.params);
    else
        json_decref(action.params);
}

static void draw(struct loop *l)
{
    struct canvas canvas;
    unsigned rows, columns;

    l->watch.away = !l->open;
    term_size(&rows, &columns);
    canvas_init(&canvas, &l->cli->out, rows, columns);
    watch_draw(&l->watch, &canvas, view_now_s());
    term_show(&canvas);
    canvas_release(&canvas);
    l->changed = false;
    l->drawn_s = view_now_s();
}

/* Waits for a key, a message, a signal, or until something is to be done. */
static void await(struct loop *l)
{
    struct pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {l->open ? l->conn.fd : -1, POLLIN, 0}};
    int timeout_ms = l->changed ? DRAW_MS : l->open && is_stale(l) ? (int)(ASK_S * 1e3) : TICK_MS;

    if (l->open && l->conn.out.len > 0)
        fds[1].events |= POLLOUT;
    if (poll(fds, 2, timeout_ms) == 0 && timeout_ms == TICK_MS)
        l->changed = true;
    if (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
        l->watch.ending = true; /* the terminal is gone */
}

static void pump(struct loop *l)
{
    struct err err;

    while (!l->watch.ending && term_signal() == 0) {
        double now = view_now_s();
        if (!l->open && now - l->tried_s >= RETRY_S)
            come_back(l, &err);
        if (l->open) {
            ask(l);
            take(l);
        }
        for (int key; (key = term_key()) != TERM_NONE;)
            on_key(l, key);
        if (l->changed && (now - l->drawn_s) * 1e3 >= DRAW_MS)
            draw(l);
        else
            await(l);
    }
}

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct loop l = {.cli = c, .conn = {.fd = -1}};
    struct err err = {0};
    (void)o, (void)argv;

    if (argc > 0)
        return cli_usage(c, "coro watch shows all jobs");
    if (c->json)
        return cli_usage(c, "a live screen is no JSON: `coro events -f` is");
    if (!c->out.tty || isatty(STDIN_FILENO) != 1)
        return cli_usage(c, "coro watch needs a terminal: `coro events -f` does not");
    if (!come_back(&l, &err))
        return cli_fail(c, &err);
    c->no_start = true; /* one that is stopped meanwhile stays so */
    watch_init(&l.watch, &c->out);
    if (!term_open(c->out.color, &err)) {
        watch_release(&l.watch);
        conn_close(&l.conn);
        return cli_fail(c, &err);
    }
    pump(&l);
    term_close();
    watch_release(&l.watch);
    for (size_t i = 0; i < 2; i++)
        json_decref(l.follows[i]);
    conn_close(&l.conn);
    int signal = term_signal();
    if (signal != 0 && signal != SIGINT) {
        struct sigaction action = {.sa_handler = SIG_DFL};
        sigaction(signal, &action, NULL);
        raise(signal);
    }
    return signal == SIGINT ? EXIT_INTERRUPT : EXIT_OK;
}

static const struct option none[] = {OPTIONS_END};
const struct command command_watch = {
    .name = "watch",
    .args = "",
    .summary = "a live screen: jobs, tasks, output; keys to cancel, pause, retry",
    .options = none,
    .help = "? lists the keys. It shows what happens as it happens, and waits for a daemon that\n"
            "goes away.",
    .examples = "coro watch\n",
    .run = run,
};
