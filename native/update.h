// From a feature's gradients to its new weights in one go: the decoder gradient's parallel part removed, Adam as PyTorch
// computes it (m̂ / (√v̂ + ε)), the decoder row back to unit norm.
#pragma once
#include "vector.h"
#include "state.h"

namespace sae {
namespace SAE_ISA {

struct Adam {
  float beta1, rest1, beta2, rest2, epsilon, stepSize, inverseRoot;

  explicit Adam(const StepSettings& s)
      : beta1(float(s.beta1)),
        rest1(float(1 - s.beta1)),
        beta2(float(s.beta2)),
        rest2(float(1 - s.beta2)),
        epsilon(float(s.epsilon)),
        stepSize(float(s.learningRate / (1 - std::pow(s.beta1, s.step)))),
        inverseRoot(float(1 / std::sqrt(1 - std::pow(s.beta2, s.step)))) {}

  // n a multiple of 16. Returns 0, or NaN where any of the gradient is not finite.
  float update(float* weights, float* m, float* v, const float* gradient, int n) const {
    const Vector b1 = all(beta1), c1 = all(rest1), b2 = all(beta2), c2 = all(rest2), eps = all(epsilon), size = all(stepSize), root = all(inverseRoot);
    Vector zeros = {};
    for (int c = 0; c < n; c += width) {
      const Vector g = load(gradient + c);
      const Vector first = b1 * load(m + c) + c1 * g, second = b2 * load(v + c) + c2 * (g * g);
      zeros += g * Vector{};
      store(m + c, first);
      store(v + c, second);
      store(weights + c, load(weights + c) - size * first / (squareRoot(second) * root + eps));
    }
    return sum(zeros);
  }
};

// Changes gradDecoder. Returns the index in [W_enc, b_enc, W_dec, b_dec] of a gradient that is not finite, or −1.
static int updateFeature(State& state, const Adam& adam, int feature, float* gradEncoder, float* gradDecoder) {
  const int stride = state.stride;
  const size_t at = size_t(feature) * stride;
  float* decoder = state.weights.decoder.data() + at;
  const Vector parallel = all(dot(gradDecoder, decoder, stride) / dot(decoder, decoder, stride));
  for (int c = 0; c < stride; c += width) store(gradDecoder + c, load(gradDecoder + c) - parallel * load(decoder + c));
  const float encoderZero = adam.update(state.weights.encoder.data() + at, state.m.encoder.data() + at, state.v.encoder.data() + at, gradEncoder, stride);
  const float decoderZero = adam.update(decoder, state.m.decoder.data() + at, state.v.decoder.data() + at, gradDecoder, stride);
  const Vector inverse = all(1 / std::sqrt(dot(decoder, decoder, stride)));
  for (int c = 0; c < stride; c += width) store(decoder + c, load(decoder + c) * inverse);
  return !std::isfinite(encoderZero) ? 0 : !std::isfinite(decoderZero) ? 2 : -1;
}

}  // namespace SAE_ISA
}  // namespace sae
