#ifndef NOT_THROWING_HPP
#define NOT_THROWING_HPP

#include <string>

// Triggers an event, and says the status that comes of it.
std::string status_without_exceptions(const char *config);

#endif
