#include <string>
#include <vector>

#include "services/cli/command.h"

int main(int argc, char** argv) {
  return lectern::cli::Run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
