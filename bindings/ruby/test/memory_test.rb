# frozen_string_literal: true

require_relative 'test_helper'

# Everything that the library returns is freed.
class MemoryTest < Minitest::Test
  include Helpers

  ROUNDS = 5
  # A leak makes every round grow by more than this; Ruby's heap grows in some rounds only.
  LIMIT_KIB = 400

  def test_results_and_errors_are_freed
    pusher = nowhere
    flat('answers', 20_000) { pusher.authenticate('private-c', '1234.5678') }
    flat('errors', 10_000) do
      pusher.authenticate('public', '1234.5678')
    rescue LibPusher::UsageError
      nil
    end
  end

  def test_clients_publishers_requests_and_responses_are_freed
    flat('clients', 3000) { nowhere }
    pusher = nowhere
    flat('publishers', 3000) { pusher.publisher }
    flat('requests', 1000) { pusher.prepare(:trigger, 'c', 'e', 'x' * 2000) }
    answer = "{}#{' ' * 2000}"
    flat('responses', 1000) { pusher.prepare(:trigger, 'c', 'e', 'x').finish(status: 200, body: answer) }
  end

  # An interrupted thread raises after its call, when the result is there already.
  def test_results_of_interrupted_calls_are_freed
    handle = nowhere.handle
    flat('interrupted calls', 20_000) do
      LibPusher::Native.call do |out|
        LibPusher::Native.pusher_authenticate(handle, 'private-c', '1234.5678', nil, out)
        raise Interrupt
      end
    rescue Interrupt
      nil
    end
  end

  private

  def flat(what, times, &block)
    sizes = (ROUNDS + 1).times.map do
      times.times(&block)
      resident
    end
    grown = sizes.each_cons(2).map { |before, after| after - before }
    assert_operator grown.min, :<, LIMIT_KIB, "#{what}: KiB more after every #{times}: #{grown}"
  end
end
