# frozen_string_literal: true

require_relative 'test_helper'

class PublisherTest < Minitest::Test
  include Helpers

  def test_an_answer_that_ruby_cannot_read_costs_no_report
    ['"\ud800"', '[' * 200 + ']' * 200].each do |answer|
      publisher = FaultServer.client(FaultServer.listen('body', params: { body: "{\"channels\":{\"c\":#{answer}}}" })).publisher(reports: 'all')
      publisher.publish('c', 'e', 1, info: 'user_count')
      assert_equal [['delivered', answer]], (publisher.poll(timeout_ms: 5000).map { |report| report.values_at(:delivery, :answer) })
      publisher.close
    end
  end

  def test_events_are_sent_in_the_background_in_batches
    listener = FaultServer.listen
    publisher = FaultServer.client(listener).publisher(reports: 'all', connections: 1, linger_ms: 200)
    ids = 25.times.map { |n| publisher.publish('c', 'e', n) }
    assert publisher.flush(timeout_ms: 10_000)
    reports = publisher.poll
    assert_equal ids, (reports.map { |report| report[:id] })
    assert_equal [%w[OK delivered]], reports.map { |report| report.values_at(:status, :delivery) }.uniq
    assert_equal (0..24).map(&:to_s), (listener.applied.map { |event| event['data'] })
    assert_operator listener.attempts.size, :<, 25
    stats = publisher.stats
    assert_equal [25, 25], stats[:events].values_at('published', 'delivered')
  end

  def test_the_descriptor_is_readable_while_reports_wait
    publisher = FaultServer.client(FaultServer.listen).publisher(reports: 'all')
    assert_nil IO.select([publisher], nil, nil, 0)
    id = publisher.publish('c', 'e', 1)
    assert_equal [[publisher], [], []], IO.select([publisher], nil, nil, 20)
    assert_equal [id], (publisher.poll.map { |report| report[:id] })
    assert_nil IO.select([publisher], nil, nil, 0)
    assert_equal publisher.fileno, publisher.to_io.fileno
    assert_predicate publisher.to_io, :close_on_exec?
  end

  def test_another_publisher_delivers_what_one_did_not_send
    client = FaultServer.client(FaultServer.listen)
    publisher = client.publisher(max_events_per_second: 1, reports: 'all')
    ids = Array.new(100) { |number| publisher.publish('c', 'e', number) }
    drained = publisher.drain
    reasons = publisher.poll.to_h { |report| [report[:id], report[:reason]] }
    waiting = ids.select { |id| reasons[id] == 'drained' }
    assert_equal 100, reasons.size
    refute_empty waiting
    assert_raises(LibPusher::PublisherError) { publisher.publish('c', 'e', 1) }

    other = client.publisher(reports: 'all')
    assert_raises(LibPusher::UsageError) { other.restore(drained.sub('"name"', '"colour"')) }
    assert_raises(LibPusher::UsageError) { other.restore("#{drained}\0") }
    restored = other.restore(drained)
    assert_equal waiting, (restored.map { |event| event[:drained_id] })
    assert other.flush(timeout_ms: 60_000)
    assert_equal restored.map { |event| event[:id] }.sort, other.poll.map { |report| report[:id] }.sort
    assert_equal waiting.size, other.stats[:events]['delivered']
  end

  def test_a_wait_ends_at_its_timeout
    listener = FaultServer.listen('silence-after-request')
    publisher = FaultServer.client(listener, timeout_ms: 2000, retry: { mode: 'never' }).publisher
    assert_equal [], publisher.poll
    assert_equal [], publisher.poll(timeout_ms: 250)
    publisher.publish('c', 'e', 1)
    refute publisher.flush(timeout_ms: 150)
    # Forever: until the first report.
    report = Timeout.timeout(20) { publisher.poll(timeout_ms: nil) }.first
    assert_equal %w[DELIVERY_UNKNOWN unknown timeout], report.values_at(:status, :delivery, :cause)
    assert publisher.flush
  end

  def test_a_wait_can_be_interrupted
    publisher = nowhere.publisher
    [nil, 600_000].each do |timeout_ms|
      thread = Thread.new { publisher.poll(timeout_ms: timeout_ms) }
      wait_until { thread.status == 'sleep' }
      thread.kill
      assert thread.join(5), 'the thread can not be ended'
    end
    assert_raises(Timeout::Error) { Timeout.timeout(0.2) { publisher.poll(timeout_ms: nil) } }
  end

  def test_a_closed_publisher_takes_no_events
    listener = FaultServer.listen
    publisher = FaultServer.client(listener).publisher(reports: 'all')
    publisher.publish('c', 'e', 1)
    assert publisher.close
    error = assert_raises(LibPusher::PublisherError) { publisher.publish('c', 'e', 2) }
    assert_equal %w[CLOSED not_sent], [error.status, error.delivery]
    assert_equal %w[delivered], (publisher.poll(timeout_ms: nil).map { |report| report[:delivery] })
    assert_equal [], Timeout.timeout(5) { publisher.poll(timeout_ms: nil) }
    assert publisher.close
  end

  def test_events_that_do_not_end_in_time_are_reported
    listener = FaultServer.listen('silence-after-request')
    publisher = FaultServer.client(listener, retry: { mode: 'never' }).publisher(connections: 1, max_batch_events: 1)
    2.times { |n| publisher.publish('c', 'e', n) }
    wait_until { publisher.stats[:queue]['in_flight'] == 1 }
    refute publisher.close(timeout_ms: 300)
    assert_equal %w[not_sent unknown], publisher.poll.map { |report| report[:delivery] }.sort
  end

  def test_a_full_queue_raises
    publisher = FaultServer.client(FaultServer.listen('silence-after-request')).publisher(max_queue_events: 1)
    publisher.publish('c', 'e', 1)
    error = assert_raises(LibPusher::PublisherError) { publisher.publish('c', 'e', 2) }
    assert_equal %w[QUEUE_FULL not_sent], [error.status, error.delivery]
    publisher.close(timeout_ms: 0)
  end

  def test_its_statistics_can_be_served
    stats = nowhere.publisher(stats_format: 'prometheus').stats
    assert_match(/^# TYPE \w+ \w+$/, stats)
  end

  def test_it_may_outlive_its_client
    listener = FaultServer.listen
    publisher = FaultServer.client(listener).publisher
    GC.start
    publisher.publish('c', 'e', 1)
    assert publisher.close
    assert_equal 1, listener.applied.size
  end

  def test_the_end_of_the_program_sends_queued_events
    listener = FaultServer.listen
    run_program(listener, "client.publisher.publish('c', 'e', 1)")
    assert_equal 1, listener.applied.size
  end

  def test_a_string_with_a_nul_byte_is_refused
    publisher = nowhere.publisher
    { 'channels' => ["c\0", 'e'], 'event' => ['c', "e\0"] }.each do |argument, (channel, event)|
      error = assert_raises(LibPusher::UsageError) { publisher.publish(channel, event, 1) }
      assert_equal ['INVALID_ARGUMENT', argument, 'not_sent'], [error.status, error.argument, error.delivery]
    end
  end
end
