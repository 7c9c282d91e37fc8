#pragma once
// Byte-level BPE tokenizer of a checkpoint, from its tokenizer.json (what is read of it and what is
// refused: tokenizer_json.h). Equal to the Hugging Face `tokenizers` library token for token, with
// two knowing differences: any bytes can be encoded (below), and an added token decodes to its own
// text even where the original would read its characters as bytes ("¶" alone is the letter for byte
// 0xB6).

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/sha256.h"

namespace lectern::tokenizer {

// Immutable and thread safe after loading.
//
// Texts are UTF-8. Bytes that are not are encoded one by one through the byte alphabet, apart from
// their neighbours; their tokens' bytes are the input's bytes, and text decodes with U+FFFD for
// them.
class Tokenizer {
 public:
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // `path`: a tokenizer.json, or a directory that holds one. NotFound, or as FromJson.
  static absl::StatusOr<std::unique_ptr<const Tokenizer>> Load(const std::string& path);

  // `name` begins every error message. InvalidArgument: malformed; Unimplemented: a feature that is
  // not supported. Both name the field.
  static absl::StatusOr<std::unique_ptr<const Tokenizer>> FromJson(std::string_view json,
                                                                   std::string_view name);

  // Tokens of a text whose author may write special tokens: "<|user|>" becomes one.
  // `add_special_tokens`: also what the post-processor puts around a text (DeepSeek's BOS).
  // ResourceExhausted: the pre-tokenizer's expression gave up (split_regex.h).
  absl::StatusOr<std::vector<int32_t>> Encode(std::string_view text, bool add_special_tokens) const;

  // Appends the tokens of a text from outside: no added token, special or not, is recognised in it,
  // so that "<|assistant|>" in a document stays twelve letters and a few signs. Prompts are built
  // from this.
  absl::Status AppendPlain(std::string_view text, std::vector<int32_t>& ids) const;
  absl::StatusOr<std::vector<int32_t>> EncodePlain(std::string_view text) const;

  // Text of the tokens; broken UTF-8 becomes U+FFFD. Ids that name no token add nothing.
  // `skip_special`: leaves out added tokens marked special.
  std::string Decode(std::span<const int32_t> ids, bool skip_special) const;

  // Appends the bytes of `id` to `bytes`, the bytes of the tokens before it. The context matters
  // only where an added token shares its id with a single byte (see above): inside an unfinished
  // character the id is the byte, elsewhere the text. `skip_special`: special tokens add nothing.
  void AppendTokenBytes(int32_t id, bool skip_special, std::string& bytes) const;

  // The token's bytes out of context; empty where the id names no token. Lives as long as this.
  std::string_view TokenBytes(int32_t id) const;

  // [ids + 1] where each token begins in the bytes of them all, and their total.
  std::vector<int64_t> ByteOffsets(std::span<const int32_t> ids) const;

  // The id of an added token ("<|user|>"). NotFound names it.
  absl::StatusOr<int32_t> SpecialId(std::string_view name) const;
  bool IsSpecial(int32_t id) const;  // added and marked special

  // Whether encoding puts a space before pieces that lack one (the tokens' bytes are then not the
  // text's).
  bool adds_prefix_space() const;

  // Highest id plus one; a model's logits may be wider (padding).
  int32_t vocab_size() const;

  // SHA-256 of the file.
  const base::Sha256Digest& Fingerprint() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lectern::tokenizer
