#ifndef COROD_RPC_SESSION_H
#define COROD_RPC_SESSION_H
/* One connection: its bytes in and out, its requests and subscriptions. Inside daemon/rpc only. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/rpc/server.h"
#include "proto/frame.h"

struct request;
struct subscription;
struct visitor;
struct wait;

/* Who is at the other end, as the kernel says. */
struct peer {
    uint32_t uid, gid;
    bool admin; /* sees and steers all */
};

LIST_HEAD(session_list, session);
LIST_HEAD(request_list, request);
LIST_HEAD(subscription_list, subscription);
LIST_HEAD(wait_list, wait);

struct session {
    LIST_ENTRY(session) link;
    struct session *next_touched;
    bool touched; /* on the server's list of sessions to look at in this turn */
    struct server *server;
    int fd;
    struct io *io;
    struct peer peer;
    struct frame_reader in;
    struct buf out;
    size_t out_start; /* bytes of out that are sent */
    struct request_list requests;
    size_t in_flight, in_flight_bytes;
    size_t committing; /* of those in flight: submissions that wait for their commit only */
    struct subscription_list subscriptions;
    struct visitor *visitor;    /* holds items of queues; NULL until the first */
    bool more;                  /* whole messages may be waiting in `in` */
    bool blocked;               /* the peer's buffer is full */
    bool eof;                   /* the peer sends no more; what it asked is still answered */
    bool closing;               /* nothing is read any more; ends when all is written */
    bool dead;                  /* to be freed at the end of the turn */
    int64_t heard_us, wrote_us; /* when bytes last went in or out */
};

struct server {
    struct loop *loop;
    struct engine *engine;
    struct server_options options;
    struct listener *listeners[4];
    size_t n_listeners;
    struct session_list sessions;
    struct session *touched;
    struct alarm *sweep;
    bool sweeps; /* the alarm is set: a session is watched */
    size_t n_sessions, n_subscriptions, n_shown;
    bool gave_back; /* the engine has something to do, though nobody asked for it */
    uint64_t n_requests, last_subscription;
    struct request_list orphans; /* their connection is gone; what they started goes on */
    LIST_HEAD(, follow_read) follow_reads;
    struct wait_list waits;
    struct backup *backup; /* NULL: there is none */
    struct ring *ring;
    struct outlog_follower *follower; /* of log files; NULL until somebody follows */
};

void session_new(struct server *server, int fd);
void session_free(struct session *s);
/* The connection ends: its requests are nobody's any more. Freed at the end of the turn. */
void session_drop(struct session *s);
/* There is something to execute or to write. */
void session_touch(struct session *s);
/* Executes a bounded number of messages. */
void session_work(struct session *s);
/* Writes; updates what is waited for. True when there is more to execute. */
bool session_flush(struct session *s);
/* Whether there is something that session_sweep() may find. */
bool session_is_watched(const struct session *s);
/* Looks at deadlines. */
void session_sweep(struct session *s, int64_t now_us);
/* Sends one message. */
void session_send(struct session *s, const char *text, size_t len);
/* Bytes that the peer has not taken. */
size_t session_unsent(const struct session *s);

/* dispatch.c: executes one message (a request or a batch). */
void dispatch_message(struct session *s, const char *text, size_t len);
/* Answers what has no id that could be read. */
void dispatch_refuse(struct session *s, int code, const char *text);

#endif
