/*
 * dims.c - the table of symbolic dimensions: leaves, hash-consing, structural order. Part of base; the rules live in
 * dims_make.c and dims_div.c.
 */
#include "base/dims.h"

#include <string.h>

#include "base/dims_internal.h"
#include "base/hash.h"

lt_dims *lt_dims_create(const lathe_allocator *allocator)
{
    lt_dims *dims = LT_NEW(allocator, lt_dims);
    if (dims != NULL) {
        dims->allocator = allocator;
        dims->count = 1;
        lt_arena_init(&dims->arena, allocator);
        lt_arena_init(&dims->scratch, allocator);
    }
    return dims;
}

void lt_dims_destroy(lt_dims *dims)
{
    if (dims == NULL) {
        return;
    }
    lt_arena_destroy(&dims->arena);
    lt_arena_destroy(&dims->scratch);
    lt_release(dims->allocator, dims->entries, dims->capacity * sizeof(lt_dim_entry), LT_VEC_ALIGN);
    lt_release(dims->allocator, dims->slots, dims->slot_count * sizeof(uint32_t), _Alignof(uint32_t));
    LT_DELETE(dims->allocator, dims);
}

uint32_t lt_dims_size(const lt_dims *dims)
{
    return (uint32_t)dims->count;
}

bool lt_dim_is_op(const lt_dims *dims, lt_dim d, lt_dim_op op)
{
    return d.e != 0 && dims->entries[d.e].op == op;
}

lt_dim_node lt_dim_get(const lt_dims *dims, lt_dim d)
{
    if (lt_dim_is_const(d)) {
        return (lt_dim_node){ .op = LT_DIM_CONST, .lo = d, .hi = d };
    }
    const lt_dim_entry *entry = lt_dim_entry_of(dims, d);
    return (lt_dim_node){ .op = entry->op,
                          .name = entry->name,
                          .count = entry->count,
                          .args = entry->args,
                          .lo = entry->lo_dim,
                          .hi = entry->hi_dim };
}

static uint64_t hash_entry(const lt_dim_entry *entry)
{
    uint64_t seed = (uint64_t)entry->op << 32 | entry->count;
    if (entry->op == LT_DIM_SYMBOL) {
        return lt_hash64(entry->name, strlen(entry->name), seed);
    }
    if (entry->op == LT_DIM_FRESH) {
        return lt_hash64(&entry->fresh, sizeof entry->fresh, seed);
    }
    uint64_t hash = seed;
    for (uint32_t i = 0; i < entry->count; i++) { /* field by field: the struct has padding */
        uint64_t words[2] = { (uint64_t)entry->args[i].k, entry->args[i].e };
        hash = lt_hash64(words, sizeof words, hash);
    }
    return hash;
}

static bool entries_equal(const lt_dim_entry *a, const lt_dim_entry *b)
{
    if (a->op != b->op || a->count != b->count) {
        return false;
    }
    if (a->op == LT_DIM_SYMBOL) {
        return strcmp(a->name, b->name) == 0;
    }
    if (a->op == LT_DIM_FRESH) {
        return a->fresh == b->fresh;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (!lt_dim_same(a->args[i], b->args[i])) {
            return false;
        }
    }
    return true;
}

static uint32_t *locate(lt_dims *dims, const lt_dim_entry *entry)
{
    size_t mask = dims->slot_count - 1, i = (size_t)hash_entry(entry) & mask;
    while (dims->slots[i] != 0 && !entries_equal(&dims->entries[dims->slots[i]], entry)) {
        i = (i + 1) & mask;
    }
    return &dims->slots[i];
}

/* Room for one more entry in both arrays, so that adding it cannot fail half-way. */
static bool reserve(lt_dims *dims)
{
    void *entries = dims->entries;
    if (dims->count >= UINT32_MAX ||
        !lt_grow(dims->allocator, &entries, &dims->capacity, dims->count + 1, sizeof(lt_dim_entry))) {
        return false;
    }
    dims->entries = entries;
    if ((dims->count + 1) * 2 <= dims->slot_count) {
        return true;
    }
    size_t old_count = dims->slot_count, slot_count = old_count == 0 ? 64 : old_count * 2;
    uint32_t *slots = lt_alloc_array(dims->allocator, slot_count, sizeof *slots, _Alignof(uint32_t));
    if (slots == NULL) {
        return false;
    }
    lt_release(dims->allocator, dims->slots, old_count * sizeof *slots, _Alignof(uint32_t));
    dims->slots = slots;
    dims->slot_count = slot_count;
    for (size_t i = 1; i < dims->count; i++) {
        *locate(dims, &dims->entries[i]) = (uint32_t)i;
    }
    return true;
}

static void append(lt_dims *dims, const lt_dim_entry *entry, uint32_t *slot, lt_dim *out)
{
    uint32_t index = (uint32_t)dims->count++;
    dims->entries[index] = *entry;
    *slot = index;
    *out = (lt_dim){ .e = index };
}

lathe_status lt_dim_intern(lt_dims *dims, lt_dim_op op, const lt_dim *args, size_t count, lt_dim *out, lathe_diag *diag)
{
    if (count > LT_DIM_ARGS_MAX + LT_POLY_TERMS_MAX) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, NULL, LT_DIM_ADVICE, "a symbolic dimension has more than %d terms",
                       LT_POLY_TERMS_MAX);
    }
    lt_dim_entry entry = { .op = op, .count = (uint32_t)count, .args = args, .tree = 1 };
    if (!reserve(dims)) {
        return LT_OOM(diag);
    }
    uint32_t *slot = locate(dims, &entry);
    if (*slot != 0) {
        *out = (lt_dim){ .e = *slot };
        return LATHE_OK;
    }
    for (size_t i = 0; i < count; i++) {
        if (args[i].e != 0) {
            const lt_dim_entry *arg = lt_dim_entry_of(dims, args[i]);
            entry.depth = arg->depth > entry.depth ? arg->depth : entry.depth;
            entry.tree += arg->tree; /* cannot wrap: both counts are small */
        } else {
            entry.tree++;
        }
    }
    if (entry.tree > LT_DIM_TREE_MAX) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, NULL, LT_DIM_ADVICE, "a symbolic dimension has more than %d parts",
                       LT_DIM_TREE_MAX);
    }
    entry.depth = (uint16_t)(entry.depth + (op != LT_DIM_ADD && op != LT_DIM_MUL));
    if (entry.depth > LT_MAX_DEPTH) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, NULL, LT_DIM_ADVICE,
                       "a symbolic dimension nests more than %d operations", LT_MAX_DEPTH);
    }
    entry.args = lt_arena_copy(&dims->arena, args, count * sizeof *args, _Alignof(lt_dim));
    if (entry.args == NULL) {
        return LT_OOM(diag);
    }
    lt_dim_entry_bounds(dims, &entry);
    append(dims, &entry, slot, out);
    return LATHE_OK;
}

lathe_status lt_dim_symbol(lt_dims *dims, const char *name, lt_dim *out, lathe_diag *diag)
{
    lt_dim_entry entry = { .op = LT_DIM_SYMBOL, .name = name, .tree = 1 };
    if (name[0] == '\0') {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "a dimension's name is empty");
    }
    if (!reserve(dims)) {
        return LT_OOM(diag);
    }
    uint32_t *slot = locate(dims, &entry);
    if (*slot != 0) {
        *out = (lt_dim){ .e = *slot };
        return LATHE_OK;
    }
    entry.name = lt_arena_str(&dims->arena, name);
    if (entry.name == NULL) {
        return LT_OOM(diag);
    }
    entry.lo_dim = lt_dim_const(0);
    entry.hi_dim = lt_dim_const(INT64_MAX);
    entry.declared_hi = INT64_MAX;
    lt_dim_entry_bounds(dims, &entry);
    append(dims, &entry, slot, out);
    return LATHE_OK;
}

lathe_status lt_dim_fresh_numbered(lt_dims *dims, uint32_t number, lt_dim lo, lt_dim hi, lt_dim *out, lathe_diag *diag)
{
    lt_dim_entry entry = { .op = LT_DIM_FRESH, .fresh = number, .tree = 1, .lo_dim = lo, .hi_dim = hi };
    entry.declared_lo = INT64_MIN;
    entry.declared_hi = INT64_MAX;
    if (number == UINT32_MAX) {
        return LT_FAIL(diag, LATHE_OVERFLOW, NULL, NULL, "there are too many unknown dimensions");
    }
    if (!reserve(dims)) {
        return LT_OOM(diag);
    }
    uint32_t *slot = locate(dims, &entry);
    if (*slot != 0) {
        *out = (lt_dim){ .e = *slot };
        return LATHE_OK;
    }
    lt_dim_entry_bounds(dims, &entry);
    append(dims, &entry, slot, out);
    dims->fresh = number + 1 > dims->fresh ? number + 1 : dims->fresh;
    return LATHE_OK;
}

lathe_status lt_dim_fresh(lt_dims *dims, lt_dim lo, lt_dim hi, lt_dim *out, lathe_diag *diag)
{
    return lt_dim_fresh_numbered(dims, dims->fresh, lo, hi, out, diag);
}

lathe_status lt_dim_range(lt_dims *dims, lt_dim symbol, int64_t lo, int64_t hi, lathe_diag *diag)
{
    if (lt_dim_is_const(symbol)) {
        if (lo <= symbol.k && symbol.k <= hi) {
            return LATHE_OK;
        }
        return LT_FAIL(diag, LATHE_BAD_SHAPE, NULL, NULL, "%lld is outside of the range %lld to %lld",
                       (long long)symbol.k, (long long)lo, (long long)hi);
    }
    lt_dim_entry *entry = &dims->entries[symbol.e];
    if (entry->op != LT_DIM_SYMBOL && entry->op != LT_DIM_FRESH) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL,
                       "only symbols and unknowns have a range that can be narrowed");
    }
    int64_t new_lo = lo > entry->lo ? lo : entry->lo, new_hi = hi < entry->hi ? hi : entry->hi;
    if (new_lo > new_hi) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, NULL, "make the ranges of this dimension meet",
                       "dimension '%s' cannot be both in %lld..%lld and in %lld..%lld",
                       entry->name != NULL ? entry->name : "?", (long long)entry->lo, (long long)entry->hi,
                       (long long)lo, (long long)hi);
    }
    entry->declared_lo = new_lo;
    entry->declared_hi = new_hi;
    if (entry->op == LT_DIM_SYMBOL) {
        entry->lo_dim = lt_dim_const(new_lo);
        entry->hi_dim = lt_dim_const(new_hi);
    }
    for (size_t i = symbol.e; i < dims->count; i++) { /* arguments come first, so one sweep is enough */
        lt_dim_entry_bounds(dims, &dims->entries[i]);
    }
    return LATHE_OK;
}

static int compare_leaves(const lt_dim_entry *a, const lt_dim_entry *b)
{
    if (a->op == LT_DIM_SYMBOL) {
        return strcmp(a->name, b->name);
    }
    return a->fresh < b->fresh ? -1 : a->fresh > b->fresh;
}

/* Descends along the first argument that differs; equal expressions have equal handles, so there is one path and
   it ends. */
int lt_dim_order(const lt_dims *dims, lt_dim a, lt_dim b)
{
    while (!lt_dim_same(a, b)) {
        if (a.e == 0 || b.e == 0) {
            return a.e != 0 ? -1 : b.e != 0 ? 1 : a.k < b.k ? -1 : 1;
        }
        const lt_dim_entry *x = lt_dim_entry_of(dims, a), *y = lt_dim_entry_of(dims, b);
        if (x->op != y->op) {
            return x->op < y->op ? -1 : 1;
        }
        if (x->op == LT_DIM_SYMBOL || x->op == LT_DIM_FRESH) {
            return compare_leaves(x, y);
        }
        uint32_t common = x->count < y->count ? x->count : y->count, i = 0;
        while (i < common && lt_dim_same(x->args[i], y->args[i])) {
            i++;
        }
        if (i == common) {
            return x->count < y->count ? -1 : 1;
        }
        a = x->args[i];
        b = y->args[i];
    }
    return 0;
}
