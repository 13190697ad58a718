#ifndef COROD_PROTO_STATE_H
#define COROD_PROTO_STATE_H
/* The states of jobs and tasks: their names on the wire, in the database and on the screen. */
#include <stdbool.h>

enum job_state {
#define JOB_STATE(name, text, live) JOB_STATE_##name,
#include "proto/state.def"
#undef JOB_STATE
    JOB_STATE_COUNT
};

const char *job_state_name(enum job_state s);
bool job_state_parse(const char *name, enum job_state *ret);
/* Neither succeeded, failed, cancelled nor lost. */
bool job_state_is_live(enum job_state s);

enum task_state {
    TASK_PENDING,   /* created, its first step not done */
    TASK_READY,     /* has a step in the ready queue */
    TASK_SUSPENDED, /* awaits something inside the job, or a timer, or a slot */
    TASK_RUNNING,   /* awaits a leaf that was launched */
    TASK_SUCCEEDED,
    TASK_FAILED,
    TASK_CANCELLED,
    TASK_LOST, /* failed with LostError */
    TASK_STATE_COUNT
};
const char *task_state_name(enum task_state s);
bool task_state_is_live(enum task_state s);

#endif
