#ifndef COROD_EXECUTOR_JOURNAL_H
#define COROD_EXECUTOR_JOURNAL_H
/*
 * The journal's segments and records (design: attempts.md).
 *
 * A segment is a header (magic, sync, highest number, id, CRC) and records of
 * `u64 sync, u8 version, u8 type, u32 length, u64 number, payload, u32 CRC`. `sync` is random per
 * segment and is what a reader looks for after a torn record: a command's output, which an end
 * record carries, cannot contain a record that a reader would believe, because nobody outside can
 * know it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/err.h"

enum journal_type {
    JOURNAL_START = 'S', /* boot id, 16 bytes */
    JOURNAL_PID =
        'P', /* u64 monitor pid, u64 its start time, u64 sid, u64 started_us, u64 started_boot_us */
    JOURNAL_END = 'E' /* struct exec_end (proto/exec.h); without an S: a tombstone */
};

#define JOURNAL_SEGMENT_BYTES    (4u * 1024 * 1024) /* a new one is begun after so much */
#define JOURNAL_RECORD_OVERHEAD  26
#define JOURNAL_RECORD_MAX_BYTES (64u * 1024)
#define JOURNAL_BOOT_ID_BYTES    16
#define JOURNAL_PID_BYTES        40

/* What is needed to append; the descriptor is the owner's. */
struct journal_pen {
    int fd;
    uint64_t sync;
};

/*
 * Appends one record by one write. On failure a part of it may be on disk: the caller, who still
 * holds the attempt's lock, calls again until it is whole. async-signal-safe for payloads of a P's
 * size.
 */
bool journal_append(const struct journal_pen *pen, enum journal_type type, uint64_t number,
                    const void *payload, size_t len);

struct journal_pid {
    int64_t monitor_pid;
    uint64_t monitor_start; /* clock ticks since boot, of /proc/PID/stat */
    int64_t sid;
    int64_t started_us;      /* CLOCK_REALTIME */
    int64_t started_boot_us; /* CLOCK_BOOTTIME */
};

/* As journal_append() for a P. */
bool journal_append_pid(const struct journal_pen *pen, uint64_t number,
                        const struct journal_pid *pid);
bool journal_pid_parse(const void *payload, size_t len, struct journal_pid *ret);

struct segment {
    unsigned id;
    uint64_t sync;
    uint64_t highest;     /* as its header says */
    uint64_t scanned;     /* up to here its records are known */
    size_t unsettled;     /* of its attempts */
    struct segment *next; /* ascending ids */
};

/* Writes a new segment under its final name; its pen's descriptor is the caller's to close. */
bool segment_create(int dirfd, unsigned id, uint64_t highest, struct segment *ret,
                    struct journal_pen *ret_pen, struct err *err);
/* Reads a segment's header. */
bool segment_open(int dirfd, unsigned id, struct segment *ret, struct err *err);
bool segment_remove(int dirfd, unsigned id, struct err *err);

struct journal_record {
    enum journal_type type;
    uint64_t number;
    const char *payload;
    size_t len;
    uint64_t offset; /* of the record in its segment */
};

/* Calls on_record for each whole record from s->scanned on, and moves s->scanned behind the last.
 */
bool segment_scan(int dirfd, struct segment *s,
                  void (*on_record)(void *arg, struct segment *s, const struct journal_record *r),
                  void *arg, struct err *err);
/* Reads the record at an offset that segment_scan() gave; r points into *b. */
bool segment_read(int dirfd, const struct segment *s, uint64_t offset, struct buf *b,
                  struct journal_record *r, struct err *err);

/* "%08u", the name of a segment's file. */
#define SEGMENT_NAME_FORMAT "%08u"
/* The id of a segment's file name; false: not one. */
bool segment_name_parse(const char *name, unsigned *ret);

#endif
