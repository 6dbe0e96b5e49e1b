// Threads that wait between steps. Work is cut into units whose results do not depend on who computes them, so a step
// gives the same bits on any number of threads.
#pragma once
#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace sae {

class Pool {
 public:
  // Throws std::system_error where the machine has no room for so many; those that had started are gone again then.
  explicit Pool(int threads) : threads_(threads) {
    try {
      for (int index = 1; index < threads; index++) workers_.emplace_back([this, index] { serve(index); });
    } catch (...) {
      end();
      throw;
    }
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() { end(); }

  int threads() const { return threads_; }

  // Calls work(unit, thread) for every unit below `units`; returns when all are done. What a call throws, out of memory
  // above all, is thrown here once no thread works any more; units that had not begun are left out then.
  void run(int units, const std::function<void(int, int)>& work) {
    if (threads_ == 1 || units <= 1) {
      for (int unit = 0; unit < units; unit++) work(unit, 0);
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      work_ = &work;
      units_ = units;
      next_ = 0;
      busy_ = threads_ - 1;
      failure_ = nullptr;
      round_++;
    }
    wake_.notify_all();
    drain(0);
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
    if (failure_ != nullptr) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  void serve(int thread) {
    for (unsigned long seen = 0;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return ending_ || round_ != seen; });
        if (ending_) return;
        seen = round_;
      }
      drain(thread);
      std::lock_guard<std::mutex> lock(mutex_);
      if (--busy_ == 0) done_.notify_one();
    }
  }

  void drain(int thread) {
    try {
      for (int unit; (unit = next_.fetch_add(1)) < units_;) (*work_)(unit, thread);
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex_);
      failure_ = std::current_exception();
      next_ = units_;
    }
  }

  void end() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  const int threads_;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(int, int)>* work_ = nullptr;
  std::atomic<int> next_{0};
  int units_ = 0;
  int busy_ = 0;
  unsigned long round_ = 0;
  std::exception_ptr failure_;
  bool ending_ = false;
};

}  // namespace sae
