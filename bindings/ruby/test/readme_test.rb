# frozen_string_literal: true

require 'stringio'
require_relative 'test_helper'

# The blocks of the README and of the guide on migrating work as written, in their order.
class ReadmeTest < Minitest::Test
  include Helpers

  README = File.read(File.expand_path('../README.md', __dir__), encoding: 'UTF-8')
  BLOCKS = README.scan(/^```ruby\n(.*?)^```$/m).flatten
  GUIDE = File.read(File.expand_path('../../../docs/migrating.md', __dir__), encoding: 'UTF-8')
  BODY = '{"time_ms":%d,"events":[{"name":"channel_occupied","channel":"c"}]}'

  def test_every_block_of_the_readme_runs
    assert_equal README.scan(/^```/).size, BLOCKS.size * 2, 'a block that is not Ruby'
    listener = FaultServer.listen
    key, secret = FaultServer.credentials.values_at(:key, :secret)
    url = "http://#{key}:#{URI.encode_www_form_component(secret)}@127.0.0.1:#{listener.port}/apps/4711"
    before = ENV.fetch('PUSHER_URL', nil)
    ENV['PUSHER_URL'] = url
    body = format(BODY, Time.now.to_i * 1000)
    context = context_with({ key: key, signature: sign(body), body: body })
    said, = capture_io { BLOCKS.each { |block| context.eval("# frozen_string_literal: true\n#{block}") } }

    # The thread of the asynchronous call may end later.
    assert_match(/\Achannel_occupied on c\n(delivered {}\n)?\z/, said)
    events = listener.applied.map { |event| event.values_at('channel', 'name') }
    %w[my-channel channel-1 channel-2 #server-to-user-user-7 orders].each do |channel|
      assert_includes events.map(&:first), channel
    end
    assert_equal 4, events.count(%w[my-channel my-event]), 'trigger, publish, prepare and the one with a time limit'
  ensure
    ENV['PUSHER_URL'] = before
    LibPusher.default_client = nil
  end

  def test_every_block_of_the_guide_runs
    blocks = GUIDE.scan(/^```ruby\n(.*?)^```$/m).flatten
    refute_empty blocks
    { 'none' => '', 'fin-after-request' => "no answer: unknown\n",
      'status-401' => "the key or the secret is wrong\n" }.each do |fault, says|
      blocks.each do |block|
        listener = FaultServer.listen(fault)
        LibPusher.configure(**FaultServer.credentials, host: '127.0.0.1', port: listener.port, ssl: false)
        said, = capture_io { TOPLEVEL_BINDING.eval("# frozen_string_literal: true\n#{block}") }
        assert_equal says, said
        assert_equal 1, listener.attempts.size
      end
    end
  ensure
    LibPusher.default_client = nil
  end

  private

  # The binding in which the blocks run: each sees the variables of those before it.
  def context_with(request)
    Object.new.instance_eval { binding.tap { |it| it.local_variable_set(:request, request) } }
  end
end
