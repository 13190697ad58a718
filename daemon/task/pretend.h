#ifndef COROD_TASK_PRETEND_H
#define COROD_TASK_PRETEND_H
/*
 * Commands that are only pretended, on virtual time: for simulations and tests. What one does is
 * what its leaf's key "simulate" says; without it, it ends well at once, but `sleep N` in it takes
 * its time, `echo TEXT` writes up to a `;` ($1 is the first of `args`), `exit N` and `false` end
 * with a status. Where its lines are read there may be several of these and of `printf TEXT`, one
 * behind the other, and what they write comes at its time. A request is answered at
 * once with 200 and nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/task/runtime.h"

/* Of what a command writes: all before `end` is there at this time. */
struct pretended_piece {
    int64_t due_us;
    size_t end;
};

struct pretended {
    uint64_t attempt;
    int64_t started_us, due_us;
    struct leaf_outcome outcome; /* its strings are in out, err or static */
    struct buf out, err;
    struct pretended_piece *pieces; /* NULL: all is there at its end */
    size_t n_pieces, cap_pieces;
    size_t given;          /* of out, to the runtime */
    struct value *headers; /* of an answer; NULL: none */
};

struct pretend {
    struct runtime *rt; /* borrowed */
    size_t slots;       /* so many at once */
    /* Decides about a command without the key; false: as described above. NULL: none. */
    bool (*special)(const char *text, struct pretended *c);
    int64_t now_us;
    uint64_t attempts;    /* so many have started */
    struct leaf **wanted; /* a queue: from first on; NULL: that one was dropped */
    size_t first, n_wanted, wanted_cap;
    size_t moved; /* of the queue's leaves that are no longer there: leaf->user counts from the
                     first of all */
    struct pretended *running; /* as they started */
    size_t n_running, running_cap;
    struct pretended *ended; /* whose lines are still read */
    size_t n_ended, ended_cap;
};

void pretend_release(struct pretend *p);
/* The runtime is to be loaded anew: what waits is forgotten, it will be wanted again. */
void pretend_forget_wanted(struct pretend *p);
/* It was: it gets what it had read ahead. */
void pretend_loaded(struct pretend *p);

/* What the runtime's effects of the same names are to do. */
void pretend_leaf_wanted(struct pretend *p, struct leaf *leaf);
void pretend_leaf_dropped(struct pretend *p, struct leaf *leaf);

/* Starts what waits while there are slots, ends what is over at now_us. True: something was. */
bool pretend_step(struct pretend *p);
/* Only ends. */
bool pretend_end(struct pretend *p);
/* When the next one ends; INT64_MAX: none runs. */
int64_t pretend_next_us(const struct pretend *p);

/* pretend_plan.c: does what the leaf's key "simulate" says; false: it has none. */
bool pretend_planned(struct pretended *c, struct leaf *leaf);
/* It takes so long: a time that does not leave what microseconds can count. */
void pretend_takes(struct pretended *c, double seconds);

#endif
