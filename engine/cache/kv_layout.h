#pragma once
// Bytes of one KV page, the same in memory and in every tier.
//
//   page = latent segment | index segment
//   latent segment = for each layer:        [page_size][latent_row]  (kv latent after its norm, then
//                                                                     k_pe after rotation)
//   index segment  = for each *Full* layer: [page_size][index_row]   (indexer key after rotation)
//
// Rows are of element type `dtype`; Shared layers own no bytes of the index segment. How a layer's index rows lie
// within their [page_size][index_row] elements is the backend's matter (kernels/ops.h) and part of
// numerics_id; whoever moves or stores pages treats them as bytes.

#include <cstddef>
#include <cstdint>

namespace lectern::cache {

inline constexpr int kPageSize = 64;  // tokens

enum class KvDtype { kFloat32, kBfloat16 };
inline constexpr int KvDtypeBytes(KvDtype dtype) { return dtype == KvDtype::kFloat32 ? 4 : 2; }

struct KvLayout {
  KvDtype dtype = KvDtype::kBfloat16;
  int num_layers = 0;
  int num_full_layers = 0;
  int latent_row = 0;  // elements: kv_lora_rank + qk_rope_head_dim
  int index_row = 0;   // elements: index_head_dim

  int64_t latent_layer_bytes() const {
    return int64_t{kPageSize} * latent_row * KvDtypeBytes(dtype);
  }
  int64_t index_layer_bytes() const { return int64_t{kPageSize} * index_row * KvDtypeBytes(dtype); }
  int64_t latent_bytes() const { return num_layers * latent_layer_bytes(); }
  int64_t index_bytes() const { return num_full_layers * index_layer_bytes(); }
  int64_t page_bytes() const { return latent_bytes() + index_bytes(); }
  int64_t latent_offset(int layer) const { return layer * latent_layer_bytes(); }
  int64_t index_offset(int full_index) const {
    return latent_bytes() + full_index * index_layer_bytes();
  }
};

// All pages of an engine, one allocation carved at start: page p begins at base + p * page_bytes().
// A view: owned by the block pool.
struct KvPagesView {
  std::byte* base = nullptr;
  KvLayout layout;
  std::byte* page(int32_t id) const { return base + int64_t{id} * layout.page_bytes(); }
};

}  // namespace lectern::cache
