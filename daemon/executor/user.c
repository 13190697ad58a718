#include "daemon/executor/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "proto/mem.h"

/* Few users are active at once; the oldest makes room. */
enum { CACHE_SLOTS = 64 };

struct user_cache {
    struct slot {
        struct user user;
        gid_t *groups;
        int64_t looked_up_us;
    } slots[CACHE_SLOTS];
    size_t n;
};

struct user_cache *user_cache_new(void)
{
    return xcalloc(1, sizeof(struct user_cache));
}

void user_cache_free(struct user_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++)
        free(c->slots[i].groups);
    free(c);
}

/* Fills a slot whose groups are then the slot's; false: it is unchanged. */
static bool look_up(uid_t uid, struct slot *slot, struct err *err)
{
    size_t size = 1024;
    cleanup_free char *mem = NULL;
    struct passwd pw, *found = NULL;
    int e;
    do {
        size *= 2;
        mem = xrealloc(mem, size);
        e = getpwuid_r(uid, &pw, mem, size, &found);
    } while (e == ERANGE && size < 1024 * 1024);
    if (e)
        return err_set(err, e, "cannot look up user %u: %s", (unsigned)uid, strerror(e));
    if (!found)
        return err_set(err, ENOENT, "no user has the uid %u", (unsigned)uid);

    int n = USER_GROUPS_MAX;
    cleanup_free gid_t *groups = xcalloc(USER_GROUPS_MAX, sizeof *groups);
    if (getgrouplist(pw.pw_name, pw.pw_gid, groups, &n) < 0)
        return err_set(err, E2BIG, "user %s is in more than %d groups", pw.pw_name,
                       USER_GROUPS_MAX);
    free(slot->groups);
    slot->groups = steal(&groups);
    slot->user = (struct user){uid, pw.pw_gid, (size_t)n, slot->groups};
    return true;
}

/* The slot of uid, else a fresh one, else the oldest. */
static struct slot *slot_for(struct user_cache *c, uid_t uid)
{
    struct slot *oldest = &c->slots[0];
    for (size_t i = 0; i < c->n; i++) {
        if (c->slots[i].user.uid == uid)
            return &c->slots[i];
        if (c->slots[i].looked_up_us < oldest->looked_up_us)
            oldest = &c->slots[i];
    }
    return c->n < CACHE_SLOTS ? &c->slots[c->n] : oldest;
}

const struct user *user_lookup(struct user_cache *c, uid_t uid, int64_t now_us, struct err *err)
{
    struct slot *slot = slot_for(c, uid);
    bool known = slot->groups && slot->user.uid == uid;
    if (known && now_us - slot->looked_up_us < USER_CACHE_US)
        return &slot->user;
    if (!look_up(uid, slot, err))
        return NULL;
    if (slot == &c->slots[c->n])
        c->n++;
    slot->looked_up_us = now_us;
    return &slot->user;
}

void user_put(struct buf *b, const struct user *u)
{
    put_u32(b, u->uid);
    put_u32(b, u->gid);
    put_varint(b, u->n_groups);
    for (size_t i = 0; i < u->n_groups; i++)
        put_u32(b, u->groups[i]);
}

bool user_get(struct reader *r, struct user *ret, gid_t groups[USER_GROUPS_MAX])
{
    struct user u = {.uid = get_u32(r), .gid = get_u32(r), .groups = groups};
    uint64_t n = get_varint(r);
    if (r->failed || n > USER_GROUPS_MAX)
        return false;
    u.n_groups = (size_t)n;
    for (size_t i = 0; i < u.n_groups; i++)
        groups[i] = get_u32(r);
    if (r->failed)
        return false;
    *ret = u;
    return true;
}
