/*
 * nn_number.c - elements as doubles and back, saturation, and the small checks that the inference of network operators
 * shares. Used by the operators of src/ops only.
 */
#include "ops/nn.h"

#include <math.h>
#include <string.h>

void lt_nn_read(const lt_tensor *tensor, int64_t first, int64_t step, int64_t count, double *out)
{
    if (tensor->dtype == LATHE_DTYPE_F32) {
        const char *base = tensor->data;
        for (int64_t i = 0; i < count; i++) {
            float value;
            memcpy(&value, base + (size_t)(first + i * step) * sizeof value, sizeof value);
            out[i] = value;
        }
        return;
    }
    if (tensor->dtype == LATHE_DTYPE_U8 || tensor->dtype == LATHE_DTYPE_I8) {
        const unsigned char *base = tensor->data;
        int flip = tensor->dtype == LATHE_DTYPE_I8 ? 128 : 0; /* (b ^ 128) - 128 is the signed value of byte b */
        for (int64_t i = 0; i < count; i++) {
            out[i] = (base[first + i * step] ^ flip) - flip;
        }
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        out[i] = lt_load_f64(tensor->dtype, tensor->data, first + i * step);
    }
}

void lt_nn_write_step(lt_tensor *tensor, int64_t first, int64_t step, int64_t count, const double *src)
{
    if (tensor->dtype == LATHE_DTYPE_F32) {
        char *base = tensor->data;
        for (int64_t i = 0; i < count; i++) {
            float value = (float)src[i];
            memcpy(base + (size_t)(first + i * step) * sizeof value, &value, sizeof value);
        }
        return;
    }
    bool real = lt_dtype_is_float(tensor->dtype);
    for (int64_t i = 0; i < count; i++) {
        if (real) {
            lt_store_f64(tensor->dtype, tensor->data, first + i * step, src[i]);
        } else {
            lt_store_i64(tensor->dtype, tensor->data, first + i * step, (int64_t)src[i]);
        }
    }
}

void lt_nn_write(lt_tensor *tensor, int64_t first, int64_t count, const double *src)
{
    lt_nn_write_step(tensor, first, 1, count, src);
}

double *lt_nn_scratch(lt_eval *c, int64_t count)
{
    return count < 0 ? NULL
                     : lt_arena_zero(c->scratch, count > 0 ? (size_t)count : 1, sizeof(double), _Alignof(double));
}

double *lt_nn_doubles(lt_eval *c, const lt_tensor *tensor, bool *ok)
{
    *ok = true;
    if (tensor == NULL) {
        return NULL;
    }
    int64_t count = lt_tensor_count(tensor);
    double *out = lt_nn_scratch(c, count);
    *ok = out != NULL;
    if (*ok) {
        lt_nn_read(tensor, 0, 1, count, out);
    }
    return out;
}

double lt_nn_round(lathe_dtype dtype, double value)
{
    switch (dtype) {
    case LATHE_DTYPE_F32:
        return (float)value;
    case LATHE_DTYPE_F16:
        return lt_f16_to_f32(lt_f64_to_f16(value));
    case LATHE_DTYPE_BF16:
        return lt_bf16_to_f32(lt_f64_to_bf16(value));
    default:
        return value;
    }
}

int64_t lt_nn_saturate(lathe_dtype dtype, double value, int64_t zero)
{
    double low = (double)lt_dtype_min_i64(dtype), high = (double)lt_dtype_max_u64(dtype);
    double sum = rint(value) + (double)zero;
    if (!(sum > low)) {
        return (int64_t)low;
    }
    return (int64_t)(sum < high ? sum : high);
}

int32_t lt_nn_wrap_i32(double whole)
{
    return (int32_t)(uint32_t)(uint64_t)(int64_t)whole;
}

int64_t lt_nn_requantize(lathe_dtype dtype, double sum, float factor, int64_t zero)
{
    return lt_nn_saturate(dtype, (float)lt_nn_wrap_i32(sum) * factor, zero);
}

lathe_status lt_nn_infer_axis(lt_infer *c, int64_t otherwise, int *axis)
{
    if (axis != NULL) {
        *axis = 0;
    }
    if (lt_infer_known_rank(c, 0)) {
        int at = 0;
        LT_TRY(lt_infer_axis(c, lt_attr_i(c->attrs, c->n_attrs, "axis", otherwise), c->in[0]->rank, &at));
        if (axis != NULL) {
            *axis = at;
        }
    }
    return lt_infer_same(c, 0, 0);
}

lathe_status lt_nn_infer_vector(lt_infer *c, int i, lt_dim size, const char *what)
{
    if (!lt_infer_known_rank(c, i)) {
        return LATHE_OK;
    }
    char name[32];
    lt_op_formal(c->op, false, i, name, sizeof name);
    const lt_type *type = c->in[i];
    if (type->rank != 1) {
        return lt_infer_fail(c, "input '%s' has %d dimensions where one is needed", name, type->rank);
    }
    if (lt_dim_is_const(type->dims[0]) && lt_dim_is_const(size) && type->dims[0].k != size.k) {
        return lt_infer_fail(c, "input '%s' has %lld elements but %s is %lld", name, (long long)type->dims[0].k, what,
                             (long long)size.k);
    }
    return LATHE_OK;
}

lathe_status lt_nn_infer_single(lt_infer *c, int i)
{
    if (!lt_infer_known_rank(c, i)) {
        return LATHE_OK;
    }
    const lt_type *type = c->in[i];
    for (int d = 0; d < type->rank; d++) {
        if (lt_dim_is_const(type->dims[d]) && type->dims[d].k != 1) {
            char name[32];
            lt_op_formal(c->op, false, i, name, sizeof name);
            return lt_infer_fail(c, "input '%s' has extent %lld on axis %d where one element is needed", name,
                                 (long long)type->dims[d].k, d);
        }
    }
    return LATHE_OK;
}

lathe_status lt_nn_infer_scalar_or_vector(lt_infer *c, int i, lt_dim size, const char *what)
{
    if (!lt_infer_known_rank(c, i) || c->in[i]->rank == 0 || (c->in[i]->rank == 1 && lt_dim_is(c->in[i]->dims[0], 1))) {
        return LATHE_OK;
    }
    return lt_nn_infer_vector(c, i, size, what);
}
