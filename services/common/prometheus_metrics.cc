#include "services/common/prometheus_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>
#include <set>

#include "absl/strings/str_cat.h"
#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/base/status.h"
#include "services/common/metric_table.h"
#include "services/common/process_metrics.h"

namespace lectern::common {
namespace {

constexpr size_t kSeriesMax = 500;

// One declared metric; exactly one of the families is set.
struct Family {
  const MetricSpec* spec = nullptr;
  prometheus::Family<prometheus::Counter>* counters = nullptr;
  prometheus::Family<prometheus::Gauge>* gauges = nullptr;
  prometheus::Family<prometheus::Histogram>* histograms = nullptr;
  std::set<std::map<std::string, std::string>> series = {};
};

}  // namespace

struct PrometheusMetrics::State {
  explicit State(UnknownMetric when_unknown) : unknown(when_unknown) {}

  // Null where the sample is to be dropped. Holds `mutex` only for the look-up; the metrics
  // themselves are atomic.
  Family* Find(std::string_view name, MetricKind kind, base::MetricLabels labels,
               std::map<std::string, std::string>* out_labels);

  UnknownMetric unknown;
  prometheus::Registry registry;
  std::shared_ptr<ProcessMetrics> process = std::make_shared<ProcessMetrics>();
  mutable std::mutex mutex;
  std::map<std::string, Family, std::less<>> families;
  std::set<std::string, std::less<>> complained;
  prometheus::Counter* dropped = nullptr;
};

Family* PrometheusMetrics::State::Find(std::string_view name, MetricKind kind,
                                       base::MetricLabels labels,
                                       std::map<std::string, std::string>* out_labels) {
  for (const auto& [key, value] : labels) out_labels->emplace(key, value);
  const std::lock_guard lock(mutex);
  const auto found = families.find(name);
  const bool known = found != families.end() && found->second.spec->kind == kind;
  if (!known) {
    LECTERN_CHECK(unknown == UnknownMetric::kDrop);
    if (complained.emplace(name).second) {
      base::Log(base::LogLevel::kError, "metrics",
                absl::StrCat("not declared, or of another kind: ", base::ToAbsl(name)));
    }
    return nullptr;
  }
  Family& family = found->second;
  if (!family.series.contains(*out_labels)) {
    if (family.series.size() >= kSeriesMax) {
      dropped->Increment();
      return nullptr;
    }
    family.series.insert(*out_labels);
  }
  return &family;
}

PrometheusMetrics::PrometheusMetrics(UnknownMetric unknown)
    : state_(std::make_unique<State>(unknown)) {
  for (const MetricSpec& spec : MetricTable()) {
    Family family{.spec = &spec};
    const std::string name(spec.name);
    const std::string help(spec.help);
    switch (spec.kind) {
      case MetricKind::kCounter:
        family.counters =
            &prometheus::BuildCounter().Name(name).Help(help).Register(state_->registry);
        if (!spec.labelled) family.counters->Add({});
        break;
      case MetricKind::kGauge:
        family.gauges = &prometheus::BuildGauge().Name(name).Help(help).Register(state_->registry);
        if (!spec.labelled) family.gauges->Add({});
        break;
      case MetricKind::kHistogram:
        family.histograms =
            &prometheus::BuildHistogram().Name(name).Help(help).Register(state_->registry);
        if (!spec.labelled) {
          family.histograms->Add({}, prometheus::Histogram::BucketBoundaries(spec.buckets.begin(),
                                                                             spec.buckets.end()));
        }
        break;
    }
    state_->families.emplace(name, std::move(family));
  }
  state_->dropped =
      &state_->families.find("lectern_metrics_dropped_total")->second.counters->Add({});
}

PrometheusMetrics::~PrometheusMetrics() = default;

void PrometheusMetrics::Add(std::string_view name, double amount, base::MetricLabels labels) {
  LECTERN_CHECK(amount >= 0);
  std::map<std::string, std::string> key;
  Family* family = state_->Find(name, MetricKind::kCounter, labels, &key);
  if (family != nullptr) family->counters->Add(key).Increment(amount);
}

void PrometheusMetrics::Set(std::string_view name, double value, base::MetricLabels labels) {
  std::map<std::string, std::string> key;
  Family* family = state_->Find(name, MetricKind::kGauge, labels, &key);
  if (family != nullptr) family->gauges->Add(key).Set(value);
}

void PrometheusMetrics::Observe(std::string_view name, double value, base::MetricLabels labels) {
  std::map<std::string, std::string> key;
  Family* family = state_->Find(name, MetricKind::kHistogram, labels, &key);
  if (family == nullptr) return;
  const auto buckets = family->spec->buckets;
  family->histograms
      ->Add(key, prometheus::Histogram::BucketBoundaries(buckets.begin(), buckets.end()))
      .Observe(value);
}

std::string PrometheusMetrics::Exposition() const {
  std::vector<prometheus::MetricFamily> families = state_->registry.Collect();
  for (auto& family : state_->process->Collect()) families.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace lectern::common
