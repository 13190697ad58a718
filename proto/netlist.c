#include "proto/netlist.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

static const struct {
    const char *word, *networks;
} words[] = {
    {"loopback", "127.0.0.0/8, ::1"},
    {"link-local", "169.254.0.0/16, fe80::/10"},
    {"unspecified", "0.0.0.0/8, ::"},
    {"private", "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7"},
    {"all", "0.0.0.0/0, ::/0"},
};

static bool parse_one(struct netlist *list, char *text, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(words[i].word, text) == 0)
            return netlist_parse(list, words[i].networks, err);
    struct net net = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};
    char *slash = strchr(text, '/'), *end = NULL;
    unsigned long most = net.family == AF_INET ? 32 : 128, prefix = most;
    if (slash) {
        *slash++ = '\0';
        prefix = strtoul(slash, &end, 10);
        if (*slash < '0' || *slash > '9' || *end || prefix > most)
            return err_set(err, EINVAL, "\"%s/%s\": behind the / stands a number up to %lu", text,
                           slash, most);
    }
    if (inet_pton(net.family, text, net.address) != 1)
        return err_set(err, EINVAL,
                       "\"%s\" is no address, and no network such as 10.0.0.0/8; the words are "
                       "loopback, link-local, unspecified, private and all",
                       text);
    /* ::ffff:A.B.C.D is A.B.C.D, as in read_address(). */
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (net.family == AF_INET6 && prefix >= 96 && memcmp(net.address, mapped, sizeof mapped) == 0) {
        net.family = AF_INET;
        memmove(net.address, net.address + sizeof mapped, 4);
        prefix -= 96;
    }
    net.prefix = (unsigned)prefix;
    list->all = xgrow(list->all, &list->cap, list->n + 1, sizeof *list->all);
    list->all[list->n++] = net;
    return true;
}

bool netlist_parse(struct netlist *list, const char *text, struct err *err)
{
    cleanup_free char *copy = xstrdup(text);
    char *rest = copy, *word;
    while ((word = strsep(&rest, ", \t")))
        if (*word && !parse_one(list, word, err))
            return false;
    return true;
}

/* Its bytes as a struct net has them; false: of another family. */
static bool read_address(const struct sockaddr *address, struct net *ret)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        ret->family = AF_INET;
        memcpy(ret->address, &in.sin_addr, 4);
        return true;
    }
    if (address->sa_family != AF_INET6)
        return false;
    struct sockaddr_in6 in6;
    memcpy(&in6, address, sizeof in6);
    bool mapped = IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
    ret->family = mapped ? AF_INET : AF_INET6;
    memcpy(ret->address, (const char *)&in6.sin6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
    return true;
}

static bool matches(const struct net *net, const struct net *address)
{
    if (net->family != address->family)
        return false;
    unsigned whole = net->prefix / 8, bits = net->prefix % 8;
    if (memcmp(net->address, address->address, whole) != 0)
        return false;
    return !bits || (net->address[whole] ^ address->address[whole]) >> (8 - bits) == 0;
}

bool netlist_has(const struct netlist *list, const struct sockaddr *address)
{
    struct net a;
    if (!read_address(address, &a))
        return false;
    for (size_t i = 0; i < list->n; i++)
        if (matches(&list->all[i], &a))
            return true;
    return false;
}

void netlist_release(struct netlist *list)
{
    free(list->all);
    *list = (struct netlist){0};
}

void netlist_show(const struct sockaddr *address, char *text, size_t size)
{
    struct net a;
    if (!read_address(address, &a) || !inet_ntop(a.family, a.address, text, (socklen_t)size))
        snprintf(text, size, "?");
}
