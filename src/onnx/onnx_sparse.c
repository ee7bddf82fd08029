/*
 * onnx_sparse.c - SparseTensorProto: the elements that are not zero and where they lie. It becomes a dense blob, since
 * operators have no sparse operands.
 *
 * Indices are [n], counted along all elements, or [n, rank]; ONNX wants them ascending and each once. Called by the
 * importer, for initializers and constants. It must not know graphs beyond their blobs.
 */
#include "onnx/onnx_internal.h"

typedef struct sparse {
    lt_tensor dense, values, indices;
    const char *where;
    lathe_diag *diag;
} sparse;

static lathe_status read_parts(lt_tensor_reader *reader, const lt_pb_sparse *pb, sparse *s)
{
    const char *advice = "values are [n], indices i64[n] or i64[n, rank]: export the model anew";
    if (pb->values == NULL || pb->indices == NULL) {
        return LT_FAIL(s->diag, LATHE_BAD_MODEL, s->where, advice, "the sparse tensor has no %s", pb->values == NULL ? "values" : "indices");
    }
    LT_TRY(lt_tensor_read(reader, pb->values, s->where, &s->values, s->diag));
    LT_TRY(lt_tensor_read(reader, pb->indices, s->where, &s->indices, s->diag));
    if (pb->dims.count == 0 || pb->dims.count > LATHE_MAX_RANK) {
        return LT_FAIL(s->diag, LATHE_BAD_MODEL, s->where, "a sparse tensor has 1 to 16 dims", "the sparse tensor has %zu dims", pb->dims.count);
    }
    LT_TRY(lt_tensor_shape(&s->dense, s->values.dtype, (int)pb->dims.count, pb->dims.at, s->where, s->diag));
    const lt_tensor *i = &s->indices;
    bool fits = s->values.rank == 1 && i->dtype == LATHE_DTYPE_I64 && (i->rank == 1 || (i->rank == 2 && i->dims[1] == s->dense.rank)) &&
                i->dims[0] == s->values.dims[0];
    if (fits) {
        return LATHE_OK;
    }
    char values[128], indices[128];
    lt_tensor_describe(&s->values, values, sizeof values);
    lt_tensor_describe(i, indices, sizeof indices);
    return LT_FAIL(s->diag, LATHE_BAD_MODEL, s->where, advice, "the sparse tensor has values %s and indices %s for %d dims", values, indices, s->dense.rank);
}

/* Where entry n lies among all elements; -1 for outside. */
static int64_t place_of(const sparse *s, int64_t n)
{
    const int64_t *index = (const int64_t *)s->indices.data + n * (s->indices.rank == 2 ? s->dense.rank : 1);
    int64_t place = 0;
    if (s->indices.rank == 1) {
        return index[0] < lt_tensor_count(&s->dense) ? index[0] : -1;
    }
    for (int d = 0; d < s->dense.rank; d++) {
        if (index[d] < 0 || index[d] >= s->dense.dims[d]) {
            return -1;
        }
        place = place * s->dense.dims[d] + index[d];
    }
    return place;
}

static lathe_status scatter(sparse *s)
{
    for (int64_t n = 0, last = -1; n < s->values.dims[0]; n++) {
        int64_t place = place_of(s, n);
        if (place < 0) {
            return LT_FAIL(s->diag, LATHE_BAD_MODEL, s->where, LT_EXPORT_ANEW, "entry %lld of the sparse tensor lies outside of it", (long long)n);
        }
        if (place <= last) {
            return LT_FAIL(s->diag, LATHE_BAD_MODEL, s->where, "sort the entries, and list each once",
                           "entry %lld of the sparse tensor does not lie behind the one before", (long long)n);
        }
        if (s->values.dtype == LATHE_DTYPE_STRING) {
            ((lt_string *)s->dense.data)[place] = ((const lt_string *)s->values.data)[n]; /* the blob copies them */
        } else {
            lt_tensor_put(&s->dense, place, &s->values, n);
        }
        last = place;
    }
    return LATHE_OK;
}

static lathe_status fill_strings(lt_tensor_reader *reader, sparse *s, lt_blob **out)
{
    LT_TRY(lt_tensor_spend(reader, s->dense.bytes, s->where, s->diag)); /* twice, for a while */
    lt_string *strings = lt_arena_alloc(reader->arena, s->dense.bytes, _Alignof(lt_string));
    if (strings == NULL) {
        return LT_OOM(s->diag);
    }
    for (int64_t i = 0; i < lt_tensor_count(&s->dense); i++) {
        strings[i] = (lt_string){ "", 0 };
    }
    s->dense.data = strings;
    LT_TRY(scatter(s));
    return lt_blob_copy(reader->allocator, &s->dense, out, s->diag);
}

lathe_status lt_sparse_blob(lt_tensor_reader *reader, const lt_pb_sparse *pb, const char *where, lt_blob **out, lathe_diag *diag)
{
    sparse s = { .where = where, .diag = diag };
    LT_TRY(read_parts(reader, pb, &s));
    LT_TRY(lt_tensor_spend(reader, s.dense.bytes, where, diag));
    if (s.dense.dtype == LATHE_DTYPE_STRING) {
        return fill_strings(reader, &s, out);
    }
    LT_TRY(lt_blob_make(reader->allocator, s.dense.dtype, s.dense.rank, s.dense.dims, out, &s.dense.data, diag));
    lathe_status status = scatter(&s);
    if (status != LATHE_OK) {
        lt_blob_release(*out);
        *out = NULL;
    }
    return status;
}
