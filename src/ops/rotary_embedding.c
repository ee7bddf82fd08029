/*
 * rotary_embedding.c - RotaryEmbedding: pairs of elements of every head turned by angles that depend on the position
 * in the sequence.
 */
#include "ops/move.h"

static lathe_status check_cache(lt_infer *c, int i, bool by_position)
{
    int rank = by_position ? 2 : 3;
    if (c->in[i]->rank >= 0 && c->in[i]->rank != rank) {
        return lt_infer_fail(c, "input %d has rank %d instead of %d", i, c->in[i]->rank, rank);
    }
    return LATHE_OK;
}

static lathe_status infer_rotary(lt_infer *c)
{
    const lt_type *x = c->in[0];
    int64_t heads = lt_attr_i(c->attrs, c->n_attrs, "num_heads", 0),
            turned = lt_attr_i(c->attrs, c->n_attrs, "rotary_embedding_dim", 0);
    bool by_position = c->n_in > 3 && c->in[3] != NULL;
    lt_dim ignored;
    LT_TRY(lt_infer_same(c, 0, 0));
    for (int i = 1; i < 3; i++) {
        LT_TRY(check_cache(c, i, by_position));
    }
    if (x->rank < 0) {
        return LATHE_OK;
    }
    if (x->rank != 3 && x->rank != 4) {
        return lt_infer_fail(c, "the input has rank %d; 3 and 4 are possible", x->rank);
    }
    lt_dim size = x->dims[x->rank - 1];
    if (x->rank == 3 && (heads < 1 || (lt_dim_is_const(size) && size.k % heads != 0))) {
        return lt_infer_fail(c, "num_heads %lld does not divide the last extent", (long long)heads);
    }
    int64_t head = lt_dim_is_const(size) ? (x->rank == 3 ? size.k / heads : size.k) : -1;
    if (turned < 0 || turned % 2 != 0 || (head >= 0 && (turned > head || (turned == 0 && head % 2 != 0)))) {
        return lt_infer_fail(c, "rotary_embedding_dim %lld does not fit heads of %lld elements", (long long)turned,
                             (long long)head);
    }
    int64_t half = turned > 0 ? turned / 2 : head / 2;
    for (int i = 1; i < 3 && half >= 0 && head >= 0; i++) {
        if (c->in[i]->rank > 0) {
            LT_TRY(lt_move_equal(c, c->in[i]->dims[c->in[i]->rank - 1], lt_dim_const(half),
                                 "the last extent of a cache and half the turned part", &ignored));
        }
    }
    return LATHE_OK;
}

/* Sizes and steps of the input, rank 3 or 4 alike. */
typedef struct layout {
    int64_t batch, steps, heads, head;
    int64_t per_batch, per_step, per_head;
} layout;

static layout layout_of(const lt_tensor *x, int64_t heads)
{
    layout l = { .batch = x->dims[0] };
    if (x->rank == 4) {
        l.heads = x->dims[1];
        l.steps = x->dims[2];
        l.head = x->dims[3];
        l.per_step = l.head;
        l.per_head = l.steps * l.head;
    } else {
        l.heads = heads;
        l.steps = x->dims[1];
        l.head = x->dims[2] / heads;
        l.per_step = x->dims[2];
        l.per_head = l.head;
    }
    l.per_batch = l.heads * l.steps * l.head;
    return l;
}

/* First element of the caches' row for batch element b and step t. */
static lathe_status cache_row(lt_eval *c, const layout *l, int64_t half, int64_t b, int64_t t, int64_t *row)
{
    const lt_tensor *cache = lt_in(c, 1), *positions = lt_in(c, 3);
    if (positions == NULL) {
        *row = (b * l->steps + t) * half;
        return LATHE_OK;
    }
    int64_t at = lt_load_i64(positions->dtype, positions->data, b * l->steps + t);
    if (at < 0 || at >= cache->dims[0]) {
        return lt_eval_fail(c, "position %lld is outside the cache of %lld rows", (long long)at,
                            (long long)cache->dims[0]);
    }
    *row = at * half;
    return LATHE_OK;
}

static void turn_head(const lt_tensor *x, lt_tensor *y, int64_t first, int64_t half, bool interleaved,
                      const lt_tensor *cos_cache, const lt_tensor *sin_cache, int64_t row)
{
    for (int64_t k = 0; k < half; k++) {
        int64_t a = first + (interleaved ? 2 * k : k), b = first + (interleaved ? 2 * k + 1 : k + half);
        double u = lt_load_f64(x->dtype, x->data, a), v = lt_load_f64(x->dtype, x->data, b);
        double cosine = lt_load_f64(cos_cache->dtype, cos_cache->data, row + k);
        double sine = lt_load_f64(sin_cache->dtype, sin_cache->data, row + k);
        lt_store_f64(y->dtype, y->data, a, cosine * u - sine * v);
        lt_store_f64(y->dtype, y->data, b, sine * u + cosine * v);
    }
}

/* Caches and positions must be as large as the input asks for. */
static lathe_status check_sizes(lt_eval *c, const layout *l, int64_t half)
{
    const lt_tensor *positions = lt_in(c, 3);
    int64_t steps = l->batch * l->steps;
    for (int i = 1; i < 3; i++) {
        const lt_tensor *cache = lt_in(c, i);
        bool fits =
            cache->dims[cache->rank - 1] == half &&
            (positions != NULL ? cache->dims[0] == lt_in(c, 1)->dims[0] : lt_tensor_count(cache) == steps * half);
        if (!fits) {
            return lt_eval_fail(c, "the caches do not fit the input");
        }
    }
    return positions == NULL || lt_tensor_count(positions) == steps
               ? LATHE_OK
               : lt_eval_fail(c, "position_ids do not fit the input");
}

static lathe_status eval_rotary(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    layout l = layout_of(x, lt_attr_i(c->attrs, c->n_attrs, "num_heads", 0));
    int64_t turned = lt_attr_i(c->attrs, c->n_attrs, "rotary_embedding_dim", 0),
            half = (turned > 0 ? turned : l.head) / 2, row = 0;
    bool interleaved = lt_attr_i(c->attrs, c->n_attrs, "interleaved", 0) != 0;
    LT_TRY(check_sizes(c, &l, half));
    lt_copy_bytes(y->data, x->data, x->bytes);
    for (int64_t b = 0; b < l.batch; b++) {
        for (int64_t t = 0; t < l.steps; t++) {
            LT_TRY(cache_row(c, &l, half, b, t, &row));
            for (int64_t h = 0; h < l.heads; h++) {
                turn_head(x, y, b * l.per_batch + t * l.per_step + h * l.per_head, half, interleaved, lt_in(c, 1),
                          lt_in(c, 2), row);
            }
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_rotary[] = { { "interleaved", LATHE_ATTR_INT, false },
                                             { "num_heads", LATHE_ATTR_INT, false },
                                             { "rotary_embedding_dim", LATHE_ATTR_INT, false },
                                             { 0 } };

static const char *const samples_rotary[] = {
    "f32[2,3,4,6] x = rand(1), f32[9,3] c = rand(2), f32[9,3] s = rand(3), i64[2,4] p = {0, 1, 2, 3, 8, 7, 5, 5} | y = "
    "RotaryEmbedding (x, c, s, p)",
    "f32[1,3,8] x = rand(1), f32[1,3,1] c = rand(2), f32[1,3,1] s = rand(3) | "
    "y = RotaryEmbedding <num_heads = 2, rotary_embedding_dim = 2, interleaved = 1> (x, c, s)",
    NULL,
};

LT_OPS(rotary_embedding) = {
    {
        .name = "RotaryEmbedding",
        .since = 23,
        .sig = "(T X, T cos_cache, T sin_cache, i64? position_ids) -> (T Y); T: f32 f16 bf16",
        .attrs = attrs_rotary,
        .infer = infer_rotary,
        .eval = eval_rotary,
        .samples = samples_rotary,
    },
    { 0 },
};
