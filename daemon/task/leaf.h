#ifndef COROD_TASK_LEAF_H
#define COROD_TASK_LEAF_H
/* What `run` and `sh` share, and mostly `http` too: their keys and what they do. */
#include "daemon/task/job.h"

enum on_lost { ON_LOST_UNSAID, ON_LOST_FAIL, ON_LOST_RETRY };

struct leaf_node {
    struct node node;
    struct expr *argv; /* of `run` */
    char *script;      /* of `sh` */
    struct expr *args; /* of `sh` */
    struct expr *cwd, *env, *streams[STREAMS], *check, *pool, *priority, *slots, *limits;
    struct expr *simulate; /* pretend.h */
    int on_lost;           /* enum on_lost */
    int leftover;          /* leftover: "keep" */
};

extern const struct field_type field_on_lost, field_leftover;
/* struct expr *; pretend.c */
extern const struct field_type field_simulate, field_simulate_http;

/* Of commands and requests; check_help: what "check" does. */
#define LEAF_FIELDS(check_help)                                                                    \
    {"check", &field_bool, offsetof(struct leaf_node, check), false, check_help},                  \
        {"pool", &field_string, offsetof(struct leaf_node, pool), false,                           \
         "The pool whose slots it takes."},                                                        \
        {"priority", &field_expr, offsetof(struct leaf_node, priority), false,                     \
         "-1000 to 1000; higher first."},                                                          \
        {"slots", &field_number, offsetof(struct leaf_node, slots), false, "How many it takes."},  \
    {                                                                                              \
        "on_lost", &field_on_lost, offsetof(struct leaf_node, on_lost), false,                     \
            "\"retry\": again when it was lost; \"fail\": LostError."                              \
    }

#define COMMAND_FIELDS                                                                             \
    {"cwd", &field_string, offsetof(struct leaf_node, cwd), false, "Its working directory."},      \
        {"env", &field_env, offsetof(struct leaf_node, env), false,                                \
         "Variables of its environment; null takes one away."},                                    \
        {"stdin", &field_expr, offsetof(struct leaf_node, streams[STREAM_IN]), false,              \
         "What it reads, or {file}."},                                                             \
        {"stdout", &field_expr, offsetof(struct leaf_node, streams[STREAM_OUT]), false,            \
         "{file} or {append}: where it goes instead."},                                            \
        {"stderr", &field_expr, offsetof(struct leaf_node, streams[STREAM_ERR]), false,            \
         "The same; \"stdout\": both in one stream."},                                             \
        LEAF_FIELDS("false: an exit status other than 0 is no error."),                            \
        {"leftover", &field_leftover, offsetof(struct leaf_node, leftover), false,                 \
         "\"keep\": what it left running stays."},                                                 \
        {"limits", &field_expr, offsetof(struct leaf_node, limits), false, "Resource limits."},    \
        {"simulate", &field_simulate, offsetof(struct leaf_node, simulate), false,                 \
         "What it does when the job is only simulated."},                                          \
    {                                                                                              \
        NULL                                                                                       \
    }

struct leaf_act {
    struct act act;
    struct leaf_run *run;
};

void leaf_start(struct task *t, struct act *a);
void leaf_on_event(struct task *t, struct act *a, enum completion how, struct value *v);
bool leaf_cancel(struct task *t, struct act *a);
bool leaf_waiting(const struct act *a);
void leaf_save(const struct task *t, const struct act *a, struct buf *out);
bool leaf_load(struct task *t, struct act *a, struct job_loader *l, struct reader *r);
void leaf_release(struct task *t, struct act *a);
void leaf_awaits(const struct task *t, const struct act *a, struct buf *out);
void leaf_check(struct parser *p, struct node *n);

/* stdin, stdout and stderr (leaf_stream.c). False: *error; what was made is in ret. */
bool streams_eval(const struct task *t, struct expr *const e[STREAMS], struct value *ret[STREAMS],
                  struct value **error);
/* Complains of literals. */
void streams_check(struct parser *p, struct expr *const e[STREAMS]);

/* Parts of a command, for lines.c too. begin() takes over the spec; NULL: it is loaded. */
void leaf_run_begin(struct leaf_run *run, struct task *t, const struct leaf_spec *spec);
void leaf_run_release(struct leaf_run *run);
void leaf_want(struct leaf_run *run);
/* The result or the error that a command's end makes. */
void leaf_take_outcome(struct leaf_run *run, const struct leaf_outcome *o);
void leaf_run_save(const struct leaf_run *run, struct buf *out);
bool leaf_run_load(struct leaf_run *run, struct job_loader *l, struct reader *r);

/* leaf_spec.c: the evaluated spec; false: *error. */
bool leaf_spec_eval(const struct task *t, const struct leaf_node *n, struct leaf_spec *spec,
                    struct value **error);
void leaf_spec_release(struct leaf_spec *spec);
void leaf_spec_save(const struct leaf_spec *spec, struct buf *out);
bool leaf_spec_load(struct leaf_spec *spec, struct job_loader *l, struct reader *r);
/* `run make -j4`: leaf_spec_text() behind the verb. */
void leaf_spec_title(const struct leaf_spec *spec, size_t max, struct buf *out);

/* node_struct: of its node, which begins with struct leaf_node. */
#define LEAF_KIND(name_, fields_, node_struct)                                                     \
    {                                                                                              \
        .verb = {.name = (name_),                                                                  \
                 .fields = (fields_),                                                              \
                 .size = sizeof(node_struct),                                                      \
                 .check = leaf_check},                                                             \
        .act_size = sizeof(struct leaf_act), .leaf = true, .start = leaf_start,                    \
        .on_event = leaf_on_event, .cancel = leaf_cancel, .waiting = leaf_waiting,                 \
        .save = leaf_save, .load = leaf_load, .release = leaf_release, .awaits = leaf_awaits,      \
    }

#endif
