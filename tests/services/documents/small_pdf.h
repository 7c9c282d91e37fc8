#pragma once
// PDFs written by hand, small enough to reason about: one Helvetica line per text line.

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace lectern::documents {

// Appends objects, then the cross-reference table that their offsets make.
class PdfWriter {
 public:
  // Object numbers count from 1 in the order of the calls.
  void Add(std::string_view body) {
    offsets_.push_back(out_.size());
    out_ += std::to_string(offsets_.size()) + " 0 obj\n";
    out_ += body;
    out_ += "\nendobj\n";
  }
  void AddStream(std::string_view content, std::string_view entries = "") {
    Add("<< /Length " + std::to_string(content.size()) + std::string(entries) + " >>\nstream\n" +
        std::string(content) + "\nendstream");
  }
  std::string Finish(std::string_view trailer_entries = "") {
    const size_t xref = out_.size();
    out_ += "xref\n0 " + std::to_string(offsets_.size() + 1) + "\n0000000000 65535 f \n";
    for (const size_t offset : offsets_) {
      char line[32];
      std::snprintf(line, sizeof(line), "%010zu 00000 n \n", offset);
      out_ += line;
    }
    out_ += "trailer\n<< /Size " + std::to_string(offsets_.size() + 1) + " /Root 1 0 R" +
            std::string(trailer_entries) + " >>\nstartxref\n" + std::to_string(xref) + "\n%%EOF\n";
    return out_;
  }

 private:
  std::string out_ = "%PDF-1.4\n";
  std::vector<size_t> offsets_;
};

// One page per element; lines end with \n. ASCII without parentheses and backslashes.
inline std::string MakePdf(const std::vector<std::string>& pages,
                           std::string_view trailer_entries = "") {
  PdfWriter pdf;
  pdf.Add("<< /Type /Catalog /Pages 2 0 R >>");
  std::string kids;
  for (size_t i = 0; i < pages.size(); ++i) kids += std::to_string(4 + 2 * i) + " 0 R ";
  pdf.Add("<< /Type /Pages /Count " + std::to_string(pages.size()) + " /Kids [" + kids + "] >>");
  pdf.Add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>");
  for (size_t i = 0; i < pages.size(); ++i) {
    pdf.Add(
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> "
        ">> /Contents " +
        std::to_string(5 + 2 * i) + " 0 R >>");
    std::string content = "BT /F1 11 Tf 14 TL 72 720 Td\n";
    std::string_view rest = pages[i];
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      content += "(" + std::string(line) + ") Tj T*\n";
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    }
    pdf.AddStream(content + "ET");
  }
  return pdf.Finish(trailer_entries);
}

}  // namespace lectern::documents
