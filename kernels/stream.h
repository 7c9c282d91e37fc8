#pragma once
// Where operators run: on the CPU a thread pool, an instruction-set path and each thread's scratch.

#include <memory>
#include <string>
#include <vector>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/tensor.h"

namespace lectern::kernels {

// Not thread safe: one caller.
class Stream {
 public:
  // `num_threads` <= 0: every core. A path above what the machine has must not be asked for.
  explicit Stream(int num_threads, cpu::Isa isa = cpu::DetectIsa());

  cpu::ThreadPool& pool() { return pool_; }
  cpu::Isa isa() const { return isa_; }

  // At least `bytes` of this thread's scratch, 64-byte aligned; what it held is lost when it grows.
  std::byte* Scratch(int thread, int64_t bytes);
  // One matrix that all threads see, valid until the next call.
  MatrixView<float> Shared(int64_t rows, int64_t cols);

 private:
  cpu::ThreadPool pool_;
  cpu::Isa isa_;
  std::vector<AlignedBuffer<std::byte>> scratch_;  // [thread]
  AlignedBuffer<float> shared_;
};

}  // namespace lectern::kernels
