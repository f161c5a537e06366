# frozen_string_literal: true

module LibPusher
  # A signed request for your own HTTP client. It is one attempt: to retry, prepare the call again.
  #
  # Send method, URL, headers and body unchanged and once, follow no redirect, and respect {#timeout_ms}. Then {#finish} or {#fail}
  # returns or raises what the call itself would have. Only one thread at a time may use a request.
  class Request
    DELIVERIES = { not_sent: 1, unknown: 3 }.freeze
    private_constant :DELIVERIES

    # @api private
    def initialize(client, call, texts, client_handle = client.handle)
      @client = client
      # The client's own handle changes with its configuration.
      @client_handle = client_handle
      memory = texts.map { |text| text && FFI::MemoryPointer.from_string(text) }
      list = FFI::MemoryPointer.new(:pointer, [texts.size, 1].max).write_array_of_pointer(memory)
      @handle = Native.make(Native::RequestHandle) do |place, out|
        Native.pusher_prepare(client_handle, call, list, texts.size, place, out)
      end
    end

    # @return [String] `"POST"` or `"GET"`
    def http_method = Native.pusher_request_method(@handle)

    # @return [String] the whole URL. It contains the signature: do not log it.
    def url = Native.pusher_request_url(@handle).force_encoding(Encoding::UTF_8)

    # @return [Hash{String => String}] without Host and Content-Length, which HTTP clients set
    def headers
      name = FFI::MemoryPointer.new(:pointer)
      value = FFI::MemoryPointer.new(:pointer)
      Native.pusher_request_header_count(@handle).times.to_h do |index|
        Native.pusher_request_header(@handle, index, name, value)
        [name.read_pointer.read_string, value.read_pointer.read_string]
      end
    end

    # @return [String] exactly as it was signed, empty for a GET
    def body
      length = FFI::MemoryPointer.new(:size_t)
      Native.pusher_request_body(@handle, length).read_bytes(length.read(:size_t)).force_encoding(Encoding::UTF_8)
    end

    # @return [Integer] the remaining time; 0: do not send.
    def timeout_ms = Native.pusher_request_timeout_ms(@handle)

    # @return [String] the host to connect to: a name or an IP address, IPv6 without brackets
    def host = Native.pusher_request_host(@handle) || raise(NoMemoryError)

    # @return [Integer] the port to connect to
    def port = Native.pusher_request_port(@handle)

    # @return [Boolean] whether to speak TLS
    def tls? = Native.pusher_request_tls(@handle) == 1

    # @return [String] the whole HTTP/1.1 request, for a socket of your own. It contains the signature: do not log it.
    def to_bytes
      length = FFI::MemoryPointer.new(:size_t)
      bytes = Native.pusher_request_bytes(@handle, length)
      raise NoMemoryError if bytes.null?

      bytes.read_bytes(length.read(:size_t))
    end

    # Reads bytes of the response as they came from a socket, in any pieces.
    # @param data [String, nil] no bytes are the end of the input
    # @return [Array(Integer, Integer)] 1 if the response is whole (call {#finish} without a status), 0 if more is to come, -1 if it is
    #   not HTTP or ends too early (call {#finish}, too); and how many of the bytes belong to the response
    def feed(data)
      data = Arguments.bytes(data || '', 'data')
      @fed ||= Native::ResponseHandle.new(Native.pusher_response_new)
      used = FFI::MemoryPointer.new(:size_t)
      [Native.pusher_response_feed(@fed, data, data.bytesize, used), used.read(:size_t)]
    end

    # Interprets the server's response.
    # @param status [Integer, nil] from 200 to 599; without one, the response is what {#feed} was given
    # @param body [String] the whole body
    # @param headers [Hash{String => String, Array<String>}] pass all headers
    # @return [Hash] what the call itself would have returned
    # @raise [Error] as the call itself would have
    def finish(status: nil, body: '', headers: {})
      return respond { nil } if status.nil? && @fed

      Arguments.refuse('status', 'must be an integer', {}) unless status.is_a?(Integer) && status.between?(0, 0x7FFF_FFFF)
      Arguments.refuse('headers', 'must be a hash', {}) unless headers.is_a?(Hash)
      body = Arguments.bytes(body || '', 'body')
      respond do |response|
        Native.pusher_response_set(response, status, body, body.bytesize)
        headers.each do |name, values|
          (values.is_a?(Array) ? values : [values]).each do |value|
            Native.pusher_response_set_header(response, Arguments.text(name, 'headers'), Arguments.text(value, 'headers'))
          end
        end
      end
    end

    # Reports that there was no complete response.
    # @param delivery [Symbol] `:not_sent` only if the request's last byte certainly was not sent, otherwise `:unknown`
    # @param cause [String, nil] dns, connect, tls, proxy, write, timeout, reset, closed, malformed, cancelled or transport
    # @param message [String, nil] a message for people
    # @raise [Error] always
    def fail(delivery:, cause: nil, message: nil)
      _, number = DELIVERIES.find { |name, _| delivery == name || delivery == name.to_s }
      Arguments.refuse('delivery', 'must be :not_sent or :unknown', {}) unless number
      respond do |response|
        Native.pusher_response_fail(response, number, Arguments.text(cause, 'cause'),
                                    Arguments.text(message, 'message'))
      end
    end

    # Describes the request without its signature.
    def inspect = "#<#{self.class}>"

    private

    def respond
      # A failure does not outweigh a status that was fed.
      response = @fed || Native::ResponseHandle.new(Native.pusher_response_new)
      yield response
      @client.answer(Native.call(Native::OK, @client.logger) { |out| Native.pusher_finish(@client_handle, @handle, response, out) })
    ensure
      response&.free unless response.equal?(@fed)
    end
  end
end
