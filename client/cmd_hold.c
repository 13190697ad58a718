#include "client/command.h"
#include "client/steer.h"

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    return steer_jobs(c, o, argc, argv, IDS_ALL_LIVE, "job.hold", NULL, NULL);
}

static const struct option hold_options[] = {OPTION_DRY_RUN, OPTIONS_END};
const struct command command_hold = {
    .name = "hold",
    .args = "[-n] ID…",
    .summary = "keep jobs that have not started from starting",
    .options = hold_options,
    .help = "`coro release` lets them start. `all` is every job that has not ended.\n",
    .examples = "coro hold 7\n",
    .run = run,
};
