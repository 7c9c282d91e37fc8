#include "engine/weights/dtype.h"

#include "engine/base/check.h"

namespace lectern::weights {
namespace {

struct DtypeRow {
  Dtype dtype;
  std::string_view name;
  int bytes;
};

// In the order of the enum, which DtypeName and DtypeBytes rely on.
constexpr DtypeRow kRows[] = {
    {Dtype::kF32, "F32", 4},        {Dtype::kBf16, "BF16", 2}, {Dtype::kF16, "F16", 2},
    {Dtype::kF8E4m3, "F8_E4M3", 1}, {Dtype::kU8, "U8", 1},     {Dtype::kI32, "I32", 4},
    {Dtype::kI64, "I64", 8},        {Dtype::kF64, "F64", 8},   {Dtype::kBool, "BOOL", 1},
    {Dtype::kI8, "I8", 1},          {Dtype::kI16, "I16", 2},   {Dtype::kU16, "U16", 2},
    {Dtype::kU32, "U32", 4},        {Dtype::kU64, "U64", 8},   {Dtype::kF8E5m2, "F8_E5M2", 1},
    {Dtype::kF8E8m0, "F8_E8M0", 1},
};

const DtypeRow& RowOf(Dtype dtype) {
  const DtypeRow& row = kRows[static_cast<size_t>(dtype)];
  LECTERN_CHECK(row.dtype == dtype);
  return row;
}

}  // namespace

int DtypeBytes(Dtype dtype) { return RowOf(dtype).bytes; }

std::string_view DtypeName(Dtype dtype) { return RowOf(dtype).name; }

std::optional<Dtype> ParseDtype(std::string_view name) {
  for (const DtypeRow& row : kRows) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

bool IsWeightDtype(Dtype dtype) {
  return dtype == Dtype::kF32 || dtype == Dtype::kBf16 || dtype == Dtype::kF16 ||
         dtype == Dtype::kF8E4m3;
}

}  // namespace lectern::weights
