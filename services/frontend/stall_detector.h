#pragma once
// Tells a working engine from one whose step hangs: work is there, and nothing moves.

#include <chrono>
#include <cstdint>

#include "engine/engine.h"

namespace lectern::frontend {

class StallDetector {
 public:
  explicit StallDetector(std::chrono::nanoseconds patience) : patience_(patience) {}

  // Call every second or so. True while requests run and no layer has been executed for `patience`.
  bool Stalled(const EngineStats& stats, std::chrono::nanoseconds now) {
    const int64_t layers = stats.indexer_runs + stats.index_reuses;
    if (stats.requests_running == 0 || layers != layers_ || !since_set_) {
      layers_ = layers;
      since_ = now;
      since_set_ = true;
      return false;
    }
    return now - since_ >= patience_;
  }

 private:
  const std::chrono::nanoseconds patience_;
  int64_t layers_ = -1;
  std::chrono::nanoseconds since_{0};
  bool since_set_ = false;
};

}  // namespace lectern::frontend
