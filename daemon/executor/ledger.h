#ifndef COROD_EXECUTOR_LEDGER_H
#define COROD_EXECUTOR_LEDGER_H
/*
 * What the executor knows of attempts: the journal, and in memory every attempt in it that the
 * daemon has not settled.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/executor/journal.h"
#include "daemon/executor/statedir.h"
#include "proto/clock.h"
#include "proto/exec.h"

enum attempt_state {
    ATTEMPT_RUNNING, /* as far as is known: see verdict.h */
    ATTEMPT_LOSING,  /* its monitor is dead, what is left of it is being killed */
    ATTEMPT_LOST,
    ATTEMPT_ENDED
};

struct attempt {
    uint64_t number;
    enum attempt_state state;
    bool same_boot;
    bool settled; /* while it still ran: forgotten when it ends */
    bool has_pid;
    bool stop_wanted; /* it could not be signalled yet */
    bool told_stuck;
    uint32_t stop_grace_ms;
    enum pause_wanted { PAUSE_AS_IT_IS, PAUSE_FREEZE, PAUSE_THAW } pause_wanted; /* the same */
    uint64_t credit_wanted;  /* could not be told yet, 0: nothing */
    struct segment *segment; /* NULL: seen only by its lock */
    struct journal_pid pid;
    uint64_t end_offset;     /* of its E in the segment, 0: not known */
    struct worker *monitor;  /* ours that holds it */
    struct adopted *adopted; /* one of an earlier executor that holds it */
    int64_t losing_since_us;
    bool to_check;        /* in the list of those to look at again (verdict.c) */
    struct attempt *next; /* of its hash bucket */
};

struct ledger {
    const struct statedir *dir;
    unsigned char boot_id[JOURNAL_BOOT_ID_BYTES];
    char boot_id_text[BOOT_ID_SIZE];
    uint64_t highest;
    bool incomplete; /* a segment could not be read: unknown numbers may have been started */
    struct segment *segments, *current; /* current is the last */
    unsigned last_id;                   /* of the newest segment, readable or not */
    struct journal_pen pen;             /* of current */
    unsigned starts_until_look;
    struct attempt **buckets;
    size_t n_buckets, n_attempts;
    /* Called before an attempt is freed. */
    void (*on_forget)(void *arg, struct attempt *a);
    void *arg;
    bool loading;
};

bool ledger_open(struct ledger *l, const struct statedir *dir, struct err *err);
void ledger_close(struct ledger *l);

struct attempt *ledger_find(const struct ledger *l, uint64_t number);
/* Calls each for all attempts; it may forget the one it is given. */
void ledger_each(struct ledger *l, void (*each)(void *arg, struct attempt *a), void *arg);

/*
 * Begins an attempt: locks it and writes S. Returns the lock's description, -1 when it cannot be
 * done now (errno): nothing has happened then, and it may be tried again.
 */
int ledger_begin(struct ledger *l, uint64_t number, struct attempt **ret);
/* Writes the end of a number that was never started: so it never will be. */
bool ledger_tombstone(struct ledger *l, const struct exec_end *end);
/* Writes the end of an attempt that the executor began and whose lock it holds. */
bool ledger_write_end(struct ledger *l, struct attempt *a, const struct exec_end *end);
/* An attempt that is known by its lock alone. */
struct attempt *ledger_add_unknown(struct ledger *l, uint64_t number);

/* 1: somebody holds its lock; 0: nobody; -1: cannot be told now. */
int ledger_is_locked(const struct ledger *l, uint64_t number);
/* Reads what was written to the attempt's segment since the last time: its P, its E. */
bool ledger_refresh(struct ledger *l, struct attempt *a);
/* The payload of an ended attempt's E, in *b. */
bool ledger_read_end(struct ledger *l, struct attempt *a, struct buf *b, const char **ret_payload,
                     size_t *ret_len);

/* The daemon has committed its end: the attempt is forgotten, and its segment when it was the last.
 */
void ledger_settle(struct ledger *l, struct attempt *a);

#endif
