#include "daemon/rpc/session.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/rpc/backup.h"
#include "daemon/rpc/log.h"
#include "daemon/rpc/request.h"
#include "daemon/rpc/subscription.h"
#include "proto/errors.h"
#include "proto/log.h"
#include "proto/mem.h"

/* Messages that one connection may have executed before the others get their turn. */
#define MESSAGES_A_TURN 64
#define READ_BYTES      ((size_t)64 * 1024)
/* A peer that takes nothing of what it was sent before the end is not waited for longer. */
#define LINGER_US ((int64_t)30 * 1000000)
/* So many submissions that wait for their commit count as one request: the more share a commit, the
 * less each costs. */
#define SUBMISSIONS_AS_ONE 8
/* Memory that an idle connection keeps. */
#define KEEP_BYTES ((size_t)128 * 1024)

/* Whether the peer was in a group when it connected (SO_PEERGROUPS: since Linux 4.13). */
static bool peer_in_group(int fd, uint32_t gid)
{
    cleanup_free gid_t *groups = NULL;
    socklen_t len = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) < 0 && errno != ERANGE)
        return false;
    groups = xmalloc(len + 1);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
        return false;
    for (size_t i = 0; i < len / sizeof *groups; i++)
        if (groups[i] == gid)
            return true;
    return false;
}

static bool get_peer(const struct server *server, int fd, struct peer *ret)
{
    const struct server_options *o = &server->options;
    struct ucred cred;
    socklen_t len = sizeof cred;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || cred.uid == (uid_t)-1)
        return false;
    ret->uid = cred.uid;
    ret->gid = cred.gid;
    ret->admin = cred.uid == 0 || cred.uid == o->owner_uid ||
                 (o->admin_gid != UINT32_MAX &&
                  (cred.gid == o->admin_gid || peer_in_group(fd, o->admin_gid)));
    return true;
}

static size_t connections_of(const struct server *server, uint32_t uid)
{
    size_t n = 0;
    const struct session *s;
    LIST_FOREACH (s, &server->sessions, link)
        n += s->peer.uid == uid && !s->dead;
    return n;
}

static void read_some(struct session *s)
{
    size_t room = s->in.in.len > READ_BYTES ? 4 * READ_BYTES : READ_BYTES;
    ssize_t n = recv(s->fd, frame_reader_space(&s->in, room), room, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        frame_reader_got(&s->in, (size_t)n);
        s->heard_us = clock_boot_us();
    } else {
        struct pollfd p = {s->fd, 0, 0};
        if (n < 0 || (poll(&p, 1, 0) == 1 && p.revents & POLLHUP)) {
            session_drop(s); /* gone in both directions */
            return;
        }
        s->eof = true;
    }
    s->more = true;
    session_touch(s);
}

static void on_ready(void *arg, unsigned what)
{
    struct session *s = arg;
    if (s->dead)
        return;
    if (what & IO_READ)
        read_some(s);
    if (what & IO_WRITE) {
        s->blocked = false;
        session_touch(s);
    }
}

void session_new(struct server *server, int fd)
{
    struct peer peer;
    if (!get_peer(server, fd, &peer)) {
        log_warning("a connection without a known user is closed");
        close_fd(fd);
        return;
    }
    struct session *s = xcalloc(1, sizeof *s);
    s->server = server;
    s->fd = fd;
    s->peer = peer;
    s->heard_us = s->wrote_us = clock_boot_us();
    frame_reader_init(&s->in, (size_t)server->options.config->max_submit_bytes);
    bool too_many =
        connections_of(server, peer.uid) >= server->options.config->max_connections_per_user;
    s->io = io_new(server->loop, fd, too_many ? 0 : IO_READ, on_ready, s);
    LIST_INIT(&s->requests);
    LIST_INIT(&s->subscriptions);
    LIST_INSERT_HEAD(&server->sessions, s, link);
    server->n_sessions++;
    if (too_many) {
        dispatch_refuse(s, ERR_QUOTA,
                        "too many connections of this user (max_connections_per_user)");
        s->closing = true;
    }
}

void session_drop(struct session *s)
{
    if (s->dead)
        return;
    s->dead = true;
    io_want(s->io, 0);
    subscriptions_drop(s);
    backup_drop(s);
    struct request *r;
    while ((r = LIST_FIRST(&s->requests))) {
        if (r->only_for_client) {
            request_free(r);
            continue;
        }
        LIST_REMOVE(r, link);
        LIST_INSERT_HEAD(&s->server->orphans, r, link);
        r->session = NULL;
        if (r->batch)
            r->batch->session = NULL;
    }
    if (s->visitor) {
        visitor_free(steal(&s->visitor));
        s->server->gave_back = true;
    }
    session_touch(s);
}

void session_free(struct session *s)
{
    LIST_REMOVE(s, link);
    s->server->n_sessions--;
    io_free(s->io);
    close_fd(s->fd);
    frame_reader_release(&s->in);
    buf_release(&s->out);
    free(s);
}

void session_touch(struct session *s)
{
    if (s->touched)
        return;
    s->touched = true;
    s->next_touched = s->server->touched;
    s->server->touched = s;
}

size_t session_unsent(const struct session *s)
{
    return s->out.len - s->out_start;
}

/* Back-pressure: a peer that asks faster than it can be answered, or does not read, waits. */
static bool may_execute(const struct session *s)
{
    const struct config *c = s->server->options.config;
    size_t busy = s->in_flight - s->committing + s->committing / SUBMISSIONS_AS_ONE;
    return !s->dead && !s->closing && busy < c->max_in_flight &&
           s->in_flight_bytes <= (size_t)c->max_submit_bytes &&
           session_unsent(s) < (size_t)c->output_buffer_bytes;
}

void session_work(struct session *s)
{
    for (unsigned n = 0; s->more && n < MESSAGES_A_TURN && may_execute(s); n++) {
        const char *text;
        size_t len;
        switch (frame_next(&s->in, s->eof, &text, &len)) {
        case FRAME_MORE:
            s->more = false;
            break;
        case FRAME_MESSAGE:
            dispatch_message(s, text, len);
            break;
        case FRAME_TOO_LONG:
            dispatch_refuse(s, ERR_TOO_LARGE, "the message is too long");
            break;
        case FRAME_BROKEN:
            dispatch_refuse(s, ERR_PARSE, "the headers of the message make no sense");
            s->closing = true;
            break;
        }
    }
}

void session_send(struct session *s, const char *text, size_t len)
{
    if (s->dead)
        return;
    if (session_unsent(s) == 0)
        s->wrote_us = clock_boot_us();
    frame_put(&s->out, s->in.mode, text, len);
    session_touch(s);
}

static void write_out(struct session *s)
{
    while (session_unsent(s) > 0 && !s->blocked) {
        ssize_t n = send(s->fd, s->out.data + s->out_start, session_unsent(s), MSG_NOSIGNAL);
        if (n >= 0) {
            s->out_start += (size_t)n;
            s->wrote_us = clock_boot_us();
        } else if (errno == EAGAIN) {
            s->blocked = true;
        } else if (errno != EINTR) {
            session_drop(s);
            return;
        }
    }
    follows_on_drained(s);
    if (session_unsent(s) > 0) {
        if (s->out_start >= session_unsent(s)) { /* each byte moves at most once a halving */
            buf_consume(&s->out, s->out_start);
            s->out_start = 0;
        }
        return;
    }
    s->out_start = 0;
    buf_clear(&s->out);
    if (s->out.cap > KEEP_BYTES)
        buf_release(&s->out);
}

bool session_flush(struct session *s)
{
    if (!s->dead)
        write_out(s);
    if (s->dead)
        return false;
    bool ended = s->closing || (s->eof && !s->more);
    if (ended && s->in_flight == 0 && session_unsent(s) == 0 &&
        (s->closing || !subscriptions_have_end(s))) {
        session_drop(s);
        return false;
    }
    bool can = may_execute(s);
    io_want(s->io,
            (can && !s->more && !s->eof ? IO_READ : 0) | (session_unsent(s) > 0 ? IO_WRITE : 0));
    return can && s->more;
}

bool session_is_watched(const struct session *s)
{
    return !s->dead && (s->eof || s->closing || !may_execute(s) || frame_is_partial(&s->in));
}

void session_sweep(struct session *s, int64_t now_us)
{
    if (s->dead)
        return;
    struct pollfd p = {s->fd, 0, 0};
    /* While nothing is read, its close is not noticed otherwise. */
    bool gone =
        (s->eof || !may_execute(s)) && poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR);
    bool stuck =
        (s->eof || s->closing) && session_unsent(s) > 0 && now_us - s->wrote_us > LINGER_US;
    if (gone || stuck) {
        session_drop(s);
        return;
    }
    if (!s->more && !s->eof && !s->closing && frame_is_partial(&s->in) && may_execute(s) &&
        now_us - s->heard_us > s->server->options.config->half_request_timeout_ms * 1000) {
        dispatch_refuse(s, ERR_TIMEOUT, "the rest of the message did not come");
        s->closing = true;
    }
}
