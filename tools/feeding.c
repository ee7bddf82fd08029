/*
 * feeding.c - inputs of a run: from files, or random numbers of the right shape. For run, bench, compare.
 */
#include "data.h"
#include "tool.h"
#include <string.h>

/* Extents of named dimensions, so that equal names get equal extents. */
typedef struct extents {
    struct {
        const char *name;
        int64_t extent;
    } * items;
    size_t count, capacity;
} extents;

static const int64_t *find_extent(const extents *e, const char *name)
{
    for (size_t i = 0; name && i < e->count; i++) {
        if (strcmp(e->items[i].name, name) == 0) {
            return &e->items[i].extent;
        }
    }
    return NULL;
}

static void note_extents(tool *t, extents *e, const lathe_io *io, int rank, const int64_t *dims)
{
    for (int i = 0; i < io->rank && i < rank; i++) {
        if (io->symbols[i] && !find_extent(e, io->symbols[i]) &&
            lt_arena_grow(&t->arena, (void **)&e->items, &e->capacity, e->count + 1, sizeof *e->items)) {
            e->items[e->count].name = io->symbols[i];
            e->items[e->count++].extent = dims[i];
        }
    }
}

static lathe_status make_list(tool *t, size_t count, input_list *out)
{
    out->items = LT_ARENA_ARRAY(&t->arena, lathe_io, count + 1);
    out->count = count;
    for (size_t i = 0; out->items && i < count; i++) {
        out->items[i].struct_size = sizeof(lathe_io);
    }
    return out->items ? LATHE_OK : LT_OOM(t->diag);
}

lathe_status inputs_of_engine(tool *t, const lathe_engine *engine, input_list *out)
{
    out->engine = engine;
    LT_TRY(make_list(t, lathe_engine_inputs(engine), out));
    for (size_t i = 0; i < out->count; i++) {
        LT_TRY(lathe_engine_io(engine, i, &out->items[i], t->diag));
    }
    return LATHE_OK;
}

lathe_status inputs_of_network(tool *t, const lathe_network *network, input_list *out)
{
    out->engine = NULL;
    LT_TRY(make_list(t, lathe_network_inputs(network), out));
    for (size_t i = 0; i < out->count; i++) {
        LT_TRY(lathe_network_io(network, i, &out->items[i], t->diag));
    }
    return LATHE_OK;
}

static const lathe_io *find_input(const input_list *inputs, const char *name)
{
    for (size_t i = 0; i < inputs->count; i++) {
        if (strcmp(inputs->items[i].name, name) == 0) {
            return &inputs->items[i];
        }
    }
    return NULL;
}

/* ---- --input ---- */

/* What --input says about this input, without "NAME="; NULL when nothing. */
static const char *spec_of(const tool *t, const char *name, size_t n_inputs)
{
    size_t cursor = 0, length = strlen(name);
    const char *text, *found = NULL;
    while (args_next(t->args, OPT_INPUT, &cursor, &text)) {
        if (strncmp(text, name, length) == 0 && text[length] == '=') {
            found = text + length + 1;
        } else if (n_inputs == 1 && !strchr(text, '=')) {
            found = text;
        }
    }
    return found;
}

/* Every --input names an input that there is. */
static bool check_names(const tool *t, const input_list *inputs)
{
    size_t cursor = 0;
    const char *text;
    while (args_next(t->args, OPT_INPUT, &cursor, &text)) {
        bool known = inputs->count == 1 && !strchr(text, '=');
        for (size_t i = 0; i < inputs->count && !known; i++) {
            size_t length = strlen(inputs->items[i].name);
            known = strncmp(text, inputs->items[i].name, length) == 0 && text[length] == '=';
        }
        if (!known) {
            fprintf(stderr, "lathe %s: --input %s fits no input; there %s:", verb_get(t->args->verb)->name, text,
                    inputs->count == 1 ? "is" : "are");
            for (size_t i = 0; i < inputs->count; i++) {
                fprintf(stderr, " %s", inputs->items[i].name);
            }
            fputc('\n', stderr);
            return false;
        }
    }
    return true;
}

static bool random_spec(tool *t, const char *spec, uint64_t *seed)
{
    *seed = t->seed;
    return strcmp(spec, "rand") == 0 ||
           (strncmp(spec, "rand:", 5) == 0 && lt_parse_u64(spec + 5, strlen(spec) - 5, seed));
}

static lathe_status convert(tool *t, const lathe_io *io, lathe_tensor *tensor, lathe_diag *diag)
{
    lathe_tensor to;
    LT_TRY(lt_tensor_alloc(&t->arena, &to, io->dtype, tensor->rank, tensor->dims, io->name, diag));
    LT_TRY(lt_convert(io->dtype, to.data, tensor->dtype, tensor->data, lt_tensor_count(&to), true, diag));
    tool_notice(t, "note: data of '%s' converted from %s to %s", io->name, lathe_dtype_name(tensor->dtype),
                lathe_dtype_name(io->dtype));
    to.struct_size = sizeof to;
    *tensor = to;
    return LATHE_OK;
}

/* The one tensor of a file, or those of an .npz in order, as the items of a container. */
static lathe_status wrap(tool *t, const lathe_io *io, const char *path, const data_set *set, feed *out,
                         lathe_diag *diag)
{
    if (set->count == 1 && set->items[0].any) {
        out->any = set->items[0].any;
        return LATHE_OK;
    }
    lt_any *made = LT_ARENA_ARRAY(&t->arena, lt_any, set->count + 1);
    if (!made) {
        return LT_OOM(diag);
    }
    if (io->kinds[0] == LATHE_KIND_MAP || io->kinds[1] != LATHE_KIND_TENSOR ||
        (io->kinds[0] == LATHE_KIND_OPTIONAL && set->count != 1)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, path, "give a .pb or .json file",
                       "the tensors of this file do not make the input '%s'", io->name);
    }
    made[set->count] = (lt_any){ .cls = (lt_value_class)io->kinds[0], .items = made, .count = set->count };
    for (size_t i = 0; i < set->count; i++) {
        made[i] = (lt_any){ .cls = LT_TENSOR, .tensor = set->items[i].tensor };
    }
    out->any = &made[set->count];
    return LATHE_OK;
}

/* "none" is an optional without a value. */
static lathe_status read_container(tool *t, const lathe_io *io, const char *path, feed *out, lathe_diag *diag)
{
    static const lt_any none = { .cls = LT_OPTIONAL };
    data_wish wish = { .dtype = io->dtype, .rank = io->rank, .cls = (lt_value_class)io->kinds[0], .kinds = io->kinds, .keys = io->keys };
    data_set set;
    if (io->kinds[0] == LATHE_KIND_OPTIONAL && strcmp(path, "none") == 0) {
        out->any = &none;
        return LATHE_OK;
    }
    LT_TRY(data_read(path, &wish, &t->arena, &set, diag));
    return wrap(t, io, path, &set, out, diag);
}

static lathe_status read_feed(tool *t, const lathe_io *io, const char *path, feed *out, lathe_diag *diag)
{
    data_wish wish = { .dtype = io->dtype, .rank = io->rank };
    data_set set;
    if (!io->is_tensor) {
        return read_container(t, io, path, out, diag);
    }
    memcpy(wish.dims, io->dims, sizeof wish.dims);
    LT_TRY(data_read(path, &wish, &t->arena, &set, diag));
    const data_item *item = set.count == 1 ? &set.items[0] : NULL;
    for (size_t i = 0; i < set.count && !item; i++) {
        item = strcmp(set.items[i].name, io->name) == 0 ? &set.items[i] : NULL;
    }
    if (!item) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, path, "write FILE.npz:ENTRY; lathe inspect lists the entries",
                       "no entry of this file is named '%s'", io->name);
    }
    out->tensor = item->tensor;
    return out->tensor.dtype == io->dtype ? LATHE_OK : convert(t, io, &out->tensor, diag);
}

/* ---- Random ---- */

static int random_extents(tool *t, const lathe_engine *engine, const lathe_io *io, const extents *known, int64_t *dims)
{
    int64_t opt[LATHE_MAX_RANK] = { 0 };
    bool planned = engine && lathe_engine_profiles(engine) > 0 &&
                   lathe_engine_profile(engine, 0, io->name, NULL, opt, NULL, NULL) == LATHE_OK;
    for (int i = 0; i < io->rank; i++) {
        const int64_t *extent = find_extent(known, io->symbols[i]);
        dims[i] = io->dims[i] >= 0 ? io->dims[i] : extent ? *extent : planned ? opt[i] : -1;
        if (dims[i] < 0) {
            return tool_usage(t, "dimension %d of '%s' (%s) is free: give --shape %s=...", i, io->name,
                              io->symbols[i] ? io->symbols[i] : "?", io->name);
        }
    }
    return EXIT_FINE;
}

static lathe_status fill_random(tool *t, feed *f, const lathe_io *io, const int64_t *dims, lathe_diag *diag)
{
    f->random = true;
    f->io = *io;
    return lt_study_random_tensor(io, io->rank, dims, f->seed, &t->arena, &f->tensor, diag);
}

/* Named extents of a container's tensors are those of the other inputs. */
static lathe_status fill_container(tool *t, feed *f, const lathe_io *io, const extents *known, lathe_diag *diag)
{
    f->random = true;
    f->io = *io;
    for (int i = 0; i < io->rank; i++) {
        const int64_t *extent = find_extent(known, io->symbols[i]);
        f->io.dims[i] = io->dims[i] < 0 && extent ? *extent : io->dims[i];
    }
    return lt_study_random_any(&f->io, f->seed, &t->arena, &f->any, diag);
}

/* --shape NAME=EXTENTS: the opt shape counts. */
static int note_shapes(tool *t, const input_list *inputs, extents *known)
{
    size_t cursor = 0;
    const char *text;
    while (args_next(t->args, OPT_SHAPE, &cursor, &text)) {
        lathe_shape_range range;
        if (!parse_shape(t, text, &range)) {
            return EXIT_USAGE;
        }
        const lathe_io *io = find_input(inputs, range.input);
        if (!io) {
            return tool_usage(t, "--shape %s: there is no input '%s'", text, range.input);
        }
        if (io->rank >= 0 && io->rank != range.rank) {
            return tool_usage(t, "--shape %s: '%s' has %d dimensions", text, range.input, io->rank);
        }
        note_extents(t, known, io, range.rank, range.opt);
    }
    return EXIT_FINE;
}

/* ---- All of them ---- */

/* Caches begin empty: nobody need say anything of them. */
static bool is_cache(tool *t, const input_list *inputs, const char *name)
{
    lathe_cache_info info = { .struct_size = sizeof info };
    for (size_t i = 0; inputs->engine && i < lathe_engine_caches(inputs->engine); i++) {
        if (lathe_engine_cache(inputs->engine, i, &info, t->diag) == LATHE_OK && strcmp(info.input, name) == 0) {
            return true;
        }
    }
    return false;
}

static int make_one(tool *t, const input_list *inputs, size_t index, bool fill, extents *known, bool random_pass,
                    feed *f)
{
    const lathe_io io = inputs->items[index];
    const char *spec = spec_of(t, io.name, inputs->count);
    bool random = spec && random_spec(t, spec, &f->seed);
    f->name = io.name;
    if (!spec && !fill && is_cache(t, inputs, io.name)) {
        return EXIT_FINE; /* a feed without a tensor is not bound */
    }
    if (!spec && !fill) {
        return tool_usage(t, "input '%s' is missing: give --input %s=FILE or --input %s=rand", io.name, io.name,
                          io.name);
    }
    if ((random || !spec) != random_pass) {
        return EXIT_FINE;
    }
    lathe_status status;
    if (random_pass) {
        int64_t dims[LATHE_MAX_RANK];
        f->seed = spec ? f->seed : t->seed + index;
        int code = io.is_tensor ? random_extents(t, inputs->engine, &io, known, dims) : EXIT_FINE;
        if (code != EXIT_FINE) {
            return code;
        }
        status = io.is_tensor ? fill_random(t, f, &io, dims, t->diag) : fill_container(t, f, &io, known, t->diag);
    } else {
        status = read_feed(t, &io, spec, f, t->diag);
    }
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    note_extents(t, known, &io, f->tensor.rank, f->tensor.dims);
    return EXIT_FINE;
}

int feeds_make(tool *t, const input_list *inputs, bool fill, feed **out)
{
    size_t n = inputs->count;
    extents known = { 0 };
    feed *feeds = LT_ARENA_ARRAY(&t->arena, feed, n + 1);
    if (!feeds) {
        return tool_fail(t, LATHE_OUT_OF_MEMORY);
    }
    int code = check_names(t, inputs) ? note_shapes(t, inputs, &known) : EXIT_USAGE;
    for (int pass = 0; pass < 2; pass++) { /* files first: they tell extents */
        for (size_t i = 0; i < n && code == EXIT_FINE; i++) {
            code = make_one(t, inputs, i, fill, &known, pass == 1, &feeds[i]);
        }
    }
    *out = feeds;
    return code;
}

lathe_status feeds_vary(tool *t, const feed *from, size_t count, uint64_t round, feed **out)
{
    feed *feeds = LT_ARENA_ARRAY(&t->arena, feed, count + 1);
    if (!feeds) {
        return LT_OOM(t->diag);
    }
    for (size_t i = 0; i < count; i++) {
        feeds[i] = from[i];
        if (from[i].random) {
            const lathe_tensor *x = &from[i].tensor;
            uint64_t seed = from[i].seed + 1000 * round;
            LT_TRY(from[i].any ? lt_study_random_any(&from[i].io, seed, &t->arena, &feeds[i].any, t->diag)
                               : lt_study_random_tensor(&from[i].io, x->rank, x->dims, seed, &t->arena,
                                                        &feeds[i].tensor, t->diag));
        }
    }
    *out = feeds;
    return LATHE_OK;
}

lathe_status feeds_bind(const feed *feeds, size_t count, lathe_context *context, lathe_diag *diag)
{
    for (size_t i = 0; i < count; i++) {
        if (!feeds[i].any && feeds[i].tensor.struct_size == 0) {
            continue;
        }
        LT_TRY(feeds[i].any ? lathe_context_set_input_any(context, feeds[i].name, feeds[i].any, diag)
                            : lathe_context_set_input(context, feeds[i].name, &feeds[i].tensor, diag));
    }
    return LATHE_OK;
}
