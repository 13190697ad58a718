#ifndef COROD_EXECUTOR_REACTOR_H
#define COROD_EXECUTOR_REACTOR_H
/* The executor's event loop: epoll, one deadline. */
#include <stdbool.h>
#include <stdint.h>

#include "proto/err.h"

/* A watched descriptor; embedded in what it belongs to. */
struct watch {
    int fd; /* not owned */
    void (*on_ready)(void *arg, uint32_t events);
    void *arg;
};

enum { REACTOR_BATCH = 64 };

struct reactor {
    int epoll_fd;
    bool stop;
    struct watch *batch[REACTOR_BATCH]; /* being called: reactor_remove() takes them out */
};

bool reactor_init(struct reactor *r, struct err *err);
void reactor_release(struct reactor *r);
/* Watches w->fd for epoll(7)'s `events`; false with errno. */
bool reactor_add(struct reactor *r, struct watch *w, uint32_t events);
void reactor_change(struct reactor *r, struct watch *w, uint32_t events);
/* Before the descriptor is closed. Nothing happens for a watch that was never added (fd -1). */
void reactor_remove(struct reactor *r, struct watch *w);
/* Waits for at most timeout_us (-1: for ever) and calls what is ready. */
void reactor_turn(struct reactor *r, int64_t timeout_us);

#endif
