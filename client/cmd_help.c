#include "client/command.h"
#include "client/help.h"

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    int words;
    (void)o;

    const struct command *command = argc > 0 ? cli_find(argc, argv, &words) : NULL;
    if (argc == 0)
        help_all(c);
    else if (help_is_group(argv[0]) && argc == 1)
        help_group(c, argv[0]);
    else if (command != NULL)
        help_command(c, command);
    else
        return cli_usage(c, "there is no command \"%s\" (`coro help` lists them)", argv[0]);
    return EXIT_OK;
}

static const struct option none[] = {OPTIONS_END};
const struct command command_help = {
    .name = "help",
    .args = "[COMMAND]",
    .summary = "this list, or help about a command",
    .options = none,
    .run = run,
};
