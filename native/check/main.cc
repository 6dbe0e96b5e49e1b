// Drives the kernel on shapes and numbers that training never has, for native/check.sh: under sanitizers every access out
// of bounds, every misaligned load and every race ends it. What it computes is compared too: with a plain loop in double
// precision, between the paths, and between numbers of threads, bit by bit.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>
#include "../pool.h"
#include "../state.h"

namespace sae {
Kernel kernelOf_portable();
Kernel kernelOf_avx2();
Kernel kernelOf_avx512();
Kernel kernelOf_avx512bf16();
}  // namespace sae

using namespace sae;

namespace {

struct Shape {
  int d, features, rows;
};

// One of each; around a vector's, a tile's, a block's and a piece's edges; rows so long that a block is one tile of them.
const Shape shapes[] = {{1, 1, 1}, {1, 1, 400}, {1, 7, 3}, {3, 1, 5}, {2, 16, 14}, {13, 7, 1}, {16, 16, 16}, {17, 33, 29}, {31, 15, 197}, {48, 64, 255}, {70, 201, 2100}, {512, 40, 196}, {1030, 20, 30}, {7200, 3, 17}};

struct Setting {
  Shape shape;
  std::vector<float> x, encoder, encoderBias, decoder, decoderBias;
};

Setting draw(Shape shape, float bias) {
  const auto [d, features, rows] = shape;
  std::mt19937 generator(d * 31 + features);
  std::normal_distribution<float> normal;
  const auto normals = [&](size_t count, float scale) {
    std::vector<float> values(count);
    for (float& value : values) value = scale * normal(generator);
    return values;
  };
  Setting setting = {shape, normals(size_t(rows) * d, 1), normals(size_t(features) * d, 1 / std::sqrt(float(d))), normals(features, 0.1f), normals(size_t(features) * d, 1), normals(d, 0.1f)};
  for (float& value : setting.encoderBias) value += bias;
  for (int feature = 0; feature < features; feature++) {
    double squares = 0;
    for (int c = 0; c < d; c++) squares += double(setting.decoder[size_t(feature) * d + c]) * setting.decoder[size_t(feature) * d + c];
    for (int c = 0; c < d; c++) setting.decoder[size_t(feature) * d + c] /= float(std::sqrt(squares));
  }
  return setting;
}

std::unique_ptr<State> stateOf(const Setting& setting) {
  const auto [d, features, rows] = setting.shape;
  auto state = std::make_unique<State>(d, features);
  for (int feature = 0; feature < features; feature++) {
    for (int c = 0; c < d; c++) {
      state->weights.encoder.data()[size_t(feature) * state->stride + c] = setting.encoder[size_t(feature) * d + c];
      state->weights.decoder.data()[size_t(feature) * state->stride + c] = setting.decoder[size_t(feature) * d + c];
    }
    state->weights.encoderBias.data()[feature] = setting.encoderBias[feature];
  }
  for (int c = 0; c < d; c++) state->weights.decoderBias.data()[c] = setting.decoderBias[c];
  return state;
}

// Loss and pairs by the definition. Pairs nearer to zero than float32 tells apart count as `unsure`.
struct Expected {
  double loss = 0, pairs = 0, unsure = 0;
};

constexpr double l1 = 0.01;

Expected expect(const Setting& setting) {
  const auto [d, features, rows] = setting.shape;
  Expected expected;
  for (int row = 0; row < rows; row++) {
    std::vector<double> residual(d);
    const float* x = &setting.x[size_t(row) * d];
    for (int c = 0; c < d; c++) residual[c] = double(setting.decoderBias[c]) - x[c];
    for (int feature = 0; feature < features; feature++) {
      double pre = setting.encoderBias[feature];
      for (int c = 0; c < d; c++) pre += (double(x[c]) - setting.decoderBias[c]) * setting.encoder[size_t(feature) * d + c];
      if (std::abs(pre) < 1e-4) expected.unsure++;
      if (pre <= 0) continue;
      expected.pairs++;
      expected.loss += l1 * pre / rows;
      for (int c = 0; c < d; c++) residual[c] += pre * setting.decoder[size_t(feature) * d + c];
    }
    for (int c = 0; c < d; c++) expected.loss += residual[c] * residual[c] / (double(rows) * d);
  }
  return expected;
}

// What a step leaves behind, all of it.
struct Outcome {
  StepResult result;
  std::vector<float> numbers;
};

void append(std::vector<float>& numbers, const Buffer& buffer, size_t count) { numbers.insert(numbers.end(), buffer.data(), buffer.data() + count); }

Outcome run(const Kernel& kernel, Pool& pool, const Setting& setting, bool sparse, int steps) {
  const auto [d, features, rows] = setting.shape;
  const auto state = stateOf(setting);
  std::vector<uint32_t> fired(features);
  // of exactly the caller's size: what is read beyond it is seen
  const std::vector<float> x(setting.x);
  Outcome outcome;
  for (int step = 1; step <= steps; step++) {
    const StepResult result = kernel.step(*state, pool, x.data(), rows, sparse, {1e-3, l1, 1, 0.9, 0.999, 1e-8, double(step)}, fired.data());
    if (step == 1) outcome.result = result;
  }
  std::vector<float> losses(rows);
  kernel.losses(*state, pool, x.data(), rows, l1, 1, losses.data());
  outcome.numbers.assign(losses.begin(), losses.end());
  for (const Parameters* each : {&state->weights, &state->m, &state->v}) {
    append(outcome.numbers, each->encoder, size_t(features) * state->stride);
    append(outcome.numbers, each->encoderBias, features);
    append(outcome.numbers, each->decoder, size_t(features) * state->stride);
    append(outcome.numbers, each->decoderBias, state->stride);
  }
  return outcome;
}

int failures = 0;
void require(bool holds, const std::string& what) {
  if (holds) return;
  failures++;
  std::printf("FAILED %s\n", what.c_str());
}

bool sameBits(const std::vector<float>& a, const std::vector<float>& b) { return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0; }

void checkShapes(const Kernel& kernel) {
  Pool one(1), three(3), many(7);
  for (const Shape& shape : shapes)
    for (const float bias : {0.f, -1.f}) {
      const Setting setting = draw(shape, bias);
      const Expected expected = expect(setting);
      for (const bool sparse : {true, false}) {
        const std::string name = std::string(kernel.isa) + (sparse ? " sparse " : " dense ") + std::to_string(shape.d) + " -> " + std::to_string(shape.features) + ", " + std::to_string(shape.rows) + " rows, bias " + std::to_string(bias);
        const Outcome outcome = run(kernel, one, setting, sparse, 2);
        require(std::abs(outcome.result.loss / expected.loss - 1) < 1e-4, name + ": loss " + std::to_string(outcome.result.loss) + ", not " + std::to_string(expected.loss));
        require(std::abs(outcome.result.pairs - expected.pairs) <= expected.unsure, name + ": " + std::to_string(outcome.result.pairs) + " pairs, not " + std::to_string(expected.pairs));
        require(outcome.result.nonFinite == -1, name + ": not finite");
        for (Pool* pool : {&three, &many}) require(sameBits(run(kernel, *pool, setting, sparse, 2).numbers, outcome.numbers), name + ": other bits on " + std::to_string(pool->threads()) + " threads");
      }
    }
}

// Numbers that no training survives: nothing but the numbers may suffer.
void checkNumbers(const Kernel& kernel) {
  Pool pool(3);
  const float infinity = std::numeric_limits<float>::infinity(), bad[] = {infinity, -infinity, std::numeric_limits<float>::quiet_NaN(), 3.4e38f, -3.4e38f, 3e19f, 1e-30f, 1e-45f, 0};
  for (const float value : bad)
    for (const bool sparse : {true, false})
      for (const Shape& shape : {Shape{17, 33, 29}, Shape{70, 201, 300}}) {
        const auto with = [&](std::vector<float> Setting::*where, bool all) {
          Setting setting = draw(shape, 0);
          std::vector<float>& values = setting.*where;
          if (all) values.assign(values.size(), value);
          else values[values.size() / 2] = value;
          run(kernel, pool, setting, sparse, 2);
        };
        for (const bool all : {true, false})
          for (auto where : {&Setting::x, &Setting::encoder, &Setting::encoderBias, &Setting::decoder, &Setting::decoderBias}) with(where, all);
      }
}

// A batch after a larger one and before another, on both paths in turn: scratch is used again, and never too small.
void checkScratch(const Kernel& kernel) {
  Pool pool(2), other(5);
  const Shape shape = {33, 50, 2500};
  const Setting setting = draw(shape, 0);
  const auto state = stateOf(setting);
  std::vector<uint32_t> fired(shape.features);
  int step = 0;
  for (const int rows : {1, 2500, 7, 300, 2500, 2049})
    for (const bool sparse : {true, false, true})
      for (Pool* each : {&pool, &other}) {
        const std::vector<float> x(setting.x.begin(), setting.x.begin() + size_t(rows) * shape.d);
        const StepResult result = kernel.step(*state, *each, x.data(), rows, sparse, {1e-3, l1, 33, 0.9, 0.999, 1e-8, double(++step)}, fired.data());
        require(std::isfinite(result.loss), std::string(kernel.isa) + ": loss of " + std::to_string(rows) + " rows after others");
      }
}

// Losses of tokens around the edges of vectors, tiles, blocks and panels, with logits that overflow unless they are shifted.
void checkTokenLosses(const Kernel& kernel) {
  Pool one(1), three(3);
  struct LossShape {
    int depth, columns, rows;
  };
  for (const auto [depth, columns, rows] : {LossShape{1, 1, 1}, {3, 2, 14}, {17, 33, 29}, {8, 2100, 5}, {70, 31, 400}, {600, 64, 15}})
    for (const float scale : {0.1f, 1.f, 300.f}) {
      std::mt19937 generator(depth * 31 + columns);
      std::normal_distribution<float> normal;
      std::vector<float> x(size_t(rows) * depth), embedding(size_t(columns) * depth), out(rows), again(rows);
      for (float& value : x) value = scale * normal(generator) / std::sqrt(float(depth));
      for (float& value : embedding) value = normal(generator);
      std::vector<int32_t> targets(rows);
      for (int row = 0; row < rows; row++) targets[row] = row % columns;
      const std::string name = std::string(kernel.isa) + " losses " + std::to_string(depth) + " -> " + std::to_string(columns) + ", " + std::to_string(rows) + " rows, scale " + std::to_string(scale);
      kernel.tokenLosses(one, x.data(), embedding.data(), targets.data(), rows, columns, depth, out.data());
      kernel.tokenLosses(three, x.data(), embedding.data(), targets.data(), rows, columns, depth, again.data());
      require(sameBits(out, again), name + ": other bits on 3 threads");
      for (int row = 0; row < rows; row++) {
        std::vector<double> logits(columns);
        for (int column = 0; column < columns; column++)
          for (int k = 0; k < depth; k++) logits[column] += double(x[size_t(row) * depth + k]) * embedding[size_t(column) * depth + k];
        const double most = *std::max_element(logits.begin(), logits.end());
        double sum = 0;
        for (const double logit : logits) sum += std::exp(logit - most);
        require(std::abs(out[row] - (std::log(sum) + most - logits[targets[row]])) < 2e-6 + scale * 3e-6, name + ": row " + std::to_string(row));
      }
      for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 3.4e38f}) {
        x[x.size() / 2] = bad;
        kernel.tokenLosses(three, x.data(), embedding.data(), targets.data(), rows, columns, depth, again.data());
      }
    }
}

void checkPool() {
  for (int threads = 1; threads < 5; threads++) {
    Pool pool(threads);
    for (int round = 0; round < 200; round++) {
      std::atomic<int> done{0};
      pool.run(round % 37, [&](int, int) { done++; });
      require(done == round % 37, "pool: units done");
      std::string caught;
      try {
        pool.run(50, [&](int unit, int) {
          if (unit % 17 == 3) throw std::runtime_error("unit");
        });
      } catch (const std::runtime_error& error) {
        caught = error.what();
      }
      require(caught == "unit", "pool: what a unit throws arrives");
    }
  }
}

}  // namespace

int main() {
  checkPool();
  std::vector<Kernel> kernels = {kernelOf_portable()};
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) kernels.push_back(kernelOf_avx2());
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) kernels.push_back(kernelOf_avx512());
  if (__builtin_cpu_supports("avx512bf16")) kernels.push_back(kernelOf_avx512bf16());
#endif
  for (const Kernel& kernel : kernels) {
    checkShapes(kernel);
    checkNumbers(kernel);
    checkScratch(kernel);
    checkTokenLosses(kernel);
    std::printf("%s: checked\n", kernel.isa);
  }
  std::printf(failures == 0 ? "all right\n" : "%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
