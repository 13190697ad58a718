#ifndef COROD_BASE_LOOP_H
#define COROD_BASE_LOOP_H
/*
 * The event loop: the only place (with http) that knows libevent. One thread runs it; only
 * wakeup_send() may be called from others.
 *
 * Callbacks may free the object they were called for.
 */
#include <stdbool.h>
#include <stdint.h>

#include "proto/clock.h"
#include "proto/err.h"

struct loop;
struct io;     /* a descriptor that is watched */
struct alarm;  /* one deadline */
struct wakeup; /* a bell that any thread may ring */

struct loop *loop_new(struct err *err);
void loop_free(struct loop *l);

/*
 * Runs until loop_stop(). After the events of each turn on_turn (may be NULL) is called once; when
 * it returns true the next turn does not wait for events (there is work left).
 */
void loop_run(struct loop *l, bool (*on_turn)(void *arg), void *arg);
void loop_stop(struct loop *l);

enum { IO_READ = 1, IO_WRITE = 2 };

/* Watches fd (not owned) level-triggered for `want` (IO_READ | IO_WRITE, may be 0). */
struct io *io_new(struct loop *l, int fd, unsigned want, void (*on_ready)(void *arg, unsigned what),
                  void *arg);
void io_want(struct io *io, unsigned want);
void io_free(struct io *io);

/* Calls on_due once, `delay_us` (≤ 0: next turn) after alarm_start(); starting again moves it. */
struct alarm *alarm_new(struct loop *l, void (*on_due)(void *arg), void *arg);
void alarm_start(struct alarm *t, int64_t delay_us);
void alarm_stop(struct alarm *t);
void alarm_free(struct alarm *t);

/* on_wakeup runs in the loop's thread at least once after any number of wakeup_send() from any
 * thread. */
struct wakeup *wakeup_new(struct loop *l, void (*on_wakeup)(void *arg), void *arg, struct err *err);
void wakeup_send(struct wakeup *w);
void wakeup_free(struct wakeup *w);

/* Calls on_signal in the loop when signo arrives. Lives as long as the loop. */
bool loop_on_signal(struct loop *l, int signo, void (*on_signal)(void *arg, int signo), void *arg,
                    struct err *err);

/* Calls on_set in the loop when the wall clock was set (also when the machine was suspended). Once
 * a loop; lives as long as it. */
bool loop_on_clock_set(struct loop *l, void (*on_set)(void *arg), void *arg, struct err *err);

#endif
