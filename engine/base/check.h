#pragma once
// CHECK for our own faults: prints where and dies. Never for input from outside.

namespace lectern::base {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);
}  // namespace lectern::base

#define LECTERN_CHECK(condition)                                                        \
  do {                                                                                  \
    if (!(condition)) [[unlikely]]                                                      \
      ::lectern::base::CheckFailed(__FILE__, __LINE__, #condition);                     \
  } while (false)
