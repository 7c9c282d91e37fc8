#pragma once
// Arguments of a step, checked once before anything is written.

#include "absl/status/status.h"
#include "engine/model/model.h"

namespace lectern::model {

// InvalidArgument says which array is wrong. Page ids are checked for sign only: the view does not
// know how many pages there are.
absl::Status CheckStep(const StepInput& input, const config::ModelConfig& config,
                       const cache::KvLayout& layout, int max_batch_tokens);

}  // namespace lectern::model
