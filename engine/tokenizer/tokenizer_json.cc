#include "engine/tokenizer/tokenizer_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "engine/tokenizer/byte_alphabet.h"

namespace lectern::tokenizer {
namespace {

using nlohmann::json;

constexpr int kMaxNesting = 64;
constexpr size_t kMaxAddedTokens = 65'536;
constexpr size_t kMaxAddedTokenBytes = 1'024;
constexpr size_t kMaxAddedBytes = size_t{1}
                                  << 20;  // of all together; the matcher's trie costs 40 times this
constexpr size_t kMaxSplits = 32;

absl::Status Invalid(std::string_view field, std::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(base::ToAbsl(field), ": ", base::ToAbsl(problem)));
}

absl::Status NotSupported(std::string_view field, std::string_view what) {
  return absl::UnimplementedError(
      absl::StrCat(base::ToAbsl(field), ": ", base::ToAbsl(what), " is not supported"));
}

// A name from the file in a message: quoted, and not at its full length if that is absurd.
std::string Quoted(std::string_view name) {
  constexpr size_t kMaxShown = 80;
  if (name.size() <= kMaxShown) return absl::StrCat("'", base::ToAbsl(name), "'");
  return absl::StrCat("'", base::ToAbsl(name.substr(0, kMaxShown)), "…'");
}

// The parser allocates for every open bracket; a file of brackets alone would cost many times its
// size.
bool NestsTooDeep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxNesting) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

// Null and absent are the same everywhere in this format.
const json* Member(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

absl::StatusOr<bool> Flag(const json& object, const char* key, bool otherwise,
                          std::string_view field) {
  const json* value = Member(object, key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean())
    return Invalid(absl::StrCat(base::ToAbsl(field), ".", key), "not a boolean");
  return value->get<bool>();
}

absl::StatusOr<std::string> Text(const json& object, const char* key, std::string_view field) {
  const json* value = Member(object, key);
  if (value == nullptr || !value->is_string()) {
    return Invalid(absl::StrCat(base::ToAbsl(field), ".", key), "missing or not a string");
  }
  return value->get<std::string>();
}

absl::StatusOr<int32_t> Id(const json& value, std::string_view field) {
  if (!value.is_number_integer()) return Invalid(field, "id is not an integer");
  const bool in_range = value.is_number_unsigned() && value.get<uint64_t>() <= kMaxTokenId;
  if (!in_range) return Invalid(field, absl::StrCat("id ", value.dump(), " is out of range"));
  return static_cast<int32_t>(value.get<int64_t>());
}

class Reader {
 public:
  explicit Reader(const json& root) : root_(root) {}

  absl::StatusOr<TokenizerSpec> Run() {
    RETURN_IF_ERROR(ReadNormalizer(Member(root_, "normalizer"), "normalizer"));
    RETURN_IF_ERROR(ReadModel());
    RETURN_IF_ERROR(ReadAddedTokens());
    RETURN_IF_ERROR(ReadPreTokenizer());
    RETURN_IF_ERROR(ReadPostProcessor(Member(root_, "post_processor"), "post_processor"));
    RETURN_IF_ERROR(ReadDecoder(Member(root_, "decoder"), "decoder"));
    return std::move(spec_);
  }

 private:
  absl::Status ReadNormalizer(const json* value, const std::string& field);
  absl::Status ReadModel();
  absl::Status ReadModelOptions(const json& model);
  absl::Status ReadVocabulary(const json& model);
  absl::Status ReadMerges(const json& model);
  absl::StatusOr<std::pair<std::string, std::string>> MergePair(const json& merge,
                                                                const std::string& field);
  absl::Status ReadAddedTokens();
  absl::StatusOr<AddedToken> ReadAddedToken(const json& value, const std::string& field);
  absl::Status CheckAddedToken(const AddedToken& token, const std::string& field);
  absl::Status ReadPreTokenizer();
  absl::Status ReadSplit(const json& value, const std::string& field);
  absl::Status ReadByteLevel(const json& value, const std::string& field);
  absl::Status ReadPostProcessor(const json* value, const std::string& field);
  absl::Status ReadTemplate(const json& value, const std::string& field);
  absl::StatusOr<std::vector<int32_t>> TemplateIds(const json& value, const json& item,
                                                   const std::string& field);
  absl::Status ReadDecoder(const json* value, const std::string& field);

  const json& root_;
  TokenizerSpec spec_;
  absl::flat_hash_map<std::string, int32_t> vocabulary_;  // names as written
  absl::flat_hash_map<int32_t, std::string> name_of_id_;
  absl::flat_hash_set<int32_t> merge_results_;
};

absl::Status Reader::ReadNormalizer(const json* value, const std::string& field) {
  if (value == nullptr) return absl::OkStatus();
  if (!value->is_object()) return Invalid(field, "not an object");
  ASSIGN_OR_RETURN(const std::string type, Text(*value, "type", field));
  if (type != "Sequence") return NotSupported(field, absl::StrCat("type ", Quoted(type)));
  const json* parts = Member(*value, "normalizers");
  if (parts == nullptr || !parts->is_array()) return Invalid(field + ".normalizers", "not a list");
  for (size_t i = 0; i < parts->size(); ++i) {
    RETURN_IF_ERROR(ReadNormalizer(&(*parts)[i], absl::StrCat(field, ".normalizers[", i, "]")));
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadModelOptions(const json& model) {
  // Old files leave the type out.
  if (Member(model, "type") != nullptr) {
    ASSIGN_OR_RETURN(const std::string type, Text(model, "type", "model"));
    if (type != "BPE") return NotSupported("model.type", Quoted(type));
  }
  ASSIGN_OR_RETURN(const bool byte_fallback, Flag(model, "byte_fallback", false, "model"));
  if (byte_fallback) return NotSupported("model.byte_fallback", "true");
  if (const json* dropout = Member(model, "dropout"); dropout != nullptr) {
    if (!dropout->is_number()) return Invalid("model.dropout", "not a number");
    if (dropout->get<double>() != 0) return NotSupported("model.dropout", "a value other than 0");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (Member(model, key) == nullptr) continue;
    ASSIGN_OR_RETURN(const std::string affix, Text(model, key, "model"));
    if (!affix.empty()) return NotSupported(absl::StrCat("model.", key), "a value");
  }
  ASSIGN_OR_RETURN(spec_.bpe.ignore_merges, Flag(model, "ignore_merges", false, "model"));
  ASSIGN_OR_RETURN(spec_.bpe.fuse_unknown, Flag(model, "fuse_unk", false, "model"));
  return absl::OkStatus();
}

absl::Status Reader::ReadModel() {
  const json* model = Member(root_, "model");
  if (model == nullptr || !model->is_object()) return Invalid("model", "missing or not an object");
  RETURN_IF_ERROR(ReadModelOptions(*model));
  RETURN_IF_ERROR(ReadVocabulary(*model));
  if (Member(*model, "unk_token") != nullptr) {
    ASSIGN_OR_RETURN(const std::string unknown, Text(*model, "unk_token", "model"));
    const auto found = vocabulary_.find(unknown);
    if (found == vocabulary_.end()) return Invalid("model.unk_token", "not in the vocabulary");
    spec_.bpe.unknown_id = found->second;
  }
  return ReadMerges(*model);
}

absl::Status Reader::ReadVocabulary(const json& model) {
  const json* vocabulary = Member(model, "vocab");
  if (vocabulary == nullptr || !vocabulary->is_object() || vocabulary->empty()) {
    return Invalid("model.vocab", "missing, empty or not an object");
  }
  for (const auto& [name, value] : vocabulary->items()) {
    const std::string field = absl::StrCat("model.vocab[", Quoted(name), "]");
    ASSIGN_OR_RETURN(const int32_t id, Id(value, field));
    const auto [previous, fresh] = name_of_id_.emplace(id, name);
    if (!fresh)
      return Invalid(field, absl::StrCat("shares id ", id, " with ", Quoted(previous->second)));
    vocabulary_.emplace(name, id);
    spec_.vocab_size = std::max(spec_.vocab_size, id + 1);
  }
  spec_.bpe.token_bytes.resize(static_cast<size_t>(spec_.vocab_size));
  for (const auto& [name, id] : vocabulary_) {
    spec_.bpe.token_bytes[static_cast<size_t>(id)] = BytesOfAlphabet(name).value_or("");
  }
  for (size_t byte = 0; byte < 256; ++byte) {
    const auto found = vocabulary_.find(AlphabetCharacter(static_cast<uint8_t>(byte)));
    spec_.bpe.byte_ids[byte] = found == vocabulary_.end() ? -1 : found->second;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::pair<std::string, std::string>> Reader::MergePair(const json& merge,
                                                                      const std::string& field) {
  if (merge.is_array()) {
    if (merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) {
      return Invalid(field, "not a pair of strings");
    }
    return std::pair(merge[0].get<std::string>(), merge[1].get<std::string>());
  }
  if (!merge.is_string()) return Invalid(field, "neither a pair nor a string");
  const std::string& text = merge.get_ref<const std::string&>();
  const size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
    return Invalid(field, "not two names with one space between");
  }
  return std::pair(text.substr(0, space), text.substr(space + 1));
}

absl::Status Reader::ReadMerges(const json& model) {
  const json* merges = Member(model, "merges");
  if (merges == nullptr || !merges->is_array())
    return Invalid("model.merges", "missing or not a list");
  spec_.bpe.merges.reserve(merges->size());
  for (size_t i = 0; i < merges->size(); ++i) {
    const std::string field = absl::StrCat("model.merges[", i, "]");
    ASSIGN_OR_RETURN(const auto pair, MergePair((*merges)[i], field));
    MergeRule rule;
    for (const auto& [name, id] : {std::pair(pair.first, &rule.left),
                                   {pair.second, &rule.right},
                                   {pair.first + pair.second, &rule.result}}) {
      const auto found = vocabulary_.find(name);
      if (found == vocabulary_.end()) {
        return Invalid(field, absl::StrCat(Quoted(name), " is not in the vocabulary"));
      }
      *id = found->second;
    }
    spec_.bpe.merges.push_back(rule);
    merge_results_.insert(rule.result);
  }
  return absl::OkStatus();
}

absl::StatusOr<AddedToken> Reader::ReadAddedToken(const json& value, const std::string& field) {
  if (!value.is_object()) return Invalid(field, "not an object");
  AddedToken token;
  const json* id = Member(value, "id");
  if (id == nullptr) return Invalid(field + ".id", "missing");
  ASSIGN_OR_RETURN(token.id, Id(*id, field + ".id"));
  ASSIGN_OR_RETURN(token.content, Text(value, "content", field));
  if (token.content.size() > kMaxAddedTokenBytes) return Invalid(field + ".content", "too long");
  ASSIGN_OR_RETURN(token.special, Flag(value, "special", false, field));
  ASSIGN_OR_RETURN(token.single_word, Flag(value, "single_word", false, field));
  ASSIGN_OR_RETURN(token.lstrip, Flag(value, "lstrip", false, field));
  ASSIGN_OR_RETURN(token.rstrip, Flag(value, "rstrip", false, field));
  ASSIGN_OR_RETURN(token.normalized, Flag(value, "normalized", !token.special, field));
  return token;
}

// An added token may repeat an entry of the vocabulary, but must then agree with it. A special one
// must not be what plain text can merge into: texts from outside could then forge a role token.
absl::Status Reader::CheckAddedToken(const AddedToken& token, const std::string& field) {
  const auto named = vocabulary_.find(token.content);
  if (named != vocabulary_.end() && named->second != token.id) {
    return Invalid(field + ".id", absl::StrCat("the vocabulary has ", Quoted(token.content), " as ",
                                               named->second, ", not ", token.id));
  }
  const auto [holder, fresh] = name_of_id_.emplace(token.id, token.content);
  if (!fresh && holder->second != token.content) {
    return Invalid(field + ".id",
                   absl::StrCat("id ", token.id, " already belongs to ", Quoted(holder->second)));
  }
  if (token.special && merge_results_.contains(token.id)) {
    return Invalid(field, "a special token is the result of a merge");
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadAddedTokens() {
  const json* tokens = Member(root_, "added_tokens");
  if (tokens == nullptr) return absl::OkStatus();
  if (!tokens->is_array()) return Invalid("added_tokens", "not a list");
  if (tokens->size() > kMaxAddedTokens) return Invalid("added_tokens", "more than 65536 entries");
  absl::flat_hash_set<std::string> contents;
  size_t content_bytes = 0;
  for (size_t i = 0; i < tokens->size(); ++i) {
    const std::string field = absl::StrCat("added_tokens[", i, "]");
    ASSIGN_OR_RETURN(AddedToken token, ReadAddedToken((*tokens)[i], field));
    if (token.content.empty()) continue;  // the original ignores them
    if (!contents.insert(token.content).second) {
      return Invalid(field + ".content", absl::StrCat(Quoted(token.content), " is given twice"));
    }
    content_bytes += token.content.size();
    if (content_bytes > kMaxAddedBytes) return Invalid("added_tokens", "more than 1 MiB of text");
    RETURN_IF_ERROR(CheckAddedToken(token, field));
    spec_.vocab_size = std::max(spec_.vocab_size, token.id + 1);
    if (token.special) spec_.bpe.never_whole.push_back(token.id);
    spec_.added_tokens.push_back(std::move(token));
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadSplit(const json& value, const std::string& field) {
  SplitStep step;
  const json* pattern = Member(value, "pattern");
  if (pattern == nullptr || !pattern->is_object())
    return Invalid(field + ".pattern", "not an object");
  step.literal = Member(*pattern, "String") != nullptr;
  ASSIGN_OR_RETURN(step.pattern,
                   Text(*pattern, step.literal ? "String" : "Regex", field + ".pattern"));
  ASSIGN_OR_RETURN(const std::string behavior, Text(value, "behavior", field));
  ASSIGN_OR_RETURN(const bool invert, Flag(value, "invert", false, field));
  step.remove_matches = behavior == "Removed";
  if (behavior != "Isolated" && behavior != "Removed") {
    return NotSupported(field + ".behavior", Quoted(behavior));
  }
  // Isolated keeps matches and gaps alike, so that swapping them changes nothing.
  if (invert && step.remove_matches) return NotSupported(field + ".invert", "true");
  spec_.pre_tokenizer.splits.push_back(std::move(step));
  return absl::OkStatus();
}

absl::Status Reader::ReadByteLevel(const json& value, const std::string& field) {
  ASSIGN_OR_RETURN(spec_.pre_tokenizer.add_prefix_space,
                   Flag(value, "add_prefix_space", true, field));
  ASSIGN_OR_RETURN(spec_.pre_tokenizer.use_gpt2_regex, Flag(value, "use_regex", true, field));
  return absl::OkStatus();
}

absl::Status Reader::ReadPreTokenizer() {
  const std::string field = "pre_tokenizer";
  const json* value = Member(root_, "pre_tokenizer");
  if (value == nullptr || !value->is_object()) return Invalid(field, "missing or not an object");
  ASSIGN_OR_RETURN(const std::string type, Text(*value, "type", field));
  json steps = json::array({*value});
  if (type == "Sequence") {
    const json* list = Member(*value, "pretokenizers");
    if (list == nullptr || !list->is_array())
      return Invalid(field + ".pretokenizers", "not a list");
    steps = *list;
  }
  if (steps.empty() || steps.size() > kMaxSplits) return Invalid(field, "no step, or more than 32");
  for (size_t i = 0; i < steps.size(); ++i) {
    const std::string at = absl::StrCat(field, "[", i, "]");
    if (!steps[i].is_object()) return Invalid(at, "not an object");
    ASSIGN_OR_RETURN(const std::string step_type, Text(steps[i], "type", at));
    const bool last = i + 1 == steps.size();
    if (step_type == "Split" && !last) {
      RETURN_IF_ERROR(ReadSplit(steps[i], at));
    } else if (step_type == "ByteLevel" && last) {
      RETURN_IF_ERROR(ReadByteLevel(steps[i], at));
    } else {
      return NotSupported(at,
                          absl::StrCat(Quoted(step_type), last ? " at the end" : " in the middle"));
    }
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadPostProcessor(const json* value, const std::string& field) {
  if (value == nullptr) return absl::OkStatus();
  if (!value->is_object()) return Invalid(field, "not an object");
  ASSIGN_OR_RETURN(const std::string type, Text(*value, "type", field));
  if (type == "ByteLevel") return absl::OkStatus();  // offsets only
  if (type == "TemplateProcessing") return ReadTemplate(*value, field);
  if (type != "Sequence") return NotSupported(field + ".type", Quoted(type));
  const json* parts = Member(*value, "processors");
  if (parts == nullptr || !parts->is_array()) return Invalid(field + ".processors", "not a list");
  for (size_t i = 0; i < parts->size(); ++i) {
    RETURN_IF_ERROR(ReadPostProcessor(&(*parts)[i], absl::StrCat(field, ".processors[", i, "]")));
  }
  return absl::OkStatus();
}

// The ids of {"SpecialToken": {"id": NAME}}, looked up in the template's `special_tokens`.
absl::StatusOr<std::vector<int32_t>> Reader::TemplateIds(const json& value, const json& item,
                                                         const std::string& field) {
  if (!item.is_object()) return Invalid(field, "not an object");
  ASSIGN_OR_RETURN(const std::string name, Text(item, "id", field));
  const json* table = Member(value, "special_tokens");
  const json* entry =
      table != nullptr && table->is_object() ? Member(*table, name.c_str()) : nullptr;
  const json* ids = entry != nullptr && entry->is_object() ? Member(*entry, "ids") : nullptr;
  if (ids == nullptr || !ids->is_array() || ids->size() > kMaxSplits) {
    return Invalid(field, absl::StrCat("special_tokens has no ids for ", Quoted(name)));
  }
  std::vector<int32_t> out;
  for (const json& id : *ids) {
    ASSIGN_OR_RETURN(const int32_t token, Id(id, field));
    if (!name_of_id_.contains(token)) return Invalid(field, absl::StrCat("unknown id ", token));
    out.push_back(token);
  }
  return out;
}

absl::Status Reader::ReadTemplate(const json& value, const std::string& field) {
  const json* single = Member(value, "single");
  if (single == nullptr || !single->is_array() || single->size() > kMaxSplits) {
    return Invalid(field + ".single", "not a list of at most 32 parts");
  }
  // Several templates in a sequence wrap each other, the first one innermost.
  std::vector<int32_t> before;
  std::vector<int32_t> after;
  int sequences = 0;
  for (size_t i = 0; i < single->size(); ++i) {
    const std::string at = absl::StrCat(field, ".single[", i, "]");
    const json& part = (*single)[i];
    if (!part.is_object()) return Invalid(at, "not an object");
    if (const json* token = Member(part, "SpecialToken"); token != nullptr) {
      ASSIGN_OR_RETURN(const std::vector<int32_t> ids, TemplateIds(value, *token, at));
      std::vector<int32_t>& side = sequences == 0 ? before : after;
      side.insert(side.end(), ids.begin(), ids.end());
    } else if (Member(part, "Sequence") != nullptr) {
      ++sequences;
    } else {
      return Invalid(at, "neither SpecialToken nor Sequence");
    }
  }
  if (sequences != 1) return Invalid(field + ".single", "must hold the text exactly once");
  spec_.prefix_ids.insert(spec_.prefix_ids.begin(), before.begin(), before.end());
  spec_.suffix_ids.insert(spec_.suffix_ids.end(), after.begin(), after.end());
  return absl::OkStatus();
}

// Without a decoder the original joins token names with spaces, which is of no use here: a
// byte-level vocabulary is decoded as one.
absl::Status Reader::ReadDecoder(const json* value, const std::string& field) {
  if (value == nullptr) return absl::OkStatus();
  if (!value->is_object()) return Invalid(field, "not an object");
  ASSIGN_OR_RETURN(const std::string type, Text(*value, "type", field));
  if (type == "ByteLevel") return absl::OkStatus();
  const json* parts = Member(*value, "decoders");
  if (type != "Sequence") return NotSupported(field + ".type", Quoted(type));
  if (parts == nullptr || !parts->is_array() || parts->size() != 1) {
    return NotSupported(field, "a sequence other than one ByteLevel");
  }
  return ReadDecoder(&parts->front(), field + ".decoders[0]");
}

}  // namespace

absl::StatusOr<TokenizerSpec> ParseTokenizerJson(std::string_view text, std::string_view name) {
  const auto parse = [&]() -> absl::StatusOr<TokenizerSpec> {
    if (text.size() > kMaxTokenizerJsonBytes)
      return absl::InvalidArgumentError("larger than 64 MiB");
    if (NestsTooDeep(text)) return absl::InvalidArgumentError("nested more than 64 deep");
    const json root = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!root.is_object()) {
      return absl::InvalidArgumentError("not a JSON object (truncated or damaged)");
    }
    return Reader(root).Run();
  };
  absl::StatusOr<TokenizerSpec> spec = parse();
  if (!spec.ok()) return base::Annotate(spec.status(), name);
  return spec;
}

}  // namespace lectern::tokenizer
