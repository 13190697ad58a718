#ifndef COROD_TESTS_FUZZ_FUZZ_H
#define COROD_TESTS_FUZZ_FUZZ_H
/*
 * What each fuzzer defines: one input, which must neither crash nor break what `must()` asks for.
 * libFuzzer has the loop (configure --enable-fuzzers); without it main.c runs files once.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An assertion that is in every build. */
#define must(x)                                                                                    \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
