#pragma once
// The seam for time: real in processes, manual in tests.

#include <chrono>
#include <cstdint>

namespace lectern::base {

class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic, for durations.
  virtual std::chrono::nanoseconds Now() const = 0;
  // Wall clock, nanoseconds since the Unix epoch, for what people read.
  virtual std::chrono::nanoseconds WallNow() const = 0;
};

// The machine's clock; lives for the whole process.
const Clock& SystemClock();

// Seconds as a double, for metrics and reports.
inline double Seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

class ManualClock final : public Clock {
 public:
  std::chrono::nanoseconds Now() const override { return now_; }
  std::chrono::nanoseconds WallNow() const override { return now_; }
  void Advance(std::chrono::nanoseconds by) { now_ += by; }

 private:
  std::chrono::nanoseconds now_{0};
};

}  // namespace lectern::base
