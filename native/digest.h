// CRC-32 and SHA-256 by the processor's own instructions: the same digests as zlib's and OpenSSL's. The first is several
// times as fast as zlib's; the second is here so that it can run beside the thread of JavaScript.
#pragma once
#include <cstddef>
#include <cstdint>

namespace sae {

// Whether this processor has the instructions; `crc32` and `Sha256` must not be used where it does not.
bool digests();

// Of gzip's polynomial, as Parquet's pages carry it.
uint32_t crc32(const uint8_t* bytes, size_t count);

class Sha256 {
 public:
  void update(const uint8_t* bytes, size_t count);
  // The digest of all bytes so far, in 32 bytes. Nothing may be added after it.
  void finish(uint8_t* digest);

 private:
  uint32_t state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint64_t count_ = 0;
  // What is left of the last block, count_ % 64 bytes.
  uint8_t rest_[64];
};

}  // namespace sae
