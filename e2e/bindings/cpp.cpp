// The C++ program for bindings.test.mjs, which describes the protocol of these programs.
#include <pusher.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

using nlohmann::json;

/** Publishes 0, 1, 2… through a publisher, and returns the reports. */
static std::string publish(const pusher::client &client, const json &job) {
  pusher::publisher publisher(client, R"({"reports":"all"})");
  const auto channel = job.at("channel").get<std::string>(), event = job.at("event").get<std::string>();
  for (int i = 0; i < job.at("count"); i++) publisher.publish(channel, event, std::to_string(i));
  if (!publisher.close(std::chrono::seconds(10))) throw std::runtime_error("events are left");
  return publisher.poll(std::chrono::seconds(0)).value_or("null");
}

static std::string perform(const pusher::client &client, const json &job) {
  const auto text = [&](const char *name) { return job.at(name).get<std::string>(); };
  const auto call = text("call");
  if (call == "trigger") {
    return client.trigger(job.at("channels").get<std::vector<std::string>>(), text("event"), job.at("data").dump());
  }
  if (call == "trigger_batch") {
    std::vector<pusher::event> events;
    for (const json &one : job.at("events")) {
      events.emplace_back(one.at("channel").get<std::string>(), one.at("name").get<std::string>(),
                          one.at("data").dump());
    }
    return client.trigger_batch(events);
  }
  if (call == "publish") return publish(client, job);
  if (call == "send_to_user") return client.send_to_user(text("user_id"), text("event"), job.at("data").dump());
  if (call == "terminate_user_connections") return client.terminate_user_connections(text("user_id"));
  if (call == "channels_info") return client.channels_info(text("prefix"));
  if (call == "users_info") return client.users_info(text("channel"));
  if (call == "authenticate") {
    if (job.contains("data")) return client.authenticate(text("channel"), text("socket_id"), job.at("data").dump());
    return client.authenticate(text("channel"), text("socket_id"));
  }
  if (call == "authenticate_channels") {
    return client.authenticate_channels(text("socket_id"), job.at("channels").dump());
  }
  if (call == "authenticate_user") return client.authenticate_user(text("socket_id"), job.at("data").dump());
  if (call == "validate_webhook") return client.validate_webhook(text("key"), text("signature"), text("body"));
  throw std::runtime_error("no such call: " + call);
}

int main() {
  const char *url = std::getenv("PUSHER_URL"), *key = std::getenv("MASTER_KEY");
  if (url == nullptr || key == nullptr) return 2;
  const pusher::client client(pusher::config().text("url", url).encryption_master_key_base64(key));
  for (std::string line; std::getline(std::cin, line);) {
    try {
      const std::string answer = perform(client, json::parse(line));
      std::cout << R"({"ok":)" << answer << '}' << std::endl;
    } catch (const pusher::error &error) {
      std::cout << json::object({{"error", pusher::status_name(error.status())}}) << std::endl;
    }
  }
}
