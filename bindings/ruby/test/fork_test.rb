# frozen_string_literal: true

require_relative 'test_helper'

# As in Puma's cluster mode and Unicorn: the master makes the client, and its children use it.
class ForkTest < Minitest::Test
  include Helpers

  CHILDREN = 8
  CALLS = 10

  def test_children_use_their_parents_client_with_their_own_connections
    listener = FaultServer.listen
    pusher = FaultServer.client(listener, timeout_ms: 30_000)
    pusher.trigger('parent', 'e', 0) # a connection is open, which no child may use
    children = CHILDREN.times.map { |number| start_child { CALLS.times.map { |call| pusher.trigger("child-#{number}", 'e', call) } } }
    CALLS.times { |call| pusher.trigger('parent', 'e', call + 1) }
    children.each { |child| assert_equal [{}] * CALLS, collect(*child) }

    by_channel = listener.attempts.group_by { |attempt| attempt['applied'].first['channel'] }
    assert_equal CHILDREN + 1, by_channel.size
    by_channel.each do |channel, attempts|
      data = attempts.map { |attempt| attempt['applied'].first['data'].to_i }
      assert_equal channel == 'parent' ? (0..CALLS).to_a : (0...CALLS).to_a, data
    end
    connections = by_channel.transform_values { |attempts| attempts.map { |attempt| attempt['connection'] }.uniq }
    assert_equal connections.values.flatten.uniq.size, connections.values.flatten.size, 'two processes shared a connection'
  end

  def test_a_child_makes_its_own_publisher
    listener = FaultServer.listen
    pusher = FaultServer.client(listener)
    publisher = pusher.publisher
    publisher.publish('parent', 'e', 1)
    said = in_child do
      refused = %i[publish poll flush close stats].to_h do |call|
        [call, begin
          publisher.public_send(call, *(call == :publish ? ['c', 'e', 1] : []))
        rescue LibPusher::PublisherError => e
          e.status
        end]
      end
      own = pusher.publisher(reports: 'all')
      own.publish('child', 'e', 1)
      [refused, own.flush(timeout_ms: 10_000), own.poll.map { |report| report[:delivery] }]
    end
    assert_equal [{ publish: 'FORKED', poll: 'FORKED', flush: 'FORKED', close: 'FORKED', stats: 'FORKED' }, true, %w[delivered]], said
    assert publisher.close, 'the parent goes on'
    assert_equal %w[child parent], (listener.applied.map { |event| event['channel'] }.sort)
  end

  def test_a_child_that_exits_does_not_affect_its_parent
    listener = FaultServer.listen
    run_program(listener, <<~RUBY)
      publisher = client.publisher
      publisher.publish('c', 'e', 1)
      pid = fork { GC.start }
      Process.wait(pid)
      abort 'the child failed' unless $?.success?
      abort 'not closed' unless publisher.close
      client.trigger('c', 'e', 2)
    RUBY
    assert_equal %w[1 2], (listener.applied.map { |event| event['data'] })
  end
end
