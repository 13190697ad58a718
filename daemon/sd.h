#ifndef COROD_SD_H
#define COROD_SD_H
/* What systemd and a daemon say to each other: sd_notify(3), sd_listen_fds(3), without libsystemd.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/err.h"

/* Takes $NOTIFY_SOCKET, $WATCHDOG_USEC and $LISTEN_FDS out of the environment, so that nobody
 * inherits them, and makes the passed descriptors close-on-exec. Call before threads. */
void sd_init(void);

/* Sends lines such as "READY=1"; nothing without $NOTIFY_SOCKET. */
void sd_notify_lines(const char *lines);

/* How often to say WATCHDOG=1: half of what systemd waits; 0: not at all. */
int64_t sd_watchdog_us(void);

/* The sockets that were passed: *first and so on; how many. */
size_t sd_listen_fds(int *first);
/* Whether fd is a listening unix stream socket; makes it non-blocking. */
bool sd_check_socket(int fd, struct err *err);

#endif
