#ifndef COROD_PROTO_FIELDS_H
#define COROD_PROTO_FIELDS_H
/*
 * JSON objects by tables: one row per member says how it is read, checked, described and where it
 * is stored. One loop validates an object and finds all its mistakes, each with its place as JSON
 * Pointer (RFC 6901). The same rows make the JSON Schema of a method's parameters.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "proto/json_out.h"

/*
 * Kinds of field. What is stored is borrowed from the JSON value. `min` and `max` bound numbers,
 * and the length of strings and lists.
 */
enum json_field_kind {
    JSON_FIELD_TEXT,     /* const char *: a string without NUL; NULL when absent */
    JSON_FIELD_INT,      /* int64_t: a whole number, or its digits in a string */
    JSON_FIELD_NUMBER,   /* double */
    JSON_FIELD_BOOL,     /* bool */
    JSON_FIELD_ID,       /* uint64_t ≥ 1: a number, or its digits in a string; 0 when absent */
    JSON_FIELD_IDS,      /* const json_t *: one id or a list of them: json_field_id() reads each */
    JSON_FIELD_TASK,     /* struct json_task: a task's number or its id "JOB.N"; 0 when absent */
    JSON_FIELD_TEXTS,    /* const json_t *: a list of strings */
    JSON_FIELD_STATES,   /* uint32_t: a job state's name or a list of them, as bits */
    JSON_FIELD_CHOICE,   /* int: index in `choices`; the first when absent */
    JSON_FIELD_MAP,      /* const json_t *: an object of strings */
    JSON_FIELD_TIME,     /* int64_t: RFC 3339, microseconds; 0 when absent */
    JSON_FIELD_CURSOR,   /* const json_t *: a string or a whole number ≥ 0 */
    JSON_FIELD_OBJECT,   /* const json_t *: an object with the fields of its own table (`fields`) */
    JSON_FIELD_DOCUMENT, /* const json_t *: anything; its text is taken before parsing */
    JSON_FIELD_ANY,      /* const json_t *: anything, also null */
};

/* The storage of each kind, for structs that are made from tables. */
#define JSON_FIELD_TYPE_TEXT     const char *
#define JSON_FIELD_TYPE_INT      int64_t
#define JSON_FIELD_TYPE_NUMBER   double
#define JSON_FIELD_TYPE_BOOL     bool
#define JSON_FIELD_TYPE_ID       uint64_t
#define JSON_FIELD_TYPE_IDS      const json_t *
#define JSON_FIELD_TYPE_TASK     struct json_task
#define JSON_FIELD_TYPE_TEXTS    const json_t *
#define JSON_FIELD_TYPE_STATES   uint32_t
#define JSON_FIELD_TYPE_CHOICE   int
#define JSON_FIELD_TYPE_MAP      const json_t *
#define JSON_FIELD_TYPE_TIME     int64_t
#define JSON_FIELD_TYPE_CURSOR   const json_t *
#define JSON_FIELD_TYPE_OBJECT   const json_t *
#define JSON_FIELD_TYPE_DOCUMENT const json_t *
#define JSON_FIELD_TYPE_ANY      const json_t *

struct json_field {
    const char *name; /* NULL: end of the table */
    enum json_field_kind kind;
    bool required;
    size_t offset;
    int64_t min, max;
    int64_t absent;                  /* INT, NUMBER, BOOL: the value when the member is not there */
    const char *const *choices;      /* CHOICE: NULL-terminated */
    const struct json_field *fields; /* OBJECT */
    const char *help;
};

struct json_task {
    uint64_t job; /* 0: only the number was given */
    uint32_t number;
};

struct json_mistake {
    char pointer[160], message[200], hint[120]; /* hint "": none */
};
struct json_mistakes {
    struct json_mistake all[16];
    size_t n, dropped;
};

/*
 * Reads object (NULL: an empty one; a list gives the fields in the table's order) into out. False
 * when there are mistakes; then out is to be left alone. null counts as absent.
 */
bool json_fields_read(const struct json_field *fields, const json_t *object, void *out,
                      struct json_mistakes *m);
/* Adds one; pointer as it is to be shown. */
void json_mistakes_add(struct json_mistakes *m, const char *pointer, const char *hint,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Writes them as [{pointer, message, hint?}]. */
void json_mistakes_write(const struct json_mistakes *m, struct json_out *o);

/* The number of a checked ID, or of an item of IDS. */
uint64_t json_field_id(const json_t *v);
size_t json_field_id_count(const json_t *ids); /* 0 for NULL */
uint64_t json_field_id_at(const json_t *ids, size_t i);

/* The JSON Schema (draft 2020-12) of one field. */
void json_field_schema(const struct json_field *f, struct json_out *o);

#endif
