#pragma once

#include <google/protobuf/timestamp.pb.h>

#include "engine/base/clock.h"

namespace lectern::frontend {

inline google::protobuf::Timestamp WallTimestamp(const base::Clock& clock) {
  constexpr int64_t kNanosPerSecond = 1'000'000'000;
  const int64_t now = clock.WallNow().count();
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(now / kNanosPerSecond);
  timestamp.set_nanos(static_cast<int32_t>(now % kNanosPerSecond));
  return timestamp;
}

}  // namespace lectern::frontend
