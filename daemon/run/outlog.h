#ifndef COROD_RUN_OUTLOG_H
#define COROD_RUN_OUTLOG_H
/*
 * Reading the output of attempts from the executor's log files (proto/outlog.h), also while they
 * are being written. Positions are bytes of the framed stream.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/loop.h"
#include "proto/buf.h"
#include "proto/err.h"
#include "proto/outlog.h"

struct outlog_range {
    uint64_t next;          /* go on reading here */
    uint64_t dropped_bytes; /* framed bytes before the appended ones that the cap did not keep */
};

/*
 * Appends whole chunks from `position` on to *framed, about limit_bytes of them (at least one chunk
 * when there is one). Nothing appended and next = position: nothing more is there now. A log that
 * does not exist has nothing. `log_dir` is STATE/log of the executor.
 */
bool outlog_read(const char *log_dir, uint64_t number, uint64_t position, size_t limit_bytes,
                 struct buf *framed, struct outlog_range *ret, struct err *err);

/*
 * Appends the beginning of both streams, at most limit_bytes of each. *truncated becomes true when
 * a stream has more than that, or not all of it was kept; otherwise it is unchanged. Reads a
 * bounded part of the log.
 */
bool outlog_read_head(const char *log_dir, uint64_t number, size_t limit_bytes, struct buf *out,
                      struct buf *err_out, bool *truncated, struct err *err);

/* Tells when the log files of chosen attempts have grown. */
struct outlog_follower;

struct outlog_follower *outlog_follower_new(struct loop *l, const char *log_dir,
                                            void (*on_grown)(void *arg, uint64_t number),
                                            void *arg);
void outlog_follower_free(struct outlog_follower *f);
/* Chooses an attempt, as often as it is removed again. False: its directory cannot be watched. */
bool outlog_follower_add(struct outlog_follower *f, uint64_t number, struct err *err);
void outlog_follower_remove(struct outlog_follower *f, uint64_t number);

#endif
