#ifndef CORO_FOLLOW_H
#define CORO_FOLLOW_H
/* Showing a job's output as it comes, until its end. */
#include <stdbool.h>

#include <jansson.h>

#include "client/conn.h"

struct follow {
    struct conn *conn;
    json_int_t job;
    json_int_t task;     /* 0: all */
    const char *streams; /* of the commands: stdout, stderr, both; NULL: none */
    bool prints;         /* also the job's own output */
    bool merge;          /* all of it to stdout */
    bool wait;           /* end with the job, not with its output alone */
    bool live;           /* on a terminal: show below it which commands run */
    /* On Ctrl-C: say that the job goes on, a second one cancels it. Else it just ends. */
    bool detach;

    json_t *ended; /* out, with wait: the job as job.wait gives it; the caller's */
};

/*
 * Runs until the end: EXIT_OK; EXIT_INTERRUPT when the person left; EXIT_COROD with *err. When the
 * daemon goes away it waits for it, says so once, and goes on where it was.
 */
int follow_run(struct follow *f, struct err *err);

/* write(2) of all of it, also to a descriptor that does not block. */
void follow_write(int fd, const char *data, size_t len);
/* Whether some of what it was given for stdout could not be written. */
bool follow_stdout_failed(void);

#endif
