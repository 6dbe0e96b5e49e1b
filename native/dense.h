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
  // by block of rows, so that no two threads write one: [blocks, features]
  std::vector<uint32_t> counts(size_t(blocks) * features);
  std::vector<float> biasSums(size_t(blocks) * features);

  for (int piece = 0; piece < rows; piece += pieceRows) {
    const int count = std::min(pieceRows, rows - piece);
    const float* centred = state.centred.data() + size_t(piece) * stride;
    float* dOutput = residuals + size_t(piece) * stride;
    std::fill(counts.begin(), counts.end(), 0);
    std::fill(biasSums.begin(), biasSums.end(), 0.f);

    multiply(state, pool, {centred, stride, 1}, {state.weights.encoder.data(), 1, stride}, count, features, state.d, [&](int row, int column, int tileHeight, int tileWidth, const float* tile, bool first, bool last) {
      uint32_t* blockCounts = counts.data() + size_t(row / blockRows) * features + column;
      const float* bias = state.weights.encoderBias.data() + column;
      for (int r = 0; r < tileHeight; r++) {
        float* out = activations + size_t(row + r) * across + column;
        for (int c = 0; c < tileWidth; c++) out[c] = first ? tile[r * tileColumns + c] : out[c] + tile[r * tileColumns + c];
        if (!last) continue;
        float sum = 0;
        for (int c = 0; c < tileWidth; c++) {
          const float f = out[c] + bias[c];
          out[c] = f > 0 ? f : 0;
          blockCounts[c] += f > 0;
          sum += out[c];
        }
        state.rowL1[piece + row + r] += sum;
      }
    });
    multiply(state, pool, {activations, across, 1}, {state.weights.decoder.data(), stride, 1}, count, stride, features, [&](int row, int column, int tileHeight, int tileWidth, const float* tile, bool first, bool last) {
      for (int r = 0; r < tileHeight; r++) {
        float* out = dOutput + size_t(row + r) * stride + column;
        for (int c = 0; c < tileWidth; c++) out[c] = first ? tile[r * tileColumns + c] : out[c] + tile[r * tileColumns + c];
        if (!last) continue;
        const float* target = centred + size_t(row + r) * stride + column;
        float squares = 0;
        for (int c = 0; c < tileWidth; c++) {
          const float residual = out[c] - target[c];
          squares += residual * residual;
          out[c] = residual * outputScale;
        }
        state.rowSquares[piece + row + r] += squares;
      }
    });
    multiply(state, pool, {dOutput, stride, 1}, {state.weights.decoder.data(), 1, stride}, count, features, state.d, [&](int row, int column, int tileHeight, int tileWidth, const float* tile, bool first, bool last) {
      float* blockSums = biasSums.data() + size_t(row / blockRows) * features + column;
      for (int r = 0; r < tileHeight; r++) {
        float* out = dPre + size_t(row + r) * across + column;
        const float* f = activations + size_t(row + r) * across + column;
        for (int c = 0; c < tileWidth; c++) out[c] = first ? tile[r * tileColumns + c] : out[c] + tile[r * tileColumns + c];
        if (!last) continue;
        for (int c = 0; c < tileWidth; c++) {
          out[c] = f[c] > 0 ? out[c] + l1 : 0;
          blockSums[c] += out[c];
        }
      }
    });
    const auto addTo = [&](float* gradient) {
      return [=](int row, int column, int tileHeight, int tileWidth, const float* tile, bool, bool) {
        for (int r = 0; r < tileHeight; r++)
          for (int c = 0; c < tileWidth; c++) gradient[size_t(row + r) * stride + column + c] += tile[r * tileColumns + c];
      };
    };
    multiply(state, pool, {activations, 1, across}, {dOutput, stride, 1}, features, stride, count, addTo(gradDecoder));
    multiply(state, pool, {dPre, 1, across}, {centred, stride, 1}, features, stride, count, addTo(gradEncoder));
    for (int block = 0; block < blocks; block++)
      for (int feature = 0; feature < features; feature++) {
        fired[feature] += counts[size_t(block) * features + feature];
        featureSums[feature] += biasSums[size_t(block) * features + feature];
      }
  }
}

}  // namespace SAE_ISA
}  // namespace sae
