// Publishes events with pusher_asio.hpp and Boost.Asio, as benches/events.py tells it to on standard input.
//
//   asio PORT
//
// Each input line is `await COROUTINES SECONDS`. The program responds with a line `EVENTS SECONDS CPU_SECONDS`. That many coroutines
// publish with co_await on one thread, each one event after the other. As in events.c, the clock is read before every 64th event.
#include <pusher_asio.hpp>

#include <boost/asio.hpp>
#include <cstdlib>
#include <iostream>

#include "clock.h"

namespace asio = boost::asio;

namespace {

constexpr int CHANNELS = 100;
constexpr unsigned CHECK_EVERY = 64;

struct work {
  pusher::async_publisher publisher;
  double until;
  std::string event, data;
  std::vector<pusher::channels> channels;
  unsigned long events = 0, delivered = 0;
  bool is_over = false;
};

asio::awaitable<void> publish(work &shared) {
  for (;;) {
    if (shared.events % CHECK_EVERY == 0) shared.is_over = now() >= shared.until;
    if (shared.is_over) co_return;
    const pusher::channels &channel = shared.channels[shared.events++ % CHANNELS];
    const auto report =
        co_await shared.publisher.async_publish(channel, shared.event, shared.data, asio::use_awaitable);
    shared.delivered += report.delivered();
  }
}

std::string variable(const char *name) {
  const char *value = std::getenv(name);
  if (value == nullptr) throw std::runtime_error(std::string(name) + " is not set");
  return value;
}

void measure(const pusher::client &client, int coroutines, double seconds) {
  asio::io_context context(1);
  work shared{pusher::async_publisher(context, client), 0, variable("EVENTS_EVENT"), variable("EVENTS_DATA"), {}};
  for (int i = 0; i < CHANNELS; i++) shared.channels.emplace_back("my-channel-" + std::to_string(i));
  const double cpu = cpu_seconds(), start = now();
  shared.until = start + seconds;
  for (int i = 0; i < coroutines; i++) asio::co_spawn(context, publish(shared), asio::detached);
  context.run();
  const double elapsed = now() - start;
  if (shared.delivered != shared.events)
    throw std::runtime_error("not every event was delivered: " + shared.publisher.stats());
  std::cout << shared.events << ' ' << elapsed << ' ' << cpu_seconds() - cpu << std::endl;
}

} // namespace

int main(int count, char **arguments) {
  try {
    if (count != 2) throw std::runtime_error("usage: asio PORT");
    const pusher::client client(pusher::config()
                                    .app_id(variable("EVENTS_APP_ID"))
                                    .key(variable("EVENTS_KEY"))
                                    .secret(variable("EVENTS_SECRET"))
                                    .host("127.0.0.1")
                                    .port(static_cast<std::uint16_t>(std::stoi(arguments[1])))
                                    .ssl(false));
    std::string what;
    int coroutines;
    double seconds;
    while (std::cin >> what >> coroutines >> seconds) {
      if (what != "await") throw std::runtime_error("unknown request: " + what);
      measure(client, coroutines, seconds);
    }
    return 0;
  } catch (const std::exception &error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
