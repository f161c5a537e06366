// The same program in C++: the header works there too.
#include <pusher.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

#define CHECK(condition) check((condition), #condition, __LINE__)

namespace {

void check(bool holds, const char *condition, int line) {
  if (!holds) {
    std::cerr << __FILE__ << ':' << line << ": not so: " << condition << '\n';
    std::exit(1);
  }
}

using Client = std::unique_ptr<Pusher, decltype(&pusher_free)>;
using Text = std::unique_ptr<char, decltype(&pusher_string_free)>;

std::string message(const Text &document) {
  std::string text(pusher_error_message(document.get(), nullptr, 0) + 1, '\0');
  text.resize(pusher_error_message(document.get(), &text[0], text.size()));
  return text;
}

} // namespace

int main() {
  std::cout << "libpusher " << pusher_version() << ", from C++\n";
  CHECK(pusher_version_number() == PUSHER_VERSION_NUMBER);

  Pusher *made = nullptr;
  char *out = nullptr;
  PusherStatus status = pusher_new(R"({"app_id":"1"})", &made, &out);
  Text refusal(out, pusher_string_free);
  CHECK(status == PUSHER_STATUS_INVALID_CONFIG);
  CHECK(made == nullptr);
  CHECK(!message(refusal).empty());
  std::cout << pusher_status_name(status) << ": " << message(refusal) << '\n';

  // Nothing listens on port 1.
  status = pusher_new("http://key:secret@127.0.0.1:1/apps/1", &made, &out);
  Client client(made, pusher_free);
  CHECK(status == PUSHER_STATUS_OK);
  CHECK(client != nullptr);
  CHECK(out == nullptr);

  status = pusher_trigger(client.get(), "my-channel", "my-event", R"({"hello":"world"})", nullptr, &out);
  Text answer(out, pusher_string_free);
  CHECK(status == PUSHER_STATUS_NOT_SENT);
  CHECK(pusher_error_delivery(answer.get()) == PUSHER_DELIVERY_NOT_SENT);
  CHECK(!message(answer).empty());
  std::cout << pusher_status_name(status) << ": " << message(answer) << '\n';
}
