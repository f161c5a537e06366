# frozen_string_literal: true

require_relative 'test_helper'

class CancellationTest < Minitest::Test
  include Helpers

  def test_a_cancelled_call_ends_at_once_and_other_objects_go_on
    listener = FaultServer.listen('silence-after-request-applied', times: 1)
    pusher = FaultServer.client(listener, timeout_ms: 20_000)
    clone = pusher.clone
    waiting = Thread.new { assert_raises(LibPusher::HTTPError) { clone.trigger('c', 'e', 1) } }
    wait_until { listener.applied.any? }
    start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    clone.cancel
    error = waiting.value
    assert_operator Process.clock_gettime(Process::CLOCK_MONOTONIC) - start, :<, 10
    assert_equal %w[DELIVERY_UNKNOWN unknown cancelled], [error.status, error.delivery, error.network_cause].map(&:to_s)
    error = assert_raises(LibPusher::Error) { clone.trigger('c', 'later', 1) }
    assert_equal %w[NOT_SENT not_sent cancelled], [error.status, error.delivery, error.network_cause].map(&:to_s)
    # Signing goes on, and so do other objects.
    assert clone.authenticate('private-c', '1.2')
    [pusher, clone.dup].each { |other| other.trigger('c', 'other', 1) }
    assert_equal(%w[e other other], listener.applied.map { |event| event['name'] })
  end

  def test_a_clone_shares_the_connections_and_has_writers_of_its_own
    listener = FaultServer.listen
    pusher = FaultServer.client(listener)
    pusher.trigger('c', 'e', 1)
    clone = pusher.clone
    clone.trigger('c', 'e', 1)
    assert_equal 1, listener.connections
    clone.cancel
    clone.timeout = 3
    clone.trigger('c', 'e', 1)
    pusher.trigger('c', 'e', 1)
    assert_equal 2, listener.connections
  end

  def test_a_client_that_is_not_complete_yet_is_cloned
    clone = LibPusher::Client.blank(nil).dup
    assert_raises(LibPusher::ConfigurationError) { clone.trigger('c', 'e', 1) }
  end
end
