/*
 * size.c - checked arithmetic that is too long for the header. Part of base; used wherever sizes come from a file or
 * a user.
 */
#include "base/size.h"

bool lt_dims_count(const int64_t *dims, int rank, int64_t *out)
{
    int64_t product = 1;
    bool zero = false, overflow = false;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) {
            return false;
        }
        zero = zero || dims[i] == 0;
        overflow = overflow || !lt_i64_mul(product, dims[i], &product);
    }
    if (overflow && !zero) {
        return false; /* with a zero among them the product is 0, whatever the order */
    }
    *out = zero ? 0 : product;
    return true;
}

int64_t lt_floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b != 0 && ((a < 0) != (b < 0)) ? q - 1 : q;
}

int64_t lt_ceil_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b != 0 && ((a < 0) == (b < 0)) ? q + 1 : q;
}
