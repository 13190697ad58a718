#include "daemon/base/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/heap.h"
#include "proto/log.h"
#include "proto/mem.h"

/*
 * Deadlines are a heap over one timerfd on CLOCK_BOOTTIME, not libevent's timers: those run on
 * CLOCK_MONOTONIC, which stands still while the machine is suspended.
 */
struct loop {
    struct event_base *base;
    bool stopping;
    int timer_fd;
    struct event timer_event;
    struct heap alarms;
    uint64_t timer_starts;
    int64_t armed_us; /* what timer_fd is set to; 0: not set */
#ifdef COROD_ERRINJ
    int clock_fd; /* tells when a test's clock was set */
    struct event clock_event;
#endif
    int wall_fd; /* tells when the wall clock was set; -1: nobody asked */
    struct event wall_event;
    void (*on_clock_set)(void *arg);
    void *wall_arg;
    struct watched_signal *signals;
};

struct alarm {
    struct loop *loop;
    void (*on_due)(void *arg);
    void *arg;
    struct heap_entry due;
};

struct io {
    struct event read, write;
    unsigned want;
    void (*on_ready)(void *arg, unsigned what);
    void *arg;
};

struct wakeup {
    struct event event;
    int fd;
    int rung; /* atomic: the descriptor was written and not yet seen by the loop */
    void (*on_wakeup)(void *arg);
    void *arg;
};

struct watched_signal {
    struct watched_signal *next;
    struct event event;
    void (*on_signal)(void *arg, int signo);
    void *arg;
};

static void add_event(struct event *e)
{
    if (event_add(e, NULL) < 0)
        fatal("the event loop cannot watch descriptor %d: %s", (int)event_get_fd(e),
              strerror(errno));
}

struct alarm *alarm_new(struct loop *l, void (*on_due)(void *arg), void *arg)
{
    struct alarm *t = xcalloc(1, sizeof *t);
    t->loop = l;
    t->on_due = on_due;
    t->arg = arg;
    return t;
}

void alarm_start(struct alarm *t, int64_t delay_us)
{
    struct loop *l = t->loop;
    heap_remove(&l->alarms, &t->due);
    if (__builtin_add_overflow(clock_boot_us(), delay_us > 0 ? delay_us : 0, &t->due.at_us))
        t->due.at_us = INT64_MAX;
    t->due.seq = ++l->timer_starts;
    heap_add(&l->alarms, &t->due);
}

void alarm_stop(struct alarm *t)
{
    heap_remove(&t->loop->alarms, &t->due);
}

void alarm_free(struct alarm *t)
{
    if (!t)
        return;
    alarm_stop(t);
    free(t);
}

/* When the machine's clock, on which timer_fd runs, shows what clock_boot_us() calls at_us. */
static int64_t machine_us(int64_t at_us)
{
#ifdef COROD_ERRINJ
    const struct test_clock *test = test_clock();
    if (test && test->still) /* now or, as far as the machine can tell, never */
        return at_us <= clock_boot_us() ? 1 : INT64_MAX / 1000;
    if (test)
        at_us -= __atomic_load_n(&test->boot_shift_us, __ATOMIC_ACQUIRE);
#endif
    return at_us > 0 ? at_us : 1; /* 0 would switch it off */
}

/* Sets the timerfd to the earliest deadline. A deadline that moved away is left to fire for
 * nothing. */
static void arm_timers(struct loop *l)
{
    const struct heap_entry *first = heap_first(&l->alarms);
    if (!first || (l->armed_us && l->armed_us <= first->at_us))
        return;
    int64_t at_us = first->at_us;
    int64_t real_us = machine_us(at_us);
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(real_us / 1000000), .tv_nsec = (real_us % 1000000) * 1000}};
    if (timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0)
        fatal("timerfd_settime: %s", strerror(errno));
    l->armed_us = at_us;
}

static void on_timer_fd(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    uint64_t count;
    (void)what;
    if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN)
        fatal("read of a timerfd: %s", strerror(errno));
    l->armed_us = 0;
    /* A timer that a callback starts waits for the next turn, so that none can hold the loop. */
    uint64_t newest = l->timer_starts;
    int64_t now_us = clock_boot_us();
    struct heap_entry *first;
    while ((first = heap_first(&l->alarms)) && first->at_us <= now_us && first->seq <= newest) {
        struct alarm *t = container_of(first, struct alarm, due);
        alarm_stop(t);
        t->on_due(t->arg);
    }
}

#ifdef COROD_ERRINJ
static void on_clock_set(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    char events[4096];
    (void)what;
    while (read(fd, events, sizeof events) > 0)
        ;
    l->armed_us = 0;
}

static void follow_test_clock(struct loop *l)
{
    l->clock_fd = -1;
    if (!test_clock())
        return;
    l->clock_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (l->clock_fd < 0 || inotify_add_watch(l->clock_fd, getenv("COROD_CLOCK"), IN_MODIFY) < 0)
        fatal("COROD_CLOCK: %s", strerror(errno));
    event_assign(&l->clock_event, l->base, l->clock_fd, EV_READ | EV_PERSIST, on_clock_set, l);
    add_event(&l->clock_event);
}

static void unfollow_test_clock(struct loop *l)
{
    if (l->clock_fd >= 0)
        event_del(&l->clock_event);
    close_fd(l->clock_fd);
}
#else
static void follow_test_clock(struct loop *l)
{
    (void)l;
}

static void unfollow_test_clock(struct loop *l)
{
    (void)l;
}
#endif

static void on_libevent_log(int severity, const char *text)
{
    if (severity >= EVENT_LOG_WARN)
        log_warning("libevent: %s", text);
}

static struct event_base *new_base(void)
{
    struct event_config *c = event_config_new();
    if (!c)
        return NULL;
    event_config_set_flag(c, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(c, EVENT_BASE_FLAG_IGNORE_ENV);
    struct event_base *base = event_base_new_with_config(c);
    event_config_free(c);
    return base;
}

struct loop *loop_new(struct err *err)
{
    event_set_log_callback(on_libevent_log);
    int fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd < 0) {
        err_errno(err, "timerfd_create");
        return NULL;
    }
    struct event_base *base = new_base();
    if (!base) {
        err_errno(err, "cannot create the event loop");
        close_fd(fd);
        return NULL;
    }
    struct loop *l = xcalloc(1, sizeof *l);
    l->base = base;
    l->timer_fd = fd;
    l->wall_fd = -1;
    event_assign(&l->timer_event, base, fd, EV_READ | EV_PERSIST, on_timer_fd, l);
    add_event(&l->timer_event);
    follow_test_clock(l);
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    for (struct watched_signal *s = l->signals, *next; s; s = next) {
        next = s->next;
        event_del(&s->event);
        free(s);
    }
    event_del(&l->timer_event);
    unfollow_test_clock(l);
    if (l->wall_fd >= 0)
        event_del(&l->wall_event);
    event_base_free(l->base);
    close_fd(l->timer_fd);
    close_fd(l->wall_fd);
    heap_release(&l->alarms);
    free(l);
}

void loop_run(struct loop *l, bool (*on_turn)(void *arg), void *arg)
{
    bool more = false;
    while (!l->stopping) {
        arm_timers(l);
        if (event_base_loop(l->base, EVLOOP_ONCE | (more ? EVLOOP_NONBLOCK : 0)) < 0)
            fatal("the event loop failed: %s", strerror(errno));
        more = on_turn && on_turn(arg);
    }
    l->stopping = false;
}

void loop_stop(struct loop *l)
{
    l->stopping = true;
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    struct io *io = arg;
    (void)fd;
    io->on_ready(io->arg, what & EV_READ ? IO_READ : IO_WRITE);
}

struct io *io_new(struct loop *l, int fd, unsigned want, void (*on_ready)(void *arg, unsigned what),
                  void *arg)
{
    struct io *io = xcalloc(1, sizeof *io);
    io->on_ready = on_ready;
    io->arg = arg;
    /* Two events, so that a change of one direction is one epoll_ctl. */
    event_assign(&io->read, l->base, fd, EV_READ | EV_PERSIST, on_io, io);
    event_assign(&io->write, l->base, fd, EV_WRITE | EV_PERSIST, on_io, io);
    io_want(io, want);
    return io;
}

static void switch_event(struct event *e, bool was, bool is)
{
    if (is && !was)
        add_event(e);
    else if (was && !is)
        event_del(e);
}

void io_want(struct io *io, unsigned want)
{
    unsigned was = io->want;
    io->want = want;
    switch_event(&io->read, was & IO_READ, want & IO_READ);
    switch_event(&io->write, was & IO_WRITE, want & IO_WRITE);
}

void io_free(struct io *io)
{
    if (!io)
        return;
    io_want(io, 0);
    free(io);
}

static void on_bell(evutil_socket_t fd, short what, void *arg)
{
    struct wakeup *w = arg;
    uint64_t count;
    (void)what;
    if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN)
        fatal("read of an eventfd: %s", strerror(errno));
    /* Cleared before the call: who rings from here on writes again; who rang before is seen by it.
     */
    __atomic_exchange_n(&w->rung, 0, __ATOMIC_ACQ_REL);
    w->on_wakeup(w->arg);
}

struct wakeup *wakeup_new(struct loop *l, void (*on_wakeup)(void *arg), void *arg, struct err *err)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) {
        err_errno(err, "eventfd");
        return NULL;
    }
    struct wakeup *w = xcalloc(1, sizeof *w);
    w->fd = fd;
    w->on_wakeup = on_wakeup;
    w->arg = arg;
    event_assign(&w->event, l->base, fd, EV_READ | EV_PERSIST, on_bell, w);
    add_event(&w->event);
    return w;
}

void wakeup_send(struct wakeup *w)
{
    if (__atomic_exchange_n(&w->rung, 1, __ATOMIC_ACQ_REL))
        return;
    uint64_t one = 1;
    if (write(w->fd, &one, sizeof one) < 0)
        fatal("write to an eventfd: %s", strerror(errno));
}

void wakeup_free(struct wakeup *w)
{
    if (!w)
        return;
    event_del(&w->event);
    close_fd(w->fd);
    free(w);
}

static void on_signal_event(evutil_socket_t signo, short what, void *arg)
{
    struct watched_signal *s = arg;
    (void)what;
    s->on_signal(s->arg, (int)signo);
}

bool loop_on_signal(struct loop *l, int signo, void (*on_signal)(void *arg, int signo), void *arg,
                    struct err *err)
{
    struct watched_signal *s = xcalloc(1, sizeof *s);
    s->on_signal = on_signal;
    s->arg = arg;
    event_assign(&s->event, l->base, signo, EV_SIGNAL | EV_PERSIST, on_signal_event, s);
    if (event_add(&s->event, NULL) < 0) {
        free(s);
        return err_errno(err, "cannot watch for signal %d", signo);
    }
    s->next = l->signals;
    l->signals = s;
    return true;
}

/* A timer that is cancelled when the clock is set, timerfd_create(2); it is due never. */
static bool watch_clock(int fd)
{
    struct itimerspec never = {.it_value = {.tv_sec = INT32_MAX}};
    return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) == 0;
}

static void on_wall_fd(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    uint64_t count;
    (void)what;
    if (read(fd, &count, sizeof count) < 0 && errno != ECANCELED && errno != EAGAIN)
        fatal("read of a timerfd: %s", strerror(errno));
    watch_clock(fd);
    l->on_clock_set(l->wall_arg);
}

bool loop_on_clock_set(struct loop *l, void (*on_set)(void *arg), void *arg, struct err *err)
{
    cleanup_close int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd < 0 || !watch_clock(fd))
        return err_errno(err, "cannot watch the wall clock");
    l->on_clock_set = on_set;
    l->wall_arg = arg;
    event_assign(&l->wall_event, l->base, fd, EV_READ | EV_PERSIST, on_wall_fd, l);
    add_event(&l->wall_event);
    l->wall_fd = steal_fd(&fd);
    return true;
}
