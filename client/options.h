#ifndef CORO_OPTIONS_H
#define CORO_OPTIONS_H
/* What the options of all commands fill: each command's table names the members that it uses. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/submit.h"
#include "proto/option.h"

struct options {
    /* of every command */
    bool help, version, json, quiet, no_start, no_input;
    int color; /* enum color_mode */
    const char *socket;

    struct job_options job;
    bool use_stdin;                        /* run, add */
    bool keep_order, null_args;            /* map */
    const char *jobs_at_once, *results;    /* map */
    const char *between, *halt, *joblog;   /* map */
    bool resume, bar;                      /* map */
    bool wait, follow;                     /* submit, log */
    bool trace, only_output;               /* simulate */
    bool any;                              /* wait */
    const char *deadline;                  /* wait */
    bool all;                              /* ls, tree */
    bool only_stdout, only_stderr, prints; /* log */
    const char *lines;                     /* log, ls, queue get */
    bool dry_run;                          /* cancel, pause, resume, rm, map */
    bool force;                            /* rm, queue rm */
    bool nowait, immediate;                /* queue */
    bool freeze;                           /* pause */
    bool failed;                           /* retry */
    const char *since, *until, *owner;     /* ls; owner: queue too */
    const char *columns, *sort;            /* ls */
    bool reverse;                          /* ls */
    const char *svg;                       /* timeline */
    const char *after_seq;                 /* events */
    const char **types;                    /* events */
    size_t n_types;
    const char **states; /* ls */
    size_t n_states;
};

#define OPTION_STRUCT struct options

/* What one can say of a job that is made from a command line. */
#define OPTIONS_JOB                                                                                \
    OPTIONS_ITEMS, OPTION_TEXT("delay", 0, job.delay, "DURATION", "start after so long")

/* The same without --delay, which is something else for `map`. */
#define OPTIONS_ITEMS                                                                              \
    OPTION_TEXT("name", 'n', job.name, "NAME", "what the job is called"),                          \
        OPTION_TEXT("pool", 'p', job.pool, "POOL", "where its commands run"),                      \
        OPTION_TEXT("priority", 0, job.priority, "N", "higher ones start first"),                  \
        OPTION_TEXT("timeout", 0, job.timeout, "DURATION", "end a command that takes longer"),     \
        OPTION_TEXT("retry", 0, job.retry, "N", "try a command up to N times"),                    \
        OPTION_SIZE("mem", 0, job.mem_bytes, "SIZE", "address space a command may use: 512M, 4G"), \
        OPTION_TEXT("cpu", 0, job.cpu, "DURATION", "processor time it may use"),                   \
        OPTION_TEXT("key", 0, job.key, "KEY", "the same key and command give the same job"),       \
        OPTION_LIST("label", 'l', job.labels, job.n_labels, "KEY[=VALUE]", "put a label on it"),   \
        OPTION_TEXT("cwd", 0, job.cwd, "DIRECTORY", "where it runs, if not here"),                 \
        OPTION_LIST("env", 'e', job.env, job.n_env, "NAME[=VALUE]",                                \
                    "set an environment variable"),                                                \
        OPTIONS_START

/* When it starts. */
#define OPTIONS_START                                                                              \
    OPTION_LIST("after", 0, job.after, job.n_after, "ID…",                                         \
                "start when these jobs have succeeded"),                                           \
        OPTION_LIST("after-any", 0, job.after_any, job.n_after_any, "ID…",                         \
                    "start when these jobs have ended"),                                           \
        OPTION_LIST("after-fail", 0, job.after_fail, job.n_after_fail, "ID…",                      \
                    "start when these jobs have not succeeded"),                                   \
        OPTION_TEXT("at", 0, job.at, "TIME", "start at 22:30 (the next), \"2026-12-24 22:30\""),   \
        OPTION_FLAG("hold", 0, job.hold, "start when it is released, coro release")

/* The rows that every command has. */
extern const struct option options_global[];

#endif
