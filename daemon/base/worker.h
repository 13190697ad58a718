#ifndef COROD_BASE_WORKER_H
#define COROD_BASE_WORKER_H
/* One thread for work that would hold up the loop, such as checking a large document. Started at
 * first use. */
#include "daemon/base/loop.h"

struct worker;

struct worker *worker_new(struct loop *l, struct err *err);
/* Runs work(arg) on the thread, in order of asking, then done(arg) in the loop. */
void worker_run(struct worker *w, void (*work)(void *arg), void (*done)(void *arg), void *arg);
/* Waits for the work that runs; drop(arg) is called instead of done for all that is left. */
void worker_free(struct worker *w, void (*drop)(void *arg));

#endif
