#pragma once
// CRC-32C (Castagnoli, RFC 3720 appendix B.4): guards each chunk of an upload. Through SSE4.2 where
// the processor has it.

#include <cstdint>
#include <string_view>

namespace lectern::documents {

uint32_t Crc32c(std::string_view bytes);

// The portable twin, for tests.
uint32_t Crc32cByTable(std::string_view bytes);

}  // namespace lectern::documents
