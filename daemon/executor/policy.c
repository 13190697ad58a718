#include "daemon/executor/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/mem.h"

void policy_init_own(struct policy *p, uid_t own)
{
    *p = (struct policy){.own_only = true, .own = own, .daemon = (uid_t)-1};
}

void policy_release(struct policy *p)
{
    free(p->allowed);
    *p = (struct policy){.own_only = true, .own = (uid_t)-1};
}

static bool parse_uid(const char *s, uid_t *ret)
{
    char *end;
    if (*s < '0' || *s > '9')
        return false;
    errno = 0;
    unsigned long v = strtoul(s, &end, 10);
    if (errno || *end || v >= 0xffffffffu)
        return false;
    *ret = (uid_t)v;
    return true;
}

static bool parse_line(struct policy *p, char *line, struct err *err)
{
    char *save = NULL;
    line[strcspn(line, "#\n")] = '\0';
    const char *key = strtok_r(line, " \t\r", &save);
    if (!key)
        return true;
    const char *value = strtok_r(NULL, " \t\r", &save);
    if (!value || strtok_r(NULL, " \t\r", &save))
        return err_set(err, EINVAL, "\"%s\" needs one value", key);
    if (strcmp(key, "allow-uid-from") == 0) {
        if (!parse_uid(value, &p->from))
            return err_set(err, EINVAL, "allow-uid-from: \"%s\" is not a uid", value);
        return true;
    }
    if (strcmp(key, "allow-user") != 0)
        return err_set(err, EINVAL, "\"%s\" is neither allow-user nor allow-uid-from", key);
    uid_t uid;
    if (!parse_uid(value, &uid)) {
        const struct passwd *pw = getpwnam(value);
        if (!pw)
            return err_set(err, ENOENT, "allow-user: there is no user \"%s\"", value);
        uid = pw->pw_uid;
    }
    p->allowed = xgrow(p->allowed, &p->cap, p->n_allowed + 1, sizeof *p->allowed);
    p->allowed[p->n_allowed++] = uid;
    return true;
}

static bool check_file(int fd, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "stat");
    if (!S_ISREG(st.st_mode))
        return err_set(err, EINVAL, "it is not a regular file");
    if (st.st_uid != 0)
        return err_set(err, EPERM, "it must belong to root");
    if (st.st_mode & 022)
        return err_set(err, EPERM, "it may be written by others than root: chmod go-w it");
    return true;
}

bool policy_read(struct policy *p, const char *path, uid_t daemon, struct err *err)
{
    struct policy new = {.own = geteuid(), .daemon = daemon, .from = 1000};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "re");
    if (!f) {
        err_errno(err, "policy %s", path);
        close_fd(fd);
        return false;
    }
    bool ok = check_file(fd, err);
    if (!ok)
        err_prefix(err, "policy %s", path);
    char *line = NULL;
    size_t cap = 0;
    for (unsigned n = 1; ok && getline(&line, &cap, f) >= 0; n++) {
        ok = parse_line(&new, line, err);
        if (!ok)
            err_prefix(err, "policy %s, line %u", path, n);
    }
    free(line);
    fclose(f);
    if (!ok) {
        policy_release(&new);
        return false;
    }
    *p = new;
    return true;
}

bool policy_check(const struct policy *p, uid_t uid, struct err *err)
{
    if (p->own_only) {
        if (uid == p->own)
            return true;
        return err_set(err, EPERM, "this corod-exec runs commands as user %u only, not as user %u",
                       (unsigned)p->own, (unsigned)uid);
    }
    for (size_t i = 0; i < p->n_allowed; i++) {
        if (p->allowed[i] == uid)
            return true;
    }
    if (uid != 0 && uid != p->daemon && uid != (uid_t)-1 && uid >= p->from)
        return true;
    return err_set(err, EPERM,
                   "the policy of corod-exec does not allow commands of user %u (allow-user)",
                   (unsigned)uid);
}
