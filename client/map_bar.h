#ifndef CORO_MAP_BAR_H
#define CORO_MAP_BAR_H
/* How far a map is: one line at the foot of a terminal. */
#include <stdbool.h>
#include <stddef.h>

#include "client/cli.h"

struct map_bar {
    struct cli *cli;
    size_t total, done, failed;
    double started_s, drawn_s;
    bool shown;
};

void map_bar_init(struct map_bar *b, struct cli *c, size_t total);
/* Draws it, at most some times a second unless `now`. Nothing where stderr is no terminal. */
void map_bar_draw(struct map_bar *b, bool now);
/* Takes it away, before other output. */
void map_bar_clear(struct map_bar *b);

#endif
