/*
 * gemm_blocks.c - driver of gemm.blocks: lathe.MatMulBlocks, real rows times constant weights of 2, 4 or 8 bits with a scale for each block. Weights stay
 * packed in memory. Few rows meet them where they are, and each weight becomes a number in a register; for many rows panels of numbers are made in
 * scratch, which the matrix product's loop (product.h) then takes as if they had been there. The sums are those of gemm.f32 in both cases.
 */
#include "backend/cpu/gemm_blocks.h"
#include "backend/cpu/product.h"
#include <string.h>

enum { A, B, SCALE, ZERO, COLS = LT_TILE / LT_BLOCKS_ROWS };

/* ---- How weights lie ---- */

/* Rows of words of `k` weights of a column, blocks of `block`. */
static int64_t word_rows(int64_t k, int64_t block, int bits)
{
    int64_t in_word = 32 / bits;
    return k / block * lt_ceil_div(block, in_word) + lt_ceil_div(k % block, in_word);
}

static bool is_level(lathe_dtype type)
{
    return lt_dtype_is_integer(type) && lathe_dtype_bits(type) <= 8;
}

/* Element `at` of an integer tensor as a level: weights count from the least number of their type. */
static uint32_t level_at(const lathe_tensor *t, int64_t at)
{
    return (uint32_t)(lt_load_i64(t->dtype, t->data, at) - lt_dtype_min_i64(t->dtype));
}

static void put_level(lathe_tensor *t, int64_t at, uint32_t level)
{
    lt_store_i64(t->dtype, t->data, at, (int64_t)level + lt_dtype_min_i64(t->dtype));
}

/* ---- The packs. param: nr, transposed, block ---- */

/* Extents along the inner extent (k, or blocks) and across it. */
static bool pack_shape(const lathe_tensor *t, const int64_t param[4], int64_t *k, int64_t *n)
{
    if (t->rank != 2 || param[0] < 1 || param[0] > LT_GEMM_NR || !lt_extents_sane(t->rank, t->dims)) {
        return false;
    }
    *k = t->dims[param[1] != 0];
    *n = t->dims[param[1] == 0];
    return *k > 0 && *n > 0;
}

static size_t panel_bytes(int64_t n, int64_t nr, int64_t rows, size_t size)
{
    int64_t count;
    size_t bytes;
    return lt_i64_mul(lt_ceil_div(n, nr) * nr, rows, &count) && lt_size_mul((size_t)count, size, &bytes) ? bytes : 0;
}

static size_t word_bytes(const lathe_tensor *t, const int64_t param[4])
{
    int64_t k, n;
    if (!is_level(t->dtype) || param[2] < 1 || !pack_shape(t, param, &k, &n)) {
        return 0;
    }
    return panel_bytes(n, param[0], word_rows(k, param[2], (int)lathe_dtype_bits(t->dtype)), sizeof(uint32_t));
}

/* How words and weights go together. */
typedef struct walk {
    int64_t k, n, nr, block, rows;
    int bits;
    bool turned;
} walk;

static bool read_walk(const lathe_tensor *t, const int64_t param[4], walk *w)
{
    *w = (walk){ .nr = param[0], .block = param[2], .bits = (int)lathe_dtype_bits(t->dtype), .turned = param[1] != 0 };
    if (!is_level(t->dtype) || w->block < 1 || !pack_shape(t, param, &w->k, &w->n)) {
        return false;
    }
    w->rows = word_rows(w->k, w->block, w->bits);
    return true;
}

/* The first word of a row of words, and what of it one weight takes. */
static int64_t row_of(const walk *w, int64_t k, int *shift)
{
    int64_t in_word = 32 / w->bits, inside = k % w->block;
    *shift = (int)(inside % in_word) * w->bits;
    return k / w->block * lt_ceil_div(w->block, in_word) + inside / in_word;
}

static void pack_words(void *dst, const lathe_tensor *t, const int64_t param[4])
{
    walk w;
    if (!read_walk(t, param, &w)) {
        return;
    }
    for (int64_t first = 0; first < w.n; first += w.nr) {
        uint32_t *panel = (uint32_t *)dst + first * w.rows;
        int64_t cols = w.n - first < w.nr ? w.n - first : w.nr;
        for (int64_t k = 0; k < w.k; k++) {
            int shift;
            uint32_t *words = panel + row_of(&w, k, &shift) * w.nr;
            for (int64_t j = 0; j < cols; j++) {
                words[j] |= level_at(t, w.turned ? (first + j) * w.k + k : k * w.n + first + j) << shift;
            }
        }
    }
}

static void unpack_words(lathe_tensor *dst, const void *packed, const int64_t param[4])
{
    walk w;
    if (!read_walk(dst, param, &w)) {
        return;
    }
    uint32_t mask = (1u << w.bits) - 1;
    memset(dst->data, 0, dst->bytes); /* the last byte may be none's in part */
    for (int64_t at = 0; at < w.k * w.n; at++) {
        int64_t k = w.turned ? at % w.k : at / w.n, n = w.turned ? at / w.k : at % w.n;
        int shift;
        const uint32_t *panel = (const uint32_t *)packed + n / w.nr * w.nr * w.rows,
                       *words = panel + row_of(&w, k, &shift) * w.nr;
        put_level(dst, at, words[n % w.nr] >> shift & mask);
    }
}

static size_t scale_bytes(const lathe_tensor *t, const int64_t param[4])
{
    int64_t blocks, n;
    return lt_lane_of(t->dtype) == LT_LANE_F32 && pack_shape(t, param, &blocks, &n)
               ? panel_bytes(n, param[0], blocks, sizeof(float))
               : 0;
}

static size_t zero_bytes(const lathe_tensor *t, const int64_t param[4])
{
    int64_t blocks, n;
    return is_level(t->dtype) && pack_shape(t, param, &blocks, &n) ? panel_bytes(n, param[0], blocks, 1) : 0;
}

/* Place of element `at` of a tensor of `blocks` parameters for each of `n` columns among those of all panels. */
static int64_t param_at(const int64_t param[4], int64_t blocks, int64_t n, int64_t at)
{
    int64_t nr = param[0], block = param[1] ? at % blocks : at / n, column = param[1] ? at / blocks : at % n;
    return column / nr * nr * blocks + block * nr + column % nr;
}

static void pack_scales(void *dst, const lathe_tensor *t, const int64_t param[4])
{
    int64_t blocks, n, count = pack_shape(t, param, &blocks, &n) ? blocks * n : 0;
    for (int64_t at = 0; at < count; at++) {
        lt_tile_fetch(t->dtype, (float *)dst + param_at(param, blocks, n, at), 0, t->data, at, 1, 1);
    }
}

static void unpack_scales(lathe_tensor *dst, const void *packed, const int64_t param[4])
{
    int64_t blocks, n, count = pack_shape(dst, param, &blocks, &n) ? blocks * n : 0;
    for (int64_t at = 0; at < count; at++) {
        lt_tile_put(dst->dtype, dst->data, at, 1, (const float *)packed + param_at(param, blocks, n, at), 0, 1);
    }
}

static void pack_zeros(void *dst, const lathe_tensor *t, const int64_t param[4])
{
    int64_t blocks, n, count = pack_shape(t, param, &blocks, &n) ? blocks * n : 0;
    for (int64_t at = 0; at < count; at++) {
        ((uint8_t *)dst)[param_at(param, blocks, n, at)] = (uint8_t)level_at(t, at);
    }
}

static void unpack_zeros(lathe_tensor *dst, const void *packed, const int64_t param[4])
{
    int64_t blocks, n, count = pack_shape(dst, param, &blocks, &n) ? blocks * n : 0;
    memset(dst->data, 0, dst->bytes);
    for (int64_t at = 0; at < count; at++) {
        put_level(dst, at, ((const uint8_t *)packed)[param_at(param, blocks, n, at)]);
    }
}

LT_PACKS(gemm_blocks) = {
    { .name = "gemm.b.bits",
      .version = 1,
      .summary = "weights of few bits in panels of param[0] columns, words along blocks of param[2]; param[1]: stored transposed",
      .bytes = word_bytes,
      .pack = pack_words,
      .unpack = unpack_words },
    { .name = "gemm.b.scales",
      .version = 1,
      .summary = "scales of blocks in panels of param[0] columns; param[1]: stored transposed",
      .bytes = scale_bytes,
      .pack = pack_scales,
      .unpack = unpack_scales },
    { .name = "gemm.b.zeros",
      .version = 1,
      .summary = "zero points of blocks in panels of param[0] columns, a byte for each; param[1]: stored transposed",
      .bytes = zero_bytes,
      .pack = pack_zeros,
      .unpack = unpack_zeros },
    { .name = NULL },
};

/* ---- Fitting ---- */

static bool is_turned(const lathe_problem *p)
{
    return lt_attr_i(p->attrs, p->n_attrs, "transB", 0) != 0;
}

/* The right matrix without its data; its extents are those of constants. */
static lt_blocks read_blocks(const lathe_problem *p)
{
    const lathe_operand *b = lt_root_operand(p, B, NULL);
    bool turned = is_turned(p);
    lt_blocks w = { .bits = (int)lathe_dtype_bits(b->dtype),
                    .k = b->dims[turned].max,
                    .n = b->dims[!turned].max,
                    .block = lt_attr_i(p->attrs, p->n_attrs, "block_size", 0) };
    w.middle = lt_dtype_is_signed(b->dtype) ? (uint8_t)(1u << (w.bits - 1)) : 0;
    w.blocks = w.block > 0 ? lt_ceil_div(w.k, w.block) : 0;
    w.rows_block = w.block > 0 ? lt_ceil_div(w.block, 32 / w.bits) : 0;
    w.rows = w.block > 0 ? word_rows(w.k, w.block, w.bits) : 0;
    return w;
}

/* A constant matrix with these extents along the inner extent and across it. */
static bool is_matrix(const lathe_problem *p, size_t slot, int64_t along, int64_t across)
{
    const lathe_operand *o = lt_root_operand(p, slot, NULL);
    return o->rank == 2 && lt_root_packable(p, slot) && o->dims[is_turned(p)].max == along &&
           o->dims[!is_turned(p)].max == across;
}

static int operands_fit(const lathe_problem *p, lathe_fit *fit)
{
    const lathe_operand *a = lt_root_operand(p, A, NULL), *b = lt_root_operand(p, B, NULL),
                        *scale = lt_root_operand(p, SCALE, NULL), *zero = lt_root_operand(p, ZERO, NULL);
    if (!a || !b || !scale || a->rank < 1 || (a->flags & LATHE_OPERAND_MANAGED)) {
        return lt_no(fit, "an operand is absent or of unknown rank");
    }
    if (lt_lane_of(a->dtype) != LT_LANE_F32 || scale->dtype != a->dtype || !is_level(b->dtype) || (zero && zero->dtype != b->dtype)) {
        return lt_no(fit, "%s times %s by %s", lathe_dtype_name(a->dtype), lathe_dtype_name(b->dtype),
                     lathe_dtype_name(scale->dtype));
    }
    if (b->rank != 2 || !lt_root_packable(p, B)) {
        return lt_no(fit, "the weights are no constant matrix");
    }
    lt_blocks w = read_blocks(p);
    if (w.block < 1 || !is_matrix(p, SCALE, w.blocks, w.n) || (zero && !is_matrix(p, ZERO, w.blocks, w.n))) {
        return lt_no(fit, "scales or zero points are no constants with one for each block");
    }
    return 1;
}

/* Nanoseconds for making one weight a number, in a register or in scratch. */
static double weight_cost(const lt_cpu_isa *isa)
{
    return 0.8 / isa->nr;
}

int lt_gemm_blocks_fits(const lt_blocks_level *level, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    const lt_cpu_isa *isa = level->isa;
    static const char *const packs[] = { NULL, "gemm.b.bits", "gemm.b.scales", "gemm.b.zeros" };
    uint16_t number;
    (void)config;
    if (!operands_fit(problem, fit) || !lt_epilogue_fits(problem, lt_root_type(problem), fit)) {
        return 0;
    }
    const lathe_operand *a = lt_root_operand(problem, A, &number);
    lt_blocks w = read_blocks(problem);
    lt_tile_formats(problem, NULL, fit);
    if (a->rank > 1) {
        lt_tile_rows_apart(problem, fit);
        fit->pitched_in |= number < 64 ? (uint64_t)1 << number : 0;
    }
    for (size_t slot = B; slot <= ZERO; slot++) {
        if (lt_root_operand(problem, slot, &number)) {
            fit->pack[number] = packs[slot];
            fit->pack_param[number][0] = isa->nr;
            fit->pack_param[number][1] = is_turned(problem);
            fit->pack_param[number][2] = w.block;
        }
    }
    double m = 1, n = (double)w.n, k = (double)w.k;
    for (int i = 0; i + 1 < a->rank; i++) {
        m *= (double)a->dims[i].opt;
    }
    fit->cost = m <= LT_BLOCKS_ROWS && a->dtype == LATHE_DTYPE_F32
                    ? 500 + n * k * weight_cost(isa) * (1 + 0.25 * m) + m * n * lt_tile_cost(isa, problem)
                    : lt_product_cost_along(isa, problem, problem->out[0].rank - 1, m, n, k, 0) +
                          n * k * weight_cost(isa) * 1.5;
    return 1;
}

/* ---- Running ---- */

typedef struct job {
    const lt_blocks_level *level;
    lt_blocks w;
    const char *a;
    int64_t m, lda;
    lathe_dtype type;
} job;

/* A packed operand whose extents are those that it was packed for. */
static bool is_packed_for(const lathe_problem *p, size_t slot, const lathe_buffer *in, int64_t along, int64_t across)
{
    uint16_t number;
    if (!lt_root_operand(p, slot, &number)) {
        return slot == ZERO;
    }
    const lathe_buffer *b = &in[number];
    return b->rank == 2 && b->dims[is_turned(p)] == along && b->dims[!is_turned(p)] == across;
}

static const void *data_of(const lathe_problem *p, size_t slot, const lathe_buffer *in)
{
    uint16_t number;
    return lt_root_operand(p, slot, &number) ? in[number].data : NULL;
}

static lathe_status read_job(const lt_blocks_level *level, const lathe_problem *p, const lathe_buffer *in, job *j,
                             lathe_diag *diag)
{
    uint16_t number;
    *j = (job){ .level = level, .w = read_blocks(p), .m = 1, .type = lt_root_operand(p, A, &number)->dtype };
    const lathe_buffer *a = &in[number];
    if (a->rank < 1 || !lt_extents_sane(a->rank, a->dims) || a->dims[a->rank - 1] != j->w.k ||
        !lt_dims_count(a->dims, a->rank - 1, &j->m) || !is_packed_for(p, B, in, j->w.k, j->w.n) ||
        !is_packed_for(p, SCALE, in, j->w.blocks, j->w.n) || !is_packed_for(p, ZERO, in, j->w.blocks, j->w.n)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, "give the left operand as many columns as there are weights in a column",
                       "the matrices do not go together");
    }
    j->a = data_of(p, A, in);
    j->lda = lt_row_step(a, j->w.k, lathe_dtype_bits(j->type) / 8);
    j->w.words = data_of(p, B, in);
    j->w.scale = data_of(p, SCALE, in);
    j->w.zero = data_of(p, ZERO, in);
    return LATHE_OK;
}

static bool is_direct(const job *j)
{
    return j->m <= LT_BLOCKS_ROWS && j->type == LATHE_DTYPE_F32;
}

/* ---- Many rows: panels of numbers for the product's loop ---- */

static const float *left_rows(const lt_product *p, int64_t batch, int64_t first, int count, float *buffer, int64_t *lda)
{
    const job *j = p->user;
    (void)batch;
    *lda = j->lda;
    if (!p->rows_built) {
        return (const float *)(const void *)j->a + first * j->lda;
    }
    *lda = p->k;
    for (int i = 0; i < count; i++) {
        p->isa->widen16(buffer + i * p->k, (const uint16_t *)(const void *)j->a + (first + i) * j->lda, j->type, p->k);
    }
    return buffer;
}

static const float *panels(const lt_product *p, int64_t batch, int64_t first, int64_t count, float *buffer)
{
    const job *j = p->user;
    int64_t size = p->k * p->isa->nr;
    (void)batch;
    for (int64_t i = 0; i < count; i++) {
        j->level->panel(&j->w, first + i, buffer + i * size);
        if (j->type != LATHE_DTYPE_F32) { /* as DequantizeLinear leaves them */
            p->isa->round16(buffer + i * size, j->type, size);
        }
    }
    return buffer;
}

static lt_product describe(const job *j)
{
    return (lt_product){ .isa = j->level->isa,
                         .batch = 1,
                         .m = j->m,
                         .n = j->w.n,
                         .k = j->w.k,
                         .rows = left_rows,
                         .panels = panels,
                         .user = j,
                         .type = j->type,
                         .rows_built = j->type != LATHE_DTYPE_F32,
                         .panels_built = true,
                         .alpha = 1,
                         .beta = 1,
                         .addend_period = 1 };
}

/* ---- Few rows ---- */

static size_t direct_scratch(const lathe_problem *problem)
{
    return lt_tile_scratch(problem) + LT_TILE * sizeof(float);
}

/* Columns first .. first + cols, whole panels but for the last one, into the tile. */
static void columns(const job *j, int64_t first, int cols, float *tile)
{
    int64_t nr = j->level->isa->nr;
    int panels = (int)lt_ceil_div(cols, nr);
    for (int i = 0; i < panels; i += 2) {
        j->level->rows(&j->w, first / nr + i, panels - i < 2 ? 1 : 2, (int)j->m, (const float *)(const void *)j->a,
                       j->lda, tile + i * nr, COLS);
    }
}

static lathe_status run_direct(const job *j, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    size_t registers = lt_tile_scratch(call->problem);
    char *scratch = (char *)call->scratch + direct_scratch(call->problem) * (size_t)gang->index;
    float *tile = (float *)(scratch + registers);
    lt_tile_program program;
    int64_t begin, end, n = j->w.n;
    LT_TRY(lt_tile_prepare(&program, j->level->isa, call, scratch, tile, diag));
    if (program.points != j->m * n) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, call->problem->op, "give the output the rows of the left operand and the columns of the weights",
                       "the output's extents are not those of the product");
    }
    if (program.points == 0) {
        return LATHE_OK;
    }
    memset(tile, 0, LT_TILE * sizeof(float)); /* rows that are not there hold numbers */
    lathe_gang_split(gang, n, 2 * j->level->isa->nr, &begin, &end);
    for (int64_t at = begin; at < end; at += COLS) {
        int cols = end - at < COLS ? (int)(end - at) : COLS;
        columns(j, at, cols, tile);
        lt_tile_block block = { .start = at, .row_step = n, .rows = (int)j->m, .cols = cols, .pitch = COLS };
        lt_tile_run(&program, &block);
    }
    return LATHE_OK;
}

size_t lt_gemm_blocks_scratch(const lt_blocks_level *level, const lathe_problem *problem, uint32_t config,
                              const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    job j;
    (void)config, (void)out;
    if (read_job(level, problem, in, &j, NULL) != LATHE_OK) {
        return 0;
    }
    size_t direct = direct_scratch(problem) * (size_t)threads, product = 0;
    if (!is_direct(&j)) {
        lt_product p = describe(&j);
        product = lt_product_scratch(&p, problem, threads);
    }
    return product > direct ? product : direct;
}

lathe_status lt_gemm_blocks_run(const lt_blocks_level *level, const lathe_gang *gang, const lathe_call *call,
                                lathe_diag *diag)
{
    job j;
    LT_TRY(read_job(level, call->problem, call->in, &j, diag));
    if (is_direct(&j)) {
        return run_direct(&j, gang, call, diag);
    }
    lt_product p = describe(&j);
    return lt_product_run(&p, gang, call, diag);
}
