#pragma once
// Instruction-set paths of the CPU operators, chosen by CPUID at run time. Paths differ in bits, so
// the path's name is part of a model's numerics_id.

namespace lectern::kernels::cpu {

enum class Isa {
  kGeneric,     // 4 lanes: any x86-64 (SSE2), or whatever the compiler makes of it elsewhere
  kAvx2,        // 8 lanes with FMA
  kAvx512,      // 16 lanes
  kAvx512Bf16,  // 16 lanes, bf16 products by vdpbf16ps
};

// The best path this machine runs.
Isa DetectIsa();
const char* IsaName(Isa isa);

}  // namespace lectern::kernels::cpu

// Functions compiled for a path. Only functions marked like this may use its instructions: a file
// is never compiled for one as a whole, since inline functions of its headers would then escape
// into other files.
#if defined(__x86_64__)
#define LECTERN_TARGET_AVX2 __attribute__((target("avx2,fma")))
#define LECTERN_TARGET_AVX512 \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")))
#define LECTERN_TARGET_AVX512BF16 \
  __attribute__((                 \
      target("avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")))
#else
#define LECTERN_TARGET_AVX2
#define LECTERN_TARGET_AVX512
#endif
#define LECTERN_INLINE inline __attribute__((always_inline))
