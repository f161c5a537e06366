# frozen_string_literal: true

module LibPusher
  # What every failure is. Its class says what kind of thing went wrong, {#status} what exactly, and {#delivery} what became of
  # the event: that, and not the class, decides whether it may be sent again.
  #
  #   begin
  #     pusher.trigger('orders', 'paid', order)
  #   rescue LibPusher::Error => e
  #     raise unless e.delivery == 'not_sent' || e.delivery == 'rejected'
  #     retry_later(order)    # it was certainly not delivered
  #   end
  class Error < StandardError
    # The error document, with texts for keys: what the methods below read.
    # @return [Hash]
    attr_reader :document

    # @param document [Hash] the members of `error` in an error document.
    # @param code [Integer] the number of the status.
    def initialize(document, code)
      @document = document
      @code = code
      super(document['message'])
    end

    # The number of {#status}, such as 20.
    # @return [Integer]
    attr_reader :code

    # The status, such as `"NOT_SENT"`.
    # @return [String]
    def status = document['status']

    # What became of the event: `"not_sent"`, `"rejected"` (neither was delivered), or `"unknown"` (it may have been). nil where
    # there was no event.
    # @return [String, nil]
    def delivery = document['delivery']

    # Why the network failed: dns, connect, tls, proxy, write, timeout, reset, closed, malformed or transport. (`cause` is Ruby's
    # own: the exception behind this one.)
    # @return [String, nil]
    def network_cause = document['cause']

    # The argument that is wrong, such as `"events[3].channel"`.
    # @return [String, nil]
    def argument = document['argument']

    # Whether the same call may succeed later. It says nothing about {#delivery}.
    def retryable? = document['retryable'] == true

    # How often the call was sent, or tried to be.
    # @return [Integer, nil]
    def attempts = document['attempts']

    # The server's status, such as 429.
    # @return [Integer, nil]
    def http_status = document['http_status']

    # The beginning of what the server said.
    # @return [String, nil]
    def response = document['response']

    # How many milliseconds the server wants to be left alone.
    # @return [Integer, nil]
    def retry_after_ms = document['retry_after_ms']
  end

  # The call was wrong: nothing was sent.
  class UsageError < Error; end

  # The configuration of a client or a publisher is wrong; {Error#argument} names the key.
  class ConfigurationError < UsageError; end

  # The network failed. Whether the event was delivered is told by {Error#delivery}.
  class HTTPError < Error; end

  # The server said no.
  class APIError < Error; end

  # The server does not take the key or the signature (401).
  class AuthenticationError < APIError; end

  # A webhook is not authentic, or something can't be encrypted or decrypted.
  class SignatureError < Error; end

  # A publisher took no event: its queue is full, it is closed, or it belongs to the parent process.
  class PublisherError < Error; end

  # A bug in libpusher, or the system is out of memory.
  class InternalError < Error; end

  class Error
    # The class for a status. One that is not known yet is told by its range, as pusher.h asks for.
    # @api private
    def self.class_of(code)
      case code
      when Native::INVALID_CONFIG then ConfigurationError
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
