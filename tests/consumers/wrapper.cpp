// The same program by the C++ header.
#include <pusher.hpp>

#include <cstdlib>
#include <iostream>

#define CHECK(condition) check((condition), #condition, __LINE__)

namespace {

void check(bool holds, const char *condition, int line) {
  if (!holds) {
    std::cerr << __FILE__ << ':' << line << ": not so: " << condition << '\n';
    std::exit(1);
  }
}

} // namespace

int main() {
  std::cout << "libpusher " << pusher::version() << ", by pusher.hpp\n";
  CHECK(pusher::version_number() == PUSHER_VERSION_NUMBER);

  const auto refused = pusher::client::make(pusher::config().app_id("1"));
  CHECK(!refused);
  CHECK(refused.failure().code() == PUSHER_STATUS_INVALID_CONFIG);
  std::cout << pusher::status_name(refused.failure().code()) << ": " << refused.failure().message() << '\n';

  // Nothing listens on port 1.
  const pusher::client client("http://key:secret@127.0.0.1:1/apps/1");
  pusher::delivery delivery = pusher::delivery::none;
  try {
    client.trigger("my-channel", "my-event", R"({"hello":"world"})");
  } catch (const pusher::error &error) {
    delivery = error.delivery();
    std::cout << pusher::status_name(error.status()) << ": " << error.what() << '\n';
  }
  CHECK(delivery == pusher::delivery::not_sent);
}
