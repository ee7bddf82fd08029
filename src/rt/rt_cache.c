/*
 * rt_cache.c - caches of a context (lt_plan_cache): what an output was in one run, an input is in the next one. Their storage holds the capacity; a run
 * writes behind what is there. Called by context.c and bind.c, and the public functions that ask for lengths and change them. It must not know how steps read.
 *
 * Storage is dense, or has rows (all that lies behind the axis) as far apart as the capacity wants, so that appending moves nothing. Programs whose input and
 * output change places (LT_CACHE_SWAPPED) want it dense, all others apart: what is there is moved when a context changes from one kind to the other.
 */
#include "rt/rt_internal.h"
#include <string.h>

/* ---- Sizes ---- */

/* Rows, and bytes of one that is `extent` long. What is shaped has a size: nothing overflows. */
static int64_t rows_of(const lt_kept *k)
{
    int64_t rows = 1;
    for (uint32_t i = 0; i < k->plan->axis; i++) {
        rows *= k->dims[i];
    }
    return rows;
}

static int64_t row_bytes(const lt_kept *k, int64_t extent)
{
    int64_t bytes = extent * (int64_t)k->element;
    for (int i = (int)k->plan->axis + 1; i < k->rank; i++) {
        bytes *= k->dims[i];
    }
    return bytes;
}

static int64_t length_of(const lt_kept *k)
{
    return k->dims[k->plan->axis];
}

static bool holds(const lt_kept *k)
{
    return k->whole ? k->used : length_of(k) > 0;
}

/* Rows of `length` each, to another distance from each other, within one storage. */
static void move_rows(char *data, int64_t rows, int64_t bytes, int64_t from, int64_t to)
{
    for (int64_t i = 1; i < rows && bytes > 0 && from != to; i++) {
        int64_t r = to > from ? rows - i : i; /* never over a row that has still to move */
        memmove(data + r * to, data + r * from, (size_t)bytes);
    }
}

static void lay_out(lt_kept *k, bool dense)
{
    if (k->dense != dense && k->shaped && k->data) {
        int64_t bytes = row_bytes(k, length_of(k)), apart = row_bytes(k, k->plan->capacity);
        move_rows(k->data, rows_of(k), bytes, dense ? apart : bytes, dense ? bytes : apart);
    }
    k->dense = dense;
}

/* ---- Making ---- */

lt_kept *lt_cache_of(const lathe_context *context, uint32_t index, bool output)
{
    const lt_plan *plan = context->engine->plan;
    for (uint32_t i = 0; i < plan->n_caches; i++) {
        if ((output ? plan->caches[i].output : plan->caches[i].input) == index) {
            return &context->caches[i];
        }
    }
    return NULL;
}

static bool is_cached(const lt_plan *plan, uint32_t input)
{
    for (uint32_t i = 0; i < plan->n_caches; i++) {
        if (plan->caches[i].input == input) {
            return true;
        }
    }
    return false;
}

/* An input that the caller binds and that has this very extent. */
static bool find_source(const lt_plan *plan, const char *dim, uint32_t *input, uint32_t *axis)
{
    for (uint32_t i = 0; i < plan->n_inputs; i++) {
        for (int a = 0; plan->inputs[i].cls == LT_TENSOR && !is_cached(plan, i) && a < plan->inputs[i].rank; a++) {
            if (plan->inputs[i].fixed[a] < 0 && lt_streq(plan->inputs[i].dims[a], dim)) {
                *input = i;
                *axis = (uint32_t)a;
                return true;
            }
        }
    }
    return false;
}

static lathe_status make_one(const lt_plan *plan, const lt_plan_cache *c, lt_kept *k, lathe_diag *diag)
{
    const lt_plan_io *in = &plan->inputs[c->input], *out = &plan->outputs[c->output];
    *k = (lt_kept){.plan = c, .rank = in->rank, .element = lathe_dtype_bits(in->dtype) / 8};
    k->whole = in->fixed[c->axis] >= 0 ? in->fixed[c->axis] == out->fixed[c->axis] : lt_streq(in->dims[c->axis], out->dims[c->axis]);
    if (in->fixed[c->axis] >= 0 && in->fixed[c->axis] != c->capacity) {
        return LT_FAIL(diag, LATHE_BAD_PLAN, in->name, "build the plan again", "cache '%s' has a capacity that its input cannot have", in->name);
    }
    k->dims[c->axis] = k->whole ? c->capacity : 0;
    for (int i = 0; i < in->rank; i++) {
        k->from_input[i] = LT_PLAN_NONE;
        if (i == (int)c->axis || in->fixed[i] >= 0) {
            k->dims[i] = i == (int)c->axis ? k->dims[i] : in->fixed[i];
        } else if (!find_source(plan, in->dims[i], &k->from_input[i], &k->from_axis[i])) {
            return LT_FAIL(diag, LATHE_BAD_PLAN, in->name, "build the plan again", "nothing tells extent %d of cache '%s'", i, in->name);
        }
    }
    return LATHE_OK;
}

lathe_status lt_caches_make(lathe_context *context, lathe_diag *diag)
{
    const lt_plan *plan = context->engine->plan;
    context->caches = lt_alloc_array(context->allocator, (size_t)plan->n_caches + 1, sizeof *context->caches, _Alignof(lt_kept));
    if (!context->caches) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < plan->n_caches; i++) {
        LT_TRY(make_one(plan, &plan->caches[i], &context->caches[i], diag));
    }
    return LATHE_OK;
}

static void release(lathe_context *context, lt_kept *k)
{
    lt_release(context->allocator, k->lent ? NULL : k->data, (size_t)k->bytes, 64);
    lt_release(context->allocator, k->other, (size_t)k->bytes, 64);
    k->data = k->other = NULL;
    k->bytes = 0;
    k->lent = k->shaped = k->used = false;
}

void lt_caches_destroy(lathe_context *context)
{
    for (uint32_t i = 0; context->caches && i < context->engine->plan->n_caches; i++) {
        release(context, &context->caches[i]);
    }
    lt_release(context->allocator, context->caches, ((size_t)context->engine->plan->n_caches + 1) * sizeof *context->caches, _Alignof(lt_kept));
}

uint64_t lt_caches_bytes(const lathe_context *context)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < context->engine->plan->n_caches; i++) {
        const lt_kept *k = &context->caches[i];
        total += (k->data && !k->lent ? k->bytes : 0) + (k->other ? k->bytes : 0);
    }
    return total;
}

/* ---- Storage ---- */

static const char *name_of(const lathe_context *context, const lt_kept *k)
{
    return context->engine->plan->inputs[k->plan->input].name;
}

static lathe_status take(lathe_context *context, const lt_kept *k, uint64_t bytes, void **out, lathe_diag *diag)
{
    *out = lt_alloc(context->allocator, (size_t)(bytes ? bytes : 1), 64);
    return *out ? LATHE_OK
                : LT_FAIL(diag, LATHE_OUT_OF_MEMORY, name_of(context, k), "build the plan with less capacity", "out of memory: cache '%s' needs %llu bytes",
                          name_of(context, k), (unsigned long long)bytes);
}

/* Room for the capacity at these extents. What was there is lost when it is too small; the caller has asked. */
static lathe_status take_shape(lathe_context *context, lt_kept *k, const int64_t *dims, lathe_diag *diag)
{
    int64_t full[LATHE_MAX_RANK], count;
    size_t need;
    memcpy(full, dims, (size_t)k->rank * sizeof *full);
    full[k->plan->axis] = k->plan->capacity;
    if (!lt_dims_count(full, k->rank, &count) || !lt_size_mul((size_t)count, k->element, &need)) {
        return LT_FAIL(diag, LATHE_OVERFLOW, name_of(context, k), "build the plan with less capacity", "the size of cache '%s' overflows", name_of(context, k));
    }
    if (k->lent && k->bytes < need) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, name_of(context, k), "give memory for the whole capacity", "cache '%s' needs %zu bytes, the storage has %llu",
                       name_of(context, k), need, (unsigned long long)k->bytes);
    }
    if (!k->lent && (!k->data || k->bytes < need)) {
        void *data;
        LT_TRY(take(context, k, need, &data, diag));
        release(context, k);
        k->data = data;
        k->bytes = need ? need : 1;
    }
    memcpy(k->dims, dims, (size_t)k->rank * sizeof *dims);
    k->shaped = true;
    if (k->whole && !k->used) {
        memset(k->data, 0, need);
    }
    return LATHE_OK;
}

/* The extents that the other inputs give it. */
static lathe_status shape_of(const lathe_context *context, const lt_kept *k, int64_t *dims, lathe_diag *diag)
{
    memcpy(dims, k->dims, (size_t)k->rank * sizeof *dims);
    for (int i = 0; i < k->rank; i++) {
        const lt_binding *b = k->from_input[i] == LT_PLAN_NONE ? NULL : &context->inputs[k->from_input[i]];
        if (b && !b->bound) {
            return LT_FAIL(diag, LATHE_NOT_READY, context->engine->plan->inputs[k->from_input[i]].name, "call lathe_context_set_input", "input '%s' is not bound",
                           context->engine->plan->inputs[k->from_input[i]].name);
        }
        dims[i] = b ? b->tensor.dims[k->from_axis[i]] : dims[i];
    }
    return LATHE_OK;
}

/* ---- Around a run ---- */

static lathe_status before(lathe_context *context, lt_kept *k, lathe_diag *diag)
{
    int64_t dims[LATHE_MAX_RANK];
    LT_TRY(shape_of(context, k, dims, diag));
    if (!k->shaped || memcmp(dims, k->dims, (size_t)k->rank * sizeof *dims) != 0) {
        for (int i = 0; k->shaped && holds(k) && i < k->rank; i++) {
            if (dims[i] != k->dims[i]) {
                return LT_FAIL(diag, LATHE_BAD_SHAPE, name_of(context, k), "call lathe_context_cache_reset before runs of another shape",
                               "cache '%s' holds something of extent %lld on axis %d, the inputs make it %lld", name_of(context, k), (long long)k->dims[i], i,
                               (long long)dims[i]);
            }
        }
        LT_TRY(take_shape(context, k, dims, diag));
    }
    lt_binding *b = &context->inputs[k->plan->input];
    if (!b->bound || b->tensor.data != k->data || memcmp(b->tensor.dims, k->dims, (size_t)k->rank * sizeof *dims) != 0) {
        LT_TRY(lt_tensor_shape(&b->tensor, context->engine->plan->inputs[k->plan->input].dtype, k->rank, k->dims, name_of(context, k), diag));
        b->tensor.struct_size = sizeof b->tensor;
        b->tensor.data = k->data;
        b->bound = true;
        context->generation++;
    }
    return LATHE_OK;
}

lathe_status lt_caches_before(lathe_context *context, lathe_diag *diag)
{
    for (uint32_t i = 0; i < context->engine->plan->n_caches; i++) {
        LT_TRY(before(context, &context->caches[i], diag));
    }
    return LATHE_OK;
}

lathe_status lt_caches_suit(lathe_context *context, const lt_plan_program *program, lathe_diag *diag)
{
    for (uint32_t i = 0; i < program->n_ways; i++) {
        lt_kept *k = &context->caches[i];
        bool swapped = program->ways[i].way == LT_CACHE_SWAPPED;
        if (swapped && k->lent) {
            return LT_FAIL(diag, LATHE_UNSUPPORTED, name_of(context, k), program->ways[i].note, "cache '%s' cannot be kept in the caller's storage: the network writes it anew in each run",
                           name_of(context, k));
        }
        lay_out(k, swapped);
        if (swapped && !k->other) {
            LT_TRY(take(context, k, k->bytes, &k->other, diag));
            context->generation++;
        }
    }
    return LATHE_OK;
}

lathe_status lt_caches_check(const lathe_context *context, const lt_state *state, lathe_diag *diag)
{
    const lt_plan_program *p = state->program->plan;
    for (uint32_t i = 0; i < p->n_ways; i++) {
        const lt_kept *k = &context->caches[i];
        uint32_t axis = k->plan->axis;
        const int64_t *dims = state->cells[p->outputs[k->plan->output]].dims;
        if (dims[axis] > k->plan->capacity) {
            return LT_FAIL(diag, LATHE_OVERFLOW, name_of(context, k), "truncate or reset it, or build the plan with more capacity",
                           "cache '%s' is full: it would be %lld long, its capacity is %lld and %lld are there", name_of(context, k), (long long)dims[axis],
                           (long long)k->plan->capacity, (long long)length_of(k));
        }
        for (int d = 0; d < k->rank; d++) {
            if ((d != (int)axis || k->whole) && dims[d] != k->dims[d]) {
                return LT_FAIL(diag, LATHE_BAD_SHAPE, name_of(context, k), "build the plan without this cache",
                               "cache '%s' has extent %lld on axis %d, after the run it would have %lld", name_of(context, k), (long long)k->dims[d], d,
                               (long long)dims[d]);
            }
        }
    }
    return LATHE_OK;
}

/* Outputs whose memory is not their own (views, inputs) are brought to where the next run looks for them. */
static lathe_status fetch(lathe_context *context, lt_state *state, lt_kept *k, lathe_diag *diag)
{
    const lt_plan_program *p = state->program->plan;
    uint32_t value = p->outputs[k->plan->output];
    lathe_tensor t;
    if (p->values[value].storage == LT_STORE_OUTPUT && p->values[value].index == k->plan->output) {
        return LATHE_OK;
    }
    LT_TRY(lt_cell_tensor(context, state, value, &context->copies, &t, diag));
    if (t.bytes > 0) {
        memcpy(k->other, t.data, t.bytes);
    }
    return LATHE_OK;
}

lathe_status lt_caches_after(lathe_context *context, lt_state *state, lathe_diag *diag)
{
    const lt_plan_program *p = state->program->plan;
    for (uint32_t i = 0; i < p->n_ways; i++) {
        lt_kept *k = &context->caches[i];
        LT_TRY(p->ways[i].way == LT_CACHE_SWAPPED ? fetch(context, state, k, diag) : LATHE_OK);
    }
    for (uint32_t i = 0; i < p->n_ways; i++) {
        lt_kept *k = &context->caches[i];
        k->dims[k->plan->axis] = state->cells[p->outputs[k->plan->output]].dims[k->plan->axis];
        k->used = true;
        if (p->ways[i].way == LT_CACHE_SWAPPED) {
            void *data = k->data;
            k->data = k->other;
            k->other = data;
        }
    }
    return LATHE_OK;
}

lathe_status lt_cache_place(const lathe_context *context, lt_state *state, uint32_t value, lathe_diag *diag)
{
    const lt_plan_program *p = state->program->plan;
    const lt_plan_value *v = &p->values[value];
    lt_cell *cell = &state->cells[value];
    bool output = v->storage == LT_STORE_OUTPUT;
    const lt_kept *k = lt_cache_of(context, v->index, output);
    uint8_t way = p->ways[k - context->caches].way;
    int64_t rows = rows_of(k), used = row_bytes(k, cell->dims[k->plan->axis]);
    cell->data = output && way == LT_CACHE_SWAPPED ? k->other : k->data;
    cell->pitch = 0;
    cell->span = cell->bytes;
    if (cell->bytes == 0) {
        return LATHE_OK;
    }
    if (v->format.strided > 0) {
        cell->pitch = row_bytes(k, k->plan->capacity);
        cell->span = (uint64_t)((rows - 1) * cell->pitch + used);
    } else if (way == LT_CACHE_GROWN && rows > 1) {
        return LT_FAIL(diag, LATHE_BAD_PLAN, v->name, "build the plan again", "cache '%s' has rows apart that the plan does not know of", v->name);
    }
    return LATHE_OK;
}

/* ---- Contents ---- */

static void copy_rows(char *dst, int64_t to, const char *src, int64_t from, int64_t rows, int64_t bytes)
{
    for (int64_t i = 0; i < rows && bytes > 0; i++) {
        memcpy(dst + i * to, src + i * from, (size_t)bytes);
    }
}

lathe_status lt_cache_fill(lathe_context *context, lt_kept *k, const lathe_tensor *tensor, lathe_diag *diag)
{
    int64_t extent = tensor->dims[k->plan->axis], capacity = k->plan->capacity;
    if (extent > capacity || (k->whole && extent != capacity)) {
        return LT_FAIL(diag, extent > capacity ? LATHE_OVERFLOW : LATHE_BAD_SHAPE, name_of(context, k), "give less, or build the plan with another capacity",
                       "cache '%s' has a capacity of %lld, the tensor extent %lld on axis %u", name_of(context, k), (long long)capacity, (long long)extent, k->plan->axis);
    }
    k->used = true;
    LT_TRY(take_shape(context, k, tensor->dims, diag));
    k->used = true;
    k->dense = false;
    copy_rows(k->data, row_bytes(k, capacity), tensor->data, row_bytes(k, extent), rows_of(k), row_bytes(k, extent));
    context->inputs[k->plan->input].bound = false; /* taken anew before the next run */
    return LATHE_OK;
}

lathe_status lt_cache_tensor(lathe_context *context, const lt_kept *k, lathe_tensor *out, lathe_diag *diag)
{
    lathe_dtype dtype = context->engine->plan->inputs[k->plan->input].dtype;
    LT_TRY(lt_tensor_shape(out, dtype, k->rank, k->dims, name_of(context, k), diag));
    out->struct_size = sizeof *out;
    out->data = k->data;
    int64_t rows = rows_of(k), bytes = row_bytes(k, length_of(k));
    if (k->dense || rows <= 1 || bytes == 0 || length_of(k) == k->plan->capacity) {
        return LATHE_OK;
    }
    LT_TRY(lt_tensor_alloc(&context->copies, out, dtype, k->rank, k->dims, name_of(context, k), diag));
    out->struct_size = sizeof *out;
    copy_rows(out->data, bytes, k->data, row_bytes(k, k->plan->capacity), rows, bytes);
    return LATHE_OK;
}

/* ---- What callers ask and say ---- */

/* By the name of the input or of the output; NULL with one record. */
static lt_kept *find(const lathe_context *context, const char *name, lathe_diag *diag)
{
    const lt_plan *plan = context->engine->plan;
    for (uint32_t i = 0; name && i < plan->n_caches; i++) {
        if (lt_streq(plan->inputs[plan->caches[i].input].name, name) || lt_streq(plan->outputs[plan->caches[i].output].name, name)) {
            return &context->caches[i];
        }
    }
    (void)LT_FAIL(diag, LATHE_INVALID_ARGUMENT, plan->model_name, plan->n_caches ? "lathe_engine_cache lists them" : "build the plan with caches (--cache)",
                  "the plan has no cache '%s'", name ? name : "(null)");
    return NULL;
}

lathe_status lathe_context_cache_length(const lathe_context *context, const char *name, int64_t *length, lathe_diag *diag)
{
    const lt_kept *k = find(context, name, diag);
    if (!k || !length) {
        return LATHE_INVALID_ARGUMENT;
    }
    *length = length_of(k);
    return LATHE_OK;
}

static lathe_status truncate(const lathe_context *context, lt_kept *k, int64_t length, lathe_diag *diag)
{
    if (length < 0 || length > length_of(k) || (k->whole && length != length_of(k))) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, name_of(context, k), k->whole ? "the network itself says how much of it counts" : "a cache can only become shorter",
                       "cache '%s' has length %lld, not %lld or more", name_of(context, k), (long long)length_of(k), (long long)length);
    }
    lay_out(k, false); /* dense rows of another length lie elsewhere */
    k->dims[k->plan->axis] = length;
    return LATHE_OK;
}

lathe_status lathe_context_cache_truncate(lathe_context *context, const char *name, int64_t length, lathe_diag *diag)
{
    context->ran = false;
    if (name) {
        lt_kept *k = find(context, name, diag);
        return k ? truncate(context, k, length, diag) : LATHE_INVALID_ARGUMENT;
    }
    for (uint32_t i = 0; i < context->engine->plan->n_caches; i++) { /* all or none */
        const lt_kept *k = &context->caches[i];
        if (!k->whole && (length < 0 || length > length_of(k))) {
            return truncate(context, &context->caches[i], length, diag);
        }
    }
    for (uint32_t i = 0; i < context->engine->plan->n_caches; i++) {
        LT_TRY(context->caches[i].whole ? LATHE_OK : truncate(context, &context->caches[i], length, diag));
    }
    return LATHE_OK;
}

static void reset(lt_kept *k)
{
    k->dims[k->plan->axis] = k->whole ? k->plan->capacity : 0;
    k->used = false;
    if (k->whole && k->shaped) {
        memset(k->data, 0, (size_t)(rows_of(k) * row_bytes(k, k->plan->capacity)));
    }
}

lathe_status lathe_context_cache_reset(lathe_context *context, const char *name, lathe_diag *diag)
{
    lt_kept *k = name ? find(context, name, diag) : NULL;
    if (name && !k) {
        return LATHE_INVALID_ARGUMENT;
    }
    context->ran = false;
    for (uint32_t i = 0; i < context->engine->plan->n_caches; i++) {
        if (!k || k == &context->caches[i]) {
            reset(&context->caches[i]);
        }
    }
    return LATHE_OK;
}

lathe_status lathe_context_cache_storage(lathe_context *context, const char *name, void *data, size_t bytes, int64_t length, lathe_diag *diag)
{
    lt_kept *k = find(context, name, diag);
    if (!k) {
        return LATHE_INVALID_ARGUMENT;
    }
    if (length < 0 || length > k->plan->capacity || (!data && length > 0) || (data && k->whole && length != k->plan->capacity)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, name_of(context, k), "length tells how much of the storage is filled already",
                       "cache '%s' has a capacity of %lld and cannot begin with length %lld", name_of(context, k), (long long)k->plan->capacity, (long long)length);
    }
    context->ran = false;
    release(context, k);
    k->dense = false;
    k->dims[k->plan->axis] = k->whole ? k->plan->capacity : length;
    k->data = data;
    k->bytes = data ? bytes : 0;
    k->lent = k->used = data != NULL;
    context->inputs[k->plan->input].bound = false;
    return LATHE_OK;
}

size_t lathe_engine_caches(const lathe_engine *engine)
{
    return engine->plan->n_caches;
}

lathe_status lathe_engine_cache(const lathe_engine *engine, size_t index, lathe_cache_info *info, lathe_diag *diag)
{
    static const char *const ways[] = {"", "appended in place", "updated in place", "written anew"};
    const lt_plan *plan = engine->plan;
    if (!info || info->struct_size != sizeof *info || index >= plan->n_caches) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, plan->model_name, "set struct_size to sizeof(lathe_cache_info)", "the plan has no cache %zu", index);
    }
    const lt_plan_cache *c = &plan->caches[index];
    const lt_plan_way *way = &engine->programs[0].plan->ways[index];
    *info = (lathe_cache_info){.struct_size = sizeof *info, .input = plan->inputs[c->input].name, .output = plan->outputs[c->output].name, .axis = (int)c->axis,
                               .capacity = c->capacity, .way = ways[way->way], .note = way->note};
    return LATHE_OK;
}
