#ifndef COROD_BASE_LISTEN_H
#define COROD_BASE_LISTEN_H
/*
 * Listening unix sockets. Accepting never spins and never ends: when there are no descriptors left
 * (EMFILE, ENFILE: the connection would stay in the queue and the socket readable), who waits is
 * let in through a descriptor kept in reserve and closed at once, and the listener rests a moment.
 */
#include <sys/types.h>

#include "daemon/base/loop.h"

struct listener;

/*
 * A socket (SOCK_STREAM, close-on-exec, non-blocking) that listens at path with the permissions
 * `mode` whatever the umask. A socket file on which nobody listens any more is replaced; one on
 * which somebody does is EADDRINUSE, as is a path that is no socket. -1 with err on failure.
 */
int listen_unix(const char *path, mode_t mode, struct err *err);

/*
 * Accepts on fd, a listening socket in non-blocking mode (owned from here on; it may come from
 * socket activation). on_accept owns the new descriptor (close-on-exec, non-blocking). NULL with
 * err on failure; fd is then still the caller's.
 */
struct listener *listener_new(struct loop *l, int fd, void (*on_accept)(void *arg, int fd),
                              void *arg, struct err *err);
void listener_free(struct listener *n);

#endif
