# frozen_string_literal: true

require_relative 'test_helper'

class RequestTest < Minitest::Test
  include Helpers

  def test_another_http_client_sends_it
    listener = FaultServer.listen
    request = FaultServer.client(listener).prepare(:trigger, 'c', 'e', { n: 1 }, socket_id: '1.2')
    assert_equal({}, request.finish(**send_by_net_http(request)))
    assert_equal [{ 'channel' => 'c', 'name' => 'e', 'data' => '{"n":1}', 'socket_id' => '1.2' }], listener.applied.map(&:compact)
  end

  def test_every_call_can_be_prepared
    pusher = FaultServer.client(FaultServer.listen)
    { trigger: ['c', 'e', 1], send_to_user: ['u', 'e', 1], terminate_user_connections: ['u'], channels: [], channel_info: ['c'],
      channel_users: ['presence-c'], get: ['/channels'], trigger_batch: [{ channel: 'c', name: 'e', data: 1 }],
      post: ['/events', { name: 'e', channel: 'c', data: 'x' }],
      delete: ['/channels/c'] }.each do |call, arguments|
      request = pusher.prepare(call, *arguments)
      assert_instance_of Hash, request.finish(**send_by_net_http(request)), call.to_s
    end
    assert_equal LibPusher::Arguments::FUNCTIONS.size, 10
    error = assert_raises(LibPusher::UsageError) { pusher.prepare(:authenticate, 'private-c', '1.2') }
    assert_equal 'call', error.argument
  end

  def test_a_refusal_raises_like_the_call
    request = nowhere.prepare(:trigger, 'c', 'e', 1)
    error = assert_raises(LibPusher::APIError) { request.finish(status: 429, body: 'slow down', headers: { 'Retry-After' => '3' }) }
    assert_equal ['RATE_LIMITED', 'rejected', 3000, 'slow down'], [error.status, error.delivery, error.retry_after_ms, error.response]
  end

  def test_an_error_has_the_servers_code_and_rate_limit
    request = nowhere.prepare(:trigger, 'c', 'e', 1)
    headers = { 'X-RateLimit-Limit' => '100', 'X-RateLimit-Remaining' => '0' }
    error = assert_raises(LibPusher::APIError) { request.finish(status: 429, body: '{"code":"rate_limited"}', headers: headers) }
    assert_equal ['rate_limited', { 'limit' => 100, 'remaining' => 0 }], [error.server_code, error.rate_limit]
    other = nowhere.prepare(:trigger, 'c', 'e', 1)
    assert_equal [nil, nil], assert_raises(LibPusher::APIError) { other.finish(status: 429, body: 'no') }.then { |e| [e.server_code, e.rate_limit] }
  end

  def test_a_failure_raises_like_the_call
    { not_sent: 'NOT_SENT', unknown: 'DELIVERY_UNKNOWN' }.each do |delivery, status|
      request = nowhere.prepare(:trigger, 'c', 'e', 1)
      error = assert_raises(LibPusher::HTTPError) { request.fail(delivery: delivery, cause: 'timeout', message: 'the time is up') }
      assert_equal [status, delivery.to_s, 'timeout'], [error.status, error.delivery, error.network_cause]
    end
    assert_raises(LibPusher::UsageError) { nowhere.prepare(:trigger, 'c', 'e', 1).fail(delivery: :rejected) }
  end

  def test_a_nul_byte_in_a_response_is_refused
    request = nowhere.prepare(:trigger, 'c', 'e', 1)
    { 'headers' => [{ status: 200, headers: { "Date\0" => 'x' } }, { status: 200, headers: { 'Date' => "x\0" } }] }.each do |argument, answers|
      answers.each { |answer| assert_equal argument, assert_raises(LibPusher::UsageError) { request.finish(**answer) }.argument }
    end
    { 'cause' => { cause: "timeout\0" }, 'message' => { message: "\0" } }.each do |argument, said|
      assert_equal argument, assert_raises(LibPusher::UsageError) { request.fail(delivery: :unknown, **said) }.argument
    end
    assert_equal({}, request.finish(status: 200, body: '{}'))
  end

  # An error would make a caller send a delivered event again.
  def test_a_deeply_nested_response_is_returned_as_a_string
    body = "{\"a\":#{'[' * 100_000}#{']' * 100_000}}"
    assert_equal body, nowhere.prepare(:trigger, 'c', 'e', 1).finish(status: 200, body: body)
    deep = "{\"a\":#{'[' * 500}#{']' * 500}}"
    assert_equal [:a], nowhere.prepare(:trigger, 'c', 'e', 1).finish(status: 200, body: deep).keys
  end

  def test_it_can_be_finished_once
    request = nowhere.prepare(:trigger, 'c', 'e', 1)
    request.finish(status: 200, body: '{}')
    error = assert_raises(LibPusher::UsageError) { request.finish(status: 200, body: '{}') }
    assert_equal 'INVALID_STATE', error.status
  end

  def test_a_wrong_argument_is_refused_before_signing
    error = assert_raises(LibPusher::UsageError) { nowhere.prepare(:trigger, "c\0", 'e', 1) }
    assert_equal 'channels', error.argument
  end

  def test_it_has_what_an_http_client_needs
    request = nowhere.prepare(:trigger, 'c', 'e', 'grüße')
    assert_equal 'POST', request.http_method
    assert_equal 'application/json', request.headers['content-type']
    assert_equal 'grüße', JSON.parse(request.body)['data']
    assert_includes 1..5000, request.timeout_ms
    assert_equal ['GET', ''], [(get = nowhere.prepare(:channels, info: 'user_count', filter_by_prefix: 'presence-')).http_method, get.body]
    assert_includes get.url, 'filter_by_prefix=presence-'
  end

  def test_a_socket_needs_no_http_client
    listener = FaultServer.listen
    request = FaultServer.client(listener).prepare(:trigger, 'c', 'e', 1)
    refute_predicate request, :tls?
    TCPSocket.open(request.host, request.port) do |socket|
      socket.write(request.to_bytes)
      nil while request.feed(socket.readpartial(7)).first.zero?
    end
    assert_equal [1, 0], request.feed('more')
    assert_equal({}, request.finish)
    assert_equal 1, listener.applied.size
  end

  def test_a_response_that_is_not_whole_is_unknown
    request = nowhere.prepare(:trigger, 'c', 'e', 1)
    assert_equal [[0, 9], [-1, 0]], [request.feed('HTTP/1.1 '), request.feed(nil)]
    assert_equal 'DELIVERY_UNKNOWN', assert_raises(LibPusher::HTTPError) { request.finish }.status
    request = nowhere.prepare(:trigger, 'c', 'e', 1)
    request.feed("HTTP/1.1 200 OK\r\n")
    assert_equal 'BAD_RESPONSE', assert_raises(LibPusher::HTTPError) { request.fail(delivery: :not_sent) }.status
    assert_raises(LibPusher::UsageError) { nowhere.prepare(:trigger, 'c', 'e', 1).finish }
  end

  private

  def send_by_net_http(request)
    uri = URI(request.url)
    sent = Net::HTTPGenericRequest.new(request.http_method, request.http_method == 'POST', true, uri, request.headers)
    sent.body = request.body if request.http_method == 'POST'
    response = Net::HTTP.start(uri.host, uri.port, max_retries: 0, read_timeout: request.timeout_ms / 1000.0) { |http| http.request(sent) }
    { status: response.code.to_i, body: response.body, headers: response.to_hash }
  end
end
