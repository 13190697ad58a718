#ifndef COROD_PROTO_CLOCK_H
#define COROD_PROTO_CLOCK_H
/*
 * The clocks, and which boot of the machine this is.
 *
 * In builds with fault points (--enable-errinj) tests can own them: $COROD_CLOCK names a file with
 * a struct test_clock, which is mapped, so that what is written to it counts from then on.
 */
#include <stdint.h>

#include "config.h"

/* Microseconds of CLOCK_BOOTTIME (it counts suspend), and of CLOCK_REALTIME; read at each call. */
int64_t clock_boot_us(void);
int64_t clock_real_us(void);

enum { BOOT_ID_SIZE = 37 /* 32 hexadecimal digits, 4 hyphens, NUL */ };

/* As in /proc/sys/kernel/random/boot_id (random(4)), without the line's end; 0, or -1 with errno.
 */
int boot_id_read(char id[static BOOT_ID_SIZE]);

#ifdef COROD_ERRINJ
struct test_clock {
    int64_t boot_shift_us, real_shift_us; /* added to the machine's */
    int64_t next_us; /* written by the daemon: jobs' next deadline; 0: none; -1: it is busy */
    char boot_id[BOOT_ID_SIZE]; /* "": the machine's */
    int32_t still; /* not 0: nothing is added to the shifts: time passes only as they do */
};
/* NULL when no test owns the clocks. */
struct test_clock *test_clock(void);
#endif
/* Tells the test that owns the clocks, if one does, how far they may be set: next_us, see above. */
void clock_show_next(int64_t next_us);

#endif
