#include "digest.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <algorithm>
#include <cstring>

namespace sae {

namespace {

// A carry-less product moves 64 bits over a distance of bytes: x^n modulo the polynomial, bits reversed, for the low and the
// high half of a vector (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", Intel 2009).
constexpr uint64_t over64[2] = {0x154442bd4, 0x1c6e41596}, over16[2] = {0x1751997d0, 0x0ccaa009e};

struct Table {
  uint32_t entries[256];
  Table() {
    for (uint32_t byte = 0; byte < 256; byte++) {
      entries[byte] = byte;
      for (int bit = 0; bit < 8; bit++) entries[byte] = entries[byte] & 1 ? (entries[byte] >> 1) ^ 0xedb88320 : entries[byte] >> 1;
    }
  }
};

uint32_t byTable(uint32_t crc, const uint8_t* bytes, size_t count) {
  static const Table table;
  for (size_t i = 0; i < count; i++) crc = (crc >> 8) ^ table.entries[(crc ^ bytes[i]) & 0xff];
  return crc;
}

__attribute__((target("pclmul,sse4.1"))) inline __m128i folded(__m128i x, __m128i next, __m128i distance) {
  return _mm_xor_si128(next, _mm_xor_si128(_mm_clmulepi64_si128(x, distance, 0x00), _mm_clmulepi64_si128(x, distance, 0x11)));
}

inline __m128i at(const uint8_t* bytes) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)); }

alignas(16) constexpr uint32_t roundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74,
    0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
    0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e,
    0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5,
    0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// Some two thousand cycles of work. A prefetch beyond the end of the bytes does nothing.
constexpr size_t bytesAhead = 2048;

__attribute__((target("sha,sse4.1,ssse3"))) void shaBlocks(uint32_t* state, const uint8_t* bytes, size_t blocks) {
  const __m128i bigEndian = _mm_set_epi64x(0x0c0d0e0f08090a0bULL, 0x0405060700010203ULL);
  __m128i* words = reinterpret_cast<__m128i*>(state);
  // The instructions want the eight words as ABEF and CDGH.
  const __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xb1);
  const __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1b);
  __m128i abef = _mm_alignr_epi8(badc, hgfe, 8);
  __m128i cdgh = _mm_blend_epi16(hgfe, badc, 0xf0);
  for (; blocks > 0; blocks--, bytes += 64) {
    // the processor waits for memory otherwise: it computes one block at a time, and looks no further
    _mm_prefetch(reinterpret_cast<const char*>(bytes) + bytesAhead, _MM_HINT_T0);
    const __m128i abefBefore = abef, cdghBefore = cdgh;
    __m128i w[4];
    for (int i = 0; i < 4; i++) w[i] = _mm_shuffle_epi8(at(bytes + 16 * i), bigEndian);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
      const __m128i message = _mm_add_epi32(w[i % 4], _mm_load_si128(reinterpret_cast<const __m128i*>(roundConstants) + i));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, message);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(message, 0x0e));
      if (i >= 12) continue;
      const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]), _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4));
      w[i % 4] = _mm_sha256msg2_epu32(sum, w[(i + 3) % 4]);
    }
    abef = _mm_add_epi32(abef, abefBefore);
    cdgh = _mm_add_epi32(cdgh, cdghBefore);
  }
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);
  _mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
}

}  // namespace

bool digests() {
  unsigned a, b, c, d;
  // Older compilers know no name for SHA: bit 29 of leaf 7.
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  __builtin_cpu_init();
  return (b >> 29 & 1) != 0 && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}

__attribute__((target("pclmul,sse4.1"))) uint32_t crc32(const uint8_t* bytes, size_t count) {
  if (count < 128) return ~byTable(~0u, bytes, count);
  __m128i x[4];
  for (int i = 0; i < 4; i++) x[i] = at(bytes + 16 * i);
  x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128(-1));
  const __m128i far = at(reinterpret_cast<const uint8_t*>(over64)), near = at(reinterpret_cast<const uint8_t*>(over16));
  size_t done = 64;
  for (; done + 64 <= count; done += 64)
    for (int i = 0; i < 4; i++) x[i] = folded(x[i], at(bytes + done + 16 * i), far);
  for (int i = 1; i < 4; i++) x[0] = folded(x[0], x[i], near);
  for (; done + 16 <= count; done += 16) x[0] = folded(x[0], at(bytes + done), near);
  // 16 bytes that have the remainder of all before them.
  uint8_t rest[16];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(rest), x[0]);
  return ~byTable(byTable(0, rest, 16), bytes + done, count - done);
}

void Sha256::update(const uint8_t* bytes, size_t count) {
  // an empty array may have no address
  if (count == 0) return;
  const size_t held = count_ % 64;
  count_ += count;
  if (held > 0) {
    const size_t taken = std::min(count, 64 - held);
    std::memcpy(rest_ + held, bytes, taken);
    if (held + taken < 64) return;
    shaBlocks(state_, rest_, 1);
    bytes += taken;
    count -= taken;
  }
  shaBlocks(state_, bytes, count / 64);
  if (count % 64 > 0) std::memcpy(rest_, bytes + count / 64 * 64, count % 64);
}

void Sha256::finish(uint8_t* digest) {
  const uint64_t bits = 8 * count_;
  uint8_t padding[72] = {0x80};
  const size_t zeros = (119 - count_ % 64) % 64 + 1;
  for (int i = 0; i < 8; i++) padding[zeros + i] = uint8_t(bits >> (56 - 8 * i));
  update(padding, zeros + 8);
  for (int i = 0; i < 32; i++) digest[i] = uint8_t(state_[i / 4] >> (24 - 8 * (i % 4)));
}

}  // namespace sae

#else

namespace sae {

bool digests() { return false; }
uint32_t crc32(const uint8_t*, size_t) { return 0; }
void Sha256::update(const uint8_t*, size_t) {}
void Sha256::finish(uint8_t*) {}

}  // namespace sae

#endif
