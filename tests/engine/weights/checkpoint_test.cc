#include "engine/weights/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/weights/dequantize.h"
#include "engine/weights/tensor_schema.h"
#include "tests/engine/weights/scratch_directory.h"
#include "tests/engine/weights/tiny_checkpoint.h"

namespace lectern::weights {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kWqB[] = "model.layers.0.self_attn.indexer.wq_b.weight";
constexpr char kGateUp[] = "model.layers.1.mlp.experts.gate_up_proj";
constexpr char kDown[] = "model.layers.1.mlp.experts.down_proj";

class CheckpointTest : public testing::Test {
 protected:
  std::unique_ptr<Checkpoint> Open(const TinyCheckpoint& tiny, int num_shards = 1) {
    tiny.Write(scratch_.path(), num_shards);
    auto checkpoint = Checkpoint::Open(scratch_.path());
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
    return checkpoint.ok() ? *std::move(checkpoint) : nullptr;
  }
  absl::Status OpenStatus() { return Checkpoint::Open(scratch_.path()).status(); }
  absl::Status VerifyStatus(const TinyCheckpoint& tiny) {
    return VerifyCheckpoint(*Open(tiny), {}).status();
  }

  ScratchDirectory scratch_;
};

TEST_F(CheckpointTest, VerifiesAndCounts) {
  const TinyCheckpoint tiny;
  const auto checkpoint = Open(tiny);
  const auto report = VerifyCheckpoint(*checkpoint, {});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->policy.pattern(), "FS");
  EXPECT_EQ(report->num_tensors, std::ssize(tiny.tensors));
  EXPECT_EQ(report->num_unused, 0);
  EXPECT_EQ(report->bytes, 4 * report->num_parameters);
  EXPECT_TRUE(report->warnings.empty());
  EXPECT_THAT(checkpoint->LayersWithIndexer(), ElementsAre(true, false));
  EXPECT_TRUE(checkpoint->Has(kWqB));
  EXPECT_FALSE(checkpoint->Has("model.layers.1.self_attn.indexer.wq_b.weight"));
  EXPECT_EQ(std::ssize(checkpoint->Names()), report->num_tensors);
}

TEST_F(CheckpointTest, ReadFloatChecksNameShapeAndDtype) {
  TinyCheckpoint tiny;
  tiny.tensors["ids"] = {Dtype::kI32, {2}, std::vector<std::byte>(8)};
  const auto checkpoint = Open(tiny);
  const int64_t shape[] = {16, 160};
  const auto embed = checkpoint->ReadFloat("model.embed_tokens.weight", shape);
  ASSERT_TRUE(embed.ok()) << embed.status();
  EXPECT_EQ((*embed)[5], TinyCheckpoint::Value(0, 5));  // the first of ModelTensors
  const int64_t turned[] = {160, 16};
  const auto misshapen = checkpoint->ReadFloat("model.embed_tokens.weight", turned);
  EXPECT_THAT(misshapen.status().message(), HasSubstr("shape [16, 160], expected [160, 16]"));
  EXPECT_EQ(checkpoint->ReadFloat("nope", shape).status().code(), absl::StatusCode::kNotFound);
  const int64_t two[] = {2};
  EXPECT_THAT(checkpoint->ReadFloat("ids", two).status().message(), HasSubstr("dtype I32"));
}

TEST_F(CheckpointTest, HalfPrecisionWidensExactly) {
  TinyCheckpoint tiny;
  const TinyCheckpoint original;
  for (const Dtype dtype : {Dtype::kBf16, Dtype::kF16}) {
    for (auto& [name, tensor] : tiny.tensors) tiny.Convert(name, dtype);
    const auto checkpoint = Open(tiny);
    for (const auto& [name, tensor] : original.tensors) {
      const auto values = checkpoint->ReadFloat(name, tensor.shape);
      ASSERT_TRUE(values.ok()) << values.status();
      ASSERT_EQ(std::memcmp(values->data(), tensor.bytes.data(), tensor.bytes.size()), 0) << name;
    }
  }
}

// [24, 160] has blocks of 24 x 128 and 24 x 32; W = F8 * scale of its block.
TEST_F(CheckpointTest, Fp8IsMultipliedByItsBlocksScale) {
  TinyCheckpoint tiny;
  const std::string name = "model.layers.0.mlp.gate_proj.weight";
  tiny.Convert(name, Dtype::kF8E4m3);
  tiny.AddScales(name);
  const auto checkpoint = Open(tiny);
  const int64_t shape[] = {24, 160};
  const auto values = checkpoint->ReadFloat(name, shape);
  ASSERT_TRUE(values.ok()) << values.status();
  for (int64_t row = 0; row < 24; ++row) {
    for (int64_t col = 0; col < 160; ++col) {
      const float scale = col < 128 ? 0.25F : 0.5F;
      ASSERT_EQ((*values)[static_cast<size_t>(row * 160 + col)],
                StoredValue(tiny.tensors[name], row * 160 + col) * scale);
    }
  }
  EXPECT_TRUE(VerifyCheckpoint(*checkpoint, {}).ok());
  EXPECT_EQ(VerifyCheckpoint(*checkpoint, {})->num_unused, 0);  // scales count as used
}

TEST_F(CheckpointTest, Fp8ScalesMayBeBf16) {
  TinyCheckpoint tiny;
  const std::string name = "model.layers.0.mlp.down_proj.weight";  // [160, 24]: two blocks of rows
  tiny.Convert(name, Dtype::kF8E4m3);
  tiny.AddScales(name);
  tiny.Convert(name + "_scale_inv", Dtype::kBf16);
  const int64_t shape[] = {160, 24};
  const auto values = Open(tiny)->ReadFloat(name, shape);
  ASSERT_TRUE(values.ok()) << values.status();
  const OwnedTensor& stored = tiny.tensors[name];
  EXPECT_EQ((*values)[127 * 24], StoredValue(stored, 127 * 24) * 0.25F);
  EXPECT_EQ((*values)[128 * 24], StoredValue(stored, 128 * 24) * 0.5F);
}

TEST_F(CheckpointTest, Fp8FaultsAreNamed) {
  TinyCheckpoint tiny;
  const std::string name = "model.layers.0.mlp.gate_proj.weight";
  tiny.Convert(name, Dtype::kF8E4m3);
  EXPECT_THAT(VerifyStatus(tiny).message(), HasSubstr(name + "_scale_inv"));
  tiny.AddF32(name + "_scale_inv", {1, 1});
  EXPECT_THAT(VerifyStatus(tiny).message(), HasSubstr("expected [1, 2]"));
  tiny.tensors[name + "_scale_inv"] = {Dtype::kU8, {1, 2}, std::vector<std::byte>(2)};
  EXPECT_THAT(VerifyStatus(tiny).message(), HasSubstr("scales of dtype U8"));
  tiny.AddScales(name);
  EXPECT_TRUE(VerifyStatus(tiny).ok());
  tiny.Convert("model.norm.weight", Dtype::kF8E4m3);
  EXPECT_THAT(VerifyStatus(tiny).message(), HasSubstr("'model.norm.weight'"));
}

TEST_F(CheckpointTest, FusedAndSingleExpertsAreReadAlike) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    TinyCheckpoint fused(true);
    TinyCheckpoint single(false);
    // Lay the fused values out one by one: gate is the first half of the rows, up the second.
    for (int64_t expert = 0; expert < 3; ++expert) {
      const auto copy = [&](ExpertMatrix matrix, const char* from, int64_t begin, int64_t count) {
        OwnedTensor& to = single.tensors.at(ExpertName(1, static_cast<int>(expert), matrix));
        std::memcpy(to.bytes.data(), fused.tensors.at(from).bytes.data() + begin * 4,
                    static_cast<size_t>(count) * 4);
      };
      const int64_t half = 96 * 160;
      copy(ExpertMatrix::kGate, kGateUp, expert * 2 * half, half);
      copy(ExpertMatrix::kUp, kGateUp, expert * 2 * half + half, half);
      copy(ExpertMatrix::kDown, kDown, expert * half, half);
    }
    for (auto& [name, tensor] : fused.tensors) fused.Convert(name, dtype);
    for (auto& [name, tensor] : single.tensors) single.Convert(name, dtype);
    const auto fused_checkpoint = Open(fused);
    ScratchDirectory other;
    single.Write(other.path());
    const auto single_checkpoint = Checkpoint::Open(other.path());
    ASSERT_TRUE(single_checkpoint.ok());
    EXPECT_TRUE(VerifyCheckpoint(*fused_checkpoint, {}).ok());
    EXPECT_TRUE(HasFusedExperts(*fused_checkpoint, 1));
    EXPECT_FALSE(HasFusedExperts(**single_checkpoint, 1));
    for (int expert = 0; expert < 3; ++expert) {
      for (const auto matrix : {ExpertMatrix::kGate, ExpertMatrix::kUp, ExpertMatrix::kDown}) {
        const auto a = ReadExpertFloat(*fused_checkpoint, 1, expert, matrix);
        const auto b = ReadExpertFloat(**single_checkpoint, 1, expert, matrix);
        ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
        EXPECT_EQ(*a, *b);
        const auto stored = FindExpert(*fused_checkpoint, 1, expert, matrix);
        ASSERT_TRUE(stored.ok()) << stored.status();
        const auto expected = FindExpert(**single_checkpoint, 1, expert, matrix);
        EXPECT_EQ(stored->shape, expected->shape);
        EXPECT_TRUE(std::equal(stored->data.begin(), stored->data.end(), expected->data.begin(),
                               expected->data.end()));
      }
    }
  }
}

// Fused FP8: gate_up_proj is [3, 192, 160], scales [3, 2, 2]; up begins at row 96, so its first 32
// rows are scaled by row block 0 and the rest by row block 1.
TEST_F(CheckpointTest, FusedFp8ExpertsScaleByTheBlockOfTheFusedRow) {
  TinyCheckpoint tiny(true);
  for (const char* const name : {kGateUp, kDown}) {
    tiny.Convert(name, Dtype::kF8E4m3);
    tiny.AddScales(name);
  }
  const auto checkpoint = Open(tiny);
  ASSERT_TRUE(VerifyCheckpoint(*checkpoint, {}).ok()) << VerifyCheckpoint(*checkpoint, {}).status();
  const int expert = 2;
  const auto up = ReadExpertFloat(*checkpoint, 1, expert, ExpertMatrix::kUp);
  ASSERT_TRUE(up.ok()) << up.status();
  for (int64_t row = 0; row < 96; ++row) {
    for (int64_t col = 0; col < 160; ++col) {
      const int64_t fused_row = 96 + row;
      const int64_t block = expert * 4 + fused_row / 128 * 2 + col / 128;
      const float scale = std::ldexp(1.0F, static_cast<int>(block % 5) - 2);
      const float stored =
          StoredValue(tiny.tensors[kGateUp], (expert * 192 + fused_row) * 160 + col);
      ASSERT_EQ((*up)[static_cast<size_t>(row * 160 + col)], stored * scale) << row << " " << col;
    }
  }
  // The whole tensor through ReadFloat agrees with the experts one by one.
  const int64_t shape[] = {3, 192, 160};
  const auto whole = checkpoint->ReadFloat(kGateUp, shape);
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_TRUE(std::equal(up->begin(), up->end(), whole->end() - 96 * 160));
  EXPECT_THAT(FindExpert(*checkpoint, 1, 0, ExpertMatrix::kGate).status().message(),
              HasSubstr("FP8"));
  EXPECT_FALSE(ReadExpertFloat(*checkpoint, 1, 3, ExpertMatrix::kGate).ok());
  EXPECT_FALSE(ReadExpertFloat(*checkpoint, 2, 0, ExpertMatrix::kGate).ok());
}

TEST_F(CheckpointTest, ShardsAreOneCheckpoint) {
  const TinyCheckpoint tiny;
  const auto sharded = Open(tiny, 3);
  ScratchDirectory other;
  tiny.Write(other.path());
  const auto single = Checkpoint::Open(other.path());
  EXPECT_EQ(sharded->Names(), (*single)->Names());
  EXPECT_EQ(sharded->Fingerprint(), (*single)->Fingerprint());
  EXPECT_TRUE(VerifyCheckpoint(*sharded, {}).ok());
}

TEST_F(CheckpointTest, IndexThatDisagreesWithItsShardsIsRefused) {
  TinyCheckpoint().Write(scratch_.path(), 2);
  const std::string index_path = scratch_.path() + "/model.safetensors.index.json";
  std::ifstream stream(index_path);
  nlohmann::json index = nlohmann::json::parse(stream);
  const auto write = [&] { std::ofstream(index_path) << index; };
  index["weight_map"]["ghost"] = "model-0.safetensors";
  write();
  EXPECT_THAT(OpenStatus().message(), HasSubstr("'ghost'"));
  EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kInvalidArgument);
  index["weight_map"]["ghost"] = "model-9.safetensors";
  write();
  EXPECT_THAT(OpenStatus().message(), HasSubstr("'model-9.safetensors', which does not exist"));
  EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kInvalidArgument);
  index["weight_map"]["ghost"] = "../model-0.safetensors";
  write();
  EXPECT_THAT(OpenStatus().message(), HasSubstr("bare name"));
  std::ofstream(index_path) << "{";
  EXPECT_THAT(OpenStatus().message(), HasSubstr(index_path));
}

TEST_F(CheckpointTest, MissingFilesAreNotFound) {
  EXPECT_EQ(Checkpoint::Open(scratch_.path() + "/nowhere").status().code(),
            absl::StatusCode::kNotFound);
  std::ofstream(scratch_.path() + "/config.json") << TinyConfig();
  EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(OpenStatus().message(), HasSubstr("model.safetensors"));
}

TEST_F(CheckpointTest, FingerprintSeesEveryPart) {
  const auto fingerprint = [this](const TinyCheckpoint& tiny) { return Open(tiny)->Fingerprint(); };
  const TinyCheckpoint tiny;
  const base::Sha256Digest original = fingerprint(tiny);
  EXPECT_EQ(fingerprint(tiny), original);
  TinyCheckpoint changed;
  changed.tensors[kWqB].bytes.back() ^= std::byte{1};
  EXPECT_NE(fingerprint(changed), original);
  changed = tiny;
  changed.config["rope_theta"] = 20000.0;
  EXPECT_NE(fingerprint(changed), original);
  changed = tiny;
  changed.tensors[kWqB].shape = {8, 16};
  EXPECT_NE(fingerprint(changed), original);
  changed = tiny;
  changed.tensors["extra"] = {Dtype::kU8, {0}, {}};
  EXPECT_NE(fingerprint(changed), original);
}

TEST_F(CheckpointTest, VerifyNamesWhatIsMissingOrMisshapen) {
  for (const auto& [name, tensor] : TinyCheckpoint().tensors) {
    TinyCheckpoint tiny;
    tiny.tensors.erase(name);
    EXPECT_THAT(
        VerifyStatus(tiny).message(),
        HasSubstr(name == kWqB ? "index_topk_pattern makes layers Full" : "'" + name + "'"));
    tiny = TinyCheckpoint();
    tiny.AddF32(name, {3, 3});
    const absl::Status status = VerifyStatus(tiny);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr("'" + name + "': shape [3, 3]"));
  }
}

TEST_F(CheckpointTest, BiasesAreWantedWithAttentionBiasAlone) {
  nlohmann::json config = TinyConfig();
  config["attention_bias"] = true;
  TinyCheckpoint tiny(false, config);
  EXPECT_EQ(tiny.tensors.size(), TinyCheckpoint().tensors.size() + 6);  // three a layer
  EXPECT_TRUE(VerifyStatus(tiny).ok());
  tiny.tensors.erase("model.layers.1.self_attn.o_proj.bias");
  EXPECT_THAT(VerifyStatus(tiny).message(), HasSubstr("o_proj.bias"));
}

TEST_F(CheckpointTest, TiedModelsNeedNoHead) {
  TinyCheckpoint tiny;
  tiny.tensors.erase("lm_head.weight");
  EXPECT_FALSE(VerifyStatus(tiny).ok());
  tiny.config["tie_word_embeddings"] = true;
  EXPECT_TRUE(VerifyStatus(tiny).ok());
}

TEST_F(CheckpointTest, UnusedTensorsAreCountedByKind) {
  TinyCheckpoint tiny;
  tiny.AddF32("model.layers.1.self_attn.indexer.wk.weight", {8, 160});  // layer 1 is Shared
  tiny.AddF32("model.layers.2.eh_proj.weight", {160, 320});             // a draft layer
  auto report = VerifyCheckpoint(*Open(tiny), {});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->num_unused, 2);
  EXPECT_EQ(report->num_unused_mtp, 1);
  EXPECT_EQ(report->num_unused_shared_indexer, 1);
  EXPECT_TRUE(report->warnings.empty());
  tiny.AddF32("model.visual.patch", {1});
  report = VerifyCheckpoint(*Open(tiny), {});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->warnings, ElementsAre(HasSubstr("'model.visual.patch'")));
}

TEST_F(CheckpointTest, OverrideIsHeldAgainstTheWeights) {
  config::IndexCacheOverride all_full;
  all_full.index_topk_pattern = "FF";
  const auto status = VerifyCheckpoint(*Open(TinyCheckpoint()), all_full).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("index_topk_pattern override"));
}

}  // namespace
}  // namespace lectern::weights
