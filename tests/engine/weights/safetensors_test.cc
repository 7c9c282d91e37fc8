#include "engine/weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "engine/weights/safetensors_header.h"
#include "engine/weights/safetensors_writer.h"
#include "engine/weights/shard_index.h"
#include "tests/engine/weights/scratch_directory.h"

namespace lectern::weights {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string FileOf(const std::string& header, const std::string& data) {
  const auto length = static_cast<uint64_t>(header.size());
  std::string file(sizeof(length), '\0');
  std::memcpy(file.data(), &length, sizeof(length));
  return file + header + data;
}

absl::StatusOr<TensorMap> Parse(const std::string& file) {
  return ParseSafetensors(std::as_bytes(std::span(file)));
}

void ExpectRefused(const std::string& header, size_t data_bytes, const char* why) {
  const std::string file = FileOf(header, std::string(data_bytes, 'x'));
  const auto tensors = Parse(file);
  EXPECT_EQ(tensors.status().code(), absl::StatusCode::kInvalidArgument) << header;
  EXPECT_THAT(tensors.status().message(), HasSubstr(why)) << header;
}

TEST(SafetensorsTest, ReadsTensorsAndIgnoresMetadata) {
  const std::string file = FileOf(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[1,2],"data_offsets":[3,11]},)"
      R"("a":{"data_offsets":[0,3],"shape":[3],"dtype":"U8"},"s":{"dtype":"I64","shape":[],)"
      R"("data_offsets":[11,19]},"z":{"dtype":"BF16","shape":[4,0],"data_offsets":[11,11]}}   )",
      "abc" + std::string(16, '\0'));
  const auto tensors = Parse(file);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  ASSERT_EQ(tensors->size(), 4U);
  EXPECT_THAT(tensors->at("b").shape, ElementsAre(1, 2));
  EXPECT_EQ(tensors->at("a").data[2], std::byte{'c'});
  EXPECT_EQ(tensors->at("s").num_elements(), 1);
  EXPECT_EQ(tensors->at("z").num_elements(), 0);
}

TEST(SafetensorsTest, EmptyFileOfTensorsIsFine) { EXPECT_TRUE(Parse(FileOf("{}", "")).ok()); }

TEST(SafetensorsTest, LengthLies) {
  for (const char* const file :
       {"", "1234567", "\xff\xff\xff\xff\xff\xff\xff\xff", "\x05\0\0\0\0\0\0\0{}"}) {
    EXPECT_EQ(Parse(file).status().code(), absl::StatusCode::kInvalidArgument);
  }
  std::string over = FileOf("{}", "");
  const uint64_t length = 100'000'001;
  std::memcpy(over.data(), &length, sizeof(length));
  EXPECT_THAT(Parse(over).status().message(), HasSubstr("100000001 bytes, more than"));
}

TEST(SafetensorsTest, HeaderLies) {
  ExpectRefused("", 0, "begin with '{'");
  ExpectRefused(" {}", 0, "begin with '{'");
  ExpectRefused("[]", 0, "begin with '{'");
  ExpectRefused("{}x", 0, "not valid JSON");
  ExpectRefused(R"({"a":)", 0, "not valid JSON");
  ExpectRefused(R"({"a":1})", 0, "out of place");
  ExpectRefused(R"({"a":{}})", 0, "missing");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1]}})", 1, "missing in tensor 'a'");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1,
                "unknown field 'x'");
  ExpectRefused(R"({"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}})", 1, "dtype 'F4'");
  ExpectRefused(R"({"a":{"dtype":7,"shape":[2],"data_offsets":[0,1]}})", 1,
                "out of place in tensor 'a'");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1, "negative");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", 1, "not an integer");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", 1, "out of place");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", 1, "out of place");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1, "two numbers");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}})", 1, "third offset");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551615]}})", 1,
                "64 bits");
  ExpectRefused(R"({"__metadata__":{"a":1}})", 0, "out of place");
  ExpectRefused(R"({"__metadata__":[]})", 0, "out of place");
  ExpectRefused("{\"\xff\":{}}", 0, "not valid JSON");
}

TEST(SafetensorsTest, DuplicatesAreRefused) {
  const std::string entry = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  ExpectRefused(R"({"a":)" + entry + R"(,"a":)" + entry + "}", 1, "'a' occurs twice");
  ExpectRefused(R"({"a":)" + entry + R"(,"\u0061":)" + entry + "}", 1, "'a' occurs twice");
  ExpectRefused(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
                "field 'dtype' occurs twice in tensor 'a'");
  ExpectRefused(R"({"__metadata__":{},"__metadata__":{}})", 0, "'__metadata__' occurs twice");
  ExpectRefused(R"({"__metadata__":{"k":"","k":""}})", 0, "'k' occurs twice");
}

TEST(SafetensorsTest, OffsetsMustTileTheData) {
  const auto entry = [](int size, int begin, int end) {
    return R"({"dtype":"U8","shape":[)" + std::to_string(size) + R"(],"data_offsets":[)" +
           std::to_string(begin) + "," + std::to_string(end) + "]}";
  };
  ExpectRefused(R"({"a":)" + entry(4, 0, 4) + "}", 3, "lie outside");
  ExpectRefused(R"({"a":)" + entry(4, 4, 0) + "}", 4, "lie outside");
  ExpectRefused(R"({"a":)" + entry(3, 0, 4) + "}", 4, "needs 3");
  ExpectRefused(R"({"a":)" + entry(4, 0, 4) + "}", 5, "cover 4 of 5");
  ExpectRefused(R"({"a":)" + entry(4, 1, 5) + "}", 5, "gap");
  ExpectRefused(R"({"a":)" + entry(2, 0, 2) + R"(,"b":)" + entry(2, 3, 5) + "}", 5, "gap");
  ExpectRefused(R"({"a":)" + entry(3, 0, 3) + R"(,"b":)" + entry(3, 2, 5) + "}", 5,
                "inside the tensor");
  ExpectRefused(R"({"a":)" + entry(3, 0, 3) + R"(,"b":)" + entry(3, 0, 3) + "}", 3,
                "inside the tensor");
  ExpectRefused(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0,
                "overflows");
  ExpectRefused(R"({"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", 0,
                "overflows");
}

TEST(SafetensorsTest, TensorsAndDimensionsAreBounded) {
  std::string header = "{";
  for (size_t i = 0; i <= kMaxTensorsPerFile; ++i) {
    header += (i == 0 ? "\"" : ",\"") + std::to_string(i) +
              R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
    if (i + 1 == kMaxTensorsPerFile) {
      EXPECT_TRUE(ParseSafetensorsHeader(header + "}").ok());
    }
  }
  ExpectRefused(header + "}", 0, "more than 65536 tensors");
  std::string shape = "1";
  for (size_t i = 1; i < kMaxRank; ++i) shape += ",1";
  const auto entry = [](const std::string& extents) {
    return R"({"a":{"dtype":"U8","shape":[)" + extents + R"(],"data_offsets":[0,1]}})";
  };
  EXPECT_TRUE(Parse(FileOf(entry(shape), "x")).ok());
  ExpectRefused(entry(shape + ",1"), 1, "more than 16 dimensions");
}

class SafetensorsFileTest : public testing::Test {
 protected:
  ScratchDirectory scratch_;
};

TEST_F(SafetensorsFileTest, WriterAndReaderAgree) {
  const std::vector<float> floats = {1, 2, 3, 4, 5, 6};
  const std::vector<int32_t> ints = {-1, 7};
  const std::vector<std::byte> bytes = {std::byte{9}};
  const TensorToWrite raw{"c.raw", Dtype::kU8, {1}, bytes};
  const std::string path = scratch_.path() + "/out.safetensors";
  ASSERT_TRUE(WriteSafetensors(
                  path, {I32Tensor("ids \"x\"\n", {2}, ints), raw, F32Tensor("a", {2, 3}, floats)})
                  .ok());
  const auto file = SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto a = (*file)->Find("a");
  ASSERT_TRUE(a.ok());
  EXPECT_THAT(a->shape, ElementsAre(2, 3));
  EXPECT_EQ(std::memcmp(a->data.data(), floats.data(), a->data.size()), 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a->data.data()) % 8, 0U);
  EXPECT_EQ(std::memcmp((*file)->Find("ids \"x\"\n")->data.data(), ints.data(), 8), 0);
  const auto missing = (*file)->Find("nope");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(missing.status().message(), HasSubstr("'nope'"));
}

TEST_F(SafetensorsFileTest, WriterIsDeterministicAndChecksItsInput) {
  const std::vector<float> values = {1, 2};
  std::vector<TensorToWrite> forward = {F32Tensor("a", {2}, values),
                                        F32Tensor("b", {1, 2}, values)};
  std::vector<TensorToWrite> backward = {forward[1], forward[0]};
  EXPECT_EQ(*SafetensorsPreamble(forward), *SafetensorsPreamble(backward));
  EXPECT_EQ(backward[0].name, "a");
  EXPECT_EQ(SafetensorsPreamble(forward)->size() % 8, 0U);

  std::vector<TensorToWrite> twice = {forward[0], forward[0]};
  EXPECT_THAT(SafetensorsPreamble(twice).status().message(), HasSubstr("occurs twice"));
  std::vector<TensorToWrite> short_data = {F32Tensor("a", {3}, values)};
  EXPECT_THAT(SafetensorsPreamble(short_data).status().message(),
              HasSubstr("8 bytes for shape [3]"));
  const auto status = WriteSafetensors(scratch_.path() + "/no/such/file", forward);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(SafetensorsFileTest, OpenNamesThePath) {
  const std::string path = scratch_.path() + "/m.safetensors";
  EXPECT_EQ(SafetensorsFile::Open(path).status().code(), absl::StatusCode::kNotFound);
  std::ofstream(path).close();
  const auto empty = SafetensorsFile::Open(path);
  EXPECT_EQ(empty.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(empty.status().message(), HasSubstr(path));
  EXPECT_THAT(SafetensorsFile::Open(scratch_.path()).status().message(),
              HasSubstr("not a regular file"));
}

// Cut at every length of its header and changed in every kind of byte: typed errors that name the
// file.
TEST_F(SafetensorsFileTest, CutAndFlippedFilesAreRefusedOrRead) {
  const std::vector<float> values(40, 1.0F);
  const std::string path = scratch_.path() + "/good.safetensors";
  ASSERT_TRUE(WriteSafetensors(path, {F32Tensor("first", {5, 4}, std::span(values).first(20)),
                                      F32Tensor("second", {40}, values)})
                  .ok());
  std::ifstream stream(path, std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(stream)), {});
  for (size_t length = 0; length < good.size(); ++length) {
    EXPECT_EQ(Parse(good.substr(0, length)).status().code(), absl::StatusCode::kInvalidArgument)
        << length;
  }
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const std::string damaged_path = scratch_.path() + "/damaged.safetensors";
  for (int round = 0; round < 500; ++round) {
    std::string damaged = good;
    const size_t at = random() % damaged.size();
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
    std::ofstream(damaged_path, std::ios::binary) << damaged;
    const auto file = SafetensorsFile::Open(damaged_path);
    if (!file.ok()) {
      EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(file.status().message(), HasSubstr(damaged_path));
    }
  }
}

TEST(ShardIndexTest, ReadsAndRefuses) {
  const auto index = ParseShardIndex(
      R"({"metadata":{"total_size":8},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}})");
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(index->at("b"), "m-2.safetensors");
  for (const char* const text : {"", "[]", "{}", R"({"weight_map":{}})", R"({"weight_map":[]})"}) {
    EXPECT_EQ(ParseShardIndex(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  for (const char* const file :
       {"\"../m.safetensors\"", "\"/etc/m.safetensors\"", "\"\"", "\"m.bin\"", "\".safetensors\"",
        "\"x\\u0000.safetensors\"", "7", "null"}) {
    const auto bad = ParseShardIndex(std::string(R"({"weight_map":{"a":)") + file + "}}");
    EXPECT_THAT(bad.status().message(), HasSubstr("'a'")) << file;
  }
  EXPECT_THAT(ParseShardIndex(R"({"weight_map":{"a":"m.safetensors","a":"m.safetensors"}})")
                  .status()
                  .message(),
              HasSubstr("occurs twice"));
}

}  // namespace
}  // namespace lectern::weights
