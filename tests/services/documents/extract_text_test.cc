// From bytes of any kind to clean text: right for good ones, a typed error for bad ones, never a
// crash.

#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/documents/document_store.h"
#include "services/documents/mime_type.h"
#include "services/documents/text_decoder.h"
#include "tests/services/documents/paragraph_checks.h"
#include "tests/services/documents/small_pdf.h"

namespace lectern::documents {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusOr<ExtractedText> Extract(std::string_view source, std::string_view type = "",
                                      std::string_view name = "",
                                      const DocumentStoreOptions& options = {}) {
  auto extracted = ExtractText(source, type, name, options, [] { return false; });
  if (extracted.ok()) {
    EXPECT_TRUE(IsValidUtf8(extracted->text));
    CheckParagraphs(extracted->text, SplitParagraphs(extracted->text, extracted->page_begins));
  }
  return extracted;
}

std::string TextOf(std::string_view source, std::string_view type = "text/plain") {
  const auto extracted = Extract(source, type);
  EXPECT_TRUE(extracted.ok()) << extracted.status();
  return extracted.ok() ? extracted->text : "";
}

std::string ErrorOf(std::string_view source, std::string_view type = "text/plain",
                    const DocumentStoreOptions& options = {}) {
  const auto extracted = Extract(source, type, "", options);
  EXPECT_EQ(extracted.status().code(), absl::StatusCode::kInvalidArgument) << extracted.status();
  return std::string(extracted.status().message());
}

TEST(PlainTextTest, KeepsUtf8AndStraightensLineEnds) {
  EXPECT_EQ(TextOf("a\r\nb\rc\nd\fe\u0085f naïve 😀"), "a\nb\nc\nd\ne\nf naïve 😀");
  EXPECT_EQ(TextOf("\xEF\xBB\xBFtext"), "text");
}

TEST(PlainTextTest, ControlCharactersBecomeSpaces) {
  EXPECT_EQ(TextOf("one\0two three and four\x1B[1m five\x7Fsix"s),
            "one two three and four [1m five six");
}

TEST(PlainTextTest, ReadsUtf16) {
  EXPECT_EQ(TextOf("\xFF\xFEh\0i\0\x3D\xD8\x00\xDE"s), "hi😀");
  EXPECT_EQ(TextOf("\xFE\xFF\0h\0i"s), "hi");
  EXPECT_EQ(TextOf("N\0o\0 \0m\0a\0r\0k\0.\0"s), "No mark.");
  EXPECT_EQ(TextOf("\xFF\xFEh\0\x00\xD8x"s),
            "h\uFFFD\uFFFD");  // a lone surrogate, a torn character
}

TEST(PlainTextTest, ReadsLatin1AndRepairsDamagedUtf8) {
  EXPECT_EQ(TextOf("caf\xE9 \x93quoted\x94 \x80"), "café “quoted” €");
  EXPECT_EQ(TextOf("naïve Zoë für \xFF hören"), "naïve Zoë für \uFFFD hören");
  EXPECT_EQ(TextOf("überlong \xC0\xAF und \xED\xA0\x80 ähnlich öfter übrig ärger müßig"),
            "überlong \uFFFD\uFFFD und \uFFFD\uFFFD\uFFFD ähnlich öfter übrig ärger müßig");
}

TEST(PlainTextTest, RefusesWhatIsNotText) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("empty"));
  EXPECT_THAT(ErrorOf(" \n\t \u00A0\u200B"), HasSubstr("no text"));
  EXPECT_THAT(ErrorOf("PK\x03\x04\0\0\x01\x02\x03\x04\x05\0\0\0\x01"s), HasSubstr("binary"));
  EXPECT_THAT(ErrorOf("\xFF\xFE\0\0a\0\0\0"s), HasSubstr("UTF-32"));
  EXPECT_THAT(ErrorOf("x", "application/zip"), HasSubstr("application/zip"));
  EXPECT_EQ(Extract("x", "", "report.docx").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(PlainTextTest, HoldsItsLimits) {
  DocumentStoreOptions options;
  options.source_bytes_max = 1000;
  EXPECT_THAT(ErrorOf(std::string(1001, 'a'), "text/plain", options), HasSubstr("limit is 1000"));
  options.source_bytes_max = 100'000;
  options.text_bytes_max = 1000;
  EXPECT_THAT(ErrorOf(std::string(1001, 'a'), "text/plain", options), HasSubstr("1000"));
  EXPECT_THAT(ErrorOf(std::string(900, '\xE9'), "text/plain", options), HasSubstr("1000"));
  EXPECT_THAT(ErrorOf(std::string(3'000'000, '\n') + "a"), HasSubstr("lines"));
}

TEST(PlainTextTest, ALineOfManyMegabytesIsFine) {
  const auto extracted = Extract(std::string(4'000'000, 'a'), "text/plain");
  ASSERT_TRUE(extracted.ok());
  EXPECT_EQ(SplitParagraphs(extracted->text, {}).size(), 2'000u);
}

TEST(MimeTypeTest, GuessesFromNameAndBytes) {
  EXPECT_EQ(GuessMimeType("%PDF-1.4", "x.txt"), kPdf);
  EXPECT_EQ(GuessMimeType("rubbish %PDF-1.4", "x"), kPdf);
  EXPECT_EQ(GuessMimeType("on %PDF-1.4", "notes.md"), kMarkdown);
  EXPECT_EQ(GuessMimeType("x", "dir.d/A.HTML"), kHtml);
  EXPECT_EQ(GuessMimeType("  <!DOCTYPE HTML><p>", "page"), kHtml);
  EXPECT_EQ(GuessMimeType("x", "dir.md/file"), kPlainText);
  EXPECT_EQ(*CanonicalMimeType("Text/HTML; charset=utf-8"), kHtml);
  EXPECT_EQ(*CanonicalMimeType(""), "");
}

TEST(HtmlTest, BlocksBecomeParagraphsTheTitleFirst) {
  EXPECT_EQ(
      TextOf(
          "<html><head><title>T &amp; x</title><style>a{}</style></head><body><h1>Hello</h1><p>One "
          "<b>two</b>,\nthree.<br>four<div>f<!-- c --><i>iv</i>e</div><script>no()</script>tail",
          "text/html"),
      "T & x\n\nHello\n\nOne two, three.\nfour\n\nfive\n\ntail\n");
  EXPECT_EQ(TextOf("<title>Same</title><h1>Same</h1><p>x", "text/html"), "Same\n\nx\n");
}

TEST(HtmlTest, ListsTablesAndPreformattedText) {
  EXPECT_EQ(TextOf("<ul><li>a<li>b</ul><ol><li><p>c</p></ol>", "text/html"), "- a\n- b\n\n- c\n");
  EXPECT_EQ(TextOf("<table><tr><th>h1<th>h2<tr><td>a<td><p>b</p><p>c</p></table>", "text/html"),
            "h1 | h2\na | b c\n");
  EXPECT_EQ(TextOf("<pre>x  y\n  z</pre>w", "text/html"), "x  y\n  z\n\nw\n");
}

TEST(HtmlTest, HiddenTextIsNotRead) {
  EXPECT_EQ(TextOf("<p hidden>a</p><p style='Display : "
                   "none'>b</p><template>c</template><noscript>d</noscript>e",
                   "text/html"),
            "e\n");
}

TEST(HtmlTest, DecodesEntitiesAndEncodings) {
  EXPECT_EQ(TextOf("<p>&lt;&eacute;&#8364;&#x1F600;&#0;&#xD800;&#1;x", "text/html").substr(0, 10),
            "<é€😀");
  EXPECT_EQ(TextOf("<meta charset=iso-8859-1><p>caf\xE9", "text/html"), "café\n");
  EXPECT_THAT(ErrorOf("<meta charset=\"Shift_JIS\"><p>\x83\x65", "text/html"),
              HasSubstr("shift_jis"));
}

TEST(HtmlTest, DepthDoesNotReachTheStack) {
  std::string page;
  for (int i = 0; i < 20'000; ++i) page += i % 2 == 0 ? "<div>" : "<span>";
  EXPECT_EQ(TextOf(page + "deep", "text/html"), "deep\n");
  // gumbo destroys what came before a frameset, recursively; spans keep the frameset permitted.
  std::string spans;
  for (int i = 0; i < 300'000; ++i) spans += "<span>";
  EXPECT_EQ(TextOf(spans + "<FrameSet>x", "text/html"), "x\n");
}

TEST(HtmlTest, BombsEndAtTheirLimits) {
  DocumentStoreOptions options;
  options.extractor_memory_bytes = 8 << 20;
  std::string page = "<p>";  // each <p> opens every <b> again: quadratic in nodes
  for (int i = 0; i < 3000; ++i) page += "<b a=" + std::to_string(i) + ">";
  for (int i = 0; i < 3000; ++i) page += "<p>x";
  EXPECT_THAT(ErrorOf(page, "text/html", options), HasSubstr("8 MiB"));
  options.extractor_memory_bytes = 1 << 30;
  options.extractor_seconds = 0;
  EXPECT_THAT(ErrorOf(page, "text/html", options), HasSubstr("0 s"));
}

TEST(HtmlTest, CancelStopsTheParse) {
  std::string page;
  for (int i = 0; i < 20'000; ++i) page += "<p>text";
  int polls = 0;
  const auto extracted = ExtractText(page, "text/html", "", {}, [&] { return ++polls > 1; });
  EXPECT_EQ(extracted.status().code(), absl::StatusCode::kCancelled);
}

TEST(PdfTest, PagesAndTextAreExact) {
  const auto extracted =
      Extract(MakePdf({"First page.\nSecond line.", "Page two here.", "Three."}));
  ASSERT_TRUE(extracted.ok()) << extracted.status();
  EXPECT_EQ(extracted->mime_type, kPdf);
  ASSERT_EQ(extracted->page_begins.size(), 3u);
  EXPECT_EQ(extracted->page_begins[0], 0);
  const std::string& text = extracted->text;
  EXPECT_EQ(text.find('\f'), std::string::npos);
  EXPECT_EQ(text.substr(static_cast<size_t>(extracted->page_begins[1]), 14), "Page two here.");
  EXPECT_EQ(text.substr(static_cast<size_t>(extracted->page_begins[2]), 6), "Three.");
  ParsedDocument document;
  document.page_begins = extracted->page_begins;
  EXPECT_EQ(document.PageOf(0), 1);
  EXPECT_EQ(document.PageOf(document.page_begins[1] - 1), 1);
  EXPECT_EQ(document.PageOf(document.page_begins[1]), 2);
  EXPECT_EQ(document.PageOf(document.page_begins[2] + 5), 3);
  EXPECT_EQ(ParsedDocument{}.PageOf(7), 0);
}

TEST(PdfTest, BadOnesSayWhy) {
  EXPECT_THAT(ErrorOf("%PDF-1.4\ngarbage", ""), HasSubstr("cannot be read"));
  EXPECT_THAT(ErrorOf("no PDF at all", "application/pdf"), HasSubstr("cannot be read"));
  EXPECT_THAT(ErrorOf(MakePdf({""}), ""), HasSubstr("no text layer on its 1 pages"));
  PdfWriter no_pages;
  no_pages.Add("<< /Type /Catalog /Pages 2 0 R >>");
  no_pages.Add("<< /Type /Pages /Count 0 /Kids [] >>");
  EXPECT_THAT(ErrorOf(no_pages.Finish(), ""), HasSubstr("PDF"));
}

TEST(PdfTest, EncryptedOnesSayThatTheyAre) {
  // A user password that is not the empty one: any /U that does not verify.
  const std::string key(64, '5');
  const std::string encrypted = MakePdf(
      {"secret"},
      " /ID [<00112233445566778899AABBCCDDEEFF> <00112233445566778899AABBCCDDEEFF>] /Encrypt << "
      "/Filter /Standard /V 1 /R 2 /P -44 /O <" +
          key + "> /U <" + key + "> >>");
  EXPECT_THAT(ErrorOf(encrypted, ""), HasSubstr("password"));
}

TEST(PdfTest, AMissingPdftotextNamesThePackage) {
  DocumentStoreOptions options;
  options.pdftotext = "pdftotext-that-is-not-there";
  const auto extracted = Extract(MakePdf({"x"}), "", "", options);
  EXPECT_EQ(extracted.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(extracted.status().message()), HasSubstr("poppler-utils"));
}

TEST(PdfTest, TextBeyondTheLimitIsRefused) {
  DocumentStoreOptions options;
  options.text_bytes_max = 1000;
  std::string page;
  for (int i = 0; i < 40; ++i) page += "A line of text that is long enough to count.\n";
  EXPECT_THAT(ErrorOf(MakePdf({page}), "", options), HasSubstr("1000 bytes"));
}

// Every stream of damage ends in text or in InvalidArgument; this process lives on.
TEST(PdfTest, TruncatedAndFlippedFilesAreHarmless) {
  const std::string whole = MakePdf({"First page.\nSecond line.", "Page two here."});
  const uint32_t seed = std::random_device{}();
  std::fprintf(stderr, "seed %u\n", seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 24; ++round) {
    std::string damaged = whole;
    if (round % 2 == 0) damaged.resize(random() % whole.size());
    for (int flips = 0; flips < 8 && round % 3 != 0 && !damaged.empty(); ++flips) {
      damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
    }
    const auto extracted = Extract(damaged, "application/pdf");
    EXPECT_TRUE(extracted.ok() || extracted.status().code() == absl::StatusCode::kInvalidArgument)
        << extracted.status();
  }
}

}  // namespace
}  // namespace lectern::documents
