#include "engine/tokenizer/tokenizer.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "engine/tokenizer/added_tokens.h"
#include "engine/tokenizer/bpe.h"
#include "engine/tokenizer/pre_tokenizer.h"
#include "engine/tokenizer/tokenizer_json.h"
#include "engine/tokenizer/utf8.h"
#include "engine/tokenizer/word_cache.h"

namespace lectern::tokenizer {
namespace {

struct TokenEntry {
  std::string bytes;
  // Not empty where the id is an added token and, in the vocabulary, another byte string as well.
  std::string bytes_inside_character;
  bool special = false;
};

std::vector<AddedToken> WithNormalized(const std::vector<AddedToken>& tokens, bool normalized) {
  std::vector<AddedToken> out;
  for (const AddedToken& token : tokens) {
    if (token.normalized == normalized) out.push_back(token);
  }
  return out;
}

// Whether `bytes` go on with the character that `text` ends in the middle of.
bool Continues(std::string_view text, std::string_view bytes) {
  const size_t tail = IncompleteUtf8Tail(text);
  if (tail == 0) return false;
  const Utf8Step step = DecodeUtf8(std::string(text.substr(text.size() - tail)).append(bytes));
  return step.kind != Utf8Kind::kInvalid;
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be opened"));
  std::string contents;
  std::vector<char> buffer(1 << 16);
  while (file) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    contents.append(buffer.data(), static_cast<size_t>(file.gcount()));
    if (contents.size() > kMaxTokenizerJsonBytes) break;  // refused by the parser
  }
  if (file.bad()) return absl::DataLossError(absl::StrCat(path, ": cannot be read"));
  return contents;
}

}  // namespace

struct Tokenizer::Impl {
  Impl(const TokenizerSpec& spec, PreTokenizer splitter)
      : pre_tokenizer(std::move(splitter)),
        bpe(spec.bpe),
        added_before(WithNormalized(spec.added_tokens, false)),
        added_after(WithNormalized(spec.added_tokens, true)),
        prefix_ids(spec.prefix_ids),
        suffix_ids(spec.suffix_ids),
        tokens(static_cast<size_t>(spec.vocab_size)),
        adds_prefix_space(spec.pre_tokenizer.add_prefix_space) {
    for (size_t id = 0; id < spec.bpe.token_bytes.size(); ++id) {
      tokens[id].bytes = spec.bpe.token_bytes[id];
    }
    for (const AddedToken& added : spec.added_tokens) {
      TokenEntry& entry = tokens[static_cast<size_t>(added.id)];
      if (entry.bytes != added.content) entry.bytes_inside_character = std::move(entry.bytes);
      entry.bytes = added.content;
      entry.special = added.special;
      added_ids.emplace(added.content, added.id);
    }
  }

  const TokenEntry* Find(int32_t id) const {
    const bool known = id >= 0 && static_cast<size_t>(id) < tokens.size();
    return known ? &tokens[static_cast<size_t>(id)] : nullptr;
  }

  PreTokenizer pre_tokenizer;
  Bpe bpe;
  AddedTokenMatcher added_before;  // looked for in the raw text
  AddedTokenMatcher added_after;   // looked for in what is left
  std::vector<int32_t> prefix_ids;
  std::vector<int32_t> suffix_ids;
  std::vector<TokenEntry> tokens;  // by id
  absl::flat_hash_map<std::string, int32_t> added_ids;
  bool adds_prefix_space;
  base::Sha256Digest fingerprint{};
};

namespace {

// One call's state: scratch memory of the expressions and the words met so far.
class TextEncoder {
 public:
  TextEncoder(const PreTokenizer& pre_tokenizer, const Bpe& bpe, size_t text_bytes,
              std::vector<int32_t>& ids)
      : pre_tokenizer_(pre_tokenizer), bpe_(bpe), cache_(text_bytes), ids_(ids) {}

  absl::Status Append(std::string_view text) {
    return pre_tokenizer_.Split(
        text, scratch_, [this](std::string_view word, bool stable) { AppendWord(word, stable); });
  }

 private:
  void AppendWord(std::string_view word, bool stable) {
    const bool cached = stable && word.size() <= WordCache::kMaxWordBytes;
    if (cached && cache_.AppendKnown(word, ids_)) return;
    const size_t begin = ids_.size();
    bpe_.EncodeWord(word, ids_);
    if (cached) cache_.Remember(word, ids_, begin);
  }

  const PreTokenizer& pre_tokenizer_;
  const Bpe& bpe_;
  RegexScratch scratch_;
  WordCache cache_;
  std::vector<int32_t>& ids_;
};

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::unique_ptr<const Tokenizer>> Tokenizer::Load(const std::string& path) {
  std::error_code ignored;
  const bool directory = std::filesystem::is_directory(path, ignored);
  const std::string file = directory ? path + "/tokenizer.json" : path;
  ASSIGN_OR_RETURN(const std::string contents, ReadFile(file));
  return FromJson(contents, file);
}

absl::StatusOr<std::unique_ptr<const Tokenizer>> Tokenizer::FromJson(std::string_view json,
                                                                     std::string_view name) {
  ASSIGN_OR_RETURN(const TokenizerSpec spec, ParseTokenizerJson(json, name));
  absl::StatusOr<PreTokenizer> pre_tokenizer = PreTokenizer::Create(spec.pre_tokenizer);
  if (!pre_tokenizer.ok()) {
    return base::Annotate(base::Annotate(pre_tokenizer.status(), "pre_tokenizer"), name);
  }
  auto impl = std::make_unique<Impl>(spec, *std::move(pre_tokenizer));
  base::Sha256 hash;
  hash.Update(json);
  impl->fingerprint = hash.Finish();
  return std::unique_ptr<const Tokenizer>(new Tokenizer(std::move(impl)));
}

absl::StatusOr<std::vector<int32_t>> Tokenizer::Encode(std::string_view text,
                                                       bool add_special_tokens) const {
  std::vector<int32_t> ids;
  if (add_special_tokens) ids = impl_->prefix_ids;
  TextEncoder encoder(impl_->pre_tokenizer, impl_->bpe, text.size(), ids);
  for (const TextSegment& outer : impl_->added_before.Split(text)) {
    if (outer.added_id.has_value()) {
      ids.push_back(*outer.added_id);
      continue;
    }
    for (const TextSegment& inner : impl_->added_after.Split(outer.text)) {
      if (inner.added_id.has_value()) {
        ids.push_back(*inner.added_id);
      } else {
        RETURN_IF_ERROR(encoder.Append(inner.text));
      }
    }
  }
  if (add_special_tokens) {
    ids.insert(ids.end(), impl_->suffix_ids.begin(), impl_->suffix_ids.end());
  }
  return ids;
}

absl::Status Tokenizer::AppendPlain(std::string_view text, std::vector<int32_t>& ids) const {
  return TextEncoder(impl_->pre_tokenizer, impl_->bpe, text.size(), ids).Append(text);
}

absl::StatusOr<std::vector<int32_t>> Tokenizer::EncodePlain(std::string_view text) const {
  std::vector<int32_t> ids;
  RETURN_IF_ERROR(AppendPlain(text, ids));
  return ids;
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (const int32_t id : ids) AppendTokenBytes(id, skip_special, bytes);
  std::string text;
  AppendLossyUtf8(bytes, text);
  return text;
}

void Tokenizer::AppendTokenBytes(int32_t id, bool skip_special, std::string& bytes) const {
  const TokenEntry* entry = impl_->Find(id);
  if (entry == nullptr) return;
  const std::string& inside = entry->bytes_inside_character;
  if (!inside.empty() && Continues(bytes, inside)) {
    bytes += inside;
  } else if (!skip_special || !entry->special) {
    bytes += entry->bytes;
  }
}

std::string_view Tokenizer::TokenBytes(int32_t id) const {
  const TokenEntry* entry = impl_->Find(id);
  return entry == nullptr ? std::string_view() : std::string_view(entry->bytes);
}

std::vector<int64_t> Tokenizer::ByteOffsets(std::span<const int32_t> ids) const {
  std::vector<int64_t> offsets;
  offsets.reserve(ids.size() + 1);
  std::string bytes;
  for (const int32_t id : ids) {
    offsets.push_back(static_cast<int64_t>(bytes.size()));
    AppendTokenBytes(id, /*skip_special=*/false, bytes);
  }
  offsets.push_back(static_cast<int64_t>(bytes.size()));
  return offsets;
}

absl::StatusOr<int32_t> Tokenizer::SpecialId(std::string_view name) const {
  const auto found = impl_->added_ids.find(base::ToAbsl(name));
  if (found == impl_->added_ids.end()) {
    return absl::NotFoundError(
        absl::StrCat("the tokenizer has no added token '", base::ToAbsl(name), "'"));
  }
  return found->second;
}

bool Tokenizer::IsSpecial(int32_t id) const {
  const TokenEntry* entry = impl_->Find(id);
  return entry != nullptr && entry->special;
}

bool Tokenizer::adds_prefix_space() const { return impl_->adds_prefix_space; }

int32_t Tokenizer::vocab_size() const { return static_cast<int32_t>(impl_->tokens.size()); }

const base::Sha256Digest& Tokenizer::Fingerprint() const { return impl_->fingerprint; }

}  // namespace lectern::tokenizer
