/* Operations: their table (ops.def). Owns: nothing but constants. */
#ifndef TG_GRAPH_OPS_H
#define TG_GRAPH_OPS_H

typedef enum tg_op {
#define TG_OP(e, python_enum, member, arity, kind, cost, domain) TG_OP_##e,
#include "graph/ops.def"
#undef TG_OP
  TG_OP_COUNT
} tg_op;

typedef enum tg_op_kind {
  TG_KIND_NONE,
  TG_KIND_UNARY,
  TG_KIND_BINARY,
  TG_KIND_TERNARY,
  TG_KIND_REDUCE,
  TG_KIND_LOAD,
  TG_KIND_CAST,
} tg_op_kind;

typedef enum tg_op_domain { TG_DOMAIN_ANY, TG_DOMAIN_FLOAT, TG_DOMAIN_WHOLE } tg_op_domain;

typedef struct tg_op_info {
  const char *python_enum, *member;
  int arity;
  tg_op_kind kind;
  int cost;
  tg_op_domain domain;
} tg_op_info;

extern const tg_op_info tg_ops[TG_OP_COUNT];

#endif
