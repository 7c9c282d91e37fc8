#include "services/frontend/pages.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "services/common/error_details.h"
#include "services/frontend/request_checks.h"
#include "services/frontend/resource_names.h"

namespace lectern::frontend {
namespace {

// Long records make short pages: a reply stays below what clients accept by default (4 MiB).
constexpr size_t kPageBytesMax = 2 << 20;

}  // namespace

absl::StatusOr<std::string> ReadPage(const state::StateStore& store, const PageRequest& request,
                                     const std::function<bool(std::string_view value)>& take) {
  RETURN_IF_ERROR(CheckPageSize(request.page_size));
  const int asked = request.page_size == 0 ? kPageSizeDefault : request.page_size;
  const int limit = std::min(asked, kPageSizeMax);
  std::string begin = request.prefix;
  if (!request.page_token.empty()) {
    const auto last = ParsePageToken(request.page_token);
    if (!last) return common::InvalidField("page_token", "is not one that this service gave");
    begin = absl::StrCat(request.prefix, *last, std::string(1, '\0'));
  }
  int taken = 0;
  size_t bytes = 0;
  std::string last_key;
  bool more = false;
  bool damaged = false;
  RETURN_IF_ERROR(store.Scan(
      begin, state::PrefixEnd(request.prefix), [&](std::string_view key, std::string_view value) {
        if (taken == limit || (taken > 0 && bytes + value.size() > kPageBytesMax)) {
          more = true;
          return false;
        }
        damaged = !take(value);
        last_key = std::string(key.substr(request.prefix.size()));
        ++taken;
        bytes += value.size();
        return !damaged;
      }));
  if (damaged) {
    return absl::DataLossError(absl::StrCat("damaged record ", request.prefix, last_key));
  }
  return more ? MakePageToken(last_key) : std::string();
}

}  // namespace lectern::frontend
