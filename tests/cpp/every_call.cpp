// Calls every function of pusher.hpp once. Compiled for every standard, with strict warnings, with and without exceptions.
// The second include must have no effect.
#include <pusher.hpp>

#include <pusher.hpp>

#include <cstdio>

namespace {

struct silent_transport {
  void operator()(const pusher::request_ref &request, pusher::response_ref &response) const {
    if (request.timeout() > std::chrono::milliseconds(0)) response.set(200, "{}").header("content-length", "2");
  }
};
struct silent_log {
  void operator()(pusher::log_level, std::string_view, std::string_view) const {}
};
struct silent_observer {
  void operator()(pusher::observation, std::uint64_t, std::string_view) const {}
};

// Makes every call that does not throw, and returns the number of successes.
int without_exceptions(pusher::client &client) {
  int succeeded = 0;
  const auto count = [&succeeded](const auto &result) { succeeded += result ? 1 : 0; };
  const auto more = pusher::options()
                        .socket_id("1.2")
                        .info("subscription_count")
                        .timeout(std::chrono::seconds(1))
                        .fan_out(false)
                        .json("info2", "1");
  count(client.try_set_log(silent_log()));
  count(client.try_set_observer(silent_observer()));
  count(client.try_set_transport(silent_transport()));
  count(client.try_trigger("c", "e", "1"));
  count(client.try_trigger({"c", "d"}, "e", "1", more));
  count(client.try_trigger(std::vector<std::string>{"c", "d"}, "e", "1"));
  count(client.try_trigger_batch(
      {{"c", "e", "1"}, pusher::event("c", "e", "2").socket_id("1.2").info("subscription_count")}));
  count(client.try_trigger_batch(R"([{"channel":"c","name":"e","data":1}])"));
  count(client.try_send_to_user("u", "e", "1"));
  count(client.try_terminate_user_connections("u"));
  count(client.try_channels_info());
  count(client.try_channels_info("presence-", "user_count"));
  count(client.try_channel_info("c", "subscription_count"));
  count(client.try_users_info("presence-c"));
  count(client.try_get("/channels", R"({"limit":1})"));
  count(client.try_post("/events", std::nullopt, "{}"));
  count(client.try_delete_path("/channels/c"));
  count(client.try_authenticate("presence-c", "1.2", R"({"user_id":"u"})"));
  count(client.try_authenticate_channels("1.2", R"(["private-c"])"));
  count(client.try_authenticate_user("1.2", R"({"id":"u"})"));
  count(client.try_validate_webhook(std::nullopt, std::nullopt, "{}"));
  count(client.try_stats());

  auto clone = client.try_clone();
  if (clone) {
    count(clone->try_trigger("c", "e", "1"));
    clone->cancel();
    count(clone->try_trigger("c", "e", "1"));
  }
#ifdef __cpp_lib_jthread
  std::stop_source stop;
  const auto stoppable = client.until(stop.get_token());
  count(stoppable->try_trigger("c", "e", "1"));
  stop.request_stop();
  count((*stoppable).try_trigger("c", "e", "1"));
#else
  succeeded++;
#endif

  auto prepared = client.try_prepare("trigger", {"c", "e", "1", std::nullopt});
  pusher::response response;
  response.set(200, "{}").header("date", "now").fail(pusher::delivery::unknown, "reset", "cut");
  if (prepared) {
    std::size_t size =
        prepared->method().size() + prepared->url().size() + prepared->headers().size() + prepared->body().size();
    succeeded += size > 0 && prepared->timeout() > std::chrono::milliseconds(0) ? 1 : 0;
    count(client.try_finish(*prepared, response));
  }

  count(client.try_prepare_trigger("c", "e", "1", more));
  count(client.try_prepare_trigger_batch({{"c", "e", "1"}}));
  count(client.try_prepare_trigger_batch(R"([{"channel":"c","name":"e","data":1}])"));
  count(client.try_prepare_send_to_user("u", "e", "1"));
  count(client.try_prepare_terminate_user_connections("u"));
  count(client.try_prepare_channels_info("presence-"));
  count(client.try_prepare_channel_info("c", "subscription_count"));
  count(client.try_prepare_users_info("presence-c"));
  count(client.try_prepare_get("/channels", R"({"limit":1})"));
  count(client.try_prepare_post("/events", std::nullopt, "{}"));
  count(client.try_prepare_delete_path("/channels/c"));

  // A request and a response as bytes.
  if (auto sent = client.try_prepare_trigger("c", "e", "1")) {
    const std::string_view whole = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    pusher::response came;
    std::size_t used = 0;
    succeeded += sent->bytes().substr(0, 5) == "POST " && sent->host() == "127.0.0.1" ? 1 : 0;
    succeeded += sent->port() == 1 && !sent->tls() && came.feed(whole.substr(0, 20)) == pusher::fed::more ? 1 : 0;
#ifdef __cpp_lib_span
    const auto rest = std::as_bytes(std::span(whole.substr(20)));
    succeeded += came.feed(rest, &used) == pusher::fed::whole && used == rest.size() ? 1 : 0;
    const std::vector<std::uint8_t> body{'{', '}'};
    came.set(200, body);
    count(client.try_validate_webhook(std::nullopt, std::nullopt, body));
    came.set(200, "{}");
#else
    succeeded += came.feed(whole.substr(20), &used) == pusher::fed::whole && used == whole.size() - 20 ? 1 : 0;
#endif
    count(client.try_finish(*sent, came));
  }
  auto refused = client.try_prepare_trigger("", "e", "1");
  succeeded += refused.failure().status_code() == pusher::status_code::invalid_argument ? 1 : 0;
#ifdef __cpp_lib_expected
  const auto sent = client.try_trigger("c", "e", "1");
  succeeded += sent.expected() == "{}" && !std::move(refused).expected() ? 1 : 0;
#else
  succeeded++;
#endif

  auto publisher = pusher::publisher::make(client, pusher::config().boolean("hooks_on_threads", true));
  if (publisher) {
    count(publisher->try_publish({"c"}, "e", "1", pusher::publish_options().conflate("k")));
    count(publisher->try_publish_to_user("u", "e", "1"));
    count(publisher->try_flush(std::chrono::seconds(1)));
    const auto drained = publisher->try_drain(pusher::forever);
    count(drained);
    count(publisher->try_close(pusher::forever));
    auto other = pusher::publisher::make(client, pusher::config().boolean("hooks_on_threads", true));
    if (other && drained) count(other->try_restore(*drained));
    count(publisher->try_poll(std::chrono::milliseconds(0)));
    count(publisher->try_fd());
    count(publisher->try_stats());
  }
  return succeeded;
}

#if PUSHER_HAS_EXCEPTIONS
// Makes every call that throws.
int with_exceptions() {
  try {
    pusher::client client(pusher::config()
                              .app_id("1")
                              .key("k")
                              .secret("s")
                              .cluster("eu")
                              .host("127.0.0.1")
                              .port(1)
                              .ssl(false)
                              .timeout(std::chrono::seconds(1))
                              .text("log_level", "debug")
                              .number("idle_timeout_ms", 1000)
                              .boolean("clock_correction", false)
                              .json("retry", R"({"mode":"never"})"));
    client.set_log(silent_log());
    client.set_observer(silent_observer());
    client.set_transport(silent_transport());
    client.clone().trigger("c", "e", "1");
    client.trigger("c", "e", "1");
    client.trigger_batch({{"c", "e", "1"}});
    client.trigger_batch(R"([{"channel":"c","name":"e","data":1}])");
    client.send_to_user("u", "e", "1");
    client.terminate_user_connections("u");
    client.channels_info();
    client.channel_info("c");
    client.users_info("presence-c");
    client.get("/channels");
    client.post("/events");
    client.delete_path("/channels/c");
    client.authenticate("private-c", "1.2");
    client.authenticate_channels("1.2", R"(["private-c"])");
    client.authenticate_user("1.2", R"({"id":"u"})");
    pusher::request request = client.prepare("trigger", {"c", "e", "1"});
    client.finish(request, pusher::response().set(200, "{}"));
    pusher::request typed = client.prepare_trigger({"c", "d"}, "e", "1");
    client.finish(typed, pusher::response().set(200, "{}"));
    client.prepare_trigger_batch({{"c", "e", "1"}});
    client.prepare_trigger_batch(R"([{"channel":"c","name":"e","data":1}])");
    client.prepare_send_to_user("u", "e", "1");
    client.prepare_terminate_user_connections("u");
    client.prepare_channels_info();
    client.prepare_channel_info("c");
    client.prepare_users_info("presence-c");
    client.prepare_get("/channels");
    client.prepare_post("/events");
    client.prepare_delete_path("/channels/c");
    client.stats();
    pusher::publisher publisher(client, R"({"hooks_on_threads":true})");
    publisher.publish("c", "e", "1");
    publisher.publish_to_user("u", "e", "1");
    const auto on_threads = pusher::config().boolean("hooks_on_threads", true);
    const std::string drained = pusher::publisher(client, on_threads).drain(pusher::forever);
    if (publisher.restore(drained) != R"({"restored":[]})") return 0;
    if (!publisher.flush(std::chrono::seconds(10)) || !publisher.close(std::chrono::seconds(10))) return 0;
    if (publisher.poll(std::chrono::milliseconds(0)) || publisher.fd() < 0 || publisher.stats().empty()) return 0;
    client.validate_webhook("k", "signature", "{}");
  } catch (const pusher::error &error) {
    // The last one of them.
    return error.status() == PUSHER_STATUS_WEBHOOK_INVALID && error.delivery() == pusher::delivery::none &&
           !error.document().empty();
  }
  return 0;
}
#else
int with_exceptions() { return 1; }
#endif

} // namespace

int main() {
  auto client = pusher::client::make("http://k:s@127.0.0.1:1/apps/1");
  if (!client || pusher::version_number() != PUSHER_VERSION_NUMBER || pusher::version().empty()) return 2;
  const int succeeded = without_exceptions(*client);
  const bool all = succeeded == 47 && with_exceptions() == 1;
  std::printf("%d calls succeeded\n", succeeded);
  return all ? 0 : 1;
}
