# frozen_string_literal: true

module LibPusher
  # A webhook that has arrived. Nothing of it can be read unless it is authentic.
  #
  #   webhook = pusher.webhook(request)
  #   if webhook.valid?
  #     webhook.events.each { |event| … }
  #     head :ok
  #   else
  #     head :unauthorized
  #   end
  class WebHook
    # @return [String, nil] what the request says of itself
    attr_reader :key, :signature

    # @api private
    def initialize(request, client)
      @client = client
      @key, @signature, @body = request.is_a?(Hash) ? request.values_at(:key, :signature, :body) : read(request)
    end

    # Whether it comes from the Channels application, and is not too old.
    def valid?
      data
      true
    rescue SignatureError, UsageError
      # A header that holds no text (a NUL byte, say) is as wrong as one that holds another signature.
      false
    end

    # @return [Hash] `time_ms` and `events`
    # @raise [SignatureError] it is not authentic.
    def data
      @data ||= @client.validate_webhook(key, signature, @body)
    end

    # @return [Array<Hash>] each with `"name"`, `"channel"` and what belongs to it
    # @raise [SignatureError]
    def events = data[:events]

    # @return [Time] when it was first sent
    # @raise [SignatureError]
    def time = Time.at(data[:time_ms] / 1000, data[:time_ms] % 1000, :millisecond)

    def inspect = "#<#{self.class}>"

    private

    def read(request)
      # Rack 3 has no body where there is none, and Rack 2 may have been read before.
      body = request.body
      body&.rewind if body.respond_to?(:rewind)
      [request.get_header('HTTP_X_PUSHER_KEY'), request.get_header('HTTP_X_PUSHER_SIGNATURE'), body&.read]
    end
  end
end
