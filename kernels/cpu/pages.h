#pragma once
// Addresses inside paged segments.

#include "kernels/ops.h"

namespace lectern::kernels::cpu {

inline int32_t PageOf(const BatchView& batch, int64_t sequence, int64_t position) {
  return batch
      .block_tables[static_cast<size_t>(sequence * batch.max_blocks + position / kPageSize)];
}

inline std::byte* SegmentOf(const PagedSegment& pages, int32_t page) {
  return pages.base + page * pages.page_stride;
}

// Row of one token in a segment of rows (latents).
template <typename T>
T* RowAt(const PagedSegment& pages, int32_t page, int64_t position) {
  return reinterpret_cast<T*>(SegmentOf(pages, page)) + position % kPageSize * pages.row;
}

// Element of an indexer key in a segment stored [row / lane][token][lane].
template <typename T>
T* KeyElementAt(std::byte* segment, int64_t element, int64_t token) {
  constexpr int64_t kLane = 4 / sizeof(T);
  return reinterpret_cast<T*>(segment) + (element / kLane * kPageSize + token) * kLane +
         element % kLane;
}

}  // namespace lectern::kernels::cpu
