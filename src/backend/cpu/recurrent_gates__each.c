/*
 * recurrent_gates__each.c - tactic recurrent.f32: RNN, GRU and LSTM in both directions. The products of a chunk of inputs are computed together; then each
 * step multiplies the state by the recurrent weights and applies the gates to the sums of a block of units while they are in the first-level cache.
 *
 * Threads share blocks of units, not steps, and meet at a barrier after each step. A unit's bits depend on the batch, not on the threads.
 */
#include "backend/cpu/recurrent_form.h"
#include "backend/cpu/vectors.inc"

#include "backend/cpu/vector_math.inc"

#include "backend/cpu/product.h"

/* ---- Products ---- */

#if LT_VECTOR_BYTES == 64
enum { ROWS = 6 };
#elif LT_VECTOR_BYTES == 32
enum { ROWS = 3 };
#else
enum { ROWS = 2 };
#endif

/* out[i][g] = sum over p of a[i][p] * b[p][g] for vectors g < gates. Few sums are split in `parts` by p modulo parts, to hide the latency of additions. */
INLINE void panel_product(const int rows, const int gates, const int parts, int64_t k, const float *const *a,
                          const float *b, vf *out)
{
    vf acc[24];
#pragma GCC unroll 24
    for (int i = 0; i < rows * gates * parts; i++) {
        acc[i] = (vf){ 0 };
    }
    int64_t p = 0;
    for (; p + parts <= k; p += parts) {
#pragma GCC unroll 4
        for (int q = 0; q < parts; q++, b += gates * VL) {
#pragma GCC unroll 6
            for (int i = 0; i < rows; i++) {
                vf x = splat(a[i][p + q]);
#pragma GCC unroll 4
                for (int g = 0; g < gates; g++) {
                    int n = (q * rows + i) * gates + g;
                    acc[n] = MULTIPLY_ADD(x, *(const vf *)(b + g * VL), acc[n]);
                }
            }
        }
    }
    for (; parts > 1 && p < k; p++, b += gates * VL) {
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
            for (int g = 0; g < gates; g++) {
                acc[i * gates + g] = MULTIPLY_ADD(splat(a[i][p]), *(const vf *)(b + g * VL), acc[i * gates + g]);
            }
        }
    }
#pragma GCC unroll 24
    for (int n = 0; n < rows * gates; n++) {
        vf sum = acc[n];
#pragma GCC unroll 4
        for (int q = 1; q < parts; q++) {
            sum += acc[q * rows * gates + n];
        }
        out[n] = sum;
    }
}

typedef void (*panel_fn)(int64_t k, const float *const *a, const float *b, vf *out);

#define PANEL(rows, gates, parts)                                                                                      \
    static void panel_##gates##_##rows(int64_t k, const float *const *a, const float *b, vf *out)                      \
    {                                                                                                                  \
        panel_product(rows, gates, parts, k, a, b, out);                                                               \
    }

PANEL(1, 1, 4)
PANEL(1, 2, 4)
PANEL(1, 3, 2)
PANEL(1, 4, 2)
PANEL(2, 1, 4)
PANEL(2, 2, 2)
PANEL(2, 3, 1)
PANEL(2, 4, 1)
#if LT_VECTOR_BYTES > 16
PANEL(3, 1, 2)
PANEL(3, 2, 1)
PANEL(3, 3, 1)
PANEL(3, 4, 1)
#endif
#if LT_VECTOR_BYTES > 32
PANEL(4, 1, 2)
PANEL(4, 2, 1)
PANEL(4, 3, 1)
PANEL(4, 4, 1)
PANEL(5, 1, 2)
PANEL(5, 2, 1)
PANEL(5, 3, 1)
PANEL(5, 4, 1)
PANEL(6, 1, 2)
PANEL(6, 2, 1)
PANEL(6, 3, 1)
PANEL(6, 4, 1)
#define PANELS(gates)                                                                                                  \
    {                                                                                                                  \
        NULL, panel_##gates##_1, panel_##gates##_2, panel_##gates##_3, panel_##gates##_4, panel_##gates##_5,           \
            panel_##gates##_6                                                                                          \
    }
#elif LT_VECTOR_BYTES > 16
#define PANELS(gates)                                                                                                  \
    {                                                                                                                  \
        NULL, panel_##gates##_1, panel_##gates##_2, panel_##gates##_3                                                  \
    }
#else
#define PANELS(gates)                                                                                                  \
    {                                                                                                                  \
        NULL, panel_##gates##_1, panel_##gates##_2                                                                     \
    }
#endif

static const panel_fn panels[LT_CELL_GATES + 1][ROWS + 1] = { { NULL }, PANELS(1), PANELS(2), PANELS(3), PANELS(4) };

/* Rows of the next group when `left` of them remain: near equal groups of at most ROWS. */
static int group_rows(int64_t left)
{
    int64_t groups = (left + ROWS - 1) / ROWS;
    return (int)((left + groups - 1) / groups);
}

/* ---- A call ---- */

typedef struct work {
    lt_recurrent r;
    const float *x, *h0, *c0;
    const char *lengths; /* i32; NULL: all sequences are full */
    const float *bias_in, *peep_in;
    float *y, *y_h, *y_c;
    const float *w, *rw;
    float *gates, *bias, *late, *peep, *h[2], *c, *update, *gated;
} work;

static int64_t length_of(const work *k, int64_t b)
{
    int32_t n;
    if (!k->lengths) {
        return k->r.steps;
    }
    memcpy(&n, k->lengths + b * (int64_t)sizeof n, sizeof n);
    return n;
}

static bool backward(const work *k, int64_t dir)
{
    return k->r.reverse || dir == 1;
}

/* The place in time of step s of a sequence; past its end, any place. */
static int64_t time_of(const work *k, int64_t dir, int64_t b, int64_t s)
{
    int64_t length = length_of(k, b);
    return backward(k, dir) && s < length ? length - 1 - s : s;
}

static float *output_at(const work *k, int64_t dir, int64_t t, int64_t b)
{
    const lt_recurrent *r = &k->r;
    int64_t place = r->batch_first ? (b * r->steps + t) * r->dirs + dir : (t * r->dirs + dir) * r->batch + b;
    return k->y + place * r->hidden;
}

static int64_t state_at(const work *k, int64_t dir, int64_t b)
{
    return (k->r.batch_first ? b * k->r.dirs + dir : dir * k->r.batch + b) * k->r.hidden;
}

/* One block of units of one direction. */
typedef struct unit {
    int64_t dir, block, first; /* first: unit */
    int count;                 /* units, fewer than lanes in the last block */
} unit;

static unit unit_of(const work *k, int64_t number)
{
    unit u = { .dir = number / k->r.blocks, .block = number % k->r.blocks };
    u.first = u.block * VL;
    u.count = k->r.hidden - u.first < VL ? (int)(k->r.hidden - u.first) : VL;
    return u;
}

static vf load_some(const float *src, int count)
{
    vf v = (vf){ 0 };
    memcpy(&v, src, (size_t)count * sizeof *src);
    return v;
}

static void store_some(float *dst, vf v, int count)
{
    memcpy(dst, &v, (size_t)count * sizeof *dst);
}

/* A vector of a state of sequence b. */
static vf *state_of(const work *k, float *state, const unit *u, int64_t b)
{
    return (vf *)(state + (u->dir * k->r.batch + b) * k->r.padded + u->first);
}

static vf *row_gates(const work *k, const unit *u, int64_t row)
{
    int64_t width = (int64_t)k->r.gates * VL;
    return (vf *)(k->gates + ((u->dir * k->r.chunk * k->r.batch + row) * k->r.blocks + u->block) * width);
}

/* ---- Before the first step ---- */

static void prepare_bias(const work *k, const unit *u)
{
    const lt_recurrent *r = &k->r;
    int64_t width = r->gates * r->hidden;
    vf *bias = (vf *)(k->bias + (u->dir * r->blocks + u->block) * r->gates * VL);
    for (int g = 0; g < r->gates; g++) {
        const float *from = k->bias_in ? k->bias_in + u->dir * 2 * width + g * r->hidden + u->first : NULL;
        vf in = from ? load_some(from, u->count) : (vf){ 0 },
           rec = from ? load_some(from + width, u->count) : (vf){ 0 };
        bool late = r->linear && g == 2;
        bias[g] = in;
        if (late) {
            *(vf *)(k->late + u->dir * r->padded + u->first) = rec;
        } else {
            bias[g] += rec;
        }
    }
    for (int g = 0; r->kind == LT_CELL_LSTM && g < 3; g++) {
        const float *from = k->peep_in ? k->peep_in + (u->dir * 3 + g) * r->hidden + u->first : NULL;
        *(vf *)(k->peep + (u->dir * 3 + g) * r->padded + u->first) = from ? load_some(from, u->count) : (vf){ 0 };
    }
}

static void prepare_states(const work *k, const unit *u)
{
    for (int64_t b = 0; b < k->r.batch; b++) {
        int64_t at = state_at(k, u->dir, b) + u->first;
        *state_of(k, k->h[0], u, b) = k->h0 ? load_some(k->h0 + at, u->count) : (vf){ 0 };
        if (k->r.kind == LT_CELL_LSTM) {
            *state_of(k, k->c, u, b) = k->c0 ? load_some(k->c0 + at, u->count) : (vf){ 0 };
        }
        for (int64_t t = length_of(k, b); k->y && t < k->r.steps; t++) { /* behind the end */
            store_some(output_at(k, u->dir, t, b) + u->first, (vf){ 0 }, u->count);
        }
    }
}

static void finish_states(const work *k, const unit *u)
{
    for (int64_t b = 0; b < k->r.batch; b++) {
        int64_t at = state_at(k, u->dir, b) + u->first;
        if (k->y_h) {
            store_some(k->y_h + at, *state_of(k, k->h[k->r.steps % 2], u, b), u->count);
        }
        if (k->y_c) {
            store_some(k->y_c + at, *state_of(k, k->c, u, b), u->count);
        }
    }
}

/* Inputs of steps first .. first + steps times W, plus biases. */
static void project(const work *k, const unit *u, int64_t first, int64_t steps)
{
    const lt_recurrent *r = &k->r;
    const float *a[ROWS], *b = k->w + (u->dir * r->blocks + u->block) * r->gates * VL * r->input;
    const vf *bias = (const vf *)(k->bias + (u->dir * r->blocks + u->block) * r->gates * VL);
    vf sums[ROWS * LT_CELL_GATES];
    int64_t rows = steps * r->batch;
    for (int64_t at = 0; at < rows;) {
        int n = group_rows(rows - at);
        for (int i = 0; i < n; i++) {
            int64_t seq = (at + i) % r->batch, t = time_of(k, u->dir, seq, first + (at + i) / r->batch);
            a[i] = k->x + (r->batch_first ? seq * r->steps + t : t * r->batch + seq) * r->input;
        }
        panels[r->gates][n](r->input, a, b, sums);
        for (int i = 0; i < n; i++) {
            vf *to = row_gates(k, u, at + i);
            for (int g = 0; g < r->gates; g++) {
                to[g] = sums[i * r->gates + g] + bias[g];
            }
        }
        at += n;
    }
}

/* ---- Gates ---- */

INLINE vf apply_act(const lt_cell_act *act, vf x)
{
    vf zero = (vf){ 0 };
    switch (act->fn) {
    case LT_CELL_SIGMOID:
        return vsigmoid(x);
    case LT_CELL_TANH:
        return vtanh(x);
    case LT_CELL_RELU:
        return choose(x <= zero, zero, x);
    case LT_CELL_AFFINE:
        return x * act->alpha + act->beta;
    case LT_CELL_LEAKY_RELU:
        return choose(x < zero, x * act->alpha, x);
    case LT_CELL_THRESHOLDED_RELU:
        return choose(x < splat(act->alpha), zero, x);
    case LT_CELL_SCALED_TANH:
        return vtanh(x * act->beta) * act->alpha;
    case LT_CELL_HARD_SIGMOID:
        x = x * act->alpha + act->beta;
        return choose(x < zero, zero, choose(x > splat(1.0f), splat(1.0f), x));
    default:
        return x / (1.0f + vabs(x));
    }
}

/* Arguments of gates are clipped; NaN stays. */
static vf gate(const work *k, int64_t dir, int which, vf x)
{
    if (k->r.clipped) {
        vf high = splat(k->r.clip);
        x = choose(x > high, high, choose(x < -high, -high, x));
    }
    return apply_act(&k->r.act[dir][which], x);
}

/* New cell and state of one row; in: the input's part of the sums, rec: the state's. */
static vf lstm_row(const work *k, const unit *u, const vf *in, const vf *rec, vf *cell)
{
    const vf *peep = (const vf *)(k->peep + u->dir * 3 * k->r.padded + u->first);
    int64_t next = k->r.padded / VL;
    vf i = in[0] + rec[0], o = in[1] + rec[1], f = in[2] + rec[2], g = in[3] + rec[3];
    if (k->peep_in) {
        i += peep[0] * *cell;
        f += peep[2 * next] * *cell;
    }
    i = gate(k, u->dir, 0, i);
    f = gate(k, u->dir, 0, f);
    if (k->r.coupled) {
        f = 1.0f - i;
    }
    *cell = f * *cell + i * gate(k, u->dir, 1, g);
    if (k->peep_in) {
        o += peep[next] * *cell;
    }
    return gate(k, u->dir, 0, o) * apply_act(&k->r.act[u->dir][2], *cell);
}

static vf gru_row(const work *k, const unit *u, const vf *in, const vf *rec, vf h)
{
    vf late = *(const vf *)(k->late + u->dir * k->r.padded + u->first);
    vf update = gate(k, u->dir, 0, in[0] + rec[0]), reset = gate(k, u->dir, 0, in[1] + rec[1]);
    vf fresh = gate(k, u->dir, 1, in[2] + reset * (rec[2] + late));
    return (1.0f - update) * fresh + update * h;
}

/* ---- Steps ---- */

static const float *recurrent_panel(const work *k, const unit *u)
{
    return k->rw + (u->dir * k->r.blocks + u->block) * k->r.gates * VL * k->r.hidden;
}

/* The new state of sequence b, to the other buffer and to the output. */
static void leave(const work *k, const unit *u, int64_t s, int64_t b, vf h)
{
    *state_of(k, k->h[(s + 1) % 2], u, b) = h;
    if (k->y) {
        store_some(output_at(k, u->dir, time_of(k, u->dir, b, s), b) + u->first, h, u->count);
    }
}

static void keep(const work *k, const unit *u, int64_t s, int64_t b)
{
    *state_of(k, k->h[(s + 1) % 2], u, b) = *state_of(k, k->h[s % 2], u, b);
}

/* Rows of states for a product: sequences first .. first + n. */
static void state_rows(const work *k, const float *state, int64_t dir, int64_t first, int n, const float **a)
{
    for (int i = 0; i < n; i++) {
        a[i] = state + (dir * k->r.batch + first + i) * k->r.padded;
    }
}

/* Step s of a block; row0: that step's first row of input products. */
static void step_block(const work *k, const unit *u, int64_t s, int64_t row0)
{
    const lt_recurrent *r = &k->r;
    const float *a[ROWS], *panel = recurrent_panel(k, u);
    vf rec[ROWS * LT_CELL_GATES];
    for (int64_t at = 0; at < r->batch;) {
        int n = group_rows(r->batch - at);
        state_rows(k, k->h[s % 2], u->dir, at, n, a);
        panels[r->gates][n](r->hidden, a, panel, rec);
        for (int i = 0; i < n; i++) {
            int64_t b = at + i;
            const vf *in = row_gates(k, u, row0 + b), *sums = rec + i * r->gates;
            if (s >= length_of(k, b)) {
                keep(k, u, s, b);
            } else if (r->kind == LT_CELL_LSTM) {
                leave(k, u, s, b, lstm_row(k, u, in, sums, state_of(k, k->c, u, b)));
            } else if (r->kind == LT_CELL_GRU) {
                leave(k, u, s, b, gru_row(k, u, in, sums, *state_of(k, k->h[s % 2], u, b)));
            } else {
                leave(k, u, s, b, gate(k, u->dir, 0, in[0] + sums[0]));
            }
        }
        at += n;
    }
}

/* A GRU that resets before the product: update and reset gates first, for all units ... */
static void step_reset(const work *k, const unit *u, int64_t s, int64_t row0)
{
    const float *a[ROWS], *panel = recurrent_panel(k, u);
    vf rec[ROWS * LT_CELL_GATES];
    for (int64_t at = 0; at < k->r.batch;) {
        int n = group_rows(k->r.batch - at);
        state_rows(k, k->h[s % 2], u->dir, at, n, a);
        panels[2][n](k->r.hidden, a, panel, rec);
        for (int i = 0; i < n; i++) {
            const vf *in = row_gates(k, u, row0 + at + i);
            *state_of(k, k->update, u, at + i) = gate(k, u->dir, 0, in[0] + rec[2 * i]);
            *state_of(k, k->gated, u, at + i) =
                gate(k, u->dir, 0, in[1] + rec[2 * i + 1]) * *state_of(k, k->h[s % 2], u, at + i);
        }
        at += n;
    }
}

/* ... then the candidate. */
static void step_candidate(const work *k, const unit *u, int64_t s, int64_t row0)
{
    const float *a[ROWS], *panel = recurrent_panel(k, u) + 2 * VL * k->r.hidden;
    vf rec[ROWS * LT_CELL_GATES];
    for (int64_t at = 0; at < k->r.batch;) {
        int n = group_rows(k->r.batch - at);
        state_rows(k, k->gated, u->dir, at, n, a);
        panels[1][n](k->r.hidden, a, panel, rec);
        for (int i = 0; i < n; i++) {
            int64_t b = at + i;
            vf fresh = gate(k, u->dir, 1, row_gates(k, u, row0 + b)[2] + rec[i]),
               update = *state_of(k, k->update, u, b);
            if (s >= length_of(k, b)) {
                keep(k, u, s, b);
            } else {
                leave(k, u, s, b, (1.0f - update) * fresh + update * *state_of(k, k->h[s % 2], u, b));
            }
        }
        at += n;
    }
}

/* All steps for blocks begin .. end. Every thread of the gang passes the same barriers. */
static void run_blocks(const work *k, const lathe_gang *gang, int64_t begin, int64_t end)
{
    const lt_recurrent *r = &k->r;
    bool two = r->kind == LT_CELL_GRU && !r->linear;
    for (int64_t i = begin; i < end; i++) {
        unit u = unit_of(k, i);
        prepare_bias(k, &u);
        prepare_states(k, &u);
    }
    gang->barrier(gang);
    for (int64_t s = 0; s < r->steps; s++) {
        int64_t row0 = s % r->chunk * r->batch;
        for (int64_t i = begin; row0 == 0 && i < end; i++) {
            unit u = unit_of(k, i);
            project(k, &u, s, r->steps - s < r->chunk ? r->steps - s : r->chunk);
        }
        for (int64_t i = begin; i < end; i++) {
            unit u = unit_of(k, i);
            (two ? step_reset : step_block)(k, &u, s, row0);
        }
        if (two) {
            gang->barrier(gang);
        }
        for (int64_t i = begin; two && i < end; i++) {
            unit u = unit_of(k, i);
            step_candidate(k, &u, s, row0);
        }
        gang->barrier(gang);
    }
    for (int64_t i = begin; i < end; i++) {
        unit u = unit_of(k, i);
        finish_states(k, &u);
    }
}

/* ---- The tactic ---- */

static const void *input_of(const lathe_call *call, size_t slot)
{
    uint16_t n;
    return slot < call->problem->n_root_in && lt_root_operand(call->problem, slot, &n) ? call->in[n].data : NULL;
}

static float *output_of(const lathe_call *call, size_t i)
{
    return i < call->problem->n_out && !(call->problem->out[i].flags & LATHE_OPERAND_ABSENT) ? call->out[i].data : NULL;
}

static lathe_status check_call(const lathe_call *call, const work *k, lathe_diag *diag)
{
    const lt_recurrent *r = &k->r;
    const lathe_buffer *y = call->out;
    int64_t f = r->batch_first,
            outputs[4] = { f ? r->batch : r->steps, f ? r->steps : r->dirs, f ? r->dirs : r->batch, r->hidden },
            states[3] = { f ? r->batch : r->dirs, f ? r->dirs : r->batch, r->hidden };
    for (size_t i = 0; i < call->problem->n_out; i++) {
        const int64_t *want = i == 0 ? outputs : states;
        for (int d = 0; output_of(call, i) && d < (i == 0 ? 4 : 3); d++) {
            if (y[i].rank != (i == 0 ? 4 : 3) || y[i].dims[d] != want[d]) {
                return LT_FAIL(diag, LATHE_BAD_SHAPE, call->problem->op, NULL, "output %zu has other extents", i);
            }
        }
    }
    for (int64_t b = 0; b < r->batch; b++) {
        int64_t length = length_of(k, b);
        if (length < 0 || length > r->steps) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, call->problem->op, NULL,
                           "sequence_lens[%lld] is %lld but there are %lld steps", (long long)b, (long long)length,
                           (long long)r->steps);
        }
    }
    return LATHE_OK;
}

static lathe_status describe(const lathe_call *call, work *k, lathe_diag *diag)
{
    lt_recurrent_room room;
    char *scratch = call->scratch;
    bool lstm;
    *k = (work){ .x = NULL };
    if (!lt_recurrent_read(call->problem, VL, call->in, &k->r) || !lt_recurrent_layout(&k->r, &room)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, call->problem->op, NULL, "the extents of the inputs do not go together");
    }
    lstm = k->r.kind == LT_CELL_LSTM;
    k->x = input_of(call, 0);
    k->w = k->r.pack_w ? input_of(call, 1) : (const float *)(const void *)(scratch + room.w);
    k->rw = k->r.pack_r ? input_of(call, 2) : (const float *)(const void *)(scratch + room.r);
    k->bias_in = input_of(call, 3);
    k->lengths = input_of(call, 4);
    k->h0 = input_of(call, 5);
    k->c0 = lstm ? input_of(call, 6) : NULL;
    k->peep_in = lstm ? input_of(call, 7) : NULL;
    k->y = output_of(call, 0);
    k->y_h = output_of(call, 1);
    k->y_c = lstm ? output_of(call, 2) : NULL;
    const size_t at[] = { room.gates, room.bias, room.late,   room.peep, room.h[0],
                          room.h[1],  room.c,    room.update, room.gated };
    float **to[] = { &k->gates, &k->bias, &k->late, &k->peep, &k->h[0], &k->h[1], &k->c, &k->update, &k->gated };
    for (size_t i = 0; i < LT_COUNT(to); i++) {
        *to[i] = (float *)(void *)(scratch + at[i]);
    }
    return check_call(call, k, diag);
}

/* Weights that are new in each run are packed by the thread that uses them. */
static void pack_blocks(const lathe_call *call, const work *k, int64_t begin, int64_t end)
{
    const lt_recurrent *r = &k->r;
    int early = r->kind == LT_CELL_GRU && !r->linear ? 2 : r->gates;
    if (!r->pack_w) {
        lt_recurrent_pack((float *)(uintptr_t)k->w, input_of(call, 1), VL, r->gates, r->gates, r->hidden, r->input,
                          begin, end);
    }
    if (!r->pack_r) {
        lt_recurrent_pack((float *)(uintptr_t)k->rw, input_of(call, 2), VL, r->gates, early, r->hidden, r->hidden,
                          begin, end);
    }
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    work k;
    int64_t begin, end;
    LT_TRY(describe(call, &k, diag));
    if (k.r.batch == 0) {
        return LATHE_OK;
    }
    lathe_gang_split(gang, k.r.dirs * k.r.blocks, 1, &begin, &end);
    pack_blocks(call, &k, begin, end);
    if (gang->count > 1) {
        run_blocks(&k, gang, begin, end);
        return LATHE_OK;
    }
    for (int64_t d = 0; d < k.r.dirs; d++) { /* one after the other: the weights of one may stay in the cache */
        run_blocks(&k, gang, d * k.r.blocks, (d + 1) * k.r.blocks);
    }
    return LATHE_OK;
}

ASKED static size_t scratch_bytes(const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                            const lathe_buffer *out, int threads)
{
    lt_recurrent r;
    lt_recurrent_room room;
    (void)config, (void)out, (void)threads;
    return lt_recurrent_read(problem, VL, in, &r) && lt_recurrent_layout(&r, &room) ? room.bytes : 0;
}

ASKED static int fits(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    lt_recurrent r;
    (void)config;
    if (!lt_recurrent_fits(problem, VL, &r, fit)) {
        return 0;
    }
    double rows = (double)r.steps * (double)r.batch, columns = (double)r.dirs * (double)r.padded,
           width = columns * r.gates,
           level = VL == 16  ? 1
                   : VL == 8 ? 1.4
                             : 2.8;
    double reads = width * (double)r.hidden * 4 / 60; /* one step's recurrent weights at 60 bytes a nanosecond */
    double sums = 2 * (double)r.batch * width * (double)r.hidden / (ISA_GFLOPS * 0.7);
    fit->cost = 500 + 2 * rows * width * (double)r.input / (ISA_GFLOPS * 0.6) +
                (double)r.steps * (reads > sums ? reads : sums) + rows * columns * r.gates * 0.5 * level;
    fit->cost += r.pack_w ? 0 : 1.5 * width * (double)r.input;
    fit->cost += r.pack_r ? 0 : 1.5 * width * (double)r.hidden;
    return 1;
}

LT_TACTICS(LT_EACH(recurrent)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "recurrent.f32." ISA_NAME,
      .version = 3,
      .summary = "recurrent layers: products of many inputs together, then gates block by block",
      .ops = "RNN GRU LSTM",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 1,
      .fits = fits,
      .scratch_bytes = scratch_bytes,
      .run = run },
    { .name = NULL },
};
