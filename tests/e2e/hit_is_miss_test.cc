// An answer over cached pages is the answer computed cold, token for token: random documents,
// questions, chunk sizes, hit lengths and batch mates, in memory and after a restart from disk,
// below and far beyond index_topk.

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <random>
#include <set>
#include <thread>

#include "tests/e2e/asking.h"
#include "tests/e2e/processes.h"
#include "tests/e2e/tiny_model.h"

namespace lectern::e2e {
namespace {

constexpr int kAnswerTokens = 24;

class HitIsMissTest : public testing::Test {
 protected:
  HitIsMissTest() : directory_("hit") {
    const auto model = WriteTinyModel(directory_.Path("model"));
    EXPECT_TRUE(model.ok()) << model.status();
    model_ = *model;
  }

  std::unique_ptr<ServerProcess> Serve(const std::string& data, int chunk) {
    auto server =
        ServerProcess::Start({.data_directory = directory_.Path(data),
                              .model = model_,
                              .flags = {"--max-batch-tokens", std::to_string(chunk), "--quiet"}});
    EXPECT_TRUE(server.ok()) << server.status();
    return server.ok() ? *std::move(server) : nullptr;
  }

  TestDirectory directory_;
  std::string model_;
};

struct Draw {
  std::string document;
  std::string question;
  std::vector<std::string> earlier;  // asked before, so that pages are there
  int batch_mates = 0;
};

// A document of 5 to 900 words (about 10 to 2,500 tokens), sometimes a longer version of an earlier
// one, so that the hit covers only a part.
Draw MakeDraw(std::mt19937_64& random) {
  Draw draw;
  const uint64_t text_seed = random() % 4;  // few, so that documents share beginnings
  const int words = 5 + static_cast<int>(random() % 900);
  draw.document = RandomText(words, text_seed);
  draw.question = RandomText(4 + static_cast<int>(random() % 20), random());
  for (uint64_t i = random() % 3; i > 0; --i) {
    draw.earlier.push_back(RandomText(3 + static_cast<int>(random() % 10), random()));
  }
  draw.batch_mates = static_cast<int>(random() % 4);
  return draw;
}

struct Outcome {
  std::vector<int32_t> tokens;
  int64_t cached = 0;
};

absl::StatusOr<Outcome> AskWarm(ServerProcess& server, const std::string& path, const Draw& draw,
                                uint64_t mate_seed) {
  const std::unique_ptr<cli::Client> client = server.Connect();
  const auto document = UploadText(*client, path, draw.document);
  if (!document.ok()) return document.status();
  if (!draw.earlier.empty()) {
    const auto earlier = Ask(*client, {*document}, draw.earlier, Greedy(4));
    if (!earlier.ok()) return earlier.status();
  }
  std::vector<std::thread> mates;
  for (int i = 0; i < draw.batch_mates; ++i) {
    mates.emplace_back([&, i] {
      const std::unique_ptr<cli::Client> own = server.Connect();
      const auto answer =
          Ask(*own, {*document}, {RandomText(9, mate_seed + static_cast<uint64_t>(i))},
              Greedy(kAnswerTokens));
      EXPECT_TRUE(answer.ok()) << answer.status();
    });
  }
  const auto answers = Ask(*client, {*document}, {draw.question}, Greedy(kAnswerTokens));
  for (std::thread& mate : mates) mate.join();
  if (!answers.ok()) return answers.status();
  const v1::Usage& usage = answers->front().answer.usage();
  return Outcome{answers->front().token_ids,
                 usage.cached_tokens_device() + usage.cached_tokens_disk()};
}

absl::StatusOr<std::vector<int32_t>> AskCold(cli::Client& client, const std::string& path,
                                             const Draw& draw) {
  const auto document = UploadText(client, path, draw.document);
  if (!document.ok()) return document.status();
  const auto answers =
      Ask(client, {*document}, {draw.question}, Greedy(kAnswerTokens, /*no_cache=*/true));
  if (!answers.ok()) return answers.status();
  EXPECT_EQ(answers->front().answer.usage().cached_tokens_device(), 0);
  EXPECT_EQ(answers->front().answer.usage().cached_tokens_disk(), 0);
  return answers->front().token_ids;
}

TEST_F(HitIsMissTest, TokensAreEqualForRandomDraws) {
  const auto seed =
      static_cast<uint64_t>(EnvironmentNumber("LECTERN_E2E_SEED", std::random_device()()));
  const int64_t draws = EnvironmentNumber("LECTERN_E2E_DRAWS", 40);
  std::cout << "LECTERN_E2E_SEED=" << seed << " LECTERN_E2E_DRAWS=" << draws << "\n";
  std::mt19937_64 random(seed);
  const std::unique_ptr<ServerProcess> cold = Serve("cold", 512);
  ASSERT_NE(cold, nullptr);
  const std::unique_ptr<cli::Client> cold_client = cold->Connect();
  // Chunk sizes beside page and index_topk borders; one server at a time holds the warm pages.
  std::vector<int> chunks = {17, 64, 100, 512};
  std::set<std::vector<int32_t>> distinct;
  int64_t hits = 0;
  int restarts = 0;
  std::unique_ptr<ServerProcess> warm;
  for (int64_t i = 0; i < draws; ++i) {
    // Every tenth draw finds its pages on disk, through another chunk size.
    if (i % 10 == 0) {
      if (warm != nullptr) {
        EXPECT_EQ(warm->Stop(), 0);
        ++restarts;
      }
      warm = Serve("warm", chunks[static_cast<size_t>(i / 10) % chunks.size()]);
      ASSERT_NE(warm, nullptr);
    }
    const Draw draw = MakeDraw(random);
    SCOPED_TRACE(testing::Message() << "seed " << seed << " draw " << i);
    const std::string path = directory_.Path("document.txt");
    const auto warm_answer = AskWarm(*warm, path, draw, random());
    ASSERT_TRUE(warm_answer.ok()) << warm_answer.status() << warm->Log();
    const auto cold_answer = AskCold(*cold_client, path, draw);
    ASSERT_TRUE(cold_answer.ok()) << cold_answer.status();
    EXPECT_EQ(warm_answer->tokens, *cold_answer) << "cached tokens: " << warm_answer->cached;
    hits += warm_answer->cached > 0;
    distinct.insert(*cold_answer);
  }
  std::cout << hits << " of " << draws << " draws hit; " << distinct.size()
            << " different answers; " << restarts << " restarts\n";
  // A test of hits that never hits, or of answers that are all the same (a random model may end one
  // at once), would prove nothing.
  EXPECT_GE(hits, draws / 4);
  EXPECT_GE(distinct.size(), static_cast<size_t>(draws / 4));
}

}  // namespace
}  // namespace lectern::e2e
