# frozen_string_literal: true

require 'json'

module LibPusher
  # The configuration of a client: the options of {Client#initialize} and the values of writers, under the official gem's names or those
  # of `pusher_new`. It never changes: {#with} returns another one.
  # @api private
  class Settings
    # A URL, and the keys that it sets.
    URL_PARTS = %i[url app_id key secret cluster host port path scheme ssl use_tls encrypted].freeze
    # The variables that `pusher_new` reads if it gets no configuration, for programs that also use writers.
    VARIABLES = {
      app_id: %w[PUSHER_APP_ID], key: %w[PUSHER_KEY PUSHER_APP_KEY], secret: %w[PUSHER_SECRET PUSHER_APP_SECRET],
      cluster: %w[PUSHER_CLUSTER PUSHER_APP_CLUSTER], host: %w[PUSHER_HOST], port: %w[PUSHER_PORT], scheme: %w[PUSHER_SCHEME]
    }.freeze
    CREDENTIALS = { app_id: '0', key: '0', secret: '0' }.freeze
    private_constant :URL_PARTS, :VARIABLES, :CREDENTIALS

    # @param values [Hash, nil] nil and empty strings count as not given.
    # @param environment [Boolean] whether the URL, or all credentials, come from the environment if they are not given
    def initialize(values, environment: false)
      Settings.refuse('config', 'must be a hash, or keywords') unless values.nil? || values.is_a?(Hash)
      values = (values || {}).to_h { |name, value| [key(name), value.is_a?(String) ? value.dup.freeze : value] }
      values = values.reject { |_, value| value.nil? || value == '' }.freeze
      # Neither `inspect` nor Rails' `to_json` looks into a closure, so they cannot show the secret.
      @read = -> { values }
      @environment = environment
    end

    def [](name) = given[name]

    def with(changes) = Settings.new(given.merge(changes), environment: @environment)

    # Returns settings with a URL in place of all that a URL sets.
    def with_url(url) = Settings.new(given.except(*URL_PARTS).merge(url: url))

    # Returns whether a client can be made. If not, writers may still complete the configuration.
    def complete?
      @environment || elsewhere? || %i[key secret].all? { |name| given.key?(name) }
    end

    # Returns whether a client can make all calls.
    def whole? = elsewhere? || CREDENTIALS.each_key.all? { |name| values.key?(name) }

    # Returns the string for `pusher_new`, nil for the environment.
    def config
      write(values) unless @environment && given.empty?
    end

    # Returns a configuration that answers questions about the server, also if credentials are missing.
    def probe
      write(elsewhere? ? values : CREDENTIALS.merge(values))
    end

    # Returns a member, or what the environment sets.
    def value(name) = values[name]

    # Returns whether the credentials are in a URL, or in variables that only the library reads.
    def elsewhere? = values.key?(:url) || reverb?

    # Returns the secret, which may be a part of the URL.
    def secret
      return values[:secret] if values.key?(:secret)
      return ENV.fetch('REVERB_APP_SECRET', nil) if reverb?

      url = values[:url]
      part = url.slice(%r{\A[^/]*//[^:@/]*:([^@/]*)@}, 1) if url.is_a?(String)
      part && URI::DEFAULT_PARSER.unescape(part)
    end

    def inspect = "#<#{self.class}>"

    def self.refuse(argument, problem)
      document = { 'status' => 'INVALID_CONFIG', 'message' => "#{argument}: #{problem}", 'argument' => argument }
      # The message of a rescued exception may have a part of a secret, and Ruby prints the cause of an exception too.
      raise ConfigurationError.new(document, Native::INVALID_CONFIG), cause: nil
    end

    private

    def given = @read.call

    def reverb? = values[:server].to_s == 'reverb'

    def key(name)
      name.to_s.to_sym
    rescue EncodingError
      Settings.refuse('config', 'has a key that is not Unicode')
    end

    def values
      return given if !@environment || given.key?(:url)

      url = ENV.fetch('PUSHER_URL', '')
      return { url: url, **given } unless url.empty?
      # Programs that set credentials do not expect that a variable decides about the server, or about TLS.
      return given if CREDENTIALS.each_key.any? { |name| given.key?(name) }

      found = VARIABLES.transform_values { |names| names.map { |name| ENV.fetch(name, '') }.find { |value| !value.empty? } }
      found.compact.merge(given)
    end

    def write(values)
      text = JSON.generate(translate(values))
      # JSON contains no NUL, but the output of an object's to_json may.
      Settings.refuse('config', 'must not have a NUL byte outside a JSON string') if text.include?("\0")
      text
    rescue JSON::GeneratorError, JSON::NestingError, EncodingError
      Settings.refuse('config', 'cannot be written as JSON in UTF-8')
    end

    # Converts the official gem's names and forms. What `scheme` and `ssl` mean is up to the library.
    def translate(values)
      config = values.dup
      tls = config.slice(:ssl, :use_tls, :encrypted)
      Settings.refuse('ssl', "contradicts another one of #{tls.keys.join(', ')}") if tls.values.uniq.size > 1
      config = config.except(*tls.keys).merge(tls.empty? ? {} : { ssl: tls.values.first })
      { timeout: :timeout_ms, connect_timeout: :connect_timeout_ms, keep_alive_timeout: :idle_timeout_ms }.each do |name, key|
        config[key] = milliseconds(config.delete(name)) if config.key?(name)
      end
      config[:proxy] = config.delete(:http_proxy) if config.key?(:http_proxy)
      config[:port] = Integer(config[:port], 10) if config[:port].is_a?(String) && config[:port].b.match?(/\A\d{1,5}\z/)
      config
    end

    # A value that is no number is refused by the library, which names the key.
    def milliseconds(seconds)
      seconds.is_a?(Numeric) && seconds.real? && seconds.finite? ? (seconds * 1000).round : seconds
    end
  end
end
