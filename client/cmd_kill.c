#include "client/command.h"
#include "client/steer.h"

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    return steer_jobs(c, o, argc, argv, IDS_ALL_LIVE, "job.kill", NULL, NULL);
}

static const struct option kill_options[] = {OPTION_DRY_RUN, OPTIONS_END};
const struct command command_kill = {
    .name = "kill",
    .args = "[-n] ID…",
    .summary = "end jobs at once: their commands get SIGKILL, no clean-up runs",
    .options = kill_options,
    .help = "`all` is every job that has not ended. `coro cancel` lets them clean up.",
    .examples = "coro kill last\n",
    .run = run,
};
