#pragma once
// gumbo made safe for hostile pages: bounded memory, bounded time, and no recursion over the depth
// of the page.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

struct GumboInternalOutput;

namespace lectern::documents {

struct HtmlLimits {
  int64_t memory_bytes = 1LL << 30;
  int seconds = 60;
};

// A parsed page. Owns the source that its nodes point into.
class HtmlPage {
 public:
  // `source`: valid UTF-8. InvalidArgument: beyond the limits. Cancelled.
  static absl::StatusOr<std::unique_ptr<HtmlPage>> Parse(std::string source,
                                                         const HtmlLimits& limits,
                                                         const std::function<bool()>& cancelled);
  ~HtmlPage();
  HtmlPage(const HtmlPage&) = delete;
  HtmlPage& operator=(const HtmlPage&) = delete;

  const GumboInternalOutput& tree() const { return *tree_; }

 private:
  struct Memory;
  HtmlPage(std::string source, std::unique_ptr<Memory> memory);

  std::string source_;
  std::unique_ptr<Memory> memory_;
  const GumboInternalOutput* tree_ = nullptr;
};

}  // namespace lectern::documents
