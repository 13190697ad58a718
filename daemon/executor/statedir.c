#include "daemon/executor/statedir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/executor/clock.h"
#include "proto/mem.h"

static int open_beneath(int dirfd, const char *name, int flags, mode_t mode)
{
    struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC | O_NOFOLLOW,
                           .mode = flags & O_CREAT ? mode : 0,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    return (int)syscall(SYS_openat2, dirfd, name, &how, sizeof how);
}

static int open_dir(int dirfd, const char *name, struct err *err)
{
    if (mkdirat(dirfd, name, 0750) < 0 && errno != EEXIST) {
        err_errno(err, "make directory %s", name);
        return -1;
    }
    int fd = open_beneath(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        err_errno(err, "open directory %s", name);
    return fd;
}

/* Nobody else may put files where a privileged program writes. */
static bool check_owner(int fd, const char *path, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "%s", path);
    if (st.st_uid != geteuid())
        return err_set(err, EPERM, "%s belongs to user %u, not to the one who runs corod-exec (%u)",
                       path, (unsigned)st.st_uid, (unsigned)geteuid());
    if (st.st_mode & 022)
        return err_set(err, EPERM, "%s may be written by others: chmod go-w it", path);
    return true;
}

static bool read_id(struct statedir *s, struct err *err)
{
    static const char name[] = "CORO_EXECUTOR=";
    char text[33] = "", *p = s->id_setting;
    unsigned char random[16];

    cleanup_close int fd = open_beneath(s->dirfd, "id", O_RDWR | O_CREAT, 0640);
    if (fd < 0)
        return err_errno(err, "open the file id");
    if (pread(fd, text, 32, 0) < 32 || strspn(text, "0123456789abcdef") != 32) {
        if (getrandom(random, sizeof random, 0) != sizeof random)
            return err_errno(err, "random bytes");
        for (size_t i = 0; i < sizeof random; i++)
            snprintf(text + 2 * i, 3, "%02x", random[i]);
        if (pwrite(fd, text, 32, 0) != 32)
            return err_errno(err, "write the file id");
    }
    snprintf(p, sizeof s->id_setting, "%s%s", name, text);
    return true;
}

bool statedir_wait(int64_t *since_us)
{
    struct timespec moment = {.tv_nsec = 2 * 1000 * 1000};
    int64_t now_us = boot_us();
    if (!*since_us)
        *since_us = now_us;
    if (now_us - *since_us > STATEDIR_PATIENCE_US)
        return false;
    nanosleep(&moment, NULL);
    return true;
}

static bool own(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int64_t since_us = 0;
    while (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
        if (!statedir_wait(&since_us))
            return false;
    }
    return true;
}

bool statedir_open(struct statedir *s, const char *path, struct err *err)
{
    struct statedir d = {-1, -1, -1, -1, ""};
    if (mkdir(path, 0750) < 0 && errno != EEXIST)
        return err_errno(err, "make directory %s", path);
    d.dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (d.dirfd < 0)
        return err_errno(err, "open %s", path);
    if (!check_owner(d.dirfd, path, err))
        goto fail;
    d.owner_fd = open_beneath(d.dirfd, "owner", O_RDWR | O_CREAT, 0640);
    if (d.owner_fd < 0) {
        err_errno(err, "open %s/owner", path);
        goto fail;
    }
    if (!own(d.owner_fd)) {
        err_set(err, EBUSY, "another corod-exec is running on %s", path);
        goto fail;
    }
    d.journal_dirfd = open_dir(d.dirfd, "journal", err);
    d.log_dirfd = d.journal_dirfd < 0 ? -1 : open_dir(d.dirfd, "log", err);
    if (d.log_dirfd < 0 || !read_id(&d, err)) {
        err_prefix(err, "%s", path);
        goto fail;
    }
    *s = d;
    return true;
fail:
    statedir_close(&d);
    return false;
}

void statedir_close(struct statedir *s)
{
    close_fd(s->dirfd);
    close_fd(s->journal_dirfd);
    close_fd(s->log_dirfd);
    close_fd(s->owner_fd);
    *s = (struct statedir){-1, -1, -1, -1, ""};
}

static int open_lock(const struct statedir *s)
{
    return openat(s->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
}

static struct flock byte_of(uint64_t number)
{
    return (struct flock){
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)number, .l_len = 1};
}

int statedir_lock(const struct statedir *s, uint64_t number)
{
    struct flock lock = byte_of(number);
    cleanup_close int fd = open_lock(s);
    if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) < 0)
        return -1;
    return steal_fd(&fd);
}

int statedir_is_locked(const struct statedir *s, uint64_t number)
{
    struct flock lock = byte_of(number);
    cleanup_close int fd = open_lock(s);
    if (fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) < 0)
        return -1;
    return lock.l_type != F_UNLCK;
}

int open_parent(const char *path, const char **ret_name, struct err *err)
{
    const char *slash = strrchr(path, '/');
    cleanup_free char *dir = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
    const char *name = slash ? slash + 1 : path;
    if (!*name) {
        err_set(err, EINVAL, "%s is not a file's path", path);
        return -1;
    }
    int fd = open(*dir ? dir : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        err_errno(err, "open directory %s", *dir ? dir : "/");
    else
        *ret_name = name;
    return fd;
}
