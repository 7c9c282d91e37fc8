#pragma once
// Errors for the parts that stand on the standard library alone (scheduler, page accounting, prefix
// index), so that ThreadSanitizer and the simulator can run them. status.h converts at the border.

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace lectern::base {

// Values equal to the canonical gRPC and Abseil codes.
enum class Code : int {
  kOk = 0,
  kCancelled = 1,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
};

struct Error {
  Code code = Code::kInternal;
  std::string message;
};

// A value or an Error. Dereferencing an error is a programming fault (std::get throws).
template <typename T>
class Expected {
 public:
  Expected(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Expected(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit
  bool ok() const { return state_.index() == 0; }
  const Error& error() const { return std::get<1>(state_); }
  T& value() { return std::get<0>(state_); }
  const T& value() const { return std::get<0>(state_); }
  T& operator*() { return value(); }
  T* operator->() { return &value(); }

 private:
  std::variant<T, Error> state_;
};

}  // namespace lectern::base
