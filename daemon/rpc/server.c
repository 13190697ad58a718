#include "daemon/rpc/server.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/listen.h"
#include "daemon/rpc/backup.h"
#include "daemon/rpc/log.h"
#include "daemon/rpc/request.h"
#include "daemon/rpc/ring.h"
#include "daemon/rpc/subscription.h"
#include "daemon/rpc/wait.h"
#include "daemon/run/outlog.h"
#include "proto/mem.h"

#define SWEEP_US 1000000

static void sweep_later(struct server *s)
{
    if (!s->sweeps)
        alarm_start(s->sweep, SWEEP_US);
    s->sweeps = true;
}

/* Idle connections do not wake the daemon. */
static void on_sweep(void *arg)
{
    struct server *s = arg;
    int64_t now_us = clock_boot_us();
    s->sweeps = false;
    struct session *session;
    LIST_FOREACH (session, &s->sessions, link) {
        session_sweep(session, now_us);
        if (session_is_watched(session))
            sweep_later(s);
    }
}

struct server *server_new(struct loop *l, struct engine *e, const struct server_options *options)
{
    struct engine_stats stats;
    struct server *s = xcalloc(1, sizeof *s);
    s->loop = l;
    s->engine = e;
    s->options = *options;
    s->sweep = alarm_new(l, on_sweep, s);
    engine_get_stats(e, &stats);
    /* The engine counts its events from its start in microseconds. */
    s->ring = ring_new((uint64_t)stats.started_us - 1);
    return s;
}

static void free_requests(struct request_list *list)
{
    struct request *r;
    while ((r = LIST_FIRST(list)))
        request_free(r);
}

void server_free(struct server *s)
{
    if (!s)
        return;
    server_stop_listening(s);
    struct session *session;
    while ((session = LIST_FIRST(&s->sessions))) {
        session_drop(session);
        session_free(session);
    }
    free_requests(&s->orphans);
    follows_end(s);
    backup_free(s);
    alarm_free(s->sweep);
    ring_free(s->ring);
    outlog_follower_free(s->follower);
    free(s);
}

static void on_accept(void *arg, int fd)
{
    session_new(arg, fd);
}

bool server_listen(struct server *s, int fd, struct err *err)
{
    if (s->n_listeners == ARRAY_LEN(s->listeners))
        return err_set(err, EINVAL, "more than %zu listening sockets", s->n_listeners);
    struct listener *n = listener_new(s->loop, fd, on_accept, s, err);
    if (!n)
        return false;
    s->listeners[s->n_listeners++] = n;
    return true;
}

void server_stop_listening(struct server *s)
{
    while (s->n_listeners > 0)
        listener_free(s->listeners[--s->n_listeners]);
}

void server_on_event(void *server, const struct event *e)
{
    struct server *s = server;
    subscriptions_on_event(s, ring_add(s->ring, e));
    waits_on_event(s, e);
    logs_on_event(s, e);
}

void server_work(struct server *s)
{
    for (struct session *session = s->touched; session; session = session->next_touched)
        session_work(session);
}

bool server_flush(struct server *s)
{
    struct session *list = s->touched;
    s->touched = NULL;
    while (list) {
        struct session *session = list;
        list = session->next_touched;
        /* It counts as touched meanwhile, so that it is on no list when it is freed. */
        bool more = session_flush(session);
        session->touched = false;
        if (!more && session_is_watched(session))
            sweep_later(s);
        if (session->dead)
            session_free(session);
        else if (more)
            session_touch(session);
    }
    bool more = s->touched || s->gave_back;
    s->gave_back = false;
    return more;
}

void server_drain(struct server *s, int patience_ms)
{
    int64_t until_us = clock_boot_us() + (int64_t)patience_ms * 1000;
    server_flush(s);
    struct session *session, *next;
    for (session = LIST_FIRST(&s->sessions); session; session = next) {
        next = LIST_NEXT(session, link);
        while (!session->dead && session_unsent(session) > 0 && clock_boot_us() < until_us) {
            struct pollfd p = {session->fd, POLLOUT, 0};
            int64_t left_us = until_us - clock_boot_us();
            if (poll(&p, 1, (int)(left_us / 1000) + 1) <= 0)
                break;
            session->blocked = false;
            session_flush(session);
        }
    }
}
