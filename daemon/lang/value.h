#ifndef COROD_LANG_VALUE_H
#define COROD_LANG_VALUE_H
/*
 * Values of the job language: JSON's, and handles (a task, a coroutine, a queue, …).
 *
 * A value never changes once it is made, so it is shared by counting references. Counts are not
 * atomic: a value belongs to one thread at a time (null, true, false and integers are everybody's
 * and never counted). Each value knows its depth and its size, so the limits are checked where
 * values are made, in O(1).
 *
 * An exception of the language is a value too: an object with "type" and "message" and, where they
 * apply, "data", "cause", "exceptions" (see error_new()).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/err.h"

enum value_type {
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_REAL,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_OBJECT,
    VALUE_HANDLE,
};

enum {
    VALUE_MAX_DEPTH = 100,              /* lists and objects inside each other */
    VALUE_MAX_BYTES = 16 * 1024 * 1024, /* what value_bytes() may be */
};

struct value;

/* What a handle stands for: one const row per kind (task, coroutine, queue, …). */
struct handle_class {
    const char *kind; /* "task": how it is saved */
    /* The attribute, a new reference, or NULL with *error (a TypeError value, a new reference). */
    struct value *(*attribute)(void *object, const char *name, struct value **error);
    /* Appends what print shows: `<task NAME>`. */
    void (*text)(void *object, struct buf *out);
    /* The last reference went away. */
    void (*release)(void *object);
};

struct value *value_ref(struct value *v);
void value_unref(struct value *v); /* NULL is allowed */
static inline void value_unref_p(struct value **v)
{
    value_unref(*v);
}
#define cleanup_value __attribute__((__cleanup__(value_unref_p)))

/*
 * What the values of somebody take together, in about the bytes that malloc() gives. A value counts
 * in the account that is used when it is made, in whatever thread, and until it goes; from then on
 * nobody need know whose it was. What stands in a list or an object and elsewhere too counts in
 * each place: as much would be taken once it is saved and loaded. A handle counts for what it
 * keeps.
 */
struct value_account {
    size_t bytes;
    bool closed;
};
struct value_account *value_account_new(void);
/* Its owner is gone; it goes with its last value. NULL is allowed. */
void value_account_free(struct value_account *a);
/* This thread's values count there from now on, NULL: nowhere. Returns the one before. */
struct value_account *value_account_use(struct value_account *a);
/* What else its owner has, or has no more. */
void value_account_change(struct value_account *a, size_t add, size_t remove);
/* What v takes again where it is saved elsewhere; 0: nobody else has it. */
size_t value_shared_bytes(const struct value *v);

/* Each returns a new reference. */
struct value *value_null(void);
struct value *value_bool(bool b);
struct value *value_int(int64_t i);
struct value *value_real(double d); /* NaN and infinities become null (JSON has none) */
struct value *value_string(const char *s, size_t len); /* must be UTF-8; may hold NUL bytes */
struct value *value_text(const char *s);               /* the same, NUL-terminated */
/* Bytes that may not be UTF-8: a string where they are, else {"base64": "…"}. */
struct value *value_from_bytes(const void *p, size_t len);
/* The other way: appends the bytes of a string or of {"base64": "…"}. False, out as it was, when v
 * is neither. */
bool value_to_bytes(const struct value *v, struct buf *out);
bool value_is_bytes(const struct value *v);
struct value *value_handle(const struct handle_class *c, void *object, uint64_t id);

/* Takes over the references of items[0..n) (not the array). NULL when too deep or too large: the
 * items are released. */
struct value *value_list(struct value *const *items, size_t n);
struct value_member {
    struct value *key; /* a string */
    struct value *value;
};
/* Takes over all references. A key that comes again replaces the value at its first place. NULL as
 * above. O(n log n). */
struct value *value_object(const struct value_member *members, size_t n);
/* The object with that member set (or added at the end): a new value; old and v keep their owners.
 * NULL when too deep or too large. O(n). */
struct value *value_with(struct value *object, const char *key, struct value *v);

enum value_type value_type(const struct value *v);
const char *value_type_name(const struct value *v); /* "null", "a number", … for messages */
const char *
value_python_type(const struct value *v); /* "NoneType", "int", …: as CPython's messages name it */
bool value_is_true(const struct value *v);      /* the BOOL true */
int64_t value_get_int(const struct value *v);   /* 0 unless INT */
double value_get_number(const struct value *v); /* of INT or REAL; else 0 */
bool value_is_number(const struct value *v);
const char *value_get_string(const struct value *v,
                             size_t *len); /* len may be NULL; NUL-terminated; "" unless STRING */
size_t value_count(const struct value *v); /* items of a LIST, members of an OBJECT, else 0 */
struct value *value_item(const struct value *v, size_t i); /* borrowed; NULL beyond the end */
const struct value_member *value_member(const struct value *v,
                                        size_t i); /* borrowed; NULL beyond the end */
struct value *value_find(const struct value *v,
                         const char *key); /* borrowed; NULL when absent; O(log n) */
struct value *value_find_bytes(const struct value *v, const char *key,
                               size_t len); /* the same, for keys that may hold NUL bytes */
const struct handle_class *value_handle_class(const struct value *v); /* NULL unless HANDLE */
void *value_handle_object(const struct value *v);
uint64_t value_handle_id(const struct value *v);

bool value_has_handles(const struct value *v); /* it is one, or has some inside */
unsigned value_depth(const struct value *v);
size_t value_bytes(const struct value *v); /* about what it takes, shared parts counted each time */
/* JSON equality; numbers by value, handles by identity. */
bool value_equal(const struct value *a, const struct value *b);

/*
 * JSON text (RFC 8259) to a value. Refused with a clear error (place as line and column): bad
 * syntax, bytes that are no UTF-8, nesting deeper than max_depth (counted before the parser sees
 * it), numbers out of range.
 */
struct value *value_parse(const char *text, size_t len, unsigned max_depth, struct err *err);

enum json_style {
    JSON_STYLE_COMPACT,
    JSON_STYLE_SPACED /* ", " and ": ", as print shows values */
};
/* Appends JSON: UTF-8 as it is, key order kept, shortest floats that read back the same; a handle
 * as its text in a string. */
void value_write(struct buf *out, const struct value *v, enum json_style style);
/* As print and "…${x}…" do: a string as it is, else spaced JSON; a handle as its text. */
void value_write_text(struct buf *out, const struct value *v);

/* Binary form, for rows. Loading resolves handles through `resolve` (a new reference, or NULL: the
 * load fails). */
void value_save(struct buf *out, const struct value *v);
struct value *value_load(struct reader *r,
                         struct value *(*resolve)(void *arg, const char *kind, uint64_t id),
                         void *arg);

/* The same without sharing any part; for a value without handles. */
struct value *value_copy(const struct value *v);

/* An exception value; message by format. data, cause may be NULL (borrowed). */
struct value *error_new(const char *type, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct value *error_make(const char *type, const char *message, struct value *data,
                         struct value *cause);
const char *error_type(const struct value *error);
const char *error_message(const struct value *error);
/* Whether `except: type` takes this error: equal names; "Exception" takes all but CancelledError
 * and groups with one; "BaseException" all. */
bool error_matches(const struct value *error, const char *type);
/* The error with that cause (which stands before its list of errors): a new value; both keep their
 * owners. NULL when too deep or too large. */
struct value *error_with_cause(struct value *error, struct value *cause);
/* An ExceptionGroup of the errors (borrowed); cause may be NULL. What is too much for one value is
 * left out of it. */
struct value *error_group(const char *message, struct value *const *errors, size_t n,
                          struct value *cause);
bool error_is_group(const struct value *error);
/*
 * The part of an error whose leaves are wanted, in the groups that they stand in; NULL: none; the
 * error itself: all. taker() says who takes an error or a group as a whole, a number (SIZE_MAX:
 * nobody); a leaf is the lowest's among its own and those of the groups around.
 */
struct value *error_part(struct value *error, size_t (*taker)(void *arg, const struct value *error),
                         bool (*wanted)(void *arg, size_t taker), void *arg);

#endif
