# frozen_string_literal: true

require 'minitest'
require_relative '../libpusher'
require_relative 'testing'

module LibPusher
  # Assertions on what a test published. Each test has a server of its own.
  #
  #   class ShopTest < Minitest::Test
  #     include LibPusher::Minitest
  #
  #     def test_an_order_is_announced
  #       Shop.new(LibPusher::Client.new(**pusher_server.config)).order(7)
  #       assert_triggered 'orders', 'created', data: { id: 7 }
  #     end
  #   end
  module Minitest
    # @return [Testing::Server] the server of this test
    def pusher_server = @pusher_server ||= open_pusher_server

    # Opens another server for this test, with a fault: see {Testing.open}.
    # @return [Testing::Server]
    def open_pusher_server(fault = 'none', **order)
      Testing.open(fault, **order).tap { |server| (@pusher_servers ||= []) << server }
    end

    # Checks that this event was published, `times` times if given. Waits up to `timeout` seconds, which a program needs that publishes
    # in the background.
    # @param data [Object] a value as passed to {Client#trigger}
    # @return [Testing::Event] the first
    def assert_triggered(channel, event, data: Testing::ANY, socket_id: Testing::ANY, times: nil, timeout: 0, server: pusher_server)
      found = server.find(channel, event, data: data, socket_id: socket_id, times: times || 1, timeout: timeout)
      wanted = "#{event} on #{channel}"
      wanted += " with #{data.inspect}" unless data.equal?(Testing::ANY)
      wanted += " without #{socket_id.inspect}" unless socket_id.equal?(Testing::ANY)
      refute_empty found, "#{wanted} was not published. #{server}"
      assert_equal times, found.size, "#{wanted}: another number of events. #{server}" if times
      found.first
    end

    # Checks that nothing was published, on this channel and by this name if they are given.
    def refute_triggered(channel = nil, event = nil, server: pusher_server)
      found = server.events.select { |one| [nil, one.channel].include?(channel) && [nil, one.event].include?(event) }
      assert_empty found, "#{found.first} was published. #{server}"
    end

    # @api private
    def after_teardown
      @pusher_servers&.each(&:close)
      @pusher_servers = @pusher_server = nil
      super
    end
  end
end
