/*
 * Load from many clients of one server, whichever line protocol it speaks.
 *
 *   load [-c CONNECTIONS] [-n CYCLES] [-d DEPTH] ADDRESS {REQUEST LINES WANT}…
 *
 * Each connection goes through the steps again and again until CYCLES were made by all together.
 * A step sends REQUEST (\n \r are escapes, %n is a number of its own, %i what the last step picked)
 * and reads a reply of LINES lines, whose first must contain WANT; a number that follows WANT is
 * picked. With -d a connection has so many requests under way (of one step). ADDRESS is a path or a
 * port of 127.0.0.1. Prints: seconds, and the 50th, 99th and 100th percentile of a cycle in
 * microseconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/mem.h"

enum { MAX_CONNECTIONS = 10000, MAX_STEPS = 8, MAX_DEPTH = 100000 };

struct step {
    char *request;
    int lines;
    const char *want;
};

struct connection {
    int fd;
    int step, lines_left; /* of the reply that is awaited */
    long under_way;
    unsigned long long picked;
    long *began_us; /* ring of DEPTH */
    long head;
    struct buf out, in;
};

static struct step steps[MAX_STEPS];
static int n_steps, n_connections = 1;
static long n_cycles = 1000, depth = 1, started, ended, number;
static struct connection *connections;
static long *cycle_us;

static void die(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(EXIT_FAILURE);
}

static long now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000L + ts.tv_nsec / 1000;
}

static char *unescape(const char *text)
{
    char *copy = xstrdup(text), *to = copy;
    for (const char *p = text; *p; p++) {
        if (p[0] == '\\' && (p[1] == 'n' || p[1] == 'r'))
            *to++ = *++p == 'n' ? '\n' : '\r';
        else
            *to++ = *p;
    }
    *to = '\0';
    return copy;
}

static int connect_to(const char *address)
{
    int fd;
    if (*address == '/') {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        snprintf(un.sun_path, sizeof un.sun_path, "%s", address);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof un) != 0)
            die(strerror(errno));
    } else {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(address))};
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int one = 1;
        if (fd < 0 || connect(fd, (struct sockaddr *)&in, sizeof in) != 0 ||
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0)
            die(strerror(errno));
    }
    return fd;
}

static void add_request(struct connection *c)
{
    for (const char *p = steps[c->step].request; *p; p++) {
        if (p[0] == '%' && (p[1] == 'n' || p[1] == 'i'))
            buf_printf(&c->out, "%llu", *++p == 'n' ? (unsigned long long)++number : c->picked);
        else
            buf_add(&c->out, p, 1);
    }
}

static void begin_cycles(struct connection *c)
{
    while (c->under_way < depth && started < n_cycles) {
        c->began_us[(c->head + c->under_way) % depth] = now_us();
        c->under_way++;
        started++;
        add_request(c);
    }
}

static void send_out(struct connection *c)
{
    while (c->out.len) {
        ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            die(strerror(errno));
        buf_consume(&c->out, (size_t)n);
    }
}

/* The first line of a reply. */
static void take_first(struct connection *c, const char *line, size_t len)
{
    const struct step *s = &steps[c->step];
    const char *at = memmem(line, len, s->want, strlen(s->want));
    if (!at) {
        fprintf(stderr, "load: \"%s\" is not in the reply: %.*s\n", s->want, (int)len, line);
        exit(EXIT_FAILURE);
    }
    c->picked = strtoull(at + strlen(s->want), NULL, 10);
}

static void reply_ended(struct connection *c)
{
    c->step = (c->step + 1) % n_steps;
    c->lines_left = steps[c->step].lines;
    if (c->step) {
        add_request(c);
        return;
    }
    cycle_us[ended++] = now_us() - c->began_us[c->head];
    c->head = (c->head + 1) % depth;
    c->under_way--;
    begin_cycles(c);
}

static void receive(struct connection *c)
{
    char part[65536];
    ssize_t n = recv(c->fd, part, sizeof part, MSG_DONTWAIT);
    if (n <= 0)
        die(n ? strerror(errno) : "the server closed");
    buf_add(&c->in, part, (size_t)n);
    size_t at = 0;
    const char *end;
    while (c->under_way && (end = memchr(c->in.data + at, '\n', c->in.len - at))) {
        const char *line = c->in.data + at;
        size_t len = (size_t)(end - line);
        if (c->lines_left == steps[c->step].lines)
            take_first(c, line, len);
        at += len + 1;
        if (--c->lines_left == 0)
            reply_ended(c);
    }
    buf_consume(&c->in, at);
}

static int by_size(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

static void serve(int poll)
{
    while (ended < n_cycles) {
        struct epoll_event events[256];
        int n = epoll_wait(poll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & (EPOLLIN | EPOLLHUP))
                receive(c);
            send_out(c);
            struct epoll_event e = {.events = EPOLLIN | (c->out.len ? EPOLLOUT : 0), .data.ptr = c};
            if (events[i].events & EPOLLOUT || c->out.len)
                epoll_ctl(poll, EPOLL_CTL_MOD, c->fd, &e);
        }
    }
}

static void take_options(int argc, char **argv)
{
    int o;
    while ((o = getopt(argc, argv, "c:n:d:")) != -1) {
        long n = optarg ? atol(optarg) : 0;
        if (o == 'c' && n > 0 && n <= MAX_CONNECTIONS)
            n_connections = (int)n;
        else if (o == 'n' && n > 0)
            n_cycles = n;
        else if (o == 'd' && n > 0 && n <= MAX_DEPTH)
            depth = n;
        else
            die("a bad option");
    }
    int left = argc - optind - 1;
    if (left < 3 || left % 3 || left / 3 > MAX_STEPS || (depth > 1 && left != 3))
        die("usage: load [-c CONNECTIONS] [-n CYCLES] [-d DEPTH] ADDRESS {REQUEST LINES WANT}…");
    for (int i = optind + 1; i < argc; i += 3)
        steps[n_steps++] = (struct step){unescape(argv[i]), atoi(argv[i + 1]), argv[i + 2]};
}

int main(int argc, char **argv)
{
    take_options(argc, argv);
    cycle_us = xcalloc((size_t)n_cycles, sizeof *cycle_us);
    connections = xcalloc((size_t)n_connections, sizeof *connections);
    int poll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < n_connections; i++) {
        struct connection *c = &connections[i];
        c->fd = connect_to(argv[optind]);
        c->lines_left = steps[0].lines;
        c->began_us = xcalloc((size_t)depth, sizeof *c->began_us);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &e) != 0)
            die(strerror(errno));
    }
    long began = now_us();
    for (int i = 0; i < n_connections; i++) {
        begin_cycles(&connections[i]);
        struct connection *c = &connections[i];
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
        epoll_ctl(poll, EPOLL_CTL_MOD, c->fd, &e);
    }
    serve(poll);
    double seconds = (double)(now_us() - began) / 1e6;
    qsort(cycle_us, (size_t)n_cycles, sizeof *cycle_us, by_size);
    printf("%.6f %ld %ld %ld\n", seconds, cycle_us[n_cycles / 2], cycle_us[n_cycles * 99 / 100],
           cycle_us[n_cycles - 1]);
}
