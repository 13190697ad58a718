#ifndef CORO_HELP_H
#define CORO_HELP_H
/* Help, from the same rows that are parsed. All of it goes to stdout. */
#include "client/command.h"

void help_all(struct cli *c);
void help_command(struct cli *c, const struct command *command);
/* Whether there are commands of two words that begin with this one; help about them. */
bool help_is_group(const char *word);
void help_group(struct cli *c, const char *word);

#endif
