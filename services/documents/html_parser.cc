#include "services/documents/html_parser.h"

#include <gumbo.h>

#include <chrono>
#include <csetjmp>
#include <cstddef>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "services/documents/utf8.h"

namespace lectern::documents {

using Clock = std::chrono::steady_clock;

// All of gumbo's memory. gumbo neither expects an allocation to fail nor offers a way to stop: at a
// limit the allocator leaves the parse by longjmp (only C frames without destructors lie between),
// and everything is freed from a list here. gumbo_destroy_output is never called: it recurses once
// per level of nesting, which a page can drive into the stack's end.
struct HtmlPage::Memory {
  enum class Stop { kNone = 0, kMemory, kTime, kCancelled };
  struct alignas(std::max_align_t) Block {
    Block* previous;
    Block* next;
    size_t size;
  };

  Memory(const HtmlLimits& given, const std::function<bool()>& poll)
      : limits(given),
        cancelled(poll),
        deadline(Clock::now() + std::chrono::seconds(given.seconds)) {}
  ~Memory() {
    while (first != nullptr) Unlink(first);
  }

  void Link(Block* block) {
    block->previous = nullptr;
    block->next = first;
    if (first != nullptr) first->previous = block;
    first = block;
    live_bytes += block->size;
  }
  void Unlink(Block* block) {
    (block->previous != nullptr ? block->previous->next : first) = block->next;
    if (block->next != nullptr) block->next->previous = block->previous;
    live_bytes -= block->size;
    std::free(block);
  }
  // Why to stop before `size` more bytes; asked at every allocation, which every token makes some
  // of.
  Stop Check(size_t size) {
    if (live_bytes + size > static_cast<size_t>(limits.memory_bytes)) return Stop::kMemory;
    if (++allocations % 1024 != 0) return Stop::kNone;
    if (Clock::now() >= deadline) return Stop::kTime;
    return cancelled && cancelled() ? Stop::kCancelled : Stop::kNone;
  }

  const HtmlLimits limits;
  const std::function<bool()> cancelled;
  const Clock::time_point deadline;
  Block* first = nullptr;
  size_t live_bytes = 0;
  uint64_t allocations = 0;
  std::jmp_buf leave;
  GumboOutput* tree = nullptr;

  static void* Allocate(void* userdata, size_t size) {
    auto* memory = static_cast<Memory*>(userdata);
    const size_t total = size + sizeof(Block);
    Stop stop = memory->Check(total);
    void* bytes = stop == Stop::kNone ? std::malloc(total) : nullptr;
    if (bytes == nullptr) {
      if (stop == Stop::kNone) stop = Stop::kMemory;
      std::longjmp(memory->leave, static_cast<int>(stop));
    }
    auto* block = static_cast<Block*>(bytes);
    block->size = total;
    memory->Link(block);
    return block + 1;
  }
  static void Free(void* userdata, void* bytes) {
    if (bytes != nullptr) static_cast<Memory*>(userdata)->Unlink(static_cast<Block*>(bytes) - 1);
  }

  // No object with a destructor may live in this frame.
  Stop Run(const char* source, size_t size) {
    const int stopped = setjmp(leave);
    if (stopped != 0) return static_cast<Stop>(stopped);
    GumboOptions options = kGumboDefaultOptions;
    options.allocator = &Allocate;
    options.deallocator = &Free;
    options.userdata = this;
    options.max_errors = 0;
    tree = gumbo_parse_with_options(&options, source, size);
    return Stop::kNone;
  }
};

namespace {

// A <frameset> makes gumbo destroy the body that it has built, recursively. Pages of frames have no
// text of their own, so the tag is renamed to one that means nothing.
void NeutralizeFramesets(std::string& source) {
  constexpr std::string_view kFrameset = "<frameset";
  constexpr std::string_view kHarmless = "<x-frames";
  static_assert(kFrameset.size() == kHarmless.size());
  for (size_t at = source.find('<'); at != std::string::npos; at = source.find('<', at + 1)) {
    size_t same = 0;
    while (same < kFrameset.size() && at + same < source.size() &&
           AsciiToLower(source[at + same]) == kFrameset[same]) {
      ++same;
    }
    if (same == kFrameset.size()) source.replace(at, same, kHarmless);
  }
}

}  // namespace

HtmlPage::HtmlPage(std::string source, std::unique_ptr<Memory> memory)
    : source_(std::move(source)), memory_(std::move(memory)) {}
HtmlPage::~HtmlPage() = default;

absl::StatusOr<std::unique_ptr<HtmlPage>> HtmlPage::Parse(std::string source,
                                                          const HtmlLimits& limits,
                                                          const std::function<bool()>& cancelled) {
  NeutralizeFramesets(source);
  std::unique_ptr<HtmlPage> page(
      new HtmlPage(std::move(source), std::make_unique<Memory>(limits, cancelled)));
  switch (page->memory_->Run(page->source_.data(), page->source_.size())) {
    case Memory::Stop::kNone:
      break;
    case Memory::Stop::kMemory:
      return absl::InvalidArgumentError(absl::StrCat("the HTML page takes more than ",
                                                     limits.memory_bytes >> 20, " MiB to read"));
    case Memory::Stop::kTime:
      return absl::InvalidArgumentError(
          absl::StrCat("the HTML page takes more than ", limits.seconds, " s to read"));
    case Memory::Stop::kCancelled:
      return absl::CancelledError("reading the HTML page was cancelled");
  }
  page->tree_ = page->memory_->tree;
  return page;
}

}  // namespace lectern::documents
