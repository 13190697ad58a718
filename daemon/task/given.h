#ifndef COROD_TASK_GIVEN_H
#define COROD_TASK_GIVEN_H
/*
 * What an earlier run of the same program found out: results of the tasks of its first gather,
 * which a new run is given instead of running them again.
 *
 * A program whose first deed is a gather over items makes the same tasks with the same numbers in
 * each run, from the same items: a task of the new run is that of the old one if its number is.
 */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/map.h"
#include "daemon/lang/program.h"

struct given {
    struct map results; /* task → struct value */
};

/* A reference to the result of the task of that number, for good; NULL: none is given. */
struct value *given_take(struct given *g, uint32_t task);

/* node_gather.c: it gathers what is done for items. */
bool gather_is_over_items(const struct node *n);
/* node_race.c: the first that races, NULL: it is not in the document. */
const struct node *race_first(const struct node *n);

#endif
