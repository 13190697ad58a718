#ifndef CORO_COMPLETE_H
#define CORO_COMPLETE_H
/* What may stand next on a command line: for the shells' completions. */
#include "client/cli.h"

/*
 * Prints what the last of the words (behind "coro") may become, one a line: the word, and behind a
 * tab what it is. A line that begins with ":" tells the shell what else fits: ":files",
 * ":directories", ":command N" (the words from the N-th on are another command's line).
 */
void complete_print(struct cli *c, int argc, char **argv);

#endif
