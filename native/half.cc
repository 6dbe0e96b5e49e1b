#include "half.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <algorithm>

namespace sae {

bool convertsHalf() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
}

namespace {

bool hasAvx512() {
  static const bool has = __builtin_cpu_supports("avx512f");
  return has;
}

// A row lies anywhere in memory: it is asked for while the ones before it are converted.
inline void fetch(const uint16_t* row, size_t d) {
  for (size_t c = 0; c < d; c += 32) __builtin_prefetch(row + c);
}
constexpr size_t rowsAhead = 3;

// Columns [0, …) of a row in wide vectors; returns how many.
__attribute__((target("avx512f"))) size_t widenWide(const uint16_t* row, size_t d, double scale, float* target) {
  const __m512d factor = _mm512_set1_pd(scale);
  size_t c = 0;
  for (; c + 16 <= d; c += 16) {
    const __m512 x = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + c)));
    if (scale == 1) {
      _mm512_storeu_ps(target + c, x);
      continue;
    }
    const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(x), 1));
    _mm256_storeu_ps(target + c, _mm512_cvtpd_ps(_mm512_mul_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(x)), factor)));
    _mm256_storeu_ps(target + c + 8, _mm512_cvtpd_ps(_mm512_mul_pd(_mm512_cvtps_pd(high), factor)));
  }
  return c;
}

}  // namespace

__attribute__((target("avx2,f16c"))) void widenRows(const uint16_t* const* rows, size_t count, size_t d, double scale, float* target) {
  const __m256d factor = _mm256_set1_pd(scale);
  const bool wide = hasAvx512();
  for (size_t r = 0; r < std::min(count, rowsAhead); r++) fetch(rows[r], d);
  for (size_t r = 0; r < count; r++, target += d) {
    const uint16_t* row = rows[r];
    if (r + rowsAhead < count) fetch(rows[r + rowsAhead], d);
    size_t c = wide ? widenWide(row, d, scale, target) : 0;
    for (; c + 8 <= d; c += 8) {
      __m256 x = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row + c)));
      if (scale != 1) {
        const __m128 low = _mm256_cvtpd_ps(_mm256_mul_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(x)), factor));
        const __m128 high = _mm256_cvtpd_ps(_mm256_mul_pd(_mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)), factor));
        x = _mm256_set_m128(high, low);
      }
      _mm256_storeu_ps(target + c, x);
    }
    for (; c < d; c++) target[c] = float(double(_cvtsh_ss(row[c])) * scale);
  }
}

__attribute__((target("avx2,f16c"))) uint16_t narrow(const float* source, size_t count, uint16_t* target) {
  const __m128i magnitude = _mm_set1_epi16(0x7fff);
  __m128i largest = _mm_setzero_si128();
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(source + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(target + i), half);
    largest = _mm_max_epu16(largest, _mm_and_si128(half, magnitude));
  }
  uint16_t lanes[8];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(lanes), largest);
  uint16_t most = 0;
  for (uint16_t lane : lanes) most = lane > most ? lane : most;
  for (; i < count; i++) {
    target[i] = uint16_t(_cvtss_sh(source[i], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    const uint16_t size = target[i] & 0x7fff;
    most = size > most ? size : most;
  }
  return most;
}

}  // namespace sae

#else

namespace sae {

bool convertsHalf() { return false; }
void widenRows(const uint16_t* const*, size_t, size_t, double, float*) {}
uint16_t narrow(const float*, size_t, uint16_t*) { return 0; }

}  // namespace sae

#endif
