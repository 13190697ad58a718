#include "proto/errors.h"

#include <stddef.h>

static const struct {
    int code;
    const char *name;
} errors[] = {
#define ERROR(name, code, text, what) {code, text},
#include "proto/errors.def"
#undef ERROR
};

const char *error_code_name(int code)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (errors[i].code == code)
            return errors[i].name;
    }
    return "internal error";
}

int error_code_wire(int code)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (errors[i].code == code)
            return code;
    }
    return ERR_INTERNAL;
}
