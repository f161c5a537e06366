/* The relay on Boost.Asio, with coroutines: see pusher_asio.hpp. One thread, and no wait blocks it.
 *
 *   export PUSHER_URL=https://KEY:SECRET@api-eu.pusher.com/apps/ID
 *   relay_asio PORT CHANNEL EVENT
 *
 * It publishes each line that a client of PORT sends. If many of a client's lines have no report yet, it reads no more of them:
 * then the client's socket fills, and it waits. On SIGTERM it sends what is queued, and exits. */
#include <pusher_asio.hpp>

#include <boost/asio.hpp>

#include <cstdlib>
#include <iostream>
#include <set>

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr std::size_t LINE_BYTES = 4096;     // the longest line, with its end
constexpr std::size_t MAX_LINES = 2000;      // of a client, without a report
constexpr std::chrono::seconds PATIENCE{10}; // the time limit of closing

class relay {
public:
  relay(asio::io_context &context, std::string channel, std::string event)
      : context_(context), publisher_(context, pusher::client(), R"({"max_queue_events":1000})"),
        channel_(std::move(channel)), event_(std::move(event)) {}

  /* Takes clients, until SIGTERM or SIGINT. Then it ends, when every event has. */
  void run(unsigned short port) {
    acceptor_.emplace(context_, tcp::endpoint(asio::ip::address_v4::loopback(), port));
    std::cout << "listening on 127.0.0.1:" << acceptor_->local_endpoint().port() << std::endl;
    asio::co_spawn(context_, accept(), asio::detached);
    asio::co_spawn(context_, end_on_signal(), asio::detached);
    context_.run();
    std::cout << publisher_.stats() << std::endl;
  }
  bool is_complete() const { return is_complete_; }

private:
  struct client {
    explicit client(tcp::socket accepted) : socket(std::move(accepted)), has_room(socket.get_executor()) {}
    tcp::socket socket;
    std::size_t lines = 0;       // without a report
    asio::steady_timer has_room; // never expires: it is cancelled when there is room
  };

  asio::awaitable<void> accept() {
    for (;;) {
      auto accepted = std::make_shared<client>(co_await acceptor_->async_accept(asio::use_awaitable));
      clients_.insert(accepted);
      asio::co_spawn(context_, read(accepted), asio::detached);
    }
  }

  asio::awaitable<void> read(std::shared_ptr<client> from) {
    std::string input;
    try {
      for (;;) {
        const auto length = co_await asio::async_read_until(from->socket, asio::dynamic_buffer(input, LINE_BYTES), '\n',
                                                            asio::use_awaitable);
        asio::co_spawn(context_, publish(from, input.substr(0, length - 1)), asio::detached);
        input.erase(0, length);
        if (++from->lines == MAX_LINES) co_await wait_for_room(*from);
      }
    } catch (const boost::system::system_error &) {
      // The client has closed the connection, or its line is too long.
    }
    clients_.erase(from);
  }

  static asio::awaitable<void> wait_for_room(client &from) {
    boost::system::error_code cancelled;
    from.has_room.expires_at(asio::steady_timer::time_point::max());
    co_await from.has_room.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }

  asio::awaitable<void> publish(std::shared_ptr<client> from, std::string line) {
    // A payload is JSON: a line becomes a JSON string.
    const pusher::report report =
        co_await publisher_.async_publish(channel_, event_, pusher::json_string(line), asio::use_awaitable);
    if (!report.delivered()) std::cout << "{\"reports\":[" << report.document() << "]}\n";
    if (--from->lines == MAX_LINES / 2) from->has_room.cancel();
  }

  asio::awaitable<void> end_on_signal() {
    asio::signal_set signals(context_, SIGTERM, SIGINT);
    co_await signals.async_wait(asio::use_awaitable);
    acceptor_->close();
    for (const auto &one : clients_) one->socket.close();
    boost::system::error_code late;
    co_await publisher_.async_close(PATIENCE, asio::redirect_error(asio::use_awaitable, late));
    is_complete_ = !late;
  }

  asio::io_context &context_;
  pusher::async_publisher publisher_;
  std::string channel_, event_;
  std::optional<tcp::acceptor> acceptor_;
  std::set<std::shared_ptr<client>> clients_;
  bool is_complete_ = false;
};

} // namespace

int main(int argc, char **argv) {
  if (argc != 4) {
    std::cerr << "usage: relay_asio PORT CHANNEL EVENT\n";
    return 1;
  }
  try {
    asio::io_context context(1);
    relay relay(context, argv[2], argv[3]);
    relay.run(static_cast<unsigned short>(std::atoi(argv[1])));
    return relay.is_complete() ? 0 : 1;
  } catch (const std::exception &error) {
    std::cerr << "relay: " << error.what() << '\n';
    return 1;
  }
}
