#include "proto/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "proto/log.h"
#include "proto/mem.h"

#ifdef COROD_ERRINJ
struct test_clock *test_clock(void)
{
    static struct test_clock *clock;
    static int known;
    if (__atomic_load_n(&known, __ATOMIC_ACQUIRE))
        return clock;
    const char *path = getenv("COROD_CLOCK");
    if (path) {
        cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);
        void *p = fd < 0 ? MAP_FAILED
                         : mmap(NULL, sizeof *clock, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            fatal("COROD_CLOCK: %s: %s", path, strerror(errno));
        clock = p;
    }
    __atomic_store_n(&known, 1, __ATOMIC_RELEASE);
    return clock;
}
#endif

void clock_show_next(int64_t next_us)
{
#ifdef COROD_ERRINJ
    if (test_clock())
        __atomic_store_n(&test_clock()->next_us, next_us, __ATOMIC_RELEASE);
#else
    (void)next_us;
#endif
}

static int64_t read_clock_us(clockid_t id)
{
    struct timespec ts;
    if (clock_gettime(id, &ts) < 0)
        fatal("clock_gettime: %s", strerror(errno));
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

#ifdef COROD_ERRINJ
static int64_t shifted_us(clockid_t id, const struct test_clock *test, const int64_t *shift_us)
{
    int64_t us = __atomic_load_n(shift_us, __ATOMIC_ACQUIRE);
    return __atomic_load_n(&test->still, __ATOMIC_ACQUIRE) ? us : us + read_clock_us(id);
}
#endif

int64_t clock_boot_us(void)
{
#ifdef COROD_ERRINJ
    const struct test_clock *test = test_clock();
    if (test)
        return shifted_us(CLOCK_BOOTTIME, test, &test->boot_shift_us);
#endif
    return read_clock_us(CLOCK_BOOTTIME);
}

int64_t clock_real_us(void)
{
#ifdef COROD_ERRINJ
    const struct test_clock *test = test_clock();
    if (test)
        return shifted_us(CLOCK_REALTIME, test, &test->real_shift_us);
#endif
    return read_clock_us(CLOCK_REALTIME);
}

int boot_id_read(char id[static BOOT_ID_SIZE])
{
#ifdef COROD_ERRINJ
    if (test_clock() && *test_clock()->boot_id) {
        memcpy(id, test_clock()->boot_id, BOOT_ID_SIZE);
        return 0;
    }
#endif
    char text[BOOT_ID_SIZE];
    cleanup_close int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, BOOT_ID_SIZE - 1);
    if (n < BOOT_ID_SIZE - 1) {
        if (n >= 0)
            errno = EIO;
        return -1;
    }
    text[BOOT_ID_SIZE - 1] = '\0';
    memcpy(id, text, BOOT_ID_SIZE);
    return 0;
}
