// Cross-entropy of tokens under a tied unembedding. The logits are never in memory: a tile of them becomes exponentials and
// sums while it is in the cache. A row's loss depends on that row alone, not on the rows or threads beside it.
#pragma once
#include <cmath>
#include <limits>
#include "gemm.h"

namespace sae {
namespace SAE_ISA {

typedef int32_t Whole __attribute__((vector_size(SAE_VECTOR_BYTES), may_alias));

// e^v to two units in the last place for v from −87 to 88; e^−87 below, NaN for NaN. 2^n · e^r with |r| ≤ ln 2 / 2.
static inline Vector exponential(Vector v) {
  // a sum with it rounds to a whole number, which its lowest bits then are
  const Vector rounder = all(0x1.8p23f), least = all(-87.f);
  v = v < least ? least : v;
  const Vector shifted = v * all(1.44269504f) + rounder, n = shifted - rounder;
  const Vector r = (v - n * all(0.693359375f)) - n * all(-2.12194440e-4f);
  Vector series = all(1.f / 5040);
  for (const float coefficient : {1.f / 720, 1.f / 120, 1.f / 24, 1.f / 6, 0.5f, 1.f, 1.f}) series = series * r + all(coefficient);
  return series * (Vector)(((Whole)shifted + 127) << 23);
}

// Exponents may rise so far above the shift before it is raised: sums of them stay finite.
constexpr float mostAbove = 60;
// Panels of the embedding that are packed at a time. A row's float sums go into its double one after each.
constexpr int panelsPerSum = 64;

// Σ e^(logit − shift) of one row, so far.
struct RowSum {
  Vector recent;
  double total;
  float shift;

  void add(const float* tile) {
    for (int u = 0; u < tileVectors; u++) {
      Vector above = load(tile + u * width) - all(shift);
      if (positive(above - all(mostAbove)) != 0) {
        raise(tile + u * width);
        above = load(tile + u * width) - all(shift);
      }
      recent += exponential(above);
    }
  }
  void fold() {
    total += sum(recent);
    recent = Vector{};
  }

 private:
  void raise(const float* logits) {
    const float most = *std::max_element(logits, logits + width);
    fold();
    total *= std::exp(double(shift) - most);
    shift = most;
  }
};

// Adds panels `first` up to `end`, packed, of the embedding to the sums of `count` rows, at most blockRows, from their packed form.
static void addPanels(RowSum* sums, int count, const float* left, const float* packed, int first, int end, int columns, int depth) {
  alignas(64) float tile[tileRows * tileColumns];
  for (int panel = first; panel < end; panel++) {
    const int missing = std::max(0, (panel + 1) * tileColumns - columns);
    for (int top = 0; top < count; top += tileRows) {
      multiplyTile(depth, left + size_t(top) * depth, packed + size_t(panel - first) * tileColumns * depth, tile);
      for (int r = 0; r < tileRows && top + r < count; r++) {
        float* logits = tile + r * tileColumns;
        std::fill(logits + tileColumns - missing, logits + tileColumns, std::numeric_limits<float>::lowest());
        sums[top + r].add(logits);
      }
    }
  }
  for (int row = 0; row < count; row++) sums[row].fold();
}

// x [rows, depth], embedding [columns, depth], targets [rows], rows of the embedding → out [rows], nats.
static void tokenLosses(Pool& pool, const float* x, const float* embedding, const int32_t* targets, int rows, int columns, int depth, float* out) {
  const int panels = (columns + tileColumns - 1) / tileColumns;
  // as many rows at a time as stay in the second-level cache
  const int unitRows = std::max(1, std::min(blockTiles, blockTiles * depthBlock / depth)) * tileRows, units = (rows + unitRows - 1) / unitRows;
  Buffer packedRows, packedPanels;
  float* left = packedRows.reserve(size_t(units) * unitRows * depth);
  float* right = packedPanels.reserve(size_t(std::min(panels, panelsPerSum)) * tileColumns * depth);
  std::vector<RowSum> sums(rows);
  std::vector<double> targetLogits(rows);
  const auto inUnits = [&](const auto& work) {
    pool.run(units, [&](int unit, int) { work(unit * unitRows, std::min(unitRows, rows - unit * unitRows), left + size_t(unit) * unitRows * depth); });
  };

  inUnits([&](int from, int count, float* packed) {
    packRows({x, depth, 1}, from, count, 0, depth, packed);
    for (int row = from; row < from + count; row++) {
      const float *vector = x + size_t(row) * depth, *weights = embedding + size_t(targets[row]) * depth;
      double logit = 0;
      for (int k = 0; k < depth; k++) logit += double(vector[k]) * weights[k];
      // the target's own exponential is then 1: no sum can vanish
      targetLogits[row] = logit;
      sums[row] = {Vector{}, 0, float(logit)};
    }
  });
  for (int first = 0; first < panels; first += panelsPerSum) {
    const int end = std::min(panels, first + panelsPerSum);
    pool.run(end - first, [&](int panel, int) { packColumns({embedding, 1, depth}, (first + panel) * tileColumns, columns, 0, depth, right + size_t(panel) * tileColumns * depth); });
    inUnits([&](int from, int count, const float* packed) { addPanels(sums.data() + from, count, packed, right, first, end, columns, depth); });
  }
  for (int row = 0; row < rows; row++) out[row] = float(std::log(sums[row].total) + (sums[row].shift - targetLogits[row]));
}

}  // namespace SAE_ISA
}  // namespace sae
