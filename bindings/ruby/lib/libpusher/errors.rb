# frozen_string_literal: true

module LibPusher
  # The base class of all errors. The class names the kind of failure, {#status} the exact one, and {#delivery} what happened to
  # the event. The delivery, not the class, decides whether you may retry.
  #
  #   begin
  #     pusher.trigger('orders', 'paid', order)
  #   rescue LibPusher::Error => e
  #     raise unless e.delivery == 'not_sent' || e.delivery == 'rejected'
  #     retry_later(order)    # it certainly was not delivered
  #   end
  class Error < RuntimeError
    # The members of the error document, with strings as keys. The methods below read it.
    # @return [Hash]
    attr_reader :document

    # @param document [Hash, String, nil] the members of `error` in an error document. A message alone is for errors that a program
    #   raises itself, in its tests for example.
    # @param code [Integer, nil] the number of the status.
    def initialize(document = nil, code = nil)
      message = document.is_a?(Hash) ? document['message'] : document&.to_s
      @document = document.is_a?(Hash) ? document : { 'message' => message }.compact
      @code = code
      super(message)
    end

    # The number of {#status}, such as 20.
    # @return [Integer, nil]
    attr_reader :code

    # Returns the status, such as `"NOT_SENT"`.
    # @return [String]
    def status = document['status']

    # Returns what happened to the event: `"not_sent"` and `"rejected"` (not delivered), or `"unknown"` (it may have been
    # delivered). nil if there was no event.
    # @return [String, nil]
    def delivery = document['delivery']

    # Returns the cause of a network failure: dns, connect, tls, proxy, write, timeout, reset, closed, malformed, transport, cancelled or circuit.
    # (Ruby's `cause` is the exception that caused this one.)
    # @return [String, nil]
    def network_cause = document['cause']

    # Returns the wrong argument, such as `"events[3].channel"`.
    # @return [String, nil]
    def argument = document['argument']

    # Returns whether the same call may succeed later. It is independent of {#delivery}.
    def retryable? = document['retryable'] == true

    # Returns the number of requests that were tried.
    # @return [Integer, nil]
    def attempts = document['attempts']

    # Returns the response's HTTP status, such as 429.
    # @return [Integer, nil]
    def http_status = document['http_status']

    # Returns the beginning of the response's body.
    # @return [String, nil]
    def response = document['response']

    # Returns how each request of a fan-out ended, if they ended differently (status `"PARTIAL"`).
    # @return [Array<Hash>, nil] `channels`, `status`, `delivery`, and possibly `cause` and `http_status`
    def parts = document['parts']

    # Returns the server's Retry-After in milliseconds.
    # @return [Integer, nil]
    def retry_after_ms = document['retry_after_ms']

    # Returns the member `code` of the response, such as sockudo's `"feature_disabled"`.
    # @return [String, nil]
    def server_code = document['server_code']

    # Returns the figures of the server's X-RateLimit headers: `"limit"`, `"remaining"` and `"reset"`, which is in seconds from now
    # or since 1970 (servers differ).
    # @return [Hash, nil]
    def rate_limit = document['rate_limit']
  end

  # The call was wrong: nothing was sent.
  class UsageError < Error; end

  # The configuration of a client or a publisher is wrong; {Error#argument} names the key. Or an encrypted channel was used without a
  # master key.
  class ConfigurationError < UsageError; end

  # The network failed. {Error#delivery} says whether the event may have been delivered.
  class HTTPError < Error
    # The library has no exception of an HTTP client, so only a program sets it: {Error#network_cause} names the cause.
    # @return [Exception, nil]
    attr_accessor :original_error
  end

  # The server refused the request.
  class APIError < Error
    class << self
      # Whether messages are those of the official gem. `require 'libpusher/pusher'` sets it, for programs that compare them.
      attr_accessor :official_messages
    end

    # @api private
    attr_writer :path

    def to_s
      APIError.official_messages ? official_message || super : super
    end

    private

    # Returns nil for a 401, because servers repeat the signature in its response.
    def official_message
      case http_status
      when nil, 401 then nil
      when 400 then "Bad request: #{response}"
      when 404 then "404 Not found (#{@path})"
      when 407 then 'Proxy Authentication Required'
      when 413 then 'Payload Too Large > 10KB'
      else "Unknown error (status code #{http_status}): #{response}"
      end
    end
  end

  # The server refused the key or the signature (401).
  class AuthenticationError < APIError; end

  # A webhook is not authentic.
  class SignatureError < Error; end

  # A publisher did not queue an event: its queue is full, it is closed, or it belongs to the parent process.
  class PublisherError < Error; end

  # A bug in libpusher, or the system is out of memory.
  class InternalError < Error; end

  class Error
    # Returns the class for a status. An unknown status is treated by its range, as pusher.h requires.
    # @api private
    def self.class_of(code)
      case code
      when Native::INVALID_CONFIG, Native::ENCRYPTION then ConfigurationError
      when Native::UNAUTHORIZED then AuthenticationError
      when 1..19 then UsageError
      when 20..39 then HTTPError
      when 40..59 then APIError
      when 60..79 then SignatureError
      when 80..99 then PublisherError
      else InternalError
      end
    end

    # @api private
    def self.of(code, document) = class_of(code).new(document, code)
  end
end
