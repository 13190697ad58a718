#include "client/steer.h"

#include <string.h>

#include "client/conn.h"
#include "client/view.h"

#define IDS_AT_ONCE 1000 /* the limit of the methods */

/* False with *err; what was answered before stays in jobs. */
static bool call(struct conn *conn, const json_t *ids, const char *method, const json_t *more,
                 json_t *jobs, struct err *err)
{
    for (size_t at = 0; at < json_array_size(ids); at += IDS_AT_ONCE) {
        json_t *part = json_array();
        for (size_t i = at; i < json_array_size(ids) && i < at + IDS_AT_ONCE; i++)
            json_array_append(part, json_array_get(ids, i));
        json_t *params = more != NULL ? json_copy((json_t *)(uintptr_t)more) : json_object();
        json_object_set_new(params, "ids", part);
        json_t *result = conn_call(conn, method, params, err);
        if (result == NULL)
            return false;
        json_array_extend(jobs, json_object_get(result, "jobs"));
        json_decref(result);
    }
    return true;
}

static int steer(struct conn *conn, const struct options *o, const json_t *ids, const char *method,
                 const json_t *more, json_t *jobs)
{
    struct cli *c = conn->cli;
    struct err err = {0};

    if (json_array_size(ids) == 0) {
        cli_note(c, "nothing to %s", strchr(method, '.') + 1);
        return EXIT_OK;
    }
    if (o->dry_run) {
        view_json(c, ids);
        return EXIT_OK;
    }
    return call(conn, ids, method, more, jobs, &err) ? EXIT_OK : cli_fail(c, &err);
}

int steer_jobs(struct cli *c, const struct options *o, int argc, char **argv, enum ids_all all,
               const char *method, json_t *more, json_t **ret_jobs)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    json_t *ids = NULL, *jobs = json_array();
    int status;

    if (argc == 0)
        status = cli_usage(c, "which jobs? An id, 1,3,5-8, last, all or a name");
    else if (!conn_open(&conn, c, &err) ||
             (ids = ids_resolve(&conn, argv, (size_t)argc, all, &err)) == NULL)
        status = cli_fail(c, &err);
    else
        status = steer(&conn, o, ids, method, more, jobs);
    if (ret_jobs != NULL)
        *ret_jobs = json_incref(jobs);
    else if (c->json && ids != NULL && !o->dry_run)
        view_json(c, jobs);
    json_decref(jobs);
    json_decref(ids);
    json_decref(more);
    conn_close(&conn);
    return status;
}
