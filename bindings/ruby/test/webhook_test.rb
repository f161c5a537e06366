# frozen_string_literal: true

require 'stringio'
require_relative 'test_helper'

class WebhookTest < Minitest::Test
  include Helpers

  BODY = '{"time_ms":1700000000123,"events":[{"name":"channel_occupied","channel":"c"}]}'

  # The part of Rack::Request that a webhook reads.
  Request = Struct.new(:headers, :body) do
    def get_header(name) = headers[name]
  end

  def setup
    @pusher = nowhere(webhook_max_age_ms: 0)
    LibPusher.logger = Logger.new(File::NULL)
    @key = FaultServer.credentials[:key]
  end

  def teardown
    LibPusher.logger = nil
  end

  def test_an_authentic_webhook_has_events
    webhook = @pusher.webhook({ key: @key, signature: sign(BODY), body: BODY })
    assert_predicate webhook, :valid?
    assert_equal [{ 'name' => 'channel_occupied', 'channel' => 'c' }], webhook.events
    assert_equal 1_700_000_000_123, webhook.data[:time_ms]
    assert_equal Time.at(1_700_000_000, 123, :millisecond), webhook.time
  end

  def test_events_without_a_channel_and_a_time_that_is_a_string_are_read
    body = '{"time_ms":"1700000000123","events":[{"name":"other"}]}'
    webhook = @pusher.webhook({ key: @key, signature: sign(body), body: body })
    assert_equal [{ 'name' => 'other' }], webhook.events
    assert_equal Time.at(1_700_000_000, 123, :millisecond), webhook.time
  end

  def test_an_invalid_webhook_has_no_content
    [{ key: @key, signature: sign("#{BODY} "), body: BODY }, { key: 'other', signature: sign(BODY), body: BODY },
     { key: nil, signature: sign(BODY), body: BODY }, { key: @key, signature: nil, body: BODY }, {},
     { key: "#{@key}\0", signature: sign(BODY), body: BODY }].each do |request|
      webhook = @pusher.webhook(request)
      refute_predicate webhook, :valid?
      assert_raises(LibPusher::SignatureError, LibPusher::UsageError) { webhook.events }
    end
  end

  def test_it_is_read_from_a_rack_request_whose_body_was_read_before
    body = StringIO.new(BODY)
    body.read
    headers = { 'HTTP_X_PUSHER_KEY' => @key, 'HTTP_X_PUSHER_SIGNATURE' => sign(BODY) }
    assert_predicate @pusher.webhook(Request.new(headers, body)), :valid?
    refute_predicate @pusher.webhook(Request.new(headers, nil)), :valid?
  end

  def test_a_body_may_contain_any_bytes
    body = "{\"time_ms\":1,\"events\":[]}\0".b
    error = assert_raises(LibPusher::SignatureError) { @pusher.validate_webhook(@key, sign(body), body) }
    assert_equal 'WEBHOOK_INVALID', error.status
    # The part before the NUL would have been authentic.
    assert @pusher.validate_webhook(@key, sign(body.chop), body.chop)
  end

  def test_keys_can_be_rotated
    pusher = nowhere(webhook_max_age_ms: 0, webhook_tokens: [{ key: 'new-key', secret: 'new-secret' }])
    assert_predicate pusher.webhook({ key: 'new-key', signature: sign(BODY, 'new-secret'), body: BODY }), :valid?
    refute_predicate pusher.webhook({ key: 'new-key', signature: sign(BODY), body: BODY }), :valid?
  end

  def test_an_old_webhook_is_not_valid
    refute_predicate nowhere.webhook({ key: @key, signature: sign(BODY), body: BODY }), :valid?
  end
end
