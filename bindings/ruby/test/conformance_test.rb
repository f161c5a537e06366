# frozen_string_literal: true

require_relative 'test_helper'

# The common cases of all bindings (tests/conformance.json, tests/answers.json).
class ConformanceTest < Minitest::Test
  FILES = ENV.fetch('PUSHER_CONFORMANCE') { %w[conformance answers].map { |name| File.expand_path("../../../tests/#{name}.json", __dir__) } }
  # Expands each {"repeat", "times"} in the value.
  EXPAND = lambda do |value|
    case value
    when Array then value.map(&EXPAND)
    when Hash
      value.keys.sort == %w[repeat times] ? value['repeat'] * value['times'] : value.transform_values(&EXPAND)
    else value
    end
  end
  CONFORMANCE = Array(FILES).map { |file| EXPAND.call(JSON.parse(File.read(file))) }.reduce do |all, more|
    all.merge('cases' => all['cases'] + more['cases'])
  end
  FLUSH_MS = 10_000 # for a publisher to be done

  CONFORMANCE.fetch('cases').each_with_index do |kase, index|
    define_method(format('test_%<index>03d_%<name>s', index: index, name: kase['name'])) { run_case(kase) }
  end

  private

  def run_case(kase)
    assert_equal CONFORMANCE['credentials'], FaultServer.credentials.transform_keys(&:to_s)
    server = kase['server']
    listener = FaultServer.listen(**server.transform_keys(&:to_sym)) if server
    @reports = nil
    begin
      result = perform(kase, client_for(kase, listener))
    rescue LibPusher::Error => e
      raise unless kase.key?('error')

      check_error(kase['error'], e)
    else
      check_result(kase, result)
    end
    check_published(kase['published'], listener.applied) if kase.key?('published') && listener
  end

  # A block, so that errors in the configuration are raised at the call.
  def client_for(kase, listener)
    lambda do
      url = kase['arguments']['config'] if kase['call'] == 'new'
      return LibPusher::Client.from_url(url) if url

      config = CONFORMANCE['credentials'].merge('host' => '127.0.0.1', 'port' => listener ? listener.port : 1, 'ssl' => false)
      config.merge!('host' => 'localhost', 'ssl' => true, 'ca_file' => FaultServer.ca) if kase.dig('server', 'tls')
      LibPusher::Client.new(**config.merge(kase['config'] || {}).transform_keys(&:to_sym))
    end
  end

  def perform(kase, make)
    client = make.call
    a = kase['arguments']
    options = a['options'] || {}
    case kase['call']
    # Without a key or a secret a client is made by the first call.
    when 'new' then client.handle && nil
    when 'trigger' then client.trigger(a['channels'], a['event'], a['data'], options)
    when 'trigger_batch' then client.trigger_batch(a['events'], **options.transform_keys(&:to_sym))
    when 'send_to_user' then client.send_to_user(a['user_id'], a['event'], a['data'], options)
    when 'terminate_user_connections' then client.terminate_user_connections(a['user_id'], options)
    when 'channels_info' then client.channels(query(a, 'filter_by_prefix' => 'prefix_filter', 'info' => 'attributes'))
    when 'channel_info' then client.channel_info(a['channel'], query(a, 'info' => 'attributes'))
    when 'users_info' then client.channel_users(a['channel'], options)
    when 'get' then client.get(a['path'], a['params'] || {}, options)
    when 'post' then client.post(a['path'], a.fetch('body', {}), a['params'] || {}, options)
    when 'delete' then client.delete(a['path'], a['params'] || {}, options)
    when 'authenticate' then client.authenticate(a['channel'], a['socket_id'], a['channel_data'])
    when 'authenticate_channels' then client.authenticate_channels(a['socket_id'], a['channels'])
    when 'authenticate_user' then client.authenticate_user(a['socket_id'], a['user_data'])
    when 'validate_webhook' then client.validate_webhook(a['key'], a['signature'], a['body'])
    when 'publish' then publish(client, a)
    else flunk "no such call: #{kase['call']}"
    end
  end

  def query(arguments, names)
    names.select { |_, name| arguments.key?(name) }.transform_values { |name| arguments[name] }.merge(arguments['options'] || {})
  end

  def publish(client, arguments)
    publisher = client.publisher(reports: 'all', **(arguments['publisher'] || {}).transform_keys(&:to_sym))
    ids = arguments['events'].map do |event|
      publisher.publish(event['channels'], event['event'], event['data'], event['options'] || {})
    end
    assert publisher.flush(timeout_ms: FLUSH_MS), 'the events did not end'
    @reports = []
    while (some = publisher.poll).any?
      @reports.concat(some)
    end
    @reports.sort_by! { |report| report[:id] }
    assert_equal ids.sort, @reports.map { |report| report[:id] }
    ids.size
  end

  def check_error(expected, error)
    expected.each do |name, value|
      value.nil? ? assert_nil(error.document[name], name) : assert_equal(value, error.document[name], name)
    end
    # The methods return the document's values.
    assert_equal error.document.values_at('status', 'delivery', 'argument', 'cause', 'attempts', 'http_status'),
                 [error.status, error.delivery, error.argument, error.network_cause, error.attempts, error.http_status]
    assert_includes error.class.ancestors, LibPusher::Error
    refute_includes "#{error.message} #{error.document}".b, CONFORMANCE['credentials']['secret'].b
  end

  def check_result(kase, result)
    flunk "succeeded: #{result.inspect}" if kase.key?('error')
    plain = JSON.parse(JSON.generate(result))
    if kase.key?('ok_keys')
      assert_equal kase['ok_keys'].sort, plain.keys.sort
    elsif kase['ok'].nil?
      assert_nil plain
    else
      assert_equal kase['ok'], plain
    end
    kase['reports']&.zip(@reports)&.each do |expected, report|
      expected.each { |name, value| value.nil? ? assert_nil(report[name.to_sym]) : assert_equal(value, report[name.to_sym], name) }
    end
    assert_equal kase['reports'].size, @reports.size if kase['reports']
  end

  def check_published(expected, applied)
    assert_equal expected.size, applied.size, applied.inspect
    expected.zip(applied) do |event, found|
      if event.key?('encrypted')
        # Without a secretbox: check the shape.
        assert_equal event['channel'], found['channel']
        assert_equal %w[ciphertext nonce], JSON.parse(found['data']).keys.sort
        refute_includes found['data'], event['encrypted']['data'].to_s
      else
        assert_equal event, found.compact
      end
    end
  end
end
