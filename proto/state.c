#include "proto/state.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    bool live;
} job_states[] = {
#define JOB_STATE(name, text, live) [JOB_STATE_##name] = {text, live},
#include "proto/state.def"
#undef JOB_STATE
};

static const char *const task_states[TASK_STATE_COUNT] = {
    [TASK_PENDING] = "pending",     [TASK_READY] = "ready",         [TASK_SUSPENDED] = "suspended",
    [TASK_RUNNING] = "running",     [TASK_SUCCEEDED] = "succeeded", [TASK_FAILED] = "failed",
    [TASK_CANCELLED] = "cancelled", [TASK_LOST] = "lost",
};

const char *job_state_name(enum job_state s)
{
    return (unsigned)s < JOB_STATE_COUNT ? job_states[s].name : "unknown";
}

bool job_state_parse(const char *name, enum job_state *ret)
{
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        if (strcmp(name, job_states[i].name) == 0) {
            *ret = (enum job_state)i;
            return true;
        }
    }
    return false;
}

bool job_state_is_live(enum job_state s)
{
    return (unsigned)s < JOB_STATE_COUNT && job_states[s].live;
}

const char *task_state_name(enum task_state s)
{
    return (unsigned)s < TASK_STATE_COUNT ? task_states[s] : "unknown";
}

bool task_state_is_live(enum task_state s)
{
    return s < TASK_SUCCEEDED;
}
