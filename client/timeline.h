#ifndef CORO_TIMELINE_H
#define CORO_TIMELINE_H
/*
 * A job's tasks over time, as job.simulate's timeline has them and `coro timeline --json` prints
 * them: [{task, name, state, depth, start, end, runs: [{start, end, state, command}]}]. Times are
 * in seconds from the beginning; an end that has not come is null. runs: its commands; not there
 * (simulated): not known.
 */
#include <stdio.h>

#include <jansson.h>

/* Of a reply to job.tree: the caller's. *ret_duration: until the last end, or now_s. */
json_t *timeline_of_tree(const json_t *tree, double now_s, double *ret_duration);

struct timeline_svg {
    const char *title, *subtitle; /* subtitle may be NULL */
    double duration;
    long long more; /* tasks that are not in the list */
};
/* A picture of it: self-contained SVG, in a light or a dark place. */
void timeline_svg(FILE *out, const json_t *timeline, const struct timeline_svg *about);

#endif
