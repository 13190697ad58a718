/* A job's end as an exit status (cli.md). */
#include <string.h>

#include "daemon/core/state.h"

/* The highest of a group's. */
static int exit_of_error(const struct value *error)
{
    const struct value *type = error ? value_find(error, "type") : NULL;
    const struct value *data = error ? value_find(error, "data") : NULL;
    const struct value *group = error ? value_find(error, "exceptions") : NULL;
    const char *name = type ? value_get_string(type, NULL) : "";
    int highest = 1;
    if (strcmp(name, "CommandError") == 0 && data) {
        const struct value *exit = value_find(data, "exit"), *signal = value_find(data, "signal");
        int64_t status = signal && value_get_int(signal) > 0 ? 128 + value_get_int(signal)
                         : exit                              ? value_get_int(exit)
                                                             : 1;
        return status > 0 && status < 256 ? (int)status : 1;
    }
    if (strcmp(name, "TimeoutError") == 0)
        return 124;
    if (strcmp(name, "LostError") == 0 || strcmp(name, "DependencyError") == 0)
        return 125;
    for (size_t i = 0; group && i < value_count(group); i++) {
        int one = exit_of_error(value_item(group, i));
        highest = one > highest ? one : highest;
    }
    return highest;
}

int exit_of_job(enum job_state state, const struct value *error)
{
    switch (state) {
    case JOB_STATE_SUCCEEDED:
        return 0;
    case JOB_STATE_CANCELLED:
        return 130;
    case JOB_STATE_LOST:
        return 125;
    default:
        return exit_of_error(error);
    }
}
