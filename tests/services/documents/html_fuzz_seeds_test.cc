// The fuzz entry of tests/fuzz/html_fuzz.cc over a page with everything in it and many damaged
// copies.

#include <cstdio>
#include <random>

#include "gtest/gtest.h"
#include "tests/fuzz/seeded_inputs.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace lectern::documents {
namespace {

TEST(HtmlFuzzSeedsTest, DamagedPagesAreRefusedOrRead) {
  const uint64_t seed = std::random_device{}();
  std::fprintf(stderr, "seed %llu\n", static_cast<unsigned long long>(seed));
  const std::string page =
      "<!DOCTYPE html><html><head><meta charset=utf-8><title>T &amp; "
      "x</title><style>p{}</style></head><body>"
      "<h1>Über</h1><p hidden>no<p>One <b "
      "a=1>two</b>,\nthree&nbsp;&#8364;.<br><br>4<ul><li>a<li><p>b</ul>"
      "<table><tr><th>h<td>c<tr><td><table><td>d</table></table><pre>x\n  y</pre><svg><p>z</svg>"
      "<form><select><option>o</select><textarea><b></textarea></form><frameset><frame></frameset>"
      "<script>if (a<b) {}</script><template><p>t</template><![CDATA[q]]><!-- c --></body></html>";
  fuzz::RunSeededInputs(
      page, seed, 3000,
      [](const std::string& input) {
        EXPECT_EQ(
            LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size()),
            0);
      },
      300);
}

}  // namespace
}  // namespace lectern::documents
