#include "daemon/executor/reactor.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

#include "proto/log.h"
#include "proto/mem.h"

bool reactor_init(struct reactor *r, struct err *err)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "epoll");
    *r = (struct reactor){.epoll_fd = fd};
    return true;
}

void reactor_release(struct reactor *r)
{
    r->epoll_fd = close_fd(r->epoll_fd);
}

bool reactor_add(struct reactor *r, struct watch *w, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = w};
    return epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, w->fd, &e) == 0;
}

void reactor_change(struct reactor *r, struct watch *w, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = w};
    epoll_ctl(r->epoll_fd, EPOLL_CTL_MOD, w->fd, &e);
}

void reactor_remove(struct reactor *r, struct watch *w)
{
    if (w->fd < 0)
        return;
    epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
    for (int i = 0; i < REACTOR_BATCH; i++) {
        if (r->batch[i] == w)
            r->batch[i] = NULL;
    }
}

void reactor_turn(struct reactor *r, int64_t timeout_us)
{
    struct epoll_event e[REACTOR_BATCH];
    int timeout_ms = timeout_us < 0 ? -1 : (int)((timeout_us + 999) / 1000);
    int n = epoll_wait(r->epoll_fd, e, REACTOR_BATCH, timeout_ms);
    if (n < 0 && errno != EINTR)
        fatal("epoll_wait failed");
    for (int i = 0; i < n; i++)
        r->batch[i] = e[i].data.ptr;
    for (int i = 0; i < n; i++) {
        struct watch *w = r->batch[i];
        r->batch[i] = NULL;
        if (w)
            w->on_ready(w->arg, e[i].events);
    }
}
