#include "client/items_show.h"

#include <string.h>
#include <unistd.h>

#include "client/follow.h"
#include "client/log_read.h"
#include "client/view.h"
#include "client/words.h"
#include "proto/mem.h"

#define PIECE_BYTES 262144

static const char *const streams[] = {"stdout", "stderr"};

struct piece {
    struct items *items;
    int fd;
    struct buf *keep; /* NULL: it is shown */
};

static void put_piece(void *arg, const struct buf *bytes, int64_t dropped)
{
    struct piece *p = arg;
    struct items *m = p->items;

    if (dropped > 0)
        cli_note(m->cli, "%lld bytes in the middle of item %zu are not kept", (long long)dropped,
                 m->shown + 1);
    if (bytes->len == 0)
        return;
    if (m->on_output != NULL)
        m->on_output(m->arg, m->shown, p->fd, bytes->data, bytes->len);
    if (p->keep != NULL) {
        buf_add(p->keep, bytes->data, bytes->len);
        return;
    }
    if (p->fd == STDERR_FILENO || m->cli->out.tty)
        live_clear(&m->live);
    follow_write(p->fd, bytes->data, bytes->len);
}

/* The rest of the stream of the item's commands, from where it broke off. */
static bool copy_stream(struct items *m, struct buf *keep, struct err *err)
{
    const struct item *item = &m->all[m->shown];
    struct piece p = {m, m->stream == 0 ? STDOUT_FILENO : STDERR_FILENO, keep};

    for (; m->attempt < item->n_attempts; m->attempt++) {
        if (m->reading == NULL)
            m->reading = json_pack("{s:I, s:I, s:s, s:i, s:i}", "id", m->job, "attempt",
                                   (json_int_t)item->attempts[m->attempt], "stream",
                                   streams[m->stream], "offset", 0, "limit", PIECE_BYTES);
        if (!log_read(&m->conn, m->reading, put_piece, &p, err))
            return false;
        json_decref(m->reading);
        m->reading = NULL;
    }
    m->attempt = 0;
    return true;
}

static void from_the_start(struct items *m, size_t item)
{
    m->shown = item;
    m->stream = m->attempt = 0;
    for (int fd = STDOUT_FILENO; m->on_output != NULL && fd <= STDERR_FILENO; fd++)
        m->on_output(m->arg, item, fd, NULL, 0);
    json_decref(m->reading);
    m->reading = NULL;
}

static bool show_json(struct items *m, struct err *err)
{
    struct buf kept[2] = {{0}, {0}};
    cleanup_free char *name = m->name(m->arg, m->shown);
    bool ok = true;

    from_the_start(m, m->shown); /* nothing was printed yet */
    for (; ok && m->stream < 2; m->stream++)
        ok = copy_stream(m, &kept[m->stream], err);
    if (ok) {
        json_t *line = json_pack("{s:I, s:o, s:o, s:o}", "item", (json_int_t)m->shown + 1, "value",
                                 word_plain(name, strlen(name)), "stdout",
                                 word_plain(kept[0].data, kept[0].len), "stderr",
                                 word_plain(kept[1].data, kept[1].len));
        view_json(m->cli, line);
        json_decref(line);
    }
    buf_release(&kept[0]);
    buf_release(&kept[1]);
    return ok;
}

/* The item's last command, as job.attempts has it; *ret NULL: it has none. */
static bool last_attempt(struct items *m, size_t item, json_t **ret, struct err *err)
{
    const struct item *i = &m->all[item];

    *ret = NULL;
    if (i->n_attempts == 0)
        return true;
    json_t *r = conn_call(&m->conn, "job.attempts",
                          json_pack("{s:I, s:I, s:i}", "id", m->job, "after",
                                    (json_int_t)i->attempts[i->n_attempts - 1] - 1, "limit", 1),
                          err);
    if (r == NULL)
        return false;
    *ret = json_incref(json_array_get(json_object_get(r, "attempts"), 0));
    json_decref(r);
    return true;
}

bool items_show(struct items *m, size_t i, struct err *err)
{
    struct item *item = &m->all[i];
    json_t *attempt = NULL;

    if (m->shown != i)
        from_the_start(m, i);
    if (m->cli->json && !show_json(m, err))
        return false;
    for (; !m->cli->json && m->stream < 2; m->stream++) {
        if (!copy_stream(m, NULL, err))
            return false;
    }
    if (m->on_end != NULL) {
        if (!last_attempt(m, i, &attempt, err))
            return false;
        m->on_end(m->arg, i, item->failed ? "failed" : "succeeded", attempt);
        json_decref(attempt);
    }
    m->shown = ITEM_NONE;
    item->shown = true;
    free(item->attempts);
    item->attempts = NULL;
    item->n_attempts = 0;
    return true;
}

bool items_show_ended(struct items *m, struct err *err)
{
    bool ok = m->shown == ITEM_NONE || items_show(m, m->shown, err);
    if (m->keep_order) {
        for (; ok && m->next < m->n && m->all[m->next].ended; m->next++)
            ok = m->all[m->next].shown || items_show(m, m->next, err);
        return ok;
    }
    for (size_t i = 0; ok && i < m->n; i++)
        ok = !m->all[i].ended || m->all[i].shown || items_show(m, i, err);
    return ok;
}
