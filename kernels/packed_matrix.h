#pragma once
// A weight matrix in the order the matrix product reads it, made once at load.
//
// Panels of 16 output columns: float32 panel = [k][16]; bfloat16 panel = [k / 2][16][2], pairs of k
// side by side as vdpbf16ps takes them. Missing columns and a missing last k are zero.

#include <cstdint>

#include "kernels/tensor.h"

namespace lectern::kernels {

inline constexpr int kPanel = 16;

class PackedMatrix {
 public:
  PackedMatrix() = default;
  // `weight` is [n, k] row major. With `bf16` values are rounded to bfloat16 and stored as such.
  static PackedMatrix Pack(MatrixView<const float> weight, bool bf16);

  int64_t n() const { return n_; }
  int64_t k() const { return k_; }
  bool bf16() const { return bf16_; }
  int64_t num_panels() const { return (n_ + kPanel - 1) / kPanel; }
  int64_t padded_k() const { return bf16_ ? (k_ + 1) / 2 * 2 : k_; }
  int64_t panel_bytes() const { return padded_k() * kPanel * (bf16_ ? 2 : 4); }
  const std::byte* panel(int64_t index) const { return data_.data() + index * panel_bytes(); }
  int64_t bytes() const { return num_panels() * panel_bytes(); }

 private:
  int64_t n_ = 0;
  int64_t k_ = 0;
  bool bf16_ = false;
  AlignedBuffer<std::byte> data_;
};

}  // namespace lectern::kernels
