#include "services/common/health_state.h"

#include <gtest/gtest.h>

#include <map>

namespace lectern::common {
namespace {

TEST(HealthState, ListenersHearWhatIsAndWhatChanges) {
  HealthState health;
  health.Set("lectern.v1.Jobs", true);
  std::map<std::string, std::vector<bool>> heard;
  health.Listen(
      [&](const std::string& service, bool serving) { heard[service].push_back(serving); });
  health.Set("lectern.v1.Jobs", true);  // no change, no news
  health.Set("lectern.v1.Jobs", false);
  EXPECT_EQ(heard["lectern.v1.Jobs"], (std::vector<bool>{true, false}));
}

TEST(HealthState, DrainIsForGood) {
  HealthState health;
  EXPECT_FALSE(health.AllServing());  // nothing known yet
  health.Set("a", true);
  EXPECT_TRUE(health.AllServing());
  health.Drain();
  health.Set("a", true);
  EXPECT_FALSE(health.AllServing());
  EXPECT_EQ(health.NotServing(), std::vector<std::string>{"a"});
}

}  // namespace
}  // namespace lectern::common
