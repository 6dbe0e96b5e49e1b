// A SHA-256 that takes its pieces on another thread, without Node, so that native/check.sh can run it under sanitizers:
// the owner asks and is answered on one thread, and only `run` is on another. Whoever lets go first, the memory stays until
// the last piece is in.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>
#include "digest.h"

namespace sae {

class Hashing {
 public:
  using Pieces = std::vector<std::pair<const uint8_t*, size_t>>;

  // Pieces on their way through a hash: made and ended on the owner's thread, run on any, once.
  class Job {
   public:
    Job(std::shared_ptr<Hashing> hashing, Pieces pieces) : hashing_(std::move(hashing)), pieces_(std::move(pieces)) {
      hashing_->requireIdle();
      hashing_->busy_ = true;
    }
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;
    // Also of a job that never ran: the hash is free again.
    ~Job() { hashing_->busy_ = false; }

    void run() {
      for (const auto& [bytes, count] : pieces_) hashing_->sha256_.update(bytes, count);
    }

   private:
    std::shared_ptr<Hashing> hashing_;
    Pieces pieces_;
  };

  // The 32 bytes.
  void finish(uint8_t* target) {
    requireIdle();
    sha256_.finish(target);
    finished_ = true;
  }

 private:
  void requireIdle() const {
    if (busy_ || finished_) throw std::invalid_argument(busy_ ? "the hash is busy" : "the hash is finished");
  }

  Sha256 sha256_;
  bool busy_ = false, finished_ = false;
};

}  // namespace sae
