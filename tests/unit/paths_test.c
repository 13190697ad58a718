#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/mem.h"
#include "proto/paths.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/corod-paths-XXXXXX";

static void make_dir(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
    cleanup_free char *command = xasprintf("rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(of_the_user)
{
    struct paths p;
    struct err err;
    setenv("XDG_STATE_HOME", dir, 1);
    ck_assert(paths_user(&p, &err));
    cleanup_free char *state = xasprintf("%s/corod", dir);
    cleanup_free char *socket = xasprintf("%s/corod/corod.sock", dir);
    cleanup_free char *exec = xasprintf("%s/corod/exec/socket", dir);
    ck_assert_str_eq(p.state_dir, state);
    ck_assert_str_eq(p.socket, socket);
    ck_assert_str_eq(p.exec_socket, exec);
    ck_assert_ptr_null(p.why);
    paths_release(&p);
    ck_assert_int_ne(access(state, F_OK), 0); /* nothing is created */

    setenv("XDG_STATE_HOME", "relative", 1);
    setenv("HOME", dir, 1);
    ck_assert(paths_user(&p, &err));
    cleanup_free char *home = xasprintf("%s/.local/state/corod", dir);
    ck_assert_str_eq(p.state_dir, home);
    paths_release(&p);

    cleanup_free char *none = xasprintf("%s/none", dir);
    setenv("HOME", none, 1);
    ck_assert(!paths_user(&p, &err));
    ck_assert_int_eq(err.code, ENOENT);
    ck_assert_ptr_nonnull(strstr(err.text, none));
}
END_TEST

START_TEST(of_the_system)
{
    struct paths p;
    paths_system(&p);
    ck_assert_str_eq(p.socket, "/run/corod/corod.sock");
    ck_assert_str_eq(p.exec_state_dir, "/var/lib/corod-exec");
    paths_release(&p);
}
END_TEST

START_TEST(private_directories)
{
    struct err err;
    struct stat st;
    cleanup_free char *deep = xasprintf("%s/a/b/c", dir);
    cleanup_free char *link_path = xasprintf("%s/link", dir);
    cleanup_free char *file = xasprintf("%s/file", dir);
    umask(0);
    ck_assert(paths_make_private_dir(deep, &err));
    ck_assert(paths_make_private_dir(deep, &err));
    ck_assert_int_eq(stat(deep, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0700);

    ck_assert_int_eq(chmod(deep, 0770), 0);
    ck_assert(!paths_make_private_dir(deep, &err));
    ck_assert_int_eq(err.code, EPERM);
    ck_assert_int_eq(chmod(deep, 0755), 0);
    ck_assert(paths_make_private_dir(deep, &err));

    ck_assert_int_eq(symlink(deep, link_path), 0);
    ck_assert(!paths_make_private_dir(link_path, &err));
    fclose(fopen(file, "w"));
    ck_assert(!paths_make_private_dir(file, &err));
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(deep, 12345, 12345), 0);
        ck_assert(!paths_make_private_dir(deep, &err));
        ck_assert_int_eq(err.code, EPERM);
    }
}
END_TEST

START_TEST(sockets_that_are_too_long)
{
    struct err err;
    char path[200];
    memset(path, 'x', sizeof path);
    path[107] = '\0';
    ck_assert(paths_check_socket(path, &err));
    path[107] = 'x';
    path[108] = '\0';
    ck_assert(!paths_check_socket(path, &err));
    ck_assert_int_eq(err.code, ENAMETOOLONG);
}
END_TEST

START_TEST(no_network_here)
{
    ck_assert(!paths_on_network("/proc/self"));
    ck_assert(!paths_on_network("/proc/no/such/thing"));
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("paths");
    TCase *t = tcase_create("all");
    tcase_add_unchecked_fixture(t, make_dir, remove_dir);
    tcase_add_test(t, of_the_user);
    tcase_add_test(t, of_the_system);
    tcase_add_test(t, private_directories);
    tcase_add_test(t, sockets_that_are_too_long);
    tcase_add_test(t, no_network_here);
    suite_add_tcase(s, t);
    return s;
}
