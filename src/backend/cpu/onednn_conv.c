/*
 * onednn_conv.c - tactics onednn.conv.f32: convolutions by oneDNN, on channels-last activations (configuration 0) or in blocks of channels (1). Weights come packed by
 * us, in a layout that the library documents ("onednn.w.f32"): it never rearranges anything itself.
 *
 * Channels and filters must be whole blocks: then nothing is padded, and the library has no pads to write to.
 */
#include "backend/cpu/conv_shape.h"
#include "backend/cpu/ending.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/product.h"
#include <string.h>

/* ---- The pack. param: lanes of a block, 1 when input channels are in blocks too, groups ---- */

static bool pack_shape(const lathe_tensor *t, const int64_t p[4], int64_t *taps)
{
    int64_t all;
    return t->dtype == LATHE_DTYPE_F32 && t->rank >= 3 && (p[0] == 8 || p[0] == 16) && (p[1] == 0 || p[1] == 1) && p[2] >= 1 &&
           lt_dims_count(t->dims, t->rank, &all) && all > 0 && t->dims[0] % p[2] == 0 && t->dims[0] / p[2] % p[0] == 0 &&
           (!p[1] || t->dims[1] % p[0] == 0) && lt_dims_count(t->dims + 2, t->rank - 2, taps);
}

static size_t pack_bytes(const lathe_tensor *t, const int64_t param[4])
{
    int64_t taps, count;
    size_t bytes;
    return pack_shape(t, param, &taps) && lt_dims_count(t->dims, t->rank, &count) && lt_size_mul((size_t)count, sizeof(float), &bytes) ? bytes : 0;
}

/* Walks packed elements in order: block of filters, block of channels, tap, channel, filter. Groups follow one another, as their filters do. */
static void walk(float *packed, float *plain, const int64_t dims[2], int64_t taps, const int64_t p[4], bool pack)
{
    int64_t block = p[0], own = p[1] ? block : dims[1];
    for (int64_t f0 = 0; f0 < dims[0]; f0 += block) {
        for (int64_t c0 = 0; c0 < dims[1]; c0 += own) {
            for (int64_t t = 0; t < taps; t++) {
                for (int64_t c = 0; c < own; c++) {
                    for (int64_t f = 0; f < block; f++, packed++) {
                        float *at = &plain[((f0 + f) * dims[1] + c0 + c) * taps + t];
                        if (pack) {
                            *packed = *at;
                        } else {
                            *at = *packed;
                        }
                    }
                }
            }
        }
    }
}

static void pack(void *dst, const lathe_tensor *t, const int64_t param[4])
{
    int64_t taps;
    if (pack_shape(t, param, &taps)) {
        walk(dst, t->data, t->dims, taps, param, true);
    }
}

static void unpack(lathe_tensor *dst, const void *packed, const int64_t param[4])
{
    int64_t taps;
    if (pack_shape(dst, param, &taps)) {
        walk((float *)packed, dst->data, dst->dims, taps, param, false);
    }
}

LT_PACKS(onednn_conv) = {
    {.name = "onednn.w.f32", .version = 1, .summary = "filters in blocks of param[0], channels too when param[1]; param[2]: groups", .bytes = pack_bytes, .pack = pack,
     .unpack = unpack},
    {.name = NULL},
};

/* ---- The operation ---- */

static bool depthwise(const lt_conv *c)
{
    return c->groups > 1 && c->channels == c->groups && c->filters == c->groups;
}

/* How weights lie: false when the extents are not whole blocks. */
static bool weights_tag(const lt_conv *c, int block, int64_t *tag, int64_t param[4])
{
    bool wide = block == 16;
    int64_t own = c->filters / c->groups, depth = c->channels / c->groups;
    param[0] = block;
    param[1] = 0;
    param[2] = c->groups;
    if (depthwise(c)) { /* one filter for each channel: blocks of groups, as those of one group's filters lie */
        param[2] = 1;
        *tag = wide ? LT_ONEDNN_GOIHW16G : LT_ONEDNN_GOIHW8G;
        return c->groups % block == 0;
    }
    if (own % block != 0) {
        return false;
    }
    if (c->groups == 1 && depth <= 4) {
        *tag = wide ? LT_ONEDNN_OHWI16O : LT_ONEDNN_OHWI8O;
        return true;
    }
    param[1] = 1;
    *tag = c->groups == 1 ? (wide ? LT_ONEDNN_OIHW16I16O : LT_ONEDNN_OIHW8I8O) : wide ? LT_ONEDNN_GOIHW16I16O : LT_ONEDNN_GOIHW8I8O;
    return depth % block == 0;
}

/* Activations n x c x h x w. */
static void activations(lt_onednn_tensor *t, int64_t n, int64_t c, const int64_t plane[3], int64_t tag)
{
    const int64_t dims[4] = {n, c, plane[1], plane[2]}, strides[4] = {plane[1] * plane[2] * c, 1, plane[2] * c, c};
    t->rank = 4;
    t->tag = tag;
    memcpy(t->dims, dims, sizeof dims);
    memcpy(t->strides, strides, sizeof strides);
}

static void weights(lt_onednn_tensor *t, const lt_conv *c)
{
    const int64_t plain[5] = {c->filters, c->channels, c->kernel[1], c->kernel[2]},
                  grouped[5] = {c->groups, c->filters / c->groups, c->channels / c->groups, c->kernel[1], c->kernel[2]};
    t->rank = c->groups == 1 ? 4 : 5;
    memcpy(t->dims, c->groups == 1 ? plain : grouped, sizeof plain);
}

static void window(lt_onednn_op *op, const lt_conv *c)
{
    for (int i = 0; i < 2; i++) {
        int64_t reach = (c->out[i + 1] - 1) * c->stride[i + 1] + (c->kernel[i + 1] - 1) * c->dilation[i + 1] + 1;
        int64_t end = reach - c->in[i + 1] - c->begin[i + 1];
        op->stride[i] = c->stride[i + 1];
        op->dilation[i] = c->dilation[i + 1] - 1;
        op->begin[i] = c->begin[i + 1];
        op->end[i] = end > 0 ? end : 0;
    }
}

/* false: the extents are not for the library. */
static bool describe(const lathe_problem *p, int block, uint32_t config, const lt_conv *c, lt_onednn_op *op, int *bias, int *add, int64_t param[4])
{
    int64_t blocked = block == 16 ? LT_ONEDNN_NCHW16C : LT_ONEDNN_NCHW8C;
    memset(op, 0, sizeof *op);
    op->convolution = 1;
    lt_onednn_ending(p, 1, op, bias, add);
    if (c->begin[1] < 0 || c->begin[2] < 0 || !weights_tag(c, block, &op->w.tag, param)) {
        return false;
    }
    if (config == 1 && (c->channels % block != 0 || c->filters % block != 0)) {
        return false;
    }
    activations(&op->x, c->batch, c->channels, c->in, config ? blocked : 0);
    activations(&op->y, c->batch, c->filters, c->out, config ? blocked : 0);
    weights(&op->w, c);
    window(op, c);
    if (*bias >= 0) {
        op->bias.rank = op->bias.strides[0] = 1;
        op->bias.dims[0] = c->filters;
    }
    return true;
}

/* ---- fits ---- */

static lathe_buffer opt_buffer(const lathe_operand *o, int64_t *dims)
{
    for (int i = 0; i < o->rank; i++) {
        dims[i] = o->dims[i].opt;
    }
    return (lathe_buffer){.rank = o->rank, .dims = dims};
}

static bool channels_fixed(const lathe_operand *o)
{
    return lt_extent_fixed(&o->dims[1]) && o->dims[1].min > 0;
}

/* The bias has one element for each filter, over the whole range. */
static bool bias_fits(const lathe_problem *p, int bias, int64_t filters)
{
    int64_t least = 1, most = 1;
    for (int i = 0; bias >= 0 && i < p->in[bias].rank; i++) {
        least *= p->in[bias].dims[i].min;
        most *= p->in[bias].dims[i].max == INT64_MAX ? 0 : p->in[bias].dims[i].max;
    }
    return bias < 0 || (least == filters && most == filters);
}

static void set_formats(const lathe_problem *p, uint32_t config, int block, int add, uint16_t nx, lathe_fit *fit)
{
    static const int8_t last[] = {0, 2, 3, 1}, line_last[] = {0, 2, 1};
    const lathe_operand *x = &p->in[nx];
    lathe_format f = lt_format_permuted(x->dtype, x->rank == 4 ? last : line_last, x->rank, fit->in[nx].space);
    if (config == 1) {
        f = lt_format_plain(x->dtype, x->rank, fit->in[nx].space);
        f.block_axis = 1;
        f.block = block;
    }
    fit->in[nx] = fit->out[0] = f;
    if (add >= 0) {
        fit->in[add] = f;
        bool root = false; /* the root reads it, too: it must stay as it is while the output is written */
        for (size_t i = 0; i < p->n_root_in; i++) {
            root = root || p->root_in[i] == add;
        }
        fit->in_place[0] = root || add > INT8_MAX || (p->in[add].flags & LATHE_OPERAND_CONSTANT) ? -1 : (int8_t)add;
    }
}

static int fits(int block, const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    uint16_t nx, nw;
    int64_t dims[3][LATHE_MAX_RANK];
    lt_conv c;
    lt_onednn_op op;
    int bias, add;
    if (!lt_onednn_fits(p, 1, fit)) {
        return 0;
    }
    const lathe_operand *x = lt_root_operand(p, 0, &nx), *w = lt_root_operand(p, 1, &nw);
    if (!lt_conv_fits(p, x, w, fit)) {
        return 0;
    }
    if (x->rank > 4 || (config == 1 && x->rank != 4)) {
        return lt_no(fit, "rank %d", x->rank);
    }
    if (!lt_root_packable(p, 1) || nx == nw || (x->flags & LATHE_OPERAND_CONSTANT)) {
        return lt_no(fit, "the weights are not a constant of their own, or the activations are one");
    }
    if (!channels_fixed(x) || !channels_fixed(&p->out[0])) {
        return lt_no(fit, "the numbers of channels vary");
    }
    lathe_buffer bx = opt_buffer(x, dims[0]), bw = opt_buffer(w, dims[1]), by = opt_buffer(&p->out[0], dims[2]);
    if (lt_conv_read(p, &bx, &bw, &by, &c, NULL) != LATHE_OK || !describe(p, block, config, &c, &op, &bias, &add, fit->pack_param[nw])) {
        return lt_no(fit, "%lld channels, %lld filters in %lld groups are not whole blocks of %d, or pads are negative", (long long)c.channels,
                     (long long)c.filters, (long long)c.groups, block);
    }
    if (!bias_fits(p, bias, c.filters)) {
        return lt_no(fit, "the bias has not one element for each filter");
    }
    if (!lt_onednn_suits(&op, fit)) {
        return 0;
    }
    fit->pack[nw] = "onednn.w.f32";
    set_formats(p, config, block, add, nx, fit);
    fit->serial = 1;
    fit->cost = lt_onednn_cost(p, depthwise(&c) ? 20 : block == 16 ? 110 : 70);
    return 1;
}

/* ---- prepare and run ---- */

static lathe_status read_call(int block, const lathe_problem *p, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, lt_onednn_op *op, int *bias, int *add,
                              lathe_diag *diag)
{
    uint16_t nx, nw;
    lt_conv c;
    int64_t param[4];
    (void)lt_root_operand(p, 0, &nx);
    (void)lt_root_operand(p, 1, &nw);
    LT_TRY(lt_conv_read(p, &in[nx], &in[nw], &out[0], &c, diag));
    bool good = describe(p, block, config, &c, op, bias, add, param);
    return good ? LATHE_OK : LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "extents that the step was not chosen for");
}

static lathe_status prepare(int block, const lathe_problem *p, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, int threads, void **object,
                            lathe_diag *diag)
{
    lt_onednn_op op;
    int bias, add;
    (void)threads;
    LT_TRY(read_call(block, p, config, in, out, &op, &bias, &add, diag));
    return lt_onednn_prepare(&op, object, diag);
}

static lathe_status run(int block, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    lt_onednn_op op;
    int bias, add;
    if (gang->index != 0) {
        return LATHE_OK; /* the library runs on one */
    }
    LT_TRY(read_call(block, call->problem, call->config, call->in, call->out, &op, &bias, &add, diag));
    const uint16_t *root = call->problem->root_in;
    LT_TRY(lt_onednn_addend(call, add, diag));
    return lt_onednn_run(call, &op, call->in[root[0]].data, call->in[root[1]].data, bias >= 0 ? call->in[bias].data : NULL, call->out[0].data, diag);
}

#define ONEDNN_CONV(level, block)                                                                                                                              \
    static int level##_fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)                                                                           \
    {                                                                                                                                                          \
        return fits(block, p, config, fit);                                                                                                                    \
    }                                                                                                                                                          \
    static lathe_status level##_prepare(const lathe_problem *p, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, int threads, void **object,  \
                                        lathe_diag *diag)                                                                                                      \
    {                                                                                                                                                          \
        return prepare(block, p, config, in, out, threads, object, diag);                                                                                      \
    }                                                                                                                                                          \
    static lathe_status level##_run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)                                                          \
    {                                                                                                                                                          \
        return run(block, gang, call, diag);                                                                                                                   \
    }
ONEDNN_CONV(avx2, 8)
ONEDNN_CONV(avx512, 16)

#define ONEDNN_ROW(level, text, features)                                                                                                                      \
    {.struct_size = sizeof(lathe_tactic), .name = "onednn.conv.f32." #level, .version = 1, .summary = text, .ops = "Conv", .device = LATHE_SPACE_HOST,         \
     .cpu_features = features, .configs = 2, .fits = level##_fits, .run = level##_run, .source = "onednn", .prepare = level##_prepare, .forget = lt_onednn_forget}

LT_TACTICS(onednn_conv) = {
    ONEDNN_ROW(avx2, "convolutions by oneDNN, channels last or in blocks of 8; one thread, NaN behind limits as the library has it",
               1ull << LT_CPU_AVX2 | 1ull << LT_CPU_FMA),
    ONEDNN_ROW(avx512, "convolutions by oneDNN, channels last or in blocks of 16; one thread, NaN behind limits as the library has it", 1ull << LT_CPU_AVX512),
    {.name = NULL},
};
