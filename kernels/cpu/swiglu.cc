#include "kernels/cpu/swiglu.h"

#include "kernels/cpu/ops.h"
#include "kernels/cpu/simd.h"

namespace lectern::kernels::cpu {
namespace {

// `width` is rounded up to lanes through a padded copy at the end, so that an element's bits do not
// depend on where the row ends.
template <int kLanes>
LECTERN_INLINE void Row(const float* gate, const float* up, float* out, int64_t width) {
  using F32 = typename Lanes<kLanes>::F32;
  for (int64_t i = 0; i < width; i += kLanes) {
    const int64_t count = width - i < kLanes ? width - i : kLanes;
    F32 g = {}, u = {};
    if (count == kLanes) {
      LoadVector(g, gate + i);
      LoadVector(u, up + i);
    } else {
      std::memcpy(&g, gate + i, static_cast<size_t>(count) * sizeof(float));
      std::memcpy(&u, up + i, static_cast<size_t>(count) * sizeof(float));
    }
    F32 e = -g;
    ExpVector<kLanes>(e);
    const F32 result = g / (e + 1.0F) * u;
    if (count == kLanes) {
      StoreVector(out + i, result);
    } else {
      std::memcpy(out + i, &result, static_cast<size_t>(count) * sizeof(float));
    }
  }
}

void RowGeneric(const float* gate, const float* up, float* out, int64_t width) {
  Row<4>(gate, up, out, width);
}
LECTERN_TARGET_AVX2 void RowAvx2(const float* gate, const float* up, float* out, int64_t width) {
  Row<8>(gate, up, out, width);
}
LECTERN_TARGET_AVX512 void RowAvx512(const float* gate, const float* up, float* out,
                                     int64_t width) {
  Row<16>(gate, up, out, width);
}

}  // namespace

void SwigluRows(MatrixView<const float> x, MatrixView<float> out, int64_t begin, int64_t end,
                Isa isa) {
  const auto run = isa >= Isa::kAvx512 ? RowAvx512 : isa == Isa::kAvx2 ? RowAvx2 : RowGeneric;
  for (int64_t r = begin; r < end; ++r) run(x.row(r), x.row(r) + out.cols, out.row(r), out.cols);
}

void Swiglu(const SwigluArgs& args, Stream& stream) {
  stream.pool().ParallelFor(args.x.rows, 1, [&](int64_t begin, int64_t end, int) {
    SwigluRows(args.x, args.out, begin, end, stream.isa());
  });
}

}  // namespace lectern::kernels::cpu
