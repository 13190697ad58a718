#include "proto/exec.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "proto/mem.h"

enum { FILE_NONE, FILE_NEW, FILE_APPEND };
enum { FLAG_MERGE_STDERR = 1, FLAG_KEEP_LEFTOVERS = 2, FLAG_CWD = 4, FLAG_INPUT = 8 };
enum { END_CORE = 1, END_NEVER_RAN = 2, END_STOPPED = 4, END_IN_FILE = 8 };

/* Returns where the frame began, for frame_end(). */
static size_t frame_begin(struct buf *b, enum exec_message type)
{
    size_t at = b->len;
    put_u32(b, 0);
    put_u8(b, (uint8_t)type);
    return at;
}

static void frame_end(struct buf *b, size_t at)
{
    size_t len = b->len;
    b->len = at;
    put_u32(b, (uint32_t)(len - at - 4));
    b->len = len;
}

/* With its NUL, so that the decoded string can stay where it is. */
static void put_zstring(struct buf *b, const char *s)
{
    put_bytes(b, s, strlen(s) + 1);
}

static const char *get_zstring(struct reader *r)
{
    size_t n;
    const char *s = get_bytes(r, &n);
    if (r->failed || n == 0 || memchr(s, '\0', n) != s + n - 1) {
        r->failed = true;
        return "";
    }
    return s;
}

static void put_strings(struct buf *b, const char *const *v)
{
    size_t n = 0;
    while (v[n])
        n++;
    put_varint(b, n);
    for (size_t i = 0; i < n; i++)
        put_zstring(b, v[i]);
}

void exec_put_start(struct buf *b, const struct exec_start *s)
{
    size_t at = frame_begin(b, EXEC_MSG_START);
    put_u64(b, s->number);
    put_u32(b, s->uid);
    put_u8(b, (uint8_t)((s->merge_stderr ? FLAG_MERGE_STDERR : 0) |
                        (s->keep_leftovers ? FLAG_KEEP_LEFTOVERS : 0) | (s->cwd ? FLAG_CWD : 0) |
                        (s->input ? FLAG_INPUT : 0)));
    put_varint(b, s->umask);
    put_varint(b, s->grace_ms);
    put_varint(b, s->log_cap_bytes);
    put_varint(b, s->window_bytes);
    put_varint(b, s->n_limits);
    for (size_t i = 0; i < s->n_limits; i++) {
        put_varint(b, s->limits[i].resource);
        put_varint(b, s->limits[i].soft);
        put_varint(b, s->limits[i].hard);
    }
    put_strings(b, s->argv);
    put_strings(b, s->env);
    if (s->cwd)
        put_zstring(b, s->cwd);
    if (s->input)
        put_bytes(b, s->input, s->input_len);
    for (int i = 0; i < 3; i++) {
        put_u8(b, (uint8_t)(!s->files[i] ? FILE_NONE : s->append[i] ? FILE_APPEND : FILE_NEW));
        if (s->files[i])
            put_zstring(b, s->files[i]);
    }
    frame_end(b, at);
}

/* An element costs at least `least` bytes: bounds what a count can make us allocate. */
static size_t get_count(struct reader *r, size_t least)
{
    uint64_t n = get_varint(r);
    if (n > (size_t)(r->end - r->p) / least) {
        r->failed = true;
        return 0;
    }
    return (size_t)n;
}

/* Skips n strings or limits; the second pass, which fills the arrays, starts where the reader was.
 */
static size_t skip_strings(struct reader *r)
{
    size_t n = get_count(r, 2);
    for (size_t i = 0; i < n && !r->failed; i++)
        get_zstring(r);
    return n;
}

static const char **fill_strings(struct reader *r, const char **v)
{
    size_t n = get_count(r, 2);
    for (size_t i = 0; i < n; i++)
        *v++ = get_zstring(r);
    *v++ = NULL;
    return v;
}

static void get_limits(struct reader *r, struct exec_limit *v, size_t n)
{
    for (size_t i = 0; i < n && !r->failed; i++) {
        struct exec_limit l = {.resource = (uint32_t)get_varint(r)};
        l.soft = get_varint(r);
        l.hard = get_varint(r);
        if (v)
            v[i] = l;
    }
}

bool exec_get_start(const void *payload, size_t len, struct exec_start *ret, struct err *err)
{
    struct reader r = READER(payload, len);
    struct exec_start s = {.number = get_u64(&r), .uid = get_u32(&r)};
    uint8_t flags = get_u8(&r);
    s.merge_stderr = flags & FLAG_MERGE_STDERR;
    s.keep_leftovers = flags & FLAG_KEEP_LEFTOVERS;
    s.umask = (uint32_t)get_varint(&r) & 0777;
    s.grace_ms = (uint32_t)get_varint(&r);
    s.log_cap_bytes = get_varint(&r);
    s.window_bytes = get_varint(&r);
    s.n_limits = get_count(&r, 3);
    struct reader lists = r;
    get_limits(&r, NULL, s.n_limits);
    size_t argc = skip_strings(&r), envc = skip_strings(&r);
    s.cwd = flags & FLAG_CWD ? get_zstring(&r) : NULL;
    s.input = flags & FLAG_INPUT ? get_bytes(&r, &s.input_len) : NULL;
    for (int i = 0; i < 3; i++) {
        uint8_t how = get_u8(&r);
        s.append[i] = how == FILE_APPEND;
        s.files[i] = how == FILE_NONE ? NULL : get_zstring(&r);
    }
    if (!reader_done(&r) || argc == 0 || s.number == 0 || s.number > INT64_MAX)
        return err_set(err, EPROTO, "a malformed start of attempt %llu",
                       (unsigned long long)s.number);

    size_t limits_bytes = s.n_limits * sizeof *s.limits;
    char *block = xmalloc(limits_bytes + (argc + envc + 4) * sizeof(char *));
    struct exec_limit *limits = (struct exec_limit *)(void *)block;
    const char **v = (const char **)(void *)(block + limits_bytes);
    get_limits(&lists, limits, s.n_limits);
    s.limits = limits;
    s.argv = v;
    v = fill_strings(&lists, v);
    s.env = v;
    fill_strings(&lists, v);
    *ret = s;
    return true;
}

void exec_start_release(struct exec_start *s)
{
    free((void *)(uintptr_t)s->limits);
    *s = (struct exec_start){0};
}

void exec_put_end_body(struct buf *b, const struct exec_end *e)
{
    put_u64(b, e->number);
    put_u8(b, (uint8_t)e->outcome);
    put_u8(b, (uint8_t)((e->core_dumped ? END_CORE : 0) | (e->never_ran ? END_NEVER_RAN : 0) |
                        (e->stopped ? END_STOPPED : 0) | (e->log_in_file ? END_IN_FILE : 0)));
    put_svarint(b, e->status);
    put_svarint(b, e->error);
    put_zstring(b, e->text ? e->text : "");
    put_svarint(b, e->pid);
    put_svarint(b, e->cpu_user_us);
    put_svarint(b, e->cpu_sys_us);
    put_varint(b, e->maxrss_kib);
    put_svarint(b, e->started_us);
    put_svarint(b, e->ended_us);
    put_svarint(b, e->duration_us);
    put_varint(b, e->log_bytes);
    put_varint(b, e->log_lost);
    put_bytes(b, e->output, e->output_len);
}

bool exec_get_end(const void *payload, size_t len, struct exec_end *ret, struct err *err)
{
    struct reader r = READER(payload, len);
    struct exec_end e = {.number = get_u64(&r)};
    unsigned outcome = get_u8(&r);
    uint8_t flags = get_u8(&r);
    e.outcome = (enum exec_outcome)outcome;
    e.core_dumped = flags & END_CORE;
    e.never_ran = flags & END_NEVER_RAN;
    e.stopped = flags & END_STOPPED;
    e.log_in_file = flags & END_IN_FILE;
    e.status = (int)get_svarint(&r);
    e.error = (int)get_svarint(&r);
    e.text = get_zstring(&r);
    e.pid = get_svarint(&r);
    e.cpu_user_us = get_svarint(&r);
    e.cpu_sys_us = get_svarint(&r);
    e.maxrss_kib = get_varint(&r);
    e.started_us = get_svarint(&r);
    e.ended_us = get_svarint(&r);
    e.duration_us = get_svarint(&r);
    e.log_bytes = get_varint(&r);
    e.log_lost = get_varint(&r);
    e.output = get_bytes(&r, &e.output_len);
    if (!reader_done(&r) || outcome < EXEC_EXITED || outcome > EXEC_LOST)
        return err_set(err, EPROTO, "a malformed end of attempt %llu",
                       (unsigned long long)e.number);
    *ret = e;
    return true;
}

void exec_put_end(struct buf *b, const struct exec_end *e)
{
    size_t at = frame_begin(b, EXEC_MSG_END);
    exec_put_end_body(b, e);
    frame_end(b, at);
}

void exec_put_frame(struct buf *b, enum exec_message type, const void *payload, size_t len)
{
    size_t at = frame_begin(b, type);
    buf_add(b, payload, len);
    frame_end(b, at);
}

void exec_put_number(struct buf *b, enum exec_message type, uint64_t number)
{
    size_t at = frame_begin(b, type);
    put_u64(b, number);
    frame_end(b, at);
}

void exec_put_stop(struct buf *b, uint64_t number, uint32_t grace_ms)
{
    size_t at = frame_begin(b, EXEC_MSG_STOP);
    put_u64(b, number);
    put_u32(b, grace_ms);
    frame_end(b, at);
}

void exec_put_resolve(struct buf *b, uint64_t number, bool same_boot)
{
    size_t at = frame_begin(b, EXEC_MSG_RESOLVE);
    put_u64(b, number);
    put_u8(b, same_boot);
    frame_end(b, at);
}

void exec_put_credit(struct buf *b, uint64_t number, uint64_t position)
{
    size_t at = frame_begin(b, EXEC_MSG_CREDIT);
    put_u64(b, number);
    put_u64(b, position);
    frame_end(b, at);
}

void exec_put_pause(struct buf *b, uint64_t number, bool paused)
{
    size_t at = frame_begin(b, EXEC_MSG_PAUSE);
    put_u64(b, number);
    put_u8(b, paused);
    frame_end(b, at);
}

void exec_put_started(struct buf *b, uint64_t number, int64_t pid, int64_t started_us)
{
    size_t at = frame_begin(b, EXEC_MSG_STARTED);
    put_u64(b, number);
    put_u64(b, (uint64_t)pid);
    put_u64(b, (uint64_t)started_us);
    frame_end(b, at);
}

void exec_put_state(struct buf *b, uint64_t number, enum exec_state state)
{
    size_t at = frame_begin(b, EXEC_MSG_STATE);
    put_u64(b, number);
    put_u8(b, (uint8_t)state);
    frame_end(b, at);
}

void exec_put_notice(struct buf *b, uint64_t number, const char *text)
{
    size_t at = frame_begin(b, EXEC_MSG_NOTICE);
    put_u64(b, number);
    put_zstring(b, text);
    frame_end(b, at);
}

void exec_put_hello(struct buf *b, uint64_t highest, const void *open, size_t n_open)
{
    size_t at = frame_begin(b, EXEC_MSG_HELLO);
    put_u32(b, EXEC_PROTOCOL_VERSION);
    put_u64(b, highest);
    put_varint(b, n_open);
    buf_add(b, open, n_open * sizeof(uint64_t));
    frame_end(b, at);
}

void exec_put_hello_back(struct buf *b, uint64_t highest, const char *boot_id)
{
    size_t at = frame_begin(b, EXEC_MSG_HELLO);
    put_u32(b, EXEC_PROTOCOL_VERSION);
    put_u64(b, highest);
    put_zstring(b, boot_id);
    frame_end(b, at);
}

static bool hello_version(struct reader *r, struct err *err)
{
    uint32_t version = get_u32(r);
    if (!r->failed && version != EXEC_PROTOCOL_VERSION)
        return err_set(err, EPROTO,
                       "corod and corod-exec speak different versions of their protocol "
                       "(%u here, %u there): restart both",
                       EXEC_PROTOCOL_VERSION, version);
    return true;
}

bool exec_get_hello(const void *payload, size_t len, struct exec_hello *ret, struct err *err)
{
    struct reader r = READER(payload, len);
    if (!hello_version(&r, err))
        return false;
    struct exec_hello h = {.highest = get_u64(&r)};
    uint64_t n = get_varint(&r);
    h.open = (const char *)r.p;
    if (r.failed || (size_t)(r.end - r.p) / 8 != n || (size_t)(r.end - r.p) % 8 != 0)
        return err_set(err, EPROTO, "a malformed hello");
    h.n_open = (size_t)n;
    *ret = h;
    return true;
}

bool exec_get_hello_back(const void *payload, size_t len, uint64_t *highest, const char **boot_id,
                         struct err *err)
{
    struct reader r = READER(payload, len);
    if (!hello_version(&r, err))
        return false;
    uint64_t h = get_u64(&r);
    const char *id = get_zstring(&r);
    if (!reader_done(&r))
        return err_set(err, EPROTO, "a malformed hello");
    *highest = h;
    *boot_id = id;
    return true;
}

bool exec_get_notice(const void *payload, size_t len, uint64_t *number, const char **text)
{
    struct reader r = READER(payload, len);
    uint64_t n = get_u64(&r);
    const char *t = get_zstring(&r);
    if (!reader_done(&r))
        return false;
    *number = n;
    *text = t;
    return true;
}

ssize_t exec_frame_parse(const void *data, size_t len, struct exec_frame *ret, struct err *err)
{
    if (len < 4)
        return 0;
    struct reader r = READER(data, len);
    uint32_t n = get_u32(&r);
    if (n < 1 || n > EXEC_FRAME_MAX_BYTES) {
        err_set(err, EPROTO, "a message of %u bytes: the limit is %u", n, EXEC_FRAME_MAX_BYTES);
        return -1;
    }
    if (len - 4 < n)
        return 0;
    ret->type = (enum exec_message)get_u8(&r);
    ret->payload = (const char *)r.p;
    ret->len = n - 1;
    return (ssize_t)(n + 4);
}

uint64_t exec_peek_number(const void *payload, size_t len)
{
    struct reader r = READER(payload, len);
    return get_u64(&r);
}

uint32_t exec_peek_uid(const void *payload, size_t len)
{
    struct reader r = READER(payload, len);
    get_u64(&r);
    uint32_t uid = get_u32(&r);
    return r.failed ? UINT32_MAX : uid;
}
