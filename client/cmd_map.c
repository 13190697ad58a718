#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/command.h"
#include "client/get.h"
#include "client/items.h"
#include "client/map_doc.h"
#include "client/map_log.h"
#include "client/map_words.h"
#include "client/words.h"
#include "proto/mem.h"

struct map {
    struct cli *cli;
    const struct options *options;
    struct map_words words;
    size_t *chosen; /* the items of the job, by their numbers among all */
    size_t n;
    FILE *log;
    FILE *results[2]; /* of the item that is shown */
    bool failed;      /* results or the log could not be written */
};

/* Told once. */
static void on_file_failed(struct map *m, const char *text)
{
    if (!m->failed)
        cli_problem(m->cli, "%s", text);
    m->failed = true;
}

static char *name(void *arg, size_t item)
{
    const struct map *m = arg;
    return map_words_name(&m->words, m->chosen[item]);
}

static void close_result(struct map *m, FILE **file)
{
    if (*file == NULL)
        return;
    bool good = ferror(*file) == 0;
    if (fclose(*file) != 0 || !good)
        on_file_failed(m, "--results: not all could be written");
    *file = NULL;
}

static void close_results(struct map *m)
{
    close_result(m, &m->results[0]);
    close_result(m, &m->results[1]);
}

static void on_output(void *arg, size_t item, int fd, const char *data, size_t len)
{
    struct map *m = arg;
    FILE **file = &m->results[fd - STDOUT_FILENO];
    struct err err = {0};

    if (data == NULL) { /* also of a stream that stays empty there is a file */
        close_result(m, file);
        *file = map_results_open(m->options->results, &m->words, m->chosen[item], fd, &err);
        if (*file == NULL) {
            err_prefix(&err, "--results");
            on_file_failed(m, err.text);
        }
        return;
    }
    if (*file != NULL)
        fwrite(data, 1, len, *file);
}

static void on_end(void *arg, size_t item, const char *state, const json_t *attempt)
{
    struct map *m = arg;
    (void)state;
    close_results(m);
    if (m->log != NULL && !map_log_add(m->log, &m->words, m->chosen[item], attempt))
        on_file_failed(m, "--joblog: not all could be written");
}

/* All items, without those that a log says went well. */
static bool choose(struct map *m, struct err *err)
{
    const struct options *o = m->options;
    cleanup_free bool *done = xcalloc(m->words.n + 1, sizeof(*done));

    if (o->resume && o->joblog == NULL)
        return err_set(err, EINVAL,
                       "--resume needs --joblog FILE: what went well by it is not run again "
                       "(`coro retry --failed ID` does the same for a job)");
    if (o->resume && !map_log_read(o->joblog, &m->words, done, err))
        return false;
    m->chosen = xcalloc(m->words.n + 1, sizeof(*m->chosen));
    for (size_t i = 0; i < m->words.n; i++) {
        if (!done[i])
            m->chosen[m->n++] = i;
    }
    if (m->n < m->words.n)
        cli_note(m->cli, "%zu of %zu went well before and are not run again", m->words.n - m->n,
                 m->words.n);
    return true;
}

static int dry_run(struct map *m)
{
    for (size_t i = 0; i < m->n; i++) {
        cleanup_free char *line = map_log_command(&m->words, m->chosen[i]);
        fprintf(m->cli->out.file, "%s\n", line);
    }
    return EXIT_OK;
}

/* The slots of the pool where the commands run; 0: it is not known. */
static int64_t pool_slots(struct map *m)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    int64_t slots = 0;
    size_t i;
    const json_t *pool;
    const char *wanted = m->options->job.pool != NULL ? m->options->job.pool : "default";

    if (!conn_open(&conn, m->cli, &err))
        return 0;
    json_t *r = conn_call(&conn, "pool.list", NULL, &err);
    json_array_foreach (json_object_get(r, "pools"), i, pool) {
        if (strcmp(get_text(pool, "name"), wanted) == 0)
            slots = get_int(pool, "slots");
    }
    json_decref(r);
    conn_close(&conn);
    return slots;
}

/* As many at once as the person wants and the pool allows. */
static void fit_pool(struct map *m, struct map_plan *plan)
{
    bool needed = plan->halts || plan->delay_s > 0;

    if (plan->jobs == 0 && !needed)
        return;
    int64_t slots = pool_slots(m);
    if (slots > 0 && plan->jobs > slots && (int64_t)m->n > slots)
        cli_note(m->cli, "the pool runs %lld at once (`coro pool set %s %lld` changes that)",
                 (long long)slots, m->options->job.pool != NULL ? m->options->job.pool : "default",
                 (long long)plan->jobs);
    if (plan->jobs == 0) /* what is not started yet can only be held back if few wait for slots */
        plan->jobs = slots > 0 ? slots : 1;
}

static int run_items(struct map *m)
{
    const struct options *o = m->options;
    struct map_plan plan;
    struct err err = {0};
    uint32_t first;

    if (!map_plan_read(&plan, o, m->n, &err))
        return cli_usage(m->cli, "%s", err.text);
    fit_pool(m, &plan);
    json_t *commands = json_array();
    for (size_t i = 0; i < m->n; i++)
        json_array_append_new(commands, map_words_item(&m->words, m->chosen[i]));
    cleanup_free char *line = words_line(m->words.command, m->words.n_command, 120);
    json_t *doc = map_document(&plan, &o->job, commands, line, &first, &err);
    if (doc == NULL)
        return cli_usage(m->cli, "%s", err.text);
    if (o->joblog != NULL) {
        m->log = map_log_open(o->joblog, o->resume, &err);
        if (m->log == NULL) {
            json_decref(doc);
            return cli_fail(m->cli, &err);
        }
    }
    struct items items = {.cli = m->cli,
                          .n = m->n,
                          .first_task = first,
                          .name = name,
                          .arg = m,
                          .keep_order = o->keep_order,
                          .progress = o->bar,
                          .group = plan.at_once,
                          .options = &o->job,
                          .on_output = o->results != NULL ? on_output : NULL,
                          .on_end = m->log != NULL || o->results != NULL ? on_end : NULL};
    int status = items_run(&items, doc);
    close_results(m);
    if (m->log != NULL && fclose(m->log) != 0)
        on_file_failed(m, "--joblog: not all could be written");
    return status == EXIT_OK && m->failed ? EXIT_COROD : status;
}

/* Without ::: the values come from stdin: someone may not expect that. */
static bool reads_terminal(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], ":::") == 0 || strcmp(argv[i], "::::") == 0)
            return false;
    }
    return argc > 0 && isatty(STDIN_FILENO) == 1;
}

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct map m = {.cli = c, .options = o};
    struct err err = {0};
    int status;

    if (reads_terminal(argc, argv))
        cli_note(c, "the values are the lines that you type now; Ctrl-D ends them");
    if (!map_words_read(&m.words, argc, argv, o->null_args, &err) || !choose(&m, &err)) {
        status = cli_usage(c, "%s", err.text);
    } else if (m.n == 0) {
        cli_note(c, m.words.n == 0 ? "no values: nothing to do" : "nothing is left to do");
        status = EXIT_OK;
    } else {
        status = o->dry_run ? dry_run(&m) : run_items(&m);
    }
    free(m.chosen);
    map_words_release(&m.words);
    return status;
}

static const struct option map_options[] = {
    OPTION_TEXT(
        "jobs", 'j', jobs_at_once, "N",
        "at most N at once; N% of the processors, +N: so many more (else the pool's slots)"),
    OPTION_FLAG("keep-order", 'k', keep_order, "output in the order of the values"),
    OPTION_FLAG("null", '0', null_args,
                "values on stdin and in files end with a zero byte, not with a line"),
    OPTION_FLAG("dry-run", 0, dry_run, "print the commands, run nothing"),
    OPTION_TEXT("delay", 0, between, "DURATION", "so long between two starts"),
    OPTION_TEXT("halt", 0, halt, "WHEN",
                "soon,fail=N: start no more then; now,fail=N: end all; success=N; N%; never"),
    OPTION_TEXT("retries", 0, job.retry, "N", "the same as --retry"),
    OPTION_TEXT("joblog", 0, joblog, "FILE", "a line for each item that has ended"),
    OPTION_FLAG("resume", 0, resume, "without the commands that went well by that file"),
    OPTION_TEXT("results", 0, results, "DIRECTORY", "also keep each item's output in files"),
    OPTION_FLAG("bar", 0, bar, "say how far it is also where stderr is no terminal"),
    OPTION_FLAG("eta", 0, bar, "the same"),
    OPTIONS_ITEMS,
    OPTIONS_END,
};
const struct command command_map = {
    .name = "map",
    .args = "[OPTION…] COMMAND [WORD…] [::: VALUE… | :::: FILE…]…",
    .summary = "one job that runs a command for each of many values",
    .takes_command = true,
    .options = map_options,
    .help =
        "In the command {} is the value, {.} without its extension, {/} its last part, {//} its\n"
        "directory, {/.} the last part without extension, {#} the item's number. Without any of\n"
        "them the value is the last word. :::: takes the lines of files. With neither ::: nor\n"
        ":::: the values are the lines of stdin. With several of them each value goes with each;\n"
        "{1} {2} … are those of one list. A COMMAND of one word with blanks in it is a line for\n"
        "the shell, and values are quoted in it.\n"
        "Each item's output comes in one piece when it has ended. The exit status is the\n"
        "highest of all items.",
    .examples = "coro map -j 4 gzip -9 {} ::: *.log\n"
                "coro map 'convert {} {.}.png && rm {}' ::: *.tif\n"
                "find . -name '*.flac' -print0 | coro map -0 flac -d -o {.}.wav {}\n"
                "coro map --joblog log --resume ./fetch {1} {2} :::: hosts ::: a b\n",
    .run = run,
};
