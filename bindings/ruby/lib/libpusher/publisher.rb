# frozen_string_literal: true

require 'io/wait'
require 'json'

module LibPusher
  # A queue that sends events in the background, on the library's threads, which run no Ruby. Any number of threads may use it at
  # the same time, but only in the process that made it: in a forked child every call raises a {PublisherError} with the status
  # `FORKED`.
  #
  #   publisher = pusher.publisher(reports: 'failures')
  #   publisher.publish('my-channel', 'my-event', { hello: 'world' })
  #   …
  #   publisher.close
  #   publisher.poll.each { |report| warn(report) }
  class Publisher
    # Ruby handles signals, Timeout and Thread#raise between C calls, so each wait is at most this long.
    SLICE_MS = 100
    private_constant :SLICE_MS

    # @api private
    def initialize(client, config)
      # The publisher's handle keeps what it needs of the client; the Ruby object keeps the logger.
      @client = client
      @closed = false
      @blocks = [config[:overflow], config['overflow']].any? { |overflow| overflow.to_s == 'block' }
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

    # Queues an event without waiting for the network. With `overflow: 'block'` it waits for space.
    #
    # @param channels [String, Array<String>, nil] nil with the parameter `user_id`
    # @param event_name [String]
    # @param data [Object] as for {Client#trigger}
    # @param params [Hash] `socket_id`, `info`, `user_id`, `conflate`, `idempotency_key`, `extra`, `extra_in_clear`,
    #   `fan_out`, `timeout_ms`
    # @return [Integer] the event's id, which its report repeats
    # @raise [PublisherError] it was not queued: `QUEUE_FULL`, `CLOSED` or `FORKED`.
    def publish(channels, event_name, data, params = {})
      texts = Arguments.trigger(channels, event_name, data, params)
      id = FFI::MemoryPointer.new(:uint64)
      Native.public_send(@blocks ? :wait : :call) { |out| Native.pusher_publisher_publish(@handle, *texts, id, out) }
      id.read(:uint64)
    end

    # Returns reports of how events ended, and waits for the first of them.
    # @param timeout_ms [Integer, nil] how long to wait; nil waits forever
    # @return [Array<Hash>] at most 1,000, oldest first, each with `id`, `delivery`, `status` and further members. Empty if
    #   the time is up, or if the publisher is closed and all reports were fetched.
    def poll(timeout_ms: 0)
      document = nil
      io = IO.for_fd(fileno, autoclose: false) if timeout_ms != 0 && Fibers.scheduled?
      waiting(timeout_ms) do |time|
        closed = @closed
        document = io ? fetch_in_fiber(io, time) : fetch(time)
        # A closed publisher has nothing to wait for.
        document || closed
      end
      return [] unless document

      JSON.parse(document)['reports'].map { |report| report.transform_keys!(&:to_sym) }
    end

    # Returns a descriptor that is readable while reports wait, and when there is space again after `QUEUE_FULL` until the next
    # {#publish}. Wait on {#to_io} with `IO.select`, and then call {#poll}.
    # @return [Integer] the publisher owns it: never read or close it.
    def fileno
      place = FFI::MemoryPointer.new(:intptr_t)
      Native.call { |out| Native.pusher_publisher_fd(@handle, place, out) }
      place.read(:intptr_t)
    end

    # Returns an IO on {#fileno}, which `IO.select` calls by itself.
    # @return [IO] it does not close the descriptor.
    def to_io
      @to_io ||= IO.for_fd(fileno, autoclose: false)
    end

    # Waits until every published event has ended.
    # @param timeout_ms [Integer, nil] how long to wait; nil waits forever
    # @return [Boolean] whether they have ended
    def flush(timeout_ms: nil)
      waiting(timeout_ms) { |time| ended?(:pusher_publisher_flush, time) }
    end

    # Takes no more events and waits until the published events have ended. Events that have not ended by then end as `not_sent` or
    # `unknown`. Reports can still be fetched.
    # @param timeout_ms [Integer] how long to wait; nothing interrupts it.
    # @return [Boolean] whether all events ended in time
    def close(timeout_ms: 5000)
      ended?(:pusher_publisher_close, Arguments.milliseconds(timeout_ms, 'timeout_ms')) { @closed = true }
    end

    # Takes no more events, and returns those that were never sent as a document for {#restore} of another publisher, also in another
    # process. They end as `not_sent` with the reason `drained`. Keep the document as you would keep their data.
    # An exception from another thread (Timeout) that comes meanwhile loses the document.
    # @param timeout_ms [Integer] how long to wait for the requests in flight; nothing shortens it. Events that are still being
    #   sent then end as `unknown`, and are not in the document.
    # @return [String]
    def drain(timeout_ms: 5000)
      timeout_ms = Arguments.milliseconds(timeout_ms, 'timeout_ms')
      document = Native.call { |out| Native.pusher_publisher_drain(@handle, timeout_ms, out) }
      @closed = true
      document
    end

    # Queues all events of a document of {#drain}, or none. Restore a document once.
    # @param drained [String]
    # @return [Array<Hash>] `id` and `drained_id` of each event: its id here, and the one that it had
    # @raise [PublisherError] none was queued: `QUEUE_FULL`, `CLOSED` or `FORKED`
    def restore(drained)
      drained = Arguments.text(drained, 'drained')
      document = Native.call { |out| Native.pusher_publisher_restore(@handle, drained, out) }
      JSON.parse(document)['restored'].map { |event| event.transform_keys!(&:to_sym) }
    end

    # Returns counters and times.
    # @return [Hash, String] a string in Prometheus' format with `stats_format: 'prometheus'`
    def stats
      document = Native.call { |out| Native.pusher_publisher_stats(@handle, out) }
      document.start_with?('{') ? @client.answer(document) : document
    end

    def inspect = "#<#{self.class}>"

    private

    # Returns whether a waiting C function returned OK, not TIMED_OUT.
    def ended?(function, timeout_ms)
      status = nil
      Native.wait(Native::TIMED_OUT) do |out|
        status = Native.public_send(function, @handle, timeout_ms, out)
        # Also if the fiber that waits for it was interrupted.
        yield if block_given? && [Native::OK, Native::TIMED_OUT].include?(status)
        status
      end
      status == Native::OK
    end

    def fetch(timeout_ms)
      Native.call(Native::TIMED_OUT) { |out| Native.pusher_publisher_poll(@handle, timeout_ms, out) }
    end

    # Waits on the descriptor, not in a thread: an interruption of the fiber loses no reports.
    def fetch_in_fiber(io, timeout_ms)
      document = fetch(0)
      return document if document || timeout_ms.zero? || @closed

      # If there is only space again, the descriptor stays readable.
      started = now_ms
      io.wait_readable(timeout_ms / 1000.0) && (document = fetch(0))
      left = timeout_ms - (now_ms - started)
      sleep(left / 1000.0) if document.nil? && left.positive?
      document
    end

    # Calls the block with slices of the time until it returns true.
    def waiting(timeout_ms)
      Arguments.milliseconds(timeout_ms, 'timeout_ms') unless timeout_ms.nil?
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
