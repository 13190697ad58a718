#ifndef CORO_CLI_H
#define CORO_CLI_H
/* What every command of coro is given, and what ends it. */
#include <stdbool.h>
#include <stdio.h>

#include "proto/err.h"

/* Exit statuses of coro's own; a job's are exit_of_job()'s. */
enum {
    EXIT_OK = 0,
    EXIT_OTHER = 1, /* a job failed with an error that is no command's */
    EXIT_USAGE = 2,
    EXIT_TIMEOUT = 124,
    EXIT_COROD = 125, /* corod's own error: no daemon, refused, lost */
    EXIT_SIGNAL = 128,
    EXIT_INTERRUPT = 130
};

enum color_mode { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct screen {
    FILE *file;
    bool tty, color, utf8;
    unsigned columns; /* of a terminal; 0: as many as it takes */
};

struct cli {
    bool json, quiet, no_start, no_input;
    const char *socket; /* --socket */
    struct screen out, err;
};

/* One line on stderr, "coro: …". With -q only problems are said, never notes. */
void cli_problem(struct cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_note(struct cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Says what err says; returns EXIT_COROD, for `return cli_fail(c, &err);`. */
int cli_fail(struct cli *c, const struct err *err);
/* The same for a mistake in the command line: EXIT_USAGE. */
int cli_usage(struct cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What main() does. */
int cli_main(int argc, char **argv);

#endif
