#include "kernels/stream.h"

namespace lectern::kernels {

Stream::Stream(int num_threads, cpu::Isa isa) : pool_(num_threads), isa_(isa) {
  scratch_.resize(static_cast<size_t>(pool_.size()));
}

std::byte* Stream::Scratch(int thread, int64_t bytes) {
  AlignedBuffer<std::byte>& buffer = scratch_[static_cast<size_t>(thread)];
  if (buffer.size() < bytes) buffer = AlignedBuffer<std::byte>(bytes + bytes / 2);
  return buffer.data();
}

MatrixView<float> Stream::Shared(int64_t rows, int64_t cols) {
  if (shared_.size() < rows * cols) shared_ = AlignedBuffer<float>(rows * cols + rows * cols / 2);
  return {shared_.data(), rows, cols, cols};
}

}  // namespace lectern::kernels
