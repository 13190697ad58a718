/* system.*, pool.* */
#include <unistd.h>

#include "config.h"
#include "daemon/rpc/methods.h"
#include "proto/errors.h"
#include "proto/log.h"
#include "proto/mem.h"

void method_system_ping(struct request *r, const struct system_ping_params *p)
{
    struct buf b = {0};
    struct json_out o = {.out = &b};
    (void)p;
    jout_begin_object(&o);
    jout_key(&o, "time");
    jout_time(&o, clock_real_us());
    jout_end_object(&o);
    request_result(r, &b);
}

void method_system_version(struct request *r, const struct system_version_params *p)
{
    static const char *const features[] = {"batch", "content-length", "events",  "logs",
                                           "pools", "queues",         "discover"};
    struct buf b = {0};
    struct json_out o = {.out = &b};
    (void)p;
    jout_begin_object(&o);
    jout_key(&o, "version");
    jout_text(&o, PACKAGE_VERSION);
    jout_key(&o, "api");
    jout_text(&o, COROD_API_VERSION);
    jout_key(&o, "features");
    jout_begin_array(&o);
    for (size_t i = 0; i < ARRAY_LEN(features); i++)
        jout_text(&o, features[i]);
    jout_end_array(&o);
    jout_end_object(&o);
    request_result(r, &b);
}

static void member_uint(struct json_out *o, const char *key, uint64_t v)
{
    jout_key(o, key);
    jout_uint(o, v);
}

static void member_text(struct json_out *o, const char *key, const char *v)
{
    jout_key(o, key);
    jout_text(o, v);
}

static void write_store_stats(const struct store_stats *s, struct json_out *o)
{
    jout_key(o, "store");
    jout_begin_object(o);
    member_uint(o, "commits", s->commits);
    member_uint(o, "statements", s->statements);
    jout_key(o, "last_commit");
    jout_seconds(o, s->last_commit_us);
    jout_key(o, "max_commit");
    jout_seconds(o, s->max_commit_us);
    member_uint(o, "db_bytes", (uint64_t)s->db_bytes);
    member_uint(o, "wal_bytes", (uint64_t)s->wal_bytes);
    jout_end_object(o);
}

static void member_known(struct json_out *o, const char *key, int64_t v)
{
    jout_key(o, key);
    if (v < 0)
        jout_null(o);
    else
        jout_int(o, v);
}

static void write_retain_stats(const struct retain_stats *s, struct json_out *o)
{
    jout_key(o, "kept");
    jout_begin_object(o);
    member_known(o, "jobs", s->kept_jobs);
    member_known(o, "log_bytes", s->log_bytes);
    member_known(o, "free_bytes", s->free_bytes);
    member_uint(o, "removed", s->removed_jobs);
    jout_key(o, "last_sweep");
    jout_time(o, s->last_sweep_us);
    jout_end_object(o);
}

void method_system_stats(struct request *r, const struct system_stats_params *p)
{
    const struct server *server = r->server;
    struct engine_stats s;
    struct buf b = {0};
    struct json_out o = {.out = &b};
    (void)p;
    engine_get_stats(server->engine, &s);
    jout_begin_object(&o);
    member_uint(&o, "pid", (uint64_t)getpid());
    member_text(&o, "version", PACKAGE_VERSION);
    member_text(&o, "socket", server->options.config->socket);
    member_text(&o, "state_dir", server->options.config->state_dir);
    jout_key(&o, "started");
    jout_time(&o, s.started_us);
    jout_key(&o, "uptime");
    jout_seconds(&o, clock_real_us() - s.started_us);
    member_uint(&o, "live_jobs", s.live_jobs);
    member_uint(&o, "live_tasks", s.live_tasks);
    member_uint(&o, "running_commands", s.running_commands);
    member_text(&o, "executor", s.executor_up ? "up" : "down");
    member_text(&o, "storage", s.storage_ok ? "ok" : "failing");
    jout_key(&o, "draining");
    jout_bool(&o, s.draining);
    member_text(&o, "trouble", s.trouble[0] ? s.trouble : NULL);
    member_uint(&o, "connections", server->n_sessions);
    member_uint(&o, "subscriptions", server->n_subscriptions);
    member_uint(&o, "requests", server->n_requests);
    write_store_stats(&s.store, &o);
    write_retain_stats(&s.retain, &o);
    jout_end_object(&o);
    /* Not after a commit: while the disk refuses this is how to learn why. What it shows are
     * counts of now, nothing that a client could build on. */
    request_result(r, &b);
}

void method_system_reload(struct request *r, const struct system_reload_params *p)
{
    const struct server_options *options = &r->server->options;
    struct buf b = {0};
    struct err err;
    (void)p;
    buf_addstr(&b, "{\"changed\":");
    if (!options->on_reload(options->arg, &b, &err)) {
        err.code = ERR_STATE; /* the file has mistakes: nothing was changed */
        request_fail(r, &err);
        buf_release(&b);
        return;
    }
    buf_addch(&b, '}');
    request_result(r, &b);
}

void method_system_drain(struct request *r, const struct system_drain_params *p)
{
    (void)p;
    log_notice("draining, asked by user %lu: no new jobs", (unsigned long)r->peer.uid);
    engine_drain(r->server->engine);
    buf_addstr(&r->result, "{\"draining\":true}");
    request_result_after_commit(r);
}

void method_system_shutdown(struct request *r, const struct system_shutdown_params *p)
{
    const struct server_options *options = &r->server->options;
    (void)p;
    log_notice("stopping, asked by user %lu", (unsigned long)r->peer.uid);
    buf_addstr(&r->result, "{}");
    request_result_after_commit(r);
    options->on_shutdown(options->arg);
}

static void write_pool(void *arg, const struct pool_view *v)
{
    struct json_out *o = arg;
    jout_begin_object(o);
    member_text(o, "name", v->name);
    member_uint(o, "slots", v->slots);
    member_uint(o, "taken", v->taken);
    member_uint(o, "waiting", v->waiting);
    jout_key(o, "paused");
    jout_bool(o, v->paused);
    jout_end_object(o);
}

void method_pool_list(struct request *r, const struct pool_list_params *p)
{
    struct json_out o = {.out = &r->result};
    (void)p;
    jout_begin_object(&o);
    jout_key(&o, "pools");
    jout_begin_array(&o);
    engine_each_pool(r->server->engine, write_pool, &o);
    jout_end_array(&o);
    jout_end_object(&o);
    request_result_after_commit(r);
}

void method_pool_set(struct request *r, const struct pool_set_params *p)
{
    struct err err;
    struct json_out o = {.out = &r->result};
    if (!engine_pool_set(r->server->engine, p->name, (uint32_t)p->slots, &err)) {
        struct json_mistakes m = {0};
        json_mistakes_add(&m, "/name", NULL, "%s", err.text);
        request_mistakes(r, &m);
        return;
    }
    jout_begin_object(&o);
    member_text(&o, "name", p->name);
    member_uint(&o, "slots", (uint64_t)p->slots);
    jout_end_object(&o);
    request_result_after_commit(r);
}

static void pause_pool(struct request *r, const char *name, bool paused)
{
    struct err err;
    struct json_out o = {.out = &r->result};
    if (!engine_pool_pause(r->server->engine, name, paused, &err)) {
        err.code = ERR_NOT_FOUND;
        request_fail(r, &err);
        return;
    }
    jout_begin_object(&o);
    member_text(&o, "name", name);
    jout_key(&o, "paused");
    jout_bool(&o, paused);
    jout_end_object(&o);
    request_result_after_commit(r);
}

void method_pool_pause(struct request *r, const struct pool_pause_params *p)
{
    pause_pool(r, p->name, true);
}

void method_pool_resume(struct request *r, const struct pool_resume_params *p)
{
    pause_pool(r, p->name, false);
}
