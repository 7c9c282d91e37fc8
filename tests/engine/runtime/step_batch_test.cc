#include "engine/runtime/step_batch.h"

#include <gtest/gtest.h>

#include <vector>

namespace lectern::runtime {
namespace {

using testing::Test;

cache::KvLayout TinyLayout() {
  cache::KvLayout layout;
  layout.num_layers = 1;
  layout.latent_row = 1;
  return layout;
}

template <typename T>
std::vector<T> ToVector(std::span<const T> span) {
  return {span.begin(), span.end()};
}

class StepBatchTest : public Test {
 protected:
  StepBatchTest() : pool_(std::move(*cache::BlockPool::Create(TinyLayout(), 8))) {}

  Sequence Make(int prompt, int generated, int computed) {
    Sequence sequence;
    for (int i = 0; i < prompt + generated; ++i) sequence.tokens.push_back(100 + i);
    sequence.request.prompt.assign(sequence.tokens.begin(), sequence.tokens.begin() + prompt);
    sequence.computed = computed;
    sequence.request.record_selections = true;
    auto reservation = pool_->Reserve((prompt + generated + 63) / 64);
    while (reservation->remaining() > 0) sequence.pages.push_back(pool_->Allocate(*reservation));
    return sequence;
  }

  std::unique_ptr<cache::BlockPool> pool_;
};

TEST_F(StepBatchTest, LaysOutADecodeBesideAChunkOfAPrefill) {
  Sequence decode = Make(3, 2, 4);
  Sequence prefill = Make(100, 0, 64);
  StepBatch batch;
  batch.Add(decode, 1);
  batch.Add(prefill, 3);
  const model::StepInput input = batch.Input(pool_->view());
  EXPECT_EQ(ToVector(input.token_ids), (std::vector<int32_t>{104, 164, 165, 166}));
  EXPECT_EQ(ToVector(input.positions), (std::vector<int32_t>{4, 64, 65, 66}));
  EXPECT_EQ(ToVector(input.cu_seqlens_q), (std::vector<int32_t>{0, 1, 4}));
  EXPECT_EQ(ToVector(input.kv_len), (std::vector<int32_t>{5, 67}));
  EXPECT_EQ(input.max_blocks, 2);
  EXPECT_EQ(ToVector(input.block_tables),
            (std::vector<int32_t>{decode.pages[0].id(), -1, prefill.pages[0].id(),
                                  prefill.pages[1].id()}));
  EXPECT_EQ(ToVector(input.logit_rows), std::vector<int32_t>{0});
  EXPECT_EQ(ToVector(input.selection_rows), std::vector<int32_t>{0});
  EXPECT_EQ(batch.parts()[0].logit_row, 0);
  EXPECT_EQ(batch.parts()[1].logit_row, -1);
}

TEST_F(StepBatchTest, TheLastChunkAsksForLogitsAndForRowsThatWriteTheAnswer) {
  Sequence resumed = Make(4, 3, 1);
  StepBatch batch;
  batch.Add(resumed, 6);
  const model::StepInput input = batch.Input(pool_->view());
  EXPECT_EQ(ToVector(input.logit_rows), std::vector<int32_t>{5});
  EXPECT_EQ(ToVector(input.selection_rows), (std::vector<int32_t>{2, 3, 4, 5}));  // positions 3…6
  EXPECT_EQ(batch.parts()[0].num_selections, 4);
}

TEST_F(StepBatchTest, ClearedBatchesStartAnew) {
  Sequence sequence = Make(5, 0, 0);
  StepBatch batch;
  batch.Add(sequence, 5);
  batch.Clear();
  EXPECT_TRUE(batch.parts().empty());
  batch.Add(sequence, 2);
  const model::StepInput input = batch.Input(pool_->view());
  EXPECT_EQ(ToVector(input.cu_seqlens_q), (std::vector<int32_t>{0, 2}));
  EXPECT_TRUE(input.logit_rows.empty());
}

}  // namespace
}  // namespace lectern::runtime
