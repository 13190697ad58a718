#ifndef COROD_PROTO_EXEC_H
#define COROD_PROTO_EXEC_H
/*
 * What the daemon and corod-exec say to each other over a Unix stream socket: frames of
 * `u32 length, u8 type, payload` (length counts type and payload), each payload as its function
 * here writes it. design: attempts.md.
 *
 * Decoded structs point into the message: they are valid as long as it is.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/buf.h"
#include "proto/err.h"

#define EXEC_PROTOCOL_VERSION 1
#define EXEC_FRAME_HEADER     5                   /* u32 length, u8 type */
#define EXEC_FRAME_MAX_BYTES  (17u * 1024 * 1024) /* of type and payload */
#define EXEC_OUTPUT_MAX_BYTES (16u * 1024)        /* of framed output that an end carries itself */
#define EXEC_LOG_CAP_BYTES    (64ull * 1024 * 1024) /* the usual cap of an attempt's log */
#define EXEC_GRACE_MS         10000                 /* the usual time from SIGTERM to SIGKILL */
#define EXEC_SPOOL_WINDOW_BYTES                                                                    \
    (1024u * 1024) /* the usual read-ahead of an attempt with credit                               \
                    */

/* Both directions. Numbers are wire values and stay. */
#define EXEC_MESSAGES(X)                                                                           \
    X(HELLO, 1)        /* daemon first, then the executor */                                       \
    X(START, 2)        /* struct exec_start */                                                     \
    X(STOP, 3)         /* u64 number, u32 grace_ms */                                              \
    X(RESOLVE, 4)      /* u64 number, u8 same_boot */                                              \
    X(SETTLE, 5)       /* u64 number */                                                            \
    X(FLUSH, 6)        /* u64 number */                                                            \
    X(REMOVE_LOG, 7)   /* u64 number */                                                            \
    X(CREDIT, 8)       /* u64 number, u64 position: output is committed up to there */             \
    X(PAUSE, 9)        /* u64 number, u8 paused */                                                 \
    X(STARTED, 17)     /* u64 number, u64 pid, u64 started_us */                                   \
    X(END, 18)         /* struct exec_end */                                                       \
    X(STATE, 19)       /* u64 number, u8 enum exec_state */                                        \
    X(NOTICE, 20)      /* u64 number (0: of all), text for a person  */                            \
    X(LOG_REMOVED, 21) /* u64 number: its log files are not there any more */

enum exec_message {
#define EXEC_MESSAGE_ROW(name, value) EXEC_MSG_##name = value,
    EXEC_MESSAGES(EXEC_MESSAGE_ROW)
#undef EXEC_MESSAGE_ROW
};

/* What RESOLVE finds when there is no end to report. */
enum exec_state {
    EXEC_RUNNING = 1,
    EXEC_UNKNOWN = 2 /* never seen: its start may be sent (again) */
};

/* One resource limit; RLIM_INFINITY is UINT64_MAX. `resource` is RLIMIT_… of this machine. */
struct exec_limit {
    uint32_t resource;
    uint64_t soft, hard;
};

struct exec_start {
    uint64_t number;
    uint32_t uid;            /* whom the command runs as */
    const char *const *argv; /* NULL-terminated, at least one; looked up in the PATH of env */
    const char *const
        *env;          /* NULL-terminated "NAME=value", given as it is; CORO_ATTEMPT is added */
    const char *cwd;   /* NULL: "/" */
    const void *input; /* stdin's bytes; NULL: /dev/null */
    size_t input_len;
    uint32_t umask;
    uint32_t grace_ms;      /* SIGTERM to SIGKILL of what the command leaves behind */
    uint64_t log_cap_bytes; /* 0: no cap */
    uint64_t
        window_bytes;  /* ≠ 0: output is read at most so far ahead of CREDIT, and none is lost */
    bool merge_stderr; /* stderr is the same pipe as stdout */
    const char *files[3]; /* what stdin, stdout and stderr are instead; seen from cwd, opened by the
                             user's rights; NULL: as above */
    bool append[3];       /* stdout, stderr: behind what is there */
    bool keep_leftovers;  /* what the command leaves behind lives on */
    const struct exec_limit *limits;
    size_t n_limits;
};

enum exec_outcome {
    EXEC_EXITED = 1,
    EXEC_SIGNALED,
    EXEC_NOT_STARTED, /* `status` 127: not found, else 126; `error`, `text` say why */
    EXEC_LOST         /* nobody knows: its monitor or the machine died */
};

struct exec_end {
    uint64_t number;
    enum exec_outcome outcome;
    int status; /* EXITED: 0…255; SIGNALED: the signal; NOT_STARTED: 126, 127 */
    bool core_dumped;
    bool never_ran;   /* NOT_STARTED always; LOST: it is certain that the command was not begun */
    bool stopped;     /* a stop was asked for before the command ended */
    int error;        /* errno of NOT_STARTED (ECANCELED: stopped before it was started), else 0 */
    const char *text; /* for a person, "" when there is nothing to say */
    int64_t pid;      /* of the command, 0 when it never ran */
    int64_t cpu_user_us, cpu_sys_us; /* of the command and the descendants it waited for */
    uint64_t maxrss_kib;
    int64_t started_us, ended_us; /* CLOCK_REALTIME; of the command's own process */
    int64_t duration_us;          /* by the boot-time clock */
    const char *output; /* the whole framed output (proto/outlog.h) unless it is in a file */
    size_t output_len;
    bool log_in_file;
    uint64_t log_bytes; /* framed bytes of all output, wherever it is */
    uint64_t log_lost;  /* bytes that could not be written to the log */
};

/* Each appends a whole frame; its row of EXEC_MESSAGES says what is in it. */
void exec_put_start(struct buf *b, const struct exec_start *start);
void exec_put_end(struct buf *b, const struct exec_end *end);
void exec_put_number(struct buf *b, enum exec_message type, uint64_t number);
void exec_put_stop(struct buf *b, uint64_t number, uint32_t grace_ms);
void exec_put_resolve(struct buf *b, uint64_t number, bool same_boot);
void exec_put_credit(struct buf *b, uint64_t number, uint64_t position);
void exec_put_pause(struct buf *b, uint64_t number, bool paused);
void exec_put_started(struct buf *b, uint64_t number, int64_t pid, int64_t started_us);
void exec_put_state(struct buf *b, uint64_t number, enum exec_state state);
void exec_put_notice(struct buf *b, uint64_t number, const char *text);
void exec_put_frame(struct buf *b, enum exec_message type, const void *payload, size_t len);

/* The daemon's HELLO; `open` holds n_open put_u64 numbers. */
void exec_put_hello(struct buf *b, uint64_t highest, const void *open, size_t n_open);
/* The executor's HELLO; boot_id as in /proc/sys/kernel/random/boot_id. */
void exec_put_hello_back(struct buf *b, uint64_t highest, const char *boot_id);

/* An END's payload alone: what the journal's end record holds too. */
void exec_put_end_body(struct buf *b, const struct exec_end *end);

struct exec_frame {
    enum exec_message type; /* as it came: may be none of ours */
    const char *payload;
    size_t len;
};

/*
 * Takes the first frame of `len` bytes: returns its whole size, 0 when more bytes are needed, -1
 * (and *err) when it can never be one.
 */
ssize_t exec_frame_parse(const void *data, size_t len, struct exec_frame *ret, struct err *err);

/*
 * Decode a payload; false and *err when it is malformed. exec_get_start allocates its arrays in one
 * block that the caller frees through exec_start_release(); env has room for two more entries.
 */
bool exec_get_start(const void *payload, size_t len, struct exec_start *ret, struct err *err);
void exec_start_release(struct exec_start *start);
bool exec_get_end(const void *payload, size_t len, struct exec_end *ret, struct err *err);

struct exec_hello {
    uint64_t highest;
    const char *open; /* n_open numbers, as put_u64 writes them */
    size_t n_open;
};
/* Both refuse another protocol version with a text that names both. */
bool exec_get_hello(const void *payload, size_t len, struct exec_hello *ret, struct err *err);
bool exec_get_hello_back(const void *payload, size_t len, uint64_t *highest, const char **boot_id,
                         struct err *err);
bool exec_get_notice(const void *payload, size_t len, uint64_t *number, const char **text);

/* The first field of every START, END and STATE: its number; 0 when the payload is too short. */
uint64_t exec_peek_number(const void *payload, size_t len);
/* The uid of a START; UINT32_MAX when the payload is too short. */
uint32_t exec_peek_uid(const void *payload, size_t len);

#endif
