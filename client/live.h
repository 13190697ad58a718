#ifndef CORO_LIVE_H
#define CORO_LIVE_H
/*
 * What goes on, at the foot of a terminal: a line for each task that runs, with its time and the
 * last line of its output, and a bar of how far it all is. Nothing where stderr is no terminal.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/cli.h"
#include "proto/buf.h"

struct live {
    struct cli *cli;
    bool enabled;
    size_t total; /* 0: it is not known, there is no bar */
    size_t done, failed;
    double started_s, drawn_s;
    size_t lines; /* drawn now */
    struct live_row *rows;
    size_t n_rows, cap_rows;
};

/* Of a job with so many parts. quiet and JSON: nothing is drawn. */
void live_init(struct live *l, struct cli *c, size_t total);
void live_release(struct live *l);

/* A task has begun, has written, has ended. A name is copied. */
void live_begin(struct live *l, uint64_t task, const char *name);
void live_output(struct live *l, uint64_t task, const char *data, size_t len);
void live_end(struct live *l, uint64_t task);

/* Draws it, at most some times a second unless `now`. */
void live_draw(struct live *l, bool now);
/* Takes it away, before other output. */
void live_clear(struct live *l);
/* How long to wait for what comes before it is to be drawn again; -1: no matter. */
int live_timeout_ms(const struct live *l);

/* How far it is, in a line without colours: "12/100, 3 failed, ETA 4s". */
void live_put_progress(const struct live *l, struct buf *out);

#endif
