#pragma once
// Requests that wait for admission: higher priority first, then first come, first served; with a
// bound on how often one that does not fit yet may be overtaken by others that do.

#include <cstdint>
#include <functional>
#include <list>
#include <unordered_map>

namespace lectern::scheduler {

using SequenceId = uint64_t;

enum class Admission {
  kAdmitted,
  kNoRoom,    // pages are missing: others may overtake it, but not for ever
  kDeferred,  // waits for something that another request is doing; holds up nobody
};

// Not thread safe.
class WaitingQueue {
 public:
  // After `max_overtaken` admissions past one request nobody passes it any more: pages are kept for
  // it until it fits, so a large request cannot be starved by small ones.
  explicit WaitingQueue(int max_overtaken) : max_overtaken_(max_overtaken) {}

  void Push(SequenceId id, int priority);
  bool Erase(SequenceId id);  // false: not waiting
  int64_t size() const { return static_cast<int64_t>(places_.size()); }
  bool Contains(SequenceId id) const { return places_.contains(id); }

  // Offers the waiting ones to `try_admit` in order until `slots` were admitted; admitted ones
  // leave the queue. `try_admit` must not touch the queue.
  void Admit(int slots, const std::function<Admission(SequenceId)>& try_admit);

 private:
  struct Entry {
    SequenceId id = 0;
    int priority = 0;
    int overtaken = 0;
  };
  const int max_overtaken_;
  std::list<Entry> entries_;  // in order
  std::unordered_map<SequenceId, std::list<Entry>::iterator> places_;
};

}  // namespace lectern::scheduler
