#include "daemon/sd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/log.h"
#include "proto/mem.h"

#define FIRST_FD 3 /* sd_listen_fds(3) */

static struct sockaddr_un notify_address;
static socklen_t notify_length;
static int64_t watchdog_us;
static int listen_fds;

/* A number in the environment; 0 when there is none. */
static long long number(const char *name)
{
    const char *s = getenv(name);
    char *end;
    errno = 0;
    long long n = s ? strtoll(s, &end, 10) : 0;
    return s && *s && !*end && !errno && n > 0 ? n : 0;
}

static bool is_for_us(const char *pid_name)
{
    return !getenv(pid_name) || number(pid_name) == getpid();
}

static void take_notify_socket(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t n = path ? strlen(path) : 0;
    if (n < 2 || (*path != '/' && *path != '@') || n >= sizeof notify_address.sun_path)
        return;
    notify_address.sun_family = AF_UNIX;
    memcpy(notify_address.sun_path, path, n);
    if (*path == '@') /* an abstract one */
        notify_address.sun_path[0] = '\0';
    notify_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

void sd_init(void)
{
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                        "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES"};
    take_notify_socket();
    if (is_for_us("WATCHDOG_PID"))
        watchdog_us = number("WATCHDOG_USEC") / 2;
    if (getenv("LISTEN_PID") && is_for_us("LISTEN_PID") && number("LISTEN_FDS") < 1000)
        listen_fds = (int)number("LISTEN_FDS");
    for (int i = 0; i < listen_fds; i++)
        fcntl(FIRST_FD + i, F_SETFD, FD_CLOEXEC);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unsetenv(names[i]);
}

void sd_notify_lines(const char *lines)
{
    if (!notify_length)
        return;
    cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, lines, strlen(lines), MSG_NOSIGNAL,
                         (const struct sockaddr *)&notify_address, notify_length) < 0)
        log_warning("systemd cannot be told \"%s\": %s", lines, strerror(errno));
}

int64_t sd_watchdog_us(void)
{
    return watchdog_us;
}

size_t sd_listen_fds(int *first)
{
    *first = FIRST_FD;
    return (size_t)listen_fds;
}

bool sd_check_socket(int fd, struct err *err)
{
    int type = 0, domain = 0, listens = 0;
    socklen_t len = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0)
        return err_errno(err, "the passed descriptor %d", fd);
    if (domain != AF_UNIX || type != SOCK_STREAM || !listens)
        return err_set(err, EINVAL, "the passed descriptor %d is no listening unix stream socket",
                       fd);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_errno(err, "the passed descriptor %d", fd);
    return true;
}
