/* A job document: parsed and checked; a valid one is simulated for a while. */
#include <string.h>

#include "daemon/task/runtime.h"
#include "daemon/task/simulate.h"
#include "tests/fuzz/fuzz.h"

enum { STEPS = 3000 };

static void check_mistakes(const struct mistakes *m)
{
    must(m->n <= 100);
    for (size_t i = 0; i < m->n; i++) {
        must(m->all[i].pointer && m->all[i].message && m->all[i].message[0]);
        must(m->all[i].pointer[0] == '\0' || m->all[i].pointer[0] == '/');
    }
}

static void simulate(struct program *p)
{
    struct simulation *s = simulation_new(p, true);
    /* Turns of two sizes: a tick may be left half-done. */
    for (unsigned steps = 0; steps < STEPS; steps += 300)
        if (!simulation_run(s, steps % 600 ? 1 : 300))
            break;
    struct buf text = {0};
    struct json_out out = {.out = &text};
    struct err err = {0};
    simulation_write(s, &out);
    cleanup_value struct value *shown = value_parse(text.data, text.len, 2000, &err);
    /* It is JSON, if perhaps more than one value may be. */
    must(shown || text.len > 100000 || strstr(err.text, "deep"));
    buf_release(&text);
    simulation_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mistakes errors = {0}, warnings = {0};
    struct program *p =
        program_parse((const char *)data, size, 200, runtime_kinds(), &errors, &warnings);
    must((p == NULL) == (errors.n > 0));
    check_mistakes(&errors);
    check_mistakes(&warnings);
    mistakes_release(&errors);
    mistakes_release(&warnings);
    if (p)
        simulate(p);
    program_unref(p);
    return 0;
}
