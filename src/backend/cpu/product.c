/*
 * product.c - the loop around the matrix product's kernels, and what drivers of f32 roots share. Used by gemm_tactics.c, conv_im2col.c and the quantized
 * drivers.
 *
 * Products in f32 go through the batch-reduce kernels (brgemm.h): each thread has one rectangle of rows and panels, walks its rows in blocks that stay in
 * the second-level cache, and lets panels stream past. An epilogue that ending.h knows happens in registers, on the way to the output; others run on tiles.
 * Products of other kernels are cut into units, a block of rows times a group of panels, dealt out in one order. Bits do not depend on the gang.
 */
#include "backend/cpu/product.h"
#include "backend/cpu/brgemm.h"
#include "backend/cpu/ending.h"
#include <math.h>
#include <string.h>

enum {
    GROUP_BYTES = 512 * 1024, /* panels that are built as they are reached */
    BLOCK_BYTES = 768 * 1024, /* rows of a block, as far as they are read at a time */
    LONG_K = 1024, /* from here on rows may be copied: they are a multiple of 4 KiB apart, or too long for the cache */
    ROW_PAD = LT_PRODUCT_PAD
};

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

/* Products of pairs of integers, or with corrections of their own, go unit by unit. */
static bool by_units(const lt_product *p)
{
    return p->kernels || p->finish || p->prepared;
}

/* Elements of the buffer of rows, for any cut of the inner extent. */
static size_t row_buffer(const lt_product *p)
{
    if (by_units(p)) {
        return p->rows_built ? (size_t)block_rows(p->isa) * (size_t)(p->k + p->row_extra) : 0;
    }
    if (!p->rows_built && p->k < LONG_K) {
        return 0;
    }
    size_t row = (size_t)p->k + ROW_PAD, all = (size_t)p->m * row,
           block = BLOCK_BYTES / sizeof(float) + LT_GEMM_MR * row;
    return all < block ? all : block;
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
    l.panels = l.rows + align64(row_buffer(p) * sizeof(float));
    l.total = l.panels + (p->panels_built ? align64(all < group ? all : group) : 0);
    return l;
}

size_t lt_product_scratch(const lt_product *p, const lathe_problem *problem, int threads)
{
    return scratch_layout(p, problem).total * (size_t)threads;
}

double lt_product_cost(const lt_cpu_isa *isa, const lathe_problem *problem, double m, double n, double k, double built)
{
    return lt_product_cost_along(isa, problem, -1, m, n, k, built);
}

double lt_product_cost_along(const lt_cpu_isa *isa, const lathe_problem *problem, int column, double m, double n,
                             double k, double built)
{
    bool simple = column >= 0 && lt_ending_read(problem, column).simple;
    double rows = m < 5 ? m + 1 : m + 0.5, unit = column >= 0 ? isa->nr / 2 : isa->nr,
           cols = ceil(n / unit) * unit; /* half a panel is half the work */
    double speed = isa->gflops * (column >= 0 ? 1.12 : 1), sums = 2 * rows * cols * k / speed,
           memory = lt_problem_bytes(problem) * 0.03, waits = m < 4 ? cols * k * (0.22 + 0.4 / isa->nr) - memory : 0;
    return 500 + (sums > waits ? sums : waits) + memory + built * 0.25 +
           m * n * (simple ? 0.02 : 0.04 + lt_tile_cost(isa, problem));
}

/* ---- Unit by unit ---- */

typedef struct worker {
    const lt_product *p;
    const lathe_gang *gang;
    lt_tile_program *program; /* large: not cleared */
    const lt_brgemm *kernels;
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

/* What follows the sums of a tile: corrections, rounding, the program. a: the rows that made it. */
static void end_tile(worker *w, int64_t batch, int64_t row, int rows, int64_t panel, const float *a, int64_t lda)
{
    const lt_product *p = w->p;
    int nr = p->isa->nr;
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
    lt_tile_run(w->program, &block);
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
    end_tile(w, batch, row, rows, panel, a, lda);
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

static lathe_status prepare_tiles(worker *w, const lathe_call *call, char *scratch, lathe_diag *diag)
{
    const lt_product *p = w->p;
    LT_TRY(lt_tile_prepare(w->program, p->isa, call, scratch, w->tile, diag));
    if (p->prepared) {
        p->prepared(p, w->program);
    }
    return LATHE_OK;
}

static void run_units(worker *w)
{
    const lt_product *p = w->p;
    w->group = group_size(p, w->gang->count);
    int64_t blocks = (p->m + block_rows(p->isa) - 1) / block_rows(p->isa),
            groups = (all_panels(p) + w->group - 1) / w->group, begin, end;
    lathe_gang_split(w->gang, p->batch * groups * blocks, 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        one_unit(w, u / (groups * blocks), u / blocks % groups, u % blocks);
    }
}

/* ---- Through the batch-reduce kernels ---- */

/* One thread's share. */
typedef struct region {
    int64_t batch[2], rows[2], panels[2]; /* begin and end */
} region;

static void part(int64_t total, int index, int count, int64_t range[2])
{
    range[0] = total * index / count;
    range[1] = total * (index + 1) / count;
}

/* What the slowest thread has to do, in multiply-adds of a panel's row; memory that it reads counts a little. */
static double share_cost(const lt_product *p, int batches, int rows, int panels)
{
    double b = (double)((p->batch + batches - 1) / batches), m = (double)((p->m + rows - 1) / rows),
           n = (double)((all_panels(p) + panels - 1) / panels);
    double slow = m < 5 ? 5 : m; /* the kernel is no faster with fewer rows */
    return b * (slow * n + n * (p->panels_built ? 20 : 3) + m * 0.3);
}

/* Threads are laid out over batches, rows and panels in the way that keeps the slowest share smallest. */
static region share(const lt_product *p, const lathe_gang *gang)
{
    int best[3] = { 1, 1, gang->count }, t = gang->count;
    double least = INFINITY;
    for (int b = 1; b <= t; b++) {
        for (int m = 1; t % b == 0 && m <= t / b; m++) {
            double cost = t / b % m == 0 ? share_cost(p, b, m, t / b / m) : INFINITY;
            if (cost < least) {
                least = cost;
                best[0] = b;
                best[1] = m;
                best[2] = t / b / m;
            }
        }
    }
    region r;
    part(all_panels(p), gang->index % best[2], best[2], r.panels);
    part(p->m, gang->index / best[2] % best[1], best[1], r.rows);
    part(p->batch, gang->index / best[2] / best[1], best[0], r.batch);
    return r;
}

typedef struct plan { /* of all threads alike */
    bool direct;      /* straight to the output */
    bool copy;        /* rows are copied, since they lie badly */
    int64_t chunk;    /* of the inner extent that is walked at a time */
    int64_t block;    /* rows of a block at most */
    const float *add; /* as the output lies; NULL */
    const float *bias;
    float scale, low, high;
    float *y;
    int64_t y_row, add_row; /* from row to row in y and add */
} plan;

/* The product's own addend, when registers can take it. */
static bool direct_addend(const lt_product *p, plan *d)
{
    if (!p->addend) {
        return true;
    }
    if (memcmp(&p->beta, &(float){ 1.0f }, sizeof p->beta) != 0 || p->addend_period != 1 || p->addend_col != 1) {
        return false;
    }
    if (p->addend_row == 0 && p->addend_batch == 0 && !d->bias) {
        d->bias = p->addend;
        return true;
    }
    return false;
}

static plan make_plan(const lt_product *p, const lathe_call *call)
{
    const lathe_problem *problem = call->problem;
    const lathe_operand *y = &problem->out[0];
    int column = y->rank > 0 ? y->format.order[y->rank - 1] : 0;
    lt_ending e = lt_ending_of_call(call, column, p->n);
    plan d = { .chunk = p->k, .scale = p->alpha, .low = e.low, .high = e.high, .y = call->out[0].data };
    d.y_row = lt_row_step(&call->out[0], p->n, sizeof(float));
    d.add_row = e.add >= 0 ? lt_row_step(&call->in[e.add], p->n, sizeof(float)) : 0;
    d.direct = e.simple && !is_half(p) && (p->alpha == 1.0f || e.scale == 1.0f);
    if (d.direct) {
        d.scale = p->alpha == 1.0f ? e.scale : p->alpha;
        d.bias = e.bias >= 0 ? call->in[e.bias].data : NULL;
        d.add = e.add >= 0 ? call->in[e.add].data : NULL;
        d.direct = (e.scale == 1.0f || !p->addend) && direct_addend(p, &d);
    }
    d.copy = !p->rows_built && p->k >= LONG_K && p->k % 1024 == 0 && all_panels(p) >= 6 && p->m > 6;
    /* Long rows are walked in chunks, for all columns. An addend then joins after the first of them: so bits must not depend on anything but extents. */
    if (d.direct && !p->rows_built && p->k >= 3 * LONG_K / 2 && p->m >= 48 && all_panels(p) >= 6 &&
        !(d.add && d.scale != 1.0f)) {
        int64_t chunks = (p->k + LONG_K - 1) / LONG_K;
        d.chunk = ((p->k + chunks - 1) / chunks + 15) / 16 * 16;
    }
    int64_t row = (d.chunk + ROW_PAD) * (int64_t)sizeof(float), fit = BLOCK_BYTES / row;
    d.block = fit < LT_GEMM_MR ? LT_GEMM_MR : fit / LT_GEMM_MR * LT_GEMM_MR;
    return d;
}

/* The panel `panel` of the block's rows, one stretch of the inner extent. call: a, lda, k, b, next. */
static void emit(worker *w, const plan *d, lt_brgemm_call *call, int64_t batch, int64_t row, int64_t rows,
                 int64_t panel, int64_t from)
{
    const lt_product *p = w->p;
    int nr = p->isa->nr;
    int64_t col = panel * nr, first_row = batch * p->m + row;
    bool last = from + call->k >= p->k;
    call->cols = p->n - col < nr ? (int)(p->n - col) : nr;
    if (d->direct) {
        call->c[0] = d->y + first_row * d->y_row + col;
        call->ldc = d->y_row;
        call->ld_add = d->add_row;
        call->accumulate = from > 0;
        call->add[0] = d->add && from == 0 ? d->add + first_row * d->add_row + col : NULL;
        call->scale = last ? d->scale : 1;
        call->bias = last && d->bias ? d->bias + col : NULL;
        call->low = last ? d->low : -INFINITY;
        call->high = last ? d->high : INFINITY;
        lt_brgemm_run(w->kernels, call, rows);
        return;
    }
    const float *a = call->a[0];
    int most = block_rows(p->isa);
    int64_t pairs = (rows + 1) / 2, blocks = (2 * pairs + most - 1) / most, first = 0;
    call->c[0] = w->tile;
    call->ldc = nr;
    for (int64_t i = 0; i < blocks; i++) {
        int64_t end = 2 * (pairs * (i + 1) / blocks);
        int count = (int)((end < rows ? end : rows) - first);
        call->a[0] = a + first * call->lda;
        lt_brgemm_run(w->kernels, call, count);
        end_tile(w, batch, row + first, count, panel, call->a[0], call->lda);
        first += count;
    }
    call->a[0] = a;
}

/* A block of rows times `count` panels from `first` on, which start at `panels`. */
static void one_block(worker *w, const plan *d, int64_t batch, int64_t row, int64_t rows, int64_t first, int64_t count,
                      const float *panels)
{
    const lt_product *p = w->p;
    int64_t lda, nr = p->isa->nr;
    const float *a = p->rows(p, batch, row, (int)rows, w->row_buffer, &lda);
    for (int64_t from = 0; from == 0 || from<p->k; from += d->chunk> 0 ? d->chunk : 1) {
        int64_t k = p->k - from < d->chunk ? p->k - from : d->chunk;
        lt_brgemm_call call = {
            .lda = lda, .taps = 1, .k = k, .scale = 1, .low = -INFINITY, .high = INFINITY, .a = { a + from }
        };
        if (d->copy) {
            call.lda = k + ROW_PAD;
            call.a[0] = w->row_buffer;
            for (int64_t i = 0; i < rows; i++) {
                memcpy(w->row_buffer + i * call.lda, a + i * lda + from, (size_t)k * sizeof(float));
            }
        }
        for (int64_t i = 0; i < count; i++) {
            call.b = panels + (i * p->k + from) * nr;
            call.next = i + 1 < count ? call.b + p->k * nr : NULL;
            emit(w, d, &call, batch, row, rows, first + i, from);
        }
    }
}

static void run_region(worker *w, const plan *d)
{
    const lt_product *p = w->p;
    region r = share(p, w->gang);
    int64_t rows = r.rows[1] - r.rows[0], all = r.panels[1] - r.panels[0];
    int64_t blocks = (rows + d->block - 1) / d->block, group = p->panels_built ? group_limit(p) : all;
    for (int64_t batch = r.batch[0]; batch < r.batch[1]; batch++) {
        for (int64_t first = r.panels[0]; first < r.panels[1]; first += group) {
            int64_t count = r.panels[1] - first < group ? r.panels[1] - first : group;
            const float *panels = rows > 0 ? p->panels(p, batch, first, count, w->panel_buffer) : NULL;
            for (int64_t i = 0; i < blocks; i++) {
                int64_t from = r.rows[0] + rows * i / blocks, to = r.rows[0] + rows * (i + 1) / blocks;
                one_block(w, d, batch, from, to - from, first, count, panels);
            }
        }
    }
}

lathe_status lt_product_run(const lt_product *p, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    layout l = scratch_layout(p, call->problem);
    char *scratch = (char *)call->scratch + l.total * (size_t)gang->index;
    lt_tile_program program;
    worker w = {
        .p = p, .program = &program, .gang = gang, .have_batch = -1, .have_group = -1, .kernels = lt_brgemm_of(p->isa)
    };
    w.tile = (float *)(scratch + l.tile);
    w.row_buffer = (float *)(scratch + l.rows);
    w.panel_buffer = (float *)(scratch + l.panels);
    int64_t points = 1;
    for (int i = 0; i < call->out[0].rank; i++) {
        if (call->out[0].dims[i] < 0 || !lt_i64_mul(points, call->out[0].dims[i], &points)) {
            return LT_FAIL(diag, LATHE_OVERFLOW, call->problem->op, NULL, "the number of elements overflows");
        }
    }
    if (points != p->batch * p->m * p->n) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, call->problem->op, NULL, "the output has %lld elements, the product %lld",
                       (long long)points, (long long)(p->batch * p->m * p->n));
    }
    if (points == 0) {
        return LATHE_OK;
    }
    if (by_units(p)) {
        LT_TRY(prepare_tiles(&w, call, scratch, diag));
        run_units(&w);
        return LATHE_OK;
    }
    plan d = make_plan(p, call);
    if (!d.direct) {
        LT_TRY(prepare_tiles(&w, call, scratch, diag));
        memset(w.tile, 0, LT_TILE * sizeof(float)); /* lanes behind the last column hold numbers */
    }
    run_region(&w, &d);
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

int lt_reduced_axes(const lathe_problem *problem, int rank, uint32_t *over, lathe_fit *fit)
{
    const lathe_operand *axes = lt_root_operand(problem, 1, NULL);
    if (axes && (!axes->value || axes->value->rank != 1)) {
        return lt_no(fit, "axes are not known");
    }
    int64_t count = axes ? axes->value->dims[0] : 0;
    *over = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t a = lt_load_i64(axes->value->dtype, axes->value->data, i);
        a += a < 0 ? rank : 0;
        if (a < 0 || a >= rank) {
            return lt_no(fit, "axis %lld of %d", (long long)a, rank);
        }
        *over |= 1u << a;
    }
    if (count == 0) {
        if (lt_attr_i(problem->attrs, problem->n_attrs, "noop_with_empty_axes", 0) != 0) {
            return lt_no(fit, "nothing is reduced");
        }
        *over = (1u << rank) - 1u;
    }
    return 1;
}

lathe_dtype lt_root_type(const lathe_problem *problem)
{
    const lathe_operand *x = lt_root_operand(problem, 0, NULL);
    return x ? x->dtype : LATHE_DTYPE_UNDEFINED;
}

int lt_outputs_planned(const lathe_problem *problem, lathe_fit *fit)
{
    for (size_t i = 0; i < problem->n_out; i++) {
        if (problem->out[i].flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT)) {
            return lt_no(fit, "output %zu has no planned extents", i);
        }
    }
    return 1;
}

int lt_epilogue_fits(const lathe_problem *problem, lathe_dtype type, lathe_fit *fit)
{
    const lathe_pw_instr *first;
    int count = lt_problem_epilogue(problem, &first);
    if ((size_t)count < problem->n_instrs) {
        return lt_no(fit, "has a prologue");
    }
    if (count == 0 && (problem->n_out != 1 || problem->out[0].dtype != type)) {
        return lt_no(fit, "the result is not one tensor of %s", lathe_dtype_name(type));
    }
    for (int i = 0; i < count; i++) {
        if (first[i].op == LATHE_PW_ROOT && (first[i].dtype != type || first[i].operand != 0)) {
            return lt_no(fit, "the result is %s", lathe_dtype_name(first[i].dtype));
        }
    }
    return lt_outputs_planned(problem, fit) && lt_tile_fits(problem, fit);
}

int lt_root_fits(const lathe_problem *problem, bool half, lathe_fit *fit)
{
    lathe_dtype type = lt_root_type(problem);
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
    return lt_epilogue_fits(problem, type, fit);
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
