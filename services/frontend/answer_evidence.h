#pragma once
// From what the model wrote and looked at to what the client reads: text, citations, evidence.

#include <cstdint>
#include <span>
#include <string_view>

#include "engine/tokenizer/chat.h"
#include "lectern/v1/resources.pb.h"
#include "services/frontend/prompt_builder.h"

namespace lectern::frontend {

// Passages of evidence where AnswerOptions.evidence says 0.
inline constexpr int kDefaultEvidence = 3;

// Fills text, raw_text, answered, scope, citations and evidence of `answer`.
// counts: Finished::selection_counts; empty: no evidence.
void DescribeAnswer(const tokenizer::ChatFormat& chat, const SharedPrompt& shared,
                    std::string_view raw_text, std::span<const uint32_t> counts,
                    const v1::AnswerOptions& options, v1::Answer& answer);

}  // namespace lectern::frontend
