/*
 * inspect_plan.c - lathe inspect on a plan: what it holds, its steps, its memory. It reads the plan's tables only, so that a plan for another machine can be
 * looked at as well.
 */
#include "inspect.h"
#include "steps.h"
#include <stdlib.h>
#include <string.h>

/* Weights that refitting can replace. */
static size_t refittable(const lt_plan *plan)
{
    size_t n = 0;
    for (uint32_t i = 0; i < plan->n_blobs; i++) {
        n += (plan->blobs[i].flags & LT_BLOB_INITIALIZER) != 0;
    }
    return n;
}

static void put_io(lt_buf *out, const char *word, const lt_plan_io *io, const lt_plan_kind *kind)
{
    lt_buf_printf(out, "%s ", word);
    lt_buf_put_name(out, io->name);
    if (kind) {
        lt_buf_puts(out, ": ");
        lt_plan_kind_print(kind, out);
        lt_buf_putc(out, '\n');
        return;
    }
    lt_buf_printf(out, ": %s%s", lt_dtype_get(io->dtype)->name, io->rank < 0 ? "" : "[");
    for (int i = 0; i < io->rank; i++) {
        lt_buf_printf(out, "%s%s", i ? "," : "", io->dims[i]);
    }
    lt_buf_puts(out, io->rank < 0 ? "" : "]");
    lt_buf_puts(out, io->host ? " (used as a shape)\n" : "\n");
}

static void put_extent(lt_buf *out, int64_t value)
{
    if (value == INT64_MAX) {
        lt_buf_putc(out, '*');
    } else {
        lt_buf_printf(out, "%lld", (long long)value);
    }
}

static void put_extents(lt_buf *out, const int64_t *dims, int rank)
{
    for (int i = 0; i < rank; i++) {
        lt_buf_puts(out, i ? "x" : "");
        put_extent(out, dims[i]);
    }
}

static void put_profiles(lt_buf *out, const lt_plan *plan)
{
    for (uint32_t p = 0; p < plan->n_profiles; p++) {
        lt_buf_printf(out, "profile %u:", p);
        for (uint32_t i = 0; i < plan->n_inputs; i++) {
            const lt_plan_profile_input *r = &plan->profiles[(size_t)p * plan->n_inputs + i];
            int rank = plan->inputs[i].rank;
            if (plan->inputs[i].cls != LT_TENSOR) {
                continue; /* nothing is planned for items */
            }
            lt_buf_putc(out, ' ');
            lt_buf_put_name(out, plan->inputs[i].name);
            lt_buf_putc(out, '=');
            put_extents(out, r->min, rank);
            if (rank > 0 && (memcmp(r->min, r->opt, (size_t)rank * sizeof *r->min) != 0 ||
                             memcmp(r->min, r->max, (size_t)rank * sizeof *r->min) != 0)) {
                lt_buf_putc(out, ':');
                put_extents(out, r->opt, rank);
                lt_buf_putc(out, ':');
                put_extents(out, r->max, rank);
            }
        }
        lt_buf_putc(out, '\n');
    }
}

static void mark_blobs(const lt_plan *plan, const lt_plan_variant *v, unsigned char *marks, unsigned char bit)
{
    for (uint32_t i = 0; i < v->n_programs; i++) {
        const lt_plan_program *p = &plan->programs[v->programs[i]];
        for (uint32_t k = 0; k < p->n_values; k++) {
            if (p->values[k].storage == LT_STORE_BLOB) {
                marks[p->values[k].index] |= bit;
            }
        }
    }
}

/* Weights that a variant reads, and those of them that no other one does. */
static bool variant_bytes(tool *t, const lt_plan *plan, uint32_t number, uint64_t *all, uint64_t *own)
{
    unsigned char *marks = LT_ARENA_ARRAY(&t->arena, unsigned char, (size_t)plan->n_blobs + 1);
    *all = *own = 0;
    for (uint32_t i = 0; marks && i < plan->n_variants; i++) {
        mark_blobs(plan, &plan->variants[i], marks, i == number ? 1 : 2);
    }
    for (uint32_t i = 0; marks && i < plan->n_blobs; i++) {
        *all += marks[i] & 1 ? plan->blobs[i].bytes : 0;
        *own += marks[i] == 1 ? plan->blobs[i].bytes : 0;
    }
    return marks != NULL;
}

/* The ranges of a program that is one of several for its profile. */
static void put_bucket(lt_buf *out, const lt_plan *plan, const lt_plan_variant *v, const lt_plan_program *p)
{
    uint32_t beside = 0;
    for (uint32_t i = 0; i < v->n_programs; i++) {
        beside += plan->programs[v->programs[i]].profile == p->profile;
    }
    for (uint32_t i = 0; beside > 1 && i < p->n_ranges; i++) {
        const lt_plan_range *r = &p->ranges[i];
        const lt_plan_expr *e = &p->exprs[r->expr];
        lt_buf_puts(out, i ? " " : ", bucket ");
        lt_buf_puts(out, e->kind == LT_EXPR_INPUT_DIM ? plan->inputs[e->b].dims[e->a] : "?");
        lt_buf_puts(out, "=");
        put_extent(out, r->lo);
        lt_buf_putc(out, ':');
        put_extent(out, r->opt);
        lt_buf_putc(out, ':');
        put_extent(out, r->hi);
    }
}

static uint32_t variant_here(const tool *t, const lt_plan *plan)
{
    const char *most = lt_env("LATHE_MAX_ISA");
    uint64_t features = lt_cpu_features() & (most && lt_cpu_level(most) ? lt_cpu_level(most) : UINT64_MAX);
    return lt_plan_pick(plan, NULL, features, lathe_runtime_threads(t->runtime), NULL);
}

bool plan_variant(tool *t, const lt_plan *plan, uint32_t *variant)
{
    int64_t number;
    uint32_t here = variant_here(t, plan);
    if (!args_int(t->args, OPT_VARIANT, 0, plan->n_variants ? plan->n_variants - 1 : 0, here == LT_PLAN_NONE ? 0 : here, &number)) {
        return false;
    }
    *variant = (uint32_t)number;
    return true;
}

static void put_variant(tool *t, lt_buf *out, const lt_plan *plan, uint32_t number)
{
    const lt_plan_variant *v = &plan->variants[number];
    uint64_t all, own;
    lt_buf_printf(out, "variant %u: %s, %u threads, needs", number, v->device, v->threads);
    for (uint32_t i = 0; i < v->n_features; i++) {
        lt_buf_printf(out, " %s", v->features[i]);
    }
    lt_buf_printf(out, "%s; %s; %u programs", v->n_features ? "" : " nothing special", v->sources, v->n_programs);
    if (plan->n_variants > 1 && variant_bytes(t, plan, number, &all, &own)) {
        lt_buf_printf(out, "; reads %llu bytes of weights, %llu of them alone", (unsigned long long)all, (unsigned long long)own);
        lt_buf_puts(out, number == variant_here(t, plan) ? "; taken here" : "");
    }
    lt_buf_putc(out, '\n');
    for (uint32_t i = 0; i < v->n_programs; i++) {
        const lt_plan_program *p = &plan->programs[v->programs[i]];
        lt_buf_printf(out, "program %u (", v->programs[i]);
        if (p->profile == LT_PLAN_NONE) {
            lt_buf_puts(out, "shapes outside every profile");
        } else {
            lt_buf_printf(out, "profile %u", p->profile);
            put_bucket(out, plan, v, p);
        }
        lt_buf_printf(out, "): %u steps, %u values, ", p->n_steps, p->n_values);
        if (p->n_cuts > 0) {
            lt_buf_printf(out, "%u of them parts of others, ", p->n_cuts);
        }
        lt_buf_printf(out, "arena %llu bytes%s%s\n", (unsigned long long)p->arena[LATHE_SPACE_HOST], p->async ? "" : ", waits on the host at ",
                      p->async ? "" : p->async_step);
    }
}

/* ---- Steps ---- */

static lathe_status table_of(tool *t, const lt_plan_program *p, step_table *out)
{
    *out = (step_table){ .rows = LT_ARENA_ARRAY(&t->arena, step_row, (size_t)p->n_steps + 1) };
    if (!out->rows) {
        return LT_OOM(t->diag);
    }
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const lt_plan_step *s = &p->steps[i];
        out->rows[out->count++] = (step_row){ s->name, s->class_name, s->tactic, s->cost_ns / 1e6, 1 };
        out->total_ms += s->cost_ns / 1e6;
    }
    return LATHE_OK;
}

static int print_steps(tool *t, const lt_plan *plan, uint32_t variant)
{
    step_table steps, classes;
    int64_t top;
    uint32_t number = lt_study_program(plan, variant, 0);
    if (!args_int(t->args, OPT_TOP, 1, 1000000, 0, &top)) {
        return EXIT_USAGE;
    }
    if (number == LT_PLAN_NONE) {
        return EXIT_FINE;
    }
    lathe_status status = table_of(t, &plan->programs[number], &steps);
    if (status == LATHE_OK && top) {
        steps_sort(&steps);
    }
    status = status == LATHE_OK ? steps_by_class(t, &steps, &classes) : status;
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    printf("steps of program %u (estimates):\n", number);
    steps_print(args_has(t->args, OPT_BY) ? &classes : &steps, (size_t)top, "ms", stdout);
    return EXIT_FINE;
}

/* ---- Memory ---- */

typedef struct slot {
    const lt_plan_value *value;
    const lt_live *live;
} slot;

static int by_offset(const void *a, const void *b)
{
    const lt_live *x = ((const slot *)a)->live, *y = ((const slot *)b)->live;
    if (x->offset != y->offset) {
        return x->offset < y->offset ? -1 : 1;
    }
    return x->first != y->first ? (x->first < y->first ? -1 : 1) : (x->last > y->last) - (x->last < y->last);
}

static lathe_status put_program_memory(tool *t, lt_buf *out, const lt_plan *plan, uint32_t number)
{
    const lt_plan_program *p = &plan->programs[number];
    lt_study_memory m;
    LT_TRY(lt_study_memory_of(plan, number, &t->arena, &m, t->diag));
    slot *slots = LT_ARENA_ARRAY(&t->arena, slot, (size_t)m.count + 1);
    if (!slots) {
        return LT_OOM(t->diag);
    }
    lt_buf_printf(out, "arena of program %u, %s: ", number, m.planned ? "as planned" : "made when shapes are bound, here for those it was tuned at");
    lt_study_memory_draw(&m, out);
    for (uint32_t i = 0; i < m.count; i++) {
        slots[i] = (slot){ m.values[i], &m.lives[i] };
    }
    if (m.count > 1) {
        qsort(slots, m.count, sizeof *slots, by_offset);
    }
    lt_buf_puts(out, "all values by offset, with bytes and the instructions that they live from and to:\n");
    for (uint32_t i = 0; i < m.count; i++) {
        const lt_live *v = slots[i].live;
        lt_buf_printf(out, "%12llu %12llu  %5u..%-5u %s\n", (unsigned long long)v->offset, (unsigned long long)v->bytes, v->first, v->last, slots[i].value->name);
    }
    for (uint32_t i = 0; i < p->n_values; i++) {
        if (p->values[i].storage == LT_STORE_MANAGED) {
            lt_buf_printf(out, "managed: %s\n", p->values[i].name);
        }
    }
    return LATHE_OK;
}

static lathe_status put_memory(tool *t, lt_buf *out, const lt_plan *plan, uint32_t variant)
{
    for (uint32_t i = 0, number; (number = lt_study_program(plan, variant, i)) != LT_PLAN_NONE; i++) {
        if (i == 0 || plan->programs[number].profile != LT_PLAN_NONE) { /* the one for all other shapes has none of its own to show */
            LT_TRY(put_program_memory(t, out, plan, number));
        }
    }
    return LATHE_OK;
}

/* ---- The whole ---- */

static void put_summary(tool *t, lt_buf *out, const lt_plan *plan, const char *path, size_t size)
{
    lt_buf_printf(out, "%s: plan of %s, %zu bytes (%llu of weights), format %u, Lathe %s\n", path, plan->model_name,
                  size, (unsigned long long)plan->weight_bytes, plan->version, plan->lathe_version);
    lt_buf_printf(out, "options: %s\n", plan->options);
    for (uint32_t i = 0; i < plan->n_inputs; i++) {
        put_io(out, "input", &plan->inputs[i], lt_plan_kind_of(plan, i));
    }
    for (uint32_t i = 0; i < plan->n_outputs; i++) {
        put_io(out, "output", &plan->outputs[i], lt_plan_kind_of(plan, plan->n_inputs + i));
    }
    for (uint32_t i = 0; i < plan->n_equals; i++) {
        const lt_plan_equal *e = &plan->equals[i];
        lt_buf_printf(out, "assumed: %s (axis %u of %s is %s in the model)\n", e->text, e->axis, plan->inputs[e->input].name, e->dim);
    }
    for (uint32_t i = 0; i < plan->n_caches; i++) {
        lt_study_put_cache(plan, i, out);
    }
    put_profiles(out, plan);
    for (uint32_t i = 0; i < plan->n_variants; i++) {
        put_variant(t, out, plan, i);
    }
    lt_buf_printf(out, "%u blobs, %zu of them initializers that refitting can replace; %s\n", plan->n_blobs,
                  refittable(plan), plan->retunable ? "retunable" : "not retunable: some weights are packed for good");
}

static void json_variants(tool *t, lt_json *j, const lt_plan *plan)
{
    lt_json_key(j, "variant_list");
    lt_json_begin_array(j);
    for (uint32_t i = 0; i < plan->n_variants; i++) {
        const lt_plan_variant *v = &plan->variants[i];
        uint64_t all, own;
        (void)variant_bytes(t, plan, i, &all, &own);
        lt_json_begin_object(j);
        lt_json_key(j, "device");
        lt_json_string(j, v->device);
        lt_json_key(j, "features");
        lt_json_begin_array(j);
        for (uint32_t k = 0; k < v->n_features; k++) {
            lt_json_string(j, v->features[k]);
        }
        lt_json_end_array(j);
        const struct {
            const char *key;
            uint64_t n;
        } numbers[] = { { "threads", v->threads }, { "programs", v->n_programs }, { "steps", v->n_programs ? plan->programs[v->programs[0]].n_steps : 0 },
                        { "weight_bytes", all }, { "own_weight_bytes", own } };
        for (size_t k = 0; k < LT_COUNT(numbers); k++) {
            lt_json_key(j, numbers[k].key);
            lt_json_u64(j, numbers[k].n);
        }
        lt_json_key(j, "sources");
        lt_json_string(j, v->sources);
        lt_json_end_object(j);
    }
    lt_json_end_array(j);
}

static int json_plan(tool *t, const lt_plan *plan, uint32_t variant, const char *path, size_t size)
{
    lt_buf out;
    lt_json j;
    step_table steps = { 0 };
    uint32_t number = lt_study_program(plan, variant, 0);
    lathe_status status = number == LT_PLAN_NONE ? LATHE_OK : table_of(t, &plan->programs[number], &steps);
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    lt_buf_init(&out, NULL);
    lt_json_init(&j, &out, true);
    lt_json_begin_object(&j);
    const struct {
        const char *key, *text;
    } texts[] = { { "file", path },
                  { "kind", "plan" },
                  { "model", plan->model_name },
                  { "lathe_version", plan->lathe_version },
                  { "options", plan->options },
                  { "device", plan->n_variants ? plan->variants[variant].device : "" } };
    for (size_t i = 0; i < LT_COUNT(texts); i++) {
        lt_json_key(&j, texts[i].key);
        lt_json_string(&j, texts[i].text);
    }
    const struct {
        const char *key;
        uint64_t n;
    } numbers[] = { { "plan_bytes", size },
                    { "weight_bytes", plan->weight_bytes },
                    { "blobs", plan->n_blobs },
                    { "refittable", refittable(plan) },
                    { "profiles", plan->n_profiles },
                    { "variants", plan->n_variants },
                    { "programs", plan->n_programs },
                    { "arena_bytes", number == LT_PLAN_NONE ? 0 : plan->programs[number].arena[LATHE_SPACE_HOST] } };
    for (size_t i = 0; i < LT_COUNT(numbers); i++) {
        lt_json_key(&j, numbers[i].key);
        lt_json_u64(&j, numbers[i].n);
    }
    lt_json_key(&j, "retunable");
    lt_json_bool(&j, plan->retunable != 0);
    json_variants(t, &j, plan);
    steps_json(&j, "steps", &steps, "estimated_ms");
    lt_json_end_object(&j);
    return tool_print_buf(t, &out);
}

static lathe_status json_program_memory(tool *t, lt_json *j, const lt_plan *plan, uint32_t number)
{
    const lt_plan_program *p = &plan->programs[number];
    lt_study_memory m;
    LT_TRY(lt_study_memory_of(plan, number, &t->arena, &m, t->diag));
    const struct {
        const char *key;
        uint64_t n;
    } numbers[] = {
        { "program", number },
        { "arena_bytes", m.arena },
        { "lower_bound_bytes", m.bound },
        { "scratch_offset", p->scratch_offset[LATHE_SPACE_HOST] },
        { "scratch_bytes", p->scratch_bytes[LATHE_SPACE_HOST] },
        { "instructions", m.instructions },
        { "peak_instruction", m.peak },
    };
    lt_json_begin_object(j);
    for (size_t i = 0; i < LT_COUNT(numbers); i++) {
        lt_json_key(j, numbers[i].key);
        lt_json_u64(j, numbers[i].n);
    }
    lt_json_key(j, "planned");
    lt_json_bool(j, m.planned);
    lt_json_key(j, "values");
    lt_json_begin_array(j);
    for (uint32_t i = 0; i < m.count; i++) {
        const uint64_t at[] = { m.lives[i].offset, m.lives[i].bytes, m.lives[i].first, m.lives[i].last };
        static const char *const keys[] = { "offset", "bytes", "first", "last" };
        lt_json_begin_object(j);
        lt_json_key(j, "name");
        lt_json_string(j, m.values[i]->name);
        for (size_t k = 0; k < LT_COUNT(at); k++) {
            lt_json_key(j, keys[k]);
            lt_json_u64(j, at[k]);
        }
        lt_json_end_object(j);
    }
    lt_json_end_array(j);
    lt_json_key(j, "managed");
    lt_json_begin_array(j);
    for (uint32_t i = 0; i < p->n_values; i++) {
        if (p->values[i].storage == LT_STORE_MANAGED) {
            lt_json_string(j, p->values[i].name);
        }
    }
    lt_json_end_array(j);
    lt_json_end_object(j);
    return LATHE_OK;
}

/* What --memory draws, as data. */
static int json_memory(tool *t, const lt_plan *plan, uint32_t variant, const char *path)
{
    lt_buf out;
    lt_json j;
    lathe_status status = LATHE_OK;
    lt_buf_init(&out, NULL);
    lt_json_init(&j, &out, true);
    lt_json_begin_object(&j);
    json_of_file(&j, path, "plan");
    lt_json_key(&j, "model");
    lt_json_string(&j, plan->model_name);
    lt_json_key(&j, "programs");
    lt_json_begin_array(&j);
    for (uint32_t i = 0, number; status == LATHE_OK && (number = lt_study_program(plan, variant, i)) != LT_PLAN_NONE; i++) {
        if (i == 0 || plan->programs[number].profile != LT_PLAN_NONE) {
            status = json_program_memory(t, &j, plan, number);
        }
    }
    lt_json_end_array(&j);
    lt_json_end_object(&j);
    if (status != LATHE_OK) {
        lt_buf_free(&out);
        return tool_fail(t, status);
    }
    return tool_print_buf(t, &out);
}

static int show(tool *t, const lt_study_plan *p, const char *path)
{
    lt_buf out;
    uint32_t variant;
    if (!plan_variant(t, p->plan, &variant)) {
        return EXIT_USAGE;
    }
    if (t->json && args_has(t->args, OPT_MEMORY)) {
        return json_memory(t, p->plan, variant, path);
    }
    if (t->json) {
        return json_plan(t, p->plan, variant, path, p->file.size);
    }
    lt_buf_init(&out, NULL);
    if (args_has(t->args, OPT_TEXT)) {
        lt_buf_puts(&out, p->plan->graph);
        return tool_print_buf(t, &out);
    }
    if (args_has(t->args, OPT_ALL)) {
        lt_plan_dump(p->plan, &out);
        return tool_print_buf(t, &out);
    }
    put_summary(t, &out, p->plan, path, p->file.size);
    if (args_has(t->args, OPT_MEMORY)) {
        lathe_status status = put_memory(t, &out, p->plan, variant);
        if (status != LATHE_OK) {
            lt_buf_free(&out);
            return tool_fail(t, status);
        }
        return tool_print_buf(t, &out);
    }
    int code = tool_print_buf(t, &out);
    return code == EXIT_FINE ? print_steps(t, p->plan, variant) : code;
}

int inspect_plan(tool *t, const char *path)
{
    const char *verify = args_text(t->args, OPT_VERIFY);
    lt_study_plan p;
    if (verify && strcmp(verify, "full") != 0) {
        return tool_usage(t, "there is no verification '%s': --verify=full", verify);
    }
    lathe_status status = lt_study_plan_open(path, verify != NULL, &p, t->diag);
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    int code = show(t, &p, path);
    lt_study_plan_close(&p);
    return code;
}
