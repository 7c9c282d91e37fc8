#pragma once
// One page of a list over the ordered state store.

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "services/state/state_store.h"

namespace lectern::frontend {

struct PageRequest {
  std::string prefix;  // keys of the list begin so
  int page_size = 0;
  std::string_view page_token;
};

// Calls `take` for each record of the page (at most page_size, and 2 MiB or one record); returns
// the token of the next page, empty at the end. InvalidArgument: page_size or page_token. DataLoss
// where `take` returns false.
absl::StatusOr<std::string> ReadPage(const state::StateStore& store, const PageRequest& request,
                                     const std::function<bool(std::string_view value)>& take);

}  // namespace lectern::frontend
