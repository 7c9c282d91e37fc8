#pragma once
// What the front end alone can measure of an answer: from arrival to first token and to the end.
// Tokens, finish reasons and the phases in between are counted by the engine.

#include <string_view>

#include "engine/base/metrics.h"
#include "lectern/v1/resources.pb.h"

namespace lectern::frontend {

struct EndedAnswer {
  const v1::Usage& usage;
  bool has_first_token = false;  // in this process, so that its time is a time to first token
  double e2e_seconds = 0;
};

void RecordAnswer(base::Metrics& metrics, std::string_view model, const EndedAnswer& answer);

// "miss", "device", "disk" …: the coldest tier used, where tiers gave at least half of the prompt.
// A page of system text found in memory does not make a cold 20K-token prompt a hit.
std::string_view CacheClass(const v1::Usage& usage);

}  // namespace lectern::frontend
