#include "services/documents/html_text.h"

#include <gumbo.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status.h"
#include "services/documents/html_parser.h"
#include "services/documents/mime_type.h"
#include "services/documents/text_decoder.h"
#include "services/documents/utf8.h"

namespace lectern::documents {
namespace {

// Cells longer than this hold the layout of a page rather than an entry of a table; their blocks
// stay blocks.
constexpr unsigned int kCellBytesMax = 1000;

constexpr int kHtmlSecondsMax = 20;

enum class Flow { kInline, kParagraph, kLine, kItem, kRow, kCell, kBreak, kPre, kDropped };

Flow FlowOf(GumboTag tag) {
  switch (tag) {
    case GUMBO_TAG_SCRIPT:
    case GUMBO_TAG_STYLE:
    case GUMBO_TAG_TEMPLATE:
    case GUMBO_TAG_NOSCRIPT:
    case GUMBO_TAG_HEAD:
    case GUMBO_TAG_SVG:
    case GUMBO_TAG_MATH:
    case GUMBO_TAG_IFRAME:
    case GUMBO_TAG_OBJECT:
    case GUMBO_TAG_EMBED:
    case GUMBO_TAG_AUDIO:
    case GUMBO_TAG_VIDEO:
    case GUMBO_TAG_CANVAS:
    case GUMBO_TAG_SELECT:
    case GUMBO_TAG_TEXTAREA:
    case GUMBO_TAG_BUTTON:
    case GUMBO_TAG_INPUT:
    case GUMBO_TAG_DATALIST:
    case GUMBO_TAG_NOFRAMES:
    case GUMBO_TAG_NOEMBED:
      return Flow::kDropped;
    case GUMBO_TAG_ADDRESS:
    case GUMBO_TAG_ARTICLE:
    case GUMBO_TAG_ASIDE:
    case GUMBO_TAG_BLOCKQUOTE:
    case GUMBO_TAG_BODY:
    case GUMBO_TAG_CENTER:
    case GUMBO_TAG_DETAILS:
    case GUMBO_TAG_DIV:
    case GUMBO_TAG_DL:
    case GUMBO_TAG_FIELDSET:
    case GUMBO_TAG_FIGCAPTION:
    case GUMBO_TAG_FIGURE:
    case GUMBO_TAG_FOOTER:
    case GUMBO_TAG_FORM:
    case GUMBO_TAG_H1:
    case GUMBO_TAG_H2:
    case GUMBO_TAG_H3:
    case GUMBO_TAG_H4:
    case GUMBO_TAG_H5:
    case GUMBO_TAG_H6:
    case GUMBO_TAG_HEADER:
    case GUMBO_TAG_HGROUP:
    case GUMBO_TAG_HR:
    case GUMBO_TAG_MAIN:
    case GUMBO_TAG_MENU:
    case GUMBO_TAG_NAV:
    case GUMBO_TAG_OL:
    case GUMBO_TAG_P:
    case GUMBO_TAG_SECTION:
    case GUMBO_TAG_SUMMARY:
    case GUMBO_TAG_TABLE:
    case GUMBO_TAG_CAPTION:
    case GUMBO_TAG_UL:
    case GUMBO_TAG_LEGEND:
    case GUMBO_TAG_DT:
    case GUMBO_TAG_DD:
      return Flow::kParagraph;
    case GUMBO_TAG_THEAD:
    case GUMBO_TAG_TBODY:
    case GUMBO_TAG_TFOOT:
    case GUMBO_TAG_OPTION:
      return Flow::kLine;
    case GUMBO_TAG_LI:
      return Flow::kItem;
    case GUMBO_TAG_TR:
      return Flow::kRow;
    case GUMBO_TAG_TD:
    case GUMBO_TAG_TH:
      return Flow::kCell;
    case GUMBO_TAG_BR:
      return Flow::kBreak;
    case GUMBO_TAG_PRE:
    case GUMBO_TAG_LISTING:
    case GUMBO_TAG_XMP:
    case GUMBO_TAG_PLAINTEXT:
      return Flow::kPre;
    default:
      return Flow::kInline;
  }
}

// Text with breaks that never pile up, whatever the nesting.
class TextFlow {
 public:
  void Collapsed(std::string_view text) {
    for (const char byte : text) {
      if (byte == ' ' || byte == '\n' || byte == '\t') {
        space_ = true;
      } else {
        PutPending();
        out_.push_back(byte);
      }
    }
  }
  void Verbatim(std::string_view text) {
    if (text.empty()) return;
    PutPending();
    out_.append(text);
  }
  void Space() { space_ = true; }
  // At least `lines` line ends before the next text: 1 a new line, 2 a new paragraph.
  void Break(int lines) {
    if (inline_cells_ > 0) {
      space_ = true;
    } else if (!after_marker_) {
      breaks_ = std::max(breaks_, lines);
    }
  }
  void LineBreak() { Break(std::min(breaks_ + 1, 2)); }
  // "- " or " | ": a break right behind it is swallowed, so that <li><p> stays one line.
  void Marker(std::string_view marker) {
    PutPending();
    out_.append(marker);
    after_marker_ = true;
  }
  void EnterInlineCell() { ++inline_cells_; }
  void LeaveInlineCell() { --inline_cells_; }
  size_t size() const { return out_.size(); }
  std::string Take() { return std::move(out_); }

 private:
  void PutPending() {
    if (breaks_ > 0) {
      if (!out_.empty()) out_.append(static_cast<size_t>(breaks_), '\n');
    } else if (space_ && !out_.empty() && out_.back() != ' ' && out_.back() != '\n') {
      out_.push_back(' ');
    }
    breaks_ = 0;
    space_ = false;
    after_marker_ = false;
  }

  std::string out_;
  int breaks_ = 0;
  bool space_ = false;
  bool after_marker_ = false;
  int inline_cells_ = 0;
};

bool IsHidden(const GumboElement& element) {
  if (gumbo_get_attribute(&element.attributes, "hidden") != nullptr) return true;
  const GumboAttribute* style = gumbo_get_attribute(&element.attributes, "style");
  if (style == nullptr) return false;
  std::string rules = AsciiToLower(style->value);
  rules.erase(std::remove(rules.begin(), rules.end(), ' '), rules.end());
  return rules.find("display:none") != std::string::npos;
}

bool IsInlineCell(const GumboElement& element) {
  return element.end_pos.offset >= element.start_pos.offset &&
         element.end_pos.offset - element.start_pos.offset < kCellBytesMax;
}

bool IsElement(const GumboNode& node) { return node.type == GUMBO_NODE_ELEMENT; }

// Walks a tree without recursion, since its depth is the page's choice.
class Walker {
 public:
  Walker(const DocumentStoreOptions& options, const std::function<bool()>& cancelled)
      : options_(options), cancelled_(cancelled) {}

  absl::StatusOr<std::string> Walk(const GumboNode& root) {
    Visit(root);
    uint64_t steps = 0;
    while (!path_.empty()) {
      if (++steps % 8192 == 0 && cancelled_ && cancelled_())
        return absl::CancelledError("reading HTML was cancelled");
      if (flow_.size() > static_cast<size_t>(options_.text_bytes_max)) {
        return absl::InvalidArgumentError(absl::StrCat("the HTML page has more than ",
                                                       options_.text_bytes_max, " bytes of text"));
      }
      const GumboVector& children = path_.back().node->v.element.children;
      if (path_.back().next_child < children.length) {
        Visit(*static_cast<const GumboNode*>(children.data[path_.back().next_child++]));
      } else {
        Leave(*path_.back().node);
        path_.pop_back();
      }
    }
    return flow_.Take();
  }

 private:
  struct Step {
    const GumboNode* node = nullptr;
    unsigned int next_child = 0;
    bool inline_cell = false;
    bool first_cell = true;  // of a row: no cell has been seen yet
  };

  void Visit(const GumboNode& node) {
    switch (node.type) {
      case GUMBO_NODE_TEXT:
      case GUMBO_NODE_CDATA:
        pre_depth_ > 0 ? flow_.Verbatim(node.v.text.text) : flow_.Collapsed(node.v.text.text);
        return;
      case GUMBO_NODE_WHITESPACE:
        pre_depth_ > 0 ? flow_.Verbatim(node.v.text.text) : flow_.Space();
        return;
      case GUMBO_NODE_ELEMENT:
        Enter(node);
        return;
      default:
        return;  // comments, and templates, whose content is not shown
    }
  }

  void Enter(const GumboNode& node) {
    const GumboElement& element = node.v.element;
    const Flow flow = FlowOf(element.tag);
    if (flow == Flow::kDropped || IsHidden(element)) return;
    Step step{&node};
    if (flow == Flow::kParagraph || flow == Flow::kPre) flow_.Break(2);
    if (flow == Flow::kLine || flow == Flow::kItem || flow == Flow::kRow) flow_.Break(1);
    if (flow == Flow::kItem) flow_.Marker("- ");
    if (flow == Flow::kBreak) flow_.LineBreak();
    pre_depth_ += flow == Flow::kPre;
    if (flow == Flow::kCell) {
      const bool in_row = !path_.empty() && path_.back().node->v.element.tag == GUMBO_TAG_TR;
      step.inline_cell = IsInlineCell(element);
      if (in_row && !path_.back().first_cell && step.inline_cell) flow_.Marker(" | ");
      if (in_row) path_.back().first_cell = false;
      step.inline_cell ? flow_.EnterInlineCell() : flow_.Break(2);
    }
    path_.push_back(step);
  }

  void Leave(const GumboNode& node) {
    if (path_.back().inline_cell) flow_.LeaveInlineCell();
    const Flow flow = FlowOf(node.v.element.tag);
    pre_depth_ -= flow == Flow::kPre;
    if (flow == Flow::kParagraph || flow == Flow::kPre) flow_.Break(2);
    if (flow == Flow::kLine || flow == Flow::kItem || flow == Flow::kRow) flow_.Break(1);
  }

  const DocumentStoreOptions& options_;
  const std::function<bool()>& cancelled_;
  TextFlow flow_;
  std::vector<Step> path_;
  int pre_depth_ = 0;
};

// The child element of `parent` with this tag, or null.
const GumboNode* ChildElement(const GumboNode* parent, GumboTag tag) {
  if (parent == nullptr || !IsElement(*parent)) return nullptr;
  const GumboVector& children = parent->v.element.children;
  for (unsigned int i = 0; i < children.length; ++i) {
    const auto* child = static_cast<const GumboNode*>(children.data[i]);
    if (IsElement(*child) && child->v.element.tag == tag) return child;
  }
  return nullptr;
}

std::string TitleOf(const GumboNode* root) {
  const GumboNode* title = ChildElement(ChildElement(root, GUMBO_TAG_HEAD), GUMBO_TAG_TITLE);
  TextFlow flow;
  if (title != nullptr && title->v.element.children.length > 0) {
    const auto* text = static_cast<const GumboNode*>(title->v.element.children.data[0]);
    if (text->type == GUMBO_NODE_TEXT) flow.Collapsed(text->v.text.text);
  }
  return flow.Take();
}

// The charset that a page's first 1,024 bytes declare, lower case; empty without one.
std::string DeclaredCharset(std::string_view source) {
  const std::string head = AsciiToLower(source.substr(0, 1024));
  size_t at = head.find("charset=");
  if (at == std::string::npos) return "";
  at += std::string_view("charset=").size();
  if (at < head.size() && (head[at] == '"' || head[at] == '\'')) ++at;
  const size_t end = head.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_", at);
  return head.substr(at, std::min(end, head.size()) - at);
}

absl::StatusOr<std::string> DecodeHtml(std::string_view source,
                                       const DocumentStoreOptions& options) {
  if (!IsValidUtf8(source) && source.substr(0, 2) != "\xFF\xFE" &&
      source.substr(0, 2) != "\xFE\xFF") {
    const std::string charset = DeclaredCharset(source);
    const bool readable = charset.empty() || charset == "utf-8" || charset == "utf8" ||
                          charset == "iso-8859-1" || charset == "latin1" ||
                          charset == "windows-1252" || charset == "us-ascii" || charset == "ascii";
    if (!readable) {
      return absl::InvalidArgumentError(
          absl::StrCat("the page's encoding ", charset, " is not read; save it as UTF-8"));
    }
  }
  return DecodeText(source, {options.source_bytes_max});
}

}  // namespace

absl::StatusOr<ExtractedText> ExtractHtml(std::string_view source,
                                          const DocumentStoreOptions& options,
                                          const std::function<bool()>& cancelled) {
  ASSIGN_OR_RETURN(std::string decoded, DecodeHtml(source, options));
  // Parsing is quick (some 20 MB a second); only a page built to be slow takes longer than this.
  const HtmlLimits limits{options.extractor_memory_bytes,
                          std::min(options.extractor_seconds, kHtmlSecondsMax)};
  ASSIGN_OR_RETURN(const auto page, HtmlPage::Parse(std::move(decoded), limits, cancelled));
  std::string title = TitleOf(page->tree().root);
  ASSIGN_OR_RETURN(std::string body, Walker(options, cancelled).Walk(*page->tree().root));
  const bool repeated = body.compare(0, title.size(), title) == 0 &&
                        (body.size() == title.size() || body[title.size()] == '\n');
  if (!title.empty() && !repeated) body = absl::StrCat(title, "\n\n", body);
  if (!body.empty()) body += '\n';
  // Character references can name what the source may not contain.
  return ExtractedText{std::string(kHtml), CleanText(RepairUtf8(body)), {}};
}

}  // namespace lectern::documents
