#ifndef COROD_PROTO_PATHS_H
#define COROD_PROTO_PATHS_H
/* Where daemon and client find each other: both ask here, so both decide the same. */
#include <stdbool.h>
#include <sys/types.h>

#include "proto/err.h"

struct paths {
    char *socket;    /* of the daemon */
    char *state_dir; /* its database and lock; also its socket in user mode */
    char *exec_socket, *exec_state_dir;
    char *why; /* user mode: why not the usual place, a line for a person; NULL: it is */
};
void paths_release(struct paths *p);

#define PATHS_SYSTEM_RUN_DIR "/run/corod"

/* The system's daemon. */
void paths_system(struct paths *ret);

/*
 * The personal daemon of the calling user: $XDG_STATE_HOME/corod (~/.local/state/corod), or
 * /var/tmp/corod-UID when that is on a network file system (locks and sockets do not work there,
 * and another machine may have the same one). Nothing is created. Fails when there is no home.
 */
bool paths_user(struct paths *ret, struct err *err);

/* The paths of a daemon whose state is in dir. */
void paths_in(struct paths *ret, const char *dir);

/*
 * Creates dir and what is missing above it (mode 0700) unless it is there; then it must be a
 * directory, no symbolic link, of the calling user, that nobody else can write to. EPERM otherwise.
 */
bool paths_make_private_dir(const char *dir, struct err *err);

/* Whether path, or the nearest directory above it that exists, is on a network file system. */
bool paths_on_network(const char *path);

/* A Unix socket's path must fit into sockaddr_un (unix(7)): ENAMETOOLONG with the reason. */
bool paths_check_socket(const char *path, struct err *err);

#endif
