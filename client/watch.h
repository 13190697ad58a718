#ifndef CORO_WATCH_H
#define CORO_WATCH_H
/*
 * The live screen: what it knows (watch.c), how that looks (watch_view.c), what a key does
 * (watch_keys.c). Only cmd_watch.c talks to the daemon and the terminal.
 */
#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "client/canvas.h"
#include "proto/buf.h"

enum watch_pane { PANE_JOBS, PANE_TREE, PANE_LOG, PANE_COUNT };

/* What a key asks of the daemon. */
struct watch_action {
    const char *method; /* NULL: nothing */
    json_t *params;     /* taken over by who sends it */
};

/* A question that is open: y does it. */
struct watch_question {
    const char *method;
    char *text;
};

struct watch {
    const struct screen *screen;
    /* What the daemon said. */
    json_t *pools;
    json_t *all, *jobs; /* jobs: as they are shown, those that have not ended first */
    json_t *tree;       /* of the job that is chosen; NULL: not here yet */
    struct buf log;     /* its output, the newest part */
    const char *socket;
    bool away;
    /* What the person chose. */
    enum watch_pane pane;
    bool only_live, help, ending;
    json_int_t job;  /* 0: none */
    json_int_t task; /* in the tree; 0: none */
    json_t *folded;  /* tasks' ids as keys */
    size_t log_up;   /* lines that the log is scrolled up */
    char *message;   /* about the last action; NULL: none */
    struct watch_question question;
};

void watch_init(struct watch *w, const struct screen *s);
void watch_release(struct watch *w);

/* Takes what the daemon said (borrowed). What was chosen stays chosen as long as it is there. */
void watch_set_jobs(struct watch *w, json_t *jobs);
void watch_set_tree(struct watch *w, const json_t *tree);
void watch_add_log(struct watch *w, const char *data, size_t len);
void watch_say(struct watch *w, const char *text);
/* Forgets what was shown of the job before. */
void watch_choose_job(struct watch *w, json_int_t id);

/* The task whose output is shown, 0: all of the job's. */
json_int_t watch_log_task(const struct watch *w);

/* The rows of the tree that are to be seen, without those of many siblings that just went well; how
 * many were left out. Calls each() with a task, its depth, whether it is the
 * last of its siblings (bits of `last`: at each depth), and whether it is folded. */
size_t watch_each_task(const struct watch *w,
                       void (*each)(void *arg, const json_t *task, unsigned depth, uint64_t last,
                                    bool folded),
                       void *arg);
/* The number of a task, N of "JOB.N". */
json_int_t watch_task_number(const json_t *task);

/* Draws all of it; now_s is given for tests. */
void watch_draw(const struct watch *w, struct canvas *c, double now_s);

/* What a key (enum term_key) does. True: something changed. */
bool watch_key(struct watch *w, int key, struct watch_action *ret);

#endif
