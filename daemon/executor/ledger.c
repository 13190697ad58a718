#include "daemon/executor/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/errinj.h"
#include "proto/log.h"
#include "proto/mem.h"

enum { LOOK_EVERY = 64 /* starts between two looks at the segment's size */ };

static size_t bucket(const struct ledger *l, uint64_t number)
{
    return (size_t)(number * 0x9e3779b97f4a7c15ull >> 32) & (l->n_buckets - 1);
}

struct attempt *ledger_find(const struct ledger *l, uint64_t number)
{
    struct attempt *a = l->buckets[bucket(l, number)];
    while (a && a->number != number)
        a = a->next;
    return a;
}

static void grow(struct ledger *l)
{
    struct attempt **old = l->buckets;
    size_t n = l->n_buckets;
    l->n_buckets = n ? 2 * n : 256;
    l->buckets = xcalloc(l->n_buckets, sizeof *l->buckets);
    for (size_t i = 0; i < n; i++) {
        for (struct attempt *a = old[i], *next; a; a = next) {
            next = a->next;
            struct attempt **b = &l->buckets[bucket(l, a->number)];
            a->next = *b;
            *b = a;
        }
    }
    free(old);
}

static struct attempt *add(struct ledger *l, uint64_t number, struct segment *s)
{
    if (l->n_attempts >= l->n_buckets)
        grow(l);
    struct attempt *a = xcalloc(1, sizeof *a), **b = &l->buckets[bucket(l, number)];
    a->number = number;
    a->segment = s;
    a->same_boot = true;
    a->next = *b;
    *b = a;
    l->n_attempts++;
    if (s)
        s->unsettled++;
    return a;
}

struct attempt *ledger_add_unknown(struct ledger *l, uint64_t number)
{
    return add(l, number, NULL);
}

void ledger_each(struct ledger *l, void (*each)(void *arg, struct attempt *a), void *arg)
{
    for (size_t i = 0; i < l->n_buckets; i++) {
        for (struct attempt *a = l->buckets[i], *next; a; a = next) {
            next = a->next;
            each(arg, a);
        }
    }
}

static void raise_highest(struct ledger *l, uint64_t number)
{
    if (number > l->highest)
        l->highest = number;
}

/* While loading every S and lone E is an attempt; later only those that are not settled are looked
 * for. */
static void on_record(void *arg, struct segment *s, const struct journal_record *r)
{
    struct ledger *l = arg;
    struct attempt *a = ledger_find(l, r->number);

    if (r->type == JOURNAL_START) {
        raise_highest(l, r->number);
        if (!a && l->loading) {
            a = add(l, r->number, s);
            a->same_boot = r->len == JOURNAL_BOOT_ID_BYTES &&
                           memcmp(r->payload, l->boot_id, JOURNAL_BOOT_ID_BYTES) == 0;
        }
    } else if (r->type == JOURNAL_PID && a && a->segment == s) {
        a->has_pid = journal_pid_parse(r->payload, r->len, &a->pid);
    } else if (r->type == JOURNAL_END) {
        if (!a && l->loading)
            a = add(l, r->number, s);
        if (a && a->segment == s) {
            a->end_offset = r->offset;
            if (l->loading) /* later it is verdict.c that decides, and tells */
                a->state = ATTEMPT_ENDED;
        }
    }
}

/* Removes segments in which nothing is open, except the current one. */
static void drop_segment(struct ledger *l, struct segment *s)
{
    struct err err;
    struct segment **at = &l->segments;
    if (s->unsettled > 0 || s == l->current)
        return;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    errinj(ERRINJ_EXEC_BEFORE_DROP);
    if (!segment_remove(l->dir->journal_dirfd, s->id, &err))
        log_warning("%s", err.text);
    free(s);
}

static void drop_settled_segments(struct ledger *l)
{
    for (struct segment *s = l->segments, *next; s; s = next) {
        next = s->next;
        drop_segment(l, s);
    }
}

/* Begins a new segment; the old one goes when nothing in it is open. */
static bool rotate(struct ledger *l, struct err *err)
{
    struct segment s;
    struct journal_pen pen;
    if (!segment_create(l->dir->journal_dirfd, l->last_id + 1, l->highest, &s, &pen, err))
        return false;
    errinj(ERRINJ_EXEC_ROTATED);
    struct segment *new = xmemdup(&s, sizeof s), **at = &l->segments;
    while (*at)
        at = &(*at)->next;
    *at = new;
    close_fd(l->pen.fd);
    l->pen = pen;
    l->current = new;
    l->last_id = new->id;
    l->starts_until_look = LOOK_EVERY;
    drop_settled_segments(l);
    return true;
}

static bool read_boot_id(struct ledger *l, struct err *err)
{
    char *t = l->boot_id_text;
    if (boot_id_read(t) < 0)
        return err_errno(err, "read the boot id");
    size_t digits = 0;
    for (const char *p = t; *p && digits < 32; p++) {
        const char *hex = "0123456789abcdef", *d = strchr(hex, *p);
        if (!d)
            continue;
        unsigned char *byte = &l->boot_id[digits++ / 2];
        *byte = (unsigned char)(*byte << 4 | (d - hex));
    }
    return true;
}

/* A segment that cannot be read is kept aside, and unknown numbers are not believed to be new. */
static void load_segment(struct ledger *l, unsigned id)
{
    struct err err;
    struct segment s, **at = &l->segments;
    if (!segment_open(l->dir->journal_dirfd, id, &s, &err)) {
        char name[32], bad[40];
        snprintf(name, sizeof name, SEGMENT_NAME_FORMAT, id);
        snprintf(bad, sizeof bad, "%s.bad", name);
        log_error("%s: kept as journal/%s", err.text, bad);
        renameat(l->dir->journal_dirfd, name, l->dir->journal_dirfd, bad);
        l->incomplete = true;
        return;
    }
    struct segment *new = xmemdup(&s, sizeof s);
    while (*at)
        at = &(*at)->next;
    *at = new;
    raise_highest(l, s.highest);
    if (!segment_scan(l->dir->journal_dirfd, new, on_record, l, &err)) {
        log_error("%s", err.text);
        l->incomplete = true;
    }
}

static int by_id(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

static bool load(struct ledger *l, struct err *err)
{
    cleanup_free unsigned *ids = NULL;
    size_t n = 0, cap = 0;
    int fd = openat(l->dir->journal_dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        err_errno(err, "list journal");
        close_fd(fd);
        return false;
    }
    for (struct dirent *e; (e = readdir(d));) {
        unsigned id;
        if (!segment_name_parse(e->d_name, &id))
            continue;
        ids = xgrow(ids, &cap, n + 1, sizeof *ids);
        ids[n++] = id;
    }
    closedir(d);
    if (n)
        qsort(ids, n, sizeof *ids, by_id);
    for (size_t i = 0; i < n; i++)
        load_segment(l, ids[i]);
    l->last_id = n ? ids[n - 1] : 0;
    return rotate(l, err);
}

bool ledger_open(struct ledger *l, const struct statedir *dir, struct err *err)
{
    void (*on_forget)(void *, struct attempt *) = l->on_forget;
    void *arg = l->arg;
    *l = (struct ledger){.dir = dir, .pen = {.fd = -1}, .on_forget = on_forget, .arg = arg};
    grow(l);
    if (!read_boot_id(l, err))
        return false;
    l->loading = true;
    bool ok = load(l, err);
    l->loading = false;
    return ok;
}

void ledger_close(struct ledger *l)
{
    for (size_t i = 0; i < l->n_buckets; i++) {
        for (struct attempt *a = l->buckets[i], *next; a; a = next) {
            next = a->next;
            if (l->on_forget)
                l->on_forget(l->arg, a);
            free(a);
        }
    }
    for (struct segment *s = l->segments, *next; s; s = next) {
        next = s->next;
        free(s);
    }
    free(l->buckets);
    close_fd(l->pen.fd);
    *l = (struct ledger){.pen = {.fd = -1}};
}

/* When no new segment can be made the old one is used on. */
static void rotate_if_large(struct ledger *l)
{
    struct stat st;
    struct err err;
    if (errinj(ERRINJ_EXEC_SEGMENT_FULL)) {
        if (!rotate(l, &err))
            log_warning("%s", err.text);
    } else if (l->starts_until_look > 0) {
        l->starts_until_look--;
        return;
    }
    l->starts_until_look = LOOK_EVERY;
    if (fstat(l->pen.fd, &st) == 0 && st.st_size >= JOURNAL_SEGMENT_BYTES && !rotate(l, &err))
        log_warning("%s", err.text);
}

int ledger_begin(struct ledger *l, uint64_t number, struct attempt **ret)
{
    rotate_if_large(l);
    cleanup_close int fd = statedir_lock(l->dir, number);
    if (fd < 0)
        return -1;
    errinj(ERRINJ_EXEC_BEFORE_S);
    if (!journal_append(&l->pen, JOURNAL_START, number, l->boot_id, sizeof l->boot_id))
        return -1;
    errinj(ERRINJ_EXEC_AFTER_S);
    raise_highest(l, number);
    *ret = add(l, number, l->current);
    return steal_fd(&fd);
}

static bool append_end(struct ledger *l, const struct exec_end *end)
{
    struct buf b = {0};
    exec_put_end_body(&b, end);
    bool ok = journal_append(&l->pen, JOURNAL_END, end->number, b.data, b.len);
    buf_release(&b);
    return ok;
}

bool ledger_tombstone(struct ledger *l, const struct exec_end *end)
{
    if (!append_end(l, end))
        return false;
    struct attempt *a = add(l, end->number, l->current);
    a->state = ATTEMPT_ENDED;
    return true;
}

bool ledger_write_end(struct ledger *l, struct attempt *a, const struct exec_end *end)
{
    /* Only right after ledger_begin(): its segment is the current one. */
    if (a->segment != l->current || !append_end(l, end))
        return false;
    a->state = ATTEMPT_ENDED;
    return true;
}

int ledger_is_locked(const struct ledger *l, uint64_t number)
{
    return statedir_is_locked(l->dir, number);
}

bool ledger_refresh(struct ledger *l, struct attempt *a)
{
    struct err err;
    if (!a->segment || segment_scan(l->dir->journal_dirfd, a->segment, on_record, l, &err))
        return true;
    log_warning("%s", err.text);
    return false;
}

bool ledger_read_end(struct ledger *l, struct attempt *a, struct buf *b, const char **ret_payload,
                     size_t *ret_len)
{
    struct journal_record r;
    struct err err;
    if (!a->end_offset && !ledger_refresh(l, a))
        return false;
    if (!a->end_offset || !a->segment)
        return false;
    if (!segment_read(l->dir->journal_dirfd, a->segment, a->end_offset, b, &r, &err)) {
        log_warning("%s", err.text);
        return false;
    }
    *ret_payload = r.payload;
    *ret_len = r.len;
    return true;
}

void ledger_settle(struct ledger *l, struct attempt *a)
{
    struct attempt **at = &l->buckets[bucket(l, a->number)];
    struct segment *s = a->segment;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    l->n_attempts--;
    if (l->on_forget)
        l->on_forget(l->arg, a);
    free(a);
    if (s) {
        s->unsettled--;
        drop_segment(l, s);
    }
}
