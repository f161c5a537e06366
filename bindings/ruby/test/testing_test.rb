# frozen_string_literal: true

require_relative 'test_helper'
require 'libpusher/minitest'

# The helpers for the tests of applications. docs/testing-your-app.md has an example, which scripts/bindings/ruby.sh runs.
class TestingTest < Minitest::Test
  include LibPusher::Minitest

  def setup = ENV['PUSHER_TESTSERVER'] ||= ENV.fetch('FAULT_SERVER')

  def client(server = pusher_server, **config) = LibPusher::Client.new(**server.config, **config)

  def test_an_event_has_all_that_was_published
    client.trigger(%w[a b], 'e', { k: [1, 'ü'] }, { socket_id: '1.2' })
    client.send_to_user('7', 'f', 'text')
    client.terminate_user_connections('7')
    first, second, third = pusher_server.events
    assert_equal ['a', 'e', { 'k' => [1, 'ü'] }, '1.2', nil], [first.channel, first.event, first.data, first.socket_id, first.user]
    assert_equal %w[b #server-to-user-7 text 7], [second.channel, third.channel, third.data, third.user]
    assert_equal [['7'], [], 3], [pusher_server.terminated, pusher_server.refused, pusher_server.attempts]
    assert_equal first, assert_triggered('a', 'e', data: { k: [1, 'ü'] }, socket_id: '1.2', times: 1)
    assert_triggered('#server-to-user-7', 'f', data: 'text')
    pusher_server.clear
    assert_equal 0, pusher_server.attempts
    refute_triggered
  end

  def test_what_fails_says_what_was_published_and_refused
    client.trigger('a', 'e', 'x')
    [[-> { assert_triggered('b', 'e') }, 'e on b was not published. Published: e on a: x.'],
     [-> { assert_triggered('a', 'e', data: 1) }, 'e on a with 1 was not published.'],
     [-> { assert_triggered('a', 'e', socket_id: '1.2') }, 'e on a without "1.2" was not published.'],
     [-> { assert_triggered('a', 'e', times: 2) }, 'e on a: another number of events.'],
     [-> { refute_triggered('a') }, 'e on a: x was published.']].each do |failing, says|
      assert_includes assert_raises(Minitest::Assertion, &failing).message, says
    end
    refute_triggered('b')
    refute_triggered('a', 'f')
    pusher_server.clear
    wrong = LibPusher::Client.new(**pusher_server.config, secret: 'another')
    assert_raises(LibPusher::AuthenticationError) { wrong.trigger('a', 'e', 1) }
    error = assert_raises(Minitest::Assertion) { assert_triggered('a', 'e') }
    assert_includes error.message, 'Published: nothing. A request was refused: the signature is wrong.'
  end

  def test_one_can_wait_for_what_is_published_in_the_background
    pusher_server.fail_next('late-answer', ms: 100, times: 0)
    publisher = client.publisher(connections: 1)
    3.times { |number| publisher.publish('a', "e#{number}", number) }
    assert_triggered('a', 'e2', data: 2, timeout: 30)
    assert_equal 3, pusher_server.wait_for(3, timeout: 30).size
  ensure
    publisher&.close
  end

  def test_faults
    pusher = client(retry: { mode: 'never' })
    pusher_server.fail_next('status-403', warm: 1, times: 2)
    results = Array.new(4) do
      pusher.trigger('a', 'e', 1)
      'OK'
    rescue LibPusher::Error => e
      e.status
    end
    assert_equal %w[OK FORBIDDEN FORBIDDEN OK], results
    client(open_pusher_server(tls: true)).trigger('a', 'e', 1)
    proxy = open_pusher_server('proxy-interim-first')
    client(proxy).trigger('a', 'e', 1)
    assert_triggered('a', 'e', server: proxy)
    { 'nonsense' => 'there is no fault', 'refused' => 'needs a listener of its own' }.each do |fault, says|
      assert_includes assert_raises(ArgumentError) { pusher_server.fail_next(fault) }.message, says
    end
    assert_includes LibPusher::Testing.faults.map { |fault| fault['name'] }, 'status-403'
  end
end
