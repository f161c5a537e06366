#ifndef NOT_THROWING_HPP
#define NOT_THROWING_HPP

#include <string>

// Triggers an event, and returns the status.
std::string status_without_exceptions(const char *config);

#endif
