#pragma once
// Element types of safetensors files.

#include <cstdint>
#include <optional>
#include <string_view>

namespace lectern::weights {

// Weights are of the first four; the rest occurs beside them and is never widened.
enum class Dtype {
  kF32,
  kBf16,
  kF16,
  kF8E4m3,
  kU8,
  kI32,
  kI64,
  kF64,
  kBool,
  kI8,
  kI16,
  kU16,
  kU32,
  kU64,
  kF8E5m2,
  kF8E8m0,
};

// Bytes of one element.
int DtypeBytes(Dtype dtype);
// The name in a safetensors header: "F32", "BF16", "F8_E4M3"...
std::string_view DtypeName(Dtype dtype);
// nullopt: a name the format does not have, or one whose elements are not whole bytes.
std::optional<Dtype> ParseDtype(std::string_view name);
// Whether Checkpoint::ReadFloat takes it: F32, BF16, F16 or F8_E4M3.
bool IsWeightDtype(Dtype dtype);

}  // namespace lectern::weights
