/*
 * recurrent_form.c - see recurrent_form.h: reads problems of RNN, GRU and LSTM, and packs their weights. Knows no vectors.
 */
#include "backend/cpu/recurrent_form.h"
#include "backend/cpu/product.h"
#include <math.h>
#include <string.h>

/* ---- Attributes ---- */

static const struct act_row {
    const char *name;
    lt_cell_fn fn;
    bool has_alpha, has_beta;
    float alpha, beta; /* when the attributes do not give them */
} act_rows[] = {
    { "Sigmoid", LT_CELL_SIGMOID, false, false, 0, 0 },
    { "Tanh", LT_CELL_TANH, false, false, 0, 0 },
    { "Relu", LT_CELL_RELU, false, false, 0, 0 },
    { "Affine", LT_CELL_AFFINE, true, true, 1, 0 },
    { "LeakyRelu", LT_CELL_LEAKY_RELU, true, false, 0.01f, 0 },
    { "ThresholdedRelu", LT_CELL_THRESHOLDED_RELU, true, false, 1, 0 },
    { "ScaledTanh", LT_CELL_SCALED_TANH, true, true, 1, 1 },
    { "HardSigmoid", LT_CELL_HARD_SIGMOID, true, true, 0.2f, 0.5f },
    { "Softsign", LT_CELL_SOFTSIGN, false, false, 0, 0 },
};

static const struct cell_row {
    const char *op;
    lt_cell_kind kind;
    int gates, acts;
    const char *usual[LT_CELL_ACTS];
} cell_rows[] = {
    { "RNN", LT_CELL_RNN, 1, 1, { "Tanh" } },
    { "GRU", LT_CELL_GRU, 3, 2, { "Sigmoid", "Tanh" } },
    { "LSTM", LT_CELL_LSTM, 4, 3, { "Sigmoid", "Tanh", "Tanh" } },
};

static const struct cell_row *cell_of(const lathe_problem *p)
{
    for (size_t i = 0; i < LT_COUNT(cell_rows); i++) {
        if (strcmp(cell_rows[i].op, p->op) == 0) {
            return &cell_rows[i];
        }
    }
    return NULL;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Names are compared without case: exporters differ. */
static bool same_name(const char *name, lathe_bytes text)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < length && length == text.length; i++) {
        if (lower(name[i]) != lower(text.data[i])) {
            return false;
        }
    }
    return length == text.length;
}

static int refuse_act(lathe_bytes name, lathe_fit *fit)
{
    return lt_no(fit, "activation %.*s has no kernel", (int)(name.length < 32 ? name.length : 32), name.data);
}

/* Alpha and beta are handed out in order to those that take them. */
static int read_acts(const lathe_problem *p, const struct cell_row *cell, lt_recurrent *r, lathe_fit *fit)
{
    const lathe_attr *names = lt_attr_find(p->attrs, p->n_attrs, "activations");
    size_t given = names ? names->count : 0, n_alpha, n_beta, next_alpha = 0, next_beta = 0;
    const float *alpha = lt_attr_floats(p->attrs, p->n_attrs, "activation_alpha", &n_alpha);
    const float *beta = lt_attr_floats(p->attrs, p->n_attrs, "activation_beta", &n_beta);
    if (given != 0 && (names->kind != LATHE_ATTR_STRINGS || given < (size_t)(r->dirs * cell->acts))) {
        return lt_no(fit, "%zu activations", given);
    }
    for (int i = 0; i < r->dirs * cell->acts; i++) {
        const char *usual = cell->usual[i % cell->acts];
        lathe_bytes text = given != 0 ? names->strings[i] : (lathe_bytes){ usual, strlen(usual) };
        const struct act_row *row = NULL;
        for (size_t k = 0; k < LT_COUNT(act_rows) && !row; k++) {
            row = same_name(act_rows[k].name, text) ? &act_rows[k] : NULL;
        }
        if (!row) {
            return refuse_act(text, fit);
        }
        lt_cell_act *act = &r->act[i / cell->acts][i % cell->acts];
        *act = (lt_cell_act){ row->fn, row->alpha, row->beta };
        if (row->has_alpha && next_alpha < n_alpha) {
            act->alpha = alpha[next_alpha++];
        }
        if (row->has_beta && next_beta < n_beta) {
            act->beta = beta[next_beta++];
        }
    }
    return 1;
}

static int read_attrs(const lathe_problem *p, lt_recurrent *r, lathe_fit *fit)
{
    const struct cell_row *cell = cell_of(p);
    if (!cell) {
        return lt_no(fit, "not for %s", p->op);
    }
    bool both = lt_attr_is(p->attrs, p->n_attrs, "direction", "bidirectional", "forward");
    r->kind = cell->kind;
    r->gates = cell->gates;
    r->dirs = both ? 2 : 1;
    r->reverse = lt_attr_is(p->attrs, p->n_attrs, "direction", "reverse", "forward");
    if (!both && !r->reverse && !lt_attr_is(p->attrs, p->n_attrs, "direction", "forward", "forward")) {
        return lt_no(fit, "an unknown direction");
    }
    r->batch_first = lt_attr_i(p->attrs, p->n_attrs, "layout", 0) != 0;
    r->linear = cell->kind == LT_CELL_GRU && lt_attr_i(p->attrs, p->n_attrs, "linear_before_reset", 0) != 0;
    r->coupled = cell->kind == LT_CELL_LSTM && lt_attr_i(p->attrs, p->n_attrs, "input_forget", 0) != 0;
    r->clip = lt_attr_f(p->attrs, p->n_attrs, "clip", 0.0f);
    r->clipped = r->clip > 0.0f;
    return read_acts(p, cell, r, fit);
}

/* ---- Fits ---- */

static int fits_operands(const lathe_problem *p, lathe_fit *fit)
{
    static const int ranks[] = { 3, 3, 3, 2, 1, 3, 3, 2 };
    if (p->n_instrs > 0) {
        return lt_no(fit, "has instructions around the root");
    }
    for (size_t slot = 0; slot < p->n_root_in || slot < 3; slot++) {
        const lathe_operand *o = slot < p->n_root_in ? lt_root_operand(p, slot, NULL) : NULL;
        if (!o && slot < 3) {
            return lt_no(fit, "input %zu is absent", slot);
        }
        if (!o) {
            continue;
        }
        if (slot >= LT_COUNT(ranks) || o->rank != ranks[slot] || (o->flags & LATHE_OPERAND_MANAGED)) {
            return lt_no(fit, "input %zu has rank %d", slot, o->rank);
        }
        if (o->dtype != (slot == 4 ? LATHE_DTYPE_I32 : LATHE_DTYPE_F32)) {
            return lt_no(fit, "input %zu is %s", slot, lathe_dtype_name(o->dtype));
        }
    }
    for (size_t i = 0; i < p->n_out; i++) {
        if (!(p->out[i].flags & LATHE_OPERAND_ABSENT) &&
            (p->out[i].dtype != LATHE_DTYPE_F32 || p->out[i].rank != (i == 0 ? 4 : 3) ||
             (p->out[i].flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED)))) {
            return lt_no(fit, "output %zu has no planned extents, or another type", i);
        }
    }
    return 1;
}

static void complete(lt_recurrent *r, int lanes)
{
    r->lanes = lanes;
    r->blocks = (r->hidden + lanes - 1) / lanes;
    r->padded = r->blocks * lanes;
    r->chunk = r->batch > 0 && r->batch < 64 ? 64 / r->batch : 1;
    r->chunk = r->chunk < r->steps ? r->chunk : r->steps;
}

/* Gates in the first panel of a block of recurrent weights. */
static int early_gates(const lt_recurrent *r)
{
    return r->kind == LT_CELL_GRU && !r->linear ? 2 : r->gates;
}

static void ask_pack(const lathe_problem *p, size_t slot, int lanes, int gates, int early, lathe_fit *fit)
{
    uint16_t number;
    (void)lt_root_operand(p, slot, &number);
    fit->pack[number] = "recurrent.f32";
    fit->pack_param[number][0] = lanes;
    fit->pack_param[number][1] = gates;
    fit->pack_param[number][2] = early;
}

int lt_recurrent_fits(const lathe_problem *problem, int lanes, lt_recurrent *out, lathe_fit *fit)
{
    *out = (lt_recurrent){ .gates = 0 };
    if (!fits_operands(problem, fit) || !read_attrs(problem, out, fit)) {
        return 0;
    }
    const lathe_operand *x = lt_root_operand(problem, 0, NULL), *w = lt_root_operand(problem, 1, NULL),
                        *r = lt_root_operand(problem, 2, NULL);
    if (!lt_extent_fixed(&r->dims[2]) || !lt_extent_fixed(&w->dims[2]) || r->dims[2].min < 1 || w->dims[2].min < 1) {
        return lt_no(fit, "the sizes of input and state are not known");
    }
    if (!lt_extent_fixed(&r->dims[1]) || r->dims[1].min / out->gates != r->dims[2].min || r->dims[1].min % out->gates ||
        !lt_extent_fixed(&w->dims[1]) || w->dims[1].min != r->dims[1].min) {
        return lt_no(fit, "the weights do not have %d gates", out->gates);
    }
    if (!lt_extent_fixed(&r->dims[0]) || !lt_extent_fixed(&w->dims[0]) || r->dims[0].min != out->dirs ||
        w->dims[0].min != out->dirs) {
        return lt_no(fit, "the weights do not have %d directions", out->dirs);
    }
    out->pack_w = lt_root_packable(problem, 1);
    out->pack_r = lt_root_packable(problem, 2);
    if (out->pack_w) {
        ask_pack(problem, 1, lanes, out->gates, out->gates, fit);
    }
    if (out->pack_r) {
        ask_pack(problem, 2, lanes, out->gates, early_gates(out), fit);
    }
    out->steps = x->dims[out->batch_first].opt;
    out->batch = x->dims[!out->batch_first].opt;
    out->input = w->dims[2].min;
    out->hidden = r->dims[2].min;
    complete(out, lanes);
    return 1;
}

/* ---- Extents of a call ---- */

static bool has_dims(const lathe_buffer *b, int rank, int64_t d0, int64_t d1, int64_t d2)
{
    int64_t want[3] = { d0, d1, d2 };
    for (int d = 0; d < rank; d++) {
        if (b->rank != rank || b->dims[d] != want[d]) {
            return false;
        }
    }
    return true;
}

bool lt_recurrent_read(const lathe_problem *problem, int lanes, const lathe_buffer *in, lt_recurrent *out)
{
    lathe_fit fit = { .struct_size = sizeof fit };
    uint16_t n, nr;
    *out = (lt_recurrent){ .gates = 0 };
    if (!read_attrs(problem, out, &fit)) {
        return false;
    }
    (void)lt_root_operand(problem, 0, &n);
    (void)lt_root_operand(problem, 2, &nr);
    const lathe_buffer *x = &in[n], *r = &in[nr];
    if (x->rank != 3 || r->rank != 3 || !lt_extents_sane(3, x->dims) || !lt_extents_sane(3, r->dims)) {
        return false;
    }
    out->steps = x->dims[out->batch_first];
    out->batch = x->dims[!out->batch_first];
    out->input = x->dims[2];
    out->hidden = r->dims[2];
    out->pack_w = lt_root_packable(problem, 1);
    out->pack_r = lt_root_packable(problem, 2);
    complete(out, lanes);
    int64_t d = out->dirs, gh = out->gates * out->hidden, a = out->batch_first ? out->batch : d,
            b = out->batch_first ? d : out->batch;
    for (size_t slot = 1; slot < problem->n_root_in; slot++) {
        if (!lt_root_operand(problem, slot, &n)) {
            continue;
        }
        bool good = slot == 1   ? has_dims(&in[n], 3, d, gh, out->input)
                    : slot == 2 ? has_dims(&in[n], 3, d, gh, out->hidden)
                    : slot == 3 ? has_dims(&in[n], 2, d, 2 * gh, 0)
                    : slot == 4 ? has_dims(&in[n], 1, out->batch, 0, 0)
                    : slot == 7 ? has_dims(&in[n], 2, d, 3 * out->hidden, 0)
                                : has_dims(&in[n], 3, a, b, out->hidden);
        if (!good) {
            return false;
        }
    }
    return true;
}

/* Room for a * b * c * d floats; false: overflow. */
static bool take(lt_recurrent_room *room, size_t *at, int64_t a, int64_t b, int64_t c, int64_t d)
{
    int64_t count;
    size_t bytes;
    *at = room->bytes;
    return lt_i64_mul(a, b, &count) && lt_i64_mul(count, c, &count) && lt_i64_mul(count, d, &count) &&
           lt_size_mul((size_t)count, sizeof(float), &bytes) && lt_size_align(bytes, 64, &bytes) &&
           lt_size_add(room->bytes, bytes, &room->bytes);
}

bool lt_recurrent_layout(const lt_recurrent *r, lt_recurrent_room *room)
{
    int64_t rows, most, d = r->dirs, width = r->gates * (int64_t)r->lanes;
    bool late = r->kind == LT_CELL_GRU && r->linear, two = r->kind == LT_CELL_GRU && !r->linear;
    *room = (lt_recurrent_room){ .bytes = 0 };
    if (!lt_i64_mul(r->steps, r->batch, &rows) || !lt_i64_add(r->batch, 64, &most)) {
        return false;
    }
    rows = rows < most ? rows : most; /* at least chunk * batch */
    return take(room, &room->w, r->pack_w ? 0 : d, r->blocks, width, r->input) &&
           take(room, &room->r, r->pack_r ? 0 : d, r->blocks, width, r->hidden) &&
           take(room, &room->gates, d, rows, r->blocks, width) && take(room, &room->bias, d, r->blocks, width, 1) &&
           take(room, &room->late, late ? d : 0, r->padded, 1, 1) &&
           take(room, &room->peep, r->kind == LT_CELL_LSTM ? d : 0, 3, r->padded, 1) &&
           take(room, &room->h[0], d, r->batch, r->padded, 1) && take(room, &room->h[1], d, r->batch, r->padded, 1) &&
           take(room, &room->c, r->kind == LT_CELL_LSTM ? d : 0, r->batch, r->padded, 1) &&
           take(room, &room->update, two ? d : 0, r->batch, r->padded, 1) &&
           take(room, &room->gated, two ? d : 0, r->batch, r->padded, 1);
}

/* ---- Packs ---- */

/* One panel: gates first .. first + count of one block of one direction, whose rows lie at src. */
static void pack_panel(float *dst, const char *src, int lanes, int first, int count, int64_t hidden, int64_t k,
                       int64_t block)
{
    int64_t unit = block * lanes, left = hidden - unit < lanes ? hidden - unit : lanes;
    for (int g = 0; g < count; g++) {
        for (int64_t i = 0; i < lanes; i++) {
            const char *row = src + ((first + g) * hidden + unit + i) * k * (int64_t)sizeof(float);
            float *to = dst + g * lanes + i;
            for (int64_t p = 0; p < k; p++, to += (int64_t)count * lanes) {
                *to = 0.0f;
                if (i < left) {
                    memcpy(to, row + p * (int64_t)sizeof(float), sizeof(float));
                }
            }
        }
    }
}

void lt_recurrent_pack(float *dst, const void *src, int lanes, int gates, int early, int64_t hidden, int64_t k,
                       int64_t begin, int64_t end)
{
    int64_t blocks = (hidden + lanes - 1) / lanes;
    for (int64_t i = begin; i < end; i++) {
        const char *from = (const char *)src + i / blocks * gates * hidden * k * (int64_t)sizeof(float);
        float *to = dst + i * gates * lanes * k;
        pack_panel(to, from, lanes, 0, early, hidden, k, i % blocks);
        if (early < gates) {
            pack_panel(to + (int64_t)early * lanes * k, from, lanes, early, gates - early, hidden, k, i % blocks);
        }
    }
}

static bool pack_suits(const lathe_tensor *t, const int64_t param[4])
{
    return t->dtype == LATHE_DTYPE_F32 && t->rank == 3 && param[0] >= 1 && param[0] <= LT_CELL_LANES && param[1] >= 1 &&
           param[1] <= LT_CELL_GATES && param[2] >= 1 && param[2] <= param[1] && t->dims[0] >= 1 && t->dims[1] >= 1 &&
           t->dims[2] >= 1 && t->dims[1] % param[1] == 0;
}

static size_t pack_bytes(const lathe_tensor *t, const int64_t param[4])
{
    int64_t n;
    size_t bytes;
    if (!pack_suits(t, param)) {
        return 0;
    }
    int64_t hidden = t->dims[1] / param[1], blocks = (hidden + param[0] - 1) / param[0];
    return lt_i64_mul(t->dims[0], blocks * param[0], &n) && lt_i64_mul(n, param[1], &n) &&
                   lt_i64_mul(n, t->dims[2], &n) && lt_size_mul((size_t)n, sizeof(float), &bytes)
               ? bytes
               : 0;
}

static void pack(void *dst, const lathe_tensor *t, const int64_t param[4])
{
    int64_t hidden = t->dims[1] / param[1], blocks = (hidden + param[0] - 1) / param[0];
    lt_recurrent_pack(dst, t->data, (int)param[0], (int)param[1], (int)param[2], hidden, t->dims[2], 0,
                      t->dims[0] * blocks);
}

static void unpack(lathe_tensor *t, const void *packed, const int64_t param[4])
{
    int64_t lanes = param[0], gates = param[1], early = param[2], hidden = t->dims[1] / gates, k = t->dims[2],
            blocks = (hidden + lanes - 1) / lanes;
    for (int64_t row = 0; row < t->dims[0] * t->dims[1]; row++) {
        int64_t g = row / hidden % gates, unit = row % hidden, dir = row / (gates * hidden);
        const float *from = (const float *)packed + (dir * blocks + unit / lanes) * gates * lanes * k;
        bool first = g < early;
        int64_t count = first ? early : gates - early;
        from += first ? g * lanes : early * lanes * k + (g - early) * lanes;
        for (int64_t p = 0; p < k; p++) {
            memcpy((char *)t->data + (row * k + p) * (int64_t)sizeof(float), from + p * count * lanes + unit % lanes,
                   sizeof(float));
        }
    }
}

LT_PACKS(recurrent) = {
    { .name = "recurrent.f32",
      .version = 1,
      .summary =
          "weights of recurrent gates by blocks of param[0] units; param[1]: gates; param[2]: gates of the first panel",
      .bytes = pack_bytes,
      .pack = pack,
      .unpack = unpack },
    { .name = NULL },
};
