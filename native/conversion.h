// Half precision on all threads of the pool, without Node, so that native/check.sh can run it under sanitizers.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>
#include "half.h"
#include "pool.h"

namespace sae {

// Units of work: a unit must be worth waking a thread for.
constexpr size_t rowsAtOnce = 256, numbersAtOnce = 1 << 16;

template <class Work>
void inUnits(Pool& pool, size_t count, size_t atOnce, const Work& work) {
  pool.run(int((count + atOnce - 1) / atOnce), [&](int unit, int) {
    const size_t from = size_t(unit) * atOnce;
    work(size_t(unit), from, std::min(count, from + atOnce));
  });
}

using Blocks = std::vector<std::pair<const uint16_t*, size_t>>;

// target[r · d + c] = scale · row r's number c; row r is the places[2r + 1]th of d numbers in block places[2r].
inline void widenPlaces(Pool& pool, const Blocks& blocks, const uint32_t* places, size_t rows, size_t d, double scale, float* target) {
  std::vector<const uint16_t*> from(rows);
  for (size_t r = 0; r < rows; r++) {
    const size_t block = places[2 * r], row = places[2 * r + 1];
    if (block >= blocks.size() || (row + 1) * d > blocks[block].second) throw std::invalid_argument("row " + std::to_string(row) + " of block " + std::to_string(block) + " is not there");
    from[r] = blocks[block].first + row * d;
  }
  inUnits(pool, rows, rowsAtOnce, [&](size_t, size_t first, size_t end) { widenRows(from.data() + first, end - first, d, scale, target + first * d); });
}

// Rows of d numbers, rounded: row r becomes row places[r] of `target`, which has room for targetRows of them. Returns the
// bits of the largest magnitude.
inline uint16_t narrowToPlaces(Pool& pool, const float* source, size_t rows, size_t d, const uint32_t* places, uint16_t* target, size_t targetRows) {
  for (size_t r = 0; r < rows; r++)
    if (places[r] >= targetRows) throw std::invalid_argument("there is no row " + std::to_string(places[r]) + " in the target");
  const size_t atOnce = std::max<size_t>(1, numbersAtOnce / d);
  std::vector<uint16_t> largest((rows + atOnce - 1) / atOnce, 0);
  inUnits(pool, rows, atOnce, [&](size_t unit, size_t first, size_t end) {
    for (size_t r = first; r < end; r++) largest[unit] = std::max(largest[unit], narrow(source + r * d, d, target + places[r] * d));
  });
  return largest.empty() ? 0 : *std::max_element(largest.begin(), largest.end());
}

}  // namespace sae
