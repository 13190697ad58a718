#ifndef COROD_LANG_PROGRAM_H
#define COROD_LANG_PROGRAM_H
/*
 * A job document, parsed and checked: a tree of nodes. It never changes and is shared by the jobs
 * that were submitted with the same text. The verbs are the caller's table (the runtime's node
 * kinds): this layer knows how fields are read, not what verbs do.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "daemon/lang/expr.h"
#include "daemon/lang/value.h"

struct parser;
struct program;
struct node;

/*
 * How one key of a verb is read: `parse` stores at `out` (the field's storage inside the node,
 * zeroed before), reports mistakes through parser_complain() and goes on; `release` frees what was
 * stored.
 */
struct field_type {
    void (*parse)(struct parser *p, const json_t *json, void *out);
    void (*release)(void *out);
    const char *what; /* "a number", "a node": for messages and the manual */
};

struct field {
    const char *name;
    const struct field_type *type;
    size_t offset; /* of its storage in the verb's node struct */
    bool required;
    const char *help;
};

/* One verb. Its key is fields[0] (always required); the list ends with a row whose name is NULL. */
struct verb {
    const char
        *name; /* == fields[0].name; for wrappers ("as", "retry", …) and blocks a name in <> */
    const struct field *fields;
    size_t size; /* of its node struct, whose first member is struct node */
    /* More checks once all fields are read without a complaint; NULL: none. */
    void (*check)(struct parser *p, struct node *n);
};

struct node {
    const struct verb *verb;
    /*
     * Stable for a document whatever the version of corod: 4 × the ordinal (preorder) of its JSON
     * value in the document, + 0 for the verb or block, + 1, 2, 3 for its timeout, retry and as
     * wrapper. Frames name nodes by it.
     */
    uint32_t id;
};

/* The kinds of field. The storage is named at each. */
extern const struct field_type field_expr; /* struct expr *: any JSON with ${…} */
extern const struct field_type
    field_number; /* struct expr *: a literal must be a number ≥ 0 or null */
extern const struct field_type field_string; /* struct expr *: a literal must be a string */
extern const struct field_type
    field_argv; /* struct expr *: a literal must be a non-empty list of strings or {"base64"} */
extern const struct field_type
    field_env; /* struct expr *: a literal must be an object of strings, numbers or null (unset) */
extern const struct field_type field_bool;  /* struct expr *: a literal must be true or false */
extern const struct field_type field_logic; /* struct expr *: JsonLogic */
extern const struct field_type field_node;  /* struct node * */
extern const struct field_type
    field_name; /* uint32_t: the atom of a variable name, 0 when absent */
extern const struct field_type
    field_function; /* const struct function *: the name of a definition, resolved */
extern const struct field_type field_bindings;    /* struct bindings: {name: value, …} in order */
extern const struct field_type field_items;       /* struct items: what gather takes */
extern const struct field_type field_source;      /* struct source: what `in` takes */
extern const struct field_type field_source_list; /* the same, only what is there at once */
extern const struct field_type field_handlers;    /* struct handlers: `except` */
extern const struct field_type field_handlers_star; /* the same for `except*` */
extern const struct field_type field_loop;          /* struct node *: the body of a loop */
extern const struct field_type
    field_item; /* struct item: a node that becomes a task, or a handle */
extern const struct field_type field_items_named; /* the same, or an object of name: node */
extern const struct field_type field_operand; /* struct operand: what await, shield, wait take */
extern const struct field_type field_text;    /* char *: a string taken as it is, no ${…} */
extern const struct field_type field_script;  /* char *: the same; warns where ${x} in it looks as
                                                 if the variable x were meant */
extern const struct field_type
    field_bytes; /* struct expr *: a literal must be a string or {"base64": "…"} */
extern const struct field_type
    field_types; /* char **, NULL-terminated: a type of errors or a list */
extern const struct field_type field_null; /* nothing: the key's value must be null or {} */

struct binding {
    uint32_t name; /* atom */
    struct expr *value;
};
struct bindings {
    struct binding *all;
    size_t n;
};

/* `in`: exactly one member is set. */
struct source {
    struct expr *list;                /* a list, or a template that gives one */
    struct expr *start, *stop, *step; /* {"range": …}; start and step may be NULL (0 and 1) */
    struct expr *completed;           /* {"as_completed": …}: a list of tasks */
    struct expr *ticker;              /* {"ticker": seconds} */
    struct node *lines;               /* {"lines": {"run": …}} */
};

/* An item of gather & co. */
struct item {
    struct node *node;  /* a branch, or a `call` node (then the item is that coroutine) … */
    struct expr *value; /* … or an expression: a handle; with splice, a list of them ("...${x}") */
    bool splice;
    uint32_t name; /* atom, for items with names */
};
struct items {
    struct item *all; /* the listed ones … */
    size_t n;
    bool named;
    /* … or a comprehension: {"for", "in", "do"} */
    uint32_t var; /* atom; 0: not a comprehension */
    struct source source;
    struct node *body;
};

/* `await: x`. A list's items are nodes or handles; else it is list.all[0] alone. "${tasks}" may
 * still evaluate to a list. */
struct operand {
    struct items list;
    bool is_list; /* it was written as [ … ] */
};

struct handler {
    char **types; /* NULL-terminated; NULL: Exception */
    uint32_t as;  /* atom or 0 */
    struct node *body;
};
struct handlers {
    struct handler *all;
    size_t n;
};

struct function {
    const char *name;
    uint32_t *params;        /* atoms */
    struct value **defaults; /* per parameter, NULL: must be given */
    size_t n_params;
    struct node *body;
    struct program *program; /* the one it stands in */
};

/* A node of a block: [ … ]. The parser makes it through program_kinds.block. */
struct block {
    struct node node;
    struct node **children;
    size_t n;
};

/* Wrappers that the parser makes from the modifiers (nesting: as(retry(timeout(verb)))). `name`
 * stays on the node it names: node_name(). On `call` timeout and retry wrap the coroutine's body at
 * run time: see struct call_node. */
struct as_node {
    struct node node;
    uint32_t name;
    struct node *child;
};
struct timeout_node {
    struct node node;
    struct expr *seconds;
    struct node *child;
    bool from_start; /* the child is a leaf: counts from when it may start */
};
struct retry_node {
    struct node node;
    struct expr *attempts, *delay, *backoff, *max_delay, *jitter; /* NULL: 3, 0, 1, none, 0 */
    char **on; /* NULL-terminated types; NULL: Exception */
    struct node *child;
};
struct call_node {
    struct node node;
    const struct function *function;
    struct bindings args;
    /* timeout and retry of the call, in a chain of wrapper nodes whose innermost child is NULL (the
     * body goes there at run time); NULL: none. */
    struct node *wrappers;
};

/* The verbs that the parser itself must know, and the table of all. */
struct program_kinds {
    const struct verb *const *verbs; /* NULL-terminated; the order is the manual's */
    const struct verb *block, *as, *timeout, *retry, *call;
    bool (*is_leaf)(const struct verb *v); /* its timeout counts from its start */
};

struct mistake {
    char *pointer; /* JSON Pointer (RFC 6901), "" is the document */
    char *message; /* unknown verb "gathr" */
    char *hint;    /* did you mean "gather"? — or NULL */
};
struct mistakes {
    struct mistake *all;
    size_t n, cap;
    size_t dropped; /* beyond 100 */
};
void mistakes_release(struct mistakes *m);

/* What a job waits for of another one: it succeeded; it ended; it did not succeed. */
enum after_kind { AFTER_OK, AFTER_ANY, AFTER_FAIL };
enum { AFTER_MAX = 1000, DELAY_MAX_S = 1000000000 };
struct after {
    uint64_t job;
    enum after_kind kind;
};
/* `struct after_list l = {0};` is empty. */
struct after_list {
    struct after *all;
    size_t n, cap;
};
void after_release(struct after_list *l);
const char *after_kind_name(enum after_kind kind);
bool after_is_met(enum after_kind kind, bool succeeded);
/* As JSON text, {"ok":[3,5],"any":[7]}, and back. */
void after_write(const struct after_list *l, struct buf *out);
bool after_read(const char *text, size_t len, struct after_list *ret, struct err *err);

/* Keys of the document besides define and main; NULL or unset (-1, 0) when absent. */
struct document {
    char *name, *cwd, *pool, *key;
    char *summary;        /* its first command, or verb, for lists; NULL: it has none */
    struct value *input;  /* an object; never NULL */
    struct value *env;    /* an object of strings or NULL */
    struct value *labels; /* an object of strings or NULL */
    int umask;            /* -1: absent */
    int priority;         /* default 0, -1000 … 1000 */
    double timeout;       /* seconds; < 0: none */
    /* When it starts. */
    bool hold;
    double delay;            /* seconds; < 0: none */
    int64_t at_us;           /* wall clock; 0: none */
    struct after_list after; /* no pair twice */
};

/*
 * Parses and checks a whole document (text: a JSON object or a bare node). All mistakes are found,
 * not the first. NULL when there are errors. Warnings do not fail it. One reference is the
 * caller's. May run on any thread. max_depth is for the JSON text's nesting.
 */
struct program *program_parse(const char *text, size_t len, unsigned max_depth,
                              const struct program_kinds *kinds, struct mistakes *errors,
                              struct mistakes *warnings);
struct program *program_ref(struct program *p); /* atomic */
void program_unref(struct program *p);

const struct document *program_document(const struct program *p);
struct node *program_main(const struct program *p);
/* By stable id; NULL when there is none (a damaged row). O(log n). */
struct node *program_node(const struct program *p, uint32_t id);
const struct function *program_function(const struct program *p, const char *name);
/* `name` of a node, an expression that gives the task's name; NULL: none. */
struct expr *node_name(const struct program *p, const struct node *n);
/* Atoms: small numbers ≥ 1 for names, per program. */
const char *program_atom_name(const struct program *p, uint32_t atom);
uint32_t program_atom(const struct program *p, const char *name); /* 0: nowhere in the document */
/* The variables of `input` in document order. */
struct value *program_input(const struct program *p, uint32_t atom); /* borrowed, NULL: none */

/* For field types and checks. */
void parser_complain(struct parser *p, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void parser_warn(struct parser *p, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Enter a member or item (for the pointer), and leave it. */
void parser_enter_key(struct parser *p, const char *key);
void parser_enter_index(struct parser *p, size_t index);
void parser_leave(struct parser *p);
struct expr *parser_expr(struct parser *p, const json_t *json);
struct expr *parser_logic(struct parser *p, const json_t *json);
struct node *parser_node(struct parser *p, const json_t *json);
/* The same for a node that becomes a task: `return` and `break` inside end nothing around it. */
struct node *parser_branch(struct parser *p, const json_t *json);
/* Complains when what ends a coroutine (or a loop) here would leave a handler of `except*`. */
void parser_leaves(struct parser *p, const char *verb, bool loop);
uint32_t parser_atom(struct parser *p, const char *name); /* interns */
/* The variable that the JSON string names, marked as bound here (a `for`'s name, say); 0 and a
 * complaint when it is no name. */
uint32_t parser_binding(struct parser *p, const json_t *json);
/* Reads an object inside a field by rows of its own (the list ends with a NULL name), such as the
 * options of a queue; `what` names it in complaints. Unknown and missing keys are complained about.
 */
void parser_fields(struct parser *p, const char *what, const struct field *fields,
                   const json_t *json, void *out);
void parser_fields_release(const struct field *fields, void *out);
/* For field types of one word out of a few: the word's place in words (NULL-terminated), or -1
 * and a complaint that says what is allowed. */
int parser_choice(struct parser *p, const json_t *json, const char *const *words);

#endif
