#include "half.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace sae {

bool convertsHalf() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
}

__attribute__((target("avx2,f16c"))) void widenRows(const uint16_t* const* rows, size_t count, size_t d, double scale, float* target) {
  const __m256d factor = _mm256_set1_pd(scale);
  for (size_t r = 0; r < count; r++, target += d) {
    const uint16_t* row = rows[r];
    size_t c = 0;
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
