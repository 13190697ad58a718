#include "client/spawn.h"

#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int spawn_status(const char *const *argv, struct err *err)
{
    pid_t pid;
    int status, n = posix_spawnp(&pid, argv[0], NULL, NULL, (char **)(uintptr_t)argv, environ);

    if (n != 0) {
        err_set(err, n, "cannot start %s: %s", argv[0], strerror(n));
        return -1;
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            err_errno(err, "%s", argv[0]);
            return -1;
        }
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool spawn_wait(const char *const *argv, struct err *err)
{
    int status = spawn_status(argv, err);
    if (status > 0)
        err_set(err, ECHILD, "`%s %s` failed%s", argv[0], argv[1] != NULL ? argv[1] : "",
                status > 128 ? " by a signal" : "");
    return status == 0;
}
