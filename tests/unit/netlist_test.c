#include <arpa/inet.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "proto/netlist.h"
#include "proto/url.h"
#include "tests/unit/unit.h"

static bool has(const char *list, const char *address)
{
    struct netlist l = {0};
    struct err err = {0};
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    bool six = strchr(address, ':');
    ck_assert_int_eq(inet_pton(six ? AF_INET6 : AF_INET, address,
                               six ? (void *)&in6.sin6_addr : (void *)&in.sin_addr),
                     1);
    ck_assert_msg(netlist_parse(&l, list, &err), "%s: %s", list, err.text);
    bool ret = netlist_has(&l, six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in);
    netlist_release(&l);
    return ret;
}

START_TEST(networks)
{
    static const struct {
        const char *list, *in, *out;
    } rows[] = {
        {"10.1.2.3", "10.1.2.3", "10.1.2.4"},
        {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
        {"10.1.2.3/8", "10.9.9.9", "11.1.2.3"},
        {"10.1.2.128/25", "10.1.2.255", "10.1.2.127"},
        {"10.1.2.4/31", "10.1.2.5", "10.1.2.6"},
        {"0.0.0.0/0", "203.0.113.1", "2001:db8::1"},
        {"::/0", "2001:db8::1", "203.0.113.1"},
        {"fe80::/10", "febf::1", "fec0::1"},
        {"2001:db8::/127", "2001:db8::1", "2001:db8::2"},
        {"127.0.0.0/8", "::ffff:127.0.0.1", "::7f00:1"},
        {"::ffff:127.0.0.0/104", "127.0.0.1", "128.0.0.1"},
        {"::ffff:10.1.2.3", "::ffff:10.1.2.3", "10.1.2.4"},
        {"loopback", "127.255.0.1", "128.0.0.1"},
        {"loopback", "::1", "::2"},
        {"link-local", "169.254.169.254", "169.255.0.0"},
        {"unspecified", "0.0.0.0", "1.0.0.0"},
        {"unspecified", "::", "::1"},
        {"unspecified", "::ffff:0.0.0.0", "::1"},
        {"private", "172.31.0.1", "172.32.0.1"},
        {"private", "fd00::1", "fe00::1"},
        {"1.1.1.1, 2.2.2.2", "2.2.2.2", "3.3.3.3"},
        {" 1.1.1.1\t2.2.2.2,,", "1.1.1.1", "3.3.3.3"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ck_assert_msg(has(rows[i].list, rows[i].in), "%s in %s", rows[i].in, rows[i].list);
        ck_assert_msg(!has(rows[i].list, rows[i].out), "%s not in %s", rows[i].out, rows[i].list);
    }
    ck_assert(has("all", "1.2.3.4") && has("all", "fe80::1") && !has("", "127.0.0.1"));
}
END_TEST

START_TEST(mistakes)
{
    static const char *const wrong[] = {"10.0.0.0/33",  "::/129",  "10.0.0.0/",   "10.0.0.0/x",
                                        "10.0.0.0/ 8",  "10.0.0",  "10.0.0.256",  "localhost",
                                        "10.0.0.0/-1",  "1::2::3", "fe80::1%lo",  "all/0",
                                        "10.0.0.0/8/8", "/8",      "10.0.0.0/+8", "0x7f.0.0.1"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct netlist l = {0};
        struct err err = {0};
        ck_assert_msg(!netlist_parse(&l, wrong[i], &err), "%s is taken", wrong[i]);
        ck_assert(err.text[0]);
        netlist_release(&l);
    }
}
END_TEST

START_TEST(addresses_for_people)
{
    static const char *const rows[][2] = {
        {"http://u:p@h:1/a/b?c=d#e", "http://h:1/a/b"},
        {"https://h", "https://h"},
        {"https://a@b@h/x@y", "https://h/x@y"},
        {"http://h?token=a@b", "http://h"},
        {"http://h/#a@b", "http://h/"},
        {"u@h/x?y", "h/x"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b = {0};
        url_put_public(&b, rows[i][0]);
        ck_assert_str_eq(buf_cstr(&b), rows[i][1]);
        buf_release(&b);
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("netlist");
    TCase *t = tcase_create("netlist");
    tcase_add_test(t, networks);
    tcase_add_test(t, mistakes);
    tcase_add_test(t, addresses_for_people);
    suite_add_tcase(s, t);
    return s;
}
