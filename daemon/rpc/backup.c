/*
 * system.backup, system.backup_read: the copy is a file without a name; its bytes go over the
 * connection. So no path of a client is ever opened with the daemon's rights, nothing is left
 * behind, and it works in a sandbox.
 */
#include "daemon/rpc/backup.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/rpc/methods.h"
#include "proto/base64.h"
#include "proto/errors.h"
#include "proto/log.h"
#include "proto/mem.h"

/* One at a time: it takes as much disk as the database. */
struct backup {
    struct session *session; /* whose it is; NULL: gone while it was made */
    struct request *request; /* that waits for it; NULL: it is made */
    int fd;
};

void backup_free(struct server *s)
{
    if (s->backup)
        close_fd(s->backup->fd);
    free(s->backup);
    s->backup = NULL;
}

void backup_drop(struct session *s)
{
    struct server *server = s->server;
    if (!server->backup || server->backup->session != s)
        return;
    server->backup->session = NULL;
    if (!server->backup->request) /* else when it is made */
        backup_free(server);
}

static void on_backup(void *arg, int fd, const struct err *err)
{
    struct server *server = arg;
    struct backup *b = server->backup;
    struct request *r = b->request;
    struct buf result = {0};
    struct json_out o = {.out = &result};
    struct stat st;
    b->fd = fd;
    b->request = NULL;
    if (err || fstat(fd, &st) < 0 || !b->session) {
        struct err why;
        err_set(&why, ERR_STORAGE, "%s", err ? err->text : "the copy cannot be read");
        backup_free(server);
        request_fail(r, &why);
        return;
    }
    jout_begin_object(&o);
    jout_key(&o, "bytes");
    jout_int(&o, st.st_size);
    jout_end_object(&o);
    request_result(r, &result);
}

void method_system_backup(struct request *r, const struct system_backup_params *p)
{
    struct server *server = r->server;
    struct err err;
    (void)p;
    if (server->backup && (server->backup->request || server->backup->session != r->session)) {
        err_set(&err, ERR_OVERLOADED, "another backup is being made");
        request_fail(r, &err);
        return;
    }
    backup_free(server);
    server->backup = xcalloc(1, sizeof *server->backup);
    *server->backup = (struct backup){.session = r->session, .request = r, .fd = -1};
    if (store_backup(engine_store(server->engine), on_backup, server, &err)) {
        log_info("user %lu makes a backup", (unsigned long)r->peer.uid);
        return;
    }
    backup_free(server);
    err.code = ERR_OVERLOADED;
    request_fail(r, &err);
}

void method_system_backup_read(struct request *r, const struct system_backup_read_params *p)
{
    const struct backup *b = r->server->backup;
    struct buf data = {0}, text = {0}, result = {0};
    struct json_out o = {.out = &result};
    if (!b || b->request || b->session != r->session) {
        request_error(r, ERR_STATE, NULL, "no backup was made on this connection");
        return;
    }
    ssize_t n = pread(b->fd, buf_reserve(&data, (size_t)p->limit), (size_t)p->limit, p->offset);
    if (n < 0) {
        request_error(r, ERR_STORAGE, NULL, "the copy cannot be read");
        buf_release(&data);
        return;
    }
    base64_put(&text, data.data, (size_t)n);
    jout_begin_object(&o);
    jout_key(&o, "data");
    jout_string(&o, text.data, text.len);
    jout_key(&o, "encoding");
    jout_text(&o, "base64");
    jout_key(&o, "next");
    jout_int(&o, p->offset + n);
    jout_key(&o, "eof");
    jout_bool(&o, n < p->limit);
    jout_end_object(&o);
    buf_release(&data);
    buf_release(&text);
    request_result(r, &result);
}
