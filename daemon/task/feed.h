#ifndef COROD_TASK_FEED_H
#define COROD_TASK_FEED_H
/*
 * What `for` runs over: each kind of source is a feed, an asynchronous iterator. A feed's state is
 * inside the activation of the `for`, at whose place in the stack its timer may point.
 */
#include "daemon/task/source.h"
#include "daemon/task/task.h"
#include "daemon/task/waiter.h"

struct feed;
struct lines;
struct watch;
struct object;

struct for_node {
    struct node node;
    uint32_t name;
    struct source source;
    struct node *body;
};

struct for_act {
    struct act act;
    const struct feed *feed;
    union {
        struct iterator it;   /* a list, a range */
        struct watch *watch;  /* as_completed */
        struct object *queue; /* a queue */
        struct lines *lines;  /* of a command */
        struct {
            struct timer timer;
            int64_t start_us;
            double seconds;
            uint64_t beats; /* begun */
        } ticker;
    };
    struct waiter waiter; /* of a queue */
};

/* Phases of the activation. LEAVING: the loop is over when its source is; act.count says how (enum
 * completion). */
enum { FOR_BODY, FOR_WAITING, FOR_LEAVING };

enum feed_step {
    FEED_ITEM,  /* *v is the next item */
    FEED_END,   /* there are no more */
    FEED_ERROR, /* *v is an error */
    FEED_WAIT,  /* the task was suspended: on_event() goes on */
};

struct feed {
    char tag; /* in rows */
    enum feed_step (*next)(struct task *t, struct for_act *a, struct value **v);
    /* What it waited for has come, or the task was cancelled (then *error, given away or kept). */
    enum feed_step (*on_event)(struct task *t, struct for_act *a, struct value *error,
                               struct value **v);
    void (*cancel)(struct task *t, struct for_act *a); /* NULL: nothing to do */
    /* In place of cancel(): false when that takes its time. */
    bool (*stop)(struct task *t, struct for_act *a);
    /* The loop is left before the end, with v. False: the task was suspended until it can be, and
     * left() gives v back. NULL: it can be left at once. */
    bool (*leave)(struct task *t, struct for_act *a, struct value *v);
    struct value *(*left)(struct for_act *a);
    void (*save)(const struct task *t, const struct for_act *a, struct buf *out);
    bool (*load)(struct task *t, struct for_act *a, struct job_loader *l, struct reader *r);
    /* All rows are loaded, and it waits. NULL: nothing to do. */
    void (*loaded)(struct task *t, struct for_act *a);
    void (*release)(struct task *t, struct for_act *a);
    void (*awaits)(const struct task *t, const struct for_act *a, struct buf *out);
};

/* What its node runs over. */
const struct source *for_source(const struct for_act *a);

/* Each sets a->feed and its state; false: *error. */
/* A list or a range, or a queue if that is what the value is. */
bool feed_list_begin(struct for_act *a, const struct task *t, const struct source *s,
                     struct value **error);
bool feed_completed_begin(struct for_act *a, struct task *t, const struct source *s,
                          struct value **error);
bool feed_ticker_begin(struct for_act *a, const struct task *t, const struct source *s,
                       struct value **error);

bool feed_lines_begin(struct for_act *a, struct task *t, const struct source *s,
                      struct value **error);
void feed_queue_begin(struct for_act *a, struct object *queue);

extern const struct feed feed_list, feed_completed, feed_ticker, feed_queue, feed_lines;

#endif
