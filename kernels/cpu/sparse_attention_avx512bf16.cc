#if defined(__x86_64__)
#include "kernels/cpu/sparse_attention.h"
namespace lectern::kernels::cpu {
void AttendQueryAvx512Bf16(const AttendQuery& args) { SelectAttendQuery(Isa::kAvx512, true)(args); }
}  // namespace lectern::kernels::cpu
#endif
