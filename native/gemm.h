// A packed matrix product: tiles of tileRows × tileColumns live in registers, blocks of A in the second-level cache. What
// becomes of a finished tile is the caller's: bias and ReLU, a residual, extraction of what is active.
#pragma once
#include <algorithm>
#include "pool.h"
#include "state.h"
#include "vector.h"

namespace sae {
namespace SAE_ISA {

#if defined(__AVX512F__)
constexpr int tileRows = 14, tileVectors = 2;
#elif defined(__AVX2__)
constexpr int tileRows = 6, tileVectors = 2;
#else
constexpr int tileRows = 4, tileVectors = 2;
#endif
constexpr int tileColumns = tileVectors * width;
constexpr int depthBlock = 512;
constexpr int blockTiles = 14;
constexpr int blockRows = blockTiles * tileRows;

// Element (i, j) is at data[i * rowStep + j * columnStep].
struct Matrix {
  const float* data;
  ptrdiff_t rowStep, columnStep;
};

// tile[r][c] = Σ_k a[k][r] · b[k][c]; a packed [depth][tileRows], b packed [depth][tileColumns].
static inline void multiplyTile(int depth, const float* __restrict a, const float* __restrict b, float* __restrict tile) {
  Vector sums[tileRows][tileVectors] = {};
  for (int k = 0; k < depth; k++, a += tileRows, b += tileColumns) {
    Vector right[tileVectors];
#pragma GCC unroll 8
    for (int u = 0; u < tileVectors; u++) right[u] = load(b + u * width);
#pragma GCC unroll 16
    for (int r = 0; r < tileRows; r++) {
      const Vector left = all(a[r]);
#pragma GCC unroll 8
      for (int u = 0; u < tileVectors; u++) sums[r][u] += left * right[u];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < tileRows; r++)
#pragma GCC unroll 8
    for (int u = 0; u < tileVectors; u++) store(tile + r * tileColumns + u * width, sums[r][u]);
}

// One tile [depth][lanes] of the packed form: out[k][lane] = source[k · depthStep + lane · laneStep], zeros from `count`
// lanes up. One of the steps is 1; reads go along it.
template <int lanes>
static inline void packTile(const float* source, ptrdiff_t depthStep, ptrdiff_t laneStep, int depth, int count, float* __restrict out) {
  if (count < lanes) {
    for (int k = 0; k < depth; k++)
      for (int lane = 0; lane < lanes; lane++) out[k * lanes + lane] = lane < count ? source[k * depthStep + lane * laneStep] : 0.f;
  } else if (laneStep == 1) {
    for (int k = 0; k < depth; k++)
      for (int lane = 0; lane < lanes; lane++) out[k * lanes + lane] = source[k * depthStep + lane];
  } else {
    constexpr int line = 16;
    int k = 0;
    for (; k + line <= depth; k += line)
      for (int lane = 0; lane < lanes; lane++)
        for (int l = 0; l < line; l++) out[(k + l) * lanes + lane] = source[(k + l) * depthStep + lane * laneStep];
    for (; k < depth; k++)
      for (int lane = 0; lane < lanes; lane++) out[k * lanes + lane] = source[k * depthStep + lane * laneStep];
  }
}

// Rows `from` up of a, `rows` of them, as tiles [depth][tileRows] one after another; missing rows are zeros.
static inline void packRows(const Matrix& a, int from, int rows, int k0, int depth, float* out) {
  for (int tile = 0; tile < rows; tile += tileRows)
    packTile<tileRows>(a.data + (from + tile) * a.rowStep + k0 * a.columnStep, a.columnStep, a.rowStep, depth, rows - tile, out + size_t(tile) * depth);
}

// Columns `from` up of b as one tile [depth][tileColumns]; columns from `columns` up are zeros.
static inline void packColumns(const Matrix& b, int from, int columns, int k0, int depth, float* out) {
  packTile<tileColumns>(b.data + k0 * b.rowStep + from * b.columnStep, b.rowStep, b.columnStep, depth, columns - from, out);
}

// a [rows, depth] · b [depth, columns]. finish(row, column, rows, vectors, tile, firstDepth, lastDepth) gets every tile of
// every block of depth, in order of depth; tiles are [tileRows][tileColumns], zeros beyond the last column, and `vectors`
// of them cover the columns up to the next multiple of 16.
template <class Finish>
static void multiply(State& state, Pool& pool, const Matrix& a, const Matrix& b, int rows, int columns, int depth, const Finish& finish) {
  const int padded = (columns + 15) / 16 * 16, panels = (columns + tileColumns - 1) / tileColumns, blocks = (rows + blockRows - 1) / blockRows;
  float* right = state.packed.reserve(size_t(panels) * tileColumns * depthBlock);
  for (int k0 = 0; k0 < depth; k0 += depthBlock) {
    const int kSize = std::min(depthBlock, depth - k0);
    pool.run(panels, [&](int panel, int) { packColumns(b, panel * tileColumns, columns, k0, kSize, right + size_t(panel) * tileColumns * kSize); });
    pool.run(blocks, [&](int block, int thread) {
      const int from = block * blockRows, count = std::min(blockRows, rows - from);
      float* left = state.perThread[thread].reserve(size_t(blockRows) * depthBlock);
      alignas(64) float tile[tileRows * tileColumns];
      packRows(a, from, count, k0, kSize, left);
      for (int panel = 0; panel < panels; panel++)
        for (int r = 0; r < count; r += tileRows) {
          multiplyTile(kSize, left + size_t(r) * kSize, right + size_t(panel) * tileColumns * kSize, tile);
          finish(from + r, panel * tileColumns, std::min(tileRows, count - r), std::min(tileVectors, (padded - panel * tileColumns) / width), tile, k0 == 0, k0 + kSize == depth);
        }
    });
  }
}

}  // namespace SAE_ISA
}  // namespace sae
