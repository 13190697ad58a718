#ifndef CORO_MAP_WORDS_H
#define CORO_MAP_WORDS_H
/* The command line of `coro map`: a command with placeholders, and the values for them. */
#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "proto/buf.h"
#include "proto/err.h"

struct map_words {
    char *const *command; /* borrowed */
    size_t n_command;
    struct map_source {
        char **values;
        size_t n;
        struct buf text; /* of values from a file */
    } * sources;
    size_t n_sources;
    size_t n;     /* how many items: each value of a source with each of the others */
    bool appends; /* no placeholder: the values are the command's last words */
    bool script;  /* the command is one word with blanks in it: a line for the shell */
};

/* argv: COMMAND… [::: VALUE… | :::: FILE…]…; with neither the values are the lines of stdin. null:
 * the values of files end with a zero byte. False: *err. */
bool map_words_read(struct map_words *m, int argc, char **argv, bool null, struct err *err);
void map_words_release(struct map_words *m);

/* The command of item i (from 0): a list of words for a place where no ${…} is substituted. */
json_t *map_words_item(const struct map_words *m, size_t i);
/* The value that item i has of a source: the last source's change fastest. */
const char *map_words_value(const struct map_words *m, size_t source, size_t i);
/* What item i is called: its values. The caller's to free(). */
char *map_words_name(const struct map_words *m, size_t i);

#endif
