# frozen_string_literal: true

module LibPusher
  # A webhook. Its content can only be read if it is authentic.
  #
  #   webhook = pusher.webhook(request)
  #   if webhook.valid?
  #     webhook.events.each { |event| … }
  #     head :ok
  #   else
  #     head :unauthorized
  #   end
  class WebHook
    # @return [String, nil] the request's headers X-Pusher-Key and X-Pusher-Signature
    attr_reader :key, :signature

    # @param request [Rack::Request, Hash] a request with `body` and `get_header` or `env`, or a hash with `key`, `signature`
    #   and `body`
    # @param client [Client, LibPusher]
    def initialize(request, client = LibPusher.default_client)
      @client = client
      @key, @signature, @body = request.is_a?(Hash) ? request.values_at(:key, :signature, :body) : read(request)
    end

    # Returns whether it comes from the Channels application and is not too old. The reason why it is not is logged.
    # @param extra_tokens [Hash, Array<Hash>, nil] other keys and secrets that are accepted too, `{ key:, secret: }`. Better is
    #   `webhook_tokens` in the configuration.
    # @raise [ConfigurationError] the client or an extra token lacks a key or a secret.
    def valid?(extra_tokens = nil)
      tokens = listed(extra_tokens)
      validate(tokens)
    end

    # Returns its content. Keys at the first level are strings, as in the official gem; `data[:events]` works too.
    # @return [Hash] `time_ms` and `events`
    # @raise [SignatureError] it is not authentic.
    def data
      @data ||= validated([])
    end

    # @return [Array<Hash>] each with `"name"` and further members, mostly `"channel"`
    # @raise [SignatureError]
    def events
      events = data['events']
      return events || [] if events.nil? || events.is_a?(Array)

      raise invalid('events: must be an array')
    end

    # @return [Time, nil] the time when it was first sent, nil if the webhook has none
    # @raise [SignatureError]
    def time
      milliseconds = data['time_ms']
      # Slanger writes a string.
      milliseconds = Integer(milliseconds, 10) if milliseconds.is_a?(String) && milliseconds.match?(/\A\d{1,15}\z/)
      case milliseconds
      when nil then nil
      when Integer then Time.at(milliseconds / 1000, milliseconds % 1000, :millisecond)
      else raise invalid('time_ms: must be an integer')
      end
    end

    def inspect = "#<#{self.class}>"

    private

    def validate(tokens)
      @data ||= validated(tokens)
      true
    rescue ConfigurationError
      raise
    rescue SignatureError, UsageError => e
      # An invalid header (one with a NUL byte, for example) is as wrong as another signature.
      @client.log(:warn, reason(e, tokens))
      false
    end

    # Tries the extra tokens only if the client's own keys are not enough.
    def validated(tokens)
      client = tokens.empty? || @client.webhook_key?(key) ? @client : @client.with_webhook_tokens(tokens)
      symbols = client.validate_webhook(key, signature, @body)
      Hash.new { |hash, name| hash[name.to_s] if name.is_a?(Symbol) }.merge!(symbols.transform_keys(&:to_s))
    end

    def listed(extra_tokens)
      tokens = extra_tokens.is_a?(Hash) ? [extra_tokens] : extra_tokens || []
      return tokens if tokens.is_a?(Array) && tokens.all?(Hash)

      Arguments.refuse('extra_tokens', 'must be a hash with key and secret, or a list of them', {})
    end

    # Says why it is not valid, in the official gem's words, but without the expected signature.
    def reason(error, tokens)
      if @client.webhook_key?(key) || tokens.any? { |token| [token[:key], token['key']].include?(key) }
        return "Received WebHook with invalid signature: #{error.message}"
      end

      # Anyone may send a webhook, so the key may be anything.
      "Received webhook with unknown key: #{key.is_a?(String) && key.b.match?(/\A[\w.-]{1,100}\z/n) ? key : '(invalid)'}"
    end

    def invalid(problem)
      Error.of(Native::WEBHOOK_INVALID, { 'status' => 'WEBHOOK_INVALID', 'message' => problem })
    end

    def read(request)
      header = reader(request)
      body = request.respond_to?(:body) ? request.body : header.call('rack.input')
      [header.call('HTTP_X_PUSHER_KEY'), header.call('HTTP_X_PUSHER_SIGNATURE'), content(body)]
    end

    def reader(request)
      # Rails' requests have another method named method.
      return ->(name) { request.get_header(name) } if request.respond_to?(:get_header)
      return ->(name) { request.env[name] } if request.respond_to?(:env) && request.env.is_a?(Hash)

      Arguments.refuse('request', 'must be a request of Rack, or a hash with key, signature and body', {})
    end

    # Rack 3 has nil for an empty body, and Rack 2's input may have been read already.
    def content(body)
      return body if body.nil? || body.is_a?(String)

      Arguments.refuse('request', 'must have a body that can be read', {}) unless body.respond_to?(:read)
      rewind(body)
      body.read.tap { rewind(body) }
    end

    def rewind(body)
      body.rewind if body.respond_to?(:rewind)
    rescue SystemCallError, IOError
      # A stream.
      nil
    end
  end
end
