#ifndef COROD_PROTO_MEM_H
#define COROD_PROTO_MEM_H
/*
 * Memory that is there or the program ends, and cleanup attributes.
 *
 * What a peer can make us allocate is bounded by limits before it gets here, so running out of
 * memory is a broken machine, not a bad request.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* Each returns memory for the caller to free(), or ends the program through fatal(). */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
void *xmemdup(const void *p, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/* Grows the array *p of *cap elements of `size` bytes so that `need` elements fit (at least
 * doubling). */
void *xgrow(void *p, size_t *cap, size_t need, size_t size) __attribute__((returns_nonnull));

/* For an array of which nothing is needed any more: returns it for the next time, or frees it when
 * it is large (64 KiB): NULL, *cap 0. */
void *xspare(void *p, size_t *cap, size_t size);

/* close() that keeps errno and takes -1; always returns -1, for `fd = close_fd(fd)`. */
int close_fd(int fd);

static inline void cleanup_free_p(void *p)
{
    free(*(void **)p);
}
static inline void cleanup_close_p(int *fd)
{
    close_fd(*fd);
}

#define cleanup(fn)   __attribute__((__cleanup__(fn)))
#define cleanup_free  cleanup(cleanup_free_p)
#define cleanup_close cleanup(cleanup_close_p)

/* Defines NAME_p(struct S **), for cleanup(NAME_p), from a destructor that accepts NULL. */
#define DEFINE_CLEANUP(type, fn)                                                                   \
    static inline void fn##_p(type *p)                                                             \
    {                                                                                              \
        fn(*p);                                                                                    \
    }                                                                                              \
    struct fn##_needs_semicolon

/* Takes the pointer (or NULL) out of a cleanup variable: `return steal(&p);`. */
#define steal(p)                                                                                   \
    __extension__({                                                                                \
        __typeof__(*(p)) steal_v = *(p);                                                           \
        *(p) = NULL;                                                                               \
        steal_v;                                                                                   \
    })
static inline int steal_fd(int *fd)
{
    int v = *fd;
    *fd = -1;
    return v;
}

#define ARRAY_LEN(a)                  (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

#endif
