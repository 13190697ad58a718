#include <string.h>
#include <unistd.h>

#include "client/command.h"
#include "client/steer.h"

static bool says_all(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "all") == 0)
            return true;
    }
    return false;
}

/* Nobody is asked about jobs that are named. */
static bool confirm(struct cli *c)
{
    char answer[8];
    if (c->no_input || !isatty(STDIN_FILENO)) {
        cli_problem(c, "`all` removes every job that has ended, with its output: say -f");
        return false;
    }
    fprintf(stderr, "Remove every job that has ended, with its output? [y/N] ");
    return fgets(answer, sizeof(answer), stdin) != NULL && (*answer == 'y' || *answer == 'Y');
}

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    if (says_all(argc, argv) && !o->force && !o->dry_run && !confirm(c))
        return EXIT_COROD;
    return steer_jobs(c, o, argc, argv, IDS_ALL_ENDED, "job.remove", NULL, NULL);
}

static const struct option rm_options[] = {
    OPTION_FLAG("force", 'f', force, "do not ask whether `all` may go"),
    OPTION_DRY_RUN,
    OPTIONS_END,
};
const struct command command_rm = {
    .name = "rm",
    .args = "[-fn] ID…",
    .summary = "remove jobs that have ended, with their output",
    .options = rm_options,
    .help = "`all` is every job that has ended; one that has not must be cancelled first.\n"
            "Old jobs are removed by themselves: keep_jobs and keep_age in corod.conf(5).",
    .examples = "coro rm last\n"
                "coro rm -f all\n",
    .run = run,
};
