#include "client/command.h"
#include "client/conn.h"
#include "client/get.h"
#include "client/screen.h"
#include "client/text.h"
#include "client/view.h"
#include "proto/mem.h"

static int ls(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    (void)o, (void)argc, (void)argv;

    if (!conn_open(&conn, c, &err))
        return cli_fail(c, &err);
    json_t *result = conn_call(&conn, "pool.list", NULL, &err);
    int status = result != NULL ? EXIT_OK : cli_fail(c, &err);
    if (result != NULL && c->json)
        view_json(c, json_object_get(result, "pools"));
    else if (result != NULL)
        view_pools(c, json_object_get(result, "pools"), true);
    json_decref(result);
    conn_close(&conn);
    return status;
}

static int set(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    int64_t slots;
    (void)o;

    if (argc != 2)
        return cli_usage(c, "coro pool set NAME SLOTS");
    if (!text_whole(argv[1], 1, 100000, &slots, &err))
        return cli_usage(c, "SLOTS: %s", err.text);
    if (!conn_open(&conn, c, &err))
        return cli_fail(c, &err);
    json_t *result =
        conn_call(&conn, "pool.set",
                  json_pack("{s:s, s:I}", "name", argv[0], "slots", (json_int_t)slots), &err);
    int status = result != NULL ? EXIT_OK : cli_fail(c, &err);
    if (result != NULL && c->json)
        view_json(c, result);
    json_decref(result);
    conn_close(&conn);
    return status;
}

static int pause_or_resume(struct cli *c, int argc, char **argv, const char *method)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};

    if (argc != 1)
        return cli_usage(c, "which pool?");
    if (!conn_open(&conn, c, &err))
        return cli_fail(c, &err);
    json_t *result = conn_call(&conn, method, json_pack("{s:s}", "name", argv[0]), &err);
    int status = result != NULL ? EXIT_OK : cli_fail(c, &err);
    if (result != NULL && c->json)
        view_json(c, result);
    json_decref(result);
    conn_close(&conn);
    return status;
}

static int pause_pool(struct cli *c, const struct options *o, int argc, char **argv)
{
    (void)o;
    return pause_or_resume(c, argc, argv, "pool.pause");
}

static int resume_pool(struct cli *c, const struct options *o, int argc, char **argv)
{
    (void)o;
    return pause_or_resume(c, argc, argv, "pool.resume");
}

static const struct option none[] = {OPTIONS_END};
const struct command command_pool_ls = {
    .name = "pool ls",
    .args = "",
    .summary = "the pools: how many commands run at once, and how many wait",
    .options = none,
    .run = ls,
};
const struct command command_pool_set = {
    .name = "pool set",
    .args = "NAME SLOTS",
    .summary = "create a pool or change its slots",
    .options = none,
    .examples = "coro pool set default 8\n",
    .run = set,
};
const struct command command_pool_pause = {
    .name = "pool pause",
    .args = "NAME",
    .summary = "start nothing more from a pool; what runs goes on",
    .options = none,
    .examples = "coro pool pause default\n",
    .run = pause_pool,
};
const struct command command_pool_resume = {
    .name = "pool resume",
    .args = "NAME",
    .summary = "start from a pool again",
    .options = none,
    .run = resume_pool,
};
