#ifndef COROD_EXECUTOR_CLOCK_H
#define COROD_EXECUTOR_CLOCK_H
/*
 * Time in microseconds: since boot (it counts suspend), and of the day. The first is always the
 * machine's, also where a test owns the clocks: it is compared with what /proc says of processes.
 */
#include <stdint.h>
#include <time.h>

#include "proto/clock.h"

static inline int64_t boot_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
static inline int64_t real_us(void)
{
    return clock_real_us();
}

#endif
