/* The table of operations, made of ops.def. Owns: the constants. Called by every layer above. */
#include "graph/ops.h"

const tg_op_info tg_ops[TG_OP_COUNT] = {
#define TG_OP(e, python_enum, member, arity, kind, cost, domain)                                                       \
  {#python_enum, #member, arity, TG_KIND_##kind, cost, TG_DOMAIN_##domain},
#include "graph/ops.def"
#undef TG_OP
};
