// Measures the overhead of pusher.hpp over the C functions: the same calls by both in turn, on one client. It has no limit.
//
//   benchmark [ROUNDS]
#include <pusher.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace {

std::size_t rounds = 41;

using work = void (*)(const pusher::client &);

// The transport of both sends nothing, so that only the call is measured.
void answer(void *, const PusherRequest *, PusherResponse *response) {
  static const std::uint8_t body[] = {'{', '}'};
  pusher_response_set(response, 200, body, sizeof body);
}

double nanoseconds(work call, const pusher::client &client) {
  constexpr int times = 4000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < times; i++) call(client);
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() / times;
}

void compare(const char *name, const pusher::client &client, work in_c, work in_cpp) {
  std::vector<double> c(rounds), cpp(rounds);
  for (std::size_t i = 0; i < rounds; i++) {
    c[i] = nanoseconds(in_c, client);
    cpp[i] = nanoseconds(in_cpp, client);
  }
  std::sort(c.begin(), c.end());
  std::sort(cpp.begin(), cpp.end());
  std::printf("%-40s C %7.0f ns   C++ %7.0f ns   %.2f times\n", name, c[rounds / 2], cpp[rounds / 2],
              cpp[rounds / 2] / c[rounds / 2]);
}

} // namespace

int main(int count, char **words) {
  if (count > 1) rounds = std::strtoul(words[1], nullptr, 10);
  if (rounds == 0) return 2;
  pusher::client client("http://key:secret@127.0.0.1:1/apps/1");
  char *out = nullptr;
  if (pusher_set_transport(client.native_handle(), answer, nullptr, nullptr, &out) != PUSHER_STATUS_OK) return 1;

  compare(
      "authorize a private channel", client,
      [](const pusher::client &c) {
        char *document = nullptr;
        pusher_authenticate(c.native_handle(), "private-channel", "1234.5678", nullptr, &document);
        pusher_string_free(document);
      },
      [](const pusher::client &c) { c.authenticate("private-channel", "1234.5678"); });
  compare(
      "authorize a presence channel", client,
      [](const pusher::client &c) {
        char *document = nullptr;
        pusher_authenticate(c.native_handle(), "presence-channel", "1234.5678", R"({"user_id":"7"})", &document);
        pusher_string_free(document);
      },
      [](const pusher::client &c) { c.authenticate("presence-channel", "1234.5678", R"({"user_id":"7"})"); });
  compare(
      "trigger, but for the network", client,
      [](const pusher::client &c) {
        char *document = nullptr;
        pusher_trigger(c.native_handle(), "my-channel", "my-event", R"({"hello":"world"})", nullptr, &document);
        pusher_string_free(document);
      },
      [](const pusher::client &c) { c.trigger("my-channel", "my-event", R"({"hello":"world"})"); });
  compare(
      "trigger on three channels, but for that", client,
      [](const pusher::client &c) {
        char *document = nullptr;
        pusher_trigger(c.native_handle(), R"(["a","b","c"])", "my-event", R"({"hello":"world"})",
                       R"({"socket_id":"1.2"})", &document);
        pusher_string_free(document);
      },
      [](const pusher::client &c) {
        c.trigger({"a", "b", "c"}, "my-event", R"({"hello":"world"})", pusher::options().socket_id("1.2"));
      });
}
