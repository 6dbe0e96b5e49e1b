// What one training keeps between steps. Both weight matrices are feature-major, [features][stride]: a feature's encoder
// and decoder rows are then contiguous, which is what work on active (vector, feature) pairs reads and writes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>
#include <vector>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace sae {

// Floats on cache-line boundaries; grows, never shrinks, and forgets its content when it grows.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(data_); }

  float* reserve(size_t count) {
    if (count > count_) {
      std::free(std::exchange(data_, nullptr));
      count_ = 0;
      const size_t alignment = count * sizeof(float) < hugePage ? 64 : hugePage;
      const size_t bytes = (count * sizeof(float) + alignment - 1) / alignment * alignment;
      data_ = static_cast<float*>(std::aligned_alloc(alignment, bytes));
      if (data_ == nullptr) throw std::bad_alloc();
#if defined(__linux__)
      // rows are gathered in no order: with small pages each would cost a look-up of its address
      if (alignment == hugePage) madvise(data_, bytes, MADV_HUGEPAGE);
#endif
      count_ = count;
    }
    return data_;
  }
  float* zeros(size_t count) { return static_cast<float*>(std::memset(reserve(count), 0, count * sizeof(float))); }
  float* data() const { return data_; }
  size_t bytes() const { return count_ * sizeof(float); }

 private:
  static constexpr size_t hugePage = 2 << 20;
  float* data_ = nullptr;
  size_t count_ = 0;
};

// Weights, or one of Adam's moments.
struct Parameters {
  Buffer encoder, encoderBias, decoder, decoderBias;
};

// Active pairs of a block of rows: entries of row r are from rowStart[r] up to rowStart[r + 1], features ascending.
struct ActivePairs {
  std::vector<int> rowStart, feature;
  std::vector<float> value;
  // As the encoder finds them, before they are sorted by row.
  std::vector<int> foundRow, foundFeature;
  std::vector<float> foundValue;
  // Entries of each feature, then where this block's entries of a feature start among all of the batch's.
  std::vector<int> featureStart;
};

struct State {
  State(int d, int features) : d(d), stride((d + 15) / 16 * 16), features(features) {
    for (Parameters* each : {&weights, &m, &v}) {
      each->encoder.zeros(size_t(features) * stride);
      each->encoderBias.zeros((features + 15) / 16 * 16);
      each->decoder.zeros(size_t(features) * stride);
      each->decoderBias.zeros(stride);
    }
  }

  const int d, stride, features;
  Parameters weights, m, v;

  // Scratch of a step.
  Buffer centred, dOutput, packed, rowNorms, weightNorms, featureBias, columnSums;
  Buffer activations, dPre, blockCounts, blockSums, gradEncoder, gradDecoder;
  std::vector<Buffer> perThread;
  std::vector<ActivePairs> blocks;
  std::vector<double> rowSquares, rowL1;
  std::vector<int> pairStart, pairRow;
  std::vector<float> pairValue;
};

struct StepSettings {
  double learningRate, l1, squareScale, beta1, beta2, epsilon, step;
};

struct StepResult {
  double loss, meanSquare, l1, pairs;
  int nonFinite;
};

class Pool;

// One instruction set's compilation.
struct Kernel {
  const char* isa;
  StepResult (*step)(State&, Pool&, const float* x, int rows, bool sparse, const StepSettings&, uint32_t* fired);
  void (*losses)(State&, Pool&, const float* x, int rows, double l1, double squareScale, float* out);
  void (*tokenLosses)(Pool&, const float* x, const float* embedding, const int32_t* targets, int rows, int columns, int depth, float* out);
};

}  // namespace sae
