/*
 * plan_blob.c - the weight section: which constants are stored in which pack, each once for all parts; their bytes while the file is written.
 */
#include "plan/plan_internal.h"
#include <string.h>

static lathe_status pack_of(lt_planner *p, lt_stored *s)
{
    const lt_recipe *r = &p->recipes[s->recipe];
    const lathe_pack *pack = lt_pack_find(s->pack);
    size_t bytes;
    if (!pack || r->blob == NULL || !lt_pack_bytes(s->pack, lt_blob_tensor(r->blob), s->param, &bytes)) {
        return LT_FAIL(p->diag, LATHE_INTERNAL, r->name, "this is a bug in Lathe: please report it", "'%s' cannot be packed as %s", r->name, s->pack);
    }
    s->pack_version = pack->version;
    s->bytes = bytes;
    return LATHE_OK;
}

/* u64 count, count + 1 offsets, the bytes. */
static lathe_status string_bytes(lt_planner *p, const lt_tensor *t, uint64_t *out)
{
    const lt_string *strings = t->data;
    int64_t count = lt_tensor_count(t);
    size_t total;
    if (!lt_size_mul((size_t)count + 2, 8, &total)) {
        return LT_FAIL(p->diag, LATHE_OVERFLOW, NULL, NULL, "too many strings");
    }
    for (int64_t i = 0; i < count; i++) {
        if (!lt_size_add(total, strings[i].length, &total)) {
            return LT_FAIL(p->diag, LATHE_OVERFLOW, NULL, NULL, "the strings are too long");
        }
    }
    *out = total;
    return LATHE_OK;
}

lathe_status lt_store_constant(lt_planner *p, uint32_t recipe, const char *pack, const int64_t param[4], uint32_t *out)
{
    static const int64_t none[4];
    param = pack ? param : none;
    for (size_t i = 0; i < p->n_stored; i++) {
        const lt_stored *s = &p->stored[i];
        if (s->recipe == recipe && lt_streq(s->pack, pack) && memcmp(s->param, param, sizeof s->param) == 0) {
            *out = (uint32_t)i;
            return LATHE_OK;
        }
    }
    lt_stored s = {.recipe = recipe, .pack = pack};
    const lt_tensor *t = lt_blob_tensor(p->recipes[recipe].blob);
    memcpy(s.param, param, sizeof s.param);
    s.bytes = t->bytes;
    if (pack) {
        LT_TRY(pack_of(p, &s));
    } else if (t->dtype == LATHE_DTYPE_STRING) {
        LT_TRY(string_bytes(p, t, &s.bytes));
    }
    if (!lt_arena_grow(p->arena, (void **)&p->stored, &p->cap_stored, p->n_stored + 1, sizeof s)) {
        return LT_OOM(p->diag);
    }
    *out = (uint32_t)p->n_stored;
    p->stored[p->n_stored++] = s;
    return LATHE_OK;
}

lathe_status lt_blobs_finish(lt_planner *p)
{
    p->blobs = LT_ARENA_ARRAY(p->arena, lt_plan_blob, p->n_stored + 1);
    if (!p->blobs) {
        return LT_OOM(p->diag);
    }
    for (size_t i = 0; i < p->n_stored; i++) {
        const lt_stored *s = &p->stored[i];
        const lt_recipe *r = &p->recipes[s->recipe];
        const lt_tensor *t = lt_blob_tensor(r->blob);
        lt_plan_blob *b = &p->blobs[i];
        *b = (lt_plan_blob){.key = lt_blob_hash(r->blob), .name = r->name, .pack = s->pack ? s->pack : "", .pack_version = s->pack_version, .dtype = t->dtype,
                            .rank = t->rank, .bytes = s->bytes};
        memcpy(b->param, s->param, sizeof b->param);
        memcpy(b->dims, t->dims, sizeof b->dims);
        b->flags = (s->flagged ? LT_BLOB_INITIALIZER : 0u) | (t->dtype == LATHE_DTYPE_STRING ? LT_BLOB_STRINGS : 0u);
    }
    p->plan.blobs = p->blobs;
    p->plan.n_blobs = (uint32_t)p->n_stored;
    return lt_plan_layout(&p->plan, p->blobs, p->diag);
}

static void put_strings(const lt_tensor *t, unsigned char *dst)
{
    const lt_string *strings = t->data;
    uint64_t count = (uint64_t)lt_tensor_count(t), at = 0;
    unsigned char *text = dst + 8 * (count + 2);
    for (uint64_t i = 0; i <= count + 1; i++) { /* the count, then the offsets */
        uint64_t number = i == 0 ? count : at;
        for (int k = 0; k < 8; k++) {
            dst[8 * i + (uint64_t)k] = (unsigned char)(number >> (8 * k));
        }
        if (i > 0 && i <= count && strings[i - 1].length > 0) {
            memcpy(text + at, strings[i - 1].data, strings[i - 1].length);
            at += strings[i - 1].length;
        }
    }
}

lathe_status lt_blob_bytes(void *planner, const lt_plan *plan, uint32_t blob, void *dst, lathe_diag *diag)
{
    lt_planner *p = planner;
    const lt_stored *s = &p->stored[blob];
    const lt_recipe *r = &p->recipes[s->recipe];
    const lt_tensor *t = lt_blob_tensor(r->blob);
    uint32_t before = atomic_fetch_add_explicit(&p->packed, 1, memory_order_relaxed);
    bool tells = p->request->progress && pthread_equal(p->caller, pthread_self());
    if (tells && p->request->progress(p->request->progress_user, "pack", r->name, before, plan->n_blobs)) {
        return LT_FAIL(diag, LATHE_CANCELLED, r->name, NULL, "cancelled while packing");
    }
    if (s->pack) {
        const lathe_pack *pack = lt_pack_find(s->pack);
        LT_CHECK(diag, pack != NULL, s->pack);
        pack->pack(dst, t, s->param);
    } else if (t->dtype == LATHE_DTYPE_STRING) {
        put_strings(t, dst);
    } else if (t->bytes > 0) {
        memcpy(dst, t->data, t->bytes);
    }
    return LATHE_OK;
}

typedef struct spread {
    uint32_t n;
    void (*fn)(void *arg, uint32_t i);
    void *arg;
    _Atomic uint32_t next;
} spread;

static void take_next(void *user, const lathe_gang *gang)
{
    spread *s = user;
    (void)gang;
    for (uint32_t i; (i = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed)) < s->n;) {
        s->fn(s->arg, i);
    }
}

void lt_blobs_spread(void *planner, uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg)
{
    lt_planner *p = planner;
    spread s = {.n = n, .fn = fn, .arg = arg};
    lt_pool_run(p->pool, p->pool ? lt_pool_threads(p->pool) : 1, take_next, &s);
}
