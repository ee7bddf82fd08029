/*
 * product.c - the loop around the matrix product's microkernel, and what drivers of f32 roots share. Used by gemm.c and conv_*.c.
 *
 * A unit of work is a block of rows times a group of panels that fits into the second-level cache; units are dealt out in one order, whatever the
 * number of threads. The inner extent is never split, so that bits do not depend on the gang.
 */
#include "backend/cpu/product.h"
#include <string.h>

enum { GROUP_BYTES = 512 * 1024 };

static size_t align64(size_t n)
{
    return (n + 63) / 64 * 64;
}

/* Rows of a block: whole kernels that fill a tile. */
static int block_rows(const lt_cpu_isa *isa)
{
    return LT_TILE / isa->nr / isa->mr * isa->mr;
}

static int64_t all_panels(const lt_product *p)
{
    return (p->n + p->isa->nr - 1) / p->isa->nr;
}

/* Panels of a group at most. */
static int64_t group_limit(const lt_product *p)
{
    int64_t bytes = p->k * p->isa->nr * 4, fit = bytes > 0 ? GROUP_BYTES / bytes : 64;
    return fit < 1 ? 1 : fit;
}

typedef struct layout { /* of one thread's scratch */
    size_t tile, rows, panels, total;
} layout;

static layout scratch_layout(const lt_product *p, const lathe_problem *problem)
{
    size_t k = (size_t)p->k, panel = k * (size_t)p->isa->nr * sizeof(float), all = (size_t)all_panels(p) * panel;
    size_t group = panel > GROUP_BYTES
                       ? panel
                       : GROUP_BYTES; /* no smaller where a panel more no longer fits: scratch only grows */
    layout l = { .tile = align64(lt_tile_scratch(problem)) };
    l.rows = l.tile + LT_TILE * sizeof(float);
    l.panels =
        l.rows + (p->rows_built ? align64((size_t)block_rows(p->isa) * (k + (size_t)p->row_extra) * sizeof(float)) : 0);
    l.total = l.panels + (p->panels_built ? align64(all < group ? all : group) : 0);
    return l;
}

size_t lt_product_scratch(const lt_product *p, const lathe_problem *problem, int threads)
{
    return scratch_layout(p, problem).total * (size_t)threads;
}

double lt_product_cost(const lt_cpu_isa *isa, const lathe_problem *problem, double m, double n, double k, double built)
{
    double rows = (double)(int64_t)((m + isa->mr - 1) / isa->mr) * isa->mr,
           cols = (double)(int64_t)((n + isa->nr - 1) / isa->nr) * isa->nr;
    double small = m < isa->mr ? m : rows; /* few rows: as many as there are, but each waits for memory */
    double sums = 2 * small * cols * k / isa->gflops, memory = lt_problem_bytes(problem) * 0.03,
           waits = m < 4 ? cols * k * 0.1 : 0;
    return 500 + (sums > waits ? sums : waits) + memory + built * 0.25 + m * n * lt_tile_cost(isa, problem);
}

/* ---- Running ---- */

typedef struct worker {
    const lt_product *p;
    const lathe_gang *gang;
    lt_tile_program program;
    float *tile, *row_buffer, *panel_buffer;
    int64_t group;                  /* panels of a group */
    int64_t have_batch, have_group; /* what the panel buffer holds */
    const float *panels;
} worker;

/* Small problems are cut finer, so that every thread has something to do. */
static int64_t group_size(const lt_product *p, int threads)
{
    int64_t panels = all_panels(p), blocks = (p->m + block_rows(p->isa) - 1) / block_rows(p->isa),
            limit = group_limit(p);
    int64_t wanted = threads > 1 ? (4 * threads + p->batch * blocks - 1) / (p->batch * blocks) : 1;
    int64_t even = (panels + wanted - 1) / wanted;
    return even < limit ? (even > 0 ? even : 1) : limit;
}

static bool is_half(const lt_product *p)
{
    return p->type == LATHE_DTYPE_F16 || p->type == LATHE_DTYPE_BF16;
}

/* alpha * sum + beta * addend on a tile. */
static void finish(const lt_product *p, float *tile, int64_t batch, int64_t row, int64_t col, int rows, int cols)
{
    int pitch = p->isa->nr;
    if (p->alpha != 1.0f) {
        for (int i = 0; i < rows * pitch; i++) {
            tile[i] *= p->alpha;
        }
    }
    if (!p->addend) {
        return;
    }
    int64_t at = batch % p->addend_period * p->addend_batch + row * p->addend_row + col * p->addend_col;
    for (int i = 0; i < rows; i++, at += p->addend_row) {
        float line[LT_GEMM_NR];
        if (is_half(p)) {
            lt_tile_fetch(p->type, line, 0, p->addend, at, p->addend_col, cols);
            p->isa->scaled_add(tile + i * pitch, line, 1, p->beta, cols);
        } else {
            p->isa->scaled_add(tile + i * pitch, (const float *)p->addend + at, p->addend_col, p->beta, cols);
        }
    }
}

static void one_tile(worker *w, int64_t batch, int64_t row, int rows, int64_t panel, const float *a, int64_t lda,
                     const float *b)
{
    const lt_product *p = w->p;
    const lt_gemm_kernel *kernels = p->kernels ? p->kernels : p->isa->gemm;
    int mr = p->isa->mr, nr = p->isa->nr;
    for (int i = 0; i < rows; i += mr) {
        int count = rows - i < mr ? rows - i : mr;
        kernels[count](p->k, a + i * lda, lda, b, w->tile + i * nr, nr);
    }
    int64_t col = panel * nr;
    int cols = p->n - col < nr ? (int)(p->n - col) : nr;
    if (p->finish) {
        p->finish(p, w->tile, batch, row, col, rows, cols, a, lda);
    } else {
        finish(p, w->tile, batch, row, col, rows, cols);
    }
    if (is_half(p)) {
        p->isa->round16(w->tile, p->type, rows * nr);
    }
    lt_tile_block block = {
        .start = (batch * p->m + row) * p->n + col, .row_step = p->n, .rows = rows, .cols = cols, .pitch = nr
    };
    lt_tile_run(&w->program, &block);
}

static void one_unit(worker *w, int64_t batch, int64_t group, int64_t block)
{
    const lt_product *p = w->p;
    int64_t first = group * w->group, left = all_panels(p) - first, count = left < w->group ? left : w->group, lda;
    int64_t row = block * block_rows(p->isa);
    int rows = p->m - row < block_rows(p->isa) ? (int)(p->m - row) : block_rows(p->isa);
    if (w->have_batch != batch || w->have_group != group) {
        w->panels = p->panels(p, batch, first, count, w->panel_buffer);
        w->have_batch = batch;
        w->have_group = group;
    }
    const float *a = p->rows(p, batch, row, rows, w->row_buffer, &lda);
    for (int64_t i = 0; i < count; i++) {
        one_tile(w, batch, row, rows, first + i, a, lda, w->panels + i * p->k * p->isa->nr);
    }
}

lathe_status lt_product_run(const lt_product *p, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    layout l = scratch_layout(p, call->problem);
    char *scratch = (char *)call->scratch + l.total * (size_t)gang->index;
    worker w = { .p = p, .gang = gang, .have_batch = -1, .have_group = -1 };
    w.tile = (float *)(scratch + l.tile);
    w.row_buffer = (float *)(scratch + l.rows);
    w.panel_buffer = (float *)(scratch + l.panels);
    LT_TRY(lt_tile_prepare(&w.program, p->isa, call, scratch, w.tile, diag));
    if (w.program.points != p->batch * p->m * p->n) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, call->problem->op, NULL, "the output has %lld elements, the product %lld",
                       (long long)w.program.points, (long long)(p->batch * p->m * p->n));
    }
    if (w.program.points == 0) {
        return LATHE_OK;
    }
    if (p->prepared) {
        p->prepared(p, &w.program);
    }
    w.group = group_size(p, gang->count);
    int64_t blocks = (p->m + block_rows(p->isa) - 1) / block_rows(p->isa),
            groups = (all_panels(p) + w.group - 1) / w.group, begin, end;
    lathe_gang_split(gang, p->batch * groups * blocks, 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        one_unit(&w, u / (groups * blocks), u / blocks % groups, u % blocks);
    }
    return LATHE_OK;
}

/* ---- Shared by drivers ---- */

const lathe_operand *lt_root_operand(const lathe_problem *problem, size_t slot, uint16_t *number)
{
    uint16_t n = slot < problem->n_root_in ? problem->root_in[slot] : 0xffff;
    if (number) {
        *number = n;
    }
    return n == 0xffff || (problem->in[n].flags & LATHE_OPERAND_ABSENT) ? NULL : &problem->in[n];
}

bool lt_root_packable(const lathe_problem *problem, size_t slot)
{
    uint16_t number;
    const lathe_operand *o = lt_root_operand(problem, slot, &number);
    if (!o || !(o->flags & LATHE_OPERAND_CONSTANT) || (o->flags & LATHE_OPERAND_HOST)) {
        return false;
    }
    for (size_t i = 0; i < problem->n_root_in; i++) {
        if (i != slot && problem->root_in[i] == number) {
            return false;
        }
    }
    for (size_t i = 0; i < problem->n_instrs; i++) {
        if (problem->instrs[i].op == LATHE_PW_LOAD && problem->instrs[i].operand == number) {
            return false;
        }
    }
    for (int d = 0; d < o->rank; d++) {
        if (o->dims[d].min != o->dims[d].max || o->dims[d].min < 1) {
            return false; /* an empty constant has no pack */
        }
    }
    return true;
}

lathe_dtype lt_root_type(const lathe_problem *problem)
{
    const lathe_operand *x = lt_root_operand(problem, 0, NULL);
    return x ? x->dtype : LATHE_DTYPE_UNDEFINED;
}

int lt_root_fits(const lathe_problem *problem, bool half, lathe_fit *fit)
{
    lathe_dtype type = lt_root_type(problem);
    const lathe_pw_instr *first;
    int count = lt_problem_epilogue(problem, &first);
    if ((size_t)count < problem->n_instrs) {
        return lt_no(fit, "has a prologue");
    }
    if (type != LATHE_DTYPE_F32 && !(half && (type == LATHE_DTYPE_F16 || type == LATHE_DTYPE_BF16))) {
        return lt_no(fit, "input 0 is %s", lathe_dtype_name(type) ? lathe_dtype_name(type) : "absent");
    }
    for (size_t slot = 0; slot < problem->n_root_in; slot++) {
        const lathe_operand *o = lt_root_operand(problem, slot, NULL);
        if (o && (o->dtype != type || o->rank < 0 || (o->flags & LATHE_OPERAND_MANAGED))) {
            return lt_no(fit, "input %zu is %s", slot, lathe_dtype_name(o->dtype));
        }
        if (!o && slot < 2) {
            return lt_no(fit, "input %zu is absent", slot);
        }
    }
    if (count == 0 && (problem->n_out != 1 || problem->out[0].dtype != type)) {
        return lt_no(fit, "the result is not one tensor of that type");
    }
    for (int i = 0; i < count; i++) {
        if (first[i].op == LATHE_PW_ROOT && (first[i].dtype != type || first[i].operand != 0)) {
            return lt_no(fit, "the result is %s", lathe_dtype_name(first[i].dtype));
        }
    }
    for (size_t i = 0; i < problem->n_out; i++) {
        if (problem->out[i].flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT)) {
            return lt_no(fit, "output %zu has no planned extents", i);
        }
    }
    return lt_tile_fits(problem, fit);
}

void lt_pack_panels(float *dst, lathe_dtype dtype, const void *b, int64_t row, int64_t col, int64_t k, int64_t n,
                    int nr, int64_t first, int64_t count)
{
    for (int64_t panel = first; panel < first + count; panel++, dst += k * nr) {
        int64_t j0 = panel * nr, cols = n - j0 < nr ? n - j0 : nr;
        for (int64_t p = 0; p < k; p++) {
            float *line = dst + p * nr;
            lt_tile_fetch(dtype, line, 0, b, p * row + j0 * col, col, (int)cols);
            memset(line + cols, 0, (size_t)(nr - cols) * sizeof *line);
        }
    }
}
