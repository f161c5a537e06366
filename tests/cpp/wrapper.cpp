// Tests pusher.hpp: types, errors, callbacks and ownership. conformance.cpp tests the effect of the calls.
//
//   FAULT_SERVER=path wrapper
#include <pusher.hpp>

#include <atomic>
#include <cstdlib>
#include <future>
#include <list>
#include <new>
#include <set>
#include <thread>

#ifdef __GLIBC__
#include <malloc.h>
#include <unistd.h>
#endif

#include <nlohmann/json.hpp>

#include "allocations.hpp"
#include "check.hpp"
#include "fault_server.h"
#include "not_throwing.hpp"

using json = nlohmann::json;
using namespace std::chrono_literals;

namespace {

// --- helpers ---

// A closed port; transports take the requests.
const char *const NOWHERE = "http://key:secret@127.0.0.1:1/apps/1";

struct exchange {
  std::string method, url, body;
};

// A client whose transport keeps the requests and responds with 200 and {}.
pusher::client recording(std::vector<exchange> &kept) {
  pusher::client client(NOWHERE);
  client.set_transport([&kept](const pusher::request_ref &request, pusher::response_ref &response) {
    kept.push_back({std::string(request.method()), std::string(request.url()), std::string(request.body())});
    response.set(200, "{}").header("Content-Length", "2");
  });
  return client;
}

// Counts how often its owner is destroyed.
class counted {
public:
  explicit counted(std::atomic<int> &destroyed) : destroyed_(&destroyed) {}
  counted(counted &&other) noexcept : destroyed_(std::exchange(other.destroyed_, nullptr)) {}
  counted &operator=(counted &&) = delete;
  ~counted() {
    if (destroyed_ != nullptr) (*destroyed_)++;
  }

private:
  std::atomic<int> *destroyed_;
};

template <typename Result>
std::string argument_of(const Result &failed) {
  return failed ? "(it did not fail)" : json::parse(failed.failure().document())["error"].value("argument", "(none)");
}

// Returns the waiting reports.
std::vector<json> reports_of(pusher::publisher &publisher) {
  std::vector<json> all;
  while (const auto fetched = publisher.poll(0ms)) {
    const json document = json::parse(*fetched);
    all.insert(all.end(), document["reports"].begin(), document["reports"].end());
  }
  return all;
}

// The fault server, running until the program ends.
class server {
public:
  static const server &only() {
    static const server one;
    return one;
  }
  ~server() { fault_server_stop(&process_); }

  int listen(const json &how = {{"fault", "none"}}) const { return ask("POST", "/listen", how.dump())["port"]; }
  // Returns the data of the published events, in order.
  std::vector<std::string> published(int port) const {
    const json ledger = ask("GET", "/listen/" + std::to_string(port), "");
    std::vector<std::string> all;
    for (const json &attempt : ledger["attempts"]) {
      for (const json &event : attempt["applied"]) all.push_back(event["data"]);
    }
    return all;
  }
  pusher::config config(int port) const {
    return pusher::config()
        .app_id("4711")
        .key(ready_["key"].get<std::string>())
        .secret(ready_["secret"].get<std::string>())
        .host("127.0.0.1")
        .port(static_cast<std::uint16_t>(port))
        .ssl(false);
  }

private:
  server() : process_(fault_server_start()), ready_(json::parse(process_.ready)) {}
  json ask(const char *method, const std::string &path, const std::string &body) const {
    char *answer = fault_server_ask(ready_["control"], method, path.c_str(), body.c_str());
    const json value = json::parse(answer);
    std::free(answer);
    return value;
  }

  fault_server process_;
  json ready_;
};

// --- results and errors ---

static_assert(!std::is_copy_constructible_v<pusher::client> && std::is_nothrow_move_constructible_v<pusher::client>);
static_assert(!std::is_copy_constructible_v<pusher::publisher> &&
              std::is_nothrow_move_constructible_v<pusher::publisher>);
static_assert(!std::is_copy_constructible_v<pusher::request> && std::is_nothrow_move_assignable_v<pusher::request>);
static_assert(!std::is_copy_constructible_v<pusher::response> && std::is_nothrow_move_assignable_v<pusher::response>);
static_assert(std::is_nothrow_copy_constructible_v<pusher::error>, "else copying an exception may end the program");
static_assert(!std::is_convertible_v<pusher::result<std::string>, bool>, "a result is not mistaken for a truth");

TEST("an error and its copy have the status, the delivery, the message and the document") {
  const pusher::client client(NOWHERE);
  try {
    client.trigger("c", "e", "{}");
    CHECK(false);
  } catch (const std::runtime_error &caught) {
    const auto error = dynamic_cast<const pusher::error &>(caught);
    CHECK(error.status() == PUSHER_STATUS_NOT_SENT);
    CHECK(error.delivery() == pusher::delivery::not_sent);
    const json document = json::parse(error.document());
    CHECK(document["error"]["status"] == "NOT_SENT");
    CHECK(document["error"]["message"] == error.what());
    CHECK(error.retryable() && error.cause() == "connect" && error.server_code().empty());
    CHECK(!error.http_status() && !error.retry_after());
  }
}

TEST("a failure tells what a decision about a retry needs") {
  const pusher::failure limited(
      PUSHER_STATUS_RATE_LIMITED,
      R"({"error":{"status":"RATE_LIMITED","message":"m","retryable":true,"http_status":429,"retry_after_ms":7000,"server_code":"limit"}})");
  CHECK(limited.retryable() && limited.http_status() == 429 && limited.retry_after() == 7s);
  CHECK(limited.server_code() == "limit" && limited.cause().empty() && limited.message() == "m");
  const pusher::failure nothing(PUSHER_STATUS_TIMED_OUT, "");
  CHECK(!nothing.retryable() && !nothing.http_status() && !nothing.retry_after());
  CHECK(nothing.cause().empty() && nothing.server_code().empty() && nothing.message() == "TIMED_OUT");
}

TEST("a call that is prepared by its name sends what the call sends") {
  std::vector<exchange> sent;
  const pusher::client client = recording(sent);
  client.trigger({"a", "b"}, "e", "1", pusher::options().socket_id("1.2"));
  client.trigger_batch({{"a", "e", "1"}});
  client.send_to_user("u", "e", "1");
  client.terminate_user_connections("u");
  client.channels_info("presence-", "user_count");
  client.channel_info("a", "subscription_count");
  client.users_info("presence-a");
  client.get("/channels", R"({"x":1})");
  client.post("/events", std::nullopt, "{}");
  client.delete_path("/channels/a");
  std::vector<pusher::request> prepared;
  prepared.push_back(client.prepare_trigger({"a", "b"}, "e", "1", pusher::options().socket_id("1.2")));
  prepared.push_back(client.prepare_trigger_batch({{"a", "e", "1"}}));
  prepared.push_back(client.prepare_send_to_user("u", "e", "1"));
  prepared.push_back(client.prepare_terminate_user_connections("u"));
  prepared.push_back(client.prepare_channels_info("presence-", "user_count"));
  prepared.push_back(client.prepare_channel_info("a", "subscription_count"));
  prepared.push_back(client.prepare_users_info("presence-a"));
  prepared.push_back(client.prepare_get("/channels", R"({"x":1})"));
  prepared.push_back(client.prepare_post("/events", std::nullopt, "{}"));
  prepared.push_back(client.prepare_delete_path("/channels/a"));
  CHECK(sent.size() == prepared.size());
  for (std::size_t i = 0; i < sent.size(); i++) {
    CHECK(sent[i].method == prepared[i].method() && sent[i].body == prepared[i].body());
    CHECK(sent[i].url.substr(0, sent[i].url.find('?')) == prepared[i].url().substr(0, prepared[i].url().find('?')));
  }
  CHECK(argument_of(client.try_prepare_trigger("a", std::string_view("e\0", 2), "1")) == "event");
  CHECK(argument_of(client.try_prepare_trigger("a", "e", "1", pusher::options().json("x", "}"))) == "options.x");
  CHECK(argument_of(client.try_prepare_trigger_batch({{"a", "e", "}"}})) == "events[0].data");
}

TEST("a result holds the same error, or the value") {
  const pusher::client client(NOWHERE);
  const auto failed = client.try_trigger("c", "e", "{}");
  CHECK(!failed && !failed.has_value());
  CHECK(failed.failure().code() == PUSHER_STATUS_NOT_SENT);
  CHECK(failed.failure().delivery() == pusher::delivery::not_sent);
  CHECK(json::parse(failed.failure().document())["error"]["message"] == failed.failure().message());
  bool thrown = false;
  try {
    failed.value();
  } catch (const pusher::error &error) {
    thrown = error.status() == PUSHER_STATUS_NOT_SENT;
  }
  CHECK(thrown);

  auto signed_in = client.try_authenticate("private-c", "1234.5678");
  CHECK(signed_in && signed_in.has_value());
  CHECK(*signed_in == client.authenticate("private-c", "1234.5678"));
  CHECK(signed_in->size() == signed_in.value().size());
  const std::string taken = std::move(signed_in).value();
  CHECK(json::parse(taken).contains("auth"));
}

TEST("a cancelled call ends at once, and other handles go on") {
  const server &fault = server::only();
  const int port = fault.listen({{"fault", "silence-after-request-applied"}, {"times", 1}});
  const pusher::client client(fault.config(port));
  const auto clone = client.try_clone();
  CHECK(clone.has_value());
  auto call = std::async(std::launch::async, [&clone] { return clone->try_trigger("c", "waits", "1"); });
  while (fault.published(port).empty()) std::this_thread::yield();
  clone->cancel();
  const auto ended = call.get();
  CHECK(!ended && ended.failure().code() == PUSHER_STATUS_DELIVERY_UNKNOWN);
  CHECK(ended.failure().delivery() == pusher::delivery::unknown);
  CHECK(json::parse(ended.failure().document())["error"]["cause"] == "cancelled");
  const auto later = clone->try_trigger("c", "later", "1");
  CHECK(!later && later.failure().delivery() == pusher::delivery::not_sent);
  CHECK(client.clone().try_trigger("c", "other", "1").has_value());
}

#ifdef __cpp_lib_jthread
TEST("a stop token cancels the calls of its handle") {
  const server &fault = server::only();
  const int port = fault.listen({{"fault", "silence-after-request-applied"}, {"times", 1}});
  const pusher::client client(fault.config(port));
  std::stop_source stop;
  auto call =
      std::async(std::launch::async, [&] { return client.until(stop.get_token())->try_trigger("c", "e", "1"); });
  while (fault.published(port).empty()) std::this_thread::yield();
  stop.request_stop();
  const auto ended = call.get();
  CHECK(!ended && ended.failure().delivery() == pusher::delivery::unknown);
  CHECK(client.try_trigger("c", "other", "1").has_value());
  // A stop that came before.
  const auto late = client.until(stop.get_token())->try_trigger("c", "late", "1");
  CHECK(!late && late.failure().delivery() == pusher::delivery::not_sent);
}
#endif

TEST("a failure without a document has a message and no delivery") {
  const pusher::failure failed(PUSHER_STATUS_TIMED_OUT, "");
  CHECK(failed.message() == "TIMED_OUT");
  CHECK(failed.delivery() == pusher::delivery::none);
  CHECK(pusher::status_name(static_cast<pusher::status>(1234)) == "?");
  CHECK(pusher::version() == pusher_version());
}

TEST("an invalid configuration is named by its key") {
  const auto missing = pusher::client::make(pusher::config().app_id("1").key("k"));
  CHECK(missing.failure().code() == PUSHER_STATUS_INVALID_CONFIG);
  CHECK_WITH(argument_of(missing) == "secret", argument_of(missing));
  const auto reaching =
      pusher::client::make(pusher::config().app_id("1").key("k").secret("s").json("retry", "{},\"host\":\"evil\""));
  CHECK(reaching.failure().code() == PUSHER_STATUS_INVALID_CONFIG);
  CHECK_WITH(argument_of(reaching) == "retry", argument_of(reaching));
  const auto whole =
      pusher::client::make(pusher::config()
                               .app_id("1")
                               .key("k")
                               .secret("quote \" and \\ and \n too")
                               .cluster("eu")
                               .timeout(2s)
                               .number("max_idle_connections", 2)
                               .boolean("clock_correction", false)
                               .text("log_level", "info")
                               .encryption_master_key_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
                               .json("retry", R"({"mode":"never"})"));
  CHECK_WITH(whole.has_value(), whole ? "" : whole.failure().document());
}

TEST("a moved-from object refuses every call") {
  std::vector<exchange> kept;
  pusher::client client = recording(kept);
  pusher::publisher publisher(client, R"({"hooks_on_threads":true})");
  pusher::request request = client.prepare("trigger", {"c", "e", "{}"});
  pusher::response response;

  const pusher::client moved = std::move(client);
  const pusher::publisher moved_publisher = std::move(publisher);
  const pusher::request moved_request = std::move(request);
  const pusher::response moved_response = std::move(response);
  // NOLINTBEGIN(bugprone-use-after-move): that is the test
  CHECK(client.try_trigger("c", "e", "{}").failure().code() == PUSHER_STATUS_INVALID_ARGUMENT);
  CHECK(client.try_authenticate("private-c", "1.2").failure().code() == PUSHER_STATUS_INVALID_ARGUMENT);
  CHECK(client.try_set_log([](auto...) {}).failure().code() == PUSHER_STATUS_INVALID_ARGUMENT);
  CHECK(publisher.try_publish("c", "e", "{}").failure().code() == PUSHER_STATUS_INVALID_ARGUMENT);
  CHECK(publisher.try_poll(0ms).failure().code() == PUSHER_STATUS_INVALID_ARGUMENT);
  CHECK(request.url().empty() && request.method().empty() && request.body().empty() && request.headers().empty());
  response.set(200, "{}").header("a", "b").fail(pusher::delivery::unknown, "reset", "");
  CHECK(moved.try_finish(request, moved_response).failure().code() == PUSHER_STATUS_INVALID_ARGUMENT);
  // NOLINTEND
  CHECK(moved.try_trigger("c", "e", "{}").has_value());
  CHECK(!moved_request.url().empty());
}

// --- arguments ---

TEST("channels accept one name, names in braces, or any container of names") {
  std::vector<exchange> kept;
  const pusher::client client = recording(kept);
  const std::string name = "c";
  const std::string_view view = name;
  client.trigger("c", "e", "1");
  client.trigger(name, "e", "1");
  client.trigger(view, "e", "1");
  client.trigger({"a", "b"}, "e", "1");
  client.trigger({name}, "e", "1");
  client.trigger(std::vector<std::string>{"a", "b"}, "e", "1");
  client.trigger(std::array<std::string_view, 2>{"a", "b"}, "e", "1");
  client.trigger(std::set<std::string>{"a", "b"}, "e", "1");
  client.trigger(std::list<const char *>{"a", "b"}, "e", "1");
  for (std::size_t i = 0; i < kept.size(); i++) {
    const json body = json::parse(kept[i].body);
    const bool one = i < 3 || i == 4;
    const json channels = body.contains("channel") ? json{body["channel"]} : body["channels"];
    CHECK_WITH(channels == (one ? json{"c"} : json{"a", "b"}), kept[i].body);
  }
  CHECK(kept.size() == 9);
}

TEST("a string is one channel name, and never a JSON list") {
  std::vector<exchange> kept;
  const pusher::client client = recording(kept);
  for (const char *name : {"[\"a\",\"b\"]", " [\"a\"]", "\t\n[\"a\"]", "[", "[]"}) {
    const auto refused = client.try_trigger(name, "e", "1");
    CHECK_WITH(argument_of(refused).rfind("channels", 0) == 0, name);
  }
  CHECK(client.try_trigger(std::vector<std::string>{}, "e", "1").failure().code() == PUSHER_STATUS_INVALID_ARGUMENT);
  CHECK(kept.empty());
}

TEST("the data of an event in a batch cannot inject members") {
  std::vector<exchange> kept;
  const pusher::client client = recording(kept);
  const std::string reaching[] = {R"(1},{"channel":"admin","name":"e","data":1)",
                                  R"(1,"socket_id":"1.2")",
                                  "\"a\",\"info\":\"x\"",
                                  "1]",
                                  "}",
                                  "{]}}",
                                  "[1]]",
                                  "\"open",
                                  "\"a\\",
                                  "",
                                  " \t\r\n",
                                  "{",
                                  "[[]",
                                  ":1",
                                  "1,",
                                  std::string("1\0", 2),
                                  std::string("\"\0\"", 3)};
  for (const std::string &data : reaching) {
    const auto refused = client.try_trigger_batch({{"a", "e", "{}"}, {"b", "f", data}});
    CHECK_WITH(argument_of(refused) == "events[1].data", data);
    CHECK(!refused && refused.failure().delivery() == pusher::delivery::not_sent);
  }
  CHECK(kept.empty());

  // Valid data is sent byte for byte.
  const std::string staying[] = {R"("a\"},{\\\"")", R"({"k":[1,{"l":"]}"}]})", "\"\\\\\"", " [ ] ", "-0.10e+3",
                                 "\"\\u0000\""};
  for (const std::string &data : staying) {
    const auto sent = client.try_trigger_batch({{"a", "e", data}});
    CHECK_WITH(sent.has_value(), data);
  }
  CHECK(kept.size() == std::size(staying));
  CHECK(json::parse(kept[1].body)["batch"][0]["data"] == R"({"k":[1,{"l":"]}"}]})");
  // Invalid JSON is refused.
  CHECK(client.try_trigger_batch({{"a", "e", "nul"}}).failure().code() == PUSHER_STATUS_INVALID_ARGUMENT);
  CHECK(client.try_trigger_batch({{"a", "e", "[}"}}).failure().code() == PUSHER_STATUS_INVALID_ARGUMENT);
}

TEST("options are sent, with additional ones, and cannot inject members") {
  std::vector<exchange> kept;
  const pusher::client client = recording(kept);
  client.trigger("c", "e", "1", pusher::options().socket_id("1.2").info("subscription_count").timeout(1500ms));
  client.trigger("c", "e", "1", pusher::options().socket_id(std::nullopt).json("timeout_ms", "2000"));
  client.trigger_batch({pusher::event("c", "e", "1").socket_id("3.4").info("subscription_count")});
  const json first = json::parse(kept[0].body), second = json::parse(kept[1].body), third = json::parse(kept[2].body);
  CHECK(first["socket_id"] == "1.2" && first["info"] == "subscription_count");
  CHECK(!second.contains("socket_id"));
  CHECK(third["batch"][0]["socket_id"] == "3.4" && third["batch"][0]["info"] == "subscription_count");

  CHECK(argument_of(client.try_trigger("c", "e", "1", pusher::options().socket_id(""))) == "options.socket_id");
  CHECK(argument_of(client.try_trigger("c", "e", "1", pusher::options().idempotency_key(""))) ==
        "options.idempotency_key");
  CHECK(argument_of(client.try_trigger("c", "e", "1", pusher::options().json("nope", "1"))) == "options.nope");
  const auto reaching = pusher::options().json("info", R"("a","timeout_ms":1)");
  CHECK(argument_of(client.try_trigger("c", "e", "1", reaching)) == "options.info");
  pusher::publisher publisher(client, R"({"hooks_on_threads":true})");
  const auto closing = pusher::publish_options().json("conflate", "1}");
  CHECK(argument_of(publisher.try_publish("c", "e", "1", closing)) == "options.conflate");
  CHECK(kept.size() == 3);
}

TEST("an omitted optional string differs from an empty one") {
  const pusher::client client(NOWHERE);
  CHECK(client.try_authenticate("private-c", "1234.5678").has_value());
  CHECK(argument_of(client.try_authenticate("private-c", "1234.5678", "")) == "channel_data");
}

TEST("prepare refuses a NUL byte in each argument") {
  const pusher::client client(NOWHERE);
  using namespace std::string_view_literals;
  CHECK(argument_of(client.try_prepare("trig\0ger"sv, {"c", "e", "1"})) == "call");
  CHECK(argument_of(client.try_prepare("trigger", {"c\0"sv, "e", "1"})) == "arguments[0]");
  CHECK(argument_of(client.try_prepare("trigger", {"c", "e", "1", "\0"sv})) == "arguments[3]");
  CHECK(client.try_prepare("trigger", {"c", "e", "1", std::nullopt}).has_value());
  CHECK(argument_of(client.try_prepare("trigger", {std::nullopt, "e", "1"})) != "(it did not fail)");
  CHECK(argument_of(client.try_prepare("nothing", {})) == "call");
}

TEST("strings of every length arrive complete, with and without an allocation") {
  std::vector<exchange> kept;
  const pusher::client client = recording(kept);
  for (std::size_t size = 0; size < 1100; size += size < 480 || size > 520 ? 37 : 1) {
    kept.clear();
    const std::string text(size, 'x');
    client.trigger("c", "e", pusher::json_string(text));
    CHECK_WITH(kept.size() == 1 && json::parse(kept[0].body)["data"] == text, std::to_string(size));
  }
}

TEST("a string becomes the equivalent JSON string") {
  std::string every;
  for (int byte = 0; byte < 128; byte++) every += static_cast<char>(byte);
  every += "zażółć 🐢";
  CHECK(json::parse(pusher::json_string(every)) == every);
}

// --- callbacks ---

TEST("a log receives messages, and is destroyed once, with the client") {
  std::atomic<int> destroyed{0};
  std::vector<std::string> said;
  {
    pusher::client client(pusher::config().json("url", '"' + std::string(NOWHERE) + '"').text("log_level", "debug"));
    using text = std::string_view;
    client.set_log([&said, state = counted(destroyed)](pusher::log_level level, text message, text fields) {
      CHECK(level >= pusher::log_level::error && level <= pusher::log_level::debug);
      CHECK(json::parse(fields).is_object());
      said.emplace_back(message);
    });
    CHECK(destroyed == 0);
    CHECK(!client.try_trigger("c", "e", "1"));
    CHECK(!said.empty());
    const pusher::client moved = std::move(client);
    CHECK(destroyed == 0);
  }
  CHECK(destroyed == 1);
}

TEST("an observer is told of a call and its attempt, and is destroyed once, with the client") {
  std::atomic<int> destroyed{0};
  std::vector<pusher::observation> kinds;
  {
    pusher::client client(NOWHERE);
    using text = std::string_view;
    client.set_observer([&kinds, state = counted(destroyed)](pusher::observation kind, std::uint64_t id, text fields) {
      CHECK(id == 1);
      CHECK(json::parse(fields)["call"] == "trigger");
      kinds.push_back(kind);
      throw std::runtime_error("ignored");
    });
    CHECK(!client.try_trigger("c", "e", "1"));
    CHECK(kinds.size() >= 4 && kinds.front() == pusher::observation::call_start);
    CHECK(kinds.back() == pusher::observation::call_end);
    CHECK(json::parse(client.stats())["calls"]["trigger"]["not_sent"] == 1);
    CHECK(client.try_set_observer([](auto...) {}).failure().code() == PUSHER_STATUS_INVALID_STATE);
  }
  CHECK(destroyed == 1);
}

TEST("a refused callback is destroyed at once, and the first one stays") {
  std::atomic<int> first{0}, second{0};
  {
    pusher::client client(NOWHERE);
    client.set_transport([state = counted(first)](const pusher::request_ref &, pusher::response_ref &response) {
      response.set(200, "{}").header("content-length", "2");
    });
    const auto refused = client.try_set_transport([state = counted(second)](auto &, auto &) {});
    CHECK(refused.failure().code() == PUSHER_STATUS_INVALID_STATE);
    CHECK(first == 0 && second == 1);
    CHECK(client.try_trigger("c", "e", "1").has_value());
    CHECK(client.try_set_log([state = counted(second)](auto...) {}).failure().code() == PUSHER_STATUS_INVALID_STATE);
    CHECK(second == 2);
  }
  CHECK(first == 1 && second == 2);
}

TEST("a publisher keeps the transport of a destroyed client") {
  std::atomic<int> destroyed{0}, sent{0};
  {
    auto client = std::make_unique<pusher::client>(NOWHERE);
    client->set_transport(
        [&sent, state = counted(destroyed)](const pusher::request_ref &, pusher::response_ref &response) {
          sent++;
          response.set(200, "{}").header("content-length", "2");
        });
    pusher::publisher publisher(*client, R"({"hooks_on_threads":true,"reports":"all"})");
    client.reset();
    CHECK(destroyed == 0);
    publisher.publish("c", "e", "1");
    CHECK(publisher.flush(10s));
    CHECK(sent == 1);
    const auto reports = publisher.poll(10s);
    CHECK(reports && json::parse(*reports)["reports"][0]["delivery"] == "delivered");
    CHECK(publisher.close(10s));
  }
  CHECK(destroyed == 1);
}

TEST("a transport gets the whole request and sets the result") {
  pusher::client client(
      pusher::config().json("url", '"' + std::string(NOWHERE) + '"').json("retry", R"({"mode":"never"})"));
  int turn = 0;
  client.set_transport([&turn](const pusher::request_ref &request, pusher::response_ref &response) {
    CHECK(request.method() == "POST");
    CHECK(request.url().rfind("http://127.0.0.1:1/apps/1/events?", 0) == 0);
    CHECK(json::parse(request.body())["name"] == "e");
    CHECK(request.timeout() > 0ms && request.timeout() <= 5s);
    const auto headers = request.headers();
    const std::pair<std::string_view, std::string_view> json_is_sent("content-type", "application/json");
    CHECK(std::find(headers.begin(), headers.end(), json_is_sent) != headers.end());
    CHECK(request.native_handle() != nullptr && response.native_handle() != nullptr);
    switch (turn++) {
      case 0: response.set(403, "disabled").header("Date", "x"); break;
      case 1: response.fail(pusher::delivery::not_sent, "connect", std::string("a NUL \0 in the middle", 21)); break;
      case 2: response.set(200, "{").fail(pusher::delivery::unknown, "reset", "cut"); break;
      case 3: break;
    }
  });
  const pusher::status codes[] = {PUSHER_STATUS_FORBIDDEN, PUSHER_STATUS_NOT_SENT, PUSHER_STATUS_BAD_RESPONSE,
                                  PUSHER_STATUS_DELIVERY_UNKNOWN};
  const pusher::delivery deliveries[] = {pusher::delivery::rejected, pusher::delivery::not_sent,
                                         pusher::delivery::unknown, pusher::delivery::unknown};
  for (std::size_t i = 0; i < std::size(codes); i++) {
    const auto failed = client.try_trigger("c", "e", "1");
    CHECK_WITH(!failed && failed.failure().code() == codes[i] && failed.failure().delivery() == deliveries[i],
               failed ? *failed : failed.failure().document());
    if (i == 1) CHECK(failed.failure().message().find("in the middle") != std::string::npos);
  }
}

TEST("a transport that throws may have sent the request, and its message is reported") {
  pusher::client client(
      pusher::config().json("url", '"' + std::string(NOWHERE) + '"').json("retry", R"({"mode":"never"})"));
  int turn = 0;
  client.set_transport([&turn](const pusher::request_ref &, pusher::response_ref &response) {
    if (turn == 1) response.set(200, "{}").header("content-length", "2");
    if (turn++ < 2) throw std::runtime_error("out of carrier pigeons");
    throw 7;
  });
  for (int i = 0; i < 3; i++) {
    const auto failed = client.try_trigger("c", "e", "1");
    CHECK(!failed && failed.failure().delivery() == pusher::delivery::unknown);
    if (i == 0) CHECK(failed.failure().message().find("out of carrier pigeons") != std::string::npos);
  }
  CHECK(turn == 3);
}

TEST("an exception from a log is dropped") {
  pusher::client client(pusher::config().json("url", '"' + std::string(NOWHERE) + '"').text("log_level", "debug"));
  int told = 0;
  client.set_log([&told](auto...) {
    told++;
    throw std::runtime_error("the disk is full");
  });
  CHECK(client.try_trigger("c", "e", "1").failure().code() == PUSHER_STATUS_NOT_SENT);
  CHECK(told > 0);
}

// --- signing without sending ---

TEST("a prepared request outlives its client, and an equal client finishes it once") {
  std::optional<pusher::request> request;
  {
    const pusher::client first(NOWHERE);
    request.emplace(first.prepare("trigger", {"c", "e", R"({"n":1})"}));
  }
  CHECK(request->method() == "POST");
  CHECK(json::parse(request->body())["data"] == R"({"n":1})");
  CHECK(request->timeout() > 0ms);

  const pusher::client client(NOWHERE);
  pusher::response response;
  response.set(200, R"({"channels":{}})").header("Content-Type", "application/json");
  CHECK(client.finish(*request, response) == R"({"channels":{}})");
  CHECK(client.try_finish(*request, response).failure().code() == PUSHER_STATUS_INVALID_STATE);

  *request = client.prepare("get", {"/channels"});
  CHECK(request->method() == "GET" && request->body().empty());
  response = pusher::response();
  response.fail(pusher::delivery::unknown, "reset", "cut");
  CHECK(client.try_finish(*request, response).failure().delivery() == pusher::delivery::none);
}

// --- the publisher ---

TEST("a publisher queues, flushes, reports and closes") {
  const server &fault = server::only();
  const int port = fault.listen();
  const pusher::client client(fault.config(port));
  pusher::publisher publisher(client, pusher::config().text("reports", "all").number("connections", 1));
  CHECK(!publisher.poll(0ms));
  CHECK(publisher.try_poll(-5ms).failure().code() == PUSHER_STATUS_TIMED_OUT);
  CHECK(publisher.publish("c", "e", "1") == 1);
  CHECK(publisher.publish({"c", "d"}, "e", "2", pusher::publish_options().socket_id("1.2")) == 2);
  CHECK(publisher.publish_to_user("u7", "e", "3", pusher::publish_options().timeout(1s)) == 3);
  CHECK(publisher.try_publish("c d", "e", "4").failure().code() == PUSHER_STATUS_INVALID_ARGUMENT);
  CHECK(publisher.flush(pusher::forever));
  std::set<int> ids;
  for (const json &report : reports_of(publisher)) ids.insert(report["id"].get<int>());
  CHECK((ids == std::set<int>{1, 2, 3}));
  CHECK(json::parse(publisher.stats())["events"]["delivered"] == 3);
  CHECK(publisher.close(10s));
  CHECK(publisher.try_publish("c", "e", "5").failure().code() == PUSHER_STATUS_CLOSED);
  auto published = fault.published(port);
  std::sort(published.begin(), published.end());
  CHECK((published == std::vector<std::string>{"1", "2", "2", "3"}));
  const auto wrong = pusher::publisher::make(client, pusher::config().number("connections", 0));
  CHECK(argument_of(wrong) == "connections");
}

TEST("a newer event replaces a waiting one, and a flush reports a timeout") {
  std::promise<void> sending, opened;
  const std::shared_future<void> open = opened.get_future().share();
  pusher::client client(NOWHERE);
  client.set_transport(
      [&sending, open, first = true](const pusher::request_ref &, pusher::response_ref &response) mutable {
        if (std::exchange(first, false)) sending.set_value();
        open.wait_for(10s);
        response.set(200, "{}").header("content-length", "2");
      });
  pusher::publisher publisher(client, R"({"hooks_on_threads":true,"reports":"all","connections":1,"linger_ms":0})");
  publisher.publish("c", "first", "0");
  CHECK(sending.get_future().wait_for(10s) == std::future_status::ready);
  for (int i = 0; i < 3; i++)
    publisher.publish("c", "price", std::to_string(i), pusher::publish_options().conflate("EUR"));
  CHECK(!publisher.flush(20ms));
  CHECK(publisher.try_flush(0ms).failure().code() == PUSHER_STATUS_TIMED_OUT);
  opened.set_value();
  CHECK(publisher.flush(10s));
  int superseded = 0;
  for (const json &report : reports_of(publisher)) superseded += report.value("reason", "") == "superseded";
  CHECK_WITH(superseded == 2, std::to_string(superseded));
  CHECK(publisher.close(10s));
}

// --- threads, processes, memory ---

TEST("sixteen threads use one client and one publisher") {
  constexpr int threads = 16, each = 50;
  const server &fault = server::only();
  const int port = fault.listen();
  const pusher::client client(fault.config(port));
  pusher::publisher publisher(client);
  std::atomic<int> wrong{0};
  std::vector<std::thread> all;
  for (int thread = 0; thread < threads; thread++) {
    all.emplace_back([&, thread] {
      const std::string channel = "private-c" + std::to_string(thread);
      const std::string auth = client.authenticate(channel, "1.2");
      for (int i = 0; i < each; i++) {
        const std::string data = std::to_string(thread * each + i);
        if (i % 2 == 0) {
          if (!client.try_trigger(channel, "e", data)) wrong++;
        } else {
          if (!publisher.try_publish(channel, "e", data)) wrong++;
        }
        if (client.authenticate(channel, "1.2") != auth) wrong++;
        // Each thread gets its own failure.
        const std::string name = "no good " + data;
        const auto refused = client.try_trigger("c", name + std::string(200, 'x'), "1");
        if (refused || refused.failure().code() != PUSHER_STATUS_INVALID_ARGUMENT) wrong++;
      }
    });
  }
  for (std::thread &one : all) one.join();
  CHECK(publisher.close(10s));
  CHECK(wrong == 0);
  const auto published = fault.published(port);
  CHECK(published.size() == threads * each);
  CHECK(std::set<std::string>(published.begin(), published.end()).size() == threads * each);
}

TEST("a forked child uses its parent's client, and the publisher reports that it was forked") {
  const server &fault = server::only();
  const int port = fault.listen();
  const pusher::client client(fault.config(port));
  pusher::publisher publisher(client);
  client.trigger("c", "e", "\"parent\"");
  publisher.publish("c", "e", "\"background\"");
  CHECK(publisher.flush(10s));
  std::cout.flush();
  const pid_t child = fork();
  if (child == 0) {
    const bool sent = client.try_trigger("c", "e", "\"child\"").has_value();
    const auto refused = publisher.try_publish("c", "e", "\"lost\"");
    _exit(sent && !refused && refused.failure().code() == PUSHER_STATUS_FORKED ? 0 : 1);
  }
  int status = 0;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK(client.try_trigger("c", "e", "\"after\"").has_value());
  CHECK((fault.published(port) == std::vector<std::string>{"parent", "background", "child", "after"}));
}

TEST("a failure of any allocation leaks nothing, and callbacks are destroyed once") {
  const std::string long_text = pusher::json_string(std::string(900, 'x'));
  const std::vector<std::string> names{"a-name-that-needs-memory-of-its-own", "another-name-that-needs-memory"};
  bool finished = false;
  int failed_allocations = 0;
  for (long n = 0; !finished && n < 2000; n++) {
    std::atomic<int> destroyed{0};
    int hooks = 0;
    try {
      allocations_left = n;
      // Only a caller's own steps, so that each of their allocations fails once.
      const auto config = pusher::config().app_id("1").key("k").secret("s").host("127.0.0.1").port(1).ssl(false);
      pusher::client client(config);
      counted log_state(destroyed), send_state(destroyed);
      hooks = 2;
      client.set_log([state = std::move(log_state)](auto...) {});
      client.set_transport(
          [state = std::move(send_state)](const pusher::request_ref &request, pusher::response_ref &response) {
            if (!request.headers().empty()) response.set(200, "{}").header("content-length", "2");
          });
      const auto options = pusher::options().socket_id("1.2").info("subscription_count");
      const auto sent = client.try_trigger(names, "e", long_text, options);
      const auto batch =
          client.try_trigger_batch({{"c", "e", long_text}, {"c", "e", "1"}}, pusher::options().timeout(1s));
      const auto failed = client.try_trigger("c", "e", "nothing");
      auto prepared = client.try_prepare("trigger", {"c", "e", long_text});
      pusher::response response;
      response.set(200, "{}");
      const auto done = client.try_finish(*prepared, response);
      pusher::publisher publisher(client, R"({"hooks_on_threads":true})");
      const auto queued = publisher.try_publish("c", "e", long_text, pusher::publish_options().conflate("k"));
      try {
        client.trigger("c", "e", "nothing");
      } catch (const pusher::error &error) {
        finished = error.status() == PUSHER_STATUS_INVALID_ARGUMENT;
      }
      allocations_left = -1;
      CHECK(sent || sent.failure().delivery() == pusher::delivery::unknown); // its transport was out of memory
      CHECK(!failed);
      CHECK_WITH(done.has_value(), done ? "" : done.failure().document());
      CHECK_WITH(queued.has_value(), queued ? "" : queued.failure().document());
    } catch (const std::bad_alloc &) {
      allocations_left = -1;
      failed_allocations++;
    }
    CHECK(destroyed == hooks);
  }
  CHECK(finished && failed_allocations > 30);
}

#if defined(__GLIBC__) && !defined(SANITIZED) // a sanitizer has its own malloc, and looks for leaks itself
TEST("many calls take no more memory than a few calls") {
  std::vector<exchange> kept;
  pusher::client client(NOWHERE);
  client.set_transport([](const pusher::request_ref &, pusher::response_ref &response) {
    response.set(200, "{}").header("content-length", "2");
  });
  const auto work = [&client](int times) {
    for (int i = 0; i < times; i++) {
      client.authenticate("private-c", "1.2");
      client.trigger({"a", "b"}, "e", "\"x\"", pusher::options().socket_id("1.2"));
      if (client.try_trigger("c", "e", "not JSON")) CHECK(false);
      pusher::request request = client.prepare("trigger", {"c", "e", "1"});
      pusher::response response;
      response.set(500, "no");
      if (client.try_finish(request, response)) CHECK(false);
    }
    return mallinfo2().uordblks;
  };
  const auto few = work(200), many = work(5000);
  CHECK_WITH(many < few + 4096, std::to_string(few) + " and then " + std::to_string(many));
}
#endif

TEST("sources with and without exceptions link into one program") {
  CHECK_WITH(status_without_exceptions(NOWHERE) == "NOT_SENT", status_without_exceptions(NOWHERE));
  CHECK(status_without_exceptions("nonsense") == "INVALID_CONFIG");
}

} // namespace

int main(int, char **arguments) {
#if defined(__GLIBC__) && !defined(SANITIZED)
  // malloc's cache per thread counts as memory in use, and fills up over many calls. Without it, "many calls take no more
  // memory" sees every byte. It can only be turned off before the program starts.
  static const char TUNABLES[] = "GLIBC_TUNABLES";
  if (std::getenv(TUNABLES) == nullptr) {
    setenv(TUNABLES, "glibc.malloc.tcache_count=0", 1);
    execv("/proc/self/exe", arguments);
  }
#else
  (void)arguments;
#endif
  return check::run();
}
