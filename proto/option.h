#ifndef COROD_PROTO_OPTION_H
#define COROD_PROTO_OPTION_H
/*
 * Options as rows of a table: the command line, the configuration file, help and defaults all read
 * the same rows. A row names the member of the caller's struct that it fills.
 *
 * A table is made like this, its name, letter, member and help in each row:
 *
 *     #define OPTION_STRUCT struct things
 *     static const struct option rows[] = {
 *         OPTION_FLAG("all", 'a', all, "also the small ones"),
 *         OPTION_TEXT("color", 0, color, "NAME", "only of this color"),
 *         OPTIONS_END,
 *     };
 *
 * In names `-` and `_` are the same: --kill-grace on a command line, kill_grace in a file.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/err.h"

enum option_type {
    OPTION_TYPE_END,
    OPTION_TYPE_FLAG,     /* bool */
    OPTION_TYPE_TEXT,     /* const char * */
    OPTION_TYPE_PATH,     /* const char *; in a file it must be absolute */
    OPTION_TYPE_LIST,     /* const char ** and size_t: one more each time it is given */
    OPTION_TYPE_INT,      /* unsigned */
    OPTION_TYPE_SIZE,     /* int64_t, bytes: 64M, 1GiB, 512 */
    OPTION_TYPE_DURATION, /* int64_t, milliseconds: 10s, 1h30m, 250ms, 1.5 (seconds) */
    OPTION_TYPE_WORD      /* int: one of a few words */
};

enum {
    OPTION_ON_LINE = 1, /* may be given on a command line */
    OPTION_IN_FILE = 2, /* may be set in a configuration file */
    OPTION_LIVE = 4     /* a change counts without a restart */
};

struct option_word {
    const char *name; /* NULL: the last row */
    int value;
};

struct option {
    const char *name;
    char letter; /* 0: none */
    unsigned char type, where;
    unsigned short offset, count_offset;
    int64_t min, max;
    const struct option_word *words;
    const char *standard; /* the default, as it would be typed; NULL: what is there stays */
    const char *arg;      /* what help calls its value */
    const char *help;
};

/* Where the member is; its type is checked. */
#define OPTION_AT(member, type)                                                                    \
    (unsigned short)(offsetof(OPTION_STRUCT, member) +                                             \
                     0 * sizeof(char[__builtin_types_compatible_p(                                 \
                                         __typeof__(((OPTION_STRUCT *)NULL)->member), type)        \
                                         ? 1                                                       \
                                         : -1]))

#define OPTION_FLAG(nm, let, member, hlp)                                                          \
    {                                                                                              \
        .name = (nm), .letter = (let), .type = OPTION_TYPE_FLAG, .where = OPTION_ON_LINE,          \
        .offset = OPTION_AT(member, bool), .help = (hlp)                                           \
    }
#define OPTION_TEXT(nm, let, member, ar, hlp)                                                      \
    {                                                                                              \
        .name = (nm), .letter = (let), .type = OPTION_TYPE_TEXT, .where = OPTION_ON_LINE,          \
        .offset = OPTION_AT(member, const char *), .arg = (ar), .help = (hlp)                      \
    }
#define OPTION_LIST(nm, let, member, n_member, ar, hlp)                                            \
    {                                                                                              \
        .name = (nm), .letter = (let), .type = OPTION_TYPE_LIST, .where = OPTION_ON_LINE,          \
        .offset = OPTION_AT(member, const char **), .count_offset = OPTION_AT(n_member, size_t),   \
        .arg = (ar), .help = (hlp)                                                                 \
    }
/* A size in bytes; 0: not given. */
#define OPTION_SIZE(nm, let, member, ar, hlp)                                                      \
    {                                                                                              \
        .name = (nm), .letter = (let), .type = OPTION_TYPE_SIZE, .where = OPTION_ON_LINE,          \
        .offset = OPTION_AT(member, int64_t), .min = 1, .max = INT64_MAX, .arg = (ar),             \
        .help = (hlp)                                                                              \
    }
#define OPTION_INT(nm, let, member, lo, hi, std, ar, hlp)                                          \
    {                                                                                              \
        .name = (nm), .letter = (let), .type = OPTION_TYPE_INT, .where = OPTION_ON_LINE,           \
        .offset = OPTION_AT(member, unsigned), .min = (lo), .max = (hi), .standard = (std),        \
        .arg = (ar), .help = (hlp)                                                                 \
    }
#define OPTION_WORD(nm, let, member, wrds, std, ar, hlp)                                           \
    {                                                                                              \
        .name = (nm), .letter = (let), .type = OPTION_TYPE_WORD, .where = OPTION_ON_LINE,          \
        .offset = OPTION_AT(member, int), .words = (wrds), .standard = (std), .arg = (ar),         \
        .help = (hlp)                                                                              \
    }
#define OPTIONS_END                                                                                \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* Sets every member whose row has a default. */
void options_set_defaults(const struct option *rows, void *base);
/* Frees the arrays of OPTION_LIST members; the words themselves are never owned. */
void options_release(const struct option *rows, void *base);

/* Reads a value as it was typed into its member; text must live as long as base. */
bool option_set(const struct option *row, void *base, const char *text, struct err *err);
/* Appends the value as option_set() reads it; nothing for a TEXT or PATH that is NULL. */
void option_show(const struct option *row, const void *base, struct buf *out);
/* The row of that name; NULL: none. */
const struct option *option_find(const struct option *rows, const char *name);

enum options_mode {
    OPTIONS_MIXED, /* options may come after operands: coro log 7 -f */
    OPTIONS_FIRST  /* the first operand ends the options: coro run make -j4 */
};

/*
 * Reads the options of argv[0 … argc) (no program name there) by several tables, a NULL at the end:
 * --name value, --name=value, -n value, -nvalue, flags bundled (-abc); `--` ends them. What is left
 * over stands then in argv[0 … n), NULL behind; returns n. -1 with err (EINVAL) for a person.
 */
int options_parse(const struct option *const *tables, void *base, int argc, char **argv,
                  enum options_mode mode, struct err *err);

/*
 * Reads a configuration file: lines `name = value`; `#` begins a comment, at the start of a line or
 * behind a blank; a value in double quotes is taken as it is. text (NUL-terminated) is cut into
 * pieces and must live as long as base. An error begins with "file:line: ".
 */
bool options_read(const struct option *rows, void *base, char *text, const char *file,
                  struct err *err);

/* Appends the rows of command lines as help, wrapped to `columns` (0: not). */
void options_help(const struct option *rows, unsigned columns, struct buf *out);
/* Appends an example of a configuration file: each row of files, explained, set to its default, as
 * a comment. */
void options_example(const struct option *rows, struct buf *out);

/* That no name or letter is there twice and every default can be read, for a test. */
bool options_check(const struct option *const *tables, struct err *err);

#endif
