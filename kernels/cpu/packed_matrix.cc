#include "kernels/packed_matrix.h"

namespace lectern::kernels {

PackedMatrix PackedMatrix::Pack(MatrixView<const float> weight, bool bf16) {
  PackedMatrix out;
  out.n_ = weight.rows;
  out.k_ = weight.cols;
  out.bf16_ = bf16;
  out.data_ = AlignedBuffer<std::byte>(out.bytes());
  for (int64_t n = 0; n < out.n_; ++n) {
    std::byte* panel = out.data_.data() + n / kPanel * out.panel_bytes();
    const int64_t lane = n % kPanel;
    const float* row = weight.row(n);
    for (int64_t k = 0; k < out.k_; ++k) {
      if (bf16) {
        reinterpret_cast<Bf16*>(panel)[(k / 2 * kPanel + lane) * 2 + k % 2] = ToBf16(row[k]);
      } else {
        reinterpret_cast<float*>(panel)[k * kPanel + lane] = row[k];
      }
    }
  }
  return out;
}

}  // namespace lectern::kernels
