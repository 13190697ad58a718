#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "daemon/executor/executor.h"
#include "daemon/executor/notify.h"
#include "proto/log.h"

/* One row per option: letter-less name, its argument, its help. */
#define OPTIONS(X)                                                                                 \
    X(SOCKET, "socket", "PATH", "listen there for corod (required)")                               \
    X(STATE, "state", "DIR", "keep journal, locks and logs there (required)")                      \
    X(POLICY, "policy", "FILE", "as root: run commands as the users this file allows")             \
    X(DAEMON_USER, "daemon-user", "NAME", "with --policy: who corod runs as (default corod)")      \
    X(CGROUP, "cgroup", "DIR", "put commands into sub-cgroups of this delegated cgroup")           \
    X(IDLE_EXIT, "idle-exit", "SECONDS", "end after so long without a daemon and a command")       \
    X(HOLD, "hold", NULL, "only keep a unit's cgroup alive until SIGTERM")                         \
    X(VERBOSE, "verbose", NULL, "log more")                                                        \
    X(HELP, "help", NULL, "show this and exit")                                                    \
    X(VERSION, "version", NULL, "show the version and exit")

enum option_id {
#define ROW(id, name, arg, help) OPT_##id,
    OPTIONS(ROW)
#undef ROW
        OPT_COUNT
};

static const struct {
    const char *name, *arg, *help;
} rows[] = {
#define ROW(id, name, arg, help) {name, arg, help},
    OPTIONS(ROW)
#undef ROW
};

static void show_help(void)
{
    printf("Usage: corod-exec --socket PATH --state DIR [OPTION…]\n"
           "Starts commands for corod, holds them and records how they ended.\n\n");
    for (int i = 0; i < OPT_COUNT; i++) {
        char left[40];
        snprintf(left, sizeof left, "--%s%s%s", rows[i].name, rows[i].arg ? " " : "",
                 rows[i].arg ? rows[i].arg : "");
        printf("  %-20s %s\n", left, rows[i].help);
    }
}

/* A unit of its own holds the commands' cgroup, so that restarting this program does not touch it.
 */
static int hold(void)
{
    sigset_t set;
    int signo;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    notify_ready();
    sigwait(&set, &signo);
    return EXIT_SUCCESS;
}

static bool parse(int argc, char **argv, const char *values[OPT_COUNT])
{
    struct option options[OPT_COUNT + 1] = {0};
    int c;
    for (int i = 0; i < OPT_COUNT; i++)
        options[i] =
            (struct option){rows[i].name, rows[i].arg ? required_argument : no_argument, NULL, i};
    while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (c >= OPT_COUNT)
            return false;
        values[c] = optarg ? optarg : "";
    }
    if (optind < argc) {
        fprintf(stderr, "corod-exec: unexpected argument \"%s\"\n", argv[optind]);
        return false;
    }
    return true;
}

/* Descriptors 0, 1 and 2 must be something, or what is opened first would become a command's. */
static void fill_standard_fds(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= 2);
    if (fd > 2)
        close(fd);
}

/*
 * Started by a command of ours (one that restarts the daemon, say) it would bear that attempt's
 * mark, by which what is left of the attempt is found and killed. What /proc shows is the
 * environment of the exec.
 */
static void shed_mark(char **argv)
{
    if (!getenv("CORO_EXECUTOR"))
        return;
    unsetenv("CORO_EXECUTOR");
    unsetenv("CORO_ATTEMPT");
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    const char *v[OPT_COUNT] = {NULL};
    struct err err;

    shed_mark(argv);
    fill_standard_fds();
    if (!parse(argc, argv, v))
        return 2;
    if (v[OPT_HELP]) {
        show_help();
        return EXIT_SUCCESS;
    }
    if (v[OPT_VERSION]) {
        printf("corod-exec %s\n", PACKAGE_VERSION);
        return EXIT_SUCCESS;
    }
    log_init("corod-exec", v[OPT_VERBOSE] ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    if (v[OPT_HOLD])
        return hold();
    if (!v[OPT_SOCKET] || !v[OPT_STATE]) {
        fprintf(stderr, "corod-exec: --socket and --state are required (see --help)\n");
        return 2;
    }
    char *end = NULL;
    long idle = v[OPT_IDLE_EXIT] ? strtol(v[OPT_IDLE_EXIT], &end, 10) : 0;
    if (v[OPT_IDLE_EXIT] && (*end || end == v[OPT_IDLE_EXIT] || idle < 1 || idle > 86400)) {
        fprintf(stderr, "corod-exec: --idle-exit takes 1 to 86400 seconds, not \"%s\"\n",
                v[OPT_IDLE_EXIT]);
        return 2;
    }
    struct executor_options o = {.socket_path = v[OPT_SOCKET],
                                 .state_dir = v[OPT_STATE],
                                 .policy = v[OPT_POLICY],
                                 .daemon_user = v[OPT_DAEMON_USER] ? v[OPT_DAEMON_USER] : "corod",
                                 .cgroup = v[OPT_CGROUP],
                                 .idle_exit_s = (int)idle};
    if (!executor_run(&o, &err)) {
        log_error("%s", err.text);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
