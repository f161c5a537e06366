# frozen_string_literal: true

require 'json'

module LibPusher
  # A client of one Channels application. Any number of threads may use it at the same time, and so may forked children, each of
  # which makes its own connections.
  #
  # A call that fails raises an {Error}. Responses are hashes with symbols at their first level.
  class Client
    # Makes a client. No connection is made before the first call.
    #
    #   LibPusher::Client.new(app_id: '7', key: 'key', secret: 'secret', cluster: 'eu')
    #
    # @param app_id [String, Integer]
    # @param key [String]
    # @param secret [String]
    # @param logger [#error, #warn, #info, #debug] receives messages down to `log_level` (`"warn"`) after
    #   each call. They never contain a secret, a signature or a payload.
    # @param config the other keys of `pusher_new` (cluster, host, port, ssl, timeout_ms, retry, encryption_master_key_base64, …),
    #   and the names that the official gem has for some: scheme, use_tls, encrypted, timeout and connect_timeout (seconds),
    #   http_proxy.
    # @raise [ConfigurationError]
    def initialize(logger: nil, **config)
      start(JSON.generate(Client.translate(config)), logger)
    rescue JSON::GeneratorError, EncodingError => e
      raise ConfigurationError.new({ 'status' => 'INVALID_CONFIG', 'message' => e.message.scrub }, Native::INVALID_CONFIG)
    end

    # @param url [String] `https://KEY:SECRET@api-eu.pusher.com/apps/APP_ID`
    # @return [Client]
    def self.from_url(url, logger: nil)
      allocate.tap { |client| client.send(:start, Arguments.text(url, 'config') || '', logger) }
    end

    # Makes a client from a URL in a variable, by default `PUSHER_URL`; if that is not set, from `PUSHER_APP_ID`, `PUSHER_KEY`,
    # `PUSHER_SECRET`, `PUSHER_CLUSTER`, `PUSHER_HOST`, `PUSHER_PORT` and `PUSHER_SCHEME`.
    # @return [Client]
    def self.from_env(variable = 'PUSHER_URL', logger: nil)
      return from_url(ENV.fetch(variable), logger: logger) unless variable == 'PUSHER_URL'

      allocate.tap { |client| client.send(:start, nil, logger) }
    end

    # Publishes an event on one or more channels, and waits for the server's response.
    #
    # @param channels [String, Array<String>] 1 to 100
    # @param event_name [String]
    # @param data [Object] any JSON value. A string sends its content.
    # @param params [Hash] `socket_id` (excludes this connection), `info` (attributes to return), `idempotency_key` (never
    #   use a key for another event: see pusher.h), `extra` (a hash: more members of the event, which only some servers know),
    #   `extra_in_clear`, `timeout_ms`, `fan_out` (true: up to 10,000 channels, encrypted ones among them, in
    #   as many requests as they need; {Error#parts} says if these ended differently)
    # @return [Hash] the server's response, `{}` or the attributes in `info`
    def trigger(channels, event_name, data, params = {})
      perform(:trigger, channels, event_name, data, params)
    end

    # Publishes 1 to 10 events in one request.
    #
    #   pusher.trigger_batch({ channel: 'a', name: 'e', data: 1 }, { channel: 'b', name: 'e', data: 2 })
    #
    # @param events [Array<Hash>] each with `channel`, `name` and `data`, optionally `socket_id`, `info` and `extra`
    # @param options `idempotency_key` (of the whole batch), `timeout_ms`
    # @return [Hash]
    def trigger_batch(*events, **options)
      perform(:trigger_batch, *events, **options)
    end

    # Publishes an event to all connections of a user who has signed in ({#authenticate_user}).
    # @param params [Hash] `timeout_ms`
    # @return [Hash]
    def send_to_user(user_id, event_name, data, params = {})
      perform(:send_to_user, user_id, event_name, data, params)
    end

    # Closes all connections of a user who has signed in.
    # @param params [Hash] `timeout_ms`
    # @return [Hash]
    def terminate_user_connections(user_id, params = {})
      perform(:terminate_user_connections, user_id, params)
    end

    # Returns the occupied channels.
    # @param params [Hash] `filter_by_prefix`, `info` (a string or a list), `timeout_ms`
    # @return [Hash] `{ channels: { "presence-a" => { "user_count" => 1 } } }`
    def channels(params = {})
      perform(:channels, params)
    end

    # Returns the state of a channel.
    # @param params [Hash] `info` (a string or a list), `timeout_ms`
    # @return [Hash] `{ occupied: true, … }`
    def channel_info(channel_name, params = {})
      perform(:channel_info, channel_name, params)
    end

    # Returns the users on a presence channel.
    # @param params [Hash] `params` (the query, such as soketi's `{ with_user_info: 1 }`), `timeout_ms`
    # @return [Hash] `{ users: [{ "id" => "7" }] }`
    def channel_users(channel_name, params = {})
      perform(:channel_users, channel_name, params)
    end

    # Sends a GET request to any path of the API.
    # @param path [String] below `/apps/APP_ID`, such as `"/channels"`
    # @param params [Hash] for the query
    # @param options [Hash] `timeout_ms`
    # @return [Hash]
    def get(path, params = {}, options = {})
      perform(:get, path, params, options)
    end

    # Sends a POST request to any path of the API.
    # @param path [String] below `/apps/APP_ID`, such as `"/events"`
    # @param body [Object] sent as JSON
    # @param params [Hash] for the query
    # @param options [Hash] `timeout_ms`
    # @return [Hash]
    def post(path, body = {}, params = {}, options = {})
      perform(:post, path, body, params, options)
    end

    # Sends a DELETE request without a body to any path of the API.
    # @param path [String] below `/apps/APP_ID`
    # @param params [Hash] for the query
    # @param options [Hash] `timeout_ms`
    # @return [Hash]
    def delete(path, params = {}, options = {})
      perform(:delete, path, params, options)
    end

    # Authorizes a subscription to a private or a presence channel: `render json: pusher.authenticate(…)`. No network. Authorize
    # only after you checked that the user may see the channel.
    #
    # @param channel_name [String]
    # @param socket_id [String]
    # @param custom_data [Hash, nil] for a presence channel `{ user_id: '7', user_info: { … } }`
    # @return [Hash] `auth`, optionally `channel_data` and `shared_secret`
    def authenticate(channel_name, socket_id, custom_data = nil)
      channel = Arguments.text(channel_name, 'channel')
      socket_id = Arguments.text(socket_id, 'socket_id')
      data = custom_data.nil? ? nil : Arguments.json(custom_data, 'channel_data')
      signed(Native.call(Native::OK, @logger) { |out| Native.pusher_authenticate(@handle, channel, socket_id, data, out) })
    end

    # Authorizes several subscriptions of one connection: an authorization endpoint returns the result to a batch authorizer, such as
    # pusher-js-auth. No network. Authorize only channels that the user may see, and leave out the others. An invalid channel does not
    # affect the others.
    #
    # @param socket_id [String]
    # @param channels [Array<String, Hash>] at most 100 names, or `{ channel: 'presence-a', channel_data: { user_id: '7' } }`; the data
    #   is an object, or a string of JSON
    # @return [Hash] for each channel `{ "status" => 200, "data" => { "auth" => … } }` or `{ "status" => 400, "error" => { … } }`
    def authenticate_channels(socket_id, channels)
      socket_id = Arguments.text(socket_id, 'socket_id')
      list = channels.nil? ? nil : Arguments.json(channels, 'channels')
      JSON.parse(Native.call(Native::OK, @logger) { |out| Native.pusher_authenticate_channels(@handle, socket_id, list, out) })
    end

    # Signs a user in: a user authentication endpoint returns the result. No network.
    # @param socket_id [String]
    # @param user_data [Hash] `id`, and any other members
    # @return [Hash] `auth` and `user_data`
    def authenticate_user(socket_id, user_data)
      socket_id = Arguments.text(socket_id, 'socket_id')
      data = user_data.nil? ? nil : Arguments.json(user_data, 'user_data')
      signed(Native.call(Native::OK, @logger) { |out| Native.pusher_authenticate_user(@handle, socket_id, data, out) })
    end

    # Reads a webhook from a request.
    # @param request [Rack::Request, Hash] a request, or a hash with `key`, `signature` and `body`
    # @return [WebHook]
    def webhook(request)
      WebHook.new(request, self)
    end

    # Validates a webhook and returns it.
    # @param key [String, nil] the header X-Pusher-Key
    # @param signature [String, nil] the header X-Pusher-Signature
    # @param body [String] the body's bytes, before anything decodes them
    # @return [Hash] `time_ms` and `events`
    # @raise [SignatureError] it is not authentic: respond with 401.
    def validate_webhook(key, signature, body)
      key = Arguments.text(key, 'key')
      signature = Arguments.text(signature, 'signature')
      body = body.to_s
      document = Native.call(Native::OK, @logger) do |out|
        Native.pusher_validate_webhook(@handle, key, signature, body, body.bytesize, out)
      end
      answer(document, Native::WEBHOOK_INVALID)
    end

    # @return [Channel] a channel by its name, without a request.
    def channel(channel_name)
      Channel.new(channel_name, self)
    end

    alias [] channel

    # Makes a publisher: a queue that sends events in the background.
    # @param config the keys of `pusher_publisher_new`: connections, overflow, reports, …
    # @return [Publisher]
    def publisher(**config)
      Publisher.new(self, config)
    end

    # Signs a call without sending it, for your own HTTP client or event loop.
    #
    #   request = pusher.prepare(:trigger, 'my-channel', 'my-event', { hello: 'world' })
    #
    # @param call [Symbol] the name of a method above that makes a network call
    # @param arguments its arguments
    # @return [Request]
    def prepare(call, *arguments, **keywords)
      function = Arguments::FUNCTIONS.fetch(call.to_sym) do
        Arguments.refuse('call', 'is not the name of a method that makes a network call', {})
      end
      Request.new(self, function.to_s.delete_prefix('pusher_'), Arguments.of(call.to_sym, *arguments, **keywords))
    end

    # Describes the client without its secret.
    def inspect = "#<#{self.class}>"

    # @api private
    attr_reader :handle, :logger

    # Parses a response as a hash. It refuses deep nesting, which no server sends and which would exhaust the stack.
    # @api private
    def answer(document, unreadable = Native::BAD_RESPONSE)
      JSON.parse(document, max_nesting: 1000).transform_keys!(&:to_sym)
    rescue JSON::NestingError => e
      raise Error.of(unreadable, { 'status' => Native.pusher_status_name(unreadable), 'message' => e.message, 'delivery' => 'unknown' })
    end

    # Converts the official gem's names to the configuration of `pusher_new`.
    # @api private
    def self.translate(config)
      # As in the official gem, nil means not set: `cluster: ENV['PUSHER_CLUSTER']`.
      config = config.compact
      %i[use_tls encrypted].each { |name| config[:ssl] = config.delete(name) if config.key?(name) }
      { timeout: :timeout_ms, connect_timeout: :connect_timeout_ms }.each do |name, key|
        seconds = config.delete(name)
        config[key] = seconds.is_a?(Numeric) ? (seconds * 1000).round : seconds unless seconds.nil?
      end
      config[:proxy] = config.delete(:http_proxy) if config.key?(:http_proxy)
      config
    end

    private

    def start(config, logger)
      # Copy it, so that another thread cannot change it during the C call.
      @handle = Native.make(Native::ClientHandle) { |place, out| Native.pusher_new(config, place, out) }
      @logger = logger
      Native.set_log(@handle) if logger
    end

    # Parses a flat object that the library wrote.
    def signed(document) = JSON.parse(document).transform_keys!(&:to_sym)

    def perform(call, *arguments, **keywords)
      texts = Arguments.of(call, *arguments, **keywords)
      answer(Native.call(Native::OK, @logger) { |out| Native.public_send(Arguments::FUNCTIONS[call], @handle, *texts, out) })
    end
  end
end
