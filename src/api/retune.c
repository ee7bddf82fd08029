/*
 * retune.c - from a plan back to a network, and to a variant for this machine. liblathe_rt alone can only say that this is needed.
 *
 * A plan holds its graph above the border as text whose constants name blobs by hash; raw blobs are used as they are, packed ones are unpacked.
 */
#include "api/api_internal.h"
#include "rt/rt.h"
#include <string.h>

typedef struct finder {
    const lt_plan *plan;
    const lathe_allocator *allocator;
    bool no_memory; /* for a blob that is there */
} finder;

static lathe_status unpacked(const finder *f, const lt_plan_blob *b, lt_blob **out)
{
    const void *data = f->plan->weights + b->offset;
    void *to;
    lt_tensor t = {.struct_size = sizeof t};
    if (b->pack[0]) {
        const lathe_pack *pack = lt_pack_find(b->pack);
        if (!pack || !pack->unpack || pack->version != b->pack_version) {
            return LATHE_UNSUPPORTED;
        }
        LT_TRY(lt_blob_make(f->allocator, b->dtype, b->rank, b->dims, out, &to, NULL));
        t = *lt_blob_tensor(*out);
        pack->unpack(&t, data, b->param);
        return LATHE_OK;
    }
    LT_TRY(lt_tensor_shape(&t, b->dtype, b->rank, b->dims, b->name, NULL));
    t.data = (void *)data;
    return lt_blob_copy(f->allocator, &t, out, NULL);
}

/* Strings in the weight section are offsets and bytes; see docs/engine.md. */
static lathe_status strings(const finder *f, const lt_plan_blob *b, lt_blob **out)
{
    lt_arena arena;
    lt_arena_init(&arena, f->allocator);
    const unsigned char *at = f->plan->weights + b->offset;
    uint64_t count, begin, end;
    memcpy(&count, at, 8);
    lathe_bytes *list = LT_ARENA_ARRAY(&arena, lathe_bytes, (size_t)count + 1);
    lt_tensor t = {.struct_size = sizeof t};
    lathe_status status = list ? lt_tensor_shape(&t, b->dtype, b->rank, b->dims, b->name, NULL) : LATHE_OUT_OF_MEMORY;
    for (uint64_t i = 0; status == LATHE_OK && i < count; i++) {
        memcpy(&begin, at + 8 * (i + 1), 8);
        memcpy(&end, at + 8 * (i + 2), 8);
        list[i] = (lathe_bytes){(const char *)at + 8 * (count + 2) + begin, (size_t)(end - begin)};
    }
    t.data = list;
    status = status == LATHE_OK ? lt_blob_copy(f->allocator, &t, out, NULL) : status;
    lt_arena_destroy(&arena);
    return status;
}

static lt_blob *find_blob(void *user, uint64_t hash)
{
    finder *f = user;
    for (uint32_t i = 0; i < f->plan->n_blobs; i++) {
        const lt_plan_blob *b = &f->plan->blobs[i];
        lt_blob *blob = NULL;
        lathe_status status = b->key != hash ? LATHE_UNSUPPORTED : (b->flags & LT_BLOB_STRINGS) ? strings(f, b, &blob) : unpacked(f, b, &blob);
        if (status == LATHE_OK) {
            return blob;
        }
        f->no_memory |= status == LATHE_OUT_OF_MEMORY;
    }
    return NULL;
}

static lathe_status network_of(const lt_plan *plan, const lathe_allocator *allocator, lathe_network **out, lathe_diag *diag)
{
    finder f = {.plan = plan, .allocator = allocator};
    lt_graph *graph;
    if (!plan->retunable) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, plan->model_name, "build it again from the model",
                       "the plan cannot be re-tuned: some weight is packed in a way that cannot be undone");
    }
    uint32_t mode = lt_float_mode_enter();
    lathe_status status = lt_graph_parse(plan->graph, strlen(plan->graph), "plan", allocator, find_blob, &f, &graph, diag);
    lt_float_mode_leave(mode);
    LT_TRY(status != LATHE_OK && f.no_memory ? LT_OOM(diag) : status);
    return lt_network_wrap(graph, allocator, out, diag);
}

/* ---- Options of the old plan ---- */

static bool has_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = text; at && *at;) {
        size_t length = strcspn(at, " ");
        if (length == n && memcmp(at, word, n) == 0) {
            return true;
        }
        at += length + (at[length] == ' ');
    }
    return false;
}

/* The values of a word that may stand several times in the options, as lt_buf_put_name wrote them. */
static lathe_status words_of(const char *text, const char *key, lt_arena *arena, const char *const **out, size_t *count, lathe_diag *diag)
{
    const char **list = lt_arena_zero(arena, strlen(text) / (strlen(key) + 1) + 1, sizeof *list, _Alignof(char *));
    *out = list;
    *count = 0;
    for (const char *at = list ? strstr(text, key) : NULL; at; at = strstr(at, key)) {
        at += strlen(key);
        bool quoted = *at == '"';
        size_t length = quoted ? 0 : strcspn(at, " ");
        for (at += quoted; quoted && at[length] && at[length] != '"'; length++) {
            length += at[length] == '\\' && at[length + 1];
        }
        char *word = lt_arena_strn(arena, at, length);
        if (!word) {
            return LT_OOM(diag);
        }
        size_t kept = 0;
        for (size_t i = 0; word[i]; i++) { /* quotes and backslashes are all that names of dimensions may have escaped and numbers not */
            i += word[i] == '\\' && word[i + 1];
            word[kept++] = word[i];
        }
        word[kept] = '\0';
        list[(*count)++] = word;
    }
    return list ? LATHE_OK : LT_OOM(diag);
}

/* Profiles as they were asked for, where they bound anything. */
static lathe_status old_profiles(const lt_plan *plan, lt_arena *arena, lathe_build_options *o, lathe_diag *diag)
{
    lathe_profile *profiles = LT_ARENA_ARRAY(arena, lathe_profile, plan->n_profiles + 1u);
    if (!profiles) {
        return LT_OOM(diag);
    }
    bool bounded = false;
    for (uint32_t i = 0; i < plan->n_profiles; i++) {
        lathe_shape_range *ranges = LT_ARENA_ARRAY(arena, lathe_shape_range, plan->n_inputs + 1u);
        if (!ranges) {
            return LT_OOM(diag);
        }
        for (uint32_t k = 0; k < plan->n_inputs; k++) {
            const lt_plan_profile_input *row = &plan->profiles[i * plan->n_inputs + k];
            ranges[k] = (lathe_shape_range){.input = plan->inputs[k].name, .rank = plan->inputs[k].rank};
            memcpy(ranges[k].min, row->min, sizeof row->min);
            memcpy(ranges[k].opt, row->opt, sizeof row->opt);
            memcpy(ranges[k].max, row->max, sizeof row->max);
            for (int d = 0; d < plan->inputs[k].rank; d++) {
                bounded |= plan->inputs[k].fixed[d] < 0 && row->max[d] < INT64_MAX;
            }
        }
        profiles[i] = (lathe_profile){ranges, plan->n_inputs};
    }
    o->profiles = bounded ? profiles : NULL;
    o->n_profiles = bounded ? plan->n_profiles : 0;
    return LATHE_OK;
}

static lathe_status old_options(const lt_plan *plan, lt_arena *arena, lathe_build_options *o, lathe_diag *diag)
{
    const char **names = lt_arena_zero(arena, plan->n_blobs + 1u, sizeof *names, _Alignof(char *));
    if (!names) {
        return LT_OOM(diag);
    }
    *o = (lathe_build_options){.struct_size = sizeof *o, .device = plan->n_variants ? plan->variants[0].device : "cpu"};
    const char *sources = strstr(plan->options, " sources=");
    uint32_t set;
    sources = sources ? lt_arena_strn(arena, sources + 9, strcspn(sources + 9, " ")) : NULL;
    if (sources && lt_sources_read(sources, &set, NULL) == LATHE_OK) { /* what is not here any more is not asked for again */
        o->sources = sources;
    }
    o->refit = has_word(plan->options, "refit");
    o->only_profiles = has_word(plan->options, "only-profiles");
    if (!o->refit && strstr(plan->options, " refit=")) {
        for (uint32_t i = 0; i < plan->n_blobs; i++) {
            if (plan->blobs[i].flags & LT_BLOB_INITIALIZER) {
                names[o->n_refit_names++] = plan->blobs[i].name;
            }
        }
        o->refit_names = names;
    }
    LT_TRY(words_of(plan->options, " buckets=", arena, &o->buckets, &o->n_buckets, diag));
    return old_profiles(plan, arena, o, diag);
}

/* What the caller leaves open is as in the plan. max_isa, only: for a caller without options; max_isa may be NULL. */
static lathe_status new_options(const lt_plan *plan, const lathe_build_options *given, const char *max_isa, bool only, lt_arena *arena, lathe_build_options *o,
                                lathe_diag *diag)
{
    lathe_build_options old;
    LT_TRY(old_options(plan, arena, &old, diag));
    old.max_isa = max_isa;
    old.only = only;
    *o = given ? *given : old;
    if (given && given->struct_size == sizeof *given) {
        bool refit = given->refit || given->n_refit_names > 0;
        o->profiles = given->n_profiles ? given->profiles : old.profiles;
        o->n_profiles = given->n_profiles ? given->n_profiles : old.n_profiles;
        o->buckets = given->n_profiles || given->n_buckets ? given->buckets : old.buckets;
        o->n_buckets = given->n_profiles || given->n_buckets ? given->n_buckets : old.n_buckets;
        o->only_profiles = given->n_profiles ? given->only_profiles : old.only_profiles;
        o->device = given->device ? given->device : old.device;
        o->sources = given->sources ? given->sources : old.sources;
        o->refit = refit ? given->refit : old.refit;
        o->refit_names = refit ? given->refit_names : old.refit_names;
        o->n_refit_names = refit ? given->n_refit_names : old.n_refit_names;
    }
    return LATHE_OK;
}

static lathe_status retune(const lt_plan *plan, const lathe_build_options *o, const lathe_allocator *allocator, lathe_plan **out, lathe_diag *diag)
{
    lathe_network *network;
    LT_TRY(network_of(plan, allocator, &network, diag));
    network->equals = plan->equals;
    network->n_equals = plan->n_equals;
    network->caches = plan->caches;
    network->n_caches = plan->n_caches;
    lathe_status status = lathe_build(network, o, out, diag);
    lathe_network_destroy(network);
    if (status == LATHE_OK && !o->only) {
        uint64_t may = lt_cpu_features() & (o->max_isa ? lt_cpu_level(o->max_isa) : UINT64_MAX);
        status = lt_keep_variants(plan, *out, o->targets || o->machine ? 0 : may, diag);
    }
    if (status != LATHE_OK) {
        lathe_plan_destroy(*out);
        *out = NULL;
    }
    return status;
}

static lathe_status retune_bytes(const void *data, size_t size, const lathe_build_options *options, const char *max_isa, bool only, lathe_plan **out,
                                 lathe_diag *diag)
{
    const lathe_allocator *allocator = options ? options->allocator : NULL;
    lathe_build_options o;
    lt_arena arena;
    lt_plan *plan;
    *out = NULL;
    lt_arena_init(&arena, allocator);
    lathe_status status = lt_plan_decode(data, size, 0, NULL, NULL, &arena, &plan, diag);
    if (status == LATHE_OK) {
        status = new_options(plan, options, max_isa, only, &arena, &o, diag);
        status = status == LATHE_OK ? retune(plan, &o, allocator, out, diag) : status;
    }
    lt_arena_destroy(&arena);
    return status;
}

lathe_status lathe_plan_retune(const void *data, size_t size, const lathe_build_options *options, lathe_plan **out, lathe_diag *diag)
{
    return retune_bytes(data, size, options, NULL, false, out, diag);
}

/* ---- Opening, whatever it takes ---- */

/* The ISA level that a runtime is held to; NULL when it may use all that the machine has. */
static const char *level_of(lathe_runtime *runtime)
{
    static const char *const names[] = {"vnni", "avx512", "avx2", "base"};
    uint64_t features = lt_runtime_features(runtime ? runtime : lt_runtime_default());
    for (size_t i = 0; features != lt_cpu_features() && i < LT_COUNT(names); i++) {
        if ((lt_cpu_features() & lt_cpu_level(names[i])) == features) {
            return names[i];
        }
    }
    return NULL;
}

static lathe_status open_retuned(lathe_runtime *runtime, const char *path, const lathe_load_options *options, lathe_engine **out, lathe_diag *diag)
{
    lt_file file;
    lathe_plan *plan;
    lathe_load_options copy = options ? *options : (lathe_load_options){.struct_size = sizeof copy};
    LT_TRY(lt_file_map(&file, path, diag));
    lathe_status status = retune_bytes(file.data, file.size, NULL, level_of(runtime), true, &plan, diag);
    lt_file_close(&file);
    if (status == LATHE_OK) {
        size_t size;
        const void *data = lathe_plan_data(plan, &size);
        copy.copy = 1; /* the plan's bytes go away below */
        status = lathe_engine_load_memory(runtime, data, size, &copy, out, diag);
        lathe_plan_destroy(plan);
    }
    return status;
}

lathe_status lathe_engine_open(lathe_runtime *runtime, const char *path, const lathe_load_options *options, lathe_engine **out, int *retuned, lathe_diag *diag)
{
    lathe_diag *first = lathe_diag_create(NULL);
    lathe_status status = lathe_engine_load(runtime, path, options, out, first);
    if (retuned) {
        *retuned = status == LATHE_NEEDS_RETUNE;
    }
    if (status == LATHE_NEEDS_RETUNE) {
        status = open_retuned(runtime, path, options, out, diag);
    } else if (status != LATHE_OK) { /* say it again into the caller's list */
        lathe_diag_record r = {.struct_size = sizeof r};
        for (size_t i = 0; lathe_diag_at(first, i, &r) == LATHE_OK; i++) {
            lt_diag_fail(diag, r.status, r.file, r.line, r.where, r.advice, "%s", r.text);
        }
    }
    lathe_diag_destroy(first);
    return status;
}
