# frozen_string_literal: true

require 'json'
require 'uri'

module LibPusher
  # A client of one Channels application. Any number of threads may use it at the same time, and so may forked children, each of
  # which makes its own connections.
  #
  # A call that fails raises an {Error}. Responses are hashes with symbols at their first level.
  #
  # The writers are for the start of a program, such as a Rails initializer. One of them takes effect for the calls after it, which
  # use new connections.
  class Client
    # Makes a client. No connection is made before the first call.
    #
    #   LibPusher::Client.new(app_id: '7', key: 'key', secret: 'secret', cluster: 'eu')
    #
    # A wrong configuration is refused at once. Without a key and a secret it is refused by the first call that needs them, since
    # writers may set them later.
    #
    # @param options [Hash, nil] the configuration as a hash, in place of keywords
    # @param app_id [String, Integer]
    # @param key [String]
    # @param secret [String]
    # @param logger [#error, #warn, #info, #debug] receives messages down to `log_level` (`"warn"`) after
    #   each call. They never contain a secret, a signature or a payload.
    # @param config the other keys of `pusher_new` (cluster, host, port, scheme, ssl, timeout_ms, retry,
    #   encryption_master_key_base64, …), and the names that the official gem has for some: use_tls, encrypted, timeout and
    #   connect_timeout (seconds), http_proxy. nil and empty strings count as not given.
    # @raise [ConfigurationError]
    def initialize(options = nil, logger: nil, **config)
      options = {} if options.nil?
      Settings.refuse('config', 'must be a hash, or keywords') unless options.is_a?(Hash)
      logger ||= options[:logger]
      start(Settings.new(options.except(:logger).merge(config)), logger)
    end

    # @param url [String] `https://KEY:SECRET@api-eu.pusher.com/apps/APP_ID`
    # @return [Client]
    def self.from_url(url, logger: nil)
      url = Arguments.text(url, 'config')
      Settings.refuse('config', 'must be a URL, https://KEY:SECRET@HOST/apps/APP_ID') if url.nil? || url.empty?
      made(Settings.new({ url: url }), logger)
    end

    # Makes a client from a URL in a variable, by default `PUSHER_URL`; if that is not set, from `PUSHER_APP_ID`, `PUSHER_KEY`,
    # `PUSHER_SECRET`, `PUSHER_CLUSTER`, `PUSHER_HOST`, `PUSHER_PORT` and `PUSHER_SCHEME`. With `server: 'reverb'` it reads the
    # variables of Laravel Reverb.
    # @param config as for {#initialize}
    # @return [Client]
    # @raise [ConfigurationError] the variable is not set.
    def self.from_env(variable = 'PUSHER_URL', logger: nil, **config)
      return made(Settings.new(config), logger) if config[:server].to_s == 'reverb'
      return made(Settings.new(config, environment: true), logger) if variable == 'PUSHER_URL'

      name = Arguments.text(variable, 'variable').to_s
      url = ENV.fetch(name, '')
      Settings.refuse(name.scrub, 'is not set in the environment') if url.empty?
      made(Settings.new(config.merge(url: url)), logger)
    end

    # Makes a client without a configuration, which writers or the environment add.
    # @api private
    def self.blank(logger)
      allocate.tap { |client| client.send(:prime, Settings.new(nil, environment: true), logger) }
    end

    # @api private
    def self.made(settings, logger)
      allocate.tap { |client| client.send(:start, settings, logger) }
    end

    # @!group Configuration

    # @!method app_id=(value)
    # @!method key=(value)
    # @!method secret=(value)
    # @!method host=(value)
    # @!method port=(value)
    # @!method timeout=(seconds)
    #   Limits each call, with all its attempts.
    # @!method connect_timeout=(seconds)
    # @!method keep_alive_timeout=(seconds)
    # @!method http_proxy=(url)
    # @!method encryption_master_key_base64=(value)
    %i[app_id key secret host port timeout connect_timeout keep_alive_timeout http_proxy encryption_master_key_base64].each do |name|
      define_method(:"#{name}=") { |value| change(name => value) }
    end

    # The official gem limits sending and receiving alone. Here it is the whole call.
    alias send_timeout= timeout=
    alias receive_timeout= timeout=

    # @param url [String] `https://KEY:SECRET@api-eu.pusher.com/apps/APP_ID`, in place of all that it names
    # @raise [ConfigurationError]
    def url=(url)
      url = Arguments.text(url, 'url')
      Settings.refuse('url', 'must be a URL, https://KEY:SECRET@HOST/apps/APP_ID') if url.nil? || url.empty?
      replace { |settings| settings.with_url(url).tap { |changed| Client.handle_of(changed, nil) } }
    end

    # Uses the host of a cluster, in place of another host. nil: the default one.
    def cluster=(cluster)
      change(cluster: cluster, host: nil)
    end

    # @param scheme [String] `"https"` or `"http"`
    def scheme=(scheme)
      change(scheme: scheme, ssl: nil, use_tls: nil, encrypted: nil)
    end

    # Uses TLS or not, on the port 443 or 80. nil: the default.
    def encrypted=(encrypted)
      port = encrypted ? 443 : 80 unless encrypted.nil?
      change(ssl: encrypted, port: port, scheme: nil, use_tls: nil, encrypted: nil)
    end
    alias use_tls= encrypted=

    # @param key [String, nil] the bytes of the master key
    def encryption_master_key=(key)
      change(encryption_master_key_base64: key && [Arguments.bytes(key, 'encryption_master_key')].pack('m0'))
    end

    # @param logger [#error, #warn, #info, #debug, nil]
    def logger=(logger)
      LOCK.synchronize { @logger, @handle = logger, nil }
    end

    # Is told of the start and the end of each call and each attempt, after the call, in their order, on the thread that made
    # the call: with `:call_start`, `:attempt_start`, `:attempt_end` or `:call_end`, the id of the call, and a hash of fields,
    # which `PusherObserveFn` in pusher.h lists. Set it before the client has a publisher.
    # @param observer [#call, nil]
    def observer=(observer)
      LOCK.synchronize { @observer, @handle = observer, nil }
    end

    # Returns counters and times, since the configuration or a callback was last changed.
    # @return [Hash, String] a string in Prometheus' format with `stats_format: 'prometheus'`
    def stats
      document = Native.call { |out| Native.pusher_stats(handle, out) }
      document.start_with?('{') ? answer(document) : document
    end

    # @return [String] where requests go
    def host = server.hostname

    # @return [Integer]
    def port = server.port

    # @return [String] `"https"` or `"http"`
    def scheme = server.scheme

    # @return [Boolean] whether TLS is used
    def encrypted? = scheme == 'https'

    # @return [String, nil]
    def cluster = @settings.value(:cluster)

    # @return [String, nil]
    def app_id = (@settings.value(:app_id) || found { |uri| uri.path[%r{/apps/([^/]*)/channels\z}, 1] })&.to_s

    # @return [String, nil] the key, which is public
    def key = @settings.value(:key) || found { |uri| uri.query[/\bauth_key=([^&]*)/, 1] }

    # @return [String, nil]
    def secret = @settings.secret

    # @return [String, nil]
    def http_proxy = @settings[:http_proxy]

    # @return [Hash, nil] the parts of {#http_proxy}
    def proxy
      return unless http_proxy

      uri = URI(http_proxy)
      { scheme: uri.scheme, host: uri.host, port: uri.port, user: uri.user, password: uri.password }
    rescue URI::InvalidURIError, ArgumentError
      Settings.refuse('http_proxy', 'is not a URL')
    end

    # @return [String, nil] the bytes of the master key
    def encryption_master_key
      key = @settings[:encryption_master_key_base64]
      key && String(key).unpack1('m0')
    rescue ArgumentError, TypeError
      Settings.refuse('encryption_master_key_base64', 'is not base64')
    end

    # @param path [String]
    # @return [URI] `https://HOST/apps/APP_ID`, without credentials
    # @raise [ConfigurationError] there is no app_id.
    def url(path = nil)
      Settings.refuse('app_id', 'is missing') unless app_id
      server.tap do |uri|
        uri.path = "#{uri.path.delete_suffix('/channels')}#{path}"
        uri.query = nil
      end
    end

    # @!endgroup

    # Ends the running calls of this object at once, from any thread, and makes its later calls fail, for good. Each of them raises
    # an {Error} whose cause is `cancelled`, and whose delivery says whether its event may have been delivered.
    #
    # `clone` and `dup` make an object of the same client, with the same connections, whose calls are cancelled separately.
    # Publishers are not affected. A writer makes a new client, which is not cancelled.
    def cancel
      # A call of a fiber that begins now sees the first line, or is in the list. No lock, which a signal handler could not take.
      @cancelled = handle
      [@cancelled, *@calls.keys].each { |handle| Native.pusher_cancel(handle) }
    end

    # Gives a copy its own cancellation.
    def initialize_copy(other)
      super
      uncancelled
      return unless other.instance_variable_get(:@handle)

      @handle = Native.make(Native::ClientHandle) { |place, out| Native.pusher_clone(other.handle, place, out) }
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

    # Publishes an event on a thread of its own, which the end of the program kills: a {#publisher} is the better choice for many
    # events, or for events that must not be lost.
    # @return [Future]
    # @see #trigger
    def trigger_async(channels, event_name, data, params = {})
      perform_async(:trigger, channels, event_name, data, params)
    end

    # @return [Future]
    # @see #trigger_batch
    def trigger_batch_async(*events, **options)
      perform_async(:trigger_batch, *events, **options)
    end

    # @return [Future]
    # @see #get
    def get_async(path, params = {}, options = {})
      perform_async(:get, path, params, options)
    end

    # @return [Future]
    # @see #post
    def post_async(path, body = {}, params = {}, options = {})
      perform_async(:post, path, body, params, options)
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
      authorize(channel_name, socket_id, custom_data.nil? ? nil : Arguments.json(custom_data, 'channel_data'))
    end

    # Authorizes with channel data that is JSON already.
    # @api private
    def authorize(channel_name, socket_id, data)
      channel = Arguments.text(channel_name, 'channel')
      socket_id = Arguments.text(socket_id, 'socket_id')
      signed(native(:pusher_authenticate, channel, socket_id, data))
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
      list = channels.nil? ? nil : Arguments.json(Arguments.names(channels), 'channels')
      JSON.parse(native(:pusher_authenticate_channels, socket_id, list))
    end

    # Signs a user in: a user authentication endpoint returns the result. No network.
    # @param socket_id [String]
    # @param user_data [Hash] `id`, and any other members
    # @return [Hash] `auth` and `user_data`
    def authenticate_user(socket_id, user_data)
      socket_id = Arguments.text(socket_id, 'socket_id')
      data = user_data.nil? ? nil : Arguments.json(user_data, 'user_data')
      signed(native(:pusher_authenticate_user, socket_id, data))
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
      body = Arguments.bytes(body || '', 'body')
      document = native(:pusher_validate_webhook, key, signature, body, body.bytesize)
      JSON.parse(document, max_nesting: MAX_NESTING).transform_keys!(&:to_sym)
    rescue JSON::ParserError
      # It nests too deeply, or half a surrogate pair is in it.
      message = 'body: cannot be represented in Ruby'
      raise Error.of(Native::WEBHOOK_INVALID, { 'status' => 'WEBHOOK_INVALID', 'message' => message, 'argument' => 'body' })
    end

    # Returns whether a webhook may have this key.
    # @api private
    def webhook_key?(key)
      tokens = @settings[:webhook_tokens]
      [self.key, *(tokens.is_a?(Array) ? tokens.grep(Hash).map { |token| token[:key] || token['key'] } : nil)].include?(key)
    end

    # Returns a client that accepts the webhooks of other keys too.
    # @api private
    def with_webhook_tokens(tokens)
      known = @settings[:webhook_tokens]
      Client.made(@settings.with(webhook_tokens: [*(known if known.is_a?(Array)), *tokens]), @logger)
    end

    # @return [Channel] a channel by its name, without a request.
    # @raise [UsageError] the name is none of a channel.
    def channel(channel_name)
      Channel.new(nil, channel_name, self)
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
      function = Arguments.function(call)
      Request.new(self, function.to_s.delete_prefix('pusher_'), Arguments.of(call.to_sym, *arguments, **keywords))
    end

    # Describes the client without its secret.
    def inspect = "#<#{self.class}>"

    # @api private
    attr_reader :logger

    # Returns the handle of the C client. Writers reset it.
    # @api private
    def handle
      @handle || LOCK.synchronize { @handle ||= Client.handle_of(@settings, @logger, @observer) }
    end

    # @api private
    def self.handle_of(settings, logger, observer = nil)
      # Copied, so that another thread cannot change it during the C call.
      config = settings.config
      Native.make(Native::ClientHandle) { |place, out| Native.pusher_new(config, place, out) }
            .tap { |handle| Native.set_log(handle) if logger }
            .tap { |handle| Native.set_observer(handle) if observer }
    end

    # Checks a channel's name by the rules of the configured server. No network.
    # @api private
    def check_channel(name)
      Request.new(self, 'channel_info', [name, nil, nil], probe)
    end

    # Logs a message of the binding itself, which the official gem writes to its global logger.
    # @api private
    def log(level, message)
      (@logger || LibPusher.logger).public_send(level, message)
    rescue StandardError
      nil
    end

    # Parses the response to a call that succeeded: it raises nothing, because a caller might send the event again. A response that
    # is not an object is returned as it is. One that Ruby cannot represent is returned as a string: it has half a surrogate pair, or
    # it nests so deeply that it would exhaust the stack.
    # @api private
    def answer(document)
      result = JSON.parse(document, max_nesting: MAX_NESTING)
      result.is_a?(Hash) ? result.transform_keys!(&:to_sym) : result
    rescue JSON::ParserError
      document
    end

    MAX_NESTING = 1000
    private_constant :MAX_NESTING

    # Guards the handles of all clients, which are made once.
    LOCK = Mutex.new
    private_constant :LOCK

    private

    # Makes the C client now if the configuration is complete, so that mistakes are found here.
    def start(settings, logger)
      prime(settings, logger)
      handle if settings.complete?
    end

    # Begins without running calls. Each call of a fiber has a handle of its own, in @calls, because what interrupts the fiber cancels
    # this call alone.
    def uncancelled
      @cancelled = nil
      @calls = {}.compare_by_identity
    end

    def prime(settings, logger)
      uncancelled
      @settings = settings
      @logger = logger
      @observer = nil
      @handle = nil
    end

    def change(values) = replace { |settings| settings.with(values) }

    def replace
      LOCK.synchronize { @settings, @handle = yield(@settings), nil }
    end

    # Returns a C client for questions about the configuration, also if credentials are missing.
    def probe
      return handle if @settings.whole?

      config = @settings.probe
      Native.make(Native::ClientHandle) { |place, out| Native.pusher_new(config, place, out) }
    end

    # Asks the library where requests go, since it alone interprets the configuration.
    def server = URI(Request.new(self, 'channels_info', [nil, nil, nil], probe).url)

    # Returns what the block finds in a signed URL, if the credentials are not in the settings themselves.
    def found = @settings.elsewhere? ? yield(server) : nil

    # Calls a C function with the client, the arguments and a place for the document.
    def native(function, *texts, handle: self.handle)
      Native.call(Native::OK, @logger, @observer) { |out| Native.public_send(function, handle, *texts, out) }
    end

    # Parses a flat object that the library wrote.
    def signed(document) = JSON.parse(document).transform_keys!(&:to_sym)

    def perform(call, *arguments, **keywords)
      answer(exchange(call, Arguments.of(call, *arguments, **keywords), handle))
    end

    # Checks and copies the arguments on this thread.
    def perform_async(call, *arguments, **keywords)
      texts = Arguments.of(call, *arguments, **keywords)
      handle = self.handle
      Future.new do
        document = exchange(call, texts, handle)
        [document, answer(document)]
      end
    end

    # Sends a request, and returns the server's document.
    def exchange(call, texts, handle)
      return native(Arguments::FUNCTIONS[call], *texts, handle: handle) unless Fibers.scheduled?

      in_fiber(handle) do |own|
        sends = Arguments::SENDING.include?(call)
        Native.wait(Native::OK, @logger, @observer, cancel: -> { Native.pusher_cancel(own) }, sends: sends) do |out|
          Native.public_send(Arguments::FUNCTIONS[call], own, *texts, out)
        end
      end
    rescue APIError => e
      e.path = path(call, texts, handle) if APIError.official_messages && e.http_status == 404
      raise
    end

    # Passes a handle for one call to the block, which {cancel} cancels with the others.
    def in_fiber(handle)
      own = Native.make(Native::ClientHandle) { |place, out| Native.pusher_clone(handle, place, out) }
      @calls[own] = true
      Native.pusher_cancel(own) if handle.equal?(@cancelled)
      yield own
    ensure
      @calls.delete(own)
    end

    # Returns the path of a call, nil for one that makes several requests. It raises nothing, because a call has failed already.
    def path(call, texts, handle)
      Request.new(self, Arguments::FUNCTIONS[call].to_s.delete_prefix('pusher_'), texts, handle).url[%r{\A[^/]*//[^/]*([^?]*)}, 1]
    rescue Error
      nil
    end
  end
end
