// The step on active pairs only (SPEC §4; Bricken et al. 2023): decoder and all of the backward pass touch a feature's
// rows where it fired, and nowhere else. The gradients are those of the dense step: the terms left out are zeros.
#pragma once
#include <climits>
#include <stdexcept>
#include <string>
#include "encoder.h"

namespace sae {
namespace SAE_ISA {

// x̂ − x of one row into `out` [stride]: Σ f_j · decoder_j − x̄. Returns its sum of squares.
static double decodeRow(const State& state, const ActivePairs& pairs, int row, const float* centred, float* out) {
  const int begin = pairs.rowStart[row], end = pairs.rowStart[row + 1], stride = state.stride;
  const float* decoder = state.weights.decoder.data();
  constexpr int strip = 8;
  Vector squares = {};
  int c = 0;
  for (; c + strip * width <= stride; c += strip * width) {
    Vector sums[strip];
    for (int u = 0; u < strip; u++) sums[u] = -load(centred + c + u * width);
    for (int k = begin; k < end; k++) {
      const float* from = decoder + size_t(pairs.feature[k]) * stride + c;
      const Vector f = all(pairs.value[k]);
      for (int u = 0; u < strip; u++) sums[u] += f * load(from + u * width);
    }
    for (int u = 0; u < strip; u++) {
      squares += sums[u] * sums[u];
      store(out + c + u * width, sums[u]);
    }
  }
  for (; c < stride; c += width) {
    Vector sum = -load(centred + c);
    for (int k = begin; k < end; k++) sum += all(pairs.value[k]) * load(decoder + size_t(pairs.feature[k]) * stride + c);
    squares += sum * sum;
    store(out + c, sum);
  }
  return sum(squares);
}

// Active pairs, squared errors and L1 of every row; x̂ − x in dOutput, times `outputScale`.
static void forward(State& state, Pool& pool, const float* x, int rows, float outputScale) {
  const int size = encoderBlockRows(state), stride = state.stride, blocks = (rows + size - 1) / size;
  centre(state, pool, x, rows);
  packEncoder(state, pool);
  if (state.blocks.size() < size_t(blocks)) state.blocks.resize(blocks);
  state.rowSquares.resize(rows);
  state.rowL1.resize(rows);
  float* residuals = state.dOutput.reserve(size_t(rows) * stride);
  pool.run(blocks, [&](int block, int thread) {
    const int from = block * size, count = std::min(size, rows - from);
    ActivePairs& pairs = state.blocks[block];
    encodeBlock(state, from, count, thread, pairs);
    for (int row = 0; row < count; row++) {
      float* out = residuals + size_t(from + row) * stride;
      state.rowSquares[from + row] = decodeRow(state, pairs, row, state.centred.data() + size_t(from + row) * stride, out);
      double l1 = 0;
      for (int k = pairs.rowStart[row]; k < pairs.rowStart[row + 1]; k++) l1 += pairs.value[k];
      state.rowL1[from + row] = l1;
      for (int c = 0; c < stride; c += width) store(out + c, load(out + c) * all(outputScale));
    }
  });
}

// The batch's pairs by feature, rows ascending: pairStart [features + 1], pairRow, pairValue. Throws std::length_error where
// an int cannot count them.
static void groupByFeature(State& state, Pool& pool, int rows) {
  const int size = encoderBlockRows(state), blocks = (rows + size - 1) / size;
  size_t pairs = 0;
  for (int block = 0; block < blocks; block++) pairs += state.blocks[block].value.size();
  if (pairs > INT_MAX - 16) throw std::length_error(std::to_string(pairs) + " active pairs in a batch are more than 2^31: lower saes[].batchSize");
  state.pairStart.resize(state.features + 1);
  int total = 0;
  for (int feature = 0; feature < state.features; feature++) {
    state.pairStart[feature] = total;
    for (int block = 0; block < blocks; block++) {
      int& start = state.blocks[block].featureStart[feature];
      const int count = start;
      start = total;
      total += count;
    }
  }
  state.pairStart[state.features] = total;
  if (state.pairRow.size() < pairs) state.pairRow.resize(pairs + pairs / 4);
  if (state.pairValue.size() < pairs) state.pairValue.resize(pairs + pairs / 4);
  pool.run(blocks, [&](int block, int) {
    ActivePairs& pairs = state.blocks[block];
    for (size_t row = 0; row + 1 < pairs.rowStart.size(); row++)
      for (int k = pairs.rowStart[row]; k < pairs.rowStart[row + 1]; k++) {
        const int at = pairs.featureStart[pairs.feature[k]]++;
        state.pairRow[at] = block * size + int(row);
        state.pairValue[at] = pairs.value[k];
      }
  });
}

// Adds the gradients of one feature's rows from `count` pairs (at most four, so that they are read from memory once):
// ∂L/∂decoder += f · dOut; ∂L/∂encoder += (dOut · decoder + λ/n) · x̄. Returns the sum of the latter factor, ∂L/∂bias.
template <int count>
static inline float addPairs(const State& state, int at, const float* decoder, float l1, float* gradDecoder, float* gradEncoder) {
  const int stride = state.stride;
  const float *dOutput[count], *centred[count];
  Vector f[count], dots[count] = {}, dPre[count];
  for (int p = 0; p < count; p++) {
    const size_t row = state.pairRow[at + p];
    dOutput[p] = state.dOutput.data() + row * stride;
    centred[p] = state.centred.data() + row * stride;
    f[p] = all(state.pairValue[at + p]);
  }
  for (int c = 0; c < stride; c += width) {
    const Vector w = load(decoder + c);
    Vector g = load(gradDecoder + c);
    for (int p = 0; p < count; p++) {
      const Vector out = load(dOutput[p] + c);
      dots[p] += out * w;
      g += f[p] * out;
    }
    store(gradDecoder + c, g);
  }
  float bias = 0;
  for (int p = 0; p < count; p++) {
    const float d = sum(dots[p]) + l1;
    bias += d;
    dPre[p] = all(d);
  }
  for (int c = 0; c < stride; c += width) {
    Vector g = load(gradEncoder + c);
    for (int p = 0; p < count; p++) g += dPre[p] * load(centred[p] + c);
    store(gradEncoder + c, g);
  }
  return bias;
}

static inline void prefetchPair(const State& state, int at) {
  const size_t row = state.pairRow[at];
  const char* dOutput = reinterpret_cast<const char*>(state.dOutput.data() + row * state.stride);
  const char* centred = reinterpret_cast<const char*>(state.centred.data() + row * state.stride);
  for (int offset = 0; offset < state.stride * 4; offset += 64) {
    __builtin_prefetch(dOutput + offset);
    __builtin_prefetch(centred + offset);
  }
}

// Gradients of one feature from its pairs [begin, end).
static float accumulate(const State& state, int begin, int end, const float* decoder, float l1, float* gradDecoder, float* gradEncoder) {
  float bias = 0;
  int at = begin;
  for (; at + 4 <= end; at += 4) {
    for (int ahead = at + 4; ahead < std::min(end, at + 8); ahead++) prefetchPair(state, ahead);
    bias += addPairs<4>(state, at, decoder, l1, gradDecoder, gradEncoder);
  }
  for (; at < end; at++) bias += addPairs<1>(state, at, decoder, l1, gradDecoder, gradEncoder);
  return bias;
}

}  // namespace SAE_ISA
}  // namespace sae
