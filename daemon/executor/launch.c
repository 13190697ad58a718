#include "daemon/executor/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/executor/clock.h"
#include "proto/errinj.h"

#define STACK_BYTES (256u * 1024)

/* In memory shared with the child: with CLONE_VM everything is, but a child that was made to begin
 * in a cgroup is a copy. */
struct shared {
    enum launch_stage stage;
    int error;
};

static struct shared *shared;
static char *stack;

bool launch_init(struct err *err)
{
    void *p = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return err_errno(err, "memory for starting commands");
    shared = p;
    p = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return err_errno(err, "memory for starting commands");
    stack = p;
    return true;
}

static void give_up(enum launch_stage stage) __attribute__((noreturn));
static void give_up(enum launch_stage stage)
{
    shared->error = errno;
    shared->stage = stage;
    _exit(125);
}

static void set_limit(unsigned resource, uint64_t soft, uint64_t hard)
{
    struct rlimit r = {.rlim_cur = soft, .rlim_max = hard};
    if (setrlimit((enum __rlimit_resource)resource, &r) < 0)
        give_up(LAUNCH_LIMIT);
}

static void reset_oom(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) { /* best effort: in a container it may be refused */
        ssize_t ignored = write(fd, "0", 1);
        (void)ignored;
        close(fd);
    }
}

/* What the executor changed for itself. */
static void undo_own(const struct launch_defaults *d)
{
    if (d->reset_nofile)
        set_limit(RLIMIT_NOFILE, d->nofile_soft, d->nofile_hard);
    if (d->reset_oom)
        reset_oom();
}

/* By system call: the C library's functions tell the other threads, and here the memory is shared.
 */
static void become(const struct user *u)
{
    if (syscall(SYS_setgroups, u->n_groups, u->groups) < 0 ||
        syscall(SYS_setresgid, u->gid, u->gid, u->gid) < 0 ||
        syscall(SYS_setresuid, u->uid, u->uid, u->uid) < 0)
        give_up(LAUNCH_USER);
}

static const char *find_path(const char *const *env)
{
    for (; *env; env++) {
        if (strncmp(*env, "PATH=", 5) == 0)
            return *env + 5;
    }
    return "/usr/local/bin:/usr/bin:/bin";
}

/* execve() along the command's own PATH. As execvp(3), but a file that is no program is no script.
 */
static void execute(const struct launch *l)
{
    char *const *argv = (char *const *)(uintptr_t)l->start->argv;
    char *const *env = (char *const *)(uintptr_t)l->env;
    const char *name = argv[0];
    size_t name_len = strlen(name);
    char path[4096];

    if (strchr(name, '/')) {
        execve(name, argv, env);
        return;
    }
    int error = ENOENT;
    for (const char *p = find_path(l->env); name_len > 0; p++) {
        size_t n = strcspn(p, ":");
        if (n + name_len + 2 <= sizeof path) {
            memcpy(path, p, n);
            if (n > 0)
                path[n++] = '/';
            memcpy(path + n, name, name_len + 1);
            execve(path, argv, env);
            if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
                return;
            if (errno == EACCES)
                error = EACCES;
        }
        p += strcspn(p, ":");
        if (!*p)
            break;
    }
    errno = error;
}

/* A FIFO that nobody reads must not hold the monitor up: it is an error (open(2), O_NONBLOCK). */
static void redirect(int to, const char *path, bool append)
{
    int flags = to == 0 ? O_RDONLY : O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC);
    int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
    if (fd < 0 || fcntl(fd, F_SETFL, flags & O_APPEND) < 0 || dup2(fd, to) < 0)
        give_up(LAUNCH_STDIN + (unsigned)to);
}

static int child(void *arg)
{
    struct launch *l = arg;
    const struct exec_start *s = l->start;
    sigset_t none;

    l->pid.sid = setsid();
    l->pid.started_us = real_us();
    l->pid.started_boot_us = boot_us();
    if (!journal_append_pid(l->pen, s->number, &l->pid))
        give_up(LAUNCH_RECORD);
    if (errinj(ERRINJ_EXEC_BEFORE_EXEC))
        kill((pid_t)l->pid.monitor_pid, SIGKILL);
    if (dup2(l->in, 0) < 0 || dup2(l->out, 1) < 0 || dup2(l->err, 2) < 0)
        give_up(LAUNCH_SETUP);
    undo_own(l->defaults);
    umask(s->umask);
    if (l->user)
        become(l->user);
    /* By the user's rights: root could raise them. */
    for (size_t i = 0; i < s->n_limits; i++)
        set_limit(s->limits[i].resource, s->limits[i].soft, s->limits[i].hard);
    /* After the uid is dropped: the directory is entered, and what is run is found, by the user's
     * rights. */
    if (chdir(s->cwd ? s->cwd : "/") < 0)
        give_up(LAUNCH_CWD);
    for (int i = 0; i < 3; i++)
        if (s->files[i])
            redirect(i, s->files[i], s->append[i]);
    if (s->merge_stderr && s->files[1] && dup2(1, 2) < 0)
        give_up(LAUNCH_SETUP);
    /* A change of credentials clears it (prctl(2)), so not before. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        give_up(LAUNCH_SETUP);
    if (getppid() != (pid_t)l->pid.monitor_pid)
        give_up(LAUNCH_ORPHAN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execute(l);
    give_up(LAUNCH_EXEC);
}

/* A copy of this process that begins in the cgroup, so that it never is anywhere else. The caller
 * is stopped until it has executed or died. */
static pid_t fork_into(int cgroup)
{
    struct clone_args a = {.flags = CLONE_VFORK, .exit_signal = SIGCHLD};
    if (cgroup >= 0) {
        a.flags |= CLONE_INTO_CGROUP;
        a.cgroup = (unsigned long long)cgroup;
    }
    return (pid_t)syscall(SYS_clone3, &a, sizeof a);
}

void launch(struct launch *l, struct launch_result *ret)
{
    *shared = (struct shared){.stage = LAUNCH_DONE};
#ifdef COROD_SANITIZERS
    bool copy = true; /* they do not understand a stack that is left by exec */
#else
    bool copy = l->cgroup >= 0;
#endif
    pid_t pid = copy ? fork_into(l->cgroup)
                     : clone(child, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | SIGCHLD, l);
    if (pid == 0)
        child(l);
    *ret = (struct launch_result){.stage = shared->stage, .error = shared->error, .pid = pid};
    if (pid < 0) {
        ret->stage = LAUNCH_FORK;
        ret->error = errno;
    }
}

void launch_explain(const struct launch *l, const struct launch_result *r, struct err *err)
{
    const struct exec_start *s = l->start;
    const char *why = strerror(r->error);
    if (r->stage == LAUNCH_EXEC)
        err_set(err, r->error, "cannot run \"%.300s\": %s", s->argv[0], why);
    else if (r->stage == LAUNCH_CWD)
        err_set(err, r->error, "cannot enter directory \"%.300s\": %s", s->cwd ? s->cwd : "/", why);
    else if (r->stage >= LAUNCH_STDIN && r->stage <= LAUNCH_STDERR)
        err_set(err, r->error, "cannot open \"%.300s\": %s", s->files[r->stage - LAUNCH_STDIN],
                why);
    else if (r->stage == LAUNCH_LIMIT)
        err_set(err, r->error, "cannot set the resource limits: %s", why);
    else if (r->stage == LAUNCH_USER)
        err_set(err, r->error, "cannot become user %u: %s", s->uid, why);
    else
        err_set(err, r->error, "cannot set up the process: %s", why);
}
