#include "client/interrupt.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

static volatile sig_atomic_t count;
static bool caught;
static sigset_t open_mask;

static void on_interrupt(int signal)
{
    (void)signal;
    if (count < 100)
        count++;
}

void interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    sigset_t block;

    if (caught)
        return;
    caught = true;
    sigemptyset(&block);
    sigaddset(&block, SIGINT);
    sigprocmask(SIG_BLOCK, &block, &open_mask);
    sigdelset(&open_mask, SIGINT);
    sigaction(SIGINT, &action, NULL);
}

unsigned interrupt_count(void)
{
    return (unsigned)count;
}

int interrupt_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    struct timespec t = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
    return ppoll(fds, n, timeout_ms < 0 ? NULL : &t, caught ? &open_mask : NULL);
}
