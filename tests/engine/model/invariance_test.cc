// A row's logits and choices have the same bits whatever the chunk, the batch mates, the page ids
// and who wrote the earlier KV. Hit = miss stands on this.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <numeric>
#include <random>

#include "engine/model/model.h"
#include "kernels/tensor.h"
#include "tests/testing/dummy_checkpoint.h"

namespace lectern::model {
namespace {

using testing::DummyModel;

std::unique_ptr<Model> MakeModel(const DummyModel& shape, config::ComputeDtype dtype, int threads,
                                 const std::string& path = {}) {
  const std::string directory =
      (std::filesystem::temp_directory_path() / ("lectern_invariance_" + std::to_string(getpid())))
          .string();
  EXPECT_TRUE(testing::MakeDummyCheckpoint(directory, shape, 5).ok());
  const auto checkpoint = weights::Checkpoint::Open(directory);
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
  const config::ModelConfig& config = (*checkpoint)->config();
  std::vector<std::string> warnings;
  const auto policy = config::MakeIndexCachePolicy(config.num_hidden_layers, config.index_cache, {},
                                                   (*checkpoint)->LayersWithIndexer(), &warnings);
  EXPECT_TRUE(policy.ok()) << policy.status();
  auto model = CreateCpuModel(
      **checkpoint, *policy,
      {.dtype = dtype, .num_threads = threads, .max_batch_tokens = 1024, .instruction_set = path});
  std::filesystem::remove_all(directory);
  if (!path.empty() && absl::IsInvalidArgument(model.status())) return nullptr;
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

struct Row {
  std::vector<float> logits;
  std::vector<int32_t> choices;  // of every Full layer
  bool operator==(const Row&) const = default;
};

// A pool whose pages are dealt to sequences in random order and never given back.
class Pool {
 public:
  Pool(const Model& model, int64_t num_pages, uint32_t seed)
      : bytes_(num_pages * model.kv_layout().page_bytes()),
        view_{bytes_.data(), model.kv_layout()} {
    free_.resize(static_cast<size_t>(num_pages));
    std::iota(free_.begin(), free_.end(), 0);
    std::mt19937 engine(seed);
    std::shuffle(free_.begin(), free_.end(), engine);
    // What an earlier owner may have left.
    std::fill(bytes_.data(), bytes_.data() + bytes_.size(), std::byte{0x7f});
  }
  int32_t Take() {
    const int32_t page = free_.back();
    free_.pop_back();
    return page;
  }
  cache::KvPagesView view() const { return view_; }

 private:
  kernels::AlignedBuffer<std::byte> bytes_;
  cache::KvPagesView view_;
  std::vector<int32_t> free_;
};

struct Sequence {
  std::vector<int32_t> ids;
  std::vector<int32_t> pages;
  int32_t done = 0;
};

struct Part {
  Sequence* sequence;
  int32_t count;
};

// One step over some sequences; every token's row.
std::vector<Row> Step(Model& model, Pool& pool, const std::vector<Part>& parts,
                      const std::vector<int32_t>* wanted = nullptr) {
  std::vector<int32_t> ids, positions, bounds = {0}, lengths, rows;
  size_t max_blocks = 1;
  for (const auto& [sequence, count] : parts) {
    const int32_t end = sequence->done + count;
    while (static_cast<int32_t>(sequence->pages.size()) * cache::kPageSize < end) {
      sequence->pages.push_back(pool.Take());
    }
    max_blocks = std::max(max_blocks, sequence->pages.size());
    for (int32_t i = sequence->done; i < end; ++i) {
      ids.push_back(sequence->ids[static_cast<size_t>(i)]);
      positions.push_back(i);
      rows.push_back(static_cast<int32_t>(rows.size()));
    }
    bounds.push_back(static_cast<int32_t>(ids.size()));
    lengths.push_back(end);
    sequence->done = end;
  }
  std::vector<int32_t> table(max_blocks * parts.size(), -1);
  for (size_t s = 0; s < parts.size(); ++s) {
    const auto& pages = parts[s].sequence->pages;
    std::copy(pages.begin(), pages.end(),
              table.begin() + static_cast<std::ptrdiff_t>(s * max_blocks));
  }
  if (wanted != nullptr) rows = *wanted;
  StepInput input;
  input.token_ids = ids;
  input.positions = positions;
  input.cu_seqlens_q = bounds;
  input.kv_len = lengths;
  input.block_tables = table;
  input.max_blocks = static_cast<int32_t>(max_blocks);
  input.logit_rows = rows;
  input.selection_rows = rows;
  input.kv = pool.view();
  const auto out = model.Forward(input);
  EXPECT_TRUE(out.ok()) << out.status();
  std::vector<Row> result(rows.size());
  const auto vocab = static_cast<size_t>(model.config().vocab_size);
  const auto topk = static_cast<size_t>(model.config().index_topk);
  for (size_t r = 0; r < rows.size(); ++r) {
    const auto logits = out->logits.subspan(r * vocab, vocab);
    result[r].logits.assign(logits.begin(), logits.end());
    for (const auto layer : out->selections) {
      const auto choice = layer.subspan(r * topk, topk);
      result[r].choices.insert(result[r].choices.end(), choice.begin(), choice.end());
    }
  }
  return result;
}

std::vector<int32_t> RandomIds(int32_t count, int32_t vocab, uint32_t seed) {
  std::mt19937 engine(seed);
  std::vector<int32_t> out;
  for (int32_t i = 0; i < count; ++i) {
    out.push_back(static_cast<int32_t>(engine() % static_cast<uint32_t>(vocab)));
  }
  return out;
}

// The sequence alone, in chunks.
std::vector<Row> Alone(Model& model, const std::vector<int32_t>& ids, int32_t chunk,
                       uint32_t seed) {
  const auto length = static_cast<int32_t>(ids.size());
  Pool pool(model, length / cache::kPageSize + 3, seed);
  Sequence sequence{ids, {}, 0};
  std::vector<Row> out;
  while (sequence.done < length) {
    const auto rows = Step(model, pool, {{&sequence, std::min(chunk, length - sequence.done)}});
    out.insert(out.end(), rows.begin(), rows.end());
  }
  return out;
}

void ExpectSameRows(const std::vector<Row>& actual, const std::vector<Row>& expected,
                    size_t first) {
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(actual[i].choices, expected[first + i].choices) << "position " << first + i;
    ASSERT_EQ(actual[i].logits, expected[first + i].logits) << "position " << first + i;
  }
}

DummyModel MoeShape() {
  DummyModel shape;
  shape.first_k_dense_replace = 1;
  return shape;
}

class InvarianceTest : public ::testing::TestWithParam<config::ComputeDtype> {};

TEST_P(InvarianceTest, ChunksOfASmallMoeModel) {
  const auto model = MakeModel(MoeShape(), GetParam(), 2);
  const auto ids = RandomIds(150, 256, 1);
  const auto whole = Alone(*model, ids, 150, 1);
  for (const int32_t chunk : {1, 3, 16, 64, 128}) {
    SCOPED_TRACE("chunk " + std::to_string(chunk));
    ExpectSameRows(Alone(*model, ids, chunk, static_cast<uint32_t>(chunk)), whole, 0);
  }
}

// Below and above index_topk = 512, at the shape that is served.
TEST_P(InvarianceTest, ChunksOfTheDefaultShape) {
  const auto model = MakeModel(testing::DefaultModelShape(), GetParam(), 2);
  const auto ids = RandomIds(700, 6144, 2);
  const auto whole = Alone(*model, ids, 700, 1);
  ASSERT_NE(whole[690].choices, whole[699].choices);
  for (const int32_t chunk : {3, 64, 512}) {
    SCOPED_TRACE("chunk " + std::to_string(chunk));
    ExpectSameRows(Alone(*model, ids, chunk, static_cast<uint32_t>(chunk)), whole, 0);
  }
}

// Decoding token by token after a prefill by an earlier call, with 0 to 7 mates of other lengths.
TEST_P(InvarianceTest, DecodeOfTheDefaultShapeAmongMates) {
  const auto model = MakeModel(testing::DefaultModelShape(), GetParam(), 2);
  const auto ids = RandomIds(640, 6144, 3);
  const auto whole = Alone(*model, ids, 640, 1);
  for (const int32_t begin : {100, 600}) {
    for (const int mates : {0, 1, 3, 7}) {
      SCOPED_TRACE(std::to_string(mates) + " mates from " + std::to_string(begin));
      Pool pool(*model, 60, static_cast<uint32_t>(mates));
      Sequence sequence{ids, {}, 0};
      Step(*model, pool, {{&sequence, begin}});
      std::vector<Sequence> others;
      for (int m = 0; m < mates; ++m) {
        others.push_back({RandomIds(300, 6144, static_cast<uint32_t>(50 + m)), {}, 0});
      }
      for (int step = 0; step < 8; ++step) {
        std::vector<Part> parts = {{&sequence, 1}};
        for (int m = 0; m < mates; ++m)
          parts.push_back({&others[static_cast<size_t>(m)], 1 + 4 * m});
        std::rotate(parts.begin(), parts.begin() + step % (mates + 1), parts.end());
        const auto rows = Step(*model, pool, parts);
        size_t row = 0;
        for (const Part& part : parts) {
          if (part.sequence == &sequence) break;
          row += static_cast<size_t>(part.count);
        }
        ExpectSameRows({rows[row]}, whole, static_cast<size_t>(begin + step));
      }
    }
  }
}

// Several sequences advance by random amounts in random company; every row equals its solo run.
TEST_P(InvarianceTest, RandomCompany) {
  const auto model = MakeModel(MoeShape(), GetParam(), 3);
  for (uint32_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 engine(seed);
    const size_t num_sequences = 2 + engine() % 6;
    Pool pool(*model, 64, seed);
    std::vector<Sequence> sequences;
    std::vector<std::vector<Row>> solo;
    for (size_t s = 0; s < num_sequences; ++s) {
      const auto length = static_cast<int32_t>(20 + engine() % 180);
      sequences.push_back({RandomIds(length, 256, seed * 100 + static_cast<uint32_t>(s)), {}, 0});
      solo.push_back(Alone(*model, sequences.back().ids, length, seed + 7));
    }
    while (true) {
      std::vector<Part> parts;
      for (Sequence& sequence : sequences) {
        const auto left = static_cast<int32_t>(sequence.ids.size()) - sequence.done;
        if (left == 0 || engine() % 4 == 0) continue;
        const int32_t most = engine() % 2 == 0 ? 1 : 90;
        parts.push_back(
            {&sequence,
             1 + static_cast<int32_t>(engine() % static_cast<uint32_t>(std::min(most, left)))});
      }
      const bool finished = std::all_of(sequences.begin(), sequences.end(), [](const Sequence& s) {
        return s.done == static_cast<int32_t>(s.ids.size());
      });
      if (finished) break;
      if (parts.empty()) continue;
      std::shuffle(parts.begin(), parts.end(), engine);
      std::vector<int32_t> begins;
      for (const Part& part : parts) begins.push_back(part.sequence->done);
      const auto rows = Step(*model, pool, parts);
      size_t row = 0;
      for (size_t p = 0; p < parts.size(); ++p) {
        const auto s = static_cast<size_t>(parts[p].sequence - sequences.data());
        const std::vector<Row> own(
            rows.begin() + static_cast<std::ptrdiff_t>(row),
            rows.begin() + static_cast<std::ptrdiff_t>(row) + parts[p].count);
        ExpectSameRows(own, solo[s], static_cast<size_t>(begins[p]));
        row += own.size();
      }
    }
  }
}

// Rows nobody asks for are dropped before the last layer's attention, Full or Shared; the others
// keep their bits and the cache its rows.
TEST_P(InvarianceTest, RowsAskedForDoNotShow) {
  for (const char* pattern : {"FSFS", "FSSF"}) {
    DummyModel shape = MoeShape();
    shape.index_topk_pattern = pattern;
    const auto model = MakeModel(shape, GetParam(), 2);
    const auto ids = RandomIds(90, 256, 6);
    const auto whole = Alone(*model, ids, 90, 1);
    const std::vector<std::vector<int32_t>> wishes = {{}, {0}, {3, 39}, {39}};
    for (const auto& wanted : wishes) {
      SCOPED_TRACE(std::string(pattern) + ", rows asked for: " + std::to_string(wanted.size()));
      Pool pool(*model, 4, 9);
      Sequence sequence{ids, {}, 0};
      const auto first = Step(*model, pool, {{&sequence, 40}}, &wanted);
      ASSERT_EQ(first.size(), wanted.size());
      for (size_t i = 0; i < wanted.size(); ++i) {
        ExpectSameRows({first[i]}, whole, static_cast<size_t>(wanted[i]));
      }
      ExpectSameRows(Step(*model, pool, {{&sequence, 50}}), whole, 40);
    }
  }
}

// bf16 weights on machines without bf16 products.
TEST(OtherPaths, ChunksDoNotShow) {
  for (const char* path : {"generic", "avx2", "avx512"}) {
    SCOPED_TRACE(path);
    const auto model = MakeModel(MoeShape(), config::ComputeDtype::kBfloat16, 2, path);
    if (model == nullptr) continue;
    EXPECT_NE(model->numerics_id().find(path), std::string::npos);
    const auto ids = RandomIds(150, 256, 1);
    const auto whole = Alone(*model, ids, 150, 1);
    for (const int32_t chunk : {1, 7, 64}) {
      ExpectSameRows(Alone(*model, ids, chunk, static_cast<uint32_t>(chunk)), whole, 0);
    }
  }
}

TEST_P(InvarianceTest, ThreadsDoNotShow) {
  const auto ids = RandomIds(130, 256, 4);
  const auto one = Alone(*MakeModel(MoeShape(), GetParam(), 1), ids, 130, 1);
  const auto four = Alone(*MakeModel(MoeShape(), GetParam(), 4), ids, 130, 1);
  ExpectSameRows(four, one, 0);
}

INSTANTIATE_TEST_SUITE_P(Dtypes, InvarianceTest,
                         ::testing::Values(config::ComputeDtype::kFloat32,
                                           config::ComputeDtype::kBfloat16),
                         [](const auto& info) {
                           return info.param == config::ComputeDtype::kFloat32 ? "float32"
                                                                               : "bfloat16";
                         });

// The serving path computes what the reference computes, but for rounding: logits of a random model
// within a few percent below index_topk, and nearly the same choices by layer 0's indexer above it.
TEST(Bf16Path, StaysNearTheReference) {
  const DummyModel shape = testing::DefaultModelShape();
  const auto reference = MakeModel(shape, config::ComputeDtype::kFloat32, 2);
  const auto fast = MakeModel(shape, config::ComputeDtype::kBfloat16, 2);
  const auto ids = RandomIds(900, 6144, 8);
  const auto exact = Alone(*reference, ids, 512, 1);
  const auto rounded = Alone(*fast, ids, 512, 2);
  double square = 0;
  double difference = 0;
  for (size_t t = 0; t < 512; ++t) {
    for (size_t i = 0; i < exact[t].logits.size(); ++i) {
      square += std::pow(exact[t].logits[i], 2);
      difference += std::pow(exact[t].logits[i] - rounded[t].logits[i], 2);
    }
  }
  EXPECT_LT(std::sqrt(difference / square), 0.05);
  size_t same = 0;
  size_t all = 0;
  for (size_t t = 512; t < 900; ++t) {
    const std::vector<int32_t> a(exact[t].choices.begin(), exact[t].choices.begin() + 512);
    const std::vector<int32_t> b(rounded[t].choices.begin(), rounded[t].choices.begin() + 512);
    std::vector<int32_t> both;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
    same += both.size();
    all += a.size();
  }
  const double overlap = static_cast<double>(same) / static_cast<double>(all);
  EXPECT_GT(overlap, 0.98);
  RecordProperty("relative_rms", std::to_string(std::sqrt(difference / square)));
  RecordProperty("overlap", std::to_string(overlap));
}

// Only Full layers have room for indexer keys.
TEST(KvLayoutOfModel, SharedLayersHoldNoIndexerKeys) {
  const auto model = MakeModel(testing::DefaultModelShape(), config::ComputeDtype::kBfloat16, 1);
  const cache::KvLayout layout = model->kv_layout();
  EXPECT_EQ(layout.num_full_layers, 3);
  EXPECT_EQ(layout.page_bytes(), 64 * 2 * (12 * 144 + 3 * 64));
}

TEST(ForwardArguments, BadStepsAreRefused) {
  const auto model = MakeModel(DummyModel(), config::ComputeDtype::kBfloat16, 1);
  Pool pool(*model, 4, 1);
  const std::vector<int32_t> ids = {1, 2, 3}, positions = {0, 1, 2}, bounds = {0, 3}, lengths = {3},
                             table = {0}, rows = {2};
  StepInput good;
  good.token_ids = ids;
  good.positions = positions;
  good.cu_seqlens_q = bounds;
  good.kv_len = lengths;
  good.block_tables = table;
  good.max_blocks = 1;
  good.logit_rows = rows;
  good.kv = pool.view();
  ASSERT_TRUE(model->Forward(good).ok());
  const auto refused = [&](auto change) {
    StepInput bad = good;
    change(bad);
    return model->Forward(bad).status().code() == absl::StatusCode::kInvalidArgument;
  };
  const std::vector<int32_t> big_id = {1, 2, 256}, negative = {-1, 2, 3}, shifted = {1, 2, 3},
                             long_kv = {65}, row3 = {3}, descending = {1, 0}, no_page = {-1},
                             short_bounds = {0, 2};
  EXPECT_TRUE(refused([&](StepInput& in) { in.token_ids = {}; }));
  EXPECT_TRUE(refused([&](StepInput& in) { in.token_ids = big_id; }));
  EXPECT_TRUE(refused([&](StepInput& in) { in.token_ids = negative; }));
  EXPECT_TRUE(refused([&](StepInput& in) { in.positions = shifted; }));
  EXPECT_TRUE(refused([&](StepInput& in) { in.kv_len = long_kv; }));
  EXPECT_TRUE(refused([&](StepInput& in) { in.logit_rows = row3; }));
  EXPECT_TRUE(refused([&](StepInput& in) { in.selection_rows = descending; }));
  EXPECT_TRUE(refused([&](StepInput& in) { in.block_tables = no_page; }));
  EXPECT_TRUE(refused([&](StepInput& in) { in.cu_seqlens_q = short_bounds; }));
  EXPECT_TRUE(refused([&](StepInput& in) { in.max_blocks = 0; }));
  EXPECT_TRUE(refused([&](StepInput& in) { in.kv.base = nullptr; }));
}

}  // namespace
}  // namespace lectern::model
