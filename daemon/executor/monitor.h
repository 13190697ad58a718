#ifndef COROD_EXECUTOR_MONITOR_H
#define COROD_EXECUTOR_MONITOR_H
/*
 * A monitor: a process that the executor forked, which holds one command at a time (design:
 * attempts.md).
 *
 * It is given a command over a SOCK_SEQPACKET socket pair, together with the open file description
 * that locks the attempt's byte. It reports over the same socket, journal first; when the executor
 * is gone it finishes its command, records the end and exits. It is steered by a signal with a
 * value, through its pidfd, so that a later executor can do so too.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/executor/launch.h"

/*
 * A command packet: u8 flags, u64 sync of the journal segment, user (with MONITOR_HAS_USER), then
 * the START's payload, unless it is large and comes in a memfd. Descriptors: the lock, then what
 * the flags say.
 */
enum { MONITOR_HAS_USER = 1, MONITOR_HAS_JOURNAL = 2, MONITOR_HAS_MEMFD = 4 };
#define MONITOR_PACKET_MAX_BYTES (48u * 1024)

/* Reports: u8 type, then what its row says. */
enum monitor_report {
    MONITOR_STARTED = 1, /* u64 number, u64 pid, u64 started_us */
    MONITOR_ENDED,       /* u8 retiring, struct exec_end */
    MONITOR_NOTICE       /* u64 number, the text's bytes */
};

/* A command that has lived so long is reported as started; of a shorter one its end says it all. */
#define MONITOR_STARTED_US (50ll * 1000)
/* What a command left behind may write to its pipes for so long. */
#define MONITOR_DRAIN_US (1000ll * 1000)

/* Steering: one signal, fixed for good, because monitors outlive an upgrade of the executor. */
#define MONITOR_SIGNAL (SIGRTMIN + 4)
enum monitor_op {
    MONITOR_STOP = 1, /* value: grace_ms */
    MONITOR_FLUSH,
    MONITOR_CREDIT, /* value: position */
    MONITOR_PAUSE   /* value: 0, 1 */
};
#define MONITOR_VALUE_MAX ((1ull << 44) - 1)

/* The op, the low 16 bits of the number (a late signal must not hit the next command), and the
 * value. */
static inline uint64_t monitor_signal_pack(enum monitor_op op, uint64_t number, uint64_t value)
{
    if (value > MONITOR_VALUE_MAX)
        value = MONITOR_VALUE_MAX;
    return (uint64_t)op | (number & 0xffff) << 4 | value << 20;
}

/* Descriptors that a monitor keeps; all its own by the fork. */
struct monitor_setup {
    int sock;
    int log_dirfd;
    int cgroup_dirfd; /* -1: no cgroups */
    int null_fd;      /* /dev/null, read-write */
    const struct launch_defaults *defaults;
};

/* The whole life of a monitor, in a fresh fork of the executor. */
void monitor_main(const struct monitor_setup *setup) __attribute__((noreturn));

#endif
