/* decimal_int.h - private to type: decimals seen as GMP integers. */
#ifndef RIALTO_TYPE_DECIMAL_INT_H
#define RIALTO_TYPE_DECIMAL_INT_H

#include <gmp.h>

#include "type/decimal.h"

typedef unsigned __int128 uint128_t;

#define INT128_LEAST ((__int128)((uint128_t)1 << 127))

enum { DECIMAL_POW10_MAX = 38 }; /* 10^38 < 2^127 < 10^39 */

/* 10^n, n <= DECIMAL_POW10_MAX. */
__int128 decimal_pow10(uint32_t n);

/* A read-only GMP view of the unscaled value; needs no release. */
struct decimal_view {
    mpz_t z;
    mp_limb_t limbs[2];
};

mpz_srcptr decimal_view(const struct decimal *dec, struct decimal_view *view);

const struct decimal *decimal_of_small(__int128 unscaled, int32_t scale, struct arena *arena);

/* In the representation of (D1); z stays the caller's. */
const struct decimal *decimal_of_mpz(mpz_srcptr z, int32_t scale, struct arena *arena);

static inline uint128_t decimal_magnitude(__int128 v)
{
    return v < 0 ? -(uint128_t)v : (uint128_t)v;
}

#endif
