/*
 * lathe/problem.h - a problem: what one step of a plan must compute, as self-contained plain data.
 *
 * A problem names a root operator (or none), its attributes, the operands that come from and go to memory, and a flat SSA program of
 * pointwise operations around the root. Tactics, built-in and from plugins, see nothing else. Its canonical text is the key of the timing
 * cache, the text of a bug report and the record in the plan; see docs/engine.md for the grammar.
 *
 * Ownership: everything a problem points to belongs to whoever made it and outlives the problem.
 */
#ifndef LATHE_PROBLEM_H
#define LATHE_PROBLEM_H

#include <lathe/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Attributes. The numbers are those of ONNX's AttributeProto.AttributeType. */
typedef enum lathe_attr_kind {
    LATHE_ATTR_NONE = 0,
    LATHE_ATTR_FLOAT = 1,
    LATHE_ATTR_INT = 2,
    LATHE_ATTR_STRING = 3,
    LATHE_ATTR_TENSOR = 4,
    LATHE_ATTR_GRAPH = 5, /* never part of a problem */
    LATHE_ATTR_FLOATS = 6,
    LATHE_ATTR_INTS = 7,
    LATHE_ATTR_STRINGS = 8,
    LATHE_ATTR_TENSORS = 9,
    LATHE_ATTR_GRAPHS = 10,
    LATHE_ATTR_TYPE = 13 /* in problems: without ranks and extents */
} lathe_attr_kind;

typedef struct lathe_attr {
    const char *name;
    lathe_attr_kind kind;
    uint32_t graph;               /* GRAPH: index of the region in its graph */
    int64_t i;                    /* INT */
    float f;                      /* FLOAT */
    lathe_bytes s;                /* STRING */
    size_t count;                 /* of ints, floats, strings, tensors, graphs */
    const int64_t *ints;
    const float *floats;
    const lathe_bytes *strings;
    const lathe_tensor *tensors;  /* TENSOR has one */
    const uint32_t *graphs;
    const void *type;             /* TYPE: internal */
} lathe_attr;

/* Where a value lives. */
typedef enum lathe_space {
    LATHE_SPACE_HOST = 0,
    LATHE_SPACE_TWIN = 1, /* the test device's separate memory */
    LATHE_SPACE_CUDA = 2
} lathe_space;

/*
 * How a logical tensor lies in memory. Logical shapes and axes never change. order[i] is the logical axis stored i-th, outermost first.
 * With block > 0 the axis block_axis is stored in two parts: its outer part ceil(d / block) at its place in `order`, and `block` lanes innermost.
 * pad_to > 1 rounds the extent of the last axis in `order` (unblocked formats) up to a multiple. Pad lanes hold 0 (or the zero point):
 * every writer fills them.
 * strided = k > 0: the tensor is a part of a larger one. The first k stored axes, as if they were one, count rows that lie lathe_buffer.pitch bytes apart;
 * the axes behind them are dense inside a row. Such formats have neither blocks nor pads, and 0 < k < rank.
 */
typedef struct lathe_format {
    lathe_space space;
    lathe_dtype storage; /* equals the operand's dtype except by permission or quantization */
    int rank;
    int8_t order[LATHE_MAX_RANK];
    int8_t block_axis; /* -1: none */
    int32_t block;     /* 0: none */
    int32_t pad_to;    /* 0 or 1: none */
    int32_t strided;   /* 0: dense; else the number of stored axes that count rows */
} lathe_format;

/* Extents of one dimension over the range that a tactic must hold for. min == max for fixed ones. */
typedef struct lathe_extent {
    int64_t min, opt, max; /* max may be INT64_MAX: no bound */
    int64_t multiple;      /* every extent is a multiple of this, at least 1 */
} lathe_extent;

enum {
    LATHE_OPERAND_CONSTANT = 1u,  /* known when the plan is built: may be packed */
    LATHE_OPERAND_HOST = 2u,      /* read on the host whatever the device */
    LATHE_OPERAND_ABSENT = 4u,    /* an optional input that is not given, or an output nobody wants */
    LATHE_OPERAND_MANAGED = 8u,   /* string, sequence, optional, map: a host handle */
    LATHE_OPERAND_BOUNDED = 16u   /* real extents are known at run time only; dims.max is the upper bound */
};

typedef struct lathe_operand {
    lathe_dtype dtype;
    int rank; /* -1: known at run time only (managed operands) */
    lathe_extent dims[LATHE_MAX_RANK];
    lathe_format format; /* as chosen; while tactics are asked: plain row-major in the space of the device */
    uint32_t flags;
    const lathe_tensor *value; /* small host constants (shapes, axes, zero points) whose contents a tactic may read; else NULL */
} lathe_operand;

/*
 * Pointwise operations. `x y z` are the arguments. Arithmetic is in the instruction's dtype with the semantics of ONNX's operator of that name.
 * The numbers are an implementation detail: files and texts use names (lathe_pw_name).
 */
typedef enum lathe_pw_op {
    LATHE_PW_NONE = 0,
    LATHE_PW_LOAD,  /* element of input operand `operand` through `map` */
    LATHE_PW_ROOT,  /* result `operand` of the root at this point */
    LATHE_PW_STORE, /* x to output operand `operand` */
    LATHE_PW_CONST, /* imm[0] as dtype */
    LATHE_PW_CAST,  /* x to dtype (ONNX Cast) */
    LATHE_PW_QUANT,   /* x, scale, zero point -> dtype: saturate(round_even(x / scale) + zero) */
    LATHE_PW_DEQUANT, /* x, scale, zero point -> dtype: (x - zero) * scale */
    LATHE_PW_ADD, LATHE_PW_SUB, LATHE_PW_MUL, LATHE_PW_DIV, LATHE_PW_MIN, LATHE_PW_MAX, LATHE_PW_POW, LATHE_PW_MOD, LATHE_PW_FMOD,
    LATHE_PW_AND, LATHE_PW_OR, LATHE_PW_XOR, LATHE_PW_NOT,
    LATHE_PW_EQUAL, LATHE_PW_LESS, LATHE_PW_LESS_EQUAL, LATHE_PW_GREATER, LATHE_PW_GREATER_EQUAL,
    LATHE_PW_WHERE, /* x ? y : z */
    LATHE_PW_CLIP,  /* min(max(x, y), z) */
    LATHE_PW_ABS, LATHE_PW_NEG, LATHE_PW_RECIPROCAL, LATHE_PW_SQRT, LATHE_PW_EXP, LATHE_PW_LOG, LATHE_PW_ERF, LATHE_PW_TANH, LATHE_PW_SIGMOID,
    LATHE_PW_CEIL, LATHE_PW_FLOOR, LATHE_PW_ROUND, LATHE_PW_SIGN, LATHE_PW_SIN, LATHE_PW_COS,
    LATHE_PW_RELU,
    LATHE_PW_LEAKY_RELU,   /* slope imm[0] */
    LATHE_PW_ELU,          /* imm[0] */
    LATHE_PW_SOFTPLUS,
    LATHE_PW_HARD_SIGMOID, /* max(0, min(1, imm[0] * x + imm[1])) */
    LATHE_PW_HARD_SWISH,
    LATHE_PW_GELU, LATHE_PW_GELU_TANH,
    LATHE_PW_MISH,
    LATHE_PW_SWISH, /* x * sigmoid(imm[0] * x) */
    LATHE_PW_SELU,  /* imm[1] * (x < 0 ? imm[0] * (e^x - 1) : x) */
    LATHE_PW_CELU,  /* x < 0 ? imm[0] * (e^(x / imm[0]) - 1) : x */
    LATHE_PW_COUNT
} lathe_pw_op;

/* "Add", "Relu", ... */
LATHE_API const char *lathe_pw_name(lathe_pw_op op);
LATHE_API lathe_pw_op lathe_pw_from_name(const char *name); /* LATHE_PW_NONE when unknown */

/*
 * One instruction. Its value is number = its index. Instructions with slot >= 0 form the prologue of the root's input `slot` and run over that
 * input's points; those with slot == -1 form the epilogue (or the whole program when there is no root) over the points of the output space.
 * LOAD: map[i] is the axis of the iteration space that walks axis i of the operand, or -1 where the operand has extent 1 or broadcasts. An axis whose
 * extent is a range may turn out to have extent 1 in a run, and broadcasts then.
 */
typedef struct lathe_pw_instr {
    lathe_pw_op op;
    lathe_dtype dtype; /* of the result */
    int16_t slot;
    uint16_t args[3];
    uint16_t operand;
    int8_t map[LATHE_MAX_RANK];
    double imm[2];
} lathe_pw_instr;

enum { LATHE_PROBLEM_EXACT_INT = 1u /* quantized: bit-equal to the integer operator that it came from */ };

/*
 * Without instructions, the root reads inputs 0..n_in-1 and writes outputs 0..n_out-1 directly. With instructions, the root's inputs are the last
 * instruction of each slot (a slot without instructions reads operand `root_in[slot]`), and STOREs write the outputs.
 */
typedef struct lathe_problem {
    size_t struct_size;
    const char *op;     /* root operator, "" for none (a pure pointwise program) */
    const char *domain; /* "" for ai.onnx */
    int version;        /* opset version of the root's definition */
    const lathe_attr *attrs;
    size_t n_attrs;
    const lathe_operand *in;
    size_t n_in;
    const lathe_operand *out;
    size_t n_out;
    size_t n_root_in, n_root_out;
    const uint16_t *root_in; /* n_root_in operand numbers; 0xffff for a slot fed by a prologue or an absent optional input */
    const lathe_pw_instr *instrs;
    size_t n_instrs;
    int space_rank;    /* iteration space of the epilogue / program */
    lathe_extent space[LATHE_MAX_RANK];
    uint32_t flags;
} lathe_problem;

#ifdef __cplusplus
}
#endif

#endif
