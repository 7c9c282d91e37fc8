// The exposition has every declared name, and the metrics port serves it over HTTP.
#include <civetweb.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "services/common/metric_table.h"
#include "services/common/metrics_endpoint.h"
#include "services/common/process_metrics.h"
#include "services/common/prometheus_metrics.h"

namespace lectern::common {
namespace {

// name{labels} -> value, comments left out.
std::map<std::string, double> Parse(const std::string& exposition) {
  std::map<std::string, double> samples;
  std::istringstream lines(exposition);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t space = line.rfind(' ');
    samples[line.substr(0, space)] = std::stod(line.substr(space + 1));
  }
  return samples;
}

struct HttpReply {
  int code = 0;
  std::string body;
};

HttpReply Get(const std::string& address, const std::string& path) {
  const int port = std::stoi(address.substr(address.rfind(':') + 1));
  char error[200] = "";
  mg_connection* connection = mg_download("127.0.0.1", port, 0, error, sizeof error,
                                          "GET %s HTTP/1.0\r\nHost: x\r\n\r\n", path.c_str());
  if (connection == nullptr) return {0, error};
  HttpReply reply{mg_get_response_info(connection)->status_code, ""};
  char buffer[4096];
  for (int n = 0; (n = mg_read(connection, buffer, sizeof buffer)) > 0;) {
    reply.body.append(buffer, static_cast<size_t>(n));
  }
  mg_close_connection(connection);
  return reply;
}

TEST(PrometheusMetrics, EveryDeclaredMetricTakesASampleAndShowsIt) {
  PrometheusMetrics metrics(UnknownMetric::kCheck);
  for (const MetricSpec& spec : MetricTable()) {
    if (spec.kind == MetricKind::kCounter) metrics.Add(spec.name, 2, {});
    if (spec.kind == MetricKind::kGauge) metrics.Set(spec.name, 2, {});
    if (spec.kind == MetricKind::kHistogram) metrics.Observe(spec.name, 2, {});
  }
  const std::map<std::string, double> samples = Parse(metrics.Exposition());
  for (const MetricSpec& spec : MetricTable()) {
    const std::string name(spec.name);
    EXPECT_TRUE(name.starts_with("lectern_")) << name;
    EXPECT_EQ(name.ends_with("_total"), spec.kind == MetricKind::kCounter) << name;
    const std::string sample = spec.kind == MetricKind::kHistogram ? name + "_sum" : name;
    ASSERT_TRUE(samples.contains(sample)) << name;
    EXPECT_EQ(samples.at(sample), 2) << name;
  }
}

// The exporter drops what it does not know, so a name that somebody uses and nobody declared would
// read as 0.
TEST(MetricTable, DeclaresEveryNameInTheSources) {
  std::set<std::string> declared;
  for (const MetricSpec& spec : MetricTable()) declared.emplace(spec.name);
  const std::regex name("\"(lectern_[a-z0-9_]+)\",");
  int found = 0;
  for (const char* folder : {"/engine", "/services"}) {
    const std::string root = LECTERN_SOURCE_DIR + std::string(folder);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(
             root, std::filesystem::directory_options::follow_directory_symlink)) {
      if (entry.path().extension() != ".cc") continue;
      std::ifstream file(entry.path());
      const std::string text(std::istreambuf_iterator<char>(file), {});
      for (std::sregex_iterator match(text.begin(), text.end(), name), end; match != end; ++match) {
        EXPECT_TRUE(declared.contains((*match)[1])) << (*match)[1] << " in " << entry.path();
        ++found;
      }
    }
  }
  EXPECT_GT(found, 50);
}

TEST(PrometheusMetrics, LabelsMakeSeriesAndBucketsAreTheDeclaredOnes) {
  PrometheusMetrics metrics(UnknownMetric::kCheck);
  metrics.Observe("lectern_time_to_first_token_seconds", 0.003,
                  {{"model", "m"}, {"cache", "disk"}});
  const auto samples = Parse(metrics.Exposition());
  EXPECT_EQ(
      samples.at(
          "lectern_time_to_first_token_seconds_bucket{cache=\"disk\",model=\"m\",le=\"0.001\"}"),
      0);
  EXPECT_EQ(
      samples.at(
          "lectern_time_to_first_token_seconds_bucket{cache=\"disk\",model=\"m\",le=\"0.005\"}"),
      1);
}

TEST(PrometheusMetrics, SeriesAreBounded) {
  PrometheusMetrics metrics(UnknownMetric::kCheck);
  for (int i = 0; i < 700; ++i) {
    metrics.Add("lectern_requests_total", 1, {{"finish_reason", std::to_string(i)}});
  }
  const auto samples = Parse(metrics.Exposition());
  EXPECT_EQ(samples.at("lectern_metrics_dropped_total"), 200);
}

TEST(PrometheusMetrics, UnknownNamesAreDroppedInProductionAndFatalInTests) {
  PrometheusMetrics lenient;
  lenient.Add("lectern_no_such_total", 1, {});
  lenient.Set("lectern_requests_total", 1, {});  // a counter cannot be set
  PrometheusMetrics strict(UnknownMetric::kCheck);
  EXPECT_DEATH(strict.Add("lectern_no_such_total", 1, {}), "");
}

TEST(PrometheusMetrics, KnowsItsProcess) {
  EXPECT_GT(ResidentBytes(), 1 << 20);
  const auto samples = Parse(PrometheusMetrics().Exposition());
  EXPECT_GT(samples.at("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(samples.at("process_open_fds"), 2);
}

TEST(MetricsEndpoint, ServesMetricsAndHealth) {
  PrometheusMetrics metrics(UnknownMetric::kCheck);
  HealthState health;
  int scrapes = 0;
  auto endpoint = MetricsEndpoint::Start(
      {.address = "127.0.0.1:0", .metrics = &metrics, .health = &health, .before_scrape = [&] {
         ++scrapes;
       }});
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  const std::string address = (*endpoint)->address();
  EXPECT_EQ(address.find("127.0.0.1:"), 0U);
  EXPECT_FALSE(address.ends_with(":0"));

  const HttpReply scrape = Get(address, "/metrics");
  EXPECT_EQ(scrape.code, 200);
  EXPECT_TRUE(Parse(scrape.body).contains("lectern_leaked_pages"));
  EXPECT_EQ(scrapes, 1);

  health.Set("lectern.v1.Jobs", false);
  EXPECT_EQ(Get(address, "/healthz").code, 503);
  EXPECT_NE(Get(address, "/healthz").body.find("lectern.v1.Jobs"), std::string::npos);
  health.Set("lectern.v1.Jobs", true);
  EXPECT_EQ(Get(address, "/healthz").code, 200);
  EXPECT_EQ(Get(address, "/etc/passwd").code, 404);
}

TEST(MetricsEndpoint, RefusesAnAddressWithoutAPort) {
  EXPECT_EQ(MetricsEndpoint::Start({.address = "nonsense"}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace lectern::common
