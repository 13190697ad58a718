#include "proto/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "proto/mem.h"

void paths_release(struct paths *p)
{
    free(p->socket);
    free(p->state_dir);
    free(p->exec_socket);
    free(p->exec_state_dir);
    free(p->why);
    *p = (struct paths){0};
}

void paths_system(struct paths *ret)
{
    *ret = (struct paths){
        .socket = xstrdup(PATHS_SYSTEM_RUN_DIR "/corod.sock"),
        .state_dir = xstrdup("/var/lib/corod"),
        .exec_socket = xstrdup("/run/corod-exec/socket"),
        .exec_state_dir = xstrdup("/var/lib/corod-exec"),
    };
}

void paths_in(struct paths *ret, const char *dir)
{
    *ret = (struct paths){
        .socket = xasprintf("%s/corod.sock", dir),
        .state_dir = xstrdup(dir),
        .exec_socket = xasprintf("%s/exec/socket", dir),
        .exec_state_dir = xasprintf("%s/exec", dir),
    };
}

/* Numbers of statfs(2) that <linux/magic.h> has not everywhere. */
static const unsigned long network_types[] = {
    NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC, 0xff534d42, /* cifs */
    0xfe534d42,                                    /* smb2 */
    0x01021997,                                    /* 9p */
    CODA_SUPER_MAGIC, AFS_SUPER_MAGIC, 0x6b414653, /* afs of the kernel */
    0x00c36400,                                    /* ceph */
    0x0bd00bd0,                                    /* lustre */
    0x47504653,                                    /* gpfs */
    0x01161970,                                    /* gfs2 */
    0x7461636f,                                    /* ocfs2 */
    0x19830326,                                    /* beegfs */
    0x013111a8,                                    /* ibrix */
    0xaad7aaea,                                    /* panfs */
    0x65735546, /* fuse: sshfs and its like; a local one loses nothing by /var/tmp */
};

bool paths_on_network(const char *path)
{
    cleanup_free char *at = xstrdup(path);
    struct statfs fs;
    while (statfs(at, &fs) < 0) {
        char *slash = strrchr(at, '/');
        if (!slash || (errno != ENOENT && errno != ENOTDIR))
            return false;
        if (slash == at)
            slash++;
        if (!*slash)
            return false;
        *slash = '\0';
    }
    for (size_t i = 0; i < ARRAY_LEN(network_types); i++)
        if ((unsigned long)fs.f_type == network_types[i])
            return true;
    return false;
}

/* $XDG_STATE_HOME, or ~/.local/state (XDG Base Directory Specification: relative ones do not
 * count). */
static char *state_home(struct err *err)
{
    const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (xdg && *xdg == '/')
        return xstrdup(xdg);
    if (!home || *home != '/') {
        const struct passwd *pw = getpwuid(geteuid());
        home = pw ? pw->pw_dir : NULL;
    }
    struct stat st;
    if (!home || *home != '/' || stat(home, &st) < 0) {
        /* A home that is none is not made: nobody would look there. */
        err_set(err, ENOENT, "there is no home directory%s%s for corod's state: set XDG_STATE_HOME",
                home ? " " : "", home ? home : "");
        return NULL;
    }
    return xasprintf("%s/.local/state", home);
}

bool paths_user(struct paths *ret, struct err *err)
{
    cleanup_free char *home = state_home(err);
    if (!home)
        return false;
    cleanup_free char *usual = xasprintf("%s/corod", home);
    if (!paths_on_network(usual)) {
        paths_in(ret, usual);
        return true;
    }
    cleanup_free char *local = xasprintf("/var/tmp/corod-%lu", (unsigned long)geteuid());
    paths_in(ret, local);
    ret->why = xasprintf("%s is on a network file system: corod's state is in %s", home, local);
    return true;
}

static bool make_above(const char *dir, struct err *err)
{
    cleanup_free char *at = xstrdup(dir);
    for (char *p = strchr(at + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        if (mkdir(at, 0700) < 0 && errno != EEXIST)
            return err_errno(err, "cannot create %s", at);
        *p = '/';
    }
    return true;
}

bool paths_make_private_dir(const char *dir, struct err *err)
{
    struct stat st;
    if (!*dir)
        return err_set(err, EINVAL, "a directory without a name cannot be used");
    if (mkdir(dir, 0700) < 0 && errno == ENOENT) {
        if (!make_above(dir, err))
            return false;
        mkdir(dir, 0700); /* whether it is there now shows below */
    }
    cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, "cannot use the directory %s", dir);
    if (st.st_uid != geteuid())
        return err_set(err, EPERM, "%s belongs to user %lu, not to %lu: it is not used", dir,
                       (unsigned long)st.st_uid, (unsigned long)geteuid());
    if (st.st_mode & 022)
        return err_set(err, EPERM, "others can write to %s: it is not used (chmod go-w it)", dir);
    return true;
}

bool paths_check_socket(const char *path, struct err *err)
{
    size_t most = sizeof((struct sockaddr_un){0}).sun_path - 1;
    if (strlen(path) <= most)
        return true;
    return err_set(err, ENAMETOOLONG,
                   "the socket's path has %zu bytes, %zu are possible: %s (set another one, or a "
                   "shorter state directory)",
                   strlen(path), most, path);
}
