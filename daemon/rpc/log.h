#ifndef COROD_RPC_LOG_H
#define COROD_RPC_LOG_H
/*
 * log.read and log.follow: what a job printed, and what its commands wrote. Inside daemon/rpc only.
 *
 * An offset of printed lines is the number of the last line; one of commands is "ATTEMPT:POSITION",
 * the position in that attempt's framed stream.
 */
#include "daemon/rpc/request.h"
#include "proto/outlog.h"

struct follow;

struct log_cursor {
    uint64_t attempt;  /* 0: the first */
    uint64_t position; /* or a line's number */
};

/* Columns of ST_LOG_ATTEMPTS and ST_LOG_ATTEMPT. */
enum log_column { LOG_NUMBER, LOG_TASK, LOG_ENDED, LOG_IN_FILE, LOG_OUTPUT };

extern const char *const log_stream_names[]; /* by enum outlog_stream */
/* The streams of a choice as OUTLOG_MASK bits. */
unsigned log_mask(enum log_stream s);
/* Members of an object: `data` and how it is encoded; so many bytes before it are not kept. */
void log_put_data(struct json_out *o, const struct buf *data, uint64_t dropped);
/* From the parameter; false: no such offset was ever given. */
bool log_cursor_read(const json_t *v, struct log_cursor *ret);

/* Whether a task, if one is given, is of that job; else the request is answered. */
bool log_check_task(struct request *r, struct json_task task, uint64_t job);

void logs_on_event(struct server *s, const struct event *e);
/* The peer has read: what was held back goes on. */
void follows_on_drained(struct session *s);
/* The end: what the store was asked for is not answered any more. */
void follows_end(struct server *s);
void follow_free(struct follow *f);

#endif
