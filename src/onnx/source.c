/*
 * source.c - mapped files, reference-counted: the importer holds one reference, every blob that points into the file
 * another.
 */
#include "onnx/onnx_internal.h"

static lathe_status create(const lathe_allocator *allocator, lt_source **out, lathe_diag *diag)
{
    *out = LT_NEW(allocator, lt_source);
    if (*out == NULL) {
        return LT_OOM(diag);
    }
    (*out)->allocator = allocator;
    atomic_init(&(*out)->references, 1);
    return LATHE_OK;
}

static lathe_status finish(lt_source **out, lathe_status status)
{
    if (status != LATHE_OK) {
        LT_DELETE((*out)->allocator, *out);
        *out = NULL;
    }
    return status;
}

lathe_status lt_source_map(const lathe_allocator *allocator, const char *path, lt_source **out, lathe_diag *diag)
{
    LT_TRY(create(allocator, out, diag));
    return finish(out, lt_file_map(&(*out)->file, path, diag));
}

lathe_status lt_source_map_below(const lathe_allocator *allocator, const char *folder, const char *name,
                                 lt_source **out, lathe_diag *diag)
{
    LT_TRY(create(allocator, out, diag));
    return finish(out, lt_file_map_below(&(*out)->file, folder, name, diag));
}

void lt_source_release(lt_source *source)
{
    if (source != NULL && atomic_fetch_sub_explicit(&source->references, 1, memory_order_acq_rel) == 1) {
        lt_file_close(&source->file);
        LT_DELETE(source->allocator, source);
    }
}
