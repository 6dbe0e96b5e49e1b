// Threads that wait between steps. Work is cut into units whose results do not depend on who computes them, so a step
// gives the same bits on any number of threads.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace sae {

class Pool {
 public:
  explicit Pool(int threads) : threads_(threads) {
    // Never joined: they wait for work until the process ends.
    for (int index = 1; index < threads; index++) std::thread([this, index] { serve(index); }).detach();
  }

  int threads() const { return threads_; }

  // Calls work(unit, thread) for every unit below `units`; returns when all are done.
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
      round_++;
    }
    wake_.notify_all();
    drain(0);
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void serve(int thread) {
    for (unsigned long seen = 0;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return round_ != seen; });
        seen = round_;
      }
      drain(thread);
      std::lock_guard<std::mutex> lock(mutex_);
      if (--busy_ == 0) done_.notify_one();
    }
  }

  void drain(int thread) {
    for (int unit; (unit = next_.fetch_add(1)) < units_;) (*work_)(unit, thread);
  }

  const int threads_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(int, int)>* work_ = nullptr;
  std::atomic<int> next_{0};
  int units_ = 0;
  int busy_ = 0;
  unsigned long round_ = 0;
};

}  // namespace sae
