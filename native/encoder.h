// The encoder's forward pass, x → which features are active and how much. It is the one product that has to be dense; no
// matrix of activations is written, each tile is searched while it is in the cache.
//
// Where the processor multiplies bfloat16 natively, the dense product only screens: by Cauchy and Schwarz, rounding to
// bfloat16 changes a pre-activation by less than screenError() · ‖x̄‖ · ‖w‖, so a pair further below zero than that is
// certainly inactive, and every other one is computed again in float32. What is found is what float32 finds, whatever the
// numbers (normBound).
#pragma once
#include <cmath>
#include <limits>
#include "gemm.h"

namespace sae {
namespace SAE_ISA {

#if defined(__AVX512BF16__)
constexpr bool screens = true;
#else
constexpr bool screens = false;
#endif
// bfloat16 has 8 bits: rounding changes each factor by up to 2⁻⁸, a product by 2⁻⁷ + 2⁻¹⁶. Sums over the depth in float32
// add 2⁻²⁴ a term here, and again where the pair is computed exactly; the norms' own rounding is far below the rest.
static inline float screenError(const State& state) { return 1.f / 128 + 1.f / 32768 + float(state.stride) / (1 << 22); }

// What stands for a norm in the screen's margin, from the norm as float32 has it. The relative errors above hold between
// underflow and overflow only. Squares below 2⁻¹⁴⁹ vanish from a norm, the product takes numbers below 2⁻¹²⁶ for zero: 2⁻⁴⁰
// covers both for any depth. From 2⁶⁰ on products could overflow: NaN makes the margin NaN, and such a pair is always
// computed again.
static inline float normBound(float norm) { return norm < 0x1p60f ? norm + 0x1p-40f : std::numeric_limits<float>::quiet_NaN(); }

static inline int panelsOf(const State& state) { return (state.features + tileColumns - 1) / tileColumns; }

// Rows one thread takes at a time: as many as keep the packed rows in the second-level cache.
static inline int encoderBlockRows(const State& state) { return std::max(1, std::min(blockTiles, blockTiles * 512 / state.stride)) * tileRows; }

// x̄ = x − b_dec, [rows, stride], and its rows' norms where they are needed.
static void centre(State& state, Pool& pool, const float* x, int rows) {
  const int d = state.d, stride = state.stride;
  float* out = state.centred.reserve(size_t(rows) * stride);
  float* norms = state.rowNorms.reserve(rows);
  const float* bias = state.weights.decoderBias.data();
  pool.run((rows + 255) / 256, [&](int unit, int) {
    for (int row = unit * 256; row < std::min(rows, unit * 256 + 256); row++) {
      float* centred = out + size_t(row) * stride;
      for (int c = 0; c < d; c++) centred[c] = x[size_t(row) * d + c] - bias[c];
      for (int c = d; c < stride; c++) centred[c] = 0;
      if (screens) norms[row] = normBound(std::sqrt(dot(centred, centred, stride))) * screenError(state);
    }
  });
}

#if defined(__AVX512BF16__)
static inline uint32_t bfloat16(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

// Bit c is set where lane c is above zero or not a number.
static inline uint32_t notBelowZero(Vector v) { return _mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_NLE_UQ); }

static inline uint32_t lanesBelow(int count) { return count >= width ? ~0u : (1u << std::max(count, 0)) - 1; }

// Two neighbours along the depth in one word, the lower one first.
static inline float pairOf(const float* row, int k) {
  const uint32_t bits = bfloat16(row[k]) | bfloat16(row[k + 1]) << 16;
  float out;
  __builtin_memcpy(&out, &bits, 4);
  return out;
}

static inline void multiplyScreenTile(int pairs, const float* __restrict a, const float* __restrict b, float* __restrict tile) {
  __m512 sums[tileRows][tileVectors] = {};
  for (int k = 0; k < pairs; k++, a += tileRows, b += tileColumns) {
    __m512bh right[tileVectors];
#pragma GCC unroll 8
    for (int u = 0; u < tileVectors; u++) right[u] = (__m512bh)_mm512_load_ps(b + u * width);
#pragma GCC unroll 16
    for (int r = 0; r < tileRows; r++) {
      const __m512bh left = (__m512bh)_mm512_set1_ps(a[r]);
#pragma GCC unroll 8
      for (int u = 0; u < tileVectors; u++) sums[r][u] = _mm512_dpbf16_ps(sums[r][u], left, right[u]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < tileRows; r++)
#pragma GCC unroll 8
    for (int u = 0; u < tileVectors; u++) _mm512_store_ps(tile + r * tileColumns + u * width, sums[r][u]);
}
#endif

// The encoder packed for the product: pairs of bfloat16 [stride / 2] or floats [stride], by tileColumns.
static void packEncoder(State& state, Pool& pool) {
  const int panels = panelsOf(state), stride = state.stride, depth = screens ? stride / 2 : stride;
  const float* encoder = state.weights.encoder.data();
  float* packed = state.packed.reserve(size_t(panels) * tileColumns * stride);
  float* bias = state.featureBias.reserve(size_t(panels) * tileColumns);
  float* norms = state.weightNorms.reserve(size_t(panels) * tileColumns);
  pool.run(panels, [&](int panel, int) {
    float* out = packed + size_t(panel) * tileColumns * depth;
    for (int c = 0; c < tileColumns; c++) {
      const int feature = panel * tileColumns + c;
      const bool real = feature < state.features;
      const float* row = encoder + size_t(real ? feature : 0) * stride;
      // columns that are not there can never be active
      bias[feature] = real ? state.weights.encoderBias.data()[feature] : -1;
      if (screens) norms[feature] = real ? normBound(std::sqrt(dot(row, row, stride))) : 0;
#if defined(__AVX512BF16__)
      for (int k = 0; k < depth; k++) out[k * tileColumns + c] = real ? pairOf(row, 2 * k) : 0;
#else
      for (int k = 0; k < depth; k++) out[k * tileColumns + c] = real ? row[k] : 0;
#endif
    }
  });
}

static void packCentred(const State& state, int from, int rows, float* out) {
  const float* centred = state.centred.data() + size_t(from) * state.stride;
#if defined(__AVX512BF16__)
  for (int tile = 0; tile < rows; tile += tileRows)
    for (int k = 0; k < state.stride; k += 2)
      for (int r = 0; r < tileRows; r++) *out++ = tile + r < rows ? pairOf(centred + size_t(tile + r) * state.stride, k) : 0;
#else
  packRows({centred, state.stride, 1}, 0, rows, 0, state.stride, out);
#endif
}

static inline void prefetchRow(const float* row, int stride) {
  for (int c = 0; c < stride; c += 16) __builtin_prefetch(row + c);
}

// Of the pairs found since `begin`, keeps those that are active in float32, with their values. Returns how many are kept in all.
static size_t computeExactly(const State& state, int from, size_t begin, ActivePairs& pairs) {
  const int stride = state.stride;
  size_t kept = begin;
  for (size_t entry = begin; entry < pairs.foundRow.size(); entry++) {
    const int row = pairs.foundRow[entry], feature = pairs.foundFeature[entry];
    const float value = dot(state.centred.data() + size_t(from + row) * stride, state.weights.encoder.data() + size_t(feature) * stride, stride) + state.featureBias.data()[feature];
    if (!(value > 0)) {
      pairs.featureStart[feature]--;
      continue;
    }
    pairs.foundRow[kept] = row;
    pairs.foundFeature[kept] = feature;
    pairs.foundValue[kept++] = value;
  }
  pairs.foundRow.resize(kept);
  pairs.foundFeature.resize(kept);
  pairs.foundValue.resize(kept);
  return kept;
}

// Active pairs of rows `from` up, sorted by row, features ascending; their counts by feature in featureStart.
static void encodeBlock(State& state, int from, int rows, int thread, ActivePairs& pairs) {
  const int panels = panelsOf(state), stride = state.stride, depth = screens ? stride / 2 : stride;
  float* left = state.perThread[thread].reserve(size_t(encoderBlockRows(state)) * stride);
  packCentred(state, from, rows, left);
  alignas(64) float tile[tileRows * tileColumns];
  pairs.foundRow.clear();
  pairs.foundFeature.clear();
  pairs.foundValue.clear();
  pairs.rowStart.assign(rows + 1, 0);
  pairs.featureStart.assign(state.features, 0);
  size_t panelStart = 0;
  for (int panel = 0; panel < panels; panel++) {
    const float* right = state.packed.data() + size_t(panel) * tileColumns * depth;
    for (int first = 0; first < rows; first += tileRows) {
#if defined(__AVX512BF16__)
      multiplyScreenTile(depth, left + size_t(first) * depth, right, tile);
#else
      multiplyTile(depth, left + size_t(first) * depth, right, tile);
#endif
      for (int r = 0; r < tileRows && first + r < rows; r++)
        for (int u = 0; u < tileVectors; u++) {
          const int column = panel * tileColumns + u * width;
          Vector value = load(tile + r * tileColumns + u * width) + load(state.featureBias.data() + column);
#if defined(__AVX512BF16__)
          value += all(state.rowNorms.data()[from + first + r]) * load(state.weightNorms.data() + column);
          // where the margin is NaN, that of a column that is not there is too
          uint32_t mask = notBelowZero(value) & lanesBelow(state.features - column);
#else
          uint32_t mask = positive(value);
#endif
          for (; mask != 0; mask &= mask - 1) {
            const int lane = __builtin_ctz(mask), feature = column + lane;
            if (screens && pairs.featureStart[feature] == 0) prefetchRow(state.weights.encoder.data() + size_t(feature) * stride, stride);
            pairs.foundRow.push_back(first + r);
            pairs.foundFeature.push_back(feature);
            pairs.foundValue.push_back(value[lane]);
            pairs.featureStart[feature]++;
          }
        }
    }
    if (screens) panelStart = computeExactly(state, from, panelStart, pairs);
  }
  for (const int row : pairs.foundRow) pairs.rowStart[row + 1]++;
  for (int row = 0; row < rows; row++) pairs.rowStart[row + 1] += pairs.rowStart[row];
  const size_t count = pairs.foundRow.size();
  pairs.feature.resize(count);
  pairs.value.resize(count);
  std::vector<int> next(pairs.rowStart.begin(), pairs.rowStart.end() - 1);
  for (size_t entry = 0; entry < count; entry++) {
    const int at = next[pairs.foundRow[entry]]++;
    pairs.feature[at] = pairs.foundFeature[entry];
    pairs.value[at] = pairs.foundValue[entry];
  }
}

}  // namespace SAE_ISA
}  // namespace sae
