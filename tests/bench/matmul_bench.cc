// Our bf16 matrix product beside oneDNN's, in one run over the default model's shapes: JSON lines
// with GFLOP/s of both, their ratio, and whether one row has the same bits alone and among 512
// (batch invariance).
//   matmul_bench [--reps N]
// Both get float32 activations and pay for rounding them to bf16; weights are packed before the
// clock starts. oneDNN threads itself (OpenMP); run nothing else beside it.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <oneapi/dnnl/dnnl.hpp>
#include <random>
#include <string_view>
#include <vector>

#include "kernels/ops.h"

namespace {

using lectern::kernels::MatrixView;

struct Shape {
  const char* name;
  int64_t n, k;
};
constexpr Shape kShapes[] = {{"input_proj", 400, 320}, {"q_proj", 640, 192},
                             {"o_proj", 320, 384},     {"gate_up", 1536, 320},
                             {"down", 320, 768},       {"lm_head", 6144, 320}};

double MedianSeconds(int reps, const std::function<void()>& run) {
  std::vector<double> seconds;
  run();
  for (int i = 0; i < reps; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + reps / 2, seconds.end());
  return seconds[static_cast<size_t>(reps / 2)];
}

// out [rows, n] = x [rows, k] * weight [n, k]^T through oneDNN, x rounded to bf16 by a reorder.
class OneDnnProduct {
 public:
  OneDnnProduct(int64_t rows, const Shape& shape, const std::vector<float>& weight)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using Tag = dnnl::memory::format_tag;
    using Type = dnnl::memory::data_type;
    const dnnl::memory::desc x32({rows, shape.k}, Type::f32, Tag::ab);
    const dnnl::memory::desc x16({rows, shape.k}, Type::bf16, Tag::ab);
    const dnnl::memory::desc any({shape.k, shape.n}, Type::bf16, Tag::any);
    const dnnl::memory::desc out({rows, shape.n}, Type::f32, Tag::ab);
    const dnnl::matmul::desc desc(x16, any, out);
    const dnnl::matmul::primitive_desc plan(desc, engine_);
    product_ = dnnl::matmul(plan);
    x32_ = dnnl::memory(x32, engine_);
    x16_ = dnnl::memory(x16, engine_);
    out_ = dnnl::memory(out, engine_);
    weight_ = dnnl::memory(plan.weights_desc(), engine_);
    dnnl::memory source({{shape.k, shape.n}, Type::f32, Tag::ba}, engine_);
    std::memcpy(source.get_data_handle(), weight.data(), weight.size() * sizeof(float));
    dnnl::reorder(source, weight_).execute(stream_, source, weight_);
    stream_.wait();
    round_ = dnnl::reorder(x32_, x16_);
  }

  float* x() { return static_cast<float*>(x32_.get_data_handle()); }
  const float* out() const { return static_cast<const float*>(out_.get_data_handle()); }
  void Run() {
    round_.execute(stream_, x32_, x16_);
    product_.execute(stream_,
                     {{DNNL_ARG_SRC, x16_}, {DNNL_ARG_WEIGHTS, weight_}, {DNNL_ARG_DST, out_}});
    stream_.wait();
  }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::memory x32_, x16_, weight_, out_;
  dnnl::matmul product_;
  dnnl::reorder round_;
};

void Compare(const Shape& shape, int reps, lectern::kernels::Stream& stream) {
  constexpr int64_t kRows = 512;
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> weight(static_cast<size_t>(shape.n * shape.k));
  std::vector<float> x(static_cast<size_t>(kRows * shape.k));
  for (float& value : weight) value = normal(random);
  for (float& value : x) value = normal(random);
  const auto packed = lectern::kernels::PackedMatrix::Pack(
      {weight.data(), shape.n, shape.k, shape.k}, /*bf16=*/true);

  std::vector<float> first_row[2];  // ours and theirs among 512 rows
  for (const int64_t rows : {kRows, int64_t{1}}) {
    std::vector<float> out(static_cast<size_t>(rows * shape.n));
    const double ours = MedianSeconds(reps, [&] {
      const auto status = lectern::kernels::MatMul({.x = {x.data(), rows, shape.k, shape.k},
                                                    .weight = &packed,
                                                    .bias = {},
                                                    .out = {out.data(), rows, shape.n, shape.n}},
                                                   stream);
      if (!status.ok()) std::abort();
    });
    OneDnnProduct theirs(rows, shape, weight);
    std::memcpy(theirs.x(), x.data(), static_cast<size_t>(rows * shape.k) * sizeof(float));
    const double dnnl_seconds = MedianSeconds(reps, [&] { theirs.Run(); });
    const std::vector<float> row[2] = {{out.begin(), out.begin() + shape.n},
                                       {theirs.out(), theirs.out() + shape.n}};
    bool equal[2] = {true, true};
    for (int i = 0; i < 2; ++i) {
      if (rows == kRows) first_row[i] = row[i];
      equal[i] = row[i] == first_row[i];
    }
    const double flop = 2.0 * static_cast<double>(rows * shape.n * shape.k);
    std::printf(
        "{\"shape\":\"%s\",\"rows\":%d,\"n\":%d,\"k\":%d,\"ours_gflops\":%.0f,\"onednn_gflops\":%."
        "0f,"
        "\"time_ratio\":%.2f,\"ours_row_equal\":%s,\"onednn_row_equal\":%s}\n",
        shape.name, static_cast<int>(rows), static_cast<int>(shape.n), static_cast<int>(shape.k),
        flop / ours * 1e-9, flop / dnnl_seconds * 1e-9, ours / dnnl_seconds,
        equal[0] ? "true" : "false", equal[1] ? "true" : "false");
  }
}

}  // namespace

int main(int argc, char** argv) {
  int reps = 200;
  if (argc == 3 && std::string_view(argv[1]) == "--reps") reps = std::max(1, std::atoi(argv[2]));
  lectern::kernels::Stream stream(0);
  if (stream.isa() != lectern::kernels::cpu::Isa::kAvx512Bf16) {
    std::fprintf(stderr, "matmul_bench: this processor has no AVX-512 BF16\n");
    return 77;
  }
  for (const Shape& shape : kShapes) Compare(shape, reps, stream);
  return 0;
}
