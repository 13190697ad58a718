#include "client/command.h"
#include "client/steer.h"

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    return steer_jobs(c, o, argc, argv, IDS_ALL_LIVE, "job.release", NULL, NULL);
}

static const struct option release_options[] = {OPTION_DRY_RUN, OPTIONS_END};
const struct command command_release = {
    .name = "release",
    .args = "[-n] ID…",
    .summary = "let held jobs start",
    .options = release_options,
    .help = "They start when nothing else keeps them: a time, other jobs.\n",
    .examples = "coro release last\n",
    .run = run,
};
