#ifndef COROD_PROTO_ERRORS_H
#define COROD_PROTO_ERRORS_H
/* The error codes of the wire (struct err's code < 0), from errors.def; JSON-RPC 2.0, section 5.1.
 */

enum {
#define ERROR(name, code, text, what) ERR_##name = (code),
#include "proto/errors.def"
#undef ERROR
};

/* The code as it goes over the wire: itself when it is in the table, else ERR_INTERNAL (an errno).
 */
int error_code_wire(int code);

#endif
