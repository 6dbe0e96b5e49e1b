// One training step of a sparse autoencoder, and the losses of tokens, compiled once for each instruction set (SAE_ISA names it).
#include <cmath>
#include "dense.h"
#include "sparse.h"
#include "unembedding.h"
#include "update.h"

#define SAE_TEXT(name) #name
#define SAE_NAME(name) SAE_TEXT(name)
#define SAE_JOIN(a, b) a##b
#define SAE_EXPORT(isa) SAE_JOIN(kernelOf_, isa)

namespace sae {
namespace SAE_ISA {

// Features a thread takes at a time. Sums over features go by these, so that they do not depend on the threads.
constexpr int chunkFeatures = 16;
// Rows gathered at a time: they are then still in the last-level cache when the next feature that they fired asks for them.
constexpr int gatherRows = 1024;
// Rows of which the sum is taken at a time.
constexpr int unitRows = 256;

static int chunksOf(const State& state) { return (state.features + chunkFeatures - 1) / chunkFeatures; }

// New weights of a chunk's features from their gradients, [features, stride] from the chunk's first on. Leaves the chunk's
// part of ∂L/∂b_dec, −Σ ∂L/∂b_enc · encoder as it was, in columnSums. Returns updateFeature's worst answer.
static int updateChunk(State& state, const Adam& adam, int chunk, const float* featureSums, float* gradEncoder, float* gradDecoder) {
  const int stride = state.stride, first = chunk * chunkFeatures;
  float* columnSum = state.columnSums.data() + size_t(chunk) * stride;
  int nonFinite = -1;
  for (int feature = first; feature < std::min(state.features, first + chunkFeatures); feature++) {
    const size_t at = size_t(feature - first) * stride;
    const float* encoder = state.weights.encoder.data() + size_t(feature) * stride;
    const Vector factor = all(featureSums[feature]);
    for (int c = 0; c < stride; c += width) store(columnSum + c, load(columnSum + c) - factor * load(encoder + c));
    nonFinite = std::max(nonFinite, updateFeature(state, adam, feature, gradEncoder + at, gradDecoder + at));
  }
  return nonFinite;
}

// Gradients of all features from the active pairs into gradEncoder, gradDecoder [features, stride] and featureSums.
static void sparseGradients(State& state, Pool& pool, int rows, float l1, float* featureSums) {
  const int stride = state.stride, features = state.features;
  float* gradEncoder = state.gradEncoder.reserve(size_t(features) * stride);
  float* gradDecoder = state.gradDecoder.reserve(size_t(features) * stride);
  std::vector<int> next(state.pairStart.begin(), state.pairStart.end() - 1);
  for (int end = gatherRows;; end += gatherRows) {
    pool.run(chunksOf(state), [&](int chunk, int) {
      for (int feature = chunk * chunkFeatures; feature < std::min(features, (chunk + 1) * chunkFeatures); feature++) {
        const size_t at = size_t(feature) * stride;
        if (end == gatherRows) {
          std::memset(gradEncoder + at, 0, stride * sizeof(float));
          std::memset(gradDecoder + at, 0, stride * sizeof(float));
        }
        const int begin = next[feature], all = state.pairStart[feature + 1];
        const int stop = int(std::lower_bound(state.pairRow.begin() + begin, state.pairRow.begin() + all, end) - state.pairRow.begin());
        featureSums[feature] += accumulate(state, begin, stop, state.weights.decoder.data() + at, l1, gradDecoder + at, gradEncoder + at);
        next[feature] = stop;
      }
    });
    if (end >= rows) return;
  }
}

static int updateFeatures(State& state, Pool& pool, const Adam& adam, const float* featureSums) {
  std::vector<int> nonFinite(chunksOf(state), -1);
  pool.run(chunksOf(state), [&](int chunk, int) {
    const size_t at = size_t(chunk) * chunkFeatures * state.stride;
    nonFinite[chunk] = updateChunk(state, adam, chunk, featureSums, state.gradEncoder.data() + at, state.gradDecoder.data() + at);
  });
  return *std::max_element(nonFinite.begin(), nonFinite.end());
}

// ∂L/∂b_dec = Σ_rows dOut − Σ_features ∂L/∂b_enc · encoder into `out` [stride]; the latter sum is in columnSums, by chunk.
static void decoderBiasGradient(State& state, Pool& pool, int rows, float* out) {
  const int stride = state.stride, chunks = chunksOf(state), units = (rows + unitRows - 1) / unitRows;
  float* sums = state.columnSums.data() + size_t(chunks) * stride;
  pool.run(units, [&](int unit, int) {
    float* sum = sums + size_t(unit) * stride;
    for (int row = unit * unitRows; row < std::min(rows, (unit + 1) * unitRows); row++)
      for (int c = 0; c < stride; c += width) store(sum + c, load(sum + c) + load(state.dOutput.data() + size_t(row) * stride + c));
  });
  std::memset(out, 0, stride * sizeof(float));
  for (int part = 0; part < chunks + units; part++)
    for (int c = 0; c < stride; c++) out[c] += state.columnSums.data()[size_t(part) * stride + c];
}

static StepResult step(State& state, Pool& pool, const float* x, int rows, bool sparse, const StepSettings& settings, uint32_t* fired) {
  const int features = state.features, stride = state.stride, biasLength = (features + 15) / 16 * 16;
  const float outputScale = float(2 * settings.squareScale / (double(rows) * state.d)), l1 = float(settings.l1 / rows);
  std::vector<Buffer>& threads = state.perThread;
  if (threads.size() < size_t(pool.threads())) threads = std::vector<Buffer>(pool.threads());
  Buffer sums, biasGradient;
  float* featureSums = sums.zeros(biasLength);
  float* gradDecoderBias = biasGradient.reserve(stride);
  std::memset(fired, 0, features * sizeof(uint32_t));

  const Adam adam(settings);
  state.columnSums.zeros(size_t(chunksOf(state) + (rows + unitRows - 1) / unitRows) * stride);
  if (sparse) {
    forward(state, pool, x, rows, outputScale);
    groupByFeature(state, pool, rows);
    for (int feature = 0; feature < features; feature++) fired[feature] = state.pairStart[feature + 1] - state.pairStart[feature];
    sparseGradients(state, pool, rows, l1, featureSums);
  } else {
    denseGradients(state, pool, x, rows, outputScale, l1, featureSums, fired);
  }
  int nonFinite = updateFeatures(state, pool, adam, featureSums);
  decoderBiasGradient(state, pool, rows, gradDecoderBias);
  if (!std::isfinite(adam.update(state.weights.encoderBias.data(), state.m.encoderBias.data(), state.v.encoderBias.data(), featureSums, biasLength))) nonFinite = 1;
  if (!std::isfinite(adam.update(state.weights.decoderBias.data(), state.m.decoderBias.data(), state.v.decoderBias.data(), gradDecoderBias, stride))) nonFinite = 3;

  StepResult result = {0, 0, 0, 0, nonFinite};
  for (int row = 0; row < rows; row++) {
    result.meanSquare += state.rowSquares[row];
    result.l1 += state.rowL1[row];
  }
  result.meanSquare /= double(rows) * state.d;
  result.l1 /= rows;
  result.loss = settings.squareScale * result.meanSquare + settings.l1 * result.l1;
  for (int feature = 0; feature < features; feature++) result.pairs += fired[feature];
  return result;
}

static void losses(State& state, Pool& pool, const float* x, int rows, double l1, double squareScale, float* out) {
  if (state.perThread.size() < size_t(pool.threads())) state.perThread = std::vector<Buffer>(pool.threads());
  // in pieces: of a batch of which half of all features are active, the pairs would be several times a dense step's memory
  for (int piece = 0; piece < rows; piece += pieceRows) {
    const int count = std::min(pieceRows, rows - piece);
    forward(state, pool, x + size_t(piece) * state.d, count, 1);
    for (int row = 0; row < count; row++) out[piece + row] = float(state.rowSquares[row] * squareScale / state.d + l1 * state.rowL1[row]);
  }
}

}  // namespace SAE_ISA

Kernel SAE_EXPORT(SAE_ISA)() { return {SAE_NAME(SAE_ISA), SAE_ISA::step, SAE_ISA::losses, SAE_ISA::tokenLosses}; }

}  // namespace sae
