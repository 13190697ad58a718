#ifndef COROD_TESTS_TASK_FIXTURE_H
#define COROD_TESTS_TASK_FIXTURE_H
/* A runtime with its effects and rows recorded. */
#include "daemon/task/runtime.h"

struct fixture_row {
    uint32_t id, parent;
    int64_t created_us, finished_us;
    char *frame, *result;
    size_t frame_len, result_len;
    uint64_t end_seq;
    enum task_state state;
};
/* An object, or an item of the queue `id`. */
struct fixture_part {
    uint32_t id;
    uint64_t seq;
    char *data;
    size_t len;
};
struct fixture {
    struct runtime *rt;
    struct program *program;
    struct buf printed, diagnostics, state;
    struct leaf *wanted[64];
    size_t n_wanted, n_dropped;
    struct fixture_row rows[256];
    size_t n_rows;
    struct fixture_part objects[64], items[256];
    size_t n_objects, n_items;
    unsigned rows_written, objects_written, items_written, items_gone;
    bool over;
    enum job_end how;
    char *outcome; /* JSON */
};

void fixture_init(struct fixture *f, const char *document);
void fixture_release(struct fixture *f);
/* Ticks until nothing is left at this time; then collects. */
void fixture_run(struct fixture *f, int64_t now_us);
void fixture_collect(struct fixture *f);
/* A new runtime from the rows. */
bool fixture_reload(struct fixture *f, struct err *err);

#endif
