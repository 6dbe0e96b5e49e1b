// Vectors of floats as wide as the instruction set this file is compiled for. The compiler's own vector types keep one
// source for all of them; multiply-adds are contracted to fused ones where the processor has them.
#pragma once
#include <cstdint>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define SAE_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define SAE_VECTOR_BYTES 32
#else
#define SAE_VECTOR_BYTES 16
#endif

namespace sae {
namespace SAE_ISA {

typedef float Vector __attribute__((vector_size(SAE_VECTOR_BYTES), may_alias));
constexpr int width = SAE_VECTOR_BYTES / 4;

static inline Vector load(const float* p) { return *reinterpret_cast<const Vector*>(p); }
static inline void store(float* p, Vector v) { *reinterpret_cast<Vector*>(p) = v; }
static inline Vector all(float value) { return value - Vector{}; }

// Bit c is set where lane c is above zero.
static inline uint32_t positive(Vector v) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_GT_OQ);
#elif defined(__AVX2__)
  return _mm256_movemask_ps(_mm256_cmp_ps((__m256)v, _mm256_setzero_ps(), _CMP_GT_OQ));
#else
  uint32_t mask = 0;
  for (int lane = 0; lane < width; lane++) mask |= uint32_t(v[lane] > 0) << lane;
  return mask;
#endif
}

static inline Vector squareRoot(Vector v) {
#if defined(__AVX512F__)
  return (Vector)_mm512_sqrt_ps((__m512)v);
#elif defined(__AVX2__)
  return (Vector)_mm256_sqrt_ps((__m256)v);
#else
  for (int lane = 0; lane < width; lane++) v[lane] = __builtin_sqrtf(v[lane]);
  return v;
#endif
}

// Lanes are added in halves: the same order every time.
static inline float sum(Vector v) {
  float lanes[width];
  __builtin_memcpy(lanes, &v, sizeof lanes);
  for (int half = width / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

// a · b over n floats, n a multiple of 16.
static inline float dot(const float* a, const float* b, int n) {
  Vector sums[4] = {};
  int c = 0;
  for (; c + 4 * width <= n; c += 4 * width)
    for (int u = 0; u < 4; u++) sums[u] += load(a + c + u * width) * load(b + c + u * width);
  for (; c < n; c += width) sums[0] += load(a + c) * load(b + c);
  return sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

}  // namespace SAE_ISA
}  // namespace sae
