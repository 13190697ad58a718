#ifndef COROD_PROTO_NETLIST_H
#define COROD_PROTO_NETLIST_H
/*
 * Lists of network addresses, as settings have them: addresses, networks (RFC 4632: 10.0.0.0/8,
 * fe80::/10) and words for well-known ones, with commas or blanks between.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "proto/err.h"

struct net {
    int family; /* AF_INET or AF_INET6 */
    unsigned char address[16];
    unsigned prefix; /* so many bits count */
};
/* `struct netlist l = {0};` is empty. */
struct netlist {
    struct net *all;
    size_t n, cap;
};

/* Appends what the text names to *list. False with err: a word that is none, or a bad address. */
bool netlist_parse(struct netlist *list, const char *text, struct err *err);
/* Whether the address is in one of the networks. An IPv4 address in IPv6's form (::ffff:0:0/96,
 * RFC 4291) is an IPv4 address. */
bool netlist_has(const struct netlist *list, const struct sockaddr *address);
void netlist_release(struct netlist *list);

/* The address as text, in text[size] (46 bytes are enough); "?" for other families. */
void netlist_show(const struct sockaddr *address, char *text, size_t size);

#endif
