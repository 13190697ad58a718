#include "client/command.h"
#include "client/steer.h"

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    return steer_jobs(c, o, argc, argv, IDS_ALL_LIVE, "job.cancel", NULL, NULL);
}

static const struct option cancel_options[] = {OPTION_DRY_RUN, OPTIONS_END};
const struct command command_cancel = {
    .name = "cancel",
    .args = "[-n] ID…",
    .summary = "cancel jobs: their commands get SIGTERM, their clean-up runs",
    .options = cancel_options,
    .help = "`all` is every job that has not ended.",
    .examples = "coro cancel last\n",
    .run = run,
};
