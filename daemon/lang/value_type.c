/* What messages call the types of values. */
#include "daemon/lang/value.h"

const char *value_python_type(const struct value *v)
{
    static const char *const names[] = {
        [VALUE_NULL] = "NoneType", [VALUE_BOOL] = "bool",  [VALUE_INT] = "int",
        [VALUE_REAL] = "float",    [VALUE_STRING] = "str", [VALUE_LIST] = "list",
        [VALUE_OBJECT] = "dict",
    };
    enum value_type type = value_type(v);
    return type == VALUE_HANDLE ? value_handle_class(v)->kind : names[type];
}

const char *value_type_name(const struct value *v)
{
    switch (value_type(v)) {
    case VALUE_NULL:
        return "null";
    case VALUE_BOOL:
        return value_is_true(v) ? "true" : "false";
    case VALUE_INT:
    case VALUE_REAL:
        return "a number";
    case VALUE_STRING:
        return "a string";
    case VALUE_LIST:
        return "a list";
    case VALUE_OBJECT:
        return "an object";
    case VALUE_HANDLE:
        return value_handle_class(v)->kind;
    }
    return "?";
}
