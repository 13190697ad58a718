#ifndef COROD_EXECUTOR_OUTPUT_H
#define COROD_EXECUTOR_OUTPUT_H
/*
 * A command's output in its monitor: framed (proto/outlog.h), held in memory while it is small and
 * fresh, then in log files that never grow beyond their cap.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/buf.h"
#include "proto/outlog.h"

#define OUTPUT_HOLD_US           (200ll * 1000) /* a byte waits at most so long to be in the file */
#define OUTPUT_SPOOL_HOLD_US     (20ll * 1000)  /* of an attempt with credit: somebody waits */
#define OUTPUT_RING_HOLD_US      (100ll * 1000) /* in a log's tail: what comes faster has gaps */
#define OUTPUT_PENDING_MAX_BYTES (128u * 1024)  /* held when the disk refuses them; then dropped */

struct output {
    int dirfd; /* of the log files; not owned */
    uint64_t number, cap_bytes;
    bool keep_all;      /* nothing may be dropped: output_full() stops the reading instead */
    struct buf pending; /* whole chunks that are in no file; in a log's tail a ring of them: */
    size_t first, wrap; /* those from first to before wrap, then those from 0 to pending.len */
    uint64_t position;  /* of the end of pending in the framed stream */
    uint64_t lost_bytes, untold_bytes; /* dropped; of these, not yet told in the stream */
    int64_t flush_at_us;               /* 0: nothing to flush */
    int fd;                            /* of the current piece, -1 before the first flush */
    int tail;                          /* -1: fd is the head; 0, 1 */
    uint64_t piece_end;                /* position behind its last chunk */
    uint64_t piece_bytes;              /* framed bytes in the piece */
    unsigned widened;                  /* streams (OUTLOG_MASK) whose pipe was made larger */
};

/* For one command; the buffer of one whose output was small is used again. */
void output_begin(struct output *o, int dirfd, uint64_t number, uint64_t cap_bytes, bool keep_all);

/* Reads what fd has, once: > 0 bytes, 0 at its end, -1 with errno. */
ssize_t output_read(struct output *o, int fd, enum outlog_stream stream, int64_t now_us);

/* Much is pending: call output_flush(). */
bool output_should_flush(const struct output *o, int64_t now_us);
/* Writes what is pending to the log; what it cannot write it holds, and then drops, by its rules.
 */
bool output_flush(struct output *o, int64_t now_us);
/* Nothing more fits until a flush succeeds. */
bool output_full(const struct output *o);

/* Ends: afterwards all is in files or dropped, or, when *in_memory, all of it is in pending. */
void output_finish(struct output *o, bool *in_memory);

/* Removes the log files of an attempt. False: one is still there. */
bool output_remove(int dirfd, uint64_t number);

#endif
