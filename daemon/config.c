#include "daemon/config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/mem.h"
#include "proto/netlist.h"

#define OPTION_STRUCT struct config
#define ANY           (OPTION_ON_LINE | OPTION_IN_FILE)
#define LIVE          (ANY | OPTION_LIVE)

enum { FILE_MAX_BYTES = 1 << 20 };

static const struct option_word durability_words[] = {
    {"full", DURABILITY_FULL}, {"normal", DURABILITY_NORMAL}, {NULL, 0}};
static const struct option_word log_level_words[] = {
    {"error", LOG_LEVEL_ERROR}, {"warning", LOG_LEVEL_WARNING}, {"notice", LOG_LEVEL_NOTICE},
    {"info", LOG_LEVEL_INFO},   {"debug", LOG_LEVEL_DEBUG},     {NULL, 0}};

const struct option config_rows[] = {
#define CONFIG_TEXT(nm, mb, wh, std, hlp)                                                          \
    {.name = (nm),                                                                                 \
     .type = OPTION_TYPE_TEXT,                                                                     \
     .where = (wh),                                                                                \
     .offset = OPTION_AT(mb, const char *),                                                        \
     .standard = (std),                                                                            \
     .arg = "NAME",                                                                                \
     .help = (hlp)},
#define CONFIG_PATH(nm, mb, wh, std, hlp)                                                          \
    {.name = (nm),                                                                                 \
     .type = OPTION_TYPE_PATH,                                                                     \
     .where = (wh),                                                                                \
     .offset = OPTION_AT(mb, const char *),                                                        \
     .standard = (std),                                                                            \
     .arg = "PATH",                                                                                \
     .help = (hlp)},
#define CONFIG_NUMBER(nm, tp, ctype, ar, mb, wh, lo, hi, std, hlp)                                 \
    {.name = (nm),                                                                                 \
     .type = (tp),                                                                                 \
     .where = (wh),                                                                                \
     .offset = OPTION_AT(mb, ctype),                                                               \
     .min = (lo),                                                                                  \
     .max = (hi),                                                                                  \
     .standard = (std),                                                                            \
     .arg = (ar),                                                                                  \
     .help = (hlp)},
#define CONFIG_INT(nm, ...)  CONFIG_NUMBER(nm, OPTION_TYPE_INT, unsigned, "N", __VA_ARGS__)
#define CONFIG_SIZE(nm, ...) CONFIG_NUMBER(nm, OPTION_TYPE_SIZE, int64_t, "SIZE", __VA_ARGS__)
#define CONFIG_DURATION(nm, ...)                                                                   \
    CONFIG_NUMBER(nm, OPTION_TYPE_DURATION, int64_t, "DURATION", __VA_ARGS__)
#define CONFIG_WORD(nm, mb, wh, wrds, std, hlp)                                                    \
    {.name = (nm),                                                                                 \
     .type = OPTION_TYPE_WORD,                                                                     \
     .where = (wh),                                                                                \
     .offset = OPTION_AT(mb, int),                                                                 \
     .words = (wrds),                                                                              \
     .standard = (std),                                                                            \
     .arg = "WORD",                                                                                \
     .help = (hlp)},
#include "daemon/config.def"
    OPTIONS_END};

const struct option config_line_rows[] = {
    OPTION_FLAG("system", 0, is_system, "The machine's daemon, for all users."),
    OPTION_FLAG("user", 0, is_user, "A personal daemon (when neither is given)."),
    OPTION_TEXT("config", 0, file, "FILE", "Reads the settings from this file."),
    OPTION_FLAG("check-config", 0, check_only, "Says what is wrong with the settings and ends."),
    OPTION_TEXT("restore", 0, restore, "FILE",
                "Puts a backup in the database's place and ends. -: from standard input."),
    OPTION_INT("ready-fd", 0, ready_fd_given, 0, INT_MAX, NULL, "N",
               "Writes a line to this descriptor and closes it when requests are served."),
    OPTION_FLAG("version", 0, show_version, "Prints the version and ends."),
    OPTION_FLAG("help", 'h', show_help, "Prints this and ends."),
    OPTIONS_END};

static const struct option *const tables[] = {config_line_rows, config_rows, NULL};

void config_release(struct config *c)
{
    paths_release(&c->paths);
    free(c->file_name);
    free(c->file_text);
    free(c->log_dir);
    for (size_t i = 0; c->live_texts && i < ARRAY_LEN(config_rows); i++)
        free(c->live_texts[i]);
    free(c->live_texts);
    *c = (struct config){.ready_fd = -1};
}

static bool read_line(struct config *c, int argc, char *const *argv, struct err *err)
{
    /* options_parse() moves words; the texts they point to stay. */
    cleanup_free char **copy = xcalloc((size_t)argc + 1, sizeof *copy);
    if (argc)
        memcpy(copy, argv, (size_t)argc * sizeof *copy);
    c->ready_fd_given = UINT_MAX;
    int n = options_parse(tables, c, argc, copy, OPTIONS_MIXED, err);
    if (n < 0)
        return false;
    if (n > 0)
        return err_set(err, EINVAL, "\"%s\" is no option", copy[0]);
    if (c->is_system && c->is_user)
        return err_set(err, EINVAL, "--system and --user exclude each other");
    c->ready_fd = c->ready_fd_given == UINT_MAX ? -1 : (int)c->ready_fd_given;
    return true;
}

/* The usual file of the mode; NULL: there is no home. */
static char *usual_file(const struct config *c)
{
    if (c->is_system)
        return xstrdup(COROD_SYSCONFDIR "/corod/corod.conf");
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (xdg && *xdg == '/')
        return xasprintf("%s/corod/corod.conf", xdg);
    return home && *home == '/' ? xasprintf("%s/.config/corod/corod.conf", home) : NULL;
}

static bool read_all(int fd, const char *name, char **ret, struct err *err)
{
    struct stat st;
    struct buf b = {0};
    ssize_t n = -1;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "stat %s", name);
    if (S_ISDIR(st.st_mode))
        return err_set(err, EISDIR, "%s is a directory", name);
    do {
        n = read(fd, buf_reserve(&b, 4096), 4096);
        b.len += n > 0 ? (size_t)n : 0;
    } while (n > 0 && b.len <= FILE_MAX_BYTES);
    if (n == 0 && !memchr(b.data, '\0', b.len)) {
        *ret = buf_steal(&b);
        return true;
    }
    if (n < 0)
        err_errno(err, "read %s", name);
    else
        err_set(err, EINVAL, "%s is no text file of at most 1 MiB", name);
    buf_release(&b);
    return false;
}

static bool read_file(struct config *c, struct err *err)
{
    c->file_name = c->file ? xstrdup(c->file) : usual_file(c);
    if (!c->file_name)
        return true;
    cleanup_close int fd = open(c->file_name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return (!c->file && (errno == ENOENT || errno == ENOTDIR)) ||
               err_errno(err, "cannot read the settings %s", c->file_name);
    return read_all(fd, c->file_name, &c->file_text, err) &&
           options_read(config_rows, c, c->file_text, c->file_name, err);
}

static bool check_networks(const char *name, const char *text, struct err *err)
{
    struct netlist list = {0};
    bool ok = netlist_parse(&list, text, err) || err_prefix(err, "%s", name);
    netlist_release(&list);
    return ok;
}

/* What was left open depends on the mode, or on the state directory that was given. */
static bool set_paths(struct config *c, struct err *err)
{
    if (c->is_system)
        paths_system(&c->paths);
    else if (c->state_dir)
        paths_in(&c->paths, c->state_dir);
    else if (!paths_user(&c->paths, err))
        return false;
    const struct {
        const char **member, *standard;
    } open[] = {
        {&c->socket, c->paths.socket},
        {&c->state_dir, c->paths.state_dir},
        {&c->exec_socket, c->paths.exec_socket},
        {&c->exec_state, c->paths.exec_state_dir},
    };
    for (size_t i = 0; i < ARRAY_LEN(open); i++) {
        if (!*open[i].member || !**open[i].member)
            *open[i].member = open[i].standard;
    }
    if (!c->exec_program && !c->is_system) /* empty: nothing is started */
        c->exec_program = COROD_SBINDIR "/corod-exec";
    if (!c->http_deny)
        c->http_deny = c->is_system ? "loopback, link-local, unspecified" : "";
    c->log_dir = xasprintf("%s/log", c->exec_state);
    c->exec_log_dir = c->log_dir;
    return true;
}

#undef OPTION_STRUCT
#define OPTION_STRUCT struct config_keep

static const struct option keep_jobs_row = {.name = "keep_pools",
                                            .type = OPTION_TYPE_INT,
                                            .offset = OPTION_AT(jobs, unsigned),
                                            .max = 1000000000};
static const struct option keep_age_row = {.name = "keep_pools",
                                           .type = OPTION_TYPE_DURATION,
                                           .offset = OPTION_AT(age_ms, int64_t),
                                           .max = INT64_C(3155760000000)};

/* One word of keep_pools: "POOL=JOBS/AGE". Either may be left out. */
static bool read_keep(char *word, const char **ret_pool, struct config_keep *keep, struct err *err)
{
    char *equals = strchr(word, '=');
    if (!equals || equals == word || !equals[1])
        return err_set(err, EINVAL, "keep_pools: \"%s\" is not POOL=JOBS/AGE", word);
    *equals = '\0';
    *ret_pool = word;
    char *jobs = equals + 1, *age = strchr(jobs, '/');
    if (age)
        *age++ = '\0';
    return ((!*jobs || option_set(&keep_jobs_row, keep, jobs, err)) &&
            (!age || !*age || option_set(&keep_age_row, keep, age, err))) ||
           err_prefix(err, "keep_pools: %s", word);
}

/* The limits of a pool; without one only what is wrong. */
static bool read_keep_pools(const struct config *c, const char *pool, struct config_keep *ret,
                            struct err *err)
{
    cleanup_free char *copy = xstrdup(c->keep_pools ? c->keep_pools : "");
    char *at = copy;
    for (char *word; (word = strsep(&at, " \t,"));) {
        struct config_keep keep = {.jobs = c->keep_jobs, .age_ms = c->keep_age_ms};
        const char *name = "";
        if (!*word)
            continue;
        if (!read_keep(word, &name, &keep, err))
            return false;
        if (pool && strcmp(name, pool) == 0)
            *ret = keep;
    }
    return true;
}

void config_keep_of(const struct config *c, const char *pool, struct config_keep *ret)
{
    *ret = (struct config_keep){.jobs = c->keep_jobs, .age_ms = c->keep_age_ms};
    read_keep_pools(c, pool, ret, NULL); /* it was read before */
}

bool config_load(struct config *ret, int argc, char *const *argv, struct err *err)
{
    struct config c = {.ready_fd = -1};
    options_set_defaults(config_rows, &c);
    /* Twice: what it says comes last, but it says which file. */
    bool ok = read_line(&c, argc, argv, err);
    if (ok && !c.show_help && !c.show_version)
        ok = read_file(&c, err) && read_line(&c, argc, argv, err) && set_paths(&c, err) &&
             read_keep_pools(&c, NULL, NULL, err) &&
             check_networks("http_deny", c.http_deny, err) &&
             check_networks("http_allow", c.http_allow, err);
    if (!ok) {
        config_release(&c);
        return false;
    }
    *ret = c;
    return true;
}

static void add_to_list(struct buf *list, const char *name)
{
    buf_printf(list, "%s\"%s\"", list->len > 1 ? ", " : "", name);
}

/* The value, for as long as the option has it. */
static const char *keep_text(struct config *c, const struct option *row, struct buf *value)
{
    if (!c->live_texts)
        c->live_texts = xcalloc(ARRAY_LEN(config_rows), sizeof *c->live_texts);
    char **place = &c->live_texts[row - config_rows];
    free(*place);
    *place = xstrdup(buf_cstr(value));
    return *place;
}

void config_take_over(struct config *c, const struct config *fresh, struct buf *changed,
                      struct buf *ignored)
{
    struct buf changes = {0}, rest = {0};
    buf_addch(&changes, '[');
    buf_addch(&rest, '[');
    for (const struct option *row = config_rows; row->name; row++) {
        struct buf old = {0}, now = {0};
        option_show(row, c, &old);
        option_show(row, fresh, &now);
        bool differs = strcmp(buf_cstr(&old), buf_cstr(&now)) != 0;
        if (differs)
            add_to_list(row->where & OPTION_LIVE ? &changes : &rest, row->name);
        if (differs && row->where & OPTION_LIVE)
            option_set(row, c, keep_text(c, row, &now), NULL);
        buf_release(&old);
        buf_release(&now);
    }
    buf_addch(&changes, ']');
    buf_addch(&rest, ']');
    buf_add(changed, changes.data, changes.len);
    buf_add(ignored, rest.data, rest.len);
    buf_release(&changes);
    buf_release(&rest);
}
