# frozen_string_literal: true

require_relative 'test_helper'

# What a server, a sender of webhooks or a caller may hand over: only a LibPusher::Error is raised, nothing is dropped, and nothing is
# signed or sent in other bytes than the caller meant.
class RobustnessTest < Minitest::Test
  include Helpers

  JSON_TYPES = ['null', 'true', 'false', '0', '-7', '1.5', '1180591620717411303424', '""', '"text"', '"\ud800"', '"a\u0000b"', '[]',
                '[null,1,"a",{}]', '{}', '{"channels":[],"users":{},"occupied":"x","a":null,"1":2,"":3,"\u0000":4}'].freeze
  CALLS = { trigger: ['c', 'e', 1], trigger_batch: [{ channel: 'c', name: 'e', data: 1 }], send_to_user: ['u', 'e', 1],
            terminate_user_connections: ['u'], channels: [], channel_info: ['c'], channel_users: ['presence-c'], get: ['/channels'],
            post: ['/events', {}], delete: ['/x'] }.freeze

  # A string that looks the same, once as Unicode and once in another encoding.
  LATIN = 'é'.encode('ISO-8859-1')
  # Bytes that mean nothing in their encoding, or have none.
  BROKEN = ["\xff", "a\xc3", "\xe9".b, "\xff".dup.force_encoding('Shift_JIS'), "\x00\xd8".dup.force_encoding('UTF-16LE'),
            "\xff".dup.force_encoding('US-ASCII')].freeze
  WRONG = [nil, true, false, 4, -1, 2**70, 1.5, Float::NAN, Complex(1, 1), :sym, '', *BROKEN, LATIN, "a\0b", Object.new, Class, -> {}, 1..2,
           Time.at(0), $stdout, [], [nil], [4], [[]], {}, { a: 1 }, { nil => 1 }, { 4 => 5 }, { "\xff" => 1 }, { a: [{ b: "\xff" }] }].freeze

  def test_an_answer_of_any_json_type_is_returned_and_not_an_error
    CALLS.each do |call, arguments|
      JSON_TYPES.each do |json|
        answer = nowhere.prepare(call, *arguments).finish(status: 200, body: json)
        plain = parsed(json)
        plain = plain.transform_keys(&:to_sym) if plain.is_a?(Hash)
        plain.nil? ? assert_nil(answer) : assert_equal(plain, answer, "#{call} #{json}")
      end
    end
  end

  def test_the_members_of_an_answer_may_have_any_json_type
    JSON_TYPES.each do |json|
      body = "{\"channels\":#{json},\"users\":#{json},\"occupied\":#{json}}"
      plain = parsed(body)
      CALLS.each do |call, arguments|
        answer = nowhere.prepare(call, *arguments).finish(status: 200, body: body)
        assert_equal plain, answer.is_a?(Hash) ? answer.transform_keys(&:to_s) : answer
      end
    end
  end

  def test_a_channel_returns_the_users_that_the_server_sends
    ['{"users":7}', '[]', '7'].zip([7, [], 7]) do |body, users|
      client = nowhere
      client.define_singleton_method(:channel_users) { |*arguments| prepare(:channel_users, *arguments).finish(status: 200, body: body) }
      assert_equal users, client['presence-c'].users
    end
  end

  def test_a_webhook_may_have_any_json_type_in_any_place
    pusher = nowhere(webhook_max_age_ms: 0, logger: Logger.new(File::NULL))
    templates = ['%s', '{"time_ms":%s,"events":[]}', '{"time_ms":1,"events":%s}', '{"time_ms":1,"events":[%s]}', '{"time_ms":1}',
                 '{"events":[{"name":%s,"channel":%s,"event":%s,"data":%s,"socket_id":%s,"user_id":%s,"other":%s}]}']
    templates.product(JSON_TYPES) do |template, json|
      body = template.gsub('%s') { json }
      webhook = pusher.webhook({ key: FaultServer.credentials[:key], signature: sign(body), body: body })
      next refute_predicate(webhook, :valid?) unless only_errors { webhook.data }

      assert_equal JSON.parse(body), webhook.data, body
      events = only_errors { webhook.events }
      assert_equal JSON.parse(body).fetch('events', []) || [], events if events
      time = only_errors { webhook.time }
      assert(time.nil? || time.is_a?(Time))
    end
  end

  def test_a_string_in_another_encoding_is_converted_at_any_depth
    listener = FaultServer.listen
    pusher = FaultServer.client(listener)
    [LATIN, { LATIN => [{ 'k' => LATIN }] }, [LATIN.to_sym, LATIN.encode('UTF-16BE')]].each { |data| pusher.trigger('c', LATIN, data) }
    assert_equal ['é', '{"é":[{"k":"é"}]}', '["é","é"]'], (listener.applied.map { |event| event['data'] })
    assert_equal ['é'], listener.applied.map { |event| event['name'] }.uniq
    answer = nowhere.authenticate('presence-c', '1.2', { user_id: '7', user_info: { LATIN => [LATIN] } })
    assert_equal '{"user_id":"7","user_info":{"é":["é"]}}', answer[:channel_data]
  end

  def test_bytes_that_are_not_unicode_are_refused_at_any_depth
    pusher = nowhere
    BROKEN.each do |bytes|
      [bytes, { k: bytes }, { bytes => 1 }, [[{ 'k' => [bytes] }]]].each do |value|
        { 'trigger' => -> { pusher.trigger('c', 'e', value) }, 'post' => -> { pusher.post('/events', value) },
          'trigger_batch' => -> { pusher.trigger_batch({ channel: 'c', name: 'e', data: value }) },
          'send_to_user' => -> { pusher.send_to_user('u', 'e', value) }, 'trigger_async' => -> { pusher.trigger_async('c', 'e', value).value },
          'prepare' => -> { pusher.prepare(:trigger, 'c', 'e', value) }, 'publish' => -> { pusher.publisher.publish('c', 'e', value) },
          'extra' => -> { pusher.trigger('c', 'e', 1, { extra: { a: value } }) },
          'authenticate' => -> { pusher.authenticate('presence-c', '1.2', { user_id: '7', user_info: { a: value } }) },
          'authenticate_user' => -> { pusher.authenticate_user('1.2', { id: '7', a: value }) },
          'authenticate_channels' => lambda {
            pusher.authenticate_channels('1.2', [{ channel: 'presence-c', channel_data: { user_id: '7', user_info: { a: value } } }])
          } }.each { |name, call| assert_raises(LibPusher::UsageError, "#{name} #{value.inspect}", &call) }
      end
    end
  end

  def test_a_single_name_and_a_name_in_a_list_follow_one_rule
    listener = FaultServer.listen
    pusher = FaultServer.client(listener)
    [123, :c, '123'].each do |name|
      pusher.trigger(name, name, 1)
      pusher.trigger([name], name, 1)
      pusher.trigger_batch({ channel: name, name: name, data: 1 })
    end
    assert_equal %w[123 c], listener.applied.flat_map { |event| event.values_at('channel', 'name') }.uniq
    [1.5, nil, true, {}].each do |name|
      [-> { pusher.trigger(name, 'e', 1) }, -> { pusher.trigger([name], 'e', 1) },
       -> { pusher.trigger_batch({ channel: name, name: 'e', data: 1 }) }].each { |call| assert_raises(LibPusher::UsageError, name.inspect, &call) }
    end
  end

  def test_every_method_raises_only_its_own_errors
    pusher = nowhere(retry: { mode: 'never' }, logger: Logger.new(File::NULL))
    calls = { **CALLS.transform_values { |arguments| [*arguments, {}] }, get: ['/channels', {}, {}], post: ['/events', {}, {}, {}],
              delete: ['/x', {}, {}], trigger_async: ['c', 'e', 1, {}], trigger_batch_async: [{ channel: 'c', name: 'e', data: 1 }],
              get_async: ['/channels', {}, {}], post_async: ['/events', {}, {}, {}], authenticate: ['presence-c', '1.2', { user_id: '7' }],
              authenticate_channels: ['1.2', ['private-c']], authenticate_user: ['1.2', { id: '7' }], validate_webhook: %w[k s b],
              webhook: [{}], channel: ['c'], prepare: [:trigger] }
    calls[:trigger_batch] = [{ channel: 'c', name: 'e', data: 1 }]
    calls.each do |call, arguments|
      arguments.each_index do |index|
        WRONG.each do |wrong|
          next if call == :prepare && wrong.to_s == 'trigger'

          only_errors do
            result = pusher.public_send(call, *arguments[0...index], wrong, *arguments[index + 1..])
            result = result.value if result.is_a?(LibPusher::Future)
            result.valid? && result.data if result.is_a?(LibPusher::WebHook)
          end
        end
      end
    end
  end

  def test_every_option_raises_only_a_configuration_error
    options = { **FaultServer.credentials, host: '127.0.0.1', port: 1, ssl: false }
    names = options.keys + %i[cluster scheme use_tls encrypted timeout connect_timeout http_proxy encryption_master_key_base64 webhook_tokens]
    readers = %i[host port scheme encrypted? cluster app_id key secret http_proxy proxy url encryption_master_key inspect]
    writers = LibPusher::Client.public_instance_methods(false).grep(/\w=\z/)
    WRONG.each do |wrong|
      only_errors { LibPusher::Client.new(wrong).handle }
      only_errors { LibPusher::Client.new(url: wrong).handle }
      only_errors { LibPusher::Client.from_url(wrong).handle }
      only_errors { LibPusher::Client.from_env(wrong).handle }
      clients = names.map { |name| only_errors { LibPusher::Client.new(**options, name => wrong) } }
      clients += writers.map { |name| LibPusher::Client.new(**options).tap { |client| only_errors { client.public_send(name, wrong) } } }
      clients.compact.each do |client|
        readers.each { |reader| only_errors { client.public_send(reader) } }
        only_errors { client.authenticate('private-c', '1.2') }
      end
    end
  end

  def test_a_list_of_any_strings_raises_only_a_usage_error
    pusher = nowhere
    recursive = []
    recursive << recursive
    [["\xff".b, 'ä'], ["\xff".dup.force_encoding('Shift_JIS')], ['ä'.encode('UTF-16BE'), "a\0b"], recursive, [1.5]].each do |list|
      assert_raises(LibPusher::UsageError) { pusher.channel_info('c', info: list) }
      assert_raises(LibPusher::UsageError) { pusher.channels(info: list) }
      assert_equal 'not_sent', assert_raises(LibPusher::UsageError) { pusher.trigger('c', 'e', 1, info: list) }.delivery
      batch = { channel: 'c', name: 'e', data: 1, info: list }
      assert_equal 'not_sent', assert_raises(LibPusher::UsageError) { pusher.trigger_batch(batch) }.delivery
    end
  end

  # Ruby prints the cause of an exception, too.
  def test_an_error_has_no_cause_that_shows_what_was_given
    client = LibPusher::Client.new(http_proxy: 'http://user:the-secret@a b')
    errors = [assert_raises(LibPusher::ConfigurationError) { client.proxy },
              assert_raises(LibPusher::ConfigurationError) { LibPusher::Client.new(key: 'k', secret: "the-secret\xff") },
              assert_raises(LibPusher::UsageError) { nowhere.trigger('c', 'e', "the-secret\xff") }]
    errors.each do |error|
      assert_nil error.cause
      refute_includes error.full_message, 'the-secret'
    end
  end

  def test_the_other_objects_raise_only_their_own_errors
    pusher = nowhere(retry: { mode: 'never' }, logger: Logger.new(File::NULL))
    channel = pusher['presence-c']
    publisher = pusher.publisher
    request = -> { pusher.prepare(:trigger, 'c', 'e', 1) }
    WRONG.each do |wrong|
      [-> { channel.trigger!(wrong, 1) }, -> { channel.trigger!('e', 1, wrong) }, -> { channel.trigger(wrong, 1, wrong) },
       -> { channel.info(wrong) }, -> { channel.users(wrong) }, -> { channel.authenticate(wrong, wrong) }, -> { channel.shared_secret(wrong) },
       -> { channel.authentication_string(wrong, wrong) }, -> { channel.authentication_string('1.2', wrong) },
       -> { request.call.finish(status: wrong) }, -> { request.call.finish(status: 200, body: wrong) },
       -> { request.call.finish(status: 200, headers: wrong) }, -> { request.call.finish(status: 200, headers: { wrong => [wrong] }) },
       -> { request.call.fail(delivery: wrong) }, -> { request.call.fail(delivery: :unknown, cause: wrong, message: wrong) },
       -> { publisher.publish(wrong, 'e', 1) }, -> { publisher.publish('c', wrong, 1) }, -> { publisher.publish('c', 'e', 1, wrong) },
       -> { publisher.poll(timeout_ms: wrong) unless wrong.nil? }, -> { publisher.flush(timeout_ms: wrong) }, -> { pusher.publisher(reports: wrong) },
       -> { pusher.publisher.close(timeout_ms: wrong) }, -> { pusher.trigger_async('c', 'e', 1).wait(wrong) },
       -> { LibPusher::WebHook.new(wrong, pusher).valid? }, -> { pusher.webhook({}).valid?(wrong) },
       -> { pusher.webhook({ key: wrong, signature: wrong, body: wrong }).valid? }].each { |call| only_errors(&call) }
    end
  ensure
    publisher&.close
  end

  private

  # Returns the value, or the string itself if Ruby cannot represent it.
  def parsed(json)
    JSON.parse(json)
  rescue JSON::ParserError
    json
  end

  # Returns the block's result, nil after a LibPusher::Error. Any other exception fails the test.
  def only_errors
    yield
  rescue LibPusher::Error
    nil
  end
end
