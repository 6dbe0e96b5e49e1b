// Half precision to and from float32 by the processor's own conversion (F16C), as data/float16.ts does it in JavaScript:
// the same numbers, rounded to nearest even.
#pragma once
#include <cstddef>
#include <cstdint>

namespace sae {

// Whether this processor converts; the functions below must not be called where it does not.
bool convertsHalf();

// target[r · d + c] = scale · rows[r][c] for `count` rows, each product rounded to float32 once.
void widenRows(const uint16_t* const* rows, size_t count, size_t d, double scale, float* target);

// Rounds `count` numbers. Returns the largest magnitude's bits: above 0x7bff something is not finite.
uint16_t narrow(const float* source, size_t count, uint16_t* target);

}  // namespace sae
