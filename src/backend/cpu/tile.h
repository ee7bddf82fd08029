/*
 * tile.h - tile programs: the pointwise instructions of a problem, run over tiles of at most LT_TILE points that stay in the first-level cache. Private
 * to src/backend/cpu.
 *
 * One interpreter serves pointwise problems and the epilogues of matrix products, convolutions and the like, which hand it the tile of root results they
 * have just computed. A program is prepared on the stack of each thread at the start of a step; it allocates nothing.
 */
#ifndef LT_TILE_H
#define LT_TILE_H

#include "backend/tactic.h"

struct lt_cpu_isa;

enum {
    LT_TILE = 512,        /* points in a tile, row pitches included */
    LT_TILE_INSTRS = 128, /* more are refused */
    LT_TILE_LANES = 16    /* a register is computed in whole groups of this many points */
};

/* How a value lies in a register: floats of 32 bits (f32, f16, bf16), f64, and integers in 32 or 64 bits (u32 takes 64). */
typedef enum lt_lane { LT_LANE_F32, LT_LANE_F64, LT_LANE_I32, LT_LANE_I64, LT_LANE_NONE } lt_lane;
lt_lane lt_lane_of(lathe_dtype dtype);

/* One instruction with everything looked up. fn computes n points, n a multiple of LT_TILE_LANES. */
typedef struct lt_tile_step {
    void (*fn)(const struct lt_tile_step *step, int n);
    void *dst;
    const void *x, *y, *z;
    lathe_pw_op op;
    lathe_dtype dtype, from; /* of the result; of the first argument */
    lathe_dtype scale;       /* of QUANT and DEQUANT */
    bool round;              /* fn computes f32 where the result is narrower */
    int16_t loads[3];        /* numbers of the loads that are arguments, or -1 */
    int16_t store;           /* the one store that takes the result of the last instruction; -1 */
    double imm[2];
} lt_tile_step;
typedef void (*lt_tile_fn)(const lt_tile_step *step, int n);

/* An operand as the program walks it: a step for each axis of the collapsed space, in elements. */
typedef struct lt_tile_ref {
    char *data;
    void *reg;
    lathe_dtype dtype;
    bool linear;   /* the element's index is the point's index */
    bool direct;   /* and instructions may take elements from where they lie */
    bool periodic; /* depends on the last axis alone, and the register keeps it */
    int64_t step[LATHE_MAX_RANK];
} lt_tile_ref;

typedef struct lt_tile_program {
    const struct lt_cpu_isa *isa;
    int rank; /* of the collapsed space, outermost axis first */
    int64_t extent[LATHE_MAX_RANK];
    int64_t points;
    int tile; /* points that lt_tile_run_range takes together */
    int n_items, n_loads, n_steps, n_stores;
    int16_t items[LT_TILE_INSTRS]; /* in order: a step, or ~ a load */
    lt_tile_ref loads[LT_TILE_INSTRS], stores[LT_TILE_INSTRS];
    lt_tile_step steps[LT_TILE_INSTRS];
} lt_tile_program;

/*
 * Points of the space in the order in which outputs are stored: `rows` runs of `cols` consecutive points, row_step apart, the first at `start`.
 * In registers (and in the root's tile) rows are `pitch` apart; rows * pitch <= LT_TILE.
 */
typedef struct lt_tile_block {
    int64_t start, row_step;
    int rows, cols, pitch;
} lt_tile_block;

/* Can the instructions behind the root (all, when there is none) run as a tile program? 0 and the reason in fit->why. */
int lt_tile_fits(const lathe_problem *problem, lathe_fit *fit);
/*
 * Sets the formats that outputs, and inputs of the epilogue that cover several axes of the space, should have when points are walked in this order of
 * axes (NULL: plain), and marks the input that output 0 may take over. Operands that the root reads are left alone.
 */
void lt_tile_formats(const lathe_problem *problem, const int8_t *order, lathe_fit *fit);
/* Says that rows of the outputs and of what only the epilogue reads may lie apart: the program walks them as they lie. */
void lt_tile_rows_apart(const lathe_problem *problem, lathe_fit *fit);
/* Bytes of scratch that one thread's program needs, a multiple of 64. */
size_t lt_tile_scratch(const lathe_problem *problem);
/* Nanoseconds for one point, roughly. */
double lt_tile_cost(const struct lt_cpu_isa *isa, const lathe_problem *problem);

/*
 * scratch: this thread's own. root: where the root's results will lie, rows * pitch of them for each block, 64-byte aligned, readable up to LT_TILE; never
 * written to. NULL when there is no root.
 */
lathe_status lt_tile_prepare(lt_tile_program *t, const struct lt_cpu_isa *isa, const lathe_call *call, void *scratch,
                             const void *root, lathe_diag *diag);
void lt_tile_run(const lt_tile_program *t, const lt_tile_block *block);
/* All points begin .. end of a program without a root. Ranges of threads are best cut at multiples of t->tile. */
void lt_tile_run_range(const lt_tile_program *t, int64_t begin, int64_t end);

/* Extents that index arithmetic can rely on: none is negative, and their product, zeros counted as one, is far from overflowing. */
bool lt_extents_sane(int rank, const int64_t *dims);

/* Strides in elements of a tensor's logical axes; false when the format has blocks or pads. */
bool lt_format_strides(const lathe_format *format, const lathe_buffer *b, int64_t *strides);

/* Elements to and from registers (tile_memory.c). step in elements. */
void lt_tile_fetch(lathe_dtype dtype, void *reg, int at, const char *data, int64_t index, int64_t step, int n);
void lt_tile_put(lathe_dtype dtype, char *data, int64_t index, int64_t step, const void *reg, int at, int n);
/* The loop of an instruction in plain C, for whatever the ISA has no faster one (tile_loops.c). NULL: there is none. */
lt_tile_fn lt_tile_plain(lathe_pw_op op, lathe_dtype dtype, lathe_dtype from, lathe_dtype scale);
/* Rounds a register of 32-bit floats to f16 or bf16 in place. */
void lt_tile_round(lathe_dtype dtype, void *reg, int n);

#endif
