// Runs tests/conformance.json with pusher.hpp: with the throwing functions, or, compiled without exceptions, with the others.
//
//   FAULT_SERVER=path conformance tests/conformance.json
#include <pusher.hpp>

#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "fault_server.h"

// The order of members is not compared.
using ordered = nlohmann::ordered_json;
using json = nlohmann::json;

namespace {

int failures = 0;

[[noreturn]] void stop(const std::string &why) {
  std::cerr << why << '\n';
  std::exit(2);
}

// The result of a call: a document, or an error document.
struct outcome {
  bool ok;
  json value;
};

// Expands each {"repeat","times"} in `value` into its string.
void expand(ordered &value) {
  if (value.is_object() && value.size() == 2 && value.contains("repeat") && value.contains("times")) {
    const std::string repeat = value["repeat"];
    std::string whole;
    for (int times = value["times"]; times > 0; times--) whole += repeat;
    value = whole;
  } else if (value.is_structured()) {
    for (ordered &one : value) expand(one);
  }
}

json parsed(const std::string &document) {
  if (document.empty()) return nullptr;
  json value = json::parse(document, nullptr, false);
  if (value.is_discarded()) stop("not JSON: " + document);
  return value;
}

[[maybe_unused]] json to_json(const std::string &document) { return parsed(document); }
[[maybe_unused]] json to_json(std::uint64_t id) { return id; }
[[maybe_unused]] json to_json(pusher::done) { return nullptr; }
[[maybe_unused]] json to_json(bool in_time) { return in_time ? json(nullptr) : json("not in time"); }

outcome failed(pusher::status code, pusher::delivery delivery, const std::string &document) {
  json error = parsed(document)["error"];
  // The members of the C++ error must match the document.
  const std::set<std::pair<std::string, pusher::delivery>> deliveries = {{"not_sent", pusher::delivery::not_sent},
                                                                         {"rejected", pusher::delivery::rejected},
                                                                         {"unknown", pusher::delivery::unknown}};
  const bool named = error.contains("delivery") ? deliveries.count({error["delivery"], delivery}) == 1
                                                : delivery == pusher::delivery::none;
  if (error["status"] != std::string(pusher::status_name(code)) || !named) error["contradicted"] = true;
  return {false, error};
}

#if PUSHER_HAS_EXCEPTIONS
#define CALL(object, name, ...) caught([&] { return to_json((object).name(__VA_ARGS__)); })
template <typename Function>
outcome caught(const Function &function) {
  try {
    return {true, function()};
  } catch (const pusher::error &error) {
    return failed(error.status(), error.delivery(), error.document());
  }
}
#else
#define CALL(object, name, ...) held((object).try_##name(__VA_ARGS__))
template <typename T>
outcome held(const pusher::result<T> &result) {
  if (result) return {true, to_json(*result)};
  return failed(result.failure().code(), result.failure().delivery(), result.failure().document());
}
#endif

// The arguments of a case. An unused argument is a mistake in this program or in the case.
class arguments {
public:
  explicit arguments(const ordered &all) : all_(all) {}
  // A string, as both types.
  std::optional<std::string_view> optional(const std::string &name) {
    const ordered *value = find(name);
    if (value == nullptr || value->is_null()) return std::nullopt;
    return value->get_ref<const std::string &>();
  }
  std::string_view text(const std::string &name) {
    const auto value = optional(name);
    if (!value) stop("no argument " + name);
    return *value;
  }
  // A value as JSON.
  std::optional<std::string> document(const std::string &name) {
    const ordered *value = find(name);
    if (value == nullptr) return std::nullopt;
    return value->dump();
  }
  pusher::channels channels(const std::string &name) {
    const ordered *value = find(name);
    if (value == nullptr) stop("no argument " + name);
    if (value->is_array()) return value->get<std::vector<std::string>>();
    return value->get_ref<const std::string &>();
  }
  std::optional<std::string> attributes() {
    const ordered *value = find("attributes");
    if (value == nullptr) return std::nullopt;
    std::string list;
    for (const auto &one : *value) list += (list.empty() ? "" : ",") + one.get<std::string>();
    return list;
  }
  template <typename Options>
  Options options() {
    Options options;
    const ordered *value = find("options");
    if (value == nullptr) return options;
    for (auto one = value->begin(); one != value->end(); ++one) {
      const std::string &key = one.key();
      const ordered &member = one.value();
      if (member.is_null()) {
        options.json(key, "null");
      } else if (key == "socket_id") {
        options.socket_id(member.get_ref<const std::string &>());
      } else if (key == "info") {
        options.info(member.get_ref<const std::string &>());
      } else if (key == "idempotency_key") {
        options.idempotency_key(member.get_ref<const std::string &>());
      } else if (key == "timeout_ms" && member.is_number_integer()) {
        options.timeout(std::chrono::milliseconds(member.get<std::int64_t>()));
      } else {
        options.json(key, member.dump());
      }
    }
    return options;
  }
  const ordered *find(const std::string &name) {
    seen_.insert(name);
    const auto found = all_.find(name);
    return found == all_.end() ? nullptr : &*found;
  }
  void all_were_seen() const {
    for (const auto &[key, value] : all_.items()) {
      if (seen_.count(key) == 0) stop("an argument that is not known: " + key);
    }
  }

private:
  const ordered &all_;
  std::set<std::string> seen_;
};

outcome trigger_batch(const pusher::client &client, arguments &given) {
  std::vector<pusher::event> events;
  const ordered *all = given.find("events");
  const auto options = given.options<pusher::options>();
  for (const ordered &one : *all) {
    arguments members(one);
    const auto channel = members.optional("channel"), name = members.optional("name");
    const auto data = members.document("data");
    // C++ requires members that a case may omit: such an event is passed as JSON.
    if (!channel || !name || !data) return CALL(client, trigger_batch, all->dump(), options);
    events.emplace_back(*channel, *name, *data);
    events.back().socket_id(members.optional("socket_id"));
    if (const auto info = members.optional("info")) events.back().info(*info);
    members.all_were_seen();
  }
  return CALL(client, trigger_batch, events, options);
}

// Queues the events, waits for their ends, and fetches the reports.
outcome publish(const pusher::client &client, arguments &given, json &reports) {
  ordered settings = {{"reports", "all"}};
  if (const ordered *more = given.find("publisher")) settings.update(*more);
  const ordered *events = given.find("events");
#if PUSHER_HAS_EXCEPTIONS
  std::optional<pusher::publisher> publisher;
  const outcome made = caught([&] { return publisher.emplace(client, settings.dump()), json(nullptr); });
  if (!made.ok) return made;
#else
  auto publisher = pusher::publisher::make(client, settings.dump());
  if (!publisher) return held(pusher::result<pusher::done>(publisher.failure()));
#endif
  std::uint64_t queued = 0;
  for (const ordered &one : *events) {
    arguments event(one);
    const std::string data = *event.document("data");
    outcome came;
    const ordered *channels = event.find("channels");
    if (channels != nullptr && !channels->is_null()) {
      came = CALL(*publisher, publish, event.channels("channels"), event.text("event"), data,
                  event.options<pusher::publish_options>());
    } else {
      ordered rest = *event.find("options");
      const std::string user_id = rest["user_id"];
      rest.erase("user_id");
      const ordered with_rest = {{"options", rest}};
      came = CALL(*publisher, publish_to_user, user_id, event.text("event"), data,
                  arguments(with_rest).options<pusher::publish_options>());
    }
    event.all_were_seen();
    if (!came.ok) return came;
    if (came.value != ++queued) stop("ids are counted from 1");
  }
  const outcome flushed = CALL(*publisher, flush, std::chrono::seconds(10));
  if (!flushed.ok || !flushed.value.is_null()) return {false, {{"status", "the flush did not end"}}};
  for (reports = json::array();;) {
    const auto polled = publisher->try_poll(std::chrono::milliseconds(0));
    if (!polled) break;
    const json fetched = parsed(*polled);
    for (const json &report : fetched["reports"]) reports.push_back(report);
  }
  std::sort(reports.begin(), reports.end(), [](const json &a, const json &b) { return a["id"] < b["id"]; });
  return {true, queued};
}

using one_call = std::function<outcome(const pusher::client &, arguments &, json &reports)>;

const std::map<std::string, one_call> &calls() {
  static const std::map<std::string, one_call> all = {
      {"new", [](const pusher::client &, arguments &, json &) { return outcome{true, nullptr}; }},
      {"trigger",
       [](const pusher::client &c, arguments &a, json &) {
         return CALL(c, trigger, a.channels("channels"), a.text("event"), *a.document("data"),
                     a.options<pusher::options>());
       }},
      {"trigger_batch", [](const pusher::client &c, arguments &a, json &) { return trigger_batch(c, a); }},
      {"send_to_user",
       [](const pusher::client &c, arguments &a, json &) {
         return CALL(c, send_to_user, a.text("user_id"), a.text("event"), *a.document("data"),
                     a.options<pusher::options>());
       }},
      {"terminate_user_connections",
       [](const pusher::client &c, arguments &a, json &) {
         return CALL(c, terminate_user_connections, a.text("user_id"), a.options<pusher::options>());
       }},
      {"channels_info",
       [](const pusher::client &c, arguments &a, json &) {
         return CALL(c, channels_info, a.optional("prefix_filter"), a.attributes(), a.options<pusher::options>());
       }},
      {"channel_info",
       [](const pusher::client &c, arguments &a, json &) {
         return CALL(c, channel_info, a.text("channel"), a.attributes(), a.options<pusher::options>());
       }},
      {"users_info", [](const pusher::client &c, arguments &a,
                        json &) { return CALL(c, users_info, a.text("channel"), a.options<pusher::options>()); }},
      {"get", [](const pusher::client &c, arguments &a,
                 json &) { return CALL(c, get, a.text("path"), a.document("params"), a.options<pusher::options>()); }},
      {"post",
       [](const pusher::client &c, arguments &a, json &) {
         return CALL(c, post, a.text("path"), a.document("params"), a.document("body"), a.options<pusher::options>());
       }},
      {"delete",
       [](const pusher::client &c, arguments &a, json &) {
         return CALL(c, delete_path, a.text("path"), a.document("params"), a.options<pusher::options>());
       }},
      {"authenticate",
       [](const pusher::client &c, arguments &a, json &) {
         return CALL(c, authenticate, a.text("channel"), a.text("socket_id"), a.document("channel_data"));
       }},
      {"authenticate_channels",
       [](const pusher::client &c, arguments &a, json &) {
         return CALL(c, authenticate_channels, a.text("socket_id"), *a.document("channels"));
       }},
      {"authenticate_user",
       [](const pusher::client &c, arguments &a, json &) {
         return CALL(c, authenticate_user, a.text("socket_id"), *a.document("user_data"));
       }},
      {"validate_webhook",
       [](const pusher::client &c, arguments &a, json &) {
         return CALL(c, validate_webhook, a.optional("key"), a.optional("signature"), a.text("body"));
       }},
      {"publish", [](const pusher::client &c, arguments &a, json &reports) { return publish(c, a, reports); }},
  };
  return all;
}

// Checks that each wanted member is present; a null means that it must be absent.
bool has_members(const json &value, const json &wanted) {
  for (const auto &[key, member] : wanted.items()) {
    if (member.is_null() ? value.contains(key) : !value.contains(key) || value[key] != member) return false;
  }
  return !value.contains("contradicted");
}

bool is_encrypted(const json &event, const json &wanted) {
  const json data = parsed(event.value("data", ""));
  return event["channel"] == wanted["channel"] && event["name"] == wanted["name"] && data.is_object() &&
         data.size() == 2 && data["nonce"].is_string() && data["ciphertext"].is_string();
}

bool were_published(const json &applied, const json &wanted) {
  if (applied.size() != wanted.size()) return false;
  for (std::size_t i = 0; i < applied.size(); i++) {
    if (wanted[i].contains("encrypted") ? !is_encrypted(applied[i], wanted[i]) : applied[i] != wanted[i]) return false;
  }
  return true;
}

json applied(int control, int port) {
  char *answer = fault_server_ask(control, "GET", ("/listen/" + std::to_string(port)).c_str(), "");
  const json ledger = parsed(answer);
  std::free(answer);
  json all = json::array();
  for (const json &attempt : ledger["attempts"]) {
    for (const json &event : attempt["applied"]) all.push_back(event);
  }
  return all;
}

void run(const ordered &one, const json &credentials, const json &ready) {
  static const std::set<std::string> known = {"name", "server",  "config",    "call",    "arguments",
                                              "ok",   "ok_keys", "published", "reports", "error"};
  for (const auto &[key, value] : one.items()) {
    if (known.count(key) == 0) stop("a member that is not known: " + key);
  }
  const int control = ready["control"];
  const ordered &server = one["server"];
  json config = credentials;
  config.update({{"host", "127.0.0.1"}, {"port", 1}, {"ssl", false}});
  if (!server.is_null()) {
    char *answer = fault_server_ask(control, "POST", "/listen", server.dump().c_str());
    config["port"] = parsed(answer)["port"];
    std::free(answer);
    if (server.value("tls", false)) config.update({{"host", "localhost"}, {"ssl", true}, {"ca_file", ready["ca"]}});
  }
  const int port = config["port"];
  if (one.contains("config")) config.update(json(one["config"]));

  arguments given(one["arguments"]);
  json reports;
  outcome came{false, nullptr};
  const auto made = calls().find(one["call"]);
  if (made == calls().end()) stop("a call that is not known");
  const std::string configuration(given.optional("config").value_or(config.dump()));
#if PUSHER_HAS_EXCEPTIONS
  came = caught([&] {
    const pusher::client client(configuration);
    const outcome inner = made->second(client, given, reports);
    return json{inner.ok, inner.value};
  });
  if (came.ok) came = {came.value[0], came.value[1]};
#else
  const auto client = pusher::client::make(configuration);
  if (client) {
    came = made->second(*client, given, reports);
  } else {
    came = failed(client.failure().code(), client.failure().delivery(), client.failure().document());
  }
#endif
  if (came.ok) given.all_were_seen();

  std::ostringstream wrong;
  const bool fails = one.contains("error");
  if (came.ok == fails) {
    wrong << (fails ? "it did not fail: " : "it failed: ") << came.value;
  } else if (fails && !has_members(came.value, one["error"])) {
    wrong << "another error: " << came.value;
  } else if (one.contains("ok") && came.value != json(one["ok"])) {
    wrong << "another result: " << came.value;
  } else if (one.contains("ok_keys")) {
    std::set<std::string> keys;
    for (const auto &[key, value] : came.value.items()) keys.insert(key);
    if (keys != one["ok_keys"].get<std::set<std::string>>()) wrong << "other keys: " << came.value;
  }
  if (one.contains("reports")) {
    bool as_wanted = reports.is_array() && reports.size() == one["reports"].size();
    for (std::size_t i = 0; as_wanted && i < reports.size(); i++)
      as_wanted = has_members(reports[i], one["reports"][i]);
    if (!as_wanted) wrong << " other reports: " << reports;
  }
  if (!server.is_null()) {
    const json published = applied(control, port);
    if (one.contains("published") && !were_published(published, one["published"])) wrong << " published: " << published;
    std::free(fault_server_ask(control, "DELETE", ("/listen/" + std::to_string(port)).c_str(), ""));
  }
  if (!wrong.str().empty()) {
    std::cerr << "FAILED  " << one["name"] << " (" << one["call"].get<std::string>() << "): " << wrong.str() << '\n';
    failures++;
  }
}

} // namespace

int main(int count, char **words) {
  if (count < 2) stop("usage: conformance FILE...");
  fault_server server = fault_server_start();
  const json ready = parsed(server.ready);
  std::size_t cases = 0;
  for (int i = 1; i < count; i++) {
    std::ifstream file(words[i]);
    ordered all = ordered::parse(file, nullptr, false);
    expand(all);
    if (all.is_discarded() || all["cases"].empty()) stop("not a conformance file");
    const json credentials = all["credentials"];
    if (credentials["key"] != ready["key"] || credentials["secret"] != ready["secret"]) {
      stop("the fault server has other credentials");
    }
    for (const ordered &one : all["cases"]) run(one, credentials, ready);
    cases += all["cases"].size();
  }
  fault_server_stop(&server);

  const char *how = PUSHER_HAS_EXCEPTIONS ? "with exceptions" : "without exceptions";
  std::cout << cases << " cases, " << how << ": " << failures << " failed\n";
  return failures == 0 ? 0 : 1;
}
