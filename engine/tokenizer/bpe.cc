#include "engine/tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <queue>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "engine/base/status.h"

namespace lectern::tokenizer {
namespace {

constexpr uint32_t kNoRank = std::numeric_limits<uint32_t>::max();

// Up to this length a scan over all pairs beats a queue; words of natural text are shorter.
constexpr size_t kShortWord = 48;

struct Merge {
  uint32_t rank = kNoRank;
  int32_t result = -1;
};

// (left, right) -> merge; open addressing, at most half full, read-only after construction. Two
// thirds of encoding is lookups here that find nothing, so that a probe must touch one cache line.
class MergeTable {
 public:
  explicit MergeTable(const std::vector<MergeRule>& rules)
      : slots_(std::bit_ceil(2 * rules.size() + 2)), shift_(64 - std::countr_zero(slots_.size())) {
    for (size_t rank = 0; rank < rules.size(); ++rank) {
      Slot& slot = SlotOf(Key(rules[rank].left, rules[rank].right));
      slot.key = Key(rules[rank].left, rules[rank].right);
      slot.merge = {static_cast<uint32_t>(rank), rules[rank].result};
    }
  }

  Merge Find(int32_t left, int32_t right) const {
    return const_cast<MergeTable*>(this)->SlotOf(Key(left, right)).merge;
  }

 private:
  // Ids are not negative, so that no pair has this key.
  static constexpr uint64_t kEmpty = std::numeric_limits<uint64_t>::max();
  struct Slot {
    uint64_t key = kEmpty;
    Merge merge;
  };

  static uint64_t Key(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }

  // The slot that holds `key`, or the empty one where it would go.
  Slot& SlotOf(uint64_t key) {
    uint64_t hash = key * 0x9E3779B97F4A7C15ULL;
    hash ^= hash >> 29;
    hash *= 0xBF58476D1CE4E5B9ULL;
    size_t index = hash >> shift_;
    while (slots_[index].key != key && slots_[index].key != kEmpty) {
      index = (index + 1) & (slots_.size() - 1);
    }
    return slots_[index];
  }

  std::vector<Slot> slots_;
  int shift_;
};

}  // namespace

struct Bpe::Impl {
  explicit Impl(const BpeSpec& spec)
      : merges(spec.merges),
        byte_ids(spec.byte_ids),
        unknown_id(spec.unknown_id),
        fuse_unknown(spec.fuse_unknown) {
    if (!spec.ignore_merges) return;
    for (size_t id = 0; id < spec.token_bytes.size(); ++id) {
      if (!spec.token_bytes[id].empty()) {
        whole_words.emplace(spec.token_bytes[id], static_cast<int32_t>(id));
      }
    }
    for (const int32_t id : spec.never_whole) {
      const size_t index = static_cast<size_t>(id);
      if (index < spec.token_bytes.size()) whole_words.erase(spec.token_bytes[index]);
    }
  }

  void AppendBytes(std::string_view word, std::vector<int32_t>& ids) const;
  void MergeShort(int32_t* symbols, size_t& count) const;
  void MergeLong(std::vector<int32_t>& symbols) const;

  MergeTable merges;
  std::array<int32_t, 256> byte_ids;
  std::optional<int32_t> unknown_id;
  bool fuse_unknown;
  absl::flat_hash_map<std::string, int32_t> whole_words;  // empty unless merges are ignored
};

void Bpe::Impl::AppendBytes(std::string_view word, std::vector<int32_t>& ids) const {
  bool after_unknown = false;
  for (const char c : word) {
    const int32_t id = byte_ids[static_cast<uint8_t>(c)];
    if (id >= 0) {
      ids.push_back(id);
    } else if (unknown_id.has_value() && !(fuse_unknown && after_unknown)) {
      ids.push_back(*unknown_id);
    }
    after_unknown = id < 0;
  }
}

void Bpe::Impl::MergeShort(int32_t* symbols, size_t& count) const {
  Merge next[kShortWord];  // next[i]: the merge of symbols i and i + 1
  for (size_t i = 0; i + 1 < count; ++i) next[i] = merges.Find(symbols[i], symbols[i + 1]);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (next[i].rank < next[best].rank) best = i;
    }
    if (next[best].rank == kNoRank) return;
    symbols[best] = next[best].result;
    std::copy(symbols + best + 2, symbols + count, symbols + best + 1);
    if (best + 2 < count) std::copy(next + best + 2, next + count - 1, next + best + 1);
    --count;
    if (best > 0) next[best - 1] = merges.Find(symbols[best - 1], symbols[best]);
    if (best + 1 < count) next[best] = merges.Find(symbols[best], symbols[best + 1]);
  }
}

void Bpe::Impl::MergeLong(std::vector<int32_t>& symbols) const {
  constexpr size_t kEnd = std::numeric_limits<size_t>::max();
  struct Node {
    size_t previous;
    size_t next;
  };
  struct Candidate {
    uint32_t rank;
    size_t left;
    int32_t left_symbol;  // the candidate is stale if the symbols have changed since
    int32_t right_symbol;
    int32_t result;
    bool operator<(const Candidate& other) const {  // the queue's top is its greatest
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  constexpr int32_t kGone = -1;

  std::vector<Node> nodes(symbols.size());
  std::priority_queue<Candidate> queue;
  const auto consider = [&](size_t left, size_t right) {
    const Merge merge = merges.Find(symbols[left], symbols[right]);
    if (merge.rank == kNoRank) return;
    queue.push({merge.rank, left, symbols[left], symbols[right], merge.result});
  };
  for (size_t i = 0; i < symbols.size(); ++i) {
    nodes[i] = {i == 0 ? kEnd : i - 1, i + 1 == symbols.size() ? kEnd : i + 1};
    if (i + 1 < symbols.size()) consider(i, i + 1);
  }
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    const size_t right = nodes[top.left].next;
    if (symbols[top.left] != top.left_symbol || right == kEnd ||
        symbols[right] != top.right_symbol) {
      continue;
    }
    symbols[top.left] = top.result;
    symbols[right] = kGone;
    nodes[top.left].next = nodes[right].next;
    if (nodes[right].next != kEnd) nodes[nodes[right].next].previous = top.left;
    if (nodes[top.left].previous != kEnd) consider(nodes[top.left].previous, top.left);
    if (nodes[top.left].next != kEnd) consider(top.left, nodes[top.left].next);
  }
  std::erase(symbols, kGone);
}

Bpe::Bpe(const BpeSpec& spec) : impl_(std::make_unique<Impl>(spec)) {}
Bpe::~Bpe() = default;
Bpe::Bpe(Bpe&&) noexcept = default;
Bpe& Bpe::operator=(Bpe&&) noexcept = default;

void Bpe::EncodeWord(std::string_view word, std::vector<int32_t>& ids) const {
  if (!impl_->whole_words.empty()) {
    const auto whole = impl_->whole_words.find(base::ToAbsl(word));
    if (whole != impl_->whole_words.end()) {
      ids.push_back(whole->second);
      return;
    }
  }
  if (word.size() <= kShortWord) {
    const size_t begin = ids.size();
    impl_->AppendBytes(word, ids);
    size_t count = ids.size() - begin;
    impl_->MergeShort(ids.data() + begin, count);
    ids.resize(begin + count);
    return;
  }
  std::vector<int32_t> symbols;
  symbols.reserve(word.size());
  impl_->AppendBytes(word, symbols);
  impl_->MergeLong(symbols);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

}  // namespace lectern::tokenizer
