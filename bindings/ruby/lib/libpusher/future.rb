# frozen_string_literal: true

require 'stringio'

module LibPusher
  # The result of a call that runs on a thread of its own, such as {Client#trigger_async}. A future ends with the result of the call,
  # or with its error. At the end of the program Ruby waits for a request that was begun, at most its `timeout_ms`, but the
  # future ends with the delivery `unknown`. A {Publisher} has reports.
  #
  #   pusher.trigger_async('my-channel', 'my-event', { hello: 'world' })
  #         .callback { |response| … }
  #         .errback { |error| … }
  #
  # While EventMachine's reactor runs, it calls the blocks; otherwise the future's thread does, or, if the call has ended already, the
  # thread that passes the block.
  class Future
    # The server's response, in the form that httpclient gives it.
    Response = Struct.new(:status, :body)

    # @api private
    # @yieldreturn [Array] the server's document, and the result
    def initialize(&call)
      @lock = Mutex.new
      @changed = ConditionVariable.new
      @blocks = []
      @reactor = defined?(::EventMachine) && ::EventMachine.reactor_running?
      @thread = Thread.new { run(call) }
    rescue ThreadError
      raise InternalError.new(Fibers::NO_THREAD, Native::INTERNAL)
    end

    # Returns whether the call has ended.
    def finished? = !outcome.nil?

    # Waits for the end of the call.
    # @param timeout [Numeric, nil] seconds
    # @return [Future, nil] nil if the time is up
    def wait(timeout = nil)
      unless timeout.nil? || (timeout.is_a?(Numeric) && timeout.real? && timeout.finite?)
        Arguments.refuse('timeout', 'must be a number of seconds', {})
      end
      finish = timeout && (now + timeout)
      @lock.synchronize do
        until outcome
          left = finish ? finish - now : 1
          return if left <= 0

          @changed.wait(@lock, [left, 1].min)
        end
      end
      self
    end

    # Waits for the result of the call.
    # @return [Hash] what the call itself would have returned
    # @raise [Error] as the call itself would have
    def value
      _, result, error = wait.outcome
      raise error if error

      result
    end

    # Waits for the server's response. It may also be a refusal: {#value} is the better choice.
    # @return [Response] its status, and the body as an IO. The body of a refusal has at most 1,024 bytes.
    # @raise [Error] there was no response.
    def pop
      document, _, error = wait.outcome
      return Response.new(200, StringIO.new(document)) unless error
      raise error unless error.is_a?(Error) && error.http_status

      Response.new(error.http_status, StringIO.new(error.response.to_s))
    end

    # Calls the block with the result if the call succeeds.
    # @return [Future] itself
    def callback(&block) = listen { |_, result, error| block.call(result) unless error }

    # Calls the block with the {Error} if the call fails.
    # @return [Future] itself
    def errback(&block) = listen { |_, _, error| block.call(error) if error }

    def inspect = "#<#{self.class}>"

    protected

    # Returns the document, the result and the error, or nil before the end.
    def outcome
      @outcome || (@thread.alive? ? nil : @outcome ||= gone)
    end

    private

    def run(call)
      outcome = [*call.call, nil]
    rescue StandardError => e
      outcome = [nil, nil, e]
    ensure
      # Without an outcome, the thread was killed.
      settle(outcome || gone)
    end

    # Returns the outcome of a call whose thread is gone.
    def gone = [nil, nil, HTTPError.new(Fibers::GONE, Native::DELIVERY_UNKNOWN)]

    def settle(outcome)
      blocks = @lock.synchronize do
        @outcome = outcome
        @changed.broadcast
        @blocks.tap { @blocks = [] }
      end
      blocks.each { |block| tell_here(block, outcome) }
    end

    def listen(&block)
      ended = @lock.synchronize { outcome || (@blocks.push(block) && nil) }
      tell(block, ended) if ended
      self
    end

    def tell(block, outcome)
      return ::EventMachine.schedule { block.call(*outcome) } if @reactor && ::EventMachine.reactor_running?

      block.call(*outcome)
    end

    # Tells it on the future's thread, where a block that raises must not keep the others from being called.
    def tell_here(block, outcome)
      tell(block, outcome)
    rescue StandardError => e
      warn("a block of a LibPusher::Future raised: #{e.full_message(highlight: false)}")
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
