#ifndef COROD_RPC_SERVER_H
#define COROD_RPC_SERVER_H
/*
 * The RPC server: JSON-RPC 2.0 on stream sockets (corod-protocol(7)). The loop's thread's.
 *
 * A turn of the loop: descriptors are read, server_work() executes what was read, engine_turn()
 * commits and releases replies, server_flush() writes them out.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/base/loop.h"
#include "daemon/config.h"
#include "daemon/core/engine.h"
#include "proto/buf.h"
#include "proto/err.h"

struct server_options {
    const struct config *config; /* borrowed; its live settings may change */
    uint32_t owner_uid;          /* user mode: this user is an admin; UINT32_MAX: system mode */
    uint32_t admin_gid;          /* UINT32_MAX: none */
    /* Reads the configuration again and appends the JSON list of names that changed. */
    bool (*on_reload)(void *arg, struct buf *changed, struct err *err);
    void (*on_shutdown)(void *arg);
    void *arg;
};

struct server;

struct server *server_new(struct loop *l, struct engine *e, const struct server_options *options);
/* Drops all connections and requests. */
void server_free(struct server *s);

/* Accepts on a listening unix socket (owned from here on, unless it fails). */
bool server_listen(struct server *s, int fd, struct err *err);
/* No new connections. */
void server_stop_listening(struct server *s);

/* The engine's observer: arg is the server. */
void server_on_event(void *server, const struct event *e);

/* Executes what was read. */
void server_work(struct server *s);
/* Writes out what can be written; true when there is more to execute. */
bool server_flush(struct server *s);

/* At the stop, when the engine has answered what it could: writes out what is left, for at most
 * patience_ms. */
void server_drain(struct server *s, int patience_ms);

#endif
