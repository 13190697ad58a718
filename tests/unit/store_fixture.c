#include "tests/unit/store_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/mem.h"
#include "tests/unit/unit.h"

struct loop *fix_loop;
struct store *fix_store;
struct err fix_err;
int fix_committed, fix_troubles, fix_recovered;
struct err fix_trouble;

static char dir[] = "/tmp/store_test.XXXXXX";
static bool (*condition)(void);

void fix_enter(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(chdir(dir), 0);
    fix_loop = loop_new(&fix_err);
    ck_assert_ptr_nonnull(fix_loop);
}

void fix_leave(void)
{
    fix_close();
    loop_free(fix_loop);
    ck_assert_int_eq(chdir(dir), 0);
    DIR *d = opendir(".");
    for (struct dirent *e; (e = readdir(d));)
        unlink(e->d_name);
    closedir(d);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(rmdir(dir), 0);
}

static void on_committed(void *arg)
{
    (void)arg;
    fix_committed++;
}

static void on_trouble(void *arg, const struct err *why)
{
    (void)arg;
    if (why) {
        fix_troubles++;
        fix_trouble = *why;
    } else {
        fix_recovered++;
    }
}

struct store *fix_try_open(const char *path)
{
    static const struct store_events events = {on_committed, on_trouble};
    return store_open(path, true, fix_loop, &events, NULL, &fix_err);
}

void fix_open(const char *path)
{
    fix_store = fix_try_open(path);
    ck_assert_msg(fix_store != NULL, "%s", fix_err.text);
}

void fix_close(void)
{
    store_close(fix_store);
    fix_store = NULL;
}

static bool on_turn(void *arg)
{
    (void)arg;
    if (condition())
        loop_stop(fix_loop);
    return false;
}

static void on_late(void *arg)
{
    (void)arg;
    ck_abort_msg("waited in vain");
}

void fix_until(bool (*cond)(void))
{
    struct alarm *late = alarm_new(fix_loop, on_late, NULL);
    alarm_start(late, 60000000);
    condition = cond;
    if (!cond())
        loop_run(fix_loop, on_turn, NULL);
    alarm_free(late);
}

static bool is_committed(void)
{
    return !store_is_committing(fix_store);
}

void fix_commit(struct batch *b)
{
    store_commit(fix_store, b);
    fix_until(is_committed);
    batch_clear(b);
}

void fix_put(struct batch *b, const char *name, const char *value)
{
    batch_add(b, ST_META_PUT);
    batch_str(b, name);
    batch_str(b, value);
}

static int found;

static bool on_meta(void *arg, size_t set, const struct rows *row, struct err *err)
{
    char *const *wanted = arg;
    (void)set;
    (void)err;
    const char *value = cell_str(row, 0, 1);
    found += strcmp(cell_str(row, 0, 0), wanted[0]) == 0 && value && strcmp(value, wanted[1]) == 0;
    return true;
}

int fix_count(const char *name, const char *value)
{
    struct batch q = {0};
    const char *wanted[] = {name, value};
    batch_add(&q, ST_META_ALL);
    found = 0;
    ck_assert_msg(store_scan(fix_store, &q, on_meta, wanted, &fix_err), "%s", fix_err.text);
    batch_release(&q);
    return found;
}

int fix_in_child(const char *errinj, void (*body)(void))
{
    int status;
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (errinj)
            setenv("COROD_ERRINJ", errinj, 1);
        body();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

char *fix_read_file(const char *path, size_t *n)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    *n = (size_t)st.st_size;
    char *p = xmalloc(*n);
    ck_assert_int_eq(read(fd, p, *n), st.st_size);
    close(fd);
    return p;
}

void fix_write_file(const char *path, const void *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
    close(fd);
}

bool fix_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}
