#include "engine/base/clock.h"

namespace lectern::base {
namespace {

class RealClock final : public Clock {
 public:
  std::chrono::nanoseconds Now() const override {
    return std::chrono::steady_clock::now().time_since_epoch();
  }
  std::chrono::nanoseconds WallNow() const override {
    return std::chrono::system_clock::now().time_since_epoch();
  }
};

}  // namespace

const Clock& SystemClock() {
  static const RealClock clock;
  return clock;
}

}  // namespace lectern::base
