#pragma once
// The CPU side of each operator of kernels/ops.h; arguments are checked by dispatch.cc.

#include "kernels/ops.h"

namespace lectern::kernels::cpu {

void Embedding(const EmbeddingArgs& args, Stream& stream);
void RmsNorm(const RmsNormArgs& args, Stream& stream);
void MatMul(const MatMulArgs& args, Stream& stream);
void HeadMatMul(const HeadMatMulArgs& args, Stream& stream);
void Rope(const RopeArgs& args, Stream& stream);
void LatentWrite(const LatentWriteArgs& args, Stream& stream);
void IndexKeyWrite(const IndexKeyWriteArgs& args, Stream& stream);
void IndexerTopk(const IndexerTopkArgs& args, Stream& stream);
void SparseAttention(const SparseAttentionArgs& args, Stream& stream);
void Swiglu(const SwigluArgs& args, Stream& stream);
void DenseMlp(const DenseMlpArgs& args, Stream& stream);
void Route(const RouteArgs& args, Stream& stream);

}  // namespace lectern::kernels::cpu
