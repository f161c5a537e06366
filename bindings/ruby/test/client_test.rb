# frozen_string_literal: true

require_relative 'test_helper'

class ClientTest < Minitest::Test
  include Helpers

  def teardown
    LibPusher.default_client = nil
  end

  def test_an_event_arrives
    listener = FaultServer.listen
    pusher = FaultServer.client(listener)
    assert_equal({}, pusher.trigger('my-channel', 'my-event', { hello: 'world' }))
    assert_equal [{ 'channel' => 'my-channel', 'name' => 'my-event', 'data' => '{"hello":"world"}' }], listener.applied.map(&:compact)
  end

  def test_options_can_be_written_as_keywords_and_info_as_a_list
    pusher = FaultServer.client(FaultServer.listen)
    answer = pusher.trigger(%w[a b], 'e', 1, info: %w[subscription_count user_count], timeout_ms: 5000)
    assert_equal({ channels: { 'a' => {}, 'b' => {} } }, answer)
    error = assert_raises(LibPusher::UsageError) { pusher.trigger('a', 'e', 1, socket: '1.2') }
    assert_equal 'options.socket', error.argument
  end

  def test_a_batch_is_given_as_a_list_as_arguments_or_as_a_single_event
    listener = FaultServer.listen
    pusher = FaultServer.client(listener)
    event = { channel: 'c', name: 'e', data: 'x' }
    pusher.trigger_batch(event, event)
    pusher.trigger_batch([event, event], timeout_ms: 5000)
    pusher.trigger_batch(**event)
    pusher.trigger_batch({ **event, info: %w[user_count] })
    assert_equal 6, listener.applied.size
  end

  def test_symbols_and_integers_are_names
    listener = FaultServer.listen
    pusher = FaultServer.client(listener)
    pusher.trigger(:channel, :event, 'x')
    pusher.send_to_user(7, :event, 'x')
    assert_equal %w[channel #server-to-user-7], (listener.applied.map { |event| event['channel'] })
  end

  def test_a_string_in_another_encoding_arrives_as_unicode
    listener = FaultServer.listen
    FaultServer.client(listener).trigger('c', 'grüße'.encode('ISO-8859-1'), 'é'.encode('UTF-16LE'))
    assert_equal [%w[grüße é]], (listener.applied.map { |event| event.values_at('name', 'data') })
  end

  def test_a_string_that_is_not_unicode_is_refused_and_named
    pusher = nowhere
    { 'channels' => -> { pusher.trigger("a\xff", 'e', 1) }, 'event' => -> { pusher.trigger('a', "e\xff", 1) },
      'data' => -> { pusher.trigger('a', 'e', "d\xff") }, 'channel' => -> { pusher.channel_info("\xff") },
      'path' => -> { pusher.get("/\xff") } }.each do |argument, call|
      error = assert_raises(LibPusher::UsageError, argument, &call)
      assert_equal ['INVALID_ARGUMENT', argument], [error.status, error.argument.sub(/\[.*/, '')]
    end
  end

  def test_a_value_that_is_not_a_string_is_refused_and_named
    pusher = nowhere
    error = assert_raises(LibPusher::UsageError) { pusher.channel_info({}) }
    assert_equal %w[INVALID_ARGUMENT channel], [error.status, error.argument]
    error = assert_raises(LibPusher::UsageError) { pusher.trigger('c', 3.5, 'x') }
    assert_equal %w[INVALID_ARGUMENT event not_sent], [error.status, error.argument, error.delivery]
    error = assert_raises(LibPusher::UsageError) { pusher.trigger(nil, 'e', 'x') }
    assert_equal %w[INVALID_ARGUMENT channels], [error.status, error.argument]
  end

  def test_data_that_json_cannot_represent_is_refused
    pusher = nowhere
    nested = 200.times.reduce([]) { |inner, _| [inner] }
    [Float::NAN, { a: Float::INFINITY }, nested].each do |data|
      error = assert_raises(LibPusher::UsageError) { pusher.trigger('c', 'e', data) }
      assert_equal %w[INVALID_ARGUMENT data not_sent], [error.status, error.argument, error.delivery]
    end
  end

  def test_a_nul_byte_that_an_object_writes_as_json_is_refused
    writer = Object.new
    def writer.to_json(*) = "1\0"
    pusher = nowhere
    { 'data' => -> { pusher.trigger('c', 'e', writer) }, 'events' => -> { pusher.trigger_batch(channel: 'c', name: 'e', data: writer) },
      'channel_data' => -> { pusher.authenticate('private-c', '1.2', writer) } }.each do |argument, call|
      assert_equal argument, assert_raises(LibPusher::UsageError, argument, &call).argument
    end
    assert_equal 'data', assert_raises(LibPusher::UsageError) { pusher.prepare(:trigger, 'c', 'e', writer) }.argument
  end

  # While a call runs without Ruby's lock, another thread may change, and so free, its string arguments.
  def test_the_library_reads_a_copy_of_each_string
    name = 'c' * 100
    copy = LibPusher::Arguments.text(name, 'channel')
    refute_same name, copy
    name.replace('d' * 100)
    assert_equal 'c' * 100, copy
  end

  def test_the_names_of_the_official_gem_configure_it
    { { scheme: 'http' } => 'http://127.0.0.1:1', { use_tls: true } => 'https://127.0.0.1:1',
      { encrypted: false } => 'http://127.0.0.1:1', {} => 'https://127.0.0.1:1' }.each do |names, url|
      pusher = LibPusher::Client.new(app_id: 7, key: 'k', secret: 's', host: '127.0.0.1', port: 1, **names)
      assert_operator pusher.prepare(:trigger, 'c', 'e', 1).url, :start_with?, "#{url}/apps/7/events?"
    end
    pusher = LibPusher::Client.new(app_id: 7, key: 'k', secret: 's', cluster: nil, host: nil)
    assert_operator pusher.prepare(:get, '/channels').url, :start_with?, 'https://api-mt1.pusher.com/'
    pusher = nowhere(timeout: 1.5, connect_timeout: 1)
    assert_includes 1..1500, pusher.prepare(:get, '/channels').timeout_ms
    error = assert_raises(LibPusher::ConfigurationError) { nowhere(timeout: 'soon') }
    assert_equal 'timeout_ms', error.argument
    error = assert_raises(LibPusher::ConfigurationError) { nowhere(receive_timeout: 1) }
    assert_equal 'receive_timeout', error.argument
  end

  def test_a_url_and_the_environment_configure_it
    url = 'https://key:secret@api-eu.pusher.com/apps/7'
    [LibPusher::Client.from_url(url), with_env('PUSHER_URL' => url) { LibPusher::Client.from_env },
     with_env('OTHER_URL' => url) { LibPusher::Client.from_env('OTHER_URL') },
     with_env('PUSHER_URL' => nil, 'PUSHER_APP_ID' => '7', 'PUSHER_KEY' => 'key', 'PUSHER_SECRET' => 'secret',
              'PUSHER_CLUSTER' => 'eu') { LibPusher::Client.from_env }].each do |pusher|
      assert_operator pusher.prepare(:get, '/channels').url, :start_with?, 'https://api-eu.pusher.com/apps/7/channels?auth_key=key&'
    end
    assert_raises(LibPusher::ConfigurationError) { LibPusher::Client.from_env('A_VARIABLE_THAT_IS_NOT_SET') }
    assert_raises(LibPusher::ConfigurationError) { LibPusher::Client.from_url(nil) }
    reverb = { 'REVERB_APP_ID' => '7', 'REVERB_APP_KEY' => 'key', 'REVERB_APP_SECRET' => 'secret', 'REVERB_HOST' => 'ws.example.org' }
    pusher = with_env(reverb) { LibPusher::Client.from_env(server: 'reverb') }
    assert_operator pusher.prepare(:get, '/channels').url, :start_with?, 'https://ws.example.org/apps/7/channels?auth_key=key&'
    assert_equal %w[7 key secret ws.example.org], with_env(reverb) { [pusher.app_id, pusher.key, pusher.secret, pusher.host] }
  end

  def test_the_module_is_a_client
    listener = FaultServer.listen
    credentials = FaultServer.credentials
    LibPusher.url = "http://#{credentials[:key]}:#{URI.encode_www_form_component(credentials[:secret])}@127.0.0.1:#{listener.port}/apps/7"
    LibPusher.trigger('c', 'e', 'x')
    LibPusher['c'].trigger('e', 'y')
    assert_equal %w[x y], (listener.applied.map { |event| event['data'] })
    LibPusher.configure(**credentials, host: '127.0.0.1', port: listener.port, ssl: false)
    assert_equal({ channels: {} }, LibPusher.channels)
    LibPusher.default_client = nil
    with_env('PUSHER_URL' => 'https://key:secret@api-eu.pusher.com/apps/7') do
      assert_operator LibPusher.authenticate('private-c', '1.2')[:auth], :start_with?, 'key:'
    end
  end

  def test_the_logger_of_the_module_is_that_of_its_client
    first, second = Array.new(2) { Logger.new(File::NULL) }
    LibPusher.logger = first
    LibPusher.configure(app_id: '7', key: 'k', secret: 's')
    assert_same first, LibPusher.default_client.logger
    LibPusher.configure(app_id: '7', key: 'k', secret: 's', logger: second)
    assert_same second, LibPusher.logger
  ensure
    LibPusher.logger = nil
    LibPusher.default_client = nil
  end

  def test_a_channel_has_the_calls_by_its_name
    listener = FaultServer.listen
    channel = FaultServer.client(listener)['presence-c']
    channel.trigger!('e', 'x')
    assert_equal({ occupied: false }, channel.info(%w[user_count]))
    assert_equal({ occupied: false }, channel.info)
    assert_equal [], channel.users
    assert_equal %w[auth channel_data], channel.authenticate('1.2', { user_id: '7' }).keys.map(&:to_s).sort
    assert_equal 'presence-c', channel.name
  end

  def test_no_output_contains_a_secret
    pusher = nowhere
    secret = FaultServer.credentials[:secret]
    shown = [pusher.inspect, pusher.to_s, pusher.prepare(:trigger, 'c', 'e', 1).inspect, pusher.publisher.inspect,
             pusher.webhook({ key: 'k', signature: 's', body: 'b' }).inspect, pusher.instance_variables.map(&:to_s).join]
    error = assert_raises(LibPusher::ConfigurationError) { nowhere(secret: [secret]) }
    shown << error.message << error.document.to_s
    shown.each { |text| refute_includes text.b, secret.b }
    pusher.instance_variables.each { |name| refute_includes pusher.instance_variable_get(name).inspect.b, secret.b }
  end

  def test_each_kind_of_failure_has_its_class
    kinds = { 1 => LibPusher::UsageError, 2 => LibPusher::ConfigurationError, 3 => LibPusher::UsageError,
              20 => LibPusher::HTTPError, 22 => LibPusher::HTTPError, 40 => LibPusher::APIError,
              41 => LibPusher::AuthenticationError, 47 => LibPusher::APIError, 60 => LibPusher::SignatureError,
              61 => LibPusher::ConfigurationError, 80 => LibPusher::PublisherError, 83 => LibPusher::PublisherError,
              255 => LibPusher::InternalError,
              # Unknown statuses, treated by range.
              19 => LibPusher::UsageError, 39 => LibPusher::HTTPError, 59 => LibPusher::APIError,
              79 => LibPusher::SignatureError, 99 => LibPusher::PublisherError, 100 => LibPusher::InternalError }
    kinds.each { |code, type| assert_equal type, LibPusher::Error.class_of(code), code.to_s }
    kinds.each_value { |type| assert_operator type, :<, LibPusher::Error }
  end

  def test_the_guide_has_the_class_of_every_status
    guide = File.read(File.expand_path('../../../docs/errors.md', __dir__), encoding: 'UTF-8')
    rows = guide[/^## Ruby$.*?(?=^## |\z)/m].scan(/^\| `(\w+)`[^|]* \| ([^|]*) \|/)
    found = rows.flat_map { |type, cell| cell.scan(/`([A-Z_]+)` \((\d+)/).map { |status, code| [status, code.to_i, type] } }
    header = File.read(File.expand_path('../../../include/pusher.h', __dir__), encoding: 'UTF-8')
    codes = header.scan(/PUSHER_STATUS_([A-Z_]+) = (\d+)/).to_h { |status, code| [status, code.to_i] }.except('OK')
    assert_equal codes.map { |status, code| [status, code, LibPusher::Error.class_of(code).name.delete_prefix('LibPusher::')] }.sort, found.sort
    types = LibPusher.constants.map { |name| LibPusher.const_get(name) }.grep(Class).select { |type| type < LibPusher::Error }
    assert_equal types.map { |type| type.name.delete_prefix('LibPusher::') }.sort, rows.map(&:first).uniq.sort
  end

  def test_an_error_has_all_members_of_the_document
    error = assert_raises(LibPusher::HTTPError) { nowhere(retry: { mode: 'never' }).trigger('c', 'e', 1) }
    assert_equal ['NOT_SENT', 20, 'not_sent', 'connect', true, 1],
                 [error.status, error.code, error.delivery, error.network_cause, error.retryable?, error.attempts]
    pusher = FaultServer.client(FaultServer.listen('retry-after-99999'))
    error = assert_raises(LibPusher::APIError) { pusher.trigger('c', 'e', 1) }
    # A day is the maximum.
    assert_equal [429, 86_400_000, 'rejected'], [error.http_status, error.retry_after_ms, error.delivery]
    refute_nil error.response
  end

  def test_the_versions_are_available
    assert_equal LibPusher::VERSION, LibPusher.library_version
  end

  def test_an_older_or_incompatible_library_is_refused
    %w[0.2.0 0.2.10 0.10.0].each { |found| LibPusher::Native.check_version(found, '0.2.0') }
    %w[0.1.9 1.0.0].each { |found| assert_raises(LoadError) { LibPusher::Native.check_version(found, '0.2.0') } }
  end

  private

  def with_env(variables)
    before = variables.to_h { |name, _| [name, ENV.fetch(name, nil)] }
    ENV.update(variables)
    yield
  ensure
    ENV.update(before)
  end
end
