#pragma once
// Files of the user's as documents of the service: upload with resume, and the names both ways.

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lectern/v1/resources.pb.h"
#include "services/cli/client.h"

namespace lectern::cli {

struct UploadOptions {
  bool show_progress = true;
  std::string mime_type;  // empty: the server guesses
  // How long a lost server is looked for before the upload is given up; what is committed stays
  // resumable.
  double reconnect_seconds = 30;
};

// Sends the file in chunks and waits for the ingest. After Unavailable goes on from what the server
// has committed. NotFound / InvalidArgument: the file, or what the server says of it.
absl::StatusOr<v1::Document> UploadFile(Client& client, const std::string& path,
                                        const UploadOptions& options);

// Files and document names as given on a command line, as documents of the service.
struct GivenDocuments {
  std::vector<std::string> names;  // documents/{id}, without repeats, in the order given
  std::map<std::string, std::string> given_as;  // name -> path or name as given
  std::map<std::string, int32_t> pages;         // name -> pages, 0 where unpaged
  // What to call a document of the service: as it was given.
  std::string Label(const std::string& name) const;
};

// Uploads what is a file; "documents/..." that is no file is looked up.
absl::StatusOr<GivenDocuments> ResolveDocuments(Client& client,
                                                const std::vector<std::string>& given,
                                                const UploadOptions& options);

// Reads a whole file. NotFound, InvalidArgument (a directory), PermissionDenied; names the path.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// A random UUID for request_id fields.
std::string NewRequestId();

}  // namespace lectern::cli
