// Drives digests and half precision as Node's threads do, for native/check.sh: any length from zero, any alignment, no
// address at all, many hashes at once, owners that let go before the work is done. Compared with the definitions and with
// published digests.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
#include "../conversion.h"
#include "../hashing.h"

using namespace sae;

namespace {

int failures = 0;
void require(bool holds, const std::string& what) {
  if (holds) return;
  failures++;
  std::printf("FAILED %s\n", what.c_str());
}

template <class Body>
std::string refusalOf(const Body& body) {
  try {
    body();
    return "";
  } catch (const std::invalid_argument& refused) {
    return refused.what();
  }
}

// Exactly as long as it says, at so many bytes from an aligned address: what is touched beside it is seen.
struct Piece {
  std::vector<uint8_t> memory;
  size_t shift;
  Piece(const uint8_t* bytes, size_t count, size_t shift) : memory(shift + count), shift(shift) {
    if (count > 0) std::memcpy(memory.data() + shift, bytes, count);
  }
  // An empty one at no address, as JavaScript's are.
  const uint8_t* data() const { return count() == 0 ? nullptr : memory.data() + shift; }
  size_t count() const { return memory.size() - shift; }
};

std::vector<uint8_t> randomBytes(size_t count) {
  std::mt19937 generator(7);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = uint8_t(generator());
  return bytes;
}

std::string digestOf(Hashing& hashing) {
  uint8_t digest[32];
  hashing.finish(digest);
  std::string text;
  for (uint8_t byte : digest) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", byte);
    text += digits;
  }
  return text;
}

std::string digestOf(const uint8_t* bytes, size_t count) {
  const auto hashing = std::make_shared<Hashing>();
  Hashing::Job(hashing, {{bytes, count}}).run();
  return digestOf(*hashing);
}

void checkCrc() {
  const std::vector<uint8_t> bytes = randomBytes(5000);
  for (size_t count = 0; count < 1200; count++) {
    const Piece piece(bytes.data(), count, count % 19);
    uint32_t expected = ~0u;
    for (size_t i = 0; i < count; i++) {
      expected ^= bytes[i];
      for (int bit = 0; bit < 8; bit++) expected = expected & 1 ? (expected >> 1) ^ 0xedb88320 : expected >> 1;
    }
    require(crc32(piece.data(), count) == ~expected, "CRC-32 of " + std::to_string(count) + " bytes");
  }
}

void checkSha() {
  // FIPS 180-4's examples
  const std::string million(1'000'000, 'a');
  const auto of = [](const std::string& text) { return digestOf(reinterpret_cast<const uint8_t*>(text.data()), text.size()); };
  require(digestOf(nullptr, 0) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "SHA-256 of nothing");
  require(of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "SHA-256 of abc");
  require(of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1", "SHA-256 of two blocks");
  require(of(million) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", "SHA-256 of a million letters");
  // whole, and in pieces of any length at any alignment
  const std::vector<uint8_t> bytes = randomBytes(700);
  std::mt19937 generator(11);
  for (size_t count = 0; count < bytes.size(); count++) {
    const auto hashing = std::make_shared<Hashing>();
    for (size_t from = 0; from < count;) {
      const size_t length = std::min<size_t>(count - from, generator() % 150);
      const Piece piece(bytes.data() + from, length, generator() % 17);
      Hashing::Job(hashing, {{piece.data(), length}, {nullptr, 0}}).run();
      from += length;
    }
    require(digestOf(*hashing) == digestOf(bytes.data(), count), "SHA-256 of " + std::to_string(count) + " bytes in pieces");
  }
}

// As the binding does: made and ended here, run there.
void checkManyHashes() {
  const std::vector<uint8_t> bytes = randomBytes(300'000);
  constexpr int hashes = 24, rounds = 6;
  std::vector<std::shared_ptr<Hashing>> owners(hashes);
  std::vector<size_t> taken(hashes, 0);
  for (auto& owner : owners) owner = std::make_shared<Hashing>();
  for (int round = 0; round < rounds; round++) {
    std::vector<std::unique_ptr<Hashing::Job>> jobs;
    std::vector<std::thread> threads;
    for (int index = 0; index < hashes; index++) {
      const size_t count = size_t(index * 977 + round * 1301) % 40'000;
      jobs.push_back(std::make_unique<Hashing::Job>(owners[index], Hashing::Pieces{{bytes.data() + taken[index], count / 3}, {bytes.data() + taken[index] + count / 3, count - count / 3}}));
      taken[index] += count;
      threads.emplace_back([job = jobs.back().get()] { job->run(); });
      uint8_t digest[32];
      require(refusalOf([&] { Hashing::Job(owners[index], {}); }) == "the hash is busy", "a second job is refused");
      require(refusalOf([&] { owners[index]->finish(digest); }) == "the hash is busy", "the digest of a busy hash is refused");
    }
    for (std::thread& thread : threads) thread.join();
  }
  for (int index = 0; index < hashes; index++) require(digestOf(*owners[index]) == digestOf(bytes.data(), taken[index]), "SHA-256 of hash " + std::to_string(index) + " of many");
  require(refusalOf([&] { Hashing::Job(owners[0], {}); }) == "the hash is finished", "a finished hash takes nothing");
}

// The owner is collected while its pieces go in; and jobs that never run leave the hash free.
void checkRelease() {
  const std::vector<uint8_t> bytes = randomBytes(200'000);
  for (int round = 0; round < 50; round++) {
    auto owner = std::make_shared<Hashing>();
    auto job = std::make_unique<Hashing::Job>(owner, Hashing::Pieces{{bytes.data() + round, bytes.size() - round}});
    std::thread thread([&job] { job->run(); });
    owner.reset();
    thread.join();
    job.reset();
  }
  const auto hashing = std::make_shared<Hashing>();
  { const Hashing::Job never(hashing, {{bytes.data(), bytes.size()}}); }
  require(digestOf(*hashing) == digestOf(nullptr, 0), "a job that never ran adds nothing");
}

// Of the bits of a half, by the definition.
double valueOf(uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const double size = exponent == 31 ? (fraction == 0 ? std::numeric_limits<double>::infinity() : std::nan("")) : exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return half & 0x8000 ? -size : size;
}

void checkWiden() {
  Pool one(1), three(3);
  std::mt19937 generator(13);
  for (const size_t d : {1, 7, 8, 9, 15, 16, 17, 31, 33, 129, 515})
    for (const size_t rows : {0, 1, 2, 3, 255, 256, 257, 700})
      for (const double scale : {1.0, 0.37}) {
        const std::string name = std::to_string(rows) + " rows of " + std::to_string(d);
        // three blocks, the last of them empty; each at an odd number of halves from its memory's start
        std::vector<std::vector<uint16_t>> memory = {std::vector<uint16_t>(1 + 5 * d), std::vector<uint16_t>(3 + 2 * d), {}};
        for (auto& block : memory)
          for (uint16_t& half : block) half = uint16_t(generator());
        const Blocks blocks = {{memory[0].data() + 1, 5 * d}, {memory[1].data() + 3, 2 * d}, {nullptr, 0}};
        std::vector<uint32_t> places;
        for (size_t r = 0; r < rows; r++) {
          const uint32_t block = generator() % 2;
          places.insert(places.end(), {block, uint32_t(generator() % (block == 0 ? 5 : 2))});
        }
        for (Pool* pool : {&one, &three}) {
          std::vector<float> target(rows * d);
          widenPlaces(*pool, blocks, places.data(), rows, d, scale, target.data());
          bool same = true;
          for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < d; c++) {
              const float expected = float(valueOf(blocks[places[2 * r]].first[places[2 * r + 1] * d + c]) * scale), found = target[r * d + c];
              same = same && (std::isnan(expected) ? std::isnan(found) : expected == found);
            }
          require(same, name);
        }
        std::vector<float> target(d);
        for (const auto& [block, row] : {std::pair<uint32_t, uint32_t>{0, 5}, {1, 2}, {2, 0}, {3, 0}, {~0u, ~0u}, {0, ~0u}}) {
          const uint32_t place[] = {block, row};
          require(refusalOf([&] { widenPlaces(one, blocks, place, 1, d, 1, target.data()); }) != "", name + ": a place that is not there");
        }
      }
}

// Nearest, and of two as near the even one.
bool rounds(float number, uint16_t half) {
  if (std::isnan(number)) return std::isnan(valueOf(half));
  if (std::signbit(number) != ((half & 0x8000) != 0)) return false;
  const double size = std::abs(double(number));
  const uint16_t bits = half & 0x7fff;
  // where the one after the largest would be
  if (size >= 65520) return bits == 0x7c00;
  if (bits >= 0x7c00) return false;
  const double below = bits == 0 ? 0 : (valueOf(bits) + valueOf(bits - 1)) / 2, above = bits == 0x7bff ? 65520 : (valueOf(bits) + valueOf(bits + 1)) / 2;
  return size >= below && size <= above && ((size != below && size != above) || bits % 2 == 0 || size == 0);
}

void checkNarrow() {
  Pool one(1), three(3);
  std::mt19937 generator(17);
  struct Rows {
    size_t rows, d;
  };
  for (const auto [rows, d] : {Rows{0, 1}, {1, 1}, {1, 7}, {7, 1}, {3, 8}, {5, 9}, {15, 17}, {4097, 3}, {129, 512}, {2, 65537}, {200, 1001}})
    for (const size_t shift : {0, 1, 3}) {
      const size_t count = rows * d;
      std::vector<float> source(shift + count);
      for (float& number : source) {
        const uint32_t bits = generator() % 4 == 0 ? uint32_t(generator()) : uint32_t(generator() % 0x0f800000u) + 0x38000000u - 0x00800000u;
        std::memcpy(&number, &bits, 4);
      }
      std::vector<uint32_t> places(rows);
      for (size_t r = 0; r < rows; r++) places[r] = uint32_t(r);
      std::shuffle(places.begin(), places.end(), generator);
      for (Pool* pool : {&one, &three}) {
        std::vector<uint16_t> target(shift + count);
        const uint16_t largest = narrowToPlaces(*pool, source.data() + shift, rows, d, places.data(), target.data() + shift, rows);
        uint16_t expected = 0;
        bool right = true;
        for (size_t r = 0; r < rows; r++)
          for (size_t i = 0; i < d; i++) {
            const uint16_t half = target[shift + places[r] * d + i];
            right = right && rounds(source[shift + r * d + i], half);
            expected = std::max<uint16_t>(expected, half & 0x7fff);
          }
        require(right && largest == expected, std::to_string(rows) + " rows of " + std::to_string(d) + " rounded");
        bool refused = rows == 0;
        try {
          narrowToPlaces(*pool, source.data() + shift, rows, d, places.data(), target.data() + shift, rows - 1);
        } catch (const std::invalid_argument&) {
          refused = true;
        }
        require(refused, "a place beyond the target");
      }
    }
}

}  // namespace

int main() {
  if (digests()) {
    checkCrc();
    checkSha();
    checkManyHashes();
    checkRelease();
  }
  if (convertsHalf()) {
    checkWiden();
    checkNarrow();
  }
  std::printf("digests: %s, half precision: %s\n", digests() ? "checked" : "not on this processor", convertsHalf() ? "checked" : "not on this processor");
  std::printf(failures == 0 ? "all right\n" : "%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
