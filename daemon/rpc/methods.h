#ifndef COROD_RPC_METHODS_H
#define COROD_RPC_METHODS_H
/*
 * What the methods do: one function for each row of proto/method.def. Each answers its request
 * exactly once, now or later. Parameters are borrowed for the call. Inside daemon/rpc only.
 */
#include "daemon/rpc/request.h"

#define PARAM(...)
#define METHOD(id, ...) void method_##id(struct request *r, const struct id##_params *p);
#include "proto/method.def"
#undef METHOD
#undef PARAM

#endif
