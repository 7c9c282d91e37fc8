#include "engine/scheduler/waiting_queue.h"

#include <iterator>
#include <vector>

#include "engine/base/check.h"

namespace lectern::scheduler {

void WaitingQueue::Push(SequenceId id, int priority) {
  LECTERN_CHECK(!Contains(id));
  // From the back: equal priorities keep their order of arrival, and usually nothing moves.
  auto place = entries_.end();
  while (place != entries_.begin() && std::prev(place)->priority < priority) --place;
  places_[id] = entries_.insert(place, {id, priority, 0});
}

bool WaitingQueue::Erase(SequenceId id) {
  const auto found = places_.find(id);
  if (found == places_.end()) return false;
  entries_.erase(found->second);
  places_.erase(found);
  return true;
}

void WaitingQueue::Admit(int slots, const std::function<Admission(SequenceId)>& try_admit) {
  std::vector<Entry*> passed;  // had no room and stand before the one that is offered now
  for (auto entry = entries_.begin(); entry != entries_.end() && slots > 0;) {
    switch (try_admit(entry->id)) {
      case Admission::kAdmitted:
        for (Entry* one : passed) ++one->overtaken;
        places_.erase(entry->id);
        entry = entries_.erase(entry);
        --slots;
        break;
      case Admission::kNoRoom:
        passed.push_back(&*entry);
        ++entry;
        break;
      case Admission::kDeferred:
        ++entry;
        break;
    }
    for (const Entry* one : passed) {
      if (one->overtaken >= max_overtaken_) return;
    }
  }
}

}  // namespace lectern::scheduler
