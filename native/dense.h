// The step on whole matrices, for the start of a training, when half of all features fire: five dense products in pieces of
// a few thousand rows, so that the activations of a piece stay near the processor and never exist for the whole batch.
#pragma once
#include "encoder.h"

namespace sae {
namespace SAE_ISA {

constexpr int pieceRows = 2 * 1024;

// Adds up gradEncoder, gradDecoder [features, stride] and featureSums [features] (∂L/∂b_enc), and counts in `fired`.
static void denseGradients(State& state, Pool& pool, const float* x, int rows, float outputScale, float l1, float* featureSums, uint32_t* fired) {
  const int stride = state.stride, features = state.features, across = (features + 15) / 16 * 16, blocks = (pieceRows + blockRows - 1) / blockRows;
  centre(state, pool, x, rows);
  state.rowSquares.assign(rows, 0);
  state.rowL1.assign(rows, 0);
  float* residuals = state.dOutput.reserve(size_t(rows) * stride);
  float* activations = state.activations.reserve(size_t(std::min(rows, pieceRows)) * across);
  float* dPre = state.dPre.reserve(size_t(std::min(rows, pieceRows)) * across);
  float* gradEncoder = state.gradEncoder.zeros(size_t(features) * stride);
  float* gradDecoder = state.gradDecoder.zeros(size_t(features) * stride);
  std::memset(featureSums, 0, features * sizeof(float));
  // by block of rows, so that no two threads write one: [blocks, across]
  float* counts = state.blockCounts.reserve(size_t(blocks) * across);
  float* biasSums = state.blockSums.reserve(size_t(blocks) * across);
  const Vector zero = {}, one = all(1), scale = all(outputScale), sparsity = all(l1);

  for (int piece = 0; piece < rows; piece += pieceRows) {
    const int count = std::min(pieceRows, rows - piece);
    const float* centred = state.centred.data() + size_t(piece) * stride;
    float* dOutput = residuals + size_t(piece) * stride;
    std::memset(counts, 0, size_t(blocks) * across * sizeof(float));
    std::memset(biasSums, 0, size_t(blocks) * across * sizeof(float));

    // f = ReLU(x̄ · encoderᵀ + bias)
    multiply(state, pool, {centred, stride, 1}, {state.weights.encoder.data(), 1, stride}, count, features, state.d, [&](int row, int column, int tileHeight, int vectors, const float* tile, bool first, bool last) {
      float* blockCounts = counts + size_t(row / blockRows) * across + column;
      const float* bias = state.weights.encoderBias.data() + column;
      for (int r = 0; r < tileHeight; r++) {
        float* out = activations + size_t(row + r) * across + column;
        Vector total = zero;
        for (int c = 0; c < vectors * width; c += width) {
          Vector value = load(tile + r * tileColumns + c);
          if (!first) value += load(out + c);
          if (last) {
            value += load(bias + c);
            value = value > zero ? value : zero;
            store(blockCounts + c, load(blockCounts + c) + (value > zero ? one : zero));
            total += value;
          }
          store(out + c, value);
        }
        if (last) state.rowL1[piece + row + r] += sum(total);
      }
    });
    // dOut = (f · decoder − x̄) · scale
    multiply(state, pool, {activations, across, 1}, {state.weights.decoder.data(), stride, 1}, count, stride, features, [&](int row, int column, int tileHeight, int vectors, const float* tile, bool first, bool last) {
      for (int r = 0; r < tileHeight; r++) {
        float* out = dOutput + size_t(row + r) * stride + column;
        const float* target = centred + size_t(row + r) * stride + column;
        Vector squares = zero;
        for (int c = 0; c < vectors * width; c += width) {
          Vector value = load(tile + r * tileColumns + c);
          if (!first) value += load(out + c);
          if (last) {
            value -= load(target + c);
            squares += value * value;
            value *= scale;
          }
          store(out + c, value);
        }
        if (last) state.rowSquares[piece + row + r] += sum(squares);
      }
    });
    // dPre = dOut · decoderᵀ + λ/n where f is active
    multiply(state, pool, {dOutput, stride, 1}, {state.weights.decoder.data(), 1, stride}, count, features, state.d, [&](int row, int column, int tileHeight, int vectors, const float* tile, bool first, bool last) {
      float* blockSums = biasSums + size_t(row / blockRows) * across + column;
      for (int r = 0; r < tileHeight; r++) {
        float* out = dPre + size_t(row + r) * across + column;
        const float* f = activations + size_t(row + r) * across + column;
        for (int c = 0; c < vectors * width; c += width) {
          Vector value = load(tile + r * tileColumns + c);
          if (!first) value += load(out + c);
          if (last) {
            value = load(f + c) > zero ? value + sparsity : zero;
            store(blockSums + c, load(blockSums + c) + value);
          }
          store(out + c, value);
        }
      }
    });
    const auto addTo = [stride](float* gradient) {
      return [=](int row, int column, int tileHeight, int vectors, const float* tile, bool, bool) {
        for (int r = 0; r < tileHeight; r++) {
          float* out = gradient + size_t(row + r) * stride + column;
          for (int c = 0; c < vectors * width; c += width) store(out + c, load(out + c) + load(tile + r * tileColumns + c));
        }
      };
    };
    multiply(state, pool, {activations, 1, across}, {dOutput, stride, 1}, features, stride, count, addTo(gradDecoder));
    multiply(state, pool, {dPre, 1, across}, {centred, stride, 1}, features, stride, count, addTo(gradEncoder));
    for (int block = 0; block < blocks; block++)
      for (int feature = 0; feature < features; feature++) {
        fired[feature] += uint32_t(counts[size_t(block) * across + feature]);
        featureSums[feature] += biasSums[size_t(block) * across + feature];
      }
  }
}

}  // namespace SAE_ISA
}  // namespace sae
