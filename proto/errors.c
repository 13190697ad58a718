#include "proto/errors.h"

#include <stddef.h>

static const int codes[] = {
#define ERROR(name, code, text, what) code,
#include "proto/errors.def"
#undef ERROR
};

int error_code_wire(int code)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i] == code)
            return code;
    }
    return ERR_INTERNAL;
}
