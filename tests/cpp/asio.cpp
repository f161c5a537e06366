// Tests pusher_asio.hpp, with Boost.Asio or with standalone Asio. The client's transport is the server: it answers when a test
// lets it. tests/event_loops sends to a real server that fails.
//
// The header comes first: awaitable.hpp of Boost 1.74 does not include what it needs.
#include <pusher_asio.hpp>

#include <atomic>
#include <condition_variable>
#include <future>
#include <map>
#include <set>
#include <thread>

#ifdef PUSHER_ASIO_STANDALONE
#include <asio.hpp>
#if __has_include(<asio/deferred.hpp>)
#include <asio/deferred.hpp>
#elif __has_include(<asio/experimental/deferred.hpp>)
#include <asio/experimental/deferred.hpp>
#endif
#if __has_include(<asio/experimental/awaitable_operators.hpp>)
#include <asio/experimental/awaitable_operators.hpp>
#endif
namespace net = asio;
using error_code = std::error_code;
using system_error = std::system_error;
#else
#include <boost/asio.hpp>
#if __has_include(<boost/asio/experimental/awaitable_operators.hpp>)
#include <boost/asio/experimental/awaitable_operators.hpp>
#endif
namespace net = boost::asio;
using error_code = boost::system::error_code;
using system_error = boost::system::system_error;
#endif

#include "check.hpp"

using namespace std::chrono_literals;

namespace {

using net::use_awaitable;

// A client whose requests get a response, or wait for one while it is not open. Events named "lost" get none.
class server {
public:
  server() : client("http://key:secret@127.0.0.1:1/apps/1") {
    client.set_transport([this](const pusher::request_ref &request, pusher::response_ref &response) {
      const std::string body(request.body());
      std::unique_lock<std::mutex> lock(mutex_);
      const inside in(*this);
      bodies_.push_back(body);
      changed_.notify_all();
      changed_.wait_for(lock, 60s, [&] { return is_open_ || body.find(opened_) != body.npos; });
      if (body.find("\"lost\"") != body.npos) {
        response.fail(pusher::delivery::unknown, "reset", "the connection was reset");
      } else {
        response.set(200, "{}").header("Content-Length", "2");
      }
    });
  }
  server(const server &) = delete;
  server &operator=(const server &) = delete;
  // A publisher that is freed does not wait for its requests.
  ~server() {
    open();
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return inside_ == 0; });
  }
  void open(bool opened = true) {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_open_ = opened;
    changed_.notify_all();
  }
  // Responds to events with this name.
  void let_pass(std::string_view name) {
    const std::lock_guard<std::mutex> lock(mutex_);
    opened_ = std::string("\"").append(name).append("\"");
    changed_.notify_all();
  }
  // Waits until this many requests have come.
  void wait_for(std::size_t requests) {
    std::unique_lock<std::mutex> lock(mutex_);
    CHECK(changed_.wait_for(lock, 60s, [&] { return bodies_.size() >= requests; }));
  }
  std::string sent() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::string all;
    for (const std::string &body : bodies_) all += body;
    return all;
  }

  pusher::client client;

private:
  // A request that is in the transport, as long as the lock is held again when it ends.
  struct inside {
    explicit inside(server &entered) : of(entered) { of.inside_++; }
    ~inside() {
      of.inside_--;
      of.changed_.notify_all();
    }
    inside(const inside &) = delete;
    inside &operator=(const inside &) = delete;
    server &of;
  };

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> bodies_;
  int inside_ = 0;
  bool is_open_ = true;
  std::string opened_ = "\"now\"";
};

// The configuration of a publisher that may call the transport, with more keys.
std::string with(const std::string &keys = "") {
  return R"({"hooks_on_threads":true,"linger_ms":0)" + (keys.empty() ? "" : ',' + keys) + '}';
}

bool has(const std::string &text, const std::string &part) { return text.find(part) != text.npos; }

// What an operation completed with.
struct outcome {
  int calls = 0;
  error_code error;
  pusher::report report;

  auto handler() {
    return [this](const error_code &failed, pusher::report ended) {
      calls++;
      error = failed;
      report = std::move(ended);
    };
  }
};

// Ends what a publisher has left, so that its destructor does not wait.
void close(net::io_context &context, server &from, pusher::async_publisher &publisher) {
  from.open();
  context.restart();
  publisher.async_close(net::detached);
  context.run();
}

// --- tokens ---

net::awaitable<void> publish_awaited(pusher::async_publisher &publisher, int count, int &ended) {
  for (int i = 0; i < count; i++) {
    const bool loses = i % 10 == 3;
    const pusher::report report =
        co_await publisher.async_publish("c", loses ? "lost" : "e", std::to_string(i), use_awaitable);
    CHECK(report.id() == static_cast<std::uint64_t>(i + 1));
    CHECK(report.delivered() == !loses);
    CHECK(report.delivery() == (loses ? pusher::delivery::unknown : pusher::delivery::delivered));
    CHECK(report.code() == (loses ? PUSHER_STATUS_DELIVERY_UNKNOWN : PUSHER_STATUS_OK));
    CHECK(has(report.document(), "{\"id\":" + std::to_string(i + 1) + ","));
    ended++;
  }
}

TEST("co_await returns the report of the event") {
  server from;
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with());
  int ended = 0;
  net::co_spawn(context, publish_awaited(publisher, 50, ended), net::detached);
  context.run();
  CHECK(ended == 50);
}

TEST("a report says why its event was not delivered") {
  server from;
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with());
  outcome lost;
  publisher.async_publish("c", "lost", "1", lost.handler());
  context.run();
  CHECK(lost.calls == 1 && !lost.error && lost.report.status_code() == pusher::status_code::delivery_unknown);
  const pusher::failure why = lost.report.failure();
  CHECK(why.code() == PUSHER_STATUS_DELIVERY_UNKNOWN && why.delivery() == pusher::delivery::unknown);
  CHECK(why.cause() == "reset" && has(why.message(), "the connection was reset"));
  bool thrown = false;
  try {
    lost.report.check();
  } catch (const pusher::error &error) {
    thrown = error.cause() == "reset";
  }
  CHECK(thrown);
  pusher::report().failure();
  CHECK(pusher::report().failure().delivery() == pusher::delivery::unknown);
}

TEST("each completion token works") {
  server from;
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with());
  outcome called, with_options;
  publisher.async_publish("c", "e", "1", called.handler());
  publisher.async_publish({"c", "d"}, "e", "2", pusher::publish_options().socket_id("1.2"), with_options.handler());
  std::future<pusher::report> future = publisher.async_publish_to_user("u", "e", "3", net::use_future);
  publisher.async_publish("c", "e", "4", net::detached);
#ifdef PUSHER_ASIO_STANDALONE
#if __has_include(<asio/deferred.hpp>)
  auto later = publisher.async_publish(std::string("c"), std::string("e"), std::string("5"), net::deferred);
#else
  auto later =
      publisher.async_publish(std::string("c"), std::string("e"), std::string("5"), net::experimental::deferred);
#endif
  outcome deferred;
  std::move(later)(deferred.handler());
#endif
  context.run();
  CHECK(called.report.delivered() && with_options.report.delivered() && future.get().delivered());
  const std::string sent = from.sent();
  CHECK(has(sent, "1.2") && has(sent, "#server-to-user-u") && has(sent, R"("data":"4")"));
#ifdef PUSHER_ASIO_STANDALONE
  CHECK(deferred.report.delivered() && has(sent, R"("data":"5")"));
#endif
}

// --- handlers ---

// An allocator that counts.
template <typename T>
struct counting {
  using value_type = T;
  explicit counting(std::atomic<int> &counted) : count(&counted) {}
  template <typename Other>
  counting(const counting<Other> &other) : count(other.count) {}
  T *allocate(std::size_t n) {
    ++*count;
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T *at, std::size_t n) { std::allocator<T>().deallocate(at, n); }
  template <typename Other>
  bool operator==(const counting<Other> &other) const {
    return count == other.count;
  }
  std::atomic<int> *count;
};

struct allocating_handler {
  using allocator_type = counting<void>;
  allocator_type get_allocator() const { return allocator_type(*count); }
  void operator()(const error_code &, const pusher::report &ended) const { *delivered = ended.delivered(); }
  std::atomic<int> *count;
  bool *delivered;
};

TEST("the executor and the allocator of a handler are respected") {
  server from;
  net::io_context context;
  net::thread_pool pool(1);
  pusher::async_publisher publisher(context, from.client, with());
  std::thread::id thread;
  std::atomic<int> count{0};
  bool delivered = false;
  publisher.async_publish("c", "e", "1", net::bind_executor(pool, [&](const error_code &, const pusher::report &) {
                            thread = std::this_thread::get_id();
                          }));
  publisher.async_publish("c", "e", "2", allocating_handler{&count, &delivered});
  context.run();
  pool.join();
  CHECK(thread != std::thread::id() && thread != std::this_thread::get_id());
  CHECK(delivered && count > 0);
  CHECK(publisher.get_executor() == context.get_executor());
}

net::awaitable<void> publish_on(pusher::async_publisher &publisher, std::set<std::thread::id> &threads,
                                int &delivered) {
  for (int i = 0; i < 10; i++) {
    const auto report = co_await publisher.async_publish("c", "e", "1", use_awaitable);
    threads.insert(std::this_thread::get_id());
    delivered += report.delivered();
  }
}

TEST("a coroutine stays on its executor, which has work until it resumes") {
  server from;
  from.open(false);
  net::io_context context, other;
  pusher::async_publisher publisher(context, from.client, with());
  std::set<std::thread::id> threads;
  int delivered = 0;
  net::co_spawn(other, publish_on(publisher, threads, delivered), net::detached);
  std::thread::id expected;
  std::atomic<bool> is_over{false};
  std::thread thread([&] {
    expected = std::this_thread::get_id();
    other.run();
    is_over = true;
  });
  from.wait_for(1);
  from.open();
  // It has work only while a coroutine waits for a report. The last event may be delivered before its operation waits.
  while (!is_over) {
    context.run();
    context.restart();
  }
  thread.join();
  CHECK(delivered == 10 && threads == std::set<std::thread::id>{expected});
}

TEST("a strand has the handlers of its publisher") {
  server from;
  net::thread_pool pool(4);
  int running = 0, most = 0, delivered = 0;
  {
    const auto strand = net::make_strand(pool);
    pusher::async_publisher publisher(strand, from.client, with());
    for (int i = 0; i < 300; i++) {
      publisher.async_publish("c", "e", "1", [&](const error_code &, const pusher::report &ended) {
        // ThreadSanitizer sees a race if it is not the strand that calls.
        most = std::max(most, ++running);
        delivered += ended.delivered();
        running--;
      });
    }
    publisher.async_close(net::use_future).get();
  }
  pool.join();
  CHECK(most == 1 && delivered == 300);
}

TEST("no handler is called inside the call that starts its operation") {
  server from;
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with());
  std::vector<int> order;
  net::post(context, [&] {
    publisher.async_publish("", "e", "1", [&](const error_code &, const pusher::report &) { order.push_back(3); });
    order.push_back(1);
    publisher.async_publish("c", "e", "1", [&](const error_code &, const pusher::report &) {
      publisher.async_publish("c", "e", "1", [&](const error_code &, const pusher::report &) { order.push_back(5); });
      order.push_back(4);
    });
    order.push_back(2);
  });
  context.run();
  CHECK(order == (std::vector<int>{1, 2, 3, 4, 5}));
}

TEST("a handler that throws does not cost the others theirs") {
  server from;
  from.open(false);
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with());
  outcome others[5];
  publisher.async_publish("c", "now", "1",
                          [](const error_code &, const pusher::report &) { throw std::runtime_error("thrown"); });
  for (outcome &one : others) publisher.async_publish("c", "now", "1", one.handler());
  // All reports arrive together.
  publisher.async_close(60s, net::detached);
  while (!has(publisher.stats(), R"("waiting":6)")) std::this_thread::sleep_for(1ms);
  bool thrown = false;
  try {
    context.run();
  } catch (const std::runtime_error &) {
    thrown = true;
  }
  CHECK(thrown);
  context.run();
  for (const outcome &one : others) CHECK(one.calls == 1 && one.report.delivered());
}

// --- refusals ---

TEST("a refused event completes with the reason") {
  server from;
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with());
  outcome empty, nul, options, large;
  publisher.async_publish("", "e", "1", empty.handler());
  publisher.async_publish("c", std::string_view("e\0", 2), "1", nul.handler());
  publisher.async_publish("c", "e", "1", pusher::publish_options().json("x", "}"), options.handler());
  publisher.async_publish("c", "e", '"' + std::string(20000, 'x') + '"', large.handler());
  context.run();
  for (const outcome *one : {&empty, &nul, &options, &large}) {
    CHECK(one->calls == 1 && !one->error && one->report.id() == 0);
    CHECK(one->report.delivery() == pusher::delivery::not_sent);
    CHECK(one->report.failure().delivery() == pusher::delivery::not_sent);
  }
  CHECK(empty.report.code() == PUSHER_STATUS_INVALID_ARGUMENT && has(empty.report.failure().message(), "channels"));
  CHECK(nul.report.code() == PUSHER_STATUS_INVALID_ARGUMENT && has(nul.report.document(), R"("argument":"event")"));
  CHECK(options.report.code() == PUSHER_STATUS_INVALID_ARGUMENT && has(options.report.document(), "options.x"));
  CHECK(large.report.code() == PUSHER_STATUS_PAYLOAD_TOO_LARGE);
  CHECK(from.sent().empty());
}

TEST("a configuration that cannot work is refused") {
  const server from;
  net::io_context context;
  const auto refused = [&](std::string_view configuration) {
    const auto made = pusher::async_publisher::make(context, from.client, configuration);
    if (made) return std::string("nothing");
    CHECK(made.failure().code() == PUSHER_STATUS_INVALID_CONFIG);
    return made.failure().message();
  };
  CHECK(has(refused(R"({"reports":"failures"})"), "reports: "));
  CHECK(has(refused(R"({"overflow":"block"})"), "overflow: "));
  CHECK(has(refused(R"({"max_reports":"many"})"), "max_reports: "));
  CHECK(has(refused(R"({"max_reports":0})"), "max_reports"));
  CHECK(has(refused(R"({"re\u0070orts":"none"})"), "escapes"));
  CHECK(has(refused(R"({"unknown":1})"), "unknown"));
  for (const char *wrong :
       {"", "[]", "{", "1", R"({"a")", R"({"a":})", R"({"a":1 2})", "{} {}", R"({a:1})", R"({"a\)"}) {
    CHECK_WITH(has(refused(wrong), "config: "), wrong);
  }
  CHECK(refused(R"( { "reports" : "all" , "max_reports" : null , "connections":1, "hooks_on_threads":true } )") ==
        "nothing");
  const auto made = pusher::async_publisher::make(
      context.get_executor(), from.client, pusher::config().boolean("hooks_on_threads", true).number("max_reports", 5));
  CHECK(made.has_value());
  CHECK(!pusher::async_publisher::make(context, from.client, pusher::config().json("retry", "}")));
}

// --- room ---

TEST("no report is lost, however many operations are started") {
  server from;
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with(R"("max_reports":3)"));
  int delivered = 0;
  std::set<std::uint64_t> ids;
  for (int i = 0; i < 500; i++) {
    publisher.async_publish("c", "e", "1", [&](const error_code &error, const pusher::report &ended) {
      if (!error && ended.delivered()) delivered++;
      ids.insert(ended.id());
    });
  }
  CHECK_WITH(has(publisher.stats(), R"("published":3,)"), publisher.stats());
  context.run();
  CHECK(delivered == 500 && ids.size() == 500);
  CHECK_WITH(has(publisher.stats(), R"("waiting":0,"lost":0)"), publisher.stats());
}

TEST("an event waits for room in the queue, in its order") {
  server from;
  from.open(false);
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with(R"("max_queue_events":2,"connections":1)"));
  std::vector<std::uint64_t> order;
  for (int i = 0; i < 20; i++) {
    publisher.async_publish("c", "e", std::to_string(i), [&](const error_code &, const pusher::report &ended) {
      CHECK(ended.delivered());
      order.push_back(ended.id());
    });
  }
  CHECK(has(publisher.stats(), R"("published":2,"refused":)"));
  from.open();
  context.run();
  CHECK(order.size() == 20 && std::is_sorted(order.begin(), order.end()));
  const std::string sent = from.sent();
  for (int i = 1; i < 20; i++) {
    const auto data = [](int n) { return R"("data":")" + std::to_string(n) + '"'; };
    CHECK(sent.find(data(i - 1)) < sent.find(data(i)));
  }
}

TEST("an event that never has room is refused") {
  server from;
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with(R"("max_queue_bytes":4096)"));
  outcome large, small;
  publisher.async_publish("c", "e", '"' + std::string(9000, 'x') + '"', large.handler());
  publisher.async_publish("c", "e", "1", small.handler());
  context.run();
  CHECK(large.calls == 1 && large.report.code() == PUSHER_STATUS_QUEUE_FULL && small.report.delivered());
}

TEST("nothing is done while a queued event waits and another, which waited for room, was cancelled") {
  server from;
  from.open(false);
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with(R"("max_queue_events":40,"connections":8)"));
  publisher.async_publish("c", "e", "1", net::detached);
  from.wait_for(1);
  for (int i = 1; i < 40; i++) publisher.async_publish("c" + std::to_string(i), "soon", "1", net::detached);
  publisher.async_publish("c", "e", "2", net::detached);
  CHECK(has(publisher.stats(), R"("published":40,"refused":1)"));
  publisher.cancel();
  // Some of the channels share the connection of the first event, which stays in flight.
  publisher.async_close(net::detached);
  from.let_pass("soon");
  while (has(publisher.stats(), R"("delivered":0,)")) context.run_for(10ms);
  context.run_for(100ms);
  const std::size_t handlers = context.run_for(500ms);
  CHECK_WITH(handlers < 500, std::to_string(handlers) + " handlers in half a second");
  CHECK(!context.stopped());
  from.open();
  context.run();
}

// Publishes an event that is delivered at once, and so many that are not, and runs until the first has ended.
void publish_beside(net::io_context &context, server &from, pusher::async_publisher &publisher,
                    std::vector<outcome> &others) {
  outcome first;
  from.open(false);
  publisher.async_publish("c", "now", "1", first.handler());
  while (!has(publisher.stats(), R"("waiting":1)")) std::this_thread::sleep_for(1ms);
  for (outcome &one : others) publisher.async_publish("c", "e", "1", one.handler());
  while (first.calls == 0) context.run_one();
  CHECK(first.report.delivered());
}

TEST("many events complete, also after a time without any") {
  server from;
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with());
  int delivered = 0;
  for (int i = 0; i < 3; i++) {
    for (int j = 0; j < 1000; j++) {
      publisher.async_publish("c" + std::to_string(j), "e", "1", [&](const error_code &, const pusher::report &ended) {
        delivered += ended.delivered();
        publisher.async_publish(
            "c", "e", "1", [&](const error_code &, const pusher::report &again) { delivered += again.delivered(); });
      });
    }
    context.run();
    context.restart();
  }
  CHECK(delivered == 6000);
  std::vector<outcome> others(500);
  publish_beside(context, from, publisher, others);
  context.run_for(20ms);
  from.open();
  context.run();
  for (const outcome &one : others) CHECK(one.calls == 1 && one.report.delivered());
}

TEST("cancel() and the destructor end the pause between the reports of many events") {
  server from;
  net::io_context context;
  std::vector<outcome> others(500), last(500);
  {
    pusher::async_publisher publisher(context, from.client, with());
    publish_beside(context, from, publisher, others);
    publisher.cancel();
    context.run();
    close(context, from, publisher);
    CHECK(has(publisher.stats(), R"("delivered":501,)"));
  }
  {
    pusher::async_publisher publisher(context, from.client, with());
    context.restart();
    publish_beside(context, from, publisher, last);
    from.open();
  }
  context.run();
  for (const auto *all : {&others, &last}) {
    for (const outcome &one : *all) CHECK(one.calls == 1 && one.error == net::error::operation_aborted);
  }
}

// --- the end ---

TEST("without a pending operation nothing keeps the io_context running") {
  server from;
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with());
  CHECK(context.run() == 0);
  outcome first;
  context.restart();
  publisher.async_publish("c", "e", "1", first.handler());
  context.run();
  CHECK(first.report.delivered());
}

TEST("closing waits for every report, also of events that wait for room") {
  server from;
  from.open(false);
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with(R"("max_reports":5,"connections":1)"));
  int delivered = 0, before = -1;
  for (int i = 0; i < 20; i++) {
    publisher.async_publish("c", "e", "1",
                            [&](const error_code &, const pusher::report &ended) { delivered += ended.delivered(); });
  }
  error_code closed = net::error::fault;
  publisher.async_close(60s, [&](const error_code &error) {
    closed = error;
    before = delivered;
  });
  outcome late;
  publisher.async_publish("c", "e", "1", late.handler());
  context.poll();
  CHECK(closed == net::error::fault && delivered == 0);
  CHECK(late.calls == 1 && late.report.code() == PUSHER_STATUS_CLOSED &&
        late.report.delivery() == pusher::delivery::not_sent);
  from.open();
  context.run();
  CHECK(!closed && before == 20);
  bool again = false;
  publisher.async_close([&](const error_code &error) { again = !error; });
  context.restart();
  context.run();
  CHECK(again);
}

TEST("after its limit a close ends what is left, and says what happened to it") {
  server from;
  from.open(false);
  net::io_context context;
  pusher::async_publisher publisher(context, from.client,
                                    with(R"("max_reports":2,"connections":1,"max_batch_events":1)"));
  outcome sent, queued, waiting;
  publisher.async_publish("c", "e", "1", sent.handler());
  from.wait_for(1);
  publisher.async_publish("c", "e", "2", queued.handler());
  publisher.async_publish("c", "e", "3", waiting.handler());
  error_code first, second;
  publisher.async_close(60s, [&](const error_code &error) { first = error; });
  publisher.async_close(50ms, [&](const error_code &error) { second = error; });
  context.run();
  CHECK(first == net::error::timed_out && second == net::error::timed_out);
  CHECK(sent.report.delivery() == pusher::delivery::unknown && has(sent.report.document(), R"("reason":"closed")"));
  CHECK(queued.report.delivery() == pusher::delivery::not_sent &&
        has(queued.report.document(), R"("reason":"closed")"));
  CHECK(waiting.report.delivery() == pusher::delivery::not_sent && waiting.report.code() == PUSHER_STATUS_CLOSED);
  from.open();
}

TEST("cancel() ends every wait, and not the events") {
  server from;
  from.open(false);
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with(R"("max_reports":2)"));
  outcome queued[2], waiting;
  for (outcome &one : queued) publisher.async_publish("c", "e", "1", one.handler());
  publisher.async_publish("c", "e", "7", waiting.handler());
  bool closed = false;
  publisher.async_close([&](const error_code &error) { closed = error == net::error::operation_aborted; });
  publisher.cancel();
  context.run();
  CHECK(closed);
  for (const outcome &one : queued) {
    CHECK(one.calls == 1 && one.error == net::error::operation_aborted);
    CHECK(one.report.id() > 0 && one.report.delivery() == pusher::delivery::unknown);
  }
  CHECK(waiting.error == net::error::operation_aborted && waiting.report.delivery() == pusher::delivery::not_sent);
  CHECK(waiting.report.failure().code() == PUSHER_STATUS_NOT_SENT);
  close(context, from, publisher);
  CHECK(has(publisher.stats(), R"("delivered":2,)") && !has(from.sent(), R"("data":"7")"));
}

TEST("a publisher that is destroyed, moved or assigned cancels its operations") {
  server from;
  from.open(false);
  net::io_context context;
  outcome destroyed, replaced, moved;
  {
    pusher::async_publisher publisher(context, from.client, with());
    publisher.async_publish("c", "e", "1", destroyed.handler());
    pusher::async_publisher other(context, from.client, with());
    other.async_publish("c", "now", "1", replaced.handler());
    other = pusher::async_publisher(context, from.client, with());
    pusher::async_publisher third(std::move(other));
    third.async_publish("c", "now", "1", moved.handler());
    from.open();
  }
  context.run();
  for (const outcome *one : {&destroyed, &replaced, &moved}) {
    CHECK(one->calls == 1 && one->error == net::error::operation_aborted);
  }
}

TEST("operations are destroyed with their io_context, and with what they own") {
  server from;
  from.open(false);
  outcome never;
  {
    net::io_context context;
    // It owns itself until its operations have ended.
    auto publisher = std::make_shared<pusher::async_publisher>(context, from.client, with(R"("max_reports":1)"));
    for (int i = 0; i < 3; i++) {
      publisher->async_publish("c", "e", "1",
                               [publisher, &never](const error_code &, const pusher::report &) { never.calls++; });
    }
    publisher->async_close(60s, [publisher, &never](const error_code &) { never.calls++; });
    context.poll();
    from.open();
  }
  CHECK(never.calls == 0);
}

// --- threads ---

net::awaitable<void> publish_many(pusher::async_publisher &publisher, int count, std::atomic<int> &delivered,
                                  std::atomic<int> &lost) {
  for (int i = 0; i < count; i++) {
    const bool loses = i % 7 == 3;
    const auto report =
        co_await publisher.async_publish("c" + std::to_string(i % 5), loses ? "lost" : "e", "1", use_awaitable);
    (report.delivered() ? delivered : lost)++;
    if (report.delivered() == loses) CHECK(false);
  }
}

TEST("any number of threads run the io_context, publish and close") {
  constexpr int TASKS = 20, EVENTS = 100;
  server from;
  net::io_context context(4);
  pusher::async_publisher publisher(
      context, from.client, with(R"("max_reports":7,"max_queue_events":5,"connections":3,"max_batch_events":1)"));
  std::atomic<int> delivered{0}, lost{0}, called{0};
  for (int i = 0; i < TASKS; i++)
    net::co_spawn(context, publish_many(publisher, EVENTS, delivered, lost), net::detached);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; i++) threads.emplace_back([&] { context.run(); });
  threads.emplace_back([&] {
    for (int i = 0; i < EVENTS; i++) {
      publisher.async_publish("d", "e", "1",
                              [&](const error_code &, const pusher::report &ended) { called += ended.delivered(); });
    }
  });
  for (std::thread &one : threads) one.join();
  context.restart();
  context.run();
  CHECK(delivered + lost == TASKS * EVENTS && lost == TASKS * 14 && called == EVENTS);
  CHECK(has(publisher.stats(), R"("waiting":0,"lost":0)"));
}

// --- deploys ---

// How often an event with this data was sent.
std::size_t times(const std::string &sent, int data) {
  const std::string part = "\"data\":\"" + std::to_string(data) + '"';
  std::size_t count = 0;
  for (std::size_t at = sent.find(part); at != sent.npos; at = sent.find(part, at + 1)) count++;
  return count;
}

// What a drain or a restore completed with.
template <typename Value>
struct value_outcome {
  int calls = 0;
  error_code error;
  std::optional<pusher::result<Value>> value;

  auto handler() {
    return [this](const error_code &failed, pusher::result<Value> ended) {
      calls++;
      error = failed;
      value = std::move(ended);
    };
  }
  bool has_value() const { return calls == 1 && !error && value->has_value(); }
};
using drain_outcome = value_outcome<std::string>;
using restore_outcome = value_outcome<std::vector<pusher::report>>;

// Waits until the thread of a drain has closed the queue. Nothing shows it: events that are sent before are not in the document.
void wait_for_drainer() { std::this_thread::sleep_for(300ms); }

// Two events, of which the first is at the server, which does not answer, and the second in the queue.
struct half_sent {
  server from;
  net::io_context context;
  pusher::async_publisher publisher{context, from.client, with(R"("connections":1,"max_batch_events":1)")};
  outcome sent, queued;

  half_sent() {
    from.open(false);
    publisher.async_publish("c", "e", "11", sent.handler());
    from.wait_for(1);
    publisher.async_publish("c", "e", "22", queued.handler());
  }
};

TEST("a drain hands over what was never sent, and another publisher restores it") {
  server from;
  from.open(false);
  net::io_context context;
  pusher::async_publisher old(context, from.client, with(R"("max_reports":4,"connections":1,"max_batch_events":1)"));
  outcome sent, queued[3], waiting, late;
  old.async_publish("c", "e", "0", sent.handler());
  from.wait_for(1);
  for (int i = 0; i < 3; i++) old.async_publish("c", i == 1 ? "lost" : "e", std::to_string(i + 1), queued[i].handler());
  old.async_publish("c", "e", "9", waiting.handler());
  drain_outcome drained;
  int completed_before = 0;
  old.async_drain(60s, [&, keep = drained.handler()](const error_code &error, pusher::result<std::string> document) {
    completed_before = sent.calls + queued[0].calls + queued[1].calls + queued[2].calls;
    keep(error, std::move(document));
  });
  old.async_publish("c", "e", "8", late.handler());
  context.poll();
  for (const outcome *one : {&waiting, &late}) {
    CHECK(one->calls == 1 && !one->error && one->report.code() == PUSHER_STATUS_CLOSED);
    CHECK(one->report.delivery() == pusher::delivery::not_sent && one->report.id() == 0);
  }
  CHECK(drained.calls == 0 && sent.calls == 0);
  wait_for_drainer();
  from.open();
  context.run();
  CHECK(drained.has_value() && completed_before == 4 && sent.report.delivered());
  for (const outcome &one : queued) {
    CHECK(one.calls == 1 && !one.error && one.report.delivery() == pusher::delivery::not_sent);
    CHECK(has(one.report.document(), R"("reason":"drained")"));
  }
  CHECK(times(from.sent(), 1) == 0);

  pusher::async_publisher successor(context, from.client, with(R"("max_batch_events":1)"));
  restore_outcome restored;
  successor.async_restore(**drained.value, restored.handler());
  context.restart();
  context.run();
  CHECK(restored.has_value());
  const std::vector<pusher::report> &reports = **restored.value;
  CHECK(reports.size() == 3);
  for (std::size_t i = 0; i < reports.size(); i++) {
    CHECK(reports[i].id() > 0 && (i == 0 || reports[i].id() > reports[i - 1].id()));
    CHECK(reports[i].delivery() == (i == 1 ? pusher::delivery::unknown : pusher::delivery::delivered));
  }
  for (int i = 0; i < 4; i++) CHECK(times(from.sent(), i) == 1);
  CHECK(times(from.sent(), 9) == 0 && times(from.sent(), 8) == 0);
}

TEST("after its limit a drain ends what is in flight, and has the rest") {
  half_sent setup;
  auto &[from, context, publisher, sent, queued] = setup;
  drain_outcome drained;
  publisher.async_drain(50ms, drained.handler());
  context.run();
  CHECK(drained.has_value() && has(**drained.value, R"("22")") && !has(**drained.value, R"("11")"));
  CHECK(sent.report.delivery() == pusher::delivery::unknown && queued.report.delivery() == pusher::delivery::not_sent);
  bool closed = false;
  publisher.async_close([&](const error_code &error) { closed = !error; });
  context.restart();
  context.run();
  CHECK(closed);
  from.open();
}

TEST("each event is in one document, and a cancelled drain leaves it to the next one") {
  half_sent setup;
  auto &[from, context, publisher, sent, queued] = setup;
  drain_outcome cancelled, first, second, third;
  publisher.async_drain(60s, cancelled.handler());
  publisher.cancel();
  context.run();
  CHECK(cancelled.calls == 1 && cancelled.error == net::error::operation_aborted && !cancelled.value->has_value());
  CHECK(queued.error == net::error::operation_aborted);
  wait_for_drainer();
  from.open();
  publisher.async_drain(0ms, first.handler());
  publisher.async_drain(0ms, second.handler());
  context.restart();
  context.run();
  CHECK(first.has_value() && has(**first.value, R"("22")"));
  CHECK(second.has_value() && has(**second.value, R"("events":[])"));
  restore_outcome closed;
  publisher.async_drain(60s, third.handler());
  publisher.async_restore(**first.value, closed.handler());
  context.restart();
  context.run();
  CHECK(third.has_value() && has(**third.value, R"("events":[])"));
  CHECK(closed.calls == 1 && !closed.error && closed.value->failure().code() == PUSHER_STATUS_CLOSED);
}

TEST("a drain begins whenever the one before it ends") {
  server from;
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with());
  int completed = 0, cancelled = 0;
  const auto count = [&](const error_code &error, const pusher::result<std::string> &document) {
    (error ? cancelled : completed) += error || document.has_value();
  };
  // The thread of the first drain may end at any point of the second.
  for (int i = 0; i < 1000; i++) {
    publisher.async_drain(0ms, count);
    publisher.cancel();
    std::this_thread::sleep_for(std::chrono::microseconds(i % 100));
    publisher.async_drain(0ms, count);
    context.restart();
    context.run_for(10s);
    publisher.async_drain(0ms, count);
    context.restart();
    context.run_for(10s);
    if (completed != 2 * (i + 1)) break;
  }
  CHECK(completed == 2000 && cancelled == 1000);
}

TEST("a document that cannot be restored is refused, and nothing of it is queued") {
  server from;
  from.open(false);
  net::io_context context;
  pusher::async_publisher old(context, from.client, with(R"("connections":1,"max_batch_events":1)"));
  outcome sent, queued[3];
  old.async_publish("c", "e", "0", sent.handler());
  from.wait_for(1);
  for (int i = 0; i < 3; i++) old.async_publish("c", "e", std::to_string(i + 1), queued[i].handler());
  drain_outcome drained;
  old.async_drain(0ms, drained.handler());
  context.run();
  CHECK(drained.has_value());
  pusher::async_publisher small(context, from.client, with(R"("max_queue_events":2)"));
  restore_outcome full, wrong, with_nul;
  small.async_restore(**drained.value, full.handler());
  small.async_restore("{}", wrong.handler());
  small.async_restore(std::string_view("{}\0", 3), with_nul.handler());
  context.restart();
  context.run();
  CHECK(full.calls == 1 && !full.error && full.value->failure().code() == PUSHER_STATUS_QUEUE_FULL);
  for (const restore_outcome *one : {&wrong, &with_nul}) {
    CHECK(one->calls == 1 && !one->error && one->value->failure().code() == PUSHER_STATUS_INVALID_ARGUMENT);
  }
  from.open();
  close(context, from, small);
  for (int i = 1; i < 4; i++) CHECK(times(from.sent(), i) == 0);
  pusher::async_publisher successor(context, from.client, with());
  restore_outcome abandoned, empty;
  successor.async_restore(**drained.value, abandoned.handler());
  successor.cancel();
  successor.async_restore(R"({"libpusher_drained":1,"app_id":"1","events":[]})", empty.handler());
  context.restart();
  context.run();
  CHECK(abandoned.calls == 1 && abandoned.error == net::error::operation_aborted && !abandoned.value->has_value());
  CHECK(empty.has_value() && (*empty.value)->empty());
  close(context, from, successor);
  for (int i = 1; i < 4; i++) CHECK(times(from.sent(), i) == 1);
}

TEST("a publisher or an io_context that is destroyed ends its drain") {
  server from;
  from.open(false);
  drain_outcome destroyed, never;
  {
    net::io_context context;
    std::optional<pusher::async_publisher> publisher(std::in_place, context, from.client, with(R"("connections":1)"));
    publisher->async_publish("c", "e", "1", [](const error_code &, const pusher::report &) {});
    from.wait_for(1);
    publisher->async_drain(600s, destroyed.handler());
    context.poll();
    publisher.reset();
    context.run();
    CHECK(destroyed.calls == 1 && destroyed.error == net::error::operation_aborted);
    auto owned = std::make_shared<pusher::async_publisher>(context, from.client, with(R"("connections":1)"));
    owned->async_publish("c", "e", "2", [owned](const error_code &, const pusher::report &) {});
    from.wait_for(2);
    owned->async_drain(600s, [owned, keep = never.handler()](const error_code &error, pusher::result<std::string> got) {
      keep(error, std::move(got));
    });
  }
  CHECK(never.calls == 0);
  from.open();
}

net::awaitable<void> deploy(pusher::async_publisher &old, pusher::async_publisher &successor,
                            std::atomic<int> &restored) {
  pusher::result<std::string> document = co_await old.async_drain(60s, use_awaitable);
  const auto reports = co_await successor.async_restore(std::move(document).value(), use_awaitable);
  for (const pusher::report &one : *reports) restored += one.delivered();
}

TEST("a deploy loses no event, with any number of threads") {
  constexpr int EVENTS = 2000, PRODUCERS = 4;
  server from;
  net::io_context context(4);
  pusher::async_publisher old(context, from.client, with(R"("connections":2,"max_batch_events":3,"max_reports":3000)"));
  pusher::async_publisher successor(context, from.client, with(R"("connections":2)"));
  std::atomic<int> delivered{0}, drained{0}, refused{0}, restored{0}, other{0};
  std::vector<std::atomic<bool>> was_refused(EVENTS);
  auto work = net::make_work_guard(context);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; i++) threads.emplace_back([&] { context.run(); });
  std::vector<std::thread> producers;
  for (int producer = 0; producer < PRODUCERS; producer++) {
    producers.emplace_back([&, producer] {
      for (int i = producer; i < EVENTS; i += PRODUCERS) {
        old.async_publish("c" + std::to_string(producer), "e", std::to_string(i),
                          [&, i](const error_code &, const pusher::report &ended) {
                            const bool is_drained = has(ended.document(), R"("reason":"drained")");
                            was_refused[static_cast<std::size_t>(i)] =
                                ended.code() == PUSHER_STATUS_CLOSED && !is_drained;
                            if (ended.delivered())
                              delivered++;
                            else if (is_drained)
                              drained++;
                            else if (was_refused[static_cast<std::size_t>(i)])
                              refused++;
                            else
                              other++;
                          });
        if (i == EVENTS / 2) net::co_spawn(context, deploy(old, successor, restored), net::detached);
      }
    });
  }
  for (std::thread &one : producers) one.join();
  work.reset();
  for (std::thread &one : threads) one.join();
  CHECK(delivered + drained + refused == EVENTS && other == 0 && drained == restored);
  const std::string all = from.sent();
  for (int i = 0; i < EVENTS; i++) CHECK(times(all, i) == (was_refused[static_cast<std::size_t>(i)] ? 0U : 1U));
}

// --- cancellation slots ---

#if PUSHER_ASIO_HAS_CANCELLATION
TEST("a slot cancels its operation only, by the type that is true") {
  server from;
  from.open(false);
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with(R"("max_reports":2)"));
  outcome queued, other, waiting, closing;
  net::cancellation_signal queued_signal, waiting_signal, closing_signal;
  publisher.async_publish("c", "e", "1", net::bind_cancellation_slot(queued_signal.slot(), queued.handler()));
  publisher.async_publish("c", "e", "2", other.handler());
  publisher.async_publish("c", "e", "3", net::bind_cancellation_slot(waiting_signal.slot(), waiting.handler()));
  queued_signal.emit(net::cancellation_type::total);
  waiting_signal.emit(net::cancellation_type::none);
  context.poll();
  CHECK(queued.calls == 0 && waiting.calls == 0);
  waiting_signal.emit(net::cancellation_type::total);
  queued_signal.emit(net::cancellation_type::terminal);
  queued_signal.emit(net::cancellation_type::terminal);
  context.restart();
  context.poll();
  CHECK(queued.calls == 1 && queued.error == net::error::operation_aborted && queued.report.id() == 1);
  CHECK(queued.report.delivery() == pusher::delivery::unknown);
  CHECK(waiting.calls == 1 && waiting.error == net::error::operation_aborted);
  CHECK(waiting.report.delivery() == pusher::delivery::not_sent && other.calls == 0);
  error_code closed;
  publisher.async_close(
      60s, net::bind_cancellation_slot(closing_signal.slot(), [&](const error_code &error) { closed = error; }));
  closing_signal.emit(net::cancellation_type::partial);
  from.open();
  context.restart();
  context.run();
  CHECK(closed == net::error::operation_aborted && other.report.delivered());
  // The operations have ended before their slots.
  other.calls = 0;
  close(context, from, publisher);
  queued_signal.emit(net::cancellation_type::all);
}

TEST("a cancelled event that waits for room lets the next one pass") {
  server from;
  from.open(false);
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with(R"("max_queue_bytes":20000,"connections":1)"));
  outcome first, large, small;
  net::cancellation_signal signal;
  const std::string half = '"' + std::string(4000, 'x') + '"';
  publisher.async_publish("c", "e", half, first.handler());
  from.wait_for(1);
  publisher.async_publish("c", "e", '"' + std::string(8000, 'x') + '"',
                          net::bind_cancellation_slot(signal.slot(), large.handler()));
  publisher.async_publish("c", "e", "1", small.handler());
  CHECK(has(publisher.stats(), R"("published":1,"refused":1)"));
  signal.emit(net::cancellation_type::all);
  CHECK(has(publisher.stats(), R"("published":2,"refused":1)"));
  from.open();
  context.run();
  CHECK(large.error == net::error::operation_aborted && first.report.delivered() && small.report.delivered());
}

#ifdef PUSHER_ASIO_STANDALONE
net::awaitable<void> give_up(pusher::async_publisher &publisher, bool &timed_out) {
  using namespace net::experimental::awaitable_operators;
  net::steady_timer timer(co_await net::this_coro::executor, 20ms);
  const auto first =
      co_await (publisher.async_publish("c", "e", "1", use_awaitable) || timer.async_wait(use_awaitable));
  timed_out = first.index() == 1;
}

TEST("a timer ends the wait of a coroutine") {
  server from;
  from.open(false);
  net::io_context context;
  pusher::async_publisher publisher(context, from.client, with());
  bool timed_out = false;
  net::co_spawn(context, give_up(publisher, timed_out), net::detached);
  context.run();
  CHECK(timed_out);
  close(context, from, publisher);
  CHECK(has(publisher.stats(), R"("delivered":1,)"));
}
#endif
#endif

} // namespace

int main() { return check::run(); }
