# frozen_string_literal: true

require_relative 'test_helper'

class ThreadsTest < Minitest::Test
  include Helpers

  THREADS = 64
  CALLS = 20

  # Each thread has its own channel, valid calls and invalid calls, which reveals a result or an error of another thread.
  def test_sixty_four_threads_share_a_client_without_mixing_results
    listener = FaultServer.listen
    pusher = FaultServer.client(listener, timeout_ms: 30_000, max_idle_connections: THREADS)
    threads = THREADS.times.map { |number| Thread.new { use(pusher, number) } }
    threads.each { |thread| assert thread.join(120), 'a thread hangs' }

    sent = listener.applied.map { |event| event.values_at('channel', 'name', 'data') }
    expected = THREADS.times.flat_map { |number| CALLS.times.map { |call| ["c-#{number}", "e-#{call}", "#{number}.#{call}"] } }
    assert_equal expected.sort, sent.sort
    # Each thread's events are in order.
    sent.group_by(&:first).each_value { |own| assert_equal own.sort_by { |_, name, _| name[2..].to_i }, own }
    assert_operator listener.connections, :<=, THREADS
  end

  def test_sixty_four_threads_share_a_publisher
    listener = FaultServer.listen
    publisher = FaultServer.client(listener).publisher(reports: 'all', connections: 4)
    ids = THREADS.times.map do |number|
      Thread.new { CALLS.times.map { |call| publisher.publish("c-#{number}", "e-#{call}", call) } }
    end.flat_map(&:value)
    assert publisher.flush(timeout_ms: 60_000)
    reports = []
    while (some = publisher.poll).any?
      reports.concat(some)
    end
    assert_equal ids.sort, (reports.map { |report| report[:id] }.sort)
    assert_equal %w[delivered], reports.map { |report| report[:delivery] }.uniq
    listener.applied.group_by { |event| event['channel'] }.each_value do |own|
      assert_equal (0...CALLS).map(&:to_s), (own.map { |event| event['data'] })
    end
  end

  def test_other_threads_run_while_a_call_waits
    listener = FaultServer.listen('silence-after-request')
    pusher = FaultServer.client(listener, timeout_ms: 1500, retry: { mode: 'never' })
    counted = 0
    waiting = Thread.new { assert_raises(LibPusher::HTTPError) { pusher.trigger('c', 'e', 1) } }
    # Once the server has the request, the call certainly waits.
    wait_until { listener.attempts.any? { |attempt| attempt['whole'] } }
    while waiting.alive?
      counted += 1
      Thread.pass
    end
    # If the call held the lock, this thread would run only after it.
    assert_operator counted, :>, 100
  end

  def test_an_interrupted_call_ends_at_its_timeout_and_the_client_still_works
    listener = FaultServer.listen('silence-after-request')
    pusher = FaultServer.client(listener, retry: { mode: 'never' })
    assert_raises(Timeout::Error) { Timeout.timeout(0.05) { pusher.trigger('c', 'e', 1, timeout_ms: 300) } }
    assert_equal({}, pusher.trigger('c', 'e', 2))
    thread = Thread.new { pusher.trigger('c', 'e', 3) }
    thread.kill
    assert thread.join(10)
    assert_equal({}, pusher.trigger('c', 'e', 4))
  end

  private

  def use(pusher, number)
    CALLS.times do |call|
      assert_equal({}, pusher.trigger("c-#{number}", "e-#{call}", "#{number}.#{call}"))
      # The message names the wrong character, which differs in each thread.
      wrong = (0x4E00 + number).chr(Encoding::UTF_8)
      error = assert_raises(LibPusher::UsageError) { pusher.trigger("c-#{wrong}", 'e', 1) }
      assert_includes error.message, wrong
      auth = pusher.authenticate("private-#{number}", "1.#{call}")[:auth]
      assert_equal sign("1.#{call}:private-#{number}"), auth.split(':').last
    end
  end
end
