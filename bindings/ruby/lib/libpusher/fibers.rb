# frozen_string_literal: true

require 'fiber'

module LibPusher
  # Lets the other fibers of a thread run while a C function waits.
  #
  # The function would block its thread, and with it every fiber of a fiber scheduler. So a non-blocking fiber calls it on a thread of
  # its own, and waits for that thread by way of the scheduler. TLS, time limits and deliveries stay those of the library.
  # @api private
  module Fibers
    # The error of a call whose thread is gone: in a forked child, or because it was killed.
    GONE = { 'status' => 'DELIVERY_UNKNOWN', 'delivery' => 'unknown',
             'message' => 'the thread of the call is gone, as in a forked child: the event may have been delivered' }.freeze
    NO_THREAD = { 'status' => 'INTERNAL', 'delivery' => 'not_sent',
                  'message' => 'no thread can be started for the call: wait for some of the other calls, or use a publisher' }.freeze
    TOO_LATE = { 'status' => 'OK', 'delivery' => 'delivered', 'cause' => 'cancelled',
                 'message' => 'the call had succeeded when its fiber was interrupted' }.freeze
    private_constant :TOO_LATE

    # Returns whether the calling fiber has a scheduler, which can run other fibers.
    def self.scheduled? = !Fiber.scheduler.nil? && !Fiber.blocking?

    # Runs the block on a thread, and returns its result or raises its error.
    #
    # If something interrupts the fiber (Fiber#raise, a time limit, the end of a task), `cancel` makes the block end soon. The
    # interruption goes on after that. The cause of its exception is then the {Error} with which the block ended, because the program
    # may have to know the delivery.
    # @param cancel [#call, nil] nil: the block goes on without the fiber.
    # @param sends [Boolean] whether the block's success means that something was delivered
    def self.run(cancel: nil, sends: false, &block)
      work = Work.new(&block)
      begin
        work.wait
        ended = true
      rescue Exception => e # also what ends a task
        raise
      ensure
        interrupt(work, cancel, sends, e) unless ended
      end
      raise work.error if work.error

      work.result
    end

    # @param exception [Exception, nil] nil for a throw
    def self.interrupt(work, cancel, sends, exception)
      return unless cancel

      cancel.call
      work.wait unless work.ended?
      error = work.error || (sends ? HTTPError.new(TOO_LATE, Native::OK) : nil)
      raise exception, cause: error if exception && error && exception.cause.nil?
    end
    private_class_method :interrupt

    # A block that runs on a thread of its own, and the fiber that waits for it.
    #
    # Not Thread#join: the thread would keep a pointer to the stack of the fiber, and crash when it ends if the fiber is gone by then,
    # because its scheduler was.
    class Work
      attr_reader :result, :error

      def initialize(&block)
        @scheduler = Fiber.scheduler
        @fiber = Fiber.current
        @ended = false
        Thread.new { run(block) }
      rescue ThreadError
        raise InternalError.new(NO_THREAD, Native::INTERNAL)
      end

      def ended? = @ended

      # Waits for the end of the block, at least once: its thread wakes the fiber exactly once, and must not wake it from another wait.
      def wait
        loop do
          @scheduler.block(self, nil)
          break if @ended
        end
      end

      private

      def run(block)
        @error = HTTPError.new(GONE, Native::DELIVERY_UNKNOWN) # if the thread is killed
        @result = block.call
        @error = nil
      rescue Exception => e # raised by the fiber
        @error = e
      ensure
        @ended = true
        wake
      end

      def wake
        @scheduler.unblock(self, @fiber)
      rescue StandardError
        # The scheduler is closed, and the fiber will never run.
        nil
      end
    end
  end
end
