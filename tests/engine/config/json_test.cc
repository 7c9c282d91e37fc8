#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "engine/config/json_fields.h"
#include "engine/config/json_file.h"

namespace lectern::config {
namespace {

using testing::HasSubstr;

TEST(StrictJsonTest, RefusesWhatALenientParserLetsPass) {
  EXPECT_TRUE(ParseStrictJson(R"({"a": [1, {"b": null}], "b": {"a": 2}})").ok());
  EXPECT_THAT(ParseStrictJson(R"({"a": 1, "a": 2})").status().message(),
              HasSubstr("'a' occurs twice"));
  EXPECT_THAT(ParseStrictJson(R"([{"a": {"x": 1, "\u0078": 2}}])").status().message(),
              HasSubstr("'x' occurs twice"));
  EXPECT_THAT(ParseStrictJson("{\"a\": 1,}").status().message(),
              HasSubstr("not valid JSON at byte"));
  for (const char* const text :
       {"", "{", "[1, 2", "{} {}", "nul", "\"\xff\"", "1e999", "{'a': 1}"}) {
    EXPECT_EQ(ParseStrictJson(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(StrictJsonTest, DepthIsBounded) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(ParseStrictJson(nested(64)).ok());
  EXPECT_THAT(ParseStrictJson(nested(65)).status().message(), HasSubstr("nested"));
  EXPECT_FALSE(ParseStrictJson(std::string(1 << 20, '[')).ok());
}

TEST(JsonFieldsTest, FirstFaultStaysAndNamesItsField) {
  const auto document =
      ParseStrictJson(R"({"a": 5, "b": "x", "c": 1e3, "d": null, "e": 18446744073709551615})");
  ASSERT_TRUE(document.ok());
  JsonFields fields(*document, "file.json");
  EXPECT_EQ(fields.RequiredInt("a", {1, 5}), 5);
  EXPECT_EQ(fields.OptionalInt("d", {1, 5}), std::nullopt);
  EXPECT_EQ(fields.OptionalReal("c", {0, 1e4}), 1000.0);
  EXPECT_TRUE(fields.status().ok());
  EXPECT_EQ(fields.RequiredInt("a", {1, 4}), 1);
  EXPECT_EQ(fields.status().message(), "file.json: a: 5 is outside 1..4");
  fields.RequiredInt("missing", {1, 4});
  EXPECT_THAT(fields.status().message(), HasSubstr(": a:"));

  JsonFields wrong_type(*document, "f");
  wrong_type.RequiredInt("b", {0, 9});
  EXPECT_EQ(wrong_type.status().message(), "f: b: must be an integer");
  JsonFields fraction(*document, "f");
  fraction.RequiredInt("c", {0, 9000});  // written as a float
  EXPECT_EQ(fraction.status().message(), "f: c: must be an integer");
  JsonFields absent(*document, "f");
  absent.RequiredInt("d", {0, 9});
  EXPECT_EQ(absent.status().message(), "f: d: is missing");
  JsonFields huge(*document, "f");
  huge.RequiredInt64("e", {0, 9});
  EXPECT_THAT(huge.status().message(), HasSubstr("f: e: the value is outside 0..9"));
}

class TextFileTest : public testing::Test {
 protected:
  TextFileTest() : directory_(testing::TempDir() + "/text_file_XXXXXX") {
    if (::mkdtemp(directory_.data()) == nullptr) std::abort();
  }
  ~TextFileTest() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
};

TEST_F(TextFileTest, ErrorsAreTypedAndNameThePath) {
  const std::string path = directory_ + "/file";
  EXPECT_EQ(ReadTextFile(path, 10).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(ReadTextFile(path, 10).status().message(), HasSubstr(path));
  std::ofstream(path) << "0123456789";
  EXPECT_EQ(*ReadTextFile(path, 10), "0123456789");
  EXPECT_THAT(ReadTextFile(path, 9).status().message(), HasSubstr("10 bytes"));
  EXPECT_EQ(ReadTextFile(directory_, 10).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadTextFile(path + "/x", 10).status().code(), absl::StatusCode::kNotFound);
}

// A named pipe in a file's place would block a plain open for ever.
TEST_F(TextFileTest, NamedPipeDoesNotHang) {
  const std::string path = directory_ + "/pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_THAT(ReadTextFile(path, 10).status().message(), HasSubstr("not a regular file"));
}

TEST(QuotedTest, EscapesAndCuts) {
  EXPECT_EQ(Quoted("a\nb"), "'a\\nb'");
  EXPECT_LT(Quoted(std::string(100'000, '\x01')).size(), 1000U);
}

}  // namespace
}  // namespace lectern::config
