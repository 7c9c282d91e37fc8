#include "services/common/health_state.h"

#include <algorithm>

namespace lectern::common {

void HealthState::Listen(Listener listener) {
  const std::lock_guard lock(mutex_);
  for (const auto& [service, serving] : serving_) listener(service, serving);
  listeners_.push_back(std::move(listener));
}

void HealthState::Set(std::string_view service, bool serving) {
  const std::lock_guard lock(mutex_);
  const bool value = serving && !draining_;
  const auto [entry, is_new] = serving_.try_emplace(std::string(service), value);
  if (!is_new && entry->second == value) return;
  entry->second = value;
  for (const auto& listener : listeners_) listener(entry->first, value);
}

void HealthState::Drain() {
  const std::lock_guard lock(mutex_);
  draining_ = true;
  for (auto& [service, serving] : serving_) {
    serving = false;
    for (const auto& listener : listeners_) listener(service, false);
  }
}

bool HealthState::draining() const {
  const std::lock_guard lock(mutex_);
  return draining_;
}

bool HealthState::AllServing() const {
  const std::lock_guard lock(mutex_);
  return !serving_.empty() &&
         std::all_of(serving_.begin(), serving_.end(), [](const auto& s) { return s.second; });
}

std::vector<std::string> HealthState::NotServing() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [service, serving] : serving_) {
    if (!serving) names.push_back(service);
  }
  return names;
}

}  // namespace lectern::common
