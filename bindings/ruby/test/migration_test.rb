# frozen_string_literal: true

require 'base64'
require 'eventmachine'
require 'logger'
require 'socket'
require 'stringio'
require_relative 'test_helper'
require 'libpusher/pusher'
# Only these tests compare messages.
LibPusher::APIError.official_messages = false

# A server with one response, and clients that use it.
module OfficialGem
  include Helpers

  MASTER_KEY = (0..31).to_a.pack('C*')
  STAGING = 'http://somekey:somesecret@api.staging.pusherapp.com:8080/apps/87'
  HOOK = { 'time_ms' => (Time.now.to_f * 1000).to_i, 'events' => [{ 'name' => 'foo' }] }.freeze

  # A server that gives each request the same response, and keeps the requests.
  class Answering
    attr_reader :port, :requests

    def initialize(status, body = nil)
      @server = TCPServer.new('127.0.0.1', 0)
      @port = @server.addr[1]
      @requests = Queue.new
      @thread = Thread.new { loop { serve(@server.accept, "HTTP/1.1 #{status} Status\r\nContent-Length: #{body.to_s.bytesize}\r\n\r\n#{body}") } }
    end

    def stop
      @thread.kill
      @server.close
    end

    private

    def serve(socket, response)
      while (line = socket.gets)
        length = 0
        while (header = socket.gets) && header != "\r\n"
          length = header[/\d+/].to_i if header.match?(/\Acontent-length:/i)
        end
        @requests << [line, socket.read(length)]
        socket.write(response)
      end
    rescue SystemCallError
      nil
    ensure
      socket.close
    end
  end

  def setup
    LibPusher::APIError.official_messages = true
    Pusher.default_client = nil
    @log = StringIO.new
    Pusher.logger = Logger.new(@log)
  end

  def teardown
    LibPusher::APIError.official_messages = false
    Pusher.logger = nil
    Pusher.default_client = nil
    @answering&.stop
  end

  private

  # Runs the block with the module and with a client, as the official suite does; with a server if a status is given.
  def both(status = nil, body = nil, **config)
    [-> { Pusher }, -> { Pusher::Client.new(config) }].each do |make|
      Pusher.configure(config) unless config.empty?
      client = make.call
      next yield client unless status

      @answering&.stop
      @answering = Answering.new(status, body)
      client.app_id, client.key, client.secret = %w[20 12345678900000001 12345678900000001]
      client.host = '127.0.0.1'
      client.scheme = 'http'
      client.port = @answering.port
      yield client
    end
  end

  def channel_of(status, body, name = 'test_channel', **config)
    both(status, body, **config) { |client| yield client[name] }
  end

  def url_of(client, call) = client.prepare(call, '/path').url

  # Returns how the future ended, and on which thread.
  def in_reactor
    result = nil
    ended = lambda do |kind, value|
      result = [kind, value, Thread.current]
      EM.stop
    end
    EM.run do
      EM.add_timer(20) { EM.stop }
      yield.errback { |error| ended.call(:errback, error) }.callback { |value| ended.call(:callback, value) }
    end
    result
  end
end

# What the official gem takes and gives, with its constant, `Pusher`. tests/migration/ruby.tsv says which of its own tests each of these
# stands for.
class MigrationTest < Minitest::Test
  include OfficialGem

  def test_the_defaults_are_the_official_ones
    both do |client|
      assert_equal ['api-mt1.pusher.com', 443, 'https', true], [client.host, client.port, client.scheme, client.encrypted?]
      assert_equal [nil, nil, nil, nil], [client.app_id, client.key, client.secret, client.encryption_master_key]
    end
  end

  def test_the_logger_is_a_standard_one_unless_another_is_set
    Pusher.logger = nil
    assert_kind_of Logger, Pusher.logger
    noted = []
    logger = Object.new
    logger.define_singleton_method(:debug) { |line| noted << line }
    Pusher.logger = logger
    Pusher.logger.debug('foo')
    assert_equal ['foo'], noted
  end

  def test_a_url_configures_everything
    both do |client|
      client.url = STAGING
      assert_equal ['http', 'api.staging.pusherapp.com', 8080, 'somekey', 'somesecret', '87'],
                   [client.scheme, client.host, client.port, client.key, client.secret, client.app_id]
      client.encrypted = true
      assert_equal ['https', 443], [client.scheme, client.port]
      client.encrypted = false
      assert_equal ['http', 80], [client.scheme, client.port]
      assert_raises(Pusher::ConfigurationError) { client.url = 'gopher/k:s@://h://m' }
      assert_equal 'somekey', client.key
    end
  end

  def test_a_client_without_an_app_id_has_no_url
    both do |client|
      client.app_id = nil
      assert_raises(Pusher::ConfigurationError) { client.url }
    end
    assert_equal 'http://api.staging.pusherapp.com:8080/apps/87/x', Pusher::Client.from_url(STAGING).url('/x').to_s
  end

  def test_a_cluster_is_a_host_until_another_is_set
    both do |client|
      client.cluster = 'eu'
      assert_equal 'api-eu.pusher.com', client.host
      client.host = 'api.staging.pusher.com'
      assert_equal 'api.staging.pusher.com', client.host
      client.cluster = 'eu'
      assert_equal 'api-eu.pusher.com', client.host
      client.url = STAGING
      assert_equal 'api.staging.pusherapp.com', client.host
      client.cluster = 'eu'
      assert_equal 'api-eu.pusher.com', client.host
    end
    Pusher.default_client = nil
    [nil, ''].each do |none|
      both do |client|
        client.cluster = none
        assert_equal 'api-mt1.pusher.com', client.host
      end
    end
    client = Pusher::Client.new({ scheme: 'http', cluster: 'eu', port: 80 })
    assert_equal 'api-eu.pusher.com', client.host
    client = Pusher::Client.new({ scheme: 'http', host: 'api.staging.pusherapp.com', cluster: 'eu', port: 80 })
    assert_equal 'api.staging.pusherapp.com', client.host
  end

  def test_tls_is_configured_by_every_name
    { { use_tls: false } => ['http', 80], { encrypted: false } => ['http', 80], {} => ['https', 443], { scheme: 'http' } => ['http', 80],
      { scheme: 'HTTPS' } => ['https', 443], { scheme: '' } => ['https', 443], { use_tls: true, port: 8443 } => ['https', 8443],
      { use_tls: false, port: '8000' } => ['http', 8000] }.each do |options, expected|
      client = Pusher::Client.new(options)
      assert_equal expected, [client.scheme, client.port], options.to_s
    end
    %w[wss https:// httpss].each do |scheme|
      assert_raises(Pusher::ConfigurationError, scheme) { Pusher::Client.new({ **FaultServer.credentials, scheme: scheme }) }
    end
    assert_raises(Pusher::ConfigurationError) { Pusher::Client.new({ **FaultServer.credentials, scheme: 'http', use_tls: true }) }
    assert_raises(Pusher::ConfigurationError) { Pusher::Client.new({ **FaultServer.credentials, use_tls: 'false' }) }
    assert_raises(Pusher::ConfigurationError) { Pusher::Client.new({ **FaultServer.credentials, use_tls: true, encrypted: false }) }
  end

  def test_a_proxy_is_read_back_in_parts
    both do |client|
      client.http_proxy = 'http://someuser:somepassword@proxy.host.com:8080'
      assert_equal({ scheme: 'http', host: 'proxy.host.com', port: 8080, user: 'someuser', password: 'somepassword' }, client.proxy)
    end
  end

  def test_the_environment_and_a_url_make_a_client
    before = ENV.fetch('PUSHER_URL', nil)
    ENV['PUSHER_URL'] = STAGING
    [Pusher::Client.from_env, Pusher::Client.from_url(STAGING), Pusher].each do |client|
      assert_equal %w[somekey somesecret 87], [client.key, client.secret, client.app_id]
      assert_equal 'http://api.staging.pusherapp.com:8080/apps/87', client.url.to_s
    end
    Pusher.cluster = 'eu'
    assert_equal ['api-eu.pusher.com', 'somekey'], [Pusher.host, Pusher.key]
    assert_raises(Pusher::ConfigurationError) { Pusher::Client.from_env('NONE') }
  ensure
    ENV['PUSHER_URL'] = before
  end

  def test_the_master_key_is_read_back
    both do |client|
      client.encryption_master_key_base64 = Base64.strict_encode64(MASTER_KEY)
      assert_equal MASTER_KEY, client.encryption_master_key
      client.encryption_master_key = nil
      assert_nil client.encryption_master_key
    end
  end

  def test_a_missing_credential_is_found_by_the_call
    %i[app_id key secret].each do |name|
      both(200, '{}') do |client|
        channel = client['test_channel']
        assert_kind_of Pusher::Channel, channel
        client.public_send("#{name}=", nil)
        assert_raises(Pusher::ConfigurationError, name.to_s) { client.trigger('mychannel', 'event', {}) }
        assert_raises(Pusher::ConfigurationError, name.to_s) { channel.trigger!('foo', 'bar') }
        assert_empty @answering.requests
      end
    end
  end

  def test_queries_call_the_right_path
    { -> (client) { client.channels } => ['channels', { 'channels' => { 'channel1' => {} } }],
      -> (client) { client.channel_info('mychannel') } => ['channels/mychannel', { 'occupied' => false }],
      -> (client) { client.channel_users('mychannel') } => ['channels/mychannel/users', { 'users' => [{ 'id' => 1 }] }] }.each do |call, (path, answer)|
      both(200, JSON.generate(answer)) do |client|
        assert_equal answer.transform_keys(&:to_sym), call.(client)
        assert_match %r{\AGET /apps/20/#{path}\?}, @answering.requests.pop.first
      end
    end
  end

  def test_trigger_posts_an_event
    both(200, '{}') do |client|
      assert_equal({}, client.trigger(['mychannel', :c2], 'event', { 'some' => 'data' }, { socket_id: '12.34' }))
      line, body = @answering.requests.pop
      assert_match %r{\APOST /apps/20/events\?}, line
      body = JSON.parse(body)
      assert_equal ['event', %w[mychannel c2], '12.34', '{"some":"data"}'], body.values_at('name', 'channels', 'socket_id', 'data')
      client.trigger('mychannel', 'event', 'x', { socket_id: nil, info: nil })
      body = JSON.parse(@answering.requests.pop.last)
      assert_equal ['mychannel'], [*body['channels'], *body['channel']]
      refute body.key?('socket_id')
      assert_raises(Pusher::Error) { client.trigger(['c'] * 102, 'event', {}) }
      assert_empty @answering.requests
    end
  end

  def test_trigger_batch_posts_events
    both(200, '{}') do |client|
      assert_equal({}, client.trigger_batch(channel: 'mychannel', name: 'event', data: { 'some' => 'data' }))
      assert_match %r{\APOST /apps/20/batch_events\?}, @answering.requests.pop.first
      client.trigger_batch({ channel: 'c', name: 'e', data: { 'some' => 'data' } }, { channel: 'c', name: 'e', data: 'x', socket_id: nil })
      assert_equal [{ 'channel' => 'c', 'name' => 'e', 'data' => '{"some":"data"}' }, { 'channel' => 'c', 'name' => 'e', 'data' => 'x' }],
                   JSON.parse(@answering.requests.pop.last)['batch']
    end
  end

  def test_events_on_encrypted_channels_are_encrypted
    both(200, '{}') do |client|
      client.encryption_master_key_base64 = Base64.strict_encode64(MASTER_KEY)
      client.trigger('private-encrypted-c', 'event', { 'some' => 'data' })
      client.trigger_batch({ channel: 'private-encrypted-c', name: 'e', data: 'some' }, { channel: 'c', name: 'e', data: 'x' })
      single = JSON.parse(@answering.requests.pop.last)
      batch = JSON.parse(@answering.requests.pop.last)['batch']
      [single, batch[0]].each { |event| assert_equal %w[ciphertext nonce], JSON.parse(event['data']).keys.sort }
      assert_equal 'x', batch[1]['data']
      assert_raises(Pusher::Error) { client.trigger(%w[private-encrypted-c other], 'e', 'x') }
    end
  end

  def test_a_missing_master_key_is_a_configuration_error
    both(200, '{}') do |client|
      assert_raises(Pusher::ConfigurationError) { client.trigger('private-encrypted-c', 'event', {}) }
      assert_raises(Pusher::ConfigurationError) { client.trigger_batch({ channel: 'private-encrypted-c', name: 'e', data: 'x' }) }
      assert_raises(Pusher::ConfigurationError) { client.authenticate('private-encrypted-c', '1.1') }
      assert_empty @answering.requests
    end
  end

  def test_get_and_post_reach_any_path
    both(200, '{"something":{"a":"hash"}}') do |client|
      assert_equal({ something: { 'a' => 'hash' } }, client.get('/path'))
      assert_equal({ something: { 'a' => 'hash' } }, client.post('/path'))
      assert_equal %w[GET POST], (Array.new(2) { @answering.requests.pop.first[%r{\A(\w+) /apps/20/path\?}, 1] })
    end
  end

  # A wrong scheme would not reach the server.
  def test_requests_use_tls_unless_it_is_off
    both do |client|
      client.app_id, client.key, client.secret = '20', 'k', 's'
      %i[get post].each { |call| assert_match %r{\Ahttps://api-mt1\.pusher\.com/apps/20/path\?}, url_of(client, call) }
      client.encrypted = false
      %i[get post].each { |call| assert_match %r{\Ahttp://api-mt1\.pusher\.com/apps/20/path\?}, url_of(client, call) }
    end
  end

  def test_refusals_have_the_official_messages
    { 400 => 'Bad request: some error', 404 => '404 Not found (/apps/20/path)', 407 => 'Proxy Authentication Required',
      413 => 'Payload Too Large > 10KB', 500 => 'Unknown error (status code 500): some error' }.each do |status, message|
      both(status, 'some error', retry: { mode: 'never' }) do |client|
        %i[get post].each do |call|
          assert_equal message, assert_raises(Pusher::Error) { client.public_send(call, '/path') }.message
        end
      end
    end
  end

  def test_a_wrong_key_is_an_authentication_error
    both(401, 'signature deadbeef') do |client|
      %i[get post].each do |call|
        error = assert_raises(Pusher::AuthenticationError) { client.public_send(call, '/path') }
        refute_includes error.message, 'deadbeef'
      end
    end
  end

  def test_async_calls_give_a_connection_without_a_reactor
    both(200, '{}') do |client|
      %i[get_async post_async].each do |call|
        connection = client.public_send(call, '/path')
        wait_until { connection.finished? }
        response = connection.pop
        assert_equal [200, '{}'], [response.status, response.body.read]
        assert_match %r{ /apps/20/path\?}, @answering.requests.pop.first
        assert_equal({}, connection.value)
      end
    end
    both(400, 'no') do |client|
      connection = client.get_async('/path')
      assert_equal [400, 'no'], connection.pop.then { |response| [response.status, response.body.read] }
      assert_raises(Pusher::Error) { connection.value }
    end
  end

  def test_async_calls_give_a_deferrable_in_a_reactor
    both(200, '{"something":{"a":"hash"}}') do |client|
      { get_async: ['/path'], post_async: ['/path'], trigger_async: ['mychannel', 'event', { 'some' => 'data' }, { socket_id: '12.34' }],
        trigger_batch_async: [{ channel: 'c', name: 'e', data: 1 }] }.each do |call, arguments|
        result = in_reactor { client.public_send(call, *arguments) }
        assert_equal [:callback, { something: { 'a' => 'hash' } }, Thread.current], result
      end
      assert_equal ['{"some":"data"}', '12.34'], JSON.parse(Array.new(3) { @answering.requests.pop.last }.last).values_at('data', 'socket_id')
    end
  end

  def test_a_refused_async_call_ends_with_an_error
    both(400, 'no') do |client|
      %i[get_async post_async].each do |call|
        kind, error, thread = in_reactor { client.public_send(call, '/path') }
        assert_equal [:errback, Thread.current], [kind, thread]
        assert_kind_of Pusher::Error, error
      end
    end
  end

  def test_a_channel_triggers_and_raises
    channel_of(200, '{}') do |channel|
      assert_equal({}, channel.trigger!('new_event', 'Some data', '12.34'))
      assert_equal '12.34', JSON.parse(@answering.requests.pop.last)['socket_id']
      assert_equal({}, channel.trigger_async('new_event', 'Some data', '12.34').value)
      assert_equal '12.34', JSON.parse(@answering.requests.pop.last)['socket_id']
    end
    channel_of(500, 'no', retry: { mode: 'never' }) { |channel| assert_raises(Pusher::Error) { channel.trigger!('e', 'd') } }
  end

  def test_trigger_of_a_channel_logs_a_failure
    channel_of(401, 'some signature info') { |channel| assert_nil channel.trigger('new_event', 'Some data') }
    assert_match(/ERROR -- : .*401.*\(LibPusher::AuthenticationError, delivery: rejected\)$/, @log.string)
    channel = Pusher::Channel.new('http://…', 'test_channel', nowhere(retry: { mode: 'never' }))
    assert_nil channel.trigger('new_event', 'Some data')
    assert_match(/ERROR -- : .*\(LibPusher::HTTPError, delivery: not_sent\)$/, @log.string)
    assert_match(%r{DEBUG -- : /.*channel\.rb}m, @log.string)
  end

  def test_the_name_of_a_channel_is_checked_at_once
    ['b' * 201, '*^!±`/""', nil, 4.5, "a\0"].each { |name| assert_raises(Pusher::Error) { nowhere[name] } }
    assert_equal 'presence-c', Pusher[:'presence-c'].name
  end

  def test_a_channel_gives_an_authentication_string
    client = nowhere
    key, secret = FaultServer.credentials.values_at(:key, :secret)
    assert_equal "#{key}:#{sign('1.1:private-c', secret)}", client['private-c'].authentication_string('1.1')
    data = '{"user_id":"7"}'
    assert_equal "#{key}:#{sign("1.1:presence-c:#{data}", secret)}", client['presence-c'].authentication_string('1.1', data)
    [nil, '', '1.1:', '1.1foo', ':1.1', 'foo1.1', 'foo'].each do |invalid|
      assert_raises(Pusher::Error, invalid) { client['private-c'].authentication_string(invalid) }
      assert_raises(Pusher::Error, invalid) { client['private-c'].authenticate(invalid) }
    end
    [123, {}].each { |wrong| assert_raises(Pusher::Error) { client['presence-c'].authentication_string('1.1', wrong) } }
  end

  def test_a_channel_has_a_shared_secret
    expected = Digest::SHA256.digest("private-encrypted-1#{'k' * 44}")
    assert_equal expected, nowhere['private-encrypted-1'].shared_secret('k' * 44)
    assert_nil nowhere['private-encrypted-1'].shared_secret(nil)
  end

  # Its content is read only if it is authentic: a difference.
  def test_a_webhook_is_read_from_a_request_or_a_hash
    body = JSON.generate(HOOK)
    Pusher.key, Pusher.secret = %w[1234 asdf]
    env = { 'HTTP_X_PUSHER_KEY' => '1234', 'HTTP_X_PUSHER_SIGNATURE' => sign(body, 'asdf'), 'rack.input' => StringIO.new(body) }
    header = Struct.new(:env, :body) do
      def get_header(name) = env[name]
      # As in Rails.
      def method = 'POST'
    end
    [header.new(env, env['rack.input']), Struct.new(:env, :body).new(env, env['rack.input']), Struct.new(:env).new(env),
     { key: '1234', signature: sign(body, 'asdf'), content_type: 'application/json', body: body }].each do |request|
      webhook = Pusher::WebHook.new(request)
      assert_equal ['1234', sign(body, 'asdf'), HOOK], [webhook.key, webhook.signature, webhook.data]
      assert_equal [HOOK['events'], HOOK['events']], [webhook.events, webhook.data[:events]]
      assert_equal HOOK['time_ms'], (webhook.time.to_r * 1000).to_i
    end
  end

  def test_a_webhook_is_valid_with_the_key_of_the_client_or_an_extra_one
    body = JSON.generate(HOOK)
    { ['1234', 'asdf', nil] => true, ['12345', 'xxx', { key: '1234', secret: 'asdf' }] => true,
      ['123456', 'xxx', [{ key: '12345', secret: 'wtf' }, { key: '1234', secret: 'asdf' }]] => true,
      ['12345', 'asdf', nil] => 'Received webhook with unknown key: 1234',
      ['123456', 'asdf', { key: '12345', secret: 'asdf' }] => 'Received webhook with unknown key: 1234',
      ['1234', 'asdfxxx', nil] => 'Received WebHook with invalid signature',
      ['123456', 'asdfxxx', { key: '1234', secret: 'wtf' }] => 'Received WebHook with invalid signature' }.each do |(key, secret, tokens), expected|
      client = Pusher::Client.new
      client.key, client.secret = key, secret
      webhook = Pusher::WebHook.new({ key: '1234', signature: sign(body, 'asdf'), body: body }, client)
      @log.truncate(@log.rewind)
      assert_equal expected == true, webhook.valid?(tokens)
      next assert_equal HOOK['events'], webhook.events if expected == true

      assert_includes @log.string, expected
      [sign(body, 'asdf'), sign(body, secret)].each { |signature| refute_includes @log.string, signature }
    end
  end
end

# What its programs rely on without a test of its own.
class OfficialShapesTest < Minitest::Test
  include OfficialGem

  def test_a_channel_has_info_and_users
    channel_of(200, '{"occupied":true,"users":[{"id":"4"}]}', 'presence-c') do |channel|
      assert channel.info[:occupied]
      assert channel.info(%w[user_count subscription_count])[:occupied]
      assert_equal [{ 'id' => '4' }], channel.users
      lines = Array.new(3) { @answering.requests.pop.first }
      assert_match %r{/channels/presence-c\?.*info=user_count(%2C|,)subscription_count}, lines[1]
      assert_match %r{/channels/presence-c/users\?}, lines[2]
    end
  end

  def test_a_network_failure_is_an_http_error
    error = assert_raises(Pusher::HTTPError) { nowhere(retry: { mode: 'never' }).get('/path') }
    assert_kind_of RuntimeError, error
    assert_nil error.original_error
  end

  def test_variables_decide_nothing_for_a_program_that_sets_credentials
    variables = { 'PUSHER_URL' => nil, 'PUSHER_KEY' => 'from-env', 'PUSHER_SECRET' => 's', 'PUSHER_APP_ID' => '1', 'PUSHER_SCHEME' => 'http',
                  'PUSHER_CLUSTER' => 'eu' }
    before = variables.to_h { |name, _| [name, ENV.fetch(name, nil)] }
    ENV.update(variables)
    Pusher.timeout = 7
    assert_equal ['from-env', 'http://api-eu.pusher.com/apps/1'], [Pusher.key, Pusher.url.to_s]
    Pusher.key, Pusher.secret = %w[own s]
    assert_equal ['own', nil, 'api-mt1.pusher.com', 'https'], [Pusher.key, Pusher.app_id, Pusher.host, Pusher.scheme]
    assert_raises(Pusher::ConfigurationError) { Pusher.trigger('c', 'e', 1) }
  ensure
    ENV.update(before)
  end

  # A request belongs to the client that signed it.
  def test_a_writer_does_not_disturb_a_prepared_request
    client = nowhere
    request = client.prepare(:trigger, 'c', 'e', 1)
    client.secret = 'another'
    assert_equal({}, request.finish(status: 200, body: '{}'))
  end

  def test_authorization_has_the_official_members
    client = nowhere(encryption_master_key_base64: Base64.strict_encode64(MASTER_KEY))
    answer = client['presence-c'].authenticate('1.1', { user_id: '7', user_info: nil })
    assert_equal JSON.parse(answer[:channel_data])['user_id'], '7'
    answer = client.authenticate('private-encrypted-c', '1.1')
    assert_equal Base64.strict_encode64(client['private-encrypted-c'].shared_secret(client.encryption_master_key)), answer[:shared_secret]
    assert_equal %i[auth user_data], client.authenticate_user('1.1', { id: '123', foo: { name: 'Bar' } }).keys.sort
  end

  def test_authorization_needs_no_app_id
    client = Pusher::Client.new({ key: 'key', secret: 'secret' })
    assert_equal "key:#{sign('1.1:private-c', 'secret')}", client.authenticate('private-c', '1.1')[:auth]
  end

  def test_empty_values_are_not_given
    empty = %i[cluster scheme http_proxy encryption_master_key_base64 ca_file].to_h { |name| [name, ''] }
    client = Pusher::Client.new({ **FaultServer.credentials, host: '127.0.0.1', port: '1', ssl: nil, **empty })
    assert_equal ['https', '127.0.0.1', 1], [client.scheme, client.host, client.port]
    assert_equal ['api-mt1.pusher.com', 443], Pusher::Client.new({ 'host' => '', 'port' => '' }).then { |c| [c.host, c.port] }
  end

  def test_no_output_of_a_client_contains_its_secrets
    Pusher.secret = 'the-secret'
    Pusher.encryption_master_key_base64 = Base64.strict_encode64(MASTER_KEY)
    client = Pusher.default_client
    shown = [client.inspect, client.to_s, JSON.generate(client)]
    # As Rails' to_json does.
    walk = lambda do |value|
      shown << value.inspect
      value.instance_variables.each { |name| walk.call(value.instance_variable_get(name)) }
    end
    walk.call(client)
    shown.each { |text| ['the-secret', Base64.strict_encode64(MASTER_KEY)].each { |secret| refute_includes text, secret } }
  end

  def test_the_constant_of_the_gem_itself_is_not_overwritten
    code = 'module Pusher; end; begin; require "libpusher/pusher"; rescue LoadError => e; print e.message; end'
    said = IO.popen([RbConfig.ruby, '-I', File.expand_path('../lib', __dir__), '-e', code], &:read)
    assert_match(/the gem pusher is loaded too/, said)
  end

  def test_without_the_facade_messages_are_those_of_the_library
    LibPusher::APIError.official_messages = false
    both(404, 'no such app') do |client|
      error = assert_raises(LibPusher::APIError) { client.get('/path') }
      assert_match(/\Athe server answered 404/, error.message)
      assert_includes error.message, 'no such app'
    end
  end

  def test_writers_take_effect_for_the_next_call
    Pusher.app_id, Pusher.key, Pusher.secret = '20', 'k', 's'
    Pusher.host = '127.0.0.1'
    Pusher.encrypted = false
    Pusher.timeout = 3
    Pusher.connect_timeout = 1
    Pusher.send_timeout = Pusher.receive_timeout = 4
    Pusher.keep_alive_timeout = 20
    2.times do
      @answering&.stop
      @answering = Answering.new(200, '{}')
      Pusher.port = @answering.port
      assert_equal({}, Pusher.trigger('c', 'e', 'x'))
      assert_equal 1, @answering.requests.size
    end
    assert_includes 3001..4000, Pusher.prepare(:get, '/channels').timeout_ms
  end

  def test_wrong_arguments_of_an_async_call_are_refused_at_once
    assert_raises(Pusher::UsageError) { nowhere.trigger_async('c', 3.5, 1) }
    assert_raises(Pusher::ConfigurationError) { Pusher::Client.new.get_async('/path') }
  end

  # As the tests of programs do.
  def test_a_program_can_raise_the_errors_itself
    [Pusher::Error, Pusher::AuthenticationError, Pusher::ConfigurationError, Pusher::HTTPError].each do |type|
      error = assert_raises(Pusher::Error) { raise type, 'no luck' }
      assert_equal ['no luck', nil, nil, nil, false], [error.message, error.status, error.delivery, error.code, error.retryable?]
      assert_equal type.name, assert_raises(Pusher::Error) { raise type }.message
    end
    assert_equal 'key', Pusher::ConfigurationError.new(:key).message
  end

  # It may repeat the request's data.
  def test_the_words_of_the_server_are_not_in_the_log
    channel_of(403, 'the words', retry: { mode: 'never' }) { |channel| assert_nil channel.trigger('e', 'd') }
    assert_match(/ERROR -- : the server answered 403 \(LibPusher::APIError, delivery: rejected\)$/, @log.string)
    refute_includes @log.string, 'the words'
  end

  # As MultiJson does with Active Support. It must not change what the other tests do, so it has a process of its own.
  def test_records_and_times_become_what_rails_makes_of_them
    code = <<~'RUBY'
      require 'logger'
      require 'active_support'
      require 'active_support/core_ext'
      require 'libpusher/pusher'
      Order = Struct.new(:id) { def as_json(*) = { 'order' => id, 'at' => Time.at(0).utc } }
      class Own
        def to_json(*) = '"own"'
      end
      client = Pusher::Client.new(app_id: '7', key: 'k', secret: 's')
      sent = ->(data) { JSON.parse(client.prepare(:trigger, 'c', 'e', data).body)['data'] }
      puts sent.({ a: [Order.new(7)], 'b' => Own.new, c: 1.5, d: :s, e: BigDecimal('1.5'), f: nil }), sent.(Order.new(8)), sent.('é<')
      loop_of = [].tap { |list| list << list }
      [Float::NAN, { a: Float::INFINITY }, "\xff", { Order => "\xff" }, loop_of].each do |data|
        sent.(data)
      rescue Pusher::UsageError
        print '.'
      end
    RUBY
    said = IO.popen([RbConfig.ruby, '-I', File.expand_path('../lib', __dir__), '-e', code], err: %i[child out], &:read)
    order = ->(id) { "{\"order\":#{id},\"at\":\"1970-01-01T00:00:00.000Z\"}" }
    assert_equal "{\"a\":[#{order.(7)}],\"b\":\"own\",\"c\":1.5,\"d\":\"s\",\"e\":\"1.5\",\"f\":null}\n#{order.(8)}\né<\n.....",
                 said.force_encoding(Encoding::UTF_8)
  end

  SAMPLES = File.expand_path('../../../tests/migration/samples/ruby', __dir__)

  # The import is the only line that changes.
  def test_a_program_in_the_style_of_the_official_readme_runs
    program = File.read("#{SAMPLES}/program.rb", encoding: 'UTF-8')
    assert_equal 1, program.scan(/^require 'pusher'$/).size
    program = program.sub("require 'pusher'", "require 'libpusher/pusher'")
    listener = FaultServer.listen
    credentials = FaultServer.credentials
    environment = { 'APP_ID' => credentials[:app_id], 'APP_KEY' => credentials[:key], 'APP_SECRET' => credentials[:secret],
                    'PORT' => listener.port.to_s, 'EVENTMACHINE' => '1', 'PUSHER_URL' => nil }
    command = [RbConfig.ruby, '-I', File.expand_path('../lib', __dir__), '-e', program]
    said = IO.popen(environment, command, err: %i[child out]) { |io| Timeout.timeout(60) { io.read } }
    assert_match(/\A(W, .* WARN -- : .*\n)*done\n\z/, said)
    assert_equal 13, listener.applied.size
    assert_equal %w[123.456] * 3, listener.applied.map { |event| event['socket_id'] }.compact
  end
end
