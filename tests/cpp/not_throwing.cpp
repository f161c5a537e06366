// Compiled without exceptions and RTTI, and linked with sources that have both.
#include "not_throwing.hpp"

#include <pusher.hpp>

static_assert(PUSHER_HAS_EXCEPTIONS == 0);

std::string status_without_exceptions(const char *config) {
  auto client = pusher::client::make(config);
  if (!client) return std::string(pusher::status_name(client.failure().code()));
  int logged = 0;
  if (!client->try_set_log([&logged](pusher::log_level, std::string_view, std::string_view) { logged++; }))
    return "no log";
  const auto sent = client->try_trigger({"a", "b"}, "e", "{}", pusher::options().timeout(std::chrono::seconds(5)));
  if (sent) return *sent;
  if (logged == 0) return "nothing was logged";
  return std::string(pusher::status_name(sent.failure().code()));
}
