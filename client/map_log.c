#include "client/map_log.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/get.h"
#include "client/text.h"
#include "client/words.h"
#include "proto/mem.h"

#define HEADING        "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"
#define COMMAND        8   /* the number of its column */
#define NAME_BYTES     200 /* of a directory; file systems take 255 */
#define DIRECTORY_MODE 0777

/* A word as a shell that knows $'…' needs it, in one line. */
static void put_word(struct buf *out, const char *word)
{
    bool plain = true;
    for (const char *p = word; *p != '\0'; p++)
        plain = plain && (unsigned char)*p >= 0x20 && *p != 0x7f;
    if (plain) {
        text_put_quoted(out, word);
        return;
    }
    buf_addstr(out, "$'");
    for (const char *p = word; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7f)
            buf_printf(out, "\\%03o", c);
        else if (c == '\'' || c == '\\')
            buf_printf(out, "\\%c", c);
        else
            buf_addch(out, *p);
    }
    buf_addch(out, '\'');
}

char *map_log_command(const struct map_words *m, size_t item)
{
    json_t *words = map_words_item(m, item);
    struct buf line = {0};
    size_t i;
    const json_t *word;

    json_array_foreach (words, i, word) {
        struct buf bytes = {0};
        const json_t *base64 = json_object_get(word, "base64");
        const json_t *text = base64 != NULL ? base64 : word;
        word_decode(json_string_value(text), json_string_length(text),
                    base64 != NULL ? "base64" : NULL, &bytes);
        if (i > 0)
            buf_addch(&line, ' ');
        put_word(&line, buf_cstr(&bytes));
        buf_release(&bytes);
    }
    json_decref(words);
    return buf_steal(&line);
}

/* The commands of lines that say 0 and no signal, as keys. */
static bool read_good(FILE *in, json_t *ret)
{
    cleanup_free char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    while ((n = getline(&line, &cap, in)) > 0) {
        char *fields[COMMAND + 1] = {line};
        size_t have = 1;
        if (line[n - 1] != '\n')
            break; /* it was not written to its end */
        line[n - 1] = '\0';
        for (char *p = line; have <= COMMAND && (p = strchr(p, '\t')) != NULL; have++) {
            *p++ = '\0';
            fields[have] = p;
        }
        if (have == COMMAND + 1 && strcmp(fields[6], "0") == 0 && strcmp(fields[7], "0") == 0)
            json_object_setn_new_nocheck(ret, fields[COMMAND], strlen(fields[COMMAND]),
                                         json_true());
    }
    return ferror(in) == 0;
}

bool map_log_read(const char *path, const struct map_words *m, bool *ret_done, struct err *err)
{
    FILE *in = fopen(path, "re");
    json_t *good = json_object();

    if (in == NULL && errno != ENOENT)
        return err_errno(err, "%s", path);
    bool ok = in == NULL || read_good(in, good);
    if (in != NULL)
        fclose(in);
    for (size_t i = 0; ok && i < m->n; i++) {
        cleanup_free char *command = map_log_command(m, i);
        ret_done[i] = json_object_get(good, command) != NULL;
    }
    json_decref(good);
    return ok || err_set(err, EIO, "%s cannot be read", path);
}

FILE *map_log_open(const char *path, bool append, struct err *err)
{
    FILE *log = fopen(path, append ? "ae" : "we");
    struct stat st;

    if (log == NULL) {
        err_errno(err, "%s", path);
        return NULL;
    }
    if (fstat(fileno(log), &st) == 0 && st.st_size == 0)
        fputs(HEADING, log);
    fflush(log);
    return log;
}

bool map_log_add(FILE *log, const struct map_words *m, size_t item, const json_t *attempt)
{
    double started = 0;
    char host[256] = "";
    cleanup_free char *command = map_log_command(m, item);
    /* What never ran has not gone well. */
    json_int_t exit = attempt == NULL || json_is_true(json_object_get(attempt, "lost"))
                          ? 125
                          : get_int(attempt, "exit");

    gethostname(host, sizeof(host) - 1);
    get_time(attempt, "started", &started);
    fprintf(log, "%zu\t%s\t%.3f\t%.3f\t0\t0\t%lld\t%lld\t%s\n", item + 1, host, started,
            get_real(attempt, "duration"), (long long)exit, (long long)get_int(attempt, "signal"),
            command);
    return fflush(log) == 0 && ferror(log) == 0;
}

/* A value as the name of a directory: "/" and "\" are escaped, what is too long is cut and
 * numbered. */
static void put_name(struct buf *out, const char *value, size_t item)
{
    size_t before = out->len;

    if (*value == '\0' || strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
        buf_addch(out, '\\');
    for (; *value != '\0'; value++) {
        if (out->len - before > NAME_BYTES) {
            buf_printf(out, "\\%zu", item + 1);
            return;
        }
        if (*value == '/')
            buf_addstr(out, "\\_");
        else if (*value == '\\')
            buf_addstr(out, "\\\\");
        else
            buf_addch(out, *value);
    }
}

static bool make_directory(const char *path, struct err *err)
{
    if (mkdir(path, DIRECTORY_MODE) == 0 || errno == EEXIST)
        return true;
    return err_errno(err, "%s", path);
}

FILE *map_results_open(const char *directory, const struct map_words *m, size_t item, int stream,
                       struct err *err)
{
    struct buf path = {0};
    FILE *file = NULL;

    buf_addstr(&path, directory);
    bool ok = make_directory(buf_cstr(&path), err);
    for (size_t k = 0; ok && k < m->n_sources; k++) {
        buf_printf(&path, "/%zu", k + 1);
        ok = make_directory(buf_cstr(&path), err);
        buf_addch(&path, '/');
        put_name(&path, map_words_value(m, k, item), item);
        ok = ok && make_directory(buf_cstr(&path), err);
    }
    buf_addstr(&path, stream == STDOUT_FILENO ? "/stdout" : "/stderr");
    if (ok) {
        file = fopen(buf_cstr(&path), "we");
        if (file == NULL)
            err_errno(err, "%s", buf_cstr(&path));
    }
    buf_release(&path);
    return file;
}
