#ifndef COROD_TESTS_FUZZ_KEPT_H
#define COROD_TESTS_FUZZ_KEPT_H
/* The rows of a job as a store keeps them: unique and in their order. */
#include "daemon/task/runtime.h"

enum { KEPT_JOB = 7 };

/* A row of one of the kinds; what a kind has no use for is 0. */
struct kept_row {
    enum kept_kind {
        KEPT_NAMED, /* objects with names, and their items */
        KEPT_NAMED_ITEM,
        KEPT_TASK,
        KEPT_END,
        KEPT_OBJECT,
        KEPT_ITEM
    } kind;
    uint64_t key;  /* task's id, end's seq, object's id, item's object */
    uint64_t seq;  /* of an item */
    uint32_t task; /* parent of a task, task of an end */
    int64_t time_us;
    enum task_state state;
    char *data;
    size_t len;
};
struct kept {
    struct kept_row *rows; /* by kind, key, seq: the order of loading */
    size_t n, cap;
    struct buf job;
};

extern const struct runtime_sink kept_sink; /* its arg is a struct kept * */
void kept_release(struct kept *k);
void kept_remove(struct kept *k, size_t index);
/* Its objects with names; a damaged one is left out. */
void kept_load_named(const struct kept *k, struct runtime *rt);
/* The rest of it, as that job; false with err: refused. */
bool kept_load_job(const struct kept *k, struct runtime *rt, uint64_t job, uint32_t owner,
                   struct program *program, struct err *err);
/* All of it, as KEPT_JOB. */
bool kept_load(const struct kept *k, struct runtime *rt, struct program *program, struct err *err);

#endif
