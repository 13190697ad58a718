#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "daemon/base/map.h"
#include "daemon/run/outlog.h"
#include "proto/mem.h"

/*
 * One watch on the directory, and only while somebody follows: a log's file may not be there yet,
 * and the tail of a capped log is a new file each time.
 */
struct outlog_follower {
    struct loop *loop;
    char *log_dir;
    void (*on_grown)(void *arg, uint64_t number);
    void *arg;
    struct map followed; /* number → how often, as a pointer */
    int fd;
    struct io *io;
    bool busy, dead; /* freed by its own callback: done when that returns */
};

struct outlog_follower *outlog_follower_new(struct loop *l, const char *log_dir,
                                            void (*on_grown)(void *arg, uint64_t number), void *arg)
{
    struct outlog_follower *f = xcalloc(1, sizeof *f);
    *f = (struct outlog_follower){
        .loop = l, .log_dir = xstrdup(log_dir), .on_grown = on_grown, .arg = arg, .fd = -1};
    return f;
}

static void unwatch(struct outlog_follower *f)
{
    io_free(f->io);
    f->io = NULL;
    f->fd = close_fd(f->fd);
}

void outlog_follower_free(struct outlog_follower *f)
{
    if (!f)
        return;
    unwatch(f);
    map_release(&f->followed);
    f->dead = true;
    if (f->busy)
        return;
    free(f->log_dir);
    free(f);
}

static void tell_all(struct outlog_follower *f)
{
    /* Collected first: the callback may change the map. */
    cleanup_free uint64_t *numbers = xcalloc(f->followed.n + 1, sizeof *numbers);
    size_t at = 0, n = 0;
    for (struct map_slot *s; (s = map_next(&f->followed, &at));)
        numbers[n++] = s->key;
    for (size_t i = 0; i < n && !f->dead; i++)
        f->on_grown(f->arg, numbers[i]);
}

static void on_ready(void *arg, unsigned what)
{
    struct outlog_follower *f = arg;
    _Alignas(struct inotify_event) char data[16384];
    uint64_t last = 0;

    (void)what;
    ssize_t n = read(f->fd, data, sizeof data);
    f->busy = true;
    for (char *p = data; n > 0 && p < data + n && !f->dead;) {
        const struct inotify_event *e = (const struct inotify_event *)(const void *)p;
        p += sizeof *e + e->len;
        if (e->mask & IN_Q_OVERFLOW) {
            tell_all(f);
            continue;
        }
        uint64_t number = e->len ? strtoull(e->name, NULL, 10) : 0;
        if (number == last || !map_get(&f->followed, number))
            continue; /* a burst of one log is told once */
        last = number;
        f->on_grown(f->arg, number);
    }
    f->busy = false;
    if (f->dead)
        outlog_follower_free(f);
}

static bool watch(struct outlog_follower *f, struct err *err)
{
    cleanup_close int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0 || inotify_add_watch(fd, f->log_dir, IN_MODIFY | IN_CREATE | IN_ONLYDIR) < 0)
        return err_errno(err, "watch %s", f->log_dir);
    f->fd = steal_fd(&fd);
    f->io = io_new(f->loop, f->fd, IO_READ, on_ready, f);
    return true;
}

bool outlog_follower_add(struct outlog_follower *f, uint64_t number, struct err *err)
{
    uintptr_t count = (uintptr_t)map_get(&f->followed, number);
    if (f->fd < 0 && !watch(f, err))
        return false;
    map_put(&f->followed, number, (void *)(count + 1));
    return true;
}

void outlog_follower_remove(struct outlog_follower *f, uint64_t number)
{
    uintptr_t count = (uintptr_t)map_get(&f->followed, number);
    if (count > 1) {
        map_put(&f->followed, number, (void *)(count - 1));
        return;
    }
    map_remove(&f->followed, number);
    if (f->followed.n == 0 && f->fd >= 0)
        unwatch(f);
}
