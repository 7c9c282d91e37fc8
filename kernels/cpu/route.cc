// Sigmoid router. A token at a time: the counts are small and the order of choice is part of the
// maths.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/cpu/ops.h"

namespace lectern::kernels::cpu {
namespace {

struct RouteScratch {
  std::vector<float> score;   // [experts] sigmoid
  std::vector<float> choice;  // [experts] with bias; -inf where the group is out
  std::vector<float> group;   // [groups]
  std::vector<int32_t> order;
};

// Indices of the `count` highest values, of equal ones the lower first.
void Highest(const std::vector<float>& values, int count, std::vector<int32_t>* order) {
  order->resize(values.size());
  std::iota(order->begin(), order->end(), 0);
  const auto higher = [&](int32_t a, int32_t b) {
    const float x = values[static_cast<size_t>(a)];
    const float y = values[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  std::partial_sort(order->begin(), order->begin() + count, order->end(), higher);
  order->resize(static_cast<size_t>(count));
}

void LimitGroups(const RouteArgs& args, RouteScratch* scratch) {
  const size_t groups = static_cast<size_t>(args.num_groups);
  const size_t size = scratch->choice.size() / groups;
  constexpr float kOut = -std::numeric_limits<float>::infinity();
  scratch->group.assign(groups, 0.0F);
  for (size_t g = 0; g < groups; ++g) {
    float first = kOut;
    float second = kOut;
    for (size_t e = g * size; e < (g + 1) * size; ++e) {
      const float value = scratch->choice[e];
      if (value > first) {
        second = first;
        first = value;
      } else if (value > second) {
        second = value;
      }
    }
    scratch->group[g] = size > 1 ? first + second : first;
  }
  Highest(scratch->group, args.topk_group, &scratch->order);
  std::vector<bool> kept(groups, false);
  for (const int32_t g : scratch->order) kept[static_cast<size_t>(g)] = true;
  for (size_t e = 0; e < scratch->choice.size(); ++e) {
    if (!kept[e / size]) scratch->choice[e] = kOut;
  }
}

void RouteToken(const RouteArgs& args, int64_t token, RouteScratch* scratch) {
  const auto experts = static_cast<size_t>(args.logits.cols);
  scratch->score.resize(experts);
  scratch->choice.resize(experts);
  for (size_t e = 0; e < experts; ++e) {
    scratch->score[e] = 1.0F / (1.0F + std::exp(-args.logits.row(token)[e]));
    scratch->choice[e] = scratch->score[e] + args.bias[e];
  }
  if (args.num_groups > 1) LimitGroups(args, scratch);
  Highest(scratch->choice, args.topk, &scratch->order);
  std::sort(scratch->order.begin(), scratch->order.end());
  float sum = 0;
  for (const int32_t e : scratch->order) sum += scratch->score[static_cast<size_t>(e)];
  for (size_t i = 0; i < scratch->order.size(); ++i) {
    const float weight = scratch->score[static_cast<size_t>(scratch->order[i])];
    args.experts.row(token)[i] = scratch->order[i];
    args.weights.row(token)[i] = (args.normalize ? weight / (sum + 1e-20F) : weight) * args.scale;
  }
}

}  // namespace

void Route(const RouteArgs& args, Stream&) {
  RouteScratch scratch;
  for (int64_t t = 0; t < args.logits.rows; ++t) RouteToken(args, t, &scratch);
}

}  // namespace lectern::kernels::cpu
