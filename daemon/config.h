#ifndef COROD_CONFIG_H
#define COROD_CONFIG_H
/*
 * The daemon's settings: config.def's defaults, then the file (corod.conf(5)), then the command
 * line (corod(8)).
 */
#include <stdbool.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/err.h"
#include "proto/log.h"
#include "proto/option.h"
#include "proto/paths.h"

enum { CONFIG_MAX_DEPTH = 1000 }; /* what max_depth may be: documents on disk are at most so deep */

enum durability { DURABILITY_FULL, DURABILITY_NORMAL };

struct config {
#define CONFIG_TEXT(name, member, ...)     const char *member;
#define CONFIG_PATH(name, member, ...)     const char *member;
#define CONFIG_INT(name, member, ...)      unsigned member;
#define CONFIG_SIZE(name, member, ...)     int64_t member;
#define CONFIG_DURATION(name, member, ...) int64_t member;
#define CONFIG_WORD(name, member, ...)     int member;
#include "daemon/config.def"
#undef CONFIG_TEXT
#undef CONFIG_PATH
#undef CONFIG_INT
#undef CONFIG_SIZE
#undef CONFIG_DURATION
#undef CONFIG_WORD

    /* Of the command line only. */
    bool is_system, is_user; /* --system; --user, which is the default */
    bool check_only, show_help, show_version;
    const char *restore; /* --restore: a backup's path, or "-"; NULL: the daemon runs */
    const char *file;    /* --config; NULL: the usual one, which may be missing */
    int ready_fd;        /* -1: none */
    unsigned ready_fd_given;

    /* Made of the others. */
    const char *exec_log_dir;

    /* What the texts above are in. */
    struct paths paths;
    char *file_name, *file_text, *log_dir;
    char **live_texts; /* by the row: what a reload took over; NULL: nothing */
};

/* The rows of config.def; the rows of the command line only. */
extern const struct option config_rows[];
extern const struct option config_line_rows[];

/*
 * Makes *ret of argv[0 … argc) (no program name), which stays as it is and must outlive *ret, and
 * of the file. False with err: a mistake in either (EINVAL, the place before it), or a file that
 * cannot be read. With show_help or show_version nothing is read.
 */
bool config_load(struct config *ret, int argc, char *const *argv, struct err *err);
void config_release(struct config *c);

/* What is kept of jobs that have ended in a pool. */
struct config_keep {
    unsigned jobs;  /* 0: all */
    int64_t age_ms; /* 0: of any age */
};
void config_keep_of(const struct config *c, const char *pool, struct config_keep *ret);

/*
 * A reload: takes over from `fresh` what may change while the daemon runs, and appends the names of
 * what did as a JSON list to *changed. What differs but needs a restart is appended to *ignored
 * likewise.
 */
void config_take_over(struct config *c, const struct config *fresh, struct buf *changed,
                      struct buf *ignored);

#endif
