# frozen_string_literal: true

require 'logger'
require 'stringio'
require_relative 'test_helper'

class LoggerTest < Minitest::Test
  include Helpers

  # Records messages and their threads.
  class Notes
    attr_reader :entries

    def initialize
      @entries = Queue.new
    end

    %i[error warn info debug].each { |level| define_method(level) { |line| @entries << [level, line, Thread.current] } }

    def all = Array.new(entries.size) { entries.pop }
  end

  def test_a_standard_logger_receives_failures
    said = StringIO.new
    pusher = nowhere(retry: { mode: 'never' }, logger: Logger.new(said))
    assert_raises(LibPusher::HTTPError) { pusher.trigger('c', 'e', 'a payload') }
    assert_match(/WARN.*trigger/, said.string)
    refute_includes said.string.b, FaultServer.credentials[:secret].b
    refute_includes said.string, 'a payload'
  end

  def test_it_is_called_on_the_thread_that_makes_the_call
    notes = Notes.new
    pusher = FaultServer.client(FaultServer.listen, logger: notes, log_level: 'debug')
    threads = 8.times.map { Thread.new { 5.times { pusher.trigger('c', 'e', 1) } } }
    threads.each(&:join)
    messages = notes.all.select { |level, _, _| level == :debug }
    assert_equal threads.to_h { |thread| [thread, 5] }, messages.map(&:last).tally
  end

  def test_an_observer_is_told_after_the_call
    seen = []
    pusher = FaultServer.client(FaultServer.listen)
    pusher.observer = lambda do |kind, id, fields|
      seen << [kind, id, fields]
      raise 'no'
    end
    pusher.trigger('c', 'e', 1)
    assert_equal %i[call_start attempt_start attempt_end call_end], seen.map(&:first)
    assert_equal [[1, 'trigger']], seen.map { |_, id, fields| [id, fields[:call]] }.uniq
    assert_equal 200, seen[2].last[:http_status]
    stats = pusher.stats
    assert_equal 1, stats[:calls]['trigger']['delivered']
    assert_equal 1, stats[:connections]['opened']
    assert_match(/^pusher_client_requests_total 0$/, nowhere(stats_format: 'prometheus').stats)
  end

  def test_a_misbehaving_logger_does_not_affect_the_call
    listener = FaultServer.listen
    pusher = nil
    does = { 'raises' => ->(_) { raise 'no' }, 'uses the client' => ->(_) { pusher.authenticate('private-c', '1.2') },
             'throws' => ->(_) { throw :out } }
    does.each do |what, act|
      logger = Object.new
      # Only once, because its own calls are logged too.
      logger.define_singleton_method(:debug) { |line| (act, called = nil, act) && called&.call(line) }
      pusher = FaultServer.client(listener, logger: logger, log_level: 'debug')
      # A throw leaves the call on Ruby's side, after the call has ended, not from within the library.
      catch(:out) { assert_equal({}, pusher.trigger('c', what, 1)) }
      assert_equal({}, pusher.trigger('c', what, 2))
    end
    assert_equal %w[1 2] * does.size, (listener.applied.map { |event| event['data'] })
  end

  def test_a_thread_that_is_killed_in_a_call_ends_after_it
    listener = FaultServer.listen('slow-answer', times: 0)
    notes = Notes.new
    pusher = FaultServer.client(listener, logger: notes, log_level: 'debug')
    threads = 4.times.map { Thread.new { loop { pusher.trigger('c', 'e', 1) } } }
    wait_until { listener.attempts.any? }
    threads.each(&:kill)
    threads.each { |thread| assert thread.join(10) }
    assert_equal({}, pusher.trigger('c', 'e', 1))
    # If one of them had left the library in the middle of a call, that call's messages would be missing.
    assert_equal listener.attempts.size, notes.all.size
  end

  def test_a_publisher_does_not_call_it_on_its_threads
    pusher = nowhere(logger: Notes.new)
    error = assert_raises(LibPusher::ConfigurationError) { pusher.publisher(hooks_on_threads: true) }
    assert_equal 'hooks_on_threads', error.argument
    assert pusher.publisher.close
  end
end
