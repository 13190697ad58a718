#ifndef COROD_LANG_PARSER_H
#define COROD_LANG_PARSER_H
/* Inside the parser: a program under construction. What field types use is in program.h. */
#include "daemon/lang/atoms.h"
#include "daemon/lang/program.h"
#include "proto/buf.h"
#include "proto/nearest.h"

enum {
    MISTAKES_MAX = 100,
    NODE_MAX_DEPTH = 100, /* nodes inside each other */
    PARAMS_MAX = 255,
    GUESS_MAX_KEYS = 16, /* objects with more are not searched for a misspelt key that decides */
    POINTER_MAX = 1000,  /* longer places are cut: documents may have keys of a megabyte */
};

/* A node and the rows that say what to release in it. */
struct node_entry {
    struct node *node;
    const struct field *fields; /* NULL: a block */
};
struct node_label {
    uint32_t id;
    struct expr *name;
};

struct program {
    unsigned refs; /* atomic */
    struct document document;
    struct node *main;
    struct atoms atoms;
    struct function *functions; /* sorted by name */
    size_t n_functions;
    struct node_entry *nodes; /* sorted by id once parsed */
    size_t n_nodes, nodes_cap;
    struct node_label *labels; /* likewise */
    size_t n_labels, labels_cap;
    struct value **inputs; /* by atom - 1, borrowed from document.input; NULL beyond the end */
    size_t n_inputs;
};

/* What is known about a name while one scope (main or a function) is read. By atom - 1. */
struct name_info {
    bool bound_here, bound_anywhere, is_input;
    char *used_at; /* pointer of its first use in this scope */
};
/* A `${name}` in a script, or a name that its scope does not bind. */
struct pending {
    char *name, *pointer;
    const char *function; /* NULL: main */
};
struct pendings {
    struct pending *all;
    size_t n, cap;
};

struct parser {
    const struct program_kinds *kinds;
    struct program *program;
    struct mistakes *errors, *warnings;
    size_t complaints;
    struct buf pointer;
    size_t *marks; /* lengths of the pointer to go back to */
    size_t n_marks, marks_cap;
    struct ordinal *ordinals; /* of the JSON values, a hash table by address */
    size_t ordinals_size;
    unsigned depth;       /* of nodes */
    const json_t *object; /* the node that is being read */
    const struct verb *verb;
    bool no_return, no_break; /* in a handler of `except*` */
    unsigned data_depth;      /* inside map, filter, …: `var` reads the item, not variables */
    const char *function;     /* the scope; NULL: main */
    struct name_info *names;
    size_t n_names;
    struct pendings scripts, unbound;
};

/* after.c: of a struct after_list */
extern const struct field_type after_type;

/* ordinals.c */
void parser_number(struct parser *p, const json_t *root);
uint32_t parser_ordinal(const struct parser *p, const json_t *json);

/* mistakes.c */
void mistakes_add(struct mistakes *m, const char *pointer, const char *hint, const char *message);
/* parser_complain() about the member, with the hint's text freed. */
void parser_complain_key(struct parser *p, const char *key, char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* For a hint about the word: does not look for one when no more mistakes are kept. */
struct hint parser_hint(const struct parser *p, const char *word);
/* A copy of the pointer, cut when it is very long. */
char *parser_where(struct parser *p);

/* scope.c: which names are bound where */
void scope_begin(struct parser *p, const char *function);
void scope_end(struct parser *p);
void scope_finish(struct parser *p); /* after the last one: the warnings */
void scope_bind(struct parser *p, uint32_t atom);
void scope_use(struct parser *p, uint32_t atom);
void scope_input(struct parser *p, uint32_t atom);
void scope_script(struct parser *p, const char *name, size_t len);
void scope_release(struct parser *p);

/* parser.c */
bool is_name(const char *s, size_t len);
const char *json_what(const json_t *json); /* "a string": for messages */
/* Complains that `what` is needed here. */
void parser_wrong(struct parser *p, const char *what, const json_t *json);
/* The rows alone: keys without a row are somebody else's. */
void parser_rows(struct parser *p, const char *what, const struct field *fields, const json_t *json,
                 void *out);
uint32_t parser_name(struct parser *p, const json_t *json); /* parser_binding() without binding */

/* node.c */
/* A registered node of at least `size` bytes, with the id of the JSON value and `bits`. */
void *node_new(struct parser *p, const struct verb *verb, const struct field *fields, size_t size,
               const json_t *json, unsigned bits);
const struct verb *find_verb(const struct program_kinds *kinds, const char *name);
void hint_verbs(struct hint *h, const struct program_kinds *kinds);

/* field.c */
void check_env_name(struct parser *p, const char *name);

/* document.c */
void document_parse(struct parser *p, const json_t *json);
void document_release(struct document *d);

/* summary.c */
/* Of a document that is not checked: NULL when nothing in it is a verb. */
char *document_summary(const struct parser *p, const json_t *json);

/* function.c */
void functions_parse(struct parser *p, const json_t *json);
void functions_release(struct program *p);
/* A call's arguments against the function's parameters. */
void call_check(struct parser *p, struct call_node *call);

#endif
