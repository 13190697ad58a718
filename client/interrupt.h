#ifndef CORO_INTERRUPT_H
#define CORO_INTERRUPT_H
/* Ctrl-C counted instead of ending the program, for commands that have something to say first. */
#include <poll.h>

/* From here on SIGINT is only seen inside interrupt_poll(). */
void interrupt_catch(void);
/* How often it came. */
unsigned interrupt_count(void);
/* poll(2) that a caught SIGINT ends with EINTR, also when it came just before. */
int interrupt_poll(struct pollfd *fds, nfds_t n, int timeout_ms);

#endif
