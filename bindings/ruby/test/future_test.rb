# frozen_string_literal: true

require 'minitest/mock'
require_relative 'test_helper'

class FutureTest < Minitest::Test
  include Helpers

  def test_a_call_runs_beside_its_caller
    listener = FaultServer.listen('late-answer', times: 0, params: { ms: 200 })
    pusher = FaultServer.client(listener)
    futures = Array.new(8) { |number| pusher.trigger_async('c', 'e', number) }
    assert_nil futures.first.wait(0)
    assert_equal [{}] * 8, futures.map(&:value)
    assert_equal futures.first, futures.first.wait
    assert_predicate futures.first, :finished?
    assert_equal 8, listener.applied.size
  end

  def test_blocks_are_called_once_each_whether_the_call_has_ended_or_not
    called = Queue.new
    future = FaultServer.client(FaultServer.listen).trigger_async('c', 'e', 1)
    future.callback { |result| called << result }
    future.value
    future.callback { |result| called << result }.errback { called << :no }
    wait_until { called.size == 2 }
    assert_equal [{}, {}], Array.new(2) { called.pop }
  end

  def test_a_failure_is_an_error_with_its_delivery
    future = nowhere(retry: { mode: 'never' }).trigger_batch_async({ channel: 'c', name: 'e', data: 1 })
    assert_equal 'not_sent', assert_raises(LibPusher::HTTPError) { future.value }.delivery
    assert_raises(LibPusher::HTTPError) { future.pop }
    failures = []
    future.callback { flunk }.errback { |error| failures << error.delivery }
    assert_equal ['not_sent'], failures
  end

  def test_a_block_that_raises_does_not_keep_the_others_from_being_called
    listener = FaultServer.listen('late-answer', params: { ms: 200 })
    called = Queue.new
    _, said = capture_io do
      future = FaultServer.client(listener).trigger_async('c', 'e', 1)
      future.callback { raise 'no' }.callback { called << 1 }
      future.value
      wait_until { called.size == 1 }
    end
    assert_match(/a block of a LibPusher::Future raised.*no \(RuntimeError\)/m, said)
  end

  # The thread copied them before.
  def test_arguments_may_be_changed_after_the_call
    listener = FaultServer.listen('late-answer', params: { ms: 100 })
    pusher = FaultServer.client(listener)
    data = { text: +'before' }
    future = pusher.trigger_async(name = +'channel', 'e', data)
    name.replace('another')
    data[:text].replace('after')
    future.value
    assert_equal [['channel', '{"text":"before"}']], (listener.applied.map { |event| event.values_at('channel', 'data') })
  end

  def test_a_forked_child_cannot_tell_what_became_of_a_call_of_its_parent
    listener = FaultServer.listen('late-answer', params: { ms: 300 })
    future = FaultServer.client(listener).trigger_async('c', 'e', 1)
    child = in_child do
      future.value
    rescue LibPusher::HTTPError => e
      [e.status, e.delivery, future.finished?]
    end
    assert_equal ['DELIVERY_UNKNOWN', 'unknown', true], child
    assert_equal({}, future.value)
  end

  def test_a_killed_thread_leaves_the_delivery_unknown
    future = FaultServer.client(FaultServer.listen).trigger_async('c', 'e', 1)
    future.instance_variable_get(:@thread).kill
    begin
      assert_equal({}, future.value)
    rescue LibPusher::HTTPError => e
      # It was killed before the call had ended.
      assert_equal 'unknown', e.delivery
    end
  end

  def test_a_killed_thread_calls_the_blocks_of_failures
    future = FaultServer.client(FaultServer.listen('late-answer', params: { ms: 300 })).trigger_async('c', 'e', 1)
    failures = Queue.new
    future.callback { flunk }.errback { |error| failures << error.delivery }
    thread = future.instance_variable_get(:@thread)
    wait_until { thread.status == 'sleep' }
    thread.kill
    wait_until { failures.size == 1 }
    assert_equal 'unknown', failures.pop
  end

  def test_the_end_of_the_program_leaves_the_delivery_unknown
    listener = FaultServer.listen('late-answer', params: { ms: 300 })
    config = { **FaultServer.credentials, host: '127.0.0.1', port: listener.port, ssl: false }
    code = <<~RUBY
      require 'libpusher'
      future = LibPusher::Client.new(#{config.inspect}).trigger_async('c', 'e', 1)
      future.callback { print 'delivered' }.errback { |error| print error.delivery }
      sleep 0.01 until future.instance_variable_get(:@thread).status == 'sleep'
    RUBY
    said = IO.popen([RbConfig.ruby, '-I', File.expand_path('../lib', __dir__), '-e', code], err: %i[child out], &:read)
    assert_equal 'unknown', said
    assert_equal 1, listener.applied.size
  end

  def test_no_thread_means_not_sent
    pusher = nowhere
    Thread.stub(:new, ->(*) { raise ThreadError, "can't create Thread" }) do
      error = assert_raises(LibPusher::InternalError) { pusher.trigger_async('c', 'e', 1) }
      assert_equal 'not_sent', error.delivery
      assert_includes error.message, 'wait for some of the other calls'
    end
  end
end
