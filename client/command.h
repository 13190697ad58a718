#ifndef CORO_COMMAND_H
#define CORO_COMMAND_H
/*
 * The commands of coro: one file each, with one `const struct command` that is listed in
 * command.def. Parsing, help and hints come from these rows.
 *
 * A new command: its file, its line in command.def, its source in Makefile.inc.
 */
#include <stdbool.h>
#include <stddef.h>

#include "client/cli.h"
#include "client/options.h"

struct command {
    const char *name;             /* one word, or two: "pool set" */
    const char *args;             /* "[OPTION…] -- COMMAND [ARGUMENT…]" */
    const char *summary;          /* one line, for the list */
    bool takes_command;           /* what follows the first word that is no option is another's */
    const struct option *options; /* its own; those of every command come by themselves */
    const char *help;             /* more about it, or NULL */
    const char *examples;         /* lines of command and what it does, or NULL */
    /* argv: what follows the options. The exit status. */
    int (*run)(struct cli *c, const struct options *o, int argc, char **argv);
};

/* All of them, NULL behind. */
const struct command *const *cli_commands(void);
/* The command that the first word names, or the first two (*ret_words); `pool` alone is `pool ls`,
 * `daemon` alone `daemon status`. NULL: none. */
const struct command *cli_find(int argc, char **argv, int *ret_words);

#define COMMAND(id) extern const struct command command_##id;
#include "client/command.def"
#undef COMMAND

#endif
