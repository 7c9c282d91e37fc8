#include "services/cli/locations.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace lectern::cli {
namespace {

namespace fs = std::filesystem;

class LocationsTest : public testing::Test {
 protected:
  LocationsTest() : root_(fs::path(testing::TempDir()) / "locations_test") {
    fs::remove_all(root_);
  }
  ~LocationsTest() override { fs::remove_all(root_); }
  std::string Model(const std::string& inside) {
    fs::create_directories(root_ / inside);
    std::ofstream(root_ / inside / "config.json") << "{}";
    return (root_ / inside).string();
  }
  std::string Executable(const std::string& inside) { return (root_ / inside).string(); }
  fs::path root_;
};

TEST_F(LocationsTest, FlagThenEnvironmentThenTree) {
  const std::string flag = Model("flag"), environment = Model("environment");
  const std::string tree = Model("source/configs/models/lectern-small");
  const std::string executable = Executable("source/build/release/bin/lectern");
  EXPECT_EQ(*FindModel(flag, environment, executable), flag);
  EXPECT_EQ(*FindModel("", environment, executable), environment);
  EXPECT_EQ(*FindModel("", "", executable), tree);
}

TEST_F(LocationsTest, FindsTheInstallPrefix) {
  const std::string installed = Model("usr/share/lectern/models/lectern-small");
  EXPECT_EQ(*FindModel("", "", Executable("usr/bin/lectern")), installed);
}

// What the user names is never replaced by something else in silence.
TEST_F(LocationsTest, WhatIsNamedMustBeThere) {
  Model("configs/models/lectern-small");
  const auto model = FindModel("elsewhere", "", Executable("build/bin/lectern"));
  ASSERT_TRUE(absl::IsNotFound(model.status()));
  EXPECT_EQ(model.status().message(), "--model: no checkpoint in elsewhere (no config.json)");
  EXPECT_TRUE(absl::IsNotFound(FindModel("", "gone", Executable("build/bin/lectern")).status()));
}

}  // namespace
}  // namespace lectern::cli
