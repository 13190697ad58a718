#include "daemon/rpc/users.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

enum { KNOWN_USERS = 256 };

static struct {
    bool known;
    uint32_t uid;
    char name[64];
} users[KNOWN_USERS];

const char *user_name(uint32_t uid)
{
    size_t i = uid % KNOWN_USERS;
    if (!users[i].known || users[i].uid != uid) {
        const struct passwd *pw = getpwuid(uid);
        users[i].known = true;
        users[i].uid = uid;
        if (pw)
            snprintf(users[i].name, sizeof users[i].name, "%s", pw->pw_name);
        else
            snprintf(users[i].name, sizeof users[i].name, "%lu", (unsigned long)uid);
    }
    return users[i].name;
}

bool user_id(const struct peer *asks, const char *text, uint32_t *ret)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (*text >= '0' && *text <= '9' && !*end && !errno && n < UINT32_MAX) {
        *ret = (uint32_t)n;
        return true;
    }
    if (strcmp(text, user_name(asks->uid)) == 0) {
        *ret = asks->uid;
        return true;
    }
    const struct passwd *pw = asks->admin ? getpwnam(text) : NULL;
    if (pw)
        *ret = pw->pw_uid;
    return pw != NULL;
}
