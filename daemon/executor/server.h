#ifndef COROD_EXECUTOR_SERVER_H
#define COROD_EXECUTOR_SERVER_H
/* The socket, and the one connection of the daemon. */
#include <stdbool.h>
#include <sys/types.h>

#include "daemon/executor/reactor.h"
#include "proto/buf.h"
#include "proto/exec.h"

#define SERVER_OUT_MAX_BYTES (64u * 1024 * 1024) /* a daemon that reads so little is dropped */

struct server {
    struct reactor *reactor;
    uid_t own, daemon; /* who may speak, besides root */
    gid_t group;       /* of the socket's file, -1: the process's */
    int dirfd;
    int reserve_fd; /* given up to take a connection when there are no more descriptors */
    const char *name;
    struct watch listener, conn; /* fd -1: none */
    struct buf in, out;
    bool greeted; /* it has said HELLO */
    bool writing; /* waiting until more can be written */
    bool held;    /* not reading: see server_hold() */
    /* One message; false and *err: the connection ends. */
    bool (*on_message)(void *arg, const struct exec_frame *f, struct err *err);
    /* A connection is gone or replaced. */
    void (*on_gone)(void *arg);
    void *arg;
};

bool server_listen(struct server *s, const char *path, struct err *err);
void server_close(struct server *s);
/* Where to put frames for the daemon; NULL when nobody is there (or it has not greeted). */
struct buf *server_out(struct server *s);
/* Writes what was put; called once a turn. */
void server_flush(struct server *s);
/* Stops, or resumes, reading. */
void server_hold(struct server *s, bool held);

#endif
