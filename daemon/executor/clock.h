#ifndef COROD_EXECUTOR_CLOCK_H
#define COROD_EXECUTOR_CLOCK_H
/* Time in microseconds: since boot (it counts suspend), and of the day. */
#include <stdint.h>
#include <time.h>

static inline int64_t clock_us(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
static inline int64_t boot_us(void)
{
    return clock_us(CLOCK_BOOTTIME);
}
static inline int64_t real_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

#endif
