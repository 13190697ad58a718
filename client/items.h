#ifndef CORO_ITEMS_H
#define CORO_ITEMS_H
/*
 * A job of many items side by side (`map`, `gather`, `group`): hands it in, shows each item's
 * output in one piece when it has ended, and how far it all is. When the daemon goes away it waits
 * for it and goes on where it was. 100,000 items are no matter.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "client/conn.h"
#include "client/leave.h"
#include "client/live.h"
#include "client/submit.h"

/* The error of an item that was not started because of what became of others. */
#define ITEM_HALTED "Halted"

struct items {
    /* The caller's: */
    struct cli *cli;
    size_t n;
    uint32_t first_task;                   /* the task of item 0; the others follow */
    char *(*name)(void *arg, size_t item); /* the caller's to free() */
    void *arg;                             /* of the functions */
    bool keep_order;                       /* output in the order of the items */
    bool progress;                         /* lines on stderr where it is no terminal */
    bool group; /* the first that fails cancels the others: its status counts */
    const struct job_options *options; /* of the submission */
    /* An item's output as it is shown, fd 1 or 2; data NULL: it begins again. NULL: nobody else
     * wants it. */
    void (*on_output)(void *arg, size_t item, int fd, const char *data, size_t len);
    /* An item has ended and was shown: its last command (of job.attempts), NULL: it never ran.
     * NULL: nobody wants it. */
    void (*on_end)(void *arg, size_t item, const char *state, const json_t *attempt);

    /* What it needs itself: */
    struct conn conn;
    json_int_t job;
    struct item *all;
    size_t next;  /* keep_order: the item whose output comes next */
    size_t shown; /* the item that is being shown; SIZE_MAX: none */
    unsigned stream, attempt;
    json_t *reading; /* params of log.read */
    uint64_t wait_id, follow_id;
    json_t *subscription, *follow;
    struct leave leave;
    struct live live;
    double told_s; /* when progress was last told */
    bool said_gone, over;
};

/* Hands in the document (taken over) and shows it to the end. The exit status: the highest of the
 * items', or of what went wrong. */
int items_run(struct items *m, json_t *document);

#endif
