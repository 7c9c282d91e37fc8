#pragma once
// Views and buffers that operators take. A view never owns; strides are in elements.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace lectern::kernels {

// Tokens in a KV page; engine/cache/kv_layout.h has the same number.
inline constexpr int kPageSize = 64;

// Upper half of a float32, rounded to nearest even.
struct Bf16 {
  uint16_t bits = 0;
};

inline float ToFloat(Bf16 value) {
  const uint32_t wide = uint32_t{value.bits} << 16;
  float out;
  std::memcpy(&out, &wide, sizeof(out));
  return out;
}

inline Bf16 ToBf16(float value) {
  uint32_t wide;
  std::memcpy(&wide, &value, sizeof(wide));
  if ((wide & 0x7fffffffU) > 0x7f800000U) {  // NaN: keep it one, rounding could make it infinite
    return {static_cast<uint16_t>((wide >> 16) | 0x40U)};
  }
  return {static_cast<uint16_t>((wide + 0x7fffU + ((wide >> 16) & 1U)) >> 16)};
}

// Row-major matrix; `stride` elements from one row to the next.
template <typename T>
struct MatrixView {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  T* row(int64_t index) const { return data + index * stride; }
  // Columns [first, first + count) of every row.
  MatrixView<T> columns(int64_t first, int64_t count) const {
    return {data + first, rows, count, stride};
  }
  MatrixView<T> first_rows(int64_t count) const { return {data, count, cols, stride}; }
  operator MatrixView<const T>() const  // NOLINT: a view of const is a harmless narrowing
      requires(!std::is_const_v<T>) {
    return {data, rows, cols, stride};
  }
};

// Cache-line aligned, zeroed memory for `size` values of a trivial type.
template <typename T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(int64_t size) : size_(size) {
    const size_t bytes = (static_cast<size_t>(size) * sizeof(T) + 127) / 64 * 64;
    data_.reset(static_cast<T*>(::operator new (bytes, std::align_val_t{64})));
    std::memset(static_cast<void*>(data_.get()), 0, bytes);
  }
  T* data() const { return data_.get(); }
  int64_t size() const { return size_; }

 private:
  struct Free {
    void operator()(T* pointer) const { ::operator delete (pointer, std::align_val_t{64}); }
  };
  std::unique_ptr<T, Free> data_;
  int64_t size_ = 0;
};

}  // namespace lectern::kernels
