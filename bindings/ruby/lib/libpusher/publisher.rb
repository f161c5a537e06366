# frozen_string_literal: true

require 'json'

module LibPusher
  # A queue whose events are sent in the background, by threads of the library's own: no Ruby runs on them. It can be used by any
  # number of threads at once, but only by the process that made it: in a forked child every call raises a {PublisherError} with
  # the status `FORKED`.
  #
  #   publisher = pusher.publisher(reports: 'failures')
  #   publisher.publish('my-channel', 'my-event', { hello: 'world' })
  #   …
  #   publisher.close
  #   publisher.poll.each { |report| warn(report) }
  class Publisher
    # Ruby handles signals, Timeout and Thread#raise between calls, so none waits longer than this.
    SLICE_MS = 100
    private_constant :SLICE_MS

    # @api private
    def initialize(client, config)
      # The publisher's handle keeps what it needs; the Ruby object keeps the logger.
      @client = client
      @closed = false
      if client.logger && (config[:hooks_on_threads] || config['hooks_on_threads'])
        document = { 'status' => 'INVALID_CONFIG', 'argument' => 'hooks_on_threads',
                     'message' => 'hooks_on_threads: a logger is never called on the threads of a publisher' }
        raise ConfigurationError.new(document, Native::INVALID_CONFIG)
      end
      config = Arguments.object(config, 'config')
      @handle = Native.make(Native::PublisherHandle) do |place, out|
        Native.pusher_publisher_new(client.handle, config, place, out)
      end
    end

    # Queues an event. It does not wait for the network (but, with `overflow: 'block'`, for room).
    #
    # @param channels [String, Array<String>, nil] nil with the parameter `user_id`
    # @param event_name [String]
    # @param data [Object] as for {Client#trigger}
    # @param params [Hash] `socket_id`, `info`, `user_id`, `conflate`, `timeout_ms`
    # @return [Integer] the event's id, by which its report names it
    # @raise [PublisherError] it was not taken: `QUEUE_FULL`, `CLOSED` or `FORKED`.
    def publish(channels, event_name, data, params = {})
      texts = Arguments.trigger(channels, event_name, data, params)
      id = FFI::MemoryPointer.new(:uint64)
      Native.call { |out| Native.pusher_publisher_publish(@handle, *texts, id, out) }
      id.read(:uint64)
    end

    # Fetches reports of what became of events, waiting for the first of them.
    # @param timeout_ms [Integer, nil] how long; nil for ever
    # @return [Array<Hash>] the oldest first, at most 1,000, each with `id`, `delivery`, `status` and what belongs to it. None
    #   when the time is up, or when the publisher is closed and everything was fetched.
    def poll(timeout_ms: 0)
      document = nil
      waiting(timeout_ms) do |time|
        closed = @closed
        document = Native.call(Native::TIMED_OUT) { |out| Native.pusher_publisher_poll(@handle, time, out) }
        # Once it is closed there is nothing to wait for.
        document || closed
      end
      return [] unless document

      JSON.parse(document)['reports'].map { |report| report.transform_keys!(&:to_sym) }
    end

    # Waits until every event that was published has ended.
    # @param timeout_ms [Integer, nil] how long; nil for ever
    # @return [Boolean] whether they have
    def flush(timeout_ms: nil)
      waiting(timeout_ms) { |time| ended?(:pusher_publisher_flush, time) }
    end

    # Takes no more events, and waits until those that were published have ended. What has not ended by then ends now, and is
    # reported as `not_sent` or `unknown`. Reports can still be fetched.
    # @param timeout_ms [Integer] how long; nothing interrupts it.
    # @return [Boolean] whether all ended by themselves
    def close(timeout_ms: 5000)
      ended?(:pusher_publisher_close, timeout_ms).tap { @closed = true }
    end

    # Counts and times.
    # @return [Hash, String] the text that is ready to be served where the configuration says `stats_format: 'prometheus'`
    def stats
      document = Native.call { |out| Native.pusher_publisher_stats(@handle, out) }
      document.start_with?('{') ? @client.answer(document) : document
    end

    def inspect = "#<#{self.class}>"

    private

    # Whether a C function that waits said OK, and not TIMED_OUT.
    def ended?(function, timeout_ms)
      status = nil
      Native.call(Native::TIMED_OUT) { |out| status = Native.public_send(function, @handle, timeout_ms, out) }
      status == Native::OK
    end

    # Calls the block with slices of the time until it is true.
    def waiting(timeout_ms)
      finish = timeout_ms && (now_ms + timeout_ms)
      loop do
        left = finish ? [finish - now_ms, 0].max : SLICE_MS
        return true if yield [left, SLICE_MS].min
        return false if finish && left <= SLICE_MS
      end
    end

    def now_ms = Process.clock_gettime(Process::CLOCK_MONOTONIC, :millisecond)
  end
end
