# frozen_string_literal: true

require 'async'
require_relative 'test_helper'
require_relative 'scheduler'

class FibersTest < Minitest::Test
  include Helpers

  FIBERS = 20
  LATE_MS = 300

  def test_calls_of_twenty_fibers_wait_together
    listener = FaultServer.listen('late-answer', params: { ms: LATE_MS }, times: 0)
    pusher = FaultServer.client(listener, timeout_ms: 60_000)
    results = []
    taken = seconds do
      scheduled { FIBERS.times { |number| Fiber.schedule { results << pusher.trigger("c-#{number}", 'e', number) } } }
    end
    assert_equal [{}] * FIBERS, results
    assert_equal FIBERS.times.map { |number| "c-#{number}" }, listener.applied.map { |event| event['channel'] }.sort_by { |name| name[2..].to_i }
    # One after another they take 6 s.
    assert_operator taken, :<, FIBERS * LATE_MS / 1000.0 / 2
  end

  def test_calls_of_the_gem_async_wait_together
    listener = FaultServer.listen('late-answer', params: { ms: LATE_MS }, times: 0)
    pusher = FaultServer.client(listener, timeout_ms: 60_000)
    taken = seconds do
      Async do |task|
        results = FIBERS.times.map { |number| task.async { pusher.trigger("c-#{number}", 'e', number) } }.map(&:wait)
        assert_equal [{}] * FIBERS, results
      end
    end
    assert_equal FIBERS, listener.applied.size
    assert_operator taken, :<, FIBERS * LATE_MS / 1000.0 / 2
  end

  def test_every_call_lets_the_other_fibers_run
    listener = FaultServer.listen('silence-after-request', times: 0)
    pusher = FaultServer.client(listener, retry: { mode: 'never' })
    calls = {
      trigger: ['c', 'e', 1], trigger_batch: [{ channel: 'c', name: 'e', data: 1 }], send_to_user: ['u', 'e', 1],
      terminate_user_connections: ['u'], channels: [], channel_info: ['c'], channel_users: ['presence-c'], get: ['/channels'],
      post: ['/events', {}], delete: ['/users/u']
    }
    assert_equal LibPusher::Arguments::FUNCTIONS.keys, calls.keys
    ended = []
    scheduled do
      calls.each do |call, arguments|
        own = pusher.clone
        Fiber.schedule do
          own.public_send(call, *arguments)
        rescue LibPusher::HTTPError => e
          ended << [call, e.network_cause]
        end
        # No fiber runs here before the call lets it.
        Fiber.schedule { own.cancel }
      end
    end
    assert_equal(calls.keys.map { |call| [call, 'cancelled'] }.sort, ended.sort)
  end

  def test_results_and_errors_are_those_of_the_calls
    listener = FaultServer.listen('status-403', times: 1)
    pusher = FaultServer.client(listener)
    scheduled do
      Fiber.schedule do
        error = assert_raises(LibPusher::APIError) { pusher.trigger('c', 'e', 1) }
        assert_equal ['rejected', 403], [error.delivery, error.http_status]
        assert_equal({}, pusher.trigger('c', 'e', 2))
        assert_raises(LibPusher::UsageError) { pusher.trigger('c d', 'e', 2) }
        assert_equal({}, pusher.trigger_async('c', 'e', 3).value)
      end
    end
    assert_equal(%w[2 3], listener.applied.map { |event| event['data'] })
  end

  def test_messages_and_observations_are_passed_on_by_the_fiber
    lines, kinds = [], []
    logger = Object.new
    logger.define_singleton_method(:debug) { |line| lines << [Thread.current[:who], line] }
    %i[error warn info].each { |level| logger.define_singleton_method(level) { |_| } }
    pusher = FaultServer.client(FaultServer.listen, logger: logger, log_level: 'debug')
    pusher.observer = ->(kind, _, _) { kinds << [Thread.current[:who], kind] }
    scheduled do
      2.times do |number|
        Fiber.schedule do
          Thread.current[:who] = number
          pusher.trigger("c-#{number}", 'e', 1)
        end
      end
    end
    assert_equal [0, 1], lines.map(&:first).uniq.sort
    assert_equal(%i[call_start attempt_start attempt_end call_end], kinds.filter_map { |who, kind| kind if who == 1 })
  end

  # The event was applied, but the fiber is interrupted before the response: the delivery is unknown.
  def test_an_interrupted_fiber_ends_its_call_and_tells_the_delivery
    listener = FaultServer.listen('silence-after-request-applied', times: 1)
    pusher = FaultServer.client(listener, timeout_ms: 60_000)
    error = nil
    taken = seconds do
      scheduled do
        waiting = Fiber.schedule do
          pusher.trigger('c', 'e', 1)
        rescue IOError => e
          error = e
        end
        Fiber.schedule do
          sleep 0.02 until listener.applied.any?
          waiting.raise(IOError, 'enough')
        end
      end
    end
    assert_operator taken, :<, 30
    assert_equal 'enough', error.message
    assert_equal(%w[DELIVERY_UNKNOWN unknown cancelled], told(error))
    # The client itself is not cancelled.
    assert_equal({}, pusher.trigger('c', 'other', 1))
  end

  def test_a_time_limit_ends_a_call_that_sent_nothing
    pusher = FaultServer.client(FaultServer.listen('black-hole', times: 0), timeout_ms: 60_000, connect_timeout_ms: 60_000)
    error = nil
    taken = seconds do
      scheduled { Fiber.schedule { error = assert_raises(Timeout::Error) { Timeout.timeout(0.1) { pusher.trigger('c', 'e', 1) } } } }
    end
    assert_operator taken, :<, 30
    assert_equal(%w[NOT_SENT not_sent cancelled], told(error))
  end

  def test_a_task_of_async_is_stopped_and_its_call_ends
    listener = FaultServer.listen('silence-after-request', times: 0)
    pusher = FaultServer.client(listener, timeout_ms: 60_000)
    error = nil
    taken = seconds do
      Async do |task|
        assert_raises(Async::TimeoutError) do
          task.with_timeout(0.1) { pusher.trigger('c', 'e', 1) }
        rescue Async::TimeoutError => error
          raise
        end
        stopped = task.async { pusher.trigger('c', 'e', 2) }
        stopped.stop
        stopped.wait
      end
    end
    assert_operator taken, :<, 30
    assert_equal 'cancelled', error.cause.network_cause
  end

  # `cancel` reaches the calls of fibers, which have handles of their own.
  def test_a_cancelled_client_ends_the_calls_of_fibers
    listener = FaultServer.listen('silence-after-request', times: 0)
    pusher = FaultServer.client(listener, timeout_ms: 60_000)
    causes = []
    scheduled do
      2.times do
        Fiber.schedule { causes << assert_raises(LibPusher::HTTPError) { pusher.trigger('c', 'e', 1) }.network_cause }
      end
      Fiber.schedule do
        sleep 0.02 until listener.attempts.count { |attempt| attempt['whole'] } == 2
        pusher.cancel
        error = assert_raises(LibPusher::HTTPError) { pusher.trigger('c', 'e', 2) }
        assert_equal 'not_sent', error.delivery
      end
    end
    assert_equal %w[cancelled cancelled], causes
    assert_equal 2, listener.attempts.size
  end

  def test_the_waits_of_a_publisher_let_the_other_fibers_run
    listener = FaultServer.listen('late-answer', params: { ms: LATE_MS }, times: 0)
    publisher = FaultServer.client(listener).publisher(reports: 'all', overflow: 'block', max_queue_events: 2)
    reports, ticks, flushed, closed = [], 0, nil, nil
    ids = scheduled do
      ended = false
      Fiber.schedule { (sleep 0.01) && (ticks += 1) until ended }
      Fiber.schedule { reports.concat(publisher.poll(timeout_ms: 10_000)) until reports.size == 4 }
      ids = []
      Fiber.schedule do
        4.times { |number| ids << publisher.publish("c-#{number}", 'e', 1) }
        flushed = publisher.flush(timeout_ms: 60_000)
        closed = publisher.close
        assert_empty publisher.poll(timeout_ms: nil) if reports.size == 4
        ended = true
      end
      ids
    end
    assert_equal [true, true, ids.sort], [flushed, closed, reports.map { |report| report[:id] }.sort]
    assert_operator ticks, :>, 5
  end

  # The descriptor stays readable while there is space again.
  def test_a_poll_does_not_spin
    listener = FaultServer.listen
    publisher = FaultServer.client(listener).publisher(max_queue_events: 1, linger_ms: 200)
    waits = nil
    scheduler = scheduled do
      Fiber.schedule do
        assert_raises(LibPusher::PublisherError) { 1000.times { publisher.publish('c', 'e', 1) } }
        publisher.flush
        waits = -Fiber.scheduler.waits
        assert_empty publisher.poll(timeout_ms: 500)
        waits += Fiber.scheduler.waits
      end
    end
    assert_operator waits, :<, 100, scheduler.inspect
  end

  def test_interrupted_calls_leave_nothing
    listener = FaultServer.listen('silence-after-request', times: 0)
    pusher = FaultServer.client(listener, timeout_ms: 60_000)
    interrupted = lambda do |times|
      scheduled do
        times.times do
          waiting = Fiber.schedule { assert_raises(IOError) { pusher.trigger('c', 'e', 'x' * 2000) } }
          waiting.raise(IOError)
        end
      end
    end
    interrupted.call(50)
    threads, descriptors, memory = Thread.list.size, Dir.children('/proc/self/fd').size, resident
    10.times { interrupted.call(50) }
    assert_equal threads, Thread.list.size
    assert_operator Dir.children('/proc/self/fd').size, :<=, descriptors + 10
    assert_operator resident - memory, :<, 8 * 1024
    assert_empty pusher.instance_variable_get(:@calls)
  end

  # A scheduler that fails leaves its fibers behind, and their calls end without them.
  def test_a_call_outlives_its_fiber
    listener = FaultServer.listen('late-answer', params: { ms: LATE_MS }, times: 0)
    pusher = FaultServer.client(listener)
    before = Thread.list
    assert_raises(NoMatchingPatternError) do
      scheduled do
        FIBERS.times { Fiber.schedule { pusher.trigger('c', 'e', 1) } }
        Fiber.schedule do
          sleep 0.1
          raise NoMatchingPatternError
        end
      end
    end
    GC.start
    (Thread.list - before).each { |thread| assert thread.join(60) }
    assert_equal FIBERS, listener.applied.size
  end

  private

  # Runs the block on a thread with a scheduler, until all its fibers have ended, and returns its result.
  def scheduled
    thread = Thread.new do
      Thread.current.report_on_exception = false
      Fiber.set_scheduler(Scheduler.new)
      yield
    end
    assert thread.join(120), 'the fibers hang'
    thread.value
  end

  def seconds
    start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    yield
    Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
  end

  # Returns what the cause of an interruption says.
  def told(exception) = [exception.cause.status, exception.cause.delivery, exception.cause.network_cause]
end
