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

    # @api private
    def initialize(request, client)
      @client = client
      @key, @signature, @body = request.is_a?(Hash) ? request.values_at(:key, :signature, :body) : read(request)
    end

    # Returns whether it comes from the Channels application and is not too old.
    def valid?
      data
      true
    rescue SignatureError, UsageError
      # An invalid header (one with a NUL byte, for example) is as wrong as another signature.
      false
    end

    # @return [Hash] `time_ms` and `events`
    # @raise [SignatureError] it is not authentic.
    def data
      @data ||= @client.validate_webhook(key, signature, @body)
    end

    # @return [Array<Hash>] each with `"name"` and further members, mostly `"channel"`
    # @raise [SignatureError]
    def events = data[:events]

    # @return [Time] the time when it was first sent
    # @raise [SignatureError]
    def time
      # Slanger writes a string.
      milliseconds = data[:time_ms].to_i
      Time.at(milliseconds / 1000, milliseconds % 1000, :millisecond)
    end

    def inspect = "#<#{self.class}>"

    private

    def read(request)
      # Rack 3 has nil for an empty body, and Rack 2's input may have been read already.
      body = request.body
      body&.rewind if body.respond_to?(:rewind)
      [request.get_header('HTTP_X_PUSHER_KEY'), request.get_header('HTTP_X_PUSHER_SIGNATURE'), body&.read]
    end
  end
end
